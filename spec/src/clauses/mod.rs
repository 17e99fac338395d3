//! The clause tables, a subject a file, and their concatenation.

mod configuration;
mod data;
mod limits;
mod pci;
mod robust;
mod running;
mod switch;
mod versions;
mod vic;

use super::{Clause, Judge, Strength};

/// Number of clauses in all tables.
pub const COUNT: usize = {
    let (mut count, mut table) = (0, 0);
    while table < TABLES.len() {
        count += TABLES[table].len();
        table += 1;
    }
    count
};

/// The tables: VMXNET3's PCI function, its configuration, its limits, its later versions, its data path, what drivers rely on while it runs, its bad
/// inputs, the adapter, the move.
pub const TABLES: [&[Clause]; 9] = [
    pci::TABLE,
    configuration::TABLE,
    limits::TABLE,
    versions::TABLE,
    data::TABLE,
    running::TABLE,
    robust::TABLE,
    vic::TABLE,
    switch::TABLE,
];

/// Every clause.
pub static ALL: [Clause; COUNT] = {
    let mut all = [switch::TABLE[0]; COUNT];
    let mut at = 0;
    let mut table = 0;
    while table < TABLES.len() {
        let mut row = 0;
        while row < TABLES[table].len() {
            all[at] = TABLES[table][row];
            at += 1;
            row += 1;
        }
        table += 1;
    }
    all
};

/// A row: id, strength, judge, sentence, source.
const fn row(
    id: &'static str,
    strength: Strength,
    judge: Judge,
    sentence: &'static str,
    source: &'static str,
) -> Clause {
    Clause { id, sentence, source, strength, judge }
}
