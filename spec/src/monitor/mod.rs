//! Monitors: they judge the guest's view of any VMXNET3 from what can be seen of it.
//!
//! Two observers make the same [`Observation`]s. The *snoop* sees every access and takes completions as they are published; the
//! *poll* sees what any harness sees (registers, guest memory, frames, interrupts) and finds completions by looking at the rings
//! after each stimulus, as a driver does. Judges of [access discipline](access) need accesses; on a polled device their clauses
//! are listed as not judged.
//!
//! - [`layout`] learns the configuration, [`posting`] what the guest handed over.
//! - `tx`, `rx`, `wake`, `access` and `stats` are the judges; [`wire`], [`filter`] and [`rss`] say what a right answer is, without
//!   the code of any body.
//! - [`Judges`] is the whole court: a [`Tap`](crate::event::Tap) with a [`Verdict`].
//!
//! The guest is taken at its word: judges assume a driver that posts by the rules. Against a hostile guest only
//! [`Judges::isolation`] means something.

pub mod access;
pub mod filter;
mod ids;
pub mod layout;
mod ledger;
mod merged;
mod observer;
pub mod posting;
pub mod rss;
mod rx;
mod stats;
mod tx;
mod wake;
pub mod wire;

#[cfg(test)]
mod tests;

pub use ledger::{KEPT, Ledger, Violation, What};
pub use observer::Observation;
pub use rx::Totals as RxTotals;
pub use tx::Totals as TxTotals;

use crate::clause::{Index, Tally};
use crate::event::GuestView;
use crate::vmxnet3::command::ecr;
use layout::{Phase, Rings};
use ledger::Ledger as Book;
use posting::Postings;

/// How observations are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eyes {
    /// Every access is seen.
    Snoop,
    /// Registers, guest memory, frames and interrupts are seen.
    Poll,
    /// Every access is seen, and nothing but isolation is judged: for guests that break the rules themselves.
    Isolation,
}

/// What judges found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Premises and violations, a clause each.
    pub tally: Tally,
    /// The first [`KEPT`] violations.
    pub violations: Vec<Violation>,
    /// Clauses of monitors that these eyes cannot judge.
    pub not_judged: &'static [Index],
    /// Stimuli and effects seen.
    pub events: u64,
}

impl Verdict {
    /// Whether nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.tally.is_clean()
    }

    /// Whether the clause called `id` was broken.
    pub fn broke(&self, id: &str) -> bool {
        self.tally.iter().any(|(clause, _, broken)| clause.id == id && broken > 0)
    }
}

/// Every judge over one observer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judges {
    eyes: Eyes,
    rings: Rings,
    postings: Postings,
    tx: tx::Judge,
    rx: rx::Judge,
    wake: wake::Judge,
    access: access::Judge,
    stats: stats::Judge,
    ledger: Book,
    /// The wire takes frames.
    wire: bool,
    /// The link is not known to be down, and no queue is known to have stopped.
    link: Link,
    /// What GET_LINK answered last.
    carrier: Link,
    /// `DS.ecr` as last seen.
    ecr: u32,
    last_command: u32,
    /// Nothing but register accesses came since the last idle point.
    quiet: bool,
}

/// Whether frames may be expected to flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    Up,
    /// Down, changing, or a queue stopped.
    Doubtful,
}

impl Judges {
    /// Judges that see every access.
    pub fn snoop() -> Self {
        Self::new(Eyes::Snoop)
    }

    /// Judges that see what any harness sees.
    pub fn poll() -> Self {
        Self::new(Eyes::Poll)
    }

    /// Judges of isolation alone.
    pub fn isolation() -> Self {
        Self::new(Eyes::Isolation)
    }

    fn new(eyes: Eyes) -> Self {
        Self {
            eyes,
            rings: Rings::default(),
            postings: Postings::default(),
            tx: tx::Judge::default(),
            rx: rx::Judge::default(),
            wake: wake::Judge::default(),
            access: access::Judge::default(),
            stats: stats::Judge::default(),
            ledger: Book::default(),
            wire: true,
            link: Link::Up,
            carrier: Link::Up,
            ecr: 0,
            last_command: 0,
            quiet: false,
        }
    }

    /// What was found so far.
    pub fn verdict(&self) -> Verdict {
        Verdict {
            tally: self.ledger.tally.clone(),
            violations: self.ledger.violations.clone(),
            not_judged: if self.eyes == Eyes::Poll { ids::NEED_ACCESSES } else { &[] },
            events: self.ledger.at,
        }
    }

    /// Whether nothing was broken so far.
    pub fn is_clean(&self) -> bool {
        self.ledger.violations.is_empty()
    }

    /// Violations so far, the first [`KEPT`].
    pub fn violations(&self) -> &[Violation] {
        &self.ledger.violations
    }

    /// The configuration as the judges understand it.
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// Forgets the run.
    pub fn reset(&mut self) {
        *self = Self::new(self.eyes);
    }

    /// Whether what is due must happen: active, wire and link in order.
    fn ready(&self) -> bool {
        self.rings.phase == Phase::Active && self.link == Link::Up
    }

    /// One observation goes to every judge it concerns.
    fn observe(&mut self, observation: Observation<'_>, memory: &dyn GuestView) {
        let Self { rings, ledger, tx, rx, wake, stats, .. } = self;
        if let Observation::Sent { .. } | Observation::TxCompleted { .. } | Observation::RxCompleted { .. } =
            observation
        {
            // Whether the counters show this already cannot be told.
            stats.quiet = false;
            self.quiet = false;
        }
        match observation {
            Observation::Started => {
                tx.start(rings.tx.len());
                rx.start(rings);
                stats.start(rings);
                wake.start();
            }
            Observation::Stopped { reset } => {
                if self.eyes != Eyes::Poll {
                    ledger.premise(ids::LIF_001);
                    ledger.premise(ids::LIF_005);
                }
                tx.stop();
                rx.stop();
                if reset { wake.reset() } else { wake.forget() }
            }
            Observation::Changed => {
                rx.steered(rings);
                rx.changed(rings.features);
            }
            Observation::TxPosted { queue, posting } => tx.posted(queue, &posting, rings.version, memory, ledger),
            Observation::RxPosted { queue, ring, posting } => rx.posted(queue, ring, posting, memory),
            Observation::Rung { queue } => tx.rung(queue),
            Observation::Sent { queue, frame } => tx.sent(queue, frame, ledger),
            Observation::TxCompleted { queue, slot, cell } => {
                let conf = rings.tx[queue];
                tx.completed(queue, &conf, slot, cell, ledger);
                wake.cause(conf.vector, ledger.at);
            }
            Observation::RxCompleted { queue, slot, cell } => {
                let snooped = self.eyes == Eyes::Snoop;
                rx.completed(rx::Seen { queue, slot, cell }, rings, snooped, memory, ledger);
                wake.cause(rings.rx[queue].vector, ledger.at);
            }
            Observation::Event => wake.cause(rings.event_vector, ledger.at),
            Observation::Offered { frame } => {
                let ready = self.rings.phase == Phase::Active && self.link == Link::Up;
                self.rx.offered(frame, ready, &self.rings, self.ledger.at);
            }
            Observation::Dropped { frame } => rx.dropped(frame),
            Observation::Imr { vector, value } => wake.wrote_imr(vector, value),
            Observation::Raised { vector } => wake.raised(vector, rings, ledger),
            Observation::Line { asserted } => wake.line(asserted, ledger),
            Observation::Counters => stats.look(rings, tx, rx, memory, ledger),
            Observation::Switched => {
                tx.switched();
                rx.switched();
                wake.switched();
            }
            Observation::Idle => {
                let ready = self.ready();
                let Self { rings, ledger, tx, rx, wake, .. } = self;
                if rings.live() {
                    tx.idle(ready && self.wire, &rings.tx, memory, ledger);
                }
                rx.idle(ready, rings, ledger);
                wake.idle(rings, ledger);
            }
        }
    }

    /// The event word changed: what flows is in doubt after a link change or a stopped queue.
    fn events(&mut self, word: u32, memory: &dyn GuestView) {
        let fresh = word & !self.ecr;
        self.ecr = word;
        if fresh & (ecr::LINK | ecr::TQERR | ecr::RQERR) != 0 {
            self.flow(Link::Doubtful, memory);
        }
        if fresh != 0 {
            self.observe(Observation::Event, memory);
        }
    }

    /// Frames may, or may not, be expected to flow from now on. In doubt, what is under way may be dropped.
    fn flow(&mut self, link: Link, memory: &dyn GuestView) {
        self.link = link;
        self.tx.doubt(link == Link::Doubtful);
        if link == Link::Doubtful {
            self.observe(Observation::Changed, memory);
        }
    }
}
