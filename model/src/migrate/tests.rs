use super::*;
use crate::plane::{
    Activation, Filters, Interface, Progress, Rss, RxDataRing, RxProgress, RxSetup, TxProgress, TxSetup, VectorProgress,
};
use proptest::collection::vec;
use proptest::prelude::*;
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vmxnet3::Version;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};

fn ring(most: u32) -> impl Strategy<Value = (u64, u32, RingIndex)> {
    (1..=most / 32, 0u64..1 << 40, any::<u32>(), any::<bool>()).prop_map(|(steps, base, index, generation)| {
        let size = steps * 32;
        (base * 512, size, RingIndex::new(index % size, generation, size).unwrap())
    })
}

fn stop() -> impl Strategy<Value = Option<QueueError>> {
    proptest::option::of((0u32..8).prop_map(|code| QueueError::from(0x8000_0000 + code)))
}

fn tx() -> impl Strategy<Value = (TxSetup, TxProgress)> {
    (ring(4096), ring(4096), any::<u8>(), any::<u64>(), stop()).prop_map(|(ring, comp, vector, count, stopped)| {
        let mut progress = TxProgress { next: ring.2, comp: comp.2, stopped, ..TxProgress::default() };
        progress.counters.set_ucast_bytes_tx_ok(count);
        (TxSetup { ring_pa: ring.0, ring_size: ring.1, comp_pa: comp.0, comp_size: comp.1, vector }, progress)
    })
}

fn rx() -> impl Strategy<Value = (RxSetup, RxProgress)> {
    (ring(4096), proptest::option::of(ring(4096)), ring(8192), any::<u8>(), stop()).prop_map(
        |(ring0, ring1, comp, vector, stopped)| {
            let ring1 = ring1.unwrap_or((0, 0, RingIndex::START));
            let setup = RxSetup {
                ring_pa: [ring0.0, ring1.0],
                ring_size: [ring0.1, ring1.1],
                comp_pa: comp.0,
                comp_size: comp.1,
                vector,
            };
            let next = [ring0.2, ring1.2];
            (setup, RxProgress { next, comp: comp.2, stopped, ..RxProgress::default() })
        },
    )
}

prop_compose! {
    fn canon()(
        version in prop::sample::select(vec![1u8, 2, 3, 7, 9]),
        tx in vec(tx(), 1..=32),
        rx in vec(rx(), 1..=32),
        open in any::<[u128; 2]>(),
        levels in vec(0u8..9, 65),
        mac in any::<[u8; 6]>(),
        multicast in vec(any::<[u8; 6]>(), 0..4),
        bits in any::<[u32; 4]>(),
        mtu in 60u32..=9000,
        auto_mask in any::<bool>(),
        table in proptest::option::of(vec(0u8..8, 1..=128)),
        rate in proptest::option::of(100u32..=100_000),
    ) -> Canon {
        let mut filters = Filters { mac, multicast, rx_mode: bits[0], ..Filters::default() };
        filters.vlans[127] = bits[1];
        let rss = table.map(|table| Rss { hash_type: bits[2] as u16, key: [bits[3] as u8; 40], table });
        let width = WIDE.width(version);
        let tx: Vec<_> = tx.into_iter().take(width.tx_queues.into()).collect();
        let rx: Vec<_> = rx.into_iter().take(width.rx_queues.into()).collect();
        let vectors = std::array::from_fn(|i| VectorProgress { masked: open[0] >> i & 1 == 0, pending: open[1] >> i & 1 == 1 });
        let interface = Interface { version, ..Interface::default() };
        let extended = Version::of(version).is_extended(tx.len() as u8, rx.len() as u8);
        let mod_levels = std::array::from_fn(|i| if i < 25 || extended { levels[i] } else { 0 });
        Canon {
            activation: Activation {
                interface, mod_levels,
                tx: tx.iter().map(|t| t.0).collect(),
                rx: rx.iter().map(|r| r.0).collect(),
                auto_mask, mtu, filters, rss,
                coalesce: rate.map(at_rate).unwrap_or_default(),
                features: u64::from(bits[0]),
                rx_data: data_rings(rx.len(), bits[1]),
                ..Activation::default()
            },
            progress: Progress { tx: tx.iter().map(|t| t.1).collect(), rx: rx.iter().map(|r| r.1).collect(), vectors },
        }
    }
}

/// A scheme of `rate` interrupts a second.
fn at_rate(rate: u32) -> CoalesceScheme {
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(coalesce::RATE);
    scheme.set_coal_para([rate, 0, 0]);
    scheme
}

#[test]
fn a_scheme_is_the_last_part_where_one_is_in_force_and_within_its_bounds() {
    let plain = bytes_of(&sample());
    let mut canon = sample();
    for rate in [100, 100_000] {
        canon.activation.coalesce = at_rate(rate);
        let bytes = bytes_of(&canon);
        assert_eq!(Canon::decode(&bytes).unwrap().1, canon);
        assert!(bytes.len() > plain.len());
    }
    canon.activation.coalesce = at_rate(99);
    let refused = Canon::decode(&bytes_of(&canon)).unwrap_err();
    assert_eq!(refused.to_string(), "Coalesce 0: coalMode 0x3 is out of range");
}

/// Data rings of the queues whose bit is set in `bits`.
fn data_rings(queues: usize, bits: u32) -> Vec<RxDataRing> {
    let ring = |q: usize| match bits >> q & 1 {
        1 => RxDataRing { pa: 0x1000 + q as u64, entry_bytes: 64 * (1 + q as u16 % 32) },
        _ => RxDataRing::default(),
    };
    let rings: Vec<_> = (0..queues).map(ring).collect();
    if rings.iter().all(|ring| *ring == RxDataRing::default()) { Vec::new() } else { rings }
}

#[test]
fn a_data_ring_that_cannot_be_is_refused() {
    for (pa, entry_bytes) in [(0, 128), (1 << 40, 100), (1 << 40, 2112), (u64::MAX, 64)] {
        let mut canon = sample();
        canon.activation.rx_data = vec![RxDataRing { pa, entry_bytes }];
        let refused = Canon::decode(&bytes_of(&canon));
        assert!(matches!(refused, Err(RestoreError::Field { part: "RxData", index: 0, .. })), "{refused:?}");
    }
    let mut canon = sample();
    canon.activation.rx_data = vec![RxDataRing::default(); canon.activation.rx.len()];
    canon.activation.rx_data.push(RxDataRing { pa: 0x1000, entry_bytes: 64 });
    assert!(Canon::decode(&bytes_of(&canon)).is_err(), "of a queue that is not there");
}

fn bytes_of(canon: &Canon) -> Vec<u8> {
    let mut bytes = Vec::new();
    canon.encode(*WIDE, &mut bytes);
    bytes
}

/// A device of every version.
static WIDE: std::sync::LazyLock<&Profile> = std::sync::LazyLock::new(|| Profile::by_name("reference+v9").unwrap());

fn sample() -> Canon {
    let position = RingIndex::new(7, false, 64).unwrap();
    let mut canon = Canon {
        activation: Activation {
            tx: vec![TxSetup { ring_pa: 0x1000, ring_size: 64, comp_pa: 0x2000, comp_size: 64, vector: 0 }],
            rx: vec![RxSetup {
                ring_pa: [0x3000, 0x4000],
                ring_size: [64, 64],
                comp_pa: 0x5000,
                comp_size: 128,
                vector: 1,
            }],
            mtu: 1500,
            ..Activation::default()
        },
        progress: Progress::default(),
    };
    canon.progress.tx.push(TxProgress { next: position, ..TxProgress::default() });
    canon.progress.rx.push(RxProgress { next: [position; 2], ..RxProgress::default() });
    canon
}

#[test]
fn later_vectors_and_levels_take_room_only_where_they_are_not_as_after_reset() {
    let plain = bytes_of(&sample()).len();
    let mut canon = sample();
    canon.activation.interface.version = 9;
    let of_version = bytes_of(&canon).len();
    assert!(of_version > plain, "the version has a part of its own");
    canon.progress.vectors[64].masked = false;
    assert_eq!(Canon::decode(&bytes_of(&canon)).unwrap().1, canon);
    assert!(bytes_of(&canon).len() > of_version);
    canon.activation.tx = vec![canon.activation.tx[0]; 9];
    canon.progress.tx = vec![canon.progress.tx[0]; 9];
    let without = bytes_of(&canon).len();
    canon.activation.mod_levels[64] = 8;
    assert_eq!(Canon::decode(&bytes_of(&canon)).unwrap().1, canon);
    assert!(bytes_of(&canon).len() > without);
}

#[test]
fn what_no_driver_of_the_version_has_is_refused() {
    let refused = |change: fn(&mut Canon)| {
        let mut canon = sample();
        change(&mut canon);
        Canon::decode(&bytes_of(&canon)).expect_err("refused").to_string()
    };
    let nine = |canon: &mut Canon| {
        canon.activation.tx = vec![canon.activation.tx[0]; 9];
        canon.progress.tx = vec![canon.progress.tx[0]; 9];
    };
    assert_eq!(refused(nine), "Plane 0: numTxQueues 0x9 is out of range");
    let levels = refused(|canon| {
        canon.activation.interface.version = 9;
        canon.activation.mod_levels[25] = 1;
    });
    assert!(levels.contains("11"), "levels of the extended block where it is not in force: {levels}");
    // A device of fewer vectors has no later ones.
    let mut canon = sample();
    canon.progress.vectors[25].pending = true;
    let mut bytes = Vec::new();
    canon.encode(&Profile::REFERENCE, &mut bytes);
    assert_eq!(Canon::decode(&bytes).unwrap_err().to_string(), "LaterVectors 0: pending 0x1 is out of range");
}

proptest! {
    /// A round trip through bytes changes nothing.
    #[test]
    fn decode_is_the_inverse_of_encode(canon in canon()) {
        prop_assert_eq!(Canon::decode(&bytes_of(&canon)), Ok((*WIDE, canon)));
    }

    /// Whatever is decoded encodes to the very bytes it came from: nothing is ignored.
    #[test]
    fn a_changed_byte_is_refused_or_means_something(canon in canon(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = bytes_of(&canon);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok((profile, changed)) = Canon::decode(&bytes) {
            let mut again = Vec::new();
            changed.encode(profile, &mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    /// No byte string panics.
    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(Canon::decode(&bytes).is_err());
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = bytes_of(&sample());
    for end in 0..bytes.len() {
        assert!(matches!(Canon::decode(&bytes[..end]), Err(RestoreError::Truncated { .. })), "{end}");
    }
}

#[test]
fn a_position_outside_its_ring_is_named() {
    let mut canon = sample();
    canon.activation.tx[0].ring_size = 32;
    canon.progress.tx[0].next = RingIndex::new(40, true, 64).unwrap();
    let refused = Canon::decode(&bytes_of(&canon)).unwrap_err();
    assert_eq!(refused.to_string(), "TxQueue 0: txRing.next 0x28 is out of range");
}

#[test]
fn an_unknown_container_version_is_named() {
    let mut bytes = bytes_of(&sample());
    bytes[8] = 9;
    assert_eq!(Canon::decode(&bytes).unwrap_err().to_string(), "saved state is version 9; this build reads up to 1");
}

#[test]
fn a_missing_part_is_named() {
    let mut canon = sample();
    canon.progress.rx.clear();
    let refused = Canon::decode(&bytes_of(&canon)).unwrap_err();
    assert_eq!(refused, RestoreError::Missing { part: "RxQueue", index: 0 });
}
