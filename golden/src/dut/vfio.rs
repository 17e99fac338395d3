//! A device behind a vfio-user socket as a device under test: registers by message, guest memory in a file that both sides map,
//! an eventfd a vector, frames over a UNIX stream where the device's wire is one.
//!
//! The protocol has no word for "done": a device goes on by itself behind its answers. A server whose control says so in its status,
//! as `vnic serve` does by `idle`, is asked until it is: then all that it did lies in the sockets. Of any other one [`Dut::settle`] asks
//! twice for the configuration space, which has no effect and is answered behind everything asked before, and then waits until neither
//! wire nor eventfd has said anything for [`Place::quiet`]. What such a device does later than that is told too late, or to the next
//! settle; so whoever judges a slow one names a longer time. What a device only does when its guest or its clock moves is not waited for.
//!
//! Not seen: the order of frames and vectors, a vector that fired twice between two settles (it counts once), the INTx line.
//!
//! Source: QEMU, docs/interop/vfio-user.rst; QEMU, net/stream.c for the frames; linux/vfio.h.

use super::{About, Dut, Lack, Seen, Trouble};
use crate::vfio_user::caps::Capabilities;
use crate::vfio_user::proto::{IRQ_ACTION_TRIGGER, IRQ_DATA_EVENTFD};
use crate::vfio_user::{Client, ClientError, irq, region};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{read, retry_on_intr};
use serde_json::{Value, json};
use spec::event::Bar;
use spec::layout::Bytes as _;
use spec::vmxnet3::{Bar1, DEVICE, MAX_VECTORS, MsixEntry, VENDOR};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, Instant};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory as _, VolatileSlice};

/// The suite's region, which is all of guest memory.
const REGION: (u64, usize) = (0x10_0000, 4 << 20);

/// Where the pages are placed. Accesses name the page and never the address.
const PAGES: [u32; 3] = [0xe000_0000, 0xe100_0000, 0xe200_0000];

/// Where the messages of the vectors would go: they are eventfds here.
const MESSAGES: u64 = 0xfee0_0000;

/// Bits of the command register: memory decode, bus master. Source: PCI Local Bus Specification 3.0, section 6.2.2.
const MEMORY_DECODE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;

/// Capability of MSI-X, and the bit that switches it on. Source: the same, section 6.8.2.
const MSIX: u8 = 0x11;
const MSIX_ENABLE: u16 = 1 << 15;

/// Longest frame that is taken; QEMU's own buffer for one is 69,632. Source: QEMU, include/net/net.h, NET_BUFSIZE.
const MOST_FRAME: usize = 1 << 17;

/// How long the device may take to answer on its wire's or its control's socket, and to come to rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a device that is not idle is left alone before it is asked again, unless it says something meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// Where a device is, as a user writes it: `SOCKET[,wire=PATH][,control=PATH][,quiet=MS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The socket that it listens at.
    pub socket: PathBuf,
    /// The socket that its wire listens at, for frames each behind its length: `vnic serve --wire stream-listen:PATH`, or QEMU's
    /// `-netdev stream` as a server. Without one, frames go nowhere.
    pub wire: Option<PathBuf>,
    /// The socket of its control, as `vnic serve --control` has it: it moves the link, and says when the device is idle. Without one, the
    /// link stays as it is.
    pub control: Option<PathBuf>,
    /// Silence after which it counts as settled where no control says `idle`; 6 ms unless said: `vnic serve` paces a driver's doorbells
    /// for 4 ms behind the last.
    pub quiet: Duration,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let socket = parts.next().filter(|socket| !socket.is_empty()).ok_or("the socket is missing")?;
        let mut place = Self { socket: socket.into(), wire: None, control: None, quiet: Duration::from_millis(6) };
        for part in parts {
            match part.split_once('=') {
                Some((_, "")) | None => return Err("it is not SOCKET[,wire=PATH][,control=PATH][,quiet=MS]"),
                Some(("wire", path)) => place.wire = Some(path.into()),
                Some(("control", path)) => place.control = Some(path.into()),
                Some(("quiet", number)) => {
                    let number = number.parse().ok().filter(|ms| (1..=10_000).contains(ms));
                    place.quiet = Duration::from_millis(number.ok_or("quiet is not 1 to 10000 ms")?);
                }
                Some(_) => return Err("it is not SOCKET[,wire=PATH][,control=PATH][,quiet=MS]"),
            }
        }
        Ok(place)
    }
}

/// Our end of the device's wire.
#[derive(Debug)]
struct Cable {
    stream: UnixStream,
    /// Bytes that came and are no whole frame yet.
    inbox: Vec<u8>,
}

impl Cable {
    fn plug(path: &PathBuf) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, inbox: Vec::new() })
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        let bytes = [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
        self.stream.write_all(&bytes).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Trouble::Hangs("to read a frame off its wire".into()),
            _ => Trouble::Gone(format!("its wire: {error}")),
        })
    }

    /// Adds every frame that has come.
    fn drain(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        let odd = |what: String| Trouble::Odd(format!("its wire: {what}"));
        self.stream.set_nonblocking(true).map_err(|error| odd(error.to_string()))?;
        let mut bytes = [0; 1 << 16];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(Trouble::Gone("it closed its wire".into())),
                Ok(came) => self.inbox.extend_from_slice(bytes.get(..came).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(Trouble::Gone(format!("its wire: {error}"))),
            }
            let mut rest = &self.inbox[..];
            while let Some((head, body)) = rest.split_first_chunk() {
                let len = u32::from_be_bytes(*head) as usize;
                if len > MOST_FRAME {
                    return Err(odd(format!("a frame of {len} bytes")));
                }
                let Some((frame, behind)) = body.split_at_checked(len) else { break };
                seen.push(Seen::Sent(frame.to_vec()));
                rest = behind;
            }
            let used = self.inbox.len() - rest.len();
            self.inbox.drain(..used);
        }
        self.stream.set_nonblocking(false).map_err(|error| odd(error.to_string()))
    }
}

/// Orders to the server's control: a JSON object a line, one answered with one.
#[derive(Debug)]
struct Orders(BufReader<UnixStream>);

impl Orders {
    fn open(path: &PathBuf) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Gives an order and takes its answer.
    fn give(&mut self, order: &Value) -> Result<Value, Trouble> {
        let mut asked = || -> std::io::Result<String> {
            self.0.get_mut().write_all(format!("{order}\n").as_bytes())?;
            let mut line = String::new();
            self.0.by_ref().take(1 << 16).read_line(&mut line)?;
            Ok(line)
        };
        let line = asked().map_err(|error| Trouble::Odd(format!("to the order {order}: {error}")))?;
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        if answer.get("ok") == Some(&Value::Bool(true)) {
            Ok(answer)
        } else {
            Err(Trouble::Odd(format!("to the order {order}: {}", line.trim_end())))
        }
    }
}

/// A connection to the device, to its wire, and to the control of its server.
#[derive(Debug)]
struct Line {
    client: Client,
    cable: Option<Cable>,
    orders: Option<Orders>,
    /// The control says whether the device is idle.
    says_idle: bool,
}

/// A socket that serves one peer at a time: whoever comes next takes the device from the one before. The wire stays plugged in, and the
/// control stays open.
#[derive(Debug)]
pub struct Socket {
    place: Place,
    /// The connection of the last device; it ends with this value or the next device.
    last: Rc<RefCell<Option<Line>>>,
}

impl Socket {
    /// The socket at `place`, which must be free when a device is asked for.
    pub fn new(place: Place) -> Self {
        Self { place, last: Rc::default() }
    }

    /// Where it is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Connects to the device and resets it. The device before this one is [`Trouble::Gone`]; its guest memory stays.
    ///
    /// # Errors
    /// [`Trouble::Start`] when nobody listens, or there is no VMXNET3 with MSI-X; or what [`Dut`] says.
    pub fn device(&mut self) -> Result<VfioUser, Trouble> {
        let (cable, orders) = self.last.take().map_or((None, None), |line| (line.cable, line.orders));
        let device = VfioUser::connect(&self.place, cable, orders)?;
        self.last = Rc::clone(&device.line);
        Ok(device)
    }
}

/// A VMXNET3 behind a vfio-user socket, from [`Socket::device`].
#[derive(Debug)]
pub struct VfioUser {
    about: About,
    cannot: Vec<Lack>,
    place: Place,
    /// Most descriptors that one message to it may have.
    most_fds: usize,
    memory: MmapRegion,
    events: Vec<OwnedFd>,
    /// Something was asked of it, or stored, since it was settled.
    stirred: bool,
    /// None: another device has taken its place.
    line: Rc<RefCell<Option<Line>>>,
}

fn start(error: impl std::fmt::Display) -> Trouble {
    Trouble::Start(error.to_string())
}

/// What a device is whose place was taken.
fn taken() -> Trouble {
    Trouble::Gone("another connection has taken its place".into())
}

/// What a failed call is to one who asked `asked`.
fn trouble(error: ClientError, asked: &str) -> Trouble {
    match error {
        ClientError::Closed => Trouble::Gone("it closed its connection".into()),
        ClientError::Timeout => Trouble::Hangs(asked.into()),
        other => Trouble::Odd(format!("to {asked}: {other}")),
    }
}

impl VfioUser {
    fn connect(place: &Place, plugged: Option<Cable>, opened: Option<Orders>) -> Result<Self, Trouble> {
        let path = |path: &PathBuf, error: &dyn std::fmt::Display| start(format!("{}: {error}", path.display()));
        let mut client = Client::connect(&place.socket).map_err(|error| path(&place.socket, &error))?;
        let caps = client.version(&Capabilities { max_msg_fds: 16, ..Capabilities::default() });
        let caps = caps.map_err(|error| path(&place.socket, &error))?;
        let cable = match (plugged, &place.wire) {
            (None, Some(wire)) => Some(Cable::plug(wire).map_err(|error| path(wire, &error))?),
            (plugged, _) => plugged,
        };
        let mut orders = match (opened, &place.control) {
            (None, Some(control)) => Some(Orders::open(control).map_err(|error| path(control, &error))?),
            (opened, _) => opened,
        };
        let status = orders.as_mut().map(|orders| orders.give(&json!({ "do": "status" }))).transpose()?;
        let says_idle = status.is_some_and(|status| status.get("idle").is_some_and(Value::is_boolean));
        let file = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).map_err(start)?);
        file.set_len(REGION.1 as u64).map_err(start)?;
        let mapped = client.dma_map(REGION.0, REGION.1 as u64, Some((file.as_fd(), 0)), true);
        mapped.map_err(|error| path(&place.socket, &error))?;
        let memory = MmapRegion::from_file(FileOffset::new(file, 0), REGION.1).map_err(start)?;
        let vectors = client.irq_info(irq::MSIX).map_err(|error| path(&place.socket, &error))?.count();
        let vectors = u16::try_from(vectors).ok().filter(|&count| count > 0 && usize::from(count) <= MAX_VECTORS);
        let vectors = vectors.ok_or_else(|| start("it has no MSI-X, or more vectors than a VMXNET3"))?;
        let event = || eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(start);
        let events = (0..vectors).map(|_| event()).collect::<Result<_, _>>()?;
        let mut cannot = Vec::new();
        if cable.is_none() {
            cannot.extend([Lack::Offer, Lack::Sent]);
        }
        if place.control.is_none() {
            cannot.push(Lack::Link);
        }
        let about = About {
            name: "vfio-user".into(),
            identity: String::new(),
            version: "0.0".into(),
            base: REGION.0,
            bytes: REGION.1,
            mac: [0; 6],
            vectors,
        };
        let most_fds = usize::try_from(caps.max_msg_fds).unwrap_or(usize::MAX).clamp(1, 16);
        let line = Rc::new(RefCell::new(Some(Line { client, cable, orders, says_idle })));
        let mut device = Self { about, cannot, place: place.clone(), most_fds, memory, events, stirred: true, line };
        device.reset()?;
        // What an earlier peer left behind: its link is nothing that a reset of the function changes.
        match device.link(true) {
            Ok(()) | Err(Trouble::Cannot(_)) => {}
            Err(trouble) => return Err(trouble),
        }
        device.settle(&mut Vec::new())?;
        let mut head = [0; 12];
        device.call("read its configuration space", |client| client.read(region::CONFIG, 0, &mut head))?;
        let [low, high, device_low, device_high, .., revision, _, _, _] = head;
        let (vendor, number) = (u16::from_le_bytes([low, high]), u16::from_le_bytes([device_low, device_high]));
        if (vendor, number) != (VENDOR, DEVICE) {
            return Err(start(format!("{}: it is {vendor:04x}:{number:04x}", place.socket.display())));
        }
        let low = device.read(Bar::Bar1, Bar1::Macl.offset(), 4)? as u32;
        let high = device.read(Bar::Bar1, Bar1::Mach.offset(), 4)? as u16;
        device.about.mac[..4].copy_from_slice(&low.to_le_bytes());
        device.about.mac[4..].copy_from_slice(&high.to_le_bytes());
        let settled = if says_idle { "it is idle".into() } else { format!("quiet for {} ms", place.quiet.as_millis()) };
        device.about.identity =
            format!("vfio-user {vendor:04x}:{number:04x} revision {revision}, settled when {settled}");
        Ok(device)
    }

    fn call<T>(
        &mut self,
        asked: &str,
        question: impl FnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Trouble> {
        self.stirred = true;
        let mut line = self.line.borrow_mut();
        let line = line.as_mut().ok_or_else(taken)?;
        question(&mut line.client).map_err(|error| trouble(error, asked))
    }

    /// As [`VfioUser::call`] for an access of a guest's: on a bus a refused one does nothing.
    fn access(&mut self, question: impl FnOnce(&mut Client) -> Result<(), ClientError>) -> Result<bool, Trouble> {
        self.call("access a register", |client| match question(client) {
            Ok(()) => Ok(true),
            Err(ClientError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn write_config(&mut self, offset: u8, bytes: &[u8]) -> Result<(), Trouble> {
        let asked = format!("write its configuration space at {offset:#x}");
        self.call(&asked, |client| client.write(region::CONFIG, offset.into(), bytes))
    }

    fn config_byte(&mut self, offset: u8) -> Result<u8, Trouble> {
        let mut byte = [0];
        self.call("read its configuration space", |client| client.read(region::CONFIG, offset.into(), &mut byte))?;
        Ok(byte[0])
    }

    /// What firmware and a kernel do before a driver comes.
    fn set_up(&mut self) -> Result<(), Trouble> {
        for (at, page) in (0x10..).step_by(4).zip(PAGES) {
            self.write_config(at, &page.to_le_bytes())?;
        }
        self.bus_master(true)?;
        let mut at = self.config_byte(0x34)?;
        // Each capability takes 4 bytes at least, so there are no more.
        for _ in 0..48 {
            if at < 0x40 || self.config_byte(at)? == MSIX {
                break;
            }
            at = self.config_byte(at.wrapping_add(1))? & !3;
        }
        if at < 0x40 {
            return Err(start("its configuration space has no MSI-X"));
        }
        let control = at.wrapping_add(2);
        let size = u16::from_le_bytes([self.config_byte(control)?, self.config_byte(control.wrapping_add(1))?]);
        let table = self.config_byte(at.wrapping_add(4))?;
        let trigger = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
        for (chunk, events) in self.events.chunks(self.most_fds).enumerate() {
            let fds: Vec<_> = events.iter().map(OwnedFd::as_fd).collect();
            let (from, count) = ((chunk * self.most_fds) as u32, events.len() as u32);
            let mut line = self.line.borrow_mut();
            let set = line.as_mut().ok_or_else(taken)?.client.set_irqs(irq::MSIX, trigger, from, count, &[], &fds);
            set.map_err(|error| trouble(error, "take the eventfds of its vectors"))?;
        }
        for vector in 0..u64::from(self.about.vectors) {
            let mut entry = MsixEntry::default();
            entry.set_address(MESSAGES);
            entry.set_data(vector as u32);
            let mut bytes = [0; 16];
            entry.put(&mut bytes);
            // A server may leave the table to its client, which then needs no masks.
            self.access(|client| client.write(u32::from(table & 7), vector * 16 + u64::from(table & !7), &bytes))?;
        }
        self.write_config(control, &(size | MSIX_ENABLE).to_le_bytes())
    }

    /// Everything asked before was answered, and nothing came of it that is not in `seen`.
    fn barrier(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        for _ in 0..2 {
            self.config_byte(0)?;
        }
        self.drain(seen)
    }

    fn drain(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        if let Some(cable) = &mut self.line.borrow_mut().as_mut().ok_or_else(taken)?.cable {
            cable.drain(seen)?;
        }
        for (vector, event) in (0..).zip(&self.events) {
            if read(event, &mut [0; 8]).is_ok() && !seen.contains(&Seen::Vector(vector)) {
                seen.push(Seen::Vector(vector));
            }
        }
        Ok(())
    }

    /// Waits until wire or a vector says something; false: neither did for as long as `quiet`.
    fn stirs(&self, quiet: Duration) -> Result<bool, Trouble> {
        let line = self.line.borrow();
        let cable =
            line.as_ref().ok_or_else(taken)?.cable.iter().map(|cable| PollFd::new(&cable.stream, PollFlags::IN));
        let mut fds: Vec<_> = cable.chain(self.events.iter().map(|event| PollFd::new(event, PollFlags::IN))).collect();
        let quiet = Timespec {
            tv_sec: i64::try_from(quiet.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: quiet.subsec_nanos().into(),
        };
        let ready = retry_on_intr(|| poll(&mut fds, Some(&quiet)));
        ready.map(|ready| ready > 0).map_err(|errno| Trouble::Odd(errno.to_string()))
    }

    /// Gives an order to the control of its server.
    fn order(&self, order: &Value) -> Result<Value, Trouble> {
        let mut line = self.line.borrow_mut();
        line.as_mut().ok_or_else(taken)?.orders.as_mut().ok_or(Trouble::Cannot(Lack::Link))?.give(order)
    }

    fn says_idle(&self) -> bool {
        self.line.borrow().as_ref().is_some_and(|line| line.says_idle)
    }

    /// Whether its server says that it has nothing left to do.
    fn is_idle(&self) -> Result<bool, Trouble> {
        Ok(self.order(&json!({ "do": "status" }))?.get("idle") == Some(&Value::Bool(true)))
    }

    /// Waits until its server says that it is idle.
    fn until_idle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        let until = Instant::now() + PATIENCE;
        while !self.is_idle()? {
            // What it sends meanwhile is taken, so that it has room for more.
            self.stirs(LOOK)?;
            self.drain(seen)?;
            if Instant::now() > until {
                return Err(Trouble::Hangs("to come to rest".into()));
            }
        }
        self.drain(seen)
    }

    /// Waits until it has been quiet for long enough.
    fn until_quiet(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        let until = Instant::now() + PATIENCE;
        self.barrier(seen)?;
        loop {
            while self.stirs(self.place.quiet)? {
                self.drain(seen)?;
                if Instant::now() > until {
                    return Err(Trouble::Hangs("to come to rest".into()));
                }
            }
            let before = seen.len();
            self.barrier(seen)?;
            if seen.len() == before {
                return Ok(());
            }
        }
    }

    /// Where `bytes` of the suite's region at `pa` are.
    ///
    /// # Panics
    /// Outside the region: the suite's mistake.
    fn inside(&self, pa: u64, bytes: usize) -> VolatileSlice<'_> {
        let at = pa.checked_sub(REGION.0).and_then(|at| usize::try_from(at).ok());
        let slice = at.and_then(|at| self.memory.as_volatile_slice().subslice(at, bytes).ok());
        slice.unwrap_or_else(|| panic!("{pa:#x} +{bytes} is outside the suite's region"))
    }
}

impl Dut for VfioUser {
    fn about(&self) -> &About {
        &self.about
    }

    fn cannot(&self) -> &[Lack] {
        &self.cannot
    }

    /// A refused read is all ones, as on a bus where nobody answers.
    ///
    /// # Panics
    /// With a width above 8.
    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble> {
        let mut bytes = [0; 8];
        let wanted = &mut bytes[..usize::from(width)];
        if !self.access(|client| client.read(bar as u32, offset.into(), wanted))? {
            bytes[..usize::from(width)].fill(0xff);
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// A refused write does nothing.
    ///
    /// # Panics
    /// With a width above 8.
    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble> {
        let bytes = value.to_le_bytes();
        self.access(|client| client.write(bar as u32, offset.into(), &bytes[..usize::from(width)])).map(drop)
    }

    /// # Panics
    /// Outside the suite's region.
    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        self.inside(pa, into.len()).copy_to(into);
        Ok(())
    }

    /// # Panics
    /// Outside the suite's region.
    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        self.stirred = true;
        self.inside(pa, bytes.len()).copy_from(bytes);
        Ok(())
    }

    /// A frame without a byte is none.
    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        self.stirred = true;
        let mut line = self.line.borrow_mut();
        let cable = line.as_mut().ok_or_else(taken)?.cable.as_mut().ok_or(Trouble::Cannot(Lack::Offer))?;
        if frame.is_empty() { Ok(()) } else { cable.send(frame) }
    }

    /// Frames first, then vectors by number, as often as something comes. A device that was settled and asked nothing since is not
    /// waited for again.
    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        if !self.stirred {
            return self.drain(seen);
        }
        let mut news = Vec::new();
        if self.says_idle() {
            self.until_idle(&mut news)?;
        } else {
            self.until_quiet(&mut news)?;
        }
        seen.append(&mut news);
        self.stirred = false;
        Ok(())
    }

    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        self.stirred = true;
        self.order(&json!({ "do": "link", "up": up })).map(drop)
    }

    fn reset(&mut self) -> Result<(), Trouble> {
        self.call("reset it", Client::reset)?;
        self.set_up()
    }

    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        let command = if on { MEMORY_DECODE | BUS_MASTER } else { MEMORY_DECODE };
        self.write_config(4, &command.to_le_bytes())
    }

    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        let mut word = [0; 4];
        self.call("read its configuration space", |client| client.read(region::CONFIG, offset.into(), &mut word))?;
        Ok(u32::from_le_bytes(word))
    }

    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        self.write_config(offset, &value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_with_what_goes_with_it() {
        let plain: Place = "/run/vu".parse().unwrap();
        assert_eq!((plain.wire, plain.control, plain.quiet), (None, None, Duration::from_millis(6)));
        let whole: Place = "/run/vu,quiet=50,wire=/run/w,control=/run/c".parse().unwrap();
        assert_eq!((whole.wire, whole.control), (Some("/run/w".into()), Some("/run/c".into())));
        assert_eq!((whole.socket, whole.quiet), ("/run/vu".into(), Duration::from_millis(50)));
        for wrong in
            ["", ",wire=/w", "/s,", "/s,wire=", "/s,wire", "/s,quiet=0", "/s,quiet=x", "/s,quiet=10001", "/s,x=1"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut cable = Cable { stream: ours, inbox: Vec::new() };
        let mut bytes = Vec::new();
        for len in [1, 60, 1514] {
            bytes.extend((len as u32).to_be_bytes());
            bytes.extend(vec![len as u8; len]);
        }
        let mut seen = Vec::new();
        for part in bytes.chunks(7) {
            theirs.write_all(part).unwrap();
            cable.drain(&mut seen).unwrap();
        }
        assert_eq!(seen, [1, 60, 1514].map(|len| Seen::Sent(vec![len as u8; len])));
        cable.send(&[5; 9]).unwrap();
        let mut sent = [0; 13];
        theirs.read_exact(&mut sent).unwrap();
        assert_eq!(sent[..], [&[0, 0, 0, 9][..], &[5; 9]].concat());
        theirs.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(matches!(cable.drain(&mut seen), Err(Trouble::Odd(_))));
        drop(theirs);
        assert!(matches!(cable.drain(&mut seen), Err(Trouble::Gone(_))));
    }

    #[test]
    fn nobody_there_is_told_by_path() {
        let none = Socket::new("/nowhere/vu".parse().unwrap()).device().unwrap_err();
        assert!(matches!(&none, Trouble::Start(why) if why.starts_with("/nowhere/vu: ")), "{none}");
    }
}
