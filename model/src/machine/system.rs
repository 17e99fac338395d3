//! Everything but the guest: memory, the guest's PCI function with its configuration plane, both bodies, the hypervisor between
//! them, and the net. Guests meet it through registers and memory only.

use crate::host::DmaFault;
use crate::hypervisor::{self, Claims, Poll, Program, Scratch, WithScratch, page};
use crate::memory::{Memory, Ram};
use crate::migrate::{Outcome, Plan, Switch};
use crate::mutant::{Mutant, Planted};
use crate::net::{Net, Steer};
use crate::pci::Pci;
use crate::plane::{Progress, Request};
use crate::vic::intr::ERROR_BLOCK;
use crate::vic::{self, Adapter, Register};
use crate::vmxnet3::body::{self, Body};
use crate::vmxnet3::plane::Plane;
use spec::event::{Bar, Stimulus, Tap};
use spec::profile::Profile;
use spec::vic::{IntrReg, RqReg, WqReg};
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::{Bar0, Bar1};

/// Which body backs the guest's function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The software body.
    #[default]
    Software,
    /// The adapter.
    Hardware,
}

/// A command of the configuration plane that runs on the adapter; the vCPU that wrote it is blocked until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Phase {
    pub program: Program,
    /// What the guest's command asks; none for the hypervisor's own doing.
    pub request: Option<Request>,
}

/// Everything but the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct System<M = Memory> {
    pub(crate) profile: &'static Profile,
    pub(crate) memory: M,
    pub(crate) pci: Pci,
    pub(crate) plane: Plane,
    pub(crate) body: Body,
    pub(crate) adapter: Adapter,
    pub(crate) scratch: Scratch,
    pub(crate) net: Net,
    pub(crate) mode: Mode,
    /// The software part while in hardware: counters, which the adapter's are added to, and vectors that the adapter has not.
    pub(crate) base: Progress,
    pub(crate) shadow: hypervisor::Shadow,
    /// How far the adapter's rings are claimed.
    pub(crate) claims: Claims,
    pub(crate) phase: Option<Phase>,
    pub(crate) switch: Option<Box<Switch>>,
    /// A link change that waits for the end of a switch or a command.
    pub(crate) link: Option<bool>,
    pub(crate) last_switch: Option<Outcome>,
    /// The vCPUs are stopped by a switch.
    pub(crate) frozen: bool,
    /// The software body stands still: its state has been taken and it may yet go on.
    pub(crate) body_held: bool,
    pub(crate) messages: u128,
    pub(crate) line: bool,
    pub(crate) planted: Planted,
}

/// Runs `$call` with a port named `$port`, borrowing the fields that a port needs.
macro_rules! with_port {
    ($system:expr, $tap:expr, |$port:ident| $call:expr) => {{
        let $port = &mut $crate::machine::Port {
            memory: &mut $system.memory,
            pci: &mut $system.pci,
            net: &mut $system.net,
            messages: &mut $system.messages,
            line: &mut $system.line,
            tap: $tap,
        };
        $call
    }};
}
pub(crate) use with_port;

impl<M: Ram> System<M> {
    /// A system at power-on with the guest's function already set up by its kernel: bus master on, and the best kind of interrupts
    /// that the profile has.
    pub fn new(profile: &'static Profile, memory: M, permanent_mac: [u8; 6]) -> Self {
        Self {
            profile,
            memory,
            pci: set_up(profile),
            plane: Plane::new(profile, permanent_mac),
            body: Body::new(profile),
            adapter: Adapter::new(profile),
            scratch: Scratch::default(),
            net: Net::default(),
            mode: Mode::default(),
            base: Progress::default(),
            shadow: hypervisor::Shadow::new(0, 0),
            claims: Claims::default(),
            phase: None,
            switch: None,
            link: None,
            last_switch: None,
            frozen: false,
            body_held: false,
            messages: 0,
            line: false,
            planted: Planted::NONE,
        }
    }

    /// Plants a bug in whichever part it belongs to.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
        self.plane.plant(planted);
        self.body.plant(planted);
        self.adapter.plant(planted);
    }

    /// Guest memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The guest's PCI function.
    pub fn pci(&self) -> &Pci {
        &self.pci
    }

    /// The net.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The configuration plane.
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// The software body; it is stale while in hardware.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The adapter; it is cold while in software.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Which body backs the guest now.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The software body may step.
    pub(crate) fn body_runs(&self) -> bool {
        self.mode == Mode::Software && !self.body_held && self.pci.bus_master()
    }

    /// The adapter may step: it backs the guest, or a switch is programming it.
    pub(crate) fn adapter_runs(&self) -> bool {
        (self.mode == Mode::Hardware || self.switching()) && self.pci.bus_master()
    }

    /// A switch is under way.
    pub fn switching(&self) -> bool {
        self.switch.is_some()
    }

    /// The switch under way.
    pub fn current_switch(&self) -> Option<&Switch> {
        self.switch.as_deref()
    }

    /// Asks for a switch. False: one is under way already, or a command is.
    pub fn begin_switch(&mut self, plan: Plan) -> bool {
        if self.switch.is_some() || self.phase.is_some() {
            return false;
        }
        self.switch = Some(Box::new(Switch::new(plan)));
        true
    }

    /// How the last switch ended.
    pub fn last_switch(&self) -> Option<Outcome> {
        self.last_switch
    }

    /// The guest's vCPUs may run.
    pub fn vcpus_run(&self) -> bool {
        !self.frozen && self.phase.is_none()
    }

    /// Vectors whose message waits for the guest, a bit each.
    pub fn messages(&self) -> u128 {
        self.messages
    }

    /// The INTx line as the guest sees it.
    pub fn line(&self) -> bool {
        self.line
    }

    /// The guest takes the message of `vector`, if there is one.
    pub fn take_message(&mut self, vector: u16) -> bool {
        let bit = 1u128.checked_shl(u32::from(vector)).unwrap_or(0);
        let had = self.messages & bit != 0;
        self.messages &= !bit;
        had
    }

    /// The guest stores to its memory.
    ///
    /// # Errors
    /// Outside guest memory; nothing is stored then.
    pub fn guest_store<T: Tap>(&mut self, pa: u64, bytes: &[u8], tap: &mut T) -> Result<(), DmaFault> {
        self.memory.write(pa, bytes)?;
        tap.stimulus(Stimulus::GuestStore { pa, bytes }, &self.memory);
        Ok(())
    }

    /// The guest writes a register. False: the vCPU is stopped or blocked, or a posted write found no room; nothing happened.
    pub fn guest_write<T: Tap>(&mut self, bar: Bar, offset: u32, value: u32, tap: &mut T) -> bool {
        if !self.vcpus_run() {
            return false;
        }
        match bar {
            Bar::Bar0 => {
                if let Some(register) = self.plane.bar0(offset)
                    && !self.write_bar0(register, value)
                {
                    return false;
                }
                tap.stimulus(Stimulus::RegisterWrite { bar, offset, value }, &self.memory);
            }
            Bar::Bar1 => {
                let kind = self.pci.interrupts();
                if self.plane.set_interrupts(kind) {
                    tap.stimulus(Stimulus::Interrupts { kind }, &self.memory);
                }
                // Told first: what a command does happens inside the write.
                tap.stimulus(Stimulus::RegisterWrite { bar, offset, value }, &self.memory);
                let offset = if self.planted.is(Mutant::PlaneStrideAliases) { offset & !4 } else { offset };
                if let Some(register) = Bar1::decode(offset) {
                    let request = with_port!(self, tap, |port| self.plane.write(register, value, port));
                    self.request(request, tap);
                }
            }
            Bar::Bar2 => {
                tap.stimulus(Stimulus::RegisterWrite { bar, offset, value }, &self.memory);
                if let Some(vector) = self.pci.write_bar2(offset, value) {
                    self.messages |= 1u128 << vector;
                }
            }
        }
        true
    }

    fn write_bar0(&mut self, register: Bar0, value: u32) -> bool {
        match self.mode {
            Mode::Software => self.body.write_bar0(register, value),
            Mode::Hardware => {
                if let Some(behind) = page::behind(register) {
                    return self.adapter.post(behind, page::legalize(register, value));
                }
                if let Some(vector) = page::aside_mut(register, &mut self.base) {
                    vector.masked = page::legalize(register, value) != 0;
                }
            }
        }
        true
    }

    /// The guest reads a register. `None`: the vCPU is stopped or blocked.
    pub fn guest_read<T: Tap>(&mut self, bar: Bar, offset: u32, tap: &mut T) -> Option<u32> {
        if !self.vcpus_run() {
            return None;
        }
        let value = match bar {
            Bar::Bar0 => match (self.plane.bar0(offset), self.mode) {
                (None, _) => 0,
                (Some(register), Mode::Software) => self.body.read_bar0(register),
                (Some(register @ Bar0::Imr(_)), Mode::Hardware) => match page::behind(register) {
                    Some(behind) => self.adapter.read(behind) as u32,
                    None => u32::from(page::aside(register, &self.base).is_some_and(|vector| vector.masked)),
                },
                // Doorbells read 0 in both modes; the value is a choice (open).
                (Some(Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_)), Mode::Hardware) => 0,
            },
            Bar::Bar1 => match Bar1::decode(offset) {
                None => 0,
                Some(register) => {
                    let icr = match (register, self.mode) {
                        (Bar1::Icr, Mode::Software) => with_port!(self, tap, |port| self.body.read_icr(port)),
                        _ => 0,
                    };
                    with_port!(self, tap, |port| self.plane.read(register, icr, port))
                }
            },
            Bar::Bar2 => self.pci.read_bar2(offset),
        };
        tap.stimulus(Stimulus::RegisterRead { bar, offset, value }, &self.memory);
        Some(value)
    }

    /// Serves what a command asks: at once in software, as a phase in hardware.
    pub(crate) fn request<T: Tap>(&mut self, request: Option<Request>, tap: &mut T) {
        let Some(request) = request else { return };
        match self.mode {
            Mode::Software => {
                let reply = with_port!(self, tap, |port| self.body.serve(request, port));
                with_port!(self, tap, |port| self.plane.finish(reply, port));
            }
            Mode::Hardware => {
                let program = Program::serve(&request, &mut self.shadow, &mut self.scratch, u32::MAX);
                self.phase = Some(Phase { program, request: Some(request) });
            }
        }
    }

    /// One step of the command that runs on the adapter.
    pub(crate) fn step_phase<T: Tap>(&mut self, tap: &mut T) {
        let Some(mut phase) = self.phase.take() else { return };
        if phase.program.remaining() > 0 && phase.program.step(&mut self.adapter) == Poll::Pending {
            self.phase = Some(phase);
            return;
        }
        let reply = match phase.request {
            None => None,
            Some(request @ (Request::Start(_) | Request::Stop | Request::Reset)) => {
                self.end_hardware(tap);
                Some(with_port!(self, tap, |port| self.body.serve(request, port)))
            }
            Some(request) => Some(phase.program.reply(&request, &self.shadow, &self.scratch, &self.base)),
        };
        if let Some(reply) = reply {
            with_port!(self, tap, |port| self.plane.finish(reply, port));
        }
        self.apply_link(tap);
    }

    /// QUIESCE and RESET on hardware end in software: masks stay, everything under way is dropped.
    fn end_hardware<T: Tap>(&mut self, tap: &mut T) {
        let vectors = hypervisor::vectors(&mut self.adapter, &self.base);
        self.body = Body::resting(self.profile, vectors);
        self.body.plant(self.planted);
        self.body.set_link(self.plane.state().link_up);
        self.cool_adapter();
        self.mode = Mode::Software;
        self.net.set_steer(Steer::Switch);
        self.net.set_port(crate::net::Port::Open);
        tap.stimulus(Stimulus::Switched { hardware: false }, &self.memory);
    }

    /// A fresh adapter, as the next guest of it would find it.
    pub(crate) fn cool_adapter(&mut self) {
        self.adapter = Adapter::new(self.profile);
        self.adapter.plant(self.planted);
        self.shadow = hypervisor::Shadow::new(0, 0);
        self.claims = Claims::default();
    }

    /// The link goes up or down.
    /// While a switch or a command is under way, the change waits for its end.
    pub fn set_link<T: Tap>(&mut self, up: bool, tap: &mut T) {
        self.link = Some(up);
        self.apply_link(tap);
    }

    /// Applies a link change that waits, once nothing is in its way.
    pub(crate) fn apply_link<T: Tap>(&mut self, tap: &mut T) {
        if self.switch.is_some() || self.phase.is_some() {
            return;
        }
        let Some(up) = self.link.take() else { return };
        self.body.set_link(up);
        let request = with_port!(self, tap, |port| self.plane.set_link(up, port));
        match (self.mode, request) {
            (Mode::Software, request) => self.request(request, tap),
            (Mode::Hardware, request) => {
                let mut ops = hypervisor::bring_up::set_link(up).to_vec();
                let silent = self.planted.is(Mutant::HwEventSilent);
                if let Some(Request::Raise(vector)) = request.filter(|_| !silent) {
                    ops.extend(hypervisor::request::raise(vector));
                }
                self.phase = Some(Phase { program: Program::new(ops, u32::MAX), request: None });
            }
        }
    }

    /// A frame reaches the uplink.
    pub fn offer<T: Tap>(&mut self, frame: &[u8], tap: &mut T) {
        self.net.arrive(frame.to_vec());
        tap.stimulus(Stimulus::Offered { frame }, &self.memory);
    }

    /// The wire becomes ready or busy.
    pub fn set_wire<T: Tap>(&mut self, ready: bool, tap: &mut T) {
        self.net.set_wire(ready);
        if ready {
            self.body.wire_ready();
            self.adapter.wire_ready();
        }
        tap.stimulus(Stimulus::Wire { ready }, &self.memory);
    }

    /// Time goes on.
    pub fn advance<T: Tap>(&mut self, ns: u64, tap: &mut T) {
        self.body.advance(ns);
        self.adapter.advance(ns);
        tap.stimulus(Stimulus::Advanced { ns }, &self.memory);
    }

    /// A step of the software body.
    pub(crate) fn step_body<T: Tap>(&mut self, unit: body::Unit, tap: &mut T) {
        with_port!(self, tap, |port| self.body.step(unit, port));
        self.report_body_error(tap);
    }

    /// Lets the software body run until it is idle or the budget is gone.
    pub(crate) fn run_body<T: Tap>(&mut self, budget: u32, tap: &mut T) -> u32 {
        let steps = with_port!(self, tap, |port| self.body.run(port, budget));
        self.report_body_error(tap);
        steps
    }

    fn report_body_error<T: Tap>(&mut self, tap: &mut T) {
        while let Some((direction, ..)) = self.body.take_error() {
            let bit = match direction {
                body::Direction::Tx => ecr::TQERR,
                body::Direction::Rx => ecr::RQERR,
            };
            let request = with_port!(self, tap, |port| self.plane.event(bit, port));
            self.request(request, tap);
        }
    }

    /// A step of the adapter.
    pub(crate) fn step_adapter<T: Tap>(&mut self, unit: vic::Unit, tap: &mut T) {
        let scratch = &mut self.scratch;
        with_port!(self, tap, |port| self.adapter.step(unit, &mut WithScratch { scratch, host: port }));
        self.report_adapter_error(tap);
    }

    /// Lets the adapter run until it is idle or the budget is gone.
    pub(crate) fn run_adapter<T: Tap>(&mut self, budget: u32, tap: &mut T) -> u32 {
        let scratch = &mut self.scratch;
        let steps = with_port!(self, tap, |port| self.adapter.run(&mut WithScratch { scratch, host: port }, budget));
        self.report_adapter_error(tap);
        steps
    }

    /// A queue error raises the host-only block: the configuration plane sets the event, unless a switch is under way, which
    /// carries the stop reason along.
    fn report_adapter_error<T: Tap>(&mut self, tap: &mut T) {
        if self.adapter.host_events() == 0 || self.mode != Mode::Hardware || self.phase.is_some() || self.switching() {
            return;
        }
        self.adapter.write(Register::Intr(ERROR_BLOCK, IntrReg::IntCredits), 0);
        let (tx, rx) = self.shadow.queues();
        let stopped = |register| self.adapter.peek(register) != 0;
        let mut bits = 0;
        if (0..tx).any(|q| stopped(Register::Wq(q, WqReg::ErrorStatus))) {
            bits |= ecr::TQERR;
        }
        if (0..2 * rx).any(|r| stopped(Register::Rq(r, RqReg::ErrorStatus))) {
            bits |= ecr::RQERR;
        }
        if let Some(Request::Raise(vector)) = with_port!(self, tap, |port| self.plane.event(bits, port)) {
            let ops = hypervisor::request::raise(vector);
            self.phase = Some(Phase { program: Program::new(ops, u32::MAX), request: None });
        }
    }

    /// Lets devices, uplink and port run until nothing moves, at most about `budget` steps; no guest runs. True: there may be
    /// more to do.
    pub fn run_devices<T: Tap>(&mut self, budget: u32, tap: &mut T) -> bool {
        let mut left = budget;
        while left > 0 {
            let mut done = 0;
            if self.body_runs() {
                done += self.run_body(left, tap);
            }
            if self.adapter_runs() {
                done += self.run_adapter(left.saturating_sub(done), tap);
            }
            while self.can_steer() && self.steer() {
                done += 1;
            }
            if self.can_deliver() && self.deliver() {
                done += 1;
            }
            if done == 0 {
                return false;
            }
            left = left.saturating_sub(done);
        }
        true
    }

    /// Lets devices, commands and the switch under way take at most `budget` steps, whatever the guest does.
    pub fn step_devices<T: Tap>(&mut self, budget: u32, tap: &mut T) {
        for _ in 0..budget {
            let mut stepped = 0;
            if self.body_runs() {
                stepped += self.run_body(1, tap);
            }
            if self.adapter_runs() {
                stepped += self.run_adapter(1, tap);
            }
            if self.phase.is_some() {
                self.step_phase(tap);
                stepped += 1;
            }
            if self.switch.is_some() {
                self.step_switch(tap);
                stepped += 1;
            }
            if stepped == 0 {
                return;
            }
        }
    }

    /// The uplink has a frame and a place for it.
    pub(crate) fn can_steer(&self) -> bool {
        self.net.can_steer() && (self.net.steering() == Steer::Switch || self.adapter.has_room())
    }

    /// The uplink steers one frame; false when there was no place for it.
    pub(crate) fn steer(&mut self) -> bool {
        let adapter = &mut self.adapter;
        self.net.steer_one(|frame| adapter.give(frame))
    }

    /// The guest's port has a frame and the software body takes one.
    pub(crate) fn can_deliver(&self) -> bool {
        self.net.can_deliver() && self.body_runs() && self.body.has_room()
    }

    /// The guest's port delivers one frame to the software body, and those that wait behind it and continue its stream; false when it
    /// took none.
    pub(crate) fn deliver(&mut self) -> bool {
        let body = &mut self.body;
        let taken = self.net.deliver_one(|frame| body.give(frame));
        while taken && self.net.deliver_one(|frame| body.join(frame)) {}
        taken
    }

    /// Resets the guest's function, as a bus reset does.
    pub fn function_reset<T: Tap>(&mut self, tap: &mut T) {
        self.phase = None;
        self.switch = None;
        self.frozen = false;
        self.body_held = false;
        self.mode = Mode::Software;
        self.cool_adapter();
        self.plane.function_reset();
        self.body = Body::new(self.profile);
        self.body.plant(self.planted);
        self.body.set_link(self.plane.state().link_up);
        self.pci.reset();
        self.net.set_steer(Steer::Switch);
        self.net.pause(false);
        self.net.set_port(crate::net::Port::Open);
        self.messages = 0;
        self.line = false;
        tap.stimulus(Stimulus::FunctionReset, &self.memory);
    }

    /// The guest's kernel sets the function up again after a reset: decode, bus master, and the best kind of interrupts that
    /// the profile has, MSI-X if it is not told otherwise.
    pub fn enable_msix(&mut self) {
        self.pci = set_up(self.profile);
    }

    /// Vectors of the newest version that is offered.
    pub fn vectors(&self) -> usize {
        usize::from(self.profile.widest().vectors)
    }

    /// Vectors of the version in force.
    pub fn vectors_in_force(&self) -> usize {
        usize::from(self.profile.width(self.plane.state().version).vectors)
    }
}

/// The guest's function as its kernel leaves it for the driver.
fn set_up(profile: &Profile) -> Pci {
    Pci::of(profile).for_driver()
}
