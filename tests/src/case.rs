//! The conformance suite: register-level conversations of a small scripted guest, each with the clauses that it judges.
//!
//! A [`Case`] asks [`Check`] for a device in software or on the adapter, talks to it through registers and guest memory, and
//! claims clauses. The judges of `spec::monitor` watch the same conversation, and their counts are added.

use crate::rig::{Bench, Conversation, Setup, Tape};
use crate::source::Source;
use crate::{switch, vic, vmxnet3};
use golden::dut::Trouble;
use model::mutant::Planted;
use spec::clause::{Tally, find_index};
use spec::frame::Dice;
use spec::monitor::{Violation, What};
use spec::profile::{Deviation, Deviations, Moderation, Offer, Profile};
use spec::vmxnet3::{Bar1, Interrupts};

/// A conversation and what it judges.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name: what it shows.
    pub id: &'static str,
    /// Clauses that it claims itself; what the judges see beside them counts too.
    pub clauses: &'static [&'static str],
    /// Deviations by which a profile is excused from it.
    pub unless: &'static [Deviation],
    /// What it cannot do without.
    pub needs: &'static [Need],
    /// The conversation.
    pub run: fn(&mut Check),
}

impl Case {
    /// A case for every device.
    pub const fn new(id: &'static str, clauses: &'static [&'static str], run: fn(&mut Check)) -> Self {
        Self { id, clauses, unless: &[], needs: &[], run }
    }

    /// The same; a profile that deviates so is excused.
    #[must_use]
    pub const fn unless(self, unless: &'static [Deviation]) -> Self {
        Self { unless, ..self }
    }

    /// The same; it cannot do without.
    #[must_use]
    pub const fn needing(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// The interface version that it is about, 1 to 9, where it is one of a row: its name ends in `-v1` to `-v9`.
    pub fn version(&self) -> Option<u8> {
        let (_, number) = self.id.rsplit_once("-v")?;
        number.parse().ok().filter(|number| (1..=Offer::NEWEST).contains(number))
    }
}

/// Every case, a subject a list, a face of the device a list of those.
const SUBJECTS: &[&[&[Case]]] = &[vmxnet3::CASES, vic::CASES, switch::CASES];

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    SUBJECTS.iter().copied().flatten().copied().flatten()
}

/// What a case cannot do without, beyond registers, guest memory, the wire and interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// It looks into the device: parts of our models, or steps of them.
    Inside,
    /// It sees each access of the device to guest memory, reads too.
    Accesses,
    /// It moves the device between the bodies.
    Moves,
}

impl Need {
    /// Why a device cannot be judged by a case that needs this.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Inside => "it looks inside the device, which only our own models let one do",
            Self::Accesses => "it needs to see each access of the device to guest memory",
            Self::Moves => "it moves the device between software and the adapter",
        }
    }
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

/// The device that cases are run on.
pub enum Subject<'a, 'd> {
    /// Our own, on the targets that a case names and that this one includes.
    Ours(Target),
    /// Somebody else's.
    Theirs(&'a mut Source<'d>),
}

impl std::fmt::Debug for Subject<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ours(target) => write!(f, "Ours({target:?})"),
            Self::Theirs(_) => f.write_str("Theirs"),
        }
    }
}

impl Subject<'_, '_> {
    /// Why a case with this need cannot be judged here.
    fn lacks(&self, need: Need) -> bool {
        match self {
            Self::Ours(Target::Both) => false,
            Self::Ours(_) => need == Need::Moves,
            Self::Theirs(_) => true,
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
    /// Memory that nobody had written made its way into a byte that the device wrote.
    Unset {
        /// Where the byte lies.
        pa: u64,
        /// What it is over each of two contents of memory.
        bytes: [u8; 2],
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
            Detail::Unset { pa, bytes: [one, other] } => {
                write!(f, ": the byte at {pa:#x} depends on what memory held before: {one:#04x} or {other:#04x}")
            }
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
    /// Cases that could not be judged, with the reason.
    pub skipped: Vec<(&'static str, &'static str)>,
    /// What ended a case before its end.
    pub trouble: Option<Ended>,
    /// The first conversation in which a claim did not hold, where it was asked for.
    pub conversation: Option<Conversation>,
    /// The last conversation in a foreign device's own words, where that was asked for.
    pub script: String,
}

/// How somebody else's device ended a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What became of it.
    pub trouble: Trouble,
    /// The conversation in its own words.
    pub script: String,
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

/// The clause that every case claims beside its own: what the device writes has a value set by the specification.
pub const POISONED: &str = "VMX-BAD-002";

/// The seed that is used when none is given.
pub const SEED: u64 = 1;

/// Failures kept of each clause in one case.
pub const KEPT: usize = 4;

/// What a case works with: devices to talk to, and a ledger of claims.
#[derive(Debug)]
pub struct Check<'a, 'd> {
    subject: Subject<'a, 'd>,
    trouble: Option<Ended>,
    ran: bool,
    /// Why a conversation was left out.
    missed: Option<&'static str>,
    profile: &'static Profile,
    device: &'static Profile,
    planted: Planted,
    case: &'static Case,
    target: Option<Target>,
    tally: Tally,
    failures: Vec<Failure>,
    seed: u64,
    tape: Option<Tape>,
    script: String,
}

impl<'d> Check<'_, 'd> {
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
    /// watch profiles without any. Somebody else's device stands for software.
    ///
    /// Each conversation is held twice, over two contents of the memory that nobody has written, and must leave the same behind.
    pub fn on(&mut self, target: Target, setup: &Setup, mut conversation: impl FnMut(&mut Self, &mut Bench)) {
        if let Subject::Theirs(_) = self.subject {
            if target == Target::Adapter {
                self.missed = Some("it is a conversation with the adapter");
                return;
            }
            if self.trouble.is_some() {
                return;
            }
            self.ran = true;
            self.over_two_poisons(target, setup, &mut conversation);
            return;
        }
        for &target in target.each() {
            if matches!(self.subject, Subject::Ours(chosen) if chosen != Target::Both && chosen != target) {
                self.missed = Some("it is a conversation with the other body");
                continue;
            }
            self.ran = true;
            self.target = Some(target);
            self.over_two_poisons(target, setup, &mut conversation);
        }
        self.target = None;
    }

    /// A fresh device; `None` when there is none.
    fn bench(&mut self, target: Target, setup: &Setup) -> Option<Bench<'d>> {
        let mut bench = match &mut self.subject {
            Subject::Ours(_) => Bench::ours(self.profile, self.device, self.planted, target, setup),
            Subject::Theirs(source) => match source.device() {
                Ok(dut) => Bench::theirs(self.profile, dut, setup),
                Err(trouble) => {
                    self.trouble = Some(Ended { trouble, script: String::new() });
                    return None;
                }
            },
        };
        if let Some(tape) = &self.tape {
            bench.record(tape.clone(), self.case.id, self.device, setup);
        }
        Some(bench)
    }

    /// Holds a conversation, then again over the opposite poison, and compares what is left of guest memory.
    fn over_two_poisons(
        &mut self,
        target: Target,
        setup: &Setup,
        conversation: &mut impl FnMut(&mut Self, &mut Bench),
    ) {
        let setup = &keyed(setup, self.seed);
        let before = (self.tally.clone(), self.failures.clone());
        let Some(mut bench) = self.bench(target, setup) else { return };
        conversation(self, &mut bench);
        self.close(&bench);
        if let Some(Ended { trouble: Trouble::Cannot(lack), .. }) = &self.trouble {
            // What was claimed behind it rests on nothing.
            (self.missed, self.ran) = (Some(lack.reason()), false);
            (self.tally, self.failures) = before;
            return;
        }
        if let Some(tape) = &self.tape {
            if self.failures.len() > before.1.len() && self.script.is_empty() {
                self.script = bench.device.script();
            }
            tape.pause();
        }
        // A device that is lent has the memory of the next conversation afterwards.
        bench.memory();
        let opposite = Setup { poison: !setup.poison, ..setup.clone() };
        // The claims were made the first time; what they counted then stands.
        let (tally, failures) = (self.tally.clone(), self.failures.clone());
        let mut again = if bench.is_well() { self.bench(target, &opposite) } else { None };
        if let Some(again) = &mut again {
            conversation(self, again);
            (self.tally, self.failures) = (tally, failures);
        }
        if let Some(tape) = &self.tape {
            tape.resume();
        }
        if let Some(again) = &again {
            self.compare(&bench, again, [setup.poison, opposite.poison]);
        }
    }

    /// Every byte is the same in both, or was written in neither.
    fn compare(&mut self, one: &Bench, other: &Bench, poisons: [u8; 2]) {
        let (one, other) = (one.memory().regions(), other.memory().regions());
        let mut pairs = one.zip(other).flat_map(|((base, one), (_, other))| {
            one.iter().zip(other).enumerate().map(move |(at, (&one, &other))| (base + at as u64, [one, other]))
        });
        let odd = pairs.find(|(_, pair)| pair[0] != pair[1] && *pair != poisons);
        if let Some(index) = find_index(POISONED) {
            self.tally.premise(index);
        }
        if let Some((pa, bytes)) = odd {
            self.fail(POISONED, Detail::Unset { pa, bytes });
        }
    }

    /// As [`Check::on`], with a device that offers every version there is. A guest selects one by [`Bench::select`].
    pub fn on_newest(&mut self, target: Target, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        if let Subject::Theirs(_) = self.subject {
            self.missed = Some("the device does not offer the interface version");
            return;
        }
        let (profile, device) = (self.profile, self.device);
        self.profile = newest(profile);
        self.device = if device == profile { self.profile } else { newest(device) };
        self.on(target, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// The interface version that the case is about; the newest for a case that is about none.
    pub fn version(&self) -> u8 {
        self.case.version().unwrap_or(Offer::NEWEST)
    }

    /// As [`Check::on`], with a device that offers the version that the case is about; see [`Check::at`].
    pub fn at_version(
        &mut self,
        target: Target,
        setup: &Setup,
        mut conversation: impl FnMut(&mut Self, &mut Bench, u8),
    ) {
        let version = self.version();
        self.at(version, target, setup, |check, bench| conversation(check, bench, version));
    }

    /// As [`Check::on`], with a device that offers `version`, which the guest selects. Ours is built so where it does not offer it
    /// already; somebody else's says what it offers in VRRS.
    pub fn at(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        mut conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        if !self.is_offered(version, setup) {
            self.missed = Some("the device does not offer the interface version");
            return;
        }
        let (profile, device) = (self.profile, self.device);
        if matches!(self.subject, Subject::Ours(_)) {
            self.profile = offering(profile, version);
            self.device = if device == profile { self.profile } else { offering(device, version) };
        }
        self.on(target, setup, |check, bench| {
            bench.select(version);
            conversation(check, bench);
        });
        (self.profile, self.device) = (profile, device);
    }

    /// As [`Check::at`], with a device that can be granted the doorbells of a second page of BAR0: ours is built so. Left out where
    /// the device is somebody else's, or differs from the reference.
    pub fn at_large_bar(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        if !matches!(self.subject, Subject::Ours(_)) || self.profile.deviations != Deviations::NONE {
            self.missed = Some("the device does not offer a large BAR0");
            return;
        }
        let (profile, device) = (self.profile, self.device);
        (self.profile, self.device) = (&Profile::LARGE_BAR, &Profile::LARGE_BAR);
        self.at(version, target, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// As [`Check::at`], with a device that spaces interrupts as its profile says. Ours is built so, but where it differs from the
    /// reference; somebody else's is left out unless its profile says how it does.
    pub fn at_moderated(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        self.moderated(|check| check.at(version, target, setup, conversation));
    }

    /// As [`Check::on_line`], with a device of [`Check::at_moderated`].
    pub fn moderated_on_line(&mut self, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        self.moderated(|check| check.on_line(setup, conversation));
    }

    fn moderated(&mut self, run: impl FnOnce(&mut Self)) {
        let (profile, device) = (self.profile, self.device);
        if profile.moderation == Moderation::NONE {
            if !matches!(self.subject, Subject::Ours(_)) || profile.deviations != Deviations::NONE {
                self.missed = Some("the profile of the device says of no time between interrupts");
                return;
            }
            (self.profile, self.device) = (&Profile::MODERATED, &Profile::MODERATED);
        }
        run(self);
        (self.profile, self.device) = (profile, device);
    }

    /// Whether the device offers `version`, or is ours and can be built so.
    fn is_offered(&mut self, version: u8, setup: &Setup) -> bool {
        let known = match &self.subject {
            Subject::Theirs(source) if version > 1 => source.offered(),
            // Every device knows the first.
            _ => return true,
        };
        let offered = known.or_else(|| {
            let mut bench = self.bench(Target::Software, setup)?;
            let offered = bench.read1(Bar1::Vrrs);
            self.close(&bench);
            match &mut self.subject {
                Subject::Theirs(source) if self.trouble.is_none() => source.offers(offered),
                _ => {}
            }
            Some(offered)
        });
        offered.is_some_and(|offered| offered >> (version - 1) & 1 == 1)
    }

    /// As [`Check::on`] in software, with a guest that has this kind of interrupts.
    pub fn on_kind(&mut self, kind: Interrupts, setup: &Setup, mut conversation: impl FnMut(&mut Self, &mut Bench)) {
        self.on(Target::Software, setup, |check, bench| {
            bench.interrupts(kind);
            conversation(check, bench);
        });
    }

    /// As [`Check::on`], with a device that tells its guest by the INTx line: ours is built without messages, somebody else's changes
    /// over to it.
    pub fn on_line(&mut self, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        if let Subject::Theirs(_) = self.subject {
            self.on_kind(Interrupts::Line, setup, conversation);
            return;
        }
        let (profile, device) = (self.profile, self.device);
        self.profile = with_best(profile, Interrupts::Line);
        self.device = if device == profile { self.profile } else { with_best(device, Interrupts::Line) };
        self.on(Target::Software, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// Adds what the judges of `bench` saw, and what ended it.
    pub fn close(&mut self, bench: &Bench) {
        if let Some((trouble, script)) = bench.trouble() {
            self.trouble = Some(Ended { trouble, script });
            return;
        }
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
        if self.failures.iter().filter(|kept| kept.clause == clause).count() < KEPT {
            let failure = Failure { case: self.case.id, clause, target: self.target, detail };
            if let Some(tape) = &self.tape {
                tape.claim(failure.to_string());
            }
            self.failures.push(failure);
        }
    }
}

/// `setup` with contents of memory and payloads by `seed`; the seed that is used when none is given leaves them as they are.
fn keyed(setup: &Setup, seed: u64) -> Setup {
    if seed == SEED {
        return setup.clone();
    }
    let mut dice = Dice::new(seed);
    let poison = loop {
        // All zeros and all ones hide what they are made of.
        let poison = setup.poison ^ dice.next() as u8;
        if poison != 0 && poison != 0xff {
            break poison;
        }
    };
    Setup { poison, seed: setup.seed ^ dice.next(), ..setup.clone() }
}

/// The same device with every version offered.
pub(crate) fn newest(profile: &'static Profile) -> &'static Profile {
    with_offer(profile, Offer { version: Offer::NEWEST, ..profile.offer() })
}

/// The same device, with `version` offered.
fn offering(profile: &'static Profile, version: u8) -> &'static Profile {
    if profile.versions >> (version - 1) & 1 == 1 {
        return profile;
    }
    with_offer(profile, Offer { version, ..profile.offer() })
}

/// The same device with no better interrupts than `interrupts`.
pub(crate) fn with_best(profile: &'static Profile, interrupts: Interrupts) -> &'static Profile {
    with_offer(profile, Offer { interrupts, ..profile.offer() })
}

fn with_offer(profile: &'static Profile, offer: Offer) -> &'static Profile {
    // One that is in no table is a wrong device of a test: it lives as long as the test.
    profile.offering(offer).unwrap_or_else(|| Box::leak(Box::new(profile.with_offer(offer))))
}

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

impl Outcome {
    fn add(&mut self, one: Self) {
        self.tally.merge(&one.tally);
        self.failures.extend(one.failures);
        self.not_applicable.extend(one.not_applicable);
        self.skipped.extend(one.skipped);
    }
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
