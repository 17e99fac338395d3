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

#[test]
fn a_device_whose_guests_no_adapter_takes_is_refused_once_by_code() {
    for words in [&["conform", "--dut", "model:adapter"][..], &["verify"]] {
        let ran = vnic(&[words, &["--profile", "reference+v9+intx"]].concat());
        assert_eq!((ran.status, &*ran.stdout), (2, ""), "{words:?}");
        let sentence = "vnic: no guest of profile reference+v9+intx enters hardware (code 1): the guest uses INTx";
        assert_eq!(ran.stderr.trim_end(), sentence);
    }
    let ran = vnic(&["conform", "--dut", "model:software", "--profile", "reference+msi"]);
    assert_eq!(ran.status, 2);
    assert_eq!(
        ran.stderr.trim_end(),
        "vnic: the guests of the cases use MSI-X, which a device of profile reference+msi has not"
    );
}

#[test]
fn another_seed_is_another_order_and_the_same_verdicts() {
    let of = |seed: &str| report(&["--dut", "model:software", "--filter", "VMX-REG", "--seed", seed]);
    let (one, other) = (of("1"), of("77"));
    assert_eq!((&one["seed"], &other["seed"]), (&1.into(), &77.into()));
    assert_eq!(verdicts(&one).collect::<Vec<_>>(), verdicts(&other).collect::<Vec<_>>());
}

#[test]
fn the_page_has_every_device_and_needs_nothing_else() {
    let at = |name: &str| std::env::temp_dir().join(format!("vnic-{name}-{}", std::process::id()));
    let (json, html) = (at("adapter.json"), at("page.html"));
    let words = ["conform", "--dut", "model:adapter", "--filter", "VMX-REG", "--json"];
    std::fs::write(&json, vnic(&words).stdout).expect("the folder is writable");
    let words = ["conform", "--dut", "model:software", "--filter", "VMX-REG", "--seed", "5", "--html"];
    let (page, with) = (html.to_str().expect("a name"), json.to_str().expect("a name"));
    let ran = vnic(&[&words[..], &[page, "--with", with]].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let text = std::fs::read_to_string(&html).expect("a page");
    for wanted in ["<td>software", "<td>adapter", "seed 5", "seed 1", "VMX-REG-001", "at the freeze", "vmxnet3_defs.h"]
    {
        assert!(text.contains(wanted), "{wanted}");
    }
    let ran = vnic(&[&words[..], &[page, "--with", page]].concat());
    assert_eq!((ran.status, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
    std::fs::remove_file(&json).and_then(|()| std::fs::remove_file(&html)).expect("they were there");
}

#[test]
fn the_record_of_devices_is_made_from_reports() {
    let json = std::env::temp_dir().join(format!("vnic-seen-{}.json", std::process::id()));
    let words = ["conform", "--dut", "model:adapter", "--filter", "VMX-REG", "--json"];
    std::fs::write(&json, vnic(&words).stdout).expect("the folder is writable");
    let ran = vnic(&["list", "--seen", json.to_str().expect("a name")]);
    std::fs::remove_file(&json).expect("it was there");
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    let record: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let devices = record["devices"].as_array().expect("devices");
    let adapter = devices.iter().find(|row| row["device"] == "adapter").expect("the adapter");
    assert!(!adapter["holds"].as_array().expect("names").is_empty());
}

#[test]
#[cfg(not(feature = "mutants"))]
fn a_bug_is_planted_where_there_are_bugs() {
    let ran = vnic(&["conform", "--dut", "model:software", "--mutant", "sw-rx-rqid"]);
    assert_eq!((ran.status, ran.stderr.contains("no planted bugs")), (2, true), "{}", ran.stderr);
}

/// A planted bug leaves files behind that show it again, each by the one command that was printed.
#[test]
#[cfg(feature = "mutants")]
fn a_failing_case_is_a_file_that_replay_shows_again() {
    let folder = std::env::temp_dir().join(format!("vnic-failures-{}", std::process::id()));
    let words = ["conform", "--dut", "model:software", "--mutant", "sw-rx-rqid", "--failures"];
    let ran = vnic(&[&words[..], &[folder.to_str().expect("a name")]].concat());
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let commands: Vec<_> = ran.stdout.lines().filter_map(|line| line.split_once("vnic replay ")).collect();
    assert!(!commands.is_empty(), "{}", ran.stdout);
    for (case, file) in commands {
        let again = vnic(&["replay", file]);
        assert_eq!(again.status, 1, "{file}: {}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains(&format!(": case {}", case.trim())), "{}", again.stdout);
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}
