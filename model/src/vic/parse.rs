//! What the adapter sees in a frame: headers, checksums, the input of the hash. Tunnels are not looked into.

use spec::vic::devcmd::nic_hash;
use spec::vmxnet3::rx::rss_type;
use spec::{checksum, toeplitz};

/// Protocol number of TCP.
pub const TCP: u8 = 6;
const UDP: u8 = 17;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// Tags in front of an IP header that are looked through.
const TAGS: usize = 2;
/// IPv6 extension headers that are looked through.
const EXTENSIONS: usize = 8;

/// The IP packet in a frame whose headers all lie in it; its length fields are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// IPv6, else IPv4.
    pub v6: bool,
    /// Offset of the IP header.
    pub l3: usize,
    /// Offset of what it carries.
    pub l4: usize,
    /// Protocol of what it carries.
    pub protocol: u8,
    /// A fragment: there is no transport header to rely on.
    pub fragment: bool,
}

impl Packet {
    /// Looks for it behind at most two tags.
    pub fn locate(frame: &[u8]) -> Option<Self> {
        let tags = (0..TAGS).take_while(|i| matches!(be16(frame, 12 + 4 * i), Some(VLAN | SERVICE_VLAN))).count();
        let l3 = 14 + 4 * tags;
        match be16(frame, l3 - 2)? {
            0x0800 => Self::locate_v4(frame, l3),
            0x86dd => Self::locate_v6(frame, l3),
            _ => None,
        }
    }

    fn locate_v4(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..l3 + 20)?;
        let length = usize::from(header[0] & 0xf) * 4;
        let fragment = be16(header, 6)? & 0x3fff != 0;
        let whole = header[0] >> 4 == 4 && length >= 20 && frame.len() >= l3 + length;
        whole.then_some(Self { v6: false, l3, l4: l3 + length, protocol: header[9], fragment })
    }

    fn locate_v6(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..l3 + 40)?;
        let mut found = Self { v6: true, l3, l4: l3 + 40, protocol: header[6], fragment: false };
        if header[0] >> 4 != 6 {
            return None;
        }
        for _ in 0..EXTENSIONS {
            let extension = frame.get(found.l4..)?;
            let length = match found.protocol {
                // Hop-by-hop options, routing, destination options: eights of bytes beyond the first.
                0 | 43 | 60 => 8 + 8 * usize::from(*extension.get(1)?),
                // Whether a fragment is whole all the same (RFC 6946) is not looked at; authentication ends the walk.
                44 => {
                    found.fragment = true;
                    8
                }
                _ => break,
            };
            found.protocol = *extension.first()?;
            found.l4 += length;
            if found.l4 > frame.len() {
                return None;
            }
        }
        Some(found)
    }

    /// Source and destination address.
    pub fn addresses(&self) -> core::ops::Range<usize> {
        if self.v6 { self.l3 + 8..self.l3 + 40 } else { self.l3 + 12..self.l3 + 20 }
    }

    /// End by the IP length field, where that lies in the frame: padding behind it does not count.
    fn end(&self, frame: &[u8]) -> Option<usize> {
        let end = if self.v6 {
            self.l3 + 40 + usize::from(be16(frame, self.l3 + 4)?)
        } else {
            self.l3 + usize::from(be16(frame, self.l3 + 2)?)
        };
        (self.l4..=frame.len()).contains(&end).then_some(end)
    }
}

/// What the receive engine knows of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    /// Outermost 802.1Q tag.
    pub tag: Option<u16>,
    /// The IP packet.
    pub ip: Option<Packet>,
}

/// What was found out about checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Verified {
    /// Something was verified.
    pub checked: bool,
    /// IPv4 header good.
    pub header: bool,
    /// TCP or UDP good.
    pub transport: bool,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

impl Headers {
    /// Looks at a frame.
    pub fn of(frame: &[u8]) -> Self {
        let tag = be16(frame, 12).filter(|&kind| kind == VLAN).and_then(|_| be16(frame, 14));
        Self { tag, ip: Packet::locate(frame) }
    }

    /// TCP, not fragmented.
    pub fn tcp(&self) -> bool {
        self.ip.is_some_and(|ip| ip.protocol == TCP && !ip.fragment)
    }

    /// UDP, not fragmented.
    pub fn udp(&self) -> bool {
        self.ip.is_some_and(|ip| ip.protocol == UDP && !ip.fragment)
    }

    /// Verifies the checksums of whole TCP segments and UDP datagrams. A datagram without a checksum is not verified.
    pub fn verify(&self, frame: &[u8]) -> Verified {
        self.verified(frame).unwrap_or_default()
    }

    fn verified(&self, frame: &[u8]) -> Option<Verified> {
        let ip = self.ip?;
        let upper = &frame[ip.l4..ip.end(frame)?];
        if self.udp() {
            let length = usize::from(be16(upper, 4)?);
            let absent = !ip.v6 && be16(upper, 6)? == 0;
            if upper.len() < 8 || length != upper.len() || absent {
                return None;
            }
        } else if !self.tcp() || upper.len() < 20 {
            return None;
        }
        let sum = checksum::add(checksum::pseudo(&frame[ip.addresses()], ip.protocol, upper.len() as u32), upper);
        let header = !ip.v6 && checksum::fold(checksum::add(0, &frame[ip.l3..ip.l4])) == 0xffff;
        Some(Verified { checked: true, header, transport: checksum::fold(sum) == 0xffff })
    }

    /// Hash and its type by the types of `nic_hash` that are on; nothing where none applies.
    pub fn hash(&self, frame: &[u8], types: u8, key: &[u8; 40]) -> Option<(u32, u8)> {
        let ip = self.ip?;
        let (plain, ports) = if ip.v6 {
            ((nic_hash::IPV6, rss_type::IPV6), (nic_hash::TCP_IPV6, rss_type::TCP_IPV6))
        } else {
            ((nic_hash::IPV4, rss_type::IPV4), (nic_hash::TCP_IPV4, rss_type::TCP_IPV4))
        };
        let addresses = &frame[ip.addresses()];
        let mut input = [0; 36];
        let bytes = addresses.len();
        input[..bytes].copy_from_slice(addresses);
        match frame.get(ip.l4..ip.l4 + 4).filter(|_| self.tcp() && types & ports.0 != 0) {
            Some(pair) => {
                input[bytes..bytes + 4].copy_from_slice(pair);
                Some((toeplitz::hash(key, &input[..bytes + 4]), ports.1))
            }
            None if types & plain.0 != 0 => Some((toeplitz::hash(key, &input[..bytes]), plain.1)),
            None => None,
        }
    }
}
