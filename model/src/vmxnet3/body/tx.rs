//! Transmit: fetch descriptors to an end of packet, gather, send frame by frame, complete. One access a step.
//!
//! Source: linux vmxnet3_drv.c, vmxnet3_tq_xmit and vmxnet3_tq_tx_complete, for what a driver posts and expects back.

use super::vectors::Vectors;
use crate::host::{Host, Sent};
use crate::memory::Buffer;
use crate::mutant::{Mutant, Planted};
use crate::plane::{TxProgress, TxSetup};
use crate::vmxnet3::headers::TAG;
use crate::vmxnet3::offload::{self, Segmentation, Unsendable, Work};
use crate::vmxnet3::statistics::{self, add};
use spec::frame::ETHERNET;
use spec::position::RingIndex;
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{CELL_BYTES, TxCompDesc, TxDesc};

/// What every queue of a body shares while it steps.
pub(super) struct Shared<'b> {
    pub profile: &'static Profile,
    pub planted: Planted,
    pub vectors: &'b mut Vectors,
    pub link: bool,
    /// Interface version in force.
    pub version: u8,
    pub wire_busy: &'b mut bool,
}

/// What the next step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    /// Fetches the descriptor at the cursor.
    #[default]
    Fetch,
    /// Reads fragment `n`.
    Gather(usize),
    /// Sends frame `n` of the packet.
    Send(usize),
    /// Publishes the completion; true for the second time, which is wrong.
    Complete(bool),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Fate {
    /// Nothing against it yet.
    #[default]
    Good,
    /// It cannot be sent.
    Bad,
    /// The link is down.
    Discarded,
}

/// The packet under way. It is forgotten whole whenever its end is not there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Packet {
    /// Its first descriptor, which carries what is asked for all of it.
    first: TxDesc,
    /// Descriptors fetched.
    descs: u32,
    /// Bytes they describe.
    bytes: usize,
    /// A completion is wanted.
    completes: bool,
    /// Index of its last descriptor.
    last: u32,
    fate: Fate,
    /// Addresses and lengths of its pieces.
    pieces: Vec<(u64, u32)>,
    /// Its bytes as gathered.
    data: Buffer,
    /// How it is cut, if it is.
    cut: Option<Segmentation>,
    /// The frame to send when it is not `data` itself.
    frame: Vec<u8>,
    /// Something of it is visible outside.
    visible: bool,
}

/// One TX queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TxQueue {
    setup: TxSetup,
    pub at: TxProgress,
    /// The queue looks at its ring until it finds nothing.
    pub kicked: bool,
    /// The caller knows why it stopped.
    pub told: bool,
    stage: Stage,
    /// Next descriptor to fetch.
    cursor: RingIndex,
    packet: Packet,
}

impl TxQueue {
    /// A queue at `at`.
    pub fn new(setup: TxSetup, at: TxProgress) -> Self {
        Self { setup, at, cursor: at.next, told: at.stopped.is_some(), ..Self::default() }
    }

    /// Whether a step does anything.
    #[inline]
    pub fn can_step(&self, link: bool, wire_busy: bool) -> bool {
        self.kicked && self.at.stopped.is_none() && !(wire_busy && link && matches!(self.stage, Stage::Send(_)))
    }

    /// The place this queue looks at next, while it stands still for want of something posted: address of the cell, and the
    /// position it is owned at.
    pub fn awaits(&self) -> Option<(u64, RingIndex)> {
        let still = !self.kicked && self.at.stopped.is_none() && !self.in_flight();
        still.then(|| (self.setup.ring_pa.wrapping_add(CELL_BYTES * u64::from(self.at.next.index())), self.at.next))
    }

    /// A packet is under way.
    pub fn in_flight(&self) -> bool {
        self.stage != Stage::Fetch || self.packet.descs > 0
    }

    /// Something of the packet under way is visible outside, so it can only be gone on with.
    pub fn committed(&self) -> bool {
        self.packet.visible
    }

    /// Forgets the packet under way; the position is its first descriptor still.
    #[inline]
    pub fn forget(&mut self) {
        self.cursor = self.at.next;
        self.stage = Stage::Fetch;
        let packet = &mut self.packet;
        packet.pieces.clear();
        packet.data.clear();
        packet.frame.clear();
        packet.first = TxDesc(0);
        packet.descs = 0;
        packet.bytes = 0;
        packet.completes = false;
        packet.last = 0;
        packet.fate = Fate::Good;
        packet.cut = None;
        packet.visible = false;
    }

    /// One step, at most one access.
    #[inline]
    pub fn step(&mut self, queue: u8, shared: &mut Shared<'_>, host: &mut impl Host) {
        match self.stage {
            Stage::Fetch => self.fetch(shared, host),
            Stage::Gather(piece) => self.gather(piece, shared, host),
            Stage::Send(number) => self.send(queue, number, shared, host),
            Stage::Complete(again) => self.complete(again, shared, host),
        }
    }

    #[inline]
    fn fetch(&mut self, shared: &mut Shared<'_>, host: &mut impl Host) {
        let pa = self.setup.ring_pa.wrapping_add(CELL_BYTES * u64::from(self.cursor.index()));
        let desc = host.fetch(pa).ok().map(TxDesc).filter(|desc| desc.generation() == self.cursor.generation());
        let Some(desc) = desc else {
            // Nothing, or no end yet: a later look reads afresh.
            self.kicked = false;
            self.forget();
            return;
        };
        let limits = &shared.profile.limits;
        let packet = &mut self.packet;
        if packet.descs == 0 {
            packet.first = desc;
        }
        packet.descs += 1;
        packet.bytes += desc.bytes();
        if desc.dtype() || packet.pieces.len() >= limits.tx_descs || packet.bytes > limits.tx_bytes {
            packet.fate = Fate::Bad;
        } else {
            packet.pieces.push((desc.addr(), desc.bytes() as u32));
        }
        packet.last = self.cursor.index();
        self.cursor = self.cursor.next(self.setup.ring_size);
        if desc.eop() {
            packet.completes = desc.cq() || shared.profile.has(Deviation::CompletesUnasked);
            if packet.bytes < ETHERNET || Work::of(packet.first, shared.version, shared.planted).is_err() {
                packet.fate = Fate::Bad;
            }
            if packet.fate == Fate::Good {
                self.stage = Stage::Gather(0);
            } else {
                self.conclude();
            }
        } else if packet.descs == self.setup.ring_size {
            self.forget();
            self.at.stopped = Some(QueueError::NoEop);
            self.told = false;
        }
    }

    /// Reads one piece.
    #[inline]
    fn gather(&mut self, piece: usize, shared: &Shared<'_>, host: &mut impl Host) {
        let packet = &mut self.packet;
        let (pa, len) = packet.pieces[piece];
        let gathered = packet.data.len();
        if host.read(pa, packet.data.grow(len as usize)).is_err() {
            packet.data.truncate(gathered);
            packet.fate = Fate::Bad;
            self.conclude();
            return;
        }
        if piece + 1 < packet.pieces.len() {
            self.stage = Stage::Gather(piece + 1);
        } else if packet.prepare(shared.version, shared.planted).is_ok() {
            self.stage = Stage::Send(0);
        } else {
            packet.fate = Fate::Bad;
            self.conclude();
        }
    }

    #[inline]
    fn send(&mut self, queue: u8, number: usize, shared: &mut Shared<'_>, host: &mut impl Host) {
        let packet = &mut self.packet;
        if !shared.link {
            packet.fate = Fate::Discarded;
            self.conclude();
            return;
        }
        if let Some(cut) = &packet.cut
            && packet.frame.is_empty()
        {
            cut.segment(&packet.data, number, shared.planted, &mut packet.frame);
        }
        let frame: &[u8] = if packet.frame.is_empty() { &packet.data } else { &packet.frame };
        if host.transmit(queue, frame) == Sent::Busy {
            *shared.wire_busy = true;
            return;
        }
        packet.visible = true;
        let segments = packet.cut.as_ref().map_or(1, Segmentation::segments);
        if packet.cut.is_none() || !shared.profile.has(Deviation::TsoCountsPackets) {
            statistics::sent(&mut self.at.counters, frame, frame.len(), packet.cut.is_some());
        } else if number + 1 == segments {
            let bytes = packet.data.len() + if packet.first.ti() { TAG } else { 0 };
            statistics::sent(&mut self.at.counters, &packet.data, bytes, true);
        }
        packet.frame.clear();
        if number + 1 < segments {
            self.stage = Stage::Send(number + 1);
        } else {
            self.conclude();
        }
    }

    /// The packet is sent or given up: what is left is its completion, if one is wanted.
    #[inline]
    fn conclude(&mut self) {
        if self.packet.completes {
            self.stage = Stage::Complete(false);
        } else {
            self.retire();
        }
    }

    #[inline]
    fn complete(&mut self, again: bool, shared: &mut Shared<'_>, host: &mut impl Host) {
        let planted = shared.planted;
        let mut index = self.packet.last;
        if planted.is(Mutant::SwTxCompletionIndex) {
            index = if index + 1 == self.setup.ring_size { 0 } else { index + 1 };
        }
        let mut completion = TxCompDesc::default();
        completion.set_txd_idx(index as u16);
        completion.set_generation(self.at.comp.generation() || planted.is(Mutant::SwTxCompletionGeneration));
        let pa = self.setup.comp_pa.wrapping_add(CELL_BYTES * u64::from(self.at.comp.index()));
        // A ring out of reach is the guest's loss alone.
        let _ = host.publish(pa, completion.0);
        self.at.comp = self.at.comp.next(self.setup.comp_size);
        shared.vectors.cause(self.setup.vector, planted);
        if planted.is(Mutant::SwTxCompletesTwice) && !again {
            self.stage = Stage::Complete(true);
            self.packet.visible = true;
            return;
        }
        self.retire();
    }

    #[inline]
    fn retire(&mut self) {
        let counters = &mut self.at.counters;
        match self.packet.fate {
            Fate::Good => {}
            Fate::Bad => add!(counters, pkts_tx_error, set_pkts_tx_error, 1),
            Fate::Discarded => add!(counters, pkts_tx_discard, set_pkts_tx_discard, 1),
        }
        self.at.next = self.cursor;
        self.forget();
    }
}

impl Packet {
    /// Does what the first descriptor asks, as far as it is done once for the packet.
    #[inline]
    fn prepare(&mut self, version: u8, planted: Planted) -> Result<(), Unsendable> {
        let first = self.first;
        let tag = first.ti().then(|| first.tci());
        match Work::of(first, version, planted)? {
            Work::None => {}
            Work::Checksum { start, field } => offload::fill_checksum(&mut self.data, start, field)?,
            Work::InnerChecksum { header, field } => {
                offload::fill_inner(&mut self.data, header, field, first.oco())?;
            }
            Work::Segment { header, mss, inner } => {
                self.cut = Some(if inner {
                    Segmentation::plan_inner(&self.data, header, mss, tag, first.oco())?
                } else {
                    Segmentation::plan(&self.data, header, mss, tag)?
                });
                return Ok(());
            }
        }
        if let Some(tci) = tag {
            offload::insert_tag(&self.data, tci, &mut self.frame);
        }
        Ok(())
    }
}
