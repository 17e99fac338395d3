//! Dumps as text: every field by the name that the specification gives it.

mod capture;
mod ethtool;
mod frames;
mod memory;
mod recording;
mod stream;
mod trace;

use crate::dump::Dump;
use crate::import::{ImportError, Lspci};
use spec::layout::{Layout, number};
use std::fmt::Write;
use std::path::Path;

pub use capture::capture;
pub use ethtool::ethtool;
pub use frames::{frame, frames, headers};
pub use memory::memory;
pub use recording::{lines, recording};
pub use stream::stream;
pub(crate) use trace::place;
pub use trace::{access, trace};

/// Decodes a file or a folder, whatever it is.
pub fn show(path: &Path) -> Result<String, ImportError> {
    dump(&Dump::open(path)?)
}

/// Decodes the bytes of one file, whatever it is; `file` names it in errors.
pub fn show_bytes(file: &str, bytes: &[u8]) -> Result<String, ImportError> {
    dump(&Dump::read(file, bytes)?)
}

/// A parsed dump as text.
pub fn dump(dump: &Dump) -> Result<String, ImportError> {
    Ok(match dump {
        Dump::Recording(recorded) => recording(recorded)?,
        Dump::Stream(section) => stream(section),
        Dump::Memory(image) => memory(image),
        Dump::Ethtool(registers) => ethtool(registers),
        Dump::Trace(log) => trace(log),
        Dump::Frames(recorded) => frames(recorded),
        Dump::Lspci(device) => lspci(device),
        Dump::Capture(all) => capture(all),
    })
}

/// A device listing: identity and BARs.
pub fn lspci(device: &Lspci) -> String {
    let mut page = Page::default();
    page.heading(&format!("device {}", device.slot));
    if let Some((vendor, id)) = device.identity() {
        page.line("identity", format!("{vendor:04x}:{id:04x}"));
    }
    for bar in 0..6 {
        if let Some(base) = device.base(bar) {
            let size = device.regions[bar].map_or(String::new(), |(_, size)| format!(" + {size:#x}"));
            page.line(&format!("BAR{bar}"), format!("{base:#x}{size}"));
        }
    }
    page.line("configuration space", format!("{} bytes", device.config.len()));
    page.text
}

/// A page of `name value` lines under headings.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn heading(&mut self, text: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "{gap}{text}");
    }

    pub(crate) fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "  {name:<36} {value}");
    }

    /// The leaves of a declared structure. Reserved leaves and zero array elements are left out.
    pub(crate) fn structure(&mut self, layout: &'static Layout, bytes: &[u8]) {
        for leaf in layout.decode(bytes) {
            let idle = leaf.value == 0 && (leaf.field.is_reserved() || leaf.path.ends_with(']'));
            if !idle {
                self.line(&leaf.path, number(leaf.value));
            }
        }
    }
}

/// `aa:bb:cc:dd:ee:ff`.
pub(crate) fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Numbers in ascending order as ranges: `0 3-5 9`, or `none`.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let shown = runs.iter().map(|&(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") });
    let shown = shown.collect::<Vec<_>>().join(" ");
    if shown.is_empty() { "none".into() } else { shown }
}

/// The names of set bits, then what no name covers.
pub(crate) fn flags(value: u32, names: &[(u32, &str)]) -> String {
    let mut shown: Vec<String> =
        names.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| (*name).into()).collect();
    let rest = names.iter().fold(value, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        shown.push(format!("{rest:#x}"));
    }
    if shown.is_empty() { "none".into() } else { shown.join(" ") }
}
