//! What both kinds of UNIX socket need: a path that is ours alone, and frames in reused buffers.

use super::{MAX_FRAME, MIN_FRAME};
use rustix::fs::{FileType, Mode, chmod, lstat, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A non-blocking UNIX socket that no child inherits.
pub(super) fn unix(kind: SocketType) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?)
}

/// Binds `socket` to `path` with access for the owner only. A socket file that nobody answers at is replaced; anything else that
/// stands there is left alone and refused.
pub(super) fn bind_at(socket: &OwnedFd, kind: SocketType, path: &Path) -> io::Result<()> {
    let address = SocketAddrUnix::new(path)?;
    if lstat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Socket)
        && connect(&unix(kind)?, &address) == Err(Errno::CONNREFUSED)
    {
        unlink(path)?;
    }
    bind(socket, &address)?;
    Ok(chmod(path, Mode::RUSR | Mode::WUSR)?)
}

/// Whether `len` bytes can be a frame.
pub(super) fn is_frame(len: usize) -> bool {
    (MIN_FRAME..=MAX_FRAME).contains(&len)
}
