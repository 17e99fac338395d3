//! The full width of version 6: 32 queues each way, 65 vectors, and the second block that configures their interrupts. Software has it;
//! the adapter has the width of version 1, and a guest that uses more stays out of it.

use super::offered::ADAPTER_QUEUES;
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::guest::vmxnet3::{RssSetup, Vectors};
use model::migrate::{Outcome, Plan, Reason, TxMode};
use spec::layout::Bytes as _;
use spec::profile::{Deviation, Width};
use spec::toeplitz;
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::rx::hash_type;
use spec::vmxnet3::shared::{INTR_CONF_EXT_OFFSET, INTR_CONF_OFFSET, IntrConfExt};
use spec::vmxnet3::{Bar0, Bar1, Command, IntrConf, VECTORS_V1};

pub(crate) const CASES: &[Case] = &[
    Case::new("queues-of-the-full-width", &["VMX-V6-003"], queues_of_the_full_width),
    Case::new("no-more-than-eight-below-version-6", &["VMX-ACT-002"], no_more_than_eight),
    Case::new("every-vector-of-the-full-width", &["VMX-V6-010", "VMX-V6-008"], every_vector),
    Case::new("masks-of-the-full-width", &["VMX-V6-010"], masks).unless(&[Deviation::InactiveBar0Dropped]),
    Case::new("registers-past-the-version", &["VMX-V6-006"], past_the_version),
    Case::new("which-block-is-in-force", &["VMX-INT-007", "VMX-V6-008"], which_block),
    Case::new("levels-of-the-block-in-force", &["VMX-V6-009"], levels).needing(&[Need::Inside]),
    Case::new("a-hash-spread-over-32-queues", &["VMX-V6-007"], spread).unless(&[Deviation::RxQueueZeroOnly]),
    Case::new("too-wide-for-the-adapter", &["SWI-WID-001"], too_wide).needing(&[Need::Inside, Need::Moves]),
    Case::new("masks-that-the-adapter-has-not", &["SWI-WID-002"], masks_aside).needing(&[Need::Inside, Need::Moves]),
];

/// Versions at the two ends of the full width.
const WIDE: [u8; 2] = [6, 9];
/// The first vector that version 1 has not.
const FIRST: u8 = VECTORS_V1 as u8;

/// So many queues, each with a vector of its own and one more for events.
fn separate(tx: u8, rx: u8) -> Setup {
    let mut setup = Setup::default().queues(tx.max(rx));
    (setup.config.tx_queues, setup.config.rx_queues) = (tx, rx);
    setup.config.vectors = Vectors::Separate;
    setup
}

/// What the device of `check` gives a driver of `version`.
fn width(check: &Check<'_, '_>, version: u8) -> Width {
    check.profile().width(version)
}

fn queues_of_the_full_width(check: &mut Check) {
    for version in WIDE {
        let Width { tx_queues, rx_queues, .. } = width(check, version);
        for (tx, rx) in [(32, 32), (31, 29), (9, 1), (1, 17), (11, 7)] {
            let (tx, rx) = (tx.min(tx_queues), rx.min(rx_queues));
            let setup = separate(tx, rx);
            check.at(version, Target::Software, &setup, |check, bench| {
                bench.start();
                check.holds("VMX-V6-003", bench.serves(), "every queue sends, whatever their number");
                let last = usize::from(tx) - 1;
                let sent = bench.tx_stats(last).ucast_pkts_tx_ok();
                check.equal("VMX-V6-003", "packets counted for the last queue", sent, 1u32);
            });
        }
    }
}

fn no_more_than_eight(check: &mut Check) {
    for version in [1, 5] {
        let Width { tx_queues, rx_queues, .. } = width(check, version);
        let setup = Setup { judged: false, ..separate(tx_queues, rx_queues) };
        check.at(version, Target::Software, &setup, |check, bench| {
            bench.prepare();
            for (tx, rx) in [(tx_queues + 1, 1), (1, rx_queues + 1), (32, 32), (9, 16), (8, 17)] {
                bench.shared(|shared| {
                    let mut misc = shared.misc();
                    misc.set_num_tx_queues(tx);
                    misc.set_num_rx_queues(rx);
                    shared.set_misc(misc);
                });
                let refused = bench.refuses_to_activate(check, "VMX-ACT-002");
                check.holds("VMX-ACT-002", refused, "one queue more than the version has is refused");
            }
            check.equal("VMX-ACT-002", "answer to as many as it has", bench.restart(), 0u32);
            check.holds("VMX-ACT-002", bench.serves(), "and they serve");
        });
    }
}

fn every_vector(check: &mut Check) {
    for version in WIDE {
        let Width { tx_queues, rx_queues, vectors } = width(check, version);
        let (tx, rx) = (tx_queues.min((vectors - 1) / 2), rx_queues.min((vectors - 1) / 2));
        check.at(version, Target::Software, &separate(tx, rx), |check, bench| {
            bench.start();
            let event = tx + rx;
            (0..=event).for_each(|vector| bench.unmask(vector));
            bench.settle();
            for queue in 0..tx {
                let frame = bench.from_guest(90);
                bench.seen();
                bench.send(queue.into(), &frame);
                bench.settle();
                let raised = (0..=u16::from(event)).filter(|vector| bench.raised(*vector) == 1);
                check.holds("VMX-V6-010", raised.eq([u16::from(queue)]), "a TX queue raises its vector and no other");
                check.equal("VMX-V6-010", "its mask then", bench.read0(Bar0::Imr(queue)), 1u32);
                bench.completions(queue.into());
            }
            bench.seen();
            bench.link(false);
            check.equal("VMX-V6-008", "raises of the last vector for an event", bench.raised(event.into()), 1u32);
            check.equal("VMX-V6-010", "its mask then", bench.read0(Bar0::Imr(event)), 1u32);
            // Masked, it remembers.
            bench.write1(Bar1::Ecr, ecr::LINK);
            bench.seen();
            bench.link(true);
            check.equal("VMX-V6-010", "raises while it is masked", bench.raised(event.into()), 0u32);
            bench.unmask(event);
            bench.settle();
            check.equal("VMX-V6-010", "raises once it is not", bench.raised(event.into()), 1u32);
        });
    }
}

fn masks(check: &mut Check) {
    for version in WIDE {
        let vectors = width(check, version).vectors;
        check.at(version, Target::Software, &Setup::default(), |check, bench| {
            let read_back = |check: &mut Check, bench: &mut Bench, what| {
                for vector in 0..vectors {
                    let odd = u32::from(vector) % 3 % 2;
                    bench.write0(Bar0::Imr(vector), odd);
                    check.equal("VMX-V6-010", what, bench.read0(Bar0::Imr(vector)), odd);
                }
                for vector in 0..vectors {
                    check.equal("VMX-V6-010", what, bench.read0(Bar0::Imr(vector)), u32::from(vector) % 3 % 2);
                }
            };
            for vector in 0..vectors {
                check.equal("VMX-V6-010", "IMR at first", bench.read0(Bar0::Imr(vector)), 1u32);
            }
            read_back(check, bench, "IMR while inactive");
            bench.start();
            read_back(check, bench, "IMR while active");
            bench.command(Command::ResetDev);
            for vector in 0..vectors {
                check.equal("VMX-V6-010", "IMR after RESET_DEV", bench.read0(Bar0::Imr(vector)), 1u32);
            }
        });
    }
}

fn past_the_version(check: &mut Check) {
    for version in 1..6 {
        let narrow = width(check, version);
        check.at(version, Target::Both, &Setup::unjudged(), |check, bench| {
            bench.start();
            bench.settle();
            let before = bench.state();
            bench.seen();
            for vector in narrow.vectors..65 {
                bench.write0(Bar0::Imr(vector), 0);
                check.equal("VMX-V6-006", "a mask past the version", bench.read0(Bar0::Imr(vector)), 0u32);
                bench.write0(Bar0::Imr(vector), 1);
                check.equal("VMX-V6-006", "the same, masked", bench.read0(Bar0::Imr(vector)), 0u32);
            }
            for queue in narrow.tx_queues..32 {
                bench.write0(Bar0::TxProd(queue), 1);
                check.equal("VMX-V6-006", "a doorbell past the version", bench.read0(Bar0::TxProd(queue)), 0u32);
            }
            for queue in narrow.rx_queues..32 {
                bench.write0(Bar0::RxProd(queue), 1);
                bench.write0(Bar0::RxProd2(queue), 1);
            }
            bench.settle();
            check.holds("VMX-V6-006", bench.state() == before, "nothing changes");
            check.holds("VMX-V6-006", bench.seen().is_empty(), "nothing happens");
            check.holds("VMX-V6-006", bench.serves(), "traffic flows");
        });
    }
}

/// Writes both blocks so that they contradict each other: events on vector 3 and masks by the device in the first, events on vector 4
/// and masks by the driver in the second.
fn contradict(bench: &mut Bench) {
    let shared = bench.layout.shared;
    let mut first: IntrConf = bench.get(shared + INTR_CONF_OFFSET);
    first.set_event_intr_idx(3);
    first.set_auto_mask(1);
    bench.put(shared + INTR_CONF_OFFSET, first);
    let mut second: IntrConfExt = IntrConfExt::get(&[0; 80]);
    second.set_event_intr_idx(4);
    second.set_auto_mask(0);
    second.set_num_intrs(5);
    bench.put(shared + INTR_CONF_EXT_OFFSET, second);
}

fn which_block(check: &mut Check) {
    for version in WIDE {
        let most = width(check, version);
        for (tx, rx) in [(1, 1), (8, 1), (1, 16), (8, 16), (9, 1), (1, 17), (9, 17), (8, 17), (9, 16), (32, 32)] {
            let (tx, rx) = (most.tx_queues.min(tx), most.rx_queues.min(rx));
            let extended = tx > 8 || rx > 16;
            let clause = if extended { "VMX-V6-008" } else { "VMX-INT-007" };
            let mut setup = separate(tx, rx);
            setup.config.vectors = Vectors::Single;
            check.at(version, Target::Software, &setup, |check, bench| {
                bench.prepare();
                contradict(bench);
                check.equal(clause, "answer of ACTIVATE_DEV", bench.activate(), 0u32);
                (0..6).for_each(|vector| bench.unmask(vector));
                bench.settle();
                bench.seen();
                bench.link(false);
                check.equal(clause, "raises of the vector of the first block", bench.raised(3), u32::from(!extended));
                check.equal(clause, "raises of the vector of the second", bench.raised(4), u32::from(extended));
                let told = if extended { 4 } else { 3 };
                let masked = bench.read0(Bar0::Imr(told));
                check.equal(clause, "its mask then", masked, u32::from(!extended));
            });
        }
    }
}

fn levels(check: &mut Check) {
    for (tx, extended) in [(8, false), (9, true)] {
        let version = 9;
        if width(check, version).tx_queues < tx {
            continue;
        }
        check.at(version, Target::Software, &separate(tx, 1), |check, bench| {
            bench.start();
            let levels = |bench: &Bench| bench.configuration().map_or([0xff; 65], |found| found.mod_levels);
            let expected = |few: u8, many: u8| {
                core::array::from_fn(|i| match (extended, i < VECTORS_V1) {
                    (true, _) => many,
                    (false, true) => few,
                    (false, false) => 0,
                })
            };
            check.holds("VMX-V6-009", levels(bench) == expected(8, 8), "levels are those of the block in force");
            let shared = bench.layout.shared;
            let mut first: IntrConf = bench.get(shared + INTR_CONF_OFFSET);
            first.set_mod_levels([2; 25]);
            bench.put(shared + INTR_CONF_OFFSET, first);
            let mut second: IntrConfExt = bench.get(shared + INTR_CONF_EXT_OFFSET);
            second.set_mod_levels([3; 65]);
            bench.put(shared + INTR_CONF_EXT_OFFSET, second);
            bench.command(Command::UpdateIml);
            check.holds("VMX-V6-009", levels(bench) == expected(2, 3), "UPDATE_IML reads the block in force again");
        });
    }
}

/// A TCP segment of 120 bytes from `port`, and the hash of its addresses and ports.
fn segment(bench: &mut Bench, key: &[u8; 40], port: u16) -> (Vec<u8>, u32) {
    let mut frame = bench.to_guest(120);
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 106, 0, 0, 0x40, 0, 64, 6]);
    frame[24..34].copy_from_slice(&[0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let [high, low] = port.to_be_bytes();
    frame[34..54].copy_from_slice(&[high, low, 0, 80, 0, 86, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    let hash = toeplitz::hash(key, &frame[26..38]);
    (frame, hash)
}

fn spread(check: &mut Check) {
    let key: [u8; 40] = core::array::from_fn(|i| (i as u8).wrapping_mul(0x6d) ^ 0x2c);
    for version in WIDE {
        let queues = width(check, version).rx_queues;
        for entries in [128, 33.max(queues)] {
            let mut setup = separate(1, queues);
            let table = (0..entries).map(|i| i % queues).collect();
            setup.config.rss = Some(RssSetup { hash_type: hash_type::TCP_IPV4, key, table });
            check.at(version, Target::Software, &setup, |check, bench| {
                bench.start();
                let mut met = vec![false; usize::from(queues)];
                for port in 1000..1000 + 8 * u16::from(queues) {
                    let (frame, hash) = segment(bench, &key, port);
                    bench.offer(&frame);
                    bench.settle();
                    let queue = usize::from((hash % u32::from(entries)) as u8 % queues);
                    let got = bench.received(queue);
                    let right = matches!(&got[..], [(bytes, last)] if *bytes == frame && last.rss_hash() == hash);
                    check.holds("VMX-V6-007", right, "a packet is received by the queue of its hash");
                    met[queue] = true;
                }
                check.holds("VMX-V6-007", met.iter().all(|met| *met), "every queue receives");
            });
        }
    }
}

/// Why a switch into hardware was refused, by its code.
fn refusal(bench: &mut Bench) -> Option<u32> {
    match bench.switch(Plan::enter(TxMode::Drain)) {
        Some(Outcome::Undone(Reason::Ineligible(why))) => Some(why.code()),
        _ => None,
    }
}

fn too_wide(check: &mut Check) {
    let most = width(check, 9);
    for (tx, rx, code) in [(ADAPTER_QUEUES + 1, 1, 4), (1, ADAPTER_QUEUES + 1, 5), (32, 32, 4)] {
        if tx > most.tx_queues || rx > most.rx_queues {
            continue;
        }
        check.at(9, Target::Software, &separate(tx, rx), |check, bench| {
            bench.start();
            check.holds(
                "SWI-WID-001",
                refusal(bench) == Some(code),
                "more queues than the adapter has are refused by code",
            );
            check.holds("SWI-WID-001", !bench.in_hardware() && bench.serves(), "traffic goes on in software");
        });
    }
    for (who, vector, refused) in
        [(0, FIRST, true), (1, 64, true), (2, FIRST, true), (2, 64, true), (0, FIRST - 1, false), (1, 65, false)]
    {
        if vector < 65 && vector >= most.vectors {
            continue;
        }
        check.at(9, Target::Software, &Setup::default(), |check, bench| {
            bench.prepare();
            match who {
                0 => bench.tx_desc(0, |desc| {
                    let mut conf = desc.conf();
                    conf.set_intr_idx(vector);
                    desc.set_conf(conf);
                }),
                1 => bench.rx_desc(0, |desc| {
                    let mut conf = desc.conf();
                    conf.set_intr_idx(vector);
                    desc.set_conf(conf);
                }),
                _ => bench.shared(|shared| {
                    let mut conf = shared.intr_conf();
                    conf.set_event_intr_idx(vector);
                    shared.set_intr_conf(conf);
                }),
            }
            bench.activate();
            let code = refusal(bench);
            let right = if refused { code == Some(8) } else { code.is_none() && bench.in_hardware() };
            check.holds(
                "SWI-WID-001",
                right,
                "a vector that the adapter has not is refused by code, one that nobody has is not",
            );
            check.holds("SWI-WID-001", bench.serves(), "traffic goes on");
        });
    }
}

fn masks_aside(check: &mut Check) {
    let vectors = width(check, 9).vectors;
    if vectors <= FIRST {
        return;
    }
    check.at(9, Target::Software, &Setup::default(), |check, bench| {
        bench.start();
        let written = |vector: u8, round: u32| (u32::from(vector) + round) % 3 % 2;
        for round in 0..4 {
            // Twice here, twice on the adapter.
            for vector in FIRST..vectors {
                bench.write0(Bar0::Imr(vector), written(vector, round));
            }
            let same = |check: &mut Check, bench: &mut Bench, what| {
                for vector in FIRST..vectors {
                    let found = bench.read0(Bar0::Imr(vector));
                    check.equal("SWI-WID-002", what, found, written(vector, round));
                }
            };
            same(check, bench, "the mask of a vector past the adapter's");
            let moved = if bench.in_hardware() {
                bench.leave()
            } else {
                bench.switch(Plan::enter(TxMode::Drain)) == Some(Outcome::Done)
            };
            check.holds("SWI-WID-002", moved, "masks keep nobody where it is");
            same(check, bench, "the same on the other side");
            check.holds("SWI-WID-002", bench.serves(), "traffic flows");
        }
        // A cause of an earlier configuration waits behind a mask.
        bench.write0(Bar0::Imr(40), 1);
        bench.command(Command::QuiesceDev);
        bench.write_structures();
        bench.rx_desc(0, |desc| {
            let mut conf = desc.conf();
            conf.set_intr_idx(40);
            desc.set_conf(conf);
        });
        bench.activate();
        let frame = bench.to_guest(80);
        bench.receives(&frame);
        bench.command(Command::QuiesceDev);
        bench.write_structures();
        bench.activate();
        check.holds(
            "SWI-WID-002",
            refusal(bench) == Some(8),
            "a cause that the adapter cannot keep is refused by code",
        );
        bench.seen();
        bench.unmask(40);
        bench.settle();
        check.equal("SWI-WID-002", "raises of it after all", bench.raised(40), 1u32);
        let entered = bench.switch(Plan::enter(TxMode::Drain));
        check.holds("SWI-WID-002", entered == Some(Outcome::Done), "told, it keeps nobody");
        check.holds("SWI-WID-002", bench.serves(), "traffic flows");
    });
}
