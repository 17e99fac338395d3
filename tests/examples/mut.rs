//! x
use model::mutant::{Mutant, Planted};
use std::collections::BTreeMap;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut s = vnic::verify::Settings::default();
    s.packets = a[1].parse().unwrap(); s.switches = a[2].parse().unwrap();
    for &(m, name, _, killer, _) in Mutant::TABLE {
        if a.len() > 3 && a[3] != name { continue }
        let f = std::panic::catch_unwind(|| vnic::campaign::run(&s, Planted::some(m), &mut |_, _| {}));
        let Ok(f) = f else { println!("{name} PANIC"); continue };
        let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
        for v in &f.violations { *ids.entry(v.2.clause.id()).or_default() += 1; }
        for b in &f.breaches { *ids.entry(b.2.clause()).or_default() += 1; }
        println!("{} {name} want {killer}: {:?} stuck {:?} after {} {}", if ids.contains_key(killer) {"OK "} else if ids.is_empty() && f.stuck.is_empty() {"ALIVE"} else {"OTHER"}, ids, f.stuck, f.sent, f.switches);
    }
}
