//! Eventfds: how interrupts reach the guest.

use super::device::{IrqChange, picked};
use core::ops::Range;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;

/// A descriptor that is not an eventfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupt descriptor {place} is no eventfd")]
pub struct NotAnEventfd {
    /// Its place in the message.
    pub place: usize,
}

/// The peer's eventfd for one vector.
///
/// A write to it never blocks: it is made non-blocking here, for the peer too (QEMU's are already). A peer that undoes that
/// later and fills its own counter could hold up the server that serves it.
#[derive(Debug)]
pub struct Trigger(OwnedFd);

impl Trigger {
    /// Takes a descriptor that came at `place` of a message. Files, sockets and pipes are refused: an eventfd has no file type.
    ///
    /// # Errors
    /// When it is no eventfd.
    pub fn new(fd: OwnedFd, place: usize) -> Result<Self, NotAnEventfd> {
        let refused = NotAnEventfd { place };
        let stat = fstat(&fd).map_err(|_| refused)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Unknown {
            return Err(refused);
        }
        let flags = fcntl_getfl(&fd).map_err(|_| refused)?;
        if !flags.contains(OFlags::NONBLOCK) {
            fcntl_setfl(&fd, flags | OFlags::NONBLOCK).map_err(|_| refused)?;
        }
        Ok(Self(fd))
    }

    /// Signals. A counter that is full is a signal the peer has not taken yet, so nothing is lost; any other failure is the
    /// peer's own doing and is left to it.
    #[inline]
    pub fn fire(&self) {
        let _full = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// The descriptor itself, to hand it on to another process.
    pub const fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The descriptor, to keep it.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

/// The vectors of one interrupt index. An interrupt that finds no eventfd, or a mask, is kept pending, as MSI-X does, and
/// fires once when the way is free: QEMU takes all eventfds away and sends them anew whenever it enables one more vector.
#[derive(Debug)]
pub struct Vectors(Vec<Vector>);

#[derive(Debug, Default)]
struct Vector {
    trigger: Option<Trigger>,
    masked: bool,
    pending: bool,
}

impl Vectors {
    /// `count` vectors without eventfds.
    pub fn new(count: u32) -> Self {
        Self((0..count).map(|_| Vector::default()).collect())
    }

    /// Fires vector `index`; one that does not exist is ignored.
    #[inline]
    pub fn fire(&mut self, index: u32) {
        if let Some(vector) = self.0.get_mut(index as usize) {
            vector.pending = true;
            vector.deliver();
        }
    }

    /// True while an interrupt of vector `index` has not been delivered.
    pub fn pending(&self, index: u32) -> bool {
        self.0.get(index as usize).is_some_and(|v| v.pending)
    }

    /// Vectors that have an eventfd.
    pub fn assigned(&self) -> usize {
        self.0.iter().filter(|v| v.trigger.is_some()).count()
    }

    /// Applies what the peer asks.
    ///
    /// # Errors
    /// `EINVAL` when the range is not ours, or eventfds are neither none nor one for each vector.
    pub fn apply(&mut self, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        let vectors = self.0.get_mut(range.start as usize..range.end as usize).ok_or(Errno::INVAL)?;
        match change {
            IrqChange::Disable => self.0.iter_mut().for_each(|v| v.trigger = None),
            IrqChange::Assign(triggers) if triggers.is_empty() => vectors.iter_mut().for_each(|v| v.trigger = None),
            IrqChange::Assign(triggers) => {
                if triggers.len() != vectors.len() {
                    return Err(Errno::INVAL);
                }
                for (vector, trigger) in vectors.iter_mut().zip(triggers) {
                    vector.trigger = Some(trigger);
                    vector.deliver();
                }
            }
            IrqChange::Fire(which) => picked(range, which).for_each(|v| self.fire(v)),
            IrqChange::Mask(which) => picked(range, which).for_each(|v| self.0[v as usize].masked = true),
            IrqChange::Unmask(which) => picked(range, which).for_each(|v| {
                self.0[v as usize].masked = false;
                self.0[v as usize].deliver();
            }),
        }
        Ok(())
    }

    /// As new: no eventfds, no masks, nothing pending.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|v| *v = Vector::default());
    }

    /// Nothing is pending any more; eventfds and masks stay. What a reset of the device does.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|v| v.pending = false);
    }
}

impl Vector {
    #[inline]
    fn deliver(&mut self) {
        if let (true, false, Some(trigger)) = (self.pending, self.masked, &self.trigger) {
            trigger.fire();
            self.pending = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{MemfdFlags, memfd_create};

    fn pair() -> (Trigger, OwnedFd) {
        let ours = eventfd(0, EventfdFlags::empty()).unwrap();
        let theirs = ours.try_clone().unwrap();
        (Trigger::new(ours, 0).unwrap(), theirs)
    }

    fn count(fd: &OwnedFd) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(fd, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }

    #[test]
    fn an_interrupt_without_an_eventfd_waits_for_one() {
        let mut vectors = Vectors::new(2);
        vectors.fire(1);
        vectors.fire(1);
        assert!(vectors.pending(1));
        let (trigger, fd) = pair();
        vectors.apply(1..2, IrqChange::Assign(vec![trigger])).unwrap();
        assert_eq!((count(&fd), vectors.pending(1), vectors.assigned()), (1, false, 1));
        vectors.fire(1);
        assert_eq!(count(&fd), 1);
        vectors.apply(0..0, IrqChange::Disable).unwrap();
        vectors.fire(1);
        assert_eq!((count(&fd), vectors.pending(1)), (0, true));
        vectors.fire(7);
    }

    #[test]
    fn a_masked_vector_fires_when_unmasked() {
        let mut vectors = Vectors::new(2);
        let (trigger, fd) = pair();
        vectors.apply(0..1, IrqChange::Assign(vec![trigger])).unwrap();
        vectors.apply(0..2, IrqChange::Mask(Some(&[1, 0]))).unwrap();
        vectors.fire(0);
        assert_eq!(count(&fd), 0);
        vectors.apply(0..1, IrqChange::Unmask(None)).unwrap();
        assert_eq!(count(&fd), 1);
    }

    #[test]
    fn a_full_counter_does_not_block() {
        let (trigger, fd) = pair();
        rustix::io::write(&fd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        trigger.fire();
        assert_eq!(count(&fd), u64::MAX - 1);
    }

    #[test]
    fn a_file_is_no_eventfd() {
        let file = memfd_create("file", MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(Trigger::new(file, 3).unwrap_err(), NotAnEventfd { place: 3 });
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Trigger::new(a.into(), 0).is_err());
    }
}
