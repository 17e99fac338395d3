//! Transmit offloads: inserting a tag, filling in a checksum, segmenting TCP, both inside a tunnel too.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_OM_*; linux vmxnet3_drv.c, vmxnet3_tq_xmit, for what a driver prepares; RFC 793, 791,
//! 8200 and 3168 for what a segment must look like; RFC 7348 and 8926 for tunnels.

use super::headers::{Family, Ip, TAG, TCP, UDP, VLAN, be16};
use super::tunnel::Tunnel;
use crate::mutant::{Mutant, Planted};
use spec::checksum;
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::om;

/// TCP flags that only the last segment carries: FIN and PSH.
const LAST_ONLY: u8 = 0x01 | 0x08;
/// TCP flag that only the first segment carries: CWR (RFC 3168, section 6.1.2).
const FIRST_ONLY: u8 = 0x80;
/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;
/// Where its checksum stands.
pub(super) const TCP_CHECKSUM: usize = 16;
/// Where the checksum stands in a UDP header: an offload that asks for it there is UDP's, without looking at the packet.
pub(super) const UDP_CHECKSUM: usize = 6;
/// Versions that say in `om` alone that a packet is a tunnel.
const ENCAP: core::ops::RangeInclusive<u8> = 4..=6;
/// The version from which `ext1` says it.
const INNER_SINCE: u8 = 7;

/// What a packet asks for, by the words of its first descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    None,
    /// A checksum from here to the end, stored there.
    Checksum {
        /// Where the sum starts.
        start: usize,
        /// Where it is stored.
        field: usize,
    },
    /// The checksum of what a tunnel carries.
    InnerChecksum {
        /// Bytes of all headers.
        header: usize,
        /// Where the descriptor says it is stored, if it says so.
        field: Option<usize>,
    },
    /// Segmentation, of what a tunnel carries if `inner`.
    Segment {
        /// Bytes of all headers.
        header: usize,
        /// Most payload bytes a segment.
        mss: usize,
        /// Of what a tunnel carries.
        inner: bool,
    },
}

impl Work {
    /// What `first` asks for where `version` is in force.
    ///
    /// # Errors
    /// When that version does not have it. Without segmentation and checksum `ext1` means nothing, nor does it in earlier versions.
    pub fn of(first: TxDesc, version: u8, planted: Planted) -> Result<Self, Unsendable> {
        let (header, field) = (usize::from(first.hlen()), usize::from(first.msscof()));
        let inner = first.ext1() && version >= INNER_SINCE;
        Ok(match first.om() {
            om::NONE => Self::None,
            om::CSUM if inner => Self::InnerChecksum { header, field: Some(field) },
            om::CSUM => Self::Checksum { start: header, field },
            om::TSO => Self::Segment { header, mss: field, inner },
            _ if !ENCAP.contains(&version) && !planted.is(Mutant::SwEncapAnyVersion) => return Err(Unsendable),
            _ if field == 0 => Self::InnerChecksum { header, field: None },
            _ => Self::Segment { header, mss: field, inner: true },
        })
    }
}

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
    /// The tunnel that carries it.
    around: Option<Around>,
    /// Tag to insert.
    tag: Option<u16>,
}

/// The tunnel around a packet that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Around {
    /// Where its IP header starts.
    l3: usize,
    /// Where its UDP header starts.
    l4: usize,
    /// IPv6; otherwise IPv4.
    v6: bool,
    /// Its UDP checksum is filled in.
    checksum: bool,
}

impl Segmentation {
    /// Plans the cut of `frame`, whose headers fill `header` bytes.
    ///
    /// # Errors
    /// When it is not TCP over IP, is a fragment, or its TCP header does not end at `header`; when `mss` is 0.
    pub fn plan(frame: &[u8], header: usize, mss: usize, tag: Option<u16>) -> Result<Self, Unsendable> {
        let ip = Ip::find(frame.get(..header).ok_or(Unsendable)?).ok_or(Unsendable)?;
        Self::of(frame, header, mss, tag, ip)
    }

    /// Plans the cut of what the tunnel in `frame` carries, whose headers and its own fill `header` bytes. `checksum` says that its
    /// UDP checksum is to be filled in; it is left as it stands otherwise.
    ///
    /// # Errors
    /// As [`Segmentation::plan`], and when it is no tunnel.
    pub fn plan_inner(
        frame: &[u8],
        header: usize,
        mss: usize,
        tag: Option<u16>,
        checksum: bool,
    ) -> Result<Self, Unsendable> {
        let Tunnel { outer, inner } = Tunnel::find(frame.get(..header).ok_or(Unsendable)?).ok_or(Unsendable)?;
        let mut plan = Self::of(frame, header, mss, tag, inner)?;
        if header - outer.l3 + mss.min(plan.payload) > usize::from(u16::MAX) {
            return Err(Unsendable);
        }
        plan.around = Some(Around { l3: outer.l3, l4: outer.l4, v6: outer.family == Family::V6, checksum });
        Ok(plan)
    }

    fn of(frame: &[u8], header: usize, mss: usize, tag: Option<u16>, ip: Ip) -> Result<Self, Unsendable> {
        let headers = frame.get(..header).ok_or(Unsendable)?;
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
        Ok(Self { header, mss, payload, l3: ip.l3, l4: ip.l4, v6, around: None, tag })
    }

    /// Segments, at least one.
    pub const fn segments(&self) -> usize {
        let segments = self.payload.div_ceil(self.mss);
        if segments == 0 { 1 } else { segments }
    }

    /// Writes segment `number` of `frame` to `out`: headers, each field corrected, then its share of the payload.
    pub fn segment(&self, frame: &[u8], number: usize, planted: Planted, out: &mut Vec<u8>) {
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
        correct_ip(&mut out[l3..], l4 - l3, self.v6, number);
        let tcp = &mut out[l4..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(from as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if number + 1 < self.segments() && !planted.is(Mutant::SwTsoFlags) {
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
        if let Some(around) = self.around {
            around.correct(&mut out[shift..], number, planted);
        }
    }
}

impl Around {
    /// Corrects the tunnel's own headers around segment `number`, which is complete but for its tag: `frame` starts where the
    /// headers would without one.
    fn correct(self, frame: &mut [u8], number: usize, planted: Planted) {
        let Self { l3, l4, v6, checksum } = self;
        correct_ip(&mut frame[l3..], l4 - l3, v6, number);
        let udp = &mut frame[l4..];
        let length = udp.len() as u16;
        if !planted.is(Mutant::SwOuterLength) {
            udp[4..6].copy_from_slice(&length.to_be_bytes());
        }
        if checksum {
            fill_outer(frame, l3, l4, v6);
        }
    }
}

/// Corrects the length and, for IPv4, identification and header checksum of the packet that starts `ip`, whose headers fill `header`
/// bytes.
fn correct_ip(ip: &mut [u8], header: usize, v6: bool, number: usize) {
    let length = ip.len();
    if v6 {
        ip[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        return;
    }
    ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    let id = be16(ip, 4).unwrap_or(0).wrapping_add(number as u16);
    ip[4..6].copy_from_slice(&id.to_be_bytes());
    ip[10..12].fill(0);
    let sum = checksum::finish(checksum::add(0, &ip[..header]));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Fills in the checksum of the UDP datagram from `l4` to the end, whose IP header starts at `l3`.
fn fill_outer(frame: &mut [u8], l3: usize, l4: usize, v6: bool) {
    let field = l4 + UDP_CHECKSUM;
    frame[field..field + 2].fill(0);
    let addresses = if v6 { l3 + 8..l3 + 40 } else { l3 + 12..l3 + 20 };
    let length = (frame.len() - l4) as u32;
    let sum = checksum::add(checksum::pseudo(&frame[addresses], UDP, length), &frame[l4..]);
    let value = match checksum::finish(sum) {
        0 => 0xffff,
        value => value,
    };
    frame[field..field + 2].copy_from_slice(&value.to_be_bytes());
}

/// Fills in the checksum of what the tunnel in `frame` carries; its headers and the tunnel's fill `header` bytes, and `field` is where
/// the descriptor says it is stored. With `outer` the tunnel's own checksum is filled in over it.
///
/// # Errors
/// When it is no tunnel, does not carry whole TCP or UDP, or the headers or the field do not lie so; nothing is changed then.
pub fn fill_inner(frame: &mut [u8], header: usize, field: Option<usize>, outer: bool) -> Result<(), Unsendable> {
    let tunnel = Tunnel::find(frame.get(..header).ok_or(Unsendable)?).ok_or(Unsendable)?;
    let found = tunnel.inner_checksum(&frame[..header]).ok_or(Unsendable)?;
    if field.is_some_and(|field| field != found) {
        return Err(Unsendable);
    }
    fill_checksum(frame, tunnel.inner.l4, found)?;
    if outer {
        let Ip { family, l3, l4, .. } = tunnel.outer;
        fill_outer(frame, l3, l4, family == Family::V6);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{datagram_is_right, tcp4, tcp6, transport_is_right, tunnel, udp4};
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
                plan.segment(&frame, number, Planted::NONE, &mut out);
                out[47]
            })
            .collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
    }

    fn descriptor(mode: u8, inner: bool, hlen: usize, msscof: usize) -> TxDesc {
        let mut first = TxDesc::default();
        first.set_om(mode);
        first.set_ext1(inner);
        first.set_hlen(hlen as u16);
        first.set_msscof(msscof as u16);
        first
    }

    #[test]
    fn each_version_has_its_own_words_for_a_tunnel() {
        for version in 0..=9 {
            let asks =
                |mode, inner, msscof| Work::of(descriptor(mode, inner, 100, msscof), version, Planted::NONE).ok();
            let (header, field) = (100, Some(7));
            let old = (4..7).contains(&version);
            let inner = Work::InnerChecksum { header, field: None };
            assert_eq!(asks(om::ENCAP, false, 0), old.then_some(inner), "{version}");
            let cut = Work::Segment { header, mss: 7, inner: true };
            assert_eq!(asks(om::ENCAP, false, 7), old.then_some(cut), "{version}");
            assert_eq!(asks(om::ENCAP, true, 7), old.then_some(cut), "{version}");
            let inner = Work::InnerChecksum { header, field };
            let (summed, plain) =
                (Work::Checksum { start: 100, field: 7 }, Work::Segment { header, mss: 7, inner: false });
            assert_eq!(asks(om::CSUM, true, 7), Some(if version > 6 { inner } else { summed }), "{version}");
            assert_eq!(asks(om::TSO, true, 7), Some(if version > 6 { cut } else { plain }), "{version}");
            assert_eq!(asks(om::NONE, true, 7), Some(Work::None), "{version}");
            assert_eq!(asks(om::CSUM, false, 7), Some(Work::Checksum { start: 100, field: 7 }), "{version}");
            assert_eq!(asks(om::TSO, false, 7), Some(Work::Segment { header, mss: 7, inner: false }), "{version}");
        }
    }

    #[test]
    fn an_inner_checksum_is_filled_in_and_the_outer_one_only_where_it_is_asked_for() {
        for outer6 in [false, true] {
            for (inner, upper) in [(tcp4(33, 4), 24), (tcp6(32), 20), (udp4(21, false), 8)] {
                let good = tunnel(outer6, 6081, 8, &inner);
                let header = good.len() - inner.len() + 14 + if inner[12] == 8 { 20 } else { 40 } + upper;
                let field = header - upper + if upper == 8 { 6 } else { 16 };
                let mut bad = good.clone();
                // A driver leaves the sum of the pseudo-header, which is what a right packet lacks to all ones.
                let seed = checksum::finish(checksum::add(0, &good[header - upper..]));
                bad[field..field + 2].copy_from_slice(&seed.to_be_bytes());
                for at in [None, Some(field)] {
                    let mut frame = bad.clone();
                    assert_eq!(fill_inner(&mut frame, header, at, false), Ok(()));
                    assert_eq!(frame, good);
                    assert_eq!(fill_inner(&mut bad.clone(), header, at, true), Ok(()));
                    let mut frame = bad.clone();
                    fill_inner(&mut frame, header, at, true).unwrap();
                    assert!(datagram_is_right(&frame) && frame[..38] == good[..38]);
                    let outer = if outer6 { 60 } else { 40 };
                    assert_ne!(frame[outer..outer + 2], [0, 0]);
                }
                for (header, field) in [(header - 1, None), (header + 1, None), (header, Some(field + 1)), (4000, None)]
                {
                    let mut frame = bad.clone();
                    assert_eq!(fill_inner(&mut frame, header, field, true), Err(Unsendable));
                    assert_eq!(frame, bad);
                }
            }
        }
    }

    proptest! {
        /// Segments of what a tunnel carries have the tunnel around each, right in itself.
        #[test]
        fn segments_in_a_tunnel_are_right_and_so_is_what_is_around(
            payload in 0usize..3000, mss in 1usize..1600, v6: bool, outer6: bool, geneve: bool, sums: bool, tag: Option<u16>,
            vlan: bool
        ) {
            let mut inner = if v6 { tcp6(payload) } else { tcp4(payload, 8) };
            if vlan {
                inner.splice(12..12, [0x81, 0, 0, 9]);
            }
            let mut frame = tunnel(outer6, if geneve { 6081 } else { 4789 }, 20, &inner);
            let around = frame.len() - inner.len();
            let header = frame.len() - payload;
            if !outer6 { frame[18..20].copy_from_slice(&0xfffeu16.to_be_bytes()); }
            let plan = Segmentation::plan_inner(&frame, header, mss, tag, sums).unwrap();
            prop_assert_eq!(plan.segments(), payload.div_ceil(mss).max(1));
            let (mut out, mut got) = (Vec::new(), Vec::new());
            for number in 0..plan.segments() {
                plan.segment(&frame, number, Planted::NONE, &mut out);
                if let Some(tci) = tag {
                    prop_assert_eq!(&out[14..16], &tci.to_be_bytes());
                    out.drain(12..16);
                }
                prop_assert!(datagram_is_right(&out), "around segment {number}");
                let udp = if outer6 { 54 } else { 34 };
                prop_assert_eq!(out[udp + 6..udp + 8] == [0, 0], !sums);
                prop_assert_eq!(&out[udp + 8..around], &frame[udp + 8..around]);
                if !outer6 {
                    prop_assert_eq!(be16(&out, 18), Some(0xfffeu16.wrapping_add(number as u16)));
                }
                got.extend_from_slice(&out[header..]);
                let mut carried = out.split_off(around);
                if vlan {
                    prop_assert_eq!(carried.drain(12..16).collect::<Vec<_>>(), &[0x81, 0, 0, 9]);
                }
                prop_assert!(transport_is_right(&carried), "segment {number}");
            }
            prop_assert_eq!(&got[..], &frame[header..]);
        }

        /// No headers, however wrong, break anything.
        #[test]
        fn any_bytes_and_any_words_are_sent_or_refused(
            mut frame in prop::collection::vec(any::<u8>(), 14..160), port in 0usize..4, hlen in 0usize..180, msscof in 0usize..200,
            mode in 0u8..4, inner: bool, version in 0u8..10
        ) {
            if frame.len() > 38 {
                frame[12..15].copy_from_slice(&[8, 0, 0x45]);
                frame[20..22].fill(0);
                frame[23] = 17;
                frame[36..38].copy_from_slice(&[4789u16, 8472, 6081, 53][port].to_be_bytes());
            }
            let mut out = Vec::new();
            match Work::of(descriptor(mode, inner, hlen, msscof), version, Planted::NONE) {
                Ok(Work::InnerChecksum { header, field }) => {
                    let _ = fill_inner(&mut frame, header, field, true);
                }
                Ok(Work::Segment { header, mss, inner: true }) => {
                    if let Ok(plan) = Segmentation::plan_inner(&frame, header, mss, Some(1), true) {
                        (0..plan.segments()).for_each(|number| plan.segment(&frame, number, Planted::NONE, &mut out));
                    }
                }
                _ => {}
            }
        }

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
                plan.segment(&frame, number, Planted::NONE, &mut out);
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
