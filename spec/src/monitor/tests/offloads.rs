//! Offloads at the wire: what a right device makes passes, and every wrong byte is seen.

use super::super::wire::{fold, sum};
use super::rig::*;
use crate::vmxnet3::command::feature;
use crate::vmxnet3::rx::RxCompDescExt;
use crate::vmxnet3::tx::om;
use crate::vmxnet3::*;

/// Bytes of headers of [`tcp4`].
const HEADERS: usize = 54;
const MSS: usize = 40;

/// A TCP packet over IPv4 with `payload` bytes, checksums right.
pub fn tcp4(payload: usize) -> Vec<u8> {
    let mut frame = outward(1, HEADERS + payload);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..54].copy_from_slice(&[0, 80, 1, 0, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    finish(&mut frame);
    frame
}

/// Puts right lengths and checksums into a packet of [`tcp4`].
pub fn finish(frame: &mut [u8]) {
    let ip = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&ip.to_be_bytes());
    frame[24..26].fill(0);
    let header = !fold(sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    frame[50..52].fill(0);
    let pseudo = sum(&frame[26..34]) + 6 + u64::from(ip - 20);
    let tcp = !fold(pseudo + sum(&frame[34..]));
    frame[50..52].copy_from_slice(&tcp.to_be_bytes());
}

/// Delivers two segments of a stream, offered as `spoil` leaves them, as one packet; `set` changes what its completion says.
pub fn merge(rig: &mut Rig, spoil: impl FnOnce(&mut Vec<Vec<u8>>), set: impl FnOnce(&mut RxCompDescExt)) {
    let whole = inward_tcp4(2 * MSS);
    let mut segments: Vec<Vec<u8>> = (0..2)
        .map(|k| {
            let mut frame = whole[..HEADERS].to_vec();
            frame.extend_from_slice(&whole[HEADERS + k * MSS..][..MSS]);
            frame[38..42].copy_from_slice(&0xffff_fff0u32.wrapping_add((k * MSS) as u32).to_be_bytes());
            finish(&mut frame);
            frame
        })
        .collect();
    spoil(&mut segments);
    segments.iter().for_each(|frame| rig.offer(frame));
    rig.deliver_with(&whole, |c| {
        let mut merged = RxCompDescExt(c.0 & !(1 << 30));
        merged.set_kind(rx::RXCOMP_LRO);
        merged.set_seg_cnt(2);
        merged.set_mss(MSS as u16);
        merged.set_v4(true);
        merged.set_tcp(true);
        merged.set_ipc(true);
        merged.set_tuc(true);
        set(&mut merged);
        c.0 = merged.0;
    });
}

/// As [`tcp4`], to the guest.
fn inward_tcp4(payload: usize) -> Vec<u8> {
    let mut frame = tcp4(payload);
    frame[..6].copy_from_slice(&MAC);
    frame[6..12].copy_from_slice(&PEER);
    frame[47] = 0x10;
    finish(&mut frame);
    frame
}

#[test]
fn a_merged_packet_is_what_was_offered_and_every_other_one_is_seen() {
    let run = |spoil: fn(&mut Vec<Vec<u8>>)| {
        let mut rig = lro();
        merge(&mut rig, spoil, |_| ());
        rig
    };
    run(|_| ()).is_clean();
    // Between the segments something of another stream may come, and go on later.
    let mut rig = run(|segments| segments.insert(1, inward(7, 100)));
    rig.deliver(&inward(7, 100));
    rig.idle();
    rig.is_clean();
    for spoil in [
        (|s| s[1][60] ^= 1) as fn(&mut Vec<Vec<u8>>),
        |s| s[1][41] ^= 1,
        |s| s.swap(0, 1),
        |s| s[1][22] ^= 1,
        |s| s[0][44] ^= 1,
        |s| drop(s.pop()),
        |s| s[1][12] = 0x81,
    ] {
        run(spoil).rejects("SWI-CON-002").unwrap();
    }
}

/// A device of version 2 whose driver has LRO on.
pub fn lro() -> Rig {
    let mut rig = Rig::active();
    rig.write(crate::event::Bar::Bar1, 0, 2);
    rig.put(0x1000 + shared::UPT_FEATURES_OFFSET, feature::RXCSUM | feature::LRO);
    rig.command(Command::UpdateFeature);
    rig.idle();
    rig
}

/// Sends a UDP-like packet whose checksum comes out as 0, stored as 0xffff, after `spoil`.
pub fn csum(rig: &mut Rig, spoil: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = vec![0; 64];
    bytes[..14].copy_from_slice(&outward(1, 14));
    bytes[34..36].copy_from_slice(&[0xff, 0xff]);
    rig.post_tx(&bytes, |d| {
        d.set_om(om::CSUM);
        d.set_hlen(34);
        d.set_msscof(40);
    });
    bytes[40..42].fill(0xff);
    spoil(&mut bytes);
    let broken = bytes[40..42] != [0xff; 2] || bytes[50] != 0;
    if broken && bytes[50] != 0 {
        // The wrong sum, not wrong data.
        bytes[50] = 0;
        bytes[41] = 0x12;
    }
    rig.send(&bytes);
    rig.complete_tx(rig.tx_posted - 1);
    rig.vector(VECTORS[0]);
}

/// Sends a TCP packet in pieces, after `spoil`.
pub fn tso(rig: &mut Rig, tag: bool, spoil: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut bytes = tcp4(100);
    bytes[47] = 0x80 | 0x18 | 1;
    rig.post_tx(&bytes, |d| {
        d.set_om(om::TSO);
        d.set_hlen(HEADERS as u16);
        d.set_msscof(MSS as u16);
        d.set_ti(tag);
        d.set_tci(9);
    });
    rig.ring();
    let mut frames: Vec<Vec<u8>> = (0..3usize)
        .map(|k| {
            let to = (k * MSS + MSS).min(100);
            let mut frame = bytes[..HEADERS].to_vec();
            frame.extend_from_slice(&bytes[HEADERS + k * MSS..HEADERS + to]);
            frame[18..20].copy_from_slice(&(0x1234 + k as u16).to_be_bytes());
            frame[38..42].copy_from_slice(&(0xffff_fff0u32.wrapping_add((k * MSS) as u32)).to_be_bytes());
            frame[47] = [0x90, 0x10, 0x19][k];
            finish(&mut frame);
            if tag {
                frame.splice(12..12, [0x81, 0, 0, 9]);
            }
            frame
        })
        .collect();
    spoil(&mut frames);
    for frame in &frames {
        rig.send(frame);
    }
    rig.complete_tx(rig.tx_posted - 1);
    rig.vector(VECTORS[0]);
}

#[test]
fn right_offloads_are_clean() {
    for tag in [false, true] {
        let mut rig = Rig::active();
        tso(&mut rig, tag, |_| ());
        rig.unmask(VECTORS[0]);
        rig.idle();
        csum(&mut rig, |_| ());
        rig.idle();
        rig.is_clean();
    }
}

#[test]
fn every_byte_of_a_segment_counts() {
    for at in 0..HEADERS + MSS {
        let mut rig = Rig::active();
        tso(&mut rig, false, |frames| frames[1][at] ^= 0x40);
        rig.idle();
        assert!(!rig.snoop.is_clean(), "byte {at}");
        assert!(!rig.poll.is_clean(), "byte {at}");
    }
}

#[test]
fn a_missing_and_a_doubled_segment_are_seen() {
    for spoil in [(|f| drop(f.remove(1))) as fn(&mut Vec<Vec<u8>>), |f| f.insert(1, f[0].clone())] {
        let mut rig = Rig::active();
        tso(&mut rig, false, spoil);
        rig.idle();
        assert!(!rig.snoop.is_clean());
    }
}

#[test]
fn a_packet_that_cannot_be_sent_is_completed_and_counted() {
    let mut rig = Rig::active();
    rig.post_tx(&outward(1, 100), |d| d.set_om(om::ENCAP));
    rig.post_tx(&outward(2, 100), |_| ());
    rig.ring();
    rig.complete_tx(0);
    rig.send(&outward(2, 100));
    rig.complete_tx(1);
    rig.vector(VECTORS[0]);
    rig.idle();
    rig.is_clean();
}
