//! Transmit offloads: tag insertion, generic checksum, TCP segmentation, and the latter two inside a tunnel.

use spec::checksum;
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::om;

use super::parse::{Packet, TCP, UDP};
use crate::memory::Buffer;
use crate::mutant::{Mutant, Planted};

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
const VLAN: u16 = 0x8100;
/// Place of the checksum in a UDP header: the one protocol in which a stored 0 would mean "none".
const UDP_CHECKSUM: usize = 6;
/// Place of the checksum in a TCP header.
const TCP_CHECKSUM: usize = 16;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// A packet that cannot be sent: completed, counted, dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// How a packet becomes frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Plan {
    /// As it is.
    #[default]
    Whole,
    /// TCP segments.
    Segments(Segments),
}

/// Where things are in a packet to be segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segments {
    /// Payload bytes a segment.
    mss: usize,
    /// Offset of the IP header.
    l3: usize,
    /// Offset of the TCP header.
    l4: usize,
    /// Bytes of all headers.
    headers: usize,
    /// IPv6.
    v6: bool,
    /// The tunnel around.
    tunnel: Option<Tunnel>,
    /// Tag of each segment.
    tag: Option<u16>,
}

/// The UDP packet around one that is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tunnel {
    ip: Packet,
    /// Its checksum is made; it is left alone otherwise.
    sums: bool,
}

/// Which packets a descriptor's offload is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Outer,
    Inner,
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Inserts an 802.1Q tag after the source address of a frame that has been made four bytes longer for it.
fn insert_tag(frame: &mut [u8], tci: u16) {
    let end = frame.len() - 4;
    frame.copy_within(12..end, 16);
    put16(frame, 12, VLAN);
    put16(frame, 14, tci);
}

/// What a packet is to be made of before it can be sent.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Its first descriptor.
    pub first: TxDesc,
    /// Interface version that the descriptor is written for; 0 knows no tunnels.
    pub version: u8,
    /// A planted bug.
    pub planted: Planted,
}

/// Does what the first descriptor asks of a whole packet; segmentation is planned and done frame by frame.
///
/// # Errors
/// When the packet cannot be sent.
#[inline]
pub fn prepare(frame: &mut Buffer, terms: Terms) -> Result<Plan, Malformed> {
    if frame.len() < ETHERNET {
        return Err(Malformed);
    }
    let Terms { first, planted, .. } = terms;
    if first.om() != om::NONE {
        match (terms.depth()?, first.om()) {
            (Depth::Outer, om::CSUM) => insert_checksum(frame, first, planted)?,
            (Depth::Outer, _) => return plan(frame, terms, Depth::Outer).map(Plan::Segments),
            (Depth::Inner, om::CSUM) => insert_inner_checksum(frame, terms)?,
            (Depth::Inner, om::ENCAP) if first.msscof() == 0 => insert_inner_checksum(frame, terms)?,
            (Depth::Inner, _) => return plan(frame, terms, Depth::Inner).map(Plan::Segments),
        }
    }
    if first.ti() {
        frame.grow(4);
        insert_tag(frame, first.tci());
    }
    Ok(Plan::Whole)
}

impl Terms {
    /// Whether an offload is about a tunnel's load: versions 4 to 6 say so in `om`, later ones in `ext1`.
    fn depth(&self) -> Result<Depth, Malformed> {
        let known = if self.planted.is(Mutant::HwInnerAnyVersion) { 7 } else { self.version };
        // Earlier versions have no such bit.
        let (tunnel, inner) = (self.first.om() == om::ENCAP, self.first.ext1() && known >= 7);
        match known {
            4..=6 => Ok(if tunnel { Depth::Inner } else { Depth::Outer }),
            7.. if !tunnel => Ok(if inner { Depth::Inner } else { Depth::Outer }),
            0..=3 if !tunnel => Ok(Depth::Outer),
            _ => Err(Malformed),
        }
    }
}

/// The sum runs from `hlen` to the end, seed included, and is stored complemented at `msscof`.
fn insert_checksum(frame: &mut [u8], first: TxDesc, planted: Planted) -> Result<(), Malformed> {
    let (from, at) = (usize::from(first.hlen()), usize::from(first.msscof()));
    if at + 2 > frame.len() || from >= frame.len() {
        return Err(Malformed);
    }
    let sum = checksum::finish(checksum::add(0, &frame[from..]));
    let udp = at == from + UDP_CHECKSUM && !planted.is(Mutant::HwUdpZeroChecksum);
    put16(frame, at, if sum == 0 && udp { 0xffff } else { sum });
    Ok(())
}

/// The packet in a tunnel whose headers end with `headers`, and what is around it.
fn load(headers: &[u8]) -> Result<(Packet, Packet), Malformed> {
    let around = Packet::locate(headers).ok_or(Malformed)?;
    let inner = around.carried(headers).filter(|inner| !inner.fragment).ok_or(Malformed)?;
    Ok((around, inner))
}

/// The sum runs from the inner transport header to the end. Where a descriptor of version 7 says it is stored there has to be its field.
fn insert_inner_checksum(frame: &mut [u8], terms: Terms) -> Result<(), Malformed> {
    let headers = frame.get(..usize::from(terms.first.hlen())).ok_or(Malformed)?;
    let (around, Packet { l4, protocol, .. }) = load(headers)?;
    let transport = &headers[l4..];
    let place = match (protocol, transport.len()) {
        (UDP, 8) => UDP_CHECKSUM,
        (TCP, 20..) if usize::from(transport[12] >> 4) * 4 == transport.len() => TCP_CHECKSUM,
        _ => return Err(Malformed),
    };
    let at = l4 + place;
    if terms.first.om() == om::CSUM && usize::from(terms.first.msscof()) != at {
        return Err(Malformed);
    }
    let sum = checksum::finish(checksum::add(0, &frame[l4..]));
    put16(frame, at, if sum == 0 && protocol == UDP { 0xffff } else { sum });
    if terms.first.oco() && !terms.planted.is(Mutant::HwOuterChecksumLost) {
        sum_around(frame, &around);
    }
    Ok(())
}

/// Makes the checksum of a UDP datagram that ends with the frame.
fn sum_around(frame: &mut [u8], ip: &Packet) {
    let at = ip.l4 + UDP_CHECKSUM;
    put16(frame, at, 0);
    let datagram = &frame[ip.l4..];
    let pseudo = checksum::pseudo(&frame[ip.addresses()], UDP, datagram.len() as u32);
    let sum = checksum::finish(checksum::add(pseudo, datagram));
    put16(frame, at, if sum == 0 { 0xffff } else { sum });
}

/// Finds the headers of a packet to be segmented.
fn plan(frame: &[u8], terms: Terms, depth: Depth) -> Result<Segments, Malformed> {
    let first = terms.first;
    let (headers, mss) = (usize::from(first.hlen()), usize::from(first.msscof()));
    if mss == 0 || headers > frame.len() {
        return Err(Malformed);
    }
    let (tunnel, packet) = match depth {
        Depth::Outer => (None, Packet::locate(&frame[..headers]).ok_or(Malformed)?),
        Depth::Inner => {
            let (ip, inner) = load(&frame[..headers])?;
            (Some(Tunnel { ip, sums: first.oco() && !terms.planted.is(Mutant::HwOuterChecksumLost) }), inner)
        }
    };
    let Packet { v6, l3, l4, protocol, fragment } = packet;
    let Some(tcp) = frame.get(l4..l4 + 20).filter(|_| protocol == TCP && !fragment) else { return Err(Malformed) };
    let words = usize::from(tcp[12] >> 4);
    // The outermost length field is the one that overflows first.
    let longest = headers - tunnel.map_or(l3, |tunnel| tunnel.ip.l3) + mss.min(frame.len() - headers);
    if words < 5 || l4 + words * 4 != headers || longest > usize::from(u16::MAX) {
        return Err(Malformed);
    }
    Ok(Segments { mss, l3, l4, headers, v6, tunnel, tag: first.ti().then_some(first.tci()) })
}

impl Plan {
    /// Frames that a packet of `bytes` becomes, at least one.
    pub fn frames(&self, bytes: usize) -> u32 {
        match self {
            Self::Whole => 1,
            Self::Segments(s) => (bytes - s.headers).div_ceil(s.mss).max(1) as u32,
        }
    }
}

impl Segments {
    /// Builds segment `index` of `packet` in `out`, which is overwritten.
    pub fn build(&self, packet: &[u8], index: u32, planted: Planted, out: &mut Vec<u8>) {
        let from = self.headers + index as usize * self.mss;
        let to = packet.len().min(from + self.mss);
        let last = to == packet.len();
        out.clear();
        out.extend_from_slice(&packet[..self.headers]);
        out.extend_from_slice(&packet[from..to]);
        let (l3, l4) = (self.l3, self.l4);
        let upper = (out.len() - l4) as u32;
        renew(out, l3..l4, self.v6, index);
        let sequence = u32::from_be_bytes([out[l4 + 4], out[l4 + 5], out[l4 + 6], out[l4 + 7]]);
        let sequence = sequence.wrapping_add((from - self.headers) as u32);
        out[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        if !last {
            out[l4 + 13] &= !FIN_PSH;
        }
        if index > 0 {
            out[l4 + 13] &= !CWR;
        }
        put16(out, l4 + TCP_CHECKSUM, 0);
        let addresses = if self.v6 { l3 + 8..l3 + 40 } else { l3 + 12..l3 + 20 };
        let sum = checksum::add(checksum::pseudo(&out[addresses], TCP, upper), &out[l4..]);
        put16(out, l4 + TCP_CHECKSUM, checksum::finish(sum));
        if let Some(Tunnel { ip, sums }) = self.tunnel {
            renew(out, ip.l3..ip.l4, ip.v6, if planted.is(Mutant::HwOuterIdStuck) { 0 } else { index });
            let datagram = (out.len() - ip.l4) as u16;
            put16(out, ip.l4 + 4, datagram);
            if sums {
                sum_around(out, &ip);
            }
        }
        if let Some(tci) = self.tag {
            out.extend_from_slice(&[0; 4]);
            insert_tag(out, tci);
        }
    }
}

/// Makes length, identification and header checksum of an IP header, its extensions included, right for packet `index` of a series.
fn renew(frame: &mut [u8], header: core::ops::Range<usize>, v6: bool, index: u32) {
    let l3 = header.start;
    let bytes = frame.len() - l3;
    if v6 {
        put16(frame, l3 + 4, (bytes - 40) as u16);
        return;
    }
    put16(frame, l3 + 2, bytes as u16);
    let id = u16::from_be_bytes([frame[l3 + 4], frame[l3 + 5]]).wrapping_add(index as u16);
    put16(frame, l3 + 4, id);
    put16(frame, l3 + 10, 0);
    let sum = checksum::finish(checksum::add(0, &frame[header]));
    put16(frame, l3 + 10, sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(frame: &mut Buffer, first: TxDesc) -> Result<Plan, Malformed> {
        prepare(frame, Terms { first, version: 1, planted: Planted::NONE })
    }

    fn tcp(v6: bool, payload: usize) -> (Buffer, u16) {
        let mut frame = vec![2; 12];
        frame.extend_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
        if v6 {
            frame.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, 6, 64]);
            frame.extend((0..32).map(|i| i as u8 + 1));
        } else {
            frame.extend_from_slice(&[0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        frame.extend_from_slice(&[0, 1, 0, 2, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0x50, 0x99, 0, 1, 0xaa, 0xaa, 0, 0]);
        let headers = frame.len() as u16;
        frame.extend((0..payload).map(|i| i as u8));
        (Buffer::from(&frame[..]), headers)
    }

    #[test]
    fn segments_carry_right_lengths_sums_sequences_and_flags() {
        for v6 in [false, true] {
            let (mut frame, headers) = tcp(v6, 250);
            let mut first = TxDesc::default();
            first.set_om(om::TSO);
            first.set_hlen(headers);
            first.set_msscof(100);
            let Ok(Plan::Segments(plan)) = plain(&mut frame, first) else { panic!("planned") };
            assert_eq!(Plan::Segments(plan).frames(frame.len()), 3);
            let l4 = usize::from(headers) - 20;
            for i in 0..3u32 {
                let mut out = Vec::new();
                plan.build(&frame, i, Planted::NONE, &mut out);
                assert_eq!(out.len(), usize::from(headers) + if i == 2 { 50 } else { 100 });
                let addresses = if v6 { 22..54 } else { 26..34 };
                let sum = checksum::pseudo(&out[addresses], TCP, (out.len() - l4) as u32);
                assert_eq!(checksum::fold(checksum::add(sum, &out[l4..])), 0xffff);
                if !v6 {
                    assert_eq!(checksum::fold(checksum::add(0, &out[14..34])), 0xffff);
                    assert_eq!(out[18..20], 0xffffu16.wrapping_add(i as u16).to_be_bytes());
                }
                assert_eq!(&out[l4 + 4..l4 + 8], &0xffff_fff0u32.wrapping_add(i * 100).to_be_bytes());
                assert_eq!(out[l4 + 13], 0x10 | if i == 0 { CWR } else { 0 } | if i == 2 { FIN_PSH } else { 0 });
            }
        }
    }

    #[test]
    fn a_udp_sum_of_zero_is_stored_as_all_ones() {
        let mut frame = Buffer::from(&[0; 42][..]);
        frame[34..36].copy_from_slice(&[0xff, 0xff]);
        let mut first = TxDesc::default();
        first.set_om(om::CSUM);
        first.set_hlen(34);
        first.set_msscof(40);
        assert_eq!(plain(&mut frame, first), Ok(Plan::Whole));
        assert_eq!(frame[40..], [0xff, 0xff]);
    }

    #[test]
    fn a_tag_goes_behind_the_source_address_and_offsets_do_not_count_it() {
        let mut frame = Buffer::from(&(0..60).collect::<Vec<u8>>()[..]);
        let mut first = TxDesc::default();
        first.set_ti(true);
        first.set_tci(0x2003);
        plain(&mut frame, first).unwrap();
        assert_eq!(&frame[10..18], &[10, 11, 0x81, 0, 0x20, 3, 12, 13]);
        assert_eq!(frame.len(), 64);
    }

    #[test]
    fn nonsense_is_refused() {
        for (mode, hlen, msscof, len) in [
            (1, 0, 0, 60),
            (3, 54, 0, 60),
            (3, 61, 9, 60),
            (3, 20, 9, 60),
            (2, 0, 59, 60),
            (2, 61, 6, 60),
            (0, 0, 0, 13),
        ] {
            let mut first = TxDesc::default();
            first.set_om(mode);
            first.set_hlen(hlen);
            first.set_msscof(msscof);
            assert_eq!(
                plain(&mut Buffer::from(&vec![0; len][..]), first),
                Err(Malformed),
                "{mode} {hlen} {msscof} {len}"
            );
        }
    }
}
