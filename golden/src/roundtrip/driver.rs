//! The driver that was recorded, going on: it posts packets behind those in memory and reads completions where it stopped.

use crate::import::MemoryImage;
use crate::replay::space::Space;
use model::hypervisor::bring_up::{Ring, owned_run};
use model::memory::Memory;
use model::migrate::Canon;
use model::plane::{RxSetup, TxSetup};
use spec::position::RingIndex;
use spec::vmxnet3::{CELL_BYTES, RxCompDesc, RxDesc, TxCompDesc, TxDesc};

/// Longest packet that the driver sends, bytes; each has a place of its own.
const PACKET: u64 = 2048;
/// Receive buffers of each ring that frames can reach.
const REACHED: u32 = 64;

/// A TX queue.
#[derive(Clone, Debug)]
struct Sender {
    setup: TxSetup,
    fill: RingIndex,
    room: u32,
    comp: RingIndex,
    /// Last descriptor of each packet that is not completed, oldest first.
    open: Vec<u32>,
    places: u64,
}

/// An RX queue.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    setup: RxSetup,
    comp: RingIndex,
}

/// The driver.
#[derive(Clone, Debug)]
pub(super) struct Driver {
    tx: Vec<Sender>,
    rx: Vec<Receiver>,
}

fn cell_pa(base: u64, at: RingIndex) -> u64 {
    base.wrapping_add(CELL_BYTES * u64::from(at.index()))
}

/// Counts the buffers that were placed in memory of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    pub transmit: usize,
    pub receive: usize,
}

impl Driver {
    /// The driver where the recording stopped, able to post `packets` more on each queue, and its memory. Buffers that the
    /// image does not hold are placed in memory of our own.
    pub fn adopt(image: &MemoryImage, canon: &Canon, packets: u64) -> (Self, Memory, Placed) {
        let plain = Space::beside(image, 0).memory(image);
        let mut wanted = Vec::new();
        let Canon { activation, progress } = canon;
        for (setup, at) in activation.tx.iter().zip(&progress.tx) {
            let owned = owned_run(&plain, Ring::Tx, setup.ring_pa, setup.ring_size, at.next);
            wanted.extend(lacking(&plain, setup.ring_pa, setup.ring_size, at.next, owned));
        }
        let transmit = wanted.len();
        for (setup, at) in activation.rx.iter().zip(&progress.rx) {
            for r in 0..2 {
                let (pa, size) = (setup.ring_pa[r], setup.ring_size[r]);
                let owned = owned_run(&plain, Ring::Rx, pa, size, at.next[r]).min(REACHED);
                wanted.extend(lacking(&plain, pa, size, at.next[r], owned));
            }
        }
        let bytes: u64 = wanted.iter().map(|&(_, len)| len.next_multiple_of(4096)).sum();
        let queues = activation.tx.len() as u64;
        let mut space = Space::beside(image, bytes + queues * packets * PACKET + (1 << 13) * (1 + queues));
        let places: Vec<u64> = wanted.iter().map(|&(_, len)| space.take(len)).collect();
        let staging: Vec<u64> = (0..queues).map(|_| space.take(packets * PACKET)).collect();
        let mut memory = space.memory(image);
        for (&(cell, _), place) in wanted.iter().zip(places) {
            // The address is the first half of both kinds of descriptor.
            let _ = memory.write(cell, &place.to_le_bytes());
        }
        let tx = activation.tx.iter().zip(&progress.tx).zip(staging).map(|((setup, at), places)| {
            let owned = owned_run(&memory, Ring::Tx, setup.ring_pa, setup.ring_size, at.next);
            let mut open = Vec::new();
            let mut fill = at.next;
            for _ in 0..owned {
                let desc = TxDesc(memory.cell(cell_pa(setup.ring_pa, fill)).unwrap_or(0));
                if desc.eop() {
                    open.push(fill.index());
                }
                fill = fill.next(setup.ring_size);
            }
            // One descriptor stays unfilled, as full and empty would look alike.
            let room = setup.ring_size.saturating_sub(owned + 1);
            Sender { setup: *setup, fill, room, comp: at.comp, open, places }
        });
        let tx = tx.collect();
        let rx = activation.rx.iter().zip(&progress.rx).map(|(setup, at)| Receiver { setup: *setup, comp: at.comp });
        let driver = Self { tx, rx: rx.collect() };
        (driver, memory, Placed { transmit, receive: wanted.len() - transmit })
    }

    /// Posts a packet in `fragments` descriptors and does not ring. False when the ring has no room.
    pub fn post(&mut self, queue: usize, frame: &[u8], fragments: usize, memory: &mut Memory) -> bool {
        let sender = &mut self.tx[queue];
        if sender.room < fragments as u32 || frame.len() as u64 > PACKET || frame.len() < fragments {
            return false;
        }
        let _ = memory.write(sender.places, frame);
        for i in 0..fragments {
            let (from, to) = (frame.len() * i / fragments, frame.len() * (i + 1) / fragments);
            let mut desc = TxDesc::default();
            desc.set_addr(sender.places + from as u64);
            desc.set_len((to - from) as u16);
            desc.set_eop(to == frame.len());
            desc.set_cq(to == frame.len());
            desc.set_generation(sender.fill.generation());
            let _ = memory.write(cell_pa(sender.setup.ring_pa, sender.fill), &desc.0.to_le_bytes());
            if to == frame.len() {
                sender.open.push(sender.fill.index());
            }
            sender.fill = sender.fill.next(sender.setup.ring_size);
        }
        sender.room -= fragments as u32;
        sender.places += PACKET;
        true
    }

    /// What the driver would write to the doorbell of `queue`.
    pub fn producer(&self, queue: usize) -> u32 {
        self.tx[queue].fill.index()
    }

    /// Where the driver fills and reads completions next, for each TX queue.
    pub fn sent(&self) -> Vec<(RingIndex, RingIndex)> {
        self.tx.iter().map(|sender| (sender.fill, sender.comp)).collect()
    }

    /// Where the driver reads completions next, for each RX queue.
    pub fn received(&self) -> Vec<RingIndex> {
        self.rx.iter().map(|receiver| receiver.comp).collect()
    }

    /// Reads every completion that there is. Answers the frames that were received, in order.
    pub fn poll(&mut self, memory: &Memory) -> Result<Vec<Vec<u8>>, String> {
        for (q, sender) in self.tx.iter_mut().enumerate() {
            for _ in 0..sender.setup.comp_size {
                let cell = TxCompDesc(memory.cell(cell_pa(sender.setup.comp_pa, sender.comp)).unwrap_or(0));
                if sender.open.is_empty() || cell.generation() != sender.comp.generation() {
                    break;
                }
                let last = sender.open.remove(0);
                if u32::from(cell.txd_idx()) != last {
                    return Err(format!("tx queue {q}: a completion names {} where {last} is next", cell.txd_idx()));
                }
                sender.comp = sender.comp.next(sender.setup.comp_size);
            }
            if !sender.open.is_empty() {
                return Err(format!("tx queue {q}: {} packets were not completed", sender.open.len()));
            }
        }
        let mut frames = Vec::new();
        let queues = self.rx.len() as u16;
        for (q, receiver) in self.rx.iter_mut().enumerate() {
            let mut frame: Option<Vec<u8>> = None;
            for _ in 0..receiver.setup.comp_size {
                let cell = RxCompDesc(memory.cell(cell_pa(receiver.setup.comp_pa, receiver.comp)).unwrap_or(0));
                if cell.generation() != receiver.comp.generation() {
                    break;
                }
                receiver.comp = receiver.comp.next(receiver.setup.comp_size);
                let ring = usize::from(cell.rq_id() == q as u16 + queues);
                let at = RingIndex::new(u32::from(cell.rxd_idx()), true, receiver.setup.ring_size[ring]);
                let at = at.ok_or_else(|| format!("rx queue {q}: rxdIdx {} is outside ring {ring}", cell.rxd_idx()))?;
                let desc = RxDesc(memory.cell(cell_pa(receiver.setup.ring_pa[ring], at)).unwrap_or(0));
                if cell.sop() == frame.is_some() || cell.err() {
                    return Err(format!("rx queue {q}: a completion at the wrong place in a packet"));
                }
                let bytes = memory.bytes(desc.addr(), usize::from(cell.len())).map_err(|fault| fault.to_string())?;
                frame.get_or_insert_default().extend_from_slice(bytes);
                if cell.eop() {
                    frames.extend(frame.take());
                }
            }
            if frame.is_some() {
                return Err(format!("rx queue {q}: a packet without its end"));
            }
        }
        Ok(frames)
    }
}

/// Descriptors among the first `count` whose buffer is not in memory: where the descriptor is, and how long its buffer.
fn lacking(memory: &Memory, pa: u64, size: u32, from: RingIndex, count: u32) -> Vec<(u64, u64)> {
    let mut cells = Vec::new();
    let mut at = from;
    for _ in 0..count {
        let cell = cell_pa(pa, at);
        let desc = TxDesc(memory.cell(cell).unwrap_or(0));
        // Both kinds of descriptor have address and length in the same bits; 0 stands for 16384 in one of them.
        let len = if desc.len() == 0 { 16_384 } else { u64::from(desc.len()) };
        if memory.bytes(desc.addr(), len as usize).is_err() {
            cells.push((cell, len));
        }
        at = at.next(size);
    }
    cells
}
