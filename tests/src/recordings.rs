//! The recordings that `verify` holds the models against: built into the program, so that it needs no folder.

use crate::verify::RecordingRow;
use golden::dump::Dump;
use golden::import::{Capture, ImportError};
use golden::{replay, roundtrip, trace};
use spec::profile::Profile;

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        vec![$(($name.to_string(), include_bytes!(concat!("../../golden/dumps/", $folder, "/", $name)).to_vec())),*]
    };
}

/// Linux 6.1 on QEMU 11.1's own device.
fn linux_on_qemu() -> Result<Capture, ImportError> {
    let files = files!("linux-6.1-vmxnet3-qemu-11.1":
        "migration-stream.bin.gz", "qemu-trace.log", "wire.pcap", "lspci.txt", "ethtool-d.regs-down.raw",
        "ethtool-d.regs-up.raw", "ethtool-d.regs-wrapped.raw",
    );
    let memory = files!("linux-6.1-vmxnet3-qemu-11.1/memory":
        "index.txt", "0x2a5b000.bin", "0x2a5f000.bin", "0x2a65000.bin", "0x2a98000.bin", "0x2a9c000.bin",
        "0xf420000.bin", "0xf448000.bin",
    );
    Capture::from_parts("linux-6.1-vmxnet3-qemu-11.1", &files, &memory)
}

macro_rules! traces {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../golden/traces/", $name)).as_slice())),*]
    };
}

/// Traces in our own format, by their names in `golden/traces`: the modelled driver on each device, and of the real ones enough
/// that every body, path and source is there. `cargo test --test recordings` replays them all.
const TRACES: &[(&str, &[u8])] = traces!(
    "scripted/software.trace",
    "scripted/adapter.trace",
    "scripted/switching.trace",
    "linux-6.1/software-trapped.trace.gz",
    "linux-6.1/switching-direct.trace.gz",
    "linux-6.12/adapter-direct.trace.gz",
    "linux-7.3/adapter-trapped.trace.gz",
    "linux-7.3/switching-trapped.trace.gz",
    "ipxe/software-trapped.trace.gz",
);

/// Makes the calls of a trace again.
fn again(name: &str, bytes: &[u8]) -> RecordingRow {
    let mut row = RecordingRow { name: name.into(), reads: 0, deviations: Vec::new(), failures: Vec::new() };
    let trace = match Dump::read(name, bytes) {
        Ok(Dump::Recording(recording)) => recording.trace,
        Ok(other) => {
            row.failures.push(format!("{name} is no trace but {}", other.kind()));
            return row;
        }
        Err(refused) => {
            row.failures.push(refused.to_string());
            return row;
        }
    };
    row.reads = trace.steps.iter().filter(|step| step.answer.value().is_some()).count() as u64;
    match trace::replay(&trace) {
        Ok(replayed) => {
            row.failures.extend(replayed.divergence.as_ref().map(ToString::to_string));
            row.failures.extend(replayed.violations());
        }
        Err(refused) => row.failures.push(refused.to_string()),
    }
    row
}

/// Replays every recording, and sends the saved state of a capture there and back.
pub fn all() -> Vec<RecordingRow> {
    let name = "linux-6.1-vmxnet3-qemu-11.1".to_string();
    let mut row = RecordingRow { name, reads: 0, deviations: Vec::new(), failures: Vec::new() };
    match linux_on_qemu().and_then(|capture| judge(&capture, &mut row)) {
        Ok(()) => {}
        Err(refused) => row.failures.push(refused.to_string()),
    }
    let mut rows = vec![row];
    rows.extend(TRACES.iter().map(|(name, bytes)| again(name, bytes)));
    rows
}

fn judge(capture: &Capture, row: &mut RecordingRow) -> Result<(), ImportError> {
    let replayed = replay::replay(capture, &Profile::QEMU_11_1)?;
    row.reads = replayed.predicted as u64;
    row.deviations = replayed.deviations.clone();
    row.failures.extend(replayed.failures);
    let trip = roundtrip::roundtrip(capture)?;
    row.failures.extend(trip.failures);
    Ok(())
}
