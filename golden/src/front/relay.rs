//! Messages on, and what of them a new host must hear again.

use crate::vfio_user::caps::Capabilities;
use crate::vfio_user::proto::{
    DMA_WRITE, DmaMap, DmaUnmap, IRQ_ACTION_MASK, IRQ_ACTION_TRIGGER, IRQ_ACTION_UNMASK, IRQ_DATA_BOOL,
    IRQ_DATA_EVENTFD, IRQ_DATA_NONE, REGION_MMAP, REGION_READ, REGION_WRITE, UNMAP_ALL,
};
use crate::vfio_user::{
    Client, ClientError, Device, Errno, IRQS, IrqChange, IrqInfo, MAX_DMA_MAPS, REGIONS, RegionInfo,
};
use core::ops::Range;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Most vectors of one interrupt index that are forwarded: eventfds are kept for all of them.
const MOST_VECTORS: u32 = 256;
/// Eventfds in one message to a host: what it takes at a time.
const EVENTFDS: usize = 8;

/// Why a host cannot back the device.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It does not answer, or refuses.
    #[error("host {}: {error}", path.display())]
    Client {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        error: ClientError,
    },
    /// It offers to map a region, as the direct path does.
    #[error("host {}: region {region} can be mapped; a device that moves is trapped (`--path trapped`)", path.display())]
    Mapped {
        /// Its socket.
        path: PathBuf,
        /// Which region.
        region: u32,
    },
    /// It shows another device than the one that the hypervisor knows.
    #[error("host {}: {what} {index} is not that of the device that moves", path.display())]
    Differs {
        /// Its socket.
        path: PathBuf,
        /// A region or an interrupt index.
        what: &'static str,
        /// Which.
        index: u32,
    },
}

/// What a device is, as the hypervisor was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Size, right to read, right to write.
    regions: [(u64, bool, bool); REGIONS as usize],
    irqs: [IrqInfo; IRQS as usize],
}

/// A host process that backs the device, or could.
#[derive(Debug)]
pub(super) struct Host {
    pub path: PathBuf,
    pub client: Client,
    shape: Shape,
}

impl Host {
    /// Connects to the host at `path` and learns what it shows.
    pub fn connect(path: &Path) -> Result<Self, HostError> {
        let failed = |error| HostError::Client { path: path.into(), error };
        let mut client = Client::connect(path).map_err(failed)?;
        client.version(&Capabilities { max_msg_fds: EVENTFDS as u64, ..Capabilities::default() }).map_err(failed)?;
        let mut shape = Shape { regions: Default::default(), irqs: Default::default() };
        for (index, region) in (0..).zip(&mut shape.regions) {
            let head = client.region_info(index).map_err(failed)?.head;
            if head.flags() & REGION_MMAP != 0 {
                return Err(HostError::Mapped { path: path.into(), region: index });
            }
            *region = (head.size(), head.flags() & REGION_READ != 0, head.flags() & REGION_WRITE != 0);
        }
        for (index, irq) in (0..).zip(&mut shape.irqs) {
            let info = client.irq_info(index).map_err(failed)?;
            *irq = IrqInfo { count: info.count().min(MOST_VECTORS), flags: info.flags() };
        }
        Ok(Self { path: path.into(), client, shape })
    }

    pub fn failed(&self) -> impl Fn(ClientError) -> HostError + use<> {
        let path = self.path.clone();
        move |error| HostError::Client { path: path.clone(), error }
    }
}

/// Guest memory, as the hypervisor has mapped it.
#[derive(Debug)]
struct Map {
    map: DmaMap,
    file: Option<OwnedFd>,
}

/// One vector, as the hypervisor has set it up.
#[derive(Debug, Default)]
struct Vector {
    event: Option<OwnedFd>,
    masked: bool,
}

/// The device as the hypervisor meets it: the host that backs it now, and what another must be told.
#[derive(Debug)]
pub struct Relay {
    pub(super) host: Host,
    maps: Vec<Map>,
    irqs: [Vec<Vector>; IRQS as usize],
    /// The host went away while it was needed.
    pub(super) lost: bool,
}

impl Relay {
    /// Backed by the host at `path`.
    ///
    /// # Errors
    /// When it does not answer or offers to be mapped.
    pub fn connect(path: &Path) -> Result<Self, HostError> {
        let host = Host::connect(path)?;
        let irqs = host.shape.irqs.map(|irq| (0..irq.count).map(|_| Vector::default()).collect());
        Ok(Self { host, maps: Vec::new(), irqs, lost: false })
    }

    /// The socket of the host that backs the device.
    pub fn host(&self) -> &Path {
        &self.host.path
    }

    /// The connection to it, to be watched for its end.
    pub fn host_fd(&self) -> BorrowedFd<'_> {
        self.host.client.as_fd()
    }

    /// The host has closed the connection. Between two calls it says nothing: whatever is readable is the end.
    pub fn host_is_gone(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.host_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// The host went away while it was needed; the device does not answer any more.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Maps of guest memory and vectors with an eventfd, that a new host must be told of.
    pub fn remembered(&self) -> (usize, usize) {
        (self.maps.len(), self.irqs.iter().flatten().filter(|vector| vector.event.is_some()).count())
    }

    /// That `host` shows what the hypervisor knows.
    pub(super) fn same_shape(&self, host: &Host) -> Result<(), HostError> {
        let (ours, theirs) = (&self.host.shape, &host.shape);
        let region = ours.regions.iter().zip(&theirs.regions).position(|(a, b)| a != b);
        let irq = ours.irqs.iter().zip(&theirs.irqs).position(|(a, b)| a != b);
        let (what, index) = match (region, irq) {
            (Some(index), _) => ("region", index),
            (None, Some(index)) => ("interrupt index", index),
            (None, None) => return Ok(()),
        };
        Err(HostError::Differs { path: host.path.clone(), what, index: index as u32 })
    }

    /// Tells `host` of guest memory.
    pub(super) fn replay_maps(&self, host: &mut Host) -> Result<(), ClientError> {
        for Map { map, file } in &self.maps {
            let file = file.as_ref().map(|file| (file.as_fd(), map.offset()));
            host.client.dma_map(map.addr(), map.size(), file, map.flags() & DMA_WRITE != 0)?;
        }
        Ok(())
    }

    /// Tells `host` of eventfds and masks.
    pub(super) fn replay_irqs(&self, host: &mut Host) -> Result<(), ClientError> {
        for (index, vectors) in (0..).zip(&self.irqs) {
            for (start, chunk) in (0..).step_by(EVENTFDS).zip(vectors.chunks(EVENTFDS)) {
                for (at, vector) in (start..).zip(chunk) {
                    if vector.masked {
                        host.client.set_irqs(index, IRQ_DATA_NONE | IRQ_ACTION_MASK, at, 1, &[], &[])?;
                    }
                    if let Some(event) = &vector.event {
                        let flags = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
                        host.client.set_irqs(index, flags, at, 1, &[], &[event.as_fd()])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What the hypervisor is told of a call that failed.
    fn told(&mut self, error: ClientError) -> Errno {
        match error {
            ClientError::Refused { errno, .. } => errno,
            _ => {
                self.lost = true;
                Errno::IO
            }
        }
    }
}

impl Device for Relay {
    fn region(&self, index: u32) -> RegionInfo<'_> {
        let (size, read, write) = self.host.shape.regions.get(index as usize).copied().unwrap_or_default();
        RegionInfo { size, read, write, mapping: None }
    }

    fn irq(&self, index: u32) -> IrqInfo {
        self.host.shape.irqs.get(index as usize).copied().unwrap_or_default()
    }

    fn read(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        self.host.client.read(region, offset, into).map_err(|error| self.told(error))
    }

    fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.host.client.write(region, offset, bytes).map_err(|error| self.told(error))
    }

    fn dma_map(&mut self, map: &DmaMap, file: Option<OwnedFd>) -> Result<(), Errno> {
        if self.maps.len() >= MAX_DMA_MAPS {
            return Err(Errno::NOSPC);
        }
        let place = file.as_ref().map(|file| (file.as_fd(), map.offset()));
        let writable = map.flags() & DMA_WRITE != 0;
        self.host.client.dma_map(map.addr(), map.size(), place, writable).map_err(|error| self.told(error))?;
        self.maps.push(Map { map: *map, file });
        Ok(())
    }

    fn dma_unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno> {
        let (addr, size, flags) = (unmap.addr(), unmap.size(), unmap.flags());
        self.host.client.dma_unmap(addr, size, flags).map_err(|error| self.told(error))?;
        if flags & UNMAP_ALL != 0 {
            self.maps.clear();
        } else {
            self.maps.retain(|Map { map, .. }| (map.addr(), map.size()) != (addr, size));
        }
        Ok(())
    }

    fn set_irqs(&mut self, index: u32, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        let Self { host, irqs, .. } = self;
        let vectors = irqs.get_mut(index as usize).ok_or(Errno::INVAL)?;
        let (start, count) = (range.start, range.end - range.start);
        let client = &mut host.client;
        let mut plain = |action, which: Option<&[u8]>| match which {
            None => client.set_irqs(index, IRQ_DATA_NONE | action, start, count, &[], &[]),
            Some(bools) => client.set_irqs(index, IRQ_DATA_BOOL | action, start, count, bools, &[]),
        };
        let done = match &change {
            IrqChange::Disable => client.set_irqs(index, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, 0, 0, &[], &[]),
            IrqChange::Assign(triggers) => {
                let events: Vec<_> = triggers.iter().map(|trigger| trigger.fd().as_fd()).collect();
                client.set_irqs(index, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, start, count, &[], &events)
            }
            IrqChange::Fire(which) => plain(IRQ_ACTION_TRIGGER, *which),
            IrqChange::Mask(which) => plain(IRQ_ACTION_MASK, *which),
            IrqChange::Unmask(which) => plain(IRQ_ACTION_UNMASK, *which),
        };
        if let Err(error) = done {
            return Err(self.told(error));
        }
        remember(vectors, range, change);
        Ok(())
    }

    fn reset(&mut self) {
        if let Err(error) = self.host.client.reset() {
            self.told(error);
        }
    }

    fn gone(&mut self) {
        // The owner drops the relay, and with it the host's session: nothing is left to be undone.
        self.maps.clear();
        self.irqs.iter_mut().flatten().for_each(|vector| *vector = Vector::default());
    }
}

/// Keeps what a host has accepted.
fn remember(vectors: &mut [Vector], range: Range<u32>, change: IrqChange<'_>) {
    let picked =
        |which: Option<&[u8]>, at: usize| which.is_none_or(|bools| bools.get(at).is_some_and(|bool| *bool != 0));
    if let IrqChange::Disable = change {
        vectors.iter_mut().for_each(|vector| vector.event = None);
        return;
    }
    let Some(vectors) = vectors.get_mut(range.start as usize..range.end as usize) else { return };
    match change {
        IrqChange::Disable | IrqChange::Fire(_) => {}
        IrqChange::Assign(triggers) if triggers.is_empty() => vectors.iter_mut().for_each(|vector| vector.event = None),
        IrqChange::Assign(triggers) => {
            for (vector, trigger) in vectors.iter_mut().zip(triggers) {
                vector.event = Some(trigger.into_fd());
            }
        }
        IrqChange::Mask(which) => {
            vectors.iter_mut().enumerate().filter(|(at, _)| picked(which, *at)).for_each(|(_, v)| v.masked = true);
        }
        IrqChange::Unmask(which) => {
            vectors.iter_mut().enumerate().filter(|(at, _)| picked(which, *at)).for_each(|(_, v)| v.masked = false);
        }
    }
}
