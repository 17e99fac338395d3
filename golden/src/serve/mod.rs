//! A device of ours served to a real hypervisor and a real guest.
//!
//! [`Engine`] is one device: a system on the peer's memory, with its wire ([`wire`]), its interrupts and, on the direct path, the
//! page that is mapped into the guest. [`Served`] shows it over vfio-user, [`control`] takes orders while it runs, [`Server`]
//! is the loop around all of them.
//!
//! The models are those of [`model`], unchanged: the server is one more scheduler over [`model::machine::System`].

pub mod control;
mod device;
mod engine;
mod interrupts;
mod memory;
mod outlet;
mod page;
mod server;
mod status;
pub mod wire;

pub use device::Served;
pub use engine::{Engine, EngineCounters, Kind, Path, SwitchError};
pub use interrupts::Interrupts;
pub use outlet::{Outlet, OutletCounters};
pub use page::{MappedPage, PAGE_BYTES};
pub use server::{Config, Event, Server, ServerError, Station, Wired};
