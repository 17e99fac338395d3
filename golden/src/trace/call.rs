//! Every call that a scheduler makes into a system: recording is applying and writing, replay is reading and applying.

use model::machine::System;
use model::memory::Ram;
use model::migrate::{Plan, Saved};
use spec::event::{Bar, Stimulus, Tap};
use std::borrow::Cow;

/// A call into a system. Nothing else changes its state, so equal calls and equal answers of guest memory are equal runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// The guest writes a 32-bit register.
    Write {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
        /// Value.
        value: u32,
    },
    /// The guest reads a 32-bit register.
    Read {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
    },
    /// The guest writes configuration space.
    Config {
        /// Byte offset.
        offset: u16,
        /// Bytes written; read-only ones keep their value.
        bytes: Cow<'a, [u8]>,
    },
    /// The guest stores to its memory. Only a run whose guest is a model has these.
    Store {
        /// Guest-physical address.
        pa: u64,
        /// Bytes stored.
        bytes: Cow<'a, [u8]>,
    },
    /// A frame reaches the uplink.
    Offer {
        /// The frame, without FCS.
        frame: Cow<'a, [u8]>,
    },
    /// The outward wire becomes ready or busy.
    Wire {
        /// Ready for frames.
        ready: bool,
    },
    /// The link goes up or down.
    Link {
        /// Up.
        up: bool,
    },
    /// Time goes on.
    Advance {
        /// Nanoseconds.
        ns: u64,
    },
    /// Devices, uplink and port run until nothing moves; the answer is 1 when the budget ended it.
    Run {
        /// About the most steps.
        budget: u32,
    },
    /// Devices, the command and the switch under way take steps.
    Step {
        /// Most steps.
        budget: u32,
    },
    /// Rings are looked at for what was posted without a doorbell.
    Notice,
    /// TX doorbells may wait until so many packets were posted; whoever says so looks at the rings meanwhile.
    TxThreshold {
        /// Packets, as in `txThreshold`; 0 and 1: each rings.
        packets: u32,
    },
    /// A switch is asked for.
    Switch {
        /// What is asked.
        plan: Plan,
    },
    /// The message of a vector is taken, to be signalled to the guest.
    Message {
        /// Vector index, below 25.
        vector: u16,
    },
    /// The guest's function is reset.
    FunctionReset,
    /// The guest's kernel has set the function up: decode, bus master, MSI-X or the next best kind of interrupts that there is.
    EnableMsix,
    /// The MSI-X table is kept by whoever emulates the bus; vectors are never masked there.
    TableOutside,
    /// The function is brought to where it can be saved; refused while it cannot.
    Settle,
    /// The function becomes one that was saved; refused when the bytes are none of this profile's.
    Restore {
        /// A saved state, as [`model::migrate::Saved`] has it.
        state: Cow<'a, [u8]>,
    },
    /// Nothing can happen until the next call: told to whoever watches.
    Idle,
}

/// What a call gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// A register's value.
    Value(u32),
    /// It was not: the vCPU stands still, a posted write found no room, a switch is under way, no message waited, a store
    /// lay outside memory, no queue is active, or a state was not one.
    Refused,
}

impl Answer {
    /// Whether it was done.
    pub fn is_done(self) -> bool {
        self != Self::Refused
    }

    /// The register's value, if there is one.
    pub fn value(self) -> Option<u32> {
        match self {
            Self::Value(value) => Some(value),
            Self::Done | Self::Refused => None,
        }
    }
}

impl From<bool> for Answer {
    fn from(done: bool) -> Self {
        if done { Self::Done } else { Self::Refused }
    }
}

/// Makes `call`; `tap` is told what the system tells.
pub fn apply<M: Ram, T: Tap>(call: &Call<'_>, system: &mut System<M>, tap: &mut T) -> Answer {
    match call {
        Call::Write { bar, offset, value } => system.guest_write(*bar, *offset, *value, tap).into(),
        Call::Read { bar, offset } => system.guest_read(*bar, *offset, tap).map_or(Answer::Refused, Answer::Value),
        Call::Config { offset, bytes } => {
            system.config_write(usize::from(*offset), bytes);
            Answer::Done
        }
        Call::Store { pa, bytes } => system.guest_store(*pa, bytes, tap).is_ok().into(),
        Call::Offer { frame } => {
            system.offer(frame, tap);
            Answer::Done
        }
        Call::Wire { ready } => {
            system.set_wire(*ready, tap);
            Answer::Done
        }
        Call::Link { up } => {
            system.set_link(*up, tap);
            Answer::Done
        }
        Call::Advance { ns } => {
            system.advance(*ns, tap);
            Answer::Done
        }
        Call::Run { budget } => {
            if system.run_devices(*budget, tap) {
                return Answer::Value(1);
            }
            Answer::Done
        }
        Call::Step { budget } => {
            system.step_devices(*budget, tap);
            Answer::Done
        }
        Call::Notice => {
            system.notice(tap);
            Answer::Done
        }
        Call::TxThreshold { packets } => system.set_tx_threshold(*packets, tap).into(),
        Call::Switch { plan } => system.begin_switch(*plan).into(),
        Call::Message { vector } => system.take_message(*vector).into(),
        Call::FunctionReset => {
            system.function_reset(tap);
            Answer::Done
        }
        Call::EnableMsix => {
            system.enable_msix();
            Answer::Done
        }
        Call::TableOutside => {
            system.keep_table_outside();
            Answer::Done
        }
        Call::Settle => system.settle(tap).into(),
        Call::Restore { state } => match Saved::decode(system.plane().profile(), state) {
            Ok(saved) => {
                system.restore(&saved, tap);
                Answer::Done
            }
            Err(_) => Answer::Refused,
        },
        Call::Idle => {
            tap.stimulus(Stimulus::Idle, system.memory());
            Answer::Done
        }
    }
}
