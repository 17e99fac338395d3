//! In steady state no packet allocates: once a body has seen as much of a kind of traffic as it holds at a time, more of it takes
//! no memory from the allocator, and gives none back.

use allocation_counter::{AllocationInfo, measure};
use model::guest::shape::{self, Shape, WireShape, Work};
use spec::vmxnet3::command::feature;
use vnic::bare::{ARRIVING, Bare, Config, Kind};

/// Bursts before allocations count, and those after.
const BURSTS: u32 = 64;

/// Sends `shape` in bursts, and says what those after the first took.
fn sending(kind: Kind, queues: u8, shape: &Shape) -> AllocationInfo {
    let mut bare = Bare::new(kind, &Config { queues, mtu: 9000, ..Config::default() });
    bare.load(shape);
    (0..BURSTS).for_each(|_| bare.send(8));
    let before = bare.world.sent;
    let taken = measure(|| (0..BURSTS).for_each(|_| bare.send(8)));
    assert!(bare.world.sent >= before + u64::from(BURSTS) * 8 * u64::from(queues), "not all was sent");
    taken
}

/// Offers frames of `shape` in bursts, of so many flows, and says what those after the first took. Says too how many were received,
/// and how many of them from the data ring.
fn receiving(kind: Kind, config: &Config, shape: &WireShape, flows: u16) -> (AllocationInfo, [u64; 2]) {
    let mut bare = Bare::new(kind, config);
    let offered: Vec<_> = (0..ARRIVING as u16).map(|i| bare.frame(&WireShape { flow: i % flows, ..*shape })).collect();
    let mut arriving = std::iter::repeat_with(|| Vec::with_capacity(16 << 10)).take(ARRIVING).collect::<Vec<_>>();
    let mut burst = |bare: &mut Bare| {
        for (buffer, frame) in arriving.iter_mut().zip(&offered) {
            buffer.clear();
            buffer.extend_from_slice(frame);
        }
        bare.receive(&mut arriving);
        bare.reap();
    };
    (0..BURSTS).for_each(|_| burst(&mut bare));
    let before = bare.received;
    let taken = measure(|| (0..BURSTS).for_each(|_| burst(&mut bare)));
    (taken, [0, 1].map(|i| bare.received[i] - before[i]))
}

fn none(what: &str, kind: Kind, taken: &AllocationInfo) {
    assert_eq!((taken.count_total, taken.count_current), (0, 0), "{kind:?}: {what} takes {} bytes", taken.bytes_total);
}

const KINDS: [Kind; 2] = [Kind::Software, Kind::Adapter];

#[test]
fn no_packet_sent_allocates() {
    let tcp4 = Shape { len: 1514, fragments: 1, body: shape::Body::Tcp4, ..Shape::default() };
    let shapes = [
        ("a short packet", Shape { len: 60, body: shape::Body::Raw, ..tcp4 }),
        ("a packet", tcp4),
        ("a packet in pieces", Shape { fragments: 6, ..tcp4 }),
        ("a checksum", Shape { work: Work::Checksum, ..tcp4 }),
        ("a tag", Shape { vlan: Some(5), ..tcp4 }),
        ("segmentation of IPv4", Shape { len: 20_000, work: Work::Segment(1448), ..tcp4 }),
        ("segmentation of IPv6", Shape { len: 20_000, work: Work::Segment(1428), body: shape::Body::Tcp6, ..tcp4 }),
        (
            "segmentation with a tag",
            Shape { len: 20_000, work: Work::Segment(1448), vlan: Some(5), fragments: 5, ..tcp4 },
        ),
        ("the longest packet", Shape { len: 65_549, work: Work::Segment(8948), ..tcp4 }),
    ];
    for kind in KINDS {
        for queues in [1, 8] {
            for (what, shape) in &shapes {
                none(what, kind, &sending(kind, queues, shape));
            }
        }
    }
}

#[test]
fn no_frame_received_allocates() {
    let tcp4 = WireShape { len: 1514, body: shape::Body::Tcp4, ..WireShape::default() };
    let plain = Config::default();
    let checked = Config { features: feature::RXCSUM, ..plain };
    let cases = [
        ("a runt", plain, WireShape { len: 42, body: shape::Body::Udp4, ..tcp4 }),
        ("a frame", plain, tcp4),
        ("a checksum", checked, tcp4),
        ("a wrong checksum", checked, WireShape { bad: true, ..tcp4 }),
        ("a tag", Config { features: feature::RXVLAN, ..plain }, WireShape { tag: Some(5), ..tcp4 }),
        ("several buffers", Config { mtu: 9000, ..plain }, WireShape { len: 9014, ..tcp4 }),
        ("a frame in the data ring", Config { data_entry: 128, ..plain }, WireShape { len: 100, ..tcp4 }),
        ("a frame past the data ring", Config { data_entry: 128, ..plain }, tcp4),
    ];
    for kind in KINDS {
        for queues in [1, 8] {
            for (what, config, shape) in &cases {
                let config = Config { queues, rss: queues > 1, features: config.features | feature::RSS, ..*config };
                let (taken, [received, short]) = receiving(kind, &config, shape, u16::from(queues) * 2);
                assert_eq!(received, u64::from(BURSTS) * ARRIVING as u64, "{kind:?}: {what}: not all was received");
                assert_eq!(short > 0, kind == Kind::Software && what.ends_with("in the data ring"), "{kind:?}: {what}");
                none(what, kind, &taken);
            }
        }
    }
}

/// The counter counts: a body that meets its first packets does allocate.
#[test]
fn a_body_that_warms_up_is_seen_to_allocate() {
    for kind in KINDS {
        let taken = measure(|| {
            let mut bare = Bare::new(kind, &Config::default());
            bare.load(&Shape { len: 1514, fragments: 1, ..Shape::default() });
            bare.send(8);
        });
        assert!(taken.count_total > 0, "{kind:?}");
    }
}
