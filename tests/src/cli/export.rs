//! `export`: the specification in other formats, as `spec` derives them from its declarations.

use super::{Answer, Out, Run, Trouble};
use spec::export::PAGES;
use std::fs;
use std::path::PathBuf;

/// A format of the specification.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Reference pages, one after the other.
    Markdown,
    /// Every table in one document, by the schema in tests/schema/export-1.json.
    Json,
    /// A header for C11 and C++17: structures, and every number.
    C,
}

impl Format {
    /// How the names of its pages end.
    fn extension(self) -> &'static str {
        match self {
            Self::Markdown => ".md",
            Self::Json => ".json",
            Self::C => ".h",
        }
    }

    fn text(self) -> String {
        let pages = PAGES.iter().filter(|(name, _)| name.ends_with(self.extension()));
        pages.map(|(_, page)| page()).collect::<Vec<_>>().join("\n")
    }
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to write
    #[arg(value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Write to this file, not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let text = self.format.text();
        match self.out {
            None => out.text(&text)?,
            Some(path) => fs::write(&path, text)
                .map_err(|error| Trouble::Write { file: path.display().to_string(), kind: error.kind() })?,
        }
        Ok(Answer::Holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_page_belongs_to_one_format() {
        let of = |format: &Format| PAGES.iter().filter(|page| page.0.ends_with(format.extension())).count();
        assert!(Format::value_variants().iter().all(|format| of(format) > 0));
        assert_eq!(Format::value_variants().iter().map(of).sum::<usize>(), PAGES.len());
    }
}
