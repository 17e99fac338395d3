//! Entering hardware: a fresh adapter is programmed where the software body stopped, and started.

use spec::correspond::posted_index;
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vic::{CqReg, DataRing, Devcmd, IntrReg, RqReg, WqReg};
use spec::vmxnet3::shared::CoalesceScheme;
use spec::vmxnet3::{CELL_BYTES, RxDesc, TxDesc};

use super::program::Op;
use super::request::{self, Shadow};
use super::scratch::Scratch;
use crate::memory::Ram;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Activation, Filters, Progress};
use crate::vic::Register;
use crate::vic::intr::ERROR_BLOCK;

/// Completion queue of RX queue 0: the TX queues' come before.
pub const FIRST_RX_CQ: u8 = 8;

/// Which kind of ring a scan looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// TX descriptors.
    Tx,
    /// RX descriptors.
    Rx,
}

impl Ring {
    /// The generation bit of a cell.
    pub fn generation(self, cell: u128) -> bool {
        match self {
            Self::Tx => TxDesc(cell).generation(),
            Self::Rx => RxDesc(cell).generation(),
        }
    }
}

/// The longest run of cells from `from`, a place in the ring, on that carry the expected generation, at most the whole ring.
/// A cell outside memory ends it.
pub fn owned_run(memory: &impl Ram, ring: Ring, ring_pa: u64, size: u32, from: RingIndex) -> u32 {
    let ahead = size.saturating_sub(from.index());
    let pa = ring_pa.wrapping_add(u64::from(from.index()) * CELL_BYTES);
    let run = straight_run(memory, ring, pa, ahead, from.generation());
    if run < ahead {
        return run;
    }
    ahead + straight_run(memory, ring, ring_pa, size - ahead, !from.generation())
}

/// The same without a wrap: `cells` cells from `pa` on, looked at in growing pieces.
fn straight_run(memory: &impl Ram, ring: Ring, pa: u64, cells: u32, generation: bool) -> u32 {
    let mut piece = [0; MOST_LOOKED_AT * CELL_BYTES as usize];
    let (mut run, mut most) = (0, BLOCK);
    while run < cells {
        let count = most.min((cells - run) as usize);
        most = MOST_LOOKED_AT;
        let at = pa.wrapping_add(u64::from(run) * CELL_BYTES);
        let into = &mut piece[..count * CELL_BYTES as usize];
        // Where the ring leaves memory, cell by cell.
        let count = if memory.look(at, into).is_ok() { count } else { 1 };
        let into = &mut piece[..count * CELL_BYTES as usize];
        if count == 1 && memory.look(at, into).is_err() {
            break;
        }
        let owned = match ring {
            Ring::Tx => alike::<TX_GENERATION>(into, generation),
            Ring::Rx => alike::<RX_GENERATION>(into, generation),
        };
        run += owned as u32;
        if owned < count {
            break;
        }
    }
    run
}

/// The generation bit of each kind of cell, counted from bit 0 of byte 0.
const TX_GENERATION: usize = TxDesc::LAYOUT.low("gen") as usize;
const RX_GENERATION: usize = RxDesc::LAYOUT.low("gen") as usize;
/// Cells that a scan takes together.
const BLOCK: usize = 16;
/// Cells that a scan looks at together.
const MOST_LOOKED_AT: usize = 128;

/// How many of the first cells carry `expected` in bit `BIT`.
fn alike<const BIT: usize>(bytes: &[u8], expected: bool) -> usize {
    let mask = 1u8 << (BIT % 8);
    let expected = if expected { mask } else { 0 };
    let cells = bytes.as_chunks::<{ CELL_BYTES as usize }>().0;
    let other = |cells: &[[u8; CELL_BYTES as usize]]| cells.iter().fold(0, |or, cell| or | (cell[BIT / 8] ^ expected));
    let blocks = cells.chunks_exact(BLOCK).take_while(|block| other(block) & mask == 0).count();
    blocks * BLOCK + cells[blocks * BLOCK..].iter().take_while(|cell| cell[BIT / 8] & mask == expected).count()
}

/// What each ring's `posted_index` is to claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Posted {
    /// TX queues.
    pub tx: Vec<u32>,
    /// Ring 0 and ring 1 of each RX queue.
    pub rx: Vec<[u32; 2]>,
    /// Some TX ring is full to the last cell: software has to send a packet before it can enter.
    pub tx_full: bool,
}

impl Posted {
    /// Scans every ring.
    pub fn scan(activation: &Activation, progress: &Progress, memory: &impl Ram, planted: Planted) -> Self {
        let mut posted = Self::default();
        let whole = planted.is(Mutant::MoveFullRing);
        let claim = |from: RingIndex, owned: u32, size: u32| {
            if whole && owned == size { from.index() } else { posted_index(from.index(), owned, size) }
        };
        for (setup, at) in activation.tx.iter().zip(&progress.tx) {
            let owned = owned_run(memory, Ring::Tx, setup.ring_pa, setup.ring_size, at.next);
            posted.tx_full |= owned == setup.ring_size;
            posted.tx.push(claim(at.next, owned, setup.ring_size));
        }
        for (setup, at) in activation.rx.iter().zip(&progress.rx) {
            posted.rx.push([0, 1].map(|ring| {
                let (pa, size) = (setup.ring_pa[ring], setup.ring_size[ring]);
                claim(at.next[ring], owned_run(memory, Ring::Rx, pa, size, at.next[ring]), size)
            }));
        }
        posted
    }

    /// The doorbells that tell the adapter of buffers and packets posted since.
    pub fn ring_again(&self, activation: &Activation, progress: &Progress) -> Vec<Op> {
        let mut ops = Vec::new();
        for (q, (&posted, at)) in self.tx.iter().zip(&progress.tx).enumerate() {
            if at.stopped.is_none() {
                ops.push(Op::Write(Register::Wq(q as u8, WqReg::PostedIndex), u64::from(posted)));
            }
        }
        for (q, ((posted, setup), at)) in self.rx.iter().zip(&activation.rx).zip(&progress.rx).enumerate() {
            for (ring, &posted) in posted.iter().enumerate() {
                if setup.ring_size[ring] != 0 && at.stopped.is_none() {
                    let rq = (2 * q + ring) as u8;
                    ops.push(Op::Write(Register::Rq(rq, RqReg::PostedIndex), u64::from(posted)));
                }
            }
        }
        ops
    }
}

/// The program that makes a fresh adapter go on where `progress` stands: [`configure`], then [`enable`].
pub fn enter(
    activation: &Activation,
    progress: &Progress,
    posted: &Posted,
    profile: &Profile,
    scratch: &mut Scratch,
    planted: Planted,
) -> (Vec<Op>, Shadow) {
    let (mut ops, shadow) = configure(activation, progress, posted, profile, scratch, planted);
    ops.extend(enable(activation, progress, true));
    (ops, shadow)
}

/// Programs a fresh adapter and leaves its queues disabled. Key and table of RSS go through `scratch`; the shadow of what is
/// then installed comes back with it.
pub fn configure(
    activation: &Activation,
    progress: &Progress,
    posted: &Posted,
    profile: &Profile,
    scratch: &mut Scratch,
    planted: Planted,
) -> (Vec<Op>, Shadow) {
    let mut ops = Vec::new();
    let scheme = if planted.is(Mutant::MoveSchemeLost) { CoalesceScheme::default() } else { activation.coalesce };
    ops.extend(request::moderation(activation.mod_levels.map(|level| profile.moderation.ticks(level, scheme))));
    vectors(activation, progress, planted, &mut ops);
    transmit(activation, progress, posted, planted, &mut ops);
    receive(activation, progress, posted, planted, &mut ops);
    let mut shadow = Shadow::new(activation.tx.len() as u8, activation.rx.len() as u8);
    let nothing = Filters::default();
    let filters = if planted.is(Mutant::MoveFiltersLost) { &nothing } else { &activation.filters };
    ops.extend(shadow.filters(filters));
    shadow.interface = activation.interface;
    shadow.spacing = profile.moderation;
    shadow.planted = planted;
    shadow.features(activation.features);
    ops.extend(shadow.rss(activation.rss.as_ref(), scratch));
    (ops, shadow)
}

fn vectors(activation: &Activation, progress: &Progress, planted: Planted, ops: &mut Vec<Op>) {
    for (i, vector) in (0..ERROR_BLOCK).zip(&progress.vectors) {
        let mut set = |reg, value: u64| ops.push(Op::Write(Register::Intr(i, reg), value));
        set(IntrReg::CoalescingType, 0);
        set(IntrReg::MaskOnAssertion, u64::from(activation.auto_mask));
        set(IntrReg::IntCredits, u64::from(vector.pending && !planted.is(Mutant::MovePendingDropped)));
        set(IntrReg::Mask, u64::from(vector.masked));
    }
    ops.push(Op::Write(Register::Intr(ERROR_BLOCK, IntrReg::IntCredits), 0));
    ops.push(Op::Write(Register::Intr(ERROR_BLOCK, IntrReg::Mask), 0));
}

fn completion_queue(cq: u8, pa: u64, size: u32, next: RingIndex, vector: u8, planted: Planted, ops: &mut Vec<Op>) {
    let mut set = |reg, value: u64| ops.push(Op::Write(Register::Cq(cq, reg), value));
    set(CqReg::RingBase, pa);
    set(CqReg::RingSize, u64::from(size));
    set(CqReg::FlowControlEnable, 0);
    set(CqReg::ColorEnable, 1);
    set(CqReg::CqHead, 0);
    set(CqReg::CqTail, u64::from(next.index()));
    set(CqReg::CqTailColor, u64::from(next.generation() || planted.is(Mutant::MoveColorKept)));
    set(CqReg::InterruptEnable, u64::from(vector < ERROR_BLOCK));
    set(CqReg::CqEntryEnable, 1);
    set(CqReg::CqMessageEnable, 0);
    set(CqReg::InterruptOffset, u64::from(vector));
}

fn fetch_index(at: RingIndex, size: u32, planted: Planted) -> u64 {
    let at = if planted.is(Mutant::MoveIndexOffByOne) { at.next(size) } else { at };
    u64::from(at.index())
}

fn transmit(activation: &Activation, progress: &Progress, posted: &Posted, planted: Planted, ops: &mut Vec<Op>) {
    for (q, ((setup, at), &claim)) in activation.tx.iter().zip(&progress.tx).zip(&posted.tx).enumerate() {
        let q = q as u8;
        completion_queue(q, setup.comp_pa, setup.comp_size, at.comp, setup.vector, planted, ops);
        let mut set = |reg, value: u64| ops.push(Op::Write(Register::Wq(q, reg), value));
        set(WqReg::RingBase, setup.ring_pa);
        set(WqReg::RingSize, u64::from(setup.ring_size));
        set(WqReg::FetchIndex, fetch_index(at.next, setup.ring_size, planted));
        set(WqReg::PostedIndex, u64::from(claim));
        set(WqReg::CqIndex, u64::from(q));
        set(WqReg::ErrorInterruptEnable, 1);
        set(WqReg::ErrorInterruptOffset, u64::from(ERROR_BLOCK));
        set(WqReg::ErrorStatus, at.stopped.map_or(0, |error| u64::from(error.code())));
    }
}

fn receive(activation: &Activation, progress: &Progress, posted: &Posted, planted: Planted, ops: &mut Vec<Op>) {
    for (q, ((setup, at), claim)) in activation.rx.iter().zip(&progress.rx).zip(&posted.rx).enumerate() {
        let cq = FIRST_RX_CQ + q as u8;
        completion_queue(cq, setup.comp_pa, setup.comp_size, at.comp, setup.vector, planted, ops);
        for (ring, &claim) in claim.iter().enumerate() {
            let rq = (2 * q + ring) as u8;
            let size = setup.ring_size[ring];
            let mut set = |reg, value: u64| ops.push(Op::Write(Register::Rq(rq, reg), value));
            set(RqReg::RingBase, setup.ring_pa[ring]);
            set(RqReg::RingSize, u64::from(size));
            set(RqReg::CqIndex, u64::from(cq));
            set(RqReg::ErrorInterruptEnable, 1);
            set(RqReg::ErrorInterruptOffset, u64::from(ERROR_BLOCK));
            set(RqReg::DroppedPacketCount, 0);
            set(RqReg::ErrorStatus, at.stopped.map_or(0, |error| u64::from(error.code())));
            set(RqReg::FetchIndex, fetch_index(at.next[ring], size, planted));
            set(RqReg::PostedIndex, u64::from(claim));
            let mut spill = DataRing::default();
            if ring == 0 && setup.ring_size[1] != 0 {
                spill.set_spill(true);
                spill.set_rq_index(u16::from(rq) + 1);
            }
            set(RqReg::DataRing, u64::from(spill.0));
            // Resynchronises the cache after a write of fetch_index.
            set(RqReg::Enable, 0);
        }
    }
}

/// Makes the adapter's link what the uplink's is.
pub fn set_link(up: bool) -> [Op; 2] {
    Op::command(if up { Devcmd::Enable } else { Devcmd::Disable }, [0; 3])
}

/// Enables every queue that an error has not stopped, ring 1 before ring 0, which spills into it; before them the link, which a queue
/// that runs must find as it is.
pub fn enable(activation: &Activation, progress: &Progress, link: bool) -> Vec<Op> {
    let mut ops = set_link(link).to_vec();
    for (q, (setup, at)) in activation.rx.iter().zip(&progress.rx).enumerate() {
        for ring in [1, 0] {
            if setup.ring_size[ring] != 0 && at.stopped.is_none() {
                let rq = (2 * q + ring) as u8;
                ops.push(Op::Write(Register::Rq(rq, RqReg::Enable), 1));
                ops.push(Op::AwaitRunning(Register::Rq(rq, RqReg::Running), true));
            }
        }
    }
    for (q, _) in progress.tx.iter().enumerate().filter(|(_, at)| at.stopped.is_none()) {
        ops.push(Op::Write(Register::Wq(q as u8, WqReg::Enable), 1));
        ops.push(Op::AwaitRunning(Register::Wq(q as u8, WqReg::Running), true));
    }
    ops
}
