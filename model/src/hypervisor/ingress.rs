//! What becomes of the ingress FIFO when the guest leaves: asked for its level, read back, or dropped.

use super::program::{Op, Program};
use super::scratch::{INGRESS, INGRESS_BYTES, Scratch};
use crate::vic::Register;
use spec::vic::{Devcmd, DevcmdReg};

/// Asks how many frames wait.
pub fn level() -> Vec<Op> {
    let [command, wait] = Op::command(Devcmd::IngressRead, [0; 3]);
    vec![command, wait, Op::Read(Register::Devcmd(DevcmdReg::Arg(0)))]
}

/// Reads the oldest frame back to the scratch pages.
pub fn read_back() -> Vec<Op> {
    let [command, wait] = Op::command(Devcmd::IngressRead, [INGRESS, INGRESS_BYTES as u64, 0]);
    vec![command, wait, Op::Read(Register::Devcmd(DevcmdReg::Arg(1)))]
}

/// Drops every frame that waits.
pub fn drop_all() -> Vec<Op> {
    Op::command(Devcmd::IngressDrop, [0; 3]).to_vec()
}

/// The frame that a finished [`read_back`] brought, if there was one.
pub fn frame(program: &Program, scratch: &Scratch) -> Option<Vec<u8>> {
    let bytes = usize::try_from(*program.values().last()?).ok().filter(|&bytes| bytes > 0)?;
    scratch.bytes(INGRESS, bytes).ok().map(<[u8]>::to_vec)
}
