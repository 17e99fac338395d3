//! `serve`: a device as a vfio-user socket, for a real hypervisor and a real guest.

use super::{Answer, Out, Run, Trouble};
use clap::ValueEnum;
use golden::serve::wire::switch::Switches;
use golden::serve::wire::{WireSpec, open};
use golden::serve::{Config, Event, Kind, Path, Server, Wired};
use rustix::fd::AsFd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use spec::profile::{Offer, Profile};
use spec::vmxnet3::Interrupts;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which body the guest meets: software, adapter (whenever the guest is eligible), or both, switched by `vnic ctl`
    #[arg(long, value_enum, default_value_t = Device::Software)]
    device: Device,
    /// How the guest reaches the pass-through page: trapped, or mapped into the guest; it holds for the guest's life
    #[arg(long, value_enum, default_value_t = Way::Trapped)]
    path: Way,
    /// Socket for the hypervisor, at most 107 bytes; more than one makes more devices
    #[arg(long, required = true, value_name = "PATH")]
    socket: Vec<PathBuf>,
    /// Socket for orders: `vnic ctl PATH ...`
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Where frames go: none, responder, dgram:LOCAL,REMOTE, stream:PATH, stream-listen:PATH, switch:NAME[,UPLINK], tap:NAME;
    /// once for all devices, or once for each
    #[arg(long, default_value = "responder", value_name = "SPEC")]
    wire: Vec<WireSpec>,
    /// Capture everything that passes the wire of the first device as pcapng
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Record every call, access, interrupt and frame of the first device as a trace
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Device profile; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = profile, default_value = Profile::REFERENCE.name)]
    profile: &'static Profile,
    /// Offer interface versions up to this one, 1 to 9. As the profile has it if not given
    #[arg(long, value_name = "NEWEST", value_parser = clap::value_parser!(u8).range(1..=i64::from(Offer::NEWEST)))]
    versions: Option<u8>,
    /// Most TX and most RX queues, 1 to 8: a driver that sets up more is refused. It takes one a vCPU and cannot be told before
    #[arg(long, value_name = "PAIRS", value_parser = clap::value_parser!(u8).range(1..=i64::from(Offer::MOST_QUEUES)))]
    queues: Option<u8>,
    /// The best kind of interrupts that the function has. A guest on MSI, with its one message, or on the INTx line never enters
    /// hardware
    #[arg(long, value_enum)]
    interrupts: Option<Best>,
    /// Permanent MAC of the first device; the last byte counts up for more
    #[arg(long, value_parser = mac, default_value = "00:50:56:00:00:01")]
    mac: [u8; 6],
    /// End when the first peer hangs up
    #[arg(long)]
    once: bool,
    /// Say nothing of peers and orders
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Device {
    Software,
    Adapter,
    Switching,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Best {
    Msix,
    Msi,
    Intx,
}

impl Best {
    fn kind(self) -> Interrupts {
        match self {
            Self::Msix => Interrupts::MsiX,
            Self::Msi => Interrupts::Msi,
            Self::Intx => Interrupts::Line,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Trapped,
    Direct,
}

pub(super) fn profile(name: &str) -> Result<&'static Profile, &'static str> {
    Profile::by_name(name).ok_or("no profile has this name, `vnic list --profiles` has them all")
}

fn mac(text: &str) -> Result<[u8; 6], &'static str> {
    const RULE: &str = "six bytes as in 00:50:56:00:00:01, the first even";
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| if byte.len() == 2 { u8::from_str_radix(byte, 16).map_err(|_| RULE) } else { Err(RULE) })
        .collect::<Result<_, _>>()?;
    <[u8; 6]>::try_from(bytes).ok().filter(|mac| mac[0] & 1 == 0 && *mac != [0; 6]).ok_or(RULE)
}

impl Args {
    /// The profile with what is offered differently.
    fn offered(&self) -> Result<&'static Profile, Trouble> {
        let own = self.profile.offer();
        let offer = Offer {
            version: self.versions.unwrap_or(own.version),
            queues: self.queues.unwrap_or(own.queues),
            interrupts: self.interrupts.map_or(own.interrupts, Best::kind),
        };
        self.profile.offering(offer).ok_or_else(|| Trouble::Serve("no profile has this offer".into()))
    }

    fn devices(&self) -> Result<Vec<Wired>, Trouble> {
        let mut switches = Switches::default();
        let kind = match self.device {
            Device::Software => Kind::Software,
            Device::Adapter => Kind::Adapter,
            Device::Switching => Kind::Switching,
        };
        let path = match self.path {
            Way::Trapped => Path::Trapped,
            Way::Direct => Path::Direct,
        };
        let profile = self.offered()?;
        let mut devices = Vec::new();
        for (i, socket) in self.socket.iter().enumerate() {
            let mut wire = self.wire.get(i).or(self.wire.last()).ok_or(Trouble::Serve("no wire".into()))?.clone();
            if i == 0 && self.pcap.is_some() {
                wire.pcapng.clone_from(&self.pcap);
            }
            let mut mac = self.mac;
            mac[5] = mac[5].wrapping_add(i as u8);
            let wire = open(&wire, &mut switches).map_err(Trouble::serve)?;
            devices.push((Config { socket: socket.clone(), kind, path, profile, mac }, wire));
        }
        Ok(devices)
    }
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let mut server = Server::new(self.devices()?, self.control.as_deref()).map_err(Trouble::serve)?;
        let (stop, signalled) = UnixStream::pair().map_err(Trouble::serve)?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            let end = signalled.try_clone().map_err(Trouble::serve)?;
            signal_hook::low_level::pipe::register(signal, end).map_err(Trouble::serve)?;
        }
        if let Some(file) = &self.record {
            server.stations()[0].engine.record_to(file).map_err(Trouble::serve)?;
        }
        for socket in &self.socket {
            out.text(&format!("listening on {}\n", socket.display()))?;
        }
        out.flush()?;
        let mut tell = |event: Event<'_>| {
            if !self.quiet {
                // Nowhere is left to say that standard error is gone.
                let _ = writeln!(std::io::stderr(), "{event}");
            }
        };
        while server.turn(Some(stop.as_fd()), &mut tell).map_err(Trouble::serve)? {
            if self.once && server.stations().iter().any(|station| station.had_peer() && !station.is_connected()) {
                break;
            }
        }
        for station in server.stations() {
            station.engine.record(None).map_err(Trouble::serve)?;
        }
        Ok(Answer::Holds)
    }
}
