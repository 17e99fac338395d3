//! A conversation kept as a trace while a case holds it: every call into the device, what came of it, and the claims that did not hold.

use golden::trace::{Answer, Call, Claim, Header, Seen, Step, Trace, What};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// Where one conversation after the other is kept. Whoever has a copy keeps on the same tape.
#[derive(Clone, Debug, Default)]
pub struct Tape(Rc<RefCell<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    now: Option<Conversation>,
    effects: Vec<Seen>,
    /// The first conversation in which a claim did not hold.
    failed: Option<Conversation>,
    /// The conversation before this one: what is found by comparing the two is said of it.
    before: Option<Conversation>,
}

/// A conversation as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The calls, what came of them, and the claims that did not hold.
    pub trace: Trace,
    /// Nothing happened to the device beside these calls, so that they can be made again.
    pub whole: bool,
}

impl Tape {
    /// A conversation begins.
    pub(super) fn begin(&self, header: Header, whole: bool) {
        self.keep();
        let kept = &mut *self.0.borrow_mut();
        kept.effects.clear();
        kept.now = Some(Conversation { trace: Trace { header, steps: Vec::new(), claims: Vec::new() }, whole });
    }

    /// Something happens that no call stands for.
    pub(super) fn beside(&self) {
        if let Some(now) = &mut self.0.borrow_mut().now {
            now.whole = false;
        }
    }

    /// The device did something.
    pub(super) fn effect(&self, what: What) {
        self.0.borrow_mut().effects.push(Seen { line: 0, what });
    }

    /// A call was made.
    pub(super) fn call(&self, call: &Call<'_>, answer: Answer) {
        let Kept { now, effects, .. } = &mut *self.0.borrow_mut();
        let effects = core::mem::take(effects);
        if let Some(now) = now {
            let step = Step { line: 0, call: owned(call), effects, looks: Vec::new(), answer, answer_line: 0 };
            now.trace.steps.push(step);
        }
    }

    /// A claim does not hold.
    pub fn claim(&self, words: String) {
        if let Some(Conversation { trace, .. }) = &mut self.0.borrow_mut().now {
            trace.claims.push(Claim { after: trace.steps.len(), words });
        }
    }

    /// The conversation is over; what is held next is the same once more.
    pub fn pause(&self) {
        let kept = &mut *self.0.borrow_mut();
        kept.before = kept.now.take();
    }

    /// What is said next is said of the conversation before.
    pub fn resume(&self) {
        let kept = &mut *self.0.borrow_mut();
        kept.now = kept.before.take();
    }

    fn keep(&self) {
        let Kept { now, before, failed, .. } = &mut *self.0.borrow_mut();
        // Of a conversation that is held a second time only the first counts.
        let over = before.is_none().then(|| now.take()).flatten().filter(|over| !over.trace.claims.is_empty());
        if failed.is_none() {
            *failed = over;
        }
    }

    /// The first conversation in which a claim did not hold.
    pub fn failed(&self) -> Option<Conversation> {
        self.keep();
        self.0.borrow_mut().failed.take()
    }
}

/// The same call with bytes of its own.
fn owned(call: &Call<'_>) -> Call<'static> {
    let keep = |bytes: &Cow<'_, [u8]>| Cow::Owned(bytes.to_vec());
    match call {
        Call::Write { bar, offset, value } => Call::Write { bar: *bar, offset: *offset, value: *value },
        Call::Read { bar, offset } => Call::Read { bar: *bar, offset: *offset },
        Call::Config { offset, bytes } => Call::Config { offset: *offset, bytes: keep(bytes) },
        Call::Store { pa, bytes } => Call::Store { pa: *pa, bytes: keep(bytes) },
        Call::Offer { frame } => Call::Offer { frame: keep(frame) },
        Call::Wire { ready } => Call::Wire { ready: *ready },
        Call::Link { up } => Call::Link { up: *up },
        Call::Advance { ns } => Call::Advance { ns: *ns },
        Call::Run { budget } => Call::Run { budget: *budget },
        Call::Step { budget } => Call::Step { budget: *budget },
        Call::Notice => Call::Notice,
        Call::TxThreshold { packets } => Call::TxThreshold { packets: *packets },
        Call::Switch { plan } => Call::Switch { plan: *plan },
        Call::Message { vector } => Call::Message { vector: *vector },
        Call::FunctionReset => Call::FunctionReset,
        Call::EnableMsix => Call::EnableMsix,
        Call::TableOutside => Call::TableOutside,
        Call::Settle => Call::Settle,
        Call::Restore { state } => Call::Restore { state: keep(state) },
        Call::Idle => Call::Idle,
    }
}
