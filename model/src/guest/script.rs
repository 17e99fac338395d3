//! Operations of a behaving guest, its wire and its hypervisor, as data with a one-line text form.
//!
//! Shrunk sequences are kept as files of these lines: `send q0 len 64 frags 2 tcp4 csum`, `offer len 1504 tagged 7`, `wire busy`,
//! `switch hardware drain A`. Blank lines and what follows a `#` are skipped. Who runs them is elsewhere.

use super::shape::{Body, Bounds, Shape, To, WireShape, Work};
use super::tunnel::Tunnel;
use spec::frame::Dice;
use std::fmt;
use std::str::{FromStr, SplitWhitespace};

/// Which body is to back the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The adapter.
    Hardware,
    /// The software body.
    Software,
}

/// What becomes of packets under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// They are finished first.
    Drain,
    /// They go back to the ring.
    Rollback,
}

/// What becomes of frames arriving meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ingress {
    /// Steered to software, held behind what the adapter still has.
    A,
    /// Paused upstream.
    B,
    /// Read back from the adapter and injected first.
    C,
    /// Dropped and counted.
    D,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The guest sends a packet, if the ring has room.
    Send {
        /// TX queue.
        queue: u8,
        /// The packet.
        shape: Shape,
    },
    /// The guest rings a TX queue, if due.
    Kick {
        /// TX queue.
        queue: u8,
    },
    /// The guest is told of an interrupt that nobody raised.
    Poll {
        /// Vector.
        vector: u8,
    },
    /// The wire offers a frame.
    Offer {
        /// The frame.
        shape: WireShape,
    },
    /// The outward wire turns ready or busy.
    Wire {
        /// Ready.
        ready: bool,
    },
    /// The link goes up or down.
    Link {
        /// Up.
        up: bool,
    },
    /// Time goes on.
    Advance {
        /// Nanoseconds.
        ns: u64,
    },
    /// The guest changes rxMode.
    RxMode {
        /// Bits of `spec::vmxnet3::command::rx_mode`.
        bits: u32,
    },
    /// The guest programs multicast groups 0 to `groups` - 1.
    Multicast {
        /// How many.
        groups: u8,
    },
    /// The guest programs the VLAN table.
    Vlans {
        /// VIDs admitted; none turns the filter off.
        vids: Vec<u16>,
    },
    /// The guest changes feature bits.
    Features {
        /// Bits of `spec::vmxnet3::command::feature`.
        bits: u64,
    },
    /// The guest changes its address.
    Mac {
        /// The address.
        mac: [u8; 6],
    },
    /// The guest asks for statistics.
    Stats,
    /// The guest asks for the link.
    GetLink,
    /// The guest loads: probe and activation.
    Up,
    /// The guest unloads.
    Down,
    /// The guest quiesces, resets and activates anew.
    Reset,
    /// The function is reset from outside.
    FunctionReset,
    /// Steps of anything happen.
    Step {
        /// How many.
        count: u16,
        /// Chooses among what is possible, each time.
        pick: u16,
    },
    /// Everything happens that can.
    Settle,
    /// The hypervisor changes the body behind the function.
    Switch {
        /// To which.
        to: Side,
        /// What becomes of packets under way.
        finish: Finish,
        /// What becomes of frames arriving meanwhile.
        ingress: Ingress,
    },
}

/// Why a line is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("word {word}: expected {expected}")]
pub struct ParseError {
    /// Which word of the line, from 1.
    pub word: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// Why a text is no script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("line {line}, {error}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: ParseError,
}

/// A whole script.
///
/// # Errors
/// The first line that is no operation.
pub fn parse(text: &str) -> Result<Vec<Op>, ScriptError> {
    let mut ops = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            ops.push(line.parse().map_err(|error| ScriptError { line: at + 1, error })?);
        }
    }
    Ok(ops)
}

/// A script as text, a line an operation.
pub fn print(ops: &[Op]) -> String {
    ops.iter().map(|op| format!("{op}\n")).collect()
}

fn write_to(f: &mut fmt::Formatter<'_>, to: To) -> fmt::Result {
    match to {
        To::Peer => Ok(()),
        To::Broadcast => f.write_str(" to broadcast"),
        To::Group(n) => write!(f, " to group {n}"),
        To::Foreign => f.write_str(" to foreign"),
    }
}

fn write_body(f: &mut fmt::Formatter<'_>, body: Body) -> fmt::Result {
    if let Body::Inside(tunnel) = body {
        return write!(f, " {tunnel}");
    }
    match Body::WORDS.iter().find(|(value, _)| *value == body) {
        Some((_, word)) if body != Body::Raw => write!(f, " {word}"),
        _ => Ok(()),
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "len {}", self.len)?;
        if self.fragments != 1 {
            write!(f, " frags {}", self.fragments)?;
        }
        write_body(f, self.body)?;
        match self.work {
            Work::None => {}
            Work::Checksum => f.write_str(" csum")?,
            Work::Segment(mss) => write!(f, " tso {mss}")?,
        }
        if let Some(tci) = self.vlan {
            write!(f, " vlan {tci}")?;
        }
        write_to(f, self.to)?;
        if self.flow != 0 {
            write!(f, " flow {}", self.flow)?;
        }
        Ok(())
    }
}

impl fmt::Display for WireShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "len {}", self.len)?;
        write_body(f, self.body)?;
        if let Some(tci) = self.tag {
            write!(f, " tagged {tci}")?;
        }
        if self.bad {
            f.write_str(" bad")?;
        }
        write_to(f, self.to)?;
        if self.flow != 0 {
            write!(f, " flow {}", self.flow)?;
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { queue, shape } => write!(f, "send q{queue} {shape}"),
            Self::Kick { queue } => write!(f, "kick {queue}"),
            Self::Poll { vector } => write!(f, "poll {vector}"),
            Self::Offer { shape } => write!(f, "offer {shape}"),
            Self::Wire { ready } => f.write_str(if *ready { "wire ready" } else { "wire busy" }),
            Self::Link { up } => f.write_str(if *up { "link up" } else { "link down" }),
            Self::Advance { ns } => write!(f, "advance {ns}"),
            Self::RxMode { bits } => write!(f, "rx-mode {bits:#x}"),
            Self::Multicast { groups } => write!(f, "multicast {groups}"),
            Self::Vlans { vids } => {
                f.write_str("vlans")?;
                vids.iter().try_for_each(|vid| write!(f, " {vid}"))
            }
            Self::Features { bits } => write!(f, "features {bits:#x}"),
            Self::Mac { mac: [a, b, c, d, e, g] } => write!(f, "mac {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Self::Stats => f.write_str("stats"),
            Self::GetLink => f.write_str("get-link"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::Reset => f.write_str("reset"),
            Self::FunctionReset => f.write_str("function-reset"),
            Self::Step { count, pick: 0 } => write!(f, "step {count}"),
            Self::Step { count, pick } => write!(f, "step {count} pick {pick}"),
            Self::Settle => f.write_str("settle"),
            Self::Switch { to, finish, ingress } => {
                let to = if *to == Side::Hardware { "hardware" } else { "software" };
                let finish = if *finish == Finish::Drain { "drain" } else { "rollback" };
                write!(f, "switch {to} {finish} {ingress:?}")
            }
        }
    }
}

struct Words<'a> {
    words: std::iter::Peekable<SplitWhitespace<'a>>,
    at: usize,
}

impl<'a> Words<'a> {
    fn error<T>(&self, expected: &'static str) -> Result<T, ParseError> {
        Err(ParseError { word: self.at, expected })
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, ParseError> {
        self.at += 1;
        self.words.next().ok_or(ParseError { word: self.at, expected })
    }

    fn maybe(&mut self) -> Option<&'a str> {
        let word = self.words.next()?;
        self.at += 1;
        Some(word)
    }

    fn number<T: TryFrom<u64>>(&mut self, expected: &'static str) -> Result<T, ParseError> {
        let word = self.next(expected)?;
        self.number_in(word, expected)
    }

    fn number_in<T: TryFrom<u64>>(&self, word: &str, expected: &'static str) -> Result<T, ParseError> {
        let value = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => word.parse(),
        };
        value.ok().and_then(|value| T::try_from(value).ok()).ok_or(ParseError { word: self.at, expected })
    }

    fn one_of<T: Copy>(&mut self, choices: &[(&str, T)], expected: &'static str) -> Result<T, ParseError> {
        let word = self.next(expected)?;
        choices
            .iter()
            .find(|(name, _)| *name == word)
            .map(|&(_, value)| value)
            .ok_or(ParseError { word: self.at, expected })
    }

    fn length(&mut self) -> Result<u32, ParseError> {
        self.one_of(&[("len", ())], "len")?;
        self.number("bytes")
    }

    fn to(&mut self) -> Result<To, ParseError> {
        match self.next("broadcast, group or foreign")? {
            "peer" => Ok(To::Peer),
            "broadcast" => Ok(To::Broadcast),
            "group" => Ok(To::Group(self.number("a group number")?)),
            "foreign" => Ok(To::Foreign),
            _ => self.error("broadcast, group or foreign"),
        }
    }

    fn body(&self, word: &str, expected: &'static str) -> Result<Body, ParseError> {
        let found = Body::WORDS.iter().find(|(_, name)| *name == word);
        let plain = found.map(|&(body, _)| body);
        plain.or_else(|| Tunnel::parse(word).map(Body::Inside)).ok_or(ParseError { word: self.at, expected })
    }

    fn shape(&mut self) -> Result<Shape, ParseError> {
        let mut shape = Shape { len: self.length()?, fragments: 1, ..Shape::default() };
        while let Some(word) = self.maybe() {
            match word {
                "frags" => shape.fragments = self.number("fragments")?,
                "csum" => shape.work = Work::Checksum,
                "tso" => shape.work = Work::Segment(self.number("bytes a segment")?),
                "vlan" => shape.vlan = Some(self.number("a tag")?),
                "to" => shape.to = self.to()?,
                "flow" => shape.flow = self.number("a flow")?,
                word => shape.body = self.body(word, "frags, a body, csum, tso, vlan, to or flow")?,
            }
        }
        Ok(shape)
    }

    fn wire_shape(&mut self) -> Result<WireShape, ParseError> {
        let mut shape = WireShape { len: self.length()?, ..WireShape::default() };
        while let Some(word) = self.maybe() {
            match word {
                "tagged" => shape.tag = Some(self.number("a tag")?),
                "bad" => shape.bad = true,
                "to" => shape.to = self.to()?,
                "flow" => shape.flow = self.number("a flow")?,
                word => shape.body = self.body(word, "a body, tagged, bad, to or flow")?,
            }
        }
        Ok(shape)
    }

    fn mac(&mut self) -> Result<[u8; 6], ParseError> {
        let word = self.next("an address")?;
        let mut mac = [0; 6];
        let mut bytes = word.split(':');
        for byte in &mut mac {
            let parsed = bytes.next().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            *byte = parsed.ok_or(ParseError { word: self.at, expected: "an address" })?;
        }
        if bytes.next().is_some() { self.error("an address") } else { Ok(mac) }
    }

    fn queue(&mut self) -> Result<u8, ParseError> {
        let word = self.next("a queue, q0")?;
        match word.strip_prefix('q') {
            Some(number) => self.number_in(number, "a queue, q0"),
            None => self.error("a queue, q0"),
        }
    }

    fn op(&mut self) -> Result<Op, ParseError> {
        Ok(match self.next("an operation")? {
            "send" => Op::Send { queue: self.queue()?, shape: self.shape()? },
            "kick" => Op::Kick { queue: self.number("a queue")? },
            "poll" => Op::Poll { vector: self.number("a vector")? },
            "offer" => Op::Offer { shape: self.wire_shape()? },
            "wire" => Op::Wire { ready: self.one_of(&[("ready", true), ("busy", false)], "ready or busy")? },
            "link" => Op::Link { up: self.one_of(&[("up", true), ("down", false)], "up or down")? },
            "advance" => Op::Advance { ns: self.number("nanoseconds")? },
            "rx-mode" => Op::RxMode { bits: self.number("bits")? },
            "multicast" => Op::Multicast { groups: self.number("how many")? },
            "vlans" => {
                let mut vids = Vec::new();
                while let Some(word) = self.maybe() {
                    vids.push(self.number_in(word, "a VID")?);
                }
                Op::Vlans { vids }
            }
            "features" => Op::Features { bits: self.number("bits")? },
            "mac" => Op::Mac { mac: self.mac()? },
            "stats" => Op::Stats,
            "get-link" => Op::GetLink,
            "up" => Op::Up,
            "down" => Op::Down,
            "reset" => Op::Reset,
            "function-reset" => Op::FunctionReset,
            "step" => {
                let count = self.number("how many")?;
                let pick = match self.maybe() {
                    None => 0,
                    Some("pick") => self.number("a choice")?,
                    Some(_) => return self.error("pick"),
                };
                Op::Step { count, pick }
            }
            "settle" => Op::Settle,
            "switch" => Op::Switch {
                to: self
                    .one_of(&[("hardware", Side::Hardware), ("software", Side::Software)], "hardware or software")?,
                finish: self
                    .one_of(&[("drain", Finish::Drain), ("rollback", Finish::Rollback)], "drain or rollback")?,
                ingress: self.one_of(
                    &[("A", Ingress::A), ("B", Ingress::B), ("C", Ingress::C), ("D", Ingress::D)],
                    "A, B, C or D",
                )?,
            },
            _ => return self.error("an operation"),
        })
    }
}

impl FromStr for Op {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        let mut words = Words { words: line.split_whitespace().peekable(), at: 0 };
        let op = words.op()?;
        if words.words.peek().is_some() {
            words.at += 1;
            return words.error("the end of the line");
        }
        Ok(op)
    }
}

impl Op {
    /// A likely operation on `queues` queues: mostly traffic and steps, now and then something else; no switches and no resets,
    /// which the caller places.
    pub fn roll(dice: &mut Dice, bounds: &Bounds, queues: u8) -> Self {
        let queue = dice.below(u64::from(queues.max(1))) as u8;
        match dice.below(64) {
            0..16 => Self::Send { queue, shape: Shape::roll(dice, bounds) },
            16..24 => Self::Kick { queue },
            24..40 => Self::Offer { shape: WireShape::roll(dice, bounds) },
            40..54 => Self::Step { count: 1 + dice.below(40) as u16, pick: dice.next() as u16 },
            54..56 => Self::Wire { ready: !dice.once_in(3) },
            56 => Self::Advance { ns: dice.below(200_000) },
            57 => Self::RxMode { bits: dice.below(32) as u32 },
            58 => Self::Multicast { groups: dice.below(5) as u8 },
            59 => Self::Vlans { vids: (0..dice.below(4)).map(|_| dice.below(4096) as u16).collect() },
            60 => Self::Features { bits: dice.below(2) | dice.below(2) << 2 },
            61 => Self::Stats,
            62 => Self::Poll { vector: queue },
            _ => Self::Settle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn every_rolled_operation_survives_its_text() {
        let mut dice = Dice::new(7);
        let ops: Vec<Op> = (0..5000).map(|_| Op::roll(&mut dice, &Bounds::default(), 4)).collect();
        assert_eq!(parse(&print(&ops)).unwrap(), ops);
    }

    #[test]
    fn the_lines_people_write_are_the_lines_printed() {
        let text = "\
send q0 len 64 frags 2 tcp4 csum
send q1 len 9000 frags 5 tcp6 tso 1440 vlan 7 to group 3 flow 9
send q0 len 2000 frags 3 geneve6/tcp4+tag+sum tso 400
offer len 1504 tagged 7
offer len 60 udp4 bad to foreign
kick 0
poll 2
wire busy
wire ready
link down
advance 1500
rx-mode 0x1f
multicast 3
vlans 0 5 4095
vlans
features 0x5
mac 00:50:56:00:00:01
stats
get-link
up
down
reset
function-reset
step 12
step 12 pick 3
settle
switch hardware drain A
switch software rollback C
";
        assert_eq!(print(&parse(text).unwrap()), text);
        let commented = parse("# a script\n\n  kick 1  # ring\n").unwrap();
        assert_eq!(commented, [Op::Kick { queue: 1 }]);
    }

    #[test]
    fn a_wrong_word_is_named_with_its_line() {
        let error = |text| parse(text).unwrap_err();
        assert_eq!(
            error("stats\nwire maybe"),
            ScriptError { line: 2, error: ParseError { word: 2, expected: "ready or busy" } }
        );
        assert_eq!(error("kick").to_string(), "line 1, word 2: expected a queue");
        assert_eq!(error("kick 256").error.word, 2);
        assert_eq!(error("stats now").error.expected, "the end of the line");
        assert_eq!(error("send q0 len 60 sideways").error.word, 5);
        assert_eq!(error("mac 1:2:3:4:5:6:7").error.word, 2);
        assert_eq!(error("jump").error.word, 1);
    }
}
