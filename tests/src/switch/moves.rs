//! The move's arithmetic and its length.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::machine::Action;
use model::migrate::{Plan, Policy, TxMode};
use spec::correspond::{derive_generation, posted_index};
use spec::frame::Dice;
use spec::profile::Profile;
use spec::vmxnet3::MAX_VECTORS;

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "derived-generations",
        clauses: &["SWI-GEN-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: derived_generations,
    },
    Case {
        id: "steps-of-a-switch",
        clauses: &["SWI-STP-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: steps_of_a_switch,
    },
];

/// A ring after `consumed` cells were used up and `owned` more were posted, lap after lap from zeroed memory.
fn ring(size: u32, consumed: u32, owned: u32) -> Vec<bool> {
    let mut cells = vec![false; size as usize];
    for position in 0..consumed + owned {
        cells[(position % size) as usize] = (position / size).is_multiple_of(2);
    }
    cells
}

fn derived_generations(check: &mut Check) {
    for size in 1..=12u32 {
        for consumed in 0..4 * size {
            let (fetch, expected) = (consumed % size, (consumed / size).is_multiple_of(2));
            for owned in 0..=size {
                let cells = ring(size, consumed, owned);
                for lag in 0..=owned {
                    let posted = posted_index(fetch, owned - lag, size);
                    if posted == fetch && owned == size {
                        continue;
                    }
                    let derived = derive_generation(fetch, posted, size, |i| cells[i as usize]);
                    check.holds("SWI-GEN-001", derived == expected, "the derived generation is the ring's");
                }
            }
        }
    }
}

/// Most steps of a switch on an adapter that steps too, whatever guest and wire do: each of the stages that wait does so within
/// the drain budget, asking the adapter costs four steps, and what is programmed is so much a vector, a queue, a filter and a
/// frame in the ingress FIFO.
pub fn most_steps(profile: &Profile, queues: u64, filters: u64) -> u64 {
    const WAITING_STAGES: u64 = 8;
    const ASKING: u64 = 4;
    const PER_VECTOR: u64 = 6;
    const PER_QUEUE: u64 = 96;
    const PER_FILTER: u64 = 4;
    const PER_FRAME: u64 = 6;
    const STAGES: u64 = 32;
    ASKING * WAITING_STAGES * u64::from(profile.drain_budget)
        + PER_VECTOR * MAX_VECTORS as u64
        + PER_QUEUE * queues
        + PER_FILTER * filters
        + PER_FRAME * profile.adapter.ingress_fifo as u64
        + STAGES
}

/// Steps of the switch under way, everything else that can step doing so between two of them; `None`: it does not end.
fn steps(bench: &mut Bench, most: u64, dice: &mut Dice) -> Option<u64> {
    let (mut taken, mut actions) = (0, Vec::new());
    while bench.system().switching() {
        if taken > most {
            return None;
        }
        bench.inside().act(Action::Switch);
        taken += 1;
        for _ in 0..4 {
            bench.inside().machine.actions(&mut actions);
            actions.retain(|action| !matches!(action, Action::Switch | Action::Guest | Action::Interrupt(_)));
            if let Some(&action) = actions.get(dice.below(actions.len() as u64) as usize) {
                bench.inside().act(action);
            }
        }
    }
    Some(taken)
}

fn steps_of_a_switch(check: &mut Check) {
    let policies = [Policy::A, Policy::B, Policy::C, Policy::D];
    for queues in [1u8, 4] {
        check.on(Target::Both, &Setup { judged: false, ..Setup::default().queues(queues) }, |check, bench| {
            bench.start();
            let most = most_steps(check.profile(), 2 * u64::from(queues), 2);
            let hardware = bench.in_hardware();
            let mut dice = Dice::new(u64::from(queues));
            for tx in [TxMode::Drain, TxMode::RollBack] {
                for policy in policies.into_iter().take(if hardware { 4 } else { 1 }) {
                    for wire in [true, false] {
                        let mut one = bench.branch();
                        one.wire(wire);
                        for q in 0..usize::from(queues) {
                            for _ in 0..6 {
                                let frame = one.from_guest(80);
                                one.send(q, &frame);
                            }
                        }
                        for _ in 0..40 {
                            let frame = one.to_guest(80);
                            one.offer(&frame);
                        }
                        let plan = if hardware { Plan::leave(tx, policy) } else { Plan::enter(tx) };
                        one.inside().machine.switch(plan);
                        let taken = steps(&mut one, most, &mut dice);
                        check.holds("SWI-STP-001", taken.is_some(), "a switch ends within its steps");
                        one.wire(true);
                        one.settle();
                        check.holds("SWI-STP-001", one.stuck().is_none(), "and the machine comes to rest");
                    }
                }
            }
        });
    }
}
