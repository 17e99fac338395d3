//! Receive: every frame offered that passes the filter arrives once, unchanged, in order, or is counted as dropped; and the
//! grammar of completions that drivers rely on.

mod delivered;
mod described;
mod room;

use super::filter::Verdict;
use super::ids::{
    CFG_001, CMP_001, CON_002, FLT_001, FLT_004, FLT_005, LRO_001, LRO_002, LRO_003, RX_003, RX_004, RX_005, RX_006,
    RX_007, RX_008, RX_010, RX_011, RX_013, RX_015, RX_017, RX_018, V3_002, WAK_001,
};
use super::layout::{Cursor, Rings};
use super::ledger::{Ledger, What};
use super::merged::Told;
use super::posting::RxPosting;
use super::tx::class;
use crate::event::GuestView;
use crate::vmxnet3::command::feature;
use crate::vmxnet3::rx::ext1;
use crate::vmxnet3::{MIN_FRAME, RxCompDesc, rx};
use room::take;
use std::collections::VecDeque;

/// Most frames remembered as waiting; the oldest are given up beyond it.
const WAITING: usize = 4096;
/// From this version on completions may tell of headers in a tunnel.
const INNER_SINCE: u8 = 4;
/// Most buffers of a ring; a guest that posts more reuses descriptors, which no driver does.
const MOST: usize = 8192;
/// An offered frame must arrive only while fewer than this many wait: the smallest ingress FIFO of any profile.
const SURE: usize = 4;

/// A buffer handed over and not consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Buffer {
    pub posting: RxPosting,
    /// It lies in guest memory.
    mapped: bool,
    /// Bytes written to it, from its start.
    pub written: u32,
    /// Bytes written to the entry of the data ring that goes with it, from its start.
    pub copied: u32,
}

/// A frame on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Offer {
    frame: Vec<u8>,
    verdict: Verdict,
    /// The queue it belongs to.
    queue: u8,
    /// The queue it may come to where what is hashed changes meanwhile.
    other: u8,
    /// It must arrive before the next idle point.
    obliged: bool,
    state: State,
    offered_at: u64,
    /// Switches before it was offered.
    switches: u32,
}

impl Offer {
    /// Whether it may be delivered to queue `q`.
    fn comes_to(&self, q: u8) -> bool {
        self.queue == q || self.other == q
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Waiting,
    /// A later frame of its queue arrived.
    Passed,
    Delivered,
}

/// A completion: its queue, the slot it stands in, its 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub queue: usize,
    pub slot: u32,
    pub cell: u128,
}

/// What a queue received since activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Frames by destination: unicast, multicast, broadcast.
    pub frames: [u64; 3],
    /// Packets delivered that were merged of several.
    pub merged: u64,
    /// Packets delivered with `err`.
    pub errors: u64,
    /// Accepted frames that were certainly dropped.
    pub lost: u64,
    /// Frames that may have been dropped as well.
    pub maybe_lost: u64,
}

/// A packet whose completions have begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Open {
    buffers: u32,
    /// It was merged, as its first completion says.
    merged: Option<Told>,
    /// Where its bytes lie: address and length.
    pieces: Vec<(u64, u32)>,
    /// Something about it was already found wrong: its content says nothing.
    spoilt: bool,
}

/// One RX queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    /// Posted and not consumed, oldest first.
    pub posted: [VecDeque<Buffer>; 2],
    pub comp: Cursor,
    open: Open,
    pub totals: Totals,
}

/// The judge of all RX queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    pub queues: Vec<Queue>,
    /// Oldest first.
    offers: VecDeque<Offer>,
    pool: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    /// Frames that a merged packet was cut into.
    cuts: Vec<usize>,
    /// The configuration changed since the last idle point: frames may meet the old or the new one.
    unsettled: bool,
    /// Features that some, and that all, frames since the last idle point may have met.
    features: (u64, u64),
    switches: u32,
}

impl Judge {
    /// A fresh activation.
    pub fn start(&mut self, rings: &Rings) {
        self.queues.clear();
        self.queues.resize_with(rings.rx.len(), Queue::default);
        self.unsettled = false;
        self.features = (rings.features, rings.features);
        self.steered(rings);
    }

    /// What is hashed may have changed: frames under way may come to either queue.
    pub fn steered(&mut self, rings: &Rings) {
        for offer in &mut self.offers {
            let old = offer.queue;
            [offer.queue, offer.other] = rings.rss.queues(&offer.frame, rings.rx.len());
            if offer.other == offer.queue {
                offer.other = old;
            }
        }
    }

    /// Nothing posted counts any more; frames under way may still arrive after the next activation.
    pub fn stop(&mut self) {
        self.queues.clear();
        self.unsettle();
    }

    /// The configuration changed: frames under way may or may not be accepted now.
    pub fn changed(&mut self, features: u64) {
        self.features = (self.features.0 | features, self.features.1 & features);
        self.unsettle();
    }

    fn unsettle(&mut self) {
        self.unsettled = true;
        for offer in &mut self.offers {
            offer.verdict = Verdict::Maybe;
            offer.obliged = false;
        }
    }

    /// The body changed.
    pub fn switched(&mut self) {
        self.switches = self.switches.saturating_add(1);
    }

    /// A buffer was handed over.
    pub fn posted(&mut self, q: usize, ring: usize, posting: RxPosting, memory: &dyn GuestView) {
        let mapped = memory.slice(posting.addr, posting.len as usize).is_some();
        let posted = &mut self.queues[q].posted[ring];
        posted.push_back(Buffer { posting, mapped, written: 0, copied: 0 });
        if posted.len() > MOST {
            posted.pop_front();
        }
    }

    /// A frame reached the uplink. `ready`: active, link up, no queue stopped.
    pub fn offered(&mut self, frame: &[u8], ready: bool, rings: &Rings, at: u64) {
        let mut verdict = if ready && !self.unsettled { rings.filter.judge(frame) } else { Verdict::Maybe };
        if frame.len() < 14 {
            verdict = Verdict::Maybe;
        }
        let [queue, other] = rings.rss.queues(frame, self.queues.len());
        let fits = frame.len() <= rings.mtu as usize + 18 && frame.len() >= 14;
        let waiting = self.offers.iter().filter(|o| o.state == State::Waiting && !matches!(o.verdict, Verdict::No(_)));
        let (mut count, mut longest) = (1, frame.len().max(MIN_FRAME));
        for offer in waiting.take(SURE) {
            count += 1;
            longest = longest.max(offer.frame.len());
        }
        let obliged = fits
            && queue == other
            && matches!(verdict, Verdict::Yes(_))
            && count <= SURE
            && self.queues.get(usize::from(queue)).is_some_and(|q| q.has_room(count, longest, rings.max_rx_sg))
            // What is merged takes other buffers than its frames alone would: then only a HEAD for each is sure.
            && (self.features.0 & feature::LRO == 0 || self.queues[usize::from(queue)].has_heads(count, longest));
        let mut own = self.pool.pop().unwrap_or_default();
        own.clear();
        own.extend_from_slice(frame);
        if self.offers.len() >= WAITING {
            self.forget_oldest();
        }
        let (state, switches) = (State::Waiting, self.switches);
        self.offers.push_back(Offer { frame: own, verdict, queue, other, obliged, state, offered_at: at, switches });
    }

    /// A frame was dropped outside the device, on purpose.
    pub fn dropped(&mut self, frame: &[u8]) {
        if let Some(at) = self.offers.iter().position(|o| o.state == State::Waiting && o.frame == frame) {
            self.offers[at].state = State::Delivered;
            self.trim();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(offer) = self.offers.pop_front() {
            if offer.state != State::Delivered {
                self.lose(offer.queue, offer.verdict);
            }
            self.pool.push(offer.frame);
        }
    }

    /// A frame of `queue` will not arrive any more.
    fn lose(&mut self, queue: u8, verdict: Verdict) {
        if let Some(queue) = self.queues.get_mut(usize::from(queue)) {
            match verdict {
                Verdict::Yes(_) => queue.totals.lost += 1,
                Verdict::Maybe => queue.totals.maybe_lost += 1,
                Verdict::No(_) => {}
            }
        }
    }

    /// Takes what was delivered off the front.
    fn trim(&mut self) {
        while self.offers.front().is_some_and(|o| o.state == State::Delivered) {
            self.pool.extend(self.offers.pop_front().map(|o| o.frame));
        }
    }

    /// Frames that wait and might be counted as dropped by now.
    pub fn pending(&self, q: usize) -> u64 {
        let mine = |o: &&Offer| (usize::from(o.queue) == q || usize::from(o.other) == q) && o.state != State::Delivered;
        self.offers.iter().filter(mine).filter(|o| !matches!(o.verdict, Verdict::No(_))).count() as u64
    }

    /// A completion appeared. `snooped`: writes are seen, so `written` of buffers means something.
    pub fn completed(&mut self, seen: Seen, rings: &Rings, snooped: bool, memory: &dyn GuestView, ledger: &mut Ledger) {
        let Seen { queue: q, slot, cell } = seen;
        let n = rings.rx.len();
        let queue = &mut self.queues[q];
        let (id, c) = (q as u8, RxCompDesc(cell));
        let bad = What::BadCompletion { queue: id, slot, cell };
        let expected = queue.comp;
        ledger.check(CMP_001, slot == expected.index && c.generation() == expected.generation, || What::Misplaced {
            queue: id,
            slot,
            expected: expected.index,
            generation: expected.generation,
        });
        queue.comp.advance(rings.rx[q].comp.cells);
        let data = rings.rx[q].data;
        let copied = usize::from(c.rq_id()) == q + 2 * n;
        if copied || data.entry_bytes != 0 {
            let entry = c.sop() && c.eop() && u32::from(c.len()) <= data.entry_bytes;
            ledger.check(V3_002, !copied || entry, || bad);
        }
        let ring = if usize::from(c.rq_id()) == q || (copied && data.entry_bytes != 0) {
            0
        } else if usize::from(c.rq_id()) == q + n {
            1
        } else {
            ledger.premise(RX_007);
            return ledger.violated(RX_007, bad);
        };
        ledger.premise(RX_007);
        let first = queue.open.buffers == 0;
        ledger.check(RX_006, c.sop() == first, || bad);
        if c.sop() {
            queue.open.buffers = 0;
            queue.open.pieces.clear();
            queue.open.spoilt = false;
            queue.open.merged = Told::of(c);
        }
        let merged = queue.open.merged.filter(|_| c.sop());
        ledger.check(RX_013, !c.err() || c.eop(), || bad);
        ledger.check(RX_015, c.eop() || !c.ts(), || bad);
        ledger.check(RX_017, c.csum() == 0 || merged.is_some(), || bad);
        if let Some(told) = merged {
            let asked = self.features.0 & feature::LRO != 0 && rings.version >= rx::MERGES_SINCE;
            ledger.check(LRO_001, asked, || bad);
            ledger.check(LRO_002, told.segments > 0, || bad);
            ledger.check(LRO_003, !c.eop() || c.rss_type() == 0, || bad);
        }
        ledger.check(RX_018, (c.kind() == rx::RXCOMP || merged.is_some()) && (!c.eop() || c.err() || c.fcs()), || bad);
        let inner = c.eop() && !c.err() && c.ext1() == ext1::HDR_INNER;
        if (c.ext1() != 0 && !inner) || c.ext2() {
            ledger.violated(CMP_001, bad);
        }
        let len = u32::from(c.len());
        let index = u32::from(c.rxd_idx());
        let swapped = !copied && queue.fits_other(ring, index, len, c.sop(), snooped);
        let taken = take(&mut queue.posted[ring], index, rings.rx[q].rings[ring].cells);
        ledger.check(RX_005, taken.is_some(), || bad);
        let Some(buffer) = taken else {
            if swapped {
                ledger.violated(RX_007, bad);
            }
            queue.open.spoilt = true;
            queue.open.buffers = if c.eop() { 0 } else { queue.open.buffers + 1 };
            return;
        };
        let placed = if c.sop() { ring == 0 && !buffer.posting.body } else { buffer.posting.body };
        ledger.check(if c.sop() { RX_003 } else { RX_004 }, placed, || bad);
        if swapped && (!placed || (snooped && buffer.written < len)) {
            ledger.violated(RX_007, bad);
        }
        let (addr, room) =
            if copied { (data.at(index), data.entry_bytes) } else { (buffer.posting.addr, buffer.posting.len) };
        ledger.check(RX_008, len >= 1 && len <= room, || bad);
        if snooped {
            let written = if copied { buffer.copied } else { buffer.written };
            ledger.check(RX_010, written >= len, || What::Unwritten { queue: id, written, len });
            queue.open.spoilt |= written < len;
        }
        queue.open.buffers += 1;
        queue.open.spoilt |= len > room;
        queue.open.pieces.push((addr, len));
        if rings.max_rx_sg != 0 {
            ledger.check(RX_011, queue.open.buffers <= u32::from(rings.max_rx_sg), || bad);
        }
        if !c.eop() {
            return;
        }
        queue.open.buffers = 0;
        if c.err() {
            queue.totals.errors += 1;
            return;
        }
        self.scratch.clear();
        for &(addr, len) in &queue.open.pieces {
            match memory.slice(addr, len as usize) {
                Some(bytes) => self.scratch.extend_from_slice(bytes),
                None => queue.open.spoilt = true,
            }
        }
        let spoilt = queue.open.spoilt;
        let merged = queue.open.merged;
        queue.totals.frames[class(&self.scratch)] += merged.map_or(1, |told| u64::from(told.segments));
        queue.totals.merged += u64::from(merged.is_some());
        if inner {
            self.inner(c, rings.version, bad, ledger);
        } else {
            self.flags(c, bad, ledger);
        }
        match merged {
            None => self.delivered(id, c, spoilt, bad, rings, ledger),
            Some(told) => {
                let vouched = c.tcp() && !c.cnc() && c.tuc() && (c.ipc() || !c.v4()) && !c.frg();
                ledger.check(LRO_003, vouched, || bad);
                self.delivered_merged(id, c, told, bad, rings, ledger);
            }
        }
    }

    /// Nothing more can happen: what had to arrive has arrived. `ready` as for `offered`.
    pub fn idle(&mut self, ready: bool, rings: &Rings, ledger: &mut Ledger) {
        for at in 0..self.offers.len() {
            let offer = &self.offers[at];
            if offer.state == State::Delivered {
                continue;
            }
            if ready && offer.obliged {
                self.missing(offer, ledger);
            }
            let len = offer.frame.len().max(MIN_FRAME);
            let queue = self.queues.get(usize::from(offer.queue));
            let room = queue.is_some_and(|q| q.has_room(1, len, rings.max_rx_sg));
            let refused = if let Verdict::No(clause) = offer.verdict {
                ledger.premise(clause);
                true
            } else {
                false
            };
            // A frame that waits for buffers may still arrive; one that found them and did not will not.
            if offer.state == State::Passed || offer.obliged || refused || (ready && room) {
                let (queue, verdict) = (offer.queue, offer.verdict);
                self.offers[at].state = State::Delivered;
                self.lose(queue, verdict);
            }
        }
        self.trim();
        self.unsettled &= !ready;
        self.features = (rings.features, rings.features);
    }

    /// A frame that had to arrive did not.
    #[cold]
    fn missing(&self, offer: &Offer, ledger: &mut Ledger) {
        let what = What::Undelivered { len: offer.frame.len(), offered_at: offer.offered_at };
        ledger.premise(CON_002);
        ledger.violated(CON_002, what);
        if offer.switches < self.switches {
            ledger.violated(WAK_001, what);
        }
        if let Verdict::Yes(clause @ (FLT_001 | FLT_004 | FLT_005)) = offer.verdict {
            ledger.premise(clause);
            ledger.violated(clause, what);
        }
        if self.switches > 0 {
            ledger.violated(CFG_001, what);
        }
    }
}
