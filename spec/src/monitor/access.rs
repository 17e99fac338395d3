//! Isolation: every access of the device lies in what the guest gave it, at a time when it may. Needs to see accesses.

use super::ids::{ISO_001, LIF_001, LIF_005, RX_001, RX_008, SHM_004, SHM_005, TX_011, V3_002};
use super::layout::{Phase, Rings, inside, touches};
use super::ledger::{Ledger, What};
use super::{rx, tx};
use crate::vmxnet3::shared::ECR_OFFSET;
use crate::vmxnet3::{QUEUE_DESC_BYTES, RxDesc, RxQueueDesc, SHARED_BYTES_V1, TxDesc, TxQueueDesc};
use std::collections::VecDeque;

/// First byte of `status` and byte behind the statistics in a queue descriptor: both kinds agree.
const STATUS: u64 = TxQueueDesc::LAYOUT.offset("status");
const STATISTICS_END: u64 = TxQueueDesc::LAYOUT.offset("stats") + 80;
const _: () = assert!(STATUS == RxQueueDesc::LAYOUT.offset("status"));
/// Bytes of the live words that a device may write.
const CONTROL: u64 = 8;
/// Most entries of a list that are looked at in one place before the next list; the right one is nearly always the first.
const NEAR: usize = 4;
/// Fetched descriptors remembered for a hostile guest: two laps of the largest rings.
const FETCHED: usize = 16384;

/// The judge of accesses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    /// A command was written and the guest has not gone on: what it names may be read.
    pub commanded: bool,
    /// Where the command under way writes its answer: address and bytes.
    pub answer: Option<(u64, u64)>,
    /// Where the last write to a buffer went: queue and ring.
    hint: (usize, usize),
    /// Buffers that fetched descriptors named, TX and RX, latest last: what counts where the guest breaks the rules itself.
    fetched: [VecDeque<(u64, u32)>; 2],
    /// Only `fetched` counts.
    hostile: bool,
}

impl Judge {
    /// False, with a violation, where the device may not touch memory at all.
    fn awake(&self, rings: &Rings, what: What, ledger: &mut Ledger) -> bool {
        let awake = rings.phase != Phase::Inactive || self.commanded;
        if !awake {
            ledger.premise(LIF_001);
            ledger.violated(LIF_001, what);
        }
        awake
    }

    /// A descriptor was read.
    pub fn fetched(&mut self, pa: u64, cell: u128, hostile: bool, rings: &Rings, ledger: &mut Ledger) {
        let what = What::Access { pa, len: 16, write: false };
        if !self.awake(rings, what, ledger) || !rings.live() {
            return;
        }
        let tx = rings.tx.iter().any(|q| q.ring.holds(pa, 16));
        let ours = tx || rings.rx.iter().any(|q| q.rings.iter().any(|r| r.holds(pa, 16)));
        ledger.check(ISO_001, ours, || what);
        self.hostile = hostile;
        if hostile {
            let buffer = if tx {
                (TxDesc(cell).addr(), TxDesc(cell).bytes() as u32)
            } else {
                (RxDesc(cell).addr(), u32::from(RxDesc(cell).len()))
            };
            let list = &mut self.fetched[usize::from(!tx)];
            list.push_back(buffer);
            if list.len() > FETCHED {
                list.pop_front();
            }
        }
    }

    /// Memory was read.
    pub fn read(&self, pa: u64, len: usize, rings: &Rings, tx: &tx::Judge, ledger: &mut Ledger) {
        let what = What::Access { pa, len, write: false };
        if !self.awake(rings, what, ledger) || !rings.live() || len == 0 {
            return;
        }
        ledger.premise(ISO_001);
        ledger.premise(TX_011);
        let fetched = || self.hostile && self.fetched[0].iter().rev().any(|&(a, n)| inside(pa, len, a, n.into()));
        if self.commanded || fetched() || posted(tx, pa, len) || in_rings(rings, pa, len) || in_areas(rings, pa, len) {
            return;
        }
        if !self.hostile {
            ledger.violated(TX_011, what);
        }
        ledger.violated(ISO_001, what);
    }

    /// A completion was written.
    pub fn published(&self, pa: u64, rings: &Rings, ledger: &mut Ledger) {
        let what = What::Access { pa, len: 16, write: true };
        if !self.awake(rings, what, ledger) || !rings.live() {
            return;
        }
        ledger.premise(SHM_004);
        ledger.premise(SHM_005);
        if !rings.tx.iter().any(|q| q.comp.slot(pa).is_some()) && !rings.rx.iter().any(|q| q.comp.slot(pa).is_some()) {
            self.stray(what, pa, 16, rings, ledger);
        }
    }

    /// Memory was written.
    pub fn wrote(&mut self, pa: u64, bytes: &[u8], rings: &Rings, rx: &mut rx::Judge, ledger: &mut Ledger) {
        let what = What::Access { pa, len: bytes.len(), write: true };
        let event = touches(pa, bytes.len(), rings.shared.wrapping_add(ECR_OFFSET), 4);
        if event {
            ledger.check(LIF_005, rings.phase != Phase::Inactive || self.commanded, || what);
        }
        if !self.awake(rings, what, ledger) || !rings.live() || bytes.is_empty() {
            return;
        }
        ledger.premise(SHM_004);
        ledger.premise(SHM_005);
        ledger.premise(ISO_001);
        ledger.premise(RX_001);
        let mut fetched = self.fetched[1].iter().rev();
        if self.hostile && fetched.any(|&(a, n)| inside(pa, bytes.len(), a, n.into())) {
            return;
        }
        if self.fill(pa, bytes.len(), what, rx, ledger) || copy(pa, bytes.len(), what, rings, rx, ledger) {
            return;
        }
        if self.answer.is_some_and(|(base, size)| inside(pa, bytes.len(), base, size)) {
            return;
        }
        if event && inside(pa, bytes.len(), rings.shared.wrapping_add(ECR_OFFSET), 4) {
            return;
        }
        if inside(pa, bytes.len(), rings.table, rings.table_bytes()) {
            let at = (pa - rings.table) % QUEUE_DESC_BYTES;
            let end = at + bytes.len() as u64;
            if end <= CONTROL || (at >= STATUS && end <= STATISTICS_END) {
                return;
            }
        }
        self.stray(what, pa, bytes.len(), rings, ledger);
    }

    /// A write that starts in a posted buffer. False where it starts in none.
    fn fill(&mut self, pa: u64, len: usize, what: What, rx: &mut rx::Judge, ledger: &mut Ledger) -> bool {
        let (q, ring) = self.hint;
        if let Some(queue) = rx.queues.get_mut(q)
            && near(queue.posted[ring].iter_mut().take(NEAR), pa, len, what, ledger)
        {
            return true;
        }
        for (q, queue) in rx.queues.iter_mut().enumerate() {
            for (ring, posted) in queue.posted.iter_mut().enumerate() {
                if near(posted.iter_mut(), pa, len, what, ledger) {
                    self.hint = (q, ring);
                    return true;
                }
            }
        }
        false
    }

    /// A write where the device has no business.
    #[cold]
    fn stray(&self, what: What, pa: u64, len: usize, rings: &Rings, ledger: &mut Ledger) {
        let descriptors = rings.tx.iter().any(|q| q.ring.touches(pa, len))
            || rings.rx.iter().any(|q| q.rings.iter().any(|r| r.touches(pa, len)));
        if descriptors {
            ledger.violated(SHM_005, what);
        }
        ledger.violated(SHM_004, what);
        ledger.violated(ISO_001, what);
        ledger.violated(RX_001, what);
    }
}

/// Notes a write to an entry of a data ring whose descriptor is posted. False where it starts in none.
fn copy(pa: u64, len: usize, what: What, rings: &Rings, rx: &mut rx::Judge, ledger: &mut Ledger) -> bool {
    for (setup, queue) in rings.rx.iter().zip(&mut rx.queues) {
        let Some((index, offset)) = setup.data.entry(pa, setup.rings[0].cells) else { continue };
        let Some(buffer) = queue.posted[0].iter_mut().find(|buffer| buffer.posting.index == index) else { continue };
        let end = u64::from(offset) + len as u64;
        if end > u64::from(setup.data.entry_bytes) {
            ledger.premise(V3_002);
            ledger.violated(V3_002, what);
        }
        if offset == 0 || offset <= buffer.copied {
            buffer.copied = end.min(u64::from(setup.data.entry_bytes)) as u32;
        }
        return true;
    }
    false
}

/// Notes a write to one of `buffers`, if it starts there.
fn near<'a>(
    buffers: impl Iterator<Item = &'a mut rx::Buffer>,
    pa: u64,
    len: usize,
    what: What,
    ledger: &mut Ledger,
) -> bool {
    for buffer in buffers {
        let offset = pa.wrapping_sub(buffer.posting.addr);
        if offset < u64::from(buffer.posting.len) {
            let end = offset + len as u64;
            if end > u64::from(buffer.posting.len) {
                ledger.premise(RX_008);
                ledger.violated(RX_008, what);
                ledger.violated(ISO_001, what);
            }
            let end = end.min(u64::from(buffer.posting.len)) as u32;
            if offset == 0 {
                buffer.written = end;
            } else if offset <= u64::from(buffer.written) {
                buffer.written = buffer.written.max(end);
            }
            return true;
        }
    }
    false
}

/// Whether the bytes lie in a buffer of a packet that is posted and not completed.
fn posted(tx: &tx::Judge, pa: u64, len: usize) -> bool {
    let holds = |p: &tx::Packet| p.pieces.iter().any(|&(addr, size)| inside(pa, len, addr, u64::from(size)));
    tx.queues.iter().any(|q| q.packets.iter().skip(q.done).take(NEAR).any(holds))
        || tx.queues.iter().any(|q| q.packets.iter().any(holds))
}

fn in_rings(rings: &Rings, pa: u64, len: usize) -> bool {
    rings.tx.iter().any(|q| q.ring.holds(pa, len) || q.comp.holds(pa, len))
        || rings.rx.iter().any(|q| q.comp.holds(pa, len) || q.rings.iter().any(|r| r.holds(pa, len)))
}

/// The queue table's live words and the event word may be read at any time.
fn in_areas(rings: &Rings, pa: u64, len: usize) -> bool {
    inside(pa, len, rings.table, rings.table_bytes())
        || inside(pa, len, rings.shared, SHARED_BYTES_V1) && touches(pa, len, rings.shared.wrapping_add(ECR_OFFSET), 4)
}
