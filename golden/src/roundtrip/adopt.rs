//! A recorded state as this project's own: activation and progress, as a software body would go on from.

use crate::import::{Capture, EthtoolDump, Region, Ring};
use crate::shared_view::SharedView;
use model::migrate::Canon;
use model::plane::{Activation, Filters, Progress, RxProgress, RxSetup, TxProgress, TxSetup, VectorProgress};
use spec::position::RingIndex;
use spec::vmxnet3::Bar1;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::shared::IntrConfExt;

/// What was adopted, and what the stream lacks and came from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adopted {
    pub canon: Canon,
    /// Name, value and where it came from.
    pub from_elsewhere: Vec<String>,
}

fn position(ring: Ring) -> RingIndex {
    // The importer refuses an index outside its ring; an absent ring stands at its start.
    RingIndex::new(ring.next, ring.generation, ring.size).unwrap_or_default()
}

/// Takes a recorded state over.
pub(super) fn adopt(capture: &Capture, view: &SharedView) -> Adopted {
    let stream = &capture.stream;
    let (mac, source) = current_mac(capture);
    let shared = view.shared.misc().upt_features();
    let mut features = shared & feature::RXCSUM;
    for (bit, on) in [(feature::RXVLAN, stream.rx_vlan_stripping), (feature::LRO, stream.lro_supported)] {
        features |= if on { bit } else { 0 };
    }
    let tx = stream.tx_queues().iter().map(|queue| TxSetup {
        ring_pa: queue.tx_ring.pa,
        ring_size: queue.tx_ring.size,
        comp_pa: queue.comp_ring.pa,
        comp_size: queue.comp_ring.size,
        vector: queue.intr_idx,
    });
    let rx = stream.rx_queues().iter().map(|queue| RxSetup {
        ring_pa: queue.rx_ring.map(|ring| if ring.size == 0 { 0 } else { ring.pa }),
        ring_size: queue.rx_ring.map(|ring| ring.size),
        comp_pa: queue.comp_ring.pa,
        comp_size: queue.comp_ring.size,
        vector: queue.intr_idx,
    });
    let activation = Activation {
        tx: tx.collect(),
        rx: rx.collect(),
        auto_mask: stream.auto_int_masking,
        mtu: stream.mtu,
        max_rx_sg: stream.max_rx_frags,
        features,
        filters: Filters {
            mac,
            rx_mode: stream.rx_mode,
            multicast: stream.mcast_list.clone(),
            vlans: stream.vlan_table,
        },
        mod_levels: IntrConfExt::of(&view.shared.intr_conf()).mod_levels(),
        // QEMU's device is of version 1, which has nothing of the rest; INTx is not adopted.
        ..Activation::default()
    };
    let tx = stream.tx_queues().iter().map(|queue| TxProgress {
        next: position(queue.tx_ring),
        comp: position(queue.comp_ring),
        counters: queue.stats,
        stopped: None,
    });
    let rx = stream.rx_queues().iter().map(|queue| RxProgress {
        next: queue.rx_ring.map(position),
        comp: position(queue.comp_ring),
        counters: queue.stats,
        stopped: None,
    });
    let mut progress = Progress { tx: tx.collect(), rx: rx.collect(), ..Progress::default() };
    for (vector, saved) in progress.vectors.iter_mut().zip(&stream.interrupt_states) {
        *vector = VectorProgress { masked: saved.is_masked, pending: saved.is_pending };
    }
    let shown = mac.map(|byte| format!("{byte:02x}")).join(":");
    let from_elsewhere = vec![
        format!("current MAC {shown}: {source}"),
        format!("RXCSUM {} and moderation levels: the shared area in memory", features & feature::RXCSUM != 0),
    ];
    Adopted { canon: Canon { activation, progress }, from_elsewhere }
}

/// The current MAC: the stream has the half written last and the log the other; then a dump, then nothing.
fn current_mac(capture: &Capture) -> ([u8; 6], String) {
    let low = capture.stream.temp_mac;
    let [a, b, c, d] = low.to_le_bytes();
    let whole = |high: u32| [a, b, c, d, high as u8, (high >> 8) as u8];
    let mut latched = None;
    let mut found = None;
    for access in capture.trace.iter().flat_map(|trace| &trace.accesses) {
        match (access.region, Bar1::decode(access.offset)) {
            (Region::Bar1, Some(Bar1::Macl)) if access.write => latched = Some(access.value as u32),
            (Region::Bar1, Some(Bar1::Mach)) if access.write && latched == Some(low) => {
                found = Some((access.value as u32, access.line));
            }
            _ => {}
        }
    }
    if let Some((high, line)) = found {
        return (whole(high), format!("line {line} of the log, with the stream's temp_mac"));
    }
    let agrees = |dump: &EthtoolDump| dump.mac()[..4] == [a, b, c, d];
    match capture.dumps.iter().find(|(_, dump)| agrees(dump)) {
        Some((name, dump)) => (dump.mac(), name.clone()),
        None => (whole(0), "the stream's temp_mac; nothing tells the other half".into()),
    }
}
