//! Where a device's frames go as it sends them: to the wire, or into a backlog while the wire has no room.

use super::wire::Wire;
use spec::event::{Effect, GuestView, Stimulus, Tap};
use std::collections::VecDeque;

/// Frames kept for a wire without room before the device is told that it is busy.
const BACKLOG: usize = 32;

/// Watches a system and passes on what it sends.
pub struct Outlet {
    wire: Box<dyn Wire>,
    /// Sent by the device, not taken by the wire yet, oldest first.
    backlog: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// Frames that leave the system undelivered, while somebody wants them.
    withdrawn: Option<Vec<Vec<u8>>>,
    counters: OutletCounters,
}

/// What a device did, counted as it did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutletCounters {
    /// Frames sent, by the device's account.
    pub frames: u64,
    /// Interrupt vectors raised towards the PCI layer.
    pub vectors: u64,
    /// Accesses to guest memory that were refused.
    pub faults: u64,
}

impl Outlet {
    /// To `wire`.
    pub fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, backlog: VecDeque::new(), spare: Vec::new(), withdrawn: None, counters: OutletCounters::default() }
    }

    /// The wire.
    pub fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    /// The wire, to take from.
    pub fn wire_mut(&mut self) -> &mut dyn Wire {
        &mut *self.wire
    }

    /// Hands the wire what it had no room for; true when nothing is left.
    pub fn flush(&mut self) -> bool {
        while let Some(frame) = self.backlog.front() {
            if !self.wire.send(frame) {
                return false;
            }
            self.spare.extend(self.backlog.pop_front());
        }
        true
    }

    /// So much waits that the device has to be held back.
    pub fn is_full(&self) -> bool {
        self.backlog.len() >= BACKLOG
    }

    /// Gives up what the wire had no room for; returns how many frames.
    pub fn give_up(&mut self) -> usize {
        let count = self.backlog.len();
        self.spare.extend(self.backlog.drain(..));
        count
    }

    /// Sends a frame of the host's own, behind those of the device.
    pub fn post(&mut self, frame: &[u8]) {
        if !self.flush() || !self.wire.send(frame) {
            self.backlog.push_back(frame.to_vec());
        }
    }

    /// From now on frames that leave the system undelivered are kept, or not; gives those that were.
    pub fn withdraw(&mut self, keep: bool) -> Vec<Vec<u8>> {
        std::mem::replace(&mut self.withdrawn, keep.then(Vec::new)).unwrap_or_default()
    }

    /// What the device did so far.
    pub fn counters(&self) -> OutletCounters {
        self.counters
    }
}

impl Tap for Outlet {
    #[inline]
    fn stimulus(&mut self, _: Stimulus<'_>, _: &dyn GuestView) {}

    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        match effect {
            Effect::Transmit { frame, .. } => {
                self.counters.frames += 1;
                if !self.backlog.is_empty() || !self.wire.send(frame) {
                    let mut kept = self.spare.pop().unwrap_or_default();
                    kept.clear();
                    kept.extend_from_slice(frame);
                    self.backlog.push_back(kept);
                }
            }
            Effect::Vector { .. } => self.counters.vectors += 1,
            Effect::Fault { .. } => self.counters.faults += 1,
            Effect::SwitchDrop { frame } => {
                if let Some(withdrawn) = &mut self.withdrawn {
                    withdrawn.push(frame.to_vec());
                }
            }
            Effect::Read { .. }
            | Effect::Write { .. }
            | Effect::Fetch { .. }
            | Effect::Publish { .. }
            | Effect::Intx { .. } => {}
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet")
            .field("backlog", &self.backlog.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
