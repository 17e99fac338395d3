//! Clauses: every rule that something here can judge, each with an id that is never renumbered, and how often it was judged.
//!
//! The tables are in [`tables`]. A clause that no check judges is left out: a clause never exercised is a failure, not a pass.
//! Ids `VMX-` and `VIC-` are rules of the two devices, VMXNET3; `SWI-` are the rules of the move between them.

#[path = "clauses/mod.rs"]
pub mod tables;

/// How well a clause is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// A public header or a shipping driver says or relies on it.
    Stated,
    /// A device or device model was seen to do it.
    Observed,
    /// Deduced from what is stated and observed.
    Inferred,
    /// No public source says; a choice of this specification.
    Open,
}

impl Strength {
    /// Its word in reference pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Open => "open",
        }
    }
}

/// Who judges a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Judge {
    /// A monitor, in any run it watches.
    Monitor,
    /// An assertion of the guest driver model.
    Driver,
    /// A register-level case of the conformance suite.
    Case,
    /// A named unit or property test.
    Property,
}

impl Judge {
    /// Its word in reference pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Driver => "driver",
            Self::Case => "case",
            Self::Property => "property",
        }
    }
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clause {
    /// Never renumbered, never reused.
    pub id: &'static str,
    /// What must hold.
    pub sentence: &'static str,
    /// File and symbol it rests on.
    pub source: &'static str,
    /// How well it is founded.
    pub strength: Strength,
    /// Who judges it.
    pub judge: Judge,
}

/// Number of clauses.
pub const COUNT: usize = tables::COUNT;

/// Every clause, in the order of the tables.
pub const ALL: &[Clause] = &tables::ALL;

/// A clause by its place in [`ALL`]: what hot paths count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(u16);

impl Index {
    /// The clause.
    pub fn clause(self) -> &'static Clause {
        &ALL[usize::from(self.0)]
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        self.clause().id
    }
}

/// The index of a clause; an id that is not declared does not compile in a constant.
///
/// # Panics
/// When no clause has this id: ids come from our own code.
pub const fn index(id: &str) -> Index {
    match position(id) {
        Some(i) => Index(i as u16),
        None => panic!("no such clause"),
    }
}

/// The clause called `id`.
pub fn find(id: &str) -> Option<&'static Clause> {
    position(id).map(|i| &ALL[i])
}

/// The index of the clause called `id`, for names that come from outside.
pub fn find_index(id: &str) -> Option<Index> {
    position(id).map(|i| Index(i as u16))
}

const fn position(id: &str) -> Option<usize> {
    let wanted = id.as_bytes();
    let mut i = 0;
    while i < COUNT {
        let name = ALL[i].id.as_bytes();
        let mut same = name.len() == wanted.len();
        let mut at = 0;
        while same && at < name.len() {
            same = name[at] == wanted[at];
            at += 1;
        }
        if same {
            return Some(i);
        }
        i += 1;
    }
    None
}

/// How often each clause's premise held, and how often it was broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    premises: [u64; COUNT],
    violations: [u64; COUNT],
}

impl Default for Tally {
    fn default() -> Self {
        Self { premises: [0; COUNT], violations: [0; COUNT] }
    }
}

impl Tally {
    /// The premise of `clause` held once: it could have been broken.
    #[inline]
    pub fn premise(&mut self, clause: Index) {
        self.premises[usize::from(clause.0)] += 1;
    }

    /// The premise of `clause` held `times`.
    #[inline]
    pub fn premises(&mut self, clause: Index, times: u64) {
        self.premises[usize::from(clause.0)] += times;
    }

    /// `clause` was broken once. Its premise is counted apart.
    #[inline]
    pub fn violated(&mut self, clause: Index) {
        self.violations[usize::from(clause.0)] += 1;
    }

    /// Premises and violations of `clause`.
    pub fn of(&self, clause: Index) -> (u64, u64) {
        (self.premises[usize::from(clause.0)], self.violations[usize::from(clause.0)])
    }

    /// Every clause with its premises and violations.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Clause, u64, u64)> {
        ALL.iter().zip(self.premises).zip(self.violations).map(|((clause, p), v)| (clause, p, v))
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for i in 0..COUNT {
            self.premises[i] += other.premises[i];
            self.violations[i] += other.violations[i];
        }
    }

    /// Whether nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.iter().all(|&n| n == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_every_sentence_is_one() {
        let ids: BTreeSet<_> = ALL.iter().map(|c| c.id).collect();
        assert_eq!(ids.len(), COUNT);
        for clause in ALL {
            assert!(!clause.sentence.is_empty() && !clause.sentence.ends_with('.'), "{}", clause.id);
            assert!(!clause.source.is_empty(), "{}", clause.id);
            let mut parts = clause.id.split('-');
            assert!(matches!(parts.next(), Some("VMX" | "VIC" | "SWI")), "{}", clause.id);
            assert_eq!(parts.next_back().map(str::len), Some(3), "{}", clause.id);
        }
    }

    #[test]
    fn an_index_leads_to_its_clause_and_a_tally_adds_up() {
        const ORDER: Index = index("SWI-ORD-001");
        assert_eq!(ORDER.id(), "SWI-ORD-001");
        assert_eq!(find("SWI-ORD-001"), Some(ORDER.clause()));
        assert_eq!(find_index("SWI-ORD-000"), None);
        let mut tally = Tally::default();
        tally.premise(ORDER);
        let mut sum = tally.clone();
        tally.violated(ORDER);
        sum.merge(&tally);
        assert_eq!(sum.of(ORDER), (2, 1));
        assert!(!sum.is_clean());
        assert_eq!(sum.iter().filter(|row| row.1 > 0).count(), 1);
    }
}
