//! Foreign bytes: any answer but a panic.

use golden::import::{Vmxnet3Section, qemu_trace};

/// A migration stream; what parses also decodes and prints.
pub fn migration_stream(data: &[u8]) {
    if let Ok(section) = Vmxnet3Section::parse("fuzz", data) {
        assert!(!golden::show::stream(&section).is_empty());
    }
}

/// A trace in our own format, or a register log of QEMU's.
pub fn trace_text(data: &[u8]) {
    golden::trace::exercise(data);
    if let Ok(log) = qemu_trace::parse("fuzz", data, qemu_trace::Bases::default()) {
        let printed = golden::show::trace(&log);
        assert!(printed.lines().count() >= log.accesses.len(), "an access is not shown");
    }
}
