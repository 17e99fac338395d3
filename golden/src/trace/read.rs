//! Reading: total and bounded. What is refused is named with its line and column.

use super::VERSION;
use super::call::{Answer, Call};
use super::header::{Device, Header, MOST_MEMORY, MOST_REGIONS};
use super::seen::{Claim, Looked, Seen, Step, Trace, What};
use super::words::{TextError, Words};
use model::migrate::{Direction, Plan, Policy, Stage, TxMode};
use model::mutant::Mutant;
use spec::event::Bar;
use spec::profile::Profile;
use spec::vmxnet3::MAX_VECTORS;

/// Most lines that are read.
pub const MOST_LINES: usize = 1 << 23;
/// Begins every trace.
pub const MAGIC: &str = "vnic-trace ";

const BARS: &[(&str, Bar)] = &[("bar0", Bar::Bar0), ("bar1", Bar::Bar1), ("bar2", Bar::Bar2)];
const CALL: &str = "write, read, config, store, offer, wire, link, advance, run, step, notice, switch, message, function-reset, \
                    enable-msix, table-outside, settle, restore or idle";
const ANSWER: &str = "a value or `refused`";
const EFFECT: &str = "read, write, fetch, publish, fault, transmit, drop, vector, intx, switched or look";

/// Whether a file begins as a trace does.
pub fn is_trace(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC.as_bytes())
}

/// Reads a trace.
///
/// # Errors
/// The first line that is not as the [format](super) says.
pub fn parse(bytes: &[u8]) -> Result<Trace, TextError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        TextError { line, column, expected: "UTF-8" }
    })?;
    let mut generated = 0;
    let mut lines = text.lines().enumerate().map(|(i, text)| (i + 1, text));
    let header = header(&mut lines, &mut generated)?;
    let mut steps: Vec<Step> = Vec::new();
    let mut claims = Vec::new();
    for (line, text) in lines {
        let mut words = Words::new(line, text, &mut generated);
        if line > MOST_LINES {
            return Err(words.error("at most 8388608 lines"));
        }
        let Some(kind) = words.maybe() else { continue };
        match (kind, steps.last_mut()) {
            (">", _) => {
                let call = call(&mut words)?;
                steps.push(Step {
                    line,
                    call,
                    effects: Vec::new(),
                    looks: Vec::new(),
                    answer: Answer::Done,
                    answer_line: line,
                });
            }
            ("<", Some(step)) if step.answer == Answer::Done => {
                effect(&mut words, line, step)?;
                step.answer_line = line;
            }
            ("=", Some(step)) if step.answer == Answer::Done => {
                step.answer = match words.next(ANSWER)? {
                    "refused" => Answer::Refused,
                    value => Answer::Value(words.hex_in(value, ANSWER)?),
                };
                step.answer_line = line;
            }
            ("!", _) => claims.push(Claim { after: steps.len(), words: words.rest("a claim")?.to_string() }),
            _ => return Err(words.error("a call, what came of the call before, or a claim")),
        }
        words.end()?;
    }
    Ok(Trace { header, steps, claims })
}

/// Lines with their numbers.
type Lines<'a, 'l> = &'l mut dyn Iterator<Item = (usize, &'a str)>;

fn header(lines: Lines<'_, '_>, generated: &mut usize) -> Result<Header, TextError> {
    let (mut device, mut profile, mut mac, mut seed) = (None, None, None, None);
    let (mut kernel, mut origin, mut date) = (None, None, None);
    let (mut fill, mut case, mut mutant, mut partial, mut outside) = (None, None, None, None, None);
    let mut memory: Vec<(u64, u64)> = Vec::new();
    let (mut named, mut total, mut last) = (false, 0u64, 1);
    for (line, text) in lines {
        last = line + 1;
        let mut words = Words::new(line, text, generated);
        let Some(word) = words.maybe() else { continue };
        if !named {
            if word != MAGIC.trim_end() || words.decimal("version 1") != Ok(VERSION) {
                return Err(words.error("`vnic-trace 1`"));
            }
            words.end()?;
            named = true;
            continue;
        }
        match word {
            "device" => {
                let value = words.one_of(Device::TABLE, "software, adapter or switching")?;
                once(&mut device, value, &words)?;
            }
            "profile" => {
                let found = Profile::by_name(words.next("a profile's name")?);
                let value = found.ok_or_else(|| words.error("a profile's name"))?;
                once(&mut profile, value, &words)?;
            }
            "mac" => {
                let value = address(&mut words)?;
                once(&mut mac, value, &words)?;
            }
            "kernel" => {
                let value = words.rest("words")?.to_string();
                once(&mut kernel, value, &words)?;
            }
            "origin" => {
                let value = words.rest("words")?.to_string();
                once(&mut origin, value, &words)?;
            }
            "date" => {
                let value = words.rest("words")?.to_string();
                once(&mut date, value, &words)?;
            }
            "seed" => {
                let value = words.decimal("a number")?;
                once(&mut seed, value, &words)?;
            }
            "case" => {
                let value = words.rest("a case's name")?.to_string();
                once(&mut case, value, &words)?;
            }
            "mutant" => {
                let found = Mutant::by_name(words.next("a planted bug's name")?);
                let value = found.ok_or_else(|| words.error("a planted bug's name"))?;
                once(&mut mutant, value, &words)?;
            }
            "partial" => {
                let value = words.decimal("a number")?;
                once(&mut partial, value, &words)?;
            }
            "outside" => {
                let value = words.rest("words")?.to_string();
                once(&mut outside, value, &words)?;
            }
            "fill" => {
                let value: u8 = words.hex("a byte")?;
                once(&mut fill, value, &words)?;
            }
            "memory" => {
                let pa: u64 = words.hex("an address")?;
                let least = memory.last().map_or(0, |&(pa, len)| pa + len);
                let len = words.region_length()?;
                total = total.saturating_add(len);
                let fits = pa >= least && len > 0 && pa.checked_add(len).is_some();
                if !fits || total > MOST_MEMORY || memory.len() == MOST_REGIONS {
                    return Err(words.error("ascending regions, at most 64, of at most 1 GiB together"));
                }
                memory.push((pa, len));
            }
            "begin" => {
                words.end()?;
                let (Some(device), Some(profile), Some(mac)) = (device, profile, mac) else {
                    return Err(words.error("device, profile and mac before `begin`"));
                };
                let [kernel, origin, date, case, outside] =
                    [kernel, origin, date, case, outside].map(Option::unwrap_or_default);
                let fill = fill.unwrap_or(0);
                return Ok(Header {
                    device,
                    profile,
                    mac,
                    kernel,
                    origin,
                    date,
                    seed,
                    memory,
                    fill,
                    case,
                    mutant,
                    outside,
                    partial,
                });
            }
            _ => {
                return Err(words.error(
                    "device, profile, mac, kernel, origin, date, seed, case, mutant, partial, fill, outside, memory or begin",
                ));
            }
        }
        words.end()?;
    }
    Err(TextError { line: last, column: 1, expected: if named { "`begin`" } else { "`vnic-trace 1`" } })
}

fn once<T>(slot: &mut Option<T>, value: T, words: &Words<'_>) -> Result<(), TextError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(words.error("each header line once")),
    }
}

fn address(words: &mut Words<'_>) -> Result<[u8; 6], TextError> {
    let text = words.next("an address")?;
    let parts = text.split(':').map(|part| match part.as_bytes() {
        [high, low] => {
            let digit = |c: &u8| char::from(*c).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        }
        _ => None,
    });
    let bytes: Option<Vec<u8>> = parts.collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| words.error("an address"))
}

fn call(words: &mut Words<'_>) -> Result<Call<'static>, TextError> {
    Ok(match words.next(CALL)? {
        "write" => Call::Write {
            bar: words.one_of(BARS, "bar0, bar1 or bar2")?,
            offset: words.hex("an offset")?,
            value: words.hex("a value of 32 bits")?,
        },
        "read" => Call::Read { bar: words.one_of(BARS, "bar0, bar1 or bar2")?, offset: words.hex("an offset")? },
        "config" => Call::Config { offset: words.hex("an offset")?, bytes: words.bytes()?.into() },
        "store" => Call::Store { pa: words.hex("an address")?, bytes: words.data()?.into() },
        "offer" => Call::Offer { frame: words.data()?.into() },
        "wire" => Call::Wire { ready: words.one_of(&[("ready", true), ("busy", false)], "ready or busy")? },
        "link" => Call::Link { up: words.one_of(UP, "up or down")? },
        "advance" => Call::Advance { ns: words.decimal("nanoseconds")? },
        "run" => Call::Run { budget: words.decimal("steps")? },
        "step" => Call::Step { budget: words.decimal("steps")? },
        "notice" => Call::Notice,
        "tx-threshold" => Call::TxThreshold { packets: words.decimal("packets")? },
        "switch" => Call::Switch { plan: plan(words)? },
        "message" => {
            let vector = words.decimal("a vector")?;
            if usize::from(vector) >= MAX_VECTORS {
                return Err(words.error("a vector below 65"));
            }
            Call::Message { vector }
        }
        "function-reset" => Call::FunctionReset,
        "enable-msix" => Call::EnableMsix,
        "table-outside" => Call::TableOutside,
        "settle" => Call::Settle,
        "restore" => Call::Restore { state: words.bytes()?.into() },
        "idle" => Call::Idle,
        _ => return Err(words.error(CALL)),
    })
}

const UP: &[(&str, bool)] = &[("up", true), ("down", false)];

fn plan(words: &mut Words<'_>) -> Result<Plan, TextError> {
    let direction = words.one_of(&[("enter", Direction::Enter), ("leave", Direction::Leave)], "enter or leave")?;
    let tx = words.one_of(&[("drain", TxMode::Drain), ("rollback", TxMode::RollBack)], "drain or rollback")?;
    let policies = [("A", Policy::A), ("B", Policy::B), ("C", Policy::C), ("D", Policy::D)];
    let policy = words.one_of(&policies, "A, B, C or D")?;
    let fail_at = match words.maybe() {
        None => None,
        Some("fail") => {
            let name = words.next("a stage")?;
            let stage: Option<Stage> = Stage::TABLE.iter().find(|(_, word, _)| *word == name).map(|&(stage, ..)| stage);
            Some(stage.ok_or_else(|| words.error("a stage"))?)
        }
        Some(_) => return Err(words.error("fail")),
    };
    Ok(Plan { direction, tx, policy, fail_at })
}

fn effect(words: &mut Words<'_>, line: usize, step: &mut Step) -> Result<(), TextError> {
    let what = match words.next(EFFECT)? {
        "read" => What::Read { pa: words.hex("an address")?, bytes: words.data()? },
        "write" => What::Write { pa: words.hex("an address")?, bytes: words.data()? },
        "fetch" => What::Fetch { pa: words.hex("an address")?, cell: words.cell()? },
        "publish" => What::Publish { pa: words.hex("an address")?, cell: words.cell()? },
        "fault" => {
            let write = words.one_of(&[("read", false), ("write", true)], "read or write")?;
            What::Fault { pa: words.hex("an address")?, len: words.length()?, write }
        }
        "transmit" => What::Transmit { queue: words.decimal("a queue")?, frame: words.data()? },
        "drop" => What::Drop { frame: words.data()? },
        "vector" => What::Vector { index: words.decimal("a vector")? },
        "intx" => What::Intx { asserted: words.one_of(UP, "up or down")? },
        "switched" => What::Switched {
            hardware: words.one_of(&[("hardware", true), ("software", false)], "hardware or software")?,
        },
        "look" => {
            step.looks.push(look(words, line)?);
            return Ok(());
        }
        _ => return Err(words.error(EFFECT)),
    };
    step.effects.push(Seen { line, what });
    Ok(())
}

fn look(words: &mut Words<'_>, line: usize) -> Result<Looked, TextError> {
    let pa = words.hex("an address")?;
    let word = words.next("bytes, or fault")?;
    if word == "fault" {
        return Ok(Looked { line, pa, len: words.length()?, bytes: None });
    }
    let bytes = words.bytes_in(word)?;
    Ok(Looked { line, pa, len: bytes.len(), bytes: Some(bytes) })
}
