//! Settings that a guest changes while the device runs: features nobody offers, tables, halves of addresses, steering.

use super::verbs::alike;
use crate::case::{Case, Check, Need, Target};
use crate::rig::{ADDRESSED, Bench, Seen, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::{feature, rx_mode};
use spec::vmxnet3::shared::{CMD_INFO_OFFSET, INTR_CONF_OFFSET, UPT_FEATURES_OFFSET};
use spec::vmxnet3::{Bar1, Command};

pub(crate) const CASES: &[Case] = &[
    Case { id: "bi-019-rss-fields", clauses: &["VMX-BAD-050"], unless: &[], needs: &[], run: rss_fields },
    Case {
        id: "bi-020-features-that-nobody-offers",
        clauses: &["VMX-BAD-051"],
        unless: &[],
        needs: &[],
        run: features_that_nobody_offers,
    },
    Case {
        id: "bi-021-vlan-tables-that-stay",
        clauses: &["VMX-BAD-052"],
        unless: &[],
        needs: &[],
        run: vlan_tables_that_stay,
    },
    Case {
        id: "bi-022-half-an-address",
        clauses: &["VMX-BAD-053"],
        unless: &[Deviation::ActivateRestoresMac],
        needs: &[],
        run: half_an_address,
    },
    Case {
        id: "bi-046-data-rings-at-the-end-of-addresses",
        clauses: &["VMX-BAD-054", "VMX-BAD-003"],
        unless: &[],
        needs: &[Need::Accesses],
        run: data_rings_at_the_end_of_addresses,
    },
    Case {
        id: "bi-074-interrupt-control-at-another-offset",
        clauses: &["VMX-BAD-055"],
        unless: &[],
        needs: &[],
        run: interrupt_control_at_another_offset,
    },
];

/// A command that this version may not know: its parameter is taken or it is not, and nothing else comes of it.
fn rss_fields(check: &mut Check) {
    let talk = |check: &mut Check, bench: &mut Bench| {
        bench.start();
        let pa = bench.layout.shared + CMD_INFO_OFFSET;
        for fields in (0..64).chain([1 << 16, u32::MAX]) {
            let before = bench.command(Command::GetRssFields);
            bench.put(pa, fields);
            bench.command(Command::SetRssFields);
            let after = bench.command(Command::GetRssFields);
            check.holds(
                "VMX-BAD-050",
                after == before || after == fields,
                "the fields in force are the old or the new",
            );
        }
        check.holds("VMX-BAD-050", bench.serves(), "traffic flows behind them");
    };
    check.on(Target::Both, &Setup::unjudged(), talk);
    check.on_newest(Target::Both, &Setup { judged: false, ..Setup::newest() }, |check, bench| {
        bench.select(3);
        talk(check, bench);
    });
}

/// What a guest sees of a few frames: bytes and completions.
fn what_arrives(bench: &mut Bench) -> Vec<(Vec<u8>, u128)> {
    let mut all = Vec::new();
    for len in [60, 200, 300, 600] {
        let frame = spec::frame::generated(bench.config.mac, crate::rig::PEER, 9, 1, len);
        bench.offer(&frame);
        bench.settle();
        all.extend(bench.received(0).into_iter().map(|(bytes, last)| (bytes, last.0)));
    }
    all
}

fn features_that_nobody_offers(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        let base = bench.config.features;
        let mut runs = Vec::new();
        for bit in (0..64).filter(|bit| 1u64 << bit & (feature::RXCSUM | feature::RXVLAN | feature::LRO) == 0) {
            bench.command(Command::ResetDev);
            bench.prepare();
            let features = bench.layout.shared + UPT_FEATURES_OFFSET;
            bench.put(features, base | 1 << bit);
            if bench.activate() != 0 {
                continue;
            }
            bench.to_target();
            runs.push(what_arrives(bench));
            let frame = bench.from_guest(120);
            let fate = bench.fate(&[&frame], |_| {});
            check.holds("VMX-BAD-051", fate.frames == [&frame[..]], "packets are sent as they are");
            // The same while it runs.
            bench.put(features, !(feature::LRO | feature::RSS));
            bench.command(Command::UpdateFeature);
            bench.put(features, base);
            bench.command(Command::UpdateFeature);
            check.holds("VMX-BAD-051", bench.serves(), "traffic flows");
        }
        alike(check, "VMX-BAD-051", &runs, "a feature that is not offered changes no frame");
        check.holds("VMX-BAD-051", bench.recovers(), "RESET_DEV brings service back");
    });
}

fn arrives(bench: &mut Bench, vid: u16) -> bool {
    let frame = bench.tagged(vid, 90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0).len() == 1
}

fn vlan_tables_that_stay(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let members = [1u16, 31, 32, 33, 100, 2047, 2048, 4094];
        let set = |bench: &mut Bench, mode: u32| {
            bench.filter(|filter| {
                let mut table = [0u32; 128];
                for vid in members {
                    table[usize::from(vid / 32)] |= 1 << (vid % 32);
                }
                filter.set_vf_table(table);
                filter.set_rx_mode(mode);
            });
        };
        let judge = |check: &mut Check, bench: &mut Bench| {
            for vid in members {
                check.holds("VMX-BAD-052", arrives(bench, vid), "a tag in the table is admitted");
                for near in [vid - 1, vid + 1] {
                    let member = members.contains(&near) || near == 0 || near == 4095;
                    check.holds("VMX-BAD-052", member || !arrives(bench, near), "its neighbours are not");
                }
            }
        };
        set(bench, ADDRESSED);
        judge(check, bench);
        set(bench, ADDRESSED | rx_mode::PROMISC);
        check.holds("VMX-BAD-052", arrives(bench, 5), "PROMISC does not ask the table");
        set(bench, ADDRESSED);
        judge(check, bench);
        // A new activation takes the table from the shared area again.
        for command in [Command::QuiesceDev, Command::ResetDev] {
            bench.command(command);
            bench.prepare();
            set(bench, ADDRESSED);
            check.equal("VMX-BAD-052", "answer", bench.activate(), 0u32);
            bench.to_target();
            judge(check, bench);
        }
    });
}

fn half_an_address(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let own = bench.config.mac;
        let other = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
        let low = |mac: [u8; 6]| u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let high = |mac: [u8; 6]| u32::from_le_bytes([mac[4], mac[5], 0, 0]);
        let to = |bench: &mut Bench, mac: [u8; 6]| {
            let frame = bench.frame(mac, 90);
            bench.receives(&frame)
        };
        for _ in 0..3 {
            bench.write1(Bar1::Macl, low(other));
            check.holds("VMX-BAD-053", to(bench, own), "the low half alone changes nothing");
            check.holds("VMX-BAD-053", !to(bench, other), "nor does it let another address in");
            bench.write1(Bar1::Mach, high(other));
            check.holds("VMX-BAD-053", to(bench, other), "with the high half the address counts");
            check.holds("VMX-BAD-053", !to(bench, own), "and the old one does not");
            // High half first: it takes the low half there is.
            bench.write1(Bar1::Mach, high(own));
            let mixed = [other[0], other[1], other[2], other[3], own[4], own[5]];
            check.holds("VMX-BAD-053", to(bench, mixed), "a high half counts with the low half written last");
            bench.write1(Bar1::Macl, low(own));
            check.holds("VMX-BAD-053", to(bench, mixed), "a low half waits for the next high one");
            // Bits that no address has.
            bench.write1(Bar1::Mach, high(own) | 0xdead_0000);
            check.holds("VMX-BAD-053", to(bench, own), "only two bytes of the high half count");
            check.equal("VMX-BAD-053", "upper half of MACH", bench.read1(Bar1::Mach) >> 16, 0u32);
        }
    });
}

/// Entries are addressed in 64 bits: a data ring around 2^32 or up to 2^63 is written where it is, or not at all.
fn data_rings_at_the_end_of_addresses(check: &mut Check) {
    for base in [(1u64 << 32) - 512, (1 << 32) - 4096 + 512, (1 << 63) - 512, u64::MAX - 0xffff] {
        check.on_newest(Target::Both, &Setup { judged: false, ..Setup::newest() }, |check, bench| {
            bench.select(3);
            bench.prepare();
            bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_rx_data_ring_base_pa(base);
                conf.set_rx_data_ring_desc_size(2048);
                desc.set_conf(conf);
            });
            if bench.activate() != 0 {
                return;
            }
            bench.to_target();
            bench.seen();
            for _ in 0..8 {
                let frame = bench.to_guest(100);
                bench.offer(&frame);
                bench.settle();
            }
            let seen = bench.seen();
            let faults: Vec<u64> =
                seen.iter().filter_map(|seen| if let Seen::Fault(pa) = seen { Some(*pa) } else { None }).collect();
            let right = faults.iter().all(|pa| pa.wrapping_sub(base) % 2048 == 0 && pa.wrapping_sub(base) / 2048 < 32);
            check.holds("VMX-BAD-054", right, "an entry lies at base and index times size, in 64 bits");
            check.holds("VMX-BAD-003", bench.recovers(), "RESET_DEV brings service back");
        });
    }
}

/// Below version 6 the extended interrupt words are no part of the shared area.
fn interrupt_control_at_another_offset(check: &mut Check) {
    const EXTENDED: u64 = 720;
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        for word in [0, 1, u32::MAX] {
            bench.prepare();
            let shared = bench.layout.shared;
            bench.put(shared + INTR_CONF_OFFSET + 28, 0u32);
            bench.put(shared + EXTENDED + 4, word);
            bench.put(shared + EXTENDED, word);
            check.equal("VMX-BAD-055", "answer", bench.activate(), 0u32);
            bench.to_target();
            bench.unmask(0);
            bench.seen();
            let frame = bench.to_guest(80);
            bench.offer(&frame);
            bench.settle();
            check.equal("VMX-BAD-055", "raises", bench.raised(0), 1u32);
            let kept = bench.get::<u32>(shared + EXTENDED + 4) == word;
            check.holds("VMX-BAD-055", kept, "and the words stay as they are");
            bench.command(Command::QuiesceDev);
        }
        check.holds("VMX-BAD-055", bench.recovers(), "RESET_DEV brings service back");
    });
}
