//! What guest memory says of the device: the shared area, the queue descriptors it names, the rings they name.

use crate::import::MemoryImage;
use spec::layout::{Bytes, Layout};
use spec::vmxnet3::{
    CELL_BYTES, DriverShared, MAGIC, QUEUE_DESC_BYTES, RxCompDesc, RxDesc, RxQueueDesc, SHARED_BYTES_V1, TxCompDesc,
    TxDesc, TxQueueDesc,
};

/// A ring that a queue descriptor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPlace {
    /// The receive side; otherwise transmit.
    pub rx: bool,
    /// Queue number.
    pub queue: usize,
    /// `txRing`, `rxRing[0]`, `rxRing[1]` or `compRing`.
    pub part: &'static str,
    /// Guest-physical address.
    pub pa: u64,
    /// Entries.
    pub size: u32,
    /// What an entry is.
    pub entry: &'static Layout,
}

impl RingPlace {
    /// Such as `rx[0].rxRing[1]`.
    pub fn name(&self) -> String {
        format!("{}[{}].{}", if self.rx { "rx" } else { "tx" }, self.queue, self.part)
    }

    /// Its bytes, when the image holds all of them.
    pub fn bytes<'a>(&self, memory: &'a MemoryImage) -> Option<&'a [u8]> {
        memory.read(self.pa, usize::try_from(u64::from(self.size) * CELL_BYTES).ok()?)
    }
}

/// The shared structures of one device, copied out of guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedView {
    /// Guest-physical address of the shared area.
    pub pa: u64,
    /// The shared area; what lies behind the bytes kept reads as zero.
    pub shared: DriverShared,
    /// Transmit queue descriptors that the image holds.
    pub tx: Vec<TxQueueDesc>,
    /// Receive queue descriptors that the image holds.
    pub rx: Vec<RxQueueDesc>,
}

impl SharedView {
    /// Finds the shared area: at `pa` when it is known, else the first range that begins with the magic word.
    pub fn find(memory: &MemoryImage, pa: Option<u64>) -> Option<Self> {
        let is_shared =
            |pa: u64| memory.read(pa, SHARED_BYTES_V1 as usize).is_some_and(|bytes| u32::get(bytes) == MAGIC);
        let pa = match pa.filter(|&pa| pa != 0) {
            Some(pa) => is_shared(pa).then_some(pa)?,
            None => memory.regions.iter().map(|region| region.address).find(|&pa| is_shared(pa))?,
        };
        let mut shared = DriverShared::default();
        let kept = [DriverShared::SIZE, SHARED_BYTES_V1 as usize].into_iter().find_map(|len| memory.read(pa, len))?;
        shared.0[..kept.len()].copy_from_slice(kept);
        let misc = shared.misc();
        let (table, txs) = (misc.queue_desc_pa(), u64::from(misc.num_tx_queues()));
        let at = |queue: u64| memory.read(table.checked_add(queue * QUEUE_DESC_BYTES)?, QUEUE_DESC_BYTES as usize);
        let tx = (0..txs).map_while(|queue| at(queue).map(TxQueueDesc::get)).collect();
        let rx =
            (txs..txs + u64::from(misc.num_rx_queues())).map_while(|queue| at(queue).map(RxQueueDesc::get)).collect();
        Some(Self { pa, shared, tx, rx })
    }

    /// Every ring that the queue descriptors name and give a size.
    pub fn rings(&self) -> Vec<RingPlace> {
        let mut rings = Vec::new();
        let mut add = |rx, queue, part, pa, size, entry| {
            if size != 0 {
                rings.push(RingPlace { rx, queue, part, pa, size, entry });
            }
        };
        for (queue, conf) in self.tx.iter().map(TxQueueDesc::conf).enumerate() {
            add(false, queue, "txRing", conf.tx_ring_base_pa(), conf.tx_ring_size(), TxDesc::LAYOUT);
            add(false, queue, "compRing", conf.comp_ring_base_pa(), conf.comp_ring_size(), TxCompDesc::LAYOUT);
        }
        for (queue, conf) in self.rx.iter().map(RxQueueDesc::conf).enumerate() {
            add(true, queue, "rxRing[0]", conf.rx_ring_base_pa()[0], conf.rx_ring_size()[0], RxDesc::LAYOUT);
            add(true, queue, "rxRing[1]", conf.rx_ring_base_pa()[1], conf.rx_ring_size()[1], RxDesc::LAYOUT);
            add(true, queue, "compRing", conf.comp_ring_base_pa(), conf.comp_ring_size(), RxCompDesc::LAYOUT);
        }
        rings
    }
}
