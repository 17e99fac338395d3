//! Receive as the judges see it: filters, tables, steering, limits of buffers.

use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, Bench, Setup};
use model::guest::shape::{Body, To, WireShape};
use model::guest::traffic::Traffic;
use model::guest::vmxnet3::RssSetup;
use spec::profile::Deviation;
use spec::vmxnet3::command::{feature, rx_mode};
use spec::vmxnet3::shared::RX_FILTER_OFFSET;
use spec::vmxnet3::{Command, RxFilterConf, RxQueueDesc};

pub(crate) const CASES: &[Case] = &[
    Case { id: "modes", clauses: &["VMX-FLT-001", "VMX-FLT-002", "VMX-RX-019"], unless: &[], needs: &[], run: modes },
    Case {
        id: "vlan-tables",
        clauses: &["VMX-FLT-004", "VMX-FLT-005", "VMX-FLT-001"],
        unless: &[Deviation::ZeroVlanTableDrops],
        needs: &[],
        run: vlan_tables,
    },
    Case {
        id: "several-buffers",
        clauses: &["VMX-RX-004", "VMX-RX-006", "VMX-RX-009"],
        unless: &[Deviation::ShortFramesUnpadded, Deviation::ZeroRxSgIsOne],
        needs: &[],
        run: several_buffers,
    },
    Case {
        id: "most-buffers-of-a-packet",
        clauses: &["VMX-RX-011"],
        unless: &[],
        needs: &[],
        run: most_buffers_of_a_packet,
    },
    Case { id: "too-few-buffers", clauses: &["VMX-RX-012"], unless: &[], needs: &[], run: too_few_buffers },
    Case {
        id: "steering",
        clauses: &["VMX-RSS-001", "VMX-RSS-002"],
        unless: &[Deviation::RxQueueZeroOnly],
        needs: &[],
        run: steering,
    },
    Case {
        id: "checksums-and-tags",
        clauses: &["VMX-RX-015", "VMX-RX-016"],
        unless: &[Deviation::RxNothingVerified, Deviation::ZeroVlanTableDrops],
        needs: &[],
        run: checksums_and_tags,
    },
];

fn filter(bench: &mut Bench, change: impl FnOnce(&mut RxFilterConf)) {
    let pa = bench.layout.shared + RX_FILTER_OFFSET;
    let mut filter: RxFilterConf = bench.get(pa);
    change(&mut filter);
    bench.put(pa, filter);
    for command in [Command::UpdateRxMode, Command::UpdateMacFilters, Command::UpdateVlanFilters] {
        bench.command(command);
    }
    bench.settle();
}

fn arrives(bench: &mut Bench, frame: &[u8]) -> bool {
    bench.offer(frame);
    bench.settle();
    (0..bench.layout.rx.len()).map(|q| bench.received(q).len()).sum::<usize>() == 1
}

fn modes(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let (multicast, own) = (bench.layout.multicast, bench.config.mac);
        bench.store(multicast, &Traffic::group(1));
        let foreign = [0x02, 9, 9, 9, 9, 9];
        let targets = [own, foreign, Traffic::group(1), Traffic::group(2), [0xff; 6]];
        for mode in 0..32 {
            filter(bench, |filter| {
                filter.set_rx_mode(mode);
                filter.set_mf_table_len(6);
                filter.set_mf_table_pa(multicast);
            });
            let has = |bit| mode & bit != 0;
            let all = has(rx_mode::PROMISC);
            let group = has(rx_mode::ALL_MULTI);
            let expected = [
                all || has(rx_mode::UCAST),
                all,
                all || group || has(rx_mode::MCAST),
                all || group,
                all || has(rx_mode::BCAST),
            ];
            for (to, expected) in targets.into_iter().zip(expected) {
                let frame = bench.frame(to, 100);
                let clause = if all {
                    "VMX-FLT-001"
                } else if mode == 0 {
                    "VMX-RX-019"
                } else {
                    "VMX-FLT-002"
                };
                check.holds(clause, arrives(bench, &frame) == expected, "the mode decides by kind of address");
            }
        }
    });
}

fn vlan_tables(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for vid in [1, 7, 100, 4094] {
            let frame = bench.tagged(vid, 100);
            check.holds("VMX-FLT-004", arrives(bench, &frame), "an all-zero table admits every tag");
        }
        filter(bench, |filter| {
            let mut table = [0; 128];
            table[0] = 1 << 7;
            filter.set_vf_table(table);
        });
        for (tci, admitted) in [(7, true), (0x2007, true), (8, false), (4094, false), (0xe000, true)] {
            let frame = bench.tagged(tci, 100);
            check.holds("VMX-FLT-005", arrives(bench, &frame) == admitted, "a table with a bit set admits by it");
        }
        let frame = bench.to_guest(100);
        check.holds("VMX-FLT-005", arrives(bench, &frame), "and admits what has no tag");
        filter(bench, |filter| filter.set_rx_mode(ADDRESSED | rx_mode::PROMISC));
        for vid in [8, 4094] {
            let frame = bench.tagged(vid, 100);
            check.holds("VMX-FLT-001", arrives(bench, &frame), "PROMISC does not ask the table");
        }
    });
}

fn several_buffers(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for len in [14, 59, 60, 61, 255, 256, 257, 512, 513, 1000, 1514] {
            let frame = bench.to_guest(len);
            bench.offer(&frame);
            bench.settle();
            let slots = bench.received(0);
            let [(got, last)] = &slots[..] else {
                check.holds("VMX-RX-006", false, "a frame is delivered");
                continue;
            };
            check.equal("VMX-RX-009", "bytes delivered", got.len() as u64, len.max(60) as u64);
            check.holds("VMX-RX-009", got.get(..len) == Some(&frame[..]), "they are the frame's");
            check.equal("VMX-RX-004", "buffers of ring 1", u64::from(last.rq_id() == 1), u64::from(len > 256));
            check.holds("VMX-RX-006", last.eop() && last.sop() == (len <= 256), "sop and eop stand at its ends");
        }
    });
}

/// Software keeps to the limit; a limit below what the adapter may use keeps the guest out of hardware.
fn most_buffers_of_a_packet(check: &mut Check) {
    for (most, target) in [(1, Target::Software), (2, Target::Software), (3, Target::Software), (18, Target::Both)] {
        let mut setup = Setup::default();
        setup.config.max_rx_sg = most;
        check.on(target, &setup, |check, bench| {
            bench.start();
            for buffers in 1..=5usize {
                let frame = bench.to_guest(256 * buffers - 10);
                let expected = buffers <= usize::from(most);
                let whole = bench.receives(&frame);
                check.holds(
                    "VMX-RX-011",
                    whole == expected,
                    "a packet of up to maxNumRxSG buffers is told as whole, no other",
                );
            }
            check.holds("VMX-RX-011", bench.serves(), "traffic flows behind them");
        });
    }
}

fn too_few_buffers(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        // 31 HEAD buffers, and nobody gives any back.
        for _ in 0..40 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        bench.command(Command::GetStats);
        let desc: RxQueueDesc = bench.get(bench.layout.rx_queue_desc(0));
        check.equal("VMX-RX-012", "frames received", desc.stats().ucast_pkts_rx_ok(), 31u32);
        check.equal("VMX-RX-012", "pktsRxOutOfBuf", desc.stats().pkts_rx_out_of_buf(), 9u32);
        check.equal("VMX-RX-012", "frames delivered", bench.received(0).len() as u64, 31u32);
        check.holds("VMX-RX-012", bench.serves(), "traffic flows once there are buffers");
    });
}

fn steering(check: &mut Check) {
    let mut setup = Setup::default().queues(4);
    let key = core::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(11));
    setup.config.rss = Some(RssSetup { hash_type: 0xf, key, table: (0..16).map(|i| i % 4).collect() });
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        let mut traffic = Traffic::new(11, bench.config.mac);
        let (mut frame, mut queues) = (Vec::new(), [0u64; 4]);
        for body in [Body::Udp4, Body::Tcp4, Body::Udp6, Body::Tcp6, Body::Raw] {
            for flow in 0..24 {
                let shape = WireShape { len: 120, body, tag: None, bad: false, to: To::Peer, flow };
                traffic.wire(&shape, &mut frame);
                bench.offer(&frame);
                bench.settle();
                let mut arrived = 0;
                for (q, count) in queues.iter_mut().enumerate() {
                    for (_, last) in bench.received(q) {
                        arrived += 1;
                        *count += 1;
                        let hashed = last.rss_type() != 0;
                        check.holds("VMX-RSS-002", hashed == (body != Body::Raw), "IP frames carry a hash");
                        if body == Body::Raw {
                            check.equal("VMX-RSS-001", "queue of a frame without IP", q as u64, 0u32);
                        }
                    }
                }
                check.equal("VMX-RSS-001", "queues that received", arrived as u64, 1u32);
            }
        }
        check.holds("VMX-RSS-001", queues.iter().all(|&count| count > 0), "flows spread over every queue");
    });
}

fn checksums_and_tags(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let mut traffic = Traffic::new(13, bench.config.mac);
        let mut frame = Vec::new();
        for features in [feature::RXCSUM | feature::RXVLAN, feature::RXVLAN, feature::RXCSUM, 0] {
            bench.put(bench.layout.shared + spec::vmxnet3::shared::UPT_FEATURES_OFFSET, features);
            bench.command(Command::UpdateFeature);
            bench.settle();
            for body in [Body::Udp4, Body::Tcp4, Body::Udp6, Body::Tcp6] {
                for (bad, tag) in [(false, None), (true, None), (false, Some(0x2007)), (true, Some(9))] {
                    let shape = WireShape { len: 150, body, tag, bad, to: To::Peer, flow: 1 };
                    traffic.wire(&shape, &mut frame);
                    bench.offer(&frame);
                    bench.settle();
                    let got = bench.received(0);
                    let [(_, last)] = &got[..] else {
                        check.holds("VMX-RX-016", false, "a frame is delivered");
                        continue;
                    };
                    let verified = !last.cnc() && last.tuc();
                    let wanted = features & feature::RXCSUM != 0;
                    check.holds("VMX-RX-016", !(verified && bad), "a bad checksum is never called good");
                    check.holds("VMX-RX-016", wanted || !verified, "nor one that nobody was to verify");
                    let strip = features & feature::RXVLAN != 0 && tag.is_some();
                    check.holds("VMX-RX-015", last.ts() == strip, "a tag is taken off when stripping is on");
                    if let (true, Some(tci)) = (last.ts(), tag) {
                        check.equal("VMX-RX-015", "tci", last.tci(), tci);
                    }
                }
            }
        }
    });
}
