//! What whoever shows a system to a guest that is no model asks of it: configuration space, doorbells that left no mark, room for
//! frames, time, and how it leaves for another host.

use super::{Mode, System};
use crate::hypervisor::bring_up::Ring;
use crate::hypervisor::{notice, page};
use crate::memory::Ram;
use crate::migrate::Saved;
use crate::net::{Port, Steer};
use crate::plane::{Interrupts, Progress};
use crate::vic::Register;
use crate::vmxnet3::body::Body;
use crate::vmxnet3::plane::Plane;
use spec::event::{Bar, Effect, Stimulus, Tap};
use spec::vic::RqReg;
use spec::vmxnet3::{Bar0, CELL_BYTES};

impl<M: Ram> System<M> {
    /// The guest reads configuration space.
    pub fn config_read(&self, offset: usize, into: &mut [u8]) {
        self.pci.read_config(offset, into);
    }

    /// The guest writes configuration space. Not an event that monitors judge: rings and registers stay as they are.
    pub fn config_write(&mut self, offset: usize, bytes: &[u8]) {
        self.pci.write_config(offset, bytes);
        for vector in self.pci.let_out_all() {
            self.messages |= 1u128 << vector;
        }
        self.line = self.pci.line();
    }

    /// Whoever shows this function to the guest keeps the MSI-X table: every vector that is raised is a message.
    pub fn keep_table_outside(&mut self) {
        self.pci.keep_table_outside();
    }

    /// Looks for what the guest has posted without a doorbell that was seen: the page is mapped into the guest, or a switch went
    /// on while it ran. Found work is taken up as its doorbell would have it. On the adapter rings are looked at from where the last
    /// look left them: whoever takes doorbells there looks no more.
    pub fn notice<T: Tap>(&mut self, tap: &mut T) {
        let Some(activation) = self.plane.activation().filter(|_| !self.switching() && self.phase.is_none()) else {
            return;
        };
        let mut told = |register: Bar0, value: u32, memory: &M| {
            let offset = register.offset();
            tap.stimulus(Stimulus::RegisterWrite { bar: Bar::Bar0, offset, value }, memory);
        };
        match self.mode {
            Mode::Software => {
                for (q, setup) in (0..).zip(&activation.tx) {
                    let Some((pa, at)) = self.body.awaits(q) else { continue };
                    if !notice::is_owned(&self.memory, Ring::Tx, pa, at.generation()) {
                        continue;
                    }
                    self.body.write_bar0(Bar0::TxProd(q), 0);
                    told(Bar0::TxProd(q), at.next(setup.ring_size).index(), &self.memory);
                }
            }
            Mode::Hardware => {
                let memory = &self.memory;
                self.claims.notice(&mut self.adapter, activation, memory, |register, value| {
                    if let Some(register) = page::before(register) {
                        told(register, value, memory);
                    }
                });
            }
        }
    }

    /// Sets `txThreshold` of every TX queue: how many packets a driver may post before it rings. Above 1 packets can lie there
    /// unannounced, so the caller looks for them by [`System::notice`] until the value is back at 1, and a little longer: a guest that
    /// has read the old value may not have published its descriptor yet. False while no queue is active or a switch is under way.
    pub fn set_tx_threshold<T: Tap>(&mut self, packets: u32, tap: &mut T) -> bool {
        let settled = self.plane.is_active() && !self.switching() && self.phase.is_none();
        if settled {
            self.write_tx_threshold(packets, tap);
        }
        settled
    }

    /// The guest's mask of `vector` as the device has it.
    pub fn is_masked(&self, vector: u8) -> bool {
        match self.mode {
            Mode::Software => self.body.read_bar0(Bar0::Imr(vector)) != 0,
            Mode::Hardware => match page::behind(Bar0::Imr(vector)) {
                Some(behind) => self.adapter.peek(behind) != 0,
                None => page::aside(Bar0::Imr(vector), &self.base).is_some_and(|vector| vector.masked),
            },
        }
    }

    /// Frames that may be offered now and find a buffer, `most` at the most: the fewest of any RX queue. `most` while the device is
    /// not active, since it then drops whatever comes.
    pub fn rx_room(&self, most: u32) -> u32 {
        let Some(activation) = self.plane.activation().filter(|_| self.plane.is_active()) else { return most };
        let waiting = self.net.waiting();
        let waiting = (waiting.0 + waiting.1 + self.adapter.ingress_len()) as u32;
        let queues = (0..).zip(&activation.rx);
        let posted = match self.mode {
            Mode::Software => queues
                .filter_map(|(q, setup)| Some((self.body.rx_next(q)?, setup)))
                .map(|(at, setup)| {
                    let want = most.saturating_add(waiting).min(setup.ring_size[0].saturating_sub(1));
                    let owned = |count: u32| {
                        let at = at.plus(count.saturating_sub(1), setup.ring_size[0]);
                        let pa = setup.ring_pa[0].wrapping_add(CELL_BYTES * u64::from(at.index()));
                        notice::is_owned(&self.memory, Ring::Rx, pa, at.generation())
                    };
                    // Buffers are posted in order: the last of a run stands for all of it.
                    if owned(want) { want } else { u32::from(owned(waiting + 1)) * (waiting + 1) }
                })
                .min(),
            Mode::Hardware => queues
                .map(|(q, setup)| {
                    let rq = |reg| self.adapter.peek(Register::Rq(2 * q, reg)) as u32;
                    let (posted, fetch, size) = (rq(RqReg::PostedIndex), rq(RqReg::FetchIndex), setup.ring_size[0]);
                    if posted >= fetch { posted - fetch } else { (size + posted).saturating_sub(fetch) }
                })
                .min(),
        };
        posted.unwrap_or(most).saturating_sub(waiting).min(most)
    }

    /// Nanoseconds until something is due that only time brings; `None` while nothing waits for time.
    pub fn wait_ns(&self) -> Option<u64> {
        match self.mode {
            Mode::Software => self.body.wait_ns(),
            Mode::Hardware => self.adapter.wait_ns(),
        }
    }

    /// Time makes a difference now: [`System::advance`] is to be called even if nothing [waits](System::wait_ns) for it, so that what
    /// comes next finds it gone by.
    pub fn is_timed(&self) -> bool {
        match self.mode {
            Mode::Software => self.body.is_timed(),
            Mode::Hardware => self.adapter.is_timed(),
        }
    }

    /// Guest memory, for whoever maps and unmaps it.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Brings the function to where it can be [saved](System::save): packets of which nothing was sent are forgotten and found again,
    /// frames that were not delivered leave, each told as [`Effect::SwitchDrop`], oldest first. False: not yet, because it is on the
    /// adapter, a switch or a command is under way, or a packet is partly sent; then no frame has left.
    pub fn settle<T: Tap>(&mut self, tap: &mut T) -> bool {
        if self.mode != Mode::Software || self.switching() || self.phase.is_some() {
            return false;
        }
        self.body.roll_back();
        let inbox = self.body.return_inbox();
        self.net.hand_over(inbox.into_iter());
        if self.body.progress().is_err() {
            return false;
        }
        while let Some(frame) = self.net.withdraw() {
            tap.effect(Effect::SwitchDrop { frame: &frame }, &self.memory);
        }
        true
    }

    /// The function becomes the one that was saved, in software; it looks at every TX ring, as an edge is not state. Whatever it was
    /// before is gone, as at a reset of the function.
    pub fn restore<T: Tap>(&mut self, saved: &Saved, tap: &mut T) {
        let Saved { plane, pci, progress } = saved;
        self.phase = None;
        self.switch = None;
        self.link = None;
        self.frozen = false;
        self.body_held = false;
        self.mode = Mode::Software;
        self.base = Progress::default();
        self.cool_adapter();
        self.body = match &plane.activation {
            Some(activation) => Body::resume(self.profile, activation, progress),
            None => Body::resting(self.profile, progress.vectors),
        };
        self.body.plant(self.planted);
        self.body.set_link(plane.link_up);
        self.body.rescan();
        self.plane = Plane::restore(self.profile, plane.clone());
        self.plane.plant(self.planted);
        self.pci.adopt(pci);
        self.net.pause(false);
        self.net.set_steer(Steer::Switch);
        self.net.set_port(Port::Open);
        self.net.set_wire(true);
        while self.net.withdraw().is_some() {}
        self.messages = 0;
        self.line = self.pci.line();
        tap.stimulus(Stimulus::Restored(saved.negotiated()), &self.memory);
        let kind = self.plane.state().interrupts;
        if kind != Interrupts::MsiX {
            tap.stimulus(Stimulus::Interrupts { kind }, &self.memory);
        }
    }
}
