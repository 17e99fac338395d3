//! Each released saved version keeps a committed sample.

use model::migrate::{Canon, Saved};
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
