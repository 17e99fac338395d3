//! `record`, `replay`, `show`, `diff` and `lint` on traces.

use crate::schema::{Schema, fits};
use crate::{prints, recorded, vnic, workspace};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const DEVICES: [&str; 3] = ["software", "adapter", "switching"];

fn committed(device: &str) -> String {
    format!("golden/traces/scripted/{device}.trace")
}

/// A trace that differs from the committed one in the generation of its first completion, and the number of that line.
fn changed() -> (String, usize) {
    let text = fs::read_to_string(workspace().join(committed("switching"))).expect("the trace is committed");
    let at = text.lines().position(|line| line.starts_with("< publish")).expect("something was completed");
    let lines = text.lines().enumerate().map(|(i, line)| match line.strip_suffix("80") {
        Some(rest) if i == at => format!("{rest}00\n"),
        _ => format!("{line}\n"),
    });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed.trace");
    fs::write(&path, lines.collect::<String>()).expect("the folder for tests is writable");
    (path.display().to_string(), at + 1)
}

#[test]
fn a_run_recorded_again_is_the_committed_trace() {
    for device in DEVICES {
        let again = prints(&["record", "--device", device, "--seed", "1"]);
        let kept = fs::read_to_string(workspace().join(committed(device))).expect("the trace is committed");
        assert!(again == kept, "{device}: `vnic record --device {device} --seed 1` gives another trace");
    }
}

#[test]
fn a_trace_replays_and_a_changed_one_is_told_by_line_and_field() {
    for device in DEVICES {
        assert!(prints(&["replay", &committed(device)]).ends_with("\nholds\n"));
    }
    let (path, line) = changed();
    let ran = vnic(&["replay", &path]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    assert!(ran.stdout.contains(&format!("{path}, line {line}, call ")), "{}", ran.stdout);
    assert!(ran.stdout.contains("gen: recorded 0, replayed 1\n"), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&vnic(&["replay", "--json", &path]).stdout).expect("a report is JSON");
    fits(&report, Schema::Trace);
    assert_eq!((&report["holds"], &report["divergence"]["line"]), (&false.into(), &line.into()));
    let report: Value = serde_json::from_str(&prints(&["replay", "--json", &committed("adapter")])).expect("JSON");
    fits(&report, Schema::Trace);
    assert_eq!(report["divergence"], Value::Null);
}

#[test]
fn a_trace_is_shown_and_compared_by_name() {
    let shown = prints(&["show", &committed("software")]);
    for wanted in ["> bar1.CMD <- ACTIVATE_DEV\n", "Vmxnet3_TxDesc", "{ eop: 1, sop: 1, cnc: 1, len: 64,", " effects\n"]
    {
        assert!(shown.contains(wanted), "{wanted}");
    }
    assert!(prints(&["diff", &committed("software"), &committed("software")]).ends_with(": same\n"));
    let ran = vnic(&["diff", &committed("switching"), &changed().0]);
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("gen: 1 }") && ran.stdout.ends_with(", 1 not: differs\n"), "{}", ran.stdout);
}

#[test]
fn what_is_no_trace_is_refused_by_place() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("damaged.trace");
    fs::write(&path, "vnic-trace 1\ndevice toaster\n").expect("the folder for tests is writable");
    let path = path.display().to_string();
    let ran = vnic(&["show", &path]);
    let expected = format!("vnic: {path}, line 2, column 8: expected software, adapter or switching\n");
    assert_eq!((ran.status, ran.stderr), (2, expected));
    assert_eq!(vnic(&["replay", &recorded("wire.pcap")]).status, 2);
    assert_eq!(vnic(&["lint", &recorded("wire.pcap")]).status, 2);
    assert_eq!(vnic(&["record", "--script", &recorded("lspci.txt")]).status, 2);
}

#[test]
fn rules_for_drivers_are_listed_and_judged() {
    let rules = prints(&["lint", "--rules"]);
    assert!(rules.contains("DRV-PKT-001") && rules.contains("DRV-REG-001"), "{rules}");
    for device in DEVICES {
        assert!(prints(&["lint", &committed(device)]).ends_with(" 0 findings: clean\n"));
    }
    let capture = "golden/dumps/linux-6.1-vmxnet3-qemu-11.1";
    let report: Value = serde_json::from_str(&prints(&["lint", "--json", capture])).expect("a report is JSON");
    fits(&report, Schema::Lint);
    assert_eq!(report["clean"], true);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("broken.log");
    let line = "memory_region_ops_write cpu 0 mr 0x5 addr 0xfebd4038 value 0x1 size 4 name 'vmxnet3-b1'\n";
    fs::write(&path, line).expect("the folder for tests is writable");
    let path = path.display().to_string();
    assert_eq!(vnic(&["lint", &path]).status, 1);
    let report: Value = serde_json::from_str(&vnic(&["lint", "--json", &path]).stdout).expect("a report is JSON");
    fits(&report, Schema::Lint);
    assert_eq!(report["findings"][0]["rule"], "DRV-REG-005");
}
