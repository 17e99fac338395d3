//! The port as a machine implements it: guest memory, the PCI function, the wire, and whoever watches.

use crate::host::{DmaFault, Host, Sent};
use crate::memory::Ram;
use crate::net::Net;
use crate::pci::{Delivery, Pci};
use spec::event::{Effect, Tap};
use spec::vmxnet3::CELL_BYTES;

/// One device's view of the machine for the length of a step.
#[derive(Debug)]
pub(crate) struct Port<'a, M, T> {
    pub memory: &'a mut M,
    pub pci: &'a mut Pci,
    pub net: &'a mut Net,
    /// Vectors whose message reached the guest and that it has not taken yet, a bit each.
    pub messages: &'a mut u128,
    /// The INTx line as the guest sees it.
    pub line: &'a mut bool,
    pub tap: &'a mut T,
}

impl<M: Ram, T: Tap> Port<'_, M, T> {
    /// Without bus master no access leaves the function, those of a command included.
    #[inline]
    fn allowed(&self, pa: u64, len: usize) -> Result<(), DmaFault> {
        if self.pci.bus_master() { Ok(()) } else { Err(DmaFault { pa, len }) }
    }

    fn refuse(&mut self, fault: DmaFault, write: bool) -> DmaFault {
        self.tap.effect(Effect::Fault { pa: fault.pa, len: fault.len, write }, self.memory);
        fault
    }
}

impl<M: Ram, T: Tap> Host for Port<'_, M, T> {
    #[inline]
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        match self.allowed(pa, into.len()).and_then(|()| self.memory.read(pa, into)) {
            Ok(()) => {
                self.tap.effect(Effect::Read { pa, bytes: into }, self.memory);
                Ok(())
            }
            Err(fault) => Err(self.refuse(fault, false)),
        }
    }

    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        match self.allowed(pa, bytes.len()).and_then(|()| self.memory.write(pa, bytes)) {
            Ok(()) => {
                self.tap.effect(Effect::Write { pa, bytes }, self.memory);
                Ok(())
            }
            Err(fault) => Err(self.refuse(fault, true)),
        }
    }

    #[inline]
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        match self.allowed(pa, CELL_BYTES as usize).and_then(|()| self.memory.fetch(pa)) {
            Ok(cell) => {
                self.tap.effect(Effect::Fetch { pa, cell }, self.memory);
                Ok(cell)
            }
            Err(fault) => Err(self.refuse(fault, false)),
        }
    }

    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        match self.allowed(pa, CELL_BYTES as usize).and_then(|()| self.memory.publish(pa, cell)) {
            Ok(()) => {
                self.tap.effect(Effect::Publish { pa, cell }, self.memory);
                Ok(())
            }
            Err(fault) => Err(self.refuse(fault, true)),
        }
    }

    #[inline]
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        if !self.net.wire_ready() {
            return Sent::Busy;
        }
        self.tap.effect(Effect::Transmit { queue, frame }, self.memory);
        Sent::Yes
    }

    fn vector(&mut self, index: u16) {
        self.tap.effect(Effect::Vector { index }, self.memory);
        if self.pci.raise(index) == Delivery::Message {
            *self.messages |= 1u128 << index;
        }
    }

    fn intx(&mut self, asserted: bool) {
        self.tap.effect(Effect::Intx { asserted }, self.memory);
        *self.line = self.pci.set_intx(asserted);
    }
}
