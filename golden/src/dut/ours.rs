//! One of our own models behind the same face as everybody else's: what the suite says of it through the face must be what it says
//! when it looks inside.

use super::{About, Dut, Seen, Trouble};
use model::host::DmaFault;
use model::machine::{BASE, System};
use model::memory::Memory;
use model::pci::Pci;
use spec::event::{Bar, Effect, GuestView, Stimulus, Tap};
use spec::profile::Profile;
use spec::vmxnet3::Interrupts;

/// Bytes of its guest memory.
const BYTES: usize = 2 << 20;
/// Steps that it may take until it is taken to hang.
const STEPS: u32 = 10_000_000;

/// What it did since it was last asked.
#[derive(Debug, Default)]
struct Record(Vec<Seen>);

impl Tap for Record {
    fn stimulus(&mut self, _: Stimulus<'_>, _: &dyn GuestView) {}
    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        match effect {
            Effect::Transmit { frame, .. } => self.0.push(Seen::Sent(frame.to_vec())),
            Effect::Vector { index } => self.0.push(Seen::Vector(index)),
            Effect::Intx { asserted } => self.0.push(Seen::Line(asserted)),
            _ => {}
        }
    }
}

/// A model in software.
#[derive(Debug)]
pub struct Ours {
    about: About,
    system: System,
    record: Record,
}

impl Ours {
    /// A device of `profile` at power-on, built with address `mac`.
    pub fn new(profile: &'static Profile, mac: [u8; 6]) -> Self {
        Self::over(profile, mac, BASE, BYTES)
    }

    /// As [`Ours::new`], with `bytes` of guest memory from `base` on.
    pub fn over(profile: &'static Profile, mac: [u8; 6], base: u64, bytes: usize) -> Self {
        let system = System::new(profile, Memory::new(&[(base, bytes)]), mac);
        let about = About {
            name: format!("model {}", profile.name),
            identity: format!("vnic {}", env!("CARGO_PKG_VERSION")),
            version: "0.0".into(),
            base,
            bytes,
            mac,
            vectors: match profile.interrupts {
                Interrupts::MsiX => profile.widest().vectors.into(),
                Interrupts::Msi => 1,
                Interrupts::Line => 0,
            },
        };
        Self { about, system, record: Record::default() }
    }
}

impl Ours {
    /// Does everything that waits for no time.
    fn run(&mut self) -> Result<(), Trouble> {
        match self.system.run_devices(STEPS, &mut self.record) {
            true => Err(Trouble::Hangs("it never comes to rest".into())),
            false => Ok(()),
        }
    }
}

/// The suite keeps to its region, so an access outside is its own fault.
fn outside(fault: &DmaFault) -> Trouble {
    Trouble::Odd(format!("{fault:?} is no memory of the guest's"))
}

impl Dut for Ours {
    fn about(&self) -> &About {
        &self.about
    }

    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble> {
        let mut value = 0;
        for at in (0..u32::from(width.max(4))).step_by(4) {
            let word = self.system.guest_read(bar, (offset & !3) + at, &mut self.record);
            let word = word.ok_or_else(|| Trouble::Hangs(format!("read of {bar:?} {offset:#x}")))?;
            value |= u64::from(word) << (8 * at);
        }
        Ok(if width < 4 { value >> (8 * (offset & 3)) & ((1 << (8 * u32::from(width))) - 1) } else { value })
    }

    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble> {
        // A write of less than a register is not one: nothing is done.
        for at in (0..u32::from(width) & !3).step_by(4) {
            let word = (value >> (8 * at)) as u32;
            if !self.system.guest_write(bar, offset + at, word, &mut self.record) {
                return Err(Trouble::Hangs(format!("write of {bar:?} {offset:#x}")));
            }
        }
        Ok(())
    }

    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        self.system.memory().read(pa, into).map_err(|fault| outside(&fault))
    }

    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        self.system.guest_store(pa, bytes, &mut self.record).map_err(|fault| outside(&fault))
    }

    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        self.system.offer(frame, &mut self.record);
        Ok(())
    }

    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        self.run()?;
        // Without a guest that runs, each vector has a cause to tell once at most.
        for _ in 0..=self.system.vectors() {
            let Some(ns) = self.system.wait_ns() else { break };
            self.system.advance(ns, &mut self.record);
            self.run()?;
        }
        seen.append(&mut self.record.0);
        Ok(())
    }

    fn advance(&mut self, ns: u64, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        self.run()?;
        let mut left = ns;
        while left > 0 {
            let step = self.system.wait_ns().map_or(left, |wait| wait.clamp(1, left));
            self.system.advance(step, &mut self.record);
            self.run()?;
            left -= step;
        }
        seen.append(&mut self.record.0);
        Ok(())
    }

    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        self.system.set_link(up, &mut self.record);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Trouble> {
        self.system.function_reset(&mut self.record);
        self.system.enable_msix();
        Ok(())
    }

    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        const COMMAND: usize = 4;
        const BUS_MASTER: u8 = 4;
        let mut command = [0; 2];
        self.system.config_read(COMMAND, &mut command);
        command[0] = if on { command[0] | BUS_MASTER } else { command[0] & !BUS_MASTER };
        self.system.config_write(COMMAND, &command);
        Ok(())
    }

    fn interrupts(&mut self, kind: Interrupts) -> Result<(), Trouble> {
        for (offset, word) in Pci::choice(kind) {
            self.system.config_write(usize::from(offset), &word.to_le_bytes());
        }
        Ok(())
    }

    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        let mut word = [0; 4];
        self.system.config_read(usize::from(offset), &mut word);
        Ok(u32::from_le_bytes(word))
    }

    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        self.system.config_write(usize::from(offset), &value.to_le_bytes());
        Ok(())
    }

    fn script(&self) -> String {
        String::new()
    }
}
