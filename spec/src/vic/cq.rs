//! Completion queue control block.

crate::registers! {
    /// CQ control block.
    ///
    /// Source: linux vnic_cq.h, struct vnic_cq_ctrl.
    pub enum CqReg in 0x80 = "CQ" {
        /// Bus address of the completion ring, 64 bits.
        0x00 => RingBase = "ring_base": Rw, width 64, reset 0;
        /// Entries.
        0x08 => RingSize = "ring_size": Rw, reset 0;
        /// 1 stops the device where `cq_head` would be overrun; drivers write 0.
        0x10 => FlowControlEnable = "flow_control_enable": Rw, reset 0;
        /// 1 writes the colour bit.
        0x18 => ColorEnable = "color_enable": Rw, reset 0;
        /// Software's position; never advanced by drivers.
        0x20 => CqHead = "cq_head": Rw, reset 0;
        /// The entry written next.
        0x28 => CqTail = "cq_tail": Rw, reset 0;
        /// The colour written next.
        0x30 => CqTailColor = "cq_tail_color": Rw, reset 1;
        /// 1 adds an event to the interrupt block at each entry.
        0x38 => InterruptEnable = "interrupt_enable": Rw, reset 0;
        /// 1 writes full entries.
        0x40 => CqEntryEnable = "cq_entry_enable": Rw, reset 0;
        /// 1 writes only the completed index, to `cq_message_addr`.
        0x48 => CqMessageEnable = "cq_message_enable": Rw, reset 0;
        /// Interrupt block.
        0x50 => InterruptOffset = "interrupt_offset": Rw, reset 0;
        /// Where messages go, 64 bits.
        0x58 => CqMessageAddr = "cq_message_addr": Rw, width 64, reset 0;
    }
    gaps { 0x60..0x80 }
}
