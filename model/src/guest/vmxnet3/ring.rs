//! The driver's own idea of a ring position: an index and a generation that toggles at the wrap.

/// Where the driver writes or reads next. Source: linux vmxnet3_int.h, vmxnet3_cmd_ring and vmxnet3_comp_ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    pub(super) at: u32,
    pub(super) generation: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { at: 0, generation: true }
    }
}

impl Cursor {
    /// One cell further.
    #[inline]
    pub(super) fn advance(&mut self, size: u32) {
        self.at += 1;
        if self.at >= size {
            self.at = 0;
            self.generation = !self.generation;
        }
    }

    /// The position `by` cells further, at most a lap.
    #[inline]
    pub(super) fn ahead(self, by: u32, size: u32) -> Self {
        let at = self.at + by;
        if at >= size { Self { at: at - size, generation: !self.generation } } else { Self { at, ..self } }
    }
}

/// Vectors kept for reuse. Not state: two drivers that differ here behave alike, so they compare equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool(Vec<Vec<u8>>);

impl Pool {
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn give(&mut self, mut bytes: Vec<u8>) {
        if self.0.len() < 64 {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}

impl PartialEq for Pool {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pool {}

impl std::hash::Hash for Pool {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ahead_is_advance_repeated_and_toggles_at_each_wrap() {
        for size in [2, 3, 5, 32] {
            for start in 0..size {
                let from = Cursor { at: start, generation: start % 2 == 0 };
                let mut at = from;
                for by in 0..=size {
                    assert_eq!(from.ahead(by, size), at);
                    at.advance(size);
                }
            }
        }
    }
}
