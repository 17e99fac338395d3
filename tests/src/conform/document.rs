//! A report as JSON, by tests/schema/conform-1.json: what one run leaves for others to read.

use super::{Report, Row};
use serde::{Deserialize, Serialize};

/// A report as it is written and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the schema.
    pub schema: u32,
    /// The device as the command line names it.
    pub dut: String,
    /// What the device says it is.
    pub identity: String,
    /// What waivers call its version; empty for ours.
    pub version: String,
    /// What it is expected to be.
    pub profile: String,
    /// The bug planted in it; empty: none.
    pub mutant: String,
    /// The seed of the run.
    pub seed: u64,
    /// A row a case, in the suite's order.
    pub cases: Vec<CaseRow>,
    /// Every clause that was put to the test.
    pub clauses: Vec<ClauseRow>,
    /// Waivers that are out of date.
    pub stale_waivers: Vec<String>,
    /// Whether the device passes.
    pub holds: bool,
}

/// A case and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRow {
    /// Its name.
    pub case: String,
    /// What it claims.
    pub clauses: Vec<String>,
    /// [`super::Verdict::name`].
    pub verdict: String,
    /// [`super::Verdict::details`].
    pub details: Vec<String>,
    /// How long it took.
    pub milliseconds: u64,
    /// What repeats the failure in the device's own words; else empty.
    pub script: String,
    /// Of a failure the conversation by field names, up to the first claim that did not hold; else empty.
    pub conversation: Vec<String>,
}

/// A clause and how often it was put to the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseRow {
    /// Its id.
    pub clause: String,
    /// How often its premise held.
    pub exercised: u64,
    /// How often it did not hold.
    pub violated: u64,
}

/// What keeps a report from being read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not as the schema has it.
    #[error("it is not what was asked for: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("a report of version {0}, and this reads version 1")]
    Version(u32),
}

impl Document {
    /// Reads a report.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let document: Self = serde_json::from_slice(bytes)?;
        if document.schema == 1 { Ok(document) } else { Err(ReadError::Version(document.schema)) }
    }

    /// A short name for the device: `software`, `adapter`, `qemu-7.2`.
    pub fn device(&self) -> String {
        let name = self.dut.strip_prefix("model:").unwrap_or(&self.dut);
        if self.version.is_empty() { name.into() } else { format!("{name}-{}", self.version) }
    }

    /// How many cases have which verdict, in words.
    pub fn counts(&self) -> String {
        let words = ["holds", "waived", "skipped", "fails", "unexpected", "ended"];
        let count = |word: &str| self.cases.iter().filter(|row| row.verdict == word).count();
        let told = words.map(|word| (count(word), word)).into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// The row of a case.
    pub fn case(&self, name: &str) -> Option<&CaseRow> {
        self.cases.iter().find(|row| row.case == name)
    }
}

impl From<&Report> for Document {
    fn from(report: &Report) -> Self {
        let case = |row: &Row| CaseRow {
            case: row.case.id.into(),
            clauses: row.case.clauses.iter().map(ToString::to_string).collect(),
            verdict: row.verdict.name().into(),
            details: row.verdict.details(),
            milliseconds: row.took.as_millis().try_into().unwrap_or(u64::MAX),
            script: row.script.clone(),
            conversation: row.conversation.as_ref().map(super::failures::told).unwrap_or_default(),
        };
        let exercised = report.tally.iter().filter(|(_, exercised, _)| *exercised > 0);
        let clauses =
            exercised.map(|(clause, exercised, violated)| ClauseRow { clause: clause.id.into(), exercised, violated });
        let device = &report.device;
        Self {
            schema: 1,
            dut: device.dut.clone(),
            identity: device.identity.clone(),
            version: device.version.clone(),
            profile: device.profile.name.into(),
            mutant: device.mutant.map_or_else(String::new, |mutant| mutant.row().1.into()),
            seed: report.seed,
            cases: report.rows.iter().map(case).collect(),
            clauses: clauses.collect(),
            stale_waivers: report.stale.clone(),
            holds: report.holds(),
        }
    }
}
