//! The committed recording makes the trip through both bodies, also with several queues.

use pretty_assertions::assert_eq;
use std::path::Path;
use vnic_golden::import::Capture;
use vnic_golden::roundtrip::roundtrip;

fn capture() -> Capture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
    Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_changes_and_nothing_is_lost_at_any_step() {
    let report = roundtrip(&capture()).unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!((report.queues, report.equal_moves), ((1, 1), 3));
    assert_eq!(report.section.0, 232);
    assert!(report.positions > 200 && report.moves == 4 * report.positions, "{report}");
    assert_eq!((report.packets, report.frames), (24 * report.positions, 12 * report.positions));
}

#[test]
fn a_contradictory_state_is_refused_by_field() {
    let mut capture = capture();
    capture.stream.rxq_descr[0].comp_ring.next = 600;
    let said = roundtrip(&capture).unwrap_err().to_string();
    assert!(said.contains("rxq_descr[0].comp_ring.next is 600 (0x258) and must be 0x259"), "{said}");
    capture.stream.device_active = false;
    let said = roundtrip(&capture).unwrap_err().to_string();
    assert!(said.contains("device_active is 0"), "{said}");
}

#[test]
fn without_log_and_frames_the_state_still_makes_the_trip() {
    let mut capture = capture();
    (capture.trace, capture.frames, capture.lspci) = (None, None, None);
    capture.dumps.clear();
    let report = roundtrip(&capture).unwrap();
    assert!(report.holds(), "{report}");
    assert!(report.from_elsewhere[0].ends_with("nothing tells the other half"), "{report}");
}
