//! Reference pages for people.

use super::{DESCRIPTORS, REGISTERS, STRUCTURES, codes, sentence, source};
use crate::clause;
use crate::layout::{Field, Kind, Layout};
use crate::registers::Access;
use std::fmt::Write;

const NOTE: &str = "Generated from the tables of `vnic-spec`; do not edit.\n";

/// A cell of a table: bars would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn heading(out: &mut String, title: &str, doc: &str) {
    let _ = write!(out, "\n## {title}\n\n{}\n", sentence(doc));
    if let Some(source) = source(doc) {
        let _ = write!(out, "\nSource: {source}.\n");
    }
}

const fn access(access: Access) -> &'static str {
    match access {
        Access::Rw => "read, write",
        Access::Ro => "read",
        Access::Wo => "write",
        Access::W1c => "write one to clear",
        Access::Rc => "read clears",
    }
}

/// Every register.
pub fn registers() -> String {
    let mut out = format!("# Registers\n\n{NOTE}");
    for (device, map) in REGISTERS {
        heading(&mut out, &format!("{device} {}, {:#x} bytes", map.name, map.bytes), map.doc);
        out.push_str("\n| offset | name | count | step | access | reset | meaning |\n|---|---|---|---|---|---|---|\n");
        for r in map.registers {
            let step = if r.count > 1 { format!("{:#x}", r.step) } else { String::new() };
            let (access, doc) = (access(r.access), cell(&sentence(r.doc)));
            let _ = writeln!(
                out,
                "| {:#05x} | {} | {} | {step} | {access} | {:#x} | {doc} |",
                r.offset, r.name, r.count, r.reset
            );
        }
    }
    out
}

fn kind(field: &Field) -> String {
    match field.kind {
        Kind::Uint => format!("u{}", field.bits),
        Kind::Bool => "bit".to_string(),
        Kind::Struct(inner) => format!("[{0}](#{1})", inner.name, inner.name.to_lowercase()),
        Kind::Array(bits, None) => format!("u{bits} x {}", field.bits / bits),
        Kind::Array(bits, Some(inner)) => {
            format!("[{0}](#{1}) x {2}", inner.name, inner.name.to_lowercase(), field.bits / bits)
        }
    }
}

fn layouts(title: &str, layouts: &[&Layout], bits: bool) -> String {
    let mut out = format!("# {title}\n\n{NOTE}");
    for layout in layouts {
        heading(&mut out, layout.name, layout.doc);
        let _ = write!(out, "\n{} bytes, little-endian.\n", layout.bytes());
        let (place, size) = if bits { ("bits", "width") } else { ("offset", "type") };
        let _ = write!(out, "\n| {place} | name | {size} | meaning |\n|---|---|---|---|\n");
        for f in layout.fields {
            let (place, size) = if bits {
                (format!("{}:{}", f.low + f.bits - 1, f.low), f.bits.to_string())
            } else {
                ((f.low / 8).to_string(), kind(f))
            };
            let _ = writeln!(out, "| {place} | `{}` | {size} | {} |", f.name, cell(&sentence(f.doc)));
        }
    }
    out
}

/// Structures in memory.
pub fn structures() -> String {
    layouts("Structures", STRUCTURES, false)
}

/// Descriptors, completions and register words.
pub fn descriptors() -> String {
    layouts("Descriptors", DESCRIPTORS, true)
}

/// Commands and error codes.
pub fn commands() -> String {
    let mut out = format!("# Commands and codes\n\n{NOTE}");
    for codes in codes() {
        let _ = write!(out, "\n## {}\n\n| code | name | meaning |\n|---|---|---|\n", codes.title);
        for (code, name, doc) in codes.rows {
            let number = if code < 0x1_0000 { code.to_string() } else { format!("{code:#x}") };
            let _ = writeln!(out, "| {number} | {name} | {} |", cell(&sentence(doc)));
        }
    }
    out
}

/// Every clause.
pub fn clauses() -> String {
    let mut out = format!("# Clauses\n\n{NOTE}\nEach names its source, how well it is founded, and who judges it.\n");
    let titles = [
        "VMXNET3: configuration",
        "VMXNET3: versions 4 to 9",
        "VMXNET3: data path",
        "VMXNET3: bad inputs",
        "VIC",
        "The move between adapter and software",
    ];
    for (title, table) in titles.iter().zip(clause::tables::TABLES) {
        let _ = write!(out, "\n## {title}\n\n| id | clause | strength | judge | source |\n|---|---|---|---|---|\n");
        for c in table {
            let (sentence, source) = (cell(c.sentence), cell(c.source));
            let _ = writeln!(out, "| {} | {sentence} | {} | {} | {source} |", c.id, c.strength.name(), c.judge.name());
        }
    }
    out
}
