//! A saved machine as a capture: a folder that [`Capture::open`](crate::import::Capture::open) reads.

use crate::dut::Saved;
use crate::import::memory::INDEX;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{File, create_dir_all};
use std::io::{Result, Write as _};
use std::path::Path;

/// Writes `saved` to `folder`, which is made where it is missing.
///
/// # Errors
/// When a file cannot be written.
pub fn keep(saved: &Saved, folder: &Path) -> Result<()> {
    let memory = folder.join("memory");
    create_dir_all(&memory)?;
    packed(&folder.join("migration-stream.bin.gz"), &saved.stream)?;
    packed(&memory.join(format!("{:#x}.bin.gz", saved.base)), &saved.memory)?;
    writeln!(File::create(memory.join(INDEX))?, "{:#x} {} guest memory", saved.base, saved.memory.len())
}

fn packed(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = GzEncoder::new(File::create(path)?, Compression::best());
    file.write_all(bytes)?;
    file.finish()?.sync_all()
}
