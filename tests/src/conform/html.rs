//! Reports as one page that needs nothing else: clauses by devices, sources, skips and waivers with their reasons, failures with their
//! conversations, and a drawing of one move.

use super::document::{CaseRow, Document};
use super::drawing::one_move;
use askama::Template;
use spec::clause::{ALL, Clause};

/// What is laid out by tests/templates/report.html; every text is escaped there, but for the drawing, which is made here.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'r> {
    build: &'static str,
    devices: &'r [Document],
    matrix: Vec<Line>,
    groups: Vec<Group<'r>>,
    failures: Vec<(&'r Document, &'r CaseRow)>,
    drawing: String,
}

/// A clause and what became of it on each device.
struct Line {
    clause: &'static Clause,
    cells: Vec<Cell>,
}

/// What became of the cases that claim a clause, on one device.
struct Cell {
    /// The word of the worst of them; empty when none was run.
    word: &'static str,
    /// Each with its verdict.
    cases: String,
}

/// Cases of one device with one verdict, by what is said of them.
struct Group<'r> {
    device: String,
    verdict: &'static str,
    told: Vec<(&'r str, Vec<&'r str>)>,
}

/// Verdicts, the worst first. One that was judged tells more than one that was not.
const WORST_FIRST: [&str; 6] = ["ended", "fails", "unexpected", "waived", "holds", "skipped"];

fn cell(id: &str, device: &Document) -> Cell {
    let claiming: Vec<_> = device.cases.iter().filter(|row| row.clauses.iter().any(|clause| clause == id)).collect();
    let word = WORST_FIRST.into_iter().find(|word| claiming.iter().any(|row| row.verdict == *word));
    let cases: Vec<_> = claiming.iter().map(|row| format!("{}: {}", row.case, row.verdict)).collect();
    Cell { word: word.unwrap_or_default(), cases: cases.join("\n") }
}

fn group<'r>(device: &'r Document, verdict: &'static str) -> Option<Group<'r>> {
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in device.cases.iter().filter(|row| row.verdict == verdict) {
        for detail in &row.details {
            match told.iter_mut().find(|(known, _)| known == detail) {
                Some((_, cases)) => cases.push(&row.case),
                None => told.push((detail, vec![&row.case])),
            }
        }
    }
    (!told.is_empty()).then(|| Group { device: device.device(), verdict, told })
}

/// The page for these reports, which are of one device each.
///
/// # Errors
/// What the template says; none is known for reports as they are read here.
pub fn page(devices: &[Document]) -> Result<String, askama::Error> {
    let line = |clause: &'static Clause| Line { clause, cells: devices.iter().map(|it| cell(clause.id, it)).collect() };
    let matrix = ALL.iter().map(line).filter(|line| line.cells.iter().any(|cell| !cell.word.is_empty()));
    let bad = |row: &&CaseRow| matches!(&*row.verdict, "fails" | "unexpected" | "ended");
    Page {
        build: env!("CARGO_PKG_VERSION"),
        devices,
        matrix: matrix.collect(),
        groups: devices
            .iter()
            .flat_map(|device| ["waived", "skipped"].into_iter().filter_map(|verdict| group(device, verdict)))
            .collect(),
        failures: devices
            .iter()
            .flat_map(|device| device.cases.iter().filter(bad).map(move |row| (device, row)))
            .collect(),
        drawing: one_move(devices.first().map_or(crate::case::SEED, |device| device.seed)),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(dut: &str, rows: &[(&str, &str, &str)]) -> Document {
        let clause = ALL[0].id.to_string();
        let row = |&(case, verdict, detail): &(&str, &str, &str)| CaseRow {
            case: case.into(),
            clauses: vec![clause.clone()],
            verdict: verdict.into(),
            details: if detail.is_empty() { vec![] } else { vec![detail.into()] },
            milliseconds: 1,
            script: String::new(),
            conversation: if verdict == "fails" { vec!["> bar1.CMD <- ACTIVATE_DEV".into()] } else { vec![] },
        };
        Document {
            schema: 1,
            dut: dut.into(),
            identity: "<script>alert(1)</script>".into(),
            version: String::new(),
            profile: "reference".into(),
            mutant: String::new(),
            seed: 7,
            cases: rows.iter().map(row).collect(),
            clauses: vec![],
            stale_waivers: vec!["a, b: its day is over".into()],
            holds: false,
        }
    }

    #[test]
    fn the_worst_of_a_clauses_cases_is_its_cell() {
        let devices = [
            document("model:software", &[("one", "holds", ""), ("two", "fails", "VMX & more")]),
            document("model:adapter", &[("one", "skipped", "it cannot"), ("two", "holds", "")]),
        ];
        let line = cell(ALL[0].id, &devices[0]);
        assert_eq!((line.word, &*line.cases), ("fails", "one: holds\ntwo: fails"));
        assert_eq!(cell(ALL[0].id, &devices[1]).word, "holds");
        let page = page(&devices).expect("a page");
        for wanted in ["VMX &#38; more", "it cannot", "seed 7", "&#62; bar1.CMD", "its day is over", ALL[0].id, "<svg "]
        {
            assert!(page.contains(wanted), "{wanted}");
        }
        assert!(!page.contains("<script"), "what a device says is text");
        for foreign in ["http:", "https:", "src=", "@import", "url("] {
            let others = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!others.contains(foreign), "{foreign}: the page needs nothing else");
        }
    }
}
