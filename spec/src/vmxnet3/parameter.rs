//! Parameters of commands: what `cu.cmdInfo` holds while the command that names it runs, and what it points to. From version 3.

crate::layout! {
    /// RSS fields: what SET_RSS_FIELDS asks for and GET_RSS_FIELDS answers, from version 4.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RSSField; linux vmxnet3_drv.c, vmxnet3_init_rssfields.
    pub struct RssFields(u32) = "Vmxnet3_RSSField", by Both, since 4 {
        /// Addresses and ports of TCP over IPv4.
        [0] tcpip4, set_tcpip4: bool = "TCPIP4";
        /// Addresses and ports of TCP over IPv6.
        [1] tcpip6, set_tcpip6: bool = "TCPIP6";
        /// Addresses and ports of UDP over IPv4.
        [2] udpip4, set_udpip4: bool = "UDPIP4";
        /// Addresses and ports of UDP over IPv6.
        [3] udpip6, set_udpip6: bool = "UDPIP6";
        /// Addresses and SPI of ESP over IPv4.
        [4] espip4, set_espip4: bool = "ESPIP4";
        /// Addresses and SPI of ESP over IPv6, version 6.
        [5] espip6, set_espip6: bool = "ESPIP6", since 6;
        /// Reserved, zero.
        [7:6] rsvd, set_rsvd: u8;
        /// Inner addresses over IPv4. The inner ones are named in a header and used by no public driver.
        [8] inner_ip4, set_inner_ip4: bool = "INNER_IP4";
        /// Inner TCP over IPv4.
        [9] inner_tcpip4, set_inner_tcpip4: bool = "INNER_TCPIP4";
        /// Inner addresses over IPv6.
        [10] inner_ip6, set_inner_ip6: bool = "INNER_IP6";
        /// Inner TCP over IPv6.
        [11] inner_tcpip6, set_inner_tcpip6: bool = "INNER_TCPIP6";
        /// Inner UDP over IPv4.
        [12] inner_udpip4, set_inner_udpip4: bool = "INNER_UDPIP4";
        /// Inner UDP over IPv6.
        [13] inner_udpip6, set_inner_udpip6: bool = "INNER_UDPIP6";
        /// Inner ESP over IPv4.
        [14] inner_espip4, set_inner_espip4: bool = "INNER_ESPIP4";
        /// Inner ESP over IPv6.
        [15] inner_espip6, set_inner_espip6: bool = "INNER_ESPIP6";
        /// Reserved, zero.
        [31:16] rsvd1, set_rsvd1: u16;
    }
}

impl RssFields {
    /// In force before a driver asks for others, and whatever it asks for: that TCP is hashed over is the business of
    /// [`RssConf::hash_type`](super::RssConf::hash_type).
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_probe_device, default_rss_fields; dpdk vmxnet3_rxtx.c, vmxnet3_v4_rss_configure, which
    /// asks for both always.
    pub const DEFAULT: Self = Self(1 << Self::LAYOUT.low("TCPIP4") | 1 << Self::LAYOUT.low("TCPIP6"));

    /// What of `offered` a driver of `version` can be granted: ESP over IPv6 is of version 6, the rest of version 4.
    ///
    /// Source: linux vmxnet3_ethtool.c, vmxnet3_set_rss_hash_opt, VMXNET3_VERSION_GE_4 and VMXNET3_VERSION_GE_6.
    pub const fn known(offered: u32, version: u8) -> u32 {
        match version {
            0..=3 => 0,
            4 | 5 => offered & !(1 << Self::LAYOUT.low("ESPIP6")),
            _ => offered,
        }
    }

    /// Every field that is not of inner headers.
    pub const OUTER: Self = Self(0x3f);

    /// What a driver that wants `self` gets of a device that can do `able`.
    #[must_use]
    pub const fn granted(self, able: u32) -> Self {
        Self(self.0 & able | Self::DEFAULT.0)
    }
}

crate::layout! {
    /// Parameter of SET_RING_BUFFER_SIZE, from version 7: bytes of the buffers behind each ring and type. A hint.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RingBufferSize; linux vmxnet3_drv.c, vmxnet3_init_bufsize.
    pub struct RingBufferSize([u8; 8]) = "Vmxnet3_RingBufferSize", since 7 {
        /// HEAD buffers of ring 0; below 128 too, with a small MTU.
        [0..2] ring1_buf_size_type0, set_ring1_buf_size_type0: u16 = "ring1BufSizeType0";
        /// BODY buffers of ring 0; 0 in every driver.
        [2..4] ring1_buf_size_type1, set_ring1_buf_size_type1: u16 = "ring1BufSizeType1";
        /// BODY buffers of ring 1.
        [4..6] ring2_buf_size_type1, set_ring2_buf_size_type1: u16 = "ring2BufSizeType1";
        /// Padding.
        [6..8] pad, set_pad: u16;
    }
}

crate::layout! {
    /// Parameter of RESERVED3, called SET_POLLING in other headers; used by no public driver.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_SetPolling.
    pub struct SetPolling([u8; 1]) = "Vmxnet3_SetPolling", since 3 {
        /// 1 turns polling on.
        [0..1] enable_polling, set_enable_polling: u8 = "enablePolling";
    }
}

crate::layout! {
    /// What `varConf.confPA` of RESERVED5, called SET_ESP_QUEUE_SELECTION_CONF in other headers, points to; used by no public driver.
    ///
    /// Source: VMware's vmxnet3_defs.h, Vmxnet3_ESPQueueSelectionConf.
    pub struct EspQueueSelection([u8; 8]) = "Vmxnet3_ESPQueueSelectionConf", since 7 {
        /// First bit of the SPI that counts.
        [0..1] spi_start_bit, set_spi_start_bit: u8 = "spiStartBit";
        /// Bits of the SPI that count.
        [1..2] spi_mask_width, set_spi_mask_width: u8 = "spiMaskWidth";
        /// Algorithm.
        [2..4] qs_algo, set_qs_algo: u16 = "qsAlgo";
        /// Mask of queues.
        [4..8] mask, set_mask: u32;
    }
}

crate::layout! {
    /// A range of memory that a driver takes buffers from.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_MemoryRegion; dpdk vmxnet3_ethdev.c, vmxnet3_dev_setup_memreg.
    pub struct MemoryRegion([u8; 16]) = "Vmxnet3_MemoryRegion", since 3 {
        /// First byte, guest-physical.
        [0..8] start_pa, set_start_pa: u64 = "startPA";
        /// Bytes, below 2^31.
        [8..12] length, set_length: u32;
        /// Bit q: TX queue q uses it.
        [12..14] tx_queue_bits, set_tx_queue_bits: u16 = "txQueueBits";
        /// Bit q: RX queue q uses it.
        [14..16] rx_queue_bits, set_rx_queue_bits: u16 = "rxQueueBits";
    }
}

crate::layout! {
    /// What `varConf.confPA` of REGISTER_MEMREGS points to: a count and as many regions, of which the structure shows the first. A hint;
    /// DPDK sends it at every version.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_MemRegs; dpdk vmxnet3_ethdev.c, vmxnet3_dev_setup_memreg.
    pub struct MemRegs([u8; 24]) = "Vmxnet3_MemRegs", since 3 {
        /// Regions, at most [`MAX_REGIONS`].
        [0..2] num_regs, set_num_regs: u16 = "numRegs";
        /// Padding.
        [2..8] pad, set_pad: [u16; 3];
        /// The first of them.
        [8..24] mem_regs, set_mem_regs: MemoryRegion = "memRegs";
    }
}

crate::constants! {
    /// Bounds of REGISTER_MEMREGS.
    pub const REGION_BOUNDS = "Memory regions" [
        /// Most memory regions of a device. Source: vmxnet3_defs.h.
        pub const MAX_REGIONS: u16 = 256, "MAX_MEMORY_REGION_PER_DEVICE", since 3;
        /// Most memory regions of a queue. Source: vmxnet3_defs.h.
        pub const MAX_REGIONS_PER_QUEUE: u16 = 16, "MAX_MEMORY_REGION_PER_QUEUE", since 3;
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_knows_its_fields() {
        let outer = RssFields::OUTER;
        assert!(outer.tcpip4() && outer.udpip6() && outer.espip4() && outer.espip6() && !outer.inner_ip4());
        let known: Vec<u32> = (1..=9).map(|version| RssFields::known(outer.0, version)).collect();
        assert_eq!(known, [0, 0, 0, 0x1f, 0x1f, 0x3f, 0x3f, 0x3f, 0x3f]);
    }

    #[test]
    fn fields_of_tcp_are_in_force_whatever_is_asked_for() {
        assert_eq!(RssFields::DEFAULT.0, 3);
        for (wanted, able, granted) in [(0, 0, 3), (0x3f, 3, 3), (0x3f, 0xf, 0xf), (4, 0xff, 7), (u32::MAX, 0, 3)] {
            assert_eq!(RssFields(wanted).granted(able), RssFields(granted));
        }
    }
}
