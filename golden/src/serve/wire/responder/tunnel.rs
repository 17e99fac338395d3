//! VXLAN over IPv4: what the guest sends into a tunnel to us is taken out, and what goes back is put in.
//!
//! Not modelled: IPv6 outside, options in the outer header, other tunnels. Source: RFC 7348, section 5.

use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, UdpPacket};

/// Bytes before the frame inside: Ethernet, IPv4, UDP and VXLAN headers.
pub(super) const OUTER: usize = 14 + 20 + 8 + 8;
/// The port of VXLAN. Source: RFC 7348, section 8.
const PORT: u16 = 4789;
/// The flag that says that there is a network identifier.
const VALID: u8 = 0x08;
/// Where the UDP header begins, and the VXLAN header.
const UDP: usize = 14 + 20;
const VXLAN: usize = UDP + 8;

/// A tunnel, as its last packet from the guest had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// Network identifier, 24 bits.
    pub(super) vni: u32,
    guest: (EthernetAddress, Ipv4Address),
    us: (EthernetAddress, Ipv4Address),
}

/// What an untagged frame is to a host at `ip`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'f> {
    /// No tunnel to us.
    Plain,
    /// A tunnel whose outer headers are wrong.
    Wrong,
    /// The frame inside.
    Inner(Tunnel, &'f [u8]),
}

/// Looks for a tunnel to `ip` in an untagged frame.
pub(super) fn look(frame: &[u8], ip: Ipv4Address) -> Found<'_> {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return Found::Plain };
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return Found::Plain;
    }
    let Ok(packet) = Ipv4Packet::new_checked(ethernet.payload()) else { return Found::Plain };
    let whole = packet.header_len() == 20 && !packet.more_frags() && packet.frag_offset() == 0;
    if !whole || packet.next_header() != IpProtocol::Udp || packet.dst_addr() != ip {
        return Found::Plain;
    }
    let Ok(udp) = UdpPacket::new_checked(packet.payload()) else { return Found::Plain };
    if udp.dst_port() != PORT {
        return Found::Plain;
    }
    let right = packet.verify_checksum() && udp.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into());
    let end = UDP + usize::from(udp.len());
    let (Some(header), Some(inner)) = (frame.get(VXLAN..OUTER), frame.get(OUTER..end)) else { return Found::Wrong };
    if !right || header[0] & VALID == 0 || usize::from(packet.total_len()) + 14 != end {
        return Found::Wrong;
    }
    let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    let guest = (ethernet.src_addr(), packet.src_addr());
    Found::Inner(Tunnel { vni, guest, us: (ethernet.dst_addr(), packet.dst_addr()) }, inner)
}

impl Tunnel {
    /// Puts a frame into the tunnel. The outer checksum is left out, as IPv4 allows.
    pub(super) fn wrap(&self, frame: &mut Vec<u8>) {
        let length = frame.len();
        frame.splice(0..0, [0; OUTER]);
        let mut ethernet = EthernetFrame::new_unchecked(&mut *frame);
        ethernet.set_src_addr(self.us.0);
        ethernet.set_dst_addr(self.guest.0);
        ethernet.set_ethertype(EthernetProtocol::Ipv4);
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
        packet.set_version(4);
        packet.set_header_len(20);
        packet.set_total_len((OUTER - 14 + length) as u16);
        packet.set_dont_frag(true);
        packet.set_hop_limit(64);
        packet.set_next_header(IpProtocol::Udp);
        packet.set_src_addr(self.us.1);
        packet.set_dst_addr(self.guest.1);
        packet.fill_checksum();
        let mut udp = UdpPacket::new_unchecked(&mut frame[UDP..]);
        udp.set_src_port(PORT);
        udp.set_dst_port(PORT);
        udp.set_len((OUTER - UDP + length) as u16);
        frame[VXLAN] = VALID;
        frame[VXLAN + 4..VXLAN + 7].copy_from_slice(&self.vni.to_be_bytes()[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

    fn tunnel() -> Tunnel {
        // As the guest sees it: what we wrap towards it, it would have sent to us the other way round.
        let guest = (EthernetAddress([2, 0, 0, 0, 0, 1]), US);
        Tunnel { vni: 0x01_0203, guest, us: (EthernetAddress([2, 0, 0, 0, 0, 9]), Ipv4Address::new(10, 0, 2, 15)) }
    }

    #[test]
    fn what_is_put_in_comes_out_and_leads_back() {
        let mut frame = vec![7; 100];
        tunnel().wrap(&mut frame);
        let Found::Inner(found, inner) = look(&frame, US) else { panic!("a tunnel") };
        assert_eq!((found.vni, inner), (0x01_0203, &[7; 100][..]));
        assert_eq!((found.guest, found.us), (tunnel().us, tunnel().guest));
    }

    #[test]
    fn what_is_not_a_right_tunnel_to_us_is_told_apart() {
        let mut right = vec![7; 100];
        tunnel().wrap(&mut right);
        assert_eq!(look(&right, Ipv4Address::new(10, 0, 2, 3)), Found::Plain);
        for (at, wrong) in [(12, false), (23, false), (37, false), (24, true), (40, true), (42, true)] {
            let mut frame = right.clone();
            frame[at] ^= 0x0f;
            assert_eq!(look(&frame, US) == Found::Wrong, wrong, "byte {at}");
        }
        for len in 0..right.len() {
            assert!(!matches!(look(&right[..len], US), Found::Inner(..)), "{len}");
        }
    }
}
