//! The switch between adapter and software as a step machine: every stage is one or more steps, every stage can fail, and
//! before the commit point the guest cannot tell.
//!
//! Order on leaving: with policies B, C and D receive queues are disabled before the FIFO is handed over, because a queue that
//! still runs would deliver a younger frame while an older one is on its way to the host.

use super::canon::Canon;
use super::plan::{Direction, Outcome, Plan, Policy, Reason, Stage, TxMode};
use crate::hypervisor::bring_up::{Posted, configure, enable};
use crate::hypervisor::request::{self, counters};
use crate::hypervisor::tear_down::{stop_receive, stop_transmit};
use crate::hypervisor::{self, Claims, Ineligible, Op, Poll, Program, capture, ingress};
use crate::machine::{Mode, System, with_port};
use crate::memory::Ram;
use crate::mutant::Mutant;
use crate::net::{Frame, Port, Steer};
use crate::plane::{Activation, Progress, Request, RxProgress, TxProgress, VectorProgress};
use crate::vic::{Adapter, Register};
use crate::vmxnet3::Body;
use spec::event::{Effect, Stimulus, Tap};
use spec::position::RingIndex;
use spec::vic::{IntrReg, RqReg, WqReg};
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::{MAX_VECTORS, QUEUE_DESC_BYTES, RxQueueCtrl, TxQueueCtrl};

/// A switch under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Switch {
    plan: Plan,
    stage: Stage,
    /// Steps left before the stage gives up.
    budget: u32,
    /// What the hypervisor is doing to the adapter for this stage.
    program: Option<Program>,
    /// Frames read back from the ingress FIFO, oldest first.
    handed: Vec<Frame>,
    /// The saved state: all that crosses.
    bytes: Vec<u8>,
    canon: Canon,
    /// What the guest has posted, by a scan of its rings.
    posted: Posted,
    /// Why it is being undone.
    undo: Option<Reason>,
}

/// How a stage went on.
enum Went {
    /// It needs more steps.
    Waiting,
    /// It is over.
    On,
    /// It failed.
    Failed(Reason),
}

impl Switch {
    /// About to begin.
    pub fn new(plan: Plan) -> Self {
        let stage = match plan.direction {
            Direction::Leave => Stage::MayLeave,
            Direction::Enter => Stage::MayEnter,
        };
        Self {
            plan,
            stage,
            budget: 0,
            program: None,
            handed: Vec::new(),
            bytes: Vec::new(),
            canon: Canon::default(),
            posted: Posted::default(),
            undo: None,
        }
    }

    /// Where it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What it was asked to do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The saved state that crosses; empty before it was taken.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Frames handed over and not injected yet.
    pub fn handed(&self) -> usize {
        self.handed.len()
    }

    /// One step. `Some` when the switch is over.
    fn step<M: Ram, T: Tap>(&mut self, system: &mut System<M>, tap: &mut T) -> Option<Outcome> {
        if self.plan.fail_at == Some(self.stage) {
            self.plan.fail_at = None;
            return self.fail(Reason::Injected(self.stage), system, tap);
        }
        match self.run_stage(system, tap) {
            Went::Waiting => None,
            Went::On => {
                self.program = None;
                self.budget = system.profile.drain_budget;
                if self.stage == Stage::Undo {
                    system.frozen = false;
                    return self.undo.map(Outcome::Undone);
                }
                if self.stage == Stage::RunVcpus {
                    return Some(Outcome::Done);
                }
                self.stage = self.stage.next();
                None
            }
            Went::Failed(reason) => self.fail(reason, system, tap),
        }
    }

    fn run_stage<M: Ram, T: Tap>(&mut self, system: &mut System<M>, tap: &mut T) -> Went {
        match self.stage {
            Stage::MayLeave => match may_leave(system) {
                Ok(()) => {
                    system.net.set_port(Port::Holding);
                    self.budget = system.profile.drain_budget;
                    Went::On
                }
                Err(reason) => Went::Failed(reason),
            },
            // The guest ran until now: what was found of it may have changed.
            Stage::StopVcpus | Stage::FreezeSoftware => {
                system.frozen = true;
                let may = if self.stage == Stage::StopVcpus { may_leave(system) } else { may_enter(system) };
                may.map_or_else(Went::Failed, |()| Went::On)
            }
            Stage::FlushDoorbells => {
                // Any read pushes the guest's posted writes before it.
                system.adapter.read(Register::Intr(0, IntrReg::Mask));
                Went::On
            }
            Stage::SteerIngress => {
                match self.plan.policy {
                    Policy::B => system.net.pause(true),
                    Policy::A | Policy::C | Policy::D => system.net.set_steer(Steer::Switch),
                }
                Went::On
            }
            Stage::DrainTx => self.drain_tx(system),
            Stage::StopTx => self.program(system, |system, _| stop_transmit(&system.shadow), Reason::WireBusy),
            Stage::EmptyFifo => self.empty_fifo(system),
            Stage::StopRx => self.program(system, |system, _| stop_receive(&system.shadow), Reason::Adapter),
            Stage::HandOver => self.hand_over(system, tap),
            Stage::DumpCounters => self.program(system, |system, _| counters(&system.shadow), Reason::Adapter),
            Stage::Capture => self.capture(system),
            Stage::LoadSoftware => self.load_software(system, tap),
            Stage::RescanSoftware => {
                if !system.planted.is(Mutant::MoveNoRescan) {
                    system.body.rescan();
                    for vector in owed(&self.canon) {
                        with_port!(system, tap, |port| system.body.serve(Request::Raise(vector), port));
                    }
                }
                Went::On
            }
            Stage::OpenPort => {
                let handed = std::mem::take(&mut self.handed).into_iter();
                if self.plan.policy == Policy::A {
                    // Nothing is handed over behind a barrier; without one the older frames come last.
                    handed.for_each(|frame| system.net.arrive_at_port(frame));
                } else {
                    system.net.hand_over(handed);
                }
                system.net.pause(false);
                system.net.set_steer(Steer::Switch);
                system.net.set_port(Port::Open);
                Went::On
            }
            Stage::MayEnter => {
                self.budget = system.profile.drain_budget;
                may_enter(system).map_or_else(Went::Failed, |()| Went::On)
            }
            Stage::HoldPort => self.hold_port(system),
            Stage::SettleSoftware => self.settle_software(system),
            Stage::SaveSoftware => self.save_software(system),
            Stage::ScanRings => self.scan_rings(system),
            Stage::ProgramAdapter => self.program(
                system,
                |system, this| {
                    let Canon { activation, progress } = &this.canon;
                    let System { profile, scratch, planted, .. } = system;
                    let (ops, shadow) = configure(activation, progress, &this.posted, profile, scratch, *planted);
                    system.shadow = shadow;
                    ops
                },
                Reason::Adapter,
            ),
            Stage::CommitHardware => {
                system.write_control_words(1, system.profile.tx_threshold, tap);
                system.mode = Mode::Hardware;
                system.body_held = false;
                system.base = self.canon.progress.clone();
                system.claims = Claims::new(&self.canon.activation, &self.canon.progress, &self.posted);
                tap.stimulus(Stimulus::Switched { hardware: true }, &system.memory);
                Went::On
            }
            Stage::EnableQueues => self.program(
                system,
                |system, this| enable(&this.canon.activation, &this.canon.progress, system.plane.state().link_up),
                Reason::Adapter,
            ),
            Stage::WakeHardware => self.program(system, |_, this| wake(&this.canon), Reason::Adapter),
            Stage::SteerToAdapter => {
                system.net.take_back();
                system.net.set_steer(Steer::Adapter);
                Went::On
            }
            Stage::RunVcpus => {
                system.frozen = false;
                Went::On
            }
            Stage::Undo => self.undo(system),
        }
    }

    /// Runs the stage's program on the adapter; `late` is the reason when the adapter does not follow within its budget.
    fn program<M: Ram>(
        &mut self,
        system: &mut System<M>,
        ops: impl FnOnce(&mut System<M>, &Self) -> Vec<Op>,
        late: Reason,
    ) -> Went {
        let mut program = match self.program.take() {
            Some(program) => program,
            None => Program::new(ops(system, self), system.profile.drain_budget),
        };
        let poll = program.step(&mut system.adapter);
        // A finished one stays for whoever wants what it read.
        self.program = Some(program);
        match poll {
            Poll::Pending => Went::Waiting,
            Poll::Done => Went::On,
            Poll::Failed(_) => Went::Failed(late),
        }
    }

    fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget == 0
    }

    fn drain_tx<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        let mut read = |q, reg| system.adapter.read(Register::Wq(q, reg));
        let mut empty = |q| read(q, WqReg::PostedIndex) == read(q, WqReg::FetchIndex);
        let drained = (0..system.shadow.queues().0).all(&mut empty);
        if self.plan.tx == TxMode::RollBack || drained || self.spend() { Went::On } else { Went::Waiting }
    }

    /// Asks the adapter how many frames wait in its ingress FIFO; `None` while it has not answered.
    fn ingress_level<M: Ram>(&mut self, system: &mut System<M>) -> Result<Option<u64>, Reason> {
        match self.program(system, |_, _| ingress::level(), Reason::Adapter) {
            Went::On => Ok(self.program.take().and_then(|program| program.values().last().copied())),
            Went::Waiting => Ok(None),
            Went::Failed(reason) => Err(reason),
        }
    }

    fn empty_fifo<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        match self.plan.policy {
            Policy::C | Policy::D => Went::On,
            Policy::A if system.planted.is(Mutant::MoveNoBarrier) => Went::On,
            Policy::A | Policy::B => match (self.ingress_level(system), self.plan.policy) {
                (Err(reason), _) => Went::Failed(reason),
                (Ok(Some(0)), _) => Went::On,
                (Ok(_), _) if !self.spend() => Went::Waiting,
                (Ok(_), Policy::A) => Went::Failed(Reason::FifoFull),
                (Ok(_), _) => Went::On,
            },
        }
    }

    fn hand_over<M: Ram, T: Tap>(&mut self, system: &mut System<M>, tap: &mut T) -> Went {
        match self.plan.policy {
            Policy::A if !system.planted.is(Mutant::MoveNoBarrier) => match self.ingress_level(system) {
                Ok(None) => Went::Waiting,
                Ok(Some(0)) => Went::On,
                Ok(Some(_)) => Went::Failed(Reason::FifoFull),
                Err(reason) => Went::Failed(reason),
            },
            Policy::D => {
                if self.program.is_none() {
                    for frame in system.adapter.ingress_frames() {
                        tap.effect(Effect::SwitchDrop { frame }, &system.memory);
                        system.net.count_drop();
                    }
                }
                self.program(system, |_, _| ingress::drop_all(), Reason::Adapter)
            }
            Policy::A | Policy::B | Policy::C => {
                match self.program(system, |_, _| ingress::read_back(), Reason::Adapter) {
                    Went::On => match self.program.take().and_then(|program| ingress::frame(&program, &system.scratch))
                    {
                        Some(frame) => {
                            self.handed.push(frame);
                            Went::Waiting
                        }
                        None => Went::On,
                    },
                    went => went,
                }
            }
        }
    }

    fn capture<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        let System { plane, adapter, memory, scratch, base, planted, .. } = &mut *system;
        let Some(activation) = plane.activation() else { return Went::Failed(Reason::NothingToSwitch) };
        if adapter.hidden_is_empty().is_err() {
            return Went::Failed(Reason::Inconsistent);
        }
        let Ok(progress) = capture(adapter, activation, memory, scratch, base, *planted) else {
            return Went::Failed(Reason::Inconsistent);
        };
        let canon = Canon { activation: activation.clone(), progress };
        canon.encode(system.profile, &mut self.bytes);
        Went::On
    }

    fn load_software<M: Ram, T: Tap>(&mut self, system: &mut System<M>, tap: &mut T) -> Went {
        let Ok((profile, canon)) = Canon::decode(&self.bytes) else { return Went::Failed(Reason::Inconsistent) };
        let mut body = Body::resume(profile, &canon.activation, &canon.progress);
        body.plant(system.planted);
        body.set_link(system.plane.state().link_up);
        system.body = body;
        self.canon = canon;
        system.cool_adapter();
        system.mode = Mode::Software;
        system.write_control_words(0, 1, tap);
        tap.stimulus(Stimulus::Switched { hardware: false }, &system.memory);
        Went::On
    }

    fn hold_port<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        system.net.set_port(Port::Holding);
        let inbox = system.body.return_inbox();
        system.net.hand_over(inbox.into_iter());
        match system.body.has_room() {
            true => Went::On,
            false if self.spend() => Went::Failed(Reason::WireBusy),
            false => Went::Waiting,
        }
    }

    fn settle_software<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        let late = self.spend();
        if self.plan.tx == TxMode::RollBack || late {
            system.body.roll_back();
        }
        match (system.body.progress(), self.plan.tx) {
            (Err(_), _) if late => Went::Failed(Reason::WireBusy),
            (Err(_), _) => Went::Waiting,
            (Ok(_), TxMode::Drain) if !late && !system.body.is_idle() => Went::Waiting,
            (Ok(_), _) => {
                system.body_held = true;
                Went::On
            }
        }
    }

    fn save_software<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        let (Ok(progress), Some(activation)) = (system.body.progress(), system.plane.activation()) else {
            return Went::Failed(Reason::Inconsistent);
        };
        let canon = Canon { activation: activation.clone(), progress };
        canon.encode(system.profile, &mut self.bytes);
        let Ok((_, canon)) = Canon::decode(&self.bytes) else { return Went::Failed(Reason::Inconsistent) };
        self.canon = canon;
        Went::On
    }

    fn scan_rings<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        let Canon { activation, progress } = &self.canon;
        self.posted = Posted::scan(activation, progress, &system.memory, system.planted);
        if self.posted.tx_full && !system.planted.is(Mutant::MoveFullRing) {
            return Went::Failed(Reason::TxRingFull);
        }
        system.cool_adapter();
        Went::On
    }

    fn fail<M: Ram, T: Tap>(&mut self, reason: Reason, system: &mut System<M>, tap: &mut T) -> Option<Outcome> {
        // An undo that the adapter does not follow ends where a failure past the commit point does.
        if self.stage.is_committed() || self.stage == Stage::Undo {
            self.stop_queues(system, tap);
            return Some(Outcome::Stopped(reason, QueueError::Switch));
        }
        if matches!(self.stage, Stage::MayLeave | Stage::StopVcpus | Stage::MayEnter | Stage::FreezeSoftware) {
            // Nothing was touched but the vCPUs, and the port, which holds nothing while the adapter has the frames.
            if system.mode == Mode::Hardware {
                system.net.set_port(Port::Holding);
            }
            system.frozen = false;
            return Some(Outcome::Undone(reason));
        }
        self.undo = Some(reason);
        self.stage = Stage::Undo;
        self.program = None;
        None
    }

    /// Restores the earlier mode: on leaving the queues run again and get back what was handed over.
    fn undo<M: Ram>(&mut self, system: &mut System<M>) -> Went {
        match self.plan.direction {
            Direction::Enter => {
                system.cool_adapter();
                system.net.set_port(Port::Open);
                system.body_held = false;
                system.body.rescan();
                Went::On
            }
            Direction::Leave => {
                let went = self.program(
                    system,
                    |system, _| {
                        let Some(activation) = system.plane.activation() else { return Vec::new() };
                        let progress = stopped_queues(&system.adapter, activation);
                        enable(activation, &progress, system.plane.state().link_up)
                    },
                    Reason::Adapter,
                );
                if matches!(went, Went::On) {
                    system.net.hand_over(std::mem::take(&mut self.handed).into_iter());
                    system.net.take_back();
                    system.net.set_steer(Steer::Adapter);
                    system.net.pause(false);
                }
                went
            }
        }
    }

    /// Past the commit point: software, every queue stopped with the code for a failed switch, and an event.
    fn stop_queues<M: Ram, T: Tap>(&mut self, system: &mut System<M>, tap: &mut T) {
        if self.canon.activation.tx.is_empty() {
            // Nothing was captured yet: positions start anew, as they do after the reset that a stopped queue asks for.
            let activation = system.plane.activation().cloned().unwrap_or_default();
            let progress = Progress::fresh(&activation, [VectorProgress::default(); MAX_VECTORS]);
            self.canon = Canon { activation, progress };
        }
        let mut progress: Progress = self.canon.progress.clone();
        for queue in &mut progress.tx {
            queue.stopped = Some(QueueError::Switch);
        }
        for queue in &mut progress.rx {
            queue.stopped = Some(QueueError::Switch);
        }
        progress.vectors = match system.mode {
            Mode::Software => system.body.vectors(),
            Mode::Hardware => hypervisor::vectors(&mut system.adapter, &system.base),
        };
        let mut body = Body::resume(system.profile, &self.canon.activation, &progress);
        body.plant(system.planted);
        body.set_link(system.plane.state().link_up);
        system.body = body;
        system.cool_adapter();
        system.write_control_words(0, 1, tap);
        if system.mode == Mode::Hardware {
            system.mode = Mode::Software;
            tap.stimulus(Stimulus::Switched { hardware: false }, &system.memory);
        }
        system.net.pause(false);
        system.net.set_steer(Steer::Switch);
        system.net.set_port(Port::Open);
        system.frozen = false;
        system.body_held = false;
        let request = with_port!(system, tap, |port| system.plane.event(ecr::TQERR | ecr::RQERR, port));
        system.request(request, tap);
    }
}

/// Whether the guest may leave hardware: it is active there and no command is running.
fn may_leave<M: Ram>(system: &System<M>) -> Result<(), Reason> {
    let may = system.mode == Mode::Hardware && system.phase.is_none() && system.plane.activation().is_some();
    if may { Ok(()) } else { Err(Reason::NothingToSwitch) }
}

/// Whether the guest may enter hardware: it is active in software, eligible, and no command is running.
fn may_enter<M: Ram>(system: &System<M>) -> Result<(), Reason> {
    match system.plane.activation() {
        Some(activation) if system.mode == Mode::Software && system.phase.is_none() && system.plane.is_active() => {
            let (events, vectors) = (system.plane.state().event_vector, system.body.vectors());
            hypervisor::eligible(activation, system.profile)
                .and_then(|()| hypervisor::vectors_fit(activation, events, &vectors, system.profile))
                .or_else(|why| match why {
                    Ineligible::Vectors { .. } if system.planted.is(Mutant::MoveVectorsUnasked) => Ok(()),
                    Ineligible::Msi if system.planted.is(Mutant::MoveMsiUnasked) => Ok(()),
                    why => Err(Reason::Ineligible(why)),
                })
        }
        _ => Err(Reason::NothingToSwitch),
    }
}

/// Vectors of queues that ever completed something: after a switch each is raised once, because an edge is not state.
fn owed(canon: &Canon) -> Vec<u8> {
    let mut vectors: Vec<u8> = Vec::new();
    let Canon { activation, progress } = canon;
    let tx = activation.tx.iter().zip(&progress.tx).map(|(setup, at)| (setup.vector, at.comp));
    let rx = activation.rx.iter().zip(&progress.rx).map(|(setup, at)| (setup.vector, at.comp));
    for (vector, comp) in tx.chain(rx) {
        let masked = progress.vectors.get(usize::from(vector)).is_none_or(|v: &VectorProgress| v.masked);
        if comp != RingIndex::START && !masked && !vectors.contains(&vector) {
            vectors.push(vector);
        }
    }
    vectors
}

/// The commands that raise what is owed.
fn wake(canon: &Canon) -> Vec<Op> {
    owed(canon).into_iter().flat_map(request::raise).collect()
}

/// Which queues of the adapter an error has stopped, in the form that enabling looks at.
fn stopped_queues(adapter: &Adapter, activation: &Activation) -> Progress {
    let stopped = |register| {
        let status = adapter.peek(register);
        (status != 0).then(|| QueueError::from(status as u32))
    };
    let tx = (0..activation.tx.len())
        .map(|q| TxProgress { stopped: stopped(Register::Wq(q as u8, WqReg::ErrorStatus)), ..TxProgress::default() });
    let rx = (0..activation.rx.len()).map(|q| RxProgress {
        stopped: stopped(Register::Rq(2 * q as u8, RqReg::ErrorStatus)),
        ..RxProgress::default()
    });
    Progress { tx: tx.collect(), rx: rx.collect(), ..Progress::default() }
}

impl<M: Ram> System<M> {
    /// One step of the switch under way.
    pub(crate) fn step_switch<T: Tap>(&mut self, tap: &mut T) {
        if let Some(mut switch) = self.switch.take() {
            match switch.step(self, tap) {
                None => self.switch = Some(switch),
                Some(outcome) => {
                    self.last_switch = Some(outcome);
                    self.apply_link(tap);
                }
            }
        }
    }

    /// Writes txThreshold of every TX queue, a word the device owns.
    pub(crate) fn write_tx_threshold<T: Tap>(&mut self, packets: u32, tap: &mut T) {
        use crate::host::Host;
        let Some(activation) = self.plane.activation() else { return };
        let tx = activation.tx.len() as u64;
        let table = self.plane.state().queue_desc_pa;
        let threshold = TxQueueCtrl::LAYOUT.offset("txThreshold");
        with_port!(self, tap, |port| {
            for queue in 0..tx {
                // A queue table that the guest has pointed elsewhere hurts only the guest.
                let _ = port.write(table.wrapping_add(queue * QUEUE_DESC_BYTES + threshold), &packets.to_le_bytes());
            }
        });
    }

    /// Writes updateRxProd of every RX queue and txThreshold of every TX queue: words the device owns.
    fn write_control_words<T: Tap>(&mut self, update_rx_prod: u8, tx_threshold: u32, tap: &mut T) {
        use crate::host::Host;
        self.write_tx_threshold(tx_threshold, tap);
        let Some(activation) = self.plane.activation() else { return };
        let (tx, rx) = (activation.tx.len() as u64, activation.rx.len() as u64);
        let table = self.plane.state().queue_desc_pa;
        let prod = RxQueueCtrl::LAYOUT.offset("updateRxProd");
        with_port!(self, tap, |port| {
            for queue in tx..tx + rx {
                let _ = port.write(table.wrapping_add(queue * QUEUE_DESC_BYTES + prod), &[update_rx_prod]);
            }
        });
    }
}
