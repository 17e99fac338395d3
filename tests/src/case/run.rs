//! Running cases on a device.

use super::{Case, Check, Outcome, Subject, Target, all};
use crate::rig::Tape;
use golden::dut::Trouble;
use model::mutant::Planted;
use spec::clause::Tally;
use spec::profile::Profile;

/// The seed that is used when none is given.
pub const SEED: u64 = 1;

/// Runs every case on a device of `profile`.
pub fn run_all(profile: &'static Profile, planted: Planted) -> Outcome {
    run_against(profile, profile, planted)
}

/// Runs cases until one breaks `clause`, those that claim it first, and answers what that one found. Judges see more than a case
/// claims: a case may break a clause that another one claims.
pub fn run_until_broken(profile: &'static Profile, planted: Planted, clause: &str) -> Option<Outcome> {
    let claims = |case: &&Case| case.clauses.contains(&clause);
    all().filter(claims).chain(all().filter(|case| !claims(case))).find_map(|case| {
        let outcome = run_case(case, profile, profile, planted, Subject::Ours(Target::Both));
        outcome.broke(clause).then_some(outcome)
    })
}

/// Runs every case of `profile` on a device built as `device`: other than `profile`, it shows that the cases can fail.
pub fn run_against(profile: &'static Profile, device: &'static Profile, planted: Planted) -> Outcome {
    let mut outcome = Outcome::default();
    for case in all() {
        outcome.add(run_case(case, profile, device, planted, Subject::Ours(Target::Both)));
    }
    outcome
}

/// What a case is run on beside its subject.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What the device is expected to be.
    pub profile: &'static Profile,
    /// What one of ours is built as.
    pub device: &'static Profile,
    /// The bug planted in one of ours.
    pub planted: Planted,
    /// Contents of memory and payloads.
    pub seed: u64,
    /// The first conversation that fails is kept.
    pub record: bool,
}

/// Runs one case, if the profile is not excused from it and the device has what it needs.
pub fn run_case(
    case: &'static Case,
    profile: &'static Profile,
    device: &'static Profile,
    planted: Planted,
    subject: Subject<'_, '_>,
) -> Outcome {
    run_on(case, &Terms { profile, device, planted, seed: SEED, record: false }, subject)
}

/// As [`run_case`], with every choice there is.
pub fn run_on(case: &'static Case, terms: &Terms, subject: Subject<'_, '_>) -> Outcome {
    let Terms { profile, device, planted, seed, record } = *terms;
    let mut outcome = Outcome::default();
    if let Some(&deviation) = case.unless.iter().find(|&&deviation| profile.has(deviation)) {
        outcome.not_applicable.push((case.id, deviation));
        return outcome;
    }
    if let Some(need) = case.needs.iter().find(|&&need| subject.lacks(need)) {
        outcome.skipped.push((case.id, need.reason()));
        return outcome;
    }
    let (tally, failures) = (Tally::default(), Vec::new());
    let mut check = Check {
        subject,
        trouble: None,
        ran: false,
        missed: None,
        profile,
        device,
        planted,
        case,
        target: None,
        tally,
        failures,
        seed,
        tape: record.then(Tape::default),
        script: String::new(),
    };
    (case.run)(&mut check);
    if let Some(reason) = check.missed.filter(|_| !check.ran && check.failures.is_empty()) {
        outcome.skipped.push((case.id, reason));
    }
    let trouble = check.trouble.filter(|ended| !matches!(ended.trouble, Trouble::Cannot(_)));
    let conversation = check.tape.and_then(|tape| tape.failed());
    Outcome { tally: check.tally, failures: check.failures, trouble, conversation, script: check.script, ..outcome }
}
