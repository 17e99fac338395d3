//! `lint`: a recording or guest memory, held against the rules that drivers keep.

use super::{Answer, Out, Run, Trouble};
use golden::dump::Dump;
use golden::lint::{Finding, RULES, Report, lint};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `lint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trace, a trace log, guest memory, or the folder of a capture
    #[arg(required_unless_present = "rules")]
    path: Option<PathBuf>,
    /// List the rules, each with a public fault of its kind
    #[arg(long, conflicts_with = "path")]
    rules: bool,
    /// Print the report as JSON, by the schema in tests/schema/lint-1.json
    #[arg(long, conflicts_with = "rules")]
    json: bool,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let Some(path) = self.path else {
            for rule in RULES {
                out.text(&format!("{}  {}\n             {}\n", rule.id, rule.sentence, rule.seen))?;
            }
            return Ok(Answer::Holds);
        };
        let dump = Dump::open(&path)?;
        let refuse = || Trouble::NoLint { file: path.display().to_string(), kind: dump.kind() };
        let report = lint(&dump)?.ok_or_else(refuse)?;
        if self.json {
            out.json(&Verdict::from(&report))?;
        } else {
            out.text(&report.to_string())?;
        }
        Ok(report.is_clean().into())
    }
}

/// A report as JSON.
#[derive(Serialize)]
struct Verdict<'r> {
    /// Version of this report's schema.
    schema: u32,
    /// What the dump is, in words.
    kind: &'static str,
    /// Whether nothing was found.
    clean: bool,
    /// Ids of the rules that were judged.
    judged: Vec<&'static str>,
    /// Ids of the rules that the dump does not hold enough for.
    not_judged: Vec<&'static str>,
    /// What was found.
    findings: &'r [Finding],
}

impl<'r> From<&'r Report> for Verdict<'r> {
    fn from(report: &'r Report) -> Self {
        Self {
            schema: 1,
            kind: report.kind,
            clean: report.is_clean(),
            judged: report.judged.iter().map(|rule| rule.id).collect(),
            not_judged: report.not_judged().map(|rule| rule.id).collect(),
            findings: report.findings.list(),
        }
    }
}
