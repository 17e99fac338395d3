//! The suite as one call: a device in the same process, lent to one conversation after the other.

#[path = "../examples/device.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod device;

use golden::dut::Ours;
use spec::profile::{Deviation, Deviations, Profile};
use vnic::conform::Choice;
use vnic::rig::PERMANENT;
use vnic::suite::{Options, run};

#[test]
fn what_holds_on_fresh_devices_holds_on_one_that_is_reset_in_between() {
    for seed in [1, 9] {
        let report = run(&mut Ours::new(&Profile::REFERENCE, PERMANENT), &Options { seed, ..Options::default() })
            .expect("a device");
        let bad: Vec<_> = report.rows.iter().filter(|row| !row.verdict.is_good()).collect();
        assert!(report.holds() && bad.is_empty(), "seed {seed}: {bad:#?}");
        assert!(report.count("holds") * 3 > report.rows.len(), "{}", report.count("holds"));
    }
}

#[test]
fn a_wrong_device_is_found_out_by_one_call() {
    static WRONG: Profile =
        Profile { deviations: Deviations::NONE.with(Deviation::EcrReadsZero), ..Profile::REFERENCE };
    let report = run(&mut Ours::new(&WRONG, PERMANENT), &Options::default()).expect("a device");
    assert!(!report.holds());
    let broken = report.tally.iter().filter(|(.., violated)| *violated > 0).map(|(clause, ..)| clause.id);
    assert!(broken.into_iter().any(|id| id == "VMX-REG-013"));
}

#[test]
fn the_example_is_judged_by_what_it_does() {
    let choice = Choice { filters: vec!["VMX-REG".into(), "VMX-EVT-001".into()], shard: None };
    let report = run(&mut device::Device::default(), &Options { choice, ..Options::default() }).expect("a device");
    let verdict = |word: &str| report.rows.iter().filter(|row| row.verdict.name() == word).count();
    assert!(verdict("fails") > 0 && verdict("skipped") > 0, "{:#?}", report.rows);
    let skipped = report.rows.iter().filter(|row| row.verdict.name() == "skipped");
    let reasons: Vec<_> = skipped.flat_map(|row| row.verdict.details()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("link of the device")), "{reasons:?}");
}
