//! What a replay found, for people and for programs.

use serde::Serialize;
use std::fmt;

/// A field of the saved section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the section.
    pub name: String,
    /// What the replayed device would save.
    pub replayed: u64,
    /// What was saved.
    pub recorded: u64,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Name of the profile.
    pub profile: &'static str,
    /// Register accesses in the log.
    pub accesses: usize,
    /// Reads among them.
    pub reads: usize,
    /// Reads whose value was predicted.
    pub predicted: usize,
    /// Frames that the reconstructed guest sent, one a doorbell.
    pub frames_sent: usize,
    /// Frames that arrived.
    pub frames_received: usize,
    /// Register dumps whose positions the guest was held against, at the place in the log that they fit.
    pub dumps: Vec<String>,
    /// Choices of the profile without which something in the recording could not be predicted.
    pub deviations: Vec<&'static str>,
    /// Line of the last access before the hold; none when the device is nowhere in a state that could have been saved.
    pub hold_line: Option<usize>,
    /// Every field that was compared at the hold.
    pub fields: Vec<Field>,
    /// What the section lacks and the log or a dump tells: name and value.
    pub from_log: Vec<(&'static str, String)>,
    /// Cells of rings in guest memory that were compared at the hold.
    pub cells: usize,
    /// Everything that was not predicted; the first of each kind, with a count.
    pub failures: Vec<String>,
    /// What the recording does not say and the replay took for granted.
    pub assumptions: Vec<String>,
}

impl ReplayReport {
    /// Everything was predicted.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }

    /// Fields that differ.
    pub fn different(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.replayed != field.recorded)
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "profile    {}", self.profile)?;
        writeln!(f, "accesses   {} of which {} reads, {} predicted", self.accesses, self.reads, self.predicted)?;
        writeln!(f, "frames     {} sent, {} received", self.frames_sent, self.frames_received)?;
        for dump in &self.dumps {
            writeln!(f, "dump       {dump}: the driver's positions compared")?;
        }
        match self.hold_line {
            Some(line) => writeln!(f, "hold       after line {line}")?,
            None => writeln!(f, "hold       not found")?,
        }
        let equal = self.fields.len() - self.different().count();
        writeln!(f, "state      {equal} of {} fields equal", self.fields.len())?;
        for Field { name, replayed, recorded } in &self.fields {
            if replayed != recorded || *recorded != 0 {
                let mark = if replayed == recorded { "=" } else { "differs: replayed" };
                let other = if replayed == recorded { String::new() } else { format!(" {replayed} ({replayed:#x})") };
                writeln!(f, "  {name:<44} {recorded} ({recorded:#x}) {mark}{other}")?;
            }
        }
        for (name, value) in &self.from_log {
            writeln!(f, "  {name:<44} {value} (not in the stream: from the log and the dumps)")?;
        }
        writeln!(f, "rings      {} cells compared", self.cells)?;
        for deviation in &self.deviations {
            writeln!(f, "relies on  {deviation}")?;
        }
        for assumption in &self.assumptions {
            writeln!(f, "assumed    {assumption}")?;
        }
        for failure in &self.failures {
            writeln!(f, "FAILED     {failure}")?;
        }
        write!(f, "verdict    {}", if self.holds() { "everything predicted" } else { "not predicted" })
    }
}
