//! The Toeplitz hash of receive-side scaling.
//!
//! Source: Microsoft, "RSS Hashing Functions" and "Verifying the RSS Hash Calculation" (Windows driver documentation).

/// Bytes of key that the longest input needs: two IPv6 addresses and two ports.
pub const KEY_BYTES: usize = 40;

/// Hashes `input`, at most 36 bytes, in wire order: source address, destination address, source port, destination port.
/// Bytes beyond the 36th do not count, as the key ends there.
#[must_use]
pub fn hash(key: &[u8; KEY_BYTES], input: &[u8]) -> u32 {
    let mut hash = 0;
    for (i, &byte) in input.iter().take(KEY_BYTES - 4).enumerate() {
        // Forty bits of key: a 32-bit window for each of the eight input bits.
        let mut window = 0u64;
        for &part in &key[i..i + 5] {
            window = window << 8 | u64::from(part);
        }
        for bit in 0..8 {
            let chosen = u32::from(byte >> (7 - bit) & 1).wrapping_neg();
            hash ^= (window >> (8 - bit)) as u32 & chosen;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The key of the published verification suite.
    const KEY: [u8; KEY_BYTES] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
        0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
        0xbe, 0xac, 0x01, 0xfa,
    ];

    fn both(source: &[u8], destination: &[u8], source_port: u16, destination_port: u16) -> (u32, u32) {
        let addresses = [source, destination].concat();
        let ports = [source_port.to_be_bytes(), destination_port.to_be_bytes()].concat();
        (hash(&KEY, &addresses), hash(&KEY, &[addresses, ports].concat()))
    }

    #[test]
    fn the_published_ipv4_vectors() {
        for (destination, destination_port, source, source_port, plain, tcp) in [
            ([161, 142, 100, 80], 1766, [66, 9, 149, 187], 2794, 0x323e_8fc2, 0x51cc_c178),
            ([65, 69, 140, 83], 4739, [199, 92, 111, 2], 14230, 0xd718_262a, 0xc626_b0ea),
            ([12, 22, 207, 184], 38024, [24, 19, 198, 95], 12898, 0xd2d0_a5de, 0x5c2b_394a),
            ([209, 142, 163, 6], 2217, [38, 27, 205, 30], 48228, 0x8298_9176, 0xafc7_327f),
            ([202, 188, 127, 2], 1303, [153, 39, 163, 191], 44251, 0x5d18_09c5, 0x10e8_28a2),
        ] {
            let (source, destination) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
            let got = both(&source.octets(), &destination.octets(), source_port, destination_port);
            assert_eq!(got, (plain, tcp), "{source} to {destination}");
        }
    }

    #[test]
    fn the_published_ipv6_vectors() {
        for (destination, destination_port, source, source_port, plain, tcp) in [
            ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc1_8cd5, 0x4020_7d3d),
            ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c_461c, 0xdde5_1bbf),
            ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61_e985, 0x02d1_feef),
        ] {
            let source: Ipv6Addr = source.parse().unwrap();
            let destination: Ipv6Addr = destination.parse().unwrap();
            let got = both(&source.octets(), &destination.octets(), source_port, destination_port);
            assert_eq!(got, (plain, tcp), "{source} to {destination}");
        }
    }

    #[test]
    fn input_beyond_the_key_does_not_count() {
        assert_eq!(hash(&KEY, &[0xa5; 36]), hash(&KEY, &[0xa5; 50]));
    }
}
