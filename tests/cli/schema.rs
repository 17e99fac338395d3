//! As much of JSON Schema as the published schemas use, and stricter: any other keyword is refused, and so is a field that
//! the schema does not require.

use serde_json::Value;

/// A published schema.
#[derive(Clone, Copy)]
pub enum Schema {
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
}

/// Panics where `value` does not have exactly the fields of the schema, each of its type.
pub fn fits(value: &Value, schema: Schema) {
    let text = match schema {
        Schema::Verify => include_str!("../schema/verify-1.json"),
        Schema::Diff => include_str!("../schema/diff-1.json"),
        Schema::Conform => include_str!("../schema/conform-1.json"),
        Schema::List => include_str!("../schema/list-1.json"),
        Schema::Lint => include_str!("../schema/lint-1.json"),
        Schema::Trace => include_str!("../schema/trace-1.json"),
    };
    check("verdict", value, &serde_json::from_str(text).expect("the schema is JSON"));
}

fn check(at: &str, value: &Value, schema: &Value) {
    for (keyword, rule) in schema.as_object().unwrap_or_else(|| panic!("{at}: the schema is no object")) {
        match keyword.as_str() {
            "$schema" | "title" | "description" => {}
            "const" => assert_eq!(value, rule, "{at}"),
            "enum" => assert!(list(rule).contains(value), "{at}: {value}"),
            "type" => {
                let one = std::slice::from_ref(rule);
                let kinds = rule.as_array().map_or(one, Vec::as_slice);
                assert!(kinds.iter().any(|name| name == kind(value)), "{at}: {value} is no {rule}");
            }
            "minimum" => assert!(value.as_f64() >= rule.as_f64(), "{at}: {value}"),
            "items" => list(value).iter().enumerate().for_each(|(i, item)| check(&format!("{at}[{i}]"), item, rule)),
            "properties" if value.is_null() => {}
            "properties" => {
                let required = names(list(&schema["required"]).iter().map(|name| name.as_str().unwrap_or_default()));
                let (wanted, found) = (keys(rule), keys(value));
                assert_eq!(wanted, required, "{at}: some fields are optional");
                assert_eq!(found, wanted, "{at}: fields");
                wanted.iter().for_each(|name| check(&format!("{at}.{name}"), &value[name], &rule[name]));
            }
            "required" => {}
            "additionalProperties" => assert_eq!(rule, &Value::Bool(false), "{at}"),
            other => panic!("{at}: nothing here checks the keyword {other}"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn keys(value: &Value) -> Vec<String> {
    names(value.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str)))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<_> = names.map(String::from).collect();
    names.sort();
    names
}

#[test]
#[should_panic(expected = "verdict: fields")]
fn a_field_too_many_is_seen() {
    let mut report =
        serde_json::json!({ "schema": 1, "left": "", "right": "", "equal": 0, "differences": [], "same": true });
    fits(&report, Schema::Diff);
    report["more"] = 1.into();
    fits(&report, Schema::Diff);
}

#[test]
#[should_panic(expected = "verdict.equal: -1")]
fn a_value_out_of_its_range_is_seen() {
    fits(
        &serde_json::json!({ "schema": 1, "left": "", "right": "", "equal": -1, "differences": [], "same": true }),
        Schema::Diff,
    );
}
