//! A run with switches and a run without, same guest operations: equal at every idle point, where no frame met a lack of buffers.

use crate::course::{BYTES, config, op};
use model::guest::script::{Op, print};
use model::guest::shape::{Bounds, Shape, WireShape};
use model::guest::vmxnet3::DriverConfig;
use model::machine::{BASE, Mode, ROUNDS, Rig};
use model::migrate::{Outcome, Plan, Policy, TxMode};
use model::mutant::{Mutant, Planted};
use proptest::collection::vec;
use proptest::prelude::*;
use spec::event::{Bar, Effect, GuestView, Stimulus, Tap};
use spec::frame::Dice;
use spec::profile::Profile;
use spec::vmxnet3::{Bar0, QUEUE_DESC_BYTES};
use std::collections::BTreeMap;

/// Frames sent, a queue each.
#[derive(Default, PartialEq, Eq, Debug)]
struct Sent(BTreeMap<u8, Vec<Vec<u8>>>);

impl Tap for Sent {
    fn stimulus(&mut self, _: Stimulus<'_>, _: &dyn GuestView) {}
    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        if let Effect::Transmit { queue, frame } = effect {
            self.0.entry(queue).or_default().push(frame.to_vec());
        }
    }
}

/// What must be equal at rest: guest memory but for the words by which the device tells its mode, masks, and frames a queue.
fn at_rest(rig: &mut Rig, sent: &mut Sent) -> (Vec<u8>, Vec<u32>) {
    let system = &mut rig.machine.system;
    let masks = (0..4).filter_map(|i| system.guest_read(Bar::Bar0, Bar0::Imr(i).offset(), sent)).collect();
    let mut memory = system.memory().bytes(BASE, BYTES).expect("all of it").to_vec();
    let table = (system.plane().state().queue_desc_pa - BASE) as usize;
    let queues = usize::from(rig.machine.guest.config().tx_queues);
    for queue in 0..queues {
        memory[table + queue * QUEUE_DESC_BYTES as usize..][..16].fill(0);
        memory[table + (queues + queue) * QUEUE_DESC_BYTES as usize..][..16].fill(0);
    }
    (memory, masks)
}

/// Frames dropped for lack of buffers so far, by the device's own word.
fn starved(rig: &mut Rig, sent: &mut Sent) -> u64 {
    rig.apply(&Op::Stats, sent);
    rig.machine.settle(sent, ROUNDS);
    rig.machine.guest.stats().1.iter().map(spec::vmxnet3::RxStats::pkts_rx_out_of_buf).sum()
}

/// A change of configuration is ordered against traffic: before it and after it everything rests.
fn apply(rig: &mut Rig, op: &Op, sent: &mut Sent) {
    let ordered = matches!(op, Op::RxMode { .. } | Op::Multicast { .. });
    if ordered {
        rig.apply(&Op::Wire { ready: true }, sent);
        rig.machine.settle(sent, ROUNDS);
    }
    rig.apply(op, sent);
    if ordered {
        rig.machine.settle(sent, ROUNDS);
    }
}

fn round(rig: &mut Rig, ops: &[Op], sent: &mut Sent) {
    for op in ops {
        apply(rig, op, sent);
    }
    // What nobody rang for may leave or stay; a switch looks at every ring.
    for queue in 0..2 {
        rig.apply(&Op::Kick { queue }, sent);
    }
    rig.apply(&Op::Wire { ready: true }, sent);
    assert!(rig.machine.settle(sent, ROUNDS));
}

/// A guest operation whose meaning does not depend on when steps happen.
fn guest_op() -> impl Strategy<Value = Op> {
    op(2).prop_filter("scheduling is the other run's own", |op| !matches!(op, Op::Step { .. } | Op::Stats))
}

/// Runs both and compares at every rest, until a frame meets a lack of buffers. Answers how many rests were compared, or what
/// differed.
fn compare(bursts: &[Vec<Op>], pick: u64, planted: Planted) -> Result<u32, &'static str> {
    let roomy = DriverConfig { rx_ring: [24, 12], rx_comp: 36, tx_ring: 14, tx_comp: 14, ..config(2, true) };
    let rig = Rig::new(&Profile::SMALL, roomy, BYTES, 5).expect("the driver fits");
    let (mut still, mut moved) = (rig.clone(), rig);
    moved.machine.system.plant(planted);
    let (mut still_sent, mut moved_sent) = (Sent::default(), Sent::default());
    assert!(still.bring_up(&mut still_sent) && moved.bring_up(&mut moved_sent));
    let mut dice = Dice::new(pick);
    let mut compared = 0;
    for ops in bursts {
        round(&mut still, ops, &mut still_sent);
        for op in ops {
            apply(&mut moved, op, &mut moved_sent);
            moved.steps(dice.below(12) as u32, dice.next(), &mut moved_sent);
        }
        let tx = if dice.once_in(2) { TxMode::Drain } else { TxMode::RollBack };
        let policy = [Policy::A, Policy::B, Policy::C][dice.below(3) as usize];
        let plan = match moved.machine.system.mode() {
            Mode::Software => Plan::enter(tx),
            Mode::Hardware => Plan::leave(tx, policy),
        };
        moved.machine.switch(plan);
        round(&mut moved, &[], &mut moved_sent);
        if starved(&mut still, &mut still_sent) + starved(&mut moved, &mut moved_sent) > 0 {
            break;
        }
        if still_sent != moved_sent {
            return Err("frames");
        }
        let (a, b) = (at_rest(&mut still, &mut still_sent), at_rest(&mut moved, &mut moved_sent));
        if a.1 != b.1 {
            return Err("masks");
        }
        if a.0 != b.0 {
            return Err("memory");
        }
        if matches!(moved.machine.system.last_switch(), Some(Outcome::Stopped(..))) {
            return Err("stopped");
        }
        compared += 1;
    }
    Ok(compared)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// P8 in its strong form.
    #[test]
    fn switches_cannot_be_told_at_rest(bursts in vec(vec(guest_op(), 1..6), 1..10), pick in any::<u64>()) {
        let outcome = compare(&bursts, pick, Planted::NONE);
        let text = bursts.iter().map(|ops| print(ops)).collect::<Vec<_>>().join("--\n");
        prop_assert!(outcome.is_ok(), "{:?} with pick {}\n{}", outcome, pick, text);
    }
}

/// Bursts from a seed, for claims about many of them.
fn rolled(seed: u64) -> Vec<Vec<Op>> {
    let mut dice = Dice::new(seed);
    let bounds = Bounds { frame: 150, segmented: 0, fragments: 2, flows: 2, streams: false, tunnels: false };
    let op = |dice: &mut Dice| match dice.below(2) {
        0 => Op::Send { queue: dice.below(2) as u8, shape: Shape::roll(dice, &bounds) },
        _ => Op::Offer { shape: WireShape::roll(dice, &bounds) },
    };
    (0..6).map(|_| (0..1 + dice.below(5)).map(|_| op(&mut dice)).collect()).collect()
}

#[test]
fn most_rests_are_compared() {
    let compared: u32 = (0..50).map(|seed| compare(&rolled(seed), seed, Planted::NONE).expect("equal")).sum();
    assert!(compared > 200, "{compared}");
}

#[test]
fn what_a_broken_move_does_is_told_at_rest() {
    for mutant in [Mutant::MoveFiltersLost, Mutant::MoveIndexOffByOne, Mutant::MoveCountersLost] {
        let told = (0..50).filter(|&seed| compare(&rolled(seed), seed, Planted::some(mutant)).is_err()).count();
        assert!(told > 0, "{mutant:?}");
    }
}
