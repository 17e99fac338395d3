//! Frames whose identity is their content: a keyed stream of (seed, id), with the id in clear where 8 bytes fit.
//!
//! Every byte can be checked, and a splice, a cut or a double shows.

/// Bytes of an Ethernet header without a tag.
pub const ETHERNET: usize = 14;

/// EtherType of generated payloads that carry no IP: the first of the two for local experiments (IEEE 802, 0x88B5).
pub const EXPERIMENTAL: u16 = 0x88b5;

/// Fills `payload` with the stream of (seed, id). The first 8 bytes are the id in clear when they fit.
pub fn fill(seed: u64, id: u64, payload: &mut [u8]) {
    let rest = if payload.len() >= 8 {
        payload[..8].copy_from_slice(&id.to_be_bytes());
        &mut payload[8..]
    } else {
        payload
    };
    let mut word = 0;
    for (i, byte) in rest.iter_mut().enumerate() {
        if i % 8 == 0 {
            word = mix(seed ^ id.rotate_left(32) ^ (i as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        *byte = (word >> (i % 8 * 8)) as u8;
    }
}

/// The id in clear, where the payload has room for one.
pub fn id(payload: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(payload.get(..8)?.try_into().ok()?))
}

/// A frame of `len` bytes (at least 14): destination, source, [`EXPERIMENTAL`], then the stream of (seed, id).
pub fn generated(destination: [u8; 6], source: [u8; 6], seed: u64, id: u64, len: usize) -> Vec<u8> {
    let mut frame = vec![0; len.max(ETHERNET)];
    frame[..6].copy_from_slice(&destination);
    frame[6..12].copy_from_slice(&source);
    frame[12..14].copy_from_slice(&EXPERIMENTAL.to_be_bytes());
    fill(seed, id, &mut frame[ETHERNET..]);
    frame
}

/// The finaliser of SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A small reproducible source of choices for campaigns and generated traffic. Not for cryptography.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dice(u64);

impl Dice {
    /// Choices from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`; 0 for 0.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// True once in `n` times.
    #[inline]
    pub const fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_seed_id_or_place_changes_the_stream() {
        let stream = |seed, id| {
            let mut payload = [0; 40];
            fill(seed, id, &mut payload);
            payload
        };
        assert_eq!(id(&stream(1, 2)), Some(2));
        assert_ne!(stream(1, 2)[8..], stream(2, 2)[8..]);
        assert_ne!(stream(1, 2)[8..], stream(1, 3)[8..]);
        assert_ne!(stream(1, 2)[8..16], stream(1, 2)[16..24]);
    }
}
