//! Masks and causes: what a masked vector remembers, what masks itself, and what a switch owes.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::migrate::{Outcome, Plan, Policy, TxMode};
use spec::profile::Deviation;
use spec::vmxnet3::Bar0;

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "masked-causes",
        clauses: &["VMX-INT-001", "VMX-INT-002", "VMX-INT-003"],
        unless: &[Deviation::UnmaskForgetsAutoMask],
        needs: &[],
        run: masked_causes,
    },
    Case {
        id: "causes-across-a-switch",
        clauses: &["SWI-WAK-001"],
        unless: &[Deviation::UnmaskForgetsAutoMask],
        needs: &[Need::Moves],
        run: causes_across_a_switch,
    },
];

fn one_frame(bench: &mut Bench) {
    let frame = bench.to_guest(90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0);
}

fn masked_causes(check: &mut Check) {
    for auto_mask in [true, false] {
        let mut setup = Setup::default();
        setup.config.auto_mask = auto_mask;
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            for _ in 0..3 {
                bench.write0(Bar0::Imr(0), 1);
                bench.read0(Bar0::Imr(0));
                bench.seen();
                one_frame(bench);
                one_frame(bench);
                check.equal("VMX-INT-002", "raises while masked", bench.raised(0), 0u32);
                bench.unmask(0);
                bench.settle();
                check.equal("VMX-INT-002", "raises once unmasked", bench.raised(0), 1u32);
                check.equal("VMX-INT-003", "IMR behind it", bench.read0(Bar0::Imr(0)), u32::from(auto_mask));
                one_frame(bench);
                let expected = if auto_mask { 1u32 } else { 2 };
                check.equal("VMX-INT-003", "raises behind the next frame", bench.raised(0), expected);
                check.equal("VMX-INT-001", "raises of a vector nobody names", bench.raised(7), 0u32);
                bench.unmask(0);
                bench.settle();
            }
        });
    }
}

fn causes_across_a_switch(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..6 {
            bench.write0(Bar0::Imr(0), 1);
            bench.read0(Bar0::Imr(0));
            bench.settle();
            let (frame, packet) = (bench.to_guest(90), bench.from_guest(91));
            bench.seen();
            bench.offer(&frame);
            bench.settle();
            bench.wire(false);
            bench.send(0, &packet);
            let plan = if bench.in_hardware() {
                Plan::leave(TxMode::RollBack, [Policy::A, Policy::B, Policy::C][round % 3])
            } else {
                Plan::enter(TxMode::RollBack)
            };
            let made = bench.switch(plan) == Some(Outcome::Done);
            check.holds("SWI-WAK-001", made, "the switch is made");
            check.equal("SWI-WAK-001", "raises while masked", bench.raised(0), 0u32);
            bench.unmask(0);
            bench.settle();
            check.equal("SWI-WAK-001", "raises for what came before the switch", bench.raised(0), 1u32);
            bench.wire(true);
            bench.settle();
            check.holds("SWI-WAK-001", bench.sent() == [&packet[..]], "the packet posted before it is sent");
            bench.received(0);
            bench.completions(0);
        }
    });
}
