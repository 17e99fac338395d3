//! Guests that break every rule: the device survives them, keeps to what they named, and serves again after a reset.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use model::guest::hostile::{Hostile, HostileOp};
use model::machine::{Action, GuestSide};
use model::migrate::{Plan, TxMode};
use spec::frame::Dice;
use spec::monitor::Judges;
use spec::vmxnet3::{Command, RxDesc, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "hostile-guests",
        clauses: &["VMX-BAD-001", "VMX-BAD-003"],
        unless: &[],
        needs: &[Need::Inside],
        run: hostile_guests,
    },
    Case {
        id: "nonsense-in-descriptors",
        clauses: &["VMX-BAD-003"],
        unless: &[],
        needs: &[],
        run: nonsense_in_descriptors,
    },
    Case { id: "memory-that-nobody-wrote", clauses: &["VMX-BAD-002"], unless: &[], needs: &[], run: nothing_is_copied },
];

/// Operations of a hostile guest.
const OPS: u32 = 1500;
/// Steps of the device that one operation may lead to: every ring, once round, with every stage of a packet.
const BURST: u32 = 20_000;

/// Lets the device step until nothing is possible; false when it does not come to an end.
fn rest(bench: &mut Bench, judges: &mut Judges, actions: &mut Vec<Action>) -> bool {
    for _ in 0..BURST {
        bench.inside().machine.actions(actions);
        let device = |action: &&Action| !matches!(action, Action::Guest | Action::Interrupt(_));
        let Some(&action) = actions.iter().find(device) else { return true };
        bench.inside().machine.act(action, judges);
    }
    false
}

/// Lets the guest make the accesses it has queued, waiting while its vCPU is blocked; false when the device does not let it.
fn drive(bench: &mut Bench, guest: &mut Hostile, judges: &mut Judges, actions: &mut Vec<Action>) -> bool {
    while guest.can_step() {
        let system = &mut bench.inside().machine.system;
        let went = system.vcpus_run() && guest.step(&mut GuestSide { system, tap: &mut *judges });
        if !went && !rest(bench, judges, actions) {
            return false;
        }
    }
    true
}

fn recovers(check: &mut Check, bench: &mut Bench, target: Target) {
    bench.target = target;
    bench.command(Command::ResetDev);
    bench.settle();
    bench.start();
    bench.seen();
    check.holds("VMX-BAD-003", bench.serves() && bench.serves(), "RESET_DEV and ACTIVATE_DEV bring service back");
}

fn hostile_guests(check: &mut Check) {
    for seed in 1..=4 {
        check.on(Target::Both, &Setup { judged: false, ..Setup::default().queues(2) }, |check, bench| {
            let target = bench.target;
            let mut judges = Judges::isolation();
            let mut guest = Hostile::new(bench.config.clone(), bench.layout.clone());
            let (mut dice, mut actions) = (Dice::new(seed), Vec::new());
            let mut rests = true;
            bench.prepare();
            bench.seen();
            for round in 0..OPS {
                // Most of the time there is something to break.
                let up =
                    if target == Target::Adapter { bench.in_hardware() } else { bench.system().plane().is_active() };
                if round % if up { 50 } else { 10 } == 0 {
                    guest.push(&HostileOp::Activate { corrupt: [(0, 0); 4], count: 0 });
                    rests &= drive(bench, &mut guest, &mut judges, &mut actions);
                    if target == Target::Adapter && bench.inside().machine.switch(Plan::enter(TxMode::RollBack)) {
                        rests &= rest(bench, &mut judges, &mut actions);
                    }
                }
                guest.push(&HostileOp::roll(&mut dice, &bench.layout));
                rests &= drive(bench, &mut guest, &mut judges, &mut actions);
                if dice.once_in(3) {
                    let frame = bench.to_guest(60 + (round as usize % 900));
                    bench.inside().machine.system.offer(&frame, &mut judges);
                }
                if dice.once_in(4) {
                    rests &= rest(bench, &mut judges, &mut actions);
                }
                if !rests {
                    break;
                }
            }
            check.holds("VMX-BAD-001", rests, "every stimulus does bounded work");
            check.holds("VMX-BAD-001", judges.is_clean(), "nothing is touched that the guest did not name");
            let verdict = judges.verdict();
            check.merge(&verdict.tally);
            check.judged(&verdict.violations);
            recovers(check, bench, target);
        });
    }
}

/// One kind of nonsense at a time, and service behind each.
fn nonsense_in_descriptors(check: &mut Check) {
    let words = [0, 1, u64::MAX, u64::MAX - 15, 1 << 63, 0x0fff, 0xdead_beef_0000];
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        let target = bench.target;
        bench.start();
        for &word in &words {
            for length in [0, 1, 13, 14, 0x3fff] {
                let mut desc = TxDesc::default();
                desc.set_addr(word);
                desc.set_len(length);
                desc.set_om((word as u8) & 3);
                desc.set_hlen(length & 0x3ff);
                desc.set_msscof(word as u16);
                desc.set_eop(length != 1);
                desc.set_cq(true);
                bench.post_cell(0, desc);
                bench.ring(0);
                bench.settle();
            }
            recovers(check, bench, target);
            let ring = bench.layout.rx[0].ring;
            for (i, length) in [0, 1, 0x3fff, 60].into_iter().enumerate() {
                let mut desc = RxDesc::default();
                desc.set_addr(word);
                desc.set_len(length);
                desc.set_btype(i == 1);
                desc.set_dtype(i == 2);
                desc.set_generation(true);
                bench.store(ring[i % 2] + 16 * (2 + i as u64), &desc.0.to_le_bytes());
            }
            for _ in 0..6 {
                let frame = bench.to_guest(700);
                bench.offer(&frame);
                bench.settle();
            }
            recovers(check, bench, target);
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_queue_desc_pa(word);
                shared.set_misc(misc);
                let mut filter = shared.rx_filter_conf();
                filter.set_mf_table_pa(word);
                filter.set_mf_table_len(word as u16);
                shared.set_rx_filter_conf(filter);
            });
            bench.command(Command::UpdateMacFilters);
            bench.activate();
            bench.settle();
            bench.tx_desc(0, |desc| desc.0[16..24].copy_from_slice(&word.to_le_bytes()));
            bench.activate();
            bench.settle();
            recovers(check, bench, target);
        }
    });
}

/// Everything that makes a device write: completions of every kind, statistics, status, events. The rig compares.
fn nothing_is_copied(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged().queues(2), |_, bench| {
        bench.start();
        for len in [1, 13, 14, 59, 60, 250] {
            let frame = bench.from_guest(len.max(14));
            let mut desc = bench.piece(0, &frame[..len]);
            desc.set_eop(true);
            desc.set_cq(true);
            bench.post_cell(0, desc);
            bench.ring(0);
            let frame = bench.to_guest(len.max(14) * 5);
            bench.offer(&frame);
            bench.settle();
        }
        bench.link(false);
        for command in [Command::GetQueueStatus, Command::GetStats, Command::UpdateMacFilters] {
            bench.command(command);
        }
        bench.settle();
    });
}
