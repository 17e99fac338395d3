//! The container of a saved state: a header, then flat parts, one an object, none inside another.
//!
//! A saved state is untrusted input: unknown versions, kinds and left-over bytes are refused, naming what and where.

use spec::layout::{Bytes, Declared};

spec::layout! {
    /// What every saved state begins with.
    pub struct Header([u8; 24]) = "Header" {
        /// [`MAGIC`].
        [0..8] magic, set_magic: u64;
        /// [`CONTAINER_VERSION`].
        [8..10] version, set_version: u16;
        /// Number of the profile that saved it.
        [10..12] profile, set_profile: u16;
        /// Parts that follow.
        [12..16] parts, set_parts: u32;
        /// Bytes of the whole, header included.
        [16..24] length, set_length: u64;
    }
}

spec::layout! {
    /// What every part begins with.
    pub struct PartHeader([u8; 12]) = "PartHeader" {
        /// Kind of object.
        [0..2] kind, set_kind: u16;
        /// Which one of its kind.
        [2..4] index, set_index: u16;
        /// Version of its layout.
        [4..6] version, set_version: u16;
        /// Zero.
        [6..8] rsvd, set_rsvd: u16;
        /// Bytes that follow.
        [8..12] length, set_length: u32;
    }
}

/// First word of a saved state: "VNICSAVE" in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VNICSAVE");
/// The container's version.
pub const CONTAINER_VERSION: u16 = 1;

/// Why a saved state was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It does not begin with [`MAGIC`].
    #[error("not a saved state: magic {found:#x}")]
    Magic {
        /// What stood there.
        found: u64,
    },
    /// The container is of another version.
    #[error("saved state is version {found}; this build reads up to {newest}")]
    Version {
        /// Its version.
        found: u16,
        /// The newest we read.
        newest: u16,
    },
    /// The profile is unknown.
    #[error("profile {found} is unknown")]
    Profile {
        /// Its number.
        found: u16,
    },
    /// It ends too early.
    #[error("saved state ends at byte {at}, {missing} bytes short")]
    Truncated {
        /// Where it ends.
        at: usize,
        /// Bytes that are missing at least.
        missing: usize,
    },
    /// Something follows the last part.
    #[error("{extra} bytes after the last part, at byte {at}")]
    LeftOver {
        /// Where the last part ends.
        at: usize,
        /// Bytes that follow.
        extra: usize,
    },
    /// A part of a kind or version that this build does not know, or that may not stand here.
    #[error("part {kind} index {index} version {version} at byte {at} is unknown or out of place")]
    Part {
        /// Its kind.
        kind: u16,
        /// Its index.
        index: u16,
        /// Its version.
        version: u16,
        /// Where it begins.
        at: usize,
    },
    /// A part is longer or shorter than its layout.
    #[error("{part} {index}: length {found} where {expected} is due")]
    Length {
        /// The part.
        part: &'static str,
        /// Its index.
        index: u16,
        /// Its length in bytes.
        found: u32,
        /// The layout's.
        expected: u32,
    },
    /// A part that must be there is not.
    #[error("{part} {index} is missing")]
    Missing {
        /// The part.
        part: &'static str,
        /// Its index.
        index: u16,
    },
    /// A field holds what no device of the profile could hold.
    #[error("{part} {index}: {field} {value:#x} is out of range")]
    Field {
        /// The part.
        part: &'static str,
        /// Its index.
        index: u16,
        /// The field, by the name in the layout.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

/// Writes a saved state, reusing the caller's buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    parts: u32,
    profile: u16,
}

impl<'a> Writer<'a> {
    /// Begins; what `out` held is gone.
    pub fn new(out: &'a mut Vec<u8>, profile: u16) -> Self {
        out.clear();
        out.resize(Header::SIZE, 0);
        Self { out, parts: 0, profile }
    }

    /// Appends a part from raw bytes.
    pub fn raw(&mut self, kind: u16, index: u16, bytes: &[u8]) {
        let mut header = PartHeader::default();
        header.set_kind(kind);
        header.set_index(index);
        header.set_version(1);
        header.set_length(bytes.len() as u32);
        self.out.extend_from_slice(&header.0);
        self.out.extend_from_slice(bytes);
        self.parts += 1;
    }

    /// Ends: the header becomes valid.
    pub fn finish(self) {
        let mut header = Header::default();
        header.set_magic(MAGIC);
        header.set_version(CONTAINER_VERSION);
        header.set_profile(self.profile);
        header.set_parts(self.parts);
        header.set_length(self.out.len() as u64);
        header.put(&mut self.out[..Header::SIZE]);
    }
}

/// One part as it stands in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Kind of object.
    pub kind: u16,
    /// Which one.
    pub index: u16,
    /// Where its header begins.
    pub at: usize,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Part<'_> {
    /// Its bytes as a declared layout of the same length.
    ///
    /// # Errors
    /// When the length differs.
    pub fn read<T: Declared>(&self) -> Result<T, RestoreError> {
        if self.bytes.len() != T::SIZE {
            let expected = T::SIZE as u32;
            let found = self.bytes.len() as u32;
            return Err(RestoreError::Length { part: T::LAYOUT.name, index: self.index, found, expected });
        }
        Ok(T::get(self.bytes))
    }

    /// That it is of no kind that may stand here.
    pub fn unknown(&self) -> RestoreError {
        RestoreError::Part { kind: self.kind, index: self.index, version: 1, at: self.at }
    }
}

/// Reads a saved state part by part.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    parts: u32,
    profile: u16,
}

fn take(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], RestoreError> {
    let missing = len.saturating_sub(bytes.len() - at);
    bytes.get(at..at.saturating_add(len)).ok_or(RestoreError::Truncated { at: bytes.len(), missing })
}

impl<'a> Reader<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// When it is truncated, foreign, of another version, or its length is not that of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RestoreError> {
        let header = Header::get(take(bytes, 0, Header::SIZE)?);
        if header.magic() != MAGIC {
            return Err(RestoreError::Magic { found: header.magic() });
        }
        if header.version() != CONTAINER_VERSION {
            return Err(RestoreError::Version { found: header.version(), newest: CONTAINER_VERSION });
        }
        let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
        if length > bytes.len() {
            return Err(RestoreError::Truncated { at: bytes.len(), missing: length - bytes.len() });
        }
        if length < bytes.len() {
            return Err(RestoreError::LeftOver { at: length, extra: bytes.len() - length });
        }
        Ok(Self { bytes, at: Header::SIZE, parts: header.parts(), profile: header.profile() })
    }

    /// Number of the profile that saved it.
    pub fn profile(&self) -> u16 {
        self.profile
    }

    /// The next part, or `None` after the last.
    ///
    /// # Errors
    /// When it is truncated or of an unknown version, or when bytes follow the last part.
    pub fn next_part(&mut self) -> Result<Option<Part<'a>>, RestoreError> {
        if self.parts == 0 {
            return match self.bytes.len() - self.at {
                0 => Ok(None),
                extra => Err(RestoreError::LeftOver { at: self.at, extra }),
            };
        }
        let at = self.at;
        let header = PartHeader::get(take(self.bytes, at, PartHeader::SIZE)?);
        let (kind, index, version) = (header.kind(), header.index(), header.version());
        if version != 1 || header.rsvd() != 0 {
            return Err(RestoreError::Part { kind, index, version, at });
        }
        let bytes = take(self.bytes, at + PartHeader::SIZE, header.length() as usize)?;
        self.at = at + PartHeader::SIZE + bytes.len();
        self.parts -= 1;
        Ok(Some(Part { kind, index, at, bytes }))
    }
}
