//! The clauses that monitors judge, as indices resolved at compile time.

use crate::clause::{Index, index};

macro_rules! ids {
    ($($name:ident = $id:literal;)*) => { $( pub(super) const $name: Index = index($id); )* };
}

ids! {
    REG_011 = "VMX-REG-011";
    LIF_001 = "VMX-LIF-001";
    LIF_005 = "VMX-LIF-005";
    STA_002 = "VMX-STA-002";
    STA_003 = "VMX-STA-003";
    SHM_004 = "VMX-SHM-004";
    SHM_005 = "VMX-SHM-005";
    TX_001 = "VMX-TX-001";
    TX_002 = "VMX-TX-002";
    TX_008 = "VMX-TX-008";
    TX_009 = "VMX-TX-009";
    TX_010 = "VMX-TX-010";
    TX_011 = "VMX-TX-011";
    TX_012 = "VMX-TX-012";
    TX_014 = "VMX-TX-014";
    TX_015 = "VMX-TX-015";
    TX_016 = "VMX-TX-016";
    TX_017 = "VMX-TX-017";
    TX_018 = "VMX-TX-018";
    TX_020 = "VMX-TX-020";
    V3_002 = "VMX-V3-002";
    V4_003 = "VMX-V4-003";
    V4_006 = "VMX-V4-006";
    V4_007 = "VMX-V4-007";
    V4_008 = "VMX-V4-008";
    V4_009 = "VMX-V4-009";
    RX_001 = "VMX-RX-001";
    RX_003 = "VMX-RX-003";
    RX_004 = "VMX-RX-004";
    RX_005 = "VMX-RX-005";
    RX_006 = "VMX-RX-006";
    RX_007 = "VMX-RX-007";
    RX_008 = "VMX-RX-008";
    RX_009 = "VMX-RX-009";
    RX_010 = "VMX-RX-010";
    RX_011 = "VMX-RX-011";
    RX_012 = "VMX-RX-012";
    RX_013 = "VMX-RX-013";
    RX_015 = "VMX-RX-015";
    RX_016 = "VMX-RX-016";
    RX_017 = "VMX-RX-017";
    RX_018 = "VMX-RX-018";
    RX_019 = "VMX-RX-019";
    RSS_001 = "VMX-RSS-001";
    RSS_002 = "VMX-RSS-002";
    LRO_001 = "VMX-LRO-001";
    LRO_002 = "VMX-LRO-002";
    LRO_003 = "VMX-LRO-003";
    LRO_004 = "VMX-LRO-004";
    FLT_001 = "VMX-FLT-001";
    FLT_002 = "VMX-FLT-002";
    FLT_004 = "VMX-FLT-004";
    FLT_005 = "VMX-FLT-005";
    INT_001 = "VMX-INT-001";
    INT_002 = "VMX-INT-002";
    INT_003 = "VMX-INT-003";
    INT_006 = "VMX-INT-006";
    CON_001 = "SWI-CON-001";
    CON_002 = "SWI-CON-002";
    ORD_001 = "SWI-ORD-001";
    CMP_001 = "SWI-CMP-001";
    WAK_001 = "SWI-WAK-001";
    CFG_001 = "SWI-CFG-001";
    CNT_001 = "SWI-CNT-001";
    ISO_001 = "SWI-ISO-001";
}

/// Clauses that need to see accesses: not judged on a device that only shows its registers and rings.
pub(super) const NEED_ACCESSES: &[Index] = &[LIF_001, LIF_005, SHM_004, SHM_005, TX_011, RX_001, RX_010, ISO_001];
