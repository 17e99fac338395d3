//! What a trace holds, read back: each call with what came of it.

use super::call::{Answer, Call};
use super::header::Header;
use super::write::Writer;
use spec::event::Effect;

/// A trace in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it says of itself.
    pub header: Header,
    /// Its calls, in order.
    pub steps: Vec<Step>,
    /// Claims of a case that did not hold, in order.
    pub claims: Vec<Claim>,
}

/// A claim of a case that did not hold when the conversation had come this far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Calls that had been made.
    pub after: usize,
    /// The clause, and what was found, on one line.
    pub words: String,
}

impl Trace {
    /// Effects of all calls.
    pub fn effects(&self) -> usize {
        self.steps.iter().map(|step| step.effects.len()).sum()
    }

    /// The trace as text; remarks of the text that it was read from are gone.
    pub fn print(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.header);
        let mut claims = self.claims.iter().peekable();
        for made in 0..=self.steps.len() {
            while let Some(claim) = claims.next_if(|claim| claim.after <= made) {
                writer.claim(&claim.words);
            }
            if let Some(step) = self.steps.get(made) {
                writer.step(step);
            }
        }
        // A vector takes every byte.
        writer.finish().unwrap_or_default()
    }
}

/// A call with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line of the call, from 1.
    pub line: usize,
    /// The call.
    pub call: Call<'static>,
    /// What the system did, in order.
    pub effects: Vec<Seen>,
    /// What the hypervisor looked at, in order.
    pub looks: Vec<Looked>,
    /// What the call answered.
    pub answer: Answer,
    /// Line of the answer; that of the last line of the step where none is written.
    pub answer_line: usize,
}

/// An effect with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its line, from 1.
    pub line: usize,
    /// What happened.
    pub what: What,
}

/// A look of the hypervisor with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its line, from 1.
    pub line: usize,
    /// Guest-physical address.
    pub pa: u64,
    /// Bytes asked for.
    pub len: usize,
    /// What was there; `None` outside guest memory.
    pub bytes: Option<Vec<u8>>,
}

/// An effect that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The device read guest memory.
    Read {
        /// Guest-physical address.
        pa: u64,
        /// Bytes read.
        bytes: Vec<u8>,
    },
    /// The device wrote guest memory.
    Write {
        /// Guest-physical address.
        pa: u64,
        /// Bytes written.
        bytes: Vec<u8>,
    },
    /// The device read a descriptor.
    Fetch {
        /// Guest-physical address.
        pa: u64,
        /// The 16 bytes.
        cell: u128,
    },
    /// The device wrote a completion.
    Publish {
        /// Guest-physical address.
        pa: u64,
        /// The 16 bytes.
        cell: u128,
    },
    /// An access was refused.
    Fault {
        /// Guest-physical address.
        pa: u64,
        /// Bytes.
        len: usize,
        /// A write.
        write: bool,
    },
    /// A frame left.
    Transmit {
        /// TX queue.
        queue: u8,
        /// The frame.
        frame: Vec<u8>,
    },
    /// A frame was dropped on purpose outside the device.
    Drop {
        /// The frame.
        frame: Vec<u8>,
    },
    /// A vector was raised.
    Vector {
        /// Vector index.
        index: u16,
    },
    /// The INTx line changed.
    Intx {
        /// Asserted.
        asserted: bool,
    },
    /// The body behind the function changed.
    Switched {
        /// Now in hardware.
        hardware: bool,
    },
}

impl What {
    /// The effect as monitors are told it; the change of body is a stimulus and has none.
    pub fn effect(&self) -> Option<Effect<'_>> {
        Some(match self {
            Self::Read { pa, bytes } => Effect::Read { pa: *pa, bytes },
            Self::Write { pa, bytes } => Effect::Write { pa: *pa, bytes },
            Self::Fetch { pa, cell } => Effect::Fetch { pa: *pa, cell: *cell },
            Self::Publish { pa, cell } => Effect::Publish { pa: *pa, cell: *cell },
            Self::Fault { pa, len, write } => Effect::Fault { pa: *pa, len: *len, write: *write },
            Self::Transmit { queue, frame } => Effect::Transmit { queue: *queue, frame },
            Self::Drop { frame } => Effect::SwitchDrop { frame },
            Self::Vector { index } => Effect::Vector { index: *index },
            Self::Intx { asserted } => Effect::Intx { asserted: *asserted },
            Self::Switched { .. } => return None,
        })
    }

    /// Address, length and whether the device wrote, of what touches guest memory.
    pub fn touches(&self) -> Option<(u64, usize, bool)> {
        match self {
            Self::Read { pa, bytes } => Some((*pa, bytes.len(), false)),
            Self::Write { pa, bytes } => Some((*pa, bytes.len(), true)),
            Self::Fetch { pa, .. } => Some((*pa, 16, false)),
            Self::Publish { pa, .. } => Some((*pa, 16, true)),
            _ => None,
        }
    }
}

impl From<Effect<'_>> for What {
    fn from(effect: Effect<'_>) -> Self {
        match effect {
            Effect::Read { pa, bytes } => Self::Read { pa, bytes: bytes.to_vec() },
            Effect::Write { pa, bytes } => Self::Write { pa, bytes: bytes.to_vec() },
            Effect::Fetch { pa, cell } => Self::Fetch { pa, cell },
            Effect::Publish { pa, cell } => Self::Publish { pa, cell },
            Effect::Fault { pa, len, write } => Self::Fault { pa, len, write },
            Effect::Transmit { queue, frame } => Self::Transmit { queue, frame: frame.to_vec() },
            Effect::SwitchDrop { frame } => Self::Drop { frame: frame.to_vec() },
            Effect::Vector { index } => Self::Vector { index },
            Effect::Intx { asserted } => Self::Intx { asserted },
        }
    }
}
