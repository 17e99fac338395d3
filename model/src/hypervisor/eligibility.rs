//! Who may enter hardware.

use spec::profile::Profile;

use crate::plane::Activation;
use crate::vic::rx::GATHER;

/// Why a device cannot enter hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ineligible {
    /// The adapter has no INTx line for the guest.
    #[error("the guest uses INTx")]
    Intx,
    /// The guest filters VLANs and the adapter cannot.
    #[error("the guest has a VLAN filter, which this adapter lacks")]
    VlanFilter,
    /// The adapter may use more buffers for a frame than the guest takes.
    #[error("maxNumRxSG {max_rx_sg} is below the adapter's {GATHER}")]
    RxGather {
        /// The guest's limit.
        max_rx_sg: u16,
    },
    /// More TX queues than the adapter has, or none.
    #[error("{count} tx queues")]
    TxQueues {
        /// Configured.
        count: usize,
    },
    /// More RX queues than the adapter has, or none.
    #[error("{count} rx queues")]
    RxQueues {
        /// Configured.
        count: usize,
    },
    /// The adapter picks entries by the low bits of the hash.
    #[error("indTableSize {size} is not a power of two")]
    RssTable {
        /// Entries.
        size: usize,
    },
    /// Equal indices mean an empty ring, so a ring of one cell can never be handed over.
    #[error("a ring has one descriptor")]
    RingOfOne,
}

impl Ineligible {
    /// A number that stays: 0 is never used.
    pub const fn code(self) -> u32 {
        match self {
            Self::Intx => 1,
            Self::VlanFilter => 2,
            Self::RxGather { .. } => 3,
            Self::TxQueues { .. } => 4,
            Self::RxQueues { .. } => 5,
            Self::RssTable { .. } => 6,
            Self::RingOfOne => 7,
        }
    }
}

/// Whether a device activated so may enter hardware.
///
/// # Errors
/// The first reason why not.
pub fn eligible(activation: &Activation, profile: &Profile) -> Result<(), Ineligible> {
    if activation.intx {
        return Err(Ineligible::Intx);
    }
    if !profile.adapter.vlan_filter && activation.filters.vlans.iter().any(|&word| word != 0) {
        return Err(Ineligible::VlanFilter);
    }
    if activation.max_rx_sg != 0 && usize::from(activation.max_rx_sg) < GATHER {
        return Err(Ineligible::RxGather { max_rx_sg: activation.max_rx_sg });
    }
    let (tx, rx) = (activation.tx.len(), activation.rx.len());
    if tx == 0 || tx > usize::from(profile.limits.tx_queues.min(8)) {
        return Err(Ineligible::TxQueues { count: tx });
    }
    if rx == 0 || rx > usize::from(profile.limits.rx_queues.min(8)) {
        return Err(Ineligible::RxQueues { count: rx });
    }
    let mut sizes = activation.tx.iter().map(|q| q.ring_size).chain(activation.rx.iter().flat_map(|q| q.ring_size));
    if sizes.any(|size| size == 1) {
        return Err(Ineligible::RingOfOne);
    }
    match &activation.rss {
        Some(rss) if !rss.table.len().is_power_of_two() || rss.table.len() > 128 => {
            Err(Ineligible::RssTable { size: rss.table.len() })
        }
        _ => Ok(()),
    }
}
