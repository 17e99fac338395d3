//! Register accesses in a QEMU trace log: the events `memory_region_ops_read` and `memory_region_ops_write`, of QEMU's own device,
//! and `vfio_region_read` and `vfio_region_write`, of one that another process serves or that is passed through.
//!
//! A line is `[PID@SECONDS.MICROS:]EVENT cpu N mr PTR addr 0xADDR value 0xVAL size N [name 'NAME']`. The address is
//! guest-physical, so the BARs have to be known: from a device listing, or from the names, whose lowest address rounded
//! down to a page is the base. Names came late; a log without them needs the bases.
//!
//! `vfio_region_write (NAME:regionN+0xOFFSET, 0xVAL, SIZE)` and `vfio_region_read (NAME:regionN+0xOFFSET, SIZE) = 0xVAL` name BAR and
//! offset. One device is read, the first with an access to BAR1 as wide as a register's; others are elsewhere. What the hypervisor
//! answers by itself, as MSI-X tables and mapped pages, does not show. Source: QEMU hw/vfio/trace-events, hw/vfio/region.c.

use super::lspci::Lspci;
use super::{ImportError, Rule};

/// What an access went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Region {
    /// The pass-through page.
    Bar0,
    /// The virtual-device page.
    Bar1,
    /// The MSI-X table.
    MsixTable,
    /// The MSI-X pending bits.
    MsixPba,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAccess {
    /// Line of the log, counted from 1.
    pub line: usize,
    /// A write; otherwise a read.
    pub write: bool,
    /// What it went to.
    pub region: Region,
    /// Byte offset in the region.
    pub offset: u32,
    /// Value written, or read.
    pub value: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub width: u8,
}

/// A log's accesses to the device.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trace {
    /// In order.
    pub accesses: Vec<RegisterAccess>,
    /// Accesses to other regions.
    pub elsewhere: usize,
    /// Lines of other events.
    pub other_events: usize,
}

/// Where the device's regions stand in guest-physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bases {
    /// BAR0, 4096 bytes.
    pub bar0: Option<u64>,
    /// BAR1, 4096 bytes.
    pub bar1: Option<u64>,
    /// The MSI-X table, 4096 bytes.
    pub msix_table: Option<u64>,
    /// The pending bits, 4096 bytes.
    pub msix_pba: Option<u64>,
}

/// Bytes of each region, and where the pending bits begin in BAR2.
pub(super) const PAGE: u64 = 0x1000;

impl Bases {
    /// BARs 0 and 1, and in BAR2 the table at 0 and the pending bits one page on.
    pub fn from_lspci(device: &Lspci) -> Self {
        let msix_table = device.base(2);
        let msix_pba = msix_table.and_then(|base| base.checked_add(PAGE));
        Self { bar0: device.base(0), bar1: device.base(1), msix_table, msix_pba }
    }

    /// The region a page belongs to, by the names that QEMU gives them.
    fn slot(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "vmxnet3-b0" => Some(&mut self.bar0),
            "vmxnet3-b1" => Some(&mut self.bar1),
            "msix-table" => Some(&mut self.msix_table),
            "msix-pba" => Some(&mut self.msix_pba),
            _ => None,
        }
    }

    pub(super) fn find(&self, address: u64) -> Option<(Region, u32)> {
        let named = [
            (Region::Bar0, self.bar0),
            (Region::Bar1, self.bar1),
            (Region::MsixTable, self.msix_table),
            (Region::MsixPba, self.msix_pba),
        ];
        named.into_iter().find_map(|(region, base)| {
            let offset = address.checked_sub(base?)?;
            (offset < PAGE).then_some((region, offset as u32))
        })
    }
}

/// What an event's address is relative to.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// Guest-physical memory.
    Memory,
    /// A region of a device.
    Device(&'a str, u64),
}

/// One event as it stands in the log.
struct Event<'a> {
    line: usize,
    write: bool,
    place: Place<'a>,
    address: u64,
    value: u64,
    width: u8,
    name: Option<&'a str>,
}

/// Reads a log. `bases` comes from a listing; what it leaves out is taken from the names in the log.
pub fn parse(file: &str, bytes: &[u8], mut bases: Bases) -> Result<Trace, ImportError> {
    let mut trace = Trace::default();
    let mut events = Vec::new();
    let text = super::text(file, bytes)?;
    for (i, text) in text.lines().enumerate() {
        match event(file, i + 1, text.trim())? {
            Some(event) => events.push(event),
            None if text.trim().is_empty() => {}
            None => trace.other_events += 1,
        }
    }
    let mut inferred = Bases::default();
    for event in &events {
        if let Some(base) = event.name.and_then(|name| inferred.slot(name)) {
            let page = event.address & !(PAGE - 1);
            *base = Some(base.map_or(page, |base| base.min(page)));
        }
    }
    bases = Bases {
        bar0: bases.bar0.or(inferred.bar0),
        bar1: bases.bar1.or(inferred.bar1),
        msix_table: bases.msix_table.or(inferred.msix_table),
        msix_pba: bases.msix_pba.or(inferred.msix_pba),
    };
    let bar1 = |event: &&Event<'_>| matches!(event.place, Place::Device(_, 1)) && event.width == 4;
    let device = events.iter().find(bar1).map(|event| event.place);
    for Event { line, write, place, address, value, width, .. } in events {
        let found = match (place, device) {
            (Place::Memory, _) => bases.find(address),
            (Place::Device(name, index), Some(Place::Device(ours, _))) if name == ours => region(index, address),
            (Place::Device(..), _) => None,
        };
        match found {
            Some((region, offset)) => trace.accesses.push(RegisterAccess { line, write, region, offset, value, width }),
            None => trace.elsewhere += 1,
        }
    }
    Ok(trace)
}

/// The region that a device's region `index` is at `offset`.
fn region(index: u64, offset: u64) -> Option<(Region, u32)> {
    let (region, offset) = match index {
        0 => (Region::Bar0, offset),
        1 => (Region::Bar1, offset),
        2 if offset >= PAGE => (Region::MsixPba, offset - PAGE),
        2 => (Region::MsixTable, offset),
        _ => return None,
    };
    (offset < PAGE).then_some((region, offset as u32))
}

/// What stands behind `vfio_region_write` or `vfio_region_read`: place, offset, value, width.
fn vfio(write: bool, fields: &str) -> Option<(Place<'_>, u64, u64, u8)> {
    let hex = |word: &str| u64::from_str_radix(word.trim().strip_prefix("0x")?, 16).ok();
    let (inside, answer) = fields.trim().strip_prefix('(')?.rsplit_once(')')?;
    // The name may hold anything; what follows it does not.
    let (name, rest) = inside.rsplit_once(":region")?;
    let mut parts = rest.split(',');
    let (index, offset) = parts.next()?.split_once('+')?;
    let value = if write { parts.next() } else { answer.trim().strip_prefix('=') };
    let width = parts.next()?.trim().parse().ok().filter(|width| matches!(width, 1 | 2 | 4 | 8))?;
    Some((Place::Device(name, index.parse().ok()?), hex(offset)?, hex(value?)?, width))
}

/// One line; `None` for other events and blank lines.
fn event<'a>(file: &str, line: usize, text: &'a str) -> Result<Option<Event<'a>>, ImportError> {
    let refuse = |field, value: &str, words| Err(ImportError::line(file, line, field, value, Rule::Says(words)));
    let head = text.split_whitespace().next().unwrap_or_default();
    let (stamp, name) = head.rsplit_once(':').unwrap_or(("", head));
    let write = match name {
        "memory_region_ops_read" => false,
        "memory_region_ops_write" => true,
        "vfio_region_read" | "vfio_region_write" => {
            let write = name == "vfio_region_write";
            let Some((place, address, value, width)) = vfio(write, &text[head.len()..]) else {
                return refuse("vfio_region", text, "which does not name region, offset, value and size");
            };
            return Ok(Some(Event { line, write, place, address, value, width, name: None }));
        }
        _ => {
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return if plain || text.is_empty() { Ok(None) } else { refuse("event", head, "which is no event's name") };
        }
    };
    if !stamp.chars().all(|c| c.is_ascii_digit() || matches!(c, '@' | '.')) {
        return refuse("time", stamp, "which is no `PID@SECONDS.MICROS`");
    }
    let (mut address, mut value, mut width) = (None, None, None);
    // A name may hold spaces; it comes last.
    let (fields, name) = text[head.len()..].split_once(" name '").unwrap_or((&text[head.len()..], ""));
    let name = name.strip_suffix('\'').filter(|name| !name.is_empty());
    let mut words = fields.split_whitespace();
    while let Some(key) = words.next() {
        let Some(word) = words.next() else { return refuse("field", key, "which has no value") };
        let hex = || word.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match key {
            "addr" | "offset" => address = hex(),
            "value" => value = hex(),
            "size" => width = word.parse::<u8>().ok().filter(|width| matches!(width, 1 | 2 | 4 | 8)),
            "cpu" | "mr" => {}
            _ => return refuse("field", key, "which the event does not have"),
        }
    }
    let Some(address) = address else { return refuse("addr", text, "which has no readable addr") };
    let Some(value) = value else { return refuse("value", text, "which has no readable value") };
    let Some(width) = width else { return refuse("size", text, "which has no readable size") };
    Ok(Some(Event { line, write, place: Place::Memory, address, value, width, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_TIME: &str =
        "41@1700000000.000123:memory_region_ops_write cpu 0 mr 0x5 addr 0xfebd3600 value 0x87 size 4";

    #[test]
    fn a_log_without_names_needs_the_bases() {
        let bare = parse("t", WITH_TIME.as_bytes(), Bases::default()).unwrap();
        assert_eq!((bare.accesses.len(), bare.elsewhere), (0, 1));
        let bases = Bases { bar0: Some(0xfebd_3000), ..Bases::default() };
        let access =
            RegisterAccess { line: 1, write: true, region: Region::Bar0, offset: 0x600, value: 0x87, width: 4 };
        assert_eq!(parse("t", WITH_TIME.as_bytes(), bases).unwrap().accesses, [access]);
    }

    #[test]
    fn names_give_the_bases_and_other_events_are_counted() {
        let text = format!("{WITH_TIME} name 'vmxnet3-b0'\nvirtio_notify vdev 0x1\n\n{WITH_TIME} name 'vga ioports'\n");
        let other = text.replace("0xfebd3600 value 0x87 size 4 name 'vga", "0x3c0 value 0x87 size 4 name 'vga");
        let trace = parse("t", other.as_bytes(), Bases::default()).unwrap();
        assert_eq!((trace.accesses.len(), trace.elsewhere, trace.other_events), (1, 1, 1));
    }

    #[test]
    fn accesses_of_a_served_device_name_bar_and_offset() {
        let log = "7@1.5:vfio_region_write  (0000:00:02.0:region0+0x0, 0x1, 4)\n\
            7@1.5:vfio_region_read  (VFIO user </a:b (c)>:region1+0x20, 4) = 0x87\n\
            7@1.5:vfio_region_write  (VFIO user </a:b (c)>:region0+0x600, 0x3, 4)\n\
            7@1.5:vfio_region_write  (VFIO user </a:b (c)>:region2+0x1000, 0x0, 4)\n\
            7@1.5:vfio_region_read  (VFIO user </a:b (c)>:region7+0x4, 2) = 0x107\n\
            7@1.5:vfio_user_recv_hdr  (x) id 0x1 cmd 0x9 size 0x20 flags 0x1\n";
        let trace = parse("t", log.as_bytes(), Bases::default()).unwrap();
        let at: Vec<_> = trace.accesses.iter().map(|a| (a.line, a.write, a.region, a.offset, a.value)).collect();
        let expected =
            [(2, false, Region::Bar1, 0x20, 0x87), (3, true, Region::Bar0, 0x600, 3), (4, true, Region::MsixPba, 0, 0)];
        assert_eq!(at, expected);
        assert_eq!((trace.elsewhere, trace.other_events), (2, 1));
        let damaged = log.replace("0x600, 0x3, 4", "0x600, 4");
        assert!(
            parse("t", damaged.as_bytes(), Bases::default())
                .unwrap_err()
                .to_string()
                .starts_with("t, line 3: vfio_region")
        );
    }

    #[test]
    fn a_damaged_line_is_named() {
        let say = |text: &str| parse("t", text.as_bytes(), Bases::default()).unwrap_err().to_string();
        let bad = WITH_TIME.replace("size 4", "size 3");
        assert!(say(&format!("{WITH_TIME}\n{bad}")).starts_with("t, line 2: size is `"));
        assert!(say(&WITH_TIME.replace("0x87", "eggs")).starts_with("t, line 1: value is `"));
        assert!(say(&WITH_TIME.replace(" size 4", " size")).starts_with("t, line 1: field is `size`"));
        assert!(say("?!").starts_with("t, line 1: event is `?!`"));
    }
}
