//! The pass-through page mapped into the guest: plain memory that two sides write and nobody traps.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

/// Bytes of the page.
pub const PAGE_BYTES: usize = 4096;

/// Whether the page holds the register at `offset` of BAR0; what lies behind it is trapped always.
pub const fn holds(offset: u32) -> bool {
    (offset as usize) < PAGE_BYTES
}

/// Shared memory of one page.
#[derive(Debug)]
pub struct MappedPage {
    file: File,
    region: MmapRegion,
}

impl MappedPage {
    /// A zeroed page that nobody can make smaller.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new() -> io::Result<Self> {
        let fd = memfd_create("vnic-bar0", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, PAGE_BYTES as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let file = File::from(fd);
        let region =
            MmapRegion::from_file(FileOffset::new(file.try_clone()?, 0), PAGE_BYTES).map_err(io::Error::other)?;
        Ok(Self { file, region })
    }

    /// The file to map the page by.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The word at `offset`, which is a multiple of 4; all ones outside.
    #[inline]
    pub fn load(&self, offset: u32) -> u32 {
        let place = self.region.as_volatile_slice();
        place
            .get_atomic_ref::<std::sync::atomic::AtomicU32>(offset as usize)
            .map_or(!0, |word| word.load(Ordering::Acquire))
    }

    /// Stores the word at `offset`, which is a multiple of 4; nothing outside.
    #[inline]
    pub fn store(&self, offset: u32, value: u32) {
        let place = self.region.as_volatile_slice();
        if let Ok(word) = place.get_atomic_ref::<std::sync::atomic::AtomicU32>(offset as usize) {
            word.store(value, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_mappings_see_one_page_that_cannot_shrink() {
        let page = MappedPage::new().unwrap();
        page.store(0x600, 7);
        let other = page.file().try_clone().unwrap();
        let region: MmapRegion = MmapRegion::from_file(FileOffset::new(other, 0), PAGE_BYTES).unwrap();
        let place = region.as_volatile_slice();
        let word = place.get_atomic_ref::<std::sync::atomic::AtomicU32>(0x600).unwrap();
        assert_eq!(word.swap(9, Ordering::SeqCst), 7);
        assert_eq!((page.load(0x600), page.load(4096)), (9, !0));
        page.store(4096, 1);
        assert!(ftruncate(page.file(), 0).is_err());
    }
}
