//! The reconstructed guest: rings laid out as the driver laid them out, one frame a doorbell, buffers posted again.

use super::dumps;
use super::plan::Start;
use super::space::Space;
use crate::import::Capture;
use crate::shared_view::SharedView;
use model::memory::Memory;
use model::plane::{RxSetup, TxSetup};
use spec::layout::Bytes;
use spec::position::RingIndex;
use spec::vmxnet3::{
    CELL_BYTES, DriverShared, QUEUE_DESC_BYTES, RxCompDesc, RxDesc, RxQueueDesc, TxCompDesc, TxDesc, TxQueueDesc,
};
use std::collections::VecDeque;

/// Most bytes of a frame that the guest sends.
const STAGING: u64 = 1 << 17;
/// Bytes of one receive buffer of ours: as many as a descriptor can say.
const BUFFER: u64 = 1 << 14;
/// Receive buffers of ours; cells share them, as the guest takes every frame out before the next arrives.
const BUFFERS: u64 = 64;
/// Room for a multicast table of any length.
const MULTICASTS: u64 = 1 << 16;

/// A packet that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Posted {
    /// First descriptor.
    pub first: u32,
    /// Descriptors.
    pub descs: u32,
    /// Bytes of the frame.
    pub bytes: usize,
    /// Number of the frame in the recording.
    pub frame: usize,
}

/// A TX queue as the driver sees it.
#[derive(Clone, Debug)]
pub(super) struct TxSide {
    pub setup: TxSetup,
    fill: RingIndex,
    comp: RingIndex,
    /// Packets whose descriptors are still in the ring, oldest first.
    pub posted: VecDeque<Posted>,
}

/// An RX queue as the driver sees it.
#[derive(Clone, Debug)]
pub(super) struct RxSide {
    pub setup: RxSetup,
    fill: [RingIndex; 2],
    /// Completed last in each ring.
    done: [u32; 2],
    comp: RingIndex,
}

/// The guest.
#[derive(Clone, Debug)]
pub(super) struct Guest<'a> {
    view: &'a SharedView,
    capture: &'a Capture,
    groups: &'a [[u8; 6]],
    rings_at: Vec<u64>,
    queues_at: u64,
    multicast_at: u64,
    staging: u64,
    buffers: u64,
    pub tx: Vec<TxSide>,
    pub rx: Vec<RxSide>,
}

impl<'a> Guest<'a> {
    /// A guest that did nothing yet, and its memory.
    pub fn new(capture: &'a Capture, view: &'a SharedView, groups: &'a [[u8; 6]], starts: &[Start]) -> (Self, Memory) {
        let sizes: Vec<Vec<u64>> = starts.iter().filter(|start| !start.recorded).map(ring_bytes).collect();
        let rings = sizes.iter().map(Vec::len).max().unwrap_or(0);
        let largest: Vec<u64> =
            (0..rings).map(|i| sizes.iter().filter_map(|s| s.get(i)).copied().max().unwrap_or(0)).collect();
        let rest = STAGING + BUFFER * BUFFERS + MULTICASTS + (1 << 13);
        let bytes = rest + largest.iter().map(|bytes| bytes.next_multiple_of(4096)).sum::<u64>();
        let mut space = Space::beside(&capture.memory, bytes);
        let rings_at = largest.iter().map(|&bytes| space.take(bytes)).collect();
        let queues_at = space.take(QUEUE_DESC_BYTES * 16);
        let multicast_at = space.take(MULTICASTS);
        let staging = space.take(STAGING);
        let buffers = space.take(BUFFER * BUFFERS);
        let (tx, rx) = (Vec::new(), Vec::new());
        let memory = space.memory(&capture.memory);
        (Self { view, capture, groups, rings_at, queues_at, multicast_at, staging, buffers, tx, rx }, memory)
    }

    /// Makes memory what it has to be when the driver activates the device: shared area, queue descriptors, fresh rings.
    pub fn lay_out(&mut self, start: &Start, memory: &mut Memory) {
        let mut start = start.clone();
        if !start.recorded {
            let mut places = self.rings_at.iter().copied();
            let mut next = || places.next().unwrap_or(0);
            for queue in &mut start.tx {
                (queue.ring_pa, queue.comp_pa) = (next(), next());
            }
            for queue in &mut start.rx {
                (queue.ring_pa, queue.comp_pa) = ([next(), next()], next());
            }
        }
        let mut shared = self.view.shared;
        let mut misc = shared.misc();
        if !start.recorded {
            misc.set_queue_desc_pa(self.queues_at);
        }
        shared.set_misc(misc);
        let mut filter = shared.rx_filter_conf();
        filter.set_mf_table_pa(self.multicast_at);
        shared.set_rx_filter_conf(filter);
        put(memory, self.view.pa, &shared.0[..DriverShared::LAYOUT.offset("cu.cmdInfo") as usize]);
        put(memory, self.multicast_at, self.groups.as_flattened());
        self.queue_descs(&start, misc.queue_desc_pa(), memory);
        self.tx = start.tx.iter().map(|&setup| TxSide::fresh(setup, memory)).collect();
        self.rx = (0..start.rx.len()).map(|q| self.fill_fresh(q, start.rx[q], memory)).collect();
    }

    fn queue_descs(&self, start: &Start, at: u64, memory: &mut Memory) {
        let place = |i: usize| at.wrapping_add(QUEUE_DESC_BYTES * i as u64);
        for (i, (desc, setup)) in self.view.tx.iter().zip(&start.tx).enumerate() {
            let mut fresh = TxQueueDesc::default();
            let mut conf = desc.conf();
            conf.set_tx_ring_base_pa(setup.ring_pa);
            conf.set_tx_ring_size(setup.ring_size);
            conf.set_comp_ring_base_pa(setup.comp_pa);
            conf.set_comp_ring_size(setup.comp_size);
            fresh.set_conf(conf);
            put(memory, place(i), &fresh.0);
        }
        for (i, (desc, setup)) in self.view.rx.iter().zip(&start.rx).enumerate() {
            let mut fresh = RxQueueDesc::default();
            let mut conf = desc.conf();
            conf.set_rx_ring_base_pa(setup.ring_pa);
            conf.set_rx_ring_size(setup.ring_size);
            conf.set_comp_ring_base_pa(setup.comp_pa);
            conf.set_comp_ring_size(setup.comp_size);
            fresh.set_conf(conf);
            put(memory, place(self.view.tx.len() + i), &fresh.0);
        }
    }

    /// Length and kind of the buffer behind a cell: the image's, or its pattern where the ring has another size.
    fn layout(&self, queue: usize, ring: usize, index: u32, size: u32) -> (u16, bool) {
        let recorded = self.view.rx.get(queue).map(RxQueueDesc::conf).unwrap_or_default();
        let cell = |index: u32| -> RxDesc {
            let pa = recorded.rx_ring_base_pa()[ring].wrapping_add(CELL_BYTES * u64::from(index));
            self.capture.memory.read(pa, 16).map(RxDesc::get).unwrap_or_default()
        };
        let recorded_size = recorded.rx_ring_size()[ring];
        if size == recorded_size {
            return (cell(index).len(), cell(index).btype());
        }
        if ring == 1 {
            return (cell(0).len(), true);
        }
        let period = (1..recorded_size.min(64)).find(|&i| !cell(i).btype()).unwrap_or(1);
        // Linux makes ring 0 a multiple of 32 packets' buffers.
        let period = if size.is_multiple_of(32 * period) { period } else { 1 };
        (cell(index % period).len(), cell(index % period).btype())
    }

    /// A ring with every descriptor but the last handed over.
    fn fill_fresh(&self, queue: usize, setup: RxSetup, memory: &mut Memory) -> RxSide {
        let mut side = RxSide { setup, fill: [RingIndex::START; 2], done: [0; 2], comp: RingIndex::START };
        zero(memory, setup.comp_pa, setup.comp_size);
        for ring in 0..2 {
            let size = setup.ring_size[ring];
            for index in 0..size {
                let (len, body) = self.layout(queue, ring, index, size);
                let mut desc = RxDesc::default();
                desc.set_addr(self.buffers + BUFFER * (u64::from(index) % BUFFERS));
                desc.set_len(len);
                desc.set_btype(body);
                desc.set_generation(index + 1 < size);
                put(memory, cell_pa(setup.ring_pa[ring], index), &desc.0.to_le_bytes());
            }
            side.fill[ring] = RingIndex::START.plus(size.saturating_sub(1), size.max(1));
        }
        side
    }

    /// Posts a frame in as many descriptors as the doorbell's value is ahead.
    pub fn post(
        &mut self,
        queue: usize,
        value: u32,
        (number, frame): (usize, &[u8]),
        memory: &mut Memory,
    ) -> Result<(), String> {
        let ahead = self.ahead(queue, value)?;
        let side = &mut self.tx[queue];
        let size = side.setup.ring_size;
        let most = ahead as usize * 16_383;
        if frame.len() < ahead as usize || frame.len() > most || frame.len() as u64 > STAGING {
            return Err(format!("frame {number} of {} bytes cannot fill {ahead} descriptors", frame.len()));
        }
        put(memory, self.staging, frame);
        let mut at = side.fill;
        for i in 0..ahead as usize {
            let (from, to) = (frame.len() * i / ahead as usize, frame.len() * (i + 1) / ahead as usize);
            let mut desc = TxDesc::default();
            desc.set_addr(self.staging + from as u64);
            desc.set_len((to - from) as u16);
            desc.set_eop(to == frame.len());
            desc.set_cq(to == frame.len());
            desc.set_generation(at.generation());
            put(memory, cell_pa(side.setup.ring_pa, at.index()), &desc.0.to_le_bytes());
            at = at.next(size);
        }
        let first = side.fill.index();
        side.posted.push_back(Posted { first, descs: ahead, bytes: frame.len(), frame: number });
        while side.posted.iter().map(|posted| posted.descs).sum::<u32>() > size {
            side.posted.pop_front();
        }
        side.fill = at;
        Ok(())
    }

    /// Where the driver fills a TX ring next.
    pub fn fill(&self, queue: usize) -> Option<RingIndex> {
        self.tx.get(queue).map(|side| side.fill)
    }

    /// Where the driver stands, as its register dump shows it.
    pub fn places(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for (q, side) in self.tx.iter().enumerate() {
            let TxSide { setup, fill, comp, .. } = side;
            // Every packet is completed before the guest does anything else.
            let ring = dumps::command(
                &format!("tx[{q}].txRing"),
                setup.ring_size,
                fill.index(),
                fill.index(),
                fill.generation(),
            );
            all.extend(ring);
            let name = format!("tx[{q}].compRing");
            all.extend(dumps::completion(&name, setup.comp_size, comp.index(), comp.generation()));
        }
        for (q, side) in self.rx.iter().enumerate() {
            for (r, (fill, done)) in side.fill.iter().zip(side.done).enumerate() {
                let (name, size) = (format!("rx[{q}].rxRing[{r}]"), side.setup.ring_size[r]);
                all.extend(dumps::command(&name, size, fill.index(), done, fill.generation()));
            }
            let name = format!("rx[{q}].compRing");
            all.extend(dumps::completion(&name, side.setup.comp_size, side.comp.index(), side.comp.generation()));
        }
        all
    }

    /// Descriptors by which a doorbell's value is ahead.
    fn ahead(&self, queue: usize, value: u32) -> Result<u32, String> {
        let side = self.tx.get(queue).ok_or("there is no such queue while inactive")?;
        let (size, from) = (side.setup.ring_size, side.fill.index());
        if value >= size {
            return Err(format!("the ring has {size} descriptors"));
        }
        match (value + size - from) % size {
            0 => Err(format!("the index does not advance from {from}")),
            ahead => Ok(ahead),
        }
    }

    /// Takes the completion of the packet posted last.
    pub fn complete(&mut self, queue: usize, memory: &Memory) -> Result<(), String> {
        let side = &mut self.tx[queue];
        let cell = TxCompDesc(memory.cell(cell_pa(side.setup.comp_pa, side.comp.index())).unwrap_or(0));
        if cell.generation() != side.comp.generation() {
            return Err("the packet was not completed".into());
        }
        side.comp = side.comp.next(side.setup.comp_size);
        let last = side.posted.back().map(|p| (p.first + p.descs - 1) % side.setup.ring_size.max(1));
        if last != Some(u32::from(cell.txd_idx())) {
            return Err(format!("its completion names descriptor {}", cell.txd_idx()));
        }
        Ok(())
    }

    /// Takes whatever was received, and posts the buffers again. Answers the bytes of each packet.
    pub fn receive(&mut self, memory: &mut Memory) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let queues = self.rx.len() as u16;
        for (q, side) in self.rx.iter_mut().enumerate() {
            let mut packet = Vec::new();
            for _ in 0..side.setup.comp_size {
                let cell = RxCompDesc(memory.cell(cell_pa(side.setup.comp_pa, side.comp.index())).unwrap_or(0));
                if cell.generation() != side.comp.generation() {
                    break;
                }
                side.comp = side.comp.next(side.setup.comp_size);
                let ring = usize::from(cell.rq_id() == q as u16 + queues);
                let index = u32::from(cell.rxd_idx());
                let desc = RxDesc(memory.cell(cell_pa(side.setup.ring_pa[ring], index)).unwrap_or(0));
                let len = usize::from(cell.len());
                packet.extend_from_slice(memory.bytes(desc.addr(), len).unwrap_or(&[]));
                side.post_again(ring, index, memory);
                if cell.eop() {
                    packets.push(core::mem::take(&mut packet));
                }
            }
        }
        packets
    }
}

impl TxSide {
    fn fresh(setup: TxSetup, memory: &mut Memory) -> Self {
        zero(memory, setup.ring_pa, setup.ring_size);
        zero(memory, setup.comp_pa, setup.comp_size);
        Self { setup, fill: RingIndex::START, comp: RingIndex::START, posted: VecDeque::new() }
    }
}

impl RxSide {
    /// Hands over every cell up to the one before the last that was completed, which stays the gap between full and empty.
    /// Source: linux vmxnet3_drv.c, vmxnet3_rq_rx_complete, from rcd_done on.
    fn post_again(&mut self, ring: usize, completed: u32, memory: &mut Memory) {
        let size = self.setup.ring_size[ring];
        if completed >= size {
            return;
        }
        self.done[ring] = completed;
        let fill = &mut self.fill[ring];
        let room = (completed + 2 * size - fill.index() - 1) % size;
        for _ in 0..room {
            let pa = cell_pa(self.setup.ring_pa[ring], fill.index());
            let mut desc = RxDesc(memory.cell(pa).unwrap_or(0));
            desc.set_generation(fill.generation());
            put(memory, pa, &desc.0.to_le_bytes());
            *fill = fill.next(size);
        }
    }
}

fn ring_bytes(start: &Start) -> Vec<u64> {
    let bytes = |cells: u32| u64::from(cells.min(1 << 13)) * CELL_BYTES;
    let tx = start.tx.iter().flat_map(|queue| [queue.ring_size, queue.comp_size]);
    let rx = start.rx.iter().flat_map(|queue| [queue.ring_size[0], queue.ring_size[1], queue.comp_size]);
    tx.chain(rx).map(bytes).collect()
}

pub(super) fn cell_pa(base: u64, index: u32) -> u64 {
    base.wrapping_add(CELL_BYTES * u64::from(index))
}

fn zero(memory: &mut Memory, pa: u64, cells: u32) {
    for index in 0..cells {
        put(memory, cell_pa(pa, index), &[0; 16]);
    }
}

/// A store outside memory goes nowhere: the addresses are a recorded driver's.
fn put(memory: &mut Memory, pa: u64, bytes: &[u8]) {
    let _ = memory.write(pa, bytes);
}
