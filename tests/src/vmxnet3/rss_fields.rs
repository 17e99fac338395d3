//! RSS fields of version 4: what a driver asks for, what it gets, and what packets are hashed over.

use super::offered::each_version;
use crate::case::{Case, Check};
use crate::rig::{Bench, Setup};
use model::guest::vmxnet3::RssSetup;
use spec::profile::Deviation;
use spec::vmxnet3::rx::rss_type;
use spec::vmxnet3::shared::CMD_INFO_OFFSET;
use spec::vmxnet3::{Command, RssFields};

pub(crate) const CASES: &[Case] = &[
    Case { id: "rss-fields", clauses: &["VMX-V4-002", "VMX-V4-004"], unless: &[], needs: &[], run: asked_and_granted },
    Case {
        id: "rss-fields-in-packets",
        clauses: &["VMX-V4-005"],
        unless: &[Deviation::RxQueueZeroOnly],
        needs: &[],
        run: in_packets,
    },
];

/// Version of the commands.
const SINCE: u8 = 4;

/// Asks for fields; the answer, and what is in force then.
pub(super) fn ask(bench: &mut Bench, wanted: u32) -> (u32, u32) {
    bench.put(bench.layout.shared + CMD_INFO_OFFSET, [wanted, u32::MAX, u32::MAX, u32::MAX]);
    let answer = bench.command(Command::SetRssFields);
    (answer, bench.command(Command::GetRssFields))
}

fn asked_and_granted(check: &mut Check) {
    each_version(check, SINCE..=9, &Setup::default(), |check, bench, version| {
        let plain = RssFields::DEFAULT.0;
        let able = RssFields::known(check.profile().answers.rss_fields, version);
        check.equal("VMX-V4-004", "fields at first", bench.command(Command::GetRssFields), plain);
        bench.prepare();
        check.equal("VMX-V4-004", "fields set while inactive", ask(bench, u32::MAX).1, plain);
        bench.activate();
        bench.to_target();
        check.equal("VMX-V4-004", "fields after ACTIVATE_DEV", bench.command(Command::GetRssFields), plain);
        for wanted in [0x3, 0xf, 0x3f, 0, 0x30, 0xff00, u32::MAX, 0xc, 0x3] {
            bench.seen();
            let (answer, found) = ask(bench, wanted);
            check.equal("VMX-V4-002", "answer of SET_RSS_FIELDS", answer, 0u32);
            check.equal("VMX-V4-002", "fields in force", found, wanted & able | plain);
            check.holds("VMX-V4-002", !bench.wrote(), "no memory is written");
        }
        check.holds("VMX-V4-002", bench.serves(), "traffic flows");
        ask(bench, u32::MAX);
        bench.command(Command::ResetDev);
        check.equal("VMX-V4-004", "fields after RESET_DEV", bench.command(Command::GetRssFields), plain);
    });
    each_version(check, 1..=SINCE - 1, &Setup::default(), |check, bench, _| {
        bench.start();
        let (answer, found) = ask(bench, u32::MAX);
        check.equal("VMX-V4-004", "answers below version 4", answer | found, 0u32);
    });
}

/// A frame of 120 bytes from one IP address to another, of `protocol`, with ports.
fn packet(bench: &mut Bench, protocol: u8) -> Vec<u8> {
    let mut frame = bench.to_guest(120);
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 106, 0, 0, 0x40, 0, 64, protocol]);
    frame[24..34].copy_from_slice(&[0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..54].copy_from_slice(&[4, 210, 0, 80, 0, 86, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}

fn in_packets(check: &mut Check) {
    let mut setup = Setup::default().queues(2);
    let key = core::array::from_fn(|i| i as u8 ^ 0x6d);
    setup.config.rss = Some(RssSetup { hash_type: 0xf, key, table: vec![0; 4] });
    each_version(check, SINCE..=9, &setup, |check, bench, _| {
        bench.start();
        for wanted in [0, 0x3f] {
            let found = RssFields(ask(bench, wanted).1);
            for (protocol, kind) in [(6, rss_type::TCP_IPV4), (17, rss_type::UDP_IPV4), (50, rss_type::ESP_IPV4)] {
                let frame = packet(bench, protocol);
                bench.offer(&frame);
                bench.settle();
                let got = bench.received(0);
                let covered = match protocol {
                    6 => found.tcpip4(),
                    17 => found.udpip4(),
                    _ => found.espip4(),
                };
                let expected = if covered { kind } else { rss_type::IPV4 };
                let told = got.first().map_or(0xff, |(_, last)| last.rss_type());
                check.equal("VMX-V4-005", "rssType", told, expected);
            }
        }
    });
}
