//! Everything observable is an event: stimuli go into a system, effects come out. Same stimuli, same effects.

use crate::vmxnet3::{Interrupts, RssFields};

/// A base address register of the guest's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bar {
    /// The pass-through page, or the VIC's BAR0.
    Bar0,
    /// The virtual-device page.
    Bar1,
    /// MSI-X table and pending bits.
    Bar2,
}

/// Something done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stimulus<'a> {
    /// The guest wrote a 32-bit register.
    RegisterWrite {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
        /// Value written.
        value: u32,
    },
    /// The guest read a 32-bit register; told after the read, with its answer.
    RegisterRead {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
        /// Value read.
        value: u32,
    },
    /// The guest stored to its memory; told after the store.
    GuestStore {
        /// Guest-physical address.
        pa: u64,
        /// Bytes stored.
        bytes: &'a [u8],
    },
    /// A frame reached the uplink from outside.
    Offered {
        /// The frame, without FCS.
        frame: &'a [u8],
    },
    /// The outward wire became ready or busy.
    Wire {
        /// Ready for frames.
        ready: bool,
    },
    /// Time went on.
    Advanced {
        /// Nanoseconds.
        ns: u64,
    },
    /// Somebody let a part take a step.
    Step {
        /// Name of the part.
        name: &'static str,
    },
    /// Interrupts are of this kind from the next ACTIVATE_DEV on; told before the register write that finds them changed, and where a
    /// state from elsewhere says so. After a function reset they are MSI-X until told.
    Interrupts {
        /// The kind.
        kind: Interrupts,
    },
    /// The function was reset.
    FunctionReset,
    /// The function became one that was saved elsewhere: what the guest had configured before is not known, but for what outlives an
    /// activation.
    Restored(Negotiated),
    /// The body behind the guest's function changed; nothing of the old one is running.
    Switched {
        /// Now in hardware.
        hardware: bool,
    },
    /// Nothing can happen until the next stimulus, and nothing waits for time: whatever was due must have happened.
    Idle,
}

/// What guest and device agreed on for longer than an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Interface version in force, from 1.
    pub version: u8,
    /// Capabilities granted through DCR0.
    pub capabilities: u32,
    /// RSS fields in force.
    pub rss_fields: RssFields,
}

/// Something the system did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// The device read guest memory.
    Read {
        /// Guest-physical address.
        pa: u64,
        /// Bytes read.
        bytes: &'a [u8],
    },
    /// The device wrote guest memory.
    Write {
        /// Guest-physical address.
        pa: u64,
        /// Bytes written.
        bytes: &'a [u8],
    },
    /// The device read a descriptor, the half with its ownership bit first.
    Fetch {
        /// Guest-physical address.
        pa: u64,
        /// The 16 bytes.
        cell: u128,
    },
    /// The device wrote a completion, the dword with its ownership bit last.
    Publish {
        /// Guest-physical address.
        pa: u64,
        /// The 16 bytes.
        cell: u128,
    },
    /// A frame was handed to the wire.
    Transmit {
        /// TX queue it came from.
        queue: u8,
        /// The frame, without FCS.
        frame: &'a [u8],
    },
    /// An interrupt vector was raised towards the PCI layer.
    Vector {
        /// Vector index.
        index: u16,
    },
    /// The INTx line changed.
    Intx {
        /// Asserted.
        asserted: bool,
    },
    /// An access was refused.
    Fault {
        /// Guest-physical address.
        pa: u64,
        /// Bytes.
        len: usize,
        /// A write.
        write: bool,
    },
    /// An offered frame was dropped on purpose outside the device: ingress policy D.
    SwitchDrop {
        /// The frame.
        frame: &'a [u8],
    },
}

/// Guest memory as a judge sees it: readable, never writable.
pub trait GuestView {
    /// `len` bytes at `pa`, if they lie in one RAM region.
    fn slice(&self, pa: u64, len: usize) -> Option<&[u8]>;

    /// The 16 bytes at `pa`.
    fn cell(&self, pa: u64) -> Option<u128> {
        let bytes = self.slice(pa, 16)?;
        Some(u128::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// Whoever watches a system: called after each stimulus was applied and after each effect happened.
pub trait Tap {
    /// After a stimulus. `Step` is told before the step's effects.
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView);
    /// After an effect.
    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView);
}

/// Nobody watches.
impl Tap for () {
    #[inline]
    fn stimulus(&mut self, _: Stimulus<'_>, _: &dyn GuestView) {}
    #[inline]
    fn effect(&mut self, _: Effect<'_>, _: &dyn GuestView) {}
}

/// Two watchers.
impl<A: Tap, B: Tap> Tap for (A, B) {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        self.0.stimulus(stimulus, memory);
        self.1.stimulus(stimulus, memory);
    }
    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        self.0.effect(effect, memory);
        self.1.effect(effect, memory);
    }
}

impl<T: Tap> Tap for &mut T {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        (**self).stimulus(stimulus, memory);
    }
    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        (**self).effect(effect, memory);
    }
}
