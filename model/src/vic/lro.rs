//! LRO: frames in the ingress FIFO that continue the stream of the one taken up leave with it as one packet.
//!
//! The adapter merges what waits and never waits for more. A merged packet that lacks buffers goes back to the FIFO as the frames it
//! was, each to be delivered alone. What merges is a choice of ours, as no source tells: segments of TCP behind one another in the FIFO
//! whose headers are equal under a mask of what a segment changes.

use spec::checksum;
use spec::vmxnet3::rx::{RXCOMP_LRO, RxCompDescExt};
use spec::vmxnet3::{MIN_FRAME, RxCompDesc};

use super::Adapter;
use super::parse::{Headers, Packet, TCP};
use crate::mutant::{Mutant, Planted};

/// Most bytes that an IP header can tell.
const MOST: usize = 0xffff;
const PUSH: u8 = 1 << 3;
const ACK_ALONE: u8 = 1 << 4;

/// A frame that is a segment others may follow or join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Segment {
    ip: Packet,
    /// Where its payload starts.
    data: usize,
    sequence: u32,
    push: bool,
}

/// A packet in the engine that was merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Merged {
    /// The frames it was made of, oldest first; empty where it is one alone.
    pub parts: Vec<Vec<u8>>,
    /// Payload bytes of the first.
    mss: u16,
}

impl Merged {
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.mss = 0;
    }

    /// The first completion of the packet as LRO has it: what would tell a hash counts segments.
    pub(super) fn describe(&self, cell: RxCompDesc, planted: Planted) -> RxCompDesc {
        let mut cell = RxCompDescExt(cell.0 & !(0xf << 26 | 0xffff_ffff << 32));
        cell.set_seg_cnt(self.parts.len() as u8);
        cell.set_mss(self.mss + if planted.is(Mutant::HwLroMss) { 54 } else { 0 });
        cell.set_kind(RXCOMP_LRO);
        RxCompDesc(cell.0)
    }
}

impl Segment {
    fn of(frame: &[u8]) -> Option<Self> {
        let headers = Headers::of(frame);
        let ip = headers.ip.filter(|_| headers.tcp())?;
        let bare = ip.l4 - ip.l3 == if ip.v6 { 40 } else { 20 };
        // One tag at the most, and an IPv4 packet that must not be fragmented: its identification says nothing.
        let plain = bare && ip.l3 <= 18 && (ip.v6 || frame[ip.l3 + 6..ip.l3 + 8] == [0x40, 0]);
        let tcp = frame.get(ip.l4..ip.l4 + 20).filter(|_| plain)?;
        let data = ip.l4 + usize::from(tcp[12] >> 4) * 4;
        let told = if ip.v6 { 40 } else { 0 } + usize::from(u16::from_be_bytes(frame[length_at(&ip)].try_into().ok()?));
        let whole = told == frame.len() - ip.l3 && data >= ip.l4 + 20 && data < frame.len();
        let verified = headers.verify(frame);
        let right = verified.transport && (ip.v6 || verified.header);
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let usual = tcp[13] & !PUSH == ACK_ALONE;
        (whole && right && usual).then_some(Self { ip, data, sequence, push: tcp[13] & PUSH != 0 })
    }
}

/// Where an IP header tells its length.
fn length_at(ip: &Packet) -> core::ops::Range<usize> {
    let at = ip.l3 + if ip.v6 { 4 } else { 2 };
    at..at + 2
}

/// Whether byte `at` of the headers may differ between segments of one stream.
fn varies(ip: &Packet, at: usize, planted: Planted) -> bool {
    let (l3, l4) = (at.wrapping_sub(ip.l3), at.wrapping_sub(ip.l4));
    if planted.is(Mutant::HwLroAcknowledgements) && matches!(l4, 8..=11) {
        return true;
    }
    // TCP: sequence, flags, checksum; IPv6: length; IPv4: length, identification, checksum.
    matches!(l4, 4..=7 | 13 | 16 | 17)
        || (at < ip.l4 && if ip.v6 { matches!(l3, 4 | 5) } else { matches!(l3, 2..=5 | 10 | 11) })
}

impl Adapter {
    /// Takes along what waits in the FIFO behind the frame just taken up and continues it.
    pub(super) fn merge(&mut self) {
        let most = usize::from(self.profile.limits.merged);
        if most < 2 || self.ingress.is_empty() {
            return;
        }
        let Some(first) = Segment::of(&self.rx.frame).filter(|first| !first.push) else { return };
        let headers = first.data;
        let mss = self.rx.frame.len() - headers;
        let mut next = first.sequence.wrapping_add(mss as u32);
        let mut open = true;
        while let Some(frame) = self.ingress.front().filter(|_| open) {
            let Some(segment) = Segment::of(frame) else { break };
            let rx = &self.rx;
            let payload = frame.len() - segment.data.min(frame.len());
            let parts = rx.merged.parts.len().max(1);
            let fits = (segment.ip, segment.data, segment.sequence) == (first.ip, headers, next)
                && payload <= mss
                && parts < most
                && rx.frame.len() - first.ip.l3 + payload <= MOST;
            let equal = fits && (0..headers).all(|at| varies(&first.ip, at, self.planted) || frame[at] == rx.frame[at]);
            if !equal {
                break;
            }
            let Some(frame) = self.ingress.pop_front() else { break };
            self.join(frame, headers, mss);
            next = next.wrapping_add(payload as u32);
            open = payload == mss && !segment.push;
        }
        if !self.rx.merged.parts.is_empty() {
            self.put_right(&first.ip);
        }
    }

    /// Adds the payload of `frame` to the packet in the engine and keeps the frame.
    fn join(&mut self, frame: Vec<u8>, headers: usize, mss: usize) {
        if self.rx.merged.parts.is_empty() {
            let mut copy = self.buffers.take();
            copy.extend_from_slice(&self.rx.frame);
            self.rx.merged.parts.push(copy);
            self.rx.merged.mss = mss as u16;
        }
        let rx = &mut self.rx;
        rx.frame.extend_from_slice(&frame[headers..]);
        if let Some(account) = &mut rx.account {
            account.join(frame.len(), rx.frame.len());
        }
        rx.merged.parts.push(frame);
    }

    /// Lengths, checksums and PUSH of a merged packet, and what is known of it.
    fn put_right(&mut self, ip: &Packet) {
        let rx = &mut self.rx;
        let push = rx.merged.parts.last().map_or(0, |last| last[ip.l4 + 13] & PUSH);
        let frame = &mut rx.frame;
        let told = (frame.len() - ip.l3 - if ip.v6 { 40 } else { 0 }) as u16;
        frame[length_at(ip)].copy_from_slice(&told.to_be_bytes());
        if !ip.v6 {
            let sum = ip.l3 + 10..ip.l3 + 12;
            frame[sum.clone()].fill(0);
            let right = checksum::finish(checksum::add(0, &frame[ip.l3..ip.l4]));
            frame[sum].copy_from_slice(&right.to_be_bytes());
        }
        frame[ip.l4 + 13] |= push;
        let sum = ip.l4 + 16..ip.l4 + 18;
        frame[sum.clone()].fill(0);
        let upper = (frame.len() - ip.l4) as u32;
        let right = checksum::add(checksum::pseudo(&frame[ip.addresses()], TCP, upper), &frame[ip.l4..]);
        frame[sum].copy_from_slice(&checksum::finish(right).to_be_bytes());
        rx.seen.length = (rx.frame.len() - if rx.seen.strip { 4 } else { 0 }).max(MIN_FRAME);
    }

    /// Puts the frames of the packet in the engine back to the head of the FIFO, in their order; the engine is empty then.
    pub(super) fn put_back(&mut self) {
        let frame = core::mem::take(&mut self.rx.frame);
        let parts = core::mem::take(&mut self.rx.merged.parts);
        self.rx.clear();
        if parts.is_empty() {
            self.ingress.push_front(frame);
        } else {
            parts.into_iter().rev().for_each(|part| self.ingress.push_front(part));
            self.discard(frame);
        }
    }

    /// The engine is done with its packet: what it was made of is not needed any more.
    pub(super) fn release(&mut self) {
        while let Some(part) = self.rx.merged.parts.pop() {
            self.discard(part);
        }
        let frame = core::mem::take(&mut self.rx.frame);
        self.rx.clear();
        self.discard(frame);
    }
}
