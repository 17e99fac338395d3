//! Guest memory: what may be reached, what not, and in which order its halves become visible.

use crate::rig::{alone, memfd, pair};
use model::host::DmaFault;
use model::memory::Memory;
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create};
use spec::layout::Bytes as _;
use vnic_golden::vfio_user::proto::{DMA_READ, DMA_WRITE, DmaMap, DmaUnmap};
use vnic_golden::vfio_user::{Errno, LiveMemory, MapError, Shrinking};

fn map(addr: u64, size: u64, offset: u64, flags: u32) -> DmaMap {
    let mut map = DmaMap::default();
    map.set_argsz(DmaMap::SIZE as u32);
    map.set_flags(flags);
    map.set_offset(offset);
    map.set_addr(addr);
    map.set_size(size);
    map
}

fn unmap(addr: u64, size: u64) -> DmaUnmap {
    let mut unmap = DmaUnmap::default();
    unmap.set_addr(addr);
    unmap.set_size(size);
    unmap
}

const BOTH: u32 = DMA_READ | DMA_WRITE;

fn again(file: &OwnedFd) -> Option<OwnedFd> {
    Some(file.try_clone().unwrap())
}

#[test]
fn an_access_needs_memory_the_right_and_every_byte() {
    let alone = alone();
    let file = memfd(0x6000);
    let mut memory = LiveMemory::default();
    memory.map(&map(0x1000, 0x2000, 0, BOTH), again(&file)).unwrap();
    memory.map(&map(0x3000, 0x1000, 0x5000, BOTH), again(&file)).unwrap();
    memory.map(&map(0x4000, 0x1000, 0x2000, DMA_READ), again(&file)).unwrap();
    memory.map(&map(0x5000, 0x1000, 0, BOTH), None).unwrap();
    memory.map(&map(0x8000, 0x1000, 0x3000, DMA_WRITE), again(&file)).unwrap();
    assert_eq!((memory.holes(), memory.shrinkable()), (0x1000, 0));

    // Adjacent maps are one memory, though not in their file.
    memory.write(0x2ffe, &[1, 2, 3, 4]).unwrap();
    let mut there = [0; 2];
    rustix::io::pread(&file, &mut there, 0x5000).unwrap();
    assert_eq!(there, [3, 4]);
    let mut back = [0; 6];
    memory.read(0x2ffd, &mut back).unwrap();
    assert_eq!(back, [0, 1, 2, 3, 4, 0]);
    memory.read(0x3ffe, &mut back[..4]).unwrap();

    for (pa, len) in
        [(0xfff, 1), (0xfff, 2), (0x4fff, 2), (0x5000, 1), (0x8000, 1), (u64::MAX, 1), (u64::MAX, 2), (0, 0)]
    {
        let mut into = vec![7; len];
        assert_eq!(memory.read(pa, &mut into), Err(DmaFault { pa, len }));
        assert!(into.iter().all(|b| *b == 7), "a fault reads nothing");
    }
    for (pa, len) in [(0x3fff, 2), (0x4000, 1), (0x5000, 1), (0x8fff, 2), (0xfff, 3)] {
        assert_eq!(memory.write(pa, &vec![9; len]), Err(DmaFault { pa, len }));
    }
    memory.read(0x3fff, &mut back[..1]).unwrap();
    assert_eq!(back[0], 0, "a fault writes nothing");
    memory.write(0x8000, &[1]).unwrap();

    assert_eq!(memory.cell(0x4ff8), Err(DmaFault { pa: 0x4ff8, len: 16 }));
    assert_eq!(memory.publish(0x3ff8, 1), Err(DmaFault { pa: 0x3ff8, len: 16 }));
    assert_eq!(memory.cell(u64::MAX - 7), Err(DmaFault { pa: u64::MAX - 7, len: 16 }));
    for pa in [0x1000, 0x1008, 0x1004, 0x1001, 0x2ff8, 0x2ff4, 0x2ff1] {
        memory.publish(pa, 0x0123_4567_89ab_cdef_1122_3344_5566_7788).unwrap();
        assert_eq!(memory.cell(pa), Ok(0x0123_4567_89ab_cdef_1122_3344_5566_7788));
        let mut bytes = [0; 16];
        memory.read(pa, &mut bytes).unwrap();
        assert_eq!(u128::from_le_bytes(bytes), 0x0123_4567_89ab_cdef_1122_3344_5566_7788);
    }

    memory.unmap(&unmap(0x1000, 0x2000)).unwrap();
    assert!(memory.read(0x1000, &mut [0]).is_err());
    memory.read(0x3000, &mut [0]).unwrap();
    memory.map(&map(0x1000, 0x1000, 0, BOTH), again(&file)).unwrap();
    memory.read(0x1000, &mut [0]).unwrap();
    assert!(memory.read(0x2000, &mut [0]).is_err());
    drop((memory, file));
    alone.no_leak();
}

#[test]
fn only_files_that_reach_far_enough_are_mapped() {
    let alone = alone();
    let mut memory = LiveMemory::default();
    let short = memfd(0x1fff);
    let refused = memory.map(&map(0, 0x2000, 0, BOTH), again(&short)).unwrap_err();
    assert_eq!(refused, MapError::Beyond { len: 0x1fff, needs: 0x2000 });
    assert_eq!(refused.to_string(), "the file has 0x1fff bytes, 0x2000 are mapped");
    let (socket, _peer) = pair();
    assert_eq!(memory.map(&map(0, 0x1000, 0, BOTH), Some(socket)), Err(MapError::NotAFile));
    let folder = std::fs::File::open("/").unwrap();
    assert_eq!(memory.map(&map(0, 0x1000, 0, DMA_READ), Some(folder.into())), Err(MapError::NotAFile));
    let zero = std::fs::File::open("/dev/zero").unwrap();
    assert_eq!(memory.map(&map(0, 0x1000, 0, DMA_READ), Some(zero.into())), Err(MapError::NotAFile));
    let read_only = std::fs::File::open("/proc/self/exe").unwrap();
    let denied = MapError::System(Errno::ACCESS);
    assert_eq!(memory.map(&map(0, 0x1000, 0, BOTH), Some(read_only.into())), Err(denied));
    assert_eq!(memory.maps().count(), 0);
    drop((memory, short, _peer));
    alone.no_leak();
}

#[test]
fn a_mapped_file_cannot_shrink_if_that_can_be_had() {
    let _alone = alone();
    let file = memfd(0x1000);
    let mut memory = LiveMemory::new(Shrinking::Refused);
    memory.map(&map(0, 0x1000, 0, BOTH), again(&file)).unwrap();
    assert!(fcntl_get_seals(&file).unwrap().contains(SealFlags::SHRINK));
    assert_eq!(ftruncate(&file, 0), Err(Errno::PERM), "it would be a SIGBUS");

    let stubborn = memfd_create("stubborn", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&stubborn, 0x1000).unwrap();
    assert_eq!(memory.map(&map(0x1000, 0x1000, 0, BOTH), again(&stubborn)), Err(MapError::Shrinks));
    let mut memory = LiveMemory::new(Shrinking::Taken);
    memory.map(&map(0x1000, 0x1000, 0, BOTH), again(&stubborn)).unwrap();
    assert_eq!(memory.shrinkable(), 1);
    // As QEMU's memory backend does it.
    let qemus = memfd(0x1000);
    fcntl_add_seals(&qemus, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL).unwrap();
    LiveMemory::new(Shrinking::Refused).map(&map(0, 0x1000, 0, BOTH), Some(qemus)).unwrap();
}

#[test]
fn whoever_sees_the_ownership_bit_sees_the_whole_cell() {
    let _alone = alone();
    let file = memfd(0x1000);
    let rounds = 1_000_000u64;
    let mine = |file| {
        let mut memory = LiveMemory::default();
        memory.map(&map(0, 0x1000, 0, BOTH), file).unwrap();
        memory
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let device = mine(again(&file));
            for round in 1..=rounds {
                device.publish(64, u128::from(round) << 64 | u128::from(round)).unwrap();
            }
        });
        let driver = mine(again(&file));
        let mut seen = 0;
        while seen < rounds {
            let cell = driver.cell(64).unwrap();
            let (high, low) = ((cell >> 64) as u64, cell as u64);
            assert!(high >= seen && low >= high, "the half with the bit came first: {high} {low}");
            seen = high;
        }
    });
}

/// What is done to two memories alike.
#[derive(Clone, Debug)]
enum Op {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Cell(u64),
    Publish(u64, u128),
}

fn op() -> impl Strategy<Value = Op> {
    let pa = prop_oneof![0xf00u64..0x1100, 0x1f00u64..0x2100, 0x4f00u64..0x5100, 0x6f00u64..0x7100, Just(u64::MAX)];
    prop_oneof![
        (pa.clone(), 0usize..300).prop_map(|(pa, len)| Op::Read(pa, len)),
        (pa.clone(), vec(any::<u8>(), 0..300)).prop_map(|(pa, bytes)| Op::Write(pa, bytes)),
        pa.clone().prop_map(Op::Cell),
        (pa, any::<u128>()).prop_map(|(pa, cell)| Op::Publish(pa, cell)),
    ]
}

proptest! {
    /// Mapped memory answers as the model's own does, whatever pieces it is mapped in.
    #[test]
    fn mapped_memory_is_the_models_memory(ops in vec(op(), 1..60), cuts in vec(1u64..6, 0..3)) {
        let _alone = alone();
        let file = memfd(0x10000);
        let mut live = LiveMemory::default();
        let mut edges: Vec<u64> = cuts.iter().map(|page| 0x1000 + page * 0x1000).chain([0x1000, 0x7000]).collect();
        edges.sort_unstable();
        edges.dedup();
        for part in edges.windows(2).rev() {
            // In the file the pieces lie in another order.
            live.map(&map(part[0], part[1] - part[0], 0x8000 - part[1], BOTH), again(&file)).unwrap();
        }
        let mut model = Memory::new(&[(0x1000, 0x6000)]);
        for op in ops {
            match op {
                Op::Read(pa, len) => {
                    let (mut a, mut b) = (vec![0; len], vec![0; len]);
                    let (ours, its) = (live.read(pa, &mut a), model.read(pa, &mut b));
                    prop_assert!(len == 0 || ours == its, "{:?} {:?}", ours, its);
                    prop_assert_eq!(a, b);
                }
                Op::Write(pa, bytes) => {
                    let (ours, its) = (live.write(pa, &bytes), model.write(pa, &bytes));
                    prop_assert!(bytes.is_empty() || ours == its, "{:?} {:?}", ours, its);
                }
                Op::Cell(pa) => prop_assert_eq!(live.cell(pa), model.cell(pa)),
                Op::Publish(pa, cell) => prop_assert_eq!(live.publish(pa, cell), model.write(pa, &cell.to_le_bytes())),
            }
        }
    }
}
