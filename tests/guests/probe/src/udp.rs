//! Datagrams: round trips, numbered streams out, in, and there and back.

use crate::Verdict;
use crate::arguments::{Arguments, Failure};
use crate::sequence::{Sequence, fill, undamaged};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

const LARGEST: usize = 65_507;

fn socket(peer: SocketAddr) -> Result<UdpSocket, Failure> {
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket)
}

fn size(arguments: &Arguments) -> Result<usize, Failure> {
    let size = arguments.get("size", 64)?;
    if (8..=LARGEST).contains(&size) {
        Ok(size)
    } else {
        Err(Failure::Call(format!("size={size} is not between 8 and {LARGEST}")))
    }
}

/// Sleeps until packet `number` of a stream of `rate` a second is due; 0 is never late.
fn pace(start: Instant, number: u64, rate: u64) {
    if let Some(nanoseconds) = number.saturating_mul(1_000_000_000).checked_div(rate) {
        let due = start + Duration::from_nanos(nanoseconds);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_micros(50) {
            std::thread::sleep(early);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn per_second(count: u64, duration: Duration) -> u64 {
    count.saturating_mul(1_000_000).checked_div(micros(duration)).unwrap_or(0)
}

/// A closed loop: one datagram under way, its round trip measured.
///
/// # Errors
/// A wrong call, or a socket that cannot be used.
pub fn ping(arguments: &Arguments) -> Result<Verdict, Failure> {
    let socket = socket(arguments.peer(7)?)?;
    let count: u64 = arguments.get("count", 1000)?;
    let mut datagram = vec![0; size(arguments)?];
    let mut answer = vec![0; LARGEST];
    socket.set_read_timeout(Some(arguments.patience()?))?;
    let mut trips = Vec::new();
    let mut lost = 0;
    for number in 0..count {
        fill(&mut datagram, number);
        let start = Instant::now();
        socket.send(&datagram)?;
        loop {
            match socket.recv(&mut answer) {
                Ok(length) if answer[..length] == datagram => trips.push(start.elapsed()),
                Ok(_) => continue,
                Err(error) if waited(&error) => lost += 1,
                Err(error) => return Err(error.into()),
            }
            break;
        }
    }
    trips.sort_unstable();
    let at = |percent: usize| trips.get(trips.len().saturating_sub(1) * percent / 100).map_or(0, |&trip| micros(trip));
    let pairs =
        vec![("count", count), ("lost", lost), ("p50", at(50)), ("p90", at(90)), ("p99", at(99)), ("max", at(100))];
    Ok(Verdict { pairs, holds: lost == 0 })
}

fn waited(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Numbered datagrams to an echo and back; what comes back is judged, its bytes too. With `until=FILE` it ends early, in good
/// order, once that file exists.
///
/// # Errors
/// A wrong call, or a socket that cannot be used.
pub fn echo(arguments: &Arguments) -> Result<Verdict, Failure> {
    let socket = socket(arguments.peer(7)?)?;
    let (count, rate): (u64, u64) = (arguments.get("count", 1000)?, arguments.get("rate", 0)?);
    let window: u64 = arguments.get("window", 32)?;
    let until: Option<PathBuf> = arguments.optional("until")?;
    let mut datagram = vec![0; size(arguments)?];
    socket.set_read_timeout(Some(arguments.patience()?))?;
    let (target, back, over) = (AtomicU64::new(count), AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let sender = std::thread::current();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let _over = Over(&over, &sender);
            judge(&socket, &target, |arrived| {
                back.store(arrived, Ordering::Relaxed);
                sender.unpark();
            })
        });
        for number in 0..count {
            while number >= back.load(Ordering::Relaxed).saturating_add(window) && !over.load(Ordering::Relaxed) {
                std::thread::park();
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
            pace(start, number, rate);
            let last = called_off(until.as_deref(), number);
            if last {
                target.store(number + 1, Ordering::Relaxed);
            }
            fill(&mut datagram, number);
            socket.send(&datagram)?;
            if last {
                break;
            }
        }
        let (sequence, damaged) = receiver.join().map_err(|_| Error::other("the receiver failed"))??;
        Ok(verdict(&sequence, damaged, start.elapsed()))
    })
}

/// Whether `until` exists; looked up once in 64 datagrams.
fn called_off(until: Option<&Path>, number: u64) -> bool {
    number % 64 == 63 && until.is_some_and(Path::exists)
}

/// Set when dropped, however the receiver ends, so that the sender ends too.
struct Over<'a>(&'a AtomicBool, &'a Thread);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

/// Receives until `target` numbers came, which may fall meanwhile, or the socket's patience ends; counts changed bytes.
fn judge(socket: &UdpSocket, target: &AtomicU64, mut progress: impl FnMut(u64)) -> Result<(Sequence, u64), Failure> {
    let mut sequence = Sequence::new(target.load(Ordering::Relaxed));
    let mut damaged = 0;
    let mut answer = vec![0; LARGEST];
    while sequence.arrived() < target.load(Ordering::Relaxed) {
        match socket.recv(&mut answer) {
            Ok(length) => {
                sequence.take(&answer[..length]);
                damaged += u64::from(!undamaged(&answer[..length]));
                progress(sequence.arrived());
            }
            Err(error) if waited(&error) => break,
            Err(error) => return Err(error.into()),
        }
    }
    sequence.end(target.load(Ordering::Relaxed));
    Ok((sequence, damaged))
}

fn verdict(sequence: &Sequence, damaged: u64, took: Duration) -> Verdict {
    let mut pairs = sequence.pairs();
    pairs.extend([("damaged", damaged), ("us", micros(took)), ("pps", per_second(sequence.arrived(), took))]);
    Verdict { pairs, holds: sequence.holds() && damaged == 0 }
}

/// Numbered datagrams one way; says how fast they went out of the socket. Ends early once the file of `until=FILE` exists.
///
/// # Errors
/// A wrong call, or a socket that cannot be used.
pub fn send(arguments: &Arguments) -> Result<Verdict, Failure> {
    let socket = socket(arguments.peer(9)?)?;
    let (count, rate): (u64, u64) = (arguments.get("count", 1000)?, arguments.get("rate", 0)?);
    let until: Option<PathBuf> = arguments.optional("until")?;
    let mut datagram = vec![0; size(arguments)?];
    let start = Instant::now();
    let mut sent = 0;
    while sent < count && !called_off(until.as_deref(), sent) {
        pace(start, sent, rate);
        fill(&mut datagram, sent);
        socket.send(&datagram)?;
        sent += 1;
    }
    let took = start.elapsed();
    Ok(Verdict { pairs: vec![("count", sent), ("us", micros(took)), ("pps", per_second(sent, took))], holds: true })
}

/// Receives on a port, in a multicast group if one is named, and judges the numbers.
///
/// # Errors
/// A wrong call, or a socket that cannot be used.
pub fn sink(arguments: &Arguments) -> Result<Verdict, Failure> {
    let port: u16 = arguments.optional("port")?.ok_or_else(|| Failure::Call("port=N is missing".into()))?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    if let Some(group) = arguments.optional::<Ipv4Addr>("group")? {
        socket.join_multicast_v4(&group, &arguments.get("interface", Ipv4Addr::UNSPECIFIED)?)?;
    }
    socket.set_read_timeout(Some(arguments.patience()?))?;
    let start = Instant::now();
    let (sequence, damaged) = judge(&socket, &AtomicU64::new(arguments.get("count", 1000)?), |_| {})?;
    Ok(verdict(&sequence, damaged, start.elapsed()))
}

/// Asks the peer for numbered datagrams (count u32, size u16, rate u32, big-endian) and judges what arrives.
///
/// # Errors
/// A wrong call, or a socket that cannot be used.
pub fn blast(arguments: &Arguments) -> Result<Verdict, Failure> {
    let socket = socket(arguments.peer(19)?)?;
    let (count, rate): (u32, u32) = (arguments.get("count", 1000)?, arguments.get("rate", 0)?);
    let size = u16::try_from(size(arguments)?).unwrap_or(u16::MAX);
    let mut request = count.to_be_bytes().to_vec();
    request.extend(size.to_be_bytes());
    request.extend(rate.to_be_bytes());
    socket.set_read_timeout(Some(arguments.patience()?))?;
    let (mut first, mut last) = (None, Instant::now());
    socket.send(&request)?;
    let mut sequence = Sequence::new(count.into());
    let mut answer = vec![0; LARGEST];
    let mut bytes = 0;
    while !sequence.complete() {
        match socket.recv(&mut answer) {
            Ok(length) => {
                last = Instant::now();
                first.get_or_insert(last);
                bytes += length as u64;
                sequence.take(&answer[..length]);
            }
            Err(error) if waited(&error) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let took = last.duration_since(first.unwrap_or(last));
    let mut pairs = sequence.pairs();
    pairs.extend([
        ("us", micros(took)),
        ("pps", per_second(sequence.arrived(), took)),
        ("kbps", per_second(bytes * 8, took) / 1000),
    ]);
    Ok(Verdict { pairs, holds: sequence.holds() })
}
