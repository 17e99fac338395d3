//! Switches that fail, at every stage: before the commit point nobody can tell, behind it everything stands still and is told.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use model::machine::Action;
use model::migrate::{Outcome, Plan, Policy, Reason, Stage, TxMode};
use spec::frame::Dice;
use spec::profile::Deviation;
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::{Bar0, Bar1, Command, RxQueueDesc, TxQueueDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "failures-before-the-commit-point",
        clauses: &["SWI-FAI-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: before_the_commit,
    },
    Case {
        id: "failures-behind-the-commit-point",
        clauses: &["SWI-FAI-001"],
        unless: &[],
        needs: &[Need::Inside],
        run: behind_the_commit,
    },
];

/// Every way to go, with the stages it goes through.
fn plans(hardware: bool) -> Vec<Plan> {
    let modes = [TxMode::Drain, TxMode::RollBack];
    if hardware {
        // Policy D gives frames up by design before the commit point.
        let policies = [Policy::A, Policy::B, Policy::C];
        modes.into_iter().flat_map(|tx| policies.map(|policy| Plan::leave(tx, policy))).collect()
    } else {
        modes.map(Plan::enter).to_vec()
    }
}

fn stages(hardware: bool, committed: bool) -> impl Iterator<Item = Stage> {
    let stages = if hardware { Stage::LEAVING } else { Stage::ENTERING };
    stages.iter().copied().filter(move |stage| stage.is_committed() == committed)
}

/// A device with packets and frames at every point of their way.
fn busy<'d>(bench: &Bench<'d>, seed: u64) -> Bench<'d> {
    let mut one = bench.branch();
    let mut dice = Dice::new(seed);
    (0..2).for_each(|vector| one.unmask(vector));
    one.settle();
    one.wire(!dice.once_in(3));
    for _ in 0..4 {
        let frame = one.from_guest(60 + dice.below(150) as usize);
        one.send(0, &frame);
        let frame = one.to_guest(60 + dice.below(600) as usize);
        one.offer(&frame);
    }
    let mut actions = Vec::new();
    for _ in 0..dice.below(40) {
        one.inside().machine.actions(&mut actions);
        actions.retain(|action| !matches!(action, Action::Interrupt(_)));
        if let Some(&action) = actions.get(dice.below(actions.len() as u64) as usize) {
            one.inside().act(action);
        }
    }
    one
}

/// What a guest, and the wire, see of a device at rest.
#[derive(PartialEq, Eq)]
struct View {
    memory: model::memory::Memory,
    reads: Vec<u32>,
    sent: Vec<(u8, Vec<u8>)>,
    raised: Vec<u64>,
}

impl View {
    fn of(bench: &mut Bench) -> Self {
        bench.wire(true);
        bench.settle();
        let raised = (0..25).map(|vector| bench.raised(vector)).collect();
        let sent = |seen: &Seen| if let Seen::Sent(queue, frame) = seen { Some((*queue, frame.clone())) } else { None };
        let sent = bench.device.seen().iter().filter_map(sent).collect();
        let mut reads: Vec<_> = (0..25).map(|vector| bench.read0(Bar0::Imr(vector))).collect();
        reads.extend([Bar1::Vrrs, Bar1::Uvrs, Bar1::Cmd, Bar1::Macl, Bar1::Mach, Bar1::Ecr].map(|r| bench.read1(r)));
        for command in [Command::GetStats, Command::GetQueueStatus, Command::GetLink] {
            reads.push(bench.command(command));
        }
        Self { memory: bench.memory_but_control(), reads, sent, raised }
    }
}

fn before_the_commit(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for _ in 0..3 {
            check.holds("SWI-FAI-001", bench.serves(), "traffic flows");
        }
        let hardware = bench.in_hardware();
        for (n, plan) in plans(hardware).into_iter().enumerate() {
            for (m, stage) in stages(hardware, false).enumerate() {
                for seed in 0..3 {
                    let mut tried = busy(bench, (n * 100 + m * 10) as u64 + seed);
                    let mut spared = tried.branch();
                    tried.inside().machine.switch(plan.failing_at(stage));
                    tried.settle();
                    let outcome = tried.system().last_switch();
                    // With the wire shut a switch may give up by itself before it reaches the stage.
                    let undone = matches!(outcome, Some(Outcome::Undone(_)));
                    check.holds("SWI-FAI-001", undone, "the switch is undone");
                    check.holds("SWI-FAI-001", tried.in_hardware() == hardware, "the guest is where it was");
                    spared.settle();
                    let same = tried.system().plane().state() == spared.system().plane().state();
                    check.holds("SWI-FAI-001", same, "the configuration is as it was");
                    let (seen, expected) = (View::of(&mut tried), View::of(&mut spared));
                    check.holds("SWI-FAI-001", seen.sent == expected.sent, "the wire sees the same frames");
                    check.holds("SWI-FAI-001", seen.memory == expected.memory, "memory is as without the switch");
                    check.holds("SWI-FAI-001", seen.reads == expected.reads, "registers read the same");
                    check.holds("SWI-FAI-001", seen.raised == expected.raised, "the same vectors are raised");
                    for q in 0..tried.layout.tx.len() {
                        let (a, b) = (tried.completions(q).len() as u64, spared.completions(q).len() as u64);
                        check.equal("SWI-FAI-001", "TX completions", a, b);
                        let same = tried.received(q) == spared.received(q);
                        check.holds("SWI-FAI-001", same, "the same frames are received");
                    }
                    check.holds("SWI-FAI-001", tried.serves(), "traffic flows afterwards");
                }
            }
        }
    });
}

fn behind_the_commit(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        check.holds("SWI-FAI-001", bench.serves(), "traffic flows");
        let hardware = bench.in_hardware();
        for (n, plan) in plans(hardware).into_iter().enumerate() {
            for stage in stages(hardware, true) {
                let mut one = busy(bench, n as u64);
                one.wire(true);
                one.inside().machine.switch(plan.failing_at(stage));
                one.settle();
                let outcome = one.system().last_switch();
                let stopped = Some(Outcome::Stopped(Reason::Injected(stage), QueueError::Switch));
                check.holds("SWI-FAI-001", outcome == stopped, "every queue is stopped with SWITCH");
                check.equal("SWI-FAI-001", "events", one.events(), ecr::TQERR | ecr::RQERR);
                let event = u16::from(one.config.event_vector());
                check.equal("SWI-FAI-001", "raises of the event vector", one.raised(event), 1u32);
                one.command(Command::GetQueueStatus);
                let tx: TxQueueDesc = one.get(one.layout.tx_queue_desc(0));
                let rx: RxQueueDesc = one.get(one.layout.rx_queue_desc(0));
                let silent = check.profile().has(Deviation::QueueStatusSilent);
                for status in [tx.status(), rx.status()].into_iter().filter(|_| !silent) {
                    check.equal("SWI-FAI-001", "stopped", status.stopped(), 1u8);
                    check.equal("SWI-FAI-001", "error", status.error(), QueueError::Switch.code());
                }
                one.seen();
                let frame = one.from_guest(80);
                one.send(0, &frame);
                one.settle();
                check.holds("SWI-FAI-001", one.sent().is_empty(), "nothing is sent any more");
                one.command(Command::QuiesceDev);
                one.command(Command::ResetDev);
                one.target = Target::Software;
                one.start();
                check.holds("SWI-FAI-001", one.serves(), "a reset brings service back");
            }
        }
    });
}
