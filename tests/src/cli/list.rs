//! `list`: what there is to name in other calls.

use super::table::{indented, lines};
use super::{Answer, Out, Run, Trouble};
use crate::case::{self, Case};
use crate::conform::seen;
use crate::vmxnet3::bad;
use model::mutant::{Mutant, Place, Row};
use serde::Serialize;
use spec::clause::{ALL, Clause};
use spec::profile::{Deviation, Offer, Profile};
use spec::vmxnet3::Interrupts;
use std::path::PathBuf;

/// The devices that a guest or a hypervisor can meet here.
const DEVICES: &[(&str, &str)] = &[
    ("software", "VMXNET3 in software: works the rings by their generation bits"),
    ("adapter", "VMXNET3 on a Cisco VIC: control blocks, indices and colour behind the same registers"),
    ("switching", "VMXNET3 that moves between the two while traffic goes on"),
    ("vic", "the adapter's own registers and commands, as the hypervisor drives them"),
];

/// Whether it was asked for by itself, its heading, and what makes it.
type List = (bool, &'static str, fn() -> String);

/// Arguments of `list`: at most one list, all of them when none is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Planted bugs: name, clause that rejects it, place and what it does wrong
    #[arg(long, group = "what")]
    mutants: bool,
    /// Clauses: id, strength, judge, devices on which the cases that claim it were seen to hold, sentence, source
    #[arg(long, group = "what")]
    clauses: bool,
    /// Cases: name, what it needs beyond registers, memory, wire and interrupts, devices that it was seen to hold on, and the clauses
    /// that it claims
    #[arg(long, group = "what")]
    cases: bool,
    /// Known faults of such devices, a row of the table of bad inputs each: the cases that judge it, or why none can
    #[arg(long, group = "what")]
    faults: bool,
    /// Clauses with their sources and cases, cases and known faults as JSON, by the schema in tests/schema/list-1.json
    #[arg(long, group = "what")]
    json: bool,
    /// Devices: name and what it is
    #[arg(long, group = "what")]
    devices: bool,
    /// Profiles: name and what sets it apart. NAME+v3, NAME+q2, NAME+msi, NAME+intx and NAME+v3+q2+intx are profiles too, with
    /// that offer; `default` is the reference
    #[arg(long, group = "what")]
    profiles: bool,
    /// Deviations: name, profiles that have it, sentence
    #[arg(long, group = "what")]
    deviations: bool,
    /// Print the record of which devices a case was seen to hold on, golden/seen/cases.json, with what these reports saw: files that
    /// `vnic conform --json` has written
    #[arg(long, group = "what", value_name = "REPORT", num_args = 1..)]
    seen: Vec<PathBuf>,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let lists: [List; 7] = [
            (self.clauses, "clauses", clauses),
            (self.cases, "cases", cases),
            (self.faults, "faults", faults),
            (self.devices, "devices", devices),
            (self.profiles, "profiles", profiles),
            (self.deviations, "deviations", deviations),
            (self.mutants, "mutants", mutants),
        ];
        if !self.seen.is_empty() {
            let reports = self.seen.iter().map(|path| super::conform::read(path)).collect::<Result<Vec<_>, _>>()?;
            out.json(&seen::record().clone().with(&reports))?;
            return Ok(Answer::Holds);
        }
        if self.json {
            out.json(&Catalogue::whole())?;
            return Ok(Answer::Holds);
        }
        if let Some((_, _, list)) = lists.iter().find(|(asked, ..)| *asked) {
            out.text(&list())?;
            return Ok(Answer::Holds);
        }
        for (i, (_, name, list)) in lists.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n" };
            out.text(&format!("{gap}{name}\n{}", indented(&list())))?;
        }
        Ok(Answer::Holds)
    }
}

fn clauses() -> String {
    let row = |clause: &Clause| {
        let Clause { id, sentence, source, strength, judge } = clause;
        let held = devices_of(&seen::record().of_clause(id));
        [id.to_string(), strength.name().into(), judge.name().into(), held, format!("{sentence} ({source})")]
    };
    lines(&ALL.iter().map(row).collect::<Vec<_>>())
}

/// Names of devices in one word; `-`: none.
fn devices_of(names: &[&str]) -> String {
    if names.is_empty() { "-".into() } else { names.join(",") }
}

fn cases() -> String {
    let row = |case: &Case| {
        let needs: Vec<_> = case.needs.iter().map(|need| format!("{need:?}").to_lowercase()).collect();
        let needs = if needs.is_empty() { "any device".into() } else { needs.join(",") };
        [case.id.to_string(), needs, devices_of(&seen::record().of_case(case.id)), case.clauses.join(" ")]
    };
    lines(&case::all().map(row).collect::<Vec<_>>())
}

fn faults() -> String {
    let judged = bad::ROWS.iter().map(|(row, cases)| [row.to_string(), cases.join(" ")]);
    let elsewhere = bad::ELSEWHERE.iter().map(|(row, reason)| [row.to_string(), format!("no case: {reason}")]);
    let mut rows: Vec<_> = judged.chain(elsewhere).collect();
    rows.sort();
    lines(&rows)
}

/// What there is to judge by, as JSON.
#[derive(Serialize)]
struct Catalogue {
    schema: u32,
    clauses: Vec<ClauseRow>,
    cases: Vec<CaseRow>,
    faults: Vec<FaultRow>,
}

#[derive(Serialize)]
struct ClauseRow {
    id: &'static str,
    strength: &'static str,
    judge: &'static str,
    sentence: &'static str,
    source: &'static str,
    cases: Vec<&'static str>,
    seen: Vec<&'static str>,
}

#[derive(Serialize)]
struct CaseRow {
    case: &'static str,
    needs: Vec<&'static str>,
    clauses: &'static [&'static str],
    seen: Vec<&'static str>,
}

#[derive(Serialize)]
struct FaultRow {
    row: &'static str,
    cases: &'static [&'static str],
    reason: Option<&'static str>,
}

impl Catalogue {
    fn whole() -> Self {
        let claiming = |id| case::all().filter(|case| case.clauses.contains(&id)).map(|case| case.id).collect();
        let clause = |clause: &Clause| ClauseRow {
            id: clause.id,
            strength: clause.strength.name(),
            judge: clause.judge.name(),
            sentence: clause.sentence,
            source: clause.source,
            cases: claiming(clause.id),
            seen: seen::record().of_clause(clause.id),
        };
        let case = |case: &'static Case| CaseRow {
            case: case.id,
            needs: case.needs.iter().map(|need| need.reason()).collect(),
            clauses: case.clauses,
            seen: seen::record().of_case(case.id),
        };
        let judged = bad::ROWS.iter().map(|&(row, cases)| FaultRow { row, cases, reason: None });
        let elsewhere = bad::ELSEWHERE.iter().map(|&(row, reason)| FaultRow { row, cases: &[], reason: Some(reason) });
        Self {
            schema: 1,
            clauses: ALL.iter().map(clause).collect(),
            cases: case::all().map(case).collect(),
            faults: judged.chain(elsewhere).collect(),
        }
    }
}

fn devices() -> String {
    lines(&DEVICES.iter().map(|&(name, what)| [name, what].map(String::from)).collect::<Vec<_>>())
}

fn profiles() -> String {
    let row = |profile: &&Profile| {
        let limits = profile.limits;
        let deviations = match profile.deviations.iter().count() {
            0 => "no deviations".to_string(),
            1 => "1 deviation".to_string(),
            many => format!("{many} deviations"),
        };
        let Offer { version, queues, interrupts } = profile.offer();
        let interrupts = match interrupts {
            Interrupts::MsiX => "MSI-X",
            Interrupts::Msi => "MSI",
            Interrupts::Line => "INTx",
        };
        let (tx, rx) = (limits.tx_ring, limits.rx_ring);
        let offer = format!("version {version}, {queues} queue pairs, {interrupts}, rings up to {tx} tx and {rx} rx");
        [profile.name.to_string(), format!("{offer}, {deviations}")]
    };
    lines(&Profile::ALL.iter().map(row).collect::<Vec<_>>())
}

fn deviations() -> String {
    let row = |&(deviation, sentence, _): &(Deviation, &str, &str)| {
        [format!("{deviation:?}"), with(deviation), sentence.to_string()]
    };
    lines(&Deviation::TABLE.iter().map(row).collect::<Vec<_>>())
}

fn mutants() -> String {
    let row = |&(_, name, at, killer, what, _): &Row| {
        [name.to_string(), killer.to_string(), format!("{}: {}", place(at), bug(what))]
    };
    lines(&Mutant::TABLE.iter().map(row).collect::<Vec<_>>())
}

/// Where a bug is planted, in a word.
pub fn place(place: Place) -> &'static str {
    match place {
        Place::Software => "software",
        Place::Plane => "plane",
        Place::Adapter => "adapter",
        Place::Move => "move",
    }
}

/// What a planted bug does, on one line.
pub fn bug(what: &str) -> String {
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The planted bugs that the check of clause `id` rejects.
pub fn rejected_by(id: &str) -> Vec<&'static str> {
    Mutant::TABLE.iter().filter(|row| row.3 == id).map(|row| row.1).collect()
}

/// The profiles with `deviation`, separated by commas; `-` when none has it.
pub fn with(deviation: Deviation) -> String {
    let names: Vec<_> = Profile::ALL.iter().filter(|profile| profile.has(deviation)).map(|it| it.name).collect();
    if names.is_empty() { "-".into() } else { names.join(",") }
}
