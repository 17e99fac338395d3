//! Where the frames of a served device leave to and come from: one trait, [`Wire`], and a back end for each kind of other side.
//!
//! - [`responder`]: a TCP/IP host in this process (ARP, ICMP, echo, discard, numbered streams, DHCP, TFTP).
//! - [`dgram`], [`stream`]: UNIX sockets that speak as QEMU's `-netdev dgram` and `-netdev stream` do.
//! - [`switch`]: a soft switch that joins several devices of this process, with an uplink to any other back end.
//! - [`tap`]: a TAP interface of the host, where allowed.
//! - [`capture`]: pcapng of everything, around any of them.
//!
//! [`WireSpec`] is the text a user writes, [`open`] makes the back end. Frames carry no FCS and may carry a VLAN tag. Nothing
//! here knows a device: a frame that came in is the caller's to keep or drop.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

pub mod capture;
pub mod dgram;
mod open;
pub mod responder;
pub mod sequence;
mod socket;
mod spec;
pub mod stream;
pub mod switch;
pub mod tap;

pub use open::{WireError, open};
pub use sequence::SequenceCounters;
pub use spec::{Back, SpecError, SpecRule, WireSpec};

/// Shortest frame any back end passes on: destination, source and EtherType.
pub const MIN_FRAME: usize = 14;

/// Longest frame any back end passes on: a tagged Ethernet header and an IP packet of 65,532 bytes.
pub const MAX_FRAME: usize = 65_550;

/// Descriptors one back end waits on at most.
pub const MAX_WAITS: usize = 4;

/// What a served device's frames leave to and come from.
///
/// No method blocks. Each does bounded work, and allocates nothing per frame once its buffers have grown.
pub trait Wire: Send {
    /// Hands one frame over, without FCS. False: no room now, the frame was not taken; [`Wire::fds`] and [`Wire::due`] tell
    /// when to try again. A frame that can go nowhere (no peer) is taken, dropped and counted.
    fn send(&mut self, frame: &[u8]) -> bool;

    /// Takes the next frame that came in, into `into` (cleared first; the buffer may be exchanged for another). False: none
    /// waits. Call it too when a descriptor became writable: it goes on with what [`Wire::send`] left half done.
    fn receive(&mut self, into: &mut Vec<u8>) -> bool;

    /// Descriptors to wait on, and for what. They change when a peer comes or goes: ask before every wait.
    fn fds(&self) -> Waits;

    /// When [`Wire::receive`] may have something, or [`Wire::send`] room, without any descriptor being ready. From now; zero
    /// for at once, `None` when only a descriptor or a `send` can change anything.
    fn due(&mut self) -> Option<Duration>;

    /// Goes on with what [`Wire::send`] left half done; true when every frame that was taken has left this process.
    fn settled(&mut self) -> bool {
        true
    }

    /// [`Wire::receive`] may have a frame now. Never false where one waits.
    fn waits(&mut self) -> bool {
        if self.due() == Some(Duration::ZERO) {
            return true;
        }
        let waits = self.fds();
        let mut fds: Vec<_> = waits.iter().flatten().map(|wait| PollFd::new(&*wait.fd, PollFlags::IN)).collect();
        let ready = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())));
        ready.is_ok_and(|ready| ready > 0)
    }

    /// What went through since the back end was opened.
    fn counters(&self) -> WireCounters;

    /// What the numbered datagrams that arrived at the other side showed. Only the responder looks at payloads.
    fn sequences(&self) -> Option<SequenceCounters> {
        None
    }
}

/// One descriptor and the readiness to wait for. Shares the descriptor, so that the back end stays free while it is polled.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The descriptor; `rustix::event::PollFd::new(&wait.fd, wait.flags)` makes the entry of a poll.
    pub fd: Arc<OwnedFd>,
    /// `IN`, and `OUT` while a frame waits for room.
    pub flags: PollFlags,
}

/// Descriptors to wait on; entries in use come first.
pub type Waits = [Option<Wait>; MAX_WAITS];

/// What went through a wire since it was opened. *Sent* is from the device's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Frames that were taken from the device.
    pub sent_frames: u64,
    /// Their bytes, without FCS.
    pub sent_bytes: u64,
    /// Frames handed to the device.
    pub received_frames: u64,
    /// Their bytes, without FCS.
    pub received_bytes: u64,
    /// How often `send` had no room and the device kept its frame.
    pub refused: u64,
    /// Frames that were taken but reached nobody: no peer, or a full queue behind a switch.
    pub dropped: u64,
    /// What came from the other side and was no frame: too short, too long, a length that makes no sense.
    pub malformed: u64,
    /// Frames that a capture could not write.
    pub uncaptured: u64,
}

impl WireCounters {
    /// Counts a frame of `bytes` taken from the device.
    fn sent(&mut self, bytes: usize) {
        self.sent_frames += 1;
        self.sent_bytes += bytes as u64;
    }

    /// Counts a frame of `bytes` handed to the device.
    fn received(&mut self, bytes: usize) {
        self.received_frames += 1;
        self.received_bytes += bytes as u64;
    }
}

impl<W: Wire + ?Sized> Wire for Box<W> {
    fn send(&mut self, frame: &[u8]) -> bool {
        (**self).send(frame)
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        (**self).receive(into)
    }

    fn fds(&self) -> Waits {
        (**self).fds()
    }

    fn due(&mut self) -> Option<Duration> {
        (**self).due()
    }

    fn settled(&mut self) -> bool {
        (**self).settled()
    }

    fn waits(&mut self) -> bool {
        (**self).waits()
    }

    fn counters(&self) -> WireCounters {
        (**self).counters()
    }

    fn sequences(&self) -> Option<SequenceCounters> {
        (**self).sequences()
    }
}

/// No cable: everything sent is dropped and counted, nothing ever comes.
#[derive(Debug, Default)]
pub struct Unplugged(WireCounters);

impl Wire for Unplugged {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.0.sent(frame.len());
        self.0.dropped += 1;
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        into.clear();
        false
    }

    fn fds(&self) -> Waits {
        Waits::default()
    }

    fn due(&mut self) -> Option<Duration> {
        None
    }

    fn counters(&self) -> WireCounters {
        self.0
    }
}
