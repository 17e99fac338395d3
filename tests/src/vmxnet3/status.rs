//! What GET_STATS and GET_QUEUE_STATUS write, and where.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::layout::Bytes;
use spec::profile::Deviation;
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::{Command, QUEUE_DESC_BYTES, RxQueueDesc, RxStats, TxQueueDesc, TxStats};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "statistics-of-every-queue",
        clauses: &["VMX-STA-001"],
        unless: &[],
        needs: &[],
        run: statistics_of_every_queue,
    },
    Case {
        id: "status-of-every-queue",
        clauses: &["VMX-EVT-004"],
        unless: &[Deviation::QueueStatusSilent],
        needs: &[],
        run: status_of_every_queue,
    },
    Case {
        id: "status-of-a-stopped-queue",
        clauses: &["VMX-EVT-004"],
        unless: &[Deviation::QueueStatusSilent],
        needs: &[],
        run: status_of_a_stopped_queue,
    },
];

fn statistics_of_every_queue(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(2), |check, bench| {
        bench.start();
        let (group, all) = ([1, 0, 0x5e, 0, 0, 1], [0xff; 6]);
        let peer = crate::rig::PEER;
        for (q, to, len) in [(0, peer, 60), (0, group, 70), (1, all, 80), (1, peer, 90), (1, peer, 91)] {
            let mut frame = bench.frame(to, len);
            frame[6..12].copy_from_slice(&bench.config.mac);
            bench.send(q, &frame);
        }
        let own = bench.config.mac;
        for (to, len) in [(own, 100), (own, 101), (all, 102)] {
            let frame = bench.frame(to, len);
            bench.offer(&frame);
        }
        bench.settle();
        let queues = bench.layout.queues;
        let images: [u64; 4] = core::array::from_fn(|i| queues + i as u64 * QUEUE_DESC_BYTES);
        for q in 0..2 {
            bench.tx_desc(q, |desc| desc.set_stats(TxStats([0xff; 80])));
            bench.rx_desc(q, |desc| desc.set_stats(RxStats([0xff; 80])));
        }
        let behind = bench.memory().bytes(queues + 4 * QUEUE_DESC_BYTES, 64).map(<[u8]>::to_vec);
        bench.command(Command::GetStats);
        // TSO packets and bytes; unicast, multicast, broadcast packets and bytes; two kinds of failure.
        let expected: [[u64; 10]; 4] = [
            [0, 0, 1, 60, 1, 70, 0, 0, 0, 0],
            [0, 0, 2, 181, 0, 0, 1, 80, 0, 0],
            [0, 0, 2, 201, 0, 0, 1, 102, 0, 0],
            [0; 10],
        ];
        for (i, expected) in expected.iter().enumerate() {
            let desc: TxQueueDesc = bench.get(images[i]);
            let words: [u64; 10] = Bytes::get(&desc.stats().0);
            for (&found, &expected) in words.iter().zip(expected) {
                check.equal("VMX-STA-001", "counter", found, expected);
            }
        }
        let after = bench.memory().bytes(queues + 4 * QUEUE_DESC_BYTES, 64).map(<[u8]>::to_vec);
        check.holds("VMX-STA-001", behind == after, "nothing behind the last queue is written");
    });
}

/// Sets every status word to something wrong, asks, and reads them: stopped and error, TX queues first.
fn statuses(bench: &mut Bench) -> Vec<(u8, u32)> {
    let (tx, rx) = (bench.layout.tx.len(), bench.layout.rx.len());
    for q in 0..tx {
        bench.tx_desc(q, |desc| desc.0[80..88].fill(0x5a));
    }
    for q in 0..rx {
        bench.rx_desc(q, |desc| desc.0[80..88].fill(0x5a));
    }
    bench.command(Command::GetQueueStatus);
    let tx = (0..tx).map(|q| bench.get::<TxQueueDesc>(bench.layout.tx_queue_desc(q)).status());
    let rx = (0..rx).map(|q| bench.get::<RxQueueDesc>(bench.layout.rx_queue_desc(q)).status());
    tx.chain(rx).map(|status| (status.stopped(), status.error())).collect()
}

fn status_of_every_queue(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(2), |check, bench| {
        bench.start();
        check.holds("VMX-EVT-004", bench.serves(), "traffic flows");
        for (stopped, error) in statuses(bench) {
            check.equal("VMX-EVT-004", "stopped", stopped, 0u8);
            check.equal("VMX-EVT-004", "error", error, 0u32);
        }
    });
}

/// A ring full of descriptors of which none ends a packet stops its queue, and only it.
fn status_of_a_stopped_queue(check: &mut Check) {
    check.on(Target::Both, &Setup { judged: false, ..Setup::default().queues(2) }, |check, bench| {
        bench.start();
        let vector = bench.config.event_vector();
        bench.unmask(vector);
        bench.seen();
        for _ in 0..32 {
            let desc = bench.piece(1, &[0; 64]);
            bench.post_cell(1, desc);
        }
        bench.write0(spec::vmxnet3::Bar0::TxProd(1), 31);
        bench.settle();
        let found = statuses(bench);
        for (q, &(stopped, error)) in found.iter().enumerate() {
            check.equal("VMX-EVT-004", "stopped", stopped, u8::from(q == 1));
            check.equal("VMX-EVT-004", "error", error, if q == 1 { QueueError::NoEop.code() } else { 0 });
        }
        check.equal("VMX-EVT-004", "events", bench.events(), ecr::TQERR);
        check.equal("VMX-EVT-004", "raises of the event vector", bench.raised(u16::from(vector)), 1u32);
        let frame = bench.from_guest(100);
        bench.seen();
        bench.send(0, &frame);
        bench.settle();
        check.holds("VMX-EVT-004", bench.sent() == [&frame[..]], "the other queue goes on");
    });
}
