//! The whole system as plain data: a guest, and everything that it meets. `actions` lists what can happen next, `act` does it;
//! property tests, campaigns, fuzzers and the explorer are schedulers over it.

mod live;
mod port;
mod rig;
mod system;

pub(crate) use port::Port;
pub use rig::{BASE, ROUNDS, Rig, plan};
pub(crate) use system::with_port;
pub use system::{Mode, System};

use crate::guest::GuestPort;
use crate::guest::vmxnet3::Driver;
use crate::migrate::Plan;
use crate::{vic, vmxnet3::body};
use spec::event::{Bar, Stimulus, Tap};

/// Something that can happen next, device time or guest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The guest's driver does its next micro-operation.
    Guest,
    /// The guest takes the message of a vector.
    Interrupt(u16),
    /// The software body steps.
    Body(body::Unit),
    /// The adapter steps.
    Adapter(vic::Unit),
    /// The command that runs on the adapter goes on.
    Phase,
    /// The uplink steers a frame.
    Steer,
    /// The guest's port delivers a frame.
    Deliver,
    /// The switch under way goes on.
    Switch,
}

/// A guest and everything it meets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// Everything but the guest.
    pub system: System,
    /// The guest's driver.
    pub guest: Driver,
    bodies: Vec<body::Unit>,
    adapters: Vec<vic::Unit>,
}

/// The guest's side of a system, with whoever watches.
#[derive(Debug)]
pub struct GuestSide<'a, T> {
    /// The system.
    pub system: &'a mut System,
    /// Who watches.
    pub tap: &'a mut T,
}

impl<T: Tap> GuestPort for GuestSide<'_, T> {
    #[inline]
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        // A store outside memory goes nowhere, as on a machine.
        let _ = self.system.guest_store(pa, bytes, self.tap);
    }
    #[inline]
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        if self.system.memory.read(pa, into).is_err() {
            into.fill(0xff);
        }
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        self.system.guest_write(bar, offset, value, self.tap)
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        self.system.guest_read(bar, offset, self.tap)
    }
}

impl Machine {
    /// A machine.
    pub fn new(system: System, guest: Driver) -> Self {
        Self { system, guest, bodies: Vec::new(), adapters: Vec::new() }
    }

    /// What can happen next, in a fixed order. It depends on the state alone.
    pub fn actions(&mut self, into: &mut Vec<Action>) {
        into.clear();
        let Self { system, guest, bodies, adapters } = self;
        if system.vcpus_run() {
            if guest.can_step() {
                into.push(Action::Guest);
            }
            let mut messages = system.messages;
            while messages != 0 {
                into.push(Action::Interrupt(messages.trailing_zeros() as u16));
                messages &= messages - 1;
            }
            if system.line && !guest.can_step() {
                into.push(Action::Interrupt(0));
            }
        }
        if system.body_runs() {
            bodies.clear();
            system.body.units(bodies);
            into.extend(bodies.iter().copied().map(Action::Body));
        }
        if system.adapter_runs() {
            adapters.clear();
            system.adapter.units(adapters);
            into.extend(adapters.iter().copied().map(Action::Adapter));
        }
        if system.phase.is_some() {
            into.push(Action::Phase);
        }
        if system.can_steer() {
            into.push(Action::Steer);
        }
        if system.can_deliver() {
            into.push(Action::Deliver);
        }
        if system.switch.is_some() {
            into.push(Action::Switch);
        }
    }

    /// Does `action`; one that is not possible now does nothing.
    pub fn act<T: Tap>(&mut self, action: Action, tap: &mut T) {
        match action {
            Action::Guest => {
                self.guest.step(&mut GuestSide { system: &mut self.system, tap });
            }
            Action::Interrupt(vector) => {
                if self.system.vcpus_run() && (self.system.take_message(vector) || vector == 0 && self.system.line) {
                    self.guest.interrupt(vector);
                }
            }
            Action::Body(unit) => self.system.step_body(unit, tap),
            Action::Adapter(unit) => self.system.step_adapter(unit, tap),
            Action::Phase => self.system.step_phase(tap),
            Action::Steer => {
                self.system.steer();
            }
            Action::Deliver => {
                self.system.deliver();
            }
            Action::Switch => self.system.step_switch(tap),
        }
    }

    /// Asks for a switch. False: one is under way already, or a command is.
    pub fn switch(&mut self, plan: Plan) -> bool {
        self.system.begin_switch(plan)
    }

    /// Lets everything happen, in a fixed order, and time go on where something waits for it, until nothing can happen or `budget`
    /// rounds are gone; then tells `Idle`.
    /// Returns false when the budget ended it.
    pub fn settle<T: Tap>(&mut self, tap: &mut T, budget: u32) -> bool {
        for _ in 0..budget {
            if self.round(tap) {
                continue;
            }
            let Some(ns) = self.system.wait_ns() else {
                tap.stimulus(Stimulus::Idle, &self.system.memory);
                return true;
            };
            self.system.advance(ns, tap);
        }
        false
    }

    /// One round of everything; false when nothing happened.
    fn round<T: Tap>(&mut self, tap: &mut T) -> bool {
        const BURST: u32 = 4096;
        let Self { system, guest, .. } = self;
        let mut busy = false;
        for _ in 0..BURST {
            if !system.vcpus_run() || !guest.can_step() || !guest.step(&mut GuestSide { system, tap }) {
                break;
            }
            busy = true;
        }
        if system.body_runs() {
            busy |= system.run_body(BURST, tap) > 0;
        }
        if system.adapter_runs() {
            busy |= system.run_adapter(BURST, tap) > 0;
        }
        while system.can_steer() && system.steer() {
            busy = true;
        }
        while system.can_deliver() && system.deliver() {
            busy = true;
            system.run_body(BURST, tap);
        }
        if system.phase.is_some() {
            system.step_phase(tap);
            busy = true;
        }
        if system.switch.is_some() {
            system.step_switch(tap);
            busy = true;
        }
        while system.vcpus_run() && system.messages != 0 {
            let vector = system.messages.trailing_zeros() as u16;
            system.take_message(vector);
            guest.interrupt(vector);
            busy = true;
        }
        if system.vcpus_run() && system.line && !guest.can_step() {
            guest.interrupt(0);
            busy = true;
        }
        busy
    }
}
