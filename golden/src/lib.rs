//! Golden: what was seen. Recordings of real devices, read, decoded and compared.
//!
//! - [`import`] turns foreign files into typed values: a migration stream, guest memory, register dumps, a trace log,
//!   frames. [`import::Capture`] is a folder of them, [`dump::Dump`] any one of them.
//! - [`shared_view`] follows the addresses in guest memory from the shared area to the rings.
//! - [`serve`] shows a device of ours to a real hypervisor over [`vfio_user`]; [`trace`] is what such a run, or any other, leaves.
//! - [`front`] keeps a hypervisor's connection while a served device moves between hosts, [`fabric`] is the switch between them.
//! - [`dut`] is the face of a device under test, whoever built it; QEMU's own behind it.
//! - [`show`] decodes a dump by field name, [`diff`] compares two by meaning, [`explain`] looks a word up.
#![forbid(unsafe_code)]

pub mod consistency;
pub mod diff;
pub mod dump;
pub mod dut;
pub mod explain;
pub mod fabric;
pub mod front;
pub mod import;
pub mod lint;
pub mod replay;
pub mod roundtrip;
pub mod serve;
pub mod shared_view;
pub mod show;
pub mod trace;
pub mod vfio_user;
