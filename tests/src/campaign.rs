//! The switch campaign: random guests, traffic, wires and filters, switched at random moments, every monitor watching.

mod drawn;

use crate::case::newest;
use crate::verify::Settings;
use model::guest::script::{Finish, Ingress, Op, Side};
use model::guest::shape::{Bounds, Shape, WireShape};
use model::guest::vmxnet3::{Breach, DriverConfig, RssSetup, Vectors};
use model::machine::{Mode, Rig};
use model::migrate::Outcome;
use model::mutant::Planted;
use spec::clause::Tally;
use spec::event::Tap;
use spec::frame::Dice;
use spec::monitor::{Judges, Violation};
use spec::profile::{Moderation, Profile};
use spec::vmxnet3::Interrupts;
use spec::vmxnet3::command::{feature, rx_mode};
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};

/// A guest and its traffic, as one course of the campaign runs them.
#[derive(Clone, Debug)]
pub struct Course {
    /// What it is, in a few words.
    pub name: &'static str,
    /// Device profile.
    pub profile: &'static Profile,
    /// The guest's driver.
    pub config: DriverConfig,
    /// Bytes of guest memory.
    pub bytes: usize,
    /// What frames are like.
    pub bounds: Bounds,
    /// Packets of a burst, each way.
    pub burst: u64,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Packets the guests sent.
    pub sent: u64,
    /// Frames the guests received.
    pub received: u64,
    /// Switches made.
    pub switches: u64,
    /// Switches undone for the guest's or the wire's sake.
    pub undone: u64,
    /// Most steps of a switch.
    pub longest_switch: u64,
    /// Premises and violations.
    pub tally: Tally,
    /// The first violations, with the course and the epoch they were seen in.
    pub violations: Vec<(&'static str, u64, Violation)>,
    /// What no driver survives, the first of it.
    pub breaches: Vec<(&'static str, u64, Breach)>,
    /// Epochs that never came to rest.
    pub stuck: Vec<(&'static str, u64)>,
}

impl Findings {
    /// Whether nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.breaches.is_empty() && self.stuck.is_empty()
    }
}

/// The courses of a campaign on `profile`, the last but one drawn by `seed`.
pub fn courses(profile: &'static Profile, seed: u64) -> Vec<Course> {
    let everything = rx_mode::UCAST | rx_mode::MCAST | rx_mode::BCAST;
    let base = DriverConfig {
        features: feature::RXCSUM | feature::RXVLAN,
        rx_mode: everything,
        poison: true,
        ..DriverConfig::default()
    };
    let queues = |n: u8| DriverConfig { tx_queues: n, rx_queues: n, ..base.clone() };
    let table = (0..16).map(|i| i % 4).collect();
    let key = std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(11));
    let rss = RssSetup { hash_type: 0xf, key, table };
    let tiny = DriverConfig { rx_mode: everything, features: base.features, ..DriverConfig::tiny() };
    let drawn = drawn::courses(profile, &base, seed);
    let small = Bounds { frame: 200, segmented: 400, fragments: 3, flows: 4, streams: false, tunnels: false };
    let mut all = vec![
        Course {
            name: "one queue pair",
            profile,
            config: DriverConfig { tx_ring: 96, tx_comp: 96, rx_ring: [64, 32], rx_comp: 96, ..base.clone() },
            bytes: 4 << 20,
            bounds: Bounds { segmented: 6000, ..Bounds::default() },
            burst: 24,
        },
        Course {
            name: "small packets",
            profile,
            config: DriverConfig {
                tx_ring: 256,
                tx_comp: 256,
                rx_ring: [256, 32],
                rx_comp: 288,
                tx_buffer_bytes: 512,
                head_bytes: 512,
                body_bytes: 512,
                poison: false,
                ..base.clone()
            },
            bytes: 4 << 20,
            bounds: Bounds { frame: 120, segmented: 0, fragments: 2, flows: 16, streams: false, tunnels: false },
            burst: 96,
        },
        Course {
            name: "four queue pairs with RSS",
            profile,
            config: DriverConfig {
                tx_ring: 64,
                tx_comp: 64,
                rx_ring: [64, 64],
                rx_comp: 128,
                rss: Some(rss.clone()),
                ..queues(4)
            },
            bytes: 8 << 20,
            bounds: Bounds { segmented: 4000, ..Bounds::default() },
            burst: 24,
        },
        Course {
            name: "jumbo frames in many buffers",
            profile,
            config: DriverConfig {
                tx_ring: 64,
                tx_comp: 64,
                rx_ring: [96, 64],
                rx_comp: 160,
                mtu: 9000,
                head_every: 3,
                ..base.clone()
            },
            bytes: 4 << 20,
            bounds: Bounds { frame: 9014, segmented: 12_000, ..Bounds::default() },
            burst: 6,
        },
        Course {
            name: "every receive cell posted",
            profile,
            config: DriverConfig {
                tx_ring: 64,
                tx_comp: 64,
                rx_ring: [32, 32],
                rx_comp: 64,
                full_rx_rings: true,
                ..base.clone()
            },
            bytes: 4 << 20,
            bounds: Bounds { segmented: 3000, ..Bounds::default() },
            burst: 6,
        },
        Course {
            name: "version 3 with data rings",
            profile: newest(profile),
            config: DriverConfig {
                tx_ring: 96,
                tx_comp: 96,
                rx_ring: [64, 32],
                rx_comp: 96,
                ..base.clone().with_data_rings()
            },
            bytes: 4 << 20,
            bounds: Bounds { frame: 400, segmented: 4000, ..Bounds::default() },
            burst: 24,
        },
        Course {
            name: "streams that LRO merges",
            profile: newest(profile),
            config: DriverConfig {
                tx_ring: 64,
                tx_comp: 64,
                rx_ring: [64, 64],
                rx_comp: 128,
                max_version: 2,
                max_rx_sg: 18,
                features: base.features | feature::LRO,
                ..base.clone()
            },
            bytes: 4 << 20,
            bounds: Bounds { segmented: 3000, streams: true, ..Bounds::default() },
            burst: 32,
        },
        Course {
            name: "interrupts that keep their distance",
            profile: newest(&Profile::MODERATED),
            config: DriverConfig {
                tx_ring: 64,
                tx_comp: 64,
                rx_ring: [64, 64],
                rx_comp: 128,
                max_version: 9,
                vectors: Vectors::Separate,
                auto_mask: false,
                ..queues(2)
            },
            bytes: 8 << 20,
            bounds: Bounds { segmented: 3000, ..Bounds::default() },
            burst: 16,
        },
        Course {
            name: "more queues than the adapter has, by the second page",
            profile: newest(&Profile::LARGE_BAR),
            config: DriverConfig {
                tx_ring: 32,
                tx_comp: 32,
                rx_ring: [64, 32],
                rx_comp: 96,
                max_version: 9,
                large_bar: true,
                tx_queues: 14,
                rx_queues: 18,
                vectors: Vectors::Separate,
                rss: Some(RssSetup { table: (0..128).map(|i| i % 18).collect(), ..rss.clone() }),
                ..base.clone()
            },
            bytes: 16 << 20,
            bounds: Bounds { segmented: 4000, ..Bounds::default() },
            burst: 48,
        },
    ];
    all.extend(drawn);
    all.push(Course {
        name: "tiny rings",
        profile: &Profile::SMALL,
        config: tiny,
        bytes: 1 << 16,
        bounds: small,
        burst: 6,
    });
    all
}

/// Runs every course until its share of packets and switches is reached.
pub fn run(settings: &Settings, planted: Planted, progress: &mut dyn FnMut(u64, u64)) -> Findings {
    let courses = courses(settings.profile, settings.seed);
    let shares = courses.len() as u64;
    let mut findings = Findings::default();
    for (at, course) in courses.iter().enumerate() {
        let share = |whole: u64| whole * (at as u64 + 1) / shares;
        let (packets, switches) = (share(settings.packets), share(settings.switches));
        run_course(course, settings.seed, planted, packets, switches, &mut findings, &mut |findings| {
            let done = (findings.sent + findings.received).min(settings.packets);
            progress(done, settings.packets);
        });
        if !findings.is_clean() {
            break;
        }
    }
    findings
}

/// One course: epochs of a burst, a switch in the middle of it, and rest.
fn run_course(
    course: &Course,
    seed: u64,
    planted: Planted,
    packets: u64,
    switches: u64,
    findings: &mut Findings,
    progress: &mut dyn FnMut(&Findings),
) {
    let Ok(mut rig) = Rig::new(course.profile, course.config.clone(), course.bytes, seed) else {
        unreachable!("{}: the course's structures fit its memory", course.name)
    };
    rig.machine.system.plant(planted);
    let mut judges = Judges::snoop();
    let mut dice = Dice::new(seed ^ spec::frame::mix(course.burst));
    let (sent, received) = (findings.sent, findings.received);
    if !rig.bring_up(&mut judges) {
        findings.stuck.push((course.name, 0));
        return;
    }
    // A guest on MSI or the line stays in software, as hardware knows MSI-X alone, and so does one with more queues than the adapter
    // has.
    let stays = course.config.vectors.interrupts() != Interrupts::MsiX || course.config.is_extended();
    let switches = if stays { findings.switches } else { switches };
    let mut epoch = 0;
    while findings.switches < switches || findings.sent + findings.received < packets {
        epoch += 1;
        let switch = findings.switches < switches;
        let rested = run_epoch(course, &mut rig, &mut judges, &mut dice, epoch, switch, findings);
        if stays && epoch % 8 == 1 {
            let enter = Op::Switch { to: Side::Hardware, finish: Finish::Drain, ingress: Ingress::A };
            rig.apply(&enter, &mut judges);
            // Whether it is refused at once or by its first step.
            while rig.machine.system.switching() && rig.one_step(&mut dice, &mut judges) {}
            if rig.machine.system.switching() || rig.machine.system.mode() == Mode::Hardware {
                findings.stuck.push((course.name, epoch));
            }
        }
        findings.sent = sent + rig.machine.guest.counts().sent;
        findings.received = received + rig.machine.guest.counts().received;
        if !rested {
            findings.stuck.push((course.name, epoch));
        }
        if let Some(&breach) = rig.machine.guest.breaches().first() {
            findings.breaches.push((course.name, epoch, breach));
        }
        findings.violations.extend(judges.violations().iter().map(|&violation| (course.name, epoch, violation)));
        if !findings.is_clean() {
            break;
        }
        if epoch.is_multiple_of(64) {
            progress(findings);
        }
    }
    findings.tally.merge(&judges.verdict().tally);
}

/// One epoch: a burst, perhaps a switch in the middle of it, and rest. False when the machine did not come to rest.
pub fn run_epoch<T: Tap>(
    course: &Course,
    rig: &mut Rig,
    judges: &mut T,
    dice: &mut Dice,
    epoch: u64,
    switch: bool,
    findings: &mut Findings,
) -> bool {
    let queues = u64::from(course.config.tx_queues);
    for _ in 0..course.burst {
        let queue = dice.below(queues) as u8;
        rig.apply(&Op::Send { queue, shape: Shape::roll(dice, &course.bounds) }, judges);
        if dice.once_in(4) {
            rig.apply(&Op::Kick { queue }, judges);
        }
        rig.apply(&Op::Offer { shape: WireShape::roll(dice, &course.bounds) }, judges);
    }
    (0..queues).for_each(|queue| {
        rig.apply(&Op::Kick { queue: queue as u8 }, judges);
    });
    if dice.once_in(8) {
        rig.apply(&Op::Wire { ready: false }, judges);
    }
    if dice.once_in(4) {
        let (queue, back, steps) = (dice.below(queues) as u8, 1 + dice.below(6) as u32, dice.below(24));
        rig.ring_stale(queue, back, steps, dice, judges);
    }
    if dice.once_in(64) {
        rig.apply(&Op::Link { up: false }, judges);
    }
    if dice.once_in(16) {
        let op = match dice.below(6) {
            0 => Op::Stats,
            1 => Op::RxMode { bits: dice.below(32) as u32 | rx_mode::UCAST },
            2 => Op::Multicast { groups: dice.below(5) as u8 },
            3 => Op::Vlans { vids: (0..dice.below(4)).map(|_| dice.below(4096) as u16).collect() },
            4 => Op::Features {
                bits: dice.below(2)
                    | dice.below(2) << 2
                    | course.config.features & (feature::LRO | feature::RXINNEROFLD) & dice.below(32),
            },
            _ => Op::Reset,
        };
        rig.apply(&op, judges);
    }
    let moderates = course.profile.moderation != Moderation::NONE;
    if moderates && dice.once_in(8) {
        rig.machine.guest.set_coalescing(any_scheme(dice));
    }
    let mut steps = dice.below(400);
    while steps > 0 && step(moderates, rig, dice, judges) {
        steps -= 1;
    }
    if switch {
        let to = if rig.machine.system.mode() == Mode::Software { Side::Hardware } else { Side::Software };
        let finish = if dice.once_in(2) { Finish::Drain } else { Finish::Rollback };
        let ingress = [Ingress::A, Ingress::B, Ingress::C, Ingress::D][dice.below(4) as usize];
        let asked = rig.apply(&Op::Switch { to, finish, ingress }, judges) && rig.machine.system.switching();
        let mut length = 0;
        while rig.machine.system.switching() && step(moderates, rig, dice, judges) {
            length += 1;
        }
        findings.longest_switch = findings.longest_switch.max(length);
        match rig.machine.system.last_switch() {
            Some(Outcome::Done) if asked => findings.switches += 1,
            Some(_) if asked => findings.undone += 1,
            _ => {}
        }
    }
    rig.apply(&Op::Wire { ready: true }, judges);
    rig.apply(&Op::Link { up: true }, judges);
    if epoch.is_multiple_of(16) {
        rig.apply(&Op::Stats, judges);
    }
    rig.apply(&Op::Settle, judges)
}

/// Something happens; where it makes a difference, time goes on now and then, too little for most spacings.
fn step<T: Tap>(moderates: bool, rig: &mut Rig, dice: &mut Dice, judges: &mut T) -> bool {
    if moderates && dice.once_in(16) {
        rig.apply(&Op::Advance { ns: dice.below(20_000) }, judges);
    }
    rig.one_step(dice, judges)
}

/// A coalescing scheme of any mode; one in some is out of its bounds.
fn any_scheme(dice: &mut Dice) -> CoalesceScheme {
    let mut scheme = CoalesceScheme::default();
    let mode = [coalesce::DISABLED, coalesce::ADAPTIVE, coalesce::STATIC, coalesce::RATE][dice.below(4) as usize];
    let most = if mode == coalesce::RATE { 110_000 } else { u64::from(coalesce::MOST_DEPTH) + 8 };
    scheme.set_coal_mode(mode);
    scheme.set_coal_para([(); 3].map(|()| dice.below(most) as u32));
    scheme
}
