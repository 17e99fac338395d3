//! Two trace logs: the same accesses in the same order, lines and addresses aside.

use super::{Diff, Difference, Relation};
use crate::import::RegisterAccess;
use crate::show::access;

/// What the two have in common at both ends is equal; between the ends, accesses stand against each other in turn.
pub(super) fn compare(kinds: (&'static str, &'static str), left: &[RegisterAccess], right: &[RegisterAccess]) -> Diff {
    let same = |(a, b): &(&RegisterAccess, &RegisterAccess)| {
        RegisterAccess { line: 0, ..**a } == RegisterAccess { line: 0, ..**b }
    };
    let head = left.iter().zip(right).take_while(same).count();
    let (a, b) = (&left[head..], &right[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let text = |side: &[RegisterAccess], i: usize| side.get(i).map_or(String::new(), access);
    let differences = (0..a.len().max(b.len())).filter(|&i| a.get(i).zip(b.get(i)).is_none_or(|pair| !same(&pair)));
    let differences = differences.map(|i| Difference {
        field: format!("access {}", head + i + 1),
        left: text(a, i),
        right: text(b, i),
        relation: match (a.get(i), b.get(i)) {
            (Some(_), None) => Relation::OnlyLeft,
            (None, _) => Relation::OnlyRight,
            _ => Relation::Different,
        },
    });
    let differences: Vec<_> = differences.collect();
    Diff { kinds, equal: left.len().max(right.len()) - differences.len(), differences }
}
