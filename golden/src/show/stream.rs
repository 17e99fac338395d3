//! The `vmxnet3` section of a migration stream.

use super::{Page, flags, mac, ranges};
use crate::import::{Interrupt, Ring, Vmxnet3Section};
use spec::layout::number;
use spec::vmxnet3::command::{Command, rx_mode};
use spec::vmxnet3::{MsixEntry, RxStats, TxStats};

/// Names of the bits of `rxMode`.
pub(crate) const RX_MODE: &[(u32, &str)] = &[
    (rx_mode::UCAST, "UCAST"),
    (rx_mode::MCAST, "MCAST"),
    (rx_mode::BCAST, "BCAST"),
    (rx_mode::ALL_MULTI, "ALL_MULTI"),
    (rx_mode::PROMISC, "PROMISC"),
];

/// Every field of the section; queues beyond the ones in use are left out when they are empty.
pub fn stream(section: &Vmxnet3Section) -> String {
    let mut page = Page::default();
    let place = &section.section;
    page.heading(&format!(
        "migration stream of {}: section {} {} instance {} version {}, {} bytes at {:#x}",
        section.machine,
        place.id,
        place.name,
        place.instance,
        place.version,
        place.payload.len(),
        place.payload.start
    ));
    pci(&mut page, section);
    page.heading("configuration");
    page.line("device_active", u8::from(section.device_active));
    page.line("drv_shmem", format!("{:#x}", section.drv_shmem));
    page.line("temp_shared_guest_driver_memory", format!("{:#x}", section.temp_shared_guest_driver_memory));
    let command = Command::from(section.last_command);
    page.line("last_command", format!("{:#x} {}", section.last_command, command.name()));
    page.line("link_status_and_speed", format!("{:#x}", section.link_status_and_speed));
    page.line("temp_mac", format!("{:#x}", section.temp_mac));
    page.line("rx_packets_compound", u8::from(section.rx_packets_compound));
    page.line("rx_vlan_stripping", u8::from(section.rx_vlan_stripping));
    page.line("lro_supported", u8::from(section.lro_supported));
    page.line("rx_mode", flags(section.rx_mode, RX_MODE));
    page.line("mcast_list", section.mcast_list.iter().map(|address| mac(address)).collect::<Vec<_>>().join(" "));
    let vids = (0..4096).filter(|vid| section.vlan_table[*vid as usize / 32] >> (vid % 32) & 1 == 1);
    page.line("vlan_table", ranges(vids));
    page.line("mtu", section.mtu);
    page.line("max_rx_frags", section.max_rx_frags);
    page.line("max_tx_frags", section.max_tx_frags);
    page.line("event_int_idx", section.event_int_idx);
    page.line("auto_int_masking", u8::from(section.auto_int_masking));
    page.line("txq_num", section.txq_num);
    page.line("rxq_num", section.rxq_num);
    for (q, queue) in section.txq_descr.iter().enumerate() {
        if q < usize::from(section.txq_num) || queue.tx_ring != Ring::default() {
            page.heading(&format!("txq_descr[{q}]"));
            ring(&mut page, "tx_ring", queue.tx_ring);
            ring(&mut page, "comp_ring", queue.comp_ring);
            page.line("intr_idx", queue.intr_idx);
            page.line("tx_stats_pa", format!("{:#x}", queue.tx_stats_pa));
            page.structure(TxStats::LAYOUT, &queue.stats.0);
        }
    }
    for (q, queue) in section.rxq_descr.iter().enumerate() {
        if q < usize::from(section.rxq_num) || queue.rx_ring[0] != Ring::default() {
            page.heading(&format!("rxq_descr[{q}]"));
            ring(&mut page, "rx_ring[0]", queue.rx_ring[0]);
            ring(&mut page, "rx_ring[1]", queue.rx_ring[1]);
            ring(&mut page, "comp_ring", queue.comp_ring);
            page.line("intr_idx", queue.intr_idx);
            page.line("rx_stats_pa", format!("{:#x}", queue.rx_stats_pa));
            page.structure(RxStats::LAYOUT, &queue.stats.0);
        }
    }
    page.heading("interrupt_states");
    let with = |holds: fn(&Interrupt) -> bool| {
        ranges((0..).zip(&section.interrupt_states).filter(|(_, state)| holds(state)).map(|(i, _)| i))
    };
    page.line("is_masked", with(|state| state.is_masked));
    page.line("is_pending", with(|state| state.is_pending));
    page.line("is_asserted", with(|state| state.is_asserted));
    page.text
}

fn ring(page: &mut Page, name: &str, ring: Ring) {
    let Ring { pa, size, cell_size, next, generation } = ring;
    let generation = u8::from(generation);
    page.line(name, format!("pa {pa:#x}  size {size}  cell_size {cell_size}  next {next}  gen {generation}"));
}

fn pci(page: &mut Page, section: &Vmxnet3Section) {
    page.heading("PCI");
    let half = |at: usize| u16::from_le_bytes([section.config[at], section.config[at + 1]]);
    let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
    page.line("identity", format!("{:04x}:{:04x} revision {}", half(0), half(2), section.config[8]));
    page.line("command", format!("{:#06x}", half(4)));
    page.line("status", format!("{:#06x}", half(6)));
    for bar in 0..3 {
        page.line(&format!("BAR{bar}"), format!("{:#x}", word(0x10 + 4 * bar)));
    }
    page.line("irq_state", format!("{:?}", section.irq_state));
    for (i, &entry) in section.msix_table.iter().enumerate() {
        let entry = MsixEntry(entry);
        if entry.address() != 0 {
            let (address, data, mask) = (entry.address(), number(u64::from(entry.data())), u8::from(entry.masked()));
            page.line(&format!("msix table[{i}]"), format!("msg_addr {address:#x}  msg_data {data}  mask {mask}"));
        }
    }
    let pending = |i: &u32| section.msix_pba[*i as usize / 8] >> (i % 8) & 1 == 1;
    page.line("msix pending", ranges((0..section.msix_pba.len() as u32 * 8).filter(pending)));
}
