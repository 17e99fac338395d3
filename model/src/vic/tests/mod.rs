//! What the adapter does, seen by the smallest driver.

mod commands;
mod laws;
mod roads;
mod rx;
mod tx;

use spec::frame::generated;
use spec::profile::Profile;
use spec::vic::devcmd::{packet_filter, status};
use spec::vic::{CqReg, DataRing, Devcmd, DevcmdReg, DevcmdWord, IntrReg, RqReg, WqReg};
use spec::vmxnet3::{RxCompDesc, RxDesc, TxCompDesc, TxDesc};

use super::*;
use crate::host::Bare;
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
    /// Bytes of a TCP stream that came from outside.
    streamed: u32,
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
        let mut rig = Self {
            adapter,
            host: Bare::new(memory),
            size,
            posted: 0,
            completed: 0,
            filled: [0; 2],
            seen: 0,
            streamed: 0,
        };
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
