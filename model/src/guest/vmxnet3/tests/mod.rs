//! The driver against the smallest device, and each breach fired.

mod breaches;
mod fake;
mod version3;

use super::*;
use crate::guest::packet::{Fragments, Packet};
use crate::guest::shape::{Bounds, Shape, WireShape};
use crate::guest::traffic::Traffic;
use fake::Rig;
use pretty_assertions::assert_eq;
use spec::frame::Dice;
use spec::vmxnet3::TxDesc;
use spec::vmxnet3::command::ecr;

/// Configurations in which everything wraps at odd places.
fn odd() -> Vec<DriverConfig> {
    let tiny = DriverConfig { keep_received: true, ..DriverConfig::tiny() };
    vec![
        tiny.clone(),
        DriverConfig { tx_ring: 2, tx_comp: 2, rx_ring: [2, 0], rx_comp: 2, head_bytes: 2000, ..tiny.clone() },
        DriverConfig {
            tx_ring: 5,
            tx_comp: 7,
            rx_ring: [3, 5],
            rx_comp: 9,
            full_tx_ring: true,
            full_rx_rings: true,
            seed: 3,
            ..tiny.clone()
        },
        DriverConfig {
            tx_ring: 33,
            tx_comp: 33,
            rx_ring: [31, 17],
            rx_comp: 48,
            head_every: 3,
            head_bytes: 100,
            poison: true,
            ..tiny.clone()
        },
        DriverConfig {
            auto_mask: false,
            vectors: Vectors::Separate,
            tx_queues: 2,
            rx_queues: 3,
            poll_budget: 1,
            ..tiny.clone()
        },
        DriverConfig { vectors: Vectors::Single, tx_queues: 2, full_rx_rings: true, ..tiny },
    ]
}

#[test]
fn bring_up_activates_posts_buffers_and_unmasks() {
    for config in odd() {
        let rig = Rig::up(config.clone());
        assert_eq!(rig.driver.phase(), Phase::Up);
        assert_eq!(rig.driver.version(), 1);
        assert_eq!(rig.driver.link(), spec::vmxnet3::LINK_UP);
        assert!(rig.fake.active);
        let vectors = usize::from(config.vector_count());
        assert!(rig.fake.imr[..vectors].iter().all(|masked| !masked));
        assert!(rig.fake.imr[vectors..].iter().all(|masked| *masked));
        let kept = u32::from(!config.full_rx_rings);
        assert_eq!(rig.driver.rx_owned(0), config.rx_ring.map(|n| n.saturating_sub(kept)));
        let shared = rig.fake.shared();
        assert_eq!(shared.rx_filter_conf().rx_mode(), config.rx_mode);
        assert_eq!(shared.intr_conf().intr_ctrl(), 0);
        assert_eq!(rig.driver.breaches(), []);
        let rx_prods = rig.values_of(Bar::Bar0, Bar0::RxProd(0).offset());
        assert_eq!(rx_prods, [config.rx_ring[0] - 1]);
    }
}

#[test]
fn packets_leave_in_order_over_many_laps() {
    for config in odd() {
        let mut rig = Rig::up(config.clone());
        let mut dice = Dice::new(5);
        let mut traffic = Traffic::new(5, config.mac);
        let bounds = Bounds {
            frame: 32 * config.tx_ring.min(8),
            segmented: 600,
            fragments: 4,
            flows: 3,
            streams: false,
            tunnels: false,
        };
        let (mut packet, mut expected, mut refused) = (Packet::default(), Vec::new(), 0);
        for _ in 0..3000 {
            let shape = Shape { vlan: None, ..Shape::roll(&mut dice, &bounds) };
            traffic.packet(&shape, &mut packet);
            if rig.driver.send(0, &packet) {
                expected.push(packet.frame.clone());
            } else {
                refused += 1;
            }
            if dice.once_in(3) {
                rig.driver.kick(0);
            }
            for _ in 0..dice.below(30) {
                rig.step();
            }
        }
        rig.settle();
        assert!(expected.len() > 100 && refused > 0, "{} {refused}", expected.len());
        assert_eq!(rig.fake.wire, expected);
        assert_eq!(rig.driver.outstanding(0), 0);
        assert_eq!(rig.driver.counts().completed, expected.len() as u64);
        assert_eq!(rig.driver.breaches(), []);
    }
}

#[test]
fn frames_arrive_in_order_over_many_laps() {
    for config in odd() {
        let mut rig = Rig::up(config.clone());
        let mut dice = Dice::new(6);
        let mut traffic = Traffic::new(6, config.mac);
        let bounds = Bounds { frame: 170, ..Bounds::default() };
        let (mut frame, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..3000 {
            traffic.wire(&WireShape::roll(&mut dice, &bounds), &mut frame);
            if rig.fake.offer(0, &frame) {
                expected.push(frame.clone());
            }
            for _ in 0..dice.below(12) {
                rig.step();
            }
        }
        rig.settle();
        let received: Vec<Vec<u8>> = std::iter::from_fn(|| rig.driver.take_received()).map(|r| r.frame).collect();
        assert!(expected.len() > 300, "{}", expected.len());
        assert_eq!(received, expected);
        assert_eq!(rig.driver.breaches(), []);
        let kept = u32::from(!config.full_rx_rings);
        assert_eq!(rig.driver.rx_owned(0), config.rx_ring.map(|n| n.saturating_sub(kept)));
    }
}

#[test]
fn a_port_that_refuses_delays_and_changes_nothing_else() {
    let run = |refuse| {
        let mut rig = Rig::down(DriverConfig { keep_received: true, auto_mask: false, ..DriverConfig::tiny() });
        rig.fake.refuse = refuse;
        rig.driver.bring_up();
        rig.settle();
        for id in 0..20 {
            rig.driver.send(0, &Packet::plain(vec![id; 60]));
            rig.driver.kick(0);
            rig.fake.offer(0, &[id; 90]);
            rig.settle();
        }
        rig.driver.reset_cycle();
        rig.settle();
        rig
    };
    let (free, refused) = (run(0), run(3));
    assert_eq!(free.fake.wire, refused.fake.wire);
    assert_eq!(free.fake.writes, refused.fake.writes);
    assert_eq!(free.driver, refused.driver);
}

#[test]
fn the_first_descriptor_changes_hands_last() {
    let mut rig = Rig::up(DriverConfig { tx_ring: 8, tx_comp: 8, ..DriverConfig::tiny() });
    let mut fragments = Fragments::default();
    assert!(fragments.push(20) && fragments.push(40) && fragments.push(4));
    rig.fake.stores.clear();
    assert!(rig.driver.send(0, &Packet { fragments, ..Packet::plain(vec![7; 64]) }));
    let ring = rig.driver.layout().tx[0].ring;
    let mut seen = Vec::new();
    while rig.driver.step(&mut rig.fake) {
        let cells = [0, 1, 2].map(|i| TxDesc(rig.fake.memory.cell(ring + i * 16).unwrap()).generation());
        if seen.last() != Some(&cells) {
            seen.push(cells);
        }
    }
    assert_eq!(seen, [[false; 3], [false, true, false], [false, true, true], [true; 3]]);
    // Four accesses a descriptor, the flip, txNumDeferred.
    assert_eq!(rig.fake.stores.len(), 3 * 4 + 2);
}

#[test]
fn a_packet_that_fits_no_ring_is_told_apart_from_a_full_ring() {
    let mut rig = Rig::up(DriverConfig::tiny());
    let long = Packet::plain(vec![1; 64 * 4]);
    assert!(!rig.driver.can_ever_send(&long) && !rig.driver.send(0, &long));
    let fits = Packet::plain(vec![1; 64 * 3]);
    assert!(rig.driver.can_ever_send(&fits) && rig.driver.send(0, &fits) && !rig.driver.send(0, &fits));
    assert!(!rig.driver.send(1, &fits));
    assert_eq!(rig.driver.counts().refused_sends, 2);
}

#[test]
fn the_doorbell_waits_for_the_threshold() {
    let mut rig = Rig::up(DriverConfig::default());
    let prods = |rig: &Rig| rig.values_of(Bar::Bar0, Bar0::TxProd(0).offset());
    let pa = rig.driver.layout().tx_queue_desc(0);
    rig.fake.memory.write(pa + 4, &3u32.to_le_bytes()).unwrap();
    for _ in 0..4 {
        rig.driver.send(0, &Packet::plain(vec![0; 60]));
        rig.driver.kick(0);
        rig.settle();
    }
    assert_eq!(prods(&rig), [3]);
    assert_eq!(rig.fake.memory.bytes(pa, 4).unwrap(), [1, 0, 0, 0]);
    rig.fake.memory.write(pa + 4, &[0; 4]).unwrap();
    rig.driver.kick(0);
    rig.driver.kick(0);
    rig.settle();
    assert_eq!(prods(&rig), [3, 4]);
}

#[test]
fn rx_producers_are_written_in_batches_while_asked_for() {
    let config = DriverConfig { rx_ring: [9, 0], rx_comp: 9, rx_prod_batch: 4, ..DriverConfig::tiny() };
    let mut rig = Rig::up(config);
    let prods = |rig: &Rig| rig.values_of(Bar::Bar0, Bar0::RxProd(0).offset());
    for _ in 0..9 {
        rig.fake.offer(0, &[0; 60]);
        rig.settle();
    }
    assert_eq!(prods(&rig), [8]);
    let pa = rig.driver.layout().rx_queue_desc(0);
    rig.fake.memory.write(pa, &[1]).unwrap();
    for _ in 0..9 {
        rig.fake.offer(0, &[0; 60]);
        rig.settle();
    }
    assert_eq!(prods(&rig), [8, 0, 4, 8]);
}

#[test]
fn without_auto_mask_the_driver_masks_before_it_polls() {
    let mut rig = Rig::up(DriverConfig { auto_mask: false, ..DriverConfig::tiny() });
    rig.fake.writes.clear();
    rig.fake.offer(0, &[0; 60]);
    rig.settle();
    let imr = Bar0::Imr(0).offset();
    assert_eq!(rig.fake.writes, [(Bar::Bar0, imr, 1), (Bar::Bar0, imr, 0)]);
    assert_eq!(rig.driver.counts().received, 1);
}

#[test]
fn an_interrupt_during_a_poll_polls_again() {
    let mut rig = Rig::up(DriverConfig::tiny());
    rig.driver.interrupt(0);
    rig.driver.interrupt(0);
    rig.settle();
    assert_eq!(rig.driver.counts().polls, 2);
    rig.driver.interrupt(9);
    assert_eq!(rig.driver.counts().stray_interrupts, 1);
}

#[test]
fn intx_is_acknowledged_through_icr() {
    let mut rig = Rig::up(DriverConfig { vectors: Vectors::Intx, ..DriverConfig::tiny() });
    rig.driver.interrupt(0);
    rig.settle();
    assert_eq!((rig.driver.counts().polls, rig.driver.counts().stray_interrupts), (0, 1));
    rig.fake.icr = 1;
    rig.driver.interrupt(0);
    rig.driver.interrupt(0);
    rig.settle();
    assert_eq!((rig.driver.counts().polls, rig.driver.counts().stray_interrupts), (1, 1));
}

fn event(rig: &mut Rig, bits: u32) {
    let mut shared = rig.fake.shared();
    shared.set_ecr(bits);
    rig.fake.memory.put(rig.driver.layout().shared, shared).unwrap();
    let vector = rig.driver.config().event_vector();
    rig.fake.raise(vector);
    rig.settle();
    assert_eq!(rig.fake.shared().ecr(), 0);
}

#[test]
fn a_link_event_is_acknowledged_and_the_link_asked_for() {
    for vectors in [Vectors::Buddy, Vectors::Separate, Vectors::Single, Vectors::Msi] {
        let mut rig = Rig::up(DriverConfig { vectors, ..DriverConfig::tiny() });
        rig.fake.link = 0;
        event(&mut rig, ecr::LINK);
        assert_eq!(rig.driver.link(), 0);
        assert_eq!(rig.driver.counts().events, 1);
        assert!(!rig.fake.imr[usize::from(rig.driver.config().event_vector())]);
    }
}

#[test]
fn a_stopped_queue_leads_to_a_reset_cycle() {
    let mut rig = Rig::up(DriverConfig::tiny());
    rig.driver.send(0, &Packet::plain(vec![0; 60]));
    rig.settle();
    let pa = rig.driver.layout().tx_queue_desc(0) + 80;
    rig.fake.memory.write(pa, &[1, 0, 0, 0, 2, 0, 0, 0x80]).unwrap();
    event(&mut rig, ecr::TQERR);
    assert_eq!(rig.driver.last_error(), Some(QueueError::BigPkt));
    assert_eq!(rig.driver.counts().activations, 2);
    let commands = rig.commands();
    let at = commands.iter().position(|c| *c == Command::GetQueueStatus).unwrap();
    assert_eq!(commands[at + 1..at + 4], [Command::QuiesceDev, Command::ResetDev, Command::ActivateDev]);
}

#[test]
fn a_reset_at_any_access_starts_the_rings_anew() {
    for after in 0..60 {
        let mut rig = Rig::up(DriverConfig { keep_received: true, poison: true, ..DriverConfig::tiny() });
        rig.driver.send(0, &Packet::plain(vec![1; 150]));
        rig.driver.kick(0);
        rig.fake.offer(0, &[1; 100]);
        for _ in 0..after {
            rig.step();
        }
        assert!(
            rig.driver.reset_cycle() && !rig.driver.reset_cycle() && !rig.driver.send(0, &Packet::plain(vec![0; 60]))
        );
        rig.settle();
        assert_eq!(rig.driver.phase(), Phase::Up);
        assert_eq!((rig.driver.outstanding(0), rig.driver.rx_owned(0)), (0, [3, 3]));
        for id in 0..10 {
            assert!(rig.driver.send(0, &Packet::plain(vec![id; 150])));
            assert!(rig.fake.offer(0, &[id; 100]));
            rig.settle();
            assert_eq!(rig.fake.wire.last(), Some(&vec![id; 150]));
        }
        assert_eq!(rig.driver.breaches(), []);
    }
}

#[test]
fn tear_down_masks_and_a_second_bring_up_does_not_probe() {
    let mut rig = Rig::up(DriverConfig::tiny());
    assert!(!rig.driver.bring_up());
    rig.driver.set_vlans(&[0, 5]);
    assert!(rig.driver.tear_down());
    rig.settle();
    assert_eq!(rig.driver.phase(), Phase::Down);
    assert!(!rig.fake.active && rig.fake.imr.iter().all(|masked| *masked));
    rig.driver.interrupt(0);
    assert!(rig.driver.is_idle() && !rig.driver.tear_down());
    assert!(rig.driver.bring_up());
    rig.settle();
    assert_eq!(rig.values_of(Bar::Bar1, Bar1::Vrrs.offset()), [1]);
    assert_eq!(rig.fake.shared().rx_filter_conf().vf_table()[0], 0x21);
    rig.driver.on_function_reset();
    assert!(rig.driver.bring_up());
    rig.settle();
    assert_eq!(rig.values_of(Bar::Bar1, Bar1::Vrrs.offset()), [1, 1]);
}

#[test]
fn requests_reach_the_shared_area_before_their_command() {
    let mut rig = Rig::up(DriverConfig {
        rss: Some(RssSetup { hash_type: 3, key: [1; 40], table: vec![0] }),
        ..DriverConfig::tiny()
    });
    rig.fake.writes.clear();
    assert!(rig.driver.update_rx_mode(0x1f) && rig.driver.set_multicast(&[[1; 6], [3; 6]]));
    assert!(rig.driver.set_vlans(&[33, 5000]) && rig.driver.set_features(4) && rig.driver.set_rss_table(&[0, 0]));
    assert!(rig.driver.set_mac([1, 2, 3, 4, 5, 6]) && rig.driver.get_stats());
    rig.driver.get_link();
    rig.settle();
    let shared = rig.fake.shared();
    let filter = shared.rx_filter_conf();
    assert_eq!((filter.rx_mode(), filter.mf_table_len(), filter.vf_table()[1]), (0x1f, 12, 2));
    assert_eq!(shared.misc().upt_features(), 4 | spec::vmxnet3::command::feature::RSS);
    assert_eq!(rig.fake.memory.bytes(filter.mf_table_pa(), 12).unwrap(), [1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3]);
    assert_eq!(rig.values_of(Bar::Bar1, Bar1::Mach.offset()), [0x0605]);
    assert_eq!(
        rig.commands(),
        [
            Command::UpdateRxMode,
            Command::UpdateMacFilters,
            Command::UpdateVlanFilters,
            Command::UpdateFeature,
            Command::UpdateRssidt,
            Command::GetStats,
            Command::GetLink,
        ]
    );
}

#[test]
fn the_highest_common_version_is_selected() {
    for (offered, known, selected) in [(1, 9, 1), (0x1ff, 1, 1), (0x7f, 9, 0x40), (0x7f, 4, 8)] {
        let mut rig = Rig::down(DriverConfig { max_version: known, ..DriverConfig::tiny() });
        rig.fake.vrrs = offered;
        rig.driver.bring_up();
        rig.settle();
        assert_eq!(rig.values_of(Bar::Bar1, Bar1::Vrrs.offset()), [selected]);
    }
}

#[test]
fn completed_buffers_are_poisoned() {
    let mut rig = Rig::up(DriverConfig { poison: true, ..DriverConfig::tiny() });
    rig.driver.send(0, &Packet::plain(vec![1; 100]));
    rig.settle();
    let buffers = rig.driver.layout().tx[0].buffers;
    assert_eq!(rig.fake.memory.bytes(buffers, 128).unwrap(), [0xdb; 128]);
}
