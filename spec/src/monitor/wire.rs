//! What a packet must look like on the wire: offloads are checked here without the code of any body.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_OM_*; RFC 791, 768, 8200, 9293, 3168.

use super::filter::TAG;
use super::ids::{TX_001, TX_015, TX_016, TX_017, TX_018, TX_020, V4_006, V4_007, V4_008, V4_009};
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
    /// A checksum of what a tunnel carries.
    InnerCsum {
        /// The tunnel.
        tunnel: Tunnel,
        /// Where it goes.
        field: usize,
        /// The tunnel's own is made too.
        outer: bool,
    },
    /// Segmentation of what a tunnel carries.
    InnerTso {
        /// Bytes of headers.
        header: usize,
        /// Payload bytes a segment.
        mss: usize,
        /// The tunnel.
        tunnel: Tunnel,
        /// The tunnel's own checksum is made.
        outer: bool,
    },
}

/// Two packets, one inside the other. Offsets of both are from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The UDP packet that carries.
    pub around: Ip,
    /// What is carried.
    pub inner: Ip,
}

impl Tunnel {
    /// Parses headers alone, whatever lengths they claim: VXLAN to ports 4789 and 8472, Geneve to port 6081.
    ///
    /// Source: RFC 7348, section 5; RFC 8926, section 3.4; linux vmxnet3_drv.c, vmxnet3_features_check.
    pub fn parse_headers(frame: &[u8]) -> Option<Self> {
        Self::around(Ip::parse_headers(frame)?, frame)
    }

    /// What the packet `around` in `frame` carries.
    pub fn around(around: Ip, frame: &[u8]) -> Option<Self> {
        let &[_, _, high, low, ..] = frame.get(around.l4..around.l4 + 8)? else { return None };
        let load = around.l4 + 16;
        let head = frame.get(load - 8..load)?;
        if around.protocol != UDP || around.fragment {
            return None;
        }
        let inner = match (u16::from_be_bytes([high, low]), head[0]) {
            (4789 | 8472, flags) if flags & 0x08 != 0 => Ip::headers_from(frame, load),
            (6081, words @ 0..=0x3f) => {
                let load = load + usize::from(words) * 4;
                match be16(head, 2) {
                    0x6558 => Ip::headers_from(frame, load),
                    _ => Ip::header_at(frame, load, head.get(2..4)?),
                }
            }
            _ => None,
        };
        Some(Self { around, inner: inner? })
    }

    /// Whether both are whole and every checksum that a receiver looks at is there and right, but that around may be absent.
    pub fn is_right(&self, frame: &[u8]) -> bool {
        let Self { around, inner } = self;
        let upper = match inner.protocol {
            TCP => 20,
            UDP => 8,
            _ => return false,
        };
        let whole = around.end <= frame.len() && inner.end <= around.end && inner.end >= inner.l4 + upper;
        let summed = inner.protocol != UDP || frame.get(inner.l4 + 6..inner.l4 + 8) != Some(&[0, 0]);
        let good = |ip: &Ip| ip.header_good(frame) && ip.transport_good(frame) && !ip.fragment;
        // RFC 6935 lets a tunnel leave the sum around out over IPv6 too.
        let unsummed = frame.get(around.l4 + 6..around.l4 + 8) == Some(&[0, 0]);
        let around_good = around.header_good(frame) && !around.fragment && (unsummed || around.transport_good(frame));
        whole && summed && around_good && good(inner)
    }

    /// Where the checksum of the carried packet stands, if its transport header ends at `header`.
    fn field(&self, header: usize, bytes: &[u8]) -> Option<usize> {
        let Ip { l4, protocol, fragment, .. } = self.inner;
        let (size, field) = match protocol {
            TCP => (usize::from(bytes.get(l4 + 12)? >> 4) * 4, 16),
            UDP => (8, 6),
            _ => return None,
        };
        (!fragment && size > field && l4 + size == header).then_some(l4 + field)
    }
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
        Self::headers_from(frame, 0)
    }

    /// Parses the headers of the frame that starts at `start`.
    fn headers_from(frame: &[u8], start: usize) -> Option<Self> {
        let mut at = start + 12;
        for _ in 0..2 {
            if frame.get(at..at + 2)? == TAG {
                at += 4;
            }
        }
        Self::header_at(frame, at + 2, frame.get(at..at + 2)?)
    }

    /// Parses the header at `l3` of a packet of EtherType `kind`.
    fn header_at(frame: &[u8], l3: usize, kind: &[u8]) -> Option<Self> {
        match kind {
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

/// How a packet was handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// Descriptors.
    pub descs: usize,
    /// Every buffer lies in memory.
    pub mapped: bool,
    /// Interface version in force.
    pub version: u8,
}

/// Decides what becomes of a packet: `bytes` as gathered.
pub(super) fn plan(head: &TxDesc, given: Given, bytes: &[u8]) -> (Plan, Fate) {
    let Given { descs, mapped, version } = given;
    let (start, field) = (usize::from(head.hlen()), usize::from(head.msscof()));
    if !mapped || bytes.len() < 14 || head.dtype() {
        return (Plan::Plain, Fate::Fail);
    }
    let sure = if descs <= SURE.0 && bytes.len() <= SURE.1 { Fate::Send } else { Fate::May };
    match head.om() {
        om::CSUM | om::TSO if head.ext1() && version >= 7 => inner(head, bytes, sure),
        om::ENCAP if (4..=6).contains(&version) => inner(head, bytes, sure),
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

/// Decides what becomes of a tunnel.
fn inner(head: &TxDesc, bytes: &[u8], sure: Fate) -> (Plan, Fate) {
    let fail = (Plan::Plain, Fate::Fail);
    let (header, word, outer) = (usize::from(head.hlen()), usize::from(head.msscof()), head.oco());
    let tunnel = bytes.get(..header).and_then(Tunnel::parse_headers);
    let Some((tunnel, field)) = tunnel.and_then(|t| Some((t, t.field(header, bytes)?))) else { return fail };
    let cut = head.om() == om::TSO || (head.om() == om::ENCAP && word != 0);
    if !cut {
        let there = head.om() == om::ENCAP || word == field;
        return if there { (Plan::InnerCsum { tunnel, field, outer }, sure) } else { fail };
    }
    let longest = header - tunnel.around.l3 + word.min(bytes.len() - header);
    if word == 0 || tunnel.inner.protocol != TCP || longest > 0xffff {
        return fail;
    }
    let plan = Plan::InnerTso { header, mss: word, tunnel, outer };
    (plan, if bytes.len() > header { sure } else { Fate::May })
}

impl Plan {
    /// Frames that the packet becomes.
    pub fn frames(&self, bytes: &[u8]) -> u32 {
        match *self {
            Self::Plain | Self::Csum { .. } | Self::InnerCsum { .. } => 1,
            Self::Tso { header, mss, .. } | Self::InnerTso { header, mss, .. } => {
                (bytes.len() - header).div_ceil(mss).max(1) as u32
            }
        }
    }

    /// Whether a packet is cut.
    pub fn cuts(&self) -> bool {
        matches!(self, Self::Tso { .. } | Self::InnerTso { .. })
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
            Self::Tso { header, mss, ip } => segment(bytes, header, mss, (&ip, 0), k as usize, frame),
            Self::InnerCsum { tunnel: Tunnel { around, inner }, field, outer } => {
                let sum = around.l4 + 6;
                let others = frame.len() == bytes.len()
                    && frame[..sum] == bytes[..sum]
                    && frame[sum + 2..field] == bytes[sum + 2..field];
                if !others || checksummed(&bytes[inner.l4..], 0, field - inner.l4, &frame[inner.l4..]).is_err() {
                    return Err(V4_006);
                }
                summed_around(bytes, &around, outer, frame)
            }
            Self::InnerTso { header, mss, tunnel: Tunnel { around, inner }, outer } => {
                let load = (&inner, around.l4 + 8);
                segment(bytes, header, mss, load, k as usize, frame).map_err(|_| V4_007)?;
                tunnelled(bytes, &around, k as usize, frame)?;
                summed_around(bytes, &around, outer, frame)
            }
        }
    }
}

/// Whether the headers around segment `k` are right but for the UDP checksum.
fn tunnelled(bytes: &[u8], around: &Ip, k: usize, frame: &[u8]) -> Result<(), Broken> {
    let Ip { v6, l3, l4, .. } = *around;
    let same = |range: core::ops::Range<usize>| frame[range.clone()] == bytes[range];
    let internet = if v6 {
        same(0..l3 + 4) && same(l3 + 6..l4) && usize::from(be16(frame, l3 + 4)) == frame.len() - l3 - 40
    } else {
        same(0..l3 + 2)
            && same(l3 + 6..l3 + 10)
            && same(l3 + 12..l4)
            && usize::from(be16(frame, l3 + 2)) == frame.len() - l3
            && be16(frame, l3 + 4) == be16(bytes, l3 + 4).wrapping_add(k as u16)
            && around.header_good(frame)
    };
    let datagram = same(l4..l4 + 4) && usize::from(be16(frame, l4 + 4)) == frame.len() - l4;
    if internet && datagram { Ok(()) } else { Err(V4_008) }
}

/// Whether the UDP checksum around is right where it was asked for, and untouched otherwise.
fn summed_around(bytes: &[u8], around: &Ip, asked: bool, frame: &[u8]) -> Result<(), Broken> {
    let (old, new) = (be16(bytes, around.l4 + 6), be16(frame, around.l4 + 6));
    let whole = Ip { end: frame.len(), ..*around };
    let holds = if asked { new != 0 && whole.transport_good(frame) } else { new == old };
    if holds { Ok(()) } else { Err(V4_009) }
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

/// Whether `frame` is segment `k`; what lies before `from_byte` is not looked at.
fn segment(
    bytes: &[u8],
    header: usize,
    mss: usize,
    (ip, from_byte): (&Ip, usize),
    k: usize,
    frame: &[u8],
) -> Result<(), Broken> {
    let payload = &bytes[header..];
    let from = (k * mss).min(payload.len());
    let to = (from + mss).min(payload.len());
    if frame.len() != header + to - from || frame[header..] != payload[from..to] {
        return Err(TX_017);
    }
    let same = |range: core::ops::Range<usize>| frame[range.clone()] == bytes[range];
    let (l3, l4) = (ip.l3, ip.l4);
    let internet = if ip.v6 {
        same(from_byte..l3 + 4) && same(l3 + 6..l4 + 4) && usize::from(be16(frame, l3 + 4)) == frame.len() - l3 - 40
    } else {
        same(from_byte..l3 + 2)
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
