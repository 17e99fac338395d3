//! Peers that misbehave or vanish: after each the next one is welcome, and the device works.

use crate::guest::{Guest, config, qemu, works};
use crate::rig::Running;
use model::guest::packet::Packet;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use spec::frame;
use spec::layout::Bytes as _;
use spec::profile::Profile;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use vnic_golden::serve::Kind;
use vnic_golden::vfio_user::Client;
use vnic_golden::vfio_user::proto::{
    DMA_READ, DMA_WRITE, DmaMap, HEADER, Header, MAX_MESSAGE, RegionAccess, Request, Version,
};

fn software() -> Running {
    Running::new(Kind::Software, &Profile::REFERENCE)
}

/// The next peer is welcome.
fn is_welcome(running: &Running) {
    let mut client = running.connect();
    client.version(&qemu()).expect("the next peer is served");
    client.device_info().expect("and answered");
}

fn file() -> OwnedFd {
    let file = memfd_create("hostile", MemfdFlags::CLOEXEC).expect("a file");
    ftruncate(&file, 1 << 20).expect("its size");
    file
}

fn version() -> Vec<u8> {
    Request::Version(Version::default(), b"{\"capabilities\":{\"max_msg_fds\":16}}\0").message(1, false)
}

fn map(addr: u64, id: u16) -> Vec<u8> {
    let mut map = DmaMap::default();
    map.set_argsz(DmaMap::SIZE as u32);
    map.set_flags(DMA_READ | DMA_WRITE);
    map.set_addr(addr);
    map.set_size(1 << 20);
    Request::DmaMap(map).message(id, false)
}

fn access(region: u32, offset: u64, count: u32) -> RegionAccess {
    let mut access = RegionAccess::default();
    access.set_region(region);
    access.set_offset(offset);
    access.set_count(count);
    access
}

#[test]
fn messages_cut_short_anywhere() {
    let running = software();
    let messages = [version(), map(0, 2), Request::RegionRead(access(1, 0, 4)).message(3, false)];
    for (at, message) in messages.iter().enumerate() {
        for cut in 0..message.len() {
            let mut peer = UnixStream::connect(running.socket()).expect("the server listens");
            for whole in &messages[..at] {
                peer.write_all(whole).expect("it reads");
            }
            peer.write_all(&message[..cut]).expect("it reads");
        }
        is_welcome(&running);
    }
    works(&running);
}

#[test]
fn sizes_that_cannot_be_and_bodies_that_are_too_long() {
    let running = software();
    for size in [0, 1, HEADER as u32 - 1, MAX_MESSAGE as u32 + 1, 1 << 31, u32::MAX] {
        for greeted in [false, true] {
            let mut peer = UnixStream::connect(running.socket()).expect("the server listens");
            if greeted {
                peer.write_all(&version()).expect("it reads");
            }
            let mut header = Header::default();
            header.set_id(9);
            header.set_command(10);
            header.set_size(size);
            let mut bytes = vec![0; HEADER];
            header.put(&mut bytes);
            peer.write_all(&bytes).expect("it reads");
            let mut rest = Vec::new();
            // It hangs up, which a reset of the connection says too where bytes of ours were left unread.
            let _ended = peer.read_to_end(&mut rest);
        }
        is_welcome(&running);
    }
    let mut client = running.connect();
    client.version(&qemu()).expect("served");
    for count in [4097, 1 << 20, u32::MAX] {
        assert!(client.call(&Request::RegionRead(access(0, 0, count)), &[]).is_err(), "{count} bytes");
    }
    client.device_info().expect("a refusal is not the end");
    drop(client);
    works(&running);
}

#[test]
fn requests_in_the_wrong_order() {
    let running = software();
    let file = file();
    let mut client = running.connect();
    assert!(client.device_info().is_err(), "before the version");
    assert!(client.reset().is_err());
    assert!(client.dma_map(0, 1 << 20, Some((file.as_fd(), 0)), true).is_err());
    assert!(client.write(1, 0x20, &0xcafe_0000u32.to_le_bytes()).is_err());
    client.version(&qemu()).expect("the version itself still counts");
    assert!(client.version(&qemu()).is_err(), "a second version");
    assert!(client.dma_unmap(0, 1 << 20, 0).is_err(), "what is not mapped");
    // Activation without memory, without bus master, without a shared area.
    client.write(1, 0x10, &0x1000u32.to_le_bytes()).expect("DSAL");
    client.write(1, 0x18, &[0; 4]).expect("DSAH");
    client.write(1, 0x20, &0xcafe_0000u32.to_le_bytes()).expect("ACTIVATE_DEV");
    let mut answer = [0; 4];
    client.read(1, 0x20, &mut answer).expect("its answer");
    assert_ne!(answer, [0; 4], "it is refused");
    drop(client);
    is_welcome(&running);
    works(&running);
}

/// Sockets and memory files of this process. Other tests run beside this one, so only a flood shows.
fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn floods_of_descriptors() {
    let running = software();
    works(&running);
    let file = file();
    let before = open_fds();
    for round in 0..20u16 {
        let mut client = running.connect();
        client.version(&qemu()).expect("served");
        let many: Vec<BorrowedFd<'_>> = vec![file.as_fd(); 64];
        for i in 0..8u16 {
            // Too many for a map, some where none belong, some with each byte; the answers are not read.
            client.send_raw(&map(u64::from(i) << 20, i), &many).expect("it reads");
            client.send_raw(&Request::DeviceReset.message(i, false), &many[..8]).expect("it reads");
        }
        for byte in map(0, 99) {
            client.send_raw(&[byte], &many[..usize::from(round % 9)]).expect("it reads");
        }
        drop(client);
    }
    is_welcome(&running);
    works(&running);
    assert!(open_fds() < before + 200, "{} descriptors, {before} before", open_fds());
}

#[test]
fn hanging_up_anywhere_in_a_conversation() {
    let running = software();
    type Stage = fn(&Running) -> Client;
    let stages: &[Stage] = &[
        Running::connect,
        |running| {
            let mut client = running.connect();
            client.version(&qemu()).expect("served");
            client
        },
        |running| Guest::boot(running, config()).bus.client,
        |running| Guest::boot(running, config()).up().bus.client,
        |running| {
            let mut guest = Guest::boot(running, config()).up();
            guest.echo(0, 1, 200);
            guest.bus.client
        },
    ];
    for stage in stages {
        for farewell in [None, Some(Request::DeviceReset.message(7, false)), Some(map(1 << 30, 8))] {
            let mut client = stage(&running);
            if let Some(message) = farewell {
                // The answer finds nobody.
                client.send_raw(&message, &[]).expect("it reads");
            }
            drop(client);
            is_welcome(&running);
        }
        works(&running);
    }
}

#[test]
fn hanging_up_with_packets_under_way() {
    for kind in [Kind::Software, Kind::Adapter] {
        let running = Running::new(kind, &Profile::REFERENCE);
        for round in 0..10u64 {
            let mut guest = Guest::boot(&running, config()).up();
            for id in 0..20 {
                let frame = frame::generated([2; 6], crate::rig::MAC, 3, round * 100 + id, 60 + 70 * id as usize);
                guest.driver.send(0, &Packet::plain(frame));
            }
            guest.driver.kick(0);
            // So many accesses of the driver, and then it is gone.
            for _ in 0..round * 17 {
                guest.driver.step(&mut guest.bus);
            }
        }
        is_welcome(&running);
        works(&running);
    }
}

#[test]
fn a_second_peer_is_turned_away_and_the_first_goes_on() {
    let running = software();
    let mut guest = Guest::boot(&running, config()).up();
    for round in 0..5 {
        let mut second = UnixStream::connect(running.socket()).expect("the server listens");
        let _it_may_be_closed_already = second.write_all(&version());
        let mut answer = Vec::new();
        // A connection that is closed with bytes unread ends with a reset.
        let _ended = second.read_to_end(&mut answer);
        assert!(answer.is_empty(), "nothing is said to it");
        guest.echo(0, round, 400);
    }
    drop(guest);
    is_welcome(&running);
    works(&running);
}
