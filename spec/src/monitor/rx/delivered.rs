//! Which of the frames that were offered a delivered packet is.

use super::{Judge, Offer, State};
use crate::monitor::filter::{TAG, Verdict};
use crate::monitor::ids::{CFG_001, CON_002, LRO_002, ORD_001, RSS_001, RX_009, RX_019};
use crate::monitor::layout::Rings;
use crate::monitor::ledger::{Ledger, What};
use crate::monitor::merged::{Packet, Told};
use crate::vmxnet3::{MIN_FRAME, RxCompDesc};

impl Judge {
    /// Finds the frame that was delivered.
    pub(super) fn delivered(
        &mut self,
        q: u8,
        c: RxCompDesc,
        spoilt: bool,
        bad: What,
        rings: &Rings,
        ledger: &mut Ledger,
    ) {
        ledger.premise(CON_002);
        ledger.premise(ORD_001);
        ledger.premise(RX_009);
        ledger.premise(RSS_001);
        let got = &self.scratch;
        let mine = |o: &Offer| o.comes_to(q) && o.state != State::Delivered;
        // Frames can be equal byte for byte: one that is still due comes before one that was passed.
        let find = |state| self.offers.iter().position(|o| o.comes_to(q) && o.state == state && same(&o.frame, got, c));
        let found = find(State::Waiting).or_else(|| find(State::Passed));
        let Some(at) = found else {
            if spoilt {
                // The frame is unknown, but it was one: the oldest.
                if let Some(at) = self.offers.iter().position(mine) {
                    self.offers[at].state = State::Delivered;
                    self.trim();
                }
                return;
            }
            if let Some(o) = self.offers.iter_mut().find(|o| o.state == State::Waiting && same(&o.frame, got, c)) {
                ledger.violated(RSS_001, What::WrongQueue { queue: q, expected: o.queue });
                o.state = State::Delivered;
                return self.trim();
            }
            let short = |o: &Offer| o.frame.len() < MIN_FRAME && o.frame == *got;
            if let Some(at) = self.offers.iter().position(|o| mine(o) && short(o)) {
                ledger.violated(RX_009, bad);
                self.offers[at].state = State::Delivered;
                return self.trim();
            }
            return ledger.violated(CON_002, What::NotOffered { queue: q, len: got.len() });
        };
        let late = self.offers[at].state == State::Passed;
        if late {
            ledger.violated(ORD_001, What::OutOfOrder { queue: q, first: at as u32 });
        }
        self.arrived(at, q, rings, ledger);
        self.described(at, c, true, bad, rings, ledger);
        if !late {
            self.pass(at, q);
        }
        self.trim();
    }

    /// Finds the frames that a merged packet was made of. Frames of other streams between them may come later: no source says that
    /// LRO keeps the order between streams.
    pub(super) fn delivered_merged(
        &mut self,
        q: u8,
        c: RxCompDesc,
        told: Told,
        bad: What,
        rings: &Rings,
        ledger: &mut Ledger,
    ) {
        ledger.premise(CON_002);
        ledger.premise(ORD_001);
        if c.ts() && self.scratch.len() >= 12 {
            let [high, low] = c.tci().to_be_bytes();
            self.scratch.splice(12..12, [TAG[0], TAG[1], high, low]);
        }
        self.cuts.clear();
        let mut even = true;
        let whole = Packet::of(&self.scratch).is_some_and(|mut packet| {
            for (at, offer) in self.offers.iter().enumerate() {
                if packet.is_cut_up() {
                    break;
                }
                let mine = offer.queue == q && offer.state == State::Waiting;
                let Some(bytes) = Some(offer).filter(|_| mine).and_then(|offer| packet.cut(&offer.frame)) else {
                    continue;
                };
                self.cuts.push(at);
                even &= told.mss == 0
                    || bytes == usize::from(told.mss)
                    || (packet.is_cut_up() && bytes < usize::from(told.mss));
            }
            packet.is_cut_up()
        });
        if !whole || self.cuts.is_empty() {
            return ledger.violated(CON_002, What::NotOffered { queue: q, len: self.scratch.len() });
        }
        ledger.check(LRO_002, even && self.cuts.len() == usize::from(told.segments), || bad);
        let cuts = core::mem::take(&mut self.cuts);
        for &at in &cuts {
            self.arrived(at, q, rings, ledger);
        }
        let first = cuts[0];
        self.described(first, c, !c.sop(), bad, rings, ledger);
        self.pass(first, q);
        self.cuts = cuts;
        self.trim();
    }

    /// What was offered before `at` and did not arrive will not arrive in its turn.
    fn pass(&mut self, at: usize, q: u8) {
        for earlier in self.offers.range_mut(..at) {
            if earlier.queue == q && earlier.state == State::Waiting {
                earlier.state = State::Passed;
            }
        }
    }

    /// An offered frame was delivered: whether the filter lets it.
    fn arrived(&mut self, at: usize, q: u8, rings: &Rings, ledger: &mut Ledger) {
        let offer = &mut self.offers[at];
        offer.state = State::Delivered;
        match offer.verdict {
            Verdict::Yes(clause) => {
                ledger.premise(clause);
                ledger.premise(RX_019);
                if self.switches > 0 {
                    ledger.premise(CFG_001);
                }
            }
            Verdict::No(clause) => {
                ledger.premise(clause);
                let what = What::Filtered { queue: q, rx_mode: rings.filter.mode };
                ledger.violated(clause, what);
                if self.switches > 0 {
                    ledger.violated(CFG_001, what);
                }
            }
            Verdict::Maybe => {}
        }
    }
}

/// Whether `got` is `frame` as it must be delivered: without its tag where `c` says so, padded to the shortest length.
fn same(frame: &[u8], got: &[u8], c: RxCompDesc) -> bool {
    let (from, len) = if c.ts() {
        if frame.len() < 18 || frame[12..14] != TAG || frame[14..16] != c.tci().to_be_bytes() {
            return false;
        }
        (16, frame.len() - 4)
    } else {
        (12.min(frame.len()), frame.len())
    };
    if got.len() != len.max(MIN_FRAME) {
        return false;
    }
    let head = 12.min(frame.len());
    got[..head] == frame[..head] && got[head..len] == frame[from..] && got[len..].iter().all(|&b| b == 0)
}
