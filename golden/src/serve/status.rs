//! What a served device is and has done, as JSON.

use super::engine::{Kind, Path};
use super::server::Station;
use crate::trace::Looks;
use model::machine::{Mode, System};
use model::vic::Register;
use serde_json::{Value, json};
use spec::position::RingIndex;
use spec::vic::{CqReg, RqReg, WqReg};
use spec::vmxnet3::Interrupts;

/// What it is.
pub(super) fn status(station: &mut Station) -> Value {
    let idle = station.engine.is_idle();
    let engine = &station.engine;
    let system = engine.system();
    let state = system.plane().state();
    let (tx, rx) = state.activation.as_ref().map_or((0, 0), |a| (a.tx.len(), a.rx.len()));
    let mac: Vec<String> = state.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "device": match engine.kind() {
            Kind::Software => "software",
            Kind::Adapter => "adapter",
            Kind::Switching => "switching",
        },
        "path": match station.path() { Path::Trapped => "trapped", Path::Direct => "direct" },
        "profile": engine.profile().name,
        "connected": station.is_connected(),
        "mode": match system.mode() { Mode::Software => "software", Mode::Hardware => "hardware" },
        "active": system.plane().is_active(),
        "version": state.version,
        "mac": mac.join(":"),
        "link": state.link_up,
        "tx_queues": tx,
        "rx_queues": rx,
        "interrupts": system.pci().interrupts().word(),
        "intx": system.pci().interrupts() == Interrupts::Line,
        "idle": idle,
        "paused": engine.is_paused(),
        "moving": engine.is_moving(),
        "recording": engine.is_recording(),
        "unmapped_bytes": engine.memory().inner().holes(),
        "positions": positions(system),
    })
}

/// Where rings stand; null while a packet is under way in the software body.
fn positions<M: Looks>(system: &System<M>) -> Value {
    let at = |at: RingIndex| json!({ "index": at.index(), "gen": u8::from(at.generation()) });
    match system.mode() {
        Mode::Software => {
            let Ok(progress) = system.body().progress() else { return Value::Null };
            let tx = progress.tx.iter().map(|q| json!({ "next": at(q.next), "comp": at(q.comp) }));
            let rx = progress.rx.iter().map(|q| json!({ "next": q.next.map(at), "comp": at(q.comp) }));
            json!({ "tx": tx.collect::<Vec<_>>(), "rx": rx.collect::<Vec<_>>() })
        }
        Mode::Hardware => {
            let Some(activation) = system.plane().activation() else { return Value::Null };
            let peek = |register| system.adapter().peek(register);
            let comp = |cq| json!({ "index": peek(Register::Cq(cq, CqReg::CqTail)), "gen": peek(Register::Cq(cq, CqReg::CqTailColor)) });
            let tx = (0..activation.tx.len() as u8).map(|q| {
                json!({
                    "fetch": peek(Register::Wq(q, WqReg::FetchIndex)),
                    "posted": peek(Register::Wq(q, WqReg::PostedIndex)),
                    "comp": comp(q),
                })
            });
            let rx = (0..activation.rx.len() as u8).map(|q| {
                let ring = |r: u8| {
                    json!({
                        "fetch": peek(Register::Rq(2 * q + r, RqReg::FetchIndex)),
                        "posted": peek(Register::Rq(2 * q + r, RqReg::PostedIndex)),
                    })
                };
                json!({ "rings": [ring(0), ring(1)], "comp": comp(model::hypervisor::bring_up::FIRST_RX_CQ + q) })
            });
            json!({ "tx": tx.collect::<Vec<_>>(), "rx": rx.collect::<Vec<_>>() })
        }
    }
}

/// What it has done.
pub(super) fn stats(station: &Station) -> Value {
    let engine = &station.engine;
    let (counters, outlet) = (engine.counters(), engine.outlet());
    let (sent, wire) = (outlet.counters(), outlet.wire().counters());
    let sequences = outlet.wire().sequences();
    let moves = engine.moves();
    json!({
        "reads": counters.reads,
        "writes": counters.writes,
        "switches": counters.switches,
        "undone": counters.undone,
        "longest_switch_ns": counters.longest_switch_ns,
        "last_switch_ns": counters.last_switch_ns,
        "wire_drops": counters.wire_drops,
        "starved": counters.impatient,
        "frames_sent": sent.frames,
        "vectors": sent.vectors,
        "faults": sent.faults,
        "interrupts": engine.signalled(),
        "switch_drops": engine.system().net().drops(),
        "wire": {
            "sent_frames": wire.sent_frames,
            "sent_bytes": wire.sent_bytes,
            "received_frames": wire.received_frames,
            "received_bytes": wire.received_bytes,
            "refused": wire.refused,
            "dropped": wire.dropped,
            "malformed": wire.malformed,
            "uncaptured": wire.uncaptured,
        },
        "moves": {
            "left": moves.left,
            "arrived": moves.arrived,
            "without_barrier": moves.without_barrier,
            "without_marker": moves.without_marker,
            "frames_out": moves.frames_out,
            "frames_in": moves.frames_in,
            "dropped": moves.dropped,
            "doubles": moves.doubles,
            "announced": moves.announced,
        },
        "sequences": sequences.map(|s| format!("{s:?}")),
    })
}
