//! The VMXNET3 device in software, versions 1 to 9: the configuration plane of both modes, and the software data plane.
//!
//! - [`plane`]: BAR1, the commands and the driver-shared area. The hypervisor's whether the data path is in software or on
//!   the adapter; what it asks of the data path is a [`Request`](crate::plane::Request). `activate` reads the shared area.
//! - [`body`]: BAR0, rings, completions and interrupts, working rings by generation bits.
//! - [`filter`], [`headers`], [`tunnel`], [`offload`], [`receive`]: what the body does to frames, as pure functions.
//!
//! Not modelled: wake-up filters, and PCI, which has its own module.
//!
//! Sources: vmxnet3_defs.h and upt1_defs.h for the interface; the Linux, FreeBSD, OpenBSD, DPDK and iPXE drivers for what
//! guests rely on; QEMU's hw/net/vmxnet3.c for the profile that reproduces it.

mod activate;
pub mod body;
pub mod filter;
pub mod headers;
pub mod offload;
pub mod plane;
pub mod receive;
mod statistics;
#[cfg(test)]
mod testing;
pub mod tunnel;

pub use body::Body;
pub use plane::Plane;
