//! Each released saved version keeps a committed sample.

use model::guest::vmxnet3::{DriverConfig, Vectors};
use model::machine::Rig;
use model::migrate::{Canon, Saved};
use spec::event::Bar;
use spec::profile::Profile;
use spec::vmxnet3::Bar0;
use std::path::Path;

/// `model/saved/canon-v1.bin` was made by `UPDATE_SAVED=1 cargo test -p vnic --test migration versions`.
#[test]
fn the_sample_of_version_1_restores_and_saves_to_the_same_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/saved/canon-v1.bin");
    if std::env::var_os("UPDATE_SAVED").is_some() {
        let mut rig = crate::course::machine(2, true).0;
        rig.apply(&"multicast 2".parse().expect("an operation"), &mut ());
        rig.apply(&"settle".parse().expect("an operation"), &mut ());
        let system = &rig.machine.system;
        let activation = system.plane().activation().expect("active").clone();
        let progress = system.body().progress().expect("at rest");
        let mut bytes = Vec::new();
        Canon { activation, progress }.encode(system.plane().profile(), &mut bytes);
        std::fs::write(&path, bytes).expect("a writable sample");
    }
    let bytes = std::fs::read(&path).expect("the sample");
    let (profile, canon) = Canon::decode(&bytes).expect("the sample restores");
    assert_eq!((canon.activation.tx.len(), canon.activation.filters.multicast.len()), (2, 2));
    let mut again = Vec::new();
    canon.encode(profile, &mut again);
    assert_eq!(again, bytes);
}

/// `model/saved/function-v1.bin` was made by the same command.
#[test]
fn the_sample_of_a_function_of_version_1_restores_and_saves_to_the_same_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/saved/function-v1.bin");
    let mut rig = crate::course::machine(2, true).0;
    let profile = rig.machine.system.plane().profile();
    if std::env::var_os("UPDATE_SAVED").is_some() {
        rig.apply(&"multicast 2".parse().expect("an operation"), &mut ());
        rig.apply(&"settle".parse().expect("an operation"), &mut ());
        let mut bytes = Vec::new();
        rig.machine.system.save().expect("at rest").encode(profile, &mut bytes);
        std::fs::write(&path, bytes).expect("a writable sample");
    }
    let bytes = std::fs::read(&path).expect("the sample");
    let saved = Saved::decode(profile, &bytes).expect("the sample restores");
    let activation = saved.plane.activation.as_ref().expect("active");
    assert_eq!((activation.tx.len(), activation.filters.multicast.len(), saved.plane.version), (2, 2, 1));
    rig.machine.system.restore(&saved, &mut ());
    let mut again = Vec::new();
    rig.machine.system.save().expect("at rest").encode(profile, &mut again);
    assert_eq!(again, bytes);
}

/// A guest with more queues and vectors than version 1 has: vector 64 is unmasked, entry 64 of its MSI-X table is masked.
fn wide() -> Rig {
    let profile = Profile::by_name("small+v9").expect("a profile");
    let (tx_queues, rx_queues, vectors) = (32, 32, Vectors::Separate);
    let config = DriverConfig { max_version: 9, tx_queues, rx_queues, vectors, ..DriverConfig::tiny() };
    let mut rig = Rig::new(profile, config, 1 << 18, 5).expect("the driver fits");
    assert!(rig.bring_up(&mut ()));
    let system = &mut rig.machine.system;
    assert!(system.guest_write(Bar::Bar0, Bar0::Imr(64).offset(), 0, &mut ()));
    assert!(system.guest_write(Bar::Bar2, 64 * 16 + 12, 1, &mut ()));
    rig
}

/// `model/saved/wide-v1.bin` was made by the same command: every part that says more than those of 25 vectors is in it.
#[test]
fn the_sample_of_the_full_width_restores_and_saves_to_the_same_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/saved/wide-v1.bin");
    let mut rig = wide();
    let profile = rig.machine.system.plane().profile();
    if std::env::var_os("UPDATE_SAVED").is_some() {
        let mut bytes = Vec::new();
        rig.machine.system.save().expect("at rest").encode(profile, &mut bytes);
        std::fs::write(&path, bytes).expect("a writable sample");
    }
    let bytes = std::fs::read(&path).expect("the sample");
    let saved = Saved::decode(profile, &bytes).expect("the sample restores");
    let activation = saved.plane.activation.as_ref().expect("active");
    assert_eq!((activation.tx.len(), activation.rx.len(), activation.mod_levels[64]), (32, 32, 8));
    assert!(!saved.progress.vectors[64].masked && saved.pci.parts().1[64].masked());
    rig.machine.system.restore(&saved, &mut ());
    let mut again = Vec::new();
    rig.machine.system.save().expect("at rest").encode(profile, &mut again);
    assert_eq!(again, bytes);
}

/// A function that was saved with the table of 25 vectors, by a build that had no more, keeps it on a device that has 65.
#[test]
fn a_function_that_was_saved_with_fewer_vectors_keeps_them() {
    let profile = Profile::by_name("small+v9").expect("a profile");
    let mut rig = Rig::new(profile, DriverConfig { max_version: 9, ..DriverConfig::tiny() }, 1 << 16, 5).expect("fits");
    assert!(rig.bring_up(&mut ()));
    let mut old = rig.machine.system.save().expect("at rest");
    let (config, table, pending, _) = old.pci.parts();
    let mut entries = *table;
    entries[25..].copy_from_slice(&model::pci::Pci::new().parts().1[25..]);
    old.pci = model::pci::Pci::new().with_parts(config, entries, pending);
    let mut bytes = Vec::new();
    old.encode(profile, &mut bytes);
    let saved = Saved::decode(profile, &bytes).expect("it restores");
    assert_eq!((saved.pci.vectors(), &saved), (25, &old));
    rig.machine.system.restore(&saved, &mut ());
    let mut again = Vec::new();
    rig.machine.system.save().expect("at rest").encode(profile, &mut again);
    assert_eq!(again, bytes);
}
