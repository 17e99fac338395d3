//! What the guest has handed over: rings are walked from where the last look ended, while generations match.

use super::layout::{Cursor, Rings, RxQueue, TxQueue};
use crate::event::GuestView;
use crate::vmxnet3::{RxDesc, TxDesc};

/// A packet whose every descriptor is owned by the device.
#[derive(Clone, Copy, Debug)]
pub struct TxPosting<'a> {
    /// Its first descriptor.
    pub head: TxDesc,
    /// Index of the first descriptor.
    pub first: u32,
    /// Index of the last descriptor.
    pub last: u32,
    /// A completion is wanted.
    pub cq: bool,
    /// Address and length of each buffer.
    pub pieces: &'a [(u64, u32)],
}

/// A buffer that the device may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RxPosting {
    /// Index of its descriptor.
    pub index: u32,
    /// Guest-physical address.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// BODY; otherwise HEAD.
    pub body: bool,
}

/// How far each ring was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Postings {
    tx: Vec<Cursor>,
    rx: Vec<[Cursor; 2]>,
    pieces: Vec<(u64, u32)>,
}

impl Postings {
    /// Every ring starts at index 0 with generation 1.
    pub fn start(&mut self, rings: &Rings) {
        self.tx.clear();
        self.tx.resize(rings.tx.len(), Cursor::default());
        self.rx.clear();
        self.rx.resize(rings.rx.len(), [Cursor::default(); 2]);
    }

    /// The next whole packet of TX queue `q`, if there is one. A packet without its end is no packet yet.
    pub fn next_tx(&mut self, q: usize, queue: &TxQueue, memory: &dyn GuestView) -> Option<TxPosting<'_>> {
        let first = self.tx[q];
        let mut at = first;
        let mut head = None;
        self.pieces.clear();
        for _ in 0..queue.ring.cells {
            let desc = TxDesc(memory.cell(queue.ring.at(at.index))?);
            if desc.generation() != at.generation {
                return None;
            }
            let head = *head.get_or_insert(desc);
            self.pieces.push((desc.addr(), desc.bytes() as u32));
            let last = at.index;
            at.advance(queue.ring.cells);
            if desc.eop() {
                self.tx[q] = at;
                return Some(TxPosting { head, first: first.index, last, cq: desc.cq(), pieces: &self.pieces });
            }
        }
        None
    }

    /// The next buffer of a ring of RX queue `q`, if there is one.
    pub fn next_rx(&mut self, q: usize, ring: usize, queue: &RxQueue, memory: &dyn GuestView) -> Option<RxPosting> {
        let area = queue.rings[ring];
        if area.cells == 0 {
            return None;
        }
        let at = &mut self.rx[q][ring];
        let desc = RxDesc(memory.cell(area.at(at.index))?);
        if desc.generation() != at.generation {
            return None;
        }
        let index = at.index;
        at.advance(area.cells);
        Some(RxPosting { index, addr: desc.addr(), len: u32::from(desc.len()), body: desc.btype() })
    }
}
