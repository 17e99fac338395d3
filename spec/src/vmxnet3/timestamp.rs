//! Timestamp rings of version 9: an entry a descriptor, its stride what GET_TSRING_DESC_SIZE answered.

crate::layout! {
    /// The stamp that starts an entry of either ring; the rest of an entry is zero. The driver writes it: for a packet it sends, and for
    /// one whose completion has `ext2` set.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3TSInfo; linux vmxnet3_drv.c, vmxnet3_tq_xmit and vmxnet3_rq_rx_complete.
    pub struct TsInfo(u128) = "Vmxnet3TSInfo" {
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

/// Bytes of an entry as the header declares it. Source: vmxnet3_defs.h, Vmxnet3_TxTSDesc and Vmxnet3_RxTSDesc.
pub const TS_ENTRY_BYTES: u16 = 128;
/// Entries are a multiple of this many bytes. Source: vmxnet3_defs.h, VMXNET3_TXTS_DESC_SIZE_ALIGN, VMXNET3_RXTS_DESC_SIZE_ALIGN.
pub const TS_ENTRY_STEP: u16 = 64;
/// Largest entry, bytes. Source: vmxnet3_defs.h, VMXNET3_TXTS_DESC_MAX_SIZE, VMXNET3_RXTS_DESC_MAX_SIZE.
pub const TS_ENTRY_MAX: u16 = 256;
