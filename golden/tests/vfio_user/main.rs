//! The vfio-user server against well-behaved and hostile peers.

mod conversation;
mod hostile;
mod irqs;
mod laws;
mod listener;
mod memory;
mod rig;
mod stream;
