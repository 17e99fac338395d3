//! Frames of a libpcap file, either byte order, microseconds or nanoseconds.

use super::{ImportError, Rule};
use pcap_file::pcap::PcapParser;
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

/// A recorded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When, in nanoseconds since the recorder's epoch.
    pub nanos: u64,
    /// Its length on the wire; more than `bytes` holds when the recorder cut it.
    pub wire_len: u32,
    /// The frame from its destination address on.
    pub bytes: Vec<u8>,
}

/// True when `bytes` begin as a libpcap file does.
pub fn is_pcap(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk(), Some([0xa1, 0xb2, 0xc3 | 0x3c, 0xd4 | 0x4d] | [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1]))
}

/// Every frame of an Ethernet recording.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Frame>, ImportError> {
    let (mut rest, parser) =
        PcapParser::new(bytes).map_err(|error| refusal(file, bytes, 0, "file header", 24, &error))?;
    let header = parser.header();
    if header.datalink != DataLink::ETHERNET {
        return Err(ImportError::value(file, 20, "network", u64::from(u32::from(header.datalink)), Rule::Is(1)));
    }
    let unit = if header.ts_resolution == TsResolution::MicroSecond { 1000 } else { 1 };
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let field = |name| format!("frame {}: {name}", frames.len() + 1);
        // The raw form: the checked one refuses a frame longer than the recorder's limit, which is what a cut is.
        let kept = rest.get(8..12).and_then(|word| word.first_chunk()).map_or(0, |&word| match header.endianness {
            Endianness::Big => u32::from_be_bytes(word),
            Endianness::Little => u32::from_le_bytes(word),
        });
        let need = 16 + u64::from(kept);
        let (after, packet) = parser
            .next_raw_packet(rest)
            .map_err(|error| refusal(file, bytes, offset, &field("record"), need, &error))?;
        let fraction = u64::from(packet.ts_frac) * unit;
        if fraction >= 1_000_000_000 {
            let rule = Rule::Below(1_000_000_000 / unit);
            return Err(ImportError::value(
                file,
                offset + 4,
                field("fraction of a second"),
                u64::from(packet.ts_frac),
                rule,
            ));
        }
        if packet.incl_len > packet.orig_len {
            let rule = Rule::AtMost(u64::from(packet.orig_len));
            return Err(ImportError::value(file, offset + 8, field("length kept"), u64::from(packet.incl_len), rule));
        }
        let nanos = u64::from(packet.ts_sec) * 1_000_000_000 + fraction;
        frames.push(Frame { nanos, wire_len: packet.orig_len, bytes: packet.data.into_owned() });
        rest = after;
    }
    Ok(frames)
}

/// The reader's error with its place; it says too little when bytes are missing.
fn refusal(file: &str, bytes: &[u8], offset: usize, field: &str, need: u64, error: &PcapError) -> ImportError {
    match error {
        PcapError::IncompleteBuffer => ImportError::truncated(file, offset, field, need, bytes.len() - offset),
        _ => {
            let first = bytes[offset..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
            ImportError::value(file, offset, field, u64::from(first), Rule::Says("is not what libpcap writes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(magic: u32, big: bool, snap: u32) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = word(magic).to_vec();
        bytes.extend([half(2), half(4)].concat());
        bytes.extend([word(0), word(0), word(snap), word(1)].concat());
        bytes.extend([word(5), word(7), word(3), word(99)].concat());
        bytes.extend([1, 2, 3]);
        bytes
    }

    #[test]
    fn both_byte_orders_and_both_units_are_read_and_a_cut_frame_is_kept() {
        for (magic, nanos) in [(0xa1b2_c3d4, 5_000_007_000), (0xa1b2_3c4d, 5_000_000_007)] {
            for big in [false, true] {
                let bytes = recording(magic, big, 64);
                assert!(is_pcap(&bytes));
                assert_eq!(parse("p", &bytes).unwrap(), [Frame { nanos, wire_len: 99, bytes: vec![1, 2, 3] }]);
            }
        }
    }

    #[test]
    fn a_cut_file_names_the_frame() {
        let bytes = recording(0xa1b2_c3d4, false, 64);
        let error = parse("p", &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(error.to_string(), "p, offset 0x18: frame 1: record needs 19 bytes and 18 are left");
    }
}
