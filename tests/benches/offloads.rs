//! What offloads cost: each road of each body beside a bare copy of the same bytes. A time is that of 16 packets before
//! segmentation, or of 16 frames.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::guest::shape::{self, Shape, WireShape, Work};
use spec::vmxnet3::command::feature;
use std::time::{Duration, Instant};
use vnic::bare::{ARRIVING, Bare, Config, Kind};

/// Packets between two doorbells.
const BURST: u32 = 16;
const KINDS: [(&str, Kind); 2] = [("software", Kind::Software), ("adapter", Kind::Adapter)];

fn sent(c: &mut Criterion) {
    let tcp4 = Shape { len: 1514, fragments: 1, body: shape::Body::Tcp4, ..Shape::default() };
    for (what, shape) in [
        ("plain 1514", tcp4),
        ("checksum 1514", Shape { work: Work::Checksum, ..tcp4 }),
        ("tag inserted 1514", Shape { vlan: Some(5), ..tcp4 }),
        ("TSO IPv4 64 KiB", Shape { len: 65_549, work: Work::Segment(1448), ..tcp4 }),
        ("TSO IPv6 64 KiB", Shape { len: 65_549, work: Work::Segment(1428), body: shape::Body::Tcp6, ..tcp4 }),
    ] {
        let mut group = c.benchmark_group(format!("send {what}"));
        let mut copy = Bare::new(Kind::Software, &Config::default());
        let mut into = vec![0; copy.load(&shape)];
        group.throughput(Throughput::Elements(BURST.into()));
        group.bench_function("copy", |b| b.iter(|| (0..BURST).for_each(|_| copy.copy_out(&mut into))));
        for (name, kind) in KINDS {
            let mut bare = Bare::new(kind, &Config { mtu: 9000, ..Config::default() });
            bare.load(&shape);
            group.bench_function(name, |b| b.iter(|| bare.send(BURST)));
            assert!(bare.world.sent > 0, "nothing was sent");
        }
        group.finish();
    }
}

fn received(c: &mut Criterion) {
    let tcp4 = WireShape { len: 1514, body: shape::Body::Tcp4, ..WireShape::default() };
    let plain = Config::default();
    for (what, config, shape) in [
        ("plain 1514", plain, tcp4),
        ("checksum 1514", Config { features: feature::RXCSUM, ..plain }, tcp4),
        ("tag stripped 1514", Config { features: feature::RXVLAN, ..plain }, WireShape { tag: Some(5), ..tcp4 }),
        ("RSS over 8 queues 1514", Config { queues: 8, rss: true, features: feature::RSS, ..plain }, tcp4),
        ("five buffers 9014", Config { mtu: 9000, ..plain }, WireShape { len: 9014, ..tcp4 }),
        ("data ring 128", Config { data_entry: 128, ..plain }, WireShape { len: 128, ..tcp4 }),
    ] {
        let mut group = c.benchmark_group(format!("receive {what}"));
        group.throughput(Throughput::Elements(ARRIVING as u64));
        let mut copy = Bare::new(Kind::Software, &config);
        let frames = offered(&mut copy, &shape);
        let mut turn = 0;
        group.bench_function("copy", |b| {
            b.iter_custom(|bursts| {
                timed(bursts, &frames, |arriving| {
                    let starting = Instant::now();
                    for frame in arriving.iter() {
                        turn += 1;
                        copy.copy_in(turn, frame, &config);
                    }
                    starting.elapsed()
                })
            });
        });
        for (name, kind) in KINDS {
            let mut bare = Bare::new(kind, &config);
            let frames = offered(&mut bare, &shape);
            group.bench_function(name, |b| {
                b.iter_custom(|bursts| {
                    timed(bursts, &frames, |arriving| {
                        let starting = Instant::now();
                        bare.receive(arriving);
                        let took = starting.elapsed();
                        bare.reap();
                        took
                    })
                });
            });
            assert!(bare.received[0] > 0, "nothing was received");
        }
        group.finish();
    }
}

/// Frames of one shape, of as many flows.
fn offered(bare: &mut Bare, shape: &WireShape) -> Vec<Vec<u8>> {
    (0..ARRIVING as u16).map(|flow| bare.frame(&WireShape { flow, ..*shape })).collect()
}

/// Frames arrive together, each in a buffer of its own. What the wire does is no part of the time that `receive` tells.
fn timed(bursts: u64, frames: &[Vec<u8>], mut receive: impl FnMut(&mut [Vec<u8>]) -> Duration) -> Duration {
    let mut arriving = vec![Vec::new(); frames.len()];
    let mut took = Duration::ZERO;
    for _ in 0..bursts {
        for (buffer, frame) in arriving.iter_mut().zip(frames) {
            buffer.clear();
            buffer.extend_from_slice(frame);
        }
        took += receive(&mut arriving);
    }
    took
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).without_plots();
    targets = sent, received
}
criterion_main!(benches);
