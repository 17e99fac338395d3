//! Rules of the VIC's native face that the adapter body obeys in pass-through.

use super::Judge::{Case, Property};
use super::Strength::{Inferred, Stated};
use super::{Clause, row};

/// The table.
pub const TABLE: &[Clause] = &[
    row(
        "VIC-WQ-001",
        Stated,
        Case,
        "a posted index hands over the descriptors up to it and nothing beyond",
        "linux enic vnic_wq.h, vnic_wq_doorbell",
    ),
    row("VIC-WQ-002", Stated, Case, "posted and fetch equal means empty", "linux enic vnic_wq.h, vnic_wq_desc_used"),
    row(
        "VIC-RQ-007",
        Stated,
        Case,
        "a stopped queue resumes at the fetch index it shows",
        "linux enic vnic_rq.c, vnic_rq_clean",
    ),
    row(
        "VIC-RQ-008",
        Stated,
        Property,
        "descriptor memory is never written",
        "linux enic enic_rq.c, enic_rq_alloc_buf",
    ),
    row(
        "VIC-CQ-001",
        Stated,
        Case,
        "the first entry stands at cq_tail with cq_tail_color, and the colour toggles at the wrap",
        "linux enic vnic_cq.c, vnic_cq_init",
    ),
    row(
        "VIC-CQ-003",
        Stated,
        Case,
        "a completion queue wraps at its size, power of two or not",
        "linux enic vnic_cq.h, vnic_cq_inc_to_clean",
    ),
    row(
        "VIC-REG-004",
        Stated,
        Case,
        "running becomes 0 after enable is cleared, also on a queue never started",
        "linux enic vnic_wq.c, vnic_wq_disable",
    ),
    row(
        "VIC-REG-006",
        Stated,
        Property,
        "a queue whose running reads 0 does no DMA and completes nothing",
        "linux enic vnic_wq.c, vnic_wq_disable",
    ),
    row(
        "VIC-INT-002",
        Stated,
        Case,
        "with mask_on_assertion an assertion masks its block",
        "linux enic enic_main.c, enic_isr_msi",
    ),
    row(
        "VIC-INT-003",
        Stated,
        Case,
        "a block unmasked with credits asserts at once",
        "linux enic vnic_intr.h, vnic_intr_unmask",
    ),
    row(
        "VIC-INT-015",
        Inferred,
        Property,
        "a masked block keeps collecting events",
        "linux enic enic_main.c, enic_open",
    ),
    row("VIC-DC-007", Stated, Case, "an unknown command fails with code 5", "linux enic vnic_dev.c, vnic_dev_capable"),
];
