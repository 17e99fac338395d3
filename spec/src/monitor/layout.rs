//! What the guest has configured, learnt by watching its writes to BAR1 and reading the shared area as the device does.

use super::filter::Filter;
use super::rss::Rss;
use crate::event::{GuestView, Negotiated};
use crate::layout::{Bytes, Declared};
use crate::vmxnet3::shared::{
    CMD_INFO_OFFSET, CoalesceScheme, INTR_CONF_EXT_OFFSET, INTR_CONF_OFFSET, IntrConfExt, RSS_CONF_DESC_OFFSET,
    RX_FILTER_OFFSET, UPT_FEATURES_OFFSET,
};
use crate::vmxnet3::{
    Bar0, CELL_BYTES, Command, DriverShared, IntrConf, MAGIC, MiscConf, QUEUE_DESC_BYTES, RssConf, RssFields,
    RxFilterConf, RxQueueDesc, TxQueueDesc, VariableLenConf, Version, capability::LARGE_BAR,
};

/// Most cells of a ring that the monitors follow: an RX completion ring of the interface.
const MAX_CELLS: u32 = 8192;

/// A ring in guest memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Area {
    /// Guest-physical base.
    pub pa: u64,
    /// Cells; 0 where the ring is absent.
    pub cells: u32,
}

impl Area {
    /// Address of a cell.
    #[inline]
    pub fn at(&self, index: u32) -> u64 {
        self.pa.wrapping_add(u64::from(index) * CELL_BYTES)
    }

    /// Whether `len` bytes at `pa` lie in it.
    #[inline]
    pub fn holds(&self, pa: u64, len: usize) -> bool {
        inside(pa, len, self.pa, u64::from(self.cells) * CELL_BYTES)
    }

    /// Whether `len` bytes at `pa` touch it.
    #[inline]
    pub fn touches(&self, pa: u64, len: usize) -> bool {
        touches(pa, len, self.pa, u64::from(self.cells) * CELL_BYTES)
    }

    /// The cell that starts at `pa`.
    #[inline]
    pub fn slot(&self, pa: u64) -> Option<u32> {
        let offset = pa.wrapping_sub(self.pa);
        let ours = offset < u64::from(self.cells) * CELL_BYTES && offset.is_multiple_of(CELL_BYTES);
        ours.then_some((offset / CELL_BYTES) as u32)
    }
}

/// Whether `len` bytes at `pa` lie in the `size` bytes at `base`.
#[inline]
pub(super) fn inside(pa: u64, len: usize, base: u64, size: u64) -> bool {
    let offset = pa.wrapping_sub(base);
    offset < size && len as u64 <= size - offset
}

/// Whether `len` bytes at `pa` and the `size` bytes at `base` have one in common.
#[inline]
pub(super) fn touches(pa: u64, len: usize, base: u64, size: u64) -> bool {
    pa.wrapping_sub(base) < size || (size > 0 && base.wrapping_sub(pa) < len as u64)
}

/// A position on a ring: the monitors' own, apart from those of the bodies and of the drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    pub index: u32,
    pub generation: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { index: 0, generation: true }
    }
}

impl Cursor {
    #[inline]
    pub fn advance(&mut self, cells: u32) {
        self.index += 1;
        if self.index >= cells {
            *self = Self { index: 0, generation: !self.generation };
        }
    }
}

/// A configured TX queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TxQueue {
    /// Descriptors.
    pub ring: Area,
    /// Completions.
    pub comp: Area,
    /// Vector of completions.
    pub vector: u8,
}

/// The RX data ring of a queue: an entry a descriptor of ring 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DataRing {
    /// Guest-physical base.
    pub pa: u64,
    /// Bytes of an entry; 0 where there is no ring.
    pub entry_bytes: u32,
}

impl DataRing {
    /// Address of an entry.
    #[inline]
    pub fn at(&self, index: u32) -> u64 {
        self.pa.wrapping_add(u64::from(index) * u64::from(self.entry_bytes))
    }

    /// The entry that the byte at `pa` lies in and its place there, in a ring of `entries`.
    #[inline]
    pub fn entry(&self, pa: u64, entries: u32) -> Option<(u32, u32)> {
        let (offset, each) = (pa.wrapping_sub(self.pa), u64::from(self.entry_bytes));
        (offset < each * u64::from(entries)).then(|| ((offset / each) as u32, (offset % each) as u32))
    }
}

/// A configured RX queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RxQueue {
    /// Ring 0 and ring 1.
    pub rings: [Area; 2],
    /// Data ring, from version 3.
    pub data: DataRing,
    /// Completions.
    pub comp: Area,
    /// Vector of completions.
    pub vector: u8,
}

/// How far the guest has brought the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No memory may be touched but by commands.
    #[default]
    Inactive,
    /// ACTIVATE_DEV was written, its answer is not known.
    Starting,
    /// Working.
    Active,
    /// QUIESCE_DEV or RESET_DEV was written; the guest has not gone on yet, so what is under way may still end.
    Stopping,
    /// Activated while active, given another shared area, or restored: which rings count cannot be told. Nothing is judged.
    Unknown,
}

/// The configuration in force, as far as it can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rings {
    /// How far the guest has brought the device.
    pub phase: Phase,
    /// Version selected through VRRS; 0 before any is, which counts as 1.
    pub version: u8,
    /// Shared area; 0 is none.
    pub shared: u64,
    /// Queue table.
    pub table: u64,
    /// TX queues.
    pub tx: Vec<TxQueue>,
    /// RX queues.
    pub rx: Vec<RxQueue>,
    /// Vectors mask themselves.
    pub auto_mask: bool,
    /// Vector of events.
    pub event_vector: u8,
    /// Feature bits.
    pub features: u64,
    /// Most buffers of a received packet; 0 is no limit.
    pub max_rx_sg: u16,
    /// L3 MTU.
    pub mtu: u32,
    /// Receive filter.
    pub filter: Filter,
    /// Steering.
    pub rss: Rss,
    /// GET_DCR0_REG told that the doorbells of the second page were granted.
    large_bar: bool,
    dsal: u32,
    macl: u32,
    /// Lowest and highest address of any descriptor ring.
    span: (u64, u64),
}

impl Rings {
    /// Whether rings may be worked: judges look only then.
    #[inline]
    pub fn live(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Active | Phase::Stopping)
    }

    /// Bytes of the queue table.
    pub fn table_bytes(&self) -> u64 {
        (self.tx.len() + self.rx.len()) as u64 * QUEUE_DESC_BYTES
    }

    /// Whether a store of `len` bytes at `pa` may have posted something.
    #[inline]
    pub fn may_post(&self, pa: u64, len: usize) -> bool {
        pa < self.span.1 && pa.saturating_add(len as u64) > self.span.0
    }

    /// The register that the guest meets at `offset` of BAR0, as far as it was seen to negotiate.
    #[inline]
    pub(super) fn bar0(&self, offset: u32) -> Option<Bar0> {
        Bar0::reached(offset, self.version, self.large_bar)
    }

    /// Vectors of the version in force.
    pub(super) fn vectors(&self) -> u8 {
        Version::of(self.version).vectors
    }

    /// Capabilities were asked for through DCR0, or GET_DCR0_REG told of those that were granted.
    pub(super) fn capable(&mut self, capabilities: u32, granted: bool) {
        self.large_bar = capabilities & LARGE_BAR != 0 && (granted || self.large_bar);
    }

    pub(super) fn write_vrrs(&mut self, value: u32) {
        if value.is_power_of_two() {
            self.version = value.trailing_zeros() as u8 + 1;
        }
    }

    /// Where GET_COALESCE writes, from version 3.
    pub(super) fn coalesce_pa(&self, memory: &dyn GuestView) -> Option<u64> {
        let words = at::<VariableLenConf>(memory, self.shared, CMD_INFO_OFFSET).filter(|_| self.version >= 3)?;
        (words.conf_len() as usize >= CoalesceScheme::SIZE).then(|| words.conf_pa())
    }

    pub(super) fn write_dsal(&mut self, value: u32) {
        self.dsal = value;
    }

    /// Installs the shared address. An active device whose area changes cannot be followed; withdrawing it stops the device.
    pub(super) fn write_dsah(&mut self, value: u32) {
        let shared = u64::from(value) << 32 | u64::from(self.dsal);
        if shared == 0 {
            self.phase = Phase::Inactive;
        } else if self.phase != Phase::Inactive && shared != self.shared {
            self.phase = Phase::Unknown;
        }
        self.shared = shared;
    }

    pub(super) fn write_macl(&mut self, value: u32) {
        self.macl = value;
    }

    pub(super) fn write_mach(&mut self, value: u32) {
        let [a, b, c, d] = self.macl.to_le_bytes();
        let [e, f, ..] = value.to_le_bytes();
        self.filter.mac = Some([a, b, c, d, e, f]);
    }

    pub(super) fn function_reset(&mut self) {
        *self = Self::default();
    }

    /// A state saved elsewhere: nothing but `negotiated` is known until the guest stops the device or withdraws the shared area.
    pub(super) fn restored(&mut self, negotiated: Negotiated) {
        let Negotiated { version, capabilities, rss_fields } = negotiated;
        *self = Self { phase: Phase::Unknown, version, ..Self::default() };
        self.capable(capabilities, true);
        self.rss.told(rss_fields, version);
        self.rss.settled();
    }

    /// ACTIVATE_DEV: reads the configuration. `None` leaves nothing to follow; the device is expected to refuse.
    pub(super) fn activate(&mut self, memory: &dyn GuestView) -> Option<()> {
        self.tx.clear();
        self.rx.clear();
        let word = memory.slice(self.shared, 4)?;
        if self.shared == 0 || u32::get(word) != MAGIC {
            return None;
        }
        let misc = at::<MiscConf>(memory, self.shared, DriverShared::LAYOUT.offset("devRead.misc"))?;
        let (row, tx, rx) = (Version::of(self.version), misc.num_tx_queues(), misc.num_rx_queues());
        if tx == 0 || rx == 0 || tx > row.tx_queues || rx > row.rx_queues {
            return None;
        }
        let intr = match row.is_extended(tx, rx) {
            true => at::<IntrConfExt>(memory, self.shared, INTR_CONF_EXT_OFFSET)?,
            false => IntrConfExt::of(&at::<IntrConf>(memory, self.shared, INTR_CONF_OFFSET)?),
        };
        let (tx, rx) = (usize::from(tx), usize::from(rx));
        self.table = misc.queue_desc_pa();
        for q in 0..tx as u64 {
            let conf = at::<TxQueueDesc>(memory, self.table, q * QUEUE_DESC_BYTES)?.conf();
            let ring = Area { pa: conf.tx_ring_base_pa(), cells: conf.tx_ring_size() };
            let comp = Area { pa: conf.comp_ring_base_pa(), cells: conf.comp_ring_size() };
            if !usable(ring) || !usable(comp) {
                return None;
            }
            self.tx.push(TxQueue { ring, comp, vector: conf.intr_idx() });
        }
        for q in tx as u64..(tx + rx) as u64 {
            let conf = at::<RxQueueDesc>(memory, self.table, q * QUEUE_DESC_BYTES)?.conf();
            let (bases, sizes) = (conf.rx_ring_base_pa(), conf.rx_ring_size());
            let rings = [0, 1].map(|r| Area { pa: bases[r], cells: sizes[r] });
            let comp = Area { pa: conf.comp_ring_base_pa(), cells: conf.comp_ring_size() };
            if !usable(rings[0]) || rings[1].cells > MAX_CELLS || !usable(comp) {
                return None;
            }
            let mut data = DataRing::default();
            if self.version >= 3 && conf.rx_data_ring_base_pa() != 0 {
                data.pa = conf.rx_data_ring_base_pa();
                data.entry_bytes = conf.rx_data_ring_desc_size().into();
            }
            self.rx.push(RxQueue { rings, data, comp, vector: conf.intr_idx() });
        }
        self.auto_mask = intr.auto_mask() != 0;
        self.event_vector = intr.event_intr_idx();
        self.max_rx_sg = misc.max_num_rx_sg();
        self.mtu = misc.mtu();
        for command in [
            Command::UpdateFeature,
            Command::UpdateRxMode,
            Command::UpdateMacFilters,
            Command::UpdateVlanFilters,
            Command::UpdateRssidt,
        ] {
            self.update(command, memory);
        }
        self.rss.started(self.features, self.conf(memory));
        let areas = self.tx.iter().map(|q| q.ring).chain(self.rx.iter().flat_map(|q| q.rings)).filter(|a| a.cells > 0);
        self.span = areas.fold((u64::MAX, 0), |(low, high), a| (low.min(a.pa), high.max(a.at(a.cells))));
        Some(())
    }

    fn conf(&self, memory: &dyn GuestView) -> Option<RssConf> {
        let place = at::<VariableLenConf>(memory, self.shared, RSS_CONF_DESC_OFFSET)?;
        at::<RssConf>(memory, place.conf_pa(), 0)
    }

    /// Reads again what an UPDATE command names. True when something that frames depend on may have changed.
    pub(super) fn update(&mut self, command: Command, memory: &dyn GuestView) -> bool {
        match command {
            Command::UpdateFeature => {
                if let Some(features) = at::<u64>(memory, self.shared, UPT_FEATURES_OFFSET) {
                    self.features = features;
                }
            }
            Command::UpdateRssidt => self.rss.retable(self.conf(memory)),
            Command::SetRssFields => match at::<RssFields>(memory, self.shared, CMD_INFO_OFFSET) {
                Some(fields) => self.rss.asked(fields, self.version),
                None => return false,
            },
            Command::UpdateRxMode | Command::UpdateMacFilters | Command::UpdateVlanFilters => {
                if let Some(conf) = at::<RxFilterConf>(memory, self.shared, RX_FILTER_OFFSET) {
                    self.filter.update(command, &conf, memory);
                }
            }
            _ => return false,
        }
        true
    }
}

fn usable(area: Area) -> bool {
    area.cells > 0 && area.cells <= MAX_CELLS
}

/// A declared structure at `base + offset`.
pub(super) fn at<T: Bytes>(memory: &dyn GuestView, base: u64, offset: u64) -> Option<T> {
    Some(T::get(memory.slice(base.checked_add(offset)?, T::SIZE)?))
}

const _: () = assert!(<TxQueueDesc as Declared>::LAYOUT.bytes() as u64 == QUEUE_DESC_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_outlives_an_activation_is_known_behind_a_restore() {
        let mut rings = Rings::default();
        let mut fields = RssFields::DEFAULT;
        fields.set_udpip4(true);
        rings.restored(Negotiated { version: 7, capabilities: LARGE_BAR, rss_fields: fields });
        assert_eq!((rings.phase, rings.version, rings.vectors()), (Phase::Unknown, 7, 65));
        assert_eq!(rings.bar0(0x1000), Some(Bar0::TxProd(0)));
        assert!(!rings.rss.told(fields, 7), "they are in force");
        rings.restored(Negotiated { version: 1, capabilities: 0, rss_fields: RssFields::DEFAULT });
        assert_eq!((rings.version, rings.bar0(0x1000)), (1, None));
    }
}
