//! What a dump says, as named values with a meaning. Two dumps are compared through these lists.

use crate::import::ethtool_d::{CommandRing, CompletionRing, DataRing};
use crate::import::qemu_stream::Value;
use crate::import::{EthtoolDump, MemoryImage, Ring, Vmxnet3Section};
use crate::shared_view::SharedView;
use spec::layout::Layout;
use spec::vmxnet3::{Bar1, CELL_BYTES, DriverShared, RxQueueDesc, TxQueueDesc};

/// A field and what it holds.
pub(super) struct Fact {
    pub(super) field: String,
    pub(super) meaning: Meaning,
    /// The driver knows it and the device need not.
    pub(super) driver_only: bool,
}

/// A value with the sense in which it may change.
#[derive(PartialEq, Eq)]
pub(super) enum Meaning {
    /// Equal or not.
    Number(u64),
    /// Only grows.
    Counter(u64),
    /// Goes round.
    Position { index: u32, generation: bool, size: u32 },
    /// Bytes without a known meaning.
    Text(String),
}

/// Facts gathered under a common prefix.
#[derive(Default)]
struct Facts {
    facts: Vec<Fact>,
}

impl Facts {
    fn add(&mut self, field: String, meaning: Meaning) {
        self.facts.push(Fact { field, meaning, driver_only: false });
    }

    fn number(&mut self, field: String, value: impl Into<u64>) {
        self.add(field, Meaning::Number(value.into()));
    }

    fn driver_number(&mut self, field: String, value: impl Into<u64>) {
        self.facts.push(Fact { field, meaning: Meaning::Number(value.into()), driver_only: true });
    }

    fn position(&mut self, ring: &str, index: u32, generation: bool, size: u32) {
        self.add(format!("{ring} position"), Meaning::Position { index, generation, size });
    }

    /// The place up to which the driver has taken what the device did.
    fn command_ring(&mut self, ring: &str, base: &str, size: &str, seen: CommandRing) {
        self.number(base.into(), seen.base);
        self.number(size.into(), seen.size);
        if seen.size != 0 {
            let outstanding = (seen.next2fill + seen.size - seen.next2comp) % seen.size;
            let back = seen.next2fill < outstanding;
            let index = if back { seen.next2fill + seen.size - outstanding } else { seen.next2fill - outstanding };
            self.position(ring, index, seen.generation != back, seen.size);
        }
    }

    fn completion_ring(&mut self, queue: &str, seen: CompletionRing) {
        self.number(format!("{queue}.compRingBasePA"), seen.base);
        self.number(format!("{queue}.compRingSize"), seen.size);
        if seen.size != 0 {
            self.position(&format!("{queue}.compRing"), seen.next2proc, seen.generation, seen.size);
        }
    }

    fn data_ring(&mut self, base: String, entry: String, seen: DataRing) {
        self.driver_number(base, seen.base);
        self.driver_number(entry, seen.entry_bytes);
    }

    fn device_ring(&mut self, ring: &str, base: &str, size: &str, held: Ring) {
        self.number(base.into(), held.pa);
        self.number(size.into(), held.size);
        if held.size != 0 {
            self.position(ring, held.next, held.generation, held.size);
        }
    }

    fn layout(&mut self, prefix: &str, layout: &'static Layout, bytes: &[u8]) {
        for leaf in layout.decode(bytes) {
            let counter = leaf.path.starts_with("stats.");
            let meaning = if counter { Meaning::Counter(leaf.value) } else { Meaning::Number(leaf.value) };
            self.add(format!("{prefix}.{}", leaf.path), meaning);
        }
    }
}

/// The driver's view: what a register dump shares with a stream, then what only it knows.
pub(super) fn driver_side(dump: &EthtoolDump) -> Vec<Fact> {
    let mut facts = Facts::default();
    facts.number("numTxQueues".into(), dump.tx.len() as u64);
    facts.number("numRxQueues".into(), dump.rx.len() as u64);
    facts.driver_number("numIntrs".into(), dump.imr.len() as u64);
    for (q, queue) in dump.tx.iter().enumerate() {
        let name = format!("tx[{q}]");
        let [base, size] = ["txRingBasePA", "txRingSize"].map(|field| format!("{name}.{field}"));
        facts.command_ring(&format!("{name}.txRing"), &base, &size, queue.ring);
        facts.completion_ring(&name, queue.comp);
        facts.data_ring(format!("{name}.dataRingBasePA"), format!("{name}.txDataRingDescSize"), queue.data);
    }
    for (q, queue) in dump.rx.iter().enumerate() {
        let name = format!("rx[{q}]");
        for (r, ring) in queue.ring.into_iter().enumerate() {
            let [base, size] = ["rxRingBasePA", "rxRingSize"].map(|field| format!("{name}.{field}[{r}]"));
            facts.command_ring(&format!("{name}.rxRing[{r}]"), &base, &size, ring);
        }
        facts.completion_ring(&name, queue.comp);
        facts.data_ring(format!("{name}.rxDataRingBasePA"), format!("{name}.rxDataRingDescSize"), queue.data);
    }
    facts.facts
}

/// The device's view of the same.
pub(super) fn device_side(stream: &Vmxnet3Section) -> Vec<Fact> {
    let mut facts = Facts::default();
    facts.number("numTxQueues".into(), stream.txq_num);
    facts.number("numRxQueues".into(), stream.rxq_num);
    for (q, queue) in stream.tx_queues().iter().enumerate() {
        let name = |part: &str| format!("tx[{q}].{part}");
        facts.device_ring(&name("txRing"), &name("txRingBasePA"), &name("txRingSize"), queue.tx_ring);
        facts.device_ring(&name("compRing"), &name("compRingBasePA"), &name("compRingSize"), queue.comp_ring);
    }
    for (q, queue) in stream.rx_queues().iter().enumerate() {
        let name = |part: &str| format!("rx[{q}].{part}");
        for (r, ring) in queue.rx_ring.into_iter().enumerate() {
            let [base, size] = ["rxRingBasePA", "rxRingSize"].map(|field| name(&format!("{field}[{r}]")));
            facts.device_ring(&name(&format!("rxRing[{r}]")), &base, &size, ring);
        }
        facts.device_ring(&name("compRing"), &name("compRingBasePA"), &name("compRingSize"), queue.comp_ring);
    }
    facts.facts
}

/// What guest memory adds to the stream: vectors and data rings.
pub(super) fn shared_side(memory: &MemoryImage, shared_pa: u64) -> Vec<Fact> {
    let mut facts = Facts::default();
    let Some(view) = SharedView::find(memory, Some(shared_pa)) else { return facts.facts };
    facts.number("numIntrs".into(), view.shared.intr_conf().num_intrs());
    for (q, conf) in view.tx.iter().map(TxQueueDesc::conf).enumerate() {
        facts.number(format!("tx[{q}].dataRingBasePA"), conf.data_ring_base_pa());
        facts.number(format!("tx[{q}].txDataRingDescSize"), conf.tx_data_ring_desc_size());
    }
    for (q, conf) in view.rx.iter().map(RxQueueDesc::conf).enumerate() {
        facts.number(format!("rx[{q}].rxDataRingBasePA"), conf.rx_data_ring_base_pa());
        facts.number(format!("rx[{q}].rxDataRingDescSize"), conf.rx_data_ring_desc_size());
    }
    facts.facts
}

/// A whole register dump: registers and masks, then the driver's view.
pub(super) fn ethtool(dump: &EthtoolDump) -> Vec<Fact> {
    let mut facts = Facts::default();
    for (i, &value) in dump.bar1.iter().enumerate() {
        facts.number(Bar1::MAP.label(i as u32 * 8), value);
    }
    for (i, &value) in dump.imr.iter().enumerate() {
        facts.number(format!("IMR[{i}]"), value);
    }
    facts.facts.extend(driver_side(dump));
    facts.facts
}

/// Every field of the section; a ring's `next` and `gen` are one position.
pub(super) fn stream(section: &Vmxnet3Section) -> Vec<Fact> {
    let mut facts = Facts::default();
    let mut position = (0, 0);
    for (path, node) in section.tree.leaves() {
        match (&node.value, path.rsplit_once('.')) {
            (Value::Uint(value), Some((_, "size"))) => {
                position.0 = *value;
                facts.number(path, *value);
            }
            (Value::Uint(value), Some((_, "next"))) => position.1 = *value,
            (Value::Uint(value), Some((ring, "gen"))) => {
                let (size, index) = (position.0 as u32, position.1 as u32);
                facts.position(ring, index, *value != 0, size);
            }
            (Value::Uint(value), _) if path.contains("_stats.") => facts.add(path, Meaning::Counter(*value)),
            (Value::Uint(value), _) => facts.number(path, *value),
            (Value::Int(value), _) => facts.add(path, Meaning::Text(value.to_string())),
            (Value::Bytes(bytes), _) => {
                for (row, bytes) in bytes.chunks(16).enumerate() {
                    let text = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    facts.add(format!("{path}+{:#05x}", row * 16), Meaning::Text(text));
                }
            }
            _ => {}
        }
    }
    facts.facts
}

/// The shared structures and every ring entry that the image holds; without a shared area, rows of bytes.
/// Bytes of memory that are compared row by row at the most.
const ROWS: usize = 1 << 20;
const PAGE: usize = 4096;

/// A page in 16 digits. Not against forgery: it tells a change.
fn digest(bytes: &[u8]) -> String {
    let mut sum = bytes.len() as u64;
    for word in bytes.chunks(8) {
        let mut le = [0; 8];
        le[..word.len()].copy_from_slice(word);
        sum = spec::frame::mix(sum.rotate_left(5) ^ u64::from_le_bytes(le));
    }
    format!("{sum:016x}")
}

pub(super) fn memory(image: &MemoryImage) -> Vec<Fact> {
    let mut facts = Facts::default();
    let Some(view) = SharedView::find(image, None) else {
        // Of a whole guest's memory pages are compared, by digest; of a few ranges each row.
        let whole = image.regions.iter().fold(0, |sum: usize, region| sum.saturating_add(region.bytes.len())) > ROWS;
        for region in &image.regions {
            for (row, bytes) in region.bytes.chunks(if whole { PAGE } else { 16 }).enumerate() {
                let text = if whole { digest(bytes) } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
                let at = row * if whole { PAGE } else { 16 };
                facts.add(format!("{:#x}+{at:#05x}", region.address), Meaning::Text(text));
            }
        }
        return facts.facts;
    };
    facts.number("shared area".into(), view.pa);
    facts.layout("shared", DriverShared::LAYOUT, &view.shared.0);
    view.tx.iter().enumerate().for_each(|(q, queue)| facts.layout(&format!("tx[{q}]"), TxQueueDesc::LAYOUT, &queue.0));
    view.rx.iter().enumerate().for_each(|(q, queue)| facts.layout(&format!("rx[{q}]"), RxQueueDesc::LAYOUT, &queue.0));
    for ring in view.rings() {
        let cells = ring.bytes(image).unwrap_or_default().chunks_exact(CELL_BYTES as usize);
        cells.enumerate().for_each(|(i, cell)| facts.layout(&format!("{}[{i}]", ring.name()), ring.entry, cell));
    }
    facts.facts
}
