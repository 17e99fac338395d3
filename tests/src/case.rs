//! The conformance suite: register-level conversations of a small scripted guest, each with the clauses that it judges.
//!
//! A [`Case`] asks [`Check`] for a device in software or on the adapter, talks to it through registers and guest memory, and
//! claims clauses. The judges of `spec::monitor` watch the same conversation, and their counts are added.

mod check;
mod offered;
mod outcome;
mod run;

use crate::{switch, vic, vmxnet3};
pub use check::{Check, POISONED, Subject};
pub(crate) use offered::{newest, with_best};
pub use outcome::{Detail, Ended, Failure, KEPT, Outcome};
pub use run::{SEED, Terms, run_against, run_all, run_case, run_on, run_until_broken};
use spec::profile::{Deviation, Offer};

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
    /// The adapter: [`Bench::start`](crate::rig::Bench::start) switches into hardware behind the activation.
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
