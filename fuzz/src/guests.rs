//! Guests as bytes: hostile ones against each body, behaving ones with switches between the bodies.

use crate::shrink::shrink;
use arbitrary::Unstructured;
use model::guest::hostile::{Hostile, HostileOp};
use model::guest::script::{Finish, Ingress, Op, Side, print};
use model::guest::shape::Bounds;
use model::guest::vmxnet3::{Driver, DriverConfig};
use model::machine::{GuestSide, ROUNDS, Rig};
use model::migrate::{Outcome, Plan, TxMode};
use spec::frame::Dice;
use spec::monitor::Judges;
use spec::profile::Profile;

/// Most operations of one input: longer ones only repeat.
const MOST: usize = 400;
/// Bytes of guest memory.
const BYTES: usize = 1 << 16;

fn config() -> DriverConfig {
    DriverConfig { tx_queues: 2, rx_queues: 2, ..DriverConfig::tiny() }
}

fn rig(judges: &mut Judges) -> Rig {
    let mut rig = Rig::new(&Profile::SMALL, config(), BYTES, 3).expect("the driver fits");
    assert!(rig.bring_up(judges), "a behaving guest comes up");
    rig
}

/// A hostile guest takes over from a behaving one: nothing panics, nothing outside is touched, everything comes to rest.
fn hostile(data: &[u8], hardware: bool) {
    let mut judges = Judges::isolation();
    let mut rig = rig(&mut judges);
    if hardware {
        rig.machine.switch(Plan::enter(TxMode::Drain));
        assert!(rig.machine.settle(&mut judges, ROUNDS));
        assert_eq!(rig.machine.system.last_switch(), Some(Outcome::Done));
    }
    let layout = Driver::layout(&rig.machine.guest).clone();
    let mut guest = Hostile::new(config(), layout.clone());
    let mut rest = data;
    for _ in 0..MOST {
        let Some(op) = HostileOp::decode(&mut rest, &layout) else { break };
        guest.push(&op);
        let mut refused = 0;
        while guest.can_step() {
            let system = &mut rig.machine.system;
            // A blocked vCPU does not store either.
            if !system.vcpus_run() || !guest.step(&mut GuestSide { system, tap: &mut judges }) {
                refused += 1;
                assert!(refused < 1000, "the vCPU is blocked for ever");
                rig.machine.system.step_devices(4096, &mut judges);
            }
        }
        rig.machine.system.step_devices(64, &mut judges);
    }
    assert!(judges.is_clean(), "{:?}", judges.violations());
}

/// Register and ring operations of a hostile guest on the software body.
pub fn software_ops(data: &[u8]) {
    hostile(data, false);
}

/// Register and ring operations of a hostile guest on the adapter.
pub fn adapter_ops(data: &[u8]) {
    hostile(data, true);
}

fn op(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Op> {
    let pick: u64 = bytes.arbitrary()?;
    let mut dice = Dice::new(pick);
    let bounds = Bounds { frame: 180, segmented: 300, fragments: 3, flows: 2, streams: false, tunnels: false };
    Ok(match bytes.int_in_range(0..=7u8)? {
        0 => Op::Switch {
            to: *bytes.choose(&[Side::Hardware, Side::Software])?,
            finish: *bytes.choose(&[Finish::Drain, Finish::Rollback])?,
            ingress: *bytes.choose(&[Ingress::A, Ingress::B, Ingress::C, Ingress::D])?,
        },
        1 => Op::Step { count: bytes.int_in_range(1..=60)?, pick: pick as u16 },
        2 => Op::Reset,
        _ => Op::roll(&mut dice, &bounds, 2),
    })
}

/// The operations that `data` says.
fn ops(data: &[u8]) -> Vec<Op> {
    let mut bytes = Unstructured::new(data);
    let mut ops = Vec::new();
    while ops.len() < MOST && !bytes.is_empty() {
        let Ok(op) = op(&mut bytes) else { break };
        ops.push(op);
    }
    ops
}

/// Runs `ops` under every monitor; what does not hold, as text.
fn run(ops: &[Op]) -> Result<(), String> {
    let mut judges = Judges::snoop();
    let mut rig = rig(&mut judges);
    for op in ops {
        rig.apply(op, &mut judges);
    }
    rig.apply(&Op::Wire { ready: true }, &mut judges);
    let rested = rig.machine.settle(&mut judges, ROUNDS);
    let breaches = rig.machine.guest.breaches();
    if rested && judges.is_clean() && breaches.is_empty() {
        return Ok(());
    }
    let broken: Vec<_> = judges.violations().iter().map(|v| (v.clause.id(), v.what)).collect();
    Err(format!("rested: {rested}, {broken:?} {breaches:?}"))
}

/// A behaving guest with any number of switches, under every monitor. On failure the script is told, shrunk unless a fuzzer,
/// which has no time for that, is running.
pub fn switch_script(data: &[u8]) {
    let mut ops = ops(data);
    if let Err(mut broken) = run(&ops) {
        if cfg!(not(fuzzing)) {
            ops = shrink(ops, |fewer| run(fewer).is_err());
            broken = run(&ops).err().unwrap_or(broken);
        }
        panic!("{broken}\n{}", print(&ops));
    }
}
