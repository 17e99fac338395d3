//! A guest's memory as an ELF core: what QEMU's `dump-guest-memory` and libvirt's `virsh dump --memory-only` write.
//!
//! Each `PT_LOAD` segment is a range of guest-physical memory at its `p_paddr`. With `paging` several segments may map the same
//! bytes: of what overlaps, the first is kept. Notes, processor state and page tables are left alone.

use super::memory::{MemoryImage, MemoryRegion};
use super::{ImportError, Rule};
use object::Endianness;
use object::elf::{ET_CORE, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

/// Most segments that are read.
const MOST_SEGMENTS: usize = 4096;

/// Whether a file begins as ELF does.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads a core file's memory.
pub fn parse(file: &str, bytes: &[u8]) -> Result<MemoryImage, ImportError> {
    match bytes.get(4) {
        Some(1) => segments::<FileHeader32<Endianness>>(file, bytes),
        Some(2) => segments::<FileHeader64<Endianness>>(file, bytes),
        class => {
            let class = u64::from(class.copied().unwrap_or(0));
            Err(ImportError::value(file, 4, "EI_CLASS", class, Rule::Within(1, 2)))
        }
    }
}

fn segments<H: FileHeader<Endian = Endianness>>(file: &str, bytes: &[u8]) -> Result<MemoryImage, ImportError> {
    let damaged = |offset: usize, field: &str| ImportError::truncated(file, offset, field, 1, bytes.len());
    let header = H::parse(bytes).map_err(|_| damaged(0, "the ELF header"))?;
    let endian = header.endian().map_err(|_| damaged(5, "EI_DATA"))?;
    let kind = header.e_type(endian);
    if kind != ET_CORE {
        return Err(ImportError::value(file, 16, "e_type", u64::from(kind.0), Rule::Is(u64::from(ET_CORE.0))));
    }
    let table = header.program_headers(endian, bytes).map_err(|_| damaged(0, "the program headers"))?;
    if table.len() > MOST_SEGMENTS {
        return Err(ImportError::value(file, 0, "e_phnum", table.len() as u64, Rule::AtMost(MOST_SEGMENTS as u64)));
    }
    let mut loads = Vec::new();
    for (i, segment) in table.iter().enumerate().filter(|(_, segment)| segment.p_type(endian) == PT_LOAD) {
        let (from, len): (u64, u64) = (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        let address: u64 = segment.p_paddr(endian).into();
        let data = segment.data(endian, bytes).map_err(|()| {
            let field = format!("segment {i}");
            ImportError::truncated(file, usize::try_from(from).unwrap_or(usize::MAX), field, len, bytes.len())
        })?;
        if address.checked_add(len).is_none() {
            let rule = Rule::Says("must lie where the segment ends inside 64 bits");
            return Err(ImportError::value(file, 0, format!("segment {i}: p_paddr"), address, rule));
        }
        if !data.is_empty() {
            loads.push((address, i, data));
        }
    }
    if loads.is_empty() {
        return Err(ImportError::value(file, 0, "PT_LOAD segments", 0, Rule::NotZero));
    }
    loads.sort_by_key(|&(address, i, _)| (address, i));
    let mut regions: Vec<MemoryRegion> = Vec::new();
    let (mut end, mut total) = (0, 0);
    for (address, i, data) in loads {
        let skip = usize::try_from(u64::saturating_sub(end, address)).unwrap_or(usize::MAX);
        let Some(data) = data.get(skip..).filter(|data| !data.is_empty()) else { continue };
        let address = address + skip as u64;
        end = address + data.len() as u64;
        // A core holds each byte once; only a hostile one holds more memory than it is long.
        total += data.len();
        if total > bytes.len() {
            return Err(ImportError::TooLarge { file: file.into(), limit: bytes.len() });
        }
        regions.push(MemoryRegion { address, bytes: data.to_vec(), description: format!("segment {i}") });
    }
    Ok(MemoryImage { regions })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core of 64 bits with these segments: address, offset in the file, length.
    fn core(segments: &[(u64, u64, u64)], data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([4u16, 62].map(u16::to_le_bytes).concat());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend([0u64, 64, 0].map(u64::to_le_bytes).concat());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend([64u16, 56, segments.len() as u16, 0, 0, 0].map(u16::to_le_bytes).concat());
        for &(address, offset, len) in segments {
            bytes.extend([1u32, 7].map(u32::to_le_bytes).concat());
            bytes.extend([offset, 0, address, len, len, 0].map(u64::to_le_bytes).concat());
        }
        bytes.extend(data);
        bytes
    }

    #[test]
    fn segments_are_regions_and_what_overlaps_is_kept_once() {
        let at = 64 + 3 * 56;
        // The headers alone make the file longer than what it maps twice.
        let bytes = core(&[(0x2000, at, 4), (0x1000, at, 8), (0x1004, at, 8)], &[1, 2, 3, 4, 5, 6, 7, 8]);
        let image = parse("core", &bytes).unwrap();
        let regions: Vec<_> = image.regions.iter().map(|region| (region.address, region.bytes.clone())).collect();
        let expected = [(0x1000, vec![1, 2, 3, 4, 5, 6, 7, 8]), (0x1008, vec![5, 6, 7, 8]), (0x2000, vec![1, 2, 3, 4])];
        assert_eq!(regions, expected);
        assert_eq!(image.read(0x2001, 2), Some(&[2, 3][..]));
    }

    #[test]
    fn damage_is_named() {
        let say = |bytes: &[u8]| parse("core", bytes).unwrap_err().to_string();
        let whole = core(&[(0x1000, 120, 8)], &[0; 8]);
        assert!(parse("core", &whole).is_ok());
        assert!(say(&whole[..40]).contains("the ELF header"));
        assert!(say(&whole[..100]).contains("the program headers"));
        assert!(say(&whole[..124]).contains("segment 0 needs 8 bytes"));
        let mut program = whole.clone();
        program[16] = 2;
        assert!(say(&program).contains("e_type is 2"));
        assert!(say(&core(&[], &[])).contains("PT_LOAD segments is 0"));
        assert!(say(&core(&[(u64::MAX, 120, 8)], &[0; 8])).contains("p_paddr"));
        assert!(say(b"\x7fELF\x09").contains("EI_CLASS is 9"));
    }

    #[test]
    fn a_file_that_maps_its_bytes_everywhere_is_refused() {
        let many: Vec<_> = (0..2000).map(|i| (i << 20, 64 + 2000 * 56, 1 << 20)).collect();
        let bytes = core(&many, &vec![0; 1 << 20]);
        assert!(parse("core", &bytes).unwrap_err().to_string().contains("more than"));
    }
}
