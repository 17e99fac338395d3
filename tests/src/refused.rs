//! What is not judged at all: devices that nobody can build, that the guests of the cases cannot use, or whose guests no adapter takes.

use crate::case::Target;
use model::hypervisor::eligibility::{Ineligible, profile_eligible};
use spec::profile::Profile;
use spec::vmxnet3::Interrupts;

/// Why nothing was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No device can be what the profile says.
    #[error("profile {name} contradicts itself: {why}")]
    Contradiction {
        /// The profile.
        name: &'static str,
        /// What does not go together.
        why: &'static str,
    },
    /// No guest of a device of this profile may enter hardware.
    #[error("no guest of profile {name} enters hardware (code {}): {why}", why.code())]
    Ineligible {
        /// The profile.
        name: &'static str,
        /// Why not.
        why: Ineligible,
    },
    /// The guests of most cases have a vector a queue; the cases of MSI and of the INTx line change over to them by themselves.
    #[error("the guests of the cases use MSI-X, which a device of profile {name} has not")]
    NoMsix {
        /// The profile.
        name: &'static str,
    },
}

/// Whether a device that is expected to be `profile` can be judged with guests on `target`.
///
/// # Errors
/// Why not; nothing was run.
pub fn admit(profile: &Profile, target: Target) -> Result<(), Refused> {
    let name = profile.name;
    if let Some(why) = profile.contradiction() {
        return Err(Refused::Contradiction { name, why });
    }
    match target {
        Target::Software if profile.interrupts != Interrupts::MsiX => Err(Refused::NoMsix { name }),
        Target::Software => Ok(()),
        Target::Adapter | Target::Both => profile_eligible(profile).map_err(|why| Refused::Ineligible { name, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::profile::Offer;

    #[test]
    fn a_device_that_contradicts_itself_is_judged_on_no_target() {
        let wrong = Profile { versions: 0, ..Profile::REFERENCE };
        for target in [Target::Software, Target::Adapter, Target::Both] {
            assert!(matches!(admit(&wrong, target), Err(Refused::Contradiction { .. })));
            assert_eq!(admit(&Profile::REFERENCE, target), Ok(()));
        }
    }

    #[test]
    fn a_device_without_msix_is_judged_on_no_target() {
        for (interrupts, why) in [(Interrupts::Line, Ineligible::Intx), (Interrupts::Msi, Ineligible::Msi)] {
            let least = Profile::REFERENCE.with_offer(Offer { interrupts, ..Profile::REFERENCE.offer() });
            assert_eq!(admit(&least, Target::Software), Err(Refused::NoMsix { name: least.name }));
            for target in [Target::Adapter, Target::Both] {
                assert_eq!(admit(&least, target), Err(Refused::Ineligible { name: least.name, why }));
            }
        }
    }
}
