//! Packets per second of each body: bare, under all monitors, and beside a bare copy of the same bytes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::guest::vmxnet3::{Driver, DriverConfig};
use model::machine::{BASE, ROUNDS, Rig};
use model::memory::Memory;
use model::migrate::{Plan, TxMode};
use model::plane::{Activation, Filters, RxSetup, TxSetup};
use model::vic::{Adapter, Register};
use model::vmxnet3::Body;
use spec::event::Bar;
use spec::monitor::Judges;
use spec::profile::Profile;
use spec::vic::{RqReg, WqReg};
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{Bar0, RxDesc, TxDesc};
use std::hint::black_box;
use std::time::{Duration, Instant};
use vnic::bare::{ARRIVING, World, adapter, software};

const RING: u32 = 512;
const BURST: u32 = 256;
const TX: u64 = 0x1_0000;
const TX_COMP: u64 = 0x2_0000;
const RX: u64 = 0x3_0000;
const RX_COMP: u64 = 0x4_0000;
const BUFFERS: u64 = 0x10_0000;
const STRIDE: u64 = 2048;

fn world() -> World {
    World::new(Memory::new(&[(TX, (BUFFERS + STRIDE * 2 * u64::from(RING) - TX) as usize)]))
}

fn activation() -> Activation {
    let filters = Filters { mac: [0, 0x50, 0x56, 0, 0, 1], rx_mode: rx_mode::UCAST, ..Filters::default() };
    Activation {
        tx: vec![TxSetup { ring_pa: TX, ring_size: RING, comp_pa: TX_COMP, comp_size: RING, vector: 0 }],
        rx: vec![RxSetup { ring_pa: [RX, 0], ring_size: [RING, 0], comp_pa: RX_COMP, comp_size: RING, vector: 0 }],
        mtu: 1500,
        filters,
        ..Activation::default()
    }
}

/// A guest reduced to the stores it cannot do without.
struct Poster {
    index: u32,
    generation: bool,
}

impl Poster {
    fn next(&mut self) {
        self.index += 1;
        if self.index == RING {
            self.index = 0;
            self.generation = !self.generation;
        }
    }

    fn tx_cell(&self, len: usize) -> u128 {
        let mut desc = TxDesc::default();
        desc.set_addr(BUFFERS + u64::from(self.index) * STRIDE);
        desc.set_len(len as u16);
        desc.set_generation(self.generation);
        desc.set_eop(true);
        desc.set_cq(true);
        desc.0
    }

    fn rx_cell(&self) -> u128 {
        let mut desc = RxDesc::default();
        desc.set_addr(BUFFERS + u64::from(RING + self.index) * STRIDE);
        desc.set_len(STRIDE as u16);
        desc.set_generation(self.generation);
        desc.0
    }

    fn post(&mut self, world: &mut World, ring: u64, cell: u128) {
        world.memory.write(ring + u64::from(self.index) * 16, &cell.to_le_bytes()).expect("in memory");
        self.next();
    }
}

/// The two bodies behind one face.
trait Device {
    fn ring_tx(&mut self, producer: u32);
    fn ring_rx(&mut self, producer: u32);
    fn give(&mut self, frame: &mut Vec<u8>) -> bool;
    fn run(&mut self, world: &mut World);
}

impl Device for Body {
    fn ring_tx(&mut self, producer: u32) {
        self.write_bar0(Bar0::TxProd(0), producer);
    }
    fn ring_rx(&mut self, _: u32) {}
    fn give(&mut self, frame: &mut Vec<u8>) -> bool {
        Body::give(self, frame)
    }
    fn run(&mut self, world: &mut World) {
        Body::run(self, world, u32::MAX);
    }
}

impl Device for Adapter {
    fn ring_tx(&mut self, producer: u32) {
        assert!(self.post(Register::Wq(0, WqReg::PostedIndex), producer));
    }
    fn ring_rx(&mut self, producer: u32) {
        assert!(self.post(Register::Rq(0, RqReg::PostedIndex), producer));
    }
    fn give(&mut self, frame: &mut Vec<u8>) -> bool {
        Adapter::give(self, frame)
    }
    fn run(&mut self, world: &mut World) {
        Adapter::run(self, world, u32::MAX);
    }
}

fn frame(len: usize) -> Vec<u8> {
    spec::frame::generated([0, 0x50, 0x56, 0, 0, 1], [2, 0, 0, 0, 0, 1], 7, 1, len)
}

/// A frame in every TX buffer. Memory that nobody wrote would be one and the same page of zeros.
fn fill(world: &mut World, len: usize) {
    for i in 0..RING {
        world.memory.write(BUFFERS + u64::from(i) * STRIDE, &frame(len)).expect("in memory");
    }
}

fn bare(c: &mut Criterion, name: &str, make: impl Fn(&mut World) -> Box<dyn Device>) {
    let mut group = c.benchmark_group(format!("{name} bare"));
    for len in [64usize, 1500] {
        group.throughput(Throughput::Elements(u64::from(BURST)));
        group.bench_function(format!("tx {len}"), |b| {
            let mut world = world();
            let mut device = make(&mut world);
            fill(&mut world, len);
            let mut poster = Poster { index: 0, generation: true };
            b.iter(|| {
                for _ in 0..BURST {
                    let cell = poster.tx_cell(len);
                    poster.post(&mut world, TX, cell);
                }
                device.ring_tx(poster.index);
                device.run(&mut world);
            });
            assert!(world.sent >= u64::from(BURST), "nothing was sent");
        });
        group.bench_function(format!("rx {len}"), |b| {
            let mut world = world();
            let mut device = make(&mut world);
            let frame = frame(len);
            let mut poster = Poster { index: 0, generation: true };
            let mut arriving = vec![Vec::new(); ARRIVING];
            b.iter_custom(|bursts| {
                let mut took = Duration::ZERO;
                for _ in 0..bursts {
                    for _ in 0..BURST {
                        let cell = poster.rx_cell();
                        poster.post(&mut world, RX, cell);
                    }
                    device.ring_rx(poster.index);
                    for _ in 0..BURST as usize / ARRIVING {
                        took += arrive(&frame, &mut arriving, |frames| {
                            let mut next = 0;
                            while next < ARRIVING {
                                while next < ARRIVING && device.give(&mut frames[next]) {
                                    next += 1;
                                }
                                device.run(&mut world);
                            }
                        });
                    }
                }
                took
            });
            let first = world.memory.cell(RX_COMP).expect("in memory");
            assert_ne!(first, 0, "nothing was received");
        });
    }
    group.finish();
}

/// Frames arrive together, each in a buffer of its own. What the wire does is no part of the time that `receive` takes.
fn arrive(frame: &[u8], arriving: &mut [Vec<u8>], receive: impl FnOnce(&mut [Vec<u8>])) -> Duration {
    for buffer in arriving.iter_mut() {
        buffer.clear();
        buffer.extend_from_slice(frame);
    }
    let receiving = Instant::now();
    receive(arriving);
    receiving.elapsed()
}

fn bodies(c: &mut Criterion) {
    bare(c, "software", |world| Box::new(software(activation(), world)));
    bare(c, "adapter", |world| Box::new(adapter(&activation(), world)));
}

/// The same bytes copied and nothing else, out of guest memory as a packet leaves and into it as one arrives, from buffers that
/// were filled and are timed as a device's are: what a packet costs at least.
fn copies(c: &mut Criterion) {
    let mut group = c.benchmark_group("bare copy");
    for len in [64usize, 1500] {
        group.throughput(Throughput::Elements(u64::from(BURST)));
        group.bench_function(format!("tx {len}"), |b| {
            let mut world = world();
            fill(&mut world, len);
            let mut into = vec![0; len];
            let mut at = 0;
            b.iter(|| {
                for _ in 0..BURST {
                    at = (at + 1) % RING;
                    world.memory.read(BUFFERS + u64::from(at) * STRIDE, &mut into).expect("in memory");
                    black_box(&mut into);
                }
            });
        });
        group.bench_function(format!("rx {len}"), |b| {
            let mut world = world();
            let frame = frame(len);
            let mut arriving = vec![Vec::new(); ARRIVING];
            let mut at = 0;
            b.iter_custom(|bursts| {
                let mut took = Duration::ZERO;
                for _ in 0..bursts * u64::from(BURST) / ARRIVING as u64 {
                    took += arrive(&frame, &mut arriving, |frames| {
                        for frame in frames {
                            at = (at + 1) % RING;
                            let pa = BUFFERS + u64::from(RING + at) * STRIDE;
                            world.memory.write(pa, black_box(frame)).expect("in memory");
                        }
                    });
                }
                took
            });
        });
    }
    group.finish();
}

/// A whole system whose guest is a poster, every monitor watching every access.
fn monitored(c: &mut Criterion) {
    let mut group = c.benchmark_group("under all monitors");
    for (name, hardware) in [("software", false), ("adapter", true)] {
        for len in [64usize, 1500] {
            group.throughput(Throughput::Elements(u64::from(BURST)));
            group.bench_function(format!("{name} tx {len}"), |b| {
                let (mut rig, mut judges, mut poster, ring, buffers) = watched(hardware, len);
                let (system, judges) = (&mut rig.machine.system, &mut judges);
                b.iter(|| {
                    for _ in 0..BURST {
                        let mut desc = TxDesc(poster.tx_cell(len));
                        desc.set_addr(buffers + u64::from(poster.index) * STRIDE);
                        let pa = ring + u64::from(poster.index) * 16;
                        system.guest_store(pa, &desc.0.to_le_bytes(), judges).expect("in memory");
                        poster.next();
                    }
                    assert!(system.guest_write(Bar::Bar0, Bar0::TxProd(0).offset(), poster.index, judges));
                    system.run_devices(u32::MAX, judges);
                });
                assert!(judges.is_clean(), "{:?}", judges.violations());
            });
        }
    }
    group.finish();
}

/// A machine brought up by a driver that then leaves the rings to a poster.
fn watched(hardware: bool, len: usize) -> (Rig, Judges, Poster, u64, u64) {
    let config = DriverConfig {
        tx_ring: RING,
        tx_comp: RING,
        tx_buffer_bytes: STRIDE as u16,
        rx_ring: [32, 0],
        rx_comp: 32,
        ..DriverConfig::default()
    };
    let mut judges = Judges::snoop();
    let mut rig = Rig::new(&Profile::REFERENCE, config, 4 << 20, 1).expect("the driver fits");
    assert!(rig.bring_up(&mut judges));
    if hardware {
        rig.machine.switch(Plan::enter(TxMode::Drain));
        assert!(rig.machine.settle(&mut judges, ROUNDS));
    }
    let area = Driver::layout(&rig.machine.guest).tx[0];
    assert!(area.ring >= BASE);
    for i in 0..RING {
        let pa = area.buffers + u64::from(i) * STRIDE;
        rig.machine.system.guest_store(pa, &frame(len), &mut judges).expect("in memory");
    }
    (rig, judges, Poster { index: 0, generation: true }, area.ring, area.buffers)
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).without_plots();
    targets = bodies, copies, monitored
}
criterion_main!(benches);
