//! The control side: probing, activation, stopping, filters, statistics, events.

use super::breach::Breach;
use super::{Driver, Micro, Outcome, Phase};
use crate::guest::GuestPort;
use spec::event::Bar;
use spec::layout::Bytes;
use spec::vmxnet3::answer::{ConfIntr, DataSizes};
use spec::vmxnet3::bar0::LargeBar0;
use spec::vmxnet3::capability::{CAPABILITIES_SINCE, LARGE_BAR};
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::shared::{
    CMD_INFO_OFFSET, CoalesceScheme, ECR_OFFSET, INTR_CONF_EXT_OFFSET, INTR_CONF_OFFSET, IntrConfExt, RX_FILTER_OFFSET,
    UPT_FEATURES_OFFSET,
};
use spec::vmxnet3::{
    Bar0, Bar1, Command, DATA_ENTRY_MAX, DATA_ENTRY_STEP, IntrConf, QueueStatus, RxFilterConf, RxQueueDesc, RxStats,
    TX_DATA_ENTRY_MIN, TxQueueDesc, TxStats, VariableLenConf,
};

/// A register read that the driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Version,
    UptVersion,
    /// The kind of interrupts that the device wants used.
    InterruptKind,
    /// A value that the driver reads and has no use for.
    Ignored(Bar1),
    Activated,
    /// Bytes of an entry of the TX data rings.
    TxDataSize,
    Link,
    Icr,
}

impl Ask {
    fn register(self) -> Bar1 {
        match self {
            Self::Version => Bar1::Vrrs,
            Self::UptVersion => Bar1::Uvrs,
            Self::Ignored(register) => register,
            Self::Activated | Self::InterruptKind | Self::TxDataSize | Self::Link => Bar1::Cmd,
            Self::Icr => Bar1::Icr,
        }
    }
}

const fn in_filter(field: &str) -> u64 {
    RX_FILTER_OFFSET + RxFilterConf::LAYOUT.offset(field)
}

impl Driver {
    /// Probes, writes the structures, activates, programs the filters and unmasks. False when it is running already.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_probe_device, vmxnet3_open, vmxnet3_activate_dev.
    pub fn bring_up(&mut self) -> bool {
        if !matches!(self.phase, Phase::Down | Phase::Failed) {
            return false;
        }
        self.phase = Phase::Starting;
        if !self.probed {
            self.micro.push_back(Micro::Read(Ask::Version));
            self.micro.push_back(Micro::SelectVersion);
            if self.config.large_bar {
                self.micro.push_back(Micro::Capabilities);
            }
            self.micro.push_back(Micro::Read(Ask::UptVersion));
            self.write1(Bar1::Uvrs, 1);
            self.command(Command::GetConfIntr);
            self.micro.push_back(Micro::Read(Ask::InterruptKind));
            for register in [Bar1::Macl, Bar1::Mach] {
                self.micro.push_back(Micro::Read(Ask::Ignored(register)));
            }
            self.ask_link();
        }
        if self.config.max_version >= 3 || self.config.tx_data_bytes != 0 {
            // Whether it is asked is decided when the version is known.
            self.micro.push_back(Micro::Read(Ask::TxDataSize));
        }
        self.micro.push_back(Micro::Restart);
        true
    }

    /// Quiesces and masks every vector. The shared area stays set, as Linux leaves it. False when it is not running.
    pub fn tear_down(&mut self) -> bool {
        let running = self.queue_stop();
        if running {
            self.micro.push_back(Micro::Down);
        }
        running
    }

    /// Quiesces, resets and activates anew, rings from the start. False when it is not running.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_reset_work.
    pub fn reset_cycle(&mut self) -> bool {
        let running = self.queue_stop();
        if running {
            self.command(Command::ResetDev);
            self.micro.push_back(Micro::Restart);
        }
        running
    }

    fn queue_stop(&mut self) -> bool {
        if self.phase != Phase::Up {
            return false;
        }
        self.phase = Phase::Stopping;
        self.command(Command::QuiesceDev);
        self.micro.push_back(Micro::Reclaim);
        for v in 0..self.config.vector_count() {
            self.micro.push_back(Micro::Write(Bar::Bar0, Bar0::Imr(v).offset(), 1));
        }
        true
    }

    /// The function was reset: the driver has lost everything and must be brought up again.
    pub fn on_function_reset(&mut self) {
        self.micro.clear();
        self.stage = 0;
        self.reclaim();
        self.probed = false;
        self.version = 0;
        self.large_bar = false;
        self.phase = Phase::Down;
    }

    /// The device is quiet: packets and buffers are the driver's again, and whatever was queued for them is void.
    pub(super) fn reclaim(&mut self) -> Outcome {
        self.micro.retain(|micro| {
            !matches!(
                micro,
                Micro::Post(_)
                    | Micro::Kick(_)
                    | Micro::PoisonTx { .. }
                    | Micro::Refill { .. }
                    | Micro::RxProd { .. }
                    | Micro::Poll(_)
                    | Micro::Unmask(_)
                    | Micro::QueueStatus
                    | Micro::Read(Ask::Icr)
            )
        });
        self.forget_rings();
        Outcome::Done
    }

    fn forget_rings(&mut self) {
        self.tx.iter_mut().for_each(super::TxQueue::restart);
        self.rx.iter_mut().for_each(super::RxQueue::restart);
        self.vectors.fill(super::VectorState::default());
        self.icr_queued = false;
    }

    /// Queues everything from empty rings to the answer of ACTIVATE_DEV.
    pub(super) fn restart(&mut self) {
        self.phase = Phase::Starting;
        self.forget_rings();
        self.tx_stats.fill(TxStats::default());
        self.rx_stats.fill(RxStats::default());
        self.features_seen = self.config.feature_bits();
        self.renew_shared();
        for q in 0..self.tx.len() {
            let area = self.layout.tx[q];
            self.zero(area.ring, self.config.tx_ring);
            self.zero(area.comp, self.config.tx_comp);
        }
        for q in 0..self.rx.len() {
            let area = self.layout.rx[q];
            self.zero(area.ring[0], self.config.rx_ring[0]);
            self.zero(area.ring[1], self.config.rx_ring[1]);
            self.zero(area.comp, self.config.rx_comp);
        }
        for queue in 0..(self.tx.len() + self.rx.len()) as u8 {
            self.micro.push_back(Micro::QueueDesc { queue, whole: !self.probed });
        }
        if self.config.rss.is_some() {
            self.micro.push_back(Micro::Rss);
        }
        if !self.multicast.is_empty() {
            self.micro.push_back(Micro::Multicast);
        }
        self.micro.push_back(Micro::Shared(0, self.config.shared_bytes() as u16));
        for q in 0..self.rx.len() {
            self.queue_refill(q);
            for ring in 0..2 {
                if self.config.rx_ring[usize::from(ring)] != 0 && !self.config.full_rx_rings {
                    self.micro.push_back(Micro::LastCell { queue: q as u8, ring });
                }
            }
        }
        self.write_mac();
        self.write1(Bar1::Dsal, self.layout.shared as u32);
        self.write1(Bar1::Dsah, (self.layout.shared >> 32) as u32);
        self.command(Command::ActivateDev);
        self.micro.push_back(Micro::Read(Ask::Activated));
    }

    /// The shared area afresh, filters kept.
    fn renew_shared(&mut self) {
        let old = self.shared.rx_filter_conf();
        *self.shared = self.layout.shared_image(&self.config);
        let mut filter = self.shared.rx_filter_conf();
        filter.set_vf_table(old.vf_table());
        filter.set_mf_table_len(old.mf_table_len());
        self.shared.set_rx_filter_conf(filter);
    }

    fn zero(&mut self, pa: u64, cells: u32) {
        if cells > 0 {
            self.micro.push_back(Micro::Zero { pa, bytes: cells * 16 });
        }
    }

    fn write_mac(&mut self) {
        let [a, b, c, d, e, f] = self.config.mac;
        self.write1(Bar1::Macl, u32::from_le_bytes([a, b, c, d]));
        self.write1(Bar1::Mach, u32::from_le_bytes([e, f, 0, 0]));
    }

    fn ask_link(&mut self) {
        self.command(Command::GetLink);
        self.micro.push_back(Micro::Read(Ask::Link));
    }

    pub(super) fn ask(&mut self, ask: Ask, port: &mut impl GuestPort) -> Outcome {
        if ask == Ask::TxDataSize && self.stage == 0 {
            if self.version < 3 {
                self.use_tx_data(TX_DATA_ENTRY_MIN);
                return Outcome::Done;
            }
            let asked = port.write(Bar::Bar1, Bar1::Cmd.offset(), Command::GetTxdataDescSize.code());
            return if asked { Outcome::Stage(1) } else { Outcome::Blocked };
        }
        let Some(value) = port.read(Bar::Bar1, ask.register().offset()) else { return Outcome::Blocked };
        match ask {
            Ask::Version => {
                let known = value & ((1u32 << self.config.max_version) - 1);
                self.version = (32 - known.leading_zeros()) as u8;
                if known == 0 {
                    self.breaches.push(Breach::Version { value });
                }
            }
            Ask::UptVersion if value & 1 == 0 => self.breaches.push(Breach::UptVersion { value }),
            Ask::UptVersion | Ask::Ignored(_) => {}
            Ask::InterruptKind if !self.config.vectors.is_allowed(ConfIntr(value)) => {
                self.breaches.push(Breach::InterruptKind { value });
            }
            Ask::InterruptKind => {}
            Ask::Activated => self.activated(value),
            Ask::TxDataSize => self.tx_data_size(value),
            Ask::Link => self.link = value,
            Ask::Icr => {
                self.icr_queued = false;
                if value != 0 {
                    self.schedule(0);
                } else {
                    self.counts.stray_interrupts += 1;
                }
            }
        }
        Outcome::Done
    }

    /// Asks for the doorbells of the second page, once the version is known. Source: linux vmxnet3_drv.c, vmxnet3_probe_device.
    pub(super) fn ask_capabilities(&mut self, port: &mut impl GuestPort) -> Outcome {
        let mut write = |register: Bar1, value| port.write(Bar::Bar1, register.offset(), value);
        match self.stage {
            0 if self.version < CAPABILITIES_SINCE => Outcome::Done,
            0 => match port.read(Bar::Bar1, Bar1::Dcr(0).offset()) {
                None => Outcome::Blocked,
                Some(offered) if offered & LARGE_BAR == 0 => Outcome::Done,
                Some(_) => Outcome::Stage(1),
            },
            1 if write(Bar1::Dcr(0), LARGE_BAR) => Outcome::Stage(2),
            2 if write(Bar1::Cmd, Command::GetDcr0Reg.code()) => Outcome::Stage(3),
            1 | 2 => Outcome::Blocked,
            _ => match port.read(Bar::Bar1, Bar1::Cmd.offset()) {
                None => Outcome::Blocked,
                Some(granted) => {
                    self.large_bar = granted & LARGE_BAR != 0;
                    Outcome::Done
                }
            },
        }
    }

    /// Where the doorbell `register` is written.
    pub(super) fn doorbell(&self, register: Bar0) -> u32 {
        let second = match register {
            Bar0::TxProd(queue) => LargeBar0::LbTxProd(queue),
            Bar0::RxProd(queue) => LargeBar0::LbRxProd(queue),
            Bar0::RxProd2(queue) => LargeBar0::LbRxProd2(queue),
            Bar0::Imr(vector) => LargeBar0::Imr(vector),
        };
        if self.large_bar { second.offset() } else { register.offset() }
    }

    /// The device said how long an entry of the TX data rings is. Source: linux vmxnet3_drv.c, vmxnet3_open.
    fn tx_data_size(&mut self, value: u32) {
        // Before version 9 the upper half says nothing, and is 0.
        let told = if self.version >= 9 { u32::from(DataSizes(value).tx()) } else { value };
        let size = u16::try_from(told).unwrap_or(0);
        let valid = (TX_DATA_ENTRY_MIN..=DATA_ENTRY_MAX).contains(&size) && size.is_multiple_of(DATA_ENTRY_STEP);
        if !valid && told != 0 {
            self.breaches.push(Breach::TxDataSize { value });
        }
        self.use_tx_data(if valid { size } else { TX_DATA_ENTRY_MIN });
    }

    /// The TX data rings have entries of `bytes` bytes, if there is memory for them.
    fn use_tx_data(&mut self, bytes: u16) {
        self.tx_data = if bytes <= self.config.tx_data_bytes { bytes } else { 0 };
    }

    /// Puts a coalescing scheme into force and asks what then is; see [`Driver::coalescing`]. Says whether it was sent: below version 3
    /// it never is. Source: linux vmxnet3_drv.c, vmxnet3_init_coalesce; vmxnet3_ethtool.c, vmxnet3_set_coalesce.
    pub fn set_coalescing(&mut self, scheme: CoalesceScheme) -> bool {
        let sent = self.version >= 3 && self.phase == Phase::Up;
        if sent {
            self.micro.push_back(Micro::Coalesce(scheme));
            self.command(Command::SetCoalesce);
            self.ask_coalescing();
        }
        sent
    }

    fn ask_coalescing(&mut self) {
        self.command(Command::GetCoalesce);
        self.micro.push_back(Micro::Coalescing);
    }

    pub(super) fn load_coalescing(&mut self, port: &mut impl GuestPort) -> Outcome {
        let mut scheme = CoalesceScheme::default();
        port.load(self.layout.coalesce, &mut scheme.0);
        if !scheme.is_valid() {
            self.breaches.push(Breach::Coalesce { mode: scheme.coal_mode(), rate: scheme.coal_para()[0] });
        }
        self.coalescing = scheme;
        Outcome::Done
    }

    /// Asks for RSS fields, and what of them is in force. Source: linux vmxnet3_drv.c, vmxnet3_init_rssfields, which does it behind
    /// each activation and before the coalescing scheme, whose words lie in the same place.
    fn ask_rss_fields(&mut self) {
        if self.version >= 4 && self.config.rss.is_some() {
            self.micro.push_back(Micro::RssFields(self.config.rss_fields));
            for command in [Command::SetRssFields, Command::GetRssFields] {
                self.command(command);
                self.micro.push_back(Micro::Read(Ask::Ignored(Bar1::Cmd)));
            }
        }
    }

    /// The words of the coalescing commands, in the shared area as long as the driver runs.
    fn prepare_coalescing(&mut self) {
        let mut words = VariableLenConf::default();
        words.set_conf_ver(1);
        words.set_conf_len(CoalesceScheme::SIZE as u32);
        words.set_conf_pa(self.layout.coalesce);
        self.shared.set_cmd_info(words.0);
        self.store_shared(CMD_INFO_OFFSET, VariableLenConf::SIZE as u64);
    }

    /// ACTIVATE_DEV answered: what follows it, or withdrawing the shared area.
    fn activated(&mut self, code: u32) {
        if code != 0 {
            self.breaches.push(Breach::ActivateRefused { code });
            self.phase = Phase::Failed;
            self.write1(Bar1::Dsal, 0);
            self.write1(Bar1::Dsah, 0);
            return;
        }
        self.phase = Phase::Up;
        self.probed = true;
        self.counts.activations += 1;
        self.ask_rss_fields();
        if self.version >= 3 {
            self.prepare_coalescing();
            self.ask_coalescing();
        }
        for queue in 0..self.rx.len() as u8 {
            self.micro.push_back(Micro::RxProd { queue, ring: 0 });
            self.micro.push_back(Micro::RxProd { queue, ring: 1 });
        }
        if !self.config.rx_mode_at_activate {
            self.update_rx_mode(self.config.rx_mode);
            self.command(Command::UpdateVlanFilters);
            self.command(Command::UpdateMacFilters);
        }
        self.ask_link();
        for v in 0..self.config.vector_count() {
            self.micro.push_back(Micro::Write(Bar::Bar0, Bar0::Imr(v).offset(), 0));
        }
        if self.config.is_extended() {
            let mut intr = self.shared.intr_conf_ext();
            intr.set_intr_ctrl(0);
            self.shared.set_intr_conf_ext(intr);
            self.store_shared(INTR_CONF_EXT_OFFSET + IntrConfExt::LAYOUT.offset("intrCtrl"), 4);
            return;
        }
        let mut intr = self.shared.intr_conf();
        intr.set_intr_ctrl(0);
        self.shared.set_intr_conf(intr);
        self.store_shared(INTR_CONF_OFFSET + IntrConf::LAYOUT.offset("intrCtrl"), 4);
    }

    /// Filters and features may be changed as soon as the driver starts: a command before ACTIVATE_DEV is harmless.
    fn takes_requests(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Up)
    }

    fn store_shared(&mut self, from: u64, bytes: u64) {
        self.micro.push_back(Micro::Shared(from as u16, (from + bytes) as u16));
    }

    /// Changes `rxMode`. While not running it counts from the next activation. Says whether it was sent.
    pub fn update_rx_mode(&mut self, bits: u32) -> bool {
        self.config.rx_mode = bits;
        if !self.takes_requests() {
            return false;
        }
        bits.put(&mut self.shared.0[in_filter("rxMode") as usize..]);
        self.store_shared(in_filter("rxMode"), 4);
        self.command(Command::UpdateRxMode);
        true
    }

    /// Replaces the multicast table by as many of `list` as there is room for. Says whether it was sent.
    pub fn set_multicast(&mut self, list: &[[u8; 6]]) -> bool {
        self.multicast.clear();
        self.multicast.extend(list.iter().take(usize::from(self.config.multicast_room)));
        let bytes = self.multicast.len() as u16 * 6;
        bytes.put(&mut self.shared.0[in_filter("mfTableLen") as usize..]);
        if !self.takes_requests() {
            return false;
        }
        self.micro.push_back(Micro::Multicast);
        self.store_shared(in_filter("mfTableLen"), 2);
        self.command(Command::UpdateMacFilters);
        true
    }

    /// Replaces the VLAN table by the bits of `vids`; none turns the filter off. Says whether it was sent.
    pub fn set_vlans(&mut self, vids: &[u16]) -> bool {
        let mut table = [0u32; 128];
        for &vid in vids.iter().filter(|&&vid| vid < 4096) {
            table[usize::from(vid / 32)] |= 1 << (vid % 32);
        }
        table.put(&mut self.shared.0[in_filter("vfTable") as usize..]);
        if !self.takes_requests() {
            return false;
        }
        self.store_shared(in_filter("vfTable"), 512);
        self.command(Command::UpdateVlanFilters);
        true
    }

    /// Changes the feature bits. Says whether it was sent.
    pub fn set_features(&mut self, bits: u64) -> bool {
        self.config.features = bits;
        if !self.takes_requests() {
            return false;
        }
        let bits = self.config.feature_bits();
        self.features_seen |= bits;
        bits.put(&mut self.shared.0[UPT_FEATURES_OFFSET as usize..]);
        self.store_shared(UPT_FEATURES_OFFSET, 8);
        self.command(Command::UpdateFeature);
        true
    }

    /// Replaces the RSS table by at most 128 entries. Says whether it was sent; without RSS it never is.
    pub fn set_rss_table(&mut self, table: &[u8]) -> bool {
        let Some(rss) = &mut self.config.rss else { return false };
        rss.table.clear();
        rss.table.extend(table.iter().take(128));
        if !self.takes_requests() {
            return false;
        }
        self.micro.push_back(Micro::Rss);
        self.command(Command::UpdateRssidt);
        true
    }

    /// Changes the MAC address. Says whether it was sent.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> bool {
        self.config.mac = mac;
        let running = self.takes_requests();
        if running {
            self.write_mac();
        }
        running
    }

    /// Asks for statistics; see [`Driver::stats`]. False when it is not running.
    pub fn get_stats(&mut self) -> bool {
        let running = self.phase == Phase::Up;
        if running {
            self.command(Command::GetStats);
            self.micro.push_back(Micro::Stats);
        }
        running
    }

    /// Asks for the link; see [`Driver::link`]. Legal at any time.
    pub fn get_link(&mut self) {
        self.ask_link();
    }

    pub(super) fn store_queue_desc(&mut self, queue: u8, whole: bool, port: &mut impl GuestPort) -> Outcome {
        let q = usize::from(queue);
        let image = match q.checked_sub(self.tx.len()) {
            None => self.layout.tx_queue_image_with(&self.config, q, self.version, self.tx_data).0,
            Some(rx) => self.layout.rx_queue_image_with(&self.config, rx, self.version).0,
        };
        let conf = TxQueueDesc::LAYOUT.offset("conf") as usize..TxQueueDesc::LAYOUT.offset("status") as usize;
        let range = if whole { 0..image.len() } else { conf };
        // Queue descriptors follow each other, TX queues first.
        port.store(self.layout.tx_queue_desc(q) + range.start as u64, &image[range]);
        Outcome::Done
    }

    /// Source: linux vmxnet3_drv.c, vmxnet3_process_events: acknowledge first, then act.
    pub(super) fn check_events(&mut self, port: &mut impl GuestPort) {
        let events = port.load_u32(self.layout.shared + ECR_OFFSET);
        if events == 0 {
            return;
        }
        self.counts.events += u64::from(events.count_ones());
        self.write1(Bar1::Ecr, events);
        if events & (ecr::TQERR | ecr::RQERR) != 0 {
            self.command(Command::GetQueueStatus);
            self.micro.push_back(Micro::QueueStatus);
        }
        if events & ecr::LINK != 0 {
            self.ask_link();
        }
    }

    pub(super) fn load_queue_status(&mut self, port: &mut impl GuestPort) -> Outcome {
        let mut stopped = false;
        for q in 0..self.tx.len() + self.rx.len() {
            let mut bytes = [0; size_of::<QueueStatus>()];
            port.load(self.layout.tx_queue_desc(q) + TxQueueDesc::LAYOUT.offset("status"), &mut bytes);
            let status = QueueStatus(bytes);
            if status.stopped() != 0 {
                stopped = true;
                self.counts.stopped_queues += 1;
                self.last_error = Some(QueueError::from(status.error()));
            }
        }
        if stopped && self.config.reset_on_error {
            self.reset_cycle();
        }
        Outcome::Done
    }

    pub(super) fn load_stats(&mut self, port: &mut impl GuestPort) -> Outcome {
        for q in 0..self.tx.len() {
            let mut now = TxStats::default();
            port.load(self.layout.tx_queue_desc(q) + TxQueueDesc::LAYOUT.offset("stats"), &mut now.0);
            if let Some(counter) = fell(&self.tx_stats[q].0, &now.0) {
                self.breaches.push(Breach::StatsFell { tx: true, queue: q as u8, counter });
            }
            self.tx_stats[q] = now;
        }
        for q in 0..self.rx.len() {
            let mut now = RxStats::default();
            port.load(self.layout.rx_queue_desc(q) + RxQueueDesc::LAYOUT.offset("stats"), &mut now.0);
            if let Some(counter) = fell(&self.rx_stats[q].0, &now.0) {
                self.breaches.push(Breach::StatsFell { tx: false, queue: q as u8, counter });
            }
            self.rx_stats[q] = now;
        }
        Outcome::Done
    }
}

/// The first of ten counters that is lower than before.
fn fell(before: &[u8; 80], now: &[u8; 80]) -> Option<u8> {
    let (before, now) = (<[u64; 10]>::get(before), <[u64; 10]>::get(now));
    (0..10).find(|&i| now[usize::from(i)] < before[usize::from(i)])
}
