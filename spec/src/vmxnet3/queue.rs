//! Queue descriptors: 256 bytes a queue, TX queues first, in the table that `queueDescPA` names.

use super::timestamp::{RxQueueTsConf, TxQueueTsConf};
use super::upt::{RxStats, TxStats};

crate::layout! {
    /// Live words of a TX queue.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxQueueCtrl.
    pub struct TxQueueCtrl([u8; 16]) = "Vmxnet3_TxQueueCtrl" {
        /// Packets queued since the last doorbell; the driver's.
        [0..4] tx_num_deferred, set_tx_num_deferred: u32 = "txNumDeferred";
        /// The driver rings when `txNumDeferred` reaches this; written by the device, 0 and 1 mean always.
        [4..8] tx_threshold, set_tx_threshold: u32 = "txThreshold", by Device;
        /// Reserved.
        [8..16] rsvd, set_rsvd: u64;
    }
}

crate::layout! {
    /// Configuration of a TX queue, read at activation.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxQueueConf.
    pub struct TxQueueConf([u8; 64]) = "Vmxnet3_TxQueueConf" {
        /// TX ring, 512-aligned.
        [0..8] tx_ring_base_pa, set_tx_ring_base_pa: u64 = "txRingBasePA";
        /// TX data ring; descriptors carry absolute addresses.
        [8..16] data_ring_base_pa, set_data_ring_base_pa: u64 = "dataRingBasePA";
        /// TX completion ring, 512-aligned.
        [16..24] comp_ring_base_pa, set_comp_ring_base_pa: u64 = "compRingBasePA";
        /// Driver data, never dereferenced.
        [24..32] dd_pa, set_dd_pa: u64 = "ddPA";
        /// Padding; the header calls it reserved.
        [32..40] rsvd, set_rsvd: u64;
        /// Descriptors in the TX ring.
        [40..44] tx_ring_size, set_tx_ring_size: u32 = "txRingSize";
        /// Entries of the data ring.
        [44..48] data_ring_size, set_data_ring_size: u32 = "dataRingSize";
        /// Entries of the completion ring.
        [48..52] comp_ring_size, set_comp_ring_size: u32 = "compRingSize";
        /// Bytes of driver data.
        [52..56] dd_len, set_dd_len: u32 = "ddLen";
        /// Vector of TX completions.
        [56..57] intr_idx, set_intr_idx: u8 = "intrIdx";
        /// Padding.
        [57..58] pad1, set_pad1: u8;
        /// Bytes of a data entry, version 3.
        [58..60] tx_data_ring_desc_size, set_tx_data_ring_desc_size: u16 = "txDataRingDescSize", since 3;
        /// Padding.
        [60..64] pad2, set_pad2: u32;
    }
}

crate::layout! {
    /// Status of a queue, written at GET_QUEUE_STATUS.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_QueueStatus.
    pub struct QueueStatus([u8; 8]) = "Vmxnet3_QueueStatus", by Device {
        /// 1 when halted by an error.
        [0..1] stopped, set_stopped: u8;
        /// Padding.
        [1..4] pad, set_pad: [u8; 3];
        /// Reason, valid when stopped.
        [4..8] error, set_error: u32;
    }
}

crate::layout! {
    /// TX queue descriptor.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxQueueDesc.
    pub struct TxQueueDesc([u8; 256]) = "Vmxnet3_TxQueueDesc" {
        /// Live words.
        [0..16] ctrl, set_ctrl: TxQueueCtrl;
        /// Configuration.
        [16..80] conf, set_conf: TxQueueConf;
        /// Status.
        [80..88] status, set_status: QueueStatus;
        /// Statistics.
        [88..168] stats, set_stats: TxStats;
        /// Timestamps, version 9.
        [168..184] ts_conf, set_ts_conf: TxQueueTsConf = "tsConf", since 9;
        /// Padding.
        [184..256] pad, set_pad: [u64; 9];
    }
}

crate::layout! {
    /// Live words of an RX queue.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxQueueCtrl.
    pub struct RxQueueCtrl([u8; 16]) = "Vmxnet3_RxQueueCtrl" {
        /// Nonzero: the driver must write RXPROD and RXPROD2. Written by the device.
        [0..1] update_rx_prod, set_update_rx_prod: u8 = "updateRxProd", by Device;
        /// Padding.
        [1..8] pad, set_pad: [u8; 7];
        /// Reserved.
        [8..16] rsvd, set_rsvd: u64;
    }
}

crate::layout! {
    /// Configuration of an RX queue, read at activation.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxQueueConf.
    pub struct RxQueueConf([u8; 64]) = "Vmxnet3_RxQueueConf" {
        /// Ring 0 and ring 1, 512-aligned; ring 1 may be absent.
        [0..16] rx_ring_base_pa, set_rx_ring_base_pa: [u64; 2] = "rxRingBasePA";
        /// RX completion ring, 512-aligned.
        [16..24] comp_ring_base_pa, set_comp_ring_base_pa: u64 = "compRingBasePA";
        /// Driver data, never dereferenced.
        [24..32] dd_pa, set_dd_pa: u64 = "ddPA";
        /// RX data ring, version 3.
        [32..40] rx_data_ring_base_pa, set_rx_data_ring_base_pa: u64 = "rxDataRingBasePA", since 3;
        /// Descriptors of ring 0 and ring 1.
        [40..48] rx_ring_size, set_rx_ring_size: [u32; 2] = "rxRingSize";
        /// Entries of the completion ring.
        [48..52] comp_ring_size, set_comp_ring_size: u32 = "compRingSize";
        /// Bytes of driver data.
        [52..56] dd_len, set_dd_len: u32 = "ddLen";
        /// Vector of RX completions.
        [56..57] intr_idx, set_intr_idx: u8 = "intrIdx";
        /// Padding.
        [57..58] pad1, set_pad1: u8;
        /// Bytes of a data entry, version 3.
        [58..60] rx_data_ring_desc_size, set_rx_data_ring_desc_size: u16 = "rxDataRingDescSize", since 3;
        /// Padding.
        [60..64] pad2, set_pad2: u32;
    }
}

crate::layout! {
    /// RX queue descriptor.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_RxQueueDesc.
    pub struct RxQueueDesc([u8; 256]) = "Vmxnet3_RxQueueDesc" {
        /// Live words.
        [0..16] ctrl, set_ctrl: RxQueueCtrl;
        /// Configuration.
        [16..80] conf, set_conf: RxQueueConf;
        /// Status.
        [80..88] status, set_status: QueueStatus;
        /// Statistics.
        [88..168] stats, set_stats: RxStats;
        /// Timestamps, version 9.
        [168..184] ts_conf, set_ts_conf: RxQueueTsConf = "tsConf", since 9;
        /// Padding.
        [184..256] pad, set_pad: [u64; 9];
    }
}
