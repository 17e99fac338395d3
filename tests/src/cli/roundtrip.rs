//! `roundtrip`: a recorded state, or that of a QEMU that runs, into the software body, onto the adapter, and back; then traffic goes on.

use super::{Answer, Out, Run, Trouble};
use golden::import::Capture;
use golden::roundtrip::{keep, live, roundtrip};
use serde::Serialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `roundtrip`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the capture: its migration stream and memory, and what else there is
    #[arg(required_unless_present = "live", conflicts_with = "live")]
    capture: Option<PathBuf>,
    /// Take the state from a device that runs, and give it back: qemu, or qemu:COMMAND
    #[arg(long, value_name = "DEVICE")]
    live: Option<Live>,
    /// With --live: keep the machine as it was saved at each stop, as captures stop-1 and stop-2 in FOLDER
    #[arg(long, value_name = "FOLDER", requires = "live", conflicts_with = "capture")]
    keep: Option<PathBuf>,
    /// Print the report as JSON, by the schema in tests/schema/roundtrip-1.json, or roundtrip-live-1.json with --live
    #[arg(long)]
    json: bool,
}

/// A QEMU by the words that start it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Live(Vec<String>);

impl FromStr for Live {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let command = match text.split_once(':') {
            None if text == "qemu" => "qemu-system-x86_64",
            Some(("qemu", command)) if !command.trim().is_empty() => command,
            _ => return Err("it is none of qemu, qemu:COMMAND"),
        };
        Ok(Self(command.split_whitespace().map(String::from).collect()))
    }
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        if let Some(Live(command)) = self.live {
            let (report, stops) = live(&command)?;
            if let Some(folder) = self.keep {
                for (at, saved) in (1..).zip(&stops) {
                    let folder = folder.join(format!("stop-{at}"));
                    let file = || folder.display().to_string();
                    keep(saved, &folder).map_err(|error| Trouble::Write { file: file(), kind: error.kind() })?;
                }
            }
            return tell(report.holds(), &report, self.json, out);
        }
        // One of the two is required.
        let report = roundtrip(&Capture::open(&self.capture.unwrap_or_default())?)?;
        tell(report.holds(), &report, self.json, out)
    }
}

/// Prints a report.
fn tell<R: Serialize + std::fmt::Display>(
    holds: bool,
    report: &R,
    json: bool,
    out: &mut Out<'_>,
) -> Result<Answer, Trouble> {
    if json {
        out.json(&Report { schema: 1, holds, report })?;
    } else {
        out.text(&format!("{report}\n"))?;
    }
    Ok(holds.into())
}

/// A round trip as JSON.
#[derive(Serialize)]
struct Report<'r, R> {
    /// Version of this report's schema.
    schema: u32,
    /// Whether nothing changed and nothing was lost.
    holds: bool,
    #[serde(flatten)]
    report: &'r R,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        assert_eq!("qemu".parse(), Ok(Live(vec!["qemu-system-x86_64".into()])));
        assert_eq!("qemu:chroot /lab q".parse(), Ok(Live(["chroot", "/lab", "q"].map(String::from).to_vec())));
        for wrong in ["", "qemu:", "qemu: ", "model:software", "golden/dumps"] {
            assert!(wrong.parse::<Live>().is_err(), "{wrong}");
        }
    }
}
