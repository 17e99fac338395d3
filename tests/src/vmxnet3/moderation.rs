//! Moderation: an interrupt that comes too soon behind the last of its vector waits, for as long as the device says and no longer.
//!
//! What a device makes of levels and schemes is its own, so these cases expect what the profile says, down to the nanosecond; one that
//! says nothing is judged by the bound alone. Only a device whose clock can be wound is judged at all.
//!
//! Source: `spec::profile::Moderation`.

use super::vectors::{open, set_levels};
use crate::case::{Case, Check, Need, Target};
use crate::rig::{Bench, Seen, Setup};
use model::guest::vmxnet3::Vectors;
use model::migrate::{Plan, Policy, TxMode};
use spec::profile::Deviation;
use spec::vic::intr::TICK_NS;
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};
use spec::vmxnet3::{Bar0, Bar1, Command, VariableLenConf};

const FORGETS: &[Deviation] = &[Deviation::UnmaskForgetsAutoMask];

pub(crate) const CASES: &[Case] = &[
    Case::new("moderated-levels", &["VMX-MOD-001", "VMX-MOD-004"], levels),
    Case::new("moderated-with-auto-mask", &["VMX-MOD-001"], auto_masked),
    Case::new("moderated-apart", &["VMX-MOD-001"], apart),
    Case::new("moderated-while-masked", &["VMX-MOD-001", "VMX-MOD-002"], while_masked),
    Case::new("moderated-on-the-line", &["VMX-MOD-001"], on_the_line),
    Case::new("moderated-never-for-ever", &["VMX-MOD-002"], never_for_ever).unless(FORGETS),
    Case::new("moderated-by-a-scheme", &["VMX-MOD-003"], by_a_scheme),
    Case::new("moderated-at-the-limits-of-a-rate", &["VMX-MOD-003", "VMX-MOD-002"], at_the_limits),
    Case::new("moderated-by-a-new-scheme", &["VMX-MOD-003"], by_a_new_scheme),
    Case::new("moderated-anew-behind-a-stop", &["VMX-MOD-004"], behind_a_stop),
    Case::new("moderated-anew-behind-a-reset", &["VMX-MOD-004", "VMX-MOD-003"], behind_a_reset),
    Case::new("moderated-across-a-switch", &["SWI-MOD-001"], across_a_switch).needing(&[Need::Moves]),
];

/// A guest of version 3 that masks nothing by itself.
fn setup() -> Setup {
    let mut setup = Setup::default();
    (setup.config.max_version, setup.config.auto_mask) = (3, false);
    setup
}

/// A frame arrives and is taken; what waits for no time happens.
fn cause(bench: &mut Bench) {
    let frame = bench.to_guest(90);
    bench.offer(&frame);
    bench.pass(0);
    bench.received(0);
}

/// Long enough for whatever waits for time, and for every spacing to be over.
fn quiet(check: &Check, bench: &mut Bench) {
    bench.pass(check.profile().moderation.longest_ns() + 1);
}

/// Vector 0 tells at once.
fn at_once(check: &mut Check, bench: &mut Bench, clause: &'static str) {
    let before = bench.raised(0);
    cause(bench);
    check.equal(clause, "raises behind a quiet time", bench.raised(0) - before, 1u32);
}

/// Vector 0, which has a cause and `ns` of its spacing left, tells it when they are over and not before.
fn told_after(check: &mut Check, bench: &mut Bench, clause: &'static str, before: u64, ns: u64) {
    if ns > 0 {
        bench.pass(ns - 1);
        check.equal(clause, "raises within the spacing", bench.raised(0) - before, 0u32);
        bench.pass(1);
    }
    check.equal(clause, "raises when it is over", bench.raised(0) - before, 1u32);
}

/// Vector 0 is spaced by `ns`: the first cause comes at once, the second when the spacing is over, however many there are in it.
fn spaced(check: &mut Check, bench: &mut Bench, clause: &'static str, ns: u64) {
    quiet(check, bench);
    at_once(check, bench, clause);
    let before = bench.raised(0);
    cause(bench);
    told_after(check, bench, clause, before, ns);
    // The third was told then: its own spacing has begun.
    let (before, early) = (bench.raised(0), ns / 3);
    if ns > 0 {
        bench.pass(early);
        (0..3).for_each(|_| cause(bench));
        told_after(check, bench, clause, before, ns - early);
    }
    quiet(check, bench);
    check.equal(clause, "raises of nothing new", bench.raised(0) - before, u64::from(ns > 0));
}

/// Sets every level and tells the device.
fn update(bench: &mut Bench, level: u8) {
    set_levels(bench, level);
    bench.command(Command::UpdateIml);
}

/// Spacing at `level`, with no scheme in force.
fn of_level(check: &Check, level: u8) -> u64 {
    check.profile().moderation.spacing_ns(level, CoalesceScheme::default())
}

fn levels(check: &mut Check) {
    check.at_moderated(1, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 5;
        bench.start();
        open(bench);
        let ns = of_level(check, 5);
        spaced(check, bench, "VMX-MOD-004", ns);
        for level in [0, 1, 4, 7, 8, 9, u8::MAX, 2] {
            set_levels(bench, level);
            // Until the command only what was read last counts.
            let before = bench.raised(0);
            cause(bench);
            check.equal("VMX-MOD-004", "raises before UPDATE_IML", bench.raised(0) - before, 1u32);
            bench.command(Command::UpdateIml);
            let ns = of_level(check, level);
            spaced(check, bench, "VMX-MOD-001", ns);
        }
        // A shorter spacing shortens one that has begun, a longer one leaves it.
        for (first, then) in [(7, 1), (7, 0), (1, 7)] {
            update(bench, first);
            quiet(check, bench);
            at_once(check, bench, "VMX-MOD-004");
            let before = bench.raised(0);
            cause(bench);
            update(bench, then);
            bench.pass(0);
            let left = of_level(check, first.min(then));
            told_after(check, bench, "VMX-MOD-004", before, left);
        }
    });
}

/// A driver polls, unmasks, and finds that the next cause keeps its distance.
fn auto_masked(check: &mut Check) {
    let mut setup = setup();
    setup.config.auto_mask = true;
    check.at_moderated(1, Target::Both, &setup, |check, bench| {
        bench.config.mod_level = 6;
        bench.start();
        open(bench);
        let ns = of_level(check, 6);
        for early in [0, 1, ns / 2, ns] {
            quiet(check, bench);
            bench.unmask(0);
            bench.pass(0);
            at_once(check, bench, "VMX-MOD-001");
            let before = bench.raised(0);
            cause(bench);
            bench.pass(early);
            check.equal("VMX-MOD-001", "raises while masked", bench.raised(0) - before, 0u32);
            bench.unmask(0);
            bench.pass(0);
            told_after(check, bench, "VMX-MOD-001", before, ns - early);
            check.equal("VMX-MOD-001", "IMR behind it", bench.read0(Bar0::Imr(0)), 1u32);
        }
    });
}

/// A vector that waits keeps no other one waiting.
fn apart(check: &mut Check) {
    let mut setup = setup();
    setup.config.vectors = Vectors::Separate;
    check.at_moderated(1, Target::Both, &setup, |check, bench| {
        bench.config.mod_level = 7;
        bench.start();
        (0..3).for_each(|vector| bench.unmask(vector));
        quiet(check, bench);
        let ns = of_level(check, 7);
        for _ in 0..3 {
            let (sent, received) = (bench.raised(0), bench.raised(1));
            cause(bench);
            cause(bench);
            check.equal("VMX-MOD-001", "raises of what was received", bench.raised(1) - received, 1u32);
            let frame = bench.from_guest(80);
            bench.send(0, &frame);
            bench.pass(0);
            bench.completions(0);
            check.equal("VMX-MOD-001", "raises of what was sent meanwhile", bench.raised(0) - sent, 1u32);
            bench.pass(ns - 1);
            check.equal("VMX-MOD-001", "raises within the spacing", bench.raised(1) - received, 1u32);
            bench.pass(1);
            check.equal("VMX-MOD-001", "raises when it is over", bench.raised(1) - received, 2u32);
            quiet(check, bench);
        }
    });
}

/// The clock goes on behind a mask, and an unmask is no reason to hurry.
fn while_masked(check: &mut Check) {
    check.at_moderated(1, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 7;
        bench.start();
        open(bench);
        let ns = of_level(check, 7);
        for masked in [0, 1, ns / 2, ns - 1, ns, 2 * ns] {
            quiet(check, bench);
            at_once(check, bench, "VMX-MOD-001");
            let before = bench.raised(0);
            cause(bench);
            bench.write0(Bar0::Imr(0), 1);
            bench.read0(Bar0::Imr(0));
            bench.pass(masked);
            check.equal("VMX-MOD-001", "raises while masked", bench.raised(0) - before, 0u32);
            bench.unmask(0);
            bench.pass(0);
            let left = ns.saturating_sub(masked);
            let clause = if left == 0 { "VMX-MOD-002" } else { "VMX-MOD-001" };
            told_after(check, bench, clause, before, left);
        }
    });
}

/// The line is spaced as vector 0 is.
fn on_the_line(check: &mut Check) {
    let mut setup = setup();
    (setup.config.vectors, setup.judged) = (Vectors::Intx, false);
    check.moderated_on_line(&setup, |check, bench| {
        bench.config.mod_level = 3;
        bench.start();
        open(bench);
        let ns = of_level(check, 3);
        for _ in 0..3 {
            quiet(check, bench);
            bench.read1(Bar1::Icr);
            let asserted = |bench: &Bench| bench.device.seen().contains(&Seen::Line(true));
            bench.seen();
            cause(bench);
            check.holds("VMX-MOD-001", asserted(bench), "behind a quiet time the line is raised at once");
            bench.read1(Bar1::Icr);
            bench.seen();
            cause(bench);
            bench.pass(ns - 1);
            check.holds("VMX-MOD-001", !asserted(bench), "within the spacing it is not");
            bench.pass(1);
            check.holds("VMX-MOD-001", asserted(bench), "when that is over it is");
        }
    });
}

/// On any device: nothing waits longer than the longest that a timer of 16 bits counts.
fn never_for_ever(check: &mut Check) {
    const LONGEST_NS: u64 = u16::MAX as u64 * TICK_NS;
    check.on(Target::Both, &setup(), |check, bench| {
        for level in [0, 1, 7, 8, u8::MAX] {
            bench.command(Command::QuiesceDev);
            bench.config.mod_level = level;
            bench.prepare();
            bench.activate();
            bench.to_target();
            open(bench);
            bench.pass(LONGEST_NS);
            for masked in [false, true, false] {
                cause(bench);
                let before = bench.raised(0);
                if masked {
                    bench.write0(Bar0::Imr(0), 1);
                    bench.read0(Bar0::Imr(0));
                }
                cause(bench);
                bench.pass(LONGEST_NS);
                if masked {
                    check.equal("VMX-MOD-002", "raises while masked", bench.raised(0) - before, 0u32);
                    bench.unmask(0);
                    bench.pass(LONGEST_NS);
                }
                let told = bench.raised(0) - before;
                check.equal("VMX-MOD-002", "raises in 98 milliseconds", told, 1u32);
            }
        }
    });
}

fn scheme(mode: u32, para: [u32; 3]) -> CoalesceScheme {
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(mode);
    scheme.set_coal_para(para);
    scheme
}

fn rate(interrupts: u32) -> CoalesceScheme {
    scheme(coalesce::RATE, [interrupts, 0, 0])
}

/// SET_COALESCE, without letting time go on.
fn set(bench: &mut Bench, scheme: CoalesceScheme) {
    let pa = bench.layout.coalesce;
    bench.put(pa, scheme);
    bench.shared(|shared| {
        let mut words = VariableLenConf::default();
        words.set_conf_ver(1);
        words.set_conf_len(16);
        words.set_conf_pa(pa);
        shared.set_cmd_info(words.0);
    });
    bench.command(Command::SetCoalesce);
}

fn by_a_scheme(check: &mut Check) {
    check.at_moderated(3, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 2;
        bench.start();
        open(bench);
        let schemes = [
            rate(4000),
            scheme(coalesce::ADAPTIVE, [0; 3]),
            scheme(coalesce::STATIC, [64; 3]),
            scheme(coalesce::STATIC, [1, 0, 1]),
            scheme(coalesce::DISABLED, [0; 3]),
            rate(20_000),
        ];
        for (round, scheme) in schemes.into_iter().enumerate() {
            set(bench, scheme);
            let level = if round % 2 == 0 { 2 } else { 6 };
            let ns = check.profile().moderation.spacing_ns(level, scheme);
            update(bench, level);
            spaced(check, bench, "VMX-MOD-003", ns);
        }
        // Out of a scheme the level counts that was read last.
        update(bench, 3);
        set(bench, CoalesceScheme::default());
        let ns = of_level(check, 3);
        spaced(check, bench, "VMX-MOD-003", ns);
    });
}

fn at_the_limits(check: &mut Check) {
    check.at_moderated(3, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 1;
        bench.start();
        open(bench);
        for good in [*coalesce::RATES.start(), *coalesce::RATES.end()] {
            set(bench, rate(good));
            let ns = check.profile().moderation.spacing_ns(1, rate(good));
            spaced(check, bench, "VMX-MOD-003", ns);
            let refused = [rate(0), rate(99), rate(100_001), scheme(coalesce::STATIC, [129, 0, 0]), scheme(4, [0; 3])];
            for bad in refused {
                set(bench, bad);
                spaced(check, bench, "VMX-MOD-003", ns);
            }
            // No more than the rate in a second, and no fewer than a tick's rounding takes.
            quiet(check, bench);
            let (before, periods) = (bench.raised(0), 20);
            for _ in 0..periods {
                (0..2).for_each(|_| cause(bench));
                bench.pass(1_000_000_000 / u64::from(good));
            }
            let told = bench.raised(0) - before;
            check.holds("VMX-MOD-003", told <= periods + 1, "no more interrupts come than the rate says");
            check.holds("VMX-MOD-002", told >= periods * 9 / 10, "and hardly fewer");
        }
    });
}

/// A scheme counts for a spacing that has begun, where it is the shorter.
fn by_a_new_scheme(check: &mut Check) {
    check.at_moderated(3, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 0;
        bench.start();
        open(bench);
        let ns = |check: &Check, scheme| check.profile().moderation.spacing_ns(0, scheme);
        for (first, then) in [
            (rate(100), rate(100_000)),
            (rate(100_000), rate(100)),
            (rate(1000), CoalesceScheme::default()),
            (scheme(coalesce::STATIC, [64; 3]), scheme(coalesce::ADAPTIVE, [0; 3])),
        ] {
            set(bench, first);
            quiet(check, bench);
            at_once(check, bench, "VMX-MOD-003");
            let before = bench.raised(0);
            cause(bench);
            set(bench, then);
            bench.pass(0);
            let left = ns(check, first).min(ns(check, then));
            told_after(check, bench, "VMX-MOD-003", before, left);
        }
    });
}

/// An activation starts without a spacing, by the levels that it reads; what waited is a cause still.
fn behind_a_stop(check: &mut Check) {
    check.at_moderated(1, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 7;
        bench.start();
        open(bench);
        for level in [3, 7, 1] {
            quiet(check, bench);
            at_once(check, bench, "VMX-MOD-004");
            let before = bench.raised(0);
            cause(bench);
            bench.command(Command::QuiesceDev);
            quiet(check, bench);
            check.equal("VMX-MOD-004", "raises of an inactive device", bench.raised(0) - before, 0u32);
            bench.config.mod_level = level;
            bench.restart();
            bench.pass(0);
            check.equal("VMX-MOD-004", "raises behind ACTIVATE_DEV", bench.raised(0) - before, 1u32);
            let ns = of_level(check, level);
            spaced(check, bench, "VMX-MOD-004", ns);
            // Without a time between, the next activation does not know that anything was told.
            let before = bench.raised(0);
            cause(bench);
            bench.command(Command::QuiesceDev);
            bench.restart();
            at_once(check, bench, "VMX-MOD-004");
            check.equal("VMX-MOD-004", "raises in all", bench.raised(0) - before, 2u32);
        }
    });
}

/// RESET_DEV drops what waits, the spacing, and the scheme.
fn behind_a_reset(check: &mut Check) {
    check.at_moderated(3, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 7;
        bench.start();
        for _ in 0..3 {
            open(bench);
            set(bench, rate(100));
            quiet(check, bench);
            at_once(check, bench, "VMX-MOD-004");
            let before = bench.raised(0);
            cause(bench);
            bench.command(Command::ResetDev);
            let shared = bench.layout.shared;
            bench.set_shared(shared);
            bench.restart();
            bench.unmask(0);
            bench.pass(0);
            check.equal("VMX-MOD-004", "raises of what RESET_DEV dropped", bench.raised(0) - before, 0u32);
            at_once(check, bench, "VMX-MOD-004");
            let ns = of_level(check, 7);
            spaced(check, bench, "VMX-MOD-003", ns);
        }
    });
}

/// What waits is told at once behind a switch, which may tell it once more, and the spacing is the same there.
fn across_a_switch(check: &mut Check) {
    check.at_moderated(3, Target::Both, &setup(), |check, bench| {
        bench.config.mod_level = 7;
        bench.start();
        open(bench);
        for (round, scheme) in [rate(1000), CoalesceScheme::default(), rate(100), rate(1000)].into_iter().enumerate() {
            set(bench, scheme);
            let ns = check.profile().moderation.spacing_ns(7, scheme);
            spaced(check, bench, "SWI-MOD-001", ns);
            at_once(check, bench, "SWI-MOD-001");
            let before = bench.raised(0);
            cause(bench);
            let plan = match bench.in_hardware() {
                true => Plan::leave(TxMode::Drain, [Policy::A, Policy::B, Policy::C][round % 3]),
                false => Plan::enter(TxMode::RollBack),
            };
            let came_from = bench.in_hardware();
            check.holds("SWI-MOD-001", bench.device.switch(plan), "the switch is begun");
            bench.pass(0);
            check.holds("SWI-MOD-001", bench.in_hardware() != came_from, "and made");
            check.holds("SWI-MOD-001", bench.raised(0) > before, "what waited is told at once behind it");
            quiet(check, bench);
            check.holds("SWI-MOD-001", bench.raised(0) - before <= 2, "and once more at the most");
            spaced(check, bench, "SWI-MOD-001", ns);
        }
    });
}
