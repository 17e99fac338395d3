//! Which frames are received and by which queue: packet filter, exact addresses, VLANs, hash.

use spec::vic::devcmd::{MAC_FILTERS, packet_filter};
use spec::vic::{NicCfg, UptCfg};

use super::parse::{Headers, Types};
use super::stats::Class;
use crate::mutant::{Mutant, Planted};

/// Everything that commands 7, 12 to 18 configure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Bits of `packet_filter`.
    pub bits: u64,
    macs: Vec<[u8; 6]>,
    vlans: [u32; 128],
    /// Configuration word.
    pub nic: NicCfg,
    /// What of VMXNET3 it goes by.
    pub upt: UptCfg,
    /// Toeplitz key.
    pub key: [u8; 40],
    /// Queue pair a hash value.
    pub table: [u8; 128],
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Steered {
    /// Queue pair.
    pub queue: u8,
    /// Hash and its `rssType`, where one was computed.
    pub hash: Option<(u32, u8)>,
}

impl Filter {
    /// After power-up: nothing is received.
    pub fn reset() -> Self {
        let (nic, upt) = (NicCfg::default(), UptCfg::default());
        Self { bits: 0, macs: Vec::new(), vlans: [0; 128], nic, upt, key: [0; 40], table: [0; 128] }
    }

    /// Adds an exact address; false when there is no room. A duplicate needs none.
    pub fn add_mac(&mut self, mac: [u8; 6]) -> bool {
        match self.macs.binary_search(&mac) {
            Ok(_) => true,
            Err(_) if self.macs.len() >= MAC_FILTERS => false,
            Err(at) => {
                self.macs.insert(at, mac);
                true
            }
        }
    }

    /// Removes an exact address; false when it was not there.
    pub fn delete_mac(&mut self, mac: [u8; 6]) -> bool {
        self.macs.binary_search(&mac).map(|at| self.macs.remove(at)).is_ok()
    }

    /// Admits or refuses a VLAN.
    pub fn set_vlan(&mut self, vid: u16, admitted: bool) {
        let bit = 1 << (vid % 32);
        if let Some(word) = self.vlans.get_mut(usize::from(vid / 32)) {
            *word = if admitted { *word | bit } else { *word & !bit };
        }
    }

    fn vlan_refused(&self, tag: u16) -> bool {
        let vid = tag & 0xfff;
        vid != 0 && self.vlans[usize::from(vid / 32)] >> (vid % 32) & 1 == 0 && self.vlans.iter().any(|&w| w != 0)
    }

    /// Whether a frame is received.
    pub fn accepts(&self, frame: &[u8], headers: &Headers, planted: Planted) -> bool {
        if self.bits & packet_filter::PROMISCUOUS != 0 && !planted.is(Mutant::HwFilterNoPromisc) {
            return true;
        }
        if headers.tag.is_some_and(|tag| self.vlan_refused(tag)) && !planted.is(Mutant::HwFilterAnyVlan) {
            return false;
        }
        let Some(to) = frame.get(..6) else { return false };
        let listed = || self.macs.binary_search_by(|mac| mac[..].cmp(to)).is_ok();
        match Class::of(frame) {
            Class::Broadcast => self.bits & packet_filter::BROADCAST != 0,
            Class::Multicast => {
                self.bits & packet_filter::ALL_MULTICAST != 0 || (self.bits & packet_filter::MULTICAST != 0 && listed())
            }
            Class::Unicast => {
                self.bits & packet_filter::DIRECTED != 0 && (listed() || planted.is(Mutant::HwFilterAnyUnicast))
            }
        }
    }

    /// The queue pair of a frame. A table entry that names none of the eight means the default.
    #[inline]
    pub fn steer(&self, frame: &[u8], headers: &Headers, planted: Planted) -> Steered {
        let default = self.nic.rss_default_cpu() & 7;
        if !self.nic.rss_enable() {
            return Steered { queue: default, hash: None };
        }
        let types = Types { nic: self.nic.rss_hash_type(), upt: self.upt, planted };
        match headers.hash(frame, types, &self.key) {
            None => Steered { queue: default, hash: None },
            Some((hash, kind)) => {
                let entries = 1u32 << self.nic.rss_hash_bits();
                let queue = self.table[(hash & (entries - 1)) as usize & 127];
                Steered { queue: if queue < 8 { queue } else { default }, hash: Some((hash, kind)) }
            }
        }
    }
}
