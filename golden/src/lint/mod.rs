//! Rules that drivers keep, held against what was seen: a trace, a trace log, guest memory, a capture.
//!
//! Each rule is one that some public driver has broken, or that the layout invites to break. A finding is no proof of a fault: it
//! says where to look. A rule that needs what a dump does not hold is not judged on it, and said to be so.
//!
//! - [`registers`] judges register accesses in order,
//! - [`config`] the shared area, queue descriptors and where everything lies,
//! - [`rings`] descriptor rings in guest memory,
//! - [`recording`] all of these and the packets handed over, while a trace is walked.
//!
//! Not judged: what a driver reads of its own memory, and the order of its stores in a live recording, where reads of the device
//! stand for them.

pub mod config;
pub mod packets;
pub mod recording;
pub mod registers;
pub mod rings;

use crate::dump::Dump;
use crate::import::ImportError;
use crate::shared_view::SharedView;
use serde::Serialize;
use std::fmt;

/// What of a dump a rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Register accesses in order.
    Registers,
    /// Writes to configuration space among them.
    Function,
    /// The shared area and queue descriptors.
    Configuration,
    /// Descriptor rings.
    Rings,
    /// What the guest hands over, as it does.
    Postings,
}

/// A rule for drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Never renumbered.
    pub id: &'static str,
    /// What a driver does, in one sentence.
    pub sentence: &'static str,
    /// A public fault of the kind.
    pub seen: &'static str,
    /// What it is judged on.
    pub needs: Needs,
}

macro_rules! rules {
    ($( $name:ident = $id:literal, $needs:ident, $sentence:literal, $seen:literal; )*) => {
        $( #[doc = $sentence] pub const $name: Rule =
            Rule { id: $id, sentence: $sentence, seen: $seen, needs: Needs::$needs }; )*

        /// Every rule, in the order of ids.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    INACTIVE_DOORBELL = "DRV-REG-001", Registers,
        "Doorbells are written only while the device is active.", "CVE-2016-6833";
    ACTIVATED_TWICE = "DRV-REG-002", Registers,
        "ACTIVATE_DEV is written only while the device is not active.", "CVE-2015-8567, CVE-2015-8568";
    HALF_MAC = "DRV-REG-003", Registers,
        "MACL and MACH are written together, MACL first.", "DPDK 66db172f26";
    HALF_SHARED = "DRV-REG-004", Registers,
        "DSAL and DSAH are written together, DSAL first, and not zero when a command reads the area.", "DPDK 66db172f26";
    READ_ONLY = "DRV-REG-005", Registers,
        "Nothing is written to a read-only register or where none is declared.", "QEMU report 2032932";
    WIDTH = "DRV-REG-006", Registers,
        "Registers are accessed as aligned 32-bit words.", "QEMU report 2032932";
    NO_BUS_MASTER = "DRV-REG-007", Function,
        "Memory decode and bus master are on before the first command.", "nanos 5136afcd";
    QUEUE_NUMBER = "DRV-REG-008", Postings,
        "Doorbells are those of queues that are configured.", "QEMU 6a932c4ed8";
    QUEUE_COUNT = "DRV-CFG-001", Configuration,
        "Queues number from 1 to what the version allows.", "CVE-2013-4544";
    VECTOR_INDEX = "DRV-CFG-002", Configuration,
        "Every vector index is below the number of vectors in use.", "CVE-2013-4544";
    RING_SIZE = "DRV-CFG-003", Configuration,
        "Ring sizes are multiples of 32 from 32 to the maximum.", "CVE-2021-20203";
    RING_ALIGNED = "DRV-CFG-004", Configuration,
        "Ring bases are multiples of 512 and the queue table of 128.", "CVE-2021-20203";
    COMPLETION_ROOM = "DRV-CFG-005", Configuration,
        "A completion ring has an entry for every descriptor of the rings that complete into it.", "nanos b28a28dc";
    OVERLAP = "DRV-CFG-006", Configuration,
        "No two structures that the device uses share a byte.", "nanos b28a28dc";
    MTU = "DRV-CFG-007", Configuration,
        "The MTU is from 60 to what the version allows.", "QEMU 90a0778421";
    DATA_RING = "DRV-CFG-008", Configuration,
        "A data ring that has no memory has no size.", "CVE-2024-40923";
    TABLE_LENGTH = "DRV-CFG-009", Configuration,
        "The queue table is as long as its queues need, and the multicast table a whole number of addresses.", "CVE-2013-4544";
    GENERATION_RUNS = "DRV-RNG-001", Rings,
        "Generation bits of a descriptor ring change at most twice around the ring.", "DPDK b44f3e1381";
    CHANGED_OWNED = "DRV-PKT-001", Postings,
        "A descriptor stays as it is from the moment the device owns it until it is completed.", "Linux XDP queue choice, January 2025";
    DESCRIPTORS = "DRV-PKT-002", Postings,
        "A packet has at most 16 descriptors, with segmentation at most 24.", "DPDK 8fb18591f8";
    SEGMENT_SIZE = "DRV-PKT-003", Postings,
        "Segmentation names a segment size and headers that lie in the packet.", "CVE-2016-6834";
    CHECKSUM_PLACE = "DRV-PKT-004", Postings,
        "A checksum request names a field behind its start that lies in the packet.", "CVE-2016-6835";
    TUNNEL = "DRV-PKT-005", Postings,
        "Offload mode 1 is not used below version 4.", "QEMU report 517";
    TOO_LONG = "DRV-PKT-006", Postings,
        "A packet that is not segmented is no longer than the MTU allows, and a segment neither.", "Linux 43f0999af0";
    NOT_IP = "DRV-PKT-007", Postings,
        "Offloads are asked for IP packets only.", "CVE-2020-27617";
    RESERVED = "DRV-PKT-008", Postings,
        "Reserved bits of a descriptor and its type are 0.", "UPT1 queue error DESC_NOT_SPT";
    BUFFER_OUTSIDE = "DRV-PKT-009", Postings,
        "Buffers lie in guest memory.", "DPDK 4a3259d620";
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// Where: a line, or a structure by name.
    pub place: String,
    /// What was seen there.
    pub what: String,
    /// How many more of the same rule there are that are not listed.
    pub more: u64,
}

/// What was found; of each rule the first [`Findings::KEPT`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Findings of one rule that are listed.
    pub const KEPT: usize = 8;

    /// Adds one; `what` is asked only for those that are listed.
    pub fn add(&mut self, rule: &Rule, place: impl fmt::Display, what: impl FnOnce() -> String) {
        let mut same = self.list.iter_mut().filter(|finding| finding.rule == rule.id);
        let kept = same.by_ref().count();
        if kept < Self::KEPT {
            self.list.push(Finding { rule: rule.id, place: place.to_string(), what: what(), more: 0 });
        } else if let Some(last) = self.list.iter_mut().rfind(|finding| finding.rule == rule.id) {
            last.more += 1;
        }
    }

    /// Every one that is listed, in the order of the dump.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }
}

/// A dump held against the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the dump is.
    pub kind: &'static str,
    /// Rules that were judged.
    pub judged: Vec<&'static Rule>,
    /// What was found.
    pub findings: Findings,
}

impl Report {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.list.is_empty()
    }

    /// Rules that the dump does not hold enough for.
    pub fn not_judged(&self) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(|rule| !self.judged.contains(rule))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { rule, place, what, more } in self.findings.list() {
            let sentence = RULES.iter().find(|known| known.id == *rule).map_or("", |rule| rule.sentence);
            writeln!(f, "{rule} {place}: {what}")?;
            writeln!(f, "            {sentence}")?;
            if *more > 0 {
                writeln!(f, "            and {more} more")?;
            }
        }
        let idle: Vec<_> = self.not_judged().map(|rule| rule.id).collect();
        if !idle.is_empty() {
            writeln!(f, "not judged on {}: {}", self.kind, idle.join(" "))?;
        }
        let broken = self.findings.list.iter().fold(0, |sum, finding| sum + 1 + finding.more);
        let verdict = if self.is_clean() { "clean" } else { "not clean" };
        writeln!(f, "{} rules judged, {broken} findings: {verdict}", self.judged.len())
    }
}

/// Holds a dump against the rules; `None` when no rule speaks of its kind.
///
/// # Errors
/// When a trace cannot be followed.
pub fn lint(dump: &Dump) -> Result<Option<Report>, ImportError> {
    let mut findings = Findings::default();
    let mut judged: Vec<Needs> = Vec::new();
    match dump {
        Dump::Recording(recorded) => {
            findings = recording::judge(recorded)?;
            judged.extend([Needs::Registers, Needs::Function, Needs::Configuration, Needs::Postings]);
        }
        Dump::Trace(log) => {
            findings = registers::judge_log(log);
            judged.push(Needs::Registers);
        }
        Dump::Memory(image) => {
            if let Some(view) = SharedView::find(image, None) {
                config::judge(&view, &mut findings);
                rings::judge(&view, image, &mut findings);
                judged.extend([Needs::Configuration, Needs::Rings]);
            }
        }
        Dump::Capture(capture) => {
            if let Some(log) = &capture.trace {
                findings = registers::judge_log(log);
                judged.push(Needs::Registers);
            }
            if let Some(view) = SharedView::find(&capture.memory, Some(capture.stream.drv_shmem)) {
                config::judge(&view, &mut findings);
                rings::judge(&view, &capture.memory, &mut findings);
                judged.extend([Needs::Configuration, Needs::Rings]);
            }
        }
        _ => return Ok(None),
    }
    let judged = RULES.iter().filter(|rule| judged.contains(&rule.needs)).collect();
    Ok(Some(Report { kind: dump.kind(), judged, findings }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::MemoryImage;
    use crate::import::memory::MemoryRegion;

    #[test]
    fn memory_without_a_shared_area_is_not_judged() {
        let region = MemoryRegion { address: 0x1000, bytes: vec![0; 4096], description: String::new() };
        let report = lint(&Dump::Memory(MemoryImage { regions: vec![region] })).unwrap().unwrap();
        assert_eq!((report.judged.len(), report.is_clean()), (0, true));
        assert_eq!(report.not_judged().count(), RULES.len());
    }

    #[test]
    fn ids_are_unique_and_findings_of_one_rule_are_bounded() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(RULES[..i].iter().all(|other| other.id != rule.id), "{}", rule.id);
        }
        let mut findings = Findings::default();
        (0..20).for_each(|i| findings.add(&MTU, i, String::new));
        findings.add(&WIDTH, 0, String::new);
        assert_eq!((findings.list().len(), findings.list()[7].more), (Findings::KEPT + 1, 12));
    }
}
