//! The canonical form of a data plane that moves, and its bytes.

use super::parts::{
    CoalesceV1, InterfaceV1, LaterLevelsV1, LaterVectorsV1, PlaneV1, PositionV1, RssV1, RxDataV1, RxQueueV1, TxQueueV1,
    VectorsV1, kind,
};
use super::stream::{Part, Reader, RestoreError, Writer};
use crate::plane::{
    Activation, Filters, Interface, Interrupts, Progress, Rss, RxDataRing, RxProgress, RxSetup, TxProgress, TxSetup,
    VectorProgress,
};
use spec::layout::Bytes;
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::shared::CoalesceScheme;
use spec::vmxnet3::{CELL_BYTES, Command, DATA_ENTRY_MAX, DATA_ENTRY_STEP, MAX_VECTORS, RssFields, Version};

/// What moves between adapter and software: how the data plane was activated and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Canon {
    /// How it was activated, with the configuration plane's copy of filters and steering.
    pub activation: Activation,
    /// How far it is.
    pub progress: Progress,
}

/// Most multicast addresses: mfTableLen is 16 bits and counts 6 bytes each.
const MAX_MULTICASTS: usize = 65_535 / 6;

impl Canon {
    /// Its bytes, in the caller's buffer.
    pub fn encode(&self, profile: &Profile, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, profile.id);
        encode(&mut writer, &self.activation, &self.progress);
        if self.activation.coalesce != CoalesceScheme::default() {
            let mut saved = CoalesceV1::default();
            saved.set_scheme(self.activation.coalesce);
            writer.raw(kind::COALESCE, 0, &saved.0);
        }
        writer.finish();
    }

    /// From bytes: every field is checked against `profile`'s limits and against the others.
    ///
    /// # Errors
    /// Names the part, the field and the value that was refused.
    pub fn decode(bytes: &[u8]) -> Result<(&'static Profile, Self), RestoreError> {
        let mut reader = Reader::new(bytes)?;
        let found = reader.profile();
        let profile = Profile::by_id(found).ok_or(RestoreError::Profile { found })?;
        let first = reader.next_part()?.ok_or(RestoreError::Missing { part: "Plane", index: 0 })?;
        let mut builder = Builder::begin(profile, &first)?;
        while let Some(part) = reader.next_part()? {
            let over = builder.canon.activation.coalesce != CoalesceScheme::default();
            match part.kind {
                kind::COALESCE if !over => builder.coalesce(&part)?,
                _ if !over && builder.take(&part)? => {}
                _ => return Err(part.unknown()),
            }
        }
        Ok((profile, builder.finish()?))
    }
}

fn position(at: RingIndex) -> PositionV1 {
    let mut saved = PositionV1::default();
    saved.set_index(at.index());
    saved.set_generation(at.generation());
    saved
}

/// Vectors in the first part of them.
pub(super) const FEW: usize = 25;

/// Appends masks and causes, a bit each.
pub(super) fn vectors(writer: &mut Writer<'_>, vectors: &[VectorProgress; MAX_VECTORS]) {
    let (few, later) = vectors.split_at(FEW);
    let bits = |vectors: &[VectorProgress], bit: fn(&VectorProgress) -> bool| {
        vectors.iter().enumerate().fold(0u64, |bits, (i, vector)| bits | u64::from(bit(vector)) << i)
    };
    let mut saved = VectorsV1::default();
    saved.set_masked(bits(few, |v| v.masked) as u32);
    saved.set_pending(bits(few, |v| v.pending) as u32);
    writer.raw(kind::VECTORS, 0, &saved.0);
    let mut saved = LaterVectorsV1::default();
    saved.set_unmasked(bits(later, |v| !v.masked));
    saved.set_pending(bits(later, |v| v.pending));
    if saved != LaterVectorsV1::default() {
        writer.raw(kind::LATER_VECTORS, 0, &saved.0);
    }
}

/// The inverse of [`vectors`], without the later ones.
pub(super) fn restore_vectors(saved: &VectorsV1) -> Result<[VectorProgress; MAX_VECTORS], RestoreError> {
    for (name, value) in [("masked", saved.masked()), ("pending", saved.pending())] {
        if value >> FEW != 0 {
            return Err(field("Vectors", 0, name, value));
        }
    }
    let mut vectors = [VectorProgress::default(); MAX_VECTORS];
    for (i, vector) in vectors.iter_mut().enumerate().take(FEW) {
        let bit = |value: u32| value >> i & 1 == 1;
        *vector = VectorProgress { masked: bit(saved.masked()), pending: bit(saved.pending()) };
    }
    Ok(vectors)
}

/// The later vectors, of a device that has them, over `vectors`.
pub(super) fn restore_later(
    profile: &Profile,
    part: &Part<'_>,
    vectors: &mut [VectorProgress; MAX_VECTORS],
) -> Result<(), RestoreError> {
    const NAME: &str = "LaterVectors";
    let later = &mut vectors[FEW..];
    if part.index != 0 || later.iter().any(|vector| *vector != VectorProgress::default()) {
        return Err(part.unknown());
    }
    let saved: LaterVectorsV1 = part.read()?;
    let there = usize::from(profile.widest().vectors).saturating_sub(FEW);
    for (name, value) in [("unmasked", saved.unmasked()), ("pending", saved.pending())] {
        if value >> there != 0 {
            return Err(field(NAME, 0, name, value));
        }
    }
    if saved == LaterVectorsV1::default() {
        return Err(field(NAME, 0, "unmasked", saved.unmasked()));
    }
    for (i, vector) in later.iter_mut().enumerate() {
        let bit = |value: u64| value >> i & 1 == 1;
        *vector = VectorProgress { masked: !bit(saved.unmasked()), pending: bit(saved.pending()) };
    }
    Ok(())
}

/// Appends the parts of a data plane.
pub(super) fn encode(writer: &mut Writer<'_>, activation: &Activation, progress: &Progress) {
    let Activation {
        interface,
        tx,
        rx,
        rx_data,
        auto_mask,
        interrupts,
        mtu,
        max_rx_sg,
        features,
        filters,
        rss,
        mod_levels,
        // A whole function has it with the configuration plane's part, a data plane alone in one of its own.
        coalesce: _,
    } = activation;
    let Progress { tx: tx_progress, rx: rx_progress, vectors } = progress;
    let Filters { mac, rx_mode, multicast, vlans } = filters;
    let mut plane = PlaneV1::default();
    plane.set_features(*features);
    plane.set_mtu(*mtu);
    plane.set_max_rx_sg(*max_rx_sg);
    plane.set_tx_queues(tx.len() as u8);
    plane.set_rx_queues(rx.len() as u8);
    plane.set_auto_mask(u8::from(*auto_mask));
    plane.set_interrupts(interrupts_saved(*interrupts));
    plane.set_mac(*mac);
    plane.set_rx_mode(*rx_mode);
    plane.set_multicasts(multicast.len() as u16);
    plane.set_rss(u8::from(rss.is_some()));
    let (few, later) = mod_levels.split_at(FEW);
    plane.set_mod_levels(Bytes::get(few));
    writer.raw(kind::PLANE, 0, &plane.0);

    if *interface != Interface::default() {
        let mut saved = InterfaceV1::default();
        saved.set_version(interface.version);
        saved.set_rss_fields(interface.rss_fields.0);
        writer.raw(kind::INTERFACE, 0, &saved.0);
    }
    if later.iter().any(|&level| level != 0) {
        writer.raw(kind::LATER_LEVELS, 0, later);
    }
    for (index, (setup, at)) in tx.iter().zip(tx_progress).enumerate() {
        let TxSetup { ring_pa, ring_size, comp_pa, comp_size, vector } = *setup;
        let TxProgress { next, comp, counters, stopped } = *at;
        let mut saved = TxQueueV1::default();
        saved.set_ring_pa(ring_pa);
        saved.set_comp_pa(comp_pa);
        saved.set_ring_size(ring_size);
        saved.set_comp_size(comp_size);
        saved.set_next(position(next));
        saved.set_comp(position(comp));
        saved.set_stopped(u8::from(stopped.is_some()));
        saved.set_error(stopped.map_or(0, QueueError::code));
        saved.set_vector(vector);
        saved.set_counters(counters);
        writer.raw(kind::TX_QUEUE, index as u16, &saved.0);
    }
    for (index, (setup, at)) in rx.iter().zip(rx_progress).enumerate() {
        let RxSetup { ring_pa, ring_size, comp_pa, comp_size, vector } = *setup;
        let RxProgress { next, comp, counters, stopped } = *at;
        let mut saved = RxQueueV1::default();
        saved.set_ring_pa(ring_pa);
        saved.set_comp_pa(comp_pa);
        saved.set_ring_size(ring_size);
        saved.set_comp_size(comp_size);
        saved.set_next0(position(next[0]));
        saved.set_next1(position(next[1]));
        saved.set_comp(position(comp));
        saved.set_stopped(u8::from(stopped.is_some()));
        saved.set_error(stopped.map_or(0, QueueError::code));
        saved.set_vector(vector);
        saved.set_counters(counters);
        writer.raw(kind::RX_QUEUE, index as u16, &saved.0);
    }
    self::vectors(writer, vectors);

    let mut bytes = [0; 512];
    vlans.put(&mut bytes);
    writer.raw(kind::VLANS, 0, &bytes);
    if !multicast.is_empty() {
        writer.raw(kind::MULTICAST, 0, multicast.as_flattened());
    }
    if let Some(Rss { hash_type, key, table }) = rss {
        let mut saved = RssV1::default();
        saved.set_hash_type(*hash_type);
        saved.set_table_size(table.len() as u16);
        saved.set_key(*key);
        let mut entries = [0; 128];
        entries[..table.len()].copy_from_slice(table);
        saved.set_table(entries);
        writer.raw(kind::RSS, 0, &saved.0);
    }
    for (index, &RxDataRing { pa, entry_bytes }) in rx_data.iter().enumerate().filter(|(_, ring)| ring.entry_bytes != 0)
    {
        let mut saved = RxDataV1::default();
        saved.set_base_pa(pa);
        saved.set_entry_bytes(entry_bytes);
        writer.raw(kind::RX_DATA, index as u16, &saved.0);
    }
}

/// Collects the parts of a data plane, in the order in which they were written.
pub(super) struct Builder {
    profile: &'static Profile,
    plane: PlaneV1,
    canon: Canon,
    vectors: bool,
    vlans: bool,
}

pub(super) fn field(part: &'static str, index: u16, field: &'static str, value: impl Into<u64>) -> RestoreError {
    RestoreError::Field { part, index, field, value: value.into() }
}

pub(super) fn flag(part: &'static str, index: u16, name: &'static str, value: u8) -> Result<bool, RestoreError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(field(part, index, name, value)),
    }
}

/// The number of a kind of interrupts in saved states: the line was the only other one for long.
pub(super) const fn interrupts_saved(kind: Interrupts) -> u8 {
    match kind {
        Interrupts::MsiX => 0,
        Interrupts::Line => 1,
        Interrupts::Msi => 2,
    }
}

/// The kind of interrupts that `value` stands for.
pub(super) fn interrupts_of(part: &'static str, value: u8) -> Result<Interrupts, RestoreError> {
    let kind = Interrupts::ALL.into_iter().find(|&kind| interrupts_saved(kind) == value);
    kind.ok_or_else(|| field(part, 0, "interrupts", value))
}

/// A ring of one queue, as the checks need it.
struct Ring {
    part: &'static str,
    index: u16,
    base: (&'static str, u64),
    size: (&'static str, u32),
    most: u32,
    at: (&'static str, PositionV1),
}

impl Ring {
    fn check(&self, profile: &Profile) -> Result<RingIndex, RestoreError> {
        let Self { part, index, base, size, most, at } = *self;
        let limits = &profile.limits;
        if size.1 == 0 || size.1 > most || !size.1.is_multiple_of(limits.ring_step) {
            return Err(field(part, index, size.0, size.1));
        }
        let end = base.1.checked_add(u64::from(size.1) * CELL_BYTES);
        if !base.1.is_multiple_of(limits.ring_align) || end.is_none() {
            return Err(field(part, index, base.0, base.1));
        }
        RingIndex::new(at.1.index(), at.1.generation(), size.1).ok_or_else(|| field(part, index, at.0, at.1.index()))
    }
}

fn stopped(part: &'static str, index: u16, flagged: u8, error: u32) -> Result<Option<QueueError>, RestoreError> {
    match (flag(part, index, "stopped", flagged)?, QueueError::from(error)) {
        (false, _) if error == 0 => Ok(None),
        (true, error) if !matches!(error, QueueError::Unknown(_)) => Ok(Some(error)),
        _ => Err(field(part, index, "error", error)),
    }
}

impl Builder {
    /// From the first part, which must be the plane.
    pub(super) fn begin(profile: &'static Profile, part: &Part<'_>) -> Result<Self, RestoreError> {
        if part.kind != kind::PLANE || part.index != 0 {
            return Err(part.unknown());
        }
        const NAME: &str = "Plane";
        let plane: PlaneV1 = part.read()?;
        let limits = &profile.limits;
        if plane.tx_queues() == 0 || plane.tx_queues() > limits.tx_queues {
            return Err(field(NAME, 0, "numTxQueues", plane.tx_queues()));
        }
        if plane.rx_queues() == 0 || plane.rx_queues() > limits.rx_queues {
            return Err(field(NAME, 0, "numRxQueues", plane.rx_queues()));
        }
        if usize::from(plane.multicasts()) > MAX_MULTICASTS {
            return Err(field(NAME, 0, "mfTableLen", plane.multicasts()));
        }
        flag(NAME, 0, "rss", plane.rss())?;
        if let Some(&word) = plane.rsvd().iter().find(|&&word| word != 0) {
            return Err(field(NAME, 0, "rsvd", word));
        }
        let mut mod_levels = [0; MAX_VECTORS];
        mod_levels[..FEW].copy_from_slice(&plane.mod_levels());
        let activation = Activation {
            interface: Interface::default(),
            tx: Vec::with_capacity(usize::from(plane.tx_queues())),
            rx: Vec::with_capacity(usize::from(plane.rx_queues())),
            rx_data: Vec::new(),
            auto_mask: flag(NAME, 0, "autoMask", plane.auto_mask())?,
            interrupts: interrupts_of(NAME, plane.interrupts())?,
            mtu: plane.mtu(),
            max_rx_sg: plane.max_rx_sg(),
            features: plane.features(),
            filters: Filters { mac: plane.mac(), rx_mode: plane.rx_mode(), ..Filters::default() },
            rss: None,
            mod_levels,
            coalesce: CoalesceScheme::default(),
        };
        let canon = Canon { activation, progress: Progress::default() };
        Ok(Self { profile, plane, canon, vectors: false, vlans: false })
    }

    /// Takes a part; false when it is none of a data plane's.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Result<bool, RestoreError> {
        match part.kind {
            kind::INTERFACE => self.interface(part)?,
            kind::LATER_LEVELS => self.later_levels(part)?,
            kind::TX_QUEUE => self.tx_queue(part)?,
            kind::RX_QUEUE => self.rx_queue(part)?,
            kind::RX_DATA => self.rx_data(part)?,
            kind::VECTORS if part.index == 0 && !self.vectors => {
                self.canon.progress.vectors = restore_vectors(&part.read()?)?;
                self.vectors = true;
            }
            kind::LATER_VECTORS if self.vectors => {
                restore_later(self.profile, part, &mut self.canon.progress.vectors)?;
            }
            kind::VLANS if part.index == 0 && !self.vlans => {
                if part.bytes.len() != 512 {
                    let found = part.bytes.len() as u32;
                    return Err(RestoreError::Length { part: "Vlans", index: 0, found, expected: 512 });
                }
                self.canon.activation.filters.vlans = Bytes::get(part.bytes);
                self.vlans = true;
            }
            kind::MULTICAST if part.index == 0 && self.canon.activation.filters.multicast.is_empty() => {
                let expected = u32::from(self.plane.multicasts()) * 6;
                let found = part.bytes.len() as u32;
                if found != expected || expected == 0 {
                    return Err(RestoreError::Length { part: "Multicast", index: 0, found, expected });
                }
                self.canon.activation.filters.multicast = part.bytes.as_chunks().0.to_vec();
            }
            kind::RSS if part.index == 0 && self.plane.rss() == 1 && self.canon.activation.rss.is_none() => {
                let saved: RssV1 = part.read()?;
                let size = usize::from(saved.table_size());
                if size == 0 || size > 128 {
                    return Err(field("Rss", 0, "indTableSize", saved.table_size()));
                }
                let table = saved.table();
                if let Some(&entry) = table[size..].iter().find(|&&entry| entry != 0) {
                    return Err(field("Rss", 0, "indTable", entry));
                }
                let rss = Rss { hash_type: saved.hash_type(), key: saved.key(), table: table[..size].to_vec() };
                self.canon.activation.rss = Some(rss);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What was negotiated, before the queues: nothing that this profile does not grant to a driver of the version.
    fn interface(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        const NAME: &str = "Interface";
        let (profile, activation) = (self.profile, &mut self.canon.activation);
        let levels = activation.mod_levels[FEW..].iter().any(|&level| level != 0);
        if part.index != 0 || !activation.tx.is_empty() || levels || activation.interface != Interface::default() {
            return Err(part.unknown());
        }
        let saved: InterfaceV1 = part.read()?;
        let (version, fields) = (saved.version(), RssFields(saved.rss_fields()));
        if !(1..=32).contains(&version) || version != 1 && profile.versions >> (version - 1) & 1 == 0 {
            return Err(field(NAME, 0, "version", version));
        }
        let known = version >= Command::SetRssFields.since();
        let default = fields == RssFields::DEFAULT;
        // A part that says what is there without it would not be saved again.
        let nothing = version == 1 && default;
        let able = RssFields::known(profile.answers.rss_fields, version);
        if fields.granted(able) != fields || !default && !known || nothing {
            return Err(field(NAME, 0, "GET_RSS_FIELDS", fields.0));
        }
        if let Some(&byte) = saved.pad().iter().find(|&&byte| byte != 0) {
            return Err(field(NAME, 0, "pad", byte));
        }
        if saved.rsvd() != 0 {
            return Err(field(NAME, 0, "rsvd", saved.rsvd()));
        }
        activation.interface = Interface { version, rss_fields: fields };
        Ok(())
    }

    /// The scheme in force, behind everything else.
    fn coalesce(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        let activation = &mut self.canon.activation;
        if part.index != 0 {
            return Err(part.unknown());
        }
        let scheme = part.read::<CoalesceV1>()?.scheme();
        // A part that says what is there without it would not be saved again.
        if !scheme.is_valid() || scheme == CoalesceScheme::default() {
            return Err(field("Coalesce", 0, "coalMode", scheme.coal_mode()));
        }
        activation.coalesce = scheme;
        Ok(())
    }

    /// Moderation of the later vectors, before the queues.
    fn later_levels(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        let activation = &mut self.canon.activation;
        let extended =
            Version::of(activation.interface.version).is_extended(self.plane.tx_queues(), self.plane.rx_queues());
        let levels = &mut activation.mod_levels[FEW..];
        if part.index != 0 || !activation.tx.is_empty() || !extended || levels.iter().any(|&level| level != 0) {
            return Err(part.unknown());
        }
        let saved: LaterLevelsV1 = part.read()?;
        levels.copy_from_slice(&saved.mod_levels());
        // A part that says what is there without it would not be saved again.
        if levels.iter().all(|&level| level == 0) {
            return Err(field("LaterLevels", 0, "modLevels", 0u8));
        }
        Ok(())
    }

    fn tx_queue(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        const NAME: &str = "TxQueue";
        let index = part.index;
        if usize::from(index) != self.canon.activation.tx.len() || index >= u16::from(self.plane.tx_queues()) {
            return Err(part.unknown());
        }
        let saved: TxQueueV1 = part.read()?;
        let most = self.profile.limits.tx_ring;
        let ring = |base, size, at| Ring { part: NAME, index, base, size, most, at };
        let next =
            ring(("txRingBasePA", saved.ring_pa()), ("txRingSize", saved.ring_size()), ("txRing.next", saved.next()));
        let comp = ring(
            ("compRingBasePA", saved.comp_pa()),
            ("compRingSize", saved.comp_size()),
            ("compRing.next", saved.comp()),
        );
        if let Some(&word) = saved.rsvd().iter().find(|&&word| word != 0) {
            return Err(field(NAME, index, "rsvd", word));
        }
        self.canon.progress.tx.push(TxProgress {
            next: next.check(self.profile)?,
            comp: comp.check(self.profile)?,
            counters: saved.counters(),
            stopped: stopped(NAME, index, saved.stopped(), saved.error())?,
        });
        self.canon.activation.tx.push(TxSetup {
            ring_pa: saved.ring_pa(),
            ring_size: saved.ring_size(),
            comp_pa: saved.comp_pa(),
            comp_size: saved.comp_size(),
            vector: saved.vector(),
        });
        Ok(())
    }

    fn rx_queue(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        const NAME: &str = "RxQueue";
        let index = part.index;
        if usize::from(index) != self.canon.activation.rx.len() || index >= u16::from(self.plane.rx_queues()) {
            return Err(part.unknown());
        }
        let saved: RxQueueV1 = part.read()?;
        let limits = &self.profile.limits;
        let ring = |base, size, most, at| Ring { part: NAME, index, base, size, most, at };
        let (bases, sizes) = (saved.ring_pa(), saved.ring_size());
        let ring0 =
            ring(("rxRingBasePA", bases[0]), ("rxRingSize", sizes[0]), limits.rx_ring, ("rxRing0.next", saved.next0()));
        let next1 = if sizes[1] == 0 {
            if saved.next1() != position(RingIndex::START) {
                return Err(field(NAME, index, "rxRing1.next", saved.next1().index()));
            }
            RingIndex::START
        } else {
            ring(("rxRingBasePA", bases[1]), ("rxRingSize", sizes[1]), limits.rx_ring, ("rxRing1.next", saved.next1()))
                .check(self.profile)?
        };
        let comp = ring(
            ("compRingBasePA", saved.comp_pa()),
            ("compRingSize", saved.comp_size()),
            limits.rx_comp_ring,
            ("compRing.next", saved.comp()),
        );
        if let Some(&word) = saved.rsvd().iter().find(|&&word| word != 0) {
            return Err(field(NAME, index, "rsvd", word));
        }
        self.canon.progress.rx.push(RxProgress {
            next: [ring0.check(self.profile)?, next1],
            comp: comp.check(self.profile)?,
            counters: saved.counters(),
            stopped: stopped(NAME, index, saved.stopped(), saved.error())?,
        });
        self.canon.activation.rx.push(RxSetup {
            ring_pa: bases,
            ring_size: sizes,
            comp_pa: saved.comp_pa(),
            comp_size: saved.comp_size(),
            vector: saved.vector(),
        });
        Ok(())
    }

    /// The data ring of an RX queue that came before; rings come in the order of their queues.
    fn rx_data(&mut self, part: &Part<'_>) -> Result<(), RestoreError> {
        const NAME: &str = "RxData";
        let (index, Activation { rx, rx_data, .. }) = (usize::from(part.index), &mut self.canon.activation);
        let last = rx_data.iter().rposition(|ring| ring.entry_bytes != 0);
        let Some(queue) = rx.get(index).filter(|_| last.is_none_or(|last| last < index)) else {
            return Err(part.unknown());
        };
        let saved: RxDataV1 = part.read()?;
        let (pa, entry_bytes) = (saved.base_pa(), saved.entry_bytes());
        if entry_bytes == 0 || entry_bytes > DATA_ENTRY_MAX || !entry_bytes.is_multiple_of(DATA_ENTRY_STEP) {
            return Err(field(NAME, part.index, "rxDataRingDescSize", entry_bytes));
        }
        let end = pa.checked_add(u64::from(entry_bytes) * u64::from(queue.ring_size[0]));
        if pa == 0 || end.is_none() {
            return Err(field(NAME, part.index, "rxDataRingBasePA", pa));
        }
        if let Some(&word) = saved.rsvd().iter().find(|&&word| word != 0) {
            return Err(field(NAME, part.index, "rsvd", word));
        }
        rx_data.resize(usize::from(self.plane.rx_queues()), RxDataRing::default());
        rx_data[index] = RxDataRing { pa, entry_bytes };
        Ok(())
    }

    /// The whole, once nothing is missing.
    pub(super) fn finish(self) -> Result<Canon, RestoreError> {
        let Self { profile, plane, canon, vectors, vlans } = self;
        let missing = |part, index: usize| Err(RestoreError::Missing { part, index: index as u16 });
        let Activation { interface, tx, rx, filters, rss, mtu, .. } = &canon.activation;
        if !profile.limits.mtus(interface.version).contains(mtu) {
            return Err(field("Plane", 0, "mtu", *mtu));
        }
        let width = profile.width(interface.version);
        if plane.tx_queues() > width.tx_queues {
            return Err(field("Plane", 0, "numTxQueues", plane.tx_queues()));
        }
        if plane.rx_queues() > width.rx_queues {
            return Err(field("Plane", 0, "numRxQueues", plane.rx_queues()));
        }
        if tx.len() != usize::from(plane.tx_queues()) {
            return missing("TxQueue", tx.len());
        }
        if rx.len() != usize::from(plane.rx_queues()) {
            return missing("RxQueue", rx.len());
        }
        if !vectors {
            return missing("Vectors", 0);
        }
        if !vlans {
            return missing("Vlans", 0);
        }
        if filters.multicast.len() != usize::from(plane.multicasts()) {
            return missing("Multicast", 0);
        }
        if rss.is_some() != (plane.rss() == 1) {
            return missing("Rss", 0);
        }
        Ok(canon)
    }
}
