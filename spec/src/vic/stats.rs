//! Counters as commands write them to memory.

crate::layout! {
    /// Counters of a whole vNIC, by STATS_DUMP.
    ///
    /// Source: linux vnic_stats.h, struct vnic_stats.
    pub struct VnicStats([u8; 512]) = "vnic_stats", by Device {
        /// Frames sent.
        [0..8] tx_frames_ok, set_tx_frames_ok: u64;
        /// Unicast frames sent.
        [8..16] tx_unicast_frames_ok, set_tx_unicast_frames_ok: u64;
        /// Multicast frames sent.
        [16..24] tx_multicast_frames_ok, set_tx_multicast_frames_ok: u64;
        /// Broadcast frames sent.
        [24..32] tx_broadcast_frames_ok, set_tx_broadcast_frames_ok: u64;
        /// Bytes sent.
        [32..40] tx_bytes_ok, set_tx_bytes_ok: u64;
        /// Unicast bytes sent.
        [40..48] tx_unicast_bytes_ok, set_tx_unicast_bytes_ok: u64;
        /// Multicast bytes sent.
        [48..56] tx_multicast_bytes_ok, set_tx_multicast_bytes_ok: u64;
        /// Broadcast bytes sent.
        [56..64] tx_broadcast_bytes_ok, set_tx_broadcast_bytes_ok: u64;
        /// Frames dropped.
        [64..72] tx_drops, set_tx_drops: u64;
        /// Errors.
        [72..80] tx_errors, set_tx_errors: u64;
        /// Segments made by TSO, on the wire.
        [80..88] tx_tso, set_tx_tso: u64;
        /// Reserved.
        [88..216] rsvd_tx, set_rsvd_tx: [u64; 16];
        /// Frames delivered.
        [216..224] rx_frames_ok, set_rx_frames_ok: u64;
        /// Frames accepted, those lost for want of a buffer included.
        [224..232] rx_frames_total, set_rx_frames_total: u64;
        /// Unicast frames accepted.
        [232..240] rx_unicast_frames_ok, set_rx_unicast_frames_ok: u64;
        /// Multicast frames accepted.
        [240..248] rx_multicast_frames_ok, set_rx_multicast_frames_ok: u64;
        /// Broadcast frames accepted.
        [248..256] rx_broadcast_frames_ok, set_rx_broadcast_frames_ok: u64;
        /// Bytes delivered.
        [256..264] rx_bytes_ok, set_rx_bytes_ok: u64;
        /// Unicast bytes accepted.
        [264..272] rx_unicast_bytes_ok, set_rx_unicast_bytes_ok: u64;
        /// Multicast bytes accepted.
        [272..280] rx_multicast_bytes_ok, set_rx_multicast_bytes_ok: u64;
        /// Broadcast bytes accepted.
        [280..288] rx_broadcast_bytes_ok, set_rx_broadcast_bytes_ok: u64;
        /// Frames that arrived while the receive queue was disabled.
        [288..296] rx_drop, set_rx_drop: u64;
        /// Frames without a posted buffer.
        [296..304] rx_no_bufs, set_rx_no_bufs: u64;
        /// Errors.
        [304..312] rx_errors, set_rx_errors: u64;
        /// Frames spread by hash.
        [312..320] rx_rss, set_rx_rss: u64;
        /// FCS errors.
        [320..328] rx_crc_errors, set_rx_crc_errors: u64;
        /// Frames by size: 64, 127, 255, 511, 1023, 1518, larger.
        [328..384] rx_frames_by_size, set_rx_frames_by_size: [u64; 7];
        /// Reserved.
        [384..512] rsvd_rx, set_rsvd_rx: [u64; 16];
    }
}

crate::layout! {
    /// Counters of one queue pair, by QP_STATS_DUMP. No public source gives this layout: it is a choice of ours (open), shaped
    /// after the UPT1 statistics that the pass-through path has to answer.
    pub struct QpStats([u8; 160]) = "qp_stats", by Device {
        /// Transmit side of the pair.
        [0..80] tx, set_tx: crate::vmxnet3::TxStats;
        /// Receive side of the pair.
        [80..160] rx, set_rx: crate::vmxnet3::RxStats;
    }
}
