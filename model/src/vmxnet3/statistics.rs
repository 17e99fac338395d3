//! How a frame moves the statistics of its queue.

use super::filter::Destination;
use spec::vmxnet3::{RxStats, TxStats};

/// Adds `$by` to a counter that is read and set by accessors. Counters wrap after 2^64.
macro_rules! add {
    ($stats:expr, $get:ident, $set:ident, $by:expr) => {
        $stats.$set($stats.$get().wrapping_add($by))
    };
}
pub(super) use add;

/// One packet of `bytes` bytes was sent.
#[inline]
pub(super) fn sent(stats: &mut TxStats, frame: &[u8], bytes: usize, tso: bool) {
    let bytes = bytes as u64;
    match Destination::of(frame) {
        Destination::Unicast => {
            add!(stats, ucast_pkts_tx_ok, set_ucast_pkts_tx_ok, 1);
            add!(stats, ucast_bytes_tx_ok, set_ucast_bytes_tx_ok, bytes);
        }
        Destination::Multicast => {
            add!(stats, mcast_pkts_tx_ok, set_mcast_pkts_tx_ok, 1);
            add!(stats, mcast_bytes_tx_ok, set_mcast_bytes_tx_ok, bytes);
        }
        Destination::Broadcast => {
            add!(stats, bcast_pkts_tx_ok, set_bcast_pkts_tx_ok, 1);
            add!(stats, bcast_bytes_tx_ok, set_bcast_bytes_tx_ok, bytes);
        }
    }
    if tso {
        add!(stats, tso_pkts_tx_ok, set_tso_pkts_tx_ok, 1);
        add!(stats, tso_bytes_tx_ok, set_tso_bytes_tx_ok, bytes);
    }
}

/// One packet of `bytes` bytes was received; `large` counts it as merged as well.
pub(super) fn received(stats: &mut RxStats, frame: &[u8], bytes: usize, large: bool) {
    let bytes = bytes as u64;
    match Destination::of(frame) {
        Destination::Unicast => {
            add!(stats, ucast_pkts_rx_ok, set_ucast_pkts_rx_ok, 1);
            add!(stats, ucast_bytes_rx_ok, set_ucast_bytes_rx_ok, bytes);
        }
        Destination::Multicast => {
            add!(stats, mcast_pkts_rx_ok, set_mcast_pkts_rx_ok, 1);
            add!(stats, mcast_bytes_rx_ok, set_mcast_bytes_rx_ok, bytes);
        }
        Destination::Broadcast => {
            add!(stats, bcast_pkts_rx_ok, set_bcast_pkts_rx_ok, 1);
            add!(stats, bcast_bytes_rx_ok, set_bcast_bytes_rx_ok, bytes);
        }
    }
    if large {
        add!(stats, lro_pkts_rx_ok, set_lro_pkts_rx_ok, 1);
        add!(stats, lro_bytes_rx_ok, set_lro_bytes_rx_ok, bytes);
    }
}
