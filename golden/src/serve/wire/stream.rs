//! A UNIX stream of frames, each behind its length as 32 bits big endian, as QEMU's `-netdev stream` speaks it.
//!
//! One side listens, the other connects and tries again until somebody is there. One peer at a time: the next is accepted when
//! this one has gone. Without a peer frames are dropped and counted. A length above [`MAX_FRAME`] makes no sense: what follows
//! cannot be found again, so the peer is closed.
//!
//! Source: QEMU, net/stream_data.c and net/net.c (net_fill_rstate).

use super::socket::{bind_at, unix};
use super::{MAX_FRAME, MIN_FRAME, Wait, Waits, Wire, WireCounters};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, connect, listen,
    recv, send, sendmsg,
};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(200);

/// Bytes of the length before each frame.
const LENGTH: usize = 4;

/// Room for one whole frame behind a part of another.
const BUFFER: usize = 2 * (LENGTH + MAX_FRAME);

/// Reads, and frames passed over, in one `receive`.
const LOOKS: usize = 16;

/// Frames as a UNIX stream.
#[derive(Debug)]
pub struct Stream {
    role: Role,
    peer: Option<Peer>,
    /// What came from the peer, between `start` and `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// What the peer could not take yet of the last frame.
    rest: Vec<u8>,
    counters: WireCounters,
}

#[derive(Debug)]
enum Role {
    Connects { to: SocketAddrUnix, not_before: Instant },
    Listens { at: Arc<OwnedFd>, path: PathBuf },
}

#[derive(Debug)]
struct Peer {
    socket: Arc<OwnedFd>,
    /// It took less than it was given.
    full: bool,
}

/// What the buffer begins with.
enum Front {
    /// A whole frame of this length.
    Frame(usize),
    /// Something of this length that is no frame, but can be passed over.
    Runt(usize),
    /// Not enough yet.
    Partial,
    /// A length that makes no sense.
    Broken,
}

impl Stream {
    /// Connects to whoever listens at `path`, now or later.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let mut stream = Self::new(Role::Connects { to: SocketAddrUnix::new(path)?, not_before: Instant::now() });
        stream.meet();
        Ok(stream)
    }

    /// Listens at `path`.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = unix(SocketType::STREAM)?;
        bind_at(&socket, SocketType::STREAM, path)?;
        listen(&socket, 1)?;
        Ok(Self::new(Role::Listens { at: Arc::new(socket), path: path.to_owned() }))
    }

    fn new(role: Role) -> Self {
        Self {
            role,
            peer: None,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            rest: Vec::with_capacity(LENGTH + MAX_FRAME),
            counters: WireCounters::default(),
        }
    }

    /// Finds a peer if there is none and one is to be had.
    fn meet(&mut self) {
        if self.peer.is_some() {
            return;
        }
        let socket = match &mut self.role {
            Role::Listens { at, .. } => accept_with(&**at, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).ok(),
            Role::Connects { to, not_before } => {
                let now = Instant::now();
                if now < *not_before {
                    return;
                }
                *not_before = now + AGAIN;
                unix(SocketType::STREAM).ok().filter(|socket| connect(socket, to).is_ok())
            }
        };
        self.peer = socket.map(|socket| Peer { socket: Arc::new(socket), full: false });
    }

    /// The peer has gone, or must go. What was half said either way is void.
    fn part(&mut self) {
        self.peer = None;
        (self.start, self.end) = (0, 0);
        self.rest.clear();
    }

    /// Goes on with the rest of the last frame. True when nothing is left of it.
    fn flush(&mut self) -> bool {
        let Some(peer) = &mut self.peer else { return true };
        while !self.rest.is_empty() {
            match send(&*peer.socket, &self.rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(bytes) => drop(self.rest.drain(..bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    self.part();
                    return true;
                }
            }
        }
        peer.full = false;
        true
    }

    fn front(&self) -> Front {
        let bytes = &self.buffer[self.start..self.end];
        let Some((length, rest)) = bytes.split_first_chunk() else { return Front::Partial };
        match u32::from_be_bytes(*length) as usize {
            length if length > MAX_FRAME => Front::Broken,
            length if rest.len() < length => Front::Partial,
            length if length < MIN_FRAME => Front::Runt(length),
            length => Front::Frame(length),
        }
    }

    /// Reads what the peer has said. False: nothing now.
    fn fill(&mut self) -> bool {
        let Some(peer) = &self.peer else { return false };
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if BUFFER - self.start < LENGTH + MAX_FRAME {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match recv(&*peer.socket, &mut self.buffer[self.end..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.part(),
            Ok((bytes, _)) => {
                self.end += bytes;
                return true;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.part(),
        }
        false
    }
}

impl Wire for Stream {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.meet();
        if !self.flush() {
            self.counters.refused += 1;
            return false;
        }
        let length = (frame.len() as u32).to_be_bytes();
        let Some(peer) = self.peer.as_mut().filter(|_| frame.len() <= MAX_FRAME) else {
            self.counters.sent(frame.len());
            self.counters.dropped += 1;
            return true;
        };
        let parts = [IoSlice::new(&length), IoSlice::new(frame)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(&*peer.socket, &parts, &mut SendAncillaryBuffer::default(), flags) {
            Ok(bytes) => {
                // What did not fit follows before the next frame.
                self.rest.extend(length.iter().skip(bytes));
                self.rest.extend_from_slice(frame.get(bytes.saturating_sub(LENGTH)..).unwrap_or_default());
                peer.full = !self.rest.is_empty();
            }
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {
                peer.full = true;
                self.counters.refused += 1;
                return false;
            }
            Err(_) => {
                self.part();
                self.counters.dropped += 1;
            }
        }
        self.counters.sent(frame.len());
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        into.clear();
        self.meet();
        self.flush();
        for _ in 0..LOOKS {
            match self.front() {
                Front::Frame(length) => {
                    let from = self.start + LENGTH;
                    into.extend_from_slice(&self.buffer[from..from + length]);
                    self.start = from + length;
                    self.counters.received(length);
                    return true;
                }
                Front::Runt(length) => {
                    self.start += LENGTH + length;
                    self.counters.malformed += 1;
                }
                Front::Broken => {
                    self.counters.malformed += 1;
                    self.part();
                    return false;
                }
                Front::Partial => {
                    if !self.fill() {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn fds(&self) -> Waits {
        let wait = |fd: &Arc<OwnedFd>, flags| Some(Wait { fd: Arc::clone(fd), flags });
        match (&self.peer, &self.role) {
            (Some(peer), _) => {
                let out = if peer.full { PollFlags::OUT } else { PollFlags::empty() };
                [wait(&peer.socket, PollFlags::IN | out), None, None, None]
            }
            (None, Role::Listens { at, .. }) => [wait(at, PollFlags::IN), None, None, None],
            (None, Role::Connects { .. }) => Waits::default(),
        }
    }

    fn due(&mut self) -> Option<Duration> {
        match (&self.peer, &self.role) {
            (Some(_), _) => (!matches!(self.front(), Front::Partial)).then_some(Duration::ZERO),
            (None, Role::Listens { .. }) => None,
            (None, Role::Connects { not_before, .. }) => Some(not_before.saturating_duration_since(Instant::now())),
        }
    }

    fn settled(&mut self) -> bool {
        self.flush()
    }

    fn counters(&self) -> WireCounters {
        self.counters
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Role::Listens { path, .. } = &self.role {
            // The path was ours; one that is already gone is what we want.
            let _gone = rustix::fs::unlink(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn path(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vnic-stream-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    fn message(frame: &[u8]) -> Vec<u8> {
        [&(frame.len() as u32).to_be_bytes(), frame].concat()
    }

    #[test]
    fn a_frame_that_comes_byte_by_byte_is_whole() {
        let path = path("bytes");
        let mut wire = Stream::listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut peer = UnixStream::connect(&path).unwrap();
        let frame: Vec<u8> = (0..200).collect();
        let mut into = Vec::new();
        let bytes = [message(&frame), message(&frame[..60])].concat();
        let mut found = Vec::new();
        for byte in &bytes {
            peer.write_all(&[*byte]).unwrap();
            while wire.receive(&mut into) {
                found.push(into.clone());
            }
        }
        assert_eq!(found, [frame.clone(), frame[..60].to_vec()]);
        assert!(wire.send(&frame));
        let mut answer = vec![0; 204];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(answer, message(&frame));
    }

    #[test]
    fn a_length_that_makes_no_sense_closes_the_peer_and_the_next_is_welcome() {
        let path = path("hostile");
        let mut wire = Stream::listen(&path).unwrap();
        let mut into = Vec::new();
        for length in [MAX_FRAME as u32 + 1, u32::MAX] {
            let mut peer = UnixStream::connect(&path).unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            peer.write_all(&length.to_be_bytes()).unwrap();
            assert!(!wire.receive(&mut into));
            assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed");
        }
        assert_eq!(wire.counters().malformed, 2);
        let mut peer = UnixStream::connect(&path).unwrap();
        peer.write_all(&[message(&[]), message(&[1; 13]), message(&[2; 14]), message(&[3; MAX_FRAME])].concat())
            .unwrap();
        assert!(wire.receive(&mut into) && into == [2; 14]);
        assert!(wire.receive(&mut into) && into == [3; MAX_FRAME]);
        assert_eq!(wire.counters().malformed, 4, "two runts were passed over");
    }

    #[test]
    fn whole_frames_in_the_buffer_are_due_at_once() {
        let path = path("due");
        let mut wire = Stream::listen(&path).unwrap();
        let mut peer = UnixStream::connect(&path).unwrap();
        peer.write_all(&message(&[1; 60]).repeat(3)).unwrap();
        let mut into = Vec::new();
        assert!(wire.receive(&mut into));
        assert_eq!(wire.due(), Some(Duration::ZERO));
        assert!(wire.receive(&mut into) && wire.receive(&mut into) && !wire.receive(&mut into));
        assert_eq!(wire.due(), None);
    }

    #[test]
    fn a_slow_peer_gets_every_byte_and_refusals_lose_nothing() {
        let path = path("slow");
        let listener = UnixListener::bind(&path).unwrap();
        let mut wire = Stream::connect(&path).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let frame = |number: u32| vec![number as u8; 1 + 1000 * (number as usize % 60) + MIN_FRAME];
        let (mut sent, mut expected, mut found) = (0, Vec::new(), Vec::new());
        while sent < 400 {
            if wire.send(&frame(sent)) {
                expected.extend(message(&frame(sent)));
                sent += 1;
            } else {
                assert!(wire.fds()[0].as_ref().is_some_and(|wait| wait.flags.contains(PollFlags::OUT)));
                let mut some = vec![0; 70_001];
                let bytes = peer.read(&mut some).unwrap();
                found.extend_from_slice(&some[..bytes]);
            }
        }
        assert!(wire.counters().refused > 0);
        peer.set_nonblocking(true).unwrap();
        let mut some = vec![0; 70_001];
        while found.len() < expected.len() {
            assert!(!wire.receive(&mut Vec::new()), "it only flushes");
            let bytes = peer.read(&mut some).unwrap();
            found.extend_from_slice(&some[..bytes]);
        }
        assert!(found == expected);
        assert_eq!((wire.counters().sent_frames, wire.counters().dropped), (400, 0));
    }

    #[test]
    fn frames_that_come_in_any_pieces_are_whole() {
        let path = path("pieces");
        let mut wire = Stream::listen(&path).unwrap();
        let mut peer = UnixStream::connect(&path).unwrap();
        let frame = |number: usize| vec![number as u8; MIN_FRAME + number * 7919 % 50_000];
        let bytes: Vec<u8> = (0..400).flat_map(|number| message(&frame(number))).collect();
        let (mut into, mut found) = (Vec::new(), 0);
        for piece in bytes.chunks(40_009) {
            peer.write_all(piece).unwrap();
            while wire.receive(&mut into) {
                assert!(into == frame(found), "{found}");
                found += 1;
            }
        }
        assert_eq!((found, wire.counters().malformed), (400, 0));
    }

    #[test]
    fn a_peer_that_left_in_the_middle_of_a_frame_leaves_nothing_to_the_next() {
        let path = path("left");
        let mut wire = Stream::listen(&path).unwrap();
        let first = UnixStream::connect(&path).unwrap();
        while wire.send(&[1; MAX_FRAME]) {}
        drop(first);
        assert!(!wire.receive(&mut Vec::new()));
        let mut next = UnixStream::connect(&path).unwrap();
        assert!(wire.send(&[2; 60]));
        let mut bytes = vec![0; 64];
        next.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, message(&[2; 60]));
    }

    #[test]
    fn a_listener_that_comes_late_or_back_is_found() {
        let path = path("late");
        let mut wire = Stream::connect(&path).unwrap();
        assert!(wire.send(&[1; 60]));
        assert_eq!(wire.counters().dropped, 1);
        for _ in 0..2 {
            let listener = UnixListener::bind(&path).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while wire.fds()[0].is_none() && Instant::now() < deadline {
                std::thread::sleep(wire.due().unwrap());
                wire.receive(&mut Vec::new());
            }
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(&message(&[7; 60])).unwrap();
            let mut into = Vec::new();
            assert!(wire.receive(&mut into) && into == [7; 60]);
            drop((peer, listener));
            std::fs::remove_file(&path).unwrap();
            assert!(!wire.receive(&mut into));
            assert!(wire.fds()[0].is_none(), "gone");
        }
    }
}
