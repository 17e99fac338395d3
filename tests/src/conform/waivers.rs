//! What is known of other people's devices: each deviation once, with why it is not ours to follow and how it was seen.

use crate::case::{POISONED, all};
use chrono::NaiveDate;
use serde::Deserialize;
use std::sync::LazyLock;

/// Stands in a waiver for a clause when the device ends in the middle of the case.
pub const ALIVE: &str = "alive";

/// A known deviation of a device from a clause, as one case shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The case.
    pub case: String,
    /// The clause, or [`ALIVE`].
    pub clause: String,
    /// Versions of the device's program that show it: two numbers and a dot.
    pub versions: Vec<String>,
    /// What the device does.
    pub does: String,
    /// Why that is not ours to follow.
    pub why: String,
    /// How it is known: a place in its source, a measurement, a report.
    pub evidence: String,
    /// The last day on which this is taken as it stands; then somebody looks again.
    pub until: NaiveDate,
}

impl Waiver {
    /// Whether it is about `version`.
    pub fn covers(&self, version: &str) -> bool {
        self.versions.iter().any(|known| known == version)
    }
}

/// What is known of QEMU's own vmxnet3.
static QEMU: LazyLock<Vec<Waiver>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../golden/waivers/qemu.json"))
        .unwrap_or_else(|error| panic!("golden/waivers/qemu.json: {error}"))
});

/// What is known of QEMU's own vmxnet3.
pub fn qemu() -> &'static [Waiver] {
    &QEMU
}

/// Waivers that name no case, no clause of their case, or a day that is over.
pub fn stale(waivers: &[&Waiver]) -> Vec<String> {
    let today = chrono::Utc::now().date_naive();
    waivers
        .iter()
        .filter_map(|waiver| Some(format!("{}, {}: {}", waiver.case, waiver.clause, trouble(waiver, today)?)))
        .collect()
}

fn trouble(waiver: &Waiver, today: NaiveDate) -> Option<&'static str> {
    let Some(case) = all().find(|case| case.id == waiver.case) else { return Some("no case has this name") };
    if waiver.clause != ALIVE && spec::clause::find(&waiver.clause).is_none() {
        return Some("no clause has this name");
    }
    // What judges see beside the claims of a case is not waived: the case is.
    if waiver.clause != ALIVE && waiver.clause != POISONED && !case.clauses.contains(&&*waiver.clause) {
        return Some("the case does not claim this clause");
    }
    (waiver.until < today).then_some("its day is over: look again, then give it another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_deviations_are_told_in_full_and_are_up_to_date_for_a_year() {
        let day: NaiveDate = "2026-11-23".parse().expect("a day");
        for waiver in qemu() {
            assert_eq!(trouble(waiver, day), None, "{waiver:?}");
            let told = [&waiver.does, &waiver.why, &waiver.evidence];
            assert!(told.iter().all(|words| words.len() > 10), "{waiver:?}");
            assert!(!waiver.versions.is_empty(), "{waiver:?}");
        }
    }

    #[test]
    fn a_waiver_that_is_out_of_date_is_told() {
        let case = all().next().expect("a case");
        let fresh = Waiver {
            case: case.id.into(),
            clause: case.clauses[0].into(),
            versions: vec!["7.2".into()],
            does: String::new(),
            why: String::new(),
            evidence: String::new(),
            until: "2026-11-23".parse().expect("a day"),
        };
        let on = |day: &str, waiver: &Waiver| trouble(waiver, day.parse().expect("a day"));
        assert_eq!(on("2026-11-23", &fresh), None);
        assert!(on("2026-11-24", &fresh).is_some());
        assert!(on("2026-11-23", &Waiver { case: "nobody".into(), ..fresh.clone() }).is_some());
        assert!(on("2026-11-23", &Waiver { clause: "VMX-NIX-001".into(), ..fresh }).is_some());
    }
}
