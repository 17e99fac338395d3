//! x
use model::guest::script::{Finish, Ingress, Op, Side};
use model::guest::shape::{Shape, WireShape};
use model::machine::{Mode, Rig};
use spec::event::*;
use spec::frame::Dice;
use spec::monitor::Judges;
struct Log(Vec<String>, u64);
impl Tap for Log {
    fn stimulus(&mut self, s: Stimulus<'_>, _: &dyn GuestView) {
        self.1 += 1;
        let t = match s { Stimulus::GuestStore{pa, bytes} => format!("store {pa:#x}+{}", bytes.len()), Stimulus::Offered{frame} => format!("offered {} {:02x?}", frame.len(), &frame[..14]), s => format!("{s:x?}") };
        self.0.push(format!("{} > {t}", self.1));
    }
    fn effect(&mut self, e: Effect<'_>, _: &dyn GuestView) {
        self.1 += 1;
        let t = match e { Effect::Read{pa, bytes} => format!("read {pa:#x}+{}", bytes.len()), Effect::Write{pa, bytes} => format!("write {pa:#x}+{}", bytes.len()),
            Effect::Transmit{queue, frame} => format!("tx q{queue} {} {:02x?}", frame.len(), &frame[..14]), Effect::SwitchDrop{frame} => format!("drop {}", frame.len()), e => format!("{e:x?}") };
        self.0.push(format!("{} < {t}", self.1));
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let name = &a[1]; let seed: u64 = a[2].parse().unwrap(); let max: u64 = a[3].parse().unwrap();
    let courses = vnic::campaign::courses(&spec::profile::Profile::REFERENCE);
    let course = courses.iter().find(|c| c.name == name).unwrap();
    let mut rig = Rig::new(course.profile, course.config.clone(), course.bytes, seed).unwrap();
    let mut tap = (Judges::snoop(), Log(vec![], 0));
    let mut dice = Dice::new(seed ^ spec::frame::mix(course.burst));
    rig.bring_up(&mut tap);
    for epoch in 1..max {
        tap.1.0.clear();
        tap.1.0.push(format!("epoch {epoch} mode {:?}", rig.machine.system.mode()));
        vnic::campaign::run_epoch(course, &mut rig, &mut tap, &mut dice, epoch, true, &mut Default::default());
        let _ = (Side::Hardware, Finish::Drain, Ingress::A, Op::Stats, Mode::Software, Shape::default(), WireShape::default());
        if !tap.0.is_clean() || !rig.machine.guest.breaches().is_empty() { break }
    }
    for l in &tap.1.0 { println!("{l}"); }
    println!("{:?}", tap.0.violations().iter().map(|v| (v.clause.id(), v)).collect::<Vec<_>>());
    println!("{:?} {:?} room {} active {:?}", rig.machine.system.net(), rig.machine.system.mode(), rig.machine.system.body().has_room(), rig.machine.system.body().activation().map(|a| (a.filters.rx_mode, a.filters.vlans.iter().position(|v| *v != 0))));
    println!("{:?} {:?}", rig.machine.guest.breaches(), rig.machine.system.last_switch());
}
