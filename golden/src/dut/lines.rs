//! Text lines over a stream socket, with a time limit on everything and a bound on what is kept.

use super::Trouble;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest line that is taken when nothing else is said, bytes; QMP's greeting and events have some hundred.
const MAX_LINE: usize = 1 << 16;

/// Why a conversation in lines broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side has closed.
    Closed,
    /// Nothing came, or nothing was taken, in time.
    Late,
    /// More than a line may have, without its end; the beginning of it.
    Endless(String),
    /// The socket failed.
    Socket(Errno),
}

impl Broken {
    /// What this is to one who asked `asked`. [`Broken::Closed`] is the caller's to explain where it knows the process.
    pub(super) fn trouble(self, asked: &str) -> Trouble {
        match self {
            Self::Closed => Trouble::Gone("it closed its connection".into()),
            Self::Late => Trouble::Hangs(asked.into()),
            Self::Endless(start) => Trouble::Odd(format!("to {asked}: a line without an end: {start}")),
            Self::Socket(errno) => Trouble::Gone(format!("its connection failed: {errno}")),
        }
    }
}

/// Lines out and in.
#[derive(Debug)]
pub(super) struct Lines {
    socket: OwnedFd,
    /// Bytes that came and are not a whole line yet; at most a line and what one `recv` brings.
    inbox: VecDeque<u8>,
    /// Longest line that is taken, bytes.
    most: usize,
}

impl Lines {
    /// Over a connected stream socket.
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self::with_room(socket, MAX_LINE)
    }

    /// As [`Lines::new`], for lines of at most `most` bytes.
    pub(super) const fn with_room(socket: OwnedFd, most: usize) -> Self {
        Self { socket, inbox: VecDeque::new(), most }
    }

    fn wait(&self, flags: PollFlags, until: Instant) -> Result<(), Broken> {
        let mut fds = [PollFd::new(&self.socket, flags)];
        let left = || {
            let left = until.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        };
        match retry_on_intr(|| poll(&mut fds, Some(&left()))) {
            Ok(0) => Err(Broken::Late),
            Ok(_) => Ok(()),
            Err(errno) => Err(Broken::Socket(errno)),
        }
    }

    /// Sends `bytes`, which end a line.
    pub(super) fn send(&mut self, mut bytes: &[u8], patience: Duration) -> Result<(), Broken> {
        let until = Instant::now() + patience;
        while !bytes.is_empty() {
            match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, until)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(Broken::Closed),
                Err(errno) => return Err(Broken::Socket(errno)),
            }
        }
        Ok(())
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self, patience: Duration) -> Result<String, Broken> {
        let until = Instant::now() + patience;
        let mut looked = 0;
        loop {
            if let Some(end) = self.inbox.iter().skip(looked).position(|&byte| byte == b'\n').map(|at| at + looked) {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            looked = self.inbox.len();
            if looked > self.most {
                let start: Vec<u8> = self.inbox.iter().take(80).copied().collect();
                return Err(Broken::Endless(String::from_utf8_lossy(&start).into_owned()));
            }
            let mut bytes = [0; 1 << 14];
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Err(Broken::Closed),
                Ok((came, _)) => self.inbox.extend(bytes.get(..came).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, until)?,
                Err(errno) => return Err(Broken::Socket(errno)),
            }
        }
    }
}
