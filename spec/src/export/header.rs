//! The tables for C: constants only, so that no compiler's bit-field order matters.

use super::{DESCRIPTORS, REGISTERS, STRUCTURES, codes};
use crate::layout::Layout;
use std::fmt::Write;

/// A C name: upper case, words as the vendor's capitals part them, everything else an underscore.
fn name(text: &str) -> String {
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

/// A structure's name behind the common prefix.
fn prefix(layout: &Layout) -> String {
    format!("VNIC_{}", name(layout.name.trim_start_matches("Vmxnet3_")))
}

/// Everything.
pub fn all() -> String {
    let mut out = String::from(
        "/* Generated from the tables of vnic-spec; do not edit. */\n#ifndef VNIC_SPEC_H\n#define VNIC_SPEC_H\n",
    );
    for (device, map) in REGISTERS {
        let _ = write!(out, "\n/* {device} {} */\n", map.name);
        for r in map.registers {
            let register = format!("{device}_{}_{}", name(map.name), name(r.name));
            let _ = writeln!(out, "#define {register} {:#x}u", r.offset);
            if r.count > 1 {
                let _ = writeln!(out, "#define {register}_COUNT {}u", r.count);
                let _ = writeln!(out, "#define {register}_STEP {:#x}u", r.step);
            }
        }
    }
    for layout in DESCRIPTORS {
        let p = prefix(layout);
        let _ = write!(out, "\n/* {}: bits */\n#define {p}_BYTES {}u\n", layout.name, layout.bytes());
        for f in layout.fields.iter().filter(|f| !f.is_reserved()) {
            let _ = writeln!(out, "#define {p}_{0}_LOW {1}u\n#define {p}_{0}_BITS {2}u", name(f.name), f.low, f.bits);
        }
    }
    for layout in STRUCTURES {
        let p = prefix(layout);
        let _ = write!(out, "\n/* {}: byte offsets */\n#define {p}_BYTES {}u\n", layout.name, layout.bytes());
        for f in layout.fields.iter().filter(|f| !f.is_reserved()) {
            let _ = writeln!(out, "#define {p}_{} {}u", name(f.name), f.low / 8);
        }
    }
    for set in codes() {
        let _ = write!(out, "\n/* {} */\n", set.title);
        for (code, code_name, _) in set.rows {
            let _ = writeln!(out, "#define {}_{} {code:#x}u", set.prefix, name(code_name));
        }
    }
    out.push_str("\n#endif\n");
    out
}
