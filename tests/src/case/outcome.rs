//! What running cases finds.

use super::Target;
use crate::rig::Conversation;
use golden::dut::Trouble;
use spec::clause::Tally;
use spec::monitor::What;
use spec::profile::Deviation;

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

impl Outcome {
    /// Adds what one case found.
    pub(super) fn add(&mut self, one: Self) {
        self.tally.merge(&one.tally);
        self.failures.extend(one.failures);
        self.not_applicable.extend(one.not_applicable);
        self.skipped.extend(one.skipped);
    }
}

/// Failures kept of each clause in one case.
pub const KEPT: usize = 4;
