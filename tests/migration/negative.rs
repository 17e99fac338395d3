//! What must go wrong when a rule of the move is left out, each by name.

use model::mutant::{Mutant, Planted};
use std::collections::BTreeSet;
use vnic::campaign;
use vnic::verify::Settings;

fn broken_by(mutant: Mutant) -> BTreeSet<&'static str> {
    let settings = Settings { packets: 200_000, switches: 4_000, ..Settings::default() };
    let findings = campaign::run(&settings, Planted::some(mutant), &mut |_, _| {});
    findings.violations.iter().map(|(.., violation)| violation.clause.id()).collect()
}

#[test]
fn policy_a_without_its_barrier_reorders() {
    assert!(broken_by(Mutant::MoveNoBarrier).contains("SWI-ORD-001"));
}

#[test]
fn a_rollback_after_a_frame_reached_the_wire_doubles() {
    assert!(broken_by(Mutant::MoveRollbackSent).contains("SWI-CON-001"));
}

#[test]
fn a_restore_without_a_rescan_hangs() {
    assert!(broken_by(Mutant::MoveNoRescan).contains("SWI-WAK-001"));
}
