//! Bytes and descriptors over a UNIX stream socket, without blocking and without an allocation a message.
//!
//! One `recvmsg` takes as many messages as wait. Which message its descriptors belong to follows from the kernel's rule
//! (net/unix/af_unix.c, unix_stream_read_generic): a read goes on over buffers without descriptors and ends after the first
//! buffer that has some, so they came with the *last* byte read. They are given to the message that holds that byte. A peer
//! that packs several messages and descriptors into one `sendmsg` would find them all with the last; none is known to.
//!
//! Descriptors are owned from the moment they arrive and closed when nobody takes them: with a refused message, a skipped
//! one, or the session. What the kernel had to cut off (`MSG_CTRUNC`: more than [`MAX_FDS`], or this
//! process has no numbers left) it has closed itself; the message is marked.

use super::proto::{Command, HEADER, Header, MAX_FDS, MAX_MESSAGE};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use spec::layout::Bytes;

/// Bytes one read takes at most, unless one message is longer.
const ROOM: usize = 64 << 10;

/// Descriptors of one message, at most [`MAX_FDS`].
#[derive(Debug, Default)]
pub struct Fds {
    list: Vec<OwnedFd>,
    cut: bool,
}

impl Fds {
    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when none came.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && !self.cut
    }

    /// True when more came than could be taken.
    pub const fn cut(&self) -> bool {
        self.cut
    }

    /// Takes them all, in order.
    pub fn take(&mut self) -> impl Iterator<Item = OwnedFd> {
        self.list.drain(..)
    }

    fn clear(&mut self) {
        self.list.clear();
        self.cut = false;
    }

    fn push(&mut self, fd: OwnedFd) {
        if self.list.len() < MAX_FDS {
            self.list.push(fd);
        } else {
            self.cut = true;
        }
    }

    fn append(&mut self, other: &mut Self) {
        self.cut |= other.cut;
        for fd in other.list.drain(..) {
            self.push(fd);
        }
        other.cut = false;
    }
}

/// One read: bytes and flags, descriptors appended to `fds`.
///
/// # Errors
/// As the socket's, `EAGAIN` when nothing waits.
pub(super) fn receive(socket: impl AsFd, into: &mut [u8], fds: &mut Fds) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received =
        retry_on_intr(|| rustix::net::recvmsg(socket.as_fd(), &mut [IoSliceMut::new(into)], &mut control, flags))?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            rights.for_each(|fd| fds.push(fd));
        }
    }
    fds.cut |= received.flags.contains(ReturnFlags::CTRUNC);
    Ok(received.bytes)
}

/// A message that is wholly here.
#[derive(Debug)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header,
    /// What follows the header; none when the message is too long for its command and is being skipped.
    pub body: Option<&'a [u8]>,
    /// What came along; closed with the next message unless taken.
    pub fds: &'a mut Fds,
}

/// Why the stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// Smaller than a header, or larger than anything we would read or skip.
    #[error("{command}: msg_size is {size}, not {HEADER} to {MAX_MESSAGE}")]
    Size {
        /// Of the message.
        command: Command,
        /// What it holds.
        size: u32,
    },
    /// Neither a command nor anything else a server expects.
    #[error("{command}: type is {kind}, not a command")]
    Kind {
        /// Of the message.
        command: Command,
        /// What it holds.
        kind: u8,
    },
}

/// What one read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Nothing waits.
    Nothing,
    /// Some bytes.
    Bytes,
    /// The peer has closed; `midway` says that it did so inside a message.
    End {
        /// Bytes of a message are left without their rest.
        midway: bool,
    },
}

/// Messages on their way in.
#[derive(Debug)]
pub struct Inbox {
    room: Vec<u8>,
    /// What is here and not taken: `from..to` of the room.
    from: usize,
    to: usize,
    /// Bytes of the message that begins at `from`, as far as is known.
    wanted: usize,
    /// Bytes still to be thrown away.
    skip: usize,
    /// Of the message that begins at `from`, from earlier reads.
    front: Fds,
    /// Of the message that holds byte `to - 1`, from the last read.
    back: Fds,
    /// Of the message handed out last.
    current: Fds,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            room: vec![0; ROOM],
            from: 0,
            to: 0,
            wanted: HEADER,
            skip: 0,
            front: Fds::default(),
            back: Fds::default(),
            current: Fds::default(),
        }
    }
}

impl Inbox {
    /// Reads once. To be called when [`Inbox::next_message`] has given all it has.
    ///
    /// # Errors
    /// As the socket's.
    pub fn fill(&mut self, socket: impl AsFd) -> Result<Filled, Errno> {
        self.room.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        if self.to == 0 && self.skip == 0 {
            self.front.clear();
            self.back.clear();
        } else {
            self.front.append(&mut self.back);
        }
        if self.wanted > self.room.len() {
            self.room.resize(self.wanted, 0);
        }
        let until = self.wanted.max(ROOM);
        match receive(socket, &mut self.room[self.to..until], &mut self.back) {
            Ok(0) => Ok(Filled::End { midway: self.to > 0 || self.skip > 0 }),
            Ok(bytes) => {
                self.to += bytes;
                Ok(Filled::Bytes)
            }
            Err(Errno::AGAIN) => Ok(Filled::Nothing),
            Err(errno) => Err(errno),
        }
    }

    /// The next message, if it is wholly here.
    ///
    /// # Errors
    /// When its header says that the stream cannot go on.
    #[inline]
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, BadHeader> {
        self.current.clear();
        if self.skip > 0 && !self.skipped() {
            return Ok(None);
        }
        let here = self.to - self.from;
        self.wanted = HEADER;
        if here < HEADER {
            return Ok(None);
        }
        let header = Header::get(&self.room[self.from..]);
        let command = Command::from(header.command());
        let size = header.size() as usize;
        if !(HEADER..=MAX_MESSAGE).contains(&size) {
            return Err(BadHeader::Size { command, size: header.size() });
        }
        if header.kind() != 0 {
            return Err(BadHeader::Kind { command, kind: header.kind() });
        }
        if size - HEADER > command.max_body() {
            self.from += HEADER;
            self.skip = size - HEADER;
            self.skipped();
            return Ok(Some(Message { header, body: None, fds: &mut self.current }));
        }
        if here < size {
            self.wanted = size;
            return Ok(None);
        }
        let body = self.from + HEADER..self.from + size;
        self.from = body.end;
        core::mem::swap(&mut self.current, &mut self.front);
        if self.from == self.to {
            self.current.append(&mut self.back);
        }
        Ok(Some(Message { header, body: Some(&self.room[body]), fds: &mut self.current }))
    }

    /// Throws away what is here of a message too long; true when that was all of it.
    fn skipped(&mut self) -> bool {
        let bytes = self.skip.min(self.to - self.from);
        self.from += bytes;
        self.skip -= bytes;
        self.front.clear();
        if self.from == self.to {
            self.back.clear();
        }
        self.skip == 0
    }
}

/// One reply on its way out: the next message is not handled before it has left, so its room is bounded.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    fd: Option<OwnedFd>,
}

impl Outbox {
    /// True when nothing waits to leave.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Room for a new message of zero bytes.
    pub(super) fn start(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        self.sent = 0;
        self.fd = None;
        &mut self.bytes
    }

    /// What [`Outbox::start`] gave, further written.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A descriptor that leaves with the message.
    pub(super) fn attach(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
    }

    /// Sends what the socket takes; true when nothing is left.
    ///
    /// # Errors
    /// As the socket's.
    #[inline]
    pub fn flush(&mut self, socket: impl AsFd) -> Result<bool, Errno> {
        while self.sent < self.bytes.len() {
            match send(socket.as_fd(), &self.bytes[self.sent..], self.fd.as_ref().map(AsFd::as_fd).as_slice()) {
                Ok(bytes) => {
                    self.sent += bytes;
                    self.fd = None;
                }
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        self.start();
        Ok(true)
    }
}

/// One write of bytes and descriptors, without blocking and without a signal.
///
/// # Errors
/// As the socket's.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], fds: &[rustix::fd::BorrowedFd<'_>]) -> Result<usize, Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if fds.is_empty() {
        return retry_on_intr(|| rustix::net::send(socket.as_fd(), bytes, flags));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    retry_on_intr(|| rustix::net::sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, flags))
}
