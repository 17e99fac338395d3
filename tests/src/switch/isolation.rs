//! What a device may touch, and that whatever it touches is logged.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use crate::vic::native::{Native, sizes};
use model::host::{Bare, DirtyLog, OneAccess, PAGE};
use model::memory::Memory;
use model::migrate::{Plan, Policy, TxMode};
use model::vic::Register;
use spec::frame::Dice;
use spec::vic::{RqReg, WqReg};
use spec::vmxnet3::{Bar0, Command};
use std::collections::BTreeSet;

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "descriptors-are-only-read",
        clauses: &["VIC-RQ-008"],
        unless: &[],
        needs: &[Need::Inside],
        run: descriptors_are_only_read,
    },
    Case {
        id: "stopped-queues-are-quiet",
        clauses: &["VIC-REG-006"],
        unless: &[],
        needs: &[Need::Inside],
        run: stopped_queues_are_quiet,
    },
    Case {
        id: "dirty-pages-of-a-body",
        clauses: &["SWI-DIR-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: dirty_pages_of_a_body,
    },
    Case {
        id: "dirty-pages-of-the-machine",
        clauses: &["SWI-DIR-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: dirty_pages_of_the_machine,
    },
];

fn descriptors_are_only_read(check: &mut Check) {
    for size in sizes(check) {
        let mut native = Native::new(check, size);
        native.cq(0, 0x2000, size, 0, true);
        native.cq(8, 0x4000, 2 * size, 0, true);
        native.start_wq();
        native.start_rq();
        let mut dice = Dice::new(u64::from(size));
        for id in 0..120 {
            match dice.below(4) {
                0 => {
                    native.post(id);
                    native.ring(native.next());
                }
                1 => native.fill(),
                2 => {
                    let bit = dice.below(2);
                    native.write(Register::Rq(0, RqReg::Enable), bit);
                    native.write(Register::Wq(0, WqReg::Enable), 1 - bit);
                }
                _ => {}
            }
            let before = native.rings();
            native.offer(id);
            native.write(Register::Wq(0, WqReg::PostedIndex), dice.below(2 * u64::from(size)));
            native.run();
            check.holds("VIC-RQ-008", native.rings() == before, "descriptor memory is as the guest left it");
        }
    }
}

fn stopped_queues_are_quiet(check: &mut Check) {
    for size in sizes(check) {
        let mut native = Native::new(check, size);
        native.cq(0, 0x2000, size, 0, true);
        native.cq(8, 0x4000, 2 * size, 0, true);
        native.start_wq();
        native.start_rq();
        for id in 0..40 {
            native.post(id);
            native.fill();
            native.offer(id);
            native.ring(native.next());
            let enabled = [Register::Wq(0, WqReg::Enable), Register::Rq(0, RqReg::Enable)];
            for register in enabled {
                native.write(register, 0);
            }
            native.run();
            let running = native.read(Register::Wq(0, WqReg::Running)) + native.read(Register::Rq(0, RqReg::Running));
            check.equal("VIC-REG-006", "running", running, 0u32);
            let before = native.host.clone();
            native.write(Register::Wq(0, WqReg::PostedIndex), id % u64::from(size));
            native.write(Register::Rq(0, RqReg::PostedIndex), id % u64::from(size));
            let _ = native.adapter.offer(&[0xff; 64]);
            native.adapter.wire_ready();
            let mut host = OneAccess::new(&mut native.host);
            native.adapter.run(&mut host, 10_000);
            check.equal("VIC-REG-006", "accesses of stopped queues", host.take(), 0u32);
            check.holds("VIC-REG-006", native.host == before, "nothing is written, sent or raised");
            // The doorbells are put back where the guest's own would be.
            native.write(Register::Wq(0, WqReg::PostedIndex), u64::from(native.next()));
            for register in enabled {
                native.write(register, 1);
            }
            native.run();
        }
    }
}

/// Numbers of the pages in which the two memories differ.
fn changed(before: &Memory, after: &Memory) -> BTreeSet<u64> {
    let mut pages = BTreeSet::new();
    for ((base, old), (_, new)) in before.regions().zip(after.regions()) {
        let differing = old.iter().zip(new).enumerate().filter(|(_, (a, b))| a != b);
        pages.extend(differing.map(|(at, _)| (base + at as u64) / PAGE));
    }
    pages
}

/// Packets and frames for the device, none of them worked on yet.
fn load(bench: &mut Bench, dice: &mut Dice) {
    for _ in 0..6 {
        let frame = bench.from_guest(60 + dice.below(150) as usize);
        bench.post(0, &frame);
    }
}

fn dirty_pages_of_a_body(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let mut dice = Dice::new(5);
        for _ in 0..12 {
            load(bench, &mut dice);
            let frames: Vec<_> = (0..3).map(|_| bench.to_guest(60 + dice.below(1000) as usize)).collect();
            let before = bench.memory().clone();
            let mut host = Bare::new(before.clone());
            let mut log = DirtyLog::new(&mut host);
            if bench.in_hardware() {
                let mut adapter = bench.system().adapter().clone();
                adapter.write(Register::Wq(0, WqReg::PostedIndex), dice.below(32));
                for frame in &frames {
                    let _ = adapter.offer(frame);
                    adapter.run(&mut log, 10_000);
                }
            } else {
                let mut body = bench.system().body().clone();
                body.write_bar0(Bar0::TxProd(0), 0);
                for frame in &frames {
                    body.offer(frame);
                    body.run(&mut log, 10_000);
                }
            }
            let pages = log.pages().clone();
            let differing = changed(&before, &host.memory);
            check.holds("SWI-DIR-001", !differing.is_empty(), "the device writes something");
            check.holds("SWI-DIR-001", differing.is_subset(&pages), "every page that changed is logged");
            bench.ring(0);
            frames.iter().for_each(|frame| bench.offer(frame));
            bench.settle();
            bench.completions(0);
            bench.received(0);
        }
    });
}

/// The configuration plane and the switch write too: everything is told to whoever watches.
fn dirty_pages_of_the_machine(check: &mut Check) {
    check.on(Target::Software, &Setup::default(), |check, bench| {
        bench.start();
        let mut dice = Dice::new(6);
        for round in 0..24u32 {
            load(bench, &mut dice);
            let frames: Vec<_> = (0..3).map(|_| bench.to_guest(60 + dice.below(1000) as usize)).collect();
            let before = bench.memory().clone();
            bench.seen();
            bench.ring(0);
            frames.iter().for_each(|frame| bench.offer(frame));
            match round % 4 {
                0 => bench.inside().machine.switch(Plan::enter(TxMode::RollBack)),
                2 => bench.inside().machine.switch(Plan::leave(TxMode::RollBack, Policy::C)),
                _ => false,
            };
            bench.settle();
            bench.write1(spec::vmxnet3::Bar1::Cmd, Command::GetStats.code());
            bench.write1(spec::vmxnet3::Bar1::Cmd, Command::GetQueueStatus.code());
            bench.link(round % 8 == 7);
            bench.link(true);
            let differing = changed(&before, bench.memory());
            let mut pages = BTreeSet::new();
            for seen in bench.seen() {
                if let Seen::Write(pa, len) = seen {
                    pages.extend(pa / PAGE..=(pa + len as u64 - 1) / PAGE);
                }
            }
            check.holds("SWI-DIR-001", differing.is_subset(&pages), "every page that changed was told");
            bench.acknowledge();
            bench.completions(0);
            bench.received(0);
        }
    });
}
