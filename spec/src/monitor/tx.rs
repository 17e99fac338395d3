//! Transmit: every packet posted leaves once, in order, as its descriptors say, and is completed once, after it left.

use super::ids::{
    CMP_001, CON_001, ORD_001, TX_001, TX_002, TX_008, TX_009, TX_010, TX_012, TX_014, TX_015, TX_016, TX_017, TX_018,
    TX_020, V4_006, V4_007, V4_008, V4_009, WAK_001,
};
use super::layout::{Cursor, TxQueue};
use super::ledger::{Ledger, What};
use super::posting::TxPosting;
use super::wire::{self, Fate, Plan};
use crate::event::GuestView;
use crate::vmxnet3::{TxCompDesc, TxDesc};
use std::collections::VecDeque;

/// Packets kept after their completion, to tell a packet sent again from a frame out of nowhere.
const HISTORY: usize = 8;
/// How far ahead an unexpected frame is searched for.
const AHEAD: usize = 64;
/// Most packets followed in a queue: a ring of the interface.
const MOST: usize = 4096;
/// Bytes that are gathered for comparison; a larger packet can only be refused.
const GATHERED: usize = 1 << 18;

/// A packet under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Packet {
    head: TxDesc,
    first: u32,
    last: u32,
    cq: bool,
    plan: Plan,
    fate: Fate,
    /// Frames it becomes, and how many of them left.
    frames: u32,
    sent: u32,
    /// It will not be sent any more.
    failed: bool,
    /// An obligation on it was already found broken.
    told: bool,
    /// Its number in the queue, and the event that posted it.
    number: u64,
    posted_at: u64,
    bytes: Vec<u8>,
    pub pieces: Vec<(u64, u32)>,
}

impl Packet {
    fn done(&self) -> bool {
        self.failed || self.sent == self.frames
    }
}

/// What left a queue since activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Frames by destination: unicast, multicast, broadcast.
    pub frames: [u64; 3],
    /// Frames that segmentation made.
    pub segments: u64,
    /// Packets that were given up, at least.
    pub failed: u64,
    /// Packets under way that may be counted as given up already.
    pub undecided: u64,
}

/// Unicast 0, multicast 1, broadcast 2.
#[inline]
pub(super) fn class(frame: &[u8]) -> usize {
    match frame.first_chunk::<6>() {
        Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => 2,
        Some([first, ..]) if first & 1 == 1 => 1,
        _ => 0,
    }
}

/// One TX queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    /// Posted and not completed, oldest first.
    pub packets: VecDeque<Packet>,
    /// Packets at the front of `packets` that are done.
    pub done: usize,
    history: VecDeque<Packet>,
    pub comp: Cursor,
    posted: u64,
    /// Packets below this number must leave: a doorbell was rung, or the body changed, after they were posted.
    due: u64,
    /// Packets below this number were posted before a switch.
    switched: u64,
    /// What was `due` and `switched` at the last idle point that judged them.
    judged: u64,
    waited: u64,
    /// The latest packet that had a frame sent.
    newest: u64,
    pub totals: Totals,
}

/// The judge of all TX queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    pub queues: Vec<Queue>,
    pool: Vec<Packet>,
    spare: Vec<u8>,
    /// The link is down or changing, or a queue stopped.
    doubtful: bool,
}

impl Judge {
    /// A fresh activation of `queues` queues.
    pub fn start(&mut self, queues: usize) {
        self.stop();
        self.doubtful = false;
        self.queues.resize_with(queues, Queue::default);
    }

    /// Nothing posted counts any more.
    pub fn stop(&mut self) {
        for queue in &mut self.queues {
            self.pool.extend(queue.packets.drain(..));
            self.pool.extend(queue.history.drain(..));
        }
        self.queues.clear();
    }

    /// A packet was handed over, while `version` was in force.
    pub fn posted(&mut self, q: usize, posting: &TxPosting<'_>, version: u8, memory: &dyn GuestView, ledger: &Ledger) {
        let queue = &mut self.queues[q];
        let mut packet = self.pool.pop().unwrap_or_else(|| Packet {
            head: TxDesc(0),
            first: 0,
            last: 0,
            cq: false,
            plan: Plan::Plain,
            fate: Fate::Send,
            frames: 1,
            sent: 0,
            failed: false,
            told: false,
            number: 0,
            posted_at: 0,
            bytes: Vec::new(),
            pieces: Vec::new(),
        });
        packet.bytes.clear();
        packet.pieces.clear();
        packet.pieces.extend_from_slice(posting.pieces);
        let mut mapped = true;
        for &(addr, len) in posting.pieces {
            match memory.slice(addr, len as usize) {
                Some(bytes) if packet.bytes.len() < GATHERED => packet.bytes.extend_from_slice(bytes),
                _ => mapped = false,
            }
        }
        let given = wire::Given { descs: posting.pieces.len(), mapped, version };
        (packet.plan, packet.fate) = wire::plan(&posting.head, given, &packet.bytes);
        if self.doubtful && packet.fate == Fate::Send {
            packet.fate = Fate::May;
        }
        packet.frames = packet.plan.frames(&packet.bytes);
        (packet.head, packet.first, packet.last, packet.cq) = (posting.head, posting.first, posting.last, posting.cq);
        (packet.sent, packet.failed, packet.told) = (0, false, false);
        (packet.number, packet.posted_at) = (queue.posted, ledger.at);
        queue.posted += 1;
        queue.packets.push_back(packet);
        if queue.packets.len() > MOST {
            // No driver posts over what is not completed; with `cq` clear everywhere nothing retires packets but this.
            self.pool.extend(queue.packets.pop_front());
            queue.done = queue.done.saturating_sub(1);
        }
    }

    /// In doubt, packets that would have to be sent may be dropped and counted.
    pub fn doubt(&mut self, doubtful: bool) {
        self.doubtful = doubtful;
        if doubtful {
            for packet in self.queues.iter_mut().flat_map(|q| &mut q.packets).filter(|p| p.fate == Fate::Send) {
                packet.fate = Fate::May;
            }
        }
    }

    /// The doorbell was rung: what is posted must leave.
    pub fn rung(&mut self, q: usize) {
        if let Some(queue) = self.queues.get_mut(q) {
            queue.due = queue.posted;
        }
    }

    /// The body changed: it looks at every ring.
    pub fn switched(&mut self) {
        for queue in &mut self.queues {
            queue.due = queue.posted;
            queue.switched = queue.posted;
        }
    }

    /// A frame left.
    pub fn sent(&mut self, q: u8, frame: &[u8], ledger: &mut Ledger) {
        let spare = &mut self.spare;
        let Some(queue) = self.queues.get_mut(usize::from(q)) else {
            return ledger.violated(TX_001, What::Unexplained { queue: q, len: frame.len() });
        };
        for id in [TX_001, TX_002, CON_001, ORD_001] {
            ledger.premise(id);
        }
        queue.totals.frames[class(frame)] += 1;
        let mut broken = None;
        let mut at = queue.done;
        while let Some(packet) = queue.packets.get_mut(at) {
            if packet.fate == Fate::Fail || packet.done() {
                at += 1;
                continue;
            }
            match packet.plan.check(&packet.head, &packet.bytes, packet.sent, frame, spare) {
                Ok(()) => {
                    premises(packet, ledger);
                    queue.totals.segments += u64::from(packet.plan.cuts());
                    packet.sent += 1;
                    if packet.number < queue.newest {
                        ledger.violated(ORD_001, What::OutOfOrder { queue: q, first: packet.first });
                    }
                    queue.newest = queue.newest.max(packet.number);
                    queue.settle(at);
                    return;
                }
                Err(_) if packet.fate == Fate::May && packet.sent == 0 => at += 1,
                Err(clause) => {
                    broken = Some((at, clause));
                    break;
                }
            }
        }
        queue.unexpected(q, frame, broken, spare, ledger);
    }

    /// A completion appeared in `slot`.
    pub fn completed(&mut self, q: usize, conf: &TxQueue, slot: u32, cell: u128, ledger: &mut Ledger) {
        let queue = &mut self.queues[q];
        let (q, desc) = (q as u8, TxCompDesc(cell));
        for id in [TX_008, TX_009, TX_010, CMP_001] {
            ledger.premise(id);
        }
        let expected = queue.comp;
        if slot != expected.index || desc.generation() != expected.generation {
            let what = What::Misplaced { queue: q, slot, expected: expected.index, generation: expected.generation };
            ledger.violated(TX_010, what);
            ledger.violated(CMP_001, what);
        }
        queue.comp.advance(conf.comp.cells);
        let mut plain = TxCompDesc(0);
        plain.set_txd_idx(desc.txd_idx());
        plain.set_generation(desc.generation());
        let what = What::BadCompletion { queue: q, slot, cell };
        if plain != desc {
            ledger.violated(TX_010, what);
        }
        let Some(at) = queue.packets.iter().position(|p| p.last == u32::from(desc.txd_idx())) else {
            ledger.violated(TX_008, what);
            return ledger.violated(CMP_001, what);
        };
        if queue.packets.iter().take(at).any(|p| p.cq) {
            ledger.violated(TX_009, what);
            ledger.violated(CMP_001, what);
        }
        queue.done = queue.done.saturating_sub(at + 1);
        for packet in queue.packets.drain(..=at) {
            if !packet.done() {
                if packet.fate == Fate::Send || packet.sent > 0 {
                    ledger.violated(CON_001, What::CompletedUnsent { queue: q, last: packet.last });
                } else {
                    queue.totals.failed += 1;
                    ledger.premise(TX_012);
                }
            } else if packet.failed {
                queue.totals.failed += 1;
                ledger.premise(TX_012);
            }
            queue.history.push_back(packet);
            if queue.history.len() > HISTORY {
                self.pool.extend(queue.history.pop_front());
            }
        }
    }

    /// Nothing more can happen. `ready`: the wire takes frames, the link is up, no queue stopped.
    pub fn idle(&mut self, ready: bool, rings: &[TxQueue], memory: &dyn GuestView, ledger: &mut Ledger) {
        for (q, queue) in self.queues.iter_mut().enumerate() {
            queue.totals.undecided = 0;
            if ready {
                ledger.premises(TX_014, queue.due.saturating_sub(queue.judged));
                ledger.premises(WAK_001, queue.switched.saturating_sub(queue.judged.max(queue.waited)));
                queue.judged = queue.due;
                queue.waited = queue.switched;
            }
            if queue.packets.is_empty() {
                continue;
            }
            let stuck = queue.done;
            let skipped = queue.packets.iter().skip(stuck).any(|p| p.sent > 0);
            let q = q as u8;
            for packet in &mut queue.packets {
                if packet.fate != Fate::Send && packet.sent == 0 {
                    queue.totals.undecided += 1;
                }
                if !ready || packet.number >= queue.due || packet.told {
                    continue;
                }
                let moved = packet.number < queue.switched;
                if !packet.done() && (packet.fate == Fate::Send || packet.sent > 0) {
                    packet.told = true;
                    let what = What::Unsent { queue: q, first: packet.first, posted_at: packet.posted_at };
                    ledger.violated(CON_001, what);
                    if !skipped {
                        ledger.violated(if moved { WAK_001 } else { TX_014 }, what);
                    }
                } else if packet.cq {
                    packet.told = true;
                    let what = What::Uncompleted { queue: q, last: packet.last };
                    let comp = rings[usize::from(q)].comp;
                    let cell = memory.cell(comp.at(queue.comp.index)).map(TxCompDesc);
                    if packet.done() && cell.is_some_and(|c| u32::from(c.txd_idx()) == packet.last && queue.posted > 1)
                    {
                        // The completion is there, but no driver can see it.
                        ledger.violated(TX_010, what);
                    }
                    ledger.violated(if packet.done() { TX_008 } else { TX_012 }, what);
                    ledger.violated(CMP_001, what);
                }
            }
        }
    }
}

fn premises(packet: &Packet, ledger: &mut Ledger) {
    if packet.head.ti() {
        ledger.premise(TX_020);
    }
    match packet.plan {
        Plan::Plain => {}
        Plan::Csum { start, field } => {
            ledger.premise(TX_015);
            if field == start + 6 {
                ledger.premise(TX_016);
            }
        }
        Plan::Tso { .. } => {
            ledger.premise(TX_017);
            ledger.premise(TX_018);
        }
        Plan::InnerCsum { .. } => {
            ledger.premise(V4_006);
            ledger.premise(V4_009);
        }
        Plan::InnerTso { .. } => {
            ledger.premise(V4_007);
            ledger.premise(V4_008);
            ledger.premise(V4_009);
        }
    }
}

impl Queue {
    /// Packet `at` had a frame sent; those before it that are not done were given up. Moves `done` on.
    fn settle(&mut self, at: usize) {
        for packet in self.packets.range_mut(self.done..at) {
            packet.failed |= !packet.done();
        }
        self.done = at;
        while self.packets.get(self.done).is_some_and(Packet::done) {
            self.done += 1;
        }
    }

    /// The frame is not the next one: says which rule that breaks, and carries on from what it most likely is.
    #[cold]
    fn unexpected(
        &mut self,
        queue: u8,
        frame: &[u8],
        broken: Option<(usize, wire::Broken)>,
        spare: &mut Vec<u8>,
        ledger: &mut Ledger,
    ) {
        let mut is = |p: &Packet, k: u32| {
            k < p.frames && p.fate != Fate::Fail && p.plan.check(&p.head, &p.bytes, k, frame, spare).is_ok()
        };
        if let Some(p) = self.history.iter().rev().find(|p| (0..p.frames.min(64)).any(|k| is(p, k))) {
            // Its descriptors are the driver's again.
            let what = What::SentTwice { queue, first: p.first };
            ledger.violated(CON_001, what);
            return ledger.violated(TX_001, what);
        }
        let sent = self.packets.iter().take(AHEAD + self.done).find(|p| (0..p.sent.min(64)).any(|k| is(p, k)));
        if let Some(p) = sent {
            return ledger.violated(CON_001, What::SentTwice { queue, first: p.first });
        }
        let from = broken.map_or(self.done, |(at, _)| at);
        for at in (from..self.packets.len()).take(AHEAD) {
            let p = &mut self.packets[at];
            if at > from && p.sent < p.frames && is(p, p.sent) {
                // The packets before it may still come, and would then be out of order; if they never do, they are lost.
                p.sent += 1;
                self.newest = self.newest.max(p.number);
                return ledger.violated(TX_002, What::OutOfOrder { queue, first: p.first });
            }
        }
        match broken {
            None => ledger.violated(TX_001, What::Unexplained { queue, len: frame.len() }),
            Some((at, clause)) => {
                let p = &mut self.packets[at];
                ledger.violated(clause, What::WrongFrame { queue, first: p.first, segment: p.sent });
                p.sent += 1;
                self.settle(at);
            }
        }
    }
}
