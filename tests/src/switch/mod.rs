//! The cases of the move between the bodies: what is saved, what corresponds, what an undone switch leaves behind.

mod isolation;
mod moves;
mod round_trip;
mod saved;
mod undo;

use crate::case::Case;

/// A subject a list.
pub(crate) const CASES: &[&[Case]] = &[saved::CASES, isolation::CASES, moves::CASES, round_trip::CASES, undo::CASES];
