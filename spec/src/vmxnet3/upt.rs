//! UPT1 statistics blocks: ten 64-bit counters each, cumulative since activation.

crate::layout! {
    /// Transmit statistics of a queue.
    ///
    /// Source: upt1_defs.h, UPT1_TxStats.
    pub struct TxStats([u8; 80]) = "UPT1_TxStats", by Device {
        /// Segments produced by TSO, after segmentation.
        [0..8] tso_pkts_tx_ok, set_tso_pkts_tx_ok: u64 = "TSOPktsTxOK";
        /// Their bytes.
        [8..16] tso_bytes_tx_ok, set_tso_bytes_tx_ok: u64 = "TSOBytesTxOK";
        /// Unicast packets sent.
        [16..24] ucast_pkts_tx_ok, set_ucast_pkts_tx_ok: u64 = "ucastPktsTxOK";
        /// Their bytes.
        [24..32] ucast_bytes_tx_ok, set_ucast_bytes_tx_ok: u64 = "ucastBytesTxOK";
        /// Multicast packets sent.
        [32..40] mcast_pkts_tx_ok, set_mcast_pkts_tx_ok: u64 = "mcastPktsTxOK";
        /// Their bytes.
        [40..48] mcast_bytes_tx_ok, set_mcast_bytes_tx_ok: u64 = "mcastBytesTxOK";
        /// Broadcast packets sent.
        [48..56] bcast_pkts_tx_ok, set_bcast_pkts_tx_ok: u64 = "bcastPktsTxOK";
        /// Their bytes.
        [56..64] bcast_bytes_tx_ok, set_bcast_bytes_tx_ok: u64 = "bcastBytesTxOK";
        /// Malformed packets, completed and not sent.
        [64..72] pkts_tx_error, set_pkts_tx_error: u64 = "pktsTxError";
        /// Packets dropped by policy or back end.
        [72..80] pkts_tx_discard, set_pkts_tx_discard: u64 = "pktsTxDiscard";
    }
}

crate::layout! {
    /// Receive statistics of a queue.
    ///
    /// Source: upt1_defs.h, UPT1_RxStats.
    pub struct RxStats([u8; 80]) = "UPT1_RxStats", by Device {
        /// Merged packets delivered.
        [0..8] lro_pkts_rx_ok, set_lro_pkts_rx_ok: u64 = "LROPktsRxOK";
        /// Their bytes.
        [8..16] lro_bytes_rx_ok, set_lro_bytes_rx_ok: u64 = "LROBytesRxOK";
        /// Unicast packets from the wire.
        [16..24] ucast_pkts_rx_ok, set_ucast_pkts_rx_ok: u64 = "ucastPktsRxOK";
        /// Their bytes.
        [24..32] ucast_bytes_rx_ok, set_ucast_bytes_rx_ok: u64 = "ucastBytesRxOK";
        /// Multicast packets.
        [32..40] mcast_pkts_rx_ok, set_mcast_pkts_rx_ok: u64 = "mcastPktsRxOK";
        /// Their bytes.
        [40..48] mcast_bytes_rx_ok, set_mcast_bytes_rx_ok: u64 = "mcastBytesRxOK";
        /// Broadcast packets.
        [48..56] bcast_pkts_rx_ok, set_bcast_pkts_rx_ok: u64 = "bcastPktsRxOK";
        /// Their bytes.
        [56..64] bcast_bytes_rx_ok, set_bcast_bytes_rx_ok: u64 = "bcastBytesRxOK";
        /// Dropped for lack of buffers.
        [64..72] pkts_rx_out_of_buf, set_pkts_rx_out_of_buf: u64 = "pktsRxOutOfBuf";
        /// Delivered with `err`, or bad.
        [72..80] pkts_rx_error, set_pkts_rx_error: u64 = "pktsRxError";
    }
}
