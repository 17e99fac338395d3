//! Steering over queues: each hash type by itself, tables that change, and frames that have nothing to be hashed over.

use super::packets::{Ip, L3, TCP, UDP};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use model::guest::vmxnet3::RssSetup;
use spec::profile::Deviation;
use spec::toeplitz;
use spec::vmxnet3::rx::{hash_type, rss_type};
use spec::vmxnet3::{Command, RssConf, RxCompDesc};

const ONE_QUEUE: &[Deviation] = &[Deviation::RxQueueZeroOnly];

/// A case of one set of hash types.
macro_rules! hashes {
    ($id:literal, $types:expr) => {
        Case::new($id, &["VMX-RSS-002", "VMX-RSS-005"], |check| hashed(check, $types)).unless(ONE_QUEUE)
    };
}

pub(crate) const CASES: &[Case] = &[
    hashes!("hash-of-no-type", 0),
    hashes!("hash-of-ipv4", hash_type::IPV4),
    hashes!("hash-of-tcp-over-ipv4", hash_type::TCP_IPV4),
    hashes!("hash-of-ipv4-and-its-tcp", hash_type::IPV4 | hash_type::TCP_IPV4),
    hashes!("hash-of-ipv6", hash_type::IPV6),
    hashes!("hash-of-tcp-over-ipv6", hash_type::TCP_IPV6),
    hashes!("hash-of-ipv6-and-its-tcp", hash_type::IPV6 | hash_type::TCP_IPV6),
    hashes!("hash-of-addresses", hash_type::IPV4 | hash_type::IPV6),
    hashes!("hash-of-ports", hash_type::TCP_IPV4 | hash_type::TCP_IPV6),
    hashes!("hash-of-every-type", 0xf),
    Case::new("hash-of-the-published-vectors", &["VMX-RSS-006"], published).unless(ONE_QUEUE),
    Case::new("hash-of-fragments", &["VMX-RSS-005"], fragments).unless(ONE_QUEUE),
    Case::new("hash-behind-a-tag", &["VMX-RSS-005"], behind_a_tag).unless(ONE_QUEUE),
    Case::new("hash-without-ip", &["VMX-RSS-001"], without_ip).unless(ONE_QUEUE),
    Case::new("a-table-that-changes", &["VMX-RSS-003"], table_changes).unless(ONE_QUEUE),
    Case::new("a-key-that-changes", &["VMX-RSS-003"], key_changes).unless(ONE_QUEUE),
    Case::new("entries-of-a-table", &["VMX-RSS-001"], entries).unless(ONE_QUEUE),
    Case::new("one-queue-to-steer-to", &["VMX-RSS-001"], one_queue),
    Case::new("queues-without-steering", &["VMX-RSS-001"], no_steering),
    Case::new("a-flow-keeps-its-queue", &["VMX-RSS-001"], flows).unless(ONE_QUEUE),
];

const KEY: [u8; 40] = {
    let mut key = [0; 40];
    let mut at = 0;
    while at < 40 {
        key[at] = (at as u8).wrapping_mul(73).wrapping_add(29);
        at += 1;
    }
    key
};

fn steered(queues: u8, types: u16, table: Vec<u8>) -> Setup {
    let mut setup = Setup::default().queues(queues);
    setup.config.rss = Some(RssSetup { hash_type: types, key: KEY, table });
    setup
}

/// The queue and the last completion of `frame`, if it arrives once.
fn arrival(bench: &mut Bench, frame: &[u8]) -> Option<(usize, RxCompDesc)> {
    bench.offer(frame);
    bench.settle();
    let mut all = Vec::new();
    for queue in 0..bench.layout.rx.len() {
        all.extend(bench.received(queue).into_iter().map(|(_, cell)| (queue, cell)));
    }
    if all.len() == 1 { all.pop() } else { None }
}

/// What is hashed of a whole packet, and the word for it, by the types asked for.
fn input(packet: &Ip, types: u16) -> Option<(u8, Vec<u8>)> {
    let v4 = packet.bytes[L3] >> 4 == 4;
    let (addresses, protocol) = if v4 {
        (packet.bytes[L3 + 12..L3 + 20].to_vec(), packet.bytes[L3 + 9])
    } else {
        (packet.bytes[L3 + 8..L3 + 40].to_vec(), packet.bytes[L3 + 6])
    };
    let (plain, tcp, plain_word, tcp_word) = if v4 {
        (hash_type::IPV4, hash_type::TCP_IPV4, rss_type::IPV4, rss_type::TCP_IPV4)
    } else {
        (hash_type::IPV6, hash_type::TCP_IPV6, rss_type::IPV6, rss_type::TCP_IPV6)
    };
    if protocol == TCP && types & tcp != 0 {
        let ports = &packet.bytes[packet.l4..packet.l4 + 4];
        return Some((tcp_word, [&addresses[..], ports].concat()));
    }
    (types & plain != 0).then_some((plain_word, addresses))
}

/// Judges the arrival of `packet` by the types asked for, with a table of 8 entries over 4 queues.
fn judge(check: &mut Check, clause: &'static str, found: Option<(usize, RxCompDesc)>, packet: &Ip, types: u16) {
    let Some((queue, cell)) = found else {
        check.holds(clause, false, "a frame arrives once");
        return;
    };
    let (word, hash) =
        input(packet, types).map_or((rss_type::NONE, 0), |(word, input)| (word, toeplitz::hash(&KEY, &input)));
    check.equal(clause, "rssType", cell.rss_type(), word);
    if word != rss_type::NONE {
        check.equal(clause, "rssHash", cell.rss_hash(), hash);
        check.equal(clause, "queue", queue as u64, u64::from(hash % 8 % 4));
    } else {
        check.equal(clause, "queue without a hash", queue as u64, 0u32);
    }
}

/// The table that [`judge`] knows.
fn table() -> Vec<u8> {
    (0..8).map(|entry| entry % 4).collect()
}

fn hashed(check: &mut Check, types: u16) {
    check.on(Target::Both, &steered(4, types, table()), |check, bench| {
        bench.start();
        for (protocol, payload) in [(TCP, 40), (UDP, 40), (1, 40)] {
            for make in [Ip::v4, Ip::v6] {
                for port in [1u8, 2, 77] {
                    let mut packet = make(bench.config.mac, protocol, payload);
                    packet.bytes[packet.l4] = port;
                    packet.fill();
                    let found = arrival(bench, &packet.bytes);
                    judge(check, if protocol == TCP { "VMX-RSS-002" } else { "VMX-RSS-005" }, found, &packet, types);
                }
            }
        }
    });
}

/// The key and the first frames of the table that every implementation of this hash is tested by.
fn published(check: &mut Check) {
    const PUBLISHED: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
        0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
        0xbe, 0xac, 0x01, 0xfa,
    ];
    /// Source address and port, destination address and port, hash over addresses, hash over ports too.
    type Published = ([u8; 4], u16, [u8; 4], u16, u32, u32);
    const VECTORS: [Published; 3] = [
        ([66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766, 0x323e_8fc2, 0x51cc_c178),
        ([199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739, 0xd718_262a, 0xc626_b0ea),
        ([24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024, 0xd2d0_a5de, 0x5c2b_394a),
    ];
    for (types, ports) in [(hash_type::IPV4, false), (hash_type::IPV4 | hash_type::TCP_IPV4, true)] {
        let mut setup = steered(2, types, vec![0, 1]);
        if let Some(rss) = &mut setup.config.rss {
            rss.key = PUBLISHED;
        }
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            for (source, from, destination, to, plain, whole) in VECTORS {
                let mut packet = Ip::v4(bench.config.mac, TCP, 20);
                packet.bytes[L3 + 12..L3 + 16].copy_from_slice(&source);
                packet.bytes[L3 + 16..L3 + 20].copy_from_slice(&destination);
                packet.bytes[packet.l4..packet.l4 + 2].copy_from_slice(&from.to_be_bytes());
                packet.bytes[packet.l4 + 2..packet.l4 + 4].copy_from_slice(&to.to_be_bytes());
                packet.fill();
                let found = arrival(bench, &packet.bytes).map(|(queue, cell)| (queue as u64, cell.rss_hash()));
                let hash = if ports { whole } else { plain };
                check.holds("VMX-RSS-006", found == Some((u64::from(hash % 2), hash)), "the hash is the one published");
            }
        });
    }
}

/// A fragment has no ports that count: it is hashed over its addresses.
fn fragments(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, table()), |check, bench| {
        bench.start();
        for word in [0x2000u16, 0x2004, 0x0004] {
            let mut packet = Ip::v4(bench.config.mac, TCP, 64);
            packet.bytes[L3 + 6..L3 + 8].copy_from_slice(&word.to_be_bytes());
            packet.fill();
            let found = arrival(bench, &packet.bytes);
            judge(check, "VMX-RSS-005", found, &packet, hash_type::IPV4);
        }
    });
}

fn behind_a_tag(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, table()), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let packet = make(bench.config.mac, TCP, 40);
            let found = arrival(bench, &packet.clone().tagged(9).bytes);
            judge(check, "VMX-RSS-005", found, &packet, 0xf);
        }
    });
}

fn without_ip(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, vec![3; 8]), |check, bench| {
        bench.start();
        for len in [60, 100, 250] {
            let frame = bench.to_guest(len);
            let found = arrival(bench, &frame).map(|(queue, cell)| (queue, cell.rss_type(), cell.rss_hash()));
            check.holds(
                "VMX-RSS-001",
                found == Some((0, rss_type::NONE, 0)),
                "a frame without IP goes to queue 0, unhashed",
            );
        }
        let packet = Ip::v4(bench.config.mac, TCP, 40);
        let found = arrival(bench, &packet.bytes).map(|(queue, _)| queue);
        check.holds("VMX-RSS-001", found == Some(3), "one with IP where the table says");
    });
}

/// Changes the block and runs `command`.
fn change(bench: &mut Bench, command: Command, change: impl FnOnce(&mut RssConf)) {
    let pa = bench.layout.rss;
    let mut block: RssConf = bench.get(pa);
    change(&mut block);
    bench.put(pa, block);
    bench.command(command);
    bench.settle();
}

fn table_changes(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, vec![1; 8]), |check, bench| {
        bench.start();
        let packet = Ip::v4(bench.config.mac, TCP, 40);
        let queue = |bench: &mut Bench| arrival(bench, &packet.bytes).map(|(queue, _)| queue);
        check.holds("VMX-RSS-003", queue(bench) == Some(1), "the table of the activation counts");
        change(bench, Command::UpdateRxMode, |block| block.set_ind_table([2; 128]));
        check.holds("VMX-RSS-003", queue(bench) == Some(1), "until UPDATE_RSSIDT, and no other command");
        for to in [2, 3, 0, 1] {
            change(bench, Command::UpdateRssidt, |block| block.set_ind_table([to; 128]));
            check.holds("VMX-RSS-003", queue(bench) == Some(usize::from(to)), "frames behind it follow the new table");
        }
    });
}

/// UPDATE_RSSIDT takes the table alone: keys, types and sizes wait for the next activation.
fn key_changes(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, table()), |check, bench| {
        bench.start();
        let packet = Ip::v4(bench.config.mac, TCP, 40);
        change(bench, Command::UpdateRssidt, |block| {
            block.set_hash_key([0x11; 40]);
            block.set_hash_type(hash_type::IPV6);
            block.set_hash_func(0);
        });
        let found = arrival(bench, &packet.bytes);
        judge(check, "VMX-RSS-003", found, &packet, 0xf);
        check.holds("VMX-RSS-003", bench.serves(), "traffic flows");
    });
}

/// Each entry of the table by itself leads its own hashes, and no others, to another queue.
fn entries(check: &mut Check) {
    check.on(Target::Both, &steered(2, 0xf, vec![0; 8]), |check, bench| {
        bench.start();
        for entry in 0..8u32 {
            change(bench, Command::UpdateRssidt, |block| {
                let mut table = [0; 128];
                table[entry as usize] = 1;
                block.set_ind_table(table);
            });
            for port in 0..12u8 {
                let mut packet = Ip::v4(bench.config.mac, TCP, 30);
                packet.bytes[packet.l4 + 1] = port;
                packet.fill();
                let hash = input(&packet, 0xf).map_or(0, |(_, input)| toeplitz::hash(&KEY, &input));
                let found = arrival(bench, &packet.bytes).map(|(queue, _)| queue);
                let expected = usize::from(hash % 8 == entry);
                check.holds("VMX-RSS-001", found == Some(expected), "the low bits of the hash choose the entry");
            }
        }
    });
}

/// The feature is on, and there is nothing to choose from.
fn one_queue(check: &mut Check) {
    check.on(Target::Both, &steered(1, 0xf, vec![0; 64]), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let packet = make(bench.config.mac, TCP, 40);
            let found = arrival(bench, &packet.bytes).map(|(queue, _)| queue);
            check.holds("VMX-RSS-001", found == Some(0), "everything arrives at the one queue");
        }
    });
}

fn no_steering(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(4), |check, bench| {
        bench.start();
        for port in 0..12u8 {
            let mut packet = Ip::v4(bench.config.mac, if port % 2 == 0 { TCP } else { UDP }, 40);
            packet.bytes[packet.l4 + 1] = port;
            packet.fill();
            let found = arrival(bench, &packet.bytes).map(|(queue, cell)| (queue, cell.rss_type(), cell.rss_hash()));
            check.holds(
                "VMX-RSS-001",
                found == Some((0, rss_type::NONE, 0)),
                "without the feature all is queue 0's, unhashed",
            );
        }
    });
}

fn flows(check: &mut Check) {
    check.on(Target::Both, &steered(4, 0xf, table()), |check, bench| {
        bench.start();
        for port in 0..6u8 {
            let mut first = None;
            for payload in [0, 1, 40, 150, 7] {
                let mut packet = Ip::v6(bench.config.mac, TCP, payload);
                packet.bytes[packet.l4 + 1] = port;
                packet.fill();
                let found = arrival(bench, &packet.bytes).map(|(queue, cell)| (queue, cell.rss_hash()));
                check.holds(
                    "VMX-RSS-001",
                    found.is_some() && found == *first.get_or_insert(found),
                    "a flow keeps its queue",
                );
            }
        }
    });
}
