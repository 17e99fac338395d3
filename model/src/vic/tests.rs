use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use spec::frame::{Dice, generated, id};
use spec::profile::Profile;
use spec::vic::devcmd::{packet_filter, status};
use spec::vic::{CqReg, DataRing, Devcmd, DevcmdReg, DevcmdWord, IntrReg, NicCfg, RqReg, WqReg};
use spec::vmxnet3::{RxCompDesc, RxDesc, TxCompDesc, TxDesc};

use super::*;
use crate::host::Bare;
use crate::host::{OneAccess, Sent};
use crate::memory::Memory;

const TX: u64 = 0x1000;
const TX_COMP: u64 = 0x2000;
const RX: [u64; 2] = [0x3000, 0x4000];
const RX_COMP: u64 = 0x5000;
const BUFFERS: u64 = 0x1_0000;
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// One queue pair with rings of `size`, and a driver that keeps its own counts.
#[derive(Clone, Debug)]
struct Rig {
    adapter: Adapter,
    host: Bare,
    size: u32,
    posted: u64,
    completed: u64,
    filled: [u64; 2],
    seen: u64,
}

impl Rig {
    fn new(profile: &'static Profile, size: u32) -> Self {
        let memory = Memory::new(&[(0x1000, 0x5000), (BUFFERS, 0x8_0000)]);
        let mut adapter = Adapter::new(profile);
        let a = &mut adapter;
        for (cq, base, entries) in [(0, TX_COMP, size), (8, RX_COMP, 2 * size)] {
            a.write(Register::Cq(cq, CqReg::RingBase), base);
            a.write(Register::Cq(cq, CqReg::RingSize), u64::from(entries));
            for reg in [CqReg::ColorEnable, CqReg::CqEntryEnable, CqReg::InterruptEnable] {
                a.write(Register::Cq(cq, reg), 1);
            }
            a.write(Register::Cq(cq, CqReg::InterruptOffset), u64::from(cq / 8));
        }
        a.write(Register::Wq(0, WqReg::RingBase), TX);
        a.write(Register::Wq(0, WqReg::RingSize), u64::from(size));
        for (r, base) in RX.into_iter().enumerate() {
            let r = r as u8;
            a.write(Register::Rq(r, RqReg::RingBase), base);
            a.write(Register::Rq(r, RqReg::RingSize), u64::from(size));
            a.write(Register::Rq(r, RqReg::CqIndex), 8);
        }
        let mut spill = DataRing::default();
        spill.set_spill(true);
        spill.set_rq_index(1);
        a.write(Register::Rq(0, RqReg::DataRing), u64::from(spill.0));
        for i in 0..2 {
            a.write(Register::Intr(i, IntrReg::Mask), 0);
        }
        let mut rig = Self { adapter, host: Bare::new(memory), size, posted: 0, completed: 0, filled: [0; 2], seen: 0 };
        rig.enable(true);
        rig.command(Devcmd::Enable, [0; 3]).unwrap();
        rig.command(Devcmd::PacketFilter, [packet_filter::PROMISCUOUS, 0, 0]).unwrap();
        rig.run();
        rig
    }

    fn enable(&mut self, on: bool) {
        for _ in 0..2 {
            self.adapter.write(Register::Wq(0, WqReg::Enable), u64::from(on));
            for r in [1, 0] {
                self.adapter.write(Register::Rq(r, RqReg::Enable), u64::from(on));
            }
            self.run();
        }
    }

    fn run(&mut self) {
        assert!(self.adapter.run(&mut self.host, 1_000_000) < 1_000_000);
    }

    fn command(&mut self, command: Devcmd, args: [u64; 3]) -> Result<[u64; 2], u64> {
        let mut word = DevcmdWord(0);
        word.set_number(command.code());
        word.set_write(true);
        word.set_read(true);
        for (i, arg) in args.into_iter().enumerate() {
            self.adapter.write(Register::Devcmd(DevcmdReg::Arg(i as u8)), arg);
        }
        self.adapter.write(Register::Devcmd(DevcmdReg::Cmd), u64::from(word.0));
        assert_eq!(self.adapter.read(Register::Devcmd(DevcmdReg::Status)), u64::from(status::BUSY));
        self.adapter.step(Unit::Devcmd, &mut self.host);
        let answer = [0, 1].map(|i| self.adapter.read(Register::Devcmd(DevcmdReg::Arg(i))));
        match self.adapter.read(Register::Devcmd(DevcmdReg::Status)) {
            0 => Ok(answer),
            _ => Err(answer[0]),
        }
    }

    fn tx_cell(&self, at: u64) -> (u64, bool) {
        (TX + at % u64::from(self.size) * 16, (at / u64::from(self.size)).is_multiple_of(2))
    }

    /// Posts a packet of pieces, each 20 bytes of (seed 1, id = packet number) but the first, which has the header.
    fn post(&mut self, frame: &[u8], pieces: usize) -> bool {
        let free = u64::from(self.size) - 1 - (self.posted - self.completed);
        if (pieces as u64) > free {
            return false;
        }
        let step = frame.len().div_ceil(pieces);
        for (i, piece) in frame.chunks(step).enumerate() {
            let (pa, generation) = self.tx_cell(self.posted);
            let buffer = BUFFERS + self.posted % u64::from(self.size) * 2048;
            self.host.memory.write(buffer, piece).unwrap();
            let mut desc = TxDesc::default();
            desc.set_addr(buffer);
            desc.set_len(piece.len() as u16);
            desc.set_generation(generation);
            desc.set_eop((i + 1) * step >= frame.len());
            desc.set_cq(true);
            self.host.memory.put(pa, desc).unwrap();
            self.posted += 1;
        }
        true
    }

    fn doorbell(&mut self) {
        let index = self.posted % u64::from(self.size);
        while !self.adapter.post(Register::Wq(0, WqReg::PostedIndex), index as u32) {
            self.adapter.step(Unit::Doorbell, &mut self.host);
        }
    }

    /// Takes TX completions as a driver does: by generation, in order.
    fn reap(&mut self, entries: &mut u64) {
        loop {
            let size = u64::from(self.size);
            let cell: TxCompDesc = self.host.memory.get(TX_COMP + *entries % size * 16).unwrap();
            if cell.generation() != (*entries / size).is_multiple_of(2) {
                return;
            }
            *entries += 1;
            let index = u64::from(cell.txd_idx());
            while self.completed % size != index {
                self.completed += 1;
            }
            self.completed += 1;
            assert!(self.completed <= self.posted, "completed more than posted");
        }
    }

    /// Hands `count` buffers of `len` bytes to a ring.
    fn fill(&mut self, ring: usize, count: u64, len: u16, body: impl Fn(u64) -> bool) {
        let size = u64::from(self.size);
        for _ in 0..count {
            let at = self.filled[ring];
            let mut desc = RxDesc::default();
            desc.set_addr(self.buffer(ring, at % size));
            desc.set_len(len);
            desc.set_btype(body(at));
            desc.set_generation((at / size).is_multiple_of(2));
            self.host.memory.put(RX[ring] + at % size * 16, desc).unwrap();
            self.filled[ring] += 1;
        }
        let register = Register::Rq(ring as u8, RqReg::PostedIndex);
        assert!(self.adapter.post(register, (self.filled[ring] % size) as u32));
    }

    fn buffer(&self, ring: usize, index: u64) -> u64 {
        BUFFERS + 0x4_0000 + ring as u64 * 0x2_0000 + index * 2048
    }

    /// The next packet, put together from completions: bytes and the last completion.
    fn receive(&mut self) -> Option<(Vec<u8>, RxCompDesc)> {
        let entries = 2 * u64::from(self.size);
        let mut frame = Vec::new();
        loop {
            let cell: RxCompDesc = self.host.memory.get(RX_COMP + self.seen % entries * 16).unwrap();
            if cell.generation() != (self.seen / entries).is_multiple_of(2) {
                assert!(frame.is_empty(), "half a packet");
                return None;
            }
            assert_eq!(cell.sop(), frame.is_empty());
            let pa = self.buffer(usize::from(cell.rq_id()), u64::from(cell.rxd_idx()));
            frame.extend_from_slice(self.host.memory.bytes(pa, usize::from(cell.len())).unwrap());
            self.seen += 1;
            if cell.eop() {
                return Some((frame, cell));
            }
        }
    }
}

fn frame(id: u64, len: usize) -> Vec<u8> {
    generated(STATION, [2; 6], 1, id, len)
}

#[test]
fn packets_leave_in_order_are_completed_once_and_raise_the_vector() {
    let mut rig = Rig::new(&Profile::SMALL, 5);
    let mut entries = 0;
    for i in 0..40 {
        assert!(rig.post(&frame(i, 64), 1 + i as usize % 4));
        rig.doorbell();
        rig.run();
        rig.reap(&mut entries);
        assert_eq!(rig.completed, rig.posted);
        assert_eq!(rig.host.sent.last(), Some(&(0, frame(i, 64))));
    }
    assert_eq!(rig.host.sent.len(), 40);
    assert_eq!(rig.host.vectors, vec![0; 40]);
    assert_eq!(rig.adapter.hidden_is_empty(), Err("transmit pipeline"));
    rig.enable(false);
    assert_eq!(rig.adapter.hidden_is_empty(), Ok(()));
}

#[test]
fn a_stale_doorbell_does_not_claim_a_lap() {
    let mut rig = Rig::new(&Profile::SMALL, 6);
    for i in 0..4 {
        rig.post(&frame(i, 60), 1);
    }
    rig.doorbell();
    rig.run();
    for stale in [0, 2, 5, 99] {
        assert!(rig.adapter.post(Register::Wq(0, WqReg::PostedIndex), stale));
        rig.run();
        assert_eq!(rig.host.sent.len(), 4);
        assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::PostedIndex)), 4);
    }
    let mut entries = 0;
    rig.reap(&mut entries);
    rig.post(&frame(9, 60), 3);
    rig.doorbell();
    rig.run();
    assert_eq!(rig.host.sent.len(), 5);
}

#[test]
fn half_a_packet_waits_without_being_held() {
    let mut rig = Rig::new(&Profile::SMALL, 6);
    rig.post(&frame(1, 60), 3);
    let last = rig.host.memory.get::<TxDesc>(TX + 32).unwrap();
    let mut missing = last;
    missing.set_generation(false);
    rig.host.memory.put(TX + 32, missing).unwrap();
    rig.doorbell();
    rig.run();
    assert!(rig.host.sent.is_empty());
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::PostedIndex)), 2);
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::FetchIndex)), 0);
    rig.host.memory.put(TX + 32, last).unwrap();
    rig.doorbell();
    rig.run();
    assert_eq!(rig.host.sent, [(0, frame(1, 60))]);
}

#[test]
fn a_ring_without_an_end_of_packet_stops_the_queue_and_tells_the_host_alone() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    rig.adapter.write(Register::Wq(0, WqReg::ErrorInterruptEnable), 1);
    rig.adapter.write(Register::Wq(0, WqReg::ErrorInterruptOffset), u64::from(ERROR_BLOCK));
    for i in 0..4 {
        let mut desc = TxDesc::default();
        desc.set_generation(true);
        desc.set_len(60);
        rig.host.memory.put(TX + i * 16, desc).unwrap();
    }
    assert!(rig.adapter.post(Register::Wq(0, WqReg::PostedIndex), 3));
    rig.run();
    let no_eop = spec::vmxnet3::command::QueueError::NoEop.code();
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::ErrorStatus)), u64::from(no_eop));
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::Running)), 0);
    assert_eq!((rig.adapter.host_events(), rig.host.vectors.len()), (1, 0));
}

#[test]
fn bad_control_blocks_do_not_run() {
    for (reg, value) in [
        (WqReg::RingSize, 0),
        (WqReg::RingSize, 65),
        (WqReg::RingBase, 0x1004),
        (WqReg::CqIndex, 16),
        (WqReg::FetchIndex, 4),
        (WqReg::PostedIndex, 4),
    ] {
        let mut rig = Rig::new(&Profile::SMALL, 4);
        rig.enable(false);
        rig.adapter.write(Register::Wq(0, reg), value);
        rig.enable(true);
        assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::Running)), 0, "{reg:?}");
        assert_ne!(rig.adapter.read(Register::Wq(0, WqReg::ErrorStatus)), 0, "{reg:?}");
    }
}

#[test]
fn frames_spill_into_ring_one_and_skipped_bodies_are_not_completed() {
    let mut rig = Rig::new(&Profile::SMALL, 8);
    // BODY, HEAD, HEAD: the first is passed over.
    rig.fill(0, 3, 40, |at| at == 0);
    rig.fill(1, 4, 50, |_| true);
    for i in 0..2 {
        assert!(rig.adapter.offer(&frame(i, 130)));
    }
    rig.run();
    for i in 0..2 {
        let (got, cell) = rig.receive().expect("delivered");
        assert_eq!((got, cell.rq_id(), cell.fcs(), cell.kind()), (frame(i, 130), 1, true, 3));
    }
    assert!(rig.receive().is_none());
    assert_eq!(rig.adapter.read(Register::Rq(0, RqReg::FetchIndex)), 3);
    assert_eq!(rig.adapter.read(Register::Rq(1, RqReg::FetchIndex)), 4);
    assert_eq!(rig.host.vectors, [1]);
    assert!(rig.adapter.offer(&frame(7, 60)));
    rig.run();
    assert_eq!(rig.adapter.counters.rx[0].pkts_rx_out_of_buf(), 1);
    assert_eq!(rig.adapter.ingress_len(), 0);
}

#[test]
fn short_frames_are_padded_and_tags_stripped() {
    let mut rig = Rig::new(&Profile::SMALL, 8);
    let mut nic = NicCfg::default();
    nic.set_ig_vlan_strip(true);
    rig.command(Devcmd::NicCfg, [u64::from(nic.0), 0, 0]).unwrap();
    rig.fill(0, 3, 100, |_| false);
    let mut tagged = frame(1, 40);
    tagged.splice(12..12, [0x81, 0, 0x20, 5]);
    assert!(rig.adapter.offer(&tagged));
    rig.run();
    let (got, cell) = rig.receive().expect("delivered");
    assert_eq!((&got[..40], &got[40..]), (&frame(1, 40)[..], &[0; 20][..]));
    assert_eq!((cell.ts(), cell.tci(), cell.cnc()), (true, 0x2005, true));
}

#[test]
fn commands_answer_as_the_table_says() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    for (command, args, expected) in [
        (Devcmd::Unknown(999), [0, 0, 0], Err(5)),
        (Devcmd::SoftReset, [0, 0, 0], Err(5)),
        (Devcmd::StatsDump, [BUFFERS, 511, 0], Err(1)),
        (Devcmd::StatsDump, [0, 512, 0], Err(2)),
        (Devcmd::StatsDump, [BUFFERS, 512, 0], Ok([BUFFERS, 512])),
        (Devcmd::QpStatsDump, [8, BUFFERS, 160], Err(1)),
        (Devcmd::QpStatsDump, [7, BUFFERS, 160], Ok([7, BUFFERS])),
        (Devcmd::PacketFilter, [32, 0, 0], Err(1)),
        (Devcmd::AddrAdd, [1 << 48, 0, 0], Err(1)),
        (Devcmd::AddrAdd, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrAdd, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrDel, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrDel, [5, 0, 0], Err(1)),
        (Devcmd::VlanAdd, [4096, 0, 0], Err(1)),
        (Devcmd::RssKey, [BUFFERS, 40, 0], Err(1)),
        (Devcmd::RssCpu, [BUFFERS, 256, 0], Ok([BUFFERS, 256])),
        (Devcmd::Iar, [26, 0, 0], Err(1)),
        (Devcmd::Capability, [38, 0, 0], Ok([0, 0])),
        (Devcmd::Capability, [1, 0, 0], Err(5)),
        (Devcmd::IngressRead, [BUFFERS, 64, 0], Ok([BUFFERS, 0])),
        (Devcmd::IngressDrop, [0, 0, 0], Ok([0, 0])),
        (Devcmd::StatsClear, [0, 0, 0], Ok([0, 0])),
    ] {
        assert_eq!(rig.command(command, args), expected, "{command:?} {args:?}");
    }
    for i in 0..64 {
        assert!(rig.command(Devcmd::AddrAdd, [i, 0, 0]).is_ok());
    }
    assert_eq!(rig.command(Devcmd::AddrAdd, [64, 0, 0]), Err(10));
}

#[test]
fn a_disabled_link_drops_and_the_fifo_can_be_read_back() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    rig.enable(false);
    for i in 0..4 {
        assert!(rig.adapter.offer(&frame(i, 60)));
    }
    assert!(!rig.adapter.offer(&frame(4, 60)));
    rig.run();
    assert_eq!(rig.command(Devcmd::IngressRead, [BUFFERS, 59, 0]), Err(1));
    for i in 0..3 {
        assert_eq!(rig.command(Devcmd::IngressRead, [BUFFERS, 2048, 0]), Ok([BUFFERS, 60]));
        assert_eq!(rig.host.memory.bytes(BUFFERS, 60).unwrap(), frame(i, 60));
    }
    assert_eq!(rig.command(Devcmd::IngressDrop, [0; 3]), Ok([0, 1]));
    rig.command(Devcmd::Disable, [0; 3]).unwrap();
    assert!(rig.adapter.offer(&frame(9, 60)));
    assert_eq!((rig.adapter.ingress_len(), rig.adapter.counters.vnic.rx_drop()), (0, 2));
}

#[test]
fn events_that_meet_the_mask_or_the_timer_are_kept() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    let intr = |reg| Register::Intr(0, reg);
    rig.adapter.write(intr(IntrReg::MaskOnAssertion), 1);
    rig.adapter.write(intr(IntrReg::CoalescingTimer), 2);
    for _ in 0..2 {
        rig.command(Devcmd::Iar, [0; 3]).unwrap();
        rig.run();
    }
    assert_eq!((rig.host.vectors.len(), rig.adapter.read(intr(IntrReg::Mask))), (1, 1));
    rig.adapter.write(intr(IntrReg::Mask), 0);
    rig.run();
    assert_eq!((rig.host.vectors.len(), rig.adapter.wait_ns()), (1, Some(3000)));
    rig.adapter.advance(2999);
    rig.run();
    assert_eq!(rig.host.vectors.len(), 1);
    rig.adapter.advance(1);
    rig.run();
    assert_eq!((rig.host.vectors.len(), rig.adapter.read(intr(IntrReg::IntCredits))), (2, 0));
}

#[test]
fn a_segmented_packet_of_which_a_frame_went_out_is_finished_by_a_stop() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    let mut packet = frame(0, 54 + 250);
    packet[12..34].copy_from_slice(&[8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet[46] = 0x50;
    rig.post(&packet, 1);
    let mut desc = rig.host.memory.get::<TxDesc>(TX).unwrap();
    desc.set_om(3);
    desc.set_hlen(54);
    desc.set_msscof(100);
    rig.host.memory.put(TX, desc).unwrap();
    rig.post(&frame(1, 60), 1);
    rig.doorbell();
    while rig.host.sent.is_empty() {
        let mut units = Vec::new();
        rig.adapter.units(&mut units);
        rig.adapter.step(units[0], &mut rig.host);
    }
    rig.enable(false);
    let mut entries = 0;
    rig.reap(&mut entries);
    assert_eq!((rig.host.sent.len(), rig.completed), (3, 1));
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::FetchIndex)), 1);
    assert_eq!(rig.adapter.hidden_is_empty(), Ok(()));
    rig.enable(true);
    assert_eq!(rig.host.sent.last(), Some(&(0, frame(1, 60))));
}

/// What a random run does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post(u8),
    Offer(u16),
    Refill,
    Stop,
    Start,
    Busy(bool),
    Steps(u8, u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..4u8).prop_map(Act::Post),
        3 => (60..200u16).prop_map(Act::Offer),
        2 => Just(Act::Refill),
        1 => Just(Act::Stop),
        1 => Just(Act::Start),
        1 => any::<bool>().prop_map(Act::Busy),
        6 => (1..40u8, any::<u64>()).prop_map(|(n, seed)| Act::Steps(n, seed)),
    ]
}

proptest! {
    /// In any order of steps, stops and starts: every packet posted is sent once and in order, every frame is delivered once
    /// and in order or counted as dropped, every completion comes once, and no step makes two accesses.
    #[test]
    fn nothing_is_lost_or_doubled_by_stops_in_the_middle_of_everything(acts in vec(act(), 1..120), size in 3..9u32) {
        let mut rig = Rig::new(&Profile::SMALL, size);
        let (mut next_tx, mut next_rx, mut entries) = (0, 0, 0);
        let mut offered = VecDeque::new();
        let mut delivered = 0;
        let refill = |rig: &mut Rig| {
            // As many as were completed; at most size - 1 are out.
            let heads = rig.adapter.peek(Register::Rq(0, RqReg::FetchIndex));
            let out = (rig.filled[0] + u64::from(size) - heads) % u64::from(size);
            let want = (u64::from(size) - 1).saturating_sub(out);
            if want > 0 && rig.adapter.doorbells.is_empty() {
                rig.fill(0, want, 250, |_| false);
            }
        };
        for act in acts {
            match act {
                Act::Post(pieces) => if rig.post(&frame(next_tx, 64), usize::from(pieces)) {
                    next_tx += 1;
                    rig.doorbell();
                },
                Act::Offer(len) => if rig.adapter.offer(&frame(next_rx, usize::from(len))) {
                    offered.push_back((next_rx, usize::from(len)));
                    next_rx += 1;
                },
                Act::Refill => refill(&mut rig),
                Act::Stop | Act::Start => {
                    let on = u64::from(matches!(act, Act::Start));
                    rig.adapter.write(Register::Wq(0, WqReg::Enable), on);
                    rig.adapter.write(Register::Rq(1, RqReg::Enable), on);
                    rig.adapter.write(Register::Rq(0, RqReg::Enable), on);
                }
                Act::Busy(busy) => {
                    rig.host.busy = busy;
                    rig.adapter.wire_ready();
                }
                Act::Steps(count, seed) => {
                    let mut dice = Dice::new(seed);
                    for _ in 0..count {
                        let mut units = Vec::new();
                        rig.adapter.units(&mut units);
                        let Some(&unit) = units.get(dice.below(units.len() as u64) as usize) else { break };
                        let mut host = OneAccess::new(&mut rig.host);
                        rig.adapter.step(unit, &mut host);
                        prop_assert!(host.take() <= 1, "{:?}", unit);
                    }
                }
            }
            rig.reap(&mut entries);
            while let Some((got, _)) = rig.receive() {
                let number = id(&got[14..]).unwrap();
                while let Some((n, len)) = offered.pop_front() {
                    if n == number {
                        prop_assert_eq!(&got, &frame(n, len));
                        break;
                    }
                }
                delivered += 1;
            }
        }
        rig.host.busy = false;
        rig.adapter.wire_ready();
        rig.run();
        rig.enable(false);
        prop_assert!(matches!(rig.adapter.hidden_is_empty(), Ok(()) | Err("ingress FIFO")));
        rig.enable(true);
        rig.run();
        rig.reap(&mut entries);
        while rig.receive().is_some() {
            delivered += 1;
        }
        let sent: Vec<_> = rig.host.sent.iter().map(|(_, f)| id(&f[14..]).unwrap()).collect();
        prop_assert_eq!(sent, (0..next_tx).collect::<Vec<_>>());
        prop_assert_eq!((rig.completed, entries), (rig.posted, next_tx));
        prop_assert_eq!(delivered + rig.adapter.counters.rx[0].pkts_rx_out_of_buf(), next_rx);
    }

    /// `run` is a schedule of `step`: any other schedule ends in the same place.
    #[test]
    fn run_ends_where_any_schedule_of_steps_ends(packets in vec((1..4usize, 60..120usize), 0..12), seed: u64) {
        let mut rig = Rig::new(&Profile::SMALL, 40);
        rig.fill(0, 6, 100, |_| false);
        rig.fill(1, 6, 100, |_| true);
        for (i, (pieces, len)) in packets.into_iter().enumerate() {
            rig.post(&frame(i as u64, len), pieces);
            let _ = rig.adapter.offer(&frame(i as u64, len * 2));
        }
        rig.doorbell();
        // A frame that overtakes the doorbell of its buffers finds none: that race is not what is asked here.
        rig.adapter.read(Register::Wq(0, WqReg::Running));
        let mut stepped = rig.clone();
        rig.run();
        let mut dice = Dice::new(seed);
        loop {
            let mut units = Vec::new();
            stepped.adapter.units(&mut units);
            let Some(&unit) = units.get(dice.below(units.len() as u64) as usize) else { break };
            stepped.adapter.step(unit, &mut stepped.host);
        }
        // How often a vector fires depends on the schedule, as does nothing else.
        rig.host.vectors.dedup();
        stepped.host.vectors.clone_from(&rig.host.vectors);
        prop_assert!(rig.adapter == stepped.adapter);
        prop_assert!(rig.host == stepped.host);
    }

    /// Registers poked at random, ahead of and between steps, panic nowhere and step for a bounded time.
    #[test]
    fn random_pokes_never_panic(pokes in vec((0..5u8, 0..18u8, 0..16u32, prop_oneof![0..12u64, any::<u64>()]), 1..150), seed: u64) {
        let mut rig = Rig::new(&Profile::SMALL, 8);
        let mut dice = Dice::new(seed);
        for page in [0x1000, 0x2000, 0x3000, 0x4000] {
            for byte in 0..256 {
                rig.host.memory.write(page + byte, &[dice.next() as u8]).unwrap();
            }
        }
        for (block, index, slot, value) in pokes {
            let offset = slot * 8;
            let register = match block {
                0 => WqReg::decode(offset).map(|reg| Register::Wq(index, reg)),
                1 => RqReg::decode(offset).map(|reg| Register::Rq(index, reg)),
                2 => CqReg::decode(offset).map(|reg| Register::Cq(index, reg)),
                3 => IntrReg::decode(offset).map(|reg| Register::Intr(index, reg)),
                _ => DevcmdReg::decode(offset / 2).map(Register::Devcmd),
            };
            if let Some(register) = register {
                match dice.below(3) {
                    0 => rig.adapter.write(register, value),
                    1 => drop(rig.adapter.post(register, value as u32)),
                    _ => drop(rig.adapter.read(register)),
                }
            }
            let _ = rig.adapter.offer(&frame(value, dice.below(300) as usize));
            rig.adapter.run(&mut rig.host, dice.below(60) as u32);
        }
        prop_assert!(rig.adapter.run(&mut rig.host, 100_000) < 100_000);
    }
}

/// A wire that takes everything.
struct Sink(Memory, u64);

impl Host for Sink {
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), crate::host::DmaFault> {
        self.0.read(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), crate::host::DmaFault> {
        self.0.write(pa, bytes)
    }
    fn fetch(&mut self, pa: u64) -> Result<u128, crate::host::DmaFault> {
        self.0.cell(pa)
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), crate::host::DmaFault> {
        self.0.write(pa, &cell.to_le_bytes())
    }
    fn transmit(&mut self, _: u8, _: &[u8]) -> Sent {
        self.1 += 1;
        Sent::Yes
    }
    fn vector(&mut self, _: u16) {}
    fn intx(&mut self, _: bool) {}
}

#[test]
fn laps_of_a_large_ring_are_sent_whole() {
    let mut rig = Rig::new(&Profile::REFERENCE, 128);
    let mut sink = Sink(rig.host.memory.clone(), 0);
    let laps = 200;
    for at in 0..laps * 128u64 {
        let (pa, generation) = rig.tx_cell(at);
        let mut desc = TxDesc::default();
        desc.set_addr(BUFFERS);
        desc.set_len(64);
        desc.set_generation(generation);
        desc.set_eop(true);
        desc.set_cq(true);
        sink.0.put(pa, desc).unwrap();
        if at % 64 == 63 {
            rig.adapter.write(Register::Wq(0, WqReg::PostedIndex), (at + 1) % 128);
            rig.adapter.run(&mut sink, u32::MAX);
        }
    }
    assert_eq!(sink.1, laps * 128);
}
