//! The committed recording is predicted whole, and whatever is planted into it is named.

use proptest::collection::vec;
use proptest::prelude::*;
use spec::profile::Profile;
use std::path::Path;
use std::sync::OnceLock;
use vnic_golden::import::{Capture, Frame, Region, RegisterAccess};
use vnic_golden::replay::{replay, replay_once};

fn capture() -> Capture {
    static CAPTURE: OnceLock<Capture> = OnceLock::new();
    let open = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
        Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))
    };
    CAPTURE.get_or_init(open).clone()
}

#[test]
fn every_read_and_the_whole_saved_state_are_predicted() {
    let report = replay(&capture(), &Profile::QEMU_11_1).unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!((report.accesses, report.reads, report.predicted), (2357, 116, 116));
    assert_eq!((report.frames_sent, report.frames_received), (704, 682));
    assert_eq!(report.hold_line, Some(2326));
    assert_eq!(report.different().count(), 0);
    assert_eq!(report.dumps, ["ethtool-d.regs-up.raw", "ethtool-d.regs-wrapped.raw"]);
    assert!(report.fields.len() > 700);
    assert_eq!(report.cells, 256 + 256 + 288 + 576 + 864);
    assert!(report.from_log.contains(&("current MAC", "52:54:00:aa:bb:cc".to_string())));
    let relied = [
        "unmasking with a cause pending does not mask again",
        "receive completions carry type 0",
        "receive checksums are not verified and fcs stays 0",
        "GET_LINK answers 1000 Mbit/s",
    ];
    assert_eq!(report.deviations, relied);
}

/// On a device as the sources describe it, each difference names the deviation that explains it.
#[test]
fn a_difference_from_the_reference_names_a_listed_deviation() {
    let report = replay(&capture(), &Profile::REFERENCE).unwrap();
    assert!(!report.holds());
    for failure in &report.failures {
        assert!(failure.contains("[deviation: "), "{failure}");
    }
}

/// Plants one change and gives back everything that is then said.
fn planted(change: impl FnOnce(&mut Capture)) -> String {
    let mut capture = capture();
    change(&mut capture);
    match replay_once(&capture, &Profile::QEMU_11_1) {
        Ok(report) => report.failures.join("\n"),
        Err(error) => error.to_string(),
    }
}

fn named(kind: &str, expected: &str, change: impl FnOnce(&mut Capture)) {
    let said = planted(change);
    assert!(said.contains(expected), "{kind}: `{expected}` is not in\n{said}");
}

fn accesses(capture: &mut Capture) -> &mut Vec<RegisterAccess> {
    &mut capture.trace.as_mut().unwrap().accesses
}

fn at(capture: &mut Capture, line: usize) -> usize {
    accesses(capture).iter().position(|access| access.line == line).unwrap()
}

fn access(capture: &mut Capture, line: usize) -> &mut RegisterAccess {
    let at = at(capture, line);
    &mut accesses(capture)[at]
}

fn frames(capture: &mut Capture) -> &mut Vec<Frame> {
    capture.frames.as_mut().unwrap()
}

#[test]
fn a_changed_read_names_line_and_register() {
    for (line, register) in [
        (1, "bar1.VRRS"),
        (3, "bar1.UVRS"),
        (54, "bar1.DSAL"),
        (55, "bar1.DSAH"),
        (51, "bar1.CMD"),
        (90, "bar1.CMD"),
        (47, "bar1.MACL"),
        (48, "bar1.MACH"),
        (59, "bar1.ICR"),
        (60, "bar1.ECR"),
        (61, "bar0.IMR[0]"),
        (309, "bar0.IMR[1]"),
        (64, "bar0.TXPROD[0]"),
        (65, "bar0.RXPROD[0]"),
        (66, "bar0.RXPROD2[0]"),
        (70, "msix[0]+0x8"),
        (1368, "bar1.ECR"),
    ] {
        for bit in [0, 3, 31] {
            named(register, &format!("line {line}: {register} read"), |capture| {
                access(capture, line).value ^= 1 << bit;
            });
        }
    }
}

#[test]
fn every_read_of_the_log_is_judged() {
    let reads: Vec<usize> = capture().trace.unwrap().accesses.iter().filter(|a| !a.write).map(|a| a.line).collect();
    for line in reads.into_iter().step_by(9) {
        named("read", &format!("line {line}: "), |capture| access(capture, line).value ^= 0x100);
    }
}

#[test]
fn a_missing_write_is_named_by_what_follows_from_it() {
    let drop = |line: usize| {
        move |capture: &mut Capture| {
            let at = at(capture, line);
            accesses(capture).remove(at);
        }
    };
    named("command", "line 51: bar1.CMD read 0x3e80001, predicted 0x0", drop(50));
    named("dsal", "line 90: bar1.CMD read 0x0, predicted 0x1", drop(87));
    named("activate", "line 384: bar0.RXPROD[0] <- 0x41f, with a ring of 1024", drop(382));
    named("activate", "line 446: bar0.RXPROD[0] <- 0x11f, with a ring of 1056", drop(444));
    named("msix", "line 70: msix[0]+0x8 read 0x26", |capture| {
        drop(67)(capture);
        drop(69)(capture);
    });
    named("mac", "line 1397: bar0.TXPROD[0] <- 0x2f: no captured frame from 52:54:00:12:34:56 is left", drop(1395));
    named("doorbell", "2 captured frames were never sent, the next is 1385", |capture| {
        drop(2327)(capture);
        drop(2329)(capture);
    });
    named("doorbell", "does not end after 4 descriptors", drop(2299));
    named("last command", "last_command is 3405643780", |capture| {
        // The commands before the doorbells are the same eight times over.
        (1411..1419).for_each(|line| drop(line)(capture));
    });
    named("unmask", "interrupt_states[1].is_masked is 0", drop(454));
}

#[test]
fn a_doorbell_doubled_changed_or_moved_is_named() {
    named("doubled", "line 1441: bar0.TXPROD[0] <- 0x3e: the index does not advance from 62", |capture| {
        let at = at(capture, 1441);
        let twice = accesses(capture)[at];
        accesses(capture).insert(at, twice);
    });
    named("one more", "line 1444: bar0.TXPROD[0] <- 0x40", |capture| access(capture, 1441).value += 2);
    named("too far", "cannot fill", |capture| access(capture, 2325).value = 120);
    named("outside", "line 1441: bar0.TXPROD[0] <- 0x100: the ring has 256 descriptors", |capture| {
        access(capture, 1441).value = 256;
    });
    named("receive", "line 446: bar0.RXPROD[0] <- 0x11e", |capture| access(capture, 446).value = 0x11e);
    named("receive", "rx_ring[0].size is 288", |capture| access(capture, 446).value = 0xff);
    named("receive", "rx_ring[1].size is 576", |capture| access(capture, 447).value = 0x1ff);
    named("swapped", "line 98: bar0.IMR[0] <- 0", |capture| {
        // Unmasking twice with nothing between: the doorbell that explains the second comes after it.
        let at = at(capture, 105);
        accesses(capture).swap(at, at + 1);
        let unmask = accesses(capture)[at].line;
        assert_eq!(unmask, 106);
        accesses(capture)[at].line = 98;
    });
    named("swapped", "line 97: bar1.CMD read", |capture| {
        let at = at(capture, 96);
        accesses(capture).swap(at, at + 1);
    });
    named("other register", "last_command", |capture| {
        let access = accesses(capture).iter_mut().rfind(|a| a.line < 2325 && a.region == Region::Bar1 && a.write);
        access.unwrap().value = 0xcafe_0003;
    });
}

#[test]
fn a_changed_recording_of_the_wire_is_named() {
    named("sent, dropped", "state after", |capture| {
        frames(capture).remove(1300);
    });
    named("sent, dropped early", "does not come from the guest's MAC", |capture| {
        frames(capture).remove(5);
    });
    named("received, dropped", "nothing had raised the vector", |capture| {
        frames(capture).remove(8);
    });
    named("received, dropped", "ucastPktsRxOK is 601", |capture| {
        frames(capture).remove(1000);
    });
    named("received, dropped", "ethtool-d.regs-up.raw: rx[0].rxRing[0].next2fill is ", |capture| {
        frames(capture).remove(6);
    });
    named("sent, doubled", "captured frames were never sent", |capture| {
        let twice = frames(capture)[1299].clone();
        frames(capture).insert(1300, twice);
    });
    named("received, doubled", "ucastPktsRxOK is 601", |capture| {
        let at = 1000
            + frames(capture)[1000..].iter().position(|f| f.bytes[..6] == [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]).unwrap();
        let twice = frames(capture)[at].clone();
        frames(capture).insert(at, twice);
    });
    named("payload", "frame 800 has a wrong TCP checksum", |capture| frames(capture)[799].bytes[700] ^= 1);
    named("payload", "frame 7 has a wrong ICMP checksum", |capture| frames(capture)[6].bytes[60] ^= 1);
    named("destination", "mcastPktsTxOK is 7", |capture| frames(capture)[799].bytes[0] ^= 1);
    named("destination", "ucastPktsRxOK is 601", |capture| frames(capture)[800].bytes[5] ^= 1);
    named("source", "does not come from the guest's MAC", |capture| {
        frames(capture)[799].bytes[6..12].copy_from_slice(&[0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    });
    named("longer", "ucastBytesRxOK is 47545", |capture| {
        let frame = &mut frames(capture)[800];
        frame.bytes.push(0);
        frame.wire_len += 1;
    });
    named("cut", "frame 801 is cut: 59 of 60 bytes", |capture| {
        frames(capture)[800].bytes.pop();
    });
    named("received, reordered", "memory: rx[0].compRing[", |capture| {
        let (a, b) = (1380, 1381);
        let first = frames(capture)[a].bytes.clone();
        frames(capture)[a].bytes = std::mem::replace(&mut frames(capture)[b].bytes, first);
        let first = frames(capture)[a].wire_len;
        frames(capture)[a].wire_len = std::mem::replace(&mut frames(capture)[b].wire_len, first);
    });
    named("reordered", "is earlier than the frame before it", |capture| frames(capture).swap(40, 42));
    named("sent, reordered", "has 1078 bytes, frame", |capture| {
        let sent: Vec<usize> =
            (1300..1386).filter(|&i| frames(capture)[i].bytes[6..12] == [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]).collect();
        let (a, b) = (sent[sent.len() - 6], sent[sent.len() - 5]);
        frames(capture).swap(a, b);
    });
}

#[test]
fn a_changed_field_of_the_stream_is_named() {
    let mut kinds = 0;
    let mut field = |name: &str, change: &dyn Fn(&mut vnic_golden::import::Vmxnet3Section)| {
        kinds += 1;
        let said = planted(|capture| change(&mut capture.stream));
        assert!(said.contains(&format!(": {name} is ")), "`{name}` is not in\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    field("txq_descr[0].tx_ring.next", &|s| s.txq_descr[0].tx_ring.next = 135);
    field("txq_descr[0].tx_ring.gen", &|s| s.txq_descr[0].tx_ring.generation = true);
    field("txq_descr[0].comp_ring.next", &|s| s.txq_descr[0].comp_ring.next = 7);
    field("txq_descr[0].comp_ring.gen", &|s| s.txq_descr[0].comp_ring.generation = false);
    field("rxq_descr[0].rx_ring[0].next", &|s| s.rxq_descr[0].rx_ring[0].next = 76);
    field("rxq_descr[0].rx_ring[0].gen", &|s| s.rxq_descr[0].rx_ring[0].generation = false);
    field("rxq_descr[0].rx_ring[1].next", &|s| s.rxq_descr[0].rx_ring[1].next = 1);
    field("rxq_descr[0].rx_ring[1].gen", &|s| s.rxq_descr[0].rx_ring[1].generation = false);
    field("rxq_descr[0].comp_ring.next", &|s| s.rxq_descr[0].comp_ring.next = 600);
    field("rxq_descr[0].comp_ring.gen", &|s| s.rxq_descr[0].comp_ring.generation = false);
    field("txq_descr[0].tx_ring.pa", &|s| s.txq_descr[0].tx_ring.pa += 4096);
    field("txq_descr[0].intr_idx", &|s| s.txq_descr[0].intr_idx = 1);
    field("txq_descr[0].tx_stats_pa", &|s| s.txq_descr[0].tx_stats_pa += 8);
    field("txq_descr[0].txq_stats.ucastBytesTxOK", &|s| s.txq_descr[0].stats.set_ucast_bytes_tx_ok(1));
    field("txq_descr[0].txq_stats.bcastPktsTxOK", &|s| s.txq_descr[0].stats.set_bcast_pkts_tx_ok(6));
    field("rxq_descr[0].rxq_stats.ucastPktsRxOK", &|s| s.rxq_descr[0].stats.set_ucast_pkts_rx_ok(600));
    field("rxq_descr[0].rxq_stats.pktsRxOutOfBuf", &|s| s.rxq_descr[0].stats.set_pkts_rx_out_of_buf(1));
    field("txq_descr[5].comp_ring.size", &|s| s.txq_descr[5].comp_ring.size = 32);
    field("interrupt_states[1].is_masked", &|s| s.interrupt_states[1].is_masked = true);
    field("interrupt_states[0].is_pending", &|s| s.interrupt_states[0].is_pending = true);
    field("interrupt_states[24].is_masked", &|s| s.interrupt_states[24].is_masked = false);
    field("interrupt_states[0].is_asserted", &|s| s.interrupt_states[0].is_asserted = true);
    field("rx_mode", &|s| s.rx_mode = 0x17);
    field("vlan_table[0]", &|s| s.vlan_table[0] = 1);
    field("vlan_table[127]", &|s| s.vlan_table[127] = 1 << 31);
    field("mcast_list[2]", &|s| s.mcast_list[2][5] ^= 1);
    field("mtu", &|s| s.mtu = 1500);
    field("max_rx_frags", &|s| s.max_rx_frags = 17);
    field("max_tx_frags", &|s| s.max_tx_frags = 512);
    field("event_int_idx", &|s| s.event_int_idx = 0);
    field("auto_int_masking", &|s| s.auto_int_masking = false);
    field("last_command", &|s| s.last_command = 0xcafe_0003);
    field("link_status_and_speed", &|s| s.link_status_and_speed = 0);
    field("temp_mac", &|s| s.temp_mac = 0x1200_5452);
    field("temp_shared_guest_driver_memory", &|s| s.temp_shared_guest_driver_memory = 0);
    field("rx_vlan_stripping", &|s| s.rx_vlan_stripping = false);
    field("lro_supported", &|s| s.lro_supported = true);
    field("rx_packets_compound", &|s| s.rx_packets_compound = false);
    field("msix_table[1].data", &|s| s.msix_table[1] ^= 1 << 64);
    field("msix_table[7].control", &|s| s.msix_table[7] ^= 1 << 96);
    field("msix_pba[0]", &|s| s.msix_pba[0] = 1);
    field("irq_state[0]", &|s| s.irq_state[0] = 1);
    field("config[0x10]", &|s| s.config[0x12] ^= 1);
    assert!(kinds > 40);
    named("drv_shmem", "drv_shmem is 44433408", |capture| capture.stream.drv_shmem += 4096);
    named("inactive", "device_active is 0", |capture| capture.stream.device_active = false);
    named("queues", "txq_num is 2", |capture| capture.stream.txq_num = 2);
}

/// A saved mask is the one field with two right answers: between the interrupt and the unmasking write it was set.
#[test]
fn a_set_mask_moves_the_hold_before_the_write_that_clears_it() {
    let mut capture = capture();
    capture.stream.interrupt_states[0].is_masked = true;
    let report = replay_once(&capture, &Profile::QEMU_11_1).unwrap();
    assert_eq!((report.holds(), report.hold_line), (true, Some(2325)));
}

#[test]
fn a_changed_completion_in_memory_is_named() {
    let change = |pa: u64, byte: usize, bit: u8| {
        move |capture: &mut Capture| {
            let region = capture.memory.regions.iter_mut().find(|region| region.address == pa).unwrap();
            region.bytes[byte] ^= bit;
        }
    };
    named("rx len", "memory: rx[0].compRing[17].len", change(0x2a9_c000, 17 * 16 + 8, 1));
    named("rx gen", "memory: rx[0].rxRing[0][5].gen", change(0x2a9_8000, 5 * 16 + 11, 0x80));
    named("tx idx", "memory: tx[0].compRing[40].txdIdx", change(0xf44_8000, 40 * 16, 1));
    named("stats", "memory: tx[0].stats.ucastPktsTxOK", change(0x2a5_b000, 88 + 16, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a log, a wire or a memory image says, it is judged.
    #[test]
    fn no_capture_makes_the_replay_panic(
        changes in vec((0usize..4, any::<prop::sample::Index>(), any::<u32>()), 1..6),
    ) {
        let mut capture = capture();
        for (kind, place, value) in changes {
            match kind {
                0 => {
                    let all = accesses(&mut capture);
                    let place = place.index(all.len());
                    all[place].value = u64::from(value);
                }
                1 => {
                    let all = frames(&mut capture);
                    let place = place.index(all.len());
                    all[place].bytes.truncate(value as usize % 100);
                }
                2 => {
                    // Shared area and queue descriptors: every word means something.
                    let pa = if value & 1 == 0 { 0x2a5_b000 } else { 0x2a5_f000 };
                    let region = capture.memory.regions.iter_mut().find(|region| region.address == pa).unwrap();
                    let word = place.index(128) * 4;
                    region.bytes[word..word + 4].copy_from_slice(&value.to_le_bytes());
                }
                _ => {
                    let all = accesses(&mut capture);
                    let place = place.index(all.len() - 1);
                    all.swap(place, place + 1);
                }
            }
        }
        let _ = replay_once(&capture, &Profile::QEMU_11_1);
        let _ = vnic_golden::roundtrip::roundtrip(&capture);
    }
}

#[test]
fn a_capture_without_log_or_frames_cannot_be_replayed_and_says_so() {
    let mut capture = capture();
    capture.frames = None;
    let error = replay(&capture, &Profile::QEMU_11_1).unwrap_err();
    assert_eq!(error.to_string(), "capture: wire.pcap is missing");
    capture.trace = None;
    let error = replay(&capture, &Profile::QEMU_11_1).unwrap_err();
    assert_eq!(error.to_string(), "capture: qemu-trace.log is missing");
}
