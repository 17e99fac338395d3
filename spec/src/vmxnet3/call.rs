//! What each command takes and gives: where its parameters lie, what it answers in CMD, which guest memory it writes, in which
//! state it means something, and what is refused. The words that commands answer are in [`answer`].

use super::shared::{CoalesceScheme, PmConf};
use super::{Command, RssConf, RssFields, answer, parameter};
use crate::layout::Layout;

/// Where the parameters of a command lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// It has none.
    None,
    /// In these fields of `Vmxnet3_DriverShared`.
    Fields(&'static [&'static str]),
    /// In `cu.cmdInfo`, as this structure.
    CmdInfo(&'static Layout),
    /// Where the `confPA` of this field of `Vmxnet3_DriverShared` points to, as this structure.
    Block(&'static str, &'static Layout),
}

/// What CMD reads as afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0 when it was done; another value says that it was not, and nothing more.
    Status,
    /// 0 always.
    Zero,
    /// A word of this form.
    Word(&'static Layout),
    /// A number.
    Number(&'static str),
}

/// When a command does something. It is accepted at any time, and then does nothing and answers as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Any,
    /// While there is a shared area.
    Shared,
    /// While the device is active.
    Active,
    /// While there is a shared area; it makes the device active.
    Activates,
}

/// The interface of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The command.
    pub command: Command,
    /// Its name in VMware's and DPDK's headers, where it has another there.
    pub alias: Option<&'static str>,
    /// Where its parameters lie.
    pub parameter: Parameter,
    /// What CMD reads as afterwards.
    pub answer: Answer,
    /// Guest memory that it writes.
    pub writes: Option<&'static str>,
    /// When it does something.
    pub when: When,
    /// What of its parameters is refused or left alone.
    pub refuses: Option<&'static str>,
}

const fn set(command: Command, parameter: Parameter, answer: Answer, when: When) -> Call {
    Call { command, alias: None, parameter, answer, writes: None, when, refuses: None }
}

const fn get(command: Command, answer: Answer) -> Call {
    set(command, Parameter::None, answer, When::Any)
}

const fn unused(command: Command, alias: &'static str, parameter: Parameter) -> Call {
    Call { alias: Some(alias), ..set(command, parameter, Answer::Zero, When::Active) }
}

/// The interface of every command, in the order of their numbers.
///
/// Source: vmxnet3_defs.h, VMXNET3_CMD_* and the structures named there; VMware's vmxnet3_defs.h for the other names; linux
/// vmxnet3_drv.c and vmxnet3_ethtool.c, and dpdk vmxnet3_ethdev.c, for what drivers read and tolerate.
pub const CALLS: &[Call] = {
    use Answer::{Number, Status, Word, Zero};
    use Command as C;
    use Parameter::{Block, CmdInfo, Fields, None as Nothing};
    use When::{Activates, Active, Any, Shared};
    const QUEUES: &str = "every queue descriptor";
    &[
        Call {
            writes: Some("ctrl.txThreshold and ctrl.updateRxProd of every queue"),
            refuses: Some(
                "a wrong magic, queue counts, ring sizes, ring bases or MTU out of their limits: the device stays as it was, inactive",
            ),
            ..set(C::ActivateDev, Fields(&["magic", "devRead", "devReadExt"]), Status, Activates)
        },
        set(C::QuiesceDev, Nothing, Zero, Any),
        set(C::ResetDev, Nothing, Zero, Any),
        set(C::UpdateRxMode, Fields(&["devRead.rxFilterConf.rxMode"]), Zero, Shared),
        Call {
            refuses: Some(
                "an address of which the table ends in the middle, and a table that cannot be read: left out",
            ),
            ..set(
                C::UpdateMacFilters,
                Fields(&["devRead.rxFilterConf.mfTablePA", "devRead.rxFilterConf.mfTableLen"]),
                Zero,
                Shared,
            )
        },
        set(C::UpdateVlanFilters, Fields(&["devRead.rxFilterConf.vfTable"]), Zero, Shared),
        Call {
            refuses: Some("a table size of 0 or above 128: the table in force stays"),
            ..set(C::UpdateRssidt, Block("devRead.rssConfDesc", RssConf::LAYOUT), Zero, Active)
        },
        set(C::UpdateIml, Fields(&["devRead.intrConf.modLevels", "devReadExt.intrConfExt.modLevels"]), Zero, Active),
        Call {
            refuses: Some("filters past the sixth, and empty ones: they never match"),
            ..set(C::UpdatePmcfg, Block("devRead.pmConfDesc", PmConf::LAYOUT), Zero, Active)
        },
        Call {
            refuses: Some("bits that no version names: left out"),
            ..set(C::UpdateFeature, Fields(&["devRead.misc.uptFeatures"]), Zero, Shared)
        },
        unused(C::StopEmulation, "STOP_EMULATION", Nothing),
        unused(C::LoadPlugin, "SET_UPT_INTR_AFFINITY", Fields(&["devRead.pluginConfDesc"])),
        unused(C::ActivateVf, "ACTIVATE_VF", Nothing),
        unused(C::SetPolling, "SET_POLLING", CmdInfo(parameter::SetPolling::LAYOUT)),
        Call {
            refuses: Some("a mode, rate or depth out of its bounds: the scheme in force stays"),
            ..set(C::SetCoalesce, Block("cu.cmdInfo", CoalesceScheme::LAYOUT), Zero, Active)
        },
        Call {
            refuses: Some("more regions than confLen holds or than 256: the rest is left out"),
            ..set(C::RegisterMemregs, Block("cu.cmdInfo", parameter::MemRegs::LAYOUT), Status, Active)
        },
        Call {
            refuses: Some("fields that the device cannot do: GET_RSS_FIELDS tells"),
            ..set(C::SetRssFields, CmdInfo(RssFields::LAYOUT), Status, Active)
        },
        unused(C::SetPktsteering, "SET_PKTSTEERING", Nothing),
        unused(
            C::SetEspQueueSelectionConf,
            "SET_ESP_QUEUE_SELECTION_CONF",
            Block("cu.cmdInfo", parameter::EspQueueSelection::LAYOUT),
        ),
        set(C::SetRingBufferSize, CmdInfo(parameter::RingBufferSize::LAYOUT), Zero, Active),
        Call { writes: Some(QUEUES), ..set(C::GetQueueStatus, Nothing, Zero, Active) },
        Call { writes: Some(QUEUES), ..set(C::GetStats, Nothing, Zero, Active) },
        get(C::GetLink, Word(answer::Link::LAYOUT)),
        get(C::GetPermMacLo, Number("bytes 0 to 3 of the permanent MAC, byte 0 in bits 7:0")),
        get(C::GetPermMacHi, Number("bytes 4 and 5 of the permanent MAC, byte 4 in bits 7:0")),
        get(C::GetDidLo, Number("PCI device id")),
        get(C::GetDidHi, Number("PCI revision id")),
        get(C::GetDevExtraInfo, Zero),
        get(C::GetConfIntr, Word(answer::ConfIntr::LAYOUT)),
        Call {
            alias: Some("GET_ADAPTIVE_RING_INFO"),
            ..get(C::GetAdaptiveRingInfo, Number("bit 0: adaptive rings are off"))
        },
        get(C::GetTxdataDescSize, Word(answer::DataSizes::LAYOUT)),
        Call {
            writes: Some("the block at confPA of cu.cmdInfo, 16 bytes"),
            ..set(C::GetCoalesce, Block("cu.cmdInfo", CoalesceScheme::LAYOUT), Zero, Active)
        },
        get(C::GetRssFields, Word(RssFields::LAYOUT)),
        Call {
            alias: Some("GET_ENCAP_DSTPORT"),
            ..get(C::GetEncapDstport, Number("UDP ports of tunnels: Geneve in bits 15:0, VXLAN in bits 31:16"))
        },
        Call { alias: Some("GET_PKTSTEERING"), ..get(C::GetPktsteering, Zero) },
        get(C::GetMaxQueuesConf, Word(answer::MaxQueues::LAYOUT)),
        Call { alias: Some("GET_RSS_HASH_FUNC"), ..get(C::GetRssHashFunc, Zero) },
        get(C::GetMaxCapabilities, Number("capabilities there are, in a form that no source gives")),
        get(C::GetDcr0Reg, Word(super::Capabilities::LAYOUT)),
        get(C::GetTsringDescSize, Word(answer::TimestampSizes::LAYOUT)),
        get(C::GetDisabledOffloads, Word(answer::DisabledOffloads::LAYOUT)),
    ]
};

impl Command {
    /// What the command takes and gives; `None` for one that no source names.
    pub fn call(self) -> Option<&'static Call> {
        CALLS.iter().find(|call| call.command == self)
    }
}

/// First number of the commands that answer a question. Source: vmxnet3_defs.h, VMXNET3_CMD_FIRST_GET.
pub const FIRST_GET: u32 = 0xf00d_0000;
/// First number of the commands that do something. Source: vmxnet3_defs.h, VMXNET3_CMD_FIRST_SET.
pub const FIRST_SET: u32 = 0xcafe_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::DriverShared;

    #[test]
    fn every_command_has_its_interface_in_the_order_of_the_table() {
        let commands: Vec<_> = CALLS.iter().map(|call| call.command.code()).collect();
        let table: Vec<_> = Command::TABLE.iter().map(|row| row.0).collect();
        assert_eq!(commands, table);
        assert_eq!(Command::Unknown(0xcafe_0014).call(), None);
        assert_eq!(Command::GetLink.call().map(|call| call.when), Some(When::Any));
    }

    #[test]
    fn parameters_name_fields_that_there_are_and_blocks_that_fit() {
        for call in CALLS {
            match call.parameter {
                Parameter::None => {}
                Parameter::Fields(fields) => fields.iter().for_each(|field| {
                    DriverShared::LAYOUT.low(field);
                }),
                Parameter::CmdInfo(layout) => assert!(layout.bytes() <= 16, "{}", layout.name),
                Parameter::Block(field, _) => {
                    DriverShared::LAYOUT.low(field);
                }
            }
            let version = call.command.since();
            if let Parameter::CmdInfo(layout) | Parameter::Block(_, layout) = call.parameter {
                assert!(layout.since <= version.max(3), "{:?}", call.command);
            }
        }
    }

    #[test]
    fn a_command_is_a_question_or_not_by_its_number() {
        for call in CALLS {
            let code = call.command.code();
            assert_eq!(code >= FIRST_GET, call.command.name().starts_with("GET_"));
            assert!(code >= FIRST_SET);
        }
    }
}
