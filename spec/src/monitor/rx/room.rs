//! Buffers that wait: which one a completion names, and whether frames surely find some.

use super::{Buffer, Queue};
use std::collections::VecDeque;

impl Queue {
    /// Whether the completion describes the next buffer of the other ring.
    pub(super) fn fits_other(&self, ring: usize, index: u32, len: u32, sop: bool, snooped: bool) -> bool {
        let next = self.posted[1 - ring].front();
        next.is_some_and(|b| b.posting.index == index && b.posting.body != sop && (!snooped || b.written >= len))
    }

    /// Whether there is a HEAD for each of `count` frames of `len` bytes that takes all of it.
    pub(super) fn has_heads(&self, count: usize, len: usize) -> bool {
        let fits = |b: &&Buffer| !b.posting.body && b.mapped;
        let mut heads = self.posted[0].iter().filter(fits).take(count);
        heads.clone().count() == count && heads.all(|b| b.posting.len as usize >= len)
    }

    /// Whether `count` frames of `len` bytes surely find buffers.
    pub(super) fn has_room(&self, count: usize, len: usize, max_sg: u16) -> bool {
        let mut at = [0, 0];
        for _ in 0..count {
            let Some(skip) = self.posted[0].iter().skip(at[0]).position(|b| !b.posting.body) else { return false };
            at[0] += skip;
            let mut ring = 0;
            let mut left = len;
            let mut used = 0;
            loop {
                let Some(buffer) = self.posted[ring].get(at[ring]) else { return false };
                at[ring] += 1;
                used += 1;
                if !buffer.mapped || buffer.posting.len == 0 || (max_sg != 0 && used > max_sg) {
                    return false;
                }
                left = left.saturating_sub(buffer.posting.len as usize);
                if left == 0 {
                    break;
                }
                ring = usize::from(!self.posted[0].get(at[0]).is_some_and(|b| b.posting.body));
                if ring == 1 && !self.posted[1].get(at[1]).is_some_and(|b| b.posting.body) {
                    return false;
                }
            }
        }
        true
    }
}

/// The posted buffer with descriptor `index`; those before it are consumed with it.
pub(super) fn take(posted: &mut VecDeque<Buffer>, index: u32, cells: u32) -> Option<Buffer> {
    let front = posted.front()?.posting.index;
    if index >= cells {
        return None;
    }
    let ahead = if index >= front { index - front } else { index + cells - front };
    let buffer = *posted.get(ahead as usize)?;
    posted.drain(..=ahead as usize);
    Some(buffer)
}
