//! A front for a device that moves between hosts: vfio-user server towards the hypervisor, client towards whichever host process
//! backs the device.
//!
//! QEMU's client cannot connect again, so its connection stays here. [`Relay`] forwards every message and remembers what a new host
//! has to be told: maps of guest memory with their files, eventfds, masks. [`Relay::relocate`] moves the device: the hypervisor's
//! messages stay in its socket meanwhile, which is how a vCPU that touches the device waits.
//!
//! Everything is trapped. No mapping is offered, and a host that offers one is refused: the page of a host process would stay in the
//! guest when the device has left that host. A write that the hypervisor posts waits for the host all the same.
//!
//! Source: vfio-user.rst; what QEMU's client sends was read in hw/vfio-user/{proxy,device,container}.c.

pub mod draw;
mod relay;
mod relocate;
mod server;

pub use relay::{HostError, Relay};
pub use relocate::{MoveError, Report, Step, Timed};
pub use server::{Event, Front, FrontError};
