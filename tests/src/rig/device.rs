//! The device behind a bench: one of our models with everything visible, or somebody else's behind the face of a [`Dut`].

use super::tape::Tape;
use super::watch::{Seen, Watch};
use golden::dut::{self, Dut, Lack, Trouble};
use golden::trace::{Answer, Call, Header, What, apply};
use model::machine::{Action, Machine, ROUNDS, System};
use model::memory::Memory;
use model::migrate::Plan;
use model::pci::{Pci, command};
use spec::event::Bar;
use spec::vmxnet3::Interrupts;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

/// Steps of the devices between two looks at what else could happen.
const BURST: u32 = 4096;

/// One of our models, and who watches it.
#[derive(Clone, Debug)]
pub struct Inside {
    /// The machine; its own driver stays idle.
    pub machine: Machine,
    /// Who watches.
    pub watch: Watch,
    stuck: Option<&'static str>,
}

impl Inside {
    pub(super) fn new(machine: Machine, watch: Watch) -> Self {
        Self { machine, watch, stuck: None }
    }

    /// Does one thing that can happen.
    pub fn act(&mut self, action: Action) {
        self.beside();
        self.machine.act(action, &mut self.watch);
    }

    /// What is done to it next is no call that a trace can hold.
    fn beside(&self) {
        if let Some(tape) = &self.watch.tape {
            tape.beside();
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Answer {
        let answer = apply(call, &mut self.machine.system, &mut self.watch);
        if let Some(tape) = &self.watch.tape {
            tape.call(call, answer);
        }
        answer
    }

    /// Until the vCPUs run: a command on the adapter blocks them.
    fn wait(&mut self) {
        for _ in 0..ROUNDS {
            if self.machine.system.vcpus_run() {
                return;
            }
            self.call(&Call::Step { budget: 1 });
        }
        self.stuck.get_or_insert("a command never ended");
    }

    fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        let mut tries = 0;
        while !self.call(&Call::Write { bar, offset, value }).is_done() {
            self.call(&Call::Step { budget: 1 });
            tries += 1;
            if tries > ROUNDS {
                self.stuck.get_or_insert("a register write never found room");
                return;
            }
        }
        self.wait();
    }

    fn read(&mut self, bar: Bar, offset: u32) -> u32 {
        self.wait();
        self.call(&Call::Read { bar, offset }).value().unwrap_or_else(|| {
            self.stuck.get_or_insert("a register read never completed");
            0
        })
    }

    /// Lets everything happen that waits for no time, and takes every message for the guest, until nothing is left to happen.
    fn work(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let mut busy = self.call(&Call::Run { budget: BURST }) == Answer::Value(1);
            if !self.machine.system.vcpus_run() || self.machine.system.switching() {
                self.call(&Call::Step { budget: 1 });
                busy = true;
            }
            while self.machine.system.vcpus_run() && self.machine.system.messages() != 0 {
                let vector = self.machine.system.messages().trailing_zeros() as u16;
                self.call(&Call::Message { vector });
                busy = true;
            }
            if !busy {
                return true;
            }
        }
        self.stuck.get_or_insert("the machine never came to rest");
        false
    }

    /// The same, and lets time go on where something waits for it.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if !self.work() {
                return;
            }
            let Some(ns) = self.machine.system.wait_ns() else {
                self.call(&Call::Idle);
                return;
            };
            self.call(&Call::Advance { ns });
        }
        self.stuck.get_or_insert("something waited for time without an end");
    }

    /// Lets `ns` go on, in which everything happens that can.
    fn pass(&mut self, ns: u64) {
        let mut left = ns;
        while self.work() && left > 0 {
            let step = self.machine.system.wait_ns().map_or(left, |wait| wait.clamp(1, left));
            self.call(&Call::Advance { ns: step });
            left -= step;
        }
    }
}

/// Somebody else's device: seen from outside, with a copy of guest memory that is taken when it is asked for.
pub struct Foreign<'d> {
    dut: RefCell<Box<dyn Dut + 'd>>,
    /// The region of guest memory that is looked at, as it is now; empty when it may have changed.
    now: OnceCell<Memory>,
    /// The same as it was when the record was last taken, with what the guest stored since.
    before: Memory,
    base: u64,
    bytes: usize,
    seen: Vec<Seen>,
    trouble: RefCell<Option<Trouble>>,
    tape: Option<Taped>,
}

/// A tape, and guest memory as it has been told there.
struct Taped {
    tape: Tape,
    told: RefCell<Memory>,
}

impl std::fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Foreign({}, {:?})", self.dut.borrow().about().name, self.trouble.borrow())
    }
}

impl<'d> Foreign<'d> {
    /// `dut` with `bytes` of its guest memory, all of them `poison`.
    pub(super) fn new(dut: Box<dyn Dut + 'd>, bytes: usize, poison: u8) -> Self {
        let base = dut.about().base;
        let mut before = Memory::new(&[(base, bytes)]);
        let foreign = Self {
            dut: RefCell::new(dut),
            now: OnceCell::new(),
            before: Memory::default(),
            base,
            bytes,
            seen: Vec::new(),
            trouble: RefCell::new(None),
            tape: None,
        };
        if let Ok(all) = before.bytes_mut(base, bytes) {
            all.fill(poison);
            foreign.ask(|dut| dut.store(base, all));
        }
        Self { before, ..foreign }
    }

    /// Asks the device; after the first trouble nothing is asked any more.
    fn ask<T: Default>(&self, question: impl FnOnce(&mut dyn Dut) -> Result<T, Trouble>) -> T {
        if self.trouble.borrow().is_some() {
            return T::default();
        }
        question(&mut **self.dut.borrow_mut()).unwrap_or_else(|trouble| {
            *self.trouble.borrow_mut() = Some(trouble);
            T::default()
        })
    }

    /// As [`Foreign::ask`], of something that may change guest memory.
    fn tell<T: Default>(&mut self, order: impl FnOnce(&mut dyn Dut) -> Result<T, Trouble>) -> T {
        self.now.take();
        self.ask(order)
    }

    fn memory(&self) -> &Memory {
        if self.now.get().is_none() && self.look() {
            self.heard(&Call::Idle, Answer::Done);
        }
        self.copy()
    }

    /// Guest memory as it is now.
    fn copy(&self) -> &Memory {
        self.now.get_or_init(|| {
            let mut memory = self.before.clone();
            if let Ok(bytes) = memory.bytes_mut(self.base, self.bytes) {
                self.ask(|dut| dut.load(self.base, bytes));
            }
            memory
        })
    }

    /// Tells the tape what has changed in memory since it was told last; true: something has.
    fn look(&self) -> bool {
        let Some(Taped { tape, told }) = &self.tape else { return false };
        let (told, now) = (&mut *told.borrow_mut(), self.copy());
        let runs = self.runs(told, now);
        for &(pa, len) in &runs {
            tape.effect(What::Write { pa, bytes: now.bytes(pa, len).map(<[u8]>::to_vec).unwrap_or_default() });
        }
        told.clone_from(now);
        !runs.is_empty()
    }

    fn load(&self, pa: u64, into: &mut [u8]) -> bool {
        let end = self.base + self.bytes as u64;
        let inside = pa >= self.base && pa.checked_add(into.len() as u64).is_some_and(|last| last <= end);
        match self.now.get() {
            _ if !inside => return false,
            None if self.tape.is_none() => self.ask(|dut| dut.load(pa, into)),
            _ => into.copy_from_slice(self.memory().bytes(pa, into.len()).unwrap_or_default()),
        }
        true
    }

    fn store(&mut self, pa: u64, bytes: &[u8]) -> bool {
        let Ok(copy) = self.before.bytes_mut(pa, bytes.len()) else { return false };
        copy.copy_from_slice(bytes);
        if let Some(copy) = self.now.get_mut().and_then(|now| now.bytes_mut(pa, bytes.len()).ok()) {
            copy.copy_from_slice(bytes);
        }
        if let Some(Taped { told, .. }) = &self.tape
            && let Ok(copy) = told.borrow_mut().bytes_mut(pa, bytes.len())
        {
            copy.copy_from_slice(bytes);
        }
        self.ask(|dut| dut.store(pa, bytes));
        true
    }

    fn settle(&mut self) {
        let mut news = Vec::new();
        self.tell(|dut| dut.settle(&mut news));
        self.news(news, &Call::Run { budget: 0 });
    }

    fn pass(&mut self, ns: u64) {
        let mut news = Vec::new();
        self.tell(|dut| dut.advance(ns, &mut news));
        self.news(news, &Call::Advance { ns });
    }

    /// What it did, by `call`.
    fn news(&mut self, news: Vec<dut::Seen>, call: &Call<'_>) {
        if let Some(Taped { tape, .. }) = &self.tape {
            news.iter().for_each(|seen| tape.effect(seen.clone().into()));
            self.look();
        }
        self.heard(call, Answer::Done);
        self.seen.extend(news.into_iter().map(|seen| match seen {
            dut::Seen::Sent(frame) => Seen::Sent(0, frame),
            dut::Seen::Vector(vector) => Seen::Vector(vector),
            dut::Seen::Line(asserted) => Seen::Line(asserted),
        }));
    }

    /// Keeps what was said to it.
    fn heard(&self, call: &Call<'_>, answer: Answer) {
        if let Some(Taped { tape, .. }) = &self.tape {
            tape.call(call, answer);
        }
    }

    /// What cannot be seen of it is needed: the conversation is over.
    fn need(&self, lack: Lack) {
        let mut trouble = self.trouble.borrow_mut();
        if trouble.is_none() && self.dut.borrow().cannot().contains(&lack) {
            *trouble = Some(Trouble::Cannot(lack));
        }
    }

    /// Where memory is not as it was, a run of bytes an entry.
    fn changes(&self) -> Vec<(u64, usize)> {
        self.runs(&self.before, self.memory())
    }

    /// The same, from one copy to another.
    fn runs(&self, before: &Memory, now: &Memory) -> Vec<(u64, usize)> {
        let (Ok(before), Ok(now)) = (before.bytes(self.base, self.bytes), now.bytes(self.base, self.bytes)) else {
            return Vec::new();
        };
        let mut runs: Vec<(u64, usize)> = Vec::new();
        for (at, _) in before.iter().zip(now).enumerate().filter(|(_, (old, new))| old != new) {
            let pa = self.base + at as u64;
            match runs.last_mut() {
                Some((start, len)) if *start + *len as u64 == pa => *len += 1,
                _ => runs.push((pa, 1)),
            }
        }
        runs
    }
}

/// The device behind a bench.
#[derive(Debug)]
pub enum Device<'d> {
    /// One of our models.
    Ours(Box<Inside>),
    /// Somebody else's.
    Theirs(Box<Foreign<'d>>),
}

/// What a device holds, as far as one can look: equal states answer alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it.
    Whole(Box<System>),
    /// Guest memory and the registers that may be read without a consequence.
    Visible(Memory, Vec<u32>),
}

impl Device<'_> {
    /// Keeps on `tape` what is said to the device from here on; `header` says what it is.
    pub(super) fn record(&mut self, tape: Tape, header: Header) {
        match self {
            Self::Ours(inside) => {
                tape.begin(header, true);
                inside.watch.tape = Some(tape);
            }
            Self::Theirs(foreign) => {
                tape.begin(Header { outside: foreign.dut.borrow().about().identity.clone(), ..header }, true);
                foreign.tape = Some(Taped { tape, told: RefCell::new(foreign.before.clone()) });
            }
        }
    }

    /// The conversation needs something that a device may lack.
    pub(super) fn need(&self, lack: Lack) {
        if let Self::Theirs(foreign) = self {
            foreign.need(lack);
        }
    }

    /// Asks for a switch between the bodies. False: one is under way already, or a command is.
    ///
    /// # Panics
    /// As [`Device::inside`].
    pub fn switch(&mut self, plan: Plan) -> bool {
        match self {
            Self::Ours(inside) => inside.call(&Call::Switch { plan }).is_done(),
            Self::Theirs(foreign) => panic!("{foreign:?} has one body"),
        }
    }

    /// The wire becomes ready or busy. A foreign device's is always ready.
    pub fn wire(&mut self, ready: bool) {
        if let Self::Ours(inside) = self {
            inside.call(&Call::Wire { ready });
        }
    }

    /// One of our models.
    ///
    /// # Panics
    /// When it is somebody else's: a case that looks inside says so by `Need::Inside`, and is not run then.
    pub fn inside(&mut self) -> &mut Inside {
        match self {
            Self::Ours(inside) => {
                inside.beside();
                inside
            }
            Self::Theirs(foreign) => panic!("{foreign:?} cannot be looked into"),
        }
    }

    /// As [`Device::inside`].
    ///
    /// # Panics
    /// As [`Device::inside`].
    pub fn system(&self) -> &System {
        match self {
            Self::Ours(inside) => &inside.machine.system,
            Self::Theirs(foreign) => panic!("{foreign:?} cannot be looked into"),
        }
    }

    /// Guest memory.
    pub fn memory(&self) -> &Memory {
        match self {
            Self::Ours(inside) => inside.machine.system.memory(),
            Self::Theirs(foreign) => foreign.memory(),
        }
    }

    /// Copies guest memory; false outside it.
    pub fn load(&self, pa: u64, into: &mut [u8]) -> bool {
        match self {
            Self::Ours(inside) => {
                let found = inside.machine.system.memory().bytes(pa, into.len());
                found.map(|bytes| into.copy_from_slice(bytes)).is_ok()
            }
            Self::Theirs(foreign) => foreign.load(pa, into),
        }
    }

    /// Stores to guest memory; false outside it.
    pub fn store(&mut self, pa: u64, bytes: &[u8]) -> bool {
        match self {
            Self::Ours(inside) => inside.call(&Call::Store { pa, bytes: Cow::Borrowed(bytes) }).is_done(),
            Self::Theirs(foreign) => {
                let stored = foreign.store(pa, bytes);
                foreign.heard(&Call::Store { pa, bytes: Cow::Borrowed(bytes) }, stored.into());
                stored
            }
        }
    }

    /// Reads a register.
    pub fn read(&mut self, bar: Bar, offset: u32) -> u32 {
        match self {
            Self::Ours(inside) => inside.read(bar, offset),
            Self::Theirs(foreign) => {
                let value = foreign.tell(|dut| dut.read(bar, offset, 4)) as u32;
                foreign.heard(&Call::Read { bar, offset }, Answer::Value(value));
                value
            }
        }
    }

    /// Writes a register, waiting for room and for the command that it may start.
    pub fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        match self {
            Self::Ours(inside) => inside.write(bar, offset, value),
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.write(bar, offset, 4, u64::from(value)));
                foreign.heard(&Call::Write { bar, offset, value }, Answer::Done);
            }
        }
    }

    /// Lets everything happen that can.
    pub fn settle(&mut self) {
        match self {
            Self::Ours(inside) => inside.settle(),
            Self::Theirs(foreign) => foreign.settle(),
        }
    }

    /// Lets `ns` nanoseconds go on, in which everything happens that can; with 0 what waits for no time.
    pub fn pass(&mut self, ns: u64) {
        match self {
            Self::Ours(inside) => inside.pass(ns),
            Self::Theirs(foreign) => foreign.pass(ns),
        }
    }

    /// A frame reaches the uplink.
    pub fn offer(&mut self, frame: &[u8]) {
        match self {
            Self::Ours(inside) => {
                inside.call(&Call::Offer { frame: Cow::Borrowed(frame) });
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.offer(frame));
                foreign.heard(&Call::Offer { frame: Cow::Borrowed(frame) }, Answer::Done);
            }
        }
    }

    /// The link goes up or down.
    pub fn link(&mut self, up: bool) {
        match self {
            Self::Ours(inside) => {
                inside.call(&Call::Link { up });
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.link(up));
                foreign.heard(&Call::Link { up }, Answer::Done);
            }
        }
    }

    /// The kernel changes over to another kind of interrupts; the driver is to activate the device again.
    pub fn interrupts(&mut self, kind: Interrupts) {
        match self {
            Self::Ours(inside) => {
                for (offset, word) in Pci::choice(kind) {
                    inside.call(&Call::Config { offset, bytes: Cow::Borrowed(&word.to_le_bytes()) });
                }
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.interrupts(kind));
                for (offset, word) in Pci::choice(kind) {
                    foreign.heard(&Call::Config { offset, bytes: Cow::Borrowed(&word.to_le_bytes()) }, Answer::Done);
                }
            }
        }
    }

    /// Bus mastering goes on or off; memory decode stays on.
    pub fn bus_master(&mut self, on: bool) {
        match self {
            Self::Ours(inside) => {
                inside.call(&mastering(on));
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.bus_master(on));
                foreign.heard(&mastering(on), Answer::Done);
            }
        }
    }

    /// Reads the dword of configuration space at `offset`.
    pub fn config(&mut self, offset: u8) -> u32 {
        match self {
            Self::Ours(inside) => {
                let mut word = [0; 4];
                inside.machine.system.config_read(offset.into(), &mut word);
                u32::from_le_bytes(word)
            }
            Self::Theirs(foreign) => foreign.ask(|dut| dut.config(offset)),
        }
    }

    /// Writes the dword of configuration space at `offset`.
    pub fn set_config(&mut self, offset: u8, value: u32) {
        match self {
            Self::Ours(inside) => {
                inside.call(&Call::Config { offset: offset.into(), bytes: Cow::Borrowed(&value.to_le_bytes()) });
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.set_config(offset, value));
                let bytes = Cow::Owned(value.to_le_bytes().to_vec());
                foreign.heard(&Call::Config { offset: offset.into(), bytes }, Answer::Done);
            }
        }
    }

    /// A bus reset, and what the kernel sets up behind it.
    pub fn function_reset(&mut self) {
        match self {
            Self::Ours(inside) => {
                inside.call(&Call::FunctionReset);
                inside.call(&Call::EnableMsix);
            }
            Self::Theirs(foreign) => {
                foreign.tell(|dut| dut.reset());
                foreign.heard(&Call::FunctionReset, Answer::Done);
            }
        }
    }

    /// What it did since the last call, as far as known: a foreign one tells sooner or later, when it is let settle.
    pub fn seen(&self) -> &[Seen] {
        match self {
            Self::Ours(inside) => &inside.watch.seen,
            Self::Theirs(foreign) => &foreign.seen,
        }
    }

    /// Takes the record. Of a foreign device it holds the places of guest memory that have changed.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        match self {
            Self::Ours(inside) => core::mem::take(&mut inside.watch.seen),
            Self::Theirs(foreign) => {
                foreign.settle();
                let changes = foreign.changes();
                let writes = changes.into_iter().map(|(pa, len)| Seen::Write(pa, len));
                let mut all = core::mem::take(&mut foreign.seen);
                all.extend(writes);
                foreign.before = foreign.memory().clone();
                all
            }
        }
    }

    /// Whether it wrote guest memory since the record was last taken.
    pub fn wrote(&self) -> bool {
        match self {
            Self::Ours(inside) => inside.watch.seen.iter().any(|seen| matches!(seen, Seen::Write(..))),
            Self::Theirs(foreign) => !foreign.changes().is_empty(),
        }
    }

    /// What it holds.
    pub fn state(&mut self, registers: &[(Bar, u32)]) -> State {
        match self {
            Self::Ours(inside) => State::Whole(Box::new(inside.machine.system.clone())),
            Self::Theirs(_) => {
                let values = registers.iter().map(|&(bar, offset)| self.read(bar, offset)).collect();
                State::Visible(self.memory().clone(), values)
            }
        }
    }

    /// What one of our models did not get done.
    pub fn stuck(&self) -> Option<&'static str> {
        match self {
            Self::Ours(inside) => inside.stuck,
            Self::Theirs(_) => None,
        }
    }

    /// What ended the conversation with somebody else's, and how to repeat it.
    pub fn trouble(&self) -> Option<(Trouble, String)> {
        match self {
            Self::Ours(_) => None,
            Self::Theirs(foreign) => {
                let trouble = foreign.trouble.borrow().clone()?;
                Some((trouble, foreign.dut.borrow().script()))
            }
        }
    }

    /// The conversation so far in a foreign device's own words.
    pub fn script(&self) -> String {
        match self {
            Self::Ours(_) => String::new(),
            Self::Theirs(foreign) => foreign.dut.borrow().script(),
        }
    }
}

/// The write that turns bus mastering on or off; memory decode stays on.
fn mastering(on: bool) -> Call<'static> {
    let word = command::MEMORY | if on { command::BUS_MASTER } else { 0 };
    Call::Config { offset: 4, bytes: Cow::Owned(word.to_le_bytes().to_vec()) }
}
