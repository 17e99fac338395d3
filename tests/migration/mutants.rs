//! Every planted bug is found, and the clause that its row names is among those broken: by a case where a case judges it, in the
//! campaign otherwise.

use model::mutant::{Mutant, Planted};
use spec::clause::Judge;
use spec::profile::Profile;
use std::collections::BTreeSet;
use vnic::campaign;
use vnic::case::run_all;
use vnic::verify::Settings;

#[test]
fn every_mutant_is_killed_by_the_clause_it_names() {
    let settings = Settings { packets: 300_000, switches: 6_000, ..Settings::default() };
    let mut alive = Vec::new();
    for &(mutant, name, _, killer, _) in Mutant::TABLE {
        if spec::clause::find(killer).is_some_and(|clause| clause.judge == Judge::Case) {
            if !run_all(&Profile::REFERENCE, Planted::some(mutant)).broke(killer) {
                alive.push(format!("{name}: no case breaks {killer}"));
            }
            continue;
        }
        let findings = campaign::run(&settings, Planted::some(mutant), &mut |_, _| {});
        let mut broken: BTreeSet<_> = findings.violations.iter().map(|(.., violation)| violation.clause.id()).collect();
        broken.extend(findings.breaches.iter().map(|(.., breach)| breach.clause()));
        if !broken.contains(killer) {
            alive.push(format!("{name}: {killer} not among {broken:?}"));
        }
    }
    assert!(alive.is_empty(), "{}", alive.join("\n"));
}

#[test]
fn there_are_enough_of_them() {
    use model::mutant::Place;
    for place in [Place::Software, Place::Plane, Place::Adapter, Place::Move] {
        assert!(Mutant::TABLE.iter().filter(|row| row.2 == place).count() >= 6, "{place:?}");
    }
}
