//! A live round trip: QEMU's own device, our bodies, QEMU again, with a driver that never stops.
//!
//! Twice a machine is stopped with work in flight and its migration stream taken. The first time the state goes through our bodies
//! and nothing may change: the stream written again is the stream, byte for byte. The second time the guest goes on in between, on
//! the software body, on the adapter, and on the software body again; then the section holds what they did. Each time a fresh
//! QEMU goes on from the stream, and every frame, in both directions, has to come once and in order.
//!
//! What QEMU does not save is looked at last (`unsaved`): that is told, and is no failure.

mod bodies;
mod guest;
mod keep;
mod unsaved;

use super::adopt::{Adopted, adopt};
use super::{RoundtripReport, bare_trip, section};
use crate::consistency;
use crate::dut::{Dut, Qemu, Saved, Seen, Trouble};
use crate::import::memory::MemoryRegion;
use crate::import::{Capture, MemoryImage, Vmxnet3Section, qemu_stream};
use guest::{Guest, MAC, QUEUES, VECTORS, World, masks};
pub use keep::keep;
use model::guest::GuestPort;
use model::memory::Memory;
use model::migrate::Canon;
use serde::Serialize;
use spec::event::Bar;
use spec::vmxnet3::{Bar0, Bar1};
use std::fmt;
pub use unsaved::Unsaved;

/// Packets of each TX queue between two stops: every ring wraps.
const ROUNDS: usize = 41;
/// The vector of the first queues, which the guest serves when the machine is stopped.
const BUSY: u16 = 0;
/// The vector of the second queues, whose message is held back at the first stop.
const HELD: u16 = 1;
/// What errors call the stream.
const STREAM: &str = "migration stream";

/// What a live round trip came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveReport {
    /// Who built the device and which version it is, as it says itself.
    pub device: String,
    /// TX and RX queues.
    pub queues: (usize, usize),
    /// What was on its way at each stop.
    pub in_flight: Vec<String>,
    /// Fields of the streams that guest memory confirms.
    pub confirmed: usize,
    /// Bytes of the saved state between two bodies.
    pub saved_bytes: usize,
    /// Moves between bodies that gave back the very bytes.
    pub equal_moves: usize,
    /// Fields that were written into the section, and bytes of the section's fields.
    pub section: (usize, usize),
    /// Fields that our bodies changed, and QEMU went on from.
    pub changed: usize,
    /// Packets on the wire, once and in the order of their queue.
    pub packets: u64,
    /// Frames received, once and in order.
    pub frames: u64,
    /// Frames that were not for the guest and did not reach it.
    pub filtered: u64,
    /// What QEMU does not save, and what of it was seen.
    pub unsaved: Vec<Unsaved>,
    /// Whatever changed, was lost, doubled or reordered.
    pub failures: Vec<String>,
}

impl LiveReport {
    /// Nothing changed and nothing was lost but what QEMU does not save.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for LiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "device     {}", self.device)?;
        writeln!(f, "queues     {} tx, {} rx", self.queues.0, self.queues.1)?;
        for line in &self.in_flight {
            writeln!(f, "in flight  {line}")?;
        }
        writeln!(f, "consistent {} fields confirmed by guest memory", self.confirmed)?;
        writeln!(f, "state      {} bytes, equal after {} moves", self.saved_bytes, self.equal_moves)?;
        writeln!(f, "section    {} fields written again, {} bytes equal", self.section.0, self.section.1)?;
        writeln!(f, "worked     {} fields changed by our bodies, and QEMU went on from there", self.changed)?;
        writeln!(
            f,
            "traffic    {} packets sent and {} frames delivered, once and in order; {} filtered",
            self.packets, self.frames, self.filtered
        )?;
        for line in &self.unsaved {
            writeln!(f, "{line}")?;
        }
        for line in &self.failures {
            writeln!(f, "FAILED     {line}")?;
        }
        write!(f, "verdict    {}", if self.holds() { "nothing was lost" } else { "not lossless" })
    }
}

/// A QEMU as the guest meets it.
struct Machine {
    qemu: Qemu,
    /// What ended the conversation.
    trouble: Option<Trouble>,
}

impl Machine {
    fn new(qemu: Qemu) -> Self {
        Self { qemu, trouble: None }
    }

    fn ask<T: Default>(&mut self, question: impl FnOnce(&mut Qemu) -> Result<T, Trouble>) -> T {
        question(&mut self.qemu).unwrap_or_else(|trouble| {
            self.trouble.get_or_insert(trouble);
            T::default()
        })
    }

    /// The first trouble there was.
    fn told(&mut self) -> Result<(), String> {
        self.trouble.take().map_or(Ok(()), |trouble| Err(trouble.to_string()))
    }

    /// Whether `pa` and what follows is the guest's to use.
    fn holds(&self, pa: u64, bytes: usize) -> bool {
        let about = self.qemu.about();
        let end = about.base + about.bytes as u64;
        pa >= about.base && pa.checked_add(bytes as u64).is_some_and(|last| last <= end)
    }

    /// Holds the message of `vector` back in the MSI-X table, or lets it go.
    fn hold(&mut self, vector: u16, held: bool) -> Result<(), String> {
        let control = u32::from(vector) * 16 + 12;
        self.ask(|qemu| qemu.write(Bar::Bar2, control, 4, held.into()));
        self.told()
    }

    fn save(mut self, guest: &mut Guest) -> Result<Saved, String> {
        self.told()?;
        let saved = self.qemu.save().map_err(|trouble| trouble.to_string())?;
        saved.sent.iter().try_for_each(|frame| guest.sent(frame))?;
        Ok(saved)
    }

    /// A fresh one from `saved`, whose memory is the stream's, or `memory` where one is given.
    fn load(command: &[String], saved: &Saved, memory: Option<&[u8]>) -> Result<Self, String> {
        let mut machine = Self::new(Qemu::load(command, saved).map_err(|trouble| trouble.to_string())?);
        let base = machine.qemu.about().base;
        match memory {
            Some(bytes) => machine.ask(|qemu| qemu.store(base, bytes)),
            None => {
                let mut bytes = vec![0; saved.memory.len()];
                machine.ask(|qemu| qemu.load(base, &mut bytes));
                if bytes != saved.memory {
                    return Err("guest memory is not the same in the fresh machine".into());
                }
            }
        }
        machine.ask(Qemu::go_on);
        machine.told()?;
        Ok(machine)
    }
}

impl GuestPort for Machine {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        if self.holds(pa, bytes.len()) {
            self.ask(|qemu| qemu.store(pa, bytes));
        }
    }

    fn load(&mut self, pa: u64, into: &mut [u8]) {
        if self.holds(pa, into.len()) {
            self.ask(|qemu| qemu.load(pa, into));
        }
    }

    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        self.ask(|qemu| qemu.write(bar, offset, 4, value.into()));
        true
    }

    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        Some(self.ask(|qemu| qemu.read(bar, offset, 4)) as u32)
    }
}

impl World for Machine {
    fn offer(&mut self, frame: &[u8]) -> Result<(), String> {
        self.ask(|qemu| qemu.offer(frame));
        self.told()
    }

    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), String> {
        self.ask(|qemu| qemu.settle(seen));
        self.told()
    }
}

/// Sends the device of a QEMU that `command` starts, see [`Qemu::start`], through our bodies and back, live. Answers also the machine
/// as it was saved at each stop.
///
/// # Errors
/// When it does not start.
pub fn live(command: &[String]) -> Result<(LiveReport, Vec<Saved>), Trouble> {
    go(command, &|_| {})
}

/// As [`live`]; `spoil` may change the state that QEMU goes on from.
fn go(command: &[String], spoil: &dyn Fn(&mut Canon)) -> Result<(LiveReport, Vec<Saved>), Trouble> {
    let first = Qemu::start(command)?;
    let mut report = LiveReport { device: first.about().identity.clone(), ..LiveReport::default() };
    let (base, bytes) = (first.about().base, first.about().bytes as u64);
    let mut stops = Vec::new();
    let tripped = Guest::new(base, bytes).and_then(|mut guest| {
        let tripped = trip(first, command, &mut guest, &mut report, &mut stops, spoil);
        (report.packets, report.frames, report.filtered) =
            (guest.counts.packets, guest.counts.frames, guest.counts.filtered);
        tripped
    });
    if let Err(problem) = tripped.and_then(|()| unsaved::look(command, &mut report)) {
        report.failures.push(problem);
    }
    Ok((report, stops))
}

fn trip(
    first: Qemu,
    command: &[String],
    guest: &mut Guest,
    report: &mut LiveReport,
    stops: &mut Vec<Saved>,
    spoil: &dyn Fn(&mut Canon),
) -> Result<(), String> {
    let mut source = Machine::new(first);
    guest.bring_up(&mut source)?;
    guest.exchange(&mut source, ROUNDS)?;
    source.hold(HELD, true)?;
    source.ask(|qemu| qemu.link(false));
    source.ask(|qemu| qemu.link(true));
    leave_in_flight(guest, &mut source)?;
    let before = masks(&mut source);
    let saved = source.save(guest)?;
    stops.push(saved.clone());
    unchanged(&saved, guest, report)?;
    let mut machine = Machine::load(command, &saved, None)?;
    if masks(&mut machine) != before {
        return Err("the masks are not the same in the fresh machine".into());
    }
    report.unsaved.push(unsaved::current_mac(&mut machine));
    guest.set_mac(&mut machine)?;
    guest.look(&mut machine)?;
    if guest.has_latched(HELD) {
        return Err(format!("the message of vector {HELD} was sent while it was held back"));
    }
    machine.hold(HELD, false)?;
    guest.look(&mut machine)?;
    if !guest.has_latched(HELD) {
        return Err(format!("the message of vector {HELD} that was held back is lost"));
    }
    go_on(guest, &mut machine)?;

    // There is no event now: it would ask for the configuration plane, which stays with the machine.
    leave_in_flight(guest, &mut machine)?;
    let saved = machine.save(guest)?;
    stops.push(saved.clone());
    let (saved, canon) = worked(saved, guest, report, spoil)?;
    let mut machine = Machine::load(command, &saved, Some(&saved.memory))?;
    let vectors = canon.progress.vectors.iter().take(VECTORS.into());
    let expected: Vec<u32> = vectors.map(|vector| vector.masked.into()).collect();
    if masks(&mut machine) != expected {
        return Err("the masks are not those that our bodies left".into());
    }
    guest.set_mac(&mut machine)?;
    go_on(guest, &mut machine)
}

/// Through our bodies without a step of work: the stream written again has to be the stream.
fn unchanged(saved: &Saved, guest: &Guest, report: &mut LiveReport) -> Result<(), String> {
    let (capture, canon) = adopted(saved, report)?;
    in_flight(guest, &canon, report)?;
    let mut trip = RoundtripReport::default();
    bare_trip(&capture, &canon, &mut trip)?;
    (report.saved_bytes, report.equal_moves, report.section) = (trip.saved_bytes, trip.equal_moves, trip.section);
    let (stream, _) = write(saved, &capture, &canon)?;
    if stream == saved.stream { Ok(()) } else { Err("the stream written again is not the stream".into()) }
}

/// Through our bodies, where the guest goes on: the machine as they leave it, and where they stand.
fn worked(
    mut saved: Saved,
    guest: &mut Guest,
    report: &mut LiveReport,
    spoil: &dyn Fn(&mut Canon),
) -> Result<(Saved, Canon), String> {
    let (capture, canon) = adopted(&saved, report)?;
    in_flight(guest, &canon, report)?;
    let mut memory = Memory::new(&[(saved.base, saved.memory.len())]);
    memory.write(saved.base, &saved.memory).map_err(|fault| fault.to_string())?;
    let (mut canon, memory) = bodies::work(guest, &canon, memory)?;
    report.in_flight.push(guest.in_flight());
    spoil(&mut canon);
    let (stream, changed) = write(&saved, &capture, &canon)?;
    report.changed = changed;
    let memory = memory.bytes(saved.base, saved.memory.len()).map_err(|fault| fault.to_string())?;
    (saved.stream, saved.memory) = (stream, memory.to_vec());
    let again = Vmxnet3Section::parse(STREAM, &saved.stream).map_err(|error| error.to_string())?;
    if section::write(&again, &canon).different != Vec::<String>::new() {
        return Err("what was written into the stream is not what is read from it".into());
    }
    Ok((saved, canon))
}

/// Says what is on its way; every kind has to be there, or nothing was shown.
fn in_flight(guest: &Guest, canon: &Canon, report: &mut LiveReport) -> Result<(), String> {
    let waits = canon.progress.vectors[usize::from(BUSY)];
    report.in_flight.push(guest.in_flight() + if waits.pending { "; one masked, with a cause waiting" } else { "" });
    if waits.masked && waits.pending && guest.has_all_kinds() {
        Ok(())
    } else {
        Err("the device was stopped with less in flight than was left".into())
    }
}

/// What was in flight is done, and then there is more.
fn go_on(guest: &mut Guest, machine: &mut Machine) -> Result<(), String> {
    guest.ring(machine, 0..QUEUES)?;
    guest.serve(machine)?;
    guest.at_rest()?;
    guest.exchange(machine, ROUNDS)?;
    guest.count(machine)
}

/// Leaves work in every place that has some: packets posted and not rung, packets sent and frames received that the guest has not
/// looked at, a vector that fired and was not taken, and one that is masked with a cause waiting behind the mask.
fn leave_in_flight(guest: &mut Guest, machine: &mut Machine) -> Result<(), String> {
    guest.post(machine, 1, 1500, 600)?;
    guest.ring(machine, [1])?;
    for queue in [0, 1, 0, 1] {
        guest.post(machine, queue, 900, 600)?;
    }
    guest.offer_all(machine)?;
    guest.look(machine)?;
    guest.take_without_unmask(BUSY, machine)?;
    // By hand: the driver itself waits for its unmask.
    machine.write(Bar::Bar0, Bar0::TxProd(0).offset(), 0);
    guest.look(machine)?;
    guest.offer_all(machine)?;
    guest.look(machine)
}

/// A saved machine's device as our own state, held against its memory.
fn adopted(saved: &Saved, report: &mut LiveReport) -> Result<(Capture, Canon), String> {
    let stream = Vmxnet3Section::parse(STREAM, &saved.stream).map_err(|error| error.to_string())?;
    let region = MemoryRegion { address: saved.base, bytes: saved.memory.clone(), description: "guest memory".into() };
    let memory = MemoryImage { regions: vec![region] };
    let capture = Capture { stream, memory, trace: None, frames: None, dumps: Vec::new(), lspci: None };
    report.confirmed += consistency::check(&capture).map_err(|error| error.to_string())?.confirmed.len();
    let view = consistency::shared_area(&capture).map_err(|error| error.to_string())?;
    let Adopted { mut canon, .. } = adopt(&capture, &view);
    // The stream has half of it; the driver knows what it wrote.
    canon.activation.filters.mac = MAC;
    report.queues = (canon.activation.tx.len(), canon.activation.rx.len());
    Ok((capture, canon))
}

/// The stream with `canon` in the device's section, and how many fields differ.
fn write(saved: &Saved, capture: &Capture, canon: &Canon) -> Result<(Vec<u8>, usize), String> {
    let written = section::write(&capture.stream, canon);
    let stream = qemu_stream::parse(STREAM, &saved.stream).map_err(|error| error.to_string())?;
    let bytes = stream.with(&capture.stream.section, &written.tree).map_err(|error| error.to_string())?;
    Ok((bytes, written.different.len()))
}

/// What the device says that its address is.
fn address(world: &mut impl World) -> [u8; 6] {
    let low = world.read(Bar::Bar1, Bar1::Macl.offset()).unwrap_or(0).to_le_bytes();
    let high = world.read(Bar::Bar1, Bar1::Mach.offset()).unwrap_or(0).to_le_bytes();
    [low[0], low[1], low[2], low[3], high[0], high[1]]
}

#[cfg(test)]
mod tests;
