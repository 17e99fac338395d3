//! What a frame or packet is like, apart from its identity: small, readable, reproducible.

use super::tunnel::{Kind, Load, Tunnel};
use spec::frame::Dice;

/// What a frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// No IP: `spec::frame::EXPERIMENTAL`.
    #[default]
    Raw,
    /// UDP over IPv4.
    Udp4,
    /// TCP over IPv4.
    Tcp4,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
    /// A tunnel and what it carries.
    Inside(Tunnel),
}

impl Body {
    /// Every value but tunnels with its word.
    pub const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Raw, "raw"), (Self::Udp4, "udp4"), (Self::Tcp4, "tcp4"), (Self::Udp6, "udp6"), (Self::Tcp6, "tcp6")];

    /// Bytes of its headers, Ethernet included, tags in front of it not.
    pub const fn headers(self) -> usize {
        match self {
            Self::Raw => 14,
            Self::Udp4 => 42,
            Self::Tcp4 => 54,
            Self::Udp6 => 62,
            Self::Tcp6 => 74,
            Self::Inside(tunnel) => tunnel.headers(),
        }
    }

    /// Whether it is TCP, or carries it.
    pub const fn is_tcp(self) -> bool {
        match self {
            Self::Raw | Self::Udp4 | Self::Udp6 => false,
            Self::Tcp4 | Self::Tcp6 => true,
            Self::Inside(tunnel) => matches!(tunnel.load, Load::Tcp4 | Load::Tcp6),
        }
    }
}

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum To {
    /// The other side: the guest for a frame offered to it, the peer for a packet it sends.
    #[default]
    Peer,
    /// Everybody.
    Broadcast,
    /// Multicast group of this number.
    Group(u8),
    /// A unicast address that is nobody's.
    Foreign,
}

/// What the device is asked to do to a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Work {
    /// Nothing.
    #[default]
    None,
    /// The L4 checksum; bodies without one are sent as they are.
    Checksum,
    /// Segments of this many payload bytes; bodies other than TCP are sent as they are.
    Segment(u16),
}

/// A packet for the guest to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Bytes of the frame, without FCS and inserted tag; raised to its headers, cut to what IP can say.
    pub len: u32,
    /// Fragments, 1 to 16, or 24 with segmentation; cut to what the frame allows.
    pub fragments: u8,
    /// What it carries.
    pub body: Body,
    /// What the device is to do.
    pub work: Work,
    /// Tag for the device to insert.
    pub vlan: Option<u16>,
    /// Whom it is for.
    pub to: To,
    /// Number of the flow: its ports, or nothing for a body without.
    pub flow: u16,
}

/// A frame for the wire to offer to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WireShape {
    /// Bytes of the frame, tag included, without FCS; raised to its headers, so that a runt is possible.
    pub len: u32,
    /// What it carries.
    pub body: Body,
    /// Tag it carries.
    pub tag: Option<u16>,
    /// Its L4 checksum is wrong; nothing for a body without.
    pub bad: bool,
    /// Whom it is for.
    pub to: To,
    /// Number of the flow.
    pub flow: u16,
}

/// What rolled shapes keep within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Longest frame without segmentation, sent or offered, bytes: the MTU and 14.
    pub frame: u32,
    /// Longest packet to segment, bytes.
    pub segmented: u32,
    /// Most fragments of a packet.
    pub fragments: u8,
    /// Flows.
    pub flows: u16,
    /// Most of what is offered are segments of a few TCP streams, as long as they may be: what LRO merges.
    pub streams: bool,
    /// One frame in three is a tunnel.
    pub tunnels: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { frame: 1514, segmented: 20_000, fragments: 16, flows: 16, streams: false, tunnels: false }
    }
}

impl To {
    fn roll(dice: &mut Dice) -> Self {
        match dice.below(12) {
            0 => Self::Broadcast,
            1 => Self::Group(dice.below(8) as u8),
            2 => Self::Foreign,
            _ => Self::Peer,
        }
    }
}

/// Lengths near the ends are as likely as all those between.
fn roll_len(dice: &mut Dice, least: u32, most: u32) -> u32 {
    let span = u64::from(most.saturating_sub(least));
    match dice.below(4) {
        0 => least + dice.below(span.min(8) + 1) as u32,
        1 => most.max(least) - dice.below(span.min(8) + 1) as u32,
        _ => least + dice.below(span + 1) as u32,
    }
}

fn roll_body(dice: &mut Dice, bounds: &Bounds) -> Body {
    if bounds.tunnels && dice.once_in(3) {
        return Body::Inside(Tunnel {
            kind: [Kind::Vxlan, Kind::OldVxlan, Kind::Geneve][dice.below(3) as usize],
            outer6: dice.once_in(2),
            load: [Load::Udp4, Load::Tcp4, Load::Udp6, Load::Tcp6][dice.below(4) as usize],
            tagged: dice.once_in(4),
            summed: dice.once_in(2),
        });
    }
    Body::WORDS[dice.below(Body::WORDS.len() as u64) as usize].0
}

impl Shape {
    /// A shape within `bounds`.
    pub fn roll(dice: &mut Dice, bounds: &Bounds) -> Self {
        let body = roll_body(dice, bounds);
        let headers = body.headers() as u32;
        let work = match dice.below(4) {
            0 | 1 => Work::None,
            2 => Work::Checksum,
            _ if body.is_tcp() && bounds.segmented > headers => {
                Work::Segment(roll_len(dice, 1, bounds.frame.saturating_sub(14).clamp(1, 0xffff)) as u16)
            }
            _ => Work::None,
        };
        let most = if matches!(work, Work::Segment(_)) { bounds.segmented } else { bounds.frame };
        Self {
            len: roll_len(dice, headers, most),
            fragments: 1 + dice.below(u64::from(bounds.fragments.max(1))) as u8,
            body,
            work,
            vlan: dice.once_in(4).then(|| dice.below(0x1_0000) as u16),
            to: To::roll(dice),
            flow: dice.below(u64::from(bounds.flows)) as u16,
        }
    }
}

impl WireShape {
    /// A segment of one of four streams; one in six is shorter than the others.
    fn of_stream(dice: &mut Dice, bounds: &Bounds) -> Self {
        let flow = dice.below(u64::from(bounds.flows.min(2))) as u16;
        let body = if dice.once_in(5) { Body::Tcp6 } else { Body::Tcp4 };
        let least = body.headers() as u32;
        let len = if dice.once_in(6) { roll_len(dice, least, bounds.frame) } else { bounds.frame };
        Self { len, body, flow, ..Self::default() }
    }

    /// A shape within `bounds`.
    pub fn roll(dice: &mut Dice, bounds: &Bounds) -> Self {
        if bounds.streams && !dice.once_in(6) {
            return Self::of_stream(dice, bounds);
        }
        let body = roll_body(dice, bounds);
        let tag = dice.once_in(4).then(|| dice.below(0x1_0000) as u16);
        let tag_bytes = if tag.is_some() { 4 } else { 0 };
        Self {
            len: roll_len(dice, body.headers() as u32, bounds.frame) + tag_bytes,
            body,
            tag,
            bad: dice.once_in(6),
            to: To::roll(dice),
            flow: dice.below(u64::from(bounds.flows)) as u16,
        }
    }
}
