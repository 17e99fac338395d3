//! A soft switch that joins served devices of one process, and through an uplink the world.
//!
//! It learns where a unicast source address is and floods what it has not learned; groups and broadcast go everywhere but back.
//! VLAN tags pass untouched and play no part in learning. An address is forgotten when [`AGE`] frames have passed since it was
//! last a source, or when newer ones need its place. A port whose device does not take its frames loses the newest, counted in
//! its own `dropped`; an uplink without room makes devices keep what would go there. There is no spanning tree: join two switches once only.
//!
//! Ports of one switch may be used from different threads.

use super::{MIN_FRAME, Wait, Waits, Wire, WireCounters};
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Devices on one switch at most.
pub const MAX_PORTS: usize = 64;

/// Addresses that a switch remembers at most.
pub const MAX_ADDRESSES: usize = SETS * WAYS;

/// Frames after which an address is forgotten unless it is heard of again.
pub const AGE: u64 = 1 << 20;

/// Frames, and bytes, that wait at a port at most.
pub const MAX_WAITING: usize = 4096;
/// See [`MAX_WAITING`].
pub const MAX_WAITING_BYTES: usize = 8 << 20;

const SETS: usize = 512;
const WAYS: usize = 4;

/// Frames taken from the uplink in one look.
const LOOKS: usize = 64;

/// Frames that wait for an uplink without room before the switch takes no more for it: devices then keep theirs.
const UPLINK_WAITING: usize = 64;

/// Buffers kept for reuse.
const SPARE: usize = 256;

type Mac = [u8; 6];

/// The switches of one process, by name.
#[derive(Debug, Default)]
pub struct Switches(BTreeMap<String, Arc<Mutex<Switch>>>);

/// A device's port of a switch. Dropping it frees the port.
#[derive(Debug)]
pub struct Port {
    switch: Arc<Mutex<Switch>>,
    place: usize,
    bell: Arc<OwnedFd>,
    counters: WireCounters,
}

#[derive(Default)]
struct Switch {
    ports: Vec<Option<Queue>>,
    uplink: Option<Uplink>,
    table: Table,
    spare: Vec<Vec<u8>>,
}

struct Uplink {
    wire: Box<dyn Wire>,
    /// Frames that it refused, oldest first.
    queue: Queue,
    scratch: Vec<u8>,
}

/// Frames on their way out of the switch.
struct Queue {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Readable while frames wait.
    bell: Arc<OwnedFd>,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Port(usize),
    Uplink,
}

/// What was learned: sets of a few entries each, found by a hash of the address.
#[derive(Default)]
struct Table {
    sets: Vec<[Option<Entry>; WAYS]>,
    clock: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    mac: Mac,
    place: Place,
    heard: u64,
}

impl Switches {
    /// A new port of the switch of this name, which is made if it is not there. Fails when all [`MAX_PORTS`] are taken.
    pub fn port(&mut self, name: &str) -> io::Result<Port> {
        let switch = Arc::clone(self.0.entry(name.to_owned()).or_default());
        let queue = Queue::new()?;
        let bell = Arc::clone(&queue.bell);
        let mut inner = lock(&switch);
        let place = inner.ports.iter().position(Option::is_none).unwrap_or(inner.ports.len());
        if place == MAX_PORTS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        if place == inner.ports.len() {
            inner.ports.push(None);
        }
        inner.ports[place] = Some(queue);
        drop(inner);
        Ok(Port { switch, place, bell, counters: WireCounters::default() })
    }

    /// Joins the switch of this name to `wire`. False: it has an uplink already, or the system has no descriptor left.
    pub fn attach(&mut self, name: &str, wire: Box<dyn Wire>) -> bool {
        let switch = self.0.entry(name.to_owned()).or_default();
        let mut inner = lock(switch);
        let Ok(queue) = Queue::new() else { return false };
        if inner.uplink.is_some() {
            return false;
        }
        inner.uplink = Some(Uplink { wire, queue, scratch: Vec::new() });
        true
    }
}

impl Switches {
    /// Where the switch of this name heard unicast addresses last, by the number of the port; those that came from its uplink are
    /// not among them.
    pub fn addresses(&self, name: &str) -> Vec<([u8; 6], usize)> {
        let Some(switch) = self.0.get(name) else { return Vec::new() };
        let table = &lock(switch).table;
        let fresh = |entry: &&Entry| table.clock - entry.heard <= AGE;
        let mut found: Vec<_> = table
            .sets
            .iter()
            .flatten()
            .flatten()
            .filter(fresh)
            .filter_map(|entry| match entry.place {
                Place::Port(place) => Some((entry.mac, place)),
                Place::Uplink => None,
            })
            .collect();
        found.sort_unstable();
        found
    }
}

impl Port {
    /// Frames that wait here.
    pub fn waiting(&self) -> usize {
        lock(&self.switch).ports[self.place].as_ref().map_or(0, |queue| queue.frames.len())
    }
}

/// A switch is whole between calls even if a thread died in one: every step leaves its lists consistent.
fn lock(switch: &Mutex<Switch>) -> MutexGuard<'_, Switch> {
    switch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting: Vec<_> = self.ports.iter().map(|port| port.as_ref().map(|port| port.frames.len())).collect();
        f.debug_struct("Switch").field("waiting", &waiting).field("uplink", &self.uplink.is_some()).finish()
    }
}

impl Switch {
    /// Brings a frame that came in at `from` to where it belongs.
    fn forward(&mut self, from: Place, frame: &[u8]) {
        let (Some(destination), Some(source)) = (mac(frame, 0), mac(frame, 6)) else { return };
        self.table.clock += 1;
        if is_unicast(source) {
            self.table.learn(source, from);
        }
        let known = if is_unicast(destination) { self.table.find(destination) } else { None };
        match known {
            Some(place) if place == from => {}
            Some(place) => self.deliver(place, frame),
            None => {
                for port in (0..self.ports.len()).map(Place::Port).chain([Place::Uplink]).filter(|to| *to != from) {
                    self.deliver(port, frame);
                }
            }
        }
    }

    /// Whether the frame would go to the uplink, and that has had no room for too long.
    fn is_full_for(&mut self, frame: &[u8]) -> bool {
        let Self { uplink: Some(uplink), spare, table, .. } = self else { return false };
        if uplink.queue.frames.len() < UPLINK_WAITING || uplink.flush(spare) {
            return false;
        }
        let local = mac(frame, 0).filter(|to| is_unicast(*to)).and_then(|to| table.find(to));
        !matches!(local, Some(Place::Port(_)))
    }

    fn deliver(&mut self, to: Place, frame: &[u8]) {
        match to {
            Place::Port(place) => {
                if let Some(Some(queue)) = self.ports.get_mut(place) {
                    queue.push(frame, &mut self.spare);
                }
            }
            Place::Uplink => {
                if let Some(uplink) = &mut self.uplink
                    && (!uplink.flush(&mut self.spare) || !uplink.wire.send(frame))
                {
                    uplink.queue.push(frame, &mut self.spare);
                }
            }
        }
    }

    /// Takes what came at the uplink, and goes on with what it refused.
    fn look_up(&mut self) {
        let Some(mut uplink) = self.uplink.take() else { return };
        uplink.flush(&mut self.spare);
        for _ in 0..LOOKS {
            if !uplink.wire.receive(&mut uplink.scratch) {
                break;
            }
            self.forward(Place::Uplink, &uplink.scratch);
        }
        self.uplink = Some(uplink);
    }
}

impl Uplink {
    /// True when nothing that was refused waits any more.
    fn flush(&mut self, spare: &mut Vec<Vec<u8>>) -> bool {
        while let Some(frame) = self.queue.frames.front() {
            if !self.wire.send(frame) {
                return false;
            }
            if let Some(buffer) = self.queue.pop() {
                keep(spare, buffer);
            }
        }
        true
    }
}

impl Queue {
    fn new() -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        Ok(Self { frames: VecDeque::new(), bytes: 0, bell, dropped: 0 })
    }

    fn push(&mut self, frame: &[u8], spare: &mut Vec<Vec<u8>>) {
        if self.frames.len() >= MAX_WAITING || self.bytes + frame.len() > MAX_WAITING_BYTES {
            self.dropped += 1;
            return;
        }
        let mut buffer = spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(frame);
        self.bytes += buffer.len();
        self.frames.push_back(buffer);
        if self.frames.len() == 1 {
            // The counter of an eventfd that is cleared by every other write cannot overflow.
            let _rung = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        if self.frames.is_empty() {
            let _silenced = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        Some(frame)
    }
}

impl Table {
    fn set(&mut self, mac: Mac) -> &mut [Option<Entry>; WAYS] {
        if self.sets.is_empty() {
            self.sets = vec![[None; WAYS]; SETS];
        }
        let [a, b, c, d, e, f] = mac;
        let hash = spec::frame::mix(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        &mut self.sets[hash as usize % SETS]
    }

    fn learn(&mut self, mac: Mac, place: Place) {
        let heard = self.clock;
        let set = self.set(mac);
        let known = set.iter().position(|entry| entry.is_some_and(|entry| entry.mac == mac));
        let free = || set.iter().position(Option::is_none);
        let oldest = || (0..WAYS).min_by_key(|way| set[*way].map_or(0, |entry| entry.heard));
        if let Some(way) = known.or_else(free).or_else(oldest) {
            set[way] = Some(Entry { mac, place, heard });
        }
    }

    fn find(&mut self, mac: Mac) -> Option<Place> {
        let clock = self.clock;
        let entry = self.set(mac).iter().flatten().find(|entry| entry.mac == mac)?;
        (clock - entry.heard <= AGE).then_some(entry.place)
    }

    fn forget(&mut self, place: Place) {
        for entry in self.sets.iter_mut().flatten().filter(|entry| entry.is_some_and(|entry| entry.place == place)) {
            *entry = None;
        }
    }
}

fn keep(spare: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if buffer.capacity() > 0 && spare.len() < SPARE {
        spare.push(buffer);
    }
}

fn mac(frame: &[u8], at: usize) -> Option<Mac> {
    frame.get(at..)?.first_chunk().copied()
}

fn is_unicast(mac: Mac) -> bool {
    mac[0] & 1 == 0
}

impl Wire for Port {
    fn send(&mut self, frame: &[u8]) -> bool {
        let mut switch = lock(&self.switch);
        if switch.is_full_for(frame) {
            self.counters.refused += 1;
            return false;
        }
        self.counters.sent(frame.len());
        if frame.len() < MIN_FRAME {
            self.counters.malformed += 1;
        } else {
            switch.forward(Place::Port(self.place), frame);
        }
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        into.clear();
        let mut switch = lock(&self.switch);
        let switch = &mut *switch;
        switch.look_up();
        let Some(frame) = switch.ports[self.place].as_mut().and_then(Queue::pop) else { return false };
        keep(&mut switch.spare, std::mem::replace(into, frame));
        self.counters.received(into.len());
        true
    }

    fn fds(&self) -> Waits {
        let mut waits = Waits::default();
        waits[0] = Some(Wait { fd: Arc::clone(&self.bell), flags: PollFlags::IN });
        if let Some(uplink) = &lock(&self.switch).uplink {
            let inner = uplink.wire.fds();
            waits[1..].iter_mut().zip(inner).for_each(|(wait, inner)| *wait = inner);
        }
        waits
    }

    fn due(&mut self) -> Option<Duration> {
        let mut switch = lock(&self.switch);
        if switch.ports[self.place].as_ref().is_some_and(|queue| !queue.frames.is_empty()) {
            return Some(Duration::ZERO);
        }
        switch.uplink.as_mut()?.wire.due()
    }

    fn settled(&mut self) -> bool {
        let mut switch = lock(&self.switch);
        let Switch { uplink, spare, .. } = &mut *switch;
        uplink.as_mut().is_none_or(|uplink| uplink.flush(spare) && uplink.wire.settled())
    }

    fn counters(&self) -> WireCounters {
        let switch = lock(&self.switch);
        let dropped = switch.ports[self.place].as_ref().map_or(0, |queue| queue.dropped);
        WireCounters { dropped, ..self.counters }
    }

    fn sequences(&self) -> Option<super::SequenceCounters> {
        lock(&self.switch).uplink.as_ref()?.wire.sequences()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut switch = lock(&self.switch);
        switch.ports[self.place] = None;
        switch.table.forget(Place::Port(self.place));
    }
}
