//! `replay`: a recording is predicted. Of a trace in our own format every call is made again and every effect compared; of a
//! capture the register log drives the software body, and everything read and saved is predicted.

use super::{Answer, Out, Run, Trouble};
use golden::dump::{Dump, Recording};
use golden::import::ImportError;
use golden::replay::{ReplayReport, replay};
use golden::trace;
use serde::Serialize;
use spec::profile::Profile;
use std::path::PathBuf;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trace that `record` or `serve --record` wrote; or the folder of a capture: its register log, frames, memory and migration
    /// stream
    recording: PathBuf,
    /// Device profile to predict a capture with; `vnic list --profiles` names them. A trace names its own
    #[arg(long, value_name = "NAME", value_parser = profile, default_value = Profile::QEMU_11_1.name)]
    profile: &'static Profile,
    /// Print the report as JSON: of a trace by the schema in tests/schema/trace-1.json, of a capture by that in
    /// tests/schema/replay-1.json
    #[arg(long)]
    json: bool,
}

pub(super) fn profile(name: &str) -> Result<&'static Profile, &'static str> {
    Profile::by_name(name).ok_or("no profile has this name, `vnic list --profiles` has them all")
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        match Dump::open(&self.recording)? {
            Dump::Recording(recording) => exact(&recording, self.json, out),
            Dump::Capture(capture) => {
                let report = replay(&capture, self.profile)?;
                if self.json {
                    out.json(&Report { schema: 1, holds: report.holds(), report: &report })?;
                } else {
                    out.text(&format!("{report}\n"))?;
                }
                Ok(report.holds().into())
            }
            other => Err(Trouble::NoReplay { file: self.recording.display().to_string(), kind: other.kind() }),
        }
    }
}

/// A capture's replay as JSON.
#[derive(Serialize)]
struct Report<'r> {
    /// Version of this report's schema.
    schema: u32,
    /// Whether everything was predicted.
    holds: bool,
    #[serde(flatten)]
    report: &'r ReplayReport,
}

/// A trace's replay as JSON.
#[derive(Serialize)]
struct Exact {
    /// Version of this report's schema.
    schema: u32,
    /// Whether everything came as recorded and no clause was broken.
    holds: bool,
    /// The device of the trace.
    device: &'static str,
    /// The profile it was built as.
    profile: &'static str,
    /// Calls in the trace.
    calls: usize,
    /// Effects that came as recorded.
    effects: usize,
    /// The first difference.
    divergence: Option<trace::Divergence>,
    /// What the judges found, a sentence each with its clause first.
    violations: Vec<String>,
}

fn exact(recording: &Recording, json: bool, out: &mut Out<'_>) -> Result<Answer, Trouble> {
    let Recording { file, trace } = recording;
    let replayed = trace::replay(trace).map_err(|error| ImportError::Follow { file: file.clone(), error })?;
    let report = Exact {
        schema: 1,
        holds: replayed.holds(),
        device: trace.header.device.name(),
        profile: trace.header.profile.name,
        calls: trace.steps.len(),
        effects: replayed.effects,
        divergence: replayed.divergence.clone(),
        violations: replayed.violations(),
    };
    if json {
        out.json(&report)?;
    } else {
        let Exact { device, profile, calls, effects, .. } = &report;
        out.text(&format!("device {device}, profile {profile}: {calls} calls, {effects} effects as recorded\n"))?;
        for violation in &report.violations {
            out.text(&format!("{violation}\n"))?;
        }
        if let Some(divergence) = &report.divergence {
            out.text(&format!("{file}, {divergence}\n"))?;
        }
        out.text(if report.holds { "holds\n" } else { "does not hold\n" })?;
    }
    Ok(report.holds.into())
}
