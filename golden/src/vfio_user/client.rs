//! The other end, for tests and for a lab without a hypervisor: blocking, one message at a time, with a time limit.

use super::caps::Capabilities;
use super::migration::Migration;
use super::proto::{
    CAP_SPARSE_MMAP, CapHeader, Command, DMA_READ, DMA_WRITE, DeviceInfo, DmaMap, DmaUnmap, FEATURE_MIG_STATE,
    FEATURE_MIGRATION, FeatureHead, HEADER, Header, IrqHead, IrqSet, MAJOR, MAX_MESSAGE, MAX_XFER, MINOR, MigData,
    MigState, REGION_MMAP, RegionAccess, RegionHead, Request, SparseArea, SparseHead, Version, WriteOne, Writes,
};
use super::wire::{Fds, receive, send};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use spec::layout::Bytes;
use std::path::Path;

/// Seconds a reply may take; QEMU waits as long by default.
const PATIENCE: i64 = 5;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server answered with an error; the connection is as good as before.
    #[error("{command}: {errno}")]
    Refused {
        /// What was asked.
        command: Command,
        /// The number in the reply.
        errno: Errno,
    },
    /// The server has closed.
    #[error("the server closed")]
    Closed,
    /// No reply in time.
    #[error("no reply in {PATIENCE} seconds")]
    Timeout,
    /// The reply is not one to what was asked.
    #[error("{command}: the reply's {field} is {value:#x}")]
    Reply {
        /// What was asked.
        command: Command,
        /// The field's declared name.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[from] Errno),
}

/// What the server says of a region.
#[derive(Debug)]
pub struct RegionReply {
    /// Size, flags and offset.
    pub head: RegionHead,
    /// Parts that can be mapped.
    pub areas: Vec<SparseArea>,
    /// The file to map.
    pub fd: Option<OwnedFd>,
}

/// A reply: its body and what came along.
#[derive(Debug)]
pub struct Reply {
    /// After the header.
    pub body: Vec<u8>,
    /// Descriptors.
    pub fds: Vec<OwnedFd>,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    next_id: u16,
}

impl Client {
    /// Over a connected stream socket.
    pub const fn new(socket: OwnedFd) -> Self {
        Self { socket, next_id: 1 }
    }

    /// To the socket file at `path`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self::new(socket))
    }

    fn wait(&self, flags: PollFlags) -> Result<(), ClientError> {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), flags)];
        let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
        match retry_on_intr(|| poll(&mut fds, Some(&patience)))? {
            0 => Err(ClientError::Timeout),
            _ => Ok(()),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the socket fails or takes nothing for too long.
    pub fn send_raw(&mut self, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>]) -> Result<(), ClientError> {
        while !bytes.is_empty() {
            match send(&self.socket, bytes, fds) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    fds = &[];
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ClientError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn read_exactly(&mut self, into: &mut [u8], fds: &mut Fds) -> Result<(), ClientError> {
        let mut have = 0;
        while have < into.len() {
            match receive(&self.socket, &mut into[have..], fds) {
                Ok(0) | Err(Errno::CONNRESET) => return Err(ClientError::Closed),
                Ok(bytes) => have += bytes,
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// The next message of the server's.
    ///
    /// # Errors
    /// When none comes in time, or it is too long.
    pub fn receive_raw(&mut self) -> Result<(Header, Reply), ClientError> {
        let mut fds = Fds::default();
        let mut header = [0; HEADER];
        self.read_exactly(&mut header, &mut fds)?;
        let header = Header::get(&header);
        let size = header.size() as usize;
        if !(HEADER..=MAX_MESSAGE).contains(&size) {
            let command = Command::from(header.command());
            return Err(ClientError::Reply { command, field: "msg_size", value: header.size().into() });
        }
        let mut body = vec![0; size - HEADER];
        self.read_exactly(&mut body, &mut fds)?;
        Ok((header, Reply { body, fds: fds.take().collect() }))
    }

    fn id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// When the server refuses or is gone.
    pub fn call(&mut self, request: &Request<'_>, fds: &[BorrowedFd<'_>]) -> Result<Reply, ClientError> {
        let (id, command) = (self.id(), request.command());
        self.send_raw(&request.message(id, false), fds)?;
        let (header, reply) = self.receive_raw()?;
        let wrong = |field, value: u64| Err(ClientError::Reply { command, field, value });
        if header.id() != id {
            return wrong("msg_id", header.id().into());
        }
        if header.command() != u16::from(command) {
            return wrong("cmd", header.command().into());
        }
        if header.kind() != 1 {
            return wrong("type", header.kind().into());
        }
        if header.error() {
            let errno = Errno::from_raw_os_error(i32::try_from(header.errno()).unwrap_or(0));
            return Err(ClientError::Refused { command, errno });
        }
        Ok(reply)
    }

    /// Sends a request that wants no reply.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn post(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        let id = self.id();
        self.send_raw(&request.message(id, true), &[])
    }

    fn fixed<T: Bytes>(command: Command, reply: &Reply) -> Result<T, ClientError> {
        match reply.body.get(..T::SIZE) {
            Some(bytes) => Ok(T::get(bytes)),
            None => Err(ClientError::Reply { command, field: "msg_size", value: reply.body.len() as u64 }),
        }
    }

    /// Agrees on the version; gives the server's capabilities.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn version(&mut self, caps: &Capabilities) -> Result<Capabilities, ClientError> {
        let mut version = Version::default();
        version.set_major(MAJOR);
        version.set_minor(MINOR);
        let mut data = Vec::new();
        caps.write(&mut data);
        let reply = self.call(&Request::Version(version, &data), &[])?;
        let command = Command::Version;
        let theirs: Version = Self::fixed(command, &reply)?;
        if theirs.major() != MAJOR {
            return Err(ClientError::Reply { command, field: "major", value: theirs.major().into() });
        }
        Capabilities::parse(&reply.body[Version::SIZE..]).map_err(|_| ClientError::Reply {
            command,
            field: "version data",
            value: reply.body.len() as u64,
        })
    }

    /// Lets the device reach `size` bytes at `addr`: those at `offset` of a file, or none.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn dma_map(
        &mut self,
        addr: u64,
        size: u64,
        file: Option<(BorrowedFd<'_>, u64)>,
        writable: bool,
    ) -> Result<(), ClientError> {
        let mut map = DmaMap::default();
        map.set_argsz(DmaMap::SIZE as u32);
        map.set_flags(if writable { DMA_READ | DMA_WRITE } else { DMA_READ });
        map.set_offset(file.map_or(0, |f| f.1));
        map.set_addr(addr);
        map.set_size(size);
        self.call(&Request::DmaMap(map), file.map(|f| f.0).as_slice()).map(drop)
    }

    /// Takes memory away.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn dma_unmap(&mut self, addr: u64, size: u64, flags: u32) -> Result<(), ClientError> {
        let mut unmap = DmaUnmap::default();
        unmap.set_argsz(DmaUnmap::SIZE as u32);
        unmap.set_flags(flags);
        unmap.set_addr(addr);
        unmap.set_size(size);
        self.call(&Request::DmaUnmap(unmap), &[]).map(drop)
    }

    /// What the device is.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn device_info(&mut self) -> Result<DeviceInfo, ClientError> {
        let mut info = DeviceInfo::default();
        info.set_argsz(DeviceInfo::SIZE as u32);
        let reply = self.call(&Request::DeviceGetInfo(info), &[])?;
        Self::fixed(Command::DeviceGetInfo, &reply)
    }

    /// What a region is. Asks again with more room when there is more to say, as QEMU does.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn region_info(&mut self, index: u32) -> Result<RegionReply, ClientError> {
        let command = Command::DeviceGetRegionInfo;
        let mut asked = RegionHead::default();
        asked.set_argsz(RegionHead::SIZE as u32);
        asked.set_index(index);
        let mut reply = self.call(&Request::DeviceGetRegionInfo(asked), &[])?;
        let mut head: RegionHead = Self::fixed(command, &reply)?;
        if head.argsz() > asked.argsz() {
            asked.set_argsz(head.argsz());
            reply = self.call(&Request::DeviceGetRegionInfo(asked), &[])?;
            head = Self::fixed(command, &reply)?;
        }
        let mut areas = Vec::new();
        let list = reply.body.get(head.cap_offset() as usize..).filter(|_| head.cap_offset() != 0).unwrap_or(&[]);
        if let Some((fixed, rest)) = list.split_at_checked(CapHeader::SIZE + SparseHead::SIZE) {
            let sparse = SparseHead::get(&fixed[CapHeader::SIZE..]);
            if CapHeader::get(fixed).id() == CAP_SPARSE_MMAP {
                areas.extend(rest.chunks_exact(SparseArea::SIZE).take(sparse.nr_areas() as usize).map(SparseArea::get));
            }
        }
        let fd = reply.fds.pop();
        if head.flags() & REGION_MMAP != 0 && fd.is_none() {
            return Err(ClientError::Reply { command, field: "flags", value: head.flags().into() });
        }
        Ok(RegionReply { head, areas, fd })
    }

    /// What an interrupt index is.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn irq_info(&mut self, index: u32) -> Result<IrqHead, ClientError> {
        let mut info = IrqHead::default();
        info.set_argsz(IrqHead::SIZE as u32);
        info.set_index(index);
        let reply = self.call(&Request::DeviceGetIrqInfo(info), &[])?;
        Self::fixed(Command::DeviceGetIrqInfo, &reply)
    }

    /// Sets up, masks or fires vectors; `flags` are `proto::IRQ_DATA_*` and `proto::IRQ_ACTION_*`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        bools: &[u8],
        eventfds: &[BorrowedFd<'_>],
    ) -> Result<(), ClientError> {
        let mut set = IrqSet::default();
        set.set_argsz((IrqSet::SIZE + bools.len()) as u32);
        set.set_flags(flags);
        set.set_index(index);
        set.set_start(start);
        set.set_count(count);
        self.call(&Request::DeviceSetIrqs(set, bools), eventfds).map(drop)
    }

    fn access(region: u32, offset: u64, count: usize) -> RegionAccess {
        let mut access = RegionAccess::default();
        access.set_region(region);
        access.set_offset(offset);
        access.set_count(u32::try_from(count).unwrap_or(u32::MAX));
        access
    }

    /// Reads a region.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn read(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), ClientError> {
        let command = Command::RegionRead;
        let reply = self.call(&Request::RegionRead(Self::access(region, offset, into.len())), &[])?;
        match reply.body.get(RegionAccess::SIZE..) {
            Some(data) if data.len() == into.len() => into.copy_from_slice(data),
            _ => return Err(ClientError::Reply { command, field: "count", value: reply.body.len() as u64 }),
        }
        Ok(())
    }

    /// Writes a region and waits.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), ClientError> {
        self.call(&Request::RegionWrite(Self::access(region, offset, bytes.len()), bytes), &[]).map(drop)
    }

    /// Writes a region and goes on.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub fn post_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), ClientError> {
        self.post(&Request::RegionWrite(Self::access(region, offset, bytes.len()), bytes))
    }

    /// Several writes of up to 8 bytes: region, offset, bytes, and their number.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn write_multi(&mut self, writes: &[(u32, u64, u64, u32)]) -> Result<u64, ClientError> {
        let mut bytes = Vec::new();
        for &(region, offset, data, count) in writes {
            let mut one = WriteOne::default();
            one.set_region(region);
            one.set_offset(offset);
            one.set_data(data);
            one.set_count(count);
            super::proto::put(&mut bytes, one);
        }
        let reply = self.call(&Request::RegionWriteMulti(Writes::from(&bytes[..])), &[])?;
        Self::fixed(Command::RegionWriteMulti, &reply)
    }

    fn feature(&mut self, feature: u16, to: Option<u32>) -> Result<u64, ClientError> {
        let mut head = FeatureHead::default();
        head.set_argsz((FeatureHead::SIZE + MigState::SIZE) as u32);
        head.set_feature(feature);
        head.set_get(to.is_none());
        head.set_set(to.is_some());
        let mut data = Vec::new();
        if let Some(number) = to {
            let mut state = MigState::default();
            state.set_device_state(number);
            super::proto::put(&mut data, state);
        }
        let command = Command::DeviceFeature;
        let reply = self.call(&Request::DeviceFeature(head, &data), &[])?;
        match reply.body.get(FeatureHead::SIZE..FeatureHead::SIZE + 8) {
            Some(bytes) => Ok(u64::get(bytes)),
            None => Err(ClientError::Reply { command, field: "msg_size", value: reply.body.len() as u64 }),
        }
    }

    /// Flags of the migration that is offered, `proto::MIGRATION_*`.
    ///
    /// # Errors
    /// As [`Client::call`]; refused where none is offered.
    pub fn migration_flags(&mut self) -> Result<u64, ClientError> {
        self.feature(FEATURE_MIGRATION, None)
    }

    /// Where the device stands in a migration.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn migration(&mut self) -> Result<Migration, ClientError> {
        let number = MigState::from(self.feature(FEATURE_MIG_STATE, None)?).device_state();
        let (command, value) = (Command::DeviceFeature, number.into());
        Migration::by_number(number).ok_or(ClientError::Reply { command, field: "device_state", value })
    }

    /// Brings the device to where it should stand in a migration, over as many steps as that takes.
    ///
    /// # Errors
    /// As [`Client::call`]; after a refusal [`Client::migration`] says where it stands.
    pub fn migrate(&mut self, to: Migration) -> Result<(), ClientError> {
        self.feature(FEATURE_MIG_STATE, Some(to.number())).map(drop)
    }

    /// Reads at most `size` bytes of the device's state; fewer are the last.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn read_state(&mut self, size: u32) -> Result<Vec<u8>, ClientError> {
        let command = Command::MigDataRead;
        let mut data = MigData::default();
        data.set_argsz((MigData::SIZE as u32).saturating_add(size));
        data.set_size(size);
        let mut reply = self.call(&Request::MigDataRead(data), &[])?;
        let head: MigData = Self::fixed(command, &reply)?;
        let bytes = reply.body.split_off(MigData::SIZE);
        if bytes.len() != head.size() as usize || head.size() > size {
            return Err(ClientError::Reply { command, field: "size", value: head.size().into() });
        }
        Ok(bytes)
    }

    /// Writes the next bytes of a state into the device.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn write_state(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        for part in bytes.chunks(MAX_XFER) {
            let mut data = MigData::default();
            data.set_argsz((MigData::SIZE + part.len()) as u32);
            data.set_size(part.len() as u32);
            self.call(&Request::MigDataWrite(data, part), &[])?;
        }
        Ok(())
    }

    /// Resets the device.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn reset(&mut self) -> Result<(), ClientError> {
        self.call(&Request::DeviceReset, &[]).map(drop)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
