//! Every planted bug is found, and the clause that its row names is among those broken: by a case where a case judges it, in the
//! campaign otherwise.

use model::mutant::{Area, Mutant, Place, Planted, Row};
use spec::clause::Judge;
use spec::profile::Profile;
use std::collections::BTreeSet;
use vnic::campaign;
use vnic::case::run_until_broken;
use vnic::verify::Settings;

#[test]
fn every_mutant_is_killed_by_the_clause_it_names() {
    let settings = Settings { packets: 300_000, switches: 6_000, ..Settings::default() };
    let mut alive = Vec::new();
    for &(mutant, name, _, killer, ..) in Mutant::TABLE {
        if run_until_broken(&Profile::REFERENCE, Planted::some(mutant), killer).is_some() {
            continue;
        }
        if spec::clause::find(killer).is_some_and(|clause| clause.judge == Judge::Case) {
            alive.push(format!("{name}: no case breaks {killer}"));
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

/// Three bugs of each area in each body, caught by a case that claims the clause.
#[test]
fn cases_catch_three_of_each_area_in_each_body() {
    let mut few = Vec::new();
    for place in [Place::Software, Place::Adapter] {
        for area in Area::OF_BODIES {
            let caught = |row: &&Row| run_until_broken(&Profile::REFERENCE, Planted::some(row.0), row.3).is_some();
            let rows = Mutant::TABLE.iter().filter(|row| row.2 == place && row.5 == area);
            let caught: Vec<_> = rows.filter(caught).map(|row| row.1).collect();
            if caught.len() < 3 {
                few.push((place, area, caught));
            }
        }
    }
    assert!(few.is_empty(), "{few:#?}");
}

#[test]
fn there_are_enough_of_plane_and_move() {
    for place in [Place::Plane, Place::Move] {
        assert!(Mutant::TABLE.iter().filter(|row| row.2 == place).count() >= 6, "{place:?}");
    }
}
