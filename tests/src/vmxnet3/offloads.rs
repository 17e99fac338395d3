//! Transmit offloads one by one: tags, checksums of any protocol, segmentation, and their combinations.

use super::packets::{Ip, L3, TCP, UDP, from};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::checksum;
use spec::profile::Deviation;
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::om;

pub(crate) const CASES: &[Case] = &[
    Case::new("a-tag-for-a-plain-frame", &["VMX-TX-020"], tag_plain),
    Case::new("a-tag-before-another", &["VMX-TX-020"], tag_before_tag),
    Case::new("a-tag-and-a-checksum", &["VMX-TX-020", "VMX-TX-015"], tag_and_checksum),
    Case::new("a-tag-on-every-segment", &["VMX-TX-020", "VMX-TX-017"], tag_and_segments),
    Case::new("a-tag-across-descriptors", &["VMX-TX-020"], tag_across),
    Case::new("a-tag-of-every-priority", &["VMX-TX-020"], tag_priorities),
    Case::new("checksum-of-tcp-over-ipv4", &["VMX-TX-015"], |check| known(check, Ip::v4, TCP)),
    Case::new("checksum-of-udp-over-ipv4", &["VMX-TX-015"], |check| known(check, Ip::v4, UDP)),
    Case::new("checksum-of-tcp-over-ipv6", &["VMX-TX-015"], |check| known(check, Ip::v6, TCP)),
    Case::new("checksum-of-udp-over-ipv6", &["VMX-TX-015"], |check| known(check, Ip::v6, UDP)),
    Case::new("checksum-of-no-known-protocol", &["VMX-TX-027"], unknown_protocol),
    Case::new("checksum-across-descriptors", &["VMX-TX-015"], checksum_across),
    Case::new("checksum-of-an-odd-number-of-bytes", &["VMX-TX-015"], checksum_odd),
    Case::new("checksum-that-comes-out-as-zero", &["VMX-TX-016", "VMX-TX-015"], checksum_zero),
    Case::new("checksum-before-its-start", &["VMX-TX-027"], field_before_start),
    Case::new("segments-of-ipv4", &["VMX-TX-017", "VMX-TX-018"], |check| segments(check, Ip::v4)),
    Case::new("segments-of-ipv6", &["VMX-TX-017", "VMX-TX-018"], |check| segments(check, Ip::v6)),
    Case::new("segments-with-a-remainder", &["VMX-TX-017"], remainder),
    Case::new("one-segment", &["VMX-TX-017"], one_segment),
    Case::new("no-payload-to-segment", &["VMX-TX-017"], no_payload).unless(&[Deviation::TsoCountsPackets]),
    Case::new("segments-of-one-byte", &["VMX-TX-017"], segments_of_one_byte),
    Case::new("segments-of-headers-in-pieces", &["VMX-TX-019"], headers_in_pieces),
    Case::new("segments-of-tcp-options", &["VMX-TX-019"], options),
    Case::new("segments-behind-a-tag", &["VMX-TX-019"], behind_a_tag),
    Case::new("flags-of-segments", &["VMX-TX-018"], flags),
    Case::new("identification-of-segments", &["VMX-TX-018"], identification),
    Case::new("sequence-numbers-that-wrap", &["VMX-TX-018"], sequence_wraps),
    Case::new("offloads-in-turn", &["VMX-TX-004"], in_turn),
];

/// One queue pair with TX buffers of 4 KiB.
fn roomy() -> Setup {
    let mut setup = Setup { bytes: 256 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = 4096;
    setup
}

/// Posts `pieces` with `change` made to the first, and what was sent; a packet is completed once.
fn sent(
    check: &mut Check,
    bench: &mut Bench,
    clause: &'static str,
    pieces: &[&[u8]],
    change: impl FnOnce(&mut TxDesc),
) -> Vec<Vec<u8>> {
    bench.completions(0);
    bench.seen();
    bench.post_pieces(0, pieces, change);
    bench.settle();
    check.equal(clause, "completions", bench.completions(0).len() as u64, 1u32);
    bench.sent().into_iter().map(<[u8]>::to_vec).collect()
}

fn with_tag(frame: &[u8], tci: u16) -> Vec<u8> {
    let [high, low] = tci.to_be_bytes();
    let mut frame = frame.to_vec();
    frame.splice(12..12, [0x81, 0, high, low]);
    frame
}

fn tag(desc: &mut TxDesc, tci: u16) {
    desc.set_ti(true);
    desc.set_tci(tci);
}

fn sum(desc: &mut TxDesc, start: usize, field: usize) {
    desc.set_om(om::CSUM);
    desc.set_hlen(start as u16);
    desc.set_msscof(field as u16);
}

fn segment(desc: &mut TxDesc, headers: usize, mss: usize) {
    desc.set_om(om::TSO);
    desc.set_hlen(headers as u16);
    desc.set_msscof(mss as u16);
}

fn tag_plain(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for len in [14, 59, 60, 100, 1514] {
            let frame = bench.from_guest(len);
            let got = sent(check, bench, "VMX-TX-020", &[&frame], |desc| tag(desc, 0x2abc));
            check.holds("VMX-TX-020", got == [with_tag(&frame, 0x2abc)], "the tag stands behind the addresses");
            let got = sent(check, bench, "VMX-TX-020", &[&frame], |desc| desc.set_tci(0x2abc));
            check.holds("VMX-TX-020", got == [frame], "and without ti there is none, whatever tci holds");
        }
    });
}

fn tag_before_tag(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for kind in [[0x81, 0], [0x88, 0xa8]] {
            let mut frame = bench.from_guest(100);
            frame.splice(12..12, [kind[0], kind[1], 0, 9]);
            let got = sent(check, bench, "VMX-TX-020", &[&frame], |desc| tag(desc, 7));
            check.holds("VMX-TX-020", got == [with_tag(&frame, 7)], "a tag that is there stays, behind the new one");
        }
    });
}

fn tag_and_checksum(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (make, protocol) in [(Ip::v4 as fn(_, _, _) -> _, TCP), (Ip::v4, UDP), (Ip::v6, TCP), (Ip::v6, UDP)] {
            let whole: Ip = from(bench.config.mac, make([0; 6], protocol, 77));
            let packet = whole.clone().seeded();
            let got = sent(check, bench, "VMX-TX-020", &[&packet.bytes], |desc| {
                sum(desc, packet.l4, packet.field.unwrap_or(0));
                tag(desc, 0x6123);
            });
            check.holds("VMX-TX-015", got == [with_tag(&whole.bytes, 0x6123)], "offsets do not count the tag inserted");
        }
    });
}

fn tag_and_segments(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let packet = from(bench.config.mac, make([0; 6], TCP, 300));
            let headers = packet.l4 + 20;
            let got = sent(check, bench, "VMX-TX-020", &[&packet.bytes], |desc| {
                segment(desc, headers, 100);
                tag(desc, 0x0fff);
            });
            check.equal("VMX-TX-017", "segments", got.len() as u64, 3u32);
            let tagged = got.iter().all(|frame| frame[12..16] == [0x81, 0, 0x0f, 0xff]);
            check.holds("VMX-TX-020", tagged, "every segment has the tag");
            let long = got.iter().all(|frame| frame.len() == headers + 4 + 100);
            check.holds("VMX-TX-017", long, "and mss counts the payload alone");
        }
    });
}

/// The place of the tag in another descriptor than the first, and at the bound of two.
fn tag_across(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for cut in [1, 5, 6, 11, 12, 13, 14, 15] {
            let frame = bench.from_guest(80);
            let (head, rest) = frame.split_at(cut);
            let got = sent(check, bench, "VMX-TX-020", &[head, rest], |desc| tag(desc, 5));
            check.holds("VMX-TX-020", got == [with_tag(&frame, 5)], "wherever the header is cut");
        }
    });
}

fn tag_priorities(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for bit in 0..16 {
            let frame = bench.from_guest(64);
            let got = sent(check, bench, "VMX-TX-020", &[&frame], |desc| tag(desc, 1 << bit));
            check.holds("VMX-TX-020", got == [with_tag(&frame, 1 << bit)], "all 16 bits of tci are sent");
        }
        let frame = bench.from_guest(64);
        let got = sent(check, bench, "VMX-TX-020", &[&frame], |desc| tag(desc, 0));
        check.holds("VMX-TX-020", got == [with_tag(&frame, 0)], "and a tag of 0 is a tag");
    });
}

fn known(check: &mut Check, make: fn([u8; 6], u8, usize) -> Ip, protocol: u8) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for payload in [0, 1, 2, 30, 31, 1000, 1001] {
            let whole = from(bench.config.mac, make([0; 6], protocol, payload));
            let packet = whole.clone().seeded();
            let got = sent(check, bench, "VMX-TX-015", &[&packet.bytes], |desc| {
                sum(desc, packet.l4, packet.field.unwrap_or(0));
            });
            check.holds("VMX-TX-015", got == [whole.bytes], "the checksum is the one a receiver computes");
        }
    });
}

/// The frame with the complement of the sum from `start` on at `field`.
fn summed(frame: &[u8], start: usize, field: usize) -> Vec<u8> {
    let value = checksum::finish(checksum::add(0, &frame[start..]));
    let mut frame = frame.to_vec();
    frame[field..field + 2].copy_from_slice(&value.to_be_bytes());
    frame
}

/// A device looks at offsets, not at protocols: those that it does not know, and no protocol at all.
fn unknown_protocol(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for protocol in [1u8, 47, 58, 132, 253] {
            for make in [Ip::v4, Ip::v6] {
                let packet = from(bench.config.mac, make([0; 6], protocol, 60));
                let field = packet.l4 + 2;
                let got = sent(check, bench, "VMX-TX-027", &[&packet.bytes], |desc| sum(desc, packet.l4, field));
                check.holds("VMX-TX-027", got == [summed(&packet.bytes, packet.l4, field)], "of any protocol");
            }
        }
        for (start, field) in [(14, 16), (20, 40), (60, 70)] {
            let frame = bench.from_guest(90);
            let got = sent(check, bench, "VMX-TX-027", &[&frame], |desc| sum(desc, start, field));
            check.holds("VMX-TX-027", got == [summed(&frame, start, field)], "and where there is no IP");
        }
    });
}

fn checksum_across(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let whole = from(bench.config.mac, Ip::v4([0; 6], UDP, 40));
        let packet = whole.clone().seeded();
        let field = packet.field.unwrap_or(0);
        for cut in [10, 14, 33, 34, 35, field, field + 1, field + 2, 70] {
            let (head, rest) = packet.bytes.split_at(cut);
            let (middle, tail) = rest.split_at(1);
            let got = sent(check, bench, "VMX-TX-015", &[head, middle, tail], |desc| sum(desc, packet.l4, field));
            check.holds("VMX-TX-015", got == [&whole.bytes[..]], "wherever the packet is cut, the field included");
        }
    });
}

fn checksum_odd(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for len in 60..76 {
            for start in [30, 31] {
                let frame = bench.from_guest(len);
                let got = sent(check, bench, "VMX-TX-015", &[&frame], |desc| sum(desc, start, 40));
                check.holds("VMX-TX-015", got == [summed(&frame, start, 40)], "a last byte alone counts as a high one");
            }
        }
    });
}

/// UDP says by 0 that there is no checksum; TCP has no such thing, and its receiver takes either of the two zeros.
fn checksum_zero(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (make, protocol) in [(Ip::v4 as fn(_, _, _) -> Ip, UDP), (Ip::v6, UDP), (Ip::v4, TCP), (Ip::v6, TCP)] {
            let mut packet = from(bench.config.mac, make([0; 6], protocol, 40)).seeded();
            let at = packet.l4 + 24;
            packet.bytes[at..at + 2].fill(0);
            let rest = checksum::finish(checksum::add(0, &packet.bytes[packet.l4..]));
            packet.bytes[at..at + 2].copy_from_slice(&rest.to_be_bytes());
            let field = packet.field.unwrap_or(0);
            let got = sent(check, bench, "VMX-TX-016", &[&packet.bytes], |desc| sum(desc, packet.l4, field));
            let found = got.first().map_or(1, |frame| u16::from_be_bytes([frame[field], frame[field + 1]]));
            if protocol == UDP {
                check.equal("VMX-TX-016", "checksum of UDP that comes out as 0", found, 0xffffu16);
            } else {
                check.holds("VMX-TX-015", [0, 0xffff].contains(&found), "that of TCP is one of the two zeros");
            }
        }
    });
}

/// The field may stand before the bytes that are summed.
fn field_before_start(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (start, field) in [(40, 14), (40, 38), (41, 40), (60, 20)] {
            let frame = bench.from_guest(90);
            let got = sent(check, bench, "VMX-TX-027", &[&frame], |desc| sum(desc, start, field));
            check.holds("VMX-TX-027", got == [summed(&frame, start, field)], "the field may stand anywhere");
        }
    });
}

/// What the segments of `packet` must be, cut to `mss` bytes.
fn expected(packet: &Ip, headers: usize, mss: usize) -> Vec<Vec<u8>> {
    let payload = &packet.bytes[headers..];
    let mut chunks: Vec<&[u8]> = payload.chunks(mss).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let last = chunks.len() - 1;
    let cut = |(number, chunk): (usize, &&[u8])| {
        let mut one = Ip { bytes: [&packet.bytes[..headers], chunk].concat(), ..packet.clone() };
        let (l3, l4, length) = (L3, packet.l4, one.bytes.len() - L3);
        if one.bytes[l3] >> 4 == 4 {
            one.bytes[l3 + 2..l3 + 4].copy_from_slice(&(length as u16).to_be_bytes());
            let id = u16::from_be_bytes([one.bytes[l3 + 4], one.bytes[l3 + 5]]).wrapping_add(number as u16);
            one.bytes[l3 + 4..l3 + 6].copy_from_slice(&id.to_be_bytes());
        } else {
            one.bytes[l3 + 4..l3 + 6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        }
        let sequence = [0, 1, 2, 3].map(|at| one.bytes[l4 + 4 + at]);
        let sequence = u32::from_be_bytes(sequence).wrapping_add((number * mss) as u32);
        one.bytes[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        if number != last {
            one.bytes[l4 + 13] &= !(FIN | PSH);
        }
        if number != 0 {
            one.bytes[l4 + 13] &= !CWR;
        }
        one.fill();
        one.bytes
    };
    chunks.iter().enumerate().map(cut).collect()
}

/// Flags of TCP that segments do not all have. Source: RFC 9293, section 3.1; RFC 3168, section 6.1.2.
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Sends `packet` to be cut to `mss` bytes in `pieces`, and compares every byte of every segment.
fn cut(check: &mut Check, bench: &mut Bench, clause: &'static str, packet: &Ip, mss: usize, bounds: &[usize]) {
    let headers = packet.l4 + usize::from(packet.bytes[packet.l4 + 12] >> 4) * 4;
    let mut pieces = Vec::new();
    let mut from = 0;
    for &bound in bounds.iter().chain([&packet.bytes.len()]) {
        if bound > from {
            pieces.push(&packet.bytes[from..bound]);
            from = bound;
        }
    }
    let got = sent(check, bench, clause, &pieces, |desc| segment(desc, headers, mss));
    let expected = expected(packet, headers, mss);
    check.equal(clause, "segments", got.len() as u64, expected.len() as u64);
    check.holds(clause, got == expected, "each segment is the packet that a receiver expects there");
}

fn segments(check: &mut Check, make: fn([u8; 6], u8, usize) -> Ip) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (payload, mss) in [(1000, 100), (2920, 1460), (600, 300), (96, 32)] {
            let packet = from(bench.config.mac, make([0; 6], TCP, payload));
            cut(check, bench, "VMX-TX-017", &packet, mss, &[]);
            cut(check, bench, "VMX-TX-018", &packet, mss, &[packet.l4 + 20]);
        }
    });
}

fn remainder(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (payload, mss) in [(101, 100), (199, 100), (1461, 1460), (7, 3), (1000, 999)] {
            let packet = from(bench.config.mac, Ip::v4([0; 6], TCP, payload));
            cut(check, bench, "VMX-TX-017", &packet, mss, &[]);
        }
    });
}

fn one_segment(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for (payload, mss) in [(100, 100), (99, 100), (1, 100), (1, 1), (500, 9000)] {
            for make in [Ip::v4, Ip::v6] {
                let packet = from(bench.config.mac, make([0; 6], TCP, payload));
                cut(check, bench, "VMX-TX-017", &packet, mss, &[]);
            }
        }
    });
}

fn no_payload(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let packet = from(bench.config.mac, make([0; 6], TCP, 0));
            cut(check, bench, "VMX-TX-017", &packet, 100, &[]);
        }
    });
}

fn segments_of_one_byte(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        let packet = from(bench.config.mac, Ip::v4([0; 6], TCP, 23));
        cut(check, bench, "VMX-TX-017", &packet, 1, &[]);
        cut(check, bench, "VMX-TX-017", &packet, 1, &[packet.l4 + 20, packet.l4 + 30]);
    });
}

/// Headers cut at each place where one might look for a whole one.
fn headers_in_pieces(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let packet = from(bench.config.mac, make([0; 6], TCP, 250));
            let l4 = packet.l4;
            for bounds in
                [&[14][..], &[1, 13, 15], &[l4], &[l4 - 1, l4 + 1], &[6, 14, l4, l4 + 20], &[l4 + 19, l4 + 21]]
            {
                cut(check, bench, "VMX-TX-019", &packet, 100, bounds);
            }
        }
    });
}

/// TCP headers of 20 to 60 bytes.
fn options(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for words in [1usize, 3, 10] {
            for make in [Ip::v4, Ip::v6] {
                let mut packet = from(bench.config.mac, make([0; 6], TCP, 200));
                // What was the start of the payload is an option now: one that says nothing.
                packet.bytes[packet.l4 + 12] = (5 + words as u8) << 4;
                packet.bytes[packet.l4 + 20..packet.l4 + 20 + 4 * words].fill(1);
                cut(check, bench, "VMX-TX-019", &packet, 64, &[]);
                cut(check, bench, "VMX-TX-019", &packet, 64, &[packet.l4 + 22]);
            }
        }
    });
}

/// A tag that is part of the packet: headers are four bytes longer.
fn behind_a_tag(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let plain = from(bench.config.mac, make([0; 6], TCP, 250));
            let tagged = plain.clone().tagged(0x2005);
            let got = sent(check, bench, "VMX-TX-019", &[&tagged.bytes], |desc| segment(desc, plain.l4 + 24, 100));
            let expected: Vec<_> =
                expected(&plain, plain.l4 + 20, 100).iter().map(|frame| with_tag(frame, 0x2005)).collect();
            check.holds("VMX-TX-019", got == expected, "a packet with a tag of its own is cut alike");
        }
    });
}

fn flags(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for bit in 0..8 {
            for other in [0, 0x10, 0xff] {
                let mut packet = from(bench.config.mac, Ip::v4([0; 6], TCP, 90));
                packet.bytes[packet.l4 + 13] = 1 << bit | other;
                cut(check, bench, "VMX-TX-018", &packet, 30, &[]);
            }
        }
    });
}

fn identification(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for id in [0u16, 1, 0x7fff, 0xfffe, 0xffff] {
            let mut packet = from(bench.config.mac, Ip::v4([0; 6], TCP, 90));
            packet.bytes[L3 + 4..L3 + 6].copy_from_slice(&id.to_be_bytes());
            cut(check, bench, "VMX-TX-018", &packet, 30, &[]);
        }
    });
}

fn sequence_wraps(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for sequence in [u32::MAX, u32::MAX - 29, u32::MAX - 30, u32::MAX - 31, 0, 1 << 31] {
            let mut packet = from(bench.config.mac, Ip::v4([0; 6], TCP, 90));
            packet.bytes[packet.l4 + 4..packet.l4 + 8].copy_from_slice(&sequence.to_be_bytes());
            cut(check, bench, "VMX-TX-018", &packet, 30, &[]);
        }
    });
}

/// What one packet asks for is not asked for by the next.
fn in_turn(check: &mut Check) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for round in 0..9 {
            let whole = from(bench.config.mac, Ip::v4([0; 6], TCP, 120 + round));
            let packet = whole.clone().seeded();
            let field = packet.field.unwrap_or(0);
            let plain = bench.from_guest(70 + round);
            let got = sent(check, bench, "VMX-TX-004", &[&packet.bytes], |desc| sum(desc, packet.l4, field));
            check.holds("VMX-TX-004", got == [&whole.bytes[..]], "a packet to be summed is summed");
            let got = sent(check, bench, "VMX-TX-004", &[&plain], |_| {});
            check.holds("VMX-TX-004", got == [&plain[..]], "the next, which asks for nothing, is sent as it is");
            let got = sent(check, bench, "VMX-TX-004", &[&packet.bytes], |desc| {
                segment(desc, packet.l4 + 20, 50);
                tag(desc, 3);
            });
            check.equal("VMX-TX-004", "segments", got.len() as u64, 3u32);
            let got = sent(check, bench, "VMX-TX-004", &[&plain[..30], &plain[30..]], |_| {});
            check.holds("VMX-TX-004", got == [&plain[..]], "and neither cut nor tagged behind one that is");
        }
    });
}
