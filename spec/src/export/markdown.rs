//! Reference pages for people.

use super::drawing::drawing;
use super::json::{when, writer};
use super::tables::{CONSTANTS, DESCRIPTORS, Device, LIMITS, REGISTERS, STRUCTURES, codes, counts};
use super::{sentence, source};
use crate::clause;
use crate::constants::Constants;
use crate::layout::{Field, Kind, Layout};
use crate::registers::Access;
use crate::vmxnet3::call::{Answer, CALLS, Call, Parameter, When};
use crate::vmxnet3::dev_read::OVERLAYS;
use crate::vmxnet3::{Capabilities, VERSIONS};
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

/// The lowest version, where there are versions and it is not the first.
fn since(device: Device, version: u8) -> String {
    device.since(version).filter(|version| *version > 1).map_or(String::new(), |version| version.to_string())
}

fn number(value: u64) -> String {
    if value < 0x1_0000 { value.to_string() } else { format!("{value:#x}") }
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

/// Interface versions, what a driver can ask for, and limits.
pub fn versions() -> String {
    let mut out = format!("# Versions, capabilities and limits\n\n{NOTE}\n## Versions of VMXNET3\n\n");
    out.push_str("A device offers versions as bits of VRRS; the driver writes one of them.\n\n");
    out.push_str(
        "| version | VRRS | TX queues | RX queues | vectors | largest MTU | adds |\n|---|---|---|---|---|---|---|\n",
    );
    for v in VERSIONS {
        let _ = writeln!(
            out,
            "| {} | {:#05x} | {} | {} | {} | {} | {} |",
            v.number,
            1 << (v.number - 1),
            v.tx_queues,
            v.rx_queues,
            v.vectors,
            v.max_mtu,
            v.adds
        );
    }
    heading(&mut out, "Capabilities of VMXNET3", Capabilities::LAYOUT.doc);
    out.push_str("\n| bit | name | since | meaning |\n|---|---|---|---|\n");
    for field in Capabilities::LAYOUT.fields.iter().filter(|field| !field.is_reserved()) {
        let (since, doc) = (Capabilities::LAYOUT.since_of(field), cell(&sentence(field.doc)));
        let _ = writeln!(out, "| {} | `{}` | {since} | {doc} |", field.low, field.name);
    }
    values(&mut out, LIMITS, "Limits: ");
    out
}

/// Named values.
pub fn constants() -> String {
    let mut out = format!("# Constants\n\n{NOTE}");
    values(&mut out, CONSTANTS, "");
    out
}

fn values(out: &mut String, tables: &[(Device, &Constants)], title: &str) {
    for (device, constants) in tables {
        heading(out, &format!("{title}{} {}", device.name(), constants.name), constants.doc);
        out.push_str("\n| name | value | since | meaning |\n|---|---|---|---|\n");
        for row in constants.rows {
            let (value, since, doc) = (number(row.value), since(*device, row.since), cell(&sentence(row.doc)));
            let _ = writeln!(out, "| `{}` | {value} | {since} | {doc} |", row.name);
        }
    }
}

/// Every register.
pub fn registers() -> String {
    let mut out = format!("# Registers\n\n{NOTE}");
    for (device, map) in REGISTERS {
        heading(&mut out, &format!("{} {}, {:#x} bytes", device.name(), map.name, map.bytes), map.doc);
        out.push_str("\n| offset | name | count | step | bits | access | reset | since | meaning |\n");
        out.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for r in map.registers {
            let counts = counts(*device, map, r);
            let step = if counts.iter().any(|c| c.1 > 1) { format!("{:#x}", r.step) } else { String::new() };
            let count: Vec<_> = counts
                .iter()
                .map(
                    |&(from, count)| {
                        if from > map.since { format!("{count} from version {from}") } else { count.to_string() }
                    },
                )
                .collect();
            let (access, doc) = (access(r.access), cell(&sentence(r.doc)));
            let since = since(*device, r.since.unwrap_or(map.since));
            let _ = writeln!(
                out,
                "| {:#05x} | {} | {} | {step} | {} | {access} | {:#x} | {since} | {doc} |",
                r.offset,
                r.name,
                count.join(", "),
                r.width,
                r.reset
            );
        }
    }
    out
}

fn link(layout: &Layout) -> String {
    let page = if DESCRIPTORS.iter().any(|row| row.1.name == layout.name) { "descriptors.md" } else { "structures.md" };
    let anchor: String =
        layout.name.to_lowercase().chars().filter(|c| *c != '.').map(|c| if c == ' ' { '-' } else { c }).collect();
    format!("[{}]({page}#{anchor})", layout.name)
}

fn kind(field: &Field) -> String {
    match field.kind {
        Kind::Uint => format!("u{}", field.bits),
        Kind::Bool => "bit".to_string(),
        Kind::Struct(inner) => link(inner),
        Kind::Array(bits, None) => format!("u{bits} x {}", field.bits / bits),
        Kind::Array(bits, Some(inner)) => format!("{} x {}", link(inner), field.bits / bits),
    }
}

fn layouts(title: &str, layouts: &[(Device, &Layout)], bits: bool) -> String {
    let mut out = format!("# {title}\n\n{NOTE}");
    for (device, layout) in layouts {
        heading(&mut out, layout.name, layout.doc);
        let from = since(*device, layout.since);
        let from = if from.is_empty() { from } else { format!(", from version {from}") };
        let _ = write!(out, "\n{} bytes, little-endian{from}.\n", layout.bytes());
        if bits {
            let _ = write!(out, "\n```text\n{}```\n", drawing(layout));
        }
        let (place, size) = if bits { ("bits", "width") } else { ("offset", "type") };
        let _ =
            write!(out, "\n| {place} | name | {size} | written by | since | meaning |\n|---|---|---|---|---|---|\n");
        for f in layout.fields {
            let (place, size) = if bits {
                (format!("{}:{}", f.low + f.bits - 1, f.low), f.bits.to_string())
            } else {
                ((f.low / 8).to_string(), kind(f))
            };
            let (by, since) = (writer(layout.writer_of(f)), since(*device, layout.since_of(f)));
            let _ = writeln!(out, "| {place} | `{}` | {size} | {by} | {since} | {} |", f.name, cell(&sentence(f.doc)));
        }
    }
    out
}

/// Structures in memory, and the unions that some of their fields are.
pub fn structures() -> String {
    let mut out = layouts("Structures", STRUCTURES, false);
    for overlay in OVERLAYS {
        heading(&mut out, overlay.name, overlay.doc);
        let place = overlay.place.map_or(String::new(), |(of, field)| format!(", in `{field}` of {of}"));
        let _ = write!(out, "\nA union of {} bytes{place}.\n\n| member | read as |\n|---|---|\n", overlay.bytes);
        for (name, layout) in overlay.members {
            let _ = writeln!(out, "| `{name}` | {} |", link(layout));
        }
    }
    out
}

/// Descriptors, completions and register words.
pub fn descriptors() -> String {
    layouts("Descriptors", DESCRIPTORS, true)
}

/// Commands and error codes.
pub fn commands() -> String {
    let mut out = format!("# Commands and codes\n\n{NOTE}\n## What VMXNET3 commands take and give\n\n");
    out.push_str("A command is written to CMD and has run when the write ends; CMD then reads as its answer. One that does nothing in\n");
    out.push_str("the state that the device is in, or on its version, changes nothing and answers 0.\n\n");
    for (word, when) in [
        (When::Any, "always"),
        (When::Shared, "while there is a shared area"),
        (When::Active, "while the device is active"),
        (When::Activates, "while there is a shared area, and makes the device active"),
    ]
    .map(|(it, text)| (when(it), text))
    {
        let _ = writeln!(out, "- `{word}`: {when}");
    }
    out.push_str("\n| code | name | since | when | parameters | answer | writes | refuses |\n|---|---|---|---|---|---|---|---|\n");
    for call in CALLS {
        let name = match call.alias {
            Some(alias) => format!("{} ({alias})", call.command.name()),
            None => call.command.name().to_string(),
        };
        let (parameter, answer) = (parameter(call), answer(call));
        let (writes, refuses) = (call.writes.unwrap_or_default(), call.refuses.unwrap_or_default());
        let (code, from) = (call.command.code(), since(Device::Vmxnet3, call.command.since()));
        let _ = writeln!(
            out,
            "| {code:#x} | {name} | {from} | {} | {parameter} | {answer} | {writes} | {refuses} |",
            when(call.when)
        );
    }
    for codes in codes() {
        let _ = write!(out, "\n## {}\n\n| code | name | meaning |\n|---|---|---|\n", codes.title);
        for (code, name, doc) in codes.rows {
            let _ = writeln!(out, "| {} | {name} | {} |", number(code), cell(&sentence(doc)));
        }
    }
    out
}

fn parameter(call: &Call) -> String {
    match call.parameter {
        Parameter::None => String::new(),
        Parameter::Fields(fields) => fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", "),
        Parameter::CmdInfo(layout) => format!("{} in `cu.cmdInfo`", link(layout)),
        Parameter::Block(field, layout) => format!("{} where `{field}` points", link(layout)),
    }
}

fn answer(call: &Call) -> String {
    match call.answer {
        Answer::Status => "0, or not done".to_string(),
        Answer::Zero => "0".to_string(),
        Answer::Word(layout) => link(layout),
        Answer::Number(what) => what.to_string(),
    }
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
