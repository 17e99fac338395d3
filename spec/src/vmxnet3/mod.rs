//! The VMXNET3 device: registers, commands, shared structures and descriptors.
//!
//! Sources are named at each declaration. `vmxnet3_defs.h` and `upt1_defs.h` are the public interface headers.

pub mod answer;
pub mod bar0;
pub mod bar1;
pub mod call;
pub mod capability;
pub mod command;
pub mod dev_read;
pub mod interrupts;
pub mod lifecycle;
pub mod limits;
pub mod parameter;
pub mod queue;
pub mod rx;
pub mod shared;
pub mod timestamp;
pub mod tx;
pub mod upt;
pub mod values;

pub use bar0::Bar0;
pub use bar1::Bar1;
pub use capability::Capabilities;
pub use command::Command;
pub use dev_read::{DsDevRead, DsDevReadExt};
pub use interrupts::Interrupts;
pub use lifecycle::Lifecycle;
pub use parameter::RssFields;
pub use queue::{QueueStatus, RxQueueConf, RxQueueCtrl, RxQueueDesc, TxQueueConf, TxQueueCtrl, TxQueueDesc};
pub use rx::{RxCompDesc, RxCompDescExt, RxDesc};
pub use shared::{DriverShared, IntrConf, MiscConf, RssConf, RxFilterConf, VariableLenConf};
pub use tx::{TxCompDesc, TxDesc};
pub use upt::{RxStats, TxStats};

crate::constants! {
    /// What a device and its driver agree on.
    pub const NUMBERS = "Device" [
        /// PCI vendor id of VMware. Source: vmxnet3_defs.h, PCI_VENDOR_ID_VMWARE.
        pub const VENDOR: u16 = 0x15ad, "PCI_VENDOR_ID_VMWARE";
        /// PCI device id of VMXNET3. Source: vmxnet3_defs.h, PCI_DEVICE_ID_VMWARE_VMXNET3.
        pub const DEVICE: u16 = 0x07b0, "PCI_DEVICE_ID_VMWARE_VMXNET3";
        /// First word of `DriverShared`. Source: vmxnet3_defs.h, VMXNET3_REV1_MAGIC.
        pub const MAGIC: u32 = 0xbabe_fee1, "VMXNET3_REV1_MAGIC";
        /// Ring bases are multiples of this many bytes. Source: vmxnet3_defs.h, VMXNET3_RING_BA_ALIGN.
        pub const RING_BASE_ALIGN: u64 = 512, "VMXNET3_RING_BA_ALIGN";
        /// The queue table is aligned to this many bytes. Source: vmxnet3_defs.h, VMXNET3_QUEUE_DESC_ALIGN.
        pub const QUEUE_DESC_ALIGN: u64 = 128, "VMXNET3_QUEUE_DESC_ALIGN";
        /// Bytes of one descriptor or completion.
        pub const CELL_BYTES: u64 = 16, "VMXNET3_DESC_SIZE";
        /// Bytes of one queue descriptor.
        pub const QUEUE_DESC_BYTES: u64 = 256, "VMXNET3_QUEUE_DESC_SIZE";
        /// Bytes of the shared area that a device below version 6 may touch. Source: vmxnet3_defs.h, Vmxnet3_DriverShared up to cmdInfo.
        pub const SHARED_BYTES_V1: u64 = 720, "VMXNET3_SHARED_SIZE_V1";
        /// Entries of data rings are a multiple of this many bytes, from version 3. Source: vmxnet3_defs.h, VMXNET3_TXDATA_DESC_SIZE_ALIGN.
        pub const DATA_ENTRY_STEP: u16 = 64, "VMXNET3_TXDATA_DESC_SIZE_ALIGN", since 3;
        /// Smallest entry of a TX data ring, and its size below version 3, bytes. Source: vmxnet3_defs.h, VMXNET3_TXDATA_DESC_MIN_SIZE.
        pub const TX_DATA_ENTRY_MIN: u16 = 128, "VMXNET3_TXDATA_DESC_MIN_SIZE";
        /// Largest entry of a data ring, bytes. Source: vmxnet3_defs.h, VMXNET3_TXDATA_DESC_MAX_SIZE, VMXNET3_RXDATA_DESC_MAX_SIZE.
        pub const DATA_ENTRY_MAX: u16 = 2048, "VMXNET3_TXDATA_DESC_MAX_SIZE", since 3;
        /// Interrupt vectors below version 6. Source: vmxnet3_defs.h, VMXNET3_MAX_INTRS.
        pub const VECTORS_V1: usize = 25, "VMXNET3_MAX_INTRS";
        /// TX queues below version 6. Source: vmxnet3_defs.h, VMXNET3_DEVICE_MAX_TX_QUEUES.
        pub const TX_QUEUES_V1: usize = 8, "VMXNET3_MAX_TX_QUEUES";
        /// RX queues below version 6 that Linux uses; the header allows 16. Source: vmxnet3_defs.h; linux vmxnet3_drv.c.
        pub const RX_QUEUES_LINUX: usize = 8, "VMXNET3_DEVICE_DEFAULT_RX_QUEUES";
        /// What a device answers to GET_LINK on VMware: up, 10000 Mbit/s. Source: vmxnet3_defs.h, VMXNET3_LINK_UP.
        pub const LINK_UP: u32 = 0x2710_0001, "VMXNET3_LINK_UP";
        /// Shortest frame delivered to a guest, bytes without FCS. Source: OpenBSD if_vmx.c, vmxnet3_rxintr.
        pub const MIN_FRAME: usize = 60, "VMXNET3_MIN_FRAME";
    ]
}

/// Interrupt vectors of the widest device; [`Version`] says how many each version has.
pub const MAX_VECTORS: usize = limits::VECTORS_EXT_MAX as usize;
/// TX queues of the widest device; [`Version`] says how many each version has.
pub const MAX_TX_QUEUES: usize = limits::TX_QUEUES_EXT_MAX as usize;
/// RX queues of the widest device; [`Version`] says how many each version has.
pub const MAX_RX_QUEUES: usize = limits::RX_QUEUES_EXT_MAX as usize;

/// What a device of a version offers, as data: one row a version bit of VRRS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// 1 to 9.
    pub number: u8,
    /// Most TX queues.
    pub tx_queues: u8,
    /// Most RX queues.
    pub rx_queues: u8,
    /// Most interrupt vectors.
    pub vectors: u8,
    /// Largest MTU, bytes.
    pub max_mtu: u32,
    /// What it adds that a driver sees.
    pub adds: &'static str,
}

impl Version {
    /// The row of version `number`; a number that is out of the table has the nearest one.
    pub const fn of(number: u8) -> &'static Self {
        let last = VERSIONS.len() - 1;
        let row = (number as usize).saturating_sub(1);
        &VERSIONS[if row > last { last } else { row }]
    }

    /// Whether a device in which it is in force has its interrupts configured in `devReadExt`, for these queues; otherwise in
    /// `devRead`. Nothing else says so. Source: linux vmxnet3_drv.c, vmxnet3_setup_driver_shared, queuesExtEnabled.
    pub const fn is_extended(&self, tx_queues: u8, rx_queues: u8) -> bool {
        let first = Self::of(1);
        self.number >= EXTENDED_SINCE && (tx_queues > first.tx_queues || rx_queues > first.rx_queues)
    }
}

/// From this version on interrupts of more than 8 TX or 16 RX queues are configured in `devReadExt`. Source: linux vmxnet3_drv.c,
/// vmxnet3_probe_device, queuesExtEnabled.
pub const EXTENDED_SINCE: u8 = 6;
/// Versions whose drivers offload tunnels without asking: version 7 brought the question. Source: linux vmxnet3_drv.c,
/// vmxnet3_declare_features and vmxnet3_tq_xmit.
pub const TUNNELS_UNASKED: core::ops::RangeInclusive<u8> = 4..=6;

/// The table of versions. Source: vmxnet3_defs.h and the Linux driver's version checks; rows 5 and 8 change nothing public.
pub const VERSIONS: &[Version] = &[
    Version { number: 1, tx_queues: 8, rx_queues: 16, vectors: 25, max_mtu: 9000, adds: "the interface itself" },
    Version { number: 2, tx_queues: 8, rx_queues: 16, vectors: 25, max_mtu: 9000, adds: "LRO completion type 4" },
    Version {
        number: 3,
        tx_queues: 8,
        rx_queues: 16,
        vectors: 25,
        max_mtu: 9000,
        adds: "cmdInfo, data descriptor sizes, RX data ring, coalescing",
    },
    Version { number: 4, tx_queues: 8, rx_queues: 16, vectors: 25, max_mtu: 9000, adds: "tunnel offload, RSS fields" },
    Version { number: 5, tx_queues: 8, rx_queues: 16, vectors: 25, max_mtu: 9000, adds: "packet steering slots" },
    Version { number: 6, tx_queues: 32, rx_queues: 32, vectors: 65, max_mtu: 9190, adds: "32 queues, 65 vectors" },
    Version {
        number: 7,
        tx_queues: 32,
        rx_queues: 32,
        vectors: 65,
        max_mtu: 9190,
        adds: "capabilities, large BAR, ring buffer sizes",
    },
    Version { number: 8, tx_queues: 32, rx_queues: 32, vectors: 65, max_mtu: 9190, adds: "IPv6 packet steering" },
    Version {
        number: 9,
        tx_queues: 32,
        rx_queues: 32,
        vectors: 65,
        max_mtu: 9190,
        adds: "timestamps, disabled offloads",
    },
];

crate::layout! {
    /// One MSI-X table entry.
    ///
    /// Source: PCI Local Bus Specification 3.0, section 6.8.2.
    pub struct MsixEntry(u128) = "MSI-X Table Entry" {
        /// Message address.
        [63:0] address, set_address: u64 = "msg_addr";
        /// Message data.
        [95:64] data, set_data: u32 = "msg_data";
        /// One masks the vector.
        [96] masked, set_masked: bool = "mask";
        /// Reserved, zero.
        [127:97] rsvd, set_rsvd: u32;
    }
}

crate::layout! {
    /// The MSI-X pending bit array of 65 vectors; one of fewer has its bits for the others at zero.
    ///
    /// Source: PCI Local Bus Specification 3.0, section 6.8.2.10.
    pub struct MsixPba(u128) = "MSI-X PBA", by Device {
        /// A bit a vector whose message waits for its mask: vectors 0 to 63.
        [63:0] pending, set_pending: u64;
        /// The same of vector 64.
        [64] pending64, set_pending64: bool;
        /// Reserved, zero.
        [127:65] rsvd, set_rsvd: u64;
    }
}
