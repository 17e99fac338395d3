//! The receive filter as the monitors understand it, written apart from the bodies' own.

use super::ids::{FLT_001, FLT_002, FLT_004, FLT_005, RX_019};
use crate::clause::Index;
use crate::event::GuestView;
use crate::vmxnet3::command::rx_mode;
use crate::vmxnet3::{Command, RxFilterConf};

/// EtherType of an 802.1Q tag.
pub(super) const TAG: [u8; 2] = [0x81, 0x00];

/// Whether a frame is for this guest, and the clause that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is.
    Yes(Index),
    /// It is not.
    No(Index),
    /// It cannot be told: the address in force was never seen, or the configuration is changing.
    Maybe,
}

/// The filter in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Current address, once seen.
    pub mac: Option<[u8; 6]>,
    /// Bits of `rxMode`.
    pub mode: u32,
    multicast: Vec<[u8; 6]>,
    vlans: [u32; 128],
}

impl Default for Filter {
    fn default() -> Self {
        Self { mac: None, mode: 0, multicast: Vec::new(), vlans: [0; 128] }
    }
}

impl Filter {
    /// Takes what `command` says from the shared area.
    pub(super) fn update(&mut self, command: Command, conf: &RxFilterConf, memory: &dyn GuestView) {
        match command {
            Command::UpdateRxMode => self.mode = conf.rx_mode(),
            Command::UpdateVlanFilters => self.vlans = conf.vf_table(),
            _ => {
                self.multicast.clear();
                if let Some(table) = memory.slice(conf.mf_table_pa(), usize::from(conf.mf_table_len())) {
                    self.multicast.extend(table.chunks_exact(6).map(|a| [a[0], a[1], a[2], a[3], a[4], a[5]]));
                }
            }
        }
    }

    /// Whether `frame` passes.
    pub fn judge(&self, frame: &[u8]) -> Verdict {
        let Some(to) = frame.first_chunk::<6>() else { return Verdict::Maybe };
        if self.mode == 0 {
            return Verdict::No(RX_019);
        }
        if self.mode & rx_mode::PROMISC != 0 {
            return Verdict::Yes(FLT_001);
        }
        let tagged = frame.get(12..14) == Some(&TAG[..]) && frame.len() >= 18;
        let mut clause = FLT_002;
        if tagged {
            let vid = usize::from(u16::from_be_bytes([frame[14], frame[15]]) & 0xfff);
            if self.vlans.iter().all(|&word| word == 0) {
                clause = FLT_004;
            } else if vid == 0xfff {
                return Verdict::Maybe;
            } else if vid != 0 && self.vlans[vid / 32] >> (vid % 32) & 1 == 0 {
                return Verdict::No(FLT_005);
            } else {
                clause = FLT_005;
            }
        }
        let passes = if *to == [0xff; 6] {
            self.mode & rx_mode::BCAST != 0
        } else if to[0] & 1 == 1 {
            self.mode & rx_mode::ALL_MULTI != 0
                || self.mode & rx_mode::MCAST != 0 && self.multicast.iter().any(|group| group == to)
        } else if self.mode & rx_mode::UCAST == 0 {
            false
        } else {
            match self.mac {
                Some(mac) => mac == *to,
                None => return Verdict::Maybe,
            }
        };
        if passes { Verdict::Yes(clause) } else { Verdict::No(FLT_002) }
    }
}
