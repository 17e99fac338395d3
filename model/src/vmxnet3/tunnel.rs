//! What a tunnel carries: VXLAN and Geneve over UDP, found by the destination port as drivers do.
//!
//! Sources: RFC 7348, section 5, for VXLAN; RFC 8926, section 3, for Geneve; linux vmxnet3_drv.c, vmxnet3_features_check, for the ports.
//! Tunnels in tunnels are not looked into.

use super::headers::{IPV4, IPV6, Ip, MAX_TAGS, TCP, UDP, be16};
use super::offload::{TCP_CHECKSUM, UDP_CHECKSUM};

/// UDP ports of VXLAN: the registered one, and Linux's from before.
const VXLAN: [u16; 2] = [4789, 8472];
/// UDP port of Geneve.
const GENEVE: u16 = 6081;
/// VXLAN's flag for a valid network identifier, which is always set.
const VALID: u8 = 0x08;
/// Protocol type in Geneve of a whole frame.
const BRIDGED: u16 = 0x6558;
/// Bytes of a UDP header, and of a tunnel header without options.
const EIGHT: usize = 8;

/// A tunnel: the IP packet that carries, and the one that is carried. Offsets of both are from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The UDP packet around.
    pub outer: Ip,
    /// What it carries.
    pub inner: Ip,
}

impl Tunnel {
    /// The tunnel in a frame, if there is one whose headers lie in the frame. Lengths in the headers are not judged.
    pub fn find(frame: &[u8]) -> Option<Self> {
        Self::within(frame, Ip::find(frame)?)
    }

    /// The tunnel in a frame whose IP packet is `outer`.
    pub fn within(frame: &[u8], outer: Ip) -> Option<Self> {
        if outer.protocol != UDP || outer.fragment {
            return None;
        }
        let port = be16(frame, outer.l4 + 2)?;
        let at = outer.l4 + EIGHT;
        let header = frame.get(at..at + EIGHT)?;
        let inner = if VXLAN.contains(&port) && header[0] & VALID != 0 {
            Ip::in_ethernet(frame, at + EIGHT, MAX_TAGS)
        } else if port == GENEVE && header[0] >> 6 == 0 {
            let carried = at + EIGHT + 4 * usize::from(header[0] & 0x3f);
            match be16(header, 2)? {
                BRIDGED => Ip::in_ethernet(frame, carried, MAX_TAGS),
                kind @ (IPV4 | IPV6) => Ip::of_kind(frame, kind, carried),
                _ => None,
            }
        } else {
            None
        };
        Some(Self { outer, inner: inner? })
    }

    /// Where the checksum of the carried TCP or UDP packet stands, if its header is the end of `headers`.
    pub fn inner_checksum(&self, headers: &[u8]) -> Option<usize> {
        let Ip { l4, protocol, fragment, .. } = self.inner;
        let transport = headers.get(l4..)?;
        let (bytes, field) = match protocol {
            TCP => (usize::from(transport.get(12)? >> 4) * 4, TCP_CHECKSUM),
            UDP => (EIGHT, UDP_CHECKSUM),
            _ => return None,
        };
        let whole = transport.len() == bytes && bytes >= field + 2 && !fragment;
        whole.then_some(l4 + field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::testing::{tcp4, tcp6, tunnel};

    #[test]
    fn both_kinds_are_found_with_what_they_carry() {
        for outer6 in [false, true] {
            for (port, options) in [(4789, 0), (8472, 0), (6081, 0), (6081, 12)] {
                for inner in [tcp4(30, 8), tcp6(30)] {
                    let frame = tunnel(outer6, port, options, &inner);
                    let shim = if outer6 { 54 } else { 34 } + 16 + options;
                    let found = Tunnel::find(&frame).expect("a tunnel");
                    let alone = Ip::find(&inner).expect("IP");
                    assert_eq!((found.inner.l3, found.inner.l4), (alone.l3 + shim, alone.l4 + shim));
                    let header = frame.len() - 30;
                    assert_eq!(found.inner_checksum(&frame[..header]), Some(found.inner.l4 + 16));
                    assert_eq!(found.inner_checksum(&frame[..header - 1]), None);
                    assert_eq!(found.inner_checksum(&frame[..header + 1]), None);
                }
            }
        }
    }

    #[test]
    fn another_port_flag_or_version_is_no_tunnel_and_neither_is_a_fragment() {
        let (vxlan, geneve) = (tunnel(false, 4789, 0, &tcp4(9, 0)), tunnel(false, 6081, 4, &tcp4(9, 0)));
        for (mut frame, at, value) in [
            (vxlan.clone(), 37, 0),
            (vxlan.clone(), 42, 0),
            (vxlan, 20, 0x20),
            (geneve.clone(), 42, 0x41),
            (geneve, 45, 0x57),
        ] {
            assert!(Tunnel::find(&frame).is_some());
            frame[at] = value;
            assert_eq!(Tunnel::find(&frame), None, "{at}");
        }
    }

    #[test]
    fn a_tunnel_cut_anywhere_is_none_and_no_panic() {
        for frame in [tunnel(true, 4789, 0, &tcp6(0)), tunnel(false, 6081, 24, &tcp4(0, 0))] {
            for len in 0..frame.len() {
                if let Some(found) = Tunnel::find(&frame[..len]) {
                    assert!(found.inner.l4 <= len);
                    assert_eq!(found.inner_checksum(&frame[..len]), None);
                }
            }
        }
    }
}
