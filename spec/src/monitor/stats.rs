//! Statistics: what GET_STATS writes never falls and agrees with what was sent and received.

use super::ids::{CNT_001, CON_001, CON_002, LRO_004, RX_012, STA_002, STA_003, TX_012};
use super::layout::Rings;
use super::ledger::{Ledger, What};
use super::{rx, tx};
use crate::event::GuestView;
use crate::vmxnet3::{QUEUE_DESC_BYTES, TxQueueDesc};

const STATISTICS: u64 = TxQueueDesc::LAYOUT.offset("stats");

/// The ten counters of a queue.
type Block = [u64; 10];

/// The judge of statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    /// What each queue of the table showed last.
    last: Vec<Block>,
    /// GET_STATS was written and its result was not looked at yet.
    pub due: bool,
    /// Nothing was under way when it was written.
    pub quiet: bool,
}

impl Judge {
    /// Counters start from zero.
    pub fn start(&mut self, rings: &Rings) {
        self.last.clear();
        self.last.resize(rings.tx.len() + rings.rx.len(), [0; 10]);
        self.due = false;
    }

    /// Looks at the blocks after the command ended.
    pub fn look(&mut self, rings: &Rings, tx: &tx::Judge, rx: &rx::Judge, memory: &dyn GuestView, ledger: &mut Ledger) {
        self.due = false;
        if !rings.live() {
            return;
        }
        for i in 0..self.last.len() {
            let place = rings.table.wrapping_add(i as u64 * QUEUE_DESC_BYTES + STATISTICS);
            let Some(bytes) = memory.slice(place, 80) else { return };
            let mut block = [0; 10];
            for (value, le) in block.iter_mut().zip(bytes.chunks_exact(8)) {
                *value = le.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b));
            }
            let queue = i as u8;
            for (counter, (&value, &low)) in block.iter().zip(&self.last[i]).enumerate() {
                ledger.premise(CNT_001);
                if value < low {
                    let what = What::Counter { queue, counter: counter as u8, value, low, high: u64::MAX };
                    ledger.violated(CNT_001, what);
                    ledger.violated(STA_002, what);
                }
            }
            self.last[i] = block;
            if self.quiet {
                match i.checked_sub(rings.tx.len()) {
                    None => transmit(queue, &block, &tx.queues[i].totals, ledger),
                    Some(q) => receive(queue, &block, &rx.queues[q].totals, rx.pending(q), ledger),
                }
            }
        }
    }
}

fn between(value: u64, queue: u8, counter: u8, low: u64, high: u64) -> Option<What> {
    (value < low || value > high).then_some(What::Counter { queue, counter, value, low, high })
}

/// Counts of the three kinds of destination stand in words 2, 4 and 6 of either block.
fn classes(queue: u8, block: &Block, frames: &[u64; 3], ledger: &mut Ledger) {
    for (kind, &count) in frames.iter().enumerate() {
        ledger.premise(STA_002);
        let counter = 2 + 2 * kind;
        if let Some(what) = between(block[counter], queue, counter as u8, count, count) {
            ledger.violated(STA_002, what);
        }
    }
}

fn transmit(queue: u8, block: &Block, totals: &tx::Totals, ledger: &mut Ledger) {
    classes(queue, block, &totals.frames, ledger);
    ledger.premise(STA_003);
    if let Some(what) = between(block[0], queue, 0, totals.segments, totals.segments) {
        ledger.violated(STA_003, what);
    }
    ledger.premise(CON_001);
    let failed = block[8].saturating_add(block[9]);
    if let Some(what) = between(failed, queue, 8, totals.failed, totals.failed + totals.undecided) {
        ledger.premise(TX_012);
        ledger.violated(TX_012, what);
        ledger.violated(CON_001, what);
    }
}

fn receive(queue: u8, block: &Block, totals: &rx::Totals, pending: u64, ledger: &mut Ledger) {
    classes(queue, block, &totals.frames, ledger);
    if totals.merged > 0 {
        ledger.premise(LRO_004);
        if let Some(what) = between(block[0], queue, 0, totals.merged, totals.merged) {
            ledger.violated(LRO_004, what);
        }
    }
    ledger.premise(CON_002);
    let dropped = block[8].saturating_add(block[9]);
    if totals.lost > 0 {
        ledger.premise(RX_012);
    }
    let (low, high) = (totals.lost, totals.lost + totals.maybe_lost + totals.errors + pending);
    if let Some(what) = between(dropped, queue, 8, low, high) {
        ledger.violated(RX_012, what);
        ledger.violated(CON_002, what);
    }
}
