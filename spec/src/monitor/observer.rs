//! The two observers: stimuli and effects in, observations out.

use super::ids::TX_001;
use super::layout::{Phase, Rings, at};
use super::posting::{RxPosting, TxPosting};
use super::{Eyes, Judges, Link, What};
use crate::event::{Bar, Effect, GuestView, Stimulus, Tap};
use crate::layout::Bytes;
use crate::vmxnet3::command::ecr;
use crate::vmxnet3::shared::{CoalesceScheme, ECR_OFFSET};
use crate::vmxnet3::{Bar0, Bar1, Command, Interrupts, RssFields};

/// What judges judge.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// The guest activated the device; every ring starts afresh.
    Started,
    /// The device stopped.
    Stopped {
        /// Masks and causes are gone too.
        reset: bool,
    },
    /// The guest changed filters, features or steering.
    Changed,
    /// A packet was handed over.
    TxPosted {
        /// TX queue.
        queue: usize,
        /// The packet.
        posting: TxPosting<'a>,
    },
    /// A buffer was handed over.
    RxPosted {
        /// RX queue.
        queue: usize,
        /// Ring 0 or 1.
        ring: usize,
        /// The buffer.
        posting: RxPosting,
    },
    /// A TX doorbell was rung.
    Rung {
        /// TX queue.
        queue: usize,
    },
    /// A frame left.
    Sent {
        /// TX queue.
        queue: u8,
        /// The frame.
        frame: &'a [u8],
    },
    /// A TX completion became visible.
    TxCompleted {
        /// TX queue.
        queue: usize,
        /// Where.
        slot: u32,
        /// The 16 bytes.
        cell: u128,
    },
    /// An RX completion became visible.
    RxCompleted {
        /// RX queue.
        queue: usize,
        /// Where.
        slot: u32,
        /// The 16 bytes.
        cell: u128,
    },
    /// An event bit was set.
    Event,
    /// A frame reached the uplink.
    Offered {
        /// The frame.
        frame: &'a [u8],
    },
    /// A frame was dropped outside the device.
    Dropped {
        /// The frame.
        frame: &'a [u8],
    },
    /// An IMR was written.
    Imr {
        /// Vector.
        vector: u8,
        /// Value.
        value: u32,
    },
    /// A vector was raised.
    Raised {
        /// Vector.
        vector: u16,
    },
    /// The INTx line changed.
    Line {
        /// Asserted.
        asserted: bool,
    },
    /// GET_STATS ended.
    Counters,
    /// The body changed.
    Switched,
    /// Nothing more can happen.
    Idle,
}

/// Which completion ring a write hit.
enum Ring {
    Tx(usize, u32),
    Rx(usize, u32),
}

fn completion(rings: &Rings, pa: u64) -> Option<Ring> {
    if !rings.live() {
        return None;
    }
    for (q, queue) in rings.tx.iter().enumerate() {
        if let Some(slot) = queue.comp.slot(pa) {
            return Some(Ring::Tx(q, slot));
        }
    }
    let rx = rings.rx.iter().enumerate();
    rx.filter_map(|(q, queue)| Some(Ring::Rx(q, queue.comp.slot(pa)?))).next()
}

impl Judges {
    /// Looks at every ring for what the guest posted.
    fn scan(&mut self, memory: &dyn GuestView) {
        for q in 0..self.rings.tx.len() {
            self.scan_tx(q, memory);
        }
        for q in 0..self.rings.rx.len() {
            self.scan_rx(q, 0, memory);
            self.scan_rx(q, 1, memory);
        }
    }

    fn scan_tx(&mut self, q: usize, memory: &dyn GuestView) {
        if self.eyes == Eyes::Isolation {
            return;
        }
        let mut postings = core::mem::take(&mut self.postings);
        let queue = self.rings.tx[q];
        while let Some(posting) = postings.next_tx(q, &queue, memory) {
            self.observe(Observation::TxPosted { queue: q, posting }, memory);
        }
        self.postings = postings;
    }

    fn scan_rx(&mut self, q: usize, ring: usize, memory: &dyn GuestView) {
        if self.eyes == Eyes::Isolation {
            return;
        }
        let queue = self.rings.rx[q];
        while let Some(posting) = self.postings.next_rx(q, ring, &queue, memory) {
            self.observe(Observation::RxPosted { queue: q, ring, posting }, memory);
        }
    }

    fn stored(&mut self, pa: u64, len: usize, memory: &dyn GuestView) {
        if !self.rings.live() || !self.rings.may_post(pa, len) || self.eyes == Eyes::Isolation {
            return;
        }
        for q in 0..self.rings.tx.len() {
            if self.rings.tx[q].ring.touches(pa, len) {
                self.scan_tx(q, memory);
            }
        }
        for q in 0..self.rings.rx.len() {
            for ring in 0..2 {
                if self.rings.rx[q].rings[ring].touches(pa, len) {
                    self.scan_rx(q, ring, memory);
                }
            }
        }
    }

    /// The guest runs again: a command that was under way has ended.
    fn guest_goes_on(&mut self, memory: &dyn GuestView) {
        self.access.commanded = false;
        self.access.answer = None;
        if self.stats.due {
            self.judge(Observation::Counters, memory);
        }
        if self.rings.phase == Phase::Stopping {
            self.rings.phase = Phase::Inactive;
            let reset = Command::from(self.last_command) == Command::ResetDev;
            self.observe(Observation::Stopped { reset }, memory);
        }
    }

    fn command(&mut self, command: Command, memory: &dyn GuestView) {
        self.last_command = command.code();
        self.access.commanded = true;
        match command {
            Command::ActivateDev if self.rings.phase == Phase::Inactive => {
                self.rings.phase = match self.rings.activate(memory) {
                    Some(()) => Phase::Starting,
                    None => Phase::Inactive,
                };
                if self.rings.phase == Phase::Starting {
                    self.link = self.carrier;
                    self.ecr = at::<u32>(memory, self.rings.shared, ECR_OFFSET).unwrap_or(0);
                    self.postings.start(&self.rings);
                    self.observe(Observation::Started, memory);
                    self.scan(memory);
                }
            }
            Command::ActivateDev => {
                self.rings.phase = Phase::Unknown;
                self.observe(Observation::Stopped { reset: false }, memory);
            }
            Command::QuiesceDev | Command::ResetDev => {
                let reset = command == Command::ResetDev;
                if reset {
                    self.rings.rss.reset();
                }
                if self.rings.live() {
                    self.rings.phase = Phase::Stopping;
                } else if reset || self.rings.phase == Phase::Unknown {
                    self.rings.phase = Phase::Inactive;
                    self.observe(Observation::Stopped { reset }, memory);
                }
            }
            Command::GetCoalesce => {
                let bytes = CoalesceScheme::SIZE as u64;
                self.access.answer = self.rings.coalesce_pa(memory).map(|pa| (pa, bytes));
            }
            Command::GetStats if self.rings.live() => {
                self.stats.due = true;
                self.stats.quiet = self.quiet;
            }
            command => {
                if self.rings.live() && self.rings.update(command, memory) {
                    self.observe(Observation::Changed, memory);
                }
            }
        }
    }

    fn wrote(&mut self, bar: Bar, offset: u32, value: u32, memory: &dyn GuestView) {
        match bar {
            Bar::Bar0 => match self.rings.bar0(offset) {
                Some(Bar0::Imr(vector)) => self.judge(Observation::Imr { vector, value }, memory),
                Some(Bar0::TxProd(q)) if self.rings.live() && usize::from(q) < self.rings.tx.len() => {
                    self.scan_tx(usize::from(q), memory);
                    self.judge(Observation::Rung { queue: usize::from(q) }, memory);
                }
                Some(Bar0::RxProd(q) | Bar0::RxProd2(q))
                    if self.rings.live() && usize::from(q) < self.rings.rx.len() =>
                {
                    self.scan_rx(usize::from(q), 0, memory);
                    self.scan_rx(usize::from(q), 1, memory);
                }
                _ => {}
            },
            Bar::Bar1 => match Bar1::decode(offset) {
                Some(Bar1::Vrrs) => self.rings.write_vrrs(value),
                Some(Bar1::Dcr(0)) => self.rings.capable(value, false),
                Some(Bar1::Dsal) => self.rings.write_dsal(value),
                Some(Bar1::Dsah) => {
                    let was = self.rings.phase;
                    self.rings.write_dsah(value);
                    if was != self.rings.phase {
                        // Stopping takes the adapter some steps, and the vCPU waits for them.
                        self.access.commanded = true;
                        self.observe(Observation::Stopped { reset: false }, memory);
                    }
                }
                Some(Bar1::Macl) => self.rings.write_macl(value),
                Some(Bar1::Mach) => {
                    self.rings.write_mach(value);
                    self.observe(Observation::Changed, memory);
                }
                Some(Bar1::Cmd) => self.command(Command::from(value), memory),
                Some(Bar1::Ecr) => {
                    // The device clears bits inside this write.
                    self.ecr &= !value;
                    self.wake.acknowledged(self.rings.event_vector);
                }
                _ => {}
            },
            Bar::Bar2 => {}
        }
    }

    fn read(&mut self, bar: Bar, offset: u32, value: u32, memory: &dyn GuestView) {
        match bar {
            Bar::Bar0 if self.eyes == Eyes::Isolation => {}
            Bar::Bar0 => self.wake.read_bar0(offset, value, &self.rings, &mut self.ledger),
            Bar::Bar1 => match Bar1::decode(offset) {
                Some(Bar1::Cmd) => match Command::from(self.last_command) {
                    Command::ActivateDev if self.rings.phase == Phase::Starting => {
                        self.rings.phase = if value == 0 { Phase::Active } else { Phase::Inactive };
                        if value != 0 {
                            self.observe(Observation::Stopped { reset: false }, memory);
                        }
                    }
                    Command::GetRssFields if self.rings.rss.told(RssFields(value), self.rings.version) => {
                        self.observe(Observation::Changed, memory);
                    }
                    Command::GetDcr0Reg => self.rings.capable(value, true),
                    Command::GetLink => {
                        self.carrier = if value & 1 == 1 { Link::Up } else { Link::Doubtful };
                        if self.ecr & (ecr::RQERR | ecr::TQERR) == 0 {
                            self.flow(self.carrier, memory);
                        }
                    }
                    _ => {}
                },
                Some(Bar1::Icr) => self.wake.read_icr(value, &self.rings),
                Some(Bar1::Macl) if self.rings.filter.mac.is_none() => self.rings.write_macl(value),
                Some(Bar1::Mach) if self.rings.filter.mac.is_none() => self.rings.write_mach(value),
                _ => {}
            },
            Bar::Bar2 => {}
        }
    }

    /// The device did something on its rings: the activation succeeded.
    fn works(&mut self) {
        if self.rings.phase == Phase::Starting {
            self.rings.phase = Phase::Active;
        }
    }

    /// Looks for completions as a driver does.
    fn poll_rings(&mut self, memory: &dyn GuestView) {
        if !self.rings.live() {
            return;
        }
        if let Some(word) = at::<u32>(memory, self.rings.shared, ECR_OFFSET)
            && word != self.ecr
        {
            self.events(word, memory);
        }
        for q in 0..self.rings.tx.len() {
            let comp = self.rings.tx[q].comp;
            for _ in 0..comp.cells {
                let next = self.tx.queues[q].comp;
                let Some(cell) = memory.cell(comp.at(next.index)) else { break };
                if (cell >> 127 == 1) != next.generation {
                    break;
                }
                self.works();
                self.observe(Observation::TxCompleted { queue: q, slot: next.index, cell }, memory);
            }
        }
        for q in 0..self.rings.rx.len() {
            let comp = self.rings.rx[q].comp;
            for _ in 0..comp.cells {
                let next = self.rx.queues[q].comp;
                let Some(cell) = memory.cell(comp.at(next.index)) else { break };
                if (cell >> 127 == 1) != next.generation {
                    break;
                }
                self.works();
                self.observe(Observation::RxCompleted { queue: q, slot: next.index, cell }, memory);
            }
        }
    }

    fn published(&mut self, pa: u64, cell: u128, memory: &dyn GuestView) {
        self.access.published(pa, &self.rings, &mut self.ledger);
        match completion(&self.rings, pa) {
            Some(Ring::Tx(queue, slot)) => {
                self.works();
                self.judge(Observation::TxCompleted { queue, slot, cell }, memory);
            }
            Some(Ring::Rx(queue, slot)) => {
                self.works();
                self.judge(Observation::RxCompleted { queue, slot, cell }, memory);
            }
            None => {}
        }
    }

    /// As `observe`, but nothing where only isolation is judged.
    fn judge(&mut self, observation: Observation<'_>, memory: &dyn GuestView) {
        if self.eyes != Eyes::Isolation {
            self.observe(observation, memory);
        }
    }
}

impl Tap for Judges {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        self.ledger.at += 1;
        if self.eyes == Eyes::Poll {
            self.poll_rings(memory);
        }
        match stimulus {
            Stimulus::GuestStore { pa, bytes } => {
                self.guest_goes_on(memory);
                self.stored(pa, bytes.len(), memory);
                self.quiet = false;
            }
            Stimulus::RegisterWrite { bar, offset, value } => {
                self.guest_goes_on(memory);
                self.wrote(bar, offset, value, memory);
                self.quiet &= bar == Bar::Bar1;
            }
            Stimulus::RegisterRead { bar, offset, value } => {
                self.guest_goes_on(memory);
                self.read(bar, offset, value, memory);
            }
            Stimulus::Offered { frame } => {
                self.quiet = false;
                self.judge(Observation::Offered { frame }, memory);
            }
            Stimulus::Wire { ready } => self.wire = ready,
            Stimulus::Advanced { .. } | Stimulus::Step { .. } => {}
            Stimulus::Interrupts { kind } => self.wake.told(kind),
            Stimulus::FunctionReset => {
                self.guest_goes_on(memory);
                self.wake.told(Interrupts::MsiX);
                self.rings.function_reset();
                self.ecr = 0;
                self.observe(Observation::Stopped { reset: true }, memory);
            }
            Stimulus::Restored(negotiated) => {
                self.guest_goes_on(memory);
                self.rings.restored(negotiated);
                self.ecr = 0;
                self.observe(Observation::Stopped { reset: true }, memory);
                self.wake.restored();
            }
            Stimulus::Switched { .. } => {
                self.quiet = false;
                self.observe(Observation::Switched, memory);
            }
            Stimulus::Idle => {
                self.guest_goes_on(memory);
                if self.eyes != Eyes::Isolation {
                    self.observe(Observation::Idle, memory);
                }
                self.rings.rss.settled();
                self.quiet = true;
            }
        }
    }

    fn effect(&mut self, effect: Effect<'_>, memory: &dyn GuestView) {
        self.ledger.at += 1;
        match effect {
            Effect::Transmit { queue, frame } => {
                if self.eyes == Eyes::Isolation {
                    return;
                }
                if self.rings.live() {
                    self.works();
                    self.observe(Observation::Sent { queue, frame }, memory);
                } else if self.rings.phase == Phase::Inactive {
                    let what = What::Unexplained { queue, len: frame.len() };
                    self.ledger.premise(TX_001);
                    self.ledger.violated(TX_001, what);
                }
            }
            Effect::SwitchDrop { frame } => self.judge(Observation::Dropped { frame }, memory),
            Effect::Vector { index } => {
                if self.eyes == Eyes::Poll {
                    self.poll_rings(memory);
                }
                self.judge(Observation::Raised { vector: index }, memory);
            }
            Effect::Intx { asserted } => {
                if self.eyes == Eyes::Poll {
                    self.poll_rings(memory);
                }
                self.judge(Observation::Line { asserted }, memory);
            }
            _ if self.eyes == Eyes::Poll => {}
            Effect::Fetch { pa, cell } => {
                let hostile = self.eyes == Eyes::Isolation;
                self.access.fetched(pa, cell, hostile, &self.rings, &mut self.ledger);
            }
            Effect::Read { pa, bytes } => {
                self.access.read(pa, bytes.len(), &self.rings, &self.tx, &mut self.ledger);
            }
            Effect::Publish { pa, cell } => self.published(pa, cell, memory),
            Effect::Write { pa, bytes } => {
                if let (Ok(le), Some(_)) = (<[u8; 16]>::try_from(bytes), completion(&self.rings, pa)) {
                    return self.published(pa, u128::from_le_bytes(le), memory);
                }
                self.access.wrote(pa, bytes, &self.rings, &mut self.rx, &mut self.ledger);
                if self.rings.live()
                    && super::layout::touches(pa, bytes.len(), self.rings.shared.wrapping_add(ECR_OFFSET), 4)
                {
                    let word = at::<u32>(memory, self.rings.shared, ECR_OFFSET).unwrap_or(0);
                    self.events(word, memory);
                }
            }
            Effect::Fault { .. } => {}
        }
    }
}
