//! Transmit descriptor and completion.

crate::layout! {
    /// Transmit descriptor. The driver hands it over by writing `gen`; the device only reads it.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxDesc.
    pub struct TxDesc(u128) = "Vmxnet3_TxDesc" {
        /// Guest-physical address of the buffer.
        [63:0] addr, set_addr: u64;
        /// Buffer length in bytes; 0 stands for 16384.
        [77:64] len, set_len: u16;
        /// Matches the ring's generation once the device may read the descriptor.
        [78] generation, set_generation: bool = "gen";
        /// Outer checksum offload of tunnels, version 4; first descriptor only.
        [79] oco, set_oco: bool = "oco", since 4;
        /// Descriptor type; drivers write 0.
        [80] dtype, set_dtype: bool;
        /// Offload refers to inner headers, version 7; first descriptor only.
        [81] ext1, set_ext1: bool = "ext1", since 7;
        /// TSO: payload bytes per segment. Checksum: byte offset of the checksum field. Tunnel, version 4 to 6: payload bytes per segment,
        /// or 0 for the inner checksum alone. First descriptor only.
        [95:82] msscof, set_msscof: u16;
        /// TSO: header bytes. Checksum: byte offset where summing starts. Tunnel, or `ext1`: header bytes to the end of the inner TCP or
        /// UDP header, for the checksum too. First descriptor only.
        [105:96] hlen, set_hlen: u16;
        /// Offload mode, see [`om`]; first descriptor only.
        [107:106] om, set_om: u8;
        /// Last descriptor of the packet.
        [108] eop, set_eop: bool;
        /// Completion wanted; looked at together with `eop`.
        [109] cq, set_cq: bool;
        /// Reserved, zero.
        [110] ext2, set_ext2: bool;
        /// Insert `tci` as an 802.1Q tag; first descriptor only.
        [111] ti, set_ti: bool;
        /// Tag to insert.
        [127:112] tci, set_tci: u16;
    }
}

impl TxDesc {
    /// Buffer length in bytes, 1 to 16384.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self.len() {
            0 => 16384,
            len => usize::from(len),
        }
    }
}

crate::constants! {
    /// Offload modes of `TxDesc.om`.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_OM_*.
    pub mod om: u8 = "VMXNET3_OM" {
        /// None.
        NONE = 0;
        /// Tunnel, version 4 to 6; nonsense before. From version 7 on a tunnel is [`CSUM`] or [`TSO`] with `ext1`.
        ENCAP = 1, since 4;
        /// Checksum.
        CSUM = 2;
        /// TCP segmentation.
        TSO = 3;
    }
}

crate::layout! {
    /// Entry of a TX data ring, of the size that all versions know; from version 3 on GET_TXDATA_DESC_SIZE tells another. A driver copies
    /// headers or a short packet there and has a descriptor point at them: nothing else tells it from any other buffer.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxDataDesc; linux vmxnet3_drv.c, vmxnet3_copy_hdr.
    pub struct TxDataDesc([u8; 128]) = "Vmxnet3_TxDataDesc" {
        /// What it holds.
        [0..128] data, set_data: [u8; 128];
    }
}

crate::layout! {
    /// Transmit completion. The device writes it; `gen` becomes visible last.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_TxCompDesc.
    pub struct TxCompDesc(u128) = "Vmxnet3_TxCompDesc", by Device {
        /// Index of the packet's last descriptor.
        [11:0] txd_idx, set_txd_idx: u16 = "txdIdx";
        /// Reserved, zero.
        [31:12] ext1, set_ext1: u32;
        /// Reserved, zero.
        [63:32] ext2, set_ext2: u32;
        /// Reserved, zero.
        [95:64] ext3, set_ext3: u32;
        /// Reserved, zero.
        [119:96] rsvd, set_rsvd: u32;
        /// Completion type, 0.
        [126:120] kind, set_kind: u8 = "type";
        /// Generation of the completion ring.
        [127] generation, set_generation: bool = "gen";
    }
}

crate::constants! {
    /// Most descriptors of a packet.
    pub const DESCRIPTORS = "Transmit" [
        /// Descriptors of a packet without segmentation. Source: vmxnet3_defs.h, VMXNET3_MAX_TXD_PER_PKT.
        pub const MAX_TXD_PER_PKT: usize = 16, "VMXNET3_MAX_TXD_PER_PKT";
        /// Descriptors of a packet with segmentation. Source: vmxnet3_defs.h, VMXNET3_MAX_TSO_TXD_PER_PKT.
        pub const MAX_TSO_TXD_PER_PKT: usize = 24, "VMXNET3_MAX_TSO_TXD_PER_PKT";
    ]
}
