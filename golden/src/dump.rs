//! A dump of any known kind: found out by its content, whatever it is called.

use crate::import::qemu_trace::Bases;
use crate::import::{Capture, EthtoolDump, Frame, ImportError, Lspci, MemoryImage, Trace, Vmxnet3Section};
use crate::import::{capture, elf, gzip, memory, mmiotrace, pcap, qemu_trace};
use crate::trace;
use std::path::Path;

/// A recording and the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file, as errors name it.
    pub file: String,
    /// What is in it.
    pub trace: trace::Trace,
}

/// A parsed dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dump {
    /// A QEMU migration stream.
    Stream(Box<Vmxnet3Section>),
    /// Guest memory: a folder, or an ELF core.
    Memory(MemoryImage),
    /// A raw register dump.
    Ethtool(EthtoolDump),
    /// A recording in our own trace format.
    Recording(Box<Recording>),
    /// Register accesses: a trace log of QEMU's, an mmiotrace log, an access log.
    Trace(Trace),
    /// A libpcap file.
    Frames(Vec<Frame>),
    /// A device listing.
    Lspci(Box<Lspci>),
    /// A folder with all of these.
    Capture(Box<Capture>),
}

impl Dump {
    /// Recognises and reads the bytes of one file, packed or not. `file` only names it in errors.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, ImportError> {
        let bytes = &*gzip::unpack(file, bytes, gzip::LIMIT)?;
        if bytes.starts_with(b"QEVM") {
            return Ok(Self::Stream(Box::new(Vmxnet3Section::parse(file, bytes)?)));
        }
        if trace::is_trace(bytes) {
            let trace = trace::parse(bytes).map_err(|error| ImportError::Trace { file: file.into(), error })?;
            return Ok(Self::Recording(Box::new(Recording { file: file.into(), trace })));
        }
        if pcap::is_pcap(bytes) {
            return Ok(Self::Frames(pcap::parse(file, bytes)?));
        }
        // Text formats show themselves in the first lines, register dumps by adding up.
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        if elf::is_elf(bytes) {
            return Ok(Self::Memory(elf::parse(file, bytes)?));
        }
        if mmiotrace::is_mmiotrace(&head) {
            return Ok(Self::Trace(mmiotrace::parse(file, bytes, Bases::default())?));
        }
        if mmiotrace::is_access_log(&head) {
            return Ok(Self::Trace(mmiotrace::parse_access_log(file, bytes)?));
        }
        if head.contains("memory_region_ops_") || head.contains("vfio_region_") {
            return Ok(Self::Trace(qemu_trace::parse(file, bytes, Bases::default())?));
        }
        let dump = EthtoolDump::parse(file, bytes);
        if dump.is_ok() || file.trim_end_matches(".gz").ends_with(".raw") {
            return dump.map(Self::Ethtool);
        }
        match Lspci::parse(file, bytes) {
            Ok(device) => Ok(Self::Lspci(Box::new(device))),
            Err(error) if file.contains("lspci") => Err(error),
            Err(_) => Err(ImportError::Unrecognised { file: file.into(), bytes: bytes.len() }),
        }
    }

    /// Recognises and reads a file, a folder of guest memory, or a capture.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        if !path.is_dir() {
            return Self::read(&path.display().to_string(), &capture::read_file(path)?);
        }
        if path.join(memory::INDEX).is_file() {
            return Ok(Self::Memory(MemoryImage::open(path)?));
        }
        Ok(Self::Capture(Box::new(Capture::open(path)?)))
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stream(_) => "a migration stream",
            Self::Memory(_) => "guest memory",
            Self::Ethtool(_) => "a register dump",
            Self::Recording(_) => "a recording",
            Self::Trace(_) => "a trace log",
            Self::Frames(_) => "a packet recording",
            Self::Lspci(_) => "a device listing",
            Self::Capture(_) => "a capture",
        }
    }
}
