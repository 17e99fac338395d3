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

/// What an IMR keeps of a written value: bit 0.
///
/// Source: linux vmxnet3_drv.c writes 0 and 1 only; other bits are a choice of ours (open).
pub const fn legalize_imr(written: u32) -> bool {
    written & 1 == 1
}
