//! How the devices behave: the software VMXNET3, the adapter, the hypervisor between them, guests, and the move.
//!
//! Nothing here runs by itself: somebody calls `step`. State is plain data; the world is behind [`host::Host`].
#![forbid(unsafe_code)]

pub mod guest;
pub mod host;
pub mod hypervisor;
pub mod machine;
pub mod memory;
pub mod migrate;
pub mod mutant;
pub mod net;
pub mod pci;
pub mod plane;
pub mod vic;
pub mod vmxnet3;
