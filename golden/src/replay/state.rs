//! The saved section, field by field: what the software body's state would be saved as, and what was saved.

use super::device::Device;
use crate::import::{Lspci, Ring, RxQueue, TxQueue, Vmxnet3Section};
use core::fmt::Arguments;
use model::plane::{Activation, VectorProgress};
use spec::layout::{Bytes, Layout};
use spec::position::RingIndex;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::{CELL_BYTES, RxQueueDesc, RxStats, TxQueueDesc, TxStats};

/// `gosType` of Windows, for which QEMU merges no buffers. Source: vmxnet3_defs.h, VMXNET3_GOS_TYPE_WIN.
const WINDOWS: u8 = 2;

/// Words of configuration space that never change after the listing: ids, class, BARs 0 to 2, subsystem.
const IDENTITY: [usize; 6] = [0, 8, 0x10, 0x14, 0x18, 0x2c];

/// What the section says that no register access decides, told once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed<'a> {
    /// `gosType` of the driver.
    pub gos_type: u8,
    /// The device's listing.
    pub lspci: Option<&'a Lspci>,
    /// Multicast places compared.
    pub multicasts: usize,
}

fn ring(pa: u64, size: u32, at: RingIndex) -> Ring {
    Ring { pa, size, cell_size: CELL_BYTES as u32, next: at.index(), generation: at.generation() }
}

fn unused_tx() -> TxQueue {
    let stats = TxStats::default();
    TxQueue { tx_ring: Ring::default(), comp_ring: Ring::default(), intr_idx: 0, tx_stats_pa: 0, stats }
}

fn unused_rx() -> RxQueue {
    let stats = RxStats::default();
    RxQueue { rx_ring: [Ring::default(); 2], comp_ring: Ring::default(), intr_idx: 0, rx_stats_pa: 0, stats }
}

/// Fills `into` with what the device would be saved as. False while it is between packets or inactive: nobody saves then.
pub(super) fn fill(into: &mut Vmxnet3Section, device: &Device, fixed: &Fixed<'_>) -> bool {
    let state = device.plane.state();
    let (Some(activation), Ok(progress)) = (state.activation.as_ref(), device.body.progress()) else { return false };
    // The section has no place for more queues than its own device.
    if activation.tx.len() > into.txq_descr.len() || activation.rx.len() > into.rxq_descr.len() {
        return false;
    }
    configuration(into, device, activation, fixed);
    let (tx_pas, rx_pas) = state.queue_descs();
    into.txq_descr.fill_with(unused_tx);
    into.rxq_descr.fill_with(unused_rx);
    for (i, (setup, at)) in activation.tx.iter().zip(&progress.tx).enumerate() {
        into.txq_descr[i] = TxQueue {
            tx_ring: ring(setup.ring_pa, setup.ring_size, at.next),
            comp_ring: ring(setup.comp_pa, setup.comp_size, at.comp),
            intr_idx: setup.vector,
            tx_stats_pa: tx_pas[i].wrapping_add(TxQueueDesc::LAYOUT.offset("stats")),
            stats: at.counters,
        };
    }
    for (i, (setup, at)) in activation.rx.iter().zip(&progress.rx).enumerate() {
        let rings = [0, 1].map(|r| ring(setup.ring_pa[r], setup.ring_size[r], at.next[r]));
        into.rxq_descr[i] = RxQueue {
            rx_ring: rings,
            comp_ring: ring(setup.comp_pa, setup.comp_size, at.comp),
            intr_idx: setup.vector,
            rx_stats_pa: rx_pas[i].wrapping_add(RxQueueDesc::LAYOUT.offset("stats")),
            stats: at.counters,
        };
    }
    for (saved, &VectorProgress { masked, pending }) in into.interrupt_states.iter_mut().zip(&progress.vectors) {
        (saved.is_masked, saved.is_pending, saved.is_asserted) = (masked, pending, false);
    }
    true
}

fn configuration(into: &mut Vmxnet3Section, device: &Device, activation: &Activation, fixed: &Fixed<'_>) {
    let state = device.plane.state();
    let (_, table, pending, line) = device.pci.parts();
    into.irq_state = [u32::from(line), 0, 0, 0];
    for (saved, entry) in into.msix_table.iter_mut().zip(table) {
        let mut bytes = [0; 16];
        entry.put(&mut bytes);
        *saved = u128::from_le_bytes(bytes);
    }
    for (saved, bits) in into.msix_pba.iter_mut().zip(pending.to_le_bytes()) {
        *saved = bits;
    }
    into.rx_packets_compound = fixed.gos_type != WINDOWS;
    into.rx_vlan_stripping = activation.features & feature::RXVLAN != 0;
    into.lro_supported = activation.features & feature::LRO != 0;
    into.rx_mode = activation.filters.rx_mode;
    into.mcast_list.clone_from(&activation.filters.multicast);
    into.vlan_table = activation.filters.vlans;
    into.mtu = activation.mtu;
    into.max_rx_frags = activation.max_rx_sg;
    into.max_tx_frags = activation.tx.iter().map(|queue| queue.ring_size).sum();
    into.event_int_idx = state.event_vector;
    into.auto_int_masking = activation.auto_mask;
    into.txq_num = activation.tx.len() as u8;
    into.rxq_num = activation.rx.len() as u8;
    into.device_active = true;
    into.last_command = state.last_command;
    into.link_status_and_speed = if state.link_up { device.plane.profile().link_up } else { 0 };
    into.temp_mac = state.macl;
    into.drv_shmem = state.shared_pa;
    into.temp_shared_guest_driver_memory = u64::from(state.dsal);
    if let Some(known) = fixed.lspci {
        for at in IDENTITY {
            if let (Some(into), Some(known)) = (into.config.get_mut(at..at + 4), known.config.get(at..at + 4)) {
                into.copy_from_slice(known);
            }
        }
    }
}

/// Tells every field that is compared, by its name in the section.
pub(super) fn visit(section: &Vmxnet3Section, fixed: &Fixed<'_>, tell: &mut impl FnMut(Arguments<'_>, u64)) {
    for at in IDENTITY.into_iter().filter(|_| fixed.lspci.is_some()) {
        let word = section.config.get(at..at + 4).map_or(0, u32::get);
        tell(format_args!("config[{at:#04x}]"), u64::from(word));
    }
    for (i, &level) in section.irq_state.iter().enumerate() {
        tell(format_args!("irq_state[{i}]"), u64::from(level));
    }
    for (i, &entry) in section.msix_table.iter().enumerate() {
        tell(format_args!("msix_table[{i}].address"), entry as u64);
        tell(format_args!("msix_table[{i}].data"), (entry >> 64) as u64 & 0xffff_ffff);
        tell(format_args!("msix_table[{i}].control"), (entry >> 96) as u64);
    }
    for (i, &bits) in section.msix_pba.iter().enumerate() {
        tell(format_args!("msix_pba[{i}]"), u64::from(bits));
    }
    tell(format_args!("rx_packets_compound"), u64::from(section.rx_packets_compound));
    tell(format_args!("rx_vlan_stripping"), u64::from(section.rx_vlan_stripping));
    tell(format_args!("lro_supported"), u64::from(section.lro_supported));
    tell(format_args!("rx_mode"), u64::from(section.rx_mode));
    tell(format_args!("mcast_list_len"), section.mcast_list.len() as u64);
    for i in 0..fixed.multicasts {
        let mac = section.mcast_list.get(i).copied().unwrap_or_default();
        tell(format_args!("mcast_list[{i}]"), mac.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)));
    }
    for (i, &word) in section.vlan_table.iter().enumerate() {
        tell(format_args!("vlan_table[{i}]"), u64::from(word));
    }
    for (name, value) in [
        ("mtu", u64::from(section.mtu)),
        ("max_rx_frags", u64::from(section.max_rx_frags)),
        ("max_tx_frags", u64::from(section.max_tx_frags)),
        ("event_int_idx", u64::from(section.event_int_idx)),
        ("auto_int_masking", u64::from(section.auto_int_masking)),
        ("txq_num", u64::from(section.txq_num)),
        ("rxq_num", u64::from(section.rxq_num)),
        ("device_active", u64::from(section.device_active)),
        ("last_command", u64::from(section.last_command)),
        ("link_status_and_speed", u64::from(section.link_status_and_speed)),
        ("temp_mac", u64::from(section.temp_mac)),
        ("drv_shmem", section.drv_shmem),
        ("temp_shared_guest_driver_memory", section.temp_shared_guest_driver_memory),
    ] {
        tell(format_args!("{name}"), value);
    }
    queues(section, tell);
    for (i, vector) in section.interrupt_states.iter().enumerate() {
        tell(format_args!("interrupt_states[{i}].is_masked"), u64::from(vector.is_masked));
        tell(format_args!("interrupt_states[{i}].is_pending"), u64::from(vector.is_pending));
        tell(format_args!("interrupt_states[{i}].is_asserted"), u64::from(vector.is_asserted));
    }
}

fn queues(section: &Vmxnet3Section, tell: &mut impl FnMut(Arguments<'_>, u64)) {
    for (i, queue) in section.txq_descr.iter().enumerate() {
        rings(&queue.tx_ring, format_args!("txq_descr[{i}].tx_ring"), tell);
        rings(&queue.comp_ring, format_args!("txq_descr[{i}].comp_ring"), tell);
        tell(format_args!("txq_descr[{i}].intr_idx"), u64::from(queue.intr_idx));
        tell(format_args!("txq_descr[{i}].tx_stats_pa"), queue.tx_stats_pa);
        counters(&queue.stats.0, TxStats::LAYOUT, format_args!("txq_descr[{i}].txq_stats"), tell);
    }
    for (i, queue) in section.rxq_descr.iter().enumerate() {
        for (r, ring) in queue.rx_ring.iter().enumerate() {
            rings(ring, format_args!("rxq_descr[{i}].rx_ring[{r}]"), tell);
        }
        rings(&queue.comp_ring, format_args!("rxq_descr[{i}].comp_ring"), tell);
        tell(format_args!("rxq_descr[{i}].intr_idx"), u64::from(queue.intr_idx));
        tell(format_args!("rxq_descr[{i}].rx_stats_pa"), queue.rx_stats_pa);
        counters(&queue.stats.0, RxStats::LAYOUT, format_args!("rxq_descr[{i}].rxq_stats"), tell);
    }
}

fn rings(ring: &Ring, name: Arguments<'_>, tell: &mut impl FnMut(Arguments<'_>, u64)) {
    tell(format_args!("{name}.pa"), ring.pa);
    tell(format_args!("{name}.size"), u64::from(ring.size));
    tell(format_args!("{name}.cell_size"), u64::from(ring.cell_size));
    tell(format_args!("{name}.next"), u64::from(ring.next));
    tell(format_args!("{name}.gen"), u64::from(ring.generation));
}

fn counters(bytes: &[u8; 80], layout: &'static Layout, name: Arguments<'_>, tell: &mut impl FnMut(Arguments<'_>, u64)) {
    for field in layout.fields {
        tell(format_args!("{name}.{}", field.name), u64::get(&bytes[field.low as usize / 8..]));
    }
}
