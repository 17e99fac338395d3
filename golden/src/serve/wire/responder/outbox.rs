//! Frames on their way to the guest, and what happens to each before it may go: cut to the guest's MTU, its VLAN tag put in.
//!
//! The TCP/IP crate believes in an MTU of 65,535, so that it never fragments itself: its fragmenter holds one packet and loses it
//! when a second needs it. IPv4 packets are cut here instead, to the size the guest was last seen to send, and the segment size
//! offered to the guest's TCP is lowered to the MTU as a router would.

use super::face::Inside;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpOption, TcpPacket};
use std::collections::VecDeque;

/// Bytes before the IP packet in an untagged frame.
const ETHERNET: usize = 14;

/// The tag protocol identifier of a VLAN tag. Source: IEEE 802.1Q.
const TPID: [u8; 2] = [0x81, 0x00];

/// Frames kept for reuse at most; also how many may wait before frames of the guest are refused.
pub(super) const LIMIT: usize = 512;

/// Smallest IP packet every guest takes. Source: RFC 8200, section 5.
pub(super) const LEAST_MTU: usize = 1280;

/// Finished frames, oldest first, and buffers for the next ones.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Vec<u8>>,
    free: Vec<Vec<u8>>,
    /// Identification of the next packet that is cut.
    ident: u16,
    /// Packets larger than the guest takes that cannot be cut.
    pub(super) oversized: u64,
}

/// How frames are finished on one face.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// What it is put into.
    pub(super) inside: Inside,
    /// Largest IP packet the guest takes.
    pub(super) guest_mtu: usize,
    /// Largest IP packet the guest may send us.
    pub(super) mtu: usize,
}

impl Outbox {
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= LIMIT
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The oldest frame; `old`'s buffer is kept for a later one.
    pub(super) fn pop(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(frame) = self.queue.pop_front() else { return false };
        let old = std::mem::replace(into, frame);
        self.recycle(old);
        true
    }

    /// A zeroed buffer of `len` bytes.
    pub(super) fn buffer(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.resize(len, 0);
        buffer
    }

    /// Keeps a buffer for a later frame.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 && self.free.len() < LIMIT {
            self.free.push(buffer);
        }
    }

    /// Queues an untagged frame that the TCP/IP crate has written.
    pub(super) fn push(&mut self, mut frame: Vec<u8>, finish: Finish) {
        limit_segments(&mut frame, finish.mtu);
        let packet = frame.len().saturating_sub(ETHERNET);
        if packet <= finish.guest_mtu {
            self.queue(frame, finish.inside);
            return;
        }
        match Ipv4Packet::new_checked(frame.get(ETHERNET..).unwrap_or_default()).map(|packet| packet.header_len()) {
            Ok(header) if EthernetFrame::new_unchecked(&frame).ethertype() == EthernetProtocol::Ipv4 => {
                self.cut(&frame, usize::from(header), finish);
            }
            _ => self.oversized += 1,
        }
        self.recycle(frame);
    }

    /// Queues the IPv4 packet in `frame` as fragments.
    fn cut(&mut self, frame: &[u8], header: usize, finish: Finish) {
        let (headers, payload) = frame.split_at(ETHERNET + header);
        // Every fragment but the last carries a multiple of 8 bytes.
        let step = (finish.guest_mtu.max(LEAST_MTU) - header) / 8 * 8;
        self.ident = self.ident.wrapping_add(1);
        for (number, part) in payload.chunks(step).enumerate() {
            let offset = number * step;
            let mut fragment = self.buffer(headers.len() + part.len());
            fragment[..headers.len()].copy_from_slice(headers);
            fragment[headers.len()..].copy_from_slice(part);
            let mut packet = Ipv4Packet::new_unchecked(&mut fragment[ETHERNET..]);
            packet.set_total_len((header + part.len()) as u16);
            packet.set_ident(self.ident);
            packet.set_dont_frag(false);
            packet.set_more_frags(offset + part.len() < payload.len());
            packet.set_frag_offset(offset as u16);
            packet.fill_checksum();
            self.queue(fragment, finish.inside);
        }
    }

    fn queue(&mut self, mut frame: Vec<u8>, inside: Inside) {
        match inside {
            Inside::Nothing => {}
            Inside::Vlan(tag) => {
                let [high, low] = tag.to_be_bytes();
                frame.splice(12..12, [TPID[0], TPID[1], high, low]);
            }
            Inside::Tunnel(tunnel) => tunnel.wrap(&mut frame),
        }
        self.queue.push_back(frame);
    }
}

/// The tag of a tagged frame.
pub(super) fn tag(frame: &[u8]) -> Option<u16> {
    let found = frame.get(12..16)?;
    (found[..2] == TPID).then(|| u16::from_be_bytes([found[2], found[3]]))
}

/// What an untagged frame says of the MTU its sender has, when the MTU was thought to be `before`. A first or middle fragment is
/// as large as fits; a larger packet than before shows that there is room for it.
pub(super) fn mtu_seen(frame: &[u8], before: usize) -> usize {
    let Some(packet) = frame.get(ETHERNET..) else { return before };
    let size = packet.len();
    let fragment = frame[12..14] == [0x08, 0x00] && packet.get(6).is_some_and(|flags| flags & 0x20 != 0);
    if fragment { size.max(LEAST_MTU) } else { before.max(size) }
}

/// Lowers the segment size that a SYN offers to what fits `mtu`.
fn limit_segments(frame: &mut [u8], mtu: usize) {
    let Some((ethernet, packet)) = frame.split_at_mut_checked(ETHERNET) else { return };
    let (ip4, ip6) = (ethernet[12..14] == [0x08, 0x00], ethernet[12..14] == [0x86, 0xdd]);
    let (header, source, destination) = if ip4 {
        let Ok(packet) = Ipv4Packet::new_checked(&*packet) else { return };
        let whole = !packet.more_frags() && packet.frag_offset() == 0;
        if packet.next_header() != IpProtocol::Tcp || !whole {
            return;
        }
        (usize::from(packet.header_len()), packet.src_addr().into(), packet.dst_addr().into())
    } else if ip6 {
        let Ok(packet) = Ipv6Packet::new_checked(&*packet) else { return };
        if packet.next_header() != IpProtocol::Tcp {
            return;
        }
        (packet.header_len(), packet.src_addr().into(), packet.dst_addr().into())
    } else {
        return;
    };
    let Ok(mut tcp) = TcpPacket::new_checked(&mut packet[header..]) else { return };
    if !tcp.syn() {
        return;
    }
    let largest = mtu.saturating_sub(header + 20).min(usize::from(u16::MAX)) as u16;
    // The only option of four bytes and kind 2; everything before it is walked over by its length.
    let mut options = tcp.options_mut();
    while let Ok((rest, option)) = TcpOption::parse(options) {
        if let TcpOption::MaxSegmentSize(size) = option {
            options[2..4].copy_from_slice(&size.min(largest).to_be_bytes());
            break;
        }
        let done = options.len() - rest.len();
        if done == 0 || option == TcpOption::EndOfList {
            break;
        }
        options = &mut options[done..];
    }
    tcp.fill_checksum(&source, &destination);
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::Ipv4Repr;

    fn packet(payload: usize) -> Vec<u8> {
        let repr = Ipv4Repr {
            src_addr: [10, 0, 0, 1].into(),
            dst_addr: [10, 0, 0, 2].into(),
            next_header: IpProtocol::Udp,
            payload_len: payload,
            hop_limit: 64,
        };
        let mut frame = vec![0; ETHERNET + 20 + payload];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        repr.emit(&mut Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]), &Default::default());
        for (at, byte) in frame[ETHERNET + 20..].iter_mut().enumerate() {
            *byte = (at / 3) as u8;
        }
        frame
    }

    #[test]
    fn a_packet_above_the_guests_mtu_leaves_in_pieces_that_join_again() {
        let whole = packet(4000);
        let mut outbox = Outbox::default();
        outbox.push(whole.clone(), Finish { inside: Inside::Vlan(0x6005), guest_mtu: 1500, mtu: 9000 });
        let (mut joined, mut frame, mut more) = (vec![0; 4000], Vec::new(), true);
        while outbox.pop(&mut frame) {
            assert_eq!(tag(&frame), Some(0x6005));
            let piece = Ipv4Packet::new_checked(&frame[ETHERNET + 4..]).unwrap();
            assert!(more && piece.verify_checksum() && piece.total_len() <= 1500);
            joined[usize::from(piece.frag_offset())..][..piece.payload().len()].copy_from_slice(piece.payload());
            more = piece.more_frags();
        }
        assert!(!more && joined == whole[ETHERNET + 20..]);
    }

    #[test]
    fn the_guests_mtu_follows_what_it_sends() {
        assert_eq!(mtu_seen(&packet(100), 1500), 1500);
        assert_eq!(mtu_seen(&packet(8980), 1500), 9000);
        let mut fragment = packet(1480);
        fragment[ETHERNET + 6] = 0x20;
        assert_eq!(mtu_seen(&fragment, 9000), 1500);
        assert_eq!(mtu_seen(&[0; 3], 1500), 1500);
    }
}
