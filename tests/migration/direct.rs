//! The pass-through page mapped into the guest: no doorbell is seen, what is posted is found by looking, and switches happen
//! all the same.

use crate::course::{check, machine, op};
use model::guest::GuestPort;
use model::guest::script::Op;
use model::machine::{GuestSide, Mode, Rig};
use model::migrate::{Plan, Policy, TxMode};
use proptest::collection::vec;
use proptest::prelude::*;
use spec::event::{Bar, Stimulus, Tap};
use spec::frame::Dice;
use spec::monitor::Judges;
use spec::vmxnet3::Bar0;

/// A guest whose doorbells nobody hears; its other writes arrive.
struct Unheard<P>(P);

impl<P: GuestPort> GuestPort for Unheard<P> {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.0.store(pa, bytes);
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        self.0.load(pa, into);
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        let doorbell = matches!(Bar0::decode(offset), Some(Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_)));
        (bar == Bar::Bar0 && doorbell) || self.0.write(bar, offset, value)
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        self.0.read(bar, offset)
    }
}

/// Everything happens once, devices at most `budget` steps; false when nothing did. `look`: rings are looked at.
fn round<T: Tap>(rig: &mut Rig, budget: u32, look: bool, tap: &mut T) -> bool {
    let (system, guest) = (&mut rig.machine.system, &mut rig.machine.guest);
    let mut busy = false;
    for _ in 0..budget {
        let can = system.vcpus_run() && guest.can_step();
        if !can || !guest.step(&mut Unheard(GuestSide { system: &mut *system, tap: &mut *tap })) {
            break;
        }
        busy = true;
    }
    if look {
        system.notice(tap);
    }
    while system.switching() || !system.vcpus_run() {
        system.step_devices(1, tap);
        busy = true;
    }
    let before = system.clone();
    system.run_devices(budget, tap);
    busy |= *system != before;
    for vector in 0..65 {
        if system.take_message(vector) {
            guest.interrupt(vector);
            busy = true;
        }
    }
    busy
}

fn run(ops: &[Op], seed: u64, look: bool) -> (Rig, Judges) {
    let (mut rig, mut judges) = machine(2, true);
    let mut dice = Dice::new(seed);
    for op in ops {
        match op {
            Op::Step { .. } | Op::Settle => {
                round(&mut rig, 1 + dice.below(40) as u32, look, &mut judges);
            }
            op => {
                rig.apply(op, &mut judges);
            }
        }
        if dice.below(4) == 0 {
            let policy = [Policy::A, Policy::B, Policy::C][dice.below(3) as usize];
            let plan = match rig.machine.system.mode() {
                Mode::Software => Plan::enter(TxMode::Drain),
                Mode::Hardware => Plan::leave(TxMode::Drain, policy),
            };
            rig.machine.switch(plan);
        }
    }
    rig.apply(&Op::Wire { ready: true }, &mut judges);
    let mut rounds = 0;
    while round(&mut rig, 1000, look, &mut judges) {
        rounds += 1;
        assert!(rounds < 10_000, "it comes to rest");
    }
    judges.stimulus(Stimulus::Idle, rig.machine.system.memory());
    (rig, judges)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_lost_without_doorbells(ops in vec(op(2), 1..60), seed in any::<u64>()) {
        let (rig, judges) = run(&ops, seed, true);
        check(&rig, &judges, &ops, &format!("seed {seed}"))?;
    }
}

#[test]
fn a_server_that_does_not_look_sends_nothing() {
    use model::guest::shape::{Bounds, Shape};
    let shape = Shape::roll(
        &mut Dice::new(1),
        &Bounds { frame: 100, segmented: 100, fragments: 1, flows: 1, streams: false, tunnels: false },
    );
    let ops = [Op::Send { queue: 0, shape }, Op::Settle];
    let sent = |look| {
        // No switch may look in its place.
        let (mut rig, mut judges) = machine(2, true);
        rig.apply(&ops[0], &mut judges);
        while round(&mut rig, 1000, look, &mut judges) {}
        rig.machine.system.body().progress().map(|progress| progress.tx[0].next.index())
    };
    assert_eq!(sent(false), Ok(0));
    assert_ne!(sent(true), Ok(0));
}
