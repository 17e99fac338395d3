//! The driver-shared area and what it points to. Read by the device only while it runs a command.

use super::dev_read::{DsDevRead, DsDevReadExt};

crate::layout! {
    /// Who the driver is.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_DriverInfo and Vmxnet3_GOSInfo.
    pub struct DriverInfo([u8; 16]) = "Vmxnet3_DriverInfo" {
        /// Driver version, a byte a part.
        [0..4] version, set_version: u32;
        /// Guest operating system word, see [`GosInfo`].
        [4..8] gos, set_gos: GosInfo;
        /// Always 1; says nothing about the selected version.
        [8..12] vmxnet3_rev_spt, set_vmxnet3_rev_spt: u32 = "vmxnet3RevSpt";
        /// Always 1.
        [12..16] upt_ver_spt, set_upt_ver_spt: u32 = "uptVerSpt";
    }
}

crate::layout! {
    /// Guest operating system word. A device requires no value of it.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_GOSInfo.
    pub struct GosInfo(u32) = "Vmxnet3_GOSInfo" {
        /// 0 unknown, 1 32-bit, 2 64-bit.
        [1:0] gos_bits, set_gos_bits: u8 = "gosBits";
        /// 0 unknown, 1 Linux, 2 Windows, 3 Solaris, 4 FreeBSD, 5 PXE.
        [5:2] gos_type, set_gos_type: u8 = "gosType";
        /// Free-form.
        [21:6] gos_ver, set_gos_ver: u16 = "gosVer";
        /// Free-form.
        [31:22] gos_misc, set_gos_misc: u16 = "gosMisc";
    }
}

crate::layout! {
    /// General configuration.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_MiscConf.
    pub struct MiscConf([u8; 72]) = "Vmxnet3_MiscConf" {
        /// Who the driver is.
        [0..16] driver_info, set_driver_info: DriverInfo = "driverInfo";
        /// Feature bits; read again on UPDATE_FEATURE.
        [16..24] upt_features, set_upt_features: u64 = "uptFeatures";
        /// Driver-private data, never dereferenced.
        [24..32] dd_pa, set_dd_pa: u64 = "ddPA";
        /// Queue descriptor table, 128-aligned.
        [32..40] queue_desc_pa, set_queue_desc_pa: u64 = "queueDescPA";
        /// Bytes of driver data.
        [40..44] dd_len, set_dd_len: u32 = "ddLen";
        /// Bytes of the queue descriptor table.
        [44..48] queue_desc_len, set_queue_desc_len: u32 = "queueDescLen";
        /// L3 MTU in bytes, 60 to 9000, from version 6 to 9190.
        [48..52] mtu, set_mtu: u32;
        /// Most RX descriptors of a packet; 0 is no limit.
        [52..54] max_num_rx_sg, set_max_num_rx_sg: u16 = "maxNumRxSG";
        /// TX queues, 1 to 8, from version 6 to 32.
        [54..55] num_tx_queues, set_num_tx_queues: u8 = "numTxQueues";
        /// RX queues, 1 to 16, from version 6 to 32.
        [55..56] num_rx_queues, set_num_rx_queues: u8 = "numRxQueues";
        /// Reserved.
        [56..72] rsvd, set_rsvd: [u32; 4];
    }
}

crate::layout! {
    /// Interrupt configuration.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_IntrConf.
    pub struct IntrConf([u8; 40]) = "Vmxnet3_IntrConf" {
        /// 1: the device masks a vector when it fires it.
        [0..1] auto_mask, set_auto_mask: u8 = "autoMask";
        /// Vectors in use, the event vector included.
        [1..2] num_intrs, set_num_intrs: u8 = "numIntrs";
        /// Vector of events.
        [2..3] event_intr_idx, set_event_intr_idx: u8 = "eventIntrIdx";
        /// Moderation a vector: 0 none, 7 most, 8 adaptive.
        [3..28] mod_levels, set_mod_levels: [u8; 25] = "modLevels";
        /// Bit 0 disables all; toggled without a command.
        [28..32] intr_ctrl, set_intr_ctrl: u32 = "intrCtrl";
        /// Reserved.
        [32..40] rsvd, set_rsvd: [u32; 2];
    }
}

crate::layout! {
    /// Receive filter.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxFilterConf.
    pub struct RxFilterConf([u8; 528]) = "Vmxnet3_RxFilterConf" {
        /// Bits of [`rx_mode`](super::command::rx_mode).
        [0..4] rx_mode, set_rx_mode: u32 = "rxMode";
        /// Bytes of the multicast table, 6 an address.
        [4..6] mf_table_len, set_mf_table_len: u16 = "mfTableLen";
        /// Padding.
        [6..8] pad, set_pad: u16;
        /// Multicast table, valid during the command only.
        [8..16] mf_table_pa, set_mf_table_pa: u64 = "mfTablePA";
        /// VLAN bitmap: VID v is word v / 32, bit v % 32.
        [16..528] vf_table, set_vf_table: [u32; 128] = "vfTable";
    }
}

crate::layout! {
    /// Where a block of variable length lies.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_VariableLenConfDesc.
    pub struct VariableLenConf([u8; 16]) = "Vmxnet3_VariableLenConfDesc" {
        /// Layout version; drivers write 1.
        [0..4] conf_ver, set_conf_ver: u32 = "confVer";
        /// Bytes of the block.
        [4..8] conf_len, set_conf_len: u32 = "confLen";
        /// Where it lies.
        [8..16] conf_pa, set_conf_pa: u64 = "confPA";
    }
}

crate::layout! {
    /// Extended interrupt configuration, version 6.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_IntrConfExt.
    pub struct IntrConfExt([u8; 80]) = "Vmxnet3_IntrConfExt", since 6 {
        /// 1: the device masks a vector when it fires it.
        [0..1] auto_mask, set_auto_mask: u8 = "autoMask";
        /// Vectors in use, up to 65.
        [1..2] num_intrs, set_num_intrs: u8 = "numIntrs";
        /// Vector of events.
        [2..3] event_intr_idx, set_event_intr_idx: u8 = "eventIntrIdx";
        /// Reserved.
        [3..4] rsvd, set_rsvd: u8;
        /// Bit 0 disables all.
        [4..8] intr_ctrl, set_intr_ctrl: u32 = "intrCtrl";
        /// Reserved.
        [8..12] rsvd1, set_rsvd1: u32;
        /// Moderation a vector.
        [12..77] mod_levels, set_mod_levels: [u8; 65] = "modLevels";
        /// Padding.
        [77..80] pad, set_pad: [u8; 3];
    }
}

impl IntrConfExt {
    /// The same interrupts as [`IntrConf`] has them, with the fields in their other order and the levels of the first vectors.
    pub fn of(conf: &IntrConf) -> Self {
        let mut extended = Self::default();
        extended.set_auto_mask(conf.auto_mask());
        extended.set_num_intrs(conf.num_intrs());
        extended.set_event_intr_idx(conf.event_intr_idx());
        extended.set_intr_ctrl(conf.intr_ctrl());
        let mut levels = [0; 65];
        for (to, from) in levels.iter_mut().zip(conf.mod_levels()) {
            *to = from;
        }
        extended.set_mod_levels(levels);
        extended
    }
}

crate::layout! {
    /// The area whose address the driver writes to DSAL and DSAH.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_DriverShared.
    pub struct DriverShared([u8; 800]) = "Vmxnet3_DriverShared" {
        /// [`MAGIC`](super::MAGIC).
        [0..4] magic, set_magic: u32;
        /// Meant as the size; drivers leave it 0.
        [4..8] size, set_size: u32;
        /// Configuration.
        [8..696] dev_read, set_dev_read: DsDevRead = "devRead";
        /// Event bits; written by the device, cleared through the ECR register.
        [696..700] ecr, set_ecr: u32 = "ecr", by Device;
        /// Padding.
        [700..704] pad, set_pad: u32;
        /// Command parameters, version 3: a [`VariableLenConf`], or a structure of [`parameter`](super::parameter).
        [704..720] cmd_info, set_cmd_info: [u8; 16] = "cu.cmdInfo", since 3;
        /// Extended configuration, version 6; not there with at most 8 TX and 16 RX queues.
        [720..800] dev_read_ext, set_dev_read_ext: DsDevReadExt = "devReadExt", since 6;
    }
}

/// Byte offset of `ecr` in the shared area.
pub const ECR_OFFSET: u64 = DriverShared::LAYOUT.offset("ecr");
/// Byte offset of `cu.cmdInfo`, 16 bytes, from version 3.
pub const CMD_INFO_OFFSET: u64 = DriverShared::LAYOUT.offset("cu.cmdInfo");
/// Byte offset of `devRead.misc.uptFeatures`.
pub const UPT_FEATURES_OFFSET: u64 =
    DriverShared::LAYOUT.offset("devRead.misc") + MiscConf::LAYOUT.offset("uptFeatures");
/// Byte offset of `devRead.rxFilterConf`.
pub const RX_FILTER_OFFSET: u64 = DriverShared::LAYOUT.offset("devRead.rxFilterConf");
/// Byte offset of `devRead.rssConfDesc`.
pub const RSS_CONF_DESC_OFFSET: u64 = DriverShared::LAYOUT.offset("devRead.rssConfDesc");
/// Byte offset of `devRead.intrConf`.
pub const INTR_CONF_OFFSET: u64 = DriverShared::LAYOUT.offset("devRead.intrConf");
/// Byte offset of `devReadExt.intrConfExt`, behind what a driver below version 6 owns.
pub const INTR_CONF_EXT_OFFSET: u64 = DriverShared::LAYOUT.offset("devReadExt.intrConfExt");

crate::layout! {
    /// Receive-side scaling.
    ///
    /// Source: upt1_defs.h, UPT1_RSSConf.
    pub struct RssConf([u8; 176]) = "UPT1_RSSConf" {
        /// Bits of [`hash_type`](super::rx::hash_type).
        [0..2] hash_type, set_hash_type: u16 = "hashType";
        /// 0 none, 1 Toeplitz.
        [2..4] hash_func, set_hash_func: u16 = "hashFunc";
        /// Bytes of the key, at most 40.
        [4..6] hash_key_size, set_hash_key_size: u16 = "hashKeySize";
        /// Entries in use, at most 128.
        [6..8] ind_table_size, set_ind_table_size: u16 = "indTableSize";
        /// Toeplitz key.
        [8..48] hash_key, set_hash_key: [u8; 40] = "hashKey";
        /// RX queue a hash value.
        [48..176] ind_table, set_ind_table: [u8; 128] = "indTable";
    }
}

crate::layout! {
    /// Wake-up filter.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_PM_PktFilter.
    pub struct PmPktFilter([u8; 152]) = "Vmxnet3_PM_PktFilter" {
        /// Bytes of mask in use.
        [0..1] mask_size, set_mask_size: u8 = "maskSize";
        /// Bytes of pattern in use.
        [1..2] pattern_size, set_pattern_size: u8 = "patternSize";
        /// Bit b of byte k selects pattern byte 8k + b.
        [2..18] mask, set_mask: [u8; 16];
        /// Pattern, from the start of the Ethernet header.
        [18..146] pattern, set_pattern: [u8; 128];
        /// Padding.
        [146..152] pad, set_pad: [u8; 6];
    }
}

crate::layout! {
    /// Wake-up configuration.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_PMConf.
    pub struct PmConf([u8; 920]) = "Vmxnet3_PMConf" {
        /// Bit 0 magic packet, bit 1 filters.
        [0..2] wake_up_events, set_wake_up_events: u16 = "wakeUpEvents";
        /// Filters in use; Linux may exceed 6.
        [2..3] num_filters, set_num_filters: u8 = "numFilters";
        /// Padding.
        [3..8] pad, set_pad: [u8; 5];
        /// Filters.
        [8..920] filters, set_filters: [PmPktFilter; 6];
    }
}

crate::layout! {
    /// Coalescing scheme, version 3.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_CoalesceScheme.
    pub struct CoalesceScheme([u8; 16]) = "Vmxnet3_CoalesceScheme", by Both, since 3 {
        /// 0 disabled, 1 adaptive, 2 static, 3 rate.
        [0..4] coal_mode, set_coal_mode: u32 = "coalMode";
        /// Rate in interrupts a second, or three depths.
        [4..16] coal_para, set_coal_para: [u32; 3] = "coalPara";
    }
}

crate::constants! {
    /// Values of [`CoalesceScheme::coal_mode`].
    ///
    /// Source: vmxnet3_defs.h, enum Vmxnet3_CoalesceMode.
    pub mod coalesce: u32 = "VMXNET3_COALESCE" {
        /// No moderation.
        DISABLED = 0, since 3;
        /// The device adapts.
        ADAPTIVE = 1, named "VMXNET3_COALESCE_ADAPT", since 3;
        /// By depths: packets sent, their completions, packets received.
        STATIC = 2, since 3;
        /// By interrupts a second.
        RATE = 3, named "VMXNET3_COALESCE_RBC", since 3;
    } with {
        /// Lowest and highest rate, interrupts a second.
        pub const RATES: core::ops::RangeInclusive<u32> = super::COALESCE_RATE_MIN..=super::COALESCE_RATE_MAX;
        /// Largest depth.
        pub const MOST_DEPTH: u32 = super::COALESCE_DEPTH_MAX;
    }
}

crate::constants! {
    /// Bounds of a [`CoalesceScheme`].
    pub const COALESCE_BOUNDS = "Coalescing" [
        /// Lowest rate, interrupts a second. Source: vmxnet3_defs.h.
        pub const COALESCE_RATE_MIN: u32 = 100, "VMXNET3_COAL_RBC_MIN_RATE", since 3;
        /// Highest rate, interrupts a second. Source: vmxnet3_defs.h.
        pub const COALESCE_RATE_MAX: u32 = 100_000, "VMXNET3_COAL_RBC_MAX_RATE", since 3;
        /// Largest depth of the static mode, packets. Source: vmxnet3_defs.h.
        pub const COALESCE_DEPTH_MAX: u32 = 128, "VMXNET3_COAL_STATIC_MAX_DEPTH", since 3;
    ]
}

impl CoalesceScheme {
    /// Mode and parameters are within their bounds: nothing else is ever in force. Linux divides by the rate it is told.
    ///
    /// Source: linux vmxnet3_ethtool.c, vmxnet3_set_coalesce and vmxnet3_get_coalesce.
    pub fn is_valid(&self) -> bool {
        let [rate, ..] = self.coal_para();
        match self.coal_mode() {
            coalesce::DISABLED | coalesce::ADAPTIVE => true,
            coalesce::STATIC => self.coal_para().iter().all(|&depth| depth <= coalesce::MOST_DEPTH),
            coalesce::RATE => coalesce::RATES.contains(&rate),
            _ => false,
        }
    }
}
