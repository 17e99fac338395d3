//! Exact replay: the calls of a trace are made again, and everything that comes of them has to be what was recorded.
//!
//! In a trace that names guest memory what the device reads is compared too. In a live recording memory answers each read as it
//! was recorded; [`follow`](super::follow) tells what that means for the judges.

use super::call::{Answer, apply};
use super::divergence::{Divergence, Event};
use super::follow::Follower;
use super::seen::{Step, Trace, What};
use model::host::DmaFault;
use model::machine::System;
use model::memory::Ram;
use model::mutant::Planted;
use spec::event::{Effect, GuestView, Stimulus, Tap};
use spec::monitor::{Verdict, Violation};
use std::cell::RefCell;
use std::rc::Rc;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Calls made, the one that diverged among them.
    pub calls: usize,
    /// Effects that came as recorded.
    pub effects: usize,
    /// The first difference; none when everything came as recorded.
    pub divergence: Option<Divergence>,
    /// What the judges found up to there.
    pub verdict: Verdict,
}

impl Replay {
    /// Everything came as recorded and no clause was broken.
    pub fn holds(&self) -> bool {
        self.divergence.is_none() && self.verdict.is_clean()
    }

    /// What the judges found, a sentence each with its clause first.
    pub fn violations(&self) -> Vec<String> {
        let say = |Violation { clause, what, at }: &Violation| format!("{}: {what:?} at event {at}", clause.id());
        self.verdict.violations.iter().map(say).collect()
    }
}

/// Why a trace cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Too much guest memory to be held.
    #[error("the trace touches {bytes} bytes of guest memory, more than {limit}")]
    Memory {
        /// Bytes, in pages, with small gaps.
        bytes: u64,
        /// Most that are held.
        limit: u64,
    },
}

/// What memory and watcher share.
#[derive(Debug)]
struct State<'a> {
    follower: Follower<'a, ()>,
    /// The next look of the call under way.
    look: usize,
    effects: usize,
    divergence: Option<Divergence>,
}

impl State<'_> {
    /// What memory answers to a read: as recorded, or what is known once the run has diverged.
    fn answer(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let len = into.len();
        let Follower { has_stores, known, .. } = &self.follower;
        if self.divergence.is_none() && !has_stores {
            match self.follower.expected().map(|seen| &seen.what) {
                Some(What::Fault { pa: at, len: size, write: false }) if (*at, *size) == (pa, len) => {
                    return Err(DmaFault { pa, len });
                }
                Some(What::Read { pa: at, bytes }) if *at == pa && bytes.len() == len => {
                    into.copy_from_slice(bytes);
                    return Ok(());
                }
                Some(What::Fetch { pa: at, cell }) if *at == pa && len == 16 => {
                    into.copy_from_slice(&cell.to_le_bytes());
                    return Ok(());
                }
                _ => {}
            }
        }
        match known.bytes(pa, len) {
            Ok(bytes) => into.copy_from_slice(bytes),
            Err(fault) if *has_stores => return Err(fault),
            Err(_) => into.fill(0),
        }
        Ok(())
    }

    /// Whether memory takes a write.
    fn takes(&self, pa: u64, len: usize) -> Result<(), DmaFault> {
        if self.follower.has_stores {
            return self.follower.known.bytes(pa, len).map(|_| ());
        }
        match self.follower.expected().map(|seen| &seen.what) {
            Some(What::Fault { pa: at, len: size, write: true }) if (*at, *size) == (pa, len) => {
                Err(DmaFault { pa, len })
            }
            _ => Ok(()),
        }
    }

    /// What memory answers to a look.
    fn looked(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let Follower { step: call, has_stores, .. } = self.follower;
        let recorded = self.follower.current().and_then(|step| step.looks.get(self.look));
        let Some(look) = recorded.filter(|_| self.divergence.is_none()) else {
            return self.known(pa, into);
        };
        self.look += 1;
        if (look.pa, look.len) != (pa, into.len()) {
            self.divergence = Some(Divergence::look(call, look, pa, into.len()));
            return self.known(pa, into);
        }
        match &look.bytes {
            None => Err(DmaFault { pa, len: into.len() }),
            Some(bytes) if has_stores => {
                let answer = self.known(pa, into);
                if answer.is_err() || into[..] != bytes[..] {
                    self.divergence = Some(Divergence::looked(call, look, into));
                }
                answer
            }
            Some(bytes) => {
                into.copy_from_slice(bytes);
                self.follower.store_cell(pa, bytes);
                Ok(())
            }
        }
    }

    fn known(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        into.copy_from_slice(self.follower.known.bytes(pa, into.len())?);
        Ok(())
    }

    /// The system did something.
    fn happened(&mut self, event: Event<'_>) {
        if self.divergence.is_some() {
            return;
        }
        let Some(step) = self.follower.current() else { return };
        let expected = self.follower.expected();
        if expected.is_some_and(|seen| event.is(&seen.what)) {
            self.follower.effect();
            self.effects += 1;
        } else {
            let Follower { step: call, next, .. } = self.follower;
            self.divergence = Some(Divergence::of(step, call, next, expected, Some(event), self.follower.rings()));
        }
    }
}

/// Guest memory that answers as the recording says.
#[derive(Debug)]
struct Replayed<'a>(Rc<RefCell<State<'a>>>);

impl GuestView for Replayed<'_> {
    fn slice(&self, _: u64, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Ram for Replayed<'_> {
    fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.0.borrow().answer(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.0.borrow().takes(pa, bytes.len())
    }
    fn fetch(&self, pa: u64) -> Result<u128, DmaFault> {
        let mut le = [0; 16];
        self.0.borrow().answer(pa, &mut le)?;
        Ok(u128::from_le_bytes(le))
    }
    fn publish(&mut self, pa: u64, _: u128) -> Result<(), DmaFault> {
        self.0.borrow().takes(pa, 16)
    }
    fn look(&self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.0.borrow_mut().looked(pa, into)
    }
}

/// Compares what the system does with what was recorded, and tells the judges.
struct Watcher<'a>(Rc<RefCell<State<'a>>>);

impl Tap for Watcher<'_> {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, _: &dyn GuestView) {
        let state = &mut *self.0.borrow_mut();
        match stimulus {
            Stimulus::Switched { hardware } => state.happened(Event::Switched(hardware)),
            _ if state.divergence.is_some() => {}
            _ => state.follower.stimulus(stimulus),
        }
    }

    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        self.0.borrow_mut().happened(Event::Effect(effect));
    }
}

/// Replays a trace, every judge watching.
///
/// # Errors
/// When it needs more guest memory than is held.
pub fn replay(trace: &Trace) -> Result<Replay, ReplayError> {
    replay_planted(trace, Planted::NONE)
}

/// As [`replay`], on a device with a planted bug.
///
/// # Errors
/// As [`replay`].
pub fn replay_planted(trace: &Trace, planted: Planted) -> Result<Replay, ReplayError> {
    let follower = Follower::new(trace, ())?;
    let state = Rc::new(RefCell::new(State { follower, look: 0, effects: 0, divergence: None }));
    let mut system = System::new(trace.header.profile, Replayed(Rc::clone(&state)), trace.header.mac);
    system.plant(planted);
    let mut watcher = Watcher(Rc::clone(&state));
    let mut calls = 0;
    for (i, step) in trace.steps.iter().enumerate() {
        {
            let State { follower, look, .. } = &mut *state.borrow_mut();
            (follower.step, follower.next, *look) = (i, 0, 0);
        }
        calls += 1;
        let answer = apply(&step.call, &mut system, &mut watcher);
        let mut state = state.borrow_mut();
        if state.divergence.is_none() {
            state.divergence = left_over(&state, step, i, answer);
        }
        if state.divergence.is_some() {
            break;
        }
    }
    let state = state.borrow();
    let verdict = state.follower.judges.verdict();
    Ok(Replay { calls, effects: state.effects, divergence: state.divergence.clone(), verdict })
}

/// What was recorded of the call and did not come, or another answer.
fn left_over(state: &State<'_>, step: &Step, index: usize, answer: Answer) -> Option<Divergence> {
    let next = state.follower.next;
    if let Some(seen) = step.effects.get(next) {
        return Some(Divergence::of(step, index, next, Some(seen), None, state.follower.rings()));
    }
    if let Some(look) = step.looks.get(state.look) {
        return Some(Divergence::no_look(index, look));
    }
    (answer != step.answer).then(|| Divergence::answer(step, index, answer))
}
