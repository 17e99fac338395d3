//! A guest and a device in one: every event is told as a machine would tell it, to a snoop and to a poll.

use crate::event::{Bar, Effect, GuestView, Stimulus, Tap};
use crate::layout::Bytes;
use crate::monitor::{Judges, Verdict};
use crate::vmxnet3::command::rx_mode;
use crate::vmxnet3::shared::{INTR_CONF_OFFSET, RX_FILTER_OFFSET};
use crate::vmxnet3::*;

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SHARED: u64 = 0x1000;
pub const TABLE: u64 = 0x2000;
pub const TX_RING: u64 = 0x4000;
const TX_COMP: u64 = 0x5000;
const RX_RING: [u64; 2] = [0x6000, 0x7000];
const RX_COMP: u64 = 0x8000;
const TX_BUFFERS: u64 = 0x1_0000;
const RX_BUFFERS: u64 = 0x8_0000;
pub const CELLS: u32 = 8;
pub const BUFFER: u64 = 0x800;
/// Vectors of transmit, receive and events.
pub const VECTORS: [u8; 3] = [0, 1, 2];

#[derive(Clone)]
pub struct Memory(pub Vec<u8>);

impl GuestView for Memory {
    fn slice(&self, pa: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(pa).ok()?;
        self.0.get(at..at.checked_add(len)?)
    }
}

/// Where a ring stands, as the rig counts: never wrapped.
fn generation(position: u32) -> bool {
    (position / CELLS).is_multiple_of(2)
}

#[derive(Clone)]
pub struct Rig {
    pub memory: Memory,
    pub snoop: Judges,
    pub poll: Judges,
    pub tx_posted: u32,
    pub tx_completed: u32,
    pub rx_posted: [u32; 2],
    pub rx_used: [u32; 2],
    pub rx_completed: u32,
}

impl Rig {
    /// Memory with a configuration, device inactive.
    pub fn new() -> Self {
        let mut rig = Self {
            memory: Memory(vec![0; 0x10_0000]),
            snoop: Judges::snoop(),
            poll: Judges::poll(),
            tx_posted: 0,
            tx_completed: 0,
            rx_posted: [0; 2],
            rx_used: [0; 2],
            rx_completed: 0,
        };
        let mut misc = MiscConf::default();
        misc.set_queue_desc_pa(TABLE);
        misc.set_mtu(9000);
        misc.set_num_tx_queues(1);
        misc.set_num_rx_queues(1);
        misc.set_upt_features(command::feature::RXCSUM);
        let mut intr = IntrConf::default();
        intr.set_auto_mask(1);
        intr.set_num_intrs(3);
        intr.set_event_intr_idx(VECTORS[2]);
        let mut filter = RxFilterConf::default();
        filter.set_rx_mode(rx_mode::UCAST | rx_mode::BCAST);
        rig.put(SHARED, MAGIC);
        rig.put(SHARED + 8, misc);
        rig.put(SHARED + INTR_CONF_OFFSET, intr);
        rig.put(SHARED + RX_FILTER_OFFSET, filter);
        let mut tx = TxQueueConf::default();
        tx.set_tx_ring_base_pa(TX_RING);
        tx.set_tx_ring_size(CELLS);
        tx.set_comp_ring_base_pa(TX_COMP);
        tx.set_comp_ring_size(CELLS);
        tx.set_intr_idx(VECTORS[0]);
        rig.put(TABLE + 16, tx);
        let mut rx = RxQueueConf::default();
        rx.set_rx_ring_base_pa(RX_RING);
        rx.set_rx_ring_size([CELLS; 2]);
        rx.set_comp_ring_base_pa(RX_COMP);
        rx.set_comp_ring_size(CELLS);
        rx.set_intr_idx(VECTORS[1]);
        rig.put(TABLE + 256 + 16, rx);
        rig
    }

    /// An active device with unmasked vectors, four HEAD and four BODY buffers in ring 0, four BODY buffers in ring 1.
    pub fn active() -> Self {
        let mut rig = Self::new();
        rig.activate();
        for _ in 0..4 {
            rig.post_rx(0, false);
            rig.post_rx(1, true);
        }
        rig
    }

    pub fn activate(&mut self) {
        self.write(Bar::Bar1, 0x28, u32::from_le_bytes([MAC[0], MAC[1], MAC[2], MAC[3]]));
        self.write(Bar::Bar1, 0x30, u32::from_le_bytes([MAC[4], MAC[5], 0, 0]));
        self.write(Bar::Bar1, 0x10, SHARED as u32);
        self.write(Bar::Bar1, 0x18, 0);
        self.command(Command::ActivateDev);
        self.read(Bar::Bar1, 0x20, 0);
        for v in VECTORS {
            self.unmask(v);
        }
        self.idle();
    }

    pub fn put(&mut self, pa: u64, value: impl Bytes) {
        value.put(&mut self.memory.0[pa as usize..]);
    }

    pub fn stimulus(&mut self, stimulus: Stimulus<'_>) {
        self.snoop.stimulus(stimulus, &self.memory);
        self.poll.stimulus(stimulus, &self.memory);
    }

    pub fn effect(&mut self, effect: Effect<'_>) {
        self.snoop.effect(effect, &self.memory);
        self.poll.effect(effect, &self.memory);
    }

    pub fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        self.stimulus(Stimulus::RegisterWrite { bar, offset, value });
    }

    pub fn read(&mut self, bar: Bar, offset: u32, value: u32) {
        self.stimulus(Stimulus::RegisterRead { bar, offset, value });
    }

    pub fn command(&mut self, command: Command) {
        self.write(Bar::Bar1, 0x20, command.code());
    }

    pub fn unmask(&mut self, vector: u8) {
        self.write(Bar::Bar0, u32::from(vector) * 8, 0);
    }

    pub fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.memory.0[pa as usize..][..bytes.len()].copy_from_slice(bytes);
        self.stimulus(Stimulus::GuestStore { pa, bytes });
    }

    pub fn idle(&mut self) {
        self.stimulus(Stimulus::Idle);
    }

    pub fn vector(&mut self, index: u8) {
        self.effect(Effect::Vector { index: index.into() });
    }

    /// Where the packet posted `n`th lies.
    pub fn tx_buffer(n: u32) -> u64 {
        TX_BUFFERS + u64::from(n % CELLS) * 0x4000
    }

    /// Posts a packet of one descriptor; `set` fills in what it asks for.
    pub fn post_tx(&mut self, bytes: &[u8], set: impl FnOnce(&mut TxDesc)) {
        let n = self.tx_posted;
        self.store(Self::tx_buffer(n), bytes);
        let mut desc = TxDesc(0);
        desc.set_addr(Self::tx_buffer(n));
        desc.set_len(bytes.len() as u16);
        desc.set_generation(generation(n));
        desc.set_eop(true);
        desc.set_cq(true);
        set(&mut desc);
        self.store(TX_RING + u64::from(n % CELLS) * 16, &desc.0.to_le_bytes());
        self.tx_posted += 1;
    }

    pub fn ring(&mut self) {
        self.write(Bar::Bar0, 0x600, self.tx_posted % CELLS);
    }

    pub fn fetch_tx(&mut self, n: u32) {
        let pa = TX_RING + u64::from(n % CELLS) * 16;
        let cell = self.memory.cell(pa).unwrap();
        self.effect(Effect::Fetch { pa, cell });
    }

    pub fn read_tx(&mut self, n: u32, len: usize) {
        let (pa, memory) = (Self::tx_buffer(n), self.memory.clone());
        self.effect(Effect::Read { pa, bytes: memory.slice(pa, len).unwrap() });
    }

    pub fn send(&mut self, frame: &[u8]) {
        self.effect(Effect::Transmit { queue: 0, frame });
    }

    pub fn publish(&mut self, pa: u64, cell: u128) {
        self.memory.0[pa as usize..][..16].copy_from_slice(&cell.to_le_bytes());
        self.effect(Effect::Publish { pa, cell });
    }

    /// Completes the packet that ended at descriptor `index`.
    pub fn complete_tx(&mut self, index: u32) {
        let mut comp = TxCompDesc(0);
        comp.set_txd_idx((index % CELLS) as u16);
        self.complete_tx_with(comp);
    }

    pub fn complete_tx_with(&mut self, mut comp: TxCompDesc) {
        let n = self.tx_completed;
        comp.set_generation(generation(n));
        self.publish(TX_COMP + u64::from(n % CELLS) * 16, comp.0);
        self.tx_completed += 1;
    }

    /// One packet through everything.
    pub fn transmit(&mut self, frame: &[u8]) {
        let n = self.tx_posted;
        self.post_tx(frame, |_| ());
        self.ring();
        self.fetch_tx(n);
        self.read_tx(n, frame.len());
        self.send(frame);
        self.complete_tx(n);
        self.vector(VECTORS[0]);
        self.unmask(VECTORS[0]);
    }

    /// One packet, and no interrupt for it.
    pub fn transmit_silently(&mut self) {
        let n = self.tx_posted;
        let frame = outward(n.into(), 60);
        self.post_tx(&frame, |_| ());
        self.ring();
        self.send(&frame);
        self.complete_tx(n);
    }

    pub fn rx_buffer(ring: usize, n: u32) -> u64 {
        RX_BUFFERS + (ring as u64 * u64::from(CELLS) + u64::from(n % CELLS)) * BUFFER
    }

    pub fn post_rx(&mut self, ring: usize, body: bool) {
        let n = self.rx_posted[ring];
        let mut desc = RxDesc(0);
        desc.set_addr(Self::rx_buffer(ring, n));
        desc.set_len(BUFFER as u16);
        desc.set_btype(body);
        desc.set_generation(generation(n));
        self.store(RX_RING[ring] + u64::from(n % CELLS) * 16, &desc.0.to_le_bytes());
        self.rx_posted[ring] += 1;
    }

    pub fn offer(&mut self, frame: &[u8]) {
        self.stimulus(Stimulus::Offered { frame });
    }

    pub fn write_memory(&mut self, pa: u64, bytes: &[u8]) {
        self.memory.0[pa as usize..][..bytes.len()].copy_from_slice(bytes);
        self.effect(Effect::Write { pa, bytes });
    }

    /// What a right completion of `len` bytes in ring 0 says.
    pub fn completion(&self, len: usize) -> RxCompDesc {
        let mut c = RxCompDesc(0);
        c.set_rxd_idx((self.rx_used[0] % CELLS) as u16);
        c.set_sop(true);
        c.set_eop(true);
        c.set_len(len as u16);
        c.set_cnc(true);
        c.set_fcs(true);
        c.set_kind(rx::RXCOMP);
        c
    }

    pub fn complete_rx(&mut self, mut c: RxCompDesc) {
        let n = self.rx_completed;
        c.set_generation(generation(n));
        self.publish(RX_COMP + u64::from(n % CELLS) * 16, c.0);
        self.rx_completed += 1;
        self.rx_used[0] += 1;
    }

    /// Delivers a frame to the next HEAD buffer; `set` changes what its completion says.
    pub fn deliver_with(&mut self, frame: &[u8], set: impl FnOnce(&mut RxCompDesc)) {
        let mut padded = frame.to_vec();
        padded.resize(frame.len().max(MIN_FRAME), 0);
        self.write_memory(Self::rx_buffer(0, self.rx_used[0]), &padded);
        let mut c = self.completion(padded.len());
        set(&mut c);
        self.complete_rx(c);
        self.vector(VECTORS[1]);
        self.unmask(VECTORS[1]);
    }

    pub fn deliver(&mut self, frame: &[u8]) {
        self.deliver_with(frame, |_| ());
    }

    pub fn verdicts(&self) -> [Verdict; 2] {
        [self.snoop.verdict(), self.poll.verdict()]
    }

    /// Both observers find nothing wrong.
    #[track_caller]
    pub fn is_clean(&self) {
        for verdict in self.verdicts() {
            let broken: Vec<_> = verdict.violations.iter().map(|v| (v.clause.id(), v.what)).collect();
            assert_eq!(broken, []);
        }
    }

    /// Both observers find `id` broken, or cannot judge it. Otherwise, what they found.
    pub fn rejects(&mut self, id: &str) -> Result<(), String> {
        self.idle();
        for verdict in self.verdicts() {
            let broken: Vec<_> = verdict.violations.iter().map(|v| (v.clause.id(), v.what)).collect();
            let blind = verdict.not_judged.iter().any(|index| index.id() == id);
            if !blind && !verdict.broke(id) {
                return Err(format!("{id}: {broken:?}"));
            }
        }
        Ok(())
    }

    /// Both observers find `id` broken.
    #[track_caller]
    pub fn breaks(&mut self, id: &str) {
        self.rejects(id).unwrap();
    }
}

/// A frame for the guest.
pub fn inward(id: u64, len: usize) -> Vec<u8> {
    crate::frame::generated(MAC, PEER, 1, id, len)
}

/// A frame of the guest.
pub fn outward(id: u64, len: usize) -> Vec<u8> {
    crate::frame::generated(PEER, MAC, 2, id, len)
}
