//! Which guest memory a trace touches, so that it can be rebuilt.

use super::call::Call;
use super::header::MOST_MEMORY;
use super::replay::ReplayError;
use super::seen::{Trace, What};
use model::memory::Memory;
use spec::vmxnet3::TxDesc;

const PAGE: u64 = 4096;
/// Gaps smaller than this are memory too: few regions are searched faster than many.
const GAP: u64 = 1 << 20;

/// Memory, filled as the header says, with everything the trace touches: what its header names, or what its device reads and writes.
pub(super) fn memory(trace: &Trace) -> Result<Memory, ReplayError> {
    let regions = if trace.header.has_stores() { trace.header.memory.clone() } else { touched(trace) };
    let bytes = regions.iter().fold(0, |sum: u64, &(_, len)| sum.saturating_add(len));
    if bytes > MOST_MEMORY {
        return Err(ReplayError::Memory { bytes, limit: MOST_MEMORY });
    }
    let regions: Vec<(u64, usize)> = regions.iter().map(|&(pa, len)| (pa, len as usize)).collect();
    let mut memory = Memory::new(&regions);
    if trace.header.has_stores() && trace.header.fill != 0 {
        for &(pa, len) in &regions {
            if let Ok(bytes) = memory.bytes_mut(pa, len) {
                bytes.fill(trace.header.fill);
            }
        }
    }
    Ok(memory)
}

fn touched(trace: &Trace) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut buffers = Vec::new();
    let add = |ranges: &mut Vec<(u64, u64)>, pa: u64, len: u64| {
        // The last page of the address space cannot be a region: it has no end below 2^64.
        if let Some(end) = pa.checked_add(len.max(1)).and_then(|end| end.checked_next_multiple_of(PAGE)) {
            ranges.push((pa & !(PAGE - 1), end));
        }
    };
    for step in &trace.steps {
        if let Call::Store { pa, bytes } = &step.call {
            add(&mut ranges, *pa, bytes.len() as u64);
        }
        for seen in &step.effects {
            if let Some((pa, len, _)) = seen.what.touches() {
                add(&mut ranges, pa, len as u64);
            }
            if let What::Fetch { cell, .. } = &seen.what {
                // TX and RX descriptors have address and length in the same bits.
                add(&mut buffers, TxDesc(*cell).addr(), TxDesc(*cell).bytes() as u64);
            }
        }
        for look in step.looks.iter().filter(|look| look.bytes.is_some()) {
            add(&mut ranges, look.pa, look.len as u64);
        }
    }
    // Buffers that no access touched are memory too, unless stale descriptors name more than there can be.
    let merged = merge(ranges);
    buffers.extend(&merged);
    let all = merge(buffers);
    let bytes = all.iter().fold(0, |sum: u64, &(from, to)| sum.saturating_add(to - from));
    let chosen = if bytes > MOST_MEMORY { merged } else { all };
    chosen.into_iter().map(|(from, to)| (from, to - from)).collect()
}

/// Ranges in ascending order, those with small gaps between them as one.
fn merge(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (from, to) in ranges {
        match merged.last_mut() {
            Some((_, end)) if from <= end.saturating_add(GAP) => *end = (*end).max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Whether two ranges have a byte in common.
pub(super) fn overlap(pa: u64, len: usize, other: u64, size: usize) -> bool {
    pa < other.saturating_add(size as u64) && other < pa.saturating_add(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_with_small_gaps_are_one() {
        let merged = merge(vec![(0x10_0000_0000, 0x10_0000_1000), (0, 0x1000), (0x5000, 0x6000)]);
        assert_eq!(merged, [(0, 0x6000), (0x10_0000_0000, 0x10_0000_1000)]);
    }
}
