//! Work queue (transmit) control block.

crate::registers! {
    /// WQ control block.
    ///
    /// Source: linux vnic_wq.h, struct vnic_wq_ctrl.
    pub enum WqReg in 0x80 = "WQ" {
        /// Bus address of the descriptor ring, 64 bits, 512-aligned.
        0x00 => RingBase = "ring_base": Rw, width 64, reset 0;
        /// Descriptors in the ring.
        0x08 => RingSize = "ring_size": Rw, reset 0;
        /// Doorbell: index one past the last posted descriptor.
        0x10 => PostedIndex = "posted_index": Rw, reset 0;
        /// Completion queue of this queue.
        0x18 => CqIndex = "cq_index": Rw, reset 0;
        /// 1 runs, 0 asks to stop.
        0x20 => Enable = "enable": Rw, reset 0;
        /// 1 while the engine is active; 0 once a stop has drained.
        0x28 => Running = "running": Ro, reset 0;
        /// First descriptor of the first packet not wholly sent; presettable while stopped.
        0x30 => FetchIndex = "fetch_index": Rw, reset 0;
        /// Direct cache access tag, never programmed.
        0x38 => DcaValue = "dca_value": Rw, reset 0;
        /// 1 raises an interrupt event when `error_status` becomes nonzero.
        0x40 => ErrorInterruptEnable = "error_interrupt_enable": Rw, reset 0;
        /// Interrupt block of that event.
        0x48 => ErrorInterruptOffset = "error_interrupt_offset": Rw, reset 0;
        /// 0 fine; nonzero stopped by an error.
        0x50 => ErrorStatus = "error_status": Rw, reset 0;
    }
    gaps { 0x58..0x80 }
}
