//! The large BAR0 of version 7: doorbells on its second page where they were granted, those of the first page always, nothing behind.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::pci::Pci;
use spec::event::Bar;
use spec::vmxnet3::bar0::{LARGE_BAR0_BYTES, LargeBar0};
use spec::vmxnet3::capability::LARGE_BAR;
use spec::vmxnet3::{Bar0, Bar1, Command};

pub(crate) const CASES: &[Case] = &[
    Case::new("large-bar-granted", &["VMX-V7-002"], granted),
    Case::new("large-bar-not-granted", &["VMX-V7-002"], not_granted),
    Case::new("large-bar-before-version-7", &["VMX-V7-002"], before_version_7),
    Case::new("large-bar-behind-the-doorbells", &["VMX-V7-010"], behind),
    Case::new("large-bar-size", &["VMX-V7-010"], size).needing(&[Need::Inside]),
];

/// Versions at the two ends of those that have it.
const VERSIONS: [u8; 2] = [7, 9];

/// Asks for the doorbells of the second page; what is granted then.
fn ask(bench: &mut Bench) -> u32 {
    bench.write1(Bar1::Dcr(0), LARGE_BAR);
    bench.command(Command::GetDcr0Reg)
}

/// More frames each way than rings have cells, so that buffers are told of on either body.
fn laps(bench: &mut Bench) -> bool {
    (0..40).all(|_| bench.serves())
}

fn granted(check: &mut Check) {
    for version in VERSIONS {
        check.at_large_bar(version, Target::Both, &Setup::default().queues(2), |check, bench| {
            check.equal("VMX-V7-002", "capabilities granted", ask(bench), LARGE_BAR);
            bench.second_page = true;
            bench.start();
            check.holds("VMX-V7-002", laps(bench), "traffic flows by the doorbells of the second page");
            bench.second_page = false;
            check.holds("VMX-V7-002", laps(bench), "and by those of the first");
            for _ in 0..4 {
                bench.second_page = !bench.second_page;
                check.holds("VMX-V7-002", bench.serves(), "and by one after the other");
            }
            bench.second_page = true;
            for command in [Command::QuiesceDev, Command::ResetDev] {
                bench.command(command);
                bench.restart();
                check.holds("VMX-V7-002", laps(bench), "what was granted stays through QUIESCE_DEV and RESET_DEV");
            }
            for queue in 0..32 {
                for register in [LargeBar0::LbTxProd(queue), LargeBar0::LbRxProd(queue), LargeBar0::LbRxProd2(queue)] {
                    let read = bench.read(Bar::Bar0, register.offset());
                    check.equal("VMX-V7-002", "a doorbell of the second page", read, 0u32);
                }
            }
        });
    }
}

/// Whether the doorbells of the second page do nothing, and those of the first do.
fn second_page_is_dead(check: &mut Check, bench: &mut Bench) {
    bench.settle();
    let frame = bench.from_guest(100);
    bench.seen();
    bench.second_page = true;
    bench.send(0, &frame);
    bench.settle();
    check.holds("VMX-V7-002", bench.seen().is_empty(), "a doorbell that was not granted does nothing");
    bench.second_page = false;
    bench.ring(0);
    bench.settle();
    check.holds("VMX-V7-002", bench.sent() == [&frame[..]], "the one of the first page sends");
    bench.completions(0);
    check.holds("VMX-V7-002", bench.serves(), "traffic flows");
}

fn not_granted(check: &mut Check) {
    for version in VERSIONS {
        check.at_large_bar(version, Target::Both, &Setup::default(), |check, bench| {
            bench.start();
            second_page_is_dead(check, bench);
            bench.write1(Bar1::Dcr(0), !LARGE_BAR);
            second_page_is_dead(check, bench);
        });
        check.at_large_bar(version, Target::Software, &Setup::unjudged(), |check, bench| {
            ask(bench);
            bench.function_reset();
            bench.select(version);
            bench.start();
            second_page_is_dead(check, bench);
            ask(bench);
            bench.second_page = true;
            check.holds("VMX-V7-002", bench.serves(), "granted while active, the second page works");
        });
        // A device that does not offer it grants nothing.
        check.at(version, Target::Software, &Setup::default(), |check, bench| {
            if check.profile().answers.capabilities & LARGE_BAR == 0 {
                check.equal("VMX-V7-002", "granted where it is not offered", ask(bench), 0u32);
                bench.start();
                second_page_is_dead(check, bench);
            }
        });
    }
}

fn before_version_7(check: &mut Check) {
    for version in [1, 6] {
        check.at_large_bar(version, Target::Both, &Setup::default(), |check, bench| {
            check.equal("VMX-V7-002", "granted before version 7", ask(bench), 0u32);
            bench.start();
            second_page_is_dead(check, bench);
        });
    }
}

fn behind(check: &mut Check) {
    check.at_large_bar(9, Target::Both, &Setup::default(), |check, bench| {
        ask(bench);
        bench.start();
        bench.settle();
        bench.seen();
        let before = bench.state();
        let second = (0x1000..0x2000).step_by(4).filter(|offset| LargeBar0::decode(*offset).is_none());
        let pages = [0x2000, 0x2600, 0x3000, 0x1_0000, LARGE_BAR0_BYTES - 4].into_iter();
        for offset in second.chain(pages) {
            bench.write(Bar::Bar0, offset, 1);
            check.equal("VMX-V7-010", "a place behind the doorbells", bench.read(Bar::Bar0, offset), 0u32);
        }
        bench.settle();
        check.holds("VMX-V7-010", bench.state() == before && bench.seen().is_empty(), "nothing happens there");
        check.equal(
            "VMX-V7-010",
            "IMR on the second page",
            bench.read(Bar::Bar0, 0x1000 + Bar0::Imr(0).offset()),
            0u32,
        );
        check.holds("VMX-V7-010", bench.serves(), "traffic flows");
    });
}

/// Bytes of BAR0, as a kernel finds them out.
fn sized(pci: &Pci) -> u32 {
    let mut pci = pci.clone();
    pci.write_config(0x10, &[0xff; 4]);
    let mut mask = [0; 4];
    pci.read_config(0x10, &mut mask);
    (u32::from_le_bytes(mask) & !0xf).wrapping_neg()
}

fn size(check: &mut Check) {
    for version in [1, 6, 7, 9] {
        check.at_large_bar(version, Target::Software, &Setup::default(), |check, bench| {
            let expected = if version < 7 { 4096 } else { LARGE_BAR0_BYTES };
            check.equal("VMX-V7-010", "bytes of BAR0", sized(bench.system().pci()), expected);
        });
        check.at(version, Target::Software, &Setup::default(), |check, bench| {
            let expected = check.profile().bar0_bytes();
            check.equal("VMX-V7-010", "bytes of BAR0", sized(bench.system().pci()), expected);
        });
    }
}
