//! `show`, `diff`, `explain`, `list` and `export` on what is committed here.

use crate::schema::{Schema, fits};
use crate::{prints, recorded, vnic};
use model::mutant::Mutant;
use pretty_assertions::assert_eq;
use serde_json::Value;
use spec::clause::ALL;
use spec::profile::{Deviation, Profile};

#[test]
fn every_file_of_the_recording_is_shown_by_field_name() {
    for (name, fields) in [
        ("", &["capture", "trace, BAR0", "wire", "tx[0].txRing", "queue"][..]),
        ("migration-stream.bin.gz", &["last_command", "drv_shmem", "txq_descr[0]", "gen"]),
        ("memory", &["Vmxnet3_DriverShared", "Vmxnet3_TxQueueDesc", "conf.txRingBasePA", "conf.compRingSize"]),
        ("ethtool-d.regs-up.raw", &["tx[0]", "next2proc", "gen"]),
        ("qemu-trace.log", &["bar1.CMD", "bar0.IMR", "bar0.TXPROD"]),
        ("wire.pcap", &["ARP", "TCP"]),
        ("lspci.txt", &["identity", "15ad:07b0", "BAR0", "BAR1"]),
    ] {
        let text = prints(&["show", &recorded(name)]);
        for field in fields {
            assert!(text.contains(field), "{name}: no {field} in\n{text}");
        }
    }
}

#[test]
fn several_files_are_shown_under_their_names() {
    let (up, down) = (recorded("ethtool-d.regs-up.raw"), recorded("ethtool-d.regs-down.raw"));
    let (first, second) = (prints(&["show", &up]), prints(&["show", &down]));
    assert_eq!(prints(&["show", &up, &down]), format!("== {up}\n{first}\n== {down}\n{second}"));
}

#[test]
fn a_difference_is_status_1_and_none_is_status_0() {
    let (up, wrapped) = (recorded("ethtool-d.regs-up.raw"), recorded("ethtool-d.regs-wrapped.raw"));
    for (left, right, status, verdict) in
        [(&up, &up, 0, "same"), (&up, &wrapped, 1, "differs"), (&wrapped, &recorded(""), 0, "same")]
    {
        let ran = vnic(&["diff", left, right]);
        assert_eq!((ran.status, ran.stderr.as_str()), (status, ""));
        assert!(ran.stdout.ends_with(&format!(": {verdict}\n")), "{}", ran.stdout);

        let ran = vnic(&["diff", "--json", left, right]);
        let report = serde_json::from_str(&ran.stdout).expect("JSON");
        fits(&report, Schema::Diff);
        assert_eq!((ran.status, &report["same"]), (status, &(status == 0).into()));
    }
}

#[test]
fn a_word_is_explained() {
    insta::assert_snapshot!("explain", prints(&["explain", "TXPROD", "activate_dev", "VMX-TX-008", "hw-rx-overrun"]));
    let bytes = "00 00 02 00 00 00 00 00 3c 40 00 00 00 30 00 00";
    let words: Vec<_> = ["explain"].into_iter().chain(bytes.split(' ')).collect();
    assert_eq!(prints(&words), prints(&["explain", bytes]));
    assert!(prints(&words).starts_with("as Vmxnet3_TxDesc: addr 0x20000  len 60  gen 1  eop 1  cq 1\n"));
}

#[test]
fn devices_and_profiles_are_listed() {
    insta::assert_snapshot!("devices", prints(&["list", "--devices"]));
    insta::assert_snapshot!("profiles", prints(&["list", "--profiles"]));
}

/// The first `count` words of each line.
fn columns(list: &str, count: usize) -> Vec<Vec<String>> {
    prints(&["list", list])
        .lines()
        .map(|line| line.split_whitespace().take(count).map(String::from).collect())
        .collect()
}

#[test]
fn lists_hold_a_line_for_each_row_of_their_table() {
    let rows: Vec<_> = Mutant::TABLE.iter().map(|row| vec![row.1.to_string(), row.3.to_string()]).collect();
    assert_eq!(columns("--mutants", 2), rows);
    let rows: Vec<_> =
        ALL.iter().map(|clause| vec![clause.id.to_string(), clause.strength.name().to_string()]).collect();
    assert_eq!(columns("--clauses", 2), rows);
    let rows: Vec<_> = Deviation::TABLE.iter().map(|row| vec![format!("{:?}", row.0)]).collect();
    assert_eq!(columns("--deviations", 1), rows);
    let rows: Vec<_> = Profile::ALL.iter().map(|profile| vec![profile.name.to_string()]).collect();
    assert_eq!(columns("--profiles", 1), rows);
}

#[test]
fn the_catalogue_fits_its_schema_and_every_clause_of_a_case_has_one() {
    let catalogue: Value = serde_json::from_str(&prints(&["list", "--json"])).expect("JSON");
    fits(&catalogue, Schema::List);
    let clauses = catalogue["clauses"].as_array().expect("rows");
    assert_eq!(clauses.len(), ALL.len());
    for clause in clauses.iter().filter(|clause| clause["judge"] == "case") {
        assert!(!clause["cases"].as_array().expect("names").is_empty(), "{clause}");
    }
    for (case, row) in catalogue["cases"].as_array().expect("rows").iter().map(|row| (&row["case"], row)) {
        let seen = row["seen"].as_array().expect("devices");
        assert!(seen.iter().all(Value::is_string), "{case}");
    }
    let faults = catalogue["faults"].as_array().expect("rows");
    assert!(faults.iter().all(|row| row["reason"].is_null() != row["cases"].as_array().expect("names").is_empty()));
}

#[test]
fn every_list_is_in_the_list_of_all() {
    let all = prints(&["list"]);
    for list in ["cases", "faults", "clauses", "devices", "profiles", "deviations", "mutants"] {
        assert!(all.starts_with(&format!("{list}\n")) || all.contains(&format!("\n\n{list}\n")), "{list}");
        for line in prints(&["list", &format!("--{list}")]).lines() {
            assert!(all.contains(&format!("\n  {line}\n")), "{line}");
        }
    }
}

#[test]
fn help_and_version_are_answers() {
    assert!(prints(&["--version"]).starts_with("vnic "));
    let help = prints(&["--help"]);
    for verb in ["verify", "show", "diff", "explain", "list", "export"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}");
        assert!(prints(&[verb, "--help"]).contains(&format!("Usage: vnic {verb}")), "{verb}");
    }
}
