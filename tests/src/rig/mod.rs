//! The scripted guest: it writes structures, posts packets and buffers, and reads back what the device did. Nothing here happens
//! unless a case says so.

mod device;
mod lent;
mod registers;
mod rings;
mod setup;
mod start;
mod structures;
mod tape;
mod traffic;
mod watch;

use crate::case::Target;
pub use device::{Device, Inside, State};
use golden::dut::{Dut, Lack, Trouble};
use golden::trace;
pub use lent::Lender;
use model::guest::vmxnet3::{Driver, DriverConfig, Layout};
use model::machine::{BASE, Machine, System};
use model::memory::Memory;
use model::mutant::Planted;
use model::plane::Activation;
pub use setup::Setup;
use spec::event::Bar;
use spec::monitor::{Judges, Verdict};
use spec::position::RingIndex;
use spec::profile::{Deviations, Profile};
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{Bar1, Interrupts};
pub use tape::{Conversation, Tape};
pub use watch::{Seen, Watch};

/// The address that the adapter's maker gave the device; the guest's own differs.
pub const PERMANENT: [u8; 6] = [0x00, 0x0c, 0x29, 0x12, 0x34, 0x56];
/// An address that a guest may take for its own.
pub const ANOTHER: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x02];
/// Where frames from outside come from.
pub const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

/// The guest's side of a TX queue.
#[derive(Clone, Copy, Debug, Default)]
struct TxSide {
    next: RingIndex,
    comp: RingIndex,
}

/// The guest's side of an RX queue.
#[derive(Clone, Copy, Debug, Default)]
struct RxSide {
    fill: [RingIndex; 2],
    comp: RingIndex,
}

/// A device and the guest that talks to it.
#[derive(Debug)]
pub struct Bench<'d> {
    /// The device.
    pub device: Device<'d>,
    /// Where the guest's structures lie.
    pub layout: Layout,
    /// What it is told to be.
    pub config: DriverConfig,
    /// Which body [`Bench::start`] leads to.
    pub target: Target,
    /// Bytes of an entry of the TX data rings that structures name; 0 leaves them out.
    pub tx_data_bytes: u16,
    /// Doorbells are rung on the second page of BAR0.
    pub second_page: bool,
    version: u8,
    profile: &'static Profile,
    permanent: [u8; 6],
    tx: Vec<TxSide>,
    rx: Vec<RxSide>,
    next_id: u64,
    seed: u64,
    stuck: Option<&'static str>,
}

/// Bits that stand for "accept everything addressed to us".
pub const ADDRESSED: u32 = rx_mode::UCAST | rx_mode::MCAST | rx_mode::BCAST;

/// Registers that may be read without a consequence, for the state of a device that cannot be looked into.
const VISIBLE: [(Bar, u32); 4] = [
    (Bar::Bar1, Bar1::Vrrs.offset()),
    (Bar::Bar1, Bar1::Uvrs.offset()),
    (Bar::Bar1, Bar1::Macl.offset()),
    (Bar::Bar1, Bar1::Mach.offset()),
];

impl<'d> Bench<'d> {
    /// One of our devices built as `device`, at power-on; the guest expects `profile`.
    pub fn ours(
        profile: &'static Profile,
        device: &'static Profile,
        planted: Planted,
        target: Target,
        setup: &Setup,
    ) -> Self {
        let layout = plan(setup, BASE);
        let mut memory = Memory::new(&[(BASE, setup.bytes)]);
        if let Ok(all) = memory.bytes_mut(BASE, setup.bytes) {
            all.fill(setup.poison);
        }
        let mut system = System::new(device, memory, PERMANENT);
        system.plant(planted);
        let plain = profile.deviations == Deviations::NONE;
        let driver = Driver::new(setup.config.clone(), layout.clone());
        let judges = (setup.judged && plain).then(Judges::snoop);
        let watch = Watch { judges, ..Watch::default() };
        let inside = Inside::new(Machine::new(system, driver), watch);
        Self::with(Device::Ours(Box::new(inside)), profile, PERMANENT, target, setup, layout)
    }

    /// Somebody else's device at power-on; the guest expects `profile`, and keeps the address that the device was built with, as
    /// guests do: what a device does with another one is a case of its own.
    pub fn theirs(profile: &'static Profile, dut: Box<dyn Dut + 'd>, setup: &Setup) -> Self {
        let (base, permanent) = (dut.about().base, dut.about().mac);
        let layout = plan(setup, base);
        let foreign = device::Foreign::new(dut, setup.bytes, setup.poison);
        let mut setup = setup.clone();
        setup.config.mac = permanent;
        Self::with(Device::Theirs(Box::new(foreign)), profile, permanent, Target::Software, &setup, layout)
    }

    fn with(
        device: Device<'d>,
        profile: &'static Profile,
        permanent: [u8; 6],
        target: Target,
        setup: &Setup,
        layout: Layout,
    ) -> Self {
        Self {
            device,
            tx: vec![TxSide::default(); layout.tx.len()],
            rx: vec![RxSide::default(); layout.rx.len()],
            layout,
            config: setup.config.clone(),
            target,
            tx_data_bytes: 0,
            second_page: false,
            version: 1,
            profile,
            permanent,
            next_id: 1,
            seed: setup.seed,
            stuck: None,
        }
    }

    /// The same guest on a copy of the same device; only of a case that looks inside.
    ///
    /// # Panics
    /// When the device is somebody else's.
    #[must_use]
    pub fn branch(&self) -> Self {
        let Device::Ours(inside) = &self.device else { panic!("{:?} cannot be copied", self.device) };
        let mut copy = inside.clone();
        copy.watch.tape = None;
        Self {
            device: Device::Ours(copy),
            layout: self.layout.clone(),
            config: self.config.clone(),
            tx: self.tx.clone(),
            rx: self.rx.clone(),
            ..*self
        }
    }

    /// Keeps on `tape` what is said from here on, for a case that is called `case`.
    pub fn record(&mut self, tape: Tape, case: &str, device: &'static Profile, setup: &Setup) {
        let kind = if self.target == Target::Adapter { trace::Device::Switching } else { trace::Device::Software };
        let header = trace::Header {
            seed: Some(self.seed),
            memory: vec![(self.layout.base, setup.bytes as u64)],
            fill: setup.poison,
            case: case.into(),
            ..trace::Header::new(kind, device, self.permanent)
        };
        self.device.record(tape, header);
    }

    /// What the guest expects the device to be.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The address that the device was built with.
    pub fn permanent(&self) -> [u8; 6] {
        self.permanent
    }

    /// One of our models and who watches it; only of a case that looks inside.
    pub fn inside(&mut self) -> &mut Inside {
        self.device.inside()
    }

    /// One of our systems; only of a case that looks inside.
    pub fn system(&self) -> &System {
        self.device.system()
    }

    /// Guest memory.
    pub fn memory(&self) -> &Memory {
        self.device.memory()
    }

    /// What the device holds, as far as one can look.
    pub fn state(&mut self) -> State {
        self.device.state(&VISIBLE)
    }

    /// Whether it is active; `None` when only the device knows.
    pub fn active(&self) -> Option<bool> {
        match &self.device {
            Device::Ours(inside) => Some(inside.machine.system.plane().is_active()),
            Device::Theirs(_) => None,
        }
    }

    /// What the judges found, if any watch.
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.device {
            Device::Ours(inside) => inside.watch.judges.as_ref().map(Judges::verdict),
            Device::Theirs(_) => None,
        }
    }

    /// What the device did not get done.
    pub fn stuck(&self) -> Option<&'static str> {
        self.stuck.or(self.device.stuck())
    }

    /// The interface version in force; `None` when only the device knows.
    pub fn version(&self) -> Option<u32> {
        match &self.device {
            Device::Ours(inside) => Some(inside.machine.system.plane().state().version.into()),
            Device::Theirs(_) => None,
        }
    }

    /// The configuration that ACTIVATE_DEV has taken; `None` when only the device knows.
    pub fn configuration(&self) -> Option<Activation> {
        match &self.device {
            Device::Ours(inside) => inside.machine.system.plane().activation().cloned(),
            Device::Theirs(_) => None,
        }
    }

    /// Whether the device has done everything that it was asked.
    pub fn is_well(&self) -> bool {
        self.stuck().is_none() && self.trouble().is_none()
    }

    /// What ended the conversation with a foreign device, and how to repeat it in its own words.
    pub fn trouble(&self) -> Option<(Trouble, String)> {
        self.device.trouble()
    }

    /// What the device did since the last call.
    pub fn seen(&mut self) -> Vec<Seen> {
        self.device.take_seen()
    }

    /// Vectors raised since the last call of [`Bench::seen`].
    pub fn raised(&self, vector: u16) -> u64 {
        self.device.need(Lack::Interrupts);
        self.device.seen().iter().filter(|seen| **seen == Seen::Vector(vector)).count() as u64
    }

    /// Frames sent since the last call of [`Bench::seen`].
    pub fn sent(&self) -> Vec<&[u8]> {
        self.device.need(Lack::Sent);
        let mut frames = Vec::new();
        for seen in self.device.seen() {
            if let Seen::Sent(_, frame) = seen {
                frames.push(&frame[..]);
            }
        }
        frames
    }

    /// Whether the device wrote guest memory since the last call of [`Bench::seen`].
    pub fn wrote(&self) -> bool {
        self.device.wrote()
    }

    /// Lets everything happen that can, however long it takes.
    pub fn settle(&mut self) {
        self.device.settle();
    }

    /// Lets `ns` nanoseconds go on, in which everything happens that can; with 0 what waits for no time.
    pub fn pass(&mut self, ns: u64) {
        self.device.pass(ns);
    }

    /// The guest's kernel changes over to another kind of interrupts; the driver is to activate the device again behind it.
    pub fn interrupts(&mut self, kind: Interrupts) {
        self.device.interrupts(kind);
    }

    /// The guest's kernel turns the bus master bit on or off; memory decode stays on.
    pub fn bus_master(&mut self, on: bool) {
        self.device.bus_master(on);
    }

    /// Reads the dword of configuration space at `offset`, a multiple of 4.
    pub fn config(&mut self, offset: u8) -> u32 {
        self.device.config(offset)
    }

    /// Writes the dword of configuration space at `offset`, a multiple of 4.
    pub fn set_config(&mut self, offset: u8, value: u32) {
        self.device.set_config(offset, value);
    }

    /// A bus reset, and what the guest's kernel sets up behind it.
    pub fn function_reset(&mut self) {
        self.device.function_reset();
    }

    /// The link goes up or down, and whatever that leads to happens.
    pub fn link(&mut self, up: bool) {
        self.device.link(up);
        self.settle();
    }

    /// The wire becomes ready or busy. A foreign device's is always ready: no claim may rest on its being busy.
    pub fn wire(&mut self, ready: bool) {
        self.device.wire(ready);
    }
}

/// Where the structures of a guest lie.
fn plan(setup: &Setup, base: u64) -> Layout {
    let Ok(layout) = Layout::plan(&setup.config, base, setup.bytes as u64) else {
        unreachable!("the structures of a case fit its memory")
    };
    layout
}
