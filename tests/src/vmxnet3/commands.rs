//! Commands: their answers in every state, and what they may not do.

use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, Bench, PERMANENT, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::shared::RX_FILTER_OFFSET;
use spec::vmxnet3::{Bar1, Command, TxQueueDesc};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "answers-without-a-shared-area",
        clauses: &["VMX-CMD-004", "VMX-CMD-008", "VMX-CMD-009"],
        unless: &[],
        needs: &[],
        run: answers_without_a_shared_area,
    },
    Case {
        id: "an-answer-stays",
        clauses: &["VMX-CMD-002"],
        unless: &[Deviation::CmdReadRecomputes],
        needs: &[],
        run: an_answer_stays,
    },
    Case { id: "stopping-answers-0", clauses: &["VMX-CMD-003"], unless: &[], needs: &[], run: stopping_answers_0 },
    Case {
        id: "updates-while-inactive",
        clauses: &["VMX-CMD-005"],
        unless: &[],
        needs: &[],
        run: updates_while_inactive,
    },
    Case { id: "unknown-commands", clauses: &["VMX-CMD-006"], unless: &[], needs: &[], run: unknown_commands },
    Case {
        id: "effects-end-with-the-write",
        clauses: &["VMX-CMD-001"],
        unless: &[],
        needs: &[],
        run: effects_end_with_the_write,
    },
];

const UPDATES: [Command; 7] = [
    Command::UpdateRxMode,
    Command::UpdateMacFilters,
    Command::UpdateVlanFilters,
    Command::UpdateRssidt,
    Command::UpdateIml,
    Command::UpdatePmcfg,
    Command::UpdateFeature,
];

/// The answers of everything that only asks.
fn ask(check: &mut Check, bench: &mut Bench, up: bool, clause: &'static str) {
    bench.seen();
    let link = bench.command(Command::GetLink);
    check.equal("VMX-CMD-008", "link", link & 1, u32::from(up));
    if up {
        let (found, expected) = (link >> 16, check.profile().link_up >> 16);
        check.equal("VMX-CMD-008", "speed in Mbit/s", found, expected);
    }
    let interrupts = bench.command(Command::GetConfIntr);
    check.holds("VMX-CMD-009", interrupts >> 4 == 0, "type and mask mode lie in bits 3:0");
    check.holds("VMX-CMD-009", interrupts >> 2 & 3 != 2, "the mask mode is never active");
    let low = bench.command(Command::GetPermMacLo);
    let high = bench.command(Command::GetPermMacHi);
    let [a, b, c, d, e, f] = PERMANENT;
    check.equal(clause, "permanent address, low", low, u32::from_le_bytes([a, b, c, d]));
    check.equal(clause, "permanent address, high", high, u32::from_le_bytes([e, f, 0, 0]));
    let device = bench.command(Command::GetDidLo);
    check.equal(clause, "device id", device, u32::from(spec::vmxnet3::DEVICE));
    check.holds(clause, bench.seen().is_empty(), "asking touches nothing");
}

fn answers_without_a_shared_area(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        ask(check, bench, true, "VMX-CMD-004");
        bench.link(false);
        ask(check, bench, false, "VMX-CMD-004");
        bench.link(true);
        bench.start();
        bench.settle();
        ask(check, bench, true, "VMX-CMD-004");
        bench.command(Command::ResetDev);
        bench.set_shared(0);
        ask(check, bench, true, "VMX-CMD-004");
    });
}

fn an_answer_stays(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let stays = |check: &mut Check, bench: &mut Bench, expected: u32| {
            for _ in 0..3 {
                bench.read1(Bar1::Macl);
                check.equal("VMX-CMD-002", "CMD", bench.read1(Bar1::Cmd), expected);
            }
        };
        let refused = bench.activate();
        check.holds("VMX-CMD-002", refused != 0, "ACTIVATE_DEV without a shared area is refused");
        stays(check, bench, refused);
        bench.start();
        stays(check, bench, 0);
        let up = bench.command(Command::GetLink);
        bench.link(false);
        stays(check, bench, up);
        let down = bench.command(Command::GetLink);
        bench.link(true);
        stays(check, bench, down);
        let low = bench.command(Command::GetPermMacLo);
        bench.set_mac([2, 0, 0, 0, 0, 9]);
        stays(check, bench, low);
    });
}

fn stopping_answers_0(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let stop = |check: &mut Check, bench: &mut Bench| {
            for command in [Command::QuiesceDev, Command::ResetDev, Command::QuiesceDev, Command::ResetDev] {
                let before = bench.command(Command::GetPermMacLo);
                check.holds("VMX-CMD-003", before != 0, "another answer stands before");
                check.equal("VMX-CMD-003", "answer", bench.command(command), 0u32);
            }
        };
        stop(check, bench);
        bench.activate();
        stop(check, bench);
        bench.start();
        stop(check, bench);
        bench.restart();
        let frame = bench.from_guest(100);
        bench.wire(false);
        bench.send(0, &frame);
        stop(check, bench);
        bench.wire(true);
        bench.set_shared(0);
        stop(check, bench);
    });
}

fn updates_while_inactive(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let update = |check: &mut Check, bench: &mut Bench| {
            bench.settle();
            let before = bench.memory().clone();
            bench.seen();
            for command in UPDATES.into_iter().chain([Command::GetStats, Command::GetQueueStatus]) {
                bench.command(command);
                bench.settle();
            }
            check.holds("VMX-CMD-005", *bench.memory() == before && !bench.wrote(), "memory is left as it is");
        };
        update(check, bench);
        bench.prepare();
        update(check, bench);
        bench.activate();
        bench.to_target();
        check.holds("VMX-CMD-005", bench.serves(), "the device works after it");
        bench.command(Command::QuiesceDev);
        update(check, bench);
        bench.set_shared(0);
        update(check, bench);
        bench.start();
        check.holds("VMX-CMD-005", bench.serves(), "the device works again");
    });
}

fn unknown_commands(check: &mut Check) {
    let codes = [0, 1, 0xcafe_000a, 0xcafe_00ff, 0xcaff_0000, 0xf00d_00ff, 0xf00d_ffff, 0xffff_ffff];
    let later = [Command::SetCoalesce, Command::GetTxdataDescSize, Command::GetMaxQueuesConf, Command::GetDcr0Reg];
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let send_all = |check: &mut Check, bench: &mut Bench| {
            bench.settle();
            let memory = bench.memory().clone();
            let configuration = bench.configuration();
            bench.seen();
            for code in codes.into_iter().chain(later.into_iter().map(Command::code)) {
                bench.command(Command::GetPermMacLo);
                bench.write1(Bar1::Cmd, code);
                bench.settle();
                if code >= 0xf00d_0000 {
                    check.equal("VMX-CMD-006", "answer of an unknown GET", bench.read1(Bar1::Cmd), 0u32);
                }
            }
            check.holds("VMX-CMD-006", bench.seen().is_empty() && *bench.memory() == memory, "nothing is touched");
            let same = bench.configuration() == configuration;
            check.holds("VMX-CMD-006", same, "the configuration is as it was");
        };
        send_all(check, bench);
        bench.start();
        check.holds("VMX-CMD-006", bench.serves(), "traffic flows");
        send_all(check, bench);
        check.holds("VMX-CMD-006", bench.serves(), "traffic still flows");
        bench.command(Command::QuiesceDev);
        send_all(check, bench);
    });
}

/// What a command does is done when the vCPU goes on: nothing else gets a step in between.
fn effects_end_with_the_write(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        check.holds("VMX-CMD-001", bench.serves(), "traffic flows");
        bench.tx_desc(0, |desc| desc.set_stats(spec::vmxnet3::TxStats([0xff; 80])));
        bench.write1(Bar1::Cmd, Command::GetStats.code());
        let desc: TxQueueDesc = bench.get(bench.layout.tx_queue_desc(0));
        check.equal("VMX-CMD-001", "packets sent, behind GET_STATS", desc.stats().ucast_pkts_tx_ok(), 1u32);
        let mode = bench.layout.shared + RX_FILTER_OFFSET;
        bench.put(mode, rx_mode::BCAST);
        bench.write1(Bar1::Cmd, Command::UpdateRxMode.code());
        let frame = bench.to_guest(90);
        check.holds("VMX-CMD-001", bench.refuses(&frame), "the mode counts for the next frame");
        bench.put(mode, ADDRESSED);
        bench.write1(Bar1::Cmd, Command::UpdateRxMode.code());
        let frame = bench.to_guest(91);
        check.holds("VMX-CMD-001", bench.receives(&frame), "so does the next mode");
        bench.write1(Bar1::Cmd, Command::QuiesceDev.code());
        bench.settle();
        bench.seen();
        let before = bench.memory().clone();
        bench.offer(&frame);
        bench.settle();
        check.holds("VMX-CMD-001", bench.seen().is_empty() && *bench.memory() == before, "the device is quiet");
    });
}
