//! The tables in other forms: Markdown reference pages, JSON, a C header. All of it is derived; nothing is written twice.
//!
//! The pages are committed in `spec/reference`, and a test compares them. `UPDATE_REFERENCE=1 cargo test -p vnic-spec` writes
//! them anew.

mod drawing;
pub mod header;
pub mod json;
pub mod markdown;
mod tables;

pub use tables::{CONSTANTS, Codes, DESCRIPTORS, Device, LIMITS, REGISTERS, STRUCTURES, codes, counts};

/// A generated file: its name in `spec/reference`, and what makes it.
pub type Page = (&'static str, fn() -> String);

/// Every generated file.
pub const PAGES: &[Page] = &[
    ("versions.md", markdown::versions),
    ("registers.md", markdown::registers),
    ("structures.md", markdown::structures),
    ("descriptors.md", markdown::descriptors),
    ("commands.md", markdown::commands),
    ("constants.md", markdown::constants),
    ("clauses.md", markdown::clauses),
    ("vnic-spec.json", json::all),
    ("vnic_spec.h", header::all),
];

/// A doc comment on one line, without the source that follows its sentence.
pub(crate) fn sentence(doc: &str) -> String {
    let text = doc.split("Source:").next().unwrap_or_default();
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&unlinked(word));
    }
    out
}

/// A word without the link that rustdoc makes of it.
fn unlinked(word: &str) -> String {
    let Some((before, rest)) = word.split_once("[`") else { return word.to_string() };
    let Some((name, after)) = rest.split_once("`]") else { return word.to_string() };
    let after = match after.strip_prefix('(').and_then(|a| a.split_once(')')) {
        Some((_, after)) => after,
        None => after,
    };
    format!("{before}`{name}`{after}")
}

/// What a doc comment names as its source, if it does.
pub(crate) fn source(doc: &str) -> Option<String> {
    let (_, source) = doc.split_once("Source:")?;
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(line.trim_end_matches('.').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn committed_reference_pages_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
        let update = std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1");
        for (name, make) in PAGES {
            let (path, page) = (folder.join(name), make());
            if update {
                std::fs::write(&path, &page).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == page, "{name} is out of date: UPDATE_REFERENCE=1 cargo test -p vnic-spec");
        }
    }

    #[test]
    fn a_doc_comment_is_its_sentence_and_its_source() {
        let doc = " Kind of [`ring`](super::ring),\n on two lines.\n\n Source: a.h, X_*;\n b.c.\n";
        assert_eq!(sentence(doc), "Kind of `ring`, on two lines.");
        assert_eq!(source(doc).as_deref(), Some("a.h, X_*; b.c"));
        assert_eq!(source(" None.\n"), None);
    }
}
