//! Runs the commands that the host sends over a serial line. A line is a shell command; its output, both streams together,
//! goes back, ended by a record separator (octal 036), a space, the exit status and a line feed.
//!
//! A shell's own `read` would not do: a child that ends meanwhile interrupts it and costs part of a line.

use crate::Verdict;
use crate::arguments::{Arguments, Failure};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SCRATCH: &str = "/tmp/.answer";

/// Serves `line=DEVICE` until it is closed, which a serial line never is.
///
/// # Errors
/// A wrong call, or a line that cannot be read or written.
pub fn serve(arguments: &Arguments) -> Result<Verdict, Failure> {
    let path: PathBuf = arguments.optional("line")?.ok_or_else(|| Failure::Call("line=DEVICE is missing".into()))?;
    let mut line = OpenOptions::new().read(true).write(true).open(path)?;
    let requests = BufReader::new(line.try_clone()?);
    end(&mut line, 0)?;
    let mut served = 0;
    for request in requests.split(b'\n') {
        let (mut answer, status) = run(&String::from_utf8_lossy(&request?))?;
        std::io::copy(&mut answer, &mut line)?;
        end(&mut line, status)?;
        served += 1;
    }
    Ok(Verdict { pairs: vec![("served", served)], holds: true })
}

fn end(line: &mut File, status: i32) -> std::io::Result<()> {
    line.write_all(format!("\x1e {status}\n").as_bytes())
}

/// What a command said and its status; 127 when a signal ended it. What its background goes on to say is not waited for.
fn run(command: &str) -> std::io::Result<(std::io::Take<File>, i32)> {
    let mut said = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(SCRATCH)?;
    let status = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .status()?;
    said.rewind()?;
    let length = said.metadata()?.len();
    Ok((said.take(length), status.code().unwrap_or(127)))
}
