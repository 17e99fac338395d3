//! A few pages of the hypervisor's own, behind addresses that no guest has: commands that read or write memory use it.

use crate::host::{DmaFault, Host, Sent};

/// First address of the page, above everything a guest can have.
pub const HOST_SCRATCH: u64 = 1 << 52;
/// Bytes.
pub const BYTES: usize = 4096 + INGRESS_BYTES;
/// Where a frame read back from the ingress FIFO stands.
pub const INGRESS: u64 = HOST_SCRATCH + 4096;
/// Longest frame that can be read back, bytes.
pub const INGRESS_BYTES: usize = crate::vic::LONGEST_FRAME;
/// Where the RSS key stands, in the form that RSS_KEY reads.
pub const KEY: u64 = HOST_SCRATCH + 2048;
/// Where the indirection table stands, in the form that RSS_CPU reads.
pub const TABLE: u64 = HOST_SCRATCH + 2304;

/// Where QP_STATS_DUMP of a queue pair goes.
pub const fn stats(pair: u8) -> u64 {
    HOST_SCRATCH + pair as u64 * <spec::vic::QpStats as spec::layout::Bytes>::SIZE as u64
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scratch(Vec<u8>);

impl Default for Scratch {
    fn default() -> Self {
        Self(vec![0; BYTES])
    }
}

impl Scratch {
    /// `len` bytes at `pa`.
    ///
    /// # Errors
    /// When they do not all lie in the page.
    pub fn bytes(&self, pa: u64, len: usize) -> Result<&[u8], DmaFault> {
        let from = pa.checked_sub(HOST_SCRATCH).and_then(|at| usize::try_from(at).ok());
        from.and_then(|at| self.0.get(at..at.checked_add(len)?)).ok_or(DmaFault { pa, len })
    }

    /// `len` writable bytes at `pa`.
    ///
    /// # Errors
    /// When they do not all lie in the page.
    pub fn bytes_mut(&mut self, pa: u64, len: usize) -> Result<&mut [u8], DmaFault> {
        let from = pa.checked_sub(HOST_SCRATCH).and_then(|at| usize::try_from(at).ok());
        from.and_then(|at| self.0.get_mut(at..at.checked_add(len)?)).ok_or(DmaFault { pa, len })
    }

    /// A declared structure at `pa`, which must lie in the page: the addresses are this module's own.
    pub fn get<T: spec::layout::Bytes + Default>(&self, pa: u64) -> T {
        self.bytes(pa, T::SIZE).map(T::get).unwrap_or_default()
    }
}

/// Serves the hypervisor's page and passes everything else on: put it outside whatever watches the guest's memory.
#[derive(Debug)]
pub struct WithScratch<'a, H> {
    /// The page.
    pub scratch: &'a mut Scratch,
    /// The guest's world.
    pub host: H,
}

impl<H: Host> Host for WithScratch<'_, H> {
    #[inline]
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        if pa < HOST_SCRATCH {
            return self.host.read(pa, into);
        }
        into.copy_from_slice(self.scratch.bytes(pa, into.len())?);
        Ok(())
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        if pa < HOST_SCRATCH {
            return self.host.write(pa, bytes);
        }
        self.scratch.bytes_mut(pa, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
    /// A descriptor is the guest's: the page never answers for one.
    #[inline]
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        self.host.fetch(pa)
    }
    /// A completion is the guest's, as a descriptor is.
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.host.publish(pa, cell)
    }
    #[inline]
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        self.host.transmit(queue, frame)
    }
    fn vector(&mut self, index: u16) {
        self.host.vector(index);
    }
    fn intx(&mut self, asserted: bool) {
        self.host.intx(asserted);
    }
}
