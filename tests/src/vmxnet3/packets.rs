//! Frames of IP that cases offer and send: headers that one can spoil one by one.

use crate::rig::PEER;
use spec::checksum;

/// Protocol number of TCP.
pub(in crate::vmxnet3) const TCP: u8 = 6;
/// Protocol number of UDP.
pub(in crate::vmxnet3) const UDP: u8 = 17;
/// Where the IP header begins.
pub(in crate::vmxnet3) const L3: usize = 14;

/// A frame of IP from one station to another, all of its checksums right.
#[derive(Clone, Debug)]
pub(in crate::vmxnet3) struct Ip {
    /// The whole frame.
    pub bytes: Vec<u8>,
    /// Where the transport header begins.
    pub l4: usize,
    /// Where the checksum of the transport header stands; none where it has none.
    pub field: Option<usize>,
}

/// Bytes of the header of `protocol`, and where its checksum stands in it.
fn header(protocol: u8) -> (usize, Option<usize>) {
    match protocol {
        TCP => (20, Some(16)),
        UDP => (8, Some(6)),
        _ => (8, None),
    }
}

impl Ip {
    /// IPv4 of `protocol` with `payload` bytes.
    pub fn v4(to: [u8; 6], protocol: u8, payload: usize) -> Self {
        let (header, _) = header(protocol);
        let total = (20 + header + payload) as u16;
        let mut ip = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        Self::behind(to, [8, 0], &ip, protocol, payload)
    }

    /// IPv6 of `protocol` with `payload` bytes.
    pub fn v6(to: [u8; 6], protocol: u8, payload: usize) -> Self {
        let (header, _) = header(protocol);
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        ip[4..6].copy_from_slice(&((header + payload) as u16).to_be_bytes());
        ip.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        ip.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        Self::behind(to, [0x86, 0xdd], &ip, protocol, payload)
    }

    fn behind(to: [u8; 6], kind: [u8; 2], ip: &[u8], protocol: u8, payload: usize) -> Self {
        let (header, field) = header(protocol);
        let l4 = L3 + ip.len();
        let mut bytes = [&to[..], &PEER, &kind, ip].concat();
        let mut transport = vec![0; header];
        transport[..4].copy_from_slice(&[0x30, 0x39, 0, 80]);
        match protocol {
            TCP => transport[4..16].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 0xff, 0xff]),
            UDP => transport[4..6].copy_from_slice(&((header + payload) as u16).to_be_bytes()),
            _ => {}
        }
        bytes.extend_from_slice(&transport);
        bytes.extend((0..payload).map(|at| (at as u8).wrapping_mul(7).wrapping_add(payload as u8)));
        let mut packet = Self { bytes, l4, field: field.map(|field| l4 + field) };
        packet.fill();
        packet
    }

    fn is_v4(&self) -> bool {
        self.bytes[L3] >> 4 == 4
    }

    /// The sum over addresses, protocol and length, before the transport header is added.
    pub fn pseudo(&self) -> u64 {
        let length = (self.bytes.len() - self.l4) as u32;
        if self.is_v4() {
            checksum::pseudo(&self.bytes[L3 + 12..L3 + 20], self.bytes[L3 + 9], length)
        } else {
            checksum::pseudo(&self.bytes[L3 + 8..L3 + 40], self.bytes[L3 + 6], length)
        }
    }

    /// Fills in every checksum.
    pub fn fill(&mut self) {
        if self.is_v4() {
            self.bytes[L3 + 10..L3 + 12].fill(0);
            let sum = checksum::finish(checksum::add(0, &self.bytes[L3..self.l4]));
            self.bytes[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let Some(field) = self.field else { return };
        self.bytes[field..field + 2].fill(0);
        let sum = checksum::finish(checksum::add(self.pseudo(), &self.bytes[self.l4..]));
        let sum = if sum == 0 && field == self.l4 + 6 { 0xffff } else { sum };
        self.bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Leaves in the checksum field what a driver leaves there for the device: the folded sum over addresses, protocol and length.
    pub fn seeded(mut self) -> Self {
        if let Some(field) = self.field {
            let seed = checksum::fold(self.pseudo());
            self.bytes[field..field + 2].copy_from_slice(&seed.to_be_bytes());
        }
        self
    }

    /// Spoils one byte.
    pub fn spoiled(mut self, at: usize) -> Self {
        self.bytes[at] ^= 0x55;
        self
    }

    /// With an 802.1Q tag behind the addresses.
    pub fn tagged(mut self, tci: u16) -> Self {
        let [high, low] = tci.to_be_bytes();
        self.bytes.splice(12..12, [0x81, 0, high, low]);
        self.l4 += 4;
        self.field = self.field.map(|field| field + 4);
        self
    }
}

/// A frame sent by the guest.
pub(in crate::vmxnet3) fn from(mac: [u8; 6], mut packet: Ip) -> Ip {
    packet.bytes[..6].copy_from_slice(&PEER);
    packet.bytes[6..12].copy_from_slice(&mac);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_right_until_they_are_spoilt() {
        for packet in [Ip::v4([2; 6], TCP, 33), Ip::v4([2; 6], UDP, 8), Ip::v6([2; 6], TCP, 1), Ip::v6([2; 6], UDP, 40)]
        {
            let residue = |packet: &Ip| checksum::fold(checksum::add(packet.pseudo(), &packet.bytes[packet.l4..]));
            assert_eq!(residue(&packet), 0xffff);
            assert_ne!(residue(&packet.clone().spoiled(packet.l4 + 8)), 0xffff);
            let tagged = packet.clone().tagged(7);
            assert_eq!(tagged.bytes[12..16], [0x81, 0, 0, 7]);
            assert_eq!(tagged.bytes[tagged.l4..], packet.bytes[packet.l4..]);
        }
    }
}
