//! How a device spaces the interrupts of a vector: by its moderation level, or by the coalescing scheme in force.
//!
//! Neither the levels nor the schemes come with a time in any source, and no driver rests on one: a device may ignore both, and must
//! not delay for ever (vmxnet3_defs.h, UPT1_IML_NONE to UPT1_IML_ADAPTIVE, Vmxnet3_CoalesceScheme; linux vmxnet3_drv.c, vmxnet3_setup_driver_shared,
//! which asks for `UPT1_IML_ADAPTIVE` on each vector). So every time is a choice of the [`Profile`](super::Profile), in ticks of the
//! adapter's timer, which is what both bodies can keep alike.
//!
//! The rule is the adapter's: least spacing. An interrupt starts the spacing of its vector; what comes within it waits until it is
//! over, and the first behind a quiet time comes at once. Masking does not stop the clock. The rest of a spacing is not carried through
//! a switch, a save or an activation: a cause that waited is a cause, and is told at once on the other side.

use crate::vic::intr::TICK_NS;
use crate::vmxnet3::shared::{CoalesceScheme, coalesce};
use crate::vmxnet3::values::moderation::{ADAPTIVE, HIGHEST};

/// How a device spaces interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moderation {
    /// Spacing of level 1, in ticks; levels up to 7 have as many times that. 0: levels delay nothing.
    pub level_ticks: u16,
    /// The level, 0 to 7, that 8 stands for, and a scheme that leaves the spacing to the device.
    pub adaptive: u8,
    /// A coalescing scheme takes the place of the levels; without this it is kept and told, and delays nothing.
    pub schemes: bool,
    /// Spacing under a scheme of depths, in ticks, where one of the depths is above 1. Depths of at most 1 wait for nothing. The
    /// depths say how much may gather, not for how long: nothing counts here, and no packet that fails to come can delay one that did.
    pub static_ticks: u16,
}

impl Moderation {
    /// Nanoseconds of one tick, on either body: what adapters count in.
    pub const TICK_NS: u64 = TICK_NS;

    /// Nothing is delayed.
    pub const NONE: Self = Self { level_ticks: 0, adaptive: 0, schemes: false, static_ticks: 0 };

    /// 12 microseconds a level, adaptive as level 4, 60 microseconds for depths: choices of ours, near what adapters are set to.
    pub const SPACED: Self = Self { level_ticks: 8, adaptive: 4, schemes: true, static_ticks: 40 };

    /// Least spacing between two interrupts of a vector of `level` while `scheme` is in force, in ticks. A scheme that is not
    /// disabled takes the place of the level, of a vector for events too. Levels above 8 mean nothing and delay nothing.
    pub fn ticks(&self, level: u8, scheme: CoalesceScheme) -> u16 {
        let para = scheme.coal_para();
        match scheme.coal_mode() {
            coalesce::ADAPTIVE if self.schemes => self.of_level(ADAPTIVE),
            coalesce::STATIC if self.schemes && para.iter().any(|&depth| depth > 1) => self.static_ticks,
            coalesce::STATIC if self.schemes => 0,
            coalesce::RATE if self.schemes => at_rate(para[0]),
            _ => self.of_level(level),
        }
    }

    /// The same in nanoseconds.
    pub fn spacing_ns(&self, level: u8, scheme: CoalesceScheme) -> u64 {
        u64::from(self.ticks(level, scheme)) * TICK_NS
    }

    const fn of_level(&self, level: u8) -> u16 {
        match level {
            0..=HIGHEST => self.level_ticks * level as u16,
            ADAPTIVE => self.level_ticks * self.adaptive as u16,
            _ => 0,
        }
    }

    /// No interrupt of an unmasked vector ever waits longer than this, in nanoseconds; 0 where nothing is delayed.
    pub fn longest_ns(&self) -> u64 {
        let slowest = if self.schemes { at_rate(*coalesce::RATES.start()) } else { 0 };
        let ticks = self.of_level(HIGHEST).max(self.of_level(ADAPTIVE)).max(self.static_ticks).max(slowest);
        u64::from(ticks) * TICK_NS
    }

    /// Why no device can moderate so, if none can.
    pub(super) const fn contradiction(&self) -> Option<&'static str> {
        if self.level_ticks > u16::MAX / HIGHEST as u16 {
            return Some("the spacing of the highest level is no number of ticks that a timer takes");
        }
        if self.adaptive > HIGHEST || self.level_ticks == 0 && self.adaptive != 0 {
            return Some("the adaptive level is like one that there is not");
        }
        if !self.schemes && self.static_ticks != 0 {
            return Some("a scheme of depths has a spacing, and schemes delay nothing");
        }
        None
    }
}

/// The least spacing, in ticks, with which no more than `rate` interrupts come in a second.
fn at_rate(rate: u32) -> u16 {
    const SECOND_NS: u64 = 1_000_000_000;
    u16::try_from(SECOND_NS.div_ceil(u64::from(rate.max(1)) * TICK_NS)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheme(mode: u32, para: [u32; 3]) -> CoalesceScheme {
        let mut scheme = CoalesceScheme::default();
        scheme.set_coal_mode(mode);
        scheme.set_coal_para(para);
        scheme
    }

    #[test]
    fn levels_space_evenly_and_the_adaptive_one_is_like_another() {
        let off = CoalesceScheme::default();
        let ticks = |level| Moderation::SPACED.ticks(level, off);
        assert_eq!([0, 1, 2, 7, 8, 9, 255].map(ticks), [0, 8, 16, 56, 32, 0, 0]);
        assert_eq!(Moderation::SPACED.spacing_ns(1, off), 12_000);
        assert!((0..=255).all(|level| Moderation::NONE.ticks(level, off) == 0));
    }

    #[test]
    fn a_scheme_takes_the_place_of_the_level() {
        let ticks = |mode, para| Moderation::SPACED.ticks(7, scheme(mode, para));
        assert_eq!(ticks(coalesce::DISABLED, [0; 3]), 56);
        assert_eq!(ticks(coalesce::ADAPTIVE, [0; 3]), 32);
        assert_eq!([[0; 3], [1; 3], [2, 0, 0], [0, 0, 128]].map(|para| ticks(coalesce::STATIC, para)), [0, 0, 40, 40]);
        assert_eq!([100, 4000, 100_000].map(|rate| ticks(coalesce::RATE, [rate, 0, 0])), [6667, 167, 7]);
        let deaf = Moderation { schemes: false, static_ticks: 0, ..Moderation::SPACED };
        assert!((0..4).all(|mode| deaf.ticks(7, scheme(mode, [100; 3])) == 56));
    }

    #[test]
    fn one_that_contradicts_itself_is_told_why() {
        assert_eq!((Moderation::NONE.contradiction(), Moderation::SPACED.contradiction()), (None, None));
        let spaced = Moderation::SPACED;
        for wrong in [
            Moderation { level_ticks: 9363, ..spaced },
            Moderation { adaptive: 8, ..spaced },
            Moderation { level_ticks: 0, ..spaced },
            Moderation { schemes: false, ..spaced },
        ] {
            assert!(wrong.contradiction().is_some(), "{wrong:?}");
        }
    }

    proptest! {
        /// Whatever a driver asks for and whatever a device is built as, nothing waits longer than the bound.
        #[test]
        fn no_spacing_is_longer_than_the_bound(
            level_ticks in 0u16..9363, adaptive in 0u8..8, static_ticks: u16, level: u8, mode in 0u32..5, rate in 100u32..=100_000,
        ) {
            let some = Moderation { level_ticks, adaptive, schemes: true, static_ticks };
            let asked = scheme(mode, [rate, 0, 0]);
            prop_assert!(some.spacing_ns(level, asked) <= some.longest_ns());
            prop_assert_eq!(Moderation::NONE.ticks(level, asked), 0);
            let most_a_second = 1_000_000_000 / (u64::from(at_rate(rate)) * TICK_NS);
            prop_assert!(most_a_second <= u64::from(rate));
        }
    }
}
