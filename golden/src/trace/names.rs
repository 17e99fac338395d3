//! Names of registers and commands for the remarks behind a call.

use spec::event::Bar;
use spec::registers::RegisterMap;
use spec::vmxnet3::bar0::LargeBar0;
use spec::vmxnet3::{Bar1, Command};
use std::io::Write;

/// `TXPROD[3]`, `CMD`, `msix[2]+0xc`, or `+0x044` where nothing is declared.
pub(super) fn register(line: &mut Vec<u8>, bar: Bar, offset: u32) {
    let map: &RegisterMap = match bar {
        Bar::Bar0 => LargeBar0::MAP,
        Bar::Bar1 => Bar1::MAP,
        Bar::Bar2 => {
            let _ = write!(line, "msix[{}]+{:#x}", offset / 16, offset % 16);
            return;
        }
    };
    // Writing to a vector cannot fail.
    let _ = match map.at(offset) {
        Some((decl, index)) if decl.count > 1 => write!(line, "{}[{index}]", decl.name),
        Some((decl, _)) => line.write_all(decl.name.as_bytes()),
        None => write!(line, "+{offset:#05x}"),
    };
}

/// The register, and of the command register the command's name.
pub(super) fn write(line: &mut Vec<u8>, bar: Bar, offset: u32, value: u32) {
    register(line, bar, offset);
    if bar == Bar::Bar1 && Bar1::decode(offset) == Some(Bar1::Cmd) {
        line.push(b' ');
        line.extend_from_slice(Command::from(value).name().as_bytes());
    }
}
