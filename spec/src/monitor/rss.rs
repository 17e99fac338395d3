//! Where receive-side scaling sends a frame, and the hash its completion may carry.

use super::wire::{Ip, TCP};
use crate::toeplitz;
use crate::vmxnet3::RssConf;
use crate::vmxnet3::command::feature;
use crate::vmxnet3::rx::{hash_type, rss_type};

/// Steering in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rss {
    on: bool,
    hash_type: u16,
    key: [u8; 40],
    table: Vec<u8>,
}

impl Default for Rss {
    fn default() -> Self {
        Self { on: false, hash_type: 0, key: [0; 40], table: Vec::new() }
    }
}

impl Rss {
    /// Whether several queues may receive.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Takes the configuration at activation: later changes of the feature bit count from the next one on.
    pub(super) fn started(&mut self, features: u64, conf: Option<RssConf>) {
        self.on = features & feature::RSS != 0 && conf.is_some();
        if let Some(conf) = conf {
            self.hash_type = conf.hash_type();
            self.key = conf.hash_key();
        }
        self.on &= !self.table.is_empty();
    }

    /// Takes the indirection table again.
    pub(super) fn retable(&mut self, conf: Option<RssConf>) {
        self.table.clear();
        if let Some(conf) = conf {
            let size = usize::from(conf.ind_table_size()).min(128);
            self.table.extend_from_slice(&conf.ind_table()[..size]);
        }
    }

    /// Hash and `rssType` of a frame; `None` where no enabled tuple is found in it.
    pub fn hash(&self, frame: &[u8]) -> Option<(u32, u8)> {
        if !self.on {
            return None;
        }
        let ip = Ip::parse(frame)?;
        let (addresses, with_ports, without, kinds) = if ip.v6 {
            (32, hash_type::TCP_IPV6, hash_type::IPV6, (rss_type::TCP_IPV6, rss_type::IPV6))
        } else {
            (8, hash_type::TCP_IPV4, hash_type::IPV4, (rss_type::TCP_IPV4, rss_type::IPV4))
        };
        let mut input = [0; 36];
        input[..addresses].copy_from_slice(ip.addresses(frame));
        if ip.protocol == TCP && !ip.fragment && self.hash_type & with_ports != 0 {
            input[addresses..addresses + 4].copy_from_slice(frame.get(ip.l4..ip.l4 + 4)?);
            return Some((toeplitz::hash(&self.key, &input[..addresses + 4]), kinds.0));
        }
        (self.hash_type & without != 0).then(|| (toeplitz::hash(&self.key, &input[..addresses]), kinds.1))
    }

    /// The queue of a frame, of `queues`.
    pub fn queue(&self, frame: &[u8], queues: usize) -> u8 {
        match self.hash(frame) {
            Some((hash, _)) => {
                let queue = self.table[hash as usize % self.table.len()];
                if usize::from(queue) < queues { queue } else { 0 }
            }
            None => 0,
        }
    }
}
