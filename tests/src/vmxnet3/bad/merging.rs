//! Large receive offload: whatever a device merges or leaves alone, the bytes of a stream arrive once, in order.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use model::guest::shape::{Body, To, WireShape};
use model::guest::traffic::Traffic;
use spec::profile::Deviation;
use spec::vmxnet3::RxCompDesc;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::{RXCOMP, RXCOMP_LRO};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-066-outer-headers-of-tunnels",
        clauses: &["VMX-BAD-060"],
        unless: &[],
        needs: &[],
        run: outer_headers_of_tunnels,
    },
    Case {
        id: "bi-070-checksums-of-what-is-merged",
        clauses: &["VMX-BAD-061"],
        unless: &[],
        needs: &[],
        run: checksums_of_what_is_merged,
    },
    Case { id: "bi-071-one-segment-alone", clauses: &["VMX-BAD-061"], unless: &[], needs: &[], run: one_segment_alone },
    Case {
        id: "bi-072-tunnels-are-not-merged-as-plain",
        clauses: &["VMX-BAD-060"],
        unless: &[],
        needs: &[],
        run: tunnels_are_not_merged_as_plain,
    },
    Case {
        id: "bi-073-merging-under-load",
        clauses: &["VMX-BAD-061"],
        unless: &[Deviation::OutOfBuffersConsumes],
        needs: &[],
        run: merging_under_load,
    },
    Case {
        id: "bi-080-merging-only-where-asked",
        clauses: &["VMX-BAD-062"],
        unless: &[],
        needs: &[],
        run: merging_only_where_asked,
    },
];

/// Bytes of headers of a TCP segment over IPv4 without options.
const HEADERS: usize = 54;

fn setup(lro: bool) -> Setup {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::unjudged() };
    setup.config.max_rx_sg = 18;
    setup.config.features = feature::RXCSUM | if lro { feature::LRO } else { 0 };
    setup
}

/// `count` segments of one TCP stream, each where the one before ends.
fn stream(bench: &Bench, count: usize, payload: usize, first: u32) -> Vec<Vec<u8>> {
    let mut traffic = Traffic::new(21, bench.config.mac);
    let mut sequence = first;
    (0..count)
        .map(|_| {
            let mut frame = Vec::new();
            let len = (HEADERS + payload) as u32;
            traffic
                .wire(&WireShape { len, body: Body::Tcp4, tag: None, bad: false, to: To::Peer, flow: 1 }, &mut frame);
            frame[38..42].copy_from_slice(&sequence.to_be_bytes());
            frame[42..46].copy_from_slice(&[0, 0, 0, 1]);
            frame[47] = 0x10;
            frame[50..52].fill(0);
            let sum = spec::checksum::pseudo(&frame[26..34], 6, (20 + payload) as u32);
            let sum = spec::checksum::finish(spec::checksum::add(sum, &frame[34..]));
            frame[50..52].copy_from_slice(&sum.to_be_bytes());
            sequence = sequence.wrapping_add(payload as u32);
            frame
        })
        .collect()
}

/// What was delivered, judged frame by frame: its payloads one behind the other.
fn payloads(check: &mut Check, clause: &'static str, got: &[(Vec<u8>, RxCompDesc)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (frame, last) in got {
        check.holds(
            clause,
            last.kind() == RXCOMP || last.kind() == RXCOMP_LRO || last.kind() == 0,
            "a completion is plain or merged",
        );
        let whole = !last.err() && frame.len() >= HEADERS;
        check.holds(clause, whole, "a frame is whole");
        if !whole {
            continue;
        }
        let total = u16::from_be_bytes([frame[16], frame[17]]);
        check.equal(clause, "length in the IP header", total, frame.len() as u64 - 14);
        if last.kind() == RXCOMP && last.tuc() && !last.cnc() {
            let sum = spec::checksum::pseudo(&frame[26..34], 6, frame.len() as u32 - 34);
            let right = spec::checksum::fold(spec::checksum::add(sum, &frame[34..])) == 0xffff;
            check.holds(clause, right, "a plain frame called good is good");
        }
        if last.kind() == RXCOMP_LRO {
            check.holds(
                clause,
                last.tuc() && last.tcp() && !last.cnc(),
                "a merged one is vouched for by its completion",
            );
            check.holds(clause, last.rss_hash() & 0xffff != 0, "and counts its segments");
        }
        all.extend_from_slice(&frame[HEADERS..]);
    }
    all
}

fn expected(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame[HEADERS..].to_vec()).collect()
}

fn checksums_of_what_is_merged(check: &mut Check) {
    check.on(Target::Both, &setup(true), |check, bench| {
        bench.start();
        let mut sequence = 0xffff_f000;
        for (count, payload) in [(2, 100), (5, 100), (9, 150), (3, 7), (20, 60)] {
            let frames = stream(bench, count, payload, sequence);
            sequence = sequence.wrapping_add((count * payload) as u32);
            frames.iter().for_each(|frame| bench.offer(frame));
            bench.settle();
            let got = bench.received(0);
            let bytes = payloads(check, "VMX-BAD-061", &got);
            check.holds("VMX-BAD-061", bytes == expected(&frames), "the bytes of a stream arrive once, in order");
        }
        check.holds("VMX-BAD-061", bench.serves(), "traffic flows");
    });
}

fn one_segment_alone(check: &mut Check) {
    check.on(Target::Both, &setup(true), |check, bench| {
        bench.start();
        for payload in [6, 7, 100, 150, 200] {
            let frames = stream(bench, 1, payload, 1000);
            bench.offer(&frames[0]);
            bench.settle();
            let got = bench.received(0);
            let one = matches!(&got[..], [(bytes, _)] if *bytes == frames[0]);
            check.holds("VMX-BAD-061", one, "one segment is delivered as it came");
            payloads(check, "VMX-BAD-061", &got);
        }
    });
}

/// A VXLAN packet: IPv4, UDP to port 4789, eight bytes, and `inner`.
fn tunnelled(bench: &Bench, inner: &[u8], flow: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let len = (42 + 8 + inner.len()) as u32;
    let shape = WireShape { len, body: Body::Udp4, tag: None, bad: false, to: To::Peer, flow };
    Traffic::new(31, bench.config.mac).wire(&shape, &mut frame);
    frame[36..38].copy_from_slice(&4789u16.to_be_bytes());
    frame[40..42].fill(0);
    frame[42..50].copy_from_slice(&[8, 0, 0, 0, 0, 0, 1, 0]);
    frame[50..].copy_from_slice(inner);
    frame
}

/// Bits 13:12 of a completion: the description is of inner headers. No version below 4 has them.
const INNER: u128 = 3 << 12;

fn outer_headers_of_tunnels(check: &mut Check) {
    check.on(Target::Both, &setup(false), |check, bench| {
        bench.start();
        let mut traffic = Traffic::new(32, bench.config.mac);
        let mut inner = Vec::new();
        for body in [Body::Tcp4, Body::Tcp6, Body::Udp4, Body::Udp6, Body::Raw] {
            for bad in [false, true] {
                traffic.wire(&WireShape { len: 150, body, tag: None, bad, to: To::Peer, flow: 3 }, &mut inner);
                let frame = tunnelled(bench, &inner, 3);
                bench.offer(&frame);
                bench.settle();
                let got = bench.received(0);
                let [(bytes, last)] = &got[..] else {
                    check.holds("VMX-BAD-060", false, "a tunnelled frame is delivered");
                    continue;
                };
                check.holds("VMX-BAD-060", *bytes == frame, "a tunnelled frame is delivered as it is");
                check.holds("VMX-BAD-060", last.0 & INNER == 0, "no bit speaks of inner headers");
                // With cnc 1 the protocols may be left out.
                let named = last.cnc() || last.v4() && last.udp();
                check.holds(
                    "VMX-BAD-060",
                    named && !last.v6() && !last.tcp(),
                    "the outer headers are described, no others",
                );
                check.holds(
                    "VMX-BAD-060",
                    last.cnc() || !last.tuc(),
                    "a datagram without a checksum is not called good",
                );
            }
        }
    });
}

fn tunnels_are_not_merged_as_plain(check: &mut Check) {
    check.on(Target::Both, &setup(true), |check, bench| {
        bench.start();
        for count in [2, 5] {
            let frames: Vec<_> = stream(bench, count, 80, 500).iter().map(|inner| tunnelled(bench, inner, 3)).collect();
            frames.iter().for_each(|frame| bench.offer(frame));
            bench.settle();
            let got = bench.received(0);
            let plain: Vec<_> = got.iter().map(|(bytes, _)| bytes.clone()).collect();
            check.holds("VMX-BAD-060", plain == frames, "tunnelled segments arrive one by one");
            check.holds(
                "VMX-BAD-060",
                got.iter().all(|(_, last)| last.kind() != RXCOMP_LRO),
                "and none is called merged",
            );
        }
    });
}

fn merging_under_load(check: &mut Check) {
    check.on(Target::Both, &setup(true), |check, bench| {
        bench.start();
        let mut sequence = 7u32;
        for round in 0..40usize {
            let (count, payload) = (1 + round * 7 % 45, 20 + round * 31 % 400);
            let frames = stream(bench, count, payload, sequence);
            sequence = sequence.wrapping_add((count * payload) as u32);
            let before = bench.rx_stats(0);
            frames.iter().for_each(|frame| bench.offer(frame));
            bench.settle();
            let got = bench.received(0);
            let bytes = payloads(check, "VMX-BAD-061", &got);
            let all = expected(&frames);
            let dropped = bench.rx_stats(0).pkts_rx_out_of_buf().wrapping_sub(before.pkts_rx_out_of_buf());
            check.holds("VMX-BAD-061", dropped > 0 || bytes == all, "a stream that found buffers arrives whole");
            check.holds(
                "VMX-BAD-061",
                (dropped as usize).saturating_mul(payload) >= all.len().saturating_sub(bytes.len()),
                "what is missing is counted",
            );
        }
        check.holds("VMX-BAD-061", bench.serves(), "traffic flows");
        check.holds("VMX-BAD-061", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn merging_only_where_asked(check: &mut Check) {
    check.on(Target::Both, &setup(false), |check, bench| {
        bench.start();
        for (count, payload) in [(2, 100), (9, 150), (20, 60)] {
            let frames = stream(bench, count, payload, 99);
            frames.iter().for_each(|frame| bench.offer(frame));
            bench.settle();
            let got = bench.received(0);
            let plain: Vec<_> = got.iter().map(|(bytes, _)| bytes.clone()).collect();
            check.holds("VMX-BAD-062", plain == frames, "without LRO each segment arrives as it came");
            check.holds(
                "VMX-BAD-062",
                got.iter().all(|(_, last)| last.kind() != RXCOMP_LRO),
                "and none is called merged",
            );
        }
    });
}
