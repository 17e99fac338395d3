//! Joins two wires: `bridge dgram:HERE,THERE responder` puts the responder behind QEMU's `-netdev dgram`, so that QEMU's own
//! device is measured with the same other side as a served one. Runs until it is ended from outside.

use golden::serve::wire::switch::Switches;
use golden::serve::wire::{MAX_WAITS, Wire, WireSpec, open};
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// Frames that one direction carries before the other has its turn.
const TURN: usize = 64;

/// One direction, and the frame it could not hand over.
#[derive(Default)]
struct Lane {
    frame: Vec<u8>,
    held: bool,
}

impl Lane {
    /// Carries frames; whether any moved.
    fn carry(&mut self, from: &mut dyn Wire, to: &mut dyn Wire) -> bool {
        for moved in 0..TURN {
            if !self.held && !from.receive(&mut self.frame) {
                return moved > 0;
            }
            self.held = !to.send(&self.frame);
            if self.held {
                return moved > 0;
            }
        }
        true
    }
}

fn wait(ends: &mut [Box<dyn Wire>; 2]) -> Result<(), Errno> {
    let due = ends.iter_mut().filter_map(Wire::due).min();
    let waits = [ends[0].fds(), ends[1].fds()];
    let mut fds = Vec::with_capacity(2 * MAX_WAITS);
    fds.extend(waits.iter().flatten().flatten().map(|wait| PollFd::new(&wait.fd, wait.flags)));
    let timeout = due.map(|due| Timespec::try_from(due.min(Duration::from_secs(3600))).unwrap_or(Timespec::default()));
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [left, right] = words.as_slice() else { return Err("usage: bridge WIRE WIRE".into()) };
    let mut switches = Switches::default();
    let mut ends =
        [open(&left.parse::<WireSpec>()?, &mut switches)?, open(&right.parse::<WireSpec>()?, &mut switches)?];
    let (mut there, mut back) = (Lane::default(), Lane::default());
    loop {
        let [left, right] = &mut ends;
        let moved = there.carry(left, right) | back.carry(right, left);
        if !moved {
            wait(&mut ends)?;
        }
    }
}

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("bridge: {error}");
    ExitCode::from(2)
}
