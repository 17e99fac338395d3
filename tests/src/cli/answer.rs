//! `answer`: one of our models behind the protocol of programs under test.

use super::{Answer, Out, Run, Trouble};
use crate::rig::PERMANENT;
use golden::dut::{Ours, serve_lines};
use spec::profile::Profile;
use std::io::{self, ErrorKind};

/// Arguments of `answer`. The model is the software body, from its guest's side; requests come on standard input, a JSON object a
/// line, by the schema in tests/schema/dut-1.json, until it ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the model is built as; `vnic list --profiles` names them
    #[arg(long, value_name = "NAME", value_parser = super::verify::profile, default_value = Profile::REFERENCE.name)]
    profile: &'static Profile,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        match serve_lines(&mut Ours::new(self.profile, PERMANENT), io::stdin().lock(), out.writer()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Trouble::Output { kind: error.kind() }),
            _ => Ok(Answer::Holds),
        }
    }
}
