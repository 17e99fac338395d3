//! The guest's interrupts as its hypervisor takes them: messages of MSI-X, the one of MSI, and the level of the INTx line.

use crate::vfio_user::{Errno, IrqChange, Vectors};
use core::ops::Range;
use spec::vmxnet3::{Interrupts as Kind, MAX_VECTORS};

/// Eventfds of a peer.
#[derive(Debug)]
pub struct Interrupts {
    messages: Vectors,
    /// The message of MSI.
    single: Vectors,
    line: Vectors,
    /// The peer was told of the asserted line and has not unmasked it since: INTx masks itself.
    line_told: bool,
    signalled: u64,
}

impl Interrupts {
    /// Of a function with so many MSI-X vectors; none has an eventfd.
    pub fn new(vectors: u8) -> Self {
        let (messages, single, line) = (Vectors::new(vectors.into()), Vectors::new(1), Vectors::new(1));
        Self { messages, single, line, line_told: false, signalled: 0 }
    }

    /// The peer changes what becomes of the message of MSI.
    ///
    /// # Errors
    /// As [`Vectors::apply`].
    pub fn change_single(&mut self, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        self.single.apply(range, change)
    }

    /// The peer changes what becomes of messages of MSI-X.
    ///
    /// # Errors
    /// As [`Vectors::apply`].
    pub fn change_messages(&mut self, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        self.messages.apply(range, change)
    }

    /// The peer changes what becomes of the line, which is at `asserted`.
    ///
    /// # Errors
    /// As [`Vectors::apply`].
    pub fn change_line(&mut self, range: Range<u32>, change: IrqChange<'_>, asserted: bool) -> Result<(), Errno> {
        self.line_told &= !matches!(change, IrqChange::Unmask(_) | IrqChange::Disable | IrqChange::Assign(_));
        self.line.apply(range, change)?;
        self.level(asserted);
        Ok(())
    }

    /// Signals the message of `vector` by MSI-X, or where `kind` says so by MSI; while it has no eventfd the message is kept.
    #[inline]
    pub fn message(&mut self, kind: Kind, vector: u16) {
        self.by(kind).fire(u32::from(vector));
        self.signalled += 1;
    }

    fn by(&mut self, kind: Kind) -> &mut Vectors {
        match kind {
            Kind::Msi => &mut self.single,
            Kind::MsiX | Kind::Line => &mut self.messages,
        }
    }

    /// The line is at this level: an asserted one is signalled once, until the peer unmasks it.
    #[inline]
    pub fn level(&mut self, asserted: bool) {
        if asserted && !self.line_told {
            self.line.fire(0);
            self.line_told = true;
            self.signalled += 1;
        }
    }

    /// A reset of the function: nothing is owed any more, eventfds stay.
    pub fn forget(&mut self) {
        self.messages.forget();
        self.single.forget();
        self.line.forget();
        self.line_told = false;
    }

    /// The peer is gone: no eventfds, nothing owed.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.single.clear();
        self.line.clear();
        self.line_told = false;
    }

    /// What was not signalled: vectors, a bit each, with that of MSI as vector 0, the line, and whether the peer was told of the line.
    pub fn owed(&self) -> (u128, bool, bool) {
        let single = u128::from(self.single.pending(0));
        let bits = (0..MAX_VECTORS as u32).fold(0, |bits, v| bits | u128::from(self.messages.pending(v)) << v);
        (bits | single, self.line.pending(0), self.line_told)
    }

    /// Takes over what another server did not signal to a guest with this kind of interrupts.
    pub fn owe(&mut self, kind: Kind, messages: u128, line: bool, line_told: bool) {
        let to = self.by(kind);
        (0..MAX_VECTORS as u32).filter(|v| messages >> v & 1 == 1).for_each(|v| to.fire(v));
        if line {
            self.line.fire(0);
        }
        self.line_told = line_told;
    }

    /// Vectors that have an eventfd, that of MSI among them.
    pub fn assigned(&self) -> usize {
        self.messages.assigned() + self.single.assigned()
    }

    /// Interrupts signalled since the start.
    pub fn signalled(&self) -> u64 {
        self.signalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfio_user::Trigger;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::OwnedFd;

    fn count(event: &OwnedFd) -> u64 {
        let mut bytes = [0; 8];
        rustix::io::read(event, &mut bytes).map_or(0, |_| u64::from_ne_bytes(bytes))
    }

    #[test]
    fn the_message_of_msi_has_an_eventfd_of_its_own() {
        let mut interrupts = Interrupts::new(25);
        let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        interrupts.message(Kind::Msi, 0);
        assert_eq!(interrupts.owed(), (1, false, false), "it waits for one");
        let trigger = || Trigger::new(event.try_clone().unwrap(), 0).unwrap();
        interrupts.change_messages(0..1, IrqChange::Assign(vec![trigger()])).unwrap();
        assert_eq!(count(&event), 0, "not for that of MSI-X");
        interrupts.change_messages(0..0, IrqChange::Disable).unwrap();
        interrupts.change_single(0..1, IrqChange::Assign(vec![trigger()])).unwrap();
        assert_eq!((count(&event), interrupts.owed().0, interrupts.assigned()), (1, 0, 1));
        interrupts.owe(Kind::Msi, 1, false, false);
        assert_eq!(count(&event), 1);
        interrupts.message(Kind::MsiX, 0);
        interrupts.forget();
        assert_eq!((count(&event), interrupts.owed().0), (0, 0));
        interrupts.clear();
        assert_eq!(interrupts.assigned(), 0);
        assert_eq!(interrupts.change_single(0..2, IrqChange::Fire(None)), Err(Errno::INVAL));
    }

    #[test]
    fn a_line_is_signalled_once_until_it_is_unmasked() {
        let mut interrupts = Interrupts::new(25);
        let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let trigger = Trigger::new(event.try_clone().unwrap(), 0).unwrap();
        interrupts.change_line(0..1, IrqChange::Assign(vec![trigger]), false).unwrap();
        interrupts.level(true);
        interrupts.level(true);
        assert_eq!(count(&event), 1);
        interrupts.change_line(0..1, IrqChange::Unmask(None), true).unwrap();
        assert_eq!(count(&event), 1, "still asserted");
        interrupts.change_line(0..1, IrqChange::Unmask(None), false).unwrap();
        assert_eq!(count(&event), 0);
        interrupts.level(true);
        assert_eq!((count(&event), interrupts.signalled()), (1, 3));
    }
}
