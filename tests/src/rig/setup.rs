//! What a case asks for: the guest, its memory, and whether judges watch.

use model::guest::vmxnet3::DriverConfig;
use spec::vmxnet3::command::{feature, rx_mode};

/// What a case asks for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the guest is told to be.
    pub config: DriverConfig,
    /// Bytes of guest memory.
    pub bytes: usize,
    /// Judges watch. They take the guest at its word, so not where it breaks the rules.
    pub judged: bool,
    /// What every byte of guest memory holds before anybody writes it.
    pub poison: u8,
    /// Key of generated payloads.
    pub seed: u64,
}

impl Default for Setup {
    /// One queue pair with rings of 32 and buffers of 256, every kind of address accepted from the activation on.
    fn default() -> Self {
        let config = DriverConfig {
            tx_ring: 32,
            tx_comp: 32,
            rx_ring: [32, 32],
            rx_comp: 64,
            tx_buffer_bytes: 256,
            head_bytes: 256,
            body_bytes: 256,
            features: feature::RXCSUM | feature::RXVLAN,
            rx_mode: rx_mode::UCAST | rx_mode::MCAST | rx_mode::BCAST,
            rx_mode_at_activate: true,
            ..DriverConfig::default()
        };
        Self { config, bytes: 96 << 10, judged: true, poison: 0xa5, seed: 0x5eed }
    }
}

impl Setup {
    /// The same, nobody judging.
    pub fn unjudged() -> Self {
        Self { judged: false, ..Self::default() }
    }

    /// The same guest with the data rings of version 3.
    pub fn newest() -> Self {
        let Self { config, bytes, judged, poison, seed } = Self::default();
        Self { config: config.with_data_rings(), bytes: bytes + (16 << 10), judged, poison, seed }
    }

    /// So many queues each way.
    #[must_use]
    pub fn queues(mut self, count: u8) -> Self {
        (self.config.tx_queues, self.config.rx_queues) = (count, count);
        self.bytes = (32 << 10) + usize::from(count) * (48 << 10);
        self
    }
}
