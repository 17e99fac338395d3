//! What the adapter sees in a frame: headers, those in a tunnel too, checksums, the input of the hash.

use spec::vic::UptCfg;
use spec::vic::devcmd::nic_hash;
use spec::vmxnet3::rx::rss_type;
use spec::{checksum, toeplitz};

use crate::mutant::{Mutant, Planted};

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ESP.
const ESP: u8 = 50;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// Tags in front of an IP header that are looked through.
const TAGS: usize = 2;
/// IPv6 extension headers that are looked through.
const EXTENSIONS: usize = 8;
/// Bytes of a UDP header and of a tunnel's without options.
const TUNNEL: usize = 16;

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
        Self::locate_from(frame, 0)
    }

    /// As [`Packet::locate`], of the frame that starts at `start`.
    fn locate_from(frame: &[u8], start: usize) -> Option<Self> {
        let tag = |i: &usize| matches!(be16(frame, start + 12 + 4 * i), Some(VLAN | SERVICE_VLAN));
        let l3 = start + 14 + 4 * (0..TAGS).take_while(tag).count();
        Self::locate_kind(frame, be16(frame, l3 - 2)?, l3)
    }

    fn locate_kind(frame: &[u8], kind: u16, l3: usize) -> Option<Self> {
        match kind {
            0x0800 => Self::locate_v4(frame, l3),
            0x86dd => Self::locate_v6(frame, l3),
            _ => None,
        }
    }

    /// The packet in the UDP tunnel that this one is: VXLAN (RFC 7348) or Geneve (RFC 8926), told by the destination port. Offsets
    /// are from the start of the frame still.
    pub fn carried(&self, frame: &[u8]) -> Option<Self> {
        if self.protocol != UDP || self.fragment {
            return None;
        }
        let after = self.l4 + TUNNEL;
        let tunnel = frame.get(self.l4 + 8..after)?;
        match be16(frame, self.l4 + 2)? {
            // The flag that the network identifier is valid.
            4789 | 8472 if tunnel[0] & 8 == 8 => Self::locate_from(frame, after),
            // Version 0; its length of options counts words.
            6081 if tunnel[0] < 0x40 => {
                let after = after + usize::from(tunnel[0]) * 4;
                match be16(tunnel, 2)? {
                    0x6558 => Self::locate_from(frame, after),
                    kind => Self::locate_kind(frame, kind, after),
                }
            }
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

    /// The packet that a tunnel carries, if every checksum is right: its own, and around it that of the IPv4 header and that of UDP
    /// where there is one.
    pub fn verify_carried(&self, frame: &[u8]) -> Option<Packet> {
        let around = self.ip?;
        let whole = &frame[..around.end(frame)?];
        let inner = around.carried(whole)?;
        let header = around.v6 || checksum::fold(checksum::add(0, &frame[around.l3..around.l4])) == 0xffff;
        let bare = be16(whole, around.l4 + 6)? == 0;
        let load = Self { tag: None, ip: Some(inner) }.verify(whole);
        let right = load.transport && (load.header || inner.v6);
        (right && header && (bare || self.verify(frame).transport)).then_some(inner)
    }

    /// Hash and its type by the types that are on; nothing where none applies.
    pub fn hash(&self, frame: &[u8], types: Types, key: &[u8; 40]) -> Option<(u32, u8)> {
        let ip = self.ip?;
        let addresses = &frame[ip.addresses()];
        let mut input = [0; 36];
        let bytes = addresses.len();
        input[..bytes].copy_from_slice(addresses);
        let (plain, plain_type) =
            if ip.v6 { (nic_hash::IPV6, rss_type::IPV6) } else { (nic_hash::IPV4, rss_type::IPV4) };
        if let Some((word, kind)) = types.upper(&ip, frame) {
            input[bytes..bytes + 4].copy_from_slice(&word);
            return Some((toeplitz::hash(key, &input[..bytes + 4]), kind));
        }
        (types.nic & plain != 0).then(|| (toeplitz::hash(key, &input[..bytes]), plain_type))
    }
}

/// What is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    /// Bits of `nic_hash`.
    pub nic: u8,
    /// What has no bit there.
    pub upt: UptCfg,
    /// A planted bug.
    pub planted: Planted,
}

impl Types {
    /// The word behind the IP header that is hashed with the addresses, and the type of such a hash: ports, or the SPI.
    fn upper(&self, ip: &Packet, frame: &[u8]) -> Option<([u8; 4], u8)> {
        let nic = |bit: u8| self.nic & bit != 0;
        let (on, kind, header) = match (ip.protocol, ip.v6) {
            (TCP, false) => (nic(nic_hash::TCP_IPV4), rss_type::TCP_IPV4, 20),
            (TCP, true) => (nic(nic_hash::TCP_IPV6), rss_type::TCP_IPV6, 20),
            (UDP, false) => (nic(nic_hash::UDP_IPV4), rss_type::UDP_IPV4, 8),
            (UDP, true) => (nic(nic_hash::UDP_IPV6), rss_type::UDP_IPV6, 8),
            (ESP, false) => (self.upt.esp_ipv4(), rss_type::ESP_IPV4, 8),
            (ESP, true) => (self.upt.esp_ipv6(), rss_type::ESP_IPV6, 8),
            _ => return None,
        };
        let torn = ip.fragment && !self.planted.is(Mutant::HwRssFragmentPorts);
        let whole = on && !torn && ip.end(frame)? >= ip.l4 + header;
        let word: [u8; 4] = frame.get(ip.l4..ip.l4 + 4)?.try_into().ok()?;
        let blind = self.planted.is(Mutant::HwRssEspWithoutSpi) && ip.protocol == ESP;
        whole.then_some((if blind { [0; 4] } else { word }, kind))
    }
}
