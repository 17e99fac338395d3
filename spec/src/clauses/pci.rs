//! The PCI function of VMXNET3: what it says it is, its pages, the kinds of its interrupts.

use super::Judge::Case;
use super::Strength::{Inferred, Observed, Stated};
use super::{Clause, row};

/// The table.
pub const TABLE: &[Clause] = &[
    row(
        "VMX-PCI-001",
        Stated,
        Case,
        "configuration space says 15ad:07b0, an Ethernet controller, interrupt pin A",
        "linux vmxnet3_drv.c, vmxnet3_pciid_table; qemu hw/net/vmxnet3.c, vmxnet3_class_init",
    ),
    row(
        "VMX-PCI-002",
        Stated,
        Case,
        "BAR0 and BAR1 are memory of at least 4096 bytes each",
        "linux vmxnet3_drv.c, vmxnet3_alloc_pci_resources; vmxnet3_defs.h, VMXNET3_PT_REG_SIZE, VMXNET3_VD_REG_SIZE",
    ),
    row(
        "VMX-PCI-003",
        Stated,
        Case,
        "MSI-X has a vector for each queue and one for events, at least 3, and keeps its table and pending bits off BAR0 and BAR1",
        "linux vmxnet3_drv.c, vmxnet3_acquire_msix_vectors; qemu hw/net/vmxnet3.c, vmxnet3_init_msix",
    ),
    row(
        "VMX-PCI-004",
        Stated,
        Case,
        "MSI, of one vector, and INTx work where MSI-X is not enabled: vector 0 tells of everything that names it, another of nothing",
        "linux vmxnet3_drv.c, vmxnet3_alloc_intr_resources",
    ),
    row(
        "VMX-PCI-005",
        Inferred,
        Case,
        "without bus mastering the device touches no memory and sends no message, by MSI or MSI-X, though it is active",
        "linux vmxnet3_drv.c, vmxnet3_suspend, which leaves the device active; PCI Local Bus Specification 3.0, section 6.2.2",
    ),
    row(
        "VMX-PCI-006",
        Observed,
        Case,
        "where a guest has enabled both, which PCI forbids, messages are those of MSI-X",
        "qemu hw/net/vmxnet3.c, _vmxnet3_assert_interrupt_line, which asks for MSI-X first",
    ),
];
