//! What ACTIVATE_DEV is given: counts, indices, sizes and addresses at and past every limit, and configurations that fail
//! half-way.

use super::verbs::touches;
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::{Bar1, CELL_BYTES, Command, MAGIC, RxQueueConf, TxQueueConf};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "bi-010-every-pair-of-queue-counts",
        clauses: &["VMX-ACT-002"],
        unless: &[],
        needs: &[],
        run: every_pair_of_queue_counts,
    },
    Case {
        id: "bi-010-interrupt-indices",
        clauses: &["VMX-BAD-015", "VMX-BAD-003"],
        unless: &[],
        needs: &[],
        run: interrupt_indices,
    },
    Case {
        id: "bi-011-ring-sizes-and-ends",
        clauses: &["VMX-ACT-005", "VMX-BAD-016"],
        unless: &[],
        needs: &[],
        run: ring_sizes_and_ends,
    },
    Case { id: "bi-012-mtu", clauses: &["VMX-ACT-004"], unless: &[], needs: &[], run: mtu },
    Case {
        id: "bi-013-every-maximum-at-once",
        clauses: &["VMX-BAD-017"],
        unless: &[],
        needs: &[],
        run: every_maximum_at_once,
    },
    Case {
        id: "bi-014-numbers-around-powers-of-two",
        clauses: &["VMX-BAD-018", "VMX-BAD-003"],
        unless: &[],
        needs: &[],
        run: numbers_around_powers_of_two,
    },
    Case {
        id: "bi-017-driver-data-is-never-looked-at",
        clauses: &["VMX-ACT-003"],
        unless: &[],
        needs: &[],
        run: driver_data_is_never_looked_at,
    },
    Case {
        id: "bi-033-most-fragments-of-a-frame",
        clauses: &["VMX-RX-011"],
        unless: &[Deviation::ZeroRxSgIsOne],
        needs: &[],
        run: most_fragments_of_a_frame,
    },
    Case {
        id: "bi-036-every-command-behind-a-failure",
        clauses: &["VMX-BAD-011", "VMX-BAD-003"],
        unless: &[],
        needs: &[],
        run: every_command_behind_a_failure,
    },
    Case {
        id: "bi-075-queue-counts-in-use",
        clauses: &["VMX-BAD-019"],
        unless: &[],
        needs: &[],
        run: queue_counts_in_use,
    },
];

fn counts(bench: &mut Bench, tx: u8, rx: u8) {
    bench.shared(|shared| {
        let mut misc = shared.misc();
        misc.set_num_tx_queues(tx);
        misc.set_num_rx_queues(rx);
        shared.set_misc(misc);
    });
}

fn every_pair_of_queue_counts(check: &mut Check) {
    let limits = check.profile().width(1);
    let mut setup = Setup { judged: false, ..Setup::default().queues(limits.tx_queues.max(limits.rx_queues)) };
    (setup.config.tx_queues, setup.config.rx_queues) = (limits.tx_queues, limits.rx_queues);
    check.on(Target::Software, &setup, |check, bench| {
        bench.prepare();
        for tx in [0, 1, limits.tx_queues, limits.tx_queues + 1, 9, 16, 17, 32, 33, 255] {
            for rx in [0, 1, limits.rx_queues, limits.rx_queues + 1, 9, 16, 17, 32, 33, 255] {
                // With another number of TX queues other descriptors are those of RX queues: each one can be taken for the other.
                counts(bench, tx, rx);
                let allowed = (1..=limits.tx_queues).contains(&tx) && (1..=limits.rx_queues).contains(&rx);
                let refused = bench.refuses_to_activate(check, "VMX-ACT-002");
                if allowed && (tx, rx) == (limits.tx_queues, limits.rx_queues) {
                    check.holds("VMX-ACT-002", !refused, "as many queues as there may be are accepted");
                } else if !allowed {
                    check.holds("VMX-ACT-002", refused, "no queue, or one too many, is refused");
                }
            }
        }
        check.holds("VMX-ACT-002", bench.recovers(), "RESET_DEV brings service back");
    });
}

/// Who names a vector: the TX queue, the RX queue, the events.
fn set_index(bench: &mut Bench, who: u8, index: u8) {
    match who {
        0 => bench.tx_desc(0, |desc| {
            let mut conf = desc.conf();
            conf.set_intr_idx(index);
            desc.set_conf(conf);
        }),
        1 => bench.rx_desc(0, |desc| {
            let mut conf = desc.conf();
            conf.set_intr_idx(index);
            desc.set_conf(conf);
        }),
        _ => bench.shared(|shared| {
            let mut conf = shared.intr_conf();
            conf.set_event_intr_idx(index);
            shared.set_intr_conf(conf);
        }),
    }
}

fn interrupt_indices(check: &mut Check) {
    let vectors = check.profile().width(1).vectors;
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        for who in 0..3 {
            bench.command(Command::ResetDev);
            bench.prepare();
            for index in 0..=255u8 {
                set_index(bench, who, index);
                let refused = bench.refuses_to_activate(check, "VMX-BAD-015");
                check.holds("VMX-BAD-015", !(refused && index < vectors), "a vector that exists is accepted");
            }
            for index in [vectors - 1, vectors, 31, 32, 33, 63, 64, 65, 127, 128, 255] {
                bench.command(Command::ResetDev);
                bench.prepare();
                set_index(bench, who, index);
                if bench.activate() != 0 {
                    continue;
                }
                bench.to_target();
                (0..vectors).for_each(|vector| bench.unmask(vector));
                bench.seen();
                let frame = bench.from_guest(90);
                bench.send(0, &frame);
                let frame = bench.to_guest(91);
                bench.offer(&frame);
                bench.settle();
                bench.link(false);
                bench.link(true);
                let beyond: u64 = (vectors..=255).map(|vector| bench.raised(u16::from(vector))).sum();
                check.equal("VMX-BAD-015", "raises of vectors that do not exist", beyond, 0u32);
                let own = bench.raised(u16::from(index));
                check.holds("VMX-BAD-015", (own > 0) == (index < vectors), "the vector named is the vector raised");
            }
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        }
    });
}

/// A size of a ring and its base.
type Set = fn(&mut Bench, Option<u32>, Option<u64>);

fn set_tx(bench: &mut Bench, change: impl FnOnce(&mut TxQueueConf)) {
    bench.tx_desc(0, |desc| {
        let mut conf = desc.conf();
        change(&mut conf);
        desc.set_conf(conf);
    });
}

fn set_rx(bench: &mut Bench, change: impl FnOnce(&mut RxQueueConf)) {
    bench.rx_desc(0, |desc| {
        let mut conf = desc.conf();
        change(&mut conf);
        desc.set_conf(conf);
    });
}

fn tx_ring(bench: &mut Bench, size: Option<u32>, base: Option<u64>) {
    set_tx(bench, |conf| {
        size.into_iter().for_each(|size| conf.set_tx_ring_size(size));
        base.into_iter().for_each(|base| conf.set_tx_ring_base_pa(base));
    });
}

fn tx_comp(bench: &mut Bench, size: Option<u32>, base: Option<u64>) {
    set_tx(bench, |conf| {
        size.into_iter().for_each(|size| conf.set_comp_ring_size(size));
        base.into_iter().for_each(|base| conf.set_comp_ring_base_pa(base));
    });
}

fn rx_ring<const RING: usize>(bench: &mut Bench, size: Option<u32>, base: Option<u64>) {
    set_rx(bench, |conf| {
        let (mut sizes, mut bases) = (conf.rx_ring_size(), conf.rx_ring_base_pa());
        sizes[RING] = size.unwrap_or(sizes[RING]);
        bases[RING] = base.unwrap_or(bases[RING]);
        conf.set_rx_ring_size(sizes);
        conf.set_rx_ring_base_pa(bases);
    });
}

fn rx_comp(bench: &mut Bench, size: Option<u32>, base: Option<u64>) {
    set_rx(bench, |conf| {
        size.into_iter().for_each(|size| conf.set_comp_ring_size(size));
        base.into_iter().for_each(|base| conf.set_comp_ring_base_pa(base));
    });
}

fn ring_sizes_and_ends(check: &mut Check) {
    let limits = check.profile().limits;
    let rings: [(Set, u32, bool); 5] = [
        (tx_ring, limits.tx_ring, true),
        (tx_comp, limits.tx_ring, true),
        (rx_ring::<0>, limits.rx_ring, true),
        (rx_ring::<1>, limits.rx_ring, false),
        (rx_comp, limits.rx_comp_ring, true),
    ];
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        for (set, most, needed) in rings {
            for size in
                [0, 1, 31, 32, 33, most - 32, most - 1, most, most + 1, most + 32, 1 << 31, u32::MAX - 31, u32::MAX]
            {
                set(bench, Some(size), None);
                let allowed = size <= most && size.is_multiple_of(limits.ring_step) && (size > 0 || !needed);
                let refused = bench.refuses_to_activate(check, "VMX-ACT-005");
                check.holds("VMX-ACT-005", refused != allowed, "a ring is accepted by its size alone");
            }
            bench.write_structures();
            for cells in [32, most] {
                set(bench, Some(cells), None);
                let bytes = CELL_BYTES * u64::from(cells);
                for base in
                    [0u64.wrapping_sub(bytes).wrapping_add(limits.ring_align), 0u64.wrapping_sub(limits.ring_align)]
                {
                    if base.checked_add(bytes).is_none_or(|end| end == 0) {
                        set(bench, None, Some(base));
                        let refused = bench.refuses_to_activate(check, "VMX-BAD-016");
                        check.holds("VMX-BAD-016", refused, "a ring that ends past 2^64 is refused");
                    }
                }
            }
            bench.write_structures();
            for askew in [1, 8, limits.ring_align / 2] {
                let shared = bench.layout.shared;
                let base = bench.layout.tx[0].ring + askew;
                if shared != 0 && !base.is_multiple_of(limits.ring_align) {
                    set(bench, None, Some(base));
                    let refused = bench.refuses_to_activate(check, "VMX-BAD-016");
                    check.holds("VMX-BAD-016", refused, "a ring that is not aligned is refused");
                }
            }
            bench.write_structures();
        }
        check.holds("VMX-BAD-016", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn mtu(check: &mut Check) {
    let limits = check.profile().limits;
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        for mtu in [0, 59, 60, 61, 1500, 8999, 9000, 9001, 9190, 9191, 1 << 16, 1 << 31, u32::MAX] {
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_mtu(mtu);
                shared.set_misc(misc);
            });
            let allowed = (limits.min_mtu..=limits.max_mtu).contains(&mtu);
            let refused = bench.refuses_to_activate(check, "VMX-ACT-004");
            check.holds(
                "VMX-ACT-004",
                refused != allowed,
                "an MTU is accepted within its limits, and they belong to it",
            );
        }
        check.holds("VMX-ACT-004", bench.recovers(), "RESET_DEV brings service back");
    });
}

/// The largest rings, the largest MTU and the last vector are accepted together; frames of that MTU go each way.
fn every_maximum_at_once(check: &mut Check) {
    let limits = check.profile().limits;
    let mut setup = Setup { bytes: 1 << 20, ..Setup::unjudged() };
    let config = &mut setup.config;
    (config.tx_ring, config.tx_comp) = (limits.tx_ring, limits.tx_ring);
    (config.rx_ring, config.rx_comp) = ([limits.rx_ring; 2], limits.rx_comp_ring);
    // A guest with little memory: rings as long as they may be, buffers as short as they can be.
    (config.tx_buffer_bytes, config.head_bytes, config.body_bytes) = (32, 48, 48);
    (config.mtu, config.max_rx_sg) = (limits.max_mtu, 18);
    check.on(Target::Both, &setup, |check, bench| {
        bench.prepare();
        for who in 0..3 {
            set_index(bench, who, check.profile().width(1).vectors - 1);
        }
        check.equal("VMX-BAD-017", "answer", bench.activate(), 0u32);
        bench.to_target();
        check.holds("VMX-BAD-017", bench.serves(), "traffic flows");
    });
    let mut setup = Setup { bytes: 384 << 10, ..Setup::unjudged() };
    let config = &mut setup.config;
    (config.tx_buffer_bytes, config.head_bytes, config.body_bytes) = (2048, 2048, 2048);
    (config.mtu, config.max_rx_sg) = (limits.max_mtu, 18);
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let frame = bench.to_guest(limits.max_mtu as usize + 14);
        check.holds("VMX-BAD-017", bench.receives(&frame), "a frame of the largest MTU is received");
        let frame = bench.from_guest(limits.max_mtu as usize + 14);
        let pieces: Vec<&[u8]> = frame.chunks(2048).collect();
        let fate = bench.fate(&pieces, |_| {});
        check.holds("VMX-BAD-017", fate.frames == [&frame[..]], "a frame of the largest MTU is sent");
    });
}

/// Puts a number into one field of the configuration.
fn set_number(bench: &mut Bench, field: u8, number: u64) {
    let word = number as u32;
    match field {
        0 => tx_ring(bench, Some(word), None),
        1 => tx_comp(bench, Some(word), None),
        2 => rx_ring::<0>(bench, Some(word), None),
        3 => rx_ring::<1>(bench, Some(word), None),
        4 => rx_comp(bench, Some(word), None),
        5 => tx_ring(bench, None, Some(number)),
        6 => rx_comp(bench, None, Some(number)),
        7 => set_tx(bench, |conf| {
            conf.set_data_ring_base_pa(number);
            conf.set_data_ring_size(word);
            conf.set_tx_data_ring_desc_size(word as u16);
        }),
        8 => set_rx(bench, |conf| {
            conf.set_rx_data_ring_base_pa(number);
            conf.set_rx_data_ring_desc_size(word as u16);
        }),
        _ => bench.shared(|shared| {
            let mut misc = shared.misc();
            let mut filter = shared.rx_filter_conf();
            let mut rss = shared.rss_conf_desc();
            match field {
                9 => misc.set_queue_desc_pa(number),
                10 => misc.set_queue_desc_len(word),
                11 => misc.set_mtu(word),
                12 => misc.set_max_num_rx_sg(word as u16),
                13 => filter.set_mf_table_len(word as u16),
                14 => filter.set_mf_table_pa(number),
                _ => {
                    rss.set_conf_len(word);
                    rss.set_conf_pa(number);
                    misc.set_upt_features(number | 2);
                }
            }
            shared.set_misc(misc);
            shared.set_rx_filter_conf(filter);
            shared.set_rss_conf_desc(rss);
        }),
    }
}

fn numbers_around_powers_of_two(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        for field in 0..16 {
            let wide = matches!(field, 5..=9 | 14..);
            for power in 0..if wide { 64 } else { 33 } {
                for near in [u64::MAX, 0, 1] {
                    bench.prepare();
                    set_number(bench, field, (1u64 << power).wrapping_add(near));
                    if bench.activate() == 0 {
                        let frame = bench.from_guest(100);
                        bench.send(0, &frame);
                        let frame = bench.to_guest(300);
                        bench.offer(&frame);
                        bench.settle();
                        bench.command(Command::UpdateMacFilters);
                        bench.command(Command::UpdateRssidt);
                        bench.command(Command::GetStats);
                    }
                    let answer = bench.command(Command::QuiesceDev);
                    check.equal("VMX-BAD-018", "answer of QUIESCE_DEV", answer, 0u32);
                    bench.seen();
                }
            }
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        }
    });
}

fn driver_data_is_never_looked_at(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        // A page behind everything the guest uses, one that is not there, and the two that drivers write.
        let own = bench.layout.end.next_multiple_of(256);
        for (pa, len) in [(u64::MAX, 0), (0, 0), (own, 256), (super::verbs::HOLE, 4096), (u64::MAX, u32::MAX)] {
            bench.prepare();
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_dd_pa(pa);
                misc.set_dd_len(len);
                shared.set_misc(misc);
            });
            set_tx(bench, |conf| {
                conf.set_dd_pa(pa);
                conf.set_dd_len(len);
            });
            set_rx(bench, |conf| {
                conf.set_dd_pa(pa);
                conf.set_dd_len(len);
            });
            bench.seen();
            check.equal("VMX-ACT-003", "answer", bench.activate(), 0u32);
            bench.to_target();
            check.holds("VMX-ACT-003", bench.serves(), "traffic flows");
            bench.command(Command::GetStats);
            bench.command(Command::QuiesceDev);
            let seen = bench.seen();
            check.holds("VMX-ACT-003", !touches(&seen, pa, u64::from(len).max(1)), "driver data is not touched");
        }
    });
}

fn most_fragments_of_a_frame(check: &mut Check) {
    for (most, target) in [
        (0, Target::Both),
        (1, Target::Software),
        (16, Target::Software),
        (17, Target::Software),
        (18, Target::Both),
        (1 << 15, Target::Both),
        (u16::MAX, Target::Both),
    ] {
        let mut setup = Setup::unjudged();
        setup.config.max_rx_sg = most;
        check.on(target, &setup, |check, bench| {
            bench.start();
            for buffers in [1usize, 2, 16, 17, 18, 19] {
                let frame = bench.to_guest(256 * buffers - 10);
                let allowed = most == 0 || buffers <= usize::from(most);
                bench.offer(&frame);
                bench.settle();
                let got = bench.received(0);
                let whole = matches!(&got[..], [(bytes, last)] if *bytes == frame && !last.err());
                check.holds(
                    "VMX-RX-011",
                    whole || !(allowed && buffers <= 16),
                    "a frame within the limit arrives whole",
                );
                check.holds("VMX-RX-011", allowed || !whole, "one beyond it does not");
            }
            check.holds("VMX-RX-011", bench.serves(), "traffic flows behind them");
        });
    }
}

/// A configuration that ACTIVATE_DEV refuses, early or late.
fn spoil(bench: &mut Bench, how: u8) {
    match how {
        0 => bench.shared(|shared| shared.set_magic(!MAGIC)),
        1 => counts(bench, 0, 1),
        2 => counts(bench, 1, 255),
        3 => bench.shared(|shared| {
            let mut misc = shared.misc();
            misc.set_mtu(1);
            shared.set_misc(misc);
        }),
        4 => tx_ring(bench, Some(u32::MAX), None),
        5 => tx_comp(bench, Some(0), None),
        6 => rx_ring::<0>(bench, Some(0), None),
        7 => rx_ring::<1>(bench, Some(u32::MAX), None),
        _ => rx_comp(bench, Some(u32::MAX), None),
    }
}

fn every_command_behind_a_failure(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        for how in 0..9 {
            // Behind nothing, behind a stop, in the middle of traffic.
            for before in 0..3 {
                if before > 0 {
                    check.holds("VMX-BAD-003", bench.recovers(), "service before the failure");
                }
                if before == 1 {
                    bench.command(Command::QuiesceDev);
                }
                bench.prepare();
                spoil(bench, how);
                bench.settle();
                bench.seen();
                check.holds("VMX-BAD-011", bench.activate() != 0, "the configuration is refused");
                for base in [0xcafe_0000, 0xf00d_0000] {
                    for code in 1..0x18 {
                        bench.write1(Bar1::Cmd, base + code);
                        bench.read1(Bar1::Cmd);
                    }
                }
                let frame = bench.to_guest(100);
                bench.offer(&frame);
                bench.settle();
                let wrote = bench.wrote() || !bench.sent().is_empty();
                check.holds("VMX-BAD-011", !wrote, "no command behind a refused activation touches memory or wire");
            }
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        }
    });
}

fn queue_counts_in_use(check: &mut Check) {
    let limits = check.profile().width(1);
    for count in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32] {
        if count > limits.tx_queues.min(limits.rx_queues) || count > 8 {
            break;
        }
        check.on(Target::Both, &Setup::default().queues(count), |check, bench| {
            bench.start();
            for queue in 0..count {
                bench.unmask(queue);
            }
            check.holds("VMX-BAD-019", bench.serves(), "every queue sends, and the first receives");
            for queue in 0..usize::from(count) {
                // A cause from before masks the vector again when it is told.
                for _ in 0..2 {
                    bench.unmask(queue as u8);
                    bench.settle();
                }
                bench.seen();
                let frame = bench.from_guest(70 + queue);
                bench.send(queue, &frame);
                bench.settle();
                let raised: Vec<u64> = (0..=u16::from(count)).map(|vector| bench.raised(vector)).collect();
                let own = raised.iter().enumerate().all(|(vector, &raises)| (raises == 1) == (vector == queue));
                check.holds("VMX-BAD-019", own, "a queue raises the vector that it names and no other");
                check.equal("VMX-BAD-019", "completions", bench.completions(queue).len() as u64, 1u32);
                let sent = bench.tx_stats(queue).ucast_pkts_tx_ok();
                check.equal("VMX-BAD-019", "packets counted for the queue", sent, 2u32);
            }
        });
    }
}
