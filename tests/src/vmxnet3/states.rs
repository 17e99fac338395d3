//! Each command in each state of a device: no shared area, inactive, active, active with a stopped queue, quiesced, reset, and with the
//! shared area withdrawn.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use spec::profile::Deviation;
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{Bar1, Command, DEVICE, RssFields, TxQueueDesc};

/// A case of a command that only asks.
macro_rules! asks {
    ($id:literal, $command:ident, $expected:expr) => {
        Case::new($id, &["VMX-CMD-011"], |check| asks(check, Command::$command, $expected))
    };
}

/// A case of a command that sets something.
macro_rules! sets {
    ($id:literal, $command:ident) => {
        Case::new($id, &["VMX-CMD-012"], |check| sets(check, Command::$command))
    };
}

/// A case of a command that writes where the guest said.
macro_rules! writes {
    ($id:literal, $command:ident) => {
        Case::new($id, &["VMX-CMD-013"], |check| writes(check, Command::$command))
    };
}

pub(crate) const CASES: &[Case] = &[
    asks!("command-get-link", GetLink, |bench, version| Some(bench.profile().link(version).0)),
    asks!("command-get-perm-mac-lo", GetPermMacLo, |bench, _| Some(permanent(bench) as u32)),
    asks!("command-get-perm-mac-hi", GetPermMacHi, |bench, _| Some((permanent(bench) >> 32) as u32)),
    asks!("command-get-did-lo", GetDidLo, |_, _| Some(u32::from(DEVICE))),
    asks!("command-get-did-hi", GetDidHi, |_, _| None),
    asks!("command-get-dev-extra-info", GetDevExtraInfo, |_, _| None),
    asks!("command-get-conf-intr", GetConfIntr, |_, _| None),
    asks!("command-get-adaptive-ring-info", GetAdaptiveRingInfo, |_, _| None),
    asks!("command-get-txdata-desc-size", GetTxdataDescSize, |bench, version| {
        Some(bench.profile().data_sizes(version).0)
    }),
    asks!("command-get-rss-fields", GetRssFields, |_, _| Some(RssFields::DEFAULT.0)),
    asks!("command-get-max-queues-conf", GetMaxQueuesConf, |bench, version| Some(
        bench.profile().max_queues(version).0
    )),
    asks!("command-get-max-capabilities", GetMaxCapabilities, |bench, _| Some(bench.profile().answers.capabilities)),
    asks!("command-get-dcr0-reg", GetDcr0Reg, |_, _| Some(0)),
    asks!("command-get-tsring-desc-size", GetTsringDescSize, |bench, _| Some(bench.profile().answers.timestamp_bytes)),
    asks!("command-get-disabled-offloads", GetDisabledOffloads, |bench, _| {
        Some(bench.profile().answers.disabled_offloads)
    }),
    sets!("command-update-rx-mode", UpdateRxMode),
    sets!("command-update-mac-filters", UpdateMacFilters),
    sets!("command-update-vlan-filters", UpdateVlanFilters),
    sets!("command-update-rssidt", UpdateRssidt),
    sets!("command-update-iml", UpdateIml),
    sets!("command-update-pmcfg", UpdatePmcfg),
    sets!("command-update-feature", UpdateFeature),
    sets!("command-set-coalesce", SetCoalesce),
    sets!("command-register-memregs", RegisterMemregs),
    sets!("command-set-rss-fields", SetRssFields),
    sets!("command-set-ring-buffer-size", SetRingBufferSize),
    writes!("command-get-stats", GetStats),
    writes!("command-get-queue-status", GetQueueStatus).unless(&[Deviation::QueueStatusSilent]),
    writes!("command-get-coalesce", GetCoalesce),
    Case::new("command-quiesce-dev", &["VMX-CMD-014", "VMX-CMD-003"], quiesce)
        .unless(&[Deviation::CmdReadRecomputes, Deviation::QueueStatusSilent]),
    Case::new("command-reset-dev", &["VMX-CMD-014", "VMX-CMD-003"], reset)
        .unless(&[Deviation::ResetForgetsShared, Deviation::QueueStatusSilent]),
    Case::new("command-activate-dev", &["VMX-CMD-014"], activate)
        .unless(&[Deviation::CmdReadRecomputes, Deviation::QueueStatusSilent]),
];

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before any shared area was named.
    Fresh,
    /// A shared area is named.
    Inactive,
    /// Both queue pairs work.
    Active,
    /// TX queue 1 has stopped with an error.
    Stopped,
    /// Behind QUIESCE_DEV.
    Quiesced,
    /// Behind RESET_DEV.
    Reset,
    /// The shared area is withdrawn.
    Withdrawn,
}

impl State {
    const ALL: [Self; 7] =
        [Self::Fresh, Self::Inactive, Self::Active, Self::Stopped, Self::Quiesced, Self::Reset, Self::Withdrawn];

    /// Leads there from the state before.
    fn enter(self, bench: &mut Bench) {
        match self {
            Self::Fresh => {}
            Self::Inactive => bench.prepare(),
            Self::Active => {
                bench.activate();
                bench.to_target();
            }
            Self::Stopped => stop_a_queue(bench),
            Self::Quiesced => _ = bench.command(Command::QuiesceDev),
            Self::Reset => _ = bench.command(Command::ResetDev),
            Self::Withdrawn => bench.set_shared(0),
        }
        bench.settle();
    }

    /// Whether the rings are worked.
    fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Stopped)
    }
}

/// Two queue pairs, one of which may stop.
fn pairs() -> Setup {
    let setup = Setup::default().queues(2);
    let config = setup.config.with_data_rings();
    Setup { config, judged: false, bytes: setup.bytes + (32 << 10), ..Setup::default() }
}

/// A whole ring of descriptors of which none ends a packet.
fn stop_a_queue(bench: &mut Bench) {
    for _ in 0..bench.layout.tx[1].ring_size {
        let desc = bench.piece(1, &[0; 64]);
        bench.post_cell(1, desc);
    }
    let last = bench.layout.tx[1].ring_size - 1;
    bench.write0(spec::vmxnet3::Bar0::TxProd(1), last);
    bench.settle();
}

fn permanent(bench: &Bench) -> u64 {
    bench.permanent().iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// Whether queue pair 0 works.
fn first_pair_works(bench: &mut Bench) -> bool {
    let frame = bench.from_guest(70);
    bench.seen();
    bench.send(0, &frame);
    bench.settle();
    let sent = bench.sent() == [&frame[..]] && bench.completions(0).len() == 1;
    let frame = bench.to_guest(71);
    sent && bench.receives(&frame)
}

/// Runs `step` in every state, then looks whether what worked before works still.
fn everywhere(
    check: &mut Check,
    clause: &'static str,
    version: u8,
    mut step: impl FnMut(&mut Check, &mut Bench, State),
) {
    check.at(version, Target::Both, &pairs(), |check, bench| {
        for state in State::ALL {
            state.enter(bench);
            step(check, bench, state);
            if state == State::Active {
                check.holds(clause, first_pair_works(bench), "traffic goes on");
            }
        }
        bench.start();
        check.holds(clause, bench.serves(), "the device can be activated behind it");
    });
}

/// The answer is the one expected, or where nobody says what it means the one of the first state.
fn asks(check: &mut Check, command: Command, expected: fn(&Bench, u8) -> Option<u32>) {
    let version = command.since();
    let mut first = None;
    everywhere(check, "VMX-CMD-011", version, |check, bench, state| {
        let other = if command == Command::GetPermMacLo { Command::GetDidLo } else { Command::GetPermMacLo };
        check.holds("VMX-CMD-011", bench.command(other) != 0, "another answer stands before");
        bench.seen();
        let found = bench.command(command);
        if state == State::Fresh {
            first = Some(found);
        }
        let expected = expected(bench, version).or(first).unwrap_or(found);
        check.equal("VMX-CMD-011", "answer", found, expected);
        check.equal("VMX-CMD-011", "answer read again", bench.read1(Bar1::Cmd), expected);
        check.holds("VMX-CMD-011", !bench.wrote(), "asking writes nothing");
    });
}

fn sets(check: &mut Check, command: Command) {
    everywhere(check, "VMX-CMD-012", command.since(), |check, bench, _| {
        check.holds("VMX-CMD-012", bench.command(Command::GetPermMacLo) != 0, "another answer stands before");
        bench.settle();
        bench.seen();
        check.equal("VMX-CMD-012", "answer", bench.command(command), 0u32);
        bench.settle();
        check.holds("VMX-CMD-012", !bench.wrote() && bench.sent().is_empty(), "setting writes and sends nothing");
    });
}

fn writes(check: &mut Check, command: Command) {
    everywhere(check, "VMX-CMD-013", command.since(), |check, bench, state| {
        let pa = bench.layout.coalesce;
        let mut words = spec::vmxnet3::VariableLenConf::default();
        words.set_conf_len(16);
        words.set_conf_pa(pa);
        if state != State::Fresh {
            bench.shared(|shared| shared.set_cmd_info(words.0));
            bench.store(pa, &[0x77; 16]);
            for queue in 0..2 {
                bench.tx_desc(queue, |desc| desc.0[80..168].fill(0x77));
                bench.rx_desc(queue, |desc| desc.0[80..168].fill(0x77));
            }
        }
        bench.settle();
        bench.seen();
        bench.command(command);
        check.holds("VMX-CMD-013", bench.wrote() == state.is_active(), "it is written while active, and only then");
        let own = match command {
            Command::GetStats => 88..168,
            Command::GetQueueStatus => 80..88,
            _ => 0..0,
        };
        for queue in 0..if state.is_active() { 4 } else { 0 } {
            let pa = bench.layout.tx_queue_desc(queue);
            let desc = bench.get::<TxQueueDesc>(pa).0;
            let others = (80..168).filter(|at| !own.contains(at)).all(|at| desc[at] == 0x77);
            check.holds("VMX-CMD-013", others, "nothing beside its own words is written");
            check.holds("VMX-CMD-013", own.clone().all(|at| desc[at] != 0x77), "and those are, of every queue");
        }
    });
}

/// Whether a queue has stopped, as the device tells it.
fn stopped(bench: &mut Bench) -> bool {
    let status = bench.tx_status(1);
    status.stopped() == 1 && status.error() == QueueError::NoEop.code()
}

fn quiesce(check: &mut Check) {
    stops(check, Command::QuiesceDev);
}

fn reset(check: &mut Check) {
    stops(check, Command::ResetDev);
}

/// From every state: the answer is 0, the device is quiet, and the next activation starts a stopped queue afresh.
fn stops(check: &mut Check, command: Command) {
    for state in State::ALL {
        check.on(Target::Both, &pairs(), |check, bench| {
            let before = State::ALL.into_iter().take_while(|before| *before != state);
            before.chain([state]).for_each(|state| state.enter(bench));
            check.holds("VMX-CMD-003", bench.command(Command::GetPermMacLo) != 0, "another answer stands before");
            check.equal("VMX-CMD-003", "answer", bench.command(command), 0u32);
            bench.settle();
            bench.seen();
            let frame = bench.to_guest(80);
            bench.offer(&frame);
            bench.ring(0);
            bench.settle();
            let quiet = !bench.wrote() && bench.sent().is_empty();
            check.holds("VMX-CMD-014", quiet, "nothing is received, sent or written");
            if state == State::Fresh {
                return;
            }
            let shared = bench.layout.shared;
            if state == State::Withdrawn {
                bench.set_shared(shared);
            }
            check.equal("VMX-CMD-014", "answer of the next ACTIVATE_DEV", bench.restart(), 0u32);
            check.holds("VMX-CMD-014", !stopped(bench) && bench.serves(), "every queue works behind it");
        });
    }
}

/// From every state: refused without a shared area, else whatever worked or stopped before starts afresh.
fn activate(check: &mut Check) {
    for state in State::ALL {
        check.on(Target::Both, &pairs(), |check, bench| {
            let before = State::ALL.into_iter().take_while(|before| *before != state);
            before.chain([state]).for_each(|state| state.enter(bench));
            if matches!(state, State::Fresh | State::Withdrawn) {
                bench.seen();
                check.holds("VMX-CMD-014", bench.activate() != 0, "without a shared area it is refused");
                check.holds("VMX-CMD-014", !bench.wrote(), "and writes nothing");
                bench.start();
            } else {
                check.equal("VMX-CMD-014", "answer", bench.restart(), 0u32);
            }
            check.holds("VMX-CMD-014", !stopped(bench) && bench.serves(), "every queue works behind it");
            let after = bench.rx_stats(0).ucast_pkts_rx_ok();
            check.equal("VMX-CMD-014", "frames counted since", after, 1u32);
        });
    }
}
