use proptest::prelude::*;
use spec::frame::Dice;
use spec::layout::Bytes;
use spec::position::RingIndex;
use spec::profile::{Moderation, Profile};
use spec::vic::{IntrReg, RqReg, WqReg};
use spec::vmxnet3::command::{QueueError, feature, rx_mode};
use spec::vmxnet3::shared::{CoalesceScheme, coalesce};
use spec::vmxnet3::{Bar0, MAX_VECTORS, RxDesc, RxStats, TxDesc, TxStats};

use super::*;
use crate::host::Bare;
use crate::memory::Memory;
use crate::mutant::Planted;
use crate::plane::{
    Activation, Filters, Interrupts, Progress, Reply, Request, Rss, RxProgress, RxSetup, TxProgress, TxSetup,
    VectorProgress,
};
use crate::vic::{Adapter, Register};

/// Runs a program with the adapter running beside it.
fn finish(program: &mut Program, adapter: &mut Adapter, scratch: &mut Scratch, host: &mut Bare) -> Poll {
    loop {
        match program.step(adapter) {
            Poll::Pending => {
                adapter.run(&mut WithScratch { scratch, host: &mut *host }, 100_000);
            }
            end => return end,
        }
    }
}

/// A device of some queues whose rings stand anywhere: activation, progress, memory.
fn anywhere(seed: u64) -> (Activation, Progress, Memory) {
    let mut dice = Dice::new(seed);
    let mut pa = 0x1000;
    let mut place = |size: u32| {
        let at = pa;
        pa += (u64::from(size) * 16).next_multiple_of(64);
        at
    };
    let (mut activation, mut progress) = (Activation::default(), Progress::default());
    let size = |dice: &mut Dice| 2 + dice.below(12) as u32;
    let at = |dice: &mut Dice, size: u32| {
        RingIndex::new(dice.below(u64::from(size)) as u32, dice.once_in(2), size).unwrap_or_default()
    };
    let error = |dice: &mut Dice| dice.once_in(8).then_some(QueueError::NoEop);
    let words = |dice: &mut Dice| {
        let mut bytes = [0; 80];
        core::array::from_fn::<u64, 10, _>(|_| dice.next() >> 1).put(&mut bytes);
        bytes
    };
    for _ in 0..1 + dice.below(3) {
        let [ring_size, comp_size] = [size(&mut dice), size(&mut dice)];
        let (ring_pa, comp_pa) = (place(ring_size), place(comp_size));
        activation.tx.push(TxSetup { ring_pa, ring_size, comp_pa, comp_size, vector: dice.below(30) as u8 });
        progress.tx.push(TxProgress {
            next: at(&mut dice, ring_size),
            comp: at(&mut dice, comp_size),
            counters: TxStats(words(&mut dice)),
            stopped: error(&mut dice),
        });
    }
    for _ in 0..1 + dice.below(3) {
        let ring_size = [size(&mut dice), if dice.once_in(3) { 0 } else { size(&mut dice) }];
        let comp_size = size(&mut dice);
        let (ring_pa, comp_pa) = (ring_size.map(&mut place), place(comp_size));
        activation.rx.push(RxSetup { ring_pa, ring_size, comp_pa, comp_size, vector: dice.below(30) as u8 });
        progress.rx.push(RxProgress {
            next: ring_size.map(|size| at(&mut dice, size)),
            comp: at(&mut dice, comp_size),
            counters: RxStats(words(&mut dice)),
            stopped: error(&mut dice),
        });
    }
    for vector in &mut progress.vectors {
        // A cause that is not masked would fire at once.
        *vector = VectorProgress { masked: true, pending: dice.once_in(2) };
    }
    activation.auto_mask = dice.once_in(2);
    let mut memory = Memory::new(&[(0x1000, (pa - 0x1000) as usize)]);
    for (setup, p) in activation.tx.iter().zip(&progress.tx) {
        // A posted packet would be sent: the cells are the driver's, as far as the ring is not the adapter's.
        let owned = if p.stopped.is_some() { dice.below(u64::from(setup.ring_size)) as u32 } else { 0 };
        cells(&mut memory, setup.ring_pa, setup.ring_size, p.next, owned, |generation| {
            let mut desc = TxDesc::default();
            desc.set_generation(generation);
            desc.0
        });
    }
    for (setup, p) in activation.rx.iter().zip(&progress.rx) {
        for ring in 0..2 {
            let size = setup.ring_size[ring];
            let owned = dice.below(u64::from(size) + 1) as u32;
            cells(&mut memory, setup.ring_pa[ring], size, p.next[ring], owned, |generation| {
                let mut desc = RxDesc::default();
                desc.set_generation(generation);
                desc.0
            });
        }
    }
    (activation, progress, memory)
}

/// Writes a ring whose first `owned` cells from `next` on are the device's.
fn cells(memory: &mut Memory, pa: u64, size: u32, next: RingIndex, owned: u32, cell: impl Fn(bool) -> u128) {
    let mut at = next;
    for i in 0..size {
        let generation = at.generation() == (i < owned);
        memory.write(pa + u64::from(at.index()) * 16, &cell(generation).to_le_bytes()).unwrap();
        at = at.next(size);
    }
}

fn bring_up(activation: &Activation, progress: &Progress, memory: &Memory, scratch: &mut Scratch) -> (Adapter, Shadow) {
    let profile = &Profile::SMALL;
    let mut adapter = Adapter::new(profile);
    let posted = Posted::scan(activation, progress, memory, Planted::NONE);
    let (ops, shadow) = enter(activation, progress, &posted, profile, scratch, Planted::NONE);
    let mut program = Program::new(ops, 100);
    let mut host = Bare::new(memory.clone());
    assert_eq!(finish(&mut program, &mut adapter, scratch, &mut host), Poll::Done);
    assert!(host.memory == *memory, "entering writes nothing to the guest");
    (adapter, shadow)
}

proptest! {
    /// A round trip onto the adapter and back changes nothing, whatever the position of every ring.
    #[test]
    fn capture_gives_back_what_bring_up_was_given(seed: u64) {
        let (activation, progress, memory) = anywhere(seed);
        let mut scratch = Scratch::default();
        let (mut adapter, shadow) = bring_up(&activation, &progress, &memory, &mut scratch);
        let mut host = Bare::new(memory.clone());
        let mut program = Program::new(tear_down::stop(&shadow), 100);
        prop_assert_eq!(finish(&mut program, &mut adapter, &mut scratch, &mut host), Poll::Done);
        prop_assert_eq!(adapter.hidden_is_empty(), Ok(()));
        let before = adapter.clone();
        let captured = capture(&mut adapter, &activation, &memory, &scratch, &progress, Planted::NONE);
        prop_assert_eq!(captured, Ok(progress));
        prop_assert!(adapter == before);
        prop_assert!(host.memory == memory && host.vectors.is_empty());
    }
}

fn one_pair() -> (Activation, Progress, Memory) {
    let memory = Memory::new(&[(0x1000, 0x2000)]);
    let activation = Activation {
        tx: vec![TxSetup { ring_pa: 0x1000, ring_size: 8, comp_pa: 0x1100, comp_size: 8, vector: 0 }],
        rx: vec![RxSetup { ring_pa: [0x1200, 0x1300], ring_size: [8, 8], comp_pa: 0x1400, comp_size: 16, vector: 1 }],
        ..Activation::default()
    };
    let progress = Progress::fresh(&activation, [VectorProgress::default(); MAX_VECTORS]);
    (activation, progress, memory)
}

#[test]
fn capture_refuses_a_running_queue_and_an_index_out_of_range() {
    let (activation, progress, memory) = one_pair();
    let mut scratch = Scratch::default();
    let (mut adapter, shadow) = bring_up(&activation, &progress, &memory, &mut scratch);
    let running = Register::Wq(0, WqReg::Running);
    let take = |adapter: &mut Adapter, scratch: &Scratch| {
        capture(adapter, &activation, &memory, scratch, &progress, Planted::NONE)
    };
    assert_eq!(take(&mut adapter, &scratch), Err(CaptureError::Running { register: running }));
    let mut program = Program::new(tear_down::stop(&shadow), 100);
    let mut host = Bare::new(memory.clone());
    assert_eq!(finish(&mut program, &mut adapter, &mut scratch, &mut host), Poll::Done);
    let register = Register::Rq(1, RqReg::FetchIndex);
    adapter.write(register, 8);
    assert_eq!(take(&mut adapter, &scratch), Err(CaptureError::OutOfRange { register, value: 8 }));
}

#[test]
fn a_queue_that_does_not_start_fails_the_program() {
    let (mut activation, progress, memory) = one_pair();
    activation.tx[0].ring_pa = 0x1001;
    let (mut scratch, mut host) = (Scratch::default(), Bare::new(memory.clone()));
    let mut adapter = Adapter::new(&Profile::SMALL);
    let posted = Posted::scan(&activation, &progress, &memory, Planted::NONE);
    let (ops, _) = enter(&activation, &progress, &posted, &Profile::SMALL, &mut scratch, Planted::NONE);
    let end = finish(&mut Program::new(ops, 100), &mut adapter, &mut scratch, &mut host);
    let register = Register::Wq(0, WqReg::Running);
    let error_status = u64::from(QueueError::Switch.code());
    assert_eq!(end, Poll::Failed(ProgramError::Queue { register, error_status }));
}

#[test]
fn a_program_that_waits_in_vain_runs_out_of_polls() {
    let mut adapter = Adapter::new(&Profile::SMALL);
    let op = Op::AwaitRunning(Register::Wq(0, WqReg::Running), true);
    let mut program = Program::new([op], 2);
    assert_eq!(
        [(); 4].map(|()| program.step(&mut adapter))[1..],
        [Poll::Pending, Poll::Failed(ProgramError::Polls(op)), Poll::Failed(ProgramError::Polls(op)),]
    );
}

#[test]
fn requests_reach_the_adapter_and_only_differences_are_issued() {
    let (activation, progress, memory) = one_pair();
    let mut scratch = Scratch::default();
    let (mut adapter, mut shadow) = bring_up(&activation, &progress, &memory, &mut scratch);
    let mut host = Bare::new(memory);
    let mut filters =
        Filters { mac: [2, 0, 0, 0, 0, 1], rx_mode: rx_mode::UCAST | rx_mode::MCAST, ..Filters::default() };
    filters.multicast = (0..70).map(|i| [1, 0, 0x5e, 0, 0, i]).collect();
    filters.vlans[0] = 0x21;
    let rss = Rss { hash_type: 0xf, key: [7; 40], table: vec![0, 9, 1, 0] };
    let requests = [
        Request::Filters(Box::new(filters.clone())),
        Request::Features(feature::RXCSUM | feature::RXVLAN | feature::RSS),
        Request::Rss(Some(Box::new(rss))),
        Request::Counters,
        Request::Raise(3),
        Request::Raise(200),
    ];
    for request in &requests {
        let mut program = Program::serve(request, &mut shadow, &mut scratch, 10);
        assert_eq!(finish(&mut program, &mut adapter, &mut scratch, &mut host), Poll::Done, "{request:?}");
        let reply = program.reply(request, &shadow, &scratch, &progress);
        match request {
            Request::Counters => assert_eq!(
                reply,
                Reply::Counters { tx: vec![(TxStats::default(), None)], rx: vec![(RxStats::default(), None)] }
            ),
            _ => assert_eq!(reply, Reply::Done),
        }
    }
    assert_eq!(Program::serve(&requests[0], &mut shadow, &mut scratch, 10).remaining(), 0);
    filters.multicast.truncate(2);
    // Two additions and the packet filter, a wait behind each.
    assert_eq!(shadow.filters(&filters).len(), 6);
    assert_eq!(adapter.peek(Register::Intr(3, IntrReg::IntCredits)), 1);
    let mut program = Program::serve(&Request::Reset, &mut shadow, &mut scratch, 100);
    assert_eq!(finish(&mut program, &mut adapter, &mut scratch, &mut host), Poll::Done);
    assert_eq!(adapter.peek(Register::Intr(3, IntrReg::IntCredits)), 0);
    assert_eq!(adapter.hidden_is_empty(), Ok(()));
}

#[test]
fn moderation_becomes_ticks_of_every_timer_of_the_guest() {
    static SPACED: Profile = Profile { moderation: Moderation::SPACED, ..Profile::SMALL };
    let (mut activation, progress, memory) = one_pair();
    activation.mod_levels = core::array::from_fn(|vector| vector as u8);
    let mut scratch = Scratch::default();
    let posted = Posted::scan(&activation, &progress, &memory, Planted::NONE);
    let (ops, mut shadow) = enter(&activation, &progress, &posted, &SPACED, &mut scratch, Planted::NONE);
    let mut adapter = Adapter::new(&SPACED);
    let mut host = Bare::new(memory);
    assert_eq!(finish(&mut Program::new(ops, 100), &mut adapter, &mut scratch, &mut host), Poll::Done);
    let ticks =
        |adapter: &Adapter| [0, 1, 7, 8, 9, 24, 25].map(|i| adapter.peek(Register::Intr(i, IntrReg::CoalescingTimer)));
    assert_eq!(ticks(&adapter), [0, 8, 56, 32, 0, 0, 0]);
    let mut scheme = CoalesceScheme::default();
    scheme.set_coal_mode(coalesce::RATE);
    scheme.set_coal_para([100, 0, 0]);
    let request = Request::Moderation { levels: Box::new(activation.mod_levels), scheme };
    let mut program = Program::serve(&request, &mut shadow, &mut scratch, 10);
    assert_eq!(finish(&mut program, &mut adapter, &mut scratch, &mut host), Poll::Done);
    assert_eq!(ticks(&adapter), [6667, 6667, 6667, 6667, 6667, 6667, 0], "the host's own block is spaced by nobody");
}

#[test]
fn the_page_maps_masks_and_doorbells_onto_control_blocks() {
    assert_eq!(page::behind(Bar0::TxProd(3)), Some(Register::Wq(3, WqReg::PostedIndex)));
    assert_eq!(page::behind(Bar0::RxProd(2)), Some(Register::Rq(4, RqReg::PostedIndex)));
    assert_eq!(page::behind(Bar0::RxProd2(2)), Some(Register::Rq(5, RqReg::PostedIndex)));
    assert_eq!(page::behind(Bar0::RxProd2(8)), None);
    assert_eq!(page::legalize(Bar0::Imr(1), 6), 0);
}

#[test]
fn who_may_not_enter_is_told_why() {
    let (good, ..) = one_pair();
    let profile = &Profile::SMALL;
    assert_eq!(eligible(&good, profile), Ok(()));
    let mut lacking = *profile;
    lacking.adapter.vlan_filter = false;
    let mut codes = Vec::new();
    let mut refused = |change: &dyn Fn(&mut Activation)| {
        let mut activation = good.clone();
        change(&mut activation);
        codes.push(eligible(&activation, &lacking).expect_err("refused").code());
    };
    refused(&|a| a.interrupts = Interrupts::Line);
    refused(&|a| a.filters.vlans[3] = 1);
    refused(&|a| a.max_rx_sg = 17);
    refused(&|a| a.tx.clear());
    refused(&|a| a.rx = vec![a.rx[0]; 9]);
    refused(&|a| a.rss = Some(Rss { hash_type: 1, key: [0; 40], table: vec![0; 3] }));
    refused(&|a| a.rx[0].ring_size[0] = 1);
    refused(&|a| a.interrupts = Interrupts::Msi);
    assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 9]);
}

/// Follows a program by the steps that it waits for, and no others.
fn follow(program: &mut Program, adapter: &mut Adapter, scratch: &mut Scratch, host: &mut Bare) -> Poll {
    let mut host = WithScratch { scratch, host };
    loop {
        match program.step(adapter) {
            Poll::Pending => program.waits_for().into_iter().for_each(|unit| adapter.step(unit, &mut host)),
            end => return end,
        }
    }
}

proptest! {
    /// The scan of a ring finds what looking at cell after cell finds, wherever memory ends.
    #[test]
    fn a_scan_finds_the_cells_that_carry_the_generation(
        size in 1u32..100, from in 0u32..100, generation: bool, owned in 0u32..120, end in 0u64..1700, tx: bool
    ) {
        let from = RingIndex::new(from % size, generation, size).unwrap();
        let end = end.min(u64::from(size) * 16);
        let mut memory = Memory::new(&[(0x1000, end as usize)]);
        let ring = if tx { bring_up::Ring::Tx } else { bring_up::Ring::Rx };
        let mut at = from;
        for i in 0..size {
            let carried = at.generation() == (i < owned);
            let (mut tx_cell, mut rx_cell) = (TxDesc(!0), RxDesc(!0));
            tx_cell.set_generation(carried);
            rx_cell.set_generation(carried);
            let cell = if tx { tx_cell.0 } else { rx_cell.0 };
            let _ = memory.write(0x1000 + u64::from(at.index()) * 16, &cell.to_le_bytes());
            at = at.next(size);
        }
        let mut at = from;
        let mut expected = 0;
        while expected < size
            && memory.cell(0x1000 + u64::from(at.index()) * 16).is_ok_and(|cell| ring.generation(cell) == at.generation())
        {
            expected += 1;
            at = at.next(size);
        }
        prop_assert_eq!(bring_up::owned_run(&memory, ring, 0x1000, size, from), expected);
    }

    /// Stepping what a program waits for, and nothing else, is enough for a quiet device to enter and to leave.
    #[test]
    fn a_program_names_the_step_that_it_waits_for(seed: u64) {
        let (activation, progress, memory) = anywhere(seed);
        let (mut scratch, mut host) = (Scratch::default(), Bare::new(memory));
        let posted = Posted::scan(&activation, &progress, &host.memory, Planted::NONE);
        let (mut adapter, profile) = (Adapter::new(&Profile::SMALL), &Profile::SMALL);
        let (ops, shadow) = enter(&activation, &progress, &posted, profile, &mut scratch, Planted::NONE);
        for ops in [ops, tear_down::stop(&shadow)] {
            let end = follow(&mut Program::new(ops, 100), &mut adapter, &mut scratch, &mut host);
            prop_assert_eq!(end, Poll::Done);
        }
        prop_assert_eq!(adapter.hidden_is_empty(), Ok(()));
    }
}
