//! Work queues: descriptor cache, transmit pipeline, commit, and the handshakes of enable and disable.
//!
//! A packet passes the stages gather, read, ready, sending. Its commit point is the wire taking its first frame: before, it
//! can be abandoned without a trace; after, it is finished and completed. Nothing is held of a packet whose end is not owned
//! yet: it is forgotten and read afresh at the next doorbell.

mod straight;

use std::collections::VecDeque;

use spec::profile::Profile;
use spec::vic::WqReg;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{CELL_BYTES, TxCompDesc, TxDesc};

use super::cursor::{Cursor, Engine, Pool, claims_more, witness};
use super::fifo::{Entry, Source};
use super::offload::{self, Plan, Terms};
use super::{Adapter, ring_is_bad};
use crate::host::{Host, Sent};
use crate::memory::Buffer;
use crate::mutant::Mutant;

/// How far a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Descriptors are being collected.
    #[default]
    Gather,
    /// Fragments are being read.
    Read,
    /// Its frames can go out.
    Ready,
    /// It cannot be sent: it will be completed and counted.
    Malformed,
}

/// A packet in the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packet {
    stage: Stage,
    sop: Cursor,
    cells: u32,
    last: u32,
    completion: bool,
    /// A descriptor of it is of a type that nobody knows.
    unknown_kind: bool,
    first: TxDesc,
    fragments: Vec<(u64, u32)>,
    read: usize,
    total: usize,
    bytes: Buffer,
    plan: Plan,
    sent: u32,
}

impl Packet {
    fn clear(&mut self) {
        self.stage = Stage::Gather;
        self.sop = Cursor::default();
        self.cells = 0;
        self.last = 0;
        self.completion = false;
        self.unknown_kind = false;
        self.first = TxDesc::default();
        self.fragments.clear();
        self.read = 0;
        self.total = 0;
        self.bytes.clear();
        self.plan = Plan::Whole;
        self.sent = 0;
    }
}

/// Work queue: control block and engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wq {
    ring_base: u64,
    ring_size: u32,
    posted: u32,
    cq_index: u32,
    enable: bool,
    dca_value: u32,
    error_interrupt_enable: bool,
    error_interrupt_offset: u32,
    error_status: u32,
    engine: Engine,
    /// `fetch_index`, with its hidden generation.
    head: Cursor,
    /// The cell fetched next.
    ahead: Cursor,
    /// Cells from `head` to `ahead`.
    outstanding: u32,
    cache: VecDeque<u128>,
    /// Boxed, so that passing from stage to stage moves no bytes.
    pipeline: VecDeque<Box<Packet>>,
    /// Half a packet was seen; nothing is fetched until the next doorbell.
    blocked: bool,
    wire_busy: bool,
    spare: Pool<Box<Packet>>,
}

impl Wq {
    /// A register's value.
    pub fn read(&self, reg: WqReg) -> u64 {
        match reg {
            WqReg::RingBase => self.ring_base,
            WqReg::RingSize => u64::from(self.ring_size),
            WqReg::PostedIndex => u64::from(self.posted),
            WqReg::CqIndex => u64::from(self.cq_index),
            WqReg::Enable => u64::from(self.enable),
            WqReg::Running => u64::from(matches!(self.engine, Engine::Running | Engine::Stopping)),
            WqReg::FetchIndex => u64::from(self.head.at),
            WqReg::DcaValue => u64::from(self.dca_value),
            WqReg::ErrorInterruptEnable => u64::from(self.error_interrupt_enable),
            WqReg::ErrorInterruptOffset => u64::from(self.error_interrupt_offset),
            WqReg::ErrorStatus => u64::from(self.error_status),
        }
    }

    /// Nothing hidden is left.
    pub fn is_cold(&self) -> bool {
        self.engine == Engine::Stopped && self.cache.is_empty() && self.pipeline.is_empty()
    }

    #[inline]
    fn gathering(&self) -> bool {
        self.pipeline.back().is_some_and(|p| p.stage == Stage::Gather)
    }

    /// Every cell but one belongs to a packet without an end: one look further tells whether it ever ends.
    #[inline]
    fn endless(&self) -> bool {
        self.outstanding + 1 == self.ring_size && self.pipeline.len() == 1 && self.gathering() && self.cache.is_empty()
    }

    /// Packets in the pipeline.
    pub fn packets(&self) -> usize {
        self.pipeline.len()
    }

    /// A fetch is possible but for room in the cache.
    #[inline]
    fn wants_cell(&self) -> bool {
        self.engine == Engine::Running
            && !self.blocked
            && ((self.ahead.at != self.posted && self.outstanding + 1 < self.ring_size) || self.endless())
    }

    #[inline]
    pub(super) fn can_fetch(&self, profile: &Profile) -> bool {
        self.engine == Engine::Learning || (self.cache.len() < profile.adapter.cache.max(1) && self.wants_cell())
    }

    #[inline]
    pub(super) fn can_read(&self) -> bool {
        match self.pipeline.front() {
            Some(p) if p.stage == Stage::Read => true,
            Some(_) if self.pipeline.len() > 1 => self.pipeline.iter().any(|p| p.stage == Stage::Read),
            _ => false,
        }
    }

    #[inline]
    pub(super) fn can_send(&self) -> bool {
        self.pipeline.front().is_some_and(|p| match p.stage {
            Stage::Ready => !self.wire_busy,
            Stage::Malformed => true,
            Stage::Gather | Stage::Read => false,
        })
    }

    pub(super) fn may_stop(&self) -> bool {
        self.engine == Engine::Stopping && self.pipeline.is_empty()
    }

    pub(super) fn in_use(&self) -> bool {
        self.engine != Engine::Stopped
    }

    pub(super) fn wire_ready(&mut self) {
        self.wire_busy = false;
    }

    /// A doorbell. An index outside the ring claims as much as can be claimed: generations tell the rest. One that claims less than
    /// was claimed before is of a processor that was overtaken: linux writes TXPROD without a lock.
    fn doorbell(&mut self, index: u32, profile: &Profile) -> Result<(), QueueError> {
        if self.engine == Engine::Stopped || (index < self.ring_size && claims_more(self.head.at, self.posted, index)) {
            self.posted = index;
        } else if index >= self.ring_size {
            self.posted = self.head.at.checked_sub(1).unwrap_or(self.ring_size - 1);
        }
        self.blocked = false;
        self.settle(profile)
    }

    /// Empties cache and pipeline but for a packet of which a frame went out.
    fn abandon(&mut self, keep_cache: bool) {
        let kept = match self.pipeline.front() {
            Some(p) if p.sent > 0 => 1,
            _ => 0,
        };
        while self.pipeline.len() > kept {
            if let Some(packet) = self.pipeline.pop_back() {
                self.recycle(packet);
            }
        }
        self.blocked = false;
        self.wire_busy = false;
        if keep_cache && !self.cache.is_empty() {
            return;
        }
        self.cache.clear();
        self.outstanding = self.pipeline.front().map_or(0, |p| p.cells);
        self.ahead = self.head;
        self.ahead.advance(self.outstanding, self.ring_size);
    }

    #[inline]
    fn recycle(&mut self, mut packet: Box<Packet>) {
        packet.clear();
        self.spare.put(packet);
    }

    /// A cell of the ring, if it can be read.
    #[inline]
    fn cell(&self, at: u32, host: &mut impl Host) -> Option<TxDesc> {
        host.fetch(self.ring_base.wrapping_add(u64::from(at) * CELL_BYTES)).ok().map(TxDesc)
    }

    /// The cell to be fetched next, if the guest has handed it over. `trusting` plants a bug: the doorbell is believed.
    #[inline]
    fn next_cell(&self, trusting: bool, host: &mut impl Host) -> Option<TxDesc> {
        self.cell(self.ahead.at, host).filter(|cell| cell.generation() == self.ahead.lap || trusting)
    }

    /// Moves cached cells into packets as far as the pipeline has room, and forgets half a packet that will not go on.
    #[inline]
    fn settle(&mut self, profile: &Profile) -> Result<(), QueueError> {
        let nothing = self.cache.is_empty() && !self.gathering();
        if nothing || self.engine != Engine::Running { Ok(()) } else { self.settle_cells(profile) }
    }

    fn settle_cells(&mut self, profile: &Profile) -> Result<(), QueueError> {
        while !self.cache.is_empty() {
            if !self.gathering() {
                if self.pipeline.len() >= profile.adapter.pipeline.max(1) {
                    return Ok(());
                }
                let mut packet = self.spare.take();
                // The cached cells are the last ones before `ahead`.
                let back = self.outstanding - self.cache.len() as u32;
                packet.sop = self.head;
                packet.sop.advance(back, self.ring_size);
                self.pipeline.push_back(packet);
            }
            let (Some(cell), Some(packet)) = (self.cache.pop_front(), self.pipeline.back_mut()) else { return Ok(()) };
            let desc = TxDesc(cell);
            let mut at = packet.sop;
            at.advance(packet.cells, self.ring_size);
            packet.last = at.at;
            if packet.cells == 0 {
                packet.first = desc;
            }
            packet.cells += 1;
            packet.total = packet.total.saturating_add(desc.bytes());
            packet.unknown_kind |= desc.dtype();
            if packet.fragments.len() < profile.limits.tx_descs {
                packet.fragments.push((desc.addr(), desc.bytes() as u32));
            }
            if desc.eop() {
                packet.completion = desc.cq();
                let malformed = packet.unknown_kind
                    || packet.cells as usize > profile.limits.tx_descs
                    || packet.total > profile.limits.tx_bytes;
                packet.stage = if malformed { Stage::Malformed } else { Stage::Read };
            } else if packet.cells >= self.ring_size {
                return Err(QueueError::NoEop);
            }
        }
        if self.gathering() && !self.wants_cell() {
            self.forget();
        }
        Ok(())
    }

    /// Forgets half a packet; the next doorbell reads it afresh.
    fn forget(&mut self) {
        if let Some(packet) = self.pipeline.pop_back() {
            self.ahead = packet.sop;
            self.outstanding -= packet.cells;
            self.recycle(packet);
            self.blocked = true;
        }
    }
}

impl Adapter {
    pub(super) fn write_wq(&mut self, q: u8, reg: WqReg, value: u64) {
        let profile = self.profile;
        let Some(wq) = self.wqs.get_mut(usize::from(q)) else { return };
        let word = value as u32;
        let stopped = wq.engine == Engine::Stopped;
        match reg {
            // Rings and indices do not change under a running engine.
            WqReg::RingBase if stopped => wq.ring_base = value,
            WqReg::RingSize if stopped => wq.ring_size = word,
            WqReg::CqIndex if stopped => wq.cq_index = word,
            WqReg::FetchIndex if stopped => wq.head.at = word,
            WqReg::RingBase | WqReg::RingSize | WqReg::CqIndex | WqReg::FetchIndex | WqReg::Running => {}
            WqReg::PostedIndex => {
                if let Err(error) = wq.doorbell(word, profile) {
                    self.fail_wq(q, error);
                }
            }
            WqReg::Enable => self.enable_wq(q, word & 1 == 1),
            WqReg::DcaValue => wq.dca_value = word,
            WqReg::ErrorInterruptEnable => wq.error_interrupt_enable = word & 1 == 1,
            WqReg::ErrorInterruptOffset => wq.error_interrupt_offset = word,
            WqReg::ErrorStatus => wq.error_status = word,
        }
    }

    fn enable_wq(&mut self, q: u8, on: bool) {
        let stale = self.planted.is(Mutant::HwStaleCache);
        let limits = &self.profile.limits;
        let wq = &mut self.wqs[usize::from(q)];
        wq.enable = on;
        match (wq.engine, on) {
            (Engine::Stopped, true) => {
                let bad = ring_is_bad(limits, limits.tx_ring, wq.ring_base, wq.ring_size, wq.cq_index)
                    || wq.head.at >= wq.ring_size
                    || wq.posted >= wq.ring_size;
                if bad {
                    self.fail_wq(q, QueueError::Switch);
                } else if wq.error_status == 0 {
                    wq.engine = Engine::Learning;
                }
            }
            (Engine::Stopping, true) => wq.engine = Engine::Running,
            (Engine::Learning, false) => wq.engine = Engine::Stopped,
            (Engine::Running, false) => {
                wq.abandon(stale);
                wq.engine = Engine::Stopping;
            }
            (Engine::Stopped | Engine::Stopping, false) | (Engine::Learning | Engine::Running, true) => {}
        }
    }

    /// Stops a queue by an error: what is under way is dropped, the host's block is told.
    fn fail_wq(&mut self, q: u8, error: QueueError) {
        let wq = &mut self.wqs[usize::from(q)];
        wq.abandon(false);
        if let Some(packet) = wq.pipeline.pop_back() {
            wq.recycle(packet);
        }
        wq.engine = Engine::Stopped;
        wq.head.lap = false;
        wq.ahead = Cursor::default();
        wq.outstanding = 0;
        wq.error_status = error.code();
        if wq.error_interrupt_enable {
            let block = wq.error_interrupt_offset;
            self.credit(block);
        }
    }

    /// Learns the generation, or fetches one cell ahead.
    #[inline]
    pub(super) fn wq_fetch(&mut self, q: u8, host: &mut impl Host) {
        let trusting = self.planted.is(Mutant::HwTrustsDoorbell);
        let wq = &mut self.wqs[usize::from(q)];
        if wq.engine != Engine::Learning {
            let cell = wq.next_cell(trusting, host);
            return self.wq_weigh(q, cell);
        }
        let (at, invert) = witness(wq.head.at, wq.posted, wq.ring_size);
        let Some(cell) = wq.cell(at, host) else { return self.fail_wq(q, QueueError::Switch) };
        wq.head.lap = cell.generation() != invert;
        wq.ahead = wq.head;
        wq.outstanding = wq.cache.len() as u32;
        wq.ahead.advance(wq.outstanding.min(wq.ring_size), wq.ring_size);
        wq.engine = Engine::Running;
        self.wq_settle(q);
    }

    /// What the cell fetched ahead, or none, means for the queue.
    #[inline]
    fn wq_weigh(&mut self, q: u8, cell: Option<TxDesc>) {
        let wq = &mut self.wqs[usize::from(q)];
        if let Some(cell) = cell {
            wq.cache.push_back(cell.0);
            wq.ahead.advance(1, wq.ring_size);
            wq.outstanding += 1;
        } else {
            // The doorbell claimed more than there is, or than can be read.
            wq.posted = wq.ahead.at;
            if wq.gathering() {
                wq.forget();
            }
        }
        self.wq_settle(q);
    }

    #[inline]
    fn wq_settle(&mut self, q: u8) {
        if let Err(error) = self.wqs[usize::from(q)].settle(self.profile) {
            self.fail_wq(q, error);
        }
    }

    /// Reads one fragment.
    #[inline]
    pub(super) fn wq_read(&mut self, q: u8, host: &mut impl Host) {
        let (version, planted) = (self.filter.upt.version(), self.planted);
        let wq = &mut self.wqs[usize::from(q)];
        let Some(packet) = wq.pipeline.iter_mut().find(|p| p.stage == Stage::Read) else { return };
        let Some(&(pa, len)) = packet.fragments.get(packet.read) else { return };
        let start = packet.bytes.len();
        if host.read(pa, packet.bytes.grow(len as usize)).is_err() {
            packet.bytes.truncate(start);
            packet.stage = Stage::Malformed;
            return;
        }
        packet.read += 1;
        if packet.read == packet.fragments.len() {
            match offload::prepare(&mut packet.bytes, Terms { first: packet.first, version, planted }) {
                Ok(plan) => {
                    packet.plan = plan;
                    packet.stage = Stage::Ready;
                }
                Err(offload::Malformed) => packet.stage = Stage::Malformed,
            }
        }
    }

    /// Hands one frame to the wire; with the last frame of a packet its descriptors are done with.
    #[inline]
    pub(super) fn wq_send(&mut self, q: u8, host: &mut impl Host) {
        let wq = &mut self.wqs[usize::from(q)];
        let Some(packet) = wq.pipeline.front_mut() else { return };
        if packet.stage == Stage::Malformed {
            self.counters.tx_error(q);
        } else if !self.link {
            self.counters.tx_drop(q);
        } else {
            let taken = match &packet.plan {
                Plan::Whole => {
                    let taken = host.transmit(q, &packet.bytes);
                    if taken == Sent::Yes {
                        self.counters.sent(q, &packet.bytes, false);
                    }
                    taken
                }
                Plan::Segments(segments) => {
                    let mut frame = self.buffers.take();
                    segments.build(&packet.bytes, packet.sent, self.planted, &mut frame);
                    let taken = host.transmit(q, &frame);
                    if taken == Sent::Yes {
                        self.counters.sent(q, &frame, true);
                    }
                    frame.clear();
                    self.buffers.put(frame);
                    taken
                }
            };
            if taken == Sent::Busy {
                wq.wire_busy = true;
                return;
            }
            packet.sent += 1;
            if packet.sent < packet.plan.frames(packet.bytes.len()) {
                return;
            }
        }
        let Some(packet) = wq.pipeline.pop_front() else { return };
        wq.head.advance(packet.cells, wq.ring_size);
        wq.outstanding = wq.outstanding.saturating_sub(packet.cells);
        if packet.completion {
            let mut cell = TxCompDesc::default();
            let named = if self.planted.is(Mutant::HwTxCompletionIndex) { packet.sop.at } else { packet.last };
            cell.set_txd_idx(named as u16);
            let (source, cq) = (Source::Wq(q), wq.cq_index as u8);
            self.fifo.entries.push_back(Entry::Completion { source, cq, cell: cell.0, cells: 0, account: None });
        }
        wq.recycle(packet);
        self.wq_settle(q);
    }

    /// Ends a stop: a claim that memory does not bear out is withdrawn first, so that registers tell the truth.
    pub(super) fn wq_stop(&mut self, q: u8, host: &mut impl Host) {
        let wq = &mut self.wqs[usize::from(q)];
        if wq.posted != wq.head.at {
            let cell = host.fetch(wq.ring_base.wrapping_add(u64::from(wq.head.at) * CELL_BYTES));
            if !cell.is_ok_and(|cell| TxDesc(cell).generation() == wq.head.lap) {
                wq.posted = wq.head.at;
            }
        }
        wq.engine = Engine::Stopped;
        wq.head.lap = false;
        wq.ahead = Cursor::default();
        wq.outstanding = 0;
    }
}
