//! Version 3: data rings of both directions, and coalescing schemes.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::layout::Bytes;
use spec::profile::Deviation;
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};
use spec::vmxnet3::{Bar1, Command, DATA_ENTRY_MAX, DATA_ENTRY_STEP, TX_DATA_ENTRY_MIN, VariableLenConf};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "headers-in-the-data-ring",
        clauses: &["VMX-V3-001", "VMX-TX-021"],
        unless: &[],
        needs: &[],
        run: headers_in_the_data_ring,
    },
    Case {
        id: "frames-in-the-data-ring",
        clauses: &["VMX-RX-009"],
        unless: &[Deviation::ShortFramesUnpadded, Deviation::ZeroRxSgIsOne],
        needs: &[],
        run: frames_in_the_data_ring,
    },
    Case { id: "coalescing", clauses: &["VMX-V3-003", "VMX-V3-005"], unless: &[], needs: &[], run: coalescing },
    Case { id: "nothing-of-it-before", clauses: &["VMX-V3-004"], unless: &[], needs: &[], run: nothing_of_it_before },
];

/// The answer of GET_TXDATA_DESC_SIZE, and what a driver makes of it.
fn entry_bytes(check: &mut Check, bench: &mut Bench) -> u16 {
    let answer = bench.command(Command::GetTxdataDescSize);
    let size = answer as u16;
    let valid = (TX_DATA_ENTRY_MIN..=DATA_ENTRY_MAX).contains(&size) && size.is_multiple_of(DATA_ENTRY_STEP);
    check.holds("VMX-V3-001", valid || size == 0, "an entry has 128 to 2048 bytes in steps of 64");
    check.equal("VMX-V3-001", "bits 31:16, which belong to version 9", answer >> 16, 0u32);
    check.equal("VMX-V3-001", "size of an entry", size, check.profile().tx_data_bytes);
    if valid { size } else { TX_DATA_ENTRY_MIN }
}

/// Sends a frame whose first `copied` bytes lie in the data ring.
fn send_copied(bench: &mut Bench, frame: &[u8], copied: usize) {
    let (head, rest) = frame.split_at(copied);
    let mut first = bench.piece(0, head);
    let index = (first.addr() - bench.layout.tx[0].buffers) / u64::from(bench.config.tx_buffer_bytes);
    let entry = bench.layout.tx[0].data + index * u64::from(bench.tx_data_bytes);
    // Whoever looks into the buffer instead of the entry finds something else.
    bench.store(first.addr(), &vec![0xee; head.len()]);
    bench.store(entry, head);
    first.set_addr(entry);
    first.set_eop(rest.is_empty());
    first.set_cq(rest.is_empty());
    bench.post_cell(0, first);
    if !rest.is_empty() {
        let mut last = bench.piece(0, rest);
        last.set_eop(true);
        last.set_cq(true);
        bench.post_cell(0, last);
    }
    bench.ring(0);
}

fn headers_in_the_data_ring(check: &mut Check) {
    check.on_newest(Target::Both, &Setup::newest(), |check, bench| {
        bench.select(3);
        bench.tx_data_bytes = entry_bytes(check, bench);
        bench.start();
        check.holds("VMX-TX-021", bench.serves(), "traffic flows");
        let most = usize::from(bench.tx_data_bytes);
        for round in 0..12 {
            for (len, copied) in [(60, 60), (most, most), (most + 1, most), (200, 14), (most + 60, 54)] {
                let frame = bench.from_guest(len + round);
                let copied = if len == copied { most.min(len + round) } else { copied };
                bench.seen();
                send_copied(bench, &frame, copied);
                bench.settle();
                check.holds("VMX-TX-021", bench.sent() == [&frame[..]], "the frame is sent whole");
                check.equal("VMX-TX-021", "completions", bench.completions(0).len() as u64, 1u64);
            }
        }
        bench.command(Command::ResetDev);
        entry_bytes(check, bench);
    });
}

/// Judges follow whether frames come by the ring or by buffers: either is allowed at any time.
fn frames_in_the_data_ring(check: &mut Check) {
    check.on_newest(Target::Both, &Setup::newest(), |check, bench| {
        bench.select(3);
        bench.start();
        let receive = |check: &mut Check, bench: &mut Bench| {
            let entry = usize::from(bench.config.rx_data_bytes);
            for len in [60, 61, entry - 1, entry, entry + 1, 256, 300].repeat(9) {
                let frame = bench.to_guest(len);
                check.holds("VMX-RX-009", bench.receives(&frame), "a frame arrives whole, wherever it is put");
            }
            let runt = bench.to_guest(20);
            bench.offer(&runt);
            bench.settle();
            let got = bench.received(0);
            let padded = matches!(&got[..], [(frame, _)] if frame.len() == 60 && frame.starts_with(&runt));
            check.holds("VMX-RX-009", padded, "a short one is padded there too");
        };
        receive(check, bench);
        bench.leave();
        receive(check, bench);
        bench.restart();
        receive(check, bench);
    });
}

const AT: u64 = 16;

/// Tells the device where its scheme lies, runs a command, and returns the bytes that lie there.
fn command_with(bench: &mut Bench, command: Command, len: u32) -> [u8; 32] {
    let pa = bench.layout.coalesce;
    bench.shared(|shared| {
        let mut words = VariableLenConf::default();
        words.set_conf_ver(1);
        words.set_conf_len(len);
        words.set_conf_pa(pa);
        shared.set_cmd_info(words.0);
    });
    bench.command(command);
    bench.settle();
    bench.get(pa)
}

/// The scheme that GET_COALESCE writes; nothing where it leaves memory alone.
fn told(bench: &mut Bench) -> Option<CoalesceScheme> {
    let pa = bench.layout.coalesce;
    bench.store(pa, &[0x77; AT as usize]);
    let behind: [u8; 16] = bench.get(pa + AT);
    let bytes = command_with(bench, Command::GetCoalesce, AT as u32);
    let written = bytes[..16] != [0x77; 16] && bytes[16..] == behind;
    written.then(|| CoalesceScheme::get(&bytes[..16]))
}

fn scheme(mode: u32, para: [u32; 3]) -> CoalesceScheme {
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(mode);
    scheme.set_coal_para(para);
    scheme
}

fn set(bench: &mut Bench, scheme: CoalesceScheme) {
    bench.put(bench.layout.coalesce, scheme);
    command_with(bench, Command::SetCoalesce, AT as u32);
}

fn coalescing(check: &mut Check) {
    let good = [
        scheme(coalesce::RATE, [100, 0, 0]),
        scheme(coalesce::RATE, [100_000, 0, 0]),
        scheme(coalesce::STATIC, [128, 64, 0]),
        scheme(coalesce::ADAPTIVE, [0; 3]),
        scheme(coalesce::DISABLED, [0; 3]),
        scheme(coalesce::RATE, [4000, 0, 0]),
    ];
    let bad = [
        scheme(coalesce::RATE, [0; 3]),
        scheme(coalesce::RATE, [99, 0, 0]),
        scheme(coalesce::RATE, [100_001, 0, 0]),
        scheme(coalesce::STATIC, [0, 0, 129]),
        scheme(4, [4000, 0, 0]),
        scheme(u32::MAX, [u32::MAX; 3]),
    ];
    check.on_newest(Target::Both, &Setup::newest(), |check, bench| {
        bench.select(3);
        bench.start();
        let first = told(bench);
        check.holds("VMX-V3-003", first.is_some_and(|scheme| scheme.is_valid()), "a scheme is told from the start");
        for wanted in good {
            set(bench, wanted);
            let found = told(bench);
            check.holds("VMX-V3-005", found == Some(wanted), "a scheme within its bounds is in force");
            check.holds("VMX-V3-003", found.is_some_and(|scheme| scheme.is_valid()), "and told");
            for refused in bad {
                set(bench, refused);
                check.holds("VMX-V3-005", told(bench) == Some(wanted), "one out of its bounds changes nothing");
            }
        }
        let before = bench.memory().clone();
        let pa = bench.layout.coalesce;
        command_with(bench, Command::GetCoalesce, AT as u32 - 1);
        let same = bench.get::<[u8; 16]>(pa) == before.get::<[u8; 16]>(pa).unwrap_or_default();
        check.holds("VMX-V3-003", same, "a block too short for a scheme is left alone");
        check.holds("VMX-V3-003", bench.serves(), "traffic flows whatever the scheme");
        bench.command(Command::ResetDev);
        check.holds("VMX-V3-003", told(bench).is_none(), "an inactive device writes nothing");
        let shared = bench.layout.shared;
        bench.set_shared(shared);
        bench.restart();
        check.holds("VMX-V3-005", told(bench) == first, "RESET_DEV leads back to the first scheme");
    });
}

fn nothing_of_it_before(check: &mut Check) {
    for version in [1, 2] {
        check.on_newest(Target::Both, &Setup::newest(), |check, bench| {
            bench.select(version);
            check.equal("VMX-V3-004", "GET_TXDATA_DESC_SIZE", bench.command(Command::GetTxdataDescSize), 0u32);
            bench.prepare();
            let (ring, behind) = (bench.layout.rx[0].data, bench.layout.coalesce);
            // What the fields hold is the driver's own: a place in memory, and no ring.
            bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_rx_data_ring_base_pa(ring);
                conf.set_rx_data_ring_desc_size(128);
                desc.set_conf(conf);
            });
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_tx_data_ring_desc_size(1);
                desc.set_conf(conf);
            });
            check.equal("VMX-V3-004", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
            bench.to_target();
            let before: [u64; 32] = bench.get(ring);
            let scheme: [u8; 16] = bench.get(behind);
            for len in [60, 100, 128] {
                let frame = bench.to_guest(len);
                bench.offer(&frame);
                bench.settle();
                let got = bench.received(0);
                let plain = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.rq_id() == 0);
                check.holds("VMX-V3-004", plain, "a short frame goes to its buffer");
            }
            command_with(bench, Command::SetCoalesce, AT as u32);
            command_with(bench, Command::GetCoalesce, AT as u32);
            check.equal("VMX-V3-004", "answer of an unknown command", bench.read1(Bar1::Cmd), 0u32);
            let same = bench.get::<[u64; 32]>(ring) == before && bench.get::<[u8; 16]>(behind) == scheme;
            check.holds("VMX-V3-004", same, "memory is left as it is");
            check.holds("VMX-V3-004", bench.serves(), "traffic flows");
        });
    }
}
