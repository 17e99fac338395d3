//! Guest memory: a short list of RAM regions fixed at construction. Outside is a [`DmaFault`].

use crate::host::DmaFault;
use spec::event::GuestView;

/// Guest memory as devices and the hypervisor meet it; [`Memory`] is the plain-data one.
pub trait Ram: GuestView {
    /// Reads for a device.
    ///
    /// # Errors
    /// When the bytes do not all lie in guest memory; `into` is then unchanged.
    fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault>;

    /// Writes for a device.
    ///
    /// # Errors
    /// When the bytes do not all lie in writable guest memory; nothing is written then.
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault>;

    /// The 16-byte descriptor at `pa`, the half with its ownership bit read first.
    ///
    /// # Errors
    /// As `read`.
    fn fetch(&self, pa: u64) -> Result<u128, DmaFault>;

    /// A 16-byte completion to `pa`; the dword with its ownership bit becomes visible last.
    ///
    /// # Errors
    /// As `write`.
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault>;

    /// Reads for the hypervisor, which looks at rings during a switch: no device access, and no watcher is told.
    ///
    /// # Errors
    /// As `read`.
    fn look(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault>;
}

/// One RAM region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Region {
    base: u64,
    bytes: Vec<u8>,
}

/// Guest memory. Equal bytes are equal states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    regions: Vec<Region>,
}

impl Memory {
    /// Zeroed regions, each a base address and a size in bytes, in ascending order.
    ///
    /// # Panics
    /// When regions overlap, are out of order or wrap: they are the caller's own.
    pub fn new(regions: &[(u64, usize)]) -> Self {
        let mut end = 0;
        let regions = regions
            .iter()
            .map(|&(base, len)| {
                assert!(base >= end, "regions ascend and do not overlap");
                end = base.checked_add(len as u64).expect("a region ends below 2^64");
                Region { base, bytes: vec![0; len] }
            })
            .collect();
        Self { regions }
    }

    #[inline]
    fn find(&self, pa: u64, len: usize) -> Result<(usize, usize), DmaFault> {
        for (i, region) in self.regions.iter().enumerate() {
            if pa >= region.base && pa - region.base <= region.bytes.len() as u64 {
                let at = (pa - region.base) as usize;
                if len <= region.bytes.len() - at {
                    return Ok((i, at));
                }
            }
        }
        Err(DmaFault { pa, len })
    }

    /// `len` bytes at `pa`.
    ///
    /// # Errors
    /// When they do not all lie in one region.
    #[inline]
    pub fn bytes(&self, pa: u64, len: usize) -> Result<&[u8], DmaFault> {
        let (i, at) = self.find(pa, len)?;
        Ok(&self.regions[i].bytes[at..at + len])
    }

    /// `len` writable bytes at `pa`.
    ///
    /// # Errors
    /// When they do not all lie in one region.
    #[inline]
    pub fn bytes_mut(&mut self, pa: u64, len: usize) -> Result<&mut [u8], DmaFault> {
        let (i, at) = self.find(pa, len)?;
        Ok(&mut self.regions[i].bytes[at..at + len])
    }

    /// Reads.
    ///
    /// # Errors
    /// When the bytes do not all lie in one region.
    #[inline]
    pub fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        into.copy_from_slice(self.bytes(pa, into.len())?);
        Ok(())
    }

    /// Writes.
    ///
    /// # Errors
    /// When the bytes do not all lie in one region; nothing is written then.
    #[inline]
    pub fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.bytes_mut(pa, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// The 16 bytes at `pa`, little-endian.
    ///
    /// # Errors
    /// When they do not all lie in one region.
    #[inline]
    pub fn cell(&self, pa: u64) -> Result<u128, DmaFault> {
        let mut le = [0; 16];
        self.read(pa, &mut le)?;
        Ok(u128::from_le_bytes(le))
    }

    /// A declared structure at `pa`.
    ///
    /// # Errors
    /// When it does not lie in one region.
    pub fn get<T: spec::layout::Bytes>(&self, pa: u64) -> Result<T, DmaFault> {
        Ok(T::get(self.bytes(pa, T::SIZE)?))
    }

    /// Stores a declared structure at `pa`.
    ///
    /// # Errors
    /// When it does not lie in one region.
    pub fn put<T: spec::layout::Bytes>(&mut self, pa: u64, value: T) -> Result<(), DmaFault> {
        value.put(self.bytes_mut(pa, T::SIZE)?);
        Ok(())
    }

    /// Every region: base address and bytes.
    pub fn regions(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.regions.iter().map(|r| (r.base, r.bytes.as_slice()))
    }
}

impl Ram for Memory {
    #[inline]
    fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.read(pa, into)
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.write(pa, bytes)
    }
    #[inline]
    fn fetch(&self, pa: u64) -> Result<u128, DmaFault> {
        self.cell(pa)
    }
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.write(pa, &cell.to_le_bytes())
    }
    #[inline]
    fn look(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.read(pa, into)
    }
}

impl GuestView for Memory {
    #[inline]
    fn slice(&self, pa: u64, len: usize) -> Option<&[u8]> {
        self.bytes(pa, len).ok()
    }
}

/// Bytes of a frame in a buffer that is used again and again. Growing back into room that was used before clears nothing:
/// whoever grows writes. What stands in that room is no state.
#[derive(Clone, Default)]
pub struct Buffer {
    room: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// No bytes; the room stays.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the first `len` bytes.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// `by` bytes more, behind the others, to be overwritten: they hold anything.
    #[inline]
    pub fn grow(&mut self, by: usize) -> &mut [u8] {
        let from = self.len;
        self.len += by;
        if self.room.len() < self.len {
            self.room.resize(self.len, 0);
        }
        &mut self.room[from..self.len]
    }
}

impl core::ops::Deref for Buffer {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl core::ops::DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[..self.len]
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        Self { room: bytes.to_vec(), len: bytes.len() }
    }
}

impl core::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Buffer {}

impl core::hash::Hash for Buffer {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_buffer_held_before_is_no_state() {
        let mut used = Buffer::from(&[1, 2, 3][..]);
        used.truncate(1);
        let fresh = Buffer::from(&[1][..]);
        assert_eq!(used, fresh);
        used.grow(2).fill(9);
        assert_eq!(*used, [1, 9, 9]);
        used.clear();
        assert_eq!(used, Buffer::default());
    }

    #[test]
    fn an_access_lies_wholly_in_one_region_or_faults_and_changes_nothing() {
        let mut memory = Memory::new(&[(0x1000, 16), (0x1010, 16), (u64::MAX - 16, 16)]);
        let before = memory.clone();
        for (pa, len) in [(0xfff, 1), (0x100f, 2), (0x1020, 1), (u64::MAX, 1), (u64::MAX - 1, 2), (0, 0)] {
            assert!(memory.write(pa, &vec![7; len]).is_err(), "{pa:#x}+{len}");
        }
        assert_eq!(memory, before);
        memory.write(0x100f, &[7]).unwrap();
        assert_eq!(memory.bytes(0x1000, 16).unwrap()[15], 7);
    }
}
