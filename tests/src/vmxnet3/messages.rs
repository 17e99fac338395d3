//! MSI, with its one message: what vector 0 tells and other vectors do not, masks, ICR, the change from one kind of interrupts to
//! another, and that hardware is closed to a guest on it.
//!
//! Source: linux vmxnet3_drv.c, vmxnet3_alloc_intr_resources and vmxnet3_intr; PCI Local Bus Specification 3.0, section 6.8.

use super::function::{MSIX, capability};
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use model::guest::vmxnet3::Vectors;
use model::migrate::{Outcome, Plan, Reason, TxMode};
use spec::profile::Deviation;
use spec::vmxnet3::{Bar0, Bar1, Command, Interrupts};

const FORGETS: &[Deviation] = &[Deviation::UnmaskForgetsAutoMask];

pub(crate) const CASES: &[Case] = &[
    Case::new("one-message-for-all", &["VMX-PCI-004", "VMX-INT-001"], for_all),
    Case::new("other-vectors-of-one-message", &["VMX-PCI-004"], other_vectors),
    Case::new("a-message-while-unmasked", &["VMX-INT-001", "VMX-INT-003"], |check| unmasked(check, false)),
    Case::new("a-message-while-unmasked-with-auto-mask", &["VMX-INT-001", "VMX-INT-003"], |check| {
        unmasked(check, true);
    }),
    Case::new("a-message-while-masked", &["VMX-INT-002"], |check| masked(check, false)).unless(FORGETS),
    Case::new("a-message-while-masked-with-auto-mask", &["VMX-INT-002"], |check| masked(check, true)).unless(FORGETS),
    Case::new("icr-of-one-message", &["VMX-REG-015"], icr),
    Case::new("from-one-kind-to-another", &["VMX-PCI-004", "VMX-INT-004"], kinds),
    Case::new("msi-and-msi-x-at-once", &["VMX-PCI-006"], both),
    Case::new("a-line-that-gives-way-to-a-message", &["VMX-PCI-004"], line_left).needing(&[Need::Inside]),
    Case::new("hardware-is-closed-without-msi-x", &["SWI-INT-001"], closed).needing(&[Need::Moves]),
];

/// A guest of one message, with so many queues.
fn setup(queues: u8, auto_mask: bool) -> Setup {
    let mut setup = Setup::default().queues(queues);
    (setup.config.vectors, setup.config.auto_mask) = (Vectors::Msi, auto_mask);
    setup
}

/// Unmasks the first vectors for good, whatever causes they remember, and forgets what came of it.
fn open(bench: &mut Bench) {
    for _ in 0..2 {
        (0..8).for_each(|vector| bench.unmask(vector));
        bench.settle();
    }
    bench.seen();
}

fn receive(bench: &mut Bench) {
    let frame = bench.to_guest(90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0);
}

/// Every vector raised since the record was last taken, and whether the line was.
fn told(bench: &mut Bench) -> (Vec<u16>, bool) {
    let seen = bench.seen();
    let vector = |seen: &Seen| if let Seen::Vector(vector) = seen { Some(*vector) } else { None };
    (seen.iter().filter_map(vector).collect(), seen.contains(&Seen::Line(true)))
}

fn for_all(check: &mut Check) {
    check.on_kind(Interrupts::Msi, &setup(2, true), |check, bench| {
        bench.start();
        for queue in [0, 1, 0] {
            open(bench);
            let frame = bench.from_guest(80);
            bench.send(queue, &frame);
            bench.settle();
            check.holds("VMX-PCI-004", told(bench) == (vec![0], false), "what is sent is told by the one message");
            open(bench);
            receive(bench);
            check.holds("VMX-INT-001", told(bench) == (vec![0], false), "what is received too");
            open(bench);
            bench.link(queue == 1);
            let (vectors, line) = told(bench);
            check.holds("VMX-PCI-004", !line && vectors.iter().all(|&vector| vector == 0), "and so are events");
            bench.acknowledge();
            bench.link(true);
            bench.acknowledge();
        }
    });
}

/// A driver that names a vector which MSI has not, as FreeBSD's may for what is sent: nothing is told of it, and nothing breaks.
fn other_vectors(check: &mut Check) {
    for vector in [1, 24] {
        check.on_kind(Interrupts::Msi, &setup(1, true), |check, bench| {
            bench.prepare();
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_intr_idx(vector);
                desc.set_conf(conf);
            });
            check.equal("VMX-PCI-004", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
            for _ in 0..3 {
                open(bench);
                bench.unmask(vector);
                let frame = bench.from_guest(80);
                bench.send(0, &frame);
                bench.settle();
                check.equal("VMX-PCI-004", "completions", bench.completions(0).len() as u64, 1u32);
                bench.write0(Bar0::Imr(vector), 1);
                bench.unmask(vector);
                bench.settle();
                check.holds("VMX-PCI-004", told(bench).0.is_empty(), "a vector that MSI has not tells nothing");
                receive(bench);
                check.holds("VMX-PCI-004", told(bench) == (vec![0], false), "the one that it has tells of its queue");
            }
            check.holds("VMX-PCI-004", bench.serves(), "traffic flows");
        });
    }
}

fn unmasked(check: &mut Check, auto_mask: bool) {
    check.on_kind(Interrupts::Msi, &setup(1, auto_mask), |check, bench| {
        bench.start();
        for _ in 0..4 {
            open(bench);
            receive(bench);
            check.equal("VMX-INT-001", "messages", bench.raised(0), 1u32);
            check.equal("VMX-INT-003", "IMR behind one", bench.read0(Bar0::Imr(0)), u32::from(auto_mask));
            bench.seen();
            receive(bench);
            check.equal("VMX-INT-001", "messages of the next", bench.raised(0), u64::from(!auto_mask));
        }
    });
}

fn masked(check: &mut Check, auto_mask: bool) {
    check.on_kind(Interrupts::Msi, &setup(1, auto_mask), |check, bench| {
        bench.start();
        for _ in 0..4 {
            bench.write0(Bar0::Imr(0), 1);
            bench.read0(Bar0::Imr(0));
            bench.seen();
            receive(bench);
            receive(bench);
            check.equal("VMX-INT-002", "messages while masked", bench.raised(0), 0u32);
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-002", "messages at the unmask", bench.raised(0), 1u32);
            check.equal("VMX-INT-002", "IMR behind it", bench.read0(Bar0::Imr(0)), u32::from(auto_mask));
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-002", "messages in all, unmasked again", bench.raised(0), 1u32);
        }
    });
}

fn icr(check: &mut Check) {
    check.on_kind(Interrupts::Msi, &setup(1, true), |check, bench| {
        bench.start();
        for _ in 0..3 {
            open(bench);
            receive(bench);
            check.equal("VMX-REG-015", "ICR behind a message", bench.read1(Bar1::Icr), 0u32);
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-REG-015", "ICR of no cause", bench.read1(Bar1::Icr), 0u32);
            check.equal("VMX-REG-015", "IMR behind it", bench.read0(Bar0::Imr(0)), 0u32);
            bench.write0(Bar0::Imr(0), 1);
            bench.read0(Bar0::Imr(0));
            receive(bench);
            bench.read1(Bar1::Icr);
            bench.seen();
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-REG-015", "messages of a cause that ICR was read over", bench.raised(0), 1u32);
        }
    });
}

/// A driver is reloaded, and each time its kernel has another kind of interrupts for it.
fn kinds(check: &mut Check) {
    use Interrupts::{Line, Msi, MsiX};
    let mut setup = setup(1, true);
    // Which kind is in force is the kernel's doing, and judges are told of it by no foreign device.
    setup.judged = false;
    check.on(Target::Software, &setup, |check, bench| {
        bench.start();
        for kind in [Msi, Line, Msi, MsiX, Msi, MsiX, Line, MsiX] {
            bench.command(Command::QuiesceDev);
            bench.settle();
            bench.interrupts(kind);
            check.equal("VMX-PCI-004", "answer of ACTIVATE_DEV", bench.restart(), 0u32);
            open(bench);
            if kind == Line {
                bench.read1(Bar1::Icr);
                open(bench);
            }
            receive(bench);
            let by_line = bench.read1(Bar1::Icr);
            let expected = if kind == Line { (vec![], true) } else { (vec![0], false) };
            check.holds("VMX-PCI-004", told(bench) == expected, "a cause is told by the kind that was chosen");
            check.equal("VMX-INT-004", "ICR", by_line, u32::from(kind == Line));
        }
        bench.function_reset();
        bench.start();
        open(bench);
        receive(bench);
        check.holds("VMX-PCI-004", told(bench) == (vec![0], false), "behind a reset of the function it is MSI-X again");
    });
}

/// A guest that has enabled MSI and then enables MSI-X as well.
fn both(check: &mut Check) {
    let mut setup = setup(1, true);
    setup.config.vectors = Vectors::Separate;
    check.on_kind(Interrupts::Msi, &setup, |check, bench| {
        let Some((at, head)) = capability(bench, MSIX) else {
            check.holds("VMX-PCI-006", false, "there is MSI-X");
            return;
        };
        bench.set_config(at, head | 1 << 31);
        bench.start();
        for _ in 0..3 {
            open(bench);
            let frame = bench.from_guest(80);
            bench.send(0, &frame);
            bench.settle();
            check.holds(
                "VMX-PCI-006",
                told(bench) == (vec![0], false),
                "what is sent raises the vector of the TX queue",
            );
            bench.completions(0);
            receive(bench);
            check.holds("VMX-PCI-006", told(bench) == (vec![1], false), "what is received that of the RX queue");
        }
    });
}

/// The line is up, and nobody will ever read ICR for it: the next driver of the device has MSI.
fn line_left(check: &mut Check) {
    let mut setup = setup(1, true);
    setup.judged = false;
    check.on_kind(Interrupts::Line, &setup, |check, bench| {
        bench.start();
        for _ in 0..3 {
            open(bench);
            receive(bench);
            check.holds("VMX-PCI-004", bench.system().line(), "a cause raises the line");
            bench.interrupts(Interrupts::Msi);
            check.holds("VMX-PCI-004", !bench.system().line(), "which is not asserted while MSI is enabled");
            bench.restart();
            bench.seen();
            bench.unmask(0);
            bench.settle();
            check.holds("VMX-PCI-004", told(bench).0 == [0], "the cause is told by the message");
            check.equal("VMX-PCI-004", "ICR", bench.read1(Bar1::Icr), 0u32);
            bench.interrupts(Interrupts::Line);
            check.holds("VMX-PCI-004", !bench.system().line(), "and not by the line again");
            bench.restart();
        }
    });
}

fn closed(check: &mut Check) {
    for (kind, vectors, code) in [(Interrupts::Msi, Vectors::Msi, 9), (Interrupts::Line, Vectors::Intx, 1)] {
        let mut setup = setup(1, true);
        (setup.config.vectors, setup.judged) = (vectors, kind == Interrupts::Msi);
        check.on_kind(kind, &setup, |check, bench| {
            bench.start();
            for _ in 0..2 {
                let refused = match bench.switch(Plan::enter(TxMode::Drain)) {
                    Some(Outcome::Undone(Reason::Ineligible(why))) => why.code(),
                    _ => 0,
                };
                check.equal("SWI-INT-001", "code of the refusal", refused, code as u32);
                check.holds("SWI-INT-001", !bench.in_hardware() && bench.serves(), "the guest goes on in software");
                open(bench);
                if kind == Interrupts::Line {
                    bench.read1(Bar1::Icr);
                    open(bench);
                }
                receive(bench);
                let expected = if kind == Interrupts::Line { (vec![], true) } else { (vec![0], false) };
                check.holds("SWI-INT-001", told(bench) == expected, "and is told as before");
                bench.read1(Bar1::Icr);
            }
        });
    }
    let mut setup = setup(1, true);
    setup.config.vectors = Vectors::Single;
    check.on(Target::Software, &setup, |check, bench| {
        bench.start();
        let done = bench.switch(Plan::enter(TxMode::Drain)) == Some(Outcome::Done);
        check.holds("SWI-INT-001", done && bench.serves(), "with MSI-X the same guest enters hardware");
    });
}
