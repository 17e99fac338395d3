//! Receive, buffer by buffer: which one a frame starts in, where it goes on, what is skipped, and what happens at the end of each ring.

use super::offered::BUFFERS;
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::{Bar0, CELL_BYTES, RxCompDesc, RxDesc};

/// Devices that do not go on behind a frame that has run out of buffers.
const CONSUMES: &[Deviation] = &[Deviation::OutOfBuffersConsumes];

pub(crate) const CASES: &[Case] = &[
    Case::new("a-buffer-a-frame", &["VMX-RX-001", "VMX-RX-003"], a_buffer_a_frame),
    Case::new("every-cell-owned", &["VMX-RX-002"], every_cell_owned),
    Case::new("every-cell-owned-again", &["VMX-RX-002"], every_cell_owned_again),
    Case::new("bodies-in-ring-0", &["VMX-RX-004", "VMX-RX-022"], bodies_in_ring_0),
    Case::new("bodies-in-ring-1", &["VMX-RX-004", "VMX-RX-022"], bodies_in_ring_1),
    Case::new("bodies-in-both-rings", &["VMX-RX-022"], bodies_in_both),
    Case::new("bodies-that-are-skipped", &["VMX-RX-005"], skipped).unless(&[Deviation::ShortFramesUnpadded]),
    Case::new("heads-in-ring-1", &["VMX-RX-004"], heads_in_ring_1).unless(CONSUMES),
    Case::new("no-head-at-all", &["VMX-RX-012", "VMX-RX-003"], no_head).unless(CONSUMES),
    Case::new("around-ring-0", &["VMX-RX-001"], |check| around(check, [32, 32], 64)),
    Case::new("around-a-longer-ring-1", &["VMX-RX-001"], |check| around(check, [32, 64], 96)),
    Case::new("around-a-shorter-ring-1", &["VMX-RX-001"], |check| around(check, [64, 32], 96)),
    Case::new("around-a-longer-completion-ring", &["VMX-RX-001"], |check| around(check, [32, 32], 128)),
    Case::new("frames-of-two-buffers-around", &["VMX-RX-006"], two_buffers_around),
    Case::new("no-word-of-buffers", &["VMX-RX-014"], |check| told(check, &[])),
    Case::new("a-word-of-0", &["VMX-RX-014"], |check| told(check, &[0])),
    Case::new("a-word-of-the-last-cell", &["VMX-RX-014"], |check| told(check, &[31])),
    Case::new("words-that-lie", &["VMX-RX-014"], |check| told(check, &[7, 0, 31, 32, 0xffff, u32::MAX])),
    Case::new("buffers-one-by-one", &["VMX-RX-014", "VMX-RX-012"], one_by_one).unless(CONSUMES),
    Case::new("no-room-for-the-rest", &["VMX-RX-012", "VMX-RX-013"], no_room_for_the_rest).unless(CONSUMES),
    Case::new("a-frame-of-all-buffers", &["VMX-RX-022"], all_buffers).unless(&[Deviation::ZeroRxSgIsOne]),
    Case::new("short-frames", &["VMX-RX-009"], short_frames).unless(&[Deviation::ShortFramesUnpadded]),
    Case::new("every-length", &["VMX-RX-009", "VMX-RX-008"], every_length).unless(&[Deviation::ShortFramesUnpadded]),
    Case::new("receive-buffers-at-any-address", &["VMX-RX-023"], any_address),
    Case::new("descriptors-stay-as-they-are", &["VMX-SHM-005"], descriptors_stay),
    Case::new("bits-of-a-plain-completion", &["VMX-RX-017", "VMX-RX-018"], plain_completion)
        .unless(&[Deviation::RxTypeZero, Deviation::RxNothingVerified]),
    Case::new("a-buffer-that-cannot-be-written", &["VMX-RX-013", "VMX-RX-024"], unwritable),
    Case::new("queues-that-receive-beside-an-empty-one", &["VMX-RX-025"], beside_an_empty_one).unless(CONSUMES),
];

/// Offers a frame of `len` bytes and says what became of it.
fn offer(bench: &mut Bench, len: usize) -> (Vec<u8>, Vec<(Vec<u8>, RxCompDesc)>) {
    let frame = bench.to_guest(len);
    bench.offer(&frame);
    bench.settle();
    let got = bench.received(0);
    (frame, got)
}

/// Whether a frame of `len` bytes arrives whole.
fn arrives(bench: &mut Bench, len: usize) -> bool {
    let frame = bench.to_guest(len);
    bench.receives(&frame)
}

fn a_buffer_a_frame(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..70u16 {
            let (frame, got) = offer(bench, 60 + usize::from(round % 190));
            let [(bytes, cell)] = &got[..] else {
                check.holds("VMX-RX-001", false, "a frame is delivered");
                return;
            };
            check.holds("VMX-RX-001", *bytes == frame, "it is the frame");
            check.equal("VMX-RX-003", "index of its buffer", cell.rxd_idx(), round % 32);
            check.equal("VMX-RX-003", "rqID", cell.rq_id(), 0u16);
        }
    });
}

/// Gives the device the cell that the bench leaves free in each ring, so that none is.
fn fill_up(bench: &mut Bench) {
    let area = bench.layout.rx[0];
    for ring in 0..2 {
        let last = area.ring_size[ring] - 1;
        let mut desc: RxDesc = bench.get(area.ring[ring]);
        desc.set_addr(area.buffers[ring] + u64::from(bench.config.rx_buffer_stride(ring)) * u64::from(last));
        bench.put(area.ring[ring] + CELL_BYTES * u64::from(last), desc);
    }
}

fn every_cell_owned(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        fill_up(bench);
        check.equal("VMX-RX-002", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        for _ in 0..32 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let cells = bench.rx_slots(0, 0, 32);
        let all = (0..).zip(&cells).all(|(at, cell)| cell.generation() && cell.rxd_idx() == at);
        check.holds("VMX-RX-002", all, "a ring of which every cell is owned is full, and all of it is used");
        let frame = bench.to_guest(100);
        bench.offer(&frame);
        bench.settle();
        let next = bench.rx_slots(0, 32, 1);
        check.holds("VMX-RX-002", next.iter().all(|cell| !cell.generation()), "and none of it twice");
    });
}

/// All cells are given back at once, a lap later.
fn every_cell_owned_again(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        fill_up(bench);
        check.equal("VMX-RX-002", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        let area = bench.layout.rx[0];
        for lap in 0..3u32 {
            for at in 0..32 {
                let pa = area.ring[0] + CELL_BYTES * at;
                let mut desc: RxDesc = bench.get(pa);
                desc.set_generation(lap.is_multiple_of(2));
                bench.put(pa, desc);
            }
            for _ in 0..32 {
                let frame = bench.to_guest(100);
                bench.offer(&frame);
                bench.settle();
            }
            let received = bench.rx_stats(0).ucast_pkts_rx_ok();
            check.equal("VMX-RX-002", "frames received", received, 32 * u64::from(lap + 1));
        }
    });
}

/// Ring 0 of one HEAD and so many BODY behind it, as a driver with a large MTU has it.
fn pattern(every: u32) -> Setup {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::default() };
    (setup.config.head_every, setup.config.max_rx_sg) = (every, BUFFERS);
    setup
}

fn bodies_in_ring_0(check: &mut Check) {
    check.on(Target::Both, &pattern(4), |check, bench| {
        bench.start();
        for round in 0..20 {
            let (frame, got) = offer(bench, 1000);
            let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.eop() && !last.err());
            check.holds("VMX-RX-004", whole, "a frame goes on in the BODY buffers behind its HEAD");
            let last = got.first().map_or(0, |(_, last)| last.rxd_idx());
            check.equal("VMX-RX-022", "index of the last one, of ring 0", last, (4 * round + 3u16) % 32);
        }
    });
}

fn bodies_in_ring_1(check: &mut Check) {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::default() };
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for round in 0..20u16 {
            let (frame, got) = offer(bench, 1000);
            let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.eop() && !last.err());
            check.holds("VMX-RX-004", whole, "where ring 0 has no BODY a frame goes on in ring 1");
            let last = got.first().map_or(0, |(_, last)| last.rxd_idx());
            check.equal("VMX-RX-022", "index of the last one, of ring 1", last, (3 * round + 2) % 32);
        }
    });
}

fn bodies_in_both(check: &mut Check) {
    check.on(Target::Both, &pattern(2), |check, bench| {
        bench.start();
        for round in 0..20u16 {
            let (frame, got) = offer(bench, 1000);
            let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.eop() && !last.err());
            check.holds("VMX-RX-022", whole, "ring 0 first, then ring 1");
            let last = got.first().map_or(0, |(_, last)| last.rxd_idx());
            check.equal("VMX-RX-022", "index of the last one, of ring 1", last, (2 * round + 1) % 32);
        }
    });
}

/// Frames of one buffer in a ring where BODY follow each HEAD: those are passed over, and told by no completion.
fn skipped(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..pattern(4) }, |check, bench| {
        bench.start();
        for at in 0..7u16 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
            let cells = bench.rx_slots(0, u32::from(at), 2);
            let one = cells[0].generation() && cells[0].sop() && cells[0].eop() && cells[0].rxd_idx() == 4 * at;
            check.holds("VMX-RX-005", one, "a frame starts in the next HEAD");
            check.holds("VMX-RX-005", !cells[1].generation(), "what is passed over has no completion");
        }
        // The eighth HEAD, then two BODY of the four behind it, then BODY of ring 1: never the ones passed over.
        let frame = bench.to_guest(256 * 5);
        bench.offer(&frame);
        bench.settle();
        let cells = bench.rx_slots(0, 7, 5);
        let named: Vec<_> = cells.iter().map(|cell| (cell.rq_id(), cell.rxd_idx())).collect();
        let expected = [(0, 28), (0, 29), (0, 30), (1, 0), (1, 1)];
        check.holds("VMX-RX-005", named == expected, "nor is it used later in that lap");
    });
}

/// A HEAD where a BODY has to stand: no frame starts there, and none goes on in it.
fn heads_in_ring_1(check: &mut Check) {
    let mut setup = Setup::unjudged();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.prepare();
        let ring = bench.layout.rx[0].ring[1];
        for at in 0..31 {
            let pa = ring + CELL_BYTES * at;
            let mut desc: RxDesc = bench.get(pa);
            desc.set_btype(false);
            bench.put(pa, desc);
        }
        check.equal("VMX-RX-004", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        let frame = bench.to_guest(600);
        bench.offer(&frame);
        bench.settle();
        let cells = bench.rx_slots(0, 0, 3);
        let good = cells.iter().any(|cell| cell.generation() && cell.rq_id() == 1 && !cell.err() && cell.eop());
        check.holds("VMX-RX-004", !good, "no frame is told as whole in a buffer of the wrong kind");
        check.holds("VMX-RX-004", bench.recovers(), "RESET_DEV and ACTIVATE_DEV bring service back");
    });
}

/// Ring 0 of BODY alone: nothing can start.
fn no_head(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let ring = bench.layout.rx[0].ring[0];
        for at in 0..31 {
            let pa = ring + CELL_BYTES * at;
            let mut desc: RxDesc = bench.get(pa);
            desc.set_btype(true);
            bench.put(pa, desc);
        }
        check.equal("VMX-RX-003", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        for _ in 0..3 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let cells = bench.rx_slots(0, 0, 3);
        check.holds(
            "VMX-RX-003",
            cells.iter().all(|cell| !cell.generation() || cell.err()),
            "no frame starts in a BODY",
        );
        let stats = bench.rx_stats(0);
        let counted = stats.pkts_rx_out_of_buf() + stats.pkts_rx_error();
        check.equal("VMX-RX-012", "frames counted as dropped", counted, 3u32);
        check.holds("VMX-RX-012", bench.recovers(), "RESET_DEV and ACTIVATE_DEV bring service back");
    });
}

/// Several laps of rings of these sizes, with frames of one buffer and of three.
fn around(check: &mut Check, rings: [u32; 2], comp: u32) {
    let mut setup = Setup { bytes: 160 << 10, ..Setup::default() };
    let config = &mut setup.config;
    (config.rx_ring, config.rx_comp, config.max_rx_sg) = (rings, comp, BUFFERS);
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for round in 0..150usize {
            let len = if round % 3 == 0 { 700 } else { 60 + round };
            check.holds("VMX-RX-001", arrives(bench, len), "each ring wraps at its own size, lap after lap");
        }
    });
}

fn two_buffers_around(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for _ in 0..100 {
            let (frame, got) = offer(bench, 400);
            let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.eop() && !last.sop());
            check.holds("VMX-RX-006", whole, "two completions a frame, also across the end of their ring");
        }
    });
}

/// Whatever is written to the receive doorbells while `updateRxProd` is 0 makes no difference.
fn told(check: &mut Check, words: &'static [u32]) {
    check.on(Target::Software, &Setup::default(), |check, bench| {
        bench.start();
        let tell = |bench: &mut Bench| {
            for &word in words {
                bench.write0(Bar0::RxProd(0), word);
                bench.write0(Bar0::RxProd2(0), word);
            }
        };
        tell(bench);
        for round in 0..70 {
            check.holds("VMX-RX-014", arrives(bench, 100), "a buffer is found by its generation alone");
            if round % 5 == 0 {
                tell(bench);
            }
        }
    });
}

/// Buffers that come one at a time, each told of by nothing but its generation.
fn one_by_one(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let ring = bench.layout.rx[0].ring[0];
        let flip = |bench: &mut Bench, at: u64, owned: bool| {
            let pa = ring + CELL_BYTES * at;
            let mut desc: RxDesc = bench.get(pa);
            desc.set_generation(owned);
            bench.put(pa, desc);
        };
        (0..31).for_each(|at| flip(bench, at, false));
        check.equal("VMX-RX-014", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        for at in 0..20u64 {
            let lost = bench.to_guest(90);
            bench.offer(&lost);
            bench.settle();
            flip(bench, at, true);
            let frame = bench.to_guest(91);
            bench.offer(&frame);
            bench.settle();
            let cell = bench.rx_slots(0, at as u32, 1)[0];
            let used = cell.generation() && u64::from(cell.rxd_idx()) == at && cell.len() == 91;
            check.holds("VMX-RX-014", used, "the next frame takes a buffer as soon as it is there");
            let dropped = bench.rx_stats(0).pkts_rx_out_of_buf();
            check.equal("VMX-RX-012", "pktsRxOutOfBuf", dropped, at + 1);
        }
    });
}

/// A frame that finds its first buffers and not its last.
fn no_room_for_the_rest(check: &mut Check) {
    let mut setup = Setup::unjudged();
    (setup.config.rx_ring[1], setup.config.max_rx_sg) = (0, BUFFERS);
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for round in 1..6u32 {
            let frame = bench.to_guest(500);
            bench.offer(&frame);
            bench.settle();
            let cells = bench.rx_slots(0, 0, 32);
            let cut = cells.iter().any(|cell| cell.generation() && cell.len() == 256 && cell.eop() && !cell.err());
            check.holds("VMX-RX-013", !cut, "no frame is told as whole that is not");
            let stats = bench.rx_stats(0);
            let counted = stats.pkts_rx_out_of_buf() + stats.pkts_rx_error();
            check.equal("VMX-RX-012", "frames counted as dropped", counted, round);
        }
        bench.received(0);
        check.holds("VMX-RX-012", arrives(bench, 200), "a shorter frame is received behind them");
    });
}

/// A frame that takes every buffer that one may have.
fn all_buffers(check: &mut Check) {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::default() };
    (setup.config.max_rx_sg, setup.config.mtu) = (BUFFERS, 9000);
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let most = 256 * usize::from(BUFFERS);
        for len in [most - 1, most, 60, most] {
            check.holds("VMX-RX-022", arrives(bench, len), "as many buffers as maxNumRxSG, each to its last byte");
        }
    });
}

fn short_frames(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for len in 14..=60 {
            let (frame, got) = offer(bench, len);
            let [(bytes, cell)] = &got[..] else {
                check.holds("VMX-RX-009", false, "a short frame is delivered");
                return;
            };
            check.equal("VMX-RX-009", "bytes told", cell.len(), 60u16);
            let zeros = bytes[len..].iter().all(|&byte| byte == 0);
            check.holds("VMX-RX-009", bytes[..len] == frame && zeros, "it is the frame, and zeros");
        }
    });
}

fn every_length(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for len in (60..=1514).step_by(17).chain([255, 256, 257, 511, 512, 513, 767, 768, 769, 1513, 1514]) {
            let (frame, got) = offer(bench, len);
            check.holds("VMX-RX-009", matches!(&got[..], [(bytes, _)] if *bytes == frame), "no byte more or less");
            let last = got.first().map_or(0, |(_, cell)| usize::from(cell.len()));
            let rest = (len - 1) % 256 + 1;
            check.equal("VMX-RX-008", "bytes in the last buffer", last as u64, rest as u64);
        }
    });
}

fn any_address(check: &mut Check) {
    for seed in 0..8 {
        let mut setup = Setup::default();
        (setup.config.seed, setup.config.head_bytes, setup.config.body_bytes) = (seed, 251, 253);
        setup.config.max_rx_sg = BUFFERS;
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            for len in [60, 251, 252, 700] {
                check.holds("VMX-RX-023", arrives(bench, len), "a buffer may start at any byte and have any length");
            }
        });
    }
}

fn descriptors_stay(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let area = bench.layout.rx[0];
        let rings = |bench: &Bench| [0, 1].map(|ring| bench.bytes(area.ring[ring], 32 * CELL_BYTES as usize));
        let before = rings(bench);
        for len in [60, 300, 1000, 100] {
            let frame = bench.to_guest(len);
            bench.offer(&frame);
            bench.settle();
        }
        check.holds("VMX-SHM-005", rings(bench) == before, "the device writes no descriptor");
        check.equal("VMX-SHM-005", "frames behind them", bench.received(0).len() as u64, 4u32);
    });
}

fn plain_completion(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..70u16 {
            let (_, got) = offer(bench, 100);
            let mut expected = RxCompDesc::default();
            expected.set_rxd_idx(round % 32);
            expected.set_sop(true);
            expected.set_eop(true);
            expected.set_cnc(true);
            expected.set_fcs(true);
            expected.set_len(100);
            expected.set_kind(spec::vmxnet3::rx::RXCOMP);
            expected.set_generation(round / 64 % 2 == 0);
            let found = got.first().map_or_else(RxCompDesc::default, |(_, cell)| *cell);
            check.holds("VMX-RX-018", found == expected, "all 128 bits of a frame without IP are as they must be");
            check.equal("VMX-RX-017", "csum", found.csum(), 0u16);
        }
    });
}

/// A buffer where there is no memory: the frame is dropped or told with `err`, and the next is received.
fn unwritable(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let ring = bench.layout.rx[0].ring[0];
        for at in [1, 3, 4] {
            let pa = ring + CELL_BYTES * at;
            let mut desc: RxDesc = bench.get(pa);
            desc.set_addr(super::verbs::HOLE);
            bench.put(pa, desc);
        }
        check.equal("VMX-RX-024", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        for _ in 0..8 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let cells = bench.rx_slots(0, 0, 8);
        let told = cells.iter().filter(|cell| cell.generation());
        let lies = told.clone().any(|cell| [1, 3, 4].contains(&cell.rxd_idx()) && !cell.err() && cell.rq_id() == 0);
        check.holds("VMX-RX-024", !lies, "what could not be written is not told as whole");
        check.holds("VMX-RX-013", told.clone().all(|cell| !cell.err() || cell.eop()), "err comes with eop");
        let good = told.filter(|cell| !cell.err()).count();
        check.holds("VMX-RX-024", good >= 4, "and the frames behind it are received");
        check.holds("VMX-RX-024", bench.recovers(), "RESET_DEV and ACTIVATE_DEV bring service back");
    });
}

/// A queue without buffers keeps nothing from the others: frames for it are dropped, and it alone counts them.
fn beside_an_empty_one(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged().queues(2), |check, bench| {
        bench.start();
        let area = bench.layout.rx[0];
        let posted = area.ring_size[0] - 1;
        for _ in 0..posted + 6 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let stats = bench.rx_stats(0);
        check.equal("VMX-RX-025", "frames received", stats.ucast_pkts_rx_ok(), posted);
        check.equal("VMX-RX-025", "frames dropped", stats.pkts_rx_out_of_buf(), 6u32);
        let other = bench.rx_stats(1);
        check.holds("VMX-RX-025", other.0 == [0; 80], "the other queue counts nothing of it");
        for queue in 0..2 {
            let frame = bench.from_guest(90);
            bench.seen();
            bench.send(queue, &frame);
            bench.settle();
            check.holds("VMX-RX-025", bench.sent() == [&frame[..]], "and what is sent goes on");
        }
    });
}
