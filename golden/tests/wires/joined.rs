//! Wires that are named, joined, captured; switches and their uplinks.

use crate::frames::{OUR_IP, THEIR_IP, arp, drain, folder, opened, pattern, tagged};
use crate::host::{Host, PATIENCE};
use smoltcp::socket::tcp;
use std::path::PathBuf;
use std::time::Instant;
use vnic_golden::serve::wire::responder::{Responder, ResponderSpec};
use vnic_golden::serve::wire::switch::{AGE, MAX_WAITING, Switches};
use vnic_golden::serve::wire::{Wire, open};

/// A broadcast or unicast frame between stations named by one byte.
fn between(to: u8, from: u8, payload: u8) -> Vec<u8> {
    let to = if to == 0xff { [0xff; 6] } else { [2, 0, 0, 0, 1, to] };
    [&to[..], &[2, 0, 0, 0, 1, from, 0x88, 0xb5], &[payload; 46]].concat()
}

#[test]
fn a_switch_floods_learns_and_keeps_order() {
    let mut switches = Switches::default();
    let mut ports: Vec<_> = (0..3).map(|_| opened("switch:lan", &mut switches)).collect();
    let mut other = opened("switch:other", &mut switches);
    let waiting = |ports: &mut Vec<Box<dyn Wire>>| -> Vec<usize> {
        ports.iter_mut().map(|port| drain(&mut **port).len()).collect()
    };
    assert!(ports[0].send(&between(2, 1, 0)));
    assert_eq!(ports[1].due(), Some(std::time::Duration::ZERO));
    assert_eq!(waiting(&mut ports), [0, 1, 1], "not learned: flooded, not back");
    assert!(ports[1].send(&between(1, 2, 0)));
    assert_eq!(waiting(&mut ports), [1, 0, 0], "learned from the first frame");
    assert!(ports[0].send(&between(2, 1, 0)) && ports[0].send(&tagged(5, &between(2, 1, 7))));
    let frames = drain(&mut *ports[1]);
    assert_eq!(frames, [between(2, 1, 0), tagged(5, &between(2, 1, 7))], "tags pass");
    assert!(ports[0].send(&between(0xff, 1, 0)));
    assert_eq!(waiting(&mut ports), [0, 1, 1], "broadcast");
    assert!(ports[2].send(&between(0xff, 2, 0)));
    assert_eq!(waiting(&mut ports), [1, 1, 0]);
    assert!(ports[0].send(&between(2, 1, 0)));
    assert_eq!(waiting(&mut ports), [0, 0, 1], "the station has moved");
    assert!(ports[2].send(&between(2, 3, 0)));
    assert_eq!(waiting(&mut ports), [0, 0, 0], "it is on the port it came from");
    drop(ports.pop());
    assert!(ports[0].send(&between(2, 1, 0)));
    assert_eq!(waiting(&mut ports), [0, 1], "forgotten with its port");
    assert!(drain(&mut *other).is_empty(), "another switch");
    for _ in 0..MAX_WAITING + 10 {
        assert!(ports[0].send(&between(0xff, 1, 0)));
    }
    assert_eq!((ports[1].counters().dropped, waiting(&mut ports)), (10, vec![0, MAX_WAITING]));
    assert!(ports[0].send(&between(0xff, 1, 0)[..13]));
    assert_eq!((ports[0].counters().malformed, waiting(&mut ports)), (1, vec![0, 0]));
}

#[test]
fn an_address_is_forgotten_after_an_age_of_frames() {
    let mut switches = Switches::default();
    let mut ports: Vec<_> = (0..3).map(|_| opened("switch:lan", &mut switches)).collect();
    assert!(ports[1].send(&between(9, 2, 0)));
    assert!(ports[0].send(&between(2, 1, 0)));
    ports.iter_mut().for_each(|port| drop(drain(&mut **port)));
    // To a station on the same port, so that nothing waits anywhere.
    for _ in 0..AGE {
        assert!(ports[0].send(&between(1, 1, 0)));
    }
    assert!(ports[0].send(&between(2, 1, 0)));
    assert_eq!(drain(&mut *ports[2]).len(), 1, "flooded again");
}

#[test]
fn two_switches_join_over_sockets_and_a_guest_reaches_a_host_behind_both() {
    let folder = folder("uplink");
    for (one, two) in [("dgram:F/a,F/b", "dgram:F/b,F/a"), ("stream-listen:F/s", "stream:F/s")] {
        let place = folder.display().to_string();
        let (one, two) = (one.replace('F', &place), two.replace('F', &place));
        // Two processes, each with its switches.
        let (mut here, mut there) = (Switches::default(), Switches::default());
        let guest = opened(&format!("switch:a,{one}"), &mut here);
        let mut far = opened(&format!("switch:b,{two}"), &mut there);
        let mut behind = Responder::open(ResponderSpec::default()).unwrap();
        assert!(open(&format!("switch:b,{two}").parse().unwrap(), &mut there).is_err(), "one uplink only");
        let mut host = Host::new(guest, 1500);
        let socket = host.tcp(THEIR_IP.into(), 7);
        let sent = pattern(200_000);
        let (mut at, mut back, mut frame) = (0, Vec::new(), Vec::new());
        while back.len() < sent.len() {
            host.poll();
            while far.receive(&mut frame) {
                assert!(behind.send(&frame));
            }
            while behind.receive(&mut frame) {
                assert!(far.send(&frame));
            }
            let socket = host.sockets.get_mut::<tcp::Socket<'_>>(socket);
            if socket.can_send() && at < sent.len() {
                at += socket.send_slice(&sent[at..]).unwrap();
            }
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), back.extend_from_slice(bytes))).unwrap();
            }
        }
        assert!(back == sent);
    }
}

#[test]
fn a_wire_named_with_a_capture_is_captured() {
    let file = folder("capture").join("all.pcapng");
    let mut host = Host::new(opened(&format!("responder+pcapng:{}", file.display()), &mut Switches::default()), 1500);
    let socket = host.tcp(THEIR_IP.into(), 7);
    let begun = Instant::now();
    while !host.sockets.get::<tcp::Socket<'_>>(socket).may_send() && begun.elapsed() < PATIENCE {
        host.poll();
    }
    let counters = host.link.wire.counters();
    drop(host);
    let mut reader = pcap_file::pcapng::PcapNgReader::new(std::fs::File::open(&file).unwrap()).unwrap();
    let mut packets = 0;
    while let Some(block) = reader.next_block() {
        packets += u64::from(block.unwrap().into_enhanced_packet().is_some());
    }
    assert_eq!((packets, counters.uncaptured), (counters.sent_frames + counters.received_frames, 0));
    assert!(packets >= 5, "ARP both ways, three segments");
}

#[test]
fn what_cannot_be_opened_says_what_and_why() {
    let text = |spec: &str| {
        let error = open(&spec.parse().unwrap(), &mut Switches::default()).err().unwrap();
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {why}")
    };
    assert_eq!(
        text("stream-listen:/nowhere/s"),
        "wire stream-listen:/nowhere/s: the socket cannot be opened: No such file or directory (os error 2)"
    );
    assert!(text("none+pcapng:/nowhere/x").starts_with("capture file /nowhere/x cannot be written: No such file"));
    let missing = text("responder:10.0.2.2/24,tftp=/nowhere/f");
    assert!(missing.contains("the file to serve cannot be read: No such file"), "{missing}");
}

/// Where TAP is allowed an interface appears, down as nobody has brought it up; elsewhere the error says what it needs.
#[test]
fn a_tap_interface_opens_or_the_error_says_what_it_needs() {
    let name = format!("vnic{}", std::process::id() % 1_000_000);
    match open(&format!("tap:{name}").parse().unwrap(), &mut Switches::default()) {
        Ok(mut wire) => {
            let shown = PathBuf::from("/sys/class/net").join(&name);
            assert!(shown.exists() || !PathBuf::from("/sys/class/net").exists());
            assert!(wire.send(&arp(OUR_IP, THEIR_IP)) && drain(&mut *wire).is_empty());
            assert_eq!((wire.counters().sent_frames, wire.counters().dropped), (1, 1));
            drop(wire);
            assert!(!shown.exists(), "it goes with its owner");
        }
        Err(error) => {
            let expected =
                format!("wire tap:{name}: the interface cannot be opened (it needs CAP_NET_ADMIN and /dev/net/tun)");
            assert_eq!(error.to_string(), expected);
        }
    }
}
