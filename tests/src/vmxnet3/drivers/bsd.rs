//! FreeBSD, OpenBSD and illumos.

use super::super::offered::BUFFERS;
use super::serves;
use crate::case::{Check, Target};
use crate::rig::{ADDRESSED, Bench, Setup};
use spec::vmxnet3::{Bar0, Command};

/// TX completions on a vector that is not enabled, doorbells of 0, cq now and then. Source: freebsd if_vmx.c.
pub(super) fn freebsd(check: &mut Check) {
    let mut setup = Setup::unjudged();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        for _ in 0..2 {
            bench.prepare();
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_intr_idx(2);
                desc.set_conf(conf);
            });
            check.equal("VMX-DRV-003", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
            bench.to_target();
            bench.write0(Bar0::RxProd(0), 31);
            bench.filter(|filter| filter.set_rx_mode(ADDRESSED));
            bench.unmask(0);
            for _ in 0..5 {
                let frames: Vec<_> = (0..7).map(|i| bench.from_guest(60 + i)).collect();
                bench.settle();
                bench.seen();
                for (i, frame) in frames.iter().enumerate() {
                    let mut desc = bench.piece(0, frame);
                    desc.set_eop(true);
                    desc.set_cq(i == 6);
                    bench.post_cell(0, desc);
                }
                bench.ring(0);
                bench.settle();
                check.holds("VMX-DRV-003", bench.sent() == frames, "a burst of which the last asks for a completion");
                let done = bench.completions(0).len();
                check.holds("VMX-DRV-003", done > 0, "is told of");
            }
            let frame = bench.to_guest(1000);
            check.holds("VMX-DRV-003", bench.receives(&frame), "and a frame in pieces is received");
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
        }
    });
}

/// The shared area is named when the driver attaches, and never again. Source: openbsd if_vmx.c, vmxnet3_dma_init.
pub(super) fn openbsd(bench: &mut Bench) {
    bench.write_structures();
    let shared = bench.layout.shared;
    bench.set_shared(shared);
    let mac = bench.config.mac;
    bench.set_mac(mac);
}

/// Source: openbsd if_vmx.c, vmxnet3_init.
fn openbsd_init(check: &mut Check, bench: &mut Bench) {
    bench.write_structures();
    check.equal("VMX-DRV-004", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
    bench.to_target();
    bench.write0(Bar0::RxProd(0), 0);
    bench.write0(Bar0::RxProd2(0), 0);
    bench.command(Command::UpdateMacFilters);
    bench.command(Command::UpdateRxMode);
    bench.unmask(0);
    bench.command(Command::GetLink);
    serves(check, bench, "VMX-DRV-004");
}

pub(super) fn openbsd_attaches_once(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        openbsd(bench);
        for _ in 0..4 {
            openbsd_init(check, bench);
            bench.write0(Bar0::Imr(0), 1);
            check.equal("VMX-DRV-004", "answer of QUIESCE_DEV", bench.command(Command::QuiesceDev), 0u32);
        }
    });
}

pub(super) fn openbsd_changes_mtu(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        openbsd(bench);
        openbsd_init(check, bench);
        for mtu in [576, 60, 1500] {
            bench.command(Command::QuiesceDev);
            bench.config.mtu = mtu;
            openbsd_init(check, bench);
            let frame = bench.to_guest(74);
            check.holds("VMX-LIF-002", bench.receives(&frame), "frames are received at the new MTU");
        }
    });
}

pub(super) fn openbsd_resets(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        openbsd(bench);
        for _ in 0..3 {
            openbsd_init(check, bench);
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
            check.equal("VMX-LIF-003", "answer of ACTIVATE_DEV", bench.restart(), 0u32);
            check.holds("VMX-LIF-003", bench.serves(), "the shared area that was named once is still known");
            bench.command(Command::QuiesceDev);
        }
    });
}

/// A ring of which every cell is owned, and a completion ring as long as it, without ring 1. Source: illumos vmxnet3_rx.c.
pub(super) fn illumos(check: &mut Check) {
    let mut setup = Setup::unjudged();
    (setup.config.rx_ring[1], setup.config.rx_comp) = (0, 32);
    check.on(Target::Software, &setup, |check, bench| {
        bench.prepare();
        let area = bench.layout.rx[0];
        let mut last: spec::vmxnet3::RxDesc = bench.get(area.ring[0]);
        last.set_addr(area.buffers[0] + 31 * u64::from(bench.config.rx_buffer_stride(0)));
        bench.put(area.ring[0] + 31 * 16, last);
        check.equal("VMX-DRV-005", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.write0(Bar0::RxProd(0), 31);
        for _ in 0..32 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let cells = bench.rx_slots(0, 0, 32);
        let all = cells.iter().all(|cell| cell.generation() && cell.sop() && cell.eop());
        check.holds("VMX-DRV-005", all, "every cell of a full ring is used, and every slot told");
        bench.command(Command::QuiesceDev);
        bench.set_shared(0);
        bench.start();
        serves(check, bench, "VMX-DRV-005");
    });
}
