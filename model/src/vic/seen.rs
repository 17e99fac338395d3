//! What the receive engine sees in a frame before it looks for buffers: the verdict of filter and steering, and what the last
//! completion will say.

use spec::vic::DataRing;
use spec::vmxnet3::rx::ext1;
use spec::vmxnet3::{MIN_FRAME, RxCompDesc};

use super::Adapter;
use super::cursor::Engine;
use super::parse::{Headers, Verified};

/// What the engine knows of a frame before it looks for buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    /// Queue pair.
    pub queue: u8,
    /// RQ of ring 1.
    pub spill: Option<u8>,
    /// Its tag is taken off.
    pub strip: bool,
    /// Bytes delivered: without a stripped tag, with padding.
    pub length: usize,
    /// What is told of: of what a tunnel carries if `inner`.
    headers: Headers,
    inner: bool,
    hash: Option<(u32, u8)>,
    verified: Verified,
}

/// What a frame meets as it leaves the ingress FIFO.
pub(super) enum Verdict {
    /// The filter: it vanishes.
    Refused,
    /// No queue at all, or one that an error has stopped: it is dropped and counted.
    Lost(Option<u8>),
    /// A queue that does not run: it waits at the head of the FIFO.
    Early,
    /// A queue that looks for buffers.
    For(Seen),
}

impl Seen {
    /// What the last completion says of the whole frame.
    #[inline]
    pub(super) fn describe(&self, cell: &mut RxCompDesc) {
        cell.set_fcs(true);
        if let Some((hash, kind)) = self.hash {
            cell.set_rss_hash(hash);
            cell.set_rss_type(kind);
        }
        if let (true, Some(tag)) = (self.strip, self.headers.tag) {
            cell.set_ts(true);
            cell.set_tci(tag);
        }
        cell.set_cnc(!self.verified.checked);
        cell.set_ipc(self.verified.header);
        cell.set_tuc(self.verified.transport);
        if self.inner {
            cell.set_ext1(ext1::HDR_INNER);
        }
        if let Some(ip) = self.headers.ip {
            cell.set_v4(!ip.v6);
            cell.set_v6(ip.v6);
            cell.set_tcp(self.headers.tcp());
            cell.set_udp(self.headers.udp());
            cell.set_frg(ip.fragment);
        }
    }
}

impl Adapter {
    /// What `frame` meets: filter, steering, the state of its queue.
    #[inline]
    pub(super) fn look(&self, frame: &[u8]) -> Verdict {
        let headers = Headers::of(frame);
        if frame.len() < 14 || !self.filter.accepts(frame, &headers, self.planted) {
            return Verdict::Refused;
        }
        let steered = self.filter.steer(frame, &headers, self.planted);
        let configured = self.rqs[usize::from(steered.queue) * 2].ring_size != 0;
        let queue = if configured { steered.queue } else { 0 };
        let rq = &self.rqs[usize::from(queue) * 2];
        if rq.ring_size == 0 {
            return Verdict::Lost(None);
        }
        if rq.error_status != 0 {
            return Verdict::Lost(Some(queue));
        }
        if rq.engine != Engine::Running {
            return Verdict::Early;
        }
        let ring = DataRing(rq.data_ring);
        let spill = (ring.spill() && ring.rq_index() != u16::from(queue) * 2)
            .then(|| self.rqs.get(usize::from(ring.rq_index())))
            .flatten()
            .filter(|rq| rq.engine == Engine::Running)
            .map(|_| ring.rq_index() as u8);
        let strip = self.filter.nic.ig_vlan_strip() && headers.tag.is_some() && frame.len() >= 18;
        let checks = self.filter.nic.upt_rx_checksum();
        let inside = checks && self.filter.upt.rx_inner();
        let carried = if inside { headers.verify_carried(frame) } else { None };
        let verified = match carried {
            Some(_) => Verified { checked: true, header: carried.is_some_and(|ip| !ip.v6), transport: true },
            None if checks => headers.verify(frame),
            None => Verified::default(),
        };
        Verdict::For(Seen {
            queue,
            spill,
            strip,
            length: (frame.len() - if strip { 4 } else { 0 }).max(MIN_FRAME),
            headers: Headers { ip: carried.or(headers.ip), ..headers },
            inner: carried.is_some(),
            hash: steered.hash,
            verified,
        })
    }
}
