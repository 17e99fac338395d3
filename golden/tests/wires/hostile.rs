//! A hostile guest against the responder.

use crate::frames::{OUR_IP, THEIR_IP, arp, datagram, ip4, mend, met, ping, pong, syn, tagged};
use proptest::prelude::*;
use smoltcp::wire::{IpProtocol, Ipv4Packet};
use vnic_golden::serve::wire::Wire;

/// Frames that reach deep into the responder, as a base for what a hostile guest makes of them.
fn seeds() -> Vec<Vec<u8>> {
    let mut fragment = ip4(OUR_IP, THEIR_IP, IpProtocol::Icmp, &[8; 64]);
    Ipv4Packet::new_unchecked(&mut fragment[14..]).set_more_frags(true);
    vec![
        arp(OUR_IP, THEIR_IP),
        ping(OUR_IP, THEIR_IP, &[1; 56]),
        fragment,
        datagram((OUR_IP, 5), (THEIR_IP, 7), &[1; 20]),
        datagram((OUR_IP, 5), (THEIR_IP, 9), &[1; 20]),
        datagram((OUR_IP, 5), (THEIR_IP, 19), &[0xff; 10]),
        datagram((OUR_IP, 5), (THEIR_IP, 67), &[1; 300]),
        datagram((OUR_IP, 5), (THEIR_IP, 69), b"\0\x01f\0octet\0blksize\x008\0"),
        ip4(OUR_IP, THEIR_IP, IpProtocol::Tcp, &syn()),
        ip4(OUR_IP, THEIR_IP, IpProtocol::Igmp, &[0x11, 0, 0, 0, 0, 0, 0, 0]),
        tagged(7, &ping(OUR_IP, THEIR_IP, &[1; 56])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever a guest sends, each frame costs bounded work, nothing panics, and a good guest is answered afterwards.
    #[test]
    fn a_hostile_guest_changes_nothing_for_a_good_one(
        frames in prop::collection::vec((0..11_usize, prop::collection::vec((0..100_usize, any::<u8>()), 0..6), 0..200_usize), 1..60),
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..8),
    ) {
        let mut wire = met();
        let seeds = seeds();
        let mut into = Vec::new();
        let changed = frames.into_iter().map(|(seed, changes, cut)| {
            let mut frame = seeds[seed].clone();
            for (at, byte) in changes {
                let at = at % frame.len();
                frame[at] = byte;
            }
            mend(&mut frame);
            frame.truncate(if cut < 100 { cut } else { usize::MAX });
            frame
        });
        for frame in changed.chain(noise) {
            let mut tries = 0;
            while !wire.send(&frame) {
                prop_assert!(wire.receive(&mut into) && tries < 10_000);
                tries += 1;
            }
            for _ in 0..200 {
                wire.receive(&mut into);
            }
        }
        // The hostile frames may have told that our address is elsewhere: meet again.
        for frame in [arp(OUR_IP, THEIR_IP), ping(OUR_IP, THEIR_IP, &[5; 99])] {
            while !wire.send(&frame) {
                wire.receive(&mut into);
            }
        }
        let answered = (0..20_000).any(|_| wire.receive(&mut into) && pong(&into) == Some(vec![5; 99]));
        prop_assert!(answered);
    }
}
