//! What the driver is told to be: queues, rings, buffers, vectors, features.

use spec::vmxnet3::answer::ConfIntr;
use spec::vmxnet3::values::{interrupt_type, mask_mode};
use spec::vmxnet3::{DriverShared, Interrupts, SHARED_BYTES_V1, Version};

/// How causes are spread over vectors. Source: linux vmxnet3_drv.c, vmxnet3_alloc_intr_resources and vmxnet3_request_irqs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Vectors {
    /// Vector q for TX queue q and RX queue q, one more for events: Linux's default.
    #[default]
    Buddy,
    /// TX queues first, then RX queues, then events.
    Separate,
    /// Vector 0 for everything, by MSI-X.
    Single,
    /// Vector 0 for everything, by the one message of MSI.
    Msi,
    /// Vector 0 for everything, told by the INTx line and acknowledged through ICR.
    Intx,
}

impl Vectors {
    /// The kind of interrupts that the driver's kernel sets up for it.
    pub const fn interrupts(self) -> Interrupts {
        match self {
            Self::Buddy | Self::Separate | Self::Single => Interrupts::MsiX,
            Self::Msi => Interrupts::Msi,
            Self::Intx => Interrupts::Line,
        }
    }

    /// Whether a device that answers so to GET_CONF_INTR lets a driver have this kind: the one that it names or a lesser one, and any
    /// where it names none. Source: linux vmxnet3_drv.c, vmxnet3_alloc_intr_resources.
    pub fn is_allowed(self, answer: ConfIntr) -> bool {
        let wanted = match self.interrupts() {
            Interrupts::MsiX => interrupt_type::MSIX,
            Interrupts::Msi => interrupt_type::MSI,
            Interrupts::Line => interrupt_type::INTX,
        };
        let best = answer.kind();
        (best == interrupt_type::AUTO || best >= wanted) && answer.mask_mode() != mask_mode::LAZY
    }
}

/// Receive-side scaling the driver asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RssSetup {
    /// Bits of `spec::vmxnet3::rx::hash_type`.
    pub hash_type: u16,
    /// Toeplitz key.
    pub key: [u8; 40],
    /// RX queue a hash value, 1 to 128 entries.
    pub table: Vec<u8>,
}

/// Everything fixed when the driver loads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DriverConfig {
    /// Highest device version the driver knows, 1 to 9; it selects the highest offered one up to this.
    pub max_version: u8,
    /// TX queues, 1 to 8; up to 32 with a driver of version 6, whose device must then have that version.
    pub tx_queues: u8,
    /// RX queues, 1 to 16; up to 32 as with TX.
    pub rx_queues: u8,
    /// Asks a device of version 7 for the doorbells of the second page, and rings those where they are granted.
    pub large_bar: bool,
    /// Descriptors of a TX ring, 2 to 4096.
    pub tx_ring: u32,
    /// Entries of a TX completion ring, at least `tx_ring` lest it overflow.
    pub tx_comp: u32,
    /// Descriptors of RX ring 0, 2 to 4096, and of ring 1, where 0 leaves it out.
    pub rx_ring: [u32; 2],
    /// Entries of an RX completion ring, at least the sum of `rx_ring` lest it overflow.
    pub rx_comp: u32,
    /// Ring bases are multiples of this many bytes: 512, or less where the device's profile allows.
    pub ring_align: u64,
    /// Bytes of the buffer behind each TX descriptor, 1 to 16384; longer fragments are split.
    pub tx_buffer_bytes: u16,
    /// Bytes of memory for each entry of a TX data ring, where headers and short packets are copied: 0 for no ring. From version 3
    /// the device says how long an entry is, and one that is longer than this leaves the driver without the ring; below it is 128.
    pub tx_data_bytes: u16,
    /// Bytes of an entry of the RX data ring that the driver gives from version 3 on, a multiple of 64 up to 2048; 0 gives none.
    pub rx_data_bytes: u16,
    /// Bytes of a HEAD buffer, 1 to 16383.
    pub head_bytes: u16,
    /// Bytes of a BODY buffer, 1 to 16383.
    pub body_bytes: u16,
    /// In ring 0 one HEAD stands every so many descriptors, BODY between them; 1 makes all HEAD.
    /// Source: linux vmxnet3_drv.c, vmxnet3_rq_init, rx_buf_per_pkt.
    pub head_every: u32,
    /// L3 MTU, bytes.
    pub mtu: u32,
    /// `maxNumRxSG`; 0 is no limit, Linux gives 18 with LRO.
    pub max_rx_sg: u16,
    /// Bits of `spec::vmxnet3::command::feature`.
    pub features: u64,
    /// Bits of `spec::vmxnet3::command::rx_mode`, set by command once active.
    pub rx_mode: u32,
    /// True: `rxMode` is in the shared area at ACTIVATE already, as iPXE does; false: it is 0 there, as Linux does.
    pub rx_mode_at_activate: bool,
    /// The device masks a vector when it fires; otherwise the driver does.
    pub auto_mask: bool,
    /// How causes are spread over vectors.
    pub vectors: Vectors,
    /// Address programmed before ACTIVATE.
    pub mac: [u8; 6],
    /// Post every cell of a TX ring; otherwise one stays free, as with Linux.
    pub full_tx_ring: bool,
    /// Post every cell of the RX rings, as OpenBSD and illumos do; otherwise one stays free, as with Linux.
    pub full_rx_rings: bool,
    /// With `updateRxProd` set, RXPROD is written when the next cell to fill is a multiple of this. 16 in Linux.
    pub rx_prod_batch: u32,
    /// Most receive completions one poll takes. 64 in Linux.
    pub poll_budget: u32,
    /// Overwrite buffers before giving RX ones to the device and after TX ones were completed, so that stale accesses show.
    pub poison: bool,
    /// Load received frames and keep them for [`Driver::received`](super::Driver::received); otherwise they are only counted.
    pub keep_received: bool,
    /// Answer RQERR and TQERR by a reset cycle, as Linux does.
    pub reset_on_error: bool,
    /// Room for multicast addresses, 0 to 10922.
    pub multicast_room: u16,
    /// Receive-side scaling, if wanted; also sets the feature bit.
    pub rss: Option<RssSetup>,
    /// What else is to be hashed with it, from version 4: bits of `spec::vmxnet3::RssFields`.
    pub rss_fields: u32,
    /// Moderation level of every vector, 0 none to 8 adaptive.
    pub mod_level: u8,
    /// Shifts buffers by `seed % 8` bytes: they may start at any byte address.
    pub seed: u64,
}

impl Default for DriverConfig {
    /// One queue each way, rings of 256, as a small Linux guest.
    fn default() -> Self {
        Self {
            max_version: 1,
            tx_queues: 1,
            rx_queues: 1,
            large_bar: false,
            tx_ring: 256,
            tx_comp: 256,
            rx_ring: [256, 128],
            rx_comp: 384,
            ring_align: spec::vmxnet3::RING_BASE_ALIGN,
            tx_buffer_bytes: 4096,
            tx_data_bytes: 0,
            rx_data_bytes: 0,
            head_bytes: 1522,
            body_bytes: 4096,
            head_every: 1,
            mtu: 1500,
            max_rx_sg: 0,
            features: spec::vmxnet3::command::feature::RXCSUM,
            rx_mode: spec::vmxnet3::command::rx_mode::UCAST | spec::vmxnet3::command::rx_mode::BCAST,
            rx_mode_at_activate: false,
            auto_mask: true,
            vectors: Vectors::Buddy,
            mac: [0x00, 0x50, 0x56, 0x00, 0x00, 0x01],
            full_tx_ring: false,
            full_rx_rings: false,
            rx_prod_batch: 16,
            poll_budget: 64,
            poison: false,
            keep_received: false,
            reset_on_error: true,
            multicast_room: 32,
            rss: None,
            rss_fields: spec::vmxnet3::RssFields::DEFAULT.0,
            mod_level: 8,
            seed: 0,
        }
    }
}

impl DriverConfig {
    /// Rings of 4 and buffers of 64 bytes: everything wraps and fills within a few packets, in about 3 KiB.
    pub fn tiny() -> Self {
        Self {
            tx_ring: 4,
            tx_comp: 4,
            rx_ring: [4, 4],
            rx_comp: 8,
            ring_align: 16,
            tx_buffer_bytes: 64,
            head_bytes: 64,
            body_bytes: 64,
            rx_prod_batch: 1,
            poll_budget: 4,
            multicast_room: 4,
            ..Self::default()
        }
    }

    /// The newest driver for a device of version 3: TX and RX data rings of 128 bytes an entry, as Linux has them.
    #[must_use]
    pub fn with_data_rings(self) -> Self {
        Self { max_version: 3, tx_data_bytes: 256, rx_data_bytes: 128, ..self }
    }

    /// Vector of TX queue `queue`.
    pub fn tx_vector(&self, queue: u8) -> u8 {
        match self.vectors {
            Vectors::Buddy | Vectors::Separate => queue,
            Vectors::Single | Vectors::Msi | Vectors::Intx => 0,
        }
    }

    /// Vector of RX queue `queue`.
    pub fn rx_vector(&self, queue: u8) -> u8 {
        match self.vectors {
            Vectors::Buddy => queue,
            Vectors::Separate => self.tx_queues + queue,
            Vectors::Single | Vectors::Msi | Vectors::Intx => 0,
        }
    }

    /// Vector of events.
    pub fn event_vector(&self) -> u8 {
        match self.vectors {
            Vectors::Buddy => self.tx_queues.max(self.rx_queues),
            Vectors::Separate => self.tx_queues + self.rx_queues,
            Vectors::Single | Vectors::Msi | Vectors::Intx => 0,
        }
    }

    /// Its interrupts are configured in the extended block: a device below version 6 would refuse so many queues.
    pub fn is_extended(&self) -> bool {
        Version::of(u8::MAX).is_extended(self.tx_queues, self.rx_queues)
    }

    /// Bytes of the shared area that the driver owns.
    pub fn shared_bytes(&self) -> u64 {
        if self.is_extended() { size_of::<DriverShared>() as u64 } else { SHARED_BYTES_V1 }
    }

    /// Vectors in use.
    pub fn vector_count(&self) -> u8 {
        self.event_vector() + 1
    }

    /// Whether cell `index` of RX ring `ring` is a HEAD.
    pub fn is_head(&self, ring: usize, index: u32) -> bool {
        ring == 0 && index.is_multiple_of(self.head_every.max(1))
    }

    /// Bytes of the buffer behind cell `index` of RX ring `ring`.
    pub fn rx_buffer_bytes(&self, ring: usize, index: u32) -> u16 {
        if self.is_head(ring, index) { self.head_bytes } else { self.body_bytes }
    }

    /// Bytes from one buffer of RX ring `ring` to the next: any cell may get any of them.
    pub fn rx_buffer_stride(&self, ring: usize) -> u16 {
        if ring == 0 && self.head_every > 1 {
            self.head_bytes.max(self.body_bytes)
        } else {
            self.rx_buffer_bytes(ring, 0)
        }
    }

    /// Feature bits written to the shared area.
    pub fn feature_bits(&self) -> u64 {
        let rss = if self.rss.is_some() { spec::vmxnet3::command::feature::RSS } else { 0 };
        self.features | rss
    }
}
