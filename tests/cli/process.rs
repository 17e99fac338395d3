//! `conform --dut process:COMMAND`: a program that speaks JSON lines is judged as any other device.

use crate::schema::{Schema, fits};
use crate::vnic;
use golden::dut::{Dut, Lack, Ours, Program, serve_lines};
use serde_json::Value;
use spec::profile::Profile;
use std::collections::BTreeMap;
use vnic::conform::{Choice, Report, Row};
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
    let mut expected = verdicts(&inside);
    // No line asks a program for another kind of interrupts.
    let left_out = |row: &&Row| row.verdict.details() == [Lack::InterruptKind.reason()];
    for row in over.rows.iter().filter(left_out) {
        expected.insert(row.case.id, "skipped");
    }
    assert_eq!(verdicts(&over), expected);
    assert!(over.count("holds") > 20 && over.holds(), "{:?}", verdicts(&over));

    let dut = format!("process:{}", command().join(" "));
    let ran = vnic(&["conform", "--dut", &dut, "--filter", "VMX-REG", "--json"]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::Conform);
    for row in report["cases"].as_array().expect("rows") {
        assert_eq!(row["verdict"], expected[row["case"].as_str().expect("a name")], "{row}");
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
fn the_example_in_python_is_judged_truthfully() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("not judged: there is no python3");
        return;
    }
    let folder = std::env::temp_dir().join(format!("vnic-python-{}", std::process::id()));
    let dut = "process:python3 tests/examples/device.py";
    let words = ["conform", "--dut", dut, "--json", "--failures", folder.to_str().expect("a name")];
    // A few of each kind: every conversation starts a Python.
    let cases = [
        "shared-address",
        "doorbells-that-lie",
        "a-buffer-a-frame",
        "link-event",
        "linux-probes-v2",
        "statistics-of-every",
    ];
    let cases = cases.map(|case| ["--filter", case]);
    let ran = vnic(&[&words[..], cases.as_flattened()].concat());
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::Conform);
    assert_eq!(report["identity"], "the example in Python");
    let rows = report["cases"].as_array().expect("rows");
    let verdicts: BTreeMap<_, _> = rows.iter().map(|row| (row["case"].as_str().unwrap_or(""), row)).collect();
    let verdict = |case: &str| verdicts[case]["verdict"].as_str().expect("a word");
    for holds in ["shared-address", "doorbells-that-lie", "a-buffer-a-frame"] {
        assert_eq!(verdict(holds), "holds", "{}", verdicts[holds]);
    }
    // It says so of itself: no statistics, a link that does not change, one version.
    let statistics = verdicts["statistics-of-every-queue"];
    assert_eq!(verdict("statistics-of-every-queue"), "fails");
    assert!(statistics["details"].to_string().contains("VMX-STA-001"), "{statistics}");
    for (case, reason) in [
        ("link-event", "the link of the device cannot go up and down"),
        ("linux-probes-v2", "the device does not offer the interface version"),
    ] {
        assert_eq!(verdict(case), "skipped");
        assert!(verdicts[case]["details"].to_string().contains(reason), "{}", verdicts[case]);
    }
    assert!(rows.iter().all(|row| row["verdict"] != "ended"), "{rows:?}");

    // What is left behind is held again: with our own device, which first does something else where it is activated, and with the
    // program, which does what it did.
    let left = folder.join("statistics-of-every-queue.trace").display().to_string();
    assert!(folder.join("statistics-of-every-queue.jsonl").exists());
    let ours = vnic(&["replay", &left, "--json"]);
    let report: Value = serde_json::from_str(&ours.stdout).unwrap_or_else(|_| panic!("{}", ours.stderr));
    fits(&report, Schema::Trace);
    assert_eq!((ours.status, &report["holds"]), (1, &false.into()));
    let first = &report["divergence"];
    assert_eq!((&first["expected"], &first["got"]), (&"0".into(), &"1".into()), "{report}");
    assert!(first["field"].as_str().is_some_and(|field| field.ends_with("ctrl.txThreshold")), "{report}");
    let theirs = vnic(&["replay", &left, "--dut", dut, "--json"]);
    let report: Value = serde_json::from_str(&theirs.stdout).unwrap_or_else(|_| panic!("{}", theirs.stderr));
    assert_eq!((theirs.status, &report["divergence"]), (1, &Value::Null), "{report}");
    assert!(report["claims"].to_string().contains("VMX-STA-001"), "{report}");
    std::fs::remove_dir_all(&folder).expect("it was there");
}
