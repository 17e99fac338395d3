//! vfio-user: a device of ours as a PCI device of a real hypervisor in another process, over a UNIX socket.
//!
//! - [`proto`] declares the messages, [`caps`] what the version exchange agrees on, [`wire`] carries bytes and descriptors.
//! - [`Listener`] is the socket file, [`Session`] one peer on it, [`Device`] what is shown to the peer.
//! - [`LiveMemory`] is guest memory as the peer maps it, [`Vectors`] the eventfds of its interrupts.
//! - [`Client`] is the other end, for tests and for a lab without a hypervisor.
//!
//! Source: QEMU, docs/interop/vfio-user.rst; linux/vfio.h; libvfio-user, include/vfio-user.h; what QEMU's client sends was read
//! in hw/vfio-user/{proxy,device,container}.c.
//!
//! Why not the server of the crate `vfio_user` (0.1.7): it does not read the body of a message it does not support, so that it
//! takes the next header from the middle of that body; a version string without its NUL panics, a version message shorter
//! than its fixed part wraps a length, and counts of accesses size allocations unchecked; nearly all its error replies carry
//! number 0, and go out for messages that want none; descriptors are not counted; it blocks, with two system calls or more a
//! message. Here every length is bounded before room is made for it, a refusal is an error reply with a number, and the
//! stream stays in step.
//!
//! A device may offer migration ([`Migration`]): states STOP, RUNNING, STOP_COPY and RESUMING, data in messages.
//!
//! Not offered: pre-copy and dirty logging, descriptors for region accesses, messages from server to client (guest memory
//! that comes without a descriptor is out of reach), twin sockets. The protocol is in host byte order; this code reads it
//! little-endian, as all hosts of these devices are.

pub mod caps;
mod client;
mod device;
mod listener;
mod memory;
mod migration;
pub mod proto;
mod session;
mod vectors;
pub mod wire;

pub use client::{Client, ClientError, RegionReply, Reply};
pub use device::{Device, IRQS, IrqChange, IrqInfo, Mapping, REGIONS, RegionInfo, irq, region};
pub use listener::{BindError, Listener, MAX_PATH, serve_peer};
pub use memory::{LiveMemory, MAX_DMA_BYTES, MAX_DMA_MAPS, MapError, PAGE, Shrinking};
pub use migration::Migration;
pub use rustix::io::Errno;
pub use session::{Counters, Hangup, Pumped, Refusal, Session};
pub use vectors::{NotAnEventfd, Trigger, Vectors};
