//! Which version is in force, what of later ones is unknown then, and that a driver of each is served.

use super::offered::{BUFFERS, each_version};
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Setup};
use spec::vmxnet3::parameter::{MemRegs, MemoryRegion, RingBufferSize};
use spec::vmxnet3::shared::CMD_INFO_OFFSET;
use spec::vmxnet3::{Bar1, Command, VariableLenConf};

pub(crate) const CASES: &[Case] = &[
    Case { id: "selecting-a-version", clauses: &["VMX-VER-002"], unless: &[], needs: &[], run: selecting },
    Case {
        id: "later-commands",
        clauses: &["VMX-VER-001"],
        unless: &[],
        needs: &[Need::Accesses],
        run: later_commands,
    },
    Case { id: "drivers-of-every-version", clauses: &["VMX-VER-003"], unless: &[], needs: &[], run: every_version },
    Case { id: "hints", clauses: &["VMX-VER-004"], unless: &[], needs: &[Need::Accesses], run: hints },
    Case {
        id: "commands-of-nobody",
        clauses: &["VMX-VER-005"],
        unless: &[],
        needs: &[Need::Accesses],
        run: commands_of_nobody,
    },
    Case {
        id: "what-was-selected-moves",
        clauses: &["VMX-SAV-006"],
        unless: &[],
        needs: &[Need::Inside, Need::Moves],
        run: selection_moves,
    },
];

/// What tells the version in force from outside: from 3 on one word answers, from 6 another, at 9 a third.
fn fingerprint(bench: &mut Bench) -> [u32; 4] {
    let sizes = bench.command(Command::GetTxdataDescSize);
    let [fields, queues] = [Command::GetRssFields, Command::GetMaxQueuesConf].map(|command| bench.command(command));
    [sizes, fields, queues, sizes >> 16]
}

fn selecting(check: &mut Check) {
    each_version(check, 1..=9, &Setup::default(), |check, bench, version| {
        let own = fingerprint(bench);
        let known = [3, 4, 6, 9].map(|since| version >= since);
        check.holds("VMX-VER-002", own.map(|answer| answer != 0) == known, "what the version knows is answered");
        let offered = bench.read1(Bar1::Vrrs);
        let unoffered = (0..32).map(|bit| 1 << bit).filter(|bit| offered & bit == 0);
        for wrong in unoffered.chain([0, 3, 1 << 8 | 1, offered | 1 << 9, u32::MAX]) {
            bench.write1(Bar1::Vrrs, wrong);
            check.holds("VMX-VER-002", fingerprint(bench) == own, "the version in force stays");
            check.equal("VMX-VER-002", "VRRS", bench.read1(Bar1::Vrrs), offered);
        }
    });
}

/// Points cmdInfo at a block that every command can read and write without harm.
fn point(bench: &mut Bench) {
    let mut words = VariableLenConf::default();
    words.set_conf_ver(1);
    words.set_conf_len(16);
    words.set_conf_pa(bench.layout.coalesce);
    bench.shared(|shared| shared.set_cmd_info(words.0));
}

/// Each of `commands` answers 0, behind one that does not, and neither memory nor wire see anything of it.
fn nothing_comes_of(check: &mut Check, bench: &mut Bench, clause: &'static str, commands: &[Command]) {
    bench.settle();
    let before = bench.memory().clone();
    for &command in commands {
        check.holds(clause, bench.command(Command::GetPermMacLo) != 0, "another answer stands before");
        bench.seen();
        bench.write1(Bar1::Cmd, command.code());
        bench.settle();
        check.equal(clause, "answer", bench.read1(Bar1::Cmd), 0u32);
        check.holds(clause, bench.seen().is_empty(), "nothing is touched");
    }
    check.holds(clause, *bench.memory() == before, "memory is as it was");
}

/// [`nothing_comes_of`], in every state, and traffic flows before and after.
fn nothing_ever_comes_of(check: &mut Check, bench: &mut Bench, clause: &'static str, commands: &[Command]) {
    nothing_comes_of(check, bench, clause, commands);
    bench.prepare();
    point(bench);
    nothing_comes_of(check, bench, clause, commands);
    bench.activate();
    bench.to_target();
    check.holds(clause, bench.serves(), "traffic flows");
    nothing_comes_of(check, bench, clause, commands);
    check.holds(clause, bench.serves(), "traffic flows still");
    bench.command(Command::ResetDev);
    nothing_comes_of(check, bench, clause, commands);
}

fn later_commands(check: &mut Check) {
    each_version(check, 1..=8, &Setup::newest(), |check, bench, version| {
        let all = Command::TABLE.iter().map(|row| Command::from(row.0));
        let later: Vec<_> = all.filter(|command| command.since() > version).collect();
        nothing_ever_comes_of(check, bench, "VMX-VER-001", &later);
    });
}

fn commands_of_nobody(check: &mut Check) {
    use Command::{
        ActivateVf, GetEncapDstport, GetPktsteering, GetRssHashFunc, LoadPlugin, SetEspQueueSelectionConf,
        SetPktsteering, SetPolling, StopEmulation,
    };
    let nobodys = [
        StopEmulation,
        LoadPlugin,
        ActivateVf,
        SetPolling,
        SetPktsteering,
        SetEspQueueSelectionConf,
        GetEncapDstport,
        GetPktsteering,
        GetRssHashFunc,
    ];
    each_version(check, 1..=9, &Setup::newest(), |check, bench, _| {
        nothing_ever_comes_of(check, bench, "VMX-VER-005", &nobodys);
    });
}

/// The guest of version 3, which takes frames in pieces.
fn in_pieces() -> Setup {
    let mut setup = Setup::newest();
    setup.config.max_rx_sg = BUFFERS;
    setup
}

fn every_version(check: &mut Check) {
    each_version(check, 1..=9, &in_pieces(), |check, bench, _| {
        bench.start();
        for _ in 0..40 {
            check.holds("VMX-VER-003", bench.serves(), "traffic flows, round the rings");
        }
        let entry = usize::from(bench.config.rx_data_bytes);
        for len in [60, entry, entry + 1, 1000] {
            let frame = bench.to_guest(len);
            check.holds("VMX-VER-003", bench.receives(&frame), "a frame of any length arrives whole");
        }
        bench.command(Command::QuiesceDev);
        check.equal("VMX-VER-003", "answer of another ACTIVATE_DEV", bench.restart(), 0u32);
        check.holds("VMX-VER-003", bench.serves(), "traffic flows again");
        bench.command(Command::ResetDev);
        let shared = bench.layout.shared;
        bench.set_shared(shared);
        check.equal("VMX-VER-003", "answer of ACTIVATE_DEV after RESET_DEV", bench.restart(), 0u32);
        check.holds("VMX-VER-003", bench.serves(), "and again");
    });
}

fn hints(check: &mut Check) {
    each_version(check, 1..=9, &in_pieces(), |check, bench, version| {
        let hint = |check: &mut Check, bench: &mut Bench| {
            for count in [0, 1, 256, u16::MAX] {
                let mut region = MemoryRegion::default();
                region.set_start_pa(if count == 1 { bench.layout.tx[0].buffers } else { u64::MAX });
                region.set_length(u32::MAX);
                let mut regions = MemRegs::default();
                regions.set_num_regs(count);
                regions.set_mem_regs(region);
                bench.put(bench.layout.coalesce, regions.0[..16].first_chunk::<16>().copied().unwrap_or_default());
                point(bench);
                nothing_comes_of(check, bench, "VMX-VER-004", &[Command::RegisterMemregs]);
            }
            if version < Command::SetRingBufferSize.since() {
                return;
            }
            for sizes in [[0; 3], [1, 0, 1], [127, 0, 4096], [3072, 0, 4096], [u16::MAX; 3]] {
                let mut words = RingBufferSize::default();
                words.set_ring1_buf_size_type0(sizes[0]);
                words.set_ring1_buf_size_type1(sizes[1]);
                words.set_ring2_buf_size_type1(sizes[2]);
                bench.put(bench.layout.shared + CMD_INFO_OFFSET, words.0);
                nothing_comes_of(check, bench, "VMX-VER-004", &[Command::SetRingBufferSize]);
            }
        };
        bench.prepare();
        hint(check, bench);
        bench.activate();
        bench.to_target();
        hint(check, bench);
        for len in [60, 200, 255, 600] {
            let frame = bench.to_guest(len);
            check.holds("VMX-VER-004", bench.receives(&frame), "buffers are as long as their descriptors say");
        }
        check.holds("VMX-VER-004", bench.serves(), "traffic flows");
    });
}

/// Versions are selected, capabilities and fields asked for; then the device moves there and back, and through bytes.
fn selection_moves(check: &mut Check) {
    each_version(check, 1..=9, &Setup::default(), |check, bench, _| {
        bench.write1(Bar1::Dcr(0), u32::MAX);
        bench.prepare();
        bench.put(bench.layout.shared + CMD_INFO_OFFSET, u32::MAX);
        bench.activate();
        bench.command(Command::SetRssFields);
        let all = |bench: &mut Bench| (fingerprint(bench), bench.command(Command::GetDcr0Reg));
        let own = all(bench);
        for _ in 0..2 {
            bench.to_target();
            check.holds("VMX-SAV-006", all(bench) == own, "the answers are the same on the adapter");
            check.holds("VMX-SAV-006", bench.serves(), "traffic flows");
            if bench.target == Target::Adapter {
                bench.leave();
            }
            check.holds("VMX-SAV-006", all(bench) == own, "and in software again");
        }
        bench.settle();
        let profile = bench.system().plane().profile();
        let mut bytes = Vec::new();
        if let Ok(saved) = bench.system().save() {
            saved.encode(profile, &mut bytes);
            let restored = model::migrate::Saved::decode(profile, &bytes).ok();
            check.holds("VMX-SAV-006", restored.is_some_and(|it| it.plane == saved.plane), "and from bytes");
        } else {
            check.holds("VMX-SAV-006", false, "a device at rest can be saved");
        }
    });
}
