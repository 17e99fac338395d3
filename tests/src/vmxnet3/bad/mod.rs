//! Bad inputs: a row of the table of known faults a case or more, named by the row. What each row is, and what judges it, is in
//! [`ROWS`]; rows that a conversation with a VMXNET3 device cannot judge are in [`ELSEWHERE`], each with the reason.

mod activation;
mod merging;
mod receive;
mod registers;
mod rings;
mod settings;
mod transmit;

use super::verbs;
use crate::case::Case;

/// The cases, a section of the table a list.
const SECTIONS: [&[Case]; 7] = [
    registers::CASES,
    activation::CASES,
    settings::CASES,
    transmit::CASES,
    rings::CASES,
    receive::CASES,
    merging::CASES,
];

/// Number of cases in all sections.
const COUNT: usize = {
    let mut count = 0;
    let mut section = 0;
    while section < SECTIONS.len() {
        count += SECTIONS[section].len();
        section += 1;
    }
    count
};

/// Every case of a bad input.
pub(crate) const CASES: &[Case] = &{
    let mut all = [registers::CASES[0]; COUNT];
    let (mut at, mut section) = (0, 0);
    while section < SECTIONS.len() {
        let mut case = 0;
        while case < SECTIONS[section].len() {
            all[at] = SECTIONS[section][case];
            at += 1;
            case += 1;
        }
        section += 1;
    }
    all
};

/// What judges a row, by the names of cases: those of this folder, and older ones that judge it as well.
pub(crate) const ROWS: &[(&str, &[&str])] = &[
    ("BI-001", &["every-offset-completes", "masks-read-back"]),
    ("BI-002", &["bi-002-read-only-registers-written-askew"]),
    ("BI-003", &["bi-003-doorbells-of-queues-that-are-not-there", "doorbells-of-nobody"]),
    ("BI-004", &["bi-004-doorbells-behind-any-stop", "quiet-after-a-stop", "shared-area-withdrawn"]),
    ("BI-005", &["bi-005-activated-again-and-again", "activated-while-active"]),
    ("BI-006", &["bi-006-a-dump-changes-nothing", "an-answer-stays"]),
    ("BI-007", &["bi-007-bus-master-off"]),
    ("BI-008", &["bi-008-addresses-that-are-registers", "nonsense-in-descriptors"]),
    ("BI-010", &["bi-010-every-pair-of-queue-counts", "bi-010-interrupt-indices", "queue-counts"]),
    ("BI-011", &["bi-011-ring-sizes-and-ends", "ring-sizes"]),
    ("BI-012", &["bi-012-mtu", "mtu"]),
    ("BI-013", &["bi-013-every-maximum-at-once", "bi-012-mtu"]),
    ("BI-014", &["bi-014-numbers-around-powers-of-two", "hostile-guests"]),
    ("BI-015", &["bi-015-nothing-behind-a-buffer", "hostile-guests"]),
    ("BI-016", &["bi-016-memory-over-two-poisons", "bi-034-all-bits-of-a-completion"]),
    ("BI-017", &["bi-017-driver-data-is-never-looked-at", "fields-not-looked-at"]),
    ("BI-018", &["bi-018-completions-keep-to-their-ring"]),
    ("BI-019", &["bi-019-rss-fields"]),
    ("BI-020", &["bi-020-features-that-nobody-offers"]),
    ("BI-021", &["bi-021-vlan-tables-that-stay", "vlan-tables"]),
    ("BI-022", &["bi-022-half-an-address", "addresses"]),
    ("BI-023", &["answers-without-a-shared-area", "link-event"]),
    ("BI-030", &["bi-030-short-frames-in-every-mode"]),
    ("BI-031", &["bi-031-header-lengths-that-lie"]),
    ("BI-032", &["bi-032-segment-sizes"]),
    ("BI-033", &["bi-033-most-fragments-of-a-frame", "most-buffers-of-a-packet"]),
    ("BI-034", &["bi-034-all-bits-of-a-completion"]),
    ("BI-035", &["bi-035-chains-with-a-bad-link"]),
    ("BI-036", &["bi-036-every-command-behind-a-failure"]),
    ("BI-037", &["bi-037-offloads-of-no-ip"]),
    ("BI-038", &["bi-038-every-offload-mode"]),
    ("BI-039", &["bi-039-frames-to-oneself"]),
    ("BI-040", &["bi-040-checksums-at-the-end-of-a-packet"]),
    ("BI-041", &["bi-041-a-length-of-zero"]),
    ("BI-042", &["bi-042-the-first-descriptor-last", "half-a-packet"]),
    ("BI-043", &["bi-043-full-rings", "one-doorbell-suffices"]),
    ("BI-044", &["bi-044-descriptors-of-a-packet"]),
    ("BI-046", &["bi-046-data-rings-at-the-end-of-addresses"]),
    ("BI-047", &["headers-in-the-data-ring"]),
    ("BI-050", &["bi-050-segments-longer-than-the-mtu"]),
    ("BI-051", &["bi-051-bits-of-later-versions"]),
    ("BI-052", &["bi-052-half-a-packet-across-a-move", "half-a-packet"]),
    ("BI-053", &["bi-053-a-stopped-queue-and-its-reset", "status-of-a-stopped-queue"]),
    ("BI-060", &["bi-060-frames-that-end-in-a-tag"]),
    ("BI-062", &["bi-062-buffers-run-out", "too-few-buffers"]),
    ("BI-063", &["bi-063-runs-of-completions"]),
    ("BI-064", &["bi-064-buffers-of-no-length"]),
    ("BI-065", &["bi-065-fields-of-the-last-completion", "checksums-and-tags"]),
    ("BI-066", &["bi-066-outer-headers-of-tunnels"]),
    ("BI-067", &["bi-067-lengths-and-stale-bytes"]),
    ("BI-068", &["bi-068-data-rings-that-are-not-there", "nothing-of-it-before"]),
    ("BI-070", &["bi-070-checksums-of-what-is-merged"]),
    ("BI-071", &["bi-071-one-segment-alone"]),
    ("BI-072", &["bi-072-tunnels-are-not-merged-as-plain"]),
    ("BI-073", &["bi-073-merging-under-load"]),
    ("BI-074", &["bi-074-interrupt-control-at-another-offset"]),
    ("BI-075", &["bi-075-queue-counts-in-use", "bi-010-every-pair-of-queue-counts"]),
    ("BI-077", &["bi-077-more-frames-than-buffers"]),
    ("BI-080", &["bi-080-merging-only-where-asked"]),
    ("BI-090", &["what-a-restore-refuses"]),
    ("BI-091", &["what-a-restore-refuses"]),
    ("BI-093", &["bi-052-half-a-packet-across-a-move", "steps-of-a-switch"]),
    ("BI-094", &["steps-of-a-switch"]),
    ("BI-095", &["steps-of-a-switch"]),
    ("BI-096", &["causes-across-a-switch", "a-save-between-packets"]),
    ("BI-098", &["round-trips", "steps-of-a-switch"]),
    ("BI-099", &["failures-before-the-commit-point", "failures-behind-the-commit-point"]),
    ("BI-101", &["derived-generations", "round-trips"]),
];

/// Rows of VMXNET3 that a conversation of a driver with a device cannot judge, and why.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    (
        "BI-045",
        "a length that does not fit its field is cut by the driver; the device sees the field alone, as in BI-041",
    ),
    ("BI-048", "the offset is the driver's own: a device sends the address it is given"),
    ("BI-049", "two producers without a lock are a fault of the driver, which a lint on its recording finds"),
    (
        "BI-061",
        "a buffer given back before its completion was read is a fault of the driver, which a lint on its recording finds",
    ),
    ("BI-069", "memory that changes between two reads of one decision needs a hand in the device's accesses"),
    ("BI-076", "the order of the stores of one cell shows between two accesses, where no conversation looks"),
    ("BI-078", "mappings are made and undone inside the driver"),
    ("BI-079", "states of a driver's interface; those of the device are in BI-004 and BI-036"),
    ("BI-092", "lengths inside a saved image are judged by the tests of restore, not by a driver"),
    ("BI-097", "offsets of capabilities are in configuration space and in saved images"),
    ("BI-100", "images of older versions are files, not conversations"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_of_vmxnet3_is_judged_or_says_why_not() {
        let rows = (1..=8).chain(10..=23).chain(30..=53).chain(60..=80).chain(90..=101);
        let named: Vec<&str> = ROWS.iter().map(|row| row.0).chain(ELSEWHERE.iter().map(|row| row.0)).collect();
        let distinct: BTreeSet<&str> = named.iter().copied().collect();
        assert_eq!(distinct.len(), named.len(), "a row stands once");
        let expected: BTreeSet<String> = rows.map(|row| format!("BI-{row:03}")).collect();
        assert_eq!(distinct, expected.iter().map(String::as_str).collect());
        assert!(ROWS.iter().all(|(_, cases)| !cases.is_empty()));
        assert!(ELSEWHERE.iter().all(|(_, reason)| !reason.is_empty()));
    }

    #[test]
    fn every_case_that_a_row_names_exists_and_every_case_here_is_named() {
        let all: BTreeSet<&str> = crate::case::all().map(|case| case.id).collect();
        for (row, cases) in ROWS {
            for case in *cases {
                assert!(all.contains(case), "{row} names {case}");
            }
        }
        for case in CASES {
            let row = case.id[..6].to_uppercase();
            let judges = ROWS.iter().any(|(name, cases)| *name == row && cases.contains(&case.id));
            assert!(judges, "{} is not named by {row}", case.id);
        }
    }
}
