//! The conformance suite as a library, and what the command is made of.

pub mod bare;
pub mod campaign;
pub mod case;
pub mod cli;
pub mod conform;
pub mod ledger;
pub mod recordings;
pub mod refused;
pub mod rig;
pub mod source;
pub mod suite;
mod switch;
pub mod verify;
mod vic;
mod vmxnet3;
