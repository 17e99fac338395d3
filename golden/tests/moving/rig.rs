//! Two hosts, a fabric, a front, a guest and a third party, each host in its own thread as it would be in its own process.

use model::guest::GuestPort;
use model::guest::packet::Packet;
use model::guest::vmxnet3::{Driver, DriverConfig};
use model::pci::MSIX_CAPABILITY;
use rustix::event::{EventfdFlags, PollFd, Timespec, eventfd, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use serde_json::{Value, json};
use spec::event::Bar;
use spec::profile::Profile;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vnic_golden::fabric::Fabric;
use vnic_golden::front::Front;
use vnic_golden::serve::wire::stream::Stream;
use vnic_golden::serve::wire::switch::Switches;
use vnic_golden::serve::wire::{Wire, open};
use vnic_golden::serve::{Config, Kind, Path as Way, Server};
use vnic_golden::vfio_user::caps::Capabilities;
use vnic_golden::vfio_user::proto::{DMA_READ, DMA_WRITE, DmaMap, IRQ_ACTION_TRIGGER, IRQ_DATA_EVENTFD};
use vnic_golden::vfio_user::{Client, LiveMemory, irq, region};

/// Longest that anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Something that runs in a thread until it is told to end.
pub struct Running {
    thread: Option<JoinHandle<()>>,
    stop: UnixStream,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _told = self.stop.write_all(b"!");
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a thread of the rig panicked");
        }
    }
}

/// Runs `body` in a thread; it calls its second argument once its sockets are there.
pub fn run(body: impl FnOnce(OwnedFd, &dyn Fn()) + Send + 'static) -> Running {
    let (stop, stopped) = UnixStream::pair().unwrap();
    let (ready, is_ready) = channel();
    let thread = std::thread::spawn(move || body(stopped.into(), &|| ready.send(()).unwrap()));
    is_ready.recv().expect("it starts");
    Running { thread: Some(thread), stop }
}

/// A host: a server of one device at `FOLDER/NAME`, orders at `FOLDER/NAME.control`, its soft switch on the fabric's port of its name.
pub fn host(folder: &Path, name: &'static str, kind: Kind, record: Option<PathBuf>) -> Running {
    let folder = folder.to_owned();
    run(move |stop, ready| {
        let spec = format!("switch:{name},stream:{}/fabric-{name}", folder.display()).parse().unwrap();
        let wire = open(&spec, &mut Switches::default()).unwrap();
        let mac = [0, 0x50, 0x56, 0, 1, name.as_bytes()[0]];
        let config = Config { socket: folder.join(name), kind, path: Way::Trapped, profile: &Profile::REFERENCE, mac };
        let control = folder.join(format!("{name}.control"));
        let mut server = Server::new(vec![(config, wire)], Some(&control)).unwrap();
        if let Some(file) = record {
            server.stations()[0].engine.record_to(&file).unwrap();
        }
        ready();
        while server.turn(Some(stop.as_fd()), &mut |_| {}).unwrap() {}
        server.stations()[0].engine.record(None).unwrap();
    })
}

/// A fabric with a port for each name.
pub fn fabric(folder: &Path, names: &'static [&'static str]) -> Running {
    let folder = folder.to_owned();
    run(move |stop, ready| {
        let wire = |name: &&str| {
            let spec = format!("stream-listen:{}/fabric-{name}", folder.display()).parse().unwrap();
            ((*name).to_owned(), open(&spec, &mut Switches::default()).unwrap())
        };
        let mut fabric = Fabric::new(names.iter().map(wire).collect()).unwrap();
        ready();
        while !fabric.wait(None, Some(stop.as_fd())).unwrap() {
            fabric.carry();
        }
    })
}

/// A front at `FOLDER/vu` before the host called `host`.
pub fn front(folder: &Path, host: &str) -> Running {
    let (folder, host) = (folder.to_owned(), folder.join(host));
    run(move |stop, ready| {
        let mut front = Front::new(&folder.join("vu"), Some(&folder.join("front.control")), &host).unwrap();
        ready();
        while front.turn(Some(stop.as_fd()), &mut |_| {}).unwrap() {}
    })
}

/// One order and its answer.
pub fn order(control: &Path, order: &Value) -> Value {
    let mut socket = UnixStream::connect(control).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(format!("{order}\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Moves the device to the host called `to`.
pub fn relocate(folder: &Path, to: &str, fail: Option<&str>) -> Value {
    order(&folder.join("front.control"), &json!({ "do": "move", "to": folder.join(to), "fail": fail }))
}

/// What the host called `name` has done.
pub fn stats(folder: &Path, name: &str) -> Value {
    order(&folder.join(format!("{name}.control")), &json!({ "do": "stats" }))
}

/// A folder of its own.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("vnic-moving-{}-{name}", std::process::id()));
    let _not_there = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

const BASE: u64 = 0x10_0000;
const BYTES: usize = 8 << 20;
/// The guest's address.
pub const GUEST: [u8; 6] = [0, 0x50, 0x56, 0, 0, 7];
/// The third party's.
pub const THIRD: [u8; 6] = [2, 0, 0, 0, 0, 9];
const VECTORS: u32 = 3;

/// The guest's way to its device and its memory.
struct Reach {
    client: Client,
    memory: LiveMemory,
}

impl GuestPort for Reach {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        self.memory.write(pa, bytes).unwrap();
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        self.memory.read(pa, into).unwrap();
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        self.client.write(bar as u32, offset.into(), &value.to_le_bytes()).unwrap();
        true
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        let mut value = [0; 4];
        self.client.read(bar as u32, offset.into(), &mut value).unwrap();
        Some(u32::from_le_bytes(value))
    }
}

/// A guest: a driver that asserts what Linux relies on, over vfio-user.
pub struct Guest {
    reach: Reach,
    pub driver: Driver,
    events: Vec<OwnedFd>,
}

impl Guest {
    /// Connected at `socket`, its driver up.
    pub fn boot(socket: &Path) -> Self {
        let mut client = Client::connect(socket).unwrap();
        client.version(&Capabilities { max_msg_fds: 16, ..Capabilities::default() }).unwrap();
        let file = memfd_create("guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, BYTES as u64).unwrap();
        client.dma_map(BASE, BYTES as u64, Some((file.as_fd(), 0)), true).unwrap();
        let mut memory = LiveMemory::default();
        let mut map = DmaMap::default();
        map.set_flags(DMA_READ | DMA_WRITE);
        map.set_addr(BASE);
        map.set_size(BYTES as u64);
        memory.map(&map, Some(file)).unwrap();
        client.write(region::CONFIG, 4, &[6, 0]).unwrap();
        client.write(region::CONFIG, MSIX_CAPABILITY as u64 + 2, &[0, 0x80]).unwrap();
        let event = |_| eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap();
        let events: Vec<OwnedFd> = (0..VECTORS).map(event).collect();
        for (vector, event) in (0..).zip(&events) {
            let flags = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
            client.set_irqs(irq::MSIX, flags, vector, 1, &[], &[event.as_fd()]).unwrap();
        }
        let config = DriverConfig { mac: GUEST, keep_received: true, poison: true, ..DriverConfig::default() };
        let driver = Driver::plan(config, BASE, BYTES as u64).unwrap();
        let mut guest = Self { reach: Reach { client, memory }, driver, events };
        guest.driver.bring_up();
        guest.steps();
        assert_eq!(guest.driver.counts().activations, 1);
        guest
    }

    /// Everything the driver has to do now, and the interrupts that came.
    pub fn steps(&mut self) {
        loop {
            while self.driver.can_step() && self.driver.step(&mut self.reach) {}
            let mut told = false;
            for (vector, event) in (0..).zip(&self.events) {
                if rustix::io::read(event, &mut [0; 8]).is_ok() {
                    self.driver.interrupt(vector);
                    told = true;
                }
            }
            if !told {
                break;
            }
        }
        assert_eq!(self.driver.breaches(), []);
    }
}

/// A numbered frame of one of several streams.
fn numbered(to: [u8; 6], from: [u8; 6], stream: u8, number: u64) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[0x88, 0xb5, stream]].concat();
    frame.extend(number.to_le_bytes());
    frame.resize(60 + (number % 700) as usize, number as u8);
    frame
}

/// Numbers that have to come each once and in order.
#[derive(Debug, Default)]
pub struct Numbers {
    sent: AtomicU64,
    arrived: AtomicU64,
}

impl Numbers {
    fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::SeqCst)
    }

    fn is_settled(&self) -> bool {
        self.arrived() == self.sent.load(Ordering::SeqCst)
    }

    /// The number to be sent next, if that is not too many under way: the guest never lacks a buffer.
    fn next(&self) -> Option<u64> {
        let sent = self.sent.load(Ordering::SeqCst);
        (sent < self.arrived() + WINDOW).then_some(sent)
    }

    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    fn check(&self, frame: &[u8], stream: u8) {
        let number = u64::from_le_bytes(frame[15..23].try_into().unwrap());
        assert_eq!(number, self.arrived(), "stream {stream}: lost, doubled or reordered");
        assert!(frame[23..].iter().all(|byte| *byte == number as u8), "stream {stream}: number {number} is damaged");
        self.arrived.fetch_add(1, Ordering::SeqCst);
    }
}

/// Frames of a stream under way at most.
const WINDOW: u64 = 60;
/// Time between two frames of the third party's streams.
const PACE: Duration = Duration::from_micros(30);

/// From the guest to the third party, back, and from the third party to all.
#[derive(Debug, Default)]
struct Streams {
    all: [Numbers; 3],
    more: AtomicBool,
    over: AtomicBool,
}

/// Numbered traffic between the guest and a third party behind the fabric, both ways, and broadcasts to all. The third party has its
/// own thread, so that it goes on while the guest waits for its device.
pub struct Traffic {
    pub guest: Guest,
    streams: Arc<Streams>,
    _third: Running,
}

impl Traffic {
    pub fn new(guest: Guest, folder: &Path) -> Self {
        let streams = Arc::<Streams>::default();
        let third = {
            let (streams, path) = (Arc::clone(&streams), folder.join("fabric-third"));
            run(move |_, ready| {
                ready();
                third_party(&streams, &path);
            })
        };
        Self { guest, streams, _third: third }
    }

    /// A little of everything that the guest does.
    fn turn(&mut self) {
        let [out, into, all] = &self.streams.all;
        let more = self.streams.more.load(Ordering::SeqCst);
        // The fabric has accepted the third party once something has come from there.
        if let Some(number) = out.next().filter(|_| more && into.arrived() > 0)
            && self.guest.driver.send(0, &Packet::plain(numbered(THIRD, GUEST, 0, number)))
        {
            out.sent();
            self.guest.driver.kick(0);
        }
        self.guest.steps();
        while let Some(received) = self.guest.driver.take_received() {
            let frame = &received.frame;
            match frame.get(12..15) {
                Some([0x88, 0xb5, 1]) => into.check(frame, 1),
                Some([0x88, 0xb5, 2]) => all.check(frame, 2),
                _ => assert_eq!(frame[12..14], [0x80, 0x35], "only announcements besides: {frame:x?}"),
            }
        }
    }

    /// Goes on until `done`; with `more` something new is sent all the while.
    pub fn until(&mut self, more: bool, mut done: impl FnMut() -> bool) {
        self.streams.more.store(more, Ordering::SeqCst);
        let begun = Instant::now();
        while !done() {
            self.turn();
            assert!(begun.elapsed() < PATIENCE, "stuck: {:?}", self.streams);
        }
    }

    /// So many more frames of every stream have arrived.
    pub fn flow(&mut self, count: u64) {
        let streams = Arc::clone(&self.streams);
        let goals: Vec<u64> = streams.all.iter().map(|numbers| numbers.arrived() + count).collect();
        self.until(true, || streams.all.iter().zip(&goals).all(|(numbers, goal)| numbers.arrived() >= *goal));
    }

    /// Everything that was sent has arrived, and nothing new is sent.
    pub fn settle(&mut self) {
        let streams = Arc::clone(&self.streams);
        self.until(false, || streams.all.iter().all(Numbers::is_settled));
        // What the third party was about to send when it was told to stop.
        self.until(false, || streams.all.iter().all(Numbers::is_settled));
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.streams.over.store(true, Ordering::SeqCst);
    }
}

fn third_party(streams: &Streams, path: &Path) {
    let mut wire = Stream::connect(path).unwrap();
    let (mut frame, mut late) = (Vec::new(), VecDeque::new());
    let [out, into, all] = &streams.all;
    let mut last = Instant::now();
    while !streams.over.load(Ordering::SeqCst) {
        let mut idle = true;
        // At a pace that the guest keeps up with, so that something new comes also while it waits for its device.
        let due = last.elapsed() > PACE;
        if due {
            last = Instant::now();
        }
        for (stream, to, numbers) in [(1, GUEST, into), (2, [0xff; 6], all)] {
            if let Some(number) = numbers.next().filter(|_| due && streams.more.load(Ordering::SeqCst)) {
                numbers.sent();
                late.push_back(numbered(to, THIRD, stream, number));
            }
        }
        while late.front().is_some_and(|frame: &Vec<u8>| wire.send(frame)) {
            late.pop_front();
            idle = false;
        }
        while wire.receive(&mut frame) {
            if frame[12..14] == [0x88, 0xb5] {
                out.check(&frame, 0);
            }
            idle = false;
        }
        if idle {
            let waits = wire.fds();
            let mut fds: Vec<_> = waits.iter().flatten().map(|wait| PollFd::new(&*wait.fd, wait.flags)).collect();
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 30_000 })).unwrap();
        }
    }
}
