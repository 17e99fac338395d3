//! What is shown to the peer.

use super::migration::Migration;
use super::proto::{DmaMap, DmaUnmap, SparseArea};
use super::vectors::Trigger;
use core::ops::Range;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Regions of a PCI device.
pub const REGIONS: u32 = 9;
/// Interrupt indexes of a PCI device.
pub const IRQS: u32 = 5;

/// Numbers of regions. Source: linux/vfio.h, VFIO_PCI_*_REGION_INDEX.
pub mod region {
    /// BAR0; the others follow up to 5.
    pub const BAR0: u32 = 0;
    /// The option ROM.
    pub const ROM: u32 = 6;
    /// Configuration space.
    pub const CONFIG: u32 = 7;
    /// VGA ranges.
    pub const VGA: u32 = 8;
}

/// Numbers of interrupt indexes. Source: linux/vfio.h, VFIO_PCI_*_IRQ_INDEX.
pub mod irq {
    /// The INTx line.
    pub const INTX: u32 = 0;
    /// MSI.
    pub const MSI: u32 = 1;
    /// MSI-X.
    pub const MSIX: u32 = 2;
    /// Errors on the bus.
    pub const ERR: u32 = 3;
    /// The device asks to be released.
    pub const REQ: u32 = 4;
}

/// A region. The default is one that does not exist: size 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegionInfo<'a> {
    /// Bytes; 0 for a region that does not exist.
    pub size: u64,
    /// The peer may read it.
    pub read: bool,
    /// The peer may write it.
    pub write: bool,
    /// How it can be mapped. Reads and writes by message are served all the same.
    pub mapping: Option<Mapping<'a>>,
}

/// A region in a file, for the peer to map.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// The file; the peer gets a duplicate.
    pub fd: BorrowedFd<'a>,
    /// Where the region begins in the file, a multiple of the page size.
    pub offset: u64,
    /// Parts that may be mapped, whole pages; empty for all of it. QEMU maps nothing without a list, so one is always sent.
    pub areas: &'a [SparseArea],
}

/// An interrupt index. The default is one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IrqInfo {
    /// Vectors.
    pub count: u32,
    /// `proto::IRQ_*` flags.
    pub flags: u32,
}

/// What the peer does to a range of vectors of one index. `Option<&[u8]>` picks vectors: those whose byte is not 0, or all.
#[derive(Debug)]
pub enum IrqChange<'a> {
    /// Every vector of the index, which has some, loses its eventfd; the range is empty.
    Disable,
    /// Each vector gets the eventfd at its place; with none at all each loses its own. QEMU's first message for a new set
    /// comes without.
    Assign(Vec<Trigger>),
    /// Fires, as if the device had.
    Fire(Option<&'a [u8]>),
    /// Masks.
    Mask(Option<&'a [u8]>),
    /// Unmasks.
    Unmask(Option<&'a [u8]>),
}

/// Vectors of `range` that `picked` means.
pub(super) fn picked<'a>(range: Range<u32>, picked: Option<&'a [u8]>) -> impl Iterator<Item = u32> + 'a {
    range.enumerate().filter(move |(i, _)| picked.is_none_or(|p| p.get(*i).is_some_and(|b| *b != 0))).map(|(_, v)| v)
}

/// A device as the session sees it. Numbers that reach it are checked: regions and vectors exist, ranges lie inside them.
/// An `Err` becomes an error reply; the session goes on.
pub trait Device {
    /// Region `index`, below [`REGIONS`]. Size and rights are taken when the version is agreed and hold for the session.
    fn region(&self, index: u32) -> RegionInfo<'_>;

    /// Interrupt index `index`, below [`IRQS`]; taken at the same time.
    fn irq(&self, index: u32) -> IrqInfo;

    /// Reads a region, never zero bytes.
    ///
    /// # Errors
    /// What the peer is told.
    fn read(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Writes a region, never zero bytes. The peer may wait for it or not.
    ///
    /// # Errors
    /// What the peer is told, if it waits.
    fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Guest memory becomes reachable; most devices hand it to [`LiveMemory::map`](super::LiveMemory::map).
    ///
    /// # Errors
    /// What the peer is told; `EEXIST` for an overlap.
    fn dma_map(&mut self, map: &DmaMap, fd: Option<OwnedFd>) -> Result<(), Errno>;

    /// Guest memory goes away, and is not touched once this returns; see [`LiveMemory::unmap`](super::LiveMemory::unmap).
    ///
    /// # Errors
    /// What the peer is told.
    fn dma_unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno>;

    /// Something is done to `range` of the vectors of `index`.
    ///
    /// # Errors
    /// What the peer is told.
    fn set_irqs(&mut self, index: u32, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno>;

    /// Where it stands in a migration; `None` while it cannot be moved.
    fn migration(&self) -> Option<Migration> {
        None
    }

    /// Goes from where it stands to `to`, one step of [`Migration::next`]. When it fails it stands where it stood.
    ///
    /// # Errors
    /// What the peer is told.
    fn migrate(&mut self, to: Migration) -> Result<(), Errno> {
        let _nowhere = to;
        Err(Errno::NOTSUP)
    }

    /// Reads its state, in [`Migration::StopCopy`]: how many bytes; fewer than asked for are the last. `None`: not yet, ask again.
    ///
    /// # Errors
    /// What the peer is told.
    fn read_state(&mut self, into: &mut [u8]) -> Result<Option<usize>, Errno> {
        let _nothing = into;
        Err(Errno::NOTSUP)
    }

    /// Takes the next bytes of a state, in [`Migration::Resuming`].
    ///
    /// # Errors
    /// What the peer is told.
    fn write_state(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let _nothing = bytes;
        Err(Errno::NOTSUP)
    }

    /// As a function-level reset. QEMU sends it twice at a system reset.
    fn reset(&mut self);

    /// The peer is gone: its memory and eventfds go, the device becomes as new. Called once a session.
    fn gone(&mut self);
}
