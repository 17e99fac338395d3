//! Guest memory: the shared area, queue descriptors and rings, found from each other.

use super::Page;
use crate::import::MemoryImage;
use crate::shared_view::{RingPlace, SharedView};
use spec::layout::{Leaf, number};
use spec::vmxnet3::{CELL_BYTES, DriverShared, RxQueueDesc, TxQueueDesc};

/// What a ring's entries have in common: each field as the smallest and largest value in a run of one generation.
struct Run {
    first: usize,
    count: usize,
    generation: u64,
    blank: bool,
    low: Vec<Leaf>,
    high: Vec<Leaf>,
}

/// Decodes the image from the shared area on. A ring is told in runs of one generation, with each field's range in it.
pub fn memory(image: &MemoryImage) -> String {
    let mut page = Page::default();
    page.heading("guest memory");
    for region in &image.regions {
        page.line(&format!("{:#x}", region.address), format!("{} bytes  {}", region.bytes.len(), region.description));
    }
    let Some(view) = SharedView::find(image, None) else {
        page.line("shared area", "not in the image");
        return page.text;
    };
    page.heading(&format!("{} at {:#x}", DriverShared::LAYOUT.name, view.pa));
    page.structure(DriverShared::LAYOUT, &view.shared.0);
    for (q, queue) in view.tx.iter().enumerate() {
        page.heading(&format!("tx[{q}] {}", TxQueueDesc::LAYOUT.name));
        page.structure(TxQueueDesc::LAYOUT, &queue.0);
    }
    for (q, queue) in view.rx.iter().enumerate() {
        page.heading(&format!("rx[{q}] {}", RxQueueDesc::LAYOUT.name));
        page.structure(RxQueueDesc::LAYOUT, &queue.0);
    }
    for ring in view.rings() {
        page.heading(&format!("{} at {:#x}: {} {}", ring.name(), ring.pa, ring.size, ring.entry.name));
        match ring.bytes(image) {
            Some(bytes) => runs(&ring, bytes).iter().for_each(|run| page.line(&extent(run), fields(run))),
            None => page.line("entries", "not in the image"),
        }
    }
    page.text
}

/// Runs of equal generation; entries that were never written form runs of their own.
fn runs(ring: &RingPlace, bytes: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, cell) in bytes.chunks_exact(CELL_BYTES as usize).enumerate() {
        let leaves = ring.entry.decode(cell);
        let generation = leaves.iter().find(|leaf| leaf.path == "gen").map_or(0, |leaf| leaf.value);
        let blank = cell.iter().all(|&byte| byte == 0);
        match runs.last_mut() {
            Some(run) if run.generation == generation && run.blank == blank => {
                run.count += 1;
                for (n, leaf) in leaves.iter().enumerate() {
                    run.low[n].value = run.low[n].value.min(leaf.value);
                    run.high[n].value = run.high[n].value.max(leaf.value);
                }
            }
            _ => runs.push(Run { first: i, count: 1, generation, blank, low: leaves.clone(), high: leaves }),
        }
    }
    runs
}

fn extent(run: &Run) -> String {
    format!("[{}..={}] {}", run.first, run.first + run.count - 1, run.count)
}

fn fields(run: &Run) -> String {
    if run.blank {
        return "all zero".into();
    }
    let named = run
        .low
        .iter()
        .zip(&run.high)
        .filter(|(low, high)| low.path == "gen" || high.value != 0 && !low.field.is_reserved());
    let shown = named.map(|(low, high)| {
        if low.value == high.value {
            format!("{} {}", low.path, number(low.value))
        } else {
            format!("{} {}..{}", low.path, number(low.value), number(high.value))
        }
    });
    shown.collect::<Vec<_>>().join("  ")
}
