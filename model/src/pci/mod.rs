//! The guest's PCI function: configuration space, MSI-X table and pending bits. The hypervisor's in both modes: a body names
//! vectors, never messages.
//!
//! Not modelled: power management, the expansion ROM, Express capabilities, MSI with one vector.

use spec::layout::Bytes;
use spec::vmxnet3::{self, MAX_VECTORS, MsixEntry};

/// Offset of the MSI-X capability. Source: lspci of VMXNET3 on VMware Workstation and QEMU alike.
pub const MSIX_CAPABILITY: usize = 0x9c;
/// Bytes of BAR2: table at 0, pending bits at [`PBA_OFFSET`].
pub const BAR2_BYTES: u32 = 0x2000;
/// Where the pending bits lie in BAR2.
pub const PBA_OFFSET: u32 = 0x1000;

/// Bits of the command register. Source: PCI Local Bus Specification 3.0, section 6.2.2.
pub mod command {
    /// Memory decode.
    pub const MEMORY: u16 = 1 << 1;
    /// Bus master: DMA and messages.
    pub const BUS_MASTER: u16 = 1 << 2;
    /// INTx may not be asserted.
    pub const INTX_DISABLE: u16 = 1 << 10;
}

const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_FUNCTION_MASK: u16 = 1 << 14;

/// The function's PCI face.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pci {
    config: Vec<u8>,
    table: [MsixEntry; MAX_VECTORS],
    pending: u32,
    intx: bool,
    /// It has an MSI-X capability.
    msix: bool,
    /// Whoever shows the function to the guest keeps table and pending bits; those here are not used.
    table_outside: bool,
}

/// Where an interrupt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The guest gets the message of this vector.
    Message,
    /// The table or the function masks it: its pending bit is set.
    Pending,
    /// MSI-X is off, or the vector has no entry: lost, as on a real bus.
    Nowhere,
}

impl Default for Pci {
    fn default() -> Self {
        Self::new()
    }
}

impl Pci {
    /// The function after reset.
    pub fn new() -> Self {
        let mut config = vec![0; 256];
        config[0..2].copy_from_slice(&vmxnet3::VENDOR.to_le_bytes());
        config[2..4].copy_from_slice(&vmxnet3::DEVICE.to_le_bytes());
        config[6] = 0x10; // a capability list
        config[8] = 1; // revision
        config[0x0b] = 2; // network controller
        config[0x2c..0x2e].copy_from_slice(&vmxnet3::VENDOR.to_le_bytes());
        config[0x2e..0x30].copy_from_slice(&vmxnet3::DEVICE.to_le_bytes());
        config[0x34] = MSIX_CAPABILITY as u8;
        config[0x3d] = 1; // INTA
        config[MSIX_CAPABILITY] = 0x11;
        config[MSIX_CAPABILITY + 2..MSIX_CAPABILITY + 4].copy_from_slice(&(MAX_VECTORS as u16 - 1).to_le_bytes());
        config[MSIX_CAPABILITY + 4..MSIX_CAPABILITY + 8].copy_from_slice(&2u32.to_le_bytes());
        config[MSIX_CAPABILITY + 8..MSIX_CAPABILITY + 12].copy_from_slice(&(PBA_OFFSET | 2).to_le_bytes());
        let mut masked = MsixEntry::default();
        masked.set_masked(true);
        Self { config, table: [masked; MAX_VECTORS], pending: 0, intx: false, msix: true, table_outside: false }
    }

    /// The same function without an MSI-X capability: a kernel finds the INTx line only. Resets do not change it.
    #[must_use]
    pub fn without_msix(mut self) -> Self {
        self.config[6] &= !0x10;
        self.config[0x34] = 0;
        self.config[MSIX_CAPABILITY..MSIX_CAPABILITY + 12].fill(0);
        self.msix = false;
        self
    }

    /// It has an MSI-X capability.
    pub fn has_msix(&self) -> bool {
        self.msix
    }

    /// Whoever shows the function to the guest keeps the MSI-X table, as a hypervisor with a remote device does: a vector that is
    /// raised is a message whatever the table here says. Resets do not change it.
    pub fn keep_table_outside(&mut self) {
        self.table_outside = true;
    }

    /// The function after a bus reset.
    pub fn reset(&mut self) {
        let fresh = if self.msix { Self::new() } else { Self::new().without_msix() };
        *self = Self { table_outside: self.table_outside, ..fresh };
    }

    /// As a kernel leaves it for a driver that uses `vectors` MSI-X vectors: decode and bus master on, those vectors unmasked.
    pub fn with_msix(vectors: usize) -> Self {
        let mut pci = Self::new();
        pci.write_config(4, &(command::MEMORY | command::BUS_MASTER).to_le_bytes());
        pci.write_config(MSIX_CAPABILITY + 2, &MSIX_ENABLE.to_le_bytes());
        for (i, entry) in pci.table.iter_mut().enumerate().take(vectors) {
            entry.set_address(0xfee0_0000);
            entry.set_data(0x40 + i as u32);
            entry.set_masked(false);
        }
        pci
    }

    /// As a kernel leaves it for a driver on the INTx line.
    pub fn with_intx() -> Self {
        let mut pci = Self::new();
        pci.write_config(4, &(command::MEMORY | command::BUS_MASTER).to_le_bytes());
        pci
    }

    /// Reads configuration bytes; those beyond the space are all ones.
    pub fn read_config(&self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = offset.checked_add(i).and_then(|at| self.config.get(at)).copied().unwrap_or(0xff);
        }
    }

    /// Writes configuration bytes; read-only ones keep their value.
    pub fn write_config(&mut self, offset: usize, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            let Some(at) = offset.checked_add(i) else { return };
            let writable = match at {
                4 => 0x06,
                5 => 0x04,
                0x10..0x1c => [0x00, 0xf0, 0xff, 0xff][at % 4],
                0x3c => 0xff,
                _ if at == MSIX_CAPABILITY + 3 && self.msix => 0xc0,
                _ => 0,
            };
            if let Some(old) = self.config.get_mut(at) {
                *old = (*old & !writable) | (byte & writable);
            }
        }
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.config[at], self.config[at + 1]])
    }

    /// DMA and messages are allowed.
    #[inline]
    pub fn bus_master(&self) -> bool {
        self.word(4) & command::BUS_MASTER != 0
    }

    /// MSI-X is enabled.
    #[inline]
    pub fn msix_enabled(&self) -> bool {
        self.word(MSIX_CAPABILITY + 2) & MSIX_ENABLE != 0
    }

    /// Reads 32 bits of BAR2; undeclared places are 0.
    pub fn read_bar2(&self, offset: u32) -> u32 {
        if offset >= PBA_OFFSET {
            return if offset == PBA_OFFSET { self.pending } else { 0 };
        }
        let mut bytes = [0; 16];
        let Some(entry) = self.table.get(offset as usize / 16) else { return 0 };
        entry.put(&mut bytes);
        let at = (offset as usize % 16) & !3;
        u32::get(&bytes[at..])
    }

    /// Writes 32 bits of BAR2; returns the vector whose message the write let out, if one was pending.
    pub fn write_bar2(&mut self, offset: u32, value: u32) -> Option<u16> {
        let index = offset as usize / 16;
        if offset >= PBA_OFFSET {
            return None;
        }
        let entry = self.table.get_mut(index)?;
        match (offset % 16) & !3 {
            0 => entry.set_address((entry.address() & !0xffff_ffff) | u64::from(value & !3)),
            4 => entry.set_address((entry.address() & 0xffff_ffff) | (u64::from(value) << 32)),
            8 => entry.set_data(value),
            _ => entry.set_masked(value & 1 == 1),
        }
        self.let_out(index)
    }

    fn let_out(&mut self, index: usize) -> Option<u16> {
        let open = self.pending >> index & 1 == 1 && self.open(index);
        if open {
            self.pending &= !(1 << index);
        }
        open.then_some(index as u16)
    }

    fn open(&self, index: usize) -> bool {
        self.msix_enabled()
            && self.word(MSIX_CAPABILITY + 2) & MSIX_FUNCTION_MASK == 0
            && self.bus_master()
            && (self.table_outside || !self.table[index].masked())
    }

    /// Vectors whose messages may leave now that configuration space was written.
    pub fn let_out_all(&mut self) -> Vec<u16> {
        (0..MAX_VECTORS).filter_map(|i| self.let_out(i)).collect()
    }

    /// A body raised `vector`.
    pub fn raise(&mut self, vector: u16) -> Delivery {
        let index = usize::from(vector);
        if index >= MAX_VECTORS || !self.msix_enabled() {
            Delivery::Nowhere
        } else if self.open(index) {
            Delivery::Message
        } else {
            self.pending |= 1 << index;
            Delivery::Pending
        }
    }

    /// A body set the level of the INTx line; returns the level that leaves the function.
    pub fn set_intx(&mut self, asserted: bool) -> bool {
        self.intx = asserted;
        self.config[6] = (self.config[6] & !0x08) | (u8::from(asserted) << 3);
        self.line()
    }

    /// The level of the INTx line as it leaves the function.
    pub fn line(&self) -> bool {
        self.intx && self.word(4) & command::INTX_DISABLE == 0 && !self.msix_enabled()
    }

    /// The level that a body last set.
    pub fn intx(&self) -> bool {
        self.intx
    }

    /// The 256 configuration bytes, the MSI-X table, its pending bits and the INTx level, for saving.
    pub fn parts(&self) -> (&[u8], &[MsixEntry; MAX_VECTORS], u32, bool) {
        let Self { config, table, pending, intx, msix: _, table_outside: _ } = self;
        (config, table, *pending, *intx)
    }

    /// Becomes `other`; who keeps the table stays as it is.
    pub fn adopt(&mut self, other: &Self) {
        *self = Self { table_outside: self.table_outside, ..other.clone() };
    }

    /// A function from saved parts: what software may write comes from them, everything else is this model's own.
    pub fn from_parts(config: &[u8], table: [MsixEntry; MAX_VECTORS], pending: u32, intx: bool) -> Self {
        let mut pci = Self::new().with_parts(config, table, pending);
        pci.set_intx(intx);
        pci
    }

    /// This function with what software may write taken from saved parts.
    #[must_use]
    pub fn with_parts(mut self, config: &[u8], table: [MsixEntry; MAX_VECTORS], pending: u32) -> Self {
        self.write_config(0, config);
        Self { table, pending: pending & ((1 << MAX_VECTORS) - 1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_entry_keeps_its_message_until_it_is_unmasked() {
        let mut pci = Pci::with_msix(2);
        assert_eq!(pci.raise(1), Delivery::Message);
        assert_eq!(pci.write_bar2(16 + 12, 1), None);
        assert_eq!(pci.raise(1), Delivery::Pending);
        assert_eq!(pci.read_bar2(PBA_OFFSET), 2);
        assert_eq!(pci.write_bar2(16 + 12, 0), Some(1));
        assert_eq!(pci.read_bar2(PBA_OFFSET), 0);
        assert_eq!(pci.raise(25), Delivery::Nowhere);
    }

    #[test]
    fn a_table_kept_outside_masks_nothing_and_survives_a_reset() {
        let mut pci = Pci::with_msix(0);
        pci.keep_table_outside();
        assert_eq!(pci.raise(4), Delivery::Message);
        pci.reset();
        assert_eq!(pci.raise(4), Delivery::Nowhere, "MSI-X is off after a reset");
        pci.write_config(4, &[6, 0]);
        pci.write_config(MSIX_CAPABILITY + 2, &MSIX_ENABLE.to_le_bytes());
        assert_eq!(pci.raise(4), Delivery::Message);
    }

    #[test]
    fn without_the_capability_there_is_only_the_line_whatever_is_written() {
        let mut pci = Pci::new().without_msix();
        let mut status = [0; 2];
        pci.write_config(0, &[0xff; 256]);
        pci.read_config(6, &mut status);
        assert_eq!(status[0] & 0x10, 0, "no capability list");
        assert!(!pci.msix_enabled());
        assert_eq!(pci.raise(0), Delivery::Nowhere);
        pci.write_config(4, &[6, 0]);
        assert!(pci.set_intx(true));
        pci.reset();
        pci.write_config(MSIX_CAPABILITY + 2, &MSIX_ENABLE.to_le_bytes());
        assert!(!pci.msix_enabled() && !pci.has_msix(), "a reset does not bring it back");
    }

    #[test]
    fn without_bus_master_no_message_leaves() {
        let mut pci = Pci::with_msix(1);
        pci.write_config(4, &[2, 0]);
        assert_eq!(pci.raise(0), Delivery::Pending);
        pci.write_config(4, &[6, 0]);
        assert_eq!(pci.let_out_all(), [0]);
    }

    #[test]
    fn identity_is_read_only_and_parts_restore_the_function() {
        let mut pci = Pci::with_msix(3);
        pci.write_config(0, &[0xff; 256]);
        let mut id = [0; 4];
        pci.read_config(0, &mut id);
        assert_eq!(id, [0xad, 0x15, 0xb0, 0x07]);
        pci.write_bar2(8, 0x77);
        let (config, table, pending, intx) = pci.parts();
        assert_eq!(Pci::from_parts(config, *table, pending, intx), pci);
        assert_eq!(pci.read_bar2(8), 0x77);
    }
}
