//! A running server with an echo for a wire.

use rustix::fd::AsFd as _;
use spec::profile::Profile;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use vnic_golden::serve::wire::{Waits, Wire, WireCounters};
use vnic_golden::serve::{Config, Kind, Path, Server};
use vnic_golden::vfio_user::Client;

/// Permanent address of the served device.
pub const MAC: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 1];
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Sends everything back to where it came from.
#[derive(Default)]
struct Echo {
    frames: VecDeque<Vec<u8>>,
}

impl Wire for Echo {
    fn send(&mut self, frame: &[u8]) -> bool {
        let mut back = frame.to_vec();
        let (to, from) = back.split_at_mut(6);
        to.swap_with_slice(&mut from[..6]);
        self.frames.push_back(back);
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        into.clear();
        self.frames.pop_front().is_some_and(|frame| {
            *into = frame;
            true
        })
    }

    fn fds(&self) -> Waits {
        Waits::default()
    }

    fn due(&mut self) -> Option<Duration> {
        (!self.frames.is_empty()).then_some(Duration::ZERO)
    }

    fn counters(&self) -> WireCounters {
        WireCounters::default()
    }
}

/// A server of one device in a thread of its own; it ends with this.
pub struct Running {
    folder: PathBuf,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn new(kind: Kind, profile: &'static Profile) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("vnic-server-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (stop, stopped) = UnixStream::pair().expect("a pair");
        let (ready, is_ready) = channel();
        let config = Config { socket: folder.join("vu"), kind, path: Path::Trapped, profile, mac: MAC };
        let control = folder.join("control");
        let thread = std::thread::spawn(move || {
            let mut server = Server::new(vec![(config, Box::<Echo>::default())], Some(&control)).expect("a server");
            ready.send(()).expect("somebody waits");
            while server.turn(Some(stopped.as_fd()), &mut |_| ()).expect("the kernel allows it") {}
        });
        is_ready.recv().expect("the server starts");
        Self { folder, stop: Some(stop), thread: Some(thread) }
    }

    /// Where the device's peer connects.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("vu")
    }

    /// A peer that has said nothing yet.
    pub fn connect(&self) -> Client {
        Client::connect(&self.socket()).expect("the server listens")
    }

    /// Gives an order and returns the line that answers it.
    pub fn order(&self, order: &str) -> String {
        let mut giver = UnixStream::connect(self.folder.join("control")).expect("the server takes orders");
        writeln!(giver, "{order}").expect("it reads");
        let mut answer = String::new();
        BufReader::new(giver).read_line(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        let _nothing_to_say = std::fs::remove_dir_all(&self.folder);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the server ends in order");
        }
    }
}
