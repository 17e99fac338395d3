//! Judging numbered datagrams: which of `0..count` came, which came twice, which came after a later one, and the longest wait
//! between two of them.

use std::time::{Duration, Instant};

/// What arrived so far.
pub struct Sequence {
    seen: Vec<u64>,
    count: u64,
    arrived: u64,
    doubled: u64,
    reordered: u64,
    foreign: u64,
    highest: Option<u64>,
    last: Option<Instant>,
    gap: Duration,
}

impl Sequence {
    /// Expects each number below `count` once, in rising order.
    pub fn new(count: u64) -> Self {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(usize::MAX);
        Self {
            seen: vec![0; words],
            count,
            arrived: 0,
            doubled: 0,
            reordered: 0,
            foreign: 0,
            highest: None,
            last: None,
            gap: Duration::ZERO,
        }
    }

    /// Takes one datagram: its number stands little-endian in the first 8 bytes.
    pub fn take(&mut self, datagram: &[u8]) {
        match number(datagram).filter(|&number| number < self.count) {
            Some(number) => self.note(number),
            None => self.foreign += 1,
        }
    }

    fn note(&mut self, number: u64) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.gap = self.gap.max(now.duration_since(last));
        }
        let Some(word) = usize::try_from(number / 64).ok().and_then(|at| self.seen.get_mut(at)) else { return };
        let bit = 1u64 << (number % 64);
        if *word & bit != 0 {
            self.doubled += 1;
            return;
        }
        *word |= bit;
        self.arrived += 1;
        if self.highest.is_some_and(|highest| number < highest) {
            self.reordered += 1;
        }
        self.highest = self.highest.max(Some(number));
    }

    /// No number from `count` on will come after all.
    pub fn end(&mut self, count: u64) {
        self.count = count.max(self.arrived);
    }

    /// How many different numbers came.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Whether every number came.
    pub fn complete(&self) -> bool {
        self.arrived == self.count
    }

    /// Nothing lost, doubled, reordered or foreign.
    pub fn holds(&self) -> bool {
        self.complete() && self.doubled == 0 && self.reordered == 0 && self.foreign == 0
    }

    /// The verdict in numbers.
    pub fn pairs(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("count", self.count),
            ("arrived", self.arrived),
            ("lost", self.count - self.arrived),
            ("doubled", self.doubled),
            ("reordered", self.reordered),
            ("foreign", self.foreign),
            ("gap_us", u64::try_from(self.gap.as_micros()).unwrap_or(u64::MAX)),
        ]
    }
}

fn number(datagram: &[u8]) -> Option<u64> {
    datagram.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Writes `number` and a pattern that follows from it into `datagram`; at least 8 bytes.
pub fn fill(datagram: &mut [u8], number: u64) {
    let (head, tail) = datagram.split_at_mut(8.min(datagram.len()));
    let bytes = number.to_le_bytes();
    head.copy_from_slice(&bytes[..head.len()]);
    for (at, byte) in tail.iter_mut().enumerate() {
        *byte = pattern(number, at);
    }
}

/// Whether the bytes after the number are those `fill` wrote.
pub fn undamaged(datagram: &[u8]) -> bool {
    number(datagram)
        .is_some_and(|number| datagram[8..].iter().enumerate().all(|(at, &byte)| byte == pattern(number, at)))
}

fn pattern(number: u64, at: usize) -> u8 {
    number.wrapping_mul(31).wrapping_add(at as u64).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(numbers: &[u64], count: u64) -> Sequence {
        let mut sequence = Sequence::new(count);
        for number in numbers {
            sequence.take(&number.to_le_bytes());
        }
        sequence
    }

    #[test]
    fn every_number_once_in_order_holds() {
        assert!(judged(&[0, 1, 2], 3).holds());
    }

    #[test]
    fn loss_doubling_reordering_and_strangers_are_told_apart() {
        let pairs = judged(&[0, 3, 1, 1, 9], 4).pairs();
        let expected = [("count", 4), ("arrived", 3), ("lost", 1), ("doubled", 1), ("reordered", 1), ("foreign", 1)];
        assert_eq!(pairs[..6], expected);
        assert_eq!(pairs[6].0, "gap_us");
    }

    #[test]
    fn a_changed_byte_is_damage() {
        let mut datagram = [0; 40];
        fill(&mut datagram, 77);
        assert!(undamaged(&datagram));
        datagram[39] ^= 1;
        assert!(!undamaged(&datagram));
        assert!(!undamaged(&[1, 2, 3]));
    }
}
