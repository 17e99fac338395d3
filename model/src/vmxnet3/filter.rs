//! The receive filter: which frames are for this guest.
//!
//! Source: vmxnet3_defs.h, VMXNET3_RXM_*; the order of decisions is the one that every public driver works with.

use super::headers::outer_tag;
use crate::mutant::{Mutant, Planted};
use crate::plane::Filters;
use spec::frame::ETHERNET;
use spec::profile::{Deviation, Profile};
use spec::vmxnet3::command::rx_mode;

/// What a destination address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One station.
    Unicast,
    /// A group.
    Multicast,
    /// All.
    Broadcast,
}

impl Destination {
    /// That of a frame, at least 6 bytes long; a shorter one counts as unicast.
    #[inline]
    pub fn of(frame: &[u8]) -> Self {
        match frame.first_chunk::<6>() {
            Some(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => Self::Broadcast,
            Some(&[first, ..]) if first & 1 == 1 => Self::Multicast,
            _ => Self::Unicast,
        }
    }
}

/// Whether the filter lets `frame` in. A frame without a whole Ethernet header never passes.
pub fn accepts(filters: &Filters, profile: &Profile, planted: Planted, frame: &[u8]) -> bool {
    if frame.len() < ETHERNET || filters.rx_mode == 0 {
        return false;
    }
    if filters.rx_mode & rx_mode::PROMISC != 0 && !planted.is(Mutant::SwFilterNoPromisc) {
        return true;
    }
    let any_vlan = planted.is(Mutant::SwFilterAnyVlan);
    let any_unicast =
        planted.is(Mutant::SwFilterAnyUnicast) && filters.rx_mode & rx_mode::UCAST != 0 && frame[0] & 1 == 0;
    (any_vlan || vlan_accepts(filters, profile, frame)) && (any_unicast || address_accepts(filters, frame))
}

fn vlan_accepts(filters: &Filters, profile: &Profile, frame: &[u8]) -> bool {
    let vid = usize::from(outer_tag(frame).unwrap_or(0) & 0xfff);
    let special = vid == 0 || (vid == 0xfff && profile.has(Deviation::ZeroVlanTableDrops));
    // FreeBSD and OpenBSD leave the table all zero and mean: do not filter.
    let open = || !profile.has(Deviation::ZeroVlanTableDrops) && filters.vlans.iter().all(|word| *word == 0);
    special || open() || filters.vlans[vid / 32] >> (vid % 32) & 1 == 1
}

fn address_accepts(filters: &Filters, frame: &[u8]) -> bool {
    let has = |bit| filters.rx_mode & bit != 0;
    match Destination::of(frame) {
        Destination::Unicast => has(rx_mode::UCAST) && frame[..6] == filters.mac,
        Destination::Broadcast => has(rx_mode::BCAST),
        Destination::Multicast => {
            has(rx_mode::ALL_MULTI) || has(rx_mode::MCAST) && filters.multicast.iter().any(|group| frame[..6] == *group)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{MAC, PEER};
    use spec::frame::generated;

    const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 7];

    fn mode(rx_mode: u32) -> Filters {
        Filters { mac: MAC, rx_mode, multicast: vec![GROUP], ..Filters::default() }
    }

    fn to(destination: [u8; 6]) -> Vec<u8> {
        generated(destination, PEER, 1, 1, 60)
    }

    fn tagged(vid: u8) -> Vec<u8> {
        let mut frame = to(MAC);
        frame.splice(12..12, [0x81, 0, 0, vid]);
        frame
    }

    #[test]
    fn each_mode_bit_opens_its_own_kind_of_address() {
        let other_group = [1, 0, 0x5e, 0, 0, 8];
        let all = [MAC, PEER, GROUP, other_group, [0xff; 6]];
        for (bits, passing) in [
            (0, [false; 5]),
            (rx_mode::UCAST, [true, false, false, false, false]),
            (rx_mode::MCAST, [false, false, true, false, false]),
            (rx_mode::ALL_MULTI, [false, false, true, true, false]),
            (rx_mode::BCAST, [false, false, false, false, true]),
            (rx_mode::PROMISC, [true; 5]),
        ] {
            let got = all.map(|address| accepts(&mode(bits), &Profile::REFERENCE, Planted::NONE, &to(address)));
            assert_eq!(got, passing, "mode {bits:#x}");
        }
    }

    #[test]
    fn an_all_zero_vlan_table_filters_nothing_except_on_qemu() {
        let filters = mode(rx_mode::UCAST);
        assert!(accepts(&filters, &Profile::REFERENCE, Planted::NONE, &tagged(7)));
        assert!(!accepts(&filters, &Profile::QEMU_11_1, Planted::NONE, &tagged(7)));
        assert!(accepts(&filters, &Profile::QEMU_11_1, Planted::NONE, &tagged(0)));
    }

    #[test]
    fn a_nonzero_vlan_table_admits_its_own_ids_and_untagged_frames() {
        let mut filters = mode(rx_mode::UCAST);
        filters.vlans[0] = 1 << 7;
        for profile in [&Profile::REFERENCE, &Profile::QEMU_11_1] {
            let vids = [7, 8, 0].map(|vid| accepts(&filters, profile, Planted::NONE, &tagged(vid)));
            assert_eq!(vids, [true, false, true]);
            assert!(accepts(&filters, profile, Planted::NONE, &to(MAC)));
        }
        filters.rx_mode = rx_mode::PROMISC;
        assert!(accepts(&filters, &Profile::REFERENCE, Planted::NONE, &tagged(8)));
    }

    #[test]
    fn a_frame_without_an_ethernet_header_never_passes() {
        assert!(!accepts(&mode(rx_mode::PROMISC), &Profile::REFERENCE, Planted::NONE, &[0; 13]));
    }
}
