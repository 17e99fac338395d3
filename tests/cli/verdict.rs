//! `verify`, with a campaign short enough to be run many times: its verdict as text, as JSON and as a status.

use crate::schema::{Schema, fits};
use crate::{Ran, vnic};
use serde_json::Value;
use vnic::verify::{Campaign, ClauseRow, RecordingRow, Verdict};

/// A short campaign. It may be too short for some clause, so only what it says has to be consistent.
fn short(more: &[&str]) -> Ran {
    let ran = vnic(&[&["verify", "--packets", "2000", "--switches", "40"], more].concat());
    assert!(ran.status == 0 || ran.status == 1, "{}: {}", ran.status, ran.stderr);
    assert_eq!(ran.stderr, "", "progress is for terminals");
    ran
}

#[test]
fn a_verdict_has_exactly_the_fields_of_its_schema() {
    let ran = short(&["--json", "--seed", "7"]);
    let verdict: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&verdict, Schema::Verify);
    assert_eq!((&verdict["profile"], &verdict["seed"]), (&"reference".into(), &7.into()));
    assert_eq!(verdict["holds"], Value::Bool(ran.status == 0));
}

#[test]
fn a_verdict_with_everything_in_it_fits_the_schema() {
    let verdict = Verdict {
        schema: 1,
        profile: "reference",
        seed: 1,
        campaign: Campaign::default(),
        clauses: vec![ClauseRow { id: "VMX-TX-001", exercised: 1, violated: 1 }],
        recordings: vec![RecordingRow {
            name: "name".into(),
            reads: 1,
            deviations: vec!["EcrReadsZero"],
            failures: vec!["failure".into()],
        }],
        failures: vec!["VMX-TX-001: failure".into()],
        holds: false,
    };
    fits(&serde_json::to_value(&verdict).expect("plain data"), Schema::Verify);
}

#[test]
fn the_last_line_is_the_verdict() {
    let ran = short(&[]);
    let last = ran.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with(if ran.status == 0 { "holds: " } else { "does not hold: " }), "{last}");
    for word in
        [" exercised ", " packets, ", " switches, ", " lost, ", " duplicated, ", " reordered, ", " missed wake-up"]
    {
        assert!(last.contains(word), "{word}: {last}");
    }
}

#[test]
fn the_same_seed_gives_the_same_verdict() {
    assert_eq!(short(&["--seed", "3"]).stdout, short(&["--seed", "3"]).stdout);
}

#[test]
#[cfg(feature = "mutants")]
fn a_planted_bug_is_found_and_its_clause_named() {
    for name in ["sw-tx-completion-index", "hw-color-stuck"] {
        let killer = model::mutant::Mutant::by_name(name).expect("the table has it").row().3;
        let ran = vnic(&["verify", "--packets", "20000", "--switches", "200", "--mutant", name]);
        assert_eq!(ran.status, 1, "{name}");
        let last = ran.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("does not hold: ") && last.contains(killer), "{name}: {last}");
    }
}
