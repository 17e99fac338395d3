//! A host in this process that answers the guest: the other end of a wire for tests and measurements, nothing to install.
//!
//! | asked for | answer |
//! |---|---|
//! | ARP, ICMP and ICMPv6 echo, neighbour discovery | as any host; IPv4 fragments are joined, answers cut to the guest's MTU |
//! | UDP 7, TCP 7 | echo |
//! | UDP 9 | counts; numbered datagrams are judged ([`super::sequence`]) |
//! | TCP 9 | swallows; a numbered stream is judged |
//! | UDP 19 | sends numbered datagrams as the request says ([`blast`]) |
//! | TCP 19 | sends a numbered stream until the guest closes |
//! | UDP 67 | DHCP: one address, the one after ours ([`dhcp`]) |
//! | UDP 69 | TFTP: one file, read only ([`tftp`]) |
//!
//! Everything also answers inside VLANs: a face of its own for each tag seen, at most [`MAX_TAGGED`] at once. The face of VLAN *v*
//! has our address and `10.(64 + v / 256).(v mod 256).1/24`, since a guest routes a subnet to one interface only. IPv6 addresses
//! are the link-local one made from the MAC and `fd00::` with the IPv4 address in its last 32 bits, `/64`. Multicast group
//! 239.1.1.1 is joined. VXLAN to our address is answered inside: the face of network identifier *n* has our address and
//! `10.80.(n mod 256).1/24`, and counts as a tag.
//! Checksums of the guest are checked; what is wrong is not answered.
//!
//! TCP/IP is crate `smoltcp`. Not modelled: IPv6 fragments, routing, more than one address for DHCP.

use super::sequence::{SequenceCounters, Sequences};
use super::{MIN_FRAME, Waits, Wire, WireCounters};
use face::{Face, Inside};
use outbox::Outbox;
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub mod blast;
pub mod dhcp;
mod face;
mod outbox;
mod tcp;
pub mod tftp;
mod tunnel;
mod udp;

/// VLAN tags that are answered at once; one more replaces the tag unused for longest.
pub const MAX_TAGGED: usize = 4;

/// The multicast group that is joined.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

/// Frames of the guest that are taken before the services have a turn, so that their buffers hold them all.
const TURN: usize = 32;

/// Frames prepared in one turn.
const BATCH: usize = 64;

/// Longest file that TFTP serves, in bytes.
pub const MAX_TFTP_FILE: u64 = 64 << 20;

/// Who the responder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponderSpec {
    /// Its address; a guest behind QEMU's own user network finds its gateway at the default one too.
    pub ip4: Ipv4Addr,
    /// Length of the subnet's prefix, 1 to 30 bits.
    pub prefix: u8,
    /// Its hardware address, unicast.
    pub mac: [u8; 6],
    /// Largest IP packet on the wire, in bytes, 1280 to 65535. The guest may have a smaller one.
    pub mtu: u16,
    /// The file that TFTP serves and DHCP names.
    pub tftp: Option<PathBuf>,
}

impl Default for ResponderSpec {
    fn default() -> Self {
        Self { ip4: Ipv4Addr::new(10, 0, 2, 2), prefix: 24, mac: [2, 0, 0, 0, 0, 1], mtu: 9000, tftp: None }
    }
}

/// The host. See the module.
pub struct Responder {
    spec: ResponderSpec,
    /// The file that TFTP serves.
    file: Option<Arc<tftp::File>>,
    started: std::time::Instant,
    /// The untagged face, then those of tags.
    faces: Vec<Face>,
    outbox: Outbox,
    shared: Shared,
    /// Frames since the last turn.
    since_turn: usize,
    /// A service has more to answer than finds room.
    congested: bool,
    /// When the next turn is due; `None`: when a frame comes.
    turn_at: Option<Instant>,
    /// Rises with each frame of the guest, for the age of tags.
    clock: u64,
    counters: WireCounters,
}

/// What all faces count together, and a buffer they take turns with.
#[derive(Default)]
pub(super) struct Shared {
    /// Datagrams to the discard service, by network and sender.
    sequences: Sequences<(Option<u32>, IpEndpoint)>,
    stream_bytes: u64,
    broken_streams: u64,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("spec", &self.spec).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Responder {
    /// A host as `spec` says. Fails only when the file to serve cannot be read or is longer than [`MAX_TFTP_FILE`].
    pub fn open(spec: ResponderSpec) -> io::Result<Self> {
        let file = spec.tftp.as_deref().map(tftp::File::read).transpose()?.map(Arc::new);
        let started = std::time::Instant::now();
        let mut host = Self {
            spec,
            file,
            started,
            faces: Vec::new(),
            outbox: Outbox::default(),
            shared: Shared { scratch: vec![0; tcp::BUFFER], ..Shared::default() },
            since_turn: 0,
            congested: false,
            turn_at: None,
            clock: 0,
            counters: WireCounters::default(),
        };
        host.faces.push(Face::new(&host.spec, Inside::Nothing, host.file.clone(), host.now()));
        Ok(host)
    }

    /// The clock of the TCP/IP crate.
    fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// The face that answers frames inside this; made when it is seen for the first time.
    fn face(&mut self, inside: Inside, now: Instant) -> usize {
        if let Some(place) = self.faces.iter().position(|face| face.inside().network() == inside.network()) {
            return place;
        }
        let face = Face::new(&self.spec, inside, None, now);
        if self.faces.len() <= MAX_TAGGED {
            self.faces.push(face);
            return self.faces.len() - 1;
        }
        let unused = self.faces.iter().enumerate().skip(1).min_by_key(|(_, face)| face.last_used);
        let place = unused.map_or(0, |(place, _)| place);
        self.faces[place] = face;
        place
    }

    /// Takes a frame that came inside something.
    fn take(&mut self, inside: Inside, frame: &[u8], now: Instant) {
        let place = self.face(inside, now);
        self.clock += 1;
        let face = &mut self.faces[place];
        face.last_used = self.clock;
        face.set_inside(inside);
        face.take(frame, now, &mut self.outbox);
    }

    /// Lets every face work, until `batch` frames wait: services, answers, timers.
    fn turn(&mut self, now: Instant, batch: usize) {
        (self.since_turn, self.turn_at, self.congested) = (0, None, false);
        // A face that the guest has not used says nothing either.
        for face in self.faces.iter_mut().filter(|face| face.last_used > 0) {
            let due = face.turn(now, batch, &mut self.outbox, &mut self.shared);
            self.turn_at = [self.turn_at, due].into_iter().flatten().min();
            self.congested |= face.is_congested();
        }
    }

    fn turn_if_due(&mut self) {
        if self.since_turn == 0 && self.turn_at.is_none() {
            return;
        }
        let now = self.now();
        if self.since_turn > 0 || self.turn_at.is_some_and(|at| at <= now) {
            self.turn(now, BATCH);
        }
    }
}

impl Wire for Responder {
    /// False while more answers wait than the guest has taken: take some first.
    fn send(&mut self, frame: &[u8]) -> bool {
        if self.congested && self.outbox.len() < outbox::LIMIT {
            let now = self.now();
            self.turn(now, outbox::LIMIT);
        }
        if self.outbox.is_full() || self.congested {
            self.counters.refused += 1;
            return false;
        }
        self.counters.sent(frame.len());
        if !super::socket::is_frame(frame.len()) {
            self.counters.malformed += 1;
            return true;
        }
        let now = self.now();
        match (outbox::tag(frame), tunnel::look(frame, self.spec.ip4)) {
            (Some(tag), _) => {
                let mut untagged = self.outbox.buffer(0);
                untagged.extend_from_slice(&frame[..MIN_FRAME - 2]);
                untagged.extend_from_slice(&frame[MIN_FRAME + 2..]);
                self.take(Inside::Vlan(tag), &untagged, now);
                self.outbox.recycle(untagged);
            }
            (None, tunnel::Found::Plain) => self.take(Inside::Nothing, frame, now),
            (None, tunnel::Found::Inner(tunnel, inner)) if super::socket::is_frame(inner.len()) => {
                self.take(Inside::Tunnel(tunnel), inner, now);
            }
            (None, tunnel::Found::Inner(..) | tunnel::Found::Wrong) => {
                self.counters.malformed += 1;
                return true;
            }
        }
        self.since_turn += 1;
        if self.since_turn >= TURN {
            self.turn(now, outbox::LIMIT);
        }
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        into.clear();
        if self.outbox.len() == 0 {
            self.turn_if_due();
        }
        let found = self.outbox.pop(into);
        if found {
            self.counters.received(into.len());
        }
        found
    }

    fn fds(&self) -> Waits {
        Waits::default()
    }

    fn due(&mut self) -> Option<Duration> {
        if self.outbox.len() > 0 || self.since_turn > 0 {
            return Some(Duration::ZERO);
        }
        let at = self.turn_at?;
        let now = self.now();
        Some(if at <= now { Duration::ZERO } else { (at - now).into() })
    }

    fn counters(&self) -> WireCounters {
        WireCounters { dropped: self.outbox.oversized, ..self.counters }
    }

    fn sequences(&self) -> Option<SequenceCounters> {
        let Shared { stream_bytes, broken_streams, .. } = self.shared;
        Some(SequenceCounters { stream_bytes, broken_streams, ..self.shared.sequences.totals() })
    }
}
