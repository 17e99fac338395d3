//! A machine with generated traffic, driven by script operations.

use super::{Action, Machine, Mode, System};
use crate::guest::packet::Packet;
use crate::guest::script::{Finish, Ingress, Op, Side};
use crate::guest::traffic::Traffic;
use crate::guest::vmxnet3::{Driver, DriverConfig, LayoutError};
use crate::memory::Memory;
use crate::migrate::{Direction, Plan, Policy, TxMode};
use crate::vic::Register;
use spec::event::{Bar, Tap};
use spec::frame::Dice;
use spec::profile::Profile;
use spec::vic::WqReg;
use spec::vmxnet3::Bar0;

/// Where guest memory begins.
pub const BASE: u64 = 0x1_0000;
/// Rounds after which a settling machine is called stuck.
pub const ROUNDS: u32 = 100_000;

/// A machine and what makes its traffic. Same seed, same operations: same run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rig {
    /// The machine.
    pub machine: Machine,
    traffic: Traffic,
    packet: Packet,
    frame: Vec<u8>,
    actions: Vec<Action>,
}

impl Rig {
    /// A machine at power-on with `bytes` of guest memory from [`BASE`] and a driver that has done nothing yet.
    ///
    /// # Errors
    /// When the driver's structures do not fit.
    pub fn new(profile: &'static Profile, config: DriverConfig, bytes: usize, seed: u64) -> Result<Self, LayoutError> {
        let mac = config.mac;
        let driver = Driver::plan(config, BASE, bytes as u64)?;
        let system = System::new(profile, Memory::new(&[(BASE, bytes)]), mac);
        Ok(Self {
            machine: Machine::new(system, driver),
            traffic: Traffic::new(seed, mac),
            packet: Packet::default(),
            frame: Vec::new(),
            actions: Vec::new(),
        })
    }

    /// Does one operation. What is not possible now does nothing; `Settle` answers whether everything came to rest.
    pub fn apply<T: Tap>(&mut self, op: &Op, tap: &mut T) -> bool {
        let Self { machine, traffic, packet, frame, .. } = self;
        match op {
            Op::Send { queue, shape } => {
                traffic.packet(shape, packet);
                machine.guest.send(*queue, packet);
            }
            Op::Kick { queue } => {
                machine.guest.kick(*queue);
            }
            Op::Poll { vector } => machine.guest.interrupt(u16::from(*vector)),
            Op::Offer { shape } => {
                traffic.wire(shape, frame);
                machine.system.offer(frame, tap);
            }
            Op::Wire { ready } => machine.system.set_wire(*ready, tap),
            Op::Link { up } => machine.system.set_link(*up, tap),
            Op::Advance { ns } => machine.system.advance(*ns, tap),
            Op::RxMode { bits } => {
                machine.guest.update_rx_mode(*bits);
            }
            Op::Multicast { groups } => {
                let list: Vec<_> = (0..*groups).map(Traffic::group).collect();
                machine.guest.set_multicast(&list);
            }
            Op::Vlans { vids } => {
                machine.guest.set_vlans(vids);
            }
            Op::Features { bits } => {
                machine.guest.set_features(*bits);
            }
            Op::Mac { mac } => {
                if machine.guest.set_mac(*mac) {
                    traffic.guest = *mac;
                }
            }
            Op::Stats => {
                machine.guest.get_stats();
            }
            Op::GetLink => machine.guest.get_link(),
            Op::Up => {
                machine.guest.bring_up();
            }
            Op::Down => {
                machine.guest.tear_down();
            }
            Op::Reset => {
                machine.guest.reset_cycle();
            }
            Op::FunctionReset => {
                machine.system.function_reset(tap);
                machine.system.enable_msix();
                machine.guest.on_function_reset();
            }
            Op::Step { count, pick } => self.steps(u32::from(*count), u64::from(*pick), tap),
            Op::Settle => return machine.settle(tap, ROUNDS),
            Op::Switch { to, finish, ingress } => {
                machine.switch(plan(*to, *finish, *ingress));
            }
        }
        true
    }

    /// Lets `count` things happen, chosen by a stream from `seed` among what is possible each time.
    pub fn steps<T: Tap>(&mut self, count: u32, seed: u64, tap: &mut T) {
        let mut dice = Dice::new(seed);
        for _ in 0..count {
            if !self.one_step(&mut dice, tap) {
                return;
            }
        }
    }

    /// Lets one thing happen; false when nothing can.
    pub fn one_step<T: Tap>(&mut self, dice: &mut Dice, tap: &mut T) -> bool {
        self.machine.actions(&mut self.actions);
        let Some(&action) = self.actions.get(dice.below(self.actions.len() as u64) as usize) else { return false };
        self.machine.act(action, tap);
        true
    }

    /// The guest rings TX queue `queue` with a value from long ago, and soon after with the right one again. In between only the
    /// adapter steps, `steps` times.
    pub fn ring_stale<T: Tap>(&mut self, queue: u8, back: u32, steps: u64, dice: &mut Dice, tap: &mut T) {
        let system = &mut self.machine.system;
        let Some(setup) = system.plane().activation().and_then(|a| a.tx.get(usize::from(queue))).copied() else {
            return;
        };
        if system.mode() != Mode::Hardware || !system.vcpus_run() {
            return;
        }
        let doorbell = Bar0::TxProd(queue).offset();
        // The read pushes doorbells that are on their way.
        system.guest_read(Bar::Bar0, Bar0::Imr(0).offset(), tap);
        let right = system.adapter().peek(Register::Wq(queue, WqReg::PostedIndex)) as u32;
        let stale = (right + setup.ring_size - back % setup.ring_size) % setup.ring_size;
        if !system.guest_write(Bar::Bar0, doorbell, stale, tap) {
            return;
        }
        for _ in 0..steps {
            self.machine.actions(&mut self.actions);
            self.actions.retain(|action| matches!(action, Action::Adapter(_)));
            let Some(&action) = self.actions.get(dice.below(self.actions.len() as u64) as usize) else { break };
            self.machine.act(action, tap);
        }
        let system = &mut self.machine.system;
        system.guest_read(Bar::Bar0, Bar0::Imr(0).offset(), tap);
        system.guest_write(Bar::Bar0, doorbell, right, tap);
    }

    /// Brings the guest up and settles.
    pub fn bring_up<T: Tap>(&mut self, tap: &mut T) -> bool {
        self.apply(&Op::Up, tap);
        self.apply(&Op::Settle, tap)
    }

    /// The traffic generator.
    pub fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }
}

/// A script's switch as a plan.
pub fn plan(to: Side, finish: Finish, ingress: Ingress) -> Plan {
    let direction = match to {
        Side::Hardware => Direction::Enter,
        Side::Software => Direction::Leave,
    };
    let tx = match finish {
        Finish::Drain => TxMode::Drain,
        Finish::Rollback => TxMode::RollBack,
    };
    let policy = match ingress {
        Ingress::A => Policy::A,
        Ingress::B => Policy::B,
        Ingress::C => Policy::C,
        Ingress::D => Policy::D,
    };
    Plan { direction, tx, policy, fail_at: None }
}
