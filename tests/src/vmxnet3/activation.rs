//! ACTIVATE_DEV: what it refuses, one step past each limit, and what it accepts.

use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, ANOTHER, Bench, Seen, Setup};
use model::guest::traffic::Traffic;
use spec::profile::Deviation;
use spec::vmxnet3::shared::RX_FILTER_OFFSET;
use spec::vmxnet3::{
    Bar0, Command, DriverShared, MAGIC, RxFilterConf, RxQueueConf, RxQueueDesc, TxQueueConf, TxQueueDesc,
};

pub(crate) const CASES: &[Case] = &[
    Case { id: "the-magic", clauses: &["VMX-ACT-001"], unless: &[], needs: &[], run: the_magic },
    Case { id: "queue-counts", clauses: &["VMX-ACT-002"], unless: &[], needs: &[], run: queue_counts },
    Case { id: "fields-not-looked-at", clauses: &["VMX-ACT-003"], unless: &[], needs: &[], run: fields_not_looked_at },
    Case { id: "mtu", clauses: &["VMX-ACT-004"], unless: &[], needs: &[], run: mtu },
    Case { id: "ring-sizes", clauses: &["VMX-ACT-005", "VMX-ACT-006"], unless: &[], needs: &[], run: ring_sizes },
    Case { id: "no-second-ring", clauses: &["VMX-ACT-006"], unless: &[], needs: &[], run: no_second_ring },
    Case {
        id: "filters-at-activation",
        clauses: &["VMX-ACT-008"],
        unless: &[],
        needs: &[],
        run: filters_at_activation,
    },
    Case {
        id: "address-before-activation",
        clauses: &["VMX-ACT-009"],
        unless: &[],
        needs: &[],
        run: address_before_activation,
    },
    Case {
        id: "control-words",
        clauses: &["VMX-ACT-010"],
        unless: &[Deviation::UpdateRxProdUntouched],
        needs: &[],
        run: control_words,
    },
];

/// ACTIVATE_DEV must refuse, and write nothing.
fn refused(check: &mut Check, bench: &mut Bench, clause: &'static str, claim: &'static str) {
    bench.settle();
    bench.seen();
    let before = bench.memory().clone();
    let answer = bench.activate();
    bench.settle();
    check.holds(clause, answer != 0, claim);
    check.holds(clause, !bench.wrote() && *bench.memory() == before, "a refused activation writes no memory");
    check.holds(clause, bench.active() != Some(true), "a refused activation leaves the device inactive");
    bench.command(Command::QuiesceDev);
}

/// ACTIVATE_DEV must accept.
fn accepted(check: &mut Check, bench: &mut Bench, clause: &'static str, claim: &'static str) {
    let answer = bench.activate();
    check.holds(clause, answer == 0, claim);
    bench.command(Command::QuiesceDev);
    bench.seen();
}

fn the_magic(check: &mut Check) {
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        for bit in 0..32 {
            bench.shared(|shared| shared.set_magic(MAGIC ^ 1 << bit));
            refused(check, bench, "VMX-ACT-001", "a magic one bit off is refused");
        }
        bench.shared(|shared| shared.set_magic(0));
        refused(check, bench, "VMX-ACT-001", "a magic of 0 is refused");
        bench.shared(|shared| shared.set_magic(MAGIC));
        accepted(check, bench, "VMX-ACT-001", "the magic is accepted");
    });
}

fn queue_counts(check: &mut Check) {
    let limits = check.profile().width(1);
    let mut setup = Setup { judged: false, ..Setup::default().queues(limits.tx_queues.max(limits.rx_queues)) };
    (setup.config.tx_queues, setup.config.rx_queues) = (limits.tx_queues, limits.rx_queues);
    check.on(Target::Software, &setup, |check, bench| {
        bench.prepare();
        let counts = |bench: &mut Bench, tx: u8, rx: u8| {
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_num_tx_queues(tx);
                misc.set_num_rx_queues(rx);
                shared.set_misc(misc);
            });
        };
        for (tx, rx) in [(0, 1), (1, 0), (limits.tx_queues + 1, 1), (1, limits.rx_queues + 1), (255, 255)] {
            counts(bench, tx, rx);
            refused(check, bench, "VMX-ACT-002", "no queue, or one too many, is refused");
        }
        bench.write_structures();
        counts(bench, limits.tx_queues, limits.rx_queues);
        accepted(check, bench, "VMX-ACT-002", "as many queues as there may be are accepted");
    });
    check.on(Target::Software, &Setup::default(), |check, bench| {
        bench.start();
        check.holds("VMX-ACT-002", bench.serves(), "one queue each way is enough");
    });
}

fn fields_not_looked_at(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        for junk in [0, 1, 720, u32::MAX] {
            bench.prepare();
            bench.shared(|shared| {
                shared.set_size(junk);
                let mut misc = shared.misc();
                let mut info = misc.driver_info();
                info.set_version(junk);
                info.0[4..8].copy_from_slice(&junk.to_le_bytes());
                misc.set_driver_info(info);
                misc.set_dd_pa(u64::from(junk) << 20);
                misc.set_dd_len(junk);
                shared.set_misc(misc);
            });
            bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                conf.set_dd_pa(u64::from(junk));
                conf.set_dd_len(junk);
                desc.set_conf(conf);
            });
            let answer = bench.activate();
            check.equal("VMX-ACT-003", "answer", answer, 0u32);
            bench.to_target();
            check.holds("VMX-ACT-003", bench.serves(), "traffic flows");
            bench.command(Command::QuiesceDev);
        }
    });
}

fn mtu(check: &mut Check) {
    let limits = check.profile().limits;
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        let set = |bench: &mut Bench, mtu: u32| {
            bench.shared(|shared| {
                let mut misc = shared.misc();
                misc.set_mtu(mtu);
                shared.set_misc(misc);
            });
        };
        for mtu in [0, limits.min_mtu - 1, limits.max_mtu + 1, u32::MAX] {
            set(bench, mtu);
            refused(check, bench, "VMX-ACT-004", "an MTU out of range is refused");
        }
        for mtu in [limits.min_mtu, 1500, limits.max_mtu] {
            set(bench, mtu);
            accepted(check, bench, "VMX-ACT-004", "an MTU in range is accepted");
        }
    });
}

/// Something that sets the size of a ring.
enum Size {
    Tx(fn(&mut TxQueueConf, u32)),
    Rx(fn(&mut RxQueueConf, u32)),
}

impl Size {
    fn set(&self, bench: &mut Bench, size: u32) {
        match self {
            Self::Tx(set) => bench.tx_desc(0, |desc: &mut TxQueueDesc| {
                let mut conf = desc.conf();
                set(&mut conf, size);
                desc.set_conf(conf);
            }),
            Self::Rx(set) => bench.rx_desc(0, |desc: &mut RxQueueDesc| {
                let mut conf = desc.conf();
                set(&mut conf, size);
                desc.set_conf(conf);
            }),
        }
    }
}

fn ring_sizes(check: &mut Check) {
    let limits = check.profile().limits;
    let second: fn(&mut RxQueueConf, u32) = |conf, size| {
        let [first, _] = conf.rx_ring_size();
        conf.set_rx_ring_size([first, size]);
    };
    let first: fn(&mut RxQueueConf, u32) = |conf, size| {
        let [_, second] = conf.rx_ring_size();
        conf.set_rx_ring_size([size, second]);
    };
    let rings = [
        (Size::Tx(TxQueueConf::set_tx_ring_size), limits.tx_ring, true),
        (Size::Tx(TxQueueConf::set_comp_ring_size), limits.tx_ring, true),
        (Size::Rx(first), limits.rx_ring, true),
        (Size::Rx(second), limits.rx_ring, false),
        (Size::Rx(RxQueueConf::set_comp_ring_size), limits.rx_comp_ring, true),
    ];
    check.on(Target::Software, &Setup::unjudged(), |check, bench| {
        bench.prepare();
        for (ring, most, needed) in &rings {
            for size in [most + limits.ring_step, most + 1, u32::MAX, u32::MAX - limits.ring_step + 1] {
                ring.set(bench, size);
                refused(check, bench, "VMX-ACT-005", "a ring too large is refused");
            }
            if limits.ring_step > 1 {
                for size in [1, limits.ring_step - 1, limits.ring_step + 1, most - 1] {
                    ring.set(bench, size);
                    refused(check, bench, "VMX-ACT-005", "a ring of no whole steps is refused");
                }
            }
            ring.set(bench, 0);
            if *needed {
                refused(check, bench, "VMX-ACT-005", "a needed ring of size 0 is refused");
            } else {
                accepted(check, bench, "VMX-ACT-006", "ring 1 of size 0 is accepted");
            }
            for size in [limits.ring_step, *most] {
                ring.set(bench, size);
                accepted(check, bench, "VMX-ACT-005", "a ring in range is accepted");
            }
            ring.set(bench, 32);
        }
    });
}

fn no_second_ring(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.rx_ring[1] = 0;
    check.on(Target::Both, &setup, |check, bench| {
        bench.prepare();
        bench.rx_desc(0, |desc| {
            let mut conf = desc.conf();
            let [first, _] = conf.rx_ring_base_pa();
            conf.set_rx_ring_base_pa([first, 0x1234_5678_9abc_def1]);
            desc.set_conf(conf);
        });
        let answer = bench.activate();
        check.equal("VMX-ACT-006", "answer", answer, 0u32);
        bench.to_target();
        for _ in 0..40 {
            check.holds("VMX-ACT-006", bench.serves(), "ring 0 alone receives");
        }
    });
}

fn filters_at_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let (shared, multicast) = (bench.layout.shared, bench.layout.multicast);
        bench.prepare();
        let mut filter: RxFilterConf = bench.get(shared + RX_FILTER_OFFSET);
        filter.set_rx_mode(ADDRESSED);
        filter.set_mf_table_len(12);
        filter.set_mf_table_pa(multicast);
        let mut vlans = [0; 128];
        vlans[0] = 1 | 1 << 7;
        vlans[127] = 1 << 1;
        filter.set_vf_table(vlans);
        bench.put(shared + RX_FILTER_OFFSET, filter);
        bench.store(multicast, [Traffic::group(1), Traffic::group(2)].as_flattened());
        bench.activate();
        bench.to_target();
        for (group, member) in [(0, false), (1, true), (2, true), (3, false)] {
            let frame = bench.frame(Traffic::group(group), 100);
            let got = if member { bench.receives(&frame) } else { bench.refuses(&frame) };
            check.holds("VMX-ACT-008", got, "the multicast list is the one at ACTIVATE_DEV");
        }
        let strip = bench.config.features & spec::vmxnet3::command::feature::RXVLAN != 0;
        for (vid, admitted) in [(6, false), (7, true), (8, false), (4065, true), (4066, false)] {
            let frame = bench.tagged(vid, 100);
            bench.offer(&frame);
            bench.settle();
            let got = bench.received(0);
            let expected = usize::from(admitted);
            check.equal("VMX-ACT-008", "tagged frames received", got.len() as u64, expected as u64);
            if let [(_, last)] = &got[..] {
                check.holds("VMX-ACT-008", last.ts() == strip, "stripping is as at ACTIVATE_DEV");
            }
        }
        bench.command(Command::QuiesceDev);
        bench.write_structures();
        bench.shared(|shared: &mut DriverShared| {
            let mut filter = shared.rx_filter_conf();
            filter.set_rx_mode(0);
            shared.set_rx_filter_conf(filter);
        });
        bench.activate();
        bench.to_target();
        let frame = bench.to_guest(100);
        check.holds("VMX-ACT-008", bench.refuses(&frame), "rxMode 0 at ACTIVATE_DEV receives nothing");
    });
}

fn address_before_activation(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        let own = bench.adopt(ANOTHER);
        bench.prepare();
        let before = bench.mac();
        bench.activate();
        bench.to_target();
        if !check.profile().has(Deviation::ActivateRestoresMac) {
            check.equal("VMX-ACT-009", "address after ACTIVATE_DEV", bench.mac(), before);
            let frame = bench.frame(own, 100);
            check.holds("VMX-ACT-009", bench.receives(&frame), "it is the one that counts");
            let frame = bench.frame(bench.permanent(), 100);
            check.holds("VMX-ACT-009", bench.refuses(&frame), "the permanent one does not");
        }
    });
}

fn control_words(check: &mut Check) {
    check.on(Target::Software, &Setup { judged: false, ..Setup::default().queues(2) }, |check, bench| {
        bench.prepare();
        for q in 0..2 {
            bench.tx_desc(q, |desc| desc.0[4..8].fill(0x4d));
            bench.rx_desc(q, |desc| desc.0[0] = 0x4d);
        }
        bench.seen();
        bench.activate();
        for q in 0..2 {
            let tx: TxQueueDesc = bench.get(bench.layout.tx_queue_desc(q));
            let rx: RxQueueDesc = bench.get(bench.layout.rx_queue_desc(q));
            check.holds("VMX-ACT-010", tx.ctrl().tx_threshold() <= 1, "txThreshold is 0 or 1");
            check.equal("VMX-ACT-010", "updateRxProd", rx.ctrl().update_rx_prod(), 0u8);
        }
        let stray = bench.seen().iter().any(|seen| matches!(seen, Seen::Vector(_) | Seen::Sent(..)));
        check.holds("VMX-ACT-010", !stray, "nothing else happens");
        let masked = bench.read0(Bar0::Imr(0));
        check.equal("VMX-ACT-010", "IMR", masked, 1u32);
    });
}
