//! Ring positions of the software body and of saved state.

/// Where a ring stands: index and generation, that is, modulo twice its size. Unbounded counts live in monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingIndex {
    index: u32,
    generation: bool,
}

impl Default for RingIndex {
    fn default() -> Self {
        Self::START
    }
}

impl RingIndex {
    /// Where every ring starts at activation: index 0, generation 1. Source: linux vmxnet3_drv.c, vmxnet3_tq_init.
    pub const START: Self = Self { index: 0, generation: true };

    /// A position, if `index` lies in a ring of `size` cells.
    pub const fn new(index: u32, generation: bool, size: u32) -> Option<Self> {
        if index < size { Some(Self { index, generation }) } else { None }
    }

    /// Cell number, below the size.
    #[inline]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// What the generation bit of an owned or freshly written cell is here.
    #[inline]
    pub const fn generation(self) -> bool {
        self.generation
    }

    /// Ring sizes are multiples of 32, not powers of two: compare and wrap, never mask.
    #[inline]
    #[must_use]
    pub const fn next(self, size: u32) -> Self {
        if self.index + 1 >= size {
            Self { index: 0, generation: !self.generation }
        } else {
            Self { index: self.index + 1, generation: self.generation }
        }
    }

    /// The position `by` cells further, at most one lap.
    #[must_use]
    pub const fn plus(self, by: u32, size: u32) -> Self {
        let sum = self.index + by;
        if sum >= size {
            Self { index: sum - size, generation: !self.generation }
        } else {
            Self { index: sum, generation: self.generation }
        }
    }

    /// Cells from `self` forward to `other`, 0 to 2 * size - 1.
    pub const fn distance(self, other: Self, size: u32) -> u32 {
        let a = if self.generation { self.index } else { self.index + size };
        let b = if other.generation { other.index } else { other.index + size };
        if b >= a { b - a } else { b + 2 * size - a }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_laps_are_the_identity_and_distance_counts_them() {
        for size in [1, 3, 4, 32, 33] {
            let mut at = RingIndex::START;
            for steps in 0..2 * size {
                assert_eq!(RingIndex::START.distance(at, size), steps);
                if steps <= size {
                    assert_eq!(RingIndex::START.plus(steps, size), at);
                }
                at = at.next(size);
            }
            assert_eq!(at, RingIndex::START);
        }
    }

    #[test]
    fn an_index_outside_the_ring_is_no_position() {
        assert_eq!(RingIndex::new(32, true, 32), None);
        assert!(RingIndex::new(31, false, 32).is_some());
    }
}
