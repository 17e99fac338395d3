//! Limits of the interface: what is taken at each, and what becomes of one step past it.

use super::Judge::Case;
use super::Strength::{Inferred, Stated};
use super::{Clause, row};

/// The table.
pub const TABLE: &[Clause] = &[
    row(
        "VMX-LIM-001",
        Stated,
        Case,
        "a TX ring has 32 to 4096 descriptors in steps of 32, at every version: others are refused, these carry traffic",
        "vmxnet3_defs.h, VMXNET3_TX_RING_MAX_SIZE, VMXNET3_RING_SIZE_ALIGN",
    ),
    row(
        "VMX-LIM-002",
        Stated,
        Case,
        "a TX completion ring has 32 to 4096 entries in steps of 32, at every version: others are refused, these carry traffic",
        "vmxnet3_defs.h, VMXNET3_TC_RING_MAX_SIZE",
    ),
    row(
        "VMX-LIM-003",
        Stated,
        Case,
        "RX ring 0 has 32 to 4096 descriptors in steps of 32, at every version: others are refused, these carry traffic",
        "vmxnet3_defs.h, VMXNET3_RX_RING_MAX_SIZE",
    ),
    row(
        "VMX-LIM-004",
        Stated,
        Case,
        "RX ring 1 has no descriptor or 32 to 4096 in steps of 32, at every version; absent, its base means nothing",
        "vmxnet3_defs.h, VMXNET3_RX_RING2_MAX_SIZE; ipxe vmxnet3.c, vmxnet3_open",
    ),
    row(
        "VMX-LIM-005",
        Stated,
        Case,
        "an RX completion ring has 32 to 8192 entries in steps of 32, at every version: others are refused, these carry traffic",
        "vmxnet3_defs.h, VMXNET3_RC_RING_MAX_SIZE",
    ),
    row(
        "VMX-LIM-006",
        Stated,
        Case,
        "the base of every ring is a multiple of 512, and its end no address past the last: others are refused",
        "vmxnet3_defs.h, VMXNET3_RING_BA_ALIGN",
    ),
    row(
        "VMX-LIM-007",
        Inferred,
        Case,
        "as many queues as device and version have are taken and serve; one more, or none, is refused",
        "vmxnet3_defs.h, VMXNET3_DEVICE_MAX_TX_QUEUES, VMXNET3_DEVICE_MAX_RX_QUEUES, and their extended values of version 6",
    ),
    row(
        "VMX-LIM-008",
        Inferred,
        Case,
        "the last vector of device and version is raised and masks itself; one past it is refused, or raises nothing and breaks nothing",
        "vmxnet3_defs.h, VMXNET3_MAX_INTRS and VMXNET3_EXT_MAX_INTRS; freebsd if_vmx.c, vmxnet3_msix_intr_assign",
    ),
    row(
        "VMX-LIM-009",
        Stated,
        Case,
        "a checksum is stored wherever its two bytes lie in the packet, as far as byte 1024 and beyond; past the packet nothing is sent",
        "linux vmxnet3_drv.c, vmxnet3_tq_xmit, VMXNET3_MAX_CSUM_OFFSET",
    ),
    row("VMX-LIM-010", Stated, Case, "hlen counts as far as byte 1023", "vmxnet3_defs.h, Vmxnet3_TxDesc.hlen"),
    row(
        "VMX-LIM-011",
        Inferred,
        Case,
        "headers that end past the packet, or elsewhere than the TCP header to be segmented, and sums that start at its end or past it, send nothing and show",
        "vmxnet3_defs.h, Vmxnet3_TxDesc.hlen, which says no more than what it counts; linux vmxnet3_drv.c, vmxnet3_parse_hdr",
    ),
];
