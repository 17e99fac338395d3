//! LRO undone: a packet that was merged is cut again at the frames that were offered, without the code of any body.
//!
//! Sources: vmxnet3_defs.h, Vmxnet3_RxCompDescExt; RFC 9293; RFC 6864 for the identification of IPv4, which is not compared.

use super::wire::{Ip, TCP};
use crate::vmxnet3::rx::RxCompDescExt;
use crate::vmxnet3::{RxCompDesc, rx};

/// The flag that a device may move to the end of what it merged.
const PSH: u8 = 0x08;

/// What the first completion of a merged packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// Segments.
    pub segments: u8,
    /// Payload bytes of each but the last; 0 says nothing.
    pub mss: u16,
}

impl Told {
    /// Of a first completion; none where it is not of a merged packet.
    pub fn of(cell: RxCompDesc) -> Option<Self> {
        let told = RxCompDescExt(cell.0);
        let merged = cell.sop() && cell.kind() == rx::RXCOMP_LRO;
        merged.then(|| Self { segments: told.seg_cnt(), mss: told.mss() })
    }
}

/// Where and what is left of a merged packet while frames are cut from it.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    bytes: &'a [u8],
    ip: Ip,
    /// Bytes of all headers.
    header: usize,
    /// Payload bytes that were cut off.
    cut: usize,
}

impl<'a> Packet<'a> {
    /// A packet as the wire would have it, tag and all; none where it is not TCP.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let ip = Ip::parse(bytes).filter(|ip| ip.protocol == TCP && !ip.fragment)?;
        let header = ip.l4 + usize::from(bytes.get(ip.l4 + 12)? >> 4) * 4;
        (header <= ip.end && header >= ip.l4 + 20).then_some(Self { bytes, ip, header, cut: 0 })
    }

    /// Nothing is left.
    pub fn is_cut_up(&self) -> bool {
        self.header + self.cut == self.ip.end
    }

    fn sequence(frame: &[u8], l4: usize) -> u32 {
        u32::from_be_bytes([frame[l4 + 4], frame[l4 + 5], frame[l4 + 6], frame[l4 + 7]])
    }

    /// Cuts `frame` off, if it is the next segment; its payload bytes.
    pub fn cut(&mut self, frame: &[u8]) -> Option<usize> {
        let (l3, l4, header) = (self.ip.l3, self.ip.l4, self.header);
        let ip = Ip::parse(frame).filter(|ip| (ip.v6, ip.l3, ip.l4) == (self.ip.v6, l3, l4) && ip.end >= header)?;
        let merged = self.bytes;
        let differs = |at: &usize| frame[*at] != merged[*at];
        let told_apart = (0..header).filter(differs).all(|at| {
            let lengths = if ip.v6 { l3 + 4..l3 + 6 } else { l3 + 2..l3 + 6 };
            let header_sum = !ip.v6 && (l3 + 10..l3 + 12).contains(&at);
            let transport = (l4 + 4..l4 + 8).contains(&at) || (l4 + 16..l4 + 18).contains(&at);
            let pushed = at == l4 + 13 && (frame[at] ^ merged[at]) == PSH;
            lengths.contains(&at) || header_sum || transport || pushed
        });
        let due = Self::sequence(merged, l4).wrapping_add(self.cut as u32);
        let payload = &frame[header..ip.end];
        let place = merged.get(header + self.cut..header + self.cut + payload.len())?;
        let next = told_apart && Self::sequence(frame, l4) == due && !payload.is_empty() && place == payload;
        next.then(|| {
            self.cut += payload.len();
            payload.len()
        })
    }
}
