//! The guest's side of the rings.

use super::Bench;
use spec::position::RingIndex;
use spec::vmxnet3::{Bar0, CELL_BYTES, RxCompDesc, RxDesc, RxQueueDesc, TxCompDesc, TxDesc};

impl Bench<'_> {
    /// Loads a ring's cell.
    fn cell(&self, ring: u64, index: u32) -> u128 {
        let mut bytes = [0; CELL_BYTES as usize];
        self.device.load(ring + u64::from(index) * CELL_BYTES, &mut bytes);
        u128::from_le_bytes(bytes)
    }

    /// Address of the buffer behind a cell.
    fn rx_buffer(&self, queue: usize, ring: usize, index: u32) -> u64 {
        let each = u64::from(self.config.rx_buffer_stride(ring));
        self.layout.rx[queue].buffers[ring] + u64::from(index) * each
    }

    /// Gives the next buffer of a ring to the device.
    pub(super) fn post_buffer(&mut self, queue: usize, ring: usize) {
        let at = self.rx[queue].fill[ring];
        let area = self.layout.rx[queue];
        let mut desc = RxDesc::default();
        desc.set_addr(self.rx_buffer(queue, ring, at.index()));
        desc.set_len(self.config.rx_buffer_bytes(ring, at.index()));
        desc.set_btype(!self.config.is_head(ring, at.index()));
        desc.set_generation(at.generation());
        self.store(area.ring[ring] + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.rx[queue].fill[ring] = at.next(area.ring_size[ring]);
    }

    /// The next TX cell of a queue, published with `desc` and the generation due there.
    pub fn post_cell(&mut self, queue: usize, mut desc: TxDesc) -> u32 {
        let at = self.tx[queue].next;
        let area = self.layout.tx[queue];
        desc.set_generation(at.generation());
        self.store(area.ring + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.tx[queue].next = at.next(area.ring_size);
        at.index()
    }

    /// Places `bytes` in the buffer behind the next TX cell and describes them, without end.
    pub fn piece(&mut self, queue: usize, bytes: &[u8]) -> TxDesc {
        let index = u64::from(self.tx[queue].next.index());
        let pa = self.layout.tx[queue].buffers + index * u64::from(self.config.tx_buffer_bytes);
        self.store(pa, bytes);
        let mut desc = TxDesc::default();
        desc.set_addr(pa);
        desc.set_len(bytes.len() as u16);
        desc
    }

    /// Posts a frame in one descriptor that asks for a completion, and does not ring.
    pub fn post(&mut self, queue: usize, frame: &[u8]) -> u32 {
        let mut desc = self.piece(queue, frame);
        desc.set_eop(true);
        desc.set_cq(true);
        self.post_cell(queue, desc)
    }

    /// Rings the TX doorbell.
    pub fn ring(&mut self, queue: usize) {
        let next = self.tx[queue].next.index();
        self.write0(Bar0::TxProd(queue as u8), next);
    }

    /// Posts a frame and rings.
    pub fn send(&mut self, queue: usize, frame: &[u8]) -> u32 {
        let index = self.post(queue, frame);
        self.ring(queue);
        index
    }

    /// TX completions since the last call, slots first to last.
    pub fn completions(&mut self, queue: usize) -> Vec<(u32, TxCompDesc)> {
        let area = self.layout.tx[queue];
        let mut all = Vec::new();
        loop {
            let at = self.tx[queue].comp;
            let cell = TxCompDesc(self.cell(area.comp, at.index()));
            if cell.generation() != at.generation() || all.len() > area.comp_size as usize {
                return all;
            }
            all.push((at.index(), cell));
            self.tx[queue].comp = at.next(area.comp_size);
        }
    }

    /// Frames received since the last call, with the last completion of each; their buffers go back to the device.
    pub fn received(&mut self, queue: usize) -> Vec<(Vec<u8>, RxCompDesc)> {
        let area = self.layout.rx[queue];
        let (mut all, mut frame) = (Vec::new(), Vec::new());
        let queues = self.layout.rx.len() as u16;
        for _ in 0..area.comp_size {
            let at = self.rx[queue].comp;
            let cell = RxCompDesc(self.cell(area.comp, at.index()));
            if cell.generation() != at.generation() {
                break;
            }
            self.rx[queue].comp = at.next(area.comp_size);
            let copied = cell.rq_id() >= 2 * queues;
            let ring = usize::from(cell.rq_id() >= queues && !copied);
            let pa = if copied {
                area.data + u64::from(cell.rxd_idx()) * u64::from(self.config.rx_data_bytes)
            } else {
                self.rx_buffer(queue, ring, u32::from(cell.rxd_idx()))
            };
            let start = frame.len();
            frame.resize(start + usize::from(cell.len()), 0);
            if !self.device.load(pa, &mut frame[start..]) {
                frame.truncate(start);
            }
            self.post_buffer(queue, ring);
            if cell.eop() {
                all.push((core::mem::take(&mut frame), cell));
            }
        }
        if !all.is_empty() {
            self.tell_buffers(queue);
        }
        all
    }

    /// Rings for receive buffers where the device asks for it.
    fn tell_buffers(&mut self, queue: usize) {
        let desc: RxQueueDesc = self.get(self.layout.rx_queue_desc(queue));
        if desc.ctrl().update_rx_prod() != 0 {
            let [zero, one] = self.rx[queue].fill.map(RingIndex::index);
            self.write0(Bar0::RxProd(queue as u8), zero);
            if self.layout.rx[queue].ring_size[1] != 0 {
                self.write0(Bar0::RxProd2(queue as u8), one);
            }
        }
    }
}
