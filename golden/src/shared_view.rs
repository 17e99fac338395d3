//! What guest memory says of the device: the shared area, the queue descriptors it names, the rings they name.

use crate::import::MemoryImage;
use spec::event::GuestView;
use spec::layout::{Bytes, Layout};
use spec::vmxnet3::{
    CELL_BYTES, DriverShared, MAGIC, QUEUE_DESC_ALIGN, QUEUE_DESC_BYTES, RxCompDesc, RxDesc, RxQueueDesc,
    SHARED_BYTES_V1, TxCompDesc, TxDesc, TxQueueDesc,
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
    /// Finds the shared area: at `pa` when it is known, else where a range begins with the magic word, else by looking for it.
    pub fn find(memory: &MemoryImage, pa: Option<u64>) -> Option<Self> {
        let is_shared =
            |pa: u64| memory.read(pa, SHARED_BYTES_V1 as usize).is_some_and(|bytes| u32::get(bytes) == MAGIC);
        let pa = match pa.filter(|&pa| pa != 0) {
            Some(pa) => pa,
            None => match memory.regions.iter().map(|region| region.address).find(|&pa| is_shared(pa)) {
                Some(pa) => pa,
                None => return Self::search(memory),
            },
        };
        Self::read(memory, pa)
    }

    /// Looks through all of memory, for a whole guest's: the first magic word behind which stands what can be a configuration.
    fn search(memory: &MemoryImage) -> Option<Self> {
        const STEP: usize = 8;
        let magic = MAGIC.to_le_bytes();
        memory.regions.iter().find_map(|region| {
            let places = region.bytes.chunks_exact(STEP).enumerate().filter(|(_, bytes)| bytes.starts_with(&magic));
            places.map(|(i, _)| region.address + (i * STEP) as u64).find_map(|pa| {
                let view = Self::read(memory, pa)?;
                let misc = view.shared.misc();
                let whole = view.tx.len() == usize::from(misc.num_tx_queues())
                    && view.rx.len() == usize::from(misc.num_rx_queues());
                let table = misc.queue_desc_pa().is_multiple_of(QUEUE_DESC_ALIGN);
                (whole && table && !view.tx.is_empty() && !view.rx.is_empty()).then_some(view)
            })
        })
    }

    /// Reads the shared area at `pa`; `None` when memory does not hold it or it does not begin with the magic word.
    pub fn read(memory: &dyn GuestView, pa: u64) -> Option<Self> {
        let mut shared = DriverShared::default();
        let kept = [DriverShared::SIZE, SHARED_BYTES_V1 as usize].into_iter().find_map(|len| memory.slice(pa, len))?;
        shared.0[..kept.len()].copy_from_slice(kept);
        if shared.magic() != MAGIC {
            return None;
        }
        let misc = shared.misc();
        let (table, txs) = (misc.queue_desc_pa(), u64::from(misc.num_tx_queues()));
        let at = |queue: u64| memory.slice(table.checked_add(queue * QUEUE_DESC_BYTES)?, QUEUE_DESC_BYTES as usize);
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
