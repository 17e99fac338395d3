//! The tables for C and C++: structures with an assertion on every size and offset, and the places of bits as numbers, so that no
//! compiler's bit-field order matters.

use super::tables::{CONSTANTS, DESCRIPTORS, Device, LIMITS, REGISTERS, STRUCTURES, codes, counts};
use crate::constants::Constants;
use crate::layout::{Field, Kind, Layout};
use crate::vmxnet3::call::CALLS;
use crate::vmxnet3::dev_read::{OVERLAYS, Overlay};
use std::collections::BTreeSet;
use std::fmt::Write;

const OPENING: &str = "/* Generated from the tables of vnic-spec; do not edit. C11 and C++17.
 *
 * Multi-byte values are little-endian. Structures lie as the device sees them, padding included. Of what is one integer the
 * places of bits are given: X_DWORD is the 32-bit word, X_LSB the lowest bit in it, X_WIDTH the number of bits. */
#ifndef VNIC_SPEC_H
#define VNIC_SPEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VNIC_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define VNIC_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif
";

/// A C name in upper case: words as the vendor's capitals part them, everything else an underscore.
fn upper(text: &str) -> String {
    let mut out = String::new();
    let mut lower = false;
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() {
            if !out.ends_with('_') {
                out.push('_');
            }
            lower = false;
            continue;
        }
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = !c.is_ascii_uppercase();
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// A C name of a structure or a field, with the vendor's capitals.
fn tag(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn number(value: u64) -> String {
    match value {
        0..0x1_0000 => format!("{value}u"),
        0x1_0000..=0xffff_ffff => format!("{value:#x}u"),
        _ => format!("{value:#x}ull"),
    }
}

/// Definitions, each name once: a register of two pages, and a number that two tables have, is the same thing.
#[derive(Default)]
struct Header {
    text: String,
    defined: BTreeSet<String>,
    declared: BTreeSet<&'static str>,
}

impl Header {
    fn comment(&mut self, text: &str) {
        let _ = write!(self.text, "\n/* {text} */\n");
    }

    fn define(&mut self, name: &str, value: u64) {
        if self.defined.insert(name.to_string()) {
            let _ = writeln!(self.text, "#define {name} {}", number(value));
        }
    }

    fn assert(&mut self, condition: &str) {
        let _ = writeln!(self.text, "VNIC_STATIC_ASSERT({condition}, {condition:?});");
    }

    fn registers(&mut self) {
        for &(device, map) in REGISTERS {
            self.comment(&format!("{} {}, byte offsets", device.name(), map.name));
            let page = format!("{}_{}", device.name(), upper(map.name));
            self.define(&format!("{page}_BYTES"), map.bytes.into());
            for register in map.registers {
                let name = match device {
                    Device::Vmxnet3 => format!("VMXNET3_REG_{}", register.name),
                    Device::Vic => format!("{page}_{}", upper(register.name)),
                };
                if self.defined.contains(&name) {
                    continue;
                }
                self.define(&name, register.offset.into());
                let counts = counts(device, map, register);
                if counts.iter().any(|count| count.1 > 1) {
                    self.define(&format!("{name}_STEP"), register.step.into());
                    for (since, count) in counts {
                        let from = if since > map.since { format!("_V{since}") } else { String::new() };
                        self.define(&format!("{name}_COUNT{from}"), count.into());
                        self.assert(&format!("{name} + ({name}_COUNT{from} - 1u) * {name}_STEP < {page}_BYTES"));
                    }
                }
            }
        }
    }

    /// The type of a value of `layout`: an integer of its size, or the structure.
    fn word(layout: &Layout) -> String {
        match layout.bits {
            bits @ (8 | 16 | 32 | 64) if is_word(layout) => format!("uint{bits}_t"),
            _ => format!("struct {}", tag(layout.name)),
        }
    }

    fn descriptors(&mut self) {
        for &(device, layout) in DESCRIPTORS {
            self.comment(&format!("{}: bits", layout.name));
            let own = layout.name.trim_start_matches("Vmxnet3").trim_start_matches('_');
            let prefix = format!("{}_{}", device.name(), upper(own));
            self.define(&format!("{prefix}_BYTES"), layout.bytes() as u64);
            for field in layout.fields.iter().filter(|field| !field.is_reserved()) {
                let name = format!("{prefix}_{}", upper(field.name));
                self.define(&format!("{name}_DWORD"), (field.low / 32).into());
                self.define(&format!("{name}_LSB"), (field.low % 32).into());
                self.define(&format!("{name}_WIDTH"), field.bits.into());
                self.assert(&format!("{name}_DWORD * 32u + {name}_LSB + {name}_WIDTH <= {prefix}_BYTES * 8u"));
            }
            if layout.bits > 64 {
                self.cells(layout);
            }
        }
    }

    /// A descriptor as the dwords that its bits are counted in.
    fn cells(&mut self, layout: &'static Layout) {
        self.declared.insert(layout.name);
        let name = tag(layout.name);
        let _ = writeln!(self.text, "struct {name} {{\n    uint32_t dword[{}];\n}};", layout.bits / 32);
        self.assert(&format!("sizeof(struct {name}) == {}", number(layout.bytes() as u64)));
    }

    /// `layout`, behind whatever lies in it.
    fn structure(&mut self, layout: &'static Layout) {
        if is_word(layout) || !self.declared.insert(layout.name) {
            return;
        }
        for field in layout.fields {
            match (field.kind, overlay(layout, field)) {
                (_, Some(overlay)) => self.union(overlay),
                (Kind::Struct(inner) | Kind::Array(_, Some(inner)), _) => self.structure(inner),
                _ => {}
            }
        }
        self.comment(layout.name);
        let name = tag(layout.name);
        let _ = writeln!(self.text, "struct {name} {{");
        for field in layout.fields {
            let line = match field.name.split_once('.') {
                Some((outer, inner)) => format!("struct {{ {} }} {};", member(layout, field, inner), tag(outer)),
                None => member(layout, field, field.name),
            };
            let _ = writeln!(self.text, "    {line}");
        }
        self.text.push_str("};\n");
        self.assert(&format!("sizeof(struct {name}) == {}", number(layout.bytes() as u64)));
        for field in layout.fields {
            let path: Vec<_> = field.name.split('.').map(tag).collect();
            let (path, at, size) = (path.join("."), field.low / 8, field.bits / 8);
            self.assert(&format!("offsetof(struct {name}, {path}) == {}", number(at.into())));
            self.assert(&format!("sizeof(((struct {name} *)0)->{path}) == {}", number(size.into())));
        }
    }

    fn union(&mut self, overlay: &'static Overlay) {
        if !self.declared.insert(overlay.name) {
            return;
        }
        overlay.members.iter().for_each(|member| self.structure(member.1));
        self.comment(overlay.name);
        let name = tag(overlay.name);
        let _ = writeln!(self.text, "union {name} {{");
        for (member, layout) in overlay.members {
            let _ = writeln!(self.text, "    {} {};", Self::word(layout), tag(member));
        }
        self.text.push_str("};\n");
        self.assert(&format!("sizeof(union {name}) == {}", number(overlay.bytes as u64)));
    }

    fn constants(&mut self, tables: &[(Device, &'static Constants)]) {
        for (device, constants) in tables {
            self.comment(&format!("{}: {}", device.name(), super::sentence(constants.doc)));
            for constant in constants.rows {
                let owned = ["PCI_", "VNIC_", "ENIC_"].iter().any(|prefix| constant.name.starts_with(prefix));
                let name = match device {
                    Device::Vic if !owned => format!("VIC_{}", constant.name),
                    _ => constant.name.to_string(),
                };
                self.define(&name, constant.value);
            }
        }
    }

    fn codes(&mut self) {
        for set in codes() {
            self.comment(set.title);
            for (code, name, _) in set.rows {
                self.define(&format!("{}{name}", set.prefix), code);
            }
        }
        self.comment(
            "VMXNET3 commands by the names that other headers have, and the lowest version of those that not all have",
        );
        for call in CALLS {
            if let Some(alias) = call.alias {
                self.define(&format!("VMXNET3_CMD_{alias}"), call.command.code().into());
            }
            if call.command.since() > 1 {
                self.define(&format!("VMXNET3_CMD_{}_SINCE", call.command.name()), call.command.since().into());
            }
        }
    }
}

/// What is one integer and fits one of C's.
fn is_word(layout: &Layout) -> bool {
    DESCRIPTORS.iter().any(|row| row.1.name == layout.name) && layout.bits <= 64
}

/// The union that `field` of `layout` is.
fn overlay(layout: &Layout, field: &Field) -> Option<&'static Overlay> {
    OVERLAYS.iter().find(|overlay| overlay.place == Some((layout.name, field.name)))
}

/// A member of a structure, called `name` in it.
fn member(layout: &Layout, field: &Field, name: &str) -> String {
    let name = tag(name);
    if let Some(overlay) = overlay(layout, field) {
        return format!("union {} {name};", tag(overlay.name));
    }
    match field.kind {
        Kind::Uint | Kind::Bool => format!("uint{}_t {name};", field.bits),
        Kind::Struct(inner) => format!("{} {name};", Header::word(inner)),
        Kind::Array(bits, None) => format!("uint{bits}_t {name}[{}];", field.bits / bits),
        Kind::Array(bits, Some(inner)) => format!("{} {name}[{}];", Header::word(inner), field.bits / bits),
    }
}

/// Everything.
pub fn all() -> String {
    let mut header = Header { text: OPENING.to_string(), ..Header::default() };
    header.registers();
    header.descriptors();
    STRUCTURES.iter().for_each(|row| header.structure(row.1));
    OVERLAYS.iter().for_each(|overlay| header.union(overlay));
    header.constants(CONSTANTS);
    header.constants(LIMITS);
    header.codes();
    header.text.push_str("\n#endif\n");
    header.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_numbers() {
        let mut seen = std::collections::BTreeMap::new();
        let tables = CONSTANTS.iter().chain(LIMITS).filter(|row| row.0 == Device::Vmxnet3);
        for constant in tables.flat_map(|row| row.1.rows) {
            assert!(seen.insert(constant.name, constant.value).is_none(), "{}", constant.name);
        }
        let text = all();
        let mut names: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next()).collect();
        names.retain(|name| !name.starts_with("VNIC_STATIC_ASSERT"));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_structure_and_every_field_has_its_assertion() {
        let text = all();
        for (_, layout) in STRUCTURES {
            assert!(
                text.contains(&format!("(sizeof(struct {}) == {}u,", tag(layout.name), layout.bytes())),
                "{}",
                layout.name
            );
        }
        let fields: usize = STRUCTURES.iter().map(|row| row.1.fields.len()).sum();
        assert_eq!(text.matches("VNIC_STATIC_ASSERT(offsetof(").count(), fields);
        assert!(text.contains("VNIC_STATIC_ASSERT(offsetof(struct Vmxnet3_DriverShared, cu.cmdInfo) == 704u,"));
    }

    #[test]
    fn names_are_words_of_c() {
        assert_eq!(
            (upper("txdIdx"), upper("rqID"), upper("MSI-X PBA")),
            ("TXD_IDX".into(), "RQ_ID".into(), "MSI_X_PBA".into())
        );
        assert_eq!(tag("MSI-X Table Entry"), "MSI_X_Table_Entry");
        assert_eq!(
            (number(25), number(0x8000_0000), number(1 << 32)),
            ("25u".into(), "0x80000000u".into(), "0x100000000ull".into())
        );
    }
}
