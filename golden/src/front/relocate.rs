//! One move: the steps, their times, and what a failure leaves.
//!
//! The destination is connected, told of guest memory and eventfds and made ready *before* the source stops, so that the guest
//! waits only for the state. Until the destination runs every failure ends with the source running again.

use super::relay::{Host, HostError, Relay};
use crate::serve::Handed;
use crate::vfio_user::proto::MIGRATION_STOP_COPY;
use crate::vfio_user::{Client, ClientError, Migration};
use model::migrate::RestoreError;
use model::migrate::stream::Header;
use serde::{Deserialize, Serialize};
use spec::layout::Bytes;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes asked for in one message: what every host takes.
const CHUNK: u64 = 1 << 20;
/// Longest container that is carried.
const MOST: u64 = 16 << 20;

/// The steps of a move, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The destination is connected, and shows the same device.
    Connect,
    /// It is told of guest memory.
    Map,
    /// It is told of eventfds and masks.
    Interrupts,
    /// It stands ready for a state. The guest runs until here.
    Ready,
    /// The source leaves the adapter and stops.
    Stop,
    /// Its state is taken; frames for the guest are kept from here on.
    Copy,
    /// Its state is read.
    ReadState,
    /// The destination takes it and announces the guest.
    WriteState,
    /// The rest is read: it is there when the source has seen the announcement.
    ReadRest,
    /// The destination takes it.
    WriteRest,
    /// The destination becomes the device.
    Load,
    /// The destination runs. From here on there is no way back.
    Run,
    /// The source is left, and becomes as new.
    Leave,
}

impl Step {
    /// Every step, in order, with its name.
    pub const TABLE: &'static [(Self, &'static str)] = &[
        (Self::Connect, "connect"),
        (Self::Map, "map"),
        (Self::Interrupts, "interrupts"),
        (Self::Ready, "ready"),
        (Self::Stop, "stop"),
        (Self::Copy, "copy"),
        (Self::ReadState, "read-state"),
        (Self::WriteState, "write-state"),
        (Self::ReadRest, "read-rest"),
        (Self::WriteRest, "write-rest"),
        (Self::Load, "load"),
        (Self::Run, "run"),
        (Self::Leave, "leave"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(step, _)| *step == self).map_or("", |(_, name)| name)
    }

    /// The step of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, known)| *known == name).map(|(step, _)| *step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step and when it was, in microseconds from the beginning of the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    /// Which.
    pub step: Step,
    /// When it began.
    pub from_us: u64,
    /// When it was over.
    pub to_us: u64,
}

/// What a move did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Socket of the host that was left.
    pub from: PathBuf,
    /// Socket of the host that backs the device now.
    pub to: PathBuf,
    /// Every step, in order.
    pub steps: Vec<Timed>,
    /// Microseconds from the beginning of `stop` to the end of `run`: how long an access of the guest could wait.
    pub still_us: u64,
    /// Bytes of the state.
    pub state_bytes: u64,
    /// Bytes of the rest.
    pub rest_bytes: u64,
    /// Frames handed over.
    pub frames: u64,
    /// Frames that found no place in the source.
    pub dropped: u64,
    /// The announcement came back to the source: nothing was on its way to it any more.
    pub barrier: bool,
    /// Maps of guest memory that the destination was told of.
    pub maps: usize,
    /// Eventfds that it was told of.
    pub eventfds: usize,
}

/// Why a device was not moved. It runs on the source, unless `stayed` failed too.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A host.
    #[error("{step}: {error}")]
    Host {
        /// In which step.
        step: Step,
        /// What went wrong.
        error: HostError,
    },
    /// What the source gave is no state.
    #[error("{step}: {error}")]
    Data {
        /// In which step.
        step: Step,
        /// What is wrong with it.
        error: RestoreError,
    },
    /// The device is at this host already.
    #[error("the device is at {} already", path.display())]
    There {
        /// The host's socket.
        path: PathBuf,
    },
    /// A host does not offer to be moved from or to.
    #[error("{step}: host {} offers no move", path.display())]
    Unable {
        /// In which step.
        step: Step,
        /// The host's socket.
        path: PathBuf,
    },
    /// It was asked to fail.
    #[error("{step}: fails by request")]
    Asked {
        /// In which step.
        step: Step,
    },
}

/// Steps as they happen.
struct Clock {
    begun: Instant,
    steps: Vec<Timed>,
    fail: Option<Step>,
}

impl Clock {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// Takes `step`, unless it is the one that is to fail.
    fn take<T, E>(
        &mut self,
        step: Step,
        what: impl FnOnce() -> Result<T, E>,
        failed: impl FnOnce(E) -> MoveError,
    ) -> Result<T, MoveError> {
        if self.fail == Some(step) {
            return Err(MoveError::Asked { step });
        }
        let from_us = self.now();
        let done = what().map_err(failed)?;
        self.steps.push(Timed { step, from_us, to_us: self.now() });
        Ok(done)
    }

    /// As [`Clock::take`], with `host`, whose errors are told as its own.
    fn with<T>(
        &mut self,
        step: Step,
        host: &mut Host,
        what: impl FnOnce(&mut Host) -> Result<T, ClientError>,
    ) -> Result<T, MoveError> {
        let failed = host.failed();
        self.take(step, || what(host), |error| MoveError::Host { step, error: failed(error) })
    }
}

/// Reads one container of a state, not a byte more: what follows is not there yet.
fn read_container(client: &mut Client) -> Result<Vec<u8>, ClientError> {
    let mut data = client.read_state(Header::SIZE as u32)?;
    let length = data.get(..Header::SIZE).map_or(0, |header| Header::get(header).length());
    let wrong =
        |value| ClientError::Reply { command: crate::vfio_user::proto::Command::MigDataRead, field: "length", value };
    if length < Header::SIZE as u64 || length > MOST {
        return Err(wrong(length));
    }
    while (data.len() as u64) < length {
        let left = (length - data.len() as u64).min(CHUNK);
        let more = client.read_state(left as u32)?;
        if more.len() as u64 != left {
            return Err(wrong(length));
        }
        data.extend_from_slice(&more);
    }
    Ok(data)
}

impl Relay {
    /// Moves the device to the host at `to`. With `fail` the step is not taken, as if it had failed.
    ///
    /// # Errors
    /// Why it was not moved; it runs where it was, unless [`Relay::is_lost`].
    pub fn relocate(&mut self, to: &Path, fail: Option<Step>) -> Result<Report, MoveError> {
        if to == self.host.path {
            return Err(MoveError::There { path: to.into() });
        }
        let mut clock = Clock { begun: Instant::now(), steps: Vec::with_capacity(Step::TABLE.len()), fail };
        let mut host = self.prepare(to, &mut clock)?;
        let stopped = clock.now();
        let carried = self.carry(&mut host, &mut clock);
        let (state_bytes, rest_bytes, handed) = match carried {
            Ok(carried) => carried,
            Err(error) => {
                // The destination goes first: what it may have become must not run beside the source.
                drop(host);
                let done = |step| clock.steps.iter().any(|timed| timed.step == step);
                if done(Step::WriteState) && !done(Step::ReadRest) {
                    // Its announcement is to pass before the source announces the guest again. What is read is still the source's.
                    let _passed_or_late = read_container(&mut self.host.client);
                }
                if self.host.client.migrate(Migration::Running).is_err() {
                    self.lost = true;
                }
                return Err(error);
            }
        };
        let still_us = clock.now() - stopped;
        let from = self.host.path.clone();
        let from_us = clock.now();
        drop(std::mem::replace(&mut self.host, host));
        clock.steps.push(Timed { step: Step::Leave, from_us, to_us: clock.now() });
        let (maps, eventfds) = self.remembered();
        Ok(Report {
            from,
            to: to.into(),
            steps: clock.steps,
            still_us,
            state_bytes,
            rest_bytes,
            frames: handed.frames.len() as u64,
            dropped: handed.outside.dropped(),
            barrier: handed.outside.barrier(),
            maps,
            eventfds,
        })
    }

    /// What can be done while the guest runs on.
    fn prepare(&mut self, to: &Path, clock: &mut Clock) -> Result<Host, MoveError> {
        let step = Step::Connect;
        let connect = || {
            let host = Host::connect(to)?;
            self.same_shape(&host)?;
            Ok(host)
        };
        let mut host = clock.take(step, connect, |error| MoveError::Host { step, error })?;
        for side in [&mut host, &mut self.host] {
            if !side.client.migration_flags().is_ok_and(|flags| flags & MIGRATION_STOP_COPY != 0) {
                return Err(MoveError::Unable { step, path: side.path.clone() });
            }
        }
        clock.with(Step::Map, &mut host, |host| self.replay_maps(host))?;
        clock.with(Step::Interrupts, &mut host, |host| self.replay_irqs(host))?;
        clock.with(Step::Ready, &mut host, |host| host.client.migrate(Migration::Resuming))?;
        Ok(host)
    }

    /// What the guest waits for.
    fn carry(&mut self, host: &mut Host, clock: &mut Clock) -> Result<(u64, u64, Handed), MoveError> {
        let source = &mut self.host;
        clock.with(Step::Stop, source, |source| source.client.migrate(Migration::Stop))?;
        clock.with(Step::Copy, source, |source| source.client.migrate(Migration::StopCopy))?;
        let read_state = |source: &mut Host| {
            let mut data = read_container(&mut source.client)?;
            data.append(&mut read_container(&mut source.client)?);
            Ok(data)
        };
        let state = clock.with(Step::ReadState, source, read_state)?;
        clock.with(Step::WriteState, host, |host| host.client.write_state(&state))?;
        let rest = clock.with(Step::ReadRest, source, |source| read_container(&mut source.client))?;
        let profile = Header::get(&rest).profile();
        let handed = Handed::decode(profile, &rest).map_err(|error| MoveError::Data { step: Step::ReadRest, error })?;
        clock.with(Step::WriteRest, host, |host| host.client.write_state(&rest))?;
        clock.with(Step::Load, host, |host| host.client.migrate(Migration::Stop))?;
        clock.with(Step::Run, host, |host| host.client.migrate(Migration::Running))?;
        Ok((state.len() as u64, rest.len() as u64, handed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_one_name_each() {
        for (step, name) in Step::TABLE {
            assert_eq!((Step::by_name(name), serde_json::to_value(step).unwrap()), (Some(*step), (*name).into()));
        }
    }
}
