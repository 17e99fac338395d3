//! Transmit rings at their edges: completions bit by bit, lengths of zero, full rings, halves of packets, errors that stop.

use super::verbs::touches;
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::{CELL_BYTES, Command, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-018-completions-keep-to-their-ring",
        clauses: &["VMX-BAD-027"],
        unless: &[],
        needs: &[],
        run: completions_keep_to_their_ring,
    },
    Case {
        id: "bi-034-all-bits-of-a-completion",
        clauses: &["VMX-TX-010"],
        unless: &[Deviation::ActivateZeroesCompletions],
        needs: &[],
        run: all_bits_of_a_completion,
    },
    Case { id: "bi-041-a-length-of-zero", clauses: &["VMX-BAD-028"], unless: &[], needs: &[], run: a_length_of_zero },
    Case {
        id: "bi-042-the-first-descriptor-last",
        clauses: &["VMX-TX-001"],
        unless: &[],
        needs: &[],
        run: the_first_descriptor_last,
    },
    Case { id: "bi-043-full-rings", clauses: &["VMX-BAD-029"], unless: &[], needs: &[], run: full_rings },
    Case {
        id: "bi-052-half-a-packet-across-a-move",
        clauses: &["VMX-BAD-030"],
        unless: &[],
        needs: &[Need::Moves],
        run: half_a_packet_across_a_move,
    },
    Case {
        id: "bi-053-a-stopped-queue-and-its-reset",
        clauses: &["VMX-BAD-031", "VMX-EVT-004"],
        unless: &[Deviation::QueueStatusSilent],
        needs: &[],
        run: a_stopped_queue_and_its_reset,
    },
];

fn completions_keep_to_their_ring(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
        let queues = bench.layout.queues;
        for _ in 0..3 * tx.comp_size {
            check.holds("VMX-BAD-027", bench.serves(), "traffic flows");
            let rings = [tx.ring, rx.ring[0], rx.ring[1]].map(|pa| bench.bytes(pa, 512));
            let conf = bench.bytes(queues + 16, 64);
            let (frame, packet) = (bench.to_guest(300), bench.from_guest(80));
            bench.post(0, &packet);
            let posted = bench.bytes(tx.ring, 512);
            bench.ring(0);
            bench.offer(&frame);
            bench.settle();
            let after = [tx.ring, rx.ring[0], rx.ring[1]].map(|pa| bench.bytes(pa, 512));
            let same = after[0] == posted && after[1..] == rings[1..];
            check.holds("VMX-BAD-027", same, "no descriptor is written");
            check.holds("VMX-BAD-027", bench.bytes(queues + 16, 64) == conf, "nor any configuration");
            bench.received(0);
            bench.completions(0);
        }
    });
}

/// Slots that the guest left full of ones, but for the generation: the device writes every bit of them.
fn all_bits_of_a_completion(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.prepare();
        let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
        let ones = (u128::MAX >> 1).to_le_bytes();
        (0..u64::from(tx.comp_size)).for_each(|i| bench.store(tx.comp + CELL_BYTES * i, &ones));
        (0..u64::from(rx.comp_size)).for_each(|i| bench.store(rx.comp + CELL_BYTES * i, &ones));
        check.equal("VMX-TX-010", "answer", bench.activate(), 0u32);
        bench.to_target();
        for lap in 0..4 {
            for slot in 0..tx.comp_size {
                let frame = bench.from_guest(70);
                let cell = bench.send(0, &frame);
                bench.settle();
                let done = bench.completions(0);
                let expected = Bench::tx_completion(cell, lap);
                let exact = matches!(done[..], [(at, found)] if at == slot && found == expected);
                check.holds("VMX-TX-010", exact, "all 128 bits of a completion are what they are said to be");
                // What the slot of the next lap holds before it is written: ones, and the generation of this lap.
                let stale = if lap % 2 == 0 { u128::MAX } else { u128::MAX >> 1 };
                bench.store(tx.comp + CELL_BYTES * u64::from(slot), &stale.to_le_bytes());
            }
        }
    });
}

fn a_length_of_zero(check: &mut Check) {
    const MOST: usize = 16384;
    let mut setup = Setup { bytes: 1 << 20, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = MOST as u16;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for lengths in [&[MOST][..], &[MOST, 100], &[100, MOST], &[60, MOST, 60], &[MOST, MOST, 1], &[14, MOST, MOST]] {
            let frame = bench.from_guest(lengths.iter().sum());
            let (mut pieces, mut rest) = (Vec::new(), &frame[..]);
            for &len in lengths {
                let (piece, behind) = rest.split_at(len);
                pieces.push(piece);
                rest = behind;
            }
            let fate = bench.fate(&pieces, |desc| {
                if lengths[0] == MOST {
                    desc.set_len(0);
                }
            });
            check.holds("VMX-BAD-028", fate.is_visible(), "a packet is sent or its failure shows");
            check.holds("VMX-BAD-028", fate.frames == [&frame[..]], "a length of 0 stands for 16384 bytes");
        }
        check.holds("VMX-BAD-028", bench.serves(), "traffic flows behind them");
    });
}

/// A driver that hands over all of a packet but its first descriptor, then gives up for a while.
fn the_first_descriptor_last(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for round in 0..50 {
            let frame = bench.from_guest(90 + round % 7);
            let ring = bench.layout.tx[0].ring;
            let (head, rest) = frame.split_at(30);
            let first = bench.piece(0, head);
            let index = bench.post_cell(0, first);
            let pa = ring + CELL_BYTES * u64::from(index);
            let good: TxDesc = bench.get(pa);
            let mut early = good;
            early.set_generation(!good.generation());
            bench.put(pa, early);
            let mut last = bench.piece(0, rest);
            last.set_eop(true);
            last.set_cq(true);
            let end = bench.post_cell(0, last);
            bench.settle();
            bench.seen();
            bench.ring(0);
            bench.settle();
            check.holds("VMX-TX-001", bench.sent().is_empty(), "a packet without its first descriptor waits");
            check.holds("VMX-TX-001", bench.completions(0).is_empty(), "and is not completed");
            bench.put(pa, good);
            bench.ring(0);
            bench.settle();
            check.holds("VMX-TX-001", bench.sent() == [&frame[..]], "with it, it is sent");
            let done = bench.completions(0);
            check.holds(
                "VMX-TX-001",
                matches!(done[..], [(_, cell)] if u32::from(cell.txd_idx()) == end),
                "and completed once",
            );
        }
    });
}

fn full_rings(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let size = bench.layout.tx[0].ring_size as usize;
        for lap in 0..3 {
            for count in [size - 2, size - 1, size, 1] {
                // To the adapter equal indices are an empty ring: the last cell waits for the hypervisor's next look.
                if count == size && bench.in_hardware() {
                    continue;
                }
                let frames: Vec<_> = (0..count).map(|i| bench.from_guest(64 + (i + lap) % 100)).collect();
                bench.settle();
                bench.seen();
                for (i, frame) in frames.iter().enumerate() {
                    bench.post(0, frame);
                    // A driver rings before the last cell, or the index would not have moved.
                    if i + 2 == count {
                        bench.ring(0);
                    }
                }
                bench.ring(0);
                bench.settle();
                check.holds("VMX-BAD-029", bench.sent() == frames, "a ring is emptied however full it is");
                check.equal("VMX-BAD-029", "completions", bench.completions(0).len() as u64, count as u64);
            }
        }
    });
}

fn half_a_packet_across_a_move(check: &mut Check) {
    check.on(Target::Adapter, &Setup::default(), |check, bench| {
        bench.start();
        for pieces in 2..9usize {
            for moved in 1..pieces {
                let frame = bench.from_guest(16 * pieces);
                bench.settle();
                bench.seen();
                let mut end = 0;
                for (i, piece) in frame.chunks(16).enumerate() {
                    if i == moved {
                        if bench.in_hardware() {
                            check.holds("VMX-BAD-030", bench.leave(), "the move to software is made");
                        } else {
                            bench.to_target();
                        }
                        check.holds("VMX-BAD-030", bench.sent().is_empty(), "half a packet is not sent");
                    }
                    let mut desc = bench.piece(0, piece);
                    desc.set_eop(i + 1 == pieces);
                    desc.set_cq(i + 1 == pieces);
                    end = bench.post_cell(0, desc);
                    bench.ring(0);
                    bench.settle();
                }
                check.holds("VMX-BAD-030", bench.sent() == [&frame[..]], "with its end it is sent once and whole");
                let done = bench.completions(0);
                let once = matches!(done[..], [(_, cell)] if u32::from(cell.txd_idx()) == end);
                check.holds("VMX-BAD-030", once, "and completed once");
            }
        }
    });
}

/// A ring full of descriptors of which none ends a packet: the queue stops, says so, and stays away from memory until a reset.
fn a_stopped_queue_and_its_reset(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        for command in [Command::ResetDev, Command::QuiesceDev, Command::ActivateDev] {
            bench.start();
            let vector = bench.config.event_vector();
            bench.unmask(vector);
            bench.seen();
            let size = bench.layout.tx[0].ring_size;
            for _ in 0..size {
                let desc = bench.piece(0, &[0; 64]);
                bench.post_cell(0, desc);
            }
            bench.write0(spec::vmxnet3::Bar0::TxProd(0), size - 1);
            bench.settle();
            check.holds("VMX-BAD-031", bench.sent().is_empty(), "nothing is sent");
            check.equal("VMX-BAD-031", "events", bench.events(), ecr::TQERR);
            check.equal("VMX-BAD-031", "raises of the event vector", bench.raised(u16::from(vector)), 1u32);
            let status = bench.tx_status(0);
            check.equal("VMX-EVT-004", "stopped", status.stopped(), 1u8);
            check.equal("VMX-EVT-004", "error", status.error(), QueueError::NoEop.code());
            // It does not go on by itself, whatever is posted or rung.
            let ring = bench.layout.tx[0];
            let mut good = TxDesc::default();
            good.set_addr(ring.buffers);
            good.set_len(64);
            good.set_eop(true);
            good.set_cq(true);
            for generation in [true, false] {
                good.set_generation(generation);
                for i in 0..u64::from(size) {
                    bench.store(ring.ring + CELL_BYTES * i, &good.0.to_le_bytes());
                }
                bench.settle();
                bench.seen();
                bench.ring(0);
                bench.settle();
                let seen = bench.seen();
                check.holds("VMX-BAD-031", !touches(&seen, ring.buffers, 64), "a stopped queue reads nothing");
                check.holds("VMX-BAD-031", bench.sent().is_empty(), "and sends nothing");
            }
            let frame = bench.to_guest(80);
            check.holds("VMX-BAD-031", bench.receives(&frame), "the other direction goes on");
            bench.acknowledge();
            check.equal("VMX-BAD-031", "events acknowledged", bench.events(), 0u32);
            bench.command(command);
            bench.start();
            check.equal("VMX-BAD-031", "stopped, behind the way out", bench.tx_status(0).stopped(), 0u8);
            check.holds("VMX-BAD-031", bench.serves(), "and the queue serves again");
        }
    });
}
