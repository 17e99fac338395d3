//! The shared structures byte by byte, at the offsets that drivers in other languages have, in little-endian order: what the declared
//! layouts say must be what a device finds there. And how often it looks.

use super::verbs::HOLE;
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use spec::event::Bar;
use spec::profile::Deviation;
use spec::vmxnet3::{CELL_BYTES, Command, QUEUE_DESC_BYTES, RxDesc};

pub(crate) const CASES: &[Case] = &[
    Case::new("structures-byte-by-byte", &["VMX-SHM-001", "VMX-SHM-003"], byte_by_byte),
    Case::new("queue-descriptors-one-behind-another", &["VMX-SHM-002"], one_behind_another),
    Case::new("parameters-of-other-commands", &["VMX-CMD-010"], parameters_of_other_commands),
    Case::new("a-buffer-is-looked-up-once", &["VMX-RX-020"], looked_up_once)
        .unless(&[Deviation::OutOfBuffersConsumes])
        .needing(&[Need::Accesses]),
];

/// Bytes that are written at offsets.
struct Image(Vec<u8>);

impl Image {
    fn new(bytes: usize) -> Self {
        Self(vec![0; bytes])
    }

    /// The low `N` bytes of `value` at `at`, lowest first.
    fn put<const N: usize>(&mut self, at: usize, value: u64) -> &mut Self {
        self.0[at..at + N].copy_from_slice(&value.to_le_bytes()[..N]);
        self
    }
}

/// Bytes of the shared area up to the end of cmdInfo.
const SHARED: usize = 720;

/// The shared area of one queue pair: iPXE's fields and no others, one vector, everything addressed to the guest accepted.
fn shared(bench: &Bench) -> Image {
    let mut image = Image::new(SHARED);
    image
        .put::<4>(0, 0xbabe_fee1)
        .put::<4>(8, 0x0001_0000)
        .put::<4>(12, 1 << 2 | 2)
        .put::<4>(16, 1)
        .put::<4>(20, 1)
        .put::<8>(40, bench.layout.queues)
        .put::<4>(52, 512)
        .put::<4>(56, 1500)
        .put::<1>(62, 1)
        .put::<1>(63, 1)
        .put::<1>(81, 1)
        .put::<4>(120, 0b111);
    image
}

/// Both queue descriptors: all completions and events on vector 0.
fn queues(bench: &Bench) -> Image {
    let (tx, rx) = (&bench.layout.tx[0], &bench.layout.rx[0]);
    let mut image = Image::new(512);
    image
        .put::<8>(16, tx.ring)
        .put::<8>(32, tx.comp)
        .put::<4>(56, tx.ring_size.into())
        .put::<4>(64, tx.comp_size.into())
        .put::<8>(256 + 16, rx.ring[0])
        .put::<8>(256 + 24, rx.ring[1])
        .put::<8>(256 + 32, rx.comp)
        .put::<4>(256 + 56, rx.ring_size[0].into())
        .put::<4>(256 + 60, rx.ring_size[1].into())
        .put::<4>(256 + 64, rx.comp_size.into());
    image
}

/// The dwords of a ring's cell.
fn dwords(bench: &Bench, cell: u64) -> [u32; 4] {
    let bytes = bench.bytes(cell, 16);
    core::array::from_fn(|i| bytes.iter().skip(4 * i).take(4).rev().fold(0, |word, &byte| word << 8 | u32::from(byte)))
}

fn byte_by_byte(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.prepare();
        let (area, descs) = (shared(bench), queues(bench));
        bench.store(bench.layout.shared, &area.0);
        bench.store(bench.layout.queues, &descs.0);
        check.equal("VMX-SHM-001", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        bench.write(Bar::Bar0, 0, 0);
        bench.seen();
        let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
        let frame = bench.from_guest(77);
        bench.store(tx.buffers, &frame);
        let mut cell = Image::new(16);
        cell.put::<8>(0, tx.buffers).put::<4>(8, 77 | 1 << 14).put::<4>(12, 1 << 12 | 1 << 13);
        bench.store(tx.ring, &cell.0);
        bench.write(Bar::Bar0, 0x600, 1);
        bench.settle();
        check.holds("VMX-SHM-001", bench.sent() == [&frame[..]], "a frame leaves that is described byte by byte");
        let done = dwords(bench, tx.comp);
        check.equal("VMX-SHM-003", "txdIdx", done[0] & 0xfff, 0u32);
        check.equal("VMX-SHM-003", "gen and type of the completion", done[3] >> 24, 0x80u32);
        let frame = bench.to_guest(93);
        bench.offer(&frame);
        bench.settle();
        let got = dwords(bench, rx.comp);
        check.equal("VMX-SHM-003", "rxdIdx, eop, sop and rqID", got[0] & 0x03ff_cfff, 3u32 << 14);
        check.equal("VMX-SHM-003", "len, err and ts", got[2], 93u32);
        check.equal("VMX-SHM-003", "gen of the completion", got[3] >> 31, 1u32);
        check.holds("VMX-SHM-001", bench.bytes(rx.buffers[0], 93) == frame, "a frame arrives in the first buffer");
        bench.command(Command::GetStats);
        bench.settle();
        for (what, at, expected) in [
            ("ucastPktsTxOK", 104, 1),
            ("ucastBytesTxOK", 112, 77),
            ("ucastPktsRxOK", 256 + 104, 1),
            ("ucastBytesRxOK", 256 + 112, 93),
        ] {
            let found = bench.get::<u64>(bench.layout.queues + at);
            check.equal("VMX-SHM-003", what, found, expected as u64);
        }
    });
}

/// Bytes of nobody.
const FILL: u64 = 0x7777_7777_7777_7777;

fn one_behind_another(check: &mut Check) {
    for (tx, rx) in [(3u64, 2u64), (1, 4), (4, 1)] {
        let mut setup = Setup::default().queues(4);
        (setup.config.tx_queues, setup.config.rx_queues) = (tx as u8, rx as u8);
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            for q in 0..tx as usize {
                for _ in 0..=q {
                    let frame = bench.from_guest(100);
                    bench.send(q, &frame);
                    bench.settle();
                }
            }
            let received = bench.to_guest(100);
            bench.offer(&received);
            bench.settle();
            let queues = bench.layout.queues;
            let slots: Vec<u64> = (0..tx + rx).map(|q| queues + QUEUE_DESC_BYTES * q + 104).collect();
            let behind = queues + QUEUE_DESC_BYTES * (tx + rx) - 16;
            let kept = bench.bytes(behind, 16);
            for &pa in &slots {
                bench.store(pa, &FILL.to_le_bytes());
            }
            bench.command(Command::GetStats);
            bench.settle();
            for (q, &pa) in (0..).zip(&slots) {
                let expected = if q < tx { q + 1 } else { u64::from(q == tx) };
                check.equal(
                    "VMX-SHM-002",
                    "packets that the queue's descriptor tells of",
                    bench.get::<u64>(pa),
                    expected,
                );
            }
            check.holds("VMX-SHM-002", bench.bytes(behind, 16) == kept, "nothing is written past the last block");
        });
    }
}

/// Commands that take nothing from cmdInfo, in the order in which they leave the device active.
const OTHERS: [Command; 12] = [
    Command::UpdateRxMode,
    Command::UpdateMacFilters,
    Command::UpdateVlanFilters,
    Command::UpdateFeature,
    Command::UpdateIml,
    Command::GetStats,
    Command::GetQueueStatus,
    Command::GetLink,
    Command::GetConfIntr,
    Command::GetTxdataDescSize,
    Command::GetDidLo,
    Command::GetAdaptiveRingInfo,
];

fn parameters_of_other_commands(check: &mut Check) {
    check.at(3, Target::Both, &Setup::newest(), |check, bench| {
        bench.start();
        let block = bench.layout.coalesce;
        bench.store(block, &[0x77; 16]);
        // A block to write to, one that is no memory, and all ones: whoever looks at the words for another command shows it.
        for [first, second] in [[u64::MAX; 2], [1 | 16 << 32, block], [1 | 16 << 32, HOLE]] {
            let mut words = Image::new(16);
            words.put::<8>(0, first).put::<8>(8, second);
            bench.store(bench.layout.shared + 704, &words.0);
            for command in OTHERS {
                bench.command(command);
                check.holds(
                    "VMX-CMD-010",
                    bench.serves(),
                    "traffic flows behind a command whose parameters they are not",
                );
            }
            check.holds("VMX-CMD-010", bench.bytes(block, 16) == [0x77; 16], "the block is left alone");
        }
        let shared = bench.layout.shared;
        bench.command(Command::QuiesceDev);
        bench.set_shared(shared);
        check.equal("VMX-CMD-010", "answer of ACTIVATE_DEV", bench.restart(), 0u32);
        check.holds("VMX-CMD-010", bench.serves(), "they are nothing to an activation either");
    });
}

fn looked_up_once(check: &mut Check) {
    let setup = Setup::default();
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        bench.seen();
        let area = bench.layout.rx[0];
        let posted = area.ring_size[0] - 1;
        for _ in 0..posted {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let taken = (0..posted).filter(|&i| bench.get::<RxDesc>(area.ring[0] + CELL_BYTES * u64::from(i)).generation());
        check.equal("VMX-RX-020", "buffers posted", taken.count() as u64, u64::from(posted));
        let seen = bench.seen();
        for i in 0..posted {
            let cell = area.ring[0] + CELL_BYTES * u64::from(i);
            let looks = |seen: &&Seen| matches!(seen, Seen::Read(pa, bytes) if *pa < cell + CELL_BYTES && cell < pa + *bytes as u64);
            let count = seen.iter().filter(looks).count();
            check.holds("VMX-RX-020", count <= 1, "a descriptor is read once for its frame");
        }
        check.equal("VMX-RX-020", "frames received", bench.received(0).len() as u64, u64::from(posted));
    });
}
