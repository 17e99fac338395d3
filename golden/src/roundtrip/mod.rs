//! Round trip: a recorded state into the software body, onto the adapter, and back; then traffic goes on.
//!
//! Between two bodies go saved bytes and guest memory, nothing else, and each body is a fresh object. First the state alone
//! makes the trip and is compared byte by byte, and field by field when written out again as the section of the stream.
//! Then the driver goes on (`flight`): with packets and frames under way the adapter is stopped after every number of
//! steps, and everything must arrive exactly once and in order, in software and on another adapter alike.
//!
//! [`live`](fn@live) does it with a device that runs.

mod adopt;
mod driver;
mod flight;
mod hardware;
mod live;
mod section;

use crate::consistency;
use crate::import::{Capture, ImportError, Rule};
use crate::replay::space::Space;
use adopt::{Adopted, adopt};
use hardware::{Hardware, PROFILE, through_bytes};
pub use live::{LiveReport, Unsaved, keep, live};
use model::host::Bare;
use model::migrate::Canon;
use model::vmxnet3::body::Body;
use serde::Serialize;
use std::fmt;

/// What a round trip came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoundtripReport {
    /// TX and RX queues.
    pub queues: (usize, usize),
    /// Fields of the stream that guest memory confirms.
    pub confirmed: usize,
    /// Bytes of the saved state between two bodies.
    pub saved_bytes: usize,
    /// Moves that gave back the very bytes.
    pub equal_moves: usize,
    /// Fields written out again into the section, and the section's bytes.
    pub section: (usize, usize),
    /// Steps after which the adapter was stopped with work under way, all orders of steps together.
    pub positions: usize,
    /// Moves made with work under way.
    pub moves: usize,
    /// Packets sent and frames delivered in these, counted once each time they had to be.
    pub packets: usize,
    /// Frames delivered.
    pub frames: usize,
    /// What the stream lacks and where it came from.
    pub from_elsewhere: Vec<String>,
    /// What the recording does not say and the trip took for granted.
    pub assumptions: Vec<String>,
    /// Whatever changed, was lost, doubled or reordered.
    pub failures: Vec<String>,
}

impl RoundtripReport {
    /// Nothing changed and nothing was lost.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for RoundtripReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "queues     {} tx, {} rx", self.queues.0, self.queues.1)?;
        writeln!(f, "consistent {} fields confirmed by guest memory", self.confirmed)?;
        writeln!(f, "state      {} bytes, equal after {} moves", self.saved_bytes, self.equal_moves)?;
        writeln!(f, "section    {} fields written again, {} bytes equal", self.section.0, self.section.1)?;
        writeln!(f, "in flight  {} positions of the adapter, {} moves", self.positions, self.moves)?;
        writeln!(
            f,
            "traffic    {} packets sent and {} frames delivered, once and in order",
            self.packets, self.frames
        )?;
        for line in &self.from_elsewhere {
            writeln!(f, "elsewhere  {line}")?;
        }
        for line in &self.assumptions {
            writeln!(f, "assumed    {line}")?;
        }
        for line in &self.failures {
            writeln!(f, "FAILED     {line}")?;
        }
        write!(f, "verdict    {}", if self.holds() { "nothing changed" } else { "not lossless" })
    }
}

/// Sends a recorded state through both bodies.
///
/// # Errors
/// When the state contradicts the memory that it was saved with, or was saved while inactive.
pub fn roundtrip(capture: &Capture) -> Result<RoundtripReport, ImportError> {
    let stream = &capture.stream;
    if !stream.device_active {
        let offset = stream.tree.get("device_active").map_or(0, |node| node.offset);
        let rule = Rule::Says("there is no state of a data path to move");
        return Err(ImportError::value("migration-stream.bin", offset, "device_active", 0, rule));
    }
    let consistent = consistency::check(capture)?;
    let view = consistency::shared_area(capture)?;
    let Adopted { canon, from_elsewhere } = adopt(capture, &view);
    let mut report = RoundtripReport {
        queues: (canon.activation.tx.len(), canon.activation.rx.len()),
        confirmed: consistent.confirmed.len(),
        saved_bytes: 0,
        equal_moves: 0,
        section: (0, 0),
        positions: 0,
        moves: 0,
        packets: 0,
        frames: 0,
        from_elsewhere,
        assumptions: Vec::new(),
        failures: Vec::new(),
    };
    if let Err(problem) = bare_trip(capture, &canon, &mut report) {
        report.failures.push(problem);
        return Ok(report);
    }
    if let Err(problem) = flight::fly(capture, &canon, &mut report) {
        report.failures.push(problem);
    }
    Ok(report)
}

/// The state alone: software, adapter, software, each from the bytes of the one before.
fn bare_trip(capture: &Capture, canon: &Canon, report: &mut RoundtripReport) -> Result<(), String> {
    let (first, canon) = through_bytes(canon)?;
    report.saved_bytes = first.len();
    let memory = Space::beside(&capture.memory, 0).memory(&capture.memory);
    let mut host = Bare::new(memory.clone());
    // With a wire that takes nothing, what is posted stays posted.
    host.busy = true;
    let in_software = in_software(&canon)?;
    let (bytes, canon) = through_bytes(&in_software)?;
    same(&first, &bytes, "software body", capture, &in_software, report)?;
    let hardware = Hardware::enter(canon, &mut host)?;
    let (on_adapter, held) = hardware.leave(&mut host)?;
    if !held.is_empty() || host.memory != memory {
        return Err("the adapter wrote to guest memory".into());
    }
    let (bytes, canon) = through_bytes(&on_adapter)?;
    same(&first, &bytes, "adapter", capture, &on_adapter, report)?;
    let back = crate::roundtrip::in_software(&canon)?;
    let (bytes, canon) = through_bytes(&back)?;
    same(&first, &bytes, "software body again", capture, &canon, report)
}

fn in_software(canon: &Canon) -> Result<Canon, String> {
    let body = Body::resume(PROFILE, &canon.activation, &canon.progress);
    let progress = body.progress().map_err(|error| error.to_string())?;
    let activation = body.activation().cloned().ok_or("the software body is not active")?;
    Ok(Canon { activation, progress })
}

fn same(
    first: &[u8],
    bytes: &[u8],
    place: &str,
    capture: &Capture,
    canon: &Canon,
    report: &mut RoundtripReport,
) -> Result<(), String> {
    let written = section::write(&capture.stream, canon);
    if let Some(field) = written.different.first() {
        return Err(format!("{place}: {field} changed"));
    }
    if first != bytes {
        return Err(format!("{place}: the saved bytes changed"));
    }
    report.equal_moves += 1;
    report.section = (written.fields, written.bytes);
    Ok(())
}
