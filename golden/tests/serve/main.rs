//! The whole server: sockets, peers that come and go, what is offered, traffic of a driver model.

mod guest;
mod hostile;
mod offers;
mod rig;
