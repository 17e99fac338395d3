//! A trace log: one line an access, registers and commands by name.

use crate::import::{Region, RegisterAccess, Trace};
use spec::layout::number;
use spec::vmxnet3::{Bar0, Bar1, Command, MsixEntry};
use std::fmt::Write;

/// Every access, then what was passed over.
pub fn trace(log: &Trace) -> String {
    let mut text = String::new();
    for entry in &log.accesses {
        let _ = writeln!(text, "{}", access(entry));
    }
    let (count, elsewhere, other) = (log.accesses.len(), log.elsewhere, log.other_events);
    let _ = writeln!(text, "{count} accesses; {elsewhere} to other regions and {other} other events not shown");
    text
}

/// `> bar1.CMD <- ACTIVATE_DEV` for a write, `< bar1.CMD -> 0` for a read.
pub fn access(entry: &RegisterAccess) -> String {
    let place = place(entry.region, entry.offset);
    let width = if entry.width == 4 { String::new() } else { format!(" ({} bytes)", entry.width) };
    if !entry.write {
        return format!("< {place} -> {}{width}", number(entry.value));
    }
    let command = u32::try_from(entry.value).ok().map(Command::from);
    let value = match command {
        Some(command) if entry.region == Region::Bar1 && Bar1::decode(entry.offset) == Some(Bar1::Cmd) => match command
        {
            Command::Unknown(code) => format!("{code:#x}"),
            known => known.name().to_string(),
        },
        _ => number(entry.value),
    };
    format!("> {place} <- {value}{width}")
}

/// A register's name: `bar0.TXPROD[0]`, `msix[2].msg_data`.
pub(crate) fn place(region: Region, offset: u32) -> String {
    match region {
        Region::Bar0 => format!("bar0.{}", Bar0::MAP.label(offset)),
        Region::Bar1 => format!("bar1.{}", Bar1::MAP.label(offset)),
        Region::MsixPba => format!("msix.pba+{offset:#x}"),
        Region::MsixTable => {
            let (entry, bit) = (offset / 16, offset % 16 * 8);
            let field = MsixEntry::LAYOUT.fields.iter().rev().find(|field| field.low <= bit);
            let (name, above) = field.map_or(("", 0), |field| (field.name, (bit - field.low) / 8));
            let above = if above == 0 { String::new() } else { format!("+{above}") };
            format!("msix[{entry}].{name}{above}")
        }
    }
}
