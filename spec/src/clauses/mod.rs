//! The clause tables, a subject a file, and their concatenation.

mod configuration;
mod data;
mod switch;
mod vic;

use super::{Clause, Judge, Strength};

/// Number of clauses in all tables.
pub const COUNT: usize = TABLES[0].len() + TABLES[1].len() + TABLES[2].len() + TABLES[3].len();

/// The tables: VMXNET3's configuration, VMXNET3's data path, the adapter, the move.
pub const TABLES: [&[Clause]; 4] = [configuration::TABLE, data::TABLE, vic::TABLE, switch::TABLE];

/// Every clause.
pub const ALL: [Clause; COUNT] = {
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
