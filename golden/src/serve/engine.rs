//! One served device: a system on the client's memory, driven by the client's accesses and by what comes from the wire.
//!
//! Every call into the system goes through [`Engine::call`], so that a recording is exact by construction.

mod moving;
mod recording;
mod vectors;

pub use moving::MoveCounters;

use super::interrupts::Interrupts;
use super::outlet::Outlet;
use super::pace::{Bells, Hold, LOOK, Pulse};
use super::page::{self, MappedPage};
use super::wire::Wire;
use crate::trace::{Answer, Call, Looks, Writer, apply};
use model::machine::{Mode, System};
use model::migrate::{Outcome, Plan, Policy, Reason, TxMode};
use spec::event::Bar;
use spec::profile::Profile;
use spec::vmxnet3::command::Command;
use spec::vmxnet3::{Bar0, Bar1};
use std::fs::File;
use std::time::{Duration, Instant};

/// Steps that devices take before the server looks at its other work.
const BURST: u32 = 4096;
/// Frames taken from the wire before devices run.
const FRAMES: u32 = 64;
/// Steps of a switch or of a command between two looks at the wire.
const STAGE_STEPS: u32 = 64;
/// How long frames may wait for buffers that the guest does not post, and how long a wire may stay without room.
const PATIENCE: Duration = Duration::from_millis(200);

/// Which body shows itself to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The software body, always.
    Software,
    /// The adapter whenever the guest is eligible.
    Adapter,
    /// Both, switched on request.
    Switching,
}

/// How the guest's accesses to the pass-through page arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// As messages.
    Trapped,
    /// Not at all: the page is mapped into the guest, and looked at.
    Direct,
}

/// Why a switch was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// The device shows one body only.
    #[error("this device does not switch: it was started as software or adapter")]
    Fixed,
    /// It is there already.
    #[error("the device is there already")]
    There,
    /// It stands still for a move to another host.
    #[error("the device is being moved to another host")]
    Moving,
    /// It was asked for and not made.
    #[error("{}", outcome(.0))]
    Outcome(Outcome),
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".into(),
        Outcome::Undone(Reason::Ineligible(why)) => format!("not eligible (code {}): {why}", why.code()),
        Outcome::Undone(reason) => format!("undone: {reason}"),
        Outcome::Stopped(reason, code) => format!("queues stopped with {code:?}: {reason}"),
    }
}

/// What a served device did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Register reads.
    pub reads: u64,
    /// Register writes.
    pub writes: u64,
    /// Switches made, both directions.
    pub switches: u64,
    /// Switches undone or refused.
    pub undone: u64,
    /// Longest switch made, nanoseconds.
    pub longest_switch_ns: u64,
    /// The last switch made, nanoseconds.
    pub last_switch_ns: u64,
    /// Frames dropped because the wire had no room for too long.
    pub wire_drops: u64,
    /// Times that frames waited for buffers longer than allowed and were offered all the same.
    pub impatient: u64,
}

/// A served device. `M` is the client's memory.
#[derive(Debug)]
pub struct Engine<M> {
    system: System<M>,
    profile: &'static Profile,
    kind: Kind,
    page: Option<MappedPage>,
    outlet: Outlet,
    recorder: Option<Writer<File>>,
    interrupts: Interrupts,
    frame: Vec<u8>,
    /// The adapter is to be entered when it can be.
    wants_hardware: bool,
    paused: bool,
    /// The last turn of work ended with more to do.
    more: bool,
    bells: Bells,
    hold: Hold,
    pulse: Pulse,
    /// Since when the wire has had no room.
    busy_since: Option<Instant>,
    /// Since when frames have waited for buffers.
    starved_since: Option<Instant>,
    /// When time was last told to the adapter.
    told_time: Instant,
    moving: moving::Moving,
    counters: EngineCounters,
}

impl<M: Looks> Engine<M> {
    /// A device at power-on.
    ///
    /// # Errors
    /// When the page cannot be made.
    pub fn new(
        profile: &'static Profile,
        kind: Kind,
        path: Path,
        mac: [u8; 6],
        memory: M,
        wire: Box<dyn Wire>,
    ) -> std::io::Result<Self> {
        let page = match path {
            Path::Direct => Some(MappedPage::new()?),
            Path::Trapped => None,
        };
        let mut engine = Self {
            system: System::new(profile, memory, mac),
            profile,
            kind,
            page,
            outlet: Outlet::new(wire),
            recorder: None,
            interrupts: Interrupts::new(profile.widest().vectors),
            frame: Vec::new(),
            wants_hardware: false,
            paused: false,
            more: false,
            bells: Bells::default(),
            hold: Hold::default(),
            pulse: Pulse::default(),
            busy_since: None,
            starved_since: None,
            told_time: Instant::now(),
            moving: moving::Moving::default(),
            counters: EngineCounters::default(),
        };
        engine.call(&Call::TableOutside);
        engine.function_reset();
        if let Ok(saved) = engine.system.save() {
            let mut as_new = Vec::new();
            saved.encode(profile, &mut as_new);
            engine.moving = moving::Moving::new(as_new);
        }
        Ok(engine)
    }

    fn call(&mut self, call: &Call<'_>) -> Answer {
        match &mut self.recorder {
            Some(recorder) => recorder.call(call, &mut self.system, &mut self.outlet),
            None => apply(call, &mut self.system, &mut self.outlet),
        }
    }

    /// The system as it stands.
    pub fn system(&self) -> &System<M> {
        &self.system
    }

    /// Guest memory, for whoever maps and unmaps it.
    pub fn memory_mut(&mut self) -> &mut M {
        self.system.memory_mut()
    }

    /// Guest memory.
    pub fn memory(&self) -> &M {
        self.system.memory()
    }

    /// A number that changes whenever the device does something.
    pub fn activity(&self) -> u64 {
        let sent = self.outlet.counters();
        self.counters.reads + self.counters.writes + sent.frames + sent.vectors
    }

    /// Frames wait on the wire for buffers that the guest has not posted.
    pub fn is_starved(&self) -> bool {
        self.starved_since.is_some()
    }

    /// The page to map into the guest, if there is one.
    pub fn page(&self) -> Option<&MappedPage> {
        self.page.as_ref()
    }

    /// Where interrupts go.
    pub fn interrupts(&mut self) -> &mut Interrupts {
        &mut self.interrupts
    }

    /// Where frames go.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Where frames come from.
    pub fn wire(&mut self) -> &mut dyn Wire {
        self.outlet.wire_mut()
    }

    /// What it did so far.
    pub fn counters(&self) -> EngineCounters {
        self.counters
    }

    /// Interrupts signalled to the client.
    pub fn signalled(&self) -> u64 {
        self.interrupts.signalled()
    }

    /// Which body shows itself.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads a 32-bit register of `bar`.
    pub fn read(&mut self, bar: Bar, offset: u32) -> u32 {
        self.counters.reads += 1;
        if let (Bar::Bar0, Some(page)) = (bar, self.page.as_ref().filter(|_| page::holds(offset))) {
            return page.load(offset & !3);
        }
        self.unblock();
        self.call(&Call::Read { bar, offset }).value().unwrap_or(!0)
    }

    /// Writes a 32-bit register of `bar`.
    pub fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        self.counters.writes += 1;
        if let (Bar::Bar0, Some(page)) = (bar, self.page.as_ref().filter(|_| page::holds(offset))) {
            // A client that traps for a while writes where the guest would.
            return page.store(offset & !3, value);
        }
        self.adopt_masks();
        self.unblock();
        let masks = self.masks();
        while !self.call(&Call::Write { bar, offset, value }).is_done() {
            // A posted write found the adapter's FIFO full.
            self.call(&Call::Run { budget: STAGE_STEPS });
            self.unblock();
        }
        self.unblock();
        if self.page.is_none()
            && self.system.mode() == Mode::Software
            && bar == Bar::Bar0
            && let Some(Bar0::TxProd(_)) = self.system.plane().bar0(offset)
            && let Some(packets) = self.bells.rang(Instant::now())
        {
            self.call(&Call::TxThreshold { packets });
        }
        if bar == Bar::Bar1 && Bar1::decode(offset) == Some(Bar1::Cmd) {
            self.hold.prompt();
            if matches!(Command::from(value), Command::ActivateDev | Command::QuiesceDev | Command::ResetDev) {
                self.bells.reset(Instant::now());
            }
            self.wants_hardware |= self.kind == Kind::Adapter && Command::from(value) == Command::ActivateDev;
            self.show_masks(masks);
        }
    }

    /// Reads configuration bytes.
    pub fn config_read(&self, offset: usize, into: &mut [u8]) {
        self.system.config_read(offset, into);
    }

    /// Writes configuration bytes.
    pub fn config_write(&mut self, offset: u16, bytes: &[u8]) {
        self.call(&Call::Config { offset, bytes: bytes.into() });
        self.hold.prompt();
        self.interrupt();
    }

    /// Resets the function, as its bus does.
    pub fn function_reset(&mut self) {
        self.interrupts.forget();
        self.wants_hardware = false;
        self.bells.reset(Instant::now());
        self.call(&Call::FunctionReset);
        self.show_masks(!self.masks());
    }

    /// The link goes up or down.
    pub fn set_link(&mut self, up: bool) {
        self.call(&Call::Link { up });
        self.unblock();
        self.hold.prompt();
        self.interrupt();
    }

    /// Holds devices and wire, or lets them go on; registers answer all the while.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Devices and wire stand still.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The last turn of work left nothing to do and nothing is held back: no frame either way, no interrupt, no threshold that the
    /// pace of doorbells set for a while. Until somebody asks something of it, or stores to its memory, the device does nothing. What
    /// lies on the wire when the turn begins is part of its work.
    pub fn is_idle(&mut self) -> bool {
        let held = self.bells.looks() || self.system.messages() != 0 || self.busy_since.is_some();
        !(self.more || held || self.paused || self.wants_hardware || self.is_moving())
            && self.system.wait_ns().is_none()
            && self.outlet.flush()
            && self.outlet.wire_mut().settled()
            // Frames that wait for buffers stay on the wire.
            && (self.starved_since.is_none() || !self.outlet.wire_mut().waits())
    }

    /// Does what there is to do; true when there may be more.
    pub fn work(&mut self) -> bool {
        self.more = self.turn();
        self.more
    }

    fn turn(&mut self) -> bool {
        if self.is_moving() {
            return self.stand();
        }
        if self.paused {
            return false;
        }
        self.adopt_masks();
        // On the adapter a ring is either rung for or looked at, not both.
        if self.page.is_some() || self.bells.looks() && self.system.mode() == Mode::Software {
            self.call(&Call::Notice);
        }
        let sent = self.outlet.counters().frames;
        if self.wants_hardware {
            self.try_hardware();
        }
        self.serve_wire();
        self.tell_time();
        let frames = self.take_frames();
        let more = self.call(&Call::Run { budget: BURST }).value() == Some(1);
        if self.outlet.is_full() {
            self.wire_is_busy();
        }
        self.unblock();
        let found = self.outlet.counters().frames != sent;
        let now = Instant::now();
        if found {
            self.pulse.moved(now, false);
        }
        if let Some(packets) = self.bells.looked(now, found) {
            self.call(&Call::TxThreshold { packets });
            // What was posted under the old threshold had no reason to ring.
            self.call(&Call::Notice);
        }
        self.interrupt();
        more || frames
    }

    /// When [`Engine::work`] has something to do that nobody announces.
    pub fn due(&mut self) -> Option<Duration> {
        if self.is_moving() {
            let wire = if self.listens() { self.outlet.wire_mut().due() } else { None };
            return [self.stands_until(), wire].into_iter().flatten().min();
        }
        let timer = self.system.wait_ns().map(Duration::from_nanos);
        let starved = self.starved_since.map(|_| Duration::from_micros(100));
        let wire = if self.paused { None } else { self.outlet.wire_mut().due() };
        let look = (self.bells.looks() && !self.paused).then_some(LOOK);
        let now = Instant::now();
        let held = self.hold.due(now);
        if self.pulse.spins(now) && !self.paused {
            return Some(Duration::ZERO);
        }
        [timer, starved, wire, look, held].into_iter().flatten().min()
    }

    /// As [`Engine::switch`], if the device is one that switches on request and not in `mode` already.
    ///
    /// # Errors
    /// Why it was not made.
    pub fn switch_to(&mut self, mode: Mode, plan: Plan) -> Result<Duration, SwitchError> {
        if self.kind != Kind::Switching {
            return Err(SwitchError::Fixed);
        }
        if self.is_moving() {
            return Err(SwitchError::Moving);
        }
        if self.system.mode() == mode {
            return Err(SwitchError::There);
        }
        // A ring that is full to the last cell, or a packet half sent, gives way in a moment.
        let begun = Instant::now();
        loop {
            match self.switch(plan) {
                Ok(took) => return Ok(took),
                Err(Outcome::Undone(Reason::TxRingFull | Reason::WireBusy)) if begun.elapsed() < PATIENCE => {
                    self.work();
                }
                Err(outcome) => return Err(SwitchError::Outcome(outcome)),
            }
        }
    }

    /// Asks for a switch and sees it through.
    ///
    /// # Errors
    /// Why it was not made; the guest goes on where it was, unless the outcome says that its queues were stopped.
    pub fn switch(&mut self, plan: Plan) -> Result<Duration, Outcome> {
        self.adopt_masks();
        self.unblock();
        self.ring_again();
        let begun = Instant::now();
        self.call(&Call::Switch { plan });
        while self.system.switching() {
            self.call(&Call::Step { budget: STAGE_STEPS });
            self.serve_wire();
        }
        let took = begun.elapsed();
        // What the guest posted meanwhile may have had no reason to ring.
        self.call(&Call::Notice);
        self.adopt_masks();
        self.hold.prompt();
        self.interrupt();
        match self.system.last_switch() {
            Some(Outcome::Done) => {
                self.counters.switches += 1;
                self.counters.last_switch_ns = took.as_nanos() as u64;
                self.counters.longest_switch_ns = self.counters.longest_switch_ns.max(took.as_nanos() as u64);
                Ok(took)
            }
            other => {
                self.counters.undone += 1;
                Err(other.unwrap_or(Outcome::Undone(Reason::NothingToSwitch)))
            }
        }
    }

    /// The plan that leads to `mode`, with what is under way finished first and waiting frames handed over.
    pub fn plan(mode: Mode) -> Plan {
        match mode {
            Mode::Hardware => Plan::enter(TxMode::Drain),
            Mode::Software => Plan::leave(TxMode::Drain, Policy::C),
        }
    }

    /// Makes sure that the vCPU may run: commands and link changes that run on the adapter are seen through.
    fn unblock(&mut self) {
        let begun = Instant::now();
        while !self.system.vcpus_run() {
            self.call(&Call::Step { budget: STAGE_STEPS });
            if !self.outlet.flush() && begun.elapsed() > PATIENCE {
                self.counters.wire_drops += self.outlet.give_up() as u64;
            }
            if self.outlet.flush() {
                self.wire_is_ready();
            }
        }
    }

    /// The guest is to ring for each packet from now on.
    fn ring_again(&mut self) {
        if self.bells.looks() {
            self.bells.reset(Instant::now());
            self.call(&Call::TxThreshold { packets: 1 });
        }
    }

    fn try_hardware(&mut self) {
        if self.system.mode() == Mode::Hardware || !self.system.plane().is_active() {
            self.wants_hardware = false;
            return;
        }
        match self.switch(Self::plan(Mode::Hardware)) {
            Ok(_) => self.wants_hardware = false,
            // Packets go out first; then it is tried again.
            Err(Outcome::Undone(Reason::TxRingFull | Reason::WireBusy)) => {}
            Err(_) => self.wants_hardware = false,
        }
    }

    fn serve_wire(&mut self) {
        if self.outlet.flush() {
            self.wire_is_ready();
        } else if self.busy_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            self.counters.wire_drops += self.outlet.give_up() as u64;
            self.wire_is_ready();
        }
    }

    fn wire_is_busy(&mut self) {
        if self.busy_since.is_none() {
            self.busy_since = Some(Instant::now());
            self.call(&Call::Wire { ready: false });
        }
    }

    fn wire_is_ready(&mut self) {
        if self.busy_since.take().is_some() {
            self.call(&Call::Wire { ready: true });
        }
    }

    /// Offers what came from the wire, as far as the guest has buffers; true when there may be more.
    fn take_frames(&mut self) -> bool {
        let mut frame = std::mem::take(&mut self.frame);
        let mut room = self.system.rx_room(FRAMES);
        if room > 0 {
            self.starved_since = None;
        } else if self.starved_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            // A guest that posts nothing loses frames, as on any wire.
            self.counters.impatient += 1;
            room = FRAMES;
        }
        let mut taken = 0;
        while taken < room && self.next_frame(&mut frame) {
            taken += 1;
            self.call(&Call::Offer { frame: frame.as_slice().into() });
        }
        if taken > 0 {
            self.hold.prompt();
            self.pulse.moved(Instant::now(), true);
        }
        if room == 0 && self.starved_since.is_none() {
            self.starved_since = Some(Instant::now());
        }
        self.frame = frame;
        room > 0 && taken == room
    }

    /// The next frame for the guest: those that wait here are older than those on the wire.
    fn next_frame(&mut self, into: &mut Vec<u8>) -> bool {
        if let Some(frame) = self.moving.next_frame() {
            *into = frame;
            return true;
        }
        while self.outlet.wire_mut().receive(into) {
            if !self.moving.is_not_for_guest(into) {
                return true;
            }
        }
        false
    }

    fn tell_time(&mut self) {
        let now = Instant::now();
        let ns = now.duration_since(self.told_time).as_nanos() as u64;
        self.told_time = now;
        if self.system.is_timed() {
            self.call(&Call::Advance { ns });
        }
    }

    /// The profile it was built by.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }
}
