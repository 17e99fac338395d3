//! `ctl`: one order to a running `vnic serve`, `front` or `fabric`.

use super::{Answer, Out, Run, Trouble};
use clap::{Subcommand, ValueEnum};
use golden::front::{Report, draw};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Arguments of `ctl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The control socket of the server, front or fabric
    socket: PathBuf,
    /// Number of the device, in the order of the server's sockets
    #[arg(long, default_value_t = 0, value_name = "N")]
    device: usize,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// What the device is, and where its rings stand
    Status,
    /// What it has done
    Stats,
    /// Hold devices and wire; registers answer all the while
    Pause,
    /// Let them go on
    Resume,
    /// Put the link up or down
    Link {
        /// Where to
        to: UpDown,
    },
    /// Switch between adapter and software
    Switch {
        /// Where to
        to: Side,
        /// What becomes of packets under way
        #[arg(long, value_enum, default_value_t = Finish::Drain)]
        tx: Finish,
        /// What becomes of frames that arrive meanwhile: barrier, pause, hand over, drop
        #[arg(long, value_enum, default_value_t = Ingress::C)]
        ingress: Ingress,
        /// Stage to fail at, to see what a failure leaves behind
        #[arg(long, value_name = "STAGE")]
        fail: Option<String>,
    },
    /// Record into a new file, or end the recording when none is named
    Record {
        /// The file, by the server's folder
        file: Option<PathBuf>,
    },
    /// Move the device of a `vnic front` to another host
    Move {
        /// The vfio-user socket of the host
        to: PathBuf,
        /// Step to fail at, to see what a failure leaves behind
        #[arg(long, value_name = "STEP")]
        fail: Option<String>,
        /// Draw the move into this file: SVG when its name ends so, text otherwise; more than once for both
        #[arg(long, value_name = "FILE")]
        draw: Vec<PathBuf>,
    },
    /// End the server
    Quit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UpDown {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Hardware,
    Software,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Finish {
    Drain,
    Rollback,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Ingress {
    A,
    B,
    C,
    D,
}

fn word(value: &impl ValueEnum) -> Value {
    value.to_possible_value().map_or(Value::Null, |value| value.get_name().into())
}

impl Args {
    fn request(&self) -> Value {
        let mut request = match &self.order {
            Order::Status => json!({ "do": "status" }),
            Order::Stats => json!({ "do": "stats" }),
            Order::Pause => json!({ "do": "pause" }),
            Order::Resume => json!({ "do": "resume" }),
            Order::Link { to } => json!({ "do": "link", "up": matches!(to, UpDown::Up) }),
            Order::Switch { to, tx, ingress, fail } => json!({
                "do": "switch", "to": word(to), "tx": word(tx), "ingress": word(ingress), "fail": fail,
            }),
            Order::Record { file } => json!({ "do": "record", "file": file }),
            Order::Move { to, fail, draw: _ } => json!({ "do": "move", "to": to, "fail": fail }),
            Order::Quit => json!({ "do": "quit" }),
        };
        if self.device != 0 {
            request["device"] = self.device.into();
        }
        request
    }
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let failed = |error: std::io::Error| Trouble::Serve(format!("{}: {error}", self.socket.display()));
        let mut socket = UnixStream::connect(&self.socket).map_err(failed)?;
        socket.write_all(format!("{}\n", self.request()).as_bytes()).map_err(failed)?;
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).map_err(failed)?;
        let answer: Value = serde_json::from_str(&line)
            .map_err(|error| Trouble::Serve(format!("{}: the answer is no JSON ({error})", self.socket.display())))?;
        out.json(&answer)?;
        if let Order::Move { draw, .. } = &self.order
            && answer["ok"] == true
        {
            let report: Report = serde_json::from_value(answer.clone())
                .map_err(|error| Trouble::Serve(format!("{}: no report of a move ({error})", self.socket.display())))?;
            for file in draw {
                let svg = file.extension().is_some_and(|extension| extension == "svg");
                let picture = if svg { draw::svg(&report) } else { draw::text(&report) };
                std::fs::write(file, picture)
                    .map_err(|error| Trouble::Serve(format!("{}: {error}", file.display())))?;
            }
        }
        Ok((answer["ok"] == true).into())
    }
}
