//! Saved state: what crosses a save between packets, and what a restore refuses.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::host::{Bare, Host};
use model::memory::Memory;
use model::migrate::Canon;
use model::mutant::Mutant;
use model::plane::{Activation, Progress, RxProgress, RxSetup, TxProgress, TxSetup};
use model::vmxnet3::{Body, Plane};
use spec::position::RingIndex;
use spec::profile::Profile;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{Bar0, Bar1, Command};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "a-save-between-packets",
        clauses: &["VMX-SAV-001", "VMX-SAV-003", "VMX-SAV-004", "VMX-SAV-005"],
        unless: &[],
        needs: &[Need::Inside],
        run: a_save_between_packets,
    },
    Case {
        id: "what-a-restore-refuses",
        clauses: &["VMX-SAV-002"],
        unless: &[],
        needs: &[Need::Inside],
        run: what_a_restore_refuses,
    },
];

/// A data plane and its configuration plane, taken out of the machine into a world of their own.
#[derive(Clone)]
struct World {
    plane: Plane,
    body: Body,
    host: Bare,
}

impl World {
    fn of(bench: &Bench) -> Self {
        let system = bench.system();
        let (plane, body) = (system.plane().clone(), system.body().clone());
        Self { plane, body, host: Bare::new(system.memory().clone()) }
    }

    /// Everything that can be saved becomes bytes, and a new device is made from them.
    fn saved_and_restored(&self, planted: model::mutant::Planted) -> Option<Self> {
        let activation = self.plane.activation()?.clone();
        let mut progress = self.body.progress().ok()?;
        if planted.is(Mutant::MovePendingDropped) {
            progress.vectors.iter_mut().for_each(|vector| vector.pending = false);
        }
        let mut bytes = Vec::new();
        Canon { activation, progress }.encode(self.plane.profile(), &mut bytes);
        let (profile, canon) = Canon::decode(&bytes).ok()?;
        let mut body = Body::resume(profile, &canon.activation, &canon.progress);
        body.plant(planted);
        body.set_link(self.plane.state().link_up);
        body.rescan();
        let plane = Plane::restore(profile, self.plane.state().clone());
        Some(Self { plane, body, host: self.host.clone() })
    }

    fn command(&mut self, command: Command) -> u32 {
        if let Some(request) = self.plane.write(Bar1::Cmd, command.code(), &mut self.host) {
            let reply = self.body.serve(request, &mut self.host);
            self.plane.finish(reply, &mut self.host);
        }
        self.plane.read(Bar1::Cmd, 0, &mut self.host)
    }

    /// The guest goes on: everything it can see is in what comes back.
    fn go_on(mut self, frames: &[Vec<u8>], cells: &[(u64, u128)]) -> Seen {
        let mut reads = vec![self.plane.read(Bar1::Cmd, 0, &mut self.host)];
        for register in [Bar1::Macl, Bar1::Mach, Bar1::Ecr, Bar1::Vrrs, Bar1::Uvrs] {
            reads.push(self.plane.read(register, 0, &mut self.host));
        }
        reads.extend((0..25).map(|vector| self.body.read_bar0(Bar0::Imr(vector))));
        for &(pa, cell) in cells {
            let _ = self.host.publish(pa, cell);
        }
        self.body.write_bar0(Bar0::TxProd(0), 0);
        self.body.run(&mut self.host, 10_000);
        for frame in frames {
            self.body.offer(frame);
            self.body.run(&mut self.host, 10_000);
        }
        for vector in 0..25 {
            self.body.write_bar0(Bar0::Imr(vector), 0);
            self.body.run(&mut self.host, 100);
        }
        reads.push(self.command(Command::GetStats));
        reads.push(self.command(Command::GetLink));
        Seen { reads, memory: self.host.memory, sent: self.host.sent, vectors: self.host.vectors }
    }
}

/// What a guest sees of a device.
#[derive(PartialEq, Eq)]
struct Seen {
    reads: Vec<u32>,
    memory: Memory,
    sent: Vec<(u8, Vec<u8>)>,
    vectors: Vec<u16>,
}

fn a_save_between_packets(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.start();
        let mac = [2, 7, 1, 8, 2, 8];
        bench.config.mac = mac;
        bench.set_mac(mac);
        let mut round = 0;
        while round < 40 && bench.serves() {
            round += 1;
            bench.unmask((round % 3) as u8);
            bench.settle();
            if round % 4 == 0 {
                bench.command(Command::GetPermMacLo);
            }
            // What is left of a spacing does not move: a device that moderates is saved between two.
            bench.pass(check.profile().moderation.longest_ns());
            let before = World::of(bench);
            let cells: Vec<_> = (0..2)
                .map(|_| {
                    let frame = bench.from_guest(100);
                    let index = bench.post(0, &frame);
                    let pa = bench.layout.tx[0].ring + u64::from(index) * 16;
                    (pa, bench.memory().cell(pa).unwrap_or(0))
                })
                .collect();
            let frames: Vec<_> = (0..2).map(|_| bench.to_guest(90)).collect();
            let Some(after) = before.saved_and_restored(check.planted()) else {
                check.holds("VMX-SAV-001", false, "a device at a packet boundary can be saved");
                break;
            };
            // Every other time nothing new happens, so that only what was remembered can be told.
            let quiet = round % 2 == 0;
            let (now_frames, now_cells) = if quiet { (&[][..], &[][..]) } else { (&frames[..], &cells[..]) };
            let masks = before.body.vectors() == after.body.vectors();
            check.holds("VMX-SAV-004", masks, "masks and causes are the same");
            let address = |world: &World| {
                let activation = world.body.activation().map(|activation| activation.filters.mac);
                (activation, world.plane.state().mac)
            };
            let kept = address(&after) == (Some(mac), mac);
            check.holds("VMX-SAV-003", kept, "the guest's address is the same");
            let answer = |world: &World| world.plane.read(Bar1::Cmd, 0, &mut world.host.clone());
            check.equal("VMX-SAV-005", "CMD", answer(&after), answer(&before));
            let same = before.go_on(now_frames, now_cells) == after.go_on(now_frames, now_cells);
            check.holds("VMX-SAV-001", same, "the guest sees the same device");
            bench.ring(0);
            for frame in &frames {
                bench.offer(frame);
            }
            bench.settle();
            bench.completions(0);
            bench.received(0);
        }
        check.equal("VMX-SAV-001", "rounds", round as u64, 40u32);
    });
}

fn sample(profile: &Profile) -> Canon {
    let size = profile.limits.ring_step.max(4);
    let align = profile.limits.ring_align;
    let mut pa = 0;
    let mut place = || {
        pa += (u64::from(size) * 16).next_multiple_of(align);
        pa
    };
    let at = RingIndex::new(size - 1, false, size).unwrap_or_default();
    let tx = TxSetup { ring_pa: place(), ring_size: size, comp_pa: place(), comp_size: size, vector: 0 };
    let rx =
        RxSetup { ring_pa: [place(), place()], ring_size: [size; 2], comp_pa: place(), comp_size: size, vector: 24 };
    let mut canon = Canon {
        activation: Activation { tx: vec![tx], rx: vec![rx], mtu: 1500, ..Activation::default() },
        progress: Progress::default(),
    };
    canon.progress.tx.push(TxProgress { next: at, comp: at, ..TxProgress::default() });
    canon.progress.rx.push(RxProgress { next: [at; 2], comp: at, ..RxProgress::default() });
    canon
}

fn what_a_restore_refuses(check: &mut Check) {
    let profile = check.profile();
    let limits = profile.limits;
    let good = sample(profile);
    let read = |canon: &Canon| {
        let mut bytes = Vec::new();
        canon.encode(profile, &mut bytes);
        Canon::decode(&bytes).map(|(found, canon)| (found.id, canon))
    };
    check.holds("VMX-SAV-002", read(&good) == Ok((profile.id, good.clone())), "what is in range is restored");
    let size = good.activation.tx[0].ring_size;
    let past = RingIndex::new(size, true, size + 1).unwrap_or_default();
    type Spoil = fn(&mut Canon, u64, RingIndex);
    let spoils: &[(Spoil, u64)] = &[
        (|canon, _, at| canon.progress.tx[0].next = at, 0),
        (|canon, _, at| canon.progress.tx[0].comp = at, 0),
        (|canon, _, at| canon.progress.rx[0].next[0] = at, 0),
        (|canon, _, at| canon.progress.rx[0].next[1] = at, 0),
        (|canon, _, at| canon.progress.rx[0].comp = at, 0),
        (|canon, n, _| canon.activation.tx[0].ring_size = n as u32, 0),
        (|canon, n, _| canon.activation.tx[0].ring_size = n as u32, u64::from(limits.tx_ring + limits.ring_step)),
        (|canon, n, _| canon.activation.tx[0].comp_size = n as u32, u64::from(limits.tx_ring + limits.ring_step)),
        (|canon, n, _| canon.activation.rx[0].ring_size[0] = n as u32, 0),
        (|canon, n, _| canon.activation.rx[0].ring_size[1] = n as u32, u64::from(limits.rx_ring + limits.ring_step)),
        (|canon, n, _| canon.activation.rx[0].comp_size = n as u32, u64::from(limits.rx_comp_ring + limits.ring_step)),
        (|canon, n, _| canon.activation.mtu = n as u32, u64::from(limits.min_mtu - 1)),
        (
            |canon, n, _| canon.activation.mtu = n as u32,
            u64::from(limits.mtus(check.profile().offer().version).end() + 1),
        ),
        (|canon, _, _| canon.activation.tx.clear(), 0),
        (|canon, _, _| canon.activation.rx.clear(), 0),
        (|canon, n, _| canon.activation.tx[0].ring_pa = n, u64::MAX - 15),
        (|canon, n, _| canon.activation.tx[0].ring_pa += n, limits.ring_align / 2),
    ];
    for (spoil, number) in spoils {
        let mut canon = good.clone();
        spoil(&mut canon, *number, past);
        check.holds("VMX-SAV-002", read(&canon).is_err(), "what is one past its range is refused");
    }
    let too_many = usize::from(profile.width(1).tx_queues) + 1;
    let mut canon = good.clone();
    canon.activation.tx = vec![good.activation.tx[0]; too_many];
    canon.progress.tx = vec![good.progress.tx[0]; too_many];
    check.holds("VMX-SAV-002", read(&canon).is_err(), "too many queues are refused");
    let mut bytes = Vec::new();
    good.encode(profile, &mut bytes);
    for end in 0..bytes.len() {
        check.holds("VMX-SAV-002", Canon::decode(&bytes[..end]).is_err(), "a truncated state is refused");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    check.holds("VMX-SAV-002", Canon::decode(&longer).is_err(), "left-over bytes are refused");
    let mut canon = good;
    canon.progress.tx[0].stopped = Some(QueueError::Unknown(7));
    check.holds("VMX-SAV-002", read(&canon).is_err(), "a reason that nobody knows is refused");
}
