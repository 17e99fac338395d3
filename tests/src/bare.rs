//! A data plane by itself: a body, memory, a wire that swallows, and a driver reduced to the stores it cannot do without. For
//! measuring: what it takes and whether it allocates.
//!
//! Nothing is judged here and every packet is one and the same; conformance is the business of the cases.

use model::guest::packet::Packet;
use model::guest::shape::{Shape, WireShape};
use model::guest::traffic::Traffic;
use model::host::{DmaFault, Host, Sent};
use model::hypervisor::{Poll, Posted, Program, Scratch, enter};
use model::memory::Memory;
use model::mutant::Planted;
use model::plane::{
    Activation, Filters, Interface, Progress, Request, Rss, RxDataRing, RxSetup, TxSetup, VectorProgress,
};
use model::vic::{Adapter, Register};
use model::vmxnet3::Body;
use spec::profile::Profile;
use spec::vic::{RqReg, WqReg};
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::rx::hash_type;
use spec::vmxnet3::{Bar0, CELL_BYTES, MAX_VECTORS, RxCompDesc, RxDesc, TxDesc};
use std::hint::black_box;

/// Descriptors of each ring.
pub const RING: u32 = 256;
/// Entries of an RX completion ring.
const COMP: u32 = 2 * RING;
/// Frames that are offered before the device works.
pub const ARRIVING: usize = 16;
/// Where the bytes of every packet to send lie.
const IMAGE: u64 = 0x1_0000;
/// Where the rings begin.
const RINGS: u64 = 0x4_0000;
const MAC: [u8; 6] = [0, 0x50, 0x56, 0, 0, 1];
/// Steps that the adapter may take to start.
const STARTING: u32 = 1000;
/// Interface version of the guest.
const VERSION: u8 = 3;

/// Which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The software body.
    Software,
    /// The adapter.
    Adapter,
}

/// What the driver set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// TX and RX queues, 1 to 8 each.
    pub queues: u8,
    /// Bytes of an RX buffer.
    pub buffer: u16,
    /// Bits of `spec::vmxnet3::command::feature`.
    pub features: u64,
    /// Frames are spread over the queues by hash.
    pub rss: bool,
    /// Bytes of an entry of the RX data ring, 0 for none.
    pub data_entry: u16,
    /// L3 MTU, bytes.
    pub mtu: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { queues: 1, buffer: 2048, features: 0, rss: false, data_entry: 0, mtu: 1500 }
    }
}

/// Guest memory and a wire that swallows.
#[derive(Debug)]
pub struct World {
    /// Guest memory.
    pub memory: Memory,
    /// Frames sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Vectors raised.
    pub raised: u64,
}

impl World {
    /// Around `memory`, nothing sent.
    pub fn new(memory: Memory) -> Self {
        Self { memory, sent: 0, bytes: 0, raised: 0 }
    }
}

impl Host for World {
    #[inline]
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.memory.read(pa, into)
    }
    #[inline]
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.memory.write(pa, bytes)
    }
    #[inline]
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        self.memory.cell(pa)
    }
    #[inline]
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.memory.write(pa, &cell.to_le_bytes())
    }
    #[inline]
    fn transmit(&mut self, _: u8, frame: &[u8]) -> Sent {
        self.sent += 1;
        self.bytes += frame.len() as u64;
        black_box(frame);
        Sent::Yes
    }
    fn vector(&mut self, _: u16) {
        self.raised += 1;
    }
    fn intx(&mut self, _: bool) {}
}

enum Device {
    Software(Box<Body>),
    Adapter(Box<Adapter>),
}

/// Where the driver stands in a ring.
#[derive(Clone, Copy, Debug)]
struct At {
    index: u32,
    generation: bool,
}

impl At {
    const START: Self = Self { index: 0, generation: true };

    fn next(&mut self, size: u32) {
        self.index += 1;
        if self.index == size {
            *self = Self { index: 0, generation: !self.generation };
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    tx: TxSetup,
    rx: RxSetup,
    posting: At,
    reaping: At,
}

/// A body at work.
pub struct Bare {
    device: Device,
    /// What the device sees.
    pub world: World,
    queues: Vec<Queue>,
    traffic: Traffic,
    packet: Packet,
    /// Frames received, by their last completions, and those of them from the data ring.
    pub received: [u64; 2],
}

impl Bare {
    /// A body that works as `config` says, every RX ring full: HEAD buffers in ring 0, BODY buffers in ring 1.
    ///
    /// # Panics
    /// When the adapter cannot be started, which is for the switch's checks to find.
    pub fn new(kind: Kind, config: &Config) -> Self {
        let mut next = RINGS;
        let mut place = |bytes: u64| {
            let at = next;
            next += bytes.next_multiple_of(512);
            at
        };
        let cells = |count: u32| u64::from(count) * CELL_BYTES;
        let (mut queues, mut rx_data, mut buffers) = (Vec::new(), Vec::new(), Vec::new());
        for vector in 0..config.queues {
            let tx = TxSetup {
                ring_pa: place(cells(RING)),
                ring_size: RING,
                comp_pa: place(cells(RING)),
                comp_size: RING,
                vector,
            };
            let ring_pa = [place(cells(RING)), place(cells(RING))];
            let rx = RxSetup { ring_pa, ring_size: [RING; 2], comp_pa: place(cells(COMP)), comp_size: COMP, vector };
            rx_data.push(RxDataRing {
                pa: place(u64::from(config.data_entry) * u64::from(RING)),
                entry_bytes: config.data_entry,
            });
            buffers.push([(); 2].map(|()| place(u64::from(config.buffer) * u64::from(RING))));
            queues.push(Queue { tx, rx, posting: At::START, reaping: At::START });
        }
        let mut memory = Memory::new(&[(IMAGE, (next - IMAGE) as usize)]);
        for (queue, buffers) in queues.iter().zip(&buffers) {
            for (ring, &buffers) in buffers.iter().enumerate() {
                for index in 0..RING {
                    let mut desc = RxDesc::default();
                    desc.set_addr(buffers + u64::from(index) * u64::from(config.buffer));
                    desc.set_len(config.buffer);
                    desc.set_btype(ring == 1);
                    desc.set_generation(true);
                    let pa = queue.rx.ring_pa[ring] + cells(index);
                    memory.write(pa, &desc.0.to_le_bytes()).expect("in memory");
                }
            }
        }
        let rss = config.rss.then(|| Rss {
            hash_type: hash_type::TCP_IPV4 | hash_type::TCP_IPV6,
            key: core::array::from_fn(|i| (i * 7 + 3) as u8),
            table: (0..128).map(|i| i % config.queues).collect(),
        });
        let activation = Activation {
            interface: Interface { version: VERSION, ..Interface::default() },
            tx: queues.iter().map(|queue| queue.tx).collect(),
            rx: queues.iter().map(|queue| queue.rx).collect(),
            rx_data: if config.data_entry == 0 { Vec::new() } else { rx_data },
            mtu: config.mtu,
            features: config.features,
            filters: Filters { mac: MAC, rx_mode: rx_mode::UCAST, ..Filters::default() },
            rss,
            ..Activation::default()
        };
        let mut world = World::new(memory);
        let device = match kind {
            Kind::Software => Device::Software(Box::new(software(activation, &mut world))),
            Kind::Adapter => Device::Adapter(Box::new(adapter(&activation, &mut world))),
        };
        let (traffic, packet) = (Traffic::new(1, MAC), Packet::default());
        Self { device, world, queues, traffic, packet, received: [0; 2] }
    }

    /// Lays down the packet that [`Bare::send`] sends, and says its bytes.
    pub fn load(&mut self, shape: &Shape) -> usize {
        self.traffic.packet(shape, &mut self.packet);
        self.world.memory.write(IMAGE, &self.packet.frame).expect("in memory");
        self.packet.frame.len()
    }

    /// Sends the packet `times` on every queue. Gives nothing back before the device is idle.
    pub fn send(&mut self, times: u32) {
        for q in 0..self.queues.len() {
            for _ in 0..times {
                self.post(q);
            }
            let producer = self.queues[q].posting.index;
            match &mut self.device {
                Device::Software(body) => body.write_bar0(Bar0::TxProd(q as u8), producer),
                Device::Adapter(adapter) => {
                    assert!(
                        adapter.post(Register::Wq(q as u8, WqReg::PostedIndex), producer),
                        "a doorbell a queue fits"
                    );
                }
            }
        }
        self.run();
    }

    /// Posts the packet once.
    fn post(&mut self, q: usize) {
        let Queue { tx, posting, .. } = &mut self.queues[q];
        let mut pa = IMAGE;
        let lengths = self.packet.fragments.lengths();
        for (i, &len) in lengths.iter().enumerate() {
            let mut desc = TxDesc::default();
            desc.set_addr(pa);
            desc.set_len(len);
            desc.set_generation(posting.generation);
            if i == 0 {
                self.packet.offload.ask(VERSION, &mut desc);
                desc.set_ti(self.packet.vlan.is_some());
                desc.set_tci(self.packet.vlan.unwrap_or(0));
            }
            desc.set_eop(i + 1 == lengths.len());
            desc.set_cq(i + 1 == lengths.len());
            let cell = tx.ring_pa + u64::from(posting.index) * CELL_BYTES;
            self.world.memory.write(cell, &desc.0.to_le_bytes()).expect("in memory");
            posting.next(RING);
            pa += u64::from(len);
        }
    }

    /// A frame for the guest.
    pub fn frame(&mut self, shape: &WireShape) -> Vec<u8> {
        let mut frame = Vec::new();
        self.traffic.wire(shape, &mut frame);
        frame
    }

    /// Has the device take every frame, each out of its buffer, and deliver it.
    pub fn receive(&mut self, frames: &mut [Vec<u8>]) {
        let mut next = 0;
        while next < frames.len() {
            let given = match &mut self.device {
                Device::Software(body) => body.give(&mut frames[next]),
                Device::Adapter(adapter) => adapter.give(&mut frames[next]),
            };
            next += usize::from(given);
            if !given {
                self.run();
            }
        }
        self.run();
    }

    fn run(&mut self) {
        match &mut self.device {
            Device::Software(body) => {
                Body::run(body, &mut self.world, u32::MAX);
            }
            Device::Adapter(adapter) => {
                Adapter::run(adapter, &mut self.world, u32::MAX);
            }
        }
    }

    /// What the driver does with completions: takes note of the frame and posts its buffers again, where they were.
    pub fn reap(&mut self) {
        let queues = self.queues.len() as u16;
        for q in 0..self.queues.len() {
            let mut used = [None; 2];
            loop {
                let Queue { rx, reaping, .. } = &mut self.queues[q];
                let pa = rx.comp_pa + u64::from(reaping.index) * CELL_BYTES;
                let cell = RxCompDesc(self.world.memory.cell(pa).expect("in memory"));
                if cell.generation() != reaping.generation {
                    break;
                }
                reaping.next(COMP);
                self.received[0] += u64::from(cell.eop());
                self.received[1] += u64::from(cell.rq_id() >= 2 * queues);
                let ring = usize::from(cell.rq_id() / queues == 1);
                let index = u32::from(cell.rxd_idx());
                let pa = rx.ring_pa[ring] + u64::from(index) * CELL_BYTES;
                let mut desc = RxDesc(self.world.memory.cell(pa).expect("in memory"));
                desc.set_generation(!desc.generation());
                self.world.memory.write(pa, &desc.0.to_le_bytes()).expect("in memory");
                used[ring] = Some(index);
            }
            for (ring, index) in used.into_iter().enumerate() {
                let (Some(index), Device::Adapter(adapter)) = (index, &mut self.device) else { continue };
                // The last cell is held back: equal indices are an empty ring.
                adapter.write(Register::Rq((2 * q + ring) as u8, RqReg::PostedIndex), index.into());
            }
        }
    }

    /// Copies the packet out of guest memory and nothing else: what sending it costs at least.
    pub fn copy_out(&mut self, into: &mut [u8]) {
        self.world.memory.read(IMAGE, into).expect("in memory");
        black_box(into);
    }

    /// Copies `frame` into the first RX buffer of ring 0 of a queue, in turn: what receiving it costs at least.
    pub fn copy_in(&mut self, turn: u64, frame: &[u8], config: &Config) {
        let queue = &self.queues[(turn % self.queues.len() as u64) as usize];
        let first = RxDesc(self.world.memory.cell(queue.rx.ring_pa[0]).expect("in memory")).addr();
        let room = u64::from(RING) * u64::from(config.buffer);
        let slot = (frame.len() as u64).next_multiple_of(u64::from(config.buffer));
        let at = turn.wrapping_mul(slot) % (room - slot + 1) / slot * slot;
        self.world.memory.write(first + at, black_box(frame)).expect("in memory");
    }
}

/// The software body, working as `activation` says.
pub fn software(activation: Activation, world: &mut World) -> Body {
    let mut body = Body::new(&Profile::REFERENCE);
    body.serve(Request::Start(Box::new(activation)), world);
    body
}

/// The adapter, brought up as `activation` says.
///
/// # Panics
/// When it cannot be started, which is for the switch's checks to find.
pub fn adapter(activation: &Activation, world: &mut World) -> Adapter {
    let progress = Progress::fresh(activation, [VectorProgress::default(); MAX_VECTORS]);
    let posted = Posted::scan(activation, &progress, &world.memory, Planted::NONE);
    let mut adapter = Adapter::new(&Profile::REFERENCE);
    let mut scratch = Scratch::default();
    let (ops, _) = enter(activation, &progress, &posted, &Profile::REFERENCE, &mut scratch, Planted::NONE);
    let mut program = Program::new(ops, STARTING);
    while program.step(&mut adapter) == Poll::Pending {
        let mut host = model::hypervisor::WithScratch { scratch: &mut scratch, host: &mut *world };
        Adapter::run(&mut adapter, &mut host, u32::MAX);
    }
    adapter
}
