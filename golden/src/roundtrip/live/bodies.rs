//! Our own bodies at work between two machines: software, an adapter that is left in the middle of its work, software again.

use super::super::hardware::{Hardware, PROFILE, through_bytes};
use super::BUSY;
use super::guest::{Guest, QUEUES, To, World};
use crate::dut::Seen;
use model::guest::GuestPort;
use model::host::Bare;
use model::memory::Memory;
use model::migrate::Canon;
use model::vic::{Register, Unit};
use model::vmxnet3::body::Body;
use spec::event::Bar;
use spec::vic::WqReg;
use spec::vmxnet3::Bar0;

/// Steps after which a body that does not come to rest counts as stuck.
const STEPS: u32 = 1 << 20;
/// Steps after which the adapter is left: some of its work is done then.
const HALF: usize = 40;

/// The software body as the guest meets it.
struct InSoftware {
    body: Body,
    host: Bare,
    /// An access that is none of the data plane's.
    refused: Option<(Bar, u32)>,
}

/// The adapter as the guest meets it.
struct OnAdapter {
    hardware: Hardware,
    host: Bare,
    units: Vec<Unit>,
    /// Steps it may still take.
    left: usize,
}

fn seen(host: &mut Bare, seen: &mut Vec<Seen>) {
    seen.extend(host.sent.drain(..).map(|(_, frame)| Seen::Sent(frame)));
    seen.extend(host.vectors.drain(..).map(Seen::Vector));
}

/// Accesses to memory, the same on both. What lies outside it, no driver asks for.
macro_rules! memory {
    () => {
        fn store(&mut self, pa: u64, bytes: &[u8]) {
            let _inside = self.host.memory.write(pa, bytes);
        }
        fn load(&mut self, pa: u64, into: &mut [u8]) {
            let _inside = self.host.memory.read(pa, into);
        }
    };
}

impl GuestPort for InSoftware {
    memory!();

    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        match Bar0::decode(offset) {
            Some(register) if bar == Bar::Bar0 => self.body.write_bar0(register, value),
            _ => self.refused = Some((bar, offset)),
        }
        self.refused.is_none()
    }

    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        Bar0::decode(offset).filter(|_| bar == Bar::Bar0).map(|register| self.body.read_bar0(register))
    }
}

impl World for InSoftware {
    fn offer(&mut self, frame: &[u8]) -> Result<(), String> {
        self.rest()?;
        if self.body.offer(frame) { self.rest() } else { Err("the software body takes no frame at rest".into()) }
    }

    fn settle(&mut self, into: &mut Vec<Seen>) -> Result<(), String> {
        self.rest()?;
        seen(&mut self.host, into);
        match self.refused {
            None => Ok(()),
            Some((bar, offset)) => Err(format!("the driver writes {bar:?} {offset:#x}, which is not the data plane's")),
        }
    }
}

impl InSoftware {
    fn new(canon: &Canon, host: Bare) -> Self {
        let mut body = Body::resume(PROFILE, &canon.activation, &canon.progress);
        body.rescan();
        Self { body, host, refused: None }
    }

    fn rest(&mut self) -> Result<(), String> {
        self.body.run(&mut self.host, STEPS);
        if self.body.is_idle() { Ok(()) } else { Err("the software body does not come to rest".into()) }
    }

    fn leave(self) -> Result<(Canon, Bare), String> {
        let progress = self.body.progress().map_err(|error| error.to_string())?;
        let activation = self.body.activation().cloned().ok_or("the software body is not active")?;
        Ok((through_bytes(&Canon { activation, progress })?.1, self.host))
    }
}

impl GuestPort for OnAdapter {
    memory!();

    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        match Bar0::decode(offset) {
            Some(Bar0::TxProd(queue)) if bar == Bar::Bar0 => {
                self.hardware.adapter.post(Register::Wq(queue, WqReg::PostedIndex), value)
            }
            _ => false,
        }
    }

    fn read(&mut self, _: Bar, _: u32) -> Option<u32> {
        None
    }
}

impl World for OnAdapter {
    fn offer(&mut self, frame: &[u8]) -> Result<(), String> {
        if self.hardware.adapter.offer(frame) { Ok(()) } else { Err("the adapter takes no frame".into()) }
    }

    fn settle(&mut self, into: &mut Vec<Seen>) -> Result<(), String> {
        while self.left > 0 && self.hardware.step(self.left, &mut self.units, &mut self.host) {
            self.left -= 1;
        }
        seen(&mut self.host, into);
        Ok(())
    }
}

/// The guest goes on with our bodies from `canon`, and leaves work behind. Answers where they stand, and guest memory.
pub(super) fn work(guest: &mut Guest, canon: &Canon, memory: Memory) -> Result<(Canon, Memory), String> {
    let mut software = InSoftware::new(canon, Bare::new(memory));
    guest.ring(&mut software, 0..QUEUES)?;
    guest.serve(&mut software)?;
    guest.at_rest()?;
    guest.exchange(&mut software, 9)?;
    let (canon, mut host) = software.leave()?;

    let hardware = Hardware::enter(canon, &mut host)?;
    let mut adapter = OnAdapter { hardware, host, units: Vec::new(), left: HALF };
    for queue in [0, 1, 0, 1] {
        guest.post(&mut adapter, queue, 500, 200)?;
    }
    guest.ring(&mut adapter, 0..QUEUES)?;
    guest.post(&mut adapter, 0, 300, 300)?;
    guest.offer_all(&mut adapter)?;
    guest.look(&mut adapter)?;
    let OnAdapter { hardware, mut host, .. } = adapter;
    let (canon, held) = hardware.leave(&mut host)?;
    let (_, canon) = through_bytes(&canon)?;

    let mut software = InSoftware::new(&canon, host);
    for frame in held {
        software.offer(&frame)?;
    }
    guest.look(&mut software)?;
    guest.post(&mut software, 1, 300, 300)?;
    guest.take_without_unmask(BUSY, &mut software)?;
    guest.offer(&mut software, To::Guest, 444)?;
    guest.look(&mut software)?;
    let (canon, host) = software.leave()?;
    Ok((canon, host.memory))
}
