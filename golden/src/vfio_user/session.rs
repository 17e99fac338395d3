//! One peer: its messages, in order, to a [`Device`].

use super::caps::{BadVersionData, Capabilities};
use super::device::{Device, IRQS, IrqChange, IrqInfo, REGIONS, RegionInfo};
use super::migration::Migration;
use super::proto::{
    CAP_SPARSE_MMAP, CapHeader, Command, DEVICE_PCI, DEVICE_RESET, DeviceInfo, FEATURE_MIG_STATE, FEATURE_MIGRATION,
    FeatureHead, HEADER, Header, IRQ_ACTION_MASK, IRQ_ACTION_TRIGGER, IRQ_ACTION_UNMASK, IRQ_DATA_BOOL,
    IRQ_DATA_EVENTFD, IRQ_DATA_NONE, IrqHead, IrqSet, MAJOR, MAX_VECTORS, MAX_XFER, MIGRATION_STOP_COPY, MINOR,
    Malformed, MigData, MigState, REGION_CAPS, REGION_MMAP, REGION_READ, REGION_WRITE, RegionAccess, RegionHead,
    Request, SparseArea, SparseHead, Version, WriteOne, put,
};
use super::vectors::{NotAnEventfd, Trigger};
use super::wire::{BadHeader, Fds, Filled, Inbox, Outbox};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use spec::layout::Bytes;

/// Most parts of a region in one reply.
const MAX_AREAS: usize = 64;

/// Why a message is answered with an error; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its body makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its body is longer than the command's can be, and was skipped.
    #[error("{command}: body is {found} bytes, {} at most", command.max_body())]
    Long {
        /// Of the message.
        command: Command,
        /// Bytes of its body.
        found: usize,
    },
    /// The version comes first, and once.
    #[error("{command} out of order")]
    Order {
        /// Of the message.
        command: Command,
    },
    /// More descriptors than it takes.
    #[error("{command}: {found} descriptors, {} at most", command.max_fds())]
    Fds {
        /// Of the message.
        command: Command,
        /// How many came, at least.
        found: usize,
    },
    /// The version string makes no sense.
    #[error(transparent)]
    VersionData(#[from] BadVersionData),
    /// An interrupt descriptor of the wrong kind.
    #[error(transparent)]
    Eventfd(#[from] NotAnEventfd),
    /// The device refused.
    #[error("{command}: {errno}")]
    Device {
        /// Of the message.
        command: Command,
        /// What it said.
        errno: Errno,
    },
}

impl Refusal {
    /// The number for the error reply.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Malformed(malformed) => malformed.errno(),
            Self::Long { command, .. } => match command.unserved() {
                Some(errno) => errno,
                None => Errno::MSGSIZE,
            },
            Self::Order { .. } | Self::VersionData(_) | Self::Eventfd(_) => Errno::INVAL,
            Self::Fds { .. } => Errno::MFILE,
            Self::Device { errno, .. } => *errno,
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hangup {
    /// The peer closed between two messages.
    #[error("the peer closed")]
    Closed,
    /// The peer closed inside a message.
    #[error("the peer closed inside a message")]
    Midway,
    /// The stream cannot go on.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[from] Errno),
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Messages handled.
    pub messages: u32,
    /// A reply waits for room in the peer's socket; nothing is handled until it has left.
    pub blocked: bool,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages handled, refused ones too.
    pub messages: u64,
    /// Messages refused, also those whose sender wanted no reply.
    pub refused: u64,
    /// The last refusal.
    pub last_refusal: Option<Refusal>,
}

/// What holds from the version exchange on.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    /// Most bytes of one read: ours and the peer's.
    read_limit: u64,
    /// The peer takes a descriptor.
    takes_fd: bool,
    /// Size, right to read, right to write.
    regions: [(u64, bool, bool); REGIONS as usize],
    irqs: [IrqInfo; IRQS as usize],
}

/// One peer.
///
/// Single-threaded and never blocking: poll the descriptor for [`Session::interest`] among others and call
/// [`Session::pump`]. At most one reply waits to leave; until it has, nothing more is read from that peer.
#[derive(Debug)]
pub struct Session {
    socket: OwnedFd,
    inbox: Inbox,
    outbox: Outbox,
    /// None until the version is agreed.
    agreed: Option<Agreed>,
    /// A read of migration data that the device has not answered yet: its header, and how much it asked for.
    waiting: Option<(Header, u32)>,
    counters: Counters,
    over: bool,
}

impl Session {
    /// A peer that has just connected.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            agreed: None,
            waiting: None,
            counters: Counters::default(),
            over: false,
        }
    }

    /// What to poll for.
    pub fn interest(&self) -> PollFlags {
        match (self.outbox.is_empty(), self.waiting) {
            (false, _) => PollFlags::OUT,
            (true, None) => PollFlags::IN,
            // The end of the peer is seen all the same.
            (true, Some(_)) => PollFlags::empty(),
        }
    }

    /// What happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True once the version is agreed.
    pub const fn greeted(&self) -> bool {
        self.agreed.is_some()
    }

    /// Reads once, handles every message that is wholly here, and returns; a few thousand at most.
    ///
    /// # Errors
    /// When the session is over. The device has then been told, once.
    #[inline]
    pub fn pump(&mut self, device: &mut impl Device) -> Result<Pumped, Hangup> {
        if self.over {
            return Err(Hangup::Closed);
        }
        self.turn(device).inspect_err(|_| {
            self.over = true;
            device.gone();
        })
    }

    /// True when the peer has closed, though messages of its may still wait: whoever connects now comes after it and is not
    /// to be turned away.
    pub fn peer_closed(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::empty())];
        let now = Timespec::default();
        retry_on_intr(|| poll(&mut fds, Some(&now))).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Ends the session from this side, for a reason of the caller's.
    pub fn close(mut self, device: &mut impl Device, why: Errno) -> Hangup {
        if !self.over {
            self.over = true;
            device.gone();
        }
        Hangup::Socket(why)
    }

    fn turn(&mut self, device: &mut impl Device) -> Result<Pumped, Hangup> {
        if !self.outbox.flush(&self.socket)? {
            return Ok(Pumped { messages: 0, blocked: true });
        }
        if let Some((header, size)) = self.waiting.take() {
            if self.peer_closed() {
                return Err(Hangup::Closed);
            }
            let result = read_state(&mut self.outbox, device, size);
            self.conclude(header, result)?;
            if self.waiting.is_some() {
                return Ok(Pumped { messages: 0, blocked: true });
            }
        }
        let left_over = self.handle_all(device)?;
        if left_over.messages > 0 || left_over.blocked {
            return Ok(left_over);
        }
        match self.inbox.fill(&self.socket)? {
            Filled::Nothing => Ok(Pumped::default()),
            Filled::Bytes => self.handle_all(device),
            Filled::End { midway: true } => Err(Hangup::Midway),
            Filled::End { midway: false } => Err(Hangup::Closed),
        }
    }

    fn handle_all(&mut self, device: &mut impl Device) -> Result<Pumped, Hangup> {
        let mut pumped = Pumped::default();
        while let Some(message) = self.inbox.next_message()? {
            let header = message.header;
            let command = Command::from(header.command());
            let result = match message.body {
                None => Err(Refusal::Long { command, found: header.size() as usize - HEADER }),
                Some(body) => answer(&mut self.agreed, &mut self.outbox, device, command, body, message.fds),
            };
            pumped.messages += 1;
            self.counters.messages += 1;
            if !self.conclude(header, result)? {
                pumped.blocked = true;
                break;
            }
        }
        Ok(pumped)
    }

    /// Sends what came of a message. False: nothing more is handled for now.
    fn conclude(&mut self, header: Header, result: Result<Answer, Refusal>) -> Result<bool, Hangup> {
        let refusal = match result {
            Ok(Answer::Written) => None,
            Ok(Answer::Later(size)) => {
                self.waiting = Some((header, size));
                return Ok(false);
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            self.counters.refused += 1;
            self.counters.last_refusal = Some(refusal);
        }
        if header.no_reply() {
            self.outbox.start();
            return Ok(true);
        }
        seal(&mut self.outbox, header, refusal.map(|refusal| refusal.errno()));
        Ok(self.outbox.flush(&self.socket)?)
    }
}

/// What a message that was not refused led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The reply is written.
    Written,
    /// The device has no answer yet to a read of so many bytes of migration data.
    Later(u32),
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Room for a reply's header, which [`seal`] writes.
#[inline]
fn reply(outbox: &mut Outbox) -> &mut Vec<u8> {
    let bytes = outbox.start();
    bytes.resize(HEADER, 0);
    bytes
}

/// Turns what was written into a reply to `asked`. An error has no body, and no descriptor goes with it.
#[inline]
fn seal(outbox: &mut Outbox, asked: Header, error: Option<Errno>) {
    let bytes = match error {
        Some(_) => reply(outbox),
        None => outbox.bytes_mut(),
    };
    let mut header = Header::default();
    header.set_id(asked.id());
    header.set_command(asked.command());
    header.set_size(bytes.len() as u32);
    header.set_kind(1);
    if let Some(errno) = error {
        header.set_error(true);
        header.set_errno(errno.raw_os_error().unsigned_abs());
    }
    header.put(&mut bytes[..HEADER]);
}

/// Handles one message and writes the reply's body.
#[inline]
fn answer(
    agreed: &mut Option<Agreed>,
    outbox: &mut Outbox,
    device: &mut impl Device,
    command: Command,
    body: &[u8],
    fds: &mut Fds,
) -> Result<Answer, Refusal> {
    if fds.cut() || fds.len() > command.max_fds() {
        return Err(Refusal::Fds { command, found: fds.len() + usize::from(fds.cut()) });
    }
    let request = Request::decode(command, body)?;
    let agreed = match (&request, &mut *agreed) {
        (Request::Version(version, data), None) => {
            *agreed = Some(greet(outbox, device, *version, data)?);
            return Ok(Answer::Written);
        }
        (Request::Version(..), Some(_)) | (_, None) => return Err(Refusal::Order { command }),
        (_, Some(agreed)) => &*agreed,
    };
    let refused = |errno| Refusal::Device { command, errno };
    match request {
        Request::RegionWrite(access, data) => {
            agreed.check(command, access, MAX_XFER as u64)?;
            if !data.is_empty() {
                device.write(access.region(), access.offset(), data).map_err(refused)?;
            }
            put(reply(outbox), access);
        }
        Request::RegionRead(access) => {
            agreed.check(command, access, agreed.read_limit)?;
            let bytes = reply(outbox);
            put(bytes, access);
            let data = bytes.len();
            bytes.resize(data + access.count() as usize, 0);
            if access.count() > 0 {
                device.read(access.region(), access.offset(), &mut bytes[data..]).map_err(refused)?;
            }
        }
        Request::RegionWriteMulti(writes) => {
            // As good as separate messages: one that is refused does not take the others with it.
            let mut first = Ok(());
            for write in writes.iter() {
                first = first.and(write_one(agreed, device, write));
            }
            first?;
            put(reply(outbox), writes.count() as u64);
        }
        Request::DmaMap(map) => {
            device.dma_map(&map, fds.take().next()).map_err(refused)?;
            reply(outbox);
        }
        Request::DmaUnmap(unmap) => {
            device.dma_unmap(&unmap).map_err(refused)?;
            put(reply(outbox), unmap);
        }
        Request::DeviceGetInfo(_) => {
            let mut info = DeviceInfo::default();
            info.set_argsz(DeviceInfo::SIZE as u32);
            info.set_flags(DEVICE_RESET | DEVICE_PCI);
            info.set_num_regions(REGIONS);
            info.set_num_irqs(IRQS);
            put(reply(outbox), info);
        }
        Request::DeviceGetRegionInfo(asked) => {
            if asked.index() >= REGIONS {
                return Err(Malformed::Field { command, field: "index", value: asked.index().into() }.into());
            }
            describe(outbox, &device.region(asked.index()), &asked, agreed.takes_fd).map_err(refused)?;
        }
        Request::DeviceGetIrqInfo(asked) => {
            let info = agreed.irq(command, asked.index())?;
            let mut head = IrqHead::default();
            head.set_argsz(IrqHead::SIZE as u32);
            head.set_flags(info.flags);
            head.set_index(asked.index());
            head.set_count(info.count);
            put(reply(outbox), head);
        }
        Request::DeviceSetIrqs(set, bools) => {
            set_irqs(agreed, device, command, &set, bools, fds)?;
            reply(outbox);
        }
        Request::DeviceReset => {
            device.reset();
            reply(outbox);
        }
        Request::DeviceFeature(feature, data) => {
            let standing = device.migration().ok_or(refused(Errno::NOTSUP))?;
            feature_of(outbox, device, standing, feature, data)?;
        }
        Request::MigDataRead(data) => {
            device.migration().ok_or(refused(Errno::NOTSUP))?;
            if u64::from(data.size()) > agreed.read_limit {
                return Err(Malformed::Field { command, field: "size", value: data.size().into() }.into());
            }
            return read_state(outbox, device, data.size());
        }
        Request::MigDataWrite(head, bytes) => {
            device.migration().ok_or(refused(Errno::NOTSUP))?;
            device.write_state(bytes).map_err(refused)?;
            put(reply(outbox), head);
        }
        Request::Version(..) => return Err(Refusal::Order { command }),
    }
    Ok(Answer::Written)
}

/// Reads, sets or probes a feature of migration.
fn feature_of(
    outbox: &mut Outbox,
    device: &mut impl Device,
    standing: Migration,
    asked: FeatureHead,
    data: &[u8],
) -> Result<(), Refusal> {
    let command = Command::DeviceFeature;
    let field = |field, value: u64| Malformed::Field { command, field, value };
    let settable = match asked.feature() {
        FEATURE_MIGRATION => false,
        FEATURE_MIG_STATE => true,
        _ => return Err(Refusal::Device { command, errno: Errno::NOTTY }),
    };
    let flags = u64::from(asked) >> 32;
    let sizes = match (asked.get(), asked.set(), asked.probe()) {
        _ if asked.rsvd() != 0 || asked.set() && !settable => return Err(field("flags", flags).into()),
        (get, set, true) if get || set => (0, 0),
        (true, false, false) => (0, MigState::SIZE),
        (false, true, false) => (MigState::SIZE, MigState::SIZE),
        _ => return Err(field("flags", flags).into()),
    };
    if data.len() != sizes.0 {
        return Err(Malformed::Short { command, found: data.len(), needs: sizes.0 }.into());
    }
    if (asked.argsz() as usize) < FeatureHead::SIZE + sizes.1 {
        return Err(field("argsz", asked.argsz().into()).into());
    }
    let mut answered = asked;
    answered.set_argsz((FeatureHead::SIZE + sizes.1) as u32);
    if asked.probe() {
        put(reply(outbox), answered);
        return Ok(());
    }
    if asked.set() {
        let number = MigState::get(data).device_state();
        let to = Migration::by_number(number).ok_or(field("device_state", number.into()))?;
        let mut at = standing;
        while let Some(next) = at.next(to) {
            device.migrate(next).map_err(|errno| Refusal::Device { command, errno })?;
            at = next;
        }
    }
    let bytes = reply(outbox);
    put(bytes, answered);
    if asked.feature() == FEATURE_MIGRATION {
        put(bytes, MIGRATION_STOP_COPY);
    } else {
        let mut state = MigState::default();
        state.set_device_state(device.migration().unwrap_or_default().number());
        state.set_data_fd(u32::MAX);
        put(bytes, state);
    }
    Ok(())
}

/// Writes the reply to a read of `size` bytes of migration data.
fn read_state(outbox: &mut Outbox, device: &mut impl Device, size: u32) -> Result<Answer, Refusal> {
    let bytes = reply(outbox);
    let from = bytes.len() + MigData::SIZE;
    bytes.resize(from + size as usize, 0);
    let read = device.read_state(&mut bytes[from..]);
    let read = read.map_err(|errno| Refusal::Device { command: Command::MigDataRead, errno })?;
    let Some(count) = read else {
        outbox.start();
        return Ok(Answer::Later(size));
    };
    bytes.truncate(from + count);
    let mut head = MigData::default();
    head.set_argsz((MigData::SIZE + count) as u32);
    head.set_size(count as u32);
    head.put(&mut bytes[from - MigData::SIZE..from]);
    Ok(Answer::Written)
}

/// Agrees on a version: the proposed minor or ours, whichever is older.
fn greet(outbox: &mut Outbox, device: &impl Device, version: Version, data: &[u8]) -> Result<Agreed, Refusal> {
    if version.major() != MAJOR {
        return Err(
            Malformed::Field { command: Command::Version, field: "major", value: version.major().into() }.into()
        );
    }
    let peer = Capabilities::parse(data)?;
    let mut ours = Version::default();
    ours.set_major(MAJOR);
    ours.set_minor(version.minor().min(MINOR));
    let bytes = reply(outbox);
    put(bytes, ours);
    Capabilities::offer(&peer).write(bytes);
    Ok(Agreed {
        read_limit: peer.max_data_xfer_size.min(MAX_XFER as u64),
        takes_fd: peer.max_msg_fds > 0,
        regions: core::array::from_fn(|i| {
            let region = device.region(i as u32);
            (region.size, region.read, region.write)
        }),
        irqs: core::array::from_fn(|i| {
            let irq = device.irq(i as u32);
            IrqInfo { count: irq.count.min(MAX_VECTORS), ..irq }
        }),
    })
}

impl Agreed {
    /// An access to a region that exists, inside it, of the right kind and not too long.
    #[inline]
    fn check(&self, command: Command, access: RegionAccess, limit: u64) -> Result<(), Refusal> {
        let field = |field, value| Err(Refusal::Malformed(Malformed::Field { command, field, value }));
        let Some(&(size, read, write)) = self.regions.get(access.region() as usize) else {
            return field("region", access.region().into());
        };
        if u64::from(access.count()) > limit {
            return field("count", access.count().into());
        }
        match access.offset().checked_add(access.count().into()) {
            Some(end) if end <= size => {}
            _ => return field("offset", access.offset()),
        }
        if if command == Command::RegionRead { read } else { write } {
            Ok(())
        } else {
            Err(Refusal::Device { command, errno: Errno::PERM })
        }
    }

    fn irq(&self, command: Command, index: u32) -> Result<IrqInfo, Malformed> {
        let exists = self.irqs.get(index as usize);
        exists.copied().ok_or(Malformed::Field { command, field: "index", value: index.into() })
    }
}

fn write_one(agreed: &Agreed, device: &mut impl Device, write: WriteOne) -> Result<(), Refusal> {
    let command = Command::RegionWriteMulti;
    let mut access = RegionAccess::default();
    access.set_offset(write.offset());
    access.set_region(write.region());
    access.set_count(write.count());
    agreed.check(command, access, 8)?;
    match &write.data().to_le_bytes()[..write.count() as usize] {
        [] => Ok(()),
        data => device.write(write.region(), write.offset(), data).map_err(|errno| Refusal::Device { command, errno }),
    }
}

/// Describes a region. The list of parts and the descriptor leave only when the peer has room for the list: it asks again
/// with the `argsz` it is told.
fn describe(outbox: &mut Outbox, region: &RegionInfo<'_>, asked: &RegionHead, takes_fd: bool) -> Result<(), Errno> {
    let mut head = RegionHead::default();
    head.set_index(asked.index());
    head.set_size(region.size);
    head.set_flags((u32::from(region.read) * REGION_READ) | (u32::from(region.write) * REGION_WRITE));
    let bytes = reply(outbox);
    let Some(mapping) = region.mapping.filter(|m| takes_fd && region.size > 0 && m.areas.len() <= MAX_AREAS) else {
        head.set_argsz(RegionHead::SIZE as u32);
        put(bytes, head);
        return Ok(());
    };
    let mut all = SparseArea::default();
    all.set_size(region.size);
    let all = [all];
    let areas = if mapping.areas.is_empty() { &all[..] } else { mapping.areas };
    let full = RegionHead::SIZE + CapHeader::SIZE + SparseHead::SIZE + areas.len() * SparseArea::SIZE;
    head.set_argsz(full as u32);
    head.set_flags(head.flags() | REGION_MMAP | REGION_CAPS);
    head.set_offset(mapping.offset);
    // QEMU refuses the flag without a place inside what it is told to ask for, also in the reply that makes it ask again.
    // Source: hw/vfio-user/device.c, vfio_user_device_io_get_region_info.
    head.set_cap_offset(RegionHead::SIZE as u32);
    if (asked.argsz() as usize) < full {
        put(bytes, head);
        return Ok(());
    }
    put(bytes, head);
    let mut cap = CapHeader::default();
    cap.set_id(CAP_SPARSE_MMAP);
    cap.set_version(1);
    put(bytes, cap);
    let mut sparse = SparseHead::default();
    sparse.set_nr_areas(areas.len() as u32);
    put(bytes, sparse);
    areas.iter().for_each(|area| put(bytes, *area));
    outbox.attach(mapping.fd.try_clone_to_owned().map_err(|_| Errno::MFILE)?);
    Ok(())
}

fn set_irqs(
    agreed: &Agreed,
    device: &mut impl Device,
    command: Command,
    set: &IrqSet,
    bools: &[u8],
    fds: &mut Fds,
) -> Result<(), Refusal> {
    let field = |field, value: u32| Err(Malformed::Field { command, field, value: value.into() }.into());
    let info = agreed.irq(command, set.index())?;
    let end = set.start().checked_add(set.count());
    let Some(end) = end.filter(|end| *end <= info.count) else {
        return field("count", set.count());
    };
    if set.flags() & IRQ_DATA_EVENTFD == 0 && !fds.is_empty() {
        return Err(Refusal::Fds { command, found: fds.len() });
    }
    let which = (set.flags() & IRQ_DATA_BOOL != 0).then_some(bools);
    let change = match (set.flags(), set.count()) {
        (flags, 0) if flags == IRQ_DATA_NONE | IRQ_ACTION_TRIGGER => IrqChange::Disable,
        (_, 0) => return field("count", 0),
        (flags, count) if flags == IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER => {
            if !fds.is_empty() && fds.len() != count as usize {
                return Err(Refusal::Fds { command, found: fds.len() });
            }
            let triggers = fds.take().enumerate().map(|(place, fd)| Trigger::new(fd, place));
            IrqChange::Assign(triggers.collect::<Result<_, _>>()?)
        }
        (flags, _) if flags & !(IRQ_DATA_NONE | IRQ_DATA_BOOL) == IRQ_ACTION_TRIGGER && one_kind(flags) => {
            IrqChange::Fire(which)
        }
        (flags, _) if flags & !(IRQ_DATA_NONE | IRQ_DATA_BOOL) == IRQ_ACTION_MASK && one_kind(flags) => {
            IrqChange::Mask(which)
        }
        (flags, _) if flags & !(IRQ_DATA_NONE | IRQ_DATA_BOOL) == IRQ_ACTION_UNMASK && one_kind(flags) => {
            IrqChange::Unmask(which)
        }
        (flags, _) => return field("flags", flags),
    };
    let range = match change {
        // What does not exist is off already.
        IrqChange::Disable if info.count == 0 => return Ok(()),
        IrqChange::Disable => 0..0,
        _ => set.start()..end,
    };
    device.set_irqs(set.index(), range, change).map_err(|errno| Refusal::Device { command, errno })
}

/// Either nothing follows, or booleans do.
const fn one_kind(flags: u32) -> bool {
    (flags & IRQ_DATA_NONE != 0) != (flags & IRQ_DATA_BOOL != 0)
}
