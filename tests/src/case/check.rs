//! What a case works with: devices to talk to, and a ledger of claims.

use super::{Case, Detail, Ended, Failure, KEPT, Need, SEED, Target};
use crate::rig::{Bench, Setup, Tape};
use crate::source::Source;
use golden::dut::Trouble;
use model::mutant::Planted;
use spec::clause::{Tally, find_index};
use spec::frame::Dice;
use spec::monitor::Violation;
use spec::profile::Profile;

/// The clause that every case claims beside its own: what the device writes has a value set by the specification.
pub const POISONED: &str = "VMX-BAD-002";

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
    pub(super) fn lacks(&self, need: Need) -> bool {
        match self {
            Self::Ours(Target::Both) => false,
            Self::Ours(_) => need == Need::Moves,
            Self::Theirs(_) => true,
        }
    }
}

/// What a case works with: devices to talk to, and a ledger of claims.
#[derive(Debug)]
pub struct Check<'a, 'd> {
    pub(super) subject: Subject<'a, 'd>,
    pub(super) trouble: Option<Ended>,
    pub(super) ran: bool,
    /// Why a conversation was left out.
    pub(super) missed: Option<&'static str>,
    pub(super) profile: &'static Profile,
    pub(super) device: &'static Profile,
    pub(super) planted: Planted,
    pub(super) case: &'static Case,
    pub(super) target: Option<Target>,
    pub(super) tally: Tally,
    pub(super) failures: Vec<Failure>,
    pub(super) seed: u64,
    pub(super) tape: Option<Tape>,
    pub(super) script: String,
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
    pub(super) fn bench(&mut self, target: Target, setup: &Setup) -> Option<Bench<'d>> {
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
