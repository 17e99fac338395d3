//! What judges write into: premises, violations, and the number of the event that is being judged.

use crate::clause::{Index, Tally};

/// How many violations are kept with their details; all of them are counted.
pub const KEPT: usize = 64;

/// What was seen to break a clause. Numbers only: rings and buffers can be looked up, words can be made from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A frame left that no posted packet explains.
    Unexplained {
        /// TX queue.
        queue: u8,
        /// Frame bytes.
        len: usize,
    },
    /// A frame is not what its packet says.
    WrongFrame {
        /// TX queue.
        queue: u8,
        /// First descriptor of the packet.
        first: u32,
        /// Number of the frame within the packet.
        segment: u32,
    },
    /// A packet was sent again.
    SentTwice {
        /// TX queue.
        queue: u8,
        /// First descriptor of the packet.
        first: u32,
    },
    /// A packet left after a later one.
    OutOfOrder {
        /// Queue.
        queue: u8,
        /// First descriptor of the packet, or the frame's place among those waiting.
        first: u32,
    },
    /// A packet that had to leave did not.
    Unsent {
        /// TX queue.
        queue: u8,
        /// First descriptor of the packet.
        first: u32,
        /// Event that posted it.
        posted_at: u64,
    },
    /// A packet was completed before it was sent.
    CompletedUnsent {
        /// TX queue.
        queue: u8,
        /// Last descriptor of the packet.
        last: u32,
    },
    /// A packet is due its completion.
    Uncompleted {
        /// TX queue.
        queue: u8,
        /// Last descriptor of the packet.
        last: u32,
    },
    /// A completion that names no packet, or a descriptor that is not next.
    BadCompletion {
        /// Queue.
        queue: u8,
        /// Slot it stands in.
        slot: u32,
        /// The 16 bytes.
        cell: u128,
    },
    /// A completion in the wrong slot or of the wrong generation.
    Misplaced {
        /// Queue.
        queue: u8,
        /// Slot it stands in.
        slot: u32,
        /// Slot that was next.
        expected: u32,
        /// Generation that was next.
        generation: bool,
    },
    /// A delivered frame is none that was offered.
    NotOffered {
        /// RX queue.
        queue: u8,
        /// Bytes delivered.
        len: usize,
    },
    /// A delivered frame should not have passed the filter.
    Filtered {
        /// RX queue.
        queue: u8,
        /// `rxMode` in force.
        rx_mode: u32,
    },
    /// A frame went to the wrong queue.
    WrongQueue {
        /// RX queue.
        queue: u8,
        /// The right one.
        expected: u8,
    },
    /// A frame that had to be delivered was not.
    Undelivered {
        /// Frame bytes.
        len: usize,
        /// Event that offered it.
        offered_at: u64,
    },
    /// An access where the device has no business.
    Access {
        /// Guest-physical address.
        pa: u64,
        /// Bytes.
        len: usize,
        /// A write.
        write: bool,
    },
    /// Data that a completion promises was not written.
    Unwritten {
        /// RX queue.
        queue: u8,
        /// Bytes written to the buffer.
        written: u32,
        /// Bytes promised.
        len: u32,
    },
    /// A vector was raised while it could not, or without a cause.
    Raised {
        /// Vector.
        vector: u16,
    },
    /// A vector was not raised for a completion.
    Untold {
        /// Vector.
        vector: u16,
        /// Event that completed.
        since: u64,
    },
    /// A register reads wrong.
    Register {
        /// Byte offset.
        offset: u32,
        /// Value read.
        value: u32,
    },
    /// A counter is wrong.
    Counter {
        /// Place in the queue table.
        queue: u8,
        /// Its place in the statistics block.
        counter: u8,
        /// Value read.
        value: u64,
        /// Smallest value that would be right.
        low: u64,
        /// Largest value that would be right.
        high: u64,
    },
}

/// A clause broken at one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Violation {
    /// Which clause.
    pub clause: Index,
    /// What was seen.
    pub what: What,
    /// Number of the stimulus or effect, counted from 1.
    pub at: u64,
}

/// Premises and violations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    pub(super) tally: Tally,
    pub(super) violations: Vec<Violation>,
    pub(super) at: u64,
}

impl Ledger {
    /// The premise of `clause` held.
    #[inline]
    pub(super) fn premise(&mut self, clause: Index) {
        self.tally.premise(clause);
    }

    /// The premise of `clause` held `times`.
    #[inline]
    pub(super) fn premises(&mut self, clause: Index, times: u64) {
        self.tally.premises(clause, times);
    }

    /// `clause` was broken. Its premise counts where it is looked at, not here.
    #[cold]
    pub(super) fn violated(&mut self, clause: Index, what: What) {
        self.tally.violated(clause);
        if self.violations.len() < KEPT {
            self.violations.push(Violation { clause, what, at: self.at });
        }
    }

    /// Counts the premise, and the violation where it does not hold.
    #[inline]
    pub(super) fn check(&mut self, clause: Index, holds: bool, what: impl FnOnce() -> What) {
        self.tally.premise(clause);
        if !holds {
            self.violated(clause, what());
        }
    }
}
