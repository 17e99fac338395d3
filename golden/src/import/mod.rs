//! Foreign dumps: one format a file, each a function from bytes to a typed value.
//!
//! A dump is untrusted. An importer checks each length against the bytes that are there before it allocates, bounds
//! every loop and recursion by them, and refuses with the file, the place, the field and the value. Nothing here
//! opens a file except [`capture`] and the folder reader in [`memory`].

pub mod capture;
pub mod elf;
mod error;
pub mod ethtool_d;
pub mod gzip;
pub mod lspci;
pub mod memory;
pub mod mmiotrace;
pub mod pcap;
pub mod qemu_stream;
pub mod qemu_trace;
mod vmxnet3_section;

pub use capture::Capture;
pub use error::{ImportError, Rule};
pub use ethtool_d::EthtoolDump;
pub use lspci::Lspci;
pub use memory::MemoryImage;
pub use pcap::Frame;
pub use qemu_trace::{Region, RegisterAccess, Trace};
pub use vmxnet3_section::{Interrupt, Ring, RxQueue, TxQueue, Vmxnet3Section};

/// The text of a file that has to be text.
fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ImportError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        ImportError::line(file, line, "text", "", Rule::Says("which is not UTF-8"))
    })
}
