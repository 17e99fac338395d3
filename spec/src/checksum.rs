//! The Internet checksum: one's-complement sums of 16-bit big-endian words.
//!
//! Source: RFC 1071. A running sum is a `u64` and is folded once at the end; pieces but the last have an even length.

/// Adds `bytes` to a running sum. An odd last byte counts as the high half of a word.
///
/// 32-bit words are added whole: 2^16 is 1 modulo 2^16 - 1, so folding gives what adding the halves gives. They are added with their bytes
/// in the order of the machines that this runs on, and exchanged once at the end, which comes to the same and is a vector's work.
#[inline]
#[must_use]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let mut exchanged = 0u64;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        exchanged = exchanged.wrapping_add(u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
    }
    let mut tail = [0; 4];
    let rest = words.remainder();
    tail[..rest.len()].copy_from_slice(rest);
    exchanged = exchanged.wrapping_add(u64::from(u32::from_le_bytes(tail)));
    sum.wrapping_add(u64::from(fold(exchanged).swap_bytes()))
}

/// Folds a running sum to 16 bits. A sum that is not zero never folds to zero.
#[inline]
#[must_use]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// What is stored in a checksum field: the folded sum, complemented.
#[inline]
#[must_use]
pub const fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The sum of a pseudo-header: source and destination address together, the protocol, the length of the upper layer.
///
/// One form serves IPv4 (8 bytes of addresses) and IPv6 (32). Source: RFC 793, section 3.1; RFC 8200, section 8.1.
#[inline]
#[must_use]
pub fn pseudo(addresses: &[u8], protocol: u8, length: u32) -> u64 {
    add(u64::from(protocol) + u64::from(length), addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(add(0, &bytes)), 0xddf2);
        assert_eq!(finish(add(0, &bytes)), 0x220d);
    }

    #[test]
    fn a_header_with_its_checksum_sums_to_all_ones() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(fold(add(0, &header)), 0xffff);
    }

    #[test]
    fn wide_adding_is_word_by_word_adding_at_every_length() {
        let bytes: Vec<u8> = (0..200u32).map(|i| (i * 37 + 255) as u8).collect();
        for len in 0..bytes.len() {
            let mut sum = 0u32;
            for (i, byte) in bytes[..len].iter().enumerate() {
                sum += if i % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) };
                sum = (sum & 0xffff) + (sum >> 16);
            }
            assert_eq!(u32::from(fold(add(0, &bytes[..len]))), sum, "{len} bytes");
        }
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0), 0);
    }
}
