//! Hashes beyond TCP, from version 4: UDP by its ports, ESP by its SPI, fragments by addresses alone, and where each leads.
//!
//! Sources: vmxnet3_defs.h, Vmxnet3_RSSField; linux vmxnet3_ethtool.c, vmxnet3_set_rss_hash_opt.

use super::offered::by_version;
use super::rss_fields::ask;
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use model::guest::vmxnet3::RssSetup;
use spec::profile::Deviation;
use spec::toeplitz;
use spec::vmxnet3::rx::{hash_type, rss_type};
use spec::vmxnet3::{Command, RssFields};

/// What each version hashes.
pub(crate) const BY_VERSION: &[Case] = by_version! {
    "hash-of-udp", [4 5 6 7 8 9], &["VMX-V4-005", "VMX-V4-012"], STEERED, &[], of_udp;
    "hash-of-esp", [4 5 6 7 8 9], &["VMX-V4-005", "VMX-V4-012"], STEERED, &[], of_esp;
    "hash-of-esp-over-ipv6", [4 5 6 7 8 9], &["VMX-V6-005"], STEERED, &[], of_esp_over_ipv6;
    "hash-of-fragments", [4 5 6 7 8 9], &["VMX-V4-013"], STEERED, &[], of_fragments;
    "hash-fields-change-while-active", [4 5 6 7 8 9], &["VMX-V4-014"], STEERED, &[], change_while_active;
    "hash-fields-before-version-4", [2 3], &["VMX-V4-005"], STEERED, &[], before_version_4;
};

pub(crate) const CASES: &[Case] = &[
    Case::new("hash-of-udp-alone", &["VMX-V4-012"], of_udp_alone).unless(STEERED),
    Case::new("hash-of-packets-too-short", &["VMX-V4-005"], of_packets_too_short).unless(STEERED),
    Case::new("hash-of-a-tunnel", &["VMX-V4-012"], of_a_tunnel).unless(STEERED),
    Case::new("hash-fields-stay-through-quiesce", &["VMX-V4-014"], stay_through_quiesce).unless(STEERED),
];

/// A profile of one queue is excused.
const STEERED: &[Deviation] = &[Deviation::RxQueueZeroOnly];
const KEY: [u8; 40] = {
    let mut key = [0; 40];
    let mut i = 0;
    while i < 40 {
        key[i] = (i as u8).wrapping_mul(29) ^ 0x6d;
        i += 1;
    }
    key
};
const TABLE: [u8; 8] = [0, 1, 1, 0, 1, 0, 0, 1];
const UDP: u8 = 17;
const ESP: u8 = 50;

fn setup(hash_type: u16) -> Setup {
    let mut setup = Setup::default().queues(2);
    setup.config.rss = Some(RssSetup { hash_type, key: KEY, table: TABLE.to_vec() });
    setup
}

/// A packet over IPv4 or IPv6 with `word` behind its header.
fn packet(bench: &mut Bench, v6: bool, protocol: u8, word: u32) -> Vec<u8> {
    let mut frame = bench.to_guest(120);
    let l4 = if v6 {
        frame[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 66, protocol, 64]);
        frame[22..54].iter_mut().zip(1..).for_each(|(byte, value)| *byte = value);
        54
    } else {
        frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 106, 0, 0, 0, 0, 64, protocol]);
        frame[24..34].copy_from_slice(&[0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        34
    };
    frame[l4..l4 + 4].copy_from_slice(&word.to_be_bytes());
    frame[l4 + 4..l4 + 8].copy_from_slice(&[0, (120 - l4) as u8, 1, 1]);
    frame
}

/// Offers `frame`, which is hashed over its addresses and, with `whole`, the word behind the header: it must come to the queue that
/// the table has for it, and be told by `kind`.
fn steered(check: &mut Check, bench: &mut Bench, clause: &'static str, frame: &[u8], (kind, whole): (u8, bool)) {
    let from = if frame[12] == 8 { 26 } else { 22 };
    let end = if frame[12] == 8 { 34 } else { 54 } + if whole { 4 } else { 0 };
    let hash = toeplitz::hash(&KEY, &frame[from..end]);
    let queue = if kind == rss_type::NONE { 0 } else { TABLE[hash as usize % TABLE.len()] };
    bench.offer(frame);
    bench.settle();
    let (got, others) = (bench.received(usize::from(queue)), bench.received(1 - usize::from(queue)));
    check.holds(clause, got.len() == 1 && others.is_empty(), "it comes to the queue of the table");
    let told = got.first().map_or((0xff, 0), |(_, last)| (last.rss_type(), last.rss_hash()));
    check.equal(clause, "rssType", told.0, kind);
    if kind != rss_type::NONE {
        check.equal(clause, "rssHash", told.1, hash);
    }
}

const ALL: u16 = hash_type::IPV4 | hash_type::TCP_IPV4 | hash_type::IPV6 | hash_type::TCP_IPV6;

/// Packets of `protocol` with many words, with the field in force and without.
fn of(check: &mut Check, protocol: u8, v6: bool, field: u32, kind: u8) {
    let plain = if v6 { rss_type::IPV6 } else { rss_type::IPV4 };
    check.at_version(Target::Both, &setup(ALL), |check, bench, _| {
        bench.start();
        for round in 0..3 {
            let wanted = if round == 1 { RssFields::OUTER.0 & !field } else { field };
            let found = ask(bench, wanted).1;
            let covered = found & field != 0;
            for word in 0..6u32 {
                let frame = packet(bench, v6, protocol, word.wrapping_mul(0x0101_4721));
                let expected = if covered { (kind, true) } else { (plain, false) };
                steered(check, bench, if covered { "VMX-V4-012" } else { "VMX-V4-005" }, &frame, expected);
            }
        }
    });
}

fn of_udp(check: &mut Check) {
    of(check, UDP, false, 1 << 2, rss_type::UDP_IPV4);
    of(check, UDP, true, 1 << 3, rss_type::UDP_IPV6);
}

fn of_esp(check: &mut Check) {
    of(check, ESP, false, 1 << 4, rss_type::ESP_IPV4);
}

fn of_esp_over_ipv6(check: &mut Check) {
    const CLAUSE: &str = "VMX-V6-005";
    const FIELD: u32 = 1 << 5;
    check.at_version(Target::Both, &setup(ALL), |check, bench, version| {
        bench.start();
        let able = RssFields::known(check.profile().answers.rss_fields, version);
        let found = ask(bench, u32::MAX).1;
        check.equal(CLAUSE, "ESPIP6 in force", found & FIELD, able & FIELD);
        check.holds(CLAUSE, version >= 6 || found & FIELD == 0, "it is not before version 6");
        for word in 1..6u32 {
            let frame = packet(bench, true, ESP, word << 20 | word);
            let covered = found & FIELD != 0;
            let expected = if covered { (rss_type::ESP_IPV6, true) } else { (rss_type::IPV6, false) };
            steered(check, bench, CLAUSE, &frame, expected);
        }
    });
}

fn of_fragments(check: &mut Check) {
    const CLAUSE: &str = "VMX-V4-013";
    check.at_version(Target::Both, &setup(ALL), |check, bench, _| {
        bench.start();
        ask(bench, u32::MAX);
        for (high, low) in [(0x20, 0), (0x20, 9), (0, 9)] {
            for protocol in [6, UDP, ESP] {
                for word in 1..4u32 {
                    let mut frame = packet(bench, false, protocol, word * 0x1234_5679);
                    frame[20..22].copy_from_slice(&[high, low]);
                    steered(check, bench, CLAUSE, &frame, (rss_type::IPV4, false));
                }
            }
        }
    });
}

fn change_while_active(check: &mut Check) {
    const CLAUSE: &str = "VMX-V4-014";
    check.at_version(Target::Both, &setup(ALL), |check, bench, _| {
        bench.start();
        for round in 0..5u32 {
            let wanted = if round % 2 == 0 { 0x3f } else { 0x3 };
            let found = RssFields(ask(bench, wanted).1);
            for (v6, protocol) in [(false, UDP), (true, UDP), (false, ESP)] {
                let frame = packet(bench, v6, protocol, 0x4321_1234 ^ round);
                let (covered, kind, plain) = match (v6, protocol) {
                    (false, UDP) => (found.udpip4(), rss_type::UDP_IPV4, rss_type::IPV4),
                    (true, _) => (found.udpip6(), rss_type::UDP_IPV6, rss_type::IPV6),
                    _ => (found.espip4(), rss_type::ESP_IPV4, rss_type::IPV4),
                };
                steered(check, bench, CLAUSE, &frame, if covered { (kind, true) } else { (plain, false) });
            }
        }
    });
}

fn before_version_4(check: &mut Check) {
    check.at_version(Target::Both, &setup(ALL), |check, bench, _| {
        bench.start();
        ask(bench, u32::MAX);
        for (v6, protocol, plain) in [(false, UDP, rss_type::IPV4), (true, ESP, rss_type::IPV6)] {
            let frame = packet(bench, v6, protocol, 77);
            steered(check, bench, "VMX-V4-005", &frame, (plain, false));
        }
    });
}

/// A driver that wants no addresses hashed alone still gets UDP by its ports.
fn of_udp_alone(check: &mut Check) {
    check.at(9, Target::Both, &setup(0), |check, bench| {
        bench.start();
        let found = RssFields(ask(bench, 0x3f).1);
        for word in 1..6u32 {
            let frame = packet(bench, false, UDP, word * 0x0307_1001);
            let expected = if found.udpip4() { (rss_type::UDP_IPV4, true) } else { (rss_type::NONE, false) };
            steered(check, bench, "VMX-V4-012", &frame, expected);
        }
        let frame = packet(bench, false, 1, 9);
        steered(check, bench, "VMX-V4-012", &frame, (rss_type::NONE, false));
    });
}

/// What ends before its header does has no ports to go by.
fn of_packets_too_short(check: &mut Check) {
    check.at(9, Target::Both, &setup(ALL), |check, bench| {
        bench.start();
        ask(bench, 0x3f);
        for protocol in [UDP, ESP] {
            for bytes in [0, 3, 4, 7] {
                let mut frame = packet(bench, false, protocol, 0x1111_2222);
                frame[17] = 20 + bytes;
                steered(check, bench, "VMX-V4-005", &frame, (rss_type::IPV4, false));
            }
        }
    });
}

/// A tunnel is hashed as the UDP packet that it is.
fn of_a_tunnel(check: &mut Check) {
    check.at(9, Target::Both, &setup(ALL), |check, bench| {
        bench.start();
        let covered = RssFields(ask(bench, 0x3f).1).udpip4();
        for port in [4789u32, 8472, 6081] {
            for source in 1..5 {
                let frame = packet(bench, false, UDP, source << 27 | port);
                let expected = if covered { (rss_type::UDP_IPV4, true) } else { (rss_type::IPV4, false) };
                steered(check, bench, "VMX-V4-012", &frame, expected);
            }
        }
    });
}

fn stay_through_quiesce(check: &mut Check) {
    const CLAUSE: &str = "VMX-V4-014";
    for version in [4, 9] {
        check.at(version, Target::Both, &setup(ALL), |check, bench| {
            bench.start();
            let found = ask(bench, 0x3f).1;
            bench.command(Command::QuiesceDev);
            check.equal(CLAUSE, "fields after QUIESCE_DEV", bench.command(Command::GetRssFields), found);
            bench.restart();
            check.equal(CLAUSE, "fields after ACTIVATE_DEV", bench.command(Command::GetRssFields), found);
            let frame = packet(bench, false, UDP, 0x2000_0035);
            let covered = RssFields(found).udpip4();
            let expected = if covered { (rss_type::UDP_IPV4, true) } else { (rss_type::IPV4, false) };
            steered(check, bench, CLAUSE, &frame, expected);
        });
    }
}
