//! Guest memory at the hold: every completion, who owns which descriptor, and the statistics, replayed against recorded.

use super::guest::{Guest, Posted, cell_pa};
use super::run::Failures;
use crate::import::{Capture, MemoryImage};
use crate::shared_view::SharedView;
use model::memory::Memory;
use spec::layout::{Bytes, Layout};
use spec::vmxnet3::tx::om;
use spec::vmxnet3::{RxCompDesc, RxDesc, TxCompDesc, TxDesc, TxQueueDesc};

/// Compares guest memory with the image. Answers how many cells were compared.
pub(super) fn compare(
    capture: &Capture,
    view: &SharedView,
    guest: &Guest<'_>,
    memory: &Memory,
    failures: &mut Failures,
) -> usize {
    let mut all = Comparison { image: &capture.memory, memory, failures, cells: 0 };
    for (q, (conf, side)) in view.tx.iter().map(TxQueueDesc::conf).zip(&guest.tx).enumerate() {
        let (ring, size) = (conf.tx_ring_base_pa(), conf.tx_ring_size());
        all.ring(&format!("tx[{q}].txRing"), ring, size, TxDesc::LAYOUT, &["gen"]);
        all.ring(
            &format!("tx[{q}].compRing"),
            conf.comp_ring_base_pa(),
            conf.comp_ring_size(),
            TxCompDesc::LAYOUT,
            &[],
        );
        for posted in &side.posted {
            all.packet(q, ring, size, posted);
        }
    }
    for (q, conf) in view.rx.iter().map(spec::vmxnet3::RxQueueDesc::conf).enumerate() {
        for r in 0..2 {
            let (ring, size) = (conf.rx_ring_base_pa()[r], conf.rx_ring_size()[r]);
            all.ring(&format!("rx[{q}].rxRing[{r}]"), ring, size, RxDesc::LAYOUT, &["len", "btype", "gen"]);
        }
        all.ring(
            &format!("rx[{q}].compRing"),
            conf.comp_ring_base_pa(),
            conf.comp_ring_size(),
            RxCompDesc::LAYOUT,
            &[],
        );
    }
    let table = view.shared.misc().queue_desc_pa();
    for i in 0..view.tx.len() + view.rx.len() {
        let name =
            if i < view.tx.len() { format!("tx[{i}].stats") } else { format!("rx[{}].stats", i - view.tx.len()) };
        all.statistics(&name, table.wrapping_add(256 * i as u64).wrapping_add(TxQueueDesc::LAYOUT.offset("stats")));
    }
    all.cells
}

struct Comparison<'a> {
    image: &'a MemoryImage,
    memory: &'a Memory,
    failures: &'a mut Failures,
    cells: usize,
}

impl Comparison<'_> {
    /// Compares the named fields of every cell, or all fields. What the image does not hold is not judged.
    fn ring(&mut self, name: &str, pa: u64, size: u32, layout: &'static Layout, fields: &[&str]) {
        for index in 0..size {
            let at = cell_pa(pa, index);
            let Some(recorded) = self.image.read(at, 16).map(|cell| TxDesc::get(cell).0) else { return };
            let replayed = self.memory.cell(at).unwrap_or(0);
            self.cells += 1;
            for field in layout.fields.iter().filter(|field| fields.is_empty() || fields.contains(&field.name)) {
                let of = |cell: u128| (cell >> field.low & ((1 << field.bits) - 1)) as u64;
                let (recorded, replayed) = (of(recorded), of(replayed));
                if recorded != replayed {
                    self.failures.add(
                        format!("memory {name} {}", field.name),
                        format!("memory: {name}[{index}].{} is {recorded}, replayed {replayed}", field.name),
                    );
                }
            }
        }
    }

    /// A packet that is still in the TX ring: as long as the captured frame, and ending where the doorbell said.
    fn packet(&mut self, queue: usize, pa: u64, size: u32, posted: &Posted) {
        let mut bytes = 0;
        let mut eop_at = None;
        let mut segmented = false;
        for i in 0..posted.descs {
            let index = (posted.first + i) % size.max(1);
            let Some(cell) = self.image.read(cell_pa(pa, index), 16) else { return };
            let desc = TxDesc::get(cell);
            bytes += if desc.len() == 0 { 16_384 } else { usize::from(desc.len()) };
            bytes += if desc.ti() { 4 } else { 0 };
            segmented |= desc.om() == om::TSO;
            if desc.eop() {
                eop_at.get_or_insert(i + 1);
            }
        }
        let at = posted.first;
        if eop_at != Some(posted.descs) {
            self.failures.add(
                format!("memory tx[{queue}].txRing eop"),
                format!(
                    "memory: the packet at tx[{queue}].txRing[{at}] does not end after {} descriptors",
                    posted.descs
                ),
            );
        }
        if bytes != posted.bytes && !segmented {
            self.failures.add(
                format!("memory tx[{queue}].txRing len"),
                format!(
                    "memory: the packet at tx[{queue}].txRing[{at}] has {bytes} bytes, frame {} has {}",
                    posted.frame, posted.bytes
                ),
            );
        }
    }

    /// The statistics that GET_STATS wrote last.
    fn statistics(&mut self, name: &str, pa: u64) {
        let Some(recorded) = self.image.read(pa, 80) else { return };
        let replayed = self.memory.bytes(pa, 80).unwrap_or(&[0; 80]);
        let layout =
            if name.starts_with('t') { spec::vmxnet3::TxStats::LAYOUT } else { spec::vmxnet3::RxStats::LAYOUT };
        for field in layout.fields {
            let at = field.low as usize / 8;
            let (recorded, replayed) = (u64::get(&recorded[at..]), u64::get(&replayed[at..]));
            if recorded != replayed {
                self.failures.add(
                    format!("memory {name}.{}", field.name),
                    format!("memory: {name}.{} is {recorded}, replayed {replayed}", field.name),
                );
            }
        }
    }
}
