//! One rule, one example.

use super::*;
use crate::host::Bare;
use crate::plane::{Activation, Interrupts, Rss, RxDataRing};
use crate::vmxnet3::testing::{DATA_RING, Guest, MAC, PEER, RING, tcp4, transport_is_right};
use spec::frame::generated;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::{hash_type, rss_type};
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{RxStats, TxStats};

fn frame(id: u64, len: usize) -> Vec<u8> {
    generated(MAC, PEER, 1, id, len)
}

/// A body, activated by a guest, every vector unmasked.
struct Rig {
    guest: Guest,
    body: Body,
}

impl Rig {
    fn new(profile: &'static Profile) -> Self {
        Self::with(profile, |_| {})
    }

    fn with(profile: &'static Profile, configure: impl FnOnce(&mut Activation)) -> Self {
        let mut guest = Guest::new();
        configure(&mut guest.activation);
        let mut body = Body::new(profile);
        body.serve(Request::Start(Box::new(guest.activation.clone())), &mut guest.host);
        let mut rig = Self { guest, body };
        rig.unmask();
        rig
    }

    fn unmask(&mut self) {
        for vector in 0..25 {
            self.body.write_bar0(Bar0::Imr(vector), 0);
        }
    }

    fn kick(&mut self) {
        self.body.write_bar0(Bar0::TxProd(0), 0);
        self.settle();
    }

    fn settle(&mut self) {
        self.body.run(&mut self.guest.host, 10_000);
        assert!(self.body.is_idle() || self.guest.host.busy);
    }

    fn receive(&mut self, frame: &[u8]) {
        assert!(self.body.offer(frame));
        self.settle();
    }

    fn tx(&mut self) -> TxStats {
        let Reply::Counters { tx, .. } = self.body.serve(Request::Counters, &mut self.guest.host) else { panic!() };
        tx[0].0
    }

    fn rx(&mut self) -> RxStats {
        let Reply::Counters { rx, .. } = self.body.serve(Request::Counters, &mut self.guest.host) else { panic!() };
        rx[0].0
    }

    fn sent(&self) -> Vec<&[u8]> {
        self.guest.host.sent.iter().map(|(_, frame)| &frame[..]).collect()
    }
}

#[test]
fn a_packet_in_pieces_is_sent_once_and_completed_by_its_last_index() {
    let mut rig = Rig::new(&Profile::SMALL);
    let whole = frame(1, 70);
    rig.guest.packet(&[&whole[..14], &whole[14..20], &whole[20..]], |_| {});
    rig.kick();
    assert_eq!(rig.sent(), [&whole[..]]);
    let mut expected = spec::vmxnet3::TxCompDesc::default();
    expected.set_txd_idx(2);
    expected.set_generation(true);
    assert_eq!(rig.guest.tx_completion(0), expected);
    assert_eq!(rig.guest.tx_completion(1).0, 0);
    assert_eq!(rig.guest.host.vectors, [0]);
    assert_eq!((rig.tx().ucast_pkts_tx_ok(), rig.tx().ucast_bytes_tx_ok()), (1, 70));
}

#[test]
fn completions_toggle_their_generation_at_the_wrap() {
    let mut rig = Rig::new(&Profile::SMALL);
    for id in 0..u64::from(RING) + 1 {
        rig.guest.packet(&[&frame(id, 60)], |_| {});
        rig.kick();
    }
    assert!(!rig.guest.tx_completion(0).generation());
    assert!(rig.guest.tx_completion(1).generation());
}

#[test]
fn a_packet_without_its_end_waits_and_is_read_afresh() {
    let mut rig = Rig::new(&Profile::SMALL);
    let whole = frame(1, 70);
    rig.guest.descriptor(&whole[..20], |desc| desc.set_eop(false));
    rig.kick();
    assert!(rig.sent().is_empty());
    assert!(rig.body.progress().is_ok(), "no idle body holds half a packet");
    rig.guest.descriptor(&whole[20..], |_| {});
    rig.kick();
    assert_eq!(rig.sent(), [&whole[..]]);
}

#[test]
fn an_end_without_cq_is_completed_by_qemu_only() {
    for (profile, completed) in [(&Profile::SMALL, false), (&Profile::QEMU_11_1, true)] {
        let mut rig = Rig::new(profile);
        rig.guest.descriptor(&frame(1, 60), |desc| desc.set_cq(false));
        rig.kick();
        assert_eq!(rig.sent().len(), 1);
        assert_eq!(rig.guest.tx_completion(0).generation(), completed);
        assert_eq!(rig.guest.host.vectors.len(), usize::from(completed));
    }
}

#[test]
fn what_cannot_be_sent_is_counted_and_completed() {
    type Wrong = fn(&mut spec::vmxnet3::TxDesc);
    let wrongs: [(usize, Wrong); 7] = [
        (13, |_| {}),
        (60, |desc| desc.set_om(om::ENCAP)),
        (60, |desc| desc.set_dtype(true)),
        (60, |desc| desc.set_addr(0xdead_0000)),
        (60, |desc| {
            desc.set_om(om::TSO);
            desc.set_hlen(54);
        }),
        (60, |desc| {
            desc.set_om(om::CSUM);
            desc.set_hlen(14);
            desc.set_msscof(59);
        }),
        (60, |desc| {
            desc.set_om(om::TSO);
            desc.set_msscof(10);
            desc.set_hlen(1023);
        }),
    ];
    for (number, (len, wrong)) in wrongs.into_iter().enumerate() {
        let mut rig = Rig::new(&Profile::SMALL);
        rig.guest.descriptor(&tcp4(100, 0)[..len], wrong);
        rig.guest.descriptor(&frame(2, 60), |_| {});
        rig.kick();
        assert_eq!(rig.sent(), [&frame(2, 60)[..]], "wrong {number}");
        assert_eq!(rig.tx().pkts_tx_error(), 1, "wrong {number}");
        assert_eq!(rig.guest.tx_completion(1).txd_idx(), 1);
    }
}

#[test]
fn a_length_of_zero_means_16384_bytes() {
    let mut rig = Rig::new(&Profile::SMALL);
    let whole = frame(1, 16384);
    rig.guest.packet(&[&whole], |desc| assert_eq!(desc.len(), 0));
    rig.kick();
    assert_eq!(rig.sent(), [&whole[..]]);
}

#[test]
fn a_whole_ring_without_an_end_stops_the_queue() {
    let mut rig = Rig::new(&Profile::SMALL);
    for _ in 0..RING {
        rig.guest.descriptor(&[0; 60], |desc| desc.set_eop(false));
    }
    rig.kick();
    assert_eq!(rig.body.take_error(), Some((Direction::Tx, 0, QueueError::NoEop)));
    assert_eq!(rig.body.take_error(), None);
    rig.kick();
    assert!(rig.body.is_idle() && rig.sent().is_empty());
    let Reply::Counters { tx, .. } = rig.body.serve(Request::Counters, &mut rig.guest.host) else { panic!() };
    assert_eq!(tx[0].1, Some(QueueError::NoEop));
}

#[test]
fn offload_is_taken_from_the_first_descriptor_with_headers_in_pieces() {
    let mut rig = Rig::new(&Profile::SMALL);
    let whole = tcp4(250, 12);
    rig.guest.packet(&[&whole[..30], &whole[30..61], &whole[61..]], |desc| {
        desc.set_om(om::TSO);
        desc.set_hlen(66);
        desc.set_msscof(100);
        desc.set_ti(true);
        desc.set_tci(7);
    });
    rig.kick();
    let lens: Vec<usize> = rig.sent().iter().map(|frame| frame.len()).collect();
    assert_eq!(lens, [170, 170, 120]);
    for frame in rig.sent() {
        assert_eq!(frame[12..16], [0x81, 0, 0, 7]);
        assert!(transport_is_right(&[&frame[..12], &frame[16..]].concat()));
    }
    let stats = rig.tx();
    assert_eq!((stats.tso_pkts_tx_ok(), stats.tso_bytes_tx_ok()), (3, 460));
    assert_eq!((stats.ucast_pkts_tx_ok(), stats.ucast_bytes_tx_ok()), (3, 460));
}

#[test]
fn qemu_counts_a_segmented_packet_once() {
    let mut rig = Rig::new(&Profile::QEMU_11_1);
    rig.guest.packet(&[&tcp4(250, 0)], |desc| {
        desc.set_om(om::TSO);
        desc.set_hlen(54);
        desc.set_msscof(100);
    });
    rig.kick();
    assert_eq!(rig.sent().len(), 3);
    assert_eq!((rig.tx().tso_pkts_tx_ok(), rig.tx().tso_bytes_tx_ok()), (1, 304));
    assert_eq!((rig.tx().ucast_pkts_tx_ok(), rig.tx().ucast_bytes_tx_ok()), (1, 304));
}

#[test]
fn a_busy_wire_changes_nothing_and_the_packet_goes_when_it_is_ready() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.packet(&[&frame(1, 60)], |_| {});
    rig.guest.host.busy = true;
    rig.kick();
    let stuck = rig.body.clone();
    rig.settle();
    assert_eq!(rig.body, stuck);
    assert_eq!(rig.body.progress(), Err(InFlight::Tx { queue: 0 }));
    assert!(!rig.body.committed(0));
    rig.guest.host.busy = false;
    rig.body.wire_ready();
    rig.settle();
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn a_packet_not_sent_rolls_back_to_its_start_and_one_sent_in_part_does_not() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.packet(&[&tcp4(250, 0)], |desc| {
        desc.set_om(om::TSO);
        desc.set_hlen(54);
        desc.set_msscof(100);
    });
    rig.body.write_bar0(Bar0::TxProd(0), 0);
    for _ in 0..2 {
        rig.body.step(Unit::Tx(0), &mut rig.guest.host);
    }
    rig.body.roll_back();
    let progress = rig.body.progress().unwrap();
    assert_eq!(progress.tx[0], TxProgress::default());
    let mut elsewhere = Body::resume(&Profile::SMALL, &rig.guest.activation, &progress);
    elsewhere.rescan();
    for _ in 0..3 {
        elsewhere.step(Unit::Tx(0), &mut rig.guest.host);
    }
    assert!(elsewhere.committed(0));
    elsewhere.roll_back();
    assert!(elsewhere.progress().is_err());
    elsewhere.run(&mut rig.guest.host, 100);
    assert_eq!(rig.sent().len(), 3);
    assert_eq!(elsewhere.progress().unwrap().tx[0].next.index(), 1);
}

#[test]
fn with_the_link_down_packets_are_completed_and_not_sent() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.body.set_link(false);
    rig.guest.packet(&[&frame(1, 60)], |_| {});
    rig.kick();
    assert!(rig.sent().is_empty());
    assert_eq!(rig.tx().pkts_tx_discard(), 1);
    assert!(rig.guest.tx_completion(0).generation());
    rig.guest.post(0, 2000, false);
    rig.receive(&frame(2, 60));
    assert_eq!(rig.guest.rx_completion(0).0, 0);
}

#[test]
fn a_frame_spreads_over_a_head_and_bodies_of_both_rings() {
    let mut rig = Rig::new(&Profile::SMALL);
    let pas = [
        rig.guest.post(0, 100, true),
        rig.guest.post(0, 100, false),
        rig.guest.post(0, 50, true),
        rig.guest.post(1, 0, true),
        rig.guest.post(1, 300, true),
    ];
    let whole = frame(1, 400);
    rig.receive(&whole);
    let cells: Vec<_> = (0..3).map(|i| rig.guest.rx_completion(i)).collect();
    let seen: Vec<_> = cells.iter().map(|c| (c.rxd_idx(), c.rq_id(), c.len(), c.sop(), c.eop(), c.kind())).collect();
    assert_eq!(seen, [(1, 0, 100, true, false, 3), (2, 0, 50, false, false, 3), (1, 1, 250, false, true, 3)]);
    assert!(cells[2].fcs() && cells[2].cnc() && !cells[0].fcs());
    let bytes = [rig.guest.bytes(pas[1], 100), rig.guest.bytes(pas[2], 50), rig.guest.bytes(pas[4], 250)].concat();
    assert_eq!(bytes, whole);
    assert_eq!(rig.guest.host.vectors, [1]);
    assert_eq!((rig.rx().ucast_pkts_rx_ok(), rig.rx().ucast_bytes_rx_ok()), (1, 400));
}

#[test]
fn a_frame_that_fits_an_entry_is_copied_to_the_data_ring() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| {
        activation.rx_data = vec![RxDataRing { pa: DATA_RING, entry_bytes: 128 }];
    });
    let pas = [rig.guest.post(0, 80, true), rig.guest.post(0, 80, false), rig.guest.post(0, 400, false)];
    let untouched = rig.guest.bytes(pas[1], 80).to_vec();
    rig.receive(&frame(1, 128));
    rig.receive(&frame(2, 129));
    let cells: Vec<_> = (0..2).map(|i| rig.guest.rx_completion(i)).collect();
    let seen: Vec<_> = cells.iter().map(|c| (c.rxd_idx(), c.rq_id(), c.len(), c.sop(), c.eop(), c.kind())).collect();
    assert_eq!(seen, [(1, 2, 128, true, true, 3), (2, 0, 129, true, true, 3)]);
    assert_eq!(
        rig.guest.bytes(DATA_RING + 128, 128),
        frame(1, 128),
        "in the entry of its descriptor, however small its buffer"
    );
    assert_eq!(rig.guest.bytes(pas[1], 80), untouched);
    assert_eq!(rig.guest.bytes(pas[2], 129), frame(2, 129));
    assert_eq!(rig.rx().ucast_pkts_rx_ok(), 2);
}

#[test]
fn a_data_ring_out_of_reach_ends_the_packet_with_err_and_its_own_name() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| {
        activation.rx_data = vec![RxDataRing { pa: 1 << 40, entry_bytes: 128 }];
    });
    rig.guest.post(0, 200, false);
    rig.receive(&frame(1, 60));
    let cell = rig.guest.rx_completion(0);
    assert_eq!((cell.rq_id(), cell.err(), cell.eop()), (2, true, true));
    assert_eq!(rig.rx().pkts_rx_error(), 1);
}

#[test]
fn a_frame_without_buffers_enough_leaves_no_trace_but_the_counter() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.post(0, 100, true);
    rig.guest.post(0, 100, false);
    let before = (rig.guest.host.memory.clone(), rig.body.progress().unwrap().rx[0].next);
    rig.receive(&frame(1, 400));
    assert_eq!((rig.guest.host.memory.clone(), rig.body.progress().unwrap().rx[0].next), before);
    assert_eq!(rig.rx().pkts_rx_out_of_buf(), 1);
    assert!(rig.guest.host.vectors.is_empty());
    rig.guest.post(1, 300, true);
    rig.receive(&frame(2, 400));
    assert_eq!(rig.rx().ucast_pkts_rx_ok(), 1);
}

#[test]
fn qemu_consumes_the_buffers_that_did_not_suffice() {
    let mut rig = Rig::with(&Profile::QEMU_11_1, |activation| activation.max_rx_sg = 18);
    rig.guest.post(0, 100, true);
    rig.guest.post(0, 100, false);
    rig.receive(&frame(1, 400));
    let cell = rig.guest.rx_completion(0);
    assert_eq!((cell.rxd_idx(), cell.len(), cell.sop(), cell.eop(), cell.err()), (1, 100, true, true, true));
    assert_eq!((cell.kind(), cell.fcs(), cell.cnc()), (0, false, false));
    assert_eq!(rig.rx().pkts_rx_out_of_buf(), 1);
    assert_eq!(rig.body.progress().unwrap().rx[0].next[0].index(), 2);
    assert_eq!(rig.guest.host.vectors, [1]);
}

#[test]
fn the_bound_on_buffers_holds_when_it_is_not_zero() {
    for (profile, bound, delivered, errors) in [
        (&Profile::SMALL, 0, 1, 0),
        (&Profile::SMALL, 2, 1, 0),
        (&Profile::SMALL, 1, 0, 0),
        (&Profile::QEMU_11_1, 0, 0, 1),
    ] {
        let mut rig = Rig::with(profile, |activation| activation.max_rx_sg = bound);
        rig.guest.post(0, 100, false);
        rig.guest.post(1, 300, true);
        rig.receive(&frame(1, 400));
        let stats = rig.rx();
        assert_eq!((stats.ucast_pkts_rx_ok(), stats.pkts_rx_error()), (delivered, errors));
        assert_eq!(stats.pkts_rx_out_of_buf(), 1 - delivered - errors);
    }
}

#[test]
fn a_buffer_out_of_reach_comes_back_with_err() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.post_at(0, 0xdead_0000, 2000, false);
    rig.receive(&frame(1, 60));
    let cell = rig.guest.rx_completion(0);
    assert!(cell.err() && cell.eop() && cell.cnc());
    assert_eq!((rig.rx().pkts_rx_error(), rig.rx().ucast_pkts_rx_ok()), (1, 0));
}

#[test]
fn a_head_in_ring_one_is_passed_over_and_the_search_ends() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.post(0, 100, false);
    for _ in 0..RING {
        rig.guest.post(1, 300, false);
    }
    rig.receive(&frame(1, 400));
    assert_eq!(rig.rx().pkts_rx_out_of_buf(), 1);
}

#[test]
fn short_frames_are_padded_with_zeros_except_on_qemu() {
    for (profile, len) in [(&Profile::SMALL, 60), (&Profile::QEMU_11_1, 20)] {
        let mut rig = Rig::new(profile);
        let pa = rig.guest.post(0, 100, false);
        rig.guest.host.memory.write(pa, &[0xee; 100]).unwrap();
        rig.receive(&frame(1, 20));
        assert_eq!(rig.guest.rx_completion(0).len(), len);
        assert_eq!(
            rig.guest.bytes(pa, 61)[20..],
            [vec![0; usize::from(len) - 20], vec![0xee; 61 - usize::from(len)]].concat()
        );
    }
}

#[test]
fn a_stripped_tag_is_reported_with_the_end_and_bytes_are_counted_as_the_profile_says() {
    for (profile, bytes) in [(&Profile::SMALL, 104), (&Profile::QEMU_11_1, 100)] {
        let mut rig = Rig::with(profile, |activation| activation.features = feature::RXVLAN);
        let pa = rig.guest.post(0, 200, false);
        let untagged = frame(1, 100);
        let mut tagged = untagged.clone();
        tagged.splice(12..12, [0x81, 0, 0x20, 7]);
        rig.receive(&tagged);
        let cell = rig.guest.rx_completion(0);
        assert_eq!((cell.ts(), cell.tci(), cell.len()), (true, 0x2007, 100));
        assert_eq!(rig.guest.bytes(pa, 100), untagged);
        assert_eq!(rig.rx().ucast_bytes_rx_ok(), bytes);
    }
}

#[test]
fn checksums_are_reported_when_asked_and_the_device_verifies() {
    for (profile, features, cnc, right) in [
        (&Profile::SMALL, feature::RXCSUM, false, true),
        (&Profile::SMALL, 0, true, false),
        (&Profile::QEMU_11_1, feature::RXCSUM, true, false),
    ] {
        let mut rig = Rig::with(profile, |activation| activation.features = features);
        rig.guest.post(0, 200, false);
        rig.receive(&tcp4(50, 0));
        let cell = rig.guest.rx_completion(0);
        assert_eq!((cell.cnc(), cell.ipc(), cell.tuc()), (cnc, right, right));
        assert_eq!(cell.csum(), 0);
    }
}

#[test]
fn a_long_frame_counts_as_merged_on_qemu() {
    for (profile, merged) in [(&Profile::SMALL, 0), (&Profile::QEMU_11_1, 1)] {
        let mut rig = Rig::new(profile);
        rig.guest.post(0, 2000, false);
        rig.receive(&frame(1, 1514));
        assert_eq!(rig.rx().lro_pkts_rx_ok(), merged);
        assert_eq!(rig.rx().lro_bytes_rx_ok(), 1514 * merged);
        assert_eq!(rig.rx().ucast_pkts_rx_ok(), 1);
    }
}

#[test]
fn the_hash_chooses_the_queue_and_is_reported() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| {
        let mut second = activation.rx[0];
        second.ring_pa = second.ring_pa.map(|pa| pa + 0x100);
        second.comp_pa += 0x100;
        activation.rx.push(second);
        activation.rss = Some(Rss { hash_type: hash_type::TCP_IPV4, key: [0x5a; 40], table: vec![1] });
    });
    let mut desc = spec::vmxnet3::RxDesc::default();
    let pa = rig.guest.buffer(200);
    desc.set_addr(pa);
    desc.set_len(200);
    desc.set_generation(true);
    rig.guest.host.memory.put(rig.guest.activation.rx[0].ring_pa[0] + 0x100, desc).unwrap();
    rig.receive(&tcp4(10, 0));
    let cell: spec::vmxnet3::RxCompDesc =
        rig.guest.host.memory.get(rig.guest.activation.rx[0].comp_pa + 0x100).unwrap();
    assert_eq!((cell.rq_id(), cell.rss_type()), (1, rss_type::TCP_IPV4));
    assert_ne!(cell.rss_hash(), 0);
}

#[test]
fn nothing_is_delivered_once_the_mode_is_zero() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.post(0, 200, false);
    assert!(rig.body.offer(&frame(1, 60)));
    rig.body.step(Unit::Rx, &mut rig.guest.host);
    let filters = crate::plane::Filters { mac: MAC, ..Default::default() };
    rig.body.serve(Request::Filters(Box::new(filters)), &mut rig.guest.host);
    rig.settle();
    rig.receive(&frame(2, 60));
    assert_eq!(rig.guest.rx_completion(0).0, 0);
}

#[test]
fn the_inbox_holds_one_frame_and_gives_it_back_untouched() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| activation.features = feature::RXVLAN);
    rig.guest.post(0, 200, false);
    let mut tagged = frame(1, 60);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    assert!(rig.body.offer(&tagged));
    assert!(!rig.body.offer(&frame(2, 60)));
    rig.body.step(Unit::Rx, &mut rig.guest.host);
    assert_eq!(rig.body.progress(), Err(InFlight::Rx { queue: 0 }));
    assert_eq!(rig.body.return_inbox(), [tagged.clone()]);
    assert!(rig.body.progress().is_ok());
    assert!(rig.body.offer(&tagged));
    for _ in 0..2 {
        rig.body.step(Unit::Rx, &mut rig.guest.host);
    }
    assert!(rig.body.return_inbox().is_empty(), "its bytes are in the guest's buffer");
}

#[test]
fn a_masked_vector_remembers_and_fires_when_unmasked() {
    for (profile, masked_again) in [(&Profile::SMALL, 1), (&Profile::QEMU_11_1, 0)] {
        let mut rig = Rig::new(profile);
        rig.body.write_bar0(Bar0::Imr(1), 1);
        rig.guest.post(0, 200, false);
        rig.receive(&frame(1, 60));
        assert!(rig.guest.host.vectors.is_empty());
        rig.body.write_bar0(Bar0::Imr(1), 0);
        rig.settle();
        assert_eq!(rig.guest.host.vectors, [1]);
        assert_eq!(rig.body.read_bar0(Bar0::Imr(1)), masked_again);
    }
}

#[test]
fn a_vector_masks_itself_only_when_auto_mask_is_on() {
    for auto_mask in [false, true] {
        let mut rig = Rig::with(&Profile::SMALL, |activation| activation.auto_mask = auto_mask);
        rig.body.serve(Request::Raise(2), &mut rig.guest.host);
        rig.body.serve(Request::Raise(25), &mut rig.guest.host);
        rig.body.serve(Request::Raise(255), &mut rig.guest.host);
        rig.settle();
        assert_eq!(rig.guest.host.vectors, [2]);
        assert_eq!(rig.body.read_bar0(Bar0::Imr(2)), u32::from(auto_mask));
    }
}

#[test]
fn the_line_stays_up_until_icr_is_read_and_the_read_masks() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| activation.interrupts = Interrupts::Line);
    assert_eq!(rig.body.read_icr(&mut rig.guest.host), 0);
    rig.body.serve(Request::Raise(1), &mut rig.guest.host);
    rig.body.serve(Request::Raise(0), &mut rig.guest.host);
    rig.settle();
    assert!(rig.guest.host.line && rig.guest.host.vectors.is_empty());
    assert_eq!(rig.body.read_bar0(Bar0::Imr(0)), 0);
    assert!(rig.body.progress().unwrap().vectors[0].pending, "an interrupt not acknowledged travels as a cause");
    assert_eq!(rig.body.read_icr(&mut rig.guest.host), 1);
    assert!(!rig.guest.host.line);
    assert_eq!(rig.body.read_bar0(Bar0::Imr(0)), 1);
    assert_eq!(rig.body.read_icr(&mut rig.guest.host), 0);
}

#[test]
fn with_msi_vector_0_alone_is_told_by_a_message_and_icr_reads_0() {
    for auto_mask in [false, true] {
        let mut rig = Rig::with(&Profile::SMALL, |activation| {
            (activation.interrupts, activation.auto_mask) = (Interrupts::Msi, auto_mask);
        });
        for vector in [1, 24, 0] {
            rig.body.serve(Request::Raise(vector), &mut rig.guest.host);
        }
        rig.settle();
        assert_eq!(rig.guest.host.vectors, [0]);
        assert!(!rig.guest.host.line && !rig.body.progress().unwrap().vectors[1].pending);
        assert_eq!(rig.body.read_bar0(Bar0::Imr(0)), u32::from(auto_mask));
        assert_eq!(rig.body.read_icr(&mut rig.guest.host), 0);
    }
}

#[test]
fn a_line_nobody_acknowledged_goes_down_when_the_guest_turns_to_messages() {
    let mut rig = Rig::with(&Profile::SMALL, |activation| activation.interrupts = Interrupts::Line);
    rig.body.serve(Request::Raise(0), &mut rig.guest.host);
    rig.settle();
    assert!(rig.guest.host.line);
    let activation = Activation { interrupts: Interrupts::Msi, ..rig.guest.activation.clone() };
    rig.body.serve(Request::Start(Box::new(activation)), &mut rig.guest.host);
    assert!(!rig.guest.host.line);
    rig.settle();
    assert_eq!(rig.guest.host.vectors, [0], "its cause is told all the same");
}

#[test]
fn masks_work_while_inactive_except_on_qemu_and_reset_sets_them_all() {
    for (profile, read) in [(&Profile::SMALL, 0), (&Profile::QEMU_11_1, 1)] {
        let mut body = Body::new(profile);
        assert_eq!(body.read_bar0(Bar0::Imr(3)), 1);
        body.write_bar0(Bar0::Imr(3), 0);
        assert_eq!(body.read_bar0(Bar0::Imr(3)), read);
        body.serve(Request::Reset, &mut Bare::default());
        assert_eq!(body, Body::new(profile));
    }
}

#[test]
fn after_a_stop_nothing_moves_and_a_start_begins_again() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.packet(&[&frame(1, 60)], |_| {});
    rig.body.write_bar0(Bar0::TxProd(0), 0);
    rig.body.step(Unit::Tx(0), &mut rig.guest.host);
    assert!(rig.body.offer(&frame(2, 60)));
    rig.body.serve(Request::Raise(2), &mut rig.guest.host);
    rig.body.serve(Request::Stop, &mut rig.guest.host);
    assert!(rig.body.is_idle());
    rig.body.write_bar0(Bar0::TxProd(0), 0);
    rig.settle();
    assert!(rig.sent().is_empty());
    rig.body.serve(Request::Start(Box::new(rig.guest.activation.clone())), &mut rig.guest.host);
    rig.kick();
    assert_eq!(rig.sent().len(), 1);
    assert!(rig.guest.host.vectors.contains(&2), "a cause outlives a stop");
}

#[test]
fn a_doorbell_of_a_queue_that_is_not_there_does_nothing() {
    let mut rig = Rig::new(&Profile::SMALL);
    rig.guest.packet(&[&frame(1, 60)], |_| {});
    for queue in 1..=255 {
        rig.body.write_bar0(Bar0::TxProd(queue), 1);
    }
    rig.body.write_bar0(Bar0::RxProd(0), 1);
    rig.settle();
    assert!(rig.sent().is_empty());
}

#[cfg(feature = "mutants")]
#[test]
fn bugs_planted_elsewhere_do_not_touch_the_body() {
    use crate::mutant::{Mutant, Place, Row};
    let outcome = |planted: Planted| {
        let mut rig = Rig::with(&Profile::SMALL, |activation| {
            activation.rx_data = vec![RxDataRing { pa: DATA_RING, entry_bytes: 128 }];
        });
        rig.body.plant(planted);
        let mut steps = Vec::new();
        for id in 0..6 {
            rig.guest.packet(&[&tcp4(250, 0)], |desc| {
                desc.set_om(om::TSO);
                desc.set_hlen(54);
                desc.set_msscof(100);
            });
            rig.guest.post(0, 100, false);
            rig.guest.post(1, 300, true);
            assert!(rig.body.offer(&frame(id, 300)));
            rig.body.write_bar0(Bar0::TxProd(0), 0);
            while rig.body.run(&mut rig.guest.host, 1) > 0 {
                steps.push(rig.guest.host.clone());
            }
        }
        rig.unmask();
        rig.settle();
        (steps, rig.guest.host)
    };
    let healthy = outcome(Planted::NONE);
    let differs = |row: &Row| outcome(Planted::some(row.0)) != healthy;
    let (own, foreign): (Vec<Row>, Vec<Row>) = Mutant::TABLE.iter().partition(|row| row.2 == Place::Software);
    let touching: Vec<_> = foreign.iter().filter(|row| differs(row)).map(|row| row.1).collect();
    assert_eq!(touching, [""; 0]);
    // This traffic is able to tell: many a bug of the body itself shows in it.
    assert!(own.iter().filter(|row| differs(row)).count() >= 10);
}

#[test]
fn a_cause_within_the_spacing_of_its_vector_waits_until_it_is_over() {
    let mut rig = Rig::with(&Profile::MODERATED, |activation| {
        activation.auto_mask = false;
        activation.mod_levels[1] = 1;
    });
    let raises = |rig: &Rig| rig.guest.host.vectors.len();
    for quiet in [12_000, 20_000, u64::MAX] {
        let before = raises(&rig);
        for vector in [1, 1, 2, 2] {
            rig.body.serve(Request::Raise(vector), &mut rig.guest.host);
            rig.settle();
        }
        assert_eq!((raises(&rig) - before, rig.body.wait_ns()), (3, Some(12_000)), "vector 2 has no level");
        rig.body.advance(11_999);
        rig.settle();
        assert_eq!((raises(&rig) - before, rig.body.wait_ns()), (3, Some(1)));
        rig.body.advance(1);
        rig.settle();
        assert_eq!((raises(&rig) - before, rig.body.wait_ns()), (4, None));
        assert!(rig.body.is_timed(), "though nothing waits");
        rig.body.advance(quiet);
        assert!(!rig.body.is_timed());
    }
}
