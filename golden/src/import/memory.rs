//! Guest memory kept as a folder: a file a range, named for its address, and an index that says what each holds.
//!
//! `index.txt` has a line a range, `ADDRESS LENGTH DESCRIPTION`, address in hexadecimal and length in decimal; the
//! bytes are in `ADDRESS.bin`. Ranges may not overlap and no file may be without its line.

use super::{ImportError, Rule, gzip};
use spec::event::GuestView;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the index.
pub const INDEX: &str = "index.txt";

/// A range of guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Guest-physical address of the first byte.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the index says of it.
    pub description: String,
}

/// The ranges of guest memory that a capture kept.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MemoryImage {
    /// In ascending order of address.
    pub regions: Vec<MemoryRegion>,
}

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The line, counted from 1.
    pub line: usize,
    /// Guest-physical address of the first byte.
    pub address: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What it holds.
    pub description: String,
}

impl IndexEntry {
    /// Name of the file with the bytes.
    pub fn file_name(&self) -> String {
        format!("{:#x}.bin", self.address)
    }
}

impl MemoryImage {
    /// The `len` bytes at `address`, when one range holds them all.
    pub fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let at = self.regions.partition_point(|region| region.address <= address).checked_sub(1)?;
        let region = &self.regions[at];
        let from = usize::try_from(address - region.address).ok()?;
        region.bytes.get(from..from.checked_add(len)?)
    }

    /// Puts an image together from the index and the files beside it, each as (name, bytes).
    pub fn from_parts(folder: &str, index: &[u8], files: &[(String, Vec<u8>)]) -> Result<Self, ImportError> {
        let index_file = format!("{folder}/{INDEX}");
        let entries = parse_index(&index_file, index)?;
        let mut files: BTreeMap<&str, &[u8]> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let mut regions = Vec::with_capacity(entries.len());
        for entry in &entries {
            let name = entry.file_name();
            let missing = || ImportError::Missing { folder: folder.into(), file: name.clone() };
            let bytes = files.remove(name.as_str()).ok_or_else(missing)?;
            if bytes.len() as u64 != entry.bytes {
                let file = format!("{folder}/{name}");
                return Err(ImportError::value(&file, 0, "length", bytes.len() as u64, Rule::Is(entry.bytes)));
            }
            let description = entry.description.clone();
            regions.push(MemoryRegion { address: entry.address, bytes: bytes.to_vec(), description });
        }
        if let Some((name, _)) = files.first_key_value() {
            let rule = Rule::Says("which no line of the index names");
            return Err(ImportError::line(&index_file, entries.len(), "file", name, rule));
        }
        regions.sort_by_key(|region| region.address);
        Ok(Self { regions })
    }

    /// Reads a folder.
    pub fn open(folder: &Path) -> Result<Self, ImportError> {
        let shown = folder.display().to_string();
        let mut index = None;
        let mut files = Vec::new();
        for (name, bytes) in super::capture::read_folder(folder)? {
            if name == INDEX {
                index = Some(bytes);
            } else {
                files.push((name, bytes));
            }
        }
        let index = index.ok_or_else(|| ImportError::Missing { folder: shown.clone(), file: INDEX.into() })?;
        Self::from_parts(&shown, &index, &files)
    }
}

impl GuestView for MemoryImage {
    fn slice(&self, pa: u64, len: usize) -> Option<&[u8]> {
        self.read(pa, len)
    }
}

/// Reads the index: well-formed lines, ranges inside 64 bits, none sharing a byte with another.
pub fn parse_index(file: &str, bytes: &[u8]) -> Result<Vec<IndexEntry>, ImportError> {
    let mut entries = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    for (i, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = i + 1;
        let mut words = text.trim().splitn(3, char::is_whitespace);
        let address = words.next().unwrap_or_default();
        let digits = address.strip_prefix("0x").unwrap_or_default();
        let parsed = u64::from_str_radix(digits, 16).ok().filter(|value| format!("{value:#x}") == address);
        let rule = Rule::Says("which is no hexadecimal address as `0x2a5b000`");
        let parsed = parsed.ok_or_else(|| ImportError::line(file, line, "address", address, rule))?;
        let len = words.next().unwrap_or_default();
        let bytes = len.parse::<u64>().ok().filter(|&n| (1..=gzip::LIMIT as u64).contains(&n));
        let rule = Rule::Says("which is no length in bytes");
        let bytes = bytes.ok_or_else(|| ImportError::line(file, line, "length", len, rule))?;
        let rule = Rule::Says("where the range ends outside 64 bits");
        parsed.checked_add(bytes).ok_or_else(|| ImportError::line(file, line, "address", address, rule))?;
        entries.push(IndexEntry {
            line,
            address: parsed,
            bytes,
            description: words.next().unwrap_or_default().trim().into(),
        });
    }
    let mut order: Vec<&IndexEntry> = entries.iter().collect();
    order.sort_by_key(|entry| (entry.address, entry.line));
    for pair in order.windows(2) {
        if pair[0].address + pair[0].bytes > pair[1].address {
            let IndexEntry { line, address, bytes, .. } = *pair[1];
            return Err(ImportError::Overlap { file: file.into(), line, address, bytes, other: pair[0].address });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(index: &str, files: &[(&str, usize)]) -> Result<MemoryImage, ImportError> {
        let files: Vec<_> = files.iter().map(|(name, len)| ((*name).to_string(), vec![7; *len])).collect();
        MemoryImage::from_parts("memory", index.as_bytes(), &files)
    }

    #[test]
    fn a_read_stays_inside_one_range() {
        let image = parts("0x2000 16 b\n0x1000 16 a ring\n", &[("0x1000.bin", 16), ("0x2000.bin", 16)]).unwrap();
        assert_eq!(image.regions[0].description, "a ring");
        assert_eq!(image.read(0x1008, 8), Some(&[7; 8][..]));
        assert_eq!(image.read(0x1008, 9), None);
        assert_eq!(image.read(0xfff, 1), None);
        assert_eq!(image.read(u64::MAX, usize::MAX), None);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let say = |index, files: &[_]| parts(index, files).unwrap_err().to_string();
        assert_eq!(say("0x1000 16 a\n", &[]), "memory: 0x1000.bin is missing");
        assert_eq!(
            say("0x1000 16 a\n", &[("0x1000.bin", 15)]),
            "memory/0x1000.bin, offset 0x0: length is 15 (0xf) and must be 0x10"
        );
        assert_eq!(
            say("0x1000 16 a\n0x1008 16 b\n", &[]),
            "memory/index.txt, line 2: region 0x1008+0x10 overlaps region 0x1000"
        );
        assert_eq!(
            say("0x1000 16 a\n0x1000 16 b\n", &[]),
            "memory/index.txt, line 2: region 0x1000+0x10 overlaps region 0x1000"
        );
        assert_eq!(
            say("0x1000 16 a\n", &[("0x1000.bin", 16), ("x.bin", 1)]),
            "memory/index.txt, line 1: file is `x.bin`, which no line of the index names"
        );
        assert!(say("4096 16 a\n", &[]).contains("line 1: address is `4096`"));
        assert!(say("0x1000 -1 a\n", &[]).contains("line 1: length is `-1`"));
        assert!(say("0xffffffffffffffff 16 a\n", &[]).contains("outside 64 bits"));
    }
}
