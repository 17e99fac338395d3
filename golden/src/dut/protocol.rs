//! What a program under test and we say to each other: one JSON object a line, a request from us, one answer from it.
//!
//! Published as tests/schema/dut-1.json. Bytes are lower-case hexadecimal digits without a prefix; numbers are JSON integers, and a
//! register of eight bytes uses all 64 bits of them.

use super::{About, Lack, Seen, Trouble};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of the protocol.
pub const VERSION: u32 = 1;

/// Most bytes that one line carries as digits: longer stores and loads are several requests.
pub const MOST_BYTES: usize = 1 << 16;

/// Longest line that is taken, bytes: digits of [`MOST_BYTES`] and of the largest frames in an answer to `settle`.
pub const MOST_LINE: usize = 1 << 20;

/// Bytes as digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(from)?;
        let bytes = bytes_of(&digits);
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not pairs of lower-case hexadecimal digits"))
    }
}

/// Pairs of digits as bytes.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).filter(|_| !c.is_ascii_uppercase());
    let byte = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// What we ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// What it is; the first request. A program that does not know this version of the protocol answers `error`.
    About {
        /// [`VERSION`].
        protocol: u32,
    },
    /// [`super::Dut::read`].
    Read {
        /// 0 to 2.
        bar: u8,
        /// Bytes from the start of the page.
        offset: u32,
        /// 1, 2, 4 or 8 bytes.
        width: u8,
    },
    /// [`super::Dut::write`].
    Write {
        /// 0 to 2.
        bar: u8,
        /// Bytes from the start of the page.
        offset: u32,
        /// 1, 2, 4 or 8 bytes.
        width: u8,
        /// What is written.
        value: u64,
    },
    /// [`super::Dut::load`] of at most [`MOST_BYTES`].
    Load {
        /// Guest-physical address.
        pa: u64,
        /// How many.
        bytes: usize,
    },
    /// [`super::Dut::store`] of at most [`MOST_BYTES`].
    Store {
        /// Guest-physical address.
        pa: u64,
        /// What is stored.
        hex: Hex,
    },
    /// [`super::Dut::offer`].
    Offer {
        /// The frame, without FCS.
        hex: Hex,
    },
    /// [`super::Dut::settle`].
    Settle,
    /// [`super::Dut::link`].
    Link {
        /// The link is up from here on.
        up: bool,
    },
    /// [`super::Dut::reset`].
    Reset,
    /// [`super::Dut::bus_master`].
    BusMaster {
        /// The device may reach memory from here on.
        on: bool,
    },
}

impl Ask {
    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::About { .. } => "about",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Load { .. } => "load",
            Self::Store { .. } => "store",
            Self::Offer { .. } => "offer",
            Self::Settle => "settle",
            Self::Link { .. } => "link",
            Self::Reset => "reset",
            Self::BusMaster { .. } => "bus_master",
        }
    }
}

/// What it answers: an object with one of these. `{}` says that it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// To `about`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<Said>,
    /// To `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// To `load`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<Hex>,
    /// To `settle`, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Vec<Event>>,
    /// To `settle`: there is more to tell, ask again. Stands beside `seen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// It cannot do or show this: a word of `cannot` in what it said about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cannot: Option<Lack>,
    /// Something is wrong, in words: the conversation is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What it says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The version of the protocol that it speaks: the one that it was asked for.
    pub protocol: u32,
    /// [`About::name`].
    pub name: String,
    /// [`About::identity`].
    pub identity: String,
    /// [`About::version`].
    pub version: String,
    /// [`About::base`].
    pub base: u64,
    /// [`About::bytes`].
    pub bytes: usize,
    /// [`About::mac`], six pairs of digits with colons.
    pub mac: String,
    /// [`About::vectors`].
    pub vectors: u16,
    /// What it cannot do or show.
    pub cannot: Vec<Lack>,
}

/// Something that it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// [`Seen::Sent`].
    Sent(Hex),
    /// [`Seen::Vector`].
    Vector(u16),
    /// [`Seen::Line`].
    Line(bool),
}

impl From<Seen> for Event {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Sent(frame) => Self::Sent(Hex(frame)),
            Seen::Vector(vector) => Self::Vector(vector),
            Seen::Line(asserted) => Self::Line(asserted),
        }
    }
}

impl From<Event> for Seen {
    fn from(event: Event) -> Self {
        match event {
            Event::Sent(Hex(frame)) => Self::Sent(frame),
            Event::Vector(vector) => Self::Vector(vector),
            Event::Line(asserted) => Self::Line(asserted),
        }
    }
}

/// Least and most bytes of guest memory that a device may have: cases need the first, and nobody needs the second.
const MEMORY: std::ops::RangeInclusive<usize> = 1 << 20..=1 << 30;

/// Most vectors that VMXNET3 has, from version 6 on. Source: vmxnet3_defs.h, VMXNET3_EXT_MAX_INTRS.
const VECTORS: u16 = 65;

/// Longest word that a device may say of itself, bytes.
const WORDS: usize = 200;

impl Said {
    /// As a device says it.
    pub fn new(about: &About, cannot: &[Lack]) -> Self {
        Self {
            protocol: VERSION,
            name: about.name.clone(),
            identity: about.identity.clone(),
            version: about.version.clone(),
            base: about.base,
            bytes: about.bytes,
            mac: about.mac.map(|byte| format!("{byte:02x}")).join(":"),
            vectors: about.vectors,
            cannot: cannot.to_vec(),
        }
    }

    /// What the suite makes of it.
    ///
    /// # Errors
    /// [`Trouble::Start`], with the field that no device can have.
    pub fn check(self) -> Result<(About, Vec<Lack>), Trouble> {
        let Self { protocol, name, identity, version, base, bytes, mac, vectors, cannot } = self;
        let refuse = |field: &str, why: &str| Err(Trouble::Start(format!("what it says about itself: {field} {why}")));
        if protocol != VERSION {
            return refuse("protocol", &format!("is {protocol}, not {VERSION}"));
        }
        if [&name, &identity, &version].iter().any(|words| words.len() > WORDS || words.contains(char::is_control)) {
            return refuse("name, identity or version", "is not a line of at most 200 bytes");
        }
        if !MEMORY.contains(&bytes) {
            return refuse("bytes", &format!("is {bytes}, and must be {} to {}", MEMORY.start(), MEMORY.end()));
        }
        if !base.is_multiple_of(4096) || base.checked_add(bytes as u64).is_none_or(|end| end > 1 << 52) {
            return refuse("base", &format!("is {base:#x}: not on a page of 4096, or memory would end above 2^52"));
        }
        if vectors > VECTORS {
            return refuse("vectors", &format!("is {vectors}, and can be {VECTORS} at most"));
        }
        let parts = mac.split(':').map(|part| match bytes_of(part)?[..] {
            [byte] => Some(byte),
            _ => None,
        });
        let Some(mac) = parts.collect::<Option<Vec<u8>>>().and_then(|bytes| bytes.try_into().ok()) else {
            return refuse("mac", "is not six pairs of digits with colons");
        };
        Ok((About { name, identity, version, base, bytes, mac, vectors }, cannot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_they_are_published() {
        let line = |ask: &Ask| serde_json::to_string(ask).unwrap();
        assert_eq!(line(&Ask::About { protocol: 1 }), r#"{"do":"about","protocol":1}"#);
        assert_eq!(line(&Ask::Store { pa: 4096, hex: Hex(vec![0, 0xff]) }), r#"{"do":"store","pa":4096,"hex":"00ff"}"#);
        assert_eq!(line(&Ask::BusMaster { on: true }), r#"{"do":"bus_master","on":true}"#);
        assert_eq!(line(&Ask::Settle), r#"{"do":"settle"}"#);
        for wrong in [r#"{"do":"read","bar":0,"offset":0}"#, r#"{"do":"dance"}"#, r#"{"do":"offer","hex":"F0"}"#, "[]"]
        {
            assert!(serde_json::from_str::<Ask>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn answers_are_as_they_are_published() {
        let answer = |line: &str| serde_json::from_str::<Answer>(line);
        assert_eq!(answer("{}").unwrap(), Answer::default());
        assert_eq!(serde_json::to_string(&Answer::default()).unwrap(), "{}");
        let told = answer(r#"{"seen":[{"sent":"00"},{"vector":3},{"line":true}],"more":false}"#).unwrap();
        let seen = [Event::Sent(Hex(vec![0])), Event::Vector(3), Event::Line(true)];
        assert_eq!((told.seen, told.more), (Some(seen.to_vec()), Some(false)));
        assert_eq!(answer(r#"{"cannot":"bus_master"}"#).unwrap().cannot, Some(Lack::BusMaster));
        for wrong in
            [r#"{"velue":1}"#, r#"{"hex":"0"}"#, r#"{"hex":"ü"}"#, r#"{"value":-1}"#, r#"{"seen":[{"sent":1}]}"#, "1"]
        {
            assert!(answer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_no_device_can_be_is_refused_by_field() {
        let said = Said {
            protocol: 1,
            name: "d".into(),
            identity: "d 1".into(),
            version: "1.0".into(),
            base: 0x1000,
            bytes: 1 << 20,
            mac: "00:0c:29:12:34:56".into(),
            vectors: 25,
            cannot: vec![],
        };
        assert_eq!(said.clone().check().unwrap().0.mac, [0, 0x0c, 0x29, 0x12, 0x34, 0x56]);
        let wrong = [
            (Said { protocol: 2, ..said.clone() }, "protocol"),
            (Said { name: "a\nb".into(), ..said.clone() }, "name"),
            (Said { bytes: 4096, ..said.clone() }, "bytes"),
            (Said { base: 1, ..said.clone() }, "base"),
            (Said { base: !4095, ..said.clone() }, "base"),
            (Said { vectors: 66, ..said.clone() }, "vectors"),
            (Said { mac: "00:0c:29:12:34".into(), ..said.clone() }, "mac"),
            (Said { mac: "00:0c:29:12:34:+6".into(), ..said.clone() }, "mac"),
        ];
        for (said, field) in wrong {
            let refused = said.clone().check();
            assert!(matches!(&refused, Err(Trouble::Start(why)) if why.contains(field)), "{said:?}: {refused:?}");
        }
    }
}
