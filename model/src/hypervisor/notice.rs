//! Doorbells that nobody traps: with the pass-through page mapped into the guest, a write of the value that stands there already
//! leaves no mark, so what is posted is found by generation bits, ring by ring, from the last claim on.

use spec::position::RingIndex;
use spec::vic::{RqReg, WqReg};
use spec::vmxnet3::CELL_BYTES;

use super::bring_up::{Posted, Ring};
use crate::memory::Ram;
use crate::plane::{Activation, Progress};
use crate::vic::{Adapter, Register};

/// How far each ring's `posted_index` claims, with the generation of the cell behind it. Empty while nobody notices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    tx: Vec<RingIndex>,
    rx: Vec<[RingIndex; 2]>,
}

impl Claims {
    /// Of an adapter that enters with `posted` on top of `progress`.
    pub fn new(activation: &Activation, progress: &Progress, posted: &Posted) -> Self {
        let reach = |from: RingIndex, to: u32, size: u32| {
            let ahead = if to >= from.index() { to - from.index() } else { size - from.index() + to };
            from.plus(ahead, size)
        };
        let tx = activation.tx.iter().zip(&progress.tx).zip(&posted.tx);
        let rx = activation.rx.iter().zip(&progress.rx).zip(&posted.rx);
        Self {
            tx: tx.map(|((setup, at), &posted)| reach(at.next, posted, setup.ring_size)).collect(),
            rx: rx
                .map(|((setup, at), posted)| {
                    [0, 1].map(|r| match setup.ring_size[r] {
                        0 => RingIndex::START,
                        size => reach(at.next[r], posted[r], size),
                    })
                })
                .collect(),
        }
    }

    /// Claims what the guest has posted since, on every ring; `told` is called with the register that a doorbell would have
    /// written and its value.
    pub fn notice(
        &mut self,
        adapter: &mut Adapter,
        activation: &Activation,
        memory: &impl Ram,
        mut told: impl FnMut(Register, u32),
    ) {
        for (q, (setup, at)) in activation.tx.iter().zip(&mut self.tx).enumerate() {
            let wq = |reg| Register::Wq(q as u8, reg);
            let fetch = adapter.peek(wq(WqReg::FetchIndex)) as u32;
            if claim(memory, Ring::Tx, (setup.ring_pa, setup.ring_size), at, fetch) {
                adapter.write(wq(WqReg::PostedIndex), u64::from(at.index()));
                told(wq(WqReg::PostedIndex), at.index());
            }
        }
        for (q, (setup, at)) in activation.rx.iter().zip(&mut self.rx).enumerate() {
            for (r, at) in at.iter_mut().enumerate().filter(|(r, _)| setup.ring_size[*r] != 0) {
                let rq = |reg| Register::Rq((2 * q + r) as u8, reg);
                let fetch = adapter.peek(rq(RqReg::FetchIndex)) as u32;
                if claim(memory, Ring::Rx, (setup.ring_pa[r], setup.ring_size[r]), at, fetch) {
                    adapter.write(rq(RqReg::PostedIndex), u64::from(at.index()));
                    told(rq(RqReg::PostedIndex), at.index());
                }
            }
        }
    }
}

/// Whether the cell at `pa` carries `generation`.
pub fn is_owned(memory: &impl Ram, ring: Ring, pa: u64, generation: bool) -> bool {
    let mut cell = [0; CELL_BYTES as usize];
    memory.look(pa, &mut cell).is_ok() && ring.generation(u128::from_le_bytes(cell)) == generation
}

/// Moves `at` over cells that the guest owns no longer, short of the cell before `fetch`; true if it moved.
fn claim(memory: &impl Ram, ring: Ring, (pa, size): (u64, u32), at: &mut RingIndex, fetch: u32) -> bool {
    let from = *at;
    let place = |at: RingIndex| pa.wrapping_add(u64::from(at.index()) * CELL_BYTES);
    // One cell is held back: equal indices mean an empty ring.
    while at.next(size).index() != fetch && is_owned(memory, ring, place(*at), at.generation()) {
        *at = at.next(size);
    }
    *at != from
}
