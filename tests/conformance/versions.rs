//! The suite on devices of each version, the way `conform` runs it; small rings at 6, the last one that says in `om` alone that a packet is
//! a tunnel.

use model::mutant::Planted;
use spec::profile::{Offer, Profile};
use vnic::case::{self, SEED, Target};
use vnic::conform::{Choice, Identity, Settings, Under, run};

#[test]
fn every_claim_holds_on_small_rings_up_to_version_6() {
    let offer = Offer { version: 6, ..Profile::SMALL.offer() };
    let profile = Profile::SMALL.offering(offer).expect("an offer there is");
    assert_eq!(profile.versions, 0x3f);
    let outcome = case::run_all(profile, Planted::NONE);
    assert!(outcome.is_clean(), "{:#?}", outcome.failures);
}

#[test]
fn every_version_holds_on_both_bodies() {
    let choice = Choice::default();
    let settings = Settings { choice: &choice, waivers: &[], seed: SEED, planted: Planted::NONE };
    for version in 1..=Offer::NEWEST {
        let profile = Profile::by_name(&format!("reference+v{version}")).expect("a profile");
        for (target, dut) in [(Target::Software, "model:software"), (Target::Adapter, "model:adapter")] {
            let (dut, identity, version) = (dut.to_string(), String::new(), String::new());
            let device = Identity { call: dut.clone(), dut, identity, version, profile, mutant: None };
            let report = run(device, &mut Under::Ours(target), &settings, &mut |_, _| {}).expect("eligible");
            let bad: Vec<_> = report.rows.iter().filter(|row| !row.verdict.is_good()).collect();
            assert!(report.holds(), "{} on {target:?}: {bad:#?}", profile.name);
            assert!(report.count("holds") * 3 > report.rows.len() * 2, "{} on {target:?}", profile.name);
        }
    }
}
