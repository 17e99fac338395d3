//! One run of the log through a device, and the search for the hold.

use super::device::Device;
use super::dumps::Witnesses;
use super::guest::Guest;
use super::plan::{Plan, bar0, bar1};
use super::report::{Field, ReplayReport};
use super::rings;
use super::state::{self, Fixed};
use super::wire::{self, Wire};
use crate::import::{Capture, Frame, ImportError, Region, RegisterAccess, Trace, Vmxnet3Section};
use crate::shared_view::SharedView;
use model::memory::Memory;
use spec::profile::Profile;
use spec::vmxnet3::shared::GosInfo;
use spec::vmxnet3::{Bar0, Bar1, MAX_VECTORS};
use std::collections::BTreeMap;

/// Something that was not predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What it is about: the same in every run.
    pub subject: String,
    /// The first of its kind, in words.
    pub text: String,
    /// How many more there are.
    pub more: usize,
}

/// Everything that was not predicted, one of each subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    list: Vec<Failure>,
    places: BTreeMap<String, usize>,
}

impl Failures {
    /// Keeps the first of a subject and counts the others.
    pub fn add(&mut self, subject: String, text: String) {
        match self.places.get(&subject) {
            Some(&at) => self.list[at].more += 1,
            None => {
                self.places.insert(subject.clone(), self.list.len());
                self.list.push(Failure { subject, text, more: 0 });
            }
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub failures: Vec<Failure>,
    hold: Option<Hold>,
    predicted: usize,
    sent: usize,
    received: usize,
    dumps: Vec<String>,
}

/// The state that comes closest to the saved one.
#[derive(Clone, Debug)]
struct Hold {
    line: usize,
    fields: Vec<Field>,
    from_log: Vec<(&'static str, String)>,
    cells: usize,
}

/// What every run of one capture starts from.
pub(super) struct Run<'a> {
    capture: &'a Capture,
    trace: &'a Trace,
    frames: &'a [Frame],
    view: SharedView,
    plan: Plan,
    groups: Vec<[u8; 6]>,
    fixed: Fixed<'a>,
    recorded: Vec<u64>,
}

fn missing(file: &str) -> ImportError {
    ImportError::Missing { folder: "capture".into(), file: file.into() }
}

impl<'a> Run<'a> {
    /// Checks that there is what a replay needs.
    pub fn prepare(capture: &'a Capture) -> Result<Self, ImportError> {
        let trace = capture.trace.as_ref().ok_or_else(|| missing("qemu-trace.log"))?;
        let frames = capture.frames.as_deref().ok_or_else(|| missing("wire.pcap"))?;
        let view = crate::consistency::shared_area(capture)?;
        let mut plan = Plan::of(capture, trace, &view);
        let groups = groups(capture, &view, frames, &mut plan);
        let gos = view.shared.misc().driver_info().gos();
        let multicasts = groups.len().max(capture.stream.mcast_list.len());
        let fixed = Fixed { gos_type: GosInfo::gos_type(&gos), lspci: capture.lspci.as_ref(), multicasts };
        let mut recorded = Vec::new();
        state::visit(&capture.stream, &fixed, &mut |_, value| recorded.push(value));
        plan.assumptions.extend(
            [
                "configuration space is not in the log: MSI-X and bus mastering are on throughout, and of the saved bytes only \
                 ids, class and BARs are compared, with the listing",
                "the parts of the shared area that UPDATE commands read were always as in memory",
                "each doorbell carries one captured frame; the guest takes each received frame before the next arrives",
                "frames for the guest arrive as late as the unmasking writes that follow them allow",
            ]
            .map(String::from),
        );
        Ok(Self { capture, trace, frames, view, plan, groups, fixed, recorded })
    }

    /// Runs the log twice: to find the hold, then to look at it.
    pub fn whole(&self, profile: &'static Profile) -> Outcome {
        let mut first = Pass::new(self, profile, None);
        first.go();
        let (point, differing) = first.best;
        let Pass { mut failures, predicted, sent, received, witnesses, .. } = first;
        let mut dumps = Vec::new();
        for (name, differing) in witnesses.found() {
            if let Some(place) = differing.first() {
                failures.add(format!("dump {name}"), format!("{name}: {place}, wherever in the log it was taken"));
            }
            dumps.push(name);
        }
        let mut hold = None;
        if differing != usize::MAX {
            let mut second = Pass::new(self, profile, Some(point));
            second.go();
            hold = second.hold.take();
        }
        match &mut hold {
            None => failures.add("hold".into(), "nowhere in the log is the device as it was saved: active".into()),
            Some((hold, found)) => {
                for field in hold.fields.iter().filter(|field| field.replayed != field.recorded) {
                    let Field { name, replayed, recorded } = field;
                    let text = format!(
                        "state after line {}: {name} is {recorded} ({recorded:#x}), replayed {replayed} ({replayed:#x})",
                        hold.line
                    );
                    failures.add(format!("state {name}"), text);
                }
                for Failure { subject, text, more } in core::mem::take(&mut found.list) {
                    failures.add(subject.clone(), text);
                    if let Some(&at) = failures.places.get(&subject) {
                        failures.list[at].more = more;
                    }
                }
            }
        }
        let hold = hold.map(|(hold, _)| hold);
        Outcome { failures: failures.list, hold, predicted, sent, received, dumps }
    }

    /// Puts the report together.
    pub fn report(
        self,
        profile: &Profile,
        outcome: Outcome,
        deviations: Vec<&'static str>,
        explained: &BTreeMap<String, &'static str>,
    ) -> ReplayReport {
        let failures = outcome.failures.iter().map(|Failure { subject, text, more }| {
            let more = if *more > 0 { format!(", and {more} more") } else { String::new() };
            let why = explained.get(subject).map(|name| format!(" [deviation: {name}]")).unwrap_or_default();
            format!("{text}{more}{why}")
        });
        let failures = failures.collect();
        let (hold_line, fields, from_log, cells) = match outcome.hold {
            Some(hold) => (Some(hold.line), hold.fields, hold.from_log, hold.cells),
            None => (None, Vec::new(), Vec::new(), 0),
        };
        ReplayReport {
            profile: profile.name,
            accesses: self.trace.accesses.len(),
            reads: self.trace.accesses.iter().filter(|access| !access.write).count(),
            predicted: outcome.predicted,
            frames_sent: outcome.sent,
            frames_received: outcome.received,
            dumps: outcome.dumps,
            deviations,
            hold_line,
            fields,
            from_log,
            cells,
            failures,
            assumptions: self.plan.assumptions,
        }
    }
}

/// The multicast table: guest memory tells only how long it is.
fn groups(capture: &Capture, view: &SharedView, frames: &[Frame], plan: &mut Plan) -> Vec<[u8; 6]> {
    let entries = usize::from(view.shared.rx_filter_conf().mf_table_len()) / 6;
    let groups = wire::groups(frames, &plan.macs);
    if groups.len() == entries {
        plan.assumptions.push(format!(
            "the {entries} multicast addresses are all nodes, all hosts and those that the wire shows; their order is \
             not compared"
        ));
        // The order in which a driver lists groups means nothing: what is listed stays in its place.
        let listed = &capture.stream.mcast_list;
        let mut slots: Vec<Option<[u8; 6]>> = vec![None; entries];
        let mut rest = Vec::new();
        for group in groups {
            match listed.iter().position(|other| *other == group).filter(|&at| at < entries && slots[at].is_none()) {
                Some(at) => slots[at] = Some(group),
                None => rest.push(group),
            }
        }
        let mut rest = rest.into_iter();
        return slots.into_iter().filter_map(|slot| slot.or_else(|| rest.next())).collect();
    }
    plan.assumptions.push(format!(
        "the multicast table is the stream's: the wire shows {} groups and the guest has {entries}",
        groups.len()
    ));
    capture.stream.mcast_list.clone()
}

/// One pass over the log.
struct Pass<'r, 'a> {
    run: &'r Run<'a>,
    device: Device,
    guest: Guest<'r>,
    witnesses: Witnesses<'a>,
    wire: Wire<'a>,
    failures: Failures,
    /// Place of the access that is being applied.
    access: usize,
    /// Stimuli so far, and the one to look at.
    point: usize,
    stop_at: Option<usize>,
    /// The point whose state differs least, and in how many fields.
    best: (usize, usize),
    hold: Option<(Hold, Failures)>,
    raised: [bool; MAX_VECTORS],
    scratch: Vmxnet3Section,
    predicted: usize,
    sent: usize,
    received: usize,
}

impl<'r, 'a> Pass<'r, 'a> {
    fn new(run: &'r Run<'a>, profile: &'static Profile, stop_at: Option<usize>) -> Self {
        let (guest, memory): (_, Memory) = Guest::new(run.capture, &run.view, &run.groups, &run.plan.starts);
        Self {
            run,
            device: Device::new(profile, run.plan.permanent_mac, memory),
            guest,
            witnesses: Witnesses::new(&run.capture.dumps),
            wire: Wire::new(run.frames, &run.plan.macs),
            failures: Failures::default(),
            access: 0,
            point: 0,
            stop_at,
            best: (0, usize::MAX),
            hold: None,
            raised: [false; MAX_VECTORS],
            scratch: run.capture.stream.clone(),
            predicted: 0,
            sent: 0,
            received: 0,
        }
    }

    fn go(&mut self) {
        let trace = self.run.trace;
        for (i, access) in trace.accesses.iter().enumerate() {
            self.access = i;
            if access.write {
                self.write(access);
            } else {
                self.read(access);
            }
            self.look(access.line);
            if self.hold.is_some() {
                return;
            }
        }
        while self.wire.incoming() > 0 {
            self.arrive();
        }
        let left = self.wire.left();
        if left > 0 {
            let text = format!(
                "after the last access: {left} captured frames were never sent, the next is {}",
                self.run.frames.len() - left + 1
            );
            self.failures.add("wire left".into(), text);
        }
        for (number, flaw) in wire::flaws(self.run.frames) {
            self.failures.add("wire".into(), format!("frame {number} {flaw}"));
        }
    }

    fn line(&self) -> usize {
        self.run.trace.accesses.get(self.access).map_or(0, |access| access.line)
    }

    fn read(&mut self, access: &RegisterAccess) {
        if bar1(access) == Some(Bar1::Vrrs) && self.stop_at.is_none() {
            self.witnesses.look(&self.guest);
        }
        let predicted = self.device.read(access);
        if predicted == access.value {
            self.predicted += 1;
        } else {
            let text =
                format!("line {}: {} read {:#x}, predicted {predicted:#x}", access.line, name(access), access.value);
            self.failures.add(format!("read {}", access.line), text);
        }
    }

    fn write(&mut self, access: &RegisterAccess) {
        match bar0(access) {
            Some(Bar0::TxProd(queue)) => return self.doorbell(usize::from(queue), access),
            Some(Bar0::Imr(vector)) if access.value & 1 == 0 => self.before_unmask(vector, access),
            Some(Bar0::RxProd(queue)) => self.check_fill(access, usize::from(queue), 0),
            Some(Bar0::RxProd2(queue)) => self.check_fill(access, usize::from(queue), 1),
            _ => {}
        }
        if let Some(start) = self.run.plan.start(self.access) {
            self.guest.lay_out(start, &mut self.device.host.memory);
        }
        self.device.write(access);
        self.take_vectors();
    }

    /// Linux rings a receive doorbell once, with every descriptor but one filled.
    fn check_fill(&mut self, access: &RegisterAccess, queue: usize, ring: usize) {
        let size = self.guest.rx.get(queue).map_or(0, |side| side.setup.ring_size[ring]);
        if access.value != u64::from(size.wrapping_sub(1)) || !size.is_multiple_of(32) {
            let text = format!("line {}: {} <- {:#x}, with a ring of {size}", access.line, name(access), access.value);
            self.failures.add(format!("write {}", access.line), text);
        }
    }

    /// An unmasking write tells that the guest's poll is over, so something had raised the vector.
    fn before_unmask(&mut self, vector: u8, access: &RegisterAccess) {
        let index = usize::from(vector);
        if index >= MAX_VECTORS || !self.device.plane.is_active() {
            return;
        }
        if self.run.view.rx.iter().any(|queue| queue.conf().intr_idx() == vector) {
            // One frame is kept back for each unmasking write that comes before the next doorbell.
            while self.wire.incoming() >= self.run.plan.unmasks[self.access].max(1) {
                self.arrive();
            }
        }
        let explained = |pass: &Self| pass.raised[index] || pass.device.body.vectors()[index].masked;
        if !explained(self) && self.wire.incoming() > 0 {
            self.arrive();
        }
        if !explained(self) {
            let text = format!("line {}: {} <- 0, and nothing had raised the vector", access.line, name(access));
            self.failures.add(format!("write {}", access.line), text);
        }
        self.raised[index] = false;
    }

    fn doorbell(&mut self, queue: usize, access: &RegisterAccess) {
        while self.wire.incoming() > 0 {
            self.arrive();
        }
        let mut problem = None;
        let fill = self.guest.fill(queue);
        match self.wire.peek() {
            None => {
                let macs: Vec<String> = self.run.plan.macs.iter().copied().map(mac).collect();
                problem = Some(format!("no captured frame from {} is left to be sent", macs.join(" or ")));
            }
            Some(frame) => {
                let current = self.device.plane.state().mac;
                if wire::source(frame.1) != Some(current) {
                    problem = Some(format!("frame {} does not come from the guest's MAC {}", frame.0, mac(current)));
                }
                match self.guest.post(queue, access.value as u32, frame, &mut self.device.host.memory) {
                    Err(words) => problem = Some(words),
                    Ok(()) => {
                        self.wire.send();
                    }
                }
            }
        }
        let before = self.device.host.sent.len();
        self.device.write(access);
        self.take_vectors();
        if self.guest.fill(queue) != fill {
            let frame = self.wire.last();
            let sent = self.device.host.sent.get(before..).unwrap_or(&[]);
            if !matches!(sent, [(q, bytes)] if usize::from(*q) == queue && frame.is_some_and(|frame| frame == bytes)) {
                problem.get_or_insert_with(|| "the frame was not sent as captured".into());
            }
            if let Err(words) = self.guest.complete(queue, &self.device.host.memory) {
                problem.get_or_insert(words);
            }
            self.sent += 1;
        }
        self.device.host.sent.clear();
        if let Some(problem) = problem {
            let text = format!("line {}: {} <- {:#x}: {problem}", access.line, name(access), access.value);
            self.failures.add(format!("write {}", access.line), text);
        }
    }

    /// The next frame for the guest arrives, and the guest takes it.
    fn arrive(&mut self) {
        let Some((number, frame)) = self.wire.receive() else { return };
        self.received += 1;
        self.device.offer(frame);
        self.take_vectors();
        for packet in self.guest.receive(&mut self.device.host.memory) {
            let tagged = frame.get(12..14) == Some(&[0x81, 0]);
            if !tagged && !packet.starts_with(frame) {
                let text = format!("frame {number} did not reach the guest as captured: {} bytes", packet.len());
                self.failures.add(format!("received {number}"), text);
            }
        }
        self.look(self.line().saturating_sub(1));
    }

    fn take_vectors(&mut self) {
        for vector in self.device.host.vectors.drain(..) {
            if let Some(raised) = self.raised.get_mut(usize::from(vector)) {
                *raised = true;
            }
        }
    }

    /// Compares the state with the saved one.
    fn look(&mut self, line: usize) {
        self.point += 1;
        if self.hold.is_some() || self.stop_at.is_some_and(|point| point != self.point) {
            return;
        }
        if !state::fill(&mut self.scratch, &self.device, &self.run.fixed) {
            return;
        }
        let run = self.run;
        if self.stop_at.is_some() {
            let mut fields = Vec::new();
            let mut recorded = run.recorded.iter();
            state::visit(&self.scratch, &run.fixed, &mut |name, replayed| {
                let recorded = recorded.next().copied().unwrap_or(0);
                fields.push(Field { name: name.to_string(), replayed, recorded });
            });
            let mut failures = Failures::default();
            let memory = &self.device.host.memory;
            let cells = rings::compare(run.capture, &run.view, &self.guest, memory, &mut failures);
            let state = self.device.plane.state();
            let from_log = vec![
                ("current MAC", mac(state.mac)),
                ("permanent MAC", mac(state.permanent_mac)),
                ("selected version", state.version.to_string()),
                ("UPT selected", state.upt.to_string()),
                ("answer of the last command", format!("{:#x}", state.result)),
            ];
            self.hold = Some((Hold { line, fields, from_log, cells }, failures));
            return;
        }
        let (mut at, mut differing) = (0, 0);
        state::visit(&self.scratch, &run.fixed, &mut |_, value| {
            differing += usize::from(run.recorded.get(at) != Some(&value));
            at += 1;
        });
        // Of equally near places the last: what was planted or lost before it shows in fewer fields there.
        if differing < self.best.1 || differing == self.best.1 && differing > 0 {
            self.best = (self.point, differing);
        }
    }
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A register by its name.
fn name(access: &RegisterAccess) -> String {
    match access.region {
        Region::Bar0 => format!("bar0.{}", Bar0::MAP.label(access.offset)),
        Region::Bar1 => format!("bar1.{}", Bar1::MAP.label(access.offset)),
        Region::MsixTable => format!("msix[{}]+{:#x}", access.offset / 16, access.offset % 16),
        Region::MsixPba => format!("msix.pba+{:#x}", access.offset),
    }
}
