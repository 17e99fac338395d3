//! The guest of a live round trip: the driver model, what is on its way in either direction, and the vectors it has not taken.
//!
//! Its memory and its processor move with the machine and are not the device's: the driver goes on where it was, and a vector that
//! fired before a move is taken after it. The driver looks at completions when a vector tells it to, and only then, so that a lost
//! wake-up shows as frames that never come.

use crate::dut::Seen;
use model::guest::GuestPort;
use model::guest::packet::{Fragments, Packet};
use model::guest::traffic::Traffic;
use model::guest::vmxnet3::{Driver, DriverConfig};
use spec::event::Bar;
use spec::frame::generated;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{Bar0, RxStats, TxStats};
use std::collections::{BTreeSet, VecDeque};

/// Queues of each kind.
pub(super) const QUEUES: u8 = 2;
/// Vectors of QEMU's device. Source: QEMU, hw/net/vmxnet3_defs.h, VMXNET3_MAX_INTRS.
pub(super) const VECTORS: u8 = 25;
/// The address that the driver sets, which is not the one that the device was built with.
pub(super) const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x22];
/// Somebody else on the wire, and somebody whom the guest does not listen to.
const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];
const STRANGER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];
/// Rounds of vectors and polls until the guest is taken never to come to rest.
const ROUNDS: u32 = 10_000;
/// Bytes of a frame that takes a buffer of ring 0 and one of ring 1.
const LONG: usize = 3000;

/// A device that the guest works with, from outside.
pub(super) trait World: GuestPort {
    /// A frame reaches the device.
    fn offer(&mut self, frame: &[u8]) -> Result<(), String>;
    /// Lets the device do what it can, and tells what it did.
    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), String>;
}

/// A world up to the next unmask, which finds no room.
struct UntilUnmask<'w, W>(&'w mut W);

impl<W: GuestPort> GuestPort for UntilUnmask<'_, W> {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.0.store(pa, bytes);
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        self.0.load(pa, into);
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        let is_mask = bar == Bar::Bar0 && matches!(Bar0::decode(offset), Some(Bar0::Imr(_)));
        !is_mask && self.0.write(bar, offset, value)
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        self.0.read(bar, offset)
    }
}

/// What was done, in the whole trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets on the wire, each posted before and in the order of its queue.
    pub packets: u64,
    /// Frames received, each offered before and in their order.
    pub frames: u64,
    /// Frames offered that are not for the guest.
    pub filtered: u64,
}

/// The guest.
#[derive(Debug)]
pub(super) struct Guest {
    pub driver: Driver,
    /// Packets posted and not seen on the wire, oldest first, a queue each.
    posted: Vec<VecDeque<Vec<u8>>>,
    /// Frames offered and not received.
    coming: VecDeque<Vec<u8>>,
    /// Vectors that fired and were not taken.
    latched: BTreeSet<u16>,
    next_id: u64,
    pub counts: Counts,
    /// Packets posted since activation, a queue each.
    sends: [u64; QUEUES as usize],
}

/// Where a frame is to go, as seen from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Guest,
    Everybody,
    Group,
    Stranger,
    OtherGroup,
}

impl Guest {
    /// A guest with its structures in `bytes` bytes of memory from `base`.
    pub fn new(base: u64, bytes: u64) -> Result<Self, String> {
        let config = DriverConfig {
            tx_queues: QUEUES,
            rx_queues: QUEUES,
            tx_ring: 32,
            tx_comp: 32,
            rx_ring: [32, 32],
            rx_comp: 64,
            mtu: 4000,
            max_rx_sg: 18,
            rx_mode: rx_mode::UCAST | rx_mode::BCAST | rx_mode::MCAST,
            mac: MAC,
            keep_received: true,
            poison: true,
            ..DriverConfig::default()
        };
        let driver = Driver::plan(config, base, bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            driver,
            posted: vec![VecDeque::new(); usize::from(QUEUES)],
            coming: VecDeque::new(),
            latched: BTreeSet::new(),
            next_id: 0,
            counts: Counts::default(),
            sends: [0; QUEUES as usize],
        })
    }

    /// Starts the device, with two multicast groups. QEMU's ACTIVATE forgets the address that was written before it.
    pub fn bring_up(&mut self, world: &mut impl World) -> Result<(), String> {
        self.driver.bring_up();
        self.serve(world)?;
        self.set_mac(world)?;
        self.driver.set_multicast(&[Traffic::group(1), Traffic::group(2)]);
        self.serve(world)
    }

    /// What the driver has asked for, access by access.
    pub fn act(&mut self, world: &mut impl GuestPort) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if !self.driver.step(world) {
                return Ok(());
            }
        }
        Err("the driver never comes to rest".into())
    }

    /// Takes a vector that fired, and does what it asks for up to the unmask, which is left to do.
    pub fn take_without_unmask(&mut self, vector: u16, world: &mut impl World) -> Result<(), String> {
        if !self.latched.remove(&vector) {
            return Err(format!("vector {vector} did not fire"));
        }
        self.driver.interrupt(vector);
        self.act(&mut UntilUnmask(world))?;
        self.received()
    }

    /// Takes what the device did: packets leave `posted`, vectors are latched.
    pub fn look(&mut self, world: &mut impl World) -> Result<(), String> {
        let mut seen = Vec::new();
        world.settle(&mut seen)?;
        seen.into_iter().try_for_each(|one| match one {
            Seen::Sent(frame) => self.sent(&frame),
            Seen::Vector(vector) => {
                self.latched.insert(vector);
                Ok(())
            }
            Seen::Line(_) => Err("the INTx line changed while MSI-X is on".into()),
        })
    }

    /// A packet was seen on the wire.
    pub fn sent(&mut self, frame: &[u8]) -> Result<(), String> {
        for queue in &mut self.posted {
            if queue.front().is_some_and(|first| first == frame) {
                queue.pop_front();
                self.counts.packets += 1;
                return Ok(());
            }
        }
        Err(format!("a packet of {} bytes on the wire is not the next of any queue", frame.len()))
    }

    /// Takes vectors and does what they ask for, until none is left, and checks what was received.
    pub fn serve(&mut self, world: &mut impl World) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.act(world)?;
            self.look(world)?;
            if self.latched.is_empty() {
                self.received()?;
                return match self.driver.breaches() {
                    [] => Ok(()),
                    [first, ..] => Err(format!("no driver survives {first:?}")),
                };
            }
            for vector in std::mem::take(&mut self.latched) {
                self.driver.interrupt(vector);
            }
        }
        Err("the device never stops interrupting".into())
    }

    fn received(&mut self) -> Result<(), String> {
        while let Some(received) = self.driver.take_received() {
            if self.coming.pop_front().as_ref() != Some(&received.frame) {
                return Err(format!("a received frame of {} bytes is not the next offered", received.frame.len()));
            }
            self.counts.frames += 1;
        }
        Ok(())
    }

    /// Posts a packet of `bytes` bytes in fragments of at most `piece`, and does not ring.
    pub fn post(&mut self, world: &mut impl World, queue: u8, bytes: usize, piece: usize) -> Result<(), String> {
        self.next_id += 1;
        let frame = generated(PEER, MAC, u64::from(queue), self.next_id, bytes);
        let fragments = Fragments::whole(bytes).split(piece).ok_or("too many fragments")?;
        let packet = Packet { fragments, ..Packet::plain(frame) };
        if !self.driver.send(queue, &packet) {
            return Err(format!("tx queue {queue} has no room for a packet of {bytes} bytes"));
        }
        self.posted[usize::from(queue)].push_back(packet.frame);
        self.sends[usize::from(queue)] += 1;
        self.act(world)
    }

    /// Rings the doorbells of TX queues.
    pub fn ring(&mut self, world: &mut impl World, queues: impl IntoIterator<Item = u8>) -> Result<(), String> {
        for queue in queues {
            self.driver.kick(queue);
        }
        self.act(world)
    }

    /// A frame of `bytes` bytes comes in.
    pub fn offer(&mut self, world: &mut impl World, to: To, bytes: usize) -> Result<(), String> {
        self.next_id += 1;
        let (destination, is_ours) = match to {
            To::Guest => (MAC, true),
            To::Everybody => ([0xff; 6], true),
            To::Group => (Traffic::group(2), true),
            To::Stranger => (STRANGER, false),
            To::OtherGroup => (Traffic::group(3), false),
        };
        let frame = generated(destination, PEER, 99, self.next_id, bytes);
        world.offer(&frame)?;
        if is_ours {
            self.coming.push_back(frame);
        } else {
            self.counts.filtered += 1;
        }
        Ok(())
    }

    /// Frames of each kind.
    pub fn offer_all(&mut self, world: &mut impl World) -> Result<(), String> {
        for (to, bytes) in [
            (To::Guest, 200),
            (To::Guest, LONG),
            (To::Stranger, 64),
            (To::Everybody, 60),
            (To::OtherGroup, 70),
            (To::Group, 1000),
        ] {
            self.offer(world, to, bytes)?;
        }
        Ok(())
    }

    /// Traffic in both directions, `rounds` packets a queue, after which nothing is on its way.
    pub fn exchange(&mut self, world: &mut impl World, rounds: usize) -> Result<(), String> {
        for i in 0..rounds {
            for queue in 0..QUEUES {
                self.post(world, queue, 60 + 131 * (i % 12), 700)?;
            }
            self.ring(world, 0..QUEUES)?;
            self.offer(world, if i % 3 == 0 { To::Group } else { To::Guest }, 60 + 97 * (i % 15))?;
            if i % 8 == 0 {
                self.offer_all(world)?;
            }
            self.serve(world)?;
        }
        self.at_rest()
    }

    /// Nothing is on its way.
    pub fn at_rest(&self) -> Result<(), String> {
        for queue in 0..QUEUES {
            let (posted, open) = (self.posted[usize::from(queue)].len(), self.driver.outstanding(queue));
            if (posted, open) != (0, 0) {
                return Err(format!("tx queue {queue}: {posted} packets never sent, {open} never completed"));
            }
        }
        if self.driver.counts().skipped > 0 {
            return Err("the device passed receive buffers over".into());
        }
        match self.coming.len() {
            0 => Ok(()),
            left => Err(format!("{left} frames never received")),
        }
    }

    /// The statistics are those of everything since activation.
    pub fn count(&mut self, world: &mut impl World) -> Result<(), String> {
        self.driver.get_stats();
        self.serve(world)?;
        let (tx, rx) = self.driver.stats();
        for (queue, (stats, &sent)) in tx.iter().zip(&self.sends).enumerate() {
            if ok(stats) != sent {
                return Err(format!("tx queue {queue}: its statistics count {} packets, not {sent}", ok(stats)));
            }
        }
        let received: u64 = rx.iter().map(taken).sum();
        if received != self.counts.frames {
            return Err(format!("the statistics count {received} frames, not {}", self.counts.frames));
        }
        Ok(())
    }

    /// What is on its way, in words.
    pub fn in_flight(&self) -> String {
        let vectors: Vec<_> = self.latched.iter().map(ToString::to_string).collect();
        let open: usize = (0..QUEUES).map(|queue| self.driver.outstanding(queue)).sum();
        let posted: usize = self.posted.iter().map(VecDeque::len).sum();
        format!(
            "{posted} packets posted and not sent, {} sent whose completions nobody read, {} frames received that nobody took, \
             vectors fired and not taken: {}",
            open - posted,
            self.coming.len(),
            vectors.join(" "),
        )
    }

    /// Something is on its way at every stage.
    pub fn has_all_kinds(&self) -> bool {
        let open: usize = (0..QUEUES).map(|queue| self.driver.outstanding(queue)).sum();
        let posted: usize = self.posted.iter().map(VecDeque::len).sum();
        posted > 0 && open > posted && !self.coming.is_empty() && !self.latched.is_empty()
    }

    /// Whether `vector` fired and was not taken.
    pub fn has_latched(&self, vector: u16) -> bool {
        self.latched.contains(&vector)
    }

    /// The driver writes its address again.
    pub fn set_mac(&mut self, world: &mut impl World) -> Result<(), String> {
        self.driver.set_mac(MAC);
        self.act(world)
    }
}

/// What masks hold, by vector.
pub(super) fn masks(world: &mut impl World) -> Vec<u32> {
    (0..VECTORS).map(|vector| world.read(Bar::Bar0, Bar0::Imr(vector).offset()).unwrap_or(u32::MAX)).collect()
}

fn ok(stats: &TxStats) -> u64 {
    stats.ucast_pkts_tx_ok() + stats.mcast_pkts_tx_ok() + stats.bcast_pkts_tx_ok()
}

fn taken(stats: &RxStats) -> u64 {
    stats.ucast_pkts_rx_ok() + stats.mcast_pkts_rx_ok() + stats.bcast_pkts_rx_ok()
}
