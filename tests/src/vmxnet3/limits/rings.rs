//! Sizes and bases of rings, a row a ring: at each limit ACTIVATE_DEV takes them and traffic flows, past it refuses and writes nothing.
//!
//! Source: vmxnet3_defs.h, VMXNET3_TX_RING_MAX_SIZE, _TC_RING_MAX_SIZE, _RX_RING_MAX_SIZE, _RC_RING_MAX_SIZE, _RING_SIZE_ALIGN,
//! _RING_BA_ALIGN. The numbers themselves are the profile's.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use crate::vmxnet3::offered::by_version;
use spec::profile::Limits;
use spec::vmxnet3::{CELL_BYTES, Command};

pub(in crate::vmxnet3) const CASES: &[Case] = by_version! {
    "limit-of-tx-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-001"], &[], &[], tx_rings;
    "limit-of-tx-completion-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-002"], &[], &[], tx_completion_rings;
    "limit-of-rx-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-003"], &[], &[], rx_rings;
    "limit-of-second-rx-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-004"], &[], &[], second_rx_rings;
    "limit-of-rx-completion-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-005"], &[], &[], rx_completion_rings;
    "alignment-of-rings", [1 2 3 4 5 6 7 8 9], &["VMX-LIM-006"], &[], &[], alignment;
};

/// A ring of queue 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ring {
    Tx,
    TxComp,
    Rx(usize),
    RxComp,
}

impl Ring {
    const ALL: [Self; 5] = [Self::Tx, Self::TxComp, Self::Rx(0), Self::Rx(1), Self::RxComp];

    /// Most cells that it may have.
    fn most(self, limits: &Limits) -> u32 {
        match self {
            Self::Tx | Self::TxComp => limits.tx_ring,
            Self::Rx(_) => limits.rx_ring,
            Self::RxComp => limits.rx_comp_ring,
        }
    }

    fn set_size(self, bench: &mut Bench, size: u32) {
        match self {
            Self::Tx | Self::TxComp => bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                if self == Self::Tx {
                    conf.set_tx_ring_size(size);
                } else {
                    conf.set_comp_ring_size(size);
                }
                desc.set_conf(conf);
            }),
            Self::Rx(_) | Self::RxComp => bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                if let Self::Rx(ring) = self {
                    let mut sizes = conf.rx_ring_size();
                    sizes[ring] = size;
                    conf.set_rx_ring_size(sizes);
                } else {
                    conf.set_comp_ring_size(size);
                }
                desc.set_conf(conf);
            }),
        }
    }

    /// Where it lies.
    fn base(self, bench: &Bench) -> u64 {
        let (tx, rx) = (bench.layout.tx[0], bench.layout.rx[0]);
        match self {
            Self::Tx => tx.ring,
            Self::TxComp => tx.comp,
            Self::Rx(ring) => rx.ring[ring],
            Self::RxComp => rx.comp,
        }
    }

    fn set_base(self, bench: &mut Bench, pa: u64) {
        match self {
            Self::Tx | Self::TxComp => bench.tx_desc(0, |desc| {
                let mut conf = desc.conf();
                if self == Self::Tx {
                    conf.set_tx_ring_base_pa(pa);
                } else {
                    conf.set_comp_ring_base_pa(pa);
                }
                desc.set_conf(conf);
            }),
            Self::Rx(_) | Self::RxComp => bench.rx_desc(0, |desc| {
                let mut conf = desc.conf();
                if let Self::Rx(ring) = self {
                    let mut bases = conf.rx_ring_base_pa();
                    bases[ring] = pa;
                    conf.set_rx_ring_base_pa(bases);
                } else {
                    conf.set_comp_ring_base_pa(pa);
                }
                desc.set_conf(conf);
            }),
        }
    }
}

/// Cells of every ring of the guest: no more than so many are used of a longer one.
const CELLS: u32 = 32;

/// The usual guest, with room behind its structures for the longest ring.
fn roomy() -> Setup {
    Setup { bytes: 240 << 10, ..Setup::unjudged() }
}

/// Writes every structure with `ring` of so many cells behind the others, all of it zeros but for what is posted in the first cells.
fn place(bench: &mut Bench, ring: Ring, size: u32) {
    let pa = bench.layout.end.next_multiple_of(512);
    match ring {
        Ring::Tx => bench.layout.tx[0].ring = pa,
        Ring::TxComp => bench.layout.tx[0].comp = pa,
        Ring::Rx(ring) => bench.layout.rx[0].ring[ring] = pa,
        Ring::RxComp => bench.layout.rx[0].comp = pa,
    }
    bench.store(pa, &vec![0; size as usize * CELL_BYTES as usize]);
    bench.write_structures();
    ring.set_size(bench, size);
}

/// The sizes of one ring: at its limits, past them, and between two steps.
fn sizes(check: &mut Check, clause: &'static str, ring: Ring) {
    let limits = check.profile().limits;
    let (step, most) = (limits.ring_step, ring.most(&limits));
    check.at_version(Target::Both, &roomy(), |check, bench, _| {
        bench.prepare();
        let between = [1, step - 1, step + 1, most - 1].into_iter().filter(|size| !size.is_multiple_of(step));
        let absent = if ring == Ring::Rx(1) { None } else { Some(0) };
        for size in [most + step, most + 1, u32::MAX, 1 << 31].into_iter().chain(between).chain(absent) {
            ring.set_size(bench, size);
            let refused = bench.refuses_to_activate(check, clause);
            check.holds(clause, refused, "a size past a limit is refused");
        }
        for size in [step, CELLS, most] {
            bench.command(Command::QuiesceDev);
            place(bench, ring, size);
            check.equal(clause, "answer to a size at a limit", bench.activate(), 0u32);
            if size >= CELLS {
                bench.to_target();
                check.holds(clause, bench.serves() && bench.serves(), "traffic flows over a ring of that size");
            }
        }
    });
}

fn tx_rings(check: &mut Check) {
    sizes(check, "VMX-LIM-001", Ring::Tx);
}

fn tx_completion_rings(check: &mut Check) {
    sizes(check, "VMX-LIM-002", Ring::TxComp);
}

fn rx_rings(check: &mut Check) {
    sizes(check, "VMX-LIM-003", Ring::Rx(0));
}

/// Ring 1 may be absent besides: then frames have ring 0 alone.
fn second_rx_rings(check: &mut Check) {
    sizes(check, "VMX-LIM-004", Ring::Rx(1));
    check.at_version(Target::Both, &roomy(), |check, bench, _| {
        bench.prepare();
        Ring::Rx(1).set_size(bench, 0);
        Ring::Rx(1).set_base(bench, u64::MAX);
        check.equal("VMX-LIM-004", "answer to a second ring of size 0", bench.activate(), 0u32);
        bench.to_target();
        check.holds("VMX-LIM-004", bench.serves(), "frames of one buffer are received without it");
        let frame = bench.to_guest(300);
        bench.offer(&frame);
        bench.settle();
        let slots = bench.rx_slots(0, 1, 2);
        let named = slots.iter().any(|cell| cell.generation() && cell.rq_id() == 1 && !cell.err());
        check.holds("VMX-LIM-004", !named, "and no buffer of it is named");
    });
}

fn rx_completion_rings(check: &mut Check) {
    sizes(check, "VMX-LIM-005", Ring::RxComp);
}

fn alignment(check: &mut Check) {
    let align = check.profile().limits.ring_align;
    check.at_version(Target::Both, &roomy(), |check, bench, _| {
        bench.prepare();
        for ring in Ring::ALL {
            let base = ring.base(bench);
            for past in [1, align / 2, align - 1, align + 1] {
                ring.set_base(bench, base + past);
                let refused = bench.refuses_to_activate(check, "VMX-LIM-006");
                check.holds("VMX-LIM-006", refused, "a base between two multiples is refused");
            }
            // The last multiple there is: the ring would end past the last address.
            ring.set_base(bench, align.wrapping_neg());
            let refused = bench.refuses_to_activate(check, "VMX-LIM-006");
            check.holds("VMX-LIM-006", refused, "a ring past the last address is refused");
            ring.set_base(bench, base);
        }
        // The closest multiple: another than that of the layout for a ring that has room behind it.
        let next = bench.layout.end.next_multiple_of(align);
        bench.layout.tx[0].ring = next;
        check.equal("VMX-LIM-006", "answer to a multiple", bench.restart(), 0u32);
        check.holds("VMX-LIM-006", bench.serves() && bench.serves(), "traffic flows");
    });
}
