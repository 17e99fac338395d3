//! A device of one's own, judged in process: registers of a VMXNET3 that no driver has activated yet. It passes what one can ask of
//! those, and fails or skips the rest.
//!
//! `cargo run --example device`

use golden::dut::{About, Dut, Seen, Trouble};
use spec::event::Bar;
use vnic::conform::Choice;
use vnic::suite::{Options, run};

/// Four registers and a megabyte of guest memory.
pub struct Device {
    about: About,
    memory: Vec<u8>,
    mac: u64,
    answer: u64,
}

impl Default for Device {
    fn default() -> Self {
        let (mac, bytes) = ([0x00, 0x0c, 0x29, 0x12, 0x34, 0x56], 1 << 20);
        let [name, identity, version] = ["mine", "a device in forty lines", "1.0"].map(String::from);
        let about = About { name, identity, version, base: 0x1_0000, bytes, mac, vectors: 25 };
        Self { about, memory: vec![0; bytes], mac: 0x5634_1229_0c00, answer: 0 }
    }
}

impl Dut for Device {
    fn about(&self) -> &About {
        &self.about
    }
    fn read(&mut self, bar: Bar, offset: u32, _width: u8) -> Result<u64, Trouble> {
        Ok(match (bar, offset) {
            (Bar::Bar1, 0x00 | 0x08) => 1,
            (Bar::Bar1, 0x20) => self.answer,
            (Bar::Bar1, 0x28) => self.mac & 0xffff_ffff,
            (Bar::Bar1, 0x30) => self.mac >> 32,
            _ => 0,
        })
    }
    fn write(&mut self, bar: Bar, offset: u32, _width: u8, value: u64) -> Result<(), Trouble> {
        match (bar, offset) {
            (Bar::Bar1, 0x20) => self.answer = u64::from(value == 0xcafe_0000),
            (Bar::Bar1, 0x28) => self.mac = self.mac & !0xffff_ffff | value,
            (Bar::Bar1, 0x30) => self.mac = self.mac & 0xffff_ffff | (value & 0xffff) << 32,
            _ => {}
        }
        Ok(())
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        let at = (pa - self.about.base) as usize;
        into.copy_from_slice(&self.memory[at..at + into.len()]);
        Ok(())
    }
    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let at = (pa - self.about.base) as usize;
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn offer(&mut self, _frame: &[u8]) -> Result<(), Trouble> {
        Ok(())
    }
    fn settle(&mut self, _seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        Ok(())
    }
    fn reset(&mut self) -> Result<(), Trouble> {
        (self.mac, self.answer) = (0x5634_1229_0c00, 0);
        Ok(())
    }
}

fn main() {
    let choice = Choice { filters: vec!["VMX-REG".into()], shard: None };
    match run(&mut Device::default(), &Options { choice, ..Options::default() }) {
        Ok(report) => report.rows.iter().for_each(|row| println!("{:<10} {}", row.verdict.name(), row.case.id)),
        Err(refused) => eprintln!("{refused}"),
    }
}
