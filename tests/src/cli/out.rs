//! Standard output as a verb sees it: text or JSON, and a reader that may go away.

use super::trouble::Trouble;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// Where answers go. A reader that went away (`vnic show X | head`) is no trouble: the rest is dropped and the verb's
/// answer stands.
pub struct Out<'w> {
    to: &'w mut dyn Write,
    closed: bool,
}

impl<'w> Out<'w> {
    /// Answers go to `to`.
    pub fn new(to: &'w mut dyn Write) -> Self {
        Self { to, closed: false }
    }

    /// Standard output itself, for a conversation over it.
    pub fn writer(&mut self) -> &mut dyn Write {
        self.to
    }

    /// Writes `text` as it is.
    pub fn text(&mut self, text: &str) -> Result<(), Trouble> {
        self.unless_closed(|to| to.write_all(text.as_bytes()))
    }

    /// Writes `value` as indented JSON and a line end.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Trouble> {
        self.unless_closed(|to| {
            serde_json::to_writer_pretty(&mut *to, value)?;
            to.write_all(b"\n")
        })
    }

    /// Writes out what is buffered; only after this is everything known to have arrived.
    pub fn flush(&mut self) -> Result<(), Trouble> {
        self.unless_closed(|to| to.flush())
    }

    fn unless_closed(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Trouble> {
        if self.closed {
            return Ok(());
        }
        match write(self.to) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written.map_err(|error| Trouble::Output { kind: error.kind() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then fails with `then`.
    struct Pipe {
        room: usize,
        then: ErrorKind,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(self.then.into());
            }
            let taken = self.room.min(bytes.len());
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            if self.room == 0 { Err(self.then.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_trouble() {
        let mut pipe = Pipe { room: 5, then: ErrorKind::BrokenPipe };
        let mut out = Out::new(&mut pipe);
        assert!(out.text("some more than that").is_ok());
        assert!(out.json(&[1, 2, 3]).is_ok());
        assert!(out.flush().is_ok());
        assert!(out.closed);
    }

    #[test]
    fn a_full_disk_is_trouble() {
        type Part = fn(&mut Out<'_>) -> Result<(), Trouble>;
        let parts: [Part; 3] = [|out| out.text("six"), |out| out.json(&[1]), |out| out.flush()];
        for part in parts {
            let mut pipe = Pipe { room: 0, then: ErrorKind::StorageFull };
            let trouble = part(&mut Out::new(&mut pipe)).map_err(|trouble| trouble.sentence());
            assert_eq!(trouble, Err("standard output: cannot be written (no storage space)".into()));
        }
    }
}
