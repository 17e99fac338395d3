//! A round trip without a step between: every row of the table of correspondence, from any state.

use crate::case::{Case, Check, Need};
use model::host::Bare;
use model::hypervisor::tear_down::stop;
use model::hypervisor::{Poll, Posted, Program, Scratch, WithScratch, capture, enter};
use model::memory::Memory;
use model::migrate::Canon;
use model::plane::{Activation, Filters, Progress, Rss, RxProgress, RxSetup, TxProgress, TxSetup, VectorProgress};
use model::vic::Adapter;
use spec::correspond::{Class, TABLE};
use spec::frame::Dice;
use spec::layout::Bytes;
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vmxnet3::command::{QueueError, feature, rx_mode};
use spec::vmxnet3::shared::coalesce;
use spec::vmxnet3::{CELL_BYTES, RxDesc, RxStats, TxDesc, TxStats};

pub(crate) const CASES: &[Case] =
    &[Case { id: "round-trips", clauses: &["SWI-RTP-001"], unless: &[], needs: &[Need::Inside], run: round_trips }];

/// Where rings begin.
const BASE: u64 = 0x1_0000;
/// States taken round.
const ROUNDS: u64 = 60;

struct Maker<'a> {
    dice: Dice,
    profile: &'a Profile,
    pa: u64,
}

impl Maker<'_> {
    /// Cells of a ring, at most three steps but two cells at least.
    fn size(&mut self) -> u32 {
        let step = self.profile.limits.ring_step;
        if step == 1 { 2 + self.dice.below(9) as u32 } else { step * (1 + self.dice.below(3) as u32) }
    }

    fn place(&mut self, cells: u32) -> u64 {
        let at = self.pa.next_multiple_of(self.profile.limits.ring_align);
        self.pa = at + u64::from(cells) * CELL_BYTES;
        at
    }

    fn at(&mut self, size: u32) -> RingIndex {
        let index = self.dice.below(u64::from(size)) as u32;
        RingIndex::new(index, self.dice.once_in(2), size).unwrap_or_default()
    }

    fn words(&mut self) -> [u8; 80] {
        let mut bytes = [0; 80];
        core::array::from_fn::<u64, 10, _>(|_| self.dice.next() >> 1).put(&mut bytes);
        bytes
    }

    fn stopped(&mut self) -> Option<QueueError> {
        self.dice.once_in(8).then_some(QueueError::NoEop)
    }

    fn tx(&mut self) -> (TxSetup, TxProgress) {
        let (ring_size, comp_size) = (self.size(), self.size());
        let (ring_pa, comp_pa) = (self.place(ring_size), self.place(comp_size));
        let vector = self.dice.below(25) as u8;
        let setup = TxSetup { ring_pa, ring_size, comp_pa, comp_size, vector };
        let (next, comp) = (self.at(ring_size), self.at(comp_size));
        (setup, TxProgress { next, comp, counters: TxStats(self.words()), stopped: self.stopped() })
    }

    fn rx(&mut self) -> (RxSetup, RxProgress) {
        let second = if self.dice.once_in(3) { 0 } else { self.size() };
        let (ring_size, comp_size) = ([self.size(), second], self.size());
        let ring_pa = ring_size.map(|cells| if cells == 0 { 0 } else { self.place(cells) });
        let comp_pa = self.place(comp_size);
        let setup = RxSetup { ring_pa, ring_size, comp_pa, comp_size, vector: self.dice.below(25) as u8 };
        let next = ring_size.map(|size| if size == 0 { RingIndex::START } else { self.at(size) });
        let comp = self.at(comp_size);
        (setup, RxProgress { next, comp, counters: RxStats(self.words()), stopped: self.stopped() })
    }

    fn canon(&mut self) -> Canon {
        let (mut activation, mut progress) = (Activation::default(), Progress::default());
        for _ in 0..1 + self.dice.below(3) {
            let (setup, at) = self.tx();
            activation.tx.push(setup);
            progress.tx.push(at);
        }
        for _ in 0..1 + self.dice.below(3) {
            let (setup, at) = self.rx();
            activation.rx.push(setup);
            progress.rx.push(at);
        }
        // Those that a driver of version 1 has.
        for vector in &mut progress.vectors[..spec::vmxnet3::VECTORS_V1] {
            // A cause that is not masked would be told at once: that is a step.
            let masked = self.dice.once_in(2);
            *vector = VectorProgress { masked, pending: masked && self.dice.once_in(2) };
        }
        let mut filters = Filters { mac: [2, 0, 0, 0, 0, 7], rx_mode: rx_mode::UCAST, ..Filters::default() };
        filters.multicast = (0..self.dice.below(4) as u8).map(|n| [1, 0, 0x5e, 0, 0, n]).collect();
        filters.vlans[0] = self.dice.below(4) as u32;
        activation.filters = filters;
        activation.features = (feature::RXCSUM * self.dice.below(2)) | (feature::RXVLAN * self.dice.below(2));
        activation.auto_mask = self.dice.once_in(2);
        activation.mtu = 1500;
        if self.dice.once_in(2) {
            activation.coalesce.set_coal_mode(coalesce::RATE);
            activation.coalesce.set_coal_para([100 + self.dice.below(99_901) as u32, 0, 0]);
        }
        activation.rss = self.dice.once_in(2).then(|| Rss {
            hash_type: 0xf,
            key: [self.dice.below(256) as u8; 40],
            table: vec![0; 4],
        });
        Canon { activation, progress }
    }

    /// Memory in which every ring stands as `canon` says, any number of buffers posted and no packet: one would be sent.
    fn memory(&mut self, canon: &Canon) -> Memory {
        let mut memory = Memory::new(&[(BASE, (self.pa - BASE) as usize)]);
        let (mut tx, mut rx) = (TxDesc::default(), RxDesc::default());
        for (setup, at) in canon.activation.tx.iter().zip(&canon.progress.tx) {
            let owned = if at.stopped.is_some() { self.dice.below(u64::from(setup.ring_size)) as u32 } else { 0 };
            cells(&mut memory, setup.ring_pa, setup.ring_size, at.next, owned, |generation| {
                tx.set_generation(generation);
                tx.0
            });
        }
        for (setup, at) in canon.activation.rx.iter().zip(&canon.progress.rx) {
            for ring in 0..2 {
                let size = setup.ring_size[ring];
                let owned = self.dice.below(u64::from(size) + 1) as u32;
                cells(&mut memory, setup.ring_pa[ring], size, at.next[ring], owned, |generation| {
                    rx.set_generation(generation);
                    rx.0
                });
            }
        }
        memory
    }
}

/// Writes a ring of which `owned` cells from `next` on are the device's.
fn cells(memory: &mut Memory, pa: u64, size: u32, next: RingIndex, owned: u32, mut cell: impl FnMut(bool) -> u128) {
    let mut at = next;
    for i in 0..size {
        let bytes = cell(at.generation() == (i < owned)).to_le_bytes();
        let _ = memory.write(pa + u64::from(at.index()) * CELL_BYTES, &bytes);
        at = at.next(size);
    }
}

/// Runs a program, the adapter beside it; false when it fails.
fn finish(mut program: Program, adapter: &mut Adapter, scratch: &mut Scratch, host: &mut Bare) -> bool {
    loop {
        match program.step(adapter) {
            Poll::Pending => adapter.run(&mut WithScratch { scratch, host: &mut *host }, 10_000),
            Poll::Done => return true,
            Poll::Failed(_) => return false,
        };
    }
}

fn round_trips(check: &mut Check) {
    for seed in 1..=ROUNDS {
        let mut maker = Maker { dice: Dice::new(seed), profile: check.profile(), pa: BASE };
        let canon = maker.canon();
        let memory = maker.memory(&canon);
        let Canon { activation, progress } = &canon;
        let (mut scratch, mut host) = (Scratch::default(), Bare::new(memory.clone()));
        let mut adapter = Adapter::new(check.device());
        adapter.plant(check.planted());
        let posted = Posted::scan(activation, progress, &memory, check.planted());
        let (ops, shadow) = enter(activation, progress, &posted, check.device(), &mut scratch, check.planted());
        let polls = check.profile().drain_budget;
        let entered = finish(Program::new(ops, polls), &mut adapter, &mut scratch, &mut host);
        check.holds("SWI-RTP-001", entered, "the adapter takes the state");
        let left = finish(Program::new(stop(&shadow), polls), &mut adapter, &mut scratch, &mut host);
        check.holds("SWI-RTP-001", left, "the adapter stops");
        let hidden = adapter.hidden_is_empty().is_ok();
        let found = capture(&mut adapter, activation, &memory, &scratch, progress, check.planted());
        check.holds("SWI-RTP-001", found.is_ok(), "the registers are a state");
        check.holds("SWI-RTP-001", host.memory == memory && host.vectors.is_empty(), "the guest sees nothing of it");
        let Ok(found) = found else { continue };
        let crossed = Canon { activation: activation.clone(), progress: found };
        let mut bytes = Vec::new();
        crossed.encode(check.profile(), &mut bytes);
        let Ok((_, back)) = Canon::decode(&bytes) else {
            check.holds("SWI-RTP-001", false, "what was captured can be restored");
            continue;
        };
        rows(check, &canon, &back, hidden);
        let again = Posted::scan(&back.activation, &back.progress, &memory, check.planted());
        check.holds("SWI-RTP-001", again == posted, "posted_index is found again");
    }
}

/// Every row of the table.
fn rows(check: &mut Check, before: &Canon, after: &Canon, hidden: bool) {
    let (old, new) = (&before.progress, &after.progress);
    let tx = || old.tx.iter().zip(&new.tx);
    let rx = || old.rx.iter().zip(&new.rx);
    for row in TABLE {
        let (holds, claim) = match (row.class, row.software) {
            (Class::Plain, "ring addresses, sizes, intrIdx, autoMask, modLevels, coalescing scheme") => {
                (before.activation == after.activation, "what was configured is equal")
            }
            (Class::Plain, "next index") => (
                tx().all(|(a, b)| a.next.index() == b.next.index())
                    && rx().all(|(a, b)| a.next.map(RingIndex::index) == b.next.map(RingIndex::index)),
                "fetch_index is equal",
            ),
            (Class::Plain, "completion next index, generation") => (
                tx().all(|(a, b)| a.comp == b.comp) && rx().all(|(a, b)| a.comp == b.comp),
                "cq_tail and colour are equal",
            ),
            (Class::Plain, _) => (
                tx().all(|(a, b)| a.stopped == b.stopped) && rx().all(|(a, b)| a.stopped == b.stopped),
                "stop reasons are equal",
            ),
            (Class::Derived, _) => (
                tx().all(|(a, b)| a.next == b.next) && rx().all(|(a, b)| a.next == b.next),
                "derived generations are equal",
            ),
            (Class::Owed, _) => {
                (old.vectors.iter().zip(&new.vectors).all(|(a, b)| a.masked == b.masked), "masks are equal")
            }
            (Class::Folded, _) => (
                old.vectors.iter().zip(&new.vectors).all(|(a, b)| a.pending == b.pending),
                "remembered causes are equal",
            ),
            (Class::Counter, _) => (
                tx().all(|(a, b)| a.counters == b.counters) && rx().all(|(a, b)| a.counters == b.counters),
                "counters are equal",
            ),
            (Class::Shadow, _) => (
                before.activation.filters == after.activation.filters && before.activation.rss == after.activation.rss,
                "filters and steering are equal",
            ),
            (Class::Hidden, _) => (hidden, "nothing hidden is left"),
            // Looked up again: the caller compares what is found.
            (Class::ReRead, _) => continue,
        };
        check.holds("SWI-RTP-001", holds, claim);
    }
}
