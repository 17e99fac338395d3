//! Tunnels, versions 4 to 9: checksums and segmentation of what they carry, in the words of each version, and what is told of them on
//! the way in. The judges compare every byte of every frame.
//!
//! Sources: linux vmxnet3_drv.c, vmxnet3_tq_xmit and vmxnet3_rx_csum; RFC 7348 and 8926.

use super::offered::by_version;
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use model::guest::packet::{Offload, Packet};
use model::guest::shape::{Body, Shape, To, WireShape, Work};
use model::guest::traffic::Traffic;
use model::guest::tunnel::{Kind, Load, Tunnel};
use spec::profile::Deviation;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::ext1;
use spec::vmxnet3::shared::UPT_FEATURES_OFFSET;
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{Command, RxCompDesc, TxDesc, TxQueueDesc};

/// What each version does.
pub(crate) const BY_VERSION: &[Case] = by_version! {
    "tunnel-checksum", [4 5 6 7 8 9], &["VMX-V4-006"], &[], &[], checksums;
    "tunnel-checksum-around", [4 5 6 7 8 9], &["VMX-V4-009"], &[], &[], checksums_around;
    "tunnel-segments", [4 5 6 7 8 9], &["VMX-V4-007", "VMX-V4-008"], &[], &[], segments;
    "tunnel-segments-checksum-around", [4 5 6 7 8 9], &["VMX-V4-009"], &[], &[], segments_around;
    "tunnel-that-is-none", [4 5 6 7 8 9], &["VMX-V4-010"], &[], &[], malformed;
    "tunnel-in-words-of-4", [2 3 7 8 9], &["VMX-V4-001"], &[], &[], refused_encap;
    "tunnel-in-words-of-7", [2 3 4 5 6], &["VMX-V7-005"], &[], &[], without_the_bit;
    "tunnel-by-plain-words", [2 3 4 5 6 7 8 9], &["VMX-TX-015"], &[], &[], plain_words;
    "tunnel-reported-by-inner-headers", [4 5 6 7 8 9], &["VMX-V4-003", "VMX-V4-011"], VERIFIED, &[], inner_reported;
    "tunnel-reported-by-outer-headers", [2 3], &["VMX-V4-003"], VERIFIED, &[], too_early;
};

pub(crate) const CASES: &[Case] = &[
    Case::new("tunnel-headers-across-descriptors", &["VMX-V4-006", "VMX-V4-007"], across_descriptors),
    Case::new("tunnel-with-a-tag-inserted", &["VMX-V4-007", "VMX-TX-020"], tag_inserted),
    Case::new("tunnel-with-a-carried-tag", &["VMX-V4-007"], carried_tag),
    Case::new("tunnel-in-segments-of-a-byte", &["VMX-V4-007"], segments_of_a_byte),
    Case::new("tunnel-of-one-segment", &["VMX-V4-007"], one_segment),
    Case::new("tunnel-checksum-of-zero", &["VMX-V4-006"], checksum_of_zero),
    Case::new("tunnel-segments-are-counted", &["VMX-V4-007"], segments_are_counted)
        .unless(&[Deviation::TsoCountsPackets]),
    Case::new("tunnel-and-other-packets", &["VMX-V4-007"], among_others),
    Case::new("tunnel-with-wrong-checksums", &["VMX-V4-003"], wrong_checksums).unless(VERIFIED),
    Case::new("tunnel-without-the-feature", &["VMX-V4-003"], without_the_feature).unless(VERIFIED),
    Case::new("tunnel-without-checked-sums", &["VMX-V4-003"], without_checked_sums).unless(VERIFIED),
    Case::new("tunnel-feature-changes-while-active", &["VMX-V4-011"], feature_changes).unless(VERIFIED),
    Case::new("tunnel-load-without-a-checksum", &["VMX-V4-003"], load_without_a_checksum).unless(VERIFIED),
];

/// A profile that verifies nothing is excused.
const VERIFIED: &[Deviation] = &[Deviation::RxNothingVerified];

fn setup() -> Setup {
    let mut setup = Setup::default();
    setup.config.tx_buffer_bytes = 2048;
    setup.config.features |= feature::RXINNEROFLD;
    setup.bytes = 160 << 10;
    setup
}

const fn tunnel(kind: Kind, outer6: bool, load: Load, summed: bool) -> Tunnel {
    Tunnel { kind, outer6, load, tagged: false, summed }
}

/// A packet that asks for `work` on what a tunnel carries.
fn packet(bench: &Bench, tunnel: Tunnel, work: Work, payload: usize) -> Packet {
    let (mut traffic, mut packet) = (Traffic::new(7, bench.config.mac), Packet::default());
    traffic.next_id = payload as u64 * 3 + 1;
    let len = (tunnel.headers() + payload) as u32;
    let body = Body::Inside(tunnel);
    traffic.packet(&Shape { len, fragments: 2, body, work, to: To::Peer, flow: 3, ..Shape::default() }, &mut packet);
    packet
}

/// Sends a packet; the frames that left. It must become as many as it says and be completed once.
fn send(check: &mut Check, bench: &mut Bench, clause: &'static str, packet: &Packet) -> Vec<Vec<u8>> {
    let (frames, completed) = bench.send_packet(packet);
    check.equal(clause, "frames", frames.len() as u64, packet.segments());
    check.equal(clause, "completions", completed as u64, 1u32);
    frames
}

/// The UDP checksum around, of a frame without a tag in front.
fn around(frame: &[u8]) -> u16 {
    let at = if frame.get(12) == Some(&0x86) { 60 } else { 40 };
    frame.get(at..at + 2).map_or(0, |field| u16::from_be_bytes([field[0], field[1]]))
}

fn checksums(check: &mut Check) {
    each(check, "VMX-V4-006", false, |_| Work::Checksum);
}

fn checksums_around(check: &mut Check) {
    each(check, "VMX-V4-009", true, |_| Work::Checksum);
}

fn segments(check: &mut Check) {
    each(check, "VMX-V4-007", false, |tunnel| Work::Segment(if tunnel.outer6 { 90 } else { 60 }));
}

fn segments_around(check: &mut Check) {
    each(check, "VMX-V4-009", true, |tunnel| Work::Segment(if tunnel.outer6 { 90 } else { 60 }));
}

/// Every tunnel with or without a checksum around, at the version of the case.
fn each(check: &mut Check, clause: &'static str, summed: bool, work: fn(&Tunnel) -> Work) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        for tunnel in Tunnel::all().filter(|tunnel| tunnel.summed == summed) {
            let work = work(&tunnel);
            let cut = matches!(work, Work::Segment(_));
            if cut && !Body::Inside(tunnel).is_tcp() {
                continue;
            }
            for payload in [1, 120, 181] {
                let packet = packet(bench, tunnel, work, payload);
                let frames = send(check, bench, clause, &packet);
                let field = frames.iter().all(|frame| (around(frame) != 0) == summed);
                check.holds(clause, field, "there is a checksum around where it is asked for, and none otherwise");
                if cut && clause == "VMX-V4-007" {
                    let length =
                        |frame: &Vec<u8>| frame.get(16..18).map(|l| usize::from(u16::from_be_bytes([l[0], l[1]])));
                    let told = frames.iter().all(|frame| tunnel.outer6 || length(frame) == Some(frame.len() - 14));
                    check.holds("VMX-V4-008", told, "each frame's length around is its own");
                }
            }
        }
    });
}

/// Posts `frame` in one descriptor as `ask` says; frames that left and completions.
fn post(bench: &mut Bench, frame: &[u8], ask: impl FnOnce(&mut TxDesc)) -> (u64, u64) {
    let mut desc = bench.piece(0, frame);
    desc.set_eop(true);
    desc.set_cq(true);
    ask(&mut desc);
    bench.post_cell(0, desc);
    bench.seen();
    bench.ring(0);
    bench.settle();
    (bench.sent().len() as u64, bench.completions(0).len() as u64)
}

/// `frame` must not be sent, and be completed all the same.
fn refuse(check: &mut Check, bench: &mut Bench, clause: &'static str, frame: &[u8], ask: impl FnOnce(&mut TxDesc)) {
    let (sent, completed) = post(bench, frame, ask);
    check.equal(clause, "frames sent", sent, 0u32);
    check.equal(clause, "completions", completed, 1u32);
}

/// What was refused was counted, and traffic flows behind it.
fn counted(check: &mut Check, bench: &mut Bench, clause: &'static str, count: u64) {
    bench.command(Command::GetStats);
    let desc: TxQueueDesc = bench.get(bench.layout.tx_queue_desc(0));
    check.equal(clause, "pktsTxError", desc.stats().pkts_tx_error(), count);
    check.holds(clause, bench.serves(), "traffic flows behind");
}

fn malformed(check: &mut Check) {
    const CLAUSE: &str = "VMX-V4-010";
    check.at_version(Target::Both, &setup(), |check, bench, version| {
        bench.start();
        let geneve = tunnel(Kind::Geneve, false, Load::Tcp4, false);
        let vxlan = tunnel(Kind::Vxlan, false, Load::Tcp4, true);
        let mut count = 0;
        for work in [Work::Checksum, Work::Segment(50)] {
            let (one, other) = (packet(bench, geneve, work, 120), packet(bench, vxlan, work, 120));
            let inner = geneve.around();
            let bytes: &[(&Packet, usize, u8)] = &[
                (&one, 37, 53),        // another port
                (&one, 42, 0x42),      // another version of Geneve
                (&one, 45, 0x57),      // nothing known is carried
                (&one, 20, 0x20),      // a fragment around
                (&one, 23, 6),         // TCP around
                (&one, inner + 12, 9), // no IP carried
                (&one, inner + 14, 0x55),
                (&one, inner + 20, 0x20), // a fragment carried
                (&one, inner + 23, 1),    // ICMP carried
                (&one, inner + 46, 0x40), // a TCP header too short
                (&one, inner + 46, 0xf0), // and one too long
                (&other, 42, 0),          // no network identifier
            ];
            for &(packet, at, value) in bytes {
                let mut frame = packet.frame.clone();
                frame[at] = value;
                refuse(check, bench, CLAUSE, &frame, |desc| packet.offload.ask(version, desc));
                count += 1;
            }
            for hlen in [0, 1, 41, geneve.headers() - 1, geneve.headers() + 1, geneve.headers() + 121, 1023] {
                refuse(check, bench, CLAUSE, &one.frame, |desc| {
                    one.offload.ask(version, desc);
                    desc.set_hlen(hlen as u16);
                });
                count += 1;
            }
        }
        let udp = packet(bench, tunnel(Kind::Vxlan, true, Load::Udp6, false), Work::Checksum, 100);
        let headers = udp.frame.len() as u16 - 100;
        refuse(check, bench, CLAUSE, &udp.frame, |desc| {
            Offload::InnerSegment { headers, mss: 20, outer: false }.ask(version, desc);
        });
        count += 1;
        if version >= 7 {
            // Before, a size of 0 asks for the checksum alone.
            let cut = packet(bench, geneve, Work::Segment(50), 120);
            refuse(check, bench, CLAUSE, &cut.frame, |desc| {
                cut.offload.ask(version, desc);
                desc.set_msscof(0);
            });
            let summed = packet(bench, geneve, Work::Checksum, 120);
            refuse(check, bench, CLAUSE, &summed.frame, |desc| {
                summed.offload.ask(version, desc);
                desc.set_msscof(desc.msscof() + 2);
            });
            count += 2;
        }
        counted(check, bench, CLAUSE, count);
    });
}

/// Good tunnels in the words of another version.
fn refused(check: &mut Check, clause: &'static str, words: u8) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        let mut count = 0;
        for kind in [Kind::Vxlan, Kind::Geneve] {
            for work in [Work::Checksum, Work::Segment(50)] {
                let packet = packet(bench, tunnel(kind, false, Load::Tcp6, true), work, 120);
                refuse(check, bench, clause, &packet.frame, |desc| packet.offload.ask(words, desc));
                count += 1;
            }
        }
        counted(check, bench, clause, count);
    });
}

fn refused_encap(check: &mut Check) {
    refused(check, "VMX-V4-001", 4);
}

/// Before version 7 a packet with `ext1` is sent as without.
fn without_the_bit(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        for (load, work) in [(Load::Tcp4, Work::Checksum), (Load::Udp6, Work::Checksum), (Load::Tcp6, Work::None)] {
            let tunnel = tunnel(Kind::Vxlan, false, load, false);
            let mut packet = packet(bench, tunnel, work, 90);
            if work == Work::Checksum {
                let start = tunnel.headers() as u16 - if Body::Inside(tunnel).is_tcp() { 20 } else { 8 };
                let field = start + if Body::Inside(tunnel).is_tcp() { 16 } else { 6 };
                packet.offload = Offload::Checksum { start, field };
            }
            let sent = |bench: &mut Bench| bench.sent().iter().map(|frame| frame.to_vec()).collect::<Vec<_>>();
            post(bench, &packet.frame, |desc| packet.offload.ask(1, desc));
            let plain = sent(bench);
            post(bench, &packet.frame, |desc| {
                packet.offload.ask(1, desc);
                desc.set_ext1(true);
            });
            let same = plain.len() == 1 && plain == sent(bench);
            check.holds("VMX-V7-005", same, "the bit means nothing");
        }
    });
}

/// Without `ext1` a checksum is summed from where it says, whatever is there: a tunnel too, at every version.
fn plain_words(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        for load in [Load::Udp4, Load::Tcp4, Load::Udp6, Load::Tcp6] {
            let tunnel = tunnel(Kind::Geneve, false, load, false);
            let mut packet = packet(bench, tunnel, Work::Checksum, 90);
            let start = tunnel.headers() as u16 - if Body::Inside(tunnel).is_tcp() { 20 } else { 8 };
            let field = start + if Body::Inside(tunnel).is_tcp() { 16 } else { 6 };
            packet.offload = Offload::Checksum { start, field };
            send(check, bench, "VMX-TX-015", &packet);
        }
        // Where nothing is asked for the other words mean nothing.
        let packet = packet(bench, tunnel(Kind::Vxlan, false, Load::Tcp4, true), Work::None, 90);
        let (sent, completed) = post(bench, &packet.frame, |desc| {
            desc.set_om(om::NONE);
            desc.set_hlen(9);
            desc.set_msscof(9);
        });
        check.equal("VMX-TX-015", "frames and completions", sent << 8 | completed, 0x101u32);
    });
}

/// A conversation at the newest version of each set of words.
fn both_words(check: &mut Check, mut conversation: impl FnMut(&mut Check, &mut Bench)) {
    for version in [6, 9] {
        check.at(version, Target::Both, &setup(), |check, bench| {
            bench.start();
            conversation(check, bench);
        });
    }
}

fn across_descriptors(check: &mut Check) {
    both_words(check, |check, bench| {
        for (clause, work) in [("VMX-V4-006", Work::Checksum), ("VMX-V4-007", Work::Segment(77))] {
            for (tunnel, fragments) in [
                (tunnel(Kind::Vxlan, false, Load::Tcp4, true), 16),
                (tunnel(Kind::Geneve, true, Load::Tcp6, false), 12),
                (tunnel(Kind::OldVxlan, true, Load::Tcp4, true), 7),
            ] {
                let (mut traffic, mut packet) = (Traffic::new(9, bench.config.mac), Packet::default());
                for round in 0..6 {
                    let len = tunnel.headers() as u32 + 100 + round;
                    let shape = Shape { len, fragments, body: Body::Inside(tunnel), work, ..Shape::default() };
                    traffic.packet(&shape, &mut packet);
                    send(check, bench, clause, &packet);
                }
            }
        }
    });
}

fn tag_inserted(check: &mut Check) {
    both_words(check, |check, bench| {
        for work in [Work::Checksum, Work::Segment(64)] {
            for outer6 in [false, true] {
                let mut packet = packet(bench, tunnel(Kind::Geneve, outer6, Load::Tcp4, true), work, 200);
                packet.vlan = Some(0x6123);
                let frames = send(check, bench, "VMX-V4-007", &packet);
                let tagged = frames.iter().all(|frame| frame.get(12..16) == Some(&[0x81, 0, 0x61, 0x23]));
                check.holds("VMX-TX-020", tagged, "the tag stands in front of the tunnel");
            }
        }
    });
}

fn carried_tag(check: &mut Check) {
    both_words(check, |check, bench| {
        for load in [Load::Tcp4, Load::Tcp6] {
            let tunnel = Tunnel { tagged: true, ..tunnel(Kind::Vxlan, true, load, true) };
            let packet = packet(bench, tunnel, Work::Segment(50), 175);
            let at = tunnel.around() + 12;
            let kept = send(check, bench, "VMX-V4-007", &packet).iter().all(|f| f.get(at..at + 2) == Some(&[0x81, 0]));
            check.holds("VMX-V4-007", kept, "each segment has the tag that is carried");
        }
    });
}

fn segments_of_a_byte(check: &mut Check) {
    both_words(check, |check, bench| {
        let packet = packet(bench, tunnel(Kind::Geneve, false, Load::Tcp4, true), Work::Segment(1), 23);
        send(check, bench, "VMX-V4-007", &packet);
    });
}

fn one_segment(check: &mut Check) {
    both_words(check, |check, bench| {
        for payload in [1, 99, 100] {
            let packet = packet(bench, tunnel(Kind::Vxlan, false, Load::Tcp6, false), Work::Segment(100), payload);
            let frames = send(check, bench, "VMX-V4-007", &packet);
            let whole = frames.iter().all(|frame| frame.len() == packet.frame.len());
            check.holds("VMX-V4-007", whole, "what fits a segment is one");
        }
    });
}

/// The sum of big-endian words, carries added in. Source: RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    words.fold(0, |sum, word| ((sum + word) & 0xffff) + ((sum + word) >> 16)) as u16
}

fn checksum_of_zero(check: &mut Check) {
    both_words(check, |check, bench| {
        let tunnel = tunnel(Kind::Geneve, false, Load::Udp4, true);
        let mut packet = packet(bench, tunnel, Work::Checksum, 60);
        let (l4, end) = (tunnel.headers() - 8, packet.frame.len());
        packet.frame[end - 2..].fill(0);
        let rest = sum(&packet.frame[l4..]);
        packet.frame[end - 2..].copy_from_slice(&(!rest).to_be_bytes());
        let frames = send(check, bench, "VMX-V4-006", &packet);
        let field = frames.first().and_then(|f| f.get(l4 + 6..l4 + 8)).map_or(0, |f| u16::from_be_bytes([f[0], f[1]]));
        check.equal("VMX-V4-006", "carried UDP checksum", field, 0xffffu16);
    });
}

fn segments_are_counted(check: &mut Check) {
    both_words(check, |check, bench| {
        let packet = packet(bench, tunnel(Kind::Vxlan, false, Load::Tcp4, true), Work::Segment(60), 200);
        let bytes: u64 = send(check, bench, "VMX-V4-007", &packet).iter().map(|frame| frame.len() as u64).sum();
        bench.command(Command::GetStats);
        let desc: TxQueueDesc = bench.get(bench.layout.tx_queue_desc(0));
        check.equal("VMX-V4-007", "TSOPktsTxOK", desc.stats().tso_pkts_tx_ok(), packet.segments());
        check.equal("VMX-V4-007", "TSOBytesTxOK", desc.stats().tso_bytes_tx_ok(), bytes);
    });
}

fn among_others(check: &mut Check) {
    both_words(check, |check, bench| {
        for round in 0..6 {
            let packet = packet(bench, tunnel(Kind::Geneve, true, Load::Tcp4, false), Work::Segment(64), 100 + round);
            send(check, bench, "VMX-V4-007", &packet);
            check.holds("VMX-V4-007", bench.serves(), "what is not a tunnel goes as it is");
        }
    });
}

/// A tunnel from the wire.
fn inbound(bench: &Bench, tunnel: Tunnel, bad: bool, id: u64) -> Vec<u8> {
    let (mut traffic, mut frame) = (Traffic::new(11, bench.config.mac), Vec::new());
    traffic.next_id = id;
    let len = tunnel.headers() as u32 + 40 + id as u32 % 9;
    traffic.wire(&WireShape { len, body: Body::Inside(tunnel), tag: None, bad, to: To::Peer, flow: 1 }, &mut frame);
    frame
}

/// Offers a frame; the last completion of what queue 0 received, which must be it.
fn receive(check: &mut Check, bench: &mut Bench, clause: &'static str, frame: &[u8]) -> RxCompDesc {
    bench.offer(frame);
    bench.settle();
    let got = bench.received(0);
    let whole = matches!(&got[..], [(bytes, _)] if bytes == frame);
    check.holds(clause, whole, "the tunnel arrives as it came");
    got.first().map(|&(_, last)| last).unwrap_or_default()
}

/// Whether a completion is of the headers that `tunnel` carries, all right.
fn is_inner(last: RxCompDesc, tunnel: Tunnel) -> bool {
    let v6 = matches!(tunnel.load, Load::Udp6 | Load::Tcp6);
    let tcp = Body::Inside(tunnel).is_tcp();
    let sums = !last.cnc() && last.tuc() && (v6 || last.ipc()) && !last.frg();
    last.ext1() == ext1::HDR_INNER
        && sums
        && last.v6() == v6
        && last.v4() != v6
        && last.tcp() == tcp
        && last.udp() != tcp
}

/// Whether a completion is of the UDP packet around.
fn is_outer(last: RxCompDesc, tunnel: Tunnel) -> bool {
    last.ext1() == 0 && last.v6() == tunnel.outer6 && last.udp() && !last.tcp()
}

fn inner_reported(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        for (id, tunnel) in Tunnel::all().enumerate() {
            let frame = inbound(bench, tunnel, false, id as u64);
            let last = receive(check, bench, "VMX-V4-003", &frame);
            check.holds("VMX-V4-011", is_inner(last, tunnel), "it is told of what is carried");
        }
        let plain = bench.to_guest(120);
        let last = receive(check, bench, "VMX-V4-003", &plain);
        check.equal("VMX-V4-003", "inner flags of another frame", last.ext1(), 0u8);
    });
}

/// Every tunnel is told of by what is around it.
fn all_outer(check: &mut Check, bench: &mut Bench) {
    for (id, tunnel) in Tunnel::all().enumerate().step_by(5) {
        let frame = inbound(bench, tunnel, false, id as u64);
        let last = receive(check, bench, "VMX-V4-003", &frame);
        check.holds("VMX-V4-003", is_outer(last, tunnel), "it is told of what is around");
    }
}

fn too_early(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, _| {
        bench.start();
        all_outer(check, bench);
    });
}

fn without_the_feature(check: &mut Check) {
    let mut setup = setup();
    setup.config.features &= !feature::RXINNEROFLD;
    check.at(9, Target::Both, &setup, |check, bench| {
        bench.start();
        all_outer(check, bench);
    });
}

fn without_checked_sums(check: &mut Check) {
    let mut setup = setup();
    setup.config.features &= !feature::RXCSUM;
    check.at(9, Target::Both, &setup, |check, bench| {
        bench.start();
        for (id, tunnel) in Tunnel::all().enumerate().step_by(7) {
            let frame = inbound(bench, tunnel, false, id as u64);
            let last = receive(check, bench, "VMX-V4-003", &frame);
            check.holds("VMX-V4-003", last.ext1() == 0 && last.cnc(), "nothing was verified");
        }
    });
}

/// A driver trusts both levels: one wrong sum of either leaves the packet to the outer headers.
fn wrong_checksums(check: &mut Check) {
    check.at(9, Target::Both, &setup(), |check, bench| {
        bench.start();
        for outer6 in [false, true] {
            for load in [Load::Udp4, Load::Tcp4, Load::Udp6, Load::Tcp6] {
                let tunnel = tunnel(Kind::Geneve, outer6, load, true);
                let mut frames = vec![inbound(bench, tunnel, true, 5)];
                let good = inbound(bench, tunnel, false, 6);
                let (udp, inner) = (if outer6 { 54 } else { 34 }, tunnel.around());
                // The last byte is covered by both sums; the others by that around alone, by both headers, or by IPv4's own.
                let mut places = vec![good.len() - 1, udp + 1, inner + 3];
                if !outer6 {
                    places.push(25);
                }
                if matches!(load, Load::Udp4 | Load::Tcp4) {
                    places.push(inner + 25);
                }
                for at in places {
                    let mut frame = good.clone();
                    frame[at] ^= 1;
                    frames.push(frame);
                }
                for frame in frames {
                    let last = receive(check, bench, "VMX-V4-003", &frame);
                    check.holds(
                        "VMX-V4-003",
                        is_outer(last, tunnel),
                        "what is not all right is told of by what is around",
                    );
                }
            }
        }
    });
}

fn load_without_a_checksum(check: &mut Check) {
    check.at(9, Target::Both, &setup(), |check, bench| {
        bench.start();
        let tunnel = tunnel(Kind::Vxlan, false, Load::Udp4, false);
        let mut frame = inbound(bench, tunnel, false, 3);
        let field = tunnel.headers() - 2;
        frame[field..field + 2].fill(0);
        let last = receive(check, bench, "VMX-V4-003", &frame);
        check.holds("VMX-V4-003", is_outer(last, tunnel) && last.cnc(), "nothing can be said of its sums");
    });
}

fn feature_changes(check: &mut Check) {
    check.at(7, Target::Both, &setup(), |check, bench| {
        bench.start();
        let tunnel = tunnel(Kind::Vxlan, true, Load::Tcp4, true);
        for round in 0..4u64 {
            let on = round % 2 == 1;
            let features = feature::RXCSUM | if on { feature::RXINNEROFLD } else { 0 };
            bench.put(bench.layout.shared + UPT_FEATURES_OFFSET, features);
            bench.command(Command::UpdateFeature);
            let frame = inbound(bench, tunnel, false, round);
            let last = receive(check, bench, "VMX-V4-011", &frame);
            let told = if on { is_inner(last, tunnel) } else { is_outer(last, tunnel) };
            check.holds("VMX-V4-011", told, "the feature counts from its command on");
        }
    });
}
