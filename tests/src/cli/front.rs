//! `front`: keeps a hypervisor's connection while its device moves between hosts.

use super::{Answer, Out, Run, Trouble, signals};
use golden::front::{Event, Front};
use rustix::fd::AsFd;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `front`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Socket for the hypervisor, at most 107 bytes
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Socket for orders: `vnic ctl PATH move HOST`
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// vfio-user socket of the host that backs the device at first: a `vnic serve --path trapped`
    #[arg(long, value_name = "PATH")]
    host: PathBuf,
    /// Say nothing of peers and orders
    #[arg(long, short)]
    quiet: bool,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let mut front = Front::new(&self.socket, self.control.as_deref(), &self.host).map_err(Trouble::serve)?;
        let stop = signals::stop()?;
        out.text(&format!("listening on {}\n", self.socket.display()))?;
        out.flush()?;
        let mut tell = |event: Event<'_>| {
            if !self.quiet {
                // Nowhere is left to say that standard error is gone.
                let _ = writeln!(std::io::stderr(), "{event}");
            }
        };
        while front.turn(Some(stop.as_fd()), &mut tell).map_err(Trouble::serve)? {}
        Ok(Answer::Holds)
    }
}
