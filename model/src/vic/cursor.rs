//! Places in a ring as the adapter keeps them: the visible index register and a hidden generation bit.

/// A cell and the generation bit that an owned cell carries there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Cell number: what the index register shows.
    pub at: u32,
    /// Hidden: toggles where the index wraps, learnt from memory at enable.
    pub lap: bool,
}

impl Cursor {
    /// Moves `cells` (at most one lap) on in a ring of `size`.
    #[inline]
    pub fn advance(&mut self, cells: u32, size: u32) {
        let to = self.at.wrapping_add(cells);
        if to >= size {
            self.at = to.wrapping_sub(size);
            self.lap = !self.lap;
        } else {
            self.at = to;
        }
    }
}

/// Where the engine of a queue is between stopped and running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// `running` reads 0; nothing is fetched.
    #[default]
    Stopped,
    /// Enabled, about to learn the ring's generation from one cell; `running` still reads 0.
    Learning,
    /// `running` reads 1.
    Running,
    /// Asked to stop; what is committed finishes, `running` still reads 1.
    Stopping,
}

/// Whether a ring whose engine is at `from` has at least as much to fetch up to `index` as up to `posted`.
pub const fn claims_more(from: u32, posted: u32, index: u32) -> bool {
    // In ring order, whatever the size: what lies before `from` comes after the wrap.
    let wrapped = (posted < from, index < from);
    match wrapped {
        (false, true) => true,
        (true, false) => false,
        _ => index >= posted,
    }
}

/// The cell that tells the generation at `fetch`, and whether its bit is to be inverted.
pub fn witness(fetch: u32, posted: u32, size: u32) -> (u32, bool) {
    if posted != fetch {
        (fetch, false)
    } else if fetch == 0 {
        (size.saturating_sub(1), true)
    } else {
        (fetch - 1, false)
    }
}

/// Spare buffers: capacity kept for reuse, not state. All pools are equal, and a clone starts empty.
#[derive(Default)]
pub struct Pool<T>(Vec<T>);

impl<T: Default> Pool<T> {
    /// A cleared buffer.
    #[inline]
    pub fn take(&mut self) -> T {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps a cleared buffer.
    #[inline]
    pub fn put(&mut self, spare: T) {
        if self.0.len() < 64 {
            self.0.push(spare);
        }
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(Vec::new())
    }
}

impl<T> core::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pool")
    }
}

impl<T> PartialEq for Pool<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Pool<T> {}

impl<T> core::hash::Hash for Pool<T> {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}
