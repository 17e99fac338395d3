//! Round trips per second: hardware to software to hardware, through bytes both ways and into fresh objects, with rescans and
//! validation, without monitors; and the bytes that cross.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::host::Bare;
use model::hypervisor::tear_down::{capture, stop};
use model::hypervisor::{Poll, Posted, Program, Scratch, Shadow, WithScratch, enter};
use model::memory::Memory;
use model::migrate::Canon;
use model::mutant::Planted;
use model::plane::{Activation, Progress, RxSetup, TxSetup, VectorProgress};
use model::vic::Adapter;
use model::vmxnet3::Body;
use spec::profile::Profile;
use spec::vmxnet3::{MAX_VECTORS, RxDesc, TxDesc};

const TX_RING: u32 = 512;
const RX_RINGS: [u32; 2] = [1024, 512];
const IN_FLIGHT: u32 = 8;
const BUFFERS: u64 = 0x40_0000;

/// A guest in the middle of its work: packets posted and not sent, receive rings full but for one cell.
fn guest(queues: u8) -> (Bare, Canon) {
    let mut memory = Memory::new(&[(0, 0x50_0000)]);
    let mut next = 0x1000u64;
    let mut place = |cells: u32| {
        let at = next;
        next += u64::from(cells) * 16;
        at
    };
    let mut activation = Activation { mtu: 1500, auto_mask: true, ..Activation::default() };
    for vector in 0..queues {
        let tx = TxSetup {
            ring_pa: place(TX_RING),
            ring_size: TX_RING,
            comp_pa: place(TX_RING),
            comp_size: TX_RING,
            vector,
        };
        let comp = RX_RINGS[0] + RX_RINGS[1];
        let rings = RX_RINGS.map(&mut place);
        let rx = RxSetup { ring_pa: rings, ring_size: RX_RINGS, comp_pa: place(comp), comp_size: comp, vector };
        for cell in 0..IN_FLIGHT {
            let mut desc = TxDesc::default();
            desc.set_addr(BUFFERS);
            desc.set_len(64);
            desc.set_generation(true);
            desc.set_eop(true);
            desc.set_cq(true);
            memory.write(tx.ring_pa + u64::from(cell) * 16, &desc.0.to_le_bytes()).expect("in memory");
        }
        for (ring, size) in RX_RINGS.into_iter().enumerate() {
            for cell in 0..size - 1 {
                let mut desc = RxDesc::default();
                desc.set_addr(BUFFERS);
                desc.set_len(2048);
                desc.set_btype(ring == 1);
                desc.set_generation(true);
                memory.write(rx.ring_pa[ring] + u64::from(cell) * 16, &desc.0.to_le_bytes()).expect("in memory");
            }
        }
        activation.tx.push(tx);
        activation.rx.push(rx);
    }
    let progress = Progress::fresh(&activation, [VectorProgress::default(); MAX_VECTORS]);
    (Bare::new(memory), Canon { activation, progress })
}

/// Lets the adapter follow a program, and nothing else happen on it: one step is enough for a command, for learning a generation
/// and for ending a stop.
fn drive(program: &mut Program, adapter: &mut Adapter, host: &mut Bare, scratch: &mut Scratch) {
    let mut host = WithScratch { scratch, host };
    loop {
        match program.step(adapter) {
            Poll::Pending => program.waits_for().into_iter().for_each(|unit| adapter.step(unit, &mut host)),
            Poll::Done => return,
            Poll::Failed(error) => panic!("{error}"),
        }
    }
}

fn onto_adapter(canon: &Canon, host: &mut Bare, scratch: &mut Scratch) -> (Adapter, Shadow) {
    let Canon { activation, progress } = canon;
    let posted = Posted::scan(activation, progress, &host.memory, Planted::NONE);
    let mut adapter = Adapter::new(&Profile::REFERENCE);
    let (ops, shadow) = enter(activation, progress, &posted, &Profile::REFERENCE, scratch, Planted::NONE);
    drive(&mut Program::new(ops, 10_000), &mut adapter, host, scratch);
    (adapter, shadow)
}

/// Leaves the adapter, becomes a software body through bytes, becomes bytes again, and enters a fresh adapter.
fn round_trip(
    canon: &mut Canon,
    (adapter, shadow): (Adapter, Shadow),
    bytes: &mut Vec<u8>,
    host: &mut Bare,
    scratch: &mut Scratch,
) -> (Adapter, Shadow) {
    let mut adapter = adapter;
    drive(&mut Program::new(stop(&shadow), 10_000), &mut adapter, host, scratch);
    let progress = capture(&mut adapter, &canon.activation, &host.memory, scratch, &canon.progress, Planted::NONE)
        .expect("a stopped adapter");
    canon.progress = progress;
    canon.encode(&Profile::REFERENCE, bytes);
    let (profile, arrived) = Canon::decode(bytes).expect("own bytes");
    let mut body = Body::resume(profile, &arrived.activation, &arrived.progress);
    body.rescan();
    let progress = {
        body.roll_back();
        body.progress().expect("at rest")
    };
    let back = Canon { activation: arrived.activation, progress };
    back.encode(profile, bytes);
    let (_, back) = Canon::decode(bytes).expect("own bytes");
    let hardware = onto_adapter(&back, host, scratch);
    *canon = back;
    hardware
}

fn moves(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip");
    for queues in [1u8, 8] {
        let (mut host, mut canon) = guest(queues);
        // Whatever is sent in between would end the packets in flight.
        host.busy = true;
        let mut scratch = Scratch::default();
        let mut bytes = Vec::new();
        let before = canon.clone();
        let mut hardware = Some(onto_adapter(&canon, &mut host, &mut scratch));
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{queues}+{queues} queues"), |b| {
            b.iter(|| {
                let there = hardware.take().expect("the adapter");
                hardware = Some(round_trip(&mut canon, there, &mut bytes, &mut host, &mut scratch));
            });
        });
        assert_eq!(canon, before, "a round trip changes nothing");
        println!("saved state of {queues}+{queues} queues: {} bytes", bytes.len());
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(500)).measurement_time(std::time::Duration::from_secs(2)).without_plots();
    targets = moves
}
criterion_main!(benches);
