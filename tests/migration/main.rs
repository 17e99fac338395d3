//! The move between adapter and software: cut at every step, compared with a run that never moves, broken on purpose.

mod course;
mod cut;
mod direct;
mod mutants;
mod negative;
mod oracle;
mod saved;
mod sequences;
mod versions;
