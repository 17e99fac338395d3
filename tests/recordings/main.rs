//! Every committed trace replays exactly and its monitors are clean; a planted divergence is found at its event, by field name.

mod planted;

use golden::import::capture::read_file;
use golden::trace::{Device, Trace, parse, replay};
use std::path::{Path, PathBuf};

/// The folder of all recordings.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").join("golden/traces")
}

/// Every committed trace by its path from the folder, unpacked.
fn traces() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for group in std::fs::read_dir(folder()).expect("the recordings are committed") {
        let group = group.expect("a readable folder").path();
        if !group.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&group).expect("a readable folder") {
            let path = file.expect("a readable folder").path();
            let name = path.display().to_string();
            if name.ends_with(".trace") || name.ends_with(".trace.gz") {
                let bytes = read_file(&path).unwrap_or_else(|error| panic!("{error}"));
                found.push((name, bytes));
            }
        }
    }
    found.sort();
    found
}

fn read(name: &str, text: &[u8]) -> Trace {
    parse(text).unwrap_or_else(|error| panic!("{name}, {error}"))
}

#[test]
fn every_trace_replays_exactly_and_breaks_no_clause() {
    let traces = traces();
    for device in [Device::Software, Device::Adapter, Device::Switching] {
        let of = |(name, text): &(String, Vec<u8>)| read(name, text).header.device == device;
        assert!(traces.iter().any(of), "no trace of {}", device.name());
    }
    for (name, text) in &traces {
        let trace = read(name, text);
        let replayed = replay(&trace).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(divergence) = &replayed.divergence {
            panic!("{name}, {divergence}");
        }
        assert_eq!(replayed.violations(), [""; 0], "{name}");
        assert_eq!(replayed.effects, trace.effects(), "{name}");
    }
}

#[test]
fn every_trace_says_where_it_comes_from_and_is_written_as_it_is_read() {
    for (name, text) in traces() {
        let trace = read(&name, &text);
        assert!(!trace.header.origin.is_empty() && !trace.header.kernel.is_empty(), "{name} has no origin");
        let again = trace.print();
        let plain = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).expect("a trace is text");
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end().to_string());
            lines.filter(|line| !line.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(plain(&again), plain(&text), "{name}");
    }
}
