//! `roundtrip --live`: what cannot be started is refused; with a QEMU, the report fits its schema and what is kept can be read.

use crate::schema::{Schema, fits};
use crate::vnic;
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn a_device_that_does_not_start_is_refused_with_a_sentence() {
    for (device, says) in [
        (
            "qemu:/nowhere/qemu",
            "vnic: the device does not start: /nowhere/qemu: No such file or directory (os error 2)\n",
        ),
        ("qemu:false", "vnic: the device does not start: exit status: 1\n"),
        ("adapter", "vnic: invalid value 'adapter' for '--live <DEVICE>': it is none of qemu, qemu:COMMAND\n"),
    ] {
        let ran = vnic(&["roundtrip", "--live", device]);
        assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (2, "", says));
    }
    for args in
        [&["roundtrip"][..], &["roundtrip", "--live", "qemu", "golden/dumps"], &["roundtrip", "x", "--keep", "y"]]
    {
        let ran = vnic(args);
        assert_eq!((ran.status, &*ran.stdout, ran.stderr.lines().count()), (2, "", 1), "{args:?}: {}", ran.stderr);
    }
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn a_live_trip_is_reported_and_kept() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("live-{}", std::process::id()));
    let device = std::env::var("VNIC_QEMU").map_or("qemu".into(), |command| format!("qemu:{command}"));
    let keep = folder.display().to_string();
    let ran = vnic(&["roundtrip", "--live", &device, "--json", "--keep", &keep]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    fits(&report, Schema::RoundtripLive);
    let stop = folder.join("stop-1").display().to_string();
    let shown = vnic(&["show", &stop]);
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    std::fs::remove_dir_all(&folder).expect("our own folder");
}
