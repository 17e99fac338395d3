//! LRO: segments of one TCP stream that wait behind each other become one packet.
//!
//! Nothing is held back for it: a frame joins the one in the inbox only as long as nobody has looked at that one. A packet that was
//! merged and does not find its buffers is taken apart again and delivered segment by segment, so LRO loses nothing that would arrive
//! without it. No source says which segments a device merges. Ours merges what a receiver could cut again byte for byte but for the
//! identification of an IPv4 packet that is not to be fragmented, which means nothing (RFC 6864): whole segments in sequence, right
//! checksums, equal headers, no flag but ACK and PSH, each but the last as long as the first, and PSH only on the last.

use crate::vmxnet3::headers::{Family, Ip, TCP, be16};
use crate::vmxnet3::receive::Protocols;
use spec::checksum;

/// TCP flags of a segment that can be merged.
const ACK: u8 = 0x10;
/// The flag that ends a packet.
const PSH: u8 = 0x08;
/// Flags and offset of an IPv4 header that says "do not fragment" and is no fragment.
const WHOLE: u16 = 0x4000;
/// Most bytes an IP length field can tell.
const LONGEST: usize = 65_535;

/// The segments of the packet in the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Train {
    /// The frames as they came, one behind the other; empty while there is one alone.
    raw: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Those that are dealt with.
    done: usize,
    /// It was taken apart: its frames go on one by one.
    apart: bool,
    /// What joins has to continue this; none before anything was looked for, or where nothing can join any more.
    open: Option<Stream>,
}

/// What the next segment of a stream has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stream {
    family: Family,
    l3: usize,
    l4: usize,
    /// Bytes of all headers.
    header: usize,
    /// Payload bytes of the first segment.
    mss: usize,
    /// Payload bytes so far.
    payload: usize,
    /// Sequence number behind them.
    next: u32,
}

impl Stream {
    /// The stream that `frame` is a segment of, if others may join it there, and whether it ends a packet.
    fn of(frame: &[u8]) -> Option<(Self, bool)> {
        let ip = Ip::received(frame)?;
        let plain = match ip.family {
            Family::V4 => ip.l4 - ip.l3 == 20 && be16(frame, ip.l3 + 6)? == WHOLE,
            Family::V6 => ip.l4 - ip.l3 == 40,
        };
        if !plain || ip.protocol != TCP || ip.end(frame) != Some(frame.len()) {
            return None;
        }
        let tcp = frame.get(ip.l4..)?;
        let header = ip.l4 + usize::from(*tcp.get(12)? >> 4) * 4;
        let flags = *tcp.get(13)?;
        if header < ip.l4 + 20 || header >= frame.len() || flags & !PSH != ACK {
            return None;
        }
        let seen = Protocols::of(frame, Some(ip));
        if !seen.transport_right || seen.v4 != seen.ip_right {
            return None;
        }
        let payload = frame.len() - header;
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let next = sequence.wrapping_add(payload as u32);
        let stream = Self { family: ip.family, l3: ip.l3, l4: ip.l4, header, mss: payload, payload, next };
        Some((stream, flags & PSH != 0))
    }

    /// Whether the headers of `second` say what those of `first` say, but for what differs from segment to segment.
    fn is_alike(&self, first: &[u8], second: &[u8]) -> bool {
        let same = |from: usize, to: usize| first[from..to] == second[from..to];
        let (l3, l4) = (self.l3, self.l4);
        let ip = match self.family {
            Family::V4 => same(0, l3 + 2) && same(l3 + 6, l3 + 10) && same(l3 + 12, l4),
            Family::V6 => same(0, l3 + 4) && same(l3 + 6, l4),
        };
        ip && same(l4, l4 + 4) && same(l4 + 8, l4 + 13) && same(l4 + 14, l4 + 16) && same(l4 + 18, self.header)
    }
}

impl Train {
    /// Nothing is left.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.ends.clear();
        self.done = 0;
        self.apart = false;
        self.open = None;
    }

    /// Segments in the packet in the inbox, at least 1.
    pub fn segments(&self) -> usize {
        if self.apart { 1 } else { self.ends.len().max(1) }
    }

    /// Bytes of payload of each segment but the last.
    pub fn mss(&self) -> usize {
        self.open.map_or(0, |stream| stream.mss)
    }

    /// Lets `next` join `frame`, if it continues it and there are fewer than `most` segments. `past_push` goes on behind one that was
    /// pushed, which is wrong.
    pub fn join(&mut self, frame: &mut Vec<u8>, next: &[u8], most: usize, past_push: bool) -> bool {
        if self.apart || self.segments() >= most {
            return false;
        }
        if self.open.is_none() {
            if !self.ends.is_empty() {
                return false;
            }
            self.open = Stream::of(frame).filter(|(_, last)| !last || past_push).map(|(stream, _)| stream);
        }
        let Some(stream) = &mut self.open else { return false };
        if stream.payload % stream.mss != 0 || next.len() < stream.header {
            return false;
        }
        let Some((joining, last)) = Stream::of(next) else { return false };
        let fits = (joining.family, joining.l3, joining.l4, joining.header)
            == (stream.family, stream.l3, stream.l4, stream.header)
            && joining.payload <= stream.mss
            && joining.next.wrapping_sub(joining.payload as u32) == stream.next
            && frame.len() - stream.l3 + joining.payload <= LONGEST
            && (frame[stream.l4 + 13] & PSH == 0 || past_push)
            && stream.is_alike(frame, next);
        if !fits {
            return false;
        }
        if self.ends.is_empty() {
            self.raw.extend_from_slice(frame);
            self.ends.push(frame.len());
        }
        self.raw.extend_from_slice(next);
        self.ends.push(self.raw.len());
        frame.extend_from_slice(&next[stream.header..]);
        stream.payload += joining.payload;
        stream.next = joining.next;
        if last {
            frame[stream.l4 + 13] |= PSH;
        }
        true
    }

    /// Makes the headers of a merged `frame` say what it is: lengths and checksums.
    pub fn finish(&self, frame: &mut [u8]) {
        let Some(stream) = self.open.filter(|_| self.segments() > 1) else { return };
        let (l3, l4) = (stream.l3, stream.l4);
        let length = (frame.len() - l3) as u16;
        match stream.family {
            Family::V4 => {
                frame[l3 + 2..l3 + 4].copy_from_slice(&length.to_be_bytes());
                frame[l3 + 10..l3 + 12].fill(0);
                let sum = checksum::finish(checksum::add(0, &frame[l3..l4]));
                frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
            }
            Family::V6 => frame[l3 + 4..l3 + 6].copy_from_slice(&(length - 40).to_be_bytes()),
        }
        frame[l4 + 16..l4 + 18].fill(0);
        let (ip, tcp) = frame[l3..].split_at(l4 - l3);
        let addresses = if stream.family == Family::V6 { &ip[8..40] } else { &ip[12..20] };
        let sum = checksum::add(checksum::pseudo(addresses, TCP, tcp.len() as u32), tcp);
        frame[l4 + 16..l4 + 18].copy_from_slice(&checksum::finish(sum).to_be_bytes());
    }

    /// Takes the packet apart: `frame` becomes the first segment as it came, and nothing joins it. False where it is one alone.
    pub fn take_apart(&mut self, frame: &mut Vec<u8>) -> bool {
        if self.segments() < 2 {
            return false;
        }
        self.apart = true;
        self.open = None;
        self.load(frame);
        true
    }

    /// The next segment of a packet that was taken apart becomes `frame`; false when there is none.
    pub fn advance(&mut self, frame: &mut Vec<u8>) -> bool {
        self.done += 1;
        let more = self.apart && self.done < self.ends.len();
        if more {
            self.load(frame);
        }
        more
    }

    fn load(&self, frame: &mut Vec<u8>) {
        frame.clear();
        frame.extend_from_slice(self.segment(self.done));
    }

    fn segment(&self, number: usize) -> &[u8] {
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.raw[from..self.ends[number]]
    }

    /// The frames as they came that are not dealt with, oldest first; none while there is one alone.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        (self.done..self.ends.len()).map(|number| self.segment(number))
    }
}
