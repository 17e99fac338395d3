//! Interrupt control block.

crate::registers! {
    /// INTR control block.
    ///
    /// Source: linux vnic_intr.h, struct vnic_intr_ctrl.
    pub enum IntrReg in 0x80 = "INTR" {
        /// Delay in device ticks of 1.5 microseconds, 16 bits; 0 is none.
        0x00 => CoalescingTimer = "coalescing_timer": Rw, reset 0;
        /// Accessed by no driver.
        0x08 => CoalescingValue = "coalescing_value": Rw, reset 0;
        /// 0 least spacing between interrupts, 1 quiet time.
        0x10 => CoalescingType = "coalescing_type": Rw, reset 0;
        /// 1: the device sets `mask` when it asserts.
        0x18 => MaskOnAssertion = "mask_on_assertion": Rw, reset 0;
        /// 1 masked.
        0x20 => Mask = "mask": Rw, reset 1;
        /// Events not yet acknowledged.
        0x28 => IntCredits = "int_credits": Rw, reset 0;
        /// Returns credits, see [`CreditReturn`].
        0x30 => IntCreditReturn = "int_credit_return": Wo, reset 0;
    }
    gaps { 0x38..0x80 }
}

crate::layout! {
    /// Value written to `int_credit_return`.
    ///
    /// Source: linux vnic_intr.h, vnic_intr_return_credits.
    pub struct CreditReturn(u32) = "int_credit_return" {
        /// Credits to subtract; saturates at 0.
        [15:0] credits, set_credits: u16;
        /// Also unmask.
        [16] unmask, set_unmask: bool;
        /// Also restart the coalescing timer.
        [17] reset_timer, set_reset_timer: bool;
        /// Reserved.
        [31:18] rsvd, set_rsvd: u16;
    }
}

crate::constants! {
    /// Unit of the coalescing timer, nanoseconds.
    pub const TIMER = "Interrupt timer" [
        /// Nanoseconds of one coalescing tick. Source: linux vnic_dev.c, vnic_dev_intr_coal_timer_info_default (2 ticks in 3 microseconds).
        pub const TICK_NS: u64 = 1500, "VNIC_INTR_TICK_NS";
    ]
}
