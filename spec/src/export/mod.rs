//! The tables in other forms: Markdown reference pages, JSON, a C header. All of it is derived; nothing is written twice.
//!
//! The pages are committed in `spec/reference`, and a test compares them. `UPDATE_REFERENCE=1 cargo test -p vnic-spec` writes
//! them anew.

pub mod header;
pub mod json;
pub mod markdown;

use crate::layout::Layout;
use crate::registers::RegisterMap;
use crate::vic::{self, Devcmd, DevcmdError};
use crate::vmxnet3::command::QueueError;
use crate::vmxnet3::{self, Command};

/// A generated file: its name in `spec/reference`, and what makes it.
pub type Page = (&'static str, fn() -> String);

/// Every generated file.
pub const PAGES: &[Page] = &[
    ("registers.md", markdown::registers),
    ("structures.md", markdown::structures),
    ("descriptors.md", markdown::descriptors),
    ("commands.md", markdown::commands),
    ("clauses.md", markdown::clauses),
    ("vnic-spec.json", json::all),
    ("vnic_spec.h", header::all),
];

/// Every declared page of registers, with the device it belongs to.
pub const REGISTERS: &[(&str, &RegisterMap)] = &[
    ("VMXNET3", vmxnet3::Bar0::MAP),
    ("VMXNET3", vmxnet3::bar0::LargeBar0::MAP),
    ("VMXNET3", vmxnet3::Bar1::MAP),
    ("VIC", vic::WqReg::MAP),
    ("VIC", vic::RqReg::MAP),
    ("VIC", vic::CqReg::MAP),
    ("VIC", vic::IntrReg::MAP),
    ("VIC", vic::DevcmdReg::MAP),
];

/// Structures of one little-endian integer: descriptors, completions, register words.
pub const DESCRIPTORS: &[&Layout] = &[
    vmxnet3::TxDesc::LAYOUT,
    vmxnet3::TxCompDesc::LAYOUT,
    vmxnet3::RxDesc::LAYOUT,
    vmxnet3::RxCompDesc::LAYOUT,
    vmxnet3::RxCompDescExt::LAYOUT,
    vmxnet3::timestamp::TsInfo::LAYOUT,
    vmxnet3::Capabilities::LAYOUT,
    vmxnet3::RssFields::LAYOUT,
    vmxnet3::answer::Link::LAYOUT,
    vmxnet3::answer::ConfIntr::LAYOUT,
    vmxnet3::answer::DataSizes::LAYOUT,
    vmxnet3::answer::MaxQueues::LAYOUT,
    vmxnet3::answer::TimestampSizes::LAYOUT,
    vmxnet3::answer::DisabledOffloads::LAYOUT,
    vmxnet3::shared::GosInfo::LAYOUT,
    vmxnet3::MsixEntry::LAYOUT,
    vmxnet3::MsixPba::LAYOUT,
    vic::CreditReturn::LAYOUT,
    vic::DataRing::LAYOUT,
    vic::DevcmdWord::LAYOUT,
    vic::NicCfg::LAYOUT,
];

/// Structures in memory.
pub const STRUCTURES: &[&Layout] = &[
    vmxnet3::DriverShared::LAYOUT,
    vmxnet3::MiscConf::LAYOUT,
    vmxnet3::shared::DriverInfo::LAYOUT,
    vmxnet3::IntrConf::LAYOUT,
    vmxnet3::RxFilterConf::LAYOUT,
    vmxnet3::VariableLenConf::LAYOUT,
    vmxnet3::shared::IntrConfExt::LAYOUT,
    vmxnet3::TxQueueDesc::LAYOUT,
    vmxnet3::TxQueueCtrl::LAYOUT,
    vmxnet3::TxQueueConf::LAYOUT,
    vmxnet3::QueueStatus::LAYOUT,
    vmxnet3::TxStats::LAYOUT,
    vmxnet3::RxQueueDesc::LAYOUT,
    vmxnet3::RxQueueCtrl::LAYOUT,
    vmxnet3::RxQueueConf::LAYOUT,
    vmxnet3::RxStats::LAYOUT,
    vmxnet3::RssConf::LAYOUT,
    vmxnet3::shared::PmConf::LAYOUT,
    vmxnet3::shared::PmPktFilter::LAYOUT,
    vmxnet3::shared::CoalesceScheme::LAYOUT,
    vmxnet3::parameter::RingBufferSize::LAYOUT,
    vmxnet3::parameter::SetPolling::LAYOUT,
    vmxnet3::parameter::EspQueueSelection::LAYOUT,
    vmxnet3::parameter::MemRegs::LAYOUT,
    vmxnet3::parameter::MemoryRegion::LAYOUT,
    vic::stats::VnicStats::LAYOUT,
    vic::QpStats::LAYOUT,
];

/// A set of named numbers.
#[derive(Clone, Debug)]
pub struct Codes {
    /// What they are.
    pub title: &'static str,
    /// Prefix of their names in C.
    pub prefix: &'static str,
    /// Number, vendor name, meaning.
    pub rows: Vec<(u64, &'static str, &'static str)>,
}

/// Every set of named numbers.
pub fn codes() -> Vec<Codes> {
    let wide = |table: &[(u32, &'static str, &'static str)]| table.iter().map(|r| (r.0.into(), r.1, r.2)).collect();
    vec![
        Codes { title: "VMXNET3 commands", prefix: "VMXNET3_CMD", rows: wide(Command::TABLE) },
        Codes { title: "VMXNET3 reasons of a stopped queue", prefix: "VMXNET3_ERR", rows: wide(QueueError::TABLE) },
        Codes {
            title: "VIC commands",
            prefix: "VIC_CMD",
            rows: Devcmd::TABLE.iter().map(|r| (r.0.into(), r.1, r.2)).collect(),
        },
        Codes { title: "VIC errors of a command", prefix: "VIC_ERR", rows: DevcmdError::TABLE.to_vec() },
    ]
}

/// A doc comment on one line, without the source that follows its sentence.
pub(crate) fn sentence(doc: &str) -> String {
    let text = doc.split("Source:").next().unwrap_or_default();
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&unlinked(word));
    }
    out
}

/// A word without the link that rustdoc makes of it.
fn unlinked(word: &str) -> String {
    let Some((before, rest)) = word.split_once("[`") else { return word.to_string() };
    let Some((name, after)) = rest.split_once("`]") else { return word.to_string() };
    let after = match after.strip_prefix('(').and_then(|a| a.split_once(')')) {
        Some((_, after)) => after,
        None => after,
    };
    format!("{before}`{name}`{after}")
}

/// What a doc comment names as its source, if it does.
pub(crate) fn source(doc: &str) -> Option<String> {
    let (_, source) = doc.split_once("Source:")?;
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(line.trim_end_matches('.').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn committed_reference_pages_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
        let update = std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1");
        for (name, make) in PAGES {
            let (path, page) = (folder.join(name), make());
            if update {
                std::fs::write(&path, &page).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == page, "{name} is out of date: UPDATE_REFERENCE=1 cargo test -p vnic-spec");
        }
    }

    #[test]
    fn no_name_is_defined_twice_in_c() {
        let header = header::all();
        let mut names: Vec<_> = header.lines().filter_map(|l| l.strip_prefix("#define ")?.split(' ').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn json_is_balanced_and_quotes_are_closed() {
        let text = json::all();
        let (mut depth, mut quoted, mut escaped) = (0i32, false, false);
        for c in text.chars() {
            match (quoted, c) {
                _ if escaped => escaped = false,
                (true, '\\') => escaped = true,
                (_, '"') => quoted = !quoted,
                (false, '{' | '[') => depth += 1,
                (false, '}' | ']') => depth -= 1,
                _ => {}
            }
            assert!(depth >= 0 && c != '\t');
        }
        assert!(depth == 0 && !quoted);
    }
}
