//! Where somebody else's device comes from, and what is known of it from one conversation to the next.

use golden::dut::{Dut, Trouble};

/// Makes a device at power-on.
pub type Maker<'d> = dyn FnMut() -> Result<Box<dyn Dut + 'd>, Trouble> + 'd;

/// Somebody else's device, made as often as a conversation needs a fresh one. Each is the same device: what it offers to its guest
/// stays from one to the next.
pub struct Source<'d> {
    make: Box<Maker<'d>>,
    offered: Option<u32>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("offered", &self.offered).finish_non_exhaustive()
    }
}

impl<'d> Source<'d> {
    /// Devices as `make` makes them.
    pub fn new(make: impl FnMut() -> Result<Box<dyn Dut + 'd>, Trouble> + 'd) -> Self {
        Self { make: Box::new(make), offered: None }
    }

    /// A device at power-on.
    ///
    /// # Errors
    /// Why there is none.
    pub fn device(&mut self) -> Result<Box<dyn Dut + 'd>, Trouble> {
        (self.make)()
    }

    /// The interface versions that it offers as VRRS shows them, bit 0 for the first; `None`: nobody has looked.
    pub const fn offered(&self) -> Option<u32> {
        self.offered
    }

    /// VRRS was read.
    pub const fn offers(&mut self, versions: u32) {
        self.offered = Some(versions);
    }
}
