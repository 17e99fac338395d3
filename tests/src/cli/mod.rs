//! The command `vnic`: a verb a file, each from its arguments to an answer.
//!
//! A new verb is a file with an `Args` that implements `Run`, and a row of `verbs!`. Answers go to standard output through
//! `Out`, trouble to standard error as one sentence, progress to a terminal only. Exit status: 0 holds, 1 does not hold,
//! 2 the input or the call is wrong.

mod answer;
mod conform;
mod ctl;
mod diff;
mod explain;
mod export;
mod fabric;
mod front;
mod lint;
mod list;
mod migrate;
mod out;
mod record;
mod replay;
mod report;
mod roundtrip;
mod serve;
mod show;
mod signals;
mod table;
mod trouble;
mod verify;

use clap::{Parser, Subcommand};
use out::Out;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use trouble::Trouble;

/// What a verb found out. Trouble is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Everything asked for holds, or was printed. Exit status 0.
    Holds,
    /// Something does not hold, or differs. Exit status 1.
    DoesNot,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::DoesNot }
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Holds => Self::SUCCESS,
            Answer::DoesNot => Self::from(1),
        }
    }
}

/// A verb with its arguments.
trait Run {
    /// Does what the arguments say, and prints it to `out`.
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble>;
}

macro_rules! verbs {
    ($( $(#[doc = $doc:literal])* $verb:ident($args:ty), )*) => {
        #[derive(Debug, Subcommand)]
        enum Verb { $( $(#[doc = $doc])* $verb($args), )* }

        impl Run for Verb {
            fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
                match self { $( Self::$verb(args) => args.run(out), )* }
            }
        }
    };
}

verbs! {
    /// Check everything that can be checked with nothing installed; what no verb does too
    Verify(verify::Args),
    /// Decode dumps and recordings by field name
    Show(show::Args),
    /// Compare two dumps by meaning: status 0 same, 1 differs, 2 trouble
    Diff(diff::Args),
    /// Tell one move step by step: what was in flight where, before, at the freeze, in software, after
    Migrate(migrate::Args),
    /// Run a modelled guest by a script and write all of it as a trace
    Record(record::Args),
    /// Predict a recording: a trace's calls are made again, a capture's register log drives the software body
    Replay(replay::Args),
    /// Hold a recording or guest memory against the rules that drivers keep
    Lint(lint::Args),
    /// Send a recorded state into the software body, onto the adapter and back, then let traffic go on
    Roundtrip(roundtrip::Args),
    /// Serve a device over vfio-user to a real hypervisor and a real guest
    Serve(serve::Args),
    /// Hold a device, ours or somebody else's, against the conformance suite
    Conform(conform::Args),
    /// Answer for one of our models in JSON lines, as a program under test does
    Answer(answer::Args),
    /// Keep a hypervisor's connection while its device moves between two `serve`
    Front(front::Args),
    /// Join wires as a learning switch
    Fabric(fabric::Args),
    /// Give an order to a running `serve`, `front` or `fabric`
    Ctl(ctl::Args),
    /// Say what a word is: a clause, register, command, error code, field, or the 16 bytes of a descriptor
    Explain(explain::Args),
    /// List what there is: clauses, devices, profiles, deviations, planted bugs
    List(list::Args),
    /// Print the specification's tables and clauses as Markdown, JSON or a C header
    Export(export::Args),
}

/// An executable specification of VMXNET3 and the Cisco VIC, and the harness that verifies it.
///
/// With no verb it does the main job, `verify`. Exit status: 0 holds, 1 something does not hold, 2 the input or the call
/// is wrong.
#[derive(Debug, Parser)]
#[command(name = "vnic", version, args_conflicts_with_subcommands = true)]
struct Call {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    verify: verify::Args,
}

/// The command, from the process's arguments to its exit status.
pub fn main() -> ExitCode {
    let mut stdout = io::stdout().lock();
    let mut out = Out::new(&mut stdout);
    match answer(std::env::args_os(), &mut out) {
        Ok(answer) => answer.into(),
        Err(trouble) => {
            // Nowhere is left to say that standard error is gone.
            let _ = writeln!(io::stderr(), "vnic: {}", trouble.sentence());
            ExitCode::from(2)
        }
    }
}

fn answer(words: impl IntoIterator<Item = OsString>, out: &mut Out<'_>) -> Result<Answer, Trouble> {
    let answer = match Call::try_parse_from(words) {
        Ok(Call { verb: Some(verb), .. }) => verb.run(out)?,
        Ok(Call { verb: None, verify }) => verify.run(out)?,
        Err(refused) if refused.use_stderr() => return Err(Trouble::Call(refused)),
        Err(help) => {
            out.text(&help.to_string())?;
            Answer::Holds
        }
    };
    out.flush()?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_call_is_well_formed() {
        Call::command().debug_assert();
    }

    #[test]
    fn an_answer_is_its_exit_status() {
        assert_eq!(ExitCode::from(Answer::from(true)), ExitCode::SUCCESS);
        assert_eq!(ExitCode::from(Answer::from(false)), ExitCode::from(1));
    }
}
