//! What a failing case leaves behind: its conversation as a file that `vnic replay` holds again, or that a foreign device is given.

use super::{Identity, Report};
use crate::case::{Failure, Subject, Target, Terms, all, run_on};
use crate::rig::Conversation;
use golden::dump::Recording;
use golden::trace::{Device, Trace};
use model::mutant::Planted;
use std::io;
use std::path::{Path, PathBuf};

/// Lines of a conversation that are told before its first claim that did not hold.
const MOST_LINES: usize = 400;

/// The conversation by field names, up to the first claim that did not hold.
pub fn told(conversation: &Conversation) -> Vec<String> {
    let recording = Recording { file: String::new(), trace: conversation.trace.clone() };
    // What cannot be followed is a conversation of more memory than a case has.
    let mut lines = golden::show::lines(&recording).unwrap_or_default();
    if let Some(first) = lines.iter().position(|line| line.starts_with('!')) {
        lines.truncate(first + 1);
    }
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.drain(..more);
        lines.insert(0, format!("({more} lines before)"));
    }
    lines
}

/// A file that was left behind, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The case.
    pub case: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The command that shows the failure again.
    pub command: String,
}

/// The call of `conform` that runs one case again.
fn origin(report: &Report, case: &str) -> String {
    let Identity { call, profile, mutant, .. } = &report.device;
    let mutant = mutant.map_or_else(String::new, |mutant| format!(" --mutant {}", mutant.row().1));
    format!("vnic conform --dut {call} --profile {} --seed {} --filter {case}{mutant}", profile.name, report.seed)
}

/// Writes files for each failing case, its conversation and, of somebody else's device, its requests in the device's own words, into `folder`, which is made where there is something to write.
///
/// # Errors
/// What the file system says.
pub fn write(report: &Report, folder: &Path) -> io::Result<Vec<Left>> {
    let mut left = Vec::new();
    for row in report.rows.iter().filter(|row| !row.verdict.is_good()) {
        let case = row.case.id;
        let at = |extension: &str| folder.join(format!("{case}.{extension}"));
        let conversation = row.conversation.as_ref().map(|Conversation { trace, whole }| {
            let mut trace = trace.clone();
            trace.header.origin = origin(report, case);
            trace.header.mutant = report.device.mutant;
            trace.header.partial = (!whole).then_some(report.seed);
            let file = at("trace");
            let mut command = format!("vnic replay {}", file.display());
            if !trace.header.outside.is_empty() {
                command += &format!(" --dut {}", report.device.call);
            }
            (file, trace.print(), command)
        });
        let script = (!row.script.is_empty()).then(|| {
            let file = at(if row.script.starts_with('{') { "jsonl" } else { "qtest" });
            let command = format!("by {}: {}", file.display(), origin(report, case));
            (file, row.script.clone().into_bytes(), command)
        });
        for (file, bytes, command) in conversation.into_iter().chain(script) {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&file, bytes)?;
            left.push(Left { case, file, command });
        }
    }
    Ok(left)
}

/// Holds the case of a trace again, whose calls cannot be made again; `None` when no case has its name.
pub fn again(trace: &Trace, planted: Planted) -> Option<Vec<Failure>> {
    let header = &trace.header;
    let case = all().find(|case| case.id == header.case)?;
    let target = if header.device == Device::Software { Target::Software } else { Target::Adapter };
    let seed = header.partial.unwrap_or(crate::case::SEED);
    let terms = Terms { profile: header.profile, device: header.profile, planted, seed, record: false };
    // A case that moves the device has both bodies.
    let both = case.needs.contains(&crate::case::Need::Moves);
    let outcome = run_on(case, &terms, Subject::Ours(if both { Target::Both } else { target }));
    Some(outcome.failures)
}
