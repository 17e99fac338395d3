//! Shrunk sequences that once failed, kept as files and run by every plain `cargo test`: a file of operations holds on every
//! machine that finds come from.

use crate::course::{BYTES, check, machine};
use model::guest::script::{Op, parse};
use model::guest::vmxnet3::DriverConfig;
use model::machine::{ROUNDS, Rig};
use spec::monitor::Judges;
use spec::profile::Profile;
use std::path::Path;

/// The machine of the fuzz target `switch_script`.
fn fuzzed() -> (Rig, Judges) {
    let config = DriverConfig { tx_queues: 2, rx_queues: 2, ..DriverConfig::tiny() };
    let mut rig = Rig::new(&Profile::SMALL, config, BYTES, 3).expect("the driver fits");
    let mut judges = Judges::snoop();
    assert!(rig.bring_up(&mut judges));
    (rig, judges)
}

#[test]
fn every_kept_sequence_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migration/sequences");
    let mut kept = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let ops = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (mut rig, mut judges) in [machine(1, true), machine(2, true), fuzzed()] {
            for op in &ops {
                rig.apply(op, &mut judges);
            }
            rig.apply(&Op::Wire { ready: true }, &mut judges);
            assert!(rig.machine.settle(&mut judges, ROUNDS), "{}", path.display());
            if let Err(error) = check(&rig, &judges, &ops, &path.display().to_string()) {
                panic!("{error}");
            }
        }
        kept += 1;
    }
    assert!(kept >= 7, "{kept} sequences");
}
