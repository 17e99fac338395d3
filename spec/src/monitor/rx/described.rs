//! Whether what completions say of a frame is so: tag, hash, protocols, checksums.

use super::{INNER_SINCE, Judge};
use crate::monitor::filter::TAG;
use crate::monitor::ids::{RSS_002, RX_015, RX_016, V4_003};
use crate::monitor::layout::Rings;
use crate::monitor::ledger::{Ledger, What};
use crate::monitor::wire::{Ip, TCP, Tunnel, UDP};
use crate::vmxnet3::RxCompDesc;
use crate::vmxnet3::command::feature;

impl Judge {
    /// Whether tag and hash of the last completion are those of the frame offered at `at`. `hash`: its words for a hash mean one.
    pub(super) fn described(
        &self,
        at: usize,
        c: RxCompDesc,
        hash: bool,
        bad: What,
        rings: &Rings,
        ledger: &mut Ledger,
    ) {
        let offer = &self.offers[at];
        let tagged = offer.frame.get(12..14) == Some(&TAG[..]) && offer.frame.len() >= 18;
        if tagged || c.ts() {
            let holds =
                if c.ts() { self.features.0 & feature::RXVLAN != 0 } else { self.features.1 & feature::RXVLAN == 0 };
            ledger.check(RX_015, holds, || bad);
        }
        if hash && (c.rss_type() != 0 || (rings.rss.is_on() && c.rss_hash() != 0)) {
            let right = rings.rss.hashes(&offer.frame).contains(&Some((c.rss_hash(), c.rss_type())));
            ledger.check(RSS_002, right, || bad);
        }
    }

    /// Whether what the completion says of headers in a tunnel is so: a driver trusts both levels then.
    pub(super) fn inner(&self, c: RxCompDesc, version: u8, bad: What, ledger: &mut Ledger) {
        const ASKED: u64 = feature::RXCSUM | feature::RXINNEROFLD;
        let frame = &self.scratch[..];
        let asked = self.features.0 & ASKED == ASKED && version >= INNER_SINCE;
        let tunnel = Tunnel::parse_headers(frame).filter(|tunnel| tunnel.is_right(frame));
        let right = tunnel.is_some_and(|Tunnel { inner, .. }| {
            let family = c.v4() != inner.v6 && c.v6() == inner.v6 && (c.ipc() || inner.v6);
            family && c.tcp() == (inner.protocol == TCP) && c.udp() == (inner.protocol == UDP)
        });
        ledger.check(V4_003, asked && right && !c.cnc() && c.tuc() && !c.frg(), || bad);
    }

    /// Whether what the completion says of checksums is so.
    pub(super) fn flags(&self, c: RxCompDesc, bad: What, ledger: &mut Ledger) {
        ledger.premise(RX_016);
        let frame = &self.scratch[..];
        let ip = Ip::parse(frame);
        let said = (c.v4(), c.v6(), c.tcp(), c.udp(), c.frg());
        let truth = ip.as_ref().map_or((false, false, false, false, false), |ip| {
            let whole = !ip.fragment;
            (!ip.v6, ip.v6, whole && ip.protocol == TCP, whole && ip.protocol == UDP, ip.fragment)
        });
        // What is said must be true; less than everything may be said.
        let invented = said.0 && !truth.0
            || said.1 && !truth.1
            || (said.2 && ip.is_some_and(|ip| ip.protocol != TCP))
            || (said.3 && ip.is_some_and(|ip| ip.protocol != UDP));
        let mut holds = !invented;
        if c.cnc() {
            holds &= !c.tuc() && !c.ipc();
        } else {
            let allowed = self.features.0 & feature::RXCSUM != 0;
            match ip {
                Some(ip) if allowed && (c.v4() || c.v6()) => {
                    holds &= ip.v6 || c.ipc() == ip.header_good(frame);
                    let transport = (c.tcp() || c.udp()) && !c.frg() && !ip.fragment;
                    holds &= if transport { c.tuc() == ip.transport_good(frame) } else { !c.tuc() };
                }
                _ => holds = false,
            }
        }
        if !holds {
            ledger.violated(RX_016, bad);
        }
    }
}
