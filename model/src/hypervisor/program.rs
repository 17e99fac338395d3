//! What the hypervisor does to the adapter, as data: one register access a step, and no loop inside one.

use std::collections::VecDeque;

use spec::vic::devcmd::status;
use spec::vic::{Devcmd, DevcmdError, DevcmdReg, DevcmdWord, RqReg, WqReg};

use crate::vic::{Adapter, Register, Unit};

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Writes a register.
    Write(Register, u64),
    /// Reads a register; the value is kept in order.
    Read(Register),
    /// Starts a command; [`Op::AwaitCommand`] has to follow before the next.
    Devcmd {
        /// Command word.
        word: u32,
        /// Arguments 0 to 2; the others are 0.
        args: [u64; 3],
    },
    /// Waits until the command is done.
    AwaitCommand,
    /// Waits until a `running` register says so.
    AwaitRunning(Register, bool),
}

impl Op {
    /// A command and the wait for it.
    pub fn command(command: Devcmd, args: [u64; 3]) -> [Self; 2] {
        let mut word = DevcmdWord(0);
        word.set_number(command.code());
        word.set_vnic_type(1);
        word.set_write(true);
        word.set_read(true);
        [Self::Devcmd { word: word.0, args }, Self::AwaitCommand]
    }
}

/// Where a program stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// There is more to do.
    Pending,
    /// All is done.
    Done,
    /// It failed and does no more.
    Failed(ProgramError),
}

/// Why a program failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProgramError {
    /// A command was refused.
    #[error("command {number} failed with {code:?}")]
    Command {
        /// Its number.
        number: u16,
        /// Its error.
        code: DevcmdError,
    },
    /// A queue does not start: its `error_status` says why.
    #[error("{register:?} did not start: error_status {error_status:#x}")]
    Queue {
        /// The `running` register.
        register: Register,
        /// Value of `error_status`.
        error_status: u64,
    },
    /// The poll budget ran out.
    #[error("out of polls while waiting for {0:?}")]
    Polls(Op),
}

/// Operations still to do, what was read, and polls left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    ops: VecDeque<Op>,
    values: Vec<u64>,
    polls: u32,
    failed: Option<ProgramError>,
}

impl Program {
    /// A program that may look `polls` times for something that is not so yet.
    pub fn new(ops: impl IntoIterator<Item = Op>, polls: u32) -> Self {
        Self { ops: ops.into_iter().collect(), values: Vec::new(), polls, failed: None }
    }

    /// Values read, oldest first.
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    /// Operations still to do.
    pub fn remaining(&self) -> usize {
        self.ops.len()
    }

    /// The part of the adapter whose step brings about what the next operation waits for; none where it does not wait.
    pub fn waits_for(&self) -> Option<Unit> {
        match *self.ops.front()? {
            Op::Write(..) | Op::Read(_) => None,
            Op::Devcmd { .. } | Op::AwaitCommand => Some(Unit::Devcmd),
            Op::AwaitRunning(Register::Wq(q, _), true) => Some(Unit::WqFetch(q)),
            Op::AwaitRunning(Register::Wq(q, _), false) => Some(Unit::WqStop(q)),
            Op::AwaitRunning(Register::Rq(r, _), true) => Some(Unit::RqFetch(r)),
            Op::AwaitRunning(Register::Rq(r, _), false) => Some(Unit::RqStop(r)),
            Op::AwaitRunning(Register::Cq(..) | Register::Intr(..) | Register::Devcmd(_), _) => None,
        }
    }

    /// Does one operation, or looks once.
    pub fn step(&mut self, adapter: &mut Adapter) -> Poll {
        if let Some(error) = self.failed {
            return Poll::Failed(error);
        }
        let Some(&op) = self.ops.front() else { return Poll::Done };
        match self.perform(op, adapter) {
            Ok(true) => {
                self.ops.pop_front();
                if self.ops.is_empty() { Poll::Done } else { Poll::Pending }
            }
            Ok(false) if self.polls == 0 => self.fail(ProgramError::Polls(op)),
            Ok(false) => {
                self.polls -= 1;
                Poll::Pending
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ProgramError) -> Poll {
        self.failed = Some(error);
        Poll::Failed(error)
    }

    fn perform(&mut self, op: Op, adapter: &mut Adapter) -> Result<bool, ProgramError> {
        match op {
            Op::Write(register, value) => adapter.write(register, value),
            Op::Read(register) => {
                let value = adapter.read(register);
                self.values.push(value);
            }
            Op::Devcmd { word, args } => {
                if adapter.read(Register::Devcmd(DevcmdReg::Status)) & u64::from(status::BUSY) != 0 {
                    return Ok(false);
                }
                for i in 0..15 {
                    let value = args.get(usize::from(i)).copied().unwrap_or(0);
                    adapter.write(Register::Devcmd(DevcmdReg::Arg(i)), value);
                }
                adapter.write(Register::Devcmd(DevcmdReg::Cmd), u64::from(word));
            }
            Op::AwaitCommand => {
                let now = adapter.read(Register::Devcmd(DevcmdReg::Status));
                if now & u64::from(status::BUSY) != 0 {
                    return Ok(false);
                }
                let answer = adapter.read(Register::Devcmd(DevcmdReg::Arg(0)));
                if now & u64::from(status::ERROR) != 0 {
                    let word = adapter.read(Register::Devcmd(DevcmdReg::Cmd)) as u32;
                    let number = DevcmdWord(word).number();
                    return Err(ProgramError::Command { number, code: DevcmdError::from(answer) });
                }
            }
            Op::AwaitRunning(register, running) => {
                if (adapter.read(register) == 1) == running {
                    return Ok(true);
                }
                let error_status = match register {
                    Register::Wq(q, _) => adapter.read(Register::Wq(q, WqReg::ErrorStatus)),
                    Register::Rq(r, _) => adapter.read(Register::Rq(r, RqReg::ErrorStatus)),
                    Register::Cq(..) | Register::Intr(..) | Register::Devcmd(_) => 0,
                };
                if running && error_status != 0 {
                    return Err(ProgramError::Queue { register, error_status });
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}
