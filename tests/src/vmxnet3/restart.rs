//! What a second activation starts from: rings, buffers, statistics, the shared address.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Seen, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::{Bar0, Command, RxQueueDesc, TxQueueDesc};

pub(crate) const CASES: &[Case] = &[
    Case { id: "rings-from-the-start", clauses: &["VMX-ACT-007"], unless: &[], needs: &[], run: rings_from_the_start },
    Case { id: "statistics-from-zero", clauses: &["VMX-ACT-011"], unless: &[], needs: &[], run: statistics_from_zero },
    Case {
        id: "buffers-posted-before",
        clauses: &["VMX-ACT-012"],
        unless: &[],
        needs: &[],
        run: buffers_posted_before,
    },
    Case {
        id: "activated-while-active",
        clauses: &["VMX-ACT-014"],
        unless: &[],
        needs: &[],
        run: activated_while_active,
    },
    Case {
        id: "no-new-shared-address",
        clauses: &["VMX-LIF-002", "VMX-LIF-003"],
        unless: &[Deviation::ResetForgetsShared],
        needs: &[],
        run: no_new_shared_address,
    },
];

fn rings_from_the_start(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for lap in 0..4 {
            // A few packets more than a lap in one of the rounds, so that generations differ.
            for _ in 0..[3, 35, 1, 7][lap] {
                check.holds("VMX-ACT-007", bench.serves(), "traffic flows");
            }
            bench.command(Command::QuiesceDev);
            bench.restart();
            let frame = bench.from_guest(77);
            bench.send(0, &frame);
            let frame = bench.to_guest(78);
            bench.offer(&frame);
            bench.settle();
            let done = bench.completions(0);
            check.holds(
                "VMX-ACT-007",
                matches!(done[..], [(0, completion)] if completion.txd_idx() == 0 && completion.generation()),
                "the first TX completion names cell 0 from slot 0 with generation 1",
            );
            let got = bench.received(0);
            check.holds(
                "VMX-ACT-007",
                matches!(&got[..], [(_, last)] if last.rxd_idx() == 0 && last.generation()),
                "the first frame lies in buffer 0, told in slot 0 with generation 1",
            );
        }
    });
}

fn statistics(bench: &mut Bench) -> (TxQueueDesc, RxQueueDesc) {
    bench.command(Command::GetStats);
    (bench.get(bench.layout.tx_queue_desc(0)), bench.get(bench.layout.rx_queue_desc(0)))
}

fn statistics_from_zero(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for _ in 0..5 {
            check.holds("VMX-ACT-011", bench.serves(), "traffic flows");
        }
        let (tx, rx) = statistics(bench);
        check.equal("VMX-ACT-011", "packets sent", tx.stats().ucast_pkts_tx_ok(), 5u32);
        check.equal("VMX-ACT-011", "frames received", rx.stats().ucast_pkts_rx_ok(), 5u32);
        for command in [Command::QuiesceDev, Command::ResetDev] {
            bench.command(command);
            // Whether RESET_DEV keeps the shared address is a case of its own.
            let shared = bench.layout.shared;
            bench.set_shared(shared);
            bench.restart();
            bench.tx_desc(0, |desc| desc.set_stats(spec::vmxnet3::TxStats([0xff; 80])));
            bench.rx_desc(0, |desc| desc.set_stats(spec::vmxnet3::RxStats([0xff; 80])));
            let (tx, rx) = statistics(bench);
            check.holds("VMX-ACT-011", tx.stats().0 == [0; 80], "TX counters start from zero");
            check.holds("VMX-ACT-011", rx.stats().0 == [0; 80], "RX counters start from zero");
            check.holds("VMX-ACT-011", bench.serves(), "traffic flows");
        }
    });
}

fn buffers_posted_before(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        // `start` posts every buffer before ACTIVATE_DEV and rings for none.
        for _ in 0..20 {
            let frame = bench.to_guest(100);
            check.holds("VMX-ACT-012", bench.receives(&frame), "buffers posted before ACTIVATE_DEV are used");
        }
        check.equal("VMX-ACT-012", "vectors raised", bench.raised(0), 0u32);
        for vector in 0..check.profile().width(1).vectors {
            check.equal("VMX-ACT-012", "IMR", bench.read0(Bar0::Imr(vector)), 1u32);
        }
    });
}

/// Whether the device touched the `bytes` bytes at `pa`.
fn touched(seen: &[Seen], pa: u64, bytes: u64) -> bool {
    seen.iter().any(|seen| match *seen {
        Seen::Read(at, len) | Seen::Write(at, len) => at < pa + bytes && pa < at + len as u64,
        Seen::Sent(..) | Seen::Vector(_) | Seen::Line(_) | Seen::Fault(_) => false,
    })
}

/// The kernel that runs after a crash writes structures of its own and activates: nothing was quiesced.
fn activated_while_active(check: &mut Check) {
    let mut setup = Setup::unjudged();
    setup.bytes = 192 << 10;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for _ in 0..3 {
            check.holds("VMX-ACT-014", bench.serves(), "traffic flows");
        }
        // The new rings lie where nothing was; the shared area stays where it is.
        let old = bench.layout.clone();
        let config = bench.config.clone();
        let begin = old.end.next_multiple_of(4096);
        let Ok(mut new) = model::guest::vmxnet3::Layout::plan(&config, begin, (64 << 10) as u64) else {
            unreachable!("the second layout fits")
        };
        new.shared = old.shared;
        // Something waits on the old ring, with the wire shut.
        bench.wire(false);
        let frame = bench.from_guest(99);
        bench.send(0, &frame);
        bench.settle();
        bench.layout = new;
        bench.write_structures();
        let answer = bench.activate();
        check.equal("VMX-ACT-014", "answer", answer, 0u32);
        bench.seen();
        bench.wire(true);
        bench.settle();
        check.holds("VMX-ACT-014", bench.sent().is_empty(), "what waited on the old ring is not sent");
        bench.to_target();
        bench.seen();
        for _ in 0..3 {
            check.holds("VMX-ACT-014", bench.serves(), "traffic flows on the new rings");
            let seen = bench.seen();
            let (tx, rx) = (old.tx[0], old.rx[0]);
            let old_rings = [
                (tx.ring, tx.ring_size),
                (tx.comp, tx.comp_size),
                (rx.ring[0], rx.ring_size[0]),
                (rx.ring[1], rx.ring_size[1]),
                (rx.comp, rx.comp_size),
            ];
            let alone = old_rings.iter().all(|&(pa, cells)| !touched(&seen, pa, u64::from(cells) * 16));
            check.holds("VMX-ACT-014", alone, "the old rings are left alone");
        }
    });
}

fn no_new_shared_address(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let shared = bench.layout.shared;
        for _ in 0..3 {
            bench.command(Command::QuiesceDev);
            bench.set_shared(shared);
            bench.restart();
            bench.command(Command::QuiesceDev);
            check.equal("VMX-LIF-002", "answer behind QUIESCE_DEV", bench.restart(), 0u32);
            check.holds("VMX-LIF-002", bench.serves(), "traffic flows");
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
            check.equal("VMX-LIF-003", "answer behind RESET_DEV", bench.restart(), 0u32);
            check.holds("VMX-LIF-003", bench.serves(), "traffic flows");
        }
    });
}
