//! The roads of `run` are schedules of `step`: the same steps in the same order, counted alike.

use proptest::collection::vec;
use proptest::prelude::*;
use spec::checksum;
use spec::frame::Dice;
use spec::vic::NicCfg;

use super::*;
use crate::host::{DmaFault, OneAccess, Sent};

/// An access or an interrupt, as the world meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Fetch(u64),
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Publish(u64, u128),
    Sent(Vec<u8>),
    Vector(u16),
}

/// A world that remembers the order of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Log {
    world: Bare,
    seen: Vec<Seen>,
}

impl Host for Log {
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.seen.push(Seen::Read(pa, into.len()));
        self.world.read(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.seen.push(Seen::Write(pa, bytes.to_vec()));
        self.world.write(pa, bytes)
    }
    fn fetch(&mut self, pa: u64) -> Result<u128, DmaFault> {
        self.seen.push(Seen::Fetch(pa));
        self.world.fetch(pa)
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), DmaFault> {
        self.seen.push(Seen::Publish(pa, cell));
        self.world.publish(pa, cell)
    }
    fn transmit(&mut self, queue: u8, frame: &[u8]) -> Sent {
        self.seen.push(Seen::Sent(frame.to_vec()));
        self.world.transmit(queue, frame)
    }
    fn vector(&mut self, index: u16) {
        self.seen.push(Seen::Vector(index));
        self.world.vector(index);
    }
    fn intx(&mut self, asserted: bool) {
        self.world.intx(asserted);
    }
}

/// Steps in the order that `run` promises: nothing but `possible` and `step`, each step at most one access.
struct Stepper<'a> {
    adapter: &'a mut Adapter,
    host: &'a mut Log,
    left: u32,
}

impl Stepper<'_> {
    fn once(&mut self, unit: Unit) -> bool {
        let can = self.left > 0 && self.adapter.possible(unit);
        if can {
            let mut host = OneAccess::new(&mut *self.host);
            self.adapter.step(unit, &mut host);
            assert!(host.take() <= 1, "{unit:?}");
            self.left -= 1;
        }
        can
    }

    fn drain(&mut self, unit: Unit) {
        while self.once(unit) {}
    }

    fn transmit(&mut self, q: u8) {
        loop {
            let before = self.left;
            self.once(Unit::WqFetch(q));
            self.drain(Unit::WqRead(q));
            self.drain(Unit::WqSend(q));
            self.drain(Unit::Out);
            if self.left == before {
                return self.drain(Unit::WqStop(q));
            }
        }
    }

    fn receive(&mut self) {
        loop {
            let before = self.left;
            for r in 0..RQS as u8 {
                self.drain(Unit::RqFetch(r));
                self.drain(Unit::RqStop(r));
            }
            while self.once(Unit::Rx) {
                self.drain(Unit::Out);
            }
            self.drain(Unit::Out);
            if self.left == before {
                return;
            }
        }
    }

    fn run(mut self) -> u32 {
        let budget = self.left;
        loop {
            let before = self.left;
            self.drain(Unit::Doorbell);
            self.drain(Unit::Devcmd);
            for q in 0..WQS as u8 {
                if self.adapter.wqs[usize::from(q)].in_use() {
                    self.transmit(q);
                }
            }
            self.receive();
            if self.left == before || self.left == 0 {
                (0..ERROR_BLOCK).for_each(|i| self.drain(Unit::Intr(i)));
                if self.left == before || self.left == 0 {
                    return budget - self.left;
                }
            }
        }
    }
}

/// What is out of the ordinary in a packet.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Nothing,
    /// Nobody waits for its completion.
    Unwatched,
    Offload(u8),
    Tag,
    Kind,
    Nowhere,
}

/// Something the guest, the host or the wire does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post {
        len: u16,
        pieces: u8,
        odd: Odd,
    },
    Buffers {
        ring: usize,
        count: u8,
        len: u16,
        body: bool,
        nowhere: bool,
    },
    Frame {
        len: u16,
        tagged: bool,
        to_all: bool,
    },
    /// The next segment of a TCP stream.
    Segment {
        len: u16,
        push: bool,
    },
    Nic {
        strip: bool,
        checks: bool,
        hashed: bool,
        lro: bool,
        upt: u8,
    },
    Queue(Register, bool),
    Busy(bool),
    Link(bool),
    Steps(u8, u64),
    Run(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let switched = prop_oneof![
        4 => (0..2u8).prop_map(|r| Register::Rq(r, RqReg::Enable)),
        1 => Just(Register::Wq(0, WqReg::Enable)),
        2 => (0..2u8).prop_map(|c| Register::Cq(c * 8, CqReg::InterruptEnable)),
        1 => Just(Register::Cq(8, CqReg::CqEntryEnable)),
        1 => (0..2u8).prop_map(|i| Register::Intr(i, IntrReg::Mask)),
        1 => Just(Register::Rq(0, RqReg::ErrorStatus)),
    ];
    let odd = prop_oneof![
        3 => Just(Odd::Nothing),
        1 => Just(Odd::Unwatched),
        1 => (1..4u8).prop_map(Odd::Offload),
        1 => Just(Odd::Tag),
        1 => Just(Odd::Kind),
        1 => Just(Odd::Nowhere),
    ];
    prop_oneof![
        2 => (10..200u16, 1..4u8, odd).prop_map(|(len, pieces, odd)| Act::Post { len, pieces, odd }),
        4 => (14..100u16).prop_map(|len| Act::Post { len, pieces: 1, odd: Odd::Nothing }),
        5 => (0..2usize, 1..6u8, prop_oneof![Just(0u16), Just(60), Just(250), 1..100u16], any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(ring, count, len, body, nowhere)| Act::Buffers { ring, count, len, body: body || ring == 1, nowhere }),
        5 => Just(Act::Buffers { ring: 0, count: 4, len: 250, body: false, nowhere: false }),
        10 => (10..150u16, prop::bool::weighted(0.2), any::<bool>()).prop_map(|(len, tagged, to_all)| Act::Frame { len, tagged, to_all }),
        4 => (1..60u16, prop::bool::weighted(0.2)).prop_map(|(len, push)| Act::Segment { len, push }),
        1 => (any::<[bool; 4]>(), 0..128u8)
            .prop_map(|([strip, checks, hashed, lro], upt)| Act::Nic { strip, checks, hashed, lro, upt }),
        1 => (switched, prop::bool::weighted(0.7)).prop_map(|(register, on)| Act::Queue(register, on)),
        1 => prop::bool::weighted(0.4).prop_map(Act::Busy),
        1 => prop::bool::weighted(0.8).prop_map(Act::Link),
        1 => (1..12u8, any::<u64>()).prop_map(|(count, seed)| Act::Steps(count, seed)),
        10 => prop_oneof![0..40u32, Just(10_000)].prop_map(Act::Run),
    ]
}

/// `len` bytes of a TCP stream from byte `sequence` on, over IPv4, with the checksums that they have.
fn segment(sequence: u32, len: usize, push: bool) -> Vec<u8> {
    let mut frame = [&STATION[..], &[2; 6], &[8, 0]].concat();
    let bytes = (40 + len) as u16;
    frame.extend_from_slice(&[
        0x45,
        0,
        (bytes >> 8) as u8,
        bytes as u8,
        0,
        1,
        0x40,
        0,
        64,
        6,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    let sum = checksum::finish(checksum::add(0, &frame[14..34]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(&[0, 1, 0, 2]);
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 9, 0x50, 0x10 | u8::from(push) << 3, 1, 0, 0, 0, 0, 0]);
    frame.extend((0..len).map(|i| sequence as u8 ^ i as u8));
    let sum = checksum::add(checksum::pseudo(&frame[26..34], 6, 20 + len as u32), &frame[34..]);
    frame[50..52].copy_from_slice(&checksum::finish(sum).to_be_bytes());
    frame
}

/// The guest's and the world's part of an act; answers whether there was one.
fn stir(rig: &mut Rig, act: Act) {
    match act {
        Act::Post { len, pieces, odd } => {
            let (at, size) = (rig.posted, u64::from(rig.size));
            rig.completed = rig.completed.max(rig.posted.saturating_sub(size - 4));
            let mut bytes = frame(at, usize::from(len).max(14));
            bytes.truncate(usize::from(len));
            if rig.post(&bytes, usize::from(pieces)) {
                for cell in at..rig.posted {
                    let (pa, _) = rig.tx_cell(cell);
                    let mut desc: TxDesc = rig.host.memory.get(pa).unwrap();
                    match odd {
                        Odd::Nothing => {}
                        Odd::Unwatched => desc.set_cq(false),
                        Odd::Offload(om) => desc.set_om(om),
                        Odd::Tag => desc.set_ti(true),
                        Odd::Kind => desc.set_dtype(true),
                        Odd::Nowhere => desc.set_addr(0xdead_0000),
                    }
                    rig.host.memory.put(pa, desc).unwrap();
                }
                rig.doorbell();
            }
        }
        Act::Buffers { ring, count, len, body, nowhere } => {
            let from = rig.filled[ring];
            rig.adapter.read(Register::Rq(0, RqReg::Running));
            rig.fill(ring, u64::from(count), len, |_| body);
            for at in from..rig.filled[ring] * u64::from(nowhere) {
                let pa = RX[ring] + at % u64::from(rig.size) * 16;
                let mut desc: RxDesc = rig.host.memory.get(pa).unwrap();
                desc.set_addr(0xdead_0000);
                rig.host.memory.put(pa, desc).unwrap();
            }
        }
        Act::Frame { len, tagged, to_all } => {
            let to = if to_all { [0xff; 6] } else { STATION };
            let mut frame = generated(to, [2; 6], 1, u64::from(len), usize::from(len).max(14));
            if tagged {
                frame.splice(12..12, [0x81, 0, 0x20, 5]);
            }
            frame.truncate(usize::from(len));
            let _ = rig.adapter.offer(&frame);
        }
        Act::Segment { len, push } => {
            let frame = segment(rig.streamed, usize::from(len), push);
            if rig.adapter.offer(&frame) {
                rig.streamed = rig.streamed.wrapping_add(u32::from(len));
            }
        }
        Act::Nic { strip, checks, hashed, lro, upt } => {
            let mut nic = NicCfg::default();
            nic.set_upt_lro(lro);
            nic.set_ig_vlan_strip(strip);
            nic.set_upt_rx_checksum(checks);
            nic.set_rss_enable(hashed);
            rig.command(Devcmd::NicCfg, [u64::from(nic.0), u64::from(upt), 0]).unwrap();
        }
        Act::Queue(Register::Rq(r, RqReg::ErrorStatus), on) => {
            rig.adapter.write(Register::Rq(r, RqReg::ErrorStatus), u64::from(!on));
        }
        Act::Queue(register, on) => rig.adapter.write(register, u64::from(on)),
        Act::Busy(busy) => {
            rig.host.busy = busy;
            rig.adapter.wire_ready();
        }
        Act::Link(up) => {
            rig.command(if up { Devcmd::Enable } else { Devcmd::Disable }, [0; 3]).unwrap();
        }
        Act::Steps(count, seed) => {
            let mut dice = Dice::new(seed);
            for _ in 0..count {
                let mut units = Vec::new();
                rig.adapter.units(&mut units);
                let Some(&unit) = units.get(dice.below(units.len() as u64) as usize) else { return };
                rig.adapter.step(unit, &mut rig.host);
            }
        }
        Act::Run(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// With any budget, from any state: `run` takes the steps of its schedule, as many, with the same accesses in the same order,
    /// and ends in the same state.
    #[test]
    fn run_is_its_schedule_of_steps(acts in vec(act(), 1..60), profile in prop::sample::select(vec![&Profile::SMALL, &Profile::REFERENCE])) {
        let mut rig = Rig::new(profile, 32);
        for act in acts {
            stir(&mut rig, act);
            let Act::Run(budget) = act else { continue };
            let mut host = Log { world: core::mem::take(&mut rig.host), seen: Vec::new() };
            let (mut stepped, mut stepped_host) = (rig.adapter.clone(), host.clone());
            let taken = rig.adapter.run(&mut host, budget);
            let steps = Stepper { adapter: &mut stepped, host: &mut stepped_host, left: budget }.run();
            prop_assert_eq!(&host.seen, &stepped_host.seen);
            prop_assert_eq!(taken, steps);
            prop_assert!(rig.adapter == stepped, "{:#?}\n{:#?}", rig.adapter, stepped);
            prop_assert!(host == stepped_host);
            rig.host = host.world;
        }
    }
}
