//! Transmit as the judges see it, with packets that an ordinary campaign hardly makes.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, PEER, Setup};
use model::guest::packet::{Offload, Packet};
use model::guest::shape::{Body, Shape, To, Work};
use model::guest::traffic::Traffic;
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{Bar0, Command, TxDesc, TxQueueDesc};

pub(crate) const CASES: &[Case] = &[
    Case { id: "half-a-packet", clauses: &["VMX-TX-006"], unless: &[], needs: &[], run: half_a_packet },
    Case {
        id: "packets-that-cannot-be-sent",
        clauses: &["VMX-TX-012"],
        unless: &[],
        needs: &[],
        run: packets_that_cannot_be_sent,
    },
    Case {
        id: "offloads",
        clauses: &["VMX-TX-015", "VMX-TX-016", "VMX-TX-017", "VMX-TX-018", "VMX-TX-020"],
        unless: &[],
        needs: &[],
        run: offloads,
    },
    Case { id: "doorbells-that-lie", clauses: &["VMX-TX-001"], unless: &[], needs: &[], run: doorbells_that_lie },
    Case { id: "one-doorbell-suffices", clauses: &["VMX-TX-014"], unless: &[], needs: &[], run: one_doorbell_suffices },
];

fn half_a_packet(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for pieces in [2usize, 3, 5, 16, 2, 7] {
            let frame = bench.from_guest(60 + 16 * pieces);
            bench.seen();
            let parts: Vec<_> = frame.chunks(frame.len().div_ceil(pieces)).collect();
            let mut last = 0;
            for (i, part) in parts.iter().enumerate() {
                let mut desc = bench.piece(0, part);
                desc.set_eop(i + 1 == parts.len());
                desc.set_cq(true);
                if i + 1 == parts.len() {
                    bench.settle();
                    check.holds("VMX-TX-006", bench.sent().is_empty(), "without its end nothing is sent");
                    check.holds("VMX-TX-006", bench.completions(0).is_empty(), "and nothing completed");
                }
                last = bench.post_cell(0, desc);
                bench.ring(0);
                bench.settle();
            }
            check.holds("VMX-TX-006", bench.sent() == [&frame[..]], "with its end it is sent");
            let done = bench.completions(0);
            let completed = matches!(done[..], [(_, completion)] if u32::from(completion.txd_idx()) == last);
            check.holds("VMX-TX-006", completed, "and completed by its last descriptor");
        }
    });
}

/// Posts `frame` as `change` says, settles, and returns what was sent and how many completions came.
fn post(bench: &mut Bench, frame: &[u8], change: impl FnOnce(&mut TxDesc)) -> (usize, usize) {
    let mut desc = bench.piece(0, frame);
    desc.set_eop(true);
    desc.set_cq(true);
    change(&mut desc);
    bench.post_cell(0, desc);
    bench.seen();
    bench.ring(0);
    bench.settle();
    (bench.sent().len(), bench.completions(0).len())
}

fn packets_that_cannot_be_sent(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let plain = bench.from_guest(120);
        let outside = bench.layout.end.saturating_mul(1 << 16);
        type Change = Box<dyn FnOnce(&mut TxDesc)>;
        let offload = |mode: u8, hlen: u16, msscof: u16| -> Change {
            Box::new(move |desc| {
                desc.set_om(mode);
                desc.set_hlen(hlen);
                desc.set_msscof(msscof);
            })
        };
        let spoilt: Vec<Change> = vec![
            Box::new(move |desc| desc.set_addr(outside)),
            offload(om::CSUM, 34, 119),
            offload(om::CSUM, 200, 50),
            offload(om::TSO, 54, 0),
            offload(om::TSO, 0, 100),
            offload(om::TSO, 1000, 100),
            offload(om::ENCAP, 0, 0),
        ];
        let count = spoilt.len() as u64;
        for change in spoilt {
            let (sent, completed) = post(bench, &plain, change);
            check.equal("VMX-TX-012", "frames sent", sent as u64, 0u32);
            check.equal("VMX-TX-012", "completions", completed as u64, 1u32);
        }
        bench.command(Command::GetStats);
        let desc: TxQueueDesc = bench.get(bench.layout.tx_queue_desc(0));
        check.equal("VMX-TX-012", "pktsTxError", desc.stats().pkts_tx_error(), count);
        check.holds("VMX-TX-012", bench.serves(), "traffic flows behind them");
    });
}

/// Every kind of offload, the UDP checksum that comes out as zero included; the judges say whether the frames are right.
fn offloads(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.tx_buffer_bytes = 2048;
    setup.bytes = 160 << 10;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let mut traffic = Traffic::new(7, bench.config.mac);
        let mut packet = Packet::default();
        for body in [Body::Udp4, Body::Tcp4, Body::Udp6, Body::Tcp6] {
            for (len, work, vlan) in [
                (130, Work::Checksum, None),
                (131, Work::Checksum, Some(0x2fff)),
                (60, Work::Checksum, None),
                (1400, Work::Segment(300), None),
                (1401, Work::Segment(1), None),
                (700, Work::Segment(90), Some(7)),
            ] {
                let long = matches!(work, Work::Segment(1));
                let len = if long { body.headers() as u32 + 5 } else { len };
                let shape = Shape { len, fragments: 3, body, work, vlan, to: To::Peer, flow: 3 };
                traffic.packet(&shape, &mut packet);
                let (frames, completed) = bench.send_packet(&packet);
                let clause = match packet.offload {
                    Offload::Segment { .. } => "VMX-TX-017",
                    _ => "VMX-TX-015",
                };
                check.equal(clause, "frames", frames.len() as u64, packet.segments());
                check.equal(clause, "completions", completed as u64, 1u32);
                if let Some(tci) = packet.vlan {
                    let tag = [0x81, 0, (tci >> 8) as u8, tci as u8];
                    let tagged = frames.iter().all(|frame| frame.get(12..16) == Some(&tag[..]));
                    check.holds("VMX-TX-020", tagged, "the tag stands behind the addresses");
                }
                if frames.len() > 1 {
                    let ends = frames.iter().all(|frame| frame.get(..12) == packet.frame.get(..12));
                    check.holds("VMX-TX-018", ends, "each segment has the packet's addresses");
                }
            }
        }
        // Two payload bytes take the value that makes the sum of a UDP packet come out as zero.
        traffic.packet(
            &Shape { len: 100, fragments: 1, body: Body::Udp4, work: Work::Checksum, ..Shape::default() },
            &mut packet,
        );
        packet.frame[98..100].fill(0);
        let sum = ones_complement(&packet.frame[34..]);
        packet.frame[98..100].copy_from_slice(&(!sum).to_be_bytes());
        let (frames, _) = bench.send_packet(&packet);
        let field = frames.first().and_then(|frame| frame.get(40..42)).map_or(0, |f| u16::from_be_bytes([f[0], f[1]]));
        check.equal("VMX-TX-016", "UDP checksum", field, 0xffffu16);
        check.equal("VMX-TX-016", "frames", frames.len() as u64, 1u32);
        check.holds("VMX-TX-015", frames.iter().all(|f| f.starts_with(&PEER)), "frames go where the packet says");
    });
}

/// The sum of big-endian words, carries added in. Source: RFC 1071.
fn ones_complement(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let sum = words.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

fn one_doorbell_suffices(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for burst in [1, 5, 20, 31, 31, 2] {
            let frames: Vec<_> = (0..burst).map(|i| bench.from_guest(64 + i)).collect();
            for frame in &frames {
                bench.post(0, frame);
            }
            bench.settle();
            bench.seen();
            bench.ring(0);
            bench.settle();
            let sent: Vec<_> = bench.sent().into_iter().map(<[u8]>::to_vec).collect();
            check.holds("VMX-TX-014", sent == frames, "everything posted before the doorbell is sent");
            check.equal("VMX-TX-014", "completions", bench.completions(0).len() as u64, frames.len() as u64);
        }
    });
}

/// A doorbell is a hint: what the ring holds from an earlier lap is not sent again, whatever index is written.
fn doorbells_that_lie(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..40u32 {
            let frame = bench.from_guest(100);
            let index = bench.post(0, &frame);
            bench.seen();
            bench.write0(Bar0::TxProd(0), (index + 1 + round % 9) % 32);
            bench.settle();
            check.holds("VMX-TX-001", bench.sent() == [&frame[..]], "only what is owned is sent");
            check.equal("VMX-TX-001", "completions", bench.completions(0).len() as u64, 1u32);
        }
    });
}
