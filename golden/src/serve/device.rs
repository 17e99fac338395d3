//! The engine as a PCI device of a vfio-user peer.

use super::engine::Engine;
use super::page::PAGE_BYTES;
use crate::trace::Watched;
use crate::vfio_user::proto::{self, DmaMap, DmaUnmap, SparseArea};
use crate::vfio_user::{Device, Errno, IrqChange, IrqInfo, LiveMemory, Mapping, Migration, RegionInfo, irq, region};
use core::ops::Range;
use model::pci::BAR2_BYTES;
use rustix::fd::{AsFd, OwnedFd};
use spec::event::Bar;
use spec::vmxnet3::Interrupts;

/// Bytes of configuration space.
const CONFIG_BYTES: u64 = 256;
/// Widest access that is taken apart into registers, bytes.
const WIDEST: usize = 64;

/// A device on the memory that its peer maps.
pub type Served = Engine<Watched<LiveMemory>>;

fn bar(region: u32) -> Option<Bar> {
    [Bar::Bar0, Bar::Bar1, Bar::Bar2].get(region as usize).copied()
}

/// The part of BAR0 that can be mapped: its first page, whatever lies behind it.
const FIRST_PAGE: &[SparseArea] = &[SparseArea((PAGE_BYTES as u128) << SparseArea::LAYOUT.low("size"))];

impl Device for Served {
    fn region(&self, index: u32) -> RegionInfo<'_> {
        let size = match index {
            0 => self.profile().bar0_bytes().into(),
            1 => PAGE_BYTES as u64,
            2 => u64::from(BAR2_BYTES),
            region::CONFIG => CONFIG_BYTES,
            _ => return RegionInfo::default(),
        };
        let mapping = self.page().filter(|_| index == region::BAR0);
        let mapping = mapping.map(|page| Mapping { fd: page.file().as_fd(), offset: 0, areas: FIRST_PAGE });
        RegionInfo { size, read: true, write: true, mapping }
    }

    fn irq(&self, index: u32) -> IrqInfo {
        match index {
            irq::INTX => IrqInfo { count: 1, flags: proto::IRQ_EVENTFD | proto::IRQ_MASKABLE | proto::IRQ_AUTOMASKED },
            irq::MSI if self.profile().interrupts != Interrupts::Line => {
                IrqInfo { count: 1, flags: proto::IRQ_EVENTFD }
            }
            irq::MSIX if self.profile().interrupts == Interrupts::MsiX => {
                IrqInfo { count: self.profile().widest().vectors.into(), flags: proto::IRQ_EVENTFD }
            }
            _ => IrqInfo::default(),
        }
    }

    fn read(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        if region == region::CONFIG {
            self.config_read(offset as usize, into);
            return Ok(());
        }
        let Some(bar) = bar(region).filter(|_| into.len() <= WIDEST) else { return Err(Errno::INVAL) };
        if self.is_moving() {
            return Err(Errno::BUSY);
        }
        // A register is read once, however its bytes are cut.
        let (mut word, mut have) = ([0; 4], None);
        for (i, byte) in into.iter_mut().enumerate() {
            let at = offset as u32 + i as u32;
            if have != Some(at & !3) {
                word = Engine::read(self, bar, at & !3).to_le_bytes();
                have = Some(at & !3);
            }
            *byte = word[(at & 3) as usize];
        }
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.is_moving() {
            return Err(Errno::BUSY);
        }
        if region == region::CONFIG {
            self.config_write(offset as u16, bytes);
            return Ok(());
        }
        let Some(bar) = bar(region).filter(|_| bytes.len() <= WIDEST) else { return Err(Errno::INVAL) };
        // Registers are 32 bits wide: what does not cover one whole writes nothing.
        let (words, rest) = bytes.as_chunks::<4>();
        if !offset.is_multiple_of(4) || !rest.is_empty() {
            return Err(Errno::INVAL);
        }
        for (i, word) in (0..).zip(words) {
            Engine::write(self, bar, offset as u32 + 4 * i, u32::from_le_bytes(*word));
        }
        Ok(())
    }

    fn dma_map(&mut self, map: &DmaMap, fd: Option<OwnedFd>) -> Result<(), Errno> {
        self.memory_mut().inner_mut().map(map, fd).map_err(|error| error.errno())
    }

    fn dma_unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno> {
        self.memory_mut().inner_mut().unmap(unmap).map_err(|error| error.errno())
    }

    fn set_irqs(&mut self, index: u32, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        match index {
            irq::INTX => {
                let asserted = self.system().line();
                self.interrupts().change_line(range, change, asserted)
            }
            irq::MSI if self.profile().interrupts != Interrupts::Line => self.interrupts().change_single(range, change),
            irq::MSIX if self.profile().interrupts == Interrupts::MsiX => {
                self.interrupts().change_messages(range, change)
            }
            _ => Err(Errno::INVAL),
        }
    }

    fn migration(&self) -> Option<Migration> {
        self.standing()
    }

    fn migrate(&mut self, to: Migration) -> Result<(), Errno> {
        self.migrate_to(to)
    }

    fn read_state(&mut self, into: &mut [u8]) -> Result<Option<usize>, Errno> {
        Engine::read_state(self, into)
    }

    fn write_state(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        Engine::write_state(self, bytes)
    }

    fn reset(&mut self) {
        self.function_reset();
    }

    fn gone(&mut self) {
        self.interrupts().clear();
        self.forget_guest();
        self.memory_mut().inner_mut().clear();
    }
}
