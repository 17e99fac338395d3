//! What the log and the dumps tell before the first access is applied: addresses, activations and their rings.

use crate::import::{Capture, Region, RegisterAccess, Trace};
use crate::shared_view::SharedView;
use model::plane::{RxSetup, TxSetup};
use spec::vmxnet3::{Bar0, Bar1, Command, MAX_RX_QUEUES, MAX_TX_QUEUES};

/// No ring of any version has more entries; what claims to is refused by the device and not laid out whole.
const MOST: u32 = 1 << 13;
/// Descriptors of a TX ring when nothing tells. Source: linux vmxnet3_int.h, VMXNET3_DEF_TX_RING_SIZE.
const LINUX_TX_RING: u32 = 512;

/// One ACTIVATE_DEV of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// Place of the access in the log.
    pub access: usize,
    /// Its rings are those of the memory image.
    pub recorded: bool,
    /// TX queues; addresses are 0 unless recorded.
    pub tx: Vec<TxSetup>,
    /// RX queues; addresses are 0 unless recorded.
    pub rx: Vec<RxSetup>,
}

/// Everything known beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The device's own address.
    pub permanent_mac: [u8; 6],
    /// Every address that the guest ever had.
    pub macs: Vec<[u8; 6]>,
    /// Activations in the order of the log.
    pub starts: Vec<Start>,
    /// For each access, unmasking writes from it on before the next TX doorbell.
    pub unmasks: Vec<usize>,
    /// What nothing in the recording says.
    pub assumptions: Vec<String>,
}

pub(super) fn bar0(access: &RegisterAccess) -> Option<Bar0> {
    (access.region == Region::Bar0).then(|| Bar0::decode(access.offset)).flatten()
}

pub(super) fn bar1(access: &RegisterAccess) -> Option<Bar1> {
    (access.region == Region::Bar1).then(|| Bar1::decode(access.offset)).flatten()
}

fn command(access: &RegisterAccess) -> Option<Command> {
    (access.write && bar1(access) == Some(Bar1::Cmd)).then(|| Command::from(access.value as u32))
}

fn mac(low: u32, high: u32) -> [u8; 6] {
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    [a, b, c, d, e, f]
}

impl Plan {
    pub fn of(capture: &Capture, trace: &Trace, view: &SharedView) -> Self {
        let mut plan = Self::default();
        plan.addresses(capture, trace);
        plan.activations(capture, trace, view);
        plan.unmasks = vec![0; trace.accesses.len()];
        let mut seen = 0;
        for (i, access) in trace.accesses.iter().enumerate().rev() {
            match bar0(access).filter(|_| access.write) {
                Some(Bar0::TxProd(_)) => seen = 0,
                Some(Bar0::Imr(vector)) if access.value & 1 == 0 && rx_vector(view, vector) => seen += 1,
                _ => {}
            }
            plan.unmasks[i] = seen;
        }
        plan
    }

    fn addresses(&mut self, capture: &Capture, trace: &Trace) {
        let first =
            |wanted| trace.accesses.iter().find(|a| !a.write && bar1(a) == Some(wanted)).map_or(0, |a| a.value as u32);
        self.permanent_mac = match capture.dumps.first() {
            Some((name, dump)) => {
                self.assumptions.push(format!("the permanent MAC is the one in {name}"));
                dump.mac()
            }
            None => {
                self.assumptions.push("the permanent MAC is the one that the log reads first".into());
                mac(first(Bar1::Macl), first(Bar1::Mach))
            }
        };
        self.macs.push(self.permanent_mac);
        let mut low = 0;
        for access in trace.accesses.iter().filter(|access| access.write) {
            match bar1(access) {
                Some(Bar1::Macl) => low = access.value as u32,
                Some(Bar1::Mach) => {
                    let mac = mac(low, access.value as u32);
                    if !self.macs.contains(&mac) {
                        self.macs.push(mac);
                    }
                }
                _ => {}
            }
        }
    }

    fn activations(&mut self, capture: &Capture, trace: &Trace, view: &SharedView) {
        let (tx, rx) = configured(view);
        for (i, _) in trace.accesses.iter().enumerate().filter(|(_, a)| command(a) == Some(Command::ActivateDev)) {
            let sizes = rung(&trace.accesses[i + 1..], rx.len());
            let same = sizes.iter().zip(&rx).all(|(told, setup)| {
                (0..2).all(|r| setup.ring_size[r] == 0 || told[r].is_none_or(|size| size == setup.ring_size[r]))
            });
            let mut start = Start { access: i, recorded: same, tx: tx.clone(), rx: rx.clone() };
            if !same {
                other(&mut start, &sizes, capture, &mut self.assumptions, trace.accesses[i].line);
            }
            self.starts.push(start);
        }
    }

    /// The activation that begins at access `i`.
    pub fn start(&self, i: usize) -> Option<&Start> {
        self.starts.iter().find(|start| start.access == i)
    }
}

fn rx_vector(view: &SharedView, vector: u8) -> bool {
    view.rx.iter().any(|queue| queue.conf().intr_idx() == vector)
}

/// The rings of the memory image.
fn configured(view: &SharedView) -> (Vec<TxSetup>, Vec<RxSetup>) {
    let tx = view.tx.iter().take(MAX_TX_QUEUES).map(|queue| {
        let conf = queue.conf();
        TxSetup {
            ring_pa: conf.tx_ring_base_pa(),
            ring_size: conf.tx_ring_size().min(MOST),
            comp_pa: conf.comp_ring_base_pa(),
            comp_size: conf.comp_ring_size().min(MOST),
            vector: conf.intr_idx(),
        }
    });
    let rx = view.rx.iter().take(MAX_RX_QUEUES).map(|queue| {
        let conf = queue.conf();
        RxSetup {
            ring_pa: conf.rx_ring_base_pa(),
            ring_size: conf.rx_ring_size().map(|size| size.min(MOST)),
            comp_pa: conf.comp_ring_base_pa(),
            comp_size: conf.comp_ring_size().min(MOST),
            vector: conf.intr_idx(),
        }
    });
    (tx.collect(), rx.collect())
}

/// Sizes of ring 0 and ring 1 of each queue, from the doorbells behind an activation: Linux rings once, with all but the
/// last descriptor filled.
fn rung(accesses: &[RegisterAccess], queues: usize) -> Vec<[Option<u32>; 2]> {
    let mut sizes = vec![[None; 2]; queues];
    let ends = [Command::ActivateDev, Command::QuiesceDev, Command::ResetDev];
    for access in accesses.iter().take_while(|a| command(a).is_none_or(|command| !ends.contains(&command))) {
        let (queue, ring) = match bar0(access).filter(|_| access.write) {
            Some(Bar0::RxProd(queue)) => (queue, 0),
            Some(Bar0::RxProd2(queue)) => (queue, 1),
            _ => continue,
        };
        if let Some(sizes) = sizes.get_mut(usize::from(queue)) {
            sizes[ring].get_or_insert((access.value as u32).wrapping_add(1).min(MOST));
        }
    }
    sizes
}

/// An activation whose rings are gone: sizes from the doorbells and from a dump that agrees with them.
fn other(start: &mut Start, sizes: &[[Option<u32>; 2]], capture: &Capture, assumptions: &mut Vec<String>, line: usize) {
    for (setup, told) in start.rx.iter_mut().zip(sizes) {
        for (size, told) in setup.ring_size.iter_mut().zip(told) {
            *size = told.unwrap_or(*size);
        }
        setup.comp_size = setup.ring_size[0].saturating_add(setup.ring_size[1]).min(MOST);
        (setup.ring_pa, setup.comp_pa) = ([0; 2], 0);
    }
    let agrees = |dump: &crate::import::EthtoolDump| {
        dump.rx.len() == start.rx.len()
            && dump.rx.iter().zip(&start.rx).all(|(d, s)| (0..2).all(|r| d.ring[r].size == s.ring_size[r]))
    };
    let dump = capture.dumps.iter().find(|(_, dump)| agrees(dump));
    for (q, setup) in start.tx.iter_mut().enumerate() {
        let told = dump.and_then(|(_, dump)| dump.tx.get(q)).map(|tx| (tx.ring.size, tx.comp.size));
        (setup.ring_size, setup.comp_size) = told.unwrap_or((LINUX_TX_RING, LINUX_TX_RING));
        (setup.ring_pa, setup.comp_pa) = (0, 0);
    }
    let source = match dump {
        Some((name, _)) => format!("TX ring sizes from {name}"),
        None => format!("TX rings of {LINUX_TX_RING}, the driver's default"),
    };
    assumptions.push(format!(
        "line {line}: RX ring sizes are the doorbells' values and one, the completion ring holds both, {source}; \
         the rest of the shared area is as in memory"
    ));
}
