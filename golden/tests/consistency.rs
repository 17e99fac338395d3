//! A saved position that the rings contradict is named, whatever it is changed to.

use std::path::Path;
use vnic_golden::consistency::{check, judge};
use vnic_golden::import::{Capture, Ring, Vmxnet3Section};

fn capture() -> Capture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
    Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))
}

type Place = (&'static str, fn(&mut Vmxnet3Section) -> &mut Ring);

const PLACES: [Place; 5] = [
    ("txq_descr[0].tx_ring", |s| &mut s.txq_descr[0].tx_ring),
    ("txq_descr[0].comp_ring", |s| &mut s.txq_descr[0].comp_ring),
    ("rxq_descr[0].rx_ring[0]", |s| &mut s.rxq_descr[0].rx_ring[0]),
    ("rxq_descr[0].rx_ring[1]", |s| &mut s.rxq_descr[0].rx_ring[1]),
    ("rxq_descr[0].comp_ring", |s| &mut s.rxq_descr[0].comp_ring),
];

#[test]
fn the_recording_agrees_with_its_rings() {
    let report = check(&capture()).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.not_judged.is_empty(), "{:?}", report.not_judged);
    for (name, _) in PLACES {
        for field in ["next", "gen", "pa", "size"] {
            assert!(report.confirmed.contains(&format!("{name}.{field}")), "{name}.{field}");
        }
    }
}

#[test]
fn a_position_changed_by_any_amount_is_the_one_field_named() {
    let mut capture = capture();
    for (name, place) in PLACES {
        let Ring { size, next, .. } = *place(&mut capture.stream);
        for changed in (0..size).filter(|&changed| changed != next) {
            place(&mut capture.stream).next = changed;
            let (_, violations) = judge(&capture).unwrap();
            let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
            assert_eq!(said.len(), 1, "{said:?}");
            let must = format!(": {name}.next is {changed} ({changed:#x}) and must be {next:#x}");
            assert!(said[0].starts_with("migration-stream.bin, offset 0x") && said[0].ends_with(&must), "{}", said[0]);
        }
        place(&mut capture.stream).next = next;
    }
}

#[test]
fn a_flipped_generation_is_the_one_field_named() {
    let mut capture = capture();
    for (name, place) in PLACES {
        let ring = place(&mut capture.stream);
        ring.generation = !ring.generation;
        let (_, violations) = judge(&capture).unwrap();
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].to_string().contains(&format!(": {name}.gen is ")), "{}", violations[0]);
        let ring = place(&mut capture.stream);
        ring.generation = !ring.generation;
    }
}

#[test]
fn a_completion_ring_that_changes_generation_twice_is_refused() {
    let mut capture = capture();
    let region = capture.memory.regions.iter_mut().find(|region| region.address == 0xf44_8000).unwrap();
    region.bytes[200 * 16 + 15] ^= 0x80;
    let said = check(&capture).unwrap_err().to_string();
    assert_eq!(
        said,
        "memory at 0xf448000, offset 0xc80: txq_descr[0].comp_ring[200].gen is 1 (0x1) and the ring has no single \
         place where its generation changes"
    );
}

#[test]
fn rings_that_the_image_lacks_are_not_judged() {
    let mut capture = capture();
    capture.memory.regions.retain(|region| region.bytes.len() <= 4096 && region.address < 0xf00_0000);
    let report = check(&capture).unwrap();
    assert_eq!(report.not_judged.len(), 5, "{:?}", report.not_judged);
}
