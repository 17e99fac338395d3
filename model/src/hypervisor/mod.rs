//! The hypervisor's side of the adapter: it drives it for the configuration plane, through registers and commands only.
//!
//! [`program`] holds operations as data, one a step; [`bring_up`] and [`tear_down`] make them for a switch, [`request`] for a
//! command of the guest; [`page`] maps the guest's doorbell page, [`notice`] finds what was posted without a doorbell; [`eligibility`] says who may enter.

pub mod bring_up;
pub mod eligibility;
pub mod ingress;
pub mod notice;
pub mod page;
pub mod program;
pub mod request;
pub mod scratch;
pub mod tear_down;
#[cfg(test)]
mod tests;

pub use bring_up::{Posted, enter};
pub use eligibility::{Ineligible, eligible, vectors_fit};
pub use notice::Claims;
pub use program::{Op, Poll, Program, ProgramError};
pub use request::Shadow;
pub use scratch::{HOST_SCRATCH, Scratch, WithScratch};
pub use tear_down::{CaptureError, capture, vectors};
