//! The seam between configuration plane and data plane: what an activation hands over, and what comes back.
//!
//! BAR1, commands and the shared area are the configuration plane, the hypervisor's in both modes. BAR0, rings, completions and
//! interrupts are the data plane, and that is what moves.

use spec::position::RingIndex;
use spec::profile::Moderation;
pub use spec::vmxnet3::Interrupts;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::shared::CoalesceScheme;
use spec::vmxnet3::{MAX_RX_QUEUES, MAX_TX_QUEUES, MAX_VECTORS, RssFields, RxStats, TxStats, Version};

/// A TX queue as configured at activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TxSetup {
    /// Ring base, guest-physical.
    pub ring_pa: u64,
    /// Descriptors.
    pub ring_size: u32,
    /// Completion ring base, guest-physical.
    pub comp_pa: u64,
    /// Completion entries.
    pub comp_size: u32,
    /// Vector of completions; one outside the vectors raises nothing.
    pub vector: u8,
}

/// An RX queue as configured at activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RxSetup {
    /// Ring 0 and ring 1, guest-physical.
    pub ring_pa: [u64; 2],
    /// Descriptors of each; ring 1 may be absent with 0.
    pub ring_size: [u32; 2],
    /// Completion ring base, guest-physical.
    pub comp_pa: u64,
    /// Completion entries.
    pub comp_size: u32,
    /// Vector of completions.
    pub vector: u8,
}

/// The RX data ring of a queue, version 3: one entry a descriptor of ring 0, for frames short enough to be copied there.
///
/// The device may use it and need not. Source: vmxnet3_defs.h, Vmxnet3_RxQueueConf; linux vmxnet3_drv.c, vmxnet3_rq_rx_complete, which
/// goes by the `rqID` of each completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RxDataRing {
    /// Base, guest-physical.
    pub pa: u64,
    /// Bytes of an entry, a multiple of 64 up to 2048; 0 is no ring.
    pub entry_bytes: u16,
}

/// What the receive filter and the steering work from: the configuration plane's copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filters {
    /// Current MAC.
    pub mac: [u8; 6],
    /// Bits of `spec::vmxnet3::command::rx_mode`.
    pub rx_mode: u32,
    /// Multicast table, at most 10922 addresses.
    pub multicast: Vec<[u8; 6]>,
    /// VLAN bitmap.
    pub vlans: [u32; 128],
}

impl Default for Filters {
    fn default() -> Self {
        Self { mac: [0; 6], rx_mode: 0, multicast: Vec::new(), vlans: [0; 128] }
    }
}

/// Receive-side scaling, validated: 1 to 128 table entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rss {
    /// Bits of `spec::vmxnet3::rx::hash_type`.
    pub hash_type: u16,
    /// Toeplitz key.
    pub key: [u8; 40],
    /// RX queue a hash value; entries that name no queue mean queue 0.
    pub table: Vec<u8>,
}

/// What a driver negotiated that the data path goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Interface version that was in force at activation, 1 to 9.
    pub version: u8,
    /// What else is hashed over than [`Rss::hash_type`] says, version 4.
    pub rss_fields: RssFields,
}

impl Default for Interface {
    fn default() -> Self {
        Self { version: 1, rss_fields: RssFields::DEFAULT }
    }
}

/// Everything a data plane needs to work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Activation {
    /// What the driver negotiated.
    pub interface: Interface,
    /// TX queues, 1 to 32.
    pub tx: Vec<TxSetup>,
    /// RX queues, 1 to 32.
    pub rx: Vec<RxSetup>,
    /// RX data rings, one an RX queue; empty where no queue has one.
    pub rx_data: Vec<RxDataRing>,
    /// A vector masks itself when it fires.
    pub auto_mask: bool,
    /// How interrupts reach the guest; while it is not by MSI-X only vector 0 exists.
    pub interrupts: Interrupts,
    /// L3 MTU, bytes.
    pub mtu: u32,
    /// Most buffers of a received packet; 0 is no limit.
    pub max_rx_sg: u16,
    /// Bits of `spec::vmxnet3::command::feature`.
    pub features: u64,
    /// Receive filter.
    pub filters: Filters,
    /// Steering by hash, if any.
    pub rss: Option<Rss>,
    /// Moderation level a vector.
    pub mod_levels: [u8; MAX_VECTORS],
    /// Coalescing scheme in force, version 3.
    pub coalesce: CoalesceScheme,
}

impl Default for Activation {
    fn default() -> Self {
        Self {
            interface: Interface::default(),
            tx: Vec::new(),
            rx: Vec::new(),
            rx_data: Vec::new(),
            auto_mask: false,
            interrupts: Interrupts::MsiX,
            mtu: 0,
            max_rx_sg: 0,
            features: 0,
            filters: Filters::default(),
            rss: None,
            mod_levels: [0; MAX_VECTORS],
            coalesce: CoalesceScheme::default(),
        }
    }
}

impl Activation {
    /// Least spacing between two interrupts of each vector, in ticks of [`Moderation::TICK_NS`], by a device that
    /// moderates so.
    pub fn spacing(&self, moderation: &Moderation) -> [u16; MAX_VECTORS] {
        self.mod_levels.map(|level| moderation.ticks(level, self.coalesce))
    }

    /// Its interrupts were configured in the extended block.
    pub fn is_extended(&self) -> bool {
        let count = |queues: usize| u8::try_from(queues).unwrap_or(u8::MAX);
        Version::of(self.interface.version).is_extended(count(self.tx.len()), count(self.rx.len()))
    }
}

/// How far a TX queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TxProgress {
    /// First descriptor of the first packet not wholly sent.
    pub next: RingIndex,
    /// Completion entry written next.
    pub comp: RingIndex,
    /// Counters since activation.
    pub counters: TxStats,
    /// Why it stopped, if it did.
    pub stopped: Option<QueueError>,
}

/// How far an RX queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RxProgress {
    /// Next buffer of ring 0 and ring 1.
    pub next: [RingIndex; 2],
    /// Completion entry written next.
    pub comp: RingIndex,
    /// Counters since activation.
    pub counters: RxStats,
    /// Why it stopped, if it did.
    pub stopped: Option<QueueError>,
}

/// State of one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VectorProgress {
    /// IMR.
    pub masked: bool,
    /// A cause is remembered.
    pub pending: bool,
}

impl Default for VectorProgress {
    fn default() -> Self {
        Self { masked: true, pending: false }
    }
}

/// How far a data plane is: everything of it that moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// TX queues, as many as were activated.
    pub tx: Vec<TxProgress>,
    /// RX queues, as many as were activated.
    pub rx: Vec<RxProgress>,
    /// Every vector.
    pub vectors: [VectorProgress; MAX_VECTORS],
}

impl Default for Progress {
    fn default() -> Self {
        Self { tx: Vec::new(), rx: Vec::new(), vectors: [VectorProgress::default(); MAX_VECTORS] }
    }
}

impl Progress {
    /// Where a fresh activation starts; masks are the ones that were there before.
    pub fn fresh(activation: &Activation, vectors: [VectorProgress; MAX_VECTORS]) -> Self {
        assert!(activation.tx.len() <= MAX_TX_QUEUES && activation.rx.len() <= MAX_RX_QUEUES);
        Self {
            tx: vec![TxProgress::default(); activation.tx.len()],
            rx: vec![RxProgress::default(); activation.rx.len()],
            vectors,
        }
    }
}

/// What a command asks of the data plane. It is data, not a call: on the adapter it becomes a phase of many steps, during
/// which the vCPU that wrote the command stays blocked; the software body serves it at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Start from the beginning of every ring; vectors keep their masks.
    Start(Box<Activation>),
    /// QUIESCE_DEV: stop all ring DMA and drop what is under way. Masks and pending causes stay.
    Stop,
    /// RESET_DEV: stop, mask every vector, forget every cause, lower INTx.
    Reset,
    /// Work from these filters from now on.
    Filters(Box<Filters>),
    /// Work with these feature bits from now on.
    Features(u64),
    /// Steer so from now on.
    Rss(Option<Box<Rss>>),
    /// Hash over these from now on, where steering is on.
    RssFields(RssFields),
    /// Space interrupts so from now on. Asked only where it makes a difference.
    Moderation {
        /// Moderation level a vector.
        levels: Box<[u8; MAX_VECTORS]>,
        /// Coalescing scheme in force.
        scheme: CoalesceScheme,
    },
    /// Tell counters and stop reasons of every queue.
    Counters,
    /// Raise a vector for an event.
    Raise(u8),
}

/// What a data plane answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It is done.
    Done,
    /// Counters since activation and stop reasons, a queue each.
    Counters {
        /// TX queues.
        tx: Vec<(TxStats, Option<QueueError>)>,
        /// RX queues.
        rx: Vec<(RxStats, Option<QueueError>)>,
    },
}
