//! The PCI function as a kernel finds it: what it says it is, its pages, its capabilities; and bus mastering.
//!
//! Source: PCI Local Bus Specification 3.0, sections 6.1, 6.2 and 6.8; linux vmxnet3_drv.c, vmxnet3_alloc_pci_resources.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Seen, Setup};
use spec::vmxnet3::{DEVICE, Interrupts, VENDOR};

pub(crate) const CASES: &[Case] = &[
    Case::new("what-the-function-is", &["VMX-PCI-001"], identity),
    Case::new("pages-of-memory", &["VMX-PCI-002"], pages),
    Case::new("vectors-for-all-queues", &["VMX-PCI-003"], vectors),
    Case::new("one-vector-of-msi", &["VMX-PCI-004"], one_vector),
    Case::new("no-message-without-bus-mastering", &["VMX-PCI-005"], no_message),
];

/// Identifiers of the capabilities. Source: PCI Local Bus Specification 3.0, appendix H.
pub(in crate::vmxnet3) const MSI: u32 = 0x05;
pub(in crate::vmxnet3) const MSIX: u32 = 0x11;
/// Bytes that drivers use of each page.
const PAGE_BYTES: u32 = 4096;

/// Where capability `id` lies and its first dword, if the list has it.
pub(in crate::vmxnet3) fn capability(bench: &mut Bench, id: u32) -> Option<(u8, u32)> {
    let mut at = bench.config(0x34) as u8;
    // Each takes 4 bytes at least: a longer list goes in circles.
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        let head = bench.config(at);
        if head & 0xff == id {
            return Some((at, head));
        }
        at = (head >> 8) as u8 & !3;
    }
    None
}

fn identity(check: &mut Check) {
    check.on(Target::Software, &Setup::default(), |check, bench| {
        let id = u32::from(DEVICE) << 16 | u32::from(VENDOR);
        check.equal("VMX-PCI-001", "vendor and device", bench.config(0), id);
        check.equal("VMX-PCI-001", "class", bench.config(8) >> 8, 0x02_0000u32);
        check.equal("VMX-PCI-001", "header type", bench.config(0x0c) >> 16 & 0x7f, 0u32);
        check.equal("VMX-PCI-001", "interrupt pin", bench.config(0x3c) >> 8 & 0xff, 1u32);
        bench.set_config(0, 0);
        check.equal("VMX-PCI-001", "vendor and device, written", bench.config(0), id);
    });
}

fn pages(check: &mut Check) {
    check.on(Target::Software, &Setup::default(), |check, bench| {
        for at in [0x10, 0x14] {
            let placed = bench.config(at);
            check.holds("VMX-PCI-002", placed & 1 == 0, "a page is memory");
            bench.set_config(at, u32::MAX);
            let bytes = (bench.config(at) & !0xf).wrapping_neg();
            bench.set_config(at, placed);
            check.holds("VMX-PCI-002", bytes >= PAGE_BYTES && bytes.is_power_of_two(), "of 4096 bytes at least");
            check.equal("VMX-PCI-002", "where it was placed", bench.config(at), placed);
        }
        bench.start();
        check.holds("VMX-PCI-002", bench.serves(), "traffic flows");
    });
}

fn vectors(check: &mut Check) {
    let widest = check.profile().widest();
    check.on(Target::Software, &Setup::default(), |check, bench| {
        let Some((at, head)) = capability(bench, MSIX) else {
            check.holds("VMX-PCI-003", false, "there is MSI-X");
            return;
        };
        let count = (head >> 16 & 0x7ff) + 1;
        let wanted = u32::from(widest.tx_queues) + u32::from(widest.rx_queues) + 1;
        check.holds("VMX-PCI-003", count >= wanted.max(3), "there is a vector for each queue and one for events");
        for (word, bytes) in [(4, count * 16), (8, count.div_ceil(64) * 8)] {
            let place = bench.config(at + word);
            check.holds("VMX-PCI-003", (2..6).contains(&(place & 7)), "the table has a BAR of its own");
            check.holds("VMX-PCI-003", (place & !7).checked_add(bytes).is_some(), "and lies in it");
        }
    });
}

fn one_vector(check: &mut Check) {
    check.on_kind(Interrupts::Msi, &Setup::default(), |check, bench| {
        let Some((_, head)) = capability(bench, MSI) else {
            check.holds("VMX-PCI-004", false, "there is MSI");
            return;
        };
        let control = head >> 16;
        check.equal("VMX-PCI-004", "vectors of MSI, as a power of two", control >> 1 & 7, 0u32);
        check.equal("VMX-PCI-004", "a 64-bit address", control >> 7 & 1, 1u32);
        check.equal("VMX-PCI-004", "enable, once it is chosen", control & 1, 1u32);
        bench.interrupts(Interrupts::Line);
        let (_, head) = capability(bench, MSI).unwrap_or_default();
        check.equal("VMX-PCI-004", "enable, once the line is chosen", head >> 16 & 1, 0u32);
    });
}

fn no_message(check: &mut Check) {
    for kind in [Interrupts::MsiX, Interrupts::Msi] {
        check.on_kind(kind, &Setup::unjudged(), |check, bench| {
            bench.start();
            for round in 0..4 {
                check.holds("VMX-PCI-005", bench.serves(), "traffic flows");
                for _ in 0..2 {
                    bench.unmask(0);
                    bench.settle();
                }
                bench.seen();
                bench.bus_master(false);
                let packet = bench.from_guest(100 + round);
                bench.send(0, &packet);
                bench.link(false);
                bench.link(true);
                bench.settle();
                check.equal("VMX-PCI-005", "messages without bus mastering", bench.raised(0), 0u32);
                let moved = |seen: &Seen| matches!(seen, Seen::Read(..) | Seen::Write(..));
                let wrote = bench.wrote() || bench.seen().iter().any(moved);
                check.holds("VMX-PCI-005", !wrote, "memory is not touched");
                bench.bus_master(true);
                // Whether a doorbell of before is remembered is another matter.
                bench.ring(0);
                bench.settle();
                check.equal("VMX-PCI-005", "completions once it is on", bench.completions(0).len() as u64, 1u32);
                bench.seen();
            }
        });
    }
}
