//! BAR0, the pass-through page: the data path's registers, the only ones a guest touches while it is on hardware.

use super::Version;

crate::registers! {
    /// BAR0, the pass-through page: 32-bit registers on an 8-byte stride, small page.
    ///
    /// Below version 6 a device has the first of each only: 25 masks, 8 TX and 16 RX doorbells.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_IMR, _TXPROD, _RXPROD, _RXPROD2; counts from version 6.
    pub enum Bar0 in 0x1000 = "BAR0" {
        /// Interrupt mask of a vector: 1 masked. Unmasking with a pending cause delivers it.
        0x000[65; 8] => Imr(u8) = "IMR": Rw, reset 1;
        /// TX doorbell: index of the next descriptor the driver will fill.
        0x600[32; 8] => TxProd(u8) = "TXPROD": Wo, reset 0;
        /// RX ring 0 producer index.
        0x800[32; 8] => RxProd(u8) = "RXPROD": Wo, reset 0;
        /// RX ring 1 producer index.
        0xa00[32; 8] => RxProd2(u8) = "RXPROD2": Wo, reset 0;
    }
    gaps { 0x208..0x600, 0x700..0x800, 0x900..0xa00, 0xb00..0x1000 }
}

impl Bar0 {
    /// The register that a driver of `version` meets at `offset`. With `large`, that is where [`LARGE_BAR`](super::capability::LARGE_BAR)
    /// was granted, the doorbells of the second page are those of the first.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_LB_TXPROD, _LB_RXPROD, _LB_RXPROD2.
    #[inline]
    pub const fn reached(offset: u32, version: u8, large: bool) -> Option<Self> {
        let register = match Self::decode(offset) {
            None if large => match LargeBar0::decode(offset) {
                Some(LargeBar0::LbTxProd(q)) => Some(Self::TxProd(q)),
                Some(LargeBar0::LbRxProd(q)) => Some(Self::RxProd(q)),
                Some(LargeBar0::LbRxProd2(q)) => Some(Self::RxProd2(q)),
                _ => None,
            },
            first => first,
        };
        match register {
            Some(register) if register.is_of(version) => Some(register),
            _ => None,
        }
    }

    /// Whether a device in which `version` is in force has it.
    #[inline]
    pub const fn is_of(self, version: u8) -> bool {
        let row = Version::of(version);
        match self {
            Self::Imr(vector) => vector < row.vectors,
            Self::TxProd(queue) => queue < row.tx_queues,
            Self::RxProd(queue) | Self::RxProd2(queue) => queue < row.rx_queues,
        }
    }
}

crate::registers! {
    /// The two pass-through pages of a large BAR0, from version 7 and only where DCR0 offers it: with the counts of version 6, and a
    /// second page for doorbells. IMR stays where it is, and the doorbells of the first page go on working.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_LB_TXPROD, _LB_RXPROD, _LB_RXPROD2, VMXNET3_LARGE_PT_REG_SIZE; counts from version 6;
    /// linux vmxnet3_xdp.c, vmxnet3_xdp_xmit_frame, which rings the first page always.
    pub enum LargeBar0 in 0x2000 = "BAR0 large", since 7 {
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

crate::constants! {
    /// Size of a large BAR0.
    pub const SIZES = "Large BAR0" [
        /// Bytes of a large BAR0: two pass-through pages and 4094 others. Source: vmxnet3_defs.h, VMXNET3_LARGE_PT_REG_SIZE and
        /// VMXNET3_LARGE_BAR0_REG_SIZE; VMware's vmxnet3_defs.h for the other pages, which no driver touches.
        pub const LARGE_BAR0_BYTES: u32 = 16 << 20, "VMXNET3_LARGE_BAR0_REG_SIZE", since 7;
    ]
}

/// What an IMR keeps of a written value: bit 0.
///
/// Source: linux vmxnet3_drv.c writes 0 and 1 only; other bits are a choice of ours (open).
pub const fn legalize_imr(written: u32) -> bool {
    written & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reaches_as_many_registers_as_it_has_queues_and_vectors() {
        for (version, imrs, tx, rx) in
            [(0, 25, 8, 16), (1, 25, 8, 16), (5, 25, 8, 16), (6, 65, 32, 32), (9, 65, 32, 32)]
        {
            let reached =
                |base: u32| (0..80).take_while(|i| Bar0::reached(base + 8 * i, version, false).is_some()).count();
            assert_eq!([0, 0x600, 0x800, 0xa00].map(reached), [imrs, tx, rx, rx], "version {version}");
        }
    }

    #[test]
    fn both_pages_have_the_registers_of_the_first_and_the_second_has_its_doorbells_too() {
        for offset in (0..0x1000).step_by(4) {
            let first = Bar0::decode(offset).map(Bar0::offset);
            assert_eq!(LargeBar0::decode(offset).map(LargeBar0::offset), first);
            assert_eq!(Bar0::reached(offset, 9, true), Bar0::reached(offset, 9, false));
        }
        for (offset, register) in [
            (0x1000, Bar0::TxProd(0)),
            (0x10f8, Bar0::TxProd(31)),
            (0x1408, Bar0::RxProd(1)),
            (0x18f8, Bar0::RxProd2(31)),
        ] {
            assert_eq!(Bar0::reached(offset, 7, true), Some(register));
            assert_eq!(Bar0::reached(offset, 7, false), None);
            assert_eq!(Bar0::reached(offset + 4, 7, true), None);
        }
        assert_eq!(Bar0::reached(0x1100, 7, true), None);
    }
}
