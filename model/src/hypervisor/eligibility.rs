//! Who may enter hardware.

use spec::profile::Profile;

use crate::plane::{Activation, Interrupts, VectorProgress};
use crate::vic::intr::ERROR_BLOCK;
use crate::vic::rx::GATHER;
use crate::vic::{RQS, WQS};

/// Why a device cannot enter hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ineligible {
    /// The adapter has no INTx line for the guest.
    #[error("the guest uses INTx")]
    Intx,
    /// The adapter sends a message a block: one for all of them it has not.
    #[error("the guest uses MSI")]
    Msi,
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
    /// A queue, the events or a remembered cause need a vector that the adapter has not.
    #[error("vector {vector}")]
    Vectors {
        /// The first such vector.
        vector: u8,
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
            Self::Vectors { .. } => 8,
            Self::Msi => 9,
        }
    }
}

/// Whether any guest of a device built so may enter hardware.
///
/// # Errors
/// Why none may.
pub const fn profile_eligible(profile: &Profile) -> Result<(), Ineligible> {
    told(profile.interrupts)
}

/// Whether the adapter has this kind of interrupts for a guest.
const fn told(kind: Interrupts) -> Result<(), Ineligible> {
    match kind {
        Interrupts::MsiX => Ok(()),
        Interrupts::Msi => Err(Ineligible::Msi),
        Interrupts::Line => Err(Ineligible::Intx),
    }
}

/// Whether a device activated so may enter hardware.
///
/// # Errors
/// The first reason why not.
pub fn eligible(activation: &Activation, profile: &Profile) -> Result<(), Ineligible> {
    told(activation.interrupts)?;
    if !profile.adapter.vlan_filter && activation.filters.vlans.iter().any(|&word| word != 0) {
        return Err(Ineligible::VlanFilter);
    }
    if activation.max_rx_sg != 0 && usize::from(activation.max_rx_sg) < GATHER {
        return Err(Ineligible::RxGather { max_rx_sg: activation.max_rx_sg });
    }
    let (tx, rx) = (activation.tx.len(), activation.rx.len());
    if tx == 0 || tx > WQS {
        return Err(Ineligible::TxQueues { count: tx });
    }
    if rx == 0 || rx > RQS / 2 {
        return Err(Ineligible::RxQueues { count: rx });
    }
    let vectors = activation.tx.iter().map(|q| q.vector).chain(activation.rx.iter().map(|q| q.vector));
    for vector in vectors {
        has_vector(vector, activation, profile)?;
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

/// Whether the adapter has `vector`. One that the version in force has not either is told nothing on any body.
fn has_vector(vector: u8, activation: &Activation, profile: &Profile) -> Result<(), Ineligible> {
    let exists = vector < profile.width(activation.interface.version).vectors;
    if vector >= ERROR_BLOCK && exists { Err(Ineligible::Vectors { vector }) } else { Ok(()) }
}

/// Whether a device activated so, with events on `event_vector` and these masks and causes, needs no vector that the adapter has not:
/// masks of those can be kept aside, a cause cannot.
///
/// # Errors
/// The first vector.
pub fn vectors_fit(
    activation: &Activation,
    event_vector: u8,
    vectors: &[VectorProgress],
    profile: &Profile,
) -> Result<(), Ineligible> {
    has_vector(event_vector, activation, profile)?;
    match (0..).zip(vectors).find(|(i, vector)| *i >= ERROR_BLOCK && vector.pending) {
        Some((vector, _)) => Err(Ineligible::Vectors { vector }),
        None => Ok(()),
    }
}
