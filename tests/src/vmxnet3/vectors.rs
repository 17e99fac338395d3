//! Vectors one by one: each row of the table of masking, with and without auto-mask, who names which vector, and the INTx line.
//!
//! Source: vmxnet3_defs.h, VMXNET3_REG_IMR, VMXNET3_IMM_AUTO; linux vmxnet3_drv.c, vmxnet3_poll_rx_only, vmxnet3_intr.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Seen, Setup};
use model::guest::vmxnet3::Vectors;
use spec::profile::Deviation;
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::shared::INTR_CONF_OFFSET;
use spec::vmxnet3::{Bar0, Bar1, Command, IntrConf};

const FORGETS: &[Deviation] = &[Deviation::UnmaskForgetsAutoMask];

pub(crate) const CASES: &[Case] = &[
    Case::new("a-cause-while-unmasked", &["VMX-INT-001", "VMX-INT-003"], |check| unmasked(check, false)),
    Case::new("a-cause-while-unmasked-with-auto-mask", &["VMX-INT-001", "VMX-INT-003"], |check| unmasked(check, true)),
    Case::new("a-cause-while-masked", &["VMX-INT-002"], |check| masked(check, false)).unless(FORGETS),
    Case::new("a-cause-while-masked-with-auto-mask", &["VMX-INT-002"], |check| masked(check, true)).unless(FORGETS),
    Case::new("unmasked-without-a-cause", &["VMX-INT-008"], |check| no_cause(check, false)),
    Case::new("unmasked-without-a-cause-with-auto-mask", &["VMX-INT-008"], |check| no_cause(check, true)),
    Case::new("masked-and-unmasked-again", &["VMX-INT-008"], |check| toggled(check, false)),
    Case::new("masked-and-unmasked-again-with-auto-mask", &["VMX-INT-008"], |check| toggled(check, true)),
    Case::new("several-causes-are-one", &["VMX-INT-002"], |check| several_causes(check, false)).unless(FORGETS),
    Case::new("several-causes-are-one-with-auto-mask", &["VMX-INT-002"], |check| several_causes(check, true))
        .unless(FORGETS),
    Case::new("a-cause-behind-the-last-poll", &["VMX-INT-009"], behind_the_last_poll).unless(FORGETS),
    Case::new("masked-behind-a-stop", &["VMX-INT-010"], masked_behind_a_stop).unless(&[Deviation::InactiveBar0Dropped]),
    Case::new("masks-of-other-vectors", &["VMX-INT-008"], other_vectors).unless(FORGETS),
    Case::new("a-vector-a-direction", &["VMX-INT-001"], a_vector_a_direction),
    Case::new("one-vector-for-all", &["VMX-INT-001"], one_vector_for_all),
    Case::new("a-vector-a-queue", &["VMX-INT-001"], a_vector_a_queue),
    Case::new("no-vector-for-packets-sent", &["VMX-INT-001"], nobodys_vector),
    Case::new("no-completion-no-cause", &["VMX-INT-001"], no_completion).unless(&[Deviation::CompletesUnasked]),
    Case::new("a-frame-refused-is-no-cause", &["VMX-INT-001"], refused_frame),
    Case::new("completions-before-their-interrupt", &["VMX-INT-006"], completion_first),
    Case::new("moderation-levels", &["VMX-INT-011"], moderation),
    Case::new("moderation-that-changes", &["VMX-INT-011"], moderation_changes),
    Case::new("disabled-at-activation", &["VMX-INT-005"], disabled_at_activation),
    Case::new("disabled-and-enabled-in-memory", &["VMX-INT-005"], disabled_in_memory),
    Case::new("icr-of-no-line", &["VMX-REG-015"], icr_of_no_line),
    Case::new("a-line-until-it-is-read", &["VMX-INT-004"], |check| line(check, false)),
    Case::new("a-line-until-it-is-read-with-auto-mask", &["VMX-INT-004"], |check| line(check, true)),
    Case::new("a-line-of-somebody-else", &["VMX-INT-004"], somebody_elses_line),
    Case::new("a-line-that-is-masked", &["VMX-INT-004"], masked_line),
    Case::new("a-line-behind-a-reset", &["VMX-INT-004", "VMX-LIF-004"], line_behind_a_reset),
    Case::new("events-on-the-line", &["VMX-INT-004", "VMX-EVT-001"], events_on_the_line),
];

fn auto(auto_mask: bool) -> Setup {
    let mut setup = Setup::default();
    setup.config.auto_mask = auto_mask;
    setup
}

/// A frame arrives and is polled for.
fn receive(bench: &mut Bench) {
    let frame = bench.to_guest(90);
    bench.offer(&frame);
    bench.settle();
    bench.received(0);
}

/// Unmasks vector 0 for good, whatever cause it remembers, and forgets what came of it.
pub(super) fn open(bench: &mut Bench) {
    for _ in 0..2 {
        bench.unmask(0);
        bench.settle();
    }
    bench.seen();
}

fn mask(bench: &mut Bench) -> u32 {
    bench.read0(Bar0::Imr(0))
}

fn unmasked(check: &mut Check, auto_mask: bool) {
    check.on(Target::Both, &auto(auto_mask), |check, bench| {
        bench.start();
        for _ in 0..4 {
            open(bench);
            receive(bench);
            check.equal("VMX-INT-001", "raises", bench.raised(0), 1u32);
            check.equal("VMX-INT-003", "IMR behind one", mask(bench), u32::from(auto_mask));
            bench.seen();
            receive(bench);
            check.equal("VMX-INT-001", "raises of the next", bench.raised(0), u64::from(!auto_mask));
        }
    });
}

fn masked(check: &mut Check, auto_mask: bool) {
    check.on(Target::Both, &auto(auto_mask), |check, bench| {
        bench.start();
        for _ in 0..4 {
            bench.write0(Bar0::Imr(0), 1);
            mask(bench);
            bench.seen();
            receive(bench);
            check.equal("VMX-INT-002", "raises while masked", bench.raised(0), 0u32);
            check.equal("VMX-INT-002", "IMR", mask(bench), 1u32);
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-002", "raises at the unmask", bench.raised(0), 1u32);
            check.equal("VMX-INT-002", "IMR behind it", mask(bench), u32::from(auto_mask));
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-002", "raises in all, unmasked again", bench.raised(0), 1u32);
        }
    });
}

fn no_cause(check: &mut Check, auto_mask: bool) {
    check.on(Target::Both, &auto(auto_mask), |check, bench| {
        bench.start();
        for _ in 0..5 {
            bench.seen();
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-008", "raises", bench.raised(0), 0u32);
            check.equal("VMX-INT-008", "IMR", mask(bench), 0u32);
        }
        receive(bench);
        check.equal("VMX-INT-008", "raises of a cause then", bench.raised(0), 1u32);
    });
}

fn toggled(check: &mut Check, auto_mask: bool) {
    check.on(Target::Both, &auto(auto_mask), |check, bench| {
        bench.start();
        bench.seen();
        for _ in 0..6 {
            for written in [1, 1, 0, 0, 1, 0] {
                bench.write0(Bar0::Imr(0), written);
                check.equal("VMX-INT-008", "IMR", mask(bench), written);
            }
        }
        bench.settle();
        check.equal("VMX-INT-008", "raises", bench.raised(0), 0u32);
        receive(bench);
        check.equal("VMX-INT-008", "raises of a cause", bench.raised(0), 1u32);
    });
}

fn several_causes(check: &mut Check, auto_mask: bool) {
    check.on(Target::Both, &auto(auto_mask), |check, bench| {
        bench.start();
        for count in [2, 5, 20] {
            bench.write0(Bar0::Imr(0), 1);
            mask(bench);
            bench.seen();
            (0..count).for_each(|_| receive(bench));
            let frame = bench.from_guest(80);
            bench.send(0, &frame);
            bench.settle();
            bench.completions(0);
            check.equal("VMX-INT-002", "raises while masked", bench.raised(0), 0u32);
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-002", "raises once unmasked", bench.raised(0), 1u32);
        }
    });
}

/// NAPI: the vector has masked itself, the ring is polled empty, a frame comes, then it is unmasked and nobody looks again.
fn behind_the_last_poll(check: &mut Check) {
    check.on(Target::Both, &auto(true), |check, bench| {
        bench.start();
        open(bench);
        for _ in 0..10 {
            receive(bench);
            check.equal("VMX-INT-009", "raises of the first frame", bench.raised(0), 1u32);
            let late = bench.to_guest(91);
            bench.offer(&late);
            bench.settle();
            bench.seen();
            bench.unmask(0);
            bench.settle();
            check.equal("VMX-INT-009", "raises of the one behind the poll", bench.raised(0), 1u32);
            check.equal("VMX-INT-009", "frames then", bench.received(0).len() as u64, 1u32);
            open(bench);
        }
    });
}

/// Linux masks behind QUIESCE_DEV, and unmasks behind the next activation.
fn masked_behind_a_stop(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        open(bench);
        receive(bench);
        bench.command(Command::QuiesceDev);
        for vector in 0..check.profile().width(1).vectors.min(8) {
            bench.write0(Bar0::Imr(vector), 1);
            check.equal("VMX-INT-010", "IMR written while inactive", bench.read0(Bar0::Imr(vector)), 1u32);
        }
        bench.restart();
        bench.seen();
        let frame = bench.to_guest(90);
        bench.offer(&frame);
        bench.settle();
        check.equal("VMX-INT-010", "raises behind the next activation", bench.raised(0), 0u32);
        bench.unmask(0);
        bench.settle();
        check.equal("VMX-INT-010", "raises at its unmask", bench.raised(0), 1u32);
    });
}

fn other_vectors(check: &mut Check) {
    check.on(Target::Both, &Setup::default().queues(2), |check, bench| {
        bench.start();
        let vectors = check.profile().width(1).vectors.min(12);
        for vector in 0..vectors {
            bench.unmask(vector);
            let open = (0..vectors).filter(|&other| bench.read0(Bar0::Imr(other)) == 0).count();
            check.equal("VMX-INT-008", "vectors unmasked so far", open as u64, u64::from(vector) + 1);
        }
        bench.write0(Bar0::Imr(1), 1);
        bench.read0(Bar0::Imr(1));
        bench.settle();
        bench.seen();
        for queue in 0..2 {
            let frame = bench.from_guest(80 + queue);
            bench.send(queue, &frame);
        }
        bench.settle();
        check.equal("VMX-INT-008", "raises of the open vector", bench.raised(0), 1u32);
        check.equal("VMX-INT-008", "raises of the masked one", bench.raised(1), 0u32);
    });
}

/// Everything raised since the record was last taken.
fn all_raised(bench: &mut Bench) -> Vec<u16> {
    let vector = |seen| if let Seen::Vector(vector) = seen { Some(vector) } else { None };
    let mut all: Vec<u16> = bench.seen().into_iter().filter_map(vector).collect();
    all.sort_unstable();
    all
}

/// A setup with vectors spread so, and every one of the first unmasked.
fn spread(vectors: Vectors, queues: u8) -> Setup {
    let mut setup = Setup::default().queues(queues);
    setup.config.vectors = vectors;
    setup
}

/// As [`open`], of the first ten.
fn open_all(bench: &mut Bench) {
    for _ in 0..2 {
        (0..10).for_each(|vector| bench.unmask(vector));
        bench.settle();
    }
    bench.seen();
}

fn a_vector_a_direction(check: &mut Check) {
    check.on(Target::Both, &spread(Vectors::Separate, 1), |check, bench| {
        bench.start();
        for _ in 0..3 {
            open_all(bench);
            let frame = bench.from_guest(80);
            bench.send(0, &frame);
            bench.settle();
            check.holds("VMX-INT-001", all_raised(bench) == [0], "what is sent raises the vector of the TX queue");
            receive(bench);
            check.holds("VMX-INT-001", all_raised(bench) == [1], "what is received that of the RX queue");
            bench.link(false);
            check.holds("VMX-INT-001", all_raised(bench) == [2], "and an event its own");
            bench.acknowledge();
            bench.unmask(2);
            bench.link(true);
            bench.acknowledge();
        }
    });
}

fn one_vector_for_all(check: &mut Check) {
    check.on(Target::Both, &spread(Vectors::Single, 2), |check, bench| {
        bench.start();
        for queue in [0, 1, 0] {
            open_all(bench);
            let frame = bench.from_guest(80);
            bench.send(queue, &frame);
            bench.settle();
            check.holds("VMX-INT-001", all_raised(bench) == [0], "every queue names vector 0");
            open_all(bench);
            receive(bench);
            check.holds("VMX-INT-001", all_raised(bench) == [0], "each way");
            open_all(bench);
            bench.link(queue == 1);
            check.holds("VMX-INT-001", all_raised(bench).iter().all(|&vector| vector == 0), "events too");
            bench.acknowledge();
            bench.link(true);
            bench.acknowledge();
        }
    });
}

fn a_vector_a_queue(check: &mut Check) {
    check.on(Target::Both, &spread(Vectors::Separate, 4), |check, bench| {
        bench.start();
        for queue in [3, 0, 2, 1, 1, 3] {
            open_all(bench);
            let frame = bench.from_guest(80 + queue);
            bench.send(queue, &frame);
            bench.settle();
            check.holds("VMX-INT-001", all_raised(bench) == [queue as u16], "each queue raises its own vector alone");
        }
    });
}

/// As FreeBSD has it: TX queues name a vector that is not there, or that nobody opens.
fn nobodys_vector(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        let last = check.profile().width(1).vectors - 1;
        for vector in [last, 24, 200] {
            bench.command(Command::QuiesceDev);
            bench.prepare();
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_intr_idx(vector);
                desc.set_conf(conf);
            });
            if bench.activate() != 0 {
                check.holds("VMX-INT-001", vector > last, "a vector there is is taken");
                continue;
            }
            bench.to_target();
            open(bench);
            for _ in 0..40 {
                let frame = bench.from_guest(70);
                bench.send(0, &frame);
                bench.settle();
                check.equal("VMX-INT-001", "completions", bench.completions(0).len() as u64, 1u32);
            }
            check.holds("VMX-INT-001", all_raised(bench).is_empty(), "what nobody opens is silent");
            receive(bench);
            check.equal("VMX-INT-001", "raises of what is received", bench.raised(0), 1u32);
        }
    });
}

fn no_completion(check: &mut Check) {
    check.on(Target::Both, &spread(Vectors::Separate, 1), |check, bench| {
        bench.start();
        open_all(bench);
        for asked in [false, false, true] {
            let frame = bench.from_guest(80);
            let mut desc = bench.piece(0, &frame);
            desc.set_eop(true);
            desc.set_cq(asked);
            bench.post_cell(0, desc);
            bench.ring(0);
            bench.settle();
            check.equal("VMX-INT-001", "raises", all_raised(bench).len() as u64, u64::from(asked));
        }
    });
}

fn refused_frame(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        open(bench);
        for _ in 0..5 {
            let frame = bench.frame([0x02, 8, 8, 8, 8, 8], 90);
            check.holds("VMX-INT-001", bench.refuses(&frame), "a frame for somebody else is not received");
            check.equal("VMX-INT-001", "raises", bench.raised(0), 0u32);
        }
        receive(bench);
        check.equal("VMX-INT-001", "raises of one for this guest", bench.raised(0), 1u32);
    });
}

/// The guest looks at its ring the moment an interrupt comes: what it is told of has to be there.
fn completion_first(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for round in 0..12 {
            open(bench);
            let frame = bench.to_guest(60 + 40 * round);
            let packet = bench.from_guest(60 + round);
            bench.offer(&frame);
            bench.send(0, &packet);
            bench.settle();
            if bench.raised(0) > 0 {
                let told = bench.received(0).len() + bench.completions(0).len();
                check.holds("VMX-INT-006", told > 0, "behind an interrupt there is something to find");
            }
            bench.received(0);
            bench.completions(0);
        }
        check.holds("VMX-INT-006", bench.serves(), "traffic flows");
    });
}

/// Sets every level of moderation in the shared area.
pub(super) fn set_levels(bench: &mut Bench, level: u8) {
    let pa = bench.layout.shared + INTR_CONF_OFFSET;
    let mut conf: IntrConf = bench.get(pa);
    conf.set_mod_levels([level; 25]);
    bench.put(pa, conf);
}

/// Whether a frame raises its vector.
fn tells(bench: &mut Bench) -> bool {
    open(bench);
    receive(bench);
    bench.raised(0) == 1
}

fn moderation(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        for level in [0, 1, 4, 7, 8, 9, u8::MAX] {
            bench.command(Command::QuiesceDev);
            bench.prepare();
            set_levels(bench, level);
            check.equal("VMX-INT-011", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
            bench.to_target();
            check.holds("VMX-INT-011", tells(bench) && tells(bench), "an interrupt comes, whatever its level");
        }
    });
}

fn moderation_changes(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for level in [0, 8, 7, 1, u8::MAX] {
            set_levels(bench, level);
            check.holds("VMX-INT-011", tells(bench), "an interrupt comes before UPDATE_IML");
            check.equal("VMX-INT-011", "answer of UPDATE_IML", bench.command(Command::UpdateIml), 0u32);
            bench.settle();
            check.holds("VMX-INT-011", tells(bench), "and behind it");
        }
    });
}

/// Sets DISABLE_ALL and numIntrs in the shared area; no command tells of it.
fn set_control(bench: &mut Bench, control: u32) {
    let pa = bench.layout.shared + INTR_CONF_OFFSET;
    let mut conf: IntrConf = bench.get(pa);
    conf.set_intr_ctrl(control);
    bench.put(pa, conf);
}

/// Linux activates with DISABLE_ALL, unmasks, and clears it in memory behind that.
fn disabled_at_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.prepare();
        set_control(bench, 1);
        check.equal("VMX-INT-005", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        bench.unmask(0);
        set_control(bench, 0);
        for _ in 0..3 {
            check.holds("VMX-INT-005", tells(bench), "what ACTIVATE_DEV saw there does not keep the vectors silent");
        }
    });
}

/// A driver masks and unmasks around it, as its disable-all and enable-all do.
fn disabled_in_memory(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for _ in 0..4 {
            set_control(bench, 1);
            bench.write0(Bar0::Imr(0), 1);
            mask(bench);
            bench.settle();
            bench.seen();
            receive(bench);
            check.equal("VMX-INT-005", "raises while all is disabled", bench.raised(0), 0u32);
            bench.unmask(0);
            set_control(bench, 0);
            bench.settle();
            check.holds("VMX-INT-005", tells(bench), "and when all is enabled, each cause is told");
        }
    });
}

/// With MSI-X there is no line to acknowledge.
fn icr_of_no_line(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        open(bench);
        receive(bench);
        check.equal("VMX-REG-015", "ICR", bench.read1(Bar1::Icr), 0u32);
        bench.unmask(0);
        bench.settle();
        for _ in 0..3 {
            check.equal("VMX-REG-015", "ICR of no cause", bench.read1(Bar1::Icr), 0u32);
            check.equal("VMX-REG-015", "IMR behind it", mask(bench), 0u32);
        }
        bench.write0(Bar0::Imr(0), 1);
        mask(bench);
        receive(bench);
        bench.read1(Bar1::Icr);
        bench.seen();
        bench.unmask(0);
        bench.settle();
        check.equal("VMX-REG-015", "raises of a cause that ICR was read over", bench.raised(0), 1u32);
    });
}

/// A guest that is told by its line.
fn lined(auto_mask: bool) -> Setup {
    let mut setup = Setup::unjudged();
    (setup.config.vectors, setup.config.auto_mask) = (Vectors::Intx, auto_mask);
    setup
}

/// The level of the line as last told, since the record was last taken.
fn level(bench: &Bench) -> Option<bool> {
    bench.device.seen().iter().rev().find_map(|seen| if let Seen::Line(level) = seen { Some(*level) } else { None })
}

fn line(check: &mut Check, auto_mask: bool) {
    check.on_line(&lined(auto_mask), |check, bench| {
        bench.start();
        for _ in 0..4 {
            open(bench);
            receive(bench);
            receive(bench);
            check.holds("VMX-INT-004", level(bench) == Some(true), "a cause raises the line, and it stays");
            check.equal("VMX-INT-004", "ICR", bench.read1(Bar1::Icr), 1u32);
            bench.settle();
            check.holds("VMX-INT-004", level(bench) == Some(false), "the read lowers it");
            check.equal("VMX-INT-004", "IMR", mask(bench), u32::from(auto_mask));
            check.equal("VMX-INT-004", "ICR read again", bench.read1(Bar1::Icr), 0u32);
            check.equal("VMX-INT-004", "vectors raised", bench.raised(0), 0u32);
        }
    });
}

fn somebody_elses_line(check: &mut Check) {
    check.on_line(&lined(true), |check, bench| {
        bench.start();
        open(bench);
        for _ in 0..3 {
            check.equal("VMX-INT-004", "ICR where the line is not ours", bench.read1(Bar1::Icr), 0u32);
            check.equal("VMX-INT-004", "IMR behind it", mask(bench), 0u32);
        }
        receive(bench);
        check.equal("VMX-INT-004", "ICR where it is", bench.read1(Bar1::Icr), 1u32);
    });
}

fn masked_line(check: &mut Check) {
    check.on_line(&lined(true), |check, bench| {
        bench.start();
        for _ in 0..3 {
            bench.write0(Bar0::Imr(0), 1);
            mask(bench);
            bench.seen();
            receive(bench);
            check.holds("VMX-INT-004", level(bench) != Some(true), "a masked line is not raised");
            bench.unmask(0);
            bench.settle();
            check.holds("VMX-INT-004", level(bench) == Some(true), "until it is unmasked");
            check.equal("VMX-INT-004", "ICR", bench.read1(Bar1::Icr), 1u32);
        }
    });
}

fn line_behind_a_reset(check: &mut Check) {
    check.on_line(&lined(true), |check, bench| {
        bench.start();
        for _ in 0..3 {
            open(bench);
            receive(bench);
            check.holds("VMX-INT-004", level(bench) == Some(true), "a cause raises the line");
            bench.command(Command::ResetDev);
            bench.settle();
            check.holds("VMX-LIF-004", level(bench) == Some(false), "RESET_DEV lowers it");
            check.equal("VMX-LIF-004", "ICR behind it", bench.read1(Bar1::Icr), 0u32);
            check.equal("VMX-LIF-004", "IMR behind it", mask(bench), 1u32);
            let shared = bench.layout.shared;
            bench.set_shared(shared);
            bench.restart();
        }
    });
}

fn events_on_the_line(check: &mut Check) {
    check.on_line(&lined(true), |check, bench| {
        bench.start();
        for up in [false, true] {
            open(bench);
            bench.link(up);
            check.holds("VMX-EVT-001", level(bench) == Some(true), "an event raises the line");
            check.equal("VMX-INT-004", "ICR", bench.read1(Bar1::Icr), 1u32);
            check.equal("VMX-EVT-001", "events", bench.events(), ecr::LINK);
            bench.acknowledge();
        }
    });
}
