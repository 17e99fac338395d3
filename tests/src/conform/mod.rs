//! The suite against one device: which cases are run, what became of each, and what is known and waived.

pub mod document;
mod drawing;
pub mod failures;
pub mod html;
pub mod junit;
pub mod seen;
pub mod waivers;

use crate::case::{Case, Ended, Failure, Outcome, SEED, Subject, Target, Terms, all, run_on};
use crate::refused::{Refused, admit};
use crate::rig::Conversation;
use crate::source::Source;
use golden::dut::Trouble;
use model::mutant::{Mutant, Planted};
use spec::clause::Tally;
use spec::frame::Dice;
use spec::profile::Profile;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use waivers::{ALIVE, Waiver};

/// Which cases are run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Cases whose name, or one of whose clauses, holds one of these words; none: all.
    pub filters: Vec<String>,
    /// One part of so many, counted from 1: each case belongs to one part for ever, by its name alone.
    pub shard: Option<(u32, u32)>,
}

impl Choice {
    /// Whether `case` is among them.
    pub fn takes(&self, case: &Case) -> bool {
        let fits = |word: &String| case.id.contains(&**word) || case.clauses.iter().any(|id| id.contains(&**word));
        let wanted = self.filters.is_empty() || self.filters.iter().any(fits);
        wanted && self.shard.is_none_or(|(part, of)| part_of(case.id, of) == part)
    }
}

/// The part of `of` parts that a name belongs to, from 1: FNV-1a over its bytes.
fn part_of(name: &str, of: u32) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, step) % of.max(1) + 1
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every claim held.
    Holds,
    /// Claims did not hold.
    Fails(Vec<Failure>),
    /// What did not hold is known of this device, and no more than that.
    Waived(Vec<&'static Waiver>),
    /// What is known of this device did not show: the waivers are out of date.
    Unexpected(Vec<&'static Waiver>),
    /// It could not be judged.
    Skipped(String),
    /// The device ended it.
    Ended(Ended),
}

impl Verdict {
    /// Its word in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails(_) => "fails",
            Self::Waived(_) => "waived",
            Self::Unexpected(_) => "unexpected",
            Self::Skipped(_) => "skipped",
            Self::Ended(_) => "ended",
        }
    }

    /// Whether the device passes with it.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Holds | Self::Waived(_) | Self::Skipped(_))
    }

    /// What there is to say of it, a sentence each.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Holds => Vec::new(),
            Self::Fails(failures) => failures.iter().map(ToString::to_string).collect(),
            Self::Waived(waivers) => waivers.iter().map(|it| format!("{}: {}", it.clause, it.does)).collect(),
            Self::Unexpected(waivers) => {
                let line = |it: &&Waiver| format!("{}: holds, but is waived because {}", it.clause, it.does);
                waivers.iter().map(line).collect()
            }
            Self::Skipped(reason) => vec![reason.clone()],
            Self::Ended(ended) => telling(&ended.trouble.to_string()),
        }
    }
}

/// Of a program's last words the lines that tell something: the first, and those that speak of an error.
fn telling(words: &str) -> Vec<String> {
    const MOST: usize = 6;
    let speaks = |line: &str| ["rror", "ssert", "anic", "abort", "no answer"].iter().any(|word| line.contains(word));
    let all = words.lines().enumerate().filter(|(at, line)| *at == 0 || speaks(line));
    all.map(|(_, line)| line.trim().to_string()).take(MOST).collect()
}

/// A case and what became of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The case.
    pub case: &'static Case,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// The first conversation in which a claim did not hold.
    pub conversation: Option<Conversation>,
    /// What repeats the failure on somebody else's device, in its own words; empty where there is none.
    pub script: String,
}

/// The device and what is known of it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in reports.
    pub dut: String,
    /// What names it on the command line, quoted for a shell.
    pub call: String,
    /// What it says it is.
    pub identity: String,
    /// What waivers call its version.
    pub version: String,
    /// What it is expected to be.
    pub profile: &'static Profile,
    /// The bug that is planted in it, if it is one of ours.
    pub mutant: Option<Mutant>,
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'s> {
    /// Which cases are run.
    pub choice: &'s Choice,
    /// What is known of the device.
    pub waivers: &'static [Waiver],
    /// Order of the cases, contents of memory that nobody has written, payloads. [`SEED`] is the suite's own order.
    pub seed: u64,
    /// The bug planted in one of ours.
    pub planted: Planted,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The device.
    pub device: Identity,
    /// The seed of the run.
    pub seed: u64,
    /// A row a case, in the suite's order.
    pub rows: Vec<Row>,
    /// Premises and violations of every clause.
    pub tally: Tally,
    /// Waivers that name no case, no clause of their case, or a day that is over.
    pub stale: Vec<String>,
}

impl Report {
    /// Whether the device passes: nothing fails that is not waived, and no waiver is out of date.
    pub fn holds(&self) -> bool {
        self.stale.is_empty() && self.rows.iter().all(|row| row.verdict.is_good())
    }

    /// How many cases have the verdict called `name`.
    pub fn count(&self, name: &str) -> usize {
        self.rows.iter().filter(|row| row.verdict.name() == name).count()
    }
}

/// The device that a run is about.
pub enum Under<'d> {
    /// Our own on one body, or both.
    Ours(Target),
    /// Somebody else's.
    Theirs(Source<'d>),
}

impl<'d> Under<'d> {
    /// Where its guests are: somebody else's device stands for software.
    fn target(&self) -> Target {
        match self {
            Under::Ours(target) => *target,
            Under::Theirs(_) => Target::Software,
        }
    }

    fn subject(&mut self) -> Subject<'_, 'd> {
        match self {
            Under::Ours(target) => Subject::Ours(*target),
            Under::Theirs(source) => Subject::Theirs(source),
        }
    }
}

/// Runs the chosen cases. `progress` is told cases done and cases to do.
///
/// # Errors
/// What the device is expected to be cannot be judged so; no case was run.
pub fn run(
    device: Identity,
    under: &mut Under<'_>,
    settings: &Settings<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Refused> {
    admit(device.profile, under.target())?;
    let Settings { choice, waivers, seed, planted } = *settings;
    let mut chosen: Vec<(usize, &'static Case)> = all().filter(|case| choice.takes(case)).enumerate().collect();
    if seed != SEED {
        shuffle(&mut chosen, seed);
    }
    let known: Vec<&'static Waiver> = waivers.iter().filter(|it| it.covers(&device.version)).collect();
    let (stale, profile) = (waivers::stale(&known), device.profile);
    let mut tally = Tally::default();
    let mut rows = Vec::new();
    for (done, (place, case)) in chosen.iter().copied().enumerate() {
        progress(done as u64, chosen.len() as u64);
        let start = Instant::now();
        let terms = Terms { profile, device: profile, planted, seed, record: false };
        let outcome = unless_broken(|| run_on(case, &terms, under.subject()));
        tally.merge(&outcome.tally);
        let verdict = judge(case, outcome, &known);
        let (mut conversation, mut script) = (None, String::new());
        if matches!(verdict, Verdict::Fails(_)) {
            // Once more, with everything kept.
            let again = unless_broken(|| run_on(case, &Terms { record: true, ..terms }, under.subject()));
            (conversation, script) = (again.conversation, again.script);
        } else if let Verdict::Ended(ended) = &verdict {
            script.clone_from(&ended.script);
        }
        rows.push((place, Row { case, verdict, took: start.elapsed(), conversation, script }));
    }
    rows.sort_by_key(|(place, _)| *place);
    Ok(Report { device, seed, rows: rows.into_iter().map(|(_, row)| row).collect(), tally, stale })
}

/// Another order for each seed: each place takes one of those that are left.
fn shuffle<T>(all: &mut [T], seed: u64) {
    let mut dice = Dice::new(seed);
    for left in (1..all.len()).rev() {
        all.swap(left, dice.below(left as u64 + 1) as usize);
    }
}

/// What `run` found; a case that does not stand what the device answers is a result too.
fn unless_broken(run: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        let trouble = Trouble::Odd(format!("the case does not stand it: {text}"));
        Outcome { trouble: Some(Ended { trouble, script: String::new() }), ..Outcome::default() }
    })
}

/// The verdict on a case, with what is known of the device.
fn judge(case: &'static Case, outcome: Outcome, known: &[&'static Waiver]) -> Verdict {
    if let Some((_, deviation)) = outcome.not_applicable.first() {
        return Verdict::Skipped(format!("the profile deviates: {deviation:?}"));
    }
    if let Some((_, reason)) = outcome.skipped.first() {
        return Verdict::Skipped((*reason).into());
    }
    let mine: Vec<_> = known.iter().copied().filter(|waiver| waiver.case == case.id).collect();
    if let Some(ended) = outcome.trouble {
        let told: Vec<_> = mine.into_iter().filter(|waiver| waiver.clause == ALIVE).collect();
        return if told.is_empty() { Verdict::Ended(ended) } else { Verdict::Waived(told) };
    }
    let violated: Vec<&str> = outcome.tally.iter().filter(|(.., broken)| *broken > 0).map(|it| it.0.id).collect();
    let (shown, unseen): (Vec<_>, Vec<_>) = mine.into_iter().partition(|it| violated.contains(&&*it.clause));
    let waived = |id: &&str| shown.iter().any(|waiver| waiver.clause == **id);
    if !violated.iter().all(waived) {
        let new = |failure: &Failure| !waived(&failure.clause);
        return Verdict::Fails(outcome.failures.into_iter().filter(new).collect());
    }
    if !unseen.is_empty() {
        return Verdict::Unexpected(unseen);
    }
    if shown.is_empty() { Verdict::Holds } else { Verdict::Waived(shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &'static Case, broken: &[&'static str]) -> Outcome {
        let mut outcome = Outcome::default();
        for &clause in broken {
            let index = spec::clause::find_index(clause).expect("a clause");
            outcome.tally.violated(index);
            let detail = crate::case::Detail::Claim("it does");
            outcome.failures.push(Failure { case: case.id, clause, target: None, detail });
        }
        outcome
    }

    fn waiver(case: &Case, clause: &str) -> &'static Waiver {
        let text = |words: &str| words.to_string();
        Box::leak(Box::new(Waiver {
            case: text(case.id),
            clause: text(clause),
            versions: vec![text("7.2")],
            does: text("it does otherwise"),
            why: text("it is a peer, not a specification"),
            evidence: text("seen"),
            until: "2999-01-01".parse().expect("a day"),
        }))
    }

    #[test]
    fn a_waiver_excuses_what_it_names_and_nothing_else() {
        let case = all().find(|case| case.clauses.len() > 1).expect("a case with two clauses");
        let (one, other) = (case.clauses[0], case.clauses[1]);
        let known = waiver(case, one);
        assert_eq!(judge(case, outcome(case, &[one]), &[known]).name(), "waived");
        assert_eq!(judge(case, outcome(case, &[]), &[known]).name(), "unexpected");
        assert_eq!(judge(case, outcome(case, &[]), &[]).name(), "holds");
        let Verdict::Fails(failures) = judge(case, outcome(case, &[one, other]), &[known]) else {
            panic!("the second clause is not waived")
        };
        assert_eq!(failures.iter().map(|failure| failure.clause).collect::<Vec<_>>(), [other]);
    }

    #[test]
    fn a_device_that_ends_is_waived_by_its_own_word_only() {
        let case = all().next().expect("a case");
        let ended = || Outcome {
            trouble: Some(Ended { trouble: Trouble::Gone("signal 6".into()), script: "clock_step".into() }),
            ..outcome(case, &[case.clauses[0]])
        };
        assert_eq!(judge(case, ended(), &[waiver(case, case.clauses[0])]).name(), "ended");
        assert_eq!(judge(case, ended(), &[waiver(case, ALIVE)]).name(), "waived");
    }

    #[test]
    fn an_order_has_every_case_once_and_is_another_by_another_seed() {
        let order = |seed| {
            let mut all: Vec<u32> = (0..100).collect();
            shuffle(&mut all, seed);
            all
        };
        assert_eq!(order(2), order(2));
        assert_ne!(order(2), order(3));
        let mut sorted = order(2);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_case_is_in_one_part() {
        for of in 1..5 {
            let parts: Vec<u32> = all().map(|case| part_of(case.id, of)).collect();
            assert!(parts.iter().all(|&part| (1..=of).contains(&part)));
            assert!((1..=of).all(|part| parts.contains(&part)), "a part of {of} is empty");
        }
        assert_eq!(part_of("a-name", 7), part_of("a-name", 7));
    }
}
