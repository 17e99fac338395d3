//! Register access: read-only registers written askew, doorbells of queues that are not there, dumps in the middle of traffic,
//! addresses that are no memory.

use super::verbs::HOLE;
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use spec::event::Bar;
use spec::frame::Dice;
use spec::vmxnet3::{Bar0, Bar1, Command, MAGIC, RxDesc, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-002-read-only-registers-written-askew",
        clauses: &["VMX-BAD-010"],
        unless: &[],
        needs: &[],
        run: read_only_registers_written_askew,
    },
    Case {
        id: "bi-003-doorbells-of-queues-that-are-not-there",
        clauses: &["VMX-REG-014"],
        unless: &[],
        needs: &[],
        run: doorbells_of_queues_that_are_not_there,
    },
    Case {
        id: "bi-004-doorbells-behind-any-stop",
        clauses: &["VMX-BAD-011"],
        unless: &[],
        needs: &[],
        run: doorbells_behind_any_stop,
    },
    Case {
        id: "bi-005-activated-again-and-again",
        clauses: &["VMX-BAD-012"],
        unless: &[],
        needs: &[],
        run: activated_again_and_again,
    },
    Case {
        id: "bi-006-a-dump-changes-nothing",
        clauses: &["VMX-BAD-013"],
        unless: &[],
        needs: &[],
        run: a_dump_changes_nothing,
    },
    Case {
        id: "bi-007-bus-master-off",
        clauses: &["VMX-BAD-032"],
        unless: &[],
        needs: &[Need::Inside],
        run: bus_master_off,
    },
    Case {
        id: "bi-008-addresses-that-are-registers",
        clauses: &["VMX-BAD-014", "VMX-BAD-003"],
        unless: &[],
        needs: &[],
        run: addresses_that_are_registers,
    },
];

/// Registers of BAR1 that a guest cannot change by writing them.
fn read_only() -> impl Iterator<Item = u32> {
    core::iter::once(Bar1::Icr.offset()).chain((0..6).map(|i| Bar1::Ptcr(i).offset()))
}

fn read_only_registers_written_askew(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        let askew = |check: &mut Check, bench: &mut Bench| {
            for offset in read_only() {
                let before = bench.read(Bar::Bar1, offset);
                for start in 0..8 {
                    for value in [0, 1, u32::MAX] {
                        // What a bus makes of a store of eight bytes: two of four.
                        bench.write(Bar::Bar1, offset + start, value);
                        if start > 0 && start < 4 {
                            bench.write(Bar::Bar1, offset + start + 4, value);
                        }
                        let after = bench.read(Bar::Bar1, offset);
                        check.equal("VMX-BAD-010", "a read-only register", after, before);
                    }
                }
            }
        };
        askew(check, bench);
        bench.start();
        askew(check, bench);
        check.holds("VMX-BAD-010", bench.serves(), "traffic flows behind it");
        bench.command(Command::QuiesceDev);
        askew(check, bench);
        check.holds("VMX-BAD-010", bench.recovers(), "RESET_DEV brings service back");
    });
}

/// Every slot of the doorbell windows of the small page, from that of queue `from` on.
fn ring_every_slot(bench: &mut Bench, tx: u32, rx: u32, value: u32) {
    let windows = [(Bar0::TxProd(0), tx), (Bar0::RxProd(0), rx), (Bar0::RxProd2(0), rx)];
    for (window, from) in windows {
        for slot in from..64 {
            bench.write(Bar::Bar0, window.offset() + 8 * slot, value);
        }
    }
    bench.settle();
}

fn doorbells_of_queues_that_are_not_there(check: &mut Check) {
    let width = check.profile().width(1);
    let most = width.tx_queues.min(width.rx_queues);
    for count in [1, 2, most] {
        check.on(Target::Both, &Setup::default().queues(count), |check, bench| {
            ring_every_slot(bench, 0, 0, 1);
            check.holds("VMX-REG-014", bench.seen().is_empty(), "with no queue active a doorbell does nothing");
            bench.start();
            check.holds("VMX-REG-014", bench.serves(), "traffic flows");
            for value in [0, 1, 31, 32, 4096, u32::MAX] {
                bench.settle();
                bench.seen();
                ring_every_slot(bench, u32::from(count), u32::from(count), value);
                check.holds(
                    "VMX-REG-014",
                    bench.seen().is_empty(),
                    "the doorbell of a queue not configured does nothing",
                );
            }
            for queue in 0..usize::from(count) {
                check.equal("VMX-REG-014", "stopped", bench.tx_status(queue).stopped() & 1, 0u8);
            }
            check.holds("VMX-REG-014", bench.serves(), "traffic still flows");
        });
    }
}

/// Fills the TX and RX rings with owned descriptors of memory that is not there.
fn poison_rings(bench: &mut Bench) {
    let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
    for generation in [true, false] {
        for i in 0..u64::from(tx.ring_size) {
            let mut desc = TxDesc::default();
            desc.set_addr(HOLE);
            desc.set_len(60);
            desc.set_generation(generation == (i % 2 == 0));
            desc.set_eop(true);
            desc.set_cq(true);
            bench.store(tx.ring + 16 * i, &desc.0.to_le_bytes());
        }
        for i in 0..u64::from(rx.ring_size[0]) {
            let mut desc = RxDesc::default();
            desc.set_addr(HOLE);
            desc.set_len(200);
            desc.set_generation(generation == (i % 2 == 0));
            bench.store(rx.ring[0] + 16 * i, &desc.0.to_le_bytes());
        }
    }
}

/// Any order of activations that succeed or fail, stops, doorbells and frames: whenever the device is stopped, nothing moves.
fn doorbells_behind_any_stop(check: &mut Check) {
    for seed in 0..6 {
        check.on(Target::Both, &Setup::unjudged(), |check, bench| {
            let mut dice = Dice::new(0xb1_0004 + seed);
            let mut active = false;
            for _ in 0..60 {
                match dice.below(6) {
                    0 => {
                        bench.command(Command::QuiesceDev);
                        active = false;
                    }
                    1 => {
                        bench.command(Command::ResetDev);
                        active = false;
                    }
                    2 => {
                        // What is under way may be written to rings that are about to be written anew.
                        bench.settle();
                        bench.prepare();
                        bench.shared(|shared| shared.set_magic(MAGIC ^ 0x100));
                        check.holds("VMX-BAD-011", bench.activate() != 0, "a wrong magic is refused");
                        active = false;
                    }
                    3 => {
                        bench.settle();
                        bench.start();
                        active = true;
                        check.holds("VMX-BAD-011", bench.serves(), "traffic flows behind any history");
                    }
                    _ if active => {
                        let frame = bench.from_guest(80);
                        bench.send(0, &frame);
                    }
                    _ => {
                        poison_rings(bench);
                        bench.settle();
                        bench.seen();
                        bench.write0(Bar0::TxProd(0), dice.below(40) as u32);
                        bench.write0(Bar0::RxProd(0), dice.below(40) as u32);
                        bench.write0(Bar0::RxProd2(0), dice.below(40) as u32);
                        let frame = bench.to_guest(90);
                        bench.offer(&frame);
                        bench.settle();
                        check.holds(
                            "VMX-BAD-011",
                            bench.seen().is_empty(),
                            "a stopped device leaves memory and wire alone",
                        );
                    }
                }
            }
            check.holds("VMX-BAD-011", bench.recovers(), "RESET_DEV brings service back");
        });
    }
}

fn activated_again_and_again(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        bench.command(Command::QuiesceDev);
        bench.prepare();
        check.equal("VMX-BAD-012", "answer", bench.activate(), 0u32);
        let once = bench.image();
        let mut refused = 0u32;
        for _ in 0..2000 {
            refused += u32::from(bench.activate() != 0);
            bench.seen();
        }
        check.equal("VMX-BAD-012", "activations refused", refused, 0u32);
        check.holds("VMX-BAD-012", bench.image() == once, "memory is as one activation leaves it");
        bench.to_target();
        check.holds("VMX-BAD-012", bench.serves(), "traffic flows");
        for _ in 0..20 {
            check.equal("VMX-BAD-012", "answer in the middle of traffic", bench.restart(), 0u32);
            check.holds("VMX-BAD-012", bench.serves(), "traffic flows");
        }
    });
}

/// Reads every register whose read has no consequence written down for it.
fn dump(bench: &mut Bench) {
    for bar in [Bar::Bar0, Bar::Bar1] {
        for offset in (0..0x1000).step_by(4) {
            bench.read(bar, offset);
        }
    }
}

/// A conversation with packets under way and masks in every state; `dumped` reads all registers between its steps.
fn talk(bench: &mut Bench, dumped: bool) -> (Vec<Vec<u8>>, Vec<u8>, u32, u32) {
    let look = |bench: &mut Bench| {
        if dumped {
            dump(bench);
        }
    };
    bench.prepare();
    look(bench);
    bench.activate();
    look(bench);
    bench.to_target();
    bench.unmask(0);
    bench.seen();
    for round in 0..4 {
        let frame = bench.from_guest(100 + round);
        let half = bench.piece(0, &frame[..50]);
        bench.post_cell(0, half);
        look(bench);
        let mut rest = bench.piece(0, &frame[50..]);
        rest.set_eop(true);
        rest.set_cq(true);
        bench.post_cell(0, rest);
        bench.ring(0);
        look(bench);
        let frame = bench.to_guest(300);
        bench.offer(&frame);
        look(bench);
        bench.settle();
        look(bench);
        bench.unmask(0);
    }
    bench.link(false);
    look(bench);
    bench.link(true);
    let answer = bench.command(Command::GetLink);
    look(bench);
    let answers = [answer, bench.read1(Bar1::Cmd)];
    let sent = bench.sent().into_iter().map(<[u8]>::to_vec).collect();
    (sent, bench.image(), answers[0], answers[1])
}

fn a_dump_changes_nothing(check: &mut Check) {
    for target in [Target::Software, Target::Adapter] {
        let mut runs = Vec::new();
        for dumped in [false, true] {
            check.on(target, &Setup::unjudged(), |check, bench| {
                let run = talk(bench, dumped);
                check.equal("VMX-BAD-013", "CMD read again", run.3, run.2);
                check.equal("VMX-BAD-013", "frames sent", run.0.len() as u64, 4u32);
                runs.push(run);
            });
        }
        // The suite may hold a conversation more than once.
        let (plain, dumped) = runs.split_at(runs.len() / 2);
        check.holds("VMX-BAD-013", plain == dumped, "the run is the same with and without dumps");
    }
}

/// Memory or the wire was touched.
fn moved(seen: &[Seen]) -> bool {
    seen.iter().any(|seen| matches!(seen, Seen::Read(..) | Seen::Write(..) | Seen::Sent(..)))
}

fn bus_master_off(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for round in 0..8 {
            check.holds("VMX-BAD-032", bench.serves(), "traffic flows");
            bench.settle();
            bench.bus_master(false);
            bench.seen();
            let packet = bench.from_guest(100 + round);
            bench.send(0, &packet);
            let frame = bench.to_guest(200);
            bench.offer(&frame);
            bench.settle();
            check.holds("VMX-BAD-032", !moved(&bench.seen()), "without bus master nothing moves");
            for command in [Command::GetStats, Command::UpdateMacFilters, Command::UpdateRxMode] {
                if !bench.in_hardware() {
                    bench.command(command);
                }
            }
            check.holds("VMX-BAD-032", !moved(&bench.seen()), "no command reads or writes memory either");
            bench.bus_master(true);
            bench.settle();
            check.holds("VMX-BAD-032", bench.sent() == [&packet[..]], "with it, what was posted is sent");
            check.equal("VMX-BAD-032", "completions", bench.completions(0).len() as u64, 1u32);
            let got = bench.received(0);
            check.holds(
                "VMX-BAD-032",
                matches!(&got[..], [(bytes, _)] if *bytes == frame),
                "and what came is received",
            );
        }
        bench.command(Command::QuiesceDev);
        bench.prepare();
        bench.bus_master(false);
        bench.seen();
        let answer = bench.activate();
        check.holds("VMX-BAD-032", answer != 0 && !moved(&bench.seen()), "what cannot be read is not activated");
        bench.bus_master(true);
        check.holds("VMX-BAD-032", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn addresses_that_are_registers(check: &mut Check) {
    let mut setup = Setup::unjudged();
    setup.config.multicast_room = 8;
    check.on(Target::Both, &setup, |check, bench| {
        let bad = [HOLE, HOLE + 0x1000, 1 << 40, !0xfff];
        for (number, pa) in (0..8).flat_map(|number| bad.map(|pa| (number, pa))) {
            bench.command(Command::ResetDev);
            bench.prepare();
            match number {
                0 => bench.set_shared(pa),
                1 => bench.shared(|shared| {
                    let mut misc = shared.misc();
                    misc.set_queue_desc_pa(pa);
                    shared.set_misc(misc);
                }),
                2 | 3 => bench.tx_desc(0, |desc| {
                    let mut conf = desc.conf();
                    if number == 2 {
                        conf.set_tx_ring_base_pa(pa);
                    } else {
                        conf.set_comp_ring_base_pa(pa);
                    }
                    desc.set_conf(conf);
                }),
                4..=6 => bench.rx_desc(0, |desc| {
                    let mut conf = desc.conf();
                    let [first, second] = conf.rx_ring_base_pa();
                    match number {
                        4 => conf.set_rx_ring_base_pa([pa, second]),
                        5 => conf.set_rx_ring_base_pa([first, pa]),
                        _ => conf.set_comp_ring_base_pa(pa),
                    }
                    desc.set_conf(conf);
                }),
                _ => bench.shared(|shared| {
                    let mut filter = shared.rx_filter_conf();
                    filter.set_mf_table_pa(pa);
                    filter.set_mf_table_len(48);
                    shared.set_rx_filter_conf(filter);
                }),
            }
            if bench.activate() == 0 {
                let frame = bench.from_guest(100);
                bench.send(0, &frame);
                let frame = bench.to_guest(300);
                bench.offer(&frame);
                bench.settle();
            }
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        }
        for pa in bad {
            let frame = bench.from_guest(100);
            let fate = bench.fate(&[&frame], |desc| desc.set_addr(pa));
            check.holds(
                "VMX-BAD-014",
                fate.frames.is_empty() && fate.is_visible(),
                "a packet that is no memory fails visibly",
            );
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        }
    });
}
