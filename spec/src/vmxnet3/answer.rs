//! Words that GET commands answer in CMD, field by field, and the rules that make them.

crate::layout! {
    /// Answer of GET_LINK. The unit of the speed is Mbit/s; at version 9 a speed below 10000 is in Gbit/s.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_LINK_UP; linux vmxnet3_drv.c, vmxnet3_check_link.
    pub struct Link(u32) = "GET_LINK", by Device {
        /// The link is up; a link that is down answers 0.
        [0] up, set_up: bool;
        /// Reserved, zero.
        [15:1] rsvd, set_rsvd: u16;
        /// Speed.
        [31:16] speed, set_speed: u16;
    }
}

crate::constants! {
    /// How a speed is told.
    pub const SPEEDS = "Link speeds" [
        /// Speeds below this many Mbit/s are told in Gbit/s at version 9. Source: linux vmxnet3_drv.c, vmxnet3_check_link.
        pub const SPEED_SPLIT: u16 = 10_000, "VMXNET3_SPEED_SPLIT", since 9;
        /// From this version on the unit of a speed depends on it.
        pub const SPEED_UNIT_SINCE: u8 = 9, "VMXNET3_SPEED_UNIT_SINCE", since 9;
    ]
}

impl Link {
    /// The word of a link of `word`, which has its speed in Mbit/s, as a driver of `version` is told it. Less than 1 Gbit/s cannot be
    /// said at version 9 and becomes 1: that is a choice of ours.
    pub fn told(word: u32, version: u8) -> Self {
        let mut told = Self(word);
        if version >= SPEED_UNIT_SINCE && told.speed() < SPEED_SPLIT {
            told.set_speed(if told.speed() == 0 { 0 } else { (told.speed() / 1000).max(1) });
        }
        told
    }

    /// Mbit/s, as a driver of `version` understands the word.
    pub fn mbit(&self, version: u8) -> u32 {
        let speed = u32::from(self.speed());
        if version >= SPEED_UNIT_SINCE && self.speed() < SPEED_SPLIT { speed * 1000 } else { speed }
    }
}

crate::layout! {
    /// Answer of GET_CONF_INTR.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_IT_* and VMXNET3_IMM_*.
    pub struct ConfIntr(u32) = "GET_CONF_INTR", by Device {
        /// 0 the driver's choice, 1 INTx, 2 MSI, 3 MSI-X.
        [1:0] kind, set_kind: u8 = "type";
        /// 0 the device masks, 1 the driver masks, 2 nobody does.
        [3:2] mask_mode, set_mask_mode: u8 = "mask_mode";
        /// Reserved, zero.
        [31:4] rsvd, set_rsvd: u32;
    }
}

crate::layout! {
    /// Answer of GET_TXDATA_DESC_SIZE: bytes of an entry of the data rings.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_open; dpdk vmxnet3_ethdev.c, eth_vmxnet3_txdata_get.
    pub struct DataSizes(u32) = "GET_TXDATA_DESC_SIZE", by Device, since 3 {
        /// TX: a multiple of 64 from 128 to 2048; drivers take anything else for 128.
        [15:0] tx, set_tx: u16;
        /// RX, from version 9; a multiple of 64 up to 2048, or 0 for no ring. Linux takes it unchecked.
        [31:16] rx, set_rx: u16 = "rx", since 9;
    }
}

crate::layout! {
    /// Answer of GET_MAX_QUEUES_CONF, from version 6. Linux takes an answer of 0, or with bit 31, for 8 of each.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_probe_device; dpdk vmxnet3_ethdev.c, vmxnet3_dev_info_get.
    pub struct MaxQueues(u32) = "GET_MAX_QUEUES_CONF", by Device, since 6 {
        /// Most TX queues, 1 to 32.
        [7:0] tx, set_tx: u8;
        /// Most RX queues, 1 to 32.
        [15:8] rx, set_rx: u8;
        /// Reserved, zero.
        [31:16] rsvd, set_rsvd: u16;
    }
}

crate::layout! {
    /// Answer of GET_TSRING_DESC_SIZE, from version 9: bytes of an entry of the timestamp rings. 256, though meant as the largest,
    /// cannot be said.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_open.
    pub struct TimestampSizes(u32) = "GET_TSRING_DESC_SIZE", by Device, since 9 {
        /// TX: a multiple of 64, or 0 for no ring.
        [7:0] tx, set_tx: u8;
        /// Reserved, zero.
        [15:8] rsvd, set_rsvd: u8;
        /// RX: a multiple of 64, or 0 for no ring.
        [23:16] rx, set_rx: u8;
        /// Reserved, zero.
        [31:24] rsvd1, set_rsvd1: u8;
    }
}

crate::layout! {
    /// Answer of GET_DISABLED_OFFLOADS, from version 9: what a driver leaves off.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_declare_features.
    pub struct DisabledOffloads(u32) = "GET_DISABLED_OFFLOADS", by Device, since 9 {
        /// TCP segmentation.
        [0] tso, set_tso: bool = "TSO";
        /// Merging of received segments.
        [1] lro, set_lro: bool = "LRO";
        /// Reserved, zero.
        [31:2] rsvd, set_rsvd: u32;
    }
}

/// Bit of [`DisabledOffloads`] for merging of received segments. Source: linux vmxnet3_drv.c, vmxnet3_declare_features.
pub const LRO_DISABLED: u32 = 1 << DisabledOffloads::LAYOUT.low("LRO");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::LINK_UP;

    #[test]
    fn the_unit_of_a_speed_changes_at_version_9_and_below_10000() {
        for (word, mbit) in [(LINK_UP, 10_000), (0x03e8_0001, 1000), (0x270f_0001, 9999), (0x9c40_0001, 40_000)] {
            for version in 1..9 {
                assert_eq!((Link::told(word, version).0, Link::told(word, version).mbit(version)), (word, mbit));
            }
            let told = Link::told(word, 9);
            assert_eq!(told.mbit(9), if mbit < 10_000 { mbit / 1000 * 1000 } else { mbit });
            assert!(told.up());
        }
        assert_eq!(Link::told(0x03e8_0001, 9).speed(), 1);
        assert_eq!(Link::told(0x0064_0001, 9).speed(), 1, "100 Mbit/s cannot be said");
    }
}
