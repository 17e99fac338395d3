//! Commands written to the CMD register.

crate::codes! {
    /// A command. Those below 0xF00D0000 take parameters from the shared area, the others answer in CMD.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_CMD_*.
    pub enum Command(u32) {
        /// Reads the configuration, resets ring positions and starts. Answer 0, or an error code.
        0xcafe_0000 => ActivateDev = "ACTIVATE_DEV";
        /// Stops all ring DMA and queue interrupts; on return no ring or buffer is touched again.
        0xcafe_0001 => QuiesceDev = "QUIESCE_DEV";
        /// Quiesces and clears run-time state; keeps version, permanent MAC and the shared address.
        0xcafe_0002 => ResetDev = "RESET_DEV";
        /// Reads rxMode again.
        0xcafe_0003 => UpdateRxMode = "UPDATE_RX_MODE";
        /// Copies the multicast table now.
        0xcafe_0004 => UpdateMacFilters = "UPDATE_MAC_FILTERS";
        /// Copies the VLAN bitmap.
        0xcafe_0005 => UpdateVlanFilters = "UPDATE_VLAN_FILTERS";
        /// Reads only the RSS indirection table again.
        0xcafe_0006 => UpdateRssidt = "UPDATE_RSSIDT";
        /// Reads moderation levels again.
        0xcafe_0007 => UpdateIml = "UPDATE_IML";
        /// Loads wake-up filters.
        0xcafe_0008 => UpdatePmcfg = "UPDATE_PMCFG";
        /// Reads uptFeatures again; applies to packets received later.
        0xcafe_0009 => UpdateFeature = "UPDATE_FEATURE";
        /// Called STOP_EMULATION in other headers; used by no public driver.
        0xcafe_000a => StopEmulation = "RESERVED1";
        /// Reads pluginConfDesc; used by no public driver.
        0xcafe_000b => LoadPlugin = "LOAD_PLUGIN";
        /// Called ACTIVATE_VF in other headers; used by no public driver.
        0xcafe_000c => ActivateVf = "RESERVED2";
        /// Called SET_POLLING in other headers, reads `Vmxnet3_SetPolling` in cmdInfo; used by no public driver.
        0xcafe_000d => SetPolling = "RESERVED3";
        /// Version 3: reads a `Vmxnet3_CoalesceScheme` at cmdInfo's confPA and puts it into force.
        0xcafe_000e => SetCoalesce = "SET_COALESCE";
        /// Reads a `Vmxnet3_MemRegs` at cmdInfo's confPA, a hint about buffer memory; from version 3, and DPDK sends it at every version.
        /// Answers 0.
        0xcafe_000f => RegisterMemregs = "REGISTER_MEMREGS";
        /// Version 4: reads a `Vmxnet3_RSSField` in cmdInfo and puts into force what of it the device can. Answers 0, or DPDK gives up.
        0xcafe_0010 => SetRssFields = "SET_RSS_FIELDS";
        /// Version 5: called SET_PKTSTEERING in other headers; used by no public driver.
        0xcafe_0011 => SetPktsteering = "RESERVED4";
        /// Version 7: called SET_ESP_QUEUE_SELECTION_CONF in other headers, reads a `Vmxnet3_ESPQueueSelectionConf`; used by no public
        /// driver.
        0xcafe_0012 => SetEspQueueSelectionConf = "RESERVED5";
        /// Version 7: reads a `Vmxnet3_RingBufferSize` in cmdInfo, a hint. Answers 0.
        0xcafe_0013 => SetRingBufferSize = "SET_RING_BUFFER_SIZE";
        /// Writes stopped and error of every queue descriptor; answers 0.
        0xf00d_0000 => GetQueueStatus = "GET_QUEUE_STATUS";
        /// Writes the statistics of every queue descriptor.
        0xf00d_0001 => GetStats = "GET_STATS";
        /// Answers `GET_LINK`: bit 0 link up; bits 31:16 speed in Mbit/s, at version 9 in Gbit/s where below 10000.
        0xf00d_0002 => GetLink = "GET_LINK";
        /// Permanent MAC bytes 0 to 3.
        0xf00d_0003 => GetPermMacLo = "GET_PERM_MAC_LO";
        /// Permanent MAC bytes 4 and 5.
        0xf00d_0004 => GetPermMacHi = "GET_PERM_MAC_HI";
        /// Device id.
        0xf00d_0005 => GetDidLo = "GET_DID_LO";
        /// Revision id.
        0xf00d_0006 => GetDidHi = "GET_DID_HI";
        /// Meaning unknown; answers 0.
        0xf00d_0007 => GetDevExtraInfo = "GET_DEV_EXTRA_INFO";
        /// Bits 1:0 interrupt type, 3:2 mask mode; 0 is automatic.
        0xf00d_0008 => GetConfIntr = "GET_CONF_INTR";
        /// Bit 0 set: adaptive ring disabled.
        0xf00d_0009 => GetAdaptiveRingInfo = "GET_RESERVED1";
        /// Version 3: bytes of a TX data entry in bits 15:0; at version 9 of an RX data entry in bits 31:16.
        0xf00d_000a => GetTxdataDescSize = "GET_TXDATA_DESC_SIZE";
        /// Version 3: writes the `Vmxnet3_CoalesceScheme` in force at cmdInfo's confPA.
        0xf00d_000b => GetCoalesce = "GET_COALESCE";
        /// Version 4: answers the `Vmxnet3_RSSField` in force.
        0xf00d_000c => GetRssFields = "GET_RSS_FIELDS";
        /// Version 4: called GET_ENCAP_DSTPORT in other headers, UDP ports of Geneve in bits 15:0 and VXLAN in bits 31:16; used by no public
        /// driver.
        0xf00d_000d => GetEncapDstport = "GET_RESERVED2";
        /// Version 5: called GET_PKTSTEERING in other headers; used by no public driver.
        0xf00d_000e => GetPktsteering = "GET_RESERVED3";
        /// Version 6: bits 7:0 most TX queues, 15:8 most RX queues.
        0xf00d_000f => GetMaxQueuesConf = "GET_MAX_QUEUES_CONF";
        /// Version 6: called GET_RSS_HASH_FUNC in other headers; used by no public driver.
        0xf00d_0010 => GetRssHashFunc = "GET_RESERVED4";
        /// Version 7: the capabilities there are. No source says in which form; DPDK keeps the answer and uses it for nothing.
        0xf00d_0011 => GetMaxCapabilities = "GET_MAX_CAPABILITIES";
        /// Version 7: what of the capabilities last written to DCR0 is granted.
        0xf00d_0012 => GetDcr0Reg = "GET_DCR0_REG";
        /// Version 9: bytes of a timestamp entry, TX in bits 7:0, RX in bits 23:16; 0 is no ring.
        0xf00d_0013 => GetTsringDescSize = "GET_TSRING_DESC_SIZE";
        /// Version 9: bit 0 TSO disabled, bit 1 LRO disabled.
        0xf00d_0014 => GetDisabledOffloads = "GET_DISABLED_OFFLOADS";
    }
}

impl Command {
    /// Lowest version on which the command exists; others treat it as unknown.
    pub const fn since(self) -> u8 {
        match self {
            Self::SetCoalesce | Self::GetTxdataDescSize | Self::GetCoalesce => 3,
            Self::SetRssFields | Self::GetRssFields | Self::GetEncapDstport => 4,
            Self::SetPktsteering | Self::GetPktsteering => 5,
            Self::GetMaxQueuesConf | Self::GetRssHashFunc => 6,
            Self::SetEspQueueSelectionConf | Self::SetRingBufferSize | Self::GetMaxCapabilities | Self::GetDcr0Reg => 7,
            Self::GetTsringDescSize | Self::GetDisabledOffloads => 9,
            _ => 1,
        }
    }
}

crate::codes! {
    /// Why a queue stopped, in `status.error`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_ERR_*.
    pub enum QueueError(u32) {
        /// No end of packet in a whole ring.
        0x8000_0000 => NoEop = "NOEOP";
        /// A descriptor was reused before its completion.
        0x8000_0001 => TxdReuse = "TXD_REUSE";
        /// Too many descriptors in one packet.
        0x8000_0002 => BigPkt = "BIG_PKT";
        /// Descriptor type not supported.
        0x8000_0003 => DescNotSpt = "DESC_NOT_SPT";
        /// Head buffer too small.
        0x8000_0004 => SmallBuf = "SMALL_BUF";
        /// Fault injection.
        0x8000_0005 => Stress = "STRESS";
        /// The switch between hardware and software failed.
        0x8000_0006 => Switch = "SWITCH";
        /// Invalid TX descriptor.
        0x8000_0007 => TxdInvalid = "TXD_INVALID";
    }
}

crate::constants! {
    /// Event bits of `DriverShared.ecr` and the ECR register.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_ECR_*.
    pub mod ecr: u32 = "VMXNET3_ECR" {
        /// An RX queue stopped.
        RQERR = 1 << 0;
        /// A TX queue stopped.
        TQERR = 1 << 1;
        /// Link up, down or a new speed.
        LINK = 1 << 2;
        /// The device implementation changed.
        DIC = 1 << 3;
        /// Debug.
        DEBUG = 1 << 4;
    }
}

crate::constants! {
    /// Bits of `rxMode`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_RXM_*.
    pub mod rx_mode: u32 = "VMXNET3_RXM" {
        /// Unicast to the current MAC.
        UCAST = 1 << 0;
        /// Multicast in the table.
        MCAST = 1 << 1;
        /// Broadcast.
        BCAST = 1 << 2;
        /// All multicast.
        ALL_MULTI = 1 << 3;
        /// Everything, VLAN filter included.
        PROMISC = 1 << 4;
    }
}

crate::constants! {
    /// Bits of `uptFeatures`.
    ///
    /// Source: upt1_defs.h, UPT1_F_*.
    pub mod feature: u64 = "UPT1_F" {
        /// Receive checksum verification.
        RXCSUM = 1 << 0;
        /// Receive-side scaling.
        RSS = 1 << 1;
        /// VLAN stripping.
        RXVLAN = 1 << 2;
        /// Large receive offload.
        LRO = 1 << 3;
        /// Inner-header offloads, version 4.
        RXINNEROFLD = 1 << 4, since 4;
    }
}
