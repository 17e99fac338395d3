//! Wake-ups: no completion goes untold, no vector speaks while masked or without a cause.

use super::ids::{INT_001, INT_002, INT_003, INT_006, REG_011, WAK_001};
use super::layout::Rings;
use super::ledger::{Ledger, What};
use crate::vmxnet3::{Bar0, MAX_VECTORS};

/// What is known of a mask. A posted write takes effect some time after the guest made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mask {
    Clear,
    Set,
    /// The vector fired while a write was on its way: either order may have happened.
    Unsure,
}

/// One vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Vector {
    mask: Mask,
    /// It masked itself; otherwise the guest did.
    by_itself: bool,
    /// The guest's last write has certainly taken effect.
    settled: bool,
    /// The mask before that write.
    before: Mask,
    /// First event whose completion the guest was not told of.
    untold: Option<u64>,
    /// Completions that may still raise it.
    causes: u32,
    /// Raises without a cause that a switch explains.
    allowed: u32,
    /// Raises without a cause that nothing explains yet.
    idle_raises: u32,
    /// A cause came after such a raise: the raise was too early.
    hasty: bool,
    /// A switch came after `untold`.
    moved: bool,
}

impl Default for Vector {
    fn default() -> Self {
        Self {
            mask: Mask::Set,
            by_itself: false,
            settled: true,
            before: Mask::Set,
            untold: None,
            causes: 0,
            allowed: 0,
            idle_raises: 0,
            hasty: false,
            moved: false,
        }
    }
}

/// The judge of all vectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    vectors: [Vector; MAX_VECTORS],
    /// The INTx line.
    line: bool,
    /// INTx was seen to be in use: vector 0 is told by the line.
    intx: bool,
    /// Something waits for the next idle point.
    busy: bool,
}

impl Default for Judge {
    fn default() -> Self {
        Self { vectors: [Vector::default(); MAX_VECTORS], line: false, intx: false, busy: false }
    }
}

impl Judge {
    /// A queue or the event area has news for the guest.
    pub fn cause(&mut self, vector: u8, at: u64) {
        self.busy = true;
        let line = self.line;
        if let Some(v) = self.vectors.get_mut(usize::from(vector)) {
            v.causes = v.causes.saturating_add(1);
            v.hasty |= v.idle_raises > 0;
            if !(line && vector == 0) {
                v.untold.get_or_insert(at);
            }
        }
    }

    /// The guest cleared event bits. The same event may have come again meanwhile, which no memory shows.
    pub fn acknowledged(&mut self, vector: u8) {
        self.busy = true;
        if let Some(v) = self.vectors.get_mut(usize::from(vector)) {
            v.causes = v.causes.max(1);
        }
    }

    /// RESET_DEV or a function reset: masked, nothing remembered.
    pub fn reset(&mut self) {
        let allowed = self.vectors.map(|v| v.allowed);
        *self = Self { intx: self.intx, ..Self::default() };
        for (v, allowed) in self.vectors.iter_mut().zip(allowed) {
            v.allowed = allowed;
        }
    }

    /// A new activation, or its end: completions of the old one wake nobody.
    pub fn forget(&mut self) {
        for v in &mut self.vectors {
            v.untold = None;
            v.causes = v.causes.min(1);
        }
    }

    /// The guest wrote an IMR.
    pub fn wrote_imr(&mut self, vector: u8, value: u32) {
        self.busy = true;
        if let Some(v) = self.vectors.get_mut(usize::from(vector)) {
            if v.settled {
                v.before = v.mask;
            }
            v.settled = false;
            v.by_itself = false;
            v.mask = if value & 1 == 1 { Mask::Set } else { Mask::Clear };
        }
    }

    /// The guest read a register of BAR0: writes before it have taken effect.
    pub fn read_bar0(&mut self, offset: u32, value: u32, ledger: &mut Ledger) {
        for v in &mut self.vectors {
            v.settled = true;
        }
        let Some(Bar0::Imr(i)) = Bar0::decode(offset) else { return };
        if let Some(v) = self.vectors.get_mut(usize::from(i)) {
            let read = if value & 1 == 1 { Mask::Set } else { Mask::Clear };
            if v.mask == Mask::Unsure {
                v.mask = read;
            }
            ledger.check(REG_011, v.mask == read && value <= 1, || What::Register { offset, value });
            if v.by_itself {
                ledger.check(INT_003, read == Mask::Set, || What::Register { offset, value });
            }
        }
    }

    /// A vector was raised.
    pub fn raised(&mut self, index: u16, rings: &Rings, ledger: &mut Ledger) {
        ledger.premise(INT_001);
        ledger.premise(INT_002);
        let what = What::Raised { vector: index };
        let Some(v) = self.vectors.get_mut(usize::from(index)) else {
            return ledger.violated(INT_001, what);
        };
        self.busy = true;
        let racing = !v.settled && v.before != v.mask;
        match v.mask {
            Mask::Set if v.by_itself => {
                ledger.premise(INT_003);
                ledger.violated(INT_003, what);
            }
            Mask::Set if !racing => ledger.violated(INT_002, what),
            _ => {}
        }
        if rings.auto_mask {
            ledger.premise(INT_003);
            // An unmasking write on its way to a vector that was open may land after the self-mask.
            let unsure = !v.settled && v.mask == Mask::Clear && v.before == Mask::Clear;
            v.mask = if unsure { Mask::Unsure } else { Mask::Set };
            v.by_itself = !unsure;
            v.settled = true;
        }
        Self::tell(v, ledger);
        if rings.auto_mask {
            v.causes = v.causes.min(1);
        }
    }

    fn tell(v: &mut Vector, ledger: &mut Ledger) {
        v.untold = None;
        v.moved = false;
        if v.causes > 0 {
            ledger.premise(INT_006);
            v.causes -= 1;
        } else if v.allowed > 0 {
            v.allowed -= 1;
        } else {
            v.idle_raises += 1;
        }
    }

    /// The INTx line changed.
    pub fn line(&mut self, asserted: bool, ledger: &mut Ledger) {
        self.intx = true;
        if asserted && !self.line {
            self.busy = true;
            ledger.premise(INT_001);
            let v = &mut self.vectors[0];
            if v.mask == Mask::Set && v.settled {
                ledger.premise(INT_002);
                ledger.violated(INT_002, What::Raised { vector: 0 });
            }
            // One level may stand for any number of causes.
            Self::tell(v, ledger);
            v.causes = 0;
        }
        self.line = asserted;
    }

    /// The guest read ICR.
    pub fn read_icr(&mut self, value: u32, rings: &Rings) {
        if value != 0 && rings.auto_mask {
            let v = &mut self.vectors[0];
            (v.mask, v.by_itself, v.settled) = (Mask::Set, true, true);
        }
    }

    /// The body changed: each vector may be raised once more than it has causes.
    pub fn switched(&mut self) {
        self.busy = true;
        for v in &mut self.vectors {
            v.allowed = v.allowed.saturating_add(1);
            v.moved |= v.untold.is_some();
        }
    }

    /// Nothing more can happen.
    pub fn idle(&mut self, rings: &Rings, ledger: &mut Ledger) {
        if !self.busy {
            return;
        }
        self.busy = false;
        for (i, v) in self.vectors.iter_mut().enumerate() {
            v.settled = true;
            let what = What::Raised { vector: i as u16 };
            if v.moved {
                ledger.premise(WAK_001);
            }
            // A raise before its switch was told is the switch's.
            let excused = v.idle_raises.min(v.allowed);
            v.allowed -= excused;
            if v.idle_raises > excused {
                ledger.violated(if v.hasty { INT_006 } else { INT_001 }, what);
            }
            v.idle_raises = 0;
            v.hasty = false;
            if v.mask != Mask::Clear {
                v.causes = v.causes.min(1);
                continue;
            }
            v.causes = 0;
            if !rings.live() {
                continue;
            }
            ledger.premise(INT_002);
            if let Some(since) = v.untold.take() {
                let what = What::Untold { vector: i as u16, since };
                let clause = if v.moved { WAK_001 } else { INT_002 };
                ledger.violated(clause, what);
                v.moved = false;
            }
        }
    }
}
