//! A packet as a driver hands it over.

use super::{CHECKSUM_PLACE, DESCRIPTORS, Findings, NOT_IP, RESERVED, SEGMENT_SIZE, TOO_LONG, TUNNEL};
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::{MAX_TSO_TXD_PER_PKT, MAX_TXD_PER_PKT, om};
use std::fmt;

/// Bytes of an Ethernet header with one tag.
const HEADER: u32 = 18;

/// What a packet is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// L3 MTU, bytes.
    pub mtu: u32,
    /// Version that the driver has selected; none when no one saw it.
    pub version: Option<u32>,
}

/// Judges a packet: its descriptors, of which the last has `eop`, and its first bytes as far as they are known.
pub fn judge(descs: &[TxDesc], head: &[u8], rules: Rules, place: impl fmt::Display + Copy, findings: &mut Findings) {
    let Some(first) = descs.first() else { return };
    let bytes = descs.iter().fold(0u32, |sum, desc| sum.saturating_add(desc.bytes() as u32));
    let (mode, start, size) = (first.om(), u32::from(first.hlen()), u32::from(first.msscof()));
    let most = if mode == om::TSO { MAX_TSO_TXD_PER_PKT } else { MAX_TXD_PER_PKT };
    if descs.len() > most {
        findings.add(&DESCRIPTORS, place, || format!("{} descriptors", descs.len()));
    }
    let longest = rules.mtu.saturating_add(HEADER);
    match mode {
        om::TSO => {
            if size == 0 || start == 0 || start > bytes {
                findings.add(&SEGMENT_SIZE, place, || format!("msscof {size}, hlen {start}, {bytes} bytes"));
            } else if start + size > longest {
                findings.add(&TOO_LONG, place, || format!("segments of {} bytes, mtu {}", start + size, rules.mtu));
            }
        }
        om::CSUM if size < start || size + 2 > bytes => {
            findings.add(&CHECKSUM_PLACE, place, || format!("field at {size}, start at {start}, {bytes} bytes"));
        }
        om::ENCAP if rules.version.is_some_and(|version| version < 4) => {
            findings.add(&TUNNEL, place, || format!("om 1 in version {}", rules.version.unwrap_or(0)));
        }
        _ => {}
    }
    if mode != om::TSO && mode != om::ENCAP && bytes > longest {
        findings.add(&TOO_LONG, place, || format!("{bytes} bytes, mtu {}", rules.mtu));
    }
    if mode != om::NONE && !is_ip(head) {
        findings.add(&NOT_IP, place, || format!("om {mode} and ethertype {:#06x}", ethertype(head).unwrap_or(0)));
    }
    if let Some(desc) = descs.iter().find(|desc| desc.dtype() || desc.ext2()) {
        findings.add(&RESERVED, place, || format!("dtype {}, ext2 {}", u8::from(desc.dtype()), u8::from(desc.ext2())));
    }
}

/// True also where the header is not known whole.
fn is_ip(head: &[u8]) -> bool {
    matches!(ethertype(head), None | Some(0x0800 | 0x86dd))
}

/// What follows the addresses and one tag.
fn ethertype(head: &[u8]) -> Option<u16> {
    let at = |at: usize| head.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    match at(12)? {
        0x8100 | 0x88a8 => at(16),
        kind => Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00];
    const OTHER: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5];

    fn desc(len: u16, mode: u8, start: u16, size: u16) -> TxDesc {
        let mut desc = TxDesc::default();
        desc.set_len(len);
        desc.set_om(mode);
        desc.set_hlen(start);
        desc.set_msscof(size);
        desc
    }

    fn found(descs: &[TxDesc], head: &[u8]) -> Vec<&'static str> {
        let mut findings = Findings::default();
        judge(descs, head, Rules { mtu: 1500, version: Some(3) }, "here", &mut findings);
        findings.list().iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn packets_by_the_rules_are_clean() {
        assert_eq!(found(&[desc(1518, om::NONE, 0, 0)], &OTHER), [""; 0]);
        assert_eq!(found(&[desc(60, om::CSUM, 34, 50)], &IP), [""; 0]);
        assert_eq!(found(&[desc(9000, om::TSO, 54, 1448)], &IP), [""; 0]);
        assert_eq!(found(&vec![desc(100, om::TSO, 54, 1448); 24], &IP), [""; 0]);
    }

    #[test]
    fn too_many_descriptors_are_found() {
        assert_eq!(found(&vec![desc(10, om::NONE, 0, 0); 17], &OTHER), [DESCRIPTORS.id]);
        assert_eq!(found(&vec![desc(100, om::TSO, 54, 1448); 25], &IP), [DESCRIPTORS.id]);
    }

    #[test]
    fn segmentation_that_cannot_be_is_found() {
        assert_eq!(found(&[desc(9000, om::TSO, 54, 0)], &IP), [SEGMENT_SIZE.id]);
        assert_eq!(found(&[desc(9000, om::TSO, 0, 1448)], &IP), [SEGMENT_SIZE.id]);
        assert_eq!(found(&[desc(50, om::TSO, 54, 1448)], &IP), [SEGMENT_SIZE.id]);
        assert_eq!(found(&[desc(9000, om::TSO, 54, 1500)], &IP), [TOO_LONG.id]);
    }

    #[test]
    fn a_checksum_outside_the_packet_is_found() {
        assert_eq!(found(&[desc(51, om::CSUM, 34, 50)], &IP), [CHECKSUM_PLACE.id]);
        assert_eq!(found(&[desc(60, om::CSUM, 34, 33)], &IP), [CHECKSUM_PLACE.id]);
    }

    #[test]
    fn length_zero_is_16384_and_too_long() {
        assert_eq!(found(&[desc(0, om::NONE, 0, 0)], &OTHER), [TOO_LONG.id]);
        assert_eq!(found(&[desc(1519, om::NONE, 0, 0)], &OTHER), [TOO_LONG.id]);
    }

    #[test]
    fn offloads_of_what_is_not_ip_tunnels_and_reserved_bits_are_found() {
        assert_eq!(found(&[desc(60, om::CSUM, 34, 50)], &OTHER), [NOT_IP.id]);
        assert_eq!(found(&[desc(60, om::CSUM, 34, 50)], &OTHER[..13]), [""; 0]);
        assert_eq!(found(&[desc(60, om::ENCAP, 34, 50)], &IP), [TUNNEL.id]);
        let mut odd = desc(60, om::NONE, 0, 0);
        odd.set_dtype(true);
        assert_eq!(found(&[odd], &OTHER), [RESERVED.id]);
    }
}
