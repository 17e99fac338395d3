//! Commands of the guest as programs: filters, features, steering, counters, events, and the end.
//!
//! What is installed in the adapter cannot be read back, so a [`Shadow`] remembers it and only differences are issued. More
//! multicast addresses than the adapter has filters become ALL_MULTICAST, as linux enic_set_rx_mode does.

use spec::layout::Bytes;
use spec::profile::Moderation;
use spec::vic::devcmd::{MAC_FILTERS, RSS_CPU_BYTES, RSS_KEY_BYTES, nic_hash, packet_filter};
use spec::vic::{Devcmd, IntrReg, NicCfg, QpStats, RqReg, UptCfg, WqReg};
use spec::vmxnet3::command::{QueueError, feature, rx_mode};
use spec::vmxnet3::rx::{MERGES_SINCE, hash_type};
use spec::vmxnet3::{MAX_VECTORS, RssFields, RxStats, TxStats};

use super::program::{Op, Program};
use super::scratch::{self, Scratch};
use super::tear_down;
use crate::mutant::{Mutant, Planted};
use crate::plane::{Filters, Interface, Progress, Reply, Request, Rss};
use crate::vic::Register;
use crate::vic::intr::ERROR_BLOCK;

/// From this version on a driver may want to be told of what a tunnel carries.
const INNER_SINCE: u8 = 4;
/// Features without which nothing is merged.
const MERGING: u64 = feature::LRO | feature::RXCSUM;

/// What the adapter was told last, and the configuration plane's copy of what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shadow {
    pub(super) planted: Planted,
    pub(super) interface: Interface,
    /// How the device spaces interrupts.
    pub(super) spacing: Moderation,
    bits: u64,
    macs: Vec<[u8; 6]>,
    vlans: [u32; 128],
    features: u64,
    rss: Option<Rss>,
    tx_queues: u8,
    rx_queues: u8,
}

impl Shadow {
    /// Of a fresh adapter that serves so many queues.
    pub fn new(tx_queues: u8, rx_queues: u8) -> Self {
        let (interface, spacing) = (Interface::default(), Moderation::NONE);
        let (planted, macs, vlans) = (Planted::NONE, Vec::new(), [0; 128]);
        Self { planted, interface, spacing, bits: 0, macs, vlans, features: 0, rss: None, tx_queues, rx_queues }
    }

    /// The commands that lead from what is installed to these filters. Removals come first, so that there is room.
    pub fn filters(&mut self, filters: &Filters) -> Vec<Op> {
        let (bits, macs) = addresses(filters);
        let mut ops = Vec::new();
        for old in self.macs.iter().filter(|old| macs.binary_search(old).is_err()) {
            ops.extend(Op::command(Devcmd::AddrDel, [mac_arg(*old), 0, 0]));
        }
        for new in macs.iter().filter(|new| self.macs.binary_search(new).is_err()) {
            ops.extend(Op::command(Devcmd::AddrAdd, [mac_arg(*new), 0, 0]));
        }
        for (word, (old, new)) in self.vlans.iter().zip(&filters.vlans).enumerate().filter(|(_, (old, new))| old != new)
        {
            for bit in (0..32).filter(|bit| (old ^ new) >> bit & 1 == 1) {
                let command = if new >> bit & 1 == 1 { Devcmd::VlanAdd } else { Devcmd::VlanDel };
                ops.extend(Op::command(command, [word as u64 * 32 + bit, 0, 0]));
            }
        }
        if bits != self.bits {
            ops.extend(Op::command(Devcmd::PacketFilter, [bits, 0, 0]));
        }
        self.bits = bits;
        self.macs = macs;
        self.vlans = filters.vlans;
        ops
    }

    /// The command that makes the adapter work with these feature bits.
    pub fn features(&mut self, features: u64) -> Vec<Op> {
        self.features = features;
        self.nic_cfg()
    }

    /// The commands that make the adapter steer so; key and table are laid down in the scratch page now. A table that is not a
    /// power of two is repeated over all entries, which is as near as the adapter comes.
    pub fn rss(&mut self, rss: Option<&Rss>, scratch: &mut Scratch) -> Vec<Op> {
        let mut ops = Vec::new();
        self.rss = rss.filter(|rss| !rss.table.is_empty()).cloned();
        if let Some(rss) = &self.rss {
            if let Ok(bytes) = scratch.bytes_mut(scratch::KEY, RSS_KEY_BYTES) {
                for (group, key) in bytes.chunks_mut(16).zip(rss.key.chunks(10)) {
                    group[..10].copy_from_slice(key);
                }
            }
            if let Ok(bytes) = scratch.bytes_mut(scratch::TABLE, RSS_CPU_BYTES) {
                let queues = rss.table.iter().map(|&q| if q < self.rx_queues { q } else { 0 }).cycle();
                let places = bytes.chunks_mut(8).flat_map(|group| &mut group[..4]);
                places.zip(queues).for_each(|(place, queue)| *place = queue);
            }
            ops.extend(Op::command(Devcmd::RssKey, [scratch::KEY, RSS_KEY_BYTES as u64, 0]));
            ops.extend(Op::command(Devcmd::RssCpu, [scratch::TABLE, RSS_CPU_BYTES as u64, 0]));
        }
        ops.extend(self.nic_cfg());
        ops
    }

    /// The command that makes the adapter hash over these fields too.
    pub fn rss_fields(&mut self, fields: RssFields) -> Vec<Op> {
        self.interface.rss_fields = fields;
        self.nic_cfg()
    }

    fn nic_cfg(&self) -> Vec<Op> {
        let mut nic = NicCfg::default();
        nic.set_upt_rx_checksum(self.features & feature::RXCSUM != 0);
        let merges = self.features & MERGING == MERGING && self.interface.version >= MERGES_SINCE;
        nic.set_upt_lro(merges);
        nic.set_ig_vlan_strip(self.features & feature::RXVLAN != 0);
        if let Some(rss) = &self.rss {
            let kinds = [
                (hash_type::IPV4, nic_hash::IPV4),
                (hash_type::TCP_IPV4, nic_hash::TCP_IPV4),
                (hash_type::IPV6, nic_hash::IPV6),
                (hash_type::TCP_IPV6, nic_hash::TCP_IPV6),
            ];
            let fields = self.interface.rss_fields;
            let udp = [(fields.udpip4(), nic_hash::UDP_IPV4), (fields.udpip6(), nic_hash::UDP_IPV6)];
            let kinds = kinds.iter().map(|&(from, to)| (rss.hash_type & from != 0, to)).chain(udp);
            let types = kinds.filter(|kind| kind.0).fold(0, |all, kind| all | kind.1);
            let entries = rss.table.len().min(128);
            nic.set_rss_enable(true);
            nic.set_rss_hash_type(types);
            nic.set_rss_hash_bits(if entries.is_power_of_two() { entries.ilog2() as u8 } else { 7 });
        }
        Op::command(Devcmd::NicCfg, [u64::from(nic.0), u64::from(self.upt_cfg().0), 0]).to_vec()
    }

    fn upt_cfg(&self) -> UptCfg {
        let mut upt = UptCfg::default();
        let Interface { version, rss_fields: fields } = self.interface;
        upt.set_version(version);
        upt.set_rx_inner(self.features & feature::RXINNEROFLD != 0 && version >= INNER_SINCE);
        upt.set_esp_ipv4(self.rss.is_some() && fields.espip4());
        upt.set_esp_ipv6(self.rss.is_some() && fields.espip6());
        upt
    }

    /// Queues served: TX, RX.
    pub fn queues(&self) -> (u8, u8) {
        (self.tx_queues, self.rx_queues)
    }
}

/// The packet filter and the exact addresses, sorted, that stand for VMXNET3's filters.
fn addresses(filters: &Filters) -> (u64, Vec<[u8; 6]>) {
    let mode = |bit| filters.rx_mode & bit != 0;
    let mut bits = 0;
    for (from, to) in [
        (rx_mode::UCAST, packet_filter::DIRECTED),
        (rx_mode::MCAST, packet_filter::MULTICAST),
        (rx_mode::BCAST, packet_filter::BROADCAST),
        (rx_mode::ALL_MULTI, packet_filter::ALL_MULTICAST),
        (rx_mode::PROMISC, packet_filter::PROMISCUOUS),
    ] {
        if mode(from) {
            bits |= to;
        }
    }
    // The adapter's list does not tell whose table an address came from: each kind keeps to its own.
    let mut macs: Vec<_> = filters.multicast.iter().copied().filter(|mac| mac[0] & 1 == 1).collect();
    macs.sort_unstable();
    macs.dedup();
    if macs.len() >= MAC_FILTERS {
        macs.clear();
        if mode(rx_mode::MCAST) {
            bits |= packet_filter::ALL_MULTICAST;
        }
    }
    if filters.mac[0] & 1 == 0 {
        let at = macs.binary_search(&filters.mac).unwrap_or_else(|at| at);
        macs.insert(at, filters.mac);
    }
    (bits, macs)
}

fn mac_arg(mac: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = mac;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// An interrupt on a vector of the guest's; nothing for one that does not exist: the block behind the last is the host's own.
pub fn raise(vector: u8) -> Vec<Op> {
    if vector < ERROR_BLOCK { Op::command(Devcmd::Iar, [u64::from(vector), 0, 0]).to_vec() } else { Vec::new() }
}

/// Least spacing between interrupts of the guest's vectors, as many ticks each. A spacing that has begun is shortened by it and
/// never made longer.
pub fn moderation(ticks: [u16; MAX_VECTORS]) -> impl Iterator<Item = Op> {
    let timer = |(i, ticks)| Op::Write(Register::Intr(i, IntrReg::CoalescingTimer), u64::from(ticks));
    (0..ERROR_BLOCK).zip(ticks).map(timer)
}

impl Program {
    /// The program that serves a command. ACTIVATE always starts the software body, so `Start` here only stops, as `Stop` does.
    pub fn serve(request: &Request, shadow: &mut Shadow, scratch: &mut Scratch, polls: u32) -> Self {
        let ops = match request {
            Request::Start(_) | Request::Stop => {
                let mut ops = tear_down::stop(shadow);
                ops.extend(Op::command(Devcmd::IngressDrop, [0; 3]));
                ops
            }
            Request::Reset => {
                let mut ops = tear_down::stop(shadow);
                ops.extend(Op::command(Devcmd::IngressDrop, [0; 3]));
                for i in 0..ERROR_BLOCK {
                    ops.push(Op::Write(Register::Intr(i, IntrReg::Mask), 1));
                    ops.push(Op::Write(Register::Intr(i, IntrReg::IntCredits), 0));
                }
                ops
            }
            Request::Filters(filters) => shadow.filters(filters),
            Request::Features(_) if shadow.planted.is(Mutant::HwFeaturesKept) => Vec::new(),
            Request::Features(features) => shadow.features(*features),
            Request::Rss(rss) => shadow.rss(rss.as_deref(), scratch),
            Request::RssFields(fields) => shadow.rss_fields(*fields),
            Request::Moderation { .. } if shadow.planted.is(Mutant::HwModerationKept) => Vec::new(),
            Request::Moderation { levels, scheme } => {
                moderation(levels.map(|level| shadow.spacing.ticks(level, *scheme))).collect()
            }
            Request::Counters => counters(shadow),
            Request::Raise(vector) => raise(*vector),
        };
        Self::new(ops, polls)
    }

    /// What the command is answered once its program is done; `software` holds the counters from before the adapter.
    pub fn reply(&self, request: &Request, shadow: &Shadow, scratch: &Scratch, software: &Progress) -> Reply {
        if *request != Request::Counters {
            return Reply::Done;
        }
        let mut stops = self.values().iter().map(|&value| stop_reason(value));
        let mut stop = || stops.next().flatten();
        let tx = software.tx.iter().take(usize::from(shadow.tx_queues)).enumerate();
        let tx = tx.map(|(q, p)| (add_tx(p.counters, hardware(scratch, q).tx()), stop())).collect();
        let rx = software.rx.iter().take(usize::from(shadow.rx_queues)).enumerate();
        let lost = shadow.planted.is(Mutant::HwCountersLost);
        let counted = |q| if lost { RxStats::default() } else { hardware(scratch, q).rx() };
        let rx = rx.map(|(q, p)| (add_rx(p.counters, counted(q)), stop())).collect();
        Reply::Counters { tx, rx }
    }
}

/// Dumps every queue pair's counters to the scratch page and reads `error_status` of every TX and RX queue.
pub fn counters(shadow: &Shadow) -> Vec<Op> {
    let mut ops = Vec::new();
    for pair in 0..shadow.tx_queues.max(shadow.rx_queues) {
        let args = [u64::from(pair), scratch::stats(pair), QpStats::SIZE as u64];
        ops.extend(Op::command(Devcmd::QpStatsDump, args));
    }
    ops.extend((0..shadow.tx_queues).map(|q| Op::Read(Register::Wq(q, WqReg::ErrorStatus))));
    ops.extend((0..shadow.rx_queues).map(|q| Op::Read(Register::Rq(2 * q, RqReg::ErrorStatus))));
    ops
}

/// A queue pair's counters as last dumped.
pub(super) fn hardware(scratch: &Scratch, pair: usize) -> QpStats {
    scratch.get(scratch::stats(pair as u8))
}

/// Why a queue stopped, by its `error_status`.
pub(super) fn stop_reason(error_status: u64) -> Option<QueueError> {
    (error_status != 0).then(|| QueueError::from(error_status as u32))
}

fn add_words(a: &[u8; 80], b: &[u8; 80]) -> [u8; 80] {
    let [a, b]: [[u64; 10]; 2] = [Bytes::get(a), Bytes::get(b)];
    let mut sum = [0; 80];
    core::array::from_fn::<u64, 10, _>(|i| a[i].wrapping_add(b[i])).put(&mut sum);
    sum
}

/// The sum of two parts.
pub(super) fn add_tx(a: TxStats, b: TxStats) -> TxStats {
    TxStats(add_words(&a.0, &b.0))
}

/// The sum of two parts.
pub(super) fn add_rx(a: RxStats, b: RxStats) -> RxStats {
    RxStats(add_words(&a.0, &b.0))
}
