//! Register accesses in order.

use super::{
    ACTIVATED_TWICE, Findings, HALF_MAC, HALF_SHARED, INACTIVE_DOORBELL, NO_BUS_MASTER, READ_ONLY, Rule, WIDTH,
};
use crate::import::{Region, Trace};
use crate::show::place;
use model::pci::command;
use spec::registers::{Access, RegisterMap};
use spec::vmxnet3::bar0::LargeBar0;
use spec::vmxnet3::{Bar0, Bar1, Command};

/// Offset of the command register in configuration space.
const PCI_COMMAND: usize = 4;

/// How far the driver has brought the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The log may begin anywhere.
    Unknown,
    Inactive,
    /// ACTIVATE_DEV was written and its answer not read yet.
    Asked,
    Active,
}

/// One half of an address was written and the other is awaited.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Where the low half was written, if it still waits.
    low: Option<usize>,
}

/// Judges accesses one after another.
#[derive(Debug)]
pub struct Registers {
    phase: Phase,
    last: Option<Command>,
    mac: Half,
    shared: Half,
    /// The shared area's address, as far as it was written.
    shared_pa: Option<u64>,
    dsal: u32,
    /// The PCI command register, as far as it was written.
    pci: Option<u16>,
    findings: Findings,
}

impl Default for Registers {
    fn default() -> Self {
        Self::new()
    }
}

impl Registers {
    /// Before the first access.
    pub fn new() -> Self {
        Self {
            phase: Phase::Unknown,
            last: None,
            mac: Half::default(),
            shared: Half::default(),
            shared_pa: None,
            dsal: 0,
            pci: None,
            findings: Findings::default(),
        }
    }

    /// The function was reset.
    pub fn function_reset(&mut self) {
        self.phase = Phase::Inactive;
        self.pci = Some(0);
        (self.mac, self.shared, self.shared_pa) = (Half::default(), Half::default(), None);
    }

    /// The kernel set the function up.
    pub fn set_up(&mut self) {
        self.pci = Some(command::MEMORY | command::BUS_MASTER);
    }

    /// Configuration space was written.
    pub fn config(&mut self, offset: usize, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            let old = self.pci.unwrap_or(0);
            match offset.checked_add(i).and_then(|at| at.checked_sub(PCI_COMMAND)) {
                Some(0) => self.pci = Some(old & 0xff00 | u16::from(*byte)),
                Some(1) => self.pci = Some(old & 0x00ff | u16::from(*byte) << 8),
                _ => {}
            }
        }
    }

    /// A register was written, at this line of the dump.
    pub fn write(&mut self, line: usize, region: Region, offset: u32, value: u64, width: u8) {
        let (map, wide): (&RegisterMap, bool) = match region {
            Region::Bar0 => (LargeBar0::MAP, true),
            Region::Bar1 => (Bar1::MAP, true),
            Region::MsixTable | Region::MsixPba => return,
        };
        if wide && (width != 4 || !offset.is_multiple_of(4)) {
            self.add(&WIDTH, line, || format!("{} written with {width} bytes", place(region, offset)));
            return;
        }
        let read_only = map.at(offset).is_none_or(|(decl, _)| matches!(decl.access, Access::Ro | Access::Rc));
        if read_only {
            self.add(&READ_ONLY, line, || format!("{} written", place(region, offset)));
            return;
        }
        let value = value as u32;
        match region {
            Region::Bar0 => {
                if let Some(Bar0::TxProd(_) | Bar0::RxProd(_) | Bar0::RxProd2(_)) = Bar0::reached(offset, u8::MAX, true)
                    && self.phase == Phase::Inactive
                {
                    self.add(&INACTIVE_DOORBELL, line, || format!("{} rung", place(region, offset)));
                }
            }
            _ => self.bar1(line, Bar1::decode(offset), value),
        }
    }

    fn bar1(&mut self, line: usize, register: Option<Bar1>, value: u32) {
        match register {
            Some(Bar1::Macl) => self.mac.low = Some(line),
            Some(Bar1::Mach) => {
                let alone = self.mac.low.take().is_none();
                if alone {
                    self.add(&HALF_MAC, line, || "MACH written, MACL not before it".into());
                }
            }
            Some(Bar1::Dsal) => {
                self.shared.low = Some(line);
                self.dsal = value;
            }
            Some(Bar1::Dsah) => {
                if self.shared.low.take().is_none() {
                    self.add(&HALF_SHARED, line, || "DSAH written, DSAL not before it".into());
                }
                self.shared_pa = Some(u64::from(value) << 32 | u64::from(self.dsal));
            }
            Some(Bar1::Cmd) => self.command(line, Command::from(value)),
            _ => {}
        }
    }

    fn command(&mut self, line: usize, command: Command) {
        if let Some(low) = self.mac.low.take() {
            self.add(&HALF_MAC, low, || "MACL written, a command follows and not MACH".into());
        }
        if let Some(low) = self.shared.low.take() {
            self.add(&HALF_SHARED, low, || "DSAL written, a command follows and not DSAH".into());
        }
        let wanted = command::MEMORY | command::BUS_MASTER;
        if self.pci.is_some_and(|pci| pci & wanted != wanted) {
            self.add(&NO_BUS_MASTER, line, || format!("{} with bus master or memory decode off", command.name()));
        }
        match command {
            Command::ActivateDev => {
                if matches!(self.phase, Phase::Active | Phase::Asked) {
                    self.add(&ACTIVATED_TWICE, line, || "ACTIVATE_DEV, and active already".into());
                }
                if self.shared_pa == Some(0) {
                    self.add(&HALF_SHARED, line, || "ACTIVATE_DEV with the shared area at 0".into());
                }
                self.phase = Phase::Asked;
            }
            Command::QuiesceDev | Command::ResetDev => self.phase = Phase::Inactive,
            _ => {}
        }
        self.last = Some(command);
    }

    /// A register was read, at this line of the dump.
    pub fn read(&mut self, line: usize, region: Region, offset: u32, value: u64, width: u8) {
        if matches!(region, Region::Bar0 | Region::Bar1) && (width != 4 || !offset.is_multiple_of(4)) {
            self.add(&WIDTH, line, || format!("{} read with {width} bytes", place(region, offset)));
        }
        let answer = region == Region::Bar1 && Bar1::decode(offset) == Some(Bar1::Cmd);
        if answer && self.phase == Phase::Asked && self.last == Some(Command::ActivateDev) {
            self.phase = if value == 0 { Phase::Active } else { Phase::Inactive };
        }
    }

    fn add(&mut self, rule: &Rule, line: usize, what: impl FnOnce() -> String) {
        self.findings.add(rule, format_args!("line {line}"), what);
    }

    /// What was found.
    pub fn finish(mut self) -> Findings {
        if let Some(low) = self.mac.low.take() {
            self.add(&HALF_MAC, low, || "MACL written, MACH never".into());
        }
        if let Some(low) = self.shared.low.take() {
            self.add(&HALF_SHARED, low, || "DSAL written, DSAH never".into());
        }
        self.findings
    }
}

/// Judges a trace log.
pub fn judge_log(log: &Trace) -> Findings {
    let mut judge = Registers::new();
    for access in &log.accesses {
        let give = if access.write { Registers::write } else { Registers::read };
        give(&mut judge, access.line, access.region, access.offset, access.value, access.width);
    }
    judge.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSAL: u32 = Bar1::Dsal.offset();
    const DSAH: u32 = Bar1::Dsah.offset();
    const CMD: u32 = Bar1::Cmd.offset();
    const MACL: u32 = Bar1::Macl.offset();
    const MACH: u32 = Bar1::Mach.offset();
    const ACTIVATE: u64 = Command::ActivateDev.code() as u64;
    const QUIESCE: u64 = Command::QuiesceDev.code() as u64;
    const RESET: u64 = Command::ResetDev.code() as u64;

    fn up(judge: &mut Registers) {
        judge.write(1, Region::Bar1, DSAL, 0x1000, 4);
        judge.write(2, Region::Bar1, DSAH, 0, 4);
        judge.write(3, Region::Bar1, CMD, ACTIVATE, 4);
        judge.read(4, Region::Bar1, CMD, 0, 4);
    }

    fn rules(run: impl FnOnce(&mut Registers)) -> Vec<&'static str> {
        let mut judge = Registers::new();
        run(&mut judge);
        judge.finish().list().iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_usual_course_is_clean() {
        let found = rules(|judge| {
            judge.function_reset();
            judge.config(4, &[6, 0]);
            judge.write(1, Region::Bar1, CMD, RESET, 4);
            judge.write(2, Region::Bar1, MACL, 1, 4);
            judge.write(3, Region::Bar1, MACH, 1, 4);
            up(judge);
            judge.write(9, Region::Bar0, Bar0::TxProd(0).offset(), 1, 4);
            judge.write(10, Region::Bar1, CMD, QUIESCE, 4);
            up(judge);
        });
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_doorbell_outside_an_activation_is_found() {
        let ring = |judge: &mut Registers| judge.write(9, Region::Bar0, Bar0::TxProd(0).offset(), 1, 4);
        assert_eq!(rules(ring), [""; 0], "a log may begin anywhere");
        let found = rules(|judge| {
            up(judge);
            judge.write(5, Region::Bar1, CMD, QUIESCE, 4);
            ring(judge);
        });
        assert_eq!(found, [INACTIVE_DOORBELL.id]);
        let refused = rules(|judge| {
            judge.write(3, Region::Bar1, CMD, ACTIVATE, 4);
            judge.read(4, Region::Bar1, CMD, 1, 4);
            ring(judge);
        });
        assert_eq!(refused, [INACTIVE_DOORBELL.id]);
    }

    #[test]
    fn a_second_activation_is_found() {
        let found = rules(|judge| {
            up(judge);
            up(judge);
        });
        assert_eq!(found, [ACTIVATED_TWICE.id]);
    }

    #[test]
    fn half_addresses_are_found() {
        let write =
            |at: &[u32]| rules(|judge| at.iter().for_each(|&offset| judge.write(1, Region::Bar1, offset, 0x1000, 4)));
        assert_eq!(write(&[MACL, MACH, DSAL, DSAH]), [""; 0]);
        assert_eq!(write(&[MACH]), [HALF_MAC.id]);
        assert_eq!(write(&[MACL]), [HALF_MAC.id]);
        assert_eq!(write(&[MACL, CMD]), [HALF_MAC.id]);
        assert_eq!(write(&[DSAH]), [HALF_SHARED.id]);
        assert_eq!(write(&[DSAL]), [HALF_SHARED.id]);
        assert_eq!(write(&[DSAL, CMD]), [HALF_SHARED.id]);
        let zero = rules(|judge| {
            judge.write(1, Region::Bar1, DSAL, 0, 4);
            judge.write(2, Region::Bar1, DSAH, 0, 4);
            judge.write(3, Region::Bar1, CMD, ACTIVATE, 4);
        });
        assert_eq!(zero, [HALF_SHARED.id]);
    }

    #[test]
    fn writes_to_read_only_registers_and_gaps_and_odd_widths_are_found() {
        let icr = Bar1::Icr.offset();
        assert_eq!(rules(|judge| judge.write(1, Region::Bar1, icr, 1, 4)), [READ_ONLY.id]);
        assert_eq!(rules(|judge| judge.write(1, Region::Bar0, 0x700, 1, 4)), [READ_ONLY.id]);
        assert_eq!(rules(|judge| judge.write(1, Region::Bar1, CMD, 1, 8)), [WIDTH.id]);
        assert_eq!(rules(|judge| judge.read(1, Region::Bar1, CMD + 2, 1, 4)), [WIDTH.id]);
        assert_eq!(rules(|judge| judge.read(1, Region::MsixTable, 2, 1, 2)), [""; 0]);
    }

    #[test]
    fn a_command_without_bus_master_is_found() {
        let with = |bits: u8| {
            rules(|judge| {
                judge.config(4, &[bits, 0]);
                judge.write(1, Region::Bar1, CMD, RESET, 4);
            })
        };
        assert_eq!(with(6), [""; 0]);
        assert_eq!(with(2), [NO_BUS_MASTER.id]);
        assert_eq!(with(4), [NO_BUS_MASTER.id]);
    }
}
