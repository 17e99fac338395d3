//! Our own software device behind the face of a device under test: the suite says of it from outside what it says from inside.

use golden::dut::{Dut, Ours};
use model::mutant::Planted;
use spec::profile::{Deviation, Deviations, Offer, Profile};
use vnic::case::{Outcome, Subject, all, run_case};
use vnic::rig::PERMANENT;
use vnic::source::Source;

fn from_outside(profile: &'static Profile, device: &'static Profile) -> Vec<(&'static str, Outcome)> {
    let mut source = Source::new(|| Ok(Box::new(Ours::new(device, PERMANENT)) as Box<dyn Dut>));
    let mut run = |case| run_case(case, profile, profile, Planted::NONE, Subject::Theirs(&mut source));
    all().map(|case| (case.id, run(case))).collect()
}

#[test]
fn every_claim_that_can_be_judged_from_outside_holds() {
    // A device that offers the first version alone, and one that offers the newest too.
    let offer = Offer { version: Offer::NEWEST, ..Profile::REFERENCE.offer() };
    for profile in [Some(&Profile::REFERENCE), Profile::REFERENCE.offering(offer)].into_iter().flatten() {
        let outcomes = from_outside(profile, profile);
        for (case, outcome) in &outcomes {
            assert!(outcome.is_clean() && outcome.trouble.is_none(), "{}: {case}: {outcome:#?}", profile.name);
        }
        let offers = |case: &str| {
            let (_, version) = case.rsplit_once("-v").unwrap_or_default();
            version.parse().ok().is_none_or(|version: u32| profile.versions >> (version - 1) & 1 == 1)
        };
        let all: Vec<_> = outcomes.iter().filter(|(case, _)| offers(case)).collect();
        let judged = all.iter().filter(|(_, outcome)| outcome.skipped.is_empty()).count();
        assert!(judged * 2 > all.len(), "{}: only {judged} of {} cases could be judged", profile.name, all.len());
    }
}

#[test]
fn a_wrong_device_is_found_out_from_outside() {
    static WRONG: &[(Profile, &str)] = &[
        (wrong(Deviation::EcrReadsZero), "VMX-REG-013"),
        (wrong(Deviation::ResetForgetsShared), "VMX-LIF-003"),
        (wrong(Deviation::ZeroVlanTableDrops), "VMX-FLT-004"),
        (wrong(Deviation::QueueStatusSilent), "VMX-EVT-004"),
        (wrong(Deviation::CmdReadRecomputes), "VMX-CMD-002"),
    ];
    for (device, clause) in WRONG {
        let outcomes = from_outside(&Profile::REFERENCE, device);
        assert!(outcomes.iter().any(|(_, outcome)| outcome.broke(clause)), "{clause}: {:?}", device.deviations);
    }
}

const fn wrong(deviation: Deviation) -> Profile {
    Profile { deviations: Deviations::NONE.with(deviation), ..Profile::REFERENCE }
}
