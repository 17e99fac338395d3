//! The pass-through page: which control block register stands behind a register of BAR0.

use spec::vic::{IntrReg, RqReg, WqReg};
use spec::vmxnet3::Bar0;

use crate::plane::{Progress, VectorProgress};
use crate::vic::intr::ERROR_BLOCK;
use crate::vic::{RQS, Register, WQS};

/// The register behind a guest's access. Masks and producer indices of vectors and queues that the adapter has not have none.
pub const fn behind(register: Bar0) -> Option<Register> {
    match register {
        Bar0::Imr(i) if i < ERROR_BLOCK => Some(Register::Intr(i, IntrReg::Mask)),
        Bar0::TxProd(q) if (q as usize) < WQS => Some(Register::Wq(q, WqReg::PostedIndex)),
        Bar0::RxProd(q) if (q as usize) < RQS / 2 => Some(Register::Rq(2 * q, RqReg::PostedIndex)),
        Bar0::RxProd2(q) if (q as usize) < RQS / 2 => Some(Register::Rq(2 * q + 1, RqReg::PostedIndex)),
        Bar0::Imr(_) | Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_) => None,
    }
}

/// The vector whose mask the hypervisor keeps in `software`, as the adapter has none for it: nothing raises such a vector there, since
/// a guest that uses one does not enter.
pub fn aside(register: Bar0, software: &Progress) -> Option<&VectorProgress> {
    match register {
        Bar0::Imr(i) if i >= ERROR_BLOCK => software.vectors.get(usize::from(i)),
        _ => None,
    }
}

/// The same, to be written.
pub fn aside_mut(register: Bar0, software: &mut Progress) -> Option<&mut VectorProgress> {
    match register {
        Bar0::Imr(i) if i >= ERROR_BLOCK => software.vectors.get_mut(usize::from(i)),
        _ => None,
    }
}

/// The doorbell register before a `posted_index`.
pub const fn before(register: Register) -> Option<Bar0> {
    match register {
        Register::Wq(q, WqReg::PostedIndex) => Some(Bar0::TxProd(q)),
        Register::Rq(r, RqReg::PostedIndex) if r % 2 == 0 => Some(Bar0::RxProd(r / 2)),
        Register::Rq(r, RqReg::PostedIndex) => Some(Bar0::RxProd2(r / 2)),
        _ => None,
    }
}

/// What the adapter's register keeps of a written value: an IMR keeps bit 0.
pub fn legalize(register: Bar0, value: u32) -> u32 {
    match register {
        Bar0::Imr(_) => u32::from(spec::vmxnet3::bar0::legalize_imr(value)),
        Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_) => value,
    }
}
