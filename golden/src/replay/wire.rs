//! The captured frames as a schedule: which the guest sent, which came for it, in the order of the wire.

use crate::import::Frame;

/// The frames, and how far they went.
#[derive(Clone, Debug)]
pub(super) struct Wire<'a> {
    frames: &'a [Frame],
    /// For each place, the first frame from there on that the guest sent.
    next_sent: std::rc::Rc<[usize]>,
    at: usize,
}

/// A frame and its number in the recording, counted from 1.
pub(super) type Numbered<'a> = (usize, &'a [u8]);

impl<'a> Wire<'a> {
    /// `macs` are the addresses that the guest ever had.
    pub fn new(frames: &'a [Frame], macs: &[[u8; 6]]) -> Self {
        let mut next_sent = vec![frames.len(); frames.len() + 1];
        for at in (0..frames.len()).rev() {
            let sent = source(&frames[at].bytes).is_some_and(|source| macs.contains(&source));
            next_sent[at] = if sent { at } else { next_sent[at + 1] };
        }
        Self { frames, next_sent: next_sent.into(), at: 0 }
    }

    /// Frames that come for the guest before it sends the next one.
    pub fn incoming(&self) -> usize {
        self.next_sent[self.at] - self.at
    }

    /// The next frame for the guest, if it comes before the next one that the guest sends.
    pub fn receive(&mut self) -> Option<Numbered<'a>> {
        (self.incoming() > 0).then(|| self.take()).flatten()
    }

    /// The next frame that the guest sends; those that come before it were received.
    pub fn send(&mut self) -> Option<Numbered<'a>> {
        (self.incoming() == 0).then(|| self.take()).flatten()
    }

    /// The next frame that the guest sends, without sending it.
    pub fn peek(&self) -> Option<Numbered<'a>> {
        self.clone().send()
    }

    /// The frame that was sent or received last.
    pub fn last(&self) -> Option<&'a [u8]> {
        self.frames.get(self.at.checked_sub(1)?).map(|frame| frame.bytes.as_slice())
    }

    /// Frames not sent or received yet.
    pub fn left(&self) -> usize {
        self.frames.len() - self.at
    }

    fn take(&mut self) -> Option<Numbered<'a>> {
        let frame = self.frames.get(self.at)?;
        self.at += 1;
        Some((self.at, &frame.bytes))
    }
}

/// Source address.
pub(super) fn source(frame: &[u8]) -> Option<[u8; 6]> {
    frame.get(6..12)?.try_into().ok()
}

/// What is wrong with the recording as such: (frame number, words).
pub(super) fn flaws(frames: &[Frame]) -> Vec<(usize, String)> {
    let mut flaws = Vec::new();
    let mut before = 0;
    for (i, frame) in frames.iter().enumerate() {
        if frame.nanos < before {
            flaws.push((i + 1, "is earlier than the frame before it".into()));
        }
        if frame.wire_len as usize != frame.bytes.len() {
            flaws.push((i + 1, format!("is cut: {} of {} bytes", frame.bytes.len(), frame.wire_len)));
        }
        if let Some(what) = checksum_flaw(&frame.bytes) {
            flaws.push((i + 1, format!("has a wrong {what} checksum")));
        }
        before = frame.nanos;
    }
    flaws
}

/// The first checksum in an IPv4 or IPv6 frame that is wrong: the payload of a frame is compared with nothing else.
fn checksum_flaw(frame: &[u8]) -> Option<&'static str> {
    use spec::checksum::{add, fold, pseudo};
    let (ethertype, l3) = match frame.get(12..14)? {
        [0x81, 0] => (frame.get(16..18)?, 18),
        other => (other, 14),
    };
    let (addresses, protocol, from, end) = match ethertype {
        [8, 0] => {
            let header = usize::from(frame.get(l3)? & 15) * 4;
            let ip = frame.get(l3..l3 + header).filter(|ip| ip.len() >= 20)?;
            if fold(add(0, ip)) != 0xffff {
                return Some("IPv4 header");
            }
            let end = l3 + usize::from(u16::from_be_bytes([ip[2], ip[3]]));
            if u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0 {
                return None;
            }
            (&ip[12..20], ip[9], l3 + header, end)
        }
        [0x86, 0xdd] => {
            let ip = frame.get(l3..l3 + 40)?;
            (&ip[8..40], ip[6], l3 + 40, l3 + 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])))
        }
        _ => return None,
    };
    let body = frame.get(from..end)?;
    let over = |start| fold(add(start, body)) != 0xffff;
    let with_pseudo = || over(pseudo(addresses, protocol, body.len() as u32));
    match protocol {
        1 if over(0) => Some("ICMP"),
        6 if with_pseudo() => Some("TCP"),
        17 if body.get(6..8)? != [0, 0] && with_pseudo() => Some("UDP"),
        58 if with_pseudo() => Some("ICMPv6"),
        _ => None,
    }
}

/// The groups that a Linux guest is in, as far as the wire shows them: all nodes and all hosts, the solicited-node groups
/// that it asked, and the VLAN registration group once it uses a tag. Sources: RFC 1112, RFC 4291, IEEE 802.1Q (MVRP).
pub(super) fn groups(frames: &[Frame], macs: &[[u8; 6]]) -> Vec<[u8; 6]> {
    const MVRP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x21];
    let mut groups = vec![[0x33, 0x33, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]];
    for frame in frames.iter().filter(|f| source(&f.bytes).is_some_and(|source| macs.contains(&source))) {
        let mut join = |group: [u8; 6]| {
            if !groups.contains(&group) {
                groups.push(group);
            }
        };
        if frame.bytes.get(12..14) == Some(&[0x81, 0]) {
            join(MVRP);
        }
        if let Some(group) = frame.bytes.first_chunk().filter(|group: &&[u8; 6]| group[..3] == [0x33, 0x33, 0xff]) {
            join(*group);
        }
    }
    groups
}
