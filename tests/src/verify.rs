//! The main job: everything that can be checked with nothing installed.

use crate::campaign::{self, Findings};
use crate::{case, recordings};
use model::mutant::{Mutant, Planted};
use serde::Serialize;
use spec::clause::Tally;
use spec::monitor::What;
use spec::profile::Profile;
use std::collections::BTreeSet;

/// What to do, and how much of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The device profile.
    pub profile: &'static Profile,
    /// Packets of the campaign, both directions together.
    pub packets: u64,
    /// Switches of the campaign.
    pub switches: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// A planted bug, to show that it is found; needs the feature `mutants`.
    pub mutant: Option<Mutant>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { profile: &Profile::REFERENCE, packets: 300_000, switches: 6_000, seed: 1, mutant: None }
    }
}

/// One clause in the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct ClauseRow {
    /// Its id.
    pub id: &'static str,
    /// How often its premise held.
    pub exercised: u64,
    /// How often it was violated.
    pub violated: u64,
}

/// One recording in the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingRow {
    /// Its name.
    pub name: String,
    /// Register reads predicted.
    pub reads: u64,
    /// Deviations of the profile that the replay relied on.
    pub deviations: Vec<&'static str>,
    /// What did not hold; empty when all of it did.
    pub failures: Vec<String>,
}

/// What the campaign did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Campaign {
    /// Packets the guest sent.
    pub sent: u64,
    /// Frames the guest received.
    pub received: u64,
    /// Switches made.
    pub switches: u64,
    /// Switches that were undone for a reason of the guest's state or the wire's.
    pub undone: u64,
    /// Frames lost.
    pub lost: u64,
    /// Frames doubled.
    pub duplicated: u64,
    /// Frames out of order.
    pub reordered: u64,
    /// Wake-ups missed.
    pub missed_wakeups: u64,
    /// Most steps that a switch took.
    pub longest_switch: u64,
}

/// The whole verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Version of this report's schema.
    pub schema: u32,
    /// Profile.
    pub profile: &'static str,
    /// Seed.
    pub seed: u64,
    /// The campaign.
    pub campaign: Campaign,
    /// Every clause.
    pub clauses: Vec<ClauseRow>,
    /// Every recording.
    pub recordings: Vec<RecordingRow>,
    /// What did not hold, a sentence each with its clause first; empty when everything held.
    pub failures: Vec<String>,
    /// Whether everything held and every clause was exercised.
    pub holds: bool,
}

/// Clauses that a campaign, the cases and the recordings together have to exercise: all of them.
fn unexercised(tally: &Tally) -> impl Iterator<Item = &'static str> + '_ {
    tally.iter().filter(|(_, premises, _)| *premises == 0).map(|(clause, ..)| clause.id)
}

/// Runs the main job. `progress` is told packets done and packets to do.
pub fn run(settings: &Settings, progress: &mut dyn FnMut(u64, u64)) -> Verdict {
    let planted = planted(settings.mutant);
    let mut failures = Vec::new();
    // For a planted bug one case is enough that finds it by its clause.
    let killer = settings.mutant.map(|mutant| mutant.row().3);
    let killed = killer.and_then(|clause| case::run_until_broken(settings.profile, planted, clause));
    let findings = match killed {
        Some(_) => Findings::default(),
        None => campaign::run(settings, planted, progress),
    };
    describe(&findings, &mut failures);
    let mut tally = findings.tally.clone();
    // Otherwise all run whatever the campaign found: often they name the clause that explains it.
    let cases = killed.unwrap_or_else(|| case::run_all(settings.profile, planted));
    tally.merge(&cases.tally);
    failures.extend(cases.failures.iter().map(ToString::to_string));
    let mut recordings = Vec::new();
    if failures.is_empty() && settings.mutant.is_none() {
        recordings = recordings::all();
        failures.extend(recordings.iter().flat_map(|row| row.failures.iter().cloned()));
        failures.extend(unexercised(&tally).map(|id| format!("{id}: never exercised")));
    }
    let clauses = tally.iter().map(|(clause, exercised, violated)| ClauseRow { id: clause.id, exercised, violated });
    Verdict {
        schema: 1,
        profile: settings.profile.name,
        seed: settings.seed,
        campaign: summary(&findings),
        clauses: clauses.collect(),
        recordings,
        holds: failures.is_empty(),
        failures,
    }
}

#[cfg(feature = "mutants")]
fn planted(mutant: Option<Mutant>) -> Planted {
    mutant.map_or(Planted::NONE, Planted::some)
}

#[cfg(not(feature = "mutants"))]
fn planted(_: Option<Mutant>) -> Planted {
    Planted::NONE
}

/// A sentence a violation, its clause first; the first of each clause.
fn describe(findings: &Findings, failures: &mut Vec<String>) {
    let mut named = BTreeSet::new();
    for (course, epoch, violation) in &findings.violations {
        let id = violation.clause.id();
        if named.insert(id) {
            failures.push(format!(
                "{id}: {:?}, in course '{course}', epoch {epoch}, event {}",
                violation.what, violation.at
            ));
        }
    }
    for (course, epoch, breach) in &findings.breaches {
        let id = breach.clause();
        if named.insert(id) {
            failures.push(format!(
                "{id}: the driver would have stopped the kernel: {breach:?}, in course '{course}', epoch {epoch}"
            ));
        }
    }
    for (course, epoch) in &findings.stuck {
        failures.push(format!("SWI-STP-001: the machine never came to rest, in course '{course}', epoch {epoch}"));
    }
}

fn summary(findings: &Findings) -> Campaign {
    let count = |wanted: fn(&What) -> bool| findings.violations.iter().filter(|(.., v)| wanted(&v.what)).count() as u64;
    Campaign {
        sent: findings.sent,
        received: findings.received,
        switches: findings.switches,
        undone: findings.undone,
        lost: count(|what| matches!(what, What::Unsent { .. } | What::Uncompleted { .. } | What::Undelivered { .. })),
        duplicated: count(|what| {
            matches!(what, What::SentTwice { .. } | What::Unexplained { .. } | What::NotOffered { .. })
        }),
        reordered: count(|what| matches!(what, What::OutOfOrder { .. })),
        missed_wakeups: count(|what| matches!(what, What::Untold { .. })),
        longest_switch: findings.longest_switch,
    }
}
