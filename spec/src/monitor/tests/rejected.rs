//! For every clause that monitors judge, the shortest run that breaks it.

use super::offloads::{csum, lro, merge, tcp4, tso};
use super::rig::*;
use super::tunnels;
use crate::clause::{self, Judge};
use crate::event::{Bar, Stimulus};
use crate::monitor::Judges;
use crate::vmxnet3::command::{feature, rx_mode};
use crate::vmxnet3::shared::{CMD_INFO_OFFSET, RX_FILTER_OFFSET, UPT_FEATURES_OFFSET};
use crate::vmxnet3::*;

const SHARED: u64 = 0x1000;

/// A run that breaks the clause named before it.
type Run = fn(&mut Rig);

/// Offers a frame and delivers it with a completion that `set` spoils.
fn spoilt(rig: &mut Rig, set: impl FnOnce(&mut RxCompDesc)) {
    let frame = inward(1, 100);
    rig.offer(&frame);
    rig.deliver_with(&frame, set);
}

fn two_offered(rig: &mut Rig) -> [Vec<u8>; 2] {
    let frames = [inward(1, 100), inward(2, 100)];
    rig.offer(&frames[0]);
    rig.offer(&frames[1]);
    frames
}

fn rx_mode(rig: &mut Rig, mode: u32) {
    rig.put(SHARED + RX_FILTER_OFFSET, mode);
    rig.command(Command::UpdateRxMode);
    rig.idle();
}

fn features(rig: &mut Rig, bits: u64) {
    rig.put(SHARED + UPT_FEATURES_OFFSET, bits);
    rig.command(Command::UpdateFeature);
    rig.idle();
}

fn vlan(rig: &mut Rig, vid: usize) {
    rig.put(SHARED + RX_FILTER_OFFSET + 16 + vid as u64 / 32 * 4, 1u32 << (vid % 32));
    rig.command(Command::UpdateVlanFilters);
    rig.idle();
}

fn tagged(vid: u16) -> Vec<u8> {
    let mut frame = inward(1, 104);
    frame[12..14].copy_from_slice(&[0x81, 0]);
    frame[14..16].copy_from_slice(&vid.to_be_bytes());
    frame
}

fn counters(rig: &mut Rig, tx: bool, counter: u64, value: u64) {
    rig.put(TABLE + if tx { 88 } else { 256 + 88 } + counter * 8, value);
    rig.idle();
    rig.command(Command::GetStats);
    rig.read(Bar::Bar1, 0x20, 0);
}

/// A second RX queue that RSS steers everything with IP to.
fn steered() -> Rig {
    let mut rig = Rig::new();
    let mut misc: MiscConf = super::super::layout::at(&rig.memory, SHARED + 8, 0).unwrap();
    misc.set_num_rx_queues(2);
    misc.set_upt_features(feature::RSS | feature::RXCSUM);
    rig.put(SHARED + 8, misc);
    let mut second = RxQueueConf::default();
    second.set_rx_ring_base_pa([0x9000, 0]);
    second.set_rx_ring_size([CELLS, 0]);
    second.set_comp_ring_base_pa(0xa000);
    second.set_comp_ring_size(CELLS);
    rig.put(TABLE + 512 + 16, second);
    let mut place = VariableLenConf::default();
    place.set_conf_pa(0xb000);
    rig.put(SHARED + 648, place);
    let mut rss = RssConf::default();
    rss.set_hash_type(3);
    rss.set_hash_func(1);
    rss.set_hash_key_size(40);
    rss.set_hash_key([0x5a; 40]);
    rss.set_ind_table_size(1);
    rss.set_ind_table([1; 128]);
    rig.put(0xb000, rss);
    rig.activate();
    rig.post_rx(0, false);
    rig
}

const RUNS: &[(&str, Run)] = &[
    ("VMX-REG-011", |rig| rig.read(Bar::Bar0, 0, 1)),
    ("VMX-LIF-001", |rig| {
        rig.command(Command::ResetDev);
        rig.idle();
        rig.fetch_tx(0);
    }),
    ("VMX-LIF-005", |rig| {
        rig.command(Command::QuiesceDev);
        rig.idle();
        rig.write_memory(SHARED + 696, &[4, 0, 0, 0]);
    }),
    ("VMX-V4-003", |rig| {
        *rig = tunnels::inner(4);
        tunnels::report(rig, |frame| frame[60] ^= 1, |_| ());
    }),
    ("VMX-V4-006", |rig| {
        *rig = tunnels::active(4);
        tunnels::sum_inner(rig, 4, false, |frame| frame[104] ^= 1);
    }),
    ("VMX-V4-007", |rig| {
        *rig = tunnels::active(5);
        tunnels::cut(rig, 5, false, |frames| frames[1].truncate(120));
    }),
    ("VMX-V4-008", |rig| {
        *rig = tunnels::active(6);
        tunnels::cut(rig, 6, false, |frames| frames[1][17] ^= 1);
    }),
    ("VMX-V4-009", |rig| {
        *rig = tunnels::active(7);
        tunnels::cut(rig, 7, true, |frames| frames[1][40..42].fill(0));
    }),
    ("VMX-LRO-001", |rig| {
        features(rig, feature::RXCSUM);
        merge(rig, |_| (), |_| ());
    }),
    ("VMX-LRO-002", |rig| {
        *rig = lro();
        merge(rig, |_| (), |c| c.set_seg_cnt(3));
    }),
    ("VMX-LRO-003", |rig| {
        *rig = lro();
        merge(rig, |_| (), |c| c.set_tuc(false));
    }),
    ("VMX-LRO-004", |rig| {
        *rig = lro();
        merge(rig, |_| (), |_| ());
        counters(rig, false, 2, 2);
    }),
    ("VMX-STA-002", |rig| counters(rig, false, 2, 1)),
    ("VMX-STA-003", |rig| counters(rig, true, 0, 1)),
    ("VMX-SHM-004", |rig| rig.write_memory(0x3000, &[1])),
    ("VMX-SHM-005", |rig| rig.write_memory(TX_RING, &[0; 16])),
    ("VMX-TX-001", |rig| rig.send(&outward(9, 60))),
    ("VMX-TX-002", |rig| {
        rig.post_tx(&outward(1, 60), |_| ());
        rig.post_tx(&outward(2, 60), |_| ());
        rig.send(&outward(2, 60));
    }),
    ("VMX-TX-008", |rig| {
        rig.transmit(&outward(1, 60));
        rig.complete_tx(0);
    }),
    ("VMX-TX-009", |rig| {
        for id in 1..3 {
            rig.post_tx(&outward(id, 60), |_| ());
            rig.send(&outward(id, 60));
        }
        rig.complete_tx(1);
    }),
    ("VMX-TX-010", |rig| {
        rig.post_tx(&outward(1, 60), |_| ());
        rig.send(&outward(1, 60));
        let mut comp = TxCompDesc(0);
        comp.set_ext2(1);
        rig.complete_tx_with(comp);
    }),
    ("VMX-TX-011", |rig| {
        rig.transmit(&outward(1, 60));
        rig.read_tx(0, 60);
    }),
    ("VMX-TX-012", |rig| {
        rig.post_tx(&[0; 10], |_| ());
        rig.ring();
        rig.fetch_tx(0);
    }),
    ("VMX-TX-014", |rig| {
        rig.post_tx(&outward(1, 60), |_| ());
        rig.ring();
    }),
    ("VMX-TX-015", |rig| csum(rig, |frame| frame[50] ^= 1)),
    ("VMX-TX-016", |rig| csum(rig, |frame| frame[40..42].fill(0))),
    ("VMX-TX-017", |rig| tso(rig, false, |frames| frames[1].truncate(80))),
    ("VMX-TX-018", |rig| tso(rig, false, |frames| frames[0][47] |= 1)),
    ("VMX-TX-020", |rig| {
        rig.post_tx(&outward(1, 60), |d| {
            d.set_ti(true);
            d.set_tci(5);
        });
        rig.send(&outward(1, 60));
    }),
    ("VMX-RX-001", |rig| rig.write_memory(Rig::rx_buffer(0, 6), &[1; 60])),
    ("VMX-RX-003", |rig| {
        rig.post_rx(0, true);
        rig.rx_used[0] = 4;
        spoilt(rig, |_| ());
    }),
    ("VMX-RX-004", |rig| {
        let frame = inward(1, 100);
        rig.offer(&frame);
        rig.deliver_with(&frame[..60], |c| c.set_eop(false));
        rig.deliver_with(&frame[60..], |c| {
            c.set_sop(false);
            c.set_len(40);
        });
    }),
    ("VMX-RX-005", |rig| {
        let [a, b] = two_offered(rig);
        rig.deliver_with(&a, |c| c.set_rxd_idx(1));
        rig.deliver_with(&b, |c| c.set_rxd_idx(0));
    }),
    ("VMX-RX-006", |rig| spoilt(rig, |c| c.set_sop(false))),
    ("VMX-RX-007", |rig| spoilt(rig, |c| c.set_rq_id(3))),
    ("VMX-V3-002", |rig| spoilt(rig, |c| c.set_rq_id(2))),
    ("VMX-RX-008", |rig| {
        rig.write_memory(Rig::rx_buffer(0, 0), &[0; BUFFER as usize + 1]);
        let c = rig.completion(BUFFER as usize + 1);
        rig.complete_rx(c);
    }),
    ("VMX-RX-009", |rig| {
        let frame = inward(1, 42);
        rig.offer(&frame);
        rig.deliver_with(&frame, |c| c.set_len(42));
    }),
    ("VMX-RX-010", |rig| {
        let frame = inward(1, 100);
        rig.offer(&frame);
        let c = rig.completion(100);
        rig.complete_rx(c);
        rig.write_memory(Rig::rx_buffer(0, 0), &frame);
    }),
    ("VMX-RX-011", |rig| {
        let (snoop, poll) = (Judges::snoop(), Judges::poll());
        *rig = Rig { snoop, poll, ..Rig::new() };
        rig.put(SHARED + 8 + 52, 1u16);
        rig.activate();
        rig.post_rx(0, false);
        rig.post_rx(0, true);
        let frame = inward(1, 100);
        rig.offer(&frame);
        rig.deliver_with(&frame[..60], |c| c.set_eop(false));
        rig.write_memory(Rig::rx_buffer(0, 1), &frame[60..]);
        let mut c = rig.completion(40);
        c.set_sop(false);
        rig.complete_rx(c);
    }),
    ("VMX-RX-012", |rig| {
        for id in 0..4 {
            rig.offer(&inward(id, 60));
            rig.deliver(&inward(id, 60));
        }
        // No buffer is left for these: the second arrival shows that the first is gone.
        rig.offer(&inward(5, 60));
        rig.offer(&inward(6, 60));
        rig.idle();
        rig.post_rx(0, false);
        rig.deliver(&inward(6, 60));
        rig.put(TABLE + 256 + 88 + 16, 5u64);
        counters(rig, false, 8, 0);
    }),
    ("VMX-RX-013", |rig| {
        spoilt(rig, |c| {
            c.set_eop(false);
            c.set_err(true);
        });
    }),
    ("VMX-RX-015", |rig| {
        let frame = tagged(0);
        rig.offer(&frame);
        let mut stripped = frame.clone();
        stripped.drain(12..16);
        rig.deliver_with(&stripped, |c| c.set_ts(true));
    }),
    ("VMX-RX-016", |rig| {
        let mut frame = tcp4(60);
        frame[..6].copy_from_slice(&MAC);
        frame[60] ^= 1;
        rig.offer(&frame);
        rig.deliver_with(&frame, |c| {
            c.set_cnc(false);
            c.set_v4(true);
            c.set_tcp(true);
            c.set_ipc(true);
            c.set_tuc(true);
        });
    }),
    ("VMX-RX-017", |rig| spoilt(rig, |c| c.set_csum(1))),
    ("VMX-RX-018", |rig| spoilt(rig, |c| c.set_kind(0))),
    ("VMX-RX-019", |rig| {
        rx_mode(rig, 0);
        rx_frame(rig);
    }),
    ("VMX-RSS-001", |rig| {
        let (snoop, poll) = (Judges::snoop(), Judges::poll());
        *rig = Rig { snoop, poll, ..steered() };
        replay_activation(rig);
        let mut frame = tcp4(60);
        frame[..6].copy_from_slice(&MAC);
        rig.offer(&frame);
        rig.deliver(&frame);
    }),
    ("VMX-RSS-002", |rig| spoilt(rig, |c| c.set_rss_type(2))),
    ("VMX-FLT-001", |rig| {
        rx_mode(rig, rx_mode::PROMISC);
        rig.offer(&outward(1, 60));
    }),
    ("VMX-FLT-002", |rig| {
        rig.offer(&outward(1, 60));
        rig.deliver(&outward(1, 60));
    }),
    ("VMX-FLT-004", |rig| rig.offer(&tagged(7))),
    ("VMX-FLT-005", |rig| {
        vlan(rig, 8);
        rig.offer(&tagged(7));
        rig.deliver(&tagged(7));
    }),
    ("VMX-INT-001", |rig| rig.vector(VECTORS[1])),
    ("VMX-INT-002", |rig| {
        rig.write(Bar::Bar0, 0, 1);
        rig.transmit_silently();
        rig.unmask(VECTORS[0]);
    }),
    ("VMX-INT-003", |rig| {
        rig.transmit_silently();
        rig.transmit_silently();
        rig.vector(VECTORS[0]);
        rig.vector(VECTORS[0]);
    }),
    ("VMX-INT-006", |rig| {
        rig.post_tx(&outward(1, 60), |_| ());
        rig.send(&outward(1, 60));
        rig.vector(VECTORS[0]);
        rig.complete_tx(0);
        rig.unmask(VECTORS[0]);
    }),
    ("SWI-CON-001", |rig| {
        rig.transmit(&outward(1, 60));
        rig.send(&outward(1, 60));
    }),
    ("SWI-CON-002", |rig| {
        rig.offer(&inward(1, 100));
        let mut frame = inward(1, 100);
        frame[70] ^= 1;
        rig.deliver(&frame);
    }),
    ("SWI-ORD-001", |rig| {
        let [a, b] = two_offered(rig);
        rig.deliver(&b);
        rig.deliver(&a);
    }),
    ("SWI-CMP-001", |rig| {
        rig.transmit(&outward(1, 60));
        rig.complete_tx(0);
    }),
    ("SWI-WAK-001", |rig| {
        rig.transmit_silently();
        rig.stimulus(Stimulus::Switched { hardware: true });
    }),
    ("SWI-CFG-001", |rig| {
        rig.stimulus(Stimulus::Switched { hardware: true });
        rig.offer(&outward(1, 60));
        rig.deliver(&outward(1, 60));
    }),
    ("SWI-CNT-001", |rig| {
        rig.transmit(&outward(1, 60));
        counters(rig, true, 2, 1);
        counters(rig, true, 2, 0);
    }),
    ("SWI-ISO-001", |rig| rig.write_memory(0x3000, &[1])),
];

fn rx_frame(rig: &mut Rig) {
    rig.offer(&outward(1, 60));
    rig.deliver(&outward(1, 60));
}

/// Tells fresh judges of an activation that others have seen.
fn replay_activation(rig: &mut Rig) {
    rig.activate();
}

#[test]
fn every_clause_has_a_run_that_breaks_it() {
    let mut missed = Vec::new();
    for &(id, run) in RUNS {
        let mut rig = Rig::active();
        rig.is_clean();
        run(&mut rig);
        missed.extend(rig.rejects(id).err());
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_clause_of_monitors_stands_in_the_list() {
    for clause in clause::ALL.iter().filter(|c| c.judge == Judge::Monitor) {
        assert!(RUNS.iter().any(|row| row.0 == clause.id), "{} is never rejected", clause.id);
    }
    for (id, _) in RUNS {
        assert!(clause::find(id).is_some_and(|c| c.judge == Judge::Monitor), "{id}");
    }
}

/// A device of version 3 whose driver gave an RX data ring with entries of 128 bytes.
fn with_data_ring() -> Rig {
    let mut rig = Rig::new();
    let mut conf: RxQueueConf = super::super::layout::at(&rig.memory, TABLE + 256 + 16, 0).unwrap();
    conf.set_rx_data_ring_base_pa(DATA_RING);
    conf.set_rx_data_ring_desc_size(128);
    rig.put(TABLE + 256 + 16, conf);
    rig.write(Bar::Bar1, 0, 4);
    rig.activate();
    for _ in 0..4 {
        rig.post_rx(0, false);
        rig.post_rx(1, true);
    }
    rig
}

const DATA_RING: u64 = 0xc000;

/// Offers a frame and copies it to entry `entry` of the data ring.
fn copy(rig: &mut Rig, id: u64, len: usize, entry: u64) {
    let frame = inward(id, len);
    rig.offer(&frame);
    rig.write_memory(DATA_RING + 128 * entry, &frame);
    let mut c = rig.completion(len);
    c.set_rq_id(2);
    rig.complete_rx(c);
    rig.vector(VECTORS[1]);
    rig.unmask(VECTORS[1]);
}

#[test]
fn frames_in_the_data_ring_are_followed() {
    let mut rig = with_data_ring();
    copy(&mut rig, 1, 100, 0);
    let frame = inward(2, 100);
    rig.offer(&frame);
    rig.deliver(&frame);
    copy(&mut rig, 3, 128, 2);
    rig.idle();
    rig.is_clean();
}

#[test]
fn a_frame_that_fits_no_entry_or_lies_in_another_one_is_rejected() {
    let mut rig = with_data_ring();
    copy(&mut rig, 1, 129, 0);
    rig.breaks("VMX-V3-002");
    let mut rig = with_data_ring();
    copy(&mut rig, 1, 100, 1);
    rig.rejects("VMX-RX-010").unwrap();
}

#[test]
fn below_version_3_there_is_no_data_ring() {
    let mut rig = with_data_ring();
    rig.command(Command::QuiesceDev);
    rig.idle();
    rig.write(Bar::Bar1, 0, 1);
    rig.rx_posted = [0; 2];
    rig.activate();
    rig.post_rx(0, false);
    copy(&mut rig, 1, 100, 0);
    rig.breaks("VMX-V3-002");
}

#[test]
fn the_answer_of_get_coalesce_may_be_written_while_the_command_runs() {
    let mut rig = with_data_ring();
    let mut words = VariableLenConf::default();
    words.set_conf_len(16);
    words.set_conf_pa(0x3000);
    rig.put(SHARED + CMD_INFO_OFFSET, words);
    rig.command(Command::GetCoalesce);
    rig.write_memory(0x3000, &[0; 16]);
    rig.read(Bar::Bar1, 0x20, 0);
    rig.idle();
    rig.is_clean();
    rig.write_memory(0x3000, &[0; 16]);
    rig.rejects("VMX-SHM-004").unwrap();
}

#[test]
fn features_that_change_leave_frames_under_way_free() {
    let mut rig = Rig::active();
    let frame = tagged(0);
    rig.offer(&frame);
    rig.put(SHARED + UPT_FEATURES_OFFSET, feature::RXVLAN);
    rig.command(Command::UpdateFeature);
    rig.deliver(&frame);
    rig.idle();
    rig.is_clean();
    features(&mut rig, feature::RXVLAN);
    rig.offer(&frame);
    rig.deliver(&frame);
    rig.breaks("VMX-RX-015");
}
