//! What a switch is asked to do, the stages it goes through, and how it ends.

use crate::hypervisor::Ineligible;
use spec::vmxnet3::command::QueueError;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Software to hardware.
    Enter,
    /// Hardware to software.
    Leave,
}

/// What becomes of TX packets under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TxMode {
    /// Everything posted is sent first, within the budget; then as `RollBack`.
    Drain,
    /// A packet of which nothing was sent goes back to its first descriptor.
    RollBack,
}

/// What becomes of frames that arrive meanwhile, and of those in the adapter's ingress FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Steer, then a barrier: newer frames wait until the FIFO is empty. Gives up when it does not empty.
    A,
    /// Pause upstream; what the FIFO still holds is handed to the host.
    B,
    /// Steer; the FIFO is handed to the host and injected first.
    C,
    /// Steer; the FIFO is dropped and counted.
    D,
}

/// A switch to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Which way.
    pub direction: Direction,
    /// TX packets under way.
    pub tx: TxMode,
    /// Frames under way; used on leaving.
    pub policy: Policy,
    /// A stage to fail at, for tests of what a failure leaves behind.
    pub fail_at: Option<Stage>,
}

impl Plan {
    /// Into hardware.
    pub const fn enter(tx: TxMode) -> Self {
        Self { direction: Direction::Enter, tx, policy: Policy::C, fail_at: None }
    }

    /// Out of hardware.
    pub const fn leave(tx: TxMode, policy: Policy) -> Self {
        Self { direction: Direction::Leave, tx, policy, fail_at: None }
    }

    /// The same, failing at `stage`.
    #[must_use]
    pub const fn failing_at(self, stage: Stage) -> Self {
        Self { fail_at: Some(stage), ..self }
    }
}

macro_rules! stages {
    ($( $(#[doc = $doc:literal])* $stage:ident = $name:literal; )*) => {
        /// A stage of a switch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Stage { $( $(#[doc = $doc])* $stage, )* }

        impl Stage {
            /// Every stage with its name and what it does.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$( (Self::$stage, $name, concat!($($doc),*)) ),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$stage => $name, )* }
            }
        }
    };
}

stages! {
    /// May it leave: no command is running, nothing else is moving.
    MayLeave = "may-leave";
    /// The vCPUs stop.
    StopVcpus = "stop-vcpus";
    /// Posted doorbells reach the adapter, pushed by a read.
    FlushDoorbells = "flush-doorbells";
    /// New frames are steered to the port, which holds them, or paused upstream.
    SteerIngress = "steer-ingress";
    /// TX work is finished, within the budget.
    DrainTx = "drain-tx";
    /// Work queues are disabled; what was sent is completed.
    StopTx = "stop-tx";
    /// The ingress FIFO empties into guest buffers while receive queues still run.
    EmptyFifo = "empty-fifo";
    /// Receive queues are disabled, twice.
    StopRx = "stop-rx";
    /// What the FIFO still holds is handed to the host, dropped, or reason to give up.
    HandOver = "hand-over";
    /// Counters are dumped.
    DumpCounters = "dump-counters";
    /// Registers are read; completions and posted writes have reached memory.
    Capture = "capture";
    /// The saved bytes become a software body; the guest's control words are written. The commit point of leaving.
    LoadSoftware = "load-software";
    /// Every ring is scanned and owed vectors are raised.
    RescanSoftware = "rescan-software";
    /// Frames handed over are injected, the port opens.
    OpenPort = "open-port";
    /// May it enter: active, eligible, no command running.
    MayEnter = "may-enter";
    /// The vCPUs stop.
    FreezeSoftware = "freeze-software";
    /// The port holds frames; the one in the body is finished or taken back.
    HoldPort = "hold-port";
    /// TX work of the software body is finished or rolled back.
    SettleSoftware = "settle-software";
    /// The software body becomes bytes, the bytes a canonical state.
    SaveSoftware = "save-software";
    /// Rings are scanned for what the guest has posted.
    ScanRings = "scan-rings";
    /// A fresh adapter is programmed, its queues disabled.
    ProgramAdapter = "program-adapter";
    /// The guest's control words are written. The commit point of entering.
    CommitHardware = "commit-hardware";
    /// Queues are enabled and run.
    EnableQueues = "enable-queues";
    /// Rings are scanned again and owed vectors raised by command.
    WakeHardware = "wake-hardware";
    /// Held frames and the uplink go to the adapter.
    SteerToAdapter = "steer-to-adapter";
    /// The vCPUs run: the end of either.
    RunVcpus = "run-vcpus";
    /// The earlier state is being restored.
    Undo = "undo";
}

impl Stage {
    /// Stages of leaving, in order.
    pub const LEAVING: &'static [Self] = &[
        Self::MayLeave,
        Self::StopVcpus,
        Self::FlushDoorbells,
        Self::SteerIngress,
        Self::DrainTx,
        Self::StopTx,
        Self::EmptyFifo,
        Self::StopRx,
        Self::HandOver,
        Self::DumpCounters,
        Self::Capture,
        Self::LoadSoftware,
        Self::RescanSoftware,
        Self::OpenPort,
        Self::RunVcpus,
    ];

    /// Stages of entering, in order.
    pub const ENTERING: &'static [Self] = &[
        Self::MayEnter,
        Self::FreezeSoftware,
        Self::HoldPort,
        Self::SettleSoftware,
        Self::SaveSoftware,
        Self::ScanRings,
        Self::ProgramAdapter,
        Self::CommitHardware,
        Self::EnableQueues,
        Self::WakeHardware,
        Self::SteerToAdapter,
        Self::RunVcpus,
    ];

    /// From here on a failure cannot be undone: the queues stop with a code.
    pub const fn is_committed(self) -> bool {
        matches!(
            self,
            Self::RescanSoftware
                | Self::OpenPort
                | Self::EnableQueues
                | Self::WakeHardware
                | Self::SteerToAdapter
                | Self::RunVcpus
        )
    }

    /// The stage after this one.
    pub(super) fn next(self) -> Self {
        let after =
            |stages: &[Self]| stages.iter().position(|&stage| stage == self).and_then(|i| stages.get(i + 1)).copied();
        after(Self::LEAVING).or_else(|| after(Self::ENTERING)).unwrap_or(Self::RunVcpus)
    }
}

/// Why a switch was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// The guest may not be in hardware.
    #[error("not eligible: {0}")]
    Ineligible(Ineligible),
    /// The device is not active, or is already there.
    #[error("nothing to switch")]
    NothingToSwitch,
    /// A TX ring is completely full: software sends a packet first.
    #[error("a tx ring is completely full")]
    TxRingFull,
    /// A packet is partly on the wire and the wire stays busy.
    #[error("a packet is partly on the wire, which stays busy")]
    WireBusy,
    /// The ingress FIFO did not empty (policy A).
    #[error("the ingress FIFO did not empty")]
    FifoFull,
    /// The adapter refused a command or did not answer within the budget.
    #[error("the adapter did not follow")]
    Adapter,
    /// What was captured contradicts itself.
    #[error("the captured state is inconsistent")]
    Inconsistent,
    /// A test asked for it.
    #[error("failed on purpose at {}", .0.name())]
    Injected(Stage),
}

/// How a switch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The guest is on the other side.
    Done,
    /// The guest is where it was and could not tell.
    Undone(Reason),
    /// Past the commit point: every queue is stopped with this code, and the guest was told by an event.
    Stopped(Reason, QueueError),
}
