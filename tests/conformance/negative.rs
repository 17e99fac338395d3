//! Wrong devices: each breaks at least the clause it is wrong about.

use model::mutant::{Mutant, Planted};
use spec::clause::{ALL, Judge};
use spec::profile::{Answers, Deviation, Deviations, Limits, Profile};
use std::collections::BTreeSet;
use vnic::case::{Outcome, run_against, run_all};

const fn deviating(deviation: Deviation) -> Profile {
    Profile { deviations: Deviations::NONE.with(deviation), ..Profile::REFERENCE }
}

const fn limited(limits: Limits) -> Profile {
    Profile { limits, ..Profile::REFERENCE }
}

const fn answering(answers: Answers) -> Profile {
    Profile { answers, ..Profile::REFERENCE }
}

const ANSWERS: Answers = Answers::PLAIN;
const LIMITS: Limits = Profile::REFERENCE.limits;

/// Devices that differ from the reference in one thing, and the clauses whose checks reject them.
static WRONG: &[(&str, Profile, &[&str])] = &[
    ("ECR reads 0", deviating(Deviation::EcrReadsZero), &["VMX-REG-013"]),
    ("the address is lost", deviating(Deviation::ActivateRestoresMac), &["VMX-ACT-009", "VMX-REG-009"]),
    ("masks while inactive are lost", deviating(Deviation::InactiveBar0Dropped), &["VMX-REG-011"]),
    ("rings of completions are zeroed", deviating(Deviation::ActivateZeroesCompletions), &["SWI-CMP-001"]),
    ("the shared address is forgotten", deviating(Deviation::ResetForgetsShared), &["VMX-LIF-003"]),
    ("updateRxProd is left", deviating(Deviation::UpdateRxProdUntouched), &["VMX-ACT-010"]),
    ("no status is written", deviating(Deviation::QueueStatusSilent), &["VMX-EVT-004"]),
    ("answers change", deviating(Deviation::CmdReadRecomputes), &["VMX-CMD-002"]),
    ("an all-zero table drops", deviating(Deviation::ZeroVlanTableDrops), &["VMX-FLT-004"]),
    ("short frames are not padded", deviating(Deviation::ShortFramesUnpadded), &["VMX-RX-009"]),
    ("no frame is steered", deviating(Deviation::RxQueueZeroOnly), &["VMX-RSS-001"]),
    ("no limit of buffers is taken for one", deviating(Deviation::ZeroRxSgIsOne), &["VMX-RX-011"]),
    ("receive completions have type 0", deviating(Deviation::RxTypeZero), &["VMX-RX-018"]),
    ("version 1 is not offered", Profile { versions: 2, ..Profile::REFERENCE }, &["VMX-REG-002"]),
    ("the link has no speed", Profile { link_up: 1, ..Profile::REFERENCE }, &["VMX-CMD-008"]),
    ("too few queues are taken, sending", limited(Limits { tx_queues: 7, ..LIMITS }), &["VMX-ACT-002"]),
    ("too few queues are taken, receiving", limited(Limits { rx_queues: 7, ..LIMITS }), &["VMX-ACT-002"]),
    ("a small MTU is taken", limited(Limits { min_mtu: 59, ..LIMITS }), &["VMX-ACT-004"]),
    ("a large MTU is refused", limited(Limits { max_mtu: 8999, ..LIMITS }), &["VMX-ACT-004"]),
    ("a larger MTU is taken", limited(Limits { max_mtu_later: 9191, ..LIMITS }), &["VMX-V6-002"]),
    ("the MTU of version 6 is refused", limited(Limits { max_mtu_later: 9189, ..LIMITS }), &["VMX-V6-002"]),
    ("fewer queues are told", limited(Limits { tx_queues: 7, ..LIMITS }), &["VMX-V6-001"]),
    ("the link is slower", Profile { link_up: 0x03e8_0001, ..Profile::REFERENCE }, &["VMX-V9-001"]),
    ("capabilities are offered", answering(Answers { capabilities: 1 << 8, ..ANSWERS }), &["VMX-V7-001"]),
    ("an adapter is asked", answering(Answers { passthrough: 0, ..ANSWERS }), &["VMX-V7-003"]),
    ("fields of UDP are granted", answering(Answers { rss_fields: 0xf, ..ANSWERS }), &["VMX-V4-002", "VMX-V4-005"]),
    ("RX entries have an odd size", answering(Answers { rx_data_bytes: 65, ..ANSWERS }), &["VMX-V9-003"]),
    ("timestamps are offered", answering(Answers { timestamp_bytes: 32, ..ANSWERS }), &["VMX-V9-002"]),
    ("LRO is left off", answering(Answers { disabled_offloads: 2, ..ANSWERS }), &["VMX-V9-004"]),
    ("a queue fewer, sending", limited(Limits { tx_queues: 31, ..LIMITS }), &["VMX-V6-001", "VMX-V6-003"]),
    ("a queue fewer, receiving", limited(Limits { rx_queues: 31, ..LIMITS }), &["VMX-V6-001", "VMX-V6-007"]),
    ("a vector fewer", limited(Limits { vectors: 64, ..LIMITS }), &["VMX-V6-008", "VMX-V6-010"]),
    ("any ring size is taken", limited(Limits { ring_step: 1, ..LIMITS }), &["VMX-ACT-005"]),
    ("large rings are refused", limited(Limits { rx_comp_ring: 4096, ..LIMITS }), &["VMX-ACT-005"]),
];

/// Planted bugs, and clauses of cases that reject them.
const PLANTED: &[(Mutant, &[&str])] = &[
    (Mutant::SwTxCompletionIndex, &["VMX-ACT-007", "VMX-TX-006"]),
    (Mutant::SwPendingDropped, &["VMX-INT-002"]),
    (Mutant::SwTxCompletesTwice, &["VMX-TX-008", "VMX-TX-006"]),
    (Mutant::SwRxRqid, &["VMX-RX-007"]),
    (Mutant::SwRxDataOverrun, &["VMX-V3-002"]),
    (Mutant::PlaneStrideAliases, &["VMX-REG-001"]),
    (Mutant::PlaneVersionForgotten, &["VMX-REG-003"]),
    (Mutant::PlaneAddressInHalves, &["VMX-REG-005"]),
    (Mutant::PlaneMacOutlivesReset, &["VMX-REG-010"]),
    (Mutant::PlaneEventsCleared, &["VMX-REG-012"]),
    (Mutant::PlaneStopAnswersNothing, &["VMX-CMD-003"]),
    (Mutant::PlaneSilentWithoutShared, &["VMX-CMD-004"]),
    (Mutant::PlanePermanentMacChanges, &["VMX-CMD-007"]),
    (Mutant::PlaneMaskModeActive, &["VMX-CMD-009"]),
    (Mutant::PlaneMagicIgnored, &["VMX-ACT-001"]),
    (Mutant::PlaneLinkUntold, &["VMX-EVT-001"]),
    (Mutant::PlaneTxDataSize, &["VMX-V3-001"]),
    (Mutant::PlaneCoalesceRateZero, &["VMX-V3-003"]),
    (Mutant::PlaneDataRingAnyVersion, &["VMX-V3-004"]),
    (Mutant::PlaneCoalesceUnbounded, &["VMX-V3-005"]),
    (Mutant::PlaneLaterCommands, &["VMX-VER-001"]),
    (Mutant::PlaneMtuAnyVersion, &["VMX-V6-002"]),
    (Mutant::PlaneGrantsUnoffered, &["VMX-V7-001"]),
    (Mutant::PlaneFieldsRefused, &["VMX-V4-002"]),
    (Mutant::SwVectorBeyond32, &["VMX-V6-008", "VMX-V6-010"]),
    (Mutant::PlaneFirstBlock, &["VMX-V6-008"]),
    (Mutant::PlaneLevelsFirst, &["VMX-V6-009"]),
    (Mutant::SwSpacingStandsMasked, &["VMX-MOD-001", "VMX-MOD-002"]),
    (Mutant::SwUnmaskHurries, &["VMX-MOD-001"]),
    (Mutant::SwSpacingOutlivesStop, &["VMX-MOD-004"]),
    (Mutant::PlaneModerationUntold, &["VMX-MOD-003", "VMX-MOD-004"]),
    (Mutant::HwTimerStandsMasked, &["VMX-MOD-001", "VMX-MOD-002"]),
    (Mutant::HwModerationKept, &["VMX-MOD-003", "VMX-MOD-004"]),
    (Mutant::MoveSchemeLost, &["SWI-MOD-001"]),
    (Mutant::PlaneWideRegisters, &["VMX-V6-006"]),
    (Mutant::PlaneSecondPageDead, &["VMX-V7-002"]),
    (Mutant::PlaneSecondPageOpen, &["VMX-V7-002"]),
    (Mutant::MoveLaterMasksLost, &["SWI-WID-002"]),
    (Mutant::MoveVectorsUnasked, &["SWI-WID-001"]),
    (Mutant::SwMsiTellsAll, &["VMX-PCI-004"]),
    (Mutant::MoveMsiUnasked, &["SWI-INT-001"]),
    (Mutant::HwColorStuck, &["VIC-CQ-001", "VIC-CQ-003", "VMX-TX-010"]),
    (Mutant::HwCreditsLost, &["VIC-INT-015", "VIC-INT-003"]),
    (Mutant::HwTrustsDoorbell, &["VMX-TX-001"]),
    (Mutant::HwStaleCache, &["SWI-FAI-001"]),
    (Mutant::HwUdpZeroChecksum, &["VMX-TX-016"]),
    (Mutant::HwRxOverrun, &["VMX-RX-008", "VMX-BAD-001"]),
    (Mutant::HwFifoReordered, &["SWI-ORD-001"]),
    (Mutant::MoveColorKept, &["SWI-RTP-001"]),
    (Mutant::MoveIndexOffByOne, &["SWI-RTP-001"]),
    (Mutant::MovePendingDropped, &["SWI-RTP-001", "VMX-SAV-001", "VMX-SAV-004"]),
    (Mutant::MoveFullRing, &["SWI-RTP-001"]),
    (Mutant::MoveFiltersLost, &["VMX-ACT-008", "VMX-REG-009"]),
    (Mutant::MoveCountersLost, &["VMX-STA-002"]),
    (Mutant::MoveNoRescan, &["SWI-WAK-001"]),
];

/// Clauses that were broken.
fn failing(outcome: &Outcome) -> BTreeSet<&'static str> {
    outcome.tally.iter().filter(|(_, _, violations)| *violations > 0).map(|(clause, ..)| clause.id).collect()
}

/// Each wrong device breaks its clauses, and at least every third clause of a case or property is broken by one of them.
#[test]
fn a_device_that_is_wrong_is_found_out() {
    let wrong = WRONG.iter().map(|(name, device, clauses)| {
        (name.to_string(), clauses, run_against(&Profile::REFERENCE, device, Planted::NONE))
    });
    let planted = PLANTED
        .iter()
        .map(|(mutant, clauses)| (format!("{mutant:?}"), clauses, run_all(&Profile::SMALL, Planted::some(*mutant))));
    let mut broken = BTreeSet::new();
    for (name, clauses, outcome) in wrong.chain(planted) {
        let found = failing(&outcome);
        for clause in *clauses {
            assert!(found.contains(clause), "{name}: {clause} is not broken, but {found:?}");
        }
        broken.extend(found);
    }
    let own = ALL.iter().filter(|clause| matches!(clause.judge, Judge::Case | Judge::Property));
    let (reached, missed): (Vec<_>, Vec<_>) = own.map(|clause| clause.id).partition(|id| broken.contains(id));
    println!("broken by some device: {reached:?}; by none: {missed:?}");
    assert!(3 * reached.len() >= reached.len() + missed.len(), "{reached:?}");
}
