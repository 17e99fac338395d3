//! Processes started ahead: while one machine is judged the next one comes up beside it.

use super::super::process::{Folder, Process, numbered};
use super::super::qmp::Qmp;
use super::super::qtest::Qtest;
use super::super::script::Script;
use super::super::{About, Trouble};
use super::{FRAME_ROOM, MEMORY, Options, Qemu, REGION, bios, head, machine, pair, start};
use rustix::fd::OwnedFd;
use rustix::net::SocketType;
use spec::vmxnet3::Interrupts;
use std::fs::{File, write};
use vm_memory::{FileOffset, MmapRegion};

/// A process that was started and that nobody has heard yet.
#[derive(Debug)]
pub(super) struct Started {
    process: Process,
    qtest: OwnedFd,
    qmp: OwnedFd,
    /// Our half of the wire, and a second descriptor of the other.
    wire: [OwnedFd; 2],
    memory: MmapRegion,
    /// The process reads it until its greeting.
    _folder: Folder,
}

impl Started {
    /// A process of `command`; `more` words go behind those that make the machine.
    pub(super) fn new(command: &[String], options: Options, more: &[&str]) -> Result<Self, Trouble> {
        let folder = Folder::new(command).map_err(start)?;
        write(folder.outer("bios"), bios()).map_err(start)?;
        let file =
            File::options().read(true).write(true).create_new(true).open(folder.outer("memory")).map_err(start)?;
        file.set_len(MEMORY as u64).map_err(start)?;
        let memory = MmapRegion::from_file(FileOffset::new(file, 0), MEMORY).map_err(start)?;

        let (qtest, its_qtest) = pair(SocketType::STREAM)?;
        let (qmp, its_qmp) = pair(SocketType::STREAM)?;
        let (wire, other) = pair(SocketType::SEQPACKET)?;
        let (its_qmp, qmp_number) = numbered(its_qmp).map_err(start)?;
        let (other, wire_number) = numbered(other).map_err(start)?;
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let words = [command, &machine(options.mac, &folder, qmp_number, wire_number), &more].concat();
        let process = Process::start(&words, its_qtest, &[&its_qmp, &other])
            .map_err(|error| Trouble::Start(format!("{}: {error}", command.join(" "))))?;
        Ok(Self { process, qtest, qmp, wire: [wire, other], memory, _folder: folder })
    }

    /// The machine, once its process greets; nobody has set it up.
    pub(super) fn greeted(self, command: &[String], options: Options) -> Result<Qemu, Trouble> {
        let Self { mut process, qtest, qmp, wire: [wire, other], memory, _folder } = self;
        let (qmp, greeting) = match Qmp::open(qmp, options.patience) {
            Err(Trouble::Gone(_)) => return Err(Trouble::Start(process.end(options.patience))),
            opened => opened?,
        };
        let about = About {
            name: "qemu".into(),
            identity: greeting.identity,
            version: greeting.version,
            base: REGION.0,
            bytes: REGION.1,
            mac: options.mac,
            vectors: 0,
        };
        Ok(Qemu {
            command: command.to_vec(),
            script: Script::new(&head(&about.identity, options.mac), REGION.0, REGION.1),
            about,
            options,
            process,
            qtest: Qtest::new(qtest, options.patience),
            qmp,
            wire,
            other,
            memory,
            kind: Interrupts::MsiX,
            line: false,
            offered: false,
            room: vec![0; FRAME_ROOM],
        })
    }
}

/// Fresh machines of one command, one after the other. The process of the next one is started when one is handed out: most of the time
/// that a QEMU needs until it answers goes by while somebody works with the one before. All belong to the thread that asks for them.
#[derive(Debug)]
pub struct Starts {
    command: Vec<String>,
    options: Options,
    next: Option<Started>,
}

impl Starts {
    /// Machines as [`Qemu::with`] makes them; no process is started yet.
    pub const fn new(command: Vec<String>, options: Options) -> Self {
        Self { command, options, next: None }
    }

    /// A fresh machine.
    ///
    /// # Errors
    /// As [`Qemu::start`].
    pub fn machine(&mut self) -> Result<Qemu, Trouble> {
        let Self { command, options, next } = self;
        let started = match next.take() {
            Some(started) => started,
            None => Started::new(command, *options, &[])?,
        };
        // Why the next one does not start is told when it is asked for.
        *next = Started::new(command, *options, &[]).ok();
        let mut qemu = started.greeted(command, *options)?;
        qemu.set_up()?;
        Ok(qemu)
    }
}
