//! The straight road of a received frame: from the ingress FIFO to its completion without the stops between.
//!
//! [`Adapter::run`] may take it, [`Adapter::step`] never does. Nothing else happens between the steps that it joins, so the guest
//! sees the same accesses in the same order, and every register, counter and hidden part ends alike: the law
//! `run_is_its_schedule_of_steps` holds the two side by side.

use spec::vmxnet3::rx::RXCOMP;
use spec::vmxnet3::{RxCompDesc, RxDesc};

use super::Adapter;
use super::fifo::{Account, Source};
use super::seen::Verdict;
use crate::host::Host;
use crate::mutant::Planted;

/// The steps it stands for: the frame is taken up and placed, its data is handed over and written, its completion is handed over
/// and published. One more where the completion leaves an event.
const STEPS: u32 = 6;

impl Adapter {
    /// Where a receive step is possible: delivers the frame at the head of the ingress FIFO whole, and answers how many steps that
    /// was. It does so where no other frame is in the engine and nothing in the write FIFO, the frame's queue runs and has its first
    /// cell fetched, nothing can be merged, that cell is a HEAD that takes all of the frame, no tag is to be stripped, and the budget reaches to the end.
    /// Anywhere else it does nothing: the frame is stepped.
    #[inline]
    pub(super) fn receive_straight(&mut self, host: &mut impl Host, budget: u32) -> Option<u32> {
        let quiet = self.rx.is_idle() && self.fifo.is_empty();
        let merges = self.filter.nic.upt_lro() && self.ingress.len() > 1;
        if !quiet || merges || self.alone > 0 || budget <= STEPS || self.planted != Planted::NONE {
            return None;
        }
        let Verdict::For(seen) = self.look(self.ingress.front()?) else { return None };
        let r = seen.queue * 2;
        let rq = &mut self.rqs[usize::from(r)];
        let desc = RxDesc(*rq.cache.front()?);
        if seen.strip || desc.btype() || usize::from(desc.len()) < seen.length {
            return None;
        }
        let (cq, index) = (rq.cq_index as u8, rq.index_after(0));
        rq.cache.pop_front();
        rq.take(1);

        let frame = self.ingress.front_mut()?;
        let account = Account::of(seen.queue, frame);
        frame.resize(seen.length, 0);
        self.fifo.faulted |= host.write(desc.addr(), frame).is_err();
        if let Some(frame) = self.ingress.pop_front() {
            self.discard(frame);
        }

        let mut cell = RxCompDesc::default();
        cell.set_rxd_idx(index as u16);
        cell.set_sop(true);
        cell.set_eop(true);
        cell.set_rq_id(u16::from(seen.queue));
        cell.set_len(seen.length as u16);
        cell.set_kind(RXCOMP);
        seen.describe(&mut cell);
        self.complete(Source::Rq(r), cq, cell.0, 1, Some(account), host);

        let Some((_, cq)) = self.fifo.credit.take() else { return Some(STEPS) };
        self.credit_of(cq);
        Some(STEPS + 1)
    }
}
