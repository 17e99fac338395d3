//! Comparison by meaning, on the committed recording.

use std::path::{Path, PathBuf};
use vnic_golden::diff::{Relation, against, diff, diff_paths};
use vnic_golden::dump::Dump;
use vnic_golden::import::{Capture, EthtoolDump};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1").join(name)
}

fn capture() -> Capture {
    Capture::open(&file("")).unwrap_or_else(|error| panic!("{error}"))
}

fn dump(name: &str) -> EthtoolDump {
    capture().dumps.into_iter().find(|(file, _)| file == name).expect("the dump is committed").1
}

#[test]
fn the_wrapped_dump_is_earlier_in_the_streams_activation() {
    let diff = diff_paths(&file("ethtool-d.regs-wrapped.raw"), &file("")).unwrap();
    assert!(diff.same());
    assert_eq!(diff.exit_code(), 0);
    assert!(diff.differences.iter().all(|entry| matches!(entry.relation, Relation::Earlier { .. })));
    insta::assert_snapshot!(diff.to_string());
}

#[test]
fn the_up_dump_is_of_another_activation() {
    let diff = diff_paths(&file("ethtool-d.regs-up.raw"), &file("migration-stream.bin.gz")).unwrap();
    assert!(!diff.same());
    insta::assert_snapshot!(diff.to_string());
}

#[test]
fn every_dump_is_the_same_as_itself() {
    for name in ["migration-stream.bin.gz", "memory", "ethtool-d.regs-up.raw", "qemu-trace.log", ""] {
        let diff = diff_paths(&file(name), &file(name)).unwrap();
        assert!(diff.same() && diff.equal > 0 && diff.differences.is_empty(), "{name}: {diff}");
    }
}

#[test]
fn a_completion_beyond_all_packets_contradicts_the_stream() {
    let (mut all, mut dump) = (capture(), dump("ethtool-d.regs-wrapped.raw"));
    let queue = &mut all.stream.txq_descr[0];
    // Ten packets and ten completions: the dump has taken 302.
    queue.stats.set_ucast_pkts_tx_ok(10);
    queue.stats.set_mcast_pkts_tx_ok(0);
    queue.stats.set_bcast_pkts_tx_ok(0);
    queue.comp_ring.next = 10;
    let diff = against(&dump, &all.stream, Some(&all.memory));
    assert!(diff.differences.iter().any(|entry| matches!(entry.relation, Relation::Contradictory(_))));
    assert_eq!(diff.exit_code(), 1);
    dump.tx[0].comp.next2proc = 7;
    dump.tx[0].comp.generation = true;
    assert!(against(&dump, &all.stream, Some(&all.memory)).same());
}

#[test]
fn a_flipped_field_is_named() {
    let (left, mut right) = (capture(), capture());
    right.stream.tree = left.stream.tree.clone();
    let at = right.memory.regions.iter().position(|region| region.address == 0x2a6_5000).unwrap();
    right.memory.regions[at].bytes[16 * 5 + 8] ^= 1;
    let diff = diff(&Dump::Memory(left.memory), &Dump::Memory(right.memory)).unwrap().unwrap();
    let fields: Vec<_> = diff.differences.iter().map(|entry| (entry.field.as_str(), entry.relation)).collect();
    assert_eq!(fields, [("tx[0].txRing[5].len", Relation::Different)]);
}

#[test]
fn an_access_more_is_the_only_difference() {
    let mut trace = capture().trace.unwrap();
    let left = Dump::Trace(trace.clone());
    trace.accesses.remove(90);
    let diff = diff(&left, &Dump::Trace(trace)).unwrap().unwrap();
    assert_eq!(diff.differences.len(), 1);
    assert_eq!(diff.differences[0].relation, Relation::OnlyLeft);
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let error = diff_paths(&file("lspci.txt"), &file("memory")).unwrap_err().to_string();
    assert!(
        error.contains("lspci.txt is a device listing and ")
            && error.ends_with("is guest memory: no comparison is defined")
    );
}
