//! A learning switch over wires: what lies between hosts, and what joins any two back ends.
//!
//! Each wire is joined to a port of a [soft switch](crate::serve::wire::switch), so that learning and flooding are those of a host's
//! own. It keeps the order of every pair of ports, and one order more that a [move](crate::front) rests on: a port is read until it is
//! empty before the next one is. What a host had sent before another host sent something because of it is therefore forwarded first.
//!
//! It loses nothing by itself: while a port has no room nothing more is taken from any, as on a lossless fabric. A port that has
//! had no room for half a second loses what waits for it, counted.

use crate::serve::orders::Control;
use crate::serve::wire::switch::{Port, Switches};
use crate::serve::wire::{MAX_WAITS, Wire, WireCounters};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, retry_on_intr};
use std::time::{Duration, Instant};

/// Frames that may wait for a port before nothing more is taken.
const WAITING: usize = 256;
/// Frames taken from one port before the next has its turn: more than a socket holds, so that a port is read until it is empty.
const TURN: usize = 4096;
/// How long a port may have no room.
const PATIENCE: Duration = Duration::from_millis(500);
/// The soft switch of a fabric has one name; nobody else uses it.
const NAME: &str = "fabric";

/// A wire and the port that it is joined to.
struct Joint {
    name: String,
    wire: Box<dyn Wire>,
    port: Port,
    /// The frame that the wire had no room for.
    frame: Vec<u8>,
    held: bool,
    full_since: Option<Instant>,
    dropped: u64,
}

/// A learning switch over wires.
pub struct Fabric {
    switches: Switches,
    joints: Vec<Joint>,
    /// The port that is read next.
    at: usize,
    scratch: Vec<u8>,
}

/// A port, as [`Fabric::ports`] tells of it.
#[derive(Clone, Debug)]
pub struct PortStatus<'a> {
    /// As its owner called it.
    pub name: &'a str,
    /// What went through its wire, *sent* being from the fabric outwards.
    pub wire: WireCounters,
    /// Frames that it lost.
    pub dropped: u64,
    /// Addresses that were last heard there.
    pub addresses: Vec<[u8; 6]>,
}

impl Fabric {
    /// Joins `wires`, each with a name.
    ///
    /// # Errors
    /// When the system has no descriptor left, or there are more than a switch has ports.
    pub fn new(wires: Vec<(String, Box<dyn Wire>)>) -> std::io::Result<Self> {
        let mut switches = Switches::default();
        let joint = |(name, wire)| {
            let port = switches.port(NAME)?;
            Ok(Joint { name, wire, port, frame: Vec::new(), held: false, full_since: None, dropped: 0 })
        };
        let joints = wires.into_iter().map(joint).collect::<std::io::Result<_>>()?;
        Ok(Self { switches, joints, at: 0, scratch: Vec::new() })
    }

    /// Every port.
    pub fn ports(&self) -> impl Iterator<Item = PortStatus<'_>> {
        let heard = self.switches.addresses(NAME);
        self.joints.iter().enumerate().map(move |(place, joint)| PortStatus {
            name: &joint.name,
            wire: joint.wire.counters(),
            dropped: joint.dropped + joint.port.counters().dropped,
            addresses: heard.iter().filter(|(_, at)| *at == place).map(|(mac, _)| *mac).collect(),
        })
    }

    /// Carries what has come; whether anything moved.
    pub fn carry(&mut self) -> bool {
        let mut moved = self.hand_out();
        for _ in 0..self.joints.len() {
            for _ in 0..TURN {
                if self.joints.iter().any(|joint| joint.port.waiting() >= WAITING) && !self.make_room(&mut moved) {
                    // The same port goes on when there is room: what it still holds is older than anything the others may say.
                    return moved;
                }
                let Some(joint) = self.joints.get_mut(self.at) else { return moved };
                if !joint.wire.receive(&mut self.scratch) {
                    break;
                }
                moved = true;
                joint.port.send(&self.scratch);
            }
            self.at = (self.at + 1) % self.joints.len().max(1);
        }
        self.hand_out() | moved
    }

    /// True when every port has room again.
    fn make_room(&mut self, moved: &mut bool) -> bool {
        *moved |= self.hand_out();
        self.joints.iter().all(|joint| joint.port.waiting() < WAITING)
    }

    /// Gives wires what waits for them; whether anything moved.
    fn hand_out(&mut self) -> bool {
        self.joints.iter_mut().fold(false, |moved, joint| joint.hand_out() | moved)
    }

    /// Waits until something can move, an order comes, or `stop` is readable, which is answered.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&mut self, control: Option<&Control>, stop: Option<BorrowedFd<'_>>) -> Result<bool, Errno> {
        let full = self.joints.iter().any(|joint| joint.port.waiting() >= WAITING);
        let due = self.joints.iter_mut().filter_map(|joint| joint.due(full)).min();
        let due = due.map(|due| Timespec { tv_sec: due.as_secs() as i64, tv_nsec: due.subsec_nanos().into() });
        let waits: Vec<_> = self.joints.iter().map(|joint| joint.wire.fds()).collect();
        let mut fds = Vec::with_capacity(16 + self.joints.len() * MAX_WAITS);
        fds.extend(stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
        if let Some(control) = control {
            control.waits(&mut fds);
        }
        for wait in waits.iter().flatten().flatten() {
            let flags = if full { wait.flags & PollFlags::OUT } else { wait.flags };
            fds.push(PollFd::new(&*wait.fd, flags));
        }
        retry_on_intr(|| poll(&mut fds, due.as_ref()))?;
        Ok(stop.is_some() && fds.first().is_some_and(|fd| !fd.revents().is_empty()))
    }
}

impl Joint {
    fn hand_out(&mut self) -> bool {
        let mut moved = false;
        while self.held || self.port.receive(&mut self.frame) {
            self.held = !self.wire.send(&self.frame);
            if self.held {
                let since = *self.full_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    self.give_up();
                }
                return moved;
            }
            self.full_since = None;
            moved = true;
        }
        moved
    }

    fn give_up(&mut self) {
        self.full_since = None;
        self.held = false;
        self.dropped += 1;
        while self.port.receive(&mut self.frame) {
            self.dropped += 1;
        }
    }

    /// When the wire may have something, or room, without its descriptor saying so; while a port is full nothing is taken.
    fn due(&mut self, full: bool) -> Option<Duration> {
        let patience =
            self.full_since.map(|since| (PATIENCE + Duration::from_millis(1)).saturating_sub(since.elapsed()));
        let wire = self.wire.due();
        let wire = if full && wire == Some(Duration::ZERO) { Some(Duration::from_millis(1)) } else { wire };
        [patience, wire].into_iter().flatten().min()
    }
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric").field("ports", &self.joints.len()).field("at", &self.at).finish_non_exhaustive()
    }
}
