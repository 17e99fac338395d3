//! The mailbox, the link and the interrupt blocks.

use super::*;

#[test]
fn commands_answer_as_the_table_says() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    for (command, args, expected) in [
        (Devcmd::Unknown(999), [0, 0, 0], Err(5)),
        (Devcmd::SoftReset, [0, 0, 0], Err(5)),
        (Devcmd::StatsDump, [BUFFERS, 511, 0], Err(1)),
        (Devcmd::StatsDump, [0, 512, 0], Err(2)),
        (Devcmd::StatsDump, [BUFFERS, 512, 0], Ok([BUFFERS, 512])),
        (Devcmd::QpStatsDump, [8, BUFFERS, 160], Err(1)),
        (Devcmd::QpStatsDump, [7, BUFFERS, 160], Ok([7, BUFFERS])),
        (Devcmd::PacketFilter, [32, 0, 0], Err(1)),
        (Devcmd::AddrAdd, [1 << 48, 0, 0], Err(1)),
        (Devcmd::AddrAdd, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrAdd, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrDel, [5, 0, 0], Ok([5, 0])),
        (Devcmd::AddrDel, [5, 0, 0], Err(1)),
        (Devcmd::VlanAdd, [4096, 0, 0], Err(1)),
        (Devcmd::RssKey, [BUFFERS, 40, 0], Err(1)),
        (Devcmd::RssCpu, [BUFFERS, 256, 0], Ok([BUFFERS, 256])),
        (Devcmd::Iar, [26, 0, 0], Err(1)),
        (Devcmd::Capability, [38, 0, 0], Ok([0, 0])),
        (Devcmd::Capability, [1, 0, 0], Err(5)),
        (Devcmd::IngressRead, [BUFFERS, 64, 0], Ok([BUFFERS, 0])),
        (Devcmd::IngressDrop, [0, 0, 0], Ok([0, 0])),
        (Devcmd::StatsClear, [0, 0, 0], Ok([0, 0])),
    ] {
        assert_eq!(rig.command(command, args), expected, "{command:?} {args:?}");
    }
    for i in 0..64 {
        assert!(rig.command(Devcmd::AddrAdd, [i, 0, 0]).is_ok());
    }
    assert_eq!(rig.command(Devcmd::AddrAdd, [64, 0, 0]), Err(10));
}

#[test]
fn a_disabled_link_drops_and_the_fifo_can_be_read_back() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    rig.enable(false);
    for i in 0..4 {
        assert!(rig.adapter.offer(&frame(i, 60)));
    }
    assert!(!rig.adapter.offer(&frame(4, 60)));
    rig.run();
    assert_eq!(rig.command(Devcmd::IngressRead, [BUFFERS, 59, 0]), Err(1));
    for i in 0..3 {
        assert_eq!(rig.command(Devcmd::IngressRead, [BUFFERS, 2048, 0]), Ok([BUFFERS, 60]));
        assert_eq!(rig.host.memory.bytes(BUFFERS, 60).unwrap(), frame(i, 60));
    }
    assert_eq!(rig.command(Devcmd::IngressDrop, [0; 3]), Ok([0, 1]));
    rig.command(Devcmd::Disable, [0; 3]).unwrap();
    assert!(rig.adapter.offer(&frame(9, 60)));
    assert_eq!((rig.adapter.ingress_len(), rig.adapter.counters.vnic.rx_drop()), (0, 2));
}

#[test]
fn events_that_meet_the_mask_or_the_timer_are_kept() {
    let mut rig = Rig::new(&Profile::SMALL, 4);
    let intr = |reg| Register::Intr(0, reg);
    rig.adapter.write(intr(IntrReg::MaskOnAssertion), 1);
    rig.adapter.write(intr(IntrReg::CoalescingTimer), 2);
    for _ in 0..2 {
        rig.command(Devcmd::Iar, [0; 3]).unwrap();
        rig.run();
    }
    assert_eq!((rig.host.vectors.len(), rig.adapter.read(intr(IntrReg::Mask))), (1, 1));
    rig.adapter.write(intr(IntrReg::Mask), 0);
    rig.run();
    assert_eq!((rig.host.vectors.len(), rig.adapter.wait_ns()), (1, Some(3000)));
    rig.adapter.advance(2999);
    rig.run();
    assert_eq!(rig.host.vectors.len(), 1);
    rig.adapter.advance(1);
    rig.run();
    assert_eq!((rig.host.vectors.len(), rig.adapter.read(intr(IntrReg::IntCredits))), (2, 0));
}
