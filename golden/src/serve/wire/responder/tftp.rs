//! A read-only TFTP server of one file, for network boot.
//!
//! Options `blksize` and `tsize` are understood, others ignored. Each transfer has a port of its own; a block that is not
//! acknowledged is sent again after `AGAIN`, `TRIES` times in all. Block numbers wrap. Source: RFC 1350, 2347, 2348, 2349.

use super::MAX_TFTP_FILE;
use super::udp::{Reach, UdpPort};
use smoltcp::iface::SocketSet;
use smoltcp::socket::udp::{Socket, UdpMetadata};
use smoltcp::time::{Duration, Instant};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Transfers at once; one more replaces the one that was quiet longest.
const TRANSFERS: usize = 4;

/// Port of the first transfer; the others follow.
const FIRST_PORT: u16 = 2069;

/// How long a block waits for its acknowledgement.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a block is sent.
const TRIES: u8 = 5;

/// Bytes of a block unless the client asks otherwise.
const BLOCK: u16 = 512;

/// Opcodes. Source: RFC 1350, section 5; RFC 2347.
const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// A file in memory with the name that clients ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    name: String,
    bytes: Vec<u8>,
}

impl File {
    /// A file of these bytes. The name is cut to 128 bytes, which every client can hold.
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.chars().take_while(|letter| *letter != '\0').take(128).filter(char::is_ascii).collect(),
            bytes,
        }
    }

    /// Reads `path`, at most [`MAX_TFTP_FILE`] bytes.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MAX_TFTP_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_TFTP_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self::new(&path.file_name().unwrap_or_default().to_string_lossy(), bytes))
    }

    /// The name that clients ask for: the last part of the path.
    pub fn name(&self) -> &str {
        &self.name
    }
}

pub(super) struct Tftp {
    file: Arc<File>,
    reach: Reach,
    /// Largest block that fits the wire.
    largest: u16,
    requests: UdpPort,
    transfers: [Transfer; TRANSFERS],
}

struct Transfer {
    port: UdpPort,
    /// `None`: free.
    run: Option<Run>,
    /// When it was last heard of.
    heard: Instant,
}

struct Run {
    client: UdpMetadata,
    block_size: u16,
    /// Whether the client asked for a block size, and so is told it.
    says_block: bool,
    /// Whether the client asked for the size of the file.
    says_size: bool,
    /// The block that waits for its acknowledgement; 0: the answer to the options.
    block: u64,
    sent_at: Instant,
    tries: u8,
}

/// A read request, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    name: &'a [u8],
    block_size: Option<u16>,
    size: bool,
}

impl Tftp {
    pub(super) fn new(file: Arc<File>, reach: Reach, mtu: u16, sockets: &mut SocketSet<'static>) -> Self {
        // Headers of IPv4, UDP and TFTP.
        let largest = mtu.saturating_sub(20 + 8 + 4);
        let transfers = std::array::from_fn(|place| Transfer {
            port: UdpPort::new(FIRST_PORT + place as u16, sockets),
            run: None,
            heard: Instant::ZERO,
        });
        Self { file, reach, largest, requests: UdpPort::new(69, sockets), transfers }
    }

    pub(super) fn serve(&mut self, now: Instant, sockets: &mut SocketSet<'static>, scratch: &mut [u8]) {
        while let Ok((length, from)) = self.requests.open(now, sockets).recv_slice(scratch) {
            if let Some(client) = self.reach.answer(from) {
                self.request(&scratch[..length], client, now, sockets);
            }
        }
        self.requests.done(sockets);
        for transfer in &mut self.transfers {
            transfer.serve(&self.file, now, sockets);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.transfers.iter().filter_map(|transfer| Some(transfer.run.as_ref()?.sent_at + AGAIN)).min()
    }

    fn request(&mut self, bytes: &[u8], client: UdpMetadata, now: Instant, sockets: &mut SocketSet<'static>) {
        let socket = self.requests.open(now, sockets);
        let asked = match (opcode(bytes), asked(bytes)) {
            (Some(RRQ), Some(asked)) => asked,
            (Some(WRQ), _) => return refuse(socket, client, 2, "read only"),
            _ => return refuse(socket, client, 4, "not a read request"),
        };
        let last = asked.name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if last != self.file.name.as_bytes() {
            return refuse(socket, client, 1, "no such file");
        }
        let same = self.transfers.iter().position(|one| one.run.as_ref().is_some_and(|run| run.client == client));
        let place = same.or_else(|| self.transfers.iter().position(|one| one.run.is_none()));
        let oldest = || self.transfers.iter().enumerate().min_by_key(|(_, one)| one.heard).map(|(place, _)| place);
        let Some(place) = place.or_else(oldest) else { return };
        let options = asked.size || asked.block_size.is_some();
        let run = Run {
            client,
            block_size: asked.block_size.map_or(BLOCK, |size| size.min(self.largest)),
            says_block: asked.block_size.is_some(),
            says_size: asked.size,
            block: u64::from(!options),
            sent_at: now,
            tries: 1,
        };
        let transfer = &mut self.transfers[place];
        transfer.heard = now;
        run.send(&self.file, transfer.port.open(now, sockets));
        transfer.run = Some(run);
    }
}

impl Transfer {
    fn serve(&mut self, file: &File, now: Instant, sockets: &mut SocketSet<'static>) {
        let socket = self.port.open(now, sockets);
        while let Ok((bytes, from)) = socket.recv() {
            let Some(run) = self.run.as_mut().filter(|run| run.client.endpoint == from.endpoint) else { continue };
            match (opcode(bytes), bytes.get(2..4)) {
                (Some(ACK), Some(number)) if number == (run.block as u16).to_be_bytes() => {}
                (Some(ERROR), _) => {
                    self.run = None;
                    continue;
                }
                _ => continue,
            }
            self.heard = now;
            if run.block > 0 && run.part(file).len() < usize::from(run.block_size) {
                self.run = None;
                continue;
            }
            (run.block, run.sent_at, run.tries) = (run.block + 1, now, 1);
            run.send(file, socket);
        }
        if let Some(run) = self.run.as_mut().filter(|run| now >= run.sent_at + AGAIN) {
            (run.tries, run.sent_at) = (run.tries + 1, now);
            if run.tries <= TRIES {
                run.send(file, socket);
            } else {
                self.run = None;
            }
        }
        self.port.done(sockets);
    }
}

impl Run {
    /// The bytes of the current block: shorter than a block at the end of the file, then none.
    fn part<'f>(&self, file: &'f File) -> &'f [u8] {
        let size = usize::from(self.block_size);
        let from = usize::try_from(self.block.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size);
        let rest = file.bytes.get(from..).unwrap_or_default();
        &rest[..rest.len().min(size)]
    }

    /// Sends the current block. What finds no room is sent again later, as if lost.
    fn send(&self, file: &File, socket: &mut Socket<'static>) {
        if self.block > 0 {
            let part = self.part(file);
            if let Ok(room) = socket.send(4 + part.len(), self.client) {
                room[..2].copy_from_slice(&DATA.to_be_bytes());
                room[2..4].copy_from_slice(&(self.block as u16).to_be_bytes());
                room[4..].copy_from_slice(part);
            }
            return;
        }
        let mut message = OACK.to_be_bytes().to_vec();
        let mut option = |name: &str, value: usize| {
            for word in [name, &value.to_string()] {
                message.extend(word.bytes().chain([0]));
            }
        };
        if self.says_block {
            option("blksize", self.block_size.into());
        }
        if self.says_size {
            option("tsize", file.bytes.len());
        }
        let _room = socket.send_slice(&message, self.client);
    }
}

fn opcode(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|code| u16::from_be_bytes(*code))
}

/// Takes a request apart: name, mode, then options and their values, each ended by a zero.
fn asked(bytes: &[u8]) -> Option<Asked<'_>> {
    let text = bytes.get(2..)?.strip_suffix(&[0])?;
    let mut words = text.split(|byte| *byte == 0);
    let name = words.next()?;
    let mode = words.next()?;
    if name.is_empty() || !mode.eq_ignore_ascii_case(b"octet") {
        return None;
    }
    let mut asked = Asked { name, block_size: None, size: false };
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let number = std::str::from_utf8(value).ok().and_then(|value| value.parse::<u16>().ok());
        if option.eq_ignore_ascii_case(b"blksize") {
            asked.block_size = number.filter(|size| (8..=65_464).contains(size));
        } else if option.eq_ignore_ascii_case(b"tsize") {
            asked.size = true;
        }
    }
    Some(asked)
}

/// Answers a request that is not served. What finds no room is lost, as datagrams are.
fn refuse(socket: &mut Socket<'static>, client: UdpMetadata, code: u8, why: &str) {
    let mut message = vec![0, ERROR as u8, 0, code];
    message.extend(why.bytes().chain([0]));
    let _room = socket.send_slice(&message, client);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart_and_nonsense_is_none() {
        let request = b"\0\x01/boot/a.pxe\0octet\0blksize\x001432\0tsize\x000\0";
        assert_eq!(asked(request), Some(Asked { name: b"/boot/a.pxe", block_size: Some(1432), size: true }));
        let plain = b"\0\x01a\0OCTET\0";
        assert_eq!(asked(plain), Some(Asked { name: b"a", block_size: None, size: false }));
        assert_eq!(asked(b"\0\x01a\0octet\0blksize\x004\0").unwrap().block_size, None);
        for nonsense in [&b""[..], b"\0\x01", b"\0\x01a", b"\0\x01a\0", b"\0\x01a\0netascii\0", b"\0\x01\0octet\0"] {
            assert_eq!(asked(nonsense), None, "{nonsense:?}");
        }
    }
}
