//! Commands: their numbers, and what each may bring along.

use super::{
    DeviceInfo, DmaMap, DmaUnmap, FeatureHead, IrqHead, IrqSet, MAX_FDS, MAX_MULTI, MAX_VECTORS, MAX_VERSION_DATA,
    MAX_XFER, MigData, MigState, RegionAccess, RegionHead, Version, WriteOne,
};
use core::fmt;
use rustix::io::Errno;
use spec::layout::Bytes;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// First of all: versions and capabilities.
    Version,
    /// Guest memory becomes reachable.
    DmaMap,
    /// Guest memory goes away.
    DmaUnmap,
    /// What the device is.
    DeviceGetInfo,
    /// What a region is.
    DeviceGetRegionInfo,
    /// Descriptors for region accesses; not offered.
    DeviceGetRegionIoFds,
    /// What an interrupt index is.
    DeviceGetIrqInfo,
    /// Sets up, masks or fires interrupts.
    DeviceSetIrqs,
    /// Reads bytes of a region.
    RegionRead,
    /// Writes bytes of a region.
    RegionWrite,
    /// From server to client; not used.
    DmaRead,
    /// From server to client; not used.
    DmaWrite,
    /// Resets the device.
    DeviceReset,
    /// Dirty pages, of older revisions; not offered.
    DirtyPages,
    /// Several small writes.
    RegionWriteMulti,
    /// Asks for, sets or probes a feature; migration is the only one.
    DeviceFeature,
    /// Reads the state of a device that stands still.
    MigDataRead,
    /// Writes it into another.
    MigDataWrite,
    /// Any other number.
    Unknown(u16),
}

/// Numbers and names, in order.
const COMMANDS: &[(u16, Command, &str)] = &[
    (1, Command::Version, "VERSION"),
    (2, Command::DmaMap, "DMA_MAP"),
    (3, Command::DmaUnmap, "DMA_UNMAP"),
    (4, Command::DeviceGetInfo, "DEVICE_GET_INFO"),
    (5, Command::DeviceGetRegionInfo, "DEVICE_GET_REGION_INFO"),
    (6, Command::DeviceGetRegionIoFds, "DEVICE_GET_REGION_IO_FDS"),
    (7, Command::DeviceGetIrqInfo, "DEVICE_GET_IRQ_INFO"),
    (8, Command::DeviceSetIrqs, "DEVICE_SET_IRQS"),
    (9, Command::RegionRead, "REGION_READ"),
    (10, Command::RegionWrite, "REGION_WRITE"),
    (11, Command::DmaRead, "DMA_READ"),
    (12, Command::DmaWrite, "DMA_WRITE"),
    (13, Command::DeviceReset, "DEVICE_RESET"),
    (14, Command::DirtyPages, "DIRTY_PAGES"),
    (15, Command::RegionWriteMulti, "REGION_WRITE_MULTI"),
    (16, Command::DeviceFeature, "DEVICE_FEATURE"),
    (17, Command::MigDataRead, "MIG_DATA_READ"),
    (18, Command::MigDataWrite, "MIG_DATA_WRITE"),
];

impl From<u16> for Command {
    #[inline]
    fn from(number: u16) -> Self {
        match COMMANDS.get(usize::from(number).wrapping_sub(1)) {
            Some(&(_, command, _)) => command,
            None => Self::Unknown(number),
        }
    }
}

impl From<Command> for u16 {
    fn from(command: Command) -> Self {
        match command {
            Command::Unknown(number) => number,
            known => COMMANDS.iter().find(|c| c.1 == known).map_or(0, |c| c.0),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(number) => write!(f, "command {number}"),
            known => f.write_str(COMMANDS.iter().find(|c| c.1 == *known).map_or("", |c| c.2)),
        }
    }
}

impl Command {
    /// Longest body that is read into memory; a longer one is skipped and refused. 0 for commands that are not served.
    #[inline]
    pub const fn max_body(self) -> usize {
        match self {
            Self::RegionWrite => RegionAccess::SIZE + MAX_XFER,
            Self::RegionRead => RegionAccess::SIZE,
            Self::Version => Version::SIZE + MAX_VERSION_DATA,
            Self::DmaMap => DmaMap::SIZE,
            Self::DmaUnmap => DmaUnmap::SIZE,
            Self::DeviceGetInfo => DeviceInfo::SIZE,
            Self::DeviceGetRegionInfo => RegionHead::SIZE,
            Self::DeviceGetIrqInfo => IrqHead::SIZE,
            Self::DeviceSetIrqs => IrqSet::SIZE + MAX_VECTORS as usize,
            Self::RegionWriteMulti => 8 + MAX_MULTI * WriteOne::SIZE,
            Self::DeviceFeature => FeatureHead::SIZE + MigState::SIZE,
            Self::MigDataRead => MigData::SIZE,
            Self::MigDataWrite => MigData::SIZE + MAX_XFER,
            Self::DeviceReset
            | Self::DeviceGetRegionIoFds
            | Self::DmaRead
            | Self::DmaWrite
            | Self::DirtyPages
            | Self::Unknown(_) => 0,
        }
    }

    /// Most descriptors that may come with it.
    pub const fn max_fds(self) -> usize {
        match self {
            Self::DmaMap => 1,
            Self::DeviceSetIrqs => MAX_FDS,
            _ => 0,
        }
    }

    /// The error number of a command that is not served, none for one that is.
    pub const fn unserved(self) -> Option<Errno> {
        match self {
            Self::DeviceGetRegionIoFds | Self::DmaRead | Self::DmaWrite | Self::DirtyPages => Some(Errno::NOTSUP),
            Self::Unknown(_) => Some(Errno::NOSYS),
            _ => None,
        }
    }
}
