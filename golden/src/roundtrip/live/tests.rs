//! The trip needs a QEMU: `VNIC_QEMU` names the program as `.ci/peers` has it.

use super::*;

fn command() -> Vec<String> {
    let words = std::env::var("VNIC_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".into());
    words.split_whitespace().map(str::to_owned).collect()
}

fn spoilt(spoil: &dyn Fn(&mut Canon)) -> LiveReport {
    go(&command(), spoil).unwrap_or_else(|trouble| panic!("{trouble}")).0
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn nothing_is_lost_but_what_is_not_saved() {
    let (report, stops) = live(&command()).unwrap_or_else(|trouble| panic!("{trouble}"));
    assert!(report.holds(), "{report}");
    assert_eq!((report.queues, report.equal_moves, stops.len()), ((2, 2), 3, 2), "{report}");
    let states: Vec<_> = report.unsaved.iter().map(|one| (one.state, one.kept)).collect();
    let lost = [
        ("the current MAC address", false),
        ("the part of a packet that was read before its end was posted", false),
        ("frames that wait in front of a wire that takes no more", false),
    ];
    assert_eq!(states, lost, "golden/dumps/QEMU-STATE.md says otherwise: {report}");
}

/// A way to spoil a state.
type Spoil = fn(&mut Canon);

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn whatever_is_written_wrongly_shows() {
    let spoils: [(&str, Spoil); 8] = [
        ("tx position", |canon| canon.progress.tx[0].next = canon.progress.tx[0].next.next(32)),
        ("tx completion position", |canon| canon.progress.tx[1].comp = canon.progress.tx[1].comp.next(32)),
        ("rx position", |canon| canon.progress.rx[0].next[0] = canon.progress.rx[0].next[0].next(32)),
        ("rx completion generation", |canon| {
            let comp = &mut canon.progress.rx[0].comp;
            *comp = spec::position::RingIndex::new(comp.index(), !comp.generation(), 64).expect("the same place");
        }),
        ("pending cause", |canon| canon.progress.vectors.iter_mut().for_each(|vector| vector.pending = false)),
        ("filter mode", |canon| canon.activation.filters.rx_mode |= spec::vmxnet3::command::rx_mode::PROMISC),
        ("multicast list", |canon| canon.activation.filters.multicast.reverse()),
        ("statistics", |canon| canon.progress.tx[0].counters.set_ucast_pkts_tx_ok(0)),
    ];
    for (what, spoil) in spoils {
        let report = spoilt(&spoil);
        // The order of a list says nothing, so that one must pass.
        assert_eq!(report.holds(), what == "multicast list", "{what}: {report}");
    }
}
