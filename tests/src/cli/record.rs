//! `record`: a modelled guest with generated traffic, run by a script, as a trace.

use super::{Answer, Out, Run, Trouble};
use golden::import::capture::read_file;
use golden::trace::{Device, Setup, record};
use model::guest::script;
use model::guest::vmxnet3::DriverConfig;
use spec::profile::Profile;
use spec::vmxnet3::command::{feature, rx_mode};
use std::fs::File;
use std::path::PathBuf;

/// What is run when no script is given: packets of every kind both ways, filters, statistics, the link, switches, a reset.
const SCRIPT: &str = include_str!("../../../golden/traces/scripted/everything.script");
/// Bytes of guest memory.
const MEMORY: usize = 8 << 20;

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device: software, adapter, or switching, which does what the script says of switches
    #[arg(long, value_name = "NAME", value_parser = device, default_value = "switching")]
    device: Device,
    /// Device profile; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = super::replay::profile, default_value = Profile::REFERENCE.name)]
    profile: &'static Profile,
    /// Seed of the traffic; the same seed and script give the same trace
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Queue pairs of the guest's driver
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    queues: u8,
    /// What the guest, the wire and the hypervisor do, a line an operation; without it, some of everything
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The day, for the header, as you write it
    #[arg(long, value_name = "TEXT", default_value = "")]
    date: String,
    /// Where the trace goes; without it, to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

fn device(name: &str) -> Result<Device, &'static str> {
    Device::by_name(name).ok_or("one of software, adapter, switching")
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let (file, text) = match &self.script {
            None => ("the built-in script".to_string(), SCRIPT.to_string()),
            Some(path) => (path.display().to_string(), String::from_utf8_lossy(&read_file(path)?).into_owned()),
        };
        let ops = script::parse(&text).map_err(|error| Trouble::Script { file: file.clone(), error })?;
        let setup = Setup {
            device: self.device,
            profile: self.profile,
            config: DriverConfig {
                tx_queues: self.queues,
                rx_queues: self.queues,
                tx_ring: 32,
                tx_comp: 32,
                rx_ring: [32, 32],
                rx_comp: 64,
                features: feature::RXCSUM | feature::RXVLAN,
                rx_mode: rx_mode::UCAST | rx_mode::MCAST | rx_mode::BCAST,
                ..DriverConfig::default()
            },
            bytes: MEMORY,
            seed: self.seed,
            origin: format!("vnic record --device {} --seed {}, {file}", self.device.name(), self.seed),
            date: self.date,
        };
        match &self.to {
            None => {
                let trace = record(&setup, &ops, Vec::new(), ())?;
                out.text(&String::from_utf8_lossy(&trace))?;
            }
            Some(path) => {
                let refuse =
                    |error: std::io::Error| Trouble::Write { file: path.display().to_string(), kind: error.kind() };
                record(&setup, &ops, File::create(path).map_err(refuse)?, ())?;
            }
        }
        Ok(Answer::Holds)
    }
}
