//! The conformance suite: register-level conversations of a small scripted guest, each with the clauses that it judges.
//!
//! A [`Case`] asks [`Check`] for a device in software or on the adapter, talks to it through registers and guest memory, and
//! claims clauses. The judges of `spec::monitor` watch the same conversation, and their counts are added.

use crate::rig::{Bench, Setup};
use crate::{switch, vic, vmxnet3};
use model::mutant::Planted;
use spec::clause::{Tally, find_index};
use spec::monitor::{Violation, What};
use spec::profile::{Deviation, Offer, Profile};

/// A conversation and what it judges.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name: what it shows.
    pub id: &'static str,
    /// Clauses that it claims itself; what the judges see beside them counts too.
    pub clauses: &'static [&'static str],
    /// Deviations by which a profile is excused from it.
    pub unless: &'static [Deviation],
    /// The conversation.
    pub run: fn(&mut Check),
}

/// Every case, a subject a list, a face of the device a list of those.
const SUBJECTS: &[&[&[Case]]] = &[vmxnet3::CASES, vic::CASES, switch::CASES];

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    SUBJECTS.iter().copied().flatten().copied().flatten()
}

/// Which body backs the guest in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The software body.
    Software,
    /// The adapter: [`Bench::start`] switches into hardware behind the activation.
    Adapter,
    /// One after the other.
    Both,
}

impl Target {
    fn each(self) -> &'static [Self] {
        match self {
            Self::Software => &[Self::Software],
            Self::Adapter => &[Self::Adapter],
            Self::Both => &[Self::Software, Self::Adapter],
        }
    }
}

/// What was found where a claim does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The claim.
    Claim(&'static str),
    /// A number is wrong.
    Value {
        /// What it is.
        what: &'static str,
        /// As found.
        found: u64,
        /// As it must be.
        expected: u64,
    },
    /// What a judge saw.
    Judged(What),
    /// The device did not get as far as the claims.
    Stuck(&'static str),
}

/// A claim that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The case.
    pub case: &'static str,
    /// The clause.
    pub clause: &'static str,
    /// Which body backed the guest, where that makes a difference.
    pub target: Option<Target>,
    /// What was found.
    pub detail: Detail,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { case, clause, target, detail } = self;
        write!(f, "{clause}: case {case}")?;
        if let Some(target) = target {
            write!(f, " on {target:?}")?;
        }
        match detail {
            Detail::Claim(claim) => write!(f, ": {claim}"),
            Detail::Value { what, found, expected } => write!(f, ": {what} is {found:#x}, not {expected:#x}"),
            Detail::Judged(what) => write!(f, ": {what:?}"),
            Detail::Stuck(at) => write!(f, ": stuck at {at}"),
        }
    }
}

/// What a run of the suite found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Premises and violations.
    pub tally: Tally,
    /// The first of them a case: at most [`KEPT`] of each.
    pub failures: Vec<Failure>,
    /// Cases that the profile is excused from, with the deviation that does it.
    pub not_applicable: Vec<(&'static str, Deviation)>,
}

impl Outcome {
    /// Whether every claim held.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Whether a claim of the clause called `id` did not hold.
    pub fn broke(&self, id: &str) -> bool {
        self.tally.iter().any(|(clause, _, violations)| clause.id == id && violations > 0)
    }
}

/// Failures kept of one case.
pub const KEPT: usize = 16;

/// What a case works with: devices to talk to, and a ledger of claims.
#[derive(Debug)]
pub struct Check {
    profile: &'static Profile,
    device: &'static Profile,
    planted: Planted,
    case: &'static Case,
    target: Option<Target>,
    tally: Tally,
    failures: Vec<Failure>,
}

impl Check {
    /// What the device is expected to be.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// What the device is built as: the same, unless a test of the suite itself wants a wrong one.
    pub fn device(&self) -> &'static Profile {
        self.device
    }

    /// The bug planted in the device, if any.
    pub fn planted(&self) -> Planted {
        self.planted
    }

    /// Runs `conversation` with a fresh device on each target, and adds what the judges saw: they know no deviations, so they
    /// watch profiles without any.
    pub fn on(&mut self, target: Target, setup: &Setup, mut conversation: impl FnMut(&mut Self, &mut Bench)) {
        for &target in target.each() {
            self.target = Some(target);
            let mut bench = Bench::new(self.profile, self.device, self.planted, target, setup);
            conversation(self, &mut bench);
            self.close(&bench);
        }
        self.target = None;
    }

    /// As [`Check::on`], with a device that offers every version there is. A guest selects one by [`Bench::select`].
    pub fn on_newest(&mut self, target: Target, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        let (profile, device) = (self.profile, self.device);
        self.profile = newest(profile);
        self.device = if device == profile { self.profile } else { newest(device) };
        self.on(target, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// Adds what the judges of `bench` saw.
    pub fn close(&mut self, bench: &Bench) {
        if let Some(verdict) = bench.verdict() {
            self.tally.merge(&verdict.tally);
            self.judged(&verdict.violations);
        }
        if let Some(stuck) = bench.stuck() {
            let clause = self.case.clauses[0];
            self.fail(clause, Detail::Stuck(stuck));
        }
    }

    /// Adds violations that judges kept; they are in the judges' tally already.
    pub fn judged(&mut self, violations: &[Violation]) {
        for violation in violations {
            self.keep(violation.clause.id(), Detail::Judged(violation.what));
        }
    }

    /// Adds the counts of judges that watched something else than a [`Bench`].
    pub fn merge(&mut self, tally: &Tally) {
        self.tally.merge(tally);
    }

    /// `clause` was put to the test; `claim` says what had to hold.
    pub fn holds(&mut self, clause: &'static str, holds: bool, claim: &'static str) {
        self.premise(clause);
        if !holds {
            self.fail(clause, Detail::Claim(claim));
        }
    }

    /// `clause` was put to the test: `found` must be `expected`.
    pub fn equal(&mut self, clause: &'static str, what: &'static str, found: impl Into<u64>, expected: impl Into<u64>) {
        let (found, expected) = (found.into(), expected.into());
        self.premise(clause);
        if found != expected {
            self.fail(clause, Detail::Value { what, found, expected });
        }
    }

    fn premise(&mut self, clause: &'static str) {
        let case = self.case;
        let Some(index) = find_index(clause).filter(|_| case.clauses.contains(&clause)) else {
            panic!("{}: {clause} is not among its clauses", case.id)
        };
        self.tally.premise(index);
    }

    fn fail(&mut self, clause: &'static str, detail: Detail) {
        if let Some(index) = find_index(clause) {
            self.tally.violated(index);
        }
        self.keep(clause, detail);
    }

    fn keep(&mut self, clause: &'static str, detail: Detail) {
        if self.failures.len() < KEPT {
            self.failures.push(Failure { case: self.case.id, clause, target: self.target, detail });
        }
    }
}

/// The same device with every version offered.
pub(crate) fn newest(profile: &'static Profile) -> &'static Profile {
    let offer = Offer { version: Offer::NEWEST, ..profile.offer() };
    // One that is in no table is a wrong device of a test: it lives as long as the test.
    profile.offering(offer).unwrap_or_else(|| Box::leak(Box::new(profile.with_offer(offer))))
}

/// Runs every case on a device of `profile`.
pub fn run_all(profile: &'static Profile, planted: Planted) -> Outcome {
    run_against(profile, profile, planted)
}

/// Runs every case of `profile` on a device built as `device`: other than `profile`, it shows that the cases can fail.
pub fn run_against(profile: &'static Profile, device: &'static Profile, planted: Planted) -> Outcome {
    let mut outcome = Outcome::default();
    for case in all() {
        if let Some(&deviation) = case.unless.iter().find(|&&deviation| profile.has(deviation)) {
            outcome.not_applicable.push((case.id, deviation));
            continue;
        }
        let one = run_case(case, profile, device, planted);
        outcome.tally.merge(&one.tally);
        outcome.failures.extend(one.failures);
    }
    outcome
}

/// Runs one case.
pub fn run_case(case: &'static Case, profile: &'static Profile, device: &'static Profile, planted: Planted) -> Outcome {
    let mut check =
        Check { profile, device, planted, case, target: None, tally: Tally::default(), failures: Vec::new() };
    (case.run)(&mut check);
    Outcome { tally: check.tally, failures: check.failures, not_applicable: Vec::new() }
}
