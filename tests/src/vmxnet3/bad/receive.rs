//! Receive at its edges: buffers and what lies beside them, frames too short for their tags, rings run dry, completions bit by bit.

use super::verbs::{HOLE, alike};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use model::guest::shape::{Body, To, WireShape};
use model::guest::traffic::Traffic;
use spec::profile::Deviation;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::RXCOMP;
use spec::vmxnet3::{Bar0, CELL_BYTES, Command, RxCompDesc, RxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-015-nothing-behind-a-buffer",
        clauses: &["VMX-BAD-040"],
        unless: &[],
        needs: &[],
        run: nothing_behind_a_buffer,
    },
    Case {
        id: "bi-016-memory-over-two-poisons",
        clauses: &["VMX-BAD-002"],
        unless: &[],
        needs: &[],
        run: memory_over_two_poisons,
    },
    Case {
        id: "bi-060-frames-that-end-in-a-tag",
        clauses: &["VMX-BAD-042"],
        unless: &[],
        needs: &[],
        run: frames_that_end_in_a_tag,
    },
    Case {
        id: "bi-062-buffers-run-out",
        clauses: &["VMX-BAD-043"],
        unless: &[Deviation::OutOfBuffersConsumes],
        needs: &[],
        run: buffers_run_out,
    },
    Case {
        id: "bi-063-runs-of-completions",
        clauses: &["VMX-RX-006"],
        unless: &[],
        needs: &[],
        run: runs_of_completions,
    },
    Case {
        id: "bi-064-buffers-of-no-length",
        clauses: &["VMX-RX-008"],
        unless: &[],
        needs: &[],
        run: buffers_of_no_length,
    },
    Case {
        id: "bi-065-fields-of-the-last-completion",
        clauses: &["VMX-BAD-044"],
        unless: &[Deviation::RxTypeZero],
        needs: &[],
        run: fields_of_the_last_completion,
    },
    Case {
        id: "bi-067-lengths-and-stale-bytes",
        clauses: &["VMX-BAD-040"],
        unless: &[],
        needs: &[],
        run: lengths_and_stale_bytes,
    },
    Case {
        id: "bi-068-data-rings-that-are-not-there",
        clauses: &["VMX-V3-002"],
        unless: &[],
        needs: &[],
        run: data_rings_that_are_not_there,
    },
    Case {
        id: "bi-077-more-frames-than-buffers",
        clauses: &["VMX-BAD-043"],
        unless: &[Deviation::OutOfBuffersConsumes],
        needs: &[],
        run: more_frames_than_buffers,
    },
];

/// Poison of buffers: neither that of fresh memory nor a byte that frames are full of.
const STALE: u8 = 0x5c;

/// `maxNumRxSG` of a guest that takes frames in many buffers, as Linux does with LRO. A few devices take 0 for 1.
const MOST_BUFFERS: u16 = 18;

/// Overwrites every buffer of the RX rings, and changes the length of each descriptor that was posted to `len`.
fn shorten(bench: &mut Bench, len: u16) {
    let area = bench.layout.rx[0];
    for ring in 0..2 {
        for i in 0..area.ring_size[ring] {
            let stride = usize::from(bench.config.rx_buffer_stride(ring));
            bench.store(area.buffers[ring] + u64::from(i) * stride as u64, &vec![STALE; stride]);
            let pa = area.ring[ring] + CELL_BYTES * u64::from(i);
            let mut desc: RxDesc = bench.get(pa);
            if desc.len() != 0 {
                desc.set_len(len);
                bench.put(pa, desc);
            }
        }
    }
}

/// Every byte of the RX buffers that is no part of what the completions in the first `slots` slots describe is as it was.
fn only_described(check: &mut Check, bench: &Bench, slots: u32) {
    let area = bench.layout.rx[0];
    let mut clean = [0, 1].map(|ring| {
        let stride = usize::from(bench.config.rx_buffer_stride(ring));
        bench.bytes(area.buffers[ring], stride * area.ring_size[ring] as usize)
    });
    for cell in bench.rx_slots(0, 0, slots) {
        let ring = usize::from(cell.rq_id() != 0);
        let at = usize::from(cell.rxd_idx()) * usize::from(bench.config.rx_buffer_stride(ring));
        if let Some(written) = clean[ring].get_mut(at..at + usize::from(cell.len())) {
            written.fill(STALE);
        }
    }
    let untouched = clean.iter().flatten().all(|&byte| byte == STALE);
    check.holds("VMX-BAD-040", untouched, "nothing is written beyond what completions describe");
}

fn nothing_behind_a_buffer(check: &mut Check) {
    for len in [1, 13, 14, 60, 63, 64, 65, 100, 255] {
        check.on(Target::Both, &Setup::unjudged(), |check, bench| {
            bench.prepare();
            shorten(bench, len);
            check.equal("VMX-BAD-040", "answer", bench.activate(), 0u32);
            bench.to_target();
            let mut slots = 0;
            for frame_len in [60, 61, 64, 100, 200, 255, 300, 500, 700] {
                let frame = bench.to_guest(frame_len);
                bench.offer(&frame);
                bench.settle();
                let area = bench.layout.rx[0];
                let all = bench.rx_slots(0, 0, area.comp_size);
                slots = all.iter().take_while(|cell| cell.generation()).count() as u32;
                let long = all[..slots as usize].iter().all(|cell| cell.len() <= len);
                check.holds("VMX-BAD-040", long, "no completion is longer than its buffer");
            }
            only_described(check, bench, slots);
            check.holds("VMX-BAD-040", bench.recovers(), "RESET_DEV brings service back");
        });
    }
}

fn lengths_and_stale_bytes(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = MOST_BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.prepare();
        shorten(bench, 256);
        check.equal("VMX-BAD-040", "answer", bench.activate(), 0u32);
        bench.to_target();
        let mut slots = 0;
        for len in [60, 61, 62, 63, 127, 128, 129, 254, 255, 256, 257, 511, 512, 513] {
            let frame = bench.to_guest(len);
            bench.offer(&frame);
            bench.settle();
            let buffers = len.div_ceil(256) as u32;
            let cells = bench.rx_slots(0, slots, buffers);
            slots += buffers;
            let told: usize = cells.iter().map(|cell| usize::from(cell.len())).sum();
            if check.profile().deviations == spec::profile::Deviations::NONE {
                check.equal("VMX-BAD-040", "bytes told", told as u64, len as u64);
            }
        }
        let slots = bench.rx_slots(0, 0, 64).iter().take_while(|cell| cell.generation()).count() as u32;
        only_described(check, bench, slots);
    });
}

/// A conversation that writes whatever there is to write: packets that go and that fail, events, statistics, stops.
fn everything(bench: &mut Bench) {
    bench.start();
    bench.unmask(0);
    for round in 0..40 {
        let frame = bench.from_guest(60 + round);
        bench.fate(&[&frame], |desc| {
            if round % 5 == 4 {
                desc.set_addr(HOLE);
            }
        });
        let frame = if round % 3 == 0 { bench.tagged(7, 200 + 7 * round) } else { bench.to_guest(20 + 13 * round) };
        bench.offer(&frame);
        bench.settle();
        if round % 4 == 3 {
            bench.received(0);
        }
        if round % 10 == 9 {
            bench.unmask(0);
        }
    }
    bench.link(false);
    bench.link(true);
    bench.command(Command::GetStats);
    bench.command(Command::GetQueueStatus);
    bench.command(Command::QuiesceDev);
}

fn memory_over_two_poisons(check: &mut Check) {
    // The suite holds it again over the opposite poison, and compares all of guest memory.
    let setup = Setup { poison: 0x00, ..Setup::unjudged() };
    check.on(Target::Both, &setup, |check, bench| {
        everything(bench);
        check.holds("VMX-BAD-002", bench.recovers(), "RESET_DEV brings service back");
    });
}

/// Whether `bytes` is `frame` as a guest may see it: with zeros added before its tag is looked for, or behind that.
fn shows(frame: &[u8], strip: bool, bytes: &[u8], tagged: bool) -> bool {
    let mut padded = frame.to_vec();
    padded.resize(frame.len().max(60), 0);
    [frame, &padded[..]].into_iter().any(|seen| {
        let tag = strip && seen.len() >= 18 && seen[12..14] == [0x81, 0];
        let (head, rest) = if tag { (&seen[..12], &seen[16..]) } else { (seen, &[][..]) };
        let expected = [head, rest].concat();
        let padding = bytes.get(expected.len()..).unwrap_or_default();
        tag == tagged && bytes.starts_with(&expected) && padding.iter().all(|&byte| byte == 0)
    })
}

fn frames_that_end_in_a_tag(check: &mut Check) {
    for strip in [true, false] {
        let mut setup = Setup::unjudged();
        setup.config.features = feature::RXCSUM | if strip { feature::RXVLAN } else { 0 };
        let mut runs = Vec::new();
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            let mut run = Vec::new();
            for tags in 0..3usize {
                for len in 1..=26usize {
                    let mut frame = bench.to_guest(80);
                    for tag in 0..tags {
                        frame.splice(12..12, [0x81, 0, 0, 7 + tag as u8]);
                    }
                    frame.truncate(len);
                    bench.offer(&frame);
                    bench.settle();
                    let got = bench.received(0);
                    check.holds("VMX-BAD-042", got.len() <= 1, "a frame arrives once");
                    for (bytes, last) in &got {
                        let right = last.err() || shows(&frame, strip, bytes, last.ts());
                        check.holds("VMX-BAD-042", right, "only a whole tag is taken off, and only zeros are added");
                    }
                    run.extend(got.into_iter().map(|(bytes, _)| bytes));
                }
            }
            check.holds("VMX-BAD-042", bench.serves(), "traffic flows behind them");
            runs.push(run);
        });
        alike(check, "VMX-BAD-042", &runs, "both bodies treat a short frame alike");
    }
}

/// Gives the buffer of cell `index` of ring 0 back for the next lap.
fn refill(bench: &mut Bench, index: u32) {
    let pa = bench.layout.rx[0].ring[0] + CELL_BYTES * u64::from(index);
    let mut desc: RxDesc = bench.get(pa);
    desc.set_generation(!desc.generation());
    bench.put(pa, desc);
    bench.write0(Bar0::RxProd(0), (index + 1) % bench.layout.rx[0].ring_size[0]);
}

fn offered(bench: &mut Bench, count: u32) {
    for _ in 0..count {
        let frame = bench.to_guest(100);
        bench.offer(&frame);
        bench.settle();
    }
}

fn buffers_run_out(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let posted = bench.layout.rx[0].ring_size[0] - 1;
        offered(bench, posted + 5);
        let stats = bench.rx_stats(0);
        check.equal("VMX-BAD-043", "frames received", stats.ucast_pkts_rx_ok(), u64::from(posted));
        check.equal("VMX-BAD-043", "pktsRxOutOfBuf", stats.pkts_rx_out_of_buf(), 5u32);
        let (mut received, mut dropped) = (u64::from(posted), 5u64);
        // The cell left free is the first to be filled; then those of the frames, which nobody needs any more.
        let first = bench.get::<RxDesc>(bench.layout.rx[0].ring[0]);
        let mut free = RxDesc::default();
        free.set_addr(first.addr() + 256 * u64::from(posted));
        free.set_len(256);
        free.set_generation(false);
        let pa = bench.layout.rx[0].ring[0] + CELL_BYTES * u64::from(posted);
        bench.put(pa, free);
        let mut next = posted;
        for count in [1, 2, 5, 12] {
            for _ in 0..count {
                refill(bench, next);
                next = (next + 1) % (posted + 1);
            }
            offered(bench, count + 3);
            received += u64::from(count);
            dropped += 3;
            let stats = bench.rx_stats(0);
            check.equal("VMX-BAD-043", "frames received behind a refill", stats.ucast_pkts_rx_ok(), received);
            check.equal("VMX-BAD-043", "pktsRxOutOfBuf behind a refill", stats.pkts_rx_out_of_buf(), dropped);
        }
        check.holds("VMX-BAD-043", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn more_frames_than_buffers(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let pool = u64::from(bench.layout.rx[0].ring_size[0] - 1);
        let (mut received, mut counted) = (0, 0);
        for _ in 0..20 {
            offered(bench, (pool * 6 / 5) as u32);
            received += bench.received(0).len() as u64;
            counted = bench.rx_stats(0).pkts_rx_out_of_buf();
        }
        let all = 20 * (pool * 6 / 5);
        check.equal("VMX-BAD-043", "frames received and dropped", received.wrapping_add(counted), all);
        check.holds("VMX-BAD-043", received >= 20 * pool, "a buffer is used whenever there is one");
        check.holds("VMX-BAD-043", bench.serves(), "traffic flows once there are buffers");
    });
}

/// (SOP EOP) or (SOP .. EOP), over frames that fit, frames that do not, and frames that find too few buffers.
fn runs_of_completions(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let (mut slot, mut generation, mut open) = (0, true, false);
        for round in 0..200usize {
            let frame = bench.to_guest(60 + 131 * (round % 17));
            bench.offer(&frame);
            bench.settle();
            let area = bench.layout.rx[0];
            while let [cell] = bench.rx_slots(0, slot, 1)[..] {
                if cell.generation() != generation {
                    break;
                }
                check.holds("VMX-RX-006", cell.sop() != open, "SOP starts a run, and nothing else does");
                check.holds("VMX-RX-006", cell.eop() || !cell.err(), "an error ends a run");
                open = !cell.eop();
                slot = (slot + 1) % area.comp_size;
                generation ^= slot == 0;
            }
            check.holds("VMX-RX-006", !open, "a run ends with its frame");
            if round % 5 == 4 {
                bench.received(0);
            }
        }
    });
}

fn buffers_of_no_length(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let area = bench.layout.rx[0];
        for ring in 0..2 {
            for index in [1, 2, 7, 30] {
                let pa = area.ring[ring] + CELL_BYTES * index;
                let mut desc: RxDesc = bench.get(pa);
                desc.set_len(0);
                bench.put(pa, desc);
            }
        }
        check.equal("VMX-RX-008", "answer", bench.activate(), 0u32);
        bench.to_target();
        let mut arrived = 0;
        for len in [60, 100, 256, 60, 100, 256, 60, 100] {
            let frame = bench.to_guest(len);
            bench.offer(&frame);
            bench.settle();
            let cells = bench.rx_slots(0, 0, area.comp_size);
            let told: Vec<&RxCompDesc> = cells.iter().take_while(|cell| cell.generation()).collect();
            let empty = told.iter().any(|cell| cell.len() == 0 && !(cell.sop() && cell.eop()));
            check.holds("VMX-RX-008", !empty, "a completion without bytes is no part of a frame");
            let frames = told.iter().filter(|cell| cell.eop() && cell.len() > 0).count();
            check.holds("VMX-RX-008", frames == arrived || frames == arrived + 1, "a frame is told once or not at all");
            arrived = frames;
        }
        check.holds("VMX-RX-008", arrived >= 4, "buffers of no length do not stop the queue");
        check.holds("VMX-RX-008", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn fields_of_the_last_completion(check: &mut Check) {
    let mut setup = Setup { bytes: 256 << 10, ..Setup::unjudged() };
    setup.config.max_rx_sg = MOST_BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let mut traffic = Traffic::new(5, bench.config.mac);
        let (mut frame, mut slot) = (Vec::new(), 0);
        for buffers in 1..=8u32 {
            for (body, tag) in
                [(Body::Tcp4, None), (Body::Tcp4, Some(9)), (Body::Udp6, None), (Body::Raw, Some(0x2003))]
            {
                let shape = WireShape { len: 256 * buffers - 20, body, tag, bad: false, to: To::Peer, flow: 2 };
                traffic.wire(&shape, &mut frame);
                bench.offer(&frame);
                bench.settle();
                let area = bench.layout.rx[0];
                let cells = bench.rx_slots(0, slot, buffers);
                slot = (slot + buffers) % area.comp_size;
                for cell in &cells[..cells.len() - 1] {
                    let mut plain = RxCompDesc::default();
                    plain.set_rxd_idx(cell.rxd_idx());
                    plain.set_rq_id(cell.rq_id());
                    plain.set_sop(cell.sop());
                    plain.set_len(cell.len());
                    plain.set_kind(RXCOMP);
                    plain.set_generation(cell.generation());
                    check.holds("VMX-BAD-044", *cell == plain, "before the last completion every other bit is 0");
                }
                let last = cells[cells.len() - 1];
                check.holds("VMX-BAD-044", last.eop() && !last.err(), "the last one ends the frame");
                check.holds("VMX-BAD-044", last.ts() == tag.is_some(), "and tells of its tag");
                let ip = body != Body::Raw;
                check.holds("VMX-BAD-044", (last.v4() || last.v6()) == ip, "and of its protocols");
                bench.received(0);
            }
        }
    });
}

/// A data ring needs a base and a size: with one of them 0 there is none.
fn data_rings_that_are_not_there(check: &mut Check) {
    for (based, size) in
        [(false, 0), (false, 128), (true, 0), (true, 64), (true, 128), (true, 65), (true, 2049 / 64 * 64 + 64)]
    {
        check.on_newest(Target::Both, &Setup { judged: false, ..Setup::newest() }, |check, bench| {
            bench.select(3);
            bench.prepare();
            let base = if based { bench.layout.rx[0].data } else { 0 };
            bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_rx_data_ring_base_pa(base);
                conf.set_rx_data_ring_desc_size(size);
                desc.set_conf(conf);
            });
            if bench.activate() != 0 {
                return;
            }
            bench.to_target();
            let there = based && size > 0 && size.is_multiple_of(64) && size <= 2048;
            for (slot, len) in (0..).zip([60, 64, 65, 100, 128, 129, 200]) {
                let frame = bench.to_guest(len);
                bench.offer(&frame);
                bench.settle();
                let [cell] = bench.rx_slots(0, slot, 1)[..] else { return };
                check.holds("VMX-V3-002", cell.sop() && cell.eop() && !cell.err(), "a frame is delivered");
                check.equal("VMX-V3-002", "its length", cell.len(), len as u32);
                let copied = cell.rq_id() >= 2;
                check.holds(
                    "VMX-V3-002",
                    there && len <= usize::from(size) || !copied,
                    "a ring that is not there is not named",
                );
                // The bench knows entries of its own size only.
                if size != 64 {
                    let got = bench.received(0);
                    check.holds("VMX-V3-002", matches!(&got[..], [(bytes, _)] if *bytes == frame), "it is the frame");
                }
            }
        });
    }
}
