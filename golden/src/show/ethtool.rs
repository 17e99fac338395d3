//! A raw register dump.

use super::{Page, mac};
use crate::import::EthtoolDump;
use crate::import::ethtool_d::{CommandRing, CompletionRing, DataRing};
use spec::layout::number;
use spec::vmxnet3::Bar1;

/// Every word of the dump, registers by the specification's names. Ring positions are the driver's own.
pub fn ethtool(dump: &EthtoolDump) -> String {
    let mut page = Page::default();
    let state = if dump.is_up() { "up" } else { "down" };
    page.heading(&format!("register dump, interface {state}: driver's own ring positions"));
    for (i, &value) in dump.bar1.iter().enumerate() {
        page.line(&Bar1::MAP.label(i as u32 * 8), number(u64::from(value)));
    }
    page.line("MAC", mac(&dump.mac()));
    for (i, &value) in dump.imr.iter().enumerate() {
        page.line(&format!("IMR[{i}]"), number(u64::from(value)));
    }
    for (q, queue) in dump.tx.iter().enumerate() {
        page.heading(&format!("tx[{q}]"));
        page.line("TXPROD", number(u64::from(queue.txprod)));
        command_ring(&mut page, "ring", queue.ring);
        data_ring(&mut page, queue.data);
        completion_ring(&mut page, queue.comp);
        page.line("stopped", u8::from(queue.stopped));
    }
    for (q, queue) in dump.rx.iter().enumerate() {
        page.heading(&format!("rx[{q}]"));
        page.line("RXPROD", number(u64::from(queue.rxprod[0])));
        page.line("RXPROD2", number(u64::from(queue.rxprod[1])));
        command_ring(&mut page, "ring[0]", queue.ring[0]);
        command_ring(&mut page, "ring[1]", queue.ring[1]);
        data_ring(&mut page, queue.data);
        completion_ring(&mut page, queue.comp);
    }
    page.text
}

fn command_ring(page: &mut Page, name: &str, ring: CommandRing) {
    let CommandRing { base, size, next2fill, next2comp, generation } = ring;
    let generation = u8::from(generation);
    page.line(
        name,
        format!("base {base:#x}  size {size}  next2fill {next2fill}  next2comp {next2comp}  gen {generation}"),
    );
}

fn completion_ring(page: &mut Page, ring: CompletionRing) {
    let CompletionRing { base, size, next2proc, generation } = ring;
    page.line("comp", format!("base {base:#x}  size {size}  next2proc {next2proc}  gen {}", u8::from(generation)));
}

fn data_ring(page: &mut Page, ring: DataRing) {
    let DataRing { base, size, entry_bytes } = ring;
    page.line("data", format!("base {base:#x}  size {size}  entry size {entry_bytes}"));
}
