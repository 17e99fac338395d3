//! The committed recording makes the trip through both bodies, also with several queues.

use pretty_assertions::assert_eq;
use spec::layout::Bytes;
use spec::vmxnet3::{DriverShared, RxCompDesc, RxQueueDesc, TxQueueDesc};
use std::io::Read as _;
use std::path::Path;
use vnic_golden::import::memory::MemoryRegion;
use vnic_golden::import::qemu_stream::{self, Node, Value};
use vnic_golden::import::{Capture, MemoryImage, Ring};
use vnic_golden::roundtrip::roundtrip;

fn capture() -> Capture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
    Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_changes_and_nothing_is_lost_at_any_step() {
    let report = roundtrip(&capture()).unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!((report.queues, report.equal_moves), ((1, 1), 3));
    assert_eq!(report.section.0, 232);
    assert!(report.positions > 200 && report.moves == 4 * report.positions, "{report}");
    assert_eq!((report.packets, report.frames), (24 * report.positions, 12 * report.positions));
}

#[test]
fn a_contradictory_state_is_refused_by_field() {
    let mut capture = capture();
    capture.stream.rxq_descr[0].comp_ring.next = 600;
    let said = roundtrip(&capture).unwrap_err().to_string();
    assert!(said.contains("rxq_descr[0].comp_ring.next is 600 (0x258) and must be 0x259"), "{said}");
    capture.stream.device_active = false;
    let said = roundtrip(&capture).unwrap_err().to_string();
    assert!(said.contains("device_active is 0"), "{said}");
}

#[test]
fn without_log_and_frames_the_state_still_makes_the_trip() {
    let mut capture = capture();
    (capture.trace, capture.frames, capture.lspci) = (None, None, None);
    capture.dumps.clear();
    let report = roundtrip(&capture).unwrap();
    assert!(report.holds(), "{report}");
    assert!(report.from_elsewhere[0].ends_with("nothing tells the other half"), "{report}");
}

fn child<'n>(node: &'n mut Node, name: &str) -> &'n mut Node {
    let (Value::Struct(nodes) | Value::Array(nodes)) = &mut node.value else { panic!("{name}: no structure") };
    match name.parse::<usize>() {
        Ok(index) => &mut nodes[index],
        Err(_) => nodes.iter_mut().find(|node| node.name == name).unwrap_or_else(|| panic!("no {name}")),
    }
}

fn set(tree: &mut Node, path: &str, value: u64) {
    path.split('/').fold(tree, child).value = Value::Uint(value);
}

/// Adds a copy of a ring's bytes to memory, `shift` bytes further on.
fn copied(memory: &mut MemoryImage, ring: Ring, shift: u64, edit: impl Fn(&mut [u8; 16])) -> Ring {
    let mut bytes = memory.read(ring.pa, ring.size as usize * 16).unwrap().to_vec();
    bytes.as_chunks_mut::<16>().0.iter_mut().for_each(edit);
    let address = ring.pa + shift;
    memory.regions.push(MemoryRegion { address, bytes, description: "copy".into() });
    memory.regions.sort_by_key(|region| region.address);
    Ring { pa: address, ..ring }
}

/// The recording as it would be with `queues` queues of each kind that all stand where the one stands.
fn multiplied(queues: u8) -> Capture {
    const TABLE: u64 = 0x9000_0000;
    let mut capture = capture();
    let table = capture.memory.read(capture.stream.txq_descr[0].tx_stats_pa - 88, 512).unwrap().to_vec();
    let (mut tx_descs, mut rx_descs) = (Vec::new(), Vec::new());
    let Capture { stream, memory, .. } = &mut capture;
    let (first_tx, first_rx) = (stream.txq_descr[0].clone(), stream.rxq_descr[0].clone());
    for q in 0..queues {
        let (i, shift) = (usize::from(q), u64::from(q) << 28);
        if q > 0 {
            for kind in ["txq_descr", "rxq_descr"] {
                let copy = child(child(&mut stream.tree, kind), "0").value.clone();
                child(child(&mut stream.tree, kind), &i.to_string()).value = copy;
            }
        }
        let mut place = |name: &str, ring: Ring, edit: &dyn Fn(&mut [u8; 16])| {
            let ring = if q == 0 { ring } else { copied(memory, ring, shift, edit) };
            set(&mut stream.tree, name, ring.pa);
            ring
        };
        let mut tx = first_tx.clone();
        tx.tx_ring = place(&format!("txq_descr/{i}/tx_ring/pa"), tx.tx_ring, &|_| {});
        tx.comp_ring = place(&format!("txq_descr/{i}/comp_ring/pa"), tx.comp_ring, &|_| {});
        let mut rx = first_rx.clone();
        for r in 0..2 {
            rx.rx_ring[r] = place(&format!("rxq_descr/{i}/rx_ring/{r}/pa"), rx.rx_ring[r], &|_| {});
        }
        rx.comp_ring = place(&format!("rxq_descr/{i}/comp_ring/pa"), rx.comp_ring, &|bytes| {
            let mut cell = RxCompDesc::get(bytes);
            cell.set_rq_id(u16::from(q));
            *bytes = cell.0.to_le_bytes();
        });
        let mut desc = TxQueueDesc::get(&table);
        let mut conf = desc.conf();
        conf.set_tx_ring_base_pa(tx.tx_ring.pa);
        conf.set_comp_ring_base_pa(tx.comp_ring.pa);
        desc.set_conf(conf);
        tx_descs.extend(desc.0);
        let mut desc = RxQueueDesc::get(&table[256..]);
        let mut conf = desc.conf();
        conf.set_rx_ring_base_pa([rx.rx_ring[0].pa, rx.rx_ring[1].pa]);
        conf.set_comp_ring_base_pa(rx.comp_ring.pa);
        desc.set_conf(conf);
        rx_descs.extend(desc.0);
        (stream.txq_descr[i], stream.rxq_descr[i]) = (tx, rx);
    }
    (stream.txq_num, stream.rxq_num) = (queues, queues);
    stream.max_tx_frags *= u32::from(queues);
    let frags = u64::from(stream.max_tx_frags);
    for (path, value) in [("txq_num", u64::from(queues)), ("rxq_num", u64::from(queues)), ("max_tx_frags", frags)] {
        set(&mut stream.tree, path, value);
    }
    let bytes = [tx_descs, rx_descs].concat();
    memory.regions.push(MemoryRegion { address: TABLE, bytes, description: "queue descriptors".into() });
    memory.regions.sort_by_key(|region| region.address);
    let shared = memory.regions.iter_mut().find(|region| region.address == stream.drv_shmem).unwrap();
    let mut area = DriverShared::get(&shared.bytes);
    let mut misc = area.misc();
    misc.set_queue_desc_pa(TABLE);
    misc.set_num_tx_queues(queues);
    misc.set_num_rx_queues(queues);
    area.set_misc(misc);
    area.put(&mut shared.bytes);
    capture
}

#[test]
fn any_number_of_queues_makes_the_trip() {
    for queues in [2, 8] {
        let report = roundtrip(&multiplied(queues)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.failures, Vec::<String>::new());
        assert_eq!(report.queues, (usize::from(queues), usize::from(queues)));
        assert_eq!(report.packets, 24 * usize::from(queues) * report.positions);
    }
}

/// The committed streams of both versions, unpacked.
fn streams() -> Vec<(&'static str, Vec<u8>)> {
    ["linux-6.1-vmxnet3-qemu-11.1", "vmxnet3-qemu-7.2-in-flight"]
        .map(|name| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps").join(name);
            let packed = std::fs::read(folder.join("migration-stream.bin.gz")).unwrap();
            let mut bytes = Vec::new();
            flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
            (name, bytes)
        })
        .into()
}

#[test]
fn every_section_written_again_is_itself() {
    for (name, bytes) in streams() {
        let stream = qemu_stream::parse(name, &bytes).unwrap();
        assert!(!stream.of_kind("vmxnet3").unwrap().is_empty());
        for section in &stream.sections {
            let tree = stream.tree(section).unwrap();
            assert!(stream.with(section, &tree).unwrap() == bytes, "{name}: {}", section.name);
        }
    }
}

/// Another value that fits where this one does.
fn other(value: &mut Value) {
    match value {
        Value::Uint(value) => *value ^= 1,
        Value::Int(value) => *value ^= 1,
        Value::Bytes(bytes) => bytes.iter_mut().for_each(|byte| *byte = !*byte),
        Value::Struct(_) | Value::Array(_) => {}
    }
}

#[test]
fn a_changed_field_is_written_to_its_place_and_nowhere_else() {
    for (name, bytes) in streams() {
        let stream = qemu_stream::parse(name, &bytes).unwrap();
        let section = stream.of_kind("vmxnet3").unwrap()[0];
        let tree = stream.tree(section).unwrap();
        let leaves = tree.leaves();
        assert!(leaves.len() > 600, "{name}");
        for (at, (path, leaf)) in leaves.iter().enumerate() {
            let (mut changed, mut seen) = (tree.clone(), 0);
            changed.change_leaves(&mut |named, value| {
                if seen == at {
                    assert_eq!(named, path);
                    other(value);
                }
                seen += 1;
            });
            let written = stream.with(section, &changed).unwrap();
            let place = leaf.offset..leaf.offset + leaf.bytes;
            let outside = written[..place.start] == bytes[..place.start] && written[place.end..] == bytes[place.end..];
            assert!(outside && (written[place.clone()] != bytes[place] || leaf.bytes == 0), "{name}: {path}");
        }
        let mut all = tree.clone();
        all.change_leaves(&mut |_, value| other(value));
        let written = stream.with(section, &all).unwrap();
        assert_eq!(qemu_stream::parse(name, &written).unwrap().tree(section).unwrap(), all, "{name}");
    }
}

#[test]
fn what_does_not_fit_a_section_is_refused_by_field() {
    let (name, bytes) = streams().remove(1);
    let stream = qemu_stream::parse(name, &bytes).unwrap();
    let section = stream.of_kind("vmxnet3").unwrap()[0];
    let tree = stream.tree(section).unwrap();
    let refused = |path: &'static str, to: Value| {
        let mut wrong = tree.clone();
        wrong.change_leaves(&mut |named, value| {
            if named == path {
                *value = to.clone();
            }
        });
        stream.with(section, &wrong).unwrap_err().to_string()
    };
    let said = refused("txq_descr[0].tx_ring.next", Value::Uint(1 << 32));
    assert!(said.contains("txq_descr[0].tx_ring.next is 4294967296"), "{said}");
    let said = refused("device_active", Value::Bytes(vec![1]));
    assert!(said.contains("device_active is 1"), "{said}");
    let said = refused("rx_mode", Value::Int(-(1 << 32)));
    assert!(said.contains("rx_mode"), "{said}");
    let said = refused("mtu", Value::Struct(Vec::new()));
    assert!(said.contains("mtu"), "{said}");
    let Value::Struct(mut fields) = tree.value.clone() else { panic!("a device is a structure") };
    fields.push(fields[4].clone());
    let longer = Node { value: Value::Struct(fields), ..tree.clone() };
    assert!(stream.with(section, &longer).is_err());
}

#[test]
fn a_device_that_was_stopped_with_work_in_flight_makes_the_trip() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/vmxnet3-qemu-7.2-in-flight");
    let report = roundtrip(&Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))).unwrap();
    assert_eq!((report.failures.clone(), report.queues, report.equal_moves), (Vec::new(), (2, 2), 3), "{report}");
}
