//! Limits of the interface that no structure's shape says already; those of each version are in [`VERSIONS`](super::VERSIONS).

crate::constants! {
    /// Sizes of rings, in entries.
    pub const RINGS = "Rings" [
        /// Ring sizes are multiples of this many entries; not powers of two, though drivers of version 7 keep to those. Source:
        /// vmxnet3_defs.h.
        pub const RING_SIZE_ALIGN: u32 = 32, "VMXNET3_RING_SIZE_ALIGN";
        /// Most descriptors of a TX ring, and entries of its data ring. Source: vmxnet3_defs.h.
        pub const TX_RING_MAX: u32 = 4096, "VMXNET3_TX_RING_MAX_SIZE";
        /// Most entries of a TX completion ring. Source: vmxnet3_defs.h.
        pub const TX_COMP_RING_MAX: u32 = 4096, "VMXNET3_TC_RING_MAX_SIZE";
        /// Most descriptors of RX ring 0. Source: vmxnet3_defs.h.
        pub const RX_RING_MAX: u32 = 4096, "VMXNET3_RX_RING_MAX_SIZE";
        /// Most descriptors of RX ring 1, which may be absent. Source: vmxnet3_defs.h.
        pub const RX_RING2_MAX: u32 = 4096, "VMXNET3_RX_RING2_MAX_SIZE";
        /// Most entries of an RX completion ring. Source: vmxnet3_defs.h.
        pub const RX_COMP_RING_MAX: u32 = 8192, "VMXNET3_RC_RING_MAX_SIZE";
        /// Generation that both sides start with. Source: vmxnet3_defs.h.
        pub const INIT_GEN: u8 = 1, "VMXNET3_INIT_GEN";
    ]
}

crate::constants! {
    /// Sizes of buffers and offsets in packets, in bytes.
    pub const BUFFERS = "Buffers" [
        /// Longest buffer of a TX descriptor, which then says 0. Source: vmxnet3_defs.h.
        pub const TX_BUFFER_MAX: u32 = 1 << 14, "VMXNET3_MAX_TX_BUF_SIZE";
        /// Longest buffer of an RX descriptor. Source: vmxnet3_defs.h.
        pub const RX_BUFFER_MAX: u32 = (1 << 14) - 1, "VMXNET3_MAX_RX_BUF_SIZE";
        /// Shortest HEAD buffer that a device need not refuse; drivers of version 7 go below it. Source: vmxnet3_defs.h; linux
        /// vmxnet3_drv.c, vmxnet3_adjust_rx_ring_size.
        pub const HEAD_BUFFER_MIN: u32 = 128, "VMXNET3_MIN_T0_BUF_SIZE";
        /// Largest offset of a checksum field. Source: vmxnet3_defs.h.
        pub const CSUM_OFFSET_MAX: u32 = 1024, "VMXNET3_MAX_CSUM_OFFSET";
        /// Most buffers of a received packet that Linux survives: a head and 17 fragments. Source: linux vmxnet3_drv.c,
        /// vmxnet3_rq_rx_complete and vmxnet3_append_frag.
        pub const RX_BUFFERS_PER_PACKET: u32 = 18, "VMXNET3_LINUX_MAX_RX_BUFFERS";
    ]
}

crate::constants! {
    /// L3 MTUs, in bytes.
    pub const MTUS = "MTU" [
        /// Smallest. Source: vmxnet3_defs.h.
        pub const MTU_MIN: u32 = 60, "VMXNET3_MIN_MTU";
        /// Largest below version 6. Source: vmxnet3_defs.h.
        pub const MTU_MAX: u32 = 9000, "VMXNET3_MAX_MTU";
        /// Largest from version 6 on. Source: vmxnet3_defs.h.
        pub const MTU_MAX_V6: u32 = 9190, "VMXNET3_V6_MAX_MTU", since 6;
    ]
}

crate::constants! {
    /// Most queues and vectors of a device by its version; see [`VERSIONS`](super::VERSIONS).
    pub const QUEUES = "Queues" [
        /// RX queues below version 6 as the header has them. Source: vmxnet3_defs.h.
        pub const RX_QUEUES_MAX: u8 = 16, "VMXNET3_MAX_RX_QUEUES";
        /// TX queues from version 6 on. Source: vmxnet3_defs.h.
        pub const TX_QUEUES_EXT_MAX: u8 = 32, "VMXNET3_EXT_MAX_TX_QUEUES", since 6;
        /// RX queues from version 6 on. Source: vmxnet3_defs.h.
        pub const RX_QUEUES_EXT_MAX: u8 = 32, "VMXNET3_EXT_MAX_RX_QUEUES", since 6;
        /// Vectors from version 6 on: one a queue, one for events. Source: vmxnet3_defs.h.
        pub const VECTORS_EXT_MAX: u8 = 65, "VMXNET3_EXT_MAX_INTRS", since 6;
        /// Vectors that Linux asks for at least where it uses MSI-X at all. Source: linux vmxnet3_int.h.
        pub const VECTORS_MIN_LINUX: u8 = 3, "VMXNET3_LINUX_MIN_MSIX_VECT";
    ]
}

crate::constants! {
    /// Sizes inside the structures of the receive filter, of RSS and of power management.
    pub const TABLES = "Tables" [
        /// Words of the VLAN table: a bit a VID. Source: vmxnet3_defs.h.
        pub const VLAN_WORDS: u32 = 128, "VMXNET3_VFT_SIZE";
        /// Bytes of a multicast address in the table. Source: linux vmxnet3_drv.c, vmxnet3_copy_mc.
        pub const MULTICAST_BYTES: u32 = 6, "VMXNET3_MULTICAST_ENTRY_SIZE";
        /// Longest hash key, bytes. Source: upt1_defs.h.
        pub const RSS_KEY_MAX: u32 = 40, "UPT1_RSS_MAX_KEY_SIZE";
        /// Longest indirection table, entries. Source: upt1_defs.h.
        pub const RSS_TABLE_MAX: u32 = 128, "UPT1_RSS_MAX_IND_TABLE_SIZE";
        /// Most wake-up filters. Source: vmxnet3_defs.h.
        pub const PM_FILTERS_MAX: u32 = 6, "VMXNET3_PM_MAX_FILTERS";
        /// Longest wake-up pattern, bytes. Source: vmxnet3_defs.h.
        pub const PM_PATTERN_MAX: u32 = 128, "VMXNET3_PM_MAX_PATTERN_SIZE";
        /// Longest mask of a wake-up pattern, bytes: a bit a byte of the pattern. Source: vmxnet3_defs.h.
        pub const PM_MASK_MAX: u32 = PM_PATTERN_MAX / 8, "VMXNET3_PM_MAX_MASK_SIZE";
    ]
}

crate::constants! {
    /// Sizes of the pages of registers, in bytes.
    pub const PAGES = "Pages" [
        /// BAR0, the pass-through page. Source: vmxnet3_defs.h.
        pub const PT_BYTES: u32 = 4096, "VMXNET3_PT_REG_SIZE";
        /// BAR1, the virtual-device page. Source: vmxnet3_defs.h.
        pub const VD_BYTES: u32 = 4096, "VMXNET3_VD_REG_SIZE";
        /// The pass-through pages of a large BAR0. Source: vmxnet3_defs.h.
        pub const LARGE_PT_BYTES: u32 = 8192, "VMXNET3_LARGE_PT_REG_SIZE", since 7;
        /// The rest of a large BAR0, which no driver touches. Source: vmxnet3_defs.h.
        pub const OOB_BYTES: u32 = 4094 * 4096, "VMXNET3_OOB_REG_SIZE", since 7;
        /// From one register to the next. Source: vmxnet3_defs.h.
        pub const REGISTER_STRIDE: u32 = 8, "VMXNET3_REG_ALIGN";
    ]
}

#[cfg(test)]
mod tests {
    use super::super::bar0::{LARGE_BAR0_BYTES, LargeBar0};
    use super::super::shared::{PmConf, PmPktFilter};
    use super::super::{Bar0, Bar1, RssConf, RxFilterConf, VERSIONS};
    use super::*;
    use crate::layout::Layout;
    use crate::profile::Profile;

    fn bytes(layout: &Layout, field: &str) -> u32 {
        layout.fields.iter().find(|f| f.name == field).expect("declared").bits / 8
    }

    #[test]
    fn the_reference_profile_keeps_to_the_limits() {
        let limits = Profile::REFERENCE.limits;
        assert_eq!((limits.ring_step, limits.tx_ring, limits.rx_ring), (RING_SIZE_ALIGN, TX_RING_MAX, RX_RING_MAX));
        assert_eq!(limits.rx_comp_ring, RX_COMP_RING_MAX);
        assert_eq!((limits.min_mtu, limits.max_mtu, limits.max_mtu_later), (MTU_MIN, MTU_MAX, MTU_MAX_V6));
        assert_eq!((TX_COMP_RING_MAX, RX_RING2_MAX), (limits.tx_ring, limits.rx_ring));
    }

    #[test]
    fn versions_have_the_limits_of_the_headers() {
        for version in VERSIONS {
            let ext = version.number >= 6;
            let queues = if ext { (TX_QUEUES_EXT_MAX, RX_QUEUES_EXT_MAX) } else { (8, RX_QUEUES_MAX) };
            assert_eq!((version.tx_queues, version.rx_queues), queues);
            assert_eq!(version.vectors, if ext { VECTORS_EXT_MAX } else { 25 });
            assert_eq!(version.max_mtu, if ext { MTU_MAX_V6 } else { MTU_MAX });
        }
    }

    #[test]
    fn structures_and_pages_are_as_long_as_the_limits_say() {
        assert_eq!(bytes(RxFilterConf::LAYOUT, "vfTable"), VLAN_WORDS * 4);
        assert_eq!(bytes(RssConf::LAYOUT, "hashKey"), RSS_KEY_MAX);
        assert_eq!(bytes(RssConf::LAYOUT, "indTable"), RSS_TABLE_MAX);
        assert_eq!(bytes(PmPktFilter::LAYOUT, "pattern"), PM_PATTERN_MAX);
        assert_eq!(bytes(PmPktFilter::LAYOUT, "mask"), PM_MASK_MAX);
        assert_eq!(bytes(PmConf::LAYOUT, "filters"), PM_FILTERS_MAX * PmPktFilter::LAYOUT.bits / 8);
        assert_eq!((Bar0::MAP.bytes, Bar1::MAP.bytes), (PT_BYTES, VD_BYTES));
        assert_eq!(LargeBar0::MAP.bytes, LARGE_PT_BYTES);
        assert_eq!(LARGE_PT_BYTES + OOB_BYTES, LARGE_BAR0_BYTES);
    }
}
