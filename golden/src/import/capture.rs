//! A capture: one machine's files of one moment, and of the way there, in one folder.
//!
//! `migration-stream.bin` and `memory/` are what a move needs and have to be there. `qemu-trace.log`, `wire.pcap`,
//! `lspci.txt` and `ethtool-d.*.raw` are read when they are; other files are left alone. Any file may be gzip, under its
//! own name or with `.gz` added.

use super::qemu_trace::Bases;
use super::{EthtoolDump, Frame, ImportError, Lspci, MemoryImage, Trace, Vmxnet3Section, gzip, pcap, qemu_trace};
use std::io::Read;
use std::path::Path;

const STREAM: &str = "migration-stream.bin";
const MEMORY: &str = "memory";
const TRACE: &str = "qemu-trace.log";
const WIRE: &str = "wire.pcap";
const LSPCI: &str = "lspci.txt";

/// Everything a capture holds, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The device as QEMU saved it.
    pub stream: Vmxnet3Section,
    /// Guest memory at that moment.
    pub memory: MemoryImage,
    /// Register accesses before and after.
    pub trace: Option<Trace>,
    /// Frames on the wire.
    pub frames: Option<Vec<Frame>>,
    /// Register dumps by file name, in the order of the names.
    pub dumps: Vec<(String, EthtoolDump)>,
    /// The device's listing.
    pub lspci: Option<Lspci>,
}

impl Capture {
    /// Reads a folder.
    pub fn open(folder: &Path) -> Result<Self, ImportError> {
        let name = folder.display().to_string();
        let files = read_folder_with(folder, wanted)?;
        let memory = folder.join(MEMORY);
        if !memory.is_dir() {
            return Err(ImportError::Missing { folder: name, file: MEMORY.into() });
        }
        let memory = read_folder(&memory)?;
        Self::from_parts(&name, &files, &memory)
    }

    /// Puts a capture together from files given as (name, bytes): those of the folder and those of `memory/`.
    pub fn from_parts(
        folder: &str,
        files: &[(String, Vec<u8>)],
        memory: &[(String, Vec<u8>)],
    ) -> Result<Self, ImportError> {
        let find = |wanted: &str| files.iter().find(|(name, _)| plain(name) == wanted);
        let unpacked = |name: &str, bytes| {
            let file = format!("{folder}/{name}");
            let bytes = gzip::unpack(&file, bytes, gzip::LIMIT)?;
            Ok::<_, ImportError>((file, bytes))
        };
        let optional = |wanted: &str| find(wanted).map(|(name, bytes)| unpacked(name, bytes)).transpose();

        let missing = |file: &str| ImportError::Missing { folder: folder.into(), file: file.into() };
        let (file, bytes) = optional(STREAM)?.ok_or_else(|| missing(STREAM))?;
        let stream = Vmxnet3Section::parse(&file, &bytes)?;
        let memory = memory_image(folder, memory)?;
        let lspci = optional(LSPCI)?.map(|(file, bytes)| Lspci::parse(&file, &bytes)).transpose()?;
        let bases = lspci.as_ref().map(Bases::from_lspci).unwrap_or_default();
        let trace = optional(TRACE)?.map(|(file, bytes)| qemu_trace::parse(&file, &bytes, bases)).transpose()?;
        let frames = optional(WIRE)?.map(|(file, bytes)| pcap::parse(&file, &bytes)).transpose()?;
        let mut dumps = Vec::new();
        for (name, bytes) in files.iter().filter(|(name, _)| is_dump(plain(name))) {
            let (file, bytes) = unpacked(name, bytes)?;
            dumps.push((plain(name).to_string(), EthtoolDump::parse(&file, &bytes)?));
        }
        dumps.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { stream, memory, trace, frames, dumps, lspci })
    }
}

fn memory_image(folder: &str, files: &[(String, Vec<u8>)]) -> Result<MemoryImage, ImportError> {
    let folder = format!("{folder}/{MEMORY}");
    let mut index = None;
    let mut regions = Vec::new();
    for (name, bytes) in files {
        let bytes = gzip::unpack(&format!("{folder}/{name}"), bytes, gzip::LIMIT)?.into_owned();
        if plain(name) == super::memory::INDEX {
            index = Some(bytes);
        } else {
            regions.push((plain(name).to_string(), bytes));
        }
    }
    let index =
        index.ok_or_else(|| ImportError::Missing { folder: folder.clone(), file: super::memory::INDEX.into() })?;
    MemoryImage::from_parts(&folder, &index, &regions)
}

/// A file's name without the mark of compression.
fn plain(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

fn is_dump(name: &str) -> bool {
    name.starts_with("ethtool-d.") && name.ends_with(".raw")
}

fn wanted(name: &str) -> bool {
    [STREAM, TRACE, WIRE, LSPCI].contains(&plain(name)) || is_dump(plain(name))
}

/// The most bytes of one file that are read: guest memory of a lab machine fits, a device that never ends does not.
pub const READ_LIMIT: u64 = 1 << 30;

/// Reads one file, unpacked.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImportError> {
    let file = path.display().to_string();
    let refuse = |error: std::io::Error| ImportError::Io { file: file.clone(), kind: error.kind() };
    let bytes = read_at_most(std::fs::File::open(path).map_err(refuse)?, READ_LIMIT).map_err(refuse)?;
    let bytes = bytes.ok_or_else(|| ImportError::TooLong { file: file.clone(), limit: READ_LIMIT })?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    Ok(gzip::unpack(&file, &bytes, gzip::LIMIT)?.into_owned())
}

/// Everything there is to read, unless it is more than `limit` bytes.
fn read_at_most(from: impl Read, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The files directly in a folder as (name without `.gz`, unpacked bytes), in the order of the names.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, ImportError> {
    read_folder_with(folder, |_| true)
}

fn read_folder_with(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>, ImportError> {
    let refuse = |error: std::io::Error| ImportError::Io { file: folder.display().to_string(), kind: error.kind() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wanted(&name) && entry.path().is_file() {
            files.push((plain(&name).to_string(), read_file(&entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused_at_the_limit() {
        assert_eq!(read_at_most(std::io::repeat(0), 9).unwrap(), None);
        assert_eq!(read_at_most(&[7; 9][..], 9).unwrap(), Some(vec![7; 9]));
    }
}
