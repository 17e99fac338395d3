//! A scripted run, recorded: a modelled guest with generated traffic, scheduled through [`Writer::call`] alone.

use super::call::{Answer, Call};
use super::header::{Device, Header};
use super::watched::Watched;
use super::write::Writer;
use model::guest::GuestPort;
use model::guest::packet::Packet;
use model::guest::script::{Finish, Ingress, Op, Side};
use model::guest::traffic::Traffic;
use model::guest::vmxnet3::{Driver, DriverConfig, LayoutError};
use model::machine::{BASE, System, plan};
use model::memory::{Memory, Ram};
use spec::event::{Bar, Effect, GuestView, Stimulus, Tap};
use spec::profile::Profile;
use std::io;

/// Most device steps of one `run` or `step` call.
const BUDGET: u32 = 4096;
/// Rounds after which a run is called stuck.
const ROUNDS: u32 = 100_000;
/// Most micro-operations of the guest between two runs of the devices.
const BURST: u32 = 4096;

/// What is run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The device: `adapter` and `switching` enter hardware as soon as the guest is up; `switching` alone does what the script
    /// says of switches.
    pub device: Device,
    /// Its profile.
    pub profile: &'static Profile,
    /// The guest's driver.
    pub config: DriverConfig,
    /// Bytes of guest memory.
    pub bytes: usize,
    /// Seed of the traffic.
    pub seed: u64,
    /// Where the recording comes from, for its header.
    pub origin: String,
    /// When, for its header.
    pub date: String,
}

/// Why a script gave no recording.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The driver's structures do not fit.
    #[error("the guest's driver does not fit its memory: {0}")]
    Layout(LayoutError),
    /// The trace cannot be written.
    #[error("the trace cannot be written ({0})")]
    Write(#[from] io::Error),
    /// Nothing comes to rest.
    #[error("the run does not come to rest")]
    Stuck,
}

/// Counts what the system does and passes it on.
struct Counted<T> {
    effects: u64,
    inner: T,
}

impl<T: Tap> Tap for Counted<T> {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        self.inner.stimulus(stimulus, memory);
    }
    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        self.effects += 1;
        self.inner.effect(effect, memory);
    }
}

struct Run<W: io::Write, T> {
    system: System<Watched<Memory>>,
    writer: Writer<W>,
    tap: Counted<T>,
}

impl<W: io::Write, T: Tap> Run<W, T> {
    fn call(&mut self, call: &Call<'_>) -> Answer {
        self.writer.call(call, &mut self.system, &mut self.tap)
    }
}

impl<W: io::Write, T: Tap> GuestPort for Run<W, T> {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.call(&Call::Store { pa, bytes: bytes.into() });
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        if Ram::read(self.system.memory().inner(), pa, into).is_err() {
            into.fill(0xff);
        }
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        self.call(&Call::Write { bar, offset, value }).is_done()
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        self.call(&Call::Read { bar, offset }).value()
    }
}

/// Runs `ops` and writes the trace to `out`; `tap` watches too. The guest is up before the first operation, and everything has
/// come to rest after the last.
///
/// # Errors
/// When the driver does not fit, nothing comes to rest, or `out` refuses.
pub fn record<W: io::Write, T: Tap>(setup: &Setup, ops: &[Op], out: W, tap: T) -> Result<W, ScriptError> {
    let Setup { device, profile, config, bytes, seed, origin, date } = setup;
    let mac = config.mac;
    let mut driver = Driver::plan(config.clone(), BASE, *bytes as u64).map_err(ScriptError::Layout)?;
    let memory = Watched::new(Memory::new(&[(BASE, *bytes)]));
    let header = Header {
        origin: origin.clone(),
        date: date.clone(),
        kernel: "none: the modelled driver".into(),
        seed: Some(*seed),
        memory: vec![(BASE, *bytes as u64)],
        ..Header::new(*device, profile, mac)
    };
    let system = System::new(profile, memory, mac);
    let mut run = Run { system, writer: Writer::new(out, &header), tap: Counted { effects: 0, inner: tap } };
    let mut traffic = Traffic::new(*seed, mac);
    driver.bring_up();
    settle(&mut run, &mut driver)?;
    if *device != Device::Software {
        run.call(&Call::Switch { plan: plan(Side::Hardware, Finish::Drain, Ingress::C) });
        settle(&mut run, &mut driver)?;
    }
    let (mut packet, mut frame) = (Packet::default(), Vec::new());
    for op in ops {
        match op {
            Op::Send { queue, shape } => {
                traffic.packet(shape, &mut packet);
                driver.send(*queue, &packet);
            }
            Op::Kick { queue } => {
                driver.kick(*queue);
            }
            Op::Poll { vector } => driver.interrupt(u16::from(*vector)),
            Op::Offer { shape } => {
                traffic.wire(shape, &mut frame);
                run.call(&Call::Offer { frame: frame.as_slice().into() });
            }
            Op::Wire { ready } => {
                run.call(&Call::Wire { ready: *ready });
            }
            Op::Link { up } => {
                run.call(&Call::Link { up: *up });
            }
            Op::Advance { ns } => {
                run.call(&Call::Advance { ns: *ns });
            }
            Op::RxMode { bits } => {
                driver.update_rx_mode(*bits);
            }
            Op::Multicast { groups } => {
                let list: Vec<_> = (0..*groups).map(Traffic::group).collect();
                driver.set_multicast(&list);
            }
            Op::Vlans { vids } => {
                driver.set_vlans(vids);
            }
            Op::Features { bits } => {
                driver.set_features(*bits);
            }
            Op::Mac { mac } => {
                if driver.set_mac(*mac) {
                    traffic.guest = *mac;
                }
            }
            Op::Stats => {
                driver.get_stats();
            }
            Op::GetLink => driver.get_link(),
            Op::Up => {
                driver.bring_up();
            }
            Op::Down => {
                driver.tear_down();
            }
            Op::Reset => {
                driver.reset_cycle();
            }
            Op::FunctionReset => {
                run.call(&Call::FunctionReset);
                run.call(&Call::EnableMsix);
                driver.on_function_reset();
            }
            Op::Step { count, .. } => {
                driver.step(&mut run);
                run.call(&Call::Step { budget: u32::from(*count) });
            }
            Op::Settle => settle(&mut run, &mut driver)?,
            Op::Switch { to, finish, ingress } => {
                if *device == Device::Switching {
                    run.call(&Call::Switch { plan: plan(*to, *finish, *ingress) });
                }
            }
        }
    }
    settle(&mut run, &mut driver)?;
    Ok(run.writer.finish()?)
}

/// Lets everything happen, and time go on where something waits for it, until nothing does.
fn settle<W: io::Write, T: Tap>(run: &mut Run<W, T>, driver: &mut Driver) -> Result<(), ScriptError> {
    for _ in 0..ROUNDS {
        let mut busy = false;
        for _ in 0..BURST {
            if !run.system.vcpus_run() || !driver.can_step() || !driver.step(run) {
                break;
            }
            busy = true;
        }
        let before = run.tap.effects;
        if run.system.switching() || !run.system.vcpus_run() {
            run.call(&Call::Step { budget: BUDGET });
            busy = true;
        } else {
            busy |= run.call(&Call::Run { budget: BUDGET }).value().is_some();
        }
        busy |= run.tap.effects != before;
        while run.system.vcpus_run() && run.system.messages() != 0 {
            let vector = run.system.messages().trailing_zeros() as u16;
            run.call(&Call::Message { vector });
            driver.interrupt(vector);
            busy = true;
        }
        if run.system.vcpus_run() && run.system.line() && !driver.can_step() {
            driver.interrupt(0);
            busy = true;
        }
        if busy {
            continue;
        }
        let Some(ns) = run.system.wait_ns() else {
            run.call(&Call::Idle);
            return Ok(());
        };
        run.call(&Call::Advance { ns });
    }
    Err(ScriptError::Stuck)
}
