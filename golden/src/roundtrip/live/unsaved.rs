//! What QEMU does not save, and what a guest sees of it.
//!
//! Source: QEMU, hw/net/vmxnet3.c, VMXNET3State against vmstate_vmxnet3; net/queue.c.

use super::guest::{Guest, MAC, World};
use super::{LiveReport, Machine, address};
use crate::dut::{Dut as _, Qemu, Seen};
use model::guest::GuestPort as _;
use serde::Serialize;
use spec::event::Bar;
use spec::frame::generated;
use spec::vmxnet3::{Bar0, CELL_BYTES, TxCompDesc, TxDesc};
use std::fmt;

/// A piece of state, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsaved {
    /// What it is.
    pub state: &'static str,
    /// It was there in the fresh machine all the same.
    pub kept: bool,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Unsaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, kept, seen } = self;
        write!(f, "{} {state}: {seen}", if *kept { "kept      " } else { "not saved " })
    }
}

/// The address that the driver wrote: the device keeps it where the stream has no place for it.
pub(super) fn current_mac(machine: &mut Machine) -> Unsaved {
    let found = address(machine);
    let shown = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let seen = format!("{} before, {} in the fresh machine", shown(MAC), shown(found));
    Unsaved { state: "the current MAC address", kept: found == MAC, seen }
}

/// Looks at the rest, each with machines of its own.
pub(super) fn look(command: &[String], report: &mut LiveReport) -> Result<(), String> {
    report.unsaved.push(half_a_packet(command)?);
    report.unsaved.push(held_frames(command)?);
    Ok(())
}

/// A machine with the driver up and nothing done.
fn fresh(command: &[String]) -> Result<(Machine, Guest), String> {
    let qemu = Qemu::start(command).map_err(|trouble| trouble.to_string())?;
    let about = qemu.about();
    let mut guest = Guest::new(about.base, about.bytes as u64)?;
    let mut machine = Machine::new(qemu);
    guest.bring_up(&mut machine)?;
    Ok((machine, guest))
}

/// The packet of two descriptors, posted one by one.
struct Halves {
    ring: u64,
    buffer: u64,
    frame: Vec<u8>,
}

impl Halves {
    fn new(guest: &Guest) -> Self {
        let area = guest.driver.layout().tx[0];
        Self { ring: area.ring, buffer: area.buffers, frame: generated([2; 6], MAC, 1, 1, 600) }
    }

    /// Posts half `which` at the start of the ring and rings. Answers the frames that leave.
    fn post(&self, which: u32, machine: &mut Machine) -> Result<Vec<Vec<u8>>, String> {
        let from = self.frame.len() / 2 * which as usize;
        machine.store(self.buffer, &self.frame);
        let mut desc = TxDesc::default();
        desc.set_addr(self.buffer + from as u64);
        desc.set_len(self.frame.len() as u16 / 2);
        desc.set_eop(which == 1);
        desc.set_cq(which == 1);
        desc.set_generation(true);
        machine.store(self.ring + CELL_BYTES * u64::from(which), &desc.0.to_le_bytes());
        machine.write(Bar::Bar0, Bar0::TxProd(0).offset(), which + 1);
        let mut seen = Vec::new();
        machine.settle(&mut seen)?;
        let frame = |one| if let Seen::Sent(frame) = one { Some(frame) } else { None };
        Ok(seen.into_iter().filter_map(frame).collect())
    }

    fn told(&self, frames: &[Vec<u8>]) -> String {
        match frames {
            [] => "nothing is sent".into(),
            [one] if *one == self.frame => "the packet is sent".into(),
            [one] if *one == self.frame[self.frame.len() / 2..] => {
                "its second half is sent as if it were the packet".into()
            }
            [one] => format!("a frame of {} bytes is sent", one.len()),
            more => format!("{} frames are sent", more.len()),
        }
    }
}

/// A doorbell found a packet without its end: what was read of it is in the device.
fn half_a_packet(command: &[String]) -> Result<Unsaved, String> {
    let (mut machine, guest) = fresh(command)?;
    let halves = Halves::new(&guest);
    halves.post(0, &mut machine)?;
    let stays = halves.post(1, &mut machine)?;
    drop(machine);

    let (mut machine, mut guest) = fresh(command)?;
    let halves = Halves::new(&guest);
    halves.post(0, &mut machine)?;
    let saved = machine.save(&mut guest)?;
    let mut machine = Machine::load(command, &saved, None)?;
    let moved = halves.post(1, &mut machine)?;
    let seen = format!("{}; without a move {}", halves.told(&moved), halves.told(&stays));
    Ok(Unsaved {
        state: "the part of a packet that was read before its end was posted",
        kept: moved == [halves.frame],
        seen,
    })
}

/// The wire takes nothing more: frames whose packets are completed wait in front of it.
fn held_frames(command: &[String]) -> Result<Unsaved, String> {
    const BYTES: usize = 16_000;
    let (mut machine, mut guest) = fresh(command)?;
    let area = guest.driver.layout().tx[0];
    let frame = generated([2; 6], MAC, 1, 1, BYTES);
    machine.store(area.buffers, &frame);
    let posted = area.ring_size - 1;
    for at in 0..posted {
        let mut desc = TxDesc::default();
        desc.set_addr(area.buffers);
        desc.set_len(BYTES as u16);
        desc.set_eop(true);
        desc.set_cq(true);
        desc.set_generation(true);
        machine.store(area.ring + CELL_BYTES * u64::from(at), &desc.0.to_le_bytes());
    }
    machine.write(Bar::Bar0, Bar0::TxProd(0).offset(), posted);
    let last = TxCompDesc(machine.load_cell(area.comp + CELL_BYTES * u64::from(posted - 1)));
    machine.told()?;
    if !last.generation() {
        return Err(format!("{posted} packets rung at once are not completed when the doorbell is answered"));
    }
    let saved = machine.qemu.save().map_err(|trouble| trouble.to_string())?;
    let sent = saved.sent.len();
    let mut fresh = Machine::load(command, &saved, None)?;
    let mut seen = Vec::new();
    fresh.settle(&mut seen)?;
    let later = seen.iter().filter(|one| matches!(one, Seen::Sent(_))).count();
    guest.driver.on_function_reset();
    let seen = format!("of {posted} packets completed {sent} were sent before and {later} after");
    Ok(Unsaved {
        state: "frames that wait in front of a wire that takes no more",
        kept: sent + later == posted as usize,
        seen,
    })
}
