//! `conform --dut vfio-user:SOCKET`: our own server is judged through its socket as from inside, settled when it says that it is idle.

use crate::schema::{Schema, fits};
use crate::{vnic, workspace};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use vnic::rig::PERMANENT;

/// A server of one device; it ends with this.
struct Served {
    folder: PathBuf,
    server: Child,
}

impl Served {
    fn new(device: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vnic-served-{device}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name).display().to_string();
        let mac = PERMANENT.map(|byte| format!("{byte:02x}")).join(":");
        let wire = format!("stream-listen:{}", at("wire"));
        let mut server = Command::new(env!("CARGO_BIN_EXE_vnic"))
            .args(["serve", "--quiet", "--device", device, "--mac", &mac, "--wire", &wire])
            .args(["--socket", &at("vu"), "--control", &at("control")])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        assert!(line.starts_with("listening on "), "{line}");
        Self { folder, server }
    }

    fn dut(&self, more: &str) -> String {
        let at = |name: &str| self.folder.join(name).display().to_string();
        format!("vfio-user:{},wire={},control={}{more}", at("vu"), at("wire"), at("control"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let control = self.folder.join("control").display().to_string();
        let ended = vnic(&["ctl", &control, "quit"]);
        if ended.status != 0 {
            // It is gone already, or does not listen: either way it must not outlive its test.
            let _gone = self.server.kill();
        }
        let _status = self.server.wait();
        let _litter = std::fs::remove_dir_all(&self.folder);
    }
}

/// Judges the device by the cases of these clauses: what a server does by itself, at its own pace, is in all of them.
fn judged(device: &str, parts: [&str; 5]) {
    let served = Served::new(device);
    let dut = served.dut("");
    let parts = parts.map(|part| ["--filter", part]);
    let failures = served.folder.join("failures").display().to_string();
    let words = ["conform", "--dut", &dut, "--json", "--failures", &failures];
    let ran = vnic(&[&words[..], parts.as_flattened()].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    fits(&report, Schema::Conform);
    assert!(
        report["identity"].as_str().is_some_and(|it| it.ends_with("settled when it is idle")),
        "{}",
        report["identity"]
    );
    let rows = report["cases"].as_array().expect("rows");
    let with = |word: &str| rows.iter().filter(|row| row["verdict"] == word).collect::<Vec<_>>();
    let wrong: Vec<_> = rows.iter().filter(|row| row["verdict"] != "holds" && row["verdict"] != "skipped").collect();
    assert!(wrong.is_empty() && ran.status == 0, "{device}: {wrong:#?}");
    assert!(with("holds").len() > 60, "{device}: only {} cases could be judged", with("holds").len());
}

#[test]
fn our_software_device_holds_behind_a_socket() {
    judged("software", ["VMX-TX-00", "VMX-RX-00", "VMX-INT", "VMX-EVT", "VMX-STA"]);
}

/// From outside an adapter stands for software: cases that need a ring filled to its last cell, which it cannot do, are left out.
#[test]
fn our_adapter_holds_behind_a_socket() {
    judged("adapter", ["VMX-TX-00", "VMX-RX-003", "VMX-INT", "VMX-EVT", "VMX-STA"]);
}
