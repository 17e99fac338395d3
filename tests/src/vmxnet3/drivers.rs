//! What each public driver says to the device, in its order, from probe to the last command: a device that serves one of them has to
//! get through its conversation. Where a driver works by the interface version there is a case a version.

use super::offered::{BUFFERS, by_version};
use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, Bench, Seen, Setup};
use model::guest::vmxnet3::Layout;
use spec::profile::Deviation;
use spec::vmxnet3::answer::Link;
use spec::vmxnet3::command::{ecr, feature, rx_mode};
use spec::vmxnet3::parameter::RingBufferSize;
use spec::vmxnet3::shared::{CMD_INFO_OFFSET, PmConf};
use spec::vmxnet3::{Bar0, Bar1, Command, DATA_ENTRY_MAX, RssFields, VariableLenConf};

/// A device that forgets the address written before ACTIVATE_DEV serves no driver that has another than the permanent one.
const ADDRESS: &[Deviation] = &[Deviation::ActivateRestoresMac];

/// The conversations that do not depend on the version.
pub(crate) const CASES: &[Case] = &[
    Case::new("linux-closes-and-opens", &["VMX-DRV-001"], linux_closes_and_opens),
    Case::new("linux-resets-behind-an-error", &["VMX-DRV-001", "VMX-EVT-005"], linux_resets),
    Case::new("linux-changes-its-mtu", &["VMX-DRV-001"], linux_changes_mtu),
    Case::new("linux-suspends-and-resumes", &["VMX-DRV-001", "VMX-LIF-008"], linux_suspends),
    Case::new("linux-crashes-and-dumps", &["VMX-DRV-001", "VMX-ACT-014"], linux_crashes),
    Case::new("linux-is-shut-down", &["VMX-DRV-001"], linux_is_shut_down).unless(&[Deviation::InactiveBar0Dropped]),
    Case::new("dpdk-stops-and-starts", &["VMX-DRV-002"], dpdk_stops_and_starts),
    Case::new("freebsd-starts-and-stops", &["VMX-DRV-003"], freebsd),
    Case::new("openbsd-attaches-once", &["VMX-DRV-004"], openbsd_attaches_once),
    Case::new("openbsd-changes-its-mtu", &["VMX-DRV-004", "VMX-LIF-002"], openbsd_changes_mtu),
    Case::new("openbsd-resets-behind-an-error", &["VMX-DRV-004", "VMX-LIF-003"], openbsd_resets)
        .unless(&[Deviation::ResetForgetsShared]),
    Case::new("illumos-gives-every-buffer", &["VMX-DRV-005"], illumos).unless(ADDRESS),
    Case::new("ipxe-boots", &["VMX-DRV-006"], ipxe_boots),
    Case::new("ipxe-hands-over-to-a-kernel", &["VMX-DRV-006", "VMX-EVT-003"], ipxe_hands_over),
    Case::new("vpp-probes-and-activates", &["VMX-DRV-007"], vpp),
    Case::new("edk2-and-then-a-kernel", &["VMX-DRV-006"], firmware_and_kernel).unless(&[Deviation::ZeroVlanTableDrops]),
];

/// The conversations of drivers that ask for versions.
pub(crate) const BY_VERSION: &[Case] = by_version! {
    "linux-probes", [1 2 3 4 5 6 7 8 9], &["VMX-DRV-001", "VMX-REG-003"], &[], &[], linux_probes;
    "linux-opens", [1 2 3 4 5 6 7 8 9], &["VMX-DRV-001"], &[], &[], linux_opens;
    "dpdk-starts", [1 2 3 4 5 6 7], &["VMX-DRV-002"], &[], &[], dpdk_starts;
    "answers-known", [1 2 3 4 5 6 7 8 9], &["VMX-VER-006", "VMX-VER-001"], &[Deviation::CmdReadRecomputes], &[], answers_known;
};

/// A frame each way on every queue, twice.
fn serves(check: &mut Check, bench: &mut Bench, clause: &'static str) {
    check.holds(clause, bench.serves() && bench.serves(), "traffic flows");
}

/// What Linux asks before it opens. Source: linux vmxnet3_drv.c, vmxnet3_probe_device.
fn linux_probes(check: &mut Check) {
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

/// Sets cmdInfo.
fn info(bench: &mut Bench, len: u32, pa: u64) {
    let mut words = VariableLenConf::default();
    words.set_conf_ver(1);
    words.set_conf_len(len);
    words.set_conf_pa(pa);
    bench.shared(|shared| shared.set_cmd_info(words.0));
}

/// A guest that writes everything that Linux does.
fn linux() -> Setup {
    let mut setup = Setup::newest();
    let config = &mut setup.config;
    (config.rx_mode_at_activate, config.max_rx_sg) = (false, BUFFERS);
    setup
}

/// From the activation to the first unmask. Source: linux vmxnet3_drv.c, vmxnet3_activate_dev, vmxnet3_set_mc.
fn linux_activates(check: &mut Check, bench: &mut Bench, version: u8) {
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
fn linux_opens(check: &mut Check) {
    check.at_version(Target::Both, &linux(), |check, bench, version| {
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
        linux_activates(check, bench, version);
        serves(check, bench, "VMX-DRV-001");
        let told = bench.tx_stats(0).ucast_pkts_tx_ok();
        check.equal("VMX-DRV-001", "packets counted", told, 2u32);
    });
}

/// Source: linux vmxnet3_drv.c, vmxnet3_quiesce_dev, which masks behind it.
fn linux_quiesces(check: &mut Check, bench: &mut Bench) {
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

fn linux_closes_and_opens(check: &mut Check) {
    check.on(Target::Both, &linux(), |check, bench| {
        for _ in 0..3 {
            linux_activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-001");
            linux_quiesces(check, bench);
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

fn linux_resets(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..linux() }, |check, bench| {
        for _ in 0..2 {
            linux_activates(check, bench, 1);
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
            linux_quiesces(check, bench);
            check.equal("VMX-EVT-005", "answer of RESET_DEV", bench.command(Command::ResetDev), 0u32);
        }
        linux_activates(check, bench, 1);
        serves(check, bench, "VMX-EVT-005");
    });
}

fn linux_changes_mtu(check: &mut Check) {
    let mut setup = Setup { bytes: 256 << 10, ..linux() };
    setup.config.tx_buffer_bytes = 2048;
    check.on(Target::Both, &setup, |check, bench| {
        linux_activates(check, bench, 1);
        for mtu in [1400, 60, 1500] {
            linux_quiesces(check, bench);
            bench.command(Command::ResetDev);
            bench.config.mtu = mtu;
            linux_activates(check, bench, 1);
            let frame = bench.to_guest(mtu as usize + 14);
            check.holds("VMX-DRV-001", bench.receives(&frame), "frames of the new MTU are received");
            serves(check, bench, "VMX-DRV-001");
        }
    });
}

/// Suspend masks, hands over wake-up patterns and switches DMA off without a QUIESCE_DEV; resume stops, resets and activates. The
/// number of patterns is too large by as many as there are RX queues, as Linux has it. Source: linux vmxnet3_drv.c, vmxnet3_suspend.
fn linux_suspends(check: &mut Check) {
    check.on(Target::Both, &Setup { bytes: 160 << 10, ..linux() }, |check, bench| {
        linux_activates(check, bench, 1);
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
            linux_activates(check, bench, 1);
            serves(check, bench, "VMX-DRV-001");
        }
    });
}

/// The kernel that runs behind a crash has other memory, and stops nothing before it activates.
fn linux_crashes(check: &mut Check) {
    let setup = Setup { bytes: 256 << 10, judged: false, ..linux() };
    check.on(Target::Both, &setup, |check, bench| {
        linux_activates(check, bench, 1);
        serves(check, bench, "VMX-DRV-001");
        let old = bench.layout.clone();
        let begin = old.end.next_multiple_of(4096);
        let Ok(new) = Layout::plan(&bench.config.clone(), begin, 128 << 10) else { return };
        bench.layout = new;
        bench.write1(Bar1::Vrrs, 1);
        bench.write1(Bar1::Uvrs, 1);
        linux_activates(check, bench, 1);
        bench.seen();
        serves(check, bench, "VMX-DRV-001");
        let inside = |seen: &Seen| match *seen {
            Seen::Write(pa, _) => (old.base..old.end).contains(&pa),
            _ => false,
        };
        check.holds("VMX-ACT-014", !bench.seen().iter().any(inside), "memory of the kernel that crashed is left alone");
    });
}

fn linux_is_shut_down(check: &mut Check) {
    check.on(Target::Both, &linux(), |check, bench| {
        linux_activates(check, bench, 1);
        serves(check, bench, "VMX-DRV-001");
        linux_quiesces(check, bench);
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

/// Everything from the device's start to the first packet. Source: dpdk vmxnet3_ethdev.c, vmxnet3_dev_start.
fn dpdk_activates(check: &mut Check, bench: &mut Bench, version: u8) {
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

fn dpdk() -> Setup {
    let mut setup = Setup::newest();
    (setup.config.rx_mode_at_activate, setup.config.max_rx_sg) = (false, BUFFERS);
    setup
}

fn dpdk_starts(check: &mut Check) {
    check.at_version(Target::Both, &dpdk(), |check, bench, version| {
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
        dpdk_activates(check, bench, version);
        serves(check, bench, "VMX-DRV-002");
        let frame = bench.tagged(77, 100);
        bench.offer(&frame);
        bench.settle();
        check.equal("VMX-DRV-002", "tagged frames", bench.received(0).len() as u64, 1u32);
    });
}

/// Source: dpdk vmxnet3_ethdev.c, vmxnet3_dev_stop, which withdraws the shared area before RESET_DEV.
fn dpdk_stops_and_starts(check: &mut Check) {
    check.on(Target::Both, &dpdk(), |check, bench| {
        for _ in 0..3 {
            dpdk_activates(check, bench, 1);
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

/// TX completions on a vector that is not enabled, doorbells of 0, cq now and then. Source: freebsd if_vmx.c.
fn freebsd(check: &mut Check) {
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
fn openbsd(bench: &mut Bench) {
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

fn openbsd_attaches_once(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        openbsd(bench);
        for _ in 0..4 {
            openbsd_init(check, bench);
            bench.write0(Bar0::Imr(0), 1);
            check.equal("VMX-DRV-004", "answer of QUIESCE_DEV", bench.command(Command::QuiesceDev), 0u32);
        }
    });
}

fn openbsd_changes_mtu(check: &mut Check) {
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

fn openbsd_resets(check: &mut Check) {
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
fn illumos(check: &mut Check) {
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

fn ipxe() -> Setup {
    let mut setup = Setup::default();
    let config = &mut setup.config;
    (config.auto_mask, config.features) = (false, 0);
    config.rx_mode = rx_mode::UCAST | rx_mode::BCAST | rx_mode::ALL_MULTI;
    (config.rx_ring[1], config.rx_comp) = (0, 64);
    setup
}

fn ipxe_boots(check: &mut Check) {
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
fn ipxe_hands_over(check: &mut Check) {
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

/// Source: vpp vmxnet3.c, vmxnet3_device_init, vmxnet3_create_if.
fn vpp(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.auto_mask = false;
    check.on(Target::Both, &setup, |check, bench| {
        for command in [Command::QuiesceDev, Command::ResetDev] {
            check.equal("VMX-DRV-007", "answer before there is a shared area", bench.command(command), 0u32);
        }
        let link = Link(bench.command(Command::GetLink));
        check.holds("VMX-DRV-007", link.up(), "the link is up");
        bench.prepare();
        check.equal("VMX-DRV-007", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        bench.filter(|filter| filter.set_rx_mode(ADDRESSED | rx_mode::PROMISC));
        bench.write0(Bar0::Imr(0), 0);
        for _ in 0..10 {
            serves(check, bench, "VMX-DRV-007");
        }
        bench.command(Command::QuiesceDev);
        bench.command(Command::ResetDev);
    });
}

/// Firmware that stops the device and resets nothing, then a kernel with features of its own.
fn firmware_and_kernel(check: &mut Check) {
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

/// What a device of the version answers to each command that only asks; those of later versions answer 0.
fn answers_known(check: &mut Check) {
    check.at_version(Target::Both, &Setup::default(), |check, bench, version| {
        let profile = bench.profile();
        let link = profile.link(version).0;
        let sizes = profile.data_sizes(version).0;
        for round in 0..2 {
            for (command, answer) in [
                (Command::GetLink, link),
                (Command::GetTxdataDescSize, sizes),
                (Command::GetRssFields, RssFields::DEFAULT.0),
                (Command::GetMaxQueuesConf, profile.max_queues(version).0),
                (Command::GetDcr0Reg, 0),
                (Command::GetMaxCapabilities, profile.answers.capabilities),
                (Command::GetTsringDescSize, profile.answers.timestamp_bytes),
                (Command::GetDisabledOffloads, profile.answers.disabled_offloads),
            ] {
                check.holds("VMX-VER-006", bench.command(Command::GetPermMacLo) != 0, "another answer stands before");
                let known = command.since() <= version;
                let clause = if known { "VMX-VER-006" } else { "VMX-VER-001" };
                check.equal(clause, "answer", bench.command(command), if known { answer } else { 0 });
            }
            if round == 0 {
                bench.start();
            }
        }
        check.holds("VMX-VER-006", bench.serves(), "traffic flows");
    });
}
