//! The Cisco VIC vNIC: control blocks, the register mailbox and the memory that commands fill.
//!
//! No public register manual exists; everything here rests on what shipping drivers do.

pub mod cq;
pub mod devcmd;
pub mod intr;
pub mod rq;
pub mod stats;
pub mod wq;

pub use cq::CqReg;
pub use devcmd::{Devcmd, DevcmdError, DevcmdReg, DevcmdWord, NicCfg, UptCfg};
pub use intr::{CreditReturn, IntrReg};
pub use rq::{DataRing, RqReg};
pub use stats::QpStats;
pub use wq::WqReg;

crate::constants! {
    /// Who the device is, and how its blocks lie.
    pub const NUMBERS = "Adapter" [
        /// PCI vendor id of Cisco. Source: linux enic_main.c, PCI_VENDOR_ID_CISCO.
        pub const VENDOR: u16 = 0x1137, "PCI_VENDOR_ID_CISCO";
        /// PCI device id of a static Ethernet vNIC. Source: linux enic_main.c, PCI_DEVICE_ID_CISCO_VIC_ENET.
        pub const DEVICE_STATIC: u16 = 0x0043, "PCI_DEVICE_ID_CISCO_VIC_ENET";
        /// PCI device id of a dynamic (pass-through) vNIC. Source: linux enic_main.c, PCI_DEVICE_ID_CISCO_VIC_ENET_DYN.
        pub const DEVICE_DYNAMIC: u16 = 0x0044, "PCI_DEVICE_ID_CISCO_VIC_ENET_DYN";
        /// Bytes from one control block to the next. Source: linux vnic_dev.c, VNIC_RES_STRIDE.
        pub const BLOCK_BYTES: u32 = 0x80, "VNIC_RES_STRIDE";
    ]
}
