//! The configuration plane: BAR1, the commands and what they read and write in guest memory.
//!
//! It is the hypervisor's whether the data path is in software or on the adapter. A register write that needs the data
//! plane returns a [`Request`]; whoever owns the active data plane serves it, hands the [`Reply`] to [`Plane::finish`], and
//! keeps the guest's CPUs out of BAR1 until then. A write that returns nothing is complete.
//!
//! Sources: vmxnet3_defs.h, VMXNET3_REG_* and VMXNET3_CMD_*; linux vmxnet3_drv.c for what must be done when a write returns.
//! What the data path does not do is declined as the interface has it: by [`Answers`](spec::profile::Answers) of the profile. Not modelled:
//! wake-up filters, the plug-in block, packet steering. Moderation levels and coalescing schemes are kept here and told to the data
//! plane, which delays by them what [`Moderation`](spec::profile::Moderation) of the profile says.

mod commands;
mod told;

use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Activation, Interrupts, Reply, Request};
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::capability::CAPABILITIES_SINCE;
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::shared::{CoalesceScheme, ECR_OFFSET};
use spec::vmxnet3::{Bar0, Bar1, Command, Lifecycle, QUEUE_DESC_BYTES, RssFields, capability};
use told::put;

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
    /// How interrupts reach the guest, as the PCI layer has it; copied at ACTIVATE_DEV.
    pub interrupts: Interrupts,
    /// Configuration copies; present while active and while ACTIVATE_DEV waits for the data plane.
    pub activation: Option<Activation>,
    /// Where the queue descriptors lie, guest-physical; 256 bytes each, TX first.
    pub queue_desc_pa: u64,
    /// Vector of events.
    pub event_vector: u8,
    /// Coalescing scheme in force: disabled until a driver of version 3 sets one.
    pub coalesce: CoalesceScheme,
    /// RSS fields in force, version 4.
    pub rss_fields: RssFields,
    /// Capabilities granted through DCR0, version 7; they outlive RESET_DEV.
    pub capabilities: u32,
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
            interrupts: Interrupts::MsiX,
            activation: None,
            queue_desc_pa: 0,
            event_vector: 0,
            coalesce: CoalesceScheme::default(),
            rss_fields: RssFields::DEFAULT,
            capabilities: 0,
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

    /// The PCI layer says how interrupts reach the guest; the next ACTIVATE_DEV works from it. True: that is another kind than before.
    pub fn set_interrupts(&mut self, kind: Interrupts) -> bool {
        core::mem::replace(&mut self.state.interrupts, kind) != kind
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
            Bar1::Dcr(0) if self.has_capabilities() => self.profile.answers.capabilities,
            Bar1::Ptcr(0) if self.has_capabilities() => self.profile.answers.passthrough,
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
            Bar1::Dcr(0) if self.has_capabilities() => {
                let unoffered = self.planted.is(Mutant::PlaneGrantsUnoffered);
                let offered = if unoffered { u32::MAX } else { self.profile.answers.capabilities };
                self.state.capabilities = capability::grant(offered, value);
            }
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

    /// The version by which commands are known.
    fn known_version(&self) -> u8 {
        if self.planted.is(Mutant::PlaneLaterCommands) { u8::MAX } else { self.state.version }
    }

    /// The version in force has DCR and PTCR.
    fn has_capabilities(&self) -> bool {
        self.state.version >= CAPABILITIES_SINCE
    }

    /// The register of BAR0 that the driver meets at `offset`: what the version in force has, and with the large BAR granted the
    /// doorbells of the second page too.
    #[inline]
    pub fn bar0(&self, offset: u32) -> Option<Bar0> {
        let large = self.state.capabilities & capability::LARGE_BAR != 0 && self.has_capabilities();
        let large =
            large && !self.planted.is(Mutant::PlaneSecondPageDead) || self.planted.is(Mutant::PlaneSecondPageOpen);
        let version = if self.planted.is(Mutant::PlaneWideRegisters) { u8::MAX } else { self.state.version };
        self.profile.bar0(offset, version, large)
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
}

#[cfg(test)]
mod tests;
