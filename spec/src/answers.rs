//! What a device tells the drivers of later versions of itself, and what it grants them.
//!
//! A device declines here what its data path does not do: a driver that is told so does it itself.

use crate::vmxnet3::answer::{DataSizes, TimestampSizes};
use crate::vmxnet3::capability::{Capabilities, DCR_ERROR, OOORX_COMP, TUNNELS};
use crate::vmxnet3::{DATA_ENTRY_MAX, DATA_ENTRY_STEP, RssFields, TX_DATA_ENTRY_MIN};

/// What a device tells drivers of versions 4 to 9. Each value counts from the version of its command or register on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answers {
    /// The data path offloads tunnels. Versions 4 to 6 leave a driver no way to be told that it does not: an offer of a later version
    /// leaves them out then.
    pub tunnels: bool,
    /// DCR0: capabilities that can be granted.
    pub capabilities: u32,
    /// PTCR0: capabilities of the adapter, or [`DCR_ERROR`].
    pub passthrough: u32,
    /// RSS fields that can be in force beside those that always are.
    pub rss_fields: u32,
    /// GET_TXDATA_DESC_SIZE from version 9, bits 31:16: bytes of an entry of the RX data ring.
    pub rx_data_bytes: u16,
    /// GET_TSRING_DESC_SIZE.
    pub timestamp_bytes: u32,
    /// GET_DISABLED_OFFLOADS.
    pub disabled_offloads: u32,
}

impl Answers {
    /// What the models do: tunnels and every hash over outer headers, nothing of timestamps. Their data path moves between software and
    /// the adapter, so no adapter is asked for what it could do alone: PTCR0 says so.
    pub const PLAIN: Self = Self {
        tunnels: true,
        capabilities: HASHES | TUNNELS,
        passthrough: DCR_ERROR,
        rss_fields: RssFields::OUTER.0,
        rx_data_bytes: 128,
        timestamp_bytes: 0,
        disabled_offloads: 0,
    };

    /// What they promise together cannot be kept by one device, if so.
    pub(super) const fn contradiction(&self) -> Option<&'static str> {
        if self.capabilities & DCR_ERROR != 0 {
            return Some("DCR0 offers DCR_ERROR");
        }
        if self.capabilities & OOORX_COMP != 0 {
            return Some("DCR0 offers OOORX_COMP, which no model has");
        }
        if self.capabilities & TUNNELS != 0 && !self.tunnels {
            return Some("DCR0 offers tunnels and the data path has none");
        }
        let missing = !self.rss_fields
            & ((UDP_FIELDS * ((self.capabilities & UDP_RSS != 0) as u32))
                | (ESP4_FIELD * ((self.capabilities & ESP_RSS_IPV4 != 0) as u32))
                | (ESP6_FIELD * ((self.capabilities & ESP_RSS_IPV6 != 0) as u32)));
        if missing != 0 {
            return Some("DCR0 offers a hash over fields that cannot be in force");
        }
        let sizes = self.timestamp_bytes;
        if sizes & !TIMESTAMP_SIZES != 0 || !(sizes & 0xff).is_multiple_of(64) || !(sizes >> 16).is_multiple_of(64) {
            return Some("an entry of a timestamp ring is no multiple of 64");
        }
        None
    }
}

const UDP_RSS: u32 = 1 << Capabilities::LAYOUT.low("UDP_RSS");
const ESP_RSS_IPV4: u32 = 1 << Capabilities::LAYOUT.low("ESP_RSS_IPV4");
const ESP_RSS_IPV6: u32 = 1 << Capabilities::LAYOUT.low("ESP_RSS_IPV6");
/// Capabilities of hashes that the models have.
const HASHES: u32 = UDP_RSS | ESP_RSS_IPV4 | ESP_RSS_IPV6;
/// RSS fields that each of them is about.
const UDP_FIELDS: u32 = 1 << RssFields::LAYOUT.low("UDPIP4") | 1 << RssFields::LAYOUT.low("UDPIP6");
const ESP4_FIELD: u32 = 1 << RssFields::LAYOUT.low("ESPIP4");
const ESP6_FIELD: u32 = 1 << RssFields::LAYOUT.low("ESPIP6");

/// Bits of an answer of GET_TSRING_DESC_SIZE that mean something.
const TIMESTAMP_SIZES: u32 = 0xff << TimestampSizes::LAYOUT.low("tx") | 0xff << TimestampSizes::LAYOUT.low("rx");

/// The answer of GET_TXDATA_DESC_SIZE to a driver of `version`, for entries of `tx` and `rx` bytes.
pub(super) fn data_sizes(tx: u16, rx: u16, version: u8) -> DataSizes {
    let mut sizes = DataSizes::default();
    sizes.set_tx(tx);
    if version >= 9 {
        sizes.set_rx(rx);
    }
    sizes
}

/// What is wrong with entries of `tx` and `rx` bytes, if anything.
pub(super) const fn wrong_sizes(tx: u16, rx: u16) -> Option<&'static str> {
    if tx < TX_DATA_ENTRY_MIN || tx > DATA_ENTRY_MAX || !tx.is_multiple_of(DATA_ENTRY_STEP) {
        return Some("an entry of the TX data ring has 128 to 2048 bytes in steps of 64");
    }
    if rx > DATA_ENTRY_MAX || !rx.is_multiple_of(DATA_ENTRY_STEP) {
        return Some("an entry of the RX data ring has at most 2048 bytes in steps of 64");
    }
    None
}
