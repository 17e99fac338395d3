//! `replay`: a recording is predicted. Of a trace in our own format every call is made again and every effect compared; of a
//! capture the register log drives the software body, and everything read and saved is predicted. A conversation with somebody else's
//! device is held again with our own, or with any other, and compared as far as one sees it from outside.

use super::conform::Named;
use super::{Answer, Out, Run, Trouble};
use crate::conform::failures;
use golden::dump::{Dump, Recording};
use golden::import::ImportError;
use golden::replay::{ReplayReport, replay};
use golden::trace;
use model::mutant::Planted;
use serde::Serialize;
use spec::profile::Profile;
use std::path::PathBuf;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trace that `record` or `serve --record` wrote, or that a failing case of `conform` left behind; or the folder of a capture: its register log, frames, memory and migration
    /// stream
    recording: PathBuf,
    /// Device profile to predict a capture with; `vnic list --profiles` names them. A trace names its own
    #[arg(long, value_name = "NAME", value_parser = profile, default_value = Profile::QEMU_11_1.name)]
    profile: &'static Profile,
    /// Of a conversation with somebody else's device: the device to hold it with again, as `conform` names them; our own software unless
    /// said
    #[arg(long, value_name = "DEVICE")]
    dut: Option<Named>,
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
            Dump::Recording(recording) if self.dut.is_some() && recording.trace.header.outside.is_empty() => {
                Err(Trouble::NotOutside { file: recording.file })
            }
            Dump::Recording(recording) => exact(&recording, self.dut, self.json, out),
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
    /// The case whose conversation it is; empty: none.
    case: String,
    /// Claims of that case that do not hold, a sentence each with its clause first.
    claims: Vec<String>,
}

fn exact(recording: &Recording, dut: Option<Named>, json: bool, out: &mut Out<'_>) -> Result<Answer, Trouble> {
    let Recording { file, trace } = recording;
    let planted = trace.header.mutant.map_or(Ok(Planted::NONE), super::conform::plant)?;
    let ours = dut.is_none();
    let report = if !trace.header.outside.is_empty() {
        from_outside(trace, dut)?
    } else if trace.header.partial.is_some() {
        held_again(recording, planted)?
    } else {
        let replayed = trace::replay_planted(trace, planted);
        let replayed = replayed.map_err(|error| ImportError::Follow { file: file.clone(), error })?;
        let failed = !trace.header.case.is_empty();
        // What a case claims was claimed of a device that did just this, and of no other.
        let told = if failed && replayed.divergence.is_none() { &trace.claims[..] } else { &[] };
        Exact {
            holds: replayed.divergence.is_none() && if failed { told.is_empty() } else { replayed.verdict.is_clean() },
            effects: replayed.effects,
            divergence: replayed.divergence.clone(),
            violations: if failed { Vec::new() } else { replayed.violations() },
            claims: told.iter().map(|claim| claim.words.clone()).collect(),
            ..Exact::of(trace)
        }
    };
    if json {
        out.json(&report)?;
    } else {
        let Exact { device, profile, calls, effects, .. } = &report;
        if !report.case.is_empty() {
            out.text(&format!("case {}, left behind by {}\n", report.case, trace.header.origin))?;
        }
        out.text(&match trace.header.partial {
            Some(_) => {
                format!("device {device}, profile {profile}: held again, as its calls are not all there is to it\n")
            }
            None if !trace.header.outside.is_empty() => {
                let with = if ours { "our software device" } else { "the device" };
                let of = &trace.header.outside;
                format!("seen from outside of {of}, held again with {with}, profile {profile}: {calls} calls, {effects} effects as recorded\n")
            }
            None => format!("device {device}, profile {profile}: {calls} calls, {effects} effects as recorded\n"),
        })?;
        for line in report.violations.iter().chain(&report.claims) {
            out.text(&format!("{line}\n"))?;
        }
        if let Some(divergence) = &report.divergence {
            out.text(&format!("{file}, {divergence}\n"))?;
        }
        if report.divergence.is_some() && !report.case.is_empty() {
            out.text(match (trace.header.outside.is_empty(), ours) {
                (false, true) => "here our device does something else, by what it is expected to be\n",
                _ => "the device does something else now: whether the claims hold, the case itself says\n",
            })?;
        }
        out.text(if report.holds { "holds\n" } else { "does not hold\n" })?;
    }
    Ok(report.holds.into())
}

/// A conversation that was seen from outside, with the device that is asked for or our own.
fn from_outside(trace: &trace::Trace, dut: Option<Named>) -> Result<Exact, Trouble> {
    let mut device = match dut {
        Some(named) => named.outside(trace)?,
        None => Box::new(trace::model_outside(trace)?),
    };
    let trace::Outside { calls, effects, divergence } = trace::replay_outside(trace, &mut *device)?;
    // What a case claims was claimed of a device that did just this, and of no other.
    let told = if divergence.is_none() { &trace.claims[..] } else { &[] };
    let claims: Vec<_> = told.iter().map(|claim| claim.words.clone()).collect();
    Ok(Exact {
        holds: divergence.is_none() && claims.is_empty(),
        calls,
        effects,
        divergence,
        claims,
        ..Exact::of(trace)
    })
}

/// The case of a trace is held again: what it did beside calls is not in the trace.
fn held_again(recording: &Recording, planted: Planted) -> Result<Exact, Trouble> {
    let Recording { file, trace } = recording;
    let failures = failures::again(trace, planted)
        .ok_or_else(|| Trouble::NoCase { file: file.clone(), case: trace.header.case.clone() })?;
    let claims: Vec<_> = failures.iter().map(ToString::to_string).collect();
    Ok(Exact { holds: claims.is_empty(), claims, ..Exact::of(trace) })
}

impl Exact {
    /// Of a trace of which nothing was found yet.
    fn of(trace: &trace::Trace) -> Self {
        Self {
            schema: 1,
            holds: false,
            device: trace.header.device.name(),
            profile: trace.header.profile.name,
            calls: trace.steps.len(),
            effects: 0,
            divergence: None,
            violations: Vec::new(),
            case: trace.header.case.clone(),
            claims: Vec::new(),
        }
    }
}
