//! The conformance suite against the project's own device: every claim holds, every clause has a case, and every case can fail.

mod alike;
mod face;
mod left;
mod lent;
mod negative;
mod versions;

use model::mutant::Planted;
use spec::clause::{ALL, Judge};
use spec::profile::Profile;
use std::collections::BTreeSet;
use vnic::case::{self, Case};

#[test]
fn every_claim_holds_on_both_bodies() {
    for profile in [&Profile::REFERENCE, &Profile::SMALL] {
        let outcome = case::run_all(profile, Planted::NONE);
        assert!(outcome.is_clean(), "{}: {:#?}", profile.name, outcome.failures);
        assert!(outcome.tally.is_clean(), "{}", profile.name);
        assert!(outcome.not_applicable.is_empty(), "{}: {:?}", profile.name, outcome.not_applicable);
    }
}

#[test]
fn a_profile_with_deviations_is_excused_by_name_and_keeps_the_rest() {
    for profile in [&Profile::QEMU_11_1, &Profile::QEMU_7_2] {
        let outcome = case::run_all(profile, Planted::NONE);
        for (case, deviation) in &outcome.not_applicable {
            assert!(profile.has(*deviation), "{case}");
        }
        let count = case::all().count();
        assert!(outcome.not_applicable.len() < count / 2);
        assert!(outcome.is_clean(), "{}: {:#?}", profile.name, outcome.failures);
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    case::all()
}

#[test]
fn every_clause_of_a_case_or_property_is_claimed_by_one_and_exercised() {
    let claimed: BTreeSet<_> = cases().flat_map(|case| case.clauses.iter().copied()).collect();
    let outcome = case::run_all(&Profile::REFERENCE, Planted::NONE);
    for (clause, premises, _) in outcome.tally.iter() {
        if matches!(clause.judge, Judge::Case | Judge::Property) {
            assert!(claimed.contains(clause.id), "{} has no case: {}", clause.id, clause.sentence);
        }
        assert!(premises > 0 || !claimed.contains(clause.id), "{} is claimed and never put to the test", clause.id);
    }
    for id in &claimed {
        assert!(ALL.iter().any(|clause| clause.id == *id), "{id} is no clause");
    }
}

#[test]
fn cases_have_names_of_their_own_and_claim_something() {
    let names: BTreeSet<_> = cases().map(|case| case.id).collect();
    assert_eq!(names.len(), cases().count());
    assert!(cases().all(|case| !case.clauses.is_empty()));
}

#[test]
fn the_suite_is_the_same_every_time() {
    let run = || case::run_all(&Profile::SMALL, Planted::NONE).tally;
    assert_eq!(run(), run());
}
