//! Registers of both pages: reads without consequence, latches, addresses, events, doorbells of nobody.

use crate::case::{Case, Check, Target};
use crate::rig::{ANOTHER, Bench, Setup};
use spec::event::Bar;
use spec::profile::Deviation;
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::shared::ECR_OFFSET;
use spec::vmxnet3::{Bar0, Bar1, Command, DriverShared, MAGIC, SHARED_BYTES_V1};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "every-offset-completes",
        clauses: &["VMX-REG-001", "VMX-REG-007"],
        unless: &[],
        needs: &[],
        run: every_offset_completes,
    },
    Case {
        id: "versions",
        clauses: &["VMX-REG-002", "VMX-REG-003", "VMX-REG-004"],
        unless: &[],
        needs: &[],
        run: versions,
    },
    Case { id: "shared-address", clauses: &["VMX-REG-005"], unless: &[], needs: &[], run: shared_address },
    Case {
        id: "shared-area-withdrawn",
        clauses: &["VMX-REG-006"],
        unless: &[],
        needs: &[],
        run: shared_area_withdrawn,
    },
    Case {
        id: "addresses",
        clauses: &["VMX-REG-008", "VMX-REG-009", "VMX-REG-010", "VMX-CMD-007"],
        unless: &[Deviation::ActivateRestoresMac],
        needs: &[],
        run: addresses,
    },
    Case {
        id: "event-register",
        clauses: &["VMX-REG-012", "VMX-REG-013"],
        unless: &[Deviation::EcrReadsZero],
        needs: &[],
        run: event_register,
    },
    Case { id: "doorbells-of-nobody", clauses: &["VMX-REG-014"], unless: &[], needs: &[], run: doorbells_of_nobody },
    Case {
        id: "masks-read-back",
        clauses: &["VMX-REG-011"],
        unless: &[Deviation::InactiveBar0Dropped],
        needs: &[],
        run: masks_read_back,
    },
];

/// Reads every offset of both pages; the device must be as before.
fn read_everything(check: &mut Check, bench: &mut Bench) {
    bench.settle();
    bench.seen();
    let before = bench.state();
    for bar in [Bar::Bar0, Bar::Bar1] {
        for offset in (0..0x1000).step_by(4) {
            bench.read(bar, offset);
            check.holds("VMX-REG-001", bench.is_well(), "a read completes");
        }
    }
    check.holds("VMX-REG-007", bench.state() == before, "reads change nothing");
    check.holds("VMX-REG-007", !bench.wrote(), "reads write no memory");
}

/// Writes every offset that no register has; the device must be as before.
fn write_the_gaps(check: &mut Check, bench: &mut Bench) {
    let before = bench.state();
    for offset in (0..0x1000).step_by(4) {
        if Bar0::decode(offset).is_none() {
            bench.write(Bar::Bar0, offset, 0xffff_ffff);
            check.holds("VMX-REG-001", bench.is_well(), "a write completes");
        }
        if Bar1::decode(offset).is_none() {
            bench.write(Bar::Bar1, offset, 0xffff_ffff);
            check.holds("VMX-REG-001", bench.is_well(), "a write completes");
        }
    }
    check.holds("VMX-REG-001", bench.state() == before, "writes where no register is change nothing");
}

fn every_offset_completes(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        read_everything(check, bench);
        bench.prepare();
        read_everything(check, bench);
        bench.activate();
        bench.to_target();
        check.holds("VMX-REG-007", bench.serves(), "traffic flows");
        read_everything(check, bench);
        write_the_gaps(check, bench);
        check.holds("VMX-REG-007", bench.serves(), "traffic flows after every register was read");
        bench.command(Command::QuiesceDev);
        read_everything(check, bench);
        bench.command(Command::ResetDev);
        read_everything(check, bench);
        write_the_gaps(check, bench);
    });
}

fn versions(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), negotiate);
    check.on_newest(Target::Both, &Setup::default(), negotiate);
}

fn negotiate(check: &mut Check, bench: &mut Bench) {
    let offered = bench.read1(Bar1::Vrrs);
    check.equal("VMX-REG-002", "bit 0 of VRRS", offered & 1, 1u32);
    check.equal("VMX-REG-002", "VRRS", offered, check.profile().versions);
    let upt = bench.read1(Bar1::Uvrs);
    check.equal("VMX-REG-004", "bit 0 of UVRS", upt & 1, 1u32);
    let newest = 31 - offered.max(1).leading_zeros();
    bench.write1(Bar1::Vrrs, 1 << newest);
    bench.write1(Bar1::Uvrs, 1);
    let survived = |check: &mut Check, bench: &mut Bench| {
        if let Some(version) = bench.version() {
            check.equal("VMX-REG-003", "version", version, newest + 1);
        }
        let offered = bench.read1(Bar1::Vrrs);
        check.equal("VMX-REG-002", "VRRS after a version was selected", offered, check.profile().versions);
        let upt = bench.read1(Bar1::Uvrs);
        check.equal("VMX-REG-004", "UVRS after it was written", upt & 1, 1u32);
    };
    bench.start();
    survived(check, bench);
    check.holds("VMX-REG-004", bench.serves(), "a device whose UVRS took a 1 works");
    bench.command(Command::QuiesceDev);
    survived(check, bench);
    bench.command(Command::ResetDev);
    survived(check, bench);
    bench.set_shared(0);
    survived(check, bench);
    let shared = bench.layout.shared;
    bench.set_shared(shared);
    survived(check, bench);
    bench.write1(Bar1::Vrrs, 0);
    bench.write1(Bar1::Vrrs, 1 << 31);
    survived(check, bench);
}

fn shared_address(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let good = bench.layout.shared;
        let bad = bench.layout.end.next_multiple_of(8);
        let mut spoilt: DriverShared = bench.get(good);
        spoilt.set_magic(MAGIC ^ 1);
        bench.store(bad, &spoilt.0[..SHARED_BYTES_V1 as usize]);
        let mut answer = |bench: &mut Bench, works: bool, claim| {
            let refused = bench.activate() != 0;
            check.holds("VMX-REG-005", refused != works, claim);
            bench.command(Command::QuiesceDev);
        };
        answer(bench, true, "DSAL then DSAH install an address");
        // Whether the old address is in force between the two writes no driver asks; the new one is not.
        bench.write1(Bar1::Dsal, bad as u32);
        bench.write1(Bar1::Dsah, (bad >> 32) as u32);
        answer(bench, false, "DSAH installs what DSAL latched");
        bench.write1(Bar1::Dsal, 0xdead_0000);
        bench.write1(Bar1::Dsal, good as u32);
        answer(bench, false, "DSAL alone installs nothing");
        bench.write1(Bar1::Dsah, (good >> 32) as u32);
        answer(bench, true, "the last DSAL counts");
    });
}

fn shared_area_withdrawn(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        check.holds("VMX-REG-006", bench.serves(), "traffic flows before");
        bench.set_shared(0);
        bench.settle();
        let before = bench.memory().clone();
        bench.seen();
        check.holds("VMX-REG-006", bench.active() != Some(true), "the device is inactive");
        let frame = bench.to_guest(100);
        bench.offer(&frame);
        bench.write0(Bar0::TxProd(0), 0);
        bench.link(false);
        bench.link(true);
        bench.write1(Bar1::Ecr, !0);
        check.equal("VMX-REG-006", "ECR", bench.read1(Bar1::Ecr), 0u32);
        bench.command(Command::GetStats);
        bench.settle();
        check.holds("VMX-REG-006", bench.seen().is_empty(), "memory, wire and vectors are left alone");
        check.holds("VMX-REG-006", *bench.memory() == before, "memory is as it was");
        let refused = bench.activate() != 0;
        check.holds("VMX-REG-006", refused, "ACTIVATE_DEV finds no shared area");
    });
}

fn number(mac: [u8; 6]) -> u64 {
    mac.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

fn addresses(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let own = bench.adopt(ANOTHER);
        check.equal("VMX-REG-008", "MACH and MACL at power-on", bench.mac(), number(bench.permanent()));
        bench.write1(Bar1::Macl, 0x4433_2211);
        bench.write1(Bar1::Mach, 0xdead_6655);
        check.equal("VMX-REG-009", "address while inactive", bench.mac(), 0x6655_4433_2211u64);
        bench.start();
        check.equal("VMX-REG-008", "address while active", bench.mac(), number(own));
        check.holds("VMX-REG-009", bench.serves(), "frames to the address written are received");
        let other = [0x02, 1, 2, 3, 4, 5];
        let (to_own, to_other) = (bench.frame(own, 80), bench.frame(other, 80));
        check.holds("VMX-REG-009", bench.refuses(&to_other), "frames to another address are not");
        bench.set_mac(other);
        check.equal("VMX-REG-009", "address written while active", bench.mac(), number(other));
        check.holds("VMX-REG-009", bench.refuses(&to_own), "the old address counts no more");
        let again = bench.frame(other, 81);
        check.holds("VMX-REG-009", bench.receives(&again), "the new address counts at once");
        let low = bench.command(Command::GetPermMacLo);
        let high = bench.command(Command::GetPermMacHi);
        let permanent = u64::from(low) | u64::from(high) << 32;
        check.equal("VMX-CMD-007", "permanent address", permanent, number(bench.permanent()));
        bench.command(Command::QuiesceDev);
        check.equal("VMX-REG-008", "address after QUIESCE_DEV", bench.mac(), number(other));
        bench.set_mac(own);
        check.equal("VMX-REG-009", "address written after QUIESCE_DEV", bench.mac(), number(own));
        bench.function_reset();
        check.equal("VMX-REG-010", "address after a function reset", bench.mac(), number(bench.permanent()));
        let low = bench.command(Command::GetPermMacLo);
        check.equal("VMX-CMD-007", "its low half", low, number(bench.permanent()) as u32);
    });
}

fn event_register(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let shared = bench.layout.shared;
        let all = ecr::RQERR | ecr::TQERR | ecr::LINK | ecr::DIC | ecr::DEBUG;
        for clear in 0..=all {
            bench.put(shared + ECR_OFFSET, all);
            let before: DriverShared = bench.get(shared);
            check.equal("VMX-REG-013", "ECR", bench.read1(Bar1::Ecr), all);
            bench.write1(Bar1::Ecr, clear);
            let mut after: DriverShared = bench.get(shared);
            check.equal("VMX-REG-012", "events left", after.ecr(), all & !clear);
            check.equal("VMX-REG-013", "ECR after its write", bench.read1(Bar1::Ecr), all & !clear);
            after.set_ecr(all);
            check.holds("VMX-REG-012", after == before, "nothing beside the event word changes");
        }
    });
}

fn doorbells_of_nobody(check: &mut Check) {
    let ring_all = |bench: &mut Bench, from: u8, value: u32| {
        (from..8).for_each(|q| bench.write0(Bar0::TxProd(q), value));
        for q in from..16 {
            bench.write0(Bar0::RxProd(q), value);
            bench.write0(Bar0::RxProd2(q), value);
        }
        bench.settle();
    };
    check.on(Target::Both, &Setup::default(), |check, bench| {
        ring_all(bench, 0, 3);
        check.holds("VMX-REG-014", bench.seen().is_empty(), "doorbells before any shared area do nothing");
        bench.prepare();
        ring_all(bench, 0, 5);
        check.holds("VMX-REG-014", bench.seen().is_empty(), "doorbells while inactive do nothing");
        bench.activate();
        bench.to_target();
        check.holds("VMX-REG-014", bench.serves(), "traffic flows");
        for value in [0, 1, 31, 32, u32::MAX] {
            bench.seen();
            ring_all(bench, 1, value);
            check.holds("VMX-REG-014", bench.seen().is_empty(), "doorbells of queues not configured do nothing");
        }
        check.holds("VMX-REG-014", bench.serves(), "traffic still flows");
        let status: spec::vmxnet3::TxQueueDesc = {
            bench.command(Command::GetQueueStatus);
            bench.get(bench.layout.tx_queue_desc(0))
        };
        let stopped = status.status().stopped() != 0 || status.status().error() == QueueError::TxdInvalid.code();
        check.holds("VMX-REG-014", !stopped, "no queue stopped");
        bench.command(Command::QuiesceDev);
        bench.seen();
        ring_all(bench, 0, 7);
        check.holds("VMX-REG-014", bench.seen().is_empty(), "doorbells after QUIESCE_DEV do nothing");
    });
}

fn masks_read_back(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let vectors = check.profile().width(1).vectors;
        let read_back = |check: &mut Check, bench: &mut Bench| {
            for vector in 0..vectors {
                for (written, read) in [(0, 0), (1, 1), (0, 0), (u32::from(vector) & 1, u32::from(vector) & 1)] {
                    bench.write0(Bar0::Imr(vector), written);
                    let found = bench.read0(Bar0::Imr(vector));
                    check.equal("VMX-REG-011", "IMR", found, read);
                }
            }
        };
        for vector in 0..vectors {
            check.equal("VMX-REG-011", "IMR at power-on", bench.read0(Bar0::Imr(vector)), 1u32);
        }
        read_back(check, bench);
        bench.start();
        for vector in 0..vectors {
            let found = bench.read0(Bar0::Imr(vector));
            check.equal("VMX-REG-011", "IMR across ACTIVATE_DEV", found, u32::from(vector) & 1);
        }
        read_back(check, bench);
        bench.command(Command::QuiesceDev);
        for vector in 0..vectors {
            let found = bench.read0(Bar0::Imr(vector));
            check.equal("VMX-REG-011", "IMR across QUIESCE_DEV", found, u32::from(vector) & 1);
        }
    });
}
