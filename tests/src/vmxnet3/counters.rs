//! Events and counters one by one: what raises each, what it does not count, and when it is written.

use super::offered::BUFFERS;
use super::packets::{Ip, TCP, from};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, PEER, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::{QueueError, ecr};
use spec::vmxnet3::shared::ECR_OFFSET;
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{Bar0, Bar1, Command, RxStats, TxDesc, TxStats};

/// A case of one TX counter: packets of this kind move these words and no other.
macro_rules! tx {
    ($id:literal, $post:expr, $pairs:expr) => {
        Case::new($id, &["VMX-STA-004"], |check| tx_counter(check, $post, $pairs))
            .unless(&[Deviation::TsoCountsPackets])
    };
}

pub(crate) const CASES: &[Case] = &[
    tx!("counter-ucast-tx", |bench| plain(bench, PEER, 80), &[(2, 1), (3, 80)]),
    tx!("counter-mcast-tx", |bench| plain(bench, GROUP, 81), &[(4, 1), (5, 81)]),
    tx!("counter-bcast-tx", |bench| plain(bench, [0xff; 6], 82), &[(6, 1), (7, 82)]),
    tx!("counter-tso-tx", segmented, &[(0, 3), (1, 3 * 54 + 250), (2, 3), (3, 3 * 54 + 250)]),
    tx!("counter-tagged-tx", tagged, &[(2, 1), (3, 94)]),
    tx!("counter-tx-error", unreadable, &[(8, 1)]),
    Case::new("counter-tx-discard", &["VMX-STA-004", "VMX-LIF-007"], discarded),
    Case::new("counter-ucast-rx", &["VMX-STA-005"], |check| rx_counter(check, None, &[(2, 3), (3, 300)])),
    Case::new("counter-mcast-rx", &["VMX-STA-005"], |check| rx_counter(check, Some(GROUP), &[(4, 3), (5, 300)])),
    Case::new("counter-bcast-rx", &["VMX-STA-005"], |check| rx_counter(check, Some([0xff; 6]), &[(6, 3), (7, 300)])),
    Case::new("counter-out-of-buf", &["VMX-STA-005"], out_of_buffers).unless(&[Deviation::OutOfBuffersConsumes]),
    Case::new("counters-of-several-buffers", &["VMX-STA-005"], several_buffers).unless(&[Deviation::ZeroRxSgIsOne]),
    Case::new("counters-of-each-queue", &["VMX-STA-001", "VMX-STA-004"], each_queue),
    Case::new("counters-are-told-when-asked", &["VMX-STA-006"], told_when_asked),
    Case::new("counters-behind-quiesce", &["VMX-STA-006"], behind_quiesce),
    Case::new("counters-that-the-guest-writes", &["VMX-STA-006"], guest_writes),
    Case::new("counters-and-filters", &["VMX-STA-002"], across_commands),
    Case::new("events-add-up", &["VMX-EVT-002"], events_add_up).unless(&[Deviation::EcrReadsZero]),
    Case::new("events-cleared-one-by-one", &["VMX-EVT-002", "VMX-REG-012"], cleared_one_by_one)
        .unless(&[Deviation::EcrReadsZero]),
    Case::new("an-event-behind-its-clearing", &["VMX-EVT-002"], behind_its_clearing).unless(&[Deviation::EcrReadsZero]),
    Case::new("events-that-were-not-pending", &["VMX-EVT-002"], not_pending),
    Case::new("events-before-activation", &["VMX-EVT-003"], before_activation),
    Case::new("events-behind-quiesce", &["VMX-EVT-003"], |check| behind(check, Command::QuiesceDev)),
    Case::new("events-behind-reset", &["VMX-EVT-003"], |check| behind(check, Command::ResetDev)),
    Case::new("an-error-and-its-reset", &["VMX-EVT-005"], error_and_reset)
        .unless(&[Deviation::QueueStatusSilent, Deviation::ResetForgetsShared]),
    Case::new("an-error-and-a-new-activation", &["VMX-EVT-005"], error_and_activation)
        .unless(&[Deviation::QueueStatusSilent]),
    Case::new("an-error-told-once", &["VMX-EVT-002", "VMX-EVT-004"], error_once)
        .unless(&[Deviation::QueueStatusSilent]),
    Case::new("the-link-while-masked", &["VMX-EVT-001"], link_while_masked).unless(&[Deviation::UnmaskForgetsAutoMask]),
    Case::new("the-link-as-it-is-told", &["VMX-CMD-008", "VMX-EVT-001"], link_as_told),
];

const GROUP: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 9];

fn words_tx(stats: &TxStats) -> [u64; 10] {
    spec::layout::Bytes::get(&stats.0)
}

fn words_rx(stats: &RxStats) -> [u64; 10] {
    spec::layout::Bytes::get(&stats.0)
}

/// Ten counters with these set.
fn counters(pairs: &[(usize, u64)]) -> [u64; 10] {
    let mut words = [0; 10];
    pairs.iter().for_each(|&(at, value)| words[at] = value);
    words
}

/// Posts a frame in one descriptor, changed so.
fn post(bench: &mut Bench, frame: &[u8], change: impl FnOnce(&mut TxDesc)) {
    bench.post_pieces(0, &[frame], change);
    bench.settle();
    bench.completions(0);
}

fn plain(bench: &mut Bench, to: [u8; 6], len: usize) {
    let mut frame = bench.frame(to, len);
    frame[6..12].copy_from_slice(&bench.config.mac);
    post(bench, &frame, |_| {});
}

fn segmented(bench: &mut Bench) {
    let packet = from(bench.config.mac, Ip::v4(PEER, TCP, 250));
    post(bench, &packet.bytes, |desc| {
        desc.set_om(om::TSO);
        desc.set_hlen(54);
        desc.set_msscof(100);
    });
}

fn tagged(bench: &mut Bench) {
    let frame = bench.from_guest(90);
    post(bench, &frame, |desc| {
        desc.set_ti(true);
        desc.set_tci(5);
    });
}

fn unreadable(bench: &mut Bench) {
    let frame = bench.from_guest(90);
    post(bench, &frame, |desc| desc.set_addr(super::verbs::HOLE));
}

fn roomy() -> Setup {
    let mut setup = Setup { bytes: 160 << 10, ..Setup::unjudged() };
    setup.config.tx_buffer_bytes = 1024;
    setup
}

fn tx_counter(check: &mut Check, post: fn(&mut Bench), pairs: &'static [(usize, u64)]) {
    check.on(Target::Both, &roomy(), |check, bench| {
        bench.start();
        for round in 1..4 {
            post(bench);
            let found = words_tx(&bench.tx_stats(0));
            let expected = counters(pairs).map(|word| word * round);
            for (found, expected) in found.into_iter().zip(expected) {
                check.equal("VMX-STA-004", "counter", found, expected);
            }
            let received = words_rx(&bench.rx_stats(0));
            check.holds("VMX-STA-004", received == [0; 10], "and nothing counts as received");
        }
    });
}

fn discarded(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        bench.link(false);
        for _ in 0..4 {
            let frame = bench.from_guest(80);
            bench.send(0, &frame);
            bench.settle();
            check.equal("VMX-LIF-007", "completions while the link is down", bench.completions(0).len() as u64, 1u32);
        }
        let stats = bench.tx_stats(0);
        let failed = stats.pkts_tx_discard() + stats.pkts_tx_error();
        let sent = stats.ucast_pkts_tx_ok();
        check.equal("VMX-STA-004", "packets that were not sent, and those that were", failed + sent, 4u32);
        bench.link(true);
        plain(bench, PEER, 80);
        check.equal("VMX-STA-004", "packets sent since", bench.tx_stats(0).ucast_pkts_tx_ok() - sent, 1u32);
    });
}

/// Three frames to one kind of address, 99 to 101 bytes long.
fn rx_counter(check: &mut Check, to: Option<[u8; 6]>, pairs: &'static [(usize, u64)]) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let multicast = bench.layout.multicast;
        bench.store(multicast, &GROUP);
        bench.filter(|filter| filter.set_mf_table_len(6));
        for round in 1..4 {
            for len in [99, 100, 101] {
                let frame = bench.frame(to.unwrap_or(bench.config.mac), len);
                bench.offer(&frame);
                bench.settle();
            }
            check.equal("VMX-STA-005", "frames delivered", bench.received(0).len() as u64, 3u32);
            let found = words_rx(&bench.rx_stats(0));
            let expected = counters(pairs).map(|word| word * round);
            for (found, expected) in found.into_iter().zip(expected) {
                check.equal("VMX-STA-005", "counter", found, expected);
            }
            let sent = words_tx(&bench.tx_stats(0));
            check.holds("VMX-STA-005", sent == [0; 10], "and nothing counts as sent");
        }
    });
}

fn out_of_buffers(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let posted = u64::from(bench.layout.rx[0].ring_size[0] - 1);
        for _ in 0..posted + 7 {
            let frame = bench.to_guest(100);
            bench.offer(&frame);
            bench.settle();
        }
        let found = words_rx(&bench.rx_stats(0));
        let expected = counters(&[(2, posted), (3, 100 * posted), (8, 7)]);
        check.holds("VMX-STA-005", found == expected, "a frame that finds no buffer counts there and nowhere else");
        bench.received(0);
        let frame = bench.to_guest(100);
        check.holds("VMX-STA-005", bench.receives(&frame), "frames are received again");
        let dropped = bench.rx_stats(0).pkts_rx_out_of_buf();
        check.equal("VMX-STA-005", "pktsRxOutOfBuf then", dropped, 7u32);
    });
}

fn several_buffers(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for len in [300, 600, 900] {
            let frame = bench.to_guest(len);
            check.holds("VMX-STA-005", bench.receives(&frame), "a frame of several buffers is received");
        }
        let found = words_rx(&bench.rx_stats(0));
        check.holds("VMX-STA-005", found == counters(&[(2, 3), (3, 1800)]), "it counts once, with all of its bytes");
    });
}

fn each_queue(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(4), |check, bench| {
        bench.start();
        for queue in 0..4usize {
            for _ in 0..=queue {
                let frame = bench.from_guest(70 + queue);
                bench.send(queue, &frame);
                bench.settle();
                bench.completions(queue);
            }
        }
        for queue in 0..4 {
            let (count, len) = (queue as u64 + 1, 70 + queue as u64);
            let found = words_tx(&bench.tx_stats(queue));
            let expected = counters(&[(2, count), (3, count * len)]);
            check.holds("VMX-STA-004", found == expected, "each queue counts its own packets");
            let received = words_rx(&bench.rx_stats(queue));
            check.holds("VMX-STA-001", received == [0; 10], "and the blocks of RX queues are where they belong");
        }
    });
}

/// The block in memory is a copy of some moment.
fn told_when_asked(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        plain(bench, PEER, 80);
        check.equal("VMX-STA-006", "packets", bench.tx_stats(0).ucast_pkts_tx_ok(), 1u32);
        for _ in 0..5 {
            plain(bench, PEER, 80);
        }
        let pa = bench.layout.tx_queue_desc(0);
        let old = bench.get::<spec::vmxnet3::TxQueueDesc>(pa).stats();
        check.equal("VMX-STA-006", "packets, as nobody has asked since", old.ucast_pkts_tx_ok(), 1u32);
        check.equal("VMX-STA-006", "packets, asked again", bench.tx_stats(0).ucast_pkts_tx_ok(), 6u32);
        check.equal("VMX-STA-006", "and again, with nothing in between", bench.tx_stats(0).ucast_pkts_tx_ok(), 6u32);
    });
}

/// Linux asks behind QUIESCE_DEV, and wants what it was told last.
fn behind_quiesce(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        plain(bench, PEER, 80);
        let before = bench.tx_stats(0);
        plain(bench, PEER, 80);
        bench.command(Command::QuiesceDev);
        bench.seen();
        let after = bench.tx_stats(0);
        check.holds(
            "VMX-STA-006",
            after == before && !bench.wrote(),
            "an inactive device leaves the blocks as they are",
        );
    });
}

/// What the guest writes there is lost, and nothing comes of it.
fn guest_writes(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        plain(bench, PEER, 80);
        for fill in [0xff, 0x00, 0x5c] {
            bench.tx_desc(0, |desc| desc.set_stats(TxStats([fill; 80])));
            bench.rx_desc(0, |desc| desc.set_stats(RxStats([fill; 80])));
            let found = words_tx(&bench.tx_stats(0));
            check.holds("VMX-STA-006", found == counters(&[(2, 1), (3, 80)]), "a block is written whole, not added to");
            check.holds("VMX-STA-006", words_rx(&bench.rx_stats(0)) == [0; 10], "each way");
        }
    });
}

/// Counters go on over commands that leave the device active.
fn across_commands(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for (round, command) in (1u64..).zip([
            Command::UpdateRxMode,
            Command::UpdateMacFilters,
            Command::UpdateVlanFilters,
            Command::UpdateFeature,
            Command::UpdateIml,
            Command::GetQueueStatus,
            Command::GetLink,
        ]) {
            check.holds("VMX-STA-002", bench.serves(), "traffic flows");
            bench.command(command);
            bench.settle();
            check.equal("VMX-STA-002", "packets sent", bench.tx_stats(0).ucast_pkts_tx_ok(), round);
            check.equal("VMX-STA-002", "frames received", bench.rx_stats(0).ucast_pkts_rx_ok(), round);
        }
    });
}

/// A whole ring without an end: the queue stops.
fn stop_queue(bench: &mut Bench) {
    let mut last = 0;
    for _ in 0..bench.layout.tx[0].ring_size {
        let desc = bench.piece(0, &[0; 64]);
        last = bench.post_cell(0, desc);
    }
    // All but the last are rung for: an index that has gone round says nothing.
    bench.write0(Bar0::TxProd(0), last);
    bench.settle();
}

fn events_add_up(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        bench.link(false);
        check.equal("VMX-EVT-002", "events", bench.events(), ecr::LINK);
        let pa = bench.layout.shared + ECR_OFFSET;
        bench.put(pa, ecr::LINK | ecr::DEBUG);
        bench.link(true);
        check.equal("VMX-EVT-002", "events, with one that was pending", bench.events(), ecr::LINK | ecr::DEBUG);
        check.equal("VMX-EVT-002", "ECR", bench.read1(Bar1::Ecr), ecr::LINK | ecr::DEBUG);
        bench.write1(Bar1::Ecr, ecr::DEBUG);
        check.equal("VMX-EVT-002", "events, one of them cleared", bench.events(), ecr::LINK);
    });
}

fn cleared_one_by_one(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let pa = bench.layout.shared + ECR_OFFSET;
        let all = [ecr::RQERR, ecr::TQERR, ecr::LINK, ecr::DIC, ecr::DEBUG];
        for first in 0..5 {
            let mut left = all.iter().fold(0, |word, bit| word | bit);
            bench.put(pa, left);
            for turn in 0..5 {
                let bit = all[(first + turn) % 5];
                bench.write1(Bar1::Ecr, bit);
                left &= !bit;
                check.equal("VMX-REG-012", "events left", bench.events(), left);
                check.equal("VMX-EVT-002", "ECR", bench.read1(Bar1::Ecr), left);
            }
        }
    });
}

/// The driver reads, an event comes, the driver clears what it read.
fn behind_its_clearing(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let pa = bench.layout.shared + ECR_OFFSET;
        bench.put(pa, ecr::DIC);
        let read = bench.events();
        bench.link(false);
        bench.write1(Bar1::Ecr, read);
        check.equal("VMX-EVT-002", "events left", bench.events(), ecr::LINK);
        bench.acknowledge();
        check.equal("VMX-EVT-002", "events, all cleared", bench.events(), 0u32);
        bench.link(true);
        check.equal("VMX-EVT-002", "events behind that", bench.events(), ecr::LINK);
    });
}

fn not_pending(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        bench.acknowledge();
        bench.settle();
        bench.seen();
        for bits in [ecr::LINK, 0, ecr::RQERR | ecr::TQERR, u32::MAX] {
            bench.write1(Bar1::Ecr, bits);
            bench.settle();
            check.equal("VMX-EVT-002", "events", bench.events(), 0u32);
        }
        check.holds("VMX-EVT-002", bench.serves(), "clearing what is not there harms nothing");
    });
}

fn before_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        bench.settle();
        bench.seen();
        bench.link(false);
        bench.link(true);
        bench.link(false);
        check.holds("VMX-EVT-003", !bench.wrote() && bench.events() == 0, "no event is written before ACTIVATE_DEV");
        bench.activate();
        bench.to_target();
        check.equal("VMX-EVT-003", "events behind it", bench.events(), 0u32);
        check.equal("VMX-EVT-003", "the link, which drivers ask for then", bench.command(Command::GetLink) & 1, 0u32);
        bench.link(true);
        check.equal("VMX-EVT-003", "events of a change then", bench.events(), ecr::LINK);
    });
}

/// iPXE frees the shared area behind its stop, and leaves its address with the device.
fn behind(check: &mut Check, command: Command) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        (0..4).for_each(|vector| bench.unmask(vector));
        bench.command(command);
        bench.settle();
        bench.seen();
        for up in [false, true, false] {
            bench.link(up);
        }
        check.holds("VMX-EVT-003", !bench.wrote(), "no event is written behind a stop");
        bench.write1(Bar1::Ecr, u32::MAX);
        check.holds("VMX-EVT-003", !bench.wrote(), "nor is anything when ECR is written there");
        let silent = (0..8).all(|vector| bench.raised(vector) == 0);
        check.holds("VMX-EVT-003", silent, "and none is told");
    });
}

/// Whether the queue has stopped for want of an end.
fn has_stopped(bench: &mut Bench) -> bool {
    let status = bench.tx_status(0);
    status.stopped() == 1 && status.error() == QueueError::NoEop.code()
}

fn error_and_reset(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for _ in 0..3 {
            stop_queue(bench);
            check.holds("VMX-EVT-005", has_stopped(bench), "the queue has stopped");
            bench.command(Command::QuiesceDev);
            bench.command(Command::ResetDev);
            check.equal("VMX-EVT-005", "answer of ACTIVATE_DEV", bench.restart(), 0u32);
            check.equal("VMX-EVT-005", "events then", bench.events(), 0u32);
            check.holds("VMX-EVT-005", !has_stopped(bench) && bench.serves(), "as Linux resets it, service is back");
        }
    });
}

fn error_and_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        for _ in 0..3 {
            stop_queue(bench);
            check.holds("VMX-EVT-005", has_stopped(bench), "the queue has stopped");
            bench.command(Command::QuiesceDev);
            check.equal("VMX-EVT-005", "answer of ACTIVATE_DEV", bench.restart(), 0u32);
            check.holds("VMX-EVT-005", !has_stopped(bench) && bench.serves(), "without RESET_DEV too");
        }
    });
}

fn error_once(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let vector = bench.config.event_vector();
        bench.unmask(vector);
        bench.settle();
        bench.seen();
        stop_queue(bench);
        check.equal("VMX-EVT-002", "events", bench.events(), ecr::TQERR);
        check.equal("VMX-EVT-002", "raises", bench.raised(u16::from(vector)), 1u32);
        bench.acknowledge();
        bench.unmask(vector);
        bench.settle();
        bench.seen();
        for value in [0, 5, 31] {
            bench.write0(Bar0::TxProd(0), value);
            bench.settle();
        }
        check.equal("VMX-EVT-004", "events behind more doorbells", bench.events(), 0u32);
        check.holds("VMX-EVT-004", bench.sent().is_empty() && has_stopped(bench), "a queue that stopped stays so");
    });
}

fn link_while_masked(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let vector = bench.config.event_vector();
        bench.settle();
        bench.seen();
        bench.link(false);
        bench.link(true);
        check.equal("VMX-EVT-001", "raises while masked", bench.raised(u16::from(vector)), 0u32);
        check.equal("VMX-EVT-001", "events", bench.events(), ecr::LINK);
        bench.unmask(vector);
        bench.settle();
        check.equal("VMX-EVT-001", "raises once unmasked", bench.raised(u16::from(vector)), 1u32);
    });
}

fn link_as_told(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        let up = bench.command(Command::GetLink);
        check.equal("VMX-CMD-008", "bit 0 while it is up", up & 1, 1u32);
        for _ in 0..3 {
            bench.link(false);
            let down = bench.command(Command::GetLink);
            check.equal("VMX-CMD-008", "bit 0 while it is down", down & 1, 0u32);
            let frame = bench.to_guest(80);
            check.holds("VMX-EVT-001", bench.refuses(&frame), "and nothing is received");
            bench.link(true);
            check.equal("VMX-CMD-008", "the answer when it is up again", bench.command(Command::GetLink), up);
            let frame = bench.to_guest(80);
            check.holds("VMX-EVT-001", bench.receives(&frame), "and frames are");
        }
    });
}
