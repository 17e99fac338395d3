//! A trace followed event by event: guest memory as far as it is known, and judges over it.
//!
//! In a trace that names guest memory every store is a call. In a live recording the reads stand for the stores: a read that
//! differs from what memory was known to hold is told as a store just before it. What a TX descriptor names is stored before the
//! descriptor, as a driver does, and what a command reads before the command.

use super::call::{Answer, Call};
use super::known;
use super::replay::ReplayError;
use super::seen::{Seen, Step, Trace, What};
use crate::shared_view::SharedView;
use model::memory::Memory;
use model::migrate::Saved;
use spec::event::{Bar, Effect, Stimulus, Tap};
use spec::monitor::Judges;
use spec::monitor::layout::Rings;
use spec::profile::Profile;
use spec::vmxnet3::{Bar1, CELL_BYTES, Command, TxDesc};

/// Effects that are searched for the data of a descriptor.
const AHEAD: usize = 1024;

/// Follows a trace; whoever makes the events, the model or the trace itself, hands them in.
#[derive(Debug)]
pub(super) struct Follower<'a, T> {
    trace: &'a Trace,
    /// The call under way.
    pub step: usize,
    /// Its next effect.
    pub next: usize,
    /// Guest memory as far as it is known.
    pub known: Memory,
    /// The trace has every store.
    pub has_stores: bool,
    /// They know the configuration in force.
    pub judges: Judges,
    /// Who watches besides.
    pub tap: T,
}

impl<'a, T: Tap> Follower<'a, T> {
    /// Before the first call.
    pub fn new(trace: &'a Trace, tap: T) -> Result<Self, ReplayError> {
        let has_stores = trace.header.has_stores();
        let known = known::memory(trace)?;
        Ok(Self { trace, step: 0, next: 0, known, has_stores, judges: Judges::snoop(), tap })
    }

    /// The call under way.
    pub fn current(&self) -> Option<&'a Step> {
        self.trace.steps.get(self.step)
    }

    /// Its next effect.
    pub fn expected(&self) -> Option<&'a Seen> {
        self.current()?.effects.get(self.next)
    }

    /// The configuration in force.
    pub fn rings(&self) -> &Rings {
        self.judges.rings()
    }

    fn tell(&mut self, stimulus: Stimulus<'_>) {
        self.judges.stimulus(stimulus, &self.known);
        self.tap.stimulus(stimulus, &self.known);
    }

    /// A stimulus happened.
    pub fn stimulus(&mut self, stimulus: Stimulus<'_>) {
        match stimulus {
            Stimulus::GuestStore { pa, bytes } => {
                let _ = self.known.write(pa, bytes);
            }
            Stimulus::RegisterWrite { bar: Bar::Bar1, offset, value } if !self.has_stores => {
                self.store_before_command();
                if offset == Bar1::Cmd.offset() && Command::from(value) == Command::ActivateDev {
                    self.forget_rings();
                }
            }
            _ => {}
        }
        self.tell(stimulus);
    }

    /// The next effect happened as it is in the trace.
    pub fn effect(&mut self) {
        let Some(seen) = self.expected() else { return };
        if !self.has_stores {
            self.store_read(&seen.what);
        }
        self.next += 1;
        match seen.what.effect() {
            Some(effect) => {
                match effect {
                    Effect::Write { pa, bytes } => {
                        let _ = self.known.write(pa, bytes);
                    }
                    Effect::Publish { pa, cell } => {
                        let _ = self.known.write(pa, &cell.to_le_bytes());
                    }
                    _ => {}
                }
                self.judges.effect(effect, &self.known);
                self.tap.effect(effect, &self.known);
            }
            None => {
                if let What::Switched { hardware } = seen.what {
                    self.tell(Stimulus::Switched { hardware });
                }
            }
        }
    }

    /// The guest had stored `bytes`, if that changes anything.
    pub fn store(&mut self, pa: u64, bytes: &[u8]) {
        if self.known.bytes(pa, bytes.len()).is_ok_and(|known| known != bytes) {
            let _ = self.known.write(pa, bytes);
            self.tell(Stimulus::GuestStore { pa, bytes });
        }
    }

    /// What the device reads next was stored before.
    fn store_read(&mut self, what: &What) {
        match what {
            What::Read { pa, bytes } => self.store(*pa, bytes),
            What::Fetch { pa, cell } => self.store_cell(*pa, &cell.to_le_bytes()),
            _ => {}
        }
    }

    /// The guest had stored a cell which the device fetches or looks at; what a TX descriptor names was stored before it.
    pub fn store_cell(&mut self, pa: u64, bytes: &[u8]) {
        if let Ok(le) = <[u8; 16]>::try_from(bytes) {
            let cell = u128::from_le_bytes(le);
            let tx = self.rings().tx.iter().any(|queue| queue.ring.holds(pa, 16));
            if tx && self.known.cell(pa).is_ok_and(|old| old != cell) {
                self.store_data(TxDesc(cell));
            }
        }
        self.store(pa, bytes);
    }

    /// What a TX descriptor names, as far as the device reads it soon, was stored before the descriptor.
    fn store_data(&mut self, desc: TxDesc) {
        let (addr, len) = (desc.addr(), desc.bytes() as u64);
        let inside = |pa: u64, bytes: usize| {
            let end = pa.checked_sub(addr).and_then(|at| at.checked_add(bytes as u64));
            end.is_some_and(|end| end <= len)
        };
        let from = self.next;
        let rest = self.trace.steps.get(self.step..).unwrap_or_default().iter().enumerate();
        let effects = rest.flat_map(|(i, step)| step.effects.get(if i == 0 { from } else { 0 }..).unwrap_or_default());
        let mut found = 0;
        for seen in effects.take(AHEAD) {
            if let What::Read { pa, bytes } = &seen.what
                && inside(*pa, bytes.len())
            {
                self.store(*pa, bytes);
                found += bytes.len() as u64;
                if found >= len {
                    return;
                }
            }
        }
    }

    /// What a command reads was stored before the command.
    fn store_before_command(&mut self) {
        let Some(step) = self.current() else { return };
        let mut written: Vec<(u64, usize)> = Vec::new();
        for seen in step.effects.iter().take(AHEAD) {
            let Some((pa, len, write)) = seen.what.touches() else { continue };
            if write {
                written.push((pa, len));
            } else if let What::Read { bytes, .. } = &seen.what
                && !written.iter().any(|&(at, size)| known::overlap(at, size, pa, len))
            {
                self.store(pa, bytes);
            }
        }
    }

    /// What descriptor rings held under an earlier activation is no longer known: a driver fills them anew.
    fn forget_rings(&mut self) {
        let Some(view) = SharedView::read(&self.known, self.rings().shared) else { return };
        for ring in view.rings().into_iter().filter(|ring| ring.part != "compRing") {
            let len = usize::try_from(u64::from(ring.size) * CELL_BYTES).unwrap_or(usize::MAX);
            if let Ok(bytes) = self.known.bytes_mut(ring.pa, len) {
                bytes.fill(0);
            }
        }
    }
}

/// A place in a trace that is walked.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A call, before what came of it.
    Call(&'a Step),
    /// An effect.
    Effect(&'a Seen),
    /// The end of a call: its looks and its answer.
    End(&'a Step),
}

/// Walks a trace as it was recorded; no model runs. `tap` is told what watchers of the recorded run were told, `each` where the
/// walk is, with the configuration in force there. Doorbells that were noticed without a register write are not told.
///
/// # Errors
/// When the trace needs more guest memory than is held.
pub fn walk<T: Tap>(trace: &Trace, tap: T, mut each: impl FnMut(Place<'_>, &Rings)) -> Result<T, ReplayError> {
    let mut follower = Follower::new(trace, tap)?;
    for (i, step) in trace.steps.iter().enumerate() {
        (follower.step, follower.next) = (i, 0);
        each(Place::Call(step), follower.rings());
        let done = step.answer != Answer::Refused;
        if done && let Some(stimulus) = before(&step.call) {
            follower.stimulus(stimulus);
        }
        for seen in &step.effects {
            each(Place::Effect(seen), follower.rings());
            follower.effect();
        }
        if !follower.has_stores {
            for look in &step.looks {
                follower.store_cell(look.pa, look.bytes.as_deref().unwrap_or_default());
            }
        }
        if done && let Some(stimulus) = after(step, trace.header.profile) {
            follower.stimulus(stimulus);
        }
        each(Place::End(step), follower.rings());
    }
    Ok(follower.tap)
}

/// What a call tells before its effects.
pub(super) fn before<'a>(call: &'a Call<'_>) -> Option<Stimulus<'a>> {
    Some(match call {
        Call::Write { bar, offset, value } => Stimulus::RegisterWrite { bar: *bar, offset: *offset, value: *value },
        Call::Store { pa, bytes } => Stimulus::GuestStore { pa: *pa, bytes },
        Call::Offer { frame } => Stimulus::Offered { frame },
        Call::Wire { ready } => Stimulus::Wire { ready: *ready },
        Call::Advance { ns } => Stimulus::Advanced { ns: *ns },
        Call::Idle => Stimulus::Idle,
        _ => return None,
    })
}

/// What a call of a device of `profile` tells after its effects.
fn after<'a>(step: &'a Step, profile: &'static Profile) -> Option<Stimulus<'a>> {
    match (&step.call, step.answer) {
        (Call::Read { bar, offset }, Answer::Value(value)) => {
            Some(Stimulus::RegisterRead { bar: *bar, offset: *offset, value })
        }
        (Call::FunctionReset, _) => Some(Stimulus::FunctionReset),
        (Call::Restore { state }, _) => {
            Saved::decode(profile, state).ok().map(|saved| Stimulus::Restored(saved.negotiated()))
        }
        _ => None,
    }
}
