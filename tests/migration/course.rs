//! Small machines and scripts for properties, in a form that shrinks.

use model::guest::script::{Op, print};
use model::guest::shape::{Body, Shape, To, WireShape, Work};
use model::guest::vmxnet3::DriverConfig;
use model::machine::Rig;
use proptest::collection::vec;
use proptest::prelude::*;
use spec::monitor::Judges;
use spec::profile::Profile;
use spec::vmxnet3::command::{feature, rx_mode};

/// Guest memory of a small machine, bytes.
pub const BYTES: usize = 1 << 16;

/// A guest with rings of a few cells, `queues` queue pairs.
pub fn config(queues: u8, auto_mask: bool) -> DriverConfig {
    DriverConfig {
        tx_queues: queues,
        rx_queues: queues,
        tx_ring: 6,
        tx_comp: 6,
        rx_ring: [5, 3],
        rx_comp: 8,
        head_bytes: 64,
        body_bytes: 64,
        tx_buffer_bytes: 96,
        auto_mask,
        features: feature::RXCSUM | feature::RXVLAN,
        rx_mode: rx_mode::UCAST | rx_mode::BCAST | rx_mode::MCAST,
        poison: true,
        ..DriverConfig::tiny()
    }
}

/// A machine that has been brought up, watched by judges.
pub fn machine(queues: u8, auto_mask: bool) -> (Rig, Judges) {
    let mut rig = Rig::new(&Profile::SMALL, config(queues, auto_mask), BYTES, 5).expect("the driver fits");
    let mut judges = Judges::snoop();
    assert!(rig.bring_up(&mut judges));
    (rig, judges)
}

/// The same with interrupts that are spaced: rings as small as that device takes them.
pub fn spaced_machine(auto_mask: bool) -> (Rig, Judges) {
    let config = DriverConfig {
        ring_align: 512,
        tx_ring: 32,
        tx_comp: 32,
        rx_ring: [32, 32],
        rx_comp: 64,
        mod_level: 7,
        ..config(1, auto_mask)
    };
    let mut rig = Rig::new(&Profile::MODERATED, config, BYTES, 5).expect("the driver fits");
    let mut judges = Judges::snoop();
    assert!(rig.bring_up(&mut judges));
    (rig, judges)
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![4 => Just(Body::Raw), 1 => Just(Body::Udp4), 1 => Just(Body::Tcp4), 1 => Just(Body::Tcp6)]
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![6 => Just(To::Peer), 1 => Just(To::Broadcast), 1 => Just(To::Foreign), 1 => (0u8..4).prop_map(To::Group)]
}

prop_compose! {
    fn packet()(
        len in 14u32..180,
        fragments in 1u8..4,
        body in body(),
        work in prop_oneof![3 => Just(Work::None), 1 => Just(Work::Checksum), 1 => (8u16..64).prop_map(Work::Segment)],
        vlan in proptest::option::weighted(0.2, any::<u16>()),
        to in to(),
    ) -> Shape {
        Shape { len, fragments, body, work, vlan, to, flow: 0 }
    }
}

prop_compose! {
    fn frame()(
        len in 14u32..200,
        body in body(),
        tag in proptest::option::weighted(0.2, any::<u16>()),
        bad in proptest::bool::weighted(0.1),
        to in to(),
    ) -> WireShape {
        WireShape { len, body, tag, bad, to, flow: 0 }
    }
}

/// One operation of a guest, its wire or the scheduler; no switch.
pub fn op(queues: u8) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..queues, packet()).prop_map(|(queue, shape)| Op::Send { queue, shape }),
        3 => (0..queues).prop_map(|queue| Op::Kick { queue }),
        6 => frame().prop_map(|shape| Op::Offer { shape }),
        6 => (1u16..30, any::<u16>()).prop_map(|(count, pick)| Op::Step { count, pick }),
        1 => any::<bool>().prop_map(|ready| Op::Wire { ready }),
        1 => (0u32..32).prop_map(|bits| Op::RxMode { bits }),
        1 => (0u8..4).prop_map(|groups| Op::Multicast { groups }),
        1 => Just(Op::Stats),
        1 => Just(Op::Settle),
    ]
}

/// A script without switches.
pub fn script(queues: u8, most: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(queues), 1..most)
}

/// Fails with the script as a file would hold it, ready to be kept.
pub fn check(rig: &Rig, judges: &Judges, ops: &[Op], note: &str) -> Result<(), TestCaseError> {
    let breaches = rig.machine.guest.breaches();
    if judges.is_clean() && breaches.is_empty() {
        return Ok(());
    }
    let broken: Vec<_> = judges.violations().iter().map(|v| (v.clause.id(), v.what, v.at)).collect();
    Err(TestCaseError::fail(format!("{note}\n{broken:?}\n{breaches:?}\nscript:\n{}", print(ops))))
}
