//! What becomes of a received frame before it is written: tag, padding, checksums, steering.
//!
//! Sources: vmxnet3_defs.h, Vmxnet3_RxCompDesc; linux vmxnet3_drv.c, vmxnet3_rx_csum, for which flags may stand together.

use super::headers::{Family, Ip, TAG, TCP, UDP, outer_tag};
use crate::plane::Rss;
use spec::frame::ETHERNET;
use spec::vmxnet3::RxCompDesc;
use spec::vmxnet3::rx::{hash_type, rss_type};
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

/// Which of `queues` queues a packet goes to, what the hash covers and the hash: the table entry of the hash, or queue 0
/// without a hash, and for an entry that names no queue.
pub fn steer(rss: &Rss, frame: &[u8], ip: Option<Ip>, queues: usize) -> (u8, u8, u32) {
    let Some(ip) = ip else { return (0, rss_type::NONE, 0) };
    let has = |bit| rss.hash_type & bit != 0;
    let (plain, plain_type, ports, ports_type) = match ip.family {
        Family::V4 => (hash_type::IPV4, rss_type::IPV4, hash_type::TCP_IPV4, rss_type::TCP_IPV4),
        Family::V6 => (hash_type::IPV6, rss_type::IPV6, hash_type::TCP_IPV6, rss_type::TCP_IPV6),
    };
    let addresses = ip.addresses(frame);
    let mut input = [0; 36];
    input[..addresses.len()].copy_from_slice(addresses);
    let whole = ip.protocol == TCP && !ip.fragment && ip.end(frame).is_some_and(|end| end - ip.l4 >= 20);
    let pair = frame.get(ip.l4..ip.l4 + 4).filter(|_| whole && has(ports));
    let (kind, len) = match pair {
        Some(pair) => {
            input[addresses.len()..addresses.len() + 4].copy_from_slice(pair);
            (ports_type, addresses.len() + 4)
        }
        None if has(plain) => (plain_type, addresses.len()),
        None => return (0, rss_type::NONE, 0),
    };
    let hash = toeplitz::hash(&rss.key, &input[..len]);
    let entry = rss.table.get(hash as usize % rss.table.len().max(1)).copied().unwrap_or(0);
    (if usize::from(entry) < queues { entry } else { 0 }, kind, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{tcp4, tcp6, udp4};
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
            let (queue, got, hash) = steer(&rss(bits, vec![1]), &frame, Ip::received(&frame), 2);
            assert_eq!((got, queue, hash != 0), (kind, u8::from(kind != 0), kind != 0));
        }
    }

    #[test]
    fn an_entry_that_names_no_queue_means_queue_zero() {
        let frame = tcp4(5, 0);
        let table = rss(hash_type::IPV4, vec![9]);
        assert_eq!(steer(&table, &frame, Ip::received(&frame), 8).0, 0);
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
            let (queue, ..) = steer(&rss(0xf, vec![0, 1, 2, 200]), &frame, Ip::received(&frame), 3);
            prop_assert!(queue < 3);
        }
    }
}
