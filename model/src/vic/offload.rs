//! Transmit offloads: tag insertion, generic checksum, TCP segmentation.
//!
//! Not modelled: tunnels (`om` 1) and inner offloads (`ext1`), which exist from version 4 on.

use spec::checksum;
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::om;

use super::parse::{Packet, TCP};
use crate::memory::Buffer;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
const VLAN: u16 = 0x8100;
/// Place of the checksum in a UDP header: the one protocol in which a stored 0 would mean "none".
const UDP_CHECKSUM: usize = 6;
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
    /// Tag of each segment.
    tag: Option<u16>,
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

/// Does what the first descriptor asks of a whole packet; segmentation is planned and done frame by frame.
///
/// `zero_udp` plants a bug: a UDP checksum of zero stays zero.
///
/// # Errors
/// When the packet cannot be sent.
#[inline]
pub fn prepare(frame: &mut Buffer, first: TxDesc, zero_udp: bool) -> Result<Plan, Malformed> {
    if frame.len() < ETHERNET {
        return Err(Malformed);
    }
    match first.om() {
        om::NONE => {}
        om::CSUM => insert_checksum(frame, first, zero_udp)?,
        om::TSO => return plan(frame, first).map(Plan::Segments),
        _ => return Err(Malformed),
    }
    if first.ti() {
        frame.grow(4);
        insert_tag(frame, first.tci());
    }
    Ok(Plan::Whole)
}

/// The sum runs from `hlen` to the end, seed included, and is stored complemented at `msscof`.
fn insert_checksum(frame: &mut [u8], first: TxDesc, zero_udp: bool) -> Result<(), Malformed> {
    let (from, at) = (usize::from(first.hlen()), usize::from(first.msscof()));
    if at + 2 > frame.len() || from >= frame.len() {
        return Err(Malformed);
    }
    let sum = checksum::finish(checksum::add(0, &frame[from..]));
    let udp = at == from + UDP_CHECKSUM;
    put16(frame, at, if sum == 0 && udp && !zero_udp { 0xffff } else { sum });
    Ok(())
}

/// Finds the headers of a packet to be segmented.
fn plan(frame: &[u8], first: TxDesc) -> Result<Segments, Malformed> {
    let (headers, mss) = (usize::from(first.hlen()), usize::from(first.msscof()));
    if mss == 0 || headers > frame.len() {
        return Err(Malformed);
    }
    let Packet { v6, l3, l4, protocol, fragment } = Packet::locate(&frame[..headers]).ok_or(Malformed)?;
    let Some(tcp) = frame.get(l4..l4 + 20).filter(|_| protocol == TCP && !fragment) else { return Err(Malformed) };
    let words = usize::from(tcp[12] >> 4);
    let longest = headers - l3 + mss.min(frame.len() - headers);
    if words < 5 || l4 + words * 4 != headers || longest > usize::from(u16::MAX) {
        return Err(Malformed);
    }
    Ok(Segments { mss, l3, l4, headers, v6, tag: first.ti().then_some(first.tci()) })
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
    pub fn build(&self, packet: &[u8], index: u32, out: &mut Vec<u8>) {
        let from = self.headers + index as usize * self.mss;
        let to = packet.len().min(from + self.mss);
        let last = to == packet.len();
        out.clear();
        out.extend_from_slice(&packet[..self.headers]);
        out.extend_from_slice(&packet[from..to]);
        let (l3, l4) = (self.l3, self.l4);
        let (ip, upper) = (out.len() - l3, (out.len() - l4) as u32);
        if self.v6 {
            put16(out, l3 + 4, (ip - 40) as u16);
        } else {
            put16(out, l3 + 2, ip as u16);
            let id = u16::from_be_bytes([out[l3 + 4], out[l3 + 5]]).wrapping_add(index as u16);
            put16(out, l3 + 4, id);
            put16(out, l3 + 10, 0);
            let sum = checksum::finish(checksum::add(0, &out[l3..l4]));
            put16(out, l3 + 10, sum);
        }
        let sequence = u32::from_be_bytes([out[l4 + 4], out[l4 + 5], out[l4 + 6], out[l4 + 7]]);
        let sequence = sequence.wrapping_add((from - self.headers) as u32);
        out[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        if !last {
            out[l4 + 13] &= !FIN_PSH;
        }
        if index > 0 {
            out[l4 + 13] &= !CWR;
        }
        put16(out, l4 + 16, 0);
        let addresses = if self.v6 { l3 + 8..l3 + 40 } else { l3 + 12..l3 + 20 };
        let sum = checksum::add(checksum::pseudo(&out[addresses], TCP, upper), &out[l4..]);
        put16(out, l4 + 16, checksum::finish(sum));
        if let Some(tci) = self.tag {
            out.extend_from_slice(&[0; 4]);
            insert_tag(out, tci);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let Ok(Plan::Segments(plan)) = prepare(&mut frame, first, false) else { panic!("planned") };
            assert_eq!(Plan::Segments(plan).frames(frame.len()), 3);
            let l4 = usize::from(headers) - 20;
            for i in 0..3u32 {
                let mut out = Vec::new();
                plan.build(&frame, i, &mut out);
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
        assert_eq!(prepare(&mut frame.clone(), first, false), Ok(Plan::Whole));
        let mut planted = frame.clone();
        prepare(&mut frame, first, false).unwrap();
        prepare(&mut planted, first, true).unwrap();
        assert_eq!((&frame[40..], &planted[40..]), (&[0xff, 0xff][..], &[0, 0][..]));
    }

    #[test]
    fn a_tag_goes_behind_the_source_address_and_offsets_do_not_count_it() {
        let mut frame = Buffer::from(&(0..60).collect::<Vec<u8>>()[..]);
        let mut first = TxDesc::default();
        first.set_ti(true);
        first.set_tci(0x2003);
        prepare(&mut frame, first, false).unwrap();
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
                prepare(&mut Buffer::from(&vec![0; len][..]), first, false),
                Err(Malformed),
                "{mode} {hlen} {msscof} {len}"
            );
        }
    }
}
