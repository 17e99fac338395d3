//! What there is to export, each table with the device that it belongs to.

use crate::constants::Constants;
use crate::layout::Layout;
use crate::registers::{RegisterDecl, RegisterMap};
use crate::vic::{self, Devcmd, DevcmdError};
use crate::vmxnet3::command::QueueError;
use crate::vmxnet3::{self, Command, VERSIONS, Version};

/// A device that is declared here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// VMware's.
    Vmxnet3,
    /// Cisco's, which has no interface versions.
    Vic,
}

impl Device {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vmxnet3 => "VMXNET3",
            Self::Vic => "VIC",
        }
    }

    /// Lowest interface version, of a device that has such.
    pub fn since(self, version: u8) -> Option<u8> {
        (self == Self::Vmxnet3).then_some(version)
    }
}

use Device::{Vic, Vmxnet3};

/// Every declared page of registers.
pub const REGISTERS: &[(Device, &RegisterMap)] = &[
    (Vmxnet3, vmxnet3::Bar0::MAP),
    (Vmxnet3, vmxnet3::bar0::LargeBar0::MAP),
    (Vmxnet3, vmxnet3::Bar1::MAP),
    (Vic, vic::WqReg::MAP),
    (Vic, vic::RqReg::MAP),
    (Vic, vic::CqReg::MAP),
    (Vic, vic::IntrReg::MAP),
    (Vic, vic::DevcmdReg::MAP),
];

/// Structures of one little-endian integer: descriptors, completions, register words.
pub const DESCRIPTORS: &[(Device, &Layout)] = &[
    (Vmxnet3, vmxnet3::TxDesc::LAYOUT),
    (Vmxnet3, vmxnet3::TxCompDesc::LAYOUT),
    (Vmxnet3, vmxnet3::RxDesc::LAYOUT),
    (Vmxnet3, vmxnet3::RxCompDesc::LAYOUT),
    (Vmxnet3, vmxnet3::RxCompDescExt::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::TsInfo::LAYOUT),
    (Vmxnet3, vmxnet3::Capabilities::LAYOUT),
    (Vmxnet3, vmxnet3::RssFields::LAYOUT),
    (Vmxnet3, vmxnet3::answer::Link::LAYOUT),
    (Vmxnet3, vmxnet3::answer::ConfIntr::LAYOUT),
    (Vmxnet3, vmxnet3::answer::DataSizes::LAYOUT),
    (Vmxnet3, vmxnet3::answer::MaxQueues::LAYOUT),
    (Vmxnet3, vmxnet3::answer::TimestampSizes::LAYOUT),
    (Vmxnet3, vmxnet3::answer::DisabledOffloads::LAYOUT),
    (Vmxnet3, vmxnet3::shared::GosInfo::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::LatencyConf::LAYOUT),
    (Vmxnet3, vmxnet3::dev_read::CoalesceRbc::LAYOUT),
    (Vmxnet3, vmxnet3::MsixEntry::LAYOUT),
    (Vmxnet3, vmxnet3::MsixPba::LAYOUT),
    (Vic, vic::CreditReturn::LAYOUT),
    (Vic, vic::DataRing::LAYOUT),
    (Vic, vic::DevcmdWord::LAYOUT),
    (Vic, vic::NicCfg::LAYOUT),
    (Vic, vic::UptCfg::LAYOUT),
];

/// Structures in memory.
pub const STRUCTURES: &[(Device, &Layout)] = &[
    (Vmxnet3, vmxnet3::DriverShared::LAYOUT),
    (Vmxnet3, vmxnet3::DsDevRead::LAYOUT),
    (Vmxnet3, vmxnet3::MiscConf::LAYOUT),
    (Vmxnet3, vmxnet3::shared::DriverInfo::LAYOUT),
    (Vmxnet3, vmxnet3::IntrConf::LAYOUT),
    (Vmxnet3, vmxnet3::RxFilterConf::LAYOUT),
    (Vmxnet3, vmxnet3::VariableLenConf::LAYOUT),
    (Vmxnet3, vmxnet3::DsDevReadExt::LAYOUT),
    (Vmxnet3, vmxnet3::shared::IntrConfExt::LAYOUT),
    (Vmxnet3, vmxnet3::TxQueueDesc::LAYOUT),
    (Vmxnet3, vmxnet3::TxQueueCtrl::LAYOUT),
    (Vmxnet3, vmxnet3::TxQueueConf::LAYOUT),
    (Vmxnet3, vmxnet3::QueueStatus::LAYOUT),
    (Vmxnet3, vmxnet3::TxStats::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::TxQueueTsConf::LAYOUT),
    (Vmxnet3, vmxnet3::RxQueueDesc::LAYOUT),
    (Vmxnet3, vmxnet3::RxQueueCtrl::LAYOUT),
    (Vmxnet3, vmxnet3::RxQueueConf::LAYOUT),
    (Vmxnet3, vmxnet3::RxStats::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::RxQueueTsConf::LAYOUT),
    (Vmxnet3, vmxnet3::RssConf::LAYOUT),
    (Vmxnet3, vmxnet3::shared::PmConf::LAYOUT),
    (Vmxnet3, vmxnet3::shared::PmPktFilter::LAYOUT),
    (Vmxnet3, vmxnet3::shared::CoalesceScheme::LAYOUT),
    (Vmxnet3, vmxnet3::dev_read::CoalesceStatic::LAYOUT),
    (Vmxnet3, vmxnet3::parameter::RingBufferSize::LAYOUT),
    (Vmxnet3, vmxnet3::parameter::SetPolling::LAYOUT),
    (Vmxnet3, vmxnet3::parameter::EspQueueSelection::LAYOUT),
    (Vmxnet3, vmxnet3::parameter::MemRegs::LAYOUT),
    (Vmxnet3, vmxnet3::parameter::MemoryRegion::LAYOUT),
    (Vmxnet3, vmxnet3::tx::TxDataDesc::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::TxTsDesc::LAYOUT),
    (Vmxnet3, vmxnet3::timestamp::RxTsDesc::LAYOUT),
    (Vic, vic::stats::VnicStats::LAYOUT),
    (Vic, vic::QpStats::LAYOUT),
];

/// Named values of fields and registers.
pub const CONSTANTS: &[(Device, &Constants)] = &[
    (Vmxnet3, vmxnet3::command::ecr::TABLE),
    (Vmxnet3, vmxnet3::command::rx_mode::TABLE),
    (Vmxnet3, vmxnet3::command::feature::TABLE),
    (Vmxnet3, vmxnet3::tx::om::TABLE),
    (Vmxnet3, vmxnet3::rx::COMPLETION_TYPES),
    (Vmxnet3, vmxnet3::rx::ext1::TABLE),
    (Vmxnet3, vmxnet3::rx::rss_type::TABLE),
    (Vmxnet3, vmxnet3::rx::hash_type::TABLE),
    (Vmxnet3, vmxnet3::values::hash_func::TABLE),
    (Vmxnet3, vmxnet3::values::interrupt_type::TABLE),
    (Vmxnet3, vmxnet3::values::mask_mode::TABLE),
    (Vmxnet3, vmxnet3::values::intr_ctrl::TABLE),
    (Vmxnet3, vmxnet3::values::moderation::TABLE),
    (Vmxnet3, vmxnet3::shared::coalesce::TABLE),
    (Vmxnet3, vmxnet3::values::wake_up::TABLE),
    (Vmxnet3, vmxnet3::values::gos_bits::TABLE),
    (Vmxnet3, vmxnet3::values::gos_type::TABLE),
    (Vic, vic::devcmd::status::TABLE),
    (Vic, vic::devcmd::packet_filter::TABLE),
    (Vic, vic::devcmd::nic_hash::TABLE),
];

/// Sizes, bounds and other numbers.
pub const LIMITS: &[(Device, &Constants)] = &[
    (Vmxnet3, vmxnet3::NUMBERS),
    (Vmxnet3, vmxnet3::limits::QUEUES),
    (Vmxnet3, vmxnet3::limits::RINGS),
    (Vmxnet3, vmxnet3::tx::DESCRIPTORS),
    (Vmxnet3, vmxnet3::limits::BUFFERS),
    (Vmxnet3, vmxnet3::limits::MTUS),
    (Vmxnet3, vmxnet3::limits::TABLES),
    (Vmxnet3, vmxnet3::shared::COALESCE_BOUNDS),
    (Vmxnet3, vmxnet3::parameter::REGION_BOUNDS),
    (Vmxnet3, vmxnet3::timestamp::ENTRIES),
    (Vmxnet3, vmxnet3::answer::SPEEDS),
    (Vmxnet3, vmxnet3::limits::PAGES),
    (Vmxnet3, vmxnet3::bar0::SIZES),
    (Vic, vic::NUMBERS),
    (Vic, vic::devcmd::BUFFERS),
    (Vic, vic::intr::TIMER),
];

/// How many of a register of `map` there are, and from which interface version on.
pub fn counts(device: Device, map: &RegisterMap, register: &RegisterDecl) -> Vec<(u8, u32)> {
    let of: Option<fn(&Version) -> u8> = match register.name {
        _ if device != Vmxnet3 => None,
        "IMR" => Some(|version| version.vectors),
        "TXPROD" | "LB_TXPROD" => Some(|version| version.tx_queues),
        "RXPROD" | "RXPROD2" | "LB_RXPROD" | "LB_RXPROD2" => Some(|version| version.rx_queues),
        _ => None,
    };
    let first = register.since.unwrap_or(map.since);
    let Some(of) = of else { return vec![(first, register.count)] };
    let mut counts: Vec<(u8, u32)> = Vec::new();
    for version in VERSIONS.iter().filter(|version| version.number >= first) {
        let count = of(version).into();
        if counts.last().is_none_or(|last| last.1 != count) {
            counts.push((version.number, count));
        }
    }
    counts
}

/// A set of named numbers that say what went wrong or what is to be done.
#[derive(Clone, Debug)]
pub struct Codes {
    /// Whose.
    pub device: Device,
    /// What they are.
    pub title: &'static str,
    /// Prefix of their names in C.
    pub prefix: &'static str,
    /// Number, vendor name, meaning.
    pub rows: Vec<(u64, &'static str, &'static str)>,
}

/// Every set of codes; the first are the commands of which [`vmxnet3::call`] has the interface.
pub fn codes() -> Vec<Codes> {
    let wide = |table: &[(u32, &'static str, &'static str)]| table.iter().map(|r| (r.0.into(), r.1, r.2)).collect();
    vec![
        Codes { device: Vmxnet3, title: "VMXNET3 commands", prefix: "VMXNET3_CMD_", rows: wide(Command::TABLE) },
        Codes {
            device: Vmxnet3,
            title: "VMXNET3 reasons of a stopped queue",
            prefix: "VMXNET3_ERR_",
            rows: wide(QueueError::TABLE),
        },
        Codes {
            device: Vic,
            title: "VIC commands",
            prefix: "VIC_",
            rows: Devcmd::TABLE.iter().map(|r| (r.0.into(), r.1, r.2)).collect(),
        },
        Codes { device: Vic, title: "VIC errors of a command", prefix: "VIC_", rows: DevcmdError::TABLE.to_vec() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Kind;
    use crate::vmxnet3::bar0::{Bar0, LargeBar0};
    use std::collections::BTreeSet;

    #[test]
    fn pages_declare_as_many_registers_as_some_version_has() {
        for (device, map) in REGISTERS {
            for register in map.registers {
                let counts = counts(*device, map, register);
                assert!(counts.iter().any(|c| c.1 == register.count), "{} {}", map.name, register.name);
            }
        }
        let imr = |map: &'static RegisterMap| counts(Vmxnet3, map, &map.registers[0]);
        assert_eq!((imr(Bar0::MAP), imr(LargeBar0::MAP)), (vec![(1, 25), (6, 65)], vec![(7, 65)]));
    }

    /// A structure inside another, or behind a command, is exported too.
    #[test]
    fn what_a_table_names_is_in_a_table() {
        let all: BTreeSet<_> = DESCRIPTORS.iter().chain(STRUCTURES).map(|(_, layout)| layout.name).collect();
        assert_eq!(all.len(), DESCRIPTORS.len() + STRUCTURES.len(), "one name twice");
        let mut named: Vec<&Layout> = Vec::new();
        for (_, layout) in STRUCTURES {
            named.extend(layout.fields.iter().filter_map(|field| match field.kind {
                Kind::Struct(inner) | Kind::Array(_, Some(inner)) => Some(inner),
                _ => None,
            }));
        }
        for overlay in vmxnet3::dev_read::OVERLAYS {
            named.extend(overlay.members.iter().map(|member| member.1));
        }
        for call in vmxnet3::call::CALLS {
            use vmxnet3::call::{Answer, Parameter};
            if let Parameter::CmdInfo(layout) | Parameter::Block(_, layout) = call.parameter {
                named.push(layout);
            }
            if let Answer::Word(layout) = call.answer {
                named.push(layout);
            }
        }
        for layout in named {
            assert!(all.contains(layout.name), "{} is not exported", layout.name);
        }
    }

    /// What lies in guest memory or in a ring is of one of the two shapes that the exports know.
    #[test]
    fn structures_are_bytes_and_descriptors_are_bits() {
        for (_, layout) in STRUCTURES {
            assert!(layout.fields.iter().all(|f| f.low % 8 == 0 && f.bits % 8 == 0), "{}", layout.name);
        }
        for (_, layout) in DESCRIPTORS {
            assert!(layout.bits <= 128 && layout.bits.is_multiple_of(32), "{}", layout.name);
            let inside =
                |f: &&crate::layout::Field| f.low / 32 == (f.low + f.bits - 1) / 32 || f.low.is_multiple_of(32);
            assert!(
                layout
                    .fields
                    .iter()
                    .all(|f| inside(&f) || f.name.starts_with("pad") || f.is_reserved() || f.name == "tsData"),
                "{}",
                layout.name
            );
        }
    }
}
