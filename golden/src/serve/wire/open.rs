//! From the text that names a wire to the back end.

use super::capture::Captured;
use super::dgram::Dgram;
use super::responder::Responder;
use super::stream::Stream;
use super::switch::Switches;
use super::tap::Tap;
use super::{Back, Unplugged, Wire, WireSpec};
use std::io;

/// Why a wire could not be opened: which one, then in `source` what the system said.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A back end.
    #[error("wire {back}: {}", at(*.step))]
    Back {
        /// The back end, as it was named.
        back: Back,
        /// What was being done.
        step: Step,
        /// What the system said.
        source: io::Error,
    },
    /// A second device names another uplink for a switch that has one.
    #[error("switch {name} has an uplink already")]
    Uplink {
        /// The switch.
        name: String,
    },
    /// The capture file.
    #[error("capture file {} cannot be written", .file.display())]
    Capture {
        /// The file.
        file: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What was being done when a back end could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the file that TFTP serves.
    ReadFile,
    /// Binding a socket to its path.
    Bind,
    /// Making the port of a switch.
    Port,
    /// Opening a TAP interface.
    Tap,
}

fn at(step: Step) -> &'static str {
    match step {
        Step::ReadFile => "the file to serve cannot be read",
        Step::Bind => "the socket cannot be opened",
        Step::Port => "no port can be made",
        Step::Tap => "the interface cannot be opened (it needs CAP_NET_ADMIN and /dev/net/tun)",
    }
}

/// Opens what `spec` names. Devices that name the same switch of `switches` are joined.
pub fn open(spec: &WireSpec, switches: &mut Switches) -> Result<Box<dyn Wire>, WireError> {
    let wire = back(&spec.back, switches)?;
    match &spec.pcapng {
        None => Ok(wire),
        Some(file) => match Captured::create(wire, file) {
            Ok(captured) => Ok(Box::new(captured)),
            Err(source) => Err(WireError::Capture { file: file.clone(), source }),
        },
    }
}

fn back(back: &Back, switches: &mut Switches) -> Result<Box<dyn Wire>, WireError> {
    let failed = |step| move |source| WireError::Back { back: back.clone(), step, source };
    Ok(match back {
        Back::None => Box::new(Unplugged::default()),
        Back::Responder(spec) => Box::new(Responder::open(spec.clone()).map_err(failed(Step::ReadFile))?),
        Back::Dgram { local, remote } => Box::new(Dgram::open(local, remote).map_err(failed(Step::Bind))?),
        Back::Stream(path) => Box::new(Stream::connect(path).map_err(failed(Step::Bind))?),
        Back::StreamListen(path) => Box::new(Stream::listen(path).map_err(failed(Step::Bind))?),
        Back::Tap(name) => Box::new(Tap::open(name).map_err(failed(Step::Tap))?),
        Back::Switch { name, uplink } => {
            if let Some(uplink) = uplink {
                let wire = self::back(uplink, &mut Switches::default())?;
                if !switches.attach(name, wire) {
                    return Err(WireError::Uplink { name: name.clone() });
                }
            }
            Box::new(switches.port(name).map_err(failed(Step::Port))?)
        }
    })
}
