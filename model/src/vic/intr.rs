//! Interrupt control blocks: credits, masks and moderation.
//!
//! In the pass-through personality the guest never returns credits: an assertion takes all of them.

use spec::vic::intr::TICK_NS;
use spec::vic::{CreditReturn, IntrReg};

/// Interrupt blocks: one a guest vector, and the host's own.
pub const BLOCKS: usize = 26;
/// The block of queue errors: only the host sees it.
pub const ERROR_BLOCK: u8 = 25;

/// Interrupt control block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intr {
    timer: u16,
    value: u32,
    quiet: bool,
    mask_on_assertion: bool,
    mask: bool,
    credits: u32,
    remaining_ns: u64,
}

impl Intr {
    /// After power-up: masked, no credits.
    pub fn reset() -> Self {
        Self { timer: 0, value: 0, quiet: false, mask_on_assertion: false, mask: true, credits: 0, remaining_ns: 0 }
    }

    /// A register's value.
    pub fn read(&self, reg: IntrReg) -> u64 {
        match reg {
            IntrReg::CoalescingTimer => u64::from(self.timer),
            IntrReg::CoalescingValue => u64::from(self.value),
            IntrReg::CoalescingType => u64::from(self.quiet),
            IntrReg::MaskOnAssertion => u64::from(self.mask_on_assertion),
            IntrReg::Mask => u64::from(self.mask),
            IntrReg::IntCredits => u64::from(self.credits),
            IntrReg::IntCreditReturn => 0,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, reg: IntrReg, value: u64) {
        let word = value as u32;
        match reg {
            IntrReg::CoalescingTimer => {
                self.timer = word as u16;
                self.remaining_ns = self.remaining_ns.min(self.period_ns());
            }
            IntrReg::CoalescingValue => self.value = word,
            IntrReg::CoalescingType => self.quiet = word & 1 == 1,
            IntrReg::MaskOnAssertion => self.mask_on_assertion = word & 1 == 1,
            IntrReg::Mask => self.mask = word & 1 == 1,
            IntrReg::IntCredits => self.credits = word,
            IntrReg::IntCreditReturn => {
                let returned = CreditReturn(word);
                self.credits = self.credits.saturating_sub(u32::from(returned.credits()));
                if returned.unmask() {
                    self.mask = false;
                }
                if returned.reset_timer() {
                    self.remaining_ns = self.period_ns();
                }
            }
        }
    }

    fn period_ns(&self) -> u64 {
        u64::from(self.timer) * TICK_NS
    }

    /// An event. `lost` plants a bug: events that meet the mask vanish.
    pub fn credit(&mut self, lost: bool) {
        if !(lost && self.mask) {
            self.credits = self.credits.saturating_add(1);
            if self.quiet {
                self.remaining_ns = self.period_ns();
            }
        }
    }

    /// Whether it may assert now.
    #[inline]
    pub fn due(&self) -> bool {
        self.credits > 0 && !self.mask && self.remaining_ns == 0
    }

    /// Takes all credits for one assertion.
    pub fn assert(&mut self) {
        self.credits = 0;
        self.mask |= self.mask_on_assertion;
        if !self.quiet {
            self.remaining_ns = self.period_ns();
        }
    }

    /// Time goes on. `stands` plants a bug: the timer of a masked block does not run.
    pub fn advance(&mut self, ns: u64, stands: bool) {
        if !(stands && self.mask) {
            self.remaining_ns = self.remaining_ns.saturating_sub(ns);
        }
    }

    /// The timer runs.
    pub fn is_timed(&self) -> bool {
        self.remaining_ns > 0
    }

    /// Nanoseconds until a held-back event is due, if one is.
    pub fn wait_ns(&self) -> Option<u64> {
        (self.credits > 0 && !self.mask && self.remaining_ns > 0).then_some(self.remaining_ns)
    }
}
