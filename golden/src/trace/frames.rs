//! Generated payloads: found in a buffer, so that a line names them in place of their bytes.

use spec::frame;

/// Where a payload may begin: at once, or behind the headers of Ethernet, IPv4 or IPv6 and UDP or TCP, with and without a tag.
const OFFSETS: [usize; 11] = [0, 14, 18, 42, 46, 54, 58, 62, 66, 74, 78];
/// Fewer bytes than these are shorter as digits.
const LEAST: usize = 24;

/// Where in `bytes` a payload of `seed` begins that fills the rest, and its id. `scratch` is room for the comparison.
pub(super) fn find(seed: u64, bytes: &[u8], scratch: &mut Vec<u8>) -> Option<(usize, u64)> {
    OFFSETS.into_iter().filter(|&at| bytes.len() >= at + LEAST).find_map(|at| {
        let payload = &bytes[at..];
        let id = frame::id(payload)?;
        let mut head = [0; 16];
        frame::fill(seed, id, &mut head);
        if payload[..16] != head {
            return None;
        }
        scratch.clear();
        scratch.resize(payload.len(), 0);
        frame::fill(seed, id, scratch);
        (payload == &scratch[..]).then_some((at, id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_behind_its_header_and_only_when_every_byte_is_its_own() {
        let mut frame = frame::generated([1; 6], [2; 6], 7, 9, 80);
        let mut scratch = Vec::new();
        assert_eq!(find(7, &frame, &mut scratch), Some((14, 9)));
        assert_eq!(find(7, &frame[14..], &mut scratch), Some((0, 9)));
        assert_eq!(find(8, &frame, &mut scratch), None);
        assert_eq!(find(7, &frame[..30], &mut scratch), None);
        frame[79] ^= 1;
        assert_eq!(find(7, &frame, &mut scratch), None);
    }
}
