//! Moving a live VMXNET3 between adapter and software, through bytes and into fresh objects.

pub mod canon;
pub mod parts;
pub mod plan;
pub mod saved;
pub mod stream;
pub mod switch;

#[cfg(test)]
mod tests;

pub use canon::Canon;
pub use plan::{Direction, Outcome, Plan, Policy, Reason, Stage, TxMode};
pub use saved::{NotAtRest, Saved};
pub use stream::RestoreError;
pub use switch::Switch;
