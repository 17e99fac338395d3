//! How bytes and descriptors arrive: in bursts, in pieces, and not at all.

use crate::rig::{Rig, Small, alone, memfd, pair, qemu};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd as _, OwnedFd};
use spec::layout::Bytes as _;
use vnic_golden::vfio_user::proto::{
    DMA_READ, DmaMap, HEADER, IRQ_ACTION_TRIGGER, IRQ_DATA_EVENTFD, IrqSet, MAJOR, MAX_XFER, RegionAccess, RegionHead,
    Request, Version, Writes,
};
use vnic_golden::vfio_user::{Client, Hangup, Session};

fn write(offset: u64, data: &[u8]) -> Vec<u8> {
    let mut access = RegionAccess::default();
    access.set_offset(offset);
    access.set_count(data.len() as u32);
    Request::RegionWrite(access, data).message(0, true)
}

fn read(count: u32) -> Vec<u8> {
    let mut access = RegionAccess::default();
    access.set_count(count);
    Request::RegionRead(access).message(7, false)
}

fn map(addr: u64) -> Vec<u8> {
    let mut map = DmaMap::default();
    map.set_argsz(DmaMap::SIZE as u32);
    map.set_flags(DMA_READ);
    map.set_addr(addr);
    map.set_size(4096);
    Request::DmaMap(map).message(9, false)
}

fn greeting() -> Vec<u8> {
    let mut version = Version::default();
    version.set_major(MAJOR);
    let mut data = Vec::new();
    qemu().write(&mut data);
    Request::Version(version, &data).message(1, false)
}

impl Rig {
    fn greeted() -> Self {
        let mut rig = Self::silent();
        rig.peer.send_raw(&greeting(), &[]).unwrap();
        rig.turn().unwrap();
        rig.peer.receive_raw().unwrap();
        rig
    }
}

#[test]
fn a_burst_is_handled_in_one_turn_and_each_descriptor_goes_with_its_message() {
    let alone = alone();
    let mut rig = Rig::greeted();
    let file = memfd(8192);
    for round in 0..5 {
        rig.peer.send_raw(&write(round, &[1]), &[]).unwrap();
        rig.peer.send_raw(&write(round, &[2]), &[]).unwrap();
        rig.peer.send_raw(&map(round * 0x10_0000), &[file.as_fd()]).unwrap();
        rig.peer.send_raw(&map(round * 0x10_0000 + 0x1000), &[]).unwrap();
        rig.peer.send_raw(&write(round, &[3]), &[]).unwrap();
    }
    // The kernel ends a read after each buffer with descriptors, so it takes five reads and one for the last write.
    let mut pumps = 0;
    while rig.device.count("write 0+0x4 [3]") == 0 {
        rig.session.pump(&mut rig.device).unwrap();
        pumps += 1;
    }
    assert_eq!(pumps, 6);
    let maps: Vec<_> = rig.device.memory.maps().map(|(pa, _, backed, _)| (pa & 0xf_ffff, backed)).collect();
    assert_eq!(maps, [(0, true), (0x1000, false)].repeat(5));
    for _ in 0..10 {
        let (header, _) = rig.peer.receive_raw().unwrap();
        assert_eq!((header.id(), header.error()), (9, false));
    }
    drop((rig, file));
    alone.no_leak();
}

#[test]
fn posted_writes_cost_one_read_for_many() {
    let _alone = alone();
    let mut rig = Rig::greeted();
    let burst: Vec<u8> = (0..1000).flat_map(|_| write(4, &[1, 2, 3, 4])).collect();
    rig.peer.send_raw(&burst, &[]).unwrap();
    assert_eq!(rig.session.pump(&mut rig.device).unwrap().messages, 1000);
    assert_eq!(rig.device.log.len(), 1000);
}

#[test]
fn a_message_may_come_byte_by_byte_with_its_descriptor_at_any_of_them() {
    let alone = alone();
    let message = map(0x4000);
    for with_fd in 0..message.len() {
        let file = memfd(4096);
        let mut rig = Rig::greeted();
        rig.peer.send_raw(&write(0, &[9]), &[]).unwrap();
        for (i, byte) in message.iter().enumerate() {
            let fds = [file.as_fd()];
            rig.peer.send_raw(&[*byte], if i == with_fd { &fds } else { &[] }).unwrap();
            rig.turn().unwrap();
        }
        rig.peer.send_raw(&map(0x5000), &[]).unwrap();
        rig.turn().unwrap();
        let maps: Vec<_> = rig.device.memory.maps().map(|m| (m.0, m.2)).collect();
        assert_eq!(maps, [(0x4000, true), (0x5000, false)], "descriptor with byte {with_fd}");
    }
    alone.no_leak();
}

#[test]
fn the_longest_write_arrives_whole_in_pieces() {
    let _alone = alone();
    let (mut client, served) = crate::rig::greeted();
    let refused = client.write(0, 0, &vec![7; MAX_XFER]).unwrap_err();
    assert_eq!(refused.to_string(), "REGION_WRITE: Invalid argument (os error 22)", "BAR0 is smaller");
    client.write(0, 0, &[7; 4096]).unwrap();
    let mut bar = [0; 4096];
    client.read(0, 0, &mut bar).unwrap();
    assert_eq!(bar, [7; 4096]);
    drop(client);
    assert_eq!(served.join().1, Hangup::Closed);
}

#[test]
fn a_peer_that_reads_no_replies_is_not_read_either() {
    let _alone = alone();
    let mut rig = Rig::greeted();
    let asked = 200;
    for _ in 0..asked {
        rig.peer.send_raw(&read(4096), &[]).unwrap();
    }
    let mut messages = rig.turn().unwrap();
    assert!(rig.session.pump(&mut rig.device).unwrap().blocked);
    assert!(rig.session.interest().contains(rustix::event::PollFlags::OUT));
    assert!(messages < asked, "{messages} replies cannot be on their way");
    for _ in 0..asked {
        let (header, reply) = rig.peer.receive_raw().unwrap();
        assert_eq!((header.id(), reply.body.len()), (7, 16 + 4096));
        messages += rig.turn().unwrap();
    }
    assert_eq!(messages, asked);
    assert!(!rig.session.pump(&mut rig.device).unwrap().blocked);
}

/// A conversation with everything in it: each message, and the descriptors it brings.
fn recorded(file: &OwnedFd, trigger: &OwnedFd) -> Vec<(Vec<u8>, Option<OwnedFd>)> {
    let mut head = RegionHead::default();
    head.set_argsz(4096);
    head.set_index(2);
    let mut set = IrqSet::default();
    set.set_argsz(IrqSet::SIZE as u32);
    set.set_flags(IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER);
    set.set_index(2);
    set.set_count(1);
    let mut unknown = vec![0; 40];
    unknown[2] = 77;
    unknown[4] = 40;
    vec![
        (greeting(), None),
        (map(0), Some(file.try_clone().unwrap())),
        (map(0x8000), None),
        (Request::DeviceGetRegionInfo(head).message(2, false), None),
        (write(0, &[1, 2]), None),
        (Request::RegionWriteMulti(Writes::from(&[0; 48][..])).message(3, true), None),
        (Request::DeviceSetIrqs(set, &[]).message(4, false), Some(trigger.try_clone().unwrap())),
        (unknown, None),
        (read(64), None),
        (Request::DeviceReset.message(5, false), None),
    ]
}

#[test]
fn a_hangup_at_any_byte_leaves_nothing_behind() {
    let alone = alone();
    let (file, trigger) = (memfd(4096), eventfd(0, EventfdFlags::NONBLOCK).unwrap());
    let messages = recorded(&file, &trigger);
    let total: usize = messages.iter().map(|m| m.0.len()).sum();
    let mut device = Small::new();
    for cut in 0..=total {
        for turn_each in [false, true] {
            let (ours, theirs) = pair();
            let (mut session, mut peer) = (Session::new(ours), Client::new(theirs));
            let mut left = cut;
            for (bytes, fd) in &messages {
                let part = left.min(bytes.len());
                let fd = fd.as_ref().map(|fd| fd.as_fd());
                peer.send_raw(&bytes[..part], fd.as_slice()).unwrap();
                if turn_each {
                    session.pump(&mut device).unwrap();
                }
                left -= part;
            }
            // A peer that only stops sending reads its replies to the end.
            rustix::net::shutdown(&peer, rustix::net::Shutdown::Write).unwrap();
            let hangup = loop {
                if let Err(hangup) = session.pump(&mut device) {
                    break hangup;
                }
            };
            let boundary =
                messages.iter().scan(0, |at, m| Some(std::mem::replace(at, *at + m.0.len()))).any(|at| at == cut);
            let expected = if boundary || cut == total { Hangup::Closed } else { Hangup::Midway };
            assert_eq!(hangup, expected, "cut at {cut} of {total}");
            assert_eq!(session.pump(&mut device), Err(Hangup::Closed));
            assert_eq!((device.count("gone"), device.memory.maps().count()), (1, 0), "cut at {cut}");
            assert_eq!(device.msix.assigned(), 0);
            device.log.clear();
        }
    }
    drop((file, trigger, messages, device));
    alone.no_leak();
}

#[test]
fn a_peer_that_vanishes_with_replies_unread_ends_the_session() {
    let alone = alone();
    let mut rig = Rig::greeted();
    for _ in 0..200 {
        rig.peer.send_raw(&read(4096), &[]).unwrap();
    }
    rig.turn().unwrap();
    let Rig { mut device, mut session, peer } = rig;
    drop(peer);
    let hangup = session.pump(&mut device).unwrap_err();
    assert!(matches!(hangup, Hangup::Socket(_)), "{hangup}");
    assert_eq!(device.count("gone"), 1);
    drop((device, session));
    alone.no_leak();
}

#[test]
fn what_is_skipped_may_come_in_pieces() {
    let alone = alone();
    let file = memfd(4096);
    let mut rig = Rig::greeted();
    let mut long = map(0);
    long.resize(200_000, 0xff);
    long[4..8].copy_from_slice(&200_000u32.to_le_bytes());
    let (head, rest) = long.split_at(HEADER + 3);
    rig.peer.send_raw(head, &[file.as_fd()]).unwrap();
    rig.turn().unwrap();
    let (most, last) = rest.split_at(rest.len() - 10);
    for piece in most.chunks(60_001) {
        rig.peer.send_raw(piece, &[file.as_fd()]).unwrap();
        rig.turn().unwrap();
    }
    // The next message comes with the end of the one that is skipped, and gets none of its descriptors.
    rig.peer.send_raw(&[last, &map(0x1000)[..]].concat(), &[]).unwrap();
    rig.peer.send_raw(&map(0x2000), &[file.as_fd()]).unwrap();
    rig.turn().unwrap();
    let (first, _) = rig.peer.receive_raw().unwrap();
    assert_eq!((first.error(), first.errno()), (true, 90), "EMSGSIZE");
    let (second, _) = rig.peer.receive_raw().unwrap();
    assert!(!second.error());
    assert_eq!(rig.device.memory.maps().map(|m| (m.0, m.2)).collect::<Vec<_>>(), [(0x1000, false), (0x2000, true)]);
    drop((rig, file));
    alone.no_leak();
}
