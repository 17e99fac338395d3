//! The first place where a replay is not the recording, told by field names.

use super::call::Answer;
use super::seen::{Looked, Seen, Step, What};
use serde::Serialize;
use spec::event::Effect;
use spec::layout::{Layout, number};
use spec::monitor::layout::Rings;
use spec::vmxnet3::{DriverShared, QUEUE_DESC_BYTES, RxCompDesc, RxDesc, RxQueueDesc, TxCompDesc, TxDesc, TxQueueDesc};
use std::fmt;

/// A difference between a recording and its replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Line of the recorded event; where the replay did more than was recorded, the last line of what was.
    pub line: usize,
    /// Number of the call, from 1.
    pub call: usize,
    /// Number of the effect within the call, from 1; none for an answer or a look.
    pub effect: Option<usize>,
    /// The field that differs, such as `tx[0] Vmxnet3_TxCompDesc 5 txdIdx`, or `event` when another thing happened.
    pub field: String,
    /// What was recorded there.
    pub expected: String,
    /// What the replay did.
    pub got: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, call, effect, field, expected, got } = self;
        write!(f, "line {line}, call {call}")?;
        if let Some(effect) = effect {
            write!(f, ", effect {effect}")?;
        }
        write!(f, ": {field}: recorded {expected}, replayed {got}")
    }
}

/// Something the system did.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Effect(Effect<'a>),
    Switched(bool),
}

impl Event<'_> {
    /// Whether it is what was recorded.
    pub fn is(&self, what: &What) -> bool {
        match (self, what.effect()) {
            (Self::Effect(mine), Some(recorded)) => *mine == recorded,
            (Self::Switched(mine), None) => matches!(what, What::Switched { hardware } if hardware == mine),
            _ => false,
        }
    }

    fn what(self) -> What {
        match self {
            Self::Effect(effect) => effect.into(),
            Self::Switched(hardware) => What::Switched { hardware },
        }
    }
}

impl Divergence {
    /// Between an effect that was recorded and one that happened; either may be missing.
    pub(super) fn of(
        step: &Step,
        call: usize,
        effect: usize,
        expected: Option<&Seen>,
        got: Option<Event<'_>>,
        rings: &Rings,
    ) -> Self {
        let got = got.map(Event::what);
        let (field, was, is) = match (expected.map(|seen| &seen.what), &got) {
            (Some(expected), Some(got)) => difference(expected, got, rings),
            (expected, got) => {
                let say =
                    |what: Option<&What>| what.map_or_else(|| "nothing more".to_string(), |what| describe(what, rings));
                ("event".to_string(), say(expected), say(got.as_ref()))
            }
        };
        let last = step.effects.last().map_or(step.line, |seen| seen.line);
        let line = expected.map_or(last, |seen| seen.line);
        Self { line, call: call + 1, effect: Some(effect + 1), field, expected: was, got: is }
    }

    /// Between two answers.
    pub(super) fn answer(step: &Step, call: usize, got: Answer) -> Self {
        let say = |answer| match answer {
            Answer::Done => "done".to_string(),
            Answer::Value(value) => number(u64::from(value)),
            Answer::Refused => "refused".to_string(),
        };
        let (field, expected, got) = ("answer".to_string(), say(step.answer), say(got));
        Self { line: step.answer_line, call: call + 1, effect: None, field, expected, got }
    }

    /// Guest memory at `pa` is not what it was where it was looked at.
    pub(super) fn memory(step: &Step, call: usize, pa: u64, was: &[u8], is: &[u8], rings: &Rings) -> Self {
        let (field, expected, got) = declared(pa, was, is, rings);
        Self { line: step.answer_line, call: call + 1, effect: None, field, expected, got }
    }

    /// The hypervisor looked elsewhere.
    pub(super) fn look(call: usize, look: &Looked, pa: u64, len: usize) -> Self {
        let (field, expected, got) = if look.pa == pa {
            ("look.len".to_string(), look.len.to_string(), len.to_string())
        } else {
            ("look.pa".to_string(), format!("{:#x}", look.pa), format!("{pa:#x}"))
        };

        Self { line: look.line, call: call + 1, effect: None, field, expected, got }
    }

    /// The hypervisor saw other bytes than the stores of the trace left there.
    pub(super) fn looked(call: usize, look: &Looked, got: &[u8]) -> Self {
        let (field, expected, got) = bytes("look", look.bytes.as_deref().unwrap_or_default(), got);
        Self { line: look.line, call: call + 1, effect: None, field, expected, got }
    }

    /// The hypervisor did not look.
    pub(super) fn no_look(call: usize, look: &Looked) -> Self {
        let expected = format!("look {:#x} +{}", look.pa, look.len);
        Self {
            line: look.line,
            call: call + 1,
            effect: None,
            field: "event".into(),
            expected,
            got: "nothing more".into(),
        }
    }
}

/// The first field in which two effects differ, with both values.
fn difference(expected: &What, got: &What, rings: &Rings) -> (String, String, String) {
    let place = |field: &str, was: u64, is: u64| (field.to_string(), format!("{was:#x}"), format!("{is:#x}"));
    let count = |field: &str, was: u64, is: u64| (field.to_string(), was.to_string(), is.to_string());
    match (expected, got) {
        (What::Fetch { pa: was, .. }, What::Fetch { pa: is, .. }) if was != is => place("fetch.pa", *was, *is),
        (What::Publish { pa: was, .. }, What::Publish { pa: is, .. }) if was != is => place("publish.pa", *was, *is),
        (What::Read { pa: was, .. }, What::Read { pa: is, .. }) if was != is => place("read.pa", *was, *is),
        (What::Write { pa: was, .. }, What::Write { pa: is, .. }) if was != is => place("write.pa", *was, *is),
        (What::Fetch { pa, cell: was }, What::Fetch { cell: is, .. })
        | (What::Publish { pa, cell: was }, What::Publish { cell: is, .. }) => {
            declared(*pa, &was.to_le_bytes(), &is.to_le_bytes(), rings)
        }
        (What::Read { pa, bytes: was }, What::Read { bytes: is, .. })
        | (What::Write { pa, bytes: was }, What::Write { bytes: is, .. }) => {
            if was.len() == is.len() {
                declared(*pa, was, is, rings)
            } else {
                count("len", was.len() as u64, is.len() as u64)
            }
        }
        (What::Transmit { queue: was, .. }, What::Transmit { queue: is, .. }) if was != is => {
            count("transmit.queue", u64::from(*was), u64::from(*is))
        }
        (What::Transmit { frame: was, .. }, What::Transmit { frame: is, .. }) => bytes("transmit.frame", was, is),
        (What::Drop { frame: was }, What::Drop { frame: is }) => bytes("drop.frame", was, is),
        (What::Vector { index: was }, What::Vector { index: is }) => count("vector", u64::from(*was), u64::from(*is)),
        (What::Fault { pa: was, .. }, What::Fault { pa: is, .. }) if was != is => place("fault.pa", *was, *is),
        (What::Fault { len: was, .. }, What::Fault { len: is, .. }) if was != is => {
            count("fault.len", *was as u64, *is as u64)
        }
        _ => ("event".to_string(), describe(expected, rings), describe(got, rings)),
    }
}

/// What stands at an address: a name, the declaration, and the address where the structure begins.
struct Place {
    name: String,
    layout: &'static Layout,
    base: u64,
}

/// What the configuration in force says of an address.
fn place(pa: u64, rings: &Rings) -> Option<Place> {
    let cell = |name: String, area: &spec::monitor::layout::Area, layout: &'static Layout| {
        let slot = area.slot(pa & !0xf)?;
        Some(Place { name: format!("{name} {} {slot}", layout.name), layout, base: area.at(slot) })
    };
    for (q, queue) in rings.tx.iter().enumerate() {
        let found = cell(format!("tx[{q}]"), &queue.ring, TxDesc::LAYOUT)
            .or_else(|| cell(format!("tx[{q}]"), &queue.comp, TxCompDesc::LAYOUT));
        if found.is_some() {
            return found;
        }
    }
    for (q, queue) in rings.rx.iter().enumerate() {
        let found = cell(format!("rx[{q}].rxRing[0]"), &queue.rings[0], RxDesc::LAYOUT)
            .or_else(|| cell(format!("rx[{q}].rxRing[1]"), &queue.rings[1], RxDesc::LAYOUT))
            .or_else(|| cell(format!("rx[{q}]"), &queue.comp, RxCompDesc::LAYOUT));
        if found.is_some() {
            return found;
        }
    }
    if rings.shared != 0 && pa.wrapping_sub(rings.shared) < DriverShared::LAYOUT.bytes() as u64 {
        return Some(Place { name: "DriverShared".into(), layout: DriverShared::LAYOUT, base: rings.shared });
    }
    let offset = pa.wrapping_sub(rings.table);
    if rings.table != 0 && offset < rings.table_bytes() {
        let queue = offset / QUEUE_DESC_BYTES;
        let txs = rings.tx.len() as u64;
        let (name, layout) = if queue < txs {
            (format!("tx[{queue}] {}", TxQueueDesc::LAYOUT.name), TxQueueDesc::LAYOUT)
        } else {
            (format!("rx[{}] {}", queue - txs, RxQueueDesc::LAYOUT.name), RxQueueDesc::LAYOUT)
        };
        return Some(Place { name, layout, base: rings.table + queue * QUEUE_DESC_BYTES });
    }
    None
}

/// The first declared field in which bytes at `pa` differ, or the first byte.
fn declared(pa: u64, was: &[u8], is: &[u8], rings: &Rings) -> (String, String, String) {
    let first = was.iter().zip(is).position(|(was, is)| was != is).unwrap_or(0);
    let Some(place) = place(pa.wrapping_add(first as u64), rings) else {
        return bytes(&format!("byte at {:#x}", pa.wrapping_add(first as u64)), was, is);
    };
    let whole = |bytes: &[u8]| {
        let mut all = vec![0; place.layout.bytes()];
        for (i, byte) in bytes.iter().enumerate() {
            let at = pa.wrapping_add(i as u64).wrapping_sub(place.base);
            if let Some(slot) = usize::try_from(at).ok().and_then(|at| all.get_mut(at)) {
                *slot = *byte;
            }
        }
        place.layout.decode(&all)
    };
    let (old, new) = (whole(was), whole(is));
    match old.iter().zip(&new).find(|(old, new)| old.value != new.value) {
        Some((old, new)) => (format!("{} {}", place.name, old.path), number(old.value), number(new.value)),
        None => bytes(&place.name, was, is),
    }
}

/// The first byte in which two differ, or their lengths.
fn bytes(name: &str, was: &[u8], is: &[u8]) -> (String, String, String) {
    match was.iter().zip(is).position(|(was, is)| was != is) {
        Some(at) => (format!("{name}[{at}]"), format!("{:#04x}", was[at]), format!("{:#04x}", is[at])),
        None => (format!("{name}.len"), was.len().to_string(), is.len().to_string()),
    }
}

/// What a ring's cell at `pa` is declared as, if the configuration in force has a ring there.
pub fn cell_layout(pa: u64, rings: &Rings) -> Option<&'static Layout> {
    place(pa, rings).map(|place| place.layout).filter(|layout| layout.bytes() == 16)
}

/// An effect in a few words, its place by name.
pub fn describe(what: &What, rings: &Rings) -> String {
    let at = |pa: u64| place(pa, rings).map_or_else(|| format!("{pa:#x}"), |place| format!("{pa:#x} ({})", place.name));
    match what {
        What::Read { pa, bytes } => format!("read {} +{}", at(*pa), bytes.len()),
        What::Write { pa, bytes } => format!("write {} +{}", at(*pa), bytes.len()),
        What::Fetch { pa, .. } => format!("fetch {}", at(*pa)),
        What::Publish { pa, .. } => format!("publish {}", at(*pa)),
        What::Fault { pa, len, write } => format!("fault {} {pa:#x} +{len}", if *write { "write" } else { "read" }),
        What::Transmit { queue, frame } => format!("transmit {queue} +{}", frame.len()),
        What::Drop { frame } => format!("drop +{}", frame.len()),
        What::Vector { index } => format!("vector {index}"),
        What::Intx { asserted } => format!("intx {}", if *asserted { "up" } else { "down" }),
        What::Switched { hardware } => format!("switched {}", if *hardware { "hardware" } else { "software" }),
    }
}
