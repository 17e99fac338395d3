//! The peer's memory as the models meet it.

use crate::vfio_user::LiveMemory;
use model::host::DmaFault;
use model::memory::Ram;
use spec::event::GuestView;

/// A guest changes its memory while anybody looks: nothing can be lent.
impl GuestView for LiveMemory {
    fn slice(&self, _: u64, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Ram for LiveMemory {
    #[inline]
    fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.read(pa, into)
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        LiveMemory::write(self, pa, bytes)
    }
    #[inline]
    fn fetch(&self, pa: u64) -> Result<u128, DmaFault> {
        self.cell(pa)
    }
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        LiveMemory::publish(self, pa, cell)
    }
    #[inline]
    fn look(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.read(pa, into)
    }
}
