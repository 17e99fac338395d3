//! What the responder answers without any service: ARP, ICMP, ICMPv6, tags, segment sizes.

use crate::frames::{
    OUR_IP, OURS, THEIR_IP, THEIRS, arp, datagram, drain, ethernet, icmp, ip4, is_arp_answer, mend, met, pattern, ping,
    pong, pong_of, responder, syn, tagged, untagged,
};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Address, Ipv4Packet,
    Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr, TcpControl, TcpPacket, TcpRepr,
};
use vnic_golden::serve::wire::Wire;
use vnic_golden::serve::wire::responder::{Responder, ResponderSpec};

#[test]
fn arp_is_answered_for_our_address_only() {
    met();
    let mut wire = responder();
    assert!(wire.send(&arp(OUR_IP, Ipv4Address::new(10, 0, 2, 77))));
    assert!(!drain(&mut wire).iter().any(|frame| frame[12..14] == [8, 6]));
}

#[test]
fn pings_of_every_size_come_back() {
    let mut wire = met();
    for bytes in [0, 1, 56, 1472, 8971, 8972] {
        let data = pattern(bytes);
        assert!(wire.send(&ping(OUR_IP, THEIR_IP, &data)));
        let answers: Vec<_> = drain(&mut wire).iter().filter_map(|frame| pong(frame)).collect();
        assert_eq!(answers, [data], "{bytes}");
    }
}

#[test]
fn a_ping_in_fragments_comes_back_in_fragments_that_fit() {
    let mut wire = met();
    let data = pattern(60_000);
    let message = icmp(Icmpv4Repr::EchoRequest { ident: 7, seq_no: 3, data: &data });
    let mut parts: Vec<_> = message.chunks(1480).enumerate().collect();
    // Out of order, as a network may.
    parts.swap(1, 4);
    for (place, part) in parts {
        let mut frame = ip4(OUR_IP, THEIR_IP, IpProtocol::Icmp, part);
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
        packet.set_ident(5);
        packet.set_dont_frag(false);
        packet.set_more_frags((place + 1) * 1480 < message.len());
        packet.set_frag_offset((place * 1480) as u16);
        packet.fill_checksum();
        assert!(wire.send(&frame));
    }
    let mut joined = vec![0; message.len()];
    let answers = drain(&mut wire);
    for frame in answers.iter().filter(|frame| frame[..6] == OURS) {
        let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
        assert!(frame.len() <= 1514 && packet.verify_checksum());
        joined[usize::from(packet.frag_offset())..][..packet.payload().len()].copy_from_slice(packet.payload());
    }
    assert_eq!(pong_of(&joined), Some(data));
}

#[test]
fn a_wrong_checksum_is_not_answered() {
    let good = [ping(OUR_IP, THEIR_IP, &[1; 56]), datagram((OUR_IP, 5), (THEIR_IP, 7), &[1; 56])];
    for frame in good {
        // The IPv4 header's own, then one byte of the payload.
        for at in [24, 60] {
            let mut wire = met();
            let mut bad = frame.clone();
            bad[at] ^= 1;
            assert!(wire.send(&bad));
            assert_eq!(drain(&mut wire), Vec::<Vec<u8>>::new(), "byte {at}");
            assert!(wire.send(&frame));
            assert_eq!(drain(&mut wire).len(), 1);
        }
    }
}

#[test]
fn ping6_is_answered_after_neighbour_discovery() {
    let mut wire = responder();
    let ours = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
    for theirs in
        [Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1), Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0xa00, 0x202)]
    {
        let ours = if theirs.is_unicast_link_local() { ours } else { Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 9) };
        let packet = |to: Ipv6Address, hop_limit, message: Icmpv6Repr<'_>| {
            let repr = Ipv6Repr {
                src_addr: ours,
                dst_addr: to,
                next_header: IpProtocol::Icmpv6,
                payload_len: message.buffer_len(),
                hop_limit,
            };
            let mut bytes = vec![0; 40 + message.buffer_len()];
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut bytes));
            message.emit(
                &ours,
                &to,
                &mut Icmpv6Packet::new_unchecked(&mut bytes[40..]),
                &ChecksumCapabilities::default(),
            );
            bytes
        };
        let answers = |wire: &mut Responder| -> Vec<Vec<u8>> {
            drain(wire).into_iter().filter(|frame| frame[..6] == OURS).map(|frame| frame[14..].to_vec()).collect()
        };
        let ask = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
            target_addr: theirs,
            lladdr: Some(EthernetAddress(OURS).into()),
        });
        let [.., a, b, c] = theirs.octets();
        let group = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
        assert!(wire.send(&ethernet([0x33, 0x33, 0xff, a, b, c], EthernetProtocol::Ipv6, &packet(group, 255, ask))));
        let advert = answers(&mut wire).pop().unwrap();
        let told = Icmpv6Repr::parse(
            &theirs,
            &ours,
            &Icmpv6Packet::new_checked(&advert[40..]).unwrap(),
            &ChecksumCapabilities::default(),
        );
        let expected = NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::SOLICITED,
            target_addr: theirs,
            lladdr: Some(EthernetAddress(THEIRS).into()),
        };
        assert_eq!(told, Ok(Icmpv6Repr::Ndisc(expected)));
        for bytes in [0, 56, 1452, 8952] {
            let data = pattern(bytes);
            let ask = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: &data };
            assert!(wire.send(&ethernet(THEIRS, EthernetProtocol::Ipv6, &packet(theirs, 64, ask))));
            let answer = answers(&mut wire).pop().unwrap();
            let told = Icmpv6Repr::parse(
                &theirs,
                &ours,
                &Icmpv6Packet::new_checked(&answer[40..]).unwrap(),
                &ChecksumCapabilities::default(),
            );
            assert_eq!(told, Ok(Icmpv6Repr::EchoReply { ident: 1, seq_no: 2, data: &data }), "{bytes}");
        }
    }
}

#[test]
fn a_tagged_ping_is_answered_in_its_tag() {
    let mut wire = responder();
    // Priority 5, VLAN 100 and its own subnet; then our common address, which any VLAN has.
    for (ours, theirs) in [([10, 64, 100, 9], [10, 64, 100, 1]), (OUR_IP.octets(), THEIR_IP.octets())] {
        let (ours, theirs, tag) = (Ipv4Address::from(ours), Ipv4Address::from(theirs), 0xa064);
        assert!(wire.send(&tagged(tag, &arp(ours, theirs))));
        let answers = drain(&mut wire);
        assert!(answers.iter().all(|frame| frame[12..16] == [0x81, 0, 0xa0, 0x64]));
        assert!(answers.iter().any(|frame| is_arp_answer(&untagged(frame), theirs)));
        let data = pattern(1468);
        assert!(wire.send(&tagged(tag, &ping(ours, theirs, &data))));
        let answers = drain(&mut wire);
        assert_eq!(answers.iter().filter_map(|frame| pong(&untagged(frame))).collect::<Vec<_>>(), [data]);
    }
    // The answer comes from the address that was asked, also where another of ours is nearer.
    let guest = Ipv4Address::new(10, 64, 100, 9);
    assert!(wire.send(&tagged(0xa064, &datagram((guest, 5), (THEIR_IP, 7), &[1; 8]))));
    assert_eq!(drain(&mut wire)[0][30..34], THEIR_IP.octets());
    assert!(wire.send(&tagged(0x2064, &ping(OUR_IP, THEIR_IP, &[1; 8]))));
    assert_eq!(drain(&mut wire)[0][12..16], [0x81, 0, 0x20, 0x64], "the priority is the last one's");
    // What was learned in one VLAN is not known in another, nor untagged.
    assert!(wire.send(&tagged(101, &ping(OUR_IP, THEIR_IP, &[1; 8]))) && wire.send(&ping(OUR_IP, THEIR_IP, &[1; 8])));
    assert!(drain(&mut wire).iter().all(|frame| pong(frame).is_none() && pong(&untagged(frame)).is_none()));
    // Every tag is answered, also the one that had to make room.
    for tag in (1..=4094).step_by(37).chain([100]) {
        assert!(wire.send(&tagged(tag, &arp(OUR_IP, THEIR_IP))));
        assert!(drain(&mut wire).iter().any(|frame| is_arp_answer(&untagged(frame), THEIR_IP)), "{tag}");
    }
}

#[test]
fn the_segment_size_offered_fits_the_mtu() {
    for mtu in [1500, 9000] {
        let mut wire = Responder::open(ResponderSpec { mtu, ..Default::default() }).unwrap();
        assert!(wire.send(&arp(OUR_IP, THEIR_IP)));
        drain(&mut wire);
        let mut syn = ip4(OUR_IP, THEIR_IP, IpProtocol::Tcp, &syn());
        mend(&mut syn);
        assert!(wire.send(&syn));
        let answers = drain(&mut wire);
        let segment = TcpPacket::new_checked(&answers[0][34..]).unwrap();
        assert!(segment.verify_checksum(&THEIR_IP.into(), &OUR_IP.into()));
        let told = TcpRepr::parse(&segment, &THEIR_IP.into(), &OUR_IP.into(), &ChecksumCapabilities::default());
        let told = told.unwrap();
        assert_eq!((told.control, told.max_seg_size), (TcpControl::Syn, Some(mtu - 40)));
    }
}
