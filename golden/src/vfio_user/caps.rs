//! What the version exchange agrees on: JSON, bounded before it is parsed.
//!
//! Source: vfio-user.rst, VFIO_USER_VERSION; defaults are those stated there.

use super::memory::{MAX_DMA_MAPS, PAGE};
use super::proto::{MAX_FDS, MAX_VERSION_DATA, MAX_XFER};
use serde::{Deserialize, Serialize};

/// What one side can take. Names we do not know are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Capabilities {
    /// Most descriptors in one message to it.
    pub max_msg_fds: u64,
    /// Most data bytes in one access.
    pub max_data_xfer_size: u64,
    /// Most maps of guest memory at a time.
    pub max_dma_maps: u64,
    /// Page sizes of maps, or'ed together.
    pub pgsizes: u64,
    /// `REGION_WRITE_MULTI` is understood.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub write_multiple: bool,
}

impl Default for Capabilities {
    /// What a side has that says nothing.
    fn default() -> Self {
        Self { max_msg_fds: 1, max_data_xfer_size: 1 << 20, max_dma_maps: 65535, pgsizes: 4096, write_multiple: false }
    }
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct VersionData {
    capabilities: Capabilities,
}

/// Why a version string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVersionData {
    /// Longer than any honest one.
    #[error("version data is {len} bytes, {MAX_VERSION_DATA} at most")]
    Long {
        /// Its bytes.
        len: usize,
    },
    /// A string ends with its NUL.
    #[error("version data does not end with a NUL")]
    NoNul,
    /// Not JSON of the expected shape.
    #[error("version data is not a JSON object of capabilities, at line {line} column {column}")]
    Json {
        /// Where it stops making sense.
        line: usize,
        /// Where in that line.
        column: usize,
    },
}

impl Capabilities {
    /// What this server announces to a peer that announced `peer`. Shorter than QEMU's own string, in whose room QEMU takes
    /// the reply (proxy.c, vfio_user_send_wait with rsize 0).
    pub const fn offer(peer: &Self) -> Self {
        Self {
            max_msg_fds: MAX_FDS as u64,
            max_data_xfer_size: MAX_XFER as u64,
            max_dma_maps: MAX_DMA_MAPS as u64,
            pgsizes: PAGE,
            write_multiple: peer.write_multiple,
        }
    }

    /// Reads a version string with its NUL; an empty one says nothing.
    ///
    /// # Errors
    /// When it is too long, has no NUL at its end or is not JSON of the right shape.
    pub fn parse(data: &[u8]) -> Result<Self, BadVersionData> {
        if data.len() > MAX_VERSION_DATA {
            return Err(BadVersionData::Long { len: data.len() });
        }
        match data {
            [] => Ok(Self::default()),
            [json @ .., 0] => serde_json::from_slice::<VersionData>(json)
                .map(|version| version.capabilities)
                .map_err(|error| BadVersionData::Json { line: error.line(), column: error.column() }),
            _ => Err(BadVersionData::NoNul),
        }
    }

    /// Appends the version string with its NUL.
    pub fn write(&self, into: &mut Vec<u8>) {
        let json =
            serde_json::to_vec(&VersionData { capabilities: *self }).expect("numbers and names always serialise");
        into.extend_from_slice(&json);
        into.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_says_nothing_means_the_defaults() {
        for nothing in
            [&b""[..], b"{}\0", br#"{"capabilities":{}}"#, br#"{"capabilities":{"migration":{"pgsize":4096}}}"#]
        {
            let mut data = nothing.to_vec();
            if !data.is_empty() && data.last() != Some(&0) {
                data.push(0);
            }
            assert_eq!(Capabilities::parse(&data), Ok(Capabilities::default()));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_fits_qemus_room() {
        let peer = Capabilities { write_multiple: true, ..Default::default() };
        let offer = Capabilities::offer(&peer);
        let mut data = Vec::new();
        offer.write(&mut data);
        assert_eq!(Capabilities::parse(&data), Ok(offer));
        assert!(data.len() < 180, "{}", String::from_utf8_lossy(&data));
    }

    #[test]
    fn garbage_is_refused_where_it_stands() {
        assert_eq!(Capabilities::parse(b"{}"), Err(BadVersionData::NoNul));
        assert_eq!(Capabilities::parse(b"\0"), Err(BadVersionData::Json { line: 1, column: 0 }));
        assert!(matches!(Capabilities::parse(b"{}\0\0"), Err(BadVersionData::Json { .. })));
        assert!(matches!(Capabilities::parse(b"\xff\xfe\0"), Err(BadVersionData::Json { .. })));
        assert!(matches!(
            Capabilities::parse(b"{\"capabilities\":{\"max_msg_fds\":-1}}\0"),
            Err(BadVersionData::Json { .. })
        ));
        assert!(matches!(Capabilities::parse(&[b'['; MAX_VERSION_DATA]), Err(BadVersionData::NoNul)));
        let mut deep = vec![b'['; MAX_VERSION_DATA];
        deep[MAX_VERSION_DATA - 1] = 0;
        assert!(matches!(Capabilities::parse(&deep), Err(BadVersionData::Json { .. })), "depth is bounded");
        assert_eq!(Capabilities::parse(&[0; 5000]), Err(BadVersionData::Long { len: 5000 }));
    }
}
