//! Counters of the adapter: a pair of UPT1 blocks a queue pair, and the vNIC's own totals.

use super::fifo::Account;
use spec::layout::Bytes;
use spec::vic::stats::VnicStats;
use spec::vmxnet3::{RxStats, TxStats};

/// Kind of a destination address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// One station.
    Unicast,
    /// A group.
    Multicast,
    /// All.
    Broadcast,
}

impl Class {
    /// The class of a frame; one too short for an address counts as unicast.
    #[inline]
    pub fn of(frame: &[u8]) -> Self {
        match frame.get(..6) {
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => Self::Broadcast,
            Some(to) if to[0] & 1 == 1 => Self::Multicast,
            _ => Self::Unicast,
        }
    }
}

macro_rules! add {
    ($stats:expr, $get:ident, $set:ident, $by:expr) => {
        $stats.$set($stats.$get().wrapping_add($by))
    };
}

/// Where the counts of received frames by size stand in the vNIC's block, bytes.
const BY_SIZE: usize = VnicStats::LAYOUT.offset("rx_frames_by_size") as usize;

/// Counters of the whole adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Transmit side a queue pair.
    pub tx: [TxStats; 8],
    /// Receive side a queue pair.
    pub rx: [RxStats; 8],
    /// Totals of the vNIC.
    pub vnic: VnicStats,
}

impl Counters {
    /// All zero.
    pub fn zero() -> Self {
        Self { tx: [TxStats::default(); 8], rx: [RxStats::default(); 8], vnic: VnicStats::default() }
    }

    /// A frame went out, as a segment or whole.
    #[inline]
    pub fn sent(&mut self, queue: u8, frame: &[u8], segment: bool) {
        let bytes = frame.len() as u64;
        let tx = &mut self.tx[usize::from(queue)];
        if segment {
            add!(tx, tso_pkts_tx_ok, set_tso_pkts_tx_ok, 1);
            add!(tx, tso_bytes_tx_ok, set_tso_bytes_tx_ok, bytes);
            add!(self.vnic, tx_tso, set_tx_tso, 1);
        }
        add!(self.vnic, tx_frames_ok, set_tx_frames_ok, 1);
        add!(self.vnic, tx_bytes_ok, set_tx_bytes_ok, bytes);
        match Class::of(frame) {
            Class::Unicast => {
                add!(tx, ucast_pkts_tx_ok, set_ucast_pkts_tx_ok, 1);
                add!(tx, ucast_bytes_tx_ok, set_ucast_bytes_tx_ok, bytes);
                add!(self.vnic, tx_unicast_frames_ok, set_tx_unicast_frames_ok, 1);
                add!(self.vnic, tx_unicast_bytes_ok, set_tx_unicast_bytes_ok, bytes);
            }
            Class::Multicast => {
                add!(tx, mcast_pkts_tx_ok, set_mcast_pkts_tx_ok, 1);
                add!(tx, mcast_bytes_tx_ok, set_mcast_bytes_tx_ok, bytes);
                add!(self.vnic, tx_multicast_frames_ok, set_tx_multicast_frames_ok, 1);
                add!(self.vnic, tx_multicast_bytes_ok, set_tx_multicast_bytes_ok, bytes);
            }
            Class::Broadcast => {
                add!(tx, bcast_pkts_tx_ok, set_bcast_pkts_tx_ok, 1);
                add!(tx, bcast_bytes_tx_ok, set_bcast_bytes_tx_ok, bytes);
                add!(self.vnic, tx_broadcast_frames_ok, set_tx_broadcast_frames_ok, 1);
                add!(self.vnic, tx_broadcast_bytes_ok, set_tx_broadcast_bytes_ok, bytes);
            }
        }
    }

    /// A packet was malformed: completed and not sent.
    pub fn tx_error(&mut self, queue: u8) {
        let tx = &mut self.tx[usize::from(queue)];
        add!(tx, pkts_tx_error, set_pkts_tx_error, 1);
        add!(self.vnic, tx_errors, set_tx_errors, 1);
    }

    /// A packet met a disabled link: completed and not sent.
    pub fn tx_drop(&mut self, queue: u8) {
        let tx = &mut self.tx[usize::from(queue)];
        add!(tx, pkts_tx_discard, set_pkts_tx_discard, 1);
        add!(self.vnic, tx_drops, set_tx_drops, 1);
    }

    /// A packet was delivered: a frame, or several that were merged.
    #[inline]
    pub fn delivered(&mut self, account: &Account) {
        let &Account { queue, bytes, joined: (joined, last), whole, class } = account;
        self.received(queue, u64::from(bytes), class);
        if joined == 0 {
            return;
        }
        (1..joined).for_each(|_| self.received(queue, u64::from(bytes), class));
        self.received(queue, u64::from(last), class);
        let rx = &mut self.rx[usize::from(queue)];
        add!(rx, lro_pkts_rx_ok, set_lro_pkts_rx_ok, 1);
        add!(rx, lro_bytes_rx_ok, set_lro_bytes_rx_ok, u64::from(whole));
    }

    /// A frame was delivered; its bytes count as they came from the wire.
    pub fn received(&mut self, queue: u8, bytes: u64, class: Class) {
        let rx = &mut self.rx[usize::from(queue)];
        add!(self.vnic, rx_frames_ok, set_rx_frames_ok, 1);
        add!(self.vnic, rx_frames_total, set_rx_frames_total, 1);
        add!(self.vnic, rx_bytes_ok, set_rx_bytes_ok, bytes);
        let bin = [64, 127, 255, 511, 1023, 1518].iter().filter(|&&top| bytes > top).count();
        let counter = &mut self.vnic.0[BY_SIZE + 8 * bin..];
        u64::get(counter).wrapping_add(1).put(counter);
        match class {
            Class::Unicast => {
                add!(rx, ucast_pkts_rx_ok, set_ucast_pkts_rx_ok, 1);
                add!(rx, ucast_bytes_rx_ok, set_ucast_bytes_rx_ok, bytes);
                add!(self.vnic, rx_unicast_frames_ok, set_rx_unicast_frames_ok, 1);
                add!(self.vnic, rx_unicast_bytes_ok, set_rx_unicast_bytes_ok, bytes);
            }
            Class::Multicast => {
                add!(rx, mcast_pkts_rx_ok, set_mcast_pkts_rx_ok, 1);
                add!(rx, mcast_bytes_rx_ok, set_mcast_bytes_rx_ok, bytes);
                add!(self.vnic, rx_multicast_frames_ok, set_rx_multicast_frames_ok, 1);
                add!(self.vnic, rx_multicast_bytes_ok, set_rx_multicast_bytes_ok, bytes);
            }
            Class::Broadcast => {
                add!(rx, bcast_pkts_rx_ok, set_bcast_pkts_rx_ok, 1);
                add!(rx, bcast_bytes_rx_ok, set_bcast_bytes_rx_ok, bytes);
                add!(self.vnic, rx_broadcast_frames_ok, set_rx_broadcast_frames_ok, 1);
                add!(self.vnic, rx_broadcast_bytes_ok, set_rx_broadcast_bytes_ok, bytes);
            }
        }
    }

    /// A frame found too few buffers.
    pub fn out_of_buffers(&mut self, queue: u8) {
        let rx = &mut self.rx[usize::from(queue)];
        add!(rx, pkts_rx_out_of_buf, set_pkts_rx_out_of_buf, 1);
        add!(self.vnic, rx_frames_total, set_rx_frames_total, 1);
        add!(self.vnic, rx_no_bufs, set_rx_no_bufs, 1);
    }

    /// A frame was delivered with `err`.
    pub fn rx_error(&mut self, queue: u8) {
        let rx = &mut self.rx[usize::from(queue)];
        add!(rx, pkts_rx_error, set_pkts_rx_error, 1);
        add!(self.vnic, rx_errors, set_rx_errors, 1);
    }

    /// A frame met a disabled link or a dead queue.
    pub fn rx_drop(&mut self) {
        add!(self.vnic, rx_drop, set_rx_drop, 1);
    }
}
