//! What versions 4 to 9 add on the control path, and what a device declines there: capabilities, hash fields, sizes, offloads.

use super::offered::each_version;
use crate::case::{Case, Check};
use crate::rig::{Bench, Setup};
use spec::vmxnet3::answer::{DataSizes, DisabledOffloads, Link, TimestampSizes};
use spec::vmxnet3::capability::DCR_ERROR;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::RXCOMP_LRO;
use spec::vmxnet3::{Bar1, Command, DATA_ENTRY_MAX, DATA_ENTRY_STEP};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "capabilities-offered-and-granted",
        clauses: &["VMX-V7-001", "VMX-V7-003", "VMX-V7-008", "VMX-V7-009"],
        unless: &[],
        needs: &[],
        run: offered_and_granted,
    },
    Case { id: "capabilities-stay", clauses: &["VMX-V7-007"], unless: &[], needs: &[], run: capabilities_stay },
    Case {
        id: "capabilities-before-version-7",
        clauses: &["VMX-V7-006"],
        unless: &[],
        needs: &[],
        run: before_version_7,
    },
    Case {
        id: "link-speed-by-version",
        clauses: &["VMX-CMD-008", "VMX-V9-001"],
        unless: &[],
        needs: &[],
        run: link_speed,
    },
    Case {
        id: "entry-sizes-by-version",
        clauses: &["VMX-V9-002", "VMX-V9-003"],
        unless: &[],
        needs: &[],
        run: entry_sizes,
    },
    Case { id: "offloads-left-off", clauses: &["VMX-V9-004"], unless: &[], needs: &[], run: offloads_left_off },
];

/// Versions that have DCR and PTCR.
const CAPABLE: u8 = 7;

/// What is granted after `wanted` was written.
fn ask(bench: &mut Bench, wanted: u32) -> u32 {
    bench.write1(Bar1::Dcr(0), wanted);
    bench.command(Command::GetDcr0Reg)
}

fn offered_and_granted(check: &mut Check) {
    each_version(check, CAPABLE..=9, &Setup::default(), |check, bench, _| {
        let offered = bench.read1(Bar1::Dcr(0));
        check.equal("VMX-V7-001", "DCR0", offered, check.profile().answers.capabilities);
        check.equal("VMX-V7-001", "granted before anything was asked for", bench.command(Command::GetDcr0Reg), 0u32);
        let adapter = bench.read1(Bar1::Ptcr(0));
        check.equal("VMX-V7-003", "PTCR0", adapter, check.profile().answers.passthrough);
        check.holds("VMX-V7-003", offered & DCR_ERROR == 0, "DCR0 offers no error");
        let most = bench.command(Command::GetMaxCapabilities);
        check.holds("VMX-V7-009", offered != 0 || most == 0, "nothing is told where nothing is offered");
        let negotiate = |check: &mut Check, bench: &mut Bench| {
            for wanted in [u32::MAX, 0, 1 << 16 | 1 << 17, 0xff, DCR_ERROR, 0x7fff_ffff] {
                let granted = ask(bench, wanted);
                check.equal("VMX-V7-001", "granted", granted, wanted & offered & !DCR_ERROR);
                check.holds("VMX-V7-003", granted & DCR_ERROR == 0, "the error is never granted");
                check.equal("VMX-V7-008", "DCR0 after a write", bench.read1(Bar1::Dcr(0)), offered);
                check.equal("VMX-V7-003", "PTCR0 after a write", bench.read1(Bar1::Ptcr(0)), adapter);
            }
            bench.write1(Bar1::Ptcr(0), 0);
            check.equal("VMX-V7-003", "PTCR0 after a write of its own", bench.read1(Bar1::Ptcr(0)), adapter);
            for place in 1..6 {
                bench.write1(Bar1::Dcr(place), u32::MAX);
                let others = bench.read1(Bar1::Dcr(place)) | bench.read1(Bar1::Ptcr(place));
                check.equal("VMX-V7-001", "DCR1 to DCR5 and PTCR1 to PTCR5", others, 0u32);
            }
        };
        negotiate(check, bench);
        bench.start();
        negotiate(check, bench);
        check.holds("VMX-V7-008", bench.serves(), "traffic flows whatever is asked for while active");
        bench.command(Command::ResetDev);
        negotiate(check, bench);
    });
}

fn capabilities_stay(check: &mut Check) {
    each_version(check, CAPABLE..=9, &Setup::default(), |check, bench, _| {
        let granted = ask(bench, u32::MAX);
        let same = |check: &mut Check, bench: &mut Bench, what| {
            check.equal("VMX-V7-007", what, bench.command(Command::GetDcr0Reg), granted);
        };
        bench.start();
        same(check, bench, "granted after ACTIVATE_DEV");
        check.holds("VMX-V7-007", bench.serves(), "traffic flows");
        bench.command(Command::QuiesceDev);
        same(check, bench, "granted after QUIESCE_DEV");
        bench.command(Command::ResetDev);
        same(check, bench, "granted after RESET_DEV");
        bench.set_shared(0);
        same(check, bench, "granted without a shared area");
        let shared = bench.layout.shared;
        bench.set_shared(shared);
        bench.restart();
        same(check, bench, "granted after another ACTIVATE_DEV");
        check.holds("VMX-V7-007", bench.serves(), "traffic flows again");
    });
}

fn before_version_7(check: &mut Check) {
    each_version(check, 1..=CAPABLE - 1, &Setup::default(), |check, bench, _| {
        let silent = |check: &mut Check, bench: &mut Bench| {
            for place in 0..6 {
                bench.write1(Bar1::Dcr(place), u32::MAX);
                check.equal("VMX-V7-006", "DCR", bench.read1(Bar1::Dcr(place)), 0u32);
                check.equal("VMX-V7-006", "PTCR", bench.read1(Bar1::Ptcr(place)), 0u32);
                check.equal("VMX-V7-006", "GET_DCR0_REG", bench.command(Command::GetDcr0Reg), 0u32);
            }
        };
        silent(check, bench);
        bench.start();
        silent(check, bench);
        check.holds("VMX-V7-006", bench.serves(), "traffic flows");
        if bench.read1(Bar1::Vrrs) >> (CAPABLE - 1) & 1 == 1 {
            bench.command(Command::ResetDev);
            bench.select(CAPABLE);
            let granted = bench.command(Command::GetDcr0Reg);
            check.equal("VMX-V7-006", "granted by a write before version 7", granted, 0u32);
        }
    });
}

fn link_speed(check: &mut Check) {
    each_version(check, 1..=9, &Setup::default(), |check, bench, version| {
        let clause = if version < 9 { "VMX-CMD-008" } else { "VMX-V9-001" };
        let expected = check.profile().link_up >> 16;
        let told = |check: &mut Check, bench: &mut Bench| {
            let link = Link(bench.command(Command::GetLink));
            check.holds(clause, link.up() && link.rsvd() == 0, "the link is up");
            let least = if version < 9 || expected >= 10_000 { expected } else { expected.max(1000) / 1000 * 1000 };
            check.equal(clause, "Mbit/s as the driver understands it", link.mbit(version), least);
        };
        told(check, bench);
        bench.link(false);
        check.equal(clause, "answer while the link is down", bench.command(Command::GetLink), 0u32);
        bench.link(true);
        bench.start();
        told(check, bench);
    });
}

fn entry_sizes(check: &mut Check) {
    each_version(check, 1..=9, &Setup::default(), |check, bench, version| {
        let sizes = DataSizes(bench.command(Command::GetTxdataDescSize));
        let least = if version < 9 { 0 } else { check.profile().answers.rx_data_bytes };
        check.equal("VMX-V9-003", "bytes of an RX data entry", sizes.rx(), least);
        let valid = sizes.rx().is_multiple_of(DATA_ENTRY_STEP) && sizes.rx() <= DATA_ENTRY_MAX;
        check.holds("VMX-V9-003", valid, "a multiple of 64 up to 2048");
        let stamps = TimestampSizes(bench.command(Command::GetTsringDescSize));
        let step = DATA_ENTRY_STEP as u8;
        let valid = stamps.tx().is_multiple_of(step) && stamps.rx().is_multiple_of(step);
        check.holds("VMX-V9-002", valid && stamps.rsvd() == 0 && stamps.rsvd1() == 0, "multiples of 64");
        let expected = if version < 9 { 0 } else { check.profile().answers.timestamp_bytes };
        check.equal("VMX-V9-002", "GET_TSRING_DESC_SIZE", stamps.0, expected);
        bench.start();
        check.equal("VMX-V9-003", "sizes while active", bench.command(Command::GetTxdataDescSize), sizes.0);
        check.equal("VMX-V9-002", "sizes while active", bench.command(Command::GetTsringDescSize), stamps.0);
    });
}

/// A TCP segment that a merging device would put together with its neighbours.
fn segment(bench: &mut Bench, sequence: u32) -> Vec<u8> {
    let mut frame = bench.to_guest(14 + 20 + 20 + 100);
    frame[12..34].copy_from_slice(&[
        8,
        0,
        0x45,
        0,
        0,
        140,
        0,
        sequence as u8,
        0x40,
        0,
        64,
        6,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    frame[34..54].copy_from_slice(&[0, 80, 0, 81, 0, 0, 0, 0, 0, 0, 0, 9, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame[38..42].copy_from_slice(&(sequence * 100).to_be_bytes());
    frame
}

fn offloads_left_off(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.features |= feature::LRO;
    each_version(check, 9..=9, &setup, |check, bench, _| {
        let disabled = DisabledOffloads(bench.command(Command::GetDisabledOffloads));
        check.equal("VMX-V9-004", "bits 31:2", disabled.rsvd(), 0u32);
        check.equal("VMX-V9-004", "GET_DISABLED_OFFLOADS", disabled.0, check.profile().answers.disabled_offloads);
        bench.start();
        for sequence in 0..6 {
            let frame = segment(bench, sequence);
            bench.offer(&frame);
        }
        bench.settle();
        let got = bench.received(0);
        let merged = got.iter().any(|(_, last)| last.kind() == RXCOMP_LRO) || got.len() < 6;
        check.holds("VMX-V9-004", !disabled.lro() || !merged, "segments come one by one, though the feature is on");
        let again = bench.command(Command::GetDisabledOffloads);
        check.equal("VMX-V9-004", "answer while active", again, disabled.0);
    });
}
