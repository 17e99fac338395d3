//! The wires of served devices: a guest of our own talks to each, and hostile ones do.

#[path = "wires/answers.rs"]
mod answers;
#[path = "wires/boot.rs"]
mod boot;
#[path = "wires/frames.rs"]
mod frames;
#[path = "wires/host.rs"]
mod host;
#[path = "wires/hostile.rs"]
mod hostile;
#[path = "wires/joined.rs"]
mod joined;
#[path = "wires/services.rs"]
mod services;
