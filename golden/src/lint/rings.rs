//! Descriptor rings as they stand in guest memory.

use super::{Findings, GENERATION_RUNS};
use crate::import::MemoryImage;
use crate::shared_view::SharedView;
use spec::vmxnet3::{CELL_BYTES, RxDesc, TxDesc};

/// Judges every descriptor ring that the image holds whole.
pub fn judge(view: &SharedView, image: &MemoryImage, findings: &mut Findings) {
    for ring in view.rings() {
        let low = match ring.part {
            "txRing" => TxDesc::LAYOUT.low("gen"),
            "rxRing[0]" | "rxRing[1]" => RxDesc::LAYOUT.low("gen"),
            _ => continue,
        };
        let Some(bytes) = ring.bytes(image) else { continue };
        let generations: Vec<bool> =
            bytes.chunks_exact(CELL_BYTES as usize).map(|cell| cell[low as usize / 8] >> (low % 8) & 1 == 1).collect();
        let changes = changes(&generations);
        if changes > 2 {
            findings.add(&GENERATION_RUNS, ring.name(), || format!("gen changes {changes} times around the ring"));
        }
    }
}

/// How often neighbours differ around the ring.
fn changes(generations: &[bool]) -> usize {
    let next = generations.iter().cycle().skip(1);
    generations.iter().zip(next).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::memory::MemoryRegion;
    use spec::vmxnet3::{DriverShared, TxQueueDesc};

    fn found(generations: [u8; 4]) -> usize {
        let mut tx = TxQueueDesc::default();
        let mut conf = tx.conf();
        conf.set_tx_ring_base_pa(0x1000);
        conf.set_tx_ring_size(4);
        tx.set_conf(conf);
        let view = SharedView { pa: 0, shared: DriverShared::default(), tx: vec![tx], rx: vec![] };
        let cells = generations.map(|generation| {
            let mut desc = TxDesc::default();
            desc.set_generation(generation == 1);
            desc.0.to_le_bytes()
        });
        let region = MemoryRegion { address: 0x1000, bytes: cells.concat(), description: String::new() };
        let mut findings = Findings::default();
        judge(&view, &MemoryImage { regions: vec![region] }, &mut findings);
        findings.list().len()
    }

    #[test]
    fn a_ring_with_holes_in_its_run_is_found() {
        assert_eq!(found([0, 0, 0, 0]), 0);
        assert_eq!(found([1, 1, 0, 0]), 0);
        assert_eq!(found([0, 1, 1, 0]), 0);
        assert_eq!(found([1, 0, 1, 0]), 1);
    }
}
