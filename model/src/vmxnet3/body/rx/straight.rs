//! The straight road of a frame: looked at, fetched for, written and completed without the stops between.
//!
//! [`Body::run`](super::super::Body::run) may take it, `step` never does. Nothing else happens between the steps that it joins, so
//! the guest sees the same accesses in the same order; the law `to_run_is_to_step_and_a_step_is_at_most_one_access` holds the two
//! side by side.

use super::{Buffer, DATA, Fate, Inbox, RxQueue, Stage};
use crate::host::Host;
use crate::mutant::Planted;
use crate::plane::Activation;
use crate::vmxnet3::body::tx::Shared;
use spec::vmxnet3::RxDesc;

/// The steps it stands for: the buffer is fetched, the data is written, the completion is published.
pub(in super::super) const STEPS: u32 = 3;

impl Inbox {
    /// A frame has arrived and nobody looked at it.
    pub fn is_untouched(&self) -> bool {
        self.stage == Stage::Arrived
    }

    /// Delivers an untouched frame whole, where the first descriptor of ring 0 is a HEAD and it, or its entry of the data ring, takes
    /// all of it. Anywhere else it takes the first step, and the frame is stepped from there. Answers the steps taken.
    pub fn deliver(
        &mut self,
        activation: &Activation,
        queues: &mut [RxQueue],
        shared: &mut Shared<'_>,
        host: &mut impl Host,
    ) -> u32 {
        let count = queues.len() as u16;
        let Some(queue) = self.take_up(activation, queues, shared) else { return 1 };
        let desc = self.owned(0, queue, host);
        let len = self.delivered().len();
        let at = queue.at.next[0];
        let entry = queue.data_entry(at.index(), len, shared.planted);
        let whole =
            |desc: &RxDesc| !desc.btype() && desc.len() != 0 && (entry.is_some() || usize::from(desc.len()) >= len);
        let Some(desc) = desc.filter(|desc| whole(desc) && shared.planted == Planted::NONE) else {
            self.weigh(0, desc, activation, queue, shared);
            return 1;
        };
        let (ring, addr) = entry.map_or((0, desc.addr()), |addr| (DATA, addr));
        if host.write(addr, self.delivered()).is_err() {
            self.fate = Fate::Unwritable;
        }
        let buffer = Buffer { ring, index: at.index(), addr, from: 0, len };
        let cell = self.completion(buffer, (true, true), count, queue, shared);
        queue.complete(cell, host);
        queue.at.next[0] = at.next(queue.setup.ring_size[0]);
        self.tell(activation, queue, shared);
        STEPS
    }
}
