//! Memory that a recording lacks: a region of our own, where nothing recorded lies.

use crate::import::MemoryImage;
use model::memory::Memory;

/// Places of the region are multiples of this, above any ring's alignment.
const ALIGN: u64 = 4096;
/// Our own region begins at a multiple of this.
const BASE: u64 = 1 << 20;

/// A region being divided up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    base: u64,
    used: u64,
}

impl Space {
    /// A region of at most `bytes` that shares no byte with the image: the lowest such place.
    pub fn beside(image: &MemoryImage, bytes: u64) -> Self {
        let mut base = BASE;
        for region in &image.regions {
            let end = region.address.saturating_add(region.bytes.len() as u64);
            if base.saturating_add(bytes) > region.address && base < end {
                base = end.saturating_add(BASE - 1) / BASE * BASE;
            }
        }
        Self { base, used: 0 }
    }

    /// `bytes` more of it.
    pub fn take(&mut self, bytes: u64) -> u64 {
        let at = self.base + self.used;
        self.used += bytes.next_multiple_of(ALIGN);
        at
    }

    /// The image and everything that was taken, which is zero.
    pub fn memory(&self, image: &MemoryImage) -> Memory {
        let mut regions: Vec<(u64, usize)> = image.regions.iter().map(|r| (r.address, r.bytes.len())).collect();
        if self.used > 0 {
            regions.push((self.base, self.used as usize));
        }
        regions.sort_unstable();
        let mut memory = Memory::new(&regions);
        for region in &image.regions {
            // Each range of the image is a region of its own.
            let _ = memory.write(region.address, &region.bytes);
        }
        memory
    }
}
