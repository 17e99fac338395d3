//! The port: everything a device can ask of the world around it.

mod bare;
mod wrappers;

pub use bare::Bare;
pub use wrappers::{BusMaster, DirtyLog, Faulty, OneAccess, PAGE, Torn};

/// An access outside guest memory, or one that the bus refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("access to {pa:#x}, {len} bytes, outside guest memory")]
pub struct DmaFault {
    /// Guest-physical address.
    pub pa: u64,
    /// Bytes.
    pub len: usize,
}

/// Whether the wire took a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It did: the packet's commit point.
    Yes,
    /// It did not; nothing changed. A `wire_ready` call tells when to try again.
    Busy,
}

/// Everything a device can ask of the world around it: synchronous, at most one guest-visible access a step.
pub trait Host {
    /// Reads guest memory.
    ///
    /// # Errors
    /// When the bytes do not all lie in guest memory, or the bus refuses; `into` is then unchanged.
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault>;

    /// Writes guest memory.
    ///
    /// # Errors
    /// As `read`; nothing is written then.
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault>;

    /// A 16-byte descriptor, the half with its ownership bit read first.
    ///
    /// # Errors
    /// As `read`.
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault>;

    /// A 16-byte completion; the dword with its ownership bit becomes visible last.
    ///
    /// # Errors
    /// As `write`.
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault>;

    /// The commit point of a packet of TX queue `queue`. `Busy` changes nothing.
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent;

    /// An interrupt on a vector; a body names vectors, never messages.
    fn vector(&mut self, index: u16);

    /// The level of the INTx line.
    fn intx(&mut self, asserted: bool);
}

impl<H: Host> Host for &mut H {
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        (**self).read(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        (**self).write(pa, bytes)
    }
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        (**self).fetch(pa)
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        (**self).publish(pa, cell)
    }
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        (**self).transmit(queue, frame)
    }
    fn vector(&mut self, index: u16) {
        (**self).vector(index);
    }
    fn intx(&mut self, asserted: bool) {
        (**self).intx(asserted);
    }
}
