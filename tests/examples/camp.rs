//! x
use model::mutant::Planted;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut s = vnic::verify::Settings::default();
    s.packets = a[1].parse().unwrap(); s.switches = a[2].parse().unwrap(); s.seed = a[3].parse().unwrap();
    let t = std::time::Instant::now();
    let f = vnic::campaign::run(&s, Planted::NONE, &mut |_, _| {});
    println!("{:?} sent {} recv {} sw {} undone {} longest {} stuck {:?}", t.elapsed(), f.sent, f.received, f.switches, f.undone, f.longest_switch, f.stuck);
    for v in &f.violations { println!("{v:?} {}", v.2.clause.id()); }
    for v in &f.breaches { println!("{v:?}"); }
    if a.len() > 4 { for (c, p, v) in f.tally.iter() { if v > 0 || p == 0 { println!("{} {} {}", c.id, p, v); } } }
}
