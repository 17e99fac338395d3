//! Timestamp rings of version 9: an entry a descriptor, its stride what GET_TSRING_DESC_SIZE answered.

crate::layout! {
    /// The stamp that starts an entry of either ring; the rest of an entry is zero. The driver writes it: for a packet it sends, and for
    /// one whose completion has `ext2` set.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3TSInfo; linux vmxnet3_drv.c, vmxnet3_tq_xmit and vmxnet3_rq_rx_complete.
    pub struct TsInfo(u128) = "Vmxnet3TSInfo", since 9 {
        /// The stamp: pseudo performance counter 0x10003 as the guest reads it.
        [55:0] ts_data, set_ts_data: u64 = "tsData";
        /// Kind of stamp; no source names the values.
        [59:56] ts_type, set_ts_type: u8 = "tsType";
        /// There is a stamp.
        [60] tsi, set_tsi: bool;
        /// Zero.
        [63:61] pad, set_pad: u8;
        /// Zero.
        [127:64] pad2, set_pad2: u64;
    }
}

crate::layout! {
    /// Entry of a TX timestamp ring as the header declares it; what lies between two of them is what GET_TSRING_DESC_SIZE answered.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxTSDesc.
    pub struct TxTsDesc([u8; 128]) = "Vmxnet3_TxTSDesc", since 9 {
        /// The stamp.
        [0..16] ts, set_ts: TsInfo;
        /// Zero.
        [16..128] pad, set_pad: [u64; 14];
    }
}

crate::layout! {
    /// Entry of an RX timestamp ring, likewise.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxTSDesc.
    pub struct RxTsDesc([u8; 128]) = "Vmxnet3_RxTSDesc", since 9 {
        /// The stamp.
        [0..16] ts, set_ts: TsInfo;
        /// Zero.
        [16..128] pad, set_pad: [u64; 14];
    }
}

crate::layout! {
    /// How often the device asks for a stamp.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_LatencyConf; linux vmxnet3_drv.c, vmxnet3_tq_xmit.
    pub struct LatencyConf(u32) = "Vmxnet3_LatencyConf", by Device, since 9 {
        /// Every so many packets get a stamp, 0 for none. Linux looks at queue 0 alone.
        [15:0] sample_rate, set_sample_rate: u16 = "sampleRate";
        /// Zero.
        [31:16] pad, set_pad: u16;
    }
}

crate::layout! {
    /// Timestamp ring of a TX queue.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxQueueTSConf.
    pub struct TxQueueTsConf([u8; 16]) = "Vmxnet3_TxQueueTSConf", since 9 {
        /// The ring; 0 for none.
        [0..8] ring_base_pa, set_ring_base_pa: u64 = "txTSRingBasePA";
        /// Bytes of an entry.
        [8..10] ring_desc_size, set_ring_desc_size: u16 = "txTSRingDescSize";
        /// Zero.
        [10..12] pad, set_pad: u16;
        /// How often to stamp; written by the device at any time.
        [12..16] latency_conf, set_latency_conf: LatencyConf = "latencyConf";
    }
}

crate::layout! {
    /// Timestamp ring of an RX queue.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxQueueTSConf.
    pub struct RxQueueTsConf([u8; 16]) = "Vmxnet3_RxQueueTSConf", since 9 {
        /// The ring; 0 for none.
        [0..8] ring_base_pa, set_ring_base_pa: u64 = "rxTSRingBasePA";
        /// Bytes of an entry.
        [8..10] ring_desc_size, set_ring_desc_size: u16 = "rxTSRingDescSize";
        /// Zero.
        [10..16] pad, set_pad: [u16; 3];
    }
}

crate::constants! {
    /// Sizes of entries of timestamp rings, bytes.
    pub const ENTRIES = "Timestamps" [
        /// Bytes of an entry as the header declares it. Source: vmxnet3_defs.h, Vmxnet3_TxTSDesc and Vmxnet3_RxTSDesc.
        pub const TS_ENTRY_BYTES: u16 = 128, "VMXNET3_TXTS_DESC_SIZE", since 9;
        /// Entries are a multiple of this many bytes. Source: vmxnet3_defs.h, VMXNET3_TXTS_DESC_SIZE_ALIGN, VMXNET3_RXTS_DESC_SIZE_ALIGN.
        pub const TS_ENTRY_STEP: u16 = 64, "VMXNET3_TXTS_DESC_SIZE_ALIGN", since 9;
        /// Largest entry, bytes. Source: vmxnet3_defs.h, VMXNET3_TXTS_DESC_MAX_SIZE, VMXNET3_RXTS_DESC_MAX_SIZE.
        pub const TS_ENTRY_MAX: u16 = 256, "VMXNET3_TXTS_DESC_MAX_SIZE", since 9;
    ]
}

const _: () =
    assert!(TxTsDesc::LAYOUT.bits == TS_ENTRY_BYTES as u32 * 8 && RxTsDesc::LAYOUT.bits == TxTsDesc::LAYOUT.bits);
