//! A device that somebody lends: one after the other has it, each after a bus reset.

use golden::dut::{About, Dut, Lack, Seen, Trouble};
use spec::event::Bar;
use spec::vmxnet3::Interrupts;
use std::cell::RefCell;

/// A device that is lent to one conversation after the other.
pub struct Lender<'d> {
    device: RefCell<&'d mut dyn Dut>,
    about: About,
    cannot: Vec<Lack>,
}

impl std::fmt::Debug for Lender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lender({})", self.about.name)
    }
}

impl<'d> Lender<'d> {
    /// Lends `device`.
    pub fn new(device: &'d mut dyn Dut) -> Self {
        let (about, cannot) = (device.about().clone(), device.cannot().to_vec());
        Self { device: RefCell::new(device), about, cannot }
    }

    /// What it is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The device as new, but for its memory, which the borrower fills.
    ///
    /// # Errors
    /// When it cannot be reset.
    pub fn lend(&self) -> Result<Box<dyn Dut + '_>, Trouble> {
        let mut device = self.device.borrow_mut();
        device.reset()?;
        match device.link(true) {
            // The borrower before may have left it down: a bus reset is nothing to the wire.
            Ok(()) | Err(Trouble::Cannot(_)) => {}
            Err(trouble) => return Err(trouble),
        }
        device.settle(&mut Vec::new())?;
        Ok(Box::new(Lent(self)))
    }
}

/// The device while it is lent.
struct Lent<'l, 'd>(&'l Lender<'d>);

impl Dut for Lent<'_, '_> {
    fn about(&self) -> &About {
        &self.0.about
    }
    fn cannot(&self) -> &[Lack] {
        &self.0.cannot
    }
    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble> {
        self.0.device.borrow_mut().read(bar, offset, width)
    }
    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble> {
        self.0.device.borrow_mut().write(bar, offset, width, value)
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        self.0.device.borrow_mut().load(pa, into)
    }
    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        self.0.device.borrow_mut().store(pa, bytes)
    }
    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        self.0.device.borrow_mut().offer(frame)
    }
    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        self.0.device.borrow_mut().settle(seen)
    }
    fn advance(&mut self, ns: u64, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        self.0.device.borrow_mut().advance(ns, seen)
    }
    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        self.0.device.borrow_mut().link(up)
    }
    fn reset(&mut self) -> Result<(), Trouble> {
        self.0.device.borrow_mut().reset()
    }
    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        self.0.device.borrow_mut().bus_master(on)
    }
    fn interrupts(&mut self, kind: Interrupts) -> Result<(), Trouble> {
        self.0.device.borrow_mut().interrupts(kind)
    }
    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        self.0.device.borrow_mut().config(offset)
    }
    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        self.0.device.borrow_mut().set_config(offset, value)
    }
    fn script(&self) -> String {
        self.0.device.borrow().script()
    }
}
