//! A VMXNET3 driver that behaves, modelled on Linux: data, run one micro-operation a step.
//!
//! Requests ([`Driver::bring_up`], [`Driver::send`], [`Driver::interrupt`], ..) queue micro-operations; [`Driver::step`] makes the
//! next access: one store, one register access, or one pass of loads over completion rings. Where Linux would stop the kernel the
//! driver records a [`Breach`] and goes on.
//!
//! Source: linux drivers/net/vmxnet3, from public facts about it. Not modelled: timestamps, XDP, versions above 3
//! beyond selecting them, wake-up filters.

mod breach;
mod config;
mod control;
mod layout;
mod ring;
mod rx;
#[cfg(test)]
mod tests;
mod tx;

pub use breach::Breach;
pub use config::{DriverConfig, RssSetup, Vectors};
pub use layout::{Layout, LayoutError, RxArea, TxArea};

use super::GuestPort;
use breach::Breaches;
use control::Ask;
use ring::Pool;
use rx::RxQueue;
use spec::event::Bar;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::shared::{CMD_INFO_OFFSET, CoalesceScheme};
use spec::vmxnet3::{Bar0, Bar1, Command, DriverShared, RxCompDesc, RxStats, TxStats};
use std::collections::VecDeque;
use tx::TxQueue;

/// What buffers hold when nobody may look at them.
static POISON: [u8; 16384] = [0xdb; 16384];
/// What rings hold before an activation.
static ZEROS: [u8; 4096] = [0; 4096];

/// How far the driver is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not running: before the first bring-up, after a tear-down or a function reset.
    #[default]
    Down,
    /// Probing, writing structures, activating.
    Starting,
    /// ACTIVATE_DEV answered 0.
    Up,
    /// Quiescing, to stop or to start again.
    Stopping,
    /// ACTIVATE_DEV answered with an error; the shared area was withdrawn.
    Failed,
}

/// One thing to do; several accesses when `Driver::stage` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Micro {
    /// Register write.
    Write(Bar, u32, u32),
    /// Register read and what to do with the answer.
    Read(Ask),
    /// Writes the version chosen to VRRS.
    SelectVersion,
    /// Asks for capabilities.
    Capabilities,
    /// Stores this byte range of the shared image.
    Shared(u16, u16),
    /// Stores the descriptor of a queue, TX queues first; the whole of it, or its configuration only.
    QueueDesc { queue: u8, whole: bool },
    /// Stores the RSS block.
    Rss,
    /// Stores the multicast table.
    Multicast,
    /// Zeroes memory, a page a step.
    Zero { pa: u64, bytes: u32 },
    /// Gives the queued RX cells.
    Refill { queue: u8, ring: u8 },
    /// Prepares the one cell kept free.
    LastCell { queue: u8, ring: u8 },
    /// Writes RXPROD or RXPROD2.
    RxProd { queue: u8, ring: u8 },
    /// Posts the next packet of a TX queue.
    Post(u8),
    /// Rings TXPROD if due.
    Kick(u8),
    /// Overwrites the buffers of a completed packet.
    PoisonTx { queue: u8, first: u16, cells: u8, copied: bool },
    /// Takes completions, and events on their vector.
    Poll(u8),
    /// Ends a poll.
    Unmask(u8),
    /// Loads stop flags and reasons.
    QueueStatus,
    /// Loads statistics.
    Stats,
    /// Stores this coalescing scheme.
    Coalesce(CoalesceScheme),
    /// Stores the RSS fields that are asked for.
    RssFields(u32),
    /// Loads the coalescing scheme that the device told.
    Coalescing,
    /// Forgets everything in the rings; the device is quiet.
    Reclaim,
    /// Starts with empty rings.
    Restart,
    /// Ends a tear-down.
    Down,
}

/// What became of the front micro-operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is over.
    Done,
    /// It goes on at this stage.
    Stage(u32),
    /// The port refused; the same again later.
    Blocked,
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// RX queue.
    pub queue: u8,
    /// The bytes as they lay in the buffers.
    pub frame: Vec<u8>,
    /// The completion of its last buffer: tag, checksum flags, hash.
    pub last: RxCompDesc,
}

/// What the driver did and saw since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Packets published to the device.
    pub sent: u64,
    /// Packets completed.
    pub completed: u64,
    /// Calls of `send` for which the ring had no room, or that fit no ring.
    pub refused_sends: u64,
    /// Frames received without `err`.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames received with `err`.
    pub received_errors: u64,
    /// RX cells consumed without a completion.
    pub skipped: u64,
    /// Interrupts told while running.
    pub interrupts: u64,
    /// Interrupts told while not running, for a vector not in use, or INTx that ICR denied.
    pub stray_interrupts: u64,
    /// Poll passes.
    pub polls: u64,
    /// TXPROD writes.
    pub doorbells: u64,
    /// RXPROD and RXPROD2 writes.
    pub rx_doorbells: u64,
    /// Event bits acknowledged through ECR.
    pub events: u64,
    /// Successful activations.
    pub activations: u64,
    /// Stopped queues seen.
    pub stopped_queues: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct VectorState {
    /// A poll is queued or under way: the vector is masked.
    scheduled: bool,
    /// An interrupt came meanwhile: poll again instead of unmasking. Source: linux net/core/dev.c, NAPI_STATE_MISSED.
    missed: bool,
}

/// The driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Driver {
    config: DriverConfig,
    layout: Layout,
    phase: Phase,
    micro: VecDeque<Micro>,
    /// How far the front micro-operation is.
    stage: u32,
    /// The driver's copy of the shared area.
    shared: Box<DriverShared>,
    multicast: Vec<[u8; 6]>,
    tx: Vec<TxQueue>,
    rx: Vec<RxQueue>,
    vectors: Vec<VectorState>,
    icr_queued: bool,
    probed: bool,
    version: u8,
    /// The doorbells of the second page were granted.
    large_bar: bool,
    /// Bytes of an entry of the TX data rings; 0 where they are not used.
    tx_data: u16,
    coalescing: CoalesceScheme,
    link: u32,
    /// Feature bits in force at any time since activation.
    features_seen: u64,
    tx_stats: Vec<TxStats>,
    rx_stats: Vec<RxStats>,
    last_error: Option<QueueError>,
    counts: Counts,
    breaches: Breaches,
    received: VecDeque<Received>,
    pool: Pool,
}

impl Driver {
    /// A driver with its structures at the places of `layout`, planned from the same `config`. It does nothing yet.
    pub fn new(config: DriverConfig, layout: Layout) -> Self {
        let shared = Box::new(layout.shared_image(&config));
        Self {
            phase: Phase::Down,
            micro: VecDeque::new(),
            stage: 0,
            shared,
            multicast: Vec::new(),
            tx: vec![TxQueue::default(); usize::from(config.tx_queues)],
            rx: (0..config.rx_queues).map(|_| RxQueue::new(&config)).collect(),
            vectors: vec![VectorState::default(); usize::from(config.vector_count())],
            icr_queued: false,
            probed: false,
            version: 0,
            large_bar: false,
            tx_data: 0,
            coalescing: CoalesceScheme::default(),
            link: 0,
            features_seen: 0,
            tx_stats: vec![TxStats::default(); usize::from(config.tx_queues)],
            rx_stats: vec![RxStats::default(); usize::from(config.rx_queues)],
            last_error: None,
            counts: Counts::default(),
            breaches: Breaches::default(),
            received: VecDeque::new(),
            pool: Pool::default(),
            config,
            layout,
        }
    }

    /// Plans the layout in `bytes` bytes from `base` and makes the driver.
    ///
    /// # Errors
    /// As [`Layout::plan`].
    pub fn plan(config: DriverConfig, base: u64, bytes: u64) -> Result<Self, LayoutError> {
        let layout = Layout::plan(&config, base, bytes)?;
        Ok(Self::new(config, layout))
    }

    /// Makes one access. False when there is nothing to do, or the port refused.
    pub fn step(&mut self, port: &mut impl GuestPort) -> bool {
        let Some(&micro) = self.micro.front() else { return false };
        match self.run(micro, port) {
            Outcome::Done => {
                self.micro.pop_front();
                self.stage = 0;
                true
            }
            Outcome::Stage(stage) => {
                self.stage = stage;
                true
            }
            Outcome::Blocked => false,
        }
    }

    fn run(&mut self, micro: Micro, port: &mut impl GuestPort) -> Outcome {
        match micro {
            Micro::Write(bar, offset, value) => outcome(port.write(bar, offset, value)),
            Micro::Read(ask) => self.ask(ask, port),
            Micro::SelectVersion => {
                let bit = 1u32.checked_shl(u32::from(self.version).wrapping_sub(1)).unwrap_or(1);
                outcome(port.write(Bar::Bar1, Bar1::Vrrs.offset(), bit))
            }
            Micro::Capabilities => self.ask_capabilities(port),
            Micro::Shared(from, to) => {
                let range = usize::from(from)..usize::from(to);
                port.store(self.layout.shared + u64::from(from), &self.shared.0[range]);
                Outcome::Done
            }
            Micro::QueueDesc { queue, whole } => self.store_queue_desc(queue, whole, port),
            Micro::Rss => {
                if let Some(block) = self.layout.rss_image(&self.config) {
                    port.store(self.layout.rss, &block.0);
                }
                Outcome::Done
            }
            Micro::Multicast => {
                port.store(self.layout.multicast, self.multicast.as_flattened());
                Outcome::Done
            }
            Micro::Zero { pa, bytes } => {
                let from = self.stage * ZEROS.len() as u32;
                let len = (bytes - from).min(ZEROS.len() as u32);
                port.store(pa + u64::from(from), &ZEROS[..len as usize]);
                if from + len < bytes { Outcome::Stage(self.stage + 1) } else { Outcome::Done }
            }
            Micro::Refill { queue, ring } => self.refill(queue, ring, port),
            Micro::LastCell { queue, ring } => self.last_cell(queue, ring, port),
            Micro::RxProd { queue, ring } => self.write_rx_prod(queue, ring, port),
            Micro::Post(queue) => self.post(queue, port),
            Micro::Kick(queue) => self.ring_tx(queue, port),
            Micro::PoisonTx { queue, first, cells, copied } => self.poison_tx(queue, (first, cells), copied, port),
            Micro::Poll(vector) => self.poll(vector, port),
            Micro::Unmask(vector) => self.unmask(vector, port),
            Micro::QueueStatus => self.load_queue_status(port),
            Micro::Stats => self.load_stats(port),
            Micro::Coalesce(scheme) => {
                port.store(self.layout.coalesce, &scheme.0);
                Outcome::Done
            }
            Micro::RssFields(fields) => {
                port.store(self.layout.shared + CMD_INFO_OFFSET, &fields.to_le_bytes());
                Outcome::Done
            }
            Micro::Coalescing => self.load_coalescing(port),
            Micro::Reclaim => self.reclaim(),
            Micro::Restart => {
                self.restart();
                Outcome::Done
            }
            Micro::Down => {
                self.phase = Phase::Down;
                Outcome::Done
            }
        }
    }

    /// Tells the driver of an interrupt on `vector`; with [`Vectors::Intx`], that the line is asserted.
    pub fn interrupt(&mut self, vector: u16) {
        let v = usize::from(vector);
        if self.phase != Phase::Up || v >= self.vectors.len() {
            self.counts.stray_interrupts += 1;
            return;
        }
        if self.config.vectors == Vectors::Intx {
            if !self.icr_queued {
                self.icr_queued = true;
                self.micro.push_back(Micro::Read(Ask::Icr));
            }
            return;
        }
        self.schedule(v);
    }

    /// Masks, where that is the driver's task, and queues a poll.
    fn schedule(&mut self, v: usize) {
        self.counts.interrupts += 1;
        if !self.config.auto_mask {
            self.micro.push_back(Micro::Write(Bar::Bar0, Bar0::Imr(v as u8).offset(), 1));
        }
        if self.vectors[v].scheduled {
            self.vectors[v].missed = true;
        } else {
            self.vectors[v].scheduled = true;
            self.micro.push_back(Micro::Poll(v as u8));
        }
    }

    /// One pass over the completion rings of a vector. Source: linux vmxnet3_drv.c, vmxnet3_poll_rx_only and vmxnet3_do_poll.
    fn poll(&mut self, vector: u8, port: &mut impl GuestPort) -> Outcome {
        self.counts.polls += 1;
        if vector == self.config.event_vector() {
            self.check_events(port);
        }
        for q in 0..self.tx.len() {
            if self.config.tx_vector(q as u8) == vector {
                self.poll_tx(q, port);
            }
        }
        let mut left = self.config.poll_budget;
        for q in 0..self.rx.len() {
            if self.config.rx_vector(q as u8) == vector {
                left -= self.poll_rx(q, left, port);
            }
        }
        self.micro.push_back(if left == 0 { Micro::Poll(vector) } else { Micro::Unmask(vector) });
        Outcome::Done
    }

    fn unmask(&mut self, vector: u8, port: &mut impl GuestPort) -> Outcome {
        let state = &mut self.vectors[usize::from(vector)];
        if state.missed {
            state.missed = false;
            self.micro.push_back(Micro::Poll(vector));
            return Outcome::Done;
        }
        if !port.write(Bar::Bar0, Bar0::Imr(vector).offset(), 0) {
            return Outcome::Blocked;
        }
        self.vectors[usize::from(vector)].scheduled = false;
        Outcome::Done
    }

    /// Whether [`step`](Self::step) has something to do; the port may still refuse it.
    pub fn can_step(&self) -> bool {
        !self.micro.is_empty()
    }

    /// Nothing queued. Packets may be outstanding, and an interrupt wakes the driver.
    pub fn is_idle(&self) -> bool {
        self.micro.is_empty()
    }

    /// How far the driver is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What it was told to be; MAC, modes and features as last requested.
    pub fn config(&self) -> &DriverConfig {
        &self.config
    }

    /// Where its structures lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Version selected at the last probe; 0 before.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Bytes of an entry of the TX data rings; 0 where the driver uses none.
    pub fn tx_data_bytes(&self) -> u16 {
        self.tx_data
    }

    /// The coalescing scheme that the device told last.
    pub fn coalescing(&self) -> &CoalesceScheme {
        &self.coalescing
    }

    /// Last answer of GET_LINK.
    pub fn link(&self) -> u32 {
        self.link
    }

    /// What it did and saw.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What no driver survives, the first 64 of it.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches.kept
    }

    /// How many breaches there were.
    pub fn breach_count(&self) -> u64 {
        self.breaches.count
    }

    /// Packets of TX queue `queue` posted or posting and not completed.
    pub fn outstanding(&self, queue: u8) -> usize {
        self.tx.get(usize::from(queue)).map_or(0, TxQueue::pending)
    }

    /// Buffers of ring 0 and ring 1 that the device has.
    pub fn rx_owned(&self, queue: u8) -> [u32; 2] {
        self.rx.get(usize::from(queue)).map_or([0; 2], RxQueue::owned)
    }

    /// Statistics as of the last GET_STATS, TX and RX queues.
    pub fn stats(&self) -> (&[TxStats], &[RxStats]) {
        (&self.tx_stats, &self.rx_stats)
    }

    /// Why a queue last stopped, as told by GET_QUEUE_STATUS.
    pub fn last_error(&self) -> Option<QueueError> {
        self.last_error
    }

    /// The oldest frame received and not taken yet; only with `keep_received`.
    pub fn take_received(&mut self) -> Option<Received> {
        self.received.pop_front()
    }

    /// Frames received and not taken yet, oldest first.
    pub fn received(&self) -> &VecDeque<Received> {
        &self.received
    }

    /// Gives a frame's memory back for reuse.
    pub fn recycle(&mut self, frame: Vec<u8>) {
        self.pool.give(frame);
    }

    fn command(&mut self, command: Command) {
        self.write1(Bar1::Cmd, command.code());
    }

    fn write1(&mut self, register: Bar1, value: u32) {
        self.micro.push_back(Micro::Write(Bar::Bar1, register.offset(), value));
    }
}

fn outcome(written: bool) -> Outcome {
    if written { Outcome::Done } else { Outcome::Blocked }
}
