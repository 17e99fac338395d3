//! `diff`: two dumps compared by meaning.

use super::{Answer, Out, Run, Trouble};
use golden::diff::{Diff, Difference, Relation, diff_paths};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier dump: a file or folder that `show` decodes
    left: PathBuf,
    /// The later dump; a register dump may also be compared with a stream or a capture
    right: PathBuf,
    /// Print the differences as JSON, by the schema in tests/schema/diff-1.json
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let diff = diff_paths(&self.left, &self.right)?;
        if self.json {
            out.json(&Report::from(&diff))?;
        } else {
            out.text(&diff.to_string())?;
        }
        Ok(diff.same().into())
    }
}

/// A comparison as JSON.
#[derive(Serialize)]
struct Report<'d> {
    /// Version of this report's schema.
    schema: u32,
    /// What the left values come from, in words.
    left: &'static str,
    /// What the right values come from, in words.
    right: &'static str,
    /// Fields that are equal.
    equal: usize,
    /// Fields that are not.
    differences: Vec<Row<'d>>,
    /// Whether the two agree.
    same: bool,
}

/// A field that is not equal.
#[derive(Serialize)]
struct Row<'d> {
    field: &'d str,
    left: Option<&'d str>,
    right: Option<&'d str>,
    relation: &'static str,
    /// How far the left is behind, where that is the relation.
    by: Option<u64>,
    /// Why the values contradict each other, where they do.
    why: Option<&'static str>,
}

impl<'d> From<&'d Diff> for Report<'d> {
    fn from(diff: &'d Diff) -> Self {
        let differences = diff.differences.iter().map(Row::from).collect();
        Self { schema: 1, left: diff.kinds.0, right: diff.kinds.1, equal: diff.equal, differences, same: diff.same() }
    }
}

impl<'d> From<&'d Difference> for Row<'d> {
    fn from(difference: &'d Difference) -> Self {
        let Difference { field, left, right, relation } = difference;
        let (name, by, why) = match *relation {
            Relation::Earlier { by } => ("earlier", Some(by), None),
            Relation::Different => ("different", None, None),
            Relation::Contradictory(why) => ("contradictory", None, Some(why)),
            Relation::OnlyLeft => ("only-left", None, None),
            Relation::OnlyRight => ("only-right", None, None),
        };
        let left = (*relation != Relation::OnlyRight).then_some(left.as_str());
        let right = (*relation != Relation::OnlyLeft).then_some(right.as_str());
        Self { field, left, right, relation: name, by, why }
    }
}
