//! Shrunk sequences that once failed, kept as files and run by every plain `cargo test`.

use crate::course::{check, machine};
use model::guest::script::{Op, parse};
use model::machine::ROUNDS;
use std::path::Path;

#[test]
fn every_kept_sequence_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migration/sequences");
    let mut kept = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let ops = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for queues in [1, 2] {
            let (mut rig, mut judges) = machine(queues, true);
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
    assert!(kept >= 4, "{kept} sequences");
}
