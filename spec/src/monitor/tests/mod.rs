//! Judges against runs made by hand: right ones pass both observers, and each clause has one that it rejects.

mod negative;
mod offloads;
mod rejected;
mod rig;
mod tunnels;
