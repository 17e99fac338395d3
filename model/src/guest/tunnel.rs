//! Tunnels as a guest's network stack makes them: VXLAN and Geneve over UDP.
//!
//! Sources: RFC 7348, section 5; RFC 8926, section 3; linux udp_tunnel_nic and udp_offload.c, udp_set_csum, for the checksum around.

use super::shape::Body;
use core::fmt;

/// Which tunnel, told by its UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// VXLAN to its registered port.
    Vxlan,
    /// VXLAN to the port that Linux used before there was one.
    OldVxlan,
    /// Geneve with two words of options.
    Geneve,
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Load {
    /// UDP over IPv4.
    Udp4,
    /// TCP over IPv4.
    Tcp4,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
}

/// A tunnel and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// Which.
    pub kind: Kind,
    /// IPv6 around; otherwise IPv4.
    pub outer6: bool,
    /// What is carried.
    pub load: Load,
    /// The carried frame has a tag.
    pub tagged: bool,
    /// There is a UDP checksum around; the device is to make it where it changes what is carried.
    pub summed: bool,
}

/// Tag of a carried frame that has one.
pub(super) const TAG: u16 = 0x2064;
/// Bytes of options behind a Geneve header.
const OPTIONS: [u8; 8] = [0, 1, 0x80, 1, 0xde, 0xad, 0xbe, 0xef];

impl Load {
    /// The body that is carried.
    pub const fn body(self) -> Body {
        match self {
            Self::Udp4 => Body::Udp4,
            Self::Tcp4 => Body::Tcp4,
            Self::Udp6 => Body::Udp6,
            Self::Tcp6 => Body::Tcp6,
        }
    }
}

impl Tunnel {
    const KINDS: [(Kind, &'static str); 3] =
        [(Kind::Vxlan, "vxlan"), (Kind::OldVxlan, "oldvxlan"), (Kind::Geneve, "geneve")];
    const LOADS: [(Load, &'static str); 4] =
        [(Load::Udp4, "udp4"), (Load::Tcp4, "tcp4"), (Load::Udp6, "udp6"), (Load::Tcp6, "tcp6")];

    /// Every tunnel there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let forms = Self::KINDS.into_iter().flat_map(|kind| Self::LOADS.map(|load| (kind.0, load.0)));
        forms.flat_map(|(kind, load)| {
            [0, 1, 2, 3, 4, 5, 6, 7].map(|bits| Self {
                kind,
                load,
                outer6: bits & 1 != 0,
                tagged: bits & 2 != 0,
                summed: bits & 4 != 0,
            })
        })
    }

    /// Bytes of everything around the carried frame.
    pub const fn around(self) -> usize {
        let options = if matches!(self.kind, Kind::Geneve) { OPTIONS.len() } else { 0 };
        14 + if self.outer6 { 40 } else { 20 } + 8 + 8 + options
    }

    /// Bytes of all headers, to the end of the carried TCP or UDP header.
    pub const fn headers(self) -> usize {
        self.around() + self.load.body().headers() + if self.tagged { 4 } else { 0 }
    }

    /// Where the UDP header around starts.
    const fn udp(self) -> usize {
        if self.outer6 { 54 } else { 34 }
    }

    /// Writes everything but the addresses of Ethernet around the carried frame, which is there. `unfinished`: the device will change
    /// what is carried, so a checksum around is left as the sum of the pseudo-header.
    pub(super) fn wrap(self, frame: &mut [u8], flow: u16, id: u64, unfinished: bool) {
        let bytes = frame.len();
        let udp = self.udp();
        let length = ((bytes - udp) as u16).to_be_bytes();
        let (kind, addresses) = if self.outer6 {
            let ip = &mut frame[14..54];
            ip.fill(0);
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&length);
            (ip[6], ip[7]) = (17, 64);
            (ip[8], ip[23], ip[24], ip[39]) = (0xfc, 1, 0xfc, 2);
            (0x86dd_u16, 22..54)
        } else {
            let ip = &mut frame[14..34];
            ip.fill(0);
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&((bytes - 14) as u16).to_be_bytes());
            ip[4..6].copy_from_slice(&(id as u16).wrapping_mul(3).to_be_bytes());
            (ip[8], ip[9]) = (64, 17);
            ip[12..20].copy_from_slice(&[192, 168, 0, 1, 192, 168, 0, 2]);
            let sum = !super::traffic::fold(super::traffic::add(0, ip));
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            (0x0800, 26..34)
        };
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        let port: u16 = match self.kind {
            Kind::Vxlan => 4789,
            Kind::OldVxlan => 8472,
            Kind::Geneve => 6081,
        };
        let head = &mut frame[udp..self.around()];
        head[..2].copy_from_slice(&(0xc000 | flow).to_be_bytes());
        head[2..4].copy_from_slice(&port.to_be_bytes());
        head[4..6].copy_from_slice(&length);
        head[6..8].fill(0);
        head[8..16].copy_from_slice(&[8, 0, 0, 0, 0, 0, 42, 0]);
        if self.kind == Kind::Geneve {
            head[8..12].copy_from_slice(&[(OPTIONS.len() / 4) as u8, 0, 0x65, 0x58]);
            head[16..].copy_from_slice(&OPTIONS);
        }
        if self.summed {
            let pseudo = super::traffic::add(17 + (bytes - udp) as u64, &frame[addresses]);
            let value = match !super::traffic::fold(super::traffic::add(pseudo, &frame[udp..])) {
                _ if unfinished => super::traffic::fold(pseudo),
                0 => 0xffff,
                value => value,
            };
            frame[udp + 6..udp + 8].copy_from_slice(&value.to_be_bytes());
        }
    }

    /// The tunnel that `word` names, as it is displayed.
    pub fn parse(word: &str) -> Option<Self> {
        Self::all().find(|tunnel| tunnel.to_string() == word)
    }
}

impl fmt::Display for Tunnel {
    /// `geneve6/tcp4+tag+sum`: the tunnel, the version of IP around, what is carried.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, word) in Self::KINDS.iter().filter(|(kind, _)| *kind == self.kind) {
            f.write_str(word)?;
        }
        f.write_str(if self.outer6 { "6/" } else { "4/" })?;
        for (_, word) in Self::LOADS.iter().filter(|(load, _)| *load == self.load) {
            f.write_str(word)?;
        }
        f.write_str(if self.tagged { "+tag" } else { "" })?;
        f.write_str(if self.summed { "+sum" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_found_by_what_it_is_called() {
        let all: Vec<_> = Tunnel::all().collect();
        assert_eq!(all.len(), 96);
        for tunnel in all {
            assert_eq!(Tunnel::parse(&tunnel.to_string()), Some(tunnel));
        }
        assert_eq!(Tunnel::parse("geneve6/tcp4+sum+tag"), None);
    }
}
