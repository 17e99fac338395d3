//! What commands do, up to the point where they need the data plane.

use super::super::activate;
use super::told::put;
use super::{Pending, Plane, REFUSED};
use crate::host::Host;
use crate::mutant::Mutant;
use crate::plane::{Activation, Interface, Request};
use spec::profile::Deviation;
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};
use spec::vmxnet3::{Command, Lifecycle, RssFields};

impl Plane {
    /// Runs a command, up to the point where it needs the data plane.
    pub(super) fn run(&mut self, command: Command, host: &mut impl Host) -> Option<Request> {
        self.state.last_command = command.code();
        let stops = matches!(command, Command::QuiesceDev | Command::ResetDev);
        if !(stops && self.planted.is(Mutant::PlaneStopAnswersNothing)) {
            self.state.result = 0;
        }
        if command.since() > self.known_version() {
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
                self.state.rss_fields = RssFields::DEFAULT;
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
                let scheme = scheme.filter(|scheme| !bounded || scheme.is_valid()).unwrap_or(self.state.coalesce);
                self.state.coalesce = scheme;
                let request = self.moderate(|activation| activation.coalesce = scheme)?;
                return self.ask(Pending::Command(command), request);
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
            Command::SetRssFields if self.is_active() => match activate::rss_fields(self.state.shared_pa, host) {
                Some(wanted) => {
                    let version =
                        if self.planted.is(Mutant::PlaneEspAnyVersion) { u8::MAX } else { self.state.version };
                    let granted = wanted.granted(RssFields::known(self.profile.answers.rss_fields, version));
                    self.state.rss_fields = granted;
                    let whole = granted.0 & wanted.0 == wanted.0 || !self.planted.is(Mutant::PlaneFieldsRefused);
                    self.state.result = u32::from(!whole) * REFUSED;
                    if let Some(activation) =
                        self.state.activation.as_mut().filter(|a| a.interface.rss_fields != granted)
                    {
                        activation.interface.rss_fields = granted;
                        return self.ask(Pending::Command(command), Request::RssFields(granted));
                    }
                }
                None => self.state.result = REFUSED,
            },
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
        let any_mtu = self.planted.is(Mutant::PlaneMtuAnyVersion);
        let asked = activate::Asked {
            profile: self.profile,
            interface: Interface { version: self.state.version, rss_fields: self.state.rss_fields },
            any_version: self.planted.is(Mutant::PlaneDataRingAnyVersion),
            mtus: self.profile.limits.mtus(if any_mtu { u8::MAX } else { self.state.version }),
            shared_pa: self.state.shared_pa,
            mac: self.state.mac,
            coalesce: self.state.coalesce,
            magic: !self.planted.is(Mutant::PlaneMagicIgnored),
            first_block: self.planted.is(Mutant::PlaneFirstBlock),
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
        let activation = Activation { interrupts: self.state.interrupts, ..found.activation };
        self.state.activation = Some(activation.clone());
        self.ask(Pending::Command(Command::ActivateDev), Request::Start(Box::new(activation)))
    }

    /// Reads again the part of the shared area that `command` names; nothing while inactive, as ACTIVATE_DEV reads it all.
    fn update(&mut self, command: Command, host: &mut impl Host) -> Option<Request> {
        let shared_pa = self.state.shared_pa;
        let levels_first = self.planted.is(Mutant::PlaneLevelsFirst);
        let activation = self.state.activation.as_mut()?;
        match command {
            Command::UpdateRxMode => activation.filters.rx_mode = activate::rx_mode(shared_pa, host)?,
            Command::UpdateMacFilters => activation.filters.multicast = activate::multicast(shared_pa, host)?,
            Command::UpdateVlanFilters => activation.filters.vlans = activate::vlans(shared_pa, host)?,
            Command::UpdateFeature => {
                activation.features = activate::features(shared_pa, activation.interface.version, host)?;
                return Some(Request::Features(activation.features));
            }
            Command::UpdateRssidt => {
                let rss = activation.rss.as_mut()?;
                rss.table = activate::rss_table(shared_pa, rss.table.len(), host)?;
                return Some(Request::Rss(Some(Box::new(rss.clone()))));
            }
            _ => {
                let extended = activation.is_extended() && !levels_first;
                let levels = activate::mod_levels(shared_pa, extended, host)?;
                return self.moderate(|activation| activation.mod_levels = levels);
            }
        }
        Some(Request::Filters(Box::new(activation.filters.clone())))
    }

    /// Another moderation: the data plane is told where interrupts are spaced otherwise then, which on most devices they never are.
    fn moderate(&mut self, change: impl FnOnce(&mut Activation)) -> Option<Request> {
        let moderation = &self.profile.moderation;
        let activation = self.state.activation.as_mut()?;
        let before = activation.spacing(moderation);
        change(activation);
        if activation.spacing(moderation) == before || self.planted.is(Mutant::PlaneModerationUntold) {
            return None;
        }
        Some(Request::Moderation { levels: Box::new(activation.mod_levels), scheme: activation.coalesce })
    }
}
