//! Transmit offloads: inserting a tag, filling in a checksum, segmenting TCP.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_OM_*; linux vmxnet3_drv.c, vmxnet3_tq_xmit, for what a driver prepares; RFC 793, 791,
//! 8200 and 3168 for what a segment must look like.

use super::headers::{Family, Ip, TAG, TCP, VLAN, be16};
use spec::checksum;

/// TCP flags that only the last segment carries: FIN and PSH.
const LAST_ONLY: u8 = 0x01 | 0x08;
/// TCP flag that only the first segment carries: CWR (RFC 3168, section 6.1.2).
const FIRST_ONLY: u8 = 0x80;
/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;
/// Where its checksum stands.
const TCP_CHECKSUM: usize = 16;
/// Where the checksum stands in a UDP header: an offload that asks for it there is UDP's, without looking at the packet.
const UDP_CHECKSUM: usize = 6;

/// The frame cannot be sent as its descriptor asks: it is counted, completed and not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsendable;

/// Sums `frame` from `start` to its end, whatever stands in the checksum field included, and stores the complement at
/// `field`. The driver left the folded pseudo-header sum there.
///
/// # Errors
/// When `start` or the field lies outside the frame; nothing is changed then.
pub fn fill_checksum(frame: &mut [u8], start: usize, field: usize) -> Result<(), Unsendable> {
    if start >= frame.len() || field + 2 > frame.len() {
        return Err(Unsendable);
    }
    let mut value = checksum::finish(checksum::add(0, &frame[start..]));
    if value == 0 && field == start + UDP_CHECKSUM {
        // Zero would say that there is no checksum (RFC 768).
        value = 0xffff;
    }
    frame[field..field + 2].copy_from_slice(&value.to_be_bytes());
    Ok(())
}

/// Writes `frame` to `out` with a tag behind the addresses, before any tag that is there already.
pub fn insert_tag(frame: &[u8], tci: u16, out: &mut Vec<u8>) {
    let (addresses, rest) = frame.split_at(frame.len().min(12));
    out.clear();
    out.extend_from_slice(addresses);
    out.extend_from_slice(&VLAN.to_be_bytes());
    out.extend_from_slice(&tci.to_be_bytes());
    out.extend_from_slice(rest);
}

/// How a TCP packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segmentation {
    /// Bytes of all headers together.
    header: usize,
    /// Most payload bytes a segment.
    mss: usize,
    /// Payload bytes.
    payload: usize,
    /// Where the IP header starts.
    l3: usize,
    /// Where the TCP header starts.
    l4: usize,
    /// IPv6; otherwise IPv4.
    v6: bool,
    /// Tag to insert.
    tag: Option<u16>,
}

impl Segmentation {
    /// Plans the cut of `frame`, whose headers fill `header` bytes.
    ///
    /// # Errors
    /// When it is not TCP over IP, is a fragment, or its TCP header does not end at `header`; when `mss` is 0.
    pub fn plan(frame: &[u8], header: usize, mss: usize, tag: Option<u16>) -> Result<Self, Unsendable> {
        let headers = frame.get(..header).ok_or(Unsendable)?;
        let ip = Ip::find(headers).ok_or(Unsendable)?;
        let tcp = headers.get(ip.l4..).ok_or(Unsendable)?;
        if mss == 0 || ip.protocol != TCP || ip.fragment || tcp.len() < TCP_HEADER {
            return Err(Unsendable);
        }
        if usize::from(tcp[12] >> 4) * 4 != tcp.len() {
            return Err(Unsendable);
        }
        let payload = frame.len() - header;
        let v6 = ip.family == Family::V6;
        // A segment's length field has 16 bits.
        if header - ip.l3 + mss.min(payload) > usize::from(u16::MAX) {
            return Err(Unsendable);
        }
        Ok(Self { header, mss, payload, l3: ip.l3, l4: ip.l4, v6, tag })
    }

    /// Segments, at least one.
    pub const fn segments(&self) -> usize {
        let segments = self.payload.div_ceil(self.mss);
        if segments == 0 { 1 } else { segments }
    }

    /// Writes segment `number` of `frame` to `out`: headers, each field corrected, then its share of the payload.
    /// `flags_everywhere` leaves FIN and PSH on every segment, which is wrong.
    pub fn segment(&self, frame: &[u8], number: usize, flags_everywhere: bool, out: &mut Vec<u8>) {
        let from = number * self.mss;
        let to = (from + self.mss).min(self.payload);
        let shift = match self.tag {
            Some(tci) => {
                insert_tag(&frame[..self.header], tci, out);
                TAG
            }
            None => {
                out.clear();
                out.extend_from_slice(&frame[..self.header]);
                0
            }
        };
        out.extend_from_slice(&frame[self.header + from..self.header + to]);
        let (l3, l4) = (self.l3 + shift, self.l4 + shift);
        self.correct_ip(&mut out[l3..], number);
        let tcp = &mut out[l4..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(from as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if number + 1 < self.segments() && !flags_everywhere {
            tcp[13] &= !LAST_ONLY;
        }
        if number > 0 {
            tcp[13] &= !FIRST_ONLY;
        }
        tcp[TCP_CHECKSUM..TCP_CHECKSUM + 2].fill(0);
        let (ip, tcp) = out[l3..].split_at(l4 - l3);
        let addresses = if self.v6 { &ip[8..40] } else { &ip[12..20] };
        let sum = checksum::add(checksum::pseudo(addresses, TCP, tcp.len() as u32), tcp);
        out[l4 + TCP_CHECKSUM..l4 + TCP_CHECKSUM + 2].copy_from_slice(&checksum::finish(sum).to_be_bytes());
    }

    /// Corrects the length and, for IPv4, identification and header checksum of the packet that starts `ip`.
    fn correct_ip(&self, ip: &mut [u8], number: usize) {
        let length = ip.len();
        if self.v6 {
            ip[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            return;
        }
        ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        let id = be16(ip, 4).unwrap_or(0).wrapping_add(number as u16);
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip[10..12].fill(0);
        let sum = checksum::finish(checksum::add(0, &ip[..self.l4 - self.l3]));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{tcp4, tcp6, transport_is_right};
    use proptest::prelude::*;

    #[test]
    fn a_checksum_is_the_complement_of_the_sum_with_its_seed() {
        let mut frame = vec![0; 24];
        frame[14..18].copy_from_slice(&[0x12, 0x34, 0x00, 0x01]);
        frame[20..22].copy_from_slice(&[0x00, 0x0a]);
        assert_eq!(fill_checksum(&mut frame, 14, 20), Ok(()));
        assert_eq!(frame[20..22], (!(0x1234u16 + 1 + 0x0a)).to_be_bytes());
    }

    #[test]
    fn a_udp_checksum_of_zero_becomes_all_ones() {
        for (field, stored) in [(20, 0xffff), (22, 0)] {
            let mut frame = vec![0; 26];
            frame[14..16].copy_from_slice(&[0xff, 0xff]);
            fill_checksum(&mut frame, 14, field).unwrap();
            assert_eq!(be16(&frame, field), Some(stored));
        }
    }

    #[test]
    fn a_checksum_outside_the_frame_is_refused() {
        for (start, field) in [(60, 10), (14, 59), (1023, 16383)] {
            let mut frame = vec![7; 60];
            assert_eq!(fill_checksum(&mut frame, start, field), Err(Unsendable));
            assert_eq!(frame, [7; 60]);
        }
    }

    #[test]
    fn a_packet_that_is_not_whole_tcp_is_not_segmented() {
        let frame = tcp4(100, 0);
        let plan = |frame: &[u8], header, mss| Segmentation::plan(frame, header, mss, None);
        assert!(plan(&frame, 54, 10).is_ok());
        for (header, mss) in [(54, 0), (53, 10), (55, 10), (0, 10), (155, 10), (1023, 10)] {
            assert_eq!(plan(&frame, header, mss), Err(Unsendable), "{header} {mss}");
        }
        let mut udp = frame.clone();
        udp[23] = 17;
        assert_eq!(plan(&udp, 54, 10), Err(Unsendable));
        let mut fragment = frame;
        fragment[20] = 0x20;
        assert_eq!(plan(&fragment, 54, 10), Err(Unsendable));
    }

    #[test]
    fn fin_and_psh_end_the_last_segment_and_cwr_starts_the_first() {
        let mut frame = tcp4(30, 0);
        frame[47] = 0x80 | 0x10 | 0x08 | 0x01;
        let plan = Segmentation::plan(&frame, 54, 10, None).unwrap();
        let mut out = Vec::new();
        let flags: Vec<u8> = (0..plan.segments())
            .map(|number| {
                plan.segment(&frame, number, false, &mut out);
                out[47]
            })
            .collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
    }

    proptest! {
        /// Segments carry the payload once and in order, and every one is a packet that a receiver takes.
        #[test]
        fn segments_are_the_packet_cut_and_every_header_is_right(
            payload in 0usize..4000, mss in 1usize..1600, v6: bool, tag: Option<u16>, options in 0usize..11
        ) {
            let mut frame = if v6 { tcp6(payload) } else { tcp4(payload, options * 4) };
            let header = frame.len() - payload;
            let (l3, l4) = (14, if v6 { 54 } else { 34 });
            if !v6 { frame[18..20].copy_from_slice(&0xfffeu16.to_be_bytes()); }
            let plan = Segmentation::plan(&frame, header, mss, tag).unwrap();
            prop_assert_eq!(plan.segments(), payload.div_ceil(mss).max(1));
            let mut got = Vec::new();
            let mut out = Vec::new();
            for number in 0..plan.segments() {
                plan.segment(&frame, number, false, &mut out);
                if let Some(tci) = tag {
                    prop_assert_eq!(&out[12..14], &[0x81, 0]);
                    prop_assert_eq!(&out[14..16], &tci.to_be_bytes());
                    out.drain(12..16);
                }
                prop_assert!(transport_is_right(&out), "segment {number}");
                let sequence = u32::from_be_bytes(out[l4 + 4..l4 + 8].try_into().unwrap());
                let first = u32::from_be_bytes(frame[l4 + 4..l4 + 8].try_into().unwrap());
                prop_assert_eq!(sequence, first.wrapping_add(got.len() as u32));
                if !v6 {
                    prop_assert_eq!(be16(&out, l3 + 4), Some(0xfffeu16.wrapping_add(number as u16)));
                }
                got.extend_from_slice(&out[header..]);
            }
            prop_assert_eq!(&got[..], &frame[header..]);
        }
    }
}
