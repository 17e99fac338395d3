//! `vnic export`: the document keeps to its schema, and a compiler agrees with the header on every size and offset.

use crate::schema::{self, Schema, fits};
use crate::{prints, workspace};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Something done to a document that its schema refuses.
type Break = fn(&mut Value);

#[test]
fn each_format_is_what_the_committed_pages_hold() {
    assert_eq!(prints(&["export"]), prints(&["export", "markdown"]));
    assert!(prints(&["export"]).contains("VMX-TX-008"));
    for (format, page) in [("json", "vnic-spec.json"), ("c", "vnic_spec.h")] {
        let committed = std::fs::read_to_string(workspace().join("spec/reference").join(page)).expect("committed");
        assert!(
            prints(&["export", format]) == committed,
            "{page} is out of date: UPDATE_REFERENCE=1 cargo test -p vnic-spec"
        );
        let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(page);
        assert_eq!(prints(&["export", format, "--out", &path.display().to_string()]), "");
        assert!(std::fs::read_to_string(&path).expect("it was written") == committed, "{page}");
    }
}

fn document() -> Value {
    serde_json::from_str(&prints(&["export", "json"])).expect("JSON")
}

#[test]
fn the_document_keeps_to_its_schema() {
    let document = document();
    fits(&document, Schema::Export);
    for device in ["VMXNET3", "VIC"] {
        for table in ["pages", "descriptors", "structures", "constants", "limits", "commands"] {
            let rows = document[table].as_array().expect("a table");
            assert!(rows.iter().any(|row| row["device"] == device), "{table} has nothing of {device}");
        }
    }
}

#[test]
fn a_broken_document_is_refused() {
    let whole = document();
    let breaks: [(&str, Break); 7] = [
        ("a table that is missing", |it| drop(it.as_object_mut().expect("an object").remove("limits"))),
        ("a field that no schema has", |it| it["structures"][0]["colour"] = 7.into()),
        ("a register without an offset", |it| it["pages"][0]["registers"][0]["offset"] = Value::Null),
        ("an offset below zero", |it| it["structures"][0]["fields"][0]["offset"] = (-1).into()),
        ("a writer that there is not", |it| it["descriptors"][0]["fields"][0]["written_by"] = "guest".into()),
        ("a version past the ninth", |it| it["commands"][0]["since"] = 10.into()),
        ("another version of the schema", |it| it["schema"] = json!(2)),
    ];
    for (what, make) in breaks {
        let mut broken = whole.clone();
        make(&mut broken);
        assert!(!schema::faults(&broken, Schema::Export).is_empty(), "{what} was let through");
    }
}

/// Names lead somewhere: structures inside others, the parameters and answers of commands, the members of unions.
#[test]
fn what_a_row_names_is_in_the_document() {
    let document = document();
    let named = |table: &str| document[table].as_array().expect("a table").iter().map(|row| row["name"].clone());
    let layouts: Vec<_> = named("structures").chain(named("descriptors")).collect();
    let known = |name: &Value| assert!(name.is_null() || layouts.contains(name), "{name}");
    for row in document["structures"].as_array().expect("a table") {
        row["fields"].as_array().expect("fields").iter().for_each(|field| known(&field["struct"]));
    }
    for row in document["unions"].as_array().expect("a table") {
        known(&row["within"]);
        row["members"].as_array().expect("members").iter().for_each(|member| known(&member["struct"]));
    }
    for row in document["commands"].as_array().expect("a table") {
        known(&row["call"]["parameter"]);
        known(&row["call"]["word"]);
    }
}

/// Compiles `header` as C11 with everything that the compiler can object to. The compiler is the one that links Rust programs.
#[cfg(unix)]
fn compile(header: &str) -> Output {
    let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c", "-"];
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cc, which links Rust programs, is there");
    let mut into = compiler.stdin.take().expect("piped");
    // A compiler that stops at the first error closes its input; what it says is looked at below.
    let _ = writeln!(into, "{header}\nint main(void) {{ return (int)sizeof(struct Vmxnet3_DriverShared) - 800; }}");
    drop(into);
    compiler.wait_with_output().expect("the compiler ends")
}

#[test]
#[cfg(unix)]
fn the_header_compiles_as_c11() {
    let header = prints(&["export", "c"]);
    let compiled = compile(&header);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

#[test]
#[cfg(unix)]
fn a_header_with_a_wrong_offset_a_wrong_size_or_a_field_too_many_does_not_compile() {
    let header = prints(&["export", "c"]);
    for (right, wrong) in [
        ("offsetof(struct Vmxnet3_DriverShared, ecr) == 696u,", "offsetof(struct Vmxnet3_DriverShared, ecr) == 700u,"),
        ("sizeof(struct Vmxnet3_TxQueueDesc) == 256u,", "sizeof(struct Vmxnet3_TxQueueDesc) == 248u,"),
        ("    uint16_t maxNumRxSG;\n", "    uint16_t maxNumRxSG;\n    uint16_t extra;\n"),
        ("#define VMXNET3_TX_DESC_GEN_LSB 14u", "#define VMXNET3_TX_DESC_GEN_LSB 64u"),
    ] {
        assert_eq!(header.matches(right).count(), 1, "{right}");
        let compiled = compile(&header.replace(right, wrong));
        assert!(!compiled.status.success(), "{wrong} compiles");
        assert!(String::from_utf8_lossy(&compiled.stderr).contains("static assertion failed"), "{wrong}");
    }
}
