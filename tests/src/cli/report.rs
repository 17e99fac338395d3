//! A verdict for people: the campaign, each recording, each clause with how often it was exercised, what does not hold,
//! and last of all one line with the whole of it.

use super::table::{count, indented, lines};
use crate::verify::{Campaign, ClauseRow, RecordingRow, Verdict};
use std::fmt::Write;

/// Clauses beside each other.
const ACROSS: usize = 6;

/// The verdict as text, the one-line verdict last.
pub fn text(verdict: &Verdict) -> String {
    let mut text = format!("profile {}, seed {}\n", verdict.profile, verdict.seed);
    let mut section = |heading: &str, body: &str| {
        if !body.is_empty() {
            let _ = write!(text, "\n{heading}\n{}", indented(body));
        }
    };
    section("campaign", &campaign(&verdict.campaign));
    section("recordings", &recordings(&verdict.recordings));
    section("clauses, and how often each was exercised", &clauses(&verdict.clauses));
    section("what does not hold", &verdict.failures.iter().map(|failure| format!("{failure}\n")).collect::<String>());
    let _ = writeln!(text, "\n{}", line(verdict));
    text
}

fn campaign(campaign: &Campaign) -> String {
    let Campaign { sent, received, switches, undone, lost, duplicated, reordered, missed_wakeups, longest_switch } =
        campaign;
    let rows = [
        ("packets sent", sent),
        ("frames received", received),
        ("switches", switches),
        ("switches undone", undone),
        ("steps of the longest switch", longest_switch),
        ("lost", lost),
        ("duplicated", duplicated),
        ("reordered", reordered),
        ("missed wake-ups", missed_wakeups),
    ];
    let width = rows.iter().map(|(_, value)| value.to_string().len()).max().unwrap_or(0);
    lines(&rows.map(|(name, value)| [name.to_string(), format!("{value:>width$}")]))
}

fn recordings(recordings: &[RecordingRow]) -> String {
    let mut text = String::new();
    for RecordingRow { name, reads, deviations, failures } in recordings {
        let holds = if failures.is_empty() { "holds" } else { "does not hold" };
        let reads = count(*reads, "register read", "register reads");
        let relied = count(deviations.len() as u64, "deviation", "deviations");
        let _ = writeln!(text, "{name}: {holds}, {reads} predicted, {relied} relied on");
        let listed = deviations.iter().map(|name| format!("deviation {name}\n"));
        let listed: String = listed.chain(failures.iter().map(|failure| format!("{failure}\n"))).collect();
        text += &indented(&listed);
    }
    text
}

/// A block for each first part of an id (`VMX`, `VIC`, `SWI`), a cell for the rest of it.
fn clauses(rows: &[ClauseRow]) -> String {
    let split = |row: &'static str| row.split_once('-').unwrap_or(("", row));
    let name_width = rows.iter().map(|row| split(row.id).1.len()).max().unwrap_or(0);
    let count_width = rows.iter().map(|row| row.exercised.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for family in rows.chunk_by(|a, b| split(a.id).0 == split(b.id).0) {
        for (i, some) in family.chunks(ACROSS).enumerate() {
            let family = if i == 0 { split(some[0].id).0 } else { "" };
            let cell = |row: &ClauseRow| format!("{:<name_width$} {:>count_width$}", split(row.id).1, row.exercised);
            let _ = writeln!(text, "{family:<4} {}", some.iter().map(cell).collect::<Vec<_>>().join("   "));
        }
    }
    text
}

/// One line: whether everything holds, if not what does not, and what was checked how often.
fn line(verdict: &Verdict) -> String {
    let Verdict { campaign, clauses, recordings, holds, .. } = verdict;
    let mut parts = Vec::new();
    let named = named(verdict);
    if !named.is_empty() {
        parts.push(named.join(" "));
    }
    let failing = recordings.iter().filter(|recording| !recording.failures.is_empty());
    parts.extend(failing.map(|recording| format!("recording {}", recording.name)));

    let (all, idle) = (clauses.len(), clauses.iter().filter(|row| row.exercised == 0).count());
    let of_all = if idle == 0 { String::new() } else { format!("{} of ", all - idle) };
    let exercised = clauses.iter().fold(0u64, |sum, row| sum.saturating_add(row.exercised));
    let clauses = count(all as u64, "clause", "clauses");
    parts.push(format!(
        "{of_all}{clauses} exercised {}, {}, {}, {}, {} lost, {} duplicated, {} reordered, {}",
        count(exercised, "time", "times"),
        count(campaign.sent.saturating_add(campaign.received), "packet", "packets"),
        count(campaign.switches, "switch", "switches"),
        count(recordings.len() as u64, "recording", "recordings"),
        campaign.lost,
        campaign.duplicated,
        campaign.reordered,
        count(campaign.missed_wakeups, "missed wake-up", "missed wake-ups"),
    ));
    format!("{}: {}", if *holds { "holds" } else { "does not hold" }, parts.join("; "))
}

/// Clauses that were violated, and those that a failure begins with, each once. A clause that only was not exercised is
/// not among them unless a failure says so: a run that failed early has not come to it.
fn named(verdict: &Verdict) -> Vec<&'static str> {
    let mut named: Vec<_> = verdict.clauses.iter().filter(|row| row.violated > 0).map(|row| row.id).collect();
    for failure in &verdict.failures {
        let word = failure.split([':', ' ', ',']).next().unwrap_or_default();
        if let Some(clause) = spec::clause::find(word)
            && !named.contains(&clause.id)
        {
            named.push(clause.id);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        let row = |id, exercised| ClauseRow { id, exercised, violated: 0 };
        let recording = RecordingRow { name: "r".into(), reads: 7, deviations: vec!["EcrReadsZero"], failures: vec![] };
        Verdict {
            schema: 1,
            profile: "reference",
            seed: 1,
            campaign: Campaign { sent: 60, received: 40, switches: 1, longest_switch: 812, ..Campaign::default() },
            clauses: vec![row("VMX-TX-008", 12), row("VMX-TX-009", 5), row("SWI-CON-001", 100)],
            recordings: vec![recording],
            failures: vec![],
            holds: true,
        }
    }

    #[test]
    fn the_last_line_says_what_was_checked_how_often() {
        let last = text(&verdict());
        assert_eq!(
            last.lines().last(),
            Some(
                "holds: 3 clauses exercised 117 times, 100 packets, 1 switch, 1 recording, 0 lost, 0 duplicated, \
                 0 reordered, 0 missed wake-ups"
            )
        );
    }

    #[test]
    fn clauses_stand_in_blocks_beside_each_other() {
        let text = text(&verdict());
        assert!(text.contains("\n  VMX  TX-008   12   TX-009    5\n  SWI  CON-001 100\n"), "{text}");
    }

    #[test]
    fn what_does_not_hold_is_named_in_the_last_line() {
        let mut verdict = verdict();
        verdict.holds = false;
        verdict.clauses[0].violated = 2;
        verdict.clauses[1].exercised = 0;
        verdict.recordings[0].failures.push("bar1.ECR: 4, recorded 0".into());
        verdict.failures = vec!["VMX-TX-008: twice".into(), "SWI-CON-001: gone".into()];
        let text = text(&verdict);
        assert!(text.contains("\nwhat does not hold\n  VMX-TX-008: twice\n  SWI-CON-001: gone\n"));
        let last = text.lines().last().unwrap_or_default();
        let named = "does not hold: VMX-TX-008 SWI-CON-001; recording r; 2 of 3 clauses ";
        assert!(last.starts_with(named), "{last}");
    }
}
