//! Datagrams that carry their number: what a receiver can say of loss, doubles and order.
//!
//! A sender numbers its datagrams from 0 and writes the number, 64 bits little endian, at the start of the payload. A flow is one
//! sender's address and port; a new run takes a new port. A flow whose first number is 65,536 or more is not numbered at all:
//! its datagrams are only counted.

/// Numbers back from the highest that a flow remembers one by one.
pub const WINDOW: u64 = 65_536;

/// Flows that are followed at once; one more replaces the flow that has been quiet longest, whose counts stay in the totals.
pub const MAX_FLOWS: usize = 16;

/// What numbered datagrams showed, over all flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceCounters {
    /// Flows that were seen.
    pub flows: u64,
    /// Datagrams that carried a number.
    pub numbered: u64,
    /// Datagrams without one.
    pub unnumbered: u64,
    /// Numbers below the highest of their flow that never came. Falls when one comes late.
    pub lost: u64,
    /// Datagrams whose number had come before.
    pub doubled: u64,
    /// Datagrams that came after a higher number, doubles not counted.
    pub reordered: u64,
    /// Datagrams more than [`WINDOW`] behind the highest: late or doubled, too old to tell.
    pub stale: u64,
    /// Bytes that TCP connections brought to the discard service.
    pub stream_bytes: u64,
    /// TCP connections to the discard service whose numbered stream broke. See [`Ruler`].
    pub broken_streams: u64,
}

/// Follows up to [`MAX_FLOWS`] flows.
#[derive(Debug)]
pub struct Sequences<K> {
    flows: Vec<Flow<K>>,
    totals: SequenceCounters,
    clock: u64,
}

#[derive(Debug)]
struct Flow<K> {
    key: K,
    /// The next number above the highest seen; `None`: the flow is not numbered.
    next: Option<u64>,
    /// One bit for each of the last [`WINDOW`] numbers, at the number modulo [`WINDOW`].
    seen: Vec<u64>,
    last_used: u64,
}

impl<K> Default for Sequences<K> {
    fn default() -> Self {
        Self { flows: Vec::new(), totals: SequenceCounters::default(), clock: 0 }
    }
}

impl<K: Copy + PartialEq> Sequences<K> {
    /// Takes note of a datagram of the flow `key`.
    pub fn take(&mut self, key: K, payload: &[u8]) {
        self.clock += 1;
        let number = payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let place = self.flows.iter().position(|flow| flow.key == key);
        let place = place.unwrap_or_else(|| self.open(key, number.filter(|number| *number < WINDOW)));
        let (flow, totals) = (&mut self.flows[place], &mut self.totals);
        flow.last_used = self.clock;
        match (number, flow.next) {
            (Some(number), Some(next)) => flow.note(number, next, totals),
            _ => totals.unnumbered += 1,
        }
    }

    /// The totals over every flow so far.
    pub fn totals(&self) -> SequenceCounters {
        self.totals
    }

    /// A place for a new flow; it is numbered when its first datagram has a number.
    fn open(&mut self, key: K, first: Option<u64>) -> usize {
        self.totals.flows += 1;
        let (next, last_used) = (first.map(|_| 0), self.clock);
        if self.flows.len() < MAX_FLOWS {
            self.flows.push(Flow { key, next, seen: vec![0; (WINDOW / 64) as usize], last_used });
            return self.flows.len() - 1;
        }
        let quiet = self.flows.iter().enumerate().min_by_key(|(_, flow)| flow.last_used);
        let place = quiet.map_or(0, |(place, _)| place);
        let flow = &mut self.flows[place];
        (flow.key, flow.next, flow.last_used) = (key, next, last_used);
        flow.seen.fill(0);
        place
    }
}

impl<K> Flow<K> {
    fn note(&mut self, number: u64, next: u64, totals: &mut SequenceCounters) {
        totals.numbered += 1;
        if number >= next {
            // What lies between is lost until it comes.
            let skipped = number - next;
            totals.lost = totals.lost.saturating_add(skipped);
            if skipped >= WINDOW {
                self.seen.fill(0);
            } else {
                for missing in next..number {
                    self.mark(missing, false);
                }
            }
            self.mark(number, true);
            self.next = Some(number.saturating_add(1));
        } else if next - number > WINDOW {
            totals.stale += 1;
        } else if self.mark(number, true) {
            totals.doubled += 1;
        } else {
            totals.reordered += 1;
            totals.lost = totals.lost.saturating_sub(1);
        }
    }

    /// Sets the bit of `number` and returns what it was.
    fn mark(&mut self, number: u64, seen: bool) -> bool {
        let (word, bit) = ((number % WINDOW / 64) as usize, 1 << (number % 64));
        let was = self.seen[word] & bit != 0;
        self.seen[word] = if seen { self.seen[word] | bit } else { self.seen[word] & !bit };
        was
    }
}

/// A byte stream that says of each byte where it stands: 64-bit little-endian words that count from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruler {
    at: u64,
    verdict: Verdict,
}

/// What a [`Ruler`] has found of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// Every byte so far is the one that belongs there.
    #[default]
    Whole,
    /// The first two words are not 0 and 1: the stream is not numbered.
    Plain,
    /// A byte was not the one that belongs there.
    Broken,
}

impl Ruler {
    /// Fills `bytes` with what comes next.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for (at, byte) in (self.at..).zip(bytes.iter_mut()) {
            *byte = byte_at(at);
        }
        self.at += bytes.len() as u64;
    }

    /// Takes the next bytes of a stream. True when they are the first that do not belong where they stand.
    pub fn check(&mut self, bytes: &[u8]) -> bool {
        let from = self.at;
        self.at += bytes.len() as u64;
        if self.verdict != Verdict::Whole {
            return false;
        }
        match (from..).zip(bytes).find(|(at, byte)| **byte != byte_at(*at)) {
            None => false,
            Some((at, _)) => {
                self.verdict = if at < 16 { Verdict::Plain } else { Verdict::Broken };
                self.verdict == Verdict::Broken
            }
        }
    }
}

const fn byte_at(at: u64) -> u8 {
    (at / 8).to_le_bytes()[(at % 8) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(numbers: &[u64]) -> SequenceCounters {
        let mut sequences = Sequences::default();
        numbers.iter().for_each(|number| sequences.take(0, &number.to_le_bytes()));
        sequences.totals()
    }

    #[test]
    fn a_gap_is_lost_until_it_comes_late() {
        let gap = of(&[0, 1, 4]);
        assert_eq!((gap.numbered, gap.lost, gap.doubled, gap.reordered), (3, 2, 0, 0));
        let late = of(&[0, 1, 4, 2, 2]);
        assert_eq!((late.numbered, late.lost, late.doubled, late.reordered), (5, 1, 1, 1));
        assert_eq!(of(&[2]).lost, 2, "numbers count from 0");
    }

    #[test]
    fn a_number_is_not_taken_for_the_one_a_window_before_it() {
        let all_but_one: Vec<_> = (0..WINDOW).chain([WINDOW + 1, WINDOW]).collect();
        let seen = of(&all_but_one);
        assert_eq!((seen.lost, seen.doubled, seen.reordered), (0, 0, 1));
    }

    #[test]
    fn hostile_numbers_end_in_a_count() {
        let far = of(&[0, u64::MAX, u64::MAX, 1, u64::MAX - 1]);
        assert_eq!((far.numbered, far.stale), (5, 1));
        assert_eq!(of(&[WINDOW]).unnumbered, 1);
        let mut sequences = Sequences::default();
        (0..100_u64).for_each(|flow| sequences.take(flow, &[]));
        assert_eq!(
            (sequences.totals().flows, sequences.totals().unnumbered, sequences.flows.len()),
            (100, 100, MAX_FLOWS)
        );
    }

    #[test]
    fn a_ruler_finds_a_byte_out_of_place() {
        let mut bytes = vec![0; 4000];
        Ruler::default().fill(&mut bytes);
        let mut ruler = Ruler::default();
        assert!(!bytes.chunks(7).any(|chunk| ruler.check(chunk)));
        bytes.remove(1000);
        assert!(Ruler::default().check(&bytes));
        assert!(!Ruler::default().check(b"plain text is not numbered") && !Ruler::default().check(&[0; 99]));
    }

    proptest! {
        #[test]
        fn any_order_is_judged_as_a_set_would(numbers in prop::collection::vec(0_u64..200, 1..400)) {
            let mut seen = BTreeSet::new();
            let (mut doubled, mut reordered) = (0, 0);
            for number in &numbers {
                let highest = seen.last().copied();
                if !seen.insert(*number) {
                    doubled += 1;
                } else if highest.is_some_and(|highest| highest > *number) {
                    reordered += 1;
                }
            }
            let lost = seen.last().map_or(0, |last| last + 1) - seen.len() as u64;
            let counters = of(&numbers);
            prop_assert_eq!((counters.lost, counters.doubled, counters.reordered), (lost, doubled, reordered));
        }
    }
}
