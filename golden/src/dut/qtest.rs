//! QEMU's line protocol for tests: one line asks, one line answers, in order; interrupt lines come in between at any time.
//!
//! Only what touches registers and ports is spoken here: guest memory is shared with the process. Answers that fit no question
//! end the conversation.
//!
//! Source: QEMU, softmmu/qtest.c (system/qtest.c since 9.0), qtest_process_command.

use super::Trouble;
use super::lines::{Broken, Lines};
use rustix::fd::OwnedFd;
use std::fmt;
use std::time::Duration;

/// Requests that are sent ahead of their answers at most; their text fits any socket's buffer.
const AHEAD: usize = 128;

/// A request. Widths are 1, 2, 4 or 8 bytes, in ports at most 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Reads that many bytes at a guest-physical address.
    Read(u8, u64),
    /// Writes that many bytes at a guest-physical address.
    Write(u8, u64, u64),
    /// Reads that many bytes of a port.
    In(u8, u16),
    /// Writes that many bytes to a port.
    Out(u8, u16, u32),
}

/// The letter at the end of a request's name.
///
/// # Panics
/// With a width that no bus has: the caller's mistake.
fn letter(width: u8) -> char {
    match width {
        1 => 'b',
        2 => 'w',
        4 => 'l',
        8 => 'q',
        _ => panic!("an access of {width} bytes"),
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read(width, at) => write!(f, "read{} {at:#x}", letter(width)),
            Self::Write(width, at, value) => write!(f, "write{} {at:#x} {value:#x}", letter(width)),
            Self::In(width, port) => write!(f, "in{} {port:#x}", letter(width)),
            Self::Out(width, port, value) => write!(f, "out{} {port:#x} {value:#x}", letter(width)),
        }
    }
}

impl Ask {
    /// The value in an answer, 0 where none is due; `None`: the line is no answer to this.
    fn answer(self, line: &str) -> Option<u64> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("OK") {
            return None;
        }
        let value = match (self, words.next()) {
            (Self::Read(..) | Self::In(..), Some(word)) => u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()?,
            (Self::Write(..) | Self::Out(..), None) => 0,
            _ => return None,
        };
        words.next().is_none().then_some(value)
    }
}

/// The asking side.
#[derive(Debug)]
pub(super) struct Qtest {
    lines: Lines,
    patience: Duration,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The conversation broke off while this was asked.
    Broken(Ask, Broken),
    /// The line is no answer to this: a refusal, or worse.
    Odd(Ask, String),
}

impl From<NoAnswer> for Trouble {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Broken(asked, broken) => broken.trouble(&asked.to_string()),
            NoAnswer::Odd(asked, line) => Self::Odd(format!("to {asked}: {line}")),
        }
    }
}

impl Qtest {
    /// Over a connected stream socket; each answer may take `patience`.
    pub(super) const fn new(socket: OwnedFd, patience: Duration) -> Self {
        Self { lines: Lines::new(socket), patience }
    }

    /// Asks one thing and waits for its answer.
    pub(super) fn ask(&mut self, asked: Ask) -> Result<u64, NoAnswer> {
        self.send(&[asked])?;
        self.answer(asked)
    }

    /// Asks all of it in order, and waits only now and then; the answers in the same order.
    pub(super) fn all(&mut self, asked: &[Ask]) -> Result<Vec<u64>, NoAnswer> {
        let mut values = Vec::with_capacity(asked.len());
        for ahead in asked.chunks(AHEAD) {
            self.send(ahead)?;
            for &one in ahead {
                values.push(self.answer(one)?);
            }
        }
        Ok(values)
    }

    fn send(&mut self, asked: &[Ask]) -> Result<(), NoAnswer> {
        let Some(&first) = asked.first() else { return Ok(()) };
        let text: String = asked.iter().map(|one| format!("{one}\n")).collect();
        self.lines.send(text.as_bytes(), self.patience).map_err(|broken| NoAnswer::Broken(first, broken))
    }

    fn answer(&mut self, asked: Ask) -> Result<u64, NoAnswer> {
        // A machine that says nothing but interrupts answers late in the end, so count them.
        for _ in 0..100_000 {
            let line = self.lines.next(self.patience).map_err(|broken| NoAnswer::Broken(asked, broken))?;
            if !line.starts_with("IRQ ") {
                return asked.answer(&line).ok_or(NoAnswer::Odd(asked, line));
            }
        }
        Err(NoAnswer::Broken(asked, Broken::Late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn pair() -> (Qtest, UnixStream) {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (Qtest::new(ours, Duration::from_millis(200)), UnixStream::from(theirs))
    }

    /// A server that has said `text` before it is asked.
    fn says(text: &[u8]) -> (Qtest, UnixStream) {
        let (qtest, mut server) = pair();
        server.write_all(text).unwrap();
        (qtest, server)
    }

    const READ: Ask = Ask::Read(4, 0xe000_0000);
    const WRITE: Ask = Ask::Write(8, 0xe000_0018, 0x1234_5678_9abc_def0);

    #[test]
    fn requests_read_as_the_protocol_has_them() {
        let text = [READ, WRITE, Ask::In(2, 0xcfc), Ask::Out(1, 0xcf9, 6)].map(|ask| ask.to_string());
        assert_eq!(text, ["readl 0xe0000000", "writeq 0xe0000018 0x123456789abcdef0", "inw 0xcfc", "outb 0xcf9 0x6"]);
    }

    #[test]
    fn interrupt_lines_between_a_request_and_its_answer_are_passed_over() {
        let (mut qtest, _server) = says(b"IRQ raise 21\nOK 0x00000000cafe0000\nIRQ lower 21\nIRQ raise 0\nOK\n");
        assert_eq!(qtest.ask(READ), Ok(0xcafe_0000));
        assert_eq!(qtest.ask(WRITE), Ok(0));
    }

    #[test]
    fn requests_sent_ahead_are_answered_in_order() {
        let (mut qtest, server) = pair();
        let asked: Vec<_> = (0..1000).map(|at| Ask::Write(4, at, at)).collect();
        let told = thread::spawn(move || {
            let mut out = server.try_clone().unwrap();
            let lines: Vec<_> = BufReader::new(server).lines().take(1000).map(Result::unwrap).collect();
            lines.iter().for_each(|_| out.write_all(b"OK\n").unwrap());
            lines
        });
        // The server answers only when it has everything: what is sent ahead in one go has to be bounded by the caller's patience.
        assert!(matches!(qtest.all(&asked), Err(NoAnswer::Broken(_, Broken::Late))));
        drop(qtest);
        let _closed = told.join();

        let (mut qtest, mut server) = pair();
        let told = thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(server.try_clone().unwrap()).lines() {
                lines.push(line.unwrap());
                server.write_all(b"OK\n").unwrap();
            }
            lines
        });
        assert_eq!(qtest.all(&asked), Ok(vec![0; 1000]));
        drop(qtest);
        assert_eq!(told.join().unwrap(), asked.iter().map(Ask::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_answer_is_told_with_its_question() {
        let lines = [
            "FAIL Unknown command 'readl'",
            "OK",
            "OK 12",
            "OK 0x",
            "OK 0x1 0x2",
            "OK 0x10000000000000000",
            "FAIL 0x1",
            "",
            "ok",
        ];
        for line in lines {
            let (mut qtest, _server) = says(format!("{line}\n").as_bytes());
            let trouble = Trouble::from(qtest.ask(READ).unwrap_err());
            assert_eq!(trouble, Trouble::Odd(format!("to readl 0xe0000000: {line}")));
        }
        for line in ["OK 0x1", "FAIL"] {
            let (mut qtest, _server) = says(format!("{line}\n").as_bytes());
            assert_eq!(qtest.ask(WRITE), Err(NoAnswer::Odd(WRITE, line.into())), "a write has no value");
        }
    }

    #[test]
    fn an_end_in_the_middle_of_an_answer_is_an_end() {
        for text in [&b""[..], b"OK 0x12", b"IRQ raise 1\n"] {
            let (mut qtest, server) = says(text);
            server.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(qtest.ask(READ), Err(NoAnswer::Broken(READ, Broken::Closed)));
        }
        let (mut qtest, server) = pair();
        drop(server);
        assert_eq!(qtest.ask(READ), Err(NoAnswer::Broken(READ, Broken::Closed)));
    }

    #[test]
    fn no_answer_in_time_names_the_question() {
        let (mut qtest, _server) = says(b"OK 0x1");
        assert_eq!(Trouble::from(qtest.ask(READ).unwrap_err()), Trouble::Hangs("readl 0xe0000000".into()));
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let (mut qtest, mut server) = pair();
        let told = thread::spawn(move || {
            let mut sent = 0_usize;
            while server.write_all(&[b'x'; 4096]).is_ok() {
                sent += 4096;
            }
            sent
        });
        let Err(NoAnswer::Broken(READ, Broken::Endless(start))) = qtest.ask(READ) else { panic!("bounded") };
        assert_eq!(start, "x".repeat(80));
        drop(qtest);
        assert!(told.join().unwrap() < 1 << 20);
    }

    #[test]
    fn a_server_that_reads_nothing_is_late() {
        let (mut qtest, mut server) = pair();
        let asked = vec![READ; 100_000];
        assert!(matches!(qtest.all(&asked), Err(NoAnswer::Broken(READ, Broken::Late))));
        drop(qtest);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), AHEAD, "no more than that is sent ahead");
    }
}
