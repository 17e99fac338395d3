//! The responder's TCP services: echo (7), discard (9), a numbered stream (19).
//!
//! Each service takes [`CONNECTIONS`] connections at once; one more is reset. A connection whose guest has gone without a word
//! ends after [`GONE`].

use super::Shared;
use crate::serve::wire::sequence::Ruler;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Duration;

/// Bytes a connection holds in each direction.
pub(super) const BUFFER: usize = 256 * 1024;

/// Connections of one service.
const CONNECTIONS: usize = 8;

/// How long a silent connection lives.
const GONE: Duration = Duration::from_secs(60);

/// How often a silent guest is asked whether it is there.
const ASK: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Echo,
    Discard,
    Source,
}

impl Service {
    const ALL: [Self; 3] = [Self::Echo, Self::Discard, Self::Source];

    fn port(self) -> u16 {
        match self {
            Self::Echo => 7,
            Self::Discard => 9,
            Self::Source => 19,
        }
    }
}

pub(super) struct Streams(Vec<Stream>);

struct Stream {
    service: Service,
    socket: SocketHandle,
    /// Where the numbered stream stands: in for discard, out for the source.
    ruler: Ruler,
}

impl Streams {
    pub(super) fn new(sockets: &mut SocketSet<'static>) -> Self {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let one = |service| {
            let mut socket = Socket::new(buffer(), buffer());
            socket.set_timeout(Some(GONE));
            socket.set_keep_alive(Some(ASK));
            socket.set_nagle_enabled(false);
            (service, socket)
        };
        let all = Service::ALL.into_iter().flat_map(|service| std::iter::repeat_n(service, CONNECTIONS)).map(one);
        Self(
            all.map(|(service, socket)| Stream { service, socket: sockets.add(socket), ruler: Ruler::default() })
                .collect(),
        )
    }

    /// Moves bytes between each connection's buffers.
    pub(super) fn serve(&mut self, sockets: &mut SocketSet<'static>, shared: &mut Shared) {
        for stream in &mut self.0 {
            stream.serve(sockets.get_mut(stream.socket), shared);
        }
    }
}

impl Stream {
    fn serve(&mut self, socket: &mut Socket<'static>, shared: &mut Shared) {
        match socket.state() {
            State::Closed => {
                self.ruler = Ruler::default();
                let listening = socket.listen(self.service.port());
                debug_assert!(listening.is_ok(), "a closed socket and a port that is not 0");
                return;
            }
            State::Listen | State::SynReceived => return,
            _ => {}
        }
        match self.service {
            Service::Echo => echo(socket, &mut shared.scratch),
            Service::Discard => self.discard(socket, shared),
            Service::Source => self.source(socket),
        }
        // The guest has said all it will: say the rest and close.
        if !socket.may_recv() && socket.may_send() && !socket.can_recv() {
            socket.close();
        }
    }

    fn discard(&mut self, socket: &mut Socket<'static>, shared: &mut Shared) {
        while socket.can_recv() {
            let ruler = &mut self.ruler;
            let taken = socket.recv(|bytes| (bytes.len(), (bytes.len(), ruler.check(bytes))));
            let Ok((bytes, broken)) = taken else { return };
            shared.stream_bytes += bytes as u64;
            shared.broken_streams += u64::from(broken);
        }
    }

    fn source(&mut self, socket: &mut Socket<'static>) {
        while socket.can_recv() && socket.recv(|bytes| (bytes.len(), ())).is_ok() {}
        while socket.can_send() {
            let ruler = &mut self.ruler;
            let sent = socket.send(|room| {
                ruler.fill(room);
                (room.len(), ())
            });
            if sent.is_err() {
                return;
            }
        }
    }
}

fn echo(socket: &mut Socket<'static>, scratch: &mut [u8]) {
    while socket.can_recv() && socket.can_send() {
        let room = (socket.send_capacity() - socket.send_queue()).min(scratch.len());
        let Ok(bytes) = socket.recv_slice(&mut scratch[..room]) else { return };
        let sent = socket.send_slice(&scratch[..bytes]);
        debug_assert_eq!(sent, Ok(bytes), "there was room");
    }
}
