//! What a driver would stop the kernel for, recorded instead.

/// A device did what no driver survives. Source of the checks: linux vmxnet3_drv.c, vmxnet3_rq_rx_complete, vmxnet3_unmap_pkt,
/// vmxnet3_probe_device; DPDK vmxnet3_rxtx.c where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breach {
    /// VRRS offers no version the driver knows.
    Version {
        /// VRRS as read.
        value: u32,
    },
    /// UVRS does not offer UPT version 1.
    UptVersion {
        /// UVRS as read.
        value: u32,
    },
    /// GET_CONF_INTR wants less than the kind of interrupts that the function had for the driver, or masks that nobody sets.
    InterruptKind {
        /// CMD as read.
        value: u32,
    },
    /// ACTIVATE_DEV answered nonzero to a valid shared area.
    ActivateRefused {
        /// CMD as read.
        code: u32,
    },
    /// A TX completion names a later packet than the oldest outstanding one.
    TxOutOfOrder {
        /// Queue.
        queue: u8,
        /// `txdIdx`.
        index: u16,
        /// Last descriptor of the oldest outstanding packet.
        expected: u16,
    },
    /// A TX completion names no outstanding packet's last descriptor.
    TxNotOutstanding {
        /// Queue.
        queue: u8,
        /// `txdIdx`.
        index: u16,
    },
    /// A TX completion has bits set that stay 0.
    TxReserved {
        /// Queue.
        queue: u8,
        /// The completion.
        cell: u128,
    },
    /// An RX completion names a ring that is not this queue's.
    RxQueueId {
        /// Queue whose completion ring it is in.
        queue: u8,
        /// `rqID`.
        id: u16,
    },
    /// GET_TXDATA_DESC_SIZE answered something that drivers take for 128, and that is not 0.
    TxDataSize {
        /// CMD as read.
        value: u32,
    },
    /// GET_COALESCE told a scheme that is out of bounds.
    Coalesce {
        /// `coalMode`.
        mode: u32,
        /// The first parameter.
        rate: u32,
    },
    /// An RX completion names the data ring, which the driver did not set up.
    RxDataRing {
        /// Queue.
        queue: u8,
        /// `rqID`.
        id: u16,
    },
    /// An RX completion names a descriptor that the device does not own.
    RxNotOwned {
        /// Queue.
        queue: u8,
        /// Ring.
        ring: u8,
        /// `rxdIdx`.
        index: u16,
    },
    /// The descriptor named by an RX completion no longer has the driver's address and length.
    RxDescChanged {
        /// Queue.
        queue: u8,
        /// Ring.
        ring: u8,
        /// `rxdIdx`.
        index: u16,
        /// The descriptor as found.
        cell: u128,
    },
    /// A packet starts in a BODY buffer or in ring 1.
    RxHead {
        /// Queue.
        queue: u8,
        /// Ring.
        ring: u8,
        /// `rxdIdx`.
        index: u16,
    },
    /// A packet goes on in a HEAD buffer.
    RxBody {
        /// Queue.
        queue: u8,
        /// Ring.
        ring: u8,
        /// `rxdIdx`.
        index: u16,
    },
    /// A packet starts before the one before it ended, or goes on though none is open.
    RxGrammar {
        /// Queue.
        queue: u8,
        /// Completion entry.
        entry: u32,
        /// `sop` of the completion.
        sop: bool,
    },
    /// A packet has more buffers than the driver takes.
    RxTooManyBuffers {
        /// Queue.
        queue: u8,
        /// Buffers so far.
        buffers: u16,
    },
    /// `len` is 0 or more than the buffer has.
    RxLength {
        /// Queue.
        queue: u8,
        /// `rxdIdx`.
        index: u16,
        /// `len`.
        len: u16,
    },
    /// `err` without `eop`.
    RxError {
        /// Queue.
        queue: u8,
        /// Completion entry.
        entry: u32,
    },
    /// A tag is reported before the last buffer, or though stripping is off.
    RxTag {
        /// Queue.
        queue: u8,
        /// Completion entry.
        entry: u32,
    },
    /// A checksum is called good for a fragment, or for what is neither TCP nor UDP.
    RxChecksum {
        /// Queue.
        queue: u8,
        /// The completion.
        cell: u128,
    },
    /// A merged packet though LRO is off.
    LroUnasked {
        /// Queue.
        queue: u8,
        /// Completion entry.
        entry: u32,
    },
    /// A merged packet of no segments.
    LroSegments {
        /// Queue.
        queue: u8,
        /// Completion entry.
        entry: u32,
    },
    /// A counter fell since the last GET_STATS of this activation.
    StatsFell {
        /// A TX queue, else an RX queue.
        tx: bool,
        /// Queue.
        queue: u8,
        /// Which of the ten.
        counter: u8,
    },
}

impl Breach {
    /// The clause it breaks.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::Version { .. } => "VMX-REG-002",
            Self::UptVersion { .. } => "VMX-REG-004",
            Self::InterruptKind { .. } => "VMX-CMD-009",
            Self::ActivateRefused { .. } => "VMX-ACT-003",
            Self::TxOutOfOrder { .. } => "VMX-TX-009",
            Self::TxNotOutstanding { .. } => "VMX-TX-008",
            Self::TxReserved { .. } => "VMX-TX-010",
            Self::RxQueueId { .. } => "VMX-RX-007",
            Self::TxDataSize { .. } => "VMX-V3-001",
            Self::Coalesce { .. } => "VMX-V3-003",
            Self::RxDataRing { .. } => "VMX-V3-002",
            Self::RxNotOwned { .. } => "VMX-RX-001",
            Self::RxDescChanged { .. } => "VMX-SHM-005",
            Self::RxHead { .. } => "VMX-RX-003",
            Self::RxBody { .. } => "VMX-RX-004",
            Self::RxGrammar { .. } => "VMX-RX-006",
            Self::RxTooManyBuffers { .. } => "VMX-RX-011",
            Self::RxLength { .. } => "VMX-RX-008",
            Self::RxError { .. } => "VMX-RX-013",
            Self::RxTag { .. } => "VMX-RX-015",
            Self::RxChecksum { .. } => "VMX-RX-016",
            Self::LroUnasked { .. } => "VMX-LRO-001",
            Self::LroSegments { .. } => "VMX-LRO-002",
            Self::StatsFell { .. } => "VMX-STA-002",
        }
    }
}

/// Breaches kept; later ones are only counted.
const KEPT: usize = 64;

/// The breaches of a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Breaches {
    pub(super) kept: Vec<Breach>,
    pub(super) count: u64,
}

impl Breaches {
    #[cold]
    pub(super) fn push(&mut self, breach: Breach) {
        self.count += 1;
        if self.kept.len() < KEPT {
            self.kept.push(breach);
        }
    }
}
