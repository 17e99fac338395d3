//! Laws that hold in any order of steps, for any guest.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use spec::frame::{Dice, id};

use super::*;
use crate::host::OneAccess;

/// What a random run does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post(u8),
    Offer(u16),
    Refill,
    Stop,
    Start,
    Busy(bool),
    Steps(u8, u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..4u8).prop_map(Act::Post),
        3 => (60..200u16).prop_map(Act::Offer),
        2 => Just(Act::Refill),
        1 => Just(Act::Stop),
        1 => Just(Act::Start),
        1 => any::<bool>().prop_map(Act::Busy),
        6 => (1..40u8, any::<u64>()).prop_map(|(n, seed)| Act::Steps(n, seed)),
    ]
}

proptest! {
    /// In any order of steps, stops and starts: every packet posted is sent once and in order, every frame is delivered once
    /// and in order or counted as dropped, every completion comes once, and no step makes two accesses.
    #[test]
    fn nothing_is_lost_or_doubled_by_stops_in_the_middle_of_everything(acts in vec(act(), 1..120), size in 3..9u32) {
        let mut rig = Rig::new(&Profile::SMALL, size);
        let (mut next_tx, mut next_rx, mut entries) = (0, 0, 0);
        let mut offered = VecDeque::new();
        let mut delivered = 0;
        let refill = |rig: &mut Rig| {
            // As many as were completed; at most size - 1 are out.
            let heads = rig.adapter.peek(Register::Rq(0, RqReg::FetchIndex));
            let out = (rig.filled[0] + u64::from(size) - heads) % u64::from(size);
            let want = (u64::from(size) - 1).saturating_sub(out);
            if want > 0 && rig.adapter.doorbells.is_empty() {
                rig.fill(0, want, 250, |_| false);
            }
        };
        for act in acts {
            match act {
                Act::Post(pieces) => if rig.post(&frame(next_tx, 64), usize::from(pieces)) {
                    next_tx += 1;
                    rig.doorbell();
                },
                Act::Offer(len) => if rig.adapter.offer(&frame(next_rx, usize::from(len))) {
                    offered.push_back((next_rx, usize::from(len)));
                    next_rx += 1;
                },
                Act::Refill => refill(&mut rig),
                Act::Stop | Act::Start => {
                    let on = u64::from(matches!(act, Act::Start));
                    rig.adapter.write(Register::Wq(0, WqReg::Enable), on);
                    rig.adapter.write(Register::Rq(1, RqReg::Enable), on);
                    rig.adapter.write(Register::Rq(0, RqReg::Enable), on);
                }
                Act::Busy(busy) => {
                    rig.host.busy = busy;
                    rig.adapter.wire_ready();
                }
                Act::Steps(count, seed) => {
                    let mut dice = Dice::new(seed);
                    for _ in 0..count {
                        let mut units = Vec::new();
                        rig.adapter.units(&mut units);
                        let Some(&unit) = units.get(dice.below(units.len() as u64) as usize) else { break };
                        let mut host = OneAccess::new(&mut rig.host);
                        rig.adapter.step(unit, &mut host);
                        prop_assert!(host.take() <= 1, "{:?}", unit);
                    }
                }
            }
            rig.reap(&mut entries);
            while let Some((got, _)) = rig.receive() {
                let number = id(&got[14..]).unwrap();
                while let Some((n, len)) = offered.pop_front() {
                    if n == number {
                        prop_assert_eq!(&got, &frame(n, len));
                        break;
                    }
                }
                delivered += 1;
            }
        }
        rig.host.busy = false;
        rig.adapter.wire_ready();
        rig.run();
        rig.enable(false);
        prop_assert!(matches!(rig.adapter.hidden_is_empty(), Ok(()) | Err("ingress FIFO")));
        rig.enable(true);
        rig.run();
        rig.reap(&mut entries);
        while rig.receive().is_some() {
            delivered += 1;
        }
        let sent: Vec<_> = rig.host.sent.iter().map(|(_, f)| id(&f[14..]).unwrap()).collect();
        prop_assert_eq!(sent, (0..next_tx).collect::<Vec<_>>());
        prop_assert_eq!((rig.completed, entries), (rig.posted, next_tx));
        prop_assert_eq!(delivered + rig.adapter.counters.rx[0].pkts_rx_out_of_buf(), next_rx);
    }

    /// `run` is a schedule of `step`: any other schedule ends in the same place.
    #[test]
    fn run_ends_where_any_schedule_of_steps_ends(packets in vec((1..4usize, 60..120usize), 0..12), seed: u64) {
        let mut rig = Rig::new(&Profile::SMALL, 40);
        rig.fill(0, 6, 100, |_| false);
        rig.fill(1, 6, 100, |_| true);
        for (i, (pieces, len)) in packets.into_iter().enumerate() {
            rig.post(&frame(i as u64, len), pieces);
            let _ = rig.adapter.offer(&frame(i as u64, len * 2));
        }
        rig.doorbell();
        // A frame that overtakes the doorbell of its buffers finds none: that race is not what is asked here.
        rig.adapter.read(Register::Wq(0, WqReg::Running));
        let mut stepped = rig.clone();
        rig.run();
        let mut dice = Dice::new(seed);
        loop {
            let mut units = Vec::new();
            stepped.adapter.units(&mut units);
            let Some(&unit) = units.get(dice.below(units.len() as u64) as usize) else { break };
            stepped.adapter.step(unit, &mut stepped.host);
        }
        // How often a vector fires depends on the schedule, as does nothing else.
        rig.host.vectors.dedup();
        stepped.host.vectors.clone_from(&rig.host.vectors);
        prop_assert!(rig.adapter == stepped.adapter);
        prop_assert!(rig.host == stepped.host);
    }

    /// Registers poked at random, ahead of and between steps, panic nowhere and step for a bounded time.
    #[test]
    fn random_pokes_never_panic(pokes in vec((0..5u8, 0..18u8, 0..16u32, prop_oneof![0..12u64, any::<u64>()]), 1..150), seed: u64) {
        let mut rig = Rig::new(&Profile::SMALL, 8);
        let mut dice = Dice::new(seed);
        for page in [0x1000, 0x2000, 0x3000, 0x4000] {
            for byte in 0..256 {
                rig.host.memory.write(page + byte, &[dice.next() as u8]).unwrap();
            }
        }
        for (block, index, slot, value) in pokes {
            let offset = slot * 8;
            let register = match block {
                0 => WqReg::decode(offset).map(|reg| Register::Wq(index, reg)),
                1 => RqReg::decode(offset).map(|reg| Register::Rq(index, reg)),
                2 => CqReg::decode(offset).map(|reg| Register::Cq(index, reg)),
                3 => IntrReg::decode(offset).map(|reg| Register::Intr(index, reg)),
                _ => DevcmdReg::decode(offset / 2).map(Register::Devcmd),
            };
            if let Some(register) = register {
                match dice.below(3) {
                    0 => rig.adapter.write(register, value),
                    1 => drop(rig.adapter.post(register, value as u32)),
                    _ => drop(rig.adapter.read(register)),
                }
            }
            let _ = rig.adapter.offer(&frame(value, dice.below(300) as usize));
            rig.adapter.run(&mut rig.host, dice.below(60) as u32);
        }
        prop_assert!(rig.adapter.run(&mut rig.host, 100_000) < 100_000);
    }
}
