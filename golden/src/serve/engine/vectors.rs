//! Interrupts of a served device and their masks: on the direct path the masks stand in a page that the guest writes unseen.

use super::{Engine, STAGE_STEPS};
use crate::trace::{Call, Looks};
use spec::event::Bar;
use spec::vmxnet3::Bar0;
use std::time::Instant;

impl<M: Looks> Engine<M> {
    /// Signals what was raised. The mask that the device sets by itself stands in the page before the guest hears of it.
    pub(super) fn interrupt(&mut self) {
        let sent = self.outlet.counters().frames;
        if self.system.messages() == 0 {
            self.hold.nothing();
        } else if !self.hold.waits(Instant::now(), sent) {
            self.tell_messages();
            self.hold.told(sent);
        }
        self.interrupts.level(self.system.line());
    }

    fn tell_messages(&mut self) {
        loop {
            let messages = self.system.messages();
            if messages == 0 {
                break;
            }
            let vector = messages.trailing_zeros() as u16;
            self.call(&Call::Message { vector });
            if let Some(page) = self.page.as_ref().filter(|_| self.system.is_masked(vector as u8)) {
                page.store(Bar0::Imr(vector as u8).offset(), 1);
            }
            self.interrupts.message(self.system.pci().interrupts(), vector);
        }
    }

    /// What the guest wrote to the masks of its page reaches the device.
    pub(super) fn adopt_masks(&mut self) {
        let Some(page) = self.page.take() else { return };
        for vector in 0..self.system.vectors_in_force() as u8 {
            let register = Bar0::Imr(vector);
            let value = page.load(register.offset());
            if (value & 1 == 1) != self.system.is_masked(vector) {
                self.unblock();
                let (bar, offset) = (Bar::Bar0, register.offset());
                while !self.call(&Call::Write { bar, offset, value }).is_done() {
                    self.call(&Call::Run { budget: STAGE_STEPS });
                    self.unblock();
                }
            }
        }
        self.page = Some(page);
    }

    /// The vectors that are masked, a bit each; nobody asks where no page shows them.
    pub(super) fn masks(&self) -> u128 {
        if self.page.is_none() {
            return 0;
        }
        (0..self.system.vectors()).fold(0, |masks, v| masks | u128::from(self.system.is_masked(v as u8)) << v)
    }

    /// What the device did to the masks by itself, which were `before`, stands in the guest's page. The others are the guest's:
    /// it may be unmasking one at this moment, and a store of what it was would lose that.
    pub(super) fn show_masks(&self, before: u128) {
        let Some(page) = &self.page else { return };
        let masks = self.masks();
        for vector in (0..self.system.vectors()).filter(|v| (masks ^ before) >> v & 1 == 1) {
            page.store(Bar0::Imr(vector as u8).offset(), (masks >> vector & 1) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::wire::Unplugged;
    use crate::serve::{Kind, Path};
    use model::memory::Memory;
    use spec::profile::Profile;

    #[test]
    fn a_mask_that_the_guest_changes_meanwhile_is_not_overwritten() {
        let memory = Memory::new(&[(0x1000, 0x1000)]);
        let wire = Box::new(Unplugged::default());
        let mut engine = Engine::new(&Profile::REFERENCE, Kind::Switching, Path::Direct, [2; 6], memory, wire).unwrap();
        let imr = |vector| Bar0::Imr(vector).offset();
        let shown = |engine: &Engine<Memory>, vector| engine.page().unwrap().load(imr(vector));
        assert_eq!((shown(&engine, 0), shown(&engine, 1)), (1, 1), "masked at power-on");
        // While the device is at work the guest unmasks vector 0, and the device changes vector 1.
        let before = engine.masks();
        engine.page().unwrap().store(imr(0), 0);
        engine.call(&Call::Write { bar: Bar::Bar0, offset: imr(1), value: 0 });
        engine.show_masks(before);
        assert_eq!((shown(&engine, 0), shown(&engine, 1)), (0, 0));
        assert!(engine.system().is_masked(0));
        engine.work();
        assert!(!engine.system().is_masked(0) && !engine.system().is_masked(1));
    }
}
