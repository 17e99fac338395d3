//! The software data plane: rings by generation bits, completions and interrupts, one access a step.
//!
//! Somebody calls [`Body::step`] with one of [`Body::units`]; which units there are depends on the body alone, never on
//! guest memory. A TX queue works from a doorbell until it finds nothing owned; receive has an inbox of one frame.
//! [`Body::run`] is `step` of the first unit until there is none.
//!
//! Sources: vmxnet3_defs.h; the Linux, FreeBSD, OpenBSD and DPDK drivers for what guests rely on.
//! Not modelled: timestamps, RXPROD (software tells the guest not to write it).

mod rx;
mod spacing;
mod tx;
mod vectors;

use super::filter;
use crate::host::Host;
use crate::mutant::{Mutant, Planted};
use crate::plane::{
    Activation, Progress, Reply, Request, RxDataRing, RxProgress, RxSetup, TxProgress, TxSetup, VectorProgress,
};
use rx::{Inbox, RxQueue};
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::bar0::legalize_imr;
use spec::vmxnet3::command::{QueueError, ecr, feature};
use spec::vmxnet3::rx::MERGES_SINCE;
use spec::vmxnet3::{Bar0, CELL_BYTES, MAX_VECTORS, RxStats};
use tx::{Shared, TxQueue};
use vectors::Vectors;

/// A part of the body that can step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// A TX queue.
    Tx(u8),
    /// The frame in the inbox.
    Rx,
    /// An interrupt that is due.
    Vector(u8),
}

/// Which way a queue works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Transmit.
    Tx,
    /// Receive.
    Rx,
}

impl Direction {
    /// The event bit that tells of a queue of this direction that stopped.
    pub const fn event(self) -> u32 {
        match self {
            Self::Tx => ecr::TQERR,
            Self::Rx => ecr::RQERR,
        }
    }
}

/// The body is not at a packet boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InFlight {
    /// A TX queue holds a packet that is not completed.
    #[error("tx queue {queue} has a packet under way")]
    Tx {
        /// Queue.
        queue: u8,
    },
    /// A frame was not delivered yet.
    #[error("a frame for rx queue {queue} is in the inbox")]
    Rx {
        /// Queue; 0 as long as nobody looked at the frame.
        queue: u8,
    },
}

/// The software data plane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    profile: &'static Profile,
    planted: Planted,
    /// Configuration while active. The queues have copies of their own part.
    activation: Option<Activation>,
    tx: Vec<TxQueue>,
    rx: Vec<RxQueue>,
    inbox: Inbox,
    vectors: Vectors,
    link: bool,
    wire_busy: bool,
}

impl Body {
    /// An inactive body, every vector masked, link up.
    pub fn new(profile: &'static Profile) -> Self {
        Self::resting(profile, [VectorProgress::default(); MAX_VECTORS])
    }

    /// An inactive body with these masks and causes.
    pub fn resting(profile: &'static Profile, vectors: [VectorProgress; MAX_VECTORS]) -> Self {
        let count = profile.widest().vectors;
        Self {
            profile,
            planted: Planted::NONE,
            activation: None,
            tx: Vec::new(),
            rx: Vec::new(),
            inbox: Inbox::default(),
            vectors: Vectors::new(vectors, count),
            link: true,
            wire_busy: false,
        }
    }

    /// A body that goes on from `progress`; [`Body::rescan`] makes it look at its TX rings.
    ///
    /// # Panics
    /// When the two do not have the same queues, or a position lies outside its ring: the caller has checked both.
    pub fn resume(profile: &'static Profile, activation: &Activation, progress: &Progress) -> Self {
        assert!(activation.tx.len() == progress.tx.len() && activation.rx.len() == progress.rx.len());
        let mut body = Self::resting(profile, progress.vectors);
        body.adopt(activation.clone(), &progress.tx, &progress.rx);
        body
    }

    /// Looks at every TX ring, whatever was rung before: a doorbell is an edge, and an edge is not state.
    pub fn rescan(&mut self) {
        for queue in &mut self.tx {
            queue.kicked = true;
        }
    }

    /// Where TX queue `queue` waits for the guest, as [`System::notice`](crate::machine::System::notice) asks: the address of the
    /// cell and its position. `None` while it works or is stopped.
    pub fn awaits(&self, queue: u8) -> Option<(u64, spec::position::RingIndex)> {
        self.tx.get(usize::from(queue)).and_then(TxQueue::awaits)
    }

    /// The position in ring 0 whose buffer the next frame of RX queue `queue` would take.
    pub fn rx_next(&self, queue: u8) -> Option<spec::position::RingIndex> {
        self.rx.get(usize::from(queue)).map(|queue| queue.at.next[0])
    }

    /// The inbox takes a frame.
    pub fn has_room(&self) -> bool {
        self.inbox.is_free()
    }

    /// Masks and remembered causes.
    pub fn vectors(&self) -> [VectorProgress; MAX_VECTORS] {
        self.vectors.progress()
    }

    fn adopt(&mut self, activation: Activation, tx: &[TxProgress], rx: &[RxProgress]) {
        let inside = |at: spec::position::RingIndex, size: u32| at.index() < size.max(1);
        let tx_queue = |(setup, at): (&TxSetup, &TxProgress)| {
            assert!(inside(at.next, setup.ring_size) && inside(at.comp, setup.comp_size));
            TxQueue::new(*setup, *at)
        };
        let rx_queue = |(setup, at): (&RxSetup, &RxProgress)| {
            let rings = at.next.iter().zip(setup.ring_size).all(|(at, size)| inside(*at, size));
            assert!(rings && inside(at.comp, setup.comp_size));
            RxQueue { setup: *setup, data: RxDataRing::default(), at: *at, told: at.stopped.is_some() }
        };
        self.tx = activation.tx.iter().zip(tx).map(tx_queue).collect();
        self.rx = activation.rx.iter().zip(rx).map(rx_queue).collect();
        for (queue, ring) in self.rx.iter_mut().zip(&activation.rx_data) {
            queue.data = *ring;
        }
        self.inbox.clear();
        self.vectors.auto_mask = activation.auto_mask;
        self.vectors.count = self.profile.width(activation.interface.version).vectors;
        self.vectors.interrupts = activation.interrupts;
        if !self.planted.is(Mutant::SwSpacingOutlivesStop) {
            self.vectors.spacing.open();
        }
        self.vectors.spacing.set(activation.spacing(&self.profile.moderation));
        self.activation = Some(activation);
    }

    /// Time goes on.
    pub fn advance(&mut self, ns: u64) {
        self.vectors.advance(ns, self.planted);
    }

    /// Nanoseconds until an interrupt is due that its vector's spacing holds back, if one is held back.
    pub fn wait_ns(&self) -> Option<u64> {
        self.activation.as_ref().and_then(|_| self.vectors.wait_ns())
    }

    /// Time makes a difference now, though perhaps to nothing that waits yet.
    pub fn is_timed(&self) -> bool {
        self.vectors.spacing.closed() != 0
    }

    /// Plants a bug.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Active, with these copies of the configuration.
    pub fn activation(&self) -> Option<&Activation> {
        self.activation.as_ref()
    }

    /// The link went up or down. While it is down nothing is received, and what is posted is completed and not sent.
    pub fn set_link(&mut self, up: bool) {
        self.link = up;
    }

    /// Serves a request of the configuration plane, whole and at once.
    pub fn serve(&mut self, request: Request, host: &mut impl Host) -> Reply {
        match request {
            Request::Start(activation) => self.start(*activation, host),
            Request::Stop => self.stop(),
            Request::Reset => {
                self.stop();
                if !self.planted.is(Mutant::SwResetKeepsMasks) {
                    self.vectors.reset(host);
                }
            }
            Request::Filters(filters) => {
                if let Some(activation) = &mut self.activation {
                    activation.filters = *filters;
                    // A frame that the guest knows nothing of yet meets the new filter.
                    let refused = |frame| !filter::accepts(&activation.filters, self.profile, self.planted, frame);
                    if self.inbox.untold().is_some_and(refused) {
                        self.inbox.clear();
                    }
                }
            }
            Request::Features(_) if self.planted.is(Mutant::SwFeaturesKept) => {}
            Request::Features(features) => {
                if let Some(activation) = &mut self.activation {
                    activation.features = features;
                }
            }
            Request::Rss(rss) => {
                if let Some(activation) = &mut self.activation {
                    activation.rss = rss.map(|rss| *rss);
                }
            }
            Request::RssFields(fields) => {
                let stale = self.planted.is(Mutant::SwRssFieldsStale);
                if let Some(activation) = self.activation.as_mut().filter(|_| !stale) {
                    activation.interface.rss_fields = fields;
                }
            }
            Request::Moderation { levels, scheme } => {
                if let Some(activation) = &mut self.activation {
                    (activation.mod_levels, activation.coalesce) = (*levels, scheme);
                    self.vectors.spacing.set(activation.spacing(&self.profile.moderation));
                }
            }
            Request::Counters => {
                let tx = self.tx.iter().map(|queue| (queue.at.counters, queue.at.stopped)).collect();
                let silent = self.planted.is(Mutant::SwCountersOfNothing);
                let received = |queue: &RxQueue| if silent { RxStats::default() } else { queue.at.counters };
                let rx = self.rx.iter().map(|queue| (received(queue), queue.at.stopped)).collect();
                return Reply::Counters { tx, rx };
            }
            Request::Raise(vector) => {
                if self.activation.is_some() {
                    self.vectors.cause(vector, self.planted);
                }
            }
        }
        Reply::Done
    }

    fn start(&mut self, activation: Activation, host: &mut impl Host) {
        self.stop();
        if self.profile.has(Deviation::ActivateZeroesCompletions) {
            let tx = activation.tx.iter().map(|queue| (queue.comp_pa, queue.comp_size));
            let rx = activation.rx.iter().map(|queue| (queue.comp_pa, queue.comp_size));
            for (pa, size) in tx.chain(rx) {
                for cell in 0..u64::from(size) {
                    let _ = host.publish(pa.wrapping_add(CELL_BYTES * cell), 0);
                }
            }
        }
        self.vectors.turn_to(activation.interrupts, host);
        let fresh = Progress::fresh(&activation, self.vectors.progress());
        self.adopt(activation, &fresh.tx, &fresh.rx);
    }

    fn stop(&mut self) {
        self.activation = None;
        self.tx.clear();
        self.rx.clear();
        self.inbox.clear();
        self.wire_busy = false;
    }

    /// Reads a register of BAR0. Doorbells read 0.
    pub fn read_bar0(&self, reg: Bar0) -> u32 {
        match reg {
            Bar0::Imr(vector) => u32::from(self.vectors.is_masked(vector)),
            Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_) => 0,
        }
    }

    /// Writes a register of BAR0. The value of a doorbell is a hint that software has no use for.
    pub fn write_bar0(&mut self, reg: Bar0, value: u32) {
        if self.activation.is_none() && self.profile.has(Deviation::InactiveBar0Dropped) {
            return;
        }
        match reg {
            Bar0::Imr(vector) => self.vectors.set_mask(vector, legalize_imr(value), self.planted),
            Bar0::TxProd(queue) => {
                if let Some(queue) = self.tx.get_mut(usize::from(queue)) {
                    queue.kicked = true;
                }
            }
            Bar0::RxProd(_) | Bar0::RxProd2(_) => {}
        }
    }

    /// Reads ICR: 1 once for an interrupt on the line, which is lowered.
    pub fn read_icr(&mut self, host: &mut impl Host) -> u32 {
        self.vectors.acknowledge(self.planted, host)
    }

    /// Offers a frame from the wire. False: not now, offer it again. A frame that the guest is not to get is consumed.
    pub fn offer(&mut self, frame: &[u8]) -> bool {
        match &self.activation {
            Some(activation)
                if self.link && filter::accepts(&activation.filters, self.profile, self.planted, frame) =>
            {
                self.inbox.take(frame)
            }
            _ => true,
        }
    }

    /// As [`Body::offer`], without a copy: a frame that is taken leaves the caller's buffer empty, for the next one.
    pub fn give(&mut self, frame: &mut Vec<u8>) -> bool {
        match &self.activation {
            Some(activation)
                if self.link && filter::accepts(&activation.filters, self.profile, self.planted, frame) =>
            {
                self.inbox.take_over(frame)
            }
            _ => {
                frame.clear();
                true
            }
        }
    }

    /// The frame in the inbox that nobody has looked at takes another with it, if LRO is on and it continues the stream: then the
    /// caller's buffer is empty, for the next one. Such a frame would find no room otherwise.
    pub fn join(&mut self, frame: &mut Vec<u8>) -> bool {
        const WANTED: u64 = feature::LRO | feature::RXCSUM;
        let most = usize::from(self.profile.limits.merged);
        let unasked = self.planted.is(Mutant::SwLroUnasked);
        let merges =
            |a: &&Activation| (a.features & WANTED == WANTED || unasked) && a.interface.version >= MERGES_SINCE;
        self.link && self.activation.as_ref().filter(merges).is_some() && self.inbox.join(frame, most, self.planted)
    }

    /// The wire takes frames again.
    pub fn wire_ready(&mut self) {
        self.wire_busy = false;
    }

    /// Appends the units that can step, the one that [`Body::run`] takes next first.
    pub fn units(&self, into: &mut Vec<Unit>) {
        for (number, queue) in self.tx.iter().enumerate() {
            if queue.can_step(self.link, self.wire_busy) {
                into.push(Unit::Tx(number as u8));
            }
        }
        if self.inbox.can_step() {
            into.push(Unit::Rx);
        }
        let due = self.due();
        into.extend((0..self.vectors.count).filter(|vector| due >> vector & 1 == 1).map(Unit::Vector));
    }

    /// The vectors that fire, a bit each. An inactive device raises nothing; causes stay for the next activation.
    #[inline]
    fn due(&self) -> u128 {
        if self.activation.is_some() { self.vectors.due() } else { 0 }
    }

    /// Nothing can step until the next stimulus.
    pub fn is_idle(&self) -> bool {
        !self.tx.iter().any(|queue| queue.can_step(self.link, self.wire_busy))
            && !self.inbox.can_step()
            && self.due() == 0
    }

    /// One step of `unit`: at most one access. A unit that cannot step does nothing.
    pub fn step(&mut self, unit: Unit, host: &mut impl Host) {
        let Some(activation) = &self.activation else { return };
        let mut shared = Shared {
            profile: self.profile,
            planted: self.planted,
            vectors: &mut self.vectors,
            link: self.link,
            version: activation.interface.version,
            wire_busy: &mut self.wire_busy,
        };
        match unit {
            Unit::Tx(number) => {
                if let Some(queue) = self.tx.get_mut(usize::from(number))
                    && queue.can_step(shared.link, *shared.wire_busy)
                {
                    queue.step(number, &mut shared, host);
                }
            }
            Unit::Rx => self.inbox.step(activation, &mut self.rx, &mut shared, host),
            Unit::Vector(vector) => {
                if vector < self.vectors.count && self.vectors.due() >> vector & 1 == 1 {
                    self.vectors.fire(vector, self.profile, self.planted, host);
                }
            }
        }
    }

    /// Steps the first unit until there is none, at most `budget` steps. Answers how many were taken.
    pub fn run(&mut self, host: &mut impl Host, budget: u32) -> u32 {
        let mut left = budget;
        // No step of a queue makes an earlier one ready, so each runs to its end in turn.
        let mut shared = Shared {
            profile: self.profile,
            planted: self.planted,
            vectors: &mut self.vectors,
            link: self.link,
            version: self.activation.as_ref().map_or(0, |activation| activation.interface.version),
            wire_busy: &mut self.wire_busy,
        };
        for (number, queue) in self.tx.iter_mut().enumerate() {
            while left > 0 && queue.can_step(shared.link, *shared.wire_busy) {
                queue.step(number as u8, &mut shared, host);
                left -= 1;
            }
        }
        if let Some(activation) = &self.activation {
            if left >= rx::STRAIGHT && self.inbox.is_untouched() {
                left -= self.inbox.deliver(activation, &mut self.rx, &mut shared, host);
            }
            while left > 0 && self.inbox.can_step() {
                self.inbox.step(activation, &mut self.rx, &mut shared, host);
                left -= 1;
            }
        }
        // One that fires makes none of the others due.
        let mut due = self.due();
        while left > 0 && due != 0 {
            self.vectors.fire(due.trailing_zeros() as u8, self.profile, self.planted, host);
            due &= due - 1;
            left -= 1;
        }
        budget - left
    }

    /// How far it is, at a packet boundary.
    ///
    /// # Errors
    /// Names a queue that is not at one.
    pub fn progress(&self) -> Result<Progress, InFlight> {
        if let Some(queue) = self.tx.iter().position(TxQueue::in_flight) {
            return Err(InFlight::Tx { queue: queue as u8 });
        }
        if let Some(queue) = self.inbox.queue() {
            return Err(InFlight::Rx { queue });
        }
        Ok(Progress {
            tx: self.tx.iter().map(|queue| queue.at).collect(),
            rx: self.rx.iter().map(|queue| queue.at).collect(),
            vectors: self.vectors.progress(),
        })
    }

    /// Whether something of the packet under way on a TX queue is visible outside: sent, or sent and not completed.
    pub fn committed(&self, queue: u8) -> bool {
        self.tx.get(usize::from(queue)).is_some_and(TxQueue::committed)
    }

    /// Forgets every TX packet of which nothing was sent; its queue stands at its first descriptor and will look again.
    /// A committed one stays and is to be stepped to its end.
    pub fn roll_back(&mut self) {
        let sent_too = self.planted.is(Mutant::MoveRollbackSent);
        for queue in self.tx.iter_mut().filter(|queue| sent_too || !queue.committed()) {
            queue.forget();
        }
    }

    /// Takes the frames in the inbox back, oldest first, if no byte and no completion of them is visible to the guest.
    pub fn return_inbox(&mut self) -> Vec<Vec<u8>> {
        self.inbox.give_back()
    }

    /// A queue that stopped and of which nobody was told yet. The caller sets the event.
    pub fn take_error(&mut self) -> Option<(Direction, u8, QueueError)> {
        for (number, queue) in self.tx.iter_mut().enumerate() {
            if let Some(error) = queue.at.stopped.filter(|_| !queue.told) {
                queue.told = true;
                return Some((Direction::Tx, number as u8, error));
            }
        }
        for (number, queue) in self.rx.iter_mut().enumerate() {
            if let Some(error) = queue.at.stopped.filter(|_| !queue.told) {
                queue.told = true;
                return Some((Direction::Rx, number as u8, error));
            }
        }
        None
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
