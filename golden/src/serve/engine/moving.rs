//! How a served device leaves for another host, and how it arrives.
//!
//! The source stops ([`Migration::Stop`]): it leaves the adapter, comes to a packet boundary, and what it has sent leaves this process.
//! While its state is read ([`Migration::StopCopy`]) it delivers nothing: frames for the guest are kept. Two frames through the
//! fabric, which keeps order, do the rest.
//! 1. The source sends a [marker](handed::marker) behind the guest's last frame. The destination passes over everything before it: the
//!    source has all of that.
//! 2. Then the destination announces the guest. No frame of the guest's is behind it that could teach a switch the old place. The
//!    announcement comes back to the source, behind every frame that the fabric had sent there: what the source kept is all there is.
//!
//! The destination offers what was handed over before anything from its own wire. What the fabric sent to both between the two,
//! broadcasts above all, it takes from what was handed over, and passes over on the wire.
//!
//! Neither waits for ever: a destination without marker announces the guest after [`CUT_PATIENCE`], a source without announcement is
//! done after [`PATIENCE`]. Such a move may lose or double frames, and is counted. A reader that asks for more than the first parts
//! at once is not waited for either.

use super::super::handed::{self, DepartureV1, Handed, Held, OutsideV1, announcement, announces, marker, marks};
use super::{BURST, Engine, FRAMES, Kind, PATIENCE as WIRE_PATIENCE};
use crate::trace::{Call, Looks};
use crate::vfio_user::{Errno, Migration};
use model::machine::Mode;
use model::migrate::{Outcome, Reason, RestoreError, Saved};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use spec::profile::Profile;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a destination waits for the marker once it has the state.
const CUT_PATIENCE: Duration = Duration::from_millis(200);
/// How long a source waits for the announcement once its state has been read.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of the longest state of a device.
const MOST_STATE: u64 = 1 << 20;
/// Bytes of the container of a departure.
const DEPARTURE: u64 = 24 + 12 + 16;

/// What moves did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveCounters {
    /// Devices whose state was read to its end.
    pub left: u64,
    /// Devices that arrived.
    pub arrived: u64,
    /// Of those that left, how many did without the announcement.
    pub without_barrier: u64,
    /// Of those that arrived, how many did without the marker.
    pub without_marker: u64,
    /// Frames handed over to another host.
    pub frames_out: u64,
    /// Frames taken over from another host.
    pub frames_in: u64,
    /// Frames that found no place while the device stood still.
    pub dropped: u64,
    /// Frames that came over the wire and were handed over too.
    pub doubles: u64,
    /// Announcements sent.
    pub announced: u64,
}

/// Where a device stands in a move, and what it keeps.
#[derive(Debug, Default)]
pub(in super::super) struct Moving {
    standing: Migration,
    /// Frames for the guest that are older than those on the wire.
    queue: Held,
    /// Frames that were handed over and may yet come over the wire.
    doubles: Held,
    leaving: Option<Leaving>,
    arriving: Option<Arriving>,
    /// It was read, and the network may have been told that it is elsewhere.
    told_away: bool,
    /// The state it had when it was new.
    as_new: Vec<u8>,
    /// Another device than the own one is here.
    foreign: bool,
    counters: MoveCounters,
}

/// A state that is read.
#[derive(Debug)]
struct Leaving {
    data: Vec<u8>,
    /// Bytes of departure and state.
    first: usize,
    read: usize,
    mac: [u8; 6],
    barrier: bool,
    /// When the state had been read.
    since: Option<Instant>,
    /// Too long ago.
    late: bool,
    /// The loop was told that a reader that waits can be answered.
    told: bool,
    /// What is handed over is in `data`.
    whole: bool,
}

/// A state that is written.
#[derive(Debug, Default)]
struct Arriving {
    data: Vec<u8>,
    departure: Option<DepartureV1>,
    /// Bytes of departure and state, once they are here and make sense, and when that was.
    first: Option<(usize, Instant)>,
    /// The marker at which the wire was left alone.
    marked: Option<DepartureV1>,
    announced: bool,
    /// It made no sense: nothing more is taken.
    refused: bool,
}

impl Arriving {
    /// The source's marker was seen: what the wire has now is not in what it hands over, or came to both.
    fn is_cut(&self) -> bool {
        self.departure.is_some() && self.marked == self.departure
    }

    /// The wire is read, and passed over: it has nothing yet that is the guest's.
    fn passes_over(&self) -> bool {
        !self.announced
            && (self.marked.is_none() || self.departure.is_some_and(|departure| self.marked != Some(departure)))
    }
}

impl Arriving {
    /// Departure and state, as soon as they are here.
    fn take_parts(&mut self, profile: &'static Profile) -> Result<(), RestoreError> {
        if self.first.is_some() {
            return Ok(());
        }
        let length = |bytes: &[u8], most| match handed::container_bytes(bytes) {
            Some(length) if length > most => {
                Err(RestoreError::Field { part: "Header", index: 0, field: "length", value: length })
            }
            length => Ok(length.map(|length| length as usize)),
        };
        let Some(end) = length(&self.data, DEPARTURE)? else { return Ok(()) };
        let Some((departure, rest)) = self.data.split_at_checked(end) else { return Ok(()) };
        self.departure = Some(DepartureV1::decode(profile.id, departure)?);
        let Some(length) = length(rest, MOST_STATE)? else { return Ok(()) };
        let Some(state) = rest.get(..length) else { return Ok(()) };
        let saved = Saved::decode(profile, state)?;
        let departure = self.departure.unwrap_or_default();
        if DepartureV1::of(saved.plane.mac, departure.nonce()) != departure {
            return Err(RestoreError::Field { part: "Departure", index: 0, field: "mac", value: departure.mac() });
        }
        self.first = Some((end + length, Instant::now()));
        Ok(())
    }
}

impl Moving {
    /// What a device is as new, so that it can be that again.
    pub fn new(as_new: Vec<u8>) -> Self {
        Self { as_new, ..Self::default() }
    }

    /// The oldest frame that waits for the guest here.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.queue.pop()
    }

    /// Whether a frame from the wire is not for the guest: it was handed over already, or is said between hosts.
    pub fn is_not_for_guest(&mut self, frame: &[u8]) -> bool {
        if marks(frame).is_some() {
            return true;
        }
        if self.doubles.is_empty() {
            return false;
        }
        let place = self.doubles.iter().position(|held| held == frame);
        match place {
            // What came before it is not coming any more: the wire keeps its order.
            Some(place) => (0..=place).for_each(|_| drop(self.doubles.pop())),
            None => self.doubles.clear(),
        }
        self.counters.doubles += u64::from(place.is_some());
        place.is_some()
    }
}

impl<M: Looks> Engine<M> {
    /// Where it stands in a move. `None` on the direct path: the page of this process would stay in the guest.
    pub fn standing(&self) -> Option<Migration> {
        self.page.is_none().then_some(self.moving.standing)
    }

    /// It stands still for a move.
    pub fn is_moving(&self) -> bool {
        self.moving.standing != Migration::Running
    }

    /// What moves did.
    pub fn moves(&self) -> MoveCounters {
        self.moving.counters
    }

    /// Frames are taken from the wire, now or as soon as the guest has room.
    pub fn listens(&self) -> bool {
        match self.moving.standing {
            Migration::Running => !self.paused && !self.is_starved(),
            Migration::StopCopy => {
                self.moving.leaving.as_ref().is_some_and(|leaving| !leaving.barrier && !leaving.whole)
            }
            Migration::Resuming => self.moving.arriving.as_ref().is_some_and(Arriving::passes_over),
            Migration::Stop => false,
        }
    }

    /// Takes a step of a move. When it fails the device stands where it stood.
    ///
    /// # Errors
    /// `EBUSY` when it cannot leave the adapter or a packet does not get out; `EINVAL` for a state that makes no sense, which is
    /// then forgotten; `EOPNOTSUPP` on the direct path.
    pub fn migrate_to(&mut self, to: Migration) -> Result<(), Errno> {
        let from = self.standing().ok_or(Errno::OPNOTSUPP)?;
        match (from, to) {
            (Migration::Running, Migration::Stop) => self.stop()?,
            (Migration::Stop, Migration::Running) => self.go_on(),
            (Migration::Stop, Migration::StopCopy) => self.begin_leaving()?,
            (Migration::StopCopy, Migration::Stop) => {
                self.moving.leaving = None;
                self.moving.told_away = true;
            }
            (Migration::Stop, Migration::Resuming) => self.moving.arriving = Some(Arriving::default()),
            (Migration::Resuming, Migration::Stop) => self.arrive()?,
            _ => return Err(Errno::INVAL),
        }
        self.moving.standing = to;
        Ok(())
    }

    /// RUNNING to STOP.
    fn stop(&mut self) -> Result<(), Errno> {
        self.adopt_masks();
        self.unblock();
        let begun = Instant::now();
        while self.system.mode() == Mode::Hardware {
            match self.switch(Self::plan(Mode::Software)) {
                Ok(_) | Err(Outcome::Stopped(..)) => break,
                Err(Outcome::Undone(Reason::TxRingFull | Reason::WireBusy)) if begun.elapsed() < WIRE_PATIENCE => {
                    self.work();
                }
                Err(_) => return Err(Errno::BUSY),
            }
        }
        if self.bells.looks() {
            // The destination knows nothing of doorbells that were not asked for.
            self.call(&Call::TxThreshold { packets: 1 });
        }
        self.settle(begun)?;
        self.hold.prompt();
        self.interrupt();
        while !(self.outlet.flush() && self.outlet.wire_mut().settled()) {
            if begun.elapsed() > 2 * WIRE_PATIENCE {
                self.counters.wire_drops += self.outlet.give_up() as u64;
                break;
            }
            self.await_wire();
        }
        self.system.save().map(drop).map_err(|_| Errno::BUSY)
    }

    /// Brings the system to where it can be saved; frames that it had not delivered are the oldest again.
    pub(super) fn settle(&mut self, begun: Instant) -> Result<(), Errno> {
        loop {
            self.serve_wire();
            self.call(&Call::Run { budget: BURST });
            self.unblock();
            self.outlet.withdraw(true);
            let settled = self.call(&Call::Settle).is_done();
            let frames = self.outlet.withdraw(false);
            self.moving.queue.push_front(frames.into_iter());
            if settled {
                return Ok(());
            }
            if begun.elapsed() > 2 * WIRE_PATIENCE {
                return Err(Errno::BUSY);
            }
            self.await_wire();
        }
    }

    /// Waits a moment for room on the wire.
    fn await_wire(&self) {
        let waits = self.outlet.wire().fds();
        let writable = waits.iter().flatten().filter(|wait| wait.flags.contains(PollFlags::OUT));
        let mut fds: Vec<_> = writable.map(|wait| PollFd::new(&*wait.fd, PollFlags::OUT)).collect();
        let moment = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // Whatever ended the wait, it is looked again.
        let _looked_again = poll(&mut fds, Some(&moment));
    }

    /// STOP to RUNNING.
    fn go_on(&mut self) {
        if std::mem::take(&mut self.moving.told_away) {
            self.announce(self.system.plane().state().mac);
        }
        self.told_time = Instant::now();
        self.bells.watch(self.told_time);
        self.hold.prompt();
        self.interrupt();
    }

    /// STOP to STOP_COPY.
    fn begin_leaving(&mut self) -> Result<(), Errno> {
        let saved = self.system.save().map_err(|_| Errno::BUSY)?;
        let mac = saved.plane.mac;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let departure = DepartureV1::of(mac, spec::frame::mix(now.as_nanos() as u64));
        let (mut data, mut state) = (Vec::new(), Vec::new());
        departure.encode(self.profile.id, &mut data);
        saved.encode(self.profile, &mut state);
        data.append(&mut state);
        let first = data.len();
        self.outlet.post(&marker(departure));
        self.moving.leaving = Some(Leaving {
            data,
            first,
            read: 0,
            mac,
            barrier: false,
            since: None,
            late: false,
            told: false,
            whole: false,
        });
        Ok(())
    }

    /// What a device that stands still has to do: a source keeps frames, a destination looks for the marker. True when there may be
    /// more.
    pub(super) fn stand(&mut self) -> bool {
        self.serve_wire();
        if let Some(leaving) = &mut self.moving.leaving {
            leaving.late |= leaving.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        }
        let mut taken = 0;
        while taken < FRAMES && self.listens() && self.outlet.wire_mut().receive(&mut self.frame) {
            taken += 1;
            let Moving { leaving, arriving, queue, .. } = &mut self.moving;
            let marked = marks(&self.frame);
            if let Some(arriving) = arriving {
                arriving.marked = marked.or(arriving.marked);
            } else if let Some(leaving) = leaving {
                if announces(&self.frame, leaving.mac) {
                    leaving.barrier = true;
                } else if marked.is_none() {
                    queue.push(std::mem::take(&mut self.frame));
                }
            }
        }
        self.announce_arrival(false);
        taken == FRAMES
    }

    /// Tells the network that the guest is here once the state is, and the marker, or it has been waited for long enough.
    fn announce_arrival(&mut self, at_once: bool) {
        let Some(arriving) = self.moving.arriving.as_mut().filter(|arriving| !arriving.announced) else { return };
        let (Some((_, since)), Some(departure)) = (arriving.first, arriving.departure) else { return };
        if arriving.is_cut() || at_once || since.elapsed() >= CUT_PATIENCE {
            arriving.announced = true;
            self.moving.counters.without_marker += u64::from(!arriving.is_cut());
            let [a, b, c, d, e, f, ..] = departure.mac().to_le_bytes();
            self.announce([a, b, c, d, e, f]);
        }
    }

    /// When a device that stands still goes on by itself: at once when a reader that waits can be answered, which is said once.
    pub(super) fn stands_until(&mut self) -> Option<Duration> {
        if let Some(arriving) = self.moving.arriving.as_ref().filter(|arriving| !arriving.announced) {
            return Some(CUT_PATIENCE.saturating_sub(arriving.first?.1.elapsed()));
        }
        let leaving = self.moving.leaving.as_mut().filter(|leaving| !leaving.whole)?;
        if leaving.barrier || leaving.late {
            return (!std::mem::replace(&mut leaving.told, true)).then_some(Duration::ZERO);
        }
        Some(PATIENCE.saturating_sub(leaving.since?.elapsed()))
    }

    /// Reads the state, in STOP_COPY: how many bytes; fewer than asked for are the last. `None`: not yet.
    ///
    /// # Errors
    /// `EINVAL` in any other state.
    pub fn read_state(&mut self, into: &mut [u8]) -> Result<Option<usize>, Errno> {
        let Some(leaving) = &mut self.moving.leaving else { return Err(Errno::INVAL) };
        let left = leaving.first.saturating_sub(leaving.read);
        if !leaving.whole && into.len() > left {
            if left == 0 && !leaving.barrier && !leaving.late {
                return Ok(None);
            }
            self.conclude();
        }
        let Some(leaving) = &mut self.moving.leaving else { return Err(Errno::INVAL) };
        let count = into.len().min(leaving.data.len() - leaving.read);
        into[..count].copy_from_slice(&leaving.data[leaving.read..leaving.read + count]);
        leaving.read += count;
        if leaving.read == leaving.first {
            leaving.since.get_or_insert_with(Instant::now);
        }
        Ok(Some(count))
    }

    /// The second part is what it is now.
    fn conclude(&mut self) {
        let (messages, line, line_told) = self.interrupts.owed();
        let Some(leaving) = &mut self.moving.leaving else { return };
        let mut outside = OutsideV1::default();
        outside.set_messages(messages as u32);
        outside.set_line(line);
        outside.set_line_told(line_told);
        outside.set_barrier(leaving.barrier);
        outside.set_dropped(self.moving.queue.dropped());
        Handed::encode(outside, (messages >> 32) as u64, &self.moving.queue, self.profile.id, &mut leaving.data);
        leaving.whole = true;
        let counters = &mut self.moving.counters;
        counters.left += 1;
        counters.without_barrier += u64::from(!leaving.barrier);
        counters.frames_out += self.moving.queue.len() as u64;
        counters.dropped += self.moving.queue.dropped();
    }

    /// Takes the next bytes of a state, in RESUMING.
    ///
    /// # Errors
    /// `EINVAL` in any other state, and for what makes no sense: then all of it is forgotten, and the device is as before.
    pub fn write_state(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let (profile, most) = (self.profile, MOST_STATE as usize + handed::MOST_HANDED);
        let Some(arriving) = self.moving.arriving.as_mut().filter(|arriving| !arriving.refused) else {
            return Err(Errno::INVAL);
        };
        arriving.data.extend_from_slice(bytes);
        if arriving.data.len() > most || arriving.take_parts(profile).is_err() {
            return self.refuse();
        }
        self.announce_arrival(false);
        Ok(())
    }

    fn refuse(&mut self) -> Result<(), Errno> {
        self.moving.arriving = Some(Arriving { refused: true, ..Arriving::default() });
        Err(Errno::INVAL)
    }

    /// RESUMING to STOP. Without any data the device is what it was.
    fn arrive(&mut self) -> Result<(), Errno> {
        let Some(arriving) = self.moving.arriving.replace(Arriving::default()) else { return Ok(()) };
        if arriving.data.is_empty() && !arriving.refused {
            self.moving.arriving = None;
            return Ok(());
        }
        let Some((first, _)) = arriving.first else { return Err(Errno::INVAL) };
        let (Some(state), Some(rest)) = (arriving.data.get(DEPARTURE as usize..first), arriving.data.get(first..))
        else {
            return Err(Errno::INVAL);
        };
        let Handed { outside, later, frames } = Handed::decode(self.profile.id, rest).map_err(|_| Errno::INVAL)?;
        if !self.call(&Call::Restore { state: state.into() }).is_done() {
            return Err(Errno::INVAL);
        }
        self.moving.arriving = Some(Arriving { data: Vec::new(), ..arriving });
        // A writer that did not wait for the marker.
        self.announce_arrival(true);
        self.moving.arriving = None;
        self.moving.foreign = true;
        self.moving.told_away = false;
        self.moving.counters.arrived += 1;
        self.moving.counters.frames_in += frames.len() as u64;
        self.moving.doubles = frames.clone();
        self.moving.queue = frames;
        self.busy_since = None;
        self.starved_since = None;
        let messages = u128::from(outside.messages()) | u128::from(later) << 32;
        self.interrupts.owe(self.system.pci().interrupts(), messages, outside.line(), outside.line_told());
        self.wants_hardware = self.kind == Kind::Adapter && self.system.plane().is_active();
        Ok(())
    }

    /// Tells the network that the guest with this address is here.
    fn announce(&mut self, mac: [u8; 6]) {
        self.outlet.post(&announcement(mac));
        self.moving.counters.announced += 1;
    }

    /// The peer is gone: the device is the own one again, as new.
    pub fn forget_guest(&mut self) {
        self.function_reset();
        let Moving { as_new, foreign, counters, .. } = std::mem::take(&mut self.moving);
        if foreign {
            self.call(&Call::Restore { state: as_new.as_slice().into() });
        }
        self.moving = Moving { as_new, counters, ..Moving::default() };
    }
}
