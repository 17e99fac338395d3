//! LRO: what a device may make one packet of, how it tells, and what it has to leave alone.
//!
//! A device need not merge. What it delivers as one packet must be cuttable at the frames that came, and nothing that a receiver
//! would have seen of them may be gone: the judges cut it. Ours merges wherever it may, so it is claimed of a run of segments that
//! it arrives in no fewer packets than there are places at which it must be cut.
//! Sources: vmxnet3_defs.h, Vmxnet3_RxCompDescExt; linux vmxnet3_drv.c, vmxnet3_rq_rx_complete; linux net/ipv4/tcp_offload.c,
//! tcp_gro_receive, for what receivers keep apart.

use crate::case::{Case, Check, Target};
use crate::rig::{Bench, Setup};
use crate::vmxnet3::offered::{BUFFERS, by_version};
use model::guest::vmxnet3::RssSetup;
use spec::checksum;
use spec::profile::Deviation;
use spec::vmxnet3::command::feature;
use spec::vmxnet3::rx::{RXCOMP_LRO, RxCompDescExt};
use spec::vmxnet3::shared::UPT_FEATURES_OFFSET;
use spec::vmxnet3::{Command, RxCompDesc};

pub(super) const CASES: &[Case] = &[
    Case::new("lro-segments-in-several-buffers", &["VMX-LRO-002", "VMX-LRO-003"], in_several_buffers)
        .unless(&[Deviation::RxNothingVerified]),
    Case::new("lro-segments-in-one-buffer", &["VMX-LRO-002", "VMX-LRO-003"], in_one_buffer),
    Case::new("lro-tells-no-hash-beside-the-count", &["VMX-LRO-003"], beside_a_hash),
    Case::new("lro-over-ipv6", &["VMX-LRO-002", "VMX-LRO-003"], over_ipv6).unless(&[Deviation::RxNothingVerified]),
    Case::new("lro-of-tagged-segments", &["VMX-LRO-002", "VMX-RX-015"], tagged)
        .unless(&[Deviation::ZeroVlanTableDrops]),
    Case::new("lro-where-sequence-numbers-wrap", &["VMX-LRO-002"], where_numbers_wrap),
    Case::new("lro-ends-at-push", &["VMX-LRO-005"], ends_at_push),
    Case::new("lro-ends-at-a-short-segment", &["VMX-LRO-005"], ends_at_a_short_segment),
    Case::new("lro-keeps-a-longer-segment-apart", &["VMX-LRO-005"], keeps_a_longer_segment_apart),
    Case::new("lro-keeps-a-gap-apart", &["VMX-LRO-005"], keeps_a_gap_apart),
    Case::new("lro-keeps-a-repetition-apart", &["VMX-LRO-005"], keeps_a_repetition_apart),
    Case::new("lro-keeps-streams-apart", &["VMX-LRO-005"], keeps_streams_apart),
    Case::new("lro-keeps-acknowledgements-apart", &["VMX-LRO-005"], keeps_acknowledgements_apart),
    Case::new("lro-keeps-windows-apart", &["VMX-LRO-005"], keeps_windows_apart),
    Case::new("lro-keeps-flags-apart", &["VMX-LRO-005"], keeps_flags_apart),
    Case::new("lro-keeps-types-of-service-apart", &["VMX-LRO-005"], keeps_types_of_service_apart),
    Case::new("lro-keeps-hop-limits-apart", &["VMX-LRO-005"], keeps_hop_limits_apart),
    Case::new("lro-keeps-options-apart", &["VMX-LRO-005"], keeps_options_apart),
    Case::new("lro-keeps-tags-apart", &["VMX-LRO-005"], keeps_tags_apart).unless(&[Deviation::ZeroVlanTableDrops]),
    Case::new("lro-leaves-fragments-alone", &["VMX-LRO-005"], leaves_fragments_alone),
    Case::new("lro-leaves-wrong-checksums-alone", &["VMX-LRO-005", "VMX-RX-016"], leaves_wrong_checksums_alone)
        .unless(&[Deviation::RxNothingVerified]),
    Case::new("lro-leaves-bare-acknowledgements-alone", &["VMX-LRO-005"], leaves_bare_acknowledgements_alone),
    Case::new("lro-counts-packets-and-frames", &["VMX-LRO-004"], counts),
    Case::new("lro-needs-the-feature", &["VMX-LRO-001"], needs_the_feature),
    Case::new("lro-needs-checked-sums", &["VMX-LRO-001"], needs_checked_sums),
    Case::new("lro-loses-nothing-for-want-of-body-buffers", &["VMX-LRO-006"], without_body_buffers)
        .unless(&[Deviation::OutOfBuffersConsumes]),
    Case::new("lro-loses-nothing-at-maxnumrxsg", &["VMX-LRO-006"], at_most_buffers)
        .unless(&[Deviation::OutOfBuffersConsumes]),
    Case::new("lro-goes-on-after-a-reset", &["VMX-LRO-001"], after_a_reset),
];

/// What a stream is like at each interface version.
pub(super) const BY_VERSION: &[Case] = by_version! {
    "lro-of-a-stream", [1 2 3 4 5 6 7 8 9], &["VMX-LRO-001"], &[], &[], of_a_stream;
};

/// Versions whose completions tell of merged segments.
const TOLD: u8 = 2;

/// A segment of a TCP stream, to be changed before it is finished.
#[derive(Clone, Debug)]
struct Segment {
    v6: bool,
    tag: Option<u16>,
    service: u8,
    hops: u8,
    flags_of_ip: u16,
    flow: u16,
    sequence: u32,
    acknowledged: u32,
    window: u16,
    flags: u8,
    options: Vec<u8>,
    payload: Vec<u8>,
    wrong: bool,
}

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

impl Segment {
    /// Segment `number` of a stream whose segments carry `bytes`.
    fn nth(number: usize, bytes: usize) -> Self {
        let from = number * bytes;
        Self {
            v6: false,
            tag: None,
            service: 0,
            hops: 64,
            flags_of_ip: 0x4000,
            flow: 7,
            sequence: 1000u32.wrapping_add(from as u32),
            acknowledged: 5,
            window: 0x1000,
            flags: ACK,
            options: Vec::new(),
            payload: (from..from + bytes).map(|at| (at * 7 + 3) as u8).collect(),
            wrong: false,
        }
    }

    /// As it comes from the wire to `mac`.
    fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        let mut frame = mac.to_vec();
        frame.extend_from_slice(&[2, 0, 0, 0, 0, 9]);
        if let Some(tag) = self.tag {
            frame.extend_from_slice(&[0x81, 0]);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        let mut tcp = Vec::new();
        tcp.extend_from_slice(&self.flow.to_be_bytes());
        tcp.extend_from_slice(&80u16.to_be_bytes());
        tcp.extend_from_slice(&self.sequence.to_be_bytes());
        tcp.extend_from_slice(&self.acknowledged.to_be_bytes());
        tcp.extend_from_slice(&[((20 + self.options.len()) / 4 * 16) as u8, self.flags]);
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0; 4]);
        tcp.extend_from_slice(&self.options);
        tcp.extend_from_slice(&self.payload);
        let length = tcp.len() as u16;
        let addresses = if self.v6 {
            frame.extend_from_slice(&[0x86, 0xdd, 0x60 | self.service >> 4, self.service << 4, 0, 0]);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&[6, self.hops]);
            frame.extend((0..32u8).map(|at| at.wrapping_mul(11)));
            frame.len() - 32..frame.len()
        } else {
            frame.extend_from_slice(&[8, 0, 0x45, self.service]);
            frame.extend_from_slice(&(20 + length).to_be_bytes());
            frame.extend_from_slice(&(self.sequence as u16).to_be_bytes());
            frame.extend_from_slice(&self.flags_of_ip.to_be_bytes());
            frame.extend_from_slice(&[self.hops, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            let header = frame.len() - 20;
            let sum = checksum::finish(checksum::add(0, &frame[header..]));
            frame[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
            frame.len() - 8..frame.len()
        };
        let sum = checksum::add(checksum::pseudo(&frame[addresses], 6, u32::from(length)), &tcp);
        let sum = checksum::finish(sum) ^ u16::from(self.wrong);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&tcp);
        frame
    }
}

/// `count` segments of one stream.
fn run(count: usize, bytes: usize) -> Vec<Segment> {
    (0..count).map(|number| Segment::nth(number, bytes)).collect()
}

/// A guest with LRO on and buffers of 256 bytes, as many a packet as Linux takes.
fn guest() -> Setup {
    let mut setup = Setup { bytes: 192 << 10, ..Setup::default() };
    setup.config.max_rx_sg = BUFFERS;
    setup.config.features = feature::RXCSUM | feature::LRO;
    setup
}

/// The same with HEAD buffers of 2048 bytes.
fn guest_of_long_buffers() -> Setup {
    let mut setup = guest();
    setup.config.head_bytes = 2048;
    setup
}

/// What arrives of `segments`: frame and last completion of each packet.
fn arrivals(bench: &mut Bench, segments: &[Segment]) -> Vec<(Vec<u8>, RxCompDesc)> {
    let mac = bench.config.mac;
    segments.iter().for_each(|segment| bench.offer(&segment.frame(mac)));
    bench.settle();
    bench.received(0)
}

/// The payloads of what arrived, one behind the other, behind headers of `headers` bytes.
fn payloads(got: &[(Vec<u8>, RxCompDesc)], headers: usize) -> Vec<u8> {
    got.iter().flat_map(|(frame, _)| frame.get(headers..).unwrap_or_default().to_vec()).collect()
}

fn sent(segments: &[Segment]) -> Vec<u8> {
    segments.iter().flat_map(|segment| segment.payload.clone()).collect()
}

/// Offers `segments` in one go, which have to be cut at `places` places at least: what arrives is in as many packets and one more,
/// and in the end all of it.
fn kept_apart(check: &mut Check, segments: &[Segment], places: usize, claim: &'static str) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        let got = arrivals(bench, segments);
        check.holds("VMX-LRO-005", got.len() > places, claim);
        let bytes: usize = got.iter().map(|(frame, _)| frame.len()).sum();
        check.holds("VMX-LRO-005", bytes >= sent(segments).len(), "nothing of it is gone");
        check.holds("VMX-LRO-005", bench.serves(), "traffic flows");
    });
}

fn in_several_buffers(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        for (count, bytes) in [(2, 200), (5, 200), (9, 150), (3, 7), (20, 100)] {
            let segments = run(count, bytes);
            let got = arrivals(bench, &segments);
            check.holds("VMX-LRO-002", payloads(&got, 54) == sent(&segments), "a stream arrives whole and in order");
            let vouched = |last: &RxCompDesc| last.tcp() && last.v4() && last.tuc() && last.ipc() && !last.cnc();
            check.holds("VMX-LRO-003", got.iter().all(|(_, last)| vouched(last)), "checksums are vouched for");
        }
    });
}

fn in_one_buffer(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest_of_long_buffers(), |check, bench| {
        bench.start();
        for (count, bytes) in [(2, 500), (3, 600), (30, 60)] {
            let segments = run(count, bytes);
            let got = arrivals(bench, &segments);
            check.holds("VMX-LRO-002", payloads(&got, 54) == sent(&segments), "a stream arrives whole and in order");
            let mut counted = 0;
            for (frame, last) in &got {
                if last.kind() != RXCOMP_LRO {
                    counted += 1;
                    continue;
                }
                let told = RxCompDescExt(last.0);
                counted += usize::from(told.seg_cnt());
                let size = told.mss() == 0 || usize::from(told.mss()) == bytes;
                check.holds("VMX-LRO-002", size, "mss is the payload of a segment, or 0");
                let cut = (frame.len() - 54).div_ceil(bytes);
                check.equal("VMX-LRO-002", "segCnt", told.seg_cnt(), cut as u64);
                check.equal("VMX-LRO-003", "rssType", last.rss_type(), 0u8);
                let total = u16::from_be_bytes([frame[16], frame[17]]);
                check.equal("VMX-LRO-003", "length in the IP header", total, frame.len() as u64 - 14);
                let sum = checksum::add(checksum::pseudo(&frame[26..34], 6, frame.len() as u32 - 34), &frame[34..]);
                check.holds("VMX-LRO-003", checksum::fold(sum) == 0xffff, "the checksum is that of the whole");
            }
            check.equal("VMX-LRO-002", "segments counted", counted as u64, count as u64);
        }
    });
}

fn beside_a_hash(check: &mut Check) {
    for setup in [guest(), guest_of_long_buffers()] {
        let mut setup = setup;
        setup.config.rss = Some(RssSetup { hash_type: 0xf, key: [0x6d; 40], table: vec![0] });
        check.at(TOLD, Target::Both, &setup, |check, bench| {
            bench.start();
            let got = arrivals(bench, &run(3, 200));
            check.holds("VMX-LRO-003", payloads(&got, 54) == sent(&run(3, 200)), "a stream arrives whole and in order");
            let overlaid = got.iter().filter(|(_, last)| last.kind() == RXCOMP_LRO);
            let told = overlaid.clone().all(|(_, last)| last.rss_type() == 0);
            check.holds("VMX-LRO-003", told, "where the count lies over the hash, no hash is told");
        });
    }
}

fn over_ipv6(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        let segments: Vec<_> = run(6, 150).into_iter().map(|segment| Segment { v6: true, ..segment }).collect();
        let got = arrivals(bench, &segments);
        check.holds("VMX-LRO-002", payloads(&got, 74) == sent(&segments), "a stream arrives whole and in order");
        let vouched = |last: &RxCompDesc| last.tcp() && last.v6() && last.tuc() && !last.cnc();
        check.holds("VMX-LRO-003", got.iter().all(|(_, last)| vouched(last)), "checksums are vouched for");
    });
}

fn tagged(check: &mut Check) {
    for strip in [false, true] {
        let mut setup = guest();
        setup.config.features |= if strip { feature::RXVLAN } else { 0 };
        check.at(TOLD, Target::Both, &setup, |check, bench| {
            bench.start();
            let segments: Vec<_> = run(4, 180).into_iter().map(|s| Segment { tag: Some(0x2064), ..s }).collect();
            let got = arrivals(bench, &segments);
            let headers = if strip { 54 } else { 58 };
            check.holds("VMX-LRO-002", payloads(&got, headers) == sent(&segments), "a stream arrives whole");
            let told = |last: &RxCompDesc| last.ts() == strip && (!strip || last.tci() == 0x2064);
            check.holds("VMX-RX-015", got.iter().all(|(_, last)| told(last)), "the tag is told as for any frame");
        });
    }
}

fn where_numbers_wrap(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        let mut segments = run(5, 100);
        for segment in &mut segments {
            segment.sequence = segment.sequence.wrapping_sub(1000).wrapping_add(u32::MAX - 250);
        }
        let got = arrivals(bench, &segments);
        check.holds("VMX-LRO-002", payloads(&got, 54) == sent(&segments), "a stream arrives whole and in order");
    });
}

fn ends_at_push(check: &mut Check) {
    let mut segments = run(6, 100);
    segments[2].flags |= PSH;
    kept_apart(check, &segments, 1, "nothing is added to what was pushed");
}

fn ends_at_a_short_segment(check: &mut Check) {
    let mut segments = run(6, 100);
    segments[2].payload.truncate(60);
    segments[3..].iter_mut().for_each(|segment| segment.sequence -= 40);
    kept_apart(check, &segments, 1, "nothing is added to a short segment");
}

fn keeps_a_longer_segment_apart(check: &mut Check) {
    let mut segments = run(4, 100);
    segments[2].payload.extend_from_slice(&[1; 50]);
    segments[3].sequence += 50;
    kept_apart(check, &segments, 1, "a segment that is longer begins a packet");
}

fn keeps_a_gap_apart(check: &mut Check) {
    let mut segments = run(6, 100);
    segments.remove(3);
    kept_apart(check, &segments, 1, "what does not continue the stream is not joined to it");
}

fn keeps_a_repetition_apart(check: &mut Check) {
    let mut segments = run(4, 100);
    segments.insert(2, segments[1].clone());
    kept_apart(check, &segments, 1, "a segment that comes twice arrives twice");
}

fn keeps_streams_apart(check: &mut Check) {
    let mut segments = run(6, 100);
    for (number, segment) in segments.iter_mut().enumerate() {
        segment.flow += (number % 2) as u16;
    }
    kept_apart(check, &segments, 1, "segments of two streams are no packet");
}

fn keeps_acknowledgements_apart(check: &mut Check) {
    let mut segments = run(4, 100);
    segments[2..].iter_mut().for_each(|segment| segment.acknowledged += 1);
    kept_apart(check, &segments, 1, "an acknowledgement is not lost");
}

fn keeps_windows_apart(check: &mut Check) {
    let mut segments = run(4, 100);
    segments[2..].iter_mut().for_each(|segment| segment.window = 0);
    kept_apart(check, &segments, 1, "a window is not lost");
}

fn keeps_flags_apart(check: &mut Check) {
    // FIN, SYN, RST, URG, ECE, CWR.
    for flag in [0x01, 0x02, 0x04, 0x20, 0x40, 0x80] {
        let mut segments = run(5, 60);
        segments[2].flags |= flag;
        kept_apart(check, &segments, 2, "a segment with a flag that says something comes by itself");
    }
}

fn keeps_types_of_service_apart(check: &mut Check) {
    for v6 in [false, true] {
        let mut segments: Vec<_> = run(4, 60).into_iter().map(|segment| Segment { v6, ..segment }).collect();
        // Congestion experienced.
        segments[2].service = 3;
        kept_apart(check, &segments, 2, "congestion that was told stays told of its segment");
    }
}

fn keeps_hop_limits_apart(check: &mut Check) {
    for v6 in [false, true] {
        let mut segments: Vec<_> = run(4, 60).into_iter().map(|segment| Segment { v6, ..segment }).collect();
        segments[1].hops = 63;
        kept_apart(check, &segments, 2, "what came another way is kept apart");
    }
}

fn keeps_options_apart(check: &mut Check) {
    let stamp = |value: u8| vec![1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 1];
    let mut segments = run(6, 60);
    segments.iter_mut().for_each(|segment| segment.options = stamp(1));
    segments[3..].iter_mut().for_each(|segment| segment.options = stamp(2));
    kept_apart(check, &segments, 1, "timestamps that differ are kept apart");
    let mut segments = run(4, 60);
    segments[2].options = vec![1; 4];
    kept_apart(check, &segments, 2, "options that one segment has and others have not are kept apart");
}

fn keeps_tags_apart(check: &mut Check) {
    let mut segments = run(6, 60);
    segments[2..4].iter_mut().for_each(|segment| segment.tag = Some(5));
    segments[4..].iter_mut().for_each(|segment| segment.tag = Some(6));
    kept_apart(check, &segments, 2, "networks are kept apart");
}

fn leaves_fragments_alone(check: &mut Check) {
    for flags_of_ip in [0x2000, 0x0010] {
        let segments: Vec<_> = run(3, 60).into_iter().map(|segment| Segment { flags_of_ip, ..segment }).collect();
        kept_apart(check, &segments, 2, "fragments come one by one");
    }
}

fn leaves_wrong_checksums_alone(check: &mut Check) {
    let mut segments = run(5, 100);
    segments[2].wrong = true;
    kept_apart(check, &segments, 2, "a segment with a wrong checksum comes by itself");
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        let got = arrivals(bench, &segments);
        let wrong = got.iter().filter(|(_, last)| !last.cnc() && !last.tuc()).count();
        check.equal("VMX-RX-016", "packets told to be wrong", wrong as u64, 1u64);
    });
}

fn leaves_bare_acknowledgements_alone(check: &mut Check) {
    let mut segments = run(3, 100);
    let mut bare = Segment { payload: Vec::new(), ..Segment::nth(3, 100) };
    segments.push(bare.clone());
    bare.acknowledged += 9;
    segments.push(bare);
    kept_apart(check, &segments, 2, "acknowledgements without payload come one by one");
}

fn counts(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest_of_long_buffers(), |check, bench| {
        bench.start();
        let (mut merged, mut bytes) = (0, 0);
        for round in 0..3 {
            let got = arrivals(bench, &run(4 + round, 300));
            for (frame, last) in got.iter().filter(|(_, last)| last.kind() == RXCOMP_LRO) {
                merged += u64::from(last.sop());
                bytes += frame.len() as u64;
            }
        }
        let stats = bench.rx_stats(0);
        check.equal("VMX-LRO-004", "frames from the wire", stats.ucast_pkts_rx_ok(), 15u64);
        check.equal("VMX-LRO-004", "bytes from the wire", stats.ucast_bytes_rx_ok(), 15 * 354u64);
        check.equal("VMX-LRO-004", "LROPktsRxOK", stats.lro_pkts_rx_ok(), merged);
        check.equal("VMX-LRO-004", "LROBytesRxOK", stats.lro_bytes_rx_ok(), bytes);
    });
}

/// Claims that `got` are `segments` as they came.
fn as_they_came(check: &mut Check, bench: &Bench, segments: &[Segment], got: &[(Vec<u8>, RxCompDesc)]) {
    let same = got.len() == segments.len()
        && got.iter().zip(segments).all(|((frame, _), segment)| *frame == segment.frame(bench.config.mac));
    check.holds("VMX-LRO-001", same, "segments arrive as they came");
}

fn needs_the_feature(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        for features in [feature::RXCSUM, feature::RXCSUM | feature::LRO, feature::RXCSUM] {
            let pa = bench.layout.shared + UPT_FEATURES_OFFSET;
            bench.put(pa, features);
            bench.command(Command::UpdateFeature);
            let segments = run(5, 100);
            let got = arrivals(bench, &segments);
            check.holds("VMX-LRO-001", payloads(&got, 54) == sent(&segments), "a stream arrives whole and in order");
            if features & feature::LRO == 0 {
                as_they_came(check, bench, &segments, &got);
            }
        }
    });
}

fn needs_checked_sums(check: &mut Check) {
    let mut setup = guest();
    setup.config.features = feature::LRO;
    check.at(TOLD, Target::Both, &setup, |check, bench| {
        bench.start();
        let segments = run(5, 100);
        let got = arrivals(bench, &segments);
        as_they_came(check, bench, &segments, &got);
    });
}

fn of_a_stream(check: &mut Check) {
    check.at_version(Target::Both, &guest(), |check, bench, version| {
        bench.start();
        let segments = run(8, 150);
        let got = arrivals(bench, &segments);
        check.holds("VMX-LRO-001", payloads(&got, 54) == sent(&segments), "a stream arrives whole and in order");
        let told = got.iter().any(|(_, last)| last.kind() == RXCOMP_LRO);
        check.holds("VMX-LRO-001", version >= TOLD || !told, "no completion of version 1 is of type 4");
    });
}

fn without_body_buffers(check: &mut Check) {
    let mut setup = guest();
    (setup.config.rx_ring, setup.config.rx_comp) = ([32, 0], 32);
    check.at(TOLD, Target::Both, &setup, |check, bench| {
        bench.start();
        let segments = run(9, 150);
        let got = arrivals(bench, &segments);
        check.holds("VMX-LRO-006", payloads(&got, 54) == sent(&segments), "what fits one by one arrives one by one");
        check.equal("VMX-LRO-006", "pktsRxOutOfBuf", bench.rx_stats(0).pkts_rx_out_of_buf(), 0u64);
    });
}

fn at_most_buffers(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        // Far more than the buffers of one packet hold.
        let segments = run(30, 190);
        let got = arrivals(bench, &segments);
        check.holds("VMX-LRO-006", payloads(&got, 54) == sent(&segments), "what fits one by one arrives one by one");
        check.equal("VMX-LRO-006", "pktsRxOutOfBuf", bench.rx_stats(0).pkts_rx_out_of_buf(), 0u64);
    });
}

fn after_a_reset(check: &mut Check) {
    check.at(TOLD, Target::Both, &guest(), |check, bench| {
        bench.start();
        for _ in 0..2 {
            let segments = run(5, 100);
            let mac = bench.config.mac;
            segments[..3].iter().for_each(|segment| bench.offer(&segment.frame(mac)));
            bench.command(Command::ResetDev);
            bench.prepare();
            check.equal("VMX-LRO-001", "ACTIVATE_DEV after RESET_DEV", bench.activate(), 0u32);
            bench.to_target();
            let got = arrivals(bench, &segments);
            let whole = sent(&segments);
            // Frames that were under way at the reset may still come.
            let bytes = payloads(&got, 54);
            check.holds("VMX-LRO-001", bytes.ends_with(&whole), "a stream arrives whole and in order");
        }
    });
}
