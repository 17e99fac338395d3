//! The adapter's native face: control blocks and commands, with no hypervisor between.

use crate::case::{Case, Check, Need};
use model::host::Bare;
use model::hypervisor::{Op, Poll, Program};
use model::memory::Memory;
use model::vic::{Adapter, Register};
use spec::frame;
use spec::position::RingIndex;
use spec::vic::devcmd::{packet_filter, status};
use spec::vic::{CqReg, Devcmd, DevcmdError, DevcmdReg, IntrReg, RqReg, WqReg};
use spec::vmxnet3::{CELL_BYTES, RxCompDesc, RxDesc, TxCompDesc, TxDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "posted-index",
        clauses: &["VIC-WQ-001", "VIC-WQ-002"],
        unless: &[],
        needs: &[Need::Inside],
        run: posted_index,
    },
    Case {
        id: "completion-colours",
        clauses: &["VIC-CQ-001", "VIC-CQ-003"],
        unless: &[],
        needs: &[Need::Inside],
        run: completion_colours,
    },
    Case {
        id: "receive-stops-and-resumes",
        clauses: &["VIC-RQ-007"],
        unless: &[],
        needs: &[Need::Inside],
        run: receive_stops_and_resumes,
    },
    Case { id: "running", clauses: &["VIC-REG-004"], unless: &[], needs: &[Need::Inside], run: running },
    Case {
        id: "interrupt-blocks",
        clauses: &["VIC-INT-002", "VIC-INT-003", "VIC-INT-015"],
        unless: &[],
        needs: &[Need::Inside],
        run: interrupt_blocks,
    },
    Case { id: "unknown-devcmd", clauses: &["VIC-DC-007"], unless: &[], needs: &[Need::Inside], run: unknown_devcmd },
];

/// Where a TX ring, its completions, an RX ring and its completions lie.
const TX: u64 = 0x1000;
const TX_COMP: u64 = 0x2000;
const RX: u64 = 0x3000;
const RX_COMP: u64 = 0x4000;
const BUFFERS: u64 = 0x8000;
/// Bytes of a buffer.
const BUFFER: u64 = 128;
/// Bytes of memory behind every bus address that is used.
const BYTES: usize = 0x1_0000;

/// An adapter, a host, and who drives them.
pub(crate) struct Native {
    pub adapter: Adapter,
    pub host: Bare,
    size: u32,
    next: RingIndex,
    fill: RingIndex,
}

impl Native {
    /// A fresh adapter over zeroed rings of `size` cells.
    pub fn new(check: &Check, size: u32) -> Self {
        let mut adapter = Adapter::new(check.device());
        adapter.plant(check.planted());
        let host = Bare::new(Memory::new(&[(0, BYTES)]));
        Self { adapter, host, size, next: RingIndex::START, fill: RingIndex::START }
    }

    pub fn write(&mut self, register: Register, value: u64) {
        self.adapter.write(register, value);
    }

    pub fn read(&mut self, register: Register) -> u64 {
        self.adapter.read(register)
    }

    /// Steps until nothing is possible.
    pub fn run(&mut self) {
        self.adapter.run(&mut self.host, 100_000);
    }

    /// A completion queue that starts at `tail` with `colour` and tells block 0.
    pub fn cq(&mut self, cq: u8, base: u64, size: u32, tail: u32, colour: bool) {
        for (reg, value) in [
            (CqReg::RingBase, base),
            (CqReg::RingSize, u64::from(size)),
            (CqReg::ColorEnable, 1),
            (CqReg::CqTail, u64::from(tail)),
            (CqReg::CqTailColor, u64::from(colour)),
            (CqReg::CqEntryEnable, 1),
            (CqReg::InterruptEnable, 1),
            (CqReg::InterruptOffset, 0),
        ] {
            self.write(Register::Cq(cq, reg), value);
        }
    }

    /// WQ 0 from the start of its ring, running, the link enabled.
    pub fn start_wq(&mut self) {
        self.command(Devcmd::Enable, 0);
        for (reg, value) in [
            (WqReg::RingBase, TX),
            (WqReg::RingSize, u64::from(self.size)),
            (WqReg::FetchIndex, 0),
            (WqReg::PostedIndex, 0),
            (WqReg::CqIndex, 0),
            (WqReg::Enable, 1),
        ] {
            self.write(Register::Wq(0, reg), value);
        }
        self.run();
    }

    /// RQ 0 from the start of its ring, running; everything is received.
    pub fn start_rq(&mut self) {
        for (reg, value) in [
            (RqReg::RingBase, RX),
            (RqReg::RingSize, u64::from(self.size)),
            (RqReg::FetchIndex, 0),
            (RqReg::PostedIndex, 0),
            (RqReg::CqIndex, 8),
            (RqReg::Enable, 1),
        ] {
            self.write(Register::Rq(0, reg), value);
        }
        self.command(Devcmd::PacketFilter, packet_filter::PROMISCUOUS);
        self.command(Devcmd::Enable, 0);
        self.run();
    }

    /// Runs a command to its end.
    pub fn command(&mut self, command: Devcmd, argument: u64) -> Poll {
        let mut program = Program::new(Op::command(command, [argument, 0, 0]), 8);
        loop {
            match program.step(&mut self.adapter) {
                Poll::Pending => self.run(),
                end => return end,
            }
        }
    }

    /// Puts the next frame into the TX ring; nobody is told. Its index.
    pub fn post(&mut self, id: u64) -> u32 {
        let at = self.next;
        let buffer = BUFFERS + u64::from(at.index()) * BUFFER;
        let frame = frame::generated([2; 6], [4; 6], 1, id, 64);
        let mut desc = TxDesc::default();
        desc.set_addr(buffer);
        desc.set_len(64);
        desc.set_eop(true);
        desc.set_cq(true);
        desc.set_generation(at.generation());
        let _ = self.host.memory.write(buffer, &frame);
        let _ = self.host.memory.write(TX + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.next = at.next(self.size);
        at.index()
    }

    /// The doorbell of WQ 0.
    pub fn ring(&mut self, index: u32) {
        self.write(Register::Wq(0, WqReg::PostedIndex), u64::from(index));
        self.run();
    }

    /// Where the next frame would be posted.
    pub fn next(&self) -> u32 {
        self.next.index()
    }

    /// Gives a buffer to RQ 0 and tells it.
    pub fn fill(&mut self) {
        let at = self.fill;
        let mut desc = RxDesc::default();
        desc.set_addr(BUFFERS + 0x4000 + u64::from(at.index()) * BUFFER);
        desc.set_len(BUFFER as u16);
        desc.set_generation(at.generation());
        let _ = self.host.memory.write(RX + u64::from(at.index()) * CELL_BYTES, &desc.0.to_le_bytes());
        self.fill = at.next(self.size);
        self.write(Register::Rq(0, RqReg::PostedIndex), u64::from(self.fill.index()));
    }

    /// Offers frame `id` and steps.
    pub fn offer(&mut self, id: u64) -> bool {
        let taken = self.adapter.offer(&frame::generated([2; 6], [4; 6], 1, id, 64));
        self.run();
        taken
    }

    /// The cell `index` of the completion ring at `base`.
    pub fn cell(&self, base: u64, index: u32) -> u128 {
        self.host.memory.cell(base + u64::from(index) * CELL_BYTES).unwrap_or(0)
    }

    /// The bytes of both descriptor rings.
    pub fn rings(&self) -> Vec<u8> {
        let ring = |base| self.host.memory.bytes(base, self.size as usize * CELL_BYTES as usize).unwrap_or(&[]);
        [ring(TX), ring(RX)].concat()
    }
}

/// Sizes of a ring that `profile` allows: the smallest and some that are no power of two.
pub(crate) fn sizes(check: &Check) -> Vec<u32> {
    let step = check.profile().limits.ring_step;
    if step == 1 { vec![2, 3, 4, 5, 7, 12] } else { vec![step, 3 * step] }
}

fn posted_index(check: &mut Check) {
    for size in sizes(check) {
        let mut native = Native::new(check, size);
        native.cq(0, TX_COMP, size, 0, true);
        native.start_wq();
        check.equal("VIC-WQ-002", "running", native.read(Register::Wq(0, WqReg::Running)), 1u32);
        let mut id = 0;
        for lap in 0..3 * u64::from(size) {
            let first = native.next();
            // One more is there than the doorbell will say.
            let posted = 1 + (lap % 2).min(u64::from(size) - 2);
            for _ in 0..posted {
                id += 1;
                native.post(id);
            }
            let before = native.host.sent.len() as u64;
            native.run();
            native.ring(first);
            let after = native.host.sent.len() as u64;
            check.equal("VIC-WQ-002", "frames sent while posted is fetch", after, before);
            let one = (first + 1) % size;
            native.ring(one);
            let after = native.host.sent.len() as u64;
            check.equal("VIC-WQ-001", "frames sent up to the posted index", after - before, 1u32);
            check.equal("VIC-WQ-001", "fetch_index", native.read(Register::Wq(0, WqReg::FetchIndex)), one);
            native.ring(native.next());
            let after = native.host.sent.len() as u64;
            check.equal("VIC-WQ-001", "frames sent", after - before, posted);
        }
        let ids: Vec<_> = native.host.sent.iter().filter_map(|(_, frame)| frame::id(&frame[14..])).collect();
        check.holds("VIC-WQ-001", ids.iter().copied().eq(1..=id), "each once, in order");
    }
}

fn completion_colours(check: &mut Check) {
    let ring = sizes(check)[1];
    for size in [1, 2, 3, 4, 5, 7, 8, 32] {
        for (tail, colour) in [(0, true), (0, false), (size - 1, true), (size / 2, false)] {
            let mut native = Native::new(check, ring);
            native.cq(0, TX_COMP, size, tail, colour);
            native.start_wq();
            let (mut at, mut expected) = (tail, colour);
            for id in 1..=3 * u64::from(size) {
                let index = native.post(id);
                native.ring(native.next());
                let cell = TxCompDesc(native.cell(TX_COMP, at));
                let clause = if id == 1 { "VIC-CQ-001" } else { "VIC-CQ-003" };
                check.equal(clause, "txdIdx of the entry", cell.txd_idx(), index as u16);
                check.equal(clause, "its colour", cell.generation(), expected);
                at += 1;
                if at == size {
                    (at, expected) = (0, !expected);
                }
                check.equal(clause, "cq_tail", native.read(Register::Cq(0, CqReg::CqTail)), at);
                let colour = native.read(Register::Cq(0, CqReg::CqTailColor));
                check.equal("VIC-CQ-001", "cq_tail_color", colour, expected);
            }
        }
    }
}

fn receive_stops_and_resumes(check: &mut Check) {
    for size in sizes(check) {
        let mut native = Native::new(check, size);
        native.cq(8, RX_COMP, 2 * size, 0, true);
        native.start_rq();
        let (mut slot, mut index, mut colour) = (0, 0, true);
        for id in 1..=4 * u64::from(size) {
            native.fill();
            native.run();
            if id % 2 == 0 {
                for _ in 0..2 {
                    native.write(Register::Rq(0, RqReg::Enable), 0);
                    native.run();
                }
                check.equal("VIC-RQ-007", "running", native.read(Register::Rq(0, RqReg::Running)), 0u32);
                let shown = native.read(Register::Rq(0, RqReg::FetchIndex));
                check.equal("VIC-RQ-007", "fetch_index of a stopped queue", shown, index);
                native.write(Register::Rq(0, RqReg::Enable), 1);
                native.run();
            }
            native.offer(id);
            let cell = RxCompDesc(native.cell(RX_COMP, slot));
            check.equal("VIC-RQ-007", "rxdIdx of the next frame", cell.rxd_idx(), index as u16);
            check.holds("VIC-RQ-007", cell.generation() == colour && cell.eop(), "it is told in the next slot");
            slot += 1;
            if slot == 2 * size {
                (slot, colour) = (0, !colour);
            }
            index = (index + 1) % size;
        }
    }
}

fn running(check: &mut Check) {
    let mut native = Native::new(check, sizes(check)[0]);
    native.cq(0, TX_COMP, 4, 0, true);
    native.cq(8, RX_COMP, 4, 0, true);
    for queue in 0..8 {
        let (wq, rq) = (|reg| Register::Wq(queue, reg), |reg| Register::Rq(queue, reg));
        native.write(wq(WqReg::Enable), 0);
        native.write(rq(RqReg::Enable), 0);
        native.run();
        check.equal("VIC-REG-004", "running of a WQ never started", native.read(wq(WqReg::Running)), 0u32);
        check.equal("VIC-REG-004", "running of an RQ never started", native.read(rq(RqReg::Running)), 0u32);
    }
    for _ in 0..3 {
        native.start_wq();
        native.start_rq();
        check.equal("VIC-REG-004", "running of a WQ", native.read(Register::Wq(0, WqReg::Running)), 1u32);
        check.equal("VIC-REG-004", "running of an RQ", native.read(Register::Rq(0, RqReg::Running)), 1u32);
        native.write(Register::Wq(0, WqReg::Enable), 0);
        native.write(Register::Rq(0, RqReg::Enable), 0);
        native.run();
        check.equal("VIC-REG-004", "running once stopped", native.read(Register::Wq(0, WqReg::Running)), 0u32);
        check.equal("VIC-REG-004", "running once stopped", native.read(Register::Rq(0, RqReg::Running)), 0u32);
    }
}

fn interrupt_blocks(check: &mut Check) {
    for block in [0u8, 1, 24] {
        for masks_itself in [false, true] {
            let mut native = Native::new(check, sizes(check)[0]);
            let intr = |reg| Register::Intr(block, reg);
            native.write(intr(IntrReg::MaskOnAssertion), u64::from(masks_itself));
            for events in 1..4u64 {
                native.write(intr(IntrReg::Mask), 1);
                native.host.vectors.clear();
                for _ in 0..events {
                    native.command(Devcmd::Iar, u64::from(block));
                }
                native.run();
                check.equal("VIC-INT-015", "int_credits", native.read(intr(IntrReg::IntCredits)), events);
                check.equal("VIC-INT-015", "assertions while masked", native.host.vectors.len() as u64, 0u32);
                native.write(intr(IntrReg::Mask), 0);
                native.run();
                let told = native.host.vectors == [u16::from(block)];
                check.holds("VIC-INT-003", told, "unmasked with credits it asserts at once, and once");
                let mask = native.read(intr(IntrReg::Mask));
                check.equal("VIC-INT-002", "mask behind the assertion", mask, u64::from(masks_itself));
                native.host.vectors.clear();
                native.command(Devcmd::Iar, u64::from(block));
                native.run();
                let again = u64::from(!masks_itself);
                check.equal("VIC-INT-002", "assertions of the next event", native.host.vectors.len() as u64, again);
                native.write(intr(IntrReg::IntCredits), 0);
            }
        }
    }
}

fn unknown_devcmd(check: &mut Check) {
    let mut native = Native::new(check, sizes(check)[0]);
    for number in 0..0x4000u16 {
        let known = !matches!(Devcmd::from(number), Devcmd::Unknown(_));
        // Every unknown number next to a known one, and a sample of the others.
        let near = number < 128 || number.is_power_of_two() || number.is_multiple_of(997) || number == 0x3fff;
        if known || !near {
            continue;
        }
        let before = native.host.memory.clone();
        native.command(Devcmd::from(number), 0);
        let status_word = native.read(Register::Devcmd(DevcmdReg::Status));
        check.equal("VIC-DC-007", "status", status_word, status::ERROR);
        let code = native.read(Register::Devcmd(DevcmdReg::Arg(0)));
        check.equal("VIC-DC-007", "argument 0", code, DevcmdError::UnknownCommand.code());
        check.holds("VIC-DC-007", native.host.memory == before, "no memory is touched");
    }
    native.command(Devcmd::Enable, 0);
    let status_word = native.read(Register::Devcmd(DevcmdReg::Status));
    check.equal("VIC-DC-007", "status behind a good command", status_word, 0u32);
}
