//! What lies between the bodies and the wire: an uplink that steers, a soft switch with a port for the guest, and the wire.
//!
//! Frames come in at the uplink and are steered to the adapter or to the soft switch. The soft switch has two ports, the guest's
//! and the uplink's, and floods: what one port sends goes to the other. Frames of the guest leave on the wire in either mode.

use std::collections::VecDeque;

/// A frame without FCS.
pub type Frame = Vec<u8>;

/// Where the uplink sends frames from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Steer {
    /// To the soft switch.
    #[default]
    Switch,
    /// To the adapter's ingress FIFO.
    Adapter,
}

/// The guest's port of the soft switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Port {
    /// The guest is not here: nothing arrives.
    Shut,
    /// Frames wait, so that order is kept across a switch.
    Holding,
    /// Frames go to the software body.
    #[default]
    Open,
}

/// The uplink, the soft switch and the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Net {
    /// Frames that have reached the uplink and were not steered yet, oldest first.
    upstream: VecDeque<Frame>,
    steer: Steer,
    /// The upstream partner was asked to pause (policy B): nothing is steered.
    paused: bool,
    port: Port,
    /// Frames at the guest's port, oldest first.
    held: VecDeque<Frame>,
    /// The wire takes no frame.
    wire_busy: bool,
    /// Frames given up on purpose, by policy D.
    dropped: u64,
}

impl Net {
    /// A frame reaches the uplink.
    pub fn arrive(&mut self, frame: Frame) {
        self.upstream.push_back(frame);
    }

    /// Whether the uplink has a frame it may steer.
    pub fn can_steer(&self) -> bool {
        !self.paused && !self.upstream.is_empty()
    }

    /// Steers the oldest frame. `to_adapter` is asked for frames that go there; false leaves the frame where it is, and is
    /// answered.
    pub fn steer_one(&mut self, to_adapter: impl FnOnce(&mut Frame) -> bool) -> bool {
        if !self.can_steer() {
            return false;
        }
        match (self.steer, self.port) {
            (Steer::Adapter, _) => {
                let taken = self.upstream.front_mut().is_some_and(to_adapter);
                if taken {
                    self.upstream.pop_front();
                }
                taken
            }
            (Steer::Switch, Port::Shut) => self.upstream.pop_front().is_some(),
            (Steer::Switch, Port::Holding | Port::Open) => {
                self.held.extend(self.upstream.pop_front());
                true
            }
        }
    }

    /// Whether the guest's port has a frame it may deliver.
    pub fn can_deliver(&self) -> bool {
        self.port == Port::Open && !self.held.is_empty()
    }

    /// Delivers the oldest frame at the guest's port; false when `to_body` did not take it.
    pub fn deliver_one(&mut self, to_body: impl FnOnce(&mut Frame) -> bool) -> bool {
        let taken = self.can_deliver() && self.held.front_mut().is_some_and(to_body);
        if taken {
            self.held.pop_front();
        }
        taken
    }

    /// Sets where the uplink steers.
    pub fn set_steer(&mut self, steer: Steer) {
        self.steer = steer;
    }

    /// Where the uplink steers.
    pub fn steering(&self) -> Steer {
        self.steer
    }

    /// Asks the upstream partner to pause or to go on.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Sets the guest's port.
    pub fn set_port(&mut self, port: Port) {
        self.port = port;
    }

    /// The guest's port.
    pub fn port(&self) -> Port {
        self.port
    }

    /// Frames that are older than everything at the port: they are delivered first, in the order given.
    pub fn hand_over(&mut self, frames: impl DoubleEndedIterator<Item = Frame>) {
        for frame in frames.rev() {
            self.held.push_front(frame);
        }
    }

    /// A frame reaches the guest's port behind those that wait there.
    pub fn arrive_at_port(&mut self, frame: Frame) {
        self.held.push_back(frame);
    }

    /// Takes back everything at the port, so that the uplink steers it anew before what came later.
    pub fn take_back(&mut self) {
        while let Some(frame) = self.held.pop_back() {
            self.upstream.push_front(frame);
        }
    }

    /// Takes the oldest frame that was not delivered away, from the port first.
    pub fn withdraw(&mut self) -> Option<Frame> {
        self.held.pop_front().or_else(|| self.upstream.pop_front())
    }

    /// Counts a frame given up by policy D.
    pub fn count_drop(&mut self) {
        self.dropped += 1;
    }

    /// Frames given up by policy D.
    pub fn drops(&self) -> u64 {
        self.dropped
    }

    /// Makes the wire ready or busy.
    pub fn set_wire(&mut self, ready: bool) {
        self.wire_busy = !ready;
    }

    /// Whether the wire takes frames.
    pub fn wire_ready(&self) -> bool {
        !self.wire_busy
    }

    /// Frames at the uplink and at the port.
    pub fn waiting(&self) -> (usize, usize) {
        (self.upstream.len(), self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_holding_handing_over_and_taking_back() {
        let mut net = Net::default();
        net.set_port(Port::Holding);
        for id in 3..6 {
            net.arrive(vec![id]);
        }
        net.steer_one(|_| unreachable!());
        net.steer_one(|_| unreachable!());
        net.hand_over([vec![1], vec![2]].into_iter());
        assert!(!net.can_deliver());
        net.take_back();
        net.set_steer(Steer::Adapter);
        let mut seen = Vec::new();
        while net.can_steer() {
            net.steer_one(|frame| {
                seen.push(frame[0]);
                true
            });
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_refused_frame_stays_first() {
        let mut net = Net::default();
        net.arrive(vec![1]);
        net.steer_one(|_| unreachable!());
        net.deliver_one(|_| false);
        assert_eq!(net.waiting(), (0, 1));
        net.deliver_one(|frame| *frame == [1]);
        assert_eq!(net.waiting(), (0, 0));
    }
}
