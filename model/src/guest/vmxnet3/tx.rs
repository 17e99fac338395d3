//! The transmit side: posting a packet store by store, the doorbell, completions.

use super::breach::Breach;
use super::ring::Cursor;
use super::{Driver, Micro, Outcome, Phase};
use crate::guest::GuestPort;
use crate::guest::packet::{Fragments, Offload, Packet};
use spec::event::Bar;
use spec::vmxnet3::{Bar0, CELL_BYTES, TxCompDesc, TxDesc};
use std::collections::VecDeque;

/// Byte offset of `txNumDeferred` in a TX queue descriptor. Source: vmxnet3_defs.h, Vmxnet3_TxQueueCtrl.
const DEFERRED: u64 = 0;
/// Byte offset of `txThreshold` in a TX queue descriptor.
const THRESHOLD: u64 = 4;
/// Accesses that post one descriptor: its data, its address, dword 2, dword 3.
const PER_DESC: u32 = 4;

/// A packet on its way into the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Posting {
    frame: Vec<u8>,
    fragments: Fragments,
    /// The first fragment lies in the data ring.
    copied: bool,
    offload: Offload,
    vlan: Option<u16>,
    /// In whose words the offload is asked for.
    version: u8,
    segments: u32,
    first: Cursor,
    /// Bytes of the fragments stored already.
    done: usize,
}

/// A packet the device may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outstanding {
    first: u16,
    eop: u16,
    cells: u8,
    copied: bool,
}

/// A transmit queue as the driver sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TxQueue {
    /// Next descriptor to reserve.
    fill: Cursor,
    /// Next descriptor not visible to the device: what the doorbell tells.
    posted: Cursor,
    comp: Cursor,
    /// Descriptors reserved by packets posting or outstanding.
    reserved: u32,
    posting: VecDeque<Posting>,
    pub(super) outstanding: VecDeque<Outstanding>,
    /// The driver's copy of `txNumDeferred`.
    deferred: u32,
}

impl TxQueue {
    /// As at activation.
    pub(super) fn restart(&mut self) {
        self.posting.clear();
        self.outstanding.clear();
        *self = Self {
            posting: std::mem::take(&mut self.posting),
            outstanding: std::mem::take(&mut self.outstanding),
            ..Self::default()
        };
    }

    /// Packets posted or posting and not completed.
    pub(super) fn pending(&self) -> usize {
        self.posting.len() + self.outstanding.len()
    }
}

impl Driver {
    /// The split of `fragments` that has the headers, or the whole of a short first fragment, in the data ring. None where that is not
    /// possible: no ring, headers longer than an entry or in several fragments, or a descriptor too many.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_parse_hdr and vmxnet3_map_pkt.
    fn copied(&self, packet: &Packet, fragments: &Fragments) -> Option<Fragments> {
        let (&first, rest) = fragments.lengths().split_first()?;
        let copy = match packet.offload {
            Offload::Segment { headers, .. } | Offload::InnerSegment { headers, .. } => headers,
            Offload::Checksum { .. } | Offload::InnerChecksum { .. } | Offload::None => first.min(self.tx_data),
        };
        if copy == 0 || copy > self.tx_data || copy > first {
            return None;
        }
        let mut all = Fragments::default();
        let mut whole = all.push(usize::from(copy)) && (copy == first || all.push(usize::from(first - copy)));
        for &len in rest {
            whole &= all.push(usize::from(len));
        }
        (whole && self.fits(packet, &all)).then_some(all)
    }

    /// Whether so many descriptors may describe `packet`, and the version has words for it.
    fn fits(&self, packet: &Packet, fragments: &Fragments) -> bool {
        let cells = fragments.count();
        let known = packet.offload.is_known(self.version);
        known && cells > 0 && cells <= packet.most_descriptors() && cells as u32 <= self.tx_capacity()
    }

    /// How the driver would split `packet`, or `None` when no number of free descriptors would do.
    fn fragments(&self, packet: &Packet) -> Option<Fragments> {
        let most = usize::from(self.config.tx_buffer_bytes);
        let fragments = if packet.fragments.lengths().iter().all(|&len| usize::from(len) <= most) {
            packet.fragments
        } else {
            packet.fragments.split(most)?
        };
        (self.fits(packet, &fragments) && fragments.bytes() == packet.frame.len()).then_some(fragments)
    }

    /// Whether `packet` could be sent with an empty ring: split as it is, its descriptors fit ring and limits.
    pub fn can_ever_send(&self, packet: &Packet) -> bool {
        self.fragments(packet).is_some()
    }

    fn tx_capacity(&self) -> u32 {
        self.config.tx_ring - u32::from(!self.config.full_tx_ring)
    }

    /// Queues the stores that post `packet`; false when the driver is not up, there is no such queue, or the ring lacks room.
    pub fn send(&mut self, queue: u8, packet: &Packet) -> bool {
        let q = usize::from(queue);
        if self.phase != Phase::Up || q >= self.tx.len() {
            return false;
        }
        let Some(fragments) = self.fragments(packet) else {
            self.counts.refused_sends += 1;
            return false;
        };
        let copied = self.copied(packet, &fragments);
        let fragments = copied.unwrap_or(fragments);
        let cells = fragments.count() as u32;
        if self.tx[q].reserved + cells > self.tx_capacity() {
            self.counts.refused_sends += 1;
            return false;
        }
        let mut frame = self.pool.take();
        frame.extend_from_slice(&packet.frame);
        let size = self.config.tx_ring;
        let tx = &mut self.tx[q];
        tx.posting.push_back(Posting {
            frame,
            fragments,
            copied: copied.is_some(),
            offload: packet.offload,
            vlan: packet.vlan,
            version: self.version,
            segments: packet.segments(),
            first: tx.fill,
            done: 0,
        });
        tx.fill = tx.fill.ahead(cells, size);
        tx.reserved += cells;
        self.micro.push_back(Micro::Post(queue));
        true
    }

    /// Queues the doorbell of TX queue `queue`: rung when `txNumDeferred` has reached `txThreshold`.
    pub fn kick(&mut self, queue: u8) -> bool {
        let there = self.phase == Phase::Up && usize::from(queue) < self.tx.len();
        if there {
            self.micro.push_back(Micro::Kick(queue));
        }
        there
    }

    /// The packet at the front of queue `q`, one access further. Order of stores: linux vmxnet3_drv.c, vmxnet3_map_pkt and
    /// vmxnet3_tq_xmit: all but the first descriptor carry the current generation at once, the first the inverted one, and
    /// flipping it publishes the packet.
    pub(super) fn post(&mut self, queue: u8, port: &mut impl GuestPort) -> Outcome {
        let q = usize::from(queue);
        let (size, area, slot) = (self.config.tx_ring, self.layout.tx[q], u64::from(self.config.tx_buffer_bytes));
        let entry = u64::from(self.tx_data);
        let tx = &mut self.tx[q];
        let Some(posting) = tx.posting.front_mut() else { return Outcome::Done };
        let cells = posting.fragments.count() as u32;
        let (i, part) = (self.stage / PER_DESC, self.stage % PER_DESC);
        if i < cells {
            let at = posting.first.ahead(i, size);
            let pa = area.ring + u64::from(at.at) * CELL_BYTES;
            let buffer = if i == 0 && posting.copied {
                area.data + u64::from(at.at) * entry
            } else {
                area.buffers + u64::from(at.at) * slot
            };
            let len = posting.fragments.lengths()[i as usize];
            match part {
                0 => {
                    let end = posting.done + usize::from(len);
                    port.store(buffer, &posting.frame[posting.done..end]);
                    posting.done = end;
                }
                1 => port.store_address(pa, descriptor(posting, i, at, buffer, false).0),
                _ => port.store_dword(pa, part, descriptor(posting, i, at, buffer, false).0),
            }
            return Outcome::Stage(self.stage + 1);
        }
        if i == cells && part == 0 {
            let at = posting.first;
            let pa = area.ring + u64::from(at.at) * CELL_BYTES;
            let last = at.ahead(cells - 1, size);
            port.store_dword(pa, 2, descriptor(posting, 0, at, 0, true).0);
            tx.outstanding.push_back(Outstanding {
                first: at.at as u16,
                eop: last.at as u16,
                cells: cells as u8,
                copied: posting.copied,
            });
            tx.posted = at.ahead(cells, size);
            tx.deferred = tx.deferred.wrapping_add(posting.segments);
            self.counts.sent += 1;
            return Outcome::Stage(self.stage + 1);
        }
        port.store(self.layout.tx_queue_desc(q) + DEFERRED, &tx.deferred.to_le_bytes());
        if let Some(posting) = tx.posting.pop_front() {
            self.pool.give(posting.frame);
        }
        Outcome::Done
    }

    /// One access of the doorbell decision. Source: linux vmxnet3_drv.c, end of vmxnet3_tq_xmit.
    pub(super) fn ring_tx(&mut self, queue: u8, port: &mut impl GuestPort) -> Outcome {
        let q = usize::from(queue);
        let register = self.doorbell(Bar0::TxProd(queue));
        let pa = self.layout.tx_queue_desc(q);
        let tx = &mut self.tx[q];
        match self.stage {
            0 => {
                let threshold = port.load_u32(pa + THRESHOLD);
                if tx.deferred == 0 || tx.deferred < threshold { Outcome::Done } else { Outcome::Stage(1) }
            }
            1 => {
                tx.deferred = 0;
                port.store(pa + DEFERRED, &[0; 4]);
                Outcome::Stage(2)
            }
            _ if port.write(Bar::Bar0, register, tx.posted.at) => {
                self.counts.doorbells += 1;
                Outcome::Done
            }
            _ => Outcome::Blocked,
        }
    }

    /// Takes every completion there is; at most a lap, since the entries of this lap then carry the wrong generation.
    pub(super) fn poll_tx(&mut self, q: usize, port: &mut impl GuestPort) {
        for _ in 0..self.config.tx_comp {
            let tx = &mut self.tx[q];
            let cell = port.load_cell(self.layout.tx[q].comp + u64::from(tx.comp.at) * CELL_BYTES);
            let comp = TxCompDesc(cell);
            if comp.generation() != tx.comp.generation {
                break;
            }
            tx.comp.advance(self.config.tx_comp);
            let (queue, index) = (q as u8, comp.txd_idx());
            if comp.0 & !(1 << 127) != u128::from(index) {
                self.breaches.push(Breach::TxReserved { queue, cell });
            }
            let Some(place) = tx.outstanding.iter().position(|packet| packet.eop == index) else {
                self.breaches.push(Breach::TxNotOutstanding { queue, index });
                continue;
            };
            if place > 0 {
                self.breaches.push(Breach::TxOutOfOrder { queue, index, expected: tx.outstanding[0].eop });
            }
            for packet in tx.outstanding.drain(..=place) {
                tx.reserved -= u32::from(packet.cells);
                self.counts.completed += 1;
                if self.config.poison {
                    self.micro.push_back(Micro::PoisonTx {
                        queue,
                        first: packet.first,
                        cells: packet.cells,
                        copied: packet.copied,
                    });
                }
            }
        }
    }

    /// Overwrites the buffers of a completed packet, one a step: the device must not read them any more.
    pub(super) fn poison_tx(
        &mut self,
        queue: u8,
        (first, cells): (u16, u8),
        copied: bool,
        port: &mut impl GuestPort,
    ) -> Outcome {
        let index = (u32::from(first) + self.stage) % self.config.tx_ring;
        let area = &self.layout.tx[usize::from(queue)];
        let (base, slot) = if copied && self.stage == 0 {
            (area.data, self.tx_data)
        } else {
            (area.buffers, self.config.tx_buffer_bytes)
        };
        port.store(base + u64::from(index) * u64::from(slot), &super::POISON[..usize::from(slot)]);
        if self.stage + 1 < u32::from(cells) { Outcome::Stage(self.stage + 1) } else { Outcome::Done }
    }
}

/// Descriptor `i` of a packet at ring position `at`. The first one carries the offload, and the inverted generation until
/// `publish`.
fn descriptor(posting: &Posting, i: u32, at: Cursor, buffer: u64, publish: bool) -> TxDesc {
    let mut desc = TxDesc::default();
    desc.set_addr(buffer);
    // 16384 does not fit 14 bits and leaves 0, which is its encoding.
    desc.set_len(posting.fragments.lengths()[i as usize]);
    desc.set_generation(at.generation ^ (i == 0 && !publish));
    if i + 1 == posting.fragments.count() as u32 {
        desc.set_eop(true);
        desc.set_cq(true);
    }
    if i == 0 {
        posting.offload.ask(posting.version, &mut desc);
        if let Some(tci) = posting.vlan {
            desc.set_ti(true);
            desc.set_tci(tci);
        }
    }
    desc
}
