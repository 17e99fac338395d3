//! How the interrupts of a function reach its guest.

/// The kinds, best first: a driver takes the first that it can have, and a function has those behind its best as well. Of the three
/// one is in force at a time; PCI leaves it to the guest not to enable two, and here MSI-X goes before MSI, MSI before the line.
///
/// Source: linux vmxnet3_drv.c, vmxnet3_alloc_intr_resources; qemu hw/net/vmxnet3.c, _vmxnet3_assert_interrupt_line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interrupts {
    /// MSI-X: a message a vector.
    #[default]
    MsiX,
    /// MSI: one message, that of vector 0.
    Msi,
    /// The INTx line, which stands for vector 0.
    Line,
}

impl Interrupts {
    /// Every kind, best first.
    pub const ALL: [Self; 3] = [Self::MsiX, Self::Msi, Self::Line];

    /// Of `vectors`, those that can tell: with MSI and the line vector 0 alone. Any cause of another is told to nobody.
    #[inline]
    pub const fn vectors(self, vectors: u8) -> u8 {
        match self {
            Self::Msi | Self::Line if vectors > 1 => 1,
            _ => vectors,
        }
    }

    /// Its word on the command line: `msix`, `msi` or `intx`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MsiX => "msix",
            Self::Msi => "msi",
            Self::Line => "intx",
        }
    }
}
