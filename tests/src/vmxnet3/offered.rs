//! A conversation for each version that a device offers.

use crate::case::{Check, Target};
use crate::rig::{Bench, Setup};
use core::ops::RangeInclusive;
use spec::vmxnet3::Bar1;

/// `maxNumRxSG` of a driver that takes frames in pieces from every device: as Linux with LRO has it.
pub(super) const BUFFERS: u16 = 18;

/// Whether VRRS offers `version`.
fn offers(bench: &mut Bench, version: u8) -> bool {
    bench.read1(Bar1::Vrrs) >> (version - 1) & 1 == 1
}

/// Runs `conversation` for each of `versions` that the device offers as it is built, or else as the newest: that version is selected
/// and said.
pub(super) fn each_version(
    check: &mut Check,
    versions: RangeInclusive<u8>,
    setup: &Setup,
    mut conversation: impl FnMut(&mut Check, &mut Bench, u8),
) {
    for version in versions {
        if check.profile().versions >> (version - 1) & 1 == 1 {
            check.on(Target::Both, setup, |check, bench| {
                if offers(bench, version) {
                    bench.select(version);
                    conversation(check, bench, version);
                }
            });
            continue;
        }
        check.on_newest(Target::Both, setup, |check, bench| {
            if offers(bench, version) {
                bench.select(version);
                conversation(check, bench, version);
            }
        });
    }
}
