//! What a completion says of a received frame's protocols and checksums, a row of the table of flags a case.
//!
//! Source: vmxnet3_defs.h, Vmxnet3_RxCompDesc; linux vmxnet3_drv.c, vmxnet3_rx_csum; dpdk vmxnet3_rxtx.c, vmxnet3_rx_offload.

use super::packets::{Ip, L3, TCP, UDP};
use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::shared::UPT_FEATURES_OFFSET;
use spec::vmxnet3::{Command, RxCompDesc};

/// A device that verifies nothing says so of every frame.
const UNVERIFIED: &[Deviation] = &[Deviation::RxNothingVerified, Deviation::ZeroVlanTableDrops];

/// Clauses of a frame whose checksums nobody verifies.
const TOLD: &[&str] = &["VMX-RX-026"];

/// Clauses of a frame whose checksums are verified.
const VERIFIED: &[&str] = &["VMX-RX-026", "VMX-RX-027"];

/// A case that offers one frame and compares the flags.
macro_rules! flags {
    ($id:literal, $make:expr, $expected:expr) => {
        Case::new($id, if $expected & CHECKED == 0 { TOLD } else { VERIFIED }, |check| told(check, $make, $expected))
            .unless(UNVERIFIED)
    };
}

pub(crate) const CASES: &[Case] = &[
    flags!("flags-of-good-tcp-over-ipv4", |to| Ip::v4(to, TCP, 40), V4 | TCP_BIT | CHECKED | IP_GOOD | GOOD),
    flags!("flags-of-good-udp-over-ipv4", |to| Ip::v4(to, UDP, 40), V4 | UDP_BIT | CHECKED | IP_GOOD | GOOD),
    flags!("flags-of-good-tcp-over-ipv6", |to| Ip::v6(to, TCP, 40), V6 | TCP_BIT | CHECKED | GOOD),
    flags!("flags-of-good-udp-over-ipv6", |to| Ip::v6(to, UDP, 40), V6 | UDP_BIT | CHECKED | GOOD),
    flags!("flags-of-bad-tcp-over-ipv4", |to| Ip::v4(to, TCP, 40).spoiled(60), V4 | TCP_BIT | CHECKED | IP_GOOD),
    flags!("flags-of-bad-udp-over-ipv4", |to| Ip::v4(to, UDP, 40).spoiled(50), V4 | UDP_BIT | CHECKED | IP_GOOD),
    flags!("flags-of-bad-tcp-over-ipv6", |to| Ip::v6(to, TCP, 40).spoiled(80), V6 | TCP_BIT | CHECKED),
    flags!("flags-of-bad-udp-over-ipv6", |to| Ip::v6(to, UDP, 40).spoiled(70), V6 | UDP_BIT | CHECKED),
    flags!("flags-of-a-bad-ipv4-header", |to| Ip::v4(to, TCP, 40).spoiled(L3 + 8), V4 | TCP_BIT | CHECKED | GOOD),
    flags!("flags-of-an-odd-length", |to| Ip::v4(to, TCP, 41), V4 | TCP_BIT | CHECKED | IP_GOOD | GOOD),
    flags!("flags-of-no-payload", |to| Ip::v6(to, TCP, 0), V6 | TCP_BIT | CHECKED | GOOD),
    flags!(
        "flags-of-padding-behind-the-packet",
        |to| padded(Ip::v4(to, TCP, 1)),
        V4 | TCP_BIT | CHECKED | IP_GOOD | GOOD
    ),
    flags!("flags-of-a-first-fragment", |to| fragment(Ip::v4(to, TCP, 64), 0x2000), V4 | FRAGMENT),
    flags!("flags-of-a-middle-fragment", |to| fragment(Ip::v4(to, UDP, 64), 0x2010), V4 | FRAGMENT),
    flags!("flags-of-a-last-fragment", |to| fragment(Ip::v4(to, TCP, 64), 0x0010), V4 | FRAGMENT),
    flags!("flags-of-a-fragment-over-ipv6", |to| fragment_v6(Ip::v6(to, UDP, 64)), V6 | FRAGMENT),
    flags!("flags-of-udp-without-a-checksum", |to| unsummed(Ip::v4(to, UDP, 40)), V4 | UDP_BIT),
    flags!("flags-of-icmp", |to| Ip::v4(to, 1, 40), V4),
    flags!("flags-of-icmp-over-ipv6", |to| Ip::v6(to, 58, 40), V6),
    flags!("flags-of-a-frame-without-ip", |to| kind(Ip::v4(to, TCP, 40), 0x88b5), 0),
    flags!("flags-of-arp", |to| kind(Ip::v4(to, TCP, 40), 0x0806), 0),
    Case::new("flags-behind-a-tag", &["VMX-RX-026", "VMX-RX-027", "VMX-RX-015"], behind_a_tag).unless(UNVERIFIED),
    Case::new("flags-without-rxcsum", &["VMX-RX-016", "VMX-RX-027"], without_rxcsum).unless(UNVERIFIED),
    Case::new("flags-of-several-buffers", VERIFIED, several_buffers).unless(UNVERIFIED),
    Case::new("flags-of-every-spoilt-byte", &["VMX-RX-016"], every_byte).unless(UNVERIFIED),
];

/// Flags of a completion, in the order of [`flags_of`]; `CHECKED` is the reverse of `cnc`.
const V4: u8 = 1;
const V6: u8 = 1 << 1;
const TCP_BIT: u8 = 1 << 2;
const UDP_BIT: u8 = 1 << 3;
const FRAGMENT: u8 = 1 << 4;
const CHECKED: u8 = 1 << 5;
const IP_GOOD: u8 = 1 << 6;
const GOOD: u8 = 1 << 7;

fn flags_of(cell: &RxCompDesc) -> u8 {
    let all = [cell.v4(), cell.v6(), cell.tcp(), cell.udp(), cell.frg(), !cell.cnc(), cell.ipc(), cell.tuc()];
    (0..).zip(all).fold(0, |flags, (at, set)| flags | u8::from(set) << at)
}

/// The last completion of `frame`, if it arrives once.
fn completion(bench: &mut Bench, frame: &[u8]) -> Option<RxCompDesc> {
    bench.offer(frame);
    bench.settle();
    let got = bench.received(0);
    if let [(_, cell)] = got[..] { Some(cell) } else { None }
}

/// Compares what is said of a frame. Flags beside checksums that nobody verified may be left out, and are never wrong.
fn compare(check: &mut Check, cell: &RxCompDesc, expected: u8) {
    let found = flags_of(cell);
    if expected & CHECKED != 0 {
        check.holds(
            "VMX-RX-027",
            found & CHECKED != 0,
            "checksums of TCP and UDP are verified where that is asked for",
        );
    }
    if expected & found & CHECKED != 0 {
        check.equal("VMX-RX-026", "flags", found, expected);
    } else {
        let judged = found & (CHECKED | IP_GOOD | GOOD);
        check.equal("VMX-RX-026", "flags of verified checksums", judged, 0u8);
        check.holds("VMX-RX-026", found & !expected == 0, "nothing is said that is not so");
    }
}

/// Offers a frame and compares what is said of it.
fn told(check: &mut Check, make: fn([u8; 6]) -> Ip, expected: u8) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for _ in 0..3 {
            let frame = make(bench.config.mac).bytes;
            let Some(cell) = completion(bench, &frame) else {
                check.holds("VMX-RX-026", false, "a frame is delivered");
                return;
            };
            compare(check, &cell, expected);
            check.equal("VMX-RX-026", "csum", cell.csum(), 0u16);
            check.holds("VMX-RX-026", !cell.err(), "the frame itself is good");
        }
    });
}

/// Bytes behind the end of the packet, which no sum covers.
fn padded(mut packet: Ip) -> Ip {
    packet.bytes.extend_from_slice(&[0xee; 13]);
    packet
}

/// A fragment of IPv4 with this word of flags and offset.
fn fragment(mut packet: Ip, word: u16) -> Ip {
    packet.bytes[L3 + 6..L3 + 8].copy_from_slice(&word.to_be_bytes());
    packet.bytes[L3 + 10..L3 + 12].fill(0);
    let sum = spec::checksum::finish(spec::checksum::add(0, &packet.bytes[L3..packet.l4]));
    packet.bytes[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// With a fragment header between IPv6 and the transport.
fn fragment_v6(mut packet: Ip) -> Ip {
    let next = packet.bytes[L3 + 6];
    packet.bytes[L3 + 6] = 44;
    let header = [next, 0, 0, 1, 0, 0, 0, 9];
    packet.bytes.splice(packet.l4..packet.l4, header);
    let length = (packet.bytes.len() - L3 - 40) as u16;
    packet.bytes[L3 + 4..L3 + 6].copy_from_slice(&length.to_be_bytes());
    packet
}

/// UDP that says by 0 that nobody summed it.
fn unsummed(mut packet: Ip) -> Ip {
    let at = packet.l4 + 6;
    packet.bytes[at..at + 2].fill(0);
    packet
}

/// The same bytes under another EtherType.
fn kind(mut packet: Ip, kind: u16) -> Ip {
    packet.bytes[12..14].copy_from_slice(&kind.to_be_bytes());
    packet
}

/// The tag is looked through, whether it is taken off or stays.
fn behind_a_tag(check: &mut Check) {
    for strip in [true, false] {
        let mut setup = Setup::default();
        setup.config.features = feature::RXCSUM | if strip { feature::RXVLAN } else { 0 };
        check.on(Target::Both, &setup, |check, bench| {
            bench.start();
            for (packet, expected) in [
                (Ip::v4(bench.config.mac, TCP, 40), V4 | TCP_BIT | CHECKED | IP_GOOD | GOOD),
                (Ip::v6(bench.config.mac, UDP, 41), V6 | UDP_BIT | CHECKED | GOOD),
                (Ip::v4(bench.config.mac, UDP, 40).spoiled(60), V4 | UDP_BIT | CHECKED | IP_GOOD),
            ] {
                let Some(cell) = completion(bench, &packet.tagged(0x6044).bytes) else {
                    check.holds("VMX-RX-015", false, "a frame is delivered");
                    continue;
                };
                compare(check, &cell, expected);
                check.equal("VMX-RX-015", "ts", u8::from(cell.ts()), u8::from(strip));
                check.equal("VMX-RX-015", "tci", cell.tci(), if strip { 0x6044u16 } else { 0 });
            }
        });
    }
}

fn without_rxcsum(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.features = feature::RXVLAN;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for round in 0..4 {
            let wanted = round % 2 == 1;
            let features = feature::RXVLAN | if wanted { feature::RXCSUM } else { 0 };
            bench.put(bench.layout.shared + UPT_FEATURES_OFFSET, features);
            bench.command(Command::UpdateFeature);
            for packet in [Ip::v4(bench.config.mac, TCP, 40), Ip::v6(bench.config.mac, UDP, 40)] {
                let Some(cell) = completion(bench, &packet.bytes) else {
                    check.holds("VMX-RX-016", false, "a frame is delivered");
                    continue;
                };
                if wanted {
                    check.holds("VMX-RX-027", !cell.cnc() && cell.tuc(), "with RXCSUM a good checksum is called good");
                } else {
                    check.holds("VMX-RX-016", cell.cnc() && !cell.tuc(), "without it nothing is said of checksums");
                }
            }
        }
    });
}

fn several_buffers(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.max_rx_sg = super::offered::BUFFERS;
    check.on(Target::Both, &setup, |check, bench| {
        bench.start();
        for payload in [190, 202, 203, 500, 1000] {
            for (bad, expected) in [(false, GOOD), (true, 0)] {
                let packet = Ip::v4(bench.config.mac, TCP, payload);
                // The last byte, which lies in the last buffer.
                let last = packet.bytes.len() - 1;
                let packet = if bad { packet.spoiled(last) } else { packet };
                let Some(cell) = completion(bench, &packet.bytes) else {
                    check.holds("VMX-RX-026", false, "a frame of several buffers is delivered");
                    continue;
                };
                compare(check, &cell, V4 | TCP_BIT | CHECKED | IP_GOOD | expected);
            }
        }
    });
}

/// One wrong byte anywhere in what is summed shows.
fn every_byte(check: &mut Check) {
    check.on(Target::Both, &Setup::default(), |check, bench| {
        bench.start();
        for make in [Ip::v4, Ip::v6] {
            let good = make(bench.config.mac, UDP, 20);
            // Addresses, and everything from the ports on, but for the length of UDP, by which a frame is another.
            let addresses = if good.l4 == 34 { L3 + 12..L3 + 20 } else { L3 + 8..L3 + 40 };
            let (ports, rest) = (good.l4..good.l4 + 4, good.l4 + 6..good.bytes.len());
            for at in addresses.chain(ports).chain(rest) {
                let cell = completion(bench, &good.clone().spoiled(at).bytes).unwrap_or_default();
                check.holds("VMX-RX-016", cell.cnc() || !cell.tuc(), "a frame with a wrong byte is not called good");
            }
        }
    });
}
