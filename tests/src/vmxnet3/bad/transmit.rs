//! Packets whose descriptors or headers lie: short frames, header lengths, segment sizes, chains, tunnels, loops.

use super::verbs::{Fate, HOLE, alike};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, PEER, Setup};
use model::guest::packet::Packet;
use model::guest::shape::{Body, Shape, Work};
use model::guest::traffic::Traffic;
use spec::vmxnet3::tx::{MAX_TSO_TXD_PER_PKT, MAX_TXD_PER_PKT, om};
use spec::vmxnet3::{Command, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-030-short-frames-in-every-mode",
        clauses: &["VMX-BAD-020"],
        unless: &[],
        needs: &[],
        run: short_frames_in_every_mode,
    },
    Case {
        id: "bi-031-header-lengths-that-lie",
        clauses: &["VMX-BAD-021"],
        unless: &[],
        needs: &[],
        run: header_lengths_that_lie,
    },
    Case { id: "bi-032-segment-sizes", clauses: &["VMX-BAD-022"], unless: &[], needs: &[], run: segment_sizes },
    Case {
        id: "bi-035-chains-with-a-bad-link",
        clauses: &["VMX-BAD-023"],
        unless: &[],
        needs: &[],
        run: chains_with_a_bad_link,
    },
    Case { id: "bi-037-offloads-of-no-ip", clauses: &["VMX-BAD-021"], unless: &[], needs: &[], run: offloads_of_no_ip },
    Case {
        id: "bi-038-every-offload-mode",
        clauses: &["VMX-BAD-024"],
        unless: &[],
        needs: &[],
        run: every_offload_mode,
    },
    Case { id: "bi-039-frames-to-oneself", clauses: &["VMX-BAD-025"], unless: &[], needs: &[], run: frames_to_oneself },
    Case {
        id: "bi-040-checksums-at-the-end-of-a-packet",
        clauses: &["VMX-BAD-021", "VMX-LIM-009", "VMX-LIM-011"],
        unless: &[],
        needs: &[],
        run: checksums_at_the_end_of_a_packet,
    },
    Case {
        id: "bi-044-descriptors-of-a-packet",
        clauses: &["VMX-BAD-026"],
        unless: &[],
        needs: &[],
        run: descriptors_of_a_packet,
    },
    Case {
        id: "bi-050-segments-longer-than-the-mtu",
        clauses: &["VMX-BAD-022"],
        unless: &[],
        needs: &[],
        run: segments_longer_than_the_mtu,
    },
    Case {
        id: "bi-051-bits-of-later-versions",
        clauses: &["VMX-BAD-024"],
        unless: &[],
        needs: &[],
        run: bits_of_later_versions,
    },
];

/// One queue pair with TX buffers of 2 KiB.
fn roomy() -> Setup {
    let mut setup = Setup { bytes: 192 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = 2048;
    setup
}

/// The first descriptor asks for this.
fn asks(desc: &mut TxDesc, mode: u8, hlen: u16, msscof: u16) {
    desc.set_om(mode);
    desc.set_hlen(hlen);
    desc.set_msscof(msscof);
}

/// A packet of the traffic generator, as a driver hands it over: the checksum field holds its seed.
fn packet(bench: &Bench, body: Body, len: u32, work: Work) -> Vec<u8> {
    let mut packet = Packet::default();
    let shape = Shape { len, fragments: 1, body, work, ..Shape::default() };
    Traffic::new(3, bench.config.mac).packet(&shape, &mut packet);
    packet.frame
}

/// `frame` in at most `count` pieces of the same length.
fn cut(frame: &[u8], count: usize) -> Vec<&[u8]> {
    frame.chunks(frame.len().div_ceil(count).max(1)).collect()
}

fn short_frames_in_every_mode(check: &mut Check) {
    let mut runs = Vec::new();
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let mut run = Vec::new();
        for mode in [om::NONE, om::CSUM, om::TSO] {
            for len in 1..=64usize {
                for tag in [false, true] {
                    let frame = packet(bench, Body::Tcp4, 120, Work::None)[..len].to_vec();
                    let fate = bench.fate(&[&frame], |desc| {
                        asks(desc, mode, 54, if mode == om::CSUM { 50 } else { 40 });
                        desc.set_ti(tag);
                        desc.set_tci(7);
                    });
                    check.holds("VMX-BAD-020", fate.is_visible(), "a packet is sent or its failure shows");
                    check.holds(
                        "VMX-BAD-020",
                        len >= 14 || fate.frames.is_empty(),
                        "no frame leaves without its header",
                    );
                    if mode == om::NONE && len >= 14 && !tag {
                        check.holds("VMX-BAD-020", fate.frames == [&frame[..]], "a whole header is enough for a frame");
                    }
                    if mode == om::NONE && len >= 14 && tag {
                        let long = fate.frames.iter().all(|sent| sent.len() == len + 4);
                        check.holds("VMX-BAD-020", long, "a tag makes it four bytes longer");
                    }
                    if fate.error.is_some() {
                        check.holds("VMX-BAD-020", bench.recovers(), "RESET_DEV brings service back");
                    }
                    run.push(fate);
                }
            }
        }
        check.holds("VMX-BAD-020", bench.serves(), "traffic flows behind them");
        runs.push(run);
    });
    alike(check, "VMX-BAD-020", &runs, "both bodies treat a short frame alike");
}

/// Judges one packet that may fail, and lets the queue go on.
fn visible(check: &mut Check, bench: &mut Bench, clause: &'static str, fate: &Fate) {
    check.holds(clause, fate.is_visible(), "a packet is sent or its failure shows");
    if fate.error.is_some() {
        check.holds(clause, bench.recovers(), "RESET_DEV brings service back");
    }
}

fn header_lengths_that_lie(check: &mut Check) {
    let mut runs = Vec::new();
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let mut run = Vec::new();
        for (body, work, mode) in [
            (Body::Tcp4, Work::Segment(30), om::TSO),
            (Body::Tcp4, Work::Checksum, om::CSUM),
            (Body::Tcp6, Work::Segment(30), om::TSO),
        ] {
            let good = packet(bench, body, 200, work);
            let headers = body.headers() as u16;
            for nibble in 0..16u8 {
                // The length of the IP header, of the TCP header, and both of them cut off at the end of the packet.
                for place in [14, body.headers() - 8] {
                    for (pieces, len) in [(1, 200), (2, 200), (3, 200), (4, 200), (2, headers as usize), (1, 40)] {
                        let mut frame = good[..len].to_vec();
                        if let Some(byte) = frame.get_mut(place) {
                            *byte = if place == 14 { *byte & 0xf0 | nibble } else { nibble << 4 };
                        }
                        let fate = bench.fate(&cut(&frame, pieces), |desc| match mode {
                            om::TSO => asks(desc, mode, headers, 30),
                            _ => asks(desc, mode, headers - 20, headers - 4),
                        });
                        visible(check, bench, "VMX-BAD-021", &fate);
                        run.push(fate);
                    }
                }
            }
        }
        check.holds("VMX-BAD-021", bench.serves(), "traffic flows behind them");
        runs.push(run);
    });
    alike(check, "VMX-BAD-021", &runs, "both bodies treat them alike");
}

fn segment_sizes(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for body in [Body::Tcp4, Body::Tcp6] {
            let header = body.headers();
            for payload in [0, 1, 100, 1500usize] {
                let frame = packet(bench, body, (header + payload) as u32, Work::Segment(1000));
                let payload = frame.len() - header;
                for mss in [0, 1, 2, header - 1, header, header + 1, payload, payload + 1, 1460, 9000, 16383] {
                    let fate = bench.fate(&[&frame], |desc| asks(desc, om::TSO, header as u16, mss as u16));
                    visible(check, bench, "VMX-BAD-022", &fate);
                    let most = if mss == 0 { 0 } else { payload.div_ceil(mss).max(1) };
                    check.holds("VMX-BAD-022", fate.frames.len() <= most, "no more segments than the payload has");
                    let bytes: usize = fate.frames.iter().map(|sent| sent.len().saturating_sub(header)).sum();
                    check.holds("VMX-BAD-022", fate.frames.is_empty() || bytes == payload, "every byte once");
                }
                for hlen in [0, 1, 13, 14, header - 1, header + 1, frame.len(), frame.len() + 1, 1023] {
                    let fate = bench.fate(&[&frame], |desc| asks(desc, om::TSO, hlen as u16, 100));
                    visible(check, bench, "VMX-BAD-022", &fate);
                }
            }
        }
        check.holds("VMX-BAD-022", bench.serves(), "traffic flows behind them");
    });
}

/// A chain of `count` descriptors of 16 bytes, the one at `bad` changed.
fn chain(bench: &mut Bench, count: usize, bad: usize, change: impl Fn(&mut TxDesc)) -> Fate {
    let frame = bench.from_guest(16 * count);
    let before = bench.tx_failures();
    bench.completions(0);
    bench.seen();
    for (i, piece) in frame.chunks(16).enumerate() {
        let mut desc = bench.piece(0, piece);
        desc.set_eop(i + 1 == count);
        desc.set_cq(i + 1 == count);
        if i == bad {
            change(&mut desc);
        }
        bench.post_cell(0, desc);
    }
    bench.ring(0);
    bench.fate_of(before)
}

/// One queue pair with TX rings of 64.
fn long_rings() -> Setup {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::unjudged() };
    (setup.config.tx_ring, setup.config.tx_comp, setup.config.tx_buffer_bytes) = (64, 64, 64);
    setup
}

fn chains_with_a_bad_link(check: &mut Check) {
    check.on(Target::Both, &long_rings(), |check, bench| {
        bench.start();
        for count in 1..=40 {
            for bad in [0, count / 2, count - 1] {
                for kind in 0..4 {
                    let fate = chain(bench, count, bad, |desc| match kind {
                        0 => desc.set_addr(HOLE),
                        1 => desc.set_addr(u64::MAX - 7),
                        2 => desc.set_len(0),
                        _ => desc.set_dtype(true),
                    });
                    visible(check, bench, "VMX-BAD-023", &fate);
                    let unmapped = kind < 2;
                    check.holds("VMX-BAD-023", !unmapped || fate.frames.is_empty(), "what cannot be read is not sent");
                }
            }
        }
        check.holds("VMX-BAD-023", bench.serves(), "traffic flows behind them");
    });
}

fn descriptors_of_a_packet(check: &mut Check) {
    check.on(Target::Both, &long_rings(), |check, bench| {
        bench.start();
        for count in 1..=63 {
            let fate = chain(bench, count, usize::MAX, |_| {});
            visible(check, bench, "VMX-BAD-026", &fate);
            check.holds(
                "VMX-BAD-026",
                count > MAX_TXD_PER_PKT || fate.frames.len() == 1,
                "a packet of 16 descriptors is sent",
            );
        }
        for count in 4..=63 {
            let frame = packet(bench, Body::Tcp4, 16 * count as u32, Work::Segment(40));
            let pieces: Vec<&[u8]> = frame.chunks(16).collect();
            let fate = bench.fate(&pieces, |desc| asks(desc, om::TSO, 54, 40));
            visible(check, bench, "VMX-BAD-026", &fate);
            let whole = fate.frames.len() == (frame.len() - 54).div_ceil(40);
            check.holds("VMX-BAD-026", whole || count > MAX_TSO_TXD_PER_PKT, "one of 24 with segmentation too");
            check.holds("VMX-BAD-026", whole || fate.frames.is_empty(), "a packet too long is not sent in part");
        }
        check.holds("VMX-BAD-026", bench.serves(), "traffic flows behind them");
    });
}

fn offloads_of_no_ip(check: &mut Check) {
    let mut runs = Vec::new();
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let mut run = Vec::new();
        let good = packet(bench, Body::Tcp4, 100, Work::Segment(20));
        for kind in [0x0800u16, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847, 0x88b5, 0, 0xffff] {
            for len in [14, 15, 18, 22, 33, 34, 35, 53, 54, 55, 60, 74, 100] {
                for (mode, hlen, msscof) in
                    [(om::CSUM, 34, 50), (om::CSUM, 14, 30), (om::TSO, 54, 20), (om::TSO, 14, 20)]
                {
                    let mut frame = good[..len].to_vec();
                    frame[12..14].copy_from_slice(&kind.to_be_bytes());
                    let fate = bench.fate(&[&frame], |desc| asks(desc, mode, hlen, msscof));
                    visible(check, bench, "VMX-BAD-021", &fate);
                    run.push(fate);
                }
            }
        }
        check.holds("VMX-BAD-021", bench.serves(), "traffic flows behind them");
        runs.push(run);
    });
    alike(check, "VMX-BAD-021", &runs, "both bodies treat them alike");
}

fn every_offload_mode(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let frame = packet(bench, Body::Tcp4, 200, Work::Segment(100));
        for (mode, hlen, msscof, frames) in [
            (om::NONE, 0, 0, 1),
            (om::CSUM, 34, 50, 1),
            (om::TSO, 54, 100, 2),
            (om::ENCAP, 54, 100, 0),
            (om::ENCAP, 0, 0, 0),
        ] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, mode, hlen, msscof));
            check.equal("VMX-BAD-024", "frames sent", fate.frames.len() as u64, frames as u64);
            visible(check, bench, "VMX-BAD-024", &fate);
        }
        for len in 1..=64 {
            let fate = bench.fate(&[&frame[..len]], |desc| asks(desc, om::ENCAP, 54, 50));
            check.holds("VMX-BAD-024", fate.frames.is_empty(), "a mode that is not served sends nothing");
            visible(check, bench, "VMX-BAD-024", &fate);
        }
        check.holds("VMX-BAD-024", bench.serves(), "traffic flows behind them");
    });
}

/// What only versions from 4 on have: outer checksum, inner offload, the reserved bit beside them.
const LATER: [u128; 3] = [1 << 79, 1 << 81, 1 << 110];

fn bits_of_later_versions(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let frame = packet(bench, Body::Tcp4, 200, Work::Segment(100));
        for (mode, hlen, msscof) in [(om::NONE, 0, 0), (om::CSUM, 34, 50), (om::TSO, 54, 100)] {
            let plain = bench.fate(&[&frame], |desc| asks(desc, mode, hlen, msscof));
            visible(check, bench, "VMX-BAD-024", &plain);
            for offset in 0..8 {
                for bit in LATER {
                    let fate = bench.fate(&[&frame], |desc| {
                        asks(desc, mode, hlen.saturating_add(offset), msscof);
                        desc.0 |= bit;
                    });
                    visible(check, bench, "VMX-BAD-024", &fate);
                    let same = fate.frames == plain.frames;
                    check.holds(
                        "VMX-BAD-024",
                        offset > 0 || same,
                        "a bit that version 1 does not know means nothing to it",
                    );
                }
            }
        }
        check.holds("VMX-BAD-024", bench.serves(), "traffic flows behind them");
    });
}

fn frames_to_oneself(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let own = bench.config.mac;
        for to in [own, [0xff; 6]] {
            let mut posted = Vec::new();
            for len in 0..24 {
                let mut frame = bench.frame(to, 60 + len);
                frame[6..12].copy_from_slice(&own);
                bench.post(0, &frame);
                posted.push(frame);
            }
            bench.settle();
            bench.seen();
            bench.ring(0);
            bench.settle();
            check.holds("VMX-BAD-025", bench.sent() == posted, "each is sent once, in order");
            check.equal("VMX-BAD-025", "completions", bench.completions(0).len() as u64, 24u32);
            let back: Vec<Vec<u8>> = bench.received(0).into_iter().map(|(frame, _)| frame).collect();
            check.holds(
                "VMX-BAD-025",
                back.is_empty() || back == posted,
                "and comes back once, in order, or not at all",
            );
        }
        check.holds("VMX-BAD-025", bench.serves(), "traffic flows behind them");
    });
}

fn checksums_at_the_end_of_a_packet(check: &mut Check) {
    let mut runs = Vec::new();
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let mut run = Vec::new();
        // UDP, TCP, SCTP, ICMP, and one that nobody knows: the device looks at offsets, not at protocols.
        for protocol in [17u8, 6, 132, 1, 253] {
            for left in 0..=20usize {
                for field in [6usize, 8, 16] {
                    let mut frame = packet(bench, Body::Udp4, 120, Work::Checksum)[..34 + left].to_vec();
                    frame[23] = protocol;
                    let len = frame.len();
                    let fate = bench.fate(&cut(&frame, 2), |desc| asks(desc, om::CSUM, 34, 34 + field as u16));
                    visible(check, bench, "VMX-BAD-021", &fate);
                    let fits = left > 0 && 34 + field + 2 <= len;
                    check.holds(
                        "VMX-BAD-021",
                        fits || fate.frames.iter().all(|sent| sent.get(..34) == frame.get(..34)),
                        "no byte before the start is changed",
                    );
                    check.holds("VMX-LIM-009", !fits || fate.frames.len() == 1, "a checksum that fits is sent");
                    run.push(fate);
                }
            }
        }
        let frame = bench.frame(PEER, 80);
        for (start, field) in [(79, 40), (78, 78), (79, 79), (80, 40), (40, 78), (40, 79), (40, 80), (1023, 16383)] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, om::CSUM, start, field));
            visible(check, bench, "VMX-BAD-021", &fate);
            let sent = fate.frames.len() == 1;
            let stored = usize::from(field) + 2 <= 80;
            check.holds("VMX-LIM-009", stored || !sent, "a field past the packet sends nothing");
            let summed = usize::from(start) < 80;
            check.holds("VMX-LIM-011", summed || !sent, "nor does a start past the packet");
            check.holds("VMX-LIM-009", sent || !(stored && summed), "what ends with the packet is sent");
            run.push(fate);
        }
        bench.command(Command::GetStats);
        check.holds("VMX-BAD-021", bench.serves(), "traffic flows behind them");
        runs.push(run);
    });
    alike(check, "VMX-BAD-021", &runs, "both bodies treat them alike");
}

fn segments_longer_than_the_mtu(check: &mut Check) {
    let mut setup = roomy();
    setup.config.mtu = 200;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let frame = packet(bench, Body::Tcp4, 1200, Work::Segment(100));
        for mss in [100, 158, 159, 160, 161, 200, 1000, 1146] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, om::TSO, 54, mss));
            visible(check, bench, "VMX-BAD-022", &fate);
            let fits = usize::from(mss) + 40 <= 200;
            let whole = fate.frames.len() == (frame.len() - 54).div_ceil(usize::from(mss));
            check.holds("VMX-BAD-022", whole || !fits && fate.frames.is_empty(), "all of it is sent, or nothing");
            check.holds("VMX-BAD-022", bench.serves(), "the ring goes on");
        }
        let plain = bench.from_guest(1000);
        let fate = bench.fate(&[&plain], |_| {});
        visible(check, bench, "VMX-BAD-022", &fate);
        check.holds("VMX-BAD-022", bench.serves(), "the ring goes on");
    });
}
