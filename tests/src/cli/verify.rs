//! `verify`: the main job, its progress and its verdict.

use super::{Answer, Out, Run, Trouble, report};
use crate::case::Target;
use crate::refused::admit;
use crate::verify::{Settings, run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::mutant::Mutant;
use spec::profile::Profile;
use std::io::{IsTerminal, stderr};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Device profile to verify; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = profile, default_value = Settings::default().profile.name)]
    profile: &'static Profile,
    /// Packets of the campaign, both directions together
    #[arg(long, value_name = "N", default_value_t = Settings::default().packets)]
    packets: u64,
    /// Switches between adapter and software body during the campaign
    #[arg(long, value_name = "N", default_value_t = Settings::default().switches)]
    switches: u64,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
    /// Plant a bug, to see that it is found; `vnic list --mutants` names them
    #[arg(long, value_name = "NAME", value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Print the verdict as JSON, by the schema in tests/schema/verify-1.json
    #[arg(long)]
    json: bool,
}

pub(super) fn profile(name: &str) -> Result<&'static Profile, &'static str> {
    Profile::by_name(name).ok_or("no profile has this name, `vnic list --profiles` has them all")
}

pub(super) fn mutant(name: &str) -> Result<Mutant, &'static str> {
    Mutant::by_name(name).ok_or("no planted bug has this name, `vnic list --mutants` has them all")
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let Self { profile, packets, switches, seed, mutant, json } = self;
        if let Some(mutant) = mutant
            && !cfg!(feature = "mutants")
        {
            return Err(Trouble::NoMutants { name: mutant.row().1 });
        }
        admit(profile, Target::Both)?;
        let progress = progress();
        let verdict = run(&Settings { profile, packets, switches, seed, mutant }, &mut |done, total| {
            if progress.length() != Some(total) {
                progress.set_length(total);
            }
            progress.set_position(done);
        });
        progress.finish_and_clear();
        if json {
            out.json(&verdict)?;
        } else {
            out.text(&report::text(&verdict))?;
        }
        Ok(verdict.holds.into())
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("verify {wide_bar} {percent:>3} %, {eta} to go");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
