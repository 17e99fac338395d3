//! Wake-ups: no completion goes untold, no vector speaks while masked or without a cause.

use super::ids::{INT_001, INT_002, INT_003, INT_006, REG_011, WAK_001};
use super::layout::Rings;
use super::ledger::{Ledger, What};
use crate::vmxnet3::{Bar0, Interrupts, MAX_VECTORS};

/// What is known of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mask {
    Clear,
    Set,
    /// The vector fired while a write was on its way: either order may have happened.
    Unsure,
}

impl Mask {
    const fn written(value: u32) -> Self {
        if value & 1 == 1 { Self::Set } else { Self::Clear }
    }
}

/// Writes that the guest made and that may not have taken effect, oldest first: posted writes take effect in order, some time
/// later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Posted {
    /// A bit each, 1 for a write that masks; the oldest lowest, 0 beyond `count`.
    masks: u32,
    count: u32,
}

impl Posted {
    /// The oldest of more than this is taken to have had its effect.
    const MOST: u32 = 32;

    /// Adds a write; answers the oldest if there is no place for it.
    fn push(&mut self, value: u32) -> Option<Mask> {
        let oldest = (self.count == Self::MOST).then(|| self.drop_first(1));
        self.masks |= (value & 1) << self.count;
        self.count += 1;
        oldest
    }

    /// Takes off the oldest `count`, at least one; answers the last of them.
    fn drop_first(&mut self, count: u32) -> Mask {
        let last = Mask::written(self.masks >> (count - 1));
        self.masks = self.masks.checked_shr(count).unwrap_or(0);
        self.count -= count;
        last
    }

    /// How many writes there are up to the first that unmasks.
    fn to_unmask(self) -> Option<u32> {
        let before = self.masks.trailing_ones();
        (before < self.count).then_some(before + 1)
    }
}

/// One vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Vector {
    /// Without the writes that are posted.
    mask: Mask,
    /// It masked itself; otherwise the guest did.
    by_itself: bool,
    /// As few have taken effect as the raises seen allow.
    posted: Posted,
    /// All of them may have, before the vector masked itself.
    maybe_all: bool,
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
            posted: Posted::default(),
            maybe_all: false,
            untold: None,
            causes: 0,
            allowed: 0,
            idle_raises: 0,
            hasty: false,
            moved: false,
        }
    }
}

impl Vector {
    /// Writes on their way have taken effect.
    fn settle(&mut self) {
        if self.posted.count > 0 {
            let last = self.posted.drop_first(self.posted.count);
            self.mask = if self.maybe_all && last == Mask::Clear { Mask::Unsure } else { last };
            self.by_itself = false;
        }
        self.maybe_all = false;
    }
}

/// The judge of all vectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    vectors: [Vector; MAX_VECTORS],
    /// The INTx line.
    line: bool,
    /// The kind of interrupts that the next activation finds.
    told: Interrupts,
    /// The kind in force. While it is not MSI-X only vector 0 tells anything.
    kind: Interrupts,
    /// Something waits for the next idle point.
    busy: bool,
    /// Masks and causes came with a restored state: nothing is judged until a reset.
    blind: bool,
}

impl Default for Judge {
    fn default() -> Self {
        let (told, kind) = (Interrupts::MsiX, Interrupts::MsiX);
        Self { vectors: [Vector::default(); MAX_VECTORS], line: false, told, kind, busy: false, blind: false }
    }
}

impl Judge {
    /// Interrupts are of this kind from the next activation on.
    pub fn told(&mut self, kind: Interrupts) {
        self.told = kind;
    }

    /// A new activation: completions of the old one wake nobody.
    pub fn start(&mut self) {
        self.kind = self.told;
        self.forget();
    }

    /// A queue or the event area has news for the guest.
    pub fn cause(&mut self, vector: u8, at: u64) {
        self.busy = true;
        if vector >= self.kind.vectors(MAX_VECTORS as u8) {
            return;
        }
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
        *self = Self { told: self.told, kind: self.kind, ..Self::default() };
        for (v, allowed) in self.vectors.iter_mut().zip(allowed) {
            v.allowed = allowed;
        }
    }

    /// A state came from elsewhere: masks and causes with it, unseen.
    pub fn restored(&mut self) {
        *self = Self { blind: true, ..Self::default() };
    }

    /// The end of an activation: its completions wake nobody.
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
            v.maybe_all = false;
            if let Some(landed) = v.posted.push(value) {
                (v.mask, v.by_itself) = (landed, false);
            }
        }
    }

    /// The guest read a register of BAR0: writes before it have taken effect.
    pub fn read_bar0(&mut self, offset: u32, value: u32, rings: &Rings, ledger: &mut Ledger) {
        self.vectors.iter_mut().for_each(Vector::settle);
        if self.blind {
            return;
        }
        let Some(Bar0::Imr(i)) = rings.bar0(offset) else { return };
        if let Some(v) = self.vectors.get_mut(usize::from(i)) {
            let read = Mask::written(value);
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
        if self.blind {
            return;
        }
        ledger.premise(INT_001);
        ledger.premise(INT_002);
        let what = What::Raised { vector: index };
        let known = index < u16::from(self.kind.vectors(rings.vectors())) && self.kind != Interrupts::Line;
        let Some(v) = self.vectors.get_mut(usize::from(index)).filter(|_| known) else {
            return ledger.violated(INT_001, what);
        };
        self.busy = true;
        if v.mask == Mask::Set {
            match v.posted.to_unmask() {
                Some(count) => v.mask = v.posted.drop_first(count),
                None if v.by_itself && v.posted.count == 0 => {
                    ledger.premise(INT_003);
                    ledger.violated(INT_003, what);
                }
                None => ledger.violated(INT_002, what),
            }
        }
        if rings.auto_mask {
            ledger.premise(INT_003);
            (v.mask, v.by_itself) = (Mask::Set, true);
            v.maybe_all = true;
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
        if !self.blind && asserted && !self.line {
            self.busy = true;
            ledger.premise(INT_001);
            if self.kind == Interrupts::Msi {
                ledger.violated(INT_001, What::Raised { vector: 0 });
            }
            let v = &mut self.vectors[0];
            if v.mask == Mask::Set && v.posted.count == 0 {
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
            v.settle();
            (v.mask, v.by_itself) = (Mask::Set, true);
        }
    }

    /// The body changed: each vector may be raised once more than it has causes.
    pub fn switched(&mut self) {
        self.busy = true;
        for v in &mut self.vectors {
            // What the guest wrote to the body before is part of what crosses.
            v.settle();
            v.allowed = v.allowed.saturating_add(1);
            v.moved |= v.untold.is_some();
        }
    }

    /// Nothing more can happen.
    pub fn idle(&mut self, rings: &Rings, ledger: &mut Ledger) {
        if !self.busy || self.blind {
            return;
        }
        self.busy = false;
        for (i, v) in self.vectors.iter_mut().enumerate() {
            v.settle();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `raises` raises of vector 0 break behind `writes` to its IMR, none of them surely in effect.
    fn broken(judge: &mut Judge, writes: &[u32], raises: u32) -> Vec<&'static str> {
        let mut rings = Rings::default();
        rings.auto_mask = true;
        let mut ledger = Ledger::default();
        writes.iter().for_each(|&value| judge.wrote_imr(0, value));
        for _ in 0..raises {
            judge.cause(0, 0);
            judge.raised(0, &rings, &mut ledger);
        }
        ledger.violations.iter().map(|violation| violation.clause.id()).collect()
    }

    #[test]
    fn every_posted_unmasking_explains_one_raise() {
        for count in 1..=3 {
            let writes = vec![0; count as usize];
            assert!(broken(&mut Judge::default(), &writes, count).is_empty());
            assert_eq!(broken(&mut Judge::default(), &writes, count + 1), ["VMX-INT-003"]);
        }
    }

    #[test]
    fn a_restored_state_excuses_what_it_may_have_brought_until_a_reset() {
        let mut judge = Judge::default();
        assert_eq!(broken(&mut judge, &[1], 1), ["VMX-INT-002"]);
        judge.restored();
        assert!(broken(&mut judge, &[1], 1).is_empty());
        judge.reset();
        assert_eq!(broken(&mut judge, &[1], 1), ["VMX-INT-002"]);
    }

    #[test]
    fn with_msi_only_vector_0_tells_and_never_by_the_line() {
        let (rings, mut judge) = (Rings::default(), Judge::default());
        let seen = |judge: &mut Judge, act: &dyn Fn(&mut Judge, &mut Ledger)| {
            let mut ledger = Ledger::default();
            act(judge, &mut ledger);
            ledger.violations.iter().map(|violation| violation.clause.id()).collect::<Vec<_>>()
        };
        for vector in [0, 3] {
            judge.wrote_imr(vector, 0);
        }
        judge.read_bar0(0, 0, &rings, &mut Ledger::default());
        judge.told(Interrupts::Msi);
        judge.cause(3, 0);
        assert_eq!(seen(&mut judge, &|judge, ledger| judge.raised(3, &rings, ledger)), [""; 0], "not in force yet");
        judge.start();
        judge.cause(3, 0);
        assert_eq!(seen(&mut judge, &|judge, ledger| judge.raised(3, &rings, ledger)), ["VMX-INT-001"]);
        judge.cause(0, 0);
        assert_eq!(seen(&mut judge, &|judge, ledger| judge.raised(0, &rings, ledger)), [""; 0]);
        assert_eq!(seen(&mut judge, &|judge, ledger| judge.line(true, ledger)), ["VMX-INT-001"]);
        judge.told(Interrupts::Line);
        judge.start();
        assert_eq!(seen(&mut judge, &|judge, ledger| judge.raised(0, &rings, ledger)), ["VMX-INT-001"]);
    }

    #[test]
    fn a_posted_masking_explains_none() {
        assert_eq!(broken(&mut Judge::default(), &[1], 1), ["VMX-INT-002"]);
        assert!(broken(&mut Judge::default(), &[0, 1], 1).is_empty());
        assert_eq!(broken(&mut Judge::default(), &[0, 1], 2), ["VMX-INT-002"]);
    }

    #[test]
    fn writes_are_in_effect_behind_a_switch() {
        let mut judge = Judge::default();
        broken(&mut judge, &[0, 0], 0);
        judge.switched();
        assert_eq!(broken(&mut judge, &[], 2), ["VMX-INT-003"]);
    }

    #[test]
    fn a_read_tells_whether_an_unmasking_came_before_the_raise_or_behind_it() {
        for read in [0, 1] {
            let mut judge = Judge::default();
            assert!(broken(&mut judge, &[0, 0], 1).is_empty());
            let mut ledger = Ledger::default();
            judge.read_bar0(Bar0::Imr(0).offset(), read, &Rings::default(), &mut ledger);
            judge.read_bar0(Bar0::Imr(0).offset(), read, &Rings::default(), &mut ledger);
            assert!(ledger.violations.is_empty());
            judge.read_bar0(Bar0::Imr(0).offset(), 1 - read, &Rings::default(), &mut ledger);
            assert!(!ledger.violations.is_empty());
        }
    }

    #[test]
    fn more_writes_than_are_followed_count_as_in_effect() {
        let mut judge = Judge::default();
        assert!(broken(&mut judge, &[0; 50], 33).is_empty());
        assert_eq!(broken(&mut judge, &[], 1), ["VMX-INT-003"]);
    }
}
