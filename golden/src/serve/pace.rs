//! When rings are looked at and when interrupts are told: what a served device does about the price of both.
//!
//! A trapped doorbell costs the guest a wait for this process, an interrupt costs it a trip through its handler and one more
//! trapped write. [`Bells`] lets a busy guest leave doorbells out, by `txThreshold`, and has the rings looked at instead. Source:
//! linux vmxnet3_drv.c, vmxnet3_tq_xmit, which rings when txNumDeferred reaches txThreshold. [`Hold`] lets an interrupt that says
//! nothing but "sent" wait for a moment: drivers leave moderation to the device. Source: linux vmxnet3_drv.c,
//! vmxnet3_setup_driver_shared, modLevels = UPT1_IML_ADAPTIVE. [`Pulse`] says when sleeping costs more than it saves.

use std::time::{Duration, Instant};

/// How often the rings of a busy guest are looked at.
pub(super) const LOOK: Duration = Duration::from_micros(20);
/// How long after a packet, either way, the next wait is none at all, in a conversation: the answer comes soon, and waking up again
/// would take longer than it does.
const SPIN: Duration = Duration::from_micros(150);
/// Frames for the guest at most so far apart make a conversation; a guest that only sends fares better when its packets gather.
const CONVERSATION: Duration = Duration::from_millis(2);
/// Doorbells closer together than this make a busy guest.
const CLOSE: Duration = Duration::from_micros(500);
/// How long a guest without a packet stays busy.
const LINGER: Duration = Duration::from_millis(2);
/// How long rings are looked at after doorbells were asked for again: a store of the guest's is visible long before.
const GRACE: Duration = Duration::from_millis(2);
/// Packets that a busy guest may post without ringing, should the looks come late.
const DEFERRED: u32 = 64;

/// Longest wait of an interrupt that says only that packets were sent.
const HOLD: Duration = Duration::from_micros(100);
/// Packets sent that end the wait.
const HELD_PACKETS: u64 = 24;

/// Whether the guest rings for each packet.
#[derive(Debug, Default)]
pub(super) struct Bells {
    deferred: bool,
    last: Option<Instant>,
    /// Rings are looked at until then.
    until: Option<Instant>,
}

impl Bells {
    /// A TX doorbell rang; the threshold to set, if it is to change.
    pub fn rang(&mut self, now: Instant) -> Option<u32> {
        let close = self.last.replace(now).is_some_and(|last| now.duration_since(last) < CLOSE);
        if self.deferred || !close {
            return None;
        }
        self.deferred = true;
        self.until = Some(now + LINGER);
        Some(DEFERRED)
    }

    /// Rings are to be looked at.
    pub fn looks(&self) -> bool {
        self.until.is_some()
    }

    /// Rings were looked at, and something was `found` or not; the threshold to set, if it is to change. After that they are to be
    /// looked at once more.
    pub fn looked(&mut self, now: Instant, found: bool) -> Option<u32> {
        let until = self.until?;
        if found && self.deferred {
            self.until = Some(now + LINGER);
        } else if now >= until {
            self.until = self.deferred.then(|| now + GRACE);
            return std::mem::take(&mut self.deferred).then_some(1);
        }
        None
    }

    /// A guest came, or goes on after it stood still: what it posted under an earlier threshold is looked for.
    pub fn watch(&mut self, now: Instant) {
        *self = Self { deferred: false, last: None, until: Some(now + GRACE) };
    }

    /// Somebody else has set the threshold: a driver activates or stops its queues, or the device was switched.
    pub fn reset(&mut self, now: Instant) {
        self.until = (self.until.is_some() || self.deferred).then(|| now + GRACE);
        self.deferred = false;
    }
}

/// Whether interrupts may wait.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Something besides sent packets is to be told.
    prompt: bool,
    since: Option<Instant>,
    /// Packets sent by the time of the last interrupt.
    sent: u64,
}

impl Hold {
    /// The next interrupt says more than that packets were sent.
    pub fn prompt(&mut self) {
        self.prompt = true;
    }

    /// Whether what is raised waits, `sent` packets having been sent so far.
    pub fn waits(&mut self, now: Instant, sent: u64) -> bool {
        let since = *self.since.get_or_insert(now);
        !self.prompt && sent.wrapping_sub(self.sent) < HELD_PACKETS && now.duration_since(since) < HOLD
    }

    /// How much longer it waits.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        Some((self.since? + HOLD).saturating_duration_since(now))
    }

    /// Nothing is raised.
    pub fn nothing(&mut self) {
        self.since = None;
    }

    /// All that was raised was told, `sent` packets having been sent so far.
    pub fn told(&mut self, sent: u64) {
        *self = Self { prompt: false, since: None, sent };
    }
}

/// Whether a packet is expected at any moment.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    moved: Option<Instant>,
    received: Option<Instant>,
}

impl Pulse {
    /// Packets moved, some of them `received` by the guest.
    pub fn moved(&mut self, now: Instant, received: bool) {
        self.moved = Some(now);
        if received {
            self.received = Some(now);
        }
    }

    /// It does not pay to sleep.
    pub fn spins(&self, now: Instant) -> bool {
        let within = |at: Option<Instant>, span| at.is_some_and(|at| now.duration_since(at) < span);
        within(self.moved, SPIN) && within(self.received, CONVERSATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_micros(100);

    #[test]
    fn a_busy_guest_stops_ringing_and_rings_again_once_it_is_quiet() {
        let (mut bells, start) = (Bells::default(), Instant::now());
        assert_eq!((bells.rang(start), bells.looks()), (None, false));
        assert_eq!(bells.rang(start + CLOSE), None, "too far apart");
        assert_eq!(bells.rang(start + CLOSE + STEP), Some(DEFERRED));
        let busy = start + CLOSE + STEP;
        assert_eq!((bells.looked(busy + LINGER / 2, true), bells.looks()), (None, true));
        assert_eq!(bells.looked(busy + LINGER, false), None, "it sent half the time ago");
        let quiet = busy + LINGER / 2 + LINGER;
        assert_eq!(bells.looked(quiet, false), Some(1));
        assert!(bells.looks(), "what it posted meanwhile is found");
        assert_eq!(bells.looked(quiet + GRACE / 2, true), None, "rings by itself: no reason to go on");
        assert_eq!((bells.looked(quiet + GRACE, false), bells.looks()), (None, false));
    }

    #[test]
    fn a_threshold_set_by_others_ends_the_silence() {
        let (mut bells, start) = (Bells::default(), Instant::now());
        bells.reset(start);
        assert!(!bells.looks());
        bells.rang(start);
        bells.rang(start + STEP);
        bells.reset(start + STEP);
        assert!(bells.looks());
        assert_eq!((bells.looked(start + STEP + GRACE, false), bells.looks()), (None, false));
    }

    #[test]
    fn only_a_conversation_keeps_awake() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        pulse.moved(start, false);
        assert!(!pulse.spins(start), "it only sends");
        pulse.moved(start, true);
        assert!(pulse.spins(start + SPIN / 2) && !pulse.spins(start + SPIN));
        pulse.moved(start + CONVERSATION / 2, false);
        assert!(pulse.spins(start + CONVERSATION / 2));
        pulse.moved(start + CONVERSATION, false);
        assert!(!pulse.spins(start + CONVERSATION), "nothing comes back");
    }

    #[test]
    fn an_interrupt_waits_for_more_packets_or_for_its_time() {
        let (mut hold, start) = (Hold::default(), Instant::now());
        assert!(hold.waits(start, 1));
        assert!(!hold.waits(start, HELD_PACKETS), "enough packets");
        hold.told(HELD_PACKETS);
        assert_eq!(hold.due(start), None);
        assert!(hold.waits(start, HELD_PACKETS + 1) && hold.waits(start + HOLD / 2, HELD_PACKETS + 1));
        assert_eq!(hold.due(start + HOLD / 2), Some(HOLD / 2));
        assert!(!hold.waits(start + HOLD, HELD_PACKETS + 1), "its time is over");
        hold.told(HELD_PACKETS + 1);
        hold.prompt();
        assert!(!hold.waits(start, HELD_PACKETS + 1), "a frame came in");
    }
}
