//! One move told step by step: what is in flight where, what each stage did, and the balance at the end.

use model::guest::script::Op;
use model::guest::shape::{Bounds, Shape, WireShape};
use model::guest::vmxnet3::DriverConfig;
use model::machine::{Machine, Mode, ROUNDS, Rig};
use model::migrate::{Outcome, Plan, Stage};
use model::vic::Register;
use spec::event::{Effect, GuestView, Stimulus, Tap};
use spec::frame::Dice;
use spec::monitor::Judges;
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vic::{CqReg, IntrReg, RqReg, WqReg};
use spec::vmxnet3::command::{feature, rx_mode};
use spec::vmxnet3::{CELL_BYTES, RxDesc, TxDesc};

/// What to tell.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Seed of the traffic and of the moment.
    pub seed: u64,
    /// Out of hardware.
    pub leave: Plan,
    /// Back into hardware.
    pub enter: Plan,
}

/// A line of the tale: where the move is, and what is where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the moment or stage.
    pub at: &'static str,
    /// What the stage does.
    pub does: &'static str,
    /// Steps of anything since the entry before.
    pub steps: u32,
    /// What is in flight where, in words.
    pub state: String,
    /// The same in numbers.
    pub snapshot: Snapshot,
}

/// A ring of the first queue pair: cells that wait for the device, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingView {
    /// Cells.
    pub size: u32,
    /// The cell that the device takes next.
    pub next: u32,
    /// Cells from there on that the device has been told of, or finds by their generation bit.
    pub posted: u32,
}

/// What is in flight where, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The adapter is the device.
    pub hardware: bool,
    /// The guest's vCPUs run.
    pub runs: bool,
    /// The TX ring.
    pub tx: RingView,
    /// The first RX ring.
    pub rx: RingView,
    /// Doorbells on their way to the adapter.
    pub doorbells: usize,
    /// Packets in the adapter's pipeline.
    pub pipeline: usize,
    /// Writes to guest memory in the adapter's FIFO.
    pub writes: usize,
    /// Frames in the adapter's ingress FIFO.
    pub ingress: usize,
    /// Frames that wait at the uplink.
    pub uplink: usize,
    /// Frames that wait at the guest's port.
    pub port: usize,
    /// Frames that the switch under way carries.
    pub handed: usize,
    /// Packets for whose completion the guest waits.
    pub outstanding: usize,
}

/// The whole tale.
#[derive(Clone, Debug)]
pub struct Tale {
    /// Line by line.
    pub entries: Vec<Entry>,
    /// What came in and what went out, as (what, how many).
    pub balance: Vec<(&'static str, u64)>,
    /// What the monitors found.
    pub violations: Vec<String>,
}

/// Counts what leaves and enters.
#[derive(Default)]
struct Counter {
    sent: u64,
    offered: u64,
    dropped: u64,
    vectors: u64,
}

impl Tap for Counter {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, _: &dyn GuestView) {
        self.offered += u64::from(matches!(stimulus, Stimulus::Offered { .. }));
    }
    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        match effect {
            Effect::Transmit { .. } => self.sent += 1,
            Effect::SwitchDrop { .. } => self.dropped += 1,
            Effect::Vector { .. } => self.vectors += 1,
            _ => {}
        }
    }
}

struct Teller {
    rig: Rig,
    tap: (Judges, Counter),
    dice: Dice,
    entries: Vec<Entry>,
    steps: u32,
}

impl Teller {
    fn note(&mut self, at: &'static str, does: &'static str) {
        let (state, snapshot) = (self.state(), self.snapshot());
        self.entries.push(Entry { at, does, steps: std::mem::take(&mut self.steps), state, snapshot });
    }

    /// What is in flight where.
    fn state(&mut self) -> String {
        let system = &self.rig.machine.system;
        let (uplink, port) = system.net().waiting();
        let handed = system.current_switch().map_or(0, model::migrate::Switch::handed);
        let net = format!("uplink {uplink}, port {port} {:?}, handed over {handed}", system.net().port());
        let outstanding = self.rig.machine.guest.outstanding(0);
        let body = match system.mode() {
            Mode::Hardware => {
                let read = |register| system.adapter().peek(register);
                let way = system.adapter().under_way();
                format!(
                    "hardware: WQ fetch {} posted {}, TX CQ tail {} colour {}, RQ fetch {} posted {}, mask {} credits {}; \
                     doorbells {}, pipeline {}, write FIFO {}, ingress FIFO {}",
                    read(Register::Wq(0, WqReg::FetchIndex)),
                    read(Register::Wq(0, WqReg::PostedIndex)),
                    read(Register::Cq(0, CqReg::CqTail)),
                    read(Register::Cq(0, CqReg::CqTailColor)),
                    read(Register::Rq(0, RqReg::FetchIndex)),
                    read(Register::Rq(0, RqReg::PostedIndex)),
                    read(Register::Intr(0, IntrReg::Mask)),
                    read(Register::Intr(0, IntrReg::IntCredits)),
                    way.doorbells,
                    way.packets,
                    way.writes,
                    way.ingress,
                )
            }
            Mode::Software => match system.body().progress() {
                Ok(progress) => {
                    let (tx, rx, vector) = (progress.tx[0], progress.rx[0], progress.vectors[0]);
                    let place = |at: RingIndex| format!("{} gen {}", at.index(), u8::from(at.generation()));
                    format!(
                        "software: TX next {}, TX completion {}, RX next {}, masked {} pending {}",
                        place(tx.next),
                        place(tx.comp),
                        place(rx.next[0]),
                        u8::from(vector.masked),
                        u8::from(vector.pending),
                    )
                }
                Err(busy) => format!("software: {busy:?}"),
            },
        };
        format!("{body}; {net}; guest waits for {outstanding} completions")
    }

    /// The same in numbers.
    fn snapshot(&self) -> Snapshot {
        let Machine { system, guest, .. } = &self.rig.machine;
        let (tx_area, rx_area) = (guest.layout().tx[0], guest.layout().rx[0]);
        let (uplink, port) = system.net().waiting();
        let mut snapshot = Snapshot {
            hardware: system.mode() == Mode::Hardware,
            runs: system.vcpus_run(),
            uplink,
            port,
            handed: system.current_switch().map_or(0, model::migrate::Switch::handed),
            outstanding: guest.outstanding(0),
            ..Snapshot::default()
        };
        let (tx_size, rx_size) = (tx_area.ring_size, rx_area.ring_size[0]);
        if snapshot.hardware {
            let read = |register| system.adapter().peek(register);
            let ring = |size: u32, next: u64, end: u64| {
                let (next, end) = (next as u32 % size, end as u32 % size);
                RingView { size, next, posted: (end + size - next) % size }
            };
            let way = system.adapter().under_way();
            snapshot.tx =
                ring(tx_size, read(Register::Wq(0, WqReg::FetchIndex)), read(Register::Wq(0, WqReg::PostedIndex)));
            snapshot.rx =
                ring(rx_size, read(Register::Rq(0, RqReg::FetchIndex)), read(Register::Rq(0, RqReg::PostedIndex)));
            (snapshot.doorbells, snapshot.pipeline) = (way.doorbells, way.packets);
            (snapshot.writes, snapshot.ingress) = (way.writes, way.ingress);
        } else if let Ok(progress) = system.body().progress() {
            let ring = |size: u32, base: u64, at: RingIndex, generation: fn(u128) -> bool| {
                let (mut cell, mut posted) = (at, 0);
                let owned = |cell: RingIndex| {
                    let word = system.memory().cell(base + u64::from(cell.index()) * CELL_BYTES);
                    word.is_ok_and(|word| generation(word) == cell.generation())
                };
                while posted < size && owned(cell) {
                    (cell, posted) = (cell.next(size), posted + 1);
                }
                RingView { size, next: at.index(), posted }
            };
            let (tx, rx) = (progress.tx[0].next, progress.rx[0].next[0]);
            snapshot.tx = ring(tx_size, tx_area.ring, tx, |word| TxDesc(word).generation());
            snapshot.rx = ring(rx_size, rx_area.ring[0], rx, |word| RxDesc(word).generation());
        }
        snapshot
    }

    fn burst(&mut self) {
        let bounds = Bounds { frame: 400, segmented: 3000, fragments: 3, flows: 4, streams: false, tunnels: false };
        for _ in 0..8 {
            self.rig.apply(&Op::Send { queue: 0, shape: Shape::roll(&mut self.dice, &bounds) }, &mut self.tap);
            self.rig.apply(&Op::Offer { shape: WireShape::roll(&mut self.dice, &bounds) }, &mut self.tap);
        }
        self.rig.apply(&Op::Kick { queue: 0 }, &mut self.tap);
    }

    fn steps(&mut self, count: u32) {
        for _ in 0..count {
            if self.rig.one_step(&mut self.dice, &mut self.tap) {
                self.steps += 1;
            }
        }
    }

    /// Makes a switch, an entry a stage.
    fn switch(&mut self, plan: Plan) -> Option<Outcome> {
        self.rig.machine.switch(plan);
        let mut stage: Option<Stage> = None;
        while let Some(now) = self.rig.machine.system.current_switch().map(model::migrate::Switch::stage) {
            if stage != Some(now) {
                if let Some(over) = stage {
                    self.told(over);
                }
                stage = Some(now);
            }
            self.steps(1);
        }
        if let Some(over) = stage {
            self.told(over);
        }
        self.rig.machine.system.last_switch()
    }

    fn told(&mut self, stage: Stage) {
        let row = Stage::TABLE.iter().find(|row| row.0 == stage);
        self.note(stage.name(), row.map_or("", |row| row.2.trim()));
    }

    fn rest(&mut self) {
        self.rig.machine.settle(&mut self.tap, ROUNDS);
    }
}

/// Tells a guest in hardware moved out, working in software, and moved back, with traffic all the time.
pub fn tell(settings: &Settings) -> Tale {
    let config = DriverConfig {
        tx_ring: 64,
        tx_comp: 64,
        rx_ring: [64, 32],
        rx_comp: 96,
        features: feature::RXCSUM,
        rx_mode: rx_mode::UCAST | rx_mode::BCAST | rx_mode::MCAST,
        ..DriverConfig::default()
    };
    let Ok(rig) = Rig::new(&Profile::REFERENCE, config, 2 << 20, settings.seed) else {
        unreachable!("the driver's structures fit 2 MiB")
    };
    let tap = (Judges::snoop(), Counter::default());
    let mut teller = Teller { rig, tap, dice: Dice::new(settings.seed), entries: Vec::new(), steps: 0 };
    teller.rig.bring_up(&mut teller.tap);
    teller.switch(settings.enter);
    teller.rest();
    teller.entries.clear();
    teller.steps = 0;
    teller.note("at rest", "The guest works on hardware and nothing is in flight.");
    teller.burst();
    let moment = 150 + teller.dice.below(120) as u32;
    teller.steps(moment);
    teller.note("before", "Packets have been posted and frames have arrived; this is the moment.");
    let left = teller.switch(settings.leave);
    teller.burst();
    teller.steps(60);
    teller.note("in software", "The guest goes on behind the soft switch.");
    let entered = if left == Some(Outcome::Done) { teller.switch(settings.enter) } else { left };
    teller.rest();
    teller.note("after", "Everything has come to rest.");
    let (guest, counter) = (teller.rig.machine.guest.counts(), &teller.tap.1);
    let balance = vec![
        ("packets posted by the guest", guest.sent),
        ("packets completed", guest.completed),
        ("frames on the wire (segments counted)", counter.sent),
        ("frames offered by the wire", counter.offered),
        ("frames received by the guest", guest.received),
        ("frames dropped by policy D", counter.dropped),
        ("interrupts raised", counter.vectors),
    ];
    let mut violations: Vec<_> =
        teller.tap.0.violations().iter().map(|v| format!("{}: {:?}", v.clause.id(), v.what)).collect();
    violations
        .extend(teller.rig.machine.guest.breaches().iter().map(|breach| format!("{}: {breach:?}", breach.clause())));
    if entered != Some(Outcome::Done) {
        violations.push(format!("the move ended with {entered:?}"));
    }
    Tale { entries: teller.entries, balance, violations }
}
