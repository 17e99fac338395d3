//! The straight road of a packet: from its descriptor to its completion without the stops between.
//!
//! [`Adapter::run`] may take it, [`Adapter::step`] never does; the law `run_is_its_schedule_of_steps` holds the two side by side.

use super::{Packet, Stage};
use crate::host::{Host, Sent};
use crate::mutant::Planted;
use crate::vic::Adapter;
use crate::vic::fifo::Source;
use crate::vic::offload::ETHERNET;
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{TxCompDesc, TxDesc};

/// The most steps it stands for: the descriptor is fetched, the bytes are read and sent, the completion is published and leaves
/// an event.
const STEPS: u32 = 5;

impl Adapter {
    /// Sends the packet at the next cell of a work queue whole, where a cell is wanted, none is under way, the write FIFO is empty,
    /// the link is enabled, the budget reaches to the end, and the packet is one descriptor that asks for nothing. Where the packet,
    /// its bytes or the wire turn out otherwise it is stepped from there. Answers the steps taken: none where it did nothing.
    #[inline]
    pub(in crate::vic) fn send_straight(&mut self, q: u8, host: &mut impl Host, budget: u32) -> u32 {
        let wq = &mut self.wqs[usize::from(q)];
        let alone = wq.outstanding == 0 && self.fifo.is_empty();
        if !alone || !self.link || !wq.wants_cell() || budget < STEPS || self.planted != Planted::NONE {
            return 0;
        }
        let cell = wq.next_cell(false, host);
        let most = self.profile.limits.tx_bytes;
        let plain = |desc: &TxDesc| {
            let asks = !desc.eop() || desc.dtype() || desc.om() != om::NONE || desc.ti();
            !asks && (ETHERNET..=most).contains(&desc.bytes())
        };
        let Some(desc) = cell.filter(plain) else {
            self.wq_weigh(q, cell);
            return 1;
        };
        let mut packet = wq.spare.take();
        if host.read(desc.addr(), packet.bytes.grow(desc.bytes())).is_err() {
            packet.bytes.clear();
            self.wq_hold(q, desc, packet, Stage::Malformed);
            return 2;
        }
        if host.transmit(q, &packet.bytes) == Sent::Busy {
            self.wqs[usize::from(q)].wire_busy = true;
            self.wq_hold(q, desc, packet, Stage::Ready);
            return 3;
        }
        self.counters.sent(q, &packet.bytes, false);
        packet.bytes.clear();
        wq.spare.put(packet);
        let (last, cq) = (wq.head.at, wq.cq_index as u8);
        wq.head.advance(1, wq.ring_size);
        wq.ahead = wq.head;
        if !desc.cq() {
            return 3;
        }
        let mut cell = TxCompDesc::default();
        cell.set_txd_idx(last as u16);
        self.complete(Source::Wq(q), cq, cell.0, 0, None, host);
        let Some((_, cq)) = self.fifo.credit.take() else { return 4 };
        self.credit_of(cq);
        STEPS
    }

    /// Puts a packet of one descriptor that can go no further into the pipeline, with the bytes that were read.
    fn wq_hold(&mut self, q: u8, desc: TxDesc, mut read: Box<Packet>, stage: Stage) {
        self.wq_weigh(q, Some(desc));
        let wq = &mut self.wqs[usize::from(q)];
        if let Some(packet) = wq.pipeline.front_mut() {
            core::mem::swap(&mut packet.bytes, &mut read.bytes);
            packet.read = usize::from(stage == Stage::Ready);
            packet.stage = stage;
        }
        wq.recycle(read);
    }
}
