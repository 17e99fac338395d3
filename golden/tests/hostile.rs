//! No bytes make an importer panic, hang or hold more than it was given; what is damaged is refused with its place.

use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;
use vnic_golden::diff::diff;
use vnic_golden::dump::Dump;
use vnic_golden::import::qemu_stream;
use vnic_golden::import::qemu_trace::{self, Bases};
use vnic_golden::import::{Capture, EthtoolDump, Lspci, MemoryImage, Vmxnet3Section, gzip, memory, pcap};
use vnic_golden::show::{dump, show_bytes};

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
    let bytes = std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    gzip::unpack(name, &bytes, gzip::LIMIT).unwrap_or_else(|error| panic!("{error}")).into_owned()
}

/// The stream without what stands before its device sections: as good for the reader, and a fraction of the size.
static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let whole = file("migration-stream.bin.gz");
    let section = Vmxnet3Section::parse("s", &whole).expect("the recording is good").section;
    let from = section.payload.start - (14 + section.name.len());
    [&whole[..60], &whole[from..]].concat()
});
static DUMP: LazyLock<Vec<u8>> = LazyLock::new(|| file("ethtool-d.regs-wrapped.raw"));
static TRACE: LazyLock<Vec<u8>> = LazyLock::new(|| file("qemu-trace.log")[..4000].to_vec());
static PCAP: LazyLock<Vec<u8>> = LazyLock::new(|| file("wire.pcap")[..4000].to_vec());
static LSPCI: LazyLock<Vec<u8>> = LazyLock::new(|| file("lspci.txt"));
/// The first events of a trace in our own format: a guest that comes up and sends.
static RECORDING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/scripted/switching.trace");
    let whole = std::fs::read(path).unwrap_or_else(|error| panic!("{error}"));
    whole.split_inclusive(|&byte| byte == b'\n').take(300).flatten().copied().collect()
});
static MMIOTRACE: &[u8] = b"VERSION 20070824\n\
    PCIDEV 0020 15ad07b0 b febf3000 febf4000 febf0000 0 0 0 0 1000 1000 2000 0 0 0 0 vmxnet3\n\
    W 4 4.496697 2 0xfebf4020 0xcafe0000 0x0 0\nR 4 4.496700 2 0xfebf4020 0x0 0x0 0\n";
static INDEX: LazyLock<Vec<u8>> = LazyLock::new(|| file("memory/index.txt"));

/// Every reader, and what is done with what it accepts.
fn feed(bytes: &[u8]) {
    if let Ok(section) = Vmxnet3Section::parse("s", bytes) {
        let stream = Dump::Stream(Box::new(section));
        let _ = dump(&stream);
        if let Ok(registers) = EthtoolDump::parse("d", &DUMP) {
            let _ = diff(&Dump::Ethtool(registers), &stream);
        }
        let _ = diff(&stream, &stream);
    }
    let _ = Vmxnet3Section::parse_all("s", bytes);
    if let Ok(registers) = EthtoolDump::parse("d", bytes) {
        let registers = Dump::Ethtool(registers);
        let _ = dump(&registers);
        let _ = diff(&registers, &registers);
    }
    let _ = Lspci::parse("l", bytes).map(|device| Bases::from_lspci(&device));
    let _ = qemu_trace::parse("t", bytes, Bases::default()).map(|trace| dump(&Dump::Trace(trace)));
    let _ = pcap::parse("p", bytes).map(|frames| dump(&Dump::Frames(frames)));
    let _ = memory::parse_index("i", bytes);
    vnic_golden::trace::exercise(bytes);
    let _ = show_bytes("any", bytes);
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(&STREAM).prop_map(|bytes| bytes.to_vec()),
        Just(&DUMP).prop_map(|bytes| bytes.to_vec()),
        Just(&TRACE).prop_map(|bytes| bytes.to_vec()),
        Just(&RECORDING).prop_map(|bytes| bytes.to_vec()),
        Just(MMIOTRACE).prop_map(<[u8]>::to_vec),
        Just(&PCAP).prop_map(|bytes| bytes.to_vec()),
        Just(&LSPCI).prop_map(|bytes| bytes.to_vec()),
        Just(&INDEX).prop_map(|bytes| bytes.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes from nowhere.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        feed(&bytes);
        let _ = Capture::from_parts("c", &[("migration-stream.bin".into(), bytes.clone())], &[("index.txt".into(), bytes)]);
    }

    /// Bytes from a recording, with bits flipped and an end cut off.
    #[test]
    fn a_damaged_recording_is_read_or_refused(
        mut bytes in sample(),
        flips in vec((any::<prop::sample::Index>(), 0..8u8), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        feed(&bytes);
    }

    /// Any word of a register dump, rings of any size at any position.
    #[test]
    fn any_words_in_a_register_dump_are_read_or_refused(at in 0..54usize, word in any::<u32>()) {
        let mut bytes = DUMP.clone();
        bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        feed(&bytes);
    }

    /// Any value in any field of the section, without the description knowing.
    #[test]
    fn any_field_of_the_section_is_read_or_refused(field in any::<prop::sample::Index>(), value in any::<u64>()) {
        let section = Vmxnet3Section::parse("s", &STREAM).expect("the shortened stream is good");
        let leaves = section.tree.leaves();
        let (_, node) = leaves[field.index(leaves.len())];
        let mut bytes = STREAM.clone();
        let width = node.bytes.min(8);
        bytes[node.offset..node.offset + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
        feed(&bytes);
    }

    /// Any bytes in the shared area and the queue descriptors.
    #[test]
    fn any_shared_area_is_shown(flips in vec((0..800usize, any::<u8>()), 1..8), queues in vec((0..512usize, any::<u8>()), 0..8)) {
        let mut shared = file("memory/0x2a5f000.bin");
        let mut table = file("memory/0x2a5b000.bin");
        flips.into_iter().for_each(|(at, byte)| shared[at] = byte);
        queues.into_iter().for_each(|(at, byte)| table[at] = byte);
        let index = format!("0x2a5f000 {} shared\n0x2a5b000 {} table\n", shared.len(), table.len());
        let files = [("0x2a5f000.bin".to_string(), shared), ("0x2a5b000.bin".to_string(), table)];
        let image = Dump::Memory(MemoryImage::from_parts("memory", index.as_bytes(), &files).expect("the parts fit"));
        let _ = dump(&image);
        let _ = diff(&image, &image);
    }
}

#[test]
fn every_cut_of_a_register_dump_names_where_it_ends() {
    for len in 0..DUMP.len() {
        let error = EthtoolDump::parse("d", &DUMP[..len]).expect_err("a cut dump is no dump").to_string();
        assert!(error.starts_with(&format!("d, offset {:#x}: ", len / 4 * 4)), "{len}: {error}");
    }
}

#[test]
fn every_cut_of_the_stream_is_refused() {
    for len in (0..STREAM.len()).step_by(997).chain(STREAM.len() - 40..STREAM.len()).chain(0..80) {
        let error = Vmxnet3Section::parse("s", &STREAM[..len]).expect_err("a cut stream is no stream").to_string();
        assert!(error.starts_with("s, offset "), "{len}: {error}");
    }
}

#[test]
fn the_whole_stream_is_walked_back_to_its_first_device_and_no_cut_of_it_is_accepted() {
    let whole = file("migration-stream.bin.gz");
    let stream = qemu_stream::parse("s", &whole).unwrap();
    assert_eq!((stream.sections.len(), &stream.stopped), (36, &None));
    assert_eq!(stream.sections[0].name, "apic");
    assert!(stream.sections.iter().all(|section| stream.tree(section).is_ok()));
    for len in (1..whole.len()).step_by(40_009) {
        assert!(Vmxnet3Section::parse("s", &whole[..len]).is_err());
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let mut bytes = STREAM.clone();
    bytes[7] = 4;
    let error = Vmxnet3Section::parse("s", &bytes).unwrap_err().to_string();
    assert_eq!(error, "s, offset 0x4: version is 4 (0x4) and must be 0x3");
}

#[test]
fn a_section_that_disagrees_with_its_description_is_refused_by_name() {
    let good = Vmxnet3Section::parse("s", &STREAM).unwrap().section;
    let say = |at: usize| {
        let mut bytes = STREAM.clone();
        bytes[at] ^= 1;
        Vmxnet3Section::parse("s", &bytes).unwrap_err().to_string()
    };
    assert!(say(good.payload.end).contains("section footer is 127 (0x7f) and must be 0x7e"));
    assert!(say(good.payload.end + 4).contains("footer section id is "));
    assert!(say(good.payload.start - 1).contains("section version is 0 (0x0) and must be 0x1"));
    assert!(say(good.payload.start - 5).contains("instance id is 1 (0x1) and must be 0x0"));
    assert!(say(STREAM.len() - 1).contains("description"));
}

#[test]
fn a_description_that_asks_for_too_much_is_refused() {
    let stream = |json: &str| {
        let mut bytes = b"QEVM\0\0\0\x03\x07\0\0\0\x01m\0\x06".to_vec();
        bytes.extend((json.len() as u32).to_be_bytes());
        bytes.extend(json.as_bytes());
        Vmxnet3Section::parse("s", &bytes).unwrap_err().to_string()
    };
    let device = |fields: &str| {
        stream(&format!(
            r#"{{"devices": [{{"name": "a", "instance_id": 0, "vmsd_name": "vmxnet3", "version": 1, "fields": [{fields}]}}]}}"#
        ))
    };
    assert!(
        device(r#"{"name": "b", "type": "uint8", "size": 1, "array_len": 18446744073709551615}"#).contains("needs")
    );
    assert!(
        device(r#"{"name": "b", "type": "uint8", "size": 4, "array_len": 9223372036854775807}"#)
            .contains("size of a.b is 4")
    );
    let inner =
        r#"{"name": "b", "type": "struct", "size": 2, "struct": {"vmsd_name": "c", "version": 1, "fields": []}}"#;
    assert!(device(inner).contains("size of a.b is 2 (0x2) and must be 0x0"));
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(stream(&format!(r#"{{"devices": {deep}}}"#)).contains("description, line 1"));
    assert_eq!(stream(r#"{"devices": []}"#), "s, offset 0x23: the description has no usable field device vmxnet3");
}
