//! Devices that offer something else than the profile does: another interface version, other interrupts, a large BAR0.

use super::{Check, Subject, Target};
use crate::rig::{Bench, Setup};
use spec::profile::{Deviations, Moderation, Offer, Profile};
use spec::vmxnet3::{Bar1, Interrupts};

impl Check<'_, '_> {
    /// As [`Check::on`], with a device that offers every version there is. A guest selects one by [`Bench::select`].
    pub fn on_newest(&mut self, target: Target, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        if let Subject::Theirs(_) = self.subject {
            self.missed = Some("the device does not offer the interface version");
            return;
        }
        self.on_offering(Offer::NEWEST, target, setup, conversation);
    }

    /// The interface version that the case is about; the newest for a case that is about none.
    pub fn version(&self) -> u8 {
        self.case.version().unwrap_or(Offer::NEWEST)
    }

    /// As [`Check::on`], with a device that offers the version that the case is about; see [`Check::at`].
    pub fn at_version(
        &mut self,
        target: Target,
        setup: &Setup,
        mut conversation: impl FnMut(&mut Self, &mut Bench, u8),
    ) {
        let version = self.version();
        self.at(version, target, setup, |check, bench| conversation(check, bench, version));
    }

    /// As [`Check::on`], with a device that offers `version`, which the guest selects. Ours is built so where it does not offer it
    /// already; somebody else's says what it offers in VRRS.
    pub fn at(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        mut conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        self.on_offering(version, target, setup, |check, bench| {
            bench.select(version);
            conversation(check, bench);
        });
    }

    fn on_offering(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        if !self.is_offered(version, setup) {
            self.missed = Some("the device does not offer the interface version");
            return;
        }
        let (profile, device) = (self.profile, self.device);
        if matches!(self.subject, Subject::Ours(_)) {
            self.profile = offering(profile, version);
            self.device = if device == profile { self.profile } else { offering(device, version) };
        }
        self.on(target, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// As [`Check::at`], with a device that can be granted the doorbells of a second page of BAR0: ours is built so. Left out where
    /// the device is somebody else's, or differs from the reference.
    pub fn at_large_bar(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        if !matches!(self.subject, Subject::Ours(_)) || self.profile.deviations != Deviations::NONE {
            self.missed = Some("the device does not offer a large BAR0");
            return;
        }
        let (profile, device) = (self.profile, self.device);
        (self.profile, self.device) = (&Profile::LARGE_BAR, &Profile::LARGE_BAR);
        self.at(version, target, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }

    /// As [`Check::at`], with a device that spaces interrupts as its profile says. Ours is built so, but where it differs from the
    /// reference; somebody else's is left out unless its profile says how it does.
    pub fn at_moderated(
        &mut self,
        version: u8,
        target: Target,
        setup: &Setup,
        conversation: impl FnMut(&mut Self, &mut Bench),
    ) {
        self.moderated(|check| check.at(version, target, setup, conversation));
    }

    /// As [`Check::on_line`], with a device of [`Check::at_moderated`].
    pub fn moderated_on_line(&mut self, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        self.moderated(|check| check.on_line(setup, conversation));
    }

    fn moderated(&mut self, run: impl FnOnce(&mut Self)) {
        let (profile, device) = (self.profile, self.device);
        if profile.moderation == Moderation::NONE {
            if !matches!(self.subject, Subject::Ours(_)) || profile.deviations != Deviations::NONE {
                self.missed = Some("the profile of the device says of no time between interrupts");
                return;
            }
            (self.profile, self.device) = (&Profile::MODERATED, &Profile::MODERATED);
        }
        run(self);
        (self.profile, self.device) = (profile, device);
    }

    /// Whether the device offers `version`, or is ours and can be built so.
    fn is_offered(&mut self, version: u8, setup: &Setup) -> bool {
        let known = match &self.subject {
            Subject::Theirs(source) if version > 1 => source.offered(),
            // Every device knows the first.
            _ => return true,
        };
        let offered = known.or_else(|| {
            let mut bench = self.bench(Target::Software, setup)?;
            let offered = bench.read1(Bar1::Vrrs);
            self.close(&bench);
            match &mut self.subject {
                Subject::Theirs(source) if self.trouble.is_none() => source.offers(offered),
                _ => {}
            }
            Some(offered)
        });
        offered.is_some_and(|offered| offered >> (version - 1) & 1 == 1)
    }

    /// As [`Check::on`] in software, with a guest that has this kind of interrupts.
    pub fn on_kind(&mut self, kind: Interrupts, setup: &Setup, mut conversation: impl FnMut(&mut Self, &mut Bench)) {
        self.on(Target::Software, setup, |check, bench| {
            bench.interrupts(kind);
            conversation(check, bench);
        });
    }

    /// As [`Check::on`], with a device that tells its guest by the INTx line: ours is built without messages, somebody else's changes
    /// over to it.
    pub fn on_line(&mut self, setup: &Setup, conversation: impl FnMut(&mut Self, &mut Bench)) {
        if let Subject::Theirs(_) = self.subject {
            self.on_kind(Interrupts::Line, setup, conversation);
            return;
        }
        let (profile, device) = (self.profile, self.device);
        self.profile = with_best(profile, Interrupts::Line);
        self.device = if device == profile { self.profile } else { with_best(device, Interrupts::Line) };
        self.on(Target::Software, setup, conversation);
        (self.profile, self.device) = (profile, device);
    }
}

/// The same device with every version offered.
pub(crate) fn newest(profile: &'static Profile) -> &'static Profile {
    with_offer(profile, Offer { version: Offer::NEWEST, ..profile.offer() })
}

/// The same device, with `version` offered.
fn offering(profile: &'static Profile, version: u8) -> &'static Profile {
    if profile.versions >> (version - 1) & 1 == 1 {
        return profile;
    }
    with_offer(profile, Offer { version, ..profile.offer() })
}

/// The same device with no better interrupts than `interrupts`.
pub(crate) fn with_best(profile: &'static Profile, interrupts: Interrupts) -> &'static Profile {
    with_offer(profile, Offer { interrupts, ..profile.offer() })
}

fn with_offer(profile: &'static Profile, offer: Offer) -> &'static Profile {
    // One that is in no table is a wrong device of a test: it lives as long as the test.
    profile.offering(offer).unwrap_or_else(|| Box::leak(Box::new(profile.with_offer(offer))))
}
