//! A trace, walked: registers, the configuration at each activation, and what the guest hands over.

use super::packets::{self, Rules};
use super::registers::Registers;
use super::{BUFFER_OUTSIDE, CHANGED_OWNED, Findings, QUEUE_NUMBER, config};
use crate::dump::Recording;
use crate::import::{ImportError, Region};
use crate::shared_view::SharedView;
use crate::trace::{Call, Place, walk};
use spec::event::{Bar, Effect, GuestView, Stimulus, Tap};
use spec::monitor::layout::Area;
use spec::vmxnet3::{Bar0, Bar1, Command, RxCompDesc, RxDesc, TxCompDesc, TxDesc};
use std::cell::RefCell;

/// Most descriptors that are gathered for a packet.
const GATHERED: usize = 64;
/// Bytes of a packet that rules look at.
const HEAD: usize = 18;
/// Largest ring that is followed.
const MOST_CELLS: u32 = 8192;

/// A descriptor ring as the guest fills it.
#[derive(Debug)]
struct Ring {
    area: Area,
    /// Its cells as they were stored last.
    shadow: Vec<u128>,
    /// Bit of the generation.
    low: u32,
    /// The oldest descriptor that is not completed.
    done: u32,
    /// How many from there the device owns.
    owned: u32,
    /// Generation of the next descriptor to be posted.
    generation: bool,
}

impl Ring {
    fn new(pa: u64, cells: u32, low: u32, memory: &dyn GuestView) -> Self {
        let area = Area { pa, cells: if cells <= MOST_CELLS { cells } else { 0 } };
        let shadow = (0..area.cells).map(|i| memory.cell(area.at(i)).unwrap_or(0)).collect();
        Self { area, shadow, low, done: 0, owned: 0, generation: true }
    }

    fn place(&self, ahead: u32) -> u32 {
        (self.done + ahead) % self.area.cells.max(1)
    }

    fn owns(&self, index: u32) -> bool {
        let cells = self.area.cells;
        cells > 0 && (index + cells - self.done) % cells < self.owned
    }

    /// Takes over what was stored; the first cell that the device owned and that changed.
    fn stored(&mut self, pa: u64, len: usize, memory: &dyn GuestView) -> Option<u32> {
        let from = pa.saturating_sub(self.area.pa) / 16;
        let to =
            pa.saturating_add(len as u64).saturating_sub(self.area.pa).div_ceil(16).min(u64::from(self.area.cells));
        let mut changed = None;
        for index in from..to {
            let index = index as u32;
            let Some(cell) = memory.cell(self.area.at(index)) else { continue };
            if self.shadow[index as usize] != cell {
                self.shadow[index as usize] = cell;
                changed = changed.or(self.owns(index).then_some(index));
            }
        }
        changed
    }

    /// The descriptor `ahead` of those that the device owns, if it is posted.
    fn posted(&self, ahead: u32) -> Option<u128> {
        if self.owned + ahead >= self.area.cells {
            return None;
        }
        let index = self.place(self.owned + ahead);
        let next = self.place(self.owned);
        // Past the end of the ring the other generation counts.
        let generation = self.generation != (index < next);
        let cell = *self.shadow.get(index as usize)?;
        (cell >> self.low & 1 == u128::from(generation)).then_some(cell)
    }

    /// The device owns `count` more.
    fn hand_over(&mut self, count: u32) {
        let next = self.place(self.owned);
        self.owned += count;
        if next + count >= self.area.cells {
            self.generation = !self.generation;
        }
    }

    /// The device has completed everything up to `index`.
    fn completed(&mut self, index: u32) {
        let cells = self.area.cells;
        if index >= cells {
            return;
        }
        let count = (index + 1 + cells - self.done) % cells;
        let count = if count == 0 { cells } else { count }.min(self.owned);
        self.done = self.place(count);
        self.owned -= count;
    }
}

/// What an activation has configured.
#[derive(Debug)]
struct Active {
    mtu: u32,
    tx: Vec<(Ring, Area)>,
    rx: Vec<([Ring; 2], Area)>,
}

impl Active {
    fn new(view: &SharedView, memory: &dyn GuestView) -> Self {
        let (tx_low, rx_low) = (TxDesc::LAYOUT.low("gen"), RxDesc::LAYOUT.low("gen"));
        let tx = view.tx.iter().map(|queue| {
            let conf = queue.conf();
            let comp = Area { pa: conf.comp_ring_base_pa(), cells: conf.comp_ring_size() };
            (Ring::new(conf.tx_ring_base_pa(), conf.tx_ring_size(), tx_low, memory), comp)
        });
        let rx = view.rx.iter().map(|queue| {
            let conf = queue.conf();
            let comp = Area { pa: conf.comp_ring_base_pa(), cells: conf.comp_ring_size() };
            let ring = |i: usize| Ring::new(conf.rx_ring_base_pa()[i], conf.rx_ring_size()[i], rx_low, memory);
            ([ring(0), ring(1)], comp)
        });
        Self { mtu: view.shared.misc().mtu(), tx: tx.collect(), rx: rx.collect() }
    }
}

/// Judges a trace while it is walked.
#[derive(Debug)]
struct Judge {
    registers: Registers,
    findings: Findings,
    active: Option<Active>,
    dsal: u32,
    shared: u64,
    version: Option<u32>,
    last: Option<Command>,
    /// Guest memory, where the trace names it.
    regions: Vec<(u64, u64)>,
    line: usize,
}

/// Holds a trace against the rules.
///
/// # Errors
/// When it cannot be followed.
pub fn judge(recording: &Recording) -> Result<Findings, ImportError> {
    let mut registers = Registers::new();
    registers.function_reset();
    registers.set_up();
    let judge = RefCell::new(Judge {
        registers,
        findings: Findings::default(),
        active: None,
        dsal: 0,
        shared: 0,
        version: None,
        last: None,
        regions: recording.trace.header.memory.clone(),
        line: 0,
    });
    let walked = walk(&recording.trace, Watcher(&judge), |place, _| judge.borrow_mut().at(place));
    walked.map_err(|error| ImportError::Follow { file: recording.file.clone(), error })?;
    let Judge { registers, findings, .. } = judge.into_inner();
    let mut all = registers.finish();
    all.list.extend(findings.list);
    Ok(all)
}

struct Watcher<'a>(&'a RefCell<Judge>);

impl Tap for Watcher<'_> {
    fn stimulus(&mut self, stimulus: Stimulus<'_>, memory: &dyn GuestView) {
        let judge = &mut *self.0.borrow_mut();
        match stimulus {
            Stimulus::RegisterWrite { bar, offset, value } => judge.write(bar, offset, value, memory),
            Stimulus::RegisterRead { bar, offset, value } => judge.read(bar, offset, value),
            Stimulus::GuestStore { pa, bytes } => judge.stored(pa, bytes.len(), memory),
            Stimulus::FunctionReset => {
                judge.registers.function_reset();
                (judge.active, judge.version, judge.shared) = (None, None, 0);
            }
            _ => {}
        }
    }

    fn effect(&mut self, effect: Effect<'_>, _: &dyn GuestView) {
        if let Effect::Publish { pa, cell } = effect {
            self.0.borrow_mut().completed(pa, cell);
        }
    }
}

impl Judge {
    /// The walk is here.
    fn at(&mut self, place: Place<'_>) {
        match place {
            Place::Call(step) => {
                self.line = step.line;
                match &step.call {
                    Call::Config { offset, bytes } => self.registers.config(usize::from(*offset), bytes),
                    Call::EnableMsix => self.registers.set_up(),
                    _ => {}
                }
            }
            Place::Effect(seen) => self.line = seen.line,
            Place::End(_) => {}
        }
    }

    fn write(&mut self, bar: Bar, offset: u32, value: u32, memory: &dyn GuestView) {
        self.registers.write(self.line, region(bar), offset, u64::from(value), 4);
        match (bar, Bar0::reached(offset, u8::MAX, true), Bar1::decode(offset)) {
            (Bar::Bar0, Some(register), _) => self.doorbell(register, memory),
            (Bar::Bar1, _, Some(Bar1::Vrrs)) if value != 0 => self.version = Some(32 - value.leading_zeros()),
            (Bar::Bar1, _, Some(Bar1::Dsal)) => self.dsal = value,
            (Bar::Bar1, _, Some(Bar1::Dsah)) => self.shared = u64::from(value) << 32 | u64::from(self.dsal),
            (Bar::Bar1, _, Some(Bar1::Cmd)) => {
                let command = Command::from(value);
                self.last = Some(command);
                match command {
                    Command::ActivateDev => self.activate(memory),
                    Command::QuiesceDev | Command::ResetDev => self.active = None,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, bar: Bar, offset: u32, value: u32) {
        self.registers.read(self.line, region(bar), offset, u64::from(value), 4);
        let answer = bar == Bar::Bar1 && Bar1::decode(offset) == Some(Bar1::Cmd);
        if answer && self.last == Some(Command::ActivateDev) && value != 0 {
            self.active = None;
        }
    }

    fn activate(&mut self, memory: &dyn GuestView) {
        self.active = None;
        let Some(view) = SharedView::read(memory, self.shared) else { return };
        config::judge(&view, &mut self.findings);
        self.active = Some(Active::new(&view, memory));
        self.look_at_rings();
        self.packets(memory);
    }

    fn doorbell(&mut self, register: Bar0, memory: &dyn GuestView) {
        let Some(active) = &self.active else { return };
        let (name, queue, queues) = match register {
            Bar0::TxProd(q) => ("TXPROD", q, active.tx.len()),
            Bar0::RxProd(q) => ("RXPROD", q, active.rx.len()),
            Bar0::RxProd2(q) => ("RXPROD2", q, active.rx.len()),
            Bar0::Imr(_) => return,
        };
        if usize::from(queue) >= queues {
            let place = format!("line {}", self.line);
            self.findings.add(&QUEUE_NUMBER, place, || format!("{name}[{queue}] of {queues} queues"));
        }
        self.packets(memory);
    }

    fn stored(&mut self, pa: u64, len: usize, memory: &dyn GuestView) {
        let Some(active) = &mut self.active else { return };
        let line = self.line;
        let mut touched = false;
        let mut look = |ring: &mut Ring, name: &dyn Fn() -> String, findings: &mut Findings| {
            if ring.area.touches(pa, len) {
                touched = true;
                if let Some(index) = ring.stored(pa, len, memory) {
                    let place = format!("line {line}");
                    findings.add(&CHANGED_OWNED, place, || format!("{} {index} stored again", name()));
                }
            }
        };
        for (q, (ring, _)) in active.tx.iter_mut().enumerate() {
            look(ring, &|| format!("tx[{q}].txRing"), &mut self.findings);
        }
        for (q, (rings, _)) in active.rx.iter_mut().enumerate() {
            for (r, ring) in rings.iter_mut().enumerate() {
                look(ring, &|| format!("rx[{q}].rxRing[{r}]"), &mut self.findings);
            }
        }
        if touched {
            self.look_at_rings();
            self.packets(memory);
        }
    }

    /// Buffers that were posted for receiving.
    fn look_at_rings(&mut self) {
        let Some(active) = &mut self.active else { return };
        for (q, (rings, _)) in active.rx.iter_mut().enumerate() {
            for (r, ring) in rings.iter_mut().enumerate() {
                while let Some(cell) = ring.posted(0) {
                    let desc = RxDesc(cell);
                    let (addr, len) = (desc.addr(), u64::from(desc.len()));
                    if outside(&self.regions, addr, len) {
                        let place = format!("line {}", self.line);
                        self.findings
                            .add(&BUFFER_OUTSIDE, place, || format!("rx[{q}].rxRing[{r}] names {addr:#x} + {len}"));
                    }
                    ring.hand_over(1);
                }
            }
        }
    }

    /// Packets that were posted whole.
    fn packets(&mut self, memory: &dyn GuestView) {
        let Some(active) = &mut self.active else { return };
        let rules = Rules { mtu: active.mtu, version: self.version };
        let mut descs = Vec::new();
        for (q, (ring, _)) in active.tx.iter_mut().enumerate() {
            while let Some(count) = gather(ring, &mut descs) {
                let place = format!("line {}, tx[{q}] {}", self.line, ring.place(ring.owned));
                let mut head = Vec::new();
                for desc in &descs {
                    let (addr, len) = (desc.addr(), desc.bytes() as u64);
                    if outside(&self.regions, addr, len) {
                        self.findings.add(&BUFFER_OUTSIDE, &place, || format!("names {addr:#x} + {len}"));
                    }
                    let wanted = (len as usize).min(HEAD - head.len().min(HEAD));
                    head.extend_from_slice(memory.slice(addr, wanted).unwrap_or_default());
                }
                packets::judge(&descs, &head, rules, &place, &mut self.findings);
                ring.hand_over(count);
            }
        }
    }

    fn completed(&mut self, pa: u64, cell: u128) {
        let Some(active) = &mut self.active else { return };
        for (ring, comp) in &mut active.tx {
            if comp.slot(pa).is_some() {
                return ring.completed(u32::from(TxCompDesc(cell).txd_idx()));
            }
        }
        let queues = active.rx.len() as u16;
        for (rings, comp) in &mut active.rx {
            if comp.slot(pa).is_some() {
                let comp = RxCompDesc(cell);
                let ring = usize::from(comp.rq_id() >= queues);
                return rings[ring].completed(u32::from(comp.rxd_idx()));
            }
        }
    }
}

/// The descriptors of the next whole packet, and how many.
fn gather(ring: &Ring, descs: &mut Vec<TxDesc>) -> Option<u32> {
    descs.clear();
    for ahead in 0..GATHERED as u32 {
        let desc = TxDesc(ring.posted(ahead)?);
        descs.push(desc);
        if desc.eop() {
            return Some(ahead + 1);
        }
    }
    None
}

/// Whether bytes lie outside the regions that a trace names; where it names none, nothing does.
fn outside(regions: &[(u64, u64)], pa: u64, len: u64) -> bool {
    let holds = |&(base, size): &(u64, u64)| pa >= base && pa - base <= size && len <= size - (pa - base);
    !regions.is_empty() && !regions.iter().any(holds)
}

fn region(bar: Bar) -> Region {
    match bar {
        Bar::Bar0 => Region::Bar0,
        Bar::Bar1 => Region::Bar1,
        Bar::Bar2 => Region::MsixTable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::Finding;
    use crate::trace::{self, Answer, Device, Setup, Step, Trace, What};
    use model::guest::script;
    use model::guest::vmxnet3::DriverConfig;
    use spec::profile::Profile;

    fn recorded() -> Trace {
        let setup = Setup {
            device: Device::Software,
            profile: &Profile::REFERENCE,
            config: DriverConfig {
                tx_ring: 32,
                tx_comp: 32,
                rx_ring: [32, 32],
                rx_comp: 64,
                rx_mode: 7,
                ..DriverConfig::default()
            },
            bytes: 4 << 20,
            seed: 3,
            origin: String::new(),
            date: String::new(),
        };
        // More packets and frames than the rings have descriptors.
        let ops = "send q0 len 60\nkick 0\noffer len 80\nsettle\n".repeat(80);
        let text = trace::record(&setup, &script::parse(&ops).unwrap(), Vec::new(), ()).unwrap();
        trace::parse(&text).unwrap()
    }

    fn step(call: Call<'static>) -> Step {
        Step { line: 1, call, effects: vec![], looks: vec![], answer: Answer::Done, answer_line: 1 }
    }

    fn found(trace: Trace) -> Vec<Finding> {
        judge(&Recording { file: "t".into(), trace }).unwrap().list().to_vec()
    }

    /// The call before the one that fetches the first TX descriptor, and where that lies.
    fn first_fetch(trace: &Trace) -> (usize, u64) {
        let fetch = |step: &Step| {
            step.effects.iter().find_map(|seen| if let What::Fetch { pa, .. } = seen.what { Some(pa) } else { None })
        };
        trace.steps.iter().enumerate().find_map(|(i, step)| Some((i, fetch(step)?))).unwrap()
    }

    #[test]
    fn the_modelled_driver_keeps_every_rule_over_many_laps() {
        assert_eq!(found(recorded()), []);
    }

    #[test]
    fn a_descriptor_that_changes_while_the_device_owns_it_is_found() {
        let mut trace = recorded();
        let (at, pa) = first_fetch(&trace);
        trace.steps.insert(at, step(Call::Store { pa, bytes: vec![0xff; 4].into() }));
        let rules: Vec<_> = found(trace).iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [CHANGED_OWNED.id]);
    }

    #[test]
    fn a_doorbell_of_no_queue_is_found() {
        let mut trace = recorded();
        let (at, _) = first_fetch(&trace);
        let offset = Bar0::TxProd(7).offset();
        trace.steps.insert(at, step(Call::Write { bar: Bar::Bar0, offset, value: 0 }));
        let found = found(trace);
        assert_eq!((found.len(), found[0].what.as_str()), (1, "TXPROD[7] of 1 queues"));
    }

    #[test]
    fn a_buffer_outside_memory_is_found() {
        let mut trace = recorded();
        let (at, pa) = first_fetch(&trace);
        // The doorbell comes just before the run that fetches.
        let doorbell = trace.steps[..at].iter().rposition(|step| matches!(step.call, Call::Write { .. })).unwrap();
        let post = trace.steps[..doorbell]
            .iter()
            .rposition(|step| matches!(&step.call, Call::Store { pa: to, .. } if *to == pa));
        let bytes = (1u64 << 40).to_le_bytes().to_vec();
        trace.steps[post.unwrap()] = step(Call::Store { pa, bytes: bytes.into() });
        let rules: Vec<_> = found(trace).iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [BUFFER_OUTSIDE.id]);
    }
}
