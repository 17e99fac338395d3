//! BAR0, the pass-through page: the data path's registers, the only ones a guest touches while it is on hardware.

crate::registers! {
    /// BAR0, the pass-through page: 32-bit registers on an 8-byte stride, small page.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_IMR, _TXPROD, _RXPROD, _RXPROD2; counts below version 6.
    pub enum Bar0 in 0x1000 = "BAR0" {
        /// Interrupt mask of a vector: 1 masked. Unmasking with a pending cause delivers it.
        0x000[25; 8] => Imr(u8) = "IMR": Rw, reset 1;
        /// TX doorbell: index of the next descriptor the driver will fill.
        0x600[8; 8] => TxProd(u8) = "TXPROD": Wo, reset 0;
        /// RX ring 0 producer index.
        0x800[16; 8] => RxProd(u8) = "RXPROD": Wo, reset 0;
        /// RX ring 1 producer index.
        0xa00[16; 8] => RxProd2(u8) = "RXPROD2": Wo, reset 0;
    }
    gaps { 0x0c8..0x600, 0x640..0x800, 0x880..0xa00, 0xa80..0x1000 }
}

crate::registers! {
    /// The two pass-through pages of a large BAR0, from version 7 and only where DCR0 offers it: with the counts of version 6, and a
    /// second page for doorbells. IMR stays where it is, and the doorbells of the first page go on working.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_LB_TXPROD, _LB_RXPROD, _LB_RXPROD2, VMXNET3_LARGE_PT_REG_SIZE; counts from version 6;
    /// linux vmxnet3_xdp.c, vmxnet3_xdp_xmit_frame, which rings the first page always.
    pub enum LargeBar0 in 0x2000 = "BAR0 large" {
        /// Interrupt mask of a vector.
        0x0000[65; 8] => Imr(u8) = "IMR": Rw, reset 1;
        /// TX doorbell.
        0x0600[32; 8] => TxProd(u8) = "TXPROD": Wo, reset 0;
        /// RX ring 0 producer index.
        0x0800[32; 8] => RxProd(u8) = "RXPROD": Wo, reset 0;
        /// RX ring 1 producer index.
        0x0a00[32; 8] => RxProd2(u8) = "RXPROD2": Wo, reset 0;
        /// TX doorbell of the second page.
        0x1000[32; 8] => LbTxProd(u8) = "LB_TXPROD": Wo, reset 0;
        /// RX ring 0 producer index of the second page.
        0x1400[32; 8] => LbRxProd(u8) = "LB_RXPROD": Wo, reset 0;
        /// RX ring 1 producer index of the second page.
        0x1800[32; 8] => LbRxProd2(u8) = "LB_RXPROD2": Wo, reset 0;
    }
    gaps { 0x0208..0x0600, 0x0700..0x0800, 0x0900..0x0a00, 0x0b00..0x1000, 0x1100..0x1400, 0x1500..0x1800, 0x1900..0x2000 }
}

/// Bytes of a large BAR0: two pass-through pages and 4094 others. Source: vmxnet3_defs.h, VMXNET3_LARGE_PT_REG_SIZE and
/// VMXNET3_LARGE_BAR0_REG_SIZE; VMware's vmxnet3_defs.h for the other pages, which no driver touches.
pub const LARGE_BAR0_BYTES: u32 = 16 << 20;

/// What an IMR keeps of a written value: bit 0.
///
/// Source: linux vmxnet3_drv.c writes 0 and 1 only; other bits are a choice of ours (open).
pub const fn legalize_imr(written: u32) -> bool {
    written & 1 == 1
}
