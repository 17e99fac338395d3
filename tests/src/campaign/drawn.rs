//! Courses drawn by the seed: version, offloads, tunnels, hashes, merging, data rings, queues, interrupts, and whether these are spaced.

use super::Course;
use crate::case::{newest, with_best};
use model::guest::shape::Bounds;
use model::guest::vmxnet3::{DriverConfig, RssSetup, Vectors};
use spec::frame::Dice;
use spec::profile::Profile;
use spec::vmxnet3::Interrupts;
use spec::vmxnet3::command::feature;
use std::ops::RangeInclusive;

/// The versions from which tunnels are left to the device, and from which there are data rings.
const TUNNELS_SINCE: u8 = 4;
const DATA_RINGS_SINCE: u8 = 3;

/// One course for each group of versions, as `seed` has it, and one on the line and one on MSI: each leaves `base` in what is drawn.
pub(super) fn courses(profile: &'static Profile, base: &DriverConfig, seed: u64) -> Vec<Course> {
    let mut dice = Dice::new(seed ^ 0xd1ce);
    let mut spaced = Dice::new(seed ^ 0x71c5);
    let mut drawn = |name, versions| {
        let profile = if spaced.once_in(2) { &Profile::MODERATED } else { profile };
        draw(name, newest(profile), base, versions, &mut dice)
    };
    let mut all = vec![
        drawn("drawn from versions 1 to 3", 1..=3),
        drawn("drawn from versions 4 to 6", 4..=6),
        drawn("drawn from versions 7 to 9", 7..=9),
    ];
    let mut line = drawn("drawn from all versions, on the INTx line", 1..=9);
    line.profile = with_best(line.profile, Interrupts::Line);
    line.config.vectors = Vectors::Intx;
    let mut message = drawn("drawn from all versions, on MSI", 1..=9);
    message.profile = with_best(message.profile, Interrupts::Msi);
    message.config.vectors = Vectors::Msi;
    all.extend([line, message]);
    all
}

fn draw(
    name: &'static str,
    profile: &'static Profile,
    base: &DriverConfig,
    versions: RangeInclusive<u8>,
    dice: &mut Dice,
) -> Course {
    let span = u64::from(versions.end() - versions.start()) + 1;
    let version = versions.start() + dice.below(span) as u8;
    let queues = 1 + dice.below(4) as u8;
    let mut config = DriverConfig { tx_queues: queues, rx_queues: queues, ..base.clone() };
    let data_rings = version >= DATA_RINGS_SINCE && dice.once_in(2);
    if data_rings {
        config = config.with_data_rings();
    }
    config = DriverConfig {
        max_version: version,
        tx_ring: 64,
        tx_comp: 64,
        rx_ring: [64, 64],
        rx_comp: 128,
        max_rx_sg: 18,
        auto_mask: dice.once_in(2),
        vectors: [Vectors::Buddy, Vectors::Separate, Vectors::Single][dice.below(3) as usize],
        mod_level: dice.below(9) as u8,
        rss_fields: dice.below(64) as u32,
        ..config
    };
    let features = [feature::RXCSUM, feature::RXVLAN, feature::LRO, feature::RXINNEROFLD];
    config.features = features.into_iter().filter(|_| !dice.once_in(3)).fold(0, |all, bit| all | bit);
    if queues > 1 && !dice.once_in(4) {
        let key = std::array::from_fn(|_| dice.below(256) as u8);
        let table = (0..1 << (3 + dice.below(5))).map(|_| dice.below(u64::from(queues)) as u8).collect();
        config.rss = Some(RssSetup { hash_type: dice.below(16) as u16, key, table });
    }
    let bounds = Bounds {
        segmented: 4000,
        streams: config.features & feature::LRO != 0 && dice.once_in(2),
        tunnels: version >= TUNNELS_SINCE,
        ..Bounds::default()
    };
    Course { name, profile, config, bytes: 8 << 20, bounds, burst: 16 }
}
