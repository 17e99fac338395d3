//! Masks and causes of the vectors, and the INTx line. With MSI and the line there is vector 0 alone. A cause that comes too soon
//! behind an interrupt of its vector waits, see [`Spacing`]; it stays a cause meanwhile, whatever becomes of the mask.
//!
//! Source: vmxnet3_defs.h, VMXNET3_REG_IMR and _ICR; linux vmxnet3_drv.c, vmxnet3_poll_rx_only, for why a masked vector must
//! remember its cause.

use super::spacing::Spacing;
use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Interrupts, VectorProgress};
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::MAX_VECTORS;

/// A bit a vector, all set.
const ALL: u128 = (1 << MAX_VECTORS) - 1;

/// Every vector; sets of them have a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Vectors {
    /// IMR.
    masked: u128,
    /// A cause is remembered.
    pending: u128,
    /// Vectors whose remembered cause met an unmask: on some devices their delivery does not mask again.
    unmasked: u128,
    /// The INTx line is asserted and ICR was not read since.
    asserted: bool,
    /// A vector masks itself when it fires.
    pub auto_mask: bool,
    /// How interrupts reach the guest.
    pub interrupts: Interrupts,
    /// Vectors that exist for the version in force.
    pub count: u8,
    /// Least spacing between interrupts of each.
    pub spacing: Spacing,
}

impl Vectors {
    /// The first `count` vectors exist; masks and causes are these.
    pub fn new(each: [VectorProgress; MAX_VECTORS], count: u8) -> Self {
        let set = |has: fn(&VectorProgress) -> bool| {
            each.iter().enumerate().fold(0, |set, (i, one)| set | u128::from(has(one)) << i)
        };
        Self { masked: set(|one| one.masked), pending: set(|one| one.pending), count, ..Self::default() }
    }

    /// Something happened that `vector` is to tell. One that does not exist tells nothing.
    #[inline]
    pub fn cause(&mut self, vector: u8, planted: Planted) {
        let all = self.interrupts == Interrupts::Msi && planted.is(Mutant::SwMsiTellsAll);
        let vector = if all { 0 } else { vector };
        if vector >= self.interrupts.vectors(self.count) || vector >= 32 && planted.is(Mutant::SwVectorBeyond32) {
            return;
        }
        let bit = 1u128 << vector;
        if !(self.masked & bit != 0 && planted.is(Mutant::SwPendingDropped)) {
            self.pending |= bit;
        }
    }

    /// The vectors with something to tell.
    #[inline]
    fn wanted(&self) -> u128 {
        let possible = match (self.interrupts, self.asserted) {
            (Interrupts::MsiX, _) => (1 << self.count) - 1,
            (Interrupts::Msi, _) | (Interrupts::Line, false) => 1,
            (Interrupts::Line, true) => 0,
        };
        self.pending & !self.masked & possible
    }

    /// The vectors that can fire now.
    #[inline]
    pub fn due(&self) -> u128 {
        self.wanted() & !self.spacing.closed()
    }

    /// Nanoseconds until the first vector can fire that only time keeps from it.
    pub fn wait_ns(&self) -> Option<u64> {
        self.spacing.wait_ns(self.wanted())
    }

    /// Time goes on, masked or not.
    pub fn advance(&mut self, ns: u64, planted: Planted) {
        let stands = if planted.is(Mutant::SwSpacingStandsMasked) { self.masked } else { 0 };
        self.spacing.advance(!stands, ns);
    }

    /// IMR of a vector; one that does not exist reads 0.
    pub fn is_masked(&self, vector: u8) -> bool {
        self.masked.checked_shr(u32::from(vector)).is_some_and(|bits| bits & 1 == 1)
    }

    /// Fires a vector that is due.
    pub fn fire(&mut self, vector: u8, profile: &Profile, planted: Planted, host: &mut impl Host) {
        let bit = 1u128 << vector;
        let spared = profile.has(Deviation::UnmaskForgetsAutoMask) && self.unmasked & bit != 0;
        self.unmasked &= !bit;
        self.pending &= !bit;
        self.spacing.fired(vector);
        if self.interrupts == Interrupts::Line {
            // It is masked when ICR is read.
            self.asserted = true;
            host.intx(true);
            return;
        }
        if self.auto_mask && !spared && !planted.is(Mutant::SwAutoMaskIgnored) {
            self.masked |= bit;
        }
        host.vector(u16::from(vector));
    }

    /// An IMR write.
    pub fn set_mask(&mut self, vector: u8, masked: bool, planted: Planted) {
        if usize::from(vector) >= MAX_VECTORS {
            return;
        }
        let bit = 1u128 << vector;
        if planted.is(Mutant::SwUnmaskHurries) && !masked {
            self.spacing.advance(bit, u64::MAX);
        }
        if self.masked & self.pending & bit != 0 && !masked {
            if planted.is(Mutant::SwUnmaskSilent) {
                self.pending &= !bit;
            }
            self.unmasked |= bit;
        } else if masked {
            self.unmasked &= !bit;
        }
        self.masked = if masked { self.masked | bit } else { self.masked & !bit };
    }

    /// From now on interrupts are of this kind. A line that nobody asks ICR about any more goes down, and its cause stays.
    pub fn turn_to(&mut self, kind: Interrupts, host: &mut impl Host) {
        if kind != Interrupts::Line && self.asserted {
            self.asserted = false;
            self.pending |= 1;
            host.intx(false);
        }
        self.interrupts = kind;
    }

    /// An ICR read: acknowledges the line.
    pub fn acknowledge(&mut self, planted: Planted, host: &mut impl Host) -> u32 {
        if !self.asserted {
            return 0;
        }
        self.asserted = false;
        self.pending &= !1;
        self.masked |= u128::from(self.auto_mask && !planted.is(Mutant::SwAutoMaskIgnored));
        host.intx(false);
        1
    }

    /// RESET_DEV: masks, forgets and lowers.
    pub fn reset(&mut self, host: &mut impl Host) {
        if self.asserted {
            host.intx(false);
        }
        self.asserted = false;
        self.unmasked = 0;
        self.masked = ALL;
        self.pending = 0;
        self.spacing.open();
    }

    /// Masks and causes; an interrupt on the line that was not acknowledged is a cause again.
    pub fn progress(&self) -> [VectorProgress; MAX_VECTORS] {
        let pending = self.pending | u128::from(self.asserted);
        core::array::from_fn(|i| VectorProgress { masked: self.masked >> i & 1 == 1, pending: pending >> i & 1 == 1 })
    }
}
