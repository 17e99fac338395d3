//! Register accesses as Linux's mmiotrace tracer logs them in the guest, and as a device's own access log tells them.
//!
//! mmiotrace: `R|W WIDTH SECONDS.MICROS MAP PHYSICAL VALUE PC PID`, width in bytes, hexadecimal with `0x` but for width, map and pid.
//! `PCIDEV` lines give the BARs of each function; accesses elsewhere, and `MAP`, `UNMAP`, `MARK`, `LSPCI` and `UNKNOWN` lines, are
//! counted. The tracer sees memory-mapped accesses only, no DMA, and loses events under load, which it says.
//! Source: linux kernel/trace/trace_mmiotrace.c, mmio_print_rw, mmio_print_map, mmio_print_pcidev.
//!
//! Access log: `SECONDS R|W CFG|BAR0|BAR1|BAR2 OFFSET WIDTH = VALUE`, as seen from the device's side; other lines are counted.

use super::qemu_trace::{Bases, PAGE};
use super::{ImportError, Region, RegisterAccess, Rule, Trace};
use spec::vmxnet3::{DEVICE, VENDOR};

/// Whether the first lines of a file are those of mmiotrace.
pub fn is_mmiotrace(head: &str) -> bool {
    head.lines().any(|line| line.starts_with("VERSION 20070824") || line.starts_with("PCIDEV "))
}

/// Whether the first lines of a file are those of an access log.
pub fn is_access_log(head: &str) -> bool {
    let lines = head.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.take(1).any(|line| {
        let mut words = line.split_whitespace();
        let time = words.next().is_some_and(|word| word.parse::<f64>().is_ok());
        time && matches!(words.next(), Some("R" | "W")) && words.next().is_some_and(|word| place(word).is_some())
    })
}

/// Reads an mmiotrace log. `bases` comes from a listing; what it leaves out is taken from the `PCIDEV` line of the first VMXNET3.
pub fn parse(file: &str, bytes: &[u8], mut bases: Bases) -> Result<Trace, ImportError> {
    let text = super::text(file, bytes)?;
    let mut trace = Trace::default();
    let mut found = false;
    for (i, text) in text.lines().enumerate() {
        let line = i + 1;
        let refuse = |field, value: &str, words| Err(ImportError::line(file, line, field, value, Rule::Says(words)));
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["PCIDEV", rest @ ..] => {
                trace.other_events += 1;
                let Some(device) = pcidev(rest) else {
                    return refuse("PCIDEV", text, "which does not give 7 regions");
                };
                if device.id == (VENDOR, DEVICE) && !found {
                    found = true;
                    let base = |bar: usize| device.regions.get(bar).copied().filter(|&base| base != 0);
                    bases.bar0 = bases.bar0.or(base(0));
                    bases.bar1 = bases.bar1.or(base(1));
                    bases.msix_table = bases.msix_table.or(base(2));
                    bases.msix_pba = bases.msix_pba.or(base(2).and_then(|base| base.checked_add(PAGE)));
                }
            }
            [kind @ ("R" | "W"), width, _time, _map, physical, value, ..] => {
                let Some(width) = width.parse().ok().filter(|width| matches!(width, 1 | 2 | 4 | 8)) else {
                    return refuse("width", width, "which is not 1, 2, 4 or 8");
                };
                let Some(address) = hex(physical) else { return refuse("physical", physical, NO_HEX) };
                let Some(value) = hex(value) else { return refuse("value", value, NO_HEX) };
                match bases.find(address) {
                    Some((region, offset)) => {
                        let write = *kind == "W";
                        trace.accesses.push(RegisterAccess { line, write, region, offset, value, width });
                    }
                    None => trace.elsewhere += 1,
                }
            }
            ["R" | "W", ..] => return refuse("access", text, "which has fewer than 6 fields"),
            _ => trace.other_events += 1,
        }
    }
    Ok(trace)
}

const NO_HEX: &str = "which is no hexadecimal number as `0x1f`";

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// What a `PCIDEV` line says.
struct Function {
    id: (u16, u16),
    /// Bases, flags cut off.
    regions: Vec<u64>,
}

/// `BUSDEVFN VENDORDEVICE IRQ`, 7 bases with flags in the low bits, 7 sizes, and perhaps the driver's name.
fn pcidev(words: &[&str]) -> Option<Function> {
    const FLAGS: u64 = 0xf;
    let id = words.get(1).filter(|id| id.len() == 8 && id.is_ascii())?;
    let half = |digits: &str| u16::from_str_radix(digits, 16).ok();
    let regions = words.get(3..10)?.iter().map(|word| u64::from_str_radix(word, 16).ok().map(|base| base & !FLAGS));
    Some(Function { id: (half(&id[..4])?, half(&id[4..])?), regions: regions.collect::<Option<_>>()? })
}

/// A region of an access log; `Some(None)` is configuration space.
fn place(word: &str) -> Option<Option<Region>> {
    Some(match word {
        "CFG" => None,
        "BAR0" => Some(Region::Bar0),
        "BAR1" => Some(Region::Bar1),
        "BAR2" => Some(Region::MsixTable),
        _ => return None,
    })
}

/// Reads an access log of a VMXNET3.
pub fn parse_access_log(file: &str, bytes: &[u8]) -> Result<Trace, ImportError> {
    const VMXNET3: u64 = (DEVICE as u64) << 16 | VENDOR as u64;
    let text = super::text(file, bytes)?;
    let mut trace = Trace::default();
    for (i, text) in text.lines().enumerate() {
        let line = i + 1;
        let refuse = |field, value: &str, words| Err(ImportError::line(file, line, field, value, Rule::Says(words)));
        let words: Vec<&str> = text.split_whitespace().collect();
        let [_, kind @ ("R" | "W"), region, rest @ ..] = words.as_slice() else {
            trace.other_events += usize::from(!text.trim().is_empty());
            continue;
        };
        let Some(region) = place(region) else {
            return refuse("region", region, "which is not CFG, BAR0, BAR1 or BAR2");
        };
        let [offset, width, "=", value, ..] = rest else {
            return refuse("access", text, "which is not `OFFSET WIDTH = VALUE` behind the region");
        };
        let Some(offset) = hex(offset).and_then(|offset| u32::try_from(offset).ok()) else {
            return refuse("offset", offset, NO_HEX);
        };
        let Some(value) = hex(value) else { return refuse("value", value, NO_HEX) };
        let Some(region) = region else {
            if offset == 0 && *kind == "R" && *width != "2" && value & 0xffff_ffff != VMXNET3 {
                return refuse("identity", text, "which is no VMXNET3's");
            }
            trace.elsewhere += 1;
            continue;
        };
        let Some(width) = width.parse().ok().filter(|width| matches!(width, 1 | 2 | 4 | 8)) else {
            return refuse("width", width, "which is not 1, 2, 4 or 8");
        };
        let pba = region == Region::MsixTable && u64::from(offset) >= PAGE;
        let (region, offset) = if pba { (Region::MsixPba, offset - PAGE as u32) } else { (region, offset) };
        trace.accesses.push(RegisterAccess { line, write: *kind == "W", region, offset, value, width });
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::vmxnet3::{Bar0, Bar1};

    const LOG: &str = "VERSION 20070824\n\
        PCIDEV 0000 80861237 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 \n\
        PCIDEV 0020 15ad07b0 b febf3000 febf4000 febf0000 0 0 0 febc0002 1000 1000 2000 0 0 0 40000 vmxnet3\n\
        MAP 4.496000 1 0xfebf3000 0xffffc90000010000 0x1000 0x0 0\n\
        W 4 4.496697 2 0xfebf4020 0xcafe0000 0x0 0\n\
        R 4 4.496700 2 0xfebf4020 0x0 0x0 0\n\
        W 4 4.5 1 0xfebf3600 0x1 0x0 0\n\
        W 4 4.5 3 0xfebf000c 0x0 0x0 0\n\
        R 4 4.5 3 0xfebf1000 0x0 0x0 0\n\
        R 2 4.5 4 0x3c0 0x1 0x0 0\n\
        MARK 4.6 hello\n";

    #[test]
    fn a_log_gives_the_bars_and_the_accesses() {
        let trace = parse("m", LOG.as_bytes(), Bases::default()).unwrap();
        let at: Vec<_> = trace.accesses.iter().map(|a| (a.line, a.write, a.region, a.offset, a.value)).collect();
        let expected = [
            (5, true, Region::Bar1, Bar1::Cmd.offset(), 0xcafe_0000),
            (6, false, Region::Bar1, Bar1::Cmd.offset(), 0),
            (7, true, Region::Bar0, Bar0::TxProd(0).offset(), 1),
            (8, true, Region::MsixTable, 0xc, 0),
            (9, false, Region::MsixPba, 0, 0),
        ];
        assert_eq!(at, expected);
        assert_eq!((trace.elsewhere, trace.other_events), (1, 5));
        assert!(is_mmiotrace(LOG) && !is_access_log(LOG));
    }

    #[test]
    fn damage_is_named() {
        let say = |from: &str, to: &str| {
            parse("m", LOG.replace(from, to).as_bytes(), Bases::default()).unwrap_err().to_string()
        };
        assert!(say("W 4 4.496697", "W 3 4.496697").starts_with("m, line 5: width is `3`"));
        assert!(say("0xcafe0000", "cafe").starts_with("m, line 5: value is `cafe`"));
        assert!(say(" 0xfebf3600 0x1 0x0 0", "").starts_with("m, line 7: access is `"));
        assert!(say("febf3000 febf4000 febf0000 0 0 0 febc0002", "eggs").starts_with("m, line 3: PCIDEV is `"));
    }

    const ACCESSES: &str = "# made by hand\n\
          0.093429 R CFG  0x000 256 = 0x10000007b015ad\n\
          0.098072 DEVICE_RESET\n\
          4.559294 W BAR1 0x020 4 = 0xcafe0000  CMD ACTIVATE_DEV\n\
          4.559405 R BAR1 0x020 4 = 0x0  CMD\n\
          4.559555 W BAR2 0x1000 4 = 0x3ff\n";

    #[test]
    fn an_access_log_is_read_from_the_device_side() {
        let trace = parse_access_log("a", ACCESSES.as_bytes()).unwrap();
        assert_eq!((trace.accesses.len(), trace.elsewhere, trace.other_events), (3, 1, 2));
        assert_eq!(trace.accesses[2].region, Region::MsixPba);
        assert!(is_access_log(ACCESSES) && !is_mmiotrace(ACCESSES));
        let foreign = ACCESSES.replace("7b015ad", "431137");
        assert!(parse_access_log("a", foreign.as_bytes()).unwrap_err().to_string().contains("no VMXNET3"));
        let damaged = ACCESSES.replace("4 = 0x3ff", "4 0x3ff");
        assert!(parse_access_log("a", damaged.as_bytes()).unwrap_err().to_string().starts_with("a, line 6: access"));
    }
}
