//! What of a profile a guest is offered: interface versions, queue pairs, MSI-X, MSI or INTx. Each choice is a profile of its own with a
//! number and a name, so that saved states and traces find it again.

use super::Profile;
use crate::vmxnet3::{Interrupts, TUNNELS_UNASKED};

/// What of a profile a guest is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Highest interface version, 1 to [`Offer::NEWEST`]; VRRS shows it and those below, as far as [`Offer::versions`] lets them in.
    pub version: u8,
    /// Most TX and most RX queues, 1 to 8; 8 stands for as many as the device and the version have, which is more from version 6 on.
    /// No driver below version 6 can be told: ACTIVATE_DEV refuses one that sets up more.
    pub queues: u8,
    /// The best kind of interrupts: MSI-X, with MSI and the line behind it, MSI, with the line behind it, or the line alone.
    pub interrupts: Interrupts,
}

impl Offer {
    /// The newest interface version that the models implement.
    pub const NEWEST: u8 = 9;
    /// The choice that offers every queue. Source: vmxnet3_defs.h, VMXNET3_DEVICE_MAX_TX_QUEUES.
    pub const MOST_QUEUES: u8 = 8;

    /// VRRS of a device that offers this, a bit a version, and does `tunnels` or does not.
    ///
    /// A driver of versions 4 to 6 sends tunnels to be offloaded and cannot be told not to, one of version 7 can. So a device without
    /// tunnels leaves these versions out, and a driver takes the next one below that it knows. Whoever asks for one of them gets them
    /// all the same, with what they oblige the device to: only [`Offer::is_kept`] knows.
    pub const fn versions(self, tunnels: bool) -> u32 {
        let all = (1 << self.version) - 1;
        if tunnels || self.version <= *TUNNELS_UNASKED.end() { all } else { all & !UNASKED }
    }

    /// Whether a device that does `tunnels`, or does not, does everything that the versions of this offer oblige it to. From version 7
    /// on a driver can be told to keep segmentation of tunnels to itself, but checksums inside them still come unasked. Source: Linux
    /// vmxnet3_drv.c, vmxnet3_declare_features, which leaves NETIF_F_HW_CSUM in hw_enc_features.
    pub const fn is_kept(self, tunnels: bool) -> bool {
        tunnels || self.version < *TUNNELS_UNASKED.start()
    }

    const fn is_valid(self) -> bool {
        self.version >= 1 && self.version <= Self::NEWEST && self.queues >= 1 && self.queues <= Self::MOST_QUEUES
    }

    /// This offer with what `word` of a profile's name says: `v3`, `q2`, `intx`, `msi`, `msix`.
    pub(super) fn told(self, word: &str) -> Option<Self> {
        let number = |rest: &str| rest.parse().ok();
        if let Some(interrupts) = Interrupts::ALL.into_iter().find(|kind| kind.word() == word) {
            return Some(Self { interrupts, ..self });
        }
        match word.split_at_checked(1)? {
            ("v", rest) => Some(Self { version: number(rest)?, ..self }),
            ("q", rest) => Some(Self { queues: number(rest)?, ..self }),
            _ => None,
        }
    }

    const fn equals(self, other: Self) -> bool {
        self.version == other.version && self.queues == other.queues && self.interrupts as u8 == other.interrupts as u8
    }

    /// Place in a row of the table.
    const fn place(self) -> usize {
        let pairs = (self.version as usize - 1) * Self::MOST_QUEUES as usize + self.queues as usize - 1;
        match self.interrupts {
            Interrupts::MsiX => pairs * 2,
            Interrupts::Line => pairs * 2 + 1,
            // Behind the others: numbers that were given out stay.
            Interrupts::Msi => PAIRS_TWICE + pairs,
        }
    }

    const fn at(place: usize) -> Self {
        let (pairs, interrupts) = match place {
            PAIRS_TWICE.. => (place - PAIRS_TWICE, Interrupts::Msi),
            _ if place.is_multiple_of(2) => (place / 2, Interrupts::MsiX),
            _ => (place / 2, Interrupts::Line),
        };
        let queues = Self::MOST_QUEUES as usize;
        Self { version: (pairs / queues) as u8 + 1, queues: (pairs % queues) as u8 + 1, interrupts }
    }
}

/// The bits of versions 4 to 6 in VRRS.
const UNASKED: u32 = (1 << *TUNNELS_UNASKED.end()) - (1 << (*TUNNELS_UNASKED.start() - 1));
/// Versions and numbers of queues there are, of each kind of interrupts.
const PAIRS: usize = Offer::NEWEST as usize * Offer::MOST_QUEUES as usize;
/// Where offers of MSI begin in the table.
const PAIRS_TWICE: usize = PAIRS * 2;
/// Offers there are.
const CHOICES: usize = PAIRS * 3;
/// Profiles that offers are made of: [`Profile::ALL`].
const BASES: [Profile; 6] =
    [Profile::REFERENCE, Profile::QEMU_11_1, Profile::SMALL, Profile::LARGE_BAR, Profile::MODERATED, Profile::QEMU_7_2];
const _: () = assert!(BASES.len() == Profile::ALL.len());

/// A name built at compile time.
#[derive(Clone, Copy)]
struct Name {
    bytes: [u8; 32],
    len: usize,
}

impl Name {
    const fn with(mut self, text: &[u8]) -> Self {
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    /// What the offer changes, behind the name of the profile: `reference+v3+q2+intx`.
    const fn of(base: &Profile, offer: Offer) -> Self {
        let own = base.offer();
        let mut name = Self { bytes: [0; 32], len: 0 }.with(base.name.as_bytes());
        if offer.version != own.version {
            name = name.with(&[b'+', b'v', b'0' + offer.version]);
        }
        if offer.queues != own.queues {
            name = name.with(&[b'+', b'q', b'0' + offer.queues]);
        }
        if offer.interrupts as u8 != own.interrupts as u8 {
            name = name.with(b"+").with(offer.interrupts.word().as_bytes());
        }
        name
    }

    const fn text(&'static self) -> &'static str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => panic!("names are ASCII"),
        }
    }
}

static NAMES: [[Name; CHOICES]; BASES.len()] = {
    let mut all = [[Name { bytes: [0; 32], len: 0 }; CHOICES]; BASES.len()];
    let mut base = 0;
    while base < BASES.len() {
        let mut place = 0;
        while place < CHOICES {
            all[base][place] = Name::of(&BASES[base], Offer::at(place));
            place += 1;
        }
        base += 1;
    }
    all
};

static PROFILES: [[Profile; CHOICES]; BASES.len()] = {
    let mut all = [[Profile::REFERENCE; CHOICES]; BASES.len()];
    let mut base = 0;
    while base < BASES.len() {
        let mut place = 0;
        while place < CHOICES {
            let offer = Offer::at(place);
            let mut profile = BASES[base].with_offer(offer);
            if !offer.equals(BASES[base].offer()) {
                profile.id |= (place as u16 + 1) << 8;
                profile.name = NAMES[base][place].text();
            }
            all[base][place] = profile;
            place += 1;
        }
        base += 1;
    }
    all
};

/// Every profile that offers lead to.
pub(super) fn derived() -> impl Iterator<Item = &'static Profile> {
    PROFILES.iter().flatten()
}

impl Profile {
    /// What it offers.
    pub const fn offer(&self) -> Offer {
        Offer {
            version: (32 - self.versions.leading_zeros()) as u8,
            queues: self.queue_pairs,
            interrupts: self.interrupts,
        }
    }

    /// The same device with another offer, number and name unchanged: two devices of one number are not told apart in what is
    /// saved, so this is for devices that are not saved.
    #[must_use]
    pub const fn with_offer(mut self, offer: Offer) -> Self {
        self.versions = offer.versions(self.answers.tunnels);
        self.queue_pairs = offer.queues;
        self.interrupts = offer.interrupts;
        self
    }

    /// The profile that is like this one and offers `offer`; its number and name tell. `None` where the offer is out of range, or
    /// this is none of [`Profile::ALL`] nor one that they lead to.
    pub fn offering(&self, offer: Offer) -> Option<&'static Self> {
        let base =
            BASES.iter().position(|base| base.id == self.id & 0xff && base.with_offer(self.offer()).is_like(self))?;
        offer.is_valid().then(|| &PROFILES[base][offer.place()])
    }

    /// Equal but for number and name.
    fn is_like(&self, other: &Self) -> bool {
        Self { id: 0, name: "", ..*self } == Self { id: 0, name: "", ..*other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_offer_has_its_own_number_and_name_and_both_lead_back() {
        let mut seen = BTreeSet::new();
        for profile in derived() {
            assert_eq!(Profile::by_id(profile.id), Some(profile));
            assert_eq!(Profile::by_name(profile.name), Some(profile));
            assert!(seen.insert(profile.name), "{}", profile.name);
        }
        assert_eq!(seen.len(), Profile::ALL.len() * CHOICES);
        assert!(Profile::ALL.iter().all(|profile| seen.contains(profile.name)));
    }

    #[test]
    fn an_offer_is_what_the_profile_then_offers() {
        for base in Profile::ALL {
            assert_eq!(base.offering(base.offer()), Some(*base));
            for place in 0..CHOICES {
                let offer = Offer::at(place);
                let profile = base.offering(offer).expect("valid");
                assert_eq!((offer.place(), profile.offer()), (place, offer));
                assert_eq!(profile.versions, (1 << offer.version) - 1);
                assert_eq!(profile.offering(base.offer()), Some(*base), "and back");
            }
        }
        let named = Profile::REFERENCE.offering(Offer { version: 3, queues: 2, interrupts: Interrupts::Line });
        assert_eq!(named.map(|profile| profile.name), Some("reference+v3+q2+intx"));
    }

    #[test]
    fn numbers_that_were_given_out_stay() {
        let own = Profile::REFERENCE.offer();
        use Interrupts::{Line, Msi, MsiX};
        for (version, queues, interrupts, id) in
            [(2, 8, MsiX, 0x1f01), (3, 8, MsiX, 0x2f01), (3, 2, Line, 0x2401), (1, 8, Msi, 0x9801), (9, 8, Msi, 0xd801)]
        {
            let profile = Profile::REFERENCE.offering(Offer { version, queues, interrupts }).expect("valid");
            assert_eq!(profile.id, id, "{}", profile.name);
        }
        let newest = Profile::REFERENCE.offering(Offer { version: 9, ..own }).expect("valid");
        assert_eq!((newest.id, newest.name), (0x8f01, "reference+v9"));
    }

    #[test]
    fn versions_that_cannot_decline_tunnels_are_left_out_unless_they_are_asked_for() {
        let own = Profile::REFERENCE.offer();
        for version in 1..=9 {
            let offer = Offer { version, ..own };
            assert_eq!(offer.is_kept(false), version < 4, "{version}");
            assert!(offer.is_kept(true) && offer.versions(true) == (1 << version) - 1);
            assert_eq!(offer.versions(false) >> (version - 1), 1, "what was asked for is offered");
        }
    }

    #[test]
    fn a_name_may_say_what_is_so_anyway_and_nothing_else() {
        let of = |name| Profile::by_name(name).map(|profile| profile.name);
        assert_eq!(of("reference+v1"), Some("reference"));
        assert_eq!(of("small+q8+msix+v2"), Some("small+v2"));
        for wrong in
            ["", "+v2", "reference+", "reference+v", "reference+v0", "reference+v10", "reference+w3", "reference+ü"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_out_of_range_or_unknown_is_not_offered() {
        let own = Profile::REFERENCE.offer();
        for offer in [
            Offer { version: 0, ..own },
            Offer { version: 10, ..own },
            Offer { queues: 0, ..own },
            Offer { queues: 9, ..own },
        ] {
            assert_eq!(Profile::REFERENCE.offering(offer), None, "{offer:?}");
        }
        let other = Profile { link_up: 1, ..Profile::REFERENCE };
        assert_eq!(other.offering(own), None);
    }
}
