//! `conform --dut process:COMMAND`: a program that speaks JSON lines is judged as any other device.

use crate::schema::{Schema, fits};
use crate::vnic;
use golden::dut::{Dut, Ours, Program, serve_lines};
use serde_json::Value;
use spec::profile::Profile;
use std::collections::BTreeMap;
use vnic::conform::{Choice, Report};
use vnic::rig::PERMANENT;
use vnic::suite::{Options, run};

fn command() -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_vnic").into(), "answer".into()]
}

fn judged(dut: &mut impl Dut, filters: &[&str]) -> Report {
    let filters = filters.iter().map(ToString::to_string).collect();
    run(dut, &Options { choice: Choice { filters, shard: None }, ..Options::default() }).expect("a device")
}

fn verdicts(report: &Report) -> BTreeMap<&'static str, &'static str> {
    report.rows.iter().map(|row| (row.case.id, row.verdict.name())).collect()
}

#[test]
fn what_is_said_of_a_device_over_lines_is_what_is_said_of_it_in_process() {
    let filters = ["VMX-REG", "VMX-TX-0", "VMX-EVT"];
    let inside = judged(&mut Ours::new(&Profile::REFERENCE, PERMANENT), &filters);
    let over = judged(&mut Program::start(&command()).expect("it starts"), &filters);
    assert_eq!(verdicts(&over), verdicts(&inside));
    assert!(over.count("holds") > 20 && over.holds(), "{:?}", verdicts(&over));

    let dut = format!("process:{}", command().join(" "));
    let ran = vnic(&["conform", "--dut", &dut, "--filter", "VMX-REG", "--json"]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::Conform);
    for row in report["cases"].as_array().expect("rows") {
        assert_eq!(row["verdict"], verdicts(&inside)[row["case"].as_str().expect("a name")], "{row}");
    }
}

#[test]
fn lines_of_both_directions_fit_their_schema() {
    let mut program = Program::start(&command()).expect("it starts");
    judged(&mut program, &["link-", "VMX-EVT-001"]);
    program.bus_master(true).expect("it is ours");
    program.link(true).expect("it is ours");
    let mut asked = program.script();
    assert!(asked.starts_with('{'), "all of it was kept");
    asked += "{\"do\":\"load\",\"pa\":1,\"bytes\":65537}\n{\"do\":\"dance\"}\n";
    let mut answers = Vec::new();
    serve_lines(&mut Ours::new(&Profile::REFERENCE, PERMANENT), asked.as_bytes(), &mut answers).expect("bytes");
    let answers = String::from_utf8(answers).expect("text");
    assert_eq!(answers.lines().count(), asked.lines().count(), "one answer to a request");
    let mut words = std::collections::BTreeSet::new();
    for (ask, answer) in asked.lines().zip(answers.lines()) {
        let [ask, answer]: [Value; 2] = [ask, answer].map(|line| serde_json::from_str(line).expect("JSON"));
        fits(&answer, Schema::Dut);
        if ask["do"] == "dance" || ask["bytes"] == 65537 {
            assert!(answer["error"].is_string(), "{ask}: {answer}");
        } else {
            fits(&ask, Schema::Dut);
            words.insert(ask["do"].as_str().expect("a word").to_string());
        }
    }
    let all = ["about", "bus_master", "link", "load", "offer", "read", "reset", "settle", "store", "write"];
    assert_eq!(words.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn a_program_that_is_none_is_the_wrong_call() {
    for (dut, says) in [("process:/nowhere/device", "/nowhere/device: "), ("process:false", "exit status: 1")] {
        let ran = vnic(&["conform", "--dut", dut]);
        assert_eq!((ran.status, &*ran.stdout, ran.stderr.lines().count()), (2, "", 1), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}

/// The example in Python: it holds what it does, fails what it does not, and what cannot be asked of it is skipped with that reason.
#[test]
#[ignore = "needs python3 and minutes: cargo test -p vnic --test cli -- --ignored process"]
fn the_example_in_python_is_judged_truthfully() {
    let folder = std::env::temp_dir().join(format!("vnic-python-{}", std::process::id()));
    let words = ["conform", "--dut", "process:python3 tests/examples/device.py", "--json", "--failures"];
    let parts = ["VMX-REG", "VMX-TX-0", "VMX-RX-0", "VMX-INT", "VMX-EVT", "VMX-STA"].map(|part| ["--filter", part]);
    let ran = vnic(&[&words[..], &[folder.to_str().expect("a name")], parts.as_flattened()].concat());
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::Conform);
    assert_eq!(report["identity"], "the example in Python");
    let rows = report["cases"].as_array().expect("rows");
    let with = |word: &str| rows.iter().filter(|row| row["verdict"] == word).collect::<Vec<_>>();
    assert_eq!(with("ended").len(), 0, "{:?}", with("ended"));
    assert!(with("holds").len() > 10, "{} hold", with("holds").len());
    let fails = |clause: &str| with("fails").iter().any(|row| row["details"].to_string().contains(clause));
    // It says so of itself: no statistics.
    assert!(fails("VMX-STA-001"), "{:?}", with("fails"));
    let link = "the link of the device cannot go up and down";
    assert!(with("skipped").iter().any(|row| row["details"].to_string().contains(link)));
    assert!(folder.read_dir().expect("files").count() > 0, "what repeats a failure is left behind");
    std::fs::remove_dir_all(&folder).expect("it was there");
}
