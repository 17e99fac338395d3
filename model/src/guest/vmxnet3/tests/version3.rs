//! What the driver does with a device of version 3: data rings and coalescing.

use super::fake::Rig;
use super::*;
use crate::guest::packet::{Fragments, Offload};
use pretty_assertions::assert_eq;
use spec::vmxnet3::rx::RXCOMP;
use spec::vmxnet3::shared::coalesce;
use spec::vmxnet3::{RxQueueDesc, TxDesc, TxQueueDesc};

fn up(config: DriverConfig, vrrs: u32, tx_data: u32) -> Rig {
    let mut rig = Rig::down(config);
    (rig.fake.vrrs, rig.fake.tx_data) = (vrrs, tx_data);
    rig.driver.bring_up();
    rig.settle();
    assert_eq!(rig.driver.phase(), Phase::Up);
    rig
}

fn newest() -> DriverConfig {
    DriverConfig { head_bytes: 256, keep_received: true, ..DriverConfig::default() }.with_data_rings()
}

#[test]
fn the_device_says_how_long_an_entry_is_and_128_stands_for_nonsense() {
    for (vrrs, answer, expected) in [
        (7, 128, 128),
        (7, 192, 192),
        (7, 256, 256),
        (7, 320, 0),
        (7, 0, 128),
        (7, 100, 128),
        (7, 4096, 128),
        (3, 0, 128),
    ] {
        let rig = up(newest(), vrrs, answer);
        assert_eq!(rig.driver.tx_data_bytes(), expected, "VRRS {vrrs:#x}, answer {answer}");
        let told = rig.driver.breaches().contains(&Breach::TxDataSize { value: answer });
        assert_eq!(told, matches!(answer, 100 | 4096));
        let desc: TxQueueDesc = rig.fake.memory.get(rig.driver.layout().tx_queue_desc(0)).unwrap();
        let conf = desc.conf();
        assert_eq!((conf.data_ring_base_pa() != 0, conf.data_ring_size() != 0), (expected != 0, expected != 0));
        assert_eq!(conf.tx_data_ring_desc_size(), if vrrs == 7 { expected } else { 0 });
    }
    assert_eq!(up(DriverConfig { tx_data_bytes: 0, ..newest() }, 7, 128).driver.tx_data_bytes(), 0);
}

/// Addresses and lengths of the descriptors of one packet.
fn posted(packet: &Packet) -> (Rig, Vec<(u64, usize)>) {
    let mut rig = up(newest(), 7, 128);
    assert!(rig.driver.send(0, packet));
    while rig.driver.step(&mut rig.fake) {}
    let ring = rig.driver.layout().tx[0].ring;
    let mut cells = Vec::new();
    loop {
        let desc = TxDesc(rig.fake.memory.cell(ring + 16 * cells.len() as u64).unwrap());
        cells.push((desc.addr(), desc.bytes()));
        if desc.eop() {
            break;
        }
    }
    rig.driver.kick(0);
    rig.settle();
    assert_eq!(rig.fake.wire, [&packet.frame[..]]);
    (rig, cells)
}

#[test]
fn headers_and_short_packets_go_by_the_data_ring() {
    let packet = |len: usize, offload| Packet { offload, ..Packet::plain((0..len).map(|i| i as u8).collect()) };
    let lengths = |packet: &Packet| {
        let (rig, cells) = posted(packet);
        let data = rig.driver.layout().tx[0].data;
        let copied = cells.iter().map(|cell| cell.0 == data).collect::<Vec<_>>();
        assert!(!copied[1..].contains(&true), "only the first descriptor may");
        (copied[0], cells.iter().map(|cell| cell.1).collect::<Vec<_>>())
    };
    assert_eq!(lengths(&packet(60, Offload::None)), (true, vec![60]));
    assert_eq!(lengths(&packet(128, Offload::None)), (true, vec![128]));
    assert_eq!(lengths(&packet(300, Offload::None)), (true, vec![128, 172]));
    let segment = |headers| Offload::Segment { headers, mss: 100 };
    assert_eq!(lengths(&packet(300, segment(54))), (true, vec![54, 246]));
    assert_eq!(lengths(&packet(300, segment(129))), (false, vec![300]), "headers longer than an entry");
    let mut split = packet(300, segment(54));
    split.fragments = Fragments::default();
    assert!(split.fragments.push(20) && split.fragments.push(280));
    assert_eq!(lengths(&split), (false, vec![20, 280]), "headers in two fragments");
    let mut most = packet(32, Offload::None);
    most.fragments = Fragments::default();
    (0..16).for_each(|_| assert!(most.fragments.push(2)));
    assert_eq!(lengths(&most).1.len(), 16, "a first fragment that is whole takes no further descriptor");
}

/// A frame in entry `index` of the data ring and the completion that names it.
fn copied(rig: &mut Rig, index: u16, len: u16, set: impl FnOnce(&mut RxCompDesc)) {
    let pa = rig.driver.layout().rx[0].data + 128 * u64::from(index);
    rig.fake.memory.write(pa, &[index as u8 + 1; 128]).unwrap();
    let mut comp = RxCompDesc::default();
    comp.set_rxd_idx(index);
    comp.set_rq_id(2);
    comp.set_sop(true);
    comp.set_eop(true);
    comp.set_len(len);
    comp.set_cnc(true);
    comp.set_kind(RXCOMP);
    set(&mut comp);
    rig.fake.complete(0, comp);
    rig.driver.interrupt(0);
    rig.settle();
}

#[test]
fn frames_are_taken_from_the_data_ring_and_their_buffers_are_given_again() {
    let mut rig = up(newest(), 7, 128);
    let desc: RxQueueDesc = rig.fake.memory.get(rig.driver.layout().rx_queue_desc(0)).unwrap();
    assert_eq!(desc.conf().rx_data_ring_base_pa(), rig.driver.layout().rx[0].data);
    assert_eq!(desc.conf().rx_data_ring_desc_size(), 128);
    let before = rig.driver.rx_owned(0);
    copied(&mut rig, 0, 60, |_| ());
    rig.fake.offer(0, &[9; 200]);
    rig.settle();
    // The second frame of the device went to buffer 0 in its own view: only what the driver takes counts here.
    assert_eq!(rig.driver.received().front().map(|got| got.frame.clone()), Some(vec![1; 60]));
    assert_eq!(rig.driver.rx_owned(0), before);
}

#[test]
fn what_an_entry_cannot_hold_and_a_ring_that_was_not_given_are_breaches() {
    let breaches = |vrrs: u32, set: fn(&mut RxCompDesc)| {
        let mut rig = up(newest(), vrrs, 128);
        copied(&mut rig, 0, 60, set);
        rig.driver.breaches().to_vec()
    };
    assert_eq!(breaches(7, |_| ()), []);
    assert_eq!(breaches(7, |c| c.set_len(128)), []);
    assert_eq!(breaches(7, |c| c.set_len(129)), [Breach::RxLength { queue: 0, index: 0, len: 129 }]);
    assert_eq!(breaches(7, |c| c.set_eop(false)), [Breach::RxDataRing { queue: 0, id: 2 }]);
    assert_eq!(breaches(3, |_| ()), [Breach::RxDataRing { queue: 0, id: 2 }], "version 2 has none");
}

#[test]
fn coalescing_is_asked_for_and_set_on_version_3_only() {
    let mut rig = up(newest(), 3, 0);
    assert!(!rig.driver.set_coalescing(CoalesceScheme::default()));
    assert!(!rig.commands().contains(&Command::GetCoalesce));
    rig = up(newest(), 7, 128);
    assert!(rig.commands().contains(&Command::GetCoalesce));
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(coalesce::RATE);
    rig.fake.coalesce = scheme;
    assert!(rig.driver.set_coalescing(CoalesceScheme::default()));
    rig.settle();
    assert!(rig.commands().contains(&Command::SetCoalesce));
    assert_eq!(rig.driver.coalescing(), &scheme);
    assert_eq!(rig.driver.breaches(), [Breach::Coalesce { mode: coalesce::RATE, rate: 0 }], "Linux divides by it");
}
