//! Choices that sources leave open and both bodies have to make alike, or a switch would show.

use model::mutant::Planted;
use spec::profile::Profile;
use vnic::case::Target;
use vnic::rig::{Bench, PEER, Setup};

const TCP: u8 = 6;

/// An IPv6 frame with a TCP segment behind extension headers: the number of each and its eight bytes but the first.
fn behind(mac: [u8; 6], headers: &[(u8, [u8; 7])]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[12] = 5 << 4;
    let mut frame = [&mac[..], &PEER, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, TCP, 64]].concat();
    frame.extend_from_slice(&[0x20; 16]);
    frame.extend_from_slice(&[0x30; 16]);
    let sum = spec::checksum::pseudo(&frame[22..54], TCP, segment.len() as u32);
    let sum = !spec::checksum::fold(spec::checksum::add(sum, &segment));
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut at = 20;
    for (number, rest) in headers {
        (frame[at], at) = (*number, frame.len());
        frame.push(TCP);
        frame.extend_from_slice(rest);
    }
    let payload = (8 * headers.len() + segment.len()) as u16;
    frame[18..20].copy_from_slice(&payload.to_be_bytes());
    [frame, segment].concat()
}

/// What is told of the frame: TCP, checksum looked at, checksum good.
fn told(target: Target, headers: &[(u8, [u8; 7])]) -> [bool; 3] {
    let profile = &Profile::REFERENCE;
    let mut bench = Bench::ours(profile, profile, Planted::NONE, target, &Setup::default());
    bench.start();
    let frame = behind(bench.config.mac, headers);
    bench.offer(&frame);
    bench.settle();
    let got = bench.received(0);
    let [(bytes, last)] = &got[..] else { panic!("one frame, not {}", got.len()) };
    assert_eq!(*bytes, frame);
    [last.tcp(), !last.cnc(), last.tuc()]
}

#[test]
fn extension_headers_are_followed_as_far_in_one_body_as_in_the_other() {
    let (plain, fragment) = ([0; 7], [0, 0, 0, 0, 0, 0, 7]);
    for (headers, good) in [
        (&[][..], true),
        (&[(0, plain)], true),
        (&[(60, plain), (43, plain)], true),
        (&[(44, fragment)], false),
        (&[(44, [0, 0, 1, 0, 0, 0, 7])], false),
        (&[(51, plain)], false),
        (&[(0, plain), (51, plain)], false),
    ] {
        let software = told(Target::Software, headers);
        assert_eq!(told(Target::Adapter, headers), software, "{headers:?}");
        assert_eq!(software[2], good, "{headers:?}");
    }
}
