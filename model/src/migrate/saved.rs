//! A whole function at rest in software, as bytes: what the data plane's [`Canon`](super::Canon) holds, and what it does not, the
//! configuration plane and the PCI function. It is what moves to another host.
//!
//! Not in it: frames (whoever holds them hands them on), the level of the INTx line (it follows from the causes, which are there)
//! and whether a cause met an unmask, which only the deviation `UnmaskForgetsAutoMask` asks for.

use super::canon::{self, Builder, FEW, field, flag};
use super::parts::{ControlV1, FunctionV1, LaterEntriesV1, NegotiatedV1, VectorsV1, kind};
use super::stream::{Part, Reader, RestoreError, Writer};
use crate::machine::{Mode, System};
use crate::memory::Ram;
use crate::pci::Pci;
use crate::plane::{Activation, Progress};
use crate::vmxnet3::plane::PlaneState;
use spec::event::Negotiated;
use spec::profile::Profile;
use spec::vmxnet3::{Command, Lifecycle, MAX_VECTORS, MsixEntry, RssFields, capability};

/// A function at rest in software.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Saved {
    /// What the configuration plane remembers; no register write waits.
    pub plane: PlaneState,
    /// The PCI function, its line down.
    pub pci: Pci,
    /// How far the data plane is; vectors alone while it is inactive.
    pub progress: Progress,
}

/// Why a function cannot be saved now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAtRest {
    /// It is on the adapter.
    #[error("the function is on the adapter")]
    Hardware,
    /// A switch or a command is under way.
    #[error("a switch or a command is under way")]
    Busy,
    /// A packet or a frame is under way, or frames wait.
    #[error("packets or frames are under way")]
    InFlight,
    /// A message was not taken yet.
    #[error("an interrupt message waits")]
    Message,
}

impl Saved {
    /// What the guest had agreed on with the function for longer than an activation.
    pub fn negotiated(&self) -> Negotiated {
        let PlaneState { version, capabilities, rss_fields, .. } = self.plane;
        Negotiated { version, capabilities, rss_fields }
    }

    /// Its bytes, in the caller's buffer.
    pub fn encode(&self, profile: &Profile, out: &mut Vec<u8>) {
        let PlaneState {
            lifecycle,
            version,
            upt,
            dsal,
            shared_pa,
            macl,
            mac,
            permanent_mac,
            last_command,
            result,
            link_up,
            interrupts,
            activation,
            queue_desc_pa,
            event_vector,
            coalesce,
            rss_fields,
            capabilities,
            pending: _,
        } = &self.plane;
        let mut writer = Writer::new(out, profile.id);
        let mut saved = ControlV1::default();
        saved.set_shared_pa(*shared_pa);
        saved.set_queue_desc_pa(*queue_desc_pa);
        saved.set_dsal(*dsal);
        saved.set_macl(*macl);
        saved.set_last_command(*last_command);
        saved.set_result(*result);
        saved.set_mac(*mac);
        saved.set_permanent_mac(*permanent_mac);
        saved.set_active(u8::from(*lifecycle == Lifecycle::Active));
        saved.set_version(*version);
        saved.set_upt(u8::from(*upt));
        saved.set_link_up(u8::from(*link_up));
        saved.set_interrupts(canon::interrupts_saved(*interrupts));
        saved.set_event_vector(*event_vector);
        saved.set_coalesce(*coalesce);
        writer.raw(kind::CONTROL, 0, &saved.0);
        let (config, table, pending, _) = self.pci.parts();
        let mut saved = FunctionV1::default();
        // Configuration space has as many bytes as the layout.
        saved.set_config(config.first_chunk().copied().unwrap_or([0; 256]));
        let few = table.first_chunk::<FEW>().copied();
        saved.set_table(few.unwrap_or([MsixEntry::default(); FEW]));
        saved.set_pending((pending & ((1 << FEW) - 1)) as u32);
        writer.raw(kind::FUNCTION, 0, &saved.0);
        if (*rss_fields, *capabilities) != (RssFields::DEFAULT, 0) {
            let mut saved = NegotiatedV1::default();
            saved.set_rss_fields(rss_fields.0);
            saved.set_capabilities(*capabilities);
            writer.raw(kind::NEGOTIATED, 0, &saved.0);
        }
        let mut saved = LaterEntriesV1::default();
        let mut entries = [untouched(); LATER];
        for (to, from) in entries.iter_mut().zip(&table[FEW..]) {
            *to = *from;
        }
        saved.set_table(entries);
        saved.set_pending((pending >> FEW) as u64);
        if saved != no_entries() {
            writer.raw(kind::LATER_ENTRIES, 0, &saved.0);
        }
        match activation {
            Some(activation) => canon::encode(&mut writer, activation, &self.progress),
            None => canon::vectors(&mut writer, &self.progress.vectors),
        }
        writer.finish();
    }

    /// From bytes that a device of `profile` saved: every field is checked as strictly as a guest's own writes.
    ///
    /// # Errors
    /// Names the part, the field and the value that was refused.
    pub fn decode(profile: &'static Profile, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader::new(bytes)?;
        if reader.profile() != profile.id {
            return Err(RestoreError::Profile { found: reader.profile() });
        }
        let mut next = |name| reader.next_part()?.ok_or(RestoreError::Missing { part: name, index: 0 });
        let mut plane = control(profile, &next("Control")?)?;
        let mut pci = function(profile, &next("Function")?)?;
        let mut first = next("Plane or Vectors")?;
        if first.kind == kind::NEGOTIATED {
            negotiated(profile, &first, &mut plane)?;
            first = next("Plane or Vectors")?;
        }
        if first.kind == kind::LATER_ENTRIES {
            pci = later_entries(&first, pci)?;
            first = next("Plane or Vectors")?;
        }
        let progress = if plane.lifecycle == Lifecycle::Active {
            let mut builder = Builder::begin(profile, &first)?;
            while let Some(part) = reader.next_part()? {
                if !builder.take(&part)? {
                    return Err(part.unknown());
                }
            }
            let canon = builder.finish()?;
            if canon.activation.filters.mac != plane.mac {
                let [a, b, c, d, e, f] = canon.activation.filters.mac;
                return Err(field("Plane", 0, "mac", u64::from_be_bytes([0, 0, a, b, c, d, e, f])));
            }
            plane.activation = Some(Activation { coalesce: plane.coalesce, ..canon.activation });
            canon.progress
        } else {
            if first.kind != kind::VECTORS || first.index != 0 {
                return Err(first.unknown());
            }
            let mut vectors = canon::restore_vectors(&first.read::<VectorsV1>()?)?;
            let mut rest = reader.next_part()?;
            if let Some(part) = rest.take_if(|part| part.kind == kind::LATER_VECTORS) {
                canon::restore_later(profile, &part, &mut vectors)?;
                rest = reader.next_part()?;
            }
            if let Some(part) = rest {
                return Err(part.unknown());
            }
            Progress { vectors, ..Progress::default() }
        };
        Ok(Self { plane, pci, progress })
    }
}

fn control(profile: &Profile, part: &Part<'_>) -> Result<PlaneState, RestoreError> {
    const NAME: &str = "Control";
    if part.kind != kind::CONTROL || part.index != 0 {
        return Err(part.unknown());
    }
    let saved: ControlV1 = part.read()?;
    let version = saved.version();
    if !(1..=32).contains(&version) || version != 1 && profile.versions >> (version - 1) & 1 == 0 {
        return Err(field(NAME, 0, "version", version));
    }
    if let Some(&byte) = saved.rsvd().iter().find(|&&byte| byte != 0) {
        return Err(field(NAME, 0, "rsvd", byte));
    }
    if !saved.coalesce().is_valid() {
        return Err(field(NAME, 0, "coalesce.coalMode", saved.coalesce().coal_mode()));
    }
    let active = flag(NAME, 0, "active", saved.active())?;
    Ok(PlaneState {
        lifecycle: if active { Lifecycle::Active } else { Lifecycle::Inactive },
        version,
        upt: flag(NAME, 0, "upt", saved.upt())?,
        dsal: saved.dsal(),
        shared_pa: saved.shared_pa(),
        macl: saved.macl(),
        mac: saved.mac(),
        permanent_mac: saved.permanent_mac(),
        last_command: saved.last_command(),
        result: saved.result(),
        link_up: flag(NAME, 0, "link_up", saved.link_up())?,
        interrupts: canon::interrupts_of(NAME, saved.interrupts())?,
        activation: None,
        queue_desc_pa: saved.queue_desc_pa(),
        event_vector: saved.event_vector(),
        coalesce: saved.coalesce(),
        rss_fields: RssFields::DEFAULT,
        capabilities: 0,
        pending: None,
    })
}

/// What was negotiated: nothing that this profile does not grant, nor by a driver whose version has no word for it.
fn negotiated(profile: &Profile, part: &Part<'_>, plane: &mut PlaneState) -> Result<(), RestoreError> {
    const NAME: &str = "Negotiated";
    if part.index != 0 {
        return Err(part.unknown());
    }
    let saved: NegotiatedV1 = part.read()?;
    let (fields, capabilities) = (RssFields(saved.rss_fields()), saved.capabilities());
    let known = |since: Command| plane.version >= since.since();
    let default = fields == RssFields::DEFAULT;
    let able = RssFields::known(profile.answers.rss_fields, plane.version);
    if fields.granted(able) != fields || !default && !known(Command::SetRssFields) {
        return Err(field(NAME, 0, "GET_RSS_FIELDS", fields.0));
    }
    let granted = capability::grant(profile.answers.capabilities, capabilities);
    // A part that says what is there without it would not be saved again.
    let nothing = default && capabilities == 0;
    if granted != capabilities || nothing || capabilities != 0 && !known(Command::GetDcr0Reg) {
        return Err(field(NAME, 0, "GET_DCR0_REG", capabilities));
    }
    if saved.rsvd() != 0 {
        return Err(field(NAME, 0, "rsvd", saved.rsvd()));
    }
    (plane.rss_fields, plane.capabilities) = (fields, capabilities);
    Ok(())
}

/// MSI-X vectors beyond those of [`FunctionV1`].
const LATER: usize = MAX_VECTORS - FEW;

/// An entry of the table as after reset.
fn untouched() -> MsixEntry {
    let mut entry = MsixEntry::default();
    entry.set_masked(true);
    entry
}

/// The later entries as after reset.
fn no_entries() -> LaterEntriesV1 {
    let mut entries = LaterEntriesV1::default();
    entries.set_table([untouched(); LATER]);
    entries
}

/// The later MSI-X entries, of a function that has them, over `pci`.
fn later_entries(part: &Part<'_>, pci: Pci) -> Result<Pci, RestoreError> {
    const NAME: &str = "LaterEntries";
    if part.index != 0 {
        return Err(part.unknown());
    }
    let saved: LaterEntriesV1 = part.read()?;
    let there = pci.vectors().saturating_sub(FEW);
    let beyond = saved.table().iter().skip(there).any(|entry| *entry != untouched());
    if saved.pending() >> there != 0 || saved == no_entries() || beyond {
        return Err(field(NAME, 0, "pending", saved.pending()));
    }
    let (config, table, pending, _) = pci.parts();
    let mut table = *table;
    table[FEW..].copy_from_slice(&saved.table());
    let (config, pending) = (config.to_vec(), pending | u128::from(saved.pending()) << FEW);
    Ok(pci.with_parts(&config, table, pending))
}

fn function(profile: &Profile, part: &Part<'_>) -> Result<Pci, RestoreError> {
    const NAME: &str = "Function";
    if part.kind != kind::FUNCTION || part.index != 0 {
        return Err(part.unknown());
    }
    let saved: FunctionV1 = part.read()?;
    if saved.rsvd() != 0 {
        return Err(field(NAME, 0, "rsvd", saved.rsvd()));
    }
    let mut pci = Pci::of(profile);
    // A function that was saved with less than this build gives it keeps that: its guest was shown it.
    if !Pci::msi_in(&saved.config()) {
        pci = pci.without_msi();
    }
    if Pci::vectors_in(&saved.config()).is_some_and(|vectors| usize::from(vectors) == FEW) {
        pci = pci.with_vectors(FEW as u8);
    }
    let mut table = [untouched(); MAX_VECTORS];
    table[..FEW].copy_from_slice(&saved.table());
    let pci = pci.with_parts(&saved.config(), table, saved.pending().into());
    let (config, _, pending, _) = pci.parts();
    if pending != u128::from(saved.pending()) || saved.pending() >> FEW != 0 {
        return Err(field(NAME, 0, "pending", saved.pending()));
    }
    match config.iter().zip(saved.config()).find(|(ours, theirs)| **ours != *theirs) {
        None => Ok(pci),
        Some((_, theirs)) => Err(field(NAME, 0, "config", theirs)),
    }
}

impl<M: Ram> System<M> {
    /// What a restore needs, from a function at rest: nothing of it changes.
    ///
    /// # Errors
    /// Says what is under way.
    pub fn save(&self) -> Result<Saved, NotAtRest> {
        if self.mode != Mode::Software {
            return Err(NotAtRest::Hardware);
        }
        if self.switch.is_some() || self.phase.is_some() || self.link.is_some() {
            return Err(NotAtRest::Busy);
        }
        if self.messages != 0 {
            return Err(NotAtRest::Message);
        }
        let progress = self.body.progress().map_err(|_| NotAtRest::InFlight)?;
        if self.net.waiting() != (0, 0) {
            return Err(NotAtRest::InFlight);
        }
        let (config, table, pending, _) = self.pci.parts();
        let pci = self.pci.fresh().with_parts(config, *table, pending);
        Ok(Saved { plane: self.plane.state().clone(), pci, progress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::{Interrupts, RxSetup, TxSetup, VectorProgress};
    use crate::vmxnet3::Plane;
    use spec::profile::Answers;
    use spec::vmxnet3::shared::{CoalesceScheme, coalesce};

    /// A device that grants more than the models do.
    static ABLE: Profile = Profile {
        versions: 0x1ff,
        answers: Answers { capabilities: 0b11, rss_fields: 0b1111, ..Answers::PLAIN },
        ..Profile::REFERENCE
    };

    fn saved(version: u8, rss_fields: u32, capabilities: u32) -> Saved {
        let plane = Plane::new(&ABLE, [2, 0, 0, 0, 0, 1]).state().clone();
        let plane = PlaneState { version, rss_fields: RssFields(rss_fields), capabilities, ..plane };
        let vectors = [VectorProgress::default(); MAX_VECTORS];
        Saved { plane, pci: Pci::of(&ABLE), progress: Progress { vectors, ..Progress::default() } }
    }

    fn bytes(saved: &Saved) -> Vec<u8> {
        let mut bytes = Vec::new();
        saved.encode(&ABLE, &mut bytes);
        bytes
    }

    #[test]
    fn what_was_negotiated_survives_and_takes_room_only_where_something_was() {
        let plain = bytes(&saved(7, 3, 0));
        for (version, fields, capabilities) in [(7, 3, 0), (7, 3, 1), (4, 7, 0), (9, 0xf, 0b11)] {
            let saved = saved(version, fields, capabilities);
            let bytes = bytes(&saved);
            assert_eq!(Saved::decode(&ABLE, &bytes), Ok(saved));
            assert_eq!(bytes.len() > plain.len(), (fields, capabilities) != (3, 0));
        }
    }

    #[test]
    fn a_scheme_in_force_goes_with_the_configuration_plane_and_spaces_on_the_other_side() {
        let mut scheme = CoalesceScheme::default();
        scheme.set_coal_mode(coalesce::RATE);
        scheme.set_coal_para([4000, 0, 0]);
        let mut active = saved(3, 3, 0);
        let tx = TxSetup { ring_pa: 0x1000, ring_size: 32, comp_pa: 0x2000, comp_size: 32, vector: 0 };
        let rx = RxSetup { ring_pa: [0x3000, 0x4000], ring_size: [32; 2], comp_pa: 0x5000, comp_size: 64, vector: 0 };
        let mut activation =
            Activation { tx: vec![tx], rx: vec![rx], mtu: 1500, coalesce: scheme, ..Activation::default() };
        activation.filters.mac = active.plane.mac;
        active.progress = Progress::fresh(&activation, active.progress.vectors);
        (active.plane.lifecycle, active.plane.coalesce) = (Lifecycle::Active, scheme);
        active.plane.activation = Some(activation);
        let bytes = bytes(&active);
        let restored = Saved::decode(&ABLE, &bytes);
        assert_eq!(restored.as_ref(), Ok(&active));
        let spacing = restored.unwrap().plane.activation.unwrap().spacing(&Profile::MODERATED.moderation);
        assert_eq!(spacing, [167; MAX_VECTORS]);
        // The data plane's own part belongs to one that moves alone: the scheme would stand there twice.
        let mut twice = Vec::new();
        let mut writer = Writer::new(&mut twice, ABLE.id);
        let mut reader = Reader::new(&bytes).unwrap();
        while let Some(part) = reader.next_part().unwrap() {
            writer.raw(part.kind, part.index, part.bytes);
        }
        writer.raw(kind::COALESCE, 0, &scheme.0);
        writer.finish();
        assert!(Saved::decode(&ABLE, &twice).is_err());
    }

    #[test]
    fn msi_is_saved_and_a_function_that_had_none_is_given_none() {
        let mut plain = saved(1, 3, 0);
        plain.plane.interrupts = Interrupts::Msi;
        plain.pci = Pci::of(&ABLE).for_driver();
        plain.pci.choose(Interrupts::Msi);
        let found = Saved::decode(&ABLE, &bytes(&plain)).expect("it restores");
        assert_eq!((found.pci.interrupts(), &found), (Interrupts::Msi, &plain));
        // As builds saved it that knew no MSI.
        plain.pci = Pci::of(&ABLE).without_msi();
        let found = Saved::decode(&ABLE, &bytes(&plain)).expect("it restores");
        assert_eq!((found.pci.has_msi(), &found), (false, &plain));
    }

    #[test]
    fn every_kind_of_interrupts_has_its_number_and_no_other_number_is_one() {
        for kind in Interrupts::ALL {
            assert_eq!(canon::interrupts_of("Control", canon::interrupts_saved(kind)), Ok(kind));
        }
        assert_eq!([Interrupts::MsiX, Interrupts::Line, Interrupts::Msi].map(canon::interrupts_saved), [0, 1, 2]);
        for value in 3..=u8::MAX {
            let refused = canon::interrupts_of("Control", value).expect_err("refused").to_string();
            assert!(refused.contains("interrupts"), "{refused}");
        }
    }

    #[test]
    fn what_no_driver_could_have_negotiated_is_refused_by_name() {
        for (version, fields, capabilities, name) in [
            (7, 0x13, 0, "GET_RSS_FIELDS"),
            (7, 4, 0, "GET_RSS_FIELDS"),
            (3, 7, 0, "GET_RSS_FIELDS"),
            (7, 3, 0b100, "GET_DCR0_REG"),
            (6, 3, 1, "GET_DCR0_REG"),
        ] {
            let refused = Saved::decode(&ABLE, &bytes(&saved(version, fields, capabilities)));
            let refused = refused.expect_err("refused").to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
