//! Tunnels at the wire and in completions, and hashes beyond TCP: what a right device makes passes, and every wrong byte is seen.

use super::super::wire::{fold, sum};
use super::offloads::tcp4;
use super::rig::*;
use crate::event::Bar;
use crate::toeplitz;
use crate::vmxnet3::command::feature;
use crate::vmxnet3::rx::{ext1, rss_type};
use crate::vmxnet3::shared::{CMD_INFO_OFFSET, RSS_CONF_DESC_OFFSET, UPT_FEATURES_OFFSET};
use crate::vmxnet3::tx::om;
use crate::vmxnet3::*;

const SHARED: u64 = 0x1000;
/// Bytes around what is carried: Ethernet, IPv4, UDP, Geneve with four bytes of options.
const AROUND: usize = 14 + 20 + 8 + 12;
/// Bytes of all headers.
const HEADERS: usize = AROUND + 54;
const MSS: usize = 40;

/// `inner` in Geneve over IPv4 from the guest, with or without a UDP checksum.
fn geneve(inner: &[u8], summed: bool) -> Vec<u8> {
    let mut frame = outward(1, AROUND);
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 0, 0x56, 0x78, 0, 0, 64, 17]);
    frame[24..38].copy_from_slice(&[0, 0, 10, 1, 0, 1, 10, 1, 0, 2, 0xc0, 0, 0x17, 0xc1]);
    frame[38..54].copy_from_slice(&[0, 0, 0, 0, 1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 4]);
    frame.extend_from_slice(inner);
    finish(&mut frame, summed);
    frame
}

/// Puts right lengths and checksums into the headers around.
fn finish(frame: &mut [u8], summed: bool) {
    let bytes = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&bytes.to_be_bytes());
    frame[24..26].fill(0);
    let header = !fold(sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    frame[38..40].copy_from_slice(&(bytes - 20).to_be_bytes());
    frame[40..42].fill(0);
    if summed {
        let pseudo = sum(&frame[26..34]) + 17 + u64::from(bytes - 20);
        let value = !fold(pseudo + sum(&frame[34..]));
        frame[40..42].copy_from_slice(&value.to_be_bytes());
    }
}

/// An active device of `version`.
pub fn active(version: u8) -> Rig {
    let mut rig = Rig::new();
    rig.write(Bar::Bar1, 0, 1 << (version - 1));
    rig.activate();
    for _ in 0..4 {
        rig.post_rx(0, false);
        rig.post_rx(1, true);
    }
    rig
}

fn ask(d: &mut TxDesc, version: u8, mode: u8, msscof: usize, oco: bool) {
    d.set_om(if version < 7 { om::ENCAP } else { mode });
    d.set_ext1(version >= 7);
    d.set_hlen(HEADERS as u16);
    d.set_msscof(msscof as u16);
    d.set_oco(oco);
}

/// Sends what a tunnel carries in three pieces, after `spoil`.
pub fn cut(rig: &mut Rig, version: u8, oco: bool, spoil: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let inner = tcp4(100);
    let bytes = geneve(&inner, false);
    rig.post_tx(&bytes, |d| ask(d, version, om::TSO, MSS, oco));
    rig.ring();
    let mut frames: Vec<Vec<u8>> = (0..3usize)
        .map(|k| {
            let payload = MSS.min(100 - k * MSS);
            let mut piece = tcp4(payload);
            piece[54..].copy_from_slice(&inner[54 + k * MSS..][..payload]);
            piece[18..20].copy_from_slice(&(0x1234 + k as u16).to_be_bytes());
            piece[38..42].copy_from_slice(&0xffff_fff0u32.wrapping_add((k * MSS) as u32).to_be_bytes());
            piece[47] = if k == 2 { 0x18 } else { 0x10 };
            super::offloads::finish(&mut piece);
            let mut frame = geneve(&piece, oco);
            frame[18..20].copy_from_slice(&(0x5678 + k as u16).to_be_bytes());
            finish(&mut frame, oco);
            frame
        })
        .collect();
    spoil(&mut frames);
    frames.iter().for_each(|frame| rig.send(frame));
    rig.complete_tx(rig.tx_posted - 1);
    rig.vector(VECTORS[0]);
    rig.idle();
}

/// Sends a tunnel of which the inner checksum is to be made, after `spoil`.
pub fn sum_inner(rig: &mut Rig, version: u8, oco: bool, spoil: impl FnOnce(&mut Vec<u8>)) {
    let good = geneve(&tcp4(100), oco);
    let mut bytes = good.clone();
    let field = AROUND + 50;
    // What the sum of a right packet lacks to all ones is the sum of its pseudo-header.
    let seed = !fold(sum(&good[AROUND + 34..]));
    bytes[field..field + 2].copy_from_slice(&seed.to_be_bytes());
    bytes[40..42].fill(0);
    rig.post_tx(&bytes, |d| ask(d, version, om::CSUM, if version < 7 { 0 } else { field }, oco));
    rig.ring();
    let mut frame = good;
    spoil(&mut frame);
    rig.send(&frame);
    rig.complete_tx(rig.tx_posted - 1);
    rig.vector(VECTORS[0]);
    rig.idle();
}

#[test]
fn right_tunnels_are_clean_in_the_words_of_each_version() {
    for version in 4..=9 {
        for oco in [false, true] {
            let mut rig = active(version);
            cut(&mut rig, version, oco, |_| ());
            rig.unmask(VECTORS[0]);
            sum_inner(&mut rig, version, oco, |_| ());
            rig.is_clean();
        }
    }
}

#[test]
fn every_byte_of_a_segment_in_a_tunnel_counts() {
    for oco in [false, true] {
        for at in 0..HEADERS + MSS {
            let mut rig = active(7);
            cut(&mut rig, 7, oco, |frames| frames[1][at] ^= 0x40);
            assert!(!rig.snoop.is_clean() && !rig.poll.is_clean(), "byte {at}");
            let mut rig = active(5);
            sum_inner(&mut rig, 5, oco, |frame| frame[at] ^= 0x40);
            assert!(!rig.snoop.is_clean() && !rig.poll.is_clean(), "byte {at}");
        }
    }
}

#[test]
fn each_clause_of_tunnels_is_broken_by_what_it_is_about() {
    let (mut rig, at) = (active(6), AROUND);
    cut(&mut rig, 6, true, |frames| frames[1][at + 38] ^= 1);
    rig.rejects("VMX-V4-007").unwrap();
    for (byte, oco, clause) in
        [(17, false, "VMX-V4-008"), (19, true, "VMX-V4-008"), (39, false, "VMX-V4-008"), (40, true, "VMX-V4-009")]
    {
        let mut rig = active(9);
        cut(&mut rig, 9, oco, |frames| frames[2][byte] ^= 1);
        rig.rejects(clause).unwrap();
    }
    for (byte, oco, clause) in
        [(at + 50, false, "VMX-V4-006"), (24, true, "VMX-V4-006"), (41, false, "VMX-V4-009"), (41, true, "VMX-V4-009")]
    {
        let mut rig = active(4);
        sum_inner(&mut rig, 4, oco, |frame| frame[byte] ^= 1);
        rig.rejects(clause).unwrap();
    }
    let mut rig = active(4);
    sum_inner(&mut rig, 4, true, |frame| frame[40..42].fill(0));
    rig.rejects("VMX-V4-009").unwrap();
}

#[test]
fn words_of_another_version_must_not_lead_to_a_frame() {
    for (version, words) in [(1, 4), (3, 6), (7, 4), (9, 5), (6, 7), (4, 9), (2, 7)] {
        let mut rig = active(version);
        cut(&mut rig, words, false, |_| ());
        assert!(!rig.snoop.is_clean(), "{version} {words}");
        let mut rig = active(version);
        cut(&mut rig, words, false, Vec::clear);
        rig.is_clean();
    }
}

/// A tunnel to the guest that is reported by its inner headers, or as `set` says.
pub fn report(rig: &mut Rig, spoil: impl FnOnce(&mut Vec<u8>), set: impl FnOnce(&mut RxCompDesc)) {
    let mut frame = geneve(&tcp4(60), true);
    frame[..6].copy_from_slice(&MAC);
    spoil(&mut frame);
    rig.offer(&frame);
    rig.deliver_with(&frame, |c| {
        c.set_v4(true);
        c.set_tcp(true);
        c.set_ipc(true);
        c.set_tuc(true);
        c.set_cnc(false);
        c.set_ext1(ext1::HDR_INNER);
        set(c);
    });
    rig.idle();
}

/// A driver of `version` that wants inner headers reported.
pub fn inner(version: u8) -> Rig {
    let mut rig = active(version);
    rig.put(SHARED + UPT_FEATURES_OFFSET, feature::RXCSUM | feature::RXINNEROFLD);
    rig.command(Command::UpdateFeature);
    rig.idle();
    rig
}

#[test]
fn inner_headers_are_reported_only_where_all_is_right_and_asked_for() {
    for version in [4, 7, 9] {
        let mut rig = inner(version);
        report(&mut rig, |_| (), |_| ());
        report(&mut rig, |frame| frame[40..42].fill(0), |_| ());
        rig.is_clean();
    }
    let mut rig = inner(3);
    report(&mut rig, |_| (), |_| ());
    rig.rejects("VMX-V4-003").unwrap();
    let mut rig = active(5);
    report(&mut rig, |_| (), |_| ());
    rig.rejects("VMX-V4-003").unwrap();
    for at in [25, 41, AROUND + 25, AROUND + 51, AROUND + 60, 43] {
        let mut rig = inner(5);
        report(&mut rig, |frame| frame[at] ^= 1, |_| ());
        rig.rejects("VMX-V4-003").unwrap();
    }
    for set in [
        (|c| c.set_tuc(false)) as fn(&mut RxCompDesc),
        |c| c.set_udp(true),
        |c| c.set_tcp(false),
        |c| c.set_v6(true),
        |c| c.set_ipc(false),
        |c| c.set_frg(true),
    ] {
        let mut rig = inner(5);
        report(&mut rig, |_| (), set);
        rig.rejects("VMX-V4-003").unwrap();
    }
}

/// A driver of `version` whose packets over IPv4 are hashed, TCP with its ports.
fn hashing(version: u8) -> Rig {
    let mut rig = Rig::new();
    rig.write(Bar::Bar1, 0, 1 << (version - 1));
    rig.put(SHARED + UPT_FEATURES_OFFSET, feature::RXCSUM | feature::RSS);
    let mut place = VariableLenConf::default();
    place.set_conf_pa(0xb000);
    rig.put(SHARED + RSS_CONF_DESC_OFFSET, place);
    let mut rss = RssConf::default();
    rss.set_hash_type(3);
    rss.set_hash_func(1);
    rss.set_hash_key_size(40);
    rss.set_hash_key([0x5a; 40]);
    rss.set_ind_table_size(1);
    rig.put(0xb000, rss);
    rig.activate();
    (0..8).for_each(|_| rig.post_rx(0, false));
    rig
}

/// A packet of `protocol` to the guest, and its hash with the four bytes behind the header or without.
fn packet(protocol: u8, more: bool) -> (Vec<u8>, u32) {
    let mut frame = tcp4(60);
    frame[..6].copy_from_slice(&MAC);
    frame[23] = protocol;
    let hash = toeplitz::hash(&[0x5a; 40], &frame[26..if more { 38 } else { 34 }]);
    (frame, hash)
}

fn fields(rig: &mut Rig, wanted: u32, granted: u32) {
    rig.put(SHARED + CMD_INFO_OFFSET, wanted);
    rig.command(Command::SetRssFields);
    rig.read(Bar::Bar1, 0x20, 0);
    rig.command(Command::GetRssFields);
    rig.read(Bar::Bar1, 0x20, granted);
    rig.idle();
}

fn deliver(rig: &mut Rig, (frame, hash): &(Vec<u8>, u32), kind: u8) {
    rig.offer(frame);
    rig.deliver_with(frame, |c| {
        c.set_rss_type(kind);
        c.set_rss_hash(*hash);
    });
    rig.idle();
}

#[test]
fn a_hash_has_the_type_that_the_fields_in_force_say() {
    for (protocol, field, kind) in [(17, 4, rss_type::UDP_IPV4), (50, 16, rss_type::ESP_IPV4)] {
        let (plain, whole) = (packet(protocol, false), packet(protocol, true));
        let mut rig = hashing(5);
        deliver(&mut rig, &plain, rss_type::IPV4);
        fields(&mut rig, 0xff, 3 | field);
        deliver(&mut rig, &whole, kind);
        rig.is_clean();
        for (packet, told) in [(&plain, rss_type::IPV4), (&whole, rss_type::IPV4), (&plain, kind)] {
            let mut rig = rig.clone();
            deliver(&mut rig, packet, told);
            rig.rejects("VMX-RSS-002").unwrap();
        }
        fields(&mut rig, 3, 3);
        deliver(&mut rig, &plain, rss_type::IPV4);
        rig.is_clean();
        deliver(&mut rig, &whole, kind);
        rig.rejects("VMX-RSS-002").unwrap();
    }
    let mut rig = hashing(3);
    fields(&mut rig, 0xff, 0);
    deliver(&mut rig, &packet(17, false), rss_type::IPV4);
    rig.is_clean();
    deliver(&mut rig, &packet(17, true), rss_type::UDP_IPV4);
    rig.rejects("VMX-RSS-002").unwrap();
}

#[test]
fn a_frame_under_way_may_meet_the_fields_of_before() {
    let mut rig = hashing(6);
    let (plain, whole) = (packet(17, false), packet(17, true));
    rig.offer(&plain.0);
    rig.put(SHARED + CMD_INFO_OFFSET, 4u32);
    rig.command(Command::SetRssFields);
    for ((frame, hash), kind) in [(&plain, rss_type::IPV4), (&whole, rss_type::UDP_IPV4)] {
        let mut rig = rig.clone();
        rig.deliver_with(frame, |c| {
            c.set_rss_type(kind);
            c.set_rss_hash(*hash);
        });
        rig.idle();
        rig.is_clean();
    }
}
