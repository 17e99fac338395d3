//! Numbered datagrams on request, to measure what reaches a guest.
//!
//! A request goes to UDP port 19: how many (32 bits), how large (16 bits, payload bytes), how many a second (32 bits, 0: as fast as
//! they are taken), all big endian; then, if wanted, the IPv4 address of a multicast group that they go to instead of the sender.
//! They come from port 19 to the port that asked. Each begins with its number, 64 bits little endian, from 0; the bytes after it
//! are the number's lowest byte. A new request from the same port ends the one before.

use super::udp::{Reach, UdpPort};
use smoltcp::iface::SocketSet;
use smoltcp::socket::udp::UdpMetadata;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpEndpoint, Ipv4Address};

/// Requests that are served at once; one more replaces the oldest.
pub const MAX_BLASTS: usize = 4;

/// Smallest payload: the number.
pub const MIN_SIZE: u16 = 8;

/// Largest payload; UDP over IPv4 carries no more.
pub const MAX_SIZE: u16 = 65_507;

/// A request. See the module for its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many datagrams.
    pub count: u32,
    /// Bytes of payload of each, brought into [`MIN_SIZE`] to [`MAX_SIZE`].
    pub size: u16,
    /// Datagrams a second; 0: as fast as they are taken.
    pub rate: u32,
    /// The multicast group that they go to, instead of the sender.
    pub group: Option<Ipv4Address>,
}

impl Request {
    /// Reads a request; `None` when it is too short or its group is no multicast group.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&[c0, c1, c2, c3, s0, s1, r0, r1, r2, r3], rest) = payload.split_first_chunk()?;
        let group = rest.first_chunk::<4>().map(|octets| Ipv4Address::from(*octets));
        group.is_none_or(|group| group.is_multicast()).then_some(Self {
            count: u32::from_be_bytes([c0, c1, c2, c3]),
            size: u16::from_be_bytes([s0, s1]).clamp(MIN_SIZE, MAX_SIZE),
            rate: u32::from_be_bytes([r0, r1, r2, r3]),
            group,
        })
    }

    /// The bytes of the request.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.count.to_be_bytes().to_vec();
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.rate.to_be_bytes());
        bytes.extend(self.group.iter().flat_map(Ipv4Address::octets));
        bytes
    }
}

pub(super) struct Blasts {
    reach: Reach,
    port: UdpPort,
    running: Vec<Blast>,
}

struct Blast {
    asked: Request,
    asker: IpEndpoint,
    to: UdpMetadata,
    sent: u32,
    started: Instant,
}

impl Blasts {
    pub(super) fn new(reach: Reach, port: UdpPort) -> Self {
        Self { reach, port, running: Vec::with_capacity(MAX_BLASTS) }
    }

    pub(super) fn serve(&mut self, now: Instant, sockets: &mut SocketSet<'static>) {
        let socket = self.port.open(now, sockets);
        while let Ok((payload, from)) = socket.recv() {
            let Some(asked) = Request::parse(payload) else { continue };
            let Some(answer) = self.reach.answer(from) else { continue };
            let asker = from.endpoint;
            let to = asked.group.map_or(answer, |group| IpEndpoint::new(group.into(), asker.port).into());
            self.running.retain(|blast| blast.asker != asker);
            if self.running.len() == MAX_BLASTS {
                self.running.remove(0);
            }
            self.running.push(Blast { asked, asker, to, sent: 0, started: now });
        }
        for blast in &mut self.running {
            while blast.sent < blast.allowed(now) {
                let Ok(payload) = socket.send(blast.asked.size.into(), blast.to) else { break };
                let (number, rest) = payload.split_at_mut(MIN_SIZE.into());
                number.copy_from_slice(&u64::from(blast.sent).to_le_bytes());
                rest.fill(blast.sent as u8);
                blast.sent += 1;
            }
        }
        self.running.retain(|blast| blast.sent < blast.asked.count);
        self.port.done(sockets);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.running.iter().map(Blast::due).min()
    }
}

impl Blast {
    /// How many may have left by `now`.
    fn allowed(&self, now: Instant) -> u32 {
        if self.asked.rate == 0 {
            return self.asked.count;
        }
        let earned = (now - self.started).total_micros().saturating_mul(self.asked.rate.into()) / 1_000_000;
        earned.saturating_add(1).min(self.asked.count.into()) as u32
    }

    /// When the next may leave.
    fn due(&self) -> Instant {
        let micros =
            if self.asked.rate == 0 { 0 } else { (u64::from(self.sent) * 1_000_000).div_ceil(self.asked.rate.into()) };
        self.started + Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_sizes_are_brought_into_range() {
        for group in [None, Some(Ipv4Address::new(239, 1, 1, 1))] {
            let request = Request { count: 1000, size: 1400, rate: 50_000, group };
            assert_eq!(Request::parse(&request.bytes()), Some(request));
        }
        let all_ones = Request::parse(&[0xff; 10]).unwrap();
        assert_eq!((all_ones.count, all_ones.size), (u32::MAX, MAX_SIZE));
        assert_eq!(Request::parse(&[0; 10]).unwrap().size, MIN_SIZE);
        assert_eq!(Request::parse(&[0; 9]), None);
        assert_eq!(Request::parse(&[0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 10, 0, 0, 1]), None, "not a group");
    }

    #[test]
    fn the_rate_bounds_what_has_left() {
        let asked = Request { count: 100, size: 8, rate: 1000, group: None };
        let to = IpEndpoint::new(Ipv4Address::new(10, 0, 0, 2).into(), 5);
        let mut blast = Blast { asked, asker: to, to: to.into(), sent: 0, started: Instant::from_millis(7) };
        assert_eq!(blast.allowed(Instant::from_millis(7)), 1);
        assert_eq!(blast.allowed(Instant::from_millis(17)), 11);
        assert_eq!(blast.allowed(Instant::from_secs(9)), 100);
        blast.sent = 11;
        assert_eq!(blast.due(), Instant::from_millis(18));
        assert_eq!(blast.allowed(blast.due()), 12);
    }
}
