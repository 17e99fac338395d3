//! What `DEVICE_SET_IRQS` takes and refuses.

use crate::rig::{VECTORS, alone, greeted, memfd};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd as _, OwnedFd};
use vnic_golden::vfio_user::proto::{
    IRQ_ACTION_MASK, IRQ_ACTION_TRIGGER, IRQ_ACTION_UNMASK, IRQ_DATA_BOOL, IRQ_DATA_EVENTFD, IRQ_DATA_NONE, MAX_FDS,
};
use vnic_golden::vfio_user::{ClientError, Errno, irq};

fn taken(fd: &OwnedFd) -> bool {
    rustix::io::read(fd, &mut [0; 8]).is_ok()
}

fn refused(result: Result<(), ClientError>) -> Errno {
    match result {
        Err(ClientError::Refused { errno, .. }) => errno,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn booleans_pick_vectors() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    let fds: Vec<_> = (0..4).map(|_| eventfd(0, EventfdFlags::NONBLOCK).unwrap()).collect();
    let all: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    client.set_irqs(irq::MSIX, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, 3, 4, &[], &all).unwrap();
    client.set_irqs(irq::MSIX, IRQ_DATA_BOOL | IRQ_ACTION_TRIGGER, 4, 3, &[1, 0, 9], &[]).unwrap();
    assert_eq!(fds.iter().map(taken).collect::<Vec<_>>(), [false, true, false, true]);
    // Assigning none takes them away; the interrupt then waits.
    client.set_irqs(irq::MSIX, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, 3, 4, &[], &[]).unwrap();
    client.set_irqs(irq::MSIX, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, 3, 1, &[], &[]).unwrap();
    assert!(!taken(&fds[0]));
    client.set_irqs(irq::MSIX, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, 3, 1, &[], &all[..1]).unwrap();
    assert!(taken(&fds[0]));
}

#[test]
fn a_masked_line_waits_for_its_unmasking() {
    let _alone = alone();
    let (mut client, _served) = greeted();
    let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    client.set_irqs(irq::INTX, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER, 0, 1, &[], &[fd.as_fd()]).unwrap();
    client.set_irqs(irq::INTX, IRQ_DATA_NONE | IRQ_ACTION_MASK, 0, 1, &[], &[]).unwrap();
    client.set_irqs(irq::INTX, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, 0, 1, &[], &[]).unwrap();
    assert!(!taken(&fd));
    client.set_irqs(irq::INTX, IRQ_DATA_NONE | IRQ_ACTION_UNMASK, 0, 1, &[], &[]).unwrap();
    assert!(taken(&fd));
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let alone = alone();
    let (mut client, served) = greeted();
    let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let file = memfd(4096);
    let assign = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
    let fire = IRQ_DATA_NONE | IRQ_ACTION_TRIGGER;
    let (one, two) = ([fd.as_fd()], [fd.as_fd(), fd.as_fd()]);
    let many = vec![fd.as_fd(); MAX_FDS + 1];
    type Call<'a> = (u32, u32, u32, u32, &'a [u8], &'a [rustix::fd::BorrowedFd<'a>]);
    let calls: &[(Call<'_>, Errno)] = &[
        ((5, fire, 0, 1, &[], &[]), Errno::INVAL),
        ((u32::MAX, fire, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire, VECTORS, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire, VECTORS + 1, 0, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire, 1, VECTORS, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire, u32::MAX, 2, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire, 1, u32::MAX, &[], &[]), Errno::INVAL),
        ((irq::MSI, fire, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, 0, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, !IRQ_DATA_BOOL, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, IRQ_DATA_NONE, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, IRQ_ACTION_TRIGGER, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire | IRQ_ACTION_MASK, 0, 1, &[], &[]), Errno::INVAL),
        ((irq::MSIX, fire | IRQ_DATA_BOOL, 0, 1, &[1], &[]), Errno::INVAL),
        ((irq::MSIX, IRQ_DATA_BOOL | IRQ_ACTION_TRIGGER, 0, 3, &[1, 1], &[]), Errno::INVAL),
        ((irq::MSIX, IRQ_DATA_BOOL | IRQ_ACTION_TRIGGER, 0, 1, &[1, 1], &[]), Errno::INVAL),
        ((irq::MSIX, IRQ_DATA_EVENTFD | IRQ_ACTION_UNMASK, 0, 1, &[], &one), Errno::INVAL),
        ((irq::MSIX, assign, 0, 0, &[], &[]), Errno::INVAL),
        ((irq::MSIX, assign, 0, 1, &[], &two), Errno::MFILE),
        ((irq::MSIX, assign, 0, 3, &[], &two), Errno::MFILE),
        ((irq::MSIX, assign, 0, MAX_FDS as u32 + 1, &[], &many), Errno::MFILE),
        ((irq::MSIX, assign, VECTORS - 1, 2, &[], &two), Errno::INVAL),
        ((irq::MSIX, fire, 0, 1, &[], &one), Errno::MFILE),
        ((irq::MSIX, fire, 0, 0, &[], &one), Errno::MFILE),
        ((irq::MSIX, assign, 0, 1, &[], &[file.as_fd()]), Errno::INVAL),
    ];
    for ((index, flags, start, count, bools, fds), errno) in calls {
        let result = client.set_irqs(*index, *flags, *start, *count, bools, fds);
        assert_eq!(refused(result), *errno, "{index} {flags:#x} {start}+{count} {bools:?} {}", fds.len());
    }
    assert!(!taken(&fd));
    // What does not exist can be disabled; the device hears nothing of it.
    client.set_irqs(irq::MSI, fire, 0, 0, &[], &[]).unwrap();
    drop(client);
    let (device, _, counters) = served.join();
    assert_eq!(counters.refused, calls.len() as u64);
    assert_eq!(device.log, ["gone"]);
    drop((device, fd, file));
    alone.no_leak();
}
