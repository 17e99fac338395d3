//! `show`: dumps and recordings, decoded by field name.

use super::{Answer, Out, Run, Trouble};
use golden::show::show;
use std::path::PathBuf;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Migration streams, register dumps, trace logs, packet recordings, device listings; folders of guest memory or of
    /// all of these
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let several = self.paths.len() > 1;
        for (i, path) in self.paths.iter().enumerate() {
            let text = show(path)?;
            if several {
                let gap = if i == 0 { "" } else { "\n" };
                out.text(&format!("{gap}== {}\n", path.display()))?;
            }
            out.text(&text)?;
        }
        Ok(Answer::Holds)
    }
}
