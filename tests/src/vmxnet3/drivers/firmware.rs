//! Firmware: iPXE and EDK2, and the kernel behind it.

use super::serves;
use crate::case::{Check, Target};
use crate::rig::{ADDRESSED, Bench, Setup};
use spec::vmxnet3::command::{ecr, feature, rx_mode};
use spec::vmxnet3::{Bar0, Bar1, Command};

/// One version, whatever is offered; the mode in memory; no vector; buffers behind ACTIVATE_DEV. Source: ipxe vmxnet3.c.
fn ipxe_opens(check: &mut Check, bench: &mut Bench) {
    bench.write1(Bar1::Vrrs, 1);
    bench.write1(Bar1::Uvrs, 1);
    check.equal("VMX-DRV-006", "answer of RESET_DEV", bench.command(Command::ResetDev), 0u32);
    let low = bench.command(Command::GetPermMacLo);
    check.equal("VMX-DRV-006", "permanent address", low.to_le_bytes()[0], bench.permanent()[0]);
    bench.command(Command::GetPermMacHi);
    bench.command(Command::GetLink);
    bench.prepare();
    check.equal("VMX-DRV-006", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
}

pub(super) fn ipxe() -> Setup {
    let mut setup = Setup::default();
    let config = &mut setup.config;
    (config.auto_mask, config.features) = (false, 0);
    config.rx_mode = rx_mode::UCAST | rx_mode::BCAST | rx_mode::ALL_MULTI;
    (config.rx_ring[1], config.rx_comp) = (0, 64);
    setup
}

pub(super) fn ipxe_boots(check: &mut Check) {
    check.on(Target::Both, &ipxe(), |check, bench| {
        for _ in 0..3 {
            ipxe_opens(check, bench);
            bench.to_target();
            for _ in 0..20 {
                serves(check, bench, "VMX-DRV-006");
            }
            let frame = bench.frame([0x01, 0, 0x5e, 1, 2, 3], 90);
            check.holds("VMX-DRV-006", bench.receives(&frame), "the mode in memory counts without a command");
            check.equal("VMX-DRV-006", "vectors raised", bench.raised(0), 0u32);
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
        }
    });
}

/// The shared area stays named and is somebody else's memory from then on.
pub(super) fn ipxe_hands_over(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..ipxe() }, |check, bench| {
        ipxe_opens(check, bench);
        bench.to_target();
        serves(check, bench, "VMX-DRV-006");
        bench.command(Command::QuiesceDev);
        bench.command(Command::ResetDev);
        let (pa, bytes) = (bench.layout.base, (bench.layout.end - bench.layout.base) as usize);
        bench.store(pa, &vec![0x6b; bytes]);
        bench.settle();
        bench.seen();
        bench.link(false);
        let frame = bench.to_guest(90);
        bench.offer(&frame);
        bench.write0(Bar0::TxProd(0), 1);
        bench.write1(Bar1::Ecr, ecr::LINK);
        bench.link(true);
        let untouched = bench.image().iter().all(|&byte| byte == 0x6b);
        check.holds("VMX-EVT-003", untouched, "no byte of memory that was given back is written");
        // The kernel that boots has its own structures.
        bench.start();
        serves(check, bench, "VMX-DRV-006");
    });
}

/// Firmware that stops the device and resets nothing, then a kernel with features of its own.
pub(super) fn firmware_and_kernel(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..ipxe() }, |check, bench| {
        ipxe_opens(check, bench);
        bench.to_target();
        serves(check, bench, "VMX-DRV-006");
        bench.command(Command::QuiesceDev);
        bench.config.features = feature::RXCSUM | feature::RXVLAN;
        bench.config.auto_mask = true;
        bench.config.rx_mode = ADDRESSED;
        bench.start();
        serves(check, bench, "VMX-DRV-006");
        let frame = bench.tagged(0x2005, 90);
        bench.offer(&frame);
        bench.settle();
        let got = bench.received(0);
        let stripped = matches!(&got[..], [(_, cell)] if cell.ts() && cell.tci() == 0x2005);
        check.holds("VMX-DRV-006", stripped, "nothing of the firmware's settings is left");
    });
}
