//! Guest memory as the peer maps it: files mapped into this process, found by guest-physical address.
//!
//! Every access looks its address up, so nothing is kept across an unmap. Memory that came without a descriptor is a hole
//! that faults; memory that came read-only faults on a write, and is mapped so.
//!
//! What is left open: touching a mapped page that its file no longer has is a SIGBUS, which ends the server. A file is
//! therefore only mapped where it reaches ([`MapError::Beyond`]), and it is sealed against shrinking (`F_SEAL_SHRINK`) when it
//! is not yet. QEMU's `memory-backend-memfd` seals its own. A file that cannot be sealed (of a file system, or a memfd made
//! without sealing) is taken all the same unless [`Shrinking::Refused`] is asked for; its owner can end this server by
//! truncating it. So can a tmpfs or huge page pool that runs out of pages when a hole in the file is first touched; a file of a
//! file system in user space can make an access wait.

use super::proto::{DMA_READ, DMA_WRITE, DmaMap, DmaUnmap, UNMAP_ALL};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use model::host::DmaFault;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory as _};

/// Maps at a time: announced to the peer. Each holds its descriptor, so it also bounds those.
pub const MAX_DMA_MAPS: usize = 512;
/// Bytes mapped at a time: address space is left for everything else.
pub const MAX_DMA_BYTES: u64 = 1 << 44;
/// Addresses, sizes and file offsets of maps are multiples of this: announced to the peer.
pub const PAGE: u64 = 4096;

/// Whether a file may be mapped that can shrink later; see the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shrinking {
    /// It may; how many did is counted.
    #[default]
    Taken,
    /// It may not.
    Refused,
}

/// Why memory is not mapped or unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A field that is not a multiple of [`PAGE`], is zero where it cannot be, or has unknown bits.
    #[error("{field} is {value:#x}")]
    Field {
        /// Its declared name.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// The range ends beyond the address space.
    #[error("{addr:#x} and {size:#x} bytes end beyond the address space")]
    Wraps {
        /// Guest-physical address.
        addr: u64,
        /// Bytes.
        size: u64,
    },
    /// Some of it is mapped.
    #[error("{addr:#x}, {size:#x} bytes, overlaps the map at {other:#x}")]
    Overlaps {
        /// Guest-physical address.
        addr: u64,
        /// Bytes.
        size: u64,
        /// The map that is there.
        other: u64,
    },
    /// No such map.
    #[error("no map at {addr:#x} of {size:#x} bytes")]
    Unknown {
        /// Guest-physical address.
        addr: u64,
        /// Bytes.
        size: u64,
    },
    /// More than [`MAX_DMA_MAPS`] or [`MAX_DMA_BYTES`].
    #[error("{maps} maps of {bytes:#x} bytes are too many")]
    TooMuch {
        /// Maps there would be.
        maps: usize,
        /// Bytes there would be.
        bytes: u64,
    },
    /// The file is shorter than what is to be mapped of it.
    #[error("the file has {len:#x} bytes, {needs:#x} are mapped")]
    Beyond {
        /// Bytes of the file.
        len: u64,
        /// End of the map in it.
        needs: u64,
    },
    /// The descriptor is not of a file.
    #[error("the descriptor is not of a file")]
    NotAFile,
    /// The file can shrink, and that is refused.
    #[error("the file is not sealed against shrinking")]
    Shrinks,
    /// The kernel refuses.
    #[error("mmap: {0}")]
    System(Errno),
}

impl MapError {
    /// The number for the error reply.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Overlaps { .. } => Errno::EXIST,
            Self::TooMuch { .. } => Errno::NOSPC,
            Self::NotAFile => Errno::BADF,
            Self::Shrinks => Errno::PERM,
            Self::System(errno) => *errno,
            Self::Field { .. } | Self::Wraps { .. } | Self::Unknown { .. } | Self::Beyond { .. } => Errno::INVAL,
        }
    }
}

impl From<MapError> for Errno {
    fn from(error: MapError) -> Self {
        error.errno()
    }
}

/// One map.
#[derive(Debug)]
struct Region {
    base: u64,
    size: u64,
    readable: bool,
    writable: bool,
    /// None for memory that came without a descriptor.
    bytes: Option<MmapRegion>,
}

impl Region {
    #[inline]
    const fn contains(&self, pa: u64) -> bool {
        pa.wrapping_sub(self.base) < self.size
    }
}

/// What an access is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Reading,
    Writing,
}

/// Guest memory as the peer maps it.
#[derive(Debug, Default)]
pub struct LiveMemory {
    /// In ascending order, apart from each other.
    regions: Vec<Region>,
    /// Where the last access was: most are near the one before.
    last: Cell<usize>,
    bytes: u64,
    shrinking: Shrinking,
}

impl LiveMemory {
    /// Nothing mapped.
    pub fn new(shrinking: Shrinking) -> Self {
        Self { shrinking, ..Self::default() }
    }

    /// Takes a map. The descriptor is kept as long as the map, and closed when the map is refused.
    ///
    /// # Errors
    /// When it is not of whole pages, wraps, overlaps, is one too many, or its file cannot be mapped there.
    pub fn map(&mut self, map: &DmaMap, fd: Option<OwnedFd>) -> Result<(), MapError> {
        let (base, size) = (map.addr(), map.size());
        if map.flags() & !(DMA_READ | DMA_WRITE) != 0 {
            return Err(MapError::Field { field: "flags", value: map.flags().into() });
        }
        for (field, value) in [("addr", base), ("size", size)] {
            if !value.is_multiple_of(PAGE) {
                return Err(MapError::Field { field, value });
            }
        }
        if size == 0 {
            return Err(MapError::Field { field: "size", value: 0 });
        }
        // The last page of the address space stays free: no end is 2^64.
        let end = base.checked_add(size).ok_or(MapError::Wraps { addr: base, size })?;
        let place = self.regions.partition_point(|r| r.base < base);
        let before = place.checked_sub(1).map(|i| &self.regions[i]).filter(|r| r.contains(base));
        let after = self.regions.get(place).filter(|r| r.base < end);
        if let Some(other) = before.or(after) {
            return Err(MapError::Overlaps { addr: base, size, other: other.base });
        }
        let (readable, writable) = (map.flags() & DMA_READ != 0, map.flags() & DMA_WRITE != 0);
        let maps = self.regions.len() + 1;
        let total = if fd.is_some() { self.bytes.saturating_add(size) } else { self.bytes };
        if maps > MAX_DMA_MAPS || total > MAX_DMA_BYTES {
            return Err(MapError::TooMuch { maps, bytes: total });
        }
        let bytes = fd.map(|fd| self.open(fd, map.offset(), size, writable)).transpose()?;
        self.bytes = total;
        self.regions.insert(place, Region { base, size, readable, writable, bytes });
        Ok(())
    }

    fn open(&self, fd: OwnedFd, offset: u64, size: u64, writable: bool) -> Result<MmapRegion, MapError> {
        if !offset.is_multiple_of(PAGE) {
            return Err(MapError::Field { field: "offset", value: offset });
        }
        let sealed = |fd: &OwnedFd| fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !sealed(&fd) && fcntl_add_seals(&fd, SealFlags::SHRINK).is_err() && self.shrinking == Shrinking::Refused {
            return Err(MapError::Shrinks);
        }
        // After the seal: what is there now stays.
        let stat = fstat(&fd).map_err(MapError::System)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(MapError::NotAFile);
        }
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        let needs = offset.checked_add(size).ok_or(MapError::Wraps { addr: offset, size })?;
        if needs > len {
            return Err(MapError::Beyond { len, needs });
        }
        let rights = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        let size = usize::try_from(size).map_err(|_| MapError::Wraps { addr: offset, size })?;
        let file = FileOffset::new(File::from(fd), offset);
        MmapRegion::build(Some(file), size, rights.bits() as i32, flags.bits() as i32).map_err(|error| match error {
            vm_memory::mmap::MmapRegionError::Mmap(error) => {
                MapError::System(Errno::from_io_error(&error).unwrap_or(Errno::IO))
            }
            _ => MapError::System(Errno::INVAL),
        })
    }

    /// Drops a map, or all of them.
    ///
    /// # Errors
    /// When address and size are not those of a map.
    pub fn unmap(&mut self, unmap: &DmaUnmap) -> Result<(), MapError> {
        let (addr, size) = (unmap.addr(), unmap.size());
        match unmap.flags() {
            0 => {}
            UNMAP_ALL if addr == 0 && size == 0 => {
                self.clear();
                return Ok(());
            }
            UNMAP_ALL => return Err(MapError::Unknown { addr, size }),
            flags => return Err(MapError::Field { field: "flags", value: flags.into() }),
        }
        match self.regions.binary_search_by_key(&addr, |r| r.base) {
            Ok(place) if self.regions[place].size == size => {
                let region = self.regions.remove(place);
                if region.bytes.is_some() {
                    self.bytes -= region.size;
                }
                self.last.set(0);
                Ok(())
            }
            _ => Err(MapError::Unknown { addr, size }),
        }
    }

    /// Drops every map.
    pub fn clear(&mut self) {
        self.regions.clear();
        self.bytes = 0;
        self.last.set(0);
    }

    /// Every map: address, bytes, whether there is memory behind it, whether it may be written.
    pub fn maps(&self) -> impl Iterator<Item = (u64, u64, bool, bool)> {
        self.regions.iter().map(|r| (r.base, r.size, r.bytes.is_some(), r.writable))
    }

    /// Bytes out of reach: guest memory without a descriptor. Large when the hypervisor's memory is not shared, and then no
    /// driver will work: worth a warning.
    pub fn holes(&self) -> u64 {
        self.regions.iter().filter(|r| r.bytes.is_none()).map(|r| r.size).sum()
    }

    /// Files that can still shrink under us; see the module.
    pub fn shrinkable(&self) -> usize {
        let file = |r: &&Region| r.bytes.as_ref().and_then(|b| b.file_offset()).map(|f| f.file().try_clone());
        self.regions
            .iter()
            .filter_map(|r| file(&r))
            .filter(|f| !f.as_ref().is_ok_and(|f| fcntl_get_seals(f).is_ok_and(|s| s.contains(SealFlags::SHRINK))))
            .count()
    }

    /// The map around `pa`, if what it is for is allowed: its memory, the place in it, and the bytes left there.
    #[inline]
    fn find(&self, pa: u64, purpose: For) -> Option<(&MmapRegion, usize, usize)> {
        let mut region = self.regions.get(self.last.get()).filter(|r| r.contains(pa));
        if region.is_none() {
            let place = self.regions.partition_point(|r| r.base <= pa).checked_sub(1)?;
            region = self.regions.get(place).filter(|r| r.contains(pa));
            self.last.set(place);
        }
        let region = region?;
        let allowed = match purpose {
            For::Reading => region.readable,
            For::Writing => region.writable,
        };
        let at = pa - region.base;
        let bytes = region.bytes.as_ref().filter(|_| allowed)?;
        Some((bytes, at as usize, (region.size - at) as usize))
    }

    /// Walks the maps that `len` bytes at `pa` lie in, in ascending order: memory, place in it, part of the access.
    #[inline]
    fn walk<'m>(
        &'m self,
        pa: u64,
        len: usize,
        purpose: For,
        mut visit: impl FnMut(&'m MmapRegion, usize, core::ops::Range<usize>),
    ) -> Result<(), DmaFault> {
        let mut done = 0;
        while done < len {
            let at = pa.checked_add(done as u64);
            let Some((bytes, at, left)) = at.and_then(|at| self.find(at, purpose)) else {
                return Err(DmaFault { pa, len });
            };
            let part = left.min(len - done);
            visit(bytes, at, done..done + part);
            done += part;
        }
        Ok(())
    }

    /// True when `len` bytes at `pa` can all be accessed. Adjacent maps are one memory; an empty range needs its address mapped.
    #[inline]
    fn check(&self, pa: u64, len: usize, purpose: For) -> Result<(), DmaFault> {
        self.walk(pa, len.max(1), purpose, |_, _, _| {}).map_err(|_| DmaFault { pa, len })
    }

    /// Reads guest memory.
    ///
    /// # Errors
    /// When the bytes do not all lie in memory that may be read; `into` is then unchanged.
    #[inline]
    pub fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        if let Some((bytes, at, left)) = self.find(pa, For::Reading)
            && into.len() <= left
        {
            copy_out(bytes, at, into);
            return Ok(());
        }
        self.check(pa, into.len(), For::Reading)?;
        self.walk(pa, into.len(), For::Reading, |bytes, at, part| copy_out(bytes, at, &mut into[part]))
    }

    /// Writes guest memory.
    ///
    /// # Errors
    /// When the bytes do not all lie in memory that may be written; nothing is written then.
    #[inline]
    pub fn write(&self, pa: u64, from: &[u8]) -> Result<(), DmaFault> {
        if let Some((bytes, at, left)) = self.find(pa, For::Writing)
            && from.len() <= left
        {
            copy_in(bytes, at, from);
            return Ok(());
        }
        self.check(pa, from.len(), For::Writing)?;
        self.walk(pa, from.len(), For::Writing, |bytes, at, part| copy_in(bytes, at, &from[part]))
    }

    /// A 16-byte descriptor: the half with its ownership bit (bytes 8 to 15) is loaded first, the other after it.
    ///
    /// # Errors
    /// As `read`.
    #[inline]
    pub fn cell(&self, pa: u64) -> Result<u128, DmaFault> {
        if let Some((high, low)) = self.halves(pa, For::Reading) {
            let load = |half: &AtomicU64| Ok(u64::from_le(half.load(Ordering::Acquire)));
            return high_first(|| load(high), || load(low));
        }
        self.check(pa, 16, For::Reading)?;
        let load = |pa| {
            let mut half = [0; 8];
            self.read(pa, &mut half)?;
            fence(Ordering::Acquire);
            Ok(u64::from_le_bytes(half))
        };
        high_first(|| load(pa + 8), || load(pa))
    }

    /// A 16-byte completion: the dword with its ownership bit (the last one) becomes visible last.
    ///
    /// # Errors
    /// As `write`.
    #[inline]
    pub fn publish(&self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        if let Some((high, low)) = self.halves(pa, For::Writing) {
            low.store((cell as u64).to_le(), Ordering::Release);
            high.store(((cell >> 64) as u64).to_le(), Ordering::Release);
            return Ok(());
        }
        self.check(pa, 16, For::Writing)?;
        let bytes = cell.to_le_bytes();
        self.write(pa, &bytes[..12])?;
        fence(Ordering::Release);
        self.write(pa + 12, &bytes[12..])
    }

    /// Both halves of an aligned cell, high first.
    #[inline]
    fn halves(&self, pa: u64, purpose: For) -> Option<(&AtomicU64, &AtomicU64)> {
        let (bytes, at, left) = self.find(pa, purpose)?;
        if left < 16 {
            return None;
        }
        let low = bytes.get_atomic_ref::<AtomicU64>(at).ok()?;
        let high = bytes.get_atomic_ref::<AtomicU64>(at + 8).ok()?;
        Some((high, low))
    }
}

/// A cell of two halves. The one with the ownership bit is loaded first: seen set, the other is at least as new.
#[inline]
fn high_first(
    high: impl FnOnce() -> Result<u64, DmaFault>,
    low: impl FnOnce() -> Result<u64, DmaFault>,
) -> Result<u128, DmaFault> {
    let high = u128::from(high()?);
    let low = u128::from(low()?);
    Ok(high << 64 | low)
}

/// The caller has checked the range.
#[inline]
fn copy_out(bytes: &MmapRegion, at: usize, into: &mut [u8]) {
    bytes.get_slice(at, into.len()).expect("a range inside the map").copy_to(into);
}

/// The caller has checked the range.
#[inline]
fn copy_in(bytes: &MmapRegion, at: usize, from: &[u8]) {
    bytes.get_slice(at, from.len()).expect("a range inside the map").copy_from(from);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two threads rarely meet between the two loads; this always does.
    #[test]
    fn the_half_with_the_ownership_bit_is_loaded_first() {
        let clock = Cell::new(0);
        let tick = || {
            clock.set(clock.get() + 1);
            Ok(clock.get())
        };
        assert_eq!(high_first(tick, tick), Ok(1 << 64 | 2));
    }
}
