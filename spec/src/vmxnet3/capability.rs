//! What a device of version 7 lets its driver choose from (DCR0), and what the adapter behind it could back (PTCR0).

crate::layout! {
    /// Device capabilities: read, what can be granted; written, what the driver wants; answered by GET_DCR0_REG, what it got.
    /// PTCR0 has the same bits, of the adapter.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_CAP_* and VMXNET3_DCR_ERROR; linux vmxnet3_drv.c, vmxnet3_probe_device.
    pub struct Capabilities(u32) = "DCR0", by Both, since 7 {
        /// Hash over UDP ports.
        [0] udp_rss, set_udp_rss: bool = "UDP_RSS";
        /// Hash over the SPI of ESP in IPv4.
        [1] esp_rss_ipv4, set_esp_rss_ipv4: bool = "ESP_RSS_IPV4";
        /// Checksums inside Geneve.
        [2] geneve_checksum_offload, set_geneve_checksum_offload: bool = "GENEVE_CHECKSUM_OFFLOAD";
        /// TCP segmentation inside Geneve.
        [3] geneve_tso, set_geneve_tso: bool = "GENEVE_TSO";
        /// Checksums inside VXLAN.
        [4] vxlan_checksum_offload, set_vxlan_checksum_offload: bool = "VXLAN_CHECKSUM_OFFLOAD";
        /// TCP segmentation inside VXLAN.
        [5] vxlan_tso, set_vxlan_tso: bool = "VXLAN_TSO";
        /// The UDP checksum around Geneve.
        [6] geneve_outer_checksum_offload, set_geneve_outer_checksum_offload: bool = "GENEVE_OUTER_CHECKSUM_OFFLOAD";
        /// The UDP checksum around VXLAN.
        [7] vxlan_outer_checksum_offload, set_vxlan_outer_checksum_offload: bool = "VXLAN_OUTER_CHECKSUM_OFFLOAD";
        /// Packet steering of IPv4; used by no public driver.
        [8] pkt_steering_ipv4, set_pkt_steering_ipv4: bool = "PKT_STEERING_IPV4";
        /// Hash over the SPI of ESP in IPv6.
        [9] esp_rss_ipv6, set_esp_rss_ipv6: bool = "ESP_RSS_IPV6";
        /// Hash over ESP in UDP; used by no public driver.
        [10] esp_over_udp_rss, set_esp_over_udp_rss: bool = "ESP_OVER_UDP_RSS";
        /// Hash over inner headers; used by no public driver.
        [11] inner_rss, set_inner_rss: bool = "INNER_RSS";
        /// Hash over inner ESP; used by no public driver.
        [12] inner_esp_rss, set_inner_esp_rss: bool = "INNER_ESP_RSS";
        /// Hash function CRC32; used by no public driver.
        [13] crc32_hash_func, set_crc32_hash_func: bool = "CRC32_HASH_FUNC";
        /// Filter of tunnel management frames; used by no public driver.
        [14] oam_filter, set_oam_filter: bool = "OAM_FILTER";
        /// Queue by ESP; used by no public driver.
        [15] esp_qs, set_esp_qs: bool = "ESP_QS";
        /// Doorbells in the second page of a BAR0 of 16 MiB, see [`LargeBar0`](super::bar0::LargeBar0).
        [16] large_bar, set_large_bar: bool = "LARGE_BAR";
        /// Receive completions may name descriptors out of ring order.
        [17] ooorx_comp, set_ooorx_comp: bool = "OOORX_COMP";
        /// Packet steering of IPv6, version 8; used by no public driver.
        [18] pkt_steering_ipv6, set_pkt_steering_ipv6: bool = "PKT_STEERING_IPV6", since 8;
        /// Reserved, zero.
        [30:19] rsvd, set_rsvd: u16;
        /// In PTCR0: no adapter is there to ask, and drivers take every capability of the device for permitted.
        [31] dcr_error, set_dcr_error: bool = "DCR_ERROR", by Device;
    }
}

/// PTCR0 of a device that no adapter is asked for. Source: vmxnet3_defs.h, VMXNET3_DCR_ERROR.
pub const DCR_ERROR: u32 = 1 << Capabilities::LAYOUT.low("DCR_ERROR");
/// The capability of large-BAR doorbells. Source: vmxnet3_defs.h, VMXNET3_CAP_LARGE_BAR.
pub const LARGE_BAR: u32 = 1 << Capabilities::LAYOUT.low("LARGE_BAR");
/// The capability of completions out of order. Source: vmxnet3_defs.h, VMXNET3_CAP_OOORX_COMP.
pub const OOORX_COMP: u32 = 1 << Capabilities::LAYOUT.low("OOORX_COMP");
/// Every capability of tunnels: a driver that is granted none of them cuts tunnels itself, and yet leaves the inner checksum of each
/// piece to the device, with `ext1`. Source: linux vmxnet3_drv.c, vmxnet3_declare_features, which keeps NETIF_F_HW_CSUM.
pub const TUNNELS: u32 = 0xfc;

/// From this version on there are DCR and PTCR. Source: linux vmxnet3_drv.c, vmxnet3_probe_device.
pub const CAPABILITIES_SINCE: u8 = 7;

/// What a driver that wants `wanted` is granted by a device that offers `offered`.
///
/// Source: linux vmxnet3_ethtool.c, vmxnet3_set_rss_hash_opt, which asks without looking at the offer.
pub const fn grant(offered: u32, wanted: u32) -> u32 {
    offered & wanted & !DCR_ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_tunnels_are_the_six_of_the_table() {
        let names = ["GENEVE_CHECKSUM_OFFLOAD", "GENEVE_TSO", "VXLAN_CHECKSUM_OFFLOAD", "VXLAN_TSO"];
        let outer = ["GENEVE_OUTER_CHECKSUM_OFFLOAD", "VXLAN_OUTER_CHECKSUM_OFFLOAD"];
        let bits = names.iter().chain(&outer).fold(0, |all, name| all | 1 << Capabilities::LAYOUT.low(name));
        assert_eq!(bits, TUNNELS);
        assert!(Capabilities(LARGE_BAR).large_bar() && Capabilities(OOORX_COMP).ooorx_comp());
    }

    #[test]
    fn nothing_is_granted_that_is_not_both_offered_and_wanted() {
        assert_eq!(grant(0b1100, 0b1010), 0b1000);
        assert_eq!(grant(u32::MAX, DCR_ERROR), 0);
    }
}
