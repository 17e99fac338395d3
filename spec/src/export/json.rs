//! The tables for programs: one JSON object.

use super::{DESCRIPTORS, REGISTERS, STRUCTURES, codes, sentence};
use crate::clause;
use crate::layout::{Kind, Layout};
use std::fmt::Write;

/// A JSON string.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Lines, separated as JSON wants, each indented.
fn lines(rows: impl IntoIterator<Item = String>) -> String {
    rows.into_iter().map(|row| format!("    {row}")).collect::<Vec<_>>().join(",\n")
}

fn layout(layout: &Layout) -> String {
    let fields: Vec<_> = layout
        .fields
        .iter()
        .map(|f| {
            let kind = match f.kind {
                Kind::Uint | Kind::Bool => String::new(),
                Kind::Struct(inner) => format!(", \"struct\": {}", string(inner.name)),
                Kind::Array(bits, None) => format!(", \"element_bits\": {bits}"),
                Kind::Array(bits, Some(inner)) => {
                    format!(", \"element_bits\": {bits}, \"struct\": {}", string(inner.name))
                }
            };
            let (name, doc) = (string(f.name), string(&sentence(f.doc)));
            format!("{{\"name\": {name}, \"low\": {}, \"bits\": {}{kind}, \"doc\": {doc}}}", f.low, f.bits)
        })
        .collect();
    let (name, doc) = (string(layout.name), string(&sentence(layout.doc)));
    format!("{{\"name\": {name}, \"bytes\": {}, \"doc\": {doc}, \"fields\": [{}]}}", layout.bytes(), fields.join(", "))
}

/// Everything.
pub fn all() -> String {
    let pages = REGISTERS.iter().map(|(device, map)| {
        let registers: Vec<_> = map
            .registers
            .iter()
            .map(|r| {
                let (name, doc) = (string(r.name), string(&sentence(r.doc)));
                let access = string(&format!("{:?}", r.access).to_lowercase());
                format!(
                    "{{\"name\": {name}, \"offset\": {}, \"count\": {}, \"step\": {}, \"access\": {access}, \"reset\": {}, \"doc\": {doc}}}",
                    r.offset, r.count, r.step, r.reset
                )
            })
            .collect();
        let (device, name) = (string(device), string(map.name));
        format!("{{\"device\": {device}, \"name\": {name}, \"bytes\": {}, \"registers\": [{}]}}", map.bytes, registers.join(", "))
    });
    let codes = codes().into_iter().map(|set| {
        let rows: Vec<_> = set
            .rows
            .iter()
            .map(|(code, name, doc)| {
                format!("{{\"code\": {code}, \"name\": {}, \"doc\": {}}}", string(name), string(&sentence(doc)))
            })
            .collect();
        format!("{{\"title\": {}, \"codes\": [{}]}}", string(set.title), rows.join(", "))
    });
    let clauses = clause::ALL.iter().map(|c| {
        let [id, text, source] = [c.id, c.sentence, c.source].map(string);
        let [strength, judge] = [c.strength.name(), c.judge.name()].map(string);
        format!(
            "{{\"id\": {id}, \"sentence\": {text}, \"strength\": {strength}, \"judge\": {judge}, \"source\": {source}}}"
        )
    });
    format!(
        "{{\n  \"registers\": [\n{}\n  ],\n  \"structures\": [\n{}\n  ],\n  \"codes\": [\n{}\n  ],\n  \"clauses\": [\n{}\n  ]\n}}\n",
        lines(pages),
        lines(DESCRIPTORS.iter().chain(STRUCTURES).map(|l| layout(l))),
        lines(codes),
        lines(clauses),
    )
}
