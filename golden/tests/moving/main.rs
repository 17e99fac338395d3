//! A device that moves between two hosts, with a fabric between them and a guest that knows nothing of it.

mod faults;
mod protocol;
mod rig;
mod traffic;
