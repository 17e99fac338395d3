//! Receive.

use super::*;
use spec::vic::NicCfg;

#[test]
fn frames_spill_into_ring_one_and_skipped_bodies_are_not_completed() {
    let mut rig = Rig::new(&Profile::SMALL, 8);
    // BODY, HEAD, HEAD: the first is passed over.
    rig.fill(0, 3, 40, |at| at == 0);
    rig.fill(1, 4, 50, |_| true);
    for i in 0..2 {
        assert!(rig.adapter.offer(&frame(i, 130)));
    }
    rig.run();
    for i in 0..2 {
        let (got, cell) = rig.receive().expect("delivered");
        assert_eq!((got, cell.rq_id(), cell.fcs(), cell.kind()), (frame(i, 130), 1, true, 3));
    }
    assert!(rig.receive().is_none());
    assert_eq!(rig.adapter.read(Register::Rq(0, RqReg::FetchIndex)), 3);
    assert_eq!(rig.adapter.read(Register::Rq(1, RqReg::FetchIndex)), 4);
    assert_eq!(rig.host.vectors, [1]);
    assert!(rig.adapter.offer(&frame(7, 60)));
    rig.run();
    assert_eq!(rig.adapter.counters.rx[0].pkts_rx_out_of_buf(), 1);
    assert_eq!(rig.adapter.ingress_len(), 0);
}

#[test]
fn short_frames_are_padded_and_tags_stripped() {
    let mut rig = Rig::new(&Profile::SMALL, 8);
    let mut nic = NicCfg::default();
    nic.set_ig_vlan_strip(true);
    rig.command(Devcmd::NicCfg, [u64::from(nic.0), 0, 0]).unwrap();
    rig.fill(0, 3, 100, |_| false);
    let mut tagged = frame(1, 40);
    tagged.splice(12..12, [0x81, 0, 0x20, 5]);
    assert!(rig.adapter.offer(&tagged));
    rig.run();
    let (got, cell) = rig.receive().expect("delivered");
    assert_eq!((&got[..40], &got[40..]), (&frame(1, 40)[..], &[0; 20][..]));
    assert_eq!((cell.ts(), cell.tci(), cell.cnc()), (true, 0x2005, true));
}
