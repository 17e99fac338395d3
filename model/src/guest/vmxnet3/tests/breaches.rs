//! Every breach, fired by the least that deserves it.

use super::fake::Rig;
use super::*;
use pretty_assertions::assert_eq;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::{RXCOMP, RXCOMP_LRO};
use spec::vmxnet3::{RxDesc, TxCompDesc};

#[test]
fn the_kind_of_interrupts() {
    use super::super::config::Vectors::{Buddy, Intx, Msi};
    // Type, and the kinds that a driver may have then.
    for (answer, allowed) in [
        (0, &[Buddy, Msi, Intx][..]),
        (1, &[Intx][..]),
        (2, &[Msi, Intx][..]),
        (3, &[Buddy, Msi, Intx][..]),
        (4, &[Buddy, Msi, Intx][..]),
        (8, &[][..]),
    ] {
        for vectors in [Buddy, Msi, Intx] {
            let mut rig = Rig::down(DriverConfig { vectors, ..DriverConfig::tiny() });
            rig.fake.conf_intr = answer;
            rig.driver.bring_up();
            rig.settle();
            let breach = Breach::InterruptKind { value: answer };
            let expected = if allowed.contains(&vectors) { vec![] } else { vec![breach] };
            assert_eq!(rig.driver.breaches(), expected, "{answer} for {vectors:?}");
        }
    }
}

/// A completion of the first buffer of ring 0 that no driver minds.
fn good() -> RxCompDesc {
    let mut comp = RxCompDesc::default();
    comp.set_sop(true);
    comp.set_eop(true);
    comp.set_len(60);
    comp.set_kind(RXCOMP);
    comp.set_cnc(true);
    comp
}

fn with(change: impl FnOnce(&mut RxCompDesc)) -> RxCompDesc {
    let mut comp = good();
    change(&mut comp);
    comp
}

fn of(config: DriverConfig, comps: &[RxCompDesc]) -> Vec<Breach> {
    let mut rig = Rig::up(config);
    for comp in comps {
        rig.fake.complete(0, *comp);
    }
    rig.driver.interrupt(0);
    rig.settle();
    rig.driver.breaches().to_vec()
}

fn receiving(comps: &[RxCompDesc]) -> Vec<Breach> {
    of(DriverConfig::tiny(), comps)
}

#[test]
fn a_good_completion_is_no_breach() {
    assert_eq!(receiving(&[good()]), []);
}

#[test]
fn probing() {
    let mut rig = Rig::down(DriverConfig::tiny());
    (rig.fake.vrrs, rig.fake.uvrs, rig.fake.activate_answer) = (2, 2, 7);
    rig.driver.bring_up();
    rig.settle();
    let expected = [Breach::Version { value: 2 }, Breach::UptVersion { value: 2 }, Breach::ActivateRefused { code: 7 }];
    assert_eq!(rig.driver.breaches(), expected);
    assert_eq!(rig.driver.phase(), Phase::Failed);
    assert_eq!(rig.values_of(Bar::Bar1, Bar1::Dsah.offset()).last(), Some(&0));
    rig.fake.activate_answer = 0;
    assert!(rig.driver.bring_up());
    rig.settle();
    assert_eq!(rig.driver.phase(), Phase::Up);
}

fn transmitting(comps: &[u128]) -> Vec<Breach> {
    let mut rig = Rig::up(DriverConfig::tiny());
    rig.driver.send(0, &Packet::plain(vec![0; 100]));
    rig.driver.send(0, &Packet::plain(vec![0; 60]));
    while rig.driver.step(&mut rig.fake) {}
    for comp in comps {
        rig.fake.complete_tx(0, TxCompDesc(*comp));
    }
    rig.fake.active = false;
    rig.driver.interrupt(0);
    rig.settle();
    rig.driver.breaches().to_vec()
}

#[test]
fn transmit_completions() {
    assert_eq!(transmitting(&[1, 2]), []);
    assert_eq!(transmitting(&[2]), [Breach::TxOutOfOrder { queue: 0, index: 2, expected: 1 }]);
    assert_eq!(transmitting(&[0]), [Breach::TxNotOutstanding { queue: 0, index: 0 }]);
    assert_eq!(transmitting(&[1, 1]), [Breach::TxNotOutstanding { queue: 0, index: 1 }]);
    let cell = 1 | 1 << 40;
    assert_eq!(transmitting(&[cell]), [Breach::TxReserved { queue: 0, cell: cell | 1 << 127 }]);
}

#[test]
fn rings_named_by_receive_completions() {
    let id = |id| with(|c| c.set_rq_id(id));
    assert_eq!(receiving(&[id(3)]), [Breach::RxQueueId { queue: 0, id: 3 }]);
    assert_eq!(receiving(&[id(2)]), [Breach::RxDataRing { queue: 0, id: 2 }]);
    let alone = DriverConfig { rx_ring: [4, 0], ..DriverConfig::tiny() };
    assert_eq!(of(alone, &[id(1)]), [Breach::RxQueueId { queue: 0, id: 1 }]);
}

#[test]
fn descriptors_named_by_receive_completions() {
    let index = |index| with(|c| c.set_rxd_idx(index));
    assert_eq!(receiving(&[index(3)]), [Breach::RxNotOwned { queue: 0, ring: 0, index: 3 }]);
    assert_eq!(receiving(&[index(4)]), [Breach::RxNotOwned { queue: 0, ring: 0, index: 4 }]);
    assert_eq!(receiving(&[good(), good()]), [Breach::RxNotOwned { queue: 0, ring: 0, index: 0 }]);
    assert_eq!(receiving(&[index(2)]), []);
}

#[test]
fn a_descriptor_the_device_wrote() {
    for (at, byte) in [(0, 0x77), (8, 0x77)] {
        let mut rig = Rig::up(DriverConfig::tiny());
        let pa = rig.driver.layout().rx[0].ring[0];
        rig.fake.memory.write(pa + at, &[byte]).unwrap();
        let cell = rig.fake.memory.cell(pa).unwrap();
        rig.fake.complete(0, good());
        rig.driver.interrupt(0);
        rig.settle();
        assert_eq!(rig.driver.breaches(), [Breach::RxDescChanged { queue: 0, ring: 0, index: 0, cell }]);
        assert_ne!(RxDesc(cell), RxDesc::default());
    }
}

#[test]
fn heads_and_bodies() {
    let start_in_1 = with(|c| c.set_rq_id(1));
    assert_eq!(receiving(&[start_in_1]), [Breach::RxHead { queue: 0, ring: 1, index: 0 }]);
    let open = with(|c| c.set_eop(false));
    let on = with(|c| {
        c.set_sop(false);
        c.set_rxd_idx(1);
    });
    assert_eq!(receiving(&[open, on]), [Breach::RxBody { queue: 0, ring: 0, index: 1 }]);
    let pattern = DriverConfig { head_every: 2, ..DriverConfig::tiny() };
    assert_eq!(of(pattern.clone(), &[open, on]), []);
    let start_in_body = with(|c| c.set_rxd_idx(1));
    assert_eq!(of(pattern, &[start_in_body]), [Breach::RxHead { queue: 0, ring: 0, index: 1 }]);
}

#[test]
fn grammar_of_packets() {
    let open = with(|c| c.set_eop(false));
    let again = with(|c| c.set_rxd_idx(1));
    assert_eq!(receiving(&[open, again]), [Breach::RxGrammar { queue: 0, entry: 1, sop: true }]);
    let stray = with(|c| {
        c.set_sop(false);
        c.set_rq_id(1);
    });
    assert_eq!(receiving(&[stray]), [Breach::RxGrammar { queue: 0, entry: 0, sop: false }]);
}

#[test]
fn too_many_buffers() {
    let config = DriverConfig { rx_ring: [4, 32], rx_comp: 36, poll_budget: 64, ..DriverConfig::tiny() };
    let mut comps = vec![with(|c| c.set_eop(false))];
    comps.extend((0..18).map(|i| {
        with(|c| {
            c.set_sop(false);
            c.set_eop(i == 17);
            c.set_rq_id(1);
            c.set_rxd_idx(i);
        })
    }));
    assert_eq!(of(config.clone(), &comps), [Breach::RxTooManyBuffers { queue: 0, buffers: 19 }]);
    comps[17].set_eop(true);
    assert_eq!(of(config, &comps[..18]), []);
}

#[test]
fn lengths() {
    for len in [0, 65] {
        assert_eq!(receiving(&[with(|c| c.set_len(len))]), [Breach::RxLength { queue: 0, index: 0, len }]);
    }
}

#[test]
fn flags() {
    let open_with = |change: fn(&mut RxCompDesc)| {
        with(|c| {
            c.set_eop(false);
            change(c);
        })
    };
    assert_eq!(receiving(&[open_with(|c| c.set_err(true))]), [Breach::RxError { queue: 0, entry: 0 }]);
    assert_eq!(receiving(&[with(|c| c.set_err(true))]), []);
    assert_eq!(receiving(&[with(|c| c.set_ts(true))]), [Breach::RxTag { queue: 0, entry: 0 }]);
    let stripping = DriverConfig { features: feature::RXVLAN, ..DriverConfig::tiny() };
    assert_eq!(of(stripping.clone(), &[with(|c| c.set_ts(true))]), []);
    assert_eq!(of(stripping, &[open_with(|c| c.set_ts(true))]), [Breach::RxTag { queue: 0, entry: 0 }]);
    let checked = |change: fn(&mut RxCompDesc)| {
        with(|c| {
            c.set_cnc(false);
            c.set_tuc(true);
            c.set_ipc(true);
            change(c);
        })
    };
    assert!(matches!(receiving(&[checked(|_| {})])[..], [Breach::RxChecksum { queue: 0, .. }]));
    assert_eq!(receiving(&[checked(|c| c.set_tcp(true))]), []);
    let fragment = checked(|c| {
        c.set_udp(true);
        c.set_frg(true);
    });
    assert!(matches!(receiving(&[fragment])[..], [Breach::RxChecksum { queue: 0, .. }]));
}

#[test]
fn merged_packets() {
    let merged = |segments| {
        with(|c| {
            c.set_kind(RXCOMP_LRO);
            c.set_rss_hash(segments);
        })
    };
    assert_eq!(receiving(&[merged(2)]), [Breach::LroUnasked { queue: 0, entry: 0 }]);
    let lro = DriverConfig { features: feature::LRO, ..DriverConfig::tiny() };
    assert_eq!(of(lro.clone(), &[merged(2)]), []);
    assert_eq!(of(lro, &[merged(0x100)]), [Breach::LroSegments { queue: 0, entry: 0 }]);
}

#[test]
fn falling_counters() {
    let mut rig = Rig::up(DriverConfig::tiny());
    let (tx, rx) = (rig.driver.layout().tx_queue_desc(0) + 88, rig.driver.layout().rx_queue_desc(0) + 88);
    for (t, r) in [(5u64, 5u64), (5, 6), (4, 6), (4, 5)] {
        rig.fake.memory.write(tx + 16, &t.to_le_bytes()).unwrap();
        rig.fake.memory.write(rx + 72, &r.to_le_bytes()).unwrap();
        rig.driver.get_stats();
        rig.settle();
    }
    let expected =
        [Breach::StatsFell { tx: true, queue: 0, counter: 2 }, Breach::StatsFell { tx: false, queue: 0, counter: 9 }];
    assert_eq!(rig.driver.breaches(), expected);
    assert_eq!(rig.driver.stats().0[0].ucast_pkts_tx_ok(), 4);
}

#[test]
fn breaches_are_bounded_and_name_clauses() {
    let mut rig = Rig::up(DriverConfig { tx_ring: 32, tx_comp: 32, ..DriverConfig::tiny() });
    for _ in 0..5 {
        for _ in 0..20 {
            rig.fake.complete_tx(0, TxCompDesc(9));
        }
        rig.driver.interrupt(0);
        rig.settle();
    }
    assert_eq!((rig.driver.breaches().len(), rig.driver.breach_count()), (64, 100));
    assert_eq!(rig.driver.breaches()[0].clause(), "VMX-TX-008");
}
