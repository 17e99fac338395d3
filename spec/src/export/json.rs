//! The tables for programs: one JSON document, of the schema in `tests/schema/export-1.json`. A row is a line.

use super::tables::{CONSTANTS, DESCRIPTORS, Device, LIMITS, REGISTERS, STRUCTURES, codes, counts};
use super::{sentence, source};
use crate::clause::{self, Clause};
use crate::constants::Constants;
use crate::layout::{Field, Kind, Layout, Writer};
use crate::registers::{Access, RegisterDecl, RegisterMap};
use crate::vmxnet3::call::{Answer, Call, FIRST_GET, Parameter, When};
use crate::vmxnet3::dev_read::{OVERLAYS, Overlay};
use crate::vmxnet3::{Capabilities, Command, VERSIONS, Version};
use serde::Serialize;

/// Version of the schema.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct VersionRow {
    version: u8,
    vrrs: u32,
    tx_queues: u8,
    rx_queues: u8,
    vectors: u8,
    max_mtu: u32,
    adds: &'static str,
}

#[derive(Serialize)]
struct PageRow {
    device: &'static str,
    name: &'static str,
    size: u32,
    since: Option<u8>,
    doc: String,
    source: Option<String>,
    registers: Vec<RegisterRow>,
}

#[derive(Serialize)]
struct RegisterRow {
    name: &'static str,
    offset: u32,
    width: u32,
    access: &'static str,
    reset: u64,
    stride: u32,
    counts: Vec<CountRow>,
    since: Option<u8>,
    doc: String,
    source: Option<String>,
}

/// From version `since` on there are `count` of them.
#[derive(Serialize)]
struct CountRow {
    since: Option<u8>,
    count: u32,
}

#[derive(Serialize)]
struct DescriptorRow {
    device: &'static str,
    name: &'static str,
    size: usize,
    since: Option<u8>,
    doc: String,
    source: Option<String>,
    fields: Vec<BitsRow>,
}

#[derive(Serialize)]
struct BitsRow {
    name: &'static str,
    dword: u32,
    lsb: u32,
    width: u32,
    written_by: &'static str,
    since: Option<u8>,
    doc: String,
}

#[derive(Serialize)]
struct StructureRow {
    device: &'static str,
    name: &'static str,
    size: usize,
    since: Option<u8>,
    doc: String,
    source: Option<String>,
    fields: Vec<BytesRow>,
}

#[derive(Serialize)]
struct BytesRow {
    name: &'static str,
    offset: u32,
    size: u32,
    count: u32,
    #[serde(rename = "struct")]
    of: Option<&'static str>,
    written_by: &'static str,
    since: Option<u8>,
    doc: String,
}

#[derive(Serialize)]
struct UnionRow {
    device: &'static str,
    name: &'static str,
    size: usize,
    within: Option<&'static str>,
    field: Option<&'static str>,
    doc: String,
    source: Option<String>,
    members: Vec<MemberRow>,
}

#[derive(Serialize)]
struct MemberRow {
    name: &'static str,
    #[serde(rename = "struct")]
    of: &'static str,
}

#[derive(Serialize)]
struct GroupRow {
    device: &'static str,
    name: &'static str,
    doc: String,
    source: Option<String>,
    values: Vec<ValueRow>,
}

#[derive(Serialize)]
struct ValueRow {
    name: String,
    value: u64,
    since: Option<u8>,
    doc: String,
}

#[derive(Serialize)]
struct CapabilityRow {
    name: &'static str,
    bit: u32,
    since: u8,
    doc: String,
}

#[derive(Serialize)]
struct CommandRow {
    device: &'static str,
    name: &'static str,
    alias: Option<&'static str>,
    code: u64,
    since: Option<u8>,
    doc: String,
    /// Of the VIC, words about it are in `doc`.
    call: Option<CallRow>,
}

#[derive(Serialize)]
struct CallRow {
    kind: &'static str,
    when: &'static str,
    reads: Vec<&'static str>,
    parameter: Option<&'static str>,
    pointed: bool,
    answer: &'static str,
    word: Option<&'static str>,
    writes: Option<&'static str>,
    refuses: Option<&'static str>,
}

#[derive(Serialize)]
struct ClauseRow {
    id: &'static str,
    sentence: &'static str,
    source: &'static str,
    strength: &'static str,
    judge: &'static str,
}

/// Who writes a field, in a word.
pub(super) const fn writer(writer: Writer) -> &'static str {
    match writer {
        Writer::Driver => "driver",
        Writer::Device => "device",
        Writer::Both => "both",
        Writer::Nobody => "nobody",
    }
}

/// When a command does something, in a word.
pub(super) const fn when(when: When) -> &'static str {
    match when {
        When::Any => "any",
        When::Shared => "shared",
        When::Active => "active",
        When::Activates => "activates",
    }
}

const fn access(access: Access) -> &'static str {
    match access {
        Access::Rw => "rw",
        Access::Ro => "ro",
        Access::Wo => "wo",
        Access::W1c => "w1c",
        Access::Rc => "rc",
    }
}

fn version(version: &Version) -> VersionRow {
    let &Version { number, tx_queues, rx_queues, vectors, max_mtu, adds } = version;
    VersionRow { version: number, vrrs: 1 << (number - 1), tx_queues, rx_queues, vectors, max_mtu, adds }
}

fn page(&(device, map): &(Device, &RegisterMap)) -> PageRow {
    PageRow {
        device: device.name(),
        name: map.name,
        size: map.bytes,
        since: device.since(map.since),
        doc: sentence(map.doc),
        source: source(map.doc),
        registers: map.registers.iter().map(|register| row(device, map, register)).collect(),
    }
}

fn row(device: Device, map: &RegisterMap, register: &RegisterDecl) -> RegisterRow {
    let counts = counts(device, map, register).into_iter();
    RegisterRow {
        name: register.name,
        offset: register.offset,
        width: register.width,
        access: access(register.access),
        reset: register.reset,
        stride: register.step,
        counts: counts.map(|(since, count)| CountRow { since: device.since(since), count }).collect(),
        since: device.since(register.since.unwrap_or(map.since)),
        doc: sentence(register.doc),
        source: source(register.doc),
    }
}

fn descriptor(&(device, layout): &(Device, &Layout)) -> DescriptorRow {
    let bits = |field: &Field| BitsRow {
        name: field.name,
        dword: field.low / 32,
        lsb: field.low % 32,
        width: field.bits,
        written_by: writer(layout.writer_of(field)),
        since: device.since(layout.since_of(field)),
        doc: sentence(field.doc),
    };
    DescriptorRow {
        device: device.name(),
        name: layout.name,
        size: layout.bytes(),
        since: device.since(layout.since),
        doc: sentence(layout.doc),
        source: source(layout.doc),
        fields: layout.fields.iter().map(bits).collect(),
    }
}

fn structure(&(device, layout): &(Device, &Layout)) -> StructureRow {
    let bytes = |field: &Field| {
        let (count, of) = match field.kind {
            Kind::Uint | Kind::Bool => (1, None),
            Kind::Struct(inner) => (1, Some(inner.name)),
            Kind::Array(bits, inner) => (field.bits / bits, inner.map(|inner| inner.name)),
        };
        BytesRow {
            name: field.name,
            offset: field.low / 8,
            size: field.bits / 8,
            count,
            of,
            written_by: writer(layout.writer_of(field)),
            since: device.since(layout.since_of(field)),
            doc: sentence(field.doc),
        }
    };
    StructureRow {
        device: device.name(),
        name: layout.name,
        size: layout.bytes(),
        since: device.since(layout.since),
        doc: sentence(layout.doc),
        source: source(layout.doc),
        fields: layout.fields.iter().map(bytes).collect(),
    }
}

fn union(overlay: &Overlay) -> UnionRow {
    UnionRow {
        device: Device::Vmxnet3.name(),
        name: overlay.name,
        size: overlay.bytes,
        within: overlay.place.map(|place| place.0),
        field: overlay.place.map(|place| place.1),
        doc: sentence(overlay.doc),
        source: source(overlay.doc),
        members: overlay.members.iter().map(|&(name, layout)| MemberRow { name, of: layout.name }).collect(),
    }
}

fn group(&(device, constants): &(Device, &'static Constants)) -> GroupRow {
    let values = constants.rows.iter().map(|constant| ValueRow {
        name: constant.name.to_string(),
        value: constant.value,
        since: device.since(constant.since),
        doc: sentence(constant.doc),
    });
    GroupRow {
        device: device.name(),
        name: constants.name,
        doc: sentence(constants.doc),
        source: source(constants.doc),
        values: values.collect(),
    }
}

/// The sets of codes that are no commands.
fn errors() -> impl Iterator<Item = GroupRow> {
    codes().into_iter().filter(|set| !set.title.ends_with("commands")).map(|set| GroupRow {
        device: set.device.name(),
        name: set.title,
        doc: String::new(),
        source: None,
        values: set
            .rows
            .iter()
            .map(|&(value, name, doc)| ValueRow {
                name: format!("{}{name}", set.prefix),
                value,
                since: set.device.since(1),
                doc: sentence(doc),
            })
            .collect(),
    })
}

fn capabilities() -> impl Iterator<Item = CapabilityRow> {
    let layout = Capabilities::LAYOUT;
    layout.fields.iter().filter(|field| !field.is_reserved()).map(|field| CapabilityRow {
        name: field.name,
        bit: field.low,
        since: layout.since_of(field),
        doc: sentence(field.doc),
    })
}

fn commands() -> impl Iterator<Item = CommandRow> {
    codes().into_iter().filter(|set| set.title.ends_with("commands")).flat_map(|set| {
        let device = set.device;
        set.rows.into_iter().map(move |(code, name, doc)| {
            let command = u32::try_from(code).ok().filter(|_| device == Device::Vmxnet3).map(Command::from);
            let interface = command.and_then(Command::call);
            CommandRow {
                device: device.name(),
                name,
                alias: interface.and_then(|call| call.alias),
                code,
                since: command.map(Command::since),
                doc: sentence(doc),
                call: interface.map(call),
            }
        })
    })
}

fn call(call: &'static Call) -> CallRow {
    let (reads, parameter, pointed) = match call.parameter {
        Parameter::None => (vec![], None, false),
        Parameter::Fields(fields) => (fields.to_vec(), None, false),
        Parameter::CmdInfo(layout) => (vec!["cu.cmdInfo"], Some(layout.name), false),
        Parameter::Block(field, layout) => (vec![field], Some(layout.name), true),
    };
    let (answer, word) = match call.answer {
        Answer::Status => ("status", None),
        Answer::Zero => ("zero", None),
        Answer::Word(layout) => ("word", Some(layout.name)),
        Answer::Number(what) => (what, None),
    };
    let kind = if call.command.code() >= FIRST_GET { "get" } else { "set" };
    let (writes, refuses) = (call.writes, call.refuses);
    CallRow { kind, when: when(call.when), reads, parameter, pointed, answer, word, writes, refuses }
}

fn rule(clause: &Clause) -> ClauseRow {
    let &Clause { id, sentence, source, strength, judge } = clause;
    ClauseRow { id, sentence, source, strength: strength.name(), judge: judge.name() }
}

/// A table of the document: a row is a line, so that a change of one is seen as a change of one.
fn table<T: Serialize>(out: &mut String, name: &str, rows: impl IntoIterator<Item = T>) {
    let rows: Vec<_> = rows.into_iter().map(|row| format!("    {}", line(&row))).collect();
    out.push_str(&format!(",\n  {}: [\n{}\n  ]", line(&name), rows.join(",\n")));
}

fn line<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists are JSON")
}

/// Everything.
pub fn all() -> String {
    let mut out = format!("{{\n  \"schema\": {SCHEMA}");
    table(&mut out, "versions", VERSIONS.iter().map(version));
    table(&mut out, "pages", REGISTERS.iter().map(page));
    table(&mut out, "descriptors", DESCRIPTORS.iter().map(descriptor));
    table(&mut out, "structures", STRUCTURES.iter().map(structure));
    table(&mut out, "unions", OVERLAYS.iter().map(union));
    table(&mut out, "constants", CONSTANTS.iter().map(group).chain(errors()));
    table(&mut out, "limits", LIMITS.iter().map(group));
    table(&mut out, "capabilities", capabilities());
    table(&mut out, "commands", commands());
    table(&mut out, "clauses", clause::ALL.iter().map(rule));
    out.push_str("\n}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn find<'a>(table: &'a Value, name: &str) -> &'a Value {
        table.as_array().expect("a table").iter().find(|row| row["name"] == name).expect("a row")
    }

    #[test]
    fn rows_say_what_the_declarations_say() {
        let all: Value = serde_json::from_str(&all()).expect("JSON");
        let shared = find(&all["structures"], "Vmxnet3_DriverShared");
        assert_eq!((&shared["size"], &find(&shared["fields"], "ecr")["offset"]), (&800.into(), &696.into()));
        assert_eq!(find(&shared["fields"], "ecr")["written_by"], "device");
        let gen_ = find(&find(&all["descriptors"], "Vmxnet3_TxDesc")["fields"], "gen").clone();
        assert_eq!((&gen_["dword"], &gen_["lsb"], &gen_["width"]), (&2.into(), &14.into(), &1.into()));
        let imr = &find(&all["pages"], "BAR0")["registers"][0];
        assert_eq!(imr["counts"][1]["count"], 65);
        let command = find(&all["commands"], "SET_COALESCE");
        assert_eq!((&command["since"], &command["call"]["parameter"]), (&3.into(), &"Vmxnet3_CoalesceScheme".into()));
        assert_eq!(find(&all["commands"], "CMD_OPEN")["since"], Value::Null);
        assert_eq!(find(&all["capabilities"], "LARGE_BAR")["bit"], 16);
        let errors = find(&all["constants"], "VMXNET3 reasons of a stopped queue");
        assert_eq!(find(&errors["values"], "VMXNET3_ERR_TXD_INVALID")["value"], 0x8000_0007u32);
        assert_eq!(all["clauses"].as_array().map(Vec::len), Some(clause::COUNT));
    }
}
