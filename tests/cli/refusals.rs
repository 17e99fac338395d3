//! What cannot be done is refused with status 2 and one sentence that names what is wrong; a reader that went away is not
//! even that.

use crate::{recorded, vnic, vnic_into, workspace};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// The one sentence that the command refuses with.
fn refusal(args: &[&str]) -> String {
    let ran = vnic(args);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}: {}", ran.stderr);
    let sentence = ran.stderr.strip_prefix("vnic: ").and_then(|text| text.strip_suffix('\n'));
    let sentence = sentence.unwrap_or_else(|| panic!("{args:?}: {:?}", ran.stderr));
    assert!(!sentence.contains('\n') && (!sentence.ends_with('.') || sentence.ends_with("...")), "{sentence}");
    sentence.to_string()
}

/// A file with these bytes.
fn file(name: &str, bytes: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("the folder for tests is writable");
    path.display().to_string()
}

#[test]
fn a_truncated_file_is_refused_by_name() {
    for (name, keep) in
        [("migration-stream.bin.gz", 100_000), ("ethtool-d.regs-up.raw", 100), ("wire.pcap", 1_001), ("wire.pcap", 10)]
    {
        let whole = fs::read(workspace().join(recorded(name))).expect("the recording is committed");
        let cut = file(&format!("cut-{keep}-{name}"), &whole[..keep]);
        for args in [&["show", &cut][..], &["diff", &cut, &recorded(name)], &["diff", &recorded(name), &cut]] {
            assert!(refusal(args).starts_with(&cut), "{args:?}: {}", refusal(args));
        }
    }
}

#[test]
fn a_foreign_file_is_refused_by_name() {
    let foreign = file("notes.txt", b"nothing that was ever recorded\n");
    assert_eq!(refusal(&["show", &foreign]), format!("{foreign}: 31 bytes of no known format"));
    assert_eq!(refusal(&["show", &file("empty", b"")]), format!("{}: 0 bytes of no known format", file("empty", b"")));
}

#[test]
fn a_missing_file_is_refused_by_name() {
    assert_eq!(refusal(&["show", "no/such/file"]), "no/such/file: cannot be read (entity not found)");
    assert!(refusal(&["diff", &recorded("wire.pcap"), "no/such/file"]).starts_with("no/such/file: cannot be read"));
    assert_eq!(refusal(&["show", "tests/schema"]), "tests/schema: memory is missing");
    assert_eq!(refusal(&["show", "two\nlines"]), "two\\nlines: cannot be read (entity not found)");
}

#[test]
fn dumps_of_different_kinds_are_refused_by_name() {
    let sentence = refusal(&["diff", &recorded("lspci.txt"), &recorded("wire.pcap")]);
    assert!(sentence.ends_with("wire.pcap is a packet recording: no comparison is defined"), "{sentence}");
}

#[test]
fn a_wrong_call_is_refused_in_a_sentence() {
    for (args, says) in [
        (&["shw", "x"][..], "unrecognized subcommand 'shw'; a similar subcommand exists: 'show'"),
        (&["show"], "the following required arguments were not provided: <PATH>..."),
        (&["diff", "x"], "the following required arguments were not provided: <RIGHT>"),
        (&["verify", "--packets", "many"], "invalid value 'many' for '--packets <N>': invalid digit found in string"),
        (
            &["verify", "--profile", "none"],
            "invalid value 'none' for '--profile <NAME>': no profile has this name, `vnic list --profiles` has them all",
        ),
        (
            &["--mutant", "none"],
            "invalid value 'none' for '--mutant <NAME>': no planted bug has this name, `vnic list --mutants` has them all",
        ),
        (
            &["serve", "--socket", "no/such/socket", "--versions", "10"],
            "invalid value '10' for '--versions <NEWEST>': 10 is not in 1..=9",
        ),
        (&["list", "--mutants", "--clauses"], "the argument '--mutants' cannot be used with '--clauses'"),
        (&["export", "pdf"], "invalid value 'pdf' for '[FORMAT]' [possible values: markdown, json, c]"),
    ] {
        assert_eq!(refusal(args), says, "{args:?}");
    }
}

#[test]
fn a_word_that_no_table_has_is_refused() {
    assert!(refusal(&["explain", "frobnicate"]).starts_with("`frobnicate` is no clause, register,"));
    let ran = vnic(&["explain", "TXPROD", "frobnicate"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stdout.starts_with("register bar0.TXPROD ") && ran.stderr.contains("`frobnicate`"));
}

#[test]
#[cfg(not(feature = "mutants"))]
fn without_planted_bugs_the_command_that_has_them_is_named() {
    assert_eq!(
        refusal(&["verify", "--mutant", "hw-rx-overrun"]),
        "this build has no planted bugs; `cargo run --features mutants -- verify --mutant hw-rx-overrun` has"
    );
}

#[test]
fn an_export_that_cannot_be_written_names_the_file() {
    assert_eq!(refusal(&["export", "--out", "no/such/file"]), "no/such/file: cannot be written (entity not found)");
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let gone = || Stdio::from(std::io::pipe().expect("a pipe").1);
    let (wire, up) = (recorded("wire.pcap"), recorded("ethtool-d.regs-up.raw"));
    for (args, status) in [
        (&["show", &wire][..], 0),
        (&["list"], 0),
        (&["explain", "VMX"], 0),
        (&["export", "json"], 0),
        (&["--help"], 0),
        (&["diff", "--json", &wire, &wire], 2),
        (&["diff", &up, &recorded("ethtool-d.regs-down.raw")], 1),
    ] {
        let ran = vnic_into(gone(), args);
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked") && (status == 2 || ran.stderr.is_empty()), "{args:?}: {}", ran.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said() {
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let ran = vnic_into(full.into(), &["list", "--clauses"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (2, "vnic: standard output: cannot be written (no storage space)\n"));
}
