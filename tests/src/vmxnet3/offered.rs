//! A conversation for each version that a device offers.

use crate::case::{Check, Target};
use crate::rig::{Bench, Setup};
use core::ops::RangeInclusive;
use spec::vmxnet3::Bar1;

/// `maxNumRxSG` of a driver that takes frames in pieces from every device: as Linux with LRO has it.
pub(in crate::vmxnet3) const BUFFERS: u16 = 18;

/// Queues of each kind that the adapter has.
pub(in crate::vmxnet3) const ADAPTER_QUEUES: u8 = 8;

/// Whether VRRS offers `version`.
fn offers(bench: &mut Bench, version: u8) -> bool {
    bench.read1(Bar1::Vrrs) >> (version - 1) & 1 == 1
}

/// Runs `conversation` for each of `versions` that the device offers as it is built, or else as the newest: that version is selected
/// and said.
pub(in crate::vmxnet3) fn each_version(
    check: &mut Check,
    versions: RangeInclusive<u8>,
    setup: &Setup,
    conversation: impl FnMut(&mut Check, &mut Bench, u8),
) {
    each_version_on(check, Target::Both, versions, setup, conversation);
}

/// The same, on `target` alone.
pub(in crate::vmxnet3) fn each_version_on(
    check: &mut Check,
    target: Target,
    versions: RangeInclusive<u8>,
    setup: &Setup,
    mut conversation: impl FnMut(&mut Check, &mut Bench, u8),
) {
    for version in versions {
        if check.profile().versions >> (version - 1) & 1 == 1 {
            check.on(target, setup, |check, bench| {
                if offers(bench, version) {
                    bench.select(version);
                    conversation(check, bench, version);
                }
            });
            continue;
        }
        check.on_newest(target, setup, |check, bench| {
            if offers(bench, version) {
                bench.select(version);
                conversation(check, bench, version);
            }
        });
    }
}

/// A row of cases a version: `name, [versions], clauses, deviations that excuse, needs, conversation;`. Each is called by the name, a
/// dash, `v` and the version; the conversation asks [`Check::version`] which one it is.
macro_rules! by_version {
    ($($name:literal, [$($version:literal)+], $clauses:expr, $unless:expr, $needs:expr, $run:path;)+) => {
        &[$($(crate::case::Case::new(concat!($name, "-v", $version), $clauses, $run).unless($unless).needing($needs)),+),+]
    };
}
pub(in crate::vmxnet3) use by_version;
