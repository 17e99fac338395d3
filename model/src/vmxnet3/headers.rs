//! Where the headers of a frame lie: tags, IPv4 or IPv6 with its extensions, and the upper layer.
//!
//! Sources: IEEE 802.1Q for tags, RFC 791 and RFC 8200 for IP. What a tunnel carries is found by [`Tunnel`](super::tunnel::Tunnel).

use spec::frame::ETHERNET;

/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad service tag.
const SERVICE_VLAN: u16 = 0x88a8;
/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Bytes of one tag.
pub const TAG: usize = 4;
/// Tags looked through before the frame counts as not IP.
pub const MAX_TAGS: usize = 2;
/// IPv6 extension headers looked through.
const MAX_EXTENSIONS: usize = 8;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;

/// Protocol number of ESP.
pub const ESP: u8 = 50;

/// Two bytes at `at`, if they are there.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// The outermost 802.1Q tag: its control word.
pub fn outer_tag(frame: &[u8]) -> Option<u16> {
    if be16(frame, 12)? == VLAN { be16(frame, ETHERNET) } else { None }
}

/// Which IP a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An IP packet inside a frame. Offsets are bytes from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Which IP.
    pub family: Family,
    /// Where the IP header starts.
    pub l3: usize,
    /// Where the upper layer starts.
    pub l4: usize,
    /// Protocol of the upper layer.
    pub protocol: u8,
    /// The packet is a fragment: it has no whole upper layer.
    pub fragment: bool,
}

impl Ip {
    /// The IP packet of a frame, if there is one whose headers lie in the frame. Lengths in the headers are not judged: a
    /// packet that is to be segmented has none that mean anything.
    pub fn find(frame: &[u8]) -> Option<Self> {
        Self::in_ethernet(frame, 0, MAX_TAGS)
    }

    /// The IP packet of a received frame, behind at most one tag, if it lies in the frame by its own length.
    pub fn received(frame: &[u8]) -> Option<Self> {
        Self::in_ethernet(frame, 0, 1).filter(|ip| ip.end(frame).is_some())
    }

    /// The IP packet behind the Ethernet header at `start` and at most so many tags.
    pub fn in_ethernet(frame: &[u8], start: usize, tags: usize) -> Option<Self> {
        let mut at = start + 12;
        let mut kind = be16(frame, at)?;
        for _ in 0..tags {
            if kind != VLAN && kind != SERVICE_VLAN {
                break;
            }
            at += TAG;
            kind = be16(frame, at)?;
        }
        Self::of_kind(frame, kind, at + 2)
    }

    /// The IP packet that starts at `l3`, if `kind` is the EtherType of one.
    pub fn of_kind(frame: &[u8], kind: u16, l3: usize) -> Option<Self> {
        match kind {
            IPV4 => Self::v4(frame, l3),
            IPV6 => Self::v6(frame, l3),
            _ => None,
        }
    }

    fn v4(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..l3.checked_add(20)?)?;
        let bytes = usize::from(header[0] & 0x0f) * 4;
        let l4 = l3 + bytes;
        if header[0] >> 4 != 4 || bytes < 20 || l4 > frame.len() {
            return None;
        }
        // More fragments, or an offset.
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
        Some(Self { family: Family::V4, l3, l4, protocol: header[9], fragment })
    }

    fn v6(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..l3.checked_add(40)?)?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let mut protocol = header[6];
        let mut l4 = l3 + 40;
        let mut fragment = false;
        for _ in 0..MAX_EXTENSIONS {
            let bytes = match protocol {
                // Hop-by-hop options, routing, destination options.
                0 | 43 | 60 => (usize::from(*frame.get(l4 + 1)?) + 1) * 8,
                // Fragment; one that is whole all the same (RFC 6946) is not told apart.
                44 => {
                    fragment = true;
                    8
                }
                _ => break,
            };
            protocol = *frame.get(l4)?;
            l4 += bytes;
            if l4 > frame.len() {
                return None;
            }
        }
        Some(Self { family: Family::V6, l3, l4, protocol, fragment })
    }

    /// Source and destination address, as they stand in the header.
    pub fn addresses<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        match self.family {
            Family::V4 => &frame[self.l3 + 12..self.l3 + 20],
            Family::V6 => &frame[self.l3 + 8..self.l3 + 40],
        }
    }

    /// Where the IP packet ends by its own length field, if that lies in the frame and behind the headers. What follows is
    /// link padding.
    pub fn end(&self, frame: &[u8]) -> Option<usize> {
        let end = match self.family {
            Family::V4 => self.l3 + usize::from(be16(frame, self.l3 + 2)?),
            Family::V6 => self.l3 + 40 + usize::from(be16(frame, self.l3 + 4)?),
        };
        (end >= self.l4 && end <= frame.len()).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{tcp4, tcp6};

    #[test]
    fn tags_are_looked_through_and_a_third_is_not() {
        let plain = tcp4(10, 0);
        assert_eq!(Ip::find(&plain).map(|ip| (ip.l3, ip.l4, ip.protocol)), Some((14, 34, TCP)));
        let mut tagged = plain.clone();
        for (tags, found) in [(1, Some(18)), (2, Some(22)), (3, None)] {
            tagged.splice(12..12, [0x81, 0, 0, tags]);
            assert_eq!(Ip::find(&tagged).map(|ip| ip.l3), found);
        }
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let mut frame = tcp6(10);
        frame[20] = 0;
        frame.splice(54..54, [TCP, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(Ip::find(&frame).map(|ip| (ip.l4, ip.protocol, ip.fragment)), Some((62, TCP, false)));
        frame[20] = 44;
        assert_eq!(Ip::find(&frame).map(|ip| ip.fragment), Some(true));
    }

    #[test]
    fn a_header_cut_anywhere_is_no_packet_and_no_panic() {
        for frame in [tcp4(10, 0), tcp6(10)] {
            for len in 0..frame.len() {
                if let Some(ip) = Ip::find(&frame[..len]) {
                    assert!(ip.l4 <= len);
                    assert_eq!(ip.end(&frame[..len]), None);
                }
            }
            let ip = Ip::find(&frame).unwrap();
            assert_eq!(ip.end(&frame), Some(frame.len()));
        }
    }
}
