//! The one error of all importers: a sentence that names the file, the place in it, the field and the value.

use crate::trace::{ReplayError, TextError};
use std::fmt;

/// What a refused number should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Exactly this.
    Is(u64),
    /// This or less.
    AtMost(u64),
    /// Less than this.
    Below(u64),
    /// From the first to the second, both allowed.
    Within(u64, u64),
    /// A multiple of this.
    MultipleOf(u64),
    /// Anything but 0.
    NotZero,
    /// What these words say.
    Says(&'static str),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Is(value) => write!(f, "must be {value:#x}"),
            Self::AtMost(most) => write!(f, "must be at most {most}"),
            Self::Below(limit) => write!(f, "must be below {limit}"),
            Self::Within(from, to) => write!(f, "must lie from {from} to {to}"),
            Self::MultipleOf(unit) => write!(f, "must be a multiple of {unit}"),
            Self::NotZero => f.write_str("must not be 0"),
            Self::Says(words) => f.write_str(words),
        }
    }
}

/// Why a foreign file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The operating system would not give us the file.
    #[error("{file}: cannot be read ({kind})")]
    Io {
        /// The file.
        file: String,
        /// The operating system's reason.
        kind: std::io::ErrorKind,
    },
    /// The capture lacks a file it cannot do without.
    #[error("{folder}: {file} is missing")]
    Missing {
        /// The capture's folder.
        folder: String,
        /// What should be in it.
        file: String,
    },
    /// No importer recognises the file.
    #[error("{file}: {bytes} bytes of no known format")]
    Unrecognised {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
    },
    /// Two files that cannot be compared.
    #[error("{left} is {left_kind} and {right} is {right_kind}: no comparison is defined")]
    Incomparable {
        /// The first file.
        left: String,
        /// What it holds.
        left_kind: &'static str,
        /// The second file.
        right: String,
        /// What it holds.
        right_kind: &'static str,
    },
    /// The file ends inside something.
    #[error("{file}, offset {offset:#x}: {field} needs {need} bytes and {have} are left")]
    Truncated {
        /// The file.
        file: String,
        /// Where the thing begins.
        offset: usize,
        /// The thing.
        field: String,
        /// Bytes it takes.
        need: u64,
        /// Bytes there are.
        have: usize,
    },
    /// A number that cannot be right.
    #[error("{file}, offset {offset:#x}: {field} is {value} ({value:#x}) and {rule}")]
    Value {
        /// The file.
        file: String,
        /// Where the field is.
        offset: usize,
        /// The field, by its name in the format.
        field: String,
        /// What it holds.
        value: u64,
        /// What it should hold.
        rule: Rule,
    },
    /// A field that the file's own description does not name.
    #[error("{file}, offset {offset:#x}: the description has no usable field {field}")]
    NoField {
        /// The file.
        file: String,
        /// Where the enclosing object begins.
        offset: usize,
        /// The missing field.
        field: String,
    },
    /// A line of a text file that cannot be read.
    #[error("{file}, line {line}: {field} is `{value}`, {rule}")]
    Line {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// The text found there.
        value: String,
        /// What it should be.
        rule: Rule,
    },
    /// The JSON description is not the JSON that QEMU writes.
    #[error("{file}, offset {offset:#x}: description, line {line} column {column}: {what} is wrong")]
    Json {
        /// The file.
        file: String,
        /// Where the description begins.
        offset: usize,
        /// Line in the description.
        line: usize,
        /// Column in the description.
        column: usize,
        /// Syntax, data or length.
        what: &'static str,
    },
    /// A line of our own trace format that cannot be read.
    #[error("{file}, {error}")]
    Trace {
        /// The file.
        file: String,
        /// Where, and what should stand there.
        error: TextError,
    },
    /// A trace that was read but cannot be followed.
    #[error("{file}: {error}")]
    Follow {
        /// The file.
        file: String,
        /// Why not.
        error: ReplayError,
    },
    /// Two memory regions share bytes.
    #[error("{file}, line {line}: region {address:#x}+{bytes:#x} overlaps region {other:#x}")]
    Overlap {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The region's first byte.
        address: u64,
        /// Its length.
        bytes: u64,
        /// The region it meets.
        other: u64,
    },
    /// The file unpacks to more than we are willing to hold.
    #[error("{file}: unpacks to more than {limit} bytes")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit.
        limit: usize,
    },
    /// The file is longer than we are willing to read.
    #[error("{file}: longer than {limit} bytes")]
    TooLong {
        /// The file.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// The compressed data is damaged.
    #[error("{file}: compressed data is damaged after {good} good bytes")]
    Gzip {
        /// The file.
        file: String,
        /// Bytes unpacked before the damage.
        good: usize,
    },
}

impl ImportError {
    pub(crate) fn value(file: &str, offset: usize, field: impl Into<String>, value: u64, rule: Rule) -> Self {
        Self::Value { file: file.into(), offset, field: field.into(), value, rule }
    }

    pub(crate) fn truncated(file: &str, offset: usize, field: impl Into<String>, need: u64, have: usize) -> Self {
        Self::Truncated { file: file.into(), offset, field: field.into(), need, have }
    }

    /// A refusal of a line; the quoted text is cut to what a sentence can carry.
    pub(crate) fn line(file: &str, line: usize, field: &'static str, value: &str, rule: Rule) -> Self {
        let value = value.chars().take(60).flat_map(char::escape_default).collect();
        Self::Line { file: file.into(), line, field, value, rule }
    }
}
