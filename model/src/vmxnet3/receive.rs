//! What becomes of a received frame before it is written: tag, padding, checksums, steering.
//!
//! Sources: vmxnet3_defs.h, Vmxnet3_RxCompDesc; linux vmxnet3_drv.c, vmxnet3_rx_csum, for which flags may stand together.

use super::headers::{ESP, Family, Ip, TAG, TCP, UDP, outer_tag};
use super::tunnel::Tunnel;
use crate::mutant::{Mutant, Planted};
use crate::plane::Rss;
use spec::frame::ETHERNET;
use spec::vmxnet3::rx::{ext1, hash_type, rss_type};
use spec::vmxnet3::{RssFields, RxCompDesc};
use spec::{checksum, toeplitz};

/// What the last completion of a packet says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// The tag that was taken off.
    pub tag: Option<u16>,
    /// RX queue.
    pub queue: u8,
    /// What the hash was computed over, see [`rss_type`].
    pub rss_type: u8,
    /// The hash.
    pub rss_hash: u32,
    /// Protocols and checksums.
    pub protocols: Protocols,
}

/// Protocols and checksums of a packet, as a completion shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Protocols {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
    /// A whole TCP segment.
    pub tcp: bool,
    /// A whole UDP datagram.
    pub udp: bool,
    /// A fragment.
    pub fragment: bool,
    /// The checksums below were computed.
    pub checked: bool,
    /// The IPv4 header checksum is right.
    pub ip_right: bool,
    /// The TCP or UDP checksum is right.
    pub transport_right: bool,
    /// All of this is of what a tunnel carries.
    pub inner: bool,
}

impl Protocols {
    /// Looks at `frame`, whose IP packet is `ip`, and verifies its checksums.
    ///
    /// Nothing counts as checked that cannot be said in full: fragments, other protocols, and UDP without a checksum.
    pub fn of(frame: &[u8], ip: Option<Ip>) -> Self {
        let Some((ip, end)) = ip.and_then(|ip| Some((ip, ip.end(frame)?))) else { return Self::default() };
        let transport = &frame[ip.l4..end];
        let seen = Self {
            v4: ip.family == Family::V4,
            v6: ip.family == Family::V6,
            tcp: !ip.fragment && ip.protocol == TCP && transport.len() >= 20,
            udp: !ip.fragment && ip.protocol == UDP && transport.len() >= 8,
            fragment: ip.fragment,
            ..Self::default()
        };
        if !seen.tcp && (!seen.udp || transport[6..8] == [0, 0]) {
            return seen;
        }
        let sum = checksum::pseudo(ip.addresses(frame), ip.protocol, transport.len() as u32);
        Self {
            checked: true,
            ip_right: seen.v4 && checksum::fold(checksum::add(0, &frame[ip.l3..ip.l4])) == 0xffff,
            transport_right: checksum::fold(checksum::add(sum, transport)) == 0xffff,
            ..seen
        }
    }

    /// Looks into the tunnel that the IP packet of `frame` is. None where it is no tunnel or not every checksum is right: of the
    /// carried packet, and around it of the IPv4 header and of UDP if there is one. A driver trusts both levels when it is told of
    /// the inner one.
    pub fn of_inner(frame: &[u8], outer: Option<Ip>) -> Option<Self> {
        let outer = outer?;
        let end = outer.end(frame)?;
        let tunnel = Tunnel::within(&frame[..end], outer)?;
        let around = Self::of(frame, Some(outer));
        let header = around.v6 || checksum::fold(checksum::add(0, &frame[outer.l3..outer.l4])) == 0xffff;
        let absent = frame[outer.l4..end].get(6..8) == Some(&[0, 0]);
        let inner = Self::of(&frame[..end], Some(tunnel.inner));
        let right =
            header && (absent || around.transport_right) && inner.transport_right && (inner.v6 || inner.ip_right);
        right.then_some(Self { inner: true, ..inner })
    }

    /// Puts them into a completion.
    pub fn put(self, completion: &mut RxCompDesc) {
        completion.set_v4(self.v4);
        completion.set_v6(self.v6);
        completion.set_tcp(self.tcp);
        completion.set_udp(self.udp);
        completion.set_frg(self.fragment);
        completion.set_cnc(!self.checked);
        completion.set_ipc(self.ip_right);
        completion.set_tuc(self.transport_right);
        completion.set_ext1(if self.inner { ext1::HDR_INNER } else { 0 });
    }
}

/// Puts `frame` into `out` as the guest is to see it: without its outermost 802.1Q tag when `strip` says so, and padded
/// with zeros to `least` bytes. `out` stays empty where the guest is to see `frame` as it is. Answers the tag.
pub fn shape(frame: &[u8], strip: bool, least: usize, out: &mut Vec<u8>) -> Option<u16> {
    let tag = outer_tag(frame).filter(|_| strip && frame.len() >= ETHERNET + TAG);
    out.clear();
    if tag.is_some() {
        out.extend_from_slice(&frame[..12]);
        out.extend_from_slice(&frame[12 + TAG..]);
    } else if frame.len() < least {
        out.extend_from_slice(frame);
    }
    if !out.is_empty() && out.len() < least {
        out.resize(least, 0);
    }
    tag
}

/// What is hashed, and where it leads.
#[derive(Clone, Copy, Debug)]
pub struct Steering<'r> {
    /// Key, table, and the types that were there from the first version on.
    pub rss: &'r Rss,
    /// What else is hashed.
    pub fields: RssFields,
    /// RX queues.
    pub queues: usize,
    /// A planted bug.
    pub planted: Planted,
}

impl Steering<'_> {
    /// The queue of a packet, what the hash covers and the hash: the table entry of the hash, or queue 0 without a hash, and for
    /// an entry that names no queue.
    pub fn steer(&self, frame: &[u8], ip: Option<Ip>) -> (u8, u8, u32) {
        let Some(ip) = ip else { return (0, rss_type::NONE, 0) };
        let rss = self.rss;
        let addresses = ip.addresses(frame);
        let mut input = [0; 36];
        input[..addresses.len()].copy_from_slice(addresses);
        let (plain, plain_type) = match ip.family {
            Family::V4 => (hash_type::IPV4, rss_type::IPV4),
            Family::V6 => (hash_type::IPV6, rss_type::IPV6),
        };
        let (kind, len) = match self.beyond(frame, ip) {
            Some((kind, word)) => {
                input[addresses.len()..addresses.len() + 4].copy_from_slice(word);
                (kind, addresses.len() + 4)
            }
            None if rss.hash_type & plain != 0 => (plain_type, addresses.len()),
            None => return (0, rss_type::NONE, 0),
        };
        let hash = toeplitz::hash(&rss.key, &input[..len]);
        let entry = rss.table.get(hash as usize % rss.table.len().max(1)).copied().unwrap_or(0);
        (if usize::from(entry) < self.queues { entry } else { 0 }, kind, hash)
    }

    /// What is hashed beyond the addresses, and what that is called: the first four bytes of a whole header of the upper layer,
    /// which are ports, or the SPI.
    fn beyond<'f>(&self, frame: &'f [u8], ip: Ip) -> Option<(u8, &'f [u8])> {
        let has = |bit| self.rss.hash_type & bit != 0;
        let fields = self.fields;
        let (wanted, kind, least) = match (ip.protocol, ip.family) {
            (TCP, Family::V4) => (has(hash_type::TCP_IPV4), rss_type::TCP_IPV4, 20),
            (TCP, Family::V6) => (has(hash_type::TCP_IPV6), rss_type::TCP_IPV6, 20),
            (UDP, Family::V4) => (fields.udpip4(), rss_type::UDP_IPV4, 8),
            (UDP, Family::V6) => (fields.udpip6(), rss_type::UDP_IPV6, 8),
            (ESP, Family::V4) => (fields.espip4(), rss_type::ESP_IPV4, 8),
            (ESP, Family::V6) => (fields.espip6(), rss_type::ESP_IPV6, 8),
            _ => return None,
        };
        let fragment = ip.fragment && !self.planted.is(Mutant::SwRssFragmentPorts);
        let upper = frame.get(ip.l4..ip.end(frame)?)?;
        let kind =
            if self.planted.is(Mutant::SwRssUdpUntold) && ip.protocol == UDP { rss_type::TCP_IPV4 } else { kind };
        (wanted && !fragment && upper.len() >= least).then(|| (kind, &upper[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{tcp4, tcp6, tunnel, udp4};
    use proptest::prelude::*;

    fn seen(frame: &[u8]) -> Protocols {
        Protocols::of(frame, Ip::received(frame))
    }

    #[test]
    fn right_checksums_are_reported_right_and_padding_does_not_count() {
        for mut frame in [tcp4(33, 12), tcp6(33), udp4(9, false)] {
            for padding in [0, 5] {
                frame.resize(frame.len() + padding, 0xee);
                let got = seen(&frame);
                assert!(got.checked && got.transport_right && got.ip_right == got.v4, "{got:?}");
            }
        }
    }

    #[test]
    fn a_wrong_byte_shows_in_the_checksum_that_covers_it() {
        let mut frame = tcp4(33, 0);
        frame[60] ^= 1;
        assert_eq!((seen(&frame).ip_right, seen(&frame).transport_right), (true, false));
        let mut frame = tcp4(33, 0);
        frame[22] ^= 1;
        assert_eq!((seen(&frame).ip_right, seen(&frame).transport_right), (false, true));
    }

    #[test]
    fn what_cannot_be_verified_in_full_is_not_checked() {
        let mut fragment = tcp4(33, 0);
        fragment[20] = 0x20;
        let mut icmp = tcp4(33, 0);
        icmp[23] = 1;
        for frame in [fragment, icmp, udp4(9, true)] {
            let got = seen(&frame);
            assert!(!got.checked && !got.ip_right && !got.transport_right, "{got:?}");
            assert!(got.v4);
        }
        assert_eq!(seen(&tcp4(33, 0)[..60]), Protocols::default(), "cut short");
    }

    #[test]
    fn stripping_takes_the_outer_tag_and_only_a_whole_one() {
        let mut out = Vec::new();
        let mut frame = tcp4(30, 0);
        frame.splice(12..12, [0x81, 0, 0x60, 7]);
        assert_eq!(shape(&frame, false, 60, &mut out), None);
        assert!(out.is_empty(), "as it came");
        assert_eq!(shape(&frame, true, 60, &mut out), Some(0x6007));
        assert_eq!(out, tcp4(30, 0));
        assert_eq!(shape(&frame[..17], true, 60, &mut out), None);
        assert_eq!(out.len(), 60);
    }

    fn rss(hash_type: u16, table: Vec<u8>) -> Rss {
        Rss { hash_type, key: core::array::from_fn(|i| i as u8 ^ 0x6d), table }
    }

    fn steer(rss: &Rss, fields: RssFields, frame: &[u8], queues: usize) -> (u8, u8, u32) {
        Steering { rss, fields, queues, planted: Planted::NONE }.steer(frame, Ip::received(frame))
    }

    #[test]
    fn fields_in_force_add_ports_of_udp_and_the_spi_of_esp() {
        let bits = hash_type::IPV4 | hash_type::IPV6;
        let udp = udp4(12, false);
        let mut esp = udp.clone();
        esp[23] = ESP;
        let mut esp6 = tcp6(20);
        esp6[20] = ESP;
        let mut udp6 = esp6.clone();
        udp6[20] = UDP;
        let mut fragment = udp.clone();
        fragment[20] = 0x20;
        for (frame, field, kind, plain) in [
            (udp, 1 << 2, rss_type::UDP_IPV4, rss_type::IPV4),
            (udp6, 1 << 3, rss_type::UDP_IPV6, rss_type::IPV6),
            (esp, 1 << 4, rss_type::ESP_IPV4, rss_type::IPV4),
            (esp6, 1 << 5, rss_type::ESP_IPV6, rss_type::IPV6),
            (fragment, 1 << 2, rss_type::IPV4, rss_type::IPV4),
        ] {
            let with = steer(&rss(bits, vec![1]), RssFields(field), &frame, 2);
            let others = steer(&rss(bits, vec![1]), RssFields(0x3f & !field), &frame, 2);
            assert_eq!((with.1, others.1), (kind, plain));
            assert_eq!(with.2 == others.2, kind == plain);
            let mut other = frame.clone();
            let l4 = if plain == rss_type::IPV4 { 34 } else { 54 };
            other[l4] ^= 1;
            let moved = steer(&rss(bits, vec![1]), RssFields(field), &other, 2).2 != with.2;
            assert_eq!(moved, kind != plain);
        }
    }

    #[test]
    fn what_a_tunnel_carries_is_told_only_where_everything_is_right() {
        for outer6 in [false, true] {
            for inner in [tcp4(40, 0), tcp6(9), udp4(30, false)] {
                let good = tunnel(outer6, 6081, 4, &inner);
                let inside = |frame: &[u8]| Protocols::of_inner(frame, Ip::received(frame));
                let got = inside(&good).expect("right");
                assert!(got.inner && got.checked && got.transport_right && got.ip_right == got.v4);
                assert_eq!((got.v4, got.tcp), (inner[12] == 8, inner.len() != udp4(30, false).len()));
                let last = good.len() - 1;
                let outer = if outer6 { None } else { Some(24) };
                for at in [Some(last), Some(last - 20), outer].into_iter().flatten() {
                    let mut bad = good.clone();
                    bad[at] ^= 1;
                    assert_eq!(inside(&bad), None, "{at}");
                }
                // A checksum around that is there has to be right too.
                let mut bad = good.clone();
                bad[if outer6 { 60 } else { 40 }] = 1;
                assert_eq!(inside(&bad), None);
                let mut padded = good.clone();
                padded.resize(good.len() + 9, 0xee);
                assert_eq!(inside(&padded), Some(got));
                for len in 0..good.len() {
                    assert_eq!(inside(&good[..len]), None);
                }
            }
            assert_eq!(Protocols::of_inner(&tunnel(outer6, 4789, 0, &udp4(9, true)), None), None);
        }
    }

    #[test]
    fn the_hash_covers_what_its_type_allows() {
        let all = hash_type::IPV4 | hash_type::TCP_IPV4 | hash_type::IPV6 | hash_type::TCP_IPV6;
        for (frame, bits, kind) in [
            (tcp4(5, 0), all, rss_type::TCP_IPV4),
            (tcp4(5, 0), hash_type::IPV4, rss_type::IPV4),
            (udp4(5, false), all, rss_type::IPV4),
            (udp4(5, false), hash_type::TCP_IPV4, rss_type::NONE),
            (tcp6(5), all, rss_type::TCP_IPV6),
            (tcp6(5), hash_type::IPV4, rss_type::NONE),
        ] {
            let (queue, got, hash) = steer(&rss(bits, vec![1]), RssFields::DEFAULT, &frame, 2);
            assert_eq!((got, queue, hash != 0), (kind, u8::from(kind != 0), kind != 0));
        }
    }

    #[test]
    fn an_entry_that_names_no_queue_means_queue_zero() {
        let frame = tcp4(5, 0);
        let table = rss(hash_type::IPV4, vec![9]);
        assert_eq!(steer(&table, RssFields::DEFAULT, &frame, 8).0, 0);
    }

    proptest! {
        /// Any bytes can be looked at, and what is claimed of them stays consistent.
        #[test]
        fn any_bytes_give_a_consistent_report(mut frame in prop::collection::vec(any::<u8>(), 0..120), ether in 0usize..4) {
            if frame.len() > 24 {
                frame[12..14].copy_from_slice(&[[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8]][ether]);
                frame[14] = if ether == 0 { 0x45 } else { 0x60 };
            }
            let got = seen(&frame);
            prop_assert!(!(got.v4 && got.v6 || got.tcp && got.udp));
            prop_assert!(!got.transport_right || (got.checked && (got.tcp || got.udp) && !got.fragment));
            prop_assert!(!got.ip_right || (got.checked && got.v4));
            let (queue, ..) = steer(&rss(0xf, vec![0, 1, 2, 200]), RssFields::OUTER, &frame, 3);
            prop_assert!(queue < 3);
        }
    }
}
