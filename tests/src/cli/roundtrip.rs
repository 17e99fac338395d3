//! `roundtrip`: a recorded state into the software body, onto the adapter, and back; then traffic goes on.

use super::{Answer, Out, Run, Trouble};
use golden::import::Capture;
use golden::roundtrip::{RoundtripReport, roundtrip};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `roundtrip`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the capture: its migration stream and memory, and what else there is
    capture: PathBuf,
    /// Print the report as JSON, by the schema in tests/schema/roundtrip-1.json
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let report = roundtrip(&Capture::open(&self.capture)?)?;
        if self.json {
            out.json(&Report { schema: 1, holds: report.holds(), report: &report })?;
        } else {
            out.text(&format!("{report}\n"))?;
        }
        Ok(report.holds().into())
    }
}

/// A round trip as JSON.
#[derive(Serialize)]
struct Report<'r> {
    /// Version of this report's schema.
    schema: u32,
    /// Whether nothing changed and nothing was lost.
    holds: bool,
    #[serde(flatten)]
    report: &'r RoundtripReport,
}
