//! Every file of the committed recording, decoded.

use std::path::{Path, PathBuf};
use vnic_golden::show::{show, show_bytes};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1").join(name)
}

fn shown(name: &str) -> String {
    show(&file(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The first and last lines of a long page.
fn ends(text: &str, head: usize, tail: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let left_out = format!("({} lines)", lines.len() - head - tail);
    [&lines[..head], &[left_out.as_str()], &lines[lines.len() - tail..]].concat().join("\n")
}

#[test]
fn the_stream_is_decoded() {
    insta::assert_snapshot!(shown("migration-stream.bin.gz"));
}

#[test]
fn memory_is_decoded_from_the_shared_area_on() {
    insta::assert_snapshot!(shown("memory"));
}

#[test]
fn register_dumps_are_decoded() {
    insta::assert_snapshot!("down", shown("ethtool-d.regs-down.raw"));
    insta::assert_snapshot!("up", shown("ethtool-d.regs-up.raw"));
    insta::assert_snapshot!("wrapped", shown("ethtool-d.regs-wrapped.raw"));
}

#[test]
fn the_trace_is_a_line_an_access() {
    insta::assert_snapshot!(ends(&shown("qemu-trace.log"), 180, 30));
}

#[test]
fn the_recording_is_a_line_a_frame() {
    insta::assert_snapshot!(ends(&shown("wire.pcap"), 40, 12));
}

#[test]
fn the_listing_is_decoded() {
    insta::assert_snapshot!(shown("lspci.txt"));
}

#[test]
fn a_folder_is_a_capture() {
    insta::assert_snapshot!(ends(&shown(""), 24, 6));
}

#[test]
fn a_file_of_no_known_format_is_refused_by_name() {
    let error = show_bytes("notes.txt", b"nothing at all").unwrap_err();
    assert_eq!(error.to_string(), "notes.txt: 14 bytes of no known format");
}
