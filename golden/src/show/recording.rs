//! A recording in our own format: one line an event, registers, commands and descriptors by name.

use super::access;
use crate::dump::Recording;
use crate::import::{ImportError, Region, RegisterAccess};
use crate::trace::{Answer, Call, Header, Place, Step, Trace, What, describe, walk};
use spec::event::Bar;
use spec::layout::number;
use spec::monitor::layout::Rings;
use std::fmt::Write;

/// What the header says, then every event.
///
/// # Errors
/// When the recording cannot be followed.
pub fn recording(recording: &Recording) -> Result<String, ImportError> {
    let trace = &recording.trace;
    let mut text = header(&trace.header);
    for line in lines(recording)? {
        text += &line;
        text.push('\n');
    }
    let _ = writeln!(text, "{} calls, {} effects", trace.steps.len(), trace.effects());
    Ok(text)
}

fn header(header: &Header) -> String {
    let Header { device, profile, mac, kernel, origin, date, seed, memory, fill, case, mutant, outside, partial } =
        header;
    let mut page = super::Page::default();
    page.heading("recording");
    page.line("device", device.name());
    page.line("profile", profile.name);
    page.line("mac", super::mac(mac));
    for (name, value) in [("kernel", kernel), ("origin", origin), ("date", date), ("case", case), ("outside", outside)]
    {
        if !value.is_empty() {
            page.line(name, value);
        }
    }
    if let Some(seed) = seed {
        page.line("seed", seed);
    }
    if let Some(mutant) = mutant {
        page.line("mutant", mutant.row().1);
    }
    if let Some(seed) = partial {
        page.line("partial", format!("held again by the suite's seed {seed}"));
    }
    if *fill != 0 {
        page.line("fill", format!("{fill:#04x}"));
    }
    for (pa, len) in memory {
        page.line("memory", format!("{pa:#x} + {len:#x}"));
    }
    page.text.push('\n');
    page.text
}

/// Every event as a line.
///
/// # Errors
/// As [`recording`].
pub fn lines(recording: &Recording) -> Result<Vec<String>, ImportError> {
    let mut lines = Vec::new();
    let trace: &Trace = &recording.trace;
    let mut claims = trace.claims.iter().peekable();
    let mut made = 0;
    let walked = walk(trace, (), |place, rings| match place {
        Place::Call(step) => {
            while let Some(claim) = claims.next_if(|claim| claim.after <= made) {
                lines.push(format!("! {}", claim.words));
            }
            made += 1;
            lines.extend(call(step, rings));
        }
        Place::Effect(seen) => lines.push(effect(&seen.what, rings)),
        Place::End(step) => {
            lines.extend(step.looks.iter().map(|look| format!("< look {:#x} +{}", look.pa, look.len)));
            lines.extend(answer(step));
        }
    });
    lines.extend(claims.map(|claim| format!("! {}", claim.words)));
    walked.map_err(|error| ImportError::Follow { file: recording.file.clone(), error })?;
    Ok(lines)
}

/// The line of a call; a read's line is that of its answer.
fn call(step: &Step, rings: &Rings) -> Option<String> {
    Some(match &step.call {
        Call::Write { bar, offset, value } => register(*bar, *offset, true, *value),
        Call::Read { .. } => return None,
        Call::Config { offset, bytes } => {
            let bytes = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("> config+{offset:#x} <- {bytes}")
        }
        Call::Store { pa, bytes } => format!("> store {}", stored(*pa, bytes, rings)),
        Call::Offer { frame } => format!("> offer +{} {}", frame.len(), super::headers(frame)),
        Call::Wire { ready } => format!("> wire {}", if *ready { "ready" } else { "busy" }),
        Call::Link { up } => format!("> link {}", if *up { "up" } else { "down" }),
        Call::Advance { ns } => format!("> advance {ns} ns"),
        Call::Run { .. } => "> run".into(),
        Call::Step { .. } => "> step".into(),
        Call::Notice => "> notice".into(),
        Call::TxThreshold { packets } => format!("> tx-threshold {packets} packets"),
        Call::Switch { plan } => format!("> switch {:?} {:?} {:?}", plan.direction, plan.tx, plan.policy),
        Call::Message { vector } => format!("> message {vector}"),
        Call::FunctionReset => "> function-reset".into(),
        Call::EnableMsix => "> enable-msix".into(),
        Call::TableOutside => "> table-outside".into(),
        Call::Settle => "> settle".into(),
        Call::Restore { state } => format!("> restore {} bytes", state.len()),
        Call::Idle => "> idle".into(),
    })
}

/// Where bytes were stored: a cell of a ring with its fields, other places by name.
fn stored(pa: u64, bytes: &[u8], rings: &Rings) -> String {
    let what = What::Write { pa, bytes: bytes.to_vec() };
    let place = describe(&what, rings);
    let place = place.strip_prefix("write ").unwrap_or(&place);
    match <[u8; 16]>::try_from(bytes) {
        Ok(cell) if crate::trace::cell_layout(pa, rings).is_some() => {
            format!("{place}{}", fields(pa, u128::from_le_bytes(cell), rings))
        }
        _ => place.to_string(),
    }
}

fn answer(step: &Step) -> Option<String> {
    match (&step.call, step.answer) {
        (Call::Read { bar, offset }, Answer::Value(value)) => Some(register(*bar, *offset, false, value)),
        (Call::Read { bar, offset }, _) => Some(format!("{} refused", register(*bar, *offset, false, 0))),
        (_, Answer::Refused) => Some("= refused".into()),
        (_, Answer::Done | Answer::Value(_)) => None,
    }
}

fn register(bar: Bar, offset: u32, write: bool, value: u32) -> String {
    const PBA: u32 = 0x1000;
    let (region, offset) = match bar {
        Bar::Bar0 => (Region::Bar0, offset),
        Bar::Bar1 => (Region::Bar1, offset),
        Bar::Bar2 if offset >= PBA => (Region::MsixPba, offset - PBA),
        Bar::Bar2 => (Region::MsixTable, offset),
    };
    access(&RegisterAccess { line: 0, write, region, offset, value: u64::from(value), width: 4 })
}

fn effect(what: &What, rings: &Rings) -> String {
    match what {
        What::Fetch { pa, cell } | What::Publish { pa, cell } => {
            format!("< {}{}", describe(what, rings), fields(*pa, *cell, rings))
        }
        What::Transmit { queue, frame } => format!("< transmit {queue} +{} {}", frame.len(), super::headers(frame)),
        What::Drop { frame } => format!("< drop +{} {}", frame.len(), super::headers(frame)),
        _ => format!("< {}", describe(what, rings)),
    }
}

/// The fields of a descriptor or completion that are not zero, if the configuration tells which it is.
fn fields(pa: u64, cell: u128, rings: &Rings) -> String {
    let bytes = cell.to_le_bytes();
    let Some(layout) = crate::trace::cell_layout(pa, rings) else {
        return format!(" {}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    };
    let leaves = layout.decode(&bytes).into_iter().filter(|leaf| leaf.value != 0);
    let shown = leaves.map(|leaf| format!("{}: {}", leaf.path, number(leaf.value))).collect::<Vec<_>>();
    format!(" {{ {} }}", shown.join(", "))
}
