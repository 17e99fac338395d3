//! Two logs or two recordings: the same events in the same order, lines and addresses of the files aside.

use super::{Diff, Difference, Relation};
use crate::dump::Recording;
use crate::import::{ImportError, RegisterAccess};
use crate::show::{access, lines};

/// Two trace logs, access by access.
pub(super) fn compare(kinds: (&'static str, &'static str), left: &[RegisterAccess], right: &[RegisterAccess]) -> Diff {
    let same =
        |a: &RegisterAccess, b: &RegisterAccess| RegisterAccess { line: 0, ..*a } == RegisterAccess { line: 0, ..*b };
    sequences(kinds, "access", left, right, same, access)
}

/// Two recordings, event by event as they are shown.
pub(super) fn recordings(
    kinds: (&'static str, &'static str),
    left: &Recording,
    right: &Recording,
) -> Result<Diff, ImportError> {
    let (a, b) = (lines(left)?, lines(right)?);
    Ok(sequences(kinds, "event", &a, &b, |a, b| a == b, String::clone))
}

/// What the two have in common at both ends is equal; between the ends, events stand against each other in turn.
fn sequences<T>(
    kinds: (&'static str, &'static str),
    noun: &str,
    left: &[T],
    right: &[T],
    same: impl Fn(&T, &T) -> bool,
    text: impl Fn(&T) -> String,
) -> Diff {
    let equal = |(a, b): &(&T, &T)| same(a, b);
    let head = left.iter().zip(right).take_while(equal).count();
    let (a, b) = (&left[head..], &right[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(equal).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let shown = |side: &[T], i: usize| side.get(i).map_or(String::new(), &text);
    let differences = (0..a.len().max(b.len())).filter(|&i| a.get(i).zip(b.get(i)).is_none_or(|pair| !equal(&pair)));
    let differences = differences.map(|i| Difference {
        field: format!("{noun} {}", head + i + 1),
        left: shown(a, i),
        right: shown(b, i),
        relation: match (a.get(i), b.get(i)) {
            (Some(_), None) => Relation::OnlyLeft,
            (None, _) => Relation::OnlyRight,
            _ => Relation::Different,
        },
    });
    let differences: Vec<_> = differences.collect();
    Diff { kinds, equal: left.len().max(right.len()) - differences.len(), differences }
}
