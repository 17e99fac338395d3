//! The published schemas of what the command prints.

use serde_json::Value;

/// A published schema.
#[derive(Clone, Copy)]
pub enum Schema {
    /// Of `export json`.
    Export,
    /// Of `verify --json`.
    Verify,
    /// Of `diff --json`.
    Diff,
    /// Of `conform --json`.
    Conform,
    /// Of `list --json`.
    List,
    /// Of `lint --json`.
    Lint,
    /// Of `replay --json` on a trace.
    Trace,
    /// Of `roundtrip --live --json`.
    RoundtripLive,
    /// A line between the suite and a program under test.
    Dut,
}

/// Panics where `value` does not have exactly the fields of the schema, each of its type.
pub fn fits(value: &Value, schema: Schema) {
    let faults = faults(value, schema);
    assert!(faults.is_empty(), "verdict: {}", faults.join("; "));
}

/// What of `value` the schema forbids: the place and why.
pub fn faults(value: &Value, schema: Schema) -> Vec<String> {
    let schema = jsonschema::draft202012::new(&read(schema)).expect("the schema is one");
    schema.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

fn read(schema: Schema) -> Value {
    let text = match schema {
        Schema::Export => include_str!("../schema/export-1.json"),
        Schema::Verify => include_str!("../schema/verify-1.json"),
        Schema::Diff => include_str!("../schema/diff-1.json"),
        Schema::Conform => include_str!("../schema/conform-1.json"),
        Schema::List => include_str!("../schema/list-1.json"),
        Schema::Lint => include_str!("../schema/lint-1.json"),
        Schema::Trace => include_str!("../schema/trace-1.json"),
        Schema::RoundtripLive => include_str!("../schema/roundtrip-live-1.json"),
        Schema::Dut => include_str!("../schema/dut-1.json"),
    };
    serde_json::from_str(text).expect("the schema is JSON")
}

/// Every object that a schema describes has all the fields that it names and no others, so that a reader of a report need not ask.
#[test]
fn published_schemas_are_schemas_and_leave_nothing_open() {
    let folder = crate::workspace().join("tests/schema");
    for entry in std::fs::read_dir(folder).expect("the schemas") {
        let path = entry.expect("a schema").path();
        let text = std::fs::read_to_string(&path).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{}", path.display());
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        closed(&path.display().to_string(), &schema);
    }
}

fn closed(at: &str, schema: &Value) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        assert_eq!(schema["additionalProperties"], false, "{at}: other fields are let in");
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let mut required: Vec<_> = required.iter().filter_map(Value::as_str).collect();
        required.sort_unstable();
        let mut named: Vec<_> = properties.keys().map(String::as_str).collect();
        named.sort_unstable();
        assert_eq!(required, named, "{at}: some fields are optional");
    }
    match schema {
        Value::Object(members) => members.iter().for_each(|(name, inner)| closed(&format!("{at}/{name}"), inner)),
        Value::Array(items) => items.iter().for_each(|inner| closed(at, inner)),
        _ => {}
    }
}

#[test]
#[should_panic(expected = "Additional properties are not allowed ('more' was unexpected)")]
fn a_field_too_many_is_seen() {
    let mut report =
        serde_json::json!({ "schema": 1, "left": "", "right": "", "equal": 0, "differences": [], "same": true });
    fits(&report, Schema::Diff);
    report["more"] = 1.into();
    fits(&report, Schema::Diff);
}

#[test]
#[should_panic(expected = "/equal: -1 is less than the minimum of 0")]
fn a_value_out_of_its_range_is_seen() {
    fits(
        &serde_json::json!({ "schema": 1, "left": "", "right": "", "equal": -1, "differences": [], "same": true }),
        Schema::Diff,
    );
}
