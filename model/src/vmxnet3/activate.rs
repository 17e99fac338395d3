//! Reading and judging the driver-shared area at ACTIVATE_DEV, and the parts of it that UPDATE commands read again.
//!
//! Everything is read once into a copy and judged there: the guest can change its memory meanwhile. Nothing is written.
//! Sources: vmxnet3_defs.h for the layout; linux vmxnet3_drv.c, vmxnet3_setup_driver_shared, for what drivers fill in.

use crate::host::Host;
use crate::plane::{Activation, Filters, Interface, Interrupts, Rss, RxDataRing, RxSetup, TxSetup};
use core::ops::RangeInclusive;
use spec::layout::{Bytes, Declared};
use spec::profile::{Deviation, Limits, Profile};
use spec::vmxnet3::command::feature;
use spec::vmxnet3::shared::{
    CMD_INFO_OFFSET, CoalesceScheme, ECR_OFFSET, INTR_CONF_EXT_OFFSET, INTR_CONF_OFFSET, IntrConfExt,
    RSS_CONF_DESC_OFFSET, RX_FILTER_OFFSET, UPT_FEATURES_OFFSET,
};
use spec::vmxnet3::{
    CELL_BYTES, DATA_ENTRY_MAX, DATA_ENTRY_STEP, IntrConf, MAGIC, MAX_VECTORS, QUEUE_DESC_BYTES, RssConf, RssFields,
    RxFilterConf, RxQueueConf, RxQueueDesc, TxQueueConf, TxQueueDesc, VariableLenConf, Version,
};

/// Features that the data path has for a driver of `version`; other bits are ignored.
const fn known_features(version: u8) -> u64 {
    let first = feature::RXCSUM | feature::RSS | feature::RXVLAN | feature::LRO;
    if version >= 4 { first | feature::RXINNEROFLD } else { first }
}

/// What ACTIVATE_DEV found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// For the data plane.
    pub activation: Activation,
    /// Where the queue descriptors lie.
    pub queue_desc_pa: u64,
    /// Vector of events.
    pub event_vector: u8,
}

/// Reads a declared structure; a fault reads as none.
fn get<T: Bytes>(host: &mut impl Host, pa: Option<u64>) -> Option<T> {
    let mut bytes = vec![0; T::SIZE];
    host.read(pa?, &mut bytes).ok()?;
    Some(T::get(&bytes))
}

/// A declared structure inside one that was read.
fn part<T: Declared>(bytes: &[u8], offset: u64) -> Option<T> {
    Some(T::get(bytes.get(offset as usize..)?.get(..T::SIZE)?))
}

/// What is activated, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Asked<'p> {
    /// What the device is built as.
    pub profile: &'p Profile,
    /// What was negotiated.
    pub interface: Interface,
    /// The RX data ring is looked for, whatever the version: a planted bug.
    pub any_version: bool,
    /// MTUs that this version allows, bytes.
    pub mtus: RangeInclusive<u32>,
    /// Where the shared area lies.
    pub shared_pa: u64,
    /// Current MAC.
    pub mac: [u8; 6],
    /// Coalescing scheme in force: it outlives a stop.
    pub coalesce: CoalesceScheme,
    /// The magic is looked at.
    pub magic: bool,
    /// The second block is never looked at: a planted bug.
    pub first_block: bool,
}

/// The configuration in the shared area, or none if any of it is not allowed.
pub(super) fn read(asked: &Asked<'_>, host: &mut impl Host) -> Option<Configuration> {
    let &Asked { profile, interface, any_version, ref mtus, shared_pa, mac, coalesce, magic, first_block } = asked;
    if shared_pa == 0 {
        return None;
    }
    // Everything a driver writes: some drivers own 720 bytes only, and the events are not looked at.
    let mut area = [0; ECR_OFFSET as usize];
    host.read(shared_pa, &mut area).ok()?;
    if magic && u32::get(&area) != MAGIC {
        return None;
    }
    let misc: spec::vmxnet3::MiscConf = part(&area, spec::vmxnet3::DriverShared::LAYOUT.offset("devRead.misc"))?;
    let limits = &profile.limits;
    let (width, tx, rx) = (profile.width(interface.version), misc.num_tx_queues(), misc.num_rx_queues());
    let counts = (1..=width.tx_queues).contains(&tx) && (1..=width.rx_queues).contains(&rx);
    if !counts || !mtus.contains(&misc.mtu()) {
        return None;
    }
    let table = misc.queue_desc_pa();
    table.checked_add(QUEUE_DESC_BYTES * (u64::from(tx) + u64::from(rx)))?;
    let tx_setups = (0..tx).map(|i| tx_queue(limits, table + QUEUE_DESC_BYTES * u64::from(i), host));
    let tx_setups = tx_setups.collect::<Option<Vec<_>>>()?;
    let rx_setups = (tx..tx + rx).map(|i| rx_queue(limits, table + QUEUE_DESC_BYTES * u64::from(i), host));
    let (rx_setups, mut rx_data): (Vec<_>, Vec<_>) = rx_setups.collect::<Option<Vec<_>>>()?.into_iter().unzip();
    // Below version 3 the fields are reserved, and a driver may leave anything there.
    if !any_version && interface.version < 3 || rx_data.iter().all(|ring| ring.entry_bytes == 0) {
        rx_data.clear();
    }
    // A driver with so few queues that it needs no more than the first block may own none but that.
    let interrupts = match Version::of(interface.version).is_extended(tx, rx) && !first_block {
        true => get(host, shared_pa.checked_add(INTR_CONF_EXT_OFFSET))?,
        false => IntrConfExt::of(&part(&area, INTR_CONF_OFFSET)?),
    };
    let filter: RxFilterConf = part(&area, RX_FILTER_OFFSET)?;
    let features = misc.upt_features() & known_features(interface.version);
    let activation = Activation {
        interface,
        tx: tx_setups,
        rx: rx_setups,
        rx_data,
        auto_mask: interrupts.auto_mask() != 0,
        interrupts: Interrupts::MsiX,
        mtu: misc.mtu(),
        max_rx_sg: misc.max_num_rx_sg(),
        features,
        filters: Filters {
            mac,
            rx_mode: filter.rx_mode(),
            multicast: multicast_of(&filter, host),
            vlans: filter.vf_table(),
        },
        rss: rss_of(profile, features, part(&area, RSS_CONF_DESC_OFFSET)?, host),
        mod_levels: interrupts.mod_levels(),
        coalesce,
    };
    Some(Configuration { activation, queue_desc_pa: table, event_vector: interrupts.event_intr_idx() })
}

/// Whether a ring of `size` cells at `pa` is allowed: size in steps, at most `most`; base aligned; end below 2^64.
fn ring_is_allowed(limits: &Limits, pa: u64, size: u32, most: u32) -> bool {
    size > 0
        && size <= most
        && size.is_multiple_of(limits.ring_step)
        && pa.is_multiple_of(limits.ring_align)
        && pa.checked_add(CELL_BYTES * u64::from(size)).is_some()
}

fn tx_queue(limits: &Limits, pa: u64, host: &mut impl Host) -> Option<TxSetup> {
    let conf: TxQueueConf = get(host, pa.checked_add(TxQueueDesc::LAYOUT.offset("conf")))?;
    let setup = TxSetup {
        ring_pa: conf.tx_ring_base_pa(),
        ring_size: conf.tx_ring_size(),
        comp_pa: conf.comp_ring_base_pa(),
        comp_size: conf.comp_ring_size(),
        vector: conf.intr_idx(),
    };
    let allowed = ring_is_allowed(limits, setup.ring_pa, setup.ring_size, limits.tx_ring)
        && ring_is_allowed(limits, setup.comp_pa, setup.comp_size, limits.tx_ring);
    allowed.then_some(setup)
}

fn rx_queue(limits: &Limits, pa: u64, host: &mut impl Host) -> Option<(RxSetup, RxDataRing)> {
    let conf: RxQueueConf = get(host, pa.checked_add(RxQueueDesc::LAYOUT.offset("conf")))?;
    let mut setup = RxSetup {
        ring_pa: conf.rx_ring_base_pa(),
        ring_size: conf.rx_ring_size(),
        comp_pa: conf.comp_ring_base_pa(),
        comp_size: conf.comp_ring_size(),
        vector: conf.intr_idx(),
    };
    if setup.ring_size[1] == 0 {
        // Absent, as iPXE and illumos have it; its address means nothing.
        setup.ring_pa[1] = 0;
    } else if !ring_is_allowed(limits, setup.ring_pa[1], setup.ring_size[1], limits.rx_ring) {
        return None;
    }
    let allowed = ring_is_allowed(limits, setup.ring_pa[0], setup.ring_size[0], limits.rx_ring)
        && ring_is_allowed(limits, setup.comp_pa, setup.comp_size, limits.rx_comp_ring);
    allowed.then(|| (setup, data_ring(&conf)))
}

/// The RX data ring of a queue. A driver that got no memory for it leaves one of base and size 0: then there is none.
///
/// Source: linux vmxnet3_drv.c, vmxnet3_rq_create.
fn data_ring(conf: &RxQueueConf) -> RxDataRing {
    let (pa, entry_bytes) = (conf.rx_data_ring_base_pa(), conf.rx_data_ring_desc_size());
    let bytes = u64::from(entry_bytes) * u64::from(conf.rx_ring_size()[0]);
    let allowed = pa != 0
        && entry_bytes.is_multiple_of(DATA_ENTRY_STEP)
        && entry_bytes <= DATA_ENTRY_MAX
        && pa.checked_add(bytes).is_some();
    if allowed && entry_bytes != 0 { RxDataRing { pa, entry_bytes } } else { RxDataRing::default() }
}

/// Where SET_COALESCE and GET_COALESCE have their scheme: the words of the command are read once. None where they leave no room.
pub(super) fn coalesce_pa(shared_pa: u64, host: &mut impl Host) -> Option<u64> {
    let at: VariableLenConf = get(host, shared_pa.checked_add(CMD_INFO_OFFSET))?;
    (at.conf_len() as usize >= CoalesceScheme::SIZE).then(|| at.conf_pa())
}

/// SET_COALESCE: the scheme that the driver wants; none where it is out of reach.
pub(super) fn coalesce(shared_pa: u64, host: &mut impl Host) -> Option<CoalesceScheme> {
    let pa = coalesce_pa(shared_pa, host)?;
    get(host, Some(pa))
}

/// SET_RSS_FIELDS: what the driver wants.
pub(super) fn rss_fields(shared_pa: u64, host: &mut impl Host) -> Option<RssFields> {
    get(host, shared_pa.checked_add(CMD_INFO_OFFSET))
}

/// The multicast table of `filter`. A tail of less than an address is ignored; a table out of reach is empty.
fn multicast_of(filter: &RxFilterConf, host: &mut impl Host) -> Vec<[u8; 6]> {
    let mut bytes = vec![0; usize::from(filter.mf_table_len()) / 6 * 6];
    if bytes.is_empty() || host.read(filter.mf_table_pa(), &mut bytes).is_err() {
        return Vec::new();
    }
    bytes.chunks_exact(6).map(<[u8; 6]>::get).collect()
}

/// Steering, if the feature is on and its block is whole and within bounds; otherwise none.
fn rss_of(profile: &Profile, features: u64, at: VariableLenConf, host: &mut impl Host) -> Option<Rss> {
    if features & feature::RSS == 0 || profile.has(Deviation::RxQueueZeroOnly) {
        return None;
    }
    let conf = rss_conf(at, host)?;
    let key_bytes = usize::from(conf.hash_key_size());
    let table = conf.ind_table().get(..usize::from(conf.ind_table_size()))?.to_vec();
    let mut key = conf.hash_key();
    key.get_mut(key_bytes..)?.fill(0);
    (conf.hash_func() == 1 && !table.is_empty()).then_some(Rss { hash_type: conf.hash_type(), key, table })
}

fn rss_conf(at: VariableLenConf, host: &mut impl Host) -> Option<RssConf> {
    if (at.conf_len() as usize) < RssConf::SIZE {
        return None;
    }
    get(host, Some(at.conf_pa()))
}

/// UPDATE_RX_MODE: the mode as it is now.
pub(super) fn rx_mode(shared_pa: u64, host: &mut impl Host) -> Option<u32> {
    get(host, shared_pa.checked_add(RX_FILTER_OFFSET + RxFilterConf::LAYOUT.offset("rxMode")))
}

/// UPDATE_VLAN_FILTERS: the bitmap as it is now.
pub(super) fn vlans(shared_pa: u64, host: &mut impl Host) -> Option<[u32; 128]> {
    get(host, shared_pa.checked_add(RX_FILTER_OFFSET + RxFilterConf::LAYOUT.offset("vfTable")))
}

/// UPDATE_MAC_FILTERS: the multicast table as it is now. Only the words that say where it lies are read with it.
pub(super) fn multicast(shared_pa: u64, host: &mut impl Host) -> Option<Vec<[u8; 6]>> {
    const HEAD: usize = RxFilterConf::LAYOUT.offset("vfTable") as usize;
    let head: [u8; HEAD] = get(host, shared_pa.checked_add(RX_FILTER_OFFSET))?;
    let mut filter = RxFilterConf::default();
    filter.0[..HEAD].copy_from_slice(&head);
    Some(multicast_of(&filter, host))
}

/// UPDATE_FEATURE: the feature bits as they are now.
pub(super) fn features(shared_pa: u64, version: u8, host: &mut impl Host) -> Option<u64> {
    let features: u64 = get(host, shared_pa.checked_add(UPT_FEATURES_OFFSET))?;
    Some(features & known_features(version))
}

/// UPDATE_RSSIDT: the first `entries` entries of the table as they are now.
pub(super) fn rss_table(shared_pa: u64, entries: usize, host: &mut impl Host) -> Option<Vec<u8>> {
    let at: VariableLenConf = get(host, shared_pa.checked_add(RSS_CONF_DESC_OFFSET))?;
    if (at.conf_len() as usize) < RssConf::SIZE {
        return None;
    }
    let table: [u8; 128] = get(host, at.conf_pa().checked_add(RssConf::LAYOUT.offset("indTable")))?;
    Some(table.get(..entries)?.to_vec())
}

/// UPDATE_IML: the moderation levels as they are now, from the block in which they were at activation.
pub(super) fn mod_levels(shared_pa: u64, extended: bool, host: &mut impl Host) -> Option<[u8; MAX_VECTORS]> {
    if extended {
        return get(host, shared_pa.checked_add(INTR_CONF_EXT_OFFSET + IntrConfExt::LAYOUT.offset("modLevels")));
    }
    let few: [u8; FEW] = get(host, shared_pa.checked_add(INTR_CONF_OFFSET + IntrConf::LAYOUT.offset("modLevels")))?;
    let mut levels = [0; MAX_VECTORS];
    levels[..FEW].copy_from_slice(&few);
    Some(levels)
}

/// Vectors of which the first block has the moderation level.
const FEW: usize = Version::of(1).vectors as usize;
