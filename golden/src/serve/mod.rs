//! A device of ours served to a real hypervisor and a real guest.
//!
//! [`Engine`] is one device: a system on the peer's memory, with its wire ([`wire`]), its interrupts and, on the direct path, the
//! page that is mapped into the guest. [`Served`] shows it over vfio-user, orders come while it runs ([`orders`]), [`Server`]
//! is the loop around all of them.
//!
//! The models are those of [`model`], unchanged: the server is one more scheduler over [`model::machine::System`].

mod control;
mod device;
mod engine;
mod handed;
mod interrupts;
mod memory;
pub mod orders;
mod outlet;
mod pace;
mod page;
mod server;
mod status;
pub mod wire;

pub use device::Served;
pub use engine::{Engine, EngineCounters, Kind, MoveCounters, Path, SwitchError};
pub use handed::{
    DepartureV1, Handed, Held, MOST_BYTES, MOST_FRAMES, OutsideV1, announcement, announces, marker, marks,
};
pub use interrupts::Interrupts;
pub use outlet::{Outlet, OutletCounters};
pub use page::{MappedPage, PAGE_BYTES};
pub use server::{Config, Event, Server, ServerError, Station, Wired};
