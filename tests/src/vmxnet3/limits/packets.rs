//! How much a packet and a descriptor may hold, and how far an offload reaches into a packet: a row each, at the limit and past it.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_MAX_TXD_PER_PKT, _MAX_TSO_TXD_PER_PKT, _MAX_CSUM_OFFSET, Vmxnet3_TxDesc, Vmxnet3_RxDesc.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use crate::vmxnet3::offered::{BUFFERS, by_version};
use crate::vmxnet3::verbs::Fate;
use model::guest::packet::{MAX_FRAGMENT, Packet};
use model::guest::shape::{Body, Shape, Work};
use model::guest::traffic::Traffic;
use spec::checksum;
use spec::vmxnet3::tx::{MAX_TSO_TXD_PER_PKT, MAX_TXD_PER_PKT, om};
use spec::vmxnet3::{CELL_BYTES, RxDesc, TxDesc};

pub(in crate::vmxnet3) const CASES: &[Case] = by_version! {
    "limit-of-descriptors", [1 2 3 4 5 6 7 8 9], &["VMX-TX-007"], &[], &[], descriptors;
    "limit-of-segmented-descriptors", [1 2 3 4 5 6 7 8 9], &["VMX-TX-007"], &[], &[], segmented_descriptors;
    "limit-of-a-tx-descriptor", [1 2 3 4 5 6 7 8 9], &["VMX-TX-005"], &[], &[], tx_lengths;
    "limit-of-an-rx-buffer", [1 2 3 4 5 6 7 8 9], &["VMX-RX-021"], &[], &[], rx_lengths;
    "limit-of-checksum-offsets", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-009"], &[], &[], checksum_offsets;
    "limit-of-header-lengths", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-010", "VMX-LIM-011"], &[], &[], header_lengths;
};

/// Judges one packet: sent as `expected`, or failed and seen to have.
fn judge(check: &mut Check, clause: &'static str, fate: &Fate, expected: Option<&[u8]>, claim: &'static str) {
    let right = match expected {
        Some(frame) => fate.frames == [frame] && fate.completions == 1 && fate.failed == 0,
        None => fate.is_visible(),
    };
    check.holds(clause, right, claim);
}

/// TX rings of 64, so that more descriptors than a packet may have fit.
fn long_rings() -> Setup {
    let mut setup = Setup { bytes: 128 << 10, ..Setup::unjudged() };
    (setup.config.tx_ring, setup.config.tx_comp, setup.config.tx_buffer_bytes) = (64, 64, 64);
    setup
}

fn descriptors(check: &mut Check) {
    check.at_version(Target::Both, &long_rings(), |check, bench, _| {
        bench.start();
        for count in [1, MAX_TXD_PER_PKT - 1, MAX_TXD_PER_PKT, MAX_TXD_PER_PKT + 1, 63] {
            let frame = bench.from_guest(16 * count);
            let pieces: Vec<&[u8]> = frame.chunks(16).collect();
            let fate = bench.fate(&pieces, |_| {});
            let whole = (count <= MAX_TXD_PER_PKT || !fate.frames.is_empty()).then_some(&frame[..]);
            judge(check, "VMX-TX-007", &fate, whole, "up to 16 descriptors are sent, more of them whole or not at all");
            if fate.error.is_some() {
                check.holds("VMX-TX-007", bench.recovers(), "RESET_DEV brings service back");
            }
        }
    });
}

/// A TCP packet prepared for segmentation.
fn tcp(bench: &Bench, len: usize) -> Vec<u8> {
    let mut packet = Packet::default();
    let shape = Shape { len: len as u32, fragments: 1, body: Body::Tcp4, work: Work::Segment(100), ..Shape::default() };
    Traffic::new(3, bench.config.mac).packet(&shape, &mut packet);
    packet.frame
}

fn asks(desc: &mut TxDesc, mode: u8, hlen: u16, msscof: u16) {
    desc.set_om(mode);
    desc.set_hlen(hlen);
    desc.set_msscof(msscof);
}

fn segmented_descriptors(check: &mut Check) {
    check.at_version(Target::Both, &long_rings(), |check, bench, _| {
        bench.start();
        for count in [5, MAX_TSO_TXD_PER_PKT - 1, MAX_TSO_TXD_PER_PKT, MAX_TSO_TXD_PER_PKT + 1, 63] {
            let frame = tcp(bench, 16 * count);
            let pieces: Vec<&[u8]> = frame.chunks(16).collect();
            let fate = bench.fate(&pieces, |desc| asks(desc, om::TSO, 54, 50));
            let segments = (frame.len() - 54).div_ceil(50);
            let payload: Vec<u8> =
                fate.frames.iter().flat_map(|sent| sent.get(54..).unwrap_or_default()).copied().collect();
            let whole = fate.frames.len() == segments && payload == frame[54..];
            check.holds("VMX-TX-007", whole || count > MAX_TSO_TXD_PER_PKT, "up to 24 descriptors are segmented");
            check.holds("VMX-TX-007", whole || fate.frames.is_empty(), "more of them whole or not at all");
            check.holds("VMX-TX-007", fate.is_visible(), "and it shows which");
            if fate.error.is_some() {
                check.holds("VMX-TX-007", bench.recovers(), "RESET_DEV brings service back");
            }
        }
    });
}

fn tx_lengths(check: &mut Check) {
    let mut setup = Setup { bytes: 640 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = MAX_FRAGMENT as u16;
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.start();
        // In 14 bits the length of the largest piece is 0.
        for len in [14, 15, MAX_FRAGMENT - 1, MAX_FRAGMENT] {
            let frame = bench.from_guest(len);
            let fate = bench.fate(&[&frame], |_| {});
            judge(check, "VMX-TX-005", &fate, Some(&frame), "a descriptor holds up to 16384 bytes, told as 0");
        }
        let frame = bench.from_guest(MAX_FRAGMENT + 60);
        for cut in [1, 60, MAX_FRAGMENT] {
            let (first, last) = frame.split_at(cut);
            let pieces = [first, last];
            if last.len() <= MAX_FRAGMENT {
                let fate = bench.fate(&pieces, |_| {});
                judge(check, "VMX-TX-005", &fate, Some(&frame), "in any piece of a packet");
            }
        }
        // One past the limit cannot be said: 1 is told, which is no packet.
        let fate = bench.fate(&[&frame[..1]], |_| {});
        check.holds("VMX-TX-005", fate.frames.is_empty() && fate.is_visible(), "a length of 1 is one byte, not 16385");
    });
}

fn rx_lengths(check: &mut Check) {
    const MOST: u16 = (1 << 14) - 1;
    let mut setup = Setup { bytes: 800 << 10, ..Setup::unjudged() };
    (setup.config.head_bytes, setup.config.mtu, setup.config.max_rx_sg) = (MOST, 9000, BUFFERS);
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.prepare();
        // Behind three of the largest buffers one holds a byte less than a frame, one as much, and one more.
        let area = bench.layout.rx[0];
        for (at, len) in (3..).zip([99u16, 100, 101]) {
            let pa = area.ring[0] + CELL_BYTES * at;
            let mut desc: RxDesc = bench.get(pa);
            desc.set_len(len);
            bench.put(pa, desc);
        }
        check.equal("VMX-RX-021", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        for len in [60, 9013, 9014] {
            let frame = bench.to_guest(len);
            bench.offer(&frame);
            bench.settle();
            let got = bench.received(0);
            let one = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.sop() && last.eop());
            check.holds("VMX-RX-021", one, "a frame that fits a buffer of 16383 bytes has no other");
        }
        for (slot, buffers) in [(3, 2), (5, 1), (6, 1)] {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
            let cells = bench.rx_slots(0, slot, buffers);
            let told: usize = cells.iter().map(|cell| usize::from(cell.len())).sum();
            check.equal("VMX-RX-021", "bytes told", told as u64, 100u32);
            let ends = cells.last().is_some_and(|last| last.eop() && !last.err());
            check.holds(
                "VMX-RX-021",
                ends && cells[0].sop(),
                "a frame takes another buffer where the first is short of a byte",
            );
        }
        bench.received(0);
        check.holds("VMX-RX-021", bench.serves(), "traffic flows");
    });
}

/// The field at `field` as filled in over the bytes from `start`.
fn summed(frame: &[u8], start: usize, field: usize) -> Vec<u8> {
    let mut value = checksum::finish(checksum::add(0, &frame[start..]));
    if value == 0 && field == start + 6 {
        value = 0xffff;
    }
    let mut frame = frame.to_vec();
    frame[field..field + 2].copy_from_slice(&value.to_be_bytes());
    frame
}

/// Where checksums go: the field that drivers still ask for, the last word of a packet, one byte past it.
fn checksum_offsets(check: &mut Check) {
    let mut setup = Setup { bytes: 192 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = 2048;
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.start();
        let frame = bench.from_guest(1300);
        for (start, field) in [(34, 50), (14, 14), (1000, 1024), (1023, 1025), (100, 1298)] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, om::CSUM, start as u16, field as u16));
            let expected = summed(&frame, start, field);
            judge(
                check,
                "VMX-LIM-009",
                &fate,
                Some(&expected),
                "a checksum is stored wherever two bytes of the packet are",
            );
        }
        for field in [1299, 1300, 1301, 0x3fff] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, om::CSUM, 34, field));
            check.holds("VMX-LIM-009", fate.frames.is_empty(), "past the packet there is nothing to store");
            judge(check, "VMX-LIM-009", &fate, None, "and that shows");
        }
    });
}

/// How far headers reach: to the last offset that 10 bits can say, to the end of a packet, and past it.
fn header_lengths(check: &mut Check) {
    let mut setup = Setup { bytes: 192 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = 2048;
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.start();
        let frame = bench.from_guest(1200);
        for start in [14, 1022, 1023] {
            let fate = bench.fate(&[&frame], |desc| asks(desc, om::CSUM, start, 1100));
            let expected = summed(&frame, usize::from(start), 1100);
            judge(check, "VMX-LIM-010", &fate, Some(&expected), "summing starts as far as byte 1023");
        }
        let short = bench.from_guest(200);
        for (start, sent) in [(199, true), (200, false), (201, false), (1023, false)] {
            let fate = bench.fate(&[&short], |desc| asks(desc, om::CSUM, start, 100));
            check.holds("VMX-LIM-011", (fate.frames.len() == 1) == sent, "but not at the end of the packet or past it");
            judge(check, "VMX-LIM-011", &fate, None, "and that shows");
        }
        let packet = tcp(bench, 400);
        for (headers, segments) in [(54, 4), (53, 0), (55, 0), (400, 0), (401, 0), (1023, 0)] {
            let fate = bench.fate(&[&packet], |desc| asks(desc, om::TSO, headers, 100));
            check.equal("VMX-LIM-011", "segments", fate.frames.len() as u64, segments as u64);
            judge(check, "VMX-LIM-011", &fate, None, "headers that end elsewhere than TCP's show");
        }
    });
}
