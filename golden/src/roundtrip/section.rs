//! A state written out again as the section of the stream that it came from.

use crate::import::Vmxnet3Section;
use crate::import::qemu_stream::{Node, Value};
use model::migrate::Canon;
use spec::layout::{Bytes, Layout};
use spec::position::RingIndex;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::{RxStats, TxStats};
use std::collections::BTreeMap;

/// A section with the fields of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Every field: the state's where it has one, and as recorded where it has not.
    pub tree: Node,
    /// Fields that the state has.
    pub fields: usize,
    /// Bytes of all fields.
    pub bytes: usize,
    /// Fields that are not as recorded, by name.
    pub different: Vec<String>,
}

/// Writes a section out again from `canon`.
pub(super) fn write(section: &Vmxnet3Section, canon: &Canon) -> Written {
    let known = fields(canon);
    let mut tree = section.tree.clone();
    let bytes = tree.leaves().iter().map(|(_, node)| node.bytes).sum();
    let (mut fields, mut different) = (0, Vec::new());
    tree.change_leaves(&mut |path, value| {
        let again = match (known.get(path), &*value) {
            _ if path.ends_with("mcast_list.mcast_list") => {
                Value::Bytes(canon.activation.filters.multicast.as_flattened().to_vec())
            }
            (Some(&known), Value::Int(_)) => Value::Int(known as i64),
            (Some(&known), _) => Value::Uint(known),
            (None, _) => return,
        };
        fields += 1;
        if again != *value {
            different.push(path.to_owned());
            *value = again;
        }
    });
    Written { tree, fields, bytes, different }
}

/// Every field of the section that a state has, by its name there.
fn fields(canon: &Canon) -> BTreeMap<String, u64> {
    let Canon { activation, progress } = canon;
    let mut all = BTreeMap::new();
    let mut put = |name: String, value: u64| {
        all.insert(name, value);
    };
    let multicasts = activation.filters.multicast.len() as u64;
    for (name, value) in [
        ("rx_vlan_stripping", u64::from(activation.features & feature::RXVLAN != 0)),
        ("lro_supported", u64::from(activation.features & feature::LRO != 0)),
        ("rx_mode", u64::from(activation.filters.rx_mode)),
        ("mcast_list_len", multicasts),
        ("mcast_list_buff_size", multicasts * 6),
        ("mtu", u64::from(activation.mtu)),
        ("max_rx_frags", u64::from(activation.max_rx_sg)),
        ("max_tx_frags", activation.tx.iter().map(|queue| u64::from(queue.ring_size)).sum()),
        ("auto_int_masking", u64::from(activation.auto_mask)),
        ("txq_num", activation.tx.len() as u64),
        ("rxq_num", activation.rx.len() as u64),
    ] {
        put(name.into(), value);
    }
    for (i, &word) in activation.filters.vlans.iter().enumerate() {
        put(format!("vlan_table[{i}]"), u64::from(word));
    }
    for (q, (setup, at)) in activation.tx.iter().zip(&progress.tx).enumerate() {
        let name = format!("txq_descr[{q}]");
        ring(&format!("{name}.tx_ring"), setup.ring_pa, setup.ring_size, at.next, &mut put);
        ring(&format!("{name}.comp_ring"), setup.comp_pa, setup.comp_size, at.comp, &mut put);
        put(format!("{name}.intr_idx"), u64::from(setup.vector));
        counters(&format!("{name}.txq_stats"), TxStats::LAYOUT, &at.counters.0, &mut put);
    }
    for (q, (setup, at)) in activation.rx.iter().zip(&progress.rx).enumerate() {
        let name = format!("rxq_descr[{q}]");
        for r in (0..2).filter(|&r| setup.ring_size[r] != 0) {
            ring(&format!("{name}.rx_ring[{r}]"), setup.ring_pa[r], setup.ring_size[r], at.next[r], &mut put);
        }
        ring(&format!("{name}.comp_ring"), setup.comp_pa, setup.comp_size, at.comp, &mut put);
        put(format!("{name}.intr_idx"), u64::from(setup.vector));
        counters(&format!("{name}.rxq_stats"), RxStats::LAYOUT, &at.counters.0, &mut put);
    }
    for (i, vector) in progress.vectors.iter().enumerate() {
        put(format!("interrupt_states[{i}].is_masked"), u64::from(vector.masked));
        put(format!("interrupt_states[{i}].is_pending"), u64::from(vector.pending));
    }
    all
}

fn ring(name: &str, pa: u64, size: u32, at: RingIndex, put: &mut impl FnMut(String, u64)) {
    put(format!("{name}.pa"), pa);
    put(format!("{name}.size"), u64::from(size));
    put(format!("{name}.next"), u64::from(at.index()));
    put(format!("{name}.gen"), u64::from(at.generation()));
}

fn counters(name: &str, layout: &'static Layout, bytes: &[u8; 80], put: &mut impl FnMut(String, u64)) {
    for field in layout.fields {
        put(format!("{name}.{}", field.name), u64::get(&bytes[field.low as usize / 8..]));
    }
}
