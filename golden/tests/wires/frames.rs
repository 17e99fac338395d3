//! Frames written by hand, and wires to send them on.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket, UdpRepr,
};
use std::path::PathBuf;
use vnic_golden::serve::wire::responder::{Responder, ResponderSpec};
use vnic_golden::serve::wire::switch::Switches;
use vnic_golden::serve::wire::{Wire, WireSpec, open};

pub const OURS: [u8; 6] = [2, 0, 0, 0, 0, 9];
pub const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const OUR_IP: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
pub const THEIR_IP: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// Every frame that waits.
pub fn drain(wire: &mut dyn Wire) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut into = Vec::new();
    while wire.receive(&mut into) {
        frames.push(into.clone());
    }
    frames
}

/// An Ethernet frame from us.
pub fn ethernet(destination: [u8; 6], kind: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let repr =
        EthernetRepr { src_addr: EthernetAddress(OURS), dst_addr: EthernetAddress(destination), ethertype: kind };
    let mut bytes = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    repr.emit(&mut frame);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

/// The same frame in a VLAN.
pub fn tagged(tag: u16, frame: &[u8]) -> Vec<u8> {
    let [high, low] = tag.to_be_bytes();
    [&frame[..12], &[0x81, 0, high, low], &frame[12..]].concat()
}

/// The same frame without its tag.
pub fn untagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &frame[16..]].concat()
}

/// "Who has `target`?", asked by `source`.
pub fn arp(source: Ipv4Address, target: Ipv4Address) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(OURS.iter().chain(&source.octets()).chain(&[0; 6]).chain(&target.octets()));
    ethernet([0xff; 6], EthernetProtocol::Arp, &packet)
}

/// An IPv4 packet in a frame.
pub fn ip4(source: Ipv4Address, destination: Ipv4Address, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut packet = vec![0; 20 + payload.len()];
    repr.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
    packet[20..].copy_from_slice(payload);
    ethernet(THEIRS, EthernetProtocol::Ipv4, &packet)
}

/// An ICMP message.
pub fn icmp(message: Icmpv4Repr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
    bytes
}

/// Payload whose bytes differ.
pub fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect()
}

pub fn responder() -> Responder {
    Responder::open(ResponderSpec::default()).unwrap()
}

/// A responder that knows our hardware address.
pub fn met() -> Responder {
    let mut wire = responder();
    assert!(wire.send(&arp(OUR_IP, THEIR_IP)));
    let answers = drain(&mut wire);
    assert!(answers.iter().any(|frame| is_arp_answer(frame, THEIR_IP)), "{answers:x?}");
    wire
}

pub fn is_arp_answer(frame: &[u8], asked: Ipv4Address) -> bool {
    frame[..6] == OURS && frame[6..14] == [2, 0, 0, 0, 0, 1, 8, 6] && frame[21] == 2 && frame[28..32] == asked.octets()
}

pub fn ping(from: Ipv4Address, to: Ipv4Address, data: &[u8]) -> Vec<u8> {
    ip4(from, to, IpProtocol::Icmp, &icmp(Icmpv4Repr::EchoRequest { ident: 7, seq_no: 3, data }))
}

/// The data of an echo reply, its checksums right.
pub fn pong(frame: &[u8]) -> Option<Vec<u8>> {
    let packet = Ipv4Packet::new_checked(EthernetFrame::new_checked(frame).ok()?.payload()).ok()?.into_inner();
    let packet = Ipv4Packet::new_checked(packet).ok().filter(Ipv4Packet::verify_checksum)?;
    pong_of(packet.payload())
}

pub fn pong_of(message: &[u8]) -> Option<Vec<u8>> {
    let message = Icmpv4Packet::new_checked(message).ok()?;
    match Icmpv4Repr::parse(&message, &ChecksumCapabilities::default()).ok()? {
        Icmpv4Repr::EchoReply { ident: 7, seq_no: 3, data } => Some(data.to_vec()),
        _ => None,
    }
}

pub fn datagram(from: (Ipv4Address, u16), to: (Ipv4Address, u16), payload: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: from.1, dst_port: to.1 };
    let mut bytes = vec![0; 8 + payload.len()];
    repr.emit(
        &mut UdpPacket::new_unchecked(&mut bytes),
        &IpAddress::Ipv4(from.0),
        &IpAddress::Ipv4(to.0),
        payload.len(),
        |room| room.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    ip4(from.0, to.0, IpProtocol::Udp, &bytes)
}

/// The payload of a datagram to us from `port`.
pub fn received(frame: &[u8], port: u16) -> Option<&[u8]> {
    let datagram = frame.get(34..).filter(|_| frame[12..14] == [8, 0] && frame[23] == 17)?;
    (datagram[..2] == port.to_be_bytes()).then(|| &datagram[8..])
}

pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("vnic-wires-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn opened(text: &str, switches: &mut Switches) -> Box<dyn Wire> {
    open(&text.parse::<WireSpec>().unwrap(), switches).unwrap()
}

/// A SYN to the echo service that offers segments of 1,460 bytes, its checksum not filled in.
pub fn syn() -> Vec<u8> {
    let ports = [40_000_u16, 7].map(u16::to_be_bytes).concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]].concat()
}

/// Puts the checksums right again where there are any, so that more than the first check is reached.
pub fn mend(frame: &mut [u8]) {
    let at = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    if let Ok(mut packet) = Ipv4Packet::new_checked(&mut frame[at..]) {
        packet.fill_checksum();
        let (protocol, source, destination) =
            (packet.next_header(), packet.src_addr().into(), packet.dst_addr().into());
        let payload = packet.payload_mut();
        if protocol == IpProtocol::Icmp {
            if let Ok(mut message) = Icmpv4Packet::new_checked(payload) {
                message.fill_checksum();
            }
        } else if protocol == IpProtocol::Udp {
            if let Ok(mut message) = UdpPacket::new_checked(payload) {
                message.fill_checksum(&source, &destination);
            }
        } else if protocol == IpProtocol::Tcp
            && let Ok(mut message) = TcpPacket::new_checked(payload)
        {
            message.fill_checksum(&source, &destination);
        }
    }
}
