//! The committed recording as a whole: what it holds, and that its parts agree with each other.

use std::path::{Path, PathBuf};
use vnic_golden::import::{Capture, Region, Vmxnet3Section, gzip};
use vnic_golden::shared_view::SharedView;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1")
}

fn capture() -> Capture {
    Capture::open(&folder()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_capture_opens_with_all_its_parts() {
    let all = capture();
    assert_eq!(all.stream.section.name, "0000:00:03.0/vmxnet3");
    assert_eq!(all.trace.unwrap().accesses.len(), 2357);
    assert_eq!(all.frames.unwrap().len(), 1386);
    assert_eq!(all.dumps.len(), 3);
    assert_eq!(all.lspci.unwrap().identity(), Some((0x15ad, 0x07b0)));
    assert_eq!(all.memory.regions.len(), 7);
}

#[test]
fn stream_and_memory_name_the_same_rings() {
    let all = capture();
    let view = SharedView::find(&all.memory, Some(all.stream.drv_shmem)).unwrap();
    let (tx, rx) = (view.tx[0].conf(), view.rx[0].conf());
    let (txq, rxq) = (&all.stream.tx_queues()[0], &all.stream.rx_queues()[0]);
    assert_eq!((tx.tx_ring_base_pa(), tx.tx_ring_size()), (txq.tx_ring.pa, txq.tx_ring.size));
    assert_eq!((tx.comp_ring_base_pa(), tx.comp_ring_size()), (txq.comp_ring.pa, txq.comp_ring.size));
    for r in 0..2 {
        assert_eq!((rx.rx_ring_base_pa()[r], rx.rx_ring_size()[r]), (rxq.rx_ring[r].pa, rxq.rx_ring[r].size));
    }
    assert_eq!((rx.comp_ring_base_pa(), rx.comp_ring_size()), (rxq.comp_ring.pa, rxq.comp_ring.size));
    assert_eq!(view.rings().len(), 5);
    assert!(view.rings().iter().all(|ring| ring.bytes(&all.memory).is_some()));
}

#[test]
fn the_packets_counted_are_where_the_completion_ring_stands() {
    let queue = &capture().stream.txq_descr[0];
    let packets = queue.stats.ucast_pkts_tx_ok() + queue.stats.mcast_pkts_tx_ok() + queue.stats.bcast_pkts_tx_ok();
    assert_eq!((packets % 512, queue.comp_ring.next, queue.comp_ring.generation), (99, 99, true));
}

#[test]
fn the_last_command_before_the_hold_is_the_one_saved() {
    let all = capture();
    let before = all.trace.as_ref().unwrap().accesses.iter().take_while(|access| access.line < 2326);
    let command = before.filter(|access| access.write && access.region == Region::Bar1 && access.offset == 0x20).last();
    assert_eq!(command.unwrap().value, u64::from(all.stream.last_command));
}

#[test]
fn the_raw_dump_is_what_ethtool_prints_in_hex() {
    let read = |name: &str| std::fs::read(folder().join(name)).unwrap();
    let text = String::from_utf8(read("ethtool-d.regs-up.hex.txt")).unwrap();
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("0x")?.split_once(':'));
    let printed = rows.flat_map(|(_, row)| row.split_whitespace()).map(|byte| u8::from_str_radix(byte, 16).unwrap());
    assert_eq!(printed.collect::<Vec<_>>(), read("ethtool-d.regs-up.raw"));
}

#[test]
fn parts_packed_or_not_give_the_same_capture() {
    let read = |path: PathBuf| -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        entries
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(path).unwrap()))
            .collect()
    };
    let parts = Capture::from_parts("c", &read(folder()), &read(folder().join("memory"))).unwrap();
    assert_eq!(parts, capture());
    let error = Capture::from_parts("c", &[], &[]).unwrap_err();
    assert_eq!(error.to_string(), "c: migration-stream.bin is missing");
}

#[test]
fn a_refused_value_names_file_offset_field_and_value() {
    let packed = std::fs::read(folder().join("migration-stream.bin.gz")).unwrap();
    let good = gzip::unpack("s", &packed, gzip::LIMIT).unwrap().into_owned();
    let section = Vmxnet3Section::parse("s", &good).unwrap();
    let leaves = section.tree.leaves();
    let say = |path: &str, value: u64| {
        let (_, node) = leaves.iter().find(|(leaf, _)| leaf == path).unwrap_or_else(|| panic!("{path} is not a field"));
        let mut bytes = good.clone();
        bytes[node.offset..node.offset + node.bytes].copy_from_slice(&value.to_be_bytes()[8 - node.bytes..]);
        let text = Vmxnet3Section::parse("s", &bytes).unwrap_err().to_string();
        let place = format!("s, offset {:#x}: ", node.offset);
        text.strip_prefix(&place).unwrap_or_else(|| panic!("{text} does not begin with {place}")).to_string()
    };
    assert_eq!(say("txq_num", 9), "txq_num is 9 (0x9) and must be at most 8");
    assert_eq!(say("rx_vlan_stripping", 2), "rx_vlan_stripping is 2 (0x2) and must be at most 1");
    assert_eq!(say("txq_descr[0].tx_ring.next", 256), "txq_descr[0].tx_ring.next is 256 (0x100) and must be below 256");
    assert_eq!(say("txq_descr[0].tx_ring.gen", 2), "txq_descr[0].tx_ring.gen is 2 (0x2) and must be at most 1");
    assert_eq!(say("rxq_descr[0].rx_ring[0].size", 0), "rxq_descr[0].rx_ring[0].size is 0 (0x0) and must not be 0");
    assert_eq!(
        say("rxq_descr[0].comp_ring.size", 865),
        "rxq_descr[0].comp_ring.size is 865 (0x361) and must be a multiple of 32"
    );
    assert_eq!(say("txq_descr[0].intr_idx", 25), "txq_descr[0].intr_idx is 25 (0x19) and must be at most 24");
    assert_eq!(say("device_active", 2), "device_active is 2 (0x2) and must be at most 1");
    assert_eq!(say("mtu", 9001), "mtu is 9001 (0x2329) and must lie from 60 to 9000");
    assert_eq!(say("mcast_list_len", 6), "mcast_list_len is 6 (0x6) and must be at most 5");
    assert_eq!(
        say("interrupt_states[24].is_pending", 255),
        "interrupt_states[24].is_pending is 255 (0xff) and must be at most 1"
    );
}
