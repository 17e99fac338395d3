//! Laws that hold for any guest.

use super::*;
use crate::host::OneAccess;
use crate::plane::{Interrupts, Rss, RxDataRing};
use crate::vmxnet3::testing::{DATA_RING, Guest, MAC, PEER, tcp4};
use proptest::prelude::*;
use spec::frame::generated;
use spec::vmxnet3::shared::CoalesceScheme;

fn frame(id: u64, len: usize) -> Vec<u8> {
    generated(MAC, PEER, 1, id, len)
}

/// Something a guest or the world does.
#[derive(Clone, Debug)]
enum Op {
    Post { pieces: Vec<u16>, om: u8, hlen: u16, msscof: u16, ti: bool },
    Buffer { ring: usize, len: u16, body: bool },
    Scribble { at: u16, byte: u8 },
    Bar0(u16, u32),
    Frame(u16, bool),
    Busy(bool),
    Link(bool),
    Icr,
    Advance(u32),
    Moderate { level: u8, rate: u32 },
    Request(u8),
    Cut(bool),
    Run(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let pieces = prop::collection::vec(prop_oneof![1u16..80, Just(14), 1u16..2000], 1..4);
    prop_oneof![
        4 => (pieces, 0u8..4, prop_oneof![Just(54u16), 0u16..1024], 0u16..300, any::<bool>())
            .prop_map(|(pieces, om, hlen, msscof, ti)| Op::Post { pieces, om, hlen, msscof, ti }),
        4 => (0usize..2, 0u16..600, any::<bool>()).prop_map(|(ring, len, body)| Op::Buffer { ring, len, body }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Op::Scribble { at, byte }),
        3 => Just(Op::Bar0(0x600, 0)),
        2 => (0u16..26, 0u32..2).prop_map(|(vector, mask)| Op::Bar0(vector * 8, mask)),
        1 => (any::<u16>(), any::<u32>()).prop_map(|(offset, value)| Op::Bar0(offset & 0xffc, value)),
        4 => (0u16..900, any::<bool>()).prop_map(|(len, tcp)| Op::Frame(len, tcp)),
        1 => any::<bool>().prop_map(Op::Busy),
        1 => any::<bool>().prop_map(Op::Link),
        1 => Just(Op::Icr),
        2 => (0u32..100_000).prop_map(Op::Advance),
        1 => (any::<u8>(), 100u32..=100_000).prop_map(|(level, rate)| Op::Moderate { level, rate }),
        1 => any::<u8>().prop_map(Op::Request),
        1 => any::<bool>().prop_map(Op::Cut),
        4 => any::<u8>().prop_map(Op::Run),
    ]
}

fn apply(op: &Op, guest: &mut Guest, body: &mut Body) {
    match op {
        Op::Post { pieces, om, hlen, msscof, ti } => {
            let total: u16 = pieces.iter().sum();
            let whole = tcp4(usize::from(total), 0);
            let mut at = 0;
            let pieces: Vec<&[u8]> = pieces
                .iter()
                .map(|len| {
                    at += usize::from(*len);
                    &whole[at - usize::from(*len)..at]
                })
                .collect();
            guest.packet(&pieces, |desc| {
                desc.set_om(*om);
                desc.set_hlen(*hlen);
                desc.set_msscof(*msscof);
                desc.set_ti(*ti);
                desc.set_cq(hlen % 3 != 0);
            });
        }
        Op::Buffer { ring, len, body } => drop(guest.post(*ring, *len, *body)),
        Op::Scribble { at, byte } => {
            let ring = [0, 0x2000, 0x3000][usize::from(*at) % 3];
            guest.host.memory.write(0x1_0000 + ring + u64::from(at / 3 % 64), &[*byte]).unwrap();
        }
        Op::Bar0(offset, value) => {
            if let Some(reg) = Bar0::decode(u32::from(*offset)) {
                body.read_bar0(reg);
                body.write_bar0(reg, *value);
            }
        }
        Op::Frame(len, tcp) => {
            let frame = if *tcp { tcp4(usize::from(*len), 0) } else { frame(u64::from(*len), usize::from(*len)) };
            body.offer(&frame);
        }
        Op::Busy(busy) => {
            guest.host.busy = *busy;
            if !busy {
                body.wire_ready();
            }
        }
        Op::Link(up) => body.set_link(*up),
        Op::Icr => drop(body.read_icr(&mut guest.host)),
        Op::Advance(ns) => body.advance(u64::from(*ns)),
        Op::Moderate { level, rate } => {
            let mut scheme = CoalesceScheme::default();
            scheme.set_coal_mode(u32::from(*level) % 4);
            scheme.set_coal_para([*rate, 0, 0]);
            body.serve(Request::Moderation { levels: Box::new([*level; MAX_VECTORS]), scheme }, &mut guest.host);
        }
        Op::Request(number) => {
            let request = match number % 16 {
                0 => Request::Stop,
                1 => Request::Reset,
                2 | 3 => Request::Start(Box::new(guest.activation.clone())),
                4 => Request::Features(u64::from(*number) / 16),
                5 => Request::Filters(Box::new(guest.activation.filters.clone())),
                _ => Request::Raise(number / 8),
            };
            body.serve(request, &mut guest.host);
        }
        Op::Cut(take) => {
            body.roll_back();
            if *take {
                body.return_inbox();
            }
            if let (Ok(progress), Some(activation)) = (body.progress(), body.activation().cloned()) {
                let link = body.link;
                *body = Body::resume(body.profile, &activation, &progress);
                body.rescan();
                body.set_link(link);
            }
        }
        Op::Run(_) => {}
    }
}

fn start(profile: &'static Profile, interrupts: Interrupts, features: u64, entry_bytes: u16) -> (Guest, Body) {
    let mut guest = Guest::new();
    if entry_bytes != 0 {
        guest.activation.rx_data = vec![RxDataRing { pa: DATA_RING, entry_bytes }];
    }
    guest.activation.interrupts = interrupts;
    guest.activation.features = features;
    guest.activation.mod_levels = core::array::from_fn(|vector| (vector % 9) as u8);
    guest.activation.rss = Some(Rss { hash_type: 0xf, key: [7; 40], table: vec![0, 3] });
    let mut body = Body::new(profile);
    body.serve(Request::Start(Box::new(guest.activation.clone())), &mut guest.host);
    (guest, body)
}

/// Entries of an RX data ring: none, in memory, beyond it.
fn entry_bytes() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![0, 64, 128, 2048])
}

fn interrupts() -> impl Strategy<Value = Interrupts> {
    prop::sample::select(&Interrupts::ALL[..])
}

fn profile() -> impl Strategy<Value = &'static Profile> {
    prop::sample::select(Profile::ALL)
}

proptest! {
    /// Running is stepping the first unit; each step makes at most one access; no guest breaks either.
    #[test]
    fn to_run_is_to_step_and_a_step_is_at_most_one_access(
        profile in profile(), kind in interrupts(), features in 0u64..16, entry in entry_bytes(), ops in prop::collection::vec(op(), 1..60)
    ) {
        let (mut guest, mut body) = start(profile, kind, features, entry);
        let (mut stepped_guest, mut stepped) = (guest.clone(), body.clone());
        for op in &ops {
            apply(op, &mut guest, &mut body);
            apply(op, &mut stepped_guest, &mut stepped);
            let Op::Run(budget) = op else { continue };
            let taken = body.run(&mut guest.host, u32::from(*budget));
            let mut units = Vec::new();
            for _ in 0..taken {
                units.clear();
                stepped.units(&mut units);
                let mut host = OneAccess::new(&mut stepped_guest.host);
                stepped.step(units[0], &mut host);
                prop_assert!(host.take() <= 1);
            }
            units.clear();
            stepped.units(&mut units);
            prop_assert_eq!(units.is_empty(), stepped.is_idle());
            prop_assert!(taken == u32::from(*budget) || units.is_empty());
            prop_assert_eq!(&body, &stepped);
            prop_assert_eq!(&guest, &stepped_guest);
        }
    }

    /// Nothing that is unmasked waits longer than the device says: behind that much time, and whatever it lets go, nothing waits for time.
    #[test]
    fn no_interrupt_waits_longer_than_the_device_says(
        profile in profile(), kind in interrupts(), ops in prop::collection::vec(op(), 1..60)
    ) {
        let (mut guest, mut body) = start(profile, kind, 0xf, 0);
        for op in &ops {
            apply(op, &mut guest, &mut body);
            body.run(&mut guest.host, 20_000);
            prop_assert!(body.wait_ns().unwrap_or(0) <= profile.moderation.longest_ns());
            prop_assert!(body.is_timed() || body.wait_ns().is_none());
            let mut later = body.clone();
            later.advance(profile.moderation.longest_ns());
            prop_assert!(!later.is_timed() && later.wait_ns().is_none());
        }
    }

    /// Whatever the guest did, work ends: a bounded number of steps after the last stimulus nothing is left to do.
    #[test]
    fn work_is_bounded(profile in profile(), entry in entry_bytes(), ops in prop::collection::vec(op(), 1..60)) {
        let (mut guest, mut body) = start(profile, Interrupts::MsiX, 0xf, entry);
        for op in &ops {
            apply(op, &mut guest, &mut body);
            body.run(&mut guest.host, 20_000);
            prop_assert!(body.is_idle());
        }
    }
}
