//! QEMU's own VMXNET3 as a device under test: a process without a guest, told what to do over its protocol for tests.
//!
//! The processor is halted by an image of three instructions, so that we are the only driver. Guest memory is a file that both
//! processes map. The wire is a pair of sockets that keep the bounds of messages; the half that the process reads from is open
//! here too, so that what it has not read yet is known without asking it.
//!
//! Not seen: anything between two calls of [`Dut::settle`], the order of frames and vectors within one, a vector that fired twice
//! within one (it counts once), frames without a byte.
//!
//! The machine can be saved ([`Qemu::save`]) and a fresh process goes on from what was saved ([`Qemu::load`], [`Qemu::go_on`]).
//!
//! Source: what QEMU 7.2 and 11.1 were seen to do; QEMU, hw/net/vmxnet3.c, net/dgram.c, hw/i386/pc_q35.c.

mod saved;
mod started;

pub use saved::Saved;
use started::Started;
pub use started::Starts;

use super::process::{Folder, Process};
use super::qmp::Qmp;
use super::qtest::{Ask, Qtest};
use super::script::Script;
use super::{About, Dut, Lack, Seen, Trouble};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde_json::json;
use spec::event::Bar;
use spec::layout::Bytes as _;
use spec::vmxnet3::{DEVICE, Interrupts, MsixEntry, VENDOR};
use std::time::{Duration, Instant};
use vm_memory::{MmapRegion, VolatileMemory as _, VolatileSlice};

/// Bytes of guest memory, from address 0.
const MEMORY: usize = 16 << 20;

/// Where the suite's region begins and how long it is: above what a PC keeps for itself.
const REGION: (u64, usize) = (0x10_0000, 4 << 20);

/// Where the messages of the vectors go, a word each; outside the suite's region.
const MESSAGES: u64 = 0x80_0000;

/// Where the pages are placed: far enough apart that an offset just past one meets nothing.
const PAGES: [u64; 3] = [0xe000_0000, 0xe100_0000, 0xe200_0000];

/// The device's slot on bus 0.
const SLOT: u32 = 5;

/// Ports of the configuration mechanism. Source: PCI Local Bus Specification 3.0, section 3.2.2.3.2.
const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;

/// Bits of the command register: memory decode, bus master. Source: PCI Local Bus Specification 3.0, section 6.2.2.
const MEMORY_DECODE: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;

/// Bit of the status register: the level that the function drives its INTx line to. Source: the same, section 6.2.3.
const INTERRUPT_STATUS: u32 = 1 << 3;

/// Capability of MSI-X, and the bit that switches it on. Source: the same, section 6.8.2.
const MSIX: u32 = 0x11;
const MSIX_ENABLE: u32 = 1 << 15;

/// Capability of MSI, the bit that switches it on, and the one of a 64-bit address. Source: the same, section 6.8.1.
const MSI: u32 = 0x05;
const MSI_ENABLE: u32 = 1 << 0;
const MSI_WIDE: u32 = 1 << 7;

/// More bytes than any frame has; QEMU's own buffer for one is 69,632. Source: QEMU, include/net/net.h, NET_BUFSIZE.
const FRAME_ROOM: usize = 1 << 17;

/// Turns in which it reads nothing of what waits on its wire, after which it is taken not to want it.
const IDLE_TURNS: u32 = 8;

/// How to build one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The device's permanent address.
    pub mac: [u8; 6],
    /// MSI-X stays off: the device raises its INTx line, [`About::vectors`] is 0.
    pub intx: bool,
    /// How long an answer may take before it is [`Trouble::Hangs`].
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], intx: false, patience: Duration::from_secs(10) }
    }
}

/// QEMU's VMXNET3. The process ends with this value.
#[derive(Debug)]
pub struct Qemu {
    about: About,
    command: Vec<String>,
    options: Options,
    process: Process,
    qtest: Qtest,
    qmp: Qmp,
    /// Our half of the wire.
    wire: OwnedFd,
    /// A second descriptor of the other half: what can be read here waits to be read there.
    other: OwnedFd,
    memory: MmapRegion,
    script: Script,
    /// The kind of interrupts that it was given.
    kind: Interrupts,
    /// The INTx line as last told.
    line: bool,
    /// A frame was offered since the device settled.
    offered: bool,
    room: Vec<u8>,
}

fn start(error: impl std::fmt::Display) -> Trouble {
    Trouble::Start(error.to_string())
}

/// The words that make the machine: `folder` holds its BIOS image and its memory, the numbers are inherited descriptors.
fn machine(mac: [u8; 6], folder: &Folder, qmp: i32, wire: i32) -> Vec<String> {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    let memory = format!("memory-backend-file,id=memory,size={MEMORY},share=on,mem-path={}", folder.inner("memory"));
    let bios = folder.inner("bios");
    let (qmp, wire) = (format!("socket,id=qmp,fd={qmp}"), format!("dgram,id=wire,local.type=fd,local.str={wire}"));
    let device = format!("vmxnet3,netdev=wire,mac={mac},addr={SLOT},romfile=");
    #[rustfmt::skip]
    let words = [
        "-nodefaults", "-no-user-config", "-display", "none",
        "-accel", "tcg", "-machine", "q35,memory-backend=memory", "-m", "16", "-object", &memory, "-bios", &bios,
        // In 7.2 the chardev of the test protocol has to have this id. Its log would be every exchange on standard error.
        "-chardev", "socket,id=qtest,fd=0", "-qtest", "chardev:qtest", "-qtest-log", "none",
        "-chardev", &qmp, "-qmp", "chardev:qmp", "-netdev", &wire, "-device", &device,
    ];
    words.map(str::to_owned).to_vec()
}

/// A BIOS image that keeps the processor quiet: its reset vector is cli, hlt, and a jump back to the hlt.
fn bios() -> Vec<u8> {
    let mut image = vec![0; 1 << 16];
    let vector = image.len() - 16;
    image[vector..vector + 4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    image
}

/// How a script is repeated.
fn head(identity: &str, mac: [u8; 6]) -> String {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    format!(
        "{identity}; the qtest lines of one conversation since power-on. To repeat it, with this file as SCRIPT:\n\
         (head -c 65520 /dev/zero; printf '\\372\\364\\353\\375'; head -c 12 /dev/zero) >halt.bin\n\
         grep -v '^#' SCRIPT | timeout 10 qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg -machine q35 \
         -m 16 -bios halt.bin -qtest stdio -qtest-log none -netdev hubport,id=wire,hubid=0 \
         -device vmxnet3,netdev=wire,mac={mac},addr={SLOT},romfile=\n\
         Each line is answered by one; status 124 says that it lived to the end.\n\
         Frames that were offered to the device are comments: they need a netdev that delivers them."
    )
}

/// An empty pair of connected sockets that no child inherits.
fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd), Trouble> {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(start)
}

impl Qemu {
    /// Starts the program that `command` names: a path, or several words such as `chroot FOLDER qemu-system-x86_64`, which must
    /// replace themselves by the program. A `chroot` is understood: its folder needs a `tmp`.
    ///
    /// # Errors
    /// [`Trouble::Start`] with its last words when it does not start or has no VMXNET3, or what [`Dut`] says.
    pub fn start(command: &[String]) -> Result<Self, Trouble> {
        Self::with(command, Options::default())
    }

    /// As [`Qemu::start`], built otherwise.
    ///
    /// # Errors
    /// As [`Qemu::start`].
    pub fn with(command: &[String], options: Options) -> Result<Self, Trouble> {
        let mut qemu = Self::launch(command, options, &[])?;
        qemu.set_up()?;
        Ok(qemu)
    }

    /// A process with a machine that nobody has set up; `more` words go behind those that make it.
    fn launch(command: &[String], options: Options, more: &[&str]) -> Result<Self, Trouble> {
        Started::new(command, options, more)?.greeted(command, options)
    }

    fn run(&mut self, command: &str, arguments: &serde_json::Value, event: Option<&str>) -> Result<(), Trouble> {
        let done = self.qmp.run(command, arguments, event);
        done.map_err(|trouble| self.told(trouble))
    }

    /// The process's id, to look at it or to pause it.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// The same trouble, with the process's end where that is the cause.
    fn told(&mut self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Gone(_) => Trouble::Gone(self.process.end(self.options.patience)),
            other => other,
        }
    }

    /// Asks without keeping it in the script: what has no effect on the device.
    fn look(&mut self, asked: Ask) -> Result<u64, Trouble> {
        match self.qtest.ask(asked) {
            Ok(value) => Ok(value),
            Err(why) => Err(self.told(why.into())),
        }
    }

    fn ask(&mut self, asked: Ask) -> Result<u64, Trouble> {
        self.script.ask(asked);
        self.look(asked)
    }

    /// Lets the process's main loop turn once.
    fn turn(&mut self) -> Result<(), Trouble> {
        self.look(Ask::Read(1, 0)).map(drop)
    }

    /// The dword of configuration space that holds `offset`, selected for the data port.
    fn select(offset: u8) -> Ask {
        Ask::Out(4, CONFIG_ADDRESS, 1 << 31 | SLOT << 11 | u32::from(offset & !3))
    }

    /// Asks all of it before the first answer; that of the last.
    fn ask_all(&mut self, asked: &[Ask]) -> Result<u64, Trouble> {
        asked.iter().for_each(|&one| self.script.ask(one));
        self.look_all(asked)
    }

    /// As [`Qemu::ask_all`], and not kept in the script.
    fn look_all(&mut self, asked: &[Ask]) -> Result<u64, Trouble> {
        match self.qtest.all(asked) {
            Ok(values) => Ok(values.last().copied().unwrap_or(0)),
            Err(why) => Err(self.told(why.into())),
        }
    }

    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        self.ask_all(&[Self::select(offset), Ask::In(4, CONFIG_DATA)]).map(|value| value as u32)
    }

    /// A write of configuration space.
    fn setting(offset: u8, value: u32) -> [Ask; 2] {
        [Self::select(offset), Ask::Out(4, CONFIG_DATA, value)]
    }

    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        self.ask_all(&Self::setting(offset, value)).map(drop)
    }

    /// The status register above the command register.
    fn status(&mut self) -> Result<u32, Trouble> {
        self.look_all(&[Self::select(4), Ask::In(4, CONFIG_DATA)]).map(|value| value as u32 >> 16)
    }

    /// What firmware and a kernel do before a driver comes.
    fn set_up(&mut self) -> Result<(), Trouble> {
        let id = self.config(0)?;
        if id != u32::from(DEVICE) << 16 | u32::from(VENDOR) {
            return Err(Trouble::Start(format!("slot {SLOT} holds {id:#010x}")));
        }
        let pages = (0x10..).step_by(4).zip(PAGES).map(|(at, page)| Self::setting(at, page as u32));
        let all: Vec<_> = pages.chain([Self::setting(4, MEMORY_DECODE | BUS_MASTER)]).flatten().collect();
        self.ask_all(&all)?;
        self.kind = if self.options.intx { Interrupts::Line } else { Interrupts::MsiX };
        if !self.options.intx {
            self.set_up_vectors()?;
        }
        self.script.ready();
        Ok(())
    }

    /// Where capability `id` lies, and its first dword.
    fn capability(&mut self, id: u32) -> Result<Option<(u8, u32)>, Trouble> {
        let mut at = self.config(0x34)? as u8;
        // Each capability takes 4 bytes at least, so there are no more.
        for _ in 0..48 {
            if at < 0x40 {
                break;
            }
            let head = self.config(at)?;
            if head & 0xff == id {
                return Ok(Some((at, head)));
            }
            at = (head >> 8) as u8 & !3;
        }
        Ok(None)
    }

    fn set_up_vectors(&mut self) -> Result<(), Trouble> {
        let found = self.capability(MSIX)?;
        let Some((at, head)) = found else { return Err(Trouble::Start("it has no MSI-X".into())) };
        let table = self.config(at.wrapping_add(4))?;
        let page = PAGES.get(table as usize & 7).ok_or_else(|| start("its MSI-X table is in none of its pages"))?;
        let table = page + u64::from(table & !7);
        self.about.vectors = (head >> 16 & 0x7ff) as u16 + 1;
        let mut asked = Vec::new();
        for vector in 0..self.about.vectors {
            let mut entry = MsixEntry::default();
            entry.set_address(MESSAGES + u64::from(vector) * 4);
            entry.set_data(u32::from(vector) + 1);
            let mut bytes = [0; 16];
            entry.put(&mut bytes);
            let at = table + u64::from(vector) * 16;
            for (at, word) in (at..).step_by(4).zip(bytes.as_chunks().0) {
                asked.push(Ask::Write(4, at, u32::from_le_bytes(*word).into()));
            }
        }
        asked.extend(Self::setting(at, head | MSIX_ENABLE << 16));
        self.ask_all(&asked).map(drop)
    }

    /// Waits until the process has read what was offered, or does not want it.
    fn arrive(&mut self) -> Result<(), Trouble> {
        let (mut least, mut idle) = (u64::MAX, 0);
        while idle < IDLE_TURNS {
            match ioctl_fionread(&self.other).map_err(|errno| Trouble::Odd(errno.to_string()))? {
                0 => break,
                left if left < least => (least, idle) = (left, 0),
                _ => idle += 1,
            }
            self.turn()?;
        }
        // What was read in one turn is delivered in it.
        self.turn()?;
        self.turn()
    }

    /// Adds the frames that wait on our half of the wire; true: there was one.
    fn drain(&mut self, seen: &mut Vec<Seen>) -> bool {
        let before = seen.len();
        loop {
            match recv(&self.wire, &mut self.room[..], RecvFlags::DONTWAIT) {
                Ok((bytes, _)) if bytes > 0 => seen.push(Seen::Sent(self.room[..bytes].to_vec())),
                Err(Errno::INTR) => {}
                _ => return seen.len() > before,
            }
        }
    }

    /// Adds the vectors whose messages have come, and forgets them.
    fn vectors(&self, seen: &mut Vec<Seen>) {
        // The message of MSI goes where that of vector 0 does.
        for vector in 0..self.about.vectors.max(1) {
            let message = self.memory(MESSAGES as usize + usize::from(vector) * 4, 4);
            let mut word = [0; 4];
            message.copy_to(&mut word[..]);
            if word != [0; 4] {
                seen.push(Seen::Vector(vector));
                message.copy_from(&[0_u8; 4]);
            }
        }
    }

    fn memory(&self, at: usize, bytes: usize) -> VolatileSlice<'_> {
        self.memory.as_volatile_slice().subslice(at, bytes).expect("a part of the machine's memory")
    }

    /// Where in guest memory `bytes` of the suite's region at `pa` are.
    ///
    /// # Panics
    /// Outside the region: the suite's mistake.
    fn inside(pa: u64, bytes: usize) -> usize {
        let end = pa.checked_add(bytes as u64).expect("an end");
        assert!(pa >= REGION.0 && end <= REGION.0 + REGION.1 as u64, "{pa:#x} +{bytes} is outside the suite's region");
        pa as usize
    }
}

impl Dut for Qemu {
    fn about(&self) -> &About {
        &self.about
    }

    /// # Panics
    /// With a width that no bus has.
    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble> {
        self.ask(Ask::Read(width, PAGES[bar as usize] + u64::from(offset)))
    }

    /// # Panics
    /// With a width that no bus has.
    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble> {
        let value = if width < 8 { value & ((1 << (8 * width)) - 1) } else { value };
        self.ask(Ask::Write(width, PAGES[bar as usize] + u64::from(offset), value)).map(drop)
    }

    /// # Panics
    /// Outside the suite's region.
    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        let at = Self::inside(pa, into.len());
        self.memory(at, into.len()).copy_to(into);
        Ok(())
    }

    /// # Panics
    /// Outside the suite's region.
    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let at = Self::inside(pa, bytes.len());
        self.memory(at, bytes.len()).copy_from(bytes);
        self.script.store(pa, bytes);
        Ok(())
    }

    /// A frame without a byte is none: on this wire it would be an end.
    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        if frame.is_empty() {
            return Ok(());
        }
        self.script.offer(frame);
        self.offered = true;
        let until = Instant::now() + self.options.patience;
        loop {
            match send(&self.wire, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() < until => self.turn()?,
                Err(Errno::AGAIN) => return Err(Trouble::Hangs("to read a frame off its wire".into())),
                Err(errno) => return Err(Trouble::Odd(format!("a frame of {} bytes: {errno}", frame.len()))),
            }
        }
    }

    /// Frames first, then vectors by number, then the line.
    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        if std::mem::take(&mut self.offered) {
            self.arrive()?;
        }
        // What finds the socket full waits in the process and follows when there is room.
        let until = Instant::now() + self.options.patience;
        while self.drain(seen) {
            if Instant::now() > until {
                return Err(Trouble::Hangs("to stop sending".into()));
            }
            self.turn()?;
        }
        self.vectors(seen);
        if self.kind == Interrupts::Line {
            let line = self.status()? & INTERRUPT_STATUS != 0;
            if line != self.line {
                self.line = line;
                seen.push(Seen::Line(line));
            }
        }
        Ok(())
    }

    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        self.script.aside(if up { "the link goes up" } else { "the link goes down" });
        self.run("set_link", &json!({ "name": "wire", "up": up }), None)
    }

    /// Resets the whole machine, which keeps its memory. What was offered before arrives before; what happened before is still told
    /// by the next [`Dut::settle`]. The script begins anew with the memory as it is.
    fn reset(&mut self) -> Result<(), Trouble> {
        if self.offered {
            self.arrive()?;
        }
        self.run("system_reset", &json!({}), Some("RESET"))?;
        self.turn()?;
        let region = self.memory.as_volatile_slice().subslice(REGION.0 as usize, REGION.1).expect("a part of it");
        self.script.restart(|memory| {
            region.copy_to(memory);
        });
        self.set_up()
    }

    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        self.set_config(4, if on { MEMORY_DECODE | BUS_MASTER } else { MEMORY_DECODE })
    }

    fn interrupts(&mut self, kind: Interrupts) -> Result<(), Trouble> {
        for (id, enable) in [(MSIX, MSIX_ENABLE), (MSI, MSI_ENABLE)] {
            if let Some((at, head)) = self.capability(id)? {
                self.set_config(at, head & !(enable << 16))?;
            }
        }
        match kind {
            Interrupts::MsiX => self.set_up_vectors()?,
            Interrupts::Msi => {
                let (at, head) = self.capability(MSI)?.ok_or(Trouble::Cannot(Lack::InterruptKind))?;
                self.set_config(at.wrapping_add(4), MESSAGES as u32)?;
                let data = if head >> 16 & MSI_WIDE != 0 {
                    self.set_config(at.wrapping_add(8), (MESSAGES >> 32) as u32)?;
                    at.wrapping_add(12)
                } else {
                    at.wrapping_add(8)
                };
                self.set_config(data, 1)?;
                self.set_config(at, head | MSI_ENABLE << 16)?;
            }
            Interrupts::Line => {}
        }
        self.kind = kind;
        Ok(())
    }

    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        Self::config(self, offset)
    }

    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        Self::set_config(self, offset, value)
    }

    fn script(&self) -> String {
        self.script.text()
    }
}
