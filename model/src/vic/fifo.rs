//! The write FIFO: everything the adapter writes to memory leaves here, in order, one entry a step.
//!
//! It also holds the completion queues' control blocks, since an entry gets its place in a completion ring only when it
//! leaves. Not modelled: `flow_control_enable` (drivers write 0) and completion messages (`cq_message_enable`).

use std::collections::VecDeque;

use spec::vic::CqReg;
use spec::vmxnet3::CELL_BYTES;

use super::Adapter;
use super::rx::spoilt;
use super::stats::Class;
use crate::host::Host;
use crate::mutant::Mutant;

/// Completion queue control block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cq {
    /// Bus address of the completion ring.
    pub ring_base: u64,
    /// Entries.
    pub ring_size: u32,
    /// Entry written next.
    pub tail: u32,
    /// Colour written next.
    pub color: bool,
    /// Colour is written.
    pub color_enable: bool,
    /// Entries are written.
    pub entry_enable: bool,
    /// Each entry adds a credit.
    pub interrupt_enable: bool,
    /// Interrupt block of the credits.
    pub interrupt_offset: u32,
    /// Kept, without effect here.
    pub inert: [u64; 4],
}

impl Cq {
    /// After power-up. Source: `CqReg::MAP`.
    pub fn reset() -> Self {
        Self { color: true, ..Self::default() }
    }

    /// A register's value.
    pub fn read(&self, reg: CqReg) -> u64 {
        match reg {
            CqReg::RingBase => self.ring_base,
            CqReg::RingSize => u64::from(self.ring_size),
            CqReg::FlowControlEnable => self.inert[0],
            CqReg::ColorEnable => u64::from(self.color_enable),
            CqReg::CqHead => self.inert[1],
            CqReg::CqTail => u64::from(self.tail),
            CqReg::CqTailColor => u64::from(self.color),
            CqReg::InterruptEnable => u64::from(self.interrupt_enable),
            CqReg::CqEntryEnable => u64::from(self.entry_enable),
            CqReg::CqMessageEnable => self.inert[2],
            CqReg::InterruptOffset => u64::from(self.interrupt_offset),
            CqReg::CqMessageAddr => self.inert[3],
        }
    }

    /// Writes a register.
    pub fn write(&mut self, reg: CqReg, value: u64) {
        let word = value as u32;
        match reg {
            CqReg::RingBase => self.ring_base = value,
            CqReg::RingSize => self.ring_size = word,
            CqReg::FlowControlEnable => self.inert[0] = u64::from(word),
            CqReg::ColorEnable => self.color_enable = word & 1 == 1,
            CqReg::CqHead => self.inert[1] = u64::from(word),
            CqReg::CqTail => self.tail = word,
            CqReg::CqTailColor => self.color = word & 1 == 1,
            CqReg::InterruptEnable => self.interrupt_enable = word & 1 == 1,
            CqReg::CqEntryEnable => self.entry_enable = word & 1 == 1,
            CqReg::CqMessageEnable => self.inert[2] = u64::from(word),
            CqReg::InterruptOffset => self.interrupt_offset = word,
            CqReg::CqMessageAddr => self.inert[3] = value,
        }
    }

    /// The address and cell of the next entry with its colour, and the place moves on; nothing where the ring is not usable.
    #[inline]
    pub fn place(&mut self, mut cell: u128, stuck: bool) -> Option<(u64, u128)> {
        if !self.entry_enable || self.tail >= self.ring_size {
            return None;
        }
        let pa = self.ring_base.wrapping_add(u64::from(self.tail) * CELL_BYTES);
        if self.color_enable {
            cell |= u128::from(self.color) << 127;
        }
        self.tail += 1;
        if self.tail == self.ring_size {
            self.tail = 0;
            self.color ^= !stuck;
        }
        Some((pa, cell))
    }
}

/// The queue an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A work queue.
    Wq(u8),
    /// A receive queue.
    Rq(u8),
}

/// What the last completion of a received frame settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Queue pair.
    pub queue: u8,
    /// Bytes as received.
    pub bytes: u32,
    /// Frames that were merged behind it, and the bytes of the last of them; those between are as long as the first.
    pub joined: (u8, u32),
    /// Bytes of all of it as one packet.
    pub whole: u32,
    /// Kind of its destination.
    pub class: Class,
}

impl Account {
    /// Of a frame as it came from the wire.
    #[inline]
    pub fn of(queue: u8, frame: &[u8]) -> Self {
        Self { queue, bytes: frame.len() as u32, joined: (0, 0), whole: frame.len() as u32, class: Class::of(frame) }
    }

    /// Another frame of `bytes` bytes, the last so far, was merged behind it: `whole` bytes together.
    pub fn join(&mut self, bytes: usize, whole: usize) {
        self.joined = (self.joined.0 + 1, bytes as u32);
        self.whole = whole as u32;
    }

    /// Frames that it stands for.
    pub fn frames(&self) -> u32 {
        u32::from(self.joined.0) + 1
    }
}

/// One posted write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Bytes of a received frame.
    Data {
        /// Queue.
        source: Source,
        /// Guest-physical address.
        pa: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A completion without its colour.
    Completion {
        /// Queue.
        source: Source,
        /// Completion queue.
        cq: u8,
        /// The cell.
        cell: u128,
        /// Cells of a receive ring that it settles: `fetch_index` moves on by as many.
        cells: u32,
        /// On the last completion of a received frame.
        account: Option<Account>,
    },
}

impl Entry {
    /// The queue it belongs to.
    pub fn source(&self) -> Source {
        match self {
            Self::Data { source, .. } | Self::Completion { source, .. } => *source,
        }
    }
}

/// The FIFO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WriteFifo {
    /// Oldest first.
    pub entries: VecDeque<Entry>,
    /// Before all entries: an event of this queue for the interrupt block of this completion queue, whose entry has just left.
    pub credit: Option<(Source, u8)>,
    /// A data write of the frame now leaving was refused: its last completion will carry `err`.
    pub faulted: bool,
}

impl WriteFifo {
    /// Data, completions and credits that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len() + usize::from(self.credit.is_some())
    }

    /// Nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.credit.is_none() && self.entries.is_empty()
    }

    /// Whether something of `source` still waits.
    pub fn holds(&self, source: Source) -> bool {
        self.credit.is_some_and(|(of, _)| of == source) || self.entries.iter().any(|e| e.source() == source)
    }
}

impl Adapter {
    /// Lets the oldest posted write leave.
    #[inline]
    pub(super) fn out(&mut self, host: &mut impl Host) {
        if let Some((_, cq)) = self.fifo.credit.take() {
            return self.credit_of(cq);
        }
        match self.fifo.entries.pop_front() {
            None => {}
            Some(Entry::Data { pa, bytes, .. }) => {
                // A posted write has no answer: what the bus refused shows in the frame's last completion.
                // The rest of the frame is not written then.
                self.fifo.faulted = self.fifo.faulted || host.write(pa, &bytes).is_err();
                self.discard(bytes);
            }
            Some(Entry::Completion { source, cq, cell, cells, account }) => {
                self.complete(source, cq, cell, cells, account, host);
            }
        }
    }

    /// A completion leaves: it settles its cells and its frame, and leaves an event behind where its queue wants one.
    #[inline(always)]
    pub(super) fn complete(
        &mut self,
        source: Source,
        cq: u8,
        mut cell: u128,
        cells: u32,
        account: Option<Account>,
        host: &mut impl Host,
    ) {
        if let Some(account) = account {
            if core::mem::take(&mut self.fifo.faulted) {
                cell = spoilt(cell);
                (0..account.frames()).for_each(|_| self.counters.rx_error(account.queue));
            } else {
                self.counters.delivered(&account);
            }
        }
        if let Source::Rq(r) = source {
            self.rqs[usize::from(r)].settle(cells);
        }
        let Some(ring) = self.cqs.get_mut(usize::from(cq)) else { return };
        let stuck = self.planted.is(Mutant::HwColorStuck);
        if let Some((pa, cell)) = ring.place(cell, stuck) {
            // Refused, it is lost, as a posted write is.
            let _ = host.publish(pa, cell);
        }
        if ring.interrupt_enable {
            self.fifo.credit = Some((source, cq));
        }
    }

    /// The event that a completion left behind reaches the block of its completion queue.
    #[inline]
    pub(super) fn credit_of(&mut self, cq: u8) {
        let block = self.cqs.get(usize::from(cq)).map_or(u32::MAX, |cq| cq.interrupt_offset);
        self.credit(block);
    }
}
