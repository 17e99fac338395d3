//! What lies in guest memory: stores, loads, and the structures of the shared area.

use super::{Bench, RxSide, TxSide};
use model::memory::Memory;
use spec::layout::Bytes;
use spec::vmxnet3::shared::ECR_OFFSET;
use spec::vmxnet3::{CELL_BYTES, DriverShared, RxQueueDesc, TxQueueDesc};

/// Bytes of the largest declared structure.
const LARGEST: usize = 1024;

impl Bench<'_> {
    /// Stores to guest memory.
    pub fn store(&mut self, pa: u64, bytes: &[u8]) {
        if !self.device.store(pa, bytes) {
            self.stuck.get_or_insert("the case stores outside memory");
        }
    }

    /// Stores a declared value.
    pub fn put<T: Bytes>(&mut self, pa: u64, value: T) {
        let mut bytes = vec![0; T::SIZE];
        value.put(&mut bytes);
        self.store(pa, &bytes);
    }

    /// Loads a declared value; its default outside memory.
    pub fn get<T: Bytes + Default>(&self, pa: u64) -> T {
        let mut bytes = [0; LARGEST];
        let Some(bytes) = bytes.get_mut(..T::SIZE) else { return T::default() };
        if self.device.load(pa, bytes) { T::get(bytes) } else { T::default() }
    }

    /// The event word in the shared area.
    pub fn events(&self) -> u32 {
        self.get(self.layout.shared + ECR_OFFSET)
    }

    /// Changes the shared area.
    pub fn shared(&mut self, change: impl FnOnce(&mut DriverShared)) {
        let pa = self.layout.shared;
        let mut shared: DriverShared = self.get(pa);
        change(&mut shared);
        self.store(pa, &shared.0[..self.config.shared_bytes() as usize]);
    }

    /// Changes the descriptor of a TX queue.
    pub fn tx_desc(&mut self, queue: usize, change: impl FnOnce(&mut TxQueueDesc)) {
        let pa = self.layout.tx_queue_desc(queue);
        let mut desc: TxQueueDesc = self.get(pa);
        change(&mut desc);
        self.store(pa, &desc.0);
    }

    /// Changes the descriptor of an RX queue.
    pub fn rx_desc(&mut self, queue: usize, change: impl FnOnce(&mut RxQueueDesc)) {
        let pa = self.layout.rx_queue_desc(queue);
        let mut desc: RxQueueDesc = self.get(pa);
        change(&mut desc);
        self.store(pa, &desc.0);
    }

    /// Writes every structure, empties every ring and posts every buffer but one a ring.
    pub fn write_structures(&mut self) {
        let (layout, config) = (self.layout.clone(), self.config.clone());
        self.store(layout.shared, &layout.shared_image(&config).0[..config.shared_bytes() as usize]);
        for q in 0..layout.tx.len() {
            self.store(
                layout.tx_queue_desc(q),
                &layout.tx_queue_image_with(&config, q, self.version, self.tx_data_bytes).0,
            );
            let area = layout.tx[q];
            self.zero(area.ring, area.ring_size);
            self.zero(area.comp, area.comp_size);
            self.tx[q] = TxSide::default();
        }
        for q in 0..layout.rx.len() {
            self.store(layout.rx_queue_desc(q), &layout.rx_queue_image_with(&config, q, self.version).0);
            let area = layout.rx[q];
            self.zero(area.comp, area.comp_size);
            self.rx[q] = RxSide::default();
            for ring in 0..2 {
                self.zero(area.ring[ring], area.ring_size[ring]);
                for _ in 1..area.ring_size[ring] {
                    self.post_buffer(q, ring);
                }
            }
        }
        if let Some(rss) = layout.rss_image(&config) {
            self.store(layout.rss, &rss.0);
        }
    }

    fn zero(&mut self, pa: u64, cells: u32) {
        if cells > 0 {
            self.store(pa, &vec![0; cells as usize * CELL_BYTES as usize]);
        }
    }

    /// A copy of guest memory without the words that a switch may write: updateRxProd and txThreshold.
    pub fn memory_but_control(&self) -> Memory {
        let mut memory = self.memory().clone();
        let queues = (self.layout.tx.len() + self.layout.rx.len()) as u64;
        for q in 0..queues {
            let pa = self.layout.queues + q * spec::vmxnet3::QUEUE_DESC_BYTES;
            if let Ok(words) = memory.bytes_mut(pa, 8) {
                words.fill(0);
            }
        }
        memory
    }
}
