//! The register mailbox: commands, their words, errors and arguments.

crate::registers! {
    /// devcmd1 block.
    ///
    /// Source: linux vnic_devcmd.h, struct vnic_devcmd.
    pub enum DevcmdReg in 0x80 = "DEVCMD" {
        /// Bit 0 busy, bit 1 error with the code in argument 0.
        0x00 => Status = "status": Ro, size 4, reset 0;
        /// A write starts the command.
        0x04 => Cmd = "cmd": Rw, size 4, reset 0;
        /// Arguments, 64 bits each.
        0x08[15; 8] => Arg(u8) = "args": Rw, width 64, reset 0;
    }
    gaps {}
}

crate::layout! {
    /// Command word.
    ///
    /// Source: linux vnic_devcmd.h, _CMDC.
    pub struct DevcmdWord(u32) = "devcmd" {
        /// Command number; a device decodes by it alone.
        [13:0] number, set_number: u16;
        /// vNIC types: 1 Ethernet, 2 FC, 4 SCSI.
        [23:14] vnic_type, set_vnic_type: u16;
        /// No result wanted.
        [24] nowait, set_nowait: bool;
        /// Other flags.
        [29:25] rsvd, set_rsvd: u8;
        /// Host writes arguments.
        [30] write, set_write: bool;
        /// Host reads results.
        [31] read, set_read: bool;
    }
}

crate::codes! {
    /// A command, by the number in its word.
    ///
    /// Source: linux vnic_devcmd.h, enum vnic_devcmd_cmd. Only those that the pass-through path uses have effects here.
    pub enum Devcmd(u16) {
        /// No operation.
        0 => None = "CMD_NONE";
        /// Firmware information.
        1 => McpuFwInfo = "CMD_MCPU_FW_INFO";
        /// A member of the configuration block.
        2 => DevSpec = "CMD_DEV_SPEC";
        /// Zeroes all counters.
        3 => StatsClear = "CMD_STATS_CLEAR";
        /// Writes the counters to memory: a0 address, a1 bytes.
        4 => StatsDump = "CMD_STATS_DUMP";
        /// Replaces the receive filter: a0 bits of [`packet_filter`].
        7 => PacketFilter = "CMD_PACKET_FILTER";
        /// The host reports a hang.
        8 => HangNotify = "CMD_HANG_NOTIFY";
        /// Default MAC.
        9 => GetMacAddr = "CMD_GET_MAC_ADDR";
        /// Adds an exact MAC filter: a0 address, byte 0 in bits 7:0.
        12 => AddrAdd = "CMD_ADDR_ADD";
        /// Removes an exact MAC filter.
        13 => AddrDel = "CMD_ADDR_DEL";
        /// Admits a VLAN: a0 VID. Firmware is known to accept it without effect; see `AdapterLimits::vlan_filter`.
        14 => VlanAdd = "CMD_VLAN_ADD";
        /// Refuses a VLAN: a0 VID.
        15 => VlanDel = "CMD_VLAN_DEL";
        /// NIC configuration: a0 [`NicCfg`], a1 [`UptCfg`].
        16 => NicCfg = "CMD_NIC_CFG";
        /// Loads the hash key: a0 address, a1 64.
        17 => RssKey = "CMD_RSS_KEY";
        /// Loads the indirection table: a0 address, a1 256.
        18 => RssCpu = "CMD_RSS_CPU";
        /// Soft reset.
        19 => SoftReset = "CMD_SOFT_RESET";
        /// Notification area.
        21 => Notify = "CMD_NOTIFY";
        /// Opens the vNIC.
        23 => Open = "CMD_OPEN";
        /// Progress of OPEN.
        24 => OpenStatus = "CMD_OPEN_STATUS";
        /// Closes the vNIC.
        25 => Close = "CMD_CLOSE";
        /// Enables the virtual link.
        28 => Enable = "CMD_ENABLE";
        /// Disables the virtual link: nothing is received.
        29 => Disable = "CMD_DISABLE";
        /// Initialises the virtual link.
        35 => Init = "CMD_INIT";
        /// Asks whether a command is supported.
        36 => Capability = "CMD_CAPABILITY";
        /// Asserts an interrupt block: a0 block.
        38 => Iar = "CMD_IAR";
        /// Reset after a hang.
        39 => HangReset = "CMD_HANG_RESET";
        /// Activates a provisioned vNIC.
        48 => Enable2 = "CMD_ENABLE2";
        /// Progress of an asynchronous command.
        49 => Status = "CMD_STATUS";
        /// Timer conversion.
        50 => IntrCoalConvert = "CMD_INTR_COAL_CONVERT";
        /// Moves a logical interface between owners.
        53 => MigrateSubvnic = "CMD_MIGRATE_SUBVNIC";
        /// Notification area of a logical interface.
        54 => SubvnicNotify = "CMD_SUBVNIC_NOTIFY";
        /// Enables a queue pair.
        60 => QpEnable = "CMD_QP_ENABLE";
        /// Disables a queue pair.
        61 => QpDisable = "CMD_QP_DISABLE";
        /// Writes a queue pair's counters to memory: a0 pair, a1 address, a2 bytes.
        62 => QpStatsDump = "CMD_QP_STATS_DUMP";
        /// Clears a queue pair's counters.
        63 => QpStatsClear = "CMD_QP_STATS_CLEAR";
        /// Moves the oldest frame of the ingress FIFO to memory: a0 address, a1 bytes there; answers a1 frame bytes, 0 when empty.
        /// With a1 0 nothing moves, and a0 answers how many frames wait.
        /// The number lies in a range that no source publishes: a choice of ours (open), see `AdapterLimits::fifo_readback`.
        86 => IngressRead = "CMD_INGRESS_READ";
        /// Drops the ingress FIFO; answers a1 frames dropped. A choice of ours (open).
        87 => IngressDrop = "CMD_INGRESS_DROP";
    }
}

crate::codes! {
    /// Error code of a failed command, in argument 0.
    ///
    /// Source: linux vnic_devcmd.h, enum vnic_devcmd_error.
    pub enum DevcmdError(u64) {
        /// No error.
        0 => Success = "ERR_SUCCESS";
        /// A bad argument.
        1 => Invalid = "ERR_EINVAL";
        /// A bad address.
        2 => Fault = "ERR_EFAULT";
        /// Not permitted.
        3 => Permission = "ERR_EPERM";
        /// Busy.
        4 => Busy = "ERR_EBUSY";
        /// An unknown command.
        5 => UnknownCommand = "ERR_ECMDUNKNOWN";
        /// A bad state.
        6 => BadState = "ERR_EBADSTATE";
        /// No memory.
        7 => NoMemory = "ERR_ENOMEM";
        /// Timed out.
        8 => TimedOut = "ERR_ETIMEDOUT";
        /// Link down.
        9 => LinkDown = "ERR_ELINKDOWN";
        /// A resource is at its maximum.
        10 => MaxRes = "ERR_EMAXRES";
        /// Not supported.
        11 => NotSupported = "ERR_ENOTSUPPORTED";
        /// In progress.
        12 => InProgress = "ERR_EINPROGRESS";
    }
}

crate::constants! {
    /// Bits of the status word.
    ///
    /// Source: linux vnic_devcmd.h, enum vnic_devcmd_status.
    pub mod status: u32 = "STAT" {
        /// A command is under way.
        BUSY = 1 << 0;
        /// The last command failed.
        ERROR = 1 << 1;
    }
}

crate::constants! {
    /// Bits of PACKET_FILTER's argument 0.
    ///
    /// Source: linux vnic_devcmd.h, CMD_PFILTER_*.
    pub mod packet_filter: u64 = "CMD_PFILTER" {
        /// Unicast to an added address.
        DIRECTED = 1 << 0;
        /// Multicast to an added address.
        MULTICAST = 1 << 1;
        /// Broadcast.
        BROADCAST = 1 << 2;
        /// Everything.
        PROMISCUOUS = 1 << 3;
        /// All multicast.
        ALL_MULTICAST = 1 << 4;
    }
}

crate::layout! {
    /// NIC_CFG's argument 0.
    ///
    /// Source: linux vnic_nic.h, NIC_CFG_*. Bits 31:25 are named by no source; what the pass-through path needs of them is a
    /// `Profile` choice (open).
    pub struct NicCfg(u32) = "nic_cfg" {
        /// Default receive queue.
        [7:0] rss_default_cpu, set_rss_default_cpu: u8;
        /// Hash types, see [`nic_hash`].
        [15:8] rss_hash_type, set_rss_hash_type: u8;
        /// log2 of table entries.
        [18:16] rss_hash_bits, set_rss_hash_bits: u8;
        /// Base receive queue.
        [21:19] rss_base_cpu, set_rss_base_cpu: u8;
        /// Spread by hash.
        [22] rss_enable, set_rss_enable: bool;
        /// Split IP identifiers on TSO.
        [23] tso_ipid_split, set_tso_ipid_split: bool;
        /// Strip the VLAN tag on ingress.
        [24] ig_vlan_strip, set_ig_vlan_strip: bool;
        /// Report verified checksums on ingress: our choice (open).
        [25] upt_rx_checksum, set_upt_rx_checksum: bool;
        /// Named by no source.
        [29:26] rsvd, set_rsvd: u8;
        /// Merge segments of TCP on ingress: our choice (open).
        [30] upt_lro, set_upt_lro: bool;
        /// Named by no source.
        [31] rsvd1, set_rsvd1: bool;
    }
}

crate::layout! {
    /// NIC_CFG's argument 1, which no native driver writes: what of VMXNET3 the adapter goes by. Ours (open).
    pub struct UptCfg(u32) = "upt_cfg" {
        /// Interface version of the guest's driver, 1 to 9: what its TX descriptors may ask for. 0 knows no tunnels.
        [3:0] version, set_version: u8;
        /// Report verified checksums of what a tunnel carries.
        [4] rx_inner, set_rx_inner: bool;
        /// Hash over the SPI of ESP in IPv4: NIC_CFG names no hash type for it.
        [5] esp_ipv4, set_esp_ipv4: bool;
        /// Hash over the SPI of ESP in IPv6.
        [6] esp_ipv6, set_esp_ipv6: bool;
        /// Reserved, zero.
        [31:7] rsvd, set_rsvd: u32;
    }
}

crate::constants! {
    /// Bits of `NicCfg.rss_hash_type`.
    ///
    /// Source: linux vnic_nic.h, NIC_CFG_RSS_HASH_TYPE_*.
    pub mod nic_hash: u8 = "NIC_CFG_RSS_HASH_TYPE" {
        /// UDP over IPv4.
        UDP_IPV4 = 1 << 0;
        /// IPv4 addresses.
        IPV4 = 1 << 1;
        /// TCP over IPv4.
        TCP_IPV4 = 1 << 2;
        /// IPv6 addresses.
        IPV6 = 1 << 3;
        /// TCP over IPv6.
        TCP_IPV6 = 1 << 4;
        /// UDP over IPv6.
        UDP_IPV6 = 1 << 7;
    }
}

crate::constants! {
    /// Sizes of what commands take.
    pub const BUFFERS = "Commands" [
        /// Bytes of the RSS_KEY buffer: four groups of ten key bytes and six of padding. Source: linux vnic_rss.h, union vnic_rss_key.
        pub const RSS_KEY_BYTES: usize = 64, "VNIC_RSS_KEY_SIZE";
        /// Bytes of the RSS_CPU buffer: 32 groups of four entries and four of padding. Source: linux vnic_rss.h, union vnic_rss_cpu.
        pub const RSS_CPU_BYTES: usize = 256, "VNIC_RSS_CPU_SIZE";
        /// Exact MAC filters an adapter holds. Source: DPDK drivers/net/enic, ENIC_UNICAST_PERFECT_FILTERS.
        pub const MAC_FILTERS: usize = 64, "ENIC_UNICAST_PERFECT_FILTERS";
    ]
}
