//! The responder's UDP services: echo (7) and discard (9) here, [`super::blast`], [`super::dhcp`] and [`super::tftp`] beside.

use super::blast::Blasts;
use super::dhcp::Dhcp;
use super::tftp::{self, Tftp};
use super::{ResponderSpec, Shared};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, SendError, Socket, UdpMetadata};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpCidr;
use std::sync::Arc;

/// Bytes of payload that a socket holds in each direction.
const BUFFER: usize = 512 * 1024;

/// Datagrams that a socket holds in each direction; more than a turn of the responder brings.
const DATAGRAMS: usize = 256;

/// How long datagrams wait for a receiver whose hardware address is not known. Those behind them wait too, so they are given up.
const STUCK: Duration = Duration::from_secs(3);

pub(super) struct Datagrams {
    reach: Reach,
    echo: UdpPort,
    discard: UdpPort,
    blasts: Blasts,
    dhcp: Option<Dhcp>,
    tftp: Option<Tftp>,
}

impl Datagrams {
    /// `boot`: also gives an address, and the file if there is one.
    pub(super) fn new(
        spec: &ResponderSpec,
        reach: Reach,
        boot: bool,
        file: Option<Arc<tftp::File>>,
        sockets: &mut SocketSet<'static>,
    ) -> Self {
        Self {
            echo: UdpPort::new(7, sockets),
            discard: UdpPort::new(9, sockets),
            blasts: Blasts::new(reach.clone(), UdpPort::new(19, sockets)),
            dhcp: boot.then(|| Dhcp::new(spec, file.clone(), UdpPort::new(67, sockets))),
            tftp: file.map(|file| Tftp::new(file, reach.clone(), spec.mtu, sockets)),
            reach,
        }
    }

    /// Answers what has arrived and goes on with what was asked for.
    pub(super) fn serve(
        &mut self,
        network: Option<u32>,
        now: Instant,
        sockets: &mut SocketSet<'static>,
        shared: &mut Shared,
    ) {
        let socket = self.echo.open(now, sockets);
        // A datagram is taken only once its answer has found room.
        while let Ok((bytes, &from)) = socket.peek_slice(&mut shared.scratch) {
            let sent = self.reach.answer(from).map(|to| socket.send_slice(&shared.scratch[..bytes], to));
            if sent == Some(Err(SendError::BufferFull)) {
                break;
            }
            let _answered = socket.recv();
        }
        self.echo.done(sockets);
        let socket = self.discard.open(now, sockets);
        while let Ok((payload, from)) = socket.recv() {
            shared.sequences.take((network, from.endpoint), payload);
        }
        self.blasts.serve(now, sockets);
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.serve(now, sockets);
        }
        if let Some(tftp) = &mut self.tftp {
            tftp.serve(now, sockets, &mut shared.scratch);
        }
    }

    /// Echoes wait for room.
    pub(super) fn is_congested(&self, sockets: &SocketSet<'static>) -> bool {
        sockets.get::<Socket<'static>>(self.echo.handle).can_recv()
    }

    /// When a service acts without a datagram coming.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.blasts.due(), self.tftp.as_ref().and_then(Tftp::due)].into_iter().flatten().min()
    }
}

/// The subnets of a face.
#[derive(Clone, Debug)]
pub(super) struct Reach(pub(super) Vec<IpCidr>);

impl Reach {
    /// Where the answer to a datagram goes; `None`: its sender cannot be answered. The answer comes from the address that was
    /// asked, unless that was a group's.
    pub(super) fn answer(&self, from: UdpMetadata) -> Option<UdpMetadata> {
        let (address, port) = (from.endpoint.addr, from.endpoint.port);
        let near = self.0.iter().any(|subnet| subnet.contains_addr(&address));
        let asked = from.local_address.filter(|local| self.0.iter().any(|subnet| subnet.address() == *local));
        let mut to = UdpMetadata::from(from.endpoint);
        to.local_address = asked;
        (near && port != 0).then_some(to)
    }
}

/// A bound socket that cannot stay stuck.
pub(super) struct UdpPort {
    pub(super) handle: SocketHandle,
    port: u16,
    /// Bytes that waited to leave after the last service, and since when none of them has.
    waiting: (usize, Instant),
}

impl UdpPort {
    pub(super) fn new(port: u16, sockets: &mut SocketSet<'static>) -> Self {
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        let bound = socket.bind(port);
        debug_assert!(bound.is_ok(), "a new socket and a port that is not 0");
        Self { handle: sockets.add(socket), port, waiting: (0, Instant::ZERO) }
    }

    /// The socket, after a look whether its first datagram can ever leave.
    pub(super) fn open<'s>(&mut self, now: Instant, sockets: &'s mut SocketSet<'static>) -> &'s mut Socket<'static> {
        let socket = sockets.get_mut::<Socket<'static>>(self.handle);
        let waiting = socket.send_queue();
        if waiting == 0 || waiting < self.waiting.0 {
            self.waiting.1 = now;
        } else if now > self.waiting.1 + STUCK {
            socket.close();
            let bound = socket.bind(self.port);
            debug_assert!(bound.is_ok(), "a closed socket and a port that is not 0");
            self.waiting.1 = now;
        }
        socket
    }

    /// Ends a service that may have sent something.
    pub(super) fn done(&mut self, sockets: &SocketSet<'static>) {
        self.waiting.0 = sockets.get::<Socket<'static>>(self.handle).send_queue();
    }
}
