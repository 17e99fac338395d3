//! Writing: one event a line into a buffer; after the buffer has grown nothing is allocated.

use super::call::{Answer, Call, apply};
use super::header::Header;
use super::seen::{Step, What};
use super::watched::{Look, Looks};
use super::{VERSION, frames, names};
use model::machine::System;
use model::migrate::{Direction, Policy, TxMode};
use spec::event::{Bar, Effect, GuestView, Stimulus, Tap};
use std::io;

/// Bytes gathered before they are written out.
const CHUNK: usize = 1 << 16;

/// Writes a trace. As a [`Tap`] it writes effects; [`Writer::call`] makes a call and writes it with its answer.
///
/// A write that fails is kept, and nothing more is written: [`Writer::error`] and [`Writer::finish`] tell.
#[derive(Debug)]
pub struct Writer<W: io::Write> {
    out: W,
    line: Vec<u8>,
    seed: Option<u64>,
    scratch: Vec<u8>,
    written: u64,
    error: Option<io::Error>,
    /// The call under way did something.
    told: bool,
}

impl<W: io::Write> Writer<W> {
    /// A trace to `out`, which needs no buffer of its own, beginning with `header`.
    pub fn new(out: W, header: &Header) -> Self {
        let line = Vec::with_capacity(2 * CHUNK);
        let mut writer =
            Self { out, line, seed: header.seed, scratch: Vec::new(), written: 0, error: None, told: false };
        writer.header(header);
        writer
    }

    /// Makes `call` into `system`, which tells `tap` too, and writes the call, what the system did, and its answer.
    pub fn call<M: Looks, T: Tap>(&mut self, call: &Call<'_>, system: &mut System<M>, tap: &mut T) -> Answer {
        system.memory().keep(true);
        let from = self.line.len();
        self.told = false;
        self.begin(call);
        let answer = apply(call, system, &mut (&mut *self, tap));
        if *call == Call::Notice && !self.told {
            // Nothing was found, so nothing changed: a poller asks far too often for all of it to be kept.
            self.line.truncate(from);
            system.memory().keep(false);
            return answer;
        }
        system.memory().take(&mut |look| self.look(look));
        system.memory().keep(false);
        self.answer(answer);
        answer
    }

    /// Writes a step of a trace that was read.
    pub fn step(&mut self, step: &Step) {
        self.begin(&step.call);
        for seen in &step.effects {
            match (seen.what.effect(), &seen.what) {
                (Some(effect), _) => self.effect_line(effect),
                (None, What::Switched { hardware }) => self.switched(*hardware),
                (None, _) => {}
            }
        }
        for look in &step.looks {
            self.look(Look { pa: look.pa, len: look.len, bytes: look.bytes.as_deref() });
        }
        self.answer(step.answer);
    }

    /// Writes a remark, which readers skip. What would end the line is left out.
    pub fn remark(&mut self, text: &str) {
        self.text(b"#");
        if !text.is_empty() {
            self.text(b" ");
        }
        self.plain(text);
        self.end();
    }

    /// Writes a claim that did not hold. What would end the line is left out.
    pub fn claim(&mut self, words: &str) {
        self.named("!", words);
    }

    /// Bytes written so far, those in the buffer too.
    pub fn written(&self) -> u64 {
        self.written + self.line.len() as u64
    }

    /// The first failure to write, if there was one.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Writes out what is in the buffer.
    ///
    /// # Errors
    /// The first failure to write, now or before.
    pub fn finish(mut self) -> io::Result<W> {
        self.pour();
        match self.error {
            Some(error) => Err(error),
            None => {
                self.out.flush()?;
                Ok(self.out)
            }
        }
    }

    fn header(&mut self, header: &Header) {
        let Header { device, profile, mac, kernel, origin, date, seed, memory, fill, case, mutant, outside, partial } =
            header;
        self.text(b"vnic-trace ");
        self.decimal(VERSION);
        self.end();
        self.named("device", device.name());
        self.named("profile", profile.name);
        self.text(b"mac ");
        for (i, byte) in mac.iter().enumerate() {
            if i > 0 {
                self.text(b":");
            }
            self.bytes(&[*byte]);
        }
        self.end();
        for (name, value) in [("kernel", kernel), ("origin", origin), ("date", date)] {
            self.named(name, value);
        }
        if let Some(seed) = seed {
            self.text(b"seed ");
            self.decimal(*seed);
            self.end();
        }
        self.named("case", case);
        if let Some(mutant) = mutant {
            self.named("mutant", mutant.row().1);
        }
        if let Some(seed) = partial {
            self.text(b"partial ");
            self.decimal(*seed);
            self.end();
        }
        if *fill != 0 {
            self.text(b"fill");
            self.address(u64::from(*fill));
            self.end();
        }
        self.named("outside", outside);
        for &(pa, len) in memory {
            self.text(b"memory");
            self.address(pa);
            self.text(b" +0x");
            self.digits(len);
            self.end();
        }
        self.text(b"begin");
        self.end();
    }

    /// A line of the header, unless there is nothing to say.
    fn named(&mut self, name: &str, value: &str) {
        let blank = |c: char| c.is_whitespace() || is_masked(c);
        let value = value.trim_matches(blank);
        if !value.is_empty() {
            self.text(name.as_bytes());
            self.text(b" ");
            self.plain(value);
            self.end();
        }
    }

    fn begin(&mut self, call: &Call<'_>) {
        match call {
            Call::Write { bar, offset, value } => {
                self.word("> write");
                self.place(*bar, *offset);
                self.address(u64::from(*value));
                self.remarked(|line| names::write(line, *bar, *offset, *value));
            }
            Call::Read { bar, offset } => {
                self.word("> read");
                self.place(*bar, *offset);
                self.remarked(|line| names::register(line, *bar, *offset));
            }
            Call::Config { offset, bytes } => {
                self.word("> config");
                self.address(u64::from(*offset));
                self.hex(bytes);
            }
            Call::Store { pa, bytes } => {
                self.word("> store");
                self.address(*pa);
                self.data(bytes);
            }
            Call::Offer { frame } => {
                self.word("> offer");
                self.data(frame);
            }
            Call::Wire { ready } => self.word(if *ready { "> wire ready" } else { "> wire busy" }),
            Call::Link { up } => self.word(if *up { "> link up" } else { "> link down" }),
            Call::Advance { ns } => self.counted("> advance ", *ns),
            Call::Run { budget } => self.counted("> run ", u64::from(*budget)),
            Call::Step { budget } => self.counted("> step ", u64::from(*budget)),
            Call::Notice => {
                // Stays in the buffer: it may be taken back.
                self.text(b"> notice\n");
                return;
            }
            Call::TxThreshold { packets } => self.counted("> tx-threshold ", u64::from(*packets)),
            Call::Switch { plan } => {
                self.word(match plan.direction {
                    Direction::Enter => "> switch enter",
                    Direction::Leave => "> switch leave",
                });
                self.word(match plan.tx {
                    TxMode::Drain => " drain",
                    TxMode::RollBack => " rollback",
                });
                self.word(match plan.policy {
                    Policy::A => " A",
                    Policy::B => " B",
                    Policy::C => " C",
                    Policy::D => " D",
                });
                if let Some(stage) = plan.fail_at {
                    self.word(" fail ");
                    self.word(stage.name());
                }
            }
            Call::Message { vector } => self.counted("> message ", u64::from(*vector)),
            Call::FunctionReset => self.word("> function-reset"),
            Call::EnableMsix => self.word("> enable-msix"),
            Call::TableOutside => self.word("> table-outside"),
            Call::Settle => self.word("> settle"),
            Call::Restore { state } => {
                self.word("> restore");
                self.hex(state);
            }
            Call::Idle => self.word("> idle"),
        }
        self.end();
    }

    fn look(&mut self, look: Look<'_>) {
        self.word("< look");
        self.address(look.pa);
        match look.bytes {
            Some(bytes) => self.hex(bytes),
            None => self.counted(" fault +", look.len as u64),
        }
        self.end();
    }

    fn switched(&mut self, hardware: bool) {
        self.word(if hardware { "< switched hardware" } else { "< switched software" });
        self.end();
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Done => return,
            Answer::Value(value) => {
                self.word("=");
                self.address(u64::from(value));
            }
            Answer::Refused => self.word("= refused"),
        }
        self.end();
    }

    fn effect_line(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Read { pa, bytes } => {
                self.word("< read");
                self.address(pa);
                self.data(bytes);
            }
            Effect::Write { pa, bytes } => {
                self.word("< write");
                self.address(pa);
                self.data(bytes);
            }
            Effect::Fetch { pa, cell } => {
                self.word("< fetch");
                self.address(pa);
                self.hex(&cell.to_le_bytes());
            }
            Effect::Publish { pa, cell } => {
                self.word("< publish");
                self.address(pa);
                self.hex(&cell.to_le_bytes());
            }
            Effect::Transmit { queue, frame } => {
                self.counted("< transmit ", u64::from(queue));
                self.data(frame);
            }
            Effect::Vector { index } => self.counted("< vector ", u64::from(index)),
            Effect::Intx { asserted } => self.word(if asserted { "< intx up" } else { "< intx down" }),
            Effect::Fault { pa, len, write } => {
                self.word(if write { "< fault write" } else { "< fault read" });
                self.address(pa);
                self.counted(" +", len as u64);
            }
            Effect::SwitchDrop { frame } => {
                self.word("< drop");
                self.data(frame);
            }
        }
        self.end();
    }

    fn place(&mut self, bar: Bar, offset: u32) {
        self.word(match bar {
            Bar::Bar0 => " bar0",
            Bar::Bar1 => " bar1",
            Bar::Bar2 => " bar2",
        });
        self.address(u64::from(offset));
    }

    fn counted(&mut self, words: &str, count: u64) {
        self.word(words);
        self.decimal(count);
    }

    fn word(&mut self, word: &str) {
        self.text(word.as_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.line.extend_from_slice(text);
    }

    /// Words of somebody else's, on one line and without a remark.
    fn plain(&mut self, text: &str) {
        for c in text.chars().map(|c| if is_masked(c) { ' ' } else { c }) {
            self.line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn remarked(&mut self, say: impl FnOnce(&mut Vec<u8>)) {
        self.text(b"  # ");
        say(&mut self.line);
    }

    /// A blank and a hexadecimal number.
    fn address(&mut self, value: u64) {
        self.text(b" 0x");
        self.digits(value);
    }

    fn digits(&mut self, value: u64) {
        let count = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for i in (0..count).rev() {
            self.line.push(HEX[(value >> (4 * i) & 0xf) as usize]);
        }
    }

    fn decimal(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.text(&digits[at..]);
    }

    /// A blank and bytes as hexadecimal digits; `-` for none.
    fn hex(&mut self, bytes: &[u8]) {
        self.text(if bytes.is_empty() { b" -" } else { b" " });
        self.bytes(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let from = self.line.len();
        self.line.resize(from + 2 * bytes.len(), 0);
        for (pair, byte) in self.line[from..].as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = PAIRS[usize::from(*byte)];
        }
    }

    /// A blank and bytes, a generated payload by its seed and id.
    fn data(&mut self, bytes: &[u8]) {
        if let Some(seed) = self.seed
            && let Some((at, id)) = frames::find(seed, bytes, &mut self.scratch)
        {
            self.text(b" ");
            self.bytes(&bytes[..at]);
            self.text(b"frame(");
            self.decimal(seed);
            self.text(b",");
            self.decimal(id);
            self.text(b",");
            self.decimal((bytes.len() - at) as u64);
            self.text(b")");
        } else {
            self.hex(bytes);
        }
    }

    fn end(&mut self) {
        self.line.push(b'\n');
        if self.line.len() >= CHUNK {
            self.pour();
        }
    }

    fn pour(&mut self) {
        if self.error.is_none() {
            match self.out.write_all(&self.line) {
                Ok(()) => self.written += self.line.len() as u64,
                Err(error) => self.error = Some(error),
            }
        }
        self.line.clear();
    }
}

/// Effects become lines, and of stimuli the change of body: it happens inside a call.
impl<W: io::Write> Tap for Writer<W> {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, _: &dyn GuestView) {
        self.told = true;
        if let Stimulus::Switched { hardware } = stimulus {
            self.switched(hardware);
        }
    }

    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        self.told = true;
        self.effect_line(effect);
    }
}

/// What a line cannot hold: it would end it, begin a remark or not be text.
fn is_masked(c: char) -> bool {
    c.is_control() || c == '#'
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Every byte as its two digits.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut i = 0;
    while i < 256 {
        pairs[i] = [HEX[i >> 4], HEX[i & 0xf]];
        i += 1;
    }
    pairs
};
