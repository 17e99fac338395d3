//! Wrappers on the port: they count, fault, tear, gate and log, so that devices need not.

use super::{DmaFault, Host, Sent};
use std::collections::BTreeSet;

/// Counts guest-visible accesses; `step` asks how many the last step made.
#[derive(Debug)]
pub struct OneAccess<H> {
    inner: H,
    accesses: u32,
}

impl<H> OneAccess<H> {
    /// Around `inner`.
    pub fn new(inner: H) -> Self {
        Self { inner, accesses: 0 }
    }

    /// Accesses since the last call.
    pub fn take(&mut self) -> u32 {
        std::mem::take(&mut self.accesses)
    }
}

/// Refuses the accesses whose number a plan names, counted from 0.
#[derive(Debug)]
pub struct Faulty<H> {
    inner: H,
    count: u64,
    refused: BTreeSet<u64>,
}

impl<H> Faulty<H> {
    /// Around `inner`, refusing these accesses.
    pub fn new(inner: H, refused: BTreeSet<u64>) -> Self {
        Self { inner, count: 0, refused }
    }

    fn refuse(&mut self) -> bool {
        let refuse = self.refused.contains(&self.count);
        self.count += 1;
        refuse
    }
}

/// Lets somebody act between the two halves of `fetch` and of `publish`: a guest store may land there.
#[derive(Debug)]
pub struct Torn<H, F> {
    inner: H,
    between: F,
}

impl<H, F> Torn<H, F> {
    /// Around `inner`; `between` runs between the halves.
    pub fn new(inner: H, between: F) -> Self {
        Self { inner, between }
    }
}

/// Refuses all DMA and every interrupt while bus mastering is off.
#[derive(Debug)]
pub struct BusMaster<H> {
    inner: H,
    enabled: bool,
}

impl<H> BusMaster<H> {
    /// Around `inner`.
    pub fn new(inner: H, enabled: bool) -> Self {
        Self { inner, enabled }
    }
}

/// Logs the 4 KiB pages that the device wrote.
#[derive(Debug)]
pub struct DirtyLog<H> {
    inner: H,
    pages: BTreeSet<u64>,
}

/// Bytes of a page in the dirty log.
pub const PAGE: u64 = 4096;

impl<H> DirtyLog<H> {
    /// Around `inner`.
    pub fn new(inner: H) -> Self {
        Self { inner, pages: BTreeSet::new() }
    }

    /// Numbers of the pages written so far.
    pub fn pages(&self) -> &BTreeSet<u64> {
        &self.pages
    }

    fn mark(&mut self, pa: u64, len: usize) {
        if len > 0 {
            self.pages.extend(pa / PAGE..=pa.saturating_add(len as u64 - 1) / PAGE);
        }
    }
}

macro_rules! forward {
    (transmit) => {
        fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
            self.inner.transmit(queue, frame)
        }
    };
    (interrupts) => {
        fn vector(&mut self, index: u16) {
            self.inner.vector(index);
        }
        fn intx(&mut self, asserted: bool) {
            self.inner.intx(asserted);
        }
    };
    (reads) => {
        fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
            self.inner.read(pa, into)
        }
        fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
            self.inner.fetch(pa)
        }
    };
    (writes) => {
        fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
            self.inner.write(pa, bytes)
        }
        fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
            self.inner.publish(pa, cell)
        }
    };
}

macro_rules! before_each {
    ($self:ident, $pa:ident, $len:ident: $check:block) => {
        fn read(&mut $self, $pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
            let $len = into.len();
            $check
            $self.inner.read($pa, into)
        }
        fn write(&mut $self, $pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
            let $len = bytes.len();
            $check
            $self.inner.write($pa, bytes)
        }
        fn fetch(&mut $self, $pa: u64) -> Result<u128, DmaFault> {
            let $len = 16;
            $check
            $self.inner.fetch($pa)
        }
        fn publish(&mut $self, $pa: u64, cell: u128) -> Result<(), DmaFault> {
            let $len = 16;
            $check
            $self.inner.publish($pa, cell)
        }
    };
}

impl<H: Host> Host for OneAccess<H> {
    before_each!(self, pa, len: {
        let _ = len;
        self.accesses += 1;
    });
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        self.accesses += 1;
        self.inner.transmit(queue, frame)
    }
    fn vector(&mut self, index: u16) {
        self.accesses += 1;
        self.inner.vector(index);
    }
    fn intx(&mut self, asserted: bool) {
        self.accesses += 1;
        self.inner.intx(asserted);
    }
}

impl<H: Host> Host for Faulty<H> {
    before_each!(self, pa, len: {
        if self.refuse() {
            return Err(DmaFault { pa, len });
        }
    });
    forward!(transmit);
    forward!(interrupts);
}

impl<H: Host> Host for BusMaster<H> {
    before_each!(self, pa, len: {
        if !self.enabled {
            return Err(DmaFault { pa, len });
        }
    });
    forward!(transmit);
    fn vector(&mut self, index: u16) {
        if self.enabled {
            self.inner.vector(index);
        }
    }
    fn intx(&mut self, asserted: bool) {
        self.inner.intx(asserted);
    }
}

impl<H: Host> Host for DirtyLog<H> {
    forward!(reads);
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.mark(pa, bytes.len());
        self.inner.write(pa, bytes)
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.mark(pa, 16);
        self.inner.publish(pa, cell)
    }
    forward!(transmit);
    forward!(interrupts);
}

impl<H: Host, F: FnMut(&mut H)> Host for Torn<H, F> {
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.inner.read(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.inner.write(pa, bytes)
    }
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        let (mut low, mut high) = ([0; 8], [0; 8]);
        let after = pa.checked_add(8).ok_or(DmaFault { pa, len: 16 })?;
        self.inner.read(after, &mut high)?;
        (self.between)(&mut self.inner);
        self.inner.read(pa, &mut low)?;
        Ok(u128::from(u64::from_le_bytes(high)) << 64 | u128::from(u64::from_le_bytes(low)))
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        let bytes = cell.to_le_bytes();
        let after = pa.checked_add(12).ok_or(DmaFault { pa, len: 16 })?;
        self.inner.write(pa, &bytes[..12])?;
        (self.between)(&mut self.inner);
        self.inner.write(after, &bytes[12..])
    }
    forward!(transmit);
    forward!(interrupts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Bare;
    use crate::memory::Memory;

    fn bare() -> Bare {
        Bare::new(Memory::new(&[(0, 0x3000)]))
    }

    #[test]
    fn one_access_counts_each_guest_visible_access() {
        let mut host = OneAccess::new(bare());
        host.fetch(0).unwrap();
        host.transmit(0, &[1]);
        host.vector(1);
        assert_eq!((host.take(), host.take()), (3, 0));
    }

    #[test]
    fn faulty_refuses_the_access_its_plan_names() {
        let mut host = Faulty::new(bare(), [1].into());
        assert!(host.write(0, &[1]).is_ok());
        assert!(host.write(1, &[1]).is_err());
        assert!(host.write(1, &[1]).is_ok());
    }

    #[test]
    fn torn_lets_a_store_land_between_the_halves() {
        let mut host = Torn::new(bare(), |host: &mut Bare| host.write(0, &[9]).unwrap());
        assert_eq!(host.fetch(0).unwrap(), 9);
        host.publish(0, u128::MAX).unwrap();
        let mut first = [0];
        host.read(0, &mut first).unwrap();
        assert_eq!(first, [9]);
    }

    #[test]
    fn bus_master_off_lets_nothing_through() {
        let mut host = BusMaster::new(bare(), false);
        assert!(host.fetch(0).is_err());
        host.vector(0);
        assert!(host.inner.vectors.is_empty());
    }

    #[test]
    fn the_dirty_log_covers_every_page_written_and_none_read() {
        let mut host = DirtyLog::new(bare());
        host.read(0, &mut [0; 16]).unwrap();
        host.write(PAGE - 1, &[0; 2]).unwrap();
        host.publish(2 * PAGE, 0).unwrap();
        assert_eq!(host.pages().iter().copied().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
