//! `conform`: the suite against a device, ours or somebody else's.

use super::table::{count, indented, lines};
use super::{Answer, Out, Run, Trouble};
use crate::case::{SEED, Target};
use crate::conform::document::Document;
use crate::conform::failures::{self, Left};
use crate::conform::{Choice, Identity, Report, Settings, Under, Verdict, html, junit, run, waivers};
use crate::rig::PERMANENT;
use crate::source::Source;
use golden::dut::{Dut, Options, Place, Program, Socket, Starts, VfioUser};
use golden::import::capture::read_file;
use golden::trace::{Trace, model_outside};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::mutant::{Mutant, Planted};
use spec::profile::Profile;
use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Arguments of `conform`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device under test: model:software, model:adapter, qemu, qemu:COMMAND, process:COMMAND, a program that speaks JSON lines
    /// by the schema in tests/schema/dut-1.json, or vfio-user:SOCKET[,wire=PATH][,control=PATH][,quiet=MS]
    #[arg(long, value_name = "DEVICE")]
    dut: Named,
    /// What one of our models is built as, or a program is expected to be; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = super::verify::profile, default_value = Profile::REFERENCE.name)]
    profile: &'static Profile,
    /// Only cases whose name, or one of whose clauses, holds WORD; repeatable
    #[arg(long, value_name = "WORD")]
    filter: Vec<String>,
    /// Only part K of N; a case belongs to one part for ever, by its name
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(u32, u32)>,
    /// Order of the cases, contents of memory that nobody has written, payloads
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// Plant a bug in one of our models, to see that it is found; `vnic list --mutants` names them
    #[arg(long, value_name = "NAME", value_parser = super::verify::mutant)]
    mutant: Option<Mutant>,
    /// What is known of the device and not new, by golden/waivers/README.md; QEMU's is built in
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// Every case with its verdict, not only those that want a look
    #[arg(long)]
    all: bool,
    /// Print the report as JSON, by the schema in tests/schema/conform-1.json
    #[arg(long)]
    json: bool,
    /// Write the report as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the report as one self-contained page too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// On the page, another device beside this one: a report that `--json` has written; repeatable
    #[arg(long, value_name = "FILE", requires = "html")]
    with: Vec<PathBuf>,
    /// Where the conversation of each failing case goes
    #[arg(long, value_name = "FOLDER", default_value = "failure")]
    failures: PathBuf,
}

/// A device with the word that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    word: String,
    device: Device,
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(Self { word: word.into(), device: word.parse()? })
    }
}

impl Named {
    /// The word as a shell takes it.
    fn quoted(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
        if self.word.chars().all(plain) { self.word.clone() } else { format!("'{}'", self.word.replace('\'', "'\\''")) }
    }

    /// A fresh device of somebody else's, or our own in software, on which the conversation of `trace` can be held.
    pub(super) fn outside(self, trace: &Trace) -> Result<Box<dyn Dut>, Trouble> {
        match find(self, trace.header.profile, None)?.1 {
            Under::Theirs(mut source) => Ok(source.device()?),
            Under::Ours(Target::Software) => Ok(Box::new(model_outside(trace).map_err(Trouble::Outside)?)),
            Under::Ours(_) => Err(Trouble::OutsideAdapter),
        }
    }
}

/// A device as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Device {
    Model(Target),
    Qemu(Vec<String>),
    Process(Vec<String>),
    VfioUser(Place),
}

impl FromStr for Device {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = |command: &str| command.split_whitespace().map(String::from).collect::<Vec<_>>();
        match text.split_once(':') {
            Some(("model", "software")) => Ok(Self::Model(Target::Software)),
            Some(("model", "adapter")) => Ok(Self::Model(Target::Adapter)),
            None if text == "qemu" => Ok(Self::Qemu(vec!["qemu-system-x86_64".into()])),
            Some(("qemu", command)) if !command.trim().is_empty() => Ok(Self::Qemu(words(command))),
            Some(("vfio-user", place)) => place.parse().map(Self::VfioUser),
            Some(("process", command)) if !command.trim().is_empty() => Ok(Self::Process(words(command))),
            _ => Err(
                "it is none of model:software, model:adapter, qemu, qemu:COMMAND, process:COMMAND, vfio-user:SOCKET",
            ),
        }
    }
}

fn shard(text: &str) -> Result<(u32, u32), &'static str> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    numbers.filter(|(part, of)| (1..=*of).contains(part)).ok_or("it is not K/N with K from 1 to N")
}

/// What QEMU's device is expected to be: the reference with the link speed and the sizes that QEMU gives it, which are choices and no
/// deviations.
const QEMU: Profile =
    Profile { link_up: Profile::QEMU_11_1.link_up, limits: Profile::QEMU_11_1.limits, ..Profile::REFERENCE };

/// A device that can be run, and what is known of it.
type Found = (Identity, Under<'static>, &'static [waivers::Waiver]);

/// The device of that name; `profile` is what it is expected to be where it does not matter to us.
fn find(dut: Named, profile: &'static Profile, mutant: Option<Mutant>) -> Result<Found, Trouble> {
    let call = dut.quoted();
    let body = |target| if target == Target::Adapter { "adapter" } else { "software" };
    Ok(match dut.device {
        Device::Model(target) => {
            let (dut, version) = (format!("model:{}", body(target)), String::new());
            let identity = format!("vnic {}, {}", env!("CARGO_PKG_VERSION"), body(target));
            (Identity { dut, call, identity, version, profile, mutant }, Under::Ours(target), &[])
        }
        Device::Qemu(command) => {
            // The address that the cases know.
            let mut starts = Starts::new(command, Options { mac: PERMANENT, ..Options::default() });
            let identity = identity(&starts.machine().map_err(Trouble::Device)?, call, &QEMU);
            let make = move || Ok(Box::new(starts.machine()?) as Box<dyn Dut>);
            (identity, Under::Theirs(Source::new(make)), waivers::qemu())
        }
        Device::VfioUser(place) => {
            let mut socket = Socket::new(place);
            let identity = identity(&served(&mut socket).map_err(Trouble::Device)?, call, profile);
            let make = move || Ok(Box::new(served(&mut socket)?) as Box<dyn Dut>);
            (identity, Under::Theirs(Source::new(make)), &[])
        }
        Device::Process(command) => {
            let first = Program::start(&command).map_err(Trouble::Device)?;
            let make = move || Ok(Box::new(Program::start(&command)?) as Box<dyn Dut>);
            (identity(&first, call, profile), Under::Theirs(Source::new(make)), &[])
        }
    })
}

fn identity(dut: &impl Dut, call: String, profile: &'static Profile) -> Identity {
    let about = dut.about().clone();
    Identity { dut: about.name, call, identity: about.identity, version: about.version, profile, mutant: None }
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let Self { dut, profile, filter, shard, seed, mutant, waivers, all, json, junit, html, with, failures } = self;
        let planted = planted(mutant, &dut.device)?;
        let others = with.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let given = waivers.map(|path| given(&path)).transpose()?;
        let (device, mut under, known) = find(dut, profile, mutant)?;
        let choice = Choice { filters: filter, shard };
        let settings = Settings { choice: &choice, waivers: given.unwrap_or(known), seed, planted };
        let progress = progress();
        let report = run(device, &mut under, &settings, &mut |done, total| {
            progress.set_length(total);
            progress.set_position(done);
        });
        progress.finish_and_clear();
        let report = report?;
        let left = failures::write(&report, &failures).map_err(|error| refused(&failures, &error))?;
        if let Some(path) = junit {
            let xml = junit::xml(&report).map_err(std::io::Error::other);
            let written = xml.and_then(|xml| std::fs::write(&path, xml));
            written.map_err(|error| refused(&path, &error))?;
        }
        let document = Document::from(&report);
        if let Some(path) = html {
            let devices: Vec<_> = std::iter::once(document.clone()).chain(others).collect();
            let page = html::page(&devices).map_err(std::io::Error::other);
            let written = page.and_then(|page| std::fs::write(&path, page));
            written.map_err(|error| refused(&path, &error))?;
        }
        if json {
            out.json(&document)?;
        } else {
            out.text(&text(&report, &left, all))?;
        }
        Ok(report.holds().into())
    }
}

/// The bug as it is planted, where this build and the device have one.
fn planted(mutant: Option<Mutant>, dut: &Device) -> Result<Planted, Trouble> {
    let Some(mutant) = mutant else { return Ok(Planted::NONE) };
    if !matches!(dut, Device::Model(_)) {
        return Err(Trouble::ForeignMutant);
    }
    plant(mutant)
}

#[cfg(feature = "mutants")]
pub(super) fn plant(mutant: Mutant) -> Result<Planted, Trouble> {
    Ok(Planted::some(mutant))
}

#[cfg(not(feature = "mutants"))]
pub(super) fn plant(mutant: Mutant) -> Result<Planted, Trouble> {
    Err(Trouble::NoMutants { name: mutant.row().1 })
}

fn refused(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::Write { file: path.display().to_string(), kind: error.kind() }
}

/// A report that was written before.
pub(super) fn read(path: &Path) -> Result<Document, Trouble> {
    let file = || path.display().to_string();
    let bytes = read_file(path)?;
    Document::read(&bytes).map_err(|error| Trouble::Report { file: file(), error })
}

/// Waivers of somebody else's device; they live as long as this process.
fn given(path: &Path) -> Result<&'static [waivers::Waiver], Trouble> {
    let bytes = read_file(path)?;
    let waivers: Vec<waivers::Waiver> = serde_json::from_slice(&bytes)
        .map_err(|error| Trouble::Report { file: path.display().to_string(), error: error.into() })?;
    Ok(Box::leak(waivers.into_boxed_slice()))
}

/// The device behind a socket, which has to have the address that the cases know.
fn served(socket: &mut Socket) -> Result<VfioUser, golden::dut::Trouble> {
    let device = socket.device()?;
    let shown = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    match device.about().mac {
        PERMANENT => Ok(device),
        other => Err(golden::dut::Trouble::Start(format!(
            "{}: its address is {}, and the cases know {}",
            socket.place().socket.display(),
            shown(other),
            shown(PERMANENT)
        ))),
    }
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
fn text(report: &Report, left: &[Left], all: bool) -> String {
    let Identity { dut, identity, profile, .. } = &report.device;
    let mut text = format!("{dut}: {identity}, expected to be {}, seed {}\n", profile.name, report.seed);
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
    let again = |left: &Left| [left.case.to_string(), left.command.clone()];
    section("to see it again", &lines(&left.iter().map(again).collect::<Vec<_>>()));
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
        assert_eq!("process:./d -v".parse(), Ok(Device::Process(["./d", "-v"].map(String::from).to_vec())));
        for wrong in ["", "model", "model:vic", "qemu:", "qemu: ", "process:", "software"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_is_told_as_a_shell_takes_it() {
        let quoted = |word: &str| word.parse::<Named>().unwrap().quoted();
        assert_eq!(quoted("vfio-user:/run/vu,quiet=7"), "vfio-user:/run/vu,quiet=7");
        assert_eq!(quoted("process:python3 it's.py"), "'process:python3 it'\\''s.py'");
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(shard("2/3"), Ok((2, 3)));
        for wrong in ["0/3", "4/3", "1", "/", "1/0", "a/b", "-1/2"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
