//! TCP streams: every byte checked there and back, throughput out and in, and what the kernel had to send again.

use crate::Verdict;
use crate::arguments::{Arguments, Failure};
use std::io::{Error, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const CHUNK: usize = 1 << 16;

/// A stream of bytes that follows from its position alone; its period is no power of two, so shifted pieces show.
#[derive(Default)]
struct Stream {
    state: u64,
}

impl Stream {
    fn next(&mut self, into: &mut [u8]) {
        for byte in into {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.state.to_be_bytes()[0];
        }
    }
}

/// Segments the kernel has sent again since it started (RFC 2012, tcpRetransSegs), from /proc/net/snmp.
fn retransmitted() -> u64 {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(name, _)| *name == "RetransSegs").and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

struct Run {
    stream: TcpStream,
    bytes: u64,
    start: Instant,
    retransmitted: u64,
}

impl Run {
    fn new(arguments: &Arguments, port: u16, mib: u64) -> Result<Self, Failure> {
        let patience = arguments.patience()?;
        let bytes = match arguments.get("kib", 0u64)? {
            0 => arguments.get("mib", mib)?.saturating_mul(MIB),
            kib => kib.saturating_mul(KIB),
        };
        let retransmitted = retransmitted();
        let stream = TcpStream::connect_timeout(&arguments.peer(port)?, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, bytes, start: Instant::now(), retransmitted })
    }

    fn verdict(&self, moved: u64, holds: bool) -> Verdict {
        let us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let kbps = moved.saturating_mul(8_000).checked_div(us).unwrap_or(0);
        let again = retransmitted().saturating_sub(self.retransmitted);
        let pairs = vec![("bytes", moved), ("us", us), ("kbps", kbps), ("retransmitted", again)];
        Verdict { pairs, holds: holds && moved == self.bytes }
    }
}

fn chunk(left: u64) -> usize {
    usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)
}

/// Writes the stream, never more than `window` bytes ahead of what came `back`; gives up when the reader is `over`.
fn write_ahead(
    stream: &mut TcpStream,
    bytes: u64,
    window: u64,
    back: &AtomicU64,
    over: &AtomicBool,
) -> Result<(), Error> {
    let (mut content, mut buffer, mut sent) = (Stream::default(), vec![0; CHUNK], 0);
    while sent < bytes && !over.load(Ordering::Relaxed) {
        let room = (back.load(Ordering::Relaxed) + window).saturating_sub(sent);
        if room == 0 {
            std::thread::park();
            continue;
        }
        let piece = &mut buffer[..chunk(room.min(bytes - sent))];
        content.next(piece);
        stream.write_all(piece)?;
        sent += piece.len() as u64;
    }
    stream.shutdown(Shutdown::Write)
}

/// Sends a stream to an echo and checks every byte that returns. At most `window` bytes are under way: an echo whose buffers
/// are full in both directions may not get out of that again.
///
/// # Errors
/// A wrong call, or a connection that fails.
pub fn echo(arguments: &Arguments) -> Result<Verdict, Failure> {
    let run = Run::new(arguments, 7, 8)?;
    let window: u64 = arguments.get("window", 128 * 1024)?;
    let (mut reader, mut writer) = (run.stream.try_clone()?, run.stream.try_clone()?);
    let (back, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| write_ahead(&mut writer, run.bytes, window.max(1), &back, &over));
        let read = read_back(&mut reader, run.bytes, |moved| {
            back.store(moved, Ordering::Relaxed);
            sender.thread().unpark();
        });
        over.store(true, Ordering::Relaxed);
        sender.thread().unpark();
        let sent = sender.join().map_err(|_| Error::other("the sender failed"))?;
        let (moved, same) = read?;
        sent?;
        let mut verdict = run.verdict(moved, same);
        verdict.pairs.push(("same", u64::from(same)));
        Ok(verdict)
    })
}

/// Reads until all `bytes` or the end came: how many, and whether they are those of the stream.
fn read_back(reader: &mut TcpStream, bytes: u64, mut progress: impl FnMut(u64)) -> Result<(u64, bool), Error> {
    let (mut content, mut expected, mut buffer) = (Stream::default(), vec![0; CHUNK], vec![0; CHUNK]);
    let (mut moved, mut same) = (0, true);
    while moved < bytes {
        let length = reader.read(&mut buffer[..chunk(bytes - moved)])?;
        if length == 0 {
            break;
        }
        content.next(&mut expected[..length]);
        same &= expected[..length] == buffer[..length];
        moved += length as u64;
        progress(moved);
    }
    Ok((moved, same))
}

/// Sends a stream to a sink and waits until the peer has taken it all.
///
/// # Errors
/// A wrong call, or a connection that fails.
pub fn send(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut run = Run::new(arguments, 9, 64)?;
    let buffer = vec![0x5a; CHUNK];
    let mut left = run.bytes;
    while left > 0 {
        let piece = &buffer[..chunk(left)];
        run.stream.write_all(piece)?;
        left -= piece.len() as u64;
    }
    run.stream.shutdown(Shutdown::Write)?;
    // The peer closes when it has read our end: only then has everything been delivered.
    let rest = run.stream.read(&mut [0; 16])?;
    Ok(run.verdict(run.bytes, rest == 0))
}

/// Takes a stream from a source.
///
/// # Errors
/// A wrong call, or a connection that fails.
pub fn sink(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut run = Run::new(arguments, 19, 64)?;
    let (mut buffer, mut moved) = (vec![0; CHUNK], 0);
    while moved < run.bytes {
        let length = run.stream.read(&mut buffer[..chunk(run.bytes - moved)])?;
        if length == 0 {
            break;
        }
        moved += length as u64;
    }
    Ok(run.verdict(moved, true))
}
