//! A machine saved and loaded: its migration stream over a UNIX socket that both processes see.
//!
//! Source: QEMU, docs/devel/migration; qapi/migration.json.

use super::{Folder, Options, Qemu, REGION, Script, Trouble, start};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, recv};
use serde_json::json;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

/// Longest migration stream that is taken: more than four times the machine's memory.
const MAX_STREAM: u64 = 64 << 20;

/// A machine that was saved, and what was left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its migration stream.
    pub stream: Vec<u8>,
    /// The suite's region of guest memory.
    pub memory: Vec<u8>,
    /// Where that begins.
    pub base: u64,
    /// Frames that its wire held in the end and nobody had seen.
    pub sent: Vec<Vec<u8>>,
    /// Its vectors.
    vectors: u16,
    /// How it was built.
    options: Options,
}

impl Qemu {
    fn migrated(&mut self) -> Result<(), Trouble> {
        let done = self.qmp.migrated();
        done.map_err(|trouble| self.told(trouble))
    }

    /// What a migration needs on either side: its end is told, and nobody announces himself on the wire behind it.
    fn set_up_migration(&mut self) -> Result<(), Trouble> {
        let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        self.run("migrate-set-capabilities", &events, None)?;
        self.run("migrate-set-parameters", &json!({ "announce-rounds": 0 }), None)
    }

    /// Stops the machine, takes its migration stream, and ends the process. What was offered before has arrived before; what happened
    /// since the last [`Dut::settle`](crate::dut::Dut::settle) is lost but for the frames that the wire holds.
    ///
    /// # Errors
    /// As [`Dut`](crate::dut::Dut); [`Trouble::Odd`] where it cannot be saved.
    pub fn save(mut self) -> Result<Saved, Trouble> {
        if self.offered {
            self.arrive()?;
        }
        self.run("stop", &json!({}), Some("STOP"))?;
        self.set_up_migration()?;
        let folder = Folder::new(&self.command).map_err(start)?;
        let listener = UnixListener::bind(folder.outer("stream")).map_err(start)?;
        listener.set_nonblocking(true).map_err(start)?;
        let to = json!({ "uri": format!("unix:{}", folder.inner("stream")) });
        self.run("migrate", &to, None)?;
        let stream = self.read_stream(&listener)?;
        self.migrated()?;
        let (vectors, options) = (self.about.vectors, self.options);
        let mut memory = vec![0; REGION.1];
        self.memory(REGION.0 as usize, REGION.1).copy_to(&mut memory[..]);
        let Self { process, wire, mut room, .. } = self;
        drop(process);
        let mut sent = Vec::new();
        while let Ok((bytes @ 1.., _)) = recv(&wire, &mut room[..], RecvFlags::DONTWAIT) {
            sent.push(room[..bytes].to_vec());
        }
        Ok(Saved { stream, memory, base: REGION.0, sent, vectors, options })
    }

    /// The stream of the one that connects.
    fn read_stream(&mut self, listener: &UnixListener) -> Result<Vec<u8>, Trouble> {
        let late = || Trouble::Hangs("to send its migration stream".into());
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        let patience = self.options.patience;
        let patient = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        if retry_on_intr(|| poll(&mut fds, Some(&patient))).is_ok_and(|ready| ready == 0) {
            return Err(late());
        }
        let (from, _) = listener.accept().map_err(|error| Trouble::Odd(error.to_string()))?;
        let ready = from.set_nonblocking(false).and_then(|()| from.set_read_timeout(Some(patience)));
        let mut stream = Vec::new();
        let read = ready.and_then(|()| from.take(MAX_STREAM + 1).read_to_end(&mut stream));
        match read {
            Ok(_) if stream.len() as u64 > MAX_STREAM => {
                Err(Trouble::Odd(format!("a migration stream of more than {MAX_STREAM} bytes")))
            }
            Ok(_) => Ok(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(late()),
            Err(error) => Err(Trouble::Odd(error.to_string())),
        }
    }

    /// A fresh process of `command` with the machine that `saved` holds, which stands still until [`Qemu::go_on`]: its memory is the
    /// stream's. Its wire is another.
    ///
    /// # Errors
    /// As [`Qemu::start`]; [`Trouble::Odd`] or [`Trouble::Gone`] where it refuses the stream.
    pub fn load(command: &[String], saved: &Saved) -> Result<Self, Trouble> {
        let mut qemu = Self::launch(command, saved.options, &["-incoming", "defer"])?;
        qemu.about.vectors = saved.vectors;
        let head =
            format!("{}; it goes on from a saved state, without which these lines repeat nothing", qemu.about.identity);
        qemu.script = Script::new(&head, REGION.0, REGION.1);
        qemu.script.ready();
        qemu.set_up_migration()?;
        let folder = Folder::new(command).map_err(start)?;
        let from = json!({ "uri": format!("unix:{}", folder.inner("stream")) });
        qemu.run("migrate-incoming", &from, None)?;
        let mut to = UnixStream::connect(folder.outer("stream")).map_err(start)?;
        let written = to.set_write_timeout(Some(saved.options.patience)).and_then(|()| to.write_all(&saved.stream));
        match written {
            Ok(()) => drop(to),
            // One that refuses the stream closes it; why is told by its end.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(_) => return Err(Trouble::Hangs("to read its migration stream".into())),
        }
        qemu.migrated()?;
        Ok(qemu)
    }

    /// Lets a machine that was loaded run.
    ///
    /// # Errors
    /// As [`Dut`](crate::dut::Dut).
    pub fn go_on(&mut self) -> Result<(), Trouble> {
        self.run("cont", &json!({}), Some("RESUME"))
    }
}
