//! Builds frames from shapes: valid headers and checksums, payloads that carry their identity.
//!
//! A packet with offloads is prepared as a driver prepares it: the checksum field holds the pseudo-header sum, without the length
//! when the device segments. Source: linux vmxnet3_drv.c, vmxnet3_parse_hdr and vmxnet3_prepare_tso.

use super::packet::{Fragments, Offload, Packet};
use super::shape::{Body, Shape, To, WireShape, Work};
use super::tunnel::Tunnel;
use spec::frame::{self, Dice};
use std::collections::BTreeMap;

/// Longest frame an IP header can describe.
const MOST: usize = 14 + 65_535;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Makes frames that can be told apart: each takes the next id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Key of every payload.
    pub seed: u64,
    /// Id of the next frame.
    pub next_id: u64,
    /// The guest's address: source of packets it sends, destination of frames for it.
    pub guest: [u8; 6],
    /// The other side's address.
    pub peer: [u8; 6],
    /// Sequence number of what comes next from the wire, a TCP stream each: by version of IP and flow.
    streams: BTreeMap<(Body, u16), u32>,
}

/// How a checksum field is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    Good,
    Bad,
    /// Pseudo-header sum, with the length.
    Seed,
    /// Pseudo-header sum without the length.
    SeedWithoutLength,
}

#[derive(Clone, Copy)]
struct Headers {
    destination: [u8; 6],
    source: [u8; 6],
    tag: Option<u16>,
    body: Body,
    flow: u16,
    sum: Sum,
    /// A segment of a stream with this sequence number; otherwise it is a packet by itself.
    sequence: Option<u32>,
}

impl Traffic {
    /// Frames of `seed` between `guest` and a peer.
    pub fn new(seed: u64, guest: [u8; 6]) -> Self {
        Self { seed, next_id: 1, guest, peer: [0x02, 0, 0, 0, 0, 0xfe], streams: BTreeMap::new() }
    }

    /// Address of multicast group `n`.
    pub const fn group(n: u8) -> [u8; 6] {
        [0x01, 0x00, 0x5e, 0, 0, n]
    }

    fn address(to: To, peer: [u8; 6]) -> [u8; 6] {
        match to {
            To::Peer => peer,
            To::Broadcast => [0xff; 6],
            To::Group(n) => Self::group(n),
            To::Foreign => [0x02, 0, 0, 0, 0xaa, 0xaa],
        }
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// Builds a packet for the guest to send, into `packet`, and says its id.
    pub fn packet(&mut self, shape: &Shape, packet: &mut Packet) -> u64 {
        let id = self.take_id();
        let headers = shape.body.headers();
        let work = match shape.work {
            Work::Checksum if shape.body != Body::Raw => shape.work,
            Work::Segment(mss) if shape.body.is_tcp() && mss > 0 && shape.len as usize > headers => shape.work,
            _ => Work::None,
        };
        let sum = match work {
            Work::None => Sum::Good,
            Work::Checksum => Sum::Seed,
            Work::Segment(_) => Sum::SeedWithoutLength,
        };
        let destination = Self::address(shape.to, self.peer);
        let make = Headers {
            destination,
            source: self.guest,
            tag: None,
            body: shape.body,
            flow: shape.flow,
            sum,
            sequence: None,
        };
        build(&make, self.seed, id, shape.len as usize, &mut packet.frame);
        if work == Work::Checksum && !shape.body.is_tcp() && frame::mix(id).is_multiple_of(16) {
            sum_to_zero(&mut packet.frame, l4_offset(shape.body));
        }
        let l4 = l4_offset(shape.body) as u16;
        let field = l4 + checksum_field(shape.body) as u16;
        let (headers, tunnel) = (headers as u16, tunnel_of(shape.body));
        packet.offload = match (work, tunnel) {
            (Work::None, _) => Offload::None,
            (Work::Checksum, None) => Offload::Checksum { start: l4, field },
            (Work::Segment(mss), None) => Offload::Segment { headers, mss },
            (Work::Checksum, Some(tunnel)) => Offload::InnerChecksum { headers, field, outer: tunnel.summed },
            (Work::Segment(mss), Some(tunnel)) => Offload::InnerSegment { headers, mss, outer: tunnel.summed },
        };
        packet.vlan = shape.vlan;
        let most = packet.most_descriptors();
        packet.fragments =
            cut(packet.frame.len(), usize::from(shape.fragments).clamp(1, most), frame::mix(self.seed ^ id));
        id
    }

    /// The sequence number of the next segment of a stream, which it moves on.
    fn next_of_stream(&mut self, shape: &WireShape) -> u32 {
        let tag = if shape.tag.is_some() { 4 } else { 0 };
        let payload = (shape.len as usize).saturating_sub(shape.body.headers() + tag) as u32;
        // Not far from the end of the numbers, so that they wrap.
        let next = self.streams.entry((shape.body, shape.flow)).or_insert(0xffff_0000);
        let sequence = *next;
        *next = next.wrapping_add(payload);
        sequence
    }

    /// Builds a frame for the wire to offer, into `into`, and says its id.
    pub fn wire(&mut self, shape: &WireShape, into: &mut Vec<u8>) -> u64 {
        let id = self.take_id();
        let alone = tunnel_of(shape.body).is_some() || !shape.body.is_tcp();
        let sequence = (!alone).then(|| self.next_of_stream(shape));
        let make = Headers {
            sequence,
            destination: Self::address(shape.to, self.guest),
            source: self.peer,
            tag: shape.tag,
            body: shape.body,
            flow: shape.flow,
            sum: if shape.bad { Sum::Bad } else { Sum::Good },
        };
        build(&make, self.seed, id, shape.len as usize, into);
        id
    }
}

/// `len` bytes in `count` fragments at boundaries from `seed`, each at most 16384 bytes.
fn cut(len: usize, count: usize, seed: u64) -> Fragments {
    let mut dice = Dice::new(seed);
    let count = count.min(len);
    let mut cuts = Fragments::default();
    let mut left = len;
    for more in (1..count).rev() {
        // A quarter of the fragments are a few bytes, so that headers come in pieces.
        let most = if dice.once_in(4) { (left - more).min(20) } else { (left - more).min(super::packet::MAX_FRAGMENT) };
        let piece = 1 + dice.below(most as u64) as usize;
        cuts.push(piece);
        left -= piece;
    }
    let rest = left.div_ceil(super::packet::MAX_FRAGMENT);
    if cuts.count() + rest > 24 {
        return Fragments::whole(len);
    }
    while left > 0 {
        let piece = left.min(super::packet::MAX_FRAGMENT);
        cuts.push(piece);
        left -= piece;
    }
    cuts
}

/// The tunnel that a body is, if it is one.
const fn tunnel_of(body: Body) -> Option<Tunnel> {
    match body {
        Body::Inside(tunnel) => Some(tunnel),
        Body::Raw | Body::Udp4 | Body::Tcp4 | Body::Udp6 | Body::Tcp6 => None,
    }
}

/// Byte offset of the L4 header without a tag in front; of the carried one in a tunnel.
const fn l4_offset(body: Body) -> usize {
    match body {
        Body::Raw => 14,
        Body::Udp4 | Body::Tcp4 => 34,
        Body::Udp6 | Body::Tcp6 => 54,
        Body::Inside(tunnel) => tunnel.headers() - if body.is_tcp() { 20 } else { 8 },
    }
}

/// Byte offset of the checksum in the L4 header.
const fn checksum_field(body: Body) -> usize {
    if body.is_tcp() { 16 } else { 6 }
}

fn build(make: &Headers, seed: u64, id: u64, len: usize, into: &mut Vec<u8>) {
    let tag_bytes = if make.tag.is_some() { 4 } else { 0 };
    let len = len.clamp(make.body.headers() + tag_bytes, MOST + tag_bytes);
    into.clear();
    into.resize(len, 0);
    match make.body {
        Body::Inside(tunnel) => {
            let tag = tunnel.tagged.then_some(super::tunnel::TAG);
            let load = Headers { tag, body: tunnel.load.body(), ..*make };
            lay(&load, seed, id, &mut into[tag_bytes + tunnel.around()..]);
            let unfinished = matches!(make.sum, Sum::Seed | Sum::SeedWithoutLength);
            tunnel.wrap(&mut into[tag_bytes..], make.flow, id, unfinished);
            lay_ethernet(make, into);
        }
        _ => lay(make, seed, id, into),
    }
}

/// Writes the addresses and the tag in front of what a frame carries.
fn lay_ethernet(make: &Headers, frame: &mut [u8]) {
    frame[..6].copy_from_slice(&make.destination);
    frame[6..12].copy_from_slice(&make.source);
    if let Some(tci) = make.tag {
        frame[12..14].copy_from_slice(&[0x81, 0x00]);
        frame[14..16].copy_from_slice(&tci.to_be_bytes());
    }
}

/// Writes a frame that is no tunnel.
fn lay(make: &Headers, seed: u64, id: u64, into: &mut [u8]) {
    let tag_bytes = if make.tag.is_some() { 4 } else { 0 };
    let headers = make.body.headers() + tag_bytes;
    let kind = match make.body {
        Body::Raw | Body::Inside(_) => frame::EXPERIMENTAL,
        Body::Udp4 | Body::Tcp4 => 0x0800,
        Body::Udp6 | Body::Tcp6 => 0x86dd,
    };
    lay_ethernet(make, into);
    into[12 + tag_bytes..14 + tag_bytes].copy_from_slice(&kind.to_be_bytes());
    frame::fill(seed, id, &mut into[headers..]);
    let packet = &mut into[14 + tag_bytes..];
    match make.body {
        Body::Raw | Body::Inside(_) => {}
        Body::Udp4 | Body::Tcp4 => ipv4(packet, make, id),
        Body::Udp6 | Body::Tcp6 => ipv6(packet, make, id),
    }
}

fn ipv4(packet: &mut [u8], make: &Headers, id: u64) {
    let protocol = if make.body.is_tcp() { TCP } else { UDP };
    let total = packet.len() as u16;
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[4..6].copy_from_slice(&(id as u16).to_be_bytes());
    packet[6] = 0x40;
    packet[8] = 64;
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
    packet[16..20].copy_from_slice(&[10, 0, (make.flow >> 8) as u8, make.flow as u8]);
    if make.sum != Sum::SeedWithoutLength {
        let check = !fold(add(0, &packet[..20]));
        packet[10..12].copy_from_slice(&check.to_be_bytes());
    }
    let (header, l4) = packet.split_at_mut(20);
    layer4(l4, add(u64::from(protocol), &header[12..20]), make, id);
}

fn ipv6(packet: &mut [u8], make: &Headers, id: u64) {
    let protocol = if make.body.is_tcp() { TCP } else { UDP };
    let payload = (packet.len() - 40) as u16;
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&payload.to_be_bytes());
    packet[6] = protocol;
    packet[7] = 64;
    packet[8] = 0xfd;
    packet[23] = 1;
    packet[24] = 0xfd;
    packet[38..40].copy_from_slice(&make.flow.to_be_bytes());
    let (header, l4) = packet.split_at_mut(40);
    layer4(l4, add(u64::from(protocol), &header[8..40]), make, id);
}

/// TCP or UDP header over a payload in place; `pseudo` is the pseudo-header sum without the length.
fn layer4(l4: &mut [u8], pseudo: u64, make: &Headers, id: u64) {
    let len = l4.len();
    l4[0..2].copy_from_slice(&(1024 + make.flow % 60_000).to_be_bytes());
    l4[2..4].copy_from_slice(&5001u16.to_be_bytes());
    if make.body.is_tcp() {
        let random = frame::mix(id);
        l4[4..8].copy_from_slice(&(random as u32).to_be_bytes());
        l4[8..12].copy_from_slice(&((random >> 32) as u32).to_be_bytes());
        l4[12] = 0x50;
        // ACK and PSH; FIN and CWR now and then, which segmentation treats apart.
        l4[13] = 0x18 | u8::from(random.is_multiple_of(8)) | (u8::from(random.is_multiple_of(5)) << 7);
        if let Some(sequence) = make.sequence {
            l4[4..8].copy_from_slice(&sequence.to_be_bytes());
            l4[8..12].copy_from_slice(&u32::from(make.flow).to_be_bytes());
            l4[13] = 0x10 | (u8::from(random.is_multiple_of(7)) << 3) | u8::from(random.is_multiple_of(61));
        }
        l4[14..16].copy_from_slice(&[0xff, 0xff]);
    } else {
        l4[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    }
    let with_length = pseudo + len as u64;
    let mut value = match make.sum {
        Sum::Seed => fold(with_length),
        Sum::SeedWithoutLength => fold(pseudo),
        Sum::Good | Sum::Bad => !fold(add(with_length, l4)),
    };
    if make.sum == Sum::Bad {
        value = value.wrapping_add(0x0101);
    }
    if value == 0 && !make.body.is_tcp() && make.sum != Sum::Seed {
        value = 0xffff;
    }
    let at = checksum_field(make.body);
    l4[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Adds big-endian 16-bit words. Source: RFC 1071.
pub(super) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |&b| u64::from(b) << 8);
    words.map(|w| u64::from(u16::from_be_bytes([w[0], w[1]]))).sum::<u64>() + sum + odd
}

/// Folds such a sum to 16 bits.
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Changes the last whole word behind `start` so that the sum from there is all ones: the checksum is then 0, which UDP sends
/// as all ones.
fn sum_to_zero(frame: &mut [u8], start: usize) {
    let l4 = &frame[start..];
    // The word must lie behind the 8 header bytes, on an even place.
    if l4.len() < 12 {
        return;
    }
    let at = start + (l4.len() / 2 - 1) * 2;
    frame[at..at + 2].fill(0);
    let sum = frame[start..].chunks(2).fold(0u32, |sum, word| {
        let sum = sum + u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
        (sum & 0xffff) + (sum >> 16)
    });
    frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::shape::Bounds;
    use super::*;

    /// What a receiver computes: 0 for a good packet. `l4` starts after the IP header.
    fn residue(frame: &[u8], tag: usize) -> u16 {
        let ip = &frame[14 + tag..];
        let (addresses, l4, protocol) =
            if ip[0] >> 4 == 4 { (&ip[12..20], &ip[20..], ip[9]) } else { (&ip[8..40], &ip[40..], ip[6]) };
        !fold(add(add(u64::from(protocol) + l4.len() as u64, addresses), l4))
    }

    #[test]
    fn frames_for_the_wire_have_good_checksums_unless_asked() {
        let mut dice = Dice::new(1);
        let mut traffic = Traffic::new(9, [2; 6]);
        let mut frame = Vec::new();
        for _ in 0..2000 {
            let shape = WireShape::roll(&mut dice, &Bounds::default());
            let id = traffic.wire(&shape, &mut frame);
            let tag = if shape.tag.is_some() { 4 } else { 0 };
            assert_eq!(frame.len(), shape.len as usize);
            let payload = &frame[shape.body.headers() + tag..];
            let mut expected = vec![0; payload.len()];
            frame::fill(9, id, &mut expected);
            assert_eq!(payload, expected);
            if shape.body != Body::Raw {
                assert_eq!(residue(&frame, tag) != 0, shape.bad, "{shape:?}");
            }
        }
    }

    #[test]
    fn finishing_a_checksum_seed_gives_a_good_packet() {
        let mut dice = Dice::new(2);
        let mut traffic = Traffic::new(9, [2; 6]);
        let mut packet = Packet::default();
        let (mut sums, mut cuts) = (0, 0);
        for _ in 0..2000 {
            let shape = Shape::roll(&mut dice, &Bounds::default());
            traffic.packet(&shape, &mut packet);
            assert_eq!(packet.fragments.bytes(), packet.frame.len());
            assert!(packet.fragments.count() <= packet.most_descriptors());
            cuts += packet.fragments.count() - 1;
            match packet.offload {
                Offload::Checksum { start, field } => {
                    let (start, field) = (usize::from(start), usize::from(field));
                    let sum = !fold(add(0, &packet.frame[start..]));
                    packet.frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
                    assert_eq!(residue(&packet.frame, 0), 0);
                    sums += 1;
                }
                Offload::None if shape.body != Body::Raw => assert_eq!(residue(&packet.frame, 0), 0),
                _ => {}
            }
        }
        assert!(sums > 100 && cuts > 1000);
    }
}
