//! Linux: probe, open, close, reset, a new MTU, suspend, crash and shutdown.

use super::super::offered::BUFFERS;
use super::{info, serves};
use crate::case::{Check, Target};
use crate::rig::{ADDRESSED, Bench, Seen, Setup};
use model::guest::vmxnet3::Layout;
use spec::vmxnet3::answer::Link;
use spec::vmxnet3::parameter::RingBufferSize;
use spec::vmxnet3::shared::{CMD_INFO_OFFSET, PmConf};
use spec::vmxnet3::{Bar0, Bar1, Command, DATA_ENTRY_MAX, RssFields, VariableLenConf};

/// What Linux asks before it opens. Source: linux vmxnet3_drv.c, vmxnet3_probe_device.
pub(super) fn probes(check: &mut Check) {
    check.at_version(Target::Both, &Setup::default(), |check, bench, version| {
        let offered = bench.read1(Bar1::Vrrs);
        check.holds("VMX-REG-003", offered >> (version - 1) & 1 == 1, "the version is offered");
        bench.write1(Bar1::Vrrs, 1 << (version - 1));
        check.equal("VMX-DRV-001", "bit 0 of UVRS", bench.read1(Bar1::Uvrs) & 1, 1u32);
        bench.write1(Bar1::Uvrs, 1);
        if version >= 7 {
            let (can, adapter) = (bench.read1(Bar1::Dcr(0)), bench.read1(Bar1::Ptcr(0)));
            let wanted = can & (adapter | if adapter >> 31 == 1 { u32::MAX } else { 0 });
            bench.write1(Bar1::Dcr(0), wanted);
            let granted = bench.command(Command::GetDcr0Reg);
            check.holds("VMX-DRV-001", granted & !wanted == 0, "no capability is granted that was not asked for");
            bench.write1(Bar1::Dcr(0), 0);
        }
        if version >= 6 {
            let told = bench.command(Command::GetMaxQueuesConf);
            let sane = (told as i32) <= 0 || told & 0xff != 0 && told >> 8 & 0xff != 0;
            check.holds("VMX-DRV-001", sane, "queues are told, or left to the driver");
        }
        let kind = bench.command(Command::GetConfIntr);
        check.holds(
            "VMX-DRV-001",
            kind & 3 != 1 && kind >> 2 & 3 != 2,
            "vectors may be used, and their masking is known",
        );
        let low = bench.read1(Bar1::Macl);
        let high = bench.read1(Bar1::Mach);
        let permanent = bench.permanent();
        let found = [low.to_le_bytes(), high.to_le_bytes()].concat();
        check.holds("VMX-DRV-001", found[..6] == permanent, "the address is the permanent one");
        let link = Link(bench.command(Command::GetLink));
        check.holds("VMX-DRV-001", link.up() && link.mbit(version) >= 1000, "the link is up and has a speed");
        check.holds("VMX-DRV-001", !bench.wrote(), "a probe leaves memory alone");
        bench.start();
        serves(check, bench, "VMX-DRV-001");
    });
}

/// A guest that writes everything that Linux does.
pub(super) fn setup() -> Setup {
    let mut setup = Setup::newest();
    let config = &mut setup.config;
    (config.rx_mode_at_activate, config.max_rx_sg) = (false, BUFFERS);
    setup
}

/// From the activation to the first unmask. Source: linux vmxnet3_drv.c, vmxnet3_activate_dev, vmxnet3_set_mc.
fn activates(check: &mut Check, bench: &mut Bench, version: u8) {
    bench.prepare();
    check.equal("VMX-DRV-001", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
    bench.to_target();
    if version >= 7 {
        let mut sizes = RingBufferSize::default();
        sizes.set_ring1_buf_size_type0(256);
        sizes.set_ring2_buf_size_type1(256);
        bench.put(bench.layout.shared + CMD_INFO_OFFSET, sizes.0);
        bench.command(Command::SetRingBufferSize);
    }
    if version >= 3 {
        let pa = bench.layout.coalesce;
        info(bench, 16, pa);
        bench.command(Command::GetCoalesce);
        info(bench, 16, pa);
        bench.command(Command::SetCoalesce);
    }
    if version >= 4 {
        bench.command(Command::GetRssFields);
        bench.put(bench.layout.shared + CMD_INFO_OFFSET, RssFields::DEFAULT.0);
        bench.command(Command::SetRssFields);
        let fields = bench.command(Command::GetRssFields);
        check.equal("VMX-DRV-001", "RSS fields", fields, RssFields::DEFAULT.0);
    }
    for queue in 0..bench.layout.rx.len() as u8 {
        bench.write0(Bar0::RxProd(queue), 31);
        bench.write0(Bar0::RxProd2(queue), 31);
    }
    let early = bench.to_guest(90);
    check.holds("VMX-DRV-001", bench.refuses(&early), "nothing is received before the mode is set");
    bench.filter(|filter| filter.set_rx_mode(ADDRESSED));
    let up = bench.command(Command::GetLink) & 1;
    check.equal("VMX-DRV-001", "link", up, 1u32);
    (0..bench.config.vector_count()).for_each(|vector| bench.unmask(vector));
}

/// Source: linux vmxnet3_drv.c, vmxnet3_open, which asks for sizes of entries and then activates.
pub(super) fn opens(check: &mut Check) {
    check.at_version(Target::Both, &setup(), |check, bench, version| {
        if version >= 3 {
            let told = bench.command(Command::GetTxdataDescSize);
            let (tx, rx) = (told as u16, (told >> 16) as u16);
            let known = (128..=DATA_ENTRY_MAX).contains(&tx) && tx.is_multiple_of(64);
            bench.tx_data_bytes = if known && tx <= 256 { tx } else { 128 };
            check.holds("VMX-DRV-001", version >= 9 || rx == 0, "RX entries are told from version 9 on");
            check.holds(
                "VMX-DRV-001",
                rx.is_multiple_of(64) && rx <= DATA_ENTRY_MAX,
                "in a size that a driver takes unseen",
            );
        }
        if version >= 9 {
            let sizes = bench.command(Command::GetTsringDescSize);
            check.holds(
                "VMX-DRV-001",
                sizes & 0x3f == 0 && sizes >> 16 & 0x3f == 0,
                "timestamps in steps of 64, or none",
            );
        }
        activates(check, bench, version);
        serves(check, bench, "VMX-DRV-001");
        let told = bench.tx_stats(0).ucast_pkts_tx_ok();
        check.equal("VMX-DRV-001", "packets counted", told, 2u32);
    });
}

/// Source: linux vmxnet3_drv.c, vmxnet3_quiesce_dev, which masks behind it.
fn quiesces(check: &mut Check, bench: &mut Bench) {
    check.equal("VMX-DRV-001", "answer of QUIESCE_DEV", bench.command(Command::QuiesceDev), 0u32);
    for vector in 0..bench.config.vector_count() {
        bench.write0(Bar0::Imr(vector), 1);
    }
    bench.settle();
    bench.seen();
}

/// The rings are freed the moment the command ends: somebody else writes there then.
fn freed(bench: &mut Bench) {
    let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
    for (pa, cells) in
        [(tx.ring, tx.ring_size), (tx.comp, tx.comp_size), (rx.ring[0], rx.ring_size[0]), (rx.comp, rx.comp_size)]
    {
        bench.store(pa, &vec![0x6b; cells as usize * 16]);
    }
}

pub(super) fn closes_and_opens(check: &mut Check) {
    check.on(Target::Both, &setup(), |check, bench| {
        for _ in 0..3 {
            activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-001");
            quiesces(check, bench);
            freed(bench);
            let before = bench.image();
            let late = bench.to_guest(90);
            bench.offer(&late);
            bench.write0(Bar0::TxProd(0), 3);
            bench.link(false);
            bench.link(true);
            check.holds("VMX-DRV-001", bench.image() == before, "memory that was freed is left alone");
        }
    });
}

pub(super) fn resets(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..setup() }, |check, bench| {
        for _ in 0..2 {
            activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-001");
            let mut last = 0;
            for _ in 0..32 {
                let desc = bench.piece(0, &[0; 64]);
                last = bench.post_cell(0, desc);
            }
            bench.write0(Bar0::TxProd(0), last);
            bench.settle();
            bench.write1(Bar1::Ecr, bench.events());
            bench.command(Command::GetQueueStatus);
            quiesces(check, bench);
            check.equal("VMX-EVT-005", "answer of RESET_DEV", bench.command(Command::ResetDev), 0u32);
        }
        activates(check, bench, 1);
        serves(check, bench, "VMX-EVT-005");
    });
}

pub(super) fn changes_mtu(check: &mut Check) {
    let mut setup = Setup { bytes: 256 << 10, ..setup() };
    setup.config.tx_buffer_bytes = 2048;
    check.on(Target::Both, &setup, |check, bench| {
        activates(check, bench, 1);
        for mtu in [1400, 60, 1500] {
            quiesces(check, bench);
            bench.command(Command::ResetDev);
            bench.config.mtu = mtu;
            activates(check, bench, 1);
            let frame = bench.to_guest(mtu as usize + 14);
            check.holds("VMX-DRV-001", bench.receives(&frame), "frames of the new MTU are received");
            serves(check, bench, "VMX-DRV-001");
        }
    });
}

/// Suspend masks, hands over wake-up patterns and switches DMA off without a QUIESCE_DEV; resume stops, resets and activates. The
/// number of patterns is too large by as many as there are RX queues, as Linux has it. Source: linux vmxnet3_drv.c, vmxnet3_suspend.
pub(super) fn suspends(check: &mut Check) {
    check.on(Target::Both, &Setup { bytes: 160 << 10, ..setup() }, |check, bench| {
        activates(check, bench, 1);
        serves(check, bench, "VMX-DRV-001");
        for (events, count) in [(3u16, 1u8), (2, 7), (1, 0), (u16::MAX, u8::MAX)] {
            (0..bench.config.vector_count()).for_each(|vector| bench.write0(Bar0::Imr(vector), 1));
            let pa = bench.layout.end.next_multiple_of(8);
            let mut patterns = PmConf([0xff; PmConf::LAYOUT.bytes()]);
            patterns.set_wake_up_events(events);
            patterns.set_num_filters(count);
            bench.put(pa, patterns);
            bench.shared(|shared| {
                let mut desc = VariableLenConf::default();
                desc.set_conf_ver(1);
                desc.set_conf_len(PmConf::LAYOUT.bytes() as u32);
                desc.set_conf_pa(pa);
                shared.set_pm_conf_desc(desc);
            });
            check.equal("VMX-LIF-008", "answer of UPDATE_PMCFG", bench.command(Command::UpdatePmcfg), 0u32);
            bench.settle();
            check.holds("VMX-LIF-008", bench.serves(), "whatever wakes it, what is received before is received");
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
            activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-001");
        }
    });
}

/// The kernel that runs behind a crash has other memory, and stops nothing before it activates.
pub(super) fn crashes(check: &mut Check) {
    let setup = Setup { bytes: 256 << 10, judged: false, ..setup() };
    check.on(Target::Both, &setup, |check, bench| {
        activates(check, bench, 1);
        serves(check, bench, "VMX-DRV-001");
        let old = bench.layout.clone();
        let begin = old.end.next_multiple_of(4096);
        let Ok(new) = Layout::plan(&bench.config.clone(), begin, 128 << 10) else { return };
        bench.layout = new;
        bench.write1(Bar1::Vrrs, 1);
        bench.write1(Bar1::Uvrs, 1);
        activates(check, bench, 1);
        bench.seen();
        serves(check, bench, "VMX-DRV-001");
        let inside = |seen: &Seen| match *seen {
            Seen::Write(pa, _) => (old.base..old.end).contains(&pa),
            _ => false,
        };
        check.holds("VMX-ACT-014", !bench.seen().iter().any(inside), "memory of the kernel that crashed is left alone");
    });
}

pub(super) fn is_shut_down(check: &mut Check) {
    check.on(Target::Both, &setup(), |check, bench| {
        activates(check, bench, 1);
        serves(check, bench, "VMX-DRV-001");
        quiesces(check, bench);
        for vector in 0..bench.config.vector_count() {
            check.equal("VMX-DRV-001", "IMR", bench.read0(Bar0::Imr(vector)), 1u32);
        }
        let frame = bench.to_guest(90);
        bench.offer(&frame);
        bench.settle();
        let silent = (0..8).all(|vector| bench.raised(vector) == 0);
        check.holds("VMX-DRV-001", silent && !bench.wrote(), "a device that was shut down is quiet");
    });
}
