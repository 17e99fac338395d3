//! Any device behind the protocol of programs under test: what `process:CMD` asks is answered from it.

use super::protocol::{Answer, Ask, Hex, MOST_BYTES, MOST_LINE, Said, VERSION};
use super::{Dut, Trouble};
use spec::event::Bar;
use std::io::{self, BufRead, Read as _, Write};

/// Bytes of frames that one answer to `settle` holds about; the rest is told by the next.
const MOST_TOLD: usize = 1 << 17;

/// Answers request after request for `dut`, until nobody asks any more.
///
/// # Errors
/// What `from` or `to` says. A request that is none is answered `error`, and so is what the device itself does not stand.
pub fn serve_lines(dut: &mut dyn Dut, mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut untold = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(MOST_LINE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(ask) => answer(dut, ask, &mut untold),
            Err(error) => failed(format!("no request: {error}")),
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        to.write_all(&bytes)?;
        to.flush()?;
    }
}

fn failed(error: String) -> Answer {
    Answer { error: Some(error), ..Answer::default() }
}

fn page(bar: u8) -> Result<Bar, Trouble> {
    [Bar::Bar0, Bar::Bar1, Bar::Bar2]
        .get(usize::from(bar))
        .copied()
        .ok_or_else(|| Trouble::Odd(format!("there is no BAR {bar}")))
}

/// The answer to one request; what `settle` found and no answer has told yet stays in `untold`.
fn answer(dut: &mut dyn Dut, ask: Ask, untold: &mut Vec<super::Seen>) -> Answer {
    let done = |()| Answer::default();
    let said = match ask {
        Ask::About { protocol: VERSION } => {
            Ok(Answer { about: Some(Said::new(dut.about(), dut.cannot())), ..Answer::default() })
        }
        Ask::About { protocol } => Err(Trouble::Odd(format!("protocol {protocol} is not spoken here"))),
        Ask::Read { bar, offset, width } => page(bar)
            .and_then(|bar| dut.read(bar, offset, width))
            .map(|value| Answer { value: Some(value), ..Answer::default() }),
        Ask::Write { bar, offset, width, value } => {
            page(bar).and_then(|bar| dut.write(bar, offset, width, value)).map(done)
        }
        Ask::Load { pa, bytes } if bytes <= MOST_BYTES => {
            let mut into = vec![0; bytes];
            dut.load(pa, &mut into).map(|()| Answer { hex: Some(Hex(into)), ..Answer::default() })
        }
        Ask::Load { bytes, .. } => Err(Trouble::Odd(format!("{bytes} bytes are more than one answer holds"))),
        Ask::Store { pa, hex } => dut.store(pa, &hex.0).map(done),
        Ask::Offer { hex } => dut.offer(&hex.0).map(done),
        Ask::Settle => dut.settle(untold).map(|()| told(untold)),
        Ask::Link { up } => dut.link(up).map(done),
        Ask::Reset => dut.reset().map(done),
        Ask::BusMaster { on } => dut.bus_master(on).map(done),
    };
    said.unwrap_or_else(|trouble| match trouble {
        Trouble::Cannot(lack) => Answer { cannot: Some(lack), ..Answer::default() },
        other => failed(other.to_string()),
    })
}

/// As much of what was seen as one answer holds.
fn told(untold: &mut Vec<super::Seen>) -> Answer {
    const MOST_EVENTS: usize = 4096;
    let mut bytes = 0;
    let mut fits = |seen: &super::Seen| {
        let before = bytes;
        bytes += if let super::Seen::Sent(frame) = seen { frame.len() } else { 0 };
        before < MOST_TOLD
    };
    let count = untold.iter().take(MOST_EVENTS).take_while(|seen| fits(seen)).count();
    let seen = untold.drain(..count).map(Into::into).collect();
    Answer { seen: Some(seen), more: Some(!untold.is_empty()), ..Answer::default() }
}
