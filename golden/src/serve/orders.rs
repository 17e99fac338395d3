//! A socket for orders: one JSON object a line, one answered with one. Whose orders they are is the owner's to know.

use crate::vfio_user::{BindError, Errno, Listener};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use serde_json::{Value, json};
use std::path::Path;

/// Longest line, bytes.
const LINE: usize = 1 << 16;
/// Most givers of orders at a time; more wait.
const GIVERS: usize = 8;

/// An order that was carried out, or not.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The line that came.
    pub request: &'a str,
    /// The line that was answered.
    pub answer: &'a str,
}

/// Somebody who gives orders.
#[derive(Debug)]
struct Giver {
    socket: OwnedFd,
    /// What came of a line, and of the lines after it.
    line: Vec<u8>,
    /// What of the answer has not left.
    answer: Vec<u8>,
}

/// The socket for orders.
#[derive(Debug)]
pub struct Control {
    listener: Listener,
    givers: Vec<Giver>,
}

impl Control {
    /// Takes orders at `path`, from its owner only.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self { listener: Listener::bind(path)?, givers: Vec::new() })
    }

    /// Appends what to wait for.
    pub fn waits<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if self.givers.len() < GIVERS {
            fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN));
        }
        for giver in &self.givers {
            let flags = if giver.answer.is_empty() { PollFlags::IN } else { PollFlags::OUT };
            fds.push(PollFd::from_borrowed_fd(giver.socket.as_fd(), flags));
        }
    }

    /// Has `obey` carry out what has come: its argument is a line, and what it gives back is the answer, without its `"ok"`.
    pub fn serve(&mut self, obey: &mut dyn FnMut(&str) -> Result<Value, String>, tell: &mut dyn FnMut(Told<'_>)) {
        if self.givers.len() < GIVERS
            && let Ok(Some(socket)) = self.listener.accept()
        {
            self.givers.push(Giver { socket, line: Vec::new(), answer: Vec::new() });
        }
        self.givers.retain_mut(|giver| giver.serve(obey, tell));
    }
}

impl Giver {
    /// False when the giver is gone.
    fn serve(&mut self, obey: &mut dyn FnMut(&str) -> Result<Value, String>, tell: &mut dyn FnMut(Told<'_>)) -> bool {
        if !self.flush() {
            return false;
        }
        let mut here = true;
        let mut bytes = [0; 4096];
        while self.answer.is_empty() && self.line.len() <= LINE {
            match rustix::io::read(&self.socket, &mut bytes) {
                Ok(0) => {
                    here = false;
                    break;
                }
                Ok(count) => self.line.extend_from_slice(&bytes[..count]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        while self.answer.is_empty() {
            let Some(end) = self.line.iter().position(|&byte| byte == b'\n') else {
                // A line without end is no order.
                return here && self.line.len() <= LINE;
            };
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            let answer = match obey(&line) {
                Ok(mut answer) => {
                    answer["ok"] = true.into();
                    answer
                }
                Err(error) => json!({ "ok": false, "error": error }),
            };
            let answer = answer.to_string();
            tell(Told { request: &line, answer: &answer });
            self.answer.extend_from_slice(answer.as_bytes());
            self.answer.push(b'\n');
            if !self.flush() {
                return false;
            }
        }
        here
    }

    fn flush(&mut self) -> bool {
        while !self.answer.is_empty() {
            match rustix::io::write(&self.socket, &self.answer) {
                Ok(count) => {
                    self.answer.drain(..count);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
