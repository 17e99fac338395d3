//! What the adapter and the software body must agree on when a device moves between them, and two rules that derive what no
//! register holds.
//!
//! Source: the control blocks as declared in [`crate::vic`], the rings as in [`crate::vmxnet3`]; the laws are this project's.

/// How a piece of state travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Copied.
    Plain,
    /// In no register: computed from memory.
    Derived,
    /// Looked up again on the other side.
    ReRead,
    /// Copied, and what the switch itself owes added.
    Owed,
    /// Several causes become one bit.
    Folded,
    /// Both parts are added.
    Counter,
    /// Never moves: the configuration plane issues its own copy again.
    Shadow,
    /// Empty at the switch, and asserted empty.
    Hidden,
}

/// One row of the correspondence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Registers or parts of the adapter, by the vendor's names.
    pub adapter: &'static str,
    /// Fields of the software body; empty where there is none.
    pub software: &'static str,
    /// How it travels.
    pub class: Class,
    /// What holds after a round trip in which neither body took a step.
    pub law: &'static str,
}

/// Every row.
pub const TABLE: &[Row] = &[
    Row {
        adapter: "ring_base, ring_size, cq_index, color_enable, interrupt_offset, mask_on_assertion, coalescing_timer",
        software: "ring addresses, sizes, intrIdx, autoMask, modLevels, coalescing scheme",
        class: Class::Plain,
        law: "equal",
    },
    Row { adapter: "fetch_index", software: "next index", class: Class::Plain, law: "equal" },
    Row {
        adapter: "cq_tail, cq_tail_color",
        software: "completion next index, generation",
        class: Class::Plain,
        law: "equal",
    },
    Row {
        adapter: "",
        software: "generation of the TX ring and both RX rings",
        class: Class::Derived,
        law: "equal, by derive_generation",
    },
    Row {
        adapter: "posted_index",
        software: "",
        class: Class::ReRead,
        law: "old <= new in ring order; new = fetch + min(owned, size - 1)",
    },
    Row {
        adapter: "mask",
        software: "IMR",
        class: Class::Owed,
        law: "equal, or 1 where the switch's own interrupt masked it",
    },
    Row {
        adapter: "int_credits",
        software: "pending",
        class: Class::Folded,
        law: "pending iff either held; comes back as 0 or 1 credit",
    },
    Row {
        adapter: "QP_STATS_DUMP",
        software: "UPT1 statistics",
        class: Class::Counter,
        law: "hardware part + software part, equal in sum",
    },
    Row { adapter: "error_status", software: "stopped, error", class: Class::Plain, law: "equal" },
    Row {
        adapter: "PACKET_FILTER, ADDR_ADD, VLAN_ADD, NIC_CFG, RSS_KEY, RSS_CPU",
        software: "filters, features, RSS",
        class: Class::Shadow,
        law: "the configuration plane's copy is issued again",
    },
    Row {
        adapter: "timer phase",
        software: "what is left of a spacing",
        class: Class::Folded,
        law: "does not move: an event that it held back is pending, and due at once",
    },
    Row {
        adapter: "descriptor cache, transmit pipeline, write FIFO, ingress FIFO",
        software: "",
        class: Class::Hidden,
        law: "empty, asserted",
    },
];

/// The generation expected at `fetch`, which the adapter keeps in no register, from the ring itself.
///
/// Where cells are claimed, the first of them carries it. Where none is, the cell before `fetch` carries the generation of its
/// own lap: the same one, or the opposite where `fetch` starts a lap.
///
/// Exact for every size, index and number of owned cells, with two provisos: where `posted != fetch` the cell at `fetch` must
/// be owned (the adapter withdraws a claim that memory does not bear out before `running` reads 0); where `posted == fetch` the
/// cell before `fetch` must not have been posted again, that is, fewer than `size` cells are owned beyond the claim.
pub fn derive_generation(fetch: u32, posted: u32, size: u32, cell_generation: impl Fn(u32) -> bool) -> bool {
    if posted != fetch {
        cell_generation(fetch)
    } else if fetch == 0 {
        !cell_generation(size.saturating_sub(1))
    } else {
        cell_generation(fetch - 1)
    }
}

/// The posted index to program for a ring of which `owned` cells from `fetch` on are the device's. Equal indices mean an empty
/// ring, so of a full one a cell is held back.
pub const fn posted_index(fetch: u32, owned: u32, size: u32) -> u32 {
    if size == 0 {
        return 0;
    }
    let claimed = if owned < size { owned } else { size - 1 };
    ((fetch as u64 + claimed as u64) % size as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring after `consumed` cells were used up and `owned` more were posted, lap after lap from zeroed memory.
    fn ring(size: u32, consumed: u32, owned: u32) -> Vec<bool> {
        let mut cells = vec![false; size as usize];
        for position in 0..consumed + owned {
            cells[(position % size) as usize] = (position / size).is_multiple_of(2);
        }
        cells
    }

    fn sizes() -> impl Iterator<Item = u32> {
        (1..=12).chain([32, 33])
    }

    #[test]
    fn the_generation_is_exact_at_every_index_fill_and_doorbell_lag() {
        for size in sizes() {
            for consumed in 0..3 * size {
                let expected = consumed / size % 2 == 0;
                for owned in 0..=size {
                    let cells = ring(size, consumed, owned);
                    let fetch = consumed % size;
                    for lag in 0..size.min(owned + 1) {
                        let posted = posted_index(fetch, owned - lag, size);
                        // A claim of nothing while every cell is owned: outside the rule, see the last test.
                        if posted == fetch && owned == size {
                            continue;
                        }
                        let derived = derive_generation(fetch, posted, size, |i| cells[i as usize]);
                        assert_eq!(derived, expected, "size {size} consumed {consumed} owned {owned} lag {lag}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_posted_index_claims_what_is_owned_and_never_reaches_fetch_on_a_full_ring() {
        for size in sizes() {
            for fetch in 0..size {
                for owned in 0..=size {
                    let posted = posted_index(fetch, owned, size);
                    let claimed = (posted + size - fetch) % size;
                    assert_eq!(claimed, owned.min(size - 1));
                    assert!(size == 1 || owned == 0 || posted != fetch);
                }
            }
        }
    }

    #[test]
    fn a_full_ring_whose_claim_is_empty_defeats_the_rule() {
        for size in sizes() {
            for consumed in 0..2 * size {
                let (cells, fetch) = (ring(size, consumed, size), consumed % size);
                let derived = derive_generation(fetch, fetch, size, |i| cells[i as usize]);
                assert_ne!(derived, consumed / size % 2 == 0, "size {size} consumed {consumed}");
            }
        }
    }

    #[test]
    fn every_class_has_a_row() {
        use Class::{Counter, Derived, Folded, Hidden, Owed, Plain, ReRead, Shadow};
        for class in [Plain, Derived, ReRead, Owed, Folded, Counter, Shadow, Hidden] {
            assert!(TABLE.iter().any(|row| row.class == class), "{class:?}");
        }
    }
}
