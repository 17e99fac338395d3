//! Profiles that differ from a known one in one choice, to learn which choices a recording tells apart.

use spec::profile::{Deviation, Deviations, Profile};

const CHOICES: usize = Deviation::TABLE.len() + 1;

const fn flipped(set: Deviations, choice: Deviation) -> Deviations {
    let mut out = Deviations::NONE;
    let mut i = 0;
    while i < Deviation::TABLE.len() {
        let deviation = Deviation::TABLE[i].0;
        if set.has(deviation) != (deviation as u8 == choice as u8) {
            out = out.with(deviation);
        }
        i += 1;
    }
    out
}

/// One profile a deviation, with that one flipped; the last differs in the answer of GET_LINK.
const fn around(base: Profile) -> [Profile; CHOICES] {
    let mut all = [base; CHOICES];
    let mut i = 0;
    while i < Deviation::TABLE.len() {
        all[i].deviations = flipped(base.deviations, Deviation::TABLE[i].0);
        i += 1;
    }
    let qemu = Profile::QEMU_11_1.link_up;
    all[CHOICES - 1].link_up = if base.link_up == qemu { Profile::REFERENCE.link_up } else { qemu };
    all
}

static AROUND: [(u16, [Profile; CHOICES]); 3] = [
    (Profile::REFERENCE.id, around(Profile::REFERENCE)),
    (Profile::QEMU_11_1.id, around(Profile::QEMU_11_1)),
    (Profile::SMALL.id, around(Profile::SMALL)),
];

/// A profile with one choice made the other way.
pub(super) struct Toggle {
    /// The choice, in words.
    pub name: &'static str,
    /// The profile that was asked for has it.
    pub had: bool,
    /// The profile without it, or with it.
    pub profile: &'static Profile,
}

/// Every choice of `profile`, each made the other way; none for a profile that is not one of ours.
pub(super) fn of(profile: &'static Profile) -> Vec<Toggle> {
    let Some((_, all)) = AROUND.iter().find(|(id, _)| *id == profile.id) else { return Vec::new() };
    let rows = Deviation::TABLE.iter().map(|&(deviation, name, _)| (name, profile.has(deviation)));
    let link = [("GET_LINK answers 1000 Mbit/s", profile.link_up == Profile::QEMU_11_1.link_up)];
    rows.chain(link).zip(all).map(|((name, had), profile)| Toggle { name, had, profile }).collect()
}
