//! A move that fails at any step leaves the guest where it was, and the next one succeeds.

use crate::rig::{Guest, Traffic, fabric, folder, front, host, relocate, stats};
use vnic_golden::front::Step;
use vnic_golden::serve::Kind;

#[test]
fn a_failure_at_every_step_leaves_the_guest_on_the_source() {
    let folder = folder("faults");
    let _fabric = fabric(&folder, &["a", "b", "third"]);
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Switching, None)];
    let _front = front(&folder, "a");
    let mut traffic = Traffic::new(Guest::boot(&folder.join("vu")), &folder);
    traffic.flow(20);
    for (step, name) in Step::TABLE.iter().filter(|(step, _)| *step != Step::Leave) {
        // Nothing is on its way meanwhile: what the fabric sends to a destination that does not become the device is lost there.
        traffic.settle();
        let answer = relocate(&folder, "b", Some(name));
        assert_eq!(answer["error"], format!("{step}: fails by request"), "{answer}");
        traffic.flow(20);
        assert_eq!(
            stats(&folder, "b")["moves"]["arrived"],
            u64::from(*step == Step::Run),
            "{step}: it never ran there"
        );
    }
    let answer = relocate(&folder, "b", None);
    assert_eq!(answer["ok"], true, "{answer}");
    traffic.flow(20);
    traffic.settle();
}

#[test]
fn a_destination_that_is_not_there_or_not_free_is_refused_and_the_guest_goes_on() {
    let folder = folder("refused");
    let _fabric = fabric(&folder, &["a", "b", "third"]);
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Software, None)];
    let _front = front(&folder, "a");
    let mut traffic = Traffic::new(Guest::boot(&folder.join("vu")), &folder);
    traffic.flow(20);
    let mut refused = |to: &str, why: &str| {
        let answer = relocate(&folder, to, None);
        assert!(answer["ok"] == false && answer["error"].as_str().unwrap().contains(why), "{answer}");
        traffic.flow(20);
    };
    refused("c", "socket: No such file");
    refused("a", "already");
    let other = Guest::boot(&folder.join("b"));
    refused("b", "closed");
    drop(other);
    // A device that has one body only takes a guest too.
    let begun = std::time::Instant::now();
    while relocate(&folder, "b", None)["ok"] != true {
        assert!(begun.elapsed() < crate::rig::PATIENCE, "b never becomes free");
    }
    traffic.flow(20);
    traffic.settle();
}
