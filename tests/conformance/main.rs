//! t
use model::mutant::Planted;
use spec::profile::Profile;
#[test]
fn clean() {
    for p in [&Profile::REFERENCE, &Profile::SMALL] {
        let t = std::time::Instant::now();
        let o = vnic::case::run_all(p, Planted::NONE);
        println!("{} {:?} failures {}", p.name, t.elapsed(), o.failures.len());
        for f in &o.failures { println!("  {f:?}"); }
    }
}
