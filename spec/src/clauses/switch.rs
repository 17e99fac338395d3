//! The move between adapter and software: what a guest may and may not notice.

use super::Judge::{Case, Monitor, Property};
use super::Strength::{Inferred, Stated};
use super::{Clause, row};

/// The table.
pub const TABLE: &[Clause] = &[
    row(
        "SWI-CON-001",
        Inferred,
        Monitor,
        "packets posted are sent once, or pending, or counted as errors",
        "linux vmxnet3_drv.c, vmxnet3_unmap_pkt; spec correspond.rs",
    ),
    row(
        "SWI-CON-002",
        Inferred,
        Monitor,
        "frames offered and accepted are delivered once, unchanged, or counted as dropped",
        "dpdk vmxnet3_ethdev.c, vmxnet3_dev_stats_get; spec correspond.rs",
    ),
    row(
        "SWI-ORD-001",
        Inferred,
        Monitor,
        "each queue keeps the order of posting, and of arrival",
        "linux vmxnet3_drv.c, vmxnet3_unmap_pkt",
    ),
    row(
        "SWI-CMP-001",
        Stated,
        Monitor,
        "completions appear once, in order, in the next slot, with the right generation, across any number of switches",
        "linux vmxnet3_drv.c, vmxnet3_tq_tx_complete, vmxnet3_rq_rx_complete",
    ),
    row(
        "SWI-WAK-001",
        Inferred,
        Monitor,
        "after a switch no completion goes untold and no posted packet is forgotten",
        "linux vmxnet3_drv.c, vmxnet3_poll_rx_only",
    ),
    row(
        "SWI-CFG-001",
        Inferred,
        Monitor,
        "filters, features, address and steering in force are the same after a round trip",
        "linux vmxnet3_drv.c, vmxnet3_set_mc",
    ),
    row(
        "SWI-CNT-001",
        Stated,
        Monitor,
        "counters never fall, whoever counted",
        "dpdk vmxnet3_ethdev.c, vmxnet3_hw_stats_save",
    ),
    row(
        "SWI-WID-001",
        Inferred,
        Case,
        "a guest that uses more queues or vectors than the adapter has is refused hardware by code, and goes on in software",
        "spec correspond.rs; vmxnet3_defs.h, VMXNET3_EXT_MAX_TX_QUEUES and VMXNET3_EXT_MAX_INTRS",
    ),
    row(
        "SWI-WID-002",
        Inferred,
        Case,
        "masks of vectors that the adapter has not stay as written on either side; a cause remembered for one keeps the guest in software",
        "spec correspond.rs; linux vmxnet3_drv.c, vmxnet3_poll_rx_only",
    ),
    row(
        "SWI-MOD-001",
        Inferred,
        Case,
        "levels and the scheme in force space interrupts on either side alike; what is left of a spacing does not move: a cause that it held back is told at once behind the switch",
        "spec correspond.rs, timer setting and timer phase; Profile, Moderation",
    ),
    row(
        "SWI-INT-001",
        Inferred,
        Case,
        "a guest on the INTx line or on MSI is refused hardware, each by a code of its own, and goes on in software",
        "linux enic_main.c, enic_isr_msix: a message an interrupt block; spec correspond.rs",
    ),
    row(
        "SWI-ISO-001",
        Inferred,
        Monitor,
        "no body touches memory outside the rings, buffers and areas the guest gave it",
        "vmxnet3_defs.h, Vmxnet3_DriverShared",
    ),
    row(
        "SWI-RTP-001",
        Inferred,
        Property,
        "a round trip with no step between changes nothing of the table of correspondence",
        "spec correspond.rs",
    ),
    row(
        "SWI-FAI-001",
        Inferred,
        Property,
        "a failure before the commit point leaves the guest's view as it was",
        "spec correspond.rs",
    ),
    row(
        "SWI-STP-001",
        Inferred,
        Property,
        "a switch ends, either way, within a stated number of steps",
        "spec profile.rs, drain_budget",
    ),
    row(
        "SWI-DIR-001",
        Inferred,
        Property,
        "every byte of guest memory that a device changed lies in a logged page",
        "linux include/uapi/linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT",
    ),
    row(
        "SWI-GEN-001",
        Inferred,
        Property,
        "the generation derived from the cells around the fetch index is the ring's, whatever its size and fill",
        "spec correspond.rs",
    ),
];
