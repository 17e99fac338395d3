//! A guest on the far side of the socket: memory in a file, registers as messages, interrupts as eventfds, a driver model.

use crate::rig::{MAC, Running};
use model::guest::GuestPort;
use model::guest::packet::Packet;
use model::guest::vmxnet3::{Driver, DriverConfig, Phase, Received, Vectors};
use model::pci::Pci;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{pread, pwrite, read};
use spec::event::Bar;
use spec::frame;
use spec::vmxnet3::Interrupts;
use vnic_golden::vfio_user::caps::Capabilities;
use vnic_golden::vfio_user::proto::{IRQ_ACTION_TRIGGER, IRQ_ACTION_UNMASK, IRQ_DATA_EVENTFD, IRQ_DATA_NONE};
use vnic_golden::vfio_user::{Client, irq, region};

/// Bytes of guest memory, from address 0; the driver's begins at [`BASE`].
const MEMORY: u64 = 4 << 20;
const BASE: u64 = 0x1_0000;
/// Where echoed frames come from.
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
/// Longest that an interrupt may take.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// What QEMU announces.
pub fn qemu() -> Capabilities {
    Capabilities { max_msg_fds: 16, write_multiple: true, ..Default::default() }
}

/// The guest's memory and registers.
pub struct Bus {
    pub client: Client,
    memory: OwnedFd,
}

impl GuestPort for Bus {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        assert_eq!(pwrite(&self.memory, bytes, pa).expect("guest memory"), bytes.len());
    }

    fn load(&mut self, pa: u64, into: &mut [u8]) {
        assert_eq!(pread(&self.memory, &mut *into, pa).expect("guest memory"), into.len());
    }

    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        self.client.write(bar as u32, offset.into(), &value.to_le_bytes()).expect("a register is written");
        true
    }

    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        self.client.read(bar as u32, offset.into(), &mut bytes).expect("a register is read");
        Some(u32::from_le_bytes(bytes))
    }
}

/// A guest whose driver has not begun.
pub struct Guest {
    pub bus: Bus,
    pub driver: Driver,
    events: Vec<OwnedFd>,
}

/// A driver for a guest of the server: small rings, received frames kept.
pub fn config() -> DriverConfig {
    DriverConfig {
        tx_ring: 64,
        tx_comp: 64,
        rx_ring: [64, 32],
        rx_comp: 96,
        mac: MAC,
        keep_received: true,
        ..DriverConfig::default()
    }
}

impl Guest {
    /// Does what a hypervisor and the guest's kernel do before the driver's turn.
    pub fn boot(running: &Running, config: DriverConfig) -> Self {
        let mut client = running.connect();
        client.version(&qemu()).expect("the peer is served");
        let memory = memfd_create("guest", MemfdFlags::CLOEXEC).expect("a file");
        ftruncate(&memory, MEMORY).expect("its size");
        client.dma_map(0, MEMORY, Some((memory.as_fd(), 0)), true).expect("memory is mapped");
        client.write(region::CONFIG, 4, &[6, 0]).expect("memory and bus master are switched on");
        for (offset, word) in Pci::choice(config.vectors.interrupts()) {
            client.write(region::CONFIG, offset.into(), &word.to_le_bytes()).expect("interrupts are switched");
        }
        let (index, count) = match config.vectors.interrupts() {
            Interrupts::Line => (irq::INTX, 1),
            Interrupts::Msi => (irq::MSI, 1),
            Interrupts::MsiX => (irq::MSIX, u32::from(config.vector_count())),
        };
        let events: Vec<_> = (0..count)
            .map(|_| eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("an eventfd"))
            .collect();
        let fds: Vec<_> = events.iter().map(|event| event.as_fd()).collect();
        client.set_irqs(index, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, 0, count, &[], &fds).expect("interrupts");
        let driver = Driver::plan(config, BASE, MEMORY - BASE).expect("it fits");
        Self { bus: Bus { client, memory }, driver, events }
    }

    /// Brings the driver up, or as far as it comes.
    pub fn up(mut self) -> Self {
        assert!(self.driver.bring_up());
        self.settle();
        self
    }

    fn settle(&mut self) {
        while self.driver.step(&mut self.bus) {}
    }

    /// Waits for an interrupt and lets the driver serve it.
    fn serve_interrupt(&mut self) {
        let mut fds: Vec<_> = self.events.iter().map(|event| PollFd::new(event, PollFlags::IN)).collect();
        assert!(poll(&mut fds, Some(&PATIENCE)).expect("poll") > 0, "no interrupt comes");
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for vector in (0..ready.len()).filter(|&vector| ready[vector]) {
            read(&self.events[vector], &mut [0; 8]).expect("it is ready");
            self.driver.interrupt(vector as u16);
            self.settle();
            if self.driver.config().vectors == Vectors::Intx {
                let unmask = IRQ_DATA_NONE | IRQ_ACTION_UNMASK;
                self.bus.client.set_irqs(irq::INTX, unmask, 0, 1, &[], &[]).expect("the line is unmasked");
            }
        }
    }

    /// Sends a frame of `len` bytes on `queue` and waits until it has come back.
    pub fn echo(&mut self, queue: u8, id: u64, len: usize) -> Received {
        let sent = frame::generated(PEER, MAC, 7, id, len);
        assert!(self.driver.send(queue, &Packet::plain(sent.clone())), "the driver sends");
        self.driver.kick(queue);
        self.settle();
        while self.driver.received().is_empty() || self.driver.outstanding(queue) > 0 {
            self.serve_interrupt();
        }
        let got = self.driver.take_received().expect("a frame");
        assert_eq!((&got.frame[..6], &got.frame[6..12]), (&MAC[..], &PEER[..]));
        assert_eq!(got.frame[12..len], sent[12..]);
        assert_eq!(self.driver.breaches(), []);
        got
    }
}

/// A guest comes, works and leaves.
pub fn works(running: &Running) {
    let mut guest = Guest::boot(running, config()).up();
    assert_eq!(guest.driver.phase(), Phase::Up);
    for id in 0..3 {
        guest.echo(0, id, 60 + 500 * id as usize);
    }
}
