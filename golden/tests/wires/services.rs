//! The responder's services: echo, discard, numbered streams and datagrams.

use crate::frames::{OUR_IP, THEIR_IP, datagram, drain, met, pattern, received, responder};
use crate::host::Host;
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{IpAddress, IpEndpoint, Ipv4Address};
use std::time::Instant;
use vnic_golden::serve::wire::Wire;
use vnic_golden::serve::wire::responder::Responder;
use vnic_golden::serve::wire::responder::blast::Request;
use vnic_golden::serve::wire::sequence::Ruler;

#[test]
fn udp_echo_answers_every_datagram_and_refuses_what_it_cannot_hold() {
    let mut wire = met();
    let (mut sent, mut back) = (0_u32, Vec::new());
    let mut into = Vec::new();
    while sent < 5000 {
        let payload = [&sent.to_be_bytes()[..], &pattern(sent as usize % 1400)].concat();
        if wire.send(&datagram((OUR_IP, 5), (THEIR_IP, 7), &payload)) {
            sent += 1;
        } else {
            assert!(wire.due().is_some_and(|due| due.is_zero()) && wire.receive(&mut into));
            back.push(into.clone());
        }
    }
    back.extend(drain(&mut wire));
    let numbers: Vec<_> = back
        .iter()
        .filter_map(|frame| received(frame, 7))
        .map(|payload| {
            let (number, rest) = payload.split_first_chunk().unwrap();
            let number = u32::from_be_bytes(*number);
            assert_eq!(rest, pattern(number as usize % 1400));
            number
        })
        .collect();
    assert!(wire.counters().refused > 0);
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
}

#[test]
fn a_megabyte_over_tcp_comes_back() {
    for (mtu, to) in [
        (1500, IpAddress::Ipv4(THEIR_IP)),
        (9000, IpAddress::Ipv4(THEIR_IP)),
        (1500, IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0xa00, 0x202)),
    ] {
        let mut host = Host::new(responder(), mtu);
        let socket = host.tcp(to, 7);
        let sent = pattern(1 << 20);
        let (mut at, mut back) = (0, Vec::new());
        while back.len() < sent.len() {
            host.poll();
            let socket = host.sockets.get_mut::<tcp::Socket<'_>>(socket);
            if socket.can_send() && at < sent.len() {
                at += socket.send_slice(&sent[at..]).unwrap();
            }
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), back.extend_from_slice(bytes))).unwrap();
            }
        }
        assert!(back == sent);
        host.sockets.get_mut::<tcp::Socket<'_>>(socket).close();
        while host.sockets.get::<tcp::Socket<'_>>(socket).state() != tcp::State::TimeWait {
            host.poll();
        }
        assert_eq!(host.link.wire.counters().dropped, 0);
    }
}

#[test]
fn tcp_streams_are_numbered_both_ways_and_a_break_is_found() {
    let mut host = Host::new(responder(), 1500);
    let source = host.tcp(THEIR_IP.into(), 19);
    let (mut ruler, mut taken) = (Ruler::default(), 0);
    while taken < 4 << 20 {
        host.poll();
        let socket = host.sockets.get_mut::<tcp::Socket<'_>>(source);
        while socket.can_recv() {
            taken += socket
                .recv(|bytes| {
                    assert!(!ruler.check(bytes));
                    (bytes.len(), bytes.len())
                })
                .unwrap();
        }
    }
    host.sockets.get_mut::<tcp::Socket<'_>>(source).abort();
    for broken in [false, true] {
        let sink = host.tcp(THEIR_IP.into(), 9);
        let before = host.link.wire.sequences().unwrap();
        let (mut ruler, mut given) = (Ruler::default(), 0);
        while host.link.wire.sequences().unwrap().stream_bytes < before.stream_bytes + (1 << 20) {
            host.poll();
            let socket = host.sockets.get_mut::<tcp::Socket<'_>>(sink);
            while socket.can_send() && given < 1 << 20 {
                given += socket
                    .send(|room| {
                        let bytes = room.len().min((1 << 20) - given);
                        ruler.fill(&mut room[..bytes]);
                        if broken && given > 0 {
                            room[0] ^= 1;
                        }
                        (bytes, bytes)
                    })
                    .unwrap();
            }
        }
        let after = host.link.wire.sequences().unwrap();
        assert_eq!(after.broken_streams - before.broken_streams, u64::from(broken));
    }
}

#[test]
fn more_connections_than_a_service_holds_are_reset_and_a_closed_one_makes_room() {
    let mut host = Host::new(responder(), 1500);
    let all: Vec<_> = (0..9).map(|_| host.tcp(THEIR_IP.into(), 7)).collect();
    let state = |host: &Host<Responder>, at: usize| host.sockets.get::<tcp::Socket<'_>>(all[at]).state();
    while (0..8).any(|at| state(&host, at) != tcp::State::Established) || state(&host, 8) != tcp::State::Closed {
        host.poll();
    }
    host.sockets.get_mut::<tcp::Socket<'_>>(all[0]).close();
    while state(&host, 0) != tcp::State::TimeWait {
        host.poll();
    }
    let again = host.tcp(THEIR_IP.into(), 7);
    while host.sockets.get::<tcp::Socket<'_>>(again).state() != tcp::State::Established {
        host.poll();
    }
}

#[test]
fn a_blast_sends_what_was_asked_in_order() {
    let mut host = Host::new(responder(), 1500);
    let port = host.udp(5000);
    host.interface.join_multicast_group(Ipv4Address::new(239, 1, 1, 1)).unwrap();
    for (rate, group) in [(0, None), (20_000, None), (0, Some(Ipv4Address::new(239, 1, 1, 1)))] {
        let asked = Request { count: 3000, size: 1000, rate, group };
        let started = Instant::now();
        host.sockets
            .get_mut::<udp::Socket<'_>>(port)
            .send_slice(&asked.bytes(), IpEndpoint::new(THEIR_IP.into(), 19))
            .unwrap();
        let mut numbers = Vec::new();
        while numbers.len() < 3000 {
            host.poll();
            while let Ok((payload, from)) = host.sockets.get_mut::<udp::Socket<'_>>(port).recv() {
                assert_eq!((payload.len(), from.endpoint.port), (1000, 19));
                let local = group.unwrap_or(OUR_IP);
                assert_eq!(from.local_address, Some(IpAddress::Ipv4(local)));
                numbers.push(u64::from_le_bytes(*payload.first_chunk().unwrap()));
            }
        }
        assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
        assert!(host.link.wire.due().is_none_or(|due| !due.is_zero()), "nothing is left to do");
        if rate > 0 {
            assert!(started.elapsed().as_millis() >= 149, "3000 at 20000 a second");
        }
    }
    assert_eq!(host.link.wire.counters().dropped, 0);
}

#[test]
fn numbered_datagrams_are_judged() {
    let mut wire = met();
    let group = Ipv4Address::new(239, 1, 1, 1);
    for number in [0_u64, 1, 3, 2, 2, 9] {
        assert!(wire.send(&datagram((OUR_IP, 77), (THEIR_IP, 9), &number.to_le_bytes())));
    }
    for number in 0..1000_u64 {
        assert!(wire.send(&datagram((OUR_IP, 78), (group, 9), &number.to_le_bytes())));
    }
    assert!(wire.send(&datagram((OUR_IP, 79), (THEIR_IP, 9), b"text")));
    drain(&mut wire);
    let seen = wire.sequences().unwrap();
    assert_eq!((seen.flows, seen.numbered, seen.unnumbered), (3, 1006, 1));
    assert_eq!((seen.lost, seen.doubled, seen.reordered), (5, 1, 1));
}
