//! The messages: a header of 16 bytes and a body for each command, declared once; decoding is total.
//!
//! Source: QEMU, docs/interop/vfio-user.rst; linux/vfio.h; libvfio-user, include/vfio-user.h.

mod command;
mod layouts;

pub use command::Command;
pub use layouts::*;

use rustix::io::Errno;
use spec::layout::Bytes;

/// Bytes of a header.
pub const HEADER: usize = 16;
/// Most data bytes of one region access: what we announce as `max_data_xfer_size`, the protocol's default.
pub const MAX_XFER: usize = 1 << 20;
/// Longest message that is skipped or served; a longer one ends the session.
pub const MAX_MESSAGE: usize = HEADER + RegionAccess::SIZE + MAX_XFER;
/// Most descriptors in one message: what we announce as `max_msg_fds`, QEMU's default.
pub const MAX_FDS: usize = 8;
/// Longest version string, its NUL included. QEMU's has about 200 bytes.
pub const MAX_VERSION_DATA: usize = 4096;
/// Most writes in one `REGION_WRITE_MULTI`; QEMU sends up to 200 (protocol.h, VFIO_USER_MULTI_MAX).
pub const MAX_MULTI: usize = 1024;
/// Most vectors of one interrupt index: MSI-X has no more.
pub const MAX_VECTORS: u32 = 2048;
/// The protocol's major version.
pub const MAJOR: u16 = 0;
/// The newest minor version we know.
pub const MINOR: u16 = 1;

/// Why a body is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Bytes are missing.
    #[error("{command}: body is {found} bytes, {needs} are needed")]
    Short {
        /// Of the message.
        command: Command,
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        needs: usize,
    },
    /// Bytes are left over.
    #[error("{command}: {extra} bytes follow its body")]
    Long {
        /// Of the message.
        command: Command,
        /// Bytes too many.
        extra: usize,
    },
    /// A field holds what it cannot.
    #[error("{command}: {field} is {value:#x}")]
    Field {
        /// Of the message.
        command: Command,
        /// The field's declared name.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// The command is not served.
    #[error("{command} is not served")]
    Unserved {
        /// Which.
        command: Command,
    },
}

impl Malformed {
    /// The number for the error reply.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Short { .. } | Self::Long { .. } | Self::Field { .. } => Errno::INVAL,
            Self::Unserved { command } => match command.unserved() {
                Some(errno) => errno,
                None => Errno::NOTSUP,
            },
        }
    }
}

/// A message to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Versions, and capabilities as JSON with its NUL.
    Version(Version, &'a [u8]),
    /// Guest memory becomes reachable.
    DmaMap(DmaMap),
    /// Guest memory goes away.
    DmaUnmap(DmaUnmap),
    /// What the device is.
    DeviceGetInfo(DeviceInfo),
    /// What a region is.
    DeviceGetRegionInfo(RegionHead),
    /// What an interrupt index is.
    DeviceGetIrqInfo(IrqHead),
    /// What is done to vectors, and for which, a byte each; empty unless `IRQ_DATA_BOOL`.
    DeviceSetIrqs(IrqSet, &'a [u8]),
    /// Reads bytes of a region.
    RegionRead(RegionAccess),
    /// Writes bytes of a region.
    RegionWrite(RegionAccess, &'a [u8]),
    /// Resets the device.
    DeviceReset,
    /// Several small writes, in order.
    RegionWriteMulti(Writes<'a>),
    /// A feature, and what it becomes when it is set.
    DeviceFeature(FeatureHead, &'a [u8]),
    /// Reads migration data.
    MigDataRead(MigData),
    /// Writes migration data.
    MigDataWrite(MigData, &'a [u8]),
}

/// The writes of a `REGION_WRITE_MULTI`, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writes<'a>(&'a [u8]);

impl Writes<'_> {
    /// How many.
    pub const fn count(self) -> usize {
        self.0.len() / WriteOne::SIZE
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = WriteOne> {
        self.0.chunks_exact(WriteOne::SIZE).map(WriteOne::get)
    }
}

impl<'a> From<&'a [u8]> for Writes<'a> {
    /// From bytes; a rest too short for a write is left out.
    fn from(bytes: &'a [u8]) -> Self {
        Self(&bytes[..bytes.len() - bytes.len() % WriteOne::SIZE])
    }
}

/// The fixed part of a body and what follows it.
fn head<T: Bytes>(command: Command, body: &[u8]) -> Result<(T, &[u8]), Malformed> {
    match body.split_at_checked(T::SIZE) {
        Some((fixed, rest)) => Ok((T::get(fixed), rest)),
        None => Err(Malformed::Short { command, found: body.len(), needs: T::SIZE }),
    }
}

/// A body that is its fixed part alone.
fn whole<T: Bytes>(command: Command, body: &[u8]) -> Result<T, Malformed> {
    let (fixed, rest) = head(command, body)?;
    exactly(command, rest, 0)?;
    Ok(fixed)
}

/// `needs` bytes, neither more nor less.
const fn exactly(command: Command, rest: &[u8], needs: usize) -> Result<(), Malformed> {
    if rest.len() < needs {
        Err(Malformed::Short { command, found: rest.len(), needs })
    } else if rest.len() > needs {
        Err(Malformed::Long { command, extra: rest.len() - needs })
    } else {
        Ok(())
    }
}

/// An `argsz` says how much the peer can take, or has sent: never less than the fixed part.
const fn room(command: Command, argsz: u32, needs: usize) -> Result<(), Malformed> {
    if (argsz as usize) < needs {
        Err(Malformed::Field { command, field: "argsz", value: argsz as u64 })
    } else {
        Ok(())
    }
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// When the body is not one of `command`, or the command is not served.
    #[inline]
    pub fn decode(command: Command, body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(match command {
            Command::RegionWrite => {
                let (access, data) = head::<RegionAccess>(command, body)?;
                exactly(command, data, access.count() as usize)?;
                Self::RegionWrite(access, data)
            }
            Command::RegionRead => Self::RegionRead(whole(command, body)?),
            Command::Version => {
                let (version, data) = head(command, body)?;
                Self::Version(version, data)
            }
            Command::DmaMap => {
                let map: DmaMap = whole(command, body)?;
                room(command, map.argsz(), DmaMap::SIZE)?;
                Self::DmaMap(map)
            }
            Command::DmaUnmap => {
                let unmap: DmaUnmap = whole(command, body)?;
                room(command, unmap.argsz(), DmaUnmap::SIZE)?;
                Self::DmaUnmap(unmap)
            }
            Command::DeviceGetInfo => {
                let info: DeviceInfo = whole(command, body)?;
                room(command, info.argsz(), DeviceInfo::SIZE)?;
                Self::DeviceGetInfo(info)
            }
            Command::DeviceGetRegionInfo => {
                let info: RegionHead = whole(command, body)?;
                room(command, info.argsz(), RegionHead::SIZE)?;
                Self::DeviceGetRegionInfo(info)
            }
            Command::DeviceGetIrqInfo => {
                let info: IrqHead = whole(command, body)?;
                room(command, info.argsz(), IrqHead::SIZE)?;
                Self::DeviceGetIrqInfo(info)
            }
            Command::DeviceSetIrqs => {
                let (set, data) = head::<IrqSet>(command, body)?;
                room(command, set.argsz(), IrqSet::SIZE)?;
                let bools = if set.flags() & IRQ_DATA_BOOL == 0 { 0 } else { set.count() as usize };
                exactly(command, data, bools)?;
                Self::DeviceSetIrqs(set, data)
            }
            Command::DeviceReset => {
                exactly(command, body, 0)?;
                Self::DeviceReset
            }
            Command::RegionWriteMulti => {
                let (count, writes) = head::<u64>(command, body)?;
                if count > MAX_MULTI as u64 {
                    return Err(Malformed::Field { command, field: "wr_cnt", value: count });
                }
                exactly(command, writes, count as usize * WriteOne::SIZE)?;
                Self::RegionWriteMulti(Writes(writes))
            }
            Command::DeviceFeature => {
                let (feature, data) = head::<FeatureHead>(command, body)?;
                room(command, feature.argsz(), FeatureHead::SIZE)?;
                Self::DeviceFeature(feature, data)
            }
            Command::MigDataRead => {
                let data: MigData = whole(command, body)?;
                room(command, data.argsz(), MigData::SIZE.saturating_add(data.size() as usize))?;
                Self::MigDataRead(data)
            }
            Command::MigDataWrite => {
                let (data, bytes) = head::<MigData>(command, body)?;
                room(command, data.argsz(), MigData::SIZE.saturating_add(data.size() as usize))?;
                exactly(command, bytes, data.size() as usize)?;
                Self::MigDataWrite(data, bytes)
            }
            Command::DeviceGetRegionIoFds
            | Command::DmaRead
            | Command::DmaWrite
            | Command::DirtyPages
            | Command::Unknown(_) => return Err(Malformed::Unserved { command }),
        })
    }

    /// Which command it is.
    pub const fn command(&self) -> Command {
        match self {
            Self::Version(..) => Command::Version,
            Self::DmaMap(_) => Command::DmaMap,
            Self::DmaUnmap(_) => Command::DmaUnmap,
            Self::DeviceGetInfo(_) => Command::DeviceGetInfo,
            Self::DeviceGetRegionInfo(_) => Command::DeviceGetRegionInfo,
            Self::DeviceGetIrqInfo(_) => Command::DeviceGetIrqInfo,
            Self::DeviceSetIrqs(..) => Command::DeviceSetIrqs,
            Self::RegionRead(_) => Command::RegionRead,
            Self::RegionWrite(..) => Command::RegionWrite,
            Self::DeviceReset => Command::DeviceReset,
            Self::RegionWriteMulti(_) => Command::RegionWriteMulti,
            Self::DeviceFeature(..) => Command::DeviceFeature,
            Self::MigDataRead(_) => Command::MigDataRead,
            Self::MigDataWrite(..) => Command::MigDataWrite,
        }
    }

    /// Appends the body.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Version(version, data) => {
                put(into, *version);
                into.extend_from_slice(data);
            }
            Self::DmaMap(map) => put(into, *map),
            Self::DmaUnmap(unmap) => put(into, *unmap),
            Self::DeviceGetInfo(info) => put(into, *info),
            Self::DeviceGetRegionInfo(info) => put(into, *info),
            Self::DeviceGetIrqInfo(info) => put(into, *info),
            Self::DeviceSetIrqs(set, data) => {
                put(into, *set);
                into.extend_from_slice(data);
            }
            Self::RegionRead(access) => put(into, *access),
            Self::RegionWrite(access, data) => {
                put(into, *access);
                into.extend_from_slice(data);
            }
            Self::DeviceReset => {}
            Self::RegionWriteMulti(writes) => {
                put(into, writes.count() as u64);
                into.extend_from_slice(writes.0);
            }
            Self::DeviceFeature(feature, data) => {
                put(into, *feature);
                into.extend_from_slice(data);
            }
            Self::MigDataRead(data) => put(into, *data),
            Self::MigDataWrite(data, bytes) => {
                put(into, *data);
                into.extend_from_slice(bytes);
            }
        }
    }

    /// The whole message: header and body.
    pub fn message(&self, id: u16, no_reply: bool) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        self.encode(&mut message);
        let mut header = Header::default();
        header.set_id(id);
        header.set_command(self.command().into());
        header.set_size(message.len() as u32);
        header.set_no_reply(no_reply);
        header.put(&mut message[..HEADER]);
        message
    }
}

/// Appends a declared structure.
#[inline]
pub fn put<T: Bytes>(into: &mut Vec<u8>, value: T) {
    let at = into.len();
    into.resize(at + T::SIZE, 0);
    value.put(&mut into[at..]);
}
