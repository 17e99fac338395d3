//! Frames: one line each.

use super::mac;
use crate::import::Frame;
use std::fmt::Write;

/// Every frame, numbered from 1.
pub fn frames(recorded: &[Frame]) -> String {
    let mut text = String::new();
    for (i, one) in recorded.iter().enumerate() {
        let _ = writeln!(text, "{:>5} {}", i + 1, frame(one));
    }
    let bytes: u64 = recorded.iter().map(|frame| u64::from(frame.wire_len)).sum();
    let _ = writeln!(text, "{} frames, {bytes} bytes", recorded.len());
    text
}

/// Length, destination, source, tag, what it carries.
pub fn frame(frame: &Frame) -> String {
    format!("{:>5} {}", frame.wire_len, headers(&frame.bytes))
}

/// Destination, source, tag, what it carries.
pub fn headers(bytes: &[u8]) -> String {
    let (Some(destination), Some(source)) = (bytes.get(..6), bytes.get(6..12)) else {
        return "no Ethernet header".into();
    };
    let mut text = format!("{} <- {}", mac(destination), mac(source));
    let (mut at, mut kind) = (14, half(bytes, 12));
    // Two tags are the most any switch stacks.
    for _ in 0..2 {
        if let (Some(0x8100 | 0x88a8), Some(tag)) = (kind, half(bytes, at)) {
            let _ = write!(text, " vlan {}", tag & 0xfff);
            kind = half(bytes, at + 2);
            at += 4;
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    match kind {
        Some(0x0806) => text += &arp(rest),
        Some(0x0800) => text += &ipv4(rest),
        Some(0x86dd) => text += &ipv6(rest),
        Some(other) if other < 1536 => {
            let _ = write!(text, " 802.3 length {other}");
        }
        Some(other) => {
            let _ = write!(text, " ethertype {other:#06x}");
        }
        None => {}
    }
    text
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_be_bytes(*half))
}

fn dotted(bytes: &[u8]) -> String {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}

fn arp(bytes: &[u8]) -> String {
    match (half(bytes, 6), bytes.get(14..18), bytes.get(24..28)) {
        (Some(1), _, Some(target)) => format!(" ARP who has {}", dotted(target)),
        (Some(2), Some(sender), _) => format!(" ARP {} is at {}", dotted(sender), mac(&bytes[8..14])),
        _ => " ARP".into(),
    }
}

fn ipv4(bytes: &[u8]) -> String {
    let (Some(from), Some(to)) = (bytes.get(12..16), bytes.get(16..20)) else { return " IPv4".into() };
    let header = usize::from(bytes[0] & 0xf) * 4;
    let fragment = half(bytes, 6).unwrap_or(0);
    let ends = format!(" {} > {}", dotted(from), dotted(to));
    match fragment & 0x1fff {
        0 => {
            ends + &transport(bytes[9], bytes.get(header..).unwrap_or_default())
                + if fragment & 0x2000 != 0 { " first fragment" } else { "" }
        }
        eights => format!("{ends} fragment at {}", u32::from(eights) * 8),
    }
}

fn ipv6(bytes: &[u8]) -> String {
    let (Some(next), Some(rest)) = (bytes.get(6), bytes.get(40..)) else { return " IPv6".into() };
    format!(" IPv6{}", transport(*next, rest))
}

fn transport(protocol: u8, bytes: &[u8]) -> String {
    let ports = || match (half(bytes, 0), half(bytes, 2)) {
        (Some(from), Some(to)) => format!(" {from} > {to}"),
        _ => String::new(),
    };
    match protocol {
        1 => match bytes.first() {
            Some(0) => " ICMP echo reply".into(),
            Some(8) => " ICMP echo".into(),
            Some(kind) => format!(" ICMP type {kind}"),
            None => " ICMP".into(),
        },
        6 => {
            let names = [(0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x10, ".")];
            let set = bytes.get(13).copied().unwrap_or(0);
            let flags: String = names.iter().filter(|(bit, _)| set & bit != 0).map(|(_, name)| *name).collect();
            format!(" TCP{} [{flags}]", ports())
        }
        17 => format!(" UDP{}", ports()),
        58 => format!(" ICMPv6 type {}", bytes.first().copied().unwrap_or(0)),
        other => format!(" protocol {other}"),
    }
}
