//! Receive descriptor and completion.

crate::layout! {
    /// Receive descriptor. The driver hands it over by writing `gen`; the device never writes it.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxDesc.
    pub struct RxDesc(u128) = "Vmxnet3_RxDesc" {
        /// Guest-physical address of the buffer.
        [63:0] addr, set_addr: u64;
        /// Buffer length in bytes, 1 to 16383; 0 is not 16384 here.
        [77:64] len, set_len: u16;
        /// False: HEAD, may start a packet. True: BODY, continues one.
        [78] btype, set_btype: bool;
        /// Descriptor type, 0.
        [79] dtype, set_dtype: bool;
        /// Reserved, zero.
        [94:80] rsvd, set_rsvd: u16;
        /// Matches the ring's generation once the device may use the buffer.
        [95] generation, set_generation: bool = "gen";
        /// Reserved.
        [127:96] ext1, set_ext1: u32;
    }
}

crate::layout! {
    /// Receive completion, one a buffer. The device writes it; `gen` becomes visible last.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxCompDesc.
    pub struct RxCompDesc(u128) = "Vmxnet3_RxCompDesc", by Device {
        /// Index of the descriptor used.
        [11:0] rxd_idx, set_rxd_idx: u16 = "rxdIdx";
        /// Inner-header flags, version 4, see [`ext1`].
        [13:12] ext1, set_ext1: u8 = "ext1", since 4;
        /// Last buffer of the packet.
        [14] eop, set_eop: bool;
        /// First buffer of the packet.
        [15] sop, set_sop: bool;
        /// Queue q for ring 0, q + N for ring 1, q + 2N for the data ring; N receive queues.
        [25:16] rq_id, set_rq_id: u16 = "rqID";
        /// What `rssHash` was computed over; valid with `eop`.
        [29:26] rss_type, set_rss_type: u8 = "rssType";
        /// Checksum not checked; valid with `eop`.
        [30] cnc, set_cnc: bool;
        /// The driver is to write a timestamp for this packet, version 9; valid with `sop`.
        [31] ext2, set_ext2: bool = "ext2", since 9;
        /// RSS hash; valid with `eop` and a nonzero `rssType`.
        [63:32] rss_hash, set_rss_hash: u32 = "rssHash";
        /// Bytes written to this buffer.
        [77:64] len, set_len: u16;
        /// The packet is bad; only with `eop`.
        [78] err, set_err: bool;
        /// A VLAN tag was stripped; valid with `eop`.
        [79] ts, set_ts: bool;
        /// The stripped tag.
        [95:80] tci, set_tci: u16;
        /// Raw checksum; devices report 0.
        [111:96] csum, set_csum: u16;
        /// TCP or UDP checksum correct.
        [112] tuc, set_tuc: bool;
        /// UDP.
        [113] udp, set_udp: bool;
        /// TCP.
        [114] tcp, set_tcp: bool;
        /// IPv4 header checksum correct.
        [115] ipc, set_ipc: bool;
        /// IPv6.
        [116] v6, set_v6: bool;
        /// IPv4.
        [117] v4, set_v4: bool;
        /// IP fragment.
        [118] frg, set_frg: bool;
        /// Ethernet FCS was good.
        [119] fcs, set_fcs: bool;
        /// Completion type, see [`RXCOMP`].
        [126:120] kind, set_kind: u8 = "type";
        /// Generation of the completion ring.
        [127] generation, set_generation: bool = "gen";
    }
}

crate::constants! {
    /// Values of `type` of completions.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_CDTYPE_*.
    pub const COMPLETION_TYPES = "VMXNET3_CDTYPE" [
        /// Transmit completion. Source: vmxnet3_defs.h, VMXNET3_CDTYPE_TXCOMP.
        pub const TXCOMP: u8 = 0, "VMXNET3_CDTYPE_TXCOMP";
        /// Ordinary receive completion. Source: vmxnet3_defs.h, VMXNET3_CDTYPE_RXCOMP.
        pub const RXCOMP: u8 = 3, "VMXNET3_CDTYPE_RXCOMP";
        /// Receive completion of merged segments, version 2. Source: vmxnet3_defs.h, VMXNET3_CDTYPE_RXCOMP_LRO.
        pub const RXCOMP_LRO: u8 = 4, "VMXNET3_CDTYPE_RXCOMP_LRO", since 2;
    ]
}
/// From this version on a completion tells of merged segments; our models merge for no earlier driver, which would have to guess the
/// size of a segment. Source: linux vmxnet3_drv.c, vmxnet3_rq_rx_complete.
pub const MERGES_SINCE: u8 = 2;

crate::layout! {
    /// Receive completion of merged segments, from version 2: [`RxCompDesc`] with other words for the hash and the checksum. `seg_cnt`
    /// and `mss` count with `sop`, protocols and checksums with `eop`.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxCompDescExt; linux vmxnet3_drv.c, vmxnet3_rq_rx_complete.
    pub struct RxCompDescExt(u128) = "Vmxnet3_RxCompDescExt", by Device, since 2 {
        /// As the first word of [`RxCompDesc`].
        [31:0] dword1, set_dword1: u32;
        /// Segments from the wire that were merged; never 0.
        [39:32] seg_cnt, set_seg_cnt: u8 = "segCnt";
        /// Duplicate acknowledgements that were left out.
        [47:40] dup_ack_cnt, set_dup_ack_cnt: u8 = "dupAckCnt";
        /// How far the TCP timestamps of the segments lie apart.
        [63:48] ts_delta, set_ts_delta: u16 = "tsDelta";
        /// As the third word of [`RxCompDesc`].
        [95:64] dword2, set_dword2: u32;
        /// Bytes of payload of a segment; 0 leaves the driver to guess.
        [111:96] mss, set_mss: u16;
        /// TCP checksum correct; 1 always, or Linux takes `mss` for a raw checksum.
        [112] tuc, set_tuc: bool;
        /// UDP.
        [113] udp, set_udp: bool;
        /// TCP; 1 always.
        [114] tcp, set_tcp: bool;
        /// IPv4 header checksum correct; 1 always over IPv4.
        [115] ipc, set_ipc: bool;
        /// IPv6.
        [116] v6, set_v6: bool;
        /// IPv4.
        [117] v4, set_v4: bool;
        /// IP fragment; 0 always.
        [118] frg, set_frg: bool;
        /// Ethernet FCS was good.
        [119] fcs, set_fcs: bool;
        /// Completion type, [`RXCOMP_LRO`].
        [126:120] kind, set_kind: u8 = "type";
        /// Generation of the completion ring.
        [127] generation, set_generation: bool = "gen";
    }
}

crate::constants! {
    /// Bits of [`RxCompDesc::ext1`], version 4.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_RCD_HDR_INNER_SHIFT; VMware's vmxnet3_defs.h, VMXNET3_RCD_RSS_INNER_SHIFT.
    pub mod ext1: u8 = "VMXNET3_RCD_EXT1" {
        /// `rss_type` is of the inner headers.
        RSS_INNER = 1 << 0, since 4;
        /// Protocols and checksums are of the inner headers.
        HDR_INNER = 1 << 1, since 4;
    }
}

crate::constants! {
    /// Values of `rssType`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_RCD_RSS_TYPE_*.
    pub mod rss_type: u8 = "VMXNET3_RCD_RSS_TYPE" {
        /// No hash.
        NONE = 0;
        /// IPv4 addresses.
        IPV4 = 1;
        /// IPv4 addresses and TCP ports.
        TCP_IPV4 = 2, named "VMXNET3_RCD_RSS_TYPE_TCPIPV4";
        /// IPv6 addresses.
        IPV6 = 3;
        /// IPv6 addresses and TCP ports.
        TCP_IPV6 = 4, named "VMXNET3_RCD_RSS_TYPE_TCPIPV6";
        /// IPv4 addresses and UDP ports, version 4.
        UDP_IPV4 = 5, named "VMXNET3_RCD_RSS_TYPE_UDPIPV4", since 4;
        /// IPv6 addresses and UDP ports, version 4.
        UDP_IPV6 = 6, named "VMXNET3_RCD_RSS_TYPE_UDPIPV6", since 4;
        /// IPv4 addresses and the SPI of ESP, version 4.
        ESP_IPV4 = 7, named "VMXNET3_RCD_RSS_TYPE_ESPIPV4", since 4;
        /// IPv6 addresses and the SPI of ESP, version 6.
        ESP_IPV6 = 8, named "VMXNET3_RCD_RSS_TYPE_ESPIPV6", since 6;
    }
}

crate::constants! {
    /// Bits of `RssConf.hashType`.
    ///
    /// Source: upt1_defs.h, UPT1_RSS_HASH_TYPE_*.
    pub mod hash_type: u16 = "UPT1_RSS_HASH_TYPE" {
        /// IPv4 addresses.
        IPV4 = 1 << 0;
        /// TCP over IPv4.
        TCP_IPV4 = 1 << 1;
        /// IPv6 addresses.
        IPV6 = 1 << 2;
        /// TCP over IPv6.
        TCP_IPV6 = 1 << 3;
    }
}
