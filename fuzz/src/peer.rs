//! A vfio-user peer that sends any bytes with any descriptors, in any pieces.

use golden::vfio_user::proto::{DmaMap, DmaUnmap, IRQ_EVENTFD, MAX_FDS};
use golden::vfio_user::{
    Device, Errno, Hangup, IrqChange, IrqInfo, LiveMemory, MAX_DMA_MAPS, Mapping, Migration, RegionInfo, Session,
    Vectors, irq, region,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    recv, sendmsg, shutdown, socketpair,
};
use std::mem::MaybeUninit;
use std::ops::Range;

const BAR: usize = 4096;
const VECTORS: u32 = 8;

/// A BAR of plain memory, of which each aligned 8-byte write also names guest memory to copy about, as a doorbell would. It can be
/// moved: its state is what was written as one.
struct Tiny {
    bar: Vec<u8>,
    page: OwnedFd,
    memory: LiveMemory,
    msix: Vectors,
    standing: Migration,
    state: Vec<u8>,
    /// Bytes of the state that were read.
    read: usize,
    /// The next read is answered late.
    late: bool,
    gone: u32,
}

impl Device for Tiny {
    fn region(&self, index: u32) -> RegionInfo<'_> {
        let plain = |size| RegionInfo { size, read: true, write: true, mapping: None };
        match index {
            region::BAR0 => plain(BAR as u64),
            1 => RegionInfo { mapping: Some(Mapping { fd: self.page.as_fd(), offset: 0, areas: &[] }), ..plain(4096) },
            region::CONFIG => RegionInfo { write: false, ..plain(256) },
            _ => RegionInfo::default(),
        }
    }

    fn irq(&self, index: u32) -> IrqInfo {
        if index == irq::MSIX { IrqInfo { count: VECTORS, flags: IRQ_EVENTFD } } else { IrqInfo::default() }
    }

    fn read(&mut self, _: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        assert!(!into.is_empty());
        into.copy_from_slice(&self.bar[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        assert!(region < 2 && !bytes.is_empty());
        self.bar[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        if let Ok(pa) = bytes.try_into().map(u64::from_le_bytes) {
            self.work(pa).map_err(|_| Errno::FAULT)?;
            self.msix.fire(pa as u32 % VECTORS);
        }
        Ok(())
    }

    fn dma_map(&mut self, map: &DmaMap, fd: Option<OwnedFd>) -> Result<(), Errno> {
        Ok(self.memory.map(map, fd)?)
    }

    fn dma_unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno> {
        Ok(self.memory.unmap(unmap)?)
    }

    fn set_irqs(&mut self, index: u32, range: Range<u32>, change: IrqChange<'_>) -> Result<(), Errno> {
        assert!(index == irq::MSIX && range.start <= range.end && range.end <= VECTORS);
        self.msix.apply(range, change)
    }

    fn migration(&self) -> Option<Migration> {
        Some(self.standing)
    }

    fn migrate(&mut self, to: Migration) -> Result<(), Errno> {
        assert!((self.standing == Migration::Stop) != (to == Migration::Stop), "over STOP, one step at a time");
        match to {
            Migration::StopCopy => self.read = 0,
            Migration::Resuming => self.state.clear(),
            Migration::Stop | Migration::Running => {}
        }
        self.standing = to;
        Ok(())
    }

    fn read_state(&mut self, into: &mut [u8]) -> Result<Option<usize>, Errno> {
        if self.standing != Migration::StopCopy {
            return Err(Errno::INVAL);
        }
        self.late = !self.late;
        if self.late {
            return Ok(None);
        }
        let count = into.len().min(self.state.len() - self.read);
        into[..count].copy_from_slice(&self.state[self.read..][..count]);
        self.read += count;
        Ok(Some(count))
    }

    fn write_state(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.standing != Migration::Resuming || self.state.len() + bytes.len() > BAR {
            return Err(Errno::INVAL);
        }
        self.state.extend_from_slice(bytes);
        Ok(())
    }

    fn reset(&mut self) {
        self.bar.fill(0);
        self.msix.forget();
    }

    fn gone(&mut self) {
        self.gone += 1;
        self.memory.clear();
        self.msix.clear();
    }
}

impl Tiny {
    fn work(&self, pa: u64) -> Result<(), model::host::DmaFault> {
        let cell = self.memory.cell(pa)?;
        let mut frame = [0; 100];
        self.memory.read(pa, &mut frame)?;
        self.memory.write(pa.wrapping_add(1), &frame)?;
        self.memory.publish(pa, cell ^ 1 << 127)
    }
}

/// Whether no writing end of the pipe is left open but the caller's, which is dropped here.
fn all_closed(pipe: &OwnedFd, ours: OwnedFd) -> bool {
    drop(ours);
    let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).expect("a poll") > 0 && fds[0].revents().contains(PollFlags::HUP)
}

/// Pieces, each after a byte of flags and two of length: bits 0 to 3 how many descriptors come along, bits 4 and 5 of which
/// kind, bit 6 the server gets no turn yet, bit 7 the header's size is put right.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let (&[flags, low, high], rest) = data.split_first_chunk::<3>()?;
        let (piece, rest) = rest.split_at(usize::from(u16::from_le_bytes([low, high])).min(rest.len()));
        data = rest;
        Some((flags, piece))
    })
}

/// A session against any peer: no panic, work in proportion to what was sent, and afterwards nothing mapped and nothing open.
pub fn vfio_user(data: &[u8]) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket pair");
    let (reading, writing) = rustix::pipe::pipe().expect("a pipe");
    let guest = memfd_create("guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a file");
    ftruncate(&guest, 1 << 16).expect("room");
    let event = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let page = memfd_create("page", MemfdFlags::CLOEXEC).expect("a file");
    let mut device = Tiny {
        bar: vec![0; BAR],
        page,
        memory: LiveMemory::default(),
        msix: Vectors::new(VECTORS),
        standing: Migration::Running,
        state: Vec::new(),
        read: 0,
        late: false,
        gone: 0,
    };
    let mut session = Session::new(ours);
    let mut sent = 0;
    let mut over = false;
    for (flags, piece) in pieces(data) {
        let mut piece = piece.to_vec();
        if flags & 0x80 != 0 && piece.len() >= 16 {
            let size = (piece.len() as u32).to_le_bytes();
            piece[4..8].copy_from_slice(&size);
        }
        let fd = [guest.as_fd(), event.as_fd(), writing.as_fd(), writing.as_fd()][usize::from(flags >> 4 & 3)];
        sent += send(&theirs, &piece, &vec![fd; usize::from(flags & 15)]);
        if flags & 0x40 == 0 {
            over = turn(&mut session, &mut device, &theirs).is_err();
            if over {
                break;
            }
        }
        assert!(device.memory.maps().count() <= MAX_DMA_MAPS);
        assert!(device.msix.assigned() <= VECTORS as usize);
    }
    shutdown(&theirs, Shutdown::Write).expect("our own socket");
    if !over {
        let hangup = turn(&mut session, &mut device, &theirs).expect_err("the peer is gone");
        assert!(!matches!(hangup, Hangup::Socket(_)), "{hangup}");
    }
    assert!(session.counters().messages <= sent as u64 / 16, "more messages than headers");
    assert_eq!(session.pump(&mut device), Err(Hangup::Closed));
    assert_eq!((device.gone, device.memory.maps().count(), device.msix.assigned()), (1, 0, 0));
    drop((session, theirs));
    assert!(all_closed(&reading, writing), "a descriptor is still open");
}

/// Bytes that left; a full socket takes no more.
fn send(socket: &OwnedFd, piece: &[u8], fds: &[BorrowedFd<'_>]) -> usize {
    assert!(fds.len() <= 2 * MAX_FDS);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)), "room for all");
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if piece.is_empty() {
        return 0;
    }
    sendmsg(socket, &[rustix::io::IoSlice::new(piece)], &mut control, flags).unwrap_or(0)
}

/// Handles all that was sent, and takes what comes back. Descriptors in replies have no room here: the kernel closes them.
fn turn(session: &mut Session, device: &mut Tiny, peer: &OwnedFd) -> Result<(), Hangup> {
    let mut replies = [0; 8192];
    loop {
        let pumped = session.pump(device)?;
        let taken = recv(peer, &mut replies[..], RecvFlags::DONTWAIT).map_or(0, |(bytes, _)| bytes);
        let mut fds = [PollFd::from_borrowed_fd(session.as_fd(), session.interest())];
        let waiting = poll(&mut fds, Some(&Timespec::default())).expect("a poll") > 0;
        if pumped.messages == 0 && taken == 0 && !waiting {
            return Ok(());
        }
    }
}
