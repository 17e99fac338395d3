//! The configuration plane: BAR1, the commands and what they read and write in guest memory.
//!
//! It is the hypervisor's whether the data path is in software or on the adapter. A register write that needs the data
//! plane returns a [`Request`]; whoever owns the active data plane serves it, hands the [`Reply`] to [`Plane::finish`], and
//! keeps the guest's CPUs out of BAR1 until then. A write that returns nothing is complete.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_REG_* and VMXNET3_CMD_*; linux vmxnet3_drv.c for what must be done when a write returns.
//! Not modelled: versions after 3, wake-up filters, the plug-in block. A coalescing scheme is kept and told, and nothing is delayed by it.

use super::activate;
use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Activation, Reply, Request};
use spec::layout::Bytes;
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::shared::{CoalesceScheme, ECR_OFFSET, coalesce};
use spec::vmxnet3::{
    Bar1, Command, DEVICE, Lifecycle, QUEUE_DESC_BYTES, QueueStatus, RxQueueCtrl, RxQueueDesc, TxQueueCtrl, TxQueueDesc,
};

/// What ACTIVATE_DEV answers when it refuses. No source says more than that it is not 0; ESXi 6.7 answered 1.
pub const REFUSED: u32 = 1;
/// `txThreshold` in software: every packet is announced.
const TX_THRESHOLD: u32 = 1;
/// Revision id, as GET_DID_HI tells it. Source: QEMU hw/net/vmxnet3.c, VMXNET3_DEVICE_REVISION.
const REVISION: u32 = 1;

/// A register write that waits for the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pending {
    /// A command.
    Command(Command),
    /// ACTIVATE_DEV was refused while the device was active: only the stop is awaited.
    Refused,
    /// A new shared address stopped an active device.
    SharedChanged,
    /// A new MAC.
    MacChanged,
}

/// Everything the configuration plane remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlaneState {
    /// Active after a successful ACTIVATE_DEV.
    pub lifecycle: Lifecycle,
    /// Version selected through VRRS, 1 before any is.
    pub version: u8,
    /// UPT version 1 was selected through UVRS.
    pub upt: bool,
    /// Latched low half of the shared address.
    pub dsal: u32,
    /// Shared address; 0 is none.
    pub shared_pa: u64,
    /// Latched MAC bytes 0 to 3.
    pub macl: u32,
    /// Current MAC.
    pub mac: [u8; 6],
    /// The MAC that the device was built with.
    pub permanent_mac: [u8; 6],
    /// Code of the last command, 0 before any.
    pub last_command: u32,
    /// Its answer.
    pub result: u32,
    /// The link is up.
    pub link_up: bool,
    /// Interrupts use the INTx line, as the PCI layer has it; copied at ACTIVATE_DEV.
    pub intx: bool,
    /// Configuration copies; present while active and while ACTIVATE_DEV waits for the data plane.
    pub activation: Option<Activation>,
    /// Where the queue descriptors lie, guest-physical; 256 bytes each, TX first.
    pub queue_desc_pa: u64,
    /// Vector of events.
    pub event_vector: u8,
    /// Coalescing scheme in force: disabled until a driver of version 3 sets one.
    pub coalesce: CoalesceScheme,
    /// The register write that waits.
    pub pending: Option<Pending>,
}

impl PlaneState {
    fn fresh(permanent_mac: [u8; 6], link_up: bool) -> Self {
        Self {
            lifecycle: Lifecycle::Inactive,
            version: 1,
            upt: false,
            dsal: 0,
            shared_pa: 0,
            macl: mac_low(permanent_mac),
            mac: permanent_mac,
            permanent_mac,
            last_command: 0,
            result: 0,
            link_up,
            intx: false,
            activation: None,
            queue_desc_pa: 0,
            event_vector: 0,
            coalesce: CoalesceScheme::default(),
            pending: None,
        }
    }

    /// Addresses of the queue descriptors, TX queues then RX queues; none while inactive.
    pub fn queue_descs(&self) -> (Vec<u64>, Vec<u64>) {
        let (tx, rx) = self.activation.as_ref().map_or((0, 0), |a| (a.tx.len() as u64, a.rx.len() as u64));
        let at = |i| self.queue_desc_pa.wrapping_add(QUEUE_DESC_BYTES * i);
        ((0..tx).map(at).collect(), (tx..tx + rx).map(at).collect())
    }
}

/// MAC bytes 0 to 3 as MACL shows them.
fn mac_low(mac: [u8; 6]) -> u32 {
    u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]])
}

/// MAC bytes 4 and 5 as MACH shows them.
fn mac_high(mac: [u8; 6]) -> u32 {
    u32::from_le_bytes([mac[4], mac[5], 0, 0])
}

/// The configuration plane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plane {
    profile: &'static Profile,
    state: PlaneState,
    planted: Planted,
}

impl Plane {
    /// After power-on, link up.
    pub fn new(profile: &'static Profile, permanent_mac: [u8; 6]) -> Self {
        Self { profile, state: PlaneState::fresh(permanent_mac, true), planted: Planted::NONE }
    }

    /// From a state that was taken before. The caller has checked it as strictly as a guest's own writes.
    pub fn restore(profile: &'static Profile, state: PlaneState) -> Self {
        Self { profile, state, planted: Planted::NONE }
    }

    /// Plants a bug.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// PCI function reset: everything but the permanent MAC and the link is as after power-on. The data plane is the
    /// caller's to reset.
    pub fn function_reset(&mut self) {
        let mac = self.state.mac;
        self.state = PlaneState::fresh(self.state.permanent_mac, self.state.link_up);
        if self.planted.is(Mutant::PlaneMacOutlivesReset) {
            self.state.mac = mac;
        }
    }

    /// What the device is built as.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Everything it remembers.
    pub fn state(&self) -> &PlaneState {
        &self.state
    }

    /// Configuration copies of an active device.
    pub fn activation(&self) -> Option<&Activation> {
        self.state.activation.as_ref()
    }

    /// Where the queue descriptors lie, guest-physical.
    pub fn queue_desc_pa(&self) -> u64 {
        self.state.queue_desc_pa
    }

    /// After a successful ACTIVATE_DEV.
    pub fn is_active(&self) -> bool {
        self.state.lifecycle == Lifecycle::Active
    }

    /// The PCI layer says whether interrupts use the INTx line; the next ACTIVATE_DEV works from it.
    pub fn set_intx(&mut self, intx: bool) {
        self.state.intx = intx;
    }

    /// Reads a register. `icr` is what the data plane answered for ICR, which the caller asks first, and for ICR only.
    pub fn read(&self, reg: Bar1, icr: u32, host: &mut impl Host) -> u32 {
        match reg {
            Bar1::Vrrs => self.profile.versions,
            Bar1::Uvrs => 1,
            Bar1::Cmd if self.profile.has(Deviation::CmdReadRecomputes) => {
                self.answer(Command::from(self.state.last_command))
            }
            Bar1::Cmd => self.state.result,
            Bar1::Macl => mac_low(self.state.mac),
            Bar1::Mach => mac_high(self.state.mac),
            Bar1::Icr => icr,
            Bar1::Ecr if self.profile.has(Deviation::EcrReadsZero) => 0,
            Bar1::Ecr => self.events(host).unwrap_or(0),
            Bar1::Dsal | Bar1::Dsah => 0,
            Bar1::Dcr(_) | Bar1::Ptcr(_) | Bar1::Wsal | Bar1::Wsah | Bar1::Wcmd => 0,
        }
    }

    /// Writes a register.
    ///
    /// # Panics
    /// While a request is outstanding: the guest's CPUs are to be kept out until [`Plane::finish`].
    pub fn write(&mut self, reg: Bar1, value: u32, host: &mut impl Host) -> Option<Request> {
        assert!(self.state.pending.is_none(), "a register is written while a request is outstanding");
        match reg {
            Bar1::Vrrs => self.select_version(value),
            Bar1::Uvrs => self.state.upt = value & 1 == 1,
            Bar1::Dsal => {
                self.state.dsal = value;
                if self.planted.is(Mutant::PlaneAddressInHalves) {
                    self.state.shared_pa = self.state.shared_pa >> 32 << 32 | u64::from(value);
                }
            }
            Bar1::Dsah => return self.set_shared(u64::from(value) << 32 | u64::from(self.state.dsal)),
            Bar1::Cmd => return self.run(Command::from(value), host),
            Bar1::Macl => self.state.macl = value,
            Bar1::Mach => return self.set_mac(value),
            Bar1::Ecr => self.clear_events(value, host),
            Bar1::Icr | Bar1::Dcr(_) | Bar1::Ptcr(_) | Bar1::Wsal | Bar1::Wsah | Bar1::Wcmd => {}
        }
        None
    }

    /// Completes the register write that returned a request.
    pub fn finish(&mut self, reply: Reply, host: &mut impl Host) {
        match self.state.pending.take() {
            Some(Pending::Command(Command::ActivateDev)) => {
                self.state.lifecycle = Lifecycle::Active;
                self.introduce(host);
            }
            Some(Pending::Command(Command::GetStats)) => self.write_statistics(reply, host),
            Some(Pending::Command(Command::GetQueueStatus)) => self.write_status(reply, host),
            Some(Pending::Command(_) | Pending::Refused | Pending::SharedChanged | Pending::MacChanged) | None => {}
        }
    }

    /// The link went up or down. A change is an event while active.
    pub fn set_link(&mut self, up: bool, host: &mut impl Host) -> Option<Request> {
        let changed = self.state.link_up != up;
        self.state.link_up = up;
        if changed && !self.planted.is(Mutant::PlaneLinkUntold) { self.event(ecr::LINK, host) } else { None }
    }

    /// Sets event bits in the shared area and asks for the event vector, while active. The request needs no
    /// [`Plane::finish`] and may come while a command is outstanding.
    pub fn event(&mut self, bits: u32, host: &mut impl Host) -> Option<Request> {
        let events = self.events(host)?;
        host.write(self.state.shared_pa + ECR_OFFSET, &(events | bits).to_le_bytes()).ok()?;
        Some(Request::Raise(self.state.event_vector))
    }

    /// Pending events, while active: an inactive device touches nothing, as iPXE leaves it the address of freed memory.
    fn events(&self, host: &mut impl Host) -> Option<u32> {
        let pa = self.state.shared_pa.checked_add(ECR_OFFSET).filter(|_| self.is_active())?;
        let mut word = [0; 4];
        host.read(pa, &mut word).ok()?;
        Some(u32::from_le_bytes(word))
    }

    fn clear_events(&mut self, bits: u32, host: &mut impl Host) {
        let bits = if self.planted.is(Mutant::PlaneEventsCleared) { u32::MAX } else { bits };
        if let Some(events) = self.events(host).filter(|events| events & bits != 0) {
            put(host, self.state.shared_pa, ECR_OFFSET, &(events & !bits).to_le_bytes());
        }
    }

    fn select_version(&mut self, value: u32) {
        if value.is_power_of_two() && value & self.profile.versions != 0 {
            self.state.version = value.trailing_zeros() as u8 + 1;
        }
    }

    /// A new address stops an active device: its old shared area is no longer the driver's.
    fn set_shared(&mut self, shared_pa: u64) -> Option<Request> {
        let changed = self.state.shared_pa != shared_pa;
        self.state.shared_pa = shared_pa;
        if !changed || !self.is_active() {
            return None;
        }
        self.become_inactive();
        self.ask(Pending::SharedChanged, Request::Stop)
    }

    fn set_mac(&mut self, high: u32) -> Option<Request> {
        let (low, high) = (self.state.macl.to_le_bytes(), high.to_le_bytes());
        self.state.mac = [low[0], low[1], low[2], low[3], high[0], high[1]];
        let activation = self.state.activation.as_mut()?;
        activation.filters.mac = self.state.mac;
        let request = Request::Filters(Box::new(activation.filters.clone()));
        self.ask(Pending::MacChanged, request)
    }

    fn ask(&mut self, pending: Pending, request: Request) -> Option<Request> {
        self.state.pending = Some(pending);
        Some(request)
    }

    fn become_inactive(&mut self) {
        self.state.lifecycle = Lifecycle::Inactive;
        self.state.activation = None;
    }

    /// The answer of a command that only tells something; 0 for those that do something, and did it.
    fn answer(&self, command: Command) -> u32 {
        if self.planted.is(Mutant::PlaneSilentWithoutShared) && self.state.shared_pa == 0 {
            return 0;
        }
        match command {
            Command::GetPermMacLo if self.planted.is(Mutant::PlanePermanentMacChanges) => mac_low(self.state.mac),
            Command::GetConfIntr if self.planted.is(Mutant::PlaneMaskModeActive) => 2 << 2,
            Command::ActivateDev => u32::from(!self.is_active()) * REFUSED,
            Command::GetLink if self.state.link_up => self.profile.link_up,
            Command::GetPermMacLo => mac_low(self.state.permanent_mac),
            Command::GetPermMacHi => mac_high(self.state.permanent_mac),
            Command::GetDidLo => u32::from(DEVICE),
            Command::GetDidHi => REVISION,
            Command::GetTxdataDescSize if self.planted.is(Mutant::PlaneTxDataSize) => 96,
            Command::GetTxdataDescSize if self.state.version >= command.since() => {
                u32::from(self.profile.tx_data_bytes)
            }
            Command::GetAdaptiveRingInfo => u32::from(self.profile.has(Deviation::AdaptiveRingDisabled)),
            // Unknown and later commands, GET_CONF_INTR (automatic) and the rest: 0 is what every driver takes.
            _ => 0,
        }
    }

    /// Runs a command, up to the point where it needs the data plane.
    fn run(&mut self, command: Command, host: &mut impl Host) -> Option<Request> {
        self.state.last_command = command.code();
        let stops = matches!(command, Command::QuiesceDev | Command::ResetDev);
        if !(stops && self.planted.is(Mutant::PlaneStopAnswersNothing)) {
            self.state.result = 0;
        }
        if command.since() > self.state.version {
            return None;
        }
        match command {
            Command::ActivateDev => return self.activate(host),
            Command::QuiesceDev if self.is_active() => {
                self.become_inactive();
                return self.ask(Pending::Command(command), Request::Stop);
            }
            Command::QuiesceDev => {}
            Command::ResetDev => {
                self.become_inactive();
                self.state.coalesce = CoalesceScheme::default();
                if self.planted.is(Mutant::PlaneVersionForgotten) {
                    self.state.version = 1;
                }
                if self.profile.has(Deviation::ResetForgetsShared) {
                    self.state.shared_pa = 0;
                }
                return self.ask(Pending::Command(command), Request::Reset);
            }
            Command::UpdateRxMode
            | Command::UpdateMacFilters
            | Command::UpdateVlanFilters
            | Command::UpdateRssidt
            | Command::UpdateIml
            | Command::UpdateFeature => {
                let request = self.update(command, host)?;
                return self.ask(Pending::Command(command), request);
            }
            Command::GetStats if self.is_active() => return self.ask(Pending::Command(command), Request::Counters),
            Command::GetQueueStatus if self.is_active() && !self.profile.has(Deviation::QueueStatusSilent) => {
                return self.ask(Pending::Command(command), Request::Counters);
            }
            Command::SetCoalesce if self.is_active() => {
                // What is out of bounds leaves the scheme as it was.
                let bounded = !self.planted.is(Mutant::PlaneCoalesceUnbounded);
                let scheme = activate::coalesce(self.state.shared_pa, host);
                self.state.coalesce =
                    scheme.filter(|scheme| !bounded || scheme.is_valid()).unwrap_or(self.state.coalesce);
            }
            Command::GetCoalesce if self.is_active() => {
                if let Some(pa) = activate::coalesce_pa(self.state.shared_pa, host) {
                    let mut scheme = self.state.coalesce;
                    if self.planted.is(Mutant::PlaneCoalesceRateZero) {
                        scheme.set_coal_mode(coalesce::RATE);
                    }
                    put(host, pa, 0, &scheme.0);
                }
            }
            _ => self.state.result = self.answer(command),
        }
        None
    }

    /// ACTIVATE_DEV. While active it is a quiesce first, then an activation from the shared area as it is now: the kernel
    /// that runs after a crash does exactly that. Everything is judged before anything changes.
    fn activate(&mut self, host: &mut impl Host) -> Option<Request> {
        if self.profile.has(Deviation::ActivateRestoresMac) {
            self.state.mac = self.state.permanent_mac;
        }
        let was_active = self.is_active();
        let any_version = self.planted.is(Mutant::PlaneDataRingAnyVersion);
        let asked = activate::Asked {
            profile: self.profile,
            version: if any_version { u8::MAX } else { self.state.version },
            shared_pa: self.state.shared_pa,
            mac: self.state.mac,
            magic: !self.planted.is(Mutant::PlaneMagicIgnored),
        };
        let Some(found) = activate::read(&asked, host) else {
            self.state.lifecycle = self.state.lifecycle.after(Command::ActivateDev, false);
            self.state.activation = None;
            self.state.result = REFUSED;
            return if was_active { self.ask(Pending::Refused, Request::Stop) } else { None };
        };
        self.state.lifecycle = Lifecycle::Inactive;
        self.state.queue_desc_pa = found.queue_desc_pa;
        self.state.event_vector = found.event_vector;
        let activation = Activation { intx: self.state.intx, ..found.activation };
        self.state.activation = Some(activation.clone());
        self.ask(Pending::Command(Command::ActivateDev), Request::Start(Box::new(activation)))
    }

    /// Reads again the part of the shared area that `command` names; nothing while inactive, as ACTIVATE_DEV reads it all.
    fn update(&mut self, command: Command, host: &mut impl Host) -> Option<Request> {
        let shared_pa = self.state.shared_pa;
        let activation = self.state.activation.as_mut()?;
        match command {
            Command::UpdateRxMode => activation.filters.rx_mode = activate::rx_mode(shared_pa, host)?,
            Command::UpdateMacFilters => activation.filters.multicast = activate::multicast(shared_pa, host)?,
            Command::UpdateVlanFilters => activation.filters.vlans = activate::vlans(shared_pa, host)?,
            Command::UpdateFeature => {
                activation.features = activate::features(shared_pa, host)?;
                return Some(Request::Features(activation.features));
            }
            Command::UpdateRssidt => {
                let rss = activation.rss.as_mut()?;
                rss.table = activate::rss_table(shared_pa, rss.table.len(), host)?;
                return Some(Request::Rss(Some(Box::new(rss.clone()))));
            }
            _ => {
                // UPDATE_IML: a data plane may ignore moderation, so nobody is told.
                activation.mod_levels = activate::mod_levels(shared_pa, host)?;
                return None;
            }
        }
        Some(Request::Filters(Box::new(activation.filters.clone())))
    }

    /// What a successful activation tells the driver in its queue descriptors.
    fn introduce(&self, host: &mut impl Host) {
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

    fn write_statistics(&self, reply: Reply, host: &mut impl Host) {
        let Reply::Counters { tx, rx } = reply else { return };
        let (tx_pas, rx_pas) = self.state.queue_descs();
        for (pa, (stats, _)) in tx_pas.into_iter().zip(tx) {
            put(host, pa, TxQueueDesc::LAYOUT.offset("stats"), &stats.0);
        }
        for (pa, (stats, _)) in rx_pas.into_iter().zip(rx) {
            put(host, pa, RxQueueDesc::LAYOUT.offset("stats"), &stats.0);
        }
    }

    fn write_status(&self, reply: Reply, host: &mut impl Host) {
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
fn put(host: &mut impl Host, pa: u64, offset: u64, bytes: &[u8]) {
    if let Some(pa) = pa.checked_add(offset) {
        let _ = host.write(pa, bytes);
    }
}

#[cfg(test)]
#[path = "plane_tests.rs"]
mod tests;
