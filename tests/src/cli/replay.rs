//! `replay`: a recording's register log drives the software body, and everything read and saved is predicted.

use super::{Answer, Out, Run, Trouble};
use golden::import::Capture;
use golden::replay::{ReplayReport, replay};
use serde::Serialize;
use spec::profile::Profile;
use std::path::PathBuf;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the capture: its register log, frames, memory and migration stream
    capture: PathBuf,
    /// Device profile to predict with; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = profile, default_value = Profile::QEMU_11_1.name)]
    profile: &'static Profile,
    /// Print the report as JSON, by the schema in tests/schema/replay-1.json
    #[arg(long)]
    json: bool,
}

fn profile(name: &str) -> Result<&'static Profile, &'static str> {
    Profile::by_name(name).ok_or("no profile has this name, `vnic list --profiles` has them all")
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let report = replay(&Capture::open(&self.capture)?, self.profile)?;
        if self.json {
            out.json(&Report { schema: 1, holds: report.holds(), report: &report })?;
        } else {
            out.text(&format!("{report}\n"))?;
        }
        Ok(report.holds().into())
    }
}

/// A replay as JSON.
#[derive(Serialize)]
struct Report<'r> {
    /// Version of this report's schema.
    schema: u32,
    /// Whether everything was predicted.
    holds: bool,
    #[serde(flatten)]
    report: &'r ReplayReport,
}
