//! The cut at every possible step: the machine is cloned, switched and run to idle, from wherever it is.

use crate::course::{check, machine, script, spaced_machine};
use model::guest::script::{Op, print};
use model::machine::{Mode, ROUNDS, Rig};
use model::migrate::{Direction, Outcome, Plan, Policy, Reason, TxMode};
use proptest::collection::vec;
use proptest::prelude::*;
use spec::event::Tap;
use spec::frame::Dice;
use spec::monitor::Judges;

/// Every way to leave where the machine is.
fn plans(mode: Mode) -> Vec<Plan> {
    let modes = [TxMode::Drain, TxMode::RollBack];
    match mode {
        Mode::Software => modes.into_iter().map(Plan::enter).collect(),
        Mode::Hardware => {
            let policies = [Policy::A, Policy::B, Policy::C, Policy::D];
            modes.into_iter().flat_map(|tx| policies.map(|policy| Plan::leave(tx, policy))).collect()
        }
    }
}

/// Switches a clone and lets it come to rest, the wire ready. The guest is on the other side, or the switch was undone for a
/// reason that lies in the guest, the wire or the FIFO.
fn cut(rig: &Rig, judges: &Judges, plan: Plan, ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut rig, mut judges) = (rig.clone(), judges.clone());
    let before = rig.machine.system.mode();
    if !rig.machine.switch(plan) {
        return Ok(());
    }
    rig.apply(&Op::Wire { ready: true }, &mut judges);
    let rested = rig.machine.settle(&mut judges, ROUNDS);
    let note = format!("cut with {plan:?}");
    prop_assert!(rested, "{note}: never came to rest\n{}", print(ops));
    check(&rig, &judges, ops, &note)?;
    let after = rig.machine.system.mode();
    match rig.machine.system.last_switch() {
        Some(Outcome::Done) => {
            prop_assert_ne!(before, after, "{}\n{}", note, print(ops));
            prop_assert_eq!(plan.direction == Direction::Enter, after == Mode::Hardware);
        }
        Some(Outcome::Undone(Reason::NothingToSwitch | Reason::TxRingFull | Reason::FifoFull | Reason::WireBusy)) => {
            prop_assert_eq!(before, after, "{}\n{}", note, print(ops));
        }
        other => return Err(TestCaseError::fail(format!("{note}: {other:?}\n{}", print(ops)))),
    }
    Ok(())
}

/// Runs `ops`, cutting before every one of them and at every step between.
fn run_and_cut(rig: &mut Rig, judges: &mut Judges, ops: &[Op]) -> Result<u32, TestCaseError> {
    let mut cuts = 0;
    let mut try_all = |rig: &Rig, judges: &Judges| {
        for plan in plans(rig.machine.system.mode()) {
            cuts += 1;
            cut(rig, judges, plan, ops)?;
        }
        Ok::<_, TestCaseError>(())
    };
    for op in ops {
        match op {
            Op::Step { count, pick } => {
                let mut dice = Dice::new(u64::from(*pick));
                for _ in 0..*count {
                    try_all(rig, judges)?;
                    if !rig.one_step(&mut dice, judges) {
                        break;
                    }
                }
            }
            op => {
                rig.apply(op, judges);
                try_all(rig, judges)?;
            }
        }
    }
    rig.apply(&Op::Wire { ready: true }, judges);
    rig.machine.settle(judges, ROUNDS);
    check(rig, judges, ops, "uncut")?;
    Ok(cuts)
}

fn into_hardware<T: Tap>(rig: &mut Rig, tap: &mut T) {
    rig.machine.switch(Plan::enter(TxMode::Drain));
    assert!(rig.machine.settle(tap, ROUNDS));
    assert_eq!(rig.machine.system.last_switch(), Some(Outcome::Done));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// P1 to P6, P8, P10 to P12, P15 and P16 for a cut into hardware at any step.
    #[test]
    fn entering_at_any_step_loses_nothing(ops in script(1, 14), auto_mask in any::<bool>()) {
        let (mut rig, mut judges) = machine(1, auto_mask);
        prop_assert!(run_and_cut(&mut rig, &mut judges, &ops)? > 0);
    }

    /// The same for a cut out of hardware, both TX modes, every policy.
    #[test]
    fn leaving_at_any_step_loses_nothing(ops in script(1, 12), auto_mask in any::<bool>()) {
        let (mut rig, mut judges) = machine(1, auto_mask);
        into_hardware(&mut rig, &mut judges);
        prop_assert!(run_and_cut(&mut rig, &mut judges, &ops)? > 0);
    }

    /// The same, both ways, of a device that spaces its interrupts, while time goes on: none that is held back is lost.
    #[test]
    fn a_spacing_is_cut_at_any_step(
        ops in script(1, 12), auto_mask in any::<bool>(), hardware in any::<bool>(), ticks in vec(0u64..90_000, 1..4)
    ) {
        let (mut rig, mut judges) = spaced_machine(auto_mask);
        if hardware {
            into_hardware(&mut rig, &mut judges);
        }
        let times = ticks.into_iter().cycle().map(|ns| Op::Advance { ns });
        let ops: Vec<_> = ops.into_iter().zip(times).flat_map(|(op, time)| [op, time]).collect();
        prop_assert!(run_and_cut(&mut rig, &mut judges, &ops)? > 0);
    }

    /// Two queue pairs, entering and leaving.
    #[test]
    fn queues_are_cut_at_different_places(ops in script(2, 8), hardware in any::<bool>()) {
        let (mut rig, mut judges) = machine(2, true);
        if hardware {
            into_hardware(&mut rig, &mut judges);
        }
        prop_assert!(run_and_cut(&mut rig, &mut judges, &ops)? > 0);
    }

    /// Any number of switches, anywhere.
    #[test]
    fn any_number_of_switches(ops in script(2, 60), every in 1usize..6, pick in any::<u64>()) {
        let (mut rig, mut judges) = machine(2, true);
        let mut dice = Dice::new(pick);
        for (i, op) in ops.iter().enumerate() {
            rig.apply(op, &mut judges);
            if i % every == 0 {
                let plans = plans(rig.machine.system.mode());
                rig.machine.switch(plans[dice.below(plans.len() as u64) as usize]);
                rig.steps(dice.below(120) as u32, dice.next(), &mut judges);
            }
        }
        rig.apply(&Op::Wire { ready: true }, &mut judges);
        prop_assert!(rig.machine.settle(&mut judges, ROUNDS));
        check(&rig, &judges, &ops, "many switches")?;
    }
}
