//! Stopping, and what counts when: quiet after QUIESCE_DEV, masks after RESET_DEV, changes from their command on, the link.

use crate::case::{Case, Check, Need, Target};
use crate::rig::{ADDRESSED, Bench, PEER, Setup};
use model::guest::traffic::Traffic;
use model::host::Bare;
use model::memory::Memory;
use model::plane::{Activation, Interrupts, Request, TxSetup, VectorProgress};
use model::vmxnet3::Body;
use spec::profile::Deviation;
use spec::vmxnet3::command::{ecr, feature, rx_mode};
use spec::vmxnet3::shared::{RX_FILTER_OFFSET, UPT_FEATURES_OFFSET};
use spec::vmxnet3::{Bar0, Command, MAX_VECTORS, RxFilterConf};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "quiet-after-a-stop",
        clauses: &["VMX-LIF-001", "VMX-LIF-005"],
        unless: &[],
        needs: &[],
        run: quiet_after_a_stop,
    },
    Case {
        id: "reset-masks-and-forgets",
        clauses: &["VMX-LIF-004"],
        unless: &[],
        needs: &[],
        run: reset_masks_and_forgets,
    },
    Case {
        id: "reset-lowers-the-line",
        clauses: &["VMX-LIF-004"],
        unless: &[],
        needs: &[Need::Inside],
        run: reset_lowers_the_line,
    },
    Case {
        id: "changes-wait-for-a-command",
        clauses: &["VMX-LIF-006"],
        unless: &[],
        needs: &[],
        run: changes_wait_for_a_command,
    },
    Case { id: "link-down", clauses: &["VMX-LIF-007"], unless: &[], needs: &[], run: link_down },
    Case {
        id: "link-down-across-a-switch",
        clauses: &["VMX-LIF-007"],
        unless: &[],
        needs: &[Need::Moves],
        run: link_down_across_a_switch,
    },
    Case { id: "link-event", clauses: &["VMX-EVT-001", "VMX-EVT-006"], unless: &[], needs: &[], run: link_event },
];

fn quiet_after_a_stop(check: &mut Check) {
    for command in [Command::QuiesceDev, Command::ResetDev] {
        check.on(Target::Both, &Setup::default(), |check, bench| {
            bench.start();
            check.holds("VMX-LIF-001", bench.serves(), "traffic flows before");
            bench.wire(false);
            for _ in 0..4 {
                let frame = bench.from_guest(90);
                bench.send(0, &frame);
                let frame = bench.to_guest(91);
                bench.offer(&frame);
            }
            bench.command(command);
            bench.seen();
            let before = bench.memory().clone();
            bench.wire(true);
            bench.write0(Bar0::TxProd(0), 9);
            bench.write0(Bar0::RxProd(0), 9);
            let frame = bench.to_guest(92);
            bench.offer(&frame);
            bench.settle();
            check.holds("VMX-LIF-001", bench.seen().is_empty(), "no memory, no frame, no interrupt");
            bench.link(false);
            bench.link(true);
            check.holds("VMX-LIF-005", bench.seen().is_empty(), "no event is written");
            check.holds("VMX-LIF-001", *bench.memory() == before, "memory is as the command left it");
        });
    }
}

fn reset_masks_and_forgets(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let vectors = check.profile().width(1).vectors;
        // Vector 0 has a cause and is masked; the others are open.
        check.holds("VMX-LIF-004", bench.serves(), "traffic flows");
        (1..vectors).for_each(|vector| bench.unmask(vector));
        bench.command(Command::ResetDev);
        for vector in 0..vectors {
            check.equal("VMX-LIF-004", "IMR", bench.read0(Bar0::Imr(vector)), 1u32);
        }
        let shared = bench.layout.shared;
        bench.set_shared(shared);
        bench.write_structures();
        bench.activate();
        bench.seen();
        (0..vectors).for_each(|vector| bench.unmask(vector));
        bench.settle();
        check.holds(
            "VMX-LIF-004",
            (0..MAX_VECTORS as u16).all(|vector| bench.raised(vector) == 0),
            "no cause was remembered",
        );
    });
}

/// The line is the software body's alone: it is asked directly.
fn reset_lowers_the_line(check: &mut Check) {
    let mut host = Bare::new(Memory::new(&[(0, 0x2000)]));
    let tx = TxSetup { ring_pa: 0, ring_size: 32, comp_pa: 0x400, comp_size: 32, vector: 0 };
    let rx =
        model::plane::RxSetup { ring_pa: [0x800, 0], ring_size: [32, 0], comp_pa: 0xc00, comp_size: 32, vector: 0 };
    let activation =
        Activation { tx: vec![tx], rx: vec![rx], interrupts: Interrupts::Line, mtu: 1500, ..Activation::default() };
    let mut vectors = [VectorProgress::default(); MAX_VECTORS];
    vectors[0].masked = false;
    let mut body = Body::resting(check.device(), vectors);
    body.plant(check.planted());
    body.serve(Request::Start(Box::new(activation)), &mut host);
    body.serve(Request::Raise(0), &mut host);
    body.run(&mut host, 100);
    check.holds("VMX-LIF-004", host.line, "a cause asserts the line");
    body.serve(Request::Reset, &mut host);
    check.holds("VMX-LIF-004", !host.line, "RESET_DEV lowers the line");
    check.holds("VMX-LIF-004", body.vectors().iter().all(|v| v.masked && !v.pending), "masks are set, causes gone");
}

fn changes_wait_for_a_command(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let filter_pa = bench.layout.shared + RX_FILTER_OFFSET;
        let change = |bench: &mut Bench, set: &dyn Fn(&mut RxFilterConf)| {
            let mut filter: RxFilterConf = bench.get(filter_pa);
            set(&mut filter);
            bench.put(filter_pa, filter);
        };
        change(bench, &|filter| filter.set_rx_mode(rx_mode::BCAST));
        let frame = bench.to_guest(70);
        check.holds("VMX-LIF-006", bench.receives(&frame), "rxMode waits for UPDATE_RX_MODE");
        bench.command(Command::UpdateVlanFilters);
        bench.command(Command::UpdateMacFilters);
        let frame = bench.to_guest(71);
        check.holds("VMX-LIF-006", bench.receives(&frame), "and is not taken by another command");
        bench.command(Command::UpdateRxMode);
        let frame = bench.to_guest(72);
        check.holds("VMX-LIF-006", bench.refuses(&frame), "it counts from UPDATE_RX_MODE on");
        change(bench, &|filter| filter.set_rx_mode(ADDRESSED));
        bench.command(Command::UpdateRxMode);

        let group = Traffic::group(3);
        let multicast = bench.layout.multicast;
        bench.store(multicast, &group);
        change(bench, &|filter| filter.set_mf_table_len(6));
        let frame = bench.frame(group, 73);
        check.holds("VMX-LIF-006", bench.refuses(&frame), "the multicast list waits");
        bench.command(Command::UpdateMacFilters);
        bench.store(multicast, &Traffic::group(4));
        let frame = bench.frame(group, 74);
        check.holds("VMX-LIF-006", bench.receives(&frame), "UPDATE_MAC_FILTERS copied it, and not later");

        let count = |bench: &mut Bench, vid: u16| {
            let frame = bench.tagged(vid, 75);
            bench.offer(&frame);
            bench.settle();
            bench.received(0)
        };
        change(bench, &|filter| {
            let mut table = [0; 128];
            table[0] = 1 << 5;
            filter.set_vf_table(table);
        });
        if !check.profile().has(Deviation::ZeroVlanTableDrops) {
            check.equal("VMX-LIF-006", "frames before UPDATE_VLAN_FILTERS", count(bench, 6).len() as u64, 1u32);
        }
        bench.command(Command::UpdateVlanFilters);
        check.equal("VMX-LIF-006", "frames behind it", count(bench, 6).len() as u64, 0u32);
        bench.put(bench.layout.shared + UPT_FEATURES_OFFSET, feature::RXCSUM);
        let stripped = |got: &[(Vec<u8>, spec::vmxnet3::RxCompDesc)]| got.iter().any(|(_, last)| last.ts());
        let got = count(bench, 5);
        check.holds("VMX-LIF-006", stripped(&got), "stripping goes on until UPDATE_FEATURE");
        bench.command(Command::UpdateFeature);
        let got = count(bench, 5);
        check.holds("VMX-LIF-006", got.len() == 1 && !stripped(&got), "and ends with it");
    });
}

/// With the link down: what is posted is completed, nothing is received.
fn dark(check: &mut Check, bench: &mut Bench) {
    let frame = bench.from_guest(100);
    let index = bench.send(0, &frame);
    bench.settle();
    let done = bench.completions(0);
    let completed = matches!(done[..], [(_, completion)] if u32::from(completion.txd_idx()) == index);
    check.holds("VMX-LIF-007", completed, "a packet posted is completed");
    let frame = bench.to_guest(101);
    check.holds("VMX-LIF-007", bench.refuses(&frame), "nothing is received");
}

fn link_down(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        check.holds("VMX-LIF-007", bench.serves(), "traffic flows while the link is up");
        bench.link(false);
        dark(check, bench);
        bench.link(true);
        check.holds("VMX-LIF-007", bench.serves(), "traffic flows when it is up again");
        bench.link(false);
        bench.command(Command::QuiesceDev);
        bench.write_structures();
        bench.activate();
        dark(check, bench);
    });
}

/// The link is a fact of the outside: which body works, and since when, does not change it.
fn link_down_across_a_switch(check: &mut Check) {
    check.on(Target::Both, &Setup::unjudged(), |check, bench| {
        bench.start();
        bench.link(false);
        if bench.target == Target::Adapter {
            check.holds("VMX-LIF-007", bench.leave(), "the device comes back to software");
            dark(check, bench);
        } else {
            let entered = bench.switch(model::migrate::Plan::enter(model::migrate::TxMode::Drain));
            check.holds("VMX-LIF-007", entered == Some(model::migrate::Outcome::Done), "the device enters hardware");
            dark(check, bench);
        }
        bench.link(true);
        check.holds("VMX-LIF-007", bench.serves(), "traffic flows when it is up again");
        bench.command(Command::QuiesceDev);
        bench.link(false);
        bench.function_reset();
        bench.prepare();
        bench.activate();
        check.equal("VMX-LIF-007", "link behind a function reset", bench.command(Command::GetLink) & 1, 0u32);
        dark(check, bench);
    });
}

fn link_event(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        let vector = bench.config.event_vector();
        for up in [false, true] {
            bench.acknowledge();
            bench.unmask(vector);
            bench.settle();
            bench.seen();
            bench.link(up);
            check.equal("VMX-EVT-001", "events", bench.events(), ecr::LINK);
            check.equal("VMX-EVT-001", "raises of the event vector", bench.raised(u16::from(vector)), 1u32);
        }
        bench.acknowledge();
        bench.unmask(vector);
        bench.seen();
        bench.link(true);
        check.holds("VMX-EVT-006", bench.seen().is_empty(), "no change is no event");
        let frame = bench.frame(PEER, 60);
        check.holds("VMX-EVT-001", bench.refuses(&frame), "and the filter is as it was");
    });
}
