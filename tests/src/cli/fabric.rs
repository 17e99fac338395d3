//! `fabric`: a learning switch over wires, between hosts or between any two back ends.

use super::{Answer, Out, Run, Trouble, signals};
use golden::fabric::Fabric;
use golden::serve::orders::Control;
use golden::serve::wire::switch::Switches;
use golden::serve::wire::{WireSpec, open};
use rustix::fd::AsFd;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `fabric`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A port: responder, dgram:LOCAL,REMOTE, stream:PATH, stream-listen:PATH or tap:NAME, each perhaps with +pcapng:FILE; two or more
    #[arg(long, required = true, value_name = "SPEC")]
    port: Vec<WireSpec>,
    /// Socket for orders: `vnic ctl PATH status` says which address is behind which port
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    Status,
    Quit,
}

fn status(fabric: &Fabric) -> Value {
    let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let ports = fabric.ports().map(|port| {
        json!({
            "port": port.name,
            "addresses": port.addresses.into_iter().map(mac).collect::<Vec<_>>(),
            "frames_in": port.wire.received_frames,
            "frames_out": port.wire.sent_frames,
            "dropped": port.dropped + port.wire.dropped,
            "malformed": port.wire.malformed,
        })
    });
    json!({ "ports": ports.collect::<Vec<_>>() })
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let mut switches = Switches::default();
        let wire = |spec: &WireSpec| Ok((spec.to_string(), open(spec, &mut switches).map_err(Trouble::serve)?));
        let wires = self.port.iter().map(wire).collect::<Result<Vec<_>, Trouble>>()?;
        let mut fabric = Fabric::new(wires).map_err(Trouble::serve)?;
        let mut control = self.control.as_deref().map(Control::bind).transpose().map_err(Trouble::serve)?;
        let stop = signals::stop()?;
        out.text(&format!("{} ports\n", self.port.len()))?;
        out.flush()?;
        let mut stay = true;
        while stay {
            if fabric.wait(control.as_ref(), Some(stop.as_fd())).map_err(Trouble::serve)? {
                break;
            }
            fabric.carry();
            if let Some(control) = &mut control {
                let mut obey = |line: &str| match serde_json::from_str(line).map_err(|error| error.to_string())? {
                    Order::Status => Ok(status(&fabric)),
                    Order::Quit => {
                        stay = false;
                        Ok(json!({}))
                    }
                };
                control.serve(&mut obey, &mut |_| {});
            }
        }
        Ok(Answer::Holds)
    }
}
