//! Orders to a running server: one JSON object a line, one answered with one.
//!
//! `{"do":"status"}`, `{"do":"stats"}`, `{"do":"pause"}`, `{"do":"resume"}`, `{"do":"link","up":false}`,
//! `{"do":"switch","to":"hardware"}` with optional `"tx":"drain"|"rollback"`, `"ingress":"A"|"B"|"C"|"D"` and `"fail":STAGE`,
//! `{"do":"record","file":PATH}` (null ends it), `{"do":"quit"}`. `"device":N` picks a device, 0 unless said. An answer has
//! `"ok"`; when it is false, `"error"` says why.

use super::engine::SwitchError;
use super::server::Station;
use super::status;
use model::machine::Mode;
use model::migrate::{Plan, Policy, Stage, TxMode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    Status {
        #[serde(default)]
        device: usize,
    },
    Stats {
        #[serde(default)]
        device: usize,
    },
    Pause {
        #[serde(default)]
        device: usize,
    },
    Resume {
        #[serde(default)]
        device: usize,
    },
    Link {
        #[serde(default)]
        device: usize,
        up: bool,
    },
    Switch {
        #[serde(default)]
        device: usize,
        to: Side,
        #[serde(default)]
        tx: Finish,
        #[serde(default)]
        ingress: Ingress,
        #[serde(default)]
        fail: Option<String>,
    },
    Record {
        #[serde(default)]
        device: usize,
        file: Option<PathBuf>,
    },
    Quit,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Side {
    Hardware,
    Software,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Finish {
    #[default]
    Drain,
    Rollback,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Ingress {
    A,
    B,
    #[default]
    C,
    D,
}

/// Carries out one order; `stay` becomes false when the server is to end.
pub(super) fn obey(line: &str, stations: &mut [Station], stay: &mut bool) -> Result<Value, String> {
    let order: Order = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match order {
        Order::Status { device } => Ok(status::status(pick(stations, device)?)),
        Order::Stats { device } => Ok(status::stats(pick(stations, device)?)),
        Order::Pause { device } => {
            pick(stations, device)?.engine.pause(true);
            Ok(json!({}))
        }
        Order::Resume { device } => {
            pick(stations, device)?.engine.pause(false);
            Ok(json!({}))
        }
        Order::Link { device, up } => {
            let engine = &mut pick(stations, device)?.engine;
            if engine.is_moving() {
                return Err(SwitchError::Moving.to_string());
            }
            engine.set_link(up);
            Ok(json!({}))
        }
        Order::Switch { device, to, tx, ingress, fail } => {
            let plan = plan(to, tx, ingress, fail.as_deref())?;
            let mode = if matches!(to, Side::Hardware) { Mode::Hardware } else { Mode::Software };
            let engine = &mut pick(stations, device)?.engine;
            let took = engine.switch_to(mode, plan).map_err(|error| error.to_string())?;
            Ok(json!({ "ns": took.as_nanos() as u64 }))
        }
        Order::Record { device, file } => {
            let engine = &mut pick(stations, device)?.engine;
            match file {
                None => engine.record(None).map_err(|error| error.to_string())?,
                Some(path) => engine.record_to(&path).map_err(|error| format!("{}: {error}", path.display()))?,
            }
            Ok(json!({}))
        }
        Order::Quit => {
            *stay = false;
            Ok(json!({}))
        }
    }
}

fn pick(stations: &mut [Station], device: usize) -> Result<&mut Station, String> {
    let count = stations.len();
    stations.get_mut(device).ok_or_else(|| format!("device {device}: there are {count}"))
}

fn plan(to: Side, tx: Finish, ingress: Ingress, fail: Option<&str>) -> Result<Plan, String> {
    let tx = match tx {
        Finish::Drain => TxMode::Drain,
        Finish::Rollback => TxMode::RollBack,
    };
    let policy = match ingress {
        Ingress::A => Policy::A,
        Ingress::B => Policy::B,
        Ingress::C => Policy::C,
        Ingress::D => Policy::D,
    };
    let plan = match to {
        Side::Hardware => Plan::enter(tx),
        Side::Software => Plan::leave(tx, policy),
    };
    match fail {
        None => Ok(plan),
        Some(name) => {
            let found = Stage::TABLE.iter().find(|(_, known, _)| *known == name);
            let &(stage, ..) = found.ok_or_else(|| format!("fail: no stage is called {name:?}"))?;
            Ok(plan.failing_at(stage))
        }
    }
}
