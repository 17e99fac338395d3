//! The shared area and the queue descriptors: counts, sizes, places.

use super::{
    COMPLETION_ROOM, DATA_RING, Findings, MTU, OVERLAP, QUEUE_COUNT, RING_ALIGNED, RING_SIZE, TABLE_LENGTH,
    VECTOR_INDEX,
};
use crate::shared_view::SharedView;
use spec::profile::Profile;
use spec::vmxnet3::shared::IntrConfExt;
use spec::vmxnet3::{
    CELL_BYTES, QUEUE_DESC_ALIGN, QUEUE_DESC_BYTES, RING_BASE_ALIGN, RssConf, SHARED_BYTES_V1, VERSIONS, Version,
};

/// Entries that ring sizes are multiples of, and maxima: those of the interface.
const LIMITS: &spec::profile::Limits = &Profile::REFERENCE.limits;

/// Judges a configuration as the device reads it at activation.
pub fn judge(view: &SharedView, findings: &mut Findings) {
    counts(view, findings);
    rings(view, findings);
    overlaps(view, findings);
}

fn counts(view: &SharedView, findings: &mut Findings) {
    let misc = view.shared.misc();
    let most = VERSIONS.last().map_or((8, 16, 9000), |newest| (newest.tx_queues, newest.rx_queues, newest.max_mtu));
    for (name, count, most) in
        [("numTxQueues", misc.num_tx_queues(), most.0), ("numRxQueues", misc.num_rx_queues(), most.1)]
    {
        if !(1..=most).contains(&count) {
            findings.add(&QUEUE_COUNT, "Vmxnet3_MiscConf", || format!("{name} is {count}"));
        }
    }
    if !(LIMITS.min_mtu..=most.2).contains(&misc.mtu()) {
        findings.add(&MTU, "Vmxnet3_MiscConf", || format!("mtu is {}", misc.mtu()));
    }
    let extended = Version::of(u8::MAX).is_extended(misc.num_tx_queues(), misc.num_rx_queues());
    let (intr, most) = match extended {
        true => (view.shared.intr_conf_ext(), Version::of(u8::MAX).vectors),
        false => (IntrConfExt::of(&view.shared.intr_conf()), Version::of(1).vectors),
    };
    let vectors = intr.num_intrs();
    if (1..=most).contains(&vectors) {
        let queues = view.tx.iter().enumerate().map(|(q, queue)| (format!("tx[{q}].intrIdx"), queue.conf().intr_idx()));
        let queues = queues
            .chain(view.rx.iter().enumerate().map(|(q, queue)| (format!("rx[{q}].intrIdx"), queue.conf().intr_idx())));
        for (name, index) in queues.chain([("eventIntrIdx".to_string(), intr.event_intr_idx())]) {
            if index >= vectors {
                findings.add(&VECTOR_INDEX, "Vmxnet3_IntrConf", || format!("{name} is {index} of {vectors}"));
            }
        }
    }
    let queues = u64::from(misc.num_tx_queues()) + u64::from(misc.num_rx_queues());
    if u64::from(misc.queue_desc_len()) < queues * QUEUE_DESC_BYTES {
        let len = misc.queue_desc_len();
        findings.add(&TABLE_LENGTH, "Vmxnet3_MiscConf", || format!("queueDescLen is {len} for {queues} queues"));
    }
    let table = view.shared.rx_filter_conf().mf_table_len();
    if !table.is_multiple_of(6) {
        findings.add(&TABLE_LENGTH, "Vmxnet3_RxFilterConf", || format!("mfTableLen is {table}"));
    }
    if !misc.queue_desc_pa().is_multiple_of(QUEUE_DESC_ALIGN) {
        findings.add(&RING_ALIGNED, "Vmxnet3_MiscConf", || format!("queueDescPA is {:#x}", misc.queue_desc_pa()));
    }
}

fn rings(view: &SharedView, findings: &mut Findings) {
    let mut ring = |name: String, pa: u64, size: u32, most: u32, optional: bool| {
        if optional && size == 0 {
            return;
        }
        if size == 0 || !size.is_multiple_of(LIMITS.ring_step) || size > most {
            findings
                .add(&RING_SIZE, &name, || format!("{size} entries, at most {most} in steps of {}", LIMITS.ring_step));
        }
        if !pa.is_multiple_of(RING_BASE_ALIGN) {
            findings.add(&RING_ALIGNED, &name, || format!("lies at {pa:#x}"));
        }
    };
    for (q, queue) in view.tx.iter().enumerate() {
        let conf = queue.conf();
        ring(format!("tx[{q}].txRing"), conf.tx_ring_base_pa(), conf.tx_ring_size(), LIMITS.tx_ring, false);
        ring(format!("tx[{q}].compRing"), conf.comp_ring_base_pa(), conf.comp_ring_size(), LIMITS.tx_ring, false);
    }
    for (q, queue) in view.rx.iter().enumerate() {
        let conf = queue.conf();
        let (pa, size) = (conf.rx_ring_base_pa(), conf.rx_ring_size());
        ring(format!("rx[{q}].rxRing[0]"), pa[0], size[0], LIMITS.rx_ring, false);
        ring(format!("rx[{q}].rxRing[1]"), pa[1], size[1], LIMITS.rx_ring, true);
        ring(format!("rx[{q}].compRing"), conf.comp_ring_base_pa(), conf.comp_ring_size(), LIMITS.rx_comp_ring, false);
    }
    for (q, queue) in view.tx.iter().enumerate() {
        let conf = queue.conf();
        if conf.comp_ring_size() < conf.tx_ring_size() {
            let (comp, ring) = (conf.comp_ring_size(), conf.tx_ring_size());
            findings.add(&COMPLETION_ROOM, format_args!("tx[{q}]"), || {
                format!("{comp} completions for {ring} descriptors")
            });
        }
        if conf.data_ring_base_pa() == 0 && conf.data_ring_size() != 0 {
            let size = conf.data_ring_size();
            findings
                .add(&DATA_RING, format_args!("tx[{q}]"), || format!("dataRingSize is {size} and dataRingBasePA 0"));
        }
    }
    for (q, queue) in view.rx.iter().enumerate() {
        let conf = queue.conf();
        let rings = conf.rx_ring_size().iter().fold(0u32, |sum, size| sum.saturating_add(*size));
        if conf.comp_ring_size() < rings {
            let comp = conf.comp_ring_size();
            findings.add(&COMPLETION_ROOM, format_args!("rx[{q}]"), || {
                format!("{comp} completions for {rings} descriptors")
            });
        }
        if conf.rx_data_ring_base_pa() == 0 && conf.rx_data_ring_desc_size() != 0 {
            let size = conf.rx_data_ring_desc_size();
            findings.add(&DATA_RING, format_args!("rx[{q}]"), || {
                format!("rxDataRingDescSize is {size} and rxDataRingBasePA 0")
            });
        }
    }
}

fn overlaps(view: &SharedView, findings: &mut Findings) {
    let misc = view.shared.misc();
    let table = (view.tx.len() + view.rx.len()) as u64 * QUEUE_DESC_BYTES;
    let rss = view.shared.rss_conf_desc();
    let mut areas = vec![
        ("Vmxnet3_DriverShared".to_string(), view.pa, SHARED_BYTES_V1),
        ("queue table".to_string(), misc.queue_desc_pa(), table),
    ];
    if rss.conf_pa() != 0 {
        let bytes = RssConf::LAYOUT.bytes() as u64;
        areas.push(("UPT1_RSSConf".to_string(), rss.conf_pa(), u64::from(rss.conf_len()).min(bytes)));
    }
    areas.extend(view.rings().iter().map(|ring| (ring.name(), ring.pa, u64::from(ring.size) * CELL_BYTES)));
    areas.retain(|(_, _, len)| *len > 0);
    areas.sort_by_key(|(_, pa, _)| *pa);
    for pair in areas.windows(2) {
        let ((name, pa, len), (other, next, _)) = (&pair[0], &pair[1]);
        if pa.saturating_add(*len) > *next {
            findings.add(&OVERLAP, name, || format!("{pa:#x} + {len:#x} reaches into {other} at {next:#x}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::vmxnet3::{DriverShared, RxQueueDesc, TxQueueDesc};

    /// One queue each way, all in order.
    fn good() -> SharedView {
        let (mut shared, mut tx, mut rx) = (DriverShared::default(), TxQueueDesc::default(), RxQueueDesc::default());
        let mut misc = shared.misc();
        misc.set_num_tx_queues(1);
        misc.set_num_rx_queues(1);
        misc.set_mtu(1500);
        misc.set_queue_desc_pa(0x2000);
        misc.set_queue_desc_len(512);
        shared.set_misc(misc);
        let mut intr = shared.intr_conf();
        intr.set_num_intrs(2);
        intr.set_event_intr_idx(1);
        shared.set_intr_conf(intr);
        let mut conf = tx.conf();
        conf.set_tx_ring_base_pa(0x3000);
        conf.set_tx_ring_size(32);
        conf.set_comp_ring_base_pa(0x4000);
        conf.set_comp_ring_size(32);
        tx.set_conf(conf);
        let mut conf = rx.conf();
        conf.set_rx_ring_base_pa([0x5000, 0x6000]);
        conf.set_rx_ring_size([32, 32]);
        conf.set_comp_ring_base_pa(0x7000);
        conf.set_comp_ring_size(64);
        rx.set_conf(conf);
        SharedView { pa: 0x1000, shared, tx: vec![tx], rx: vec![rx] }
    }

    fn rules(view: &SharedView) -> Vec<&'static str> {
        let mut findings = Findings::default();
        judge(view, &mut findings);
        findings.list().iter().map(|finding| finding.rule).collect()
    }

    fn with_misc(change: impl FnOnce(&mut spec::vmxnet3::MiscConf)) -> Vec<&'static str> {
        let mut view = good();
        let mut misc = view.shared.misc();
        change(&mut misc);
        view.shared.set_misc(misc);
        rules(&view)
    }

    fn with_tx(change: impl FnOnce(&mut spec::vmxnet3::TxQueueConf)) -> Vec<&'static str> {
        let mut view = good();
        let mut conf = view.tx[0].conf();
        change(&mut conf);
        view.tx[0].set_conf(conf);
        rules(&view)
    }

    fn with_rx(change: impl FnOnce(&mut spec::vmxnet3::RxQueueConf)) -> Vec<&'static str> {
        let mut view = good();
        let mut conf = view.rx[0].conf();
        change(&mut conf);
        view.rx[0].set_conf(conf);
        rules(&view)
    }

    #[test]
    fn a_configuration_in_order_is_clean() {
        assert_eq!(rules(&good()), [""; 0]);
        assert_eq!(with_misc(|misc| misc.set_mtu(9190)), [""; 0]);
        assert_eq!(with_rx(|conf| conf.set_rx_ring_size([32, 0])), [""; 0]);
    }

    #[test]
    fn counts_and_the_mtu_are_judged() {
        assert_eq!(with_misc(|misc| misc.set_num_tx_queues(0)), [QUEUE_COUNT.id]);
        assert_eq!(with_misc(|misc| misc.set_num_rx_queues(33)), [QUEUE_COUNT.id, TABLE_LENGTH.id]);
        assert_eq!(with_misc(|misc| misc.set_mtu(59)), [MTU.id]);
        assert_eq!(with_misc(|misc| misc.set_mtu(9191)), [MTU.id]);
        assert_eq!(with_misc(|misc| misc.set_queue_desc_len(511)), [TABLE_LENGTH.id]);
    }

    #[test]
    fn vectors_are_judged() {
        assert_eq!(with_tx(|conf| conf.set_intr_idx(2)), [VECTOR_INDEX.id]);
        assert_eq!(with_rx(|conf| conf.set_intr_idx(1)), [""; 0]);
    }

    #[test]
    fn ring_sizes_and_places_are_judged() {
        assert_eq!(with_tx(|conf| conf.set_tx_ring_size(31)), [RING_SIZE.id]);
        assert_eq!(with_tx(|conf| conf.set_comp_ring_size(16)), [RING_SIZE.id, COMPLETION_ROOM.id]);
        assert_eq!(with_tx(|conf| conf.set_tx_ring_base_pa(0x3010)), [RING_ALIGNED.id]);
        assert_eq!(with_misc(|misc| misc.set_queue_desc_pa(0x2040)), [RING_ALIGNED.id]);
        assert_eq!(with_rx(|conf| conf.set_comp_ring_size(32)), [COMPLETION_ROOM.id]);
        assert_eq!(with_tx(|conf| conf.set_comp_ring_base_pa(0x3000)), [OVERLAP.id]);
        assert_eq!(with_rx(|conf| conf.set_rx_ring_base_pa([0x5000, 0x1000])), [OVERLAP.id]);
    }

    #[test]
    fn a_data_ring_without_memory_is_found() {
        assert_eq!(with_tx(|conf| conf.set_data_ring_size(32)), [DATA_RING.id]);
        assert_eq!(with_rx(|conf| conf.set_rx_data_ring_desc_size(128)), [DATA_RING.id]);
    }

    #[test]
    fn a_multicast_table_of_odd_length_is_found() {
        let mut view = good();
        let mut filter = view.shared.rx_filter_conf();
        filter.set_mf_table_len(7);
        view.shared.set_rx_filter_conf(filter);
        assert_eq!(rules(&view), [TABLE_LENGTH.id]);
    }
}
