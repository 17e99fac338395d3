//! Where receive-side scaling sends a frame, and the hash its completion may carry.

use super::wire::{Ip, TCP, UDP};
use crate::toeplitz;
use crate::vmxnet3::command::feature;
use crate::vmxnet3::rx::{hash_type, rss_type};
use crate::vmxnet3::{RssConf, RssFields};

/// Protocol number of ESP.
const ESP: u8 = 50;
/// From this version on there are RSS fields, and from that one ESP over IPv6 among them.
const FIELDS_SINCE: u8 = 4;
const ESP_IPV6_SINCE: u8 = 6;

/// Steering in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rss {
    on: bool,
    hash_type: u16,
    key: [u8; 40],
    table: Vec<u8>,
    /// Fields in force, and those that were until the guest changed them: frames under way may meet either.
    fields: RssFields,
    before: RssFields,
}

impl Default for Rss {
    fn default() -> Self {
        let (fields, before) = (RssFields::DEFAULT, RssFields::DEFAULT);
        Self { on: false, hash_type: 0, key: [0; 40], table: Vec::new(), fields, before }
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

    /// SET_RSS_FIELDS asks for `fields`: what `version` has of them is taken to be granted until the device says what is.
    pub(super) fn asked(&mut self, fields: RssFields, version: u8) {
        let mut able = RssFields(0);
        able.set_udpip4(version >= FIELDS_SINCE);
        able.set_udpip6(version >= FIELDS_SINCE);
        able.set_espip4(version >= FIELDS_SINCE);
        able.set_espip6(version >= ESP_IPV6_SINCE);
        self.told(fields.granted(able.0), version);
    }

    /// GET_RSS_FIELDS answered `fields`. Says whether that is something else.
    pub(super) fn told(&mut self, fields: RssFields, version: u8) -> bool {
        let changed = version >= FIELDS_SINCE && fields != self.fields;
        if changed {
            self.fields = fields;
        }
        changed
    }

    /// Nothing is under way that could have met other fields than those in force.
    pub(super) fn settled(&mut self) {
        self.before = self.fields;
    }

    /// RESET_DEV: fields are as at first.
    pub(super) fn reset(&mut self) {
        self.fields = RssFields::DEFAULT;
    }

    /// Hash and `rssType` of a frame by the fields in force, and by those before; `None` where no enabled tuple is found in it.
    pub fn hashes(&self, frame: &[u8]) -> [Option<(u32, u8)>; 2] {
        let now = self.hash(frame, self.fields);
        [now, if self.before == self.fields { now } else { self.hash(frame, self.before) }]
    }

    fn hash(&self, frame: &[u8], fields: RssFields) -> Option<(u32, u8)> {
        if !self.on {
            return None;
        }
        let ip = Ip::parse(frame)?;
        let (addresses, plain, kind) =
            if ip.v6 { (32, hash_type::IPV6, rss_type::IPV6) } else { (8, hash_type::IPV4, rss_type::IPV4) };
        let mut input = [0; 36];
        input[..addresses].copy_from_slice(ip.addresses(frame));
        if let Some(kind) = self.whole(&ip, fields) {
            input[addresses..addresses + 4].copy_from_slice(frame.get(ip.l4..ip.l4 + 4)?);
            return Some((toeplitz::hash(&self.key, &input[..addresses + 4]), kind));
        }
        (self.hash_type & plain != 0).then(|| (toeplitz::hash(&self.key, &input[..addresses]), kind))
    }

    /// The `rssType` of a packet of which more than the addresses is hashed: ports, or the SPI.
    fn whole(&self, ip: &Ip, fields: RssFields) -> Option<u8> {
        let bytes = ip.end.saturating_sub(ip.l4);
        let (on, least, kind) = match (ip.protocol, ip.v6) {
            (TCP, false) => (self.hash_type & hash_type::TCP_IPV4 != 0, 20, rss_type::TCP_IPV4),
            (TCP, true) => (self.hash_type & hash_type::TCP_IPV6 != 0, 20, rss_type::TCP_IPV6),
            (UDP, false) => (fields.udpip4(), 8, rss_type::UDP_IPV4),
            (UDP, true) => (fields.udpip6(), 8, rss_type::UDP_IPV6),
            (ESP, false) => (fields.espip4(), 8, rss_type::ESP_IPV4),
            (ESP, true) => (fields.espip6(), 8, rss_type::ESP_IPV6),
            _ => return None,
        };
        (on && bytes >= least && !ip.fragment).then_some(kind)
    }

    /// The queue of a frame, of `queues`, by the fields in force and by those before.
    pub fn queues(&self, frame: &[u8], queues: usize) -> [u8; 2] {
        self.hashes(frame).map(|hash| match hash {
            Some((hash, _)) => {
                let queue = self.table[hash as usize % self.table.len()];
                if usize::from(queue) < queues { queue } else { 0 }
            }
            None => 0,
        })
    }
}
