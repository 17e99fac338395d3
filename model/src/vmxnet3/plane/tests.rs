//! One rule, one example; then: no registers, commands or shared memory break the plane.

use super::*;
use crate::host::Bare;
use crate::memory::Memory;
use crate::plane::RxDataRing;
use crate::vmxnet3::Body;
use proptest::prelude::*;
use spec::layout::Bytes;
use spec::profile::Answers;
use spec::profile::Offer;
use spec::vmxnet3::command::{QueueError, feature, rx_mode};
use spec::vmxnet3::shared::CMD_INFO_OFFSET;
use spec::vmxnet3::{DriverShared, MAGIC, RssConf, RxQueueDesc, RxStats, TxQueueDesc, TxStats, VariableLenConf};

const PERMANENT: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const SHARED: u64 = 0x1000;
const QUEUES: u64 = 0x2000;
const LIST: u64 = 0x3000;
const RSS: u64 = 0x3100;
const END: u64 = 0x4000;
const DPDK_PRESET: u8 = 1;

/// A driver's memory: a shared area for one TX and two RX queues, queue descriptors, tables.
struct Rig {
    plane: Plane,
    host: Bare,
}

impl Rig {
    fn new(profile: &'static Profile) -> Self {
        let mut host = Bare::new(Memory::new(&[(0, END as usize)]));
        let mut shared = DriverShared::default();
        shared.set_magic(MAGIC);
        let mut misc = shared.misc();
        misc.set_queue_desc_pa(QUEUES);
        misc.set_mtu(1500);
        misc.set_num_tx_queues(1);
        misc.set_num_rx_queues(2);
        misc.set_upt_features(feature::RSS | feature::RXINNEROFLD | 1 << 60);
        shared.set_misc(misc);
        let mut interrupts = shared.intr_conf();
        interrupts.set_auto_mask(1);
        interrupts.set_event_intr_idx(2);
        shared.set_intr_conf(interrupts);
        let mut filter = shared.rx_filter_conf();
        filter.set_rx_mode(rx_mode::UCAST);
        filter.set_mf_table_len(13);
        filter.set_mf_table_pa(LIST);
        shared.set_rx_filter_conf(filter);
        let mut at = VariableLenConf::default();
        at.set_conf_len(RssConf::SIZE as u32);
        at.set_conf_pa(RSS);
        shared.set_rss_conf_desc(at);
        host.memory.write(SHARED, &shared.0[..720]).unwrap();
        host.memory.write(LIST, &[1, 0, 0x5e, 0, 0, 1, 1, 0, 0x5e, 0, 0, 2, 0xff]).unwrap();
        let mut rss = RssConf::default();
        rss.set_hash_type(1);
        rss.set_hash_func(1);
        rss.set_hash_key_size(40);
        rss.set_ind_table_size(2);
        rss.set_ind_table(core::array::from_fn(|i| i as u8));
        host.memory.put(RSS, rss).unwrap();
        let mut tx = TxQueueDesc::default();
        let mut conf = tx.conf();
        conf.set_tx_ring_base_pa(0x10_0000);
        conf.set_comp_ring_base_pa(0x11_0000);
        conf.set_tx_ring_size(32);
        conf.set_comp_ring_size(32);
        conf.set_intr_idx(200);
        tx.set_conf(conf);
        tx.0[80] = DPDK_PRESET;
        host.memory.put(QUEUES, tx).unwrap();
        for queue in 1..3 {
            let mut rx = RxQueueDesc::default();
            let mut conf = rx.conf();
            conf.set_rx_ring_base_pa([0x12_0000, 0x77]);
            conf.set_comp_ring_base_pa(0x13_0000);
            conf.set_rx_ring_size([64, 0]);
            conf.set_comp_ring_size(64);
            rx.set_conf(conf);
            rx.0[0] = 1;
            rx.0[80] = DPDK_PRESET;
            host.memory.put(QUEUES + 256 * queue, rx).unwrap();
        }
        Self { plane: Plane::new(profile, PERMANENT), host }
    }

    fn active(profile: &'static Profile) -> Self {
        let mut rig = Self::new(profile);
        rig.set_shared(SHARED);
        assert_eq!(rig.command(Command::ActivateDev), 0);
        rig
    }

    /// Writes a register, a data plane with nothing to tell answering.
    fn write(&mut self, reg: Bar1, value: u32) -> Option<Request> {
        let request = self.plane.write(reg, value, &mut self.host);
        if let Some(request) = &request {
            let mut reply = Reply::Done;
            if *request == Request::Counters {
                let mut stats = (TxStats::default(), RxStats::default());
                stats.0.set_ucast_pkts_tx_ok(5);
                stats.1.set_bcast_pkts_rx_ok(6);
                let stopped = Some(QueueError::NoEop);
                reply = Reply::Counters { tx: vec![(stats.0, stopped)], rx: vec![(stats.1, None); 2] };
            }
            self.plane.finish(reply, &mut self.host);
        }
        request
    }

    fn set_shared(&mut self, pa: u64) {
        self.write(Bar1::Dsal, pa as u32);
        self.write(Bar1::Dsah, (pa >> 32) as u32);
    }

    fn read(&mut self, reg: Bar1) -> u32 {
        self.plane.read(reg, 0, &mut self.host)
    }

    fn command(&mut self, command: Command) -> u32 {
        self.write(Bar1::Cmd, command.code());
        self.read(Bar1::Cmd)
    }

    fn shared(&mut self, change: impl FnOnce(&mut DriverShared)) {
        let mut shared: DriverShared = self.host.memory.get(SHARED).unwrap();
        change(&mut shared);
        self.host.memory.put(SHARED, shared).unwrap();
    }
}

#[test]
fn activation_copies_the_configuration() {
    let rig = Rig::active(&Profile::REFERENCE);
    let activation = rig.plane.activation().unwrap();
    assert_eq!((activation.tx.len(), activation.rx.len(), activation.mtu), (1, 2, 1500));
    assert_eq!(activation.tx[0].vector, 200);
    assert_eq!((activation.rx[0].ring_pa, activation.rx[0].ring_size), ([0x12_0000, 0], [64, 0]));
    assert_eq!(activation.features, feature::RSS);
    assert_eq!(activation.filters.multicast, [[1, 0, 0x5e, 0, 0, 1], [1, 0, 0x5e, 0, 0, 2]]);
    assert_eq!(activation.filters.mac, PERMANENT);
    assert_eq!(activation.rss.as_ref().map(|rss| rss.table.clone()), Some(vec![0, 1]));
    assert!(activation.auto_mask && rig.plane.is_active());
}

#[test]
fn activation_tells_the_driver_its_threshold_and_that_queues_run() {
    for (profile, rx_prod, stopped) in [(&Profile::REFERENCE, 0, 0), (&Profile::QEMU_11_1, 1, DPDK_PRESET)] {
        let rig = Rig::active(profile);
        let tx: TxQueueDesc = rig.host.memory.get(QUEUES).unwrap();
        assert_eq!((tx.ctrl().tx_threshold(), tx.status().stopped()), (1, stopped));
        for queue in 1..3 {
            let rx: RxQueueDesc = rig.host.memory.get(QUEUES + 256 * queue).unwrap();
            assert_eq!((rx.ctrl().update_rx_prod(), rx.status().stopped()), (rx_prod, stopped));
        }
    }
}

#[test]
fn a_bad_shared_area_is_refused_without_a_trace() {
    let put = |host: &mut Bare, pa: u64, bytes: &[u8]| host.memory.write(pa, bytes).unwrap();
    let conf = QUEUES + 16;
    let rx = QUEUES + 256 + 16;
    let faults: &[(&str, u64, &[u8])] = &[
        ("magic", SHARED, &[0]),
        ("no tx queue", SHARED + 62, &[0]),
        ("nine tx queues", SHARED + 62, &[9]),
        ("no rx queue", SHARED + 63, &[0]),
        ("nine rx queues", SHARED + 63, &[9]),
        ("mtu 59", SHARED + 56, &[59, 0]),
        ("mtu 9001", SHARED + 56, &[0x29, 0x23]),
        ("queue table out of reach", SHARED + 40, &[0, 0, 0, 0, 0, 0, 0, 0x80]),
        ("queue table wraps", SHARED + 40, &[0xff; 8]),
        ("tx ring size 0", conf + 40, &[0]),
        ("tx ring size 33", conf + 40, &[33]),
        ("tx ring size 4128", conf + 40, &[0x20, 0x10]),
        ("tx ring size 2^31", conf + 43, &[0x80]),
        ("tx ring unaligned", conf, &[0x10]),
        ("tx ring wraps", conf, &[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("tx completions 0", conf + 48, &[0]),
        ("rx ring size 0", rx + 40, &[0]),
        ("rx ring 1 size 31", rx + 44, &[31]),
        ("rx ring 1 unaligned", rx + 44, &[32]),
        ("rx completions 8224", rx + 48, &[0x20, 0x20]),
    ];
    for (what, pa, bytes) in faults {
        let mut rig = Rig::new(&Profile::REFERENCE);
        put(&mut rig.host, *pa, bytes);
        rig.set_shared(SHARED);
        let before = (rig.host.clone(), rig.plane.clone());
        assert_ne!(rig.command(Command::ActivateDev), 0, "{what}");
        assert_eq!(rig.host, before.0, "{what}");
        let mut after = rig.plane.state().clone();
        (after.last_command, after.result) = (0, 0);
        assert_eq!(after, *before.1.state(), "{what}");
    }
    let mut rig = Rig::new(&Profile::REFERENCE);
    assert_ne!(rig.command(Command::ActivateDev), 0, "no shared area");
}

#[test]
fn limits_are_inclusive_and_720_bytes_of_shared_area_suffice() {
    let mut rig = Rig::new(&Profile::REFERENCE);
    let end = END - 720;
    let bytes = rig.host.memory.bytes(SHARED, 720).unwrap().to_vec();
    rig.host.memory.write(end, &bytes).unwrap();
    rig.host.memory.write(end + 56, &9000u32.to_le_bytes()).unwrap();
    rig.host.memory.write(QUEUES + 56, &4096u32.to_le_bytes()).unwrap();
    rig.host.memory.write(QUEUES + 256 + 64, &8192u32.to_le_bytes()).unwrap();
    rig.set_shared(end);
    assert_eq!(rig.command(Command::ActivateDev), 0);
}

#[test]
fn rss_that_is_not_whole_is_none() {
    let faults: &[(u64, &[u8])] = &[
        (SHARED + 652, &[175]),
        (SHARED + 656, &[0, 0, 0, 0x70]),
        (RSS + 2, &[0]),
        (RSS + 4, &[41]),
        (RSS + 6, &[0]),
        (RSS + 6, &[129]),
        (SHARED + 24, &[0]),
    ];
    for (pa, bytes) in faults {
        let mut rig = Rig::new(&Profile::REFERENCE);
        rig.host.memory.write(*pa, bytes).unwrap();
        rig.set_shared(SHARED);
        assert_eq!(rig.command(Command::ActivateDev), 0);
        assert_eq!(rig.plane.activation().unwrap().rss, None);
    }
}

#[test]
fn activation_while_active_starts_anew_and_a_refused_one_stops() {
    let mut rig = Rig::active(&Profile::REFERENCE);
    rig.shared(|shared| {
        let mut misc = shared.misc();
        misc.set_mtu(9000);
        shared.set_misc(misc);
    });
    assert!(matches!(rig.write(Bar1::Cmd, Command::ActivateDev.code()), Some(Request::Start(_))));
    assert_eq!(rig.plane.activation().unwrap().mtu, 9000);
    rig.shared(|shared| shared.set_magic(0));
    assert_eq!(rig.write(Bar1::Cmd, Command::ActivateDev.code()), Some(Request::Stop));
    assert_eq!((rig.read(Bar1::Cmd), rig.plane.is_active()), (REFUSED, false));
}

#[test]
fn the_shared_address_survives_quiesce_and_reset_except_on_qemu() {
    for (profile, kept) in [(&Profile::REFERENCE, SHARED), (&Profile::QEMU_11_1, 0)] {
        let mut rig = Rig::active(profile);
        assert_eq!(rig.write(Bar1::Cmd, Command::QuiesceDev.code()), Some(Request::Stop));
        assert_eq!(rig.plane.state().shared_pa, SHARED);
        assert_eq!(rig.write(Bar1::Cmd, Command::ResetDev.code()), Some(Request::Reset));
        assert_eq!((rig.read(Bar1::Cmd), rig.plane.state().shared_pa), (0, kept));
        assert_eq!(rig.command(Command::ActivateDev) == 0, kept != 0);
    }
}

#[test]
fn the_shared_address_takes_effect_at_its_high_half_and_a_new_one_stops_the_device() {
    let mut rig = Rig::active(&Profile::REFERENCE);
    assert_eq!(rig.write(Bar1::Dsal, 0), None);
    assert_eq!(rig.plane.state().shared_pa, SHARED);
    assert_eq!(rig.write(Bar1::Dsah, 0), Some(Request::Stop));
    assert!(!rig.plane.is_active());
    assert_eq!((rig.read(Bar1::Dsal), rig.read(Bar1::Dsah)), (0, 0));
}

#[test]
fn a_mac_takes_effect_at_its_high_half_and_outlives_activation_except_on_qemu() {
    let mut rig = Rig::new(&Profile::REFERENCE);
    rig.write(Bar1::Macl, 0x4433_2202);
    assert_eq!(rig.read(Bar1::Macl), 0x1200_5452);
    assert_eq!(rig.write(Bar1::Mach, 0xffff_6655), None);
    assert_eq!((rig.read(Bar1::Macl), rig.read(Bar1::Mach)), (0x4433_2202, 0x6655));
    rig.set_shared(SHARED);
    rig.command(Command::ActivateDev);
    assert_eq!(rig.plane.activation().unwrap().filters.mac, [2, 0x22, 0x33, 0x44, 0x55, 0x66]);
    assert!(matches!(rig.write(Bar1::Mach, 0), Some(Request::Filters(_))));
    assert_eq!((rig.command(Command::GetPermMacLo), rig.command(Command::GetPermMacHi)), (0x1200_5452, 0x5634));

    let mut rig = Rig::new(&Profile::QEMU_11_1);
    rig.write(Bar1::Macl, 0x4433_2202);
    rig.write(Bar1::Mach, 0x6655);
    rig.set_shared(SHARED);
    rig.command(Command::ActivateDev);
    assert_eq!(rig.read(Bar1::Macl), 0x1200_5452);
}

#[test]
fn updates_read_their_own_part_while_active_and_nothing_otherwise() {
    let change = |rig: &mut Rig| {
        rig.shared(|shared| {
            let mut filter = shared.rx_filter_conf();
            filter.set_rx_mode(rx_mode::PROMISC);
            filter.set_mf_table_len(6);
            filter.set_vf_table([7; 128]);
            shared.set_rx_filter_conf(filter);
            let mut misc = shared.misc();
            misc.set_upt_features(feature::RXVLAN);
            shared.set_misc(misc);
        });
        rig.host.memory.write(RSS + 48, &[9, 9]).unwrap();
    };
    let updates = [
        Command::UpdateRxMode,
        Command::UpdateMacFilters,
        Command::UpdateVlanFilters,
        Command::UpdateRssidt,
        Command::UpdateFeature,
        Command::UpdateIml,
        Command::UpdatePmcfg,
    ];
    let mut rig = Rig::active(&Profile::REFERENCE);
    change(&mut rig);
    let mut expected = rig.plane.activation().unwrap().clone();
    for command in updates {
        let request = rig.write(Bar1::Cmd, command.code());
        match command {
            Command::UpdateRxMode => expected.filters.rx_mode = rx_mode::PROMISC,
            Command::UpdateMacFilters => expected.filters.multicast.truncate(1),
            Command::UpdateVlanFilters => expected.filters.vlans = [7; 128],
            Command::UpdateRssidt => expected.rss.as_mut().unwrap().table = vec![9, 9],
            Command::UpdateFeature => expected.features = feature::RXVLAN,
            _ => assert_eq!(request, None),
        }
        assert_eq!(rig.plane.activation(), Some(&expected), "{}", command.name());
    }
    let mut rig = Rig::new(&Profile::REFERENCE);
    for shared in [0, SHARED] {
        rig.set_shared(shared);
        let before = rig.host.clone();
        for command in updates.into_iter().chain([Command::GetStats, Command::GetQueueStatus]) {
            assert_eq!(rig.write(Bar1::Cmd, command.code()), None);
            assert_eq!((rig.read(Bar1::Cmd), &rig.host), (0, &before));
        }
    }
}

#[test]
fn statistics_and_status_are_written_to_every_queue() {
    let mut rig = Rig::active(&Profile::REFERENCE);
    assert_eq!(rig.command(Command::GetStats), 0);
    assert_eq!(rig.command(Command::GetQueueStatus), 0);
    let tx: TxQueueDesc = rig.host.memory.get(QUEUES).unwrap();
    assert_eq!(tx.stats().ucast_pkts_tx_ok(), 5);
    assert_eq!((tx.status().stopped(), tx.status().error()), (1, 0x8000_0000));
    for queue in 1..3 {
        let rx: RxQueueDesc = rig.host.memory.get(QUEUES + 256 * queue).unwrap();
        assert_eq!((rx.stats().bcast_pkts_rx_ok(), rx.status().stopped()), (6, 0));
    }
    let mut rig = Rig::active(&Profile::QEMU_11_1);
    assert_eq!(rig.write(Bar1::Cmd, Command::GetQueueStatus.code()), None);
}

#[test]
fn events_accumulate_until_cleared_and_only_while_active() {
    let mut rig = Rig::active(&Profile::REFERENCE);
    assert_eq!(rig.plane.set_link(false, &mut rig.host), Some(Request::Raise(2)));
    assert_eq!(rig.plane.set_link(false, &mut rig.host), None);
    assert_eq!(rig.plane.event(ecr::TQERR, &mut rig.host), Some(Request::Raise(2)));
    assert_eq!(rig.read(Bar1::Ecr), ecr::LINK | ecr::TQERR);
    rig.write(Bar1::Ecr, ecr::LINK | ecr::DIC);
    assert_eq!(rig.read(Bar1::Ecr), ecr::TQERR);
    rig.command(Command::QuiesceDev);
    let before = rig.host.clone();
    assert_eq!(rig.plane.set_link(true, &mut rig.host), None);
    rig.write(Bar1::Ecr, ecr::TQERR);
    assert_eq!((rig.read(Bar1::Ecr), &rig.host), (0, &before));

    let mut rig = Rig::active(&Profile::QEMU_11_1);
    rig.plane.set_link(false, &mut rig.host);
    assert_eq!(rig.read(Bar1::Ecr), 0);
}

#[test]
fn an_answer_is_kept_except_where_the_read_computes_it() {
    for (profile, now) in [(&Profile::REFERENCE, Profile::REFERENCE.link_up), (&Profile::QEMU_11_1, 0)] {
        let mut rig = Rig::new(profile);
        assert_eq!(rig.read(Bar1::Cmd), 0);
        assert_eq!(rig.command(Command::GetLink), profile.link_up);
        rig.plane.set_link(false, &mut rig.host);
        assert_eq!(rig.read(Bar1::Cmd), now);
        assert_eq!(rig.command(Command::GetLink), 0);
    }
}

#[test]
fn the_qemu_profile_reads_what_was_recorded_from_qemu() {
    let mut rig = Rig::new(&Profile::QEMU_11_1);
    rig.write(Bar1::Vrrs, 1);
    rig.write(Bar1::Uvrs, 1);
    assert_eq!(rig.command(Command::GetConfIntr), 0);
    assert_eq!(rig.command(Command::GetLink), 0x03e8_0001);
    rig.write(Bar1::Macl, 0x1200_5452);
    rig.write(Bar1::Mach, 0x5634);
    rig.set_shared(SHARED);
    assert_eq!(rig.command(Command::ActivateDev), 0);
    for command in [Command::UpdateRxMode, Command::UpdateVlanFilters, Command::UpdateMacFilters] {
        assert_eq!(rig.command(command), 0);
    }
    assert_eq!(rig.command(Command::GetLink), 0x03e8_0001);
    assert_eq!(rig.command(Command::GetStats), 0);
    for (reg, value) in [
        (Bar1::Vrrs, 1),
        (Bar1::Uvrs, 1),
        (Bar1::Dsal, 0),
        (Bar1::Dsah, 0),
        (Bar1::Cmd, 0),
        (Bar1::Macl, 0x1200_5452),
        (Bar1::Mach, 0x5634),
        (Bar1::Icr, 0),
        (Bar1::Ecr, 0),
    ] {
        assert_eq!(rig.read(reg), value, "{reg:?}");
    }
    assert_eq!(rig.command(Command::GetAdaptiveRingInfo), 1);
    assert_eq!((rig.command(Command::GetDidLo), rig.command(Command::GetDidHi)), (0x07b0, 1));
    assert_eq!(rig.command(Command::QuiesceDev), 0);
    assert_eq!(rig.command(Command::ResetDev), 0);
}

#[test]
fn commands_of_later_versions_and_unknown_ones_change_nothing_and_answer_zero() {
    let mut rig = Rig::active(&Profile::REFERENCE);
    let before = rig.host.clone();
    let later = Command::TABLE.iter().map(|row| Command::from(row.0)).filter(|command| command.since() > 1);
    for command in later.chain([Command::Unknown(7), Command::RegisterMemregs]) {
        assert_eq!(rig.command(command), 0, "{}", command.name());
        assert!(rig.plane.is_active());
        assert_eq!(rig.host, before);
    }
}

fn newest(profile: &'static Profile) -> &'static Profile {
    profile.offering(Offer { version: Offer::NEWEST, ..profile.offer() }).unwrap()
}

#[test]
fn data_rings_count_from_version_3_where_base_and_size_are_there_and_right() {
    let ring = |pa, entry_bytes| RxDataRing { pa, entry_bytes };
    for (version, base, bytes, expected) in [
        (3, 0x14_0000, 128, Some(ring(0x14_0000, 128))),
        (3, 0x14_0001, 2048, Some(ring(0x14_0001, 2048))),
        (3, 0, 128, None),
        (3, 0x14_0000, 0, None),
        (3, 0x14_0000, 100, None),
        (3, 0x14_0000, 2112, None),
        (3, u64::MAX - 8192, 128, Some(ring(u64::MAX - 8192, 128))),
        (3, u64::MAX - 8191, 128, None),
        (2, 0x14_0000, 128, None),
        (1, 0x14_0000, 128, None),
    ] {
        let mut rig = Rig::new(newest(&Profile::REFERENCE));
        rig.write(Bar1::Vrrs, 1 << (version - 1));
        let mut desc: RxQueueDesc = rig.host.memory.get(QUEUES + 512).unwrap();
        let mut conf = desc.conf();
        conf.set_rx_data_ring_base_pa(base);
        conf.set_rx_data_ring_desc_size(bytes);
        desc.set_conf(conf);
        rig.host.memory.put(QUEUES + 512, desc).unwrap();
        rig.set_shared(SHARED);
        assert_eq!(rig.command(Command::ActivateDev), 0, "{base:#x} {bytes}");
        let found = rig.plane.activation().unwrap().rx_data.clone();
        assert_eq!(found, expected.map_or(vec![], |ring| vec![RxDataRing::default(), ring]), "{base:#x} {bytes}");
    }
}

#[test]
fn a_coalescing_scheme_out_of_reach_is_neither_set_nor_told() {
    let mut rig = Rig::new(newest(&Profile::REFERENCE));
    rig.write(Bar1::Vrrs, 4);
    rig.set_shared(SHARED);
    assert_eq!(rig.command(Command::ActivateDev), 0);
    let mut words = VariableLenConf::default();
    words.set_conf_len(16);
    for pa in [END, END - 15, u64::MAX, u64::MAX - 15] {
        words.set_conf_pa(pa);
        rig.host.memory.put(SHARED + CMD_INFO_OFFSET, words).unwrap();
        let before = rig.host.clone();
        assert_eq!((rig.command(Command::SetCoalesce), rig.command(Command::GetCoalesce)), (0, 0));
        assert_eq!(rig.host.memory, before.memory);
        assert_eq!(rig.plane.state().coalesce, CoalesceScheme::default());
    }
}

/// A device that offers every version, and more than the models do.
static ABLE: Profile = Profile {
    versions: 0x1ff,
    answers: Answers {
        capabilities: 0b11,
        rss_fields: 0b1111,
        timestamp_bytes: 0x40_0080,
        disabled_offloads: 1,
        ..Answers::PLAIN
    },
    link_up: 0x03e8_0001,
    ..Profile::REFERENCE
};

#[test]
fn what_later_versions_ask_is_answered_from_their_version_on() {
    use Command::{
        GetDcr0Reg, GetDisabledOffloads, GetLink, GetMaxCapabilities, GetMaxQueuesConf, GetRssFields,
        GetTsringDescSize, GetTxdataDescSize,
    };
    for version in 1..=9u8 {
        let mut rig = Rig::new(&ABLE);
        rig.write(Bar1::Vrrs, 1 << (version - 1));
        let from = |since: u8, answer: u32| if version >= since { answer } else { 0 };
        rig.write(Bar1::Dcr(0), 0b110);
        let registers = [Bar1::Dcr(0), Bar1::Ptcr(0), Bar1::Dcr(1), Bar1::Ptcr(1)].map(|register| rig.read(register));
        assert_eq!(registers, [from(7, 0b11), from(7, 1 << 31), 0, 0], "{version}");
        for (command, answer) in [
            (GetTxdataDescSize, from(3, 128) | from(9, 128 << 16)),
            (GetRssFields, from(4, 3)),
            (GetMaxQueuesConf, from(6, 0x2020)),
            (GetMaxCapabilities, from(7, 0b11)),
            (GetDcr0Reg, from(7, 0b10)),
            (GetTsringDescSize, from(9, 0x40_0080)),
            (GetDisabledOffloads, from(9, 1)),
            (GetLink, if version >= 9 { 1 << 16 | 1 } else { 1000 << 16 | 1 }),
        ] {
            assert_eq!(rig.command(command), answer, "{} at {version}", command.name());
        }
    }
}

#[test]
fn an_mtu_is_taken_up_to_the_limit_of_the_version_in_force() {
    for (version, most) in (1..=9).zip([9000, 9000, 9000, 9000, 9000, 9190, 9190, 9190, 9190]) {
        let mut rig = Rig::new(&ABLE);
        rig.write(Bar1::Vrrs, 1 << (version - 1));
        rig.set_shared(SHARED);
        for (mtu, refused) in [(59, REFUSED), (60, 0), (most, 0), (most + 1, REFUSED)] {
            rig.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_mtu(mtu);
                shared.set_misc(misc);
            });
            assert_eq!(rig.command(Command::ActivateDev), refused, "{mtu} at {version}");
        }
    }
}

#[test]
fn fields_are_granted_as_far_as_the_device_can_until_a_reset_and_capabilities_until_a_function_reset() {
    let mut rig = Rig::new(&ABLE);
    rig.write(Bar1::Vrrs, 1 << 6);
    rig.set_shared(SHARED);
    let set = |rig: &mut Rig, wanted: u32| {
        rig.host.memory.put(SHARED + CMD_INFO_OFFSET, wanted).unwrap();
        (rig.command(Command::SetRssFields), rig.command(Command::GetRssFields))
    };
    assert_eq!(set(&mut rig, 0xff), (0, 3), "nothing changes while inactive");
    assert_eq!(rig.command(Command::ActivateDev), 0);
    for (wanted, granted) in [(0xffff, 0xf), (4, 7), (0, 3), (8, 0xb)] {
        assert_eq!(set(&mut rig, wanted), (0, granted));
    }
    rig.write(Bar1::Dcr(0), u32::MAX);
    rig.command(Command::ResetDev);
    assert_eq!((rig.command(Command::GetRssFields), rig.command(Command::GetDcr0Reg)), (3, 0b11));
    rig.write(Bar1::Dcr(0), 0);
    assert_eq!(rig.command(Command::GetDcr0Reg), 0);
    rig.write(Bar1::Dcr(0), 1);
    rig.plane.function_reset();
    assert_eq!(rig.plane.state().capabilities, 0);
}

#[test]
fn a_version_is_selected_by_one_offered_bit_until_a_function_reset() {
    let mut rig = Rig::new(&Profile::REFERENCE);
    for value in [0, 2, 3, u32::MAX] {
        rig.write(Bar1::Vrrs, value);
        assert_eq!((rig.plane.state().version, rig.read(Bar1::Vrrs)), (1, 1));
    }
    rig.write(Bar1::Macl, 7);
    rig.write(Bar1::Mach, 7);
    rig.set_shared(SHARED);
    rig.plane.function_reset();
    assert_eq!(rig.plane, Plane::new(&Profile::REFERENCE, PERMANENT));
}

proptest! {
    /// No registers, commands or shared memory break the plane or the body behind it, and both come back to service.
    #[test]
    fn any_registers_and_any_shared_area_are_survived(
        profile in prop::sample::select(Profile::ALL),
        newest: bool,
        ops in prop::collection::vec((0u32..14, any::<u32>(), 0u64..END, any::<[u8; 4]>(), 0u8..6), 1..80)
    ) {
        let profile = if newest { self::newest(profile) } else { profile };
        let mut rig = Rig::new(profile);
        let mut body = Body::new(profile);
        rig.write(Bar1::Vrrs, 4);
        rig.set_shared(SHARED);
        for (reg, value, pa, bytes, kind) in ops {
            let (reg, value) = match kind {
                0 => (Bar1::Cmd, Command::TABLE[value as usize % Command::TABLE.len()].0),
                1 => (Bar1::Cmd, 0xcafe_0000),
                2 => (Bar1::Dsal, value % (END as u32)),
                3 => { let _ = rig.host.memory.write(pa, &bytes); continue }
                4 => {
                    let _ = rig.host.memory.write(SHARED + pa % 720, &bytes[..1]);
                    let _ = rig.host.memory.write(QUEUES + pa % 768, &bytes[1..2]);
                    continue
                }
                _ => (Bar1::decode(reg * 8).unwrap_or(Bar1::Ecr), value),
            };
            if let Some(request) = rig.plane.write(reg, value, &mut rig.host) {
                let reply = body.serve(request, &mut rig.host);
                rig.plane.finish(reply, &mut rig.host);
            }
            // Moderation stays with the plane where it makes no difference.
            if let (Some(plane), Some(body)) = (rig.plane.activation(), body.activation()) {
                let spacing = |activation: &Activation| activation.spacing(&profile.moderation);
                prop_assert_eq!(spacing(plane), spacing(body));
                prop_assert_eq!(plane.coalesce, rig.plane.state().coalesce);
                let Activation { mod_levels, coalesce, .. } = *plane;
                prop_assert_eq!(plane, &Activation { mod_levels, coalesce, ..body.clone() });
            }
            prop_assert_eq!(rig.plane.is_active(), body.activation().is_some());
            rig.plane.read(reg, 0, &mut rig.host);
            if let Some(request) = rig.plane.event(ecr::DIC, &mut rig.host) {
                body.serve(request, &mut rig.host);
            }
            body.write_bar0(Bar0::TxProd(0), 0);
            body.offer(&[0xff; 60]);
            body.run(&mut rig.host, 100_000);
            prop_assert!(body.is_idle());
        }
        let fresh = Rig::new(profile);
        rig.host = fresh.host;
        rig.command(Command::ResetDev);
        rig.set_shared(SHARED);
        prop_assert_eq!(rig.command(Command::ActivateDev), 0);
    }
}
