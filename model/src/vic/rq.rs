//! Receive queues: control blocks, descriptor caches and the handshakes of enable and disable.
//!
//! A queue pair is RQ 2q (ring 0, HEAD and BODY buffers) and RQ 2q + 1 (ring 1, BODY buffers, by the spill of `data_ring`).
//! As on real silicon the cache outlives the first `enable = 0`; the second one, written while stopped, empties it.

use std::collections::VecDeque;

use spec::profile::Profile;
use spec::vic::RqReg;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{CELL_BYTES, RxDesc};

use super::cursor::{Cursor, Engine, claims_more, witness};
use super::{Adapter, ring_is_bad};
use crate::host::Host;
use crate::mutant::Mutant;

/// Receive queue: control block and engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rq {
    pub(super) ring_base: u64,
    pub(super) ring_size: u32,
    pub(super) posted: u32,
    pub(super) cq_index: u32,
    pub(super) enable: bool,
    error_interrupt_enable: bool,
    error_interrupt_offset: u32,
    pub(super) error_status: u32,
    dropped: u32,
    dropped_rc: u32,
    dca: [u32; 2],
    pub(super) data_ring: u32,
    header_split: u32,
    pub(super) engine: Engine,
    /// `fetch_index`: advances as completions are published.
    head: Cursor,
    /// First cell that no frame has taken.
    taken: Cursor,
    /// The cell fetched next.
    ahead: Cursor,
    /// Cells from `head` to `taken`.
    in_flight: u32,
    /// Cells from `taken` to `ahead`.
    beyond: u32,
    pub(super) cache: VecDeque<u128>,
}

impl Rq {
    /// A register's value, without the effect of a read.
    pub fn read(&self, reg: RqReg) -> u64 {
        u64::from(match reg {
            RqReg::RingBase => return self.ring_base,
            RqReg::RingSize => self.ring_size,
            RqReg::PostedIndex => self.posted,
            RqReg::CqIndex => self.cq_index,
            RqReg::Enable => u32::from(self.enable),
            RqReg::Running => u32::from(matches!(self.engine, Engine::Running | Engine::Stopping)),
            RqReg::FetchIndex => self.head.at,
            RqReg::ErrorInterruptEnable => u32::from(self.error_interrupt_enable),
            RqReg::ErrorInterruptOffset => self.error_interrupt_offset,
            RqReg::ErrorStatus => self.error_status,
            RqReg::DroppedPacketCount => self.dropped,
            RqReg::DroppedPacketCountRc => self.dropped_rc,
            RqReg::DcaSelect => self.dca[0],
            RqReg::DcaValue => self.dca[1],
            RqReg::DataRing => self.data_ring,
            RqReg::HeaderSplit => self.header_split,
        })
    }

    /// Forgets the drops that a read of `dropped_packet_count_rc` has told.
    pub fn clear_dropped(&mut self) {
        self.dropped_rc = 0;
    }

    /// A frame for this queue was dropped for want of buffers.
    pub fn dropped(&mut self) {
        self.dropped = self.dropped.wrapping_add(1);
        self.dropped_rc = self.dropped_rc.wrapping_add(1);
    }

    /// Nothing hidden is left.
    pub fn is_cold(&self) -> bool {
        self.engine == Engine::Stopped && self.cache.is_empty() && self.in_flight == 0
    }

    /// A fetch is possible but for room in the cache.
    #[inline]
    pub(super) fn wants_cell(&self) -> bool {
        self.engine == Engine::Running
            && self.ahead.at != self.posted
            && self.in_flight + self.beyond + 1 < self.ring_size
    }

    #[inline]
    pub(super) fn can_fetch(&self, profile: &Profile) -> bool {
        self.engine == Engine::Learning || (self.cache.len() < profile.adapter.cache.max(1) && self.wants_cell())
    }

    /// Drops what was fetched ahead: it will be read afresh.
    pub(super) fn roll_back(&mut self) {
        self.cache.clear();
        self.ahead = self.taken;
        self.beyond = 0;
    }

    /// The next `cells` now belong to a frame that will be completed.
    pub(super) fn take(&mut self, cells: u32) {
        self.taken.advance(cells, self.ring_size);
        self.beyond = self.beyond.saturating_sub(cells);
        self.in_flight += cells;
    }

    /// Index of the cell `cells` behind the first one that no frame has taken.
    pub(super) fn index_after(&self, cells: u32) -> u32 {
        let mut at = self.taken;
        at.advance(cells, self.ring_size);
        at.at
    }

    /// A completion that settles `cells` has been published.
    pub(super) fn settle(&mut self, cells: u32) {
        if self.in_flight >= cells {
            self.head.advance(cells, self.ring_size);
            self.in_flight -= cells;
        }
    }

    fn doorbell(&mut self, index: u32) {
        if self.engine == Engine::Stopped || (index < self.ring_size && claims_more(self.head.at, self.posted, index)) {
            self.posted = index;
        } else if index >= self.ring_size {
            self.posted = self.head.at.checked_sub(1).unwrap_or(self.ring_size - 1);
        }
    }

    fn chill(&mut self) {
        self.cache.clear();
        self.head.lap = false;
        (self.taken, self.ahead) = (Cursor::default(), Cursor::default());
        (self.in_flight, self.beyond) = (0, 0);
    }
}

impl Adapter {
    pub(super) fn write_rq(&mut self, r: u8, reg: RqReg, value: u64) {
        let Some(rq) = self.rqs.get_mut(usize::from(r)) else { return };
        let word = value as u32;
        let stopped = rq.engine == Engine::Stopped;
        match reg {
            RqReg::RingBase if stopped => rq.ring_base = value,
            RqReg::RingSize if stopped => rq.ring_size = word,
            RqReg::CqIndex if stopped => rq.cq_index = word,
            RqReg::FetchIndex if stopped => rq.head.at = word,
            RqReg::RingBase | RqReg::RingSize | RqReg::CqIndex | RqReg::FetchIndex | RqReg::Running => {}
            RqReg::PostedIndex => rq.doorbell(word),
            RqReg::Enable => self.enable_rq(r, word & 1 == 1),
            RqReg::ErrorInterruptEnable => rq.error_interrupt_enable = word & 1 == 1,
            RqReg::ErrorInterruptOffset => rq.error_interrupt_offset = word,
            RqReg::ErrorStatus => {
                rq.error_status = word;
                self.parked = false;
            }
            RqReg::DroppedPacketCount => rq.dropped = word,
            RqReg::DroppedPacketCountRc => rq.dropped_rc = word,
            RqReg::DcaSelect => rq.dca[0] = word,
            RqReg::DcaValue => rq.dca[1] = word,
            RqReg::DataRing => rq.data_ring = word,
            RqReg::HeaderSplit => rq.header_split = word,
        }
    }

    fn enable_rq(&mut self, r: u8, on: bool) {
        let stale = self.planted.is(Mutant::HwStaleCache);
        let limits = &self.profile.limits;
        let rq = &mut self.rqs[usize::from(r)];
        rq.enable = on;
        match (rq.engine, on) {
            (Engine::Stopped, true) => {
                let bad = ring_is_bad(limits, limits.rx_ring, rq.ring_base, rq.ring_size, rq.cq_index)
                    || rq.head.at >= rq.ring_size
                    || rq.posted >= rq.ring_size;
                if bad {
                    self.fail_rq(r, QueueError::Switch);
                } else if rq.error_status == 0 {
                    rq.engine = Engine::Learning;
                }
            }
            (Engine::Stopping, true) if rq.error_status == 0 => rq.engine = Engine::Running,
            (Engine::Learning, false) => rq.engine = Engine::Stopped,
            (Engine::Running, false) => {
                rq.engine = Engine::Stopping;
                self.give_back(r);
            }
            (Engine::Stopped, false) if !stale => rq.chill(),
            (Engine::Stopped | Engine::Stopping, false)
            | (Engine::Learning | Engine::Running | Engine::Stopping, true) => {}
        }
        self.parked = false;
    }

    /// Stops a queue by an error and tells the host's block.
    pub(super) fn fail_rq(&mut self, r: u8, error: QueueError) {
        self.give_back(r);
        let rq = &mut self.rqs[usize::from(r)];
        rq.error_status = error.code();
        rq.cache.clear();
        // Completions under way still leave: the stop ends when they have.
        rq.engine = if rq.in_flight > 0 { Engine::Stopping } else { Engine::Stopped };
        if rq.engine == Engine::Stopped {
            rq.chill();
        } else {
            rq.roll_back();
        }
        self.parked = false;
        let rq = &self.rqs[usize::from(r)];
        if rq.error_interrupt_enable {
            self.credit(rq.error_interrupt_offset);
        }
    }

    /// Learns the generation, or fetches one cell ahead.
    pub(super) fn rq_fetch(&mut self, r: u8, host: &mut impl Host) {
        let trusting = self.planted.is(Mutant::HwTrustsDoorbell);
        let rq = &mut self.rqs[usize::from(r)];
        let learning = rq.engine == Engine::Learning;
        let (at, invert) = if learning { witness(rq.head.at, rq.posted, rq.ring_size) } else { (rq.ahead.at, false) };
        let cell = host.fetch(rq.ring_base.wrapping_add(u64::from(at) * CELL_BYTES)).ok();
        let generation = cell.map(|cell| RxDesc(cell).generation());
        if learning {
            let Some(generation) = generation else { return self.fail_rq(r, QueueError::Switch) };
            rq.head.lap = generation != invert;
            rq.taken = rq.head;
            rq.ahead = rq.head;
            // Cells that a single disable left in the cache are served as if they were fresh.
            rq.cache.truncate(rq.ring_size.saturating_sub(1) as usize);
            rq.beyond = rq.cache.len() as u32;
            rq.ahead.advance(rq.beyond, rq.ring_size);
            rq.in_flight = 0;
            rq.engine = Engine::Running;
            self.parked = false;
        } else if let Some(cell) = cell.filter(|_| generation == Some(rq.ahead.lap) || trusting) {
            rq.cache.push_back(cell);
            rq.ahead.advance(1, rq.ring_size);
            rq.beyond += 1;
        } else {
            rq.posted = rq.ahead.at;
        }
    }

    /// Ends a stop; a claim that memory does not bear out is withdrawn first.
    pub(super) fn rq_stop(&mut self, r: u8, host: &mut impl Host) {
        let rq = &mut self.rqs[usize::from(r)];
        if rq.posted != rq.head.at {
            let cell = host.fetch(rq.ring_base.wrapping_add(u64::from(rq.head.at) * CELL_BYTES));
            if !cell.is_ok_and(|cell| RxDesc(cell).generation() == rq.head.lap) {
                rq.posted = rq.head.at;
            }
        }
        rq.engine = Engine::Stopped;
        let cache = core::mem::take(&mut rq.cache);
        rq.chill();
        rq.cache = cache;
    }
}
