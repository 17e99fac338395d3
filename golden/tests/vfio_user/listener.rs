//! The socket file.

use crate::rig::{Small, alone, pair, qemu};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use vnic_golden::vfio_user::{BindError, Client, ClientError, Hangup, Listener, serve_peer};

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vnic-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("vu.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_file_is_the_owners_alone_and_goes_with_the_listener() {
    let _alone = alone();
    let folder = Folder::new("mode");
    let listener = Listener::bind(&folder.socket()).unwrap();
    let meta = std::fs::metadata(listener.path()).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.mode() & 0o7777, 0o600);
    drop(listener);
    assert!(!folder.socket().exists());
}

#[test]
fn a_dead_servers_file_is_replaced_and_a_live_ones_is_not() {
    let alone = alone();
    let folder = Folder::new("stale");
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists(), "std leaves the file behind");
    let listener = Listener::bind(&folder.socket()).unwrap();
    assert_eq!(Listener::bind(&folder.socket()).unwrap_err(), BindError::Live { path: folder.socket() });
    // Its queue may be full of such probes; it is alive all the same.
    for _ in 0..20 {
        assert_eq!(Listener::bind(&folder.socket()).unwrap_err(), BindError::Live { path: folder.socket() });
    }
    drop(listener);
    std::fs::write(folder.socket(), b"notes").unwrap();
    assert_eq!(Listener::bind(&folder.socket()).unwrap_err(), BindError::NotASocket { path: folder.socket() });
    assert_eq!(std::fs::read(folder.socket()).unwrap(), b"notes");
    drop(folder);
    alone.no_leak();
}

#[test]
fn a_file_that_has_taken_the_place_stays() {
    let _alone = alone();
    let folder = Folder::new("successor");
    let first = Listener::bind(&folder.socket()).unwrap();
    std::fs::remove_file(folder.socket()).unwrap();
    let second = Listener::bind(&folder.socket()).unwrap();
    drop(first);
    assert!(folder.socket().exists());
    drop(second);
    assert!(!folder.socket().exists());
}

#[test]
fn a_path_the_kernel_cannot_take_is_named() {
    let _alone = alone();
    let folder = Folder::new("long");
    let room = 107 - folder.0.as_os_str().len() - 1;
    let fits = folder.0.join("s".repeat(room));
    drop(Listener::bind(&fits).unwrap());
    let long = folder.0.join("s".repeat(room + 1));
    let error = Listener::bind(&long).unwrap_err();
    assert_eq!(error, BindError::LongPath { path: long.clone() });
    assert_eq!(error.to_string(), format!("socket path {} is 108 bytes, 107 at most", long.display()));
    let nowhere = folder.0.join("no/such/folder");
    assert!(matches!(Listener::bind(&nowhere).unwrap_err(), BindError::System { .. }));
}

#[test]
fn a_second_peer_is_closed_on_at_once_and_the_next_one_is_welcome() {
    let alone = alone();
    let folder = Folder::new("second");
    let listener = Listener::bind(&folder.socket()).unwrap();
    let path = folder.socket();
    assert!(listener.accept().unwrap().is_none());
    let server = std::thread::spawn(move || {
        let mut device = Small::new();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let mut fds = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
            poll(&mut fds, None).unwrap();
            let peer = listener.accept().unwrap().expect("a peer");
            ends.push(serve_peer(&listener, peer, &mut device));
        }
        (device, ends)
    });
    for _ in 0..2 {
        let mut first = Client::connect(&path).unwrap();
        first.version(&qemu()).unwrap();
        for _ in 0..3 {
            let mut second = Client::connect(&path).unwrap();
            assert_eq!(second.receive_raw().unwrap_err(), ClientError::Closed);
            first.device_info().unwrap();
        }
        first.write(0, 0, &[1]).unwrap();
    }
    let (device, ends) = server.join().unwrap();
    assert_eq!(ends, [Hangup::Closed, Hangup::Closed]);
    assert_eq!((device.count("gone"), device.count("write 0+0x0 [1]")), (2, 2));
    drop((device, folder));
    let (_a, _b) = pair();
    drop((_a, _b));
    alone.no_leak();
}
