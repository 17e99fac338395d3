//! The raw register dump of the Linux `vmxnet3` driver (`ethtool -d IF raw on`).
//!
//! A sequence of 32-bit words of a little-endian guest, register-dump version 2: nine BAR1 registers, then three
//! counted lists. The number of masks is the number of vectors the driver holds when asked: three after probe, the ones
//! in use once the interface is up, so dumps of one machine differ in length. The ring positions are the driver's own.
//!
//! Source: linux drivers/net/vmxnet3/vmxnet3_ethtool.c, vmxnet3_get_regs.

use super::{ImportError, Rule};
use spec::vmxnet3::Bar1;

/// BAR1 registers at the head of a dump: the nine from VRRS to ECR.
const REGISTERS: usize = 9;
/// The most masks any version of the device has.
const MAX_MASKS: u32 = 65;
/// The most queues of one kind any version of the device has.
const MAX_QUEUES: u32 = 32;
/// No ring of any version comes near this many entries.
const MAX_RING: u32 = 1 << 16;

/// A whole dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthtoolDump {
    /// VRRS, UVRS, DSAL, DSAH, CMD, MACL, MACH, ICR, ECR, as read.
    pub bar1: [u32; REGISTERS],
    /// IMR of each vector the driver holds.
    pub imr: Vec<u32>,
    /// Transmit queues.
    pub tx: Vec<TxDump>,
    /// Receive queues.
    pub rx: Vec<RxDump>,
}

/// A descriptor ring as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CommandRing {
    /// Guest-physical address.
    pub base: u64,
    /// Entries.
    pub size: u32,
    /// Index of the entry the driver fills next.
    pub next2fill: u32,
    /// Index up to which the driver has taken completions.
    pub next2comp: u32,
    /// Generation the driver writes next.
    pub generation: bool,
}

/// A completion ring as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CompletionRing {
    /// Guest-physical address.
    pub base: u64,
    /// Entries.
    pub size: u32,
    /// Index of the completion the driver reads next.
    pub next2proc: u32,
    /// Generation it will have.
    pub generation: bool,
}

/// A data ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DataRing {
    /// Guest-physical address.
    pub base: u64,
    /// Entries.
    pub size: u32,
    /// Bytes an entry.
    pub entry_bytes: u32,
}

/// A transmit queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TxDump {
    /// TXPROD as read, which need not be what was written.
    pub txprod: u32,
    /// Descriptors.
    pub ring: CommandRing,
    /// Header copies.
    pub data: DataRing,
    /// Completions.
    pub comp: CompletionRing,
    /// The driver stopped the queue.
    pub stopped: bool,
}

/// A receive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RxDump {
    /// RXPROD and RXPROD2 as read.
    pub rxprod: [u32; 2],
    /// Descriptors: ring 0 and ring 1.
    pub ring: [CommandRing; 2],
    /// Small-packet copies.
    pub data: DataRing,
    /// Completions.
    pub comp: CompletionRing,
}

impl EthtoolDump {
    /// Reads a dump. Nothing may be left over: another dump version is refused, not guessed at.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, ImportError> {
        let mut words = Words { file, bytes, at: 0 };
        let mut bar1 = [0; REGISTERS];
        for (i, word) in bar1.iter_mut().enumerate() {
            *word = words.next(&Bar1::MAP.label(i as u32 * 8))?;
        }
        let (vrrs, uvrs) = (u64::from(bar1[0]), u64::from(bar1[1]));
        let holds = Rule::Says("must offer a version");
        words.check(0, "VRRS", vrrs, holds, vrrs != 0 && vrrs < 1 << 16)?;
        words.check(4, "UVRS", uvrs, holds, uvrs != 0)?;
        let imr = words.list("number of interrupts", MAX_MASKS, |words, i| words.next(&format!("IMR[{i}]")))?;
        let tx = words.list("number of tx queues", MAX_QUEUES, Words::tx)?;
        let rx = words.list("number of rx queues", MAX_QUEUES, Words::rx)?;
        let left = (bytes.len() - words.at) as u64;
        words.check(words.at, "bytes left over", left, Rule::Is(0), left == 0)?;
        Ok(Self { bar1, imr, tx, rx })
    }

    /// The MAC address in MACL and MACH.
    pub fn mac(&self) -> [u8; 6] {
        let (low, high) = (self.bar1[5].to_le_bytes(), self.bar1[6].to_le_bytes());
        [low[0], low[1], low[2], low[3], high[0], high[1]]
    }

    /// True when a queue has a ring: the interface was up.
    pub fn is_up(&self) -> bool {
        self.tx.iter().any(|queue| queue.ring.size != 0)
    }
}

struct Words<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn next(&mut self, field: &str) -> Result<u32, ImportError> {
        let Some(word) = self.bytes[self.at..].first_chunk() else {
            return Err(ImportError::truncated(self.file, self.at, field, 4, self.bytes.len() - self.at));
        };
        self.at += 4;
        Ok(u32::from_le_bytes(*word))
    }

    fn check(&self, offset: usize, field: &str, value: u64, rule: Rule, holds: bool) -> Result<(), ImportError> {
        if holds { Ok(()) } else { Err(ImportError::value(self.file, offset, field, value, rule)) }
    }

    fn list<T>(
        &mut self,
        field: &str,
        most: u32,
        mut element: impl FnMut(&mut Self, u32) -> Result<T, ImportError>,
    ) -> Result<Vec<T>, ImportError> {
        let count = self.next(field)?;
        self.check(self.at - 4, field, u64::from(count), Rule::AtMost(u64::from(most)), count <= most)?;
        (0..count).map(|i| element(self, i)).collect()
    }

    fn base(&mut self, name: &str) -> Result<u64, ImportError> {
        let low = self.next(&format!("{name}.base low"))?;
        Ok(u64::from(self.next(&format!("{name}.base high"))?) << 32 | u64::from(low))
    }

    /// A size and then positions, each of which lies below it; a ring that is not there has all zero.
    fn positions<const N: usize>(&mut self, name: &str, fields: [&str; N]) -> Result<(u32, [u32; N]), ImportError> {
        let size = self.next(&format!("{name}.size"))?;
        let most = Rule::AtMost(u64::from(MAX_RING));
        self.check(self.at - 4, &format!("{name}.size"), u64::from(size), most, size <= MAX_RING)?;
        let mut positions = [0; N];
        for (position, field) in positions.iter_mut().zip(fields) {
            *position = self.next(&format!("{name}.{field}"))?;
            let holds = *position < size || size == 0 && *position == 0;
            let rule = Rule::Below(u64::from(size));
            self.check(self.at - 4, &format!("{name}.{field}"), u64::from(*position), rule, holds)?;
        }
        Ok((size, positions))
    }

    fn flag(&mut self, field: &str) -> Result<bool, ImportError> {
        let value = self.next(field)?;
        self.check(self.at - 4, field, u64::from(value), Rule::AtMost(1), value <= 1)?;
        Ok(value == 1)
    }

    fn command_ring(&mut self, name: &str) -> Result<CommandRing, ImportError> {
        let base = self.base(name)?;
        let (size, [next2fill, next2comp]) = self.positions(name, ["next2fill", "next2comp"])?;
        Ok(CommandRing { base, size, next2fill, next2comp, generation: self.flag(&format!("{name}.gen"))? })
    }

    fn completion_ring(&mut self, name: &str) -> Result<CompletionRing, ImportError> {
        let base = self.base(name)?;
        let (size, [next2proc]) = self.positions(name, ["next2proc"])?;
        Ok(CompletionRing { base, size, next2proc, generation: self.flag(&format!("{name}.gen"))? })
    }

    fn data_ring(&mut self, name: &str) -> Result<DataRing, ImportError> {
        let base = self.base(name)?;
        let size = self.next(&format!("{name}.size"))?;
        Ok(DataRing { base, size, entry_bytes: self.next(&format!("{name}.entry size"))? })
    }

    fn tx(&mut self, queue: u32) -> Result<TxDump, ImportError> {
        let name = |part: &str| format!("tx[{queue}].{part}");
        Ok(TxDump {
            txprod: self.next(&name("TXPROD"))?,
            ring: self.command_ring(&name("ring"))?,
            data: self.data_ring(&name("data"))?,
            comp: self.completion_ring(&name("comp"))?,
            stopped: self.flag(&name("stopped"))?,
        })
    }

    fn rx(&mut self, queue: u32) -> Result<RxDump, ImportError> {
        let name = |part: &str| format!("rx[{queue}].{part}");
        Ok(RxDump {
            rxprod: [self.next(&name("RXPROD"))?, self.next(&name("RXPROD2"))?],
            ring: [self.command_ring(&name("ring[0]"))?, self.command_ring(&name("ring[1]"))?],
            data: self.data_ring(&name("data"))?,
            comp: self.completion_ring(&name("comp"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dump of `tx` and `rx` queues whose rings have 32 entries at address 0x1000 times the word's place.
    fn words(vectors: u32, tx: u32, rx: u32) -> Vec<u8> {
        let mut words = vec![1, 1, 0, 0, 0, 0x0403_0201, 0x0605, 0, 0, vectors];
        words.extend((0..vectors).map(|_| 1));
        words.push(tx);
        (0..tx).for_each(|_| words.extend([7, 0x1000, 0, 32, 3, 2, 1, 0, 0, 32, 128, 0x2000, 1, 32, 2, 1, 0]));
        words.push(rx);
        for _ in 0..rx {
            words.extend([0, 0, 0x3000, 0, 64, 63, 0, 1, 0x4000, 0, 32, 31, 0, 0, 0, 0, 64, 0, 0x5000, 0, 96, 95, 0]);
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn any_number_of_queues_and_vectors_is_read() {
        for (vectors, tx, rx) in [(1, 1, 1), (25, 8, 8), (65, 32, 32), (3, 0, 0)] {
            let dump = EthtoolDump::parse("d", &words(vectors, tx, rx)).unwrap();
            assert_eq!((dump.imr.len(), dump.tx.len(), dump.rx.len()), (vectors as usize, tx as usize, rx as usize));
            assert_eq!(dump.mac(), [1, 2, 3, 4, 5, 6]);
            if let (Some(tx), Some(rx)) = (dump.tx.last(), dump.rx.last()) {
                assert_eq!(tx.comp, CompletionRing { base: 0x1_0000_2000, size: 32, next2proc: 2, generation: true });
                assert_eq!(
                    rx.ring[1],
                    CommandRing { base: 0x4000, size: 32, next2fill: 31, next2comp: 0, generation: false }
                );
            }
        }
    }

    #[test]
    fn what_no_driver_writes_is_refused_by_name() {
        let say = |word: usize, value: u32| {
            let mut bytes = words(2, 1, 1);
            bytes[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
            EthtoolDump::parse("d", &bytes).unwrap_err().to_string()
        };
        assert_eq!(say(17, 32), "d, offset 0x44: tx[0].ring.next2fill is 32 (0x20) and must be below 32");
        assert_eq!(say(19, 2), "d, offset 0x4c: tx[0].ring.gen is 2 (0x2) and must be at most 1");
        assert_eq!(say(12, 33), "d, offset 0x30: number of tx queues is 33 (0x21) and must be at most 32");
    }
}
