//! A conversation like QEMU's, from the version to the hang-up.

use crate::rig::{BAR, Small, VECTORS, alone, greeted, memfd, qemu, serve};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::AsFd as _;
use spec::layout::Bytes as _;
use vnic_golden::vfio_user::proto::{
    CAP_SPARSE_MMAP, CapHeader, DEVICE_PCI, DEVICE_RESET, IRQ_ACTION_TRIGGER, IRQ_DATA_EVENTFD, IRQ_DATA_NONE, MAX_FDS,
    MAX_XFER, REGION_CAPS, REGION_MMAP, REGION_READ, REGION_WRITE, RegionHead, Request,
};
use vnic_golden::vfio_user::{Hangup, irq, region};

#[test]
fn a_boot_as_qemu_does_it() {
    let alone = alone();
    let (mut client, served) = serve(Small::new());
    let caps = client.version(&qemu()).unwrap();
    assert_eq!((caps.max_msg_fds, caps.max_data_xfer_size), (MAX_FDS as u64, MAX_XFER as u64));
    assert!(caps.write_multiple);

    let ram = memfd(0x10_0000);
    client.dma_map(0, 0xa_0000, Some((ram.as_fd(), 0)), true).unwrap();
    client.dma_map(0xa_0000, 0x2_0000, None, true).unwrap();
    client.dma_map(0xc_0000, 0x1_0000, Some((ram.as_fd(), 0xc_0000)), false).unwrap();

    let info = client.device_info().unwrap();
    assert_eq!((info.flags(), info.num_regions(), info.num_irqs()), (DEVICE_RESET | DEVICE_PCI, 9, 5));
    let sizes: Vec<_> = (0..9).map(|i| client.region_info(i).unwrap().head.size()).collect();
    assert_eq!(sizes, [BAR as u64, 16, BAR as u64, 0, 0, 0, 0, 256, 0]);
    assert_eq!(client.region_info(1).unwrap().head.flags(), REGION_READ);
    let vectors: Vec<_> = (0..5).map(|i| client.irq_info(i).unwrap().count()).collect();
    assert_eq!(vectors, [1, 0, VECTORS, 0, 0]);

    let mut config = [0; 256];
    client.read(region::CONFIG, 0, &mut config).unwrap();
    assert!(config.iter().copied().eq(0..=255));
    client.write(region::BAR0, 8, &[1, 2, 3, 4]).unwrap();
    client.post_write(region::BAR0, 12, &[5]).unwrap();
    assert_eq!(client.write_multi(&[(0, 16, 0x0807, 2), (0, 18, 9, 1), (7, 4, 6, 2)]).unwrap(), 3);
    let mut bar = [0; 12];
    client.read(region::BAR0, 8, &mut bar).unwrap();
    assert_eq!(bar, [1, 2, 3, 4, 5, 0, 0, 0, 7, 8, 9, 0]);

    // A first vector comes without an eventfd; then all are taken away and sent again, in parts of what fits a message.
    let fds: Vec<_> = (0..VECTORS).map(|_| eventfd(0, EventfdFlags::NONBLOCK).unwrap()).collect();
    let assign = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
    client.set_irqs(irq::MSIX, assign, 0, 1, &[], &[]).unwrap();
    client.set_irqs(irq::MSIX, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, 0, 0, &[], &[]).unwrap();
    for (i, part) in fds.chunks(MAX_FDS).enumerate() {
        let part: Vec<_> = part.iter().map(|fd| fd.as_fd()).collect();
        client.set_irqs(irq::MSIX, assign, (i * MAX_FDS) as u32, part.len() as u32, &[], &part).unwrap();
    }
    client.set_irqs(irq::MSIX, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, 9, 1, &[], &[]).unwrap();
    let fired: Vec<_> = (0..VECTORS).filter(|i| rustix::io::read(&fds[*i as usize], &mut [0; 8]).is_ok()).collect();
    assert_eq!(fired, [9]);

    client.reset().unwrap();
    client.reset().unwrap();
    client.dma_unmap(0, 0xa_0000, 0).unwrap();
    client.dma_map(0, 0xa_0000, Some((ram.as_fd(), 0)), true).unwrap();
    drop(client);
    let (device, hangup, counters) = served.join();
    assert_eq!(hangup, Hangup::Closed);
    assert_eq!((counters.refused, counters.last_refusal), (0, None));
    assert_eq!(device.count("reset"), 2);
    assert_eq!(device.count("gone"), 1);
    let maps: Vec<_> = device.log.iter().filter(|line| line.contains("map")).collect();
    assert_eq!(maps, ["map 0x0 file", "map 0xa0000 nothing", "map 0xc0000 file", "unmap 0x0", "map 0x0 file"]);
    drop((device, ram, fds));
    alone.no_leak();
}

#[test]
fn a_mapped_region_comes_with_its_parts_and_its_file() {
    let _alone = alone();
    let (mut client, served) = greeted();
    let bar = client.region_info(2).unwrap();
    assert_eq!(bar.head.flags(), REGION_READ | REGION_WRITE | REGION_MMAP | REGION_CAPS);
    assert_eq!((bar.areas.len(), bar.areas[0].offset(), bar.areas[0].size()), (1, 0, BAR as u64));
    let theirs = bar.fd.expect("a file");
    drop(client);
    let (device, _, _) = served.join();
    rustix::io::pwrite(&theirs, b"seen", 8).unwrap();
    let mut seen = [0; 4];
    rustix::io::pread(&device.page, &mut seen, 8).unwrap();
    assert_eq!(&seen, b"seen", "it is the device's own page");
}

/// QEMU asks with room for the structure alone, and allocates by the answer. Source: qemu hw/vfio/region.c, vfio_get_region_info;
/// hw/vfio-user/device.c, vfio_user_device_io_get_region_info, which says EINVAL to flags that announce capabilities at offset 0.
#[test]
fn a_short_reply_says_that_there_is_more_how_much_and_where() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    let mut asked = RegionHead::default();
    asked.set_index(2);
    let mut whole = 0;
    for room in [RegionHead::SIZE as u32, RegionHead::SIZE as u32 + 1, 4096] {
        asked.set_argsz(room);
        let reply = client.call(&Request::DeviceGetRegionInfo(asked), &[]).unwrap();
        let head = RegionHead::get(&reply.body);
        assert_eq!(head.flags(), REGION_READ | REGION_WRITE | REGION_MMAP | REGION_CAPS, "in {room} bytes");
        let least = (RegionHead::SIZE + CapHeader::SIZE) as u32;
        assert!(head.argsz() >= least, "argsz {} of the whole, in {room} bytes", head.argsz());
        assert!(head.cap_offset() as usize >= RegionHead::SIZE, "cap_offset {} in {room} bytes", head.cap_offset());
        assert!(head.cap_offset() + (CapHeader::SIZE as u32) <= head.argsz());
        assert!(reply.body.len() as u32 <= room, "no more than was asked for");
        whole = head.argsz();
    }
    asked.set_argsz(whole);
    let reply = client.call(&Request::DeviceGetRegionInfo(asked), &[]).unwrap();
    assert_eq!(reply.body.len() as u32, whole, "the second reply is the whole");
    let at = RegionHead::get(&reply.body).cap_offset() as usize;
    assert_eq!(CapHeader::get(&reply.body[at..]).id(), CAP_SPARSE_MMAP);
}

#[test]
fn a_peer_that_takes_no_descriptor_is_offered_no_mapping() {
    let _alone = alone();
    let (mut client, _served) = serve(Small::new());
    client.version(&vnic_golden::vfio_user::caps::Capabilities { max_msg_fds: 0, ..qemu() }).unwrap();
    assert_eq!(client.region_info(2).unwrap().head.flags(), REGION_READ | REGION_WRITE);
}

#[test]
fn a_refused_write_of_several_leaves_the_others() {
    let _alone = alone();
    let (mut client, served) = greeted();
    let refused = client.write_multi(&[(0, 0, 1, 1), (0, 1, 0xee, 1), (0, 4095, 7, 2), (0, 2, 3, 1)]).unwrap_err();
    assert_eq!(refused.to_string(), "REGION_WRITE_MULTI: Input/output error (os error 5)");
    let mut bar = [0; 3];
    client.read(0, 0, &mut bar).unwrap();
    assert_eq!(bar, [1, 0, 3]);
    drop(client);
    assert_eq!(served.join().2.refused, 1);
}
