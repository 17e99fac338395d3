//! Transmit, packet by packet: where one begins and ends, which descriptor says what, what a doorbell means, what is completed.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{Bar0, CELL_BYTES, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case::new("packets-of-one-descriptor", &["VMX-TX-003"], |check| cut_alike(check, 1)),
    Case::new("packets-of-two-descriptors", &["VMX-TX-003"], |check| cut_alike(check, 2)),
    Case::new("packets-of-three-descriptors", &["VMX-TX-003"], |check| cut_alike(check, 3)),
    Case::new("packets-of-five-descriptors", &["VMX-TX-003"], |check| cut_alike(check, 5)),
    Case::new("packets-of-sixteen-descriptors", &["VMX-TX-003"], |check| cut_alike(check, 16)),
    Case::new("packets-of-any-number-of-descriptors", &["VMX-TX-003", "VMX-TX-002"], cut_anyhow),
    Case::new("pieces-of-one-byte", &["VMX-TX-003"], pieces_of_one_byte),
    Case::new("what-the-first-descriptor-says", &["VMX-TX-004"], first_descriptor),
    Case::new("tags-of-later-descriptors", &["VMX-TX-004"], later_tags),
    Case::new("doorbells-that-come-again", &["VMX-TX-013"], doorbells_again),
    Case::new("doorbells-of-an-earlier-packet", &["VMX-TX-013"], doorbells_of_before),
    Case::new("doorbells-past-the-ring", &["VMX-TX-013"], doorbells_past_the_ring),
    Case::new("doorbells-for-nothing", &["VMX-TX-013"], doorbells_for_nothing),
    Case::new("doorbells-that-are-read", &["VMX-REG-007"], doorbells_read),
    Case::new("packets-that-ask-for-no-completion", &["VMX-TX-023"], unasked).unless(&[Deviation::CompletesUnasked]),
    Case::new("one-completion-for-many", &["VMX-TX-023", "VMX-TX-009"], one_for_many)
        .unless(&[Deviation::CompletesUnasked]),
    Case::new("a-cq-before-the-end", &["VMX-TX-023"], cq_before_the_end).unless(&[Deviation::CompletesUnasked]),
    Case::new("half-a-packet-beside-a-whole-one", &["VMX-TX-022"], half_beside_whole),
    Case::new("full-rings-beside-each-other", &["VMX-TX-022", "VMX-TX-009"], full_beside_full),
    Case::new("a-stopped-queue-beside-others", &["VMX-TX-022"], stopped_beside_others),
    Case::new("a-ring-of-no-free-cell", &["VMX-TX-024"], no_free_cell),
    Case::new("packets-across-the-end-of-the-ring", &["VMX-TX-001", "VMX-TX-010"], across_the_end),
    Case::new("a-longer-completion-ring", &["VMX-TX-010"], longer_completion_ring),
    Case::new("buffers-at-any-address", &["VMX-TX-025"], any_address),
    Case::new("one-buffer-many-times", &["VMX-TX-025"], one_buffer),
    Case::new("the-longest-frame-of-the-mtu", &["VMX-TX-025"], longest_frame),
    Case::new("posted-before-activation", &["VMX-TX-026"], posted_before_activation),
];

/// Posts `frame` in `count` pieces of one length and rings; the index of the last.
fn post(bench: &mut Bench, queue: usize, frame: &[u8], count: usize) {
    let pieces: Vec<&[u8]> = frame.chunks(frame.len().div_ceil(count)).collect();
    bench.post_pieces(queue, &pieces, |_| {});
}

/// What was sent since the last call, and how many completions came.
fn outcome(bench: &mut Bench, queue: usize) -> (Vec<Vec<u8>>, usize) {
    bench.settle();
    let sent = bench.sent().into_iter().map(<[u8]>::to_vec).collect();
    let done = bench.completions(queue).len();
    bench.seen();
    (sent, done)
}

/// Thrice round the ring in packets of so many descriptors.
fn cut_alike(check: &mut Check, count: usize) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.seen();
        for round in 0..(3 * 32 / count) {
            let frame = bench.from_guest(64 + 8 * (round % 9));
            post(bench, 0, &frame, count);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-003", sent == [frame], "the bytes of its descriptors are the packet");
            check.equal("VMX-TX-003", "completions", done as u64, 1u32);
        }
    });
}

fn cut_anyhow(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.seen();
        for round in 0..12usize {
            let mut frames = Vec::new();
            for count in [1 + round % 7, 3, 1 + (round * 5) % 11, 2, 1] {
                let frame = bench.from_guest(60 + 10 * count);
                let pieces: Vec<&[u8]> = frame.chunks(frame.len().div_ceil(count)).collect();
                for (i, piece) in pieces.iter().enumerate() {
                    let mut desc = bench.piece(0, piece);
                    desc.set_eop(i + 1 == pieces.len());
                    desc.set_cq(i + 1 == pieces.len());
                    bench.post_cell(0, desc);
                }
                frames.push(frame);
            }
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-003", sent == frames, "each packet ends with its end, and the next begins there");
            check.equal("VMX-TX-002", "completions", done as u64, frames.len() as u64);
        }
    });
}

fn pieces_of_one_byte(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for at in 0..15 {
            let frame = bench.from_guest(80);
            let (before, rest) = frame.split_at(at);
            let (one, after) = rest.split_at(1);
            let pieces = [before, one, after].into_iter().filter(|piece| !piece.is_empty()).collect::<Vec<_>>();
            bench.seen();
            bench.post_pieces(0, &pieces, |_| {});
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-003", sent == [frame], "a piece of one byte is a piece, in the header too");
            check.equal("VMX-TX-003", "completions", done as u64, 1u32);
        }
    });
}

/// Whatever later descriptors say of offloads: the first one decides.
fn first_descriptor(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for (first, later) in [(om::NONE, om::CSUM), (om::NONE, om::TSO), (om::CSUM, om::NONE), (om::CSUM, om::TSO)] {
            let frame = bench.from_guest(120);
            bench.seen();
            for (i, piece) in frame.chunks(40).enumerate() {
                let mut desc = bench.piece(0, piece);
                desc.set_om(if i == 0 { first } else { later });
                desc.set_hlen(34);
                desc.set_msscof(50);
                desc.set_eop(i == 2);
                desc.set_cq(i == 2);
                bench.post_cell(0, desc);
            }
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.equal("VMX-TX-004", "frames", sent.len() as u64, 1u32);
            check.equal("VMX-TX-004", "completions", done as u64, 1u32);
            let untouched = sent.first() == Some(&frame);
            let others = sent.first().is_some_and(|sent| sent[..50] == frame[..50] && sent[52..] == frame[52..]);
            check.holds("VMX-TX-004", untouched == (first == om::NONE), "the first descriptor says whether to sum");
            check.holds("VMX-TX-004", others, "and where, and nothing else is changed");
        }
    });
}

fn later_tags(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for (first, later) in [(None, Some(7)), (Some(9), None), (Some(9), Some(7))] {
            let frame = bench.from_guest(90);
            bench.seen();
            for (i, piece) in frame.chunks(30).enumerate() {
                let tag = if i == 0 { first } else { later };
                let mut desc = bench.piece(0, piece);
                desc.set_ti(tag.is_some());
                desc.set_tci(tag.unwrap_or(0xfff));
                desc.set_eop(i == 2);
                desc.set_cq(i == 2);
                bench.post_cell(0, desc);
            }
            bench.ring(0);
            let mut expected = frame.clone();
            if let Some(tci) = first {
                expected.splice(12..12, [0x81, 0, 0, tci as u8]);
            }
            let (sent, _) = outcome(bench, 0);
            check.holds(
                "VMX-TX-004",
                sent == [expected],
                "the first descriptor says whether there is a tag, and which",
            );
        }
    });
}

fn doorbells_again(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.seen();
        for round in 0..40 {
            let frame = bench.from_guest(70);
            bench.send(0, &frame);
            for _ in 0..round % 4 {
                bench.ring(0);
            }
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent == [frame], "a packet is sent once, however often it is rung for");
            check.equal("VMX-TX-013", "completions", done as u64, 1u32);
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent.is_empty() && done == 0, "and not again behind its completion");
        }
    });
}

/// Doorbells of two processors that overtake each other: the index of the packet before is written last.
fn doorbells_of_before(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.seen();
        for _ in 0..40 {
            let one = bench.from_guest(70);
            let first = bench.post(0, &one);
            let other = bench.from_guest(71);
            bench.post(0, &other);
            bench.ring(0);
            bench.write0(Bar0::TxProd(0), (first + 1) % 32);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent == [one, other], "both are sent, once, in order");
            check.equal("VMX-TX-013", "completions", done as u64, 2u32);
        }
    });
}

fn doorbells_past_the_ring(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        bench.seen();
        for value in [32, 33, 0xfff, 0x1000, 0xffff, 1 << 31, u32::MAX] {
            bench.write0(Bar0::TxProd(0), value);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent.is_empty() && done == 0, "nothing is sent that nobody posted");
            let frame = bench.from_guest(75);
            bench.send(0, &frame);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent == [frame] && done == 1, "and what is posted then, once");
        }
    });
}

fn doorbells_for_nothing(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for queue_at in 0..36u32 {
            bench.seen();
            bench.write0(Bar0::TxProd(0), queue_at % 32);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-013", sent.is_empty() && done == 0, "an empty ring sends nothing, whatever is rung");
            check.holds("VMX-TX-013", !bench.wrote(), "and nothing is written");
            if queue_at % 3 == 0 {
                check.holds("VMX-TX-013", bench.serves(), "traffic flows");
            }
        }
    });
}

/// A dump of the registers reads doorbells while something is posted and not rung for.
fn doorbells_read(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        check.holds("VMX-REG-007", bench.serves(), "traffic flows");
        for q in 0..8 {
            bench.read0(Bar0::TxProd(q));
        }
        for q in 0..16 {
            bench.read0(Bar0::RxProd(q));
            bench.read0(Bar0::RxProd2(q));
        }
        bench.settle();
        bench.seen();
        bench.read0(Bar0::TxProd(0));
        bench.settle();
        check.holds("VMX-REG-007", !bench.wrote() && bench.sent().is_empty(), "reading a doorbell rings nothing");
        check.holds("VMX-REG-007", bench.serves(), "traffic still flows");
    });
}

fn post_with(bench: &mut Bench, frame: &[u8], cq: bool) {
    let mut desc = bench.piece(0, frame);
    desc.set_eop(true);
    desc.set_cq(cq);
    bench.post_cell(0, desc);
}

fn unasked(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for asked in [false, true, false, false, true, true, false] {
            let frame = bench.from_guest(88);
            bench.seen();
            post_with(bench, &frame, asked);
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-023", sent == [frame], "a packet is sent whether it asks for a completion or not");
            check.equal("VMX-TX-023", "completions", done as u64, u64::from(asked));
        }
    });
}

/// As FreeBSD posts: the last packet of a burst asks for all.
fn one_for_many(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for burst in [4, 7, 30, 1, 16] {
            let frames: Vec<_> = (0..burst).map(|i| bench.from_guest(60 + i)).collect();
            bench.settle();
            bench.seen();
            for (i, frame) in frames.iter().enumerate() {
                post_with(bench, frame, i + 1 == frames.len());
            }
            bench.ring(0);
            bench.settle();
            check.holds("VMX-TX-009", bench.sent() == frames, "all are sent, in order");
            let done = bench.completions(0);
            check.equal("VMX-TX-023", "completions", done.len() as u64, 1u32);
            // The ring has 32 cells and the cell behind the last packet is the next to fill.
            let next = bench.post(0, &frames[0]);
            bench.ring(0);
            bench.settle();
            bench.completions(0);
            let last = (next + 31) % 32;
            let named = done.first().is_some_and(|(_, cell)| u32::from(cell.txd_idx()) == last);
            check.holds("VMX-TX-023", named, "the completion names the last packet, and so all before it");
        }
    });
}

/// `cq` counts with the end of a packet; before it, it asks for nothing.
fn cq_before_the_end(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for (inner, last, expected) in [(true, false, 0u32), (true, true, 1), (false, true, 1), (false, false, 0)] {
            let frame = bench.from_guest(120);
            bench.seen();
            for (i, piece) in frame.chunks(40).enumerate() {
                let mut desc = bench.piece(0, piece);
                desc.set_eop(i == 2);
                desc.set_cq(if i == 2 { last } else { inner });
                bench.post_cell(0, desc);
            }
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-023", sent == [frame], "the packet is sent");
            check.equal("VMX-TX-023", "completions", done as u64, expected);
        }
    });
}

fn half_beside_whole(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(2), |check, bench| {
        bench.start();
        for _ in 0..6 {
            let slow = bench.from_guest(100);
            let (head, tail) = slow.split_at(40);
            let desc = bench.piece(0, head);
            bench.post_cell(0, desc);
            bench.ring(0);
            bench.settle();
            for _ in 0..3 {
                let frame = bench.from_guest(90);
                bench.seen();
                bench.send(1, &frame);
                let (sent, done) = outcome(bench, 1);
                check.holds("VMX-TX-022", sent == [frame] && done == 1, "another queue does not wait");
            }
            check.holds("VMX-TX-022", bench.completions(0).is_empty(), "half a packet is not completed");
            let mut desc = bench.piece(0, tail);
            desc.set_eop(true);
            desc.set_cq(true);
            bench.post_cell(0, desc);
            bench.seen();
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-022", sent == [slow] && done == 1, "and is sent whole, with no byte of the other's");
        }
    });
}

fn full_beside_full(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(3), |check, bench| {
        bench.start();
        let mut posted: [Vec<Vec<u8>>; 3] = Default::default();
        for i in 0..31 {
            for (queue, frames) in posted.iter_mut().enumerate() {
                let frame = bench.from_guest(60 + i + queue);
                bench.post(queue, &frame);
                frames.push(frame);
            }
        }
        bench.settle();
        bench.seen();
        (0..3).for_each(|queue| bench.ring(queue));
        bench.settle();
        let sent: Vec<Vec<u8>> = bench.sent().into_iter().map(<[u8]>::to_vec).collect();
        check.equal("VMX-TX-022", "frames of three queues", sent.len() as u64, 93u32);
        for (queue, frames) in posted.iter().enumerate() {
            let own: Vec<_> = sent.iter().filter(|frame| frames.contains(frame)).collect();
            check.holds("VMX-TX-009", own.into_iter().eq(frames), "each queue keeps its order");
            check.equal("VMX-TX-022", "completions", bench.completions(queue).len() as u64, 31u32);
        }
    });
}

fn stopped_beside_others(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..Setup::default().queues(3) }, |check, bench| {
        bench.start();
        for _ in 0..32 {
            let desc = bench.piece(1, &[0; 64]);
            bench.post_cell(1, desc);
        }
        bench.write0(Bar0::TxProd(1), 31);
        bench.settle();
        for queue in [0, 2, 0, 2] {
            let frame = bench.from_guest(90 + queue);
            bench.seen();
            bench.send(queue, &frame);
            let (sent, done) = outcome(bench, queue);
            check.holds("VMX-TX-022", sent == [frame] && done == 1, "a queue that stopped stops no other");
        }
        let frame = bench.to_guest(90);
        check.holds("VMX-TX-022", bench.receives(&frame), "nor what is received");
    });
}

/// Every descriptor is the device's at once, twice round.
fn no_free_cell(check: &mut Check) {
    check.on(Target::Software, &Setup::default(), |check, bench| {
        bench.start();
        for _ in 0..3 {
            let frames: Vec<_> = (0..32).map(|i| bench.from_guest(60 + i)).collect();
            frames.iter().for_each(|frame| _ = bench.post(0, frame));
            bench.settle();
            bench.seen();
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-024", sent == frames, "a ring without a free cell is full, not empty");
            check.equal("VMX-TX-024", "completions", done as u64, 32u32);
        }
    });
}

/// Packets of three descriptors in a ring of 32: each lap another piece of one stands behind the end.
fn across_the_end(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.seen();
        for round in 0..44u32 {
            let frame = bench.from_guest(90);
            post(bench, 0, &frame, 3);
            bench.settle();
            check.holds("VMX-TX-001", bench.sent() == [&frame[..]], "a packet goes on at the start of the ring");
            let last = (3 * round + 2) % 32;
            let slot = round % 32;
            let done = bench.completions(0);
            let expected = Bench::tx_completion(last, round / 32);
            check.holds("VMX-TX-010", done == [(slot, expected)], "its completion names the cell of its end");
            bench.seen();
        }
    });
}

fn longer_completion_ring(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.tx_comp = 64;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for round in 0..140u32 {
            let frame = bench.from_guest(64);
            bench.send(0, &frame);
            bench.settle();
            let expected = Bench::tx_completion(round % 32, round / 64);
            let done = bench.completions(0);
            check.holds("VMX-TX-010", done == [(round % 64, expected)], "each ring wraps at its own size");
        }
    });
}

fn any_address(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for shift in 0..17u64 {
            let frame = bench.from_guest(70);
            let mut desc = bench.piece(0, &frame);
            let pa = desc.addr() + shift;
            bench.store(pa, &frame);
            desc.set_addr(pa);
            desc.set_eop(true);
            desc.set_cq(true);
            bench.post_cell(0, desc);
            bench.seen();
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-025", sent == [frame] && done == 1, "a buffer may start at any byte");
        }
    });
}

/// One place in memory in several descriptors, of one packet and of several.
fn one_buffer(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let frame = bench.from_guest(64);
        let whole = bench.piece(0, &frame);
        let payload: TxDesc = {
            let mut desc = whole;
            desc.set_addr(whole.addr() + 32);
            desc.set_len(32);
            desc
        };
        bench.seen();
        for count in 0..4 {
            bench.post_cell(0, whole);
            for i in 0..=count {
                let mut desc = payload;
                desc.set_eop(i == count);
                desc.set_cq(i == count);
                bench.post_cell(0, desc);
            }
            bench.ring(0);
            let (sent, done) = outcome(bench, 0);
            let mut expected = frame.clone();
            (0..=count).for_each(|_| expected.extend_from_slice(&frame[32..]));
            check.holds("VMX-TX-025", sent == [expected] && done == 1, "the same bytes may be sent over and over");
        }
    });
}

fn longest_frame(check: &mut Check) {
    let mut setup = Setup { bytes: 192 << 10, ..Setup::default() };
    setup.config.tx_buffer_bytes = 2048;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for len in [14, 15, 59, 60, 1513, 1514] {
            let frame = bench.from_guest(len);
            bench.seen();
            bench.send(0, &frame);
            let (sent, done) = outcome(bench, 0);
            check.holds("VMX-TX-025", sent == [frame] && done == 1, "from a header alone to all of the MTU");
        }
    });
}

/// What stands in the ring when the device is activated waits for its doorbell, and one suffices.
fn posted_before_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.prepare();
        let frames: Vec<_> = (0..5).map(|i| bench.from_guest(60 + i)).collect();
        frames.iter().for_each(|frame| _ = bench.post(0, frame));
        check.equal("VMX-TX-026", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        bench.ring(0);
        bench.settle();
        check.holds("VMX-TX-026", bench.sent() == frames, "packets posted before ACTIVATE_DEV are sent, once");
        check.equal("VMX-TX-026", "completions", bench.completions(0).len() as u64, 5u32);
        let first: TxDesc = bench.get(bench.layout.tx[0].ring);
        let second: TxDesc = bench.get(bench.layout.tx[0].ring + CELL_BYTES);
        check.holds("VMX-TX-026", first.generation() && second.generation(), "their descriptors are as they were");
    });
}
