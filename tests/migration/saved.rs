//! A whole function through bytes into another system: it is the same one, and goes on as the other would have.

use crate::course::{machine, op};
use model::guest::script::Op;
use model::machine::{Mode, Rig};
use model::migrate::{RestoreError, Saved};
use proptest::collection::vec;
use proptest::prelude::*;
use spec::event::{Effect, GuestView, Stimulus, Tap};
use spec::monitor::Judges;
use spec::profile::Profile;

/// Frames and interrupts that leave a system, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outside {
    frames: Vec<(u8, Vec<u8>)>,
    interrupts: Vec<u16>,
    line: Vec<bool>,
}

impl Tap for Outside {
    fn stimulus(&mut self, _: Stimulus<'_>, _: &dyn GuestView) {}
    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        match effect {
            Effect::Transmit { queue, frame } => self.frames.push((queue, frame.to_vec())),
            Effect::Vector { index } => self.interrupts.push(index),
            Effect::Intx { asserted } => self.line.push(asserted),
            _ => {}
        }
    }
}

/// Brings a machine to where it can be saved, and its bytes; `None` when the wire keeps it from that.
fn saved(rig: &mut Rig, judges: &mut Judges) -> Option<Vec<u8>> {
    let system = &mut rig.machine.system;
    if system.mode() == Mode::Hardware || !system.settle(judges) {
        return None;
    }
    (0..65).for_each(|vector| {
        if system.take_message(vector) {
            rig.machine.guest.interrupt(vector);
        }
    });
    let mut bytes = Vec::new();
    rig.machine.system.save().expect("settled").encode(&Profile::SMALL, &mut bytes);
    Some(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// What is restored saves to the very bytes it came from, and the guest cannot tell: the same frames leave, the same memory is
    /// written, and no interrupt is missing, whatever it does afterwards.
    #[test]
    fn a_restored_function_is_the_one_that_was_saved(
        before in vec(op(2), 1..40),
        after in vec(op(2), 1..30),
        auto_mask in any::<bool>(),
        moved in any::<bool>(),
    ) {
        let (mut rig, mut judges) = machine(2, auto_mask);
        before.iter().for_each(|op| { rig.apply(op, &mut judges); });
        // Time and wire are the scheduler's: both systems begin alike.
        rig.apply(&Op::Wire { ready: true }, &mut judges);
        let Some(bytes) = saved(&mut rig, &mut judges) else { return Ok(()) };
        prop_assert!(judges.verdict().is_clean());
        let mut other = rig.clone();
        let state = Saved::decode(&Profile::SMALL, &bytes).expect("what was saved");
        if moved {
            // Another host has had other guests.
            other.machine.system.function_reset(&mut ());
        }
        other.machine.system.restore(&state, &mut ());
        let mut again = Vec::new();
        other.machine.system.save().expect("at rest").encode(&Profile::SMALL, &mut again);
        prop_assert_eq!(&again, &bytes);

        // A restored body looks at every ring, as an edge is not state; so does the other, or what was posted without a doorbell would
        // be found by one of them only.
        rig.machine.system.notice(&mut ());
        let mut outside = [Outside::default(), Outside::default()];
        for (rig, outside) in [&mut rig, &mut other].into_iter().zip(&mut outside) {
            rig.machine.system.run_devices(u32::MAX, outside);
            // From one idle point to the next, both do the same; in between only the number of looks at rings differs.
            for op in &after {
                rig.apply(op, outside);
                prop_assert!(rig.apply(&Op::Settle, outside));
            }
        }
        prop_assert_eq!(&outside[0].frames, &outside[1].frames);
        prop_assert_eq!(&outside[0].interrupts, &outside[1].interrupts);
        prop_assert_eq!(&outside[0].line, &outside[1].line);
        prop_assert_eq!(rig.machine.system.memory(), other.machine.system.memory());
        prop_assert_eq!(&rig.machine.guest, &other.machine.guest);
        prop_assert_eq!(rig.machine.guest.breaches(), []);
    }

    /// Whatever is taken saves to the very bytes it came from: nothing is ignored, and a foreign profile is refused.
    #[test]
    fn a_changed_byte_is_refused_or_means_something(
        ops in vec(op(1), 1..12),
        up in any::<bool>(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let (mut rig, mut judges) = machine(1, true);
        ops.iter().for_each(|op| { rig.apply(op, &mut judges); });
        if !up {
            rig.apply(&Op::Down, &mut judges);
            rig.apply(&Op::Settle, &mut judges);
        }
        rig.apply(&Op::Wire { ready: true }, &mut judges);
        let Some(mut bytes) = saved(&mut rig, &mut judges) else { return Ok(()) };
        let refused = Err(RestoreError::Profile { found: Profile::SMALL.id });
        prop_assert_eq!(Saved::decode(&Profile::REFERENCE, &bytes), refused);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(state) = Saved::decode(&Profile::SMALL, &bytes) {
            let mut again = Vec::new();
            state.encode(&Profile::SMALL, &mut again);
            prop_assert_eq!(&again, &bytes);
            // What is taken can be lived in.
            rig.machine.system.restore(&state, &mut ());
            rig.machine.system.run_devices(1000, &mut ());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..1200)) {
        prop_assert!(Saved::decode(&Profile::SMALL, &bytes).is_err());
    }
}

#[test]
fn every_truncation_is_refused() {
    let (mut rig, mut judges) = machine(2, true);
    let bytes = saved(&mut rig, &mut judges).expect("at rest");
    for end in 0..bytes.len() {
        let refused = Saved::decode(&Profile::SMALL, &bytes[..end]);
        assert!(matches!(refused, Err(RestoreError::Truncated { .. })), "{end}");
    }
}

#[test]
fn a_function_under_way_is_not_saved() {
    let (mut rig, mut judges) = machine(1, true);
    rig.apply(&"switch hardware drain C".parse().expect("an operation"), &mut judges);
    assert_eq!(rig.machine.system.save().unwrap_err().to_string(), "a switch or a command is under way");
    rig.apply(&Op::Settle, &mut judges);
    assert_eq!(rig.machine.system.mode(), Mode::Hardware);
    assert!(!rig.machine.system.settle(&mut judges));
    assert_eq!(rig.machine.system.save().unwrap_err().to_string(), "the function is on the adapter");
}
