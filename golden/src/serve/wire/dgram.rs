//! UNIX datagrams, one frame each, as QEMU's `-netdev dgram` with `local.type=unix` and `remote.type=unix` speaks them.
//!
//! We receive at our own path and send to the other side's. Nobody there: the frame is dropped and counted, as on a cable without
//! a peer. Its queue is full: the frame is refused and the descriptor becomes writable when there is room. The other side may
//! come, go and come back at the same path.
//!
//! Source: QEMU, net/dgram.c.

use super::socket::{bind_at, is_frame, unix};
use super::{MAX_FRAME, Wait, Waits, Wire, WireCounters};
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Datagrams looked at in one `receive` while they are no frames.
const LOOKS: usize = 16;

/// Frames as UNIX datagrams.
#[derive(Debug)]
pub struct Dgram {
    /// Bound to our path and connected to nobody, so that a peer that came back can send at once.
    inbox: Arc<OwnedFd>,
    local: PathBuf,
    remote: SocketAddrUnix,
    /// Connected to the other side, so that it becomes writable when there is room there.
    outbox: Option<Arc<OwnedFd>>,
    /// The last frame was refused.
    full: bool,
    counters: WireCounters,
}

impl Dgram {
    /// Receives at `local` from now on; whoever is at `remote` gets the frames.
    pub fn open(local: &Path, remote: &Path) -> io::Result<Self> {
        let inbox = unix(SocketType::DGRAM)?;
        let remote = SocketAddrUnix::new(remote)?;
        bind_at(&inbox, SocketType::DGRAM, local)?;
        Ok(Self {
            inbox: Arc::new(inbox),
            local: local.to_owned(),
            remote,
            outbox: None,
            full: false,
            counters: WireCounters::default(),
        })
    }

    /// The socket to the other side, a fresh one when there is none; `None`: nobody is there.
    fn outbox(&mut self) -> Option<Arc<OwnedFd>> {
        if self.outbox.is_none() {
            let socket = unix(SocketType::DGRAM).ok()?;
            connect(&socket, &self.remote).ok()?;
            self.outbox = Some(Arc::new(socket));
        }
        self.outbox.clone()
    }
}

impl Wire for Dgram {
    fn send(&mut self, frame: &[u8]) -> bool {
        // A second try with a fresh socket reaches a peer that came back at the same path.
        for _ in 0..2 {
            let Some(outbox) = self.outbox() else { break };
            match send(&*outbox, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => {
                    self.full = false;
                    self.counters.sent(frame.len());
                    return true;
                }
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {
                    self.full = true;
                    self.counters.refused += 1;
                    return false;
                }
                Err(_) => self.outbox = None,
            }
        }
        self.full = false;
        self.counters.sent(frame.len());
        self.counters.dropped += 1;
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        for _ in 0..LOOKS {
            into.clear();
            into.reserve(MAX_FRAME + 1);
            match recv(&*self.inbox, spare_capacity(into), RecvFlags::DONTWAIT) {
                Ok(_) if is_frame(into.len()) => {
                    self.counters.received(into.len());
                    return true;
                }
                Ok(_) => self.counters.malformed += 1,
                Err(_) => break,
            }
        }
        into.clear();
        false
    }

    fn fds(&self) -> Waits {
        let inbox = Wait { fd: Arc::clone(&self.inbox), flags: PollFlags::IN };
        let outbox = self.outbox.as_ref().filter(|_| self.full);
        [Some(inbox), outbox.map(|fd| Wait { fd: Arc::clone(fd), flags: PollFlags::OUT }), None, None]
    }

    fn due(&mut self) -> Option<Duration> {
        None
    }

    fn counters(&self) -> WireCounters {
        self.counters
    }
}

impl Drop for Dgram {
    fn drop(&mut self) {
        // The path was ours; one that is already gone is what we want.
        let _gone = rustix::fs::unlink(&self.local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, Timespec, poll};

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vnic-dgram-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn ready(waits: &Waits) -> bool {
        let mut polls: Vec<_> = waits.iter().flatten().map(|wait| PollFd::new(&*wait.fd, wait.flags)).collect();
        poll(&mut polls, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    #[test]
    fn a_frame_crosses_and_a_missing_peer_costs_only_the_frame() {
        let folder = folder("pair");
        let (at_a, at_b) = (folder.join("a"), folder.join("b"));
        let mut a = Dgram::open(&at_a, &at_b).unwrap();
        let mut into = Vec::new();
        assert!(a.send(&[1; 60]));
        assert_eq!(a.counters().dropped, 1);
        for round in 0..2 {
            let mut b = Dgram::open(&at_b, &at_a).unwrap();
            assert!(a.send(&[2; 60]) && ready(&b.fds()), "round {round}");
            assert!(b.receive(&mut into) && into == [2; 60]);
            assert!(b.send(&[3; MAX_FRAME]) && ready(&a.fds()));
            assert!(a.receive(&mut into) && into == [3; MAX_FRAME]);
            assert!(!a.receive(&mut into) && !ready(&a.fds()));
        }
        assert_eq!((a.counters().sent_frames, a.counters().dropped), (3, 1));
        assert!(!at_b.exists(), "the path goes with its owner");
    }

    #[test]
    fn a_full_peer_refuses_and_becomes_writable_when_it_reads() {
        let folder = folder("full");
        let mut a = Dgram::open(&folder.join("a"), &folder.join("b")).unwrap();
        let mut b = Dgram::open(&folder.join("b"), &folder.join("a")).unwrap();
        let taken = (0..100_000).take_while(|_| a.send(&[1; 60])).count();
        assert!((1..100_000).contains(&taken));
        assert_eq!((a.counters().refused, a.counters().dropped), (1, 0));
        assert!(!ready(&a.fds()));
        let mut into = Vec::new();
        let read = (0..200_000).take_while(|_| b.receive(&mut into)).count();
        assert_eq!(read, taken);
        assert!(ready(&a.fds()) && a.send(&[1; 60]));
    }

    #[test]
    fn what_is_no_frame_is_counted_and_passed_over() {
        let folder = folder("hostile");
        let mut a = Dgram::open(&folder.join("a"), &folder.join("b")).unwrap();
        let peer = unix(SocketType::DGRAM).unwrap();
        connect(&peer, &SocketAddrUnix::new(folder.join("a")).unwrap()).unwrap();
        for bytes in [&[][..], &[1; 13], &[1; MAX_FRAME + 1], &[2; 14]] {
            send(&peer, bytes, SendFlags::empty()).unwrap();
        }
        let mut into = Vec::new();
        assert!(a.receive(&mut into) && into == [2; 14]);
        assert_eq!(a.counters().malformed, 3);
    }

    #[test]
    fn a_socket_that_a_crash_left_behind_is_replaced() {
        let folder = folder("stale");
        drop(std::os::unix::net::UnixDatagram::bind(folder.join("a")).unwrap());
        assert!(folder.join("a").exists());
        Dgram::open(&folder.join("a"), &folder.join("b")).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = folder("file");
        std::fs::write(folder.join("f"), b"kept").unwrap();
        assert!(Dgram::open(&folder.join("f"), &folder.join("b")).is_err());
        assert_eq!(std::fs::read(folder.join("f")).unwrap(), b"kept");
        let first = Dgram::open(&folder.join("a"), &folder.join("b")).unwrap();
        assert!(Dgram::open(&folder.join("a"), &folder.join("b")).is_err(), "somebody is there");
        drop(first);
    }
}
