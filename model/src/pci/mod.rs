//! The guest's PCI function: configuration space, MSI-X table and pending bits. The hypervisor's in both modes: a body names
//! vectors, never messages.
//!
//! Not modelled: power management, the expansion ROM, Express capabilities, MSI with one vector.

use spec::layout::Bytes;
use spec::profile::Profile;
use spec::vmxnet3::{self, Bar0, MAX_VECTORS, MsixEntry, Version};

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
    /// As many entries as there can be; a guest reaches those of its vectors.
    table: [MsixEntry; MAX_VECTORS],
    pending: u128,
    intx: bool,
    /// Entries that the table has.
    vectors: u8,
    /// Bytes of BAR0, a power of two.
    bar0_bytes: u32,
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
    /// The function of a device that is built as `profile`, after reset.
    pub fn of(profile: &Profile) -> Self {
        let pci = Self::new().with_vectors(profile.widest().vectors).with_bar0(profile.bar0_bytes());
        if profile.msix { pci } else { pci.without_msix() }
    }

    /// As many vectors as a device below version 6 has, after reset.
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
        config[MSIX_CAPABILITY + 4..MSIX_CAPABILITY + 8].copy_from_slice(&2u32.to_le_bytes());
        config[MSIX_CAPABILITY + 8..MSIX_CAPABILITY + 12].copy_from_slice(&(PBA_OFFSET | 2).to_le_bytes());
        let mut masked = MsixEntry::default();
        masked.set_masked(true);
        let pci = Self {
            config,
            table: [masked; MAX_VECTORS],
            pending: 0,
            intx: false,
            vectors: 0,
            bar0_bytes: Bar0::MAP.bytes,
            msix: true,
            table_outside: false,
        };
        pci.with_vectors(Version::of(1).vectors)
    }

    /// The same function with a table of `vectors` entries, 1 to 65. Resets do not change it.
    #[must_use]
    pub fn with_vectors(mut self, vectors: u8) -> Self {
        self.vectors = vectors.clamp(1, MAX_VECTORS as u8);
        if self.msix {
            self.config[MSIX_CAPABILITY + 2] = self.vectors - 1;
        }
        self
    }

    /// The same function with a BAR0 of `bytes`, a power of two. Resets do not change it.
    fn with_bar0(self, bytes: u32) -> Self {
        Self { bar0_bytes: bytes, ..self }
    }

    /// Entries of the MSI-X table.
    pub fn vectors(&self) -> usize {
        usize::from(self.vectors)
    }

    /// How many entries the MSI-X table of saved configuration space has; none where there is no such capability.
    pub(crate) fn vectors_in(config: &[u8]) -> Option<u8> {
        let size = config.get(MSIX_CAPABILITY + 2).filter(|_| config.get(MSIX_CAPABILITY) == Some(&0x11))?;
        size.checked_add(1)
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
        let fresh = fresh.with_vectors(self.vectors).with_bar0(self.bar0_bytes);
        *self = Self { table_outside: self.table_outside, ..fresh };
    }

    /// As a kernel leaves it for a driver that uses `vectors` MSI-X vectors: decode and bus master on, those vectors unmasked.
    pub fn with_msix(vectors: usize) -> Self {
        let few = Version::of(1).vectors;
        Self::new().with_vectors(u8::try_from(vectors).unwrap_or(u8::MAX).max(few)).set_up(vectors)
    }

    /// As a kernel leaves it for its driver: decode and bus master on, and where there is MSI-X, every vector unmasked.
    #[must_use]
    pub fn for_driver(mut self) -> Self {
        if self.msix {
            let vectors = self.vectors();
            return self.set_up(vectors);
        }
        self.write_config(4, &(command::MEMORY | command::BUS_MASTER).to_le_bytes());
        self
    }

    fn set_up(self, vectors: usize) -> Self {
        let mut pci = self;
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
                0x10..0x14 => (self.bar0_bytes.wrapping_neg()).to_le_bytes()[at % 4],
                0x14..0x1c => [0x00, 0xf0, 0xff, 0xff][at % 4],
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
            let word = (offset - PBA_OFFSET) / 4;
            let bits = if offset.is_multiple_of(4) { self.pending.checked_shr(32 * word) } else { None };
            return bits.unwrap_or(0) as u32;
        }
        let mut bytes = [0; 16];
        let Some(entry) = self.entries().get(offset as usize / 16) else { return 0 };
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
        let entry = self.table.get_mut(index).filter(|_| index < usize::from(self.vectors))?;
        match (offset % 16) & !3 {
            0 => entry.set_address((entry.address() & !0xffff_ffff) | u64::from(value & !3)),
            4 => entry.set_address((entry.address() & 0xffff_ffff) | (u64::from(value) << 32)),
            8 => entry.set_data(value),
            _ => entry.set_masked(value & 1 == 1),
        }
        self.let_out(index)
    }

    fn entries(&self) -> &[MsixEntry] {
        &self.table[..self.vectors()]
    }

    fn let_out(&mut self, index: usize) -> Option<u16> {
        let open = self.pending >> index & 1 == 1 && self.open(index);
        if open {
            self.pending &= !(1u128 << index);
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
        (0..self.vectors()).filter_map(|i| self.let_out(i)).collect()
    }

    /// A body raised `vector`.
    pub fn raise(&mut self, vector: u16) -> Delivery {
        let index = usize::from(vector);
        if index >= self.vectors() || !self.msix_enabled() {
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
    pub fn parts(&self) -> (&[u8], &[MsixEntry; MAX_VECTORS], u128, bool) {
        let Self { config, table, pending, intx, vectors: _, bar0_bytes: _, msix: _, table_outside: _ } = self;
        (config, table, *pending, *intx)
    }

    /// Becomes `other`; who keeps the table stays as it is.
    pub fn adopt(&mut self, other: &Self) {
        *self = Self { table_outside: self.table_outside, ..other.clone() };
    }

    /// A function from saved parts: what software may write comes from them, everything else is this model's own.
    pub fn from_parts(config: &[u8], table: [MsixEntry; MAX_VECTORS], pending: u128, intx: bool) -> Self {
        let mut pci = Self::new().with_parts(config, table, pending);
        pci.set_intx(intx);
        pci
    }

    /// This function with what software may write taken from saved parts.
    #[must_use]
    pub fn with_parts(mut self, config: &[u8], table: [MsixEntry; MAX_VECTORS], pending: u128) -> Self {
        self.write_config(0, config);
        let pending = pending & ((1 << self.vectors) - 1);
        Self { table, pending, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::vmxnet3::bar0::LARGE_BAR0_BYTES;

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
    fn a_wide_table_has_65_entries_and_a_pending_bit_for_each() {
        let wide = Profile { versions: 0x1ff, ..Profile::REFERENCE };
        let mut pci = Pci::of(&wide).for_driver();
        let mut size = [0; 2];
        pci.read_config(MSIX_CAPABILITY + 2, &mut size);
        assert_eq!((u16::from_le_bytes(size) & 0x7ff, pci.vectors()), (64, 65));
        assert_eq!(pci.raise(64), Delivery::Message);
        pci.write_bar2(64 * 16 + 12, 1);
        assert_eq!((pci.raise(64), pci.raise(65)), (Delivery::Pending, Delivery::Nowhere));
        assert_eq!([0, 4, 8, 12, 16].map(|at| pci.read_bar2(PBA_OFFSET + at)), [0, 0, 1, 0, 0]);
        assert_eq!(pci.write_bar2(64 * 16 + 12, 0), Some(64));
        pci.write_bar2(65 * 16, 0x1000);
        assert_eq!(pci.read_bar2(65 * 16), 0, "behind the table is nothing");
        pci.reset();
        assert_eq!(pci, Pci::of(&wide));
        assert_eq!(Pci::of(&Profile::REFERENCE), Pci::new(), "a device of version 1 has 25");
    }

    #[test]
    fn bar0_is_sized_by_the_capability_of_a_large_one() {
        use spec::profile::Answers;
        let capabilities = vmxnet3::capability::LARGE_BAR;
        let large =
            Profile { versions: 0x47, answers: Answers { capabilities, ..Answers::PLAIN }, ..Profile::REFERENCE };
        for (profile, mask) in [
            (Profile::REFERENCE, 0xffff_f000),
            (large, LARGE_BAR0_BYTES.wrapping_neg()),
            (Profile { versions: 7, ..large }, 0xffff_f000u32),
        ] {
            let mut pci = Pci::of(&profile);
            for bar in [0x10, 0x14] {
                pci.write_config(bar, &[0xff; 4]);
                let mut sized = [0; 4];
                pci.read_config(bar, &mut sized);
                assert_eq!(u32::from_le_bytes(sized), if bar == 0x10 { mask } else { 0xffff_f000 });
            }
            pci.reset();
            assert_eq!(pci, Pci::of(&profile));
        }
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
