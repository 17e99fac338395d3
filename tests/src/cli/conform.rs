//! `conform`: the suite against a device, ours or somebody else's.

use super::table::{count, indented, lines};
use super::{Answer, Out, Run, Trouble};
use crate::case::Target;
use crate::conform::{Choice, Identity, Report, Under, Verdict, junit, run, waivers};
use crate::rig::PERMANENT;
use golden::dut::{Dut, Options, Qemu};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spec::profile::Profile;
use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `conform`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device under test: model:software, model:adapter, qemu, or qemu:COMMAND
    #[arg(long, value_name = "DEVICE")]
    dut: Device,
    /// What one of our models is built as; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = super::verify::profile, default_value = Profile::REFERENCE.name)]
    profile: &'static Profile,
    /// Only cases whose name, or one of whose clauses, holds WORD; repeatable
    #[arg(long, value_name = "WORD")]
    filter: Vec<String>,
    /// Only part K of N; a case belongs to one part for ever, by its name
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(u32, u32)>,
    /// Every case with its verdict, not only those that want a look
    #[arg(long)]
    all: bool,
    /// Print the report as JSON, by the schema in tests/schema/conform-1.json
    #[arg(long)]
    json: bool,
    /// Write the report as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A device as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Device {
    Model(Target),
    Qemu(Vec<String>),
}

impl FromStr for Device {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("model", "software")) => Ok(Self::Model(Target::Software)),
            Some(("model", "adapter")) => Ok(Self::Model(Target::Adapter)),
            None if text == "qemu" => Ok(Self::Qemu(vec!["qemu-system-x86_64".into()])),
            Some(("qemu", command)) if !command.trim().is_empty() => {
                Ok(Self::Qemu(command.split_whitespace().map(String::from).collect()))
            }
            _ => Err("it is none of model:software, model:adapter, qemu, qemu:COMMAND"),
        }
    }
}

fn shard(text: &str) -> Result<(u32, u32), &'static str> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    numbers.filter(|(part, of)| (1..=*of).contains(part)).ok_or("it is not K/N with K from 1 to N")
}

/// What QEMU's device is expected to be: the reference with the link speed that QEMU gives it, which is a choice and no deviation.
const QEMU: Profile = Profile { link_up: Profile::QEMU_11_1.link_up, ..Profile::REFERENCE };

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let Self { dut, profile, filter, shard, all, json, junit } = self;
        let choice = Choice { filters: filter, shard };
        let (device, mut under, known): (Identity, Under, &'static [waivers::Waiver]) = match dut {
            Device::Model(target) => {
                let body = if target == Target::Adapter { "adapter" } else { "software" };
                let identity = format!("vnic {}, {body}", env!("CARGO_PKG_VERSION"));
                let device = Identity { dut: format!("model:{body}"), identity, version: String::new(), profile };
                (device, Under::Ours(target), &[])
            }
            Device::Qemu(command) => {
                let first = start(&command).map_err(Trouble::Device)?;
                let about = first.about().clone();
                let device =
                    Identity { dut: about.name, identity: about.identity, version: about.version, profile: &QEMU };
                let make = move || Ok(Box::new(start(&command)?) as Box<dyn Dut>);
                (device, Under::Theirs(Box::new(make)), waivers::qemu())
            }
        };
        let progress = progress();
        let report = run(device, &mut under, &choice, known, &mut |done, total| {
            progress.set_length(total);
            progress.set_position(done);
        });
        progress.finish_and_clear();
        if let Some(path) = junit {
            let written = junit::xml(&report).map_err(std::io::Error::other).and_then(|xml| std::fs::write(&path, xml));
            let file = || path.display().to_string();
            written.map_err(|error| Trouble::Write { file: file(), kind: error.kind() })?;
        }
        if json {
            out.json(&report.document())?;
        } else {
            out.text(&text(&report, all))?;
        }
        Ok(report.holds().into())
    }
}

/// A fresh QEMU with the address that the cases know.
fn start(command: &[String]) -> Result<Qemu, golden::dut::Trouble> {
    Qemu::with(command, Options { mac: PERMANENT, ..Options::default() })
}

/// A bar on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("conform {wide_bar} {pos} of {len} cases");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The report as text, the one-line verdict last.
fn text(report: &Report, all: bool) -> String {
    let mut text =
        format!("{}: {}, expected to be {}\n", report.device.dut, report.device.identity, report.device.profile.name);
    let mut section = |heading: &str, body: &str| {
        if !body.is_empty() {
            let _ = write!(text, "\n{heading}\n{}", indented(body));
        }
    };
    if all {
        let row = |row: &crate::conform::Row| {
            [row.case.id.to_string(), row.verdict.name().into(), row.case.clauses.join(" ")]
        };
        section("cases", &lines(&report.rows.iter().map(row).collect::<Vec<_>>()));
    }
    section("skipped, and why", &skipped(report));
    section("waived", &told(report, |verdict| matches!(verdict, Verdict::Waived(_))));
    section("waivers that are out of date", &report.stale.iter().map(|line| format!("{line}\n")).collect::<String>());
    section("what does not hold", &told(report, |verdict| !verdict.is_good()));
    let exercised = report.tally.iter().filter(|(_, premises, _)| *premises > 0).count() as u64;
    let verdicts = ["holds", "waived", "skipped", "fails", "unexpected", "ended"];
    let counts: Vec<_> = verdicts.iter().map(|name| format!("{} {name}", report.count(name))).collect();
    let _ = writeln!(
        text,
        "\n{}: {} over {}: {}, {} stale",
        if report.holds() { "holds" } else { "does not hold" },
        count(report.rows.len() as u64, "case", "cases"),
        count(exercised, "clause", "clauses"),
        counts.join(", "),
        count(report.stale.len() as u64, "waiver", "waivers"),
    );
    text
}

/// Cases with their details, a block each.
fn told(report: &Report, which: impl Fn(&Verdict) -> bool) -> String {
    let mut text = String::new();
    for row in report.rows.iter().filter(|row| which(&row.verdict)) {
        let details: String = row.verdict.details().iter().map(|line| format!("{line}\n")).collect();
        let _ = write!(text, "{}: {}\n{}", row.case.id, row.verdict.name(), indented(&details));
        if let Verdict::Ended(ended) = &row.verdict {
            text += &indented(&indented(&tail(&ended.script)));
        }
    }
    text
}

/// The last lines of a script.
fn tail(script: &str) -> String {
    const LINES: usize = 12;
    let all: Vec<_> = script.lines().collect();
    all[all.len().saturating_sub(LINES)..].iter().map(|line| format!("{line}\n")).collect()
}

/// Reasons with the cases that have them.
fn skipped(report: &Report) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in &report.rows {
        if let Verdict::Skipped(reason) = &row.verdict {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, cases)) => cases.push(row.case.id),
                None => reasons.push((reason, vec![row.case.id])),
            }
        }
    }
    let line = |(reason, cases): &(&str, Vec<&str>)| {
        format!("{}, because {reason}:\n{}", count(cases.len() as u64, "case", "cases"), indented(&cases.join("\n")))
    };
    reasons.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        assert_eq!("model:adapter".parse(), Ok(Device::Model(Target::Adapter)));
        assert_eq!("qemu:chroot /lab q".parse(), Ok(Device::Qemu(["chroot", "/lab", "q"].map(String::from).to_vec())));
        for wrong in ["", "model", "model:vic", "qemu:", "qemu: ", "software"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(shard("2/3"), Ok((2, 3)));
        for wrong in ["0/3", "4/3", "1", "/", "1/0", "a/b", "-1/2"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
