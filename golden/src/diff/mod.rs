//! Two dumps compared by meaning: fields by name, ring positions modulo twice the ring, counters by order.
//!
//! The left dump is taken as the earlier one. Two dumps of one kind are the same when nothing differs. A register dump
//! and a stream are never of the same moment nor of the same side, so there "same" says: configuration equal, each of the
//! driver's positions at or before the device's in the same activation, nothing contradictory.

mod facts;
mod traces;

use crate::dump::Dump;
use crate::import::{EthtoolDump, ImportError, MemoryImage, Vmxnet3Section};
use facts::{Fact, Meaning};
use spec::layout::number;
use spec::position::RingIndex;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// How the left value of a field stands to the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The left is `by` behind the right; for positions modulo twice the ring.
    Earlier {
        /// Entries or counts.
        by: u64,
    },
    /// Values that no passing of time explains.
    Different,
    /// Both cannot be of one activation, for this reason.
    Contradictory(&'static str),
    /// The right does not have the field.
    OnlyLeft,
    /// The left does not have the field.
    OnlyRight,
}

/// A field that is not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub field: String,
    /// Its value on the left; empty when it is not there.
    pub left: String,
    /// Its value on the right; empty when it is not there.
    pub right: String,
    /// How they stand to each other.
    pub relation: Relation,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// What was compared, such as `a register dump` and `a migration stream`.
    pub kinds: (&'static str, &'static str),
    /// Fields that are equal.
    pub equal: usize,
    /// Fields that are not, in the order of the left dump.
    pub differences: Vec<Difference>,
}

impl Diff {
    /// True when the two agree; what that asks for is said in the [module](self).
    pub fn same(&self) -> bool {
        let across_kinds = self.kinds.0 != self.kinds.1;
        self.differences.iter().all(|entry| across_kinds && matches!(entry.relation, Relation::Earlier { .. }))
    }

    /// 0 when the two agree, 1 when they differ.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.same())
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "left is {}, right is {}", self.kinds.0, self.kinds.1)?;
        for Difference { field, left, right, relation } in &self.differences {
            match relation {
                Relation::Earlier { by } => writeln!(f, "  {field:<28} {left}  ->  {right}  earlier by {by}")?,
                Relation::Different => writeln!(f, "  {field:<28} {left}  ->  {right}  different")?,
                Relation::Contradictory(why) => writeln!(f, "  {field:<28} {left}  ->  {right}  contradictory: {why}")?,
                Relation::OnlyLeft => writeln!(f, "  {field:<28} {left}  only left")?,
                Relation::OnlyRight => writeln!(f, "  {field:<28} {right}  only right")?,
            }
        }
        let verdict = if self.same() { "same" } else { "differs" };
        writeln!(f, "{} equal, {} not: {verdict}", self.equal, self.differences.len())
    }
}

/// Compares two dumps; `None` when no comparison is defined. A register dump may also be compared with a stream or a capture, in
/// either order.
///
/// # Errors
/// When a recording cannot be followed.
pub fn diff(left: &Dump, right: &Dump) -> Result<Option<Diff>, ImportError> {
    let kinds = (left.kind(), right.kind());
    Ok(Some(match (left, right) {
        (Dump::Recording(a), Dump::Recording(b)) => traces::recordings(kinds, a, b)?,
        (Dump::Stream(a), Dump::Stream(b)) => compare(kinds, facts::stream(a), facts::stream(b)),
        (Dump::Memory(a), Dump::Memory(b)) => compare(kinds, facts::memory(a), facts::memory(b)),
        (Dump::Ethtool(a), Dump::Ethtool(b)) => compare(kinds, facts::ethtool(a), facts::ethtool(b)),
        (Dump::Trace(a), Dump::Trace(b)) => traces::compare(kinds, &a.accesses, &b.accesses),
        (Dump::Capture(a), Dump::Capture(b)) => {
            let all = |capture: &crate::import::Capture| {
                let mut facts = facts::stream(&capture.stream);
                facts.extend(facts::memory(&capture.memory));
                facts
            };
            compare(kinds, all(a), all(b))
        }
        (Dump::Ethtool(dump), Dump::Stream(stream)) | (Dump::Stream(stream), Dump::Ethtool(dump)) => {
            against(dump, stream, None)
        }
        (Dump::Ethtool(dump), Dump::Capture(all)) | (Dump::Capture(all), Dump::Ethtool(dump)) => {
            against(dump, &all.stream, Some(&all.memory))
        }
        _ => return Ok(None),
    }))
}

/// Compares two files or folders.
pub fn diff_paths(left: &Path, right: &Path) -> Result<Diff, ImportError> {
    let (a, b) = (Dump::open(left)?, Dump::open(right)?);
    diff(&a, &b)?.ok_or_else(|| ImportError::Incomparable {
        left: left.display().to_string(),
        left_kind: a.kind(),
        right: right.display().to_string(),
        right_kind: b.kind(),
    })
}

/// Compares the driver's view with the device's: addresses and sizes, then positions, in one activation.
///
/// With guest memory the queue descriptors are compared too. The driver's place in a descriptor ring is the entry up to
/// which it has taken completions: the one it fills next, less what is outstanding.
pub fn against(dump: &EthtoolDump, stream: &Vmxnet3Section, memory: Option<&MemoryImage>) -> Diff {
    let (left, mut right) = (facts::driver_side(dump), facts::device_side(stream));
    if let Some(memory) = memory {
        right.extend(facts::shared_side(memory, stream.drv_shmem));
    }
    // What one side cannot know is no difference: data rings are known to guest memory, not to the stream.
    let known: Vec<&str> = right.iter().map(|fact| fact.field.as_str()).collect();
    let left = left.into_iter().filter(|fact| !fact.driver_only || known.contains(&fact.field.as_str())).collect();
    let mut diff = compare(("a register dump", "a migration stream"), left, right);
    for (q, queue) in stream.tx_queues().iter().enumerate() {
        let Some(seen) = dump.tx.get(q) else { continue };
        if seen.comp.base == queue.comp_ring.pa && seen.comp.size == queue.comp_ring.size {
            bound_by_packets(&mut diff, &format!("tx[{q}].compRing position"), seen, queue);
        }
    }
    diff
}

/// Each packet ends in one completion, so while the counters agree with the device's position they say how many there
/// were in all, and the driver cannot have taken more.
fn bound_by_packets(
    diff: &mut Diff,
    field: &str,
    seen: &crate::import::ethtool_d::TxDump,
    queue: &crate::import::TxQueue,
) {
    let (ring, stats) = (queue.comp_ring, &queue.stats);
    let packets = [
        stats.ucast_pkts_tx_ok(),
        stats.mcast_pkts_tx_ok(),
        stats.bcast_pkts_tx_ok(),
        stats.pkts_tx_error(),
        stats.pkts_tx_discard(),
    ];
    let packets = packets.into_iter().fold(0, u64::saturating_add);
    let place =
        |index, generation| Some(RingIndex::START.distance(RingIndex::new(index, generation, ring.size)?, ring.size));
    let (Some(device), Some(driver)) =
        (place(ring.next, ring.generation), place(seen.comp.next2proc, seen.comp.generation))
    else {
        return;
    };
    let exact = packets % (2 * u64::from(ring.size)) == u64::from(device);
    if exact && u64::from(driver) > packets {
        let entry = diff.differences.iter_mut().find(|entry| entry.field == field);
        if let Some(entry) = entry {
            entry.relation = Relation::Contradictory("more completions than the device counts packets");
        }
    }
}

/// Compares two lists of facts by field name.
fn compare(kinds: (&'static str, &'static str), left: Vec<Fact>, right: Vec<Fact>) -> Diff {
    let mut diff = Diff { kinds, equal: 0, differences: Vec::new() };
    let mut rest: BTreeMap<String, (usize, Meaning)> =
        right.into_iter().enumerate().map(|(i, fact)| (fact.field, (i, fact.meaning))).collect();
    let mut push = |field, left, right, relation| diff.differences.push(Difference { field, left, right, relation });
    for Fact { field, meaning, .. } in left {
        match rest.remove(&field) {
            None => push(field, meaning.to_string(), String::new(), Relation::OnlyLeft),
            Some((_, other)) if other == meaning => diff.equal += 1,
            Some((_, other)) => {
                let relation = meaning.relation(&other);
                push(field, meaning.to_string(), other.to_string(), relation);
            }
        }
    }
    let mut rest: Vec<_> = rest.into_iter().map(|(field, (i, meaning))| (i, field, meaning)).collect();
    rest.sort_by_key(|(i, ..)| *i);
    for (_, field, meaning) in rest {
        push(field, String::new(), meaning.to_string(), Relation::OnlyRight);
    }
    diff
}

impl Meaning {
    fn relation(&self, right: &Self) -> Relation {
        match (self, right) {
            (Self::Counter(a), Self::Counter(b)) if a < b => Relation::Earlier { by: b - a },
            (
                Self::Position { index: a, generation: x, size },
                Self::Position { index: b, generation: y, size: same },
            ) if size == same && *size < 1 << 30 => {
                match (RingIndex::new(*a, *x, *size), RingIndex::new(*b, *y, *size)) {
                    (Some(a), Some(b)) => Relation::Earlier { by: u64::from(a.distance(b, *size)) },
                    _ => Relation::Contradictory("a position outside its ring"),
                }
            }
            _ => Relation::Different,
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) | Self::Counter(value) => f.write_str(&number(*value)),
            Self::Position { index, generation, .. } => write!(f, "{index} gen {}", u8::from(*generation)),
            Self::Text(text) => f.write_str(text),
        }
    }
}
