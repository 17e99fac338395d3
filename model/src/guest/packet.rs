//! A packet as a guest's network stack hands it to the driver: bytes, their split into fragments, and what the device is to do.

use spec::vmxnet3::TxDesc;
use spec::vmxnet3::tx::{MAX_TSO_TXD_PER_PKT, MAX_TXD_PER_PKT, om};

/// Most bytes of one TX descriptor. Source: vmxnet3_defs.h, Vmxnet3_TxDesc.len, where 0 stands for this.
pub const MAX_FRAGMENT: usize = 16384;

/// How a frame is split over descriptors: lengths in bytes, 1 to 16384 each, at most 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragments {
    lengths: [u16; MAX_TSO_TXD_PER_PKT],
    count: u8,
}

impl Default for Fragments {
    fn default() -> Self {
        Self { lengths: [0; MAX_TSO_TXD_PER_PKT], count: 0 }
    }
}

impl Fragments {
    /// The whole of `len` bytes in one fragment, or in as few as 16384 bytes each allow.
    pub fn whole(len: usize) -> Self {
        let mut all = Self::default();
        let mut left = len;
        while left > 0 && all.push(left.min(MAX_FRAGMENT)) {
            left -= left.min(MAX_FRAGMENT);
        }
        all
    }

    /// Adds a fragment; false when it is empty, too long, or one too many.
    pub fn push(&mut self, len: usize) -> bool {
        let at = usize::from(self.count);
        if len == 0 || len > MAX_FRAGMENT || at == self.lengths.len() {
            return false;
        }
        self.lengths[at] = len as u16;
        self.count += 1;
        true
    }

    /// The lengths in order.
    #[inline]
    pub fn lengths(&self) -> &[u16] {
        &self.lengths[..usize::from(self.count)]
    }

    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Sum of the lengths, bytes.
    pub fn bytes(&self) -> usize {
        self.lengths().iter().map(|&len| usize::from(len)).sum()
    }

    /// The same bytes in fragments of at most `most` bytes, or `None` when that takes more than 24.
    pub fn split(&self, most: usize) -> Option<Self> {
        if most == 0 {
            return None;
        }
        let mut all = Self::default();
        for &len in self.lengths() {
            let mut left = usize::from(len);
            while left > 0 {
                if !all.push(left.min(most)) {
                    return None;
                }
                left -= left.min(most);
            }
        }
        Some(all)
    }
}

/// What the device is to do to a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Offload {
    /// Nothing: the frame is final.
    #[default]
    None,
    /// Sum from `start` to the end of the frame, seed included, and store the complement at `field`: byte offsets.
    Checksum {
        /// Where summing starts: the L4 header.
        start: u16,
        /// Where the checksum is stored.
        field: u16,
    },
    /// Split the bytes after `headers` into segments of at most `mss`.
    Segment {
        /// Bytes of the L2, L3 and L4 headers.
        headers: u16,
        /// Payload bytes of a segment.
        mss: u16,
    },
    /// As [`Offload::Checksum`] of what a tunnel carries.
    InnerChecksum {
        /// Bytes of all headers.
        headers: u16,
        /// Where the checksum is stored.
        field: u16,
        /// The tunnel's own checksum is to be made too.
        outer: bool,
    },
    /// As [`Offload::Segment`] of what a tunnel carries.
    InnerSegment {
        /// Bytes of all headers.
        headers: u16,
        /// Payload bytes of a segment.
        mss: u16,
        /// The tunnel's own checksum is to be made too.
        outer: bool,
    },
}

/// From this version on a driver leaves tunnels to the device, and from that one on in other words.
const TUNNELS_SINCE: u8 = 4;
const INNER_SINCE: u8 = 7;

impl Offload {
    /// Whether a driver of `version` can ask for it.
    pub const fn is_known(self, version: u8) -> bool {
        version >= TUNNELS_SINCE || !matches!(self, Self::InnerChecksum { .. } | Self::InnerSegment { .. })
    }

    /// Asks for it in the first descriptor of a packet, in the words of `version`.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_tq_xmit.
    pub fn ask(self, version: u8, first: &mut TxDesc) {
        let later = version >= INNER_SINCE;
        let (mode, hlen, msscof) = match self {
            Self::None => return,
            Self::Checksum { start, field } => (om::CSUM, start, field),
            Self::Segment { headers, mss } => (om::TSO, headers, mss),
            Self::InnerChecksum { headers, field, .. } if later => (om::CSUM, headers, field),
            Self::InnerChecksum { headers, .. } => (om::ENCAP, headers, 0),
            Self::InnerSegment { headers, mss, .. } => (if later { om::TSO } else { om::ENCAP }, headers, mss),
        };
        first.set_om(mode);
        first.set_hlen(hlen);
        first.set_msscof(msscof);
        if let Self::InnerChecksum { outer, .. } | Self::InnerSegment { outer, .. } = self {
            first.set_ext1(later);
            first.set_oco(outer);
        }
    }
}

/// A packet to send. Reuse one value: building into it allocates only when it has to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The frame without FCS and without the tag to insert.
    pub frame: Vec<u8>,
    /// Its split; the lengths add up to the frame.
    pub fragments: Fragments,
    /// What the device is to do.
    pub offload: Offload,
    /// Tag to insert after the source address.
    pub vlan: Option<u16>,
}

impl Packet {
    /// A packet of `frame` in one piece, without offloads.
    pub fn plain(frame: Vec<u8>) -> Self {
        Self { fragments: Fragments::whole(frame.len()), frame, ..Self::default() }
    }

    /// Frames it becomes on the wire, at least 1.
    pub fn segments(&self) -> u32 {
        match self.offload {
            Offload::Segment { headers, mss } | Offload::InnerSegment { headers, mss, .. } if mss > 0 => {
                let payload = self.frame.len().saturating_sub(usize::from(headers));
                payload.div_ceil(usize::from(mss)).max(1) as u32
            }
            _ => 1,
        }
    }

    /// Most descriptors a driver gives such a packet.
    pub fn most_descriptors(&self) -> usize {
        match self.offload {
            Offload::Segment { .. } | Offload::InnerSegment { .. } => MAX_TSO_TXD_PER_PKT,
            _ => MAX_TXD_PER_PKT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_keeps_the_bytes_and_bounds_each_piece() {
        let mut fragments = Fragments::default();
        assert!(fragments.push(100) && fragments.push(1) && fragments.push(64));
        let split = fragments.split(40).unwrap();
        assert_eq!(split.lengths(), [40, 40, 20, 1, 40, 24]);
        assert_eq!(split.bytes(), fragments.bytes());
        assert_eq!(Fragments::whole(1000).split(1), None);
        assert_eq!(Fragments::whole(40_000).lengths(), [16384, 16384, 7232]);
        assert!(!fragments.push(0) && !fragments.push(16385));
    }

    #[test]
    fn segments_are_counted_from_the_payload() {
        let mut packet = Packet::plain(vec![0; 54 + 3000]);
        packet.offload = Offload::Segment { headers: 54, mss: 1460 };
        assert_eq!(packet.segments(), 3);
        packet.frame.truncate(54);
        assert_eq!(packet.segments(), 1);
    }
}
