//! The receive filter, bit by bit: modes alone and together, the multicast table, the VLAN table, and who decides first.

use super::offered::BUFFERS;
use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, ANOTHER, Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::Command;
use spec::vmxnet3::command::{feature, rx_mode};
use spec::vmxnet3::shared::{RX_FILTER_OFFSET, UPT_FEATURES_OFFSET};

const OPEN: &[Deviation] = &[Deviation::ZeroVlanTableDrops];

/// A case of one set of mode bits.
macro_rules! mode {
    ($id:literal, $mode:expr) => {
        Case::new($id, &["VMX-FLT-002", "VMX-FLT-007"], |check| mode(check, $mode))
    };
}

pub(crate) const CASES: &[Case] = &[
    mode!("mode-of-no-bit", 0),
    mode!("mode-ucast", rx_mode::UCAST),
    mode!("mode-mcast", rx_mode::MCAST),
    mode!("mode-bcast", rx_mode::BCAST),
    mode!("mode-all-multi", rx_mode::ALL_MULTI),
    mode!("mode-ucast-and-bcast", rx_mode::UCAST | rx_mode::BCAST),
    mode!("mode-of-all-but-promisc", ADDRESSED | rx_mode::ALL_MULTI),
    mode!("mode-of-bits-that-nobody-knows", rx_mode::UCAST | !0x1f),
    Case::new("mode-promisc-alone", &["VMX-FLT-001"], promiscuous),
    Case::new("modes-in-turn", &["VMX-FLT-007"], modes_in_turn),
    Case::new("a-table-that-is-empty", &["VMX-FLT-003"], empty_table),
    Case::new("a-table-that-is-overwritten", &["VMX-FLT-003"], overwritten_table),
    Case::new("a-table-that-moves", &["VMX-FLT-003"], table_moves),
    Case::new("a-table-in-any-order", &["VMX-FLT-003"], any_order),
    Case::new("a-table-out-of-reach", &["VMX-FLT-008"], out_of_reach),
    Case::new("addresses-of-one-bit-more", &["VMX-FLT-002"], one_bit_more),
    Case::new("unicast-addresses-in-the-table", &["VMX-FLT-008"], unicast_in_table),
    Case::new("an-address-that-changes", &["VMX-FLT-002"], address_changes),
    Case::new("vlan-0-and-no-tag", &["VMX-FLT-005"], no_tag).unless(OPEN),
    Case::new("vlans-at-the-ends-of-words", &["VMX-FLT-005"], ends_of_words).unless(OPEN),
    Case::new("vlans-one-by-one", &["VMX-FLT-009"], one_by_one).unless(OPEN),
    Case::new("a-vlan-table-of-ones", &["VMX-FLT-005"], all_ones).unless(OPEN),
    Case::new("priorities-are-no-vlans", &["VMX-FLT-005"], priorities).unless(OPEN),
    Case::new("vlans-and-addresses", &["VMX-FLT-005", "VMX-FLT-002"], vlans_and_addresses).unless(OPEN),
    Case::new("vlans-before-stripping", &["VMX-FLT-010"], before_stripping).unless(OPEN),
    Case::new("stripping-by-itself", &["VMX-RX-015"], stripping),
    Case::new("the-outermost-tag", &["VMX-RX-015", "VMX-FLT-010"], outermost).unless(OPEN),
    Case::new("tags-of-other-kinds", &["VMX-FLT-010"], other_kinds).unless(OPEN),
    Case::new("what-is-refused-is-not-counted", &["VMX-FLT-011"], not_counted),
];

/// Multicast address of a group.
const fn group(number: u8) -> [u8; 6] {
    [0x01, 0, 0x5e, 0, 0, number]
}

const NOBODY: [u8; 6] = [0x02, 9, 9, 9, 9, 9];

/// Whether a frame to `to` is received.
fn admits(bench: &mut Bench, to: [u8; 6]) -> bool {
    let frame = bench.frame(to, 90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0).len() == 1
}

/// Whether a frame to the guest with this tag is received.
fn admits_tag(bench: &mut Bench, tci: u16) -> bool {
    let frame = bench.tagged(tci, 90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0).len() == 1
}

/// The mode alone, and a multicast table of groups 1 and 2.
fn set_mode(bench: &mut Bench, mode: u32) {
    let pa = bench.layout.multicast;
    bench.store(pa, [group(1), group(2)].as_flattened());
    bench.filter(|filter| {
        filter.set_rx_mode(mode);
        filter.set_mf_table_len(12);
        filter.set_mf_table_pa(pa);
    });
}

/// Whether frames to each kind of address are received: own, nobody's, member, no member, all.
fn kinds(bench: &mut Bench) -> [bool; 5] {
    let own = bench.config.mac;
    [own, NOBODY, group(2), group(3), [0xff; 6]].map(|to| admits(bench, to))
}

/// What a mode without PROMISC admits.
fn admitted(mode: u32) -> [bool; 5] {
    let has = |bit| mode & bit != 0;
    let multi = has(rx_mode::ALL_MULTI);
    [has(rx_mode::UCAST), false, has(rx_mode::MCAST) || multi, multi, has(rx_mode::BCAST)]
}

fn mode(check: &mut Check, mode: u32) {
    // Bits that nobody knows must not stand for one that is: PROMISC is left out of them.
    let mode = mode & !rx_mode::PROMISC;
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, mode);
        check.holds(
            "VMX-FLT-002",
            kinds(bench) == admitted(mode),
            "each bit admits its own kind of address, and no other",
        );
        set_mode(bench, 0);
        check.holds("VMX-FLT-007", kinds(bench) == [false; 5], "a mode of no bit admits nothing");
        set_mode(bench, mode);
        check.holds("VMX-FLT-007", kinds(bench) == admitted(mode), "and the same mode the same again");
    });
}

fn promiscuous(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, rx_mode::PROMISC);
        check.holds("VMX-FLT-001", kinds(bench) == [true; 5], "PROMISC alone admits every address");
        bench.filter(|filter| {
            filter.set_rx_mode(rx_mode::PROMISC);
            let mut table = [0; 128];
            table[0] = 1 << 7;
            filter.set_vf_table(table);
        });
        let tags = [0, 7, 8, 4094, 0xfff].map(|tci| admits_tag(bench, tci));
        check.holds("VMX-FLT-001", tags == [true; 5], "and every tag");
    });
}

/// Each mode of four bits behind each other one.
fn modes_in_turn(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for step in [1u32, 3, 5, 7] {
            let mut mode = step;
            for _ in 0..8 {
                set_mode(bench, mode);
                check.holds("VMX-FLT-007", kinds(bench) == admitted(mode), "nothing is left of the mode before");
                mode = (mode + 2 * step) & 0xf;
            }
        }
    });
}

fn empty_table(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, ADDRESSED);
        check.holds("VMX-FLT-003", admits(bench, group(1)), "a member is received");
        bench.filter(|filter| filter.set_mf_table_len(0));
        check.holds("VMX-FLT-003", !admits(bench, group(1)), "a table of no bytes has no member");
        bench.filter(|filter| filter.set_mf_table_pa(0));
        check.holds("VMX-FLT-003", !admits(bench, group(2)), "wherever it lies");
        check.holds("VMX-FLT-003", bench.serves(), "traffic flows");
    });
}

/// The driver frees the memory of the table when the command has ended.
fn overwritten_table(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, ADDRESSED);
        let pa = bench.layout.multicast;
        bench.store(pa, [group(8), group(9)].as_flattened());
        let found = [1, 2, 8, 9].map(|number| admits(bench, group(number)));
        check.holds("VMX-FLT-003", found == [true, true, false, false], "the table is copied by its command");
        bench.command(Command::UpdateRxMode);
        bench.command(Command::UpdateVlanFilters);
        bench.settle();
        check.holds("VMX-FLT-003", admits(bench, group(1)), "and by no other");
        bench.command(Command::UpdateMacFilters);
        bench.settle();
        let found = [1, 2, 8, 9].map(|number| admits(bench, group(number)));
        check.holds("VMX-FLT-003", found == [false, false, true, true], "the next one takes the new table whole");
    });
}

fn table_moves(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..9u8 {
            // The end of the structures is nobody's: an odd address is as good as another.
            let pa = bench.layout.end + 1 + 13 * u64::from(round);
            bench.store(pa, &group(round));
            bench.filter(|filter| {
                filter.set_mf_table_pa(pa);
                filter.set_mf_table_len(6);
            });
            let found = [round, round.wrapping_sub(1)].map(|number| admits(bench, group(number)));
            check.holds("VMX-FLT-003", found == [true, false], "the table is where it is said to be, at any byte");
        }
    });
}

fn any_order(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let orders: [&[u8]; 4] = [&[1, 2, 3, 4], &[4, 3, 2, 1], &[2, 2, 2, 2], &[9, 1, 9, 4]];
        for numbers in orders {
            let pa = bench.layout.multicast;
            let table: Vec<u8> = numbers.iter().flat_map(|&number| group(number)).collect();
            bench.store(pa, &table);
            bench.filter(|filter| {
                filter.set_mf_table_pa(pa);
                filter.set_mf_table_len(24);
            });
            for number in [1, 2, 3, 4, 9, 5] {
                let member = numbers.contains(&number);
                check.holds(
                    "VMX-FLT-003",
                    admits(bench, group(number)) == member,
                    "in any order, and twice, a member is one",
                );
            }
        }
    });
}

fn out_of_reach(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        set_mode(bench, ADDRESSED);
        for pa in [super::verbs::HOLE, u64::MAX - 5, 1 << 60] {
            bench.filter(|filter| {
                filter.set_mf_table_pa(pa);
                filter.set_mf_table_len(12);
            });
            check.holds("VMX-FLT-008", !admits(bench, group(7)), "a table that cannot be read makes no member");
            check.holds("VMX-FLT-008", bench.serves(), "and keeps nothing else from being received");
        }
        set_mode(bench, ADDRESSED);
        check.holds("VMX-FLT-008", admits(bench, group(1)), "the next table counts");
    });
}

/// All 48 bits of an address count.
fn one_bit_more(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, rx_mode::UCAST | rx_mode::MCAST);
        for bit in 0..48 {
            let mut own = bench.config.mac;
            own[bit / 8] ^= 1 << (bit % 8);
            check.holds("VMX-FLT-002", !admits(bench, own), "an address one bit off is another");
            let mut member = group(1);
            member[bit / 8] ^= 1 << (bit % 8);
            let still = member == group(2);
            check.holds("VMX-FLT-002", admits(bench, member) == still, "a group one bit off too");
        }
        check.holds("VMX-FLT-002", !admits(bench, [0xff; 6]), "broadcast is no multicast here");
    });
}

fn unicast_in_table(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let pa = bench.layout.multicast;
        bench.store(pa, &[group(1), [0xff; 6], group(2)].concat());
        bench.filter(|filter| {
            filter.set_rx_mode(rx_mode::UCAST | rx_mode::MCAST);
            filter.set_mf_table_pa(pa);
            filter.set_mf_table_len(18);
        });
        let found = [group(1), group(2), group(3)].map(|to| admits(bench, to));
        check.holds(
            "VMX-FLT-008",
            found == [true, true, false],
            "what stands beside them in the table harms no member",
        );
        check.holds("VMX-FLT-008", bench.serves(), "and nothing else");
    });
}

/// The address is written while frames to both addresses come.
fn address_changes(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let first = bench.config.mac;
        let second = if first == ANOTHER { NOBODY } else { ANOTHER };
        for own in [second, first, second] {
            bench.set_mac(own);
            bench.settle();
            for to in [first, second] {
                check.holds("VMX-FLT-002", admits(bench, to) == (to == own), "UCAST is the current address alone");
            }
        }
        bench.set_mac(first);
        check.holds("VMX-FLT-002", bench.serves(), "traffic flows");
    });
}

/// A VLAN table with these identifiers.
fn set_vlans(bench: &mut Bench, vids: &[u16]) {
    let mut table = [0u32; 128];
    for &vid in vids {
        table[usize::from(vid >> 5)] |= 1 << (vid & 31);
    }
    bench.filter(|filter| filter.set_vf_table(table));
}

fn no_tag(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for vids in [&[5u16][..], &[0, 5], &[]] {
            set_vlans(bench, vids);
            let own = bench.config.mac;
            check.holds("VMX-FLT-005", admits(bench, own), "a frame without a tag passes any table");
            check.holds(
                "VMX-FLT-005",
                admits_tag(bench, 0) && admits_tag(bench, 0xe000),
                "so does one with a priority alone",
            );
        }
    });
}

fn ends_of_words(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let vids = [1u16, 31, 32, 63, 64, 2047, 2048, 4063, 4064, 4094];
        for vid in vids {
            set_vlans(bench, &[vid]);
            for other in vids {
                check.holds(
                    "VMX-FLT-005",
                    admits_tag(bench, other) == (other == vid),
                    "VLAN v is bit v % 32 of word v / 32",
                );
            }
        }
    });
}

/// A kernel that joins and leaves VLANs, one bit at a time.
fn one_by_one(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let mut joined: Vec<u16> = vec![0];
        for (vid, joins) in [(7, true), (8, true), (7, false), (40, true), (8, false), (7, true), (40, false)] {
            joined.retain(|other| *other != vid);
            if joins {
                joined.push(vid);
            }
            let pa = bench.layout.shared + RX_FILTER_OFFSET;
            let before: Vec<bool> = [7, 8, 40].iter().map(|&tci| admits_tag(bench, tci)).collect();
            let mut filter: spec::vmxnet3::RxFilterConf = bench.get(pa);
            let mut table = [0u32; 128];
            joined.iter().for_each(|vid| table[usize::from(vid >> 5)] |= 1 << (vid & 31));
            filter.set_vf_table(table);
            bench.put(pa, filter);
            let still: Vec<bool> = [7, 8, 40].iter().map(|&tci| admits_tag(bench, tci)).collect();
            check.holds("VMX-FLT-009", still == before, "a change of the table waits for its command");
            bench.command(Command::UpdateVlanFilters);
            bench.settle();
            for other in [7, 8, 40] {
                let expected = joined.contains(&other);
                check.holds("VMX-FLT-009", admits_tag(bench, other) == expected, "then the whole table counts");
            }
        }
    });
}

fn all_ones(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.filter(|filter| filter.set_vf_table([u32::MAX; 128]));
        for vid in [0, 1, 31, 32, 100, 2048, 4093, 4094] {
            check.holds("VMX-FLT-005", admits_tag(bench, vid), "a table of ones admits every VLAN");
        }
    });
}

fn priorities(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_vlans(bench, &[9]);
        for high in 0..16u16 {
            check.holds("VMX-FLT-005", admits_tag(bench, high << 12 | 9), "the upper four bits of a tag do not count");
            check.holds("VMX-FLT-005", !admits_tag(bench, high << 12 | 10), "for any VLAN");
        }
    });
}

/// Both tables have to admit a frame.
fn vlans_and_addresses(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, ADDRESSED);
        set_vlans(bench, &[9]);
        let own = bench.config.mac;
        for (to, vid, expected) in [
            (own, 9, true),
            (own, 10, false),
            (NOBODY, 9, false),
            (group(1), 9, true),
            (group(1), 10, false),
            (group(5), 9, false),
            ([0xff; 6], 9, true),
            ([0xff; 6], 10, false),
        ] {
            let mut frame = bench.frame(to, 90);
            frame.splice(12..12, [0x81, 0, 0, vid]);
            bench.offer(&frame);
            bench.settle();
            let clause = if vid == 9 { "VMX-FLT-002" } else { "VMX-FLT-005" };
            check.holds(clause, (bench.received(0).len() == 1) == expected, "a frame needs its address and its VLAN");
        }
    });
}

fn set_features(bench: &mut Bench, features: u64) {
    bench.put(bench.layout.shared + UPT_FEATURES_OFFSET, features);
    bench.command(Command::UpdateFeature);
    bench.settle();
}

/// Whether tags are taken off changes nothing of who is admitted.
fn before_stripping(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_vlans(bench, &[9]);
        for features in [feature::RXVLAN, 0, feature::RXVLAN | feature::RXCSUM] {
            set_features(bench, features);
            let found = [9, 10, 0].map(|tci| admits_tag(bench, tci));
            check.holds("VMX-FLT-010", found == [true, false, true], "the tag that came decides, taken off or not");
        }
    });
}

/// Frames with a tag, each way: what arrives and what is told.
fn stripping(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        bench.filter(|filter| filter.set_vf_table([u32::MAX; 128]));
        for strip in [true, false, true] {
            set_features(bench, feature::RXCSUM | if strip { feature::RXVLAN } else { 0 });
            for (tci, len) in
                [(0u16, 100), (1, 60), (0x0fff, 250), (0xffff, 252), (0x8000, 256), (0x2abc, 257), (5, 700)]
            {
                let frame = bench.tagged(tci, len);
                bench.offer(&frame);
                bench.settle();
                let got = bench.received(0);
                let [(bytes, cell)] = &got[..] else {
                    check.holds("VMX-RX-015", false, "a frame is delivered");
                    continue;
                };
                let plain = [&frame[..12], &frame[16..]].concat();
                check.holds(
                    "VMX-RX-015",
                    *bytes == if strip { plain } else { frame },
                    "the tag is gone, or it is there",
                );
                check.equal("VMX-RX-015", "ts", u8::from(cell.ts()), u8::from(strip));
                check.equal("VMX-RX-015", "tci", cell.tci(), if strip { tci } else { 0 });
            }
        }
    });
}

fn outermost(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_vlans(bench, &[9]);
        for (outer, inner, admitted) in [(9u8, 10u8, true), (10, 9, false), (9, 9, true)] {
            let mut frame = bench.to_guest(100);
            frame.splice(12..12, [0x81, 0, 0, outer, 0x81, 0, 0, inner]);
            bench.offer(&frame);
            bench.settle();
            let got = bench.received(0);
            check.holds("VMX-FLT-010", (got.len() == 1) == admitted, "of two tags the outer one decides");
            if let [(bytes, cell)] = &got[..] {
                let rest = [&frame[..12], &frame[16..]].concat();
                check.holds("VMX-RX-015", *bytes == rest, "and it alone is taken off");
                check.equal("VMX-RX-015", "tci", cell.tci(), u16::from(outer));
            }
        }
    });
}

/// A tag of a provider is no tag to the table or to stripping.
fn other_kinds(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_vlans(bench, &[9]);
        for kind in [[0x88, 0xa8], [0x91, 0], [0x81, 1], [0, 0x81]] {
            let mut frame = bench.to_guest(100);
            frame.splice(12..12, [kind[0], kind[1], 0, 10]);
            bench.offer(&frame);
            bench.settle();
            let got = bench.received(0);
            let plain = matches!(&got[..], [(bytes, cell)] if *bytes == frame && !cell.ts());
            check.holds("VMX-FLT-010", plain, "only 0x8100 is a tag");
        }
    });
}

/// A frame for somebody else is no frame of this guest's.
fn not_counted(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        set_mode(bench, rx_mode::UCAST);
        for to in [NOBODY, group(1), [0xff; 6]] {
            check.holds("VMX-FLT-011", !admits(bench, to), "it is not received");
        }
        let own = bench.config.mac;
        check.holds("VMX-FLT-011", admits(bench, own), "one for this guest is");
        let stats = bench.rx_stats(0);
        check.equal("VMX-FLT-011", "unicast frames", stats.ucast_pkts_rx_ok(), 1u32);
        let others = stats.mcast_pkts_rx_ok() + stats.bcast_pkts_rx_ok();
        check.equal("VMX-FLT-011", "other frames", others, 0u32);
        let dropped = stats.pkts_rx_out_of_buf() + stats.pkts_rx_error();
        check.equal("VMX-FLT-011", "frames counted as lost", dropped, 0u32);
    });
}
