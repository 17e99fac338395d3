//! Orders to a running server: one JSON object a line, one answered with one.
//!
//! `{"do":"status"}`, `{"do":"stats"}`, `{"do":"pause"}`, `{"do":"resume"}`, `{"do":"link","up":false}`,
//! `{"do":"switch","to":"hardware"}` with optional `"tx":"drain"|"rollback"`, `"ingress":"A"|"B"|"C"|"D"` and `"fail":STAGE`,
//! `{"do":"record","file":PATH}` (null ends it), `{"do":"quit"}`. `"device":N` picks a device, 0 unless said. An answer has
//! `"ok"`; when it is false, `"error"` says why.

use super::server::{Event, Station};
use super::status;
use crate::vfio_user::{BindError, Errno, Listener};
use model::machine::Mode;
use model::migrate::{Plan, Policy, Stage, TxMode};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Longest line, bytes.
const LINE: usize = 1 << 16;
/// Most givers of orders at a time; more wait.
const GIVERS: usize = 8;

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

/// Somebody who gives orders.
#[derive(Debug)]
struct Giver {
    socket: OwnedFd,
    /// What came of a line, and of the lines after it.
    line: Vec<u8>,
    /// What of the answer has not left.
    answer: Vec<u8>,
}

/// The socket for orders.
#[derive(Debug)]
pub struct Control {
    listener: Listener,
    givers: Vec<Giver>,
}

impl Control {
    /// Takes orders at `path`, from its owner only.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self { listener: Listener::bind(path)?, givers: Vec::new() })
    }

    /// Appends what to wait for.
    pub(super) fn waits<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if self.givers.len() < GIVERS {
            fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN));
        }
        for giver in &self.givers {
            let flags = if giver.answer.is_empty() { PollFlags::IN } else { PollFlags::OUT };
            fds.push(PollFd::from_borrowed_fd(giver.socket.as_fd(), flags));
        }
    }

    /// Carries out what has come; false when the server is to end.
    pub(super) fn serve(&mut self, stations: &mut [Station], tell: &mut dyn FnMut(Event<'_>)) -> bool {
        if self.givers.len() < GIVERS
            && let Ok(Some(socket)) = self.listener.accept()
        {
            self.givers.push(Giver { socket, line: Vec::new(), answer: Vec::new() });
        }
        let mut stay = true;
        self.givers.retain_mut(|giver| giver.serve(stations, tell, &mut stay));
        stay
    }
}

impl Giver {
    /// False when the giver is gone.
    fn serve(&mut self, stations: &mut [Station], tell: &mut dyn FnMut(Event<'_>), stay: &mut bool) -> bool {
        if !self.flush() {
            return false;
        }
        let mut here = true;
        let mut bytes = [0; 4096];
        while self.answer.is_empty() && self.line.len() <= LINE {
            match rustix::io::read(&self.socket, &mut bytes) {
                Ok(0) => {
                    here = false;
                    break;
                }
                Ok(count) => self.line.extend_from_slice(&bytes[..count]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        while self.answer.is_empty() {
            let Some(end) = self.line.iter().position(|&byte| byte == b'\n') else {
                // A line without end is no order.
                return here && self.line.len() <= LINE;
            };
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            let answer = match obey(&line, stations, stay) {
                Ok(mut answer) => {
                    answer["ok"] = true.into();
                    answer
                }
                Err(error) => json!({ "ok": false, "error": error }),
            };
            let answer = answer.to_string();
            tell(Event::Order { request: &line, answer: &answer });
            self.answer.extend_from_slice(answer.as_bytes());
            self.answer.push(b'\n');
            if !self.flush() {
                return false;
            }
        }
        here
    }

    fn flush(&mut self) -> bool {
        while !self.answer.is_empty() {
            match rustix::io::write(&self.socket, &self.answer) {
                Ok(count) => {
                    self.answer.drain(..count);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn obey(line: &str, stations: &mut [Station], stay: &mut bool) -> Result<Value, String> {
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
            pick(stations, device)?.engine.set_link(up);
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
