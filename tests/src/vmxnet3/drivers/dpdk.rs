//! DPDK's poll mode driver.

use super::super::offered::BUFFERS;
use super::{info, serves};
use crate::case::{Check, Target};
use crate::rig::{Bench, Setup};
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::parameter::RingBufferSize;
use spec::vmxnet3::shared::CMD_INFO_OFFSET;
use spec::vmxnet3::{Bar0, Bar1, Command, RssFields};

/// Everything from the device's start to the first packet. Source: dpdk vmxnet3_ethdev.c, vmxnet3_dev_start.
fn activates(check: &mut Check, bench: &mut Bench, version: u8) {
    for command in [Command::GetStats, Command::UpdateFeature, Command::UpdateVlanFilters] {
        bench.command(command);
    }
    bench.prepare();
    // Buffers are posted behind ACTIVATE_DEV.
    bench.rx_desc(0, |desc| desc.0[80] = 1);
    bench.tx_desc(0, |desc| desc.0[80] = 1);
    check.equal("VMX-DRV-002", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
    bench.to_target();
    let pa = bench.layout.coalesce;
    info(bench, 24, pa);
    bench.command(Command::RegisterMemregs);
    if version >= 4 {
        bench.put(bench.layout.shared + CMD_INFO_OFFSET, RssFields::DEFAULT.0);
        check.equal("VMX-DRV-002", "answer of SET_RSS_FIELDS", bench.command(Command::SetRssFields), 0u32);
    }
    if version >= 7 {
        bench.put(bench.layout.shared + CMD_INFO_OFFSET, RingBufferSize::default().0);
        bench.command(Command::SetRingBufferSize);
    }
    bench.filter(|filter| {
        filter.set_rx_mode(rx_mode::UCAST | rx_mode::BCAST);
        filter.set_vf_table([u32::MAX; 128]);
    });
    bench.unmask(0);
    bench.command(Command::GetLink);
}

pub(super) fn setup() -> Setup {
    let mut setup = Setup::newest();
    (setup.config.rx_mode_at_activate, setup.config.max_rx_sg) = (false, BUFFERS);
    setup
}

pub(super) fn starts(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, version| {
        for command in [Command::QuiesceDev, Command::GetStats] {
            bench.command(command);
        }
        check.holds("VMX-DRV-002", !bench.wrote(), "what is asked before there is a shared area touches nothing");
        if version >= 7 {
            let capabilities = bench.read1(Bar1::Dcr(0)) & !(1 << 16);
            bench.write1(Bar1::Dcr(0), capabilities);
            let granted = bench.command(Command::GetDcr0Reg);
            check.holds("VMX-DRV-002", granted & !capabilities == 0, "what is granted was asked for");
            bench.write1(Bar1::Dcr(0), 0);
            bench.command(Command::GetMaxCapabilities);
        }
        activates(check, bench, version);
        serves(check, bench, "VMX-DRV-002");
        let frame = bench.tagged(77, 100);
        bench.offer(&frame);
        bench.settle();
        check.equal("VMX-DRV-002", "tagged frames", bench.received(0).len() as u64, 1u32);
    });
}

/// Source: dpdk vmxnet3_ethdev.c, vmxnet3_dev_stop, which withdraws the shared area before RESET_DEV.
pub(super) fn stops_and_starts(check: &mut Check) {
    check.on(Target::Both, &setup(), |check, bench| {
        for _ in 0..3 {
            activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-002");
            bench.write0(Bar0::Imr(0), 1);
            check.equal("VMX-DRV-002", "answer of QUIESCE_DEV", bench.command(Command::QuiesceDev), 0u32);
            bench.set_shared(0);
            check.equal("VMX-DRV-002", "answer of RESET_DEV", bench.command(Command::ResetDev), 0u32);
            bench.settle();
            bench.seen();
            let frame = bench.to_guest(90);
            bench.offer(&frame);
            bench.link(false);
            bench.link(true);
            check.holds("VMX-DRV-002", !bench.wrote(), "a stopped device is quiet");
        }
    });
}
