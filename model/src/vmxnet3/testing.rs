//! Frames and a small guest for the tests of this module.

use crate::host::Bare;
use crate::memory::Memory;
use crate::plane::{Activation, Filters, RxSetup, TxSetup};
use spec::checksum;
use spec::position::RingIndex;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{RxDesc, TxDesc};

/// The guest's MAC.
pub const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
/// Another station's.
pub const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 2];

fn ethernet(kind: [u8; 2]) -> Vec<u8> {
    [&MAC[..], &PEER, &kind].concat()
}

fn payload(len: usize) -> impl Iterator<Item = u8> {
    (0..len).map(|i| (i * 7 + 3) as u8)
}

fn sixteen(bytes: &[u8]) -> u16 {
    // The slow way, on purpose: word by word.
    let mut sum = 0u32;
    for (i, byte) in bytes.iter().enumerate() {
        sum += if i % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) };
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn pseudo(addresses: &[u8], protocol: u8, transport: &[u8]) -> Vec<u8> {
    [addresses, &[0, protocol], &(transport.len() as u16).to_be_bytes(), transport].concat()
}

fn tcp(addresses: &[u8], options: usize, len: usize) -> Vec<u8> {
    let words = (20 + options) / 4;
    let mut tcp =
        vec![0x12, 0x34, 0, 80, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, (words << 4) as u8, 0x18, 1, 0, 0, 0, 0, 0];
    tcp.resize(20 + options, 1);
    tcp.extend(payload(len));
    let sum = !sixteen(&pseudo(addresses, 6, &tcp));
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    tcp
}

fn ip4(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[2..4].copy_from_slice(&((20 + transport.len()) as u16).to_be_bytes());
    let sum = !sixteen(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip
}

/// TCP over IPv4 with `options` bytes of options (a multiple of 4) and `len` bytes of payload, checksums right.
pub fn tcp4(len: usize, options: usize) -> Vec<u8> {
    let tcp = tcp(&[10, 0, 0, 1, 10, 0, 0, 2], options, len);
    [ethernet([8, 0]), ip4(6, &tcp), tcp].concat()
}

/// UDP over IPv4, with or without a checksum.
pub fn udp4(len: usize, bare: bool) -> Vec<u8> {
    let mut udp = vec![0x12, 0x34, 0, 53, 0, 0, 0, 0];
    udp[4..6].copy_from_slice(&((8 + len) as u16).to_be_bytes());
    udp.extend(payload(len));
    if !bare {
        let sum = !sixteen(&pseudo(&[10, 0, 0, 1, 10, 0, 0, 2], 17, &udp));
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    [ethernet([8, 0]), ip4(17, &udp), udp].concat()
}

/// TCP over IPv6 with `len` bytes of payload, checksum right.
pub fn tcp6(len: usize) -> Vec<u8> {
    let mut addresses = [0; 32];
    addresses[0] = 0xfd;
    addresses[15] = 1;
    addresses[16] = 0xfd;
    addresses[31] = 2;
    let tcp = tcp(&addresses, 0, len);
    let mut ip = vec![0x60, 0, 0, 0, 0, 0, 6, 64];
    ip[4..6].copy_from_slice(&(tcp.len() as u16).to_be_bytes());
    ip.extend_from_slice(&addresses);
    [ethernet([0x86, 0xdd]), ip, tcp].concat()
}

/// `inner` in a tunnel to UDP port `port`, without a UDP checksum; for Geneve with `options` bytes of options, a multiple of 4.
pub fn tunnel(v6: bool, port: u16, options: usize, inner: &[u8]) -> Vec<u8> {
    let mut udp = vec![0x40, 0, 0, 0, 0, 0, 0, 0];
    udp[2..4].copy_from_slice(&port.to_be_bytes());
    if port == 6081 {
        udp.extend_from_slice(&[(options / 4) as u8, 0, 0x65, 0x58, 0, 0, 7, 0]);
        udp.extend(payload(options));
    } else {
        udp.extend_from_slice(&[8, 0, 0, 0, 0, 0, 7, 0]);
    }
    udp.extend_from_slice(inner);
    let length = udp.len() as u16;
    udp[4..6].copy_from_slice(&length.to_be_bytes());
    if !v6 {
        return [ethernet([8, 0]), ip4(17, &udp), udp].concat();
    }
    let mut ip = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
    ip[4..6].copy_from_slice(&length.to_be_bytes());
    ip.extend((0..32).map(|i| i ^ 0x40));
    [ethernet([0x86, 0xdd]), ip, udp].concat()
}

/// Whether the checksum of an untagged UDP packet that reaches to the end of the frame is right, and its lengths are.
pub fn datagram_is_right(frame: &[u8]) -> bool {
    let ip = &frame[14..];
    let (addresses, header) = if ip[0] >> 4 == 4 { (&ip[12..20], 20) } else { (&ip[8..40], 40) };
    let lengths = if header == 20 {
        usize::from(u16::from_be_bytes([ip[2], ip[3]])) == ip.len() && sixteen(&ip[..20]) == 0xffff
    } else {
        usize::from(u16::from_be_bytes([ip[4], ip[5]])) + 40 == ip.len()
    };
    let udp = &ip[header..];
    let own = usize::from(u16::from_be_bytes([udp[4], udp[5]])) == udp.len();
    lengths && own && (udp[6..8] == [0, 0] || sixteen(&pseudo(addresses, 17, udp)) == 0xffff)
}

/// Whether an untagged TCP frame is one that a receiver takes: lengths, header checksum and TCP checksum.
pub fn transport_is_right(frame: &[u8]) -> bool {
    let ip = &frame[14..];
    if ip[0] >> 4 == 4 {
        let header = usize::from(ip[0] & 15) * 4;
        usize::from(u16::from_be_bytes([ip[2], ip[3]])) == ip.len()
            && sixteen(&ip[..header]) == 0xffff
            && sixteen(&pseudo(&ip[12..20], 6, &ip[header..])) == 0xffff
    } else {
        usize::from(u16::from_be_bytes([ip[4], ip[5]])) + 40 == ip.len()
            && sixteen(&pseudo(&ip[8..40], 6, &ip[40..])) == 0xffff
    }
}

/// Descriptors of every ring of the small guest but the completion ring of receive, which has twice as many.
pub const RING: u32 = 4;
const BASE: u64 = 0x1_0000;
const BUFFERS: u64 = 0x2_0000;
/// Room for an RX data ring with entries of up to 256 bytes.
pub const DATA_RING: u64 = BASE + 0x4800;

/// A guest with one queue pair, rings of [`RING`], as far as a test of the data plane needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its memory and what the device did.
    pub host: Bare,
    /// What its device was activated with.
    pub activation: Activation,
    tx: RingIndex,
    rx: [RingIndex; 2],
    buffers: u64,
}

impl Guest {
    /// Rings empty, every frame let in.
    pub fn new() -> Self {
        let filters = Filters { mac: MAC, rx_mode: rx_mode::PROMISC, ..Filters::default() };
        let tx = TxSetup { ring_pa: BASE, ring_size: RING, comp_pa: BASE + 0x1000, comp_size: RING, vector: 0 };
        let rx = RxSetup {
            ring_pa: [BASE + 0x2000, BASE + 0x3000],
            ring_size: [RING; 2],
            comp_pa: BASE + 0x4000,
            comp_size: 2 * RING,
            vector: 1,
        };
        let activation =
            Activation { tx: vec![tx], rx: vec![rx], auto_mask: true, mtu: 1500, filters, ..Activation::default() };
        let host = Bare::new(Memory::new(&[(BASE, 0x5000), (BUFFERS, 0x4_0000)]));
        Self { host, activation, tx: RingIndex::START, rx: [RingIndex::START; 2], buffers: BUFFERS }
    }

    /// Room for a buffer of `len` bytes; room is used again after 256 KiB.
    pub fn buffer(&mut self, len: usize) -> u64 {
        if self.buffers + len as u64 > BUFFERS + 0x4_0000 {
            self.buffers = BUFFERS;
        }
        self.buffers += len as u64;
        self.buffers - len as u64
    }

    /// Posts one TX descriptor: `set` fills in what differs from a plain last one.
    pub fn descriptor(&mut self, bytes: &[u8], set: impl FnOnce(&mut TxDesc)) {
        let pa = self.buffer(bytes.len());
        self.host.memory.write(pa, bytes).unwrap();
        let mut desc = TxDesc::default();
        desc.set_addr(pa);
        desc.set_len(bytes.len() as u16 & 0x3fff);
        desc.set_eop(true);
        desc.set_cq(true);
        set(&mut desc);
        desc.set_generation(self.tx.generation());
        self.host.memory.put(BASE + 16 * u64::from(self.tx.index()), desc).unwrap();
        self.tx = self.tx.next(RING);
    }

    /// Posts a packet of one descriptor a piece.
    pub fn packet(&mut self, pieces: &[&[u8]], mut first: impl FnMut(&mut TxDesc)) {
        for (i, piece) in pieces.iter().enumerate() {
            self.descriptor(piece, |desc| {
                desc.set_eop(i + 1 == pieces.len());
                if i == 0 {
                    first(desc);
                }
            });
        }
    }

    /// Posts a receive buffer to `ring`, a HEAD or a BODY.
    pub fn post(&mut self, ring: usize, len: u16, body: bool) -> u64 {
        let pa = self.buffer(usize::from(len));
        self.post_at(ring, pa, len, body);
        pa
    }

    /// Posts a receive buffer at `pa`.
    pub fn post_at(&mut self, ring: usize, pa: u64, len: u16, body: bool) {
        let mut desc = RxDesc::default();
        desc.set_addr(pa);
        desc.set_len(len);
        desc.set_btype(body);
        desc.set_generation(self.rx[ring].generation());
        let at = BASE + 0x2000 + 0x1000 * ring as u64 + 16 * u64::from(self.rx[ring].index());
        self.host.memory.put(at, desc).unwrap();
        self.rx[ring] = self.rx[ring].next(RING);
    }

    /// TX completion `index`.
    pub fn tx_completion(&self, index: u64) -> spec::vmxnet3::TxCompDesc {
        self.host.memory.get(BASE + 0x1000 + 16 * index).unwrap()
    }

    /// RX completion `index`.
    pub fn rx_completion(&self, index: u64) -> spec::vmxnet3::RxCompDesc {
        self.host.memory.get(BASE + 0x4000 + 16 * index).unwrap()
    }

    /// Bytes that the device delivered at `pa`.
    pub fn bytes(&self, pa: u64, len: usize) -> &[u8] {
        self.host.memory.bytes(pa, len).unwrap()
    }
}

#[test]
fn the_frames_made_here_are_right_by_the_declared_sum_too() {
    for frame in [tcp4(33, 8), tcp6(33)] {
        assert!(transport_is_right(&frame));
    }
    assert_eq!(checksum::fold(checksum::add(0, &tcp4(1, 0)[14..34])), 0xffff);
}
