//! Values of fields that say which of a few: interrupt types and mask modes, moderation levels, hash functions, wake-up events and
//! guest operating systems.

crate::constants! {
    /// Values of the interrupt type that GET_CONF_INTR answers in bits 1:0.
    ///
    /// Source: vmxnet3_defs.h, enum vmxnet3_intr_type.
    pub mod interrupt_type: u8 = "VMXNET3_IT" {
        /// The driver takes the best that it can have.
        AUTO = 0;
        /// The line.
        INTX = 1;
        /// One message.
        MSI = 2;
        /// A message a vector.
        MSIX = 3;
    }
}

crate::constants! {
    /// Values of the mask mode that GET_CONF_INTR answers in bits 3:2: who masks a vector that has fired.
    ///
    /// Source: vmxnet3_defs.h, enum vmxnet3_intr_mask_mode.
    pub mod mask_mode: u8 = "VMXNET3_IMM" {
        /// The device; the driver then writes `autoMask` 1.
        AUTO = 0;
        /// The driver, in its handler.
        ACTIVE = 1;
        /// Nobody. A driver may refuse it; source: illumos vmxnet3s, vmxnet3_alloc_intr_handles.
        LAZY = 2;
    }
}

crate::constants! {
    /// Bits of `intrCtrl`, which drivers change without a command.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_IC_DISABLE_ALL; linux vmxnet3_drv.c, vmxnet3_enable_all_intrs.
    pub mod intr_ctrl: u32 = "VMXNET3_IC" {
        /// No vector is to fire.
        DISABLE_ALL = 1 << 0;
    }
}

crate::constants! {
    /// Values of `modLevels`; those between count up.
    ///
    /// Source: upt1_defs.h, UPT1_IML_*.
    pub mod moderation: u8 = "UPT1_IML" {
        /// None.
        NONE = 0;
        /// The most.
        HIGHEST = 7;
        /// The device adapts; what Linux and DPDK write.
        ADAPTIVE = 8;
    }
}

crate::constants! {
    /// Values of `hashFunc`.
    ///
    /// Source: upt1_defs.h, UPT1_RSS_HASH_FUNC_*.
    pub mod hash_func: u16 = "UPT1_RSS_HASH_FUNC" {
        /// No hash.
        NONE = 0;
        /// Toeplitz.
        TOEPLITZ = 1;
    }
}

crate::constants! {
    /// Bits of `wakeUpEvents`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_PM_WAKEUP_*.
    pub mod wake_up: u16 = "VMXNET3_PM_WAKEUP" {
        /// A magic packet.
        MAGIC = 1 << 0;
        /// A packet that a filter matches.
        FILTER = 1 << 1;
    }
}

crate::constants! {
    /// Values of `gosBits`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_GOS_BITS_*.
    pub mod gos_bits: u8 = "VMXNET3_GOS_BITS" {
        /// Unknown.
        UNKNOWN = 0, named "VMXNET3_GOS_BITS_UNK";
        /// 32 bits.
        B32 = 1, named "VMXNET3_GOS_BITS_32";
        /// 64 bits.
        B64 = 2, named "VMXNET3_GOS_BITS_64";
    }
}

crate::constants! {
    /// Values of `gosType`. A device requires none of them: drivers say Linux elsewhere too.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_GOS_TYPE_LINUX; dpdk vmxnet3_defs.h for the others.
    pub mod gos_type: u8 = "VMXNET3_GOS_TYPE" {
        /// Unknown.
        UNKNOWN = 0, named "VMXNET3_GOS_TYPE_UNK";
        /// Linux, and DPDK on anything.
        LINUX = 1;
        /// Windows.
        WINDOWS = 2, named "VMXNET3_GOS_TYPE_WIN";
        /// Solaris.
        SOLARIS = 3;
        /// FreeBSD.
        FREEBSD = 4;
        /// A boot ROM.
        PXE = 5;
    }
}
