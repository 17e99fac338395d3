//! What the devices are: VMXNET3 and the Cisco VIC, as declarations, pure rules and judges.
//!
//! - [`mod@layout`] and [`mod@registers`] hold the macros by which everything is declared once; accessors, tables, decoding and the
//!   reference pages all come from there.
//! - [`mod@constants`] holds the one for bits and numbers that have a name.
//! - [`vmxnet3`] and [`vic`] are the declarations themselves.
//! - [`position`] and [`profile`] are small rules and the named choices where sources are silent.
//! - [`event`] is what can be done to a system and what it can do; [`frame`] makes frames that can be told apart.
//! - [`clause`] is every rule that something here judges; [`monitor`] holds the judges of a running device.
//! - [`export`] gives the tables as Markdown, JSON and a C header; `spec/reference` holds them.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod clause;
pub mod constants;
pub mod correspond;
pub mod event;
pub mod export;
pub mod frame;
pub mod layout;
pub mod monitor;
pub mod position;
pub mod profile;
pub mod registers;
pub mod toeplitz;
pub mod vic;
pub mod vmxnet3;
