//! Everything that passes a wire, as pcapng.
//!
//! One interface with nanosecond times. Directions are the guest's: what it sends is outbound. Frames that the wire refused are
//! not there, they come again. A capture never holds up the wire: once the file cannot be written, frames are counted instead.
//!
//! Source: draft-ietf-opsawg-pcapng, Enhanced Packet Block, option epb_flags.

use super::{MAX_FRAME, SequenceCounters, Waits, Wire, WireCounters};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that wait to be written at most.
const BUFFER: usize = 256 * 1024;

/// Two lowest bits of epb_flags: what came to the guest, what left it.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Times are in units of 10 to the minus this many seconds.
const NANOSECONDS: u8 = 9;

/// A wire that writes down what passes it. The file is complete when this is dropped.
pub struct Captured<W> {
    wire: W,
    /// `None` once the file could not be written.
    file: Option<PcapNgWriter<BufWriter<File>>>,
    uncaptured: u64,
}

impl<W: std::fmt::Debug> std::fmt::Debug for Captured<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captured").field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl<W: Wire> Captured<W> {
    /// Captures what passes `wire` into a new file at `path`; one that is there is replaced.
    pub fn create(wire: W, path: &Path) -> io::Result<Self> {
        let said = |error| match error {
            pcap_file::PcapError::IoError(error) => error,
            other => io::Error::other(other),
        };
        let mut file = PcapNgWriter::new(BufWriter::with_capacity(BUFFER, File::create(path)?)).map_err(said)?;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, MAX_FRAME as u32);
        interface.options.push(InterfaceDescriptionOption::IfTsResol(NANOSECONDS));
        file.write_pcapng_block(interface).map_err(said)?;
        Ok(Self { wire, file: Some(file), uncaptured: 0 })
    }

    fn note(&mut self, frame: &[u8], direction: u32) {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options: vec![EnhancedPacketOption::Flags(direction)],
        };
        let written = self.file.as_mut().is_some_and(|file| file.write_pcapng_block(block).is_ok());
        if !written {
            self.file = None;
            self.uncaptured += 1;
        }
    }
}

impl<W: Wire> Wire for Captured<W> {
    fn send(&mut self, frame: &[u8]) -> bool {
        let taken = self.wire.send(frame);
        if taken {
            self.note(frame, OUTBOUND);
        }
        taken
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        let found = self.wire.receive(into);
        if found {
            self.note(into, INBOUND);
        }
        found
    }

    fn fds(&self) -> Waits {
        self.wire.fds()
    }

    fn due(&mut self) -> Option<Duration> {
        self.wire.due()
    }

    fn settled(&mut self) -> bool {
        self.wire.settled()
    }

    fn waits(&mut self) -> bool {
        self.wire.waits()
    }

    fn counters(&self) -> WireCounters {
        let inner = self.wire.counters();
        WireCounters { uncaptured: inner.uncaptured + self.uncaptured, ..inner }
    }

    fn sequences(&self) -> Option<SequenceCounters> {
        self.wire.sequences()
    }
}

#[cfg(test)]
mod tests {
    use super::super::responder::{Responder, ResponderSpec};
    use super::*;
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn a_capture_reads_back_with_directions_and_times() {
        let path = std::env::temp_dir().join(format!("vnic-capture-{}.pcapng", std::process::id()));
        let mut wire = Captured::create(Responder::open(ResponderSpec::default()).unwrap(), &path).unwrap();
        let mut ask = vec![0xff; 6];
        ask.extend([2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 2, 15]);
        ask.extend([0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(wire.send(&ask));
        let mut answer = Vec::new();
        assert!(wire.receive(&mut answer));
        drop(wire);
        let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(interface) => {
                    assert_eq!(interface.options, [InterfaceDescriptionOption::IfTsResol(9)]);
                }
                Block::EnhancedPacket(packet) => {
                    assert!((before..before + Duration::from_secs(60)).contains(&packet.timestamp));
                    seen.push((packet.data.into_owned(), format!("{:?}", packet.options)));
                }
                other => panic!("{other:?}"),
            }
        }
        let flags = |direction| format!("[Flags({direction})]");
        assert_eq!(seen, [(ask, flags(OUTBOUND)), (answer, flags(INBOUND))]);
    }

    #[test]
    fn a_full_disk_is_counted_and_the_wire_goes_on() {
        let full = Path::new("/dev/full");
        let mut wire = Captured::create(super::super::Unplugged::default(), full).unwrap();
        let frame = vec![0; 60_000];
        (0..20).for_each(|_| assert!(wire.send(&frame)));
        assert!((10..20).contains(&wire.counters().uncaptured));
        assert_eq!(wire.counters().sent_frames, 20);
    }
}
