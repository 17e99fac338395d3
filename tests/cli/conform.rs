//! `conform`: our own models pass, a choice of cases is a choice, and reports fit what readers of them expect.

use crate::schema::{Schema, fits};
use crate::vnic;
use serde_json::Value;
use std::collections::BTreeSet;

fn report(words: &[&str]) -> Value {
    let ran = vnic(&[&["conform", "--json"], words].concat());
    assert_eq!((ran.status, &*ran.stderr), (0, ""), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::Conform);
    report
}

fn verdicts(report: &Value) -> impl Iterator<Item = (&str, &str)> {
    let rows = report["cases"].as_array().expect("rows");
    rows.iter().map(|row| (row["case"].as_str().expect("a name"), row["verdict"].as_str().expect("a word")))
}

#[test]
fn both_bodies_pass_and_say_what_they_could_not_show() {
    for (dut, other) in [("model:software", "model:adapter"), ("model:adapter", "model:software")] {
        let report = report(&["--dut", dut]);
        assert!(verdicts(&report).all(|(_, verdict)| matches!(verdict, "holds" | "skipped")), "{report}");
        let held = verdicts(&report).filter(|(_, verdict)| *verdict == "holds").count();
        assert!(held * 3 > verdicts(&report).count() * 2, "{dut} shows most of it, {other} the rest");
    }
}

#[test]
fn parts_make_the_whole() {
    let names = |words: &[&str]| -> Vec<String> {
        let report = report(&[&["--dut", "model:software", "--filter", "VMX-TX"], words].concat());
        verdicts(&report).map(|(name, _)| name.to_string()).collect()
    };
    let whole = names(&[]);
    let parts: Vec<_> = ["1/2", "2/2"].iter().flat_map(|part| names(&["--shard", part])).collect();
    assert_eq!(parts.len(), whole.len());
    assert_eq!(parts.iter().collect::<BTreeSet<_>>(), whole.iter().collect());
}

#[test]
fn junit_has_a_test_case_for_each_case() {
    let path = std::env::temp_dir().join(format!("vnic-conform-{}.xml", std::process::id()));
    let words = ["conform", "--dut", "model:adapter", "--filter", "VMX-REG", "--junit"];
    let ran = vnic(&[&words[..], &[path.to_str().expect("a name")]].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let xml = std::fs::read_to_string(&path).expect("a report");
    std::fs::remove_file(&path).expect("it was there");
    let report = report(&["--dut", "model:adapter", "--filter", "VMX-REG"]);
    assert_eq!(xml.matches("<testcase ").count(), verdicts(&report).count());
}

#[test]
fn a_device_that_is_not_there_is_the_wrong_call() {
    for dut in ["qemu:/nonexistent/qemu", "model:vic", "printer"] {
        let ran = vnic(&["conform", "--dut", dut]);
        assert_eq!((ran.status, &*ran.stdout), (2, ""), "{dut}");
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}
