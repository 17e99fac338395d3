//! Frames both ways.

use super::{Bench, PEER};
use model::guest::packet::Packet;
use spec::frame;

impl Bench<'_> {
    /// A frame for `to` of `len` bytes, each another one.
    pub fn frame(&mut self, to: [u8; 6], len: usize) -> Vec<u8> {
        self.next_id += 1;
        frame::generated(to, PEER, self.seed, self.next_id, len)
    }

    /// A frame for the guest.
    pub fn to_guest(&mut self, len: usize) -> Vec<u8> {
        self.frame(self.config.mac, len)
    }

    /// A frame for the guest with an 802.1Q tag.
    pub fn tagged(&mut self, tci: u16, len: usize) -> Vec<u8> {
        let mut frame = self.to_guest(len);
        let [high, low] = tci.to_be_bytes();
        frame.splice(12..12, [0x81, 0, high, low]);
        frame
    }

    /// A frame from the guest.
    pub fn from_guest(&mut self, len: usize) -> Vec<u8> {
        let mut frame = self.frame(PEER, len);
        frame[6..12].copy_from_slice(&self.config.mac);
        frame
    }

    /// A frame reaches the uplink.
    pub fn offer(&mut self, frame: &[u8]) {
        self.device.offer(frame);
    }

    /// Offers a frame, settles, and says whether queue 0 received exactly it.
    pub fn receives(&mut self, frame: &[u8]) -> bool {
        self.offer(frame);
        self.settle();
        let got = self.received(0);
        matches!(&got[..], [(bytes, last)] if bytes == frame && !last.err())
    }

    /// Offers a frame, settles, and says whether queue 0 received nothing.
    pub fn refuses(&mut self, frame: &[u8]) -> bool {
        self.offer(frame);
        self.settle();
        self.received(0).is_empty()
    }

    /// Whether a frame goes each way, whole, on every queue that sends and on queue 0 that receives.
    pub fn serves(&mut self) -> bool {
        let mut good = true;
        for q in 0..self.layout.tx.len() {
            let frame = self.from_guest(100 + q);
            self.seen();
            let index = self.send(q, &frame);
            self.settle();
            let done = self.completions(q);
            good &= self.sent() == [&frame[..]];
            good &= matches!(done[..], [(_, completion)] if u32::from(completion.txd_idx()) == index);
        }
        let frame = self.to_guest(120);
        good & self.receives(&frame)
    }

    /// Posts a packet as a driver of the selected version does, rings, settles: the frames that left and how many completions came.
    pub fn send_packet(&mut self, packet: &Packet) -> (Vec<Vec<u8>>, usize) {
        self.seen();
        let (mut from, count) = (0, packet.fragments.count());
        for i in 0..count {
            let len = usize::from(packet.fragments.lengths()[i]);
            let mut desc = self.piece(0, &packet.frame[from..from + len]);
            if i == 0 {
                packet.offload.ask(self.version, &mut desc);
                if let Some(tci) = packet.vlan {
                    desc.set_ti(true);
                    desc.set_tci(tci);
                }
            }
            desc.set_eop(i + 1 == count);
            desc.set_cq(true);
            self.post_cell(0, desc);
            from += len;
        }
        self.ring(0);
        self.settle();
        let frames = self.sent().into_iter().map(<[u8]>::to_vec).collect();
        (frames, self.completions(0).len())
    }
}
