//! The smallest world: memory, a wire that keeps what it gets, and the vectors raised.

use super::{DmaFault, Host, Sent};
use crate::memory::Memory;

/// Guest memory and records of what the device did, for tests and benchmarks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bare {
    /// Guest memory.
    pub memory: Memory,
    /// Frames sent: queue and bytes.
    pub sent: Vec<(u8, Vec<u8>)>,
    /// Vectors raised, oldest first.
    pub vectors: Vec<u16>,
    /// Level of the INTx line.
    pub line: bool,
    /// The wire takes nothing.
    pub busy: bool,
}

impl Bare {
    /// Around `memory`, with a ready wire.
    pub fn new(memory: Memory) -> Self {
        Self { memory, ..Self::default() }
    }
}

impl Host for Bare {
    #[inline]
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.memory.read(pa, into)
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.memory.write(pa, bytes)
    }
    #[inline]
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        self.memory.cell(pa)
    }
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.memory.write(pa, &cell.to_le_bytes())
    }
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        if self.busy {
            return Sent::Busy;
        }
        self.sent.push((queue, frame.to_vec()));
        Sent::Yes
    }
    fn vector(&mut self, index: u16) {
        self.vectors.push(index);
    }
    fn intx(&mut self, asserted: bool) {
        self.line = asserted;
    }
}
