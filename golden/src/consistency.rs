//! Whether a saved state agrees with the rings that it was saved with.
//!
//! A completion ring tells by itself where it stands: every cell before its position carries one generation and every cell
//! from there on the other. The completion before it names the descriptor that was consumed last, so it tells where the
//! descriptor ring stands; and the cells of a ring tell whose they are. A saved position that differs is named.
//!
//! Sources: vmxnet3_defs.h; QEMU hw/net/vmxnet3.c, vmxnet3_get_next_head_rx_descr, for BODY buffers passed over.

use crate::import::{Capture, ImportError, Ring, Rule};
use crate::shared_view::SharedView;
use serde::Serialize;
use spec::position::RingIndex;
use spec::vmxnet3::{CELL_BYTES, RxCompDesc, RxDesc, RxQueueDesc, TxCompDesc, TxDesc, TxQueueDesc};

const STREAM: &str = "migration-stream.bin";

/// What was checked and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsistencyReport {
    /// Fields of the section that guest memory confirms.
    pub confirmed: Vec<String>,
    /// Fields that nothing in guest memory tells.
    pub not_judged: Vec<String>,
}

/// Checks a capture.
///
/// # Errors
/// Names the first field of the stream that guest memory contradicts.
pub fn check(capture: &Capture) -> Result<ConsistencyReport, ImportError> {
    let (report, violations) = judge(capture)?;
    violations.into_iter().next().map_or(Ok(report), Err)
}

/// Checks a capture and tells every violation.
///
/// # Errors
/// When there is no shared area where the stream says it is, so that nothing can be checked.
pub fn judge(capture: &Capture) -> Result<(ConsistencyReport, Vec<ImportError>), ImportError> {
    let mut judge = Judge { capture, report: ConsistencyReport::default(), violations: Vec::new() };
    if capture.stream.device_active {
        let view = shared_area(capture)?;
        judge.configuration(&view);
        for queue in 0..capture.stream.tx_queues().len() {
            judge.transmit(queue);
        }
        for queue in 0..capture.stream.rx_queues().len() {
            judge.receive(queue);
        }
    }
    Ok((judge.report, judge.violations))
}

/// The shared area at the stream's address.
///
/// # Errors
/// When the memory of the capture has none there.
pub(crate) fn shared_area(capture: &Capture) -> Result<SharedView, ImportError> {
    SharedView::find(&capture.memory, Some(capture.stream.drv_shmem)).ok_or_else(|| {
        let rule = Rule::Says("no shared area in memory begins there");
        refuse(capture, "drv_shmem", capture.stream.drv_shmem, rule)
    })
}

/// A refusal of a field of the stream.
fn refuse(capture: &Capture, field: &str, value: u64, rule: Rule) -> ImportError {
    let leaves = capture.stream.tree.leaves();
    let offset = leaves.iter().find(|(path, _)| path == field).map_or(0, |(_, node)| node.offset);
    ImportError::value(STREAM, offset, field, value, rule)
}

struct Judge<'a> {
    capture: &'a Capture,
    report: ConsistencyReport,
    violations: Vec<ImportError>,
}

impl Judge<'_> {
    fn require(&mut self, field: String, value: u64, expected: u64) -> bool {
        if value == expected {
            self.report.confirmed.push(field);
        } else {
            self.violations.push(refuse(self.capture, &field, value, Rule::Is(expected)));
        }
        value == expected
    }

    /// The configuration that the driver left in memory: nothing writes it again while the device is active.
    fn configuration(&mut self, view: &SharedView) {
        let stream = &self.capture.stream;
        let misc = view.shared.misc();
        self.require("txq_num".into(), u64::from(stream.txq_num), u64::from(misc.num_tx_queues()));
        self.require("rxq_num".into(), u64::from(stream.rxq_num), u64::from(misc.num_rx_queues()));
        for (q, (queue, conf)) in stream.tx_queues().iter().zip(view.tx.iter().map(TxQueueDesc::conf)).enumerate() {
            let name = format!("txq_descr[{q}]");
            self.place(&format!("{name}.tx_ring"), queue.tx_ring, conf.tx_ring_base_pa(), conf.tx_ring_size());
            self.place(&format!("{name}.comp_ring"), queue.comp_ring, conf.comp_ring_base_pa(), conf.comp_ring_size());
            self.require(format!("{name}.intr_idx"), u64::from(queue.intr_idx), u64::from(conf.intr_idx()));
        }
        for (q, (queue, conf)) in stream.rx_queues().iter().zip(view.rx.iter().map(RxQueueDesc::conf)).enumerate() {
            let name = format!("rxq_descr[{q}]");
            for r in 0..2 {
                let (pa, size) = (conf.rx_ring_base_pa()[r], conf.rx_ring_size()[r]);
                if size != 0 || queue.rx_ring[r].size != 0 {
                    self.place(&format!("{name}.rx_ring[{r}]"), queue.rx_ring[r], pa, size);
                }
            }
            self.place(&format!("{name}.comp_ring"), queue.comp_ring, conf.comp_ring_base_pa(), conf.comp_ring_size());
            self.require(format!("{name}.intr_idx"), u64::from(queue.intr_idx), u64::from(conf.intr_idx()));
        }
    }

    fn place(&mut self, name: &str, ring: Ring, pa: u64, size: u32) {
        self.require(format!("{name}.pa"), ring.pa, pa);
        self.require(format!("{name}.size"), u64::from(ring.size), u64::from(size));
    }

    fn skip(&mut self, field: String) {
        self.report.not_judged.push(field);
    }

    /// All cells of a ring; none when the image does not hold it.
    fn cells(&self, ring: Ring) -> Option<Vec<u128>> {
        let bytes = self.capture.memory.read(ring.pa, usize::try_from(u64::from(ring.size) * CELL_BYTES).ok()?)?;
        (ring.size > 0).then(|| bytes.as_chunks::<16>().0.iter().map(|cell| u128::from_le_bytes(*cell)).collect())
    }

    fn position(&mut self, name: &str, ring: Ring, found: RingIndex) {
        if self.require(format!("{name}.next"), u64::from(ring.next), u64::from(found.index())) {
            self.require(format!("{name}.gen"), u64::from(ring.generation), u64::from(found.generation()));
        }
    }

    /// Finds where a completion ring stands in memory, and holds the saved position against it.
    fn completions(&mut self, name: &str, ring: Ring) -> Option<(RingIndex, Vec<u128>)> {
        let Some(cells) = self.cells(ring) else {
            self.skip(name.to_string());
            return None;
        };
        // Both kinds of completion have their generation in the last bit.
        match boundary(&cells) {
            Ok(found) => {
                self.position(name, ring, found);
                Some((found, cells))
            }
            Err(index) => {
                let field = format!("{name}[{index}].gen");
                let rule = Rule::Says("the ring has no single place where its generation changes");
                let file = format!("memory at {:#x}", ring.pa);
                let generation = cells.get(index).map_or(0, |cell| (cell >> 127) as u64);
                self.violations.push(ImportError::value(&file, 16 * index, field, generation, rule));
                None
            }
        }
    }

    fn transmit(&mut self, queue: usize) {
        let tx = &self.capture.stream.txq_descr[queue];
        let (ring, comp) = (tx.tx_ring, tx.comp_ring);
        let name = format!("txq_descr[{queue}].tx_ring");
        let Some((at, completions)) = self.completions(&format!("txq_descr[{queue}].comp_ring"), comp) else {
            self.skip(name);
            return;
        };
        let last = backwards(at, &completions).next();
        let last = last.map(|cell| u32::from(TxCompDesc(cell).txd_idx()));
        let next = last.map_or(0, |last| (last + 1) % ring.size.max(1));
        if !self.require(format!("{name}.next"), u64::from(ring.next), u64::from(next)) {
            return;
        }
        // A consumed descriptor keeps the generation that it was consumed with.
        let consumed =
            last.and_then(|last| self.cells(ring)?.get(last as usize).map(|&cell| TxDesc(cell).generation()));
        let generation = match (last, consumed) {
            (None, _) => Some(true),
            (Some(_), consumed) => consumed.map(|generation| generation != (next == 0)),
        };
        match generation {
            Some(generation) => {
                self.require(format!("{name}.gen"), u64::from(ring.generation), u64::from(generation));
            }
            None => self.skip(format!("{name}.gen")),
        }
    }

    fn receive(&mut self, queue: usize) {
        let rx = self.capture.stream.rxq_descr[queue].clone();
        let found = self.completions(&format!("rxq_descr[{queue}].comp_ring"), rx.comp_ring);
        let queues = u16::from(self.capture.stream.rxq_num);
        for (r, ring) in rx.rx_ring.into_iter().enumerate().filter(|(_, ring)| ring.size != 0) {
            let name = format!("rxq_descr[{queue}].rx_ring[{r}]");
            let cells = self.cells(ring);
            let Some((at, completions)) = &found else {
                self.skip(name);
                continue;
            };
            let of_ring = |cell: u128| (RxCompDesc(cell).rq_id() == queue as u16 + queues) == (r == 1);
            let mut seen = 0;
            let last = backwards(*at, completions).inspect(|_| seen += 1).find(|&cell| of_ring(cell));
            let next = match last {
                Some(cell) => (u32::from(RxCompDesc(cell).rxd_idx()) + 1) % ring.size,
                None if seen < completions.len() => 0,
                None => {
                    self.skip(name);
                    continue;
                }
            };
            let lacked = rx.stats.pkts_rx_out_of_buf() != 0 || rx.stats.pkts_rx_error() != 0;
            let passed = lacked && r == 0 && cells.as_ref().is_some_and(|cells| only_bodies(cells, next, ring.next));
            let next = if passed { ring.next } else { next };
            if !self.require(format!("{name}.next"), u64::from(ring.next), u64::from(next)) {
                continue;
            }
            let owned = |generation| {
                let at = RingIndex::new(next, generation, ring.size)?;
                Some(starts_with_its_owned_cells(cells.as_ref()?, at))
            };
            match (owned(ring.generation), owned(!ring.generation)) {
                (Some(true), Some(false)) => self.report.confirmed.push(format!("{name}.gen")),
                (Some(false), Some(true)) => {
                    let (is, must) = (u64::from(ring.generation), u64::from(!ring.generation));
                    self.require(format!("{name}.gen"), is, must);
                }
                _ => self.skip(format!("{name}.gen")),
            }
        }
    }
}

/// Where a completion ring stands: the one cell whose generation differs from the one before it. A ring of one generation
/// stands at its beginning, in the lap of the other.
///
/// # Errors
/// The first cell that contradicts.
fn boundary(cells: &[u128]) -> Result<RingIndex, usize> {
    let generation = |cell: &u128| cell >> 127 == 1;
    let first = cells.first().is_some_and(generation);
    let size = cells.len() as u32;
    let at = cells.iter().position(|cell| generation(cell) != first).unwrap_or(cells.len());
    if let Some(beyond) = cells[at..].iter().position(|cell| generation(cell) == first) {
        return Err(at + beyond);
    }
    let found = RingIndex::new(at as u32, first, size);
    Ok(found.or_else(|| RingIndex::new(0, !first, size)).unwrap_or_default())
}

/// The completions written before `at`, the latest first. A cell of zeros was never written: a completion has a bit set, or
/// there is one after it in the ring.
fn backwards(at: RingIndex, cells: &[u128]) -> impl Iterator<Item = u128> {
    let (before, after) = cells.split_at(at.index() as usize);
    // A TX completion of the second lap may be all zeros, but not all of that lap.
    let lap = !at.generation() || after.iter().any(|&cell| cell != 0);
    before.iter().rev().copied().chain(after.iter().rev().copied().take_while(move |_| lap))
}

/// From `from` up to `to` there are only BODY buffers, which a device passes over in search of a HEAD.
fn only_bodies(cells: &[u128], from: u32, to: u32) -> bool {
    let size = cells.len() as u32;
    let ahead = (to + size - from) % size;
    (0..ahead).all(|i| RxDesc(cells[((from + i) % size) as usize]).btype())
}

/// The cells that carry the expected generation come first from `at` on, and there are both kinds.
fn starts_with_its_owned_cells(cells: &[u128], at: RingIndex) -> bool {
    let (size, mut at) = (cells.len() as u32, at);
    let mut owned = Vec::with_capacity(cells.len());
    for _ in cells {
        owned.push(RxDesc(cells[at.index() as usize]).generation() == at.generation());
        at = at.next(size);
    }
    owned.windows(2).all(|pair| pair[0] || !pair[1])
}
