//! Leaving hardware: stop every queue, dump counters, and read off how far the adapter is.

use spec::correspond::derive_generation;
use spec::position::RingIndex;
use spec::vic::{CqReg, IntrReg, RqReg, WqReg};
use spec::vmxnet3::{CELL_BYTES, MAX_VECTORS};

use super::bring_up::{FIRST_RX_CQ, Ring};
use super::program::Op;
use super::request::{self, Shadow, add_rx, add_tx, hardware, stop_reason};
use super::scratch::Scratch;
use crate::host::DmaFault;
use crate::memory::Ram;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Activation, Progress, RxProgress, TxProgress, VectorProgress};
use crate::vic::intr::ERROR_BLOCK;
use crate::vic::{Adapter, Register};

/// Why the adapter's registers are no state to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CaptureError {
    /// A queue still runs.
    #[error("{register:?} still reads 1")]
    Running {
        /// The `running` register.
        register: Register,
    },
    /// A register holds what it cannot.
    #[error("{register:?} holds {value:#x}, out of range")]
    OutOfRange {
        /// The register.
        register: Register,
        /// Its value.
        value: u64,
    },
    /// A ring is not in guest memory.
    #[error("the ring of {register:?} has no cell at {pa:#x}")]
    Ring {
        /// The `fetch_index` register of its queue.
        register: Register,
        /// Address of the cell.
        pa: u64,
    },
}

/// The operations that stop every work queue. Committed packets finish; the others stay in the ring.
pub fn stop_transmit(shadow: &Shadow) -> Vec<Op> {
    let stop =
        |q| [Op::Write(Register::Wq(q, WqReg::Enable), 0), Op::AwaitRunning(Register::Wq(q, WqReg::Running), false)];
    (0..shadow.queues().0).flat_map(stop).collect()
}

/// The operations that stop every receive queue: twice each, as the second stop empties the descriptor cache. Source: linux
/// vnic_rq.c, vnic_rq_disable. Frames still in the ingress FIFO stay there.
pub fn stop_receive(shadow: &Shadow) -> Vec<Op> {
    let stop =
        |r| [Op::Write(Register::Rq(r, RqReg::Enable), 0), Op::AwaitRunning(Register::Rq(r, RqReg::Running), false)];
    (0..2 * shadow.queues().1).flat_map(|r| [stop(r), stop(r)].concat()).collect()
}

/// Stops everything and dumps the counters to the scratch page.
pub fn stop(shadow: &Shadow) -> Vec<Op> {
    let mut ops = stop_transmit(shadow);
    ops.extend(stop_receive(shadow));
    ops.extend(request::counters(shadow));
    ops
}

/// Masks and remembered causes of every vector; those that the adapter has not are in `software`.
pub fn vectors(adapter: &mut Adapter, software: &Progress) -> [VectorProgress; MAX_VECTORS] {
    let mut vectors = software.vectors;
    for (i, vector) in (0..ERROR_BLOCK).zip(&mut vectors) {
        let mut read = |reg| adapter.read(Register::Intr(i, reg));
        *vector = VectorProgress { masked: read(IntrReg::Mask) != 0, pending: read(IntrReg::IntCredits) > 0 };
    }
    vectors
}

/// Reads the registers, nothing else.
struct Reader<'a, M> {
    adapter: &'a Adapter,
    memory: &'a M,
}

impl<M: Ram> Reader<'_, M> {
    /// A register whose value must be below `limit`.
    fn below(&self, register: Register, limit: u32) -> Result<u32, CaptureError> {
        let value = self.adapter.peek(register);
        u32::try_from(value).ok().filter(|&v| v < limit).ok_or(CaptureError::OutOfRange { register, value })
    }

    fn stopped(&self, register: Register) -> Result<(), CaptureError> {
        if self.adapter.peek(register) == 0 { Ok(()) } else { Err(CaptureError::Running { register }) }
    }

    fn position(&self, index: u32, generation: bool, size: u32) -> RingIndex {
        RingIndex::new(index, generation, size).unwrap_or_default()
    }

    fn completion(&self, cq: u8, size: u32) -> Result<RingIndex, CaptureError> {
        let tail = self.below(Register::Cq(cq, CqReg::CqTail), size)?;
        let color = self.below(Register::Cq(cq, CqReg::CqTailColor), 2)?;
        Ok(self.position(tail, color == 1, size))
    }

    fn next(
        &self,
        ring: Ring,
        (pa, size): (u64, u32),
        (fetch, posted): (Register, Register),
    ) -> Result<RingIndex, CaptureError> {
        let at = self.below(fetch, size)?;
        let claim = self.below(posted, size)?;
        let place = |i: u32| pa.wrapping_add(u64::from(i) * CELL_BYTES);
        let seen = core::cell::Cell::new(None);
        let generation = derive_generation(at, claim, size, |i| match look(self.memory, place(i)) {
            Ok(cell) => ring.generation(cell),
            Err(_) => {
                seen.set(Some(place(i)));
                false
            }
        });
        match seen.get() {
            None => Ok(self.position(at, generation, size)),
            Some(pa) => Err(CaptureError::Ring { register: fetch, pa }),
        }
    }
}

/// The cell at `pa`, as the hypervisor sees it.
fn look(memory: &impl Ram, pa: u64) -> Result<u128, DmaFault> {
    let mut le = [0; CELL_BYTES as usize];
    memory.look(pa, &mut le)?;
    Ok(u128::from_le_bytes(le))
}

/// How far a stopped adapter is. `software` holds the counters from before it and the vectors that it has not, `scratch` its own, dumped by [`stop`]. Nothing
/// that a guest can see changes, and nothing at all in the adapter but posted writes being applied.
///
/// # Errors
/// When a queue still runs or a register holds what it cannot.
pub fn capture(
    adapter: &mut Adapter,
    activation: &Activation,
    memory: &impl Ram,
    scratch: &Scratch,
    software: &Progress,
    planted: Planted,
) -> Result<Progress, CaptureError> {
    // Any read pushes the guest's posted writes before it.
    adapter.read(Register::Intr(0, IntrReg::Mask));
    let lost = planted.is(Mutant::MoveCountersLost);
    let reader = Reader { adapter, memory };
    let mut progress = Progress { vectors: software.vectors, ..Progress::default() };
    if planted.is(Mutant::MoveLaterMasksLost) {
        progress.vectors = Progress::default().vectors;
    }
    for (q, setup) in activation.tx.iter().enumerate() {
        let wq = |reg| Register::Wq(q as u8, reg);
        reader.stopped(wq(WqReg::Running))?;
        let before = software.tx.get(q).map(|p| p.counters).unwrap_or_default();
        progress.tx.push(TxProgress {
            next: reader.next(
                Ring::Tx,
                (setup.ring_pa, setup.ring_size),
                (wq(WqReg::FetchIndex), wq(WqReg::PostedIndex)),
            )?,
            comp: reader.completion(q as u8, setup.comp_size)?,
            counters: if lost { before } else { add_tx(before, hardware(scratch, q).tx()) },
            stopped: stop_reason(reader.adapter.peek(wq(WqReg::ErrorStatus))),
        });
    }
    for (q, setup) in activation.rx.iter().enumerate() {
        let mut next = [RingIndex::START; 2];
        let mut stopped = None;
        for (ring, next) in next.iter_mut().enumerate() {
            let rq = |reg| Register::Rq((2 * q + ring) as u8, reg);
            reader.stopped(rq(RqReg::Running))?;
            if setup.ring_size[ring] != 0 {
                let place = (setup.ring_pa[ring], setup.ring_size[ring]);
                *next = reader.next(Ring::Rx, place, (rq(RqReg::FetchIndex), rq(RqReg::PostedIndex)))?;
            }
            stopped = stopped.or(stop_reason(reader.adapter.peek(rq(RqReg::ErrorStatus))));
        }
        let before = software.rx.get(q).map(|p| p.counters).unwrap_or_default();
        progress.rx.push(RxProgress {
            next,
            comp: reader.completion(FIRST_RX_CQ + q as u8, setup.comp_size)?,
            counters: if lost { before } else { add_rx(before, hardware(scratch, q).rx()) },
            stopped,
        });
    }
    for (i, vector) in (0..ERROR_BLOCK).zip(&mut progress.vectors) {
        let intr = |reg| Register::Intr(i, reg);
        let masked = reader.below(intr(IntrReg::Mask), 2)? == 1;
        *vector = VectorProgress { masked, pending: reader.adapter.peek(intr(IntrReg::IntCredits)) > 0 };
    }
    Ok(progress)
}
