//! A TAP interface of the host: the guest is a neighbour of the machine it runs on.
//!
//! Needs `/dev/net/tun` and CAP_NET_ADMIN, or an interface that was made for this user beforehand. An interface of the name that
//! is there is used, with whatever addresses and state it has; else one is made, and it goes with us. We do not bring it up, give
//! it addresses or bridge it: that is the host's network. Source: Linux, Documentation/networking/tuntap.rst.

use super::socket::is_frame;
use super::{MAX_FRAME, Wait, Waits, Wire, WireCounters};
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Frames looked at in one `receive` while they are none.
const LOOKS: usize = 16;

/// A TAP interface.
pub struct Tap {
    /// Keeps the interface.
    _device: SyncDevice,
    queue: Arc<OwnedFd>,
    /// The last frame was refused.
    full: bool,
    counters: WireCounters,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("queue", &self.queue).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Tap {
    /// Opens the interface `name`.
    pub fn open(name: &str) -> io::Result<Self> {
        let device = DeviceBuilder::new().name(name).layer(Layer::L2).inherit_enable_state().build_sync()?;
        device.set_nonblocking(true)?;
        let queue = Arc::new(device.as_fd().try_clone_to_owned()?);
        Ok(Self { _device: device, queue, full: false, counters: WireCounters::default() })
    }
}

impl Wire for Tap {
    fn send(&mut self, frame: &[u8]) -> bool {
        let written = rustix::io::write(&self.queue, frame);
        self.full = matches!(written, Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR));
        if self.full {
            self.counters.refused += 1;
            return false;
        }
        self.counters.sent(frame.len());
        // The interface is down, or the host does not take frames of this kind.
        self.counters.dropped += u64::from(written.is_err());
        true
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        for _ in 0..LOOKS {
            into.clear();
            into.reserve(MAX_FRAME + 1);
            match rustix::io::read(&self.queue, spare_capacity(into)) {
                Ok(_) if is_frame(into.len()) => {
                    self.counters.received(into.len());
                    return true;
                }
                Ok(_) => self.counters.malformed += 1,
                Err(_) => break,
            }
        }
        into.clear();
        false
    }

    fn fds(&self) -> Waits {
        let out = if self.full { PollFlags::OUT } else { PollFlags::empty() };
        [Some(Wait { fd: Arc::clone(&self.queue), flags: PollFlags::IN | out }), None, None, None]
    }

    fn due(&mut self) -> Option<Duration> {
        None
    }

    fn counters(&self) -> WireCounters {
        self.counters
    }
}
