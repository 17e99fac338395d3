//! What a failing case leaves behind shows the failure again: planted bugs, their conversations as files, and those files replayed.

use golden::trace::{parse, replay_planted};
use model::mutant::{Mutant, Planted};
use spec::profile::Profile;
use vnic::case::{SEED, Target};
use vnic::conform::{Choice, Identity, Report, Settings, Under, failures, run};

fn report(target: Target, mutant: Mutant, clause: &str) -> Report {
    let choice = Choice { filters: vec![clause.into()], shard: None };
    let settings = Settings { choice: &choice, waivers: &[], seed: SEED, planted: Planted::some(mutant) };
    let device = Identity {
        dut: "model:software".into(),
        call: "model:software".into(),
        identity: "ours".into(),
        version: String::new(),
        profile: &Profile::REFERENCE,
        mutant: Some(mutant),
    };
    run(device, &mut Under::Ours(target), &settings, &mut |_, _| {}).expect("a device")
}

#[test]
fn a_failing_case_is_a_file_that_shows_the_failure_again() {
    let folder = std::env::temp_dir().join(format!("vnic-left-{}", std::process::id()));
    let mut whole = 0;
    for (target, mutant, clause) in [
        (Target::Software, Mutant::PlaneTxDataSize, "VMX-V3-001"),
        (Target::Software, Mutant::PlaneMagicIgnored, "VMX-ACT-001"),
        (Target::Software, Mutant::SwRxStaleByte, "VMX-BAD-002"),
        (Target::Adapter, Mutant::HwUdpZeroChecksum, "VMX-TX-016"),
        (Target::Adapter, Mutant::HwTrustsDoorbell, "VMX-TX-001"),
    ] {
        let report = report(target, mutant, if clause == "VMX-BAD-002" { "VMX-RX" } else { clause });
        let left = failures::write(&report, &folder).expect("the folder is writable");
        assert!(!left.is_empty(), "{mutant:?}: nothing failed");
        for one in &left {
            let row = report.rows.iter().find(|row| row.case.id == one.case).expect("a row");
            let details = row.verdict.details();
            let trace = parse(&std::fs::read(&one.file).expect("a file")).expect("a trace");
            assert_eq!((&*trace.header.case, trace.header.mutant), (one.case, Some(mutant)));
            assert!(trace.header.origin.contains(&format!("--filter {}", one.case)), "{}", trace.header.origin);
            if trace.header.partial.is_some() {
                let again = failures::again(&trace, Planted::some(mutant)).expect("a case");
                assert!(!again.is_empty(), "{}", one.case);
                assert_eq!(failures::again(&trace, Planted::NONE), Some(vec![]), "{}", one.case);
                continue;
            }
            whole += 1;
            let claims: Vec<_> = trace.claims.iter().map(|claim| &claim.words).collect();
            assert!(
                !claims.is_empty() && claims.iter().all(|claim| details.contains(claim)),
                "{claims:?}, {details:?}"
            );
            let again = replay_planted(&trace, Planted::some(mutant)).expect("it fits memory");
            assert_eq!(again.divergence, None, "{mutant:?}, {}", one.case);
            let told = failures::told(row.conversation.as_ref().expect("a conversation"));
            assert_eq!(told.last(), Some(&format!("! {}", claims[0])), "it ends where it fails");
            let decoded = |line: &String| line.contains(" <- ") || line.contains("{ ");
            assert!(told.iter().any(decoded), "{told:#?}");
            // Without the bug the device does something else, or what it does was not what was claimed of it.
            let healed = replay_planted(&trace, Planted::NONE).expect("it fits memory");
            assert!(healed.divergence.is_some(), "{mutant:?}, {}", one.case);
        }
        std::fs::remove_dir_all(&folder).expect("it was there");
    }
    assert!(whole >= 3, "only {whole} conversations could be kept whole");
}
