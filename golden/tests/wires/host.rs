//! A TCP/IP host at the guest's end of a wire.

use super::frames::{OUR_IP, OURS};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use std::time::Duration;
use vnic_golden::serve::wire::Wire;

/// Longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A TCP/IP host at the guest's end of a wire.
pub struct Host<W> {
    pub link: Link<W>,
    pub interface: Interface,
    pub sockets: SocketSet<'static>,
    started: std::time::Instant,
}

/// The wire as the TCP/IP crate sees it.
pub struct Link<W> {
    pub wire: W,
    pub mtu: usize,
    /// A frame that the wire refused.
    kept: Option<Vec<u8>>,
}

impl<W: Wire> Link<W> {
    fn make_room(&mut self) -> bool {
        if self.kept.as_ref().is_some_and(|frame| self.wire.send(frame)) {
            self.kept = None;
        }
        self.kept.is_none()
    }
}

impl<W: Wire> Host<W> {
    pub fn new(wire: W, mtu: usize) -> Self {
        let mut link = Link { wire, mtu, kept: None };
        let config = Config::new(EthernetAddress(OURS).into());
        let mut interface = Interface::new(config, &mut link, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(OUR_IP), 24)).unwrap();
            addresses.push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0x0a00, 0x020f), 64)).unwrap();
        });
        Self { link, interface, sockets: SocketSet::new(Vec::new()), started: std::time::Instant::now() }
    }

    pub fn tcp(&mut self, to: IpAddress, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 256 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let local = 40_000 + self.sockets.iter().count() as u16;
        socket.connect(self.interface.context(), (to, port), local).unwrap();
        self.sockets.add(socket)
    }

    pub fn udp(&mut self, port: u16) -> SocketHandle {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4096], vec![0; 8 << 20]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    pub fn poll(&mut self) {
        assert!(self.started.elapsed() < PATIENCE, "nothing more comes");
        let now = Instant::from_micros(self.started.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut self.link, &mut self.sockets);
    }
}

impl<W: Wire> Device for Link<W> {
    type RxToken<'t>
        = Incoming
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t, W>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_, W>)> {
        let mut frame = Vec::new();
        // An answer to this frame needs room too.
        let room = self.make_room();
        (room && self.wire.receive(&mut frame)).then_some((Incoming(frame), Outgoing(&mut self.wire, &mut self.kept)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_, W>> {
        self.make_room().then_some(Outgoing(&mut self.wire, &mut self.kept))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

pub struct Incoming(Vec<u8>);

pub struct Outgoing<'t, W>(&'t mut W, &'t mut Option<Vec<u8>>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl<W: Wire> TxToken for Outgoing<'_, W> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        if !self.0.send(&frame) {
            *self.1 = Some(frame);
        }
        result
    }
}
