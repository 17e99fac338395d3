//! Moderation in the software body: the least spacing between two interrupts of one vector.
//!
//! An interrupt opens a gap; until it is over its vector does not fire. Gaps are remaining nanoseconds that somebody counts down, and a
//! vector without a spacing never has one: whoever looks for what can fire sees a set of bits and nothing else.

use spec::profile::Moderation;
use spec::vmxnet3::MAX_VECTORS;

/// The gaps of every vector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spacing {
    /// Least spacing of each, in ticks; 0 is none.
    ticks: [u16; MAX_VECTORS],
    /// What is left of the gap of each, nanoseconds; 0 where there is none.
    left: [u32; MAX_VECTORS],
    /// Vectors with a gap, a bit each.
    closed: u128,
}

impl Default for Spacing {
    fn default() -> Self {
        Self { ticks: [0; MAX_VECTORS], left: [0; MAX_VECTORS], closed: 0 }
    }
}

/// Nanoseconds of as many ticks: a timer takes 98 milliseconds at most.
const fn nanoseconds(ticks: u16) -> u32 {
    ticks as u32 * Moderation::TICK_NS as u32
}

/// The vectors in `set`, each once.
fn each(mut set: u128) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let vector = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(vector)
    })
}

impl Spacing {
    /// These spacings from now on. A gap goes on, but never longer than a new one would last.
    pub fn set(&mut self, ticks: [u16; MAX_VECTORS]) {
        self.ticks = ticks;
        for vector in each(self.closed) {
            self.leave(vector, self.left[vector].min(nanoseconds(ticks[vector])));
        }
    }

    /// `vector` fired.
    #[inline]
    pub fn fired(&mut self, vector: u8) {
        let vector = usize::from(vector);
        if self.ticks[vector] != 0 {
            self.left[vector] = nanoseconds(self.ticks[vector]);
            self.closed |= 1 << vector;
        }
    }

    /// The vectors that may not fire now.
    #[inline]
    pub fn closed(&self) -> u128 {
        self.closed
    }

    /// Time goes on for the vectors in `set`.
    pub fn advance(&mut self, set: u128, ns: u64) {
        let ns = u32::try_from(ns).unwrap_or(u32::MAX);
        for vector in each(self.closed & set) {
            self.leave(vector, self.left[vector].saturating_sub(ns));
        }
    }

    fn leave(&mut self, vector: usize, left: u32) {
        self.left[vector] = left;
        self.closed &= !(u128::from(left == 0) << vector);
    }

    /// Nanoseconds until the first of the vectors in `set` may fire, if one of them has to wait.
    pub fn wait_ns(&self, set: u128) -> Option<u64> {
        each(self.closed & set).map(|vector| u64::from(self.left[vector])).min()
    }

    /// Every gap is over.
    pub fn open(&mut self) {
        (self.left, self.closed) = ([0; MAX_VECTORS], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_closes_its_vector_and_time_opens_it() {
        let mut spacing = Spacing::default();
        spacing.fired(3);
        assert_eq!(spacing.closed(), 0, "a vector without a spacing has no gap");
        let mut ticks = [0; MAX_VECTORS];
        (ticks[3], ticks[64]) = (2, u16::MAX);
        spacing.set(ticks);
        spacing.fired(3);
        spacing.fired(64);
        assert_eq!((spacing.closed(), spacing.wait_ns(u128::MAX)), (1 << 64 | 1 << 3, Some(3000)));
        spacing.advance(u128::MAX, 2999);
        assert_eq!((spacing.closed() >> 3 & 1, spacing.wait_ns(1 << 3)), (1, Some(1)));
        spacing.advance(u128::MAX, 1);
        assert_eq!((spacing.closed(), spacing.wait_ns(1 << 3)), (1 << 64, None));
        spacing.advance(u128::MAX, u64::MAX);
        assert_eq!(spacing, Spacing { ticks, ..Spacing::default() });
    }

    #[test]
    fn a_new_spacing_shortens_a_gap_and_never_lengthens_it() {
        let mut spacing = Spacing::default();
        spacing.set([10; MAX_VECTORS]);
        spacing.fired(0);
        spacing.advance(1, 1500);
        for (ticks, left) in [(100, Some(13_500)), (9, Some(13_500)), (4, Some(6000)), (0, None), (9, None)] {
            spacing.set([ticks; MAX_VECTORS]);
            assert_eq!(spacing.wait_ns(1), left, "{ticks}");
        }
        spacing.fired(0);
        spacing.open();
        assert_eq!((spacing.closed(), spacing.wait_ns(1)), (0, None));
    }
}
