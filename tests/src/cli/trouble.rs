//! What keeps a verb from answering: one sentence on standard error, exit status 2.

use golden::import::ImportError;
use std::io::ErrorKind;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The arguments are not a call of this command.
    #[error("{}", call(.0))]
    Call(clap::Error),
    /// A file cannot be read, is not what it should be, or cannot be compared.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A dump from which nothing can be predicted.
    #[error("{file} is {kind}: only a trace or the folder of a capture can be replayed")]
    NoReplay {
        /// The file.
        file: String,
        /// What it holds.
        kind: &'static str,
    },
    /// A dump that no driver's rule speaks of.
    #[error("{file} is {kind}: rules speak of traces, trace logs, guest memory and captures")]
    NoLint {
        /// The file.
        file: String,
        /// What it holds.
        kind: &'static str,
    },
    /// A script that cannot be read.
    #[error("{file}, {error}")]
    Script {
        /// The file.
        file: String,
        /// Line, word, and what should stand there.
        error: model::guest::script::ScriptError,
    },
    /// A script's run that gave no recording.
    #[error(transparent)]
    Record(#[from] golden::trace::ScriptError),
    /// No table has the word.
    #[error(
        "`{word}` is no clause, register, offset, command, error code, named value, structure, field, deviation, profile, planted bug or descriptor's 16 bytes"
    )]
    Unexplained {
        /// The word.
        word: String,
    },
    /// A planted bug was asked for and this build has none.
    #[error("this build has no planted bugs; `cargo run --features mutants -- verify --mutant {name}` has")]
    NoMutants {
        /// The bug.
        name: &'static str,
    },
    /// A planted bug was asked for in a device that is not ours.
    #[error("a bug can be planted in our own models only: --dut model:software or model:adapter")]
    ForeignMutant,
    /// A file is no report of `conform`, or no list of waivers.
    #[error("{file}: {error}")]
    Report {
        /// The file.
        file: String,
        /// What is wrong with it.
        error: crate::conform::document::ReadError,
    },
    /// A trace of a case that there is no more.
    #[error("{file}: no case is called {case}")]
    NoCase {
        /// The file.
        file: String,
        /// The name.
        case: String,
    },
    /// A conversation that was seen from outside and cannot be held again.
    #[error(transparent)]
    Outside(#[from] golden::trace::OutsideError),
    /// One was to be held with the adapter alone.
    #[error(
        "a conversation that was seen from outside is not held with the adapter: --dut model:software, or somebody else's device"
    )]
    OutsideAdapter,
    /// A recording of our own models was to be replayed on another device.
    #[error("{file} shows one of our own models from inside: only what was seen from outside is replayed with --dut")]
    NotOutside {
        /// The file.
        file: String,
    },
    /// A file cannot be written.
    #[error("{file}: cannot be written ({kind})")]
    Write {
        /// The file.
        file: String,
        /// The operating system's reason.
        kind: ErrorKind,
    },
    /// A device cannot be served, or a server not be reached.
    #[error("{0}")]
    Serve(String),
    /// What a device is expected to be cannot be judged.
    #[error(transparent)]
    Refused(#[from] crate::refused::Refused),
    /// A device under test cannot be started.
    #[error(transparent)]
    Device(#[from] golden::dut::Trouble),
    /// Standard output refuses what is written to it.
    #[error("standard output: cannot be written ({kind})")]
    Output {
        /// The operating system's reason.
        kind: ErrorKind,
    },
}

impl Trouble {
    /// Something that keeps a device from being served.
    pub fn serve(error: impl std::error::Error) -> Self {
        let mut sentence = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            sentence += &format!(": {cause}");
            source = cause.source();
        }
        Self::Serve(sentence)
    }

    /// The one line that is printed: what a caller put into it, such as a file's name, cannot break it.
    pub fn sentence(&self) -> String {
        self.to_string().chars().fold(String::new(), |mut line, c| {
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
            line
        })
    }
}

/// The refusal and the suggestion of a rendered error, on one line; usage and pointers to the help are left out.
fn call(refused: &clap::Error) -> String {
    let text = refused.to_string();
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let refusal = paragraphs.next().unwrap_or_default();
    let refusal = refusal.strip_prefix("error: ").unwrap_or(&refusal).to_string();
    paragraphs
        .filter_map(|part| part.strip_prefix("tip: ").map(str::to_string))
        .fold(refusal, |all, tip| all + "; " + &tip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_stays_on_its_line() {
        let trouble = Trouble::Unexplained { word: "a\nb\u{1b}[1m".into() };
        assert!(trouble.sentence().starts_with("`a\\nb\\u{1b}[1m` is no clause"), "{}", trouble.sentence());
    }
}
