//! The socket file: owner only, one server, one peer at a time.

use super::device::Device;
use super::session::{Hangup, Session};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, fchmod, lstat, unlink};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Longest path of a UNIX socket, in bytes: `sun_path` has 108 with its NUL.
pub const MAX_PATH: usize = 107;

/// Why there is no socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The kernel takes no more than [`MAX_PATH`] bytes.
    #[error("socket path {} is {} bytes, {MAX_PATH} at most", path.display(), path.as_os_str().len())]
    LongPath {
        /// The path.
        path: PathBuf,
    },
    /// Another server answers there.
    #[error("socket {} is served by another process", path.display())]
    Live {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket stands there; it is left alone.
    #[error("{} exists and is no socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("socket {}: {errno}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What the kernel says.
        errno: Errno,
    },
}

/// A socket that waits for peers. Its file goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file: a file that has taken its place is not ours to remove.
    file: (u64, u64),
}

fn stream() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

impl Listener {
    /// Makes the socket file, mode 0600 from its first moment: a bound file takes the mode of its socket (unix(7), and
    /// net/unix/af_unix.c, unix_bind_bsd). A file whose server is dead is replaced; whether it is dead is found by connecting
    /// to it, which a live server sees as a peer that leaves at once.
    ///
    /// # Errors
    /// When the path is too long, served, or no socket, or the kernel refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        if path.as_os_str().as_bytes().len() > MAX_PATH {
            return Err(BindError::LongPath { path: path.into() });
        }
        let system = |errno| BindError::System { path: path.into(), errno };
        let address = SocketAddrUnix::new(path).map_err(system)?;
        Self::clear_the_way(path, &address)?;
        let socket = stream().map_err(system)?;
        fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(system)?;
        bind(&socket, &address).map_err(system)?;
        let stat = lstat(path).map_err(system)?;
        let listener = Self { socket, path: path.into(), file: (stat.st_dev, stat.st_ino) };
        listen(&listener.socket, 8).map_err(system)?;
        Ok(listener)
    }

    fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<(), BindError> {
        let system = |errno| BindError::System { path: path.into(), errno };
        match lstat(path) {
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(system(errno)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Socket => {
                return Err(BindError::NotASocket { path: path.into() });
            }
            Ok(_) => {}
        }
        match connect(stream().map_err(system)?, address) {
            Err(Errno::CONNREFUSED) => match unlink(path) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(system(errno)),
            },
            // A full queue means that somebody listens.
            Ok(()) | Err(Errno::AGAIN) => Err(BindError::Live { path: path.into() }),
            Err(errno) => Err(system(errno)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A peer that waits, if one does.
    ///
    /// # Errors
    /// When the kernel refuses, as when this process has no descriptor numbers left.
    pub fn accept(&self) -> Result<Option<OwnedFd>, Errno> {
        match retry_on_intr(|| accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)) {
            Ok(peer) => Ok(Some(peer)),
            Err(Errno::AGAIN | Errno::CONNABORTED) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Closes on whoever waits while another peer is served, so that a second hypervisor fails at once and does not hang.
    /// Not to be called when [`Session::peer_closed`]: whoever waits then is the next peer. Gives how many; a few at a time,
    /// so that a crowd cannot hold up the server.
    ///
    /// # Errors
    /// As `accept`.
    pub fn turn_away(&self) -> Result<u32, Errno> {
        let mut away = 0;
        while away < 8 && self.accept()?.is_some() {
            away += 1;
        }
        Ok(away)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if lstat(&self.path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == self.file) {
            let _gone_already = unlink(&self.path);
        }
    }
}

/// Serves one peer until it hangs up, blocking, and turns others away: the whole loop of a server that does nothing else.
pub fn serve_peer(listener: &Listener, peer: OwnedFd, device: &mut impl Device) -> Hangup {
    let mut session = Session::new(peer);
    loop {
        match session.pump(device) {
            Ok(pumped) if pumped.messages > 0 && !pumped.blocked => continue,
            Ok(_) => {}
            Err(hangup) => return hangup,
        }
        let mut fds = [
            PollFd::from_borrowed_fd(session.as_fd(), session.interest()),
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
        ];
        if let Err(errno) = retry_on_intr(|| poll(&mut fds, None)) {
            return session.close(device, errno);
        }
        let waiting = !fds[1].revents().is_empty();
        if waiting
            && !session.peer_closed()
            && let Err(errno) = listener.turn_away()
        {
            return session.close(device, errno);
        }
    }
}
