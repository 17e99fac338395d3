//! Replay of a conversation that was seen from outside: its calls are made again of any device under test, and what one can see of that
//! has to be what was recorded.
//!
//! Compared are the values of registers, and where the device was let settle the frames that it sent, the vectors and the level that it
//! told, and guest memory. The order of frames and vectors within one settle is nobody's to see; a vector counts once.

use super::call::{Answer, Call};
use super::divergence::{Divergence, Event};
use super::follow::{Follower, before};
use super::replay::ReplayError;
use super::seen::{Seen, Step, Trace, What};
use crate::dut::{self, Dut, Ours, Trouble};
use model::pci::Pci;
use model::pci::command::BUS_MASTER;
use spec::vmxnet3::Interrupts;

/// Most bytes of guest memory that are compared.
pub const MOST_OUTSIDE: u64 = 64 << 20;

/// What a replay from outside found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Calls made, the one that diverged among them.
    pub calls: usize,
    /// Effects that came as recorded.
    pub effects: usize,
    /// The first difference; none when everything came as recorded.
    pub divergence: Option<Divergence>,
}

/// Why a conversation cannot be held again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// Too much guest memory to be held or compared.
    #[error(transparent)]
    Memory(#[from] ReplayError),
    /// It is of another device, or of more memory than this one has.
    #[error("{field} is {found} there and {has} on the device")]
    Other {
        /// What differs.
        field: &'static str,
        /// As the trace has it.
        found: String,
        /// As the device has it.
        has: String,
    },
    /// A call that nobody can make from outside.
    #[error("line {line}: no call that is made from outside")]
    Call {
        /// Its line.
        line: usize,
    },
    /// The device ended it.
    #[error(transparent)]
    Device(#[from] Trouble),
}

/// Makes the calls of `trace` on `dut`, which is at power-on.
///
/// # Errors
/// Why it cannot be held, or what ended it.
pub fn replay_outside(trace: &Trace, dut: &mut dyn Dut) -> Result<Outside, OutsideError> {
    fits(trace, dut)?;
    let mut follower = Follower::new(trace, ())?;
    for (pa, bytes) in follower.known.regions() {
        dut.store(pa, bytes)?;
    }
    let (mut effects, mut chosen) = (0, 0);
    for (i, step) in trace.steps.iter().enumerate() {
        (follower.step, follower.next) = (i, 0);
        if step.answer != Answer::Refused
            && let Some(stimulus) = before(&step.call)
        {
            follower.stimulus(stimulus);
        }
        let mut got = Vec::new();
        if let Some((kind, calls)) = choice(&trace.steps[i..]) {
            dut.interrupts(kind)?;
            chosen = i + calls;
        }
        // A choice of interrupts is several calls to our function, whose capabilities lie elsewhere than another's.
        let answer = if i < chosen { step.answer } else { make(step, dut, &mut got)? };
        let mut divergence = (answer != step.answer).then(|| Divergence::answer(step, i, answer));
        if divergence.is_none() {
            divergence = differs(step, i, &got, &follower);
        }
        step.effects.iter().for_each(|_| follower.effect());
        if divergence.is_none() && matches!(step.call, Call::Run { .. } | Call::Advance { .. } | Call::Idle) {
            divergence = memory(step, i, dut, &follower)?;
        }
        if divergence.is_some() {
            return Ok(Outside { calls: i + 1, effects, divergence });
        }
        effects += step.effects.len();
    }
    Ok(Outside { calls: trace.steps.len(), effects, divergence: None })
}

/// Our own device in software, built as the one that was recorded is expected to be, on the same guest memory.
///
/// # Errors
/// [`OutsideError::Memory`] when that is too much.
pub fn model_outside(trace: &Trace) -> Result<Ours, OutsideError> {
    let header = &trace.header;
    let base = header.memory.first().map_or(0, |&(pa, _)| pa);
    let bytes = header.memory.last().map_or(0, |&(pa, len)| pa.saturating_add(len) - base);
    if bytes > MOST_OUTSIDE {
        return Err(ReplayError::Memory { bytes, limit: MOST_OUTSIDE }.into());
    }
    Ok(Ours::over(header.profile, header.mac, base, bytes as usize))
}

/// Whether the device can stand for the one that was recorded.
fn fits(trace: &Trace, dut: &dyn Dut) -> Result<(), OutsideError> {
    let (header, about) = (&trace.header, dut.about());
    let bytes = header.memory.iter().fold(0, |sum: u64, &(_, len)| sum.saturating_add(len));
    if bytes > MOST_OUTSIDE {
        return Err(ReplayError::Memory { bytes, limit: MOST_OUTSIDE }.into());
    }
    let end = about.base.saturating_add(about.bytes as u64);
    let has = || format!("{:#x} +{:#x}", about.base, about.bytes);
    if header.memory.is_empty() {
        return Err(OutsideError::Other { field: "guest memory", found: "not named".into(), has: has() });
    }
    if let Some(&(pa, len)) = header.memory.iter().find(|(pa, len)| *pa < about.base || pa.saturating_add(*len) > end) {
        return Err(OutsideError::Other { field: "guest memory", found: format!("{pa:#x} +{len:#x}"), has: has() });
    }
    if header.mac != about.mac {
        let text = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        return Err(OutsideError::Other { field: "the address", found: text(header.mac), has: text(about.mac) });
    }
    Ok(())
}

/// The kind of interrupts that the calls at the start of `steps` change over to, and how many calls that takes.
fn choice(steps: &[Step]) -> Option<(Interrupts, usize)> {
    Interrupts::ALL.into_iter().find_map(|kind| {
        let writes = Pci::choice(kind);
        let same = |(step, (at, word)): (&Step, &(u16, u16))| match &step.call {
            Call::Config { offset, bytes } => offset == at && **bytes == word.to_le_bytes(),
            _ => false,
        };
        (steps.len() >= writes.len() && steps.iter().zip(&writes).all(same)).then_some((kind, writes.len()))
    })
}

/// Makes one call; what the device is seen to do is added.
fn make(step: &Step, dut: &mut dyn Dut, got: &mut Vec<What>) -> Result<Answer, OutsideError> {
    match &step.call {
        Call::Read { bar, offset } => return Ok(Answer::Value(dut.read(*bar, *offset, 4)? as u32)),
        Call::Write { bar, offset, value } => dut.write(*bar, *offset, 4, u64::from(*value))?,
        // Outside guest memory there was nothing to store to.
        Call::Store { .. } if step.answer == Answer::Refused => return Ok(Answer::Refused),
        Call::Store { pa, bytes } => {
            // A hostile file may name any address.
            let (about, len) = (dut.about(), bytes.len() as u64);
            let inside = pa.checked_sub(about.base).is_some_and(|at| at.saturating_add(len) <= about.bytes as u64);
            if !inside {
                return Err(OutsideError::Call { line: step.line });
            }
            dut.store(*pa, bytes)?;
        }
        Call::Offer { frame } => dut.offer(frame)?,
        Call::Link { up } => dut.link(*up)?,
        Call::Config { offset: 4, bytes } => {
            dut.bus_master(bytes.first().is_some_and(|low| low & BUS_MASTER as u8 != 0))?;
        }
        Call::FunctionReset => dut.reset()?,
        Call::Run { .. } => {
            let mut seen = Vec::new();
            dut.settle(&mut seen)?;
            got.extend(seen.into_iter().map(What::from));
        }
        Call::Advance { ns } => {
            let mut seen = Vec::new();
            dut.advance(*ns, &mut seen)?;
            got.extend(seen.into_iter().map(What::from));
        }
        Call::Idle => {}
        _ => return Err(OutsideError::Call { line: step.line }),
    }
    Ok(Answer::Done)
}

impl From<dut::Seen> for What {
    /// From outside one does not see which queue sent a frame: it is the first.
    fn from(seen: dut::Seen) -> Self {
        match seen {
            dut::Seen::Sent(frame) => Self::Transmit { queue: 0, frame },
            dut::Seen::Vector(index) => Self::Vector { index },
            dut::Seen::Line(asserted) => Self::Intx { asserted },
        }
    }
}

/// In an order that does not depend on what nobody can see: frames, vectors once each, levels.
fn sorted<'a>(all: impl Iterator<Item = &'a What> + Clone) -> Vec<&'a What> {
    let frames = all.clone().filter(|what| matches!(what, What::Transmit { .. }));
    let number = |what: &&What| if let What::Vector { index } = what { Some(*index) } else { None };
    let mut vectors: Vec<_> = all.clone().filter(|what| number(what).is_some()).collect();
    vectors.sort_by_key(number);
    vectors.dedup();
    let levels = all.filter(|what| matches!(what, What::Intx { .. }));
    frames.chain(vectors).chain(levels).collect()
}

/// The first thing that was seen and is not what was recorded.
fn differs(step: &Step, call: usize, got: &[What], follower: &Follower<'_, ()>) -> Option<Divergence> {
    let (expected, got) = (sorted(step.effects.iter().map(|seen| &seen.what)), sorted(got.iter()));
    let at = (0..expected.len().max(got.len())).find(|&at| expected.get(at) != got.get(at))?;
    let line = |what: &What| step.effects.iter().find(|seen| seen.what == *what).map_or(step.line, |seen| seen.line);
    let expected = expected.get(at).map(|what| Seen { line: line(what), what: (*what).clone() });
    let event = got.get(at).and_then(|what| what.effect()).map(Event::Effect);
    Some(Divergence::of(step, call, at, expected.as_ref(), event, follower.rings()))
}

/// The first place where guest memory is not what it was.
fn memory(
    step: &Step,
    call: usize,
    dut: &mut dyn Dut,
    follower: &Follower<'_, ()>,
) -> Result<Option<Divergence>, Trouble> {
    for (pa, known) in follower.known.regions() {
        let mut now = vec![0; known.len()];
        dut.load(pa, &mut now)?;
        if let Some(at) = known.iter().zip(&now).position(|(was, is)| was != is) {
            let run = known[at..].iter().zip(&now[at..]).take_while(|(was, is)| was != is).count();
            let (was, is) = (&known[at..at + run], &now[at..at + run]);
            return Ok(Some(Divergence::memory(step, call, pa + at as u64, was, is, follower.rings())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::{Device, Header};
    use super::*;
    use spec::event::Bar;
    use spec::profile::Profile;
    use spec::vmxnet3::Bar1;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const MEMORY: (u64, u64) = (0x10_0000, 0x1000);

    fn device() -> Ours {
        Ours::over(&Profile::REFERENCE, MAC, MEMORY.0, MEMORY.1 as usize)
    }

    fn trace(steps: &[(Call<'static>, Answer, &[What])]) -> Trace {
        let header = Header {
            memory: vec![MEMORY],
            fill: 0xa5,
            outside: "a device".into(),
            ..Header::new(Device::Software, &Profile::REFERENCE, MAC)
        };
        let step = |(call, answer, effects): &(Call<'static>, Answer, &[What])| Step {
            line: 1,
            call: call.clone(),
            effects: effects.iter().map(|what| Seen { line: 1, what: what.clone() }).collect(),
            looks: Vec::new(),
            answer: *answer,
            answer_line: 1,
        };
        Trace { header, steps: steps.iter().map(step).collect(), claims: Vec::new() }
    }

    const READ: Call<'_> = Call::Read { bar: Bar::Bar1, offset: Bar1::Macl.offset() };
    const LOW: Answer = Answer::Value(2);
    const REST: (Call<'_>, Answer, &[What]) = (Call::Run { budget: 0 }, Answer::Done, &[]);

    #[test]
    fn what_comes_as_recorded_holds_and_the_first_difference_is_told() {
        let found = replay_outside(&trace(&[(READ, LOW, &[]), REST]), &mut device()).unwrap();
        assert_eq!(found, Outside { calls: 2, effects: 0, divergence: None });
        let of = |trace: &Trace| {
            let found = replay_outside(trace, &mut device()).unwrap().divergence.expect("a difference");
            (found.call, found.field, found.expected, found.got)
        };
        let text = |call, field: &str, was: &str, is: &str| (call, field.to_string(), was.to_string(), is.to_string());
        assert_eq!(of(&trace(&[(READ, Answer::Value(3), &[])])), text(1, "answer", "3", "2"));
        let vector = What::Vector { index: 1 };
        let told = of(&trace(&[REST, (Call::Run { budget: 0 }, Answer::Done, std::slice::from_ref(&vector))]));
        assert_eq!(told, text(2, "event", "vector 1", "nothing more"));
        let write = What::Write { pa: MEMORY.0 + 8, bytes: vec![7] };
        let told = of(&trace(&[(Call::Idle, Answer::Done, std::slice::from_ref(&write))]));
        assert_eq!(told, text(1, "byte at 0x100008[0]", "0x07", "0xa5"));
    }

    #[test]
    fn a_conversation_that_cannot_be_held_is_refused() {
        let other = Trace { header: Header { mac: [4; 6], ..trace(&[]).header }, ..trace(&[]) };
        assert!(matches!(replay_outside(&other, &mut device()), Err(OutsideError::Other { field: "the address", .. })));
        let more = Trace { header: Header { memory: vec![(0, 0x1000)], ..trace(&[]).header }, ..trace(&[]) };
        assert!(matches!(replay_outside(&more, &mut device()), Err(OutsideError::Other { field: "guest memory", .. })));
        let huge = Trace { header: Header { memory: vec![(0, 1 << 30)], ..trace(&[]).header }, ..trace(&[]) };
        assert!(matches!(replay_outside(&huge, &mut device()), Err(OutsideError::Memory(_))));
        for call in [Call::Settle, Call::Store { pa: u64::MAX, bytes: vec![1].into() }] {
            let refused = replay_outside(&trace(&[(call, Answer::Done, &[])]), &mut device());
            assert_eq!(refused, Err(OutsideError::Call { line: 1 }));
        }
    }
}
