//! What travels with the state of a device to another host, and what the two hosts say to each other through the fabric.
//!
//! A move is three containers of [`model::migrate::stream`] in a row: the departure, which says what the source's [`marker`] looks
//! like, the state, and what was handed over, interrupts that were not signalled and frames that came for the guest while it stood
//! still. The first two are there at once; the last when the source has seen the destination's [`announcement`].

use model::migrate::RestoreError;
use model::migrate::stream::{Reader, Writer};
use spec::layout::Bytes;
use spec::vmxnet3::MAX_VECTORS;
use std::collections::VecDeque;

use super::wire::{MAX_FRAME, MIN_FRAME};

/// Most frames that are handed over.
pub const MOST_FRAMES: usize = 4096;
/// Most bytes of frames that are handed over.
pub const MOST_BYTES: usize = 4 << 20;
/// Bytes of the longest container of this kind.
pub const MOST_HANDED: usize = MOST_BYTES + (MOST_FRAMES + 4) * 64;

/// Kind of part: [`DepartureV1`].
const DEPARTURE: u16 = 34;
/// Kind of part: [`OutsideV1`].
const OUTSIDE: u16 = 32;
/// Kind of part: vectors 32 to 64 whose message was not signalled, a bit of 8 bytes each; left out where there is none.
const LATER: u16 = 35;
/// Bits that [`LATER`] may have set.
const LATER_BITS: u64 = (1 << (MAX_VECTORS - 32)) - 1;
/// Kind of part: a frame, numbered from 0, oldest first.
const FRAME: u16 = 33;

spec::layout! {
    /// A guest leaves a host.
    pub struct DepartureV1(u128) = "Departure" {
        /// The guest's address, first byte lowest.
        [47:0] mac, set_mac: u64;
        /// Zero.
        [63:48] rsvd, set_rsvd: u16;
        /// Of this departure alone.
        [127:64] nonce, set_nonce: u64;
    }
}

impl DepartureV1 {
    /// Of the guest with this address.
    pub fn of(mac: [u8; 6], nonce: u64) -> Self {
        let [a, b, c, d, e, f] = mac;
        let mut departure = Self::default();
        departure.set_mac(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]));
        departure.set_nonce(nonce);
        departure
    }

    /// Appends its container.
    pub fn encode(self, profile: u16, into: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, profile);
        writer.raw(DEPARTURE, 0, &self.0.to_le_bytes());
        writer.finish();
        into.extend_from_slice(&bytes);
    }

    /// From its container.
    ///
    /// # Errors
    /// Names what was refused.
    pub fn decode(profile: u16, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader::new(bytes)?;
        if reader.profile() != profile {
            return Err(RestoreError::Profile { found: reader.profile() });
        }
        let part = reader.next_part()?.ok_or(RestoreError::Missing { part: "Departure", index: 0 })?;
        if part.kind != DEPARTURE || part.index != 0 {
            return Err(part.unknown());
        }
        let departure: Self = part.read()?;
        if departure.rsvd() != 0 {
            let (field, value) = ("rsvd", departure.rsvd().into());
            return Err(RestoreError::Field { part: "Departure", index: 0, field, value });
        }
        match reader.next_part()? {
            None => Ok(departure),
            Some(part) => Err(part.unknown()),
        }
    }
}

spec::layout! {
    /// What the server holds besides the device.
    pub struct OutsideV1(u128) = "Outside" {
        /// Vectors 0 to 31 whose message was not signalled, a bit each.
        [31:0] messages, set_messages: u32;
        /// The line is to be signalled.
        [32] line, set_line: bool;
        /// The peer was told of the asserted line and has not unmasked it since.
        [33] line_told, set_line_told: bool;
        /// The announcement of the destination was seen: every frame that was sent to the source is here.
        [34] barrier, set_barrier: bool;
        /// Zero.
        [63:35] rsvd, set_rsvd: u32;
        /// Frames that found no place.
        [127:64] dropped, set_dropped: u64;
    }
}

/// Frames that wait, oldest first, within [`MOST_FRAMES`] and [`MOST_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

impl Held {
    /// Takes a frame behind the others; one too many is dropped and counted.
    pub fn push(&mut self, frame: Vec<u8>) {
        if self.frames.len() >= MOST_FRAMES || self.bytes + frame.len() > MOST_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Takes frames that are older than all others, in their order.
    pub fn push_front(&mut self, frames: impl DoubleEndedIterator<Item = Vec<u8>>) {
        for frame in frames.rev() {
            self.bytes += frame.len();
            self.frames.push_front(frame);
        }
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().map(Vec::as_slice)
    }

    /// Frames that found no place.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// None, and nothing was dropped.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What is handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// Interrupts, and how the source came to its end.
    pub outside: OutsideV1,
    /// Vectors from 32 on whose message was not signalled, a bit each.
    pub later: u64,
    /// Frames for the guest.
    pub frames: Held,
}

impl Handed {
    /// Appends its bytes.
    pub fn encode(outside: OutsideV1, later: u64, frames: &Held, profile: u16, into: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, profile);
        writer.raw(OUTSIDE, 0, &outside.0.to_le_bytes());
        if later != 0 {
            writer.raw(LATER, 0, &later.to_le_bytes());
        }
        for (i, frame) in (0..).zip(frames.iter()) {
            writer.raw(FRAME, i, frame);
        }
        writer.finish();
        into.extend_from_slice(&bytes);
    }

    /// From bytes.
    ///
    /// # Errors
    /// Names what was refused.
    pub fn decode(profile: u16, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader::new(bytes)?;
        if reader.profile() != profile {
            return Err(RestoreError::Profile { found: reader.profile() });
        }
        let first = reader.next_part()?.ok_or(RestoreError::Missing { part: "Outside", index: 0 })?;
        if first.kind != OUTSIDE || first.index != 0 {
            return Err(first.unknown());
        }
        let outside: OutsideV1 = first.read()?;
        if outside.rsvd() != 0 {
            return Err(RestoreError::Field { part: "Outside", index: 0, field: "rsvd", value: outside.rsvd().into() });
        }
        let (mut later, mut frames) = (0, Held::default());
        while let Some(part) = reader.next_part()? {
            if part.kind == LATER && part.index == 0 && later == 0 && frames.is_empty() {
                let found = part.bytes.len() as u32;
                let wrong = RestoreError::Length { part: "Later", index: 0, found, expected: 8 };
                later = u64::from_le_bytes(part.bytes.try_into().map_err(|_| wrong)?);
                if later == 0 || later & !LATER_BITS != 0 {
                    return Err(RestoreError::Field { part: "Later", index: 0, field: "messages", value: later });
                }
                continue;
            }
            if part.kind != FRAME || usize::from(part.index) != frames.len() {
                return Err(part.unknown());
            }
            let found = part.bytes.len();
            if !(MIN_FRAME..=MAX_FRAME).contains(&found) {
                let (found, expected) = (found as u32, MIN_FRAME as u32);
                return Err(RestoreError::Length { part: "Frame", index: part.index, found, expected });
            }
            frames.push(part.bytes.to_vec());
            if frames.dropped() > 0 {
                return Err(part.unknown());
            }
        }
        Ok(Self { outside, later, frames })
    }
}

/// EtherType of RARP.
const RARP: u16 = 0x8035;

/// What a host sends when a guest has arrived, so that switches learn where it is: a reverse ARP request of the guest's own address,
/// broadcast and padded. One, untagged; a guest on a trunk is not announced in its VLANs (open).
///
/// Source: RFC 903; the same frame leaves QEMU (net/announce.c, `announce_self_create`) and VMware hosts.
pub fn announcement(mac: [u8; 6]) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&RARP.to_be_bytes());
    // Ethernet, IPv4, lengths 6 and 4, request reverse.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 3]);
    frame[22..28].copy_from_slice(&mac);
    frame[32..38].copy_from_slice(&mac);
    frame
}

/// Whether `frame` announces the guest with this address.
pub fn announces(frame: &[u8], mac: [u8; 6]) -> bool {
    frame.get(..38) == announcement(mac).get(..38)
}

/// EtherType of [`marker`]: IEEE 802 local experimental 2.
const EXPERIMENTAL: u16 = 0x88b6;
/// What a marker begins with, behind its EtherType.
const MARKER: &[u8; 8] = b"vnicleft";

/// What a source sends when its guest has sent its last frame there. Whoever gets it has got everything that the fabric forwarded
/// before it. It comes from an address of its own, so that no switch learns anything of the guest by it; guests do not get it.
pub fn marker(departure: DepartureV1) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&departure.mac().to_le_bytes()[..6]);
    frame[6] = (frame[6] ^ 2) & !1;
    frame[12..14].copy_from_slice(&EXPERIMENTAL.to_be_bytes());
    frame[14..22].copy_from_slice(MARKER);
    frame[22..38].copy_from_slice(&departure.0.to_le_bytes());
    frame
}

/// The departure that a frame marks, if it is a marker.
pub fn marks(frame: &[u8]) -> Option<DepartureV1> {
    let body = frame.get(12..)?.strip_prefix(&EXPERIMENTAL.to_be_bytes())?.strip_prefix(MARKER)?;
    Some(DepartureV1(u128::from_le_bytes(*body.first_chunk()?)))
}

/// Bytes of the container that `bytes` begins with, as far as its header is here.
pub fn container_bytes(bytes: &[u8]) -> Option<u64> {
    use model::migrate::stream::Header;
    bytes.get(..Header::SIZE).map(|header| Header::get(header).length())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_handed_over_arrives_and_nothing_else_is_taken(
            messages in any::<u32>(),
            later in 0..=LATER_BITS,
            flags in any::<[bool; 3]>(),
            frames in vec(vec(any::<u8>(), 14..80), 0..20),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let mut outside = OutsideV1::default();
            outside.set_messages(messages);
            outside.set_line(flags[0]);
            outside.set_line_told(flags[1]);
            outside.set_barrier(flags[2]);
            let mut held = Held::default();
            frames.into_iter().for_each(|frame| held.push(frame));
            let mut bytes = Vec::new();
            Handed::encode(outside, later, &held, 3, &mut bytes);
            prop_assert_eq!(container_bytes(&bytes), Some(bytes.len() as u64));
            prop_assert_eq!(Handed::decode(3, &bytes).unwrap(), Handed { outside, later, frames: held });
            prop_assert!(Handed::decode(4, &bytes).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(Handed { outside, later, frames }) = Handed::decode(3, &bytes) {
                let mut again = Vec::new();
                Handed::encode(outside, later, &frames, 3, &mut again);
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..200)) {
            prop_assert!(Handed::decode(0, &bytes).is_err());
        }
    }

    #[test]
    fn frames_beyond_the_bound_are_counted() {
        let mut held = Held::default();
        (0..MOST_FRAMES + 3).for_each(|_| held.push(vec![0; 60]));
        assert_eq!((held.len(), held.dropped()), (MOST_FRAMES, 3));
        held.push_front([vec![1], vec![2]].into_iter());
        assert_eq!((held.pop(), held.pop()), (Some(vec![1]), Some(vec![2])));
    }

    #[test]
    fn a_marker_is_known_by_its_departure_and_comes_from_an_address_of_its_own() {
        let departure = DepartureV1::of([0, 0x50, 0x56, 0, 0, 7], 99);
        let frame = marker(departure);
        assert_eq!((marks(&frame), &frame[6..12]), (Some(departure), &[2, 0x50, 0x56, 0, 0, 7][..]));
        assert_eq!((marks(&announcement([2; 6])), marks(&frame[..37])), (None, None));
        let mut bytes = Vec::new();
        departure.encode(3, &mut bytes);
        assert_eq!(DepartureV1::decode(3, &bytes), Ok(departure));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x80;
            assert_ne!(DepartureV1::decode(3, &bytes), Ok(departure), "{at}");
            assert!(DepartureV1::decode(3, &bytes[..at]).is_err());
        }
    }

    #[test]
    fn an_announcement_is_known_by_its_address() {
        let frame = announcement([2, 0, 0, 0, 0, 7]);
        assert!(announces(&frame, [2, 0, 0, 0, 0, 7]) && !announces(&frame, [2, 0, 0, 0, 0, 8]));
        assert!(!announces(&frame[..20], [2, 0, 0, 0, 0, 7]));
    }
}
