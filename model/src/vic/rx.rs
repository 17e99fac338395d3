//! The receive engine: from the ingress FIFO through filter and steering to buffers, data writes and completions.
//!
//! One frame at a time. All its buffers are found before anything is taken, so a frame that lacks one leaves no trace but a
//! count; from then on it always finishes. Not modelled: the receive data ring, truncation.

use spec::vmxnet3::rx::RXCOMP;
use spec::vmxnet3::{RxCompDesc, RxDesc};

use super::Adapter;
use super::fifo::{Account, Entry, Source};
use super::lro::Merged;
use super::seen::{Seen, Verdict};
use crate::mutant::Mutant;

/// Most buffers of one frame; one that needs more is dropped for want of buffers. Source: linux vmxnet3_drv.c, which panics
/// beyond one head and 17 fragments.
pub const GATHER: usize = 18;

/// A buffer found for the frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Buffer {
    /// 0, or 1 for the spill.
    ring: u8,
    /// Descriptor.
    index: u32,
    /// Cells of its ring from the one behind the last buffer to this one: skipped ones included.
    cells: u32,
    pa: u64,
    len: usize,
}

/// The frame in the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inbound {
    active: bool,
    /// Buffers are taken; data and completions are on their way to the write FIFO.
    emitting: bool,
    pub(super) frame: Vec<u8>,
    pub(super) merged: Merged,
    pub(super) seen: Seen,
    buffers: Vec<Buffer>,
    /// Cells of each ring used up so far.
    used: [u32; 2],
    skipped: [u32; 2],
    placed: usize,
    /// Ring 0 had no BODY to go on with: the rest comes from ring 1.
    elsewhere: bool,
    /// Data writes and completions handed to the write FIFO.
    emitted: usize,
    pub(super) account: Option<Account>,
}

impl Inbound {
    /// Nothing in the engine.
    pub fn is_idle(&self) -> bool {
        !self.active
    }

    /// The frame's buffers may still be written or completed in RQ `r`.
    pub(super) fn occupies(&self, r: u8) -> bool {
        self.active && self.emitting && (r == self.seen.queue * 2 || self.seen.spill == Some(r))
    }

    pub(super) fn clear(&mut self) {
        self.active = false;
        self.emitting = false;
        self.frame.clear();
        self.seen = Seen::default();
        self.buffers.clear();
        self.used = [0; 2];
        self.skipped = [0; 2];
        self.placed = 0;
        self.elsewhere = false;
        self.emitted = 0;
        self.account = None;
        self.merged.clear();
    }
}

/// Where the next buffer comes from.
enum Next {
    /// The first cached cell of a ring.
    Cell(u8),
    /// A cell must be fetched first.
    Wait,
    /// There is none.
    None,
}

impl Adapter {
    /// A receive step is possible, by the adapter's own state alone.
    #[inline]
    pub(super) fn can_receive(&self) -> bool {
        if !self.rx.active {
            !self.ingress.is_empty() && !self.parked
        } else if self.rx.emitting {
            self.fifo_room()
        } else {
            !matches!(self.next_buffer(), Next::Wait)
        }
    }

    /// One receive step: takes up a frame, finds a buffer, or hands one write to the write FIFO.
    pub(super) fn receive(&mut self) {
        if !self.rx.active {
            self.take_up();
        } else if self.rx.emitting {
            self.emit();
        } else {
            self.place();
        }
    }

    /// Takes the frame at the head of the FIFO up, drops it, or waits for its queue to run.
    fn take_up(&mut self) {
        let reordered = self.planted.is(Mutant::HwFifoReordered) && self.ingress.len() > 1;
        let alone = self.alone > 0;
        self.alone = self.alone.saturating_sub(1);
        let Some(frame) = (if reordered { self.ingress.remove(1) } else { self.ingress.pop_front() }) else { return };
        match self.look(&frame) {
            Verdict::Refused => self.discard(frame),
            Verdict::Lost(queue) => {
                match queue {
                    None => self.counters.rx_drop(),
                    Some(queue) => self.counters.rx_error(queue),
                }
                self.discard(frame);
            }
            Verdict::Early => {
                self.ingress.push_front(frame);
                self.alone += usize::from(alone);
                self.parked = true;
            }
            Verdict::For(seen) => {
                let rx = &mut self.rx;
                rx.active = true;
                rx.account = Some(Account::of(seen.queue, &frame));
                rx.seen = seen;
                rx.frame = frame;
                if self.filter.nic.upt_lro() && !alone {
                    self.merge();
                }
            }
        }
    }

    #[inline]
    pub(super) fn discard(&mut self, mut frame: Vec<u8>) {
        // A frame that became a data write took its buffer along.
        if frame.capacity() > 0 {
            frame.clear();
            self.buffers.put(frame);
        }
    }

    fn next_buffer(&self) -> Next {
        let rx = &self.rx;
        let head = &self.rqs[usize::from(rx.seen.queue) * 2];
        match head.cache.front() {
            None if head.wants_cell() && !rx.elsewhere => return Next::Wait,
            None if rx.buffers.is_empty() => return Next::None,
            _ if rx.elsewhere => {}
            Some(&cell) if rx.buffers.is_empty() || RxDesc(cell).btype() => return Next::Cell(0),
            _ => {}
        }
        let Some(body) = rx.seen.spill.map(|r| &self.rqs[usize::from(r)]) else { return Next::None };
        match body.cache.front() {
            None if body.wants_cell() => Next::Wait,
            Some(_) => Next::Cell(1),
            None => Next::None,
        }
    }

    /// Takes one cell for the frame, or finds that there are too few.
    fn place(&mut self) {
        let ring = match self.next_buffer() {
            Next::Cell(ring) => ring,
            Next::Wait => return,
            Next::None => return self.out_of_buffers(),
        };
        let side = usize::from(ring);
        let r = if ring == 0 { self.rx.seen.queue * 2 } else { self.rx.seen.spill.unwrap_or_default() };
        let rq = &mut self.rqs[usize::from(r)];
        let Some(cell) = rq.cache.pop_front() else { return };
        let desc = RxDesc(cell);
        let rx = &mut self.rx;
        rx.elsewhere |= ring == 1;
        let index = rq.index_after(rx.used[side]);
        rx.used[side] += 1;
        rx.skipped[side] += 1;
        let unfit = desc.btype() == rx.buffers.is_empty() || desc.len() == 0;
        if unfit {
            return;
        }
        let len = usize::from(desc.len()).min(rx.seen.length - rx.placed);
        rx.buffers.push(Buffer { ring, index, cells: rx.skipped[side], pa: desc.addr(), len });
        rx.skipped[side] = 0;
        rx.placed += len;
        if rx.placed == rx.seen.length {
            self.commit();
        } else if rx.buffers.len() >= GATHER {
            self.out_of_buffers();
        }
    }

    fn out_of_buffers(&mut self) {
        self.roll_back();
        let parts = self.rx.merged.parts.len();
        if parts > 0 && !self.planted.is(Mutant::HwLroDropsWhole) {
            // What does not fit as one packet may fit frame by frame.
            self.put_back();
            self.alone = parts;
            return;
        }
        let queue = self.rx.seen.queue;
        self.counters.out_of_buffers(queue);
        self.rqs[usize::from(queue) * 2].dropped();
        self.release();
    }

    fn roll_back(&mut self) {
        self.rqs[usize::from(self.rx.seen.queue) * 2].roll_back();
        if let Some(r) = self.rx.seen.spill {
            self.rqs[usize::from(r)].roll_back();
        }
    }

    /// The frame whose buffers are only sought goes back to the head of the FIFO when one of its queues stops.
    pub(super) fn give_back(&mut self, r: u8) {
        if self.rx.active && !self.rx.emitting && (r == self.rx.seen.queue * 2 || self.rx.seen.spill == Some(r)) {
            self.roll_back();
            self.put_back();
        }
    }

    /// Takes the buffers and gives the frame the form in which it is delivered.
    fn commit(&mut self) {
        let rx = &mut self.rx;
        self.rqs[usize::from(rx.seen.queue) * 2].take(rx.used[0]);
        if let Some(r) = rx.seen.spill {
            self.rqs[usize::from(r)].take(rx.used[1]);
        }
        if rx.seen.strip {
            rx.frame.copy_within(16.., 12);
            rx.frame.truncate(rx.frame.len() - 4);
        }
        rx.frame.resize(rx.seen.length, 0);
        rx.emitting = true;
    }

    /// Hands one data write, or behind all of them one completion, to the write FIFO.
    fn emit(&mut self) {
        let count = self.rx.buffers.len();
        let turn = self.rx.emitted;
        let first = turn < count;
        let i = if first { turn } else { turn - count };
        let data_first = !self.planted.is(Mutant::HwCompletionFirst);
        let entry = if first == data_first { self.data(i) } else { self.completion(i) };
        self.fifo.entries.push_back(entry);
        self.rx.emitted += 1;
        if self.rx.emitted == 2 * count {
            self.release();
        }
    }

    fn rq_of(&self, buffer: &Buffer) -> u8 {
        if buffer.ring == 0 { self.rx.seen.queue * 2 } else { self.rx.seen.spill.unwrap_or_default() }
    }

    fn data(&mut self, i: usize) -> Entry {
        let buffer = &self.rx.buffers[i];
        let source = Source::Rq(self.rq_of(buffer));
        let pa = buffer.pa;
        let overrun = self.planted.is(Mutant::HwRxOverrun);
        let bytes = if self.rx.buffers.len() == 1 && !overrun {
            core::mem::take(&mut self.rx.frame)
        } else {
            let from: usize = self.rx.buffers[..i].iter().map(|b| b.len).sum();
            let mut bytes = self.buffers.take();
            bytes.extend_from_slice(&self.rx.frame[from..from + buffer.len]);
            if overrun {
                bytes.resize(buffer.len + 4, 0);
            }
            bytes
        };
        Entry::Data { source, pa, bytes }
    }

    fn completion(&self, i: usize) -> Entry {
        let rx = &self.rx;
        let buffer = &rx.buffers[i];
        let r = self.rq_of(buffer);
        let pairs = || self.rqs.iter().step_by(2).filter(|rq| rq.ring_size != 0).count() as u16;
        let last = i + 1 == rx.buffers.len();
        let mut cell = RxCompDesc::default();
        cell.set_rxd_idx(buffer.index as u16);
        cell.set_sop(i == 0);
        cell.set_eop(last);
        cell.set_rq_id(u16::from(rx.seen.queue) + if buffer.ring == 1 { pairs() } else { 0 });
        cell.set_len(buffer.len as u16);
        cell.set_kind(RXCOMP);
        if last {
            rx.seen.describe(&mut cell);
            if !rx.merged.parts.is_empty() && self.planted.is(Mutant::HwLroUnvouched) {
                cell.set_cnc(true);
                cell.set_tuc(false);
                cell.set_ipc(false);
            }
        }
        if i == 0 && !rx.merged.parts.is_empty() {
            cell = rx.merged.describe(cell, self.planted);
        }
        Entry::Completion {
            source: Source::Rq(r),
            cq: self.rqs[usize::from(r)].cq_index as u8,
            cell: cell.0,
            cells: buffer.cells,
            account: if last { rx.account } else { None },
        }
    }
}

/// The last completion of a frame of which the bus refused a part: the guest gets its buffers back, and is told that they hold
/// nothing.
pub(super) fn spoilt(cell: u128) -> u128 {
    let good = RxCompDesc(cell);
    let mut cell = RxCompDesc::default();
    cell.set_rxd_idx(good.rxd_idx());
    cell.set_rq_id(good.rq_id());
    cell.set_len(good.len());
    cell.set_sop(good.sop());
    cell.set_kind(good.kind());
    cell.set_eop(true);
    cell.set_err(true);
    cell.set_cnc(true);
    cell.set_fcs(true);
    cell.0
}
