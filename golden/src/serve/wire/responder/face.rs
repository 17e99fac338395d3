//! One interface of the responder: the untagged one, or the one of a VLAN. An address set, its sockets, and their services.

use super::outbox::{Finish, Outbox, mtu_seen};
use super::tcp::Streams;
use super::tunnel::Tunnel;
use super::udp::{Datagrams, Reach};
use super::{GROUP, ResponderSpec, Shared, tftp};
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address, Ipv6Address};
use std::sync::Arc;

/// The MTU that the TCP/IP crate believes in, so that it never fragments.
const STACK_MTU: usize = 65_535;

/// Rounds of one turn.
const ROUNDS: usize = 512;

/// How long fragments wait for the rest. Short, since the crate holds few packets at once.
const REASSEMBLY: Duration = Duration::from_secs(2);

/// What the frames of a face travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Nothing.
    Nothing,
    /// A VLAN: priority and identifier.
    Vlan(u16),
    /// A tunnel.
    Tunnel(Tunnel),
}

impl Inside {
    /// Its number, none for the wire itself: VLANs come before tunnels.
    pub(super) fn network(self) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Vlan(tag) => Some(u32::from(tag & 0xfff)),
            Self::Tunnel(tunnel) => Some(0x1000 + tunnel.vni),
        }
    }

    /// Our address in it beside the one that we have everywhere.
    fn address(self) -> Option<Ipv4Address> {
        match self {
            Self::Nothing => None,
            Self::Vlan(tag) => {
                let vlan = tag & 0xfff;
                Some(Ipv4Address::new(10, 64 + (vlan >> 8) as u8, vlan as u8, 1))
            }
            Self::Tunnel(tunnel) => Some(Ipv4Address::new(10, 80, tunnel.vni as u8, 1)),
        }
    }
}

pub(super) struct Face {
    finish: Finish,
    /// When it was last used, by the responder's count of frames; 0: never.
    pub(super) last_used: u64,
    interface: Interface,
    sockets: SocketSet<'static>,
    datagrams: Datagrams,
    streams: Streams,
}

impl Face {
    /// The face of frames `inside` something, or the one of the wire itself, which alone gives addresses and files.
    pub(super) fn new(spec: &ResponderSpec, inside: Inside, file: Option<Arc<tftp::File>>, now: Instant) -> Self {
        let mut config = Config::new(EthernetAddress(spec.mac).into());
        // Whether sequence numbers are hard to guess does not matter here; that they differ from run to run might hide a fault.
        config.random_seed = 1 + u64::from(inside.network().unwrap_or_default());
        let finish = Finish { inside, guest_mtu: spec.mtu.into(), mtu: spec.mtu.into() };
        let mut outbox = Outbox::default();
        let mut interface = Interface::new(config, &mut Turn { frame: None, outbox: &mut outbox, finish }, now);
        interface.set_reassembly_timeout(REASSEMBLY);
        interface.update_ip_addrs(|addresses| {
            let [a, b, c, d] = spec.ip4.octets();
            let [m0, m1, m2, m3, m4, m5] = spec.mac;
            let local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, m0 ^ 2, m1, m2, 0xff, 0xfe, m3, m4, m5];
            let unique = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d];
            let own = inside.address().map(|address| IpCidr::new(address.into(), 24));
            let all = [
                Some(IpCidr::new(spec.ip4.into(), spec.prefix)),
                Some(IpCidr::new(Ipv6Address::from(local).into(), 64)),
                Some(IpCidr::new(Ipv6Address::from(unique).into(), 64)),
                own,
            ];
            for address in all.into_iter().flatten() {
                assert!(addresses.push(address).is_ok(), "the crate is built for four addresses");
            }
        });
        let joined = interface.join_multicast_group(GROUP);
        assert!(joined.is_ok(), "the crate is built for eight groups");
        let mut sockets = SocketSet::new(Vec::new());
        let reach = Reach(interface.ip_addrs().to_vec());
        let datagrams = Datagrams::new(spec, reach, inside == Inside::Nothing, file, &mut sockets);
        let streams = Streams::new(&mut sockets);
        Self { finish, last_used: 0, interface, sockets, datagrams, streams }
    }

    /// What its frames travel in.
    pub(super) fn inside(&self) -> Inside {
        self.finish.inside
    }

    /// Answers go back in what the guest's last frame came in: its priority, the ends of its tunnel.
    pub(super) fn set_inside(&mut self, inside: Inside) {
        self.finish.inside = inside;
    }

    /// Echoes wait for room, so that nothing more may come in.
    pub(super) fn is_congested(&self) -> bool {
        self.datagrams.is_congested(&self.sockets)
    }

    /// Takes one untagged frame of the guest. Answers that need no service are queued at once.
    pub(super) fn take(&mut self, frame: &[u8], now: Instant, outbox: &mut Outbox) {
        self.finish.guest_mtu = mtu_seen(frame, self.finish.guest_mtu);
        let mut turn = Turn { frame: Some(frame), outbox, finish: self.finish };
        self.interface.poll_ingress_single(now, &mut turn, &mut self.sockets);
    }

    /// Lets services and timers work until `batch` frames wait or nothing is left to do. Answers when the next turn is due.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        batch: usize,
        outbox: &mut Outbox,
        shared: &mut Shared,
    ) -> Option<Instant> {
        self.interface.poll_maintenance(now);
        // Each round sends one packet of each socket. A packet that cannot be finished leaves nothing in the outbox.
        for _ in 0..ROUNDS {
            self.datagrams.serve(self.finish.inside.network(), now, &mut self.sockets, shared);
            self.streams.serve(&mut self.sockets, shared);
            if outbox.len() >= batch {
                return Some(now);
            }
            let mut turn = Turn { frame: None, outbox, finish: self.finish };
            if self.interface.poll_egress(now, &mut turn, &mut self.sockets) == PollResult::None {
                let protocols = self.interface.poll_at(now, &self.sockets);
                return [protocols, self.datagrams.due()].into_iter().flatten().min();
            }
        }
        Some(now)
    }
}

/// The device that the TCP/IP crate sees during one call: at most one frame in, any number out.
struct Turn<'a> {
    frame: Option<&'a [u8]>,
    outbox: &'a mut Outbox,
    finish: Finish,
}

struct Incoming<'a>(&'a [u8]);

struct Outgoing<'a>(&'a mut Outbox, Finish);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.0.buffer(len);
        let result = f(&mut frame);
        self.0.push(frame, self.1);
        result
    }
}

impl Device for Turn<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.frame.take()?;
        Some((Incoming(frame), Outgoing(self.outbox, self.finish)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        (!self.outbox.is_full()).then_some(Outgoing(self.outbox, self.finish))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = STACK_MTU + 14;
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

    /// A datagram to the echo service.
    fn asked(spec: &ResponderSpec, source: Ipv4Address) -> Vec<u8> {
        let ip = Ipv4Repr {
            src_addr: source,
            dst_addr: spec.ip4,
            next_header: IpProtocol::Udp,
            payload_len: 8 + 4,
            hop_limit: 64,
        };
        let mut frame = vec![0; 14 + 20 + 8 + 4];
        frame[..6].copy_from_slice(&spec.mac);
        frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 8, 0]);
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &ChecksumCapabilities::default());
        UdpRepr { src_port: 5, dst_port: 7 }.emit(
            &mut UdpPacket::new_unchecked(&mut frame[34..]),
            &ip.src_addr.into(),
            &ip.dst_addr.into(),
            4,
            |payload| payload.fill(1),
            &ChecksumCapabilities::default(),
        );
        frame
    }

    #[test]
    fn a_sender_that_cannot_be_answered_does_not_hold_up_the_others() {
        let spec = ResponderSpec::default();
        let guest = Ipv4Address::new(10, 0, 2, 15);
        let mut meet = vec![0xff; 6];
        meet.extend([2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 2, 15]);
        meet.extend([0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
        // One has an address of no subnet of ours, one never says where it is.
        for silent in [Ipv4Address::new(192, 0, 2, 1), Ipv4Address::new(10, 0, 2, 77)] {
            let (mut outbox, mut shared) =
                (Outbox::default(), Shared { scratch: vec![0; 1 << 18], ..Default::default() });
            let mut face = Face::new(&spec, Inside::Nothing, None, Instant::ZERO);
            face.take(&meet, Instant::ZERO, &mut outbox);
            face.take(&asked(&spec, silent), Instant::ZERO, &mut outbox);
            let mut answered = false;
            for second in 0..10 {
                let now = Instant::from_secs(second);
                face.take(&asked(&spec, guest), now, &mut outbox);
                let due = face.turn(now, 64, &mut outbox, &mut shared);
                assert!(second > 0 || due.is_none_or(|due| due > now), "nobody spins for it");
                let mut frame = Vec::new();
                while outbox.pop(&mut frame) {
                    answered |= frame[12..14] == [8, 0] && frame[23] == 17;
                }
                // Where it can be told at once that there is no way, nobody waits.
                assert!(answered || silent.octets()[..3] == spec.ip4.octets()[..3]);
            }
            assert!(answered, "{silent}");
        }
    }
}
