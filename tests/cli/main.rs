//! The built command, run as its users run it: exit statuses, what it prints, how it refuses.

mod conform;
mod export;
mod live;
mod process;
mod refusals;
mod schema;
mod served;
mod traces;
mod verbs;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a run of the command left behind.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
        let status = output.status.code().expect("the command ends by itself");
        Self { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn vnic(args: &[&str]) -> Ran {
    vnic_into(Stdio::piped(), args)
}

fn vnic_into(stdout: Stdio, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vnic"));
    let child = command.args(args).current_dir(workspace()).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let child = child.spawn().expect("the command starts");
    child.wait_with_output().expect("the command ends").into()
}

/// What the command prints when all is well, and nothing else does it print.
fn prints(args: &[&str]) -> String {
    let ran = vnic(args);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran.stdout
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_path_buf()
}

/// A file of the committed recording, by its path from the workspace.
fn recorded(name: &str) -> String {
    format!("golden/dumps/linux-6.1-vmxnet3-qemu-11.1/{name}")
}
