//! Moving a live VMXNET3 between adapter and software, through bytes and into fresh objects.

pub mod canon;
pub mod parts;
pub mod stream;

#[cfg(test)]
mod tests;

pub use canon::Canon;
pub use stream::RestoreError;
