//! The guest's PCI function: configuration space, MSI with one vector, MSI-X table and pending bits. The hypervisor's in both modes:
//! a body names vectors, never messages.
//!
//! PCI forbids a guest to enable MSI and MSI-X at once and says nothing of a function where it did (PCI Local Bus Specification 3.0,
//! section 6.8.3.2): here MSI-X is in force then, as in QEMU (hw/net/vmxnet3.c, _vmxnet3_assert_interrupt_line). While either is enabled the
//! INTx line is not asserted. A message that bus mastering holds back is sent once it is on.
//!
//! Not modelled: power management, the expansion ROM, Express capabilities.

use spec::layout::Bytes;
use spec::profile::Profile;
use spec::vmxnet3::{self, Bar0, Interrupts, MAX_VECTORS, MsixEntry, Version};

/// Offset of the MSI capability: one vector, a 64-bit address, no mask of its own. Source: as [`MSIX_CAPABILITY`].
pub const MSI_CAPABILITY: usize = 0x84;
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

/// Low byte of the status register: there is a list of capabilities.
const CAPABILITY_LIST: u8 = 0x10;

/// Identifiers of the capabilities. Source: PCI Local Bus Specification 3.0, appendix H.
const MSI_ID: u8 = 0x05;
const MSIX_ID: u8 = 0x11;

/// Message control of MSI: enable, and a 64-bit address. Source: PCI Local Bus Specification 3.0, section 6.8.1.3.
const MSI_ENABLE: u16 = 1 << 0;
const MSI_WIDE: u16 = 1 << 7;
/// Bytes of the MSI capability with a 64-bit address.
const MSI_BYTES: usize = 14;
const MSI_END: usize = MSI_CAPABILITY + MSI_BYTES;
/// What of it software writes: enable, the address of a dword, 16 bits of data.
const MSI_WRITABLE: [u8; MSI_BYTES] = [0, 0, 1, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_FUNCTION_MASK: u16 = 1 << 14;
/// Bytes of the MSI-X capability.
const MSIX_BYTES: usize = 12;

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
    /// It has an MSI capability.
    msi: bool,
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
    /// MSI-X is off, or the vector has no entry, and it is not the one of MSI: lost, as on a real bus.
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
        match profile.interrupts {
            Interrupts::MsiX => pci,
            Interrupts::Msi => pci.without_msix(),
            Interrupts::Line => pci.without_msix().without_msi(),
        }
    }

    /// What kernels write to configuration space to have `kind` of interrupts: offsets and words, in order. A capability that is not
    /// there takes none of it.
    pub const fn choice(kind: Interrupts) -> [(u16, u16); 6] {
        const MSI: u16 = MSI_CAPABILITY as u16;
        const MSIX: u16 = MSIX_CAPABILITY as u16 + 2;
        let (msix, msi) = match kind {
            Interrupts::MsiX => (MSIX_ENABLE, 0),
            Interrupts::Msi => (0, MSI_ENABLE),
            Interrupts::Line => (0, 0),
        };
        // The local interrupt controller of the first processor, vector 0x40.
        [(MSI + 2, 0), (MSIX, msix), (MSI + 4, 0), (MSI + 6, 0xfee0), (MSI + 12, 0x40), (MSI + 2, msi)]
    }

    /// As many vectors as a device below version 6 has, after reset.
    pub fn new() -> Self {
        let mut config = vec![0; 256];
        config[0..2].copy_from_slice(&vmxnet3::VENDOR.to_le_bytes());
        config[2..4].copy_from_slice(&vmxnet3::DEVICE.to_le_bytes());
        config[8] = 1; // revision
        config[0x0b] = 2; // network controller
        config[0x2c..0x2e].copy_from_slice(&vmxnet3::VENDOR.to_le_bytes());
        config[0x2e..0x30].copy_from_slice(&vmxnet3::DEVICE.to_le_bytes());
        config[0x3d] = 1; // INTA
        config[MSI_CAPABILITY] = MSI_ID;
        config[MSI_CAPABILITY + 2..MSI_CAPABILITY + 4].copy_from_slice(&MSI_WIDE.to_le_bytes());
        config[MSIX_CAPABILITY] = MSIX_ID;
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
            msi: true,
            table_outside: false,
        };
        pci.linked().with_vectors(Version::of(1).vectors)
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
        let size = config.get(MSIX_CAPABILITY + 2).filter(|_| config.get(MSIX_CAPABILITY) == Some(&MSIX_ID))?;
        size.checked_add(1)
    }

    /// Whether saved configuration space has an MSI capability.
    pub(crate) fn msi_in(config: &[u8]) -> bool {
        config.get(MSI_CAPABILITY) == Some(&MSI_ID)
    }

    /// The same function without an MSI-X capability: a kernel finds MSI and the INTx line. Resets do not change it.
    #[must_use]
    pub fn without_msix(mut self) -> Self {
        self.config[MSIX_CAPABILITY..MSIX_CAPABILITY + MSIX_BYTES].fill(0);
        self.msix = false;
        self.linked()
    }

    /// The same function without an MSI capability. Resets do not change it.
    #[must_use]
    pub fn without_msi(mut self) -> Self {
        self.config[MSI_CAPABILITY..MSI_CAPABILITY + MSI_BYTES].fill(0);
        self.msi = false;
        self.linked()
    }

    /// The list of capabilities holds those that there are, in the order of their places.
    fn linked(mut self) -> Self {
        let mut next = 0;
        for (at, there) in [(MSIX_CAPABILITY, self.msix), (MSI_CAPABILITY, self.msi)] {
            if there {
                self.config[at + 1] = next;
                next = at as u8;
            }
        }
        self.config[0x34] = next;
        self.config[6] = (self.config[6] & !CAPABILITY_LIST) | if next == 0 { 0 } else { CAPABILITY_LIST };
        self
    }

    /// It has an MSI-X capability.
    pub fn has_msix(&self) -> bool {
        self.msix
    }

    /// It has an MSI capability.
    pub fn has_msi(&self) -> bool {
        self.msi
    }

    /// Whoever shows the function to the guest keeps the MSI-X table, as a hypervisor with a remote device does: a vector that is
    /// raised is a message whatever the table here says. Resets do not change it.
    pub fn keep_table_outside(&mut self) {
        self.table_outside = true;
    }

    /// The same function after a bus reset; who keeps the table is not part of it.
    #[must_use]
    pub(crate) fn fresh(&self) -> Self {
        let fresh = if self.msix { Self::new() } else { Self::new().without_msix() };
        let fresh = if self.msi { fresh } else { fresh.without_msi() };
        fresh.with_vectors(self.vectors).with_bar0(self.bar0_bytes)
    }

    /// The function after a bus reset.
    pub fn reset(&mut self) {
        *self = Self { table_outside: self.table_outside, ..self.fresh() };
    }

    /// As a kernel leaves it for a driver that uses `vectors` MSI-X vectors: decode and bus master on, those vectors unmasked.
    pub fn with_msix(vectors: usize) -> Self {
        let few = Version::of(1).vectors;
        Self::new().with_vectors(u8::try_from(vectors).unwrap_or(u8::MAX).max(few)).set_up(vectors)
    }

    /// As a kernel leaves it for its driver: decode and bus master on, and the best kind of interrupts there is. With MSI-X every
    /// vector is unmasked.
    #[must_use]
    pub fn for_driver(mut self) -> Self {
        if self.msix {
            let vectors = self.vectors();
            return self.set_up(vectors);
        }
        self.write_config(4, &(command::MEMORY | command::BUS_MASTER).to_le_bytes());
        self.choose(Interrupts::Msi);
        self
    }

    /// The guest's kernel has `kind` of interrupts from now on, if there is such a capability; with MSI-X its table stays as it is.
    pub fn choose(&mut self, kind: Interrupts) {
        for (offset, word) in Self::choice(kind) {
            self.write_config(usize::from(offset), &word.to_le_bytes());
        }
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
                MSI_CAPABILITY..MSI_END if self.msi => MSI_WRITABLE[at - MSI_CAPABILITY],
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

    /// MSI is enabled.
    #[inline]
    pub fn msi_enabled(&self) -> bool {
        self.word(MSI_CAPABILITY + 2) & MSI_ENABLE != 0
    }

    /// The kind of interrupts in force.
    #[inline]
    pub fn interrupts(&self) -> Interrupts {
        if self.msix_enabled() {
            Interrupts::MsiX
        } else if self.msi_enabled() {
            Interrupts::Msi
        } else {
            Interrupts::Line
        }
    }

    /// Address and data of the message of MSI.
    pub fn message(&self) -> (u64, u16) {
        let half = |at: usize| u64::from(self.word(MSI_CAPABILITY + at));
        (half(4) | half(6) << 16 | half(8) << 32 | half(10) << 48, self.word(MSI_CAPABILITY + 12))
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
        let unmasked = || {
            self.word(MSIX_CAPABILITY + 2) & MSIX_FUNCTION_MASK == 0
                && (self.table_outside || !self.table[index].masked())
        };
        self.bus_master()
            && match self.interrupts() {
                Interrupts::MsiX => unmasked(),
                Interrupts::Msi => index == 0,
                Interrupts::Line => false,
            }
    }

    /// Vectors whose messages may leave now that configuration space was written.
    pub fn let_out_all(&mut self) -> Vec<u16> {
        (0..self.vectors()).filter_map(|i| self.let_out(i)).collect()
    }

    /// A body raised `vector`.
    pub fn raise(&mut self, vector: u16) -> Delivery {
        let index = usize::from(vector);
        if index >= usize::from(self.interrupts().vectors(self.vectors)) || self.interrupts() == Interrupts::Line {
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
        self.intx && self.word(4) & command::INTX_DISABLE == 0 && self.interrupts() == Interrupts::Line
    }

    /// The level that a body last set.
    pub fn intx(&self) -> bool {
        self.intx
    }

    /// The 256 configuration bytes, the MSI-X table, its pending bits and the INTx level, for saving.
    pub fn parts(&self) -> (&[u8], &[MsixEntry; MAX_VECTORS], u128, bool) {
        let Self { config, table, pending, intx, vectors: _, bar0_bytes: _, msix: _, msi: _, table_outside: _ } = self;
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
    fn without_a_capability_there_is_only_the_line_whatever_is_written() {
        let mut pci = Pci::new().without_msix().without_msi();
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
        pci.choose(Interrupts::Msi);
        assert!(!pci.msix_enabled() && !pci.has_msix(), "a reset does not bring it back");
        assert!(!pci.msi_enabled() && !pci.has_msi());
    }

    /// Identifiers of the capabilities in the order of the list.
    fn listed(pci: &Pci) -> Vec<u8> {
        let (config, ..) = pci.parts();
        let mut ids = Vec::new();
        let mut at = usize::from(config[0x34]);
        assert_eq!(at != 0, config[6] & CAPABILITY_LIST != 0);
        while at != 0 {
            ids.push(config[at]);
            at = usize::from(config[at + 1]);
        }
        ids
    }

    #[test]
    fn the_list_names_the_capabilities_that_there_are() {
        let all = Pci::new();
        assert_eq!(listed(&all), [MSI_ID, MSIX_ID]);
        assert_eq!(listed(&all.clone().without_msix()), [MSI_ID]);
        assert_eq!(listed(&all.clone().without_msi()), [MSIX_ID]);
        assert_eq!(listed(&all.without_msi().without_msix()), [0; 0]);
        for (interrupts, ids) in
            [(Interrupts::MsiX, &[5, 17][..]), (Interrupts::Msi, &[5][..]), (Interrupts::Line, &[][..])]
        {
            let pci = Pci::of(&Profile { interrupts, ..Profile::REFERENCE });
            assert_eq!((listed(&pci), pci.for_driver().interrupts()), (ids.to_vec(), interrupts));
        }
    }

    #[test]
    fn with_msi_vector_0_is_the_message_and_there_is_no_other_and_no_line() {
        let mut pci = Pci::with_msix(4);
        pci.choose(Interrupts::Msi);
        assert_eq!((pci.interrupts(), pci.message()), (Interrupts::Msi, (0xfee0_0000, 0x40)));
        let mut control = [0; 4];
        pci.read_config(MSI_CAPABILITY, &mut control);
        assert_eq!(control, [MSI_ID, MSIX_CAPABILITY as u8, 0x81, 0], "one vector, a wide address, no mask, enabled");
        assert_eq!([0, 1, 24, 25].map(|vector| pci.raise(vector)), {
            use Delivery::{Message, Nowhere};
            [Message, Nowhere, Nowhere, Nowhere]
        });
        assert!(!pci.set_intx(true), "the line is not asserted");
        pci.choose(Interrupts::Line);
        assert!(pci.line());
        assert_eq!(pci.raise(0), Delivery::Nowhere);
        pci.choose(Interrupts::Msi);
        pci.write_config(MSIX_CAPABILITY + 2, &MSIX_ENABLE.to_le_bytes());
        assert_eq!((pci.interrupts(), pci.raise(3)), (Interrupts::MsiX, Delivery::Message), "of both MSI-X");
    }

    #[test]
    fn a_message_of_msi_waits_for_bus_mastering() {
        let mut pci = Pci::new().without_msix().for_driver();
        pci.write_config(4, &[2, 0]);
        assert_eq!((pci.raise(0), pci.raise(1)), (Delivery::Pending, Delivery::Nowhere));
        assert_eq!(pci.let_out_all(), [0; 0]);
        pci.write_config(4, &[6, 0]);
        assert_eq!((pci.let_out_all(), pci.let_out_all()), (vec![0], vec![]));
        pci.write_config(0, &[0xff; 256]);
        assert_eq!(pci.message(), (0xffff_ffff_ffff_fffc, 0xffff));
        let mut control = [0; 2];
        pci.read_config(MSI_CAPABILITY + 2, &mut control);
        assert_eq!(control, [0x81, 0], "the rest is read-only");
        pci.reset();
        assert_eq!(pci, Pci::new().without_msix());
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
