//! Receive queue control block.

crate::registers! {
    /// RQ control block.
    ///
    /// Source: linux vnic_rq.h, struct vnic_rq_ctrl; data_ring and header_split: DPDK drivers/net/enic/base/vnic_rq.h.
    pub enum RqReg in 0x80 = "RQ" {
        /// Bus address of the descriptor ring, 64 bits, 512-aligned.
        0x00 => RingBase = "ring_base": Rw, width 64, reset 0;
        /// Descriptors in the ring.
        0x08 => RingSize = "ring_size": Rw, reset 0;
        /// Index one past the last posted buffer.
        0x10 => PostedIndex = "posted_index": Rw, reset 0;
        /// Completion queue of this queue.
        0x18 => CqIndex = "cq_index": Rw, reset 0;
        /// 1 runs, 0 asks to stop and resynchronises after a `fetch_index` write.
        0x20 => Enable = "enable": Rw, reset 0;
        /// 1 while the engine is active.
        0x28 => Running = "running": Ro, reset 0;
        /// Next buffer to use; written only while stopped.
        0x30 => FetchIndex = "fetch_index": Rw, reset 0;
        /// 1 raises an interrupt event when `error_status` becomes nonzero.
        0x38 => ErrorInterruptEnable = "error_interrupt_enable": Rw, reset 0;
        /// Interrupt block of that event.
        0x40 => ErrorInterruptOffset = "error_interrupt_offset": Rw, reset 0;
        /// 0 fine; nonzero stopped by an error.
        0x48 => ErrorStatus = "error_status": Rw, reset 0;
        /// Dropped packets; Linux writes 0 and never reads.
        0x50 => DroppedPacketCount = "dropped_packet_count": Rw, reset 0;
        /// Dropped packets, cleared by the read.
        0x58 => DroppedPacketCountRc = "dropped_packet_count_rc": Rc, reset 0;
        /// Never accessed.
        0x60 => DcaSelect = "dca_select": Rw, reset 0;
        /// Never accessed.
        0x68 => DcaValue = "dca_value": Rw, reset 0;
        /// Where continuation buffers come from, see [`DataRing`].
        0x70 => DataRing = "data_ring": Rw, reset 0;
        /// Declared, unused.
        0x78 => HeaderSplit = "header_split": Rw, reset 0;
    }
    gaps {}
}

crate::layout! {
    /// Value of `data_ring`.
    ///
    /// Source: DPDK drivers/net/enic/base/vnic_rq.c, vnic_rq_init_start.
    pub struct DataRing(u32) = "data_ring" {
        /// RQ that supplies continuation buffers.
        [9:0] rq_index, set_rq_index: u16;
        /// Continuation buffers come from that RQ.
        [10] spill, set_spill: bool;
        /// Reserved.
        [31:11] rsvd, set_rsvd: u32;
    }
}
