//! Headers and bodies, and the flags in them.

spec::layout! {
    /// In front of every message.
    ///
    /// Source: vfio-user.h, struct vfio_user_header.
    pub struct Header(u128) = "vfio_user_header" {
        /// The sender's number for a command; the reply carries it back.
        [15:0] id, set_id: u16 = "msg_id";
        /// See [`Command`](super::Command).
        [31:16] command, set_command: u16 = "cmd";
        /// Bytes of the message, this header included.
        [63:32] size, set_size: u32 = "msg_size";
        /// 0 a command, 1 a reply.
        [67:64] kind, set_kind: u8 = "type";
        /// The sender of a command wants no reply.
        [68] no_reply, set_no_reply: bool;
        /// The command was refused; `error_no` says why and no body follows.
        [69] error, set_error: bool;
        /// Sent as zero, ignored.
        [95:70] rsvd, set_rsvd: u32;
        /// A UNIX error number in an error reply.
        [127:96] errno, set_errno: u32 = "error_no";
    }
}

spec::layout! {
    /// The body of a version message, in front of its JSON.
    ///
    /// Source: vfio-user.h, struct vfio_user_version.
    pub struct Version(u32) = "vfio_user_version" {
        /// Must be [`MAJOR`](super::MAJOR).
        [15:0] major, set_major: u16;
        /// A reply has the proposed one or less.
        [31:16] minor, set_minor: u16;
    }
}

spec::layout! {
    /// Guest memory becomes reachable.
    ///
    /// Source: vfio-user.h, struct vfio_user_dma_map.
    pub struct DmaMap([u8; 32]) = "vfio_user_dma_map" {
        /// Size of this structure.
        [0..4] argsz, set_argsz: u32;
        /// See [`DMA_READ`] and [`DMA_WRITE`].
        [4..8] flags, set_flags: u32;
        /// Where the memory begins in the file that comes along.
        [8..16] offset, set_offset: u64;
        /// Guest-physical address.
        [16..24] addr, set_addr: u64;
        /// Bytes.
        [24..32] size, set_size: u64;
    }
}

/// [`DmaMap::flags`]: the device may read the memory.
pub const DMA_READ: u32 = 1 << 0;
/// [`DmaMap::flags`]: the device may write the memory.
pub const DMA_WRITE: u32 = 1 << 1;

spec::layout! {
    /// Guest memory goes away; also the reply.
    ///
    /// Source: vfio-user.h, struct vfio_user_dma_unmap.
    pub struct DmaUnmap([u8; 24]) = "vfio_user_dma_unmap" {
        /// Largest reply body the peer takes.
        [0..4] argsz, set_argsz: u32;
        /// See [`UNMAP_DIRTY`] and [`UNMAP_ALL`].
        [4..8] flags, set_flags: u32;
        /// Guest-physical address of a map, exactly.
        [8..16] addr, set_addr: u64;
        /// Its bytes, exactly.
        [16..24] size, set_size: u64;
    }
}

/// [`DmaUnmap::flags`]: answer with a bitmap of dirty pages; not offered.
pub const UNMAP_DIRTY: u32 = 1 << 0;
/// [`DmaUnmap::flags`]: unmap everything; address and size are 0.
pub const UNMAP_ALL: u32 = 1 << 1;

spec::layout! {
    /// What the device is.
    ///
    /// Source: vfio-user.h, struct vfio_user_device_info.
    pub struct DeviceInfo(u128) = "vfio_user_device_info" {
        /// Asked: the largest reply body; answered: the size of this structure.
        [31:0] argsz, set_argsz: u32;
        /// See [`DEVICE_RESET`] and [`DEVICE_PCI`].
        [63:32] flags, set_flags: u32;
        /// Regions.
        [95:64] num_regions, set_num_regions: u32;
        /// Interrupt indexes.
        [127:96] num_irqs, set_num_irqs: u32;
    }
}

/// [`DeviceInfo::flags`]: the device can be reset by a message.
pub const DEVICE_RESET: u32 = 1 << 0;
/// [`DeviceInfo::flags`]: the device is a PCI device.
pub const DEVICE_PCI: u32 = 1 << 1;

spec::layout! {
    /// What one region is.
    ///
    /// Source: linux/vfio.h, struct vfio_region_info.
    pub struct RegionHead([u8; 32]) = "vfio_region_info" {
        /// Asked: the largest reply body; answered: bytes of this structure and its capabilities.
        [0..4] argsz, set_argsz: u32;
        /// See [`REGION_READ`] and the others.
        [4..8] flags, set_flags: u32;
        /// Which region.
        [8..12] index, set_index: u32;
        /// Where the capabilities begin, counted from this structure; 0 for none.
        [12..16] cap_offset, set_cap_offset: u32;
        /// Bytes of the region.
        [16..24] size, set_size: u64;
        /// Where the region begins in the file that comes along.
        [24..32] offset, set_offset: u64;
    }
}

/// [`RegionHead::flags`]: can be read.
pub const REGION_READ: u32 = 1 << 0;
/// [`RegionHead::flags`]: can be written.
pub const REGION_WRITE: u32 = 1 << 1;
/// [`RegionHead::flags`]: can be mapped through the descriptor that comes along.
pub const REGION_MMAP: u32 = 1 << 2;
/// [`RegionHead::flags`]: capabilities follow.
pub const REGION_CAPS: u32 = 1 << 3;

spec::layout! {
    /// In front of a region's capability.
    ///
    /// Source: linux/vfio.h, struct vfio_info_cap_header.
    pub struct CapHeader(u64) = "vfio_info_cap_header" {
        /// Which capability.
        [15:0] id, set_id: u16;
        /// Of the capability.
        [31:16] version, set_version: u16;
        /// Where the next one is, counted from [`RegionHead`]; 0 ends the list.
        [63:32] next, set_next: u32;
    }
}

/// [`CapHeader::id`] of the list of parts that can be mapped (VFIO_REGION_INFO_CAP_SPARSE_MMAP).
pub const CAP_SPARSE_MMAP: u16 = 1;

spec::layout! {
    /// In front of the list of parts that can be mapped.
    ///
    /// Source: linux/vfio.h, struct vfio_region_info_cap_sparse_mmap.
    pub struct SparseHead(u64) = "vfio_region_info_cap_sparse_mmap" {
        /// Parts that follow.
        [31:0] nr_areas, set_nr_areas: u32;
        /// Zero.
        [63:32] rsvd, set_rsvd: u32 = "reserved";
    }
}

spec::layout! {
    /// A part of a region that can be mapped.
    ///
    /// Source: linux/vfio.h, struct vfio_region_sparse_mmap_area.
    pub struct SparseArea(u128) = "vfio_region_sparse_mmap_area" {
        /// From the beginning of the region.
        [63:0] offset, set_offset: u64;
        /// Bytes.
        [127:64] size, set_size: u64;
    }
}

spec::layout! {
    /// What one interrupt index is.
    ///
    /// Source: linux/vfio.h, struct vfio_irq_info.
    pub struct IrqHead(u128) = "vfio_irq_info" {
        /// Asked: the largest reply body; answered: the size of this structure.
        [31:0] argsz, set_argsz: u32;
        /// See [`IRQ_EVENTFD`] and the others.
        [63:32] flags, set_flags: u32;
        /// Which index.
        [95:64] index, set_index: u32;
        /// Its vectors.
        [127:96] count, set_count: u32;
    }
}

/// [`IrqHead::flags`]: vectors are signalled by eventfds.
pub const IRQ_EVENTFD: u32 = 1 << 0;
/// [`IrqHead::flags`]: vectors can be masked by messages.
pub const IRQ_MASKABLE: u32 = 1 << 1;
/// [`IrqHead::flags`]: a vector masks itself when it fires.
pub const IRQ_AUTOMASKED: u32 = 1 << 2;
/// [`IrqHead::flags`]: vectors are set up as one set.
pub const IRQ_NORESIZE: u32 = 1 << 3;

spec::layout! {
    /// What is done to some vectors.
    ///
    /// Source: linux/vfio.h, struct vfio_irq_set.
    pub struct IrqSet([u8; 20]) = "vfio_irq_set" {
        /// Size of this structure and of what follows it.
        [0..4] argsz, set_argsz: u32;
        /// One of `IRQ_DATA_*` and one of `IRQ_ACTION_*`.
        [4..8] flags, set_flags: u32;
        /// Which index.
        [8..12] index, set_index: u32;
        /// First vector.
        [12..16] start, set_start: u32;
        /// Vectors.
        [16..20] count, set_count: u32;
    }
}

/// [`IrqSet::flags`]: nothing follows.
pub const IRQ_DATA_NONE: u32 = 1 << 0;
/// [`IrqSet::flags`]: a byte for each vector follows; only those not 0 are meant.
pub const IRQ_DATA_BOOL: u32 = 1 << 1;
/// [`IrqSet::flags`]: an eventfd for each vector comes along, or none at all to take them away.
pub const IRQ_DATA_EVENTFD: u32 = 1 << 2;
/// [`IrqSet::flags`]: masks.
pub const IRQ_ACTION_MASK: u32 = 1 << 3;
/// [`IrqSet::flags`]: unmasks.
pub const IRQ_ACTION_UNMASK: u32 = 1 << 4;
/// [`IrqSet::flags`]: fires, or sets what is signalled on firing.
pub const IRQ_ACTION_TRIGGER: u32 = 1 << 5;

spec::layout! {
    /// Which bytes of a region; data follows in a write and in the reply to a read.
    ///
    /// Source: vfio-user.h, struct vfio_user_region_access.
    pub struct RegionAccess(u128) = "vfio_user_region_access" {
        /// From the beginning of the region.
        [63:0] offset, set_offset: u64;
        /// Which region.
        [95:64] region, set_region: u32;
        /// Bytes.
        [127:96] count, set_count: u32;
    }
}

spec::layout! {
    /// One write of a `REGION_WRITE_MULTI`.
    ///
    /// Source: vfio-user.rst, Single Device Write Format.
    pub struct WriteOne([u8; 24]) = "VFIOUserWROne" {
        /// From the beginning of the region.
        [0..8] offset, set_offset: u64;
        /// Which region.
        [8..12] region, set_region: u32;
        /// Bytes, at most 8.
        [12..16] count, set_count: u32;
        /// The first `count` bytes are written.
        [16..24] data, set_data: u64;
    }
}

spec::layout! {
    /// A feature is asked for, set or probed; data follows.
    ///
    /// Source: vfio-user.h, struct vfio_user_device_feature; linux/vfio.h, struct vfio_device_feature.
    pub struct FeatureHead(u64) = "vfio_user_device_feature" {
        /// Asked: the largest reply body; answered: bytes of the reply body.
        [31:0] argsz, set_argsz: u32;
        /// See [`FEATURE_MIGRATION`] and [`FEATURE_MIG_STATE`].
        [47:32] feature, set_feature: u16;
        /// What it is comes back.
        [48] get, set_get: bool;
        /// What follows is what it becomes.
        [49] set, set_set: bool;
        /// Asks whether the others would be served.
        [50] probe, set_probe: bool;
        /// Zero.
        [63:51] rsvd, set_rsvd: u16;
    }
}

/// [`FeatureHead::feature`]: which migration is offered, 64 bits of flags.
pub const FEATURE_MIGRATION: u16 = 1;
/// [`FeatureHead::feature`]: the migration state, a [`MigState`].
pub const FEATURE_MIG_STATE: u16 = 2;
/// Flags of [`FEATURE_MIGRATION`]: the device can be saved while it stands still.
pub const MIGRATION_STOP_COPY: u64 = 1 << 0;

spec::layout! {
    /// The migration state.
    ///
    /// Source: vfio-user.h, struct vfio_user_device_feature_mig_state.
    pub struct MigState(u64) = "vfio_user_device_feature_mig_state" {
        /// A number of `enum vfio_user_device_mig_state`.
        [31:0] device_state, set_device_state: u32;
        /// Not used: data travels in messages.
        [63:32] data_fd, set_data_fd: u32;
    }
}

spec::layout! {
    /// Migration data is asked for, or follows.
    ///
    /// Source: vfio-user.h, struct vfio_user_mig_data.
    pub struct MigData(u64) = "vfio_user_mig_data" {
        /// Asked: the largest reply body; otherwise bytes of this structure and its data.
        [31:0] argsz, set_argsz: u32;
        /// Bytes of data. An answer with fewer than asked for is the last.
        [63:32] size, set_size: u32;
    }
}
