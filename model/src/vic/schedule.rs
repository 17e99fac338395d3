//! The order in which the parts step when nobody else chooses it.

use super::cursor::Engine;
use super::intr::ERROR_BLOCK;
use super::{Adapter, RQS, Unit, WQS};
use crate::host::Host;

impl Adapter {
    /// Steps until nothing is possible or `budget` steps are spent; returns the steps taken. A schedule of [`Self::step`], in an
    /// order that keeps descriptors, data and completions of a queue together.
    pub fn run(&mut self, host: &mut impl Host, budget: u32) -> u32 {
        let mut left = budget;
        loop {
            let before = left;
            self.drain(Unit::Doorbell, host, &mut left);
            self.drain(Unit::Devcmd, host, &mut left);
            for q in 0..WQS as u8 {
                if self.wqs[usize::from(q)].in_use() {
                    self.run_wq(q, host, &mut left);
                }
            }
            self.run_rx(host, &mut left);
            self.drain(Unit::Out, host, &mut left);
            if left == before || left == 0 {
                for i in 0..ERROR_BLOCK {
                    self.drain(Unit::Intr(i), host, &mut left);
                }
                if left == before || left == 0 {
                    return budget - left;
                }
            }
        }
    }

    #[inline(always)]
    fn drain(&mut self, unit: Unit, host: &mut impl Host, left: &mut u32) {
        while *left > 0 && self.possible(unit) {
            self.perform(unit, host);
            *left -= 1;
        }
    }

    /// A descriptor at a time, so that a packet's bytes leave while they are at hand.
    fn run_wq(&mut self, q: u8, host: &mut impl Host, left: &mut u32) {
        loop {
            let before = *left;
            let steps = self.send_straight(q, host, *left);
            *left -= steps;
            if steps == 0 && *left > 0 && self.possible(Unit::WqFetch(q)) {
                self.perform(Unit::WqFetch(q), host);
                *left -= 1;
            }
            self.drain(Unit::WqRead(q), host, left);
            self.drain(Unit::WqSend(q), host, left);
            self.drain(Unit::Out, host, left);
            if *left == before {
                break;
            }
        }
        self.drain(Unit::WqStop(q), host, left);
    }

    fn run_rx(&mut self, host: &mut impl Host, left: &mut u32) {
        // None of these steps starts a queue.
        let started = (0..RQS as u8).filter(|&r| self.rqs[usize::from(r)].engine != Engine::Stopped);
        let started = started.fold(0u32, |set, r| set | 1 << r);
        loop {
            let before = *left;
            let mut rest = started;
            while rest != 0 {
                let r = rest.trailing_zeros() as u8;
                rest &= rest - 1;
                self.drain(Unit::RqFetch(r), host, left);
                self.drain(Unit::RqStop(r), host, left);
            }
            while *left > 0 && self.can_receive() {
                if let Some(steps) = self.receive_straight(host, *left) {
                    *left -= steps;
                    continue;
                }
                self.receive();
                *left -= 1;
                // What the engine hands to the write FIFO leaves while it is at hand.
                self.drain(Unit::Out, host, left);
            }
            self.drain(Unit::Out, host, left);
            if *left == before {
                break;
            }
        }
    }
}
