//! Limits by version, each at its edge and one past it. Rows of nine, a version each, are in the files of this folder; here is what
//! several versions have to agree on: the largest MTU in use, what queues are told of, how much of the shared area there is.

pub(in crate::vmxnet3) mod counts;
pub(in crate::vmxnet3) mod packets;
pub(in crate::vmxnet3) mod rings;
pub(in crate::vmxnet3) mod settings;

use crate::case::{Case, Check, Need};
use crate::rig::{Seen, Setup};
use crate::vmxnet3::offered::{BUFFERS, each_version};
use spec::vmxnet3::answer::MaxQueues;
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::shared::IntrConfExt;
use spec::vmxnet3::{Bar0, Command, DriverShared, SHARED_BYTES_V1, Version};

pub(in crate::vmxnet3) const CASES: &[Case] = &[
    Case { id: "largest-mtu-in-use", clauses: &["VMX-V6-002"], unless: &[], needs: &[], run: largest_mtu_in_use },
    Case { id: "queues-told", clauses: &["VMX-V6-001"], unless: &[], needs: &[], run: queues_told },
    Case { id: "one-queue-too-many", clauses: &["VMX-V6-004"], unless: &[], needs: &[], run: one_queue_too_many },
    Case { id: "any-number-of-queues", clauses: &["VMX-V6-003"], unless: &[], needs: &[], run: any_number_of_queues },
    Case {
        id: "the-shared-area-of-version-1-is-enough",
        clauses: &["VMX-ACT-013", "VMX-INT-007"],
        unless: &[],
        needs: &[Need::Accesses],
        run: shared_area_of_version_1,
    },
];

fn largest_mtu_in_use(check: &mut Check) {
    let mut setup = Setup { bytes: 1 << 20, ..Setup::default() };
    let config = &mut setup.config;
    (config.tx_buffer_bytes, config.head_bytes, config.body_bytes) = (9216, 2048, 4096);
    config.max_rx_sg = BUFFERS;
    each_version(check, 6..=9, &setup, |check, bench, version| {
        let most = Version::of(version).max_mtu;
        bench.config.mtu = most;
        bench.start();
        for len in [60, most as usize + 13, most as usize + 14] {
            let frame = bench.to_guest(len);
            check.holds("VMX-V6-002", bench.receives(&frame), "a frame as long as the MTU allows is received");
            let frame = bench.from_guest(len);
            bench.seen();
            bench.send(0, &frame);
            bench.settle();
            check.holds("VMX-V6-002", bench.sent() == [&frame[..]], "and sent");
        }
    });
}

fn queues_told(check: &mut Check) {
    each_version(check, 6..=9, &Setup::default(), |check, bench, version| {
        let told = MaxQueues(bench.command(Command::GetMaxQueuesConf));
        let row = Version::of(version);
        check.equal("VMX-V6-001", "GET_MAX_QUEUES_CONF", told.0, check.profile().max_queues(version).0);
        check.holds("VMX-V6-001", (1..=row.tx_queues).contains(&told.tx()), "1 to 32 TX queues");
        check.holds("VMX-V6-001", (1..=row.rx_queues).contains(&told.rx()), "1 to 32 RX queues");
        check.equal("VMX-V6-001", "bits 31:16", told.rsvd(), 0u32);
        bench.start();
        let again = bench.command(Command::GetMaxQueuesConf);
        check.equal("VMX-V6-001", "GET_MAX_QUEUES_CONF while active", again, told.0);
    });
}

fn one_queue_too_many(check: &mut Check) {
    let setup = Setup { judged: false, ..Setup::default().queues(8) };
    each_version(check, 6..=9, &setup, |check, bench, _| {
        let told = MaxQueues(bench.command(Command::GetMaxQueuesConf));
        bench.prepare();
        for (tx, rx) in [(told.tx() + 1, 1), (1, told.rx() + 1), (0, 1), (1, 0), (33, 33), (255, 255)] {
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_num_tx_queues(tx);
                misc.set_num_rx_queues(rx);
                shared.set_misc(misc);
            });
            check.holds("VMX-V6-004", bench.activate() != 0, "no queue, or more than were told, is refused");
        }
        check.holds("VMX-V6-004", bench.restart() == 0, "fewer than were told are taken");
        check.holds("VMX-V6-004", bench.serves(), "and serve");
    });
}

fn any_number_of_queues(check: &mut Check) {
    let width = check.profile().width(1);
    let most = width.tx_queues.min(width.rx_queues);
    for (tx, rx) in (1..=most).map(|count| (count, count)).chain([(1, most), (most, 1), (3, 5.min(most))]) {
        let mut setup = Setup::default().queues(tx.max(rx));
        (setup.config.tx_queues, setup.config.rx_queues) = (tx, rx);
        each_version(check, 9..=9, &setup, |check, bench, _| {
            bench.start();
            check.holds("VMX-V6-003", bench.serves(), "traffic flows on every queue");
        });
    }
}

/// A driver that owns 720 bytes: what lies behind them is somebody else's.
fn shared_area_of_version_1(check: &mut Check) {
    each_version(check, 1..=9, &Setup::default(), |check, bench, _| {
        let behind = bench.layout.end.next_multiple_of(8) + SHARED_BYTES_V1;
        bench.layout.shared = behind - SHARED_BYTES_V1;
        let mut foreign = IntrConfExt([0xff; IntrConfExt::LAYOUT.bytes()]);
        foreign.set_auto_mask(u8::from(!bench.config.auto_mask));
        foreign.set_event_intr_idx(7);
        bench.store(behind, &foreign.0);
        let own: DriverShared = bench.layout.shared_image(&bench.config.clone());
        let event = u16::from(own.intr_conf().event_intr_idx());
        bench.seen();
        bench.start();
        check.holds("VMX-ACT-013", bench.serves(), "traffic flows");
        bench.unmask(event as u8);
        bench.unmask(7);
        bench.seen();
        bench.link(false);
        check.equal("VMX-INT-007", "interrupts of the event vector of intrConf", bench.raised(event), 1u32);
        check.equal("VMX-INT-007", "interrupts of the event vector of intrConfExt", bench.raised(7), 0u32);
        let masked = bench.read0(Bar0::Imr(event as u8));
        check.equal("VMX-INT-007", "the mask after it", masked, u32::from(bench.config.auto_mask));
        bench.write1(spec::vmxnet3::Bar1::Ecr, ecr::LINK);
        bench.link(true);
        for command in [Command::UpdateIml, Command::UpdateFeature, Command::GetStats, Command::GetQueueStatus] {
            bench.command(command);
        }
        bench.restart();
        let end = behind + foreign.0.len() as u64;
        let touched = bench.seen().iter().any(|seen| match *seen {
            Seen::Read(pa, len) | Seen::Write(pa, len) => pa < end && pa + len as u64 > behind,
            _ => false,
        });
        check.holds("VMX-ACT-013", !touched, "what lies behind is not touched");
    });
}
