//! Where the driver's structures lie in guest memory, and what they hold at activation.

use super::config::DriverConfig;
use spec::vmxnet3::shared::{CoalesceScheme, IntrConfExt};
use spec::vmxnet3::{
    CELL_BYTES, DATA_ENTRY_MAX, DATA_ENTRY_STEP, DriverShared, IntrConf, MAGIC, MAX_RX_QUEUES, MAX_TX_QUEUES,
    MAX_VECTORS, MiscConf, QUEUE_DESC_ALIGN, QUEUE_DESC_BYTES, RssConf, RxFilterConf, RxQueueConf, RxQueueDesc,
    TxQueueConf, TxQueueDesc, VariableLenConf,
};

/// Why the structures could not be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LayoutError {
    /// The memory given is too small.
    #[error("driver structures end at {end:#x}, memory ends at {limit:#x}")]
    NoRoom {
        /// Where they would end.
        end: u64,
        /// Where the memory ends.
        limit: u64,
    },
    /// A field of the configuration is out of range.
    #[error("{field} {value} is out of range")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Memory of a TX queue, guest-physical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TxArea {
    /// Descriptor ring.
    pub ring: u64,
    /// Completion ring.
    pub comp: u64,
    /// Buffers, one a descriptor.
    pub buffers: u64,
    /// Data ring; 0 where there is none.
    pub data: u64,
    /// Descriptors.
    pub ring_size: u32,
    /// Completion entries.
    pub comp_size: u32,
}

/// Memory of an RX queue, guest-physical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RxArea {
    /// Descriptor rings; 0 for a ring left out.
    pub ring: [u64; 2],
    /// Completion ring.
    pub comp: u64,
    /// Buffers of each ring, one more than descriptors, so that a cell gets another one each lap.
    pub buffers: [u64; 2],
    /// Data ring; 0 where there is none.
    pub data: u64,
    /// Descriptors of each ring.
    pub ring_size: [u32; 2],
    /// Completion entries.
    pub comp_size: u32,
}

/// Where everything lies. Planned once; a second activation uses the same places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// First byte used.
    pub base: u64,
    /// Byte after the last used.
    pub end: u64,
    /// `DriverShared`.
    pub shared: u64,
    /// Queue descriptor table.
    pub queues: u64,
    /// `UPT1_RSSConf`.
    pub rss: u64,
    /// Multicast table.
    pub multicast: u64,
    /// `Vmxnet3_CoalesceScheme`; 0 for a driver that does not know version 3.
    pub coalesce: u64,
    /// TX queues.
    pub tx: Vec<TxArea>,
    /// RX queues.
    pub rx: Vec<RxArea>,
}

/// Gives out addresses upwards. Wide enough to run past the end of memory, which is checked once at the end.
struct Bump {
    at: u128,
}

impl Bump {
    fn take(&mut self, bytes: u64, align: u64) -> u64 {
        let start = self.at.next_multiple_of(u128::from(align.max(1)));
        self.at = start + u128::from(bytes);
        start as u64
    }
}

fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), LayoutError> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(LayoutError::Config { field, value }) }
}

fn check(config: &DriverConfig) -> Result<(), LayoutError> {
    within("tx_queues", config.tx_queues.into(), 1, MAX_TX_QUEUES as u64)?;
    within("rx_queues", config.rx_queues.into(), 1, MAX_RX_QUEUES as u64)?;
    within("tx_ring", config.tx_ring.into(), 2, 4096)?;
    within("tx_comp", config.tx_comp.into(), config.tx_ring.into(), 4096)?;
    within("rx_ring[0]", config.rx_ring[0].into(), 2, 4096)?;
    if config.rx_ring[1] != 0 {
        within("rx_ring[1]", config.rx_ring[1].into(), 2, 4096)?;
    }
    within("rx_comp", config.rx_comp.into(), u64::from(config.rx_ring[0] + config.rx_ring[1]), 8192)?;
    within("tx_buffer_bytes", config.tx_buffer_bytes.into(), 1, 16384)?;
    within("tx_data_bytes", config.tx_data_bytes.into(), 0, DATA_ENTRY_MAX.into())?;
    let entry = u64::from(config.rx_data_bytes);
    within("rx_data_bytes", entry, 0, DATA_ENTRY_MAX.into())?;
    within("rx_data_bytes % 64", entry % u64::from(DATA_ENTRY_STEP), 0, 0)?;
    within("head_bytes", config.head_bytes.into(), 1, 16383)?;
    within("body_bytes", config.body_bytes.into(), 1, 16383)?;
    within("rx_prod_batch", config.rx_prod_batch.into(), 1, 4096)?;
    within("poll_budget", config.poll_budget.into(), 1, 8192)?;
    within("multicast_room", config.multicast_room.into(), 0, 10922)?;
    within("max_version", config.max_version.into(), 1, 9)?;
    if let Some(rss) = &config.rss {
        within("rss.table", rss.table.len() as u64, 1, 128)?;
    }
    Ok(())
}

impl Layout {
    /// Places everything in `bytes` bytes from `base`.
    ///
    /// # Errors
    /// When the configuration is out of range, or the memory too small.
    pub fn plan(config: &DriverConfig, base: u64, bytes: u64) -> Result<Self, LayoutError> {
        check(config)?;
        let mut bump = Bump { at: base.into() };
        let cells = |n: u32| u64::from(n) * CELL_BYTES;
        let align = config.ring_align;
        let queues = u64::from(config.tx_queues) + u64::from(config.rx_queues);
        let shared = bump.take(size_of::<DriverShared>() as u64, 8);
        let queue_table = bump.take(queues * QUEUE_DESC_BYTES, QUEUE_DESC_ALIGN);
        let rss = if config.rss.is_some() { bump.take(size_of::<RssConf>() as u64, 8) } else { 0 };
        let multicast = bump.take(u64::from(config.multicast_room) * 6, 8);
        let coalesce = if config.max_version < 3 { 0 } else { bump.take(size_of::<CoalesceScheme>() as u64, 8) };
        let mut tx: Vec<TxArea> = (0..config.tx_queues)
            .map(|_| TxArea {
                ring: bump.take(cells(config.tx_ring), align),
                comp: bump.take(cells(config.tx_comp), align),
                buffers: 0,
                data: 0,
                ring_size: config.tx_ring,
                comp_size: config.tx_comp,
            })
            .collect();
        let mut rx: Vec<RxArea> = (0..config.rx_queues)
            .map(|_| RxArea {
                ring: config.rx_ring.map(|n| if n == 0 { 0 } else { bump.take(cells(n), align) }),
                comp: bump.take(cells(config.rx_comp), align),
                buffers: [0; 2],
                data: 0,
                ring_size: config.rx_ring,
                comp_size: config.rx_comp,
            })
            .collect();
        for area in &mut tx {
            if config.tx_data_bytes != 0 {
                area.data = bump.take(u64::from(config.tx_ring) * u64::from(config.tx_data_bytes), align);
            }
        }
        for area in &mut rx {
            if config.rx_data_bytes != 0 && config.max_version >= 3 {
                area.data = bump.take(u64::from(config.rx_ring[0]) * u64::from(config.rx_data_bytes), align);
            }
        }
        bump.take(config.seed % 8, 1);
        for area in &mut tx {
            area.buffers = bump.take(u64::from(config.tx_ring) * u64::from(config.tx_buffer_bytes), 1);
        }
        for area in &mut rx {
            for ring in 0..2 {
                if config.rx_ring[ring] != 0 {
                    let each = u64::from(config.rx_buffer_stride(ring));
                    area.buffers[ring] = bump.take((u64::from(config.rx_ring[ring]) + 1) * each, 1);
                }
            }
        }
        let limit = base.saturating_add(bytes);
        let end = u64::try_from(bump.at).unwrap_or(u64::MAX);
        if bump.at > u128::from(limit) {
            return Err(LayoutError::NoRoom { end, limit });
        }
        Ok(Self { base, end, shared, queues: queue_table, rss, multicast, coalesce, tx, rx })
    }

    /// Descriptor of TX queue `queue` in the queue table.
    pub fn tx_queue_desc(&self, queue: usize) -> u64 {
        self.queues + queue as u64 * QUEUE_DESC_BYTES
    }

    /// Descriptor of RX queue `queue` in the queue table: TX queues come first.
    pub fn rx_queue_desc(&self, queue: usize) -> u64 {
        self.tx_queue_desc(self.tx.len() + queue)
    }

    /// The shared area as the driver writes it before ACTIVATE. Source: linux vmxnet3_drv.c, vmxnet3_setup_driver_shared.
    pub fn shared_image(&self, config: &DriverConfig) -> DriverShared {
        let mut misc = MiscConf::default();
        let mut info = misc.driver_info();
        info.set_version(0x0109_0000);
        let mut gos = info.gos();
        gos.set_gos_bits(2);
        gos.set_gos_type(1);
        info.set_gos(gos);
        info.set_vmxnet3_rev_spt(1);
        info.set_upt_ver_spt(1);
        misc.set_driver_info(info);
        misc.set_upt_features(config.feature_bits());
        misc.set_queue_desc_pa(self.queues);
        misc.set_queue_desc_len((self.tx.len() + self.rx.len()) as u32 * QUEUE_DESC_BYTES as u32);
        misc.set_mtu(config.mtu);
        misc.set_max_num_rx_sg(config.max_rx_sg);
        misc.set_num_tx_queues(config.tx_queues);
        misc.set_num_rx_queues(config.rx_queues);

        let mut intr = IntrConf::default();
        intr.set_auto_mask(u8::from(config.auto_mask));
        intr.set_num_intrs(config.vector_count());
        intr.set_event_intr_idx(config.event_vector());
        intr.set_mod_levels([config.mod_level; 25]);
        intr.set_intr_ctrl(1);

        let mut filter = RxFilterConf::default();
        if config.rx_mode_at_activate {
            filter.set_rx_mode(config.rx_mode);
        }
        filter.set_mf_table_pa(self.multicast);

        let mut shared = DriverShared::default();
        shared.set_magic(MAGIC);
        shared.set_misc(misc);
        if config.is_extended() {
            let mut extended = IntrConfExt::of(&intr);
            extended.set_mod_levels([config.mod_level; MAX_VECTORS]);
            shared.set_intr_conf_ext(extended);
        } else {
            shared.set_intr_conf(intr);
        }
        shared.set_rx_filter_conf(filter);
        if config.rss.is_some() {
            let mut desc = VariableLenConf::default();
            desc.set_conf_ver(1);
            desc.set_conf_len(size_of::<RssConf>() as u32);
            desc.set_conf_pa(self.rss);
            shared.set_rss_conf_desc(desc);
        }
        shared
    }

    /// Descriptor of TX queue `queue` as a driver writes it that leaves the data ring out.
    pub fn tx_queue_image(&self, config: &DriverConfig, queue: usize) -> TxQueueDesc {
        self.tx_queue_image_with(config, queue, 1, 0)
    }

    /// Descriptor of TX queue `queue` as the driver writes it for a device of `version` with `entry_bytes` bytes in an entry of the
    /// data ring, 0 for no ring. Source: linux vmxnet3_drv.c, vmxnet3_setup_driver_shared.
    pub fn tx_queue_image_with(
        &self,
        config: &DriverConfig,
        queue: usize,
        version: u8,
        entry_bytes: u16,
    ) -> TxQueueDesc {
        let mut conf = TxQueueConf::default();
        conf.set_tx_ring_base_pa(self.tx[queue].ring);
        conf.set_comp_ring_base_pa(self.tx[queue].comp);
        conf.set_dd_pa(u64::MAX);
        conf.set_tx_ring_size(config.tx_ring);
        conf.set_comp_ring_size(config.tx_comp);
        conf.set_intr_idx(config.tx_vector(queue as u8));
        if entry_bytes != 0 {
            conf.set_data_ring_base_pa(self.tx[queue].data);
            conf.set_data_ring_size(config.tx_ring);
            if version >= 3 {
                conf.set_tx_data_ring_desc_size(entry_bytes);
            }
        }
        let mut desc = TxQueueDesc::default();
        desc.set_conf(conf);
        desc
    }

    /// Descriptor of RX queue `queue` as a driver writes it that gives no data ring.
    pub fn rx_queue_image(&self, config: &DriverConfig, queue: usize) -> RxQueueDesc {
        self.rx_queue_image_with(config, queue, 1)
    }

    /// Descriptor of RX queue `queue` as the driver writes it for a device of `version`.
    pub fn rx_queue_image_with(&self, config: &DriverConfig, queue: usize, version: u8) -> RxQueueDesc {
        let mut conf = RxQueueConf::default();
        conf.set_rx_ring_base_pa(self.rx[queue].ring);
        conf.set_rx_ring_size(config.rx_ring);
        conf.set_comp_ring_base_pa(self.rx[queue].comp);
        conf.set_dd_pa(u64::MAX);
        conf.set_comp_ring_size(config.rx_comp);
        conf.set_intr_idx(config.rx_vector(queue as u8));
        if version >= 3 && self.rx[queue].data != 0 {
            conf.set_rx_data_ring_base_pa(self.rx[queue].data);
            conf.set_rx_data_ring_desc_size(config.rx_data_bytes);
        }
        let mut desc = RxQueueDesc::default();
        desc.set_conf(conf);
        desc
    }

    /// The RSS block, if the configuration asks for one.
    pub fn rss_image(&self, config: &DriverConfig) -> Option<RssConf> {
        let rss = config.rss.as_ref()?;
        let mut block = RssConf::default();
        block.set_hash_type(rss.hash_type);
        block.set_hash_func(1);
        block.set_hash_key_size(40);
        block.set_ind_table_size(rss.table.len() as u16);
        block.set_hash_key(rss.key);
        let mut table = [0; 128];
        for (to, from) in table.iter_mut().zip(&rss.table) {
            *to = *from;
        }
        block.set_ind_table(table);
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_ascend_and_ring_bases_are_aligned() {
        for config in [
            DriverConfig::default(),
            DriverConfig::tiny(),
            DriverConfig { tx_queues: 3, rx_queues: 2, seed: 5, ..Default::default() },
        ] {
            let layout = Layout::plan(&config, 0x1004, 1 << 24).unwrap();
            let mut at = layout.shared;
            for pa in layout
                .tx
                .iter()
                .flat_map(|t| [t.ring, t.comp])
                .chain(layout.rx.iter().flat_map(|r| [r.ring[0], r.ring[1], r.comp]))
            {
                assert!(pa > at);
                assert!(pa.is_multiple_of(config.ring_align));
                at = pa;
            }
            assert_eq!(layout.tx[0].buffers % 8, (at + u64::from(config.rx_comp) * 16 + config.seed % 8) % 8);
            assert!(layout.end - layout.base <= 1 << 24);
            assert_eq!(layout.shared_image(&config).misc().queue_desc_pa() % 128, 0);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let config = DriverConfig::tiny();
        assert!(Layout::plan(&config, 0, 4096).is_ok());
        assert!(matches!(Layout::plan(&config, 0, 1024), Err(LayoutError::NoRoom { limit: 1024, .. })));
        assert!(matches!(Layout::plan(&config, u64::MAX - 64, 64), Err(LayoutError::NoRoom { .. })));
        let bad = DriverConfig { rx_comp: 7, ..DriverConfig::tiny() };
        assert_eq!(Layout::plan(&bad, 0, 4096), Err(LayoutError::Config { field: "rx_comp", value: 7 }));
    }
}
