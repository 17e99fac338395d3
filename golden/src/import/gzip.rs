//! Compressed files, opened without being told: gzip is recognised by its first two bytes.

use super::ImportError;
use std::borrow::Cow;
use std::io::Read;

/// The most bytes a file may unpack to.
pub const LIMIT: usize = 256 << 20;

/// `bytes` as they are, or unpacked when they are gzip. `limit` bounds what a hostile file can make us hold.
pub fn unpack<'a>(file: &str, bytes: &'a [u8], limit: usize) -> Result<Cow<'a, [u8]>, ImportError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    let unpacked = flate2::read::MultiGzDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut out);
    if unpacked.is_err() {
        return Err(ImportError::Gzip { file: file.into(), good: out.len() });
    }
    if out.len() > limit {
        return Err(ImportError::TooLarge { file: file.into(), limit });
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("a Vec takes every write");
        encoder.finish().expect("a Vec takes every write")
    }

    #[test]
    fn plain_bytes_pass_and_packed_ones_unpack() {
        assert_eq!(&*unpack("f", b"abc", 10).unwrap(), b"abc");
        assert_eq!(&*unpack("f", &packed(b"abc"), 10).unwrap(), b"abc");
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_damage_is_named() {
        let packed = packed(&[0; 5000]);
        assert_eq!(unpack("f", &packed, 4999), Err(ImportError::TooLarge { file: "f".into(), limit: 4999 }));
        let error = unpack("f", &packed[..packed.len() - 9], 5000).unwrap_err();
        assert!(error.to_string().starts_with("f: compressed data is damaged after "));
    }
}
