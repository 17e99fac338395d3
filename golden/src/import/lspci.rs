//! `lspci -vvv -nn -xxxx` text: the `Region` lines and the rows of configuration space of the first device in it.

use super::{ImportError, Rule};

/// What a listing says of one device.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lspci {
    /// `BB:DD.F`, with a domain where the listing gives one.
    pub slot: String,
    /// Base and size of each BAR, by number, as the `Region` lines give them.
    pub regions: [Option<(u64, u64)>; 6],
    /// Configuration space: 64, 256 or 4096 bytes, or none.
    pub config: Vec<u8>,
}

impl Lspci {
    /// Reads the first device of a listing. Lines of other kinds are passed over.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, ImportError> {
        let text = String::from_utf8_lossy(bytes);
        let mut device = Self::default();
        for (i, text) in text.lines().enumerate() {
            let line = i + 1;
            if let Some(slot) = slot(text) {
                if device.slot.is_empty() {
                    device.slot = slot.into();
                } else if device.slot != slot {
                    break;
                }
            } else if let Some(region) = text.trim_start().strip_prefix("Region ") {
                device.region(file, line, region)?;
            } else if let Some((offset, row)) = row(text) {
                device.row(file, line, offset, row)?;
            }
        }
        if device.slot.is_empty() {
            let rule = Rule::Says("where a line that begins with `BB:DD.F` was expected");
            return Err(ImportError::line(file, 1, "slot", text.lines().next().unwrap_or_default(), rule));
        }
        if ![0, 64, 256, 4096].contains(&device.config.len()) {
            let rule = Rule::Says("must be 64, 256 or 4096");
            return Err(ImportError::value(
                file,
                bytes.len(),
                "configuration space: length",
                device.config.len() as u64,
                rule,
            ));
        }
        Ok(device)
    }

    /// The base of a memory BAR: from its `Region` line, else from configuration space.
    pub fn base(&self, bar: usize) -> Option<u64> {
        let listed = self.regions.get(bar).copied().flatten().map(|(base, _)| base);
        listed.or_else(|| {
            let at = 0x10 + 4 * bar;
            let word = u32::from_le_bytes(*self.config.get(at..)?.first_chunk()?);
            (word & 1 == 0 && word & !0xf != 0).then_some(u64::from(word & !0xf))
        })
    }

    /// Vendor and device id.
    pub fn identity(&self) -> Option<(u16, u16)> {
        let id: [u8; 4] = *self.config.first_chunk()?;
        Some((u16::from_le_bytes([id[0], id[1]]), u16::from_le_bytes([id[2], id[3]])))
    }

    /// `0: Memory at febd3000 (32-bit, non-prefetchable) [size=4K]`
    fn region(&mut self, file: &str, line: usize, text: &str) -> Result<(), ImportError> {
        let refuse = |field, value: &str, words| ImportError::line(file, line, field, value, Rule::Says(words));
        let (bar, rest) = text.split_once(':').ok_or_else(|| refuse("Region", text, "which has no number"))?;
        let slot = bar.parse().ok().and_then(|bar: usize| self.regions.get_mut(bar));
        let slot = slot.ok_or_else(|| refuse("Region", bar, "which is no BAR from 0 to 5"))?;
        let Some(at) = rest.split(" at ").nth(1) else { return Ok(()) };
        let base = at.split_whitespace().next().unwrap_or_default();
        if base.starts_with('<') {
            return Ok(());
        }
        let base = u64::from_str_radix(base, 16)
            .map_err(|_| refuse("Region base", base, "which is no hexadecimal address"))?;
        let size = rest.split("[size=").nth(1).and_then(|size| size.split(']').next()).unwrap_or("0");
        let (digits, shift) = match size.char_indices().last() {
            Some((i, 'K')) => (&size[..i], 10),
            Some((i, 'M')) => (&size[..i], 20),
            Some((i, 'G')) => (&size[..i], 30),
            _ => (size, 0),
        };
        let bytes = digits.parse::<u32>().map_err(|_| refuse("Region size", size, "which is no size"))?;
        *slot = Some((base, u64::from(bytes) << shift));
        Ok(())
    }

    fn row(&mut self, file: &str, line: usize, offset: &str, row: &str) -> Result<(), ImportError> {
        let refuse = |field, value: &str, words| ImportError::line(file, line, field, value, Rule::Says(words));
        let at = usize::from_str_radix(offset, 16).unwrap_or(usize::MAX);
        if at != self.config.len() {
            return Err(refuse("offset", offset, "which does not follow the row before"));
        }
        let bytes: Result<Vec<u8>, _> = row.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect();
        let bytes = bytes.ok().filter(|bytes| bytes.len() == 16);
        self.config.extend(bytes.ok_or_else(|| refuse("row", row, "which is not 16 bytes"))?);
        if self.config.len() > 4096 {
            return Err(refuse("offset", offset, "which lies behind configuration space"));
        }
        Ok(())
    }
}

/// `00:03.0 ` or `0000:00:03.0 ` at the start of a line.
fn slot(line: &str) -> Option<&str> {
    let word = line.split(' ').next()?;
    let (bus, function) = word.rsplit_once('.')?;
    let hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    (hex(function) && bus.contains(':') && bus.split(':').all(hex)).then_some(word)
}

/// `f0: 00 00 ...`
fn row(line: &str) -> Option<(&str, &str)> {
    let (offset, row) = line.split_once(": ")?;
    let hex = (2..=3).contains(&offset.len()) && offset.chars().all(|c| c.is_ascii_hexdigit());
    hex.then_some((offset, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_without_rows_gives_its_regions() {
        let text = b"03:00.0 Ethernet\n\tRegion 0: Memory at fd4fc000 (32-bit) [size=4K]\n\tRegion 3: I/O ports at 5000 [size=16]\n";
        let device = Lspci::parse("l", text).unwrap();
        assert_eq!(device.base(0), Some(0xfd4f_c000));
        assert_eq!(device.regions[3], Some((0x5000, 16)));
        assert_eq!(device.base(1), None);
    }

    #[test]
    fn damage_is_named() {
        let say = |text: &str| Lspci::parse("l", text.as_bytes()).unwrap_err().to_string();
        assert_eq!(say("x"), "l, line 1: slot is `x`, where a line that begins with `BB:DD.F` was expected");
        assert!(say("00:03.0 x\n00: 01 02\n").contains("line 2: row is `01 02`"));
        assert!(say("00:03.0 x\n10: 01 02\n").contains("line 2: offset is `10`"));
        assert!(say("00:03.0 x\nRegion 9: Memory at 0\n").contains("line 2: Region is `9`"));
    }
}
