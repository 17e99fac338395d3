//! Registers, commands and addresses.

use super::Bench;
use spec::event::Bar;
use spec::vmxnet3::bar0::LargeBar0;
use spec::vmxnet3::command::ecr;
use spec::vmxnet3::{Bar0, Bar1, Command};

impl Bench<'_> {
    /// Writes a register, waiting for room and for the command that it may start.
    pub fn write(&mut self, bar: Bar, offset: u32, value: u32) {
        self.device.write(bar, offset, value);
    }

    /// Reads a register.
    pub fn read(&mut self, bar: Bar, offset: u32) -> u32 {
        self.device.read(bar, offset)
    }

    /// Writes a register of BAR0, a doorbell on the page that the guest uses.
    pub fn write0(&mut self, register: Bar0, value: u32) {
        let second = match register {
            Bar0::TxProd(queue) => LargeBar0::LbTxProd(queue),
            Bar0::RxProd(queue) => LargeBar0::LbRxProd(queue),
            Bar0::RxProd2(queue) => LargeBar0::LbRxProd2(queue),
            Bar0::Imr(vector) => LargeBar0::Imr(vector),
        };
        let offset = if self.second_page { second.offset() } else { register.offset() };
        self.write(Bar::Bar0, offset, value);
    }

    /// Reads a register of BAR0.
    pub fn read0(&mut self, register: Bar0) -> u32 {
        self.read(Bar::Bar0, register.offset())
    }

    /// Writes a register of BAR1.
    pub fn write1(&mut self, register: Bar1, value: u32) {
        self.write(Bar::Bar1, register.offset(), value);
    }

    /// Reads a register of BAR1.
    pub fn read1(&mut self, register: Bar1) -> u32 {
        self.read(Bar::Bar1, register.offset())
    }

    /// Runs a command and reads its answer.
    pub fn command(&mut self, command: Command) -> u32 {
        self.write1(Bar1::Cmd, command.code());
        self.read1(Bar1::Cmd)
    }

    /// Writes an address to the device.
    pub fn set_mac(&mut self, mac: [u8; 6]) {
        self.write1(Bar1::Macl, u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]));
        self.write1(Bar1::Mach, u32::from_le_bytes([mac[4], mac[5], 0, 0]));
    }

    /// The guest takes another address for its own from here on; the device is told when it is brought up.
    pub fn adopt(&mut self, mac: [u8; 6]) -> [u8; 6] {
        self.config.mac = mac;
        mac
    }

    /// The address that MACL and MACH show, all eight bytes.
    pub fn mac(&mut self) -> u64 {
        u64::from(self.read1(Bar1::Macl)) | u64::from(self.read1(Bar1::Mach)) << 32
    }

    /// Selects an interface version; structures are written as that version has them from then on.
    pub fn select(&mut self, version: u8) {
        self.version = version;
        self.write1(Bar1::Vrrs, 1 << (version - 1));
    }

    /// Installs a shared address.
    pub fn set_shared(&mut self, pa: u64) {
        self.write1(Bar1::Dsal, pa as u32);
        self.write1(Bar1::Dsah, (pa >> 32) as u32);
    }

    /// Unmasks a vector.
    pub fn unmask(&mut self, vector: u8) {
        self.write0(Bar0::Imr(vector), 0);
        self.read0(Bar0::Imr(vector));
    }

    /// Acknowledges every event.
    pub fn acknowledge(&mut self) {
        self.write1(Bar1::Ecr, ecr::RQERR | ecr::TQERR | ecr::LINK | ecr::DIC | ecr::DEBUG);
    }
}
