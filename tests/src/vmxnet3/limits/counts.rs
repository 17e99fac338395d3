//! How many queues, vectors, buffers of a packet, multicast addresses and memory regions there may be, and how large an MTU: a row
//! each, at the limit and one past it.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_MIN_MTU, _MAX_MTU, _V6_MAX_MTU, VMXNET3_DEVICE_MAX_TX_QUEUES, VMXNET3_MAX_INTRS,
//! VMXNET3_MAX_MEMREG_PER_DEVICE. The numbers are the profile's, and no more than the version knows.

use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, Bench, Setup};
use crate::vmxnet3::offered::by_version;
use spec::layout::Bytes as _;
use spec::profile::Deviation;
use spec::vic::devcmd::MAC_FILTERS;
use spec::vmxnet3::parameter::{MemRegs, MemoryRegion};
use spec::vmxnet3::{Bar0, Command, VECTORS_V1, VariableLenConf};

pub(in crate::vmxnet3) const CASES: &[Case] = by_version! {
    "limit-of-the-mtu", [1 2 3 4 5 6 7 8 9], &["VMX-V6-002", "VMX-ACT-004"], &[], &[], mtu;
    "limit-of-queues", [1 2 3 4 5 6 7 8 9], &["VMX-ACT-002", "VMX-LIM-007"], &[], &[], queues;
    "limit-of-vectors", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-008"], &[Deviation::UnmaskForgetsAutoMask], &[], vectors;
    "limit-of-buffers", [1 2 3 4 5 6 7 8 9], &["VMX-RX-011"], &[Deviation::ZeroRxSgIsOne], &[], buffers;
    "limit-of-multicast-addresses", [1 2 3 4 5 6 7 8 9], &["VMX-FLT-006"], &[], &[], multicast;
    "limit-of-memory-regions", [1 2 3 4 5 6 7 8 9], &["VMX-VER-004"], &[], &[], memory_regions;
};

fn set_mtu(bench: &mut Bench, mtu: u32) {
    bench.shared(|shared| {
        let mut misc = shared.misc();
        misc.set_mtu(mtu);
        shared.set_misc(misc);
    });
}

fn mtu(check: &mut Check) {
    check.at_version(Target::Both, &Setup::unjudged(), |check, bench, version| {
        let limits = check.profile().limits.mtus(version);
        bench.prepare();
        for mtu in [limits.start() - 1, limits.end() + 1, 0, 1 << 16, u32::MAX] {
            set_mtu(bench, mtu);
            let refused = bench.refuses_to_activate(check, "VMX-ACT-004");
            check.holds("VMX-V6-002", refused, "an MTU past the limit of its version is refused");
        }
        for mtu in [*limits.start(), *limits.end()] {
            bench.write_structures();
            set_mtu(bench, mtu);
            check.equal("VMX-V6-002", "answer to an MTU at the limit", bench.activate(), 0u32);
            bench.to_target();
            let frame = bench.to_guest(60 + 14);
            check.holds("VMX-ACT-004", bench.receives(&frame), "a frame of the smallest MTU is received");
            check.holds("VMX-ACT-004", bench.serves(), "traffic flows");
            bench.command(Command::QuiesceDev);
        }
    });
}

fn set_queues(bench: &mut Bench, tx: u8, rx: u8) {
    bench.shared(|shared| {
        let mut misc = shared.misc();
        misc.set_num_tx_queues(tx);
        misc.set_num_rx_queues(rx);
        shared.set_misc(misc);
    });
}

/// Queues that a device of `check` has for a guest of `version`.
fn most_queues(check: &Check, version: u8) -> (u8, u8) {
    let width = check.profile().width(version);
    (width.tx_queues, width.rx_queues)
}

fn queues(check: &mut Check) {
    let (tx, rx) = most_queues(check, check.version());
    let mut setup = Setup { judged: false, ..Setup::default().queues(tx.max(rx)) };
    (setup.config.tx_queues, setup.config.rx_queues) = (tx, rx);
    check.at_version(Target::Software, &setup, |check, bench, _| {
        bench.prepare();
        for (tx, rx) in [(tx + 1, 1), (1, rx + 1), (tx + 1, rx + 1), (0, rx), (tx, 0), (255, 255), (128, 128)] {
            set_queues(bench, tx, rx);
            let refused = bench.refuses_to_activate(check, "VMX-ACT-002");
            check.holds("VMX-LIM-007", refused, "one queue past the limit of the version, or none, is refused");
        }
        check.equal("VMX-LIM-007", "answer to as many as there may be", bench.restart(), 0u32);
        check.holds("VMX-LIM-007", bench.serves(), "each of them serves");
    });
    check.at_version(Target::Both, &Setup::default(), |check, bench, _| {
        bench.start();
        check.holds("VMX-ACT-002", bench.serves(), "one queue each way is enough");
    });
}

/// The receive queue names `vector`; the rest of the structures is as it was.
fn name_vector(bench: &mut Bench, vector: u8) -> u32 {
    bench.command(Command::QuiesceDev);
    bench.write_structures();
    bench.rx_desc(0, |desc| {
        let mut conf = desc.conf();
        conf.set_intr_idx(vector);
        desc.set_conf(conf);
    });
    bench.activate()
}

fn vectors(check: &mut Check) {
    check.at_version(Target::Both, &Setup::unjudged(), |check, bench, version| {
        let all = check.profile().width(version).vectors;
        // The adapter has no more than version 1 knows, and takes no guest that names another.
        let most = if bench.target == Target::Adapter { all.min(VECTORS_V1 as u8) } else { all };
        bench.prepare();
        for vector in [most - 1, 0] {
            check.equal("VMX-LIM-008", "answer to a vector there is", name_vector(bench, vector), 0u32);
            bench.to_target();
            bench.unmask(vector);
            bench.settle();
            bench.seen();
            let frame = bench.to_guest(80);
            check.holds("VMX-LIM-008", bench.receives(&frame), "a frame is received");
            check.equal("VMX-LIM-008", "raises of the vector named", bench.raised(u16::from(vector)), 1u32);
            check.equal("VMX-LIM-008", "its mask behind them", bench.read0(Bar0::Imr(vector)), 1u32);
        }
        for vector in [all, 128, u8::MAX] {
            if most < all {
                return;
            }
            if name_vector(bench, vector) != 0 {
                continue;
            }
            (0..most).for_each(|other| bench.unmask(other));
            bench.settle();
            bench.seen();
            let frame = bench.to_guest(80);
            check.holds("VMX-LIM-008", bench.receives(&frame), "past the last one, a frame is received");
            let silent = (0..=u16::from(u8::MAX)).all(|other| bench.raised(other) == 0);
            check.holds("VMX-LIM-008", silent, "and nothing is raised");
        }
    });
}

/// `maxNumRxSG` at its smallest, at what Linux gives, at its largest, and none.
fn buffers(check: &mut Check) {
    for most in [1u16, 18, u16::MAX, 0] {
        let mut setup = Setup::default();
        (setup.config.max_rx_sg, setup.config.mtu) = (most, 9000);
        // A limit below what the adapter may use keeps the guest out of hardware.
        let target = if most == 1 { Target::Software } else { Target::Both };
        check.at_version(target, &setup, |check, bench, _| {
            bench.start();
            let limit = if most == 0 { usize::MAX } else { usize::from(most) };
            // The adapter has a limit of its own, which a guest without one does not get to know.
            let last = if bench.target == Target::Adapter && limit > 18 { 18 } else { 19 };
            for buffers in [1, 2, 6, 18, last] {
                let frame = bench.to_guest(256 * buffers - 9);
                let fits = buffers <= limit;
                let whole = bench.receives(&frame);
                check.holds(
                    "VMX-RX-011",
                    whole == fits,
                    "a frame of as many buffers as maxNumRxSG says is told as whole, 0 being no limit, and no longer one",
                );
            }
        });
    }
}

/// Addresses in the largest table: its length is told in 16 bits, 6 bytes an address.
const MOST_GROUPS: u32 = 65535 / 6;

/// Addresses that the adapter tells apart: a guest with more of them gets every group there.
const FEW: usize = MAC_FILTERS / 2;

/// The group of a number.
fn group(number: u32) -> [u8; 6] {
    let [_, a, b, c] = number.to_be_bytes();
    [0x01, 0, 0x5e, a, b, c]
}

fn multicast(check: &mut Check) {
    let setup = Setup { bytes: (96 << 10) + (1 << 16), judged: false, ..Setup::default() };
    check.at_version(Target::Both, &setup, |check, bench, _| {
        bench.start();
        let table: Vec<u8> = (0..=MOST_GROUPS).flat_map(group).collect();
        let pa = bench.layout.end;
        bench.store(pa, &table);
        for len in [0u16, 6, 65_532, u16::MAX, 5, 11] {
            bench.filter(|filter| {
                filter.set_rx_mode(ADDRESSED);
                filter.set_mf_table_pa(pa);
                filter.set_mf_table_len(len);
            });
            let count = u32::from(len) / 6;
            for number in [0, count.saturating_sub(1), count, MOST_GROUPS] {
                let frame = bench.frame(group(number), 80);
                if number < count {
                    check.holds("VMX-FLT-006", bench.receives(&frame), "whole addresses within mfTableLen are members");
                } else if bench.target == Target::Software || count as usize <= FEW {
                    check.holds("VMX-FLT-006", bench.refuses(&frame), "and no other is");
                }
            }
        }
        check.holds("VMX-FLT-006", bench.serves(), "traffic flows");
    });
}

fn memory_regions(check: &mut Check) {
    check.at_version(Target::Both, &Setup { bytes: 112 << 10, ..Setup::newest() }, |check, bench, _| {
        bench.start();
        let pa = bench.layout.end.next_multiple_of(8);
        for count in [0u16, 1, 16, 256, 257, u16::MAX] {
            let mut region = MemoryRegion::default();
            region.set_start_pa(bench.layout.rx[0].buffers[0]);
            region.set_length(256);
            region.set_tx_queue_bits(u16::MAX);
            region.set_rx_queue_bits(1);
            let mut regions = MemRegs::default();
            regions.set_num_regs(count);
            regions.set_mem_regs(region);
            bench.put(pa, regions);
            for len in [MemRegs::SIZE as u32, 8 + 16 * u32::from(count), 0, u32::MAX] {
                let mut words = VariableLenConf::default();
                words.set_conf_ver(1);
                words.set_conf_len(len);
                words.set_conf_pa(pa);
                bench.shared(|shared| shared.set_cmd_info(words.0));
                bench.settle();
                bench.seen();
                check.equal("VMX-VER-004", "answer", bench.command(Command::RegisterMemregs), 0u32);
                check.holds("VMX-VER-004", !bench.wrote(), "no memory is written");
            }
        }
        let frame = bench.to_guest(200);
        check.holds("VMX-VER-004", bench.receives(&frame), "a frame fits a buffer, in a region or not");
        check.holds("VMX-VER-004", bench.serves(), "traffic flows");
    });
}
