//! Peers that break the protocol: refused with a number, or hung up on.

use crate::rig::{Rig, Small, alone, greeted, memfd, qemu, serve};
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use spec::layout::Bytes as _;
use vnic_golden::vfio_user::proto::{
    Command, DMA_READ, DMA_WRITE, DeviceInfo, DmaMap, DmaUnmap, HEADER, Header, IrqHead, MAX_MESSAGE, MAX_VERSION_DATA,
    RegionAccess, RegionHead, Request, UNMAP_ALL, UNMAP_DIRTY, Version,
};
use vnic_golden::vfio_user::{Client, ClientError, Errno, Hangup, MAX_DMA_MAPS, Migration, Refusal};

/// A message with any header and body.
fn raw(command: u16, size: u32, flags: u32, body: &[u8]) -> Vec<u8> {
    let mut header = Header::default();
    header.set_id(77);
    header.set_command(command);
    header.set_size(size);
    let mut bytes = vec![0; HEADER];
    header.put(&mut bytes);
    bytes[8..12].copy_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A message of the right length.
fn sized(command: u16, body: &[u8]) -> Vec<u8> {
    raw(command, (HEADER + body.len()) as u32, 0, body)
}

/// The error number of the reply to raw bytes; 0 for none.
fn errno(client: &mut Client, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> i32 {
    client.send_raw(bytes, fds).unwrap();
    let (header, reply) = client.receive_raw().unwrap();
    assert_eq!((header.kind(), header.no_reply()), (1, false));
    if header.error() {
        assert!(reply.body.is_empty() && reply.fds.is_empty(), "an error is a header alone");
        assert_ne!(header.errno(), 0, "an error has a number");
    }
    header.errno() as i32
}

fn refusal<T: core::fmt::Debug>(result: Result<T, ClientError>) -> Errno {
    match result {
        Err(ClientError::Refused { errno, .. }) => errno,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn nothing_is_served_before_the_version_and_no_second_version_after() {
    let alone = alone();
    let (mut client, served) = serve(Small::new());
    assert_eq!(refusal(client.device_info()), Errno::INVAL);
    assert_eq!(refusal(client.reset()), Errno::INVAL);
    assert_eq!(refusal(client.write(0, 0, &[1])), Errno::INVAL);
    assert_eq!(refusal(client.read(7, 0, &mut [0; 4])), Errno::INVAL);
    let file = memfd(4096);
    assert_eq!(refusal(client.dma_map(0, 4096, Some((file.as_fd(), 0)), true)), Errno::INVAL);
    assert_eq!(errno(&mut client, &sized(99, &[]), &[]), Errno::NOSYS.raw_os_error());
    client.version(&qemu()).unwrap();
    assert_eq!(refusal(client.version(&qemu())), Errno::INVAL);
    client.device_info().unwrap();
    drop(client);
    let (device, _, counters) = served.join();
    assert_eq!(counters.last_refusal, Some(Refusal::Order { command: Command::Version }));
    assert_eq!(device.log, ["gone"]);
    drop((device, file));
    alone.no_leak();
}

#[test]
fn a_version_that_makes_no_sense_is_refused_and_may_be_tried_again() {
    let _alone = alone();
    let (mut client, _served) = serve(Small::new());
    let version = |major, data: &[u8]| {
        let mut version = Version::default();
        version.set_major(major);
        Request::Version(version, data).message(1, false)
    };
    let invalid = Errno::INVAL.raw_os_error();
    let garbage: &[&[u8]] = &[
        b"\0",
        b"{",
        b"{}",
        b"{}\0\0",
        b"null\0",
        b"[[[[[[\0",
        b"\xff\xfe\0",
        b"{\"capabilities\":7}\0",
        b"{\"capabilities\":{\"max_msg_fds\":\"many\"}}\0",
        b"{\"capabilities\":{\"max_msg_fds\":1e99}}\0",
        b"{\"capabilities\":{\"max_data_xfer_size\":-1}}\0",
        b"{\"capabilities\":{\"pgsizes\":1,\"pgsizes\":2}}\0",
        &[b'['; MAX_VERSION_DATA],
    ];
    for data in garbage {
        assert_eq!(errno(&mut client, &version(0, data), &[]), invalid, "{}", String::from_utf8_lossy(data));
    }
    assert_eq!(errno(&mut client, &version(1, b""), &[]), invalid, "another major");
    assert_eq!(errno(&mut client, &sized(1, &[0, 0, 0]), &[]), invalid, "shorter than two numbers");
    let huge = vec![b' '; 500_000];
    assert_eq!(errno(&mut client, &version(0, &huge), &[]), Errno::MSGSIZE.raw_os_error());
    let file = memfd(1);
    assert_eq!(errno(&mut client, &version(0, b""), &[file.as_fd()]), Errno::MFILE.raw_os_error());
    assert_eq!(errno(&mut client, &version(0, b""), &[]), 0);
    client.device_info().unwrap();
}

#[test]
fn a_size_that_cannot_be_ends_the_session() {
    let alone = alone();
    for size in [0, 1, HEADER as u32 - 1, MAX_MESSAGE as u32 + 1, 1 << 31, u32::MAX] {
        for command in [1, 10, 200] {
            let mut rig = Rig::silent();
            rig.peer.send_raw(&raw(command, size, 0, &[0; 64]), &[]).unwrap();
            let hangup = rig.turn().unwrap_err();
            assert!(matches!(hangup, Hangup::Header(_)), "{hangup}");
            assert!(hangup.to_string().contains(&format!("msg_size is {size}")), "{hangup}");
            assert_eq!(rig.device.log, ["gone"]);
        }
    }
    alone.no_leak();
}

#[test]
fn a_reply_to_nothing_ends_the_session() {
    let _alone = alone();
    for kind in 1..16 {
        let mut rig = Rig::silent();
        rig.peer.send_raw(&raw(11, HEADER as u32, kind, &[]), &[]).unwrap();
        assert!(matches!(rig.turn(), Err(Hangup::Header(_))));
    }
}

#[test]
fn what_is_not_served_is_skipped_and_the_stream_stays_in_step() {
    let alone = alone();
    let (mut client, served) = greeted();
    let file = memfd(1);
    for command in [0, 6, 11, 12, 14, 19, 255, u16::MAX] {
        let expected = if (1..=14).contains(&command) { Errno::NOTSUP } else { Errno::NOSYS };
        for body in [0, 1, 16, 70_000, MAX_MESSAGE - HEADER] {
            // A body full of headers that would do harm if one were taken for a message.
            let body: Vec<u8> = sized(13, &[]).into_iter().cycle().take(body).collect();
            assert_eq!(errno(&mut client, &sized(command, &body), &[]), expected.raw_os_error(), "{command}");
            client.send_raw(&raw(command, (HEADER + body.len()) as u32, 0x10, &body), &[]).unwrap();
            client.device_info().unwrap();
        }
        assert_eq!(errno(&mut client, &sized(command, &[]), &[file.as_fd()]), Errno::MFILE.raw_os_error());
    }
    drop(client);
    let (device, hangup, _) = served.join();
    assert_eq!((hangup, device.count("reset")), (Hangup::Closed, 0));
    drop((device, file));
    alone.no_leak();
}

#[test]
fn a_device_that_cannot_be_moved_says_so() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    let refused = |result: Result<(), ClientError>| {
        assert!(matches!(result, Err(ClientError::Refused { errno: Errno::NOTSUP, .. })), "{result:?}");
    };
    refused(client.migration_flags().map(drop));
    refused(client.migrate(Migration::Stop));
    refused(client.read_state(16).map(drop));
    refused(client.write_state(&[1; 100]));
    client.device_info().unwrap();
}

#[test]
fn bodies_of_the_wrong_length_are_refused() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    let fixed = [(2, 32), (3, 24), (4, 16), (5, 32), (7, 16), (8, 20), (9, 16), (10, 16), (13, 0), (15, 8), (17, 8)];
    for (command, needs) in fixed {
        for found in (0..needs).chain([needs + 1, needs + 7, needs + 100_000]) {
            let expected = match found {
                _ if found < needs || command == 10 => Errno::INVAL,
                _ if found <= Command::from(command).max_body() => Errno::INVAL,
                _ => Errno::MSGSIZE,
            };
            let answer = errno(&mut client, &sized(command, &vec![0; found]), &[]);
            assert_eq!(answer, expected.raw_os_error(), "{} of {found} bytes", Command::from(command));
        }
    }
    client.device_info().unwrap();
}

#[test]
fn an_argsz_that_holds_nothing_is_refused_and_a_large_one_allocates_nothing() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    for argsz in [0, 1, 15, u32::MAX] {
        let mut info = DeviceInfo::default();
        info.set_argsz(argsz);
        let mut region = RegionHead::default();
        region.set_argsz(argsz);
        region.set_index(2);
        let mut irq = IrqHead::default();
        irq.set_argsz(argsz);
        for request in
            [Request::DeviceGetInfo(info), Request::DeviceGetRegionInfo(region), Request::DeviceGetIrqInfo(irq)]
        {
            let result = client.call(&request, &[]);
            match argsz {
                u32::MAX => assert!(result.unwrap().body.len() <= 64 + 16),
                _ => assert_eq!(refusal(result), Errno::INVAL),
            }
        }
    }
    for index in [9, 10, u32::MAX] {
        assert_eq!(refusal(client.region_info(index)), Errno::INVAL);
        assert_eq!(refusal(client.irq_info(index)), Errno::INVAL);
    }
}

#[test]
fn accesses_outside_a_region_are_refused() {
    let _alone = alone();
    let (mut client, served) = greeted();
    let places =
        [(0, 4096), (0, 4095), (0, u64::MAX), (0, u64::MAX - 1), (0, 1 << 63), (3, 0), (8, 0), (9, 0), (u32::MAX, 0)];
    for (region, offset) in places {
        assert_eq!(refusal(client.read(region, offset, &mut [0; 2])), Errno::INVAL, "{region}+{offset:#x}");
        assert_eq!(refusal(client.write(region, offset, &[0; 2])), Errno::INVAL, "{region}+{offset:#x}");
        assert_eq!(refusal(client.write_multi(&[(region, offset, 0, 2)])), Errno::INVAL, "{region}+{offset:#x}");
    }
    assert_eq!(refusal(client.write(1, 0, &[0])), Errno::PERM, "BAR1 is read-only");
    assert_eq!(refusal(client.write_multi(&[(0, 0, 0, 9)])), Errno::INVAL, "eight bytes at most");
    assert_eq!(refusal(client.write_multi(&[(0, 0, 0, u32::MAX)])), Errno::INVAL);
    for count in [4097, 1 << 20, (1 << 20) + 1, u32::MAX] {
        let mut access = RegionAccess::default();
        access.set_count(count);
        assert_eq!(refusal(client.call(&Request::RegionRead(access), &[])), Errno::INVAL, "{count} bytes");
        assert_eq!(errno(&mut client, &sized(10, &bytes(access)), &[]), Errno::INVAL.raw_os_error(), "{count} bytes");
    }
    for count in [1u64, 1025, 1 << 32, u64::MAX, u64::MAX / 24 + 1] {
        assert_eq!(errno(&mut client, &sized(15, &count.to_le_bytes()), &[]), Errno::INVAL.raw_os_error());
    }
    client.read(0, 4096, &mut []).unwrap();
    client.write(0, 4096, &[]).unwrap();
    drop(client);
    assert_eq!(served.join().0.log, ["gone"]);
}

fn bytes(access: RegionAccess) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    access.put(&mut bytes);
    bytes
}

#[test]
fn a_refusal_nobody_waits_for_is_counted_and_not_sent() {
    let _alone = alone();
    let (mut client, served) = greeted();
    client.post_write(0, 1 << 40, &[1]).unwrap();
    client.post_write(0, 0, &[0xee]).unwrap();
    client.device_info().unwrap();
    drop(client);
    let counters = served.join().2;
    assert_eq!(counters.refused, 2);
    assert_eq!(counters.last_refusal, Some(Refusal::Device { command: Command::RegionWrite, errno: Errno::IO }));
}

#[test]
fn descriptors_where_none_belong_are_closed() {
    let alone = alone();
    let (mut client, served) = greeted();
    let file = memfd(1 << 20);
    let requests: Vec<(Vec<u8>, usize)> = vec![
        (sized(2, &map(0, 4096, 0)), 2),
        (sized(3, &[0; 24]), 1),
        (sized(4, &[255; 16]), 1),
        (sized(5, &[255; 32]), 1),
        (sized(7, &[255; 16]), 1),
        (sized(9, &[0; 16]), 1),
        (sized(10, &[0; 16]), 1),
        (sized(13, &[]), 1),
        (sized(15, &[0; 8]), 1),
    ];
    for (bytes, fds) in &requests {
        for fds in [*fds, 8, 9, 10, 64] {
            assert_eq!(errno(&mut client, bytes, &vec![file.as_fd(); fds]), Errno::MFILE.raw_os_error(), "{fds}");
        }
    }
    // Also when each byte brings some.
    for round in 0..3 {
        for byte in sized(2, &map(round * 4096, 4096, 0)) {
            client.send_raw(&[byte], &[file.as_fd(); 8]).unwrap();
        }
        assert_eq!(client.receive_raw().unwrap().0.errno(), Errno::MFILE.raw_os_error() as u32);
    }
    drop(client);
    let (device, _, counters) = served.join();
    assert_eq!((device.log.len(), counters.messages - counters.refused), (1, 1), "only the version was served");
    drop((device, file));
    alone.no_leak();
}

fn map(addr: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut map = DmaMap::default();
    map.set_argsz(DmaMap::SIZE as u32);
    map.set_flags(DMA_READ | DMA_WRITE);
    map.set_addr(addr);
    map.set_size(size);
    map.set_offset(offset);
    map.0.to_vec()
}

#[test]
fn maps_that_overlap_wrap_or_reach_beyond_their_file_are_refused() {
    let alone = alone();
    let (mut client, served) = greeted();
    let file = memfd(0x8000);
    client.dma_map(0x10_0000, 0x4000, Some((file.as_fd(), 0)), true).unwrap();
    client.dma_map(0x20_0000, 0x4000, None, true).unwrap();
    let cases: &[(u64, u64, Option<u64>, Errno)] = &[
        (0x10_0000, 0x4000, Some(0), Errno::EXIST),
        (0x10_3000, 0x1000, None, Errno::EXIST),
        (0xf_f000, 0x2000, Some(0), Errno::EXIST),
        (0xf_f000, 0x200_0000, None, Errno::EXIST),
        (0x20_1000, 0x1000, Some(0), Errno::EXIST),
        (0, !4095, None, Errno::EXIST),
        (!4095, 0x1000, Some(0), Errno::INVAL),
        (0x1000, !4095, None, Errno::INVAL),
        (0x1000, 0, Some(0), Errno::INVAL),
        (0x1001, 0x1000, Some(0), Errno::INVAL),
        (0x1000, 0x1001, Some(0), Errno::INVAL),
        (0x1000, 0x1000, Some(1), Errno::INVAL),
        (0x1000, 0x1000, Some(0x8000), Errno::INVAL),
        (0x1000, 0x9000, Some(0), Errno::INVAL),
        (0x1000, 0x1000, Some(!4095), Errno::INVAL),
        (0x30_0000, 1 << 45, Some(0), Errno::NOSPC),
    ];
    for (addr, size, offset, errno) in cases {
        let result = client.dma_map(*addr, *size, offset.map(|at| (file.as_fd(), at)), true);
        assert_eq!(refusal(result), *errno, "{addr:#x} {size:#x} {offset:?}");
    }
    let mut odd = DmaMap::get(&map(0x1000, 0x1000, 0));
    odd.set_flags(0x8000_0003);
    assert_eq!(refusal(client.call(&Request::DmaMap(odd), &[])), Errno::INVAL);

    let unmaps: &[(u64, u64, u32, Errno)] = &[
        (0x10_0000, 0x3000, 0, Errno::INVAL),
        (0x10_1000, 0x3000, 0, Errno::INVAL),
        (0x10_0000, u64::MAX, 0, Errno::INVAL),
        (0x50_0000, 0x1000, 0, Errno::INVAL),
        (0x10_0000, 0x4000, UNMAP_DIRTY, Errno::INVAL),
        (0x10_0000, 0x4000, UNMAP_ALL, Errno::INVAL),
        (0x10_0000, 0x4000, u32::MAX, Errno::INVAL),
    ];
    for (addr, size, flags, errno) in unmaps {
        assert_eq!(refusal(client.dma_unmap(*addr, *size, *flags)), *errno, "{addr:#x} {size:#x} {flags:#x}");
    }
    let mut unmap = DmaUnmap::default();
    unmap.set_argsz(8);
    assert_eq!(refusal(client.call(&Request::DmaUnmap(unmap), &[])), Errno::INVAL);
    client.dma_unmap(0x10_0000, 0x4000, 0).unwrap();
    assert_eq!(refusal(client.dma_unmap(0x10_0000, 0x4000, 0)), Errno::INVAL);
    client.dma_unmap(0, 0, UNMAP_ALL).unwrap();
    client.dma_map(0x20_0000, 0x1000, None, true).unwrap();
    drop(client);
    drop((served.join(), file));
    alone.no_leak();
}

#[test]
fn maps_are_counted() {
    let _alone = alone();
    let (mut client, served) = greeted();
    for i in 0..MAX_DMA_MAPS as u64 {
        client.dma_map(i << 13, 4096, None, true).unwrap();
    }
    assert_eq!(refusal(client.dma_map(1 << 40, 4096, None, true)), Errno::NOSPC);
    client.dma_unmap(0, 4096, 0).unwrap();
    client.dma_map(1 << 40, 4096, None, true).unwrap();
    drop(client);
    assert_eq!(served.join().1, Hangup::Closed);
}

/// No new descriptor in this process while it lives.
struct Few(Rlimit);

impl Few {
    fn numbers() -> Self {
        let usual = getrlimit(Resource::Nofile);
        // Polling takes no more descriptors than this either.
        setrlimit(Resource::Nofile, Rlimit { current: Some(2), ..usual }).unwrap();
        Self(usual)
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

#[test]
fn no_room_for_more_descriptors_is_a_refusal() {
    let alone = alone();
    let (mut client, served) = greeted();
    let file = memfd(4096);
    // The kernel cuts off what this process has no numbers for; the message is refused, the session lives.
    let few = Few::numbers();
    let answer = errno(&mut client, &sized(2, &map(0, 4096, 0)), &[file.as_fd()]);
    drop(few);
    assert_eq!(answer, Errno::MFILE.raw_os_error());
    client.dma_map(0, 4096, Some((file.as_fd(), 0)), true).unwrap();
    drop(client);
    drop((served.join(), file));
    alone.no_leak();
}
