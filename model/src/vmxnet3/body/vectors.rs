//! Masks and causes of the vectors, and the INTx line.
//!
//! Source: vmxnet3_defs.h, VMXNET3_REG_IMR and _ICR; linux vmxnet3_drv.c, vmxnet3_poll_rx_only, for why a masked vector must
//! remember its cause.

use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::VectorProgress;
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::MAX_VECTORS;

/// Every vector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Vectors {
    /// Mask and cause of each.
    pub each: [VectorProgress; MAX_VECTORS],
    /// Vectors, a bit each, whose remembered cause met an unmask: on some devices their delivery does not mask again.
    unmasked: u32,
    /// The INTx line is asserted and ICR was not read since.
    asserted: bool,
    /// A vector masks itself when it fires.
    pub auto_mask: bool,
    /// Interrupts use the INTx line.
    pub intx: bool,
    /// Vectors that exist.
    pub count: u8,
}

impl Vectors {
    /// The first `count` vectors exist; masks and causes are these.
    pub fn new(each: [VectorProgress; MAX_VECTORS], count: u8) -> Self {
        Self { each, count, ..Self::default() }
    }

    /// Something happened that `vector` is to tell. One that does not exist tells nothing.
    #[inline]
    pub fn cause(&mut self, vector: u8, planted: Planted) {
        let count = if self.intx { 1 } else { self.count };
        if vector >= count {
            return;
        }
        let vector = &mut self.each[usize::from(vector)];
        if !(vector.masked && planted.is(Mutant::SwPendingDropped)) {
            vector.pending = true;
        }
    }

    /// Whether `vector` can fire now.
    #[inline]
    pub fn is_due(&self, vector: u8) -> bool {
        let one = self.each[usize::from(vector)];
        one.pending && !one.masked && !(self.intx && (vector > 0 || self.asserted))
    }

    /// Fires a vector that is due.
    pub fn fire(&mut self, vector: u8, profile: &Profile, planted: Planted, host: &mut impl Host) {
        let bit = 1 << vector;
        let spared = profile.has(Deviation::UnmaskForgetsAutoMask) && self.unmasked & bit != 0;
        self.unmasked &= !bit;
        let one = &mut self.each[usize::from(vector)];
        one.pending = false;
        if self.intx {
            // It is masked when ICR is read.
            self.asserted = true;
            host.intx(true);
            return;
        }
        one.masked = self.auto_mask && !spared && !planted.is(Mutant::SwAutoMaskIgnored);
        host.vector(u16::from(vector));
    }

    /// An IMR write.
    pub fn set_mask(&mut self, vector: u8, masked: bool) {
        let Some(one) = self.each.get_mut(usize::from(vector)) else { return };
        let bit = 1 << vector;
        if one.masked && !masked && one.pending {
            self.unmasked |= bit;
        } else if masked {
            self.unmasked &= !bit;
        }
        one.masked = masked;
    }

    /// An ICR read: acknowledges the line.
    pub fn acknowledge(&mut self, planted: Planted, host: &mut impl Host) -> u32 {
        if !self.asserted {
            return 0;
        }
        self.asserted = false;
        self.each[0].pending = false;
        self.each[0].masked |= self.auto_mask && !planted.is(Mutant::SwAutoMaskIgnored);
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
        self.each = Default::default();
    }

    /// Masks and causes; an interrupt on the line that was not acknowledged is a cause again.
    pub fn progress(&self) -> [VectorProgress; MAX_VECTORS] {
        let mut each = self.each;
        each[0].pending |= self.asserted;
        each
    }
}
