//! Entries of data rings, steering tables and keys, and coalescing schemes: a row each, at the limit, past it, and at versions that
//! do not know them.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_TXDATA_DESC_MIN_SIZE, _MAX_SIZE, _SIZE_ALIGN, VMXNET3_COAL_*; upt1_defs.h, UPT1_RSS_MAX_KEY_SIZE,
//! UPT1_RSS_MAX_IND_TABLE_SIZE.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use crate::vmxnet3::offered::by_version;
use model::guest::shape::{Body, To, WireShape};
use model::guest::traffic::Traffic;
use model::guest::vmxnet3::RssSetup;
use spec::layout::Bytes as _;
use spec::profile::Deviation;
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};
use spec::vmxnet3::{Command, DATA_ENTRY_MAX, DATA_ENTRY_STEP, TX_DATA_ENTRY_MIN, VariableLenConf};

pub(in crate::vmxnet3) const CASES: &[Case] = by_version! {
    "limit-of-tx-data-entries", [1 2 3 4 5 6 7 8 9], &["VMX-TX-021"], &[], &[], tx_entries;
    "limit-of-rx-data-entries", [1 2 3 4 5 6 7 8 9], &["VMX-V3-006"], &[], &[], rx_entries;
    "limit-of-steering-tables", [1 2 3 4 5 6 7 8 9], &["VMX-RSS-004"], &[Deviation::RxQueueZeroOnly], &[], tables;
    "limit-of-steering-keys", [1 2 3 4 5 6 7 8 9], &["VMX-RSS-004"], &[Deviation::RxQueueZeroOnly], &[], keys;
    "limit-of-coalescing-rates", [1 2 3 4 5 6 7 8 9], &["VMX-V3-005", "VMX-VER-001"], &[], &[], rates;
    "limit-of-coalescing-depths", [1 2 3 4 5 6 7 8 9], &["VMX-V3-005", "VMX-VER-001"], &[], &[], depths;
};

/// The version that brought all of it but steering.
const SINCE: u8 = 3;

/// Where a packet's bytes lie is what its descriptor says, whatever the size of an entry: at the limits of sizes and past them.
fn tx_entries(check: &mut Check) {
    let setup = Setup { bytes: (112 << 10) + 32 * 2048, judged: false, ..Setup::newest() };
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.prepare();
        let ring = bench.layout.end.next_multiple_of(512);
        for size in
            [TX_DATA_ENTRY_MIN, DATA_ENTRY_MAX, 0, DATA_ENTRY_STEP, 129, DATA_ENTRY_MAX + DATA_ENTRY_STEP, u16::MAX]
        {
            bench.command(Command::QuiesceDev);
            bench.write_structures();
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_data_ring_base_pa(ring);
                conf.set_data_ring_size(32);
                conf.set_tx_data_ring_desc_size(size);
                desc.set_conf(conf);
            });
            check.equal("VMX-TX-021", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
            bench.to_target();
            for (index, len) in [(0u64, 60), (1, 128), (2, 200)] {
                let frame = bench.from_guest(len);
                let entry = ring + index * u64::from(size.clamp(TX_DATA_ENTRY_MIN, DATA_ENTRY_MAX));
                let (header, rest) = frame.split_at(54);
                bench.store(entry, header);
                // Whoever looks into the buffer instead of the entry finds something else.
                let fate = bench.fate(&[&[0xee; 54], rest], |desc| desc.set_addr(entry));
                check.holds("VMX-TX-021", fate.frames == [&frame[..]], "headers are taken from the address told");
            }
        }
    });
}

/// Frames of these lengths, each seen to come by the data ring of `entry` bytes or by a buffer; the longest that came by the ring.
fn longest_copied(check: &mut Check, bench: &mut Bench, entry: usize) -> usize {
    let mut longest = 0;
    for len in [60, 64, 65, entry.saturating_sub(1), entry, entry + 1] {
        let frame = bench.to_guest(len.clamp(60, 3000));
        bench.offer(&frame);
        bench.settle();
        let got = bench.received(0);
        let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && !last.err());
        check.holds("VMX-V3-006", whole, "a frame arrives whole, wherever it is put");
        if got.iter().any(|(_, last)| last.rq_id() >= 2) {
            longest = longest.max(frame.len());
        }
    }
    longest
}

fn rx_entries(check: &mut Check) {
    let mut setup = Setup { bytes: (160 << 10) + 32 * 2048, ..Setup::unjudged() };
    (setup.config.max_version, setup.config.max_rx_sg, setup.config.mtu) = (9, 18, 9000);
    check.at_version(Target::Both, &setup, |check, bench, version| {
        let most = DATA_ENTRY_MAX;
        for (entry, fits) in
            [(64u16, true), (most, true), (0, false), (63, false), (65, false), (most + 1, false), (most + 64, false)]
        {
            bench.config.rx_data_bytes = entry;
            let ring = bench.layout.end.next_multiple_of(512);
            bench.layout.rx[0].data = ring;
            bench.prepare();
            bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_rx_data_ring_base_pa(ring);
                conf.set_rx_data_ring_desc_size(entry);
                desc.set_conf(conf);
            });
            if bench.activate() != 0 {
                check.holds("VMX-V3-006", !(fits || version < SINCE), "an entry at a limit is taken");
                continue;
            }
            bench.to_target();
            let longest = longest_copied(check, bench, usize::from(entry));
            let most = if fits && version >= SINCE { usize::from(entry) } else { 0 };
            check.holds(
                "VMX-V3-006",
                longest <= most,
                "no frame comes by a ring that is none, or that it does not fit",
            );
            bench.command(Command::QuiesceDev);
        }
    });
}

/// Four queues, and a table that leads every flow to the last one.
fn steered() -> Setup {
    let mut setup = Setup::unjudged().queues(4);
    setup.config.rss =
        Some(RssSetup { hash_type: 0xf, key: core::array::from_fn(|i| i as u8 ^ 0x35), table: vec![3; 128] });
    setup
}

/// The queue where a TCP frame of each of some flows arrives, where it is one.
fn queue_of(bench: &mut Bench) -> Option<usize> {
    let mut traffic = Traffic::new(17, bench.config.mac);
    let (mut frame, mut queues) = (Vec::new(), Vec::new());
    for flow in 0..6 {
        traffic.wire(&WireShape { len: 100, body: Body::Tcp4, tag: None, bad: false, to: To::Peer, flow }, &mut frame);
        bench.offer(&frame);
        bench.settle();
        queues.extend((0..bench.layout.rx.len()).flat_map(|q| bench.received(q).into_iter().map(move |_| q)));
    }
    let first = queues.first().copied();
    first.filter(|first| queues.len() == 6 && queues.iter().all(|queue| queue == first))
}

/// Activates with the block changed, where it is taken; the queue that every flow arrives at.
fn steer(bench: &mut Bench, change: impl FnOnce(&mut spec::vmxnet3::RssConf)) -> Option<Option<usize>> {
    bench.command(Command::QuiesceDev);
    bench.write_structures();
    let pa = bench.layout.rss;
    let mut block: spec::vmxnet3::RssConf = bench.get(pa);
    change(&mut block);
    bench.put(pa, block);
    if bench.activate() != 0 {
        return None;
    }
    bench.to_target();
    Some(queue_of(bench))
}

fn tables(check: &mut Check) {
    check.at_version(Target::Both, &steered(), |check, bench, _| {
        bench.prepare();
        for size in [1, 2, 64, 128] {
            let queue = steer(bench, |block| block.set_ind_table_size(size));
            check.holds("VMX-RSS-004", queue == Some(Some(3)), "a table of 1 to 128 entries steers");
        }
        for size in [0, 129, 256, u16::MAX] {
            let queue = steer(bench, |block| block.set_ind_table_size(size));
            check.holds(
                "VMX-RSS-004",
                matches!(queue, None | Some(Some(0))),
                "one of another size is refused or steers nothing",
            );
        }
        for entry in [4, 5, 128, u8::MAX] {
            let queue = steer(bench, |block| block.set_ind_table([entry; 128]));
            check.holds(
                "VMX-RSS-004",
                matches!(queue, None | Some(Some(0))),
                "an entry that names no queue means queue 0",
            );
        }
    });
}

fn keys(check: &mut Check) {
    check.at_version(Target::Both, &steered(), |check, bench, _| {
        bench.prepare();
        for size in [40, 39, 16, 1] {
            let queue = steer(bench, |block| block.set_hash_key_size(size));
            check.holds("VMX-RSS-004", queue == Some(Some(3)), "a key of up to 40 bytes steers");
        }
        for size in [41, 64, 256, u16::MAX] {
            let queue = steer(bench, |block| block.set_hash_key_size(size));
            check.holds(
                "VMX-RSS-004",
                matches!(queue, None | Some(Some(0))),
                "a longer one is refused or steers nothing",
            );
        }
        for function in [0, 2, u16::MAX] {
            let queue = steer(bench, |block| block.set_hash_func(function));
            check.holds(
                "VMX-RSS-004",
                matches!(queue, None | Some(Some(0))),
                "nor does a function that is not Toeplitz",
            );
        }
    });
}

fn scheme(mode: u32, para: [u32; 3]) -> CoalesceScheme {
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(mode);
    scheme.set_coal_para(para);
    scheme
}

/// Sets `wanted`, and what is told then; nothing where nothing is written.
fn told_behind(bench: &mut Bench, wanted: CoalesceScheme) -> Option<CoalesceScheme> {
    let pa = bench.layout.coalesce;
    let mut words = VariableLenConf::default();
    words.set_conf_ver(1);
    words.set_conf_len(CoalesceScheme::SIZE as u32);
    words.set_conf_pa(pa);
    bench.shared(|shared| shared.set_cmd_info(words.0));
    bench.put(pa, wanted);
    bench.command(Command::SetCoalesce);
    bench.store(pa, &[0x77; CoalesceScheme::SIZE]);
    bench.command(Command::GetCoalesce);
    let bytes: [u8; CoalesceScheme::SIZE] = bench.get(pa);
    (bytes != [0x77; CoalesceScheme::SIZE]).then(|| CoalesceScheme::get(&bytes))
}

fn schemes(check: &mut Check, taken: &[CoalesceScheme], refused: &[CoalesceScheme]) {
    check.at_version(Target::Both, &Setup::newest(), |check, bench, version| {
        bench.start();
        if version < SINCE {
            for &wanted in taken.iter().chain(refused) {
                let told = told_behind(bench, wanted);
                check.holds("VMX-VER-001", told.is_none(), "a version that has no schemes tells none");
            }
            return;
        }
        for &wanted in taken {
            check.holds("VMX-V3-005", told_behind(bench, wanted) == Some(wanted), "a scheme at its limit is in force");
            for &past in refused {
                check.holds("VMX-V3-005", told_behind(bench, past) == Some(wanted), "one past it changes nothing");
            }
        }
        bench.unmask(0);
        bench.settle();
        bench.seen();
        check.holds("VMX-V3-005", bench.serves(), "traffic flows");
        check.holds("VMX-V3-005", bench.raised(0) > 0, "and is told of, whatever the scheme");
    });
}

fn rates(check: &mut Check) {
    let (least, most) = (*coalesce::RATES.start(), *coalesce::RATES.end());
    let rate = |rate| scheme(coalesce::RATE, [rate, 0, 0]);
    schemes(
        check,
        &[rate(least), rate(least + 1), rate(most)],
        &[rate(least - 1), rate(most + 1), rate(0), rate(u32::MAX)],
    );
}

fn depths(check: &mut Check) {
    let most = coalesce::MOST_DEPTH;
    let depths = |depths| scheme(coalesce::STATIC, depths);
    schemes(
        check,
        &[depths([0, 0, 0]), depths([most; 3]), depths([most, 0, 1])],
        &[depths([most + 1, 0, 0]), depths([0, most + 1, 0]), depths([0, 0, most + 1]), depths([u32::MAX; 3])],
    );
}
