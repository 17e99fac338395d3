//! The register mailbox: a write of `cmd` makes it busy, one step executes, errors answer in argument 0.

use spec::layout::Bytes;
use spec::vic::devcmd::{RSS_CPU_BYTES, RSS_KEY_BYTES, status};
use spec::vic::stats::VnicStats;
use spec::vic::{Devcmd, DevcmdError, DevcmdReg, DevcmdWord, NicCfg, QpStats, UptCfg};

use super::Adapter;
use super::stats::Counters;
use crate::host::Host;
use crate::mutant::Mutant;

/// The mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mailbox {
    status: u32,
    cmd: u32,
    args: [u64; 15],
}

impl Mailbox {
    /// A command waits to be executed.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.status & status::BUSY != 0
    }

    /// A register's value.
    pub fn read(&self, reg: DevcmdReg) -> u64 {
        match reg {
            DevcmdReg::Status => u64::from(self.status),
            DevcmdReg::Cmd => u64::from(self.cmd),
            DevcmdReg::Arg(i) => self.args.get(usize::from(i)).copied().unwrap_or(0),
        }
    }

    /// Writes a register; everything is read-only while a command is under way.
    pub fn write(&mut self, reg: DevcmdReg, value: u64) {
        if self.is_busy() {
            return;
        }
        match reg {
            DevcmdReg::Status => {}
            DevcmdReg::Cmd => {
                self.cmd = value as u32;
                self.status = status::BUSY;
            }
            DevcmdReg::Arg(i) => {
                if let Some(arg) = self.args.get_mut(usize::from(i)) {
                    *arg = value;
                }
            }
        }
    }
}

/// The address in a command's argument: byte 0 in bits 7:0.
fn mac(arg: u64) -> Result<[u8; 6], DevcmdError> {
    if arg >> 48 != 0 {
        return Err(DevcmdError::Invalid);
    }
    let b = arg.to_le_bytes();
    Ok([b[0], b[1], b[2], b[3], b[4], b[5]])
}

const fn supported(command: Devcmd, readback: bool) -> bool {
    match command {
        Devcmd::StatsClear
        | Devcmd::StatsDump
        | Devcmd::PacketFilter
        | Devcmd::AddrAdd
        | Devcmd::AddrDel
        | Devcmd::VlanAdd
        | Devcmd::VlanDel
        | Devcmd::NicCfg
        | Devcmd::RssKey
        | Devcmd::RssCpu
        | Devcmd::Enable
        | Devcmd::Disable
        | Devcmd::Capability
        | Devcmd::Iar
        | Devcmd::QpStatsDump
        | Devcmd::IngressDrop => true,
        Devcmd::IngressRead => readback,
        _ => false,
    }
}

impl Adapter {
    /// Executes the command in the mailbox, with at most one access to memory.
    pub(super) fn execute(&mut self, host: &mut impl Host) {
        let word = DevcmdWord(self.mailbox.cmd);
        // Arguments that the host says it has not written are not looked at: what stands there is stale.
        let mut args = if word.write() { self.mailbox.args } else { [0; 15] };
        let result = self.command(Devcmd::from(word.number()), &mut args, host);
        self.mailbox.status = match result {
            Ok(()) => {
                if word.read() {
                    self.mailbox.args = args;
                }
                0
            }
            Err(error) => {
                self.mailbox.args[0] = error.code();
                status::ERROR
            }
        };
    }

    fn command(&mut self, command: Devcmd, args: &mut [u64; 15], host: &mut impl Host) -> Result<(), DevcmdError> {
        let readback = self.profile.adapter.fifo_readback;
        if !supported(command, readback) {
            return Err(DevcmdError::UnknownCommand);
        }
        let ok = |done: bool, error| if done { Ok(()) } else { Err(error) };
        match command {
            Devcmd::StatsClear => self.counters = Counters::zero(),
            Devcmd::StatsDump => {
                ok(args[1] == VnicStats::SIZE as u64, DevcmdError::Invalid)?;
                host.write(args[0], &self.counters.vnic.0).map_err(|_| DevcmdError::Fault)?;
            }
            Devcmd::QpStatsDump => {
                let pair = usize::try_from(args[0]).unwrap_or(usize::MAX);
                let (Some(&tx), Some(&rx)) = (self.counters.tx.get(pair), self.counters.rx.get(pair)) else {
                    return Err(DevcmdError::Invalid);
                };
                ok(args[2] == QpStats::SIZE as u64, DevcmdError::Invalid)?;
                let mut stats = QpStats::default();
                stats.set_tx(tx);
                stats.set_rx(rx);
                host.write(args[1], &stats.0).map_err(|_| DevcmdError::Fault)?;
            }
            Devcmd::PacketFilter => {
                ok(args[0] < 1 << 5, DevcmdError::Invalid)?;
                self.filter.bits = args[0];
            }
            Devcmd::AddrAdd => ok(self.filter.add_mac(mac(args[0])?), DevcmdError::MaxRes)?,
            Devcmd::AddrDel => ok(self.filter.delete_mac(mac(args[0])?), DevcmdError::Invalid)?,
            Devcmd::VlanAdd | Devcmd::VlanDel => {
                ok(args[0] < 4096, DevcmdError::Invalid)?;
                if self.profile.adapter.vlan_filter {
                    self.filter.set_vlan(args[0] as u16, command == Devcmd::VlanAdd);
                }
            }
            Devcmd::NicCfg => {
                self.filter.nic = NicCfg(args[0] as u32);
                if !(self.planted.is(Mutant::HwUptCfgOnce) && self.filter.upt.version() != 0) {
                    self.filter.upt = UptCfg(args[1] as u32);
                }
            }
            Devcmd::RssKey => self.load_key(args, host)?,
            Devcmd::RssCpu => self.load_table(args, host)?,
            Devcmd::Enable => self.link = true,
            Devcmd::Disable => self.link = false,
            Devcmd::Capability => {
                let asked = Devcmd::from(DevcmdWord(args[0] as u32).number());
                ok(supported(asked, readback), DevcmdError::UnknownCommand)?;
                args[0] = 0;
            }
            Devcmd::Iar => {
                ok(args[0] < super::intr::BLOCKS as u64, DevcmdError::Invalid)?;
                self.credit(args[0] as u32);
            }
            Devcmd::IngressRead => self.read_ingress(args, host)?,
            Devcmd::IngressDrop => {
                args[1] = self.ingress.len() as u64;
                for mut frame in self.ingress.drain(..) {
                    self.counters.rx_drop();
                    frame.clear();
                    self.buffers.put(frame);
                }
                self.parked = false;
                self.alone = 0;
            }
            _ => return Err(DevcmdError::UnknownCommand),
        }
        Ok(())
    }

    /// Four groups of ten key bytes and six of padding.
    fn load_key(&mut self, args: &[u64; 15], host: &mut impl Host) -> Result<(), DevcmdError> {
        let mut buffer = [0; RSS_KEY_BYTES];
        if args[1] != buffer.len() as u64 {
            return Err(DevcmdError::Invalid);
        }
        host.read(args[0], &mut buffer).map_err(|_| DevcmdError::Fault)?;
        for (group, key) in buffer.chunks(16).zip(self.filter.key.chunks_mut(10)) {
            key.copy_from_slice(&group[..10]);
        }
        Ok(())
    }

    /// 32 groups of four entries and four of padding.
    fn load_table(&mut self, args: &[u64; 15], host: &mut impl Host) -> Result<(), DevcmdError> {
        let mut buffer = [0; RSS_CPU_BYTES];
        if args[1] != buffer.len() as u64 {
            return Err(DevcmdError::Invalid);
        }
        host.read(args[0], &mut buffer).map_err(|_| DevcmdError::Fault)?;
        if buffer.chunks(8).any(|group| group[..4].iter().any(|&queue| queue >= 8)) {
            return Err(DevcmdError::Invalid);
        }
        for (group, entries) in buffer.chunks(8).zip(self.filter.table.chunks_mut(4)) {
            entries.copy_from_slice(&group[..4]);
        }
        Ok(())
    }

    /// Moves the oldest waiting frame to memory; a buffer too small for it moves nothing.
    fn read_ingress(&mut self, args: &mut [u64; 15], host: &mut impl Host) -> Result<(), DevcmdError> {
        if args[1] == 0 {
            args[0] = self.ingress.len() as u64;
            return Ok(());
        }
        if !self.profile.adapter.fifo_readback {
            return Err(DevcmdError::NotSupported);
        }
        let Some(frame) = self.ingress.front() else {
            args[1] = 0;
            return Ok(());
        };
        if (frame.len() as u64) > args[1] {
            return Err(DevcmdError::Invalid);
        }
        host.write(args[0], frame).map_err(|_| DevcmdError::Fault)?;
        args[1] = frame.len() as u64;
        self.ingress.pop_front();
        self.alone = self.alone.saturating_sub(1);
        self.parked = false;
        Ok(())
    }
}
