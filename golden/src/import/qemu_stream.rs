//! QEMU's migration stream, read by the JSON description that ends it.
//!
//! The device sections stand last, in the description's order, just before the end mark, so they are found backwards
//! from there: what RAM put in between has a format that the description does not give, and is never looked at.
//! Fields can be given other values; what is not a field of that section goes through untouched.
//! Every header, footer and size on the way has to agree with the description.
//!
//! Source: QEMU docs/devel/migration, migration/savevm.c (section types), vmstate.c (description).

use super::{ImportError, Rule};
use serde::Deserialize;
use std::ops::Range;

/// "QEVM".
const MAGIC: u32 = 0x5145_564d;
const VERSION: u32 = 3;
const EOF: u8 = 0x00;
const START: u8 = 0x01;
const FULL: u8 = 0x04;
const SUBSECTION: u8 = 0x05;
const DESCRIPTION: u8 = 0x06;
const CONFIGURATION: u8 = 0x07;
const FOOTER: u8 = 0x7e;
/// Values in one section's tree. A `vmxnet3` section has under a thousand.
const MAX_NODES: usize = 1 << 16;
/// Letters of a field's name or type in the description.
const MAX_NAME: usize = 255;

/// A value in a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An unsigned integer or a bool.
    Uint(u64),
    /// A signed integer.
    Int(i64),
    /// Bytes whose meaning the description does not give.
    Bytes(Vec<u8>),
    /// Fields, then subsections.
    Struct(Vec<Node>),
    /// Elements, with empty names.
    Array(Vec<Node>),
}

/// A named value and where it stands in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name in the description; empty for an array's element.
    pub name: String,
    /// The type in the description, as `uint32`, `pci config` or `struct`.
    pub kind: String,
    /// First byte, counted from the start of the stream.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// What it holds.
    pub value: Value,
}

impl Node {
    /// The nodes directly inside this one.
    pub fn children(&self) -> &[Node] {
        match &self.value {
            Value::Struct(nodes) | Value::Array(nodes) => nodes,
            _ => &[],
        }
    }

    /// The field called `name` directly inside this one.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.children().iter().find(|node| node.name == name)
    }

    /// Every leaf with its dotted path, in stream order.
    pub fn leaves(&self) -> Vec<(String, &Node)> {
        let mut leaves = Vec::new();
        self.leaves_into(self.name.clone(), &mut leaves);
        leaves
    }

    /// Calls `change` with the dotted path and the value of every leaf, in stream order.
    pub fn change_leaves(&mut self, change: &mut dyn FnMut(&str, &mut Value)) {
        self.change_below(&self.name.clone(), change);
    }

    fn change_below(&mut self, path: &str, change: &mut dyn FnMut(&str, &mut Value)) {
        match &mut self.value {
            Value::Struct(nodes) => {
                let dot = if path.is_empty() { "" } else { "." };
                for node in nodes {
                    node.change_below(&format!("{path}{dot}{}", node.name), change);
                }
            }
            Value::Array(nodes) => {
                for (i, node) in nodes.iter_mut().enumerate() {
                    node.change_below(&format!("{path}[{i}]"), change);
                }
            }
            leaf => change(path, leaf),
        }
    }

    fn leaves_into<'a>(&'a self, path: String, leaves: &mut Vec<(String, &'a Node)>) {
        match &self.value {
            Value::Struct(nodes) => {
                for node in nodes {
                    let dot = if path.is_empty() { "" } else { "." };
                    node.leaves_into(format!("{path}{dot}{}", node.name), leaves);
                }
            }
            Value::Array(nodes) => {
                for (i, node) in nodes.iter().enumerate() {
                    node.leaves_into(format!("{path}[{i}]"), leaves);
                }
            }
            _ => leaves.push((path, self)),
        }
    }
}

/// One device's section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Such as `0000:00:03.0/vmxnet3`.
    pub name: String,
    /// Which of the devices of that name.
    pub instance: u32,
    /// The kind of device, such as `vmxnet3`; absent for devices without a described state.
    pub vmsd: Option<String>,
    /// Version of the saved layout.
    pub version: u32,
    /// Number of the section.
    pub id: u32,
    /// The saved bytes.
    pub payload: Range<usize>,
    /// Which entry of the description this is.
    entry: usize,
}

/// A stream whose sections have been found.
#[derive(Debug)]
pub struct Stream<'a> {
    file: String,
    bytes: &'a [u8],
    /// The machine type, such as `pc-i440fx-11.1`.
    pub machine: String,
    /// The device sections, in stream order, as far back from the end as stream and description agree.
    pub sections: Vec<Section>,
    /// Why nothing before them was found. Devices saved early stand before RAM, so this need not be damage.
    pub stopped: Option<ImportError>,
    description: Description,
}

#[derive(Debug, Deserialize)]
struct Description {
    devices: Vec<Device>,
}

#[derive(Debug, Deserialize)]
struct Device {
    name: String,
    instance_id: u32,
    vmsd_name: Option<String>,
    version: Option<u32>,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    subsections: Vec<Shape>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    array_len: Option<u64>,
    index: Option<u64>,
    #[serde(rename = "struct")]
    inner: Option<Shape>,
}

#[derive(Debug, Deserialize)]
struct Shape {
    vmsd_name: String,
    version: u32,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    subsections: Vec<Shape>,
}

/// Finds the device sections of a migration stream.
pub fn parse<'a>(file: &str, bytes: &'a [u8]) -> Result<Stream<'a>, ImportError> {
    let at = Place { file, bytes };
    let magic = at.u32(0, "magic")?;
    at.require(0, "magic", u64::from(magic), u64::from(MAGIC))?;
    let version = at.u32(4, "version")?;
    at.require(4, "version", u64::from(version), u64::from(VERSION))?;
    let machine = machine(at)?;
    let (text, end) = description(at)?;
    let description: Description = serde_json::from_slice(&bytes[text.clone()]).map_err(|error| ImportError::Json {
        file: file.into(),
        offset: text.start,
        line: error.line(),
        column: error.column(),
        what: match error.classify() {
            serde_json::error::Category::Data => "a field",
            serde_json::error::Category::Eof => "the end",
            _ => "the syntax",
        },
    })?;
    let mut stream = Stream { file: file.into(), bytes, machine, sections: Vec::new(), stopped: None, description };
    (stream.sections, stream.stopped) = sections(at, &stream.description.devices, end);
    Ok(stream)
}

impl Stream<'_> {
    /// The sections of one kind of device.
    ///
    /// Fails with the reason the search stopped when there is none.
    pub fn of_kind(&self, vmsd: &str) -> Result<Vec<&Section>, ImportError> {
        let found: Vec<_> = self.sections.iter().filter(|section| section.vmsd.as_deref() == Some(vmsd)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let none =
            ImportError::NoField { file: self.file.clone(), offset: self.bytes.len(), field: format!("device {vmsd}") };
        Err(self.stopped.clone().unwrap_or(none))
    }

    /// One section as a tree of named values.
    pub fn tree(&self, section: &Section) -> Result<Node, ImportError> {
        let device = &self.description.devices[section.entry];
        let mut walk = Walk { at: Place { file: &self.file, bytes: self.bytes }, nodes: 0 };
        let end = section.payload.end;
        let (value, at) = walk.shape(&device.fields, &device.subsections, section.payload.start, end, &device.name)?;
        let left = (end - at) as u64;
        walk.at.require(at, &format!("{}: bytes left over", device.name), left, 0)?;
        let (offset, bytes) = (section.payload.start, section.payload.len());
        Ok(Node { name: String::new(), kind: "device".into(), offset, bytes, value })
    }

    /// The whole stream with the values of `tree` in `section`; every other byte stays as it is.
    ///
    /// # Errors
    /// When `tree` has not the section's fields in their order, or a value does not fit its field.
    pub fn with(&self, section: &Section, tree: &Node) -> Result<Vec<u8>, ImportError> {
        let recorded = self.tree(section)?;
        let (fields, mut values) = (recorded.leaves(), tree.leaves().into_iter());
        let mut bytes = self.bytes.to_vec();
        for (path, field) in fields {
            let none = || ImportError::NoField { file: self.file.clone(), offset: field.offset, field: path.clone() };
            let (_, value) = values.next().filter(|(named, _)| *named == path).ok_or_else(none)?;
            let into = &mut bytes[field.offset..field.offset + field.bytes];
            encode(&value.value, into)
                .map_err(|(value, rule)| ImportError::value(&self.file, field.offset, &path, value, rule))?;
        }
        match values.next() {
            None => Ok(bytes),
            Some((field, _)) => {
                Err(ImportError::NoField { file: self.file.clone(), offset: section.payload.end, field })
            }
        }
    }
}

/// Puts a leaf's value as the stream has it; or says what does not fit, and why.
fn encode(value: &Value, into: &mut [u8]) -> Result<(), (u64, Rule)> {
    let bits = 8 * into.len().min(8) as u32;
    let most = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
    let encoded = match value {
        Value::Uint(value) if *value > most => return Err((*value, Rule::AtMost(most))),
        Value::Uint(value) => *value,
        // Signed values keep their sign in the bits that are left.
        Value::Int(value) if bits < 64 && !(-1 << (bits - 1)..1 << (bits - 1)).contains(value) => {
            return Err((*value as u64, Rule::AtMost(most >> 1)));
        }
        Value::Int(value) => *value as u64,
        Value::Bytes(bytes) if bytes.len() == into.len() => {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        Value::Bytes(bytes) => return Err((bytes.len() as u64, Rule::Is(into.len() as u64))),
        Value::Struct(_) | Value::Array(_) => return Ok(()),
    };
    let big_endian = encoded.to_be_bytes();
    let from = big_endian.len().saturating_sub(into.len());
    into.copy_from_slice(big_endian.get(from..).unwrap_or_default());
    Ok(())
}

/// The file and its bytes, for reads that fail with a place.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    bytes: &'a [u8],
}

impl<'a> Place<'a> {
    fn slice(self, offset: usize, len: u64, field: &str) -> Result<&'a [u8], ImportError> {
        let have = self.bytes.len().saturating_sub(offset);
        let len = usize::try_from(len).ok().filter(|&len| len <= have);
        let len = len.ok_or_else(|| {
            ImportError::truncated(self.file, offset, field, len.map_or(u64::MAX, |l| l as u64), have)
        })?;
        Ok(&self.bytes[offset..offset + len])
    }

    fn u8(self, offset: usize, field: &str) -> Result<u8, ImportError> {
        Ok(self.slice(offset, 1, field)?[0])
    }

    fn u32(self, offset: usize, field: &str) -> Result<u32, ImportError> {
        Ok(big_endian(self.slice(offset, 4, field)?) as u32)
    }

    fn require(self, offset: usize, field: &str, value: u64, expected: u64) -> Result<(), ImportError> {
        if value == expected {
            return Ok(());
        }
        Err(ImportError::value(self.file, offset, field, value, Rule::Is(expected)))
    }

    fn text(self, offset: usize, text: &str, field: &str) -> Result<(), ImportError> {
        if self.slice(offset, text.len() as u64, field)? == text.as_bytes() {
            return Ok(());
        }
        let first = u64::from(self.bytes[offset]);
        Err(ImportError::value(
            self.file,
            offset,
            format!("{field}: first byte"),
            first,
            Rule::Says("does not begin the name described"),
        ))
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The machine type in the configuration section; streams of machines that send none have an empty one.
fn machine(at: Place<'_>) -> Result<String, ImportError> {
    if at.u8(8, "first section")? != CONFIGURATION {
        return Ok(String::new());
    }
    let len = at.u32(9, "configuration.len")?;
    let name = at.slice(13, u64::from(len), "configuration.name")?;
    if len > 255 {
        return Err(ImportError::value(at.file, 9, "configuration.len", u64::from(len), Rule::AtMost(255)));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Where the description's text stands, and where the end mark before it does.
///
/// The text holds no byte below space, so the last candidate whose length reaches the end of the file is the one.
fn description(at: Place<'_>) -> Result<(Range<usize>, usize), ImportError> {
    let len = at.bytes.len();
    for start in (14..len).rev() {
        let text = len - start;
        if at.bytes[start - 5] == DESCRIPTION
            && at.bytes[start - 6] == EOF
            && at.bytes[start] == b'{'
            && big_endian(&at.bytes[start - 4..start]) == text as u64
        {
            return Ok((start..len, start - 6));
        }
    }
    Err(ImportError::NoField {
        file: at.file.into(),
        offset: len,
        field: "description (0x06 section at the end)".into(),
    })
}

/// Walks the described sections backwards from the end mark at `end`, to the first that is not where it should be.
fn sections(at: Place<'_>, devices: &[Device], mut end: usize) -> (Vec<Section>, Option<ImportError>) {
    let mut found = Vec::new();
    let mut stopped = None;
    for (entry, device) in devices.iter().enumerate().rev() {
        match section(at, device, entry, end) {
            Ok((section, from)) => {
                found.push(section);
                end = from;
            }
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    found.reverse();
    (found, stopped)
}

/// The section that ends at `end`, and where it begins: header and footer have to stand where its size puts them.
fn section(at: Place<'_>, device: &Device, entry: usize, end: usize) -> Result<(Section, usize), ImportError> {
    let payload = total(at, end, &device.name, &device.fields, &device.subsections)?;
    let room = end.checked_sub(1 + 4 + 1 + device.name.len() + 4 + 4 + 5).filter(|&room| room as u64 >= payload);
    let room = room.ok_or_else(|| ImportError::truncated(at.file, 0, device.name.clone(), payload, end))?;
    let from = room - payload as usize;
    let kind = at.u8(from, "section type")?;
    if !matches!(kind, FULL | START) {
        let rule = Rule::Says("must be 1 (start) or 4 (full)");
        return Err(ImportError::value(at.file, from, format!("{}: section type", device.name), u64::from(kind), rule));
    }
    let id = at.u32(from + 1, "section id")?;
    let name = from + 6;
    at.require(
        from + 5,
        "section name length",
        u64::from(at.u8(from + 5, "section name length")?),
        device.name.len() as u64,
    )?;
    at.text(name, &device.name, "section name")?;
    let after = name + device.name.len();
    let instance = at.u32(after, "instance id")?;
    at.require(after, "instance id", u64::from(instance), u64::from(device.instance_id))?;
    let version = at.u32(after + 4, "section version")?;
    if let Some(described) = device.version {
        at.require(after + 4, "section version", u64::from(version), u64::from(described))?;
    }
    let footer = after + 8 + payload as usize;
    at.require(footer, "section footer", u64::from(at.u8(footer, "section footer")?), u64::from(FOOTER))?;
    at.require(footer + 1, "footer section id", u64::from(at.u32(footer + 1, "footer section id")?), u64::from(id))?;
    let (name, vmsd) = (device.name.clone(), device.vmsd_name.clone());
    Ok((Section { name, instance, vmsd, version, id, payload: after + 8..footer, entry }, from))
}

/// The described length of fields and subsections; each structure's own size has to be the sum of its parts.
fn total(at: Place<'_>, end: usize, name: &str, fields: &[Field], subsections: &[Shape]) -> Result<u64, ImportError> {
    let mut sum = 0u64;
    for field in fields {
        let longest = field.name.len().max(field.kind.len());
        if longest > MAX_NAME {
            let rule = Rule::AtMost(MAX_NAME as u64);
            return Err(ImportError::value(at.file, end, "description: length of a name", longest as u64, rule));
        }
        if let Some(inner) = &field.inner {
            let parts = total(at, end, &field.name, &inner.fields, &inner.subsections)?;
            at.require(end, &format!("description: size of {name}.{}", field.name), field.size, parts)?;
        }
        let bytes = field.size.checked_mul(field.array_len.unwrap_or(1));
        sum = bytes.and_then(|bytes| sum.checked_add(bytes)).ok_or_else(|| {
            ImportError::value(
                at.file,
                end,
                format!("description: size of {name}.{}", field.name),
                field.size,
                Rule::AtMost(end as u64),
            )
        })?;
    }
    for subsection in subsections {
        let parts = total(at, end, &subsection.vmsd_name, &subsection.fields, &subsection.subsections)?;
        sum = sum.saturating_add(parts).saturating_add(6 + subsection.vmsd_name.len() as u64);
    }
    Ok(sum)
}

struct Walk<'a> {
    at: Place<'a>,
    nodes: usize,
}

impl Walk<'_> {
    /// Fields, then subsections. Recursion is as deep as the JSON, which the JSON reader bounds.
    fn shape(
        &mut self,
        fields: &[Field],
        subsections: &[Shape],
        mut offset: usize,
        end: usize,
        path: &str,
    ) -> Result<(Value, usize), ImportError> {
        let mut nodes = Vec::new();
        for field in fields {
            let node = self.field(field, offset, end, path)?;
            offset += node.bytes;
            nodes.push(node);
        }
        for subsection in subsections {
            let (name, from) = (&subsection.vmsd_name, offset);
            let kind = u64::from(self.at.u8(offset, "subsection mark")?);
            self.at.require(offset, "subsection mark", kind, u64::from(SUBSECTION))?;
            let len = u64::from(self.at.u8(offset + 1, "subsection name length")?);
            self.at.require(offset + 1, "subsection name length", len, name.len() as u64)?;
            self.at.text(offset + 2, name, "subsection name")?;
            offset += 2 + name.len();
            let version = u64::from(self.at.u32(offset, "subsection version")?);
            self.at.require(offset, &format!("{name}: version"), version, u64::from(subsection.version))?;
            let (value, after) = self.shape(&subsection.fields, &subsection.subsections, offset + 4, end, name)?;
            nodes.push(Node {
                name: name.clone(),
                kind: "subsection".into(),
                offset: from,
                bytes: after - from,
                value,
            });
            offset = after;
        }
        Ok((Value::Struct(nodes), offset))
    }

    fn field(&mut self, field: &Field, offset: usize, end: usize, path: &str) -> Result<Node, ImportError> {
        let name = match field.index {
            Some(index) => format!("{}[{index}]", field.name),
            None => field.name.clone(),
        };
        let path = format!("{path}.{name}");
        let count = field.array_len.unwrap_or(1);
        let need = field.size.saturating_mul(count);
        let have = end.saturating_sub(offset);
        if need > have as u64 {
            return Err(ImportError::truncated(self.at.file, offset, path, need, have));
        }
        let size = field.size as usize;
        let (kind, bytes) = (field.kind.clone(), need as usize);
        let value = match field.array_len {
            None => self.element(field, size, offset, &path)?,
            Some(_) if size == 0 => Value::Array(Vec::new()),
            Some(_) => {
                let mut elements = Vec::new();
                for i in 0..count as usize {
                    let offset = offset + i * size;
                    let value = self.element(field, size, offset, &path)?;
                    elements.push(Node { name: String::new(), kind: kind.clone(), offset, bytes: size, value });
                }
                Value::Array(elements)
            }
        };
        Ok(Node { name, kind, offset, bytes, value })
    }

    fn element(&mut self, field: &Field, size: usize, offset: usize, path: &str) -> Result<Value, ImportError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let rule = Rule::AtMost(MAX_NODES as u64);
            return Err(ImportError::value(
                self.at.file,
                offset,
                format!("{path}: values in the section"),
                self.nodes as u64,
                rule,
            ));
        }
        let bytes = self.at.slice(offset, size as u64, path)?;
        if let Some(inner) = &field.inner {
            let (value, after) = self.shape(&inner.fields, &inner.subsections, offset, offset + size, path)?;
            self.at.require(offset, &format!("{path}: size"), (after - offset) as u64, size as u64)?;
            return Ok(value);
        }
        let word = field.kind.split(' ').next().unwrap_or_default();
        let (width, signed) = match word {
            "bool" | "uint8" => (1, false),
            "uint16" => (2, false),
            "uint32" => (4, false),
            "uint64" => (8, false),
            "int8" => (1, true),
            "int16" => (2, true),
            "int32" => (4, true),
            "int64" => (8, true),
            _ => return Ok(Value::Bytes(bytes.to_vec())),
        };
        self.at.require(offset, &format!("{path}: size of a {word}"), size as u64, width)?;
        let value = big_endian(bytes);
        let unused = 64 - 8 * width as u32;
        Ok(if signed { Value::Int((value << unused) as i64 >> unused) } else { Value::Uint(value) })
    }
}
