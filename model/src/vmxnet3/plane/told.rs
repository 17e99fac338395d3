//! What the device tells: answers in CMD, and what it writes to queue descriptors.

use super::{Plane, REFUSED, REVISION, TX_THRESHOLD, mac_high, mac_low};
use crate::host::Host;
use crate::mutant::Mutant;
use crate::plane::Reply;
use spec::layout::Bytes;
use spec::profile::Deviation;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{Command, DEVICE, QueueStatus, RxQueueCtrl, RxQueueDesc, TxQueueCtrl, TxQueueDesc};

impl Plane {
    /// The answer of a command that only tells something; 0 for those that do something, and did it.
    pub(super) fn answer(&self, command: Command) -> u32 {
        if self.planted.is(Mutant::PlaneSilentWithoutShared) && self.state.shared_pa == 0 {
            return 0;
        }
        if command.since() > self.known_version() {
            return 0;
        }
        let (profile, state) = (self.profile, &self.state);
        match command {
            Command::GetPermMacLo if self.planted.is(Mutant::PlanePermanentMacChanges) => mac_low(state.mac),
            Command::GetConfIntr if self.planted.is(Mutant::PlaneMaskModeActive) => 2 << 2,
            Command::ActivateDev => u32::from(!self.is_active()) * REFUSED,
            Command::GetLink if state.link_up => profile.link(state.version).0,
            Command::GetPermMacLo => mac_low(state.permanent_mac),
            Command::GetPermMacHi => mac_high(state.permanent_mac),
            Command::GetDidLo => u32::from(DEVICE),
            Command::GetDidHi => REVISION,
            Command::GetTxdataDescSize if self.planted.is(Mutant::PlaneTxDataSize) => 96,
            Command::GetTxdataDescSize => profile.data_sizes(state.version).0,
            Command::GetAdaptiveRingInfo => u32::from(profile.has(Deviation::AdaptiveRingDisabled)),
            Command::GetRssFields => state.rss_fields.0,
            Command::GetMaxQueuesConf => profile.max_queues(state.version).0,
            // No source says what it tells; where nothing is offered both readings of it are 0.
            Command::GetMaxCapabilities => profile.answers.capabilities,
            Command::GetDcr0Reg => state.capabilities,
            Command::GetTsringDescSize => profile.answers.timestamp_bytes,
            Command::GetDisabledOffloads => profile.answers.disabled_offloads,
            // Unknown commands, those of no public driver, GET_CONF_INTR (automatic) and hints: 0 is what every driver takes.
            _ => 0,
        }
    }

    /// What a successful activation tells the driver in its queue descriptors.
    pub(super) fn introduce(&self, host: &mut impl Host) {
        let (tx, rx) = self.state.queue_descs();
        for &pa in &tx {
            put(host, pa, TxQueueCtrl::LAYOUT.offset("txThreshold"), &TX_THRESHOLD.to_le_bytes());
        }
        for &pa in &rx {
            if !self.profile.has(Deviation::UpdateRxProdUntouched) {
                put(host, pa, RxQueueCtrl::LAYOUT.offset("updateRxProd"), &[0]);
            }
        }
        if !self.profile.has(Deviation::QueueStatusSilent) {
            // DPDK and OpenBSD preset `stopped`.
            for &pa in tx.iter().chain(&rx) {
                put(host, pa, TxQueueDesc::LAYOUT.offset("status"), &QueueStatus::default().0);
            }
        }
    }

    pub(super) fn write_statistics(&self, reply: Reply, host: &mut impl Host) {
        let Reply::Counters { tx, rx } = reply else { return };
        let (tx_pas, rx_pas) = self.state.queue_descs();
        for (pa, (stats, _)) in tx_pas.into_iter().zip(tx) {
            put(host, pa, TxQueueDesc::LAYOUT.offset("stats"), &stats.0);
        }
        for (pa, (stats, _)) in rx_pas.into_iter().zip(rx) {
            put(host, pa, RxQueueDesc::LAYOUT.offset("stats"), &stats.0);
        }
    }

    pub(super) fn write_status(&self, reply: Reply, host: &mut impl Host) {
        let Reply::Counters { tx, rx } = reply else { return };
        let (tx_pas, rx_pas) = self.state.queue_descs();
        let tx = tx_pas.into_iter().zip(tx.into_iter().map(|(_, stopped)| stopped));
        let rx = rx_pas.into_iter().zip(rx.into_iter().map(|(_, stopped)| stopped));
        for (pa, stopped) in tx.chain(rx) {
            let mut bytes = [0; QueueStatus::SIZE];
            status(stopped).put(&mut bytes);
            put(host, pa, TxQueueDesc::LAYOUT.offset("status"), &bytes);
        }
    }
}

fn status(stopped: Option<QueueError>) -> QueueStatus {
    let mut status = QueueStatus::default();
    if let Some(error) = stopped {
        status.set_stopped(1);
        status.set_error(error.code());
    }
    status
}

/// Writes where the guest said; if there is nothing, it is the guest's loss alone.
pub(super) fn put(host: &mut impl Host, pa: u64, offset: u64, bytes: &[u8]) {
    if let Some(pa) = pa.checked_add(offset) {
        let _ = host.write(pa, bytes);
    }
}
