//! Who watches a case: judges, and a record of what the device did.

use super::tape::Tape;
use golden::trace::What;
use spec::event::{Effect, GuestView, Stimulus, Tap};
use spec::monitor::Judges;
use spec::vmxnet3::CELL_BYTES;

/// Something the device did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It read guest memory: address and bytes.
    Read(u64, usize),
    /// It wrote guest memory: address and bytes.
    Write(u64, usize),
    /// It sent a frame.
    Sent(u8, Vec<u8>),
    /// It raised a vector.
    Vector(u16),
    /// It changed the INTx line.
    Line(bool),
    /// An access of it was refused.
    Fault(u64),
}

/// Judges, if wanted, and a record of what the device did.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub(super) judges: Option<Judges>,
    /// What the device did since the record was last taken, oldest first.
    pub seen: Vec<Seen>,
    /// Keeps the whole conversation, if wanted.
    pub(super) tape: Option<Tape>,
}

impl Tap for Watch {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        if let (Some(tape), Stimulus::Switched { hardware }) = (&self.tape, stimulus) {
            tape.effect(What::Switched { hardware });
        }
        if let Some(judges) = &mut self.judges {
            judges.stimulus(stimulus, memory);
        }
    }
    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        if let Some(tape) = &self.tape {
            tape.effect(effect.into());
        }
        self.seen.push(match effect {
            Effect::Read { pa, bytes } => Seen::Read(pa, bytes.len()),
            Effect::Fetch { pa, .. } => Seen::Read(pa, CELL_BYTES as usize),
            Effect::Write { pa, bytes } => Seen::Write(pa, bytes.len()),
            Effect::Publish { pa, .. } => Seen::Write(pa, CELL_BYTES as usize),
            Effect::Transmit { queue, frame } => Seen::Sent(queue, frame.to_vec()),
            Effect::Vector { index } => Seen::Vector(index),
            Effect::Intx { asserted } => Seen::Line(asserted),
            Effect::Fault { pa, .. } => Seen::Fault(pa),
            Effect::SwitchDrop { .. } => return self.tell(effect, memory),
        });
        self.tell(effect, memory);
    }
}

impl Watch {
    fn tell(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        if let Some(judges) = &mut self.judges {
            judges.effect(effect, memory);
        }
    }
}
