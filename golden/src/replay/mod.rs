//! Replay: a recording's register log drives the software body, and everything that was read, and the state that was
//! saved, is predicted.
//!
//! The log lacks the guest's memory, its stores and the time. A reconstructed guest (`guest`) stands in: it lays out
//! rings of the recorded sizes, posts for each doorbell as many descriptors as the index advanced by, with the next
//! captured frame (`wire`) as payload, and posts receive buffers again as Linux does. The state (`state`) is compared
//! with the saved one after every access, so the hold is found and not told; the rings (`rings`) are compared there.
//!
//! Source for the guest's habits: linux drivers/net/vmxnet3/vmxnet3_drv.c, vmxnet3_tq_xmit, vmxnet3_rq_rx_complete.

mod device;
mod dumps;
mod guest;
mod plan;
mod report;
mod rings;
mod run;
pub(crate) mod space;
mod state;
mod toggles;
mod wire;

pub use report::{Field, ReplayReport};

use crate::import::{Capture, ImportError};
use run::{Outcome, Run};
use spec::profile::Profile;
use std::collections::{BTreeMap, BTreeSet};

/// Replays a capture on a device built as `profile`, and again with each choice of the profile made the other way: that
/// tells which choices the recording shows, and which would explain what was not predicted.
///
/// # Errors
/// When the capture has no register log or no frames, or no shared area where the stream says it is.
pub fn replay(capture: &Capture, profile: &'static Profile) -> Result<ReplayReport, ImportError> {
    let run = Run::prepare(capture)?;
    let outcome = run.whole(profile);
    let found = subjects(&outcome);
    let mut deviations = Vec::new();
    let mut explained = BTreeMap::new();
    for toggle in toggles::of(profile) {
        let other = subjects(&run.whole(toggle.profile));
        if toggle.had && other.difference(&found).next().is_some() {
            deviations.push(toggle.name);
        } else if !toggle.had {
            for subject in found.difference(&other) {
                explained.entry(subject.clone()).or_insert(toggle.name);
            }
        }
    }
    Ok(run.report(profile, outcome, deviations, &explained))
}

/// Replays a capture once, without asking which choices of the profile mattered.
///
/// # Errors
/// As [`replay`].
pub fn replay_once(capture: &Capture, profile: &'static Profile) -> Result<ReplayReport, ImportError> {
    let run = Run::prepare(capture)?;
    let outcome = run.whole(profile);
    Ok(run.report(profile, outcome, Vec::new(), &BTreeMap::new()))
}

/// What was not predicted, by subject.
fn subjects(outcome: &Outcome) -> BTreeSet<String> {
    outcome.failures.iter().map(|failure| failure.subject.clone()).collect()
}
