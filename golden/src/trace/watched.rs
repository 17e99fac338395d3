//! Guest memory with a list of what the hypervisor looked at.
//!
//! During a switch the hypervisor scans rings without being a device: no watcher is told. What it sees decides how the run
//! goes on, so a recording of a guest whose stores are unknown has to hold it.

use model::host::DmaFault;
use model::memory::{Memory, Ram};
use spec::event::GuestView;
use std::cell::{Cell, RefCell};

/// One look of the hypervisor at guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look<'a> {
    /// Guest-physical address.
    pub pa: u64,
    /// Bytes asked for.
    pub len: usize,
    /// What was there; `None` outside guest memory.
    pub bytes: Option<&'a [u8]>,
}

/// Guest memory that can say what the hypervisor looked at.
pub trait Looks: Ram {
    /// From now on looks are kept, or not.
    fn keep(&self, on: bool);
    /// Hands over the looks kept so far, oldest first.
    fn take(&self, each: &mut dyn FnMut(Look<'_>));
}

/// Of plain memory a recording has every store: there is nothing to keep.
impl Looks for Memory {
    fn keep(&self, _: bool) {}
    fn take(&self, _: &mut dyn FnMut(Look<'_>)) {}
}

#[derive(Debug, Default)]
struct Kept {
    /// Address, length and, when the look succeeded, where in `bytes` it begins.
    looks: Vec<(u64, usize, Option<usize>)>,
    bytes: Vec<u8>,
}

/// Guest memory around which looks are kept.
#[derive(Debug, Default)]
pub struct Watched<M> {
    inner: M,
    on: Cell<bool>,
    kept: RefCell<Kept>,
}

impl<M> Watched<M> {
    /// Around `inner`; nothing is kept yet.
    pub fn new(inner: M) -> Self {
        Self { inner, on: Cell::new(false), kept: RefCell::default() }
    }

    /// The memory.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The memory, to be changed.
    pub fn inner_mut(&mut self) -> &mut M {
        &mut self.inner
    }
}

impl<M: Ram> Looks for Watched<M> {
    fn keep(&self, on: bool) {
        self.on.set(on);
        let mut kept = self.kept.borrow_mut();
        kept.looks.clear();
        kept.bytes.clear();
    }

    fn take(&self, each: &mut dyn FnMut(Look<'_>)) {
        let mut kept = self.kept.borrow_mut();
        let Kept { looks, bytes } = &mut *kept;
        for &(pa, len, from) in looks.iter() {
            each(Look { pa, len, bytes: from.map(|from| &bytes[from..from + len]) });
        }
        looks.clear();
        bytes.clear();
    }
}

impl<M: GuestView> GuestView for Watched<M> {
    #[inline]
    fn slice(&self, pa: u64, len: usize) -> Option<&[u8]> {
        self.inner.slice(pa, len)
    }
}

impl<M: Ram> Ram for Watched<M> {
    #[inline]
    fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.inner.read(pa, into)
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.inner.write(pa, bytes)
    }
    #[inline]
    fn fetch(&self, pa: u64) -> Result<u128, DmaFault> {
        self.inner.fetch(pa)
    }
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.inner.publish(pa, cell)
    }
    fn look(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let answer = self.inner.look(pa, into);
        if self.on.get() {
            let mut kept = self.kept.borrow_mut();
            let from = kept.bytes.len();
            kept.looks.push((pa, into.len(), answer.is_ok().then_some(from)));
            if answer.is_ok() {
                kept.bytes.extend_from_slice(into);
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_kept_in_order_and_only_when_asked() {
        let memory = Watched::new(Memory::new(&[(0x1000, 16)]));
        let mut into = [0; 4];
        memory.look(0x1000, &mut into).unwrap();
        memory.keep(true);
        memory.look(0x1004, &mut into).unwrap();
        assert!(memory.look(0x9000, &mut into).is_err());
        let mut seen = Vec::new();
        memory.take(&mut |look| seen.push((look.pa, look.len, look.bytes.map(<[u8]>::to_vec))));
        assert_eq!(seen, [(0x1004, 4, Some(vec![0; 4])), (0x9000, 4, None)]);
        memory.take(&mut |_| panic!("handed over twice"));
    }
}
