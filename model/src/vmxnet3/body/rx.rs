//! Receive: one frame at a time. Every buffer is fetched before anything is written; then data, then completions. One access
//! a step.
//!
//! Source: linux vmxnet3_drv.c, vmxnet3_rq_rx_complete, for the completions that a driver survives.

mod merge;
mod straight;

use super::tx::Shared;
use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Activation, RxDataRing, RxProgress, RxSetup};
use crate::vmxnet3::headers::Ip;
use crate::vmxnet3::receive::{Protocols, Report, Steering, shape};
use crate::vmxnet3::statistics::{self, add};
use merge::Train;
use spec::position::RingIndex;
use spec::profile::Deviation;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::{RXCOMP, RXCOMP_LRO, RxCompDescExt};
use spec::vmxnet3::{CELL_BYTES, MIN_FRAME, RxCompDesc, RxDesc};
pub(super) use straight::STEPS as STRAIGHT;

/// From this version on a driver may want to be told of what a tunnel carries.
const INNER_SINCE: u8 = 4;

/// One RX queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RxQueue {
    pub setup: RxSetup,
    /// Where frames that fit an entry go, if the driver gave one.
    pub data: RxDataRing,
    pub at: RxProgress,
    /// The caller knows why it stopped.
    pub told: bool,
}

impl RxQueue {
    /// The entry of the data ring that belongs to descriptor `index` of ring 0, if a frame of `len` bytes fits it.
    #[inline]
    fn data_entry(&self, index: u32, len: usize, planted: Planted) -> Option<u64> {
        let RxDataRing { pa, entry_bytes } = self.data;
        let fits = len <= usize::from(entry_bytes) || (planted.is(Mutant::SwRxDataOverrun) && entry_bytes != 0);
        (entry_bytes != 0 && fits).then(|| pa.wrapping_add(u64::from(entry_bytes) * u64::from(index)))
    }

    /// Publishes a completion. A ring out of reach is the guest's loss alone.
    #[inline]
    fn complete(&mut self, cell: RxCompDesc, host: &mut impl Host) {
        let pa = self.setup.comp_pa.wrapping_add(CELL_BYTES * u64::from(self.at.comp.index()));
        let _ = host.publish(pa, cell.0);
        self.at.comp = self.at.comp.next(self.setup.comp_size);
    }
}

/// What the next step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    /// Waits for a frame.
    #[default]
    Empty,
    /// Looks at the frame, then fetches its first buffer.
    Arrived,
    /// Fetches the descriptor at the cursor of a ring.
    Fetch(usize),
    /// Writes into buffer `n`.
    Write(usize),
    /// Publishes the completion of buffer `n`.
    Publish(usize),
}

/// How a frame ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Fate {
    /// Delivered.
    #[default]
    Good,
    /// It did not find buffers enough.
    NoBuffers,
    /// It needs more buffers than a packet may have.
    TooManyBuffers,
    /// A buffer cannot be written.
    Unwritable,
}

/// The data ring, where buffers are numbered by ring: behind ring 0 and ring 1, as `rqID` has it.
const DATA: usize = 2;

/// One buffer of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Buffer {
    /// 0, 1 or [`DATA`].
    ring: usize,
    index: u32,
    addr: u64,
    /// Where its part of the frame starts, and how long it is.
    from: usize,
    len: usize,
}

/// The frame on its way to the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Inbox {
    stage: Stage,
    /// As it came from the wire, or as it was merged.
    frame: Vec<u8>,
    /// The segments it was merged from.
    train: Train,
    /// As the guest is to see it; empty where that is `frame`.
    shaped: Vec<u8>,
    report: Report,
    buffers: Vec<Buffer>,
    /// Bytes that have a buffer.
    placed: usize,
    /// Next descriptor of each ring, and how many were looked at.
    cursor: [RingIndex; 2],
    looked: [u32; 2],
    /// Ring 0 has no more BODY for this frame.
    bodies_elsewhere: bool,
    fate: Fate,
    /// Bytes or completions of it may be visible to the guest.
    visible: bool,
    /// A completion of it is.
    published: bool,
}

impl Inbox {
    /// Takes a frame, if there is none.
    pub fn take(&mut self, frame: &[u8]) -> bool {
        if self.stage != Stage::Empty {
            return false;
        }
        self.frame.extend_from_slice(frame);
        self.stage = Stage::Arrived;
        true
    }

    /// Takes a frame and leaves the caller an empty buffer, if there is none.
    pub fn take_over(&mut self, frame: &mut Vec<u8>) -> bool {
        if self.stage != Stage::Empty {
            return false;
        }
        core::mem::swap(&mut self.frame, frame);
        self.stage = Stage::Arrived;
        true
    }

    /// Lets a frame join the one that nobody has looked at, and leaves the caller an empty buffer; at most `most` are merged.
    pub fn join(&mut self, frame: &mut Vec<u8>, most: usize, planted: Planted) -> bool {
        let past_push = planted.is(Mutant::SwLroPastPush);
        let joined = self.stage == Stage::Arrived && self.train.join(&mut self.frame, frame, most, past_push);
        if joined {
            frame.clear();
        }
        joined
    }

    /// There is no frame.
    pub fn is_free(&self) -> bool {
        self.stage == Stage::Empty
    }

    /// Whether a step does anything.
    pub fn can_step(&self) -> bool {
        self.stage != Stage::Empty
    }

    /// The queue that the frame in the inbox goes to; 0 as long as nobody looked.
    pub fn queue(&self) -> Option<u8> {
        (self.stage != Stage::Empty).then_some(self.report.queue)
    }

    /// The frames, taken back, oldest first, if nothing of the one under way is visible to the guest.
    pub fn give_back(&mut self) -> Vec<Vec<u8>> {
        if self.stage == Stage::Empty || self.visible {
            return Vec::new();
        }
        let mut frames: Vec<_> = self.train.frames().map(<[u8]>::to_vec).collect();
        if frames.is_empty() {
            frames.push(core::mem::take(&mut self.frame));
        }
        self.clear();
        frames
    }

    /// The frame, as long as the guest was told nothing of it.
    pub fn untold(&self) -> Option<&[u8]> {
        (self.stage != Stage::Empty && !self.published).then_some(&self.frame)
    }

    /// Drops whatever is there.
    pub fn clear(&mut self) {
        self.stage = Stage::Empty;
        self.frame.clear();
        self.train.clear();
        self.forget();
    }

    /// The frame is dealt with; the next segment of a packet that was taken apart comes up, if there is one.
    fn finish(&mut self) {
        if self.train.advance(&mut self.frame) {
            self.stage = Stage::Arrived;
            self.forget();
        } else {
            self.clear();
        }
    }

    /// Forgets everything about the frame but the frame.
    fn forget(&mut self) {
        self.shaped.clear();
        self.report = Report::default();
        self.buffers.clear();
        self.placed = 0;
        self.cursor = [RingIndex::START; 2];
        self.looked = [0; 2];
        self.bodies_elsewhere = false;
        self.fate = Fate::Good;
        self.visible = false;
        self.published = false;
    }

    /// One step, at most one access.
    pub fn step(
        &mut self,
        activation: &Activation,
        queues: &mut [RxQueue],
        shared: &mut Shared<'_>,
        host: &mut impl Host,
    ) {
        match self.stage {
            Stage::Empty => {}
            Stage::Arrived => {
                let Some(queue) = self.take_up(activation, queues, shared) else { return };
                self.fetch(0, activation, queue, shared, host);
            }
            Stage::Fetch(ring) => {
                let queue = &mut queues[usize::from(self.report.queue)];
                self.fetch(ring, activation, queue, shared, host);
            }
            Stage::Write(number) => {
                let queue = &mut queues[usize::from(self.report.queue)];
                self.write(number, activation, queue, shared, host);
            }
            Stage::Publish(number) => {
                let count = queues.len() as u16;
                let queue = &mut queues[usize::from(self.report.queue)];
                self.publish(number, count, activation, queue, shared, host);
            }
        }
    }

    /// Looks at the frame and begins with the first buffer of its queue; a stopped queue drops and counts it.
    #[inline]
    fn take_up<'q>(
        &mut self,
        activation: &Activation,
        queues: &'q mut [RxQueue],
        shared: &Shared<'_>,
    ) -> Option<&'q mut RxQueue> {
        self.look(activation, queues.len(), shared);
        let queue = &mut queues[usize::from(self.report.queue)];
        if queue.at.stopped.is_some() {
            add!(queue.at.counters, pkts_rx_error, set_pkts_rx_error, self.train.segments() as u64);
            self.finish();
            return None;
        }
        self.cursor = queue.at.next;
        self.stage = Stage::Fetch(0);
        Some(queue)
    }

    /// The frame as the guest is to see it.
    #[inline]
    fn delivered(&self) -> &[u8] {
        if self.shaped.is_empty() { &self.frame } else { &self.shaped }
    }

    /// Everything that is known of the frame before a buffer is looked for.
    fn look(&mut self, activation: &Activation, queues: usize, shared: &Shared<'_>) {
        let profile = shared.profile;
        let has = |bit| activation.features & bit != 0;
        self.train.finish(&mut self.frame);
        let least = if profile.has(Deviation::ShortFramesUnpadded) { 0 } else { MIN_FRAME };
        self.report.tag = shape(&self.frame, has(feature::RXVLAN), least, &mut self.shaped);
        if has(feature::RXCSUM) && !profile.has(Deviation::RxNothingVerified) {
            let ip = Ip::received(&self.frame);
            let inside = has(feature::RXINNEROFLD) && activation.interface.version >= INNER_SINCE;
            let inner = if inside { Protocols::of_inner(&self.frame, ip) } else { None };
            self.report.protocols = inner.unwrap_or_else(|| Protocols::of(&self.frame, ip));
        }
        if let Some(rss) = activation.rss.as_ref().filter(|_| !profile.has(Deviation::RxQueueZeroOnly)) {
            let steering = Steering { rss, fields: activation.interface.rss_fields, queues, planted: shared.planted };
            let (queue, rss_type, rss_hash) = steering.steer(&self.frame, Ip::received(&self.frame));
            self.report = Report { queue, rss_type, rss_hash, ..self.report };
        }
    }

    /// Looks at one descriptor: of ring 0 until it has no BODY to go on with, then of ring 1. What is not usable is
    /// passed over, at most a lap of each ring.
    fn fetch(
        &mut self,
        ring: usize,
        activation: &Activation,
        queue: &mut RxQueue,
        shared: &mut Shared<'_>,
        host: &mut impl Host,
    ) {
        let desc = self.owned(ring, queue, host);
        self.weigh(ring, desc, activation, queue, shared);
    }

    /// The descriptor at the cursor of a ring, if the guest has handed it over, it can be read, and it was not looked at for
    /// this frame.
    #[inline]
    fn owned(&self, ring: usize, queue: &RxQueue, host: &mut impl Host) -> Option<RxDesc> {
        let cursor = self.cursor[ring];
        if self.looked[ring] >= queue.setup.ring_size[ring] {
            return None;
        }
        let pa = queue.setup.ring_pa[ring].wrapping_add(CELL_BYTES * u64::from(cursor.index()));
        host.fetch(pa).ok().map(RxDesc).filter(|desc| desc.generation() == cursor.generation())
    }

    /// What a descriptor, or none, means for the frame.
    fn weigh(
        &mut self,
        ring: usize,
        desc: Option<RxDesc>,
        activation: &Activation,
        queue: &mut RxQueue,
        shared: &mut Shared<'_>,
    ) {
        let cursor = self.cursor[ring];
        let body = !self.buffers.is_empty();
        // A HEAD of ring 0 is left for the next packet; ring 1 has no use for one.
        let desc = desc.filter(|desc| !(ring == 0 && body && !desc.btype()));
        let Some(desc) = desc else {
            if ring == 0 && body && queue.setup.ring_size[1] > 0 {
                self.bodies_elsewhere = true;
                self.stage = Stage::Fetch(1);
            } else {
                self.decide(Fate::NoBuffers, activation, queue, shared);
            }
            return;
        };
        self.looked[ring] += 1;
        self.cursor[ring] = cursor.next(queue.setup.ring_size[ring]);
        if desc.btype() != body || desc.len() == 0 {
            return;
        }
        let whole = self.delivered().len();
        if let Some(addr) = queue.data_entry(cursor.index(), whole, shared.planted).filter(|_| !body) {
            self.buffers.push(Buffer { ring: DATA, index: cursor.index(), addr, from: 0, len: whole });
            self.placed = whole;
            return self.decide(Fate::Good, activation, queue, shared);
        }
        let len = usize::from(desc.len()).min(whole - self.placed);
        self.buffers.push(Buffer { ring, index: cursor.index(), addr: desc.addr(), from: self.placed, len });
        self.placed += len;
        let most = match activation.max_rx_sg {
            0 if shared.profile.has(Deviation::ZeroRxSgIsOne) => 1,
            0 => usize::MAX,
            most => usize::from(most),
        };
        if self.placed == self.delivered().len() {
            self.decide(Fate::Good, activation, queue, shared);
        } else if self.buffers.len() >= most {
            self.decide(Fate::TooManyBuffers, activation, queue, shared);
        } else {
            self.stage = Stage::Fetch(usize::from(self.bodies_elsewhere));
        }
    }

    /// Every buffer that there is has been fetched.
    fn decide(&mut self, fate: Fate, activation: &Activation, queue: &mut RxQueue, shared: &mut Shared<'_>) {
        let apart = !shared.planted.is(Mutant::SwLroDropsWhole);
        if fate != Fate::Good && apart && self.train.take_apart(&mut self.frame) {
            // What does not fit as one packet may fit segment by segment.
            self.stage = Stage::Arrived;
            return self.forget();
        }
        self.fate = fate;
        if fate != Fate::Good && !shared.profile.has(Deviation::OutOfBuffersConsumes) {
            // A clean drop: the guest sees the counter and nothing else.
            add!(queue.at.counters, pkts_rx_out_of_buf, set_pkts_rx_out_of_buf, 1);
            self.finish();
        } else if self.buffers.is_empty() {
            self.conclude(activation, queue, shared);
        } else if shared.planted.is(Mutant::SwRxCompletionFirst) {
            self.stage = Stage::Publish(0);
        } else {
            self.stage = Stage::Write(0);
        }
    }

    fn write(
        &mut self,
        number: usize,
        activation: &Activation,
        queue: &mut RxQueue,
        shared: &mut Shared<'_>,
        host: &mut impl Host,
    ) {
        let buffer = self.buffers[number];
        self.visible = true;
        if shared.planted.is(Mutant::SwRxStaleByte) {
            let behind = buffer.addr.wrapping_add(buffer.len as u64);
            let mut byte = [0];
            let _ = host.read(behind, &mut byte);
            let _ = host.write(behind, &[byte[0].wrapping_add(1)]);
        }
        if host.write(buffer.addr, &self.delivered()[buffer.from..buffer.from + buffer.len]).is_err() {
            // The guest gets its buffers back, and is told that they hold nothing.
            self.fate = Fate::Unwritable;
        }
        if number + 1 < self.buffers.len() && self.fate != Fate::Unwritable {
            self.stage = Stage::Write(number + 1);
        } else if shared.planted.is(Mutant::SwRxCompletionFirst) {
            self.conclude(activation, queue, shared);
        } else {
            self.stage = Stage::Publish(0);
        }
    }

    fn publish(
        &mut self,
        number: usize,
        queues: u16,
        activation: &Activation,
        queue: &mut RxQueue,
        shared: &mut Shared<'_>,
        host: &mut impl Host,
    ) {
        let parts = (number == 0, number + 1 == self.buffers.len());
        let cell = self.completion(self.buffers[number], parts, queues, queue, shared);
        queue.complete(cell, host);
        self.visible = true;
        self.published = true;
        if number + 1 < self.buffers.len() {
            self.stage = Stage::Publish(number + 1);
        } else if shared.planted.is(Mutant::SwRxCompletionFirst) {
            self.stage = Stage::Write(0);
        } else {
            self.conclude(activation, queue, shared);
        }
    }

    /// The completion of `buffer`, the first of the frame, the last, or both.
    #[inline]
    fn completion(
        &self,
        buffer: Buffer,
        (sop, eop): (bool, bool),
        queues: u16,
        queue: &RxQueue,
        shared: &Shared<'_>,
    ) -> RxCompDesc {
        let profile = shared.profile;
        let mut cell = RxCompDesc::default();
        cell.set_rxd_idx(buffer.index as u16);
        cell.set_sop(sop);
        cell.set_eop(eop);
        let misnamed = buffer.ring == 1 && shared.planted.is(Mutant::SwRxRqid);
        let ring = if misnamed { 0 } else { buffer.ring as u16 };
        cell.set_rq_id(u16::from(self.report.queue) + ring * queues);
        cell.set_len(buffer.len as u16);
        if !profile.has(Deviation::RxTypeZero) {
            cell.set_kind(RXCOMP);
        }
        cell.set_generation(queue.at.comp.generation());
        if eop && self.fate == Fate::Good {
            self.report.protocols.put(&mut cell);
            cell.set_fcs(!profile.has(Deviation::RxNothingVerified));
            cell.set_rss_type(self.report.rss_type);
            cell.set_rss_hash(self.report.rss_hash);
            cell.set_ts(self.report.tag.is_some());
            cell.set_tci(self.report.tag.unwrap_or(0));
        } else if eop {
            cell.set_err(true);
            // On QEMU the flags are not filled in for a packet that did not fit.
            cell.set_cnc(!profile.has(Deviation::OutOfBuffersConsumes));
            cell.set_fcs(!profile.has(Deviation::RxNothingVerified));
        }
        if sop && self.train.segments() > 1 { self.merged(cell, shared.planted) } else { cell }
    }

    /// The first completion of a merged packet: the number of its segments stands where the hash does, their size where the raw
    /// checksum does.
    fn merged(&self, mut cell: RxCompDesc, planted: Planted) -> RxCompDesc {
        cell.set_kind(RXCOMP_LRO);
        cell.set_rss_type(0);
        cell.set_rss_hash(0);
        let mut cell = RxCompDescExt(cell.0);
        cell.set_seg_cnt(self.train.segments() as u8 + u8::from(planted.is(Mutant::SwLroSegments)));
        cell.set_mss(self.train.mss() as u16);
        RxCompDesc(cell.0)
    }

    /// The frame is dealt with: positions, counters, interrupt.
    fn conclude(&mut self, activation: &Activation, queue: &mut RxQueue, shared: &mut Shared<'_>) {
        queue.at.next = self.cursor;
        self.tell(activation, queue, shared);
    }

    /// Counts the frame by its fate and raises the cause of its queue; the inbox is free again.
    fn tell(&mut self, activation: &Activation, queue: &mut RxQueue, shared: &mut Shared<'_>) {
        let counters = &mut queue.at.counters;
        match self.fate {
            Fate::Good => {
                let after = shared.profile.has(Deviation::RxBytesAfterStrip);
                let bytes = if after { self.delivered().len() } else { self.frame.len() };
                let large = shared.profile.has(Deviation::LongFramesCountAsLro) && bytes > activation.mtu as usize;
                if self.train.segments() > 1 {
                    // On the wire they were single.
                    let counted = if shared.planted.is(Mutant::SwLroCountsOnce) { 1 } else { usize::MAX };
                    let frames = self.train.frames().take(counted);
                    frames.for_each(|frame| statistics::received(counters, frame, frame.len(), false));
                    add!(counters, lro_pkts_rx_ok, set_lro_pkts_rx_ok, 1);
                    add!(counters, lro_bytes_rx_ok, set_lro_bytes_rx_ok, bytes as u64);
                } else {
                    statistics::received(counters, &self.frame, bytes, large);
                }
            }
            Fate::NoBuffers => add!(counters, pkts_rx_out_of_buf, set_pkts_rx_out_of_buf, 1),
            Fate::TooManyBuffers | Fate::Unwritable => {
                add!(counters, pkts_rx_error, set_pkts_rx_error, self.train.segments() as u64);
            }
        }
        shared.vectors.cause(queue.setup.vector, shared.planted);
        self.finish();
    }
}
