//! Frozen saved types, version 1: what a software VMXNET3 needs and nothing else. No register image, no opaque field.
//!
//! A released version is never changed; the next is a new type and a `From` the one before.

spec::layout! {
    /// Configuration of the data plane as activated.
    pub struct PlaneV1([u8; 80]) = "Plane" {
        /// Bits of uptFeatures.
        [0..8] features, set_features: u64 = "uptFeatures";
        /// L3 MTU, bytes.
        [8..12] mtu, set_mtu: u32;
        /// Most buffers of a received packet.
        [12..14] max_rx_sg, set_max_rx_sg: u16 = "maxNumRxSG";
        /// TX queues.
        [14..15] tx_queues, set_tx_queues: u8 = "numTxQueues";
        /// RX queues.
        [15..16] rx_queues, set_rx_queues: u8 = "numRxQueues";
        /// A vector masks itself when it fires.
        [16..17] auto_mask, set_auto_mask: u8 = "autoMask";
        /// How interrupts reach the guest: 0 by MSI-X, 1 by the INTx line, 2 by MSI.
        [17..18] interrupts, set_interrupts: u8;
        /// Current MAC.
        [18..24] mac, set_mac: [u8; 6];
        /// Bits of rxMode.
        [24..28] rx_mode, set_rx_mode: u32 = "rxMode";
        /// Multicast addresses in their part.
        [28..30] multicasts, set_multicasts: u16 = "mfTableLen";
        /// Steering by hash is on and its part follows.
        [30..31] rss, set_rss: u8;
        /// Moderation a vector.
        [31..56] mod_levels, set_mod_levels: [u8; 25] = "modLevels";
        /// Zero.
        [56..80] rsvd, set_rsvd: [u64; 3];
    }
}

spec::layout! {
    /// A position: index and generation.
    pub struct PositionV1(u32) = "Position" {
        /// Cell.
        [30:0] index, set_index: u32 = "next";
        /// Generation of an owned or freshly written cell here.
        [31] generation, set_generation: bool = "gen";
    }
}

spec::layout! {
    /// A TX queue.
    pub struct TxQueueV1([u8; 128]) = "TxQueue" {
        /// Ring base.
        [0..8] ring_pa, set_ring_pa: u64 = "txRingBasePA";
        /// Completion ring base.
        [8..16] comp_pa, set_comp_pa: u64 = "compRingBasePA";
        /// Descriptors.
        [16..20] ring_size, set_ring_size: u32 = "txRingSize";
        /// Completion entries.
        [20..24] comp_size, set_comp_size: u32 = "compRingSize";
        /// First descriptor not wholly sent.
        [24..28] next, set_next: PositionV1 = "txRing";
        /// Completion entry written next.
        [28..32] comp, set_comp: PositionV1 = "compRing";
        /// Why it stopped; 0 when it did not.
        [32..36] error, set_error: u32;
        /// 1 when it stopped.
        [36..37] stopped, set_stopped: u8;
        /// Vector of completions.
        [37..38] vector, set_vector: u8 = "intrIdx";
        /// Zero.
        [38..48] rsvd, set_rsvd: [u16; 5];
        /// Counters since activation.
        [48..128] counters, set_counters: spec::vmxnet3::TxStats = "stats";
    }
}

spec::layout! {
    /// An RX queue.
    pub struct RxQueueV1([u8; 144]) = "RxQueue" {
        /// Ring bases.
        [0..16] ring_pa, set_ring_pa: [u64; 2] = "rxRingBasePA";
        /// Completion ring base.
        [16..24] comp_pa, set_comp_pa: u64 = "compRingBasePA";
        /// Descriptors of each ring.
        [24..32] ring_size, set_ring_size: [u32; 2] = "rxRingSize";
        /// Completion entries.
        [32..36] comp_size, set_comp_size: u32 = "compRingSize";
        /// Next buffer of ring 0.
        [36..40] next0, set_next0: PositionV1 = "rxRing0";
        /// Next buffer of ring 1.
        [40..44] next1, set_next1: PositionV1 = "rxRing1";
        /// Completion entry written next.
        [44..48] comp, set_comp: PositionV1 = "compRing";
        /// Why it stopped; 0 when it did not.
        [48..52] error, set_error: u32;
        /// 1 when it stopped.
        [52..53] stopped, set_stopped: u8;
        /// Vector of completions.
        [53..54] vector, set_vector: u8 = "intrIdx";
        /// Zero.
        [54..64] rsvd, set_rsvd: [u16; 5];
        /// Counters since activation.
        [64..144] counters, set_counters: spec::vmxnet3::RxStats = "stats";
    }
}

spec::layout! {
    /// Every vector, a bit each.
    pub struct VectorsV1([u8; 8]) = "Vectors" {
        /// IMR of each.
        [0..4] masked, set_masked: u32;
        /// A cause is remembered.
        [4..8] pending, set_pending: u32;
    }
}

spec::layout! {
    /// Vectors 25 to 64, a bit each from bit 0 on; a saved state without this part has each of them masked and without a cause.
    pub struct LaterVectorsV1([u8; 16]) = "LaterVectors" {
        /// The mask is off.
        [0..8] unmasked, set_unmasked: u64;
        /// A cause is remembered.
        [8..16] pending, set_pending: u64;
    }
}

spec::layout! {
    /// Moderation of vectors 25 to 64, where interrupts were configured in the extended block; without this part it is 0.
    pub struct LaterLevelsV1([u8; 40]) = "LaterLevels" {
        /// Moderation a vector.
        [0..40] mod_levels, set_mod_levels: [u8; 40] = "modLevels";
    }
}

spec::layout! {
    /// MSI-X vectors 25 to 64; a saved state without this part has their entries as after reset.
    pub struct LaterEntriesV1([u8; 648]) = "LaterEntries" {
        /// Entries of the table.
        [0..640] table, set_table: [spec::vmxnet3::MsixEntry; 40];
        /// Their pending bits, from bit 0 on.
        [640..648] pending, set_pending: u64;
    }
}

spec::layout! {
    /// Steering by hash.
    pub struct RssV1([u8; 172]) = "Rss" {
        /// Bits of hashType.
        [0..2] hash_type, set_hash_type: u16 = "hashType";
        /// Table entries in use, 1 to 128.
        [2..4] table_size, set_table_size: u16 = "indTableSize";
        /// Toeplitz key.
        [4..44] key, set_key: [u8; 40] = "hashKey";
        /// RX queue a hash value.
        [44..172] table, set_table: [u8; 128] = "indTable";
    }
}

spec::layout! {
    /// What the configuration plane remembers.
    pub struct ControlV1([u8; 80]) = "Control" {
        /// Shared area; 0 is none.
        [0..8] shared_pa, set_shared_pa: u64;
        /// Where the queue descriptors lie.
        [8..16] queue_desc_pa, set_queue_desc_pa: u64 = "queueDescPA";
        /// Latched low half of the shared address.
        [16..20] dsal, set_dsal: u32 = "DSAL";
        /// Latched MAC bytes 0 to 3.
        [20..24] macl, set_macl: u32 = "MACL";
        /// Code of the last command.
        [24..28] last_command, set_last_command: u32 = "CMD";
        /// Its answer.
        [28..32] result, set_result: u32;
        /// Current MAC.
        [32..38] mac, set_mac: [u8; 6];
        /// The MAC that the device was built with.
        [38..44] permanent_mac, set_permanent_mac: [u8; 6];
        /// 1 after a successful ACTIVATE_DEV: the parts of a data plane follow.
        [44..45] active, set_active: u8;
        /// Version selected through VRRS.
        [45..46] version, set_version: u8;
        /// UPT version 1 was selected through UVRS.
        [46..47] upt, set_upt: u8;
        /// The link is up.
        [47..48] link_up, set_link_up: u8;
        /// How interrupts reach the guest: 0 by MSI-X, 1 by the INTx line, 2 by MSI.
        [48..49] interrupts, set_interrupts: u8;
        /// Vector of events.
        [49..50] event_vector, set_event_vector: u8 = "eventIntrIdx";
        /// Zero.
        [50..64] rsvd, set_rsvd: [u8; 14];
        /// Coalescing scheme in force.
        [64..80] coalesce, set_coalesce: spec::vmxnet3::shared::CoalesceScheme;
    }
}

spec::layout! {
    /// The PCI function.
    pub struct FunctionV1([u8; 664]) = "Function" {
        /// Configuration space.
        [0..256] config, set_config: [u8; 256];
        /// MSI-X table; not used while whoever shows the function keeps it.
        [256..656] table, set_table: [spec::vmxnet3::MsixEntry; 25];
        /// Its pending bits.
        [656..660] pending, set_pending: u32;
        /// Zero.
        [660..664] rsvd, set_rsvd: u32;
    }
}

spec::layout! {
    /// The RX data ring of a queue that has one; a saved state without such parts has none.
    pub struct RxDataV1([u8; 16]) = "RxData" {
        /// Ring base.
        [0..8] base_pa, set_base_pa: u64 = "rxDataRingBasePA";
        /// Bytes of an entry.
        [8..10] entry_bytes, set_entry_bytes: u16 = "rxDataRingDescSize";
        /// Zero.
        [10..16] rsvd, set_rsvd: [u16; 3];
    }
}

spec::layout! {
    /// What a driver negotiated from version 4 on; a saved state without this part has what RESET_DEV and a function reset leave.
    pub struct NegotiatedV1([u8; 16]) = "Negotiated" {
        /// RSS fields in force.
        [0..4] rss_fields, set_rss_fields: u32 = "GET_RSS_FIELDS";
        /// Capabilities granted.
        [4..8] capabilities, set_capabilities: u32 = "GET_DCR0_REG";
        /// Zero.
        [8..16] rsvd, set_rsvd: u64;
    }
}

spec::layout! {
    /// What the data path goes by of what was negotiated; a saved state without this part has version 1 and hashes over TCP alone.
    pub struct InterfaceV1([u8; 16]) = "Interface" {
        /// Interface version that was in force at activation.
        [0..1] version, set_version: u8;
        /// Zero.
        [1..4] pad, set_pad: [u8; 3];
        /// RSS fields in force.
        [4..8] rss_fields, set_rss_fields: u32 = "GET_RSS_FIELDS";
        /// Zero.
        [8..16] rsvd, set_rsvd: u64;
    }
}

spec::layout! {
    /// Coalescing scheme in force, of a data plane that moves alone: a whole function has it in [`ControlV1`]. Without this part it is
    /// disabled.
    pub struct CoalesceV1([u8; 16]) = "Coalesce" {
        /// The scheme.
        [0..16] scheme, set_scheme: spec::vmxnet3::shared::CoalesceScheme = "coalMode";
    }
}

/// Kinds of parts, in the order in which they stand.
pub mod kind {
    /// [`PlaneV1`](super::PlaneV1).
    pub const PLANE: u16 = 1;
    /// [`TxQueueV1`](super::TxQueueV1).
    pub const TX_QUEUE: u16 = 2;
    /// [`RxQueueV1`](super::RxQueueV1).
    pub const RX_QUEUE: u16 = 3;
    /// [`VectorsV1`](super::VectorsV1).
    pub const VECTORS: u16 = 4;
    /// 128 words of VLAN bitmap.
    pub const VLANS: u16 = 5;
    /// Multicast addresses, 6 bytes each.
    pub const MULTICAST: u16 = 6;
    /// [`RssV1`](super::RssV1).
    pub const RSS: u16 = 7;
    /// [`RxDataV1`](super::RxDataV1), of an RX queue that has one.
    pub const RX_DATA: u16 = 8;
    /// [`InterfaceV1`](super::InterfaceV1), where it says something else than its absence.
    pub const INTERFACE: u16 = 9;
    /// [`LaterVectorsV1`](super::LaterVectorsV1), behind [`VECTORS`] where one of them is not as after reset.
    pub const LATER_VECTORS: u16 = 10;
    /// [`LaterLevelsV1`](super::LaterLevelsV1), before the queues where one of them is not 0.
    pub const LATER_LEVELS: u16 = 11;
    /// [`CoalesceV1`](super::CoalesceV1), last, where a scheme is in force.
    pub const COALESCE: u16 = 12;
    /// [`ControlV1`](super::ControlV1); with [`FUNCTION`] before a data plane's parts, or before [`VECTORS`] alone.
    pub const CONTROL: u16 = 16;
    /// [`FunctionV1`](super::FunctionV1).
    pub const FUNCTION: u16 = 17;
    /// [`NegotiatedV1`](super::NegotiatedV1), behind [`FUNCTION`] where something was negotiated.
    pub const NEGOTIATED: u16 = 18;
    /// [`LaterEntriesV1`](super::LaterEntriesV1), behind [`FUNCTION`] where one of them is not as after reset.
    pub const LATER_ENTRIES: u16 = 19;
}
