//! Transmit.

use super::*;
use crate::host::Sent;

#[test]
fn packets_leave_in_order_are_completed_once_and_raise_the_vector() {
    let mut rig = Rig::new(&Profile::SMALL, 5);
    let mut entries = 0;
    for i in 0..40 {
        assert!(rig.post(&frame(i, 64), 1 + i as usize % 4));
        rig.doorbell();
        rig.run();
        rig.reap(&mut entries);
        assert_eq!(rig.completed, rig.posted);
        assert_eq!(rig.host.sent.last(), Some(&(0, frame(i, 64))));
    }
    assert_eq!(rig.host.sent.len(), 40);
    assert_eq!(rig.host.vectors, vec![0; 40]);
    assert_eq!(rig.adapter.hidden_is_empty(), Err("transmit pipeline"));
    rig.enable(false);
    assert_eq!(rig.adapter.hidden_is_empty(), Ok(()));
}

#[test]
fn a_stale_doorbell_does_not_claim_a_lap() {
    let mut rig = Rig::new(&Profile::SMALL, 6);
    for i in 0..4 {
        rig.post(&frame(i, 60), 1);
    }
    rig.doorbell();
    rig.run();
    for stale in [0, 2, 5, 99] {
        assert!(rig.adapter.post(Register::Wq(0, WqReg::PostedIndex), stale));
        rig.run();
        assert_eq!(rig.host.sent.len(), 4);
        assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::PostedIndex)), 4);
    }
    let mut entries = 0;
    rig.reap(&mut entries);
    rig.post(&frame(9, 60), 3);
    rig.doorbell();
    rig.run();
    assert_eq!(rig.host.sent.len(), 5);
}

#[test]
fn half_a_packet_waits_without_being_held() {
    let mut rig = Rig::new(&Profile::SMALL, 6);
    rig.post(&frame(1, 60), 3);
    let last = rig.host.memory.get::<TxDesc>(TX + 32).unwrap();
    let mut missing = last;
    missing.set_generation(false);
    rig.host.memory.put(TX + 32, missing).unwrap();
    rig.doorbell();
    rig.run();
    assert!(rig.host.sent.is_empty());
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::PostedIndex)), 2);
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::FetchIndex)), 0);
    rig.host.memory.put(TX + 32, last).unwrap();
    rig.doorbell();
    rig.run();
    assert_eq!(rig.host.sent, [(0, frame(1, 60))]);
}

#[test]
fn a_ring_without_an_end_of_packet_stops_the_queue_and_tells_the_host_alone() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    rig.adapter.write(Register::Wq(0, WqReg::ErrorInterruptEnable), 1);
    rig.adapter.write(Register::Wq(0, WqReg::ErrorInterruptOffset), u64::from(ERROR_BLOCK));
    for i in 0..4 {
        let mut desc = TxDesc::default();
        desc.set_generation(true);
        desc.set_len(60);
        rig.host.memory.put(TX + i * 16, desc).unwrap();
    }
    assert!(rig.adapter.post(Register::Wq(0, WqReg::PostedIndex), 3));
    rig.run();
    let no_eop = spec::vmxnet3::command::QueueError::NoEop.code();
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::ErrorStatus)), u64::from(no_eop));
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::Running)), 0);
    assert_eq!((rig.adapter.host_events(), rig.host.vectors.len()), (1, 0));
}

#[test]
fn bad_control_blocks_do_not_run() {
    for (reg, value) in [
        (WqReg::RingSize, 0),
        (WqReg::RingSize, 65),
        (WqReg::RingBase, 0x1004),
        (WqReg::CqIndex, 16),
        (WqReg::FetchIndex, 4),
        (WqReg::PostedIndex, 4),
    ] {
        let mut rig = Rig::new(&Profile::SMALL, 4);
        rig.enable(false);
        rig.adapter.write(Register::Wq(0, reg), value);
        rig.enable(true);
        assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::Running)), 0, "{reg:?}");
        assert_ne!(rig.adapter.read(Register::Wq(0, WqReg::ErrorStatus)), 0, "{reg:?}");
    }
}

#[test]
fn a_segmented_packet_of_which_a_frame_went_out_is_finished_by_a_stop() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    let mut packet = frame(0, 54 + 250);
    packet[12..34].copy_from_slice(&[8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet[46] = 0x50;
    rig.post(&packet, 1);
    let mut desc = rig.host.memory.get::<TxDesc>(TX).unwrap();
    desc.set_om(3);
    desc.set_hlen(54);
    desc.set_msscof(100);
    rig.host.memory.put(TX, desc).unwrap();
    rig.post(&frame(1, 60), 1);
    rig.doorbell();
    while rig.host.sent.is_empty() {
        let mut units = Vec::new();
        rig.adapter.units(&mut units);
        rig.adapter.step(units[0], &mut rig.host);
    }
    rig.enable(false);
    let mut entries = 0;
    rig.reap(&mut entries);
    assert_eq!((rig.host.sent.len(), rig.completed), (3, 1));
    assert_eq!(rig.adapter.read(Register::Wq(0, WqReg::FetchIndex)), 1);
    assert_eq!(rig.adapter.hidden_is_empty(), Ok(()));
    rig.enable(true);
    assert_eq!(rig.host.sent.last(), Some(&(0, frame(1, 60))));
}

/// A wire that takes everything.
struct Sink(Memory, u64);

impl Host for Sink {
    fn read(&mut self, pa: u64, into: &mut [u8]) -> Result<(), crate::host::DmaFault> {
        self.0.read(pa, into)
    }
    fn write(&mut self, pa: u64, bytes: &[u8]) -> Result<(), crate::host::DmaFault> {
        self.0.write(pa, bytes)
    }
    fn fetch(&mut self, pa: u64) -> Result<u128, crate::host::DmaFault> {
        self.0.cell(pa)
    }
    fn publish(&mut self, pa: u64, cell: u128) -> Result<(), crate::host::DmaFault> {
        self.0.write(pa, &cell.to_le_bytes())
    }
    fn transmit(&mut self, _: u8, _: &[u8]) -> Sent {
        self.1 += 1;
        Sent::Yes
    }
    fn vector(&mut self, _: u16) {}
    fn intx(&mut self, _: bool) {}
}

#[test]
fn laps_of_a_large_ring_are_sent_whole() {
    let mut rig = Rig::new(&Profile::REFERENCE, 128);
    let mut sink = Sink(rig.host.memory.clone(), 0);
    let laps = 200;
    for at in 0..laps * 128u64 {
        let (pa, generation) = rig.tx_cell(at);
        let mut desc = TxDesc::default();
        desc.set_addr(BUFFERS);
        desc.set_len(64);
        desc.set_generation(generation);
        desc.set_eop(true);
        desc.set_cq(true);
        sink.0.put(pa, desc).unwrap();
        if at % 64 == 63 {
            rig.adapter.write(Register::Wq(0, WqReg::PostedIndex), (at + 1) % 128);
            rig.adapter.run(&mut sink, u32::MAX);
        }
    }
    assert_eq!(sink.1, laps * 128);
}
