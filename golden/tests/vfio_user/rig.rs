//! A small device, a peer that can misbehave, and a count of open descriptors.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::ops::Range;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use vnic_golden::vfio_user::caps::Capabilities;
use vnic_golden::vfio_user::proto::{DmaMap, DmaUnmap, IRQ_EVENTFD, IRQ_MASKABLE};
use vnic_golden::vfio_user::{
    Client, Counters, Device, Errno, Hangup, IrqChange, IrqInfo, LiveMemory, Mapping, RegionInfo, Session, Vectors,
    irq, region,
};

static ALONE: Mutex<()> = Mutex::new(());
/// Servers of earlier tests, which may still be closing their descriptors.
static SERVERS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// One test at a time: descriptors are counted for the whole process.
pub struct Alone {
    _guard: MutexGuard<'static, ()>,
    before: usize,
}

pub fn alone() -> Alone {
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for server in servers().drain(..) {
        let _it_panicked = server.join();
    }
    Alone { _guard: guard, before: open_fds() }
}

fn servers() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alone {
    /// No descriptor is open that was not before.
    pub fn no_leak(&self) {
        assert_eq!(open_fds(), self.before, "descriptors leak");
    }
}

/// Sockets, memory files, eventfds and pipes: what a peer can send. Other threads of the test harness open files at times.
fn open_fds() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("a /proc").flatten();
    let ours = |link: &std::path::Path| {
        let link = link.to_string_lossy();
        ["socket:", "/memfd:", "anon_inode:", "pipe:"].iter().any(|kind| link.starts_with(kind))
    };
    links.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| ours(&link))).count()
}

/// Bytes of BAR0 and of BAR2.
pub const BAR: usize = 4096;
/// MSI-X vectors.
pub const VECTORS: u32 = 20;

/// BAR0 and configuration space as plain memory, BAR1 read-only, BAR2 mapped, INTx and MSI-X.
pub struct Small {
    pub bar0: Vec<u8>,
    pub config: Vec<u8>,
    pub page: OwnedFd,
    pub memory: LiveMemory,
    pub msix: Vectors,
    pub intx: Vectors,
    pub log: Vec<String>,
}

impl Small {
    pub fn new() -> Self {
        Self {
            bar0: vec![0; BAR],
            config: (0..=255).collect(),
            page: memfd(BAR as u64),
            memory: LiveMemory::default(),
            msix: Vectors::new(VECTORS),
            intx: Vectors::new(1),
            log: Vec::new(),
        }
    }

    /// How often `event` is in the log.
    pub fn count(&self, event: &str) -> usize {
        self.log.iter().filter(|line| *line == event).count()
    }
}

impl Device for Small {
    fn region(&self, index: u32) -> RegionInfo<'_> {
        let plain = |size| RegionInfo { size, read: true, write: true, mapping: None };
        match index {
            region::BAR0 => plain(BAR as u64),
            1 => RegionInfo { write: false, ..plain(16) },
            2 => RegionInfo {
                mapping: Some(Mapping { fd: self.page.as_fd(), offset: 0, areas: &[] }),
                ..plain(BAR as u64)
            },
            region::CONFIG => plain(256),
            _ => RegionInfo::default(),
        }
    }

    fn irq(&self, index: u32) -> IrqInfo {
        match index {
            irq::INTX => IrqInfo { count: 1, flags: IRQ_EVENTFD | IRQ_MASKABLE },
            irq::MSIX => IrqInfo { count: VECTORS, flags: IRQ_EVENTFD },
            _ => IrqInfo::default(),
        }
    }

    fn read(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        assert!(!into.is_empty());
        let at = offset as usize..offset as usize + into.len();
        match region {
            region::BAR0 => into.copy_from_slice(&self.bar0[at]),
            region::CONFIG => into.copy_from_slice(&self.config[at]),
            _ => into.fill(region as u8),
        }
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        assert!(!bytes.is_empty());
        let at = offset as usize..offset as usize + bytes.len();
        match region {
            region::BAR0 if bytes == [0xee] => return Err(Errno::IO),
            region::BAR0 => self.bar0[at].copy_from_slice(bytes),
            region::CONFIG => self.config[at].copy_from_slice(bytes),
            _ => {}
        }
        self.log.push(format!("write {region}+{offset:#x} {bytes:x?}"));
        Ok(())
    }

    fn dma_map(&mut self, map: &DmaMap, fd: Option<OwnedFd>) -> Result<(), Errno> {
        let with = if fd.is_some() { "file" } else { "nothing" };
        self.memory.map(map, fd)?;
        self.log.push(format!("map {:#x} {with}", map.addr()));
        Ok(())
    }

    fn dma_unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno> {
        self.memory.unmap(unmap)?;
        self.log.push(format!("unmap {:#x}", unmap.addr()));
        Ok(())
    }

    fn set_irqs(&mut self, index: u32, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        self.log.push(match &change {
            IrqChange::Assign(triggers) => format!("irq {index} {range:?} assign {}", triggers.len()),
            other => format!("irq {index} {range:?} {other:?}"),
        });
        match index {
            irq::INTX => self.intx.apply(range, change),
            irq::MSIX => self.msix.apply(range, change),
            _ => Err(Errno::INVAL),
        }
    }

    fn reset(&mut self) {
        self.bar0.fill(0);
        self.log.push("reset".into());
    }

    fn gone(&mut self) {
        self.memory.clear();
        self.msix.clear();
        self.intx.clear();
        self.log.push("gone".into());
    }
}

/// A file of `size` zero bytes that may be sealed.
pub fn memfd(size: u64) -> OwnedFd {
    let file = memfd_create("guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, size).unwrap();
    file
}

/// Both ends of a connection.
pub fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

/// A session and its peer in one thread: what the peer sends is handled when `turn` says so.
pub struct Rig {
    pub device: Small,
    pub session: Session,
    pub peer: Client,
}

impl Rig {
    /// Before the version is agreed.
    pub fn silent() -> Self {
        let (ours, theirs) = pair();
        Self { device: Small::new(), session: Session::new(ours), peer: Client::new(theirs) }
    }

    /// Handles everything that has arrived; `Err` is how the session ended.
    pub fn turn(&mut self) -> Result<u32, Hangup> {
        let mut messages = 0;
        loop {
            let pumped = self.session.pump(&mut self.device)?;
            messages += pumped.messages;
            if pumped.blocked || (pumped.messages == 0 && !self.readable()) {
                return Ok(messages);
            }
        }
    }

    fn readable(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.session.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
    }
}

/// A server in its own thread; when its session ends it gives its device and how that went.
pub struct Served(Receiver<(Small, Hangup, Counters)>);

impl Served {
    pub fn join(self) -> (Small, Hangup, Counters) {
        self.0.recv().expect("the server does not panic")
    }
}

/// Serves `device` to a client that has not greeted yet.
pub fn serve(mut device: Small) -> (Client, Served) {
    let (ours, theirs) = pair();
    let (ended, served) = channel();
    let server = std::thread::spawn(move || {
        let mut session = Session::new(ours);
        let hangup = loop {
            match session.pump(&mut device) {
                Ok(_) => {}
                Err(hangup) => break hangup,
            }
            let mut fds = [PollFd::from_borrowed_fd(session.as_fd(), session.interest())];
            poll(&mut fds, None).unwrap();
        };
        let counters = *session.counters();
        drop(session);
        let _nobody_asks = ended.send((device, hangup, counters));
    });
    servers().push(server);
    (Client::new(theirs), Served(served))
}

/// Serves a new device to a client that has greeted as QEMU does.
pub fn greeted() -> (Client, Served) {
    let (mut client, served) = serve(Small::new());
    client.version(&qemu()).unwrap();
    (client, served)
}

/// What QEMU announces.
pub fn qemu() -> Capabilities {
    Capabilities { max_msg_fds: 16, write_multiple: true, ..Default::default() }
}
