//! Moves under traffic: nothing lost, doubled or reordered, whoever the frames are for.

use crate::rig::{GUEST, Guest, Traffic, fabric, folder, front, host, order, relocate, run, stats};
use serde_json::{Value, json};
use spec::frame::Dice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vnic_golden::serve::Kind;
use vnic_golden::trace::{parse, replay};

#[test]
fn moves_at_random_moments_lose_double_and_reorder_nothing() {
    const MOVES: usize = 24;
    let folder = folder("traffic");
    let _fabric = fabric(&folder, &["a", "b", "third"]);
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Switching, None)];
    let _front = front(&folder, "a");
    let mut traffic = Traffic::new(Guest::boot(&folder.join("vu")), &folder);
    traffic.flow(100);
    let over = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mover = {
        let (folder, over, answers) = (folder.clone(), Arc::clone(&over), Arc::clone(&answers));
        run(move |_, ready| {
            ready();
            let mut dice = Dice::new(11);
            for turn in 0..MOVES {
                let (here, there) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
                // The moment is the random input.
                std::thread::sleep(std::time::Duration::from_micros(dice.below(20_000)));
                if dice.below(3) > 0 {
                    let control = folder.join(format!("{here}.control"));
                    let answer = order(&control, &json!({ "do": "switch", "to": "hardware" }));
                    assert_eq!(answer["ok"], true, "{answer}");
                    std::thread::sleep(std::time::Duration::from_micros(dice.below(5_000)));
                }
                answers.lock().unwrap().push(relocate(&folder, there, None));
            }
            over.store(true, Ordering::SeqCst);
        })
    };
    traffic.until(true, || over.load(Ordering::SeqCst));
    drop(mover);
    traffic.flow(100);
    traffic.settle();
    let answers: Vec<Value> = std::mem::take(&mut *answers.lock().unwrap());
    for answer in &answers {
        assert_eq!(
            (&answer["ok"], &answer["barrier"], &answer["dropped"]),
            (&true.into(), &true.into(), &0.into()),
            "{answer}"
        );
    }
    assert_eq!(answers.len(), MOVES);
    let (a, b) = (stats(&folder, "a"), stats(&folder, "b"));
    let sum = |what: &str| a["moves"][what].as_u64().unwrap() + b["moves"][what].as_u64().unwrap();
    assert_eq!((sum("left"), sum("arrived"), sum("without_barrier")), (MOVES as u64, MOVES as u64, 0));
    assert!(sum("frames_out") > 0, "frames were under way at some of {MOVES} moves");
    assert_eq!(sum("frames_out"), sum("frames_in"));
}

#[test]
fn a_host_is_as_new_when_its_guest_has_left() {
    let folder = folder("as-new");
    let _fabric = fabric(&folder, &["a", "b", "third"]);
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Switching, None)];
    let status = |name: &str| order(&folder.join(format!("{name}.control")), &json!({ "do": "status" }));
    let fresh = [status("a"), status("b")];
    let _front = front(&folder, "a");
    let mut traffic = Traffic::new(Guest::boot(&folder.join("vu")), &folder);
    traffic.flow(10);
    for (from, to, at) in [("a", "b", 0), ("b", "a", 1)] {
        let answer = relocate(&folder, to, None);
        assert_eq!(answer["ok"], true, "{answer}");
        traffic.flow(10);
        assert_eq!(status(from), fresh[at], "{from}");
        let mac = GUEST.map(|byte| format!("{byte:02x}")).join(":");
        assert_eq!((&status(to)["mac"], &status(to)["active"]), (&mac.into(), &true.into()));
    }
}

#[test]
fn what_two_hosts_recorded_of_a_move_replays_exactly() {
    let folder = folder("recorded");
    let file = |name: &str| folder.join(format!("{name}.trace"));
    let middle = folder.join("middle.trace");
    {
        let _fabric = fabric(&folder, &["a", "b", "third"]);
        let _hosts = [
            host(&folder, "a", Kind::Switching, Some(file("a"))),
            host(&folder, "b", Kind::Switching, Some(file("b"))),
        ];
        let _front = front(&folder, "a");
        let mut traffic = Traffic::new(Guest::boot(&folder.join("vu")), &folder);
        traffic.flow(20);
        assert_eq!(relocate(&folder, "b", None)["ok"], true);
        traffic.flow(20);
        let record = json!({ "do": "record", "file": middle });
        assert_eq!(order(&folder.join("b.control"), &record)["ok"], true, "a recording begun in the middle");
        traffic.flow(20);
        assert_eq!(order(&folder.join("b.control"), &json!({ "do": "switch", "to": "hardware" }))["ok"], true);
        traffic.flow(20);
        assert_eq!(relocate(&folder, "a", None)["ok"], true);
        traffic.flow(20);
    }
    for file in [file("a"), file("b"), middle] {
        let text = std::fs::read(&file).unwrap();
        let found = replay(&parse(&text).unwrap()).unwrap();
        assert!(
            found.holds() && found.effects > 20,
            "{}: {:?} {:?}",
            file.display(),
            found.divergence,
            found.violations()
        );
    }
}
