//! A guest that does not behave: any store, any register access, and what a malicious driver would think of.
//!
//! Operations are data, decoded from arbitrary bytes, so that a fuzzer mutates them and a campaign rolls them. Most aim at the
//! structures of a [`Layout`], for a store at a random address breaks nothing. No operation asks anything of the device but to
//! survive it.

use super::GuestPort;
use super::vmxnet3::{DriverConfig, Layout};
use spec::event::Bar;
use spec::frame::Dice;
use spec::vmxnet3::{Bar0, Bar1, CELL_BYTES, Command, QUEUE_DESC_BYTES, RxDesc, TxDesc};
use std::collections::VecDeque;

/// A ring of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ring {
    /// TX ring of a queue.
    Tx(u8),
    /// TX completion ring of a queue.
    TxComp(u8),
    /// RX ring 0 or 1 of a queue.
    Rx(u8, u8),
    /// RX completion ring of a queue.
    RxComp(u8),
}

/// One hostile operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostileOp {
    /// Stores the first `len` of `bytes`.
    Store {
        /// Guest-physical address, anywhere.
        pa: u64,
        /// 1 to 16.
        len: u8,
        /// What.
        bytes: [u8; 16],
    },
    /// Writes a register, declared or not.
    Write {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
        /// Value.
        value: u32,
    },
    /// Reads a register, declared or not.
    Read {
        /// Page.
        bar: Bar,
        /// Byte offset.
        offset: u32,
    },
    /// Toggles the generation of a cell.
    Flip {
        /// Ring.
        ring: Ring,
        /// Cell.
        index: u32,
    },
    /// Changes the address of a descriptor, the device's or not.
    Readdress {
        /// Ring.
        ring: Ring,
        /// Cell.
        index: u32,
        /// New address.
        addr: u64,
    },
    /// Overwrites a cell.
    Overwrite {
        /// Ring.
        ring: Ring,
        /// Cell.
        index: u32,
        /// What.
        cell: u128,
    },
    /// Writes valid structures, corrupts up to four bytes of shared area and queue table, and activates.
    Activate {
        /// Bytes to corrupt: offset, counted through shared area and queue table, and value.
        corrupt: [(u16, u8); 4],
        /// How many of them.
        count: u8,
    },
    /// Withdraws the shared area by DSAL and DSAH of 0.
    Withdraw,
}

/// Takes numbers off the front of a byte string.
struct Reader<'a, 'b>(&'a mut &'b [u8]);

impl Reader<'_, '_> {
    fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        *self.0 = rest;
        Some(first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        *self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// An address: mostly inside the layout, else anywhere, near 0 or near the top.
    fn address(&mut self, layout: &Layout) -> Option<u64> {
        let span = layout.end.saturating_sub(layout.base).max(1);
        Some(match self.u8()? % 8 {
            0 => u64::from_le_bytes(self.array()?),
            1 => u64::from(self.u16()?),
            2 => u64::MAX - u64::from(self.u16()?),
            3 => layout.end.saturating_sub(u64::from(self.u8()?)),
            _ => layout.base + u64::from(self.u32()?) % span,
        })
    }

    fn ring(&mut self, layout: &Layout) -> Option<(Ring, u32)> {
        let choice = self.u8()?;
        let tx = (choice >> 4) % layout.tx.len().max(1) as u8;
        let rx = (choice >> 4) % layout.rx.len().max(1) as u8;
        let ring = match choice % 8 {
            0..3 => Ring::Tx(tx),
            3 => Ring::TxComp(tx),
            4 | 5 => Ring::Rx(rx, 0),
            6 => Ring::Rx(rx, 1),
            _ => Ring::RxComp(rx),
        };
        let (_, size) = place(ring, layout)?;
        Some((ring, u32::from(self.u16()?) % size.max(1)))
    }
}

/// Base and size of a ring, if the layout has it.
fn place(ring: Ring, layout: &Layout) -> Option<(u64, u32)> {
    match ring {
        Ring::Tx(q) => layout.tx.get(usize::from(q)).map(|area| (area.ring, area.ring_size)),
        Ring::TxComp(q) => layout.tx.get(usize::from(q)).map(|area| (area.comp, area.comp_size)),
        Ring::Rx(q, r) => {
            let area = layout.rx.get(usize::from(q))?;
            Some((*area.ring.get(usize::from(r))?, *area.ring_size.get(usize::from(r))?))
        }
        Ring::RxComp(q) => layout.rx.get(usize::from(q)).map(|area| (area.comp, area.comp_size)),
    }
}

impl Ring {
    /// The generation bit of its cells.
    const fn generation(self) -> u128 {
        match self {
            Self::Tx(_) => 1 << 78,
            Self::Rx(..) => 1 << 95,
            Self::TxComp(_) | Self::RxComp(_) => 1 << 127,
        }
    }
}

impl HostileOp {
    /// The operation that the front of `bytes` stands for, aimed at `layout`; `None` when they run out.
    pub fn decode(bytes: &mut &[u8], layout: &Layout) -> Option<Self> {
        let mut from = Reader(bytes);
        Some(match from.u8()? % 16 {
            0 | 1 => {
                let pa = from.address(layout)?;
                Self::Store { pa, len: 1 + from.u8()? % 16, bytes: from.array()? }
            }
            2 | 3 => {
                let which = from.u8()?;
                let queue = which >> 2;
                let register = match which % 4 {
                    0 | 1 => Bar0::TxProd(queue % 32),
                    2 => Bar0::RxProd(queue % 32),
                    _ => Bar0::RxProd2(queue % 32),
                };
                let wild = from.u8()?;
                let value = if wild.is_multiple_of(8) { from.u32()? } else { u32::from(from.u8()?) };
                Self::Write { bar: Bar::Bar0, offset: register.offset(), value }
            }
            4 => {
                let vector = from.u8()? % 25;
                Self::Write { bar: Bar::Bar0, offset: Bar0::Imr(vector).offset(), value: u32::from(from.u8()? % 3) }
            }
            5 => {
                let choice = usize::from(from.u8()?);
                let value = match Command::TABLE.get(choice % (Command::TABLE.len() + 4)) {
                    Some(&(code, ..)) => code,
                    None => from.u32()?,
                };
                Self::Write { bar: Bar::Bar1, offset: Bar1::Cmd.offset(), value }
            }
            6 => Self::Write { bar: bar(from.u8()?), offset: u32::from(from.u16()? & 0xffc), value: from.u32()? },
            7 => Self::Read { bar: bar(from.u8()?), offset: u32::from(from.u16()? & 0xffc) },
            8 | 9 => {
                let (ring, index) = from.ring(layout)?;
                Self::Flip { ring, index }
            }
            10 => {
                let (ring, index) = from.ring(layout)?;
                Self::Readdress { ring, index, addr: from.address(layout)? }
            }
            11 => {
                let (ring, index) = from.ring(layout)?;
                Self::Overwrite { ring, index, cell: u128::from_le_bytes(from.array()?) }
            }
            12 | 13 => {
                let (ring, index) = from.ring(layout)?;
                Self::Overwrite { ring, index, cell: plausible(&mut from, ring, layout)? }
            }
            14 => {
                let mut corrupt = [(0, 0); 4];
                let count = from.u8()? % 5;
                for (offset, value) in corrupt.iter_mut().take(usize::from(count)) {
                    (*offset, *value) = (from.u16()?, from.u8()?);
                }
                Self::Activate { corrupt, count }
            }
            _ => Self::Withdraw,
        })
    }

    /// A random operation.
    pub fn roll(dice: &mut Dice, layout: &Layout) -> Self {
        let mut bytes = [0; 64];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&dice.next().to_le_bytes());
        }
        Self::decode(&mut &bytes[..], layout).unwrap_or(Self::Withdraw)
    }
}

fn bar(choice: u8) -> Bar {
    if choice.is_multiple_of(2) { Bar::Bar0 } else { Bar::Bar1 }
}

/// A cell that a device is likely to take: a descriptor with an address and a length, flags at random.
fn plausible(from: &mut Reader<'_, '_>, ring: Ring, layout: &Layout) -> Option<u128> {
    let (addr, len, flags) = (from.address(layout)?, from.u16()?, from.u16()?);
    Some(match ring {
        Ring::Tx(_) => {
            let mut desc = TxDesc::default();
            desc.set_addr(addr);
            desc.set_len(if flags & 0x100 == 0 { len % 2048 } else { len });
            desc.set_generation(flags & 1 != 0);
            desc.set_eop(flags & 6 != 0);
            desc.set_cq(flags & 8 != 0);
            desc.set_om((flags >> 4) as u8 & 3);
            desc.set_ti(flags & 0x40 != 0);
            desc.set_tci(len);
            desc.set_dtype(flags & 0xe00 == 0xe00);
            desc.set_hlen(flags >> 6);
            desc.set_msscof(from.u16()?);
            desc.0
        }
        Ring::Rx(..) => {
            let mut desc = RxDesc::default();
            desc.set_addr(addr);
            desc.set_len(len % 4096);
            desc.set_generation(flags & 1 != 0);
            desc.set_btype(flags & 2 != 0);
            desc.set_dtype(flags & 0x1c == 0x1c);
            desc.0
        }
        Ring::TxComp(_) | Ring::RxComp(_) => u128::from(flags & 1) << 127 | u128::from(len & 0xfff),
    })
}

/// One access of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Access {
    Store {
        pa: u64,
        len: u8,
        bytes: [u8; 16],
    },
    /// Loads a cell and stores it with these bits toggled.
    Toggle {
        pa: u64,
        mask: u128,
    },
    Shared,
    Queue(u8),
    Rss,
    Write(Bar, u32, u32),
    Read(Bar, u32),
}

/// The guest: operations become accesses, one a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hostile {
    config: DriverConfig,
    layout: Layout,
    accesses: VecDeque<Access>,
}

impl Hostile {
    /// A guest with the structures of a driver of `config` at `layout`.
    pub fn new(config: DriverConfig, layout: Layout) -> Self {
        Self { config, layout, accesses: VecDeque::new() }
    }

    /// Where it aims.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a step has something to do.
    pub fn can_step(&self) -> bool {
        !self.accesses.is_empty()
    }

    fn store(&mut self, pa: u64, bytes: &[u8]) {
        let mut all = [0; 16];
        let len = bytes.len().min(16);
        all[..len].copy_from_slice(&bytes[..len]);
        self.accesses.push_back(Access::Store { pa, len: len as u8, bytes: all });
    }

    fn write(&mut self, register: Bar1, value: u32) {
        self.accesses.push_back(Access::Write(Bar::Bar1, register.offset(), value));
    }

    fn cell(&self, ring: Ring, index: u32) -> Option<u64> {
        let (base, size) = place(ring, &self.layout)?;
        (index < size).then(|| base.wrapping_add(u64::from(index) * CELL_BYTES))
    }

    /// Queues the accesses of `op`.
    pub fn push(&mut self, op: &HostileOp) {
        match *op {
            HostileOp::Store { pa, len, bytes } => self.store(pa, &bytes[..usize::from(len.min(16))]),
            HostileOp::Write { bar, offset, value } => self.accesses.push_back(Access::Write(bar, offset, value)),
            HostileOp::Read { bar, offset } => self.accesses.push_back(Access::Read(bar, offset)),
            HostileOp::Flip { ring, index } => {
                if let Some(pa) = self.cell(ring, index) {
                    self.accesses.push_back(Access::Toggle { pa, mask: ring.generation() });
                }
            }
            HostileOp::Readdress { ring, index, addr } => {
                if let Some(pa) = self.cell(ring, index) {
                    self.store(pa, &addr.to_le_bytes());
                }
            }
            HostileOp::Overwrite { ring, index, cell } => {
                if let Some(pa) = self.cell(ring, index) {
                    self.store(pa, &cell.to_le_bytes());
                }
            }
            HostileOp::Activate { corrupt, count } => self.activate(&corrupt[..usize::from(count.min(4))]),
            HostileOp::Withdraw => {
                self.write(Bar1::Dsal, 0);
                self.write(Bar1::Dsah, 0);
            }
        }
    }

    fn activate(&mut self, corrupt: &[(u16, u8)]) {
        let queues = (self.layout.tx.len() + self.layout.rx.len()) as u8;
        self.accesses.push_back(Access::Shared);
        self.accesses.extend((0..queues).map(Access::Queue));
        if self.config.rss.is_some() {
            self.accesses.push_back(Access::Rss);
        }
        let own = self.config.shared_bytes();
        let span = own + u64::from(queues) * QUEUE_DESC_BYTES;
        for &(offset, value) in corrupt {
            let offset = u64::from(offset) % span;
            let pa = match offset.checked_sub(own) {
                None => self.layout.shared + offset,
                Some(in_queues) => self.layout.queues + in_queues,
            };
            self.store(pa, &[value]);
        }
        self.write(Bar1::Dsal, self.layout.shared as u32);
        self.write(Bar1::Dsah, (self.layout.shared >> 32) as u32);
        self.write(Bar1::Cmd, Command::ActivateDev.code());
    }

    /// Makes one access. False when there is none, or the port refused it.
    pub fn step(&mut self, port: &mut impl GuestPort) -> bool {
        let Some(&access) = self.accesses.front() else { return false };
        let done = match access {
            Access::Store { pa, len, bytes } => {
                port.store(pa, &bytes[..usize::from(len)]);
                true
            }
            Access::Toggle { pa, mask } => {
                let cell = port.load_cell(pa) ^ mask;
                port.store(pa, &cell.to_le_bytes());
                true
            }
            Access::Shared => {
                let image = self.layout.shared_image(&self.config);
                port.store(self.layout.shared, &image.0[..self.config.shared_bytes() as usize]);
                true
            }
            Access::Queue(queue) => {
                let q = usize::from(queue);
                let pa = self.layout.tx_queue_desc(q);
                match q.checked_sub(self.layout.tx.len()) {
                    None => port.store(pa, &self.layout.tx_queue_image(&self.config, q).0),
                    Some(rx) => port.store(pa, &self.layout.rx_queue_image(&self.config, rx).0),
                }
                true
            }
            Access::Rss => {
                if let Some(block) = self.layout.rss_image(&self.config) {
                    port.store(self.layout.rss, &block.0);
                }
                true
            }
            Access::Write(bar, offset, value) => port.write(bar, offset, value),
            Access::Read(bar, offset) => port.read(bar, offset).is_some(),
        };
        if done {
            self.accesses.pop_front();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    struct Port {
        memory: Memory,
        writes: Vec<(Bar, u32, u32)>,
    }

    impl GuestPort for Port {
        fn store(&mut self, pa: u64, bytes: &[u8]) {
            // Stores outside memory are dropped, as a bus does.
            let _ = self.memory.write(pa, bytes);
        }
        fn load(&mut self, pa: u64, into: &mut [u8]) {
            if self.memory.read(pa, into).is_err() {
                into.fill(0xff);
            }
        }
        fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
            self.writes.push((bar, offset, value));
            true
        }
        fn read(&mut self, _: Bar, _: u32) -> Option<u32> {
            Some(0)
        }
    }

    fn rig() -> (Hostile, Port) {
        let config = DriverConfig { tx_queues: 2, ..DriverConfig::tiny() };
        let layout = Layout::plan(&config, 0x1000, 0x4000).unwrap();
        (Hostile::new(config, layout), Port { memory: Memory::new(&[(0x1000, 0x4000)]), writes: Vec::new() })
    }

    #[test]
    fn every_kind_is_rolled_and_none_fails_the_guest() {
        let (mut guest, mut port) = rig();
        let mut dice = Dice::new(3);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..4000 {
            let op = HostileOp::roll(&mut dice, guest.layout());
            kinds.insert(format!("{op:?}").split([' ', '{']).next().unwrap_or_default().to_string());
            guest.push(&op);
            while guest.step(&mut port) {}
            assert!(!guest.can_step());
        }
        assert_eq!(kinds.len(), 8, "{kinds:?}");
        assert!(port.writes.iter().any(|w| w.2 == Command::ActivateDev.code()));
    }

    #[test]
    fn a_flip_toggles_the_generation_and_nothing_else() {
        let (mut guest, mut port) = rig();
        guest.push(&HostileOp::Flip { ring: Ring::Rx(0, 1), index: 3 });
        assert!(guest.step(&mut port) && !guest.step(&mut port));
        let cell = port.memory.cell(guest.layout().rx[0].ring[1] + 48).unwrap();
        assert!(RxDesc(cell).generation());
        assert_eq!(cell.count_ones(), 1);
        guest.push(&HostileOp::Flip { ring: Ring::Tx(7), index: 0 });
        assert!(!guest.can_step());
    }

    #[test]
    fn activation_without_corruption_is_valid() {
        let (mut guest, mut port) = rig();
        guest.push(&HostileOp::Activate { corrupt: [(0, 0); 4], count: 0 });
        while guest.step(&mut port) {}
        let shared: spec::vmxnet3::DriverShared = port.memory.get(guest.layout().shared).unwrap();
        assert_eq!(shared.magic(), spec::vmxnet3::MAGIC);
        assert_eq!(port.writes.len(), 3);
        guest.push(&HostileOp::Activate { corrupt: [(0, 0); 4], count: 1 });
        while guest.step(&mut port) {}
        let shared: spec::vmxnet3::DriverShared = port.memory.get(guest.layout().shared).unwrap();
        assert_ne!(shared.magic(), spec::vmxnet3::MAGIC);
    }

    #[test]
    fn bytes_that_run_out_decode_to_nothing() {
        let (guest, _) = rig();
        for len in 0..3 {
            assert_eq!(HostileOp::decode(&mut &[11; 3][..len], guest.layout()), None);
        }
        let mut bytes: &[u8] = &[15, 15];
        assert_eq!(HostileOp::decode(&mut bytes, guest.layout()), Some(HostileOp::Withdraw));
        assert_eq!(bytes.len(), 1);
    }
}
