//! The scripted guest: it writes structures, posts packets and buffers, and reads back what the device did. Nothing here happens
//! unless a case says so.

mod setup;
mod watch;

use crate::case::Target;
use model::guest::vmxnet3::{Driver, DriverConfig, Layout};
use model::machine::{Action, BASE, Machine, Mode, ROUNDS, System};
use model::memory::Memory;
use model::migrate::{Outcome, Plan, Policy, TxMode};
use model::mutant::Planted;
pub use setup::Setup;
use spec::event::Bar;
use spec::frame;
use spec::layout::Bytes;
use spec::monitor::{Judges, Verdict};
use spec::position::RingIndex;
use spec::profile::{Deviation, Deviations, Profile};
use spec::vmxnet3::command::{ecr, rx_mode};
use spec::vmxnet3::shared::ECR_OFFSET;
use spec::vmxnet3::{
    Bar0, Bar1, CELL_BYTES, Command, DriverShared, RxCompDesc, RxDesc, RxQueueDesc, SHARED_BYTES_V1, TxCompDesc,
    TxDesc, TxQueueDesc,
};
pub use watch::{Seen, Watch};

/// The address that the adapter's maker gave the device; the guest's own differs.
pub const PERMANENT: [u8; 6] = [0x00, 0x0c, 0x29, 0x12, 0x34, 0x56];
/// Where frames from outside come from.
pub const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];
/// What memory holds that nobody wrote.
const POISON: u8 = 0xa5;
/// Key of generated frames.
const SEED: u64 = 0x5eed;

/// The guest's side of a TX queue.
#[derive(Clone, Copy, Debug, Default)]
struct TxSide {
    next: RingIndex,
    comp: RingIndex,
}

/// The guest's side of an RX queue.
#[derive(Clone, Copy, Debug, Default)]
struct RxSide {
    fill: [RingIndex; 2],
    comp: RingIndex,
}

/// A device and the guest that talks to it.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The machine; its own driver stays idle.
    pub machine: Machine,
    /// Who watches.
    pub watch: Watch,
    /// Where the guest's structures lie.
    pub layout: Layout,
    /// What it is told to be.
    pub config: DriverConfig,
    /// Which body [`Bench::start`] leads to.
    pub target: Target,
    /// Bytes of an entry of the TX data rings that structures name; 0 leaves them out.
    pub tx_data_bytes: u16,
    version: u8,
    profile: &'static Profile,
    tx: Vec<TxSide>,
    rx: Vec<RxSide>,
    next_id: u64,
    stuck: Option<&'static str>,
}

/// Bits that stand for "accept everything addressed to us".
pub const ADDRESSED: u32 = rx_mode::UCAST | rx_mode::MCAST | rx_mode::BCAST;

impl Bench {
    /// A device built as `device`, at power-on; the guest expects `profile`.
    pub fn new(
        profile: &'static Profile,
        device: &'static Profile,
        planted: Planted,
        target: Target,
        setup: &Setup,
    ) -> Self {
        let Setup { config, bytes, judged } = setup;
        let Ok(layout) = Layout::plan(config, BASE, *bytes as u64) else {
            unreachable!("the structures of a case fit its memory")
        };
        let mut memory = Memory::new(&[(BASE, *bytes)]);
        if let Ok(all) = memory.bytes_mut(BASE, *bytes) {
            all.fill(POISON);
        }
        let mut system = System::new(device, memory, PERMANENT);
        system.plant(planted);
        let plain = profile.deviations == Deviations::NONE;
        let driver = Driver::new(config.clone(), layout.clone());
        Self {
            machine: Machine::new(system, driver),
            watch: Watch { judges: (*judged && plain).then(Judges::snoop), seen: Vec::new() },
            tx: vec![TxSide::default(); layout.tx.len()],
            rx: vec![RxSide::default(); layout.rx.len()],
            layout,
            config: config.clone(),
            target,
            tx_data_bytes: 0,
            version: 1,
            profile,
            next_id: 1,
            stuck: None,
        }
    }

    /// What the judges found, if any watch.
    pub fn verdict(&self) -> Option<Verdict> {
        self.watch.judges.as_ref().map(Judges::verdict)
    }

    /// What the device did not get done.
    pub fn stuck(&self) -> Option<&'static str> {
        self.stuck
    }

    /// The system.
    pub fn system(&self) -> &System {
        &self.machine.system
    }

    /// Guest memory.
    pub fn memory(&self) -> &Memory {
        self.machine.system.memory()
    }

    /// What the device did since the last call.
    pub fn seen(&mut self) -> Vec<Seen> {
        core::mem::take(&mut self.watch.seen)
    }

    /// Vectors raised since the last call of [`Bench::seen`].
    pub fn raised(&self, vector: u16) -> u64 {
        self.watch.seen.iter().filter(|seen| **seen == Seen::Vector(vector)).count() as u64
    }

    /// Frames sent since the last call of [`Bench::seen`].
    pub fn sent(&self) -> Vec<&[u8]> {
        let mut frames = Vec::new();
        for seen in &self.watch.seen {
            if let Seen::Sent(_, frame) = seen {
                frames.push(&frame[..]);
            }
        }
        frames
    }

    /// Whether the device wrote guest memory since the last call of [`Bench::seen`].
    pub fn wrote(&self) -> bool {
        self.watch.seen.iter().any(|seen| matches!(seen, Seen::Write(..)))
    }

    /// Lets everything happen that can.
    pub fn settle(&mut self) {
        if !self.machine.settle(&mut self.watch, ROUNDS) {
            self.stuck.get_or_insert("the machine never came to rest");
        }
    }

    /// Writes a register, waiting for room and for the command that it may start.
    pub fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        let mut tries = 0;
        while !self.machine.system.guest_write(bar, offset, value, &mut self.watch) {
            self.push();
            tries += 1;
            if tries > ROUNDS {
                self.stuck.get_or_insert("a register write never found room");
                return;
            }
        }
        self.wait();
    }

    /// One step of every part of the adapter.
    fn push(&mut self) {
        let mut actions = Vec::new();
        self.machine.actions(&mut actions);
        for action in actions {
            if matches!(action, Action::Phase | Action::Adapter(_)) {
                self.machine.act(action, &mut self.watch);
            }
        }
    }

    fn wait(&mut self) {
        for _ in 0..ROUNDS {
            if self.machine.system.vcpus_run() {
                return;
            }
            self.push();
        }
        self.stuck.get_or_insert("a command never ended");
    }

    /// Reads a register.
    pub fn read(&mut self, bar: Bar, offset: u32) -> u32 {
        self.wait();
        let value = self.machine.system.guest_read(bar, offset, &mut self.watch);
        value.unwrap_or_else(|| {
            self.stuck.get_or_insert("a register read never completed");
            0
        })
    }

    /// Writes a register of BAR0.
    pub fn write0(&mut self, register: Bar0, value: u32) {
        self.write(Bar::Bar0, register.offset(), value);
    }

    /// Reads a register of BAR0.
    pub fn read0(&mut self, register: Bar0) -> u32 {
        self.read(Bar::Bar0, register.offset())
    }

    /// Writes a register of BAR1.
    pub fn write1(&mut self, register: Bar1, value: u32) {
        self.write(Bar::Bar1, register.offset(), value);
    }

    /// Reads a register of BAR1.
    pub fn read1(&mut self, register: Bar1) -> u32 {
        self.read(Bar::Bar1, register.offset())
    }

    /// Runs a command and reads its answer.
    pub fn command(&mut self, command: Command) -> u32 {
        self.write1(Bar1::Cmd, command.code());
        self.read1(Bar1::Cmd)
    }

    /// Stores to guest memory.
    pub fn store(&mut self, pa: u64, bytes: &[u8]) {
        if self.machine.system.guest_store(pa, bytes, &mut self.watch).is_err() {
            self.stuck.get_or_insert("the case stores outside memory");
        }
    }

    /// Stores a declared value.
    pub fn put<T: Bytes>(&mut self, pa: u64, value: T) {
        let mut bytes = vec![0; T::SIZE];
        value.put(&mut bytes);
        self.store(pa, &bytes);
    }

    /// Loads a declared value.
    pub fn get<T: Bytes + Default>(&self, pa: u64) -> T {
        self.memory().get(pa).unwrap_or_default()
    }

    /// Changes the shared area.
    pub fn shared(&mut self, change: impl FnOnce(&mut DriverShared)) {
        let pa = self.layout.shared;
        let mut shared: DriverShared = self.get(pa);
        change(&mut shared);
        self.store(pa, &shared.0[..SHARED_BYTES_V1 as usize]);
    }

    /// Changes the descriptor of a TX queue.
    pub fn tx_desc(&mut self, queue: usize, change: impl FnOnce(&mut TxQueueDesc)) {
        let pa = self.layout.tx_queue_desc(queue);
        let mut desc: TxQueueDesc = self.get(pa);
        change(&mut desc);
        self.store(pa, &desc.0);
    }

    /// Changes the descriptor of an RX queue.
    pub fn rx_desc(&mut self, queue: usize, change: impl FnOnce(&mut RxQueueDesc)) {
        let pa = self.layout.rx_queue_desc(queue);
        let mut desc: RxQueueDesc = self.get(pa);
        change(&mut desc);
        self.store(pa, &desc.0);
    }

    /// Writes every structure, empties every ring and posts every buffer but one a ring.
    pub fn write_structures(&mut self) {
        let (layout, config) = (self.layout.clone(), self.config.clone());
        self.store(layout.shared, &layout.shared_image(&config).0[..SHARED_BYTES_V1 as usize]);
        for q in 0..layout.tx.len() {
            self.store(
                layout.tx_queue_desc(q),
                &layout.tx_queue_image_with(&config, q, self.version, self.tx_data_bytes).0,
            );
            let area = layout.tx[q];
            self.zero(area.ring, area.ring_size);
            self.zero(area.comp, area.comp_size);
            self.tx[q] = TxSide::default();
        }
        for q in 0..layout.rx.len() {
            self.store(layout.rx_queue_desc(q), &layout.rx_queue_image_with(&config, q, self.version).0);
            let area = layout.rx[q];
            self.zero(area.comp, area.comp_size);
            self.rx[q] = RxSide::default();
            for ring in 0..2 {
                self.zero(area.ring[ring], area.ring_size[ring]);
                for _ in 1..area.ring_size[ring] {
                    self.post_buffer(q, ring);
                }
            }
        }
        if let Some(rss) = layout.rss_image(&config) {
            self.store(layout.rss, &rss.0);
        }
    }

    fn zero(&mut self, pa: u64, cells: u32) {
        if cells > 0 {
            self.store(pa, &vec![0; cells as usize * CELL_BYTES as usize]);
        }
    }

    /// Address of the buffer behind a cell.
    fn rx_buffer(&self, queue: usize, ring: usize, index: u32) -> u64 {
        let each = u64::from(self.config.rx_buffer_stride(ring));
        self.layout.rx[queue].buffers[ring] + u64::from(index) * each
    }

    /// Gives the next buffer of a ring to the device.
    fn post_buffer(&mut self, queue: usize, ring: usize) {
        let at = self.rx[queue].fill[ring];
        let area = self.layout.rx[queue];
        let mut desc = RxDesc::default();
        desc.set_addr(self.rx_buffer(queue, ring, at.index()));
        desc.set_len(self.config.rx_buffer_bytes(ring, at.index()));
        desc.set_btype(!self.config.is_head(ring, at.index()));
        desc.set_generation(at.generation());
        self.store(area.ring[ring] + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.rx[queue].fill[ring] = at.next(area.ring_size[ring]);
    }

    /// Writes an address to the device.
    pub fn set_mac(&mut self, mac: [u8; 6]) {
        self.write1(Bar1::Macl, u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]));
        self.write1(Bar1::Mach, u32::from_le_bytes([mac[4], mac[5], 0, 0]));
    }

    /// The address that MACL and MACH show, all eight bytes.
    pub fn mac(&mut self) -> u64 {
        u64::from(self.read1(Bar1::Macl)) | u64::from(self.read1(Bar1::Mach)) << 32
    }

    /// Selects an interface version; structures are written as that version has them from then on.
    pub fn select(&mut self, version: u8) {
        self.version = version;
        self.write1(Bar1::Vrrs, 1 << (version - 1));
    }

    /// Installs a shared address.
    pub fn set_shared(&mut self, pa: u64) {
        self.write1(Bar1::Dsal, pa as u32);
        self.write1(Bar1::Dsah, (pa >> 32) as u32);
    }

    /// Everything before ACTIVATE_DEV: structures, address, shared area.
    pub fn prepare(&mut self) {
        self.write_structures();
        let mac = self.config.mac;
        self.set_mac(mac);
        let shared = self.layout.shared;
        self.set_shared(shared);
    }

    /// ACTIVATE_DEV and its answer. Where that restores the permanent address, the guest writes its own again.
    pub fn activate(&mut self) -> u32 {
        let answer = self.command(Command::ActivateDev);
        if self.profile.has(Deviation::ActivateRestoresMac) {
            let mac = self.config.mac;
            self.set_mac(mac);
        }
        answer
    }

    /// Brings the device up on its target.
    pub fn start(&mut self) {
        self.prepare();
        if self.activate() != 0 {
            self.stuck.get_or_insert("ACTIVATE_DEV refused a plain configuration");
        }
        self.to_target();
    }

    /// Activates again with fresh rings, and goes to the target.
    pub fn restart(&mut self) -> u32 {
        self.write_structures();
        let answer = self.activate();
        if answer == 0 {
            self.to_target();
        }
        answer
    }

    /// Goes into hardware where that is the target.
    pub fn to_target(&mut self) {
        if self.target == Target::Adapter && self.switch(Plan::enter(TxMode::Drain)) != Some(Outcome::Done) {
            self.stuck.get_or_insert("the switch into hardware was not made");
        }
    }

    /// Comes back to software.
    pub fn leave(&mut self) -> bool {
        self.switch(Plan::leave(TxMode::Drain, Policy::C)) == Some(Outcome::Done)
    }

    /// Makes a switch and settles.
    pub fn switch(&mut self, plan: Plan) -> Option<Outcome> {
        self.settle();
        if !self.machine.switch(plan) {
            return None;
        }
        self.settle();
        self.system().last_switch()
    }

    /// Whether the adapter backs the guest.
    pub fn in_hardware(&self) -> bool {
        self.system().mode() == Mode::Hardware
    }

    /// The next TX cell of a queue, published with `desc` and the generation due there.
    pub fn post_cell(&mut self, queue: usize, mut desc: TxDesc) -> u32 {
        let at = self.tx[queue].next;
        let area = self.layout.tx[queue];
        desc.set_generation(at.generation());
        self.store(area.ring + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.tx[queue].next = at.next(area.ring_size);
        at.index()
    }

    /// Places `bytes` in the buffer behind the next TX cell and describes them, without end.
    pub fn piece(&mut self, queue: usize, bytes: &[u8]) -> TxDesc {
        let index = u64::from(self.tx[queue].next.index());
        let pa = self.layout.tx[queue].buffers + index * u64::from(self.config.tx_buffer_bytes);
        self.store(pa, bytes);
        let mut desc = TxDesc::default();
        desc.set_addr(pa);
        desc.set_len(bytes.len() as u16);
        desc
    }

    /// Posts a frame in one descriptor that asks for a completion, and does not ring.
    pub fn post(&mut self, queue: usize, frame: &[u8]) -> u32 {
        let mut desc = self.piece(queue, frame);
        desc.set_eop(true);
        desc.set_cq(true);
        self.post_cell(queue, desc)
    }

    /// Rings the TX doorbell.
    pub fn ring(&mut self, queue: usize) {
        let next = self.tx[queue].next.index();
        self.write0(Bar0::TxProd(queue as u8), next);
    }

    /// Posts a frame and rings.
    pub fn send(&mut self, queue: usize, frame: &[u8]) -> u32 {
        let index = self.post(queue, frame);
        self.ring(queue);
        index
    }

    /// TX completions since the last call, slots first to last.
    pub fn completions(&mut self, queue: usize) -> Vec<(u32, TxCompDesc)> {
        let area = self.layout.tx[queue];
        let mut all = Vec::new();
        loop {
            let at = self.tx[queue].comp;
            let cell = TxCompDesc(self.memory().cell(area.comp + u64::from(at.index()) * CELL_BYTES).unwrap_or(0));
            if cell.generation() != at.generation() || all.len() > area.comp_size as usize {
                return all;
            }
            all.push((at.index(), cell));
            self.tx[queue].comp = at.next(area.comp_size);
        }
    }

    /// A frame for `to` of `len` bytes, each another one.
    pub fn frame(&mut self, to: [u8; 6], len: usize) -> Vec<u8> {
        self.next_id += 1;
        frame::generated(to, PEER, SEED, self.next_id, len)
    }

    /// A frame for the guest.
    pub fn to_guest(&mut self, len: usize) -> Vec<u8> {
        self.frame(self.config.mac, len)
    }

    /// A frame for the guest with an 802.1Q tag.
    pub fn tagged(&mut self, tci: u16, len: usize) -> Vec<u8> {
        let mut frame = self.to_guest(len);
        let [high, low] = tci.to_be_bytes();
        frame.splice(12..12, [0x81, 0, high, low]);
        frame
    }

    /// A frame from the guest.
    pub fn from_guest(&mut self, len: usize) -> Vec<u8> {
        let mut frame = self.frame(PEER, len);
        frame[6..12].copy_from_slice(&self.config.mac);
        frame
    }

    /// A frame reaches the uplink.
    pub fn offer(&mut self, frame: &[u8]) {
        self.machine.system.offer(frame, &mut self.watch);
    }

    /// Frames received since the last call, with the last completion of each; their buffers go back to the device.
    pub fn received(&mut self, queue: usize) -> Vec<(Vec<u8>, RxCompDesc)> {
        let area = self.layout.rx[queue];
        let (mut all, mut frame) = (Vec::new(), Vec::new());
        let queues = self.layout.rx.len() as u16;
        for _ in 0..area.comp_size {
            let at = self.rx[queue].comp;
            let cell = RxCompDesc(self.memory().cell(area.comp + u64::from(at.index()) * CELL_BYTES).unwrap_or(0));
            if cell.generation() != at.generation() {
                break;
            }
            self.rx[queue].comp = at.next(area.comp_size);
            let copied = cell.rq_id() >= 2 * queues;
            let ring = usize::from(cell.rq_id() >= queues && !copied);
            let pa = if copied {
                area.data + u64::from(cell.rxd_idx()) * u64::from(self.config.rx_data_bytes)
            } else {
                self.rx_buffer(queue, ring, u32::from(cell.rxd_idx()))
            };
            frame.extend_from_slice(self.memory().bytes(pa, usize::from(cell.len())).unwrap_or(&[]));
            self.post_buffer(queue, ring);
            if cell.eop() {
                all.push((core::mem::take(&mut frame), cell));
            }
        }
        if !all.is_empty() {
            self.tell_buffers(queue);
        }
        all
    }

    /// Rings for receive buffers where the device asks for it.
    fn tell_buffers(&mut self, queue: usize) {
        let desc: RxQueueDesc = self.get(self.layout.rx_queue_desc(queue));
        if desc.ctrl().update_rx_prod() != 0 {
            let [zero, one] = self.rx[queue].fill.map(RingIndex::index);
            self.write0(Bar0::RxProd(queue as u8), zero);
            if self.layout.rx[queue].ring_size[1] != 0 {
                self.write0(Bar0::RxProd2(queue as u8), one);
            }
        }
    }

    /// Offers a frame, settles, and says whether queue 0 received exactly it.
    pub fn receives(&mut self, frame: &[u8]) -> bool {
        self.offer(frame);
        self.settle();
        let got = self.received(0);
        matches!(&got[..], [(bytes, last)] if bytes == frame && !last.err())
    }

    /// Offers a frame, settles, and says whether queue 0 received nothing.
    pub fn refuses(&mut self, frame: &[u8]) -> bool {
        self.offer(frame);
        self.settle();
        self.received(0).is_empty()
    }

    /// Whether a frame goes each way, whole, on every queue that sends and on queue 0 that receives.
    pub fn serves(&mut self) -> bool {
        let mut good = true;
        for q in 0..self.layout.tx.len() {
            let frame = self.from_guest(100 + q);
            self.seen();
            let index = self.send(q, &frame);
            self.settle();
            let done = self.completions(q);
            good &= self.sent() == [&frame[..]];
            good &= matches!(done[..], [(_, completion)] if u32::from(completion.txd_idx()) == index);
        }
        let frame = self.to_guest(120);
        good & self.receives(&frame)
    }

    /// The event word in the shared area.
    pub fn events(&self) -> u32 {
        self.get(self.layout.shared + ECR_OFFSET)
    }

    /// The link goes up or down, and whatever that leads to happens.
    pub fn link(&mut self, up: bool) {
        self.machine.system.set_link(up, &mut self.watch);
        self.settle();
    }

    /// The wire becomes ready or busy.
    pub fn wire(&mut self, ready: bool) {
        self.machine.system.set_wire(ready, &mut self.watch);
    }

    /// Unmasks a vector.
    pub fn unmask(&mut self, vector: u8) {
        self.write0(Bar0::Imr(vector), 0);
        self.read0(Bar0::Imr(vector));
    }

    /// Acknowledges every event.
    pub fn acknowledge(&mut self) {
        self.write1(Bar1::Ecr, ecr::RQERR | ecr::TQERR | ecr::LINK | ecr::DIC | ecr::DEBUG);
    }

    /// A copy of guest memory without the words that a switch may write: updateRxProd and txThreshold.
    pub fn memory_but_control(&self) -> Memory {
        let mut memory = self.memory().clone();
        let queues = (self.layout.tx.len() + self.layout.rx.len()) as u64;
        for q in 0..queues {
            let pa = self.layout.queues + q * spec::vmxnet3::QUEUE_DESC_BYTES;
            if let Ok(words) = memory.bytes_mut(pa, 8) {
                words.fill(0);
            }
        }
        memory
    }

    /// What the guest expects the device to be.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }
}
