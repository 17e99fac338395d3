//! The pass-through page: which control block register stands behind a register of BAR0.

use spec::vic::{IntrReg, RqReg, WqReg};
use spec::vmxnet3::{Bar0, MAX_RX_QUEUES};

use crate::vic::Register;

/// The register behind a guest's access. Producer indices of queues that the adapter has not have none.
pub const fn behind(register: Bar0) -> Option<Register> {
    match register {
        Bar0::Imr(i) => Some(Register::Intr(i, IntrReg::Mask)),
        Bar0::TxProd(q) => Some(Register::Wq(q, WqReg::PostedIndex)),
        Bar0::RxProd(q) if (q as usize) < MAX_RX_QUEUES => Some(Register::Rq(2 * q, RqReg::PostedIndex)),
        Bar0::RxProd2(q) if (q as usize) < MAX_RX_QUEUES => Some(Register::Rq(2 * q + 1, RqReg::PostedIndex)),
        Bar0::RxProd(_) | Bar0::RxProd2(_) => None,
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
