//! Bringing the device up, and moving it between the bodies.

use super::{Bench, Device};
use crate::case::Target;
use model::machine::Mode;
use model::migrate::{Outcome, Plan, Policy, TxMode};
use spec::profile::Deviation;
use spec::vmxnet3::Command;

impl Bench<'_> {
    /// Everything before ACTIVATE_DEV: structures, address, shared area.
    pub fn prepare(&mut self) {
        self.write_structures();
        let mac = self.config.mac;
        self.set_mac(mac);
        let shared = self.layout.shared;
        self.set_shared(shared);
    }

    /// ACTIVATE_DEV and its answer. Where that restores the permanent address, the guest writes its own again.
    pub fn activate(&mut self) -> u32 {
        let answer = self.command(Command::ActivateDev);
        if self.profile.has(Deviation::ActivateRestoresMac) {
            let mac = self.config.mac;
            self.set_mac(mac);
        }
        answer
    }

    /// Brings the device up on its target.
    pub fn start(&mut self) {
        self.prepare();
        if self.activate() != 0 {
            self.stuck.get_or_insert("ACTIVATE_DEV refused a plain configuration");
        }
        self.to_target();
    }

    /// Activates again with fresh rings, and goes to the target.
    pub fn restart(&mut self) -> u32 {
        self.write_structures();
        let answer = self.activate();
        if answer == 0 {
            self.to_target();
        }
        answer
    }

    /// Goes into hardware where that is the target.
    pub fn to_target(&mut self) {
        if self.target == Target::Adapter && self.switch(Plan::enter(TxMode::Drain)) != Some(Outcome::Done) {
            self.stuck.get_or_insert("the switch into hardware was not made");
        }
    }

    /// Comes back to software.
    pub fn leave(&mut self) -> bool {
        self.switch(Plan::leave(TxMode::Drain, Policy::C)) == Some(Outcome::Done)
    }

    /// Makes a switch and settles.
    pub fn switch(&mut self, plan: Plan) -> Option<Outcome> {
        self.settle();
        if !self.device.switch(plan) {
            return None;
        }
        self.settle();
        self.system().last_switch()
    }

    /// Whether the adapter backs the guest.
    pub fn in_hardware(&self) -> bool {
        match &self.device {
            Device::Ours(inside) => inside.machine.system.mode() == Mode::Hardware,
            Device::Theirs(_) => false,
        }
    }
}
