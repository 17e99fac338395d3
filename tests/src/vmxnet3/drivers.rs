//! What each public driver says to the device, in its order, from probe to the last command: a device that serves one of them has to
//! get through its conversation. Where a driver works by the interface version there is a case a version.

mod bsd;
mod dpdk;
mod firmware;
mod linux;

use super::offered::by_version;
use crate::case::{Case, Check, Target};
use crate::rig::{ADDRESSED, Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::answer::Link;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{Bar0, Command, RssFields, VariableLenConf};

/// A device that forgets the address written before ACTIVATE_DEV serves no driver that has another than the permanent one.
const ADDRESS: &[Deviation] = &[Deviation::ActivateRestoresMac];

/// The conversations that do not depend on the version.
pub(crate) const CASES: &[Case] = &[
    Case::new("linux-closes-and-opens", &["VMX-DRV-001"], linux::closes_and_opens),
    Case::new("linux-resets-behind-an-error", &["VMX-DRV-001", "VMX-EVT-005"], linux::resets),
    Case::new("linux-changes-its-mtu", &["VMX-DRV-001"], linux::changes_mtu),
    Case::new("linux-suspends-and-resumes", &["VMX-DRV-001", "VMX-LIF-008"], linux::suspends),
    Case::new("linux-crashes-and-dumps", &["VMX-DRV-001", "VMX-ACT-014"], linux::crashes),
    Case::new("linux-is-shut-down", &["VMX-DRV-001"], linux::is_shut_down).unless(&[Deviation::InactiveBar0Dropped]),
    Case::new("dpdk-stops-and-starts", &["VMX-DRV-002"], dpdk::stops_and_starts),
    Case::new("freebsd-starts-and-stops", &["VMX-DRV-003"], bsd::freebsd),
    Case::new("openbsd-attaches-once", &["VMX-DRV-004"], bsd::openbsd_attaches_once),
    Case::new("openbsd-changes-its-mtu", &["VMX-DRV-004", "VMX-LIF-002"], bsd::openbsd_changes_mtu),
    Case::new("openbsd-resets-behind-an-error", &["VMX-DRV-004", "VMX-LIF-003"], bsd::openbsd_resets)
        .unless(&[Deviation::ResetForgetsShared]),
    Case::new("illumos-gives-every-buffer", &["VMX-DRV-005"], bsd::illumos).unless(ADDRESS),
    Case::new("ipxe-boots", &["VMX-DRV-006"], firmware::ipxe_boots),
    Case::new("ipxe-hands-over-to-a-kernel", &["VMX-DRV-006", "VMX-EVT-003"], firmware::ipxe_hands_over),
    Case::new("vpp-probes-and-activates", &["VMX-DRV-007"], vpp),
    Case::new("edk2-and-then-a-kernel", &["VMX-DRV-006"], firmware::firmware_and_kernel)
        .unless(&[Deviation::ZeroVlanTableDrops]),
];

/// The conversations of drivers that ask for versions.
pub(crate) const BY_VERSION: &[Case] = by_version! {
    "linux-probes", [1 2 3 4 5 6 7 8 9], &["VMX-DRV-001", "VMX-REG-003"], &[], &[], linux::probes;
    "linux-opens", [1 2 3 4 5 6 7 8 9], &["VMX-DRV-001"], &[], &[], linux::opens;
    "dpdk-starts", [1 2 3 4 5 6 7], &["VMX-DRV-002"], &[], &[], dpdk::starts;
    "answers-known", [1 2 3 4 5 6 7 8 9], &["VMX-VER-006", "VMX-VER-001"], &[Deviation::CmdReadRecomputes], &[], answers_known;
};

/// A frame each way on every queue, twice.
fn serves(check: &mut Check, bench: &mut Bench, clause: &'static str) {
    check.holds(clause, bench.serves() && bench.serves(), "traffic flows");
}

/// Sets cmdInfo.
fn info(bench: &mut Bench, len: u32, pa: u64) {
    let mut words = VariableLenConf::default();
    words.set_conf_ver(1);
    words.set_conf_len(len);
    words.set_conf_pa(pa);
    bench.shared(|shared| shared.set_cmd_info(words.0));
}

/// Source: vpp vmxnet3.c, vmxnet3_device_init, vmxnet3_create_if.
fn vpp(check: &mut Check) {
    let mut setup = Setup::default();
    setup.config.auto_mask = false;
    check.on(Target::Both, &setup, |check, bench| {
        for command in [Command::QuiesceDev, Command::ResetDev] {
            check.equal("VMX-DRV-007", "answer before there is a shared area", bench.command(command), 0u32);
        }
        let link = Link(bench.command(Command::GetLink));
        check.holds("VMX-DRV-007", link.up(), "the link is up");
        bench.prepare();
        check.equal("VMX-DRV-007", "answer of ACTIVATE_DEV", bench.activate(), 0u32);
        bench.to_target();
        bench.filter(|filter| filter.set_rx_mode(ADDRESSED | rx_mode::PROMISC));
        bench.write0(Bar0::Imr(0), 0);
        for _ in 0..10 {
            serves(check, bench, "VMX-DRV-007");
        }
        bench.command(Command::QuiesceDev);
        bench.command(Command::ResetDev);
    });
}

/// What a device of the version answers to each command that only asks; those of later versions answer 0.
fn answers_known(check: &mut Check) {
    check.at_version(Target::Both, &Setup::default(), |check, bench, version| {
        let profile = bench.profile();
        let link = profile.link(version).0;
        let sizes = profile.data_sizes(version).0;
        for round in 0..2 {
            for (command, answer) in [
                (Command::GetLink, link),
                (Command::GetTxdataDescSize, sizes),
                (Command::GetRssFields, RssFields::DEFAULT.0),
                (Command::GetMaxQueuesConf, profile.max_queues(version).0),
                (Command::GetDcr0Reg, 0),
                (Command::GetMaxCapabilities, profile.answers.capabilities),
                (Command::GetTsringDescSize, profile.answers.timestamp_bytes),
                (Command::GetDisabledOffloads, profile.answers.disabled_offloads),
            ] {
                check.holds("VMX-VER-006", bench.command(Command::GetPermMacLo) != 0, "another answer stands before");
                let known = command.since() <= version;
                let clause = if known { "VMX-VER-006" } else { "VMX-VER-001" };
                check.equal(clause, "answer", bench.command(command), if known { answer } else { 0 });
            }
            if round == 0 {
                bench.start();
            }
        }
        check.holds("VMX-VER-006", bench.serves(), "traffic flows");
    });
}
