//! A whole capture: a summary, then the device and the memory in full.

use super::{Page, lspci, memory, stream};
use crate::import::{Capture, Region, RegisterAccess};

/// What the capture holds, in the order in which one would read it.
pub fn capture(all: &Capture) -> String {
    let mut page = Page::default();
    page.heading("capture");
    page.line(
        "device",
        format!("{}, {} tx and {} rx queues", all.stream.section.name, all.stream.txq_num, all.stream.rxq_num),
    );
    page.line("memory", format!("{} ranges", all.memory.regions.len()));
    if let Some(trace) = &all.trace {
        let count = |write, region| {
            trace
                .accesses
                .iter()
                .filter(|access: &&RegisterAccess| access.write == write && access.region == region)
                .count()
        };
        for (name, region) in [("BAR0", Region::Bar0), ("BAR1", Region::Bar1), ("MSI-X table", Region::MsixTable)] {
            page.line(
                &format!("trace, {name}"),
                format!("{} reads, {} writes", count(false, region), count(true, region)),
            );
        }
    }
    if let Some(frames) = &all.frames {
        let bytes: u64 = frames.iter().map(|frame| u64::from(frame.wire_len)).sum();
        page.line("wire", format!("{} frames, {bytes} bytes", frames.len()));
    }
    for (name, dump) in &all.dumps {
        let sizes = |ring: u32| if ring == 0 { "no ring".to_string() } else { format!("{ring} entries") };
        let tx = dump.tx.first().map_or(0, |queue| queue.ring.size);
        let rx = dump.rx.first().map_or(0, |queue| queue.ring[0].size);
        page.line(name, format!("{} vectors, tx {}, rx {}", dump.imr.len(), sizes(tx), sizes(rx)));
    }
    let device = all.lspci.as_ref().map_or(String::new(), |device| format!("\n{}", lspci(device)));
    format!("{}{device}\n{}\n{}", page.text, stream(&all.stream), memory(&all.memory))
}
