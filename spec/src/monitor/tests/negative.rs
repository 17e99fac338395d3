//! Right runs pass; devices that are wrong in the large are rejected by name.

use super::rig::*;
use crate::event::{Bar, Effect, Stimulus};
use crate::vmxnet3::Command;

#[test]
fn traffic_both_ways_over_many_laps_is_clean() {
    let mut rig = Rig::active();
    for id in 0..100 {
        rig.transmit(&outward(id, 60 + id as usize));
        let frame = inward(id, 40 + id as usize);
        rig.offer(&frame);
        rig.deliver(&frame);
        rig.post_rx(0, false);
        rig.idle();
    }
    rig.is_clean();
    let [snoop, poll] = rig.verdicts();
    for (clause, premises, _) in snoop.tally.iter().filter(|row| row.1 > 0) {
        let blind = poll.not_judged.iter().any(|index| index.id() == clause.id);
        let seen = poll.tally.iter().any(|row| row.0.id == clause.id && row.1 > 0);
        assert!(blind || seen, "{}: {premises} premises by snooping, none by polling", clause.id);
    }
}

#[test]
fn a_switch_may_interrupt_once_more_and_no_oftener() {
    let mut rig = Rig::active();
    rig.transmit(&outward(1, 60));
    rig.idle();
    rig.stimulus(Stimulus::Switched { hardware: true });
    rig.vector(VECTORS[0]);
    rig.unmask(VECTORS[0]);
    rig.idle();
    rig.is_clean();
    rig.vector(VECTORS[0]);
    rig.breaks("VMX-INT-001");
}

#[test]
fn a_device_that_always_interrupts_is_rejected() {
    let mut rig = Rig::active();
    for id in 0..4 {
        rig.transmit(&outward(id, 60));
        for v in VECTORS {
            rig.vector(v);
            rig.unmask(v);
        }
        rig.idle();
    }
    rig.breaks("VMX-INT-001");
}

#[test]
fn a_device_that_drops_and_counts_everything_is_rejected() {
    let mut rig = Rig::active();
    rig.offer(&inward(1, 100));
    rig.post_tx(&outward(1, 100), |_| ());
    rig.ring();
    rig.complete_tx(0);
    rig.vector(VECTORS[0]);
    rig.put(TABLE + 88 + 64, 1u64);
    rig.put(TABLE + 256 + 88 + 64, 1u64);
    rig.idle();
    rig.command(Command::GetStats);
    rig.breaks("SWI-CON-001");
    rig.breaks("SWI-CON-002");
}

#[test]
fn a_device_that_never_sends_is_rejected() {
    let mut rig = Rig::active();
    rig.post_tx(&outward(1, 100), |_| ());
    rig.idle();
    rig.is_clean();
    rig.ring();
    rig.breaks("VMX-TX-014");
    rig.breaks("SWI-CON-001");
}

#[test]
fn a_busy_wire_excuses_waiting() {
    let mut rig = Rig::active();
    rig.stimulus(Stimulus::Wire { ready: false });
    rig.post_tx(&outward(1, 100), |_| ());
    rig.ring();
    rig.idle();
    rig.is_clean();
    rig.stimulus(Stimulus::Wire { ready: true });
    rig.breaks("VMX-TX-014");
}

#[test]
fn a_device_that_completes_without_sending_is_rejected() {
    let mut rig = Rig::active();
    rig.post_tx(&outward(1, 100), |_| ());
    rig.ring();
    rig.complete_tx(0);
    rig.vector(VECTORS[0]);
    rig.breaks("SWI-CON-001");
}

#[test]
fn a_device_that_forgets_a_packet_over_a_switch_is_rejected() {
    let mut rig = Rig::active();
    rig.post_tx(&outward(1, 100), |_| ());
    rig.stimulus(Stimulus::Switched { hardware: false });
    rig.breaks("SWI-WAK-001");
}

#[test]
fn a_device_that_goes_on_after_quiesce_is_rejected() {
    let mut rig = Rig::active();
    rig.command(Command::QuiesceDev);
    rig.write_memory(Rig::rx_buffer(0, 0), &[1; 60]);
    rig.read(Bar::Bar1, 0x20, 0);
    rig.is_clean();
    rig.write_memory(Rig::rx_buffer(0, 0), &[1; 60]);
    rig.breaks("VMX-LIF-001");
}

#[test]
fn quiesce_and_activate_start_afresh() {
    let mut rig = Rig::active();
    rig.transmit(&outward(1, 60));
    rig.post_tx(&outward(2, 60), |_| ());
    rig.command(Command::QuiesceDev);
    rig.read(Bar::Bar1, 0x20, 0);
    let (snoop, poll) = (rig.snoop, rig.poll);
    rig = Rig { snoop, poll, ..Rig::new() };
    rig.activate();
    rig.transmit(&outward(3, 60));
    rig.idle();
    rig.is_clean();
}

#[test]
fn hostile_guests_are_judged_by_isolation_alone() {
    let mut judges = crate::monitor::Judges::isolation();
    let mut rig = Rig::active();
    std::mem::swap(&mut rig.snoop, &mut judges);
    rig.command(Command::ResetDev);
    rig.activate();
    rig.fetch_tx(0);
    rig.effect(Effect::Vector { index: 7 });
    assert!(rig.snoop.is_clean());
    rig.write_memory(0x3000, &[1]);
    assert!(rig.snoop.verdict().broke("SWI-ISO-001"));
}
