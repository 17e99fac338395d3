//! The receive side: giving buffers, taking completions, the checks Linux stops the kernel for.

use super::breach::Breach;
use super::config::DriverConfig;
use super::ring::Cursor;
use super::{Driver, Micro, Outcome, Phase, Received};
use crate::guest::GuestPort;
use spec::event::Bar;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::RXCOMP_LRO;
use spec::vmxnet3::{Bar0, CELL_BYTES, RxCompDesc, RxDesc};
use std::collections::VecDeque;

/// Most buffers of a packet: the linear part and 17 fragments. Source: linux vmxnet3_drv.c, skb_shinfo MAX_SKB_FRAGS check.
const MOST_BUFFERS: u16 = 18;

/// A receive ring as the driver sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RxRing {
    size: u32,
    /// Next cell to give.
    fill: Cursor,
    /// Next cell the device uses.
    next: u32,
    /// Cells the device has.
    owned: u32,
    /// Cells that a queued `Refill` will give.
    queued: u32,
    /// Buffer behind each cell.
    buffer: Vec<u16>,
    /// Buffers behind no cell, oldest first.
    free: VecDeque<u16>,
}

impl RxRing {
    fn new(size: u32) -> Self {
        let mut ring = Self { size, ..Self::default() };
        ring.restart();
        ring
    }

    fn restart(&mut self) {
        (self.fill, self.next, self.owned, self.queued) = (Cursor::default(), 0, 0, 0);
        self.buffer.clear();
        self.buffer.resize(self.size as usize, 0);
        self.free.clear();
        if self.size > 0 {
            self.free.extend(0..=self.size as u16);
        }
    }

    /// What RXPROD is to say. A full ring says one less: equal would mean empty. Source: illumos vmxnet3_rx.c.
    fn producer(&self) -> u32 {
        if self.owned == self.size { (self.fill.at + self.size - 1) % self.size } else { self.fill.at }
    }
}

/// A packet whose last buffer has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Open {
    buffers: u16,
    bytes: u32,
}

/// A receive queue as the driver sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RxQueue {
    rings: [RxRing; 2],
    comp: Cursor,
    open: Option<Open>,
    /// Bytes of the open packet, when frames are kept.
    frame: Vec<u8>,
}

impl RxQueue {
    pub(super) fn new(config: &DriverConfig) -> Self {
        Self { rings: config.rx_ring.map(RxRing::new), ..Self::default() }
    }

    /// As at activation.
    pub(super) fn restart(&mut self) {
        for ring in &mut self.rings {
            ring.restart();
        }
        self.comp = Cursor::default();
        self.drop_open();
    }

    fn drop_open(&mut self) {
        self.open = None;
        self.frame.clear();
    }

    /// Buffers the device has.
    pub(super) fn owned(&self) -> [u32; 2] {
        [self.rings[0].owned, self.rings[1].owned]
    }
}

impl Driver {
    fn rx_capacity(&self, ring: usize) -> u32 {
        let size = self.config.rx_ring[ring];
        if size == 0 || self.config.full_rx_rings { size } else { size - 1 }
    }

    /// Queues giving every cell that may be given.
    pub(super) fn queue_refill(&mut self, q: usize) {
        for ring in 0..2 {
            let capacity = self.rx_capacity(ring);
            let state = &mut self.rx[q].rings[ring];
            let wanted = capacity - state.owned - state.queued;
            if wanted > 0 {
                if state.queued == 0 {
                    self.micro.push_back(Micro::Refill { queue: q as u8, ring: ring as u8 });
                }
                state.queued += wanted;
            }
        }
    }

    fn rx_cell(&self, q: usize, ring: usize, index: u32) -> u64 {
        self.layout.rx[q].ring[ring] + u64::from(index) * CELL_BYTES
    }

    fn rx_buffer(&self, q: usize, ring: usize, buffer: u16) -> u64 {
        self.layout.rx[q].buffers[ring] + u64::from(buffer) * u64::from(self.config.rx_buffer_stride(ring))
    }

    fn rx_desc(&self, q: usize, ring: usize, index: u32, buffer: u16) -> RxDesc {
        let mut desc = RxDesc::default();
        desc.set_addr(self.rx_buffer(q, ring, buffer));
        desc.set_len(self.config.rx_buffer_bytes(ring, index));
        desc.set_btype(!self.config.is_head(ring, index));
        desc
    }

    /// One access of giving the queued cells of a ring. Source: linux vmxnet3_drv.c, refill in vmxnet3_rq_rx_complete.
    pub(super) fn refill(&mut self, queue: u8, ring: u8, port: &mut impl GuestPort) -> Outcome {
        let (q, r) = (usize::from(queue), usize::from(ring));
        let state = &self.rx[q].rings[r];
        let index = state.fill.at;
        if state.queued == 0 && self.stage < 3 {
            return Outcome::Done;
        }
        match if self.stage == 0 && !self.config.poison { 1 } else { self.stage } {
            0 => {
                let Some(&buffer) = state.free.front() else { return Outcome::Done };
                let len = usize::from(self.config.rx_buffer_bytes(r, index));
                port.store(self.rx_buffer(q, r, buffer), &super::POISON[..len]);
                return Outcome::Stage(1);
            }
            1 => {
                let Some(&buffer) = state.free.front() else { return Outcome::Done };
                port.store_address(self.rx_cell(q, r, index), self.rx_desc(q, r, index, buffer).0);
                return Outcome::Stage(2);
            }
            2 => {
                let generation = state.fill.generation;
                let pa = self.rx_cell(q, r, index);
                let Some(buffer) = self.rx[q].rings[r].free.pop_front() else { return Outcome::Done };
                let mut desc = self.rx_desc(q, r, index, buffer);
                desc.set_generation(generation);
                port.store_dword(pa, 2, desc.0);
                let active = self.phase == Phase::Up;
                let batch = self.config.rx_prod_batch;
                let state = &mut self.rx[q].rings[r];
                state.buffer[index as usize] = buffer;
                state.fill.advance(state.size);
                state.owned += 1;
                state.queued -= 1;
                if active && state.fill.at.is_multiple_of(batch) {
                    return Outcome::Stage(3);
                }
            }
            3 => {
                let mut update = [0];
                port.load(self.layout.rx_queue_desc(q), &mut update);
                if update[0] != 0 {
                    return Outcome::Stage(4);
                }
            }
            _ => {
                if self.write_rx_prod(queue, ring, port) == Outcome::Blocked {
                    return Outcome::Blocked;
                }
            }
        }
        if self.rx[q].rings[r].queued == 0 { Outcome::Done } else { Outcome::Stage(0) }
    }

    /// Writes where a ring's filling stands.
    pub(super) fn write_rx_prod(&mut self, queue: u8, ring: u8, port: &mut impl GuestPort) -> Outcome {
        let state = &self.rx[usize::from(queue)].rings[usize::from(ring)];
        if state.size == 0 {
            return Outcome::Done;
        }
        let register = if ring == 0 { Bar0::RxProd(queue) } else { Bar0::RxProd2(queue) };
        if port.write(Bar::Bar0, self.doorbell(register), state.producer()) {
            self.counts.rx_doorbells += 1;
            Outcome::Done
        } else {
            Outcome::Blocked
        }
    }

    /// The cell kept free at activation has an address and the inverted generation. Source: linux vmxnet3_drv.c,
    /// vmxnet3_rq_alloc_rx_buf.
    pub(super) fn last_cell(&mut self, queue: u8, ring: u8, port: &mut impl GuestPort) -> Outcome {
        let (q, r) = (usize::from(queue), usize::from(ring));
        let state = &self.rx[q].rings[r];
        let index = state.fill.at;
        let Some(&buffer) = state.free.front() else { return Outcome::Done };
        let mut desc = self.rx_desc(q, r, index, buffer);
        desc.set_generation(!state.fill.generation);
        let pa = self.rx_cell(q, r, index);
        if self.stage == 0 {
            port.store_address(pa, desc.0);
            Outcome::Stage(1)
        } else {
            port.store_dword(pa, 2, desc.0);
            Outcome::Done
        }
    }

    /// Takes at most `budget` completions and says how many it took.
    pub(super) fn poll_rx(&mut self, q: usize, budget: u32, port: &mut impl GuestPort) -> u32 {
        let mut taken = 0;
        while taken < budget {
            let at = self.rx[q].comp;
            let cell = port.load_cell(self.layout.rx[q].comp + u64::from(at.at) * CELL_BYTES);
            let comp = RxCompDesc(cell);
            if comp.generation() != at.generation {
                break;
            }
            self.rx[q].comp.advance(self.config.rx_comp);
            taken += 1;
            if let Err(breach) = self.take(q, at.at, comp, port) {
                self.breaches.push(breach);
                self.rx[q].drop_open();
            }
        }
        if taken > 0 {
            self.queue_refill(q);
        }
        taken
    }

    /// Bytes of an entry of the RX data rings; 0 where the driver gave none.
    fn rx_data(&self) -> u16 {
        if self.version >= 3 { self.config.rx_data_bytes } else { 0 }
    }

    /// Which ring `rqID` names, and whether it is by the data ring, whose entries belong to ring 0.
    fn ring_of(&self, queue: u8, id: u16) -> Result<(usize, bool), Breach> {
        let queues = u16::from(self.config.rx_queues);
        match id.checked_sub(u16::from(queue)) {
            Some(0) => Ok((0, false)),
            Some(n) if n == queues && self.config.rx_ring[1] != 0 => Ok((1, false)),
            Some(n) if n == 2 * queues && self.rx_data() != 0 => Ok((0, true)),
            Some(n) if n == 2 * queues => Err(Breach::RxDataRing { queue, id }),
            _ => Err(Breach::RxQueueId { queue, id }),
        }
    }

    /// One completion: the checks, then its bytes.
    fn take(&mut self, q: usize, entry: u32, comp: RxCompDesc, port: &mut impl GuestPort) -> Result<(), Breach> {
        let (queue, index) = (q as u8, comp.rxd_idx());
        let (ring, copied) = self.ring_of(queue, comp.rq_id())?;
        let state = &self.rx[q].rings[ring];
        let (cell_index, ring_name) = (u32::from(index), ring as u8);
        let not_owned = Breach::RxNotOwned { queue, ring: ring_name, index };
        if cell_index >= state.size {
            return Err(not_owned);
        }
        let ahead = (cell_index + state.size - state.next) % state.size;
        if ahead >= state.owned {
            return Err(not_owned);
        }
        let buffer = state.buffer[index as usize];
        let expected = self.rx_desc(q, ring, cell_index, buffer);
        let cell = port.load_cell(self.rx_cell(q, ring, cell_index));
        let found = RxDesc(cell);
        self.consume(q, ring, cell_index, ahead);
        if (found.addr(), found.len()) != (expected.addr(), expected.len()) {
            return Err(Breach::RxDescChanged { queue, ring: ring_name, index, cell });
        }
        self.check_grammar(q, ring, entry, comp)?;
        let len = comp.len();
        let (addr, room) = if copied {
            let entry = self.layout.rx[q].data + u64::from(index) * u64::from(self.rx_data());
            (entry, self.rx_data())
        } else {
            (expected.addr(), expected.len())
        };
        if copied && !(comp.sop() && comp.eop()) {
            return Err(Breach::RxDataRing { queue, id: comp.rq_id() });
        }
        if len == 0 || len > room {
            return Err(Breach::RxLength { queue, index, len });
        }
        self.check_flags(queue, entry, comp)?;
        let rx = &mut self.rx[q];
        let open = rx.open.get_or_insert(Open { buffers: 0, bytes: 0 });
        open.buffers += 1;
        open.bytes += u32::from(len);
        let open = *open;
        if open.buffers > MOST_BUFFERS {
            return Err(Breach::RxTooManyBuffers { queue, buffers: open.buffers });
        }
        if self.config.keep_received {
            let from = rx.frame.len();
            rx.frame.resize(from + usize::from(len), 0);
            port.load(addr, &mut rx.frame[from..]);
        }
        if comp.eop() {
            self.deliver(q, open, comp);
        }
        Ok(())
    }

    /// Cells up to and including `index` are the driver's again.
    fn consume(&mut self, q: usize, ring: usize, index: u32, ahead: u32) {
        let state = &mut self.rx[q].rings[ring];
        for _ in 0..=ahead {
            state.free.push_back(state.buffer[state.next as usize]);
            state.next = (state.next + 1) % state.size;
        }
        debug_assert_eq!(state.next, (index + 1) % state.size);
        state.owned -= ahead + 1;
        self.counts.skipped += u64::from(ahead);
    }

    fn check_grammar(&self, q: usize, ring: usize, entry: u32, comp: RxCompDesc) -> Result<(), Breach> {
        let (queue, index, name) = (q as u8, comp.rxd_idx(), ring as u8);
        let head = self.config.is_head(ring, u32::from(index));
        if comp.sop() == self.rx[q].open.is_some() {
            return Err(Breach::RxGrammar { queue, entry, sop: comp.sop() });
        }
        match (comp.sop(), head) {
            (true, false) => Err(Breach::RxHead { queue, ring: name, index }),
            (false, true) => Err(Breach::RxBody { queue, ring: name, index }),
            _ => Ok(()),
        }
    }

    /// Flags. Features of the whole activation count: a packet under way may use either setting.
    fn check_flags(&self, queue: u8, entry: u32, comp: RxCompDesc) -> Result<(), Breach> {
        if !comp.eop() && comp.err() {
            return Err(Breach::RxError { queue, entry });
        }
        if comp.ts() && (!comp.eop() || self.features_seen & feature::RXVLAN == 0) {
            return Err(Breach::RxTag { queue, entry });
        }
        if comp.sop() && comp.kind() == RXCOMP_LRO {
            if self.features_seen & feature::LRO == 0 {
                return Err(Breach::LroUnasked { queue, entry });
            }
            // Bits 39:32 of the extended completion hold segCnt. Source: vmxnet3_defs.h, Vmxnet3_RxCompDescExt.
            if comp.rss_hash() & 0xff == 0 {
                return Err(Breach::LroSegments { queue, entry });
            }
        }
        let good = comp.eop() && !comp.err() && !comp.cnc() && comp.tuc();
        if good && (comp.frg() || !(comp.tcp() || comp.udp())) {
            return Err(Breach::RxChecksum { queue, cell: comp.0 });
        }
        Ok(())
    }

    fn deliver(&mut self, q: usize, open: Open, comp: RxCompDesc) {
        if comp.err() {
            self.counts.received_errors += 1;
        } else {
            self.counts.received += 1;
            self.counts.received_bytes += u64::from(open.bytes);
            if self.config.keep_received {
                let mut frame = self.pool.take();
                frame.extend_from_slice(&self.rx[q].frame);
                self.received.push_back(Received { queue: q as u8, frame, last: comp });
            }
        }
        self.rx[q].drop_open();
    }
}
