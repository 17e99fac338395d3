//! The smallest device that a driver can talk to: everything happens at once.

use super::super::{Driver, DriverConfig};
use crate::guest::GuestPort;
use crate::memory::Memory;
use spec::event::Bar;
use spec::frame::Dice;
use spec::vmxnet3::rx::RXCOMP;
use spec::vmxnet3::shared::CoalesceScheme;
use spec::vmxnet3::{
    Bar0, Bar1, Command, DriverShared, RxCompDesc, RxDesc, RxQueueDesc, TxCompDesc, TxDesc, TxQueueDesc,
    VariableLenConf,
};

pub(super) const BASE: u64 = 0x10_0000;
const BYTES: usize = 1 << 21;

#[derive(Clone, Copy, Default)]
struct At {
    index: u32,
    lap: u32,
}

impl At {
    fn generation(self) -> bool {
        self.lap.is_multiple_of(2)
    }
    fn step(&mut self, size: u32) {
        self.index += 1;
        if self.index == size {
            (self.index, self.lap) = (0, self.lap + 1);
        }
    }
}

#[derive(Default)]
struct TxSide {
    desc: TxQueueDesc,
    next: At,
    comp: At,
}

#[derive(Default)]
struct RxSide {
    desc: RxQueueDesc,
    next: [At; 2],
    pub(super) comp: At,
}

pub(super) struct Fake {
    pub(super) memory: Memory,
    pub(super) vrrs: u32,
    pub(super) uvrs: u32,
    pub(super) link: u32,
    pub(super) activate_answer: u32,
    /// Answer of GET_CONF_INTR.
    pub(super) conf_intr: u32,
    /// Answer of GET_TXDATA_DESC_SIZE.
    pub(super) tx_data: u32,
    /// Written by GET_COALESCE.
    pub(super) coalesce: CoalesceScheme,
    pub(super) icr: u32,
    pub(super) imr: [bool; 25],
    pub(super) active: bool,
    pub(super) wire: Vec<Vec<u8>>,
    /// Offset and value of each register write that was taken.
    pub(super) writes: Vec<(Bar, u32, u32)>,
    pub(super) stores: Vec<(u64, Vec<u8>)>,
    /// Refuses one access in so many; 0 refuses none.
    pub(super) refuse: u64,
    pub(super) fired: Vec<u16>,
    pending: [bool; 25],
    shared_pa: u64,
    dsal: u32,
    answer: u32,
    auto_mask: bool,
    tx: Vec<TxSide>,
    rx: Vec<RxSide>,
    dice: Dice,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            memory: Memory::new(&[(BASE, BYTES)]),
            vrrs: 1,
            uvrs: 1,
            link: spec::vmxnet3::LINK_UP,
            activate_answer: 0,
            conf_intr: 0,
            tx_data: 128,
            coalesce: CoalesceScheme::default(),
            icr: 0,
            imr: [true; 25],
            active: false,
            wire: Vec::new(),
            writes: Vec::new(),
            stores: Vec::new(),
            refuse: 0,
            fired: Vec::new(),
            pending: [false; 25],
            shared_pa: 0,
            dsal: 0,
            answer: 0,
            auto_mask: true,
            tx: Vec::new(),
            rx: Vec::new(),
            dice: Dice::new(1),
        }
    }

    pub(super) fn shared(&self) -> DriverShared {
        self.memory.get(self.shared_pa).unwrap()
    }

    pub(super) fn raise(&mut self, vector: u8) {
        self.pending[usize::from(vector)] = true;
        self.fire();
    }

    fn fire(&mut self) {
        for v in 0..25 {
            if self.pending[v] && !self.imr[v] {
                self.pending[v] = false;
                self.imr[v] = self.auto_mask;
                self.fired.push(v as u16);
            }
        }
    }

    fn activate(&mut self) {
        if self.activate_answer != 0 {
            return;
        }
        let shared = self.shared();
        let misc = shared.misc();
        assert_eq!(shared.magic(), spec::vmxnet3::MAGIC);
        self.auto_mask = shared.intr_conf().auto_mask() != 0;
        let queues = misc.queue_desc_pa();
        let count = u64::from(misc.num_tx_queues());
        let tx = |q| TxSide { desc: self.memory.get(queues + 256 * q).unwrap(), ..TxSide::default() };
        self.tx = (0..count).map(tx).collect();
        let rx = |q| RxSide { desc: self.memory.get(queues + 256 * (count + q)).unwrap(), ..RxSide::default() };
        self.rx = (0..u64::from(misc.num_rx_queues())).map(rx).collect();
        self.active = true;
    }

    fn command(&mut self, command: Command) {
        self.answer = 0;
        match command {
            Command::ActivateDev => {
                self.activate();
                self.answer = self.activate_answer;
            }
            Command::QuiesceDev | Command::ResetDev => self.active = false,
            Command::GetLink => self.answer = self.link,
            Command::GetConfIntr => self.answer = self.conf_intr,
            Command::GetTxdataDescSize => self.answer = self.tx_data,
            Command::GetCoalesce => {
                let words = VariableLenConf(self.shared().cmd_info());
                self.memory.put(words.conf_pa(), self.coalesce).unwrap();
            }
            _ => {}
        }
    }

    /// Sends everything posted.
    pub(super) fn pump(&mut self) {
        for q in 0..self.tx.len() {
            while self.active && self.send_one(q) {}
        }
        self.fire();
    }

    fn send_one(&mut self, q: usize) -> bool {
        let tx = &mut self.tx[q];
        let conf = tx.desc.conf();
        let (mut at, mut frame, mut tag) = (tx.next, Vec::new(), None);
        loop {
            let desc = TxDesc(self.memory.cell(conf.tx_ring_base_pa() + u64::from(at.index) * 16).unwrap());
            if desc.generation() != at.generation() {
                return false;
            }
            if frame.is_empty() && desc.ti() {
                tag = Some(desc.tci());
            }
            frame.extend_from_slice(self.memory.bytes(desc.addr(), desc.bytes()).unwrap());
            let index = at.index;
            at.step(conf.tx_ring_size());
            if desc.eop() {
                assert!(desc.cq());
                tx.next = at;
                let mut comp = TxCompDesc::default();
                comp.set_txd_idx(index as u16);
                comp.set_generation(tx.comp.generation());
                self.memory.put(conf.comp_ring_base_pa() + u64::from(tx.comp.index) * 16, comp).unwrap();
                tx.comp.step(conf.comp_ring_size());
                if let Some(tci) = tag {
                    frame.splice(12..12, [0x81, 0, (tci >> 8) as u8, tci as u8]);
                }
                self.wire.push(frame);
                self.pending[usize::from(conf.intr_idx())] = true;
                return true;
            }
        }
    }

    fn buffer(&self, q: usize, ring: usize, head: bool) -> Option<(u32, RxDesc)> {
        let conf = self.rx[q].desc.conf();
        let at = self.rx[q].next[ring];
        if conf.rx_ring_size()[ring] == 0 {
            return None;
        }
        let desc = RxDesc(self.memory.cell(conf.rx_ring_base_pa()[ring] + u64::from(at.index) * 16).unwrap());
        (desc.generation() == at.generation() && desc.btype() != head).then_some((at.index, desc))
    }

    /// Delivers a frame to queue `q`, or drops it for lack of buffers and says so.
    pub(super) fn offer(&mut self, q: usize, frame: &[u8]) -> bool {
        if !self.active {
            return false;
        }
        let conf = self.rx[q].desc.conf();
        let before = self.rx[q].next;
        let (mut used, mut done) = (Vec::new(), 0);
        while used.is_empty() && self.owned(q) && self.buffer(q, 0, true).is_none() {
            self.rx[q].next[0].step(conf.rx_ring_size()[0]);
        }
        while done < frame.len() {
            let ring = usize::from(!used.is_empty() && self.buffer(q, 0, false).is_none());
            let Some((index, desc)) = self.buffer(q, ring, used.is_empty()) else {
                self.rx[q].next = before;
                return false;
            };
            let len = usize::from(desc.len()).min(frame.len() - done);
            self.memory.write(desc.addr(), &frame[done..done + len]).unwrap();
            done += len;
            used.push((ring, index, len));
            self.rx[q].next[ring].step(conf.rx_ring_size()[ring]);
        }
        let last = used.len() - 1;
        for (i, (ring, index, len)) in used.into_iter().enumerate() {
            let mut comp = RxCompDesc::default();
            comp.set_rxd_idx(index as u16);
            comp.set_rq_id((q + ring * self.rx.len()) as u16);
            comp.set_len(len as u16);
            comp.set_sop(i == 0);
            comp.set_eop(i == last);
            comp.set_cnc(true);
            comp.set_kind(RXCOMP);
            self.complete(q, comp);
        }
        self.raise(conf.intr_idx());
        true
    }

    fn owned(&self, q: usize) -> bool {
        let conf = self.rx[q].desc.conf();
        let at = self.rx[q].next[0];
        let desc = RxDesc(self.memory.cell(conf.rx_ring_base_pa()[0] + u64::from(at.index) * 16).unwrap());
        desc.generation() == at.generation()
    }

    /// Writes an RX completion with the right generation, whatever it says.
    pub(super) fn complete(&mut self, q: usize, mut comp: RxCompDesc) {
        let rx = &mut self.rx[q];
        comp.set_generation(rx.comp.generation());
        let conf = rx.desc.conf();
        self.memory.put(conf.comp_ring_base_pa() + u64::from(rx.comp.index) * 16, comp).unwrap();
        rx.comp.step(conf.comp_ring_size());
    }

    /// Writes a TX completion with the right generation, whatever it says.
    pub(super) fn complete_tx(&mut self, q: usize, mut comp: TxCompDesc) {
        let tx = &mut self.tx[q];
        comp.set_generation(tx.comp.generation());
        let conf = tx.desc.conf();
        self.memory.put(conf.comp_ring_base_pa() + u64::from(tx.comp.index) * 16, comp).unwrap();
        tx.comp.step(conf.comp_ring_size());
    }

    fn refuses(&mut self) -> bool {
        self.refuse > 0 && self.dice.once_in(self.refuse)
    }
}

impl GuestPort for Fake {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.memory.write(pa, bytes).unwrap();
        self.stores.push((pa, bytes.to_vec()));
    }

    fn load(&mut self, pa: u64, into: &mut [u8]) {
        self.memory.read(pa, into).unwrap();
    }

    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        if self.refuses() {
            return false;
        }
        self.writes.push((bar, offset, value));
        match bar {
            Bar::Bar0 => {
                if let Some(Bar0::Imr(v)) = Bar0::decode(offset) {
                    self.imr[usize::from(v)] = value != 0;
                    self.fire();
                }
            }
            _ => match Bar1::decode(offset).unwrap() {
                Bar1::Dsal => self.dsal = value,
                Bar1::Dsah => self.shared_pa = u64::from(value) << 32 | u64::from(self.dsal),
                Bar1::Cmd => self.command(Command::from(value)),
                Bar1::Ecr => {
                    let mut shared = self.shared();
                    shared.set_ecr(shared.ecr() & !value);
                    self.memory.put(self.shared_pa, shared).unwrap();
                }
                _ => {}
            },
        }
        true
    }

    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        if self.refuses() {
            return None;
        }
        assert_eq!(bar, Bar::Bar1);
        Some(match Bar1::decode(offset).unwrap() {
            Bar1::Vrrs => self.vrrs,
            Bar1::Uvrs => self.uvrs,
            Bar1::Cmd => self.answer,
            Bar1::Icr => std::mem::take(&mut self.icr),
            _ => 0,
        })
    }
}

/// A driver and the device it talks to.
pub(super) struct Rig {
    pub(super) driver: Driver,
    pub(super) fake: Fake,
}

impl Rig {
    pub(super) fn down(config: DriverConfig) -> Self {
        Self { driver: Driver::plan(config, BASE, BYTES as u64).unwrap(), fake: Fake::new() }
    }

    pub(super) fn up(config: DriverConfig) -> Self {
        let mut rig = Self::down(config);
        assert!(rig.driver.bring_up());
        rig.settle();
        rig
    }

    /// The driver's next access, then everything the device can do: false when the driver had nothing to do and still has not.
    pub(super) fn step(&mut self) -> bool {
        let had = self.driver.can_step();
        self.driver.step(&mut self.fake);
        self.fake.pump();
        for vector in self.fake.fired.drain(..) {
            self.driver.interrupt(vector);
        }
        had || self.driver.can_step()
    }

    pub(super) fn settle(&mut self) {
        while self.step() {}
        assert!(self.driver.is_idle());
    }

    pub(super) fn values_of(&self, bar: Bar, offset: u32) -> Vec<u32> {
        self.fake.writes.iter().filter(|w| (w.0, w.1) == (bar, offset)).map(|w| w.2).collect()
    }

    pub(super) fn commands(&self) -> Vec<Command> {
        self.values_of(Bar::Bar1, Bar1::Cmd.offset()).into_iter().map(Command::from).collect()
    }
}
