//! What a packet must look like on the wire: offloads are checked here without the code of any body.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_OM_*; RFC 791, 768, 8200, 9293, 3168.

use super::filter::TAG;
use super::ids::{TX_001, TX_015, TX_016, TX_017, TX_018, TX_020};
use crate::clause::Index;
use crate::vmxnet3::TxDesc;
use crate::vmxnet3::tx::om;

/// IP protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// IP protocol number of UDP.
pub(super) const UDP: u8 = 17;
/// Most descriptors and bytes of a packet that a device must take; beyond, it may drop and count.
const SURE: (usize, usize) = (64, 65_535 + 18);

/// Whether a packet must leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It must.
    Send,
    /// It may be dropped and counted.
    May,
    /// It must not: it is completed and counted.
    Fail,
}

/// What is to be done to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Nothing.
    Plain,
    /// A checksum.
    Csum {
        /// Where the sum starts.
        start: usize,
        /// Where it goes.
        field: usize,
    },
    /// Segmentation.
    Tso {
        /// Bytes of headers.
        header: usize,
        /// Payload bytes a segment.
        mss: usize,
        /// Its headers.
        ip: Ip,
    },
}

/// The clause a frame breaks.
pub type Broken = Index;

/// IP headers of a frame, with no more than two tags before and no extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ip {
    /// Version 6.
    pub v6: bool,
    /// Where the IP header starts.
    pub l3: usize,
    /// Where the transport header starts.
    pub l4: usize,
    /// Where the IP packet ends by its own length.
    pub end: usize,
    /// Transport protocol.
    pub protocol: u8,
    /// Part of a fragmented packet.
    pub fragment: bool,
}

impl Ip {
    /// Parses a frame; `None` where there is no whole IP packet in it.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ip = Self::parse_headers(frame)?;
        (ip.end <= frame.len()).then_some(ip)
    }

    /// Parses headers alone, whatever lengths they claim.
    pub fn parse_headers(frame: &[u8]) -> Option<Self> {
        let mut at = 12;
        for _ in 0..2 {
            if frame.get(at..at + 2)? == TAG {
                at += 4;
            }
        }
        let l3 = at + 2;
        match frame.get(at..at + 2)? {
            [0x08, 0x00] => {
                let h = frame.get(l3..l3 + 20)?;
                let words = usize::from(h[0] & 0xf);
                let total = usize::from(be16(h, 2));
                if h[0] >> 4 != 4 || words < 5 || frame.len() < l3 + words * 4 {
                    return None;
                }
                let fragment = be16(h, 6) & 0x3fff != 0;
                Some(Self { v6: false, l3, l4: l3 + words * 4, end: l3 + total, protocol: h[9], fragment })
            }
            [0x86, 0xdd] => {
                let h = frame.get(l3..l3 + 40)?;
                if h[0] >> 4 != 6 {
                    return None;
                }
                let end = l3 + 40 + usize::from(be16(h, 4));
                Some(Self { v6: true, l3, l4: l3 + 40, end, protocol: h[6], fragment: h[6] == 44 })
            }
            _ => None,
        }
    }

    /// Source and destination address, in wire order.
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        if self.v6 { &frame[self.l3 + 8..self.l3 + 40] } else { &frame[self.l3 + 12..self.l3 + 20] }
    }

    /// Whether the IPv4 header checksum holds; true for IPv6, which has none.
    pub fn header_good(&self, frame: &[u8]) -> bool {
        self.v6 || fold(sum(&frame[self.l3..self.l4])) == 0xffff
    }

    /// Whether the TCP or UDP checksum holds; a UDP packet over IPv4 without one passes.
    pub fn transport_good(&self, frame: &[u8]) -> bool {
        if self.l4 > self.end || self.end > frame.len() {
            return false;
        }
        let segment = &frame[self.l4..self.end];
        if self.protocol == UDP && !self.v6 && segment.get(6..8) == Some(&[0, 0][..]) {
            return true;
        }
        let pseudo = sum(self.addresses(frame)) + u64::from(self.protocol) + segment.len() as u64;
        fold(pseudo + sum(segment)) == 0xffff
    }
}

/// Decides what becomes of a packet: `bytes` as gathered, `mapped` false where a buffer lay outside memory.
pub(super) fn plan(head: &TxDesc, descs: usize, bytes: &[u8], mapped: bool) -> (Plan, Fate) {
    let (start, field) = (usize::from(head.hlen()), usize::from(head.msscof()));
    if !mapped || bytes.len() < 14 || head.dtype() {
        return (Plan::Plain, Fate::Fail);
    }
    let sure = if descs <= SURE.0 && bytes.len() <= SURE.1 { Fate::Send } else { Fate::May };
    match head.om() {
        om::NONE => (Plan::Plain, sure),
        om::CSUM if start < bytes.len() && field + 2 <= bytes.len() => (Plan::Csum { start, field }, sure),
        om::TSO => match Ip::parse_headers(&bytes[..start.min(bytes.len())]) {
            Some(ip) if field > 0 && start <= bytes.len() && ip.protocol == TCP && !ip.fragment => {
                let whole = bytes.get(ip.l4 + 12).is_some_and(|offset| ip.l4 + usize::from(offset >> 4) * 4 == start);
                let fits = start - ip.l3 + field.min(bytes.len() - start) <= 0xffff;
                let plan = Plan::Tso { header: start, mss: field, ip };
                match (whole && start >= ip.l4 + 20 && fits, bytes.len() > start) {
                    (false, _) => (Plan::Plain, Fate::Fail),
                    (true, false) => (plan, Fate::May),
                    (true, true) => (plan, sure),
                }
            }
            _ => (Plan::Plain, Fate::Fail),
        },
        _ => (Plan::Plain, Fate::Fail),
    }
}

impl Plan {
    /// Frames that the packet becomes.
    pub fn frames(&self, bytes: &[u8]) -> u32 {
        match *self {
            Self::Plain | Self::Csum { .. } => 1,
            Self::Tso { header, mss, .. } => (bytes.len() - header).div_ceil(mss).max(1) as u32,
        }
    }

    /// Whether `frame` is frame number `k` of the packet, tag included. `spare` is room to take a tag out.
    pub(super) fn check(
        &self,
        head: &TxDesc,
        bytes: &[u8],
        k: u32,
        frame: &[u8],
        spare: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        if !head.ti() {
            return self.untagged(bytes, k, frame);
        }
        if frame.len() < 18 || frame[12..14] != TAG || frame[14..16] != head.tci().to_be_bytes() {
            return Err(TX_020);
        }
        spare.clear();
        spare.extend_from_slice(&frame[..12]);
        spare.extend_from_slice(&frame[16..]);
        self.untagged(bytes, k, spare)
    }

    fn untagged(&self, bytes: &[u8], k: u32, frame: &[u8]) -> Result<(), Broken> {
        match *self {
            Self::Plain if frame == bytes => Ok(()),
            Self::Plain => Err(TX_001),
            Self::Csum { start, field } => checksummed(bytes, start, field, frame),
            Self::Tso { header, mss, ip } => segment(bytes, header, mss, &ip, k as usize, frame),
        }
    }
}

fn checksummed(bytes: &[u8], start: usize, field: usize, frame: &[u8]) -> Result<(), Broken> {
    if frame.len() != bytes.len() || frame[..field] != bytes[..field] || frame[field + 2..] != bytes[field + 2..] {
        return Err(TX_001);
    }
    let (stored, value) = (be16(frame, field), !fold(sum(&bytes[start..])));
    let udp = field == start + 6;
    match (stored == value, value, stored) {
        (_, 0, 0xffff) => Ok(()),
        (true, 0, _) if udp => Err(TX_016),
        (true, ..) => Ok(()),
        _ => Err(TX_015),
    }
}

fn segment(bytes: &[u8], header: usize, mss: usize, ip: &Ip, k: usize, frame: &[u8]) -> Result<(), Broken> {
    let payload = &bytes[header..];
    let from = (k * mss).min(payload.len());
    let to = (from + mss).min(payload.len());
    if frame.len() != header + to - from || frame[header..] != payload[from..to] {
        return Err(TX_017);
    }
    let same = |range: core::ops::Range<usize>| frame[range.clone()] == bytes[range];
    let (l3, l4) = (ip.l3, ip.l4);
    let internet = if ip.v6 {
        same(0..l3 + 4) && same(l3 + 6..l4 + 4) && usize::from(be16(frame, l3 + 4)) == frame.len() - l3 - 40
    } else {
        same(0..l3 + 2)
            && same(l3 + 6..l3 + 10)
            && same(l3 + 12..l4 + 4)
            && usize::from(be16(frame, l3 + 2)) == frame.len() - l3
            && be16(frame, l3 + 4) == be16(bytes, l3 + 4).wrapping_add(k as u16)
            && fold(sum(&frame[l3..l4])) == 0xffff
    };
    let mut flags = bytes[l4 + 13];
    if to < payload.len() {
        flags &= !(0x01 | 0x08);
    }
    if k > 0 {
        flags &= !0x80;
    }
    let transport = same(l4 + 8..l4 + 13)
        && same(l4 + 14..l4 + 16)
        && same(l4 + 18..header)
        && be32(frame, l4 + 4) == be32(bytes, l4 + 4).wrapping_add(from as u32)
        && frame[l4 + 13] == flags
        && Ip { end: frame.len(), ..*ip }.transport_good(frame);
    if internet && transport { Ok(()) } else { Err(TX_018) }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Sum of 16-bit big-endian words, not folded; an odd last byte counts as the high half of a word.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut total = 0u64;
    for c in &mut chunks {
        total += u64::from(u32::from_be_bytes([c[0], c[1], c[2], c[3]]));
    }
    let mut tail = [0; 4];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    total + u64::from(u32::from_be_bytes(tail))
}

/// Folds a sum to 16 bits.
pub(super) const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
