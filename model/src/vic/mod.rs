//! The adapter: a Cisco VIC that shows the VMXNET3 rings to a guest directly.
//!
//! It works VMXNET3's descriptors in guest memory, and everything it holds is held in VIC control blocks. Nothing but register
//! accesses, commands, `offer`, `wire_ready`, `advance` and steps ever changes it. Up to 8 work queues, 16 receive queues (RQ 2q
//! is ring 0 of queue q, RQ 2q + 1 ring 1), 16 completion queues, 25 interrupt blocks for guest vectors and one for the host.
//!
//! Sources: the control blocks as drivers use them (linux drivers/net/ethernet/cisco/enic); how they carry VMXNET3 is a choice
//! of ours where no public source tells. Not modelled: devcmd2, notify area, the VIC's own descriptors, DCA.

mod cursor;
pub mod devcmd;
mod fifo;
mod filter;
pub mod intr;
mod lro;
mod offload;
mod parse;
mod rq;
pub mod rx;
mod schedule;
mod seen;
mod stats;
mod straight;
#[cfg(test)]
mod tests;
mod wq;

use std::collections::VecDeque;

use spec::profile::{Limits, Profile};
use spec::vic::{CqReg, DevcmdReg, IntrReg, RqReg, WqReg};
use spec::vmxnet3::CELL_BYTES;

use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use cursor::{Engine, Pool};
use fifo::{Cq, Source, WriteFifo};
use filter::Filter;
use intr::{BLOCKS, ERROR_BLOCK, Intr};

/// Work queues.
pub const WQS: usize = 8;
/// Receive queues, two a queue pair.
pub const RQS: usize = 16;
/// Completion queues.
pub const CQS: usize = 16;
/// Longest frame the ingress FIFO takes, bytes; longer ones are dropped and counted.
pub const LONGEST_FRAME: usize = 16 * 1024;

/// A register of the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Register {
    /// Of a work queue.
    Wq(u8, WqReg),
    /// Of a receive queue.
    Rq(u8, RqReg),
    /// Of a completion queue.
    Cq(u8, CqReg),
    /// Of an interrupt block.
    Intr(u8, IntrReg),
    /// Of the mailbox.
    Devcmd(DevcmdReg),
}

/// How much is under way in an adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Register writes posted and not applied.
    pub doorbells: usize,
    /// TX packets in the pipelines.
    pub packets: usize,
    /// Data, completions and credits in the write FIFO.
    pub writes: usize,
    /// Frames in the ingress FIFO and the receive engine.
    pub ingress: usize,
}

/// A part that can take a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Applies the oldest posted register write.
    Doorbell,
    /// Executes the command in the mailbox.
    Devcmd,
    /// Learns a work queue's generation, or fetches a descriptor.
    WqFetch(u8),
    /// Reads a fragment.
    WqRead(u8),
    /// Hands a frame to the wire.
    WqSend(u8),
    /// Ends the stop of a work queue.
    WqStop(u8),
    /// Learns a receive queue's generation, or fetches a descriptor.
    RqFetch(u8),
    /// Ends the stop of a receive queue.
    RqStop(u8),
    /// Moves the frame at the head of the ingress FIFO on.
    Rx,
    /// Lets the oldest posted write leave.
    Out,
    /// Asserts an interrupt.
    Intr(u8),
}

impl Unit {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Doorbell => "doorbell",
            Self::Devcmd => "devcmd",
            Self::WqFetch(_) => "wq-fetch",
            Self::WqRead(_) => "wq-read",
            Self::WqSend(_) => "wq-send",
            Self::WqStop(_) => "wq-stop",
            Self::RqFetch(_) => "rq-fetch",
            Self::RqStop(_) => "rq-stop",
            Self::Rx => "rx",
            Self::Out => "out",
            Self::Intr(_) => "intr",
        }
    }
}

/// The adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adapter {
    profile: &'static Profile,
    planted: Planted,
    wqs: [wq::Wq; WQS],
    rqs: [rq::Rq; RQS],
    cqs: [Cq; CQS],
    intrs: [Intr; BLOCKS],
    mailbox: devcmd::Mailbox,
    filter: Filter,
    /// The virtual link is enabled.
    link: bool,
    counters: stats::Counters,
    doorbells: VecDeque<(Register, u32)>,
    ingress: VecDeque<Vec<u8>>,
    rx: rx::Inbound,
    /// The frame at the head of the FIFO waits for its queue to be enabled.
    parked: bool,
    /// Frames at the head of the FIFO that go alone: a merged packet of them found no buffers.
    alone: usize,
    fifo: WriteFifo,
    buffers: Pool<Vec<u8>>,
}

/// What the control block of a ring must not say when it is enabled.
fn ring_is_bad(limits: &Limits, most: u32, base: u64, size: u32, cq: u32) -> bool {
    size == 0
        || !size.is_multiple_of(limits.ring_step.max(1))
        || size > most
        || !base.is_multiple_of(limits.ring_align.max(1))
        || base.checked_add(u64::from(size) * CELL_BYTES).is_none()
        || cq as usize >= CQS
}

impl Adapter {
    /// After power-up: nothing runs, every block is masked, the link is disabled, nothing is received.
    pub fn new(profile: &'static Profile) -> Self {
        Self {
            profile,
            planted: Planted::NONE,
            wqs: Default::default(),
            rqs: Default::default(),
            cqs: core::array::from_fn(|_| Cq::reset()),
            intrs: core::array::from_fn(|_| Intr::reset()),
            mailbox: devcmd::Mailbox::default(),
            filter: Filter::reset(),
            link: false,
            counters: stats::Counters::zero(),
            doorbells: VecDeque::new(),
            ingress: VecDeque::new(),
            rx: rx::Inbound::default(),
            parked: false,
            alone: 0,
            fifo: WriteFifo::default(),
            buffers: Pool::default(),
        }
    }

    /// Plants a bug.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// The profile it was built by.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The host writes a register; writes that the guest posted before come first.
    pub fn write(&mut self, register: Register, value: u64) {
        self.flush_doorbells();
        self.apply(register, value);
    }

    /// The host reads a register: the read pushes the guest's posted writes before it. Source: PCI Local Bus Specification 3.0,
    /// section 3.2.5.
    pub fn read(&mut self, register: Register) -> u64 {
        self.flush_doorbells();
        let value = self.peek(register);
        if let Register::Rq(r, RqReg::DroppedPacketCountRc) = register
            && let Some(rq) = self.rqs.get_mut(usize::from(r))
        {
            rq.clear_dropped();
        }
        value
    }

    /// A register's value as it stands: no flush, no read-to-clear. Blocks that do not exist read 0.
    pub fn peek(&self, register: Register) -> u64 {
        match register {
            Register::Wq(i, reg) => self.wqs.get(usize::from(i)).map_or(0, |b| b.read(reg)),
            Register::Rq(i, reg) => self.rqs.get(usize::from(i)).map_or(0, |b| b.read(reg)),
            Register::Cq(i, reg) => self.cqs.get(usize::from(i)).map_or(0, |b| b.read(reg)),
            Register::Intr(i, reg) => self.intrs.get(usize::from(i)).map_or(0, |b| b.read(reg)),
            Register::Devcmd(reg) => self.mailbox.read(reg),
        }
    }

    fn apply(&mut self, register: Register, value: u64) {
        match register {
            Register::Wq(i, reg) => self.write_wq(i, reg, value),
            Register::Rq(i, reg) => self.write_rq(i, reg, value),
            Register::Cq(i, reg) => {
                if let Some(cq) = self.cqs.get_mut(usize::from(i)) {
                    cq.write(reg, value);
                }
            }
            Register::Intr(i, reg) => {
                if let Some(intr) = self.intrs.get_mut(usize::from(i)) {
                    if reg == IntrReg::Mask && value & 1 == 0 && self.planted.is(Mutant::HwUnmaskSilent) {
                        intr.write(IntrReg::IntCredits, 0);
                    }
                    intr.write(reg, value);
                }
            }
            Register::Devcmd(reg) => self.mailbox.write(reg, value),
        }
    }

    /// The guest posts a register write. False when the FIFO is full: the store has to wait.
    #[must_use]
    pub fn post(&mut self, register: Register, value: u32) -> bool {
        if self.doorbells.len() >= self.profile.adapter.doorbells.max(1) {
            return false;
        }
        self.doorbells.push_back((register, value));
        true
    }

    #[inline]
    fn flush_doorbells(&mut self) {
        while let Some((register, value)) = self.doorbells.pop_front() {
            self.apply(register, u64::from(value));
        }
    }

    /// A frame arrives, without FCS. False when the FIFO is full and the frame was not taken. A disabled link drops and counts.
    #[must_use]
    pub fn offer(&mut self, frame: &[u8]) -> bool {
        let mut buffer = self.buffers.take();
        buffer.extend_from_slice(frame);
        let taken = self.give(&mut buffer);
        buffer.clear();
        self.buffers.put(buffer);
        taken
    }

    /// As [`Adapter::offer`], without a copy: a frame that is taken leaves the caller's buffer empty, for the next one.
    #[inline]
    pub fn give(&mut self, frame: &mut Vec<u8>) -> bool {
        if !self.link || frame.len() > LONGEST_FRAME {
            self.counters.rx_drop();
            frame.clear();
            return true;
        }
        if self.ingress.len() >= self.profile.adapter.ingress_fifo.max(1) {
            return false;
        }
        let spare = self.buffers.take();
        self.ingress.push_back(core::mem::replace(frame, spare));
        true
    }

    /// The ingress FIFO takes a frame.
    pub fn has_room(&self) -> bool {
        self.ingress.len() < self.profile.adapter.ingress_fifo
    }

    /// Frames in the ingress FIFO, oldest first, for whoever watches; the host has no other way to them than commands.
    pub fn ingress_frames(&self) -> impl Iterator<Item = &[u8]> {
        self.ingress.iter().map(Vec::as_slice)
    }

    /// The wire may take frames again.
    pub fn wire_ready(&mut self) {
        self.wqs.iter_mut().for_each(wq::Wq::wire_ready);
    }

    /// Time goes on.
    pub fn advance(&mut self, ns: u64) {
        let stands = self.planted.is(Mutant::HwTimerStandsMasked);
        self.intrs.iter_mut().for_each(|intr| intr.advance(ns, stands));
    }

    /// Nanoseconds until the next moderated interrupt is due, if one is held back.
    pub fn wait_ns(&self) -> Option<u64> {
        self.intrs.iter().filter_map(Intr::wait_ns).min()
    }

    /// Time makes a difference now, though perhaps to no event that waits yet.
    pub fn is_timed(&self) -> bool {
        self.intrs.iter().any(Intr::is_timed)
    }

    /// Events that the host's own block holds: a queue stopped by an error. Acknowledged by writing `int_credits` or
    /// `int_credit_return` of block 25.
    pub fn host_events(&self) -> u32 {
        self.intrs[usize::from(ERROR_BLOCK)].read(IntrReg::IntCredits) as u32
    }

    /// Frames waiting in the ingress FIFO or in the receive engine.
    pub fn ingress_len(&self) -> usize {
        self.ingress.len() + usize::from(!self.rx.is_idle())
    }

    /// What no register shows and is under way now, for whoever tells a move.
    pub fn under_way(&self) -> UnderWay {
        UnderWay {
            doorbells: self.doorbells.len(),
            packets: self.wqs.iter().map(wq::Wq::packets).sum(),
            writes: self.fifo.len(),
            ingress: self.ingress_len(),
        }
    }

    /// Nothing is held that no register shows.
    ///
    /// # Errors
    /// The part that still holds something.
    pub fn hidden_is_empty(&self) -> Result<(), &'static str> {
        let held = [
            ("posted register writes", !self.doorbells.is_empty()),
            ("command", self.mailbox.is_busy()),
            ("transmit pipeline", !self.wqs.iter().all(wq::Wq::is_cold)),
            ("receive descriptor cache", !self.rqs.iter().all(rq::Rq::is_cold)),
            ("receive engine", !self.rx.is_idle()),
            ("ingress FIFO", !self.ingress.is_empty() || self.alone != 0),
            ("write FIFO", !self.fifo.is_empty()),
        ];
        held.iter().find(|(_, held)| *held).map_or(Ok(()), |(part, _)| Err(*part))
    }

    /// An event for an interrupt block; one that does not exist takes none.
    #[inline]
    fn credit(&mut self, block: u32) {
        let lost = self.planted.is(Mutant::HwCreditsLost);
        if let Some(intr) = self.intrs.get_mut(block as usize) {
            intr.credit(lost);
        }
    }

    #[inline]
    fn fifo_room(&self) -> bool {
        self.fifo.len() < self.profile.adapter.write_fifo.max(1)
    }

    /// Whether a part can take a step now: by the adapter's own state, never by guest memory.
    #[inline(always)]
    pub fn possible(&self, unit: Unit) -> bool {
        let wq = |q: u8| self.wqs.get(usize::from(q));
        let rq = |r: u8| self.rqs.get(usize::from(r));
        match unit {
            Unit::Doorbell => !self.doorbells.is_empty(),
            Unit::Devcmd => self.mailbox.is_busy(),
            Unit::WqFetch(q) => wq(q).is_some_and(|wq| wq.can_fetch(self.profile)),
            Unit::WqRead(q) => wq(q).is_some_and(wq::Wq::can_read),
            Unit::WqSend(q) => self.fifo_room() && wq(q).is_some_and(wq::Wq::can_send),
            Unit::WqStop(q) => wq(q).is_some_and(wq::Wq::may_stop) && !self.fifo.holds(Source::Wq(q)),
            Unit::RqFetch(r) => rq(r).is_some_and(|rq| rq.can_fetch(self.profile)),
            Unit::RqStop(r) => {
                rq(r).is_some_and(|rq| rq.engine == Engine::Stopping)
                    && !self.rx.occupies(r)
                    && !self.fifo.holds(Source::Rq(r))
            }
            Unit::Rx => self.can_receive(),
            Unit::Out => !self.fifo.is_empty(),
            Unit::Intr(i) => i != ERROR_BLOCK && self.intrs.get(usize::from(i)).is_some_and(Intr::due),
        }
    }

    /// Every step possible now.
    pub fn units(&self, into: &mut Vec<Unit>) {
        let queues = (0..WQS as u8).flat_map(|q| [Unit::WqFetch(q), Unit::WqRead(q), Unit::WqSend(q), Unit::WqStop(q)]);
        let receive = (0..RQS as u8).flat_map(|r| [Unit::RqFetch(r), Unit::RqStop(r)]);
        let single = [Unit::Doorbell, Unit::Devcmd, Unit::Rx, Unit::Out];
        let vectors = (0..ERROR_BLOCK).map(Unit::Intr);
        into.extend(single.into_iter().chain(queues).chain(receive).chain(vectors).filter(|&u| self.possible(u)));
    }

    /// One step of one part: at most one access to the world. A part that can do nothing does nothing.
    #[inline]
    pub fn step(&mut self, unit: Unit, host: &mut impl Host) {
        if self.possible(unit) {
            self.perform(unit, host);
        }
    }

    /// A step that is possible. Inlined, as [`Self::possible`] is, where [`Self::run`] knows the unit.
    #[inline(always)]
    fn perform(&mut self, unit: Unit, host: &mut impl Host) {
        match unit {
            Unit::Doorbell => {
                if let Some((register, value)) = self.doorbells.pop_front() {
                    self.apply(register, u64::from(value));
                }
            }
            Unit::Devcmd => self.execute(host),
            Unit::WqFetch(q) => self.wq_fetch(q, host),
            Unit::WqRead(q) => self.wq_read(q, host),
            Unit::WqSend(q) => self.wq_send(q, host),
            Unit::WqStop(q) => self.wq_stop(q, host),
            Unit::RqFetch(r) => self.rq_fetch(r, host),
            Unit::RqStop(r) => self.rq_stop(r, host),
            Unit::Rx => self.receive(),
            Unit::Out => self.out(host),
            Unit::Intr(i) => {
                let intr = &mut self.intrs[usize::from(i)];
                let masked = intr.read(IntrReg::Mask);
                intr.assert();
                if self.planted.is(Mutant::HwMaskOnAssertion) {
                    intr.write(IntrReg::Mask, masked);
                }
                host.vector(u16::from(i));
            }
        }
    }
}
